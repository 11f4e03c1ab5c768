//! What `docs/troubleshooting.md` names: each code on that page is raised by some test, and the
//! frequent rejects by one run.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use expect_test::expect;

use crate::project::Project;

const PLAN: &str = r#"name = "visits"
target = "sqlite:people.db"
schema = "schema"
timezone = "Europe/Berlin"

[source.people]
csv = "data/people.csv"
null = [""]

[source.visits]
jsonl = "data/visits.jsonl"

[[table]]
into = "people"
from = "people"
key = ["id"]
[table.columns]
id = "id"
name = "name"
seen = { from = "seen", timestamp = "%d.%m.%Y %H:%M" }

[[table]]
into = "visits"
from = "visits"
key = ["id"]
[table.columns]
id = "id"
person = { ref = "people", by = "person" }
"#;

const SCHEMA: &str = "
CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL, seen TIMESTAMPTZ_TEXT);
CREATE TABLE visits (id INTEGER PRIMARY KEY, person INTEGER REFERENCES people (id));
";

#[test]
fn every_frequent_reject_is_told_by_its_code_its_place_and_its_value() {
    let project = Project::new(PLAN);
    project.write("schema/tables.sql", SCHEMA);
    let mut people =
        b"id,name,seen\n1,Ann,01.02.2024 10:00\n2,Ben\n3,Cy,01.02.2024 10:00,?\n".to_vec();
    people.extend(
        b"4,D\xefdre,01.02.2024 10:00\nfive,Eve,01.02.2024 10:00\n6,Fay,31.02.2024 10:00\n",
    );
    people.extend(b"7,Gil,31.03.2024 02:30\n8,,01.02.2024 10:00\n1,Ida,01.02.2024 10:00\n");
    project.write("data/people.csv", people);
    let visits =
        "{\"id\":1,\"person\":1}\n{\"id\":2,\"person\":8}\n{\"id\":3,\"person\":99}\n{\"id\":4,}\n";
    project.write("data/visits.jsonl", visits);
    let ended = project.run(&["migrate"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    project.run(&["rejects", "list", "--all"]).check(0, expect![[r#"
        people.2     open    WB0101 data/people.csv:3 -: 2 fields, the header has 3
        people.3     open    WB0102 data/people.csv:4 -: 4 fields, the header has 3
        people.4     open    WB0107 data/people.csv:5 -: the bytes here are not valid utf-8
        people.5     open    WB0230 data/people.csv:6 id: not an integer as it stands: `five`
        people.6     open    WB0236 data/people.csv:7 seen: not a date or time in the expected form: `31.02.2024 10:00`
        people.7     open    WB0237 data/people.csv:8 seen: the clocks never showed this local time: `31.03.2024 02:30`
        people.8     open    WB0248 data/people.csv:9 name: a required column is NULL
        people.9     open    WB0602 data/people.csv:10 -: the key is taken by a row with another content
        visits.2     open    WB0247 data/visits.jsonl:2 person: no row of `people` was made from this record: `8`
        visits.3     open    WB0247 data/visits.jsonl:3 person: no row of `people` was made from this record: `99`
        visits.4     open    WB0108 data/visits.jsonl:4 -: trailing comma
        11 rejects. Next: whimbrel rejects show TABLE.UNIT
              to mend them: whimbrel rejects export FOLDER, edit, whimbrel rejects retry --from FOLDER
    "#]]);
    project.holds();
}

/// The codes of a text.
fn codes(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let is_code = |word: &&str| {
        word.len() == 6
            && word.starts_with("WB")
            && word[2..].bytes().all(|byte| byte.is_ascii_digit())
    };
    words.filter(is_code).map(str::to_owned).collect()
}

/// The codes in the tests below a folder.
fn tested(folder: &Path, inside: bool, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            tested(&path, inside || name == "tests", found);
        } else if path.extension().is_some_and(|suffix| suffix == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let tests = if inside || name == "tests.rs" {
                Some(text.as_str())
            } else {
                text.split("#[cfg(test)]").nth(1)
            };
            found.extend(tests.map(codes).unwrap_or_default());
        }
    }
}

#[test]
fn every_code_of_the_page_is_raised_by_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = codes(&fs::read_to_string(root.join("docs/troubleshooting.md")).unwrap());
    let mut found = BTreeSet::new();
    tested(&root.join("crates"), false, &mut found);
    let missing: Vec<&String> = page.difference(&found).collect();
    assert!(page.len() > 50 && missing.is_empty(), "no test names {missing:?}");
}

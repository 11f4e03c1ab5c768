//! `verify --level rigorous` behind runs that continue others: what they have loaded is derived as they have
//! read it, whatever has happened meanwhile, and what others have changed is still found.

use std::fs;

use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::Value as Json;

use crate::project::Project;

/// Folders, and papers that refer to them; what becomes of a key that comes again, the plan says.
const PAPERS: &str = r#"name = "papers"
target = "sqlite:people.db"
verify = "none"

[source.folders]
csv = "data/folders*.csv"

[source.papers]
csv = "data/papers*.csv"

[map.kinds]
a = "article"
b = "book"

[[table]]
into = "folders"
from = "folders"
key = ["id"]
legacy_key = ["name"]
EXISTING
DUPLICATES
[table.columns]
id = { from = "id", type = "integer" }
name = "name"
shelf = { from = "shelf", invalid = "reject", type = "integer" }

[[table]]
into = "papers"
from = "papers"
key = ["id"]
EXISTING
[table.columns]
id = { from = "id", type = "integer" }
folder = { ref = "folders", by = "folder" }
kind = { from = "kind", map = "kinds" }
"#;

fn plan(existing: &str, duplicates: bool) -> String {
    let duplicates = if duplicates { "duplicates = { by = [\"name\"] }" } else { "" };
    PAPERS
        .replace("EXISTING", &format!("existing = \"{existing}\""))
        .replace("DUPLICATES", duplicates)
}

/// What somebody does between two verifications.
#[derive(Clone, Debug)]
enum Deed {
    /// Records in a new file, or at the end of a file; `torn` without the end of the last.
    Append { file: u8, lines: Vec<(u8, u8, u8)>, folders: bool, torn: bool },
    /// Runs with what is there.
    Run,
    /// Reads all rejects again, as they are, or with every number mended.
    Retry { mended: bool },
    /// The map knows another word.
    Map,
    /// A file is written once more as it is.
    Touch { file: u8 },
    /// A file is written anew.
    Anew { file: u8, lines: Vec<(u8, u8, u8)>, folders: bool },
}

fn lines() -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
    prop::collection::vec((0u8..8, 0u8..6, 0u8..5), 1..6)
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        6 => (0u8..3, lines(), any::<bool>(), prop::bool::weighted(0.3))
            .prop_map(|(file, lines, folders, torn)| Deed::Append { file, lines, folders, torn }),
        4 => Just(Deed::Run),
        3 => any::<bool>().prop_map(|mended| Deed::Retry { mended }),
        1 => Just(Deed::Map),
        1 => (0u8..3).prop_map(|file| Deed::Touch { file }),
    ]
}

fn any_deed() -> impl Strategy<Value = Deed> {
    let anew = (0u8..3, lines(), any::<bool>()).prop_map(|(file, lines, folders)| Deed::Anew {
        file,
        lines,
        folders,
    });
    prop_oneof![4 => deed(), 1 => anew]
}

/// A line of a file: numbers of 7 are no numbers, and the last kinds are unknown or stand for none.
fn line((id, other, kind): (u8, u8, u8), folders: bool) -> String {
    let id = if id == 7 { "x".to_owned() } else { id.to_string() };
    if folders {
        let shelf = if kind == 4 { "?".to_owned() } else { kind.to_string() };
        format!("{id},n{other},{shelf}\n")
    } else {
        format!("{id},n{other},{}\n", ["a", "b", "c", "a", ""][usize::from(kind)])
    }
}

struct Course {
    project: Project,
    retries: u32,
}

impl Course {
    fn new(existing: &str, duplicates: bool) -> Self {
        let project = Project::new(&plan(existing, duplicates));
        project.write("data/folders0.csv", "id,name,shelf\n1,n1,1\n2,n2,?\nx,n3,3\n");
        project.write("data/papers0.csv", "id,folder,kind\n1,n1,a\n2,n2,b\n3,n3,c\n");
        let course = Self { project, retries: 0 };
        course.migrate(&["migrate"]);
        course
    }

    fn name(file: u8, folders: bool) -> String {
        format!("data/{}{file}.csv", if folders { "folders" } else { "papers" })
    }

    fn migrate(&self, arguments: &[&str]) {
        let ended = self.project.run(arguments);
        assert!(matches!(ended.code, Some(0 | 3)), "{arguments:?} {ended:?}");
    }

    fn head(folders: bool) -> &'static str {
        if folders { "id,name,shelf\n" } else { "id,folder,kind\n" }
    }

    fn carry_out(&mut self, deed: &Deed) {
        match deed {
            Deed::Append { file, lines, folders, torn } => {
                let name = Self::name(*file, *folders);
                let mut text: String = lines.iter().map(|it| line(*it, *folders)).collect();
                if *torn {
                    // The next that is appended goes on in the middle of a record.
                    text.truncate(text.len() - 3);
                }
                if self.project.path(&name).exists() {
                    self.project.append(&name, &text);
                } else {
                    self.project.write(&name, format!("{}{text}", Self::head(*folders)));
                }
            }
            Deed::Anew { file, lines, folders } => {
                let text: String = lines.iter().map(|it| line(*it, *folders)).collect();
                let name = Self::name(*file, *folders);
                self.project.write(&name, format!("{}{text}", Self::head(*folders)));
            }
            Deed::Touch { file } => {
                for folders in [false, true] {
                    let name = Self::name(*file, folders);
                    if self.project.path(&name).exists() {
                        self.project.write(&name, self.project.read(&name));
                    }
                }
            }
            Deed::Run => self.migrate(&["migrate", "--incremental", "--adopt"]),
            Deed::Map => {
                let plan = self.project.read("whimbrel.toml");
                if !plan.contains("c = \"chart\"") {
                    self.project.replan("b = \"book\"\n", "b = \"book\"\nc = \"chart\"\n");
                }
            }
            Deed::Retry { mended } => self.retry(*mended),
        }
    }

    fn retry(&mut self, mended: bool) {
        self.retries += 1;
        let folder = format!("fixes{}", self.retries);
        let ended = if mended {
            let exported = self.project.run(&["rejects", "export", &folder]);
            assert!(matches!(exported.code, Some(0)), "{exported:?}");
            let mut any = false;
            for entry in fs::read_dir(self.project.path(&folder)).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|suffix| suffix == "bytes") {
                    let text = fs::read_to_string(&path).unwrap();
                    let new = 20 + self.retries;
                    let mended = text.replace("x,", &format!("{new},")).replace('?', "9");
                    any |= mended != text;
                    fs::write(&path, mended).unwrap();
                }
            }
            if !any {
                return;
            }
            self.project.run(&["rejects", "retry", "--from", &folder])
        } else {
            self.project.run(&["rejects", "retry"])
        };
        // 6: what was rejected is no longer there.
        assert!(matches!(ended.code, Some(0 | 3 | 6)), "{ended:?}");
    }

    /// The checks of `rigorous` that did not pass, with how the command ended.
    fn verified(&self) -> (Option<i32>, Vec<String>) {
        verified(&self.project)
    }

    /// Takes in all that waits: what is left out is not verified.
    fn settle(&self) {
        self.migrate(&["migrate", "--incremental", "--adopt"]);
    }
}

fn verified(project: &Project) -> (Option<i32>, Vec<String>) {
    let ended = project.run(&["verify", "--level", "rigorous", "--format", "json"]);
    let data = &ended.json()["data"];
    let checks = data["checks"].as_array().unwrap_or_else(|| panic!("{ended:?}"));
    let is_open = |check: &&Json| check["status"] != "passed";
    let said = |check: &Json| {
        let text = |name: &str| check[name].as_str().unwrap_or_default().to_owned();
        format!("{} {} {}: {}", text("status"), text("type"), text("name"), text("message"))
    };
    (ended.code, checks.iter().filter(is_open).map(said).collect())
}

proptest! {
    #![proptest_config(Config { cases: 24, failure_persistence: None, ..Config::default() })]

    /// New files, appended records, retries: each row is derived, and nothing differs. What is changed by
    /// hand then is found.
    #[test]
    fn nothing_differs_behind_any_course(
        deeds in prop::collection::vec(deed(), 1..9),
        existing in prop_oneof![Just("reject"), Just("update"), Just("keep")],
        duplicates in any::<bool>(),
    ) {
        let mut course = Course::new(existing, duplicates);
        for deed in &deeds {
            course.carry_out(deed);
        }
        let is_remapped = deeds.iter().any(|deed| matches!(deed, Deed::Map));
        let (code, said) = course.verified();
        let is_replanned = said.iter().any(|check| check.contains("its mapping has changed since"));
        prop_assert_eq!(code, Some(if is_remapped && is_replanned { 8 } else { 0 }), "{:#?}", said);
        course.settle();
        let (code, said) = course.verified();
        prop_assert_eq!(code, Some(0), "{:#?}", said);
        let is_noted = said.iter().any(|check| check.starts_with("noted rows"));
        prop_assert!(is_remapped || !is_noted, "{:#?}", said);

        course.project.target().execute("UPDATE folders SET shelf = shelf + 1 WHERE id = 1", []).unwrap();
        let (code, said) = course.verified();
        prop_assert_eq!(code, Some(4), "{:#?}", said);
    }

    /// Where files were written anew, some of it cannot be derived; that is no difference.
    #[test]
    fn nothing_is_said_to_differ_where_files_were_changed(
        deeds in prop::collection::vec(any_deed(), 1..9),
        existing in prop_oneof![Just("reject"), Just("update"), Just("keep")],
        duplicates in any::<bool>(),
    ) {
        let mut course = Course::new(existing, duplicates);
        for deed in &deeds {
            course.carry_out(deed);
        }
        let (code, said) = course.verified();
        prop_assert!(matches!(code, Some(0 | 8)), "{code:?} {:#?}", said);
        course.settle();
        let (code, said) = course.verified();
        prop_assert!(matches!(code, Some(0 | 8)), "{code:?} {:#?}", said);
    }
}

/// Folders and papers in a file each, migrated.
fn migrated() -> Project {
    let project = Project::new(&plan("reject", false));
    project.write("data/folders0.csv", "id,name,shelf\n1,n1,1\n2,n2,2\n");
    project.write("data/papers0.csv", "id,folder,kind\n1,n1,a\n2,n2,b\n3,n3,c\n");
    assert_eq!(project.run(&["migrate"]).code, Some(3));
    project
}

/// What is said beside what passed.
#[track_caller]
fn says(project: &Project, code: i32, expected: &[&str]) {
    let (ended, said) = verified(project);
    assert_eq!(ended, Some(code), "{said:#?}");
    assert_eq!(said, expected);
}

#[test]
fn what_came_since_is_left_out_and_said() {
    let project = migrated();
    project.append("data/papers0.csv", "4,n1,a\n");
    project.write("data/folders1.csv", "id,name,shelf\n5,n5,5\n");
    let left_out = [
        "noted source folders: `data/folders1.csv` is new since it was read: that is left out",
        "noted source papers: `data/papers0.csv` has more at its end since it was read: that is left out",
    ];
    says(&project, 0, &left_out);
    assert_eq!(project.run(&["migrate", "--incremental"]).code, Some(0));
    says(&project, 0, &[]);
}

#[test]
fn a_changed_file_leaves_undone_only_what_rests_on_it() {
    let project = migrated();
    project.write("data/papers0.csv", "id,folder,kind\n1,n1,b\n");
    let undone = [
        "unverified source papers: `data/papers0.csv` has changed since it was read: what rests on the source \
         cannot be derived",
        "unverified rows papers: not derived: `data/papers0.csv` has changed since it was read",
    ];
    says(&project, 8, &undone);
    project.target().execute("UPDATE folders SET shelf = 7 WHERE id = 2", []).unwrap();
    let (code, said) = verified(&project);
    assert_eq!(code, Some(4));
    assert!(
        said.contains(&"failed rows folders: 1 row with other values, in `shelf`".to_owned()),
        "{said:#?}"
    );
}

#[test]
fn what_refers_to_a_changed_file_rests_on_it_too() {
    let project = migrated();
    fs::remove_file(project.path("data/folders0.csv")).unwrap();
    let undone = [
        "unverified source folders: `data/folders0.csv` is gone since it was read: what rests on the source \
         cannot be derived",
        "unverified rows folders: not derived: `data/folders0.csv` is gone since it was read",
        "unverified rows papers: not derived: `data/folders0.csv` is gone since it was read",
    ];
    says(&project, 8, &undone);
}

#[test]
fn a_verification_that_could_not_look_keeps_nobody_from_going_on() {
    let project = migrated();
    project.write("data/papers0.csv", "id,folder,kind\n1,n1,a\n9,n2,b\n");
    assert_eq!(verified(&project).0, Some(8));
    assert_eq!(project.run(&["migrate", "--incremental"]).code, Some(0));
    project.target().execute("DELETE FROM papers WHERE id = 9", []).unwrap();
    assert_eq!(verified(&project).0, Some(4));
    project.write("data/papers0.csv", "id,folder,kind\n1,n1,a\n");
    project.target().execute("INSERT INTO papers VALUES (9, 2, 'book')", []).unwrap();
    fs::rename(project.path("data/folders0.csv"), project.path("data/away")).unwrap();
    assert_eq!(verified(&project).0, Some(8));
    fs::rename(project.path("data/away"), project.path("data/folders0.csv")).unwrap();
    let refused = project.run(&["migrate", "--incremental", "--format", "json"]);
    assert_eq!(
        refused.code,
        Some(4),
        "one that could not look settles nothing either: {refused:?}"
    );
}

#[test]
fn rows_of_an_earlier_version_are_as_they_were_loaded() {
    let project = migrated();
    project.write("data/papers0.csv", "id,folder,kind\n1,n1,a\n9,n2,b\n");
    assert_eq!(project.run(&["migrate", "--incremental"]).code, Some(0));
    says(&project, 0, &["noted rows papers: 1 row of earlier versions of the source"]);
    project.target().execute("UPDATE papers SET kind = 'x' WHERE id = 2", []).unwrap();
    let (code, said) = verified(&project);
    assert_eq!(code, Some(4), "{said:#?}");
    assert!(said.contains(&"failed rows papers: 1 row too many".to_owned()), "{said:#?}");
}

#[test]
fn what_another_mapping_has_made_is_as_it_was_loaded() {
    let project = migrated();
    project.replan("a = \"article\"\n", "a = \"essay\"\nc = \"chart\"\n");
    let changed = "unverified rows papers: not derived: its mapping has changed since run ";
    let (code, said) = verified(&project);
    assert_eq!(code, Some(8));
    assert!(said[0].starts_with(changed), "{said:#?}");
    project.write("data/papers1.csv", "id,folder,kind\n4,n1,a\n5,n1,c\n");
    assert_eq!(project.run(&["migrate", "--incremental", "--adopt"]).code, Some(0));
    says(&project, 0, &["noted rows papers: 1 row of the plan as it was before"]);
    project.target().execute("UPDATE papers SET kind = 'essay' WHERE id = 5", []).unwrap();
    assert_eq!(verified(&project).0, Some(4));
}

#[test]
fn a_run_that_went_on_with_another_mapping_is_no_difference() {
    let project = Project::new(&plan("reject", false));
    project.replan("verify = \"none\"\n", "verify = \"none\"\n[run]\nbatch_size = 2\n");
    project.write("data/folders0.csv", "id,name,shelf\n1,n1,1\n");
    let papers = (1..9).map(|id| format!("{id},n1,a\n")).collect::<Vec<_>>().concat();
    project.write("data/papers0.csv", format!("id,folder,kind\n{papers}"));
    let mut killed = project.command(&["migrate"]);
    killed.env("WHIMBREL_FAILPOINT", "core.batch.after_commit:2");
    assert_eq!(killed.output().unwrap().status.code(), None);
    project.replan("a = \"article\"\n", "a = \"essay\"\n");
    assert_eq!(project.run(&["migrate", "--adopt"]).code, Some(0));
    assert_eq!(project.value::<i64>("SELECT count(DISTINCT kind) FROM papers"), 2);
    says(&project, 0, &["noted rows papers: 2 rows of the plan as it was before"]);
}

#[test]
fn what_stood_there_is_kept_and_its_children_find_it() {
    let project = Project::new(&plan("keep", false));
    let target = project.target();
    target
        .execute("CREATE TABLE folders (id INTEGER PRIMARY KEY, name TEXT, shelf INTEGER)", [])
        .unwrap();
    target.execute("INSERT INTO folders VALUES (1, 'old', 7), (9, 'nine', 9)", []).unwrap();
    project.write("data/folders0.csv", "id,name,shelf\n1,n1,1\n2,n2,2\n");
    project.write("data/papers0.csv", "id,folder,kind\n1,n1,a\n2,n2,b\n");
    assert_eq!(project.run(&["migrate"]).code, Some(0));
    assert_eq!(
        project.value::<String>("SELECT group_concat(folder) FROM papers ORDER BY id"),
        "1,2"
    );
    let noted = ["noted rows folders: 1 row that was there and is kept, 1 row stood there before"];
    let (code, said) = verified(&project);
    assert_eq!(code, Some(0), "{said:#?}");
    let rows: Vec<&String> = said.iter().filter(|check| check.contains("rows folders")).collect();
    assert_eq!(rows, noted);
}

#[test]
fn where_an_old_key_leads_is_looked_at() {
    let project = migrated();
    let edited = "UPDATE whimbrel_legacy_mappings SET new_key = (
        SELECT new_key FROM whimbrel_legacy_mappings WHERE legacy_type = 'folders' AND legacy_id = 'n2')
        WHERE legacy_type = 'folders' AND legacy_id = 'n1'";
    assert_eq!(project.target().execute(edited, []).unwrap(), 1);
    says(
        &project,
        4,
        &[
            "failed mapping folders: an old key of record 1 of `data/folders0.csv` leads to another row",
        ],
    );
    project
        .target()
        .execute("DELETE FROM whimbrel_legacy_mappings WHERE legacy_id = 'n1'", [])
        .unwrap();
    says(
        &project,
        4,
        &["failed mapping folders: an old key of record 1 of `data/folders0.csv` leads nowhere"],
    );
}

#[test]
fn rows_of_another_plan_are_its_own() {
    let project = migrated();
    let other = project.read("whimbrel.toml").replace("\"papers\"\ntarget", "\"others\"\ntarget");
    project.write("other.toml", other.replace("data/", "more/"));
    project.write("more/folders0.csv", "id,name,shelf\n11,m1,1\n");
    project.write("more/papers0.csv", "id,folder,kind\n11,m1,a\n");
    let ended = project.run(&["migrate", "other.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let theirs = [
        "noted rows folders: 1 row that other plans have loaded",
        "noted rows papers: 1 row that other plans have loaded",
    ];
    says(&project, 0, &theirs);
}

#[test]
fn a_file_that_was_too_large_at_first_is_read_by_the_run_that_took_it() {
    let project = Project::new(&plan("reject", false));
    project.write("data/folders0.csv", "id,name,shelf\n1,n1,1\n2,n2,?\n");
    let papers = (1..200).map(|id| format!("{id},n1,{}\n", ["a", "x"][id % 2]));
    let papers = papers.collect::<Vec<_>>().concat();
    project.write("data/papers0.csv", format!("id,folder,kind\n{papers}"));
    let small = "csv = \"data/papers*.csv\"\nmax_file_size = \"1KB\"\nlarge_files = \"reject\"\n";
    project.replan("csv = \"data/papers*.csv\"\n", small);
    assert_eq!(project.run(&["migrate"]).code, Some(3));
    says(&project, 0, &[]);
    let ended = project.run(&["rejects", "retry", "--max-file-size", "1MB"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    says(&project, 0, &[]);
    project.append("data/papers0.csv", "300,n1,a\n");
    let more = ["migrate", "--incremental", "--max-file-size", "1MB"];
    assert_eq!(project.run(&more).code, Some(0));
    says(&project, 0, &[]);
}

#[test]
fn facts_of_files_are_those_of_the_run_that_read_them() {
    let project = Project::new(&plan("reject", false));
    let facts = "kind = { from = \"kind\", map = \"kinds\" }\n\
        changed = { fact = \"file.mtime\", type = \"timestamptz\" }\nsize = { fact = \"file.size\", type = \"integer\" }\n";
    project.replan("kind = { from = \"kind\", map = \"kinds\" }\n", facts);
    project.write("data/folders0.csv", "id,name,shelf\n1,n1,1\n");
    project.write("data/papers0.csv", "id,folder,kind\n1,n1,a\n");
    assert_eq!(project.run(&["migrate"]).code, Some(0));
    project.append("data/papers0.csv", "2,n1,b\n");
    assert_eq!(project.run(&["migrate", "--incremental"]).code, Some(0));
    assert_eq!(project.value::<i64>("SELECT count(DISTINCT size) FROM papers"), 2);
    project.write("data/papers0.csv", project.read("data/papers0.csv"));
    says(&project, 0, &[]);
}

#[test]
fn what_a_grown_file_was_as_a_whole_is_not_guessed() {
    let project = Project::new(&plan("reject", false));
    let whole = "kind = { from = \"kind\", map = \"kinds\" }\nof = { fact = \"file.sha256\" }\n";
    project.replan("kind = { from = \"kind\", map = \"kinds\" }\n", whole);
    project.write("data/folders0.csv", "id,name,shelf\n1,n1,1\n");
    project.write("data/papers0.csv", "id,folder,kind\n1,n1,a\n");
    assert_eq!(project.run(&["migrate"]).code, Some(0));
    says(&project, 0, &[]);
    project.append("data/papers0.csv", "2,n1,b\n");
    assert_eq!(project.run(&["migrate", "--incremental"]).code, Some(0));
    let undone = [
        "unverified rows papers: not derived: `data/papers0.csv` has grown since it was read first",
    ];
    says(&project, 8, &undone);
}

/// Files of people with a clock of their own, each going on where the last record of its file stood.
const CLOCKS: &str = r#"name = "clocks"
target = "sqlite:people.db"
verify = "none"
[source.people]
csv = "data/*.csv"
[[table]]
into = "people"
from = "people"
key = ["id"]
[table.columns]
id = { from = "id", type = "integer" }
at = { from = "at", timestamp = "%H:%M", start = { value = "2024-01-01T00:00:00Z" } }
"#;

#[test]
fn clocks_go_on_from_what_a_retry_has_mended() {
    let project = Project::new(CLOCKS);
    project.write("data/a.csv", "id,at\n1,23:00\n2,?\n");
    assert_eq!(project.run(&["migrate"]).code, Some(3));
    assert_eq!(project.run(&["rejects", "export", "fixes"]).code, Some(0));
    let mut bytes = fs::read_dir(project.path("fixes")).unwrap().map(|entry| entry.unwrap().path());
    let bytes = bytes.find(|path| path.extension().is_some_and(|it| it == "bytes")).unwrap();
    fs::write(bytes, "2,01:00\n").unwrap();
    assert_eq!(project.run(&["rejects", "retry", "--from", "fixes"]).code, Some(0));
    says(&project, 0, &[]);
    project.append("data/a.csv", "3,23:30\n");
    assert_eq!(project.run(&["migrate", "--incremental"]).code, Some(0));
    let last: String = project.value("SELECT max(at) FROM people");
    assert!(last.starts_with("2024-01-02T23:30"), "{last}");
    says(&project, 0, &[]);
}

#[test]
fn a_run_that_verifies_itself_knows_parents_that_it_has_not_loaded() {
    let project = Project::new(&plan("update", false).replace("\"none\"", "\"rigorous\""));
    project.write("data/folders0.csv", "id,name,shelf\n1,n1,1\n");
    project.write("data/papers0.csv", "id,folder,kind\n1,n1,a\n");
    assert_eq!(project.run(&["migrate"]).code, Some(0));
    project.write("data/papers1.csv", "id,folder,kind\n1,n1,b\n2,n1,a\n");
    let ended = project.run(&["migrate", "--incremental"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    says(&project, 0, &[]);
}

/// How many records each file has.
const COUNTS: &str = r#"name = "counts"
target = "sqlite:people.db"
verify = "none"
[source.people]
csv = "data/*.csv"
ignore = ["id"]
[[table]]
into = "people"
from = "people"
each = "file"
key = ["path"]
existing = "update"
[table.columns]
path = { fact = "file.path" }
n = { count = true }
[[table.rule]]
name = "few"
cel = "new.n < 3"
"#;

#[test]
fn a_file_that_is_one_unit_is_what_it_was_when_it_was_read() {
    let project = Project::new(COUNTS);
    project.write("data/a.csv", "id\n1\n");
    project.write("data/b.csv", "id\n1\n2\n3\n");
    assert_eq!(project.run(&["migrate"]).code, Some(3));
    says(&project, 0, &[]);
    project.append("data/a.csv", "2\n");
    let (code, said) = verified(&project);
    assert_eq!(code, Some(8), "{said:#?}");
    assert_eq!(project.run(&["migrate", "--incremental"]).code, Some(0));
    assert_eq!(verified(&project).0, Some(0));
    project.write("data/b.csv", "id\n1\n");
    project.replan("new.n < 3", "new.n < 4");
    assert_eq!(project.run(&["rejects", "retry"]).code, Some(0));
    let (code, said) = verified(&project);
    assert_eq!(code, Some(0), "{said:#?}");
}

#[test]
fn what_another_plan_has_loaded_may_be_a_parent() {
    let project = migrated();
    let other = project.read("whimbrel.toml").replace("\"papers\"\ntarget", "\"others\"\ntarget");
    project.write("other.toml", other.replace("data/", "more/"));
    project.write("more/folders0.csv", "id,name,shelf\n11,m1,1\n");
    project.write("more/papers0.csv", "id,folder,kind\n11,n1,a\n");
    let ended = project.run(&["migrate", "other.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let ended = project.run(&["verify", "other.toml", "--level", "rigorous"]);
    assert_eq!(ended.code, Some(8), "{ended:?}");
    assert!(ended.stdout.contains("or other plans load here"), "{ended:?}");
}

#[test]
fn a_file_that_was_never_read_and_is_gone_is_no_difference() {
    let project = Project::new(&plan("reject", false));
    let small = "csv = \"data/papers*.csv\"\nmax_file_size = \"1KB\"\nlarge_files = \"reject\"\n";
    project.replan("csv = \"data/papers*.csv\"\n", small);
    project.write("data/folders0.csv", "id,name,shelf\n1,n1,1\n");
    project.write("data/papers0.csv", "id,folder,kind\n1,n1,a\n");
    let papers = (2..200).map(|id| format!("{id},n1,a\n")).collect::<Vec<_>>().concat();
    project.write("data/papers1.csv", format!("id,folder,kind\n{papers}"));
    assert_eq!(project.run(&["migrate"]).code, Some(3));
    fs::remove_file(project.path("data/papers1.csv")).unwrap();
    assert_eq!(verified(&project).0, Some(8));
}

#[test]
fn a_damaged_journal_explains_nothing() {
    let project = Project::new(&plan("update", false));
    project.write("data/folders0.csv", "id,name,shelf\n1,n1,1\n2,n2,2\n");
    project.write("data/papers0.csv", "id,folder,kind\n");
    assert_eq!(project.run(&["migrate"]).code, Some(0));
    project.write("data/folders0.csv", "id,name,shelf\n1,n1,5\n");
    assert_eq!(project.run(&["migrate", "--incremental"]).code, Some(0));
    let earlier = [
        "noted rows folders: 1 row of earlier versions of the source",
        "noted mapping folders: 1 old key of earlier versions",
    ];
    says(&project, 0, &earlier);
    let target = project.target();
    target.execute("UPDATE folders SET shelf = 1 WHERE id = 1", []).unwrap();
    assert_eq!(target.execute("DELETE FROM whimbrel_undo_updates", []).unwrap(), 1);
    let (code, said) = verified(&project);
    assert_eq!(code, Some(4), "{said:#?}");
    assert_eq!(target.execute("DELETE FROM whimbrel_undo_inserts", []).unwrap(), 1);
    assert_eq!(verified(&project).0, Some(4));
}

#[test]
fn an_old_key_that_no_run_has_written_is_found() {
    let project = migrated();
    project.write("data/folders0.csv", "id,name,shelf\n1,n1,1\n2,n9,2\n");
    project.run(&["migrate", "--incremental"]);
    let forged = "INSERT INTO whimbrel_legacy_mappings
        SELECT legacy_type, 'forged', new_type, new_id, new_key, content_hash, source, source_file, record, nth,
            winner, 'nobody' FROM whimbrel_legacy_mappings WHERE legacy_id = 'n1' AND legacy_type = 'folders'";
    assert_eq!(project.target().execute(forged, []).unwrap(), 1);
    let (code, said) = verified(&project);
    assert!(code == Some(8) || code == Some(4), "{said:#?}");
    assert!(
        said.iter().any(|check| check.contains("has an old key that it should not have")),
        "{said:#?}"
    );
}

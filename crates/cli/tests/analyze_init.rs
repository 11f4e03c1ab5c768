//! `analyze`, `init` and `demo` as a person runs them: what they print, what they refuse, and that
//! the plan `init` writes runs unedited.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)] // tests

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use expect_test::{Expect, expect};
use serde_json::Value as Json;
use tempfile::TempDir;
use whimbrel_testkit::{DEFAULT_SEED, content, extruder};

fn whimbrel(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_whimbrel"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("TARGET")
        .env("WHIMBREL_PROGRESS", "none")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Standard output, standard error and the exit code of a command.
fn check(folder: &Path, arguments: &[&str], expect: Expect) {
    let output = whimbrel(folder, arguments);
    let code = output.status.code().unwrap();
    expect.assert_eq(&format!("{}{}exit {code}\n", text(&output.stdout), text(&output.stderr)));
}

fn answer(folder: &Path, arguments: &[&str]) -> Json {
    let output = whimbrel(folder, arguments);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{arguments:?}: {output:?}"))
}

fn tiny() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let legacy = folder.path().join("legacy");
    fs::create_dir_all(legacy.join(".old")).unwrap();
    fs::write(legacy.join("users.csv"), "id,name,age\n1,Ann,31\n2,Ben,NA\n3,Cy,x\n4,Di\n").unwrap();
    fs::write(
        legacy.join("app.jsonl"),
        "{\"level\":\"WARN\",\"at\":5}\n{\"level\":\"INFO\",\"at\":6}\n",
    )
    .unwrap();
    fs::write(legacy.join("picture.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    fs::write(legacy.join(".old/users.csv"), "id,name,age\n9,Old,80\n").unwrap();
    folder
}

fn empty() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("legacy")).unwrap();
    folder
}

#[test]
fn a_plan_of_a_folder_with_a_long_name_is_a_plan() {
    let folder = tempfile::tempdir().unwrap();
    let legacy = "l".repeat(200);
    fs::create_dir(folder.path().join(&legacy)).unwrap();
    fs::write(folder.path().join(&legacy).join("users.csv"), "id\n1\n").unwrap();
    assert_eq!(whimbrel(folder.path(), &["init", &legacy]).status.code(), Some(0));
    let validated = whimbrel(folder.path(), &["validate"]);
    assert_eq!(validated.status.code(), Some(0), "{validated:?}");
}

#[test]
fn an_init_that_fails_leaves_nothing_that_the_next_one_trips_over() {
    let folder = tiny();
    // Its schema can be written, the plan itself cannot.
    let plan = format!("x.{}", "e".repeat(254));
    let failed = whimbrel(folder.path(), &["init", "legacy", "--out", &plan]);
    assert_eq!(failed.status.code(), Some(2), "{failed:?}");
    let init = whimbrel(folder.path(), &["init", "legacy", "--out", "x.toml"]);
    assert_eq!(init.status.code(), Some(0), "{init:?}");
}

#[test]
fn a_target_with_a_password_is_to_be_set_by_a_variable_and_that_is_said() {
    let folder = tiny();
    let url = "postgres://app:secret@new/shop";
    let answer = answer(folder.path(), &["init", "legacy", "--target", url, "--format", "json"]);
    let note = "set the variable TARGET to the target's URL: it is not written down";
    let notes = answer["data"]["notes"].as_array().unwrap();
    assert!(notes.contains(&Json::from(note)), "{answer}");
    assert!(!fs::read_to_string(folder.path().join("whimbrel.toml")).unwrap().contains("secret"));
}

#[test]
fn analyze_shows_sources_columns_and_anomalies() {
    let folder = tiny();
    let output = whimbrel(folder.path(), &["analyze", "legacy", "--ascii"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let shown = text(&output.stdout);
    // What it measured differs from run to run.
    let (facts, rest) = shown.split_once("\nA load would").unwrap();
    expect![[r#"
        legacy: 2 files, 90 bytes, 6 records

        users  csv users.csv
          1 file, 42 bytes, 4 records, 1 of them defective, csv, delimiter ',', utf-8
          id           integer @           @          @ 1..3 distinct 3
                       `1` 33 %, `2` 33 %, `3` 33 %
          name         text    =                      @ 2..3 characters distinct 3
                       `Ann` 33 %, `Ben` 33 %, `Cy` 33 %
          age          text    =                      @ 1..2 characters distinct 3
                       `NA` (1) stay text
                       1 of 2 are integers; `x` at users.csv:4 is not a number
                       `31` 33 %, `NA` 33 %, `x` 33 %
          key  `id`: a different value in every record
          !    WB0500 1 record would be rejected (WB0101): 2 fields, the header has 3; first: users.csv:5

        app  jsonl app.jsonl
          1 file, 48 bytes, 2 records, json lines, utf-8
          level        text    @                        4 characters distinct 2
                       `INFO` 50 %, `WARN` 50 %
          at           integer @                      @ 5..6 distinct 2
                       `5` 50 %, `6` 50 %

        Not read: 1 file
          picture.png: it is a PNG image
    "#]].assert_eq(facts);
    assert!(rest.ends_with("\nNext: whimbrel init legacy\n"), "{rest}");
}

#[test]
fn analyze_answers_programs_with_the_profile() {
    let folder = tiny();
    let answer = answer(folder.path(), &["analyze", "legacy", "--format", "json"]);
    assert_eq!(answer["success"], true);
    let data = &answer["data"];
    assert_eq!(data["schema"], "whimbrel/profile/v1");
    assert_eq!((&data["totals"]["records"], &data["totals"]["defects"]), (&6.into(), &1.into()));
    assert_eq!(data["leftovers"][0]["path"], "picture.png");
}

#[test]
fn files_of_several_encodings_and_times_that_go_backwards_are_told() {
    let folder = empty();
    let write = |name: &str, bytes: &[u8]| {
        fs::write(folder.path().join("legacy").join(name), bytes).unwrap();
    };
    let record = |at: u32| format!("{at},2024-05-{:02}T00:00:00Z\n", at + 1);
    let times: String = (0..20).map(record).collect();
    write("log_1.csv", format!("id,at\n{times}20,2024-05-03T00:00:00Z\n").as_bytes());
    let utf16: Vec<u8> = format!("\u{feff}id,at\n{}", record(21))
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    write("log_2.csv", &utf16);
    let shown = text(&whimbrel(folder.path(), &["analyze", "legacy"]).stdout);
    let told: Vec<&str> =
        shown.lines().map(str::trim).filter(|line| line.starts_with("!  ")).collect();
    expect![[r#"
        !    WB0505 csv, delimiter ',', utf-16le (1 file), csv, delimiter ',', utf-8 (1 file)
        !    WB0509 `at` goes backwards 1 time within a file, 1 of them by more than 12 hours (midnight?); first: log_1.csv:22"#]].assert_eq(&told.join("\n"));
}

#[test]
fn the_page_is_one_offline_file_without_values() {
    let folder = tiny();
    let output = whimbrel(folder.path(), &["analyze", "legacy", "--html", "page.html"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).contains("page.html"));
    let page = fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") || page.starts_with("<!DOCTYPE html>"));
    assert!(page.contains("users") && !page.contains("Ann") && !page.contains("://"));
}

#[test]
fn what_begins_with_a_dot_is_read_where_asked_for() {
    let folder = tiny();
    let out = folder.path();
    let data = &answer(out, &["analyze", "legacy", "--hidden", "--format", "json"])["data"];
    assert_eq!(data["totals"]["records"], 7);
    assert_eq!(whimbrel(out, &["init", "legacy", "--hidden"]).status.code(), Some(0));
    assert!(fs::read_to_string(out.join("whimbrel.toml")).unwrap().contains("hidden = true"));
    let loaded = loaded(out, "whimbrel.toml");
    assert_eq!(loaded["users"], (4, 1));
}

#[test]
fn init_says_what_it_found_and_one_next_command() {
    let folder = tiny();
    check(
        folder.path(),
        &["init", "legacy"],
        expect![[r#"
        legacy: 6 records in 2 files
          users (csv): 1 file, 4 records (1 defective) -> table users, 3 columns, key id, 1 doubtful column (the plan says why)
          app (jsonl): 1 file, 2 records -> table app, 3 columns, key id made from the place
          note: 1 file is not read; `whimbrel analyze` says why
        Wrote schema/sqlite/0001_tables.sql, whimbrel.toml
        Next: whimbrel plan
        exit 0
    "#]],
    );
    let plan = fs::read_to_string(folder.path().join("whimbrel.toml")).unwrap();
    expect![[r##"
        # Made from 2 files in legacy: 90 bytes, 6 records.
        #
        # It runs as it stands. Each column has the narrowest kind that holds for every value found; a
        # column that stays text although most of it looks narrower says why. To load such a column
        # anyway, give it that type in the schema and say here what becomes of the others:
        #     age = { from = "age", invalid = "null" }       # counted, sampled, listed
        # Records that cannot be taken apart are rejected with their bytes: `whimbrel rejects`. So are those
        # with U+0000 in a text, which SQLite cannot keep; their columns say so.

        name   = "legacy"
        target = "${TARGET:-sqlite:legacy.db}"
        schema = "schema"

        [source.users]
        csv = "legacy/users.csv"

        [source.app]
        jsonl = "legacy/app.jsonl"

        [[table]]
        into = "users"
        from = "users"
        key  = ["id"]
        [table.columns]
        id   = "id"        # integer, 1..3
        name = "name"        # text
        # text: 1 of 2 are integers, but `x` at users.csv:4 is not a number
        # text: `NA` (1) stay text
        age  = "age"        # text

        [[table]]
        into = "app"
        from = "app"
        key  = ["id"]
        [table.columns]
        # no column identifies a record: the key is made from its place
        id    = { uuid5 = [{ fact = "file.path" }, { fact = "record.number" }] }
        level = "level"        # text
        at    = "at"        # integer, 5..6

        # Past this the run stops and says how to go on.
        # [rejects]
        # max = "1%"
    "##]].assert_eq(&plan);
    let schema = fs::read_to_string(folder.path().join("schema/sqlite/0001_tables.sql")).unwrap();
    expect![[r#"
        -- Tables for the data of legacy, as `whimbrel init` found it.
        -- Types with TEXT in their names keep every character; SQLite would make numbers of the others.

        CREATE TABLE users (
            id INTEGER NOT NULL,  -- id
            name TEXT,  -- name
            age TEXT,  -- age
            PRIMARY KEY (id)
        );

        CREATE TABLE app (
            id UUID_TEXT NOT NULL,  -- the record's place
            level TEXT,  -- level
            at INTEGER,  -- at
            PRIMARY KEY (id)
        );
    "#]].assert_eq(&schema);
}

#[test]
fn init_never_overwrites_a_plan() {
    let folder = tiny();
    fs::write(folder.path().join("whimbrel.toml"), "mine").unwrap();
    check(
        folder.path(),
        &["init", "legacy"],
        expect![[r#"
        error[WB0723]: the file exists already, and `init` never overwrites: `whimbrel.toml`
          hint: move it away, or name another plan with `--out FILE`
          more: whimbrel explain WB0723
        exit 2
    "#]],
    );
    assert_eq!(fs::read_to_string(folder.path().join("whimbrel.toml")).unwrap(), "mine");
    assert!(!folder.path().join("schema").exists());
}

#[test]
fn init_never_overwrites_a_schema() {
    let folder = tiny();
    let sql = folder.path().join("schema/sqlite/0001_tables.sql");
    fs::create_dir_all(sql.parent().unwrap()).unwrap();
    fs::write(&sql, "-- mine").unwrap();
    check(
        folder.path(),
        &["init", "legacy"],
        expect![[r#"
        error[WB0723]: the file exists already, and `init` never overwrites: `schema/sqlite/0001_tables.sql`
          hint: move it away, or name another plan with `--out FILE`
          more: whimbrel explain WB0723
        exit 2
    "#]],
    );
    assert_eq!(fs::read_to_string(&sql).unwrap(), "-- mine");
    assert!(!folder.path().join("whimbrel.toml").exists());
}

#[test]
fn a_missing_folder_is_named() {
    let folder = empty();
    check(
        folder.path(),
        &["analyze", "nowhere"],
        expect![[r#"
        error[WB0721]: no such folder: `nowhere`
          hint: name a folder that exists
          more: whimbrel explain WB0721
        exit 2
    "#]],
    );
    check(
        folder.path(),
        &["init", "nowhere"],
        expect![[r#"
        error[WB0721]: no such folder: `nowhere`
          hint: name a folder that exists
          more: whimbrel explain WB0721
        exit 2
    "#]],
    );
}

#[test]
fn a_file_is_no_folder() {
    let folder = tiny();
    check(
        folder.path(),
        &["analyze", "legacy/users.csv"],
        expect![[r#"
        error[WB0721]: not a folder: `legacy/users.csv`
          hint: name the folder that the file is in
          more: whimbrel explain WB0721
        exit 2
    "#]],
    );
}

#[test]
fn a_folder_without_data_says_what_it_holds() {
    let folder = empty();
    fs::write(folder.path().join("legacy/picture.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    check(
        folder.path(),
        &["analyze", "legacy"],
        expect![[r#"
        error[WB0722]: no file that can be read as data in `legacy`
          caused by: `picture.png`: it is a PNG image
          hint: CSV, TSV, JSON, JSON Lines, Markdown and text files are read; `--hidden` also looks at what begins with a dot
          more: whimbrel explain WB0722
        exit 2
    "#]],
    );
    check(
        folder.path(),
        &["init", "legacy", "--hidden"],
        expect![[r#"
        error[WB0722]: no file that can be read as data in `legacy`
          caused by: `picture.png`: it is a PNG image
          hint: CSV, TSV, JSON, JSON Lines, Markdown and text files are read
          more: whimbrel explain WB0722
        exit 2
    "#]],
    );
    assert!(!folder.path().join("whimbrel.toml").exists());
}

#[test]
fn a_page_and_a_plan_that_cannot_be_written_are_named() {
    let folder = tiny();
    check(
        folder.path(),
        &["analyze", "legacy", "--html", "no/such/page.html"],
        expect![[r#"
        error[WB0724]: the page cannot be written: `no/such/page.html`
          caused by: No such file or directory (os error 2)
          more: whimbrel explain WB0724
        exit 2
    "#]],
    );
    // A file where the plan's folder should be.
    fs::write(folder.path().join("plans"), "in the way").unwrap();
    check(
        folder.path(),
        &["init", "legacy", "--out", "plans/first.toml"],
        expect![[r#"
        error[WB0724]: cannot be written: `plans`
          caused by: File exists (os error 17)
          hint: check the space and the permissions of the folder
          more: whimbrel explain WB0724
        exit 2
    "#]],
    );
}

#[test]
fn only_engines_with_a_schema_can_be_the_target() {
    let folder = tiny();
    check(
        folder.path(),
        &["init", "legacy", "--target", "oracle://db/x"],
        expect![[r#"
        error[WB0521]: no schema can be written for targets of `oracle`: only for `sqlite`, `postgres` and `mysql`
          hint: write `sqlite:FILE`, `postgres://…` or `mysql://…`, or leave `--target` out for a SQLite file
          more: whimbrel explain WB0521
        exit 2
    "#]],
    );
    assert!(!folder.path().join("whimbrel.toml").exists());
}

#[test]
fn the_target_is_written_as_it_was_given() {
    let folder = tiny();
    whimbrel(folder.path(), &["init", "legacy", "--target", "sqlite:new.db"]);
    loaded(folder.path(), "whimbrel.toml");
    assert!(folder.path().join("new.db").exists());
}

#[test]
fn paths_in_the_plan_are_relative_to_its_folder() {
    let folder = tiny();
    fs::rename(folder.path().join("legacy"), folder.path().join("old [1] data")).unwrap();
    let output = whimbrel(folder.path(), &["init", "old [1] data", "--out", "plans/first.toml"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).ends_with("Next: whimbrel plan plans/first.toml\n"));
    assert!(folder.path().join("plans/first-schema/sqlite/0001_tables.sql").exists());
    assert_eq!(loaded(folder.path(), "plans/first.toml")["users"], (3, 1));
}

/// Runs `migrate` on the plan as it is: rows loaded and records rejected of each table, by the
/// ledger.
fn loaded(folder: &Path, plan: &str) -> BTreeMap<String, (u64, u64)> {
    let output = whimbrel(folder, &["migrate", plan, "--yes"]);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    let status = answer(folder, &["status", "--plan", plan, "--format", "json"]);
    let table = |table: &Json| {
        let units = &table["units"];
        let class = |name: &str| units[name].as_u64().unwrap();
        let (read, rejected) = (class("read"), class("rejected"));
        assert_eq!(read, class("loaded") + rejected, "{table}");
        assert_eq!(table["rows"]["inserted"], class("loaded"), "{table}");
        (table["table"].as_str().unwrap().to_owned(), (class("loaded"), rejected))
    };
    status["data"]["tables"].as_array().unwrap().iter().map(table).collect()
}

/// Causes of the open rejects: code, column, how many.
fn causes(folder: &Path) -> BTreeMap<String, u64> {
    let list = answer(folder, &["rejects", "list", "--all", "--format", "json"]);
    let mut causes = BTreeMap::new();
    for reject in list["data"]["rejects"].as_array().unwrap_or_else(|| panic!("{list}")) {
        *causes.entry(reject["code"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    causes
}

#[test]
fn the_plan_for_the_extruder_loads_all_that_is_well_formed() {
    let folder = tempfile::tempdir().unwrap();
    extruder::write(&folder.path().join("legacy"), extruder::Size::Small, DEFAULT_SEED).unwrap();
    assert_eq!(whimbrel(folder.path(), &["init", "legacy"]).status.code(), Some(0));
    expect![[r#"
        {
            "app": (
                35,
                4,
            ),
            "json": (
                5,
                2,
            ),
            "run": (
                874,
                6,
            ),
            "run_2": (
                12,
                0,
            ),
            "summary": (
                1,
                0,
            ),
            "text": (
                1,
                0,
            ),
        }
    "#]]
    .assert_debug_eq(&loaded(folder.path(), "whimbrel.toml"));
    // Ragged rows, broken JSON, and U+0000, which the engine does not hold in text.
    expect![[r#"
        {
            "WB0101": 2,
            "WB0102": 3,
            "WB0108": 4,
            "WB0110": 2,
            "WB0240": 1,
        }
    "#]]
    .assert_debug_eq(&causes(folder.path()));
}

#[test]
fn texts_with_nul_load_as_the_plan_says() {
    let folder = tempfile::tempdir().unwrap();
    let legacy = folder.path().join("legacy");
    fs::create_dir(&legacy).unwrap();
    let lines = "{\"it's\":\"a\\u0000b\"}\n{\"it's\":\"c\"}\n{\"it's\":null}\n{\"n\":1}\n";
    fs::write(legacy.join("notes.jsonl"), lines).unwrap();
    let output = whimbrel(folder.path(), &["init", "legacy"]);
    let note = "note: 1 value with U+0000 in `it's` of `notes`: rejected, unless the plan is changed as it says\n";
    assert!(text(&output.stdout).contains(note), "{output:?}");
    let file = folder.path().join("whimbrel.toml");
    let plan = fs::read_to_string(&file).unwrap();
    assert_eq!(loaded(folder.path(), "whimbrel.toml")["notes"], (3, 1));
    assert_eq!(causes(folder.path())["WB0240"], 1);
    let lines: Vec<&str> = plan.lines().collect();
    let column = lines.iter().position(|line| line.starts_with("it_s = ")).unwrap();
    let suggested = lines.iter().filter_map(|line| line.strip_prefix("# Without the "));
    let suggested: Vec<&str> = suggested.map(|line| line.split_once(": ").unwrap().1).collect();
    assert_eq!(suggested.len(), 2, "{plan}");
    for suggestion in suggested {
        fs::remove_file(folder.path().join("legacy.db")).unwrap();
        let mut lines = lines.clone();
        lines[column] = suggestion.trim();
        fs::write(&file, lines.join("\n")).unwrap();
        assert_eq!(loaded(folder.path(), "whimbrel.toml")["notes"], (4, 0), "{suggestion}");
    }
}

#[test]
fn one_odd_file_does_not_hide_the_files_to_come() {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("legacy");
    fs::create_dir(&logs).unwrap();
    for (name, bytes) in [
        ("run_1.csv", &b"at,note\n1,a\n"[..]),
        ("run_2.csv", b"at,note\n2,b\n"),
        ("run_3.csv", b"at,note\n3,\xfcber\n"),
    ] {
        fs::write(logs.join(name), bytes).unwrap();
    }
    assert_eq!(whimbrel(folder.path(), &["init", "legacy"]).status.code(), Some(0));
    let plan = fs::read_to_string(folder.path().join("whimbrel.toml")).unwrap();
    assert!(
        plan.contains("csv = \"legacy/run_*.csv\"\nexclude = [\"legacy/run_3.csv\"]\n"),
        "{plan}"
    );
    let before = loaded(folder.path(), "whimbrel.toml");
    assert_eq!((before["run"], before["run_2"]), ((2, 0), (1, 0)));
    fs::write(logs.join("run_4.csv"), "at,note\n4,d\n").unwrap();
    let output = whimbrel(folder.path(), &["migrate", "--incremental", "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let status = answer(folder.path(), &["status", "--format", "json"]);
    assert_eq!(status["data"]["tables"][0]["units"]["loaded"], 1, "{status}");
}

#[test]
fn the_plan_for_the_documents_loads_all_that_is_well_formed() {
    let folder = tempfile::tempdir().unwrap();
    content::write(&folder.path().join("legacy"), 40, DEFAULT_SEED).unwrap();
    assert_eq!(whimbrel(folder.path(), &["init", "legacy"]).status.code(), Some(0));
    expect![[r#"
        {
            "csv": (
                24,
                3,
            ),
            "json": (
                53,
                7,
            ),
            "latin": (
                1,
                0,
            ),
            "lines": (
                2,
                0,
            ),
            "markdown": (
                41,
                4,
            ),
            "markdown_2": (
                1,
                0,
            ),
            "text": (
                21,
                0,
            ),
            "text_2": (
                1,
                0,
            ),
            "text_key": (
                1,
                0,
            ),
        }
    "#]]
    .assert_debug_eq(&loaded(folder.path(), "whimbrel.toml"));
    // Ragged rows, broken JSON and front matter, a key said twice, and U+0000.
    expect![[r#"
        {
            "WB0101": 2,
            "WB0102": 1,
            "WB0108": 4,
            "WB0109": 1,
            "WB0110": 1,
            "WB0112": 1,
            "WB0113": 2,
            "WB0115": 1,
            "WB0240": 1,
        }
    "#]]
    .assert_debug_eq(&causes(folder.path()));
}

#[test]
fn the_demo_shows_every_step_and_refuses_a_used_folder() {
    let folder = tempfile::tempdir().unwrap();
    let output = whimbrel(folder.path(), &["demo", "tour"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let tale = text(&output.stdout);
    let commands: Vec<&str> = tale.lines().filter(|line| line.starts_with("$ ")).collect();
    expect![[r#"
        $ cd tour/extruder
        $ whimbrel analyze legacy --html analysis.html
        $ whimbrel init legacy
        $ whimbrel plan
        $ whimbrel migrate --yes
        $ whimbrel status
        $ whimbrel rejects list
        $ whimbrel report
        $ cd ../content
        $ whimbrel analyze legacy --html analysis.html
        $ whimbrel init legacy
        $ whimbrel plan
        $ whimbrel migrate --yes
        $ whimbrel status
        $ whimbrel rejects list
        $ whimbrel report"#]]
    .assert_eq(&commands.join("\n"));
    assert!(folder.path().join("tour/content/legacy.db").exists());
    check(
        folder.path(),
        &["demo", "tour"],
        expect![[r#"
        error[WB0725]: the demo's folder is not empty: `tour`
          hint: name a new folder: `whimbrel demo FOLDER`
          more: whimbrel explain WB0725
        exit 2
    "#]],
    );
}

#[test]
fn a_command_of_the_demo_that_fails_is_named() {
    let folder = tempfile::tempdir().unwrap();
    // Files may not become large: the legacy data fit, the database does not.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 200 && exec \"$0\" demo tour"])
        .arg(env!("CARGO_BIN_EXE_whimbrel"))
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = text(&output.stderr);
    let error = said.split_once("error[WB0726]: ").unwrap_or_else(|| panic!("{said}")).1;
    let (first, causes) = error.split_once('\n').unwrap();
    assert_eq!(first, "`whimbrel migrate --yes` in `tour/extruder` ended with exit code 1");
    assert!(causes.contains("error[WB0409]") && causes.contains("file size limit"), "{causes}");
}

#[test]
fn what_the_demo_says_to_type_works_as_typed() {
    let folder = tempfile::tempdir().unwrap();
    let output = whimbrel(folder.path(), &["demo", "my tour"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let tale = text(&output.stdout);
    let (_, next) = tale.split_once("\nType next:\n").unwrap();
    let lines: Vec<&str> = next.lines().map_while(|line| line.strip_prefix("  ")).collect();
    assert!(lines[0].starts_with("export PATH=") && lines[1] == "cd 'my tour/extruder'", "{next}");
    // What a person does between two of them, in an editor.
    let mended =
        r#"{"level": "INFO", "component": "c", "event": "e", "context": {}, "timestamp": 1}"#;
    let mend = format!("f=$(grep -l Traceback mend/*.bytes); echo '{mended}' > \"$f\"");
    let mut script = String::new();
    for line in &lines {
        script.push_str(&format!("{line}\ncode=$?; echo \"code $code\" >&2\n"));
        if line.contains("rejects export") {
            script.push_str(&format!("{mend}\n"));
        }
    }
    let ran = Command::new("sh").args(["-c", &script]).current_dir(folder.path()).output().unwrap();
    let codes = text(&ran.stderr);
    let codes: Vec<&str> = codes.lines().filter(|line| line.starts_with("code ")).collect();
    assert_eq!(codes.len(), lines.len(), "{ran:?}");
    assert!(codes.iter().all(|code| matches!(*code, "code 0" | "code 3")), "{lines:?} {ran:?}");
    let typed = text(&ran.stdout);
    assert!(typed.contains("record    Traceback (most recent call last)"), "{typed}");
    assert!(typed.contains("Nothing to do: run "), "{typed}");
    let report = folder.path().join("my tour/extruder/report.html");
    assert!(fs::read_to_string(report).unwrap().to_lowercase().starts_with("<!doctype html>"));
    // The way that the tale itself takes from folder to folder.
    let ways: Vec<&str> = tale.lines().filter_map(|line| line.strip_prefix("$ cd ")).collect();
    let script = format!("cd {} && cd {} && test -f legacy.db", ways[0], ways[1]);
    let went = Command::new("sh").args(["-c", &script]).current_dir(folder.path()).status();
    assert!(went.unwrap().success(), "{ways:?}");
}

#[test]
fn commands_to_type_next_quote_the_plan() {
    let folder = tiny();
    let out = folder.path();
    assert_eq!(whimbrel(out, &["init", "legacy", "--out", "my plan.toml"]).status.code(), Some(0));
    let said = |arguments: &[&str]| text(&whimbrel(out, arguments).stdout);
    assert!(said(&["plan", "my plan.toml"]).ends_with("Next: whimbrel migrate 'my plan.toml'\n"));
    let status = said(&["migrate", "my plan.toml", "--yes"]);
    assert!(status.contains(" --plan 'my plan.toml'\n"), "{status}");
}

#[test]
fn the_demo_answers_programs_with_its_steps() {
    let folder = tempfile::tempdir().unwrap();
    let answer = answer(folder.path(), &["demo", "--format", "json"]);
    assert_eq!(answer["success"], true);
    assert_eq!(answer["data"]["folder"], "whimbrel-demo");
    assert_eq!(answer["data"]["steps"].as_array().unwrap().len(), 14);
}

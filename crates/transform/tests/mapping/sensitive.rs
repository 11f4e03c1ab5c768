//! `sensitive`: no reason and no note shows what stands in such a column, whatever fails on it.

use expect_test::expect;

use crate::harness::Trial;

/// Two halves that no message may hold; the backtick would end what a message quotes.
const CANARY: &str = "k4n`4ry";

fn source(format: &str, sensitive: &str, rest: &str) -> Trial {
    Trial::new(&format!(
        "[source.s]\n{format} = \"*\"\n{sensitive}[[table]]\ninto = \"t\"\nfrom = \"s\"\n{rest}"
    ))
}

/// Everything that is said, apart from the rows.
fn said(trial: &Trial, records: &str) -> String {
    let outcome = trial.outcome(records);
    let is_row = |line: &&str| !line.starts_with("note") && !line.contains(": WB");
    outcome.lines().filter(|line| !is_row(line)).collect::<Vec<_>>().join("\n")
}

/// Something is said of the record, and it quotes the value unless that is sensitive.
#[track_caller]
fn check(format: &str, sensitive: &str, rest: &str, table: &str, records: &str) {
    let table = format!("zz integer, {table}");
    let records = records.replace('@', CANARY);
    let open = said(&source(format, "", rest).table(&table), &records);
    assert!(open.contains("k4n") || open.contains("4ry"), "it proves nothing: {rest}\n{open}");
    let sensitive = format!("sensitive = {sensitive}\n");
    let hidden = said(&source(format, &sensitive, rest).table(&table), &records);
    assert!(!hidden.contains("k4n") && !hidden.contains("4ry"), "{rest}\n{hidden}");
    assert_eq!(open.lines().count(), hidden.lines().count(), "{rest}\n{open}\n{hidden}");
}

const KEY: &str = "key = [\"zz\"]\n[table.columns]\nzz = { fact = \"record.number\" }\n";

#[test]
fn no_expression_shows_what_it_failed_on() {
    let map = "[map.m]\nx = \"y\"\n";
    for (column, kind, more) in [
        ("\"s\"", "integer", ""),
        ("{ from = \"s\", invalid = \"null\" }", "integer", ""),
        ("{ from = \"s\", invalid = \"default\", default = 1 }", "integer", ""),
        ("{ from = \"s\", trim = true, lower = true }", "double", ""),
        ("{ from = \"s\", map = \"m\" }", "text", map),
        ("{ from = \"s\", map = \"m\", map_other = \"keep\" }", "text", map),
        ("{ from = \"s\", map = \"m\", map_other = \"null\" }", "text", map),
        ("{ from = \"s\", matches = \"^x$\" }", "text", ""),
        ("{ from = \"s\", max_chars = 2 }", "text", ""),
        ("{ from = \"s\", timestamp = \"iso8601\" }", "timestamptz", ""),
        (
            "{ from = \"s\", timestamp = \"%H:%M\", start = { fact = \"file.mtime\" } }",
            "timestamptz",
            "",
        ),
        ("{ cel = \"int(s)\" }", "integer", ""),
        ("{ cel = \"int(s)\", invalid = \"null\" }", "integer", ""),
        ("{ cel = \"{'x': 1}[s]\" }", "integer", ""),
        ("{ concat = [{ value = \"a\" }, \"s\"] }", "integer", ""),
        ("{ first = [\"s\"] }", "integer", ""),
        ("{ by_source = { s = \"s\" } }", "integer", ""),
        ("{ split = \"s\", by = \",\", part = 1 }", "integer", ""),
        ("{ object = { x = \"s\" }, max_chars = 2 }", "text", ""),
        ("{ fact = \"record.text\" }", "integer", ""),
    ] {
        check(
            "csv",
            "[\"s\"]",
            &format!("{KEY}a = {column}\n{more}"),
            &format!("a {kind}"),
            "s\n@",
        );
    }
}

#[test]
fn what_is_named_in_a_let_stays_hidden() {
    let lets = "key = [\"zz\"]\n[table.let]\none = \"s\"\ntwo = { cel = \"one + 'x'\" }\n[table.columns]\nzz = { fact = \"record.number\" }\na = \"two\"\n";
    check("csv", "[\"s\"]", lets, "a integer", "s\n@");
}

#[test]
fn a_reference_that_leads_nowhere_does_not_show_its_key() {
    let parent =
        "\n[[table]]\ninto = \"p\"\nfrom = \"s\"\nkey = [\"id\"]\n[table.columns]\nid = \"s\"\n";
    for missing in ["reject", "null"] {
        let column = format!("a = {{ ref = \"p\", by = \"s\", missing = \"{missing}\" }}");
        check("csv", "[\"s\"]", &format!("{KEY}{column}{parent}"), "a text", "s\n@");
    }
}

#[test]
fn conditions_do_not_show_what_they_failed_on() {
    let filter = format!("where = \"int(s) > 1\"\n{KEY}a = \"s\"\n");
    check("csv", "[\"s\"]", &filter, "a text", "s\n@");
    for cel in ["int(s) > 1", "int(new.a) > 1"] {
        let rule = format!("{KEY}a = \"s\"\n[[table.rule]]\nname = \"r\"\ncel = \"{cel}\"\n");
        check("csv", "[\"s\"]", &rule, "a text", "s\n@");
    }
}

#[test]
fn aggregates_do_not_show_what_they_sum_up() {
    let file = "each = \"file\"\nkey = [\"zz\"]\n[table.columns]\nzz = { value = 1 }\n";
    check(
        "csv",
        "[\"s\"]",
        &format!("{file}a = {{ max = \"s\", invalid = \"null\" }}\n"),
        "a double",
        "s\n@",
    );
    check("csv", "[\"s\"]", &format!("{file}a = {{ last = \"s\" }}\n"), "a integer", "s\n@");
}

#[test]
fn a_pointer_hides_what_is_below_it_and_what_it_is_part_of() {
    let pointer = |path: &str| format!("{KEY}a = \"{path}\"\n");
    let records = r#"{"o":{"t":"@"}}"#;
    for sensitive in ["[\"o\"]", "[\"/o\"]", "[\"/o/t\"]"] {
        check("jsonl", sensitive, &pointer("/o/t"), "a integer", records);
        check("jsonl", sensitive, &pointer("/o"), "a integer", records);
        let whole = format!("{KEY}a = {{ fact = \"record.json\", max_chars = 2 }}\n");
        check("jsonl", sensitive, &whole, "a text", records);
    }
    let element = format!("each = \"/o/l\"\n{KEY}a = {{ fact = \"element\" }}\n");
    check("jsonl", "[\"/o\"]", &element, "a integer", r#"{"o":{"l":["@"]}}"#);
}

#[test]
fn other_columns_are_shown_as_ever() {
    let rest = format!("{KEY}a = \"s\"\nb = \"other\"\n");
    let trial =
        source("csv", "sensitive = [\"s\"]\n", &rest).table("zz integer, a text, b integer");
    trial.check(
        "s|other\nx|seven",
        &expect![[r#"
        1: WB0230 column `b` field `other`: not an integer as it stands: `seven`"#]],
    );
}

#[test]
fn a_misspelt_sensitive_column_is_a_mistake_of_the_plan() {
    let rest = format!("{KEY}a = \"token\"\n");
    let trial = source("csv", "sensitive = [\"tokn\"]\n", &rest).table("zz integer, a text");
    expect![[r#"WB0201 at `"tokn"`: `s` has no column `tokn` (did you mean `token`?)"#]]
        .assert_eq(&trial.compile("token\nx").expect_err("a mistake"));
    let pointer = source("csv", "sensitive = [\"/token/key\"]\n", &rest);
    assert!(pointer.table("zz integer, a text").compile("token\nx").is_ok());
}

#[test]
fn the_step_says_which_columns_and_records_must_not_be_shown() {
    let rest = format!("{KEY}a = {{ concat = [\"s\", \"b\"] }}\nb = \"b\"\n");
    let table = "zz integer, a text, b text";
    let step =
        source("csv", "sensitive = [\"s\"]\n", &rest).table(table).compile("s|b\n1|2").unwrap();
    let hidden: Vec<bool> = (0..3).map(|index| step.is_sensitive(index)).collect();
    assert_eq!((hidden.as_slice(), step.hides_records()), ([false, true, false].as_slice(), true));
    let step = source("csv", "", &rest).table(table).compile("s|b\n1|2").unwrap();
    assert!(!step.has_sensitive() && !step.hides_records());
}

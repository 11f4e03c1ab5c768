//! Plans that decode, and what is said about those that do not.

#![allow(clippy::needless_pass_by_value)] // `expect![..]` reads better as an argument

use std::io;

use expect_test::{Expect, expect};
use whimbrel_model::plan::{
    Base, Budget, CODES, DuplicatesBy, Each, Format, LargeFiles, Plan, PlanError, SourceRows,
    decode,
};

const EXTRUDER: &str = include_str!("../../../fixtures/extruder/whimbrel.toml");
const CONTENT: &str = include_str!("../../../fixtures/content/whimbrel.toml");

/// A source, and a table that is right, for tests about one thing.
const SOURCE: &str = "[source.s]\ncsv = \"s.csv\"\n";
const TABLE: &str =
    "[[table]]\ninto = \"t\"\nfrom = \"s\"\nkey = [\"id\"]\n[table.columns]\nid = \"ID\"\n";
const HEAD: &str = "name = \"n\"\ntarget = \"sqlite:t.db\"\n";

fn env(name: &str) -> Option<String> {
    match name {
        "SECRET" => Some("hunter2-xyz".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn read_file(path: &str) -> io::Result<String> {
    match path {
        "pw.txt" => Ok("file-s3cret\n".to_owned()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

fn read(text: &str) -> Result<Plan, Vec<PlanError>> {
    decode(text, &env, &read_file)
}

fn plan(text: &str) -> Plan {
    read(text).unwrap_or_else(|errors| panic!("{}", shown(text, &errors)))
}

fn shown(text: &str, errors: &[PlanError]) -> String {
    errors.iter().map(|error| error.render("w.toml", text)).collect()
}

/// Compares the errors of a plan.
fn check(text: &str, expected: Expect) {
    let errors = read(text).expect_err("the plan has a mistake");
    for error in &errors {
        assert!(
            CODES.iter().any(|(code, _, _)| *code == error.code),
            "{} is explained",
            error.code
        );
    }
    expected.assert_eq(&shown(text, &errors));
}

/// Compares the errors, without the lines they are about, of a plan whose source has these keys.
fn check_source(keys: &str, expected: Expect) {
    check_brief(&format!("{HEAD}[source.s]\n{keys}\n{TABLE}"), expected);
}

/// The same for a table with these keys beside the usual ones.
fn check_table(keys: &str, expected: Expect) {
    let table = format!(
        "[[table]]\ninto = \"t\"\nfrom = \"s\"\nkey = [\"id\"]\n{keys}\n[table.columns]\nid = \"ID\"\n"
    );
    check_brief(&format!("{HEAD}{SOURCE}{table}"), expected);
}

/// The same for one column.
fn check_column(expr: &str, expected: Expect) {
    check_brief(&format!("{HEAD}{SOURCE}{TABLE}c = {expr}\n"), expected);
}

fn check_brief(text: &str, expected: Expect) {
    expected.assert_eq(&brief(text));
}

fn brief(text: &str) -> String {
    let errors = read(text).expect_err("the plan has a mistake");
    let lines = errors.iter().map(|error| {
        let (line, column) = error.line_column(text).unwrap_or((0, 0));
        let help = error.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
        format!("{line}:{column} {error}{help}\n")
    });
    lines.collect()
}

// --- plans that decode ------------------------------------------------------------------------

#[test]
fn the_plans_of_the_fixtures_decode() {
    assert_eq!(plan(EXTRUDER).tables.len(), 4);
    assert_eq!(plan(CONTENT).tables.len(), 2);
}

#[test]
fn the_smallest_plan_decodes_with_every_default() {
    let plan = plan(&format!("{HEAD}{SOURCE}{TABLE}"));
    let table = &plan.tables[0];
    assert_eq!((&table.each, table.duplicates.is_none()), (&Each::Record, true));
    assert_eq!((plan.rejects.max, plan.rejects.after), (None, 1000));
    let source = &plan.sources[0];
    assert_eq!((source.large_files, source.max_record_size), (LargeFiles::Handle, 64 << 20));
    assert!(
        matches!(&source.format, Format::Csv(dialect) if dialect.delimiter == b',' && dialect.header)
    );
}

#[test]
fn a_tsv_is_a_csv_with_tabs() {
    let plan = plan(&format!("{HEAD}[source.s]\ntsv = \"s.tsv\"\n{TABLE}"));
    assert!(matches!(&plan.sources[0].format, Format::Csv(dialect) if dialect.delimiter == b'\t'));
}

#[test]
fn quotes_can_be_switched_off() {
    let plan = plan(&format!("{HEAD}[source.s]\ncsv = \"s.csv\"\nquote = \"\"\n{TABLE}"));
    assert!(matches!(&plan.sources[0].format, Format::Csv(dialect) if dialect.quote.is_none()));
}

#[test]
fn a_table_comes_after_those_it_refers_to_whatever_their_order() {
    let child = "[[table]]\ninto = \"c\"\nfrom = \"s\"\nkey = [\"id\"]\n[table.columns]\nid = \"ID\"\np = { ref = \"t\", by = \"P\" }\n";
    assert_eq!(plan(&format!("{HEAD}{SOURCE}{child}{TABLE}")).order(), [1, 0]);
    assert_eq!(plan(&format!("{HEAD}{SOURCE}{TABLE}{child}")).order(), [0, 1]);
}

#[test]
fn the_legacy_key_of_a_uuid5_key_is_its_parts() {
    let plan = plan(EXTRUDER);
    let samples = plan.table("runs").unwrap();
    assert!(matches!(samples.legacy_key_parts()[0].base, Base::Fact(_)));
    let samples = plan.table("run_samples").unwrap();
    assert_eq!(samples.legacy_key_parts().len(), 2);
}

#[test]
fn a_legacy_key_can_be_said() {
    let table = "[[table]]\ninto = \"t\"\nfrom = \"s\"\nkey = [\"id\"]\nlegacy_key = [\"OLD\", \"N\"]\n[table.columns]\nid = \"ID\"\n";
    let plan = plan(&format!("{HEAD}{SOURCE}{table}"));
    assert_eq!(plan.tables[0].legacy_key_parts().len(), 2);
}

#[test]
fn by_record_in_a_list_is_a_column() {
    let with = |by: &str| {
        let table = format!(
            "[[table]]\ninto = \"t\"\nfrom = \"s\"\nkey = [\"record\"]\nduplicates = {{ by = {by} }}\n[table.columns]\nrecord = \"R\"\n"
        );
        plan(&format!("{HEAD}{SOURCE}{table}")).tables.remove(0).duplicates.unwrap().by
    };
    assert_eq!(with("\"record\""), DuplicatesBy::Record);
    assert!(matches!(with("[\"record\"]"), DuplicatesBy::Columns(columns) if columns.len() == 1));
}

#[test]
fn budgets_are_counts_or_parts() {
    let budget =
        |max: &str| plan(&format!("{HEAD}{SOURCE}{TABLE}[rejects]\nmax = {max}\n")).rejects.max;
    assert_eq!(budget("50"), Some(Budget::Count(50)));
    assert_eq!(budget("\"2.5%\""), Some(Budget::Ratio(0.025)));
}

// --- variables --------------------------------------------------------------------------------

#[test]
fn a_variable_goes_into_a_text_and_a_default_stands_in() {
    let text = format!(
        "name = \"${{EMPTY:-n}}\"\ntarget = \"postgres://u:${{SECRET}}@h/${{DB:-db}}\"\n{SOURCE}{TABLE}"
    );
    let plan = plan(&text);
    assert_eq!(plan.name.value, "n");
    assert_eq!(plan.target.value.expose(), "postgres://u:hunter2-xyz@h/db");
    assert_eq!(plan.target.value.url_shown(), "postgres://u:***********@h/db");
}

#[test]
fn a_plan_shows_no_value_of_a_variable() {
    let text = format!(
        "{HEAD}timezone = \"${{SECRET}}\"\n[source.s]\ncsv = \"${{file:pw.txt}}/*.csv\"\nnull = [\"${{SECRET}}\"]\n{TABLE}"
    );
    let plan = plan(&text);
    let debug = format!("{plan:?}");
    assert!(
        debug.contains("*.csv") && !debug.contains("hunter2") && !debug.contains("s3cret"),
        "{debug}"
    );
    assert_eq!(plan.redact("at hunter2-xyz: failed"), "at ***: failed");
}

#[test]
fn an_error_shows_no_value_of_a_variable() {
    check_table(
        "existing = \"${SECRET}\"\nwhere = \"${SECRET}\"\neach = \"${file:pw.txt}\"",
        expect![[r#"
            9:12 WB0005: `existing` must be one of "reject", "update", "keep", not the value of a variable
            11:8 WB0005: `each` must be "record", "file" or a JSON Pointer like "/tags", not the value of a variable
        "#]],
    );
}

#[test]
fn a_variable_that_is_not_set_is_named() {
    check(
        &format!("name = \"n\"\ntarget = \"${{NOPE}}\"\n{SOURCE}{TABLE}"),
        expect![[r#"
            error[WB0007]: the variable `NOPE` is not set
              --> w.toml:2:10
               |
             2 | target = "${NOPE}"
               |          ^^^^^^^^^
            help: set it, or write `${NOPE:-default}`
        "#]],
    );
}

#[test]
fn a_variable_is_written_with_a_name_and_a_brace() {
    check_source(
        "csv = [\"${A\", \"${}\", \"${a b}\", \"${file:none}\"]",
        expect![[r#"
        4:8 WB0009: `${` without its `}` (write `$${` for a `${` that is meant as such)
        4:15 WB0009: `${}` names no variable (letters, digits and `_`, as in `${NAME}` or `${NAME:-default}`)
        4:22 WB0009: `${a b}` names no variable (letters, digits and `_`, as in `${NAME}` or `${NAME:-default}`)
        4:32 WB0008: cannot read the file `none`: entity not found (the path is relative to the plan)
    "#]],
    );
}

#[test]
fn a_password_in_the_plan_is_not_shown_with_its_line() {
    check(
        &format!("name = \"n\"\ntarget = [\"postgres://u:s3cret@h/db\"]\n{SOURCE}{TABLE}"),
        expect![[r#"
            error[WB0004]: `target` must be a text, not a list
              --> w.toml:2:10
               |
             2 | target = ["postgres://u:******@h/db"]
               |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        "#]],
    );
}

// --- what is wrong with TOML and keys ---------------------------------------------------------

#[test]
fn what_is_not_toml_is_shown_where_the_reader_gave_up() {
    check(
        "name = \"n\nkey = = 3\n",
        expect![[r#"
            error[WB0001]: invalid basic string, expected `"`
              --> w.toml:1:10
               |
             1 | name = "n
               |          ^
            error[WB0001]: extra `=`, expected nothing
              --> w.toml:2:7
               |
             2 | key = = 3
               |       ^
        "#]],
    );
}

#[test]
fn a_key_twice_is_not_toml() {
    check(
        "name = \"n\"\nname = \"m\"\n",
        expect![[r#"
        error[WB0001]: duplicate key
          --> w.toml:2:1
           |
         2 | name = "m"
           | ^^^^
    "#]],
    );
}

#[test]
fn an_empty_plan_lacks_what_is_required() {
    check_brief(
        "",
        expect![[r#"
        1:1 WB0002: `name` is missing in the plan (for example `name = "extruder-telemetry"`)
        1:1 WB0002: `target` is missing in the plan (for example `target = "${TARGET:-sqlite:extruder.db}"`)
        1:1 WB0002: `source` is missing in the plan (for example `[source.samples]`)
        1:1 WB0002: `table` is missing in the plan (for example `[[table]]`)
    "#]],
    );
}

#[test]
fn an_unknown_key_is_shown_with_the_one_that_was_meant() {
    check(
        &format!(
            "{HEAD}[source.samples]\ncsv = \"s.csv\"\nnul = [\"\"]\n{}",
            TABLE.replace("\"s\"", "\"samples\"")
        ),
        expect![[r#"
            error[WB0003]: unknown key `nul` in `[source.samples]`
              --> w.toml:5:1
               |
             5 | nul = [""]
               | ^^^
            help: did you mean `null`?
        "#]],
    );
}

#[test]
fn unknown_keys_are_found_in_every_section() {
    let text = format!(
        "{HEAD}shema = \"x\"\n{SOURCE}zzzzz = 1\n{TABLE}c = {{ from = \"C\", invalide = \"null\" }}\n\
         [[table.rule]]\nname = \"r\"\ncel = \"true\"\nseverty = \"warn\"\n[rejects]\nmaximum = 1\n[window]\nopn = 1\n[run]\nworker = 2\n"
    );
    check_brief(
        &text,
        expect![[r#"
            3:1 WB0003: unknown key `shema` in the plan (did you mean `schema`?)
            6:1 WB0003: unknown key `zzzzz` in `[source.s]`
            13:19 WB0003: unknown key `invalide` in column `c` of `[[table]]` `t` (did you mean `invalid`?)
            17:1 WB0003: unknown key `severty` in `[[table.rule]]` of `[[table]]` `t` (did you mean `severity`?)
            19:1 WB0003: unknown key `maximum` in `[rejects]`
            20:1 WB0002: `close` is missing in `[window]` (for example `close = "05:30"`)
            21:1 WB0003: unknown key `opn` in `[window]` (did you mean `open`?)
            23:1 WB0003: unknown key `worker` in `[run]` (did you mean `workers`?)
        "#]],
    );
}

#[test]
fn a_key_in_the_wrong_section_is_told_where_it_belongs() {
    check_brief(
        &format!("{HEAD}batch_size = 5\n{SOURCE}timezone = \"UTC\"\n{TABLE}"),
        expect![[r#"
            3:1 WB0003: unknown key `batch_size` in the plan (`batch_size` is a key of `[run]`)
            6:1 WB0003: unknown key `timezone` in `[source.s]` (`timezone` is a key of the plan)
        "#]],
    );
}

#[test]
fn all_errors_of_a_plan_are_shown_in_the_order_of_the_file() {
    check(
        "name = 3\n[source.a]\ncsv = \"a\"\njson = \"b\"\n[[table]]\ninto = \"t\"\nfrom = \"b\"\nkey = \"id\"\n[table.columns]\nid = {}\n",
        expect![[r#"
            error[WB0002]: `target` is missing in the plan
              --> w.toml:1:1
               |
             1 | name = 3
               | ^
            help: for example `target = "${TARGET:-sqlite:extruder.db}"`
            error[WB0004]: `name` must be a text, not a whole number
              --> w.toml:1:8
               |
             1 | name = 3
               |        ^
            error[WB0025]: `[source.a]` has two formats, `csv` and `json`
              --> w.toml:4:1
               |
             4 | json = "b"
               | ^^^^
            help: make two sources of it; `from = ["a", "b"]` reads both
            error[WB0010]: unknown source `b`
              --> w.toml:7:8
               |
             7 | from = "b"
               |        ^^^
            error[WB0015]: column `id` of `[[table]]` `t` does not say where its value comes from
              --> w.toml:10:6
                |
             10 | id = {}
                |      ^^
            help: name a field with `from`, a literal with `value`, or another base
        "#]],
    );
}

#[test]
fn a_value_of_the_wrong_type_says_what_belongs_there() {
    check_brief(
        "name = 1\ntarget = true\nsource = []\ntable = \"t\"\nmap = { m = \"x\" }\nrun = { workers = \"2\", retries = 1.5 }\nrejects = [1]\n",
        expect![[r#"
            1:8 WB0004: `name` must be a text, not a whole number
            2:10 WB0004: `target` must be a text, not a boolean
            3:10 WB0004: `source` must be a table of tables, not a list
            4:9 WB0004: `table` must be a list of tables, not a text
            5:13 WB0004: `map.m` must be a table of texts, numbers, `true` or `false`, not a text
            6:19 WB0004: `workers` must be a whole number from 1, not a text
            6:34 WB0004: `retries` must be a whole number from 0, not a float
            7:11 WB0004: `rejects` must be a table, not a list
        "#]],
    );
}

#[test]
fn a_datetime_is_not_a_literal() {
    check_column(
        "{ value = 2024-01-01 }",
        expect![[r#"
        11:15 WB0004: `value` must be a text, a number, `true` or `false`, not a date or time
    "#]],
    );
}

// --- sources ----------------------------------------------------------------------------------

#[test]
fn a_source_needs_a_format() {
    check_source(
        "hidden = true",
        expect![[r#"
            3:9 WB0025: `[source.s]` says no format (add `csv`, `tsv`, `json`, `jsonl`, `markdown`, `text` or `database`)
            4:1 WB0016: `hidden` means nothing in `[source.s]` without `csv`, `tsv`, `json`, `jsonl`, `markdown` or `text`
        "#]],
    );
}

#[test]
fn a_source_has_only_one_format() {
    check_source(
        "csv = \"a\"\njson = \"b\"",
        expect![[r#"
        5:1 WB0025: `[source.s]` has two formats, `csv` and `json` (make two sources of it; `from = ["a", "b"]` reads both)
    "#]],
    );
}

#[test]
fn a_key_of_another_format_means_nothing() {
    check_source(
        "json = \"a\"\ndelimiter = \";\"\nnull = [\"\"]\nheader = false",
        expect![[r#"
        5:1 WB0016: `delimiter` means nothing in `[source.s]` without `csv` or `tsv`
        6:1 WB0016: `null` means nothing in `[source.s]` without `csv` or `tsv`
        7:1 WB0016: `header` means nothing in `[source.s]` without `csv` or `tsv`
    "#]],
    );
    check_source(
        "csv = \"a\"\nrecords = \"/x\"\nlarge_files = \"skip\"",
        expect![[r#"
        5:1 WB0016: `records` means nothing in `[source.s]` without `json`
        6:1 WB0016: `large_files` means nothing in `[source.s]` without `max_file_size`
    "#]],
    );
}

#[test]
fn globs_are_not_empty() {
    check_source(
        "csv = []",
        expect![[r#"
        4:7 WB0031: `csv` in `[source.s]` is empty
    "#]],
    );
    check_source(
        "csv = \"\"",
        expect![[r#"
        4:7 WB0031: `csv` in `[source.s]` is empty
    "#]],
    );
}

#[test]
fn a_delimiter_is_one_ascii_character() {
    check_source(
        "csv = \"a\"\ndelimiter = \"||\"\nquote = \"„\"\ncomment = \"\"",
        expect![[r#"
        5:13 WB0005: `delimiter` must be a text of one ASCII character, not `||`
        6:9 WB0005: `quote` must be a text of one ASCII character, or "", not `„`
        7:11 WB0005: `comment` must be a text of one ASCII character, not ``
    "#]],
    );
}

#[test]
fn a_byte_has_one_meaning() {
    check_source(
        "csv = \"a\"\ndelimiter = \"'\"\nquote = \"'\"",
        expect![[r#"
            3:9 WB0027: `'` has two meanings in `[source.s]` (`delimiter`, `quote` and `comment` must differ)
        "#]],
    );
}

#[test]
fn files_without_a_header_need_names() {
    check_source(
        "csv = \"a\"\nheader = false",
        expect![[r#"
        3:9 WB0002: `names` is missing in `[source.s]`: its files have no header (for example `names = ["id"]`)
    "#]],
    );
}

#[test]
fn an_encoding_is_one_of_those_that_can_be_read() {
    check_source(
        "csv = \"a\"\nencoding = \"utf8\"",
        expect![[r#"
        5:12 WB0005: `encoding` must be one of "utf-8", "utf-16le", "utf-16be", "latin-1", "windows-1252", not `utf8` (did you mean `utf-8`?)
    "#]],
    );
}

#[test]
fn sizes_have_units() {
    check_source(
        "csv = \"a\"\nmax_file_size = \"50 megabytes\"\nmax_record_size = -1",
        expect![[r#"
        5:17 WB0020: `max_file_size` must be a number of bytes or a text like "50MB" or "50MiB", not `50 megabytes`
        6:19 WB0006: `max_record_size` must be a number of bytes or a text like "50MB" or "50MiB", not -1
    "#]],
    );
}

#[test]
fn a_column_is_not_both_ignored_and_archived() {
    check_source(
        "csv = \"a\"\nignore = [\"x\", \"y\"]\narchive = [\"y\"]",
        expect![[r#"
        6:12 WB0027: `y` stands both under `ignore` and under `archive`
    "#]],
    );
}

#[test]
fn a_column_is_listed_once() {
    check_source(
        "csv = \"a\"\noptional = [\"x\", \"x\"]",
        expect![[r#"
        5:18 WB0027: `optional` holds `x` twice
    "#]],
    );
}

#[test]
fn the_kind_of_a_column_exists() {
    check_source(
        "csv = \"a\"\ncolumns = { x = { type = \"integr\" }, y = { type = \"money\" } }",
        expect![[r#"
        5:26 WB0018: unknown kind `integr` (did you mean `integer`?)
        5:51 WB0018: unknown kind `money` (kinds are `boolean`, `smallint`, `int`, `integer`, `unsigned`, `hugeint`, `decimal`, `decimal(p,s)`, `double`, `text`, `text(n)`, `bytes`, `date`, `time`, `timestamp`, `timestamptz`, `uuid`, `json`, `any`)
    "#]],
    );
}

#[test]
fn the_pointer_to_records_is_one() {
    check_source(
        "json = \"a\"\nrecords = \"results\"",
        expect![[r#"
        5:11 WB0028: `results` is not a JSON Pointer (it begins with `/`)
    "#]],
    );
}

#[test]
fn a_source_has_a_plain_name() {
    let text =
        format!("{HEAD}[source.\"a/b\"]\ncsv = \"s.csv\"\n{}", TABLE.replace("\"s\"", "\"a/b\""));
    check_brief(
        &text,
        expect![[r#"
        3:9 WB0032: a source cannot be called `a/b` (use ASCII letters, digits, `-` and `_`)
    "#]],
    );
}

// --- tables -----------------------------------------------------------------------------------

#[test]
fn a_table_needs_what_it_is_filled_from_and_by() {
    check(
        &format!("{HEAD}{SOURCE}[[table]]\ninto = \"t\"\n"),
        expect![[r#"
        error[WB0002]: `from` is missing in `[[table]]` `t`
          --> w.toml:5:1
           |
         5 | [[table]]
           | ^^^^^^^^^
        help: for example `from = ["json", "csv"]`
        error[WB0002]: `key` is missing in `[[table]]` `t`
          --> w.toml:5:1
           |
         5 | [[table]]
           | ^^^^^^^^^
        help: for example `key = ["run_id", "line_no"]`
        error[WB0002]: `columns` is missing in `[[table]]` `t`
          --> w.toml:5:1
           |
         5 | [[table]]
           | ^^^^^^^^^
        help: for example `columns = { id = "ID", name = { from = "Name", trim = true } }`
    "#]],
    );
}

#[test]
fn a_source_that_does_not_exist_is_not_read() {
    check_brief(
        &format!(
            "{HEAD}[source.samples]\ncsv = \"a\"\n{}",
            TABLE.replace("\"s\"", "[\"sampels\", \"x\"]")
        ),
        expect![[r#"
        7:9 WB0010: unknown source `sampels` (did you mean `samples`?)
        7:20 WB0010: unknown source `x`
    "#]],
    );
}

#[test]
fn two_tables_do_not_fill_one() {
    check_brief(
        &format!("{HEAD}{SOURCE}{TABLE}{TABLE}"),
        expect![[r#"
        12:8 WB0027: two tables fill `t` (an ordered union, `from = ["a", "b"]`, fills it from both)
    "#]],
    );
}

#[test]
fn a_table_of_the_ledger_is_not_filled_in_whatever_case() {
    let filling =
        |name: &str| format!("{HEAD}{SOURCE}{}", TABLE.replace("\"t\"", &format!("\"{name}\"")));
    for name in ["whimbrel_migration_runs", "Whimbrel_Mine", "WHIMBREL_"] {
        let said = format!(
            "6:8 WB0033: the name `{name}` is the ledger's (name a table that does not begin with `whimbrel_`)\n"
        );
        assert_eq!(brief(&filling(name)), said);
    }
    for name in ["whimbrel", "whimbrels_seen", "a_whimbrel_", "ẃhimbrel_x"] {
        assert_eq!(plan(&filling(name)).tables[0].into.value, name);
    }
}

#[test]
fn key_and_duplicates_name_columns_that_are_filled() {
    let table = "[[table]]\ninto = \"t\"\nfrom = \"s\"\nkey = [\"idd\"]\nduplicates = { by = [\"hash\"] }\n[table.columns]\nid = \"ID\"\n";
    check_brief(
        &format!("{HEAD}{SOURCE}{table}"),
        expect![[r#"
        8:8 WB0013: `key` names `idd`, which `[table.columns]` does not fill (did you mean `id`?)
        9:22 WB0013: `duplicates` names `hash`, which `[table.columns]` does not fill
    "#]],
    );
}

#[test]
fn each_is_a_word_or_a_pointer() {
    check_table(
        "each = \"files\"",
        expect![[r#"
            9:8 WB0005: `each` must be "record", "file" or a JSON Pointer like "/tags", not `files` (did you mean `file`?)
        "#]],
    );
    check_table(
        "each = \"/a~2b\"",
        expect![[r#"
        9:8 WB0028: `/a~2b` is not a JSON Pointer (`~` is written `~0`, and `/` in a name `~1`)
    "#]],
    );
}

#[test]
fn words_are_one_of_a_few() {
    check_table(
        "existing = \"overwrite\"\nduplicates = { by = [\"id\"], scope = \"File\", conflict = \"skip\" }",
        expect![[r#"
        9:12 WB0005: `existing` must be one of "reject", "update", "keep", not `overwrite`
        10:37 WB0005: `scope` must be one of "table", "file", not `File` (did you mean `file`?)
        10:56 WB0005: `conflict` must be one of "map", "reject", not `skip`
    "#]],
    );
}

#[test]
fn a_table_that_fills_nothing_is_a_mistake() {
    check_brief(
        &format!(
            "{HEAD}{SOURCE}[[table]]\ninto = \"t\"\nfrom = \"s\"\nkey = [\"id\"]\ncolumns = {{}}\n"
        ),
        expect![[r#"
            9:11 WB0031: `columns` in `[[table]]` `t` is empty
        "#]],
    );
}

#[test]
fn a_rule_has_a_name_and_an_expression() {
    check_brief(
        &format!("{HEAD}{SOURCE}{TABLE}[[table.rule]]\nmax = \"10\"\n"),
        expect![[r#"
        11:1 WB0002: `name` is missing in `[[table.rule]]` of `[[table]]` `t` (for example `name = "title has at most 500 characters"`)
        11:1 WB0002: `cel` is missing in `[[table.rule]]` of `[[table]]` `t` (for example `cel = "size(new.title) <= 500"`)
        12:7 WB0023: `max` must be a count or a text like "1%", not `10`
    "#]],
    );
}

#[test]
fn a_file_has_no_single_field() {
    check_brief(
        &format!(
            "{HEAD}{SOURCE}{}c = {{ last = \"C\" }}\nd = {{ fact = \"record.line\" }}\n",
            TABLE.replace("key", "each = \"file\"\nkey")
        ),
        expect![[r#"
            11:6 WB0026: a file has no single `ID`: each row stands for a file (say which record's: `{ last = … }`, `{ first_of = … }`, `{ max = … }`)
            13:14 WB0026: the fact `record.line` does not exist where a row stands for a file
        "#]],
    );
}

#[test]
fn a_record_has_no_last_value_and_no_element() {
    check_brief(
        &format!(
            "{HEAD}{SOURCE}{TABLE}c = {{ last = \"C\" }}\nd = {{ fact = \"element\" }}\ne = {{ fact = \"file.text\" }}\n"
        ),
        expect![[r#"
            11:5 WB0026: `last` looks at all records of a file, and this row stands for one (a table with `each = "file"` can say it)
            12:14 WB0026: the fact `element` does not exist where a row stands for a record
            13:14 WB0026: the fact `file.text` does not exist where a row stands for a record
        "#]],
    );
}

#[test]
fn a_file_is_no_record_to_compare() {
    let table = "[[table]]\ninto = \"t\"\nfrom = \"s\"\neach = \"file\"\nkey = [\"id\"]\nduplicates = { by = \"record\" }\n[table.columns]\nid = { fact = \"file.name\" }\n";
    check_brief(
        &format!("{HEAD}{SOURCE}{table}"),
        expect![[r#"
        5:1 WB0026: `by = "record"` compares records, and a row of this table is none (name the columns that are compared)
    "#]],
    );
}

// --- expressions ------------------------------------------------------------------------------

#[test]
fn an_expression_says_where_its_value_comes_from() {
    check_column(
        "{ trim = true }",
        expect![[r#"
        11:5 WB0015: column `c` of `[[table]]` `t` does not say where its value comes from (name a field with `from`, a literal with `value`, or another base)
    "#]],
    );
}

#[test]
fn an_expression_says_it_once() {
    check_column(
        "{ from = \"A\", value = 3 }",
        expect![[r#"
        11:19 WB0015: column `c` of `[[table]]` `t` says twice where its value comes from: `from` and `value` (keep one; `first = […]` takes the first of several that is not NULL)
    "#]],
    );
}

#[test]
fn a_bare_literal_is_not_a_field() {
    check_column(
        "300",
        expect![[r#"
        11:5 WB0004: column `c` of `[[table]]` `t` must be a field or a table, not a whole number (a literal is written `{ value = 300 }`)
    "#]],
    );
    check_column(
        "[\"a\", \"b\"]",
        expect![[r#"
        11:5 WB0004: column `c` of `[[table]]` `t` must be a field or a table, not a list (the first that is not NULL is `{ first = […] }`, all of them `{ concat = […] }`)
    "#]],
    );
    check_column(
        "\"\"",
        expect![[r#"
        11:5 WB0031: column `c` of `[[table]]` `t` names no field (an empty text is written `{ value = "" }`)
    "#]],
    );
}

#[test]
fn parts_of_expressions_are_looked_at() {
    check_column(
        "{ first = [\"a\", { form = \"b\" }, 3] }",
        expect![[r#"
            11:23 WB0003: unknown key `form` in column `c` of `[[table]]` `t` (did you mean `from`?)
            11:37 WB0004: column `c` of `[[table]]` `t` must be a field or a table, not a whole number (a literal is written `{ value = 3 }`)
        "#]],
    );
}

#[test]
fn what_refines_a_key_goes_with_it() {
    check_column(
        "{ from = \"a\", separator = \",\", by = \"b\", part = 1, missing = \"null\", of = [\"c\"], map_other = \"keep\", start = \"d\" }",
        expect![[r#"
            11:19 WB0016: `separator` means nothing in column `c` of `[[table]]` `t` without `concat`
            11:36 WB0016: `by` means nothing in column `c` of `[[table]]` `t` without `split` or `ref`
            11:46 WB0016: `part` means nothing in column `c` of `[[table]]` `t` without `split`
            11:56 WB0016: `missing` means nothing in column `c` of `[[table]]` `t` without `ref`
            11:74 WB0016: `of` means nothing in column `c` of `[[table]]` `t` without `hash`
            11:86 WB0016: `map_other` means nothing in column `c` of `[[table]]` `t` without `map`
            11:106 WB0016: `start` means nothing in column `c` of `[[table]]` `t` without `timestamp`
        "#]],
    );
}

#[test]
fn an_invalid_value_becomes_the_default_only_where_there_is_one() {
    check_column(
        "{ from = \"a\", invalid = \"default\" }",
        expect![[r#"
        11:5 WB0016: `invalid = "default"` in column `c` of `[[table]]` `t` without a `default`
    "#]],
    );
}

#[test]
fn a_split_says_by_what_and_which() {
    check_column(
        "{ split = \"a\" }",
        expect![[r#"
        11:5 WB0002: `by` is missing in column `c` of `[[table]]` `t` beside `split` (for example `by = ",", part = 1`)
        11:5 WB0002: `part` is missing in column `c` of `[[table]]` `t` beside `split` (for example `by = ",", part = 1`)
    "#]],
    );
    check_column(
        "{ split = \"a\", by = [\",\"], part = 0 }",
        expect![[r#"
        11:25 WB0004: `by` must be a text beside `split`, not a list
        11:39 WB0006: parts are counted from 1, or from the end with -1
    "#]],
    );
}

#[test]
fn a_reference_leads_to_a_table_of_the_plan() {
    check_column(
        "{ ref = \"tt\", by = \"P\" }",
        expect![[r#"
        11:13 WB0011: unknown table `tt`: no `[[table]]` fills it
    "#]],
    );
    check_column(
        "{ ref = \"elsewhere\" }",
        expect![[r#"
        11:5 WB0002: `by` is missing in column `c` of `[[table]]` `t` beside `ref` (for example `by = { fact = "file.name" }`)
        11:13 WB0011: unknown table `elsewhere`: no `[[table]]` fills it
    "#]],
    );
}

#[test]
fn a_reference_has_as_many_parts_as_the_old_key() {
    let child = "[[table]]\ninto = \"c\"\nfrom = \"s\"\nkey = [\"id\"]\n[table.columns]\nid = \"ID\"\np = { ref = \"t\", by = [\"P\", \"Q\"] }\n";
    check_brief(
        &format!("{HEAD}{SOURCE}{TABLE}{child}"),
        expect![[r#"
        17:5 WB0030: `by` has 2 parts, and the old key of `t` has 1
    "#]],
    );
}

#[test]
fn references_do_not_run_in_a_circle() {
    let table = |into: &str, parent: &str| {
        format!(
            "[[table]]\ninto = \"{into}\"\nfrom = \"s\"\nkey = [\"id\"]\n[table.columns]\nid = \"ID\"\np = {{ ref = \"{parent}\", by = \"P\" }}\n"
        )
    };
    check_brief(
        &format!("{HEAD}{SOURCE}{}{}{}", table("a", "b"), table("b", "c"), table("c", "a")),
        expect![[r#"
        11:13 WB0014: tables refer to each other in a circle: `a` → `b` → `c` → `a`
    "#]],
    );
    check_brief(
        &format!("{HEAD}{SOURCE}{}", table("a", "a")),
        expect![[r#"
        11:13 WB0014: tables refer to each other in a circle: `a` → `a`
    "#]],
    );
}

#[test]
fn a_map_exists() {
    check_brief(
        &format!(
            "{HEAD}{SOURCE}[map.status]\na = 1\n{TABLE}c = {{ from = \"C\", map = \"statis\" }}\n"
        ),
        expect![[r#"
        13:25 WB0012: unknown map `statis` (did you mean `status`?)
    "#]],
    );
}

#[test]
fn a_map_holds_literals() {
    check_brief(
        &format!("{HEAD}{SOURCE}[map.status]\na = [1]\nb = nan\n[map.empty]\n{TABLE}"),
        expect![[r#"
        6:5 WB0004: `a` must be a text, a number, `true` or `false`, not a list
        7:5 WB0006: `b` must be a finite number
        8:1 WB0031: `[map.empty]` is empty
    "#]],
    );
}

#[test]
fn a_fact_exists() {
    check_column(
        "{ fact = \"file.nmae\" }",
        expect![[r#"
        11:14 WB0017: unknown fact `file.nmae` (did you mean `file.name`?)
    "#]],
    );
    check_column(
        "{ fact = \"weather\" }",
        expect![[r#"
        11:14 WB0017: unknown fact `weather` (facts are `file.path`, `file.name`, `file.stem`, `file.dir`, `file.suffix`, `file.mtime`, `file.size`, `file.sha256`, `file.blake3`, `file.text`, `record.number`, `record.line`, `record.text`, `record.json`, `element.number`, `element`, `source.name`, `source.ordinal`, `plan.timezone`)
    "#]],
    );
}

#[test]
fn a_timestamp_has_a_format() {
    check_column(
        "{ from = \"a\", timestamp = [\"unix\", \"rfc339\", \"YYYY-MM-DD\"] }",
        expect![[r#"
            11:40 WB0019: `rfc339` is not a timestamp format (did you mean `rfc3339`?)
            11:50 WB0019: `YYYY-MM-DD` is not a timestamp format (write a pattern such as `%Y-%m-%d`, or `rfc3339`, `iso8601`, `unix`, `unix_ms` or `unix_us`)
        "#]],
    );
}

#[test]
fn by_source_says_something_for_each_source() {
    check_column(
        "{ by_source = { x = \"a\" } }",
        expect![[r#"
        11:5 WB0029: `by_source` says nothing for `s` (NULL is written `{ cel = "null" }`)
        11:21 WB0029: `x` is not among the table's sources
    "#]],
    );
}

#[test]
fn lists_of_parts_are_not_empty() {
    check_column(
        "{ first = [] }",
        expect![[r#"
        11:15 WB0031: `first` in column `c` of `[[table]]` `t` is empty
    "#]],
    );
    check_column(
        "{ hash = \"sha256\", of = [] }",
        expect![[r#"
        11:29 WB0031: `of` in column `c` of `[[table]]` `t` is empty
    "#]],
    );
    check_column(
        "{ hash = \"md5\" }",
        expect![[r#"
        11:5 WB0002: `of` is missing in column `c` of `[[table]]` `t` beside `hash` (for example `of = ["content"]`)
        11:14 WB0005: `hash` must be one of "sha256", "blake3", not `md5`
    "#]],
    );
}

#[test]
fn a_count_counts_or_does_not_stand() {
    check_column(
        "{ count = false }",
        expect![[r#"
        11:15 WB0004: `count` must be `true`, not a boolean
    "#]],
    );
}

#[test]
fn numbers_fit() {
    check_column(
        "{ value = 99999999999999999999 }",
        expect![[r#"
        11:15 WB0006: `value` does not fit into 64 bits (write it as a text: the column's kind decides)
    "#]],
    );
    check_column(
        "{ from = \"a\", max_chars = -1 }",
        expect![[r#"
            11:31 WB0006: `max_chars` must be a whole number from 0, not -1
        "#]],
    );
}

// --- limits -----------------------------------------------------------------------------------

#[test]
fn limits_have_their_forms() {
    check_brief(
        &format!(
            "{HEAD}namespace = \"x\"\n{SOURCE}{TABLE}[rejects]\nmax = \"1\"\nafter = -1\n\
             [run]\nworkers = 0\nbatch_timeout = \"30\"\ndeadline = 30\nbatch_bytes = \"64 mib\"\nretries = 5000000000\n"
        ),
        expect![[r#"
            3:13 WB0024: `namespace` must be a UUID, not `x`
            13:7 WB0023: `max` must be a count or a text like "1%", not `1`
            14:9 WB0006: `after` must be a whole number from 0, not -1
            16:11 WB0006: `workers` must be a whole number from 1, not 0
            17:17 WB0021: `batch_timeout` must be a text like "30s" or "1h30m", not `30`
            18:12 WB0004: `deadline` must be a text like "30s" or "1h30m", not a whole number
            19:15 WB0020: `batch_bytes` must be a number of bytes or a text like "50MB" or "50MiB", not `64 mib`
            20:11 WB0006: `retries` must be at most 4294967295, not 5000000000
        "#]],
    );
}

#[test]
fn a_window_has_two_different_times() {
    check_brief(
        &format!("{HEAD}{SOURCE}{TABLE}[window]\nopen = \"22\"\n"),
        expect![[r#"
        11:1 WB0002: `close` is missing in `[window]` (for example `close = "05:30"`)
        12:8 WB0022: `open` must be a text like "22:00", not `22`
    "#]],
    );
    check_brief(
        &format!(
            "{HEAD}{SOURCE}{TABLE}[window]\nopen = \"22:00\"\nclose = \"22:00\"\noutside = \"stop\"\n"
        ),
        expect![[r#"
        13:9 WB0022: the window closes when it opens
        14:11 WB0005: `outside` must be one of "refuse", "wait", not `stop`
    "#]],
    );
}

#[test]
fn a_name_is_one_line() {
    check_brief(
        &format!("name = \"a\\nb\"\ntarget = \"t\"\n{SOURCE}{TABLE}"),
        expect![[r#"
        1:8 WB0032: `name` must be one line of at most 100 characters
    "#]],
    );
    check_brief(
        &format!("name = \"\"\ntarget = \"\"\n{SOURCE}{TABLE}"),
        expect![[r#"
        1:8 WB0031: `name` in the plan is empty
        2:10 WB0031: `target` in the plan is empty
    "#]],
    );
}

// --- databases and relate steps ---------------------------------------------------------------

#[test]
fn a_source_can_be_a_table_of_a_database() {
    let plan = plan(&format!(
        "{HEAD}[source.s]\ndatabase = \"postgres://app:canary-pw@old/db\"\ntable = \"legacy.checks\"\nkey = [\"a\", \"b\"]\n{TABLE}"
    ));
    let database = plan.sources[0].database().unwrap();
    assert_eq!(database.url.value.url_shown(), "postgres://app:*********@old/db");
    assert!(matches!(&database.rows, SourceRows::Table(table) if table.value == "legacy.checks"));
    let key: Vec<&str> = database.key.iter().map(|key| key.value.as_str()).collect();
    assert_eq!(key, ["a", "b"]);
    assert!(!format!("{plan:?}").contains("canary-pw"));
}

#[test]
fn a_source_can_be_a_query() {
    let plan = plan(&format!(
        "{HEAD}[source.s]\ndatabase = \"sqlite:old.db\"\nquery = \"SELECT 1 AS \\\"ID\\\"\"\n{TABLE}"
    ));
    let rows = &plan.sources[0].database().unwrap().rows;
    assert!(matches!(rows, SourceRows::Query(query) if query.value == "SELECT 1 AS \"ID\""));
}

#[test]
fn where_a_database_stands_is_no_part_of_the_mapping() {
    let digest = |url: &str, table: &str| {
        let plan =
            plan(&format!("{HEAD}[source.s]\ndatabase = \"{url}\"\ntable = \"{table}\"\n{TABLE}"));
        plan.digest(&plan.tables[0])
    };
    assert_eq!(digest("mysql://a:b@c/d", "t"), digest("sqlite:x.db", "t"));
    assert_ne!(digest("sqlite:x.db", "t"), digest("sqlite:x.db", "u"));
}

#[test]
fn a_database_says_once_which_rows() {
    check_source(
        "database = \"sqlite:x.db\"",
        expect![[r#"
        4:1 WB0016: `database` means nothing in `[source.s]` without `table` or `query`
    "#]],
    );
    check_source(
        "database = \"sqlite:x.db\"\ntable = \"a\"\nquery = \"SELECT 1\"",
        expect![[r#"
        6:9 WB0025: `[source.s]` has both `table` and `query` (one of them says which rows are read)
    "#]],
    );
    check_source(
        "table = \"a\"\ncsv = \"*.csv\"",
        expect![[r#"
        4:1 WB0016: `table` means nothing in `[source.s]` without `database`
    "#]],
    );
}

#[test]
fn what_is_about_files_is_refused_beside_a_database() {
    check_source(
        "database = \"sqlite:x.db\"\ntable = \"a\"\nnull = [\"\"]\ndelimiter = \";\"\nexclude = \"x\"\nmax_file_size = 1\nencoding = \"utf-8\"\noptional = [\"a\"]",
        expect![[r#"
            6:1 WB0016: `null` means nothing in `[source.s]` without `csv` or `tsv`
            7:1 WB0016: `delimiter` means nothing in `[source.s]` without `csv` or `tsv`
            8:1 WB0016: `exclude` means nothing in `[source.s]` without `csv`, `tsv`, `json`, `jsonl`, `markdown` or `text`
            9:1 WB0016: `max_file_size` means nothing in `[source.s]` without `csv`, `tsv`, `json`, `jsonl`, `markdown` or `text`
            10:1 WB0016: `encoding` means nothing in `[source.s]` without `csv`, `tsv`, `json`, `jsonl`, `markdown` or `text`
            11:1 WB0016: `optional` means nothing in `[source.s]` without `csv`, `tsv`, `json`, `jsonl`, `markdown` or `text`
        "#]],
    );
    check_source(
        "database = \"sqlite:x.db\"\ntable = \"a\"\ncsv = \"*.csv\"",
        expect![[r#"
        6:1 WB0025: `[source.s]` has two formats, `database` and `csv` (make two sources of it; `from = ["a", "b"]` reads both)
    "#]],
    );
}

#[test]
fn a_database_has_no_facts_of_files() {
    let source = "[source.s]\ndatabase = \"sqlite:x.db\"\ntable = \"a\"\n";
    check_brief(
        &format!(
            "{HEAD}{source}{TABLE}f = {{ fact = \"file.name\" }}\nn = {{ fact = \"record.number\" }}\n"
        ),
        expect![[r#"
            12:14 WB0034: the fact `file.name` is about files, and the table reads from a database
        "#]],
    );
    let table =
        TABLE.replace("from = ", "each = \"file\"\nfrom = ").replace("\"ID\"", "{ last = \"ID\" }");
    check_brief(
        &format!("{HEAD}{source}{table}"),
        expect![[r#"
        6:1 WB0034: `each = "file"` of a database: `s` has no files
    "#]],
    );
}

#[test]
fn relate_steps_keep_their_order_and_their_texts_for_each_engine() {
    let plan = plan(&format!(
        "{HEAD}{SOURCE}{TABLE}[[relate]]\nname = \"b\"\nsql = \"INSERT INTO u SELECT 1\"\nundo = {{ sqlite = \"DELETE FROM u\", postgres = \"TRUNCATE u\" }}\nwrites = [\"u\"]\n[[relate]]\nname = \"a\"\nsql = \"SELECT 1\"\nwrites = \"sales.u\"\ncheck = \"SELECT 1 WHERE 0 = 1\"\n"
    ));
    let names: Vec<&str> = plan.relates.iter().map(|relate| relate.name.value.as_str()).collect();
    assert_eq!(names, ["b", "a"]);
    let undo = plan.relates[0].undo.as_ref().unwrap();
    assert_eq!(undo.for_engine("postgres"), Some("TRUNCATE u"));
    assert_eq!(undo.for_engine("mysql"), None);
    assert_eq!(plan.relates[0].sql.for_engine("mysql"), Some("INSERT INTO u SELECT 1"));
    let digests =
        ["sqlite", "postgres"].map(|engine| Plan::relate_digest(&plan.relates[0], engine));
    assert_ne!(digests[0], digests[1]);
}

#[test]
fn a_tagged_dollar_quote_stays_what_it_is() {
    let plan = plan(&format!(
        "{HEAD}{SOURCE}{TABLE}[[relate]]\nname = \"a\"\nsql = \"DO $do$ BEGIN END $do$\"\nwrites = \"t\"\n"
    ));
    assert_eq!(plan.relates[0].sql.for_engine("postgres"), Some("DO $do$ BEGIN END $do$"));
}

#[test]
fn mistakes_of_relate_steps() {
    check_brief(
        &format!(
            "{HEAD}{SOURCE}{TABLE}[[relate]]\nname = \"a\"\nsql = \"SELECT 1\"\nwrites = [\"t\", \"whimbrel.runs\"]\n[[relate]]\nname = \"a\"\nsql = {{ oracle = \"x\" }}\nundo = \" \"\ncheck = {{}}\n[[relate]]\nsql = 3\nwrites = []\n"
        ),
        expect![[r#"
            14:16 WB0033: the name `whimbrel.runs` is the ledger's (name a table that does not begin with `whimbrel_`)
            15:1 WB0002: `writes` is missing in `[[relate]]` (for example `writes = ["closure"]`)
            16:8 WB0027: two `[[relate]]` are called `a`
            17:9 WB0003: unknown key `oracle` in `sql` of `[[relate]]`
            18:8 WB0031: `undo` in `[[relate]]` is empty
            19:9 WB0031: `check` in `[[relate]]` is empty
            20:1 WB0002: `name` is missing in `[[relate]]` (for example `name = "hierarchy"`)
            21:7 WB0004: `sql` must be a text, or a table with one for each engine, not a whole number
            22:10 WB0031: `writes` in `[[relate]]` is empty
        "#]],
    );
}

#[test]
fn a_rate_says_what_it_is_per() {
    let plan = plan(&format!("{HEAD}{SOURCE}{TABLE}[run]\nmax_rate = \"50000/s\"\n"));
    assert_eq!(plan.run.max_rate, Some(50_000));
    check_brief(
        &format!("{HEAD}{SOURCE}{TABLE}[run]\nmax_rate = \"50000\"\n"),
        expect![[r#"
        12:12 WB0035: `max_rate` must be a text like "50000/s", not `50000`
    "#]],
    );
}

#[test]
fn tables_may_stand_in_a_schema() {
    let text = format!("{HEAD}{SOURCE}{TABLE}").replace("into = \"t\"", "into = \"sales.orders\"");
    assert_eq!(plan(&text).tables[0].into.value, "sales.orders");
}

fn with_checks(checks: &str) -> String {
    format!("{HEAD}{SOURCE}{TABLE}{checks}")
}

#[test]
fn checks_say_one_thing_each_and_keys_fit_their_kind() {
    check(
        &with_checks(
            r#"[[check]]
name = "two"
sql = "SELECT 1"
command = ["true"]
[[check]]
name = "none"
[[check]]
name = "none"
table = "t"
rows = "true"
[[check]]
name = "kind"
table = "t"
kind = "cycles"
key = "id"
columns = "x"
[[check]]
name = "days"
table = "t"
kind = "dates"
columns = "d"
after = "1990-02-30"
[[check]]
name = "nowhere"
rows = "true"
"#,
        ),
        expect![[r#"
            error[WB0027]: `[[check]]` asks two things: `command` is the second
              --> w.toml:14:1
                |
             14 | command = ["true"]
                | ^^^^^^^
            help: make two checks of it
            error[WB0002]: `[[check]]` asks nothing
              --> w.toml:15:1
                |
             15 | [[check]]
                | ^^^^^^^^^
            help: add `rows`, `sql`, `command` or `kind`
            error[WB0027]: two `[[check]]` are called `none`
              --> w.toml:18:8
                |
             18 | name = "none"
                |        ^^^^^^
            error[WB0002]: `parent` is missing in `[[check]]`: `kind = "cycles"`
              --> w.toml:21:1
                |
             21 | [[check]]
                | ^^^^^^^^^
            error[WB0016]: `columns` means nothing with `kind = "cycles"`
              --> w.toml:26:1
                |
             26 | columns = "x"
                | ^^^^^^^
            help: it takes `key`, `parent`
            error[WB0037]: a day is written `"1990-01-31"` or `"today"`, not `1990-02-30`
              --> w.toml:32:9
                |
             32 | after = "1990-02-30"
                |         ^^^^^^^^^^^^
            error[WB0002]: `table` is missing in `[[check]]`: which rows are meant?
              --> w.toml:33:1
                |
             33 | [[check]]
                | ^^^^^^^^^
            help: a check of a source has `source = "…"` instead
        "#]],
    );
}

#[test]
fn a_bad_allowance_is_told_at_its_place() {
    check(
        &with_checks(
            r#"[[check]]
name = "a"
table = "t"
rows = "true"
allow = "50"
[[check]]
name = "b"
sql = "SELECT 1"
allow = "0.5%"
[[check]]
name = "c"
command = ["true"]
allow = 1
[[check]]
name = "d"
table = "t"
rows = "true"
allow = -1
"#,
        ),
        expect![[r#"
            error[WB0023]: `allow` must be a count or a text like "1%", not `50`
              --> w.toml:15:9
                |
             15 | allow = "50"
                |         ^^^^
            error[WB0023]: `allow` of `sql` is a count: how many rows it looks at is not known
              --> w.toml:19:1
                |
             19 | allow = "0.5%"
                | ^^^^^
            error[WB0023]: a `command` holds or not: it has no `allow`
              --> w.toml:23:1
                |
             23 | allow = 1
                | ^^^^^
            error[WB0006]: `allow` must be a count or a text like "1%", not -1
              --> w.toml:28:9
                |
             28 | allow = -1
                |         ^^
        "#]],
    );
}

#[test]
fn checks_of_sources_name_sources_that_there_are() {
    check(
        &with_checks(
            r#"[[check]]
name = "a"
source = "z"
rows = "true"
[[check]]
name = "b"
source = "s"
sql = "SELECT 1"
[[check]]
name = "c"
on = "source"
rows = "true"
[[check]]
name = "d"
source = "s"
table = "t"
rows = "true"
[[check]]
name = "e"
source = "s"
kind = "orphans"
columns = "a"
references = "s"
"#,
        ),
        expect![[r#"
            error[WB0010]: unknown source `z`
              --> w.toml:13:10
                |
             13 | source = "z"
                |          ^^^
            error[WB0038]: `s` is no database: it has no SQL
              --> w.toml:18:7
                |
             18 | sql = "SELECT 1"
                |       ^^^^^^^^^^
            help: `rows` says in CEL what must hold for each record
            error[WB0002]: `source` is missing in `[[check]]`: which one is meant?
              --> w.toml:19:1
                |
             19 | [[check]]
                | ^^^^^^^^^
            error[WB0016]: `table` is the target's, and the check is of a source
              --> w.toml:26:9
                |
             26 | table = "t"
                |         ^^^
            error[WB0002]: `key` is missing in `[[check]]`: records have none of their own
              --> w.toml:28:1
                |
             28 | [[check]]
                | ^^^^^^^^^
        "#]],
    );
}

#[test]
fn checks_decode() {
    let plan = plan(&with_checks(
        "[[check]]\nname = \"a\"\ntable = \"t\"\nrows = \"id > 0\"\nallow = \"0.5%\"\ntimeout = \"30s\"\nlevel = \"standard\"\nseverity = \"warning\"\n\
         [[query]]\nname = \"q\"\nsql = \"SELECT 1\"\nbudget = \"50ms\"\n",
    ));
    let check = &plan.checks[0];
    assert_eq!(check.allow, Budget::Ratio(0.005));
    assert_eq!((check.timeout.as_secs(), check.name.value.as_str()), (30, "a"));
    assert_eq!(plan.queries[0].budget.as_millis(), 50);
}

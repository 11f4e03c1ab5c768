//! What changes the digest of a step and what does not.

use proptest::prelude::*;
use whimbrel_model::plan::{Plan, decode};

const EXTRUDER: &str = include_str!("../../../fixtures/extruder/whimbrel.toml");
const CONTENT: &str = include_str!("../../../fixtures/content/whimbrel.toml");

fn plan(text: &str) -> Plan {
    let decoded = decode(text, &|_| None, &|_| Err(std::io::ErrorKind::NotFound.into()));
    decoded.unwrap_or_else(|errors| {
        panic!("{}", errors.iter().map(|error| error.render("w", text)).collect::<String>())
    })
}

fn digests(text: &str) -> Vec<[u8; 32]> {
    let plan = plan(text);
    plan.tables.iter().map(|table| plan.digest(table)).collect()
}

/// Names of the tables whose step is another after the change.
fn check(right: &str, changed: &str, expected: &[&str]) {
    let text = EXTRUDER.replacen(right, changed, 1);
    assert_ne!(text, EXTRUDER, "`{right}` is in the plan");
    let before = plan(EXTRUDER);
    let (old, new) = (digests(EXTRUDER), digests(&text));
    let differs = old.iter().zip(&new).zip(&before.tables).filter(|((old, new), _)| old != new);
    let names: Vec<&str> = differs.map(|(_, table)| table.into.value.as_str()).collect();
    assert_eq!(names, expected, "{changed}");
}

#[test]
fn comments_blanks_and_limits_change_nothing() {
    check("name     = ", "# a comment\nname = ", &[]);
    check(
        "max = \"5%\"",
        "max = 3\n[run]\nbatch_size = 7\n[window]\nopen = \"01:00\"\nclose = \"02:00\"",
        &[],
    );
    check("sqlite:extruder.db", "sqlite:other.db", &[]);
    check("\"extruder-telemetry\"", "\"other\"", &[]);
    check("ignore   = [\"Time_Str\"]", "", &[]);
    check("ignore   = [\"Time_Str\"]", "ignore = [\"Time_Str\"]\nsensitive = [\"Status\"]", &[]);
}

#[test]
fn the_order_of_keys_columns_and_markers_changes_nothing() {
    check(
        "null     = [\"\", \"nan\", \"NAN\", \"inf\"]",
        "null = [\"inf\", \"NAN\", \"\", \"nan\"]",
        &[],
    );
    check(
        "level       = \"level\"\ncomponent   = \"component\"",
        "component = \"component\"\nlevel = \"level\"",
        &[],
    );
    check(
        "READY    = \"completed\"\nSTOPPING = \"completed\"",
        "STOPPING = \"completed\"\nREADY = \"completed\"",
        &[],
    );
}

#[test]
fn a_default_that_is_said_changes_nothing() {
    check(
        "into  = \"logger_events\"",
        "into = \"logger_events\"\neach = \"record\"\nexisting = \"reject\"",
        &[],
    );
    check("\"level\"\n", "{ from = \"level\", trim = false, invalid = \"reject\" }\n", &[]);
    check("jsonl = ", "encoding = \"utf-8\"\nmax_record_size = \"64MiB\"\njsonl = ", &[]);
}

#[test]
fn the_name_of_a_map_changes_nothing() {
    let text = EXTRUDER.replace("run_status", "ends");
    assert_eq!(digests(&text), digests(EXTRUDER));
}

#[test]
fn a_source_changes_the_steps_that_read_it() {
    check("run_*.csv", "run_2*.csv", &["runs", "run_samples"]);
    check("jsonl = ", "max_file_size = 5\nlarge_files = \"skip\"\njsonl = ", &["logger_events"]);
}

#[test]
fn a_map_changes_the_steps_that_use_it() {
    check("READY    = \"completed\"", "READY = \"done\"", &["runs"]);
}

#[test]
fn an_expression_changes_its_step() {
    check("{ from = \"T2_Mid\", invalid = \"null\" }", "\"T2_Mid\"", &["run_samples"]);
    check(
        "where = \"component == 'logger'\"",
        "where = \"component != 'logger'\"",
        &["logger_events"],
    );
    check("map_other = \"null\"", "map_other = \"keep\"", &["runs"]);
}

#[test]
fn the_timezone_changes_every_step() {
    check(
        "Europe/Berlin",
        "Europe/Paris",
        &["config_profiles", "runs", "run_samples", "logger_events"],
    );
}

#[test]
fn the_canonical_text_is_one_line_an_entry() {
    let plan = plan(CONTENT);
    let text = plan.canonical_text(&plan.tables[0]);
    assert!(text.starts_with("whimbrel step 1\nfrom \"json\"\n  format json\n"), "{text}");
    assert!(text.contains("\ncolumn \"title\" {first [{from \"title\"} {from \"heading\"} {fact file.stem}], trim true}\n"), "{text}");
}

/// A plan with some of its characters removed, doubled or replaced.
fn mutated() -> impl Strategy<Value = String> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0_u8..4, any::<char>()), 1..6);
    (prop::sample::select(vec![EXTRUDER, CONTENT]), edits).prop_map(|(plan, edits)| {
        let mut chars: Vec<char> = plan.chars().collect();
        for (index, edit, c) in edits {
            let at = index.index(chars.len());
            match edit {
                0 => drop(chars.remove(at)),
                1 => chars.insert(at, c),
                2 => chars[at] = ['"', '[', ']', '{', '}', '=', '\n', '$'][c as usize % 8],
                _ => {
                    let other = (at * 7 + 11) % chars.len();
                    chars.swap(at, other);
                }
            }
        }
        chars.into_iter().collect()
    })
}

proptest! {
    #[test]
    fn a_mutated_plan_decodes_or_says_why(text in mutated()) {
        match decode(&text, &|_| None, &|_| Err(std::io::ErrorKind::NotFound.into())) {
            Ok(plan) => {
                prop_assert_eq!(plan.order().len(), plan.tables.len());
                for table in &plan.tables {
                    prop_assert_eq!(plan.digest(table), plan.digest(table));
                }
            }
            Err(errors) => {
                prop_assert!(!errors.is_empty());
                for error in errors {
                    prop_assert!(error.render("w.toml", &text).starts_with("error[WB00"));
                }
            }
        }
    }

    #[test]
    fn any_text_decodes_or_says_why(text in "\\PC{0,60}") {
        let decoded = decode(&text, &|_| None, &|_| Err(std::io::ErrorKind::NotFound.into()));
        prop_assert!(decoded.is_err_and(|errors| !errors.is_empty()));
    }
}

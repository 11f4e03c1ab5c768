//! `each = "file"`: one row per file, from its facts and its records.

use expect_test::expect;

use crate::harness::Trial;

fn file(columns: &str, table: &str) -> Trial {
    Trial::new(&format!(
        "[source.s]\ncsv = \"*\"\n[[table]]\ninto = \"t\"\nfrom = \"s\"\neach = \"file\"\nkey = [\"zz\"]\n[table.columns]\nzz = {{ fact = \"file.path\" }}\n{columns}"
    ))
    .table(&format!("zz text, {table}"))
}

#[test]
fn aggregates_look_at_all_records() {
    let trial = file(
        "l = { last = \"s\", strip_suffix = \"_P\", map = \"m\", map_other = \"null\", default = \"none\" }\nf = { first_of = \"s\" }\nc = { count = true }\nlo = { min = \"x\" }\nhi = { max = \"x\" }\nsum = { sum = \"x\" }\n[map.m]\nRUN = \"running\"",
        "l text, f text, c integer, lo double, hi double, sum decimal",
    );
    trial.check(
        "s|x\nREADY|10\nRUN_P|9.5\n~|-1",
        &expect![[r#"file: "running" | "READY" | 3 | -1.0 | 10.0 | 18.5"#]],
    );
    trial.check("s|x", &expect![[r#"file: "none" | NULL | 0 | NULL | NULL | NULL"#]]);
    trial.check(
        "s|x\nREADY|1\n!!|",
        &expect![[r#"
        file: "none" | "READY" | 1 | 1.0 | 1.0 | 1
        note WB0265 l × 1: 0:"READY"
        note WB0271  × 1: 2:"WB0101""#]],
    );
    trial.check("s|x\nREADY|abc", &expect![[r#"file: WB0256 column `lo`: not a number"#]]);
}

#[test]
fn values_that_cannot_be_aggregated_are_left_out_as_declared() {
    file("hi = { max = \"x\", null = [\"-\"], invalid = \"null\" }", "hi double").check(
        "x\n1\nnan\n-\n3",
        &expect![[r#"
            file: 3.0
            note WB0260 hi × 1: 2:"nan""#]],
    );
}

#[test]
fn instants_are_aggregated_by_their_formats() {
    file("hi = { max = \"x\", timestamp = [\"%d.%m.%Y %H:%M\"] }", "hi timestamptz").check(
        "x\n2.1.2024 00:00\n10.1.2024 00:00\n9.1.2024 23:00",
        &expect!["file: 2024-01-10T00:00:00Z"],
    );
}

#[test]
fn days_are_aggregated_as_days_in_any_zone() {
    let mut trial = file("hi = { max = \"x\", timestamp = \"%d.%m.%Y\" }", "hi date");
    trial.plan = trial.plan.replace("[source.s]", "timezone = \"Europe/Berlin\"\n[source.s]");
    trial.check("x\n2.1.2024\n10.1.2024\n9.1.2024", &expect!["file: 2024-01-10"]);
}

#[test]
fn the_largest_of_instants_is_the_last_whatever_their_offsets() {
    file("hi = { max = \"x\" }\nlo = { min = \"x\" }", "hi timestamptz, lo timestamptz").check(
        "x\n2024-01-01T00:30:00+02:00\n2023-12-31T23:00:00Z",
        &expect!["file: 2023-12-31T23:00:00Z | 2023-12-31T22:30:00Z"],
    );
    file("hi = { max = \"x\" }", "hi timestamptz").check(
        "x\nyesterday\n2023-12-31T23:00:00Z",
        &expect!["file: WB0236 column `hi`: not a date or time in the expected form"],
    );
}

#[test]
fn a_file_is_a_unit_with_its_text() {
    let mut trial = Trial::new(
        "[source.s]\njson = \"*\"\n[[table]]\ninto = \"t\"\nfrom = \"s\"\neach = \"file\"\nkey = [\"id\"]\n[table.columns]\nid = { uuid5 = [{ fact = \"file.path\" }] }\nv = { fact = \"source.ordinal\" }\nc = { fact = \"file.text\", type = \"json\" }\ns = { canonical_json = { fact = \"file.text\" } }\nat = { fact = \"file.mtime\" }",
    )
    .table("id text, v integer, c json, s text(64), at timestamptz");
    trial.text = Some(Ok("{ \"b\": 1.0 }".into()));
    trial.check("{}", &expect![[r#"file: "580d68d2-de35-5830-a6ba-0701417ba271" | 1 | { "b": 1.0 } | "eb8ed3ccb5023093b56f490a46501e88d09736687e609fdbc1c71b3df8b9ccd3" | 2023-11-14T22:13:20Z"#]]);
    trial.text = Some(Ok("{ \"b\": NaN }".into()));
    trial.check("{}", &expect![[r#"file: WB0241 column `c`: line 1, column 8, byte 7: `NaN` and `Infinity` are not JSON: `{ "b": NaN }`"#]]);
    trial.text = Some(Err("not UTF-8".into()));
    trial.check("{}", &expect!["file: WB0255 column `c`: not UTF-8"]);
    assert!(!trial.compile("{}").unwrap().needs().records);
}

#[test]
fn where_leaves_files_out() {
    let plan = "[source.s]\ncsv = \"*\"\nignore = [\"x\"]\n[[table]]\ninto = \"t\"\nfrom = \"s\"\neach = \"file\"\nkey = [\"zz\"]\nwhere = \"n > 1\"\n[table.let]\nn = { count = true }\n[table.columns]\nzz = { fact = \"file.path\" }";
    Trial::new(plan).table("zz text").check(
        "x\n1",
        &expect![[r#"
        file: filtered by n > 1
        note WB0268 n > 1 × 1: 0:"""#]],
    );
    Trial::new(plan).table("zz text").check("x\n1\n2", &expect!["file:"]);
}

#[test]
fn a_file_refers_to_rows_too() {
    let mut trial = Trial::new(
        "[source.p]\njson = \"*\"\n[source.s]\ncsv = \"*\"\nignore = [\"x\"]\n[[table]]\ninto = \"p\"\nfrom = \"p\"\nkey = [\"id\"]\n[table.columns]\nid = { uuid5 = [\"a\"] }\n[[table]]\ninto = \"t\"\nfrom = \"s\"\neach = \"file\"\nkey = [\"zz\"]\n[table.columns]\nzz = { fact = \"file.path\" }\np = { ref = \"p\", by = { last = \"a\" } }",
    )
    .table("zz text, p uuid");
    trial.mapping = 1;
    trial.parents = vec![("p".into(), "2".into(), whimbrel_model::Value::Uuid([7; 16]))];
    trial.check("a|x\n1|\n2|", &expect!["file: 07070707-0707-0707-0707-070707070707"]);
    trial.check(
        "a|x\n1|",
        &expect!["file: WB0247 column `p`: no row of `p` was made from this record: `1`"],
    );
    let step = trial.compile("a|x").unwrap();
    let id = whimbrel_model::PartitionId { source: "s".into(), path: "f".into() };
    let facts = whimbrel_transform::PartitionFacts::new(id, std::sync::Arc::default(), 1);
    let mut state = step.start(0, &facts, None).unwrap();
    let chunk = &crate::harness::chunks(&step, 0, "a|x\n1|\n2|", 9)[0];
    assert!(step.lookups(&state, chunk).is_empty());
    let mut out = whimbrel_transform::Out::new(&step);
    step.apply(&mut state, chunk, &whimbrel_transform::Lookups::default(), &mut out);
    assert_eq!(step.finish_lookups(&state)[0].keys, ["2"]);
}

#[test]
fn a_state_stays_small_whatever_it_carries() {
    let columns: String = (0..20)
        .map(|index| format!("c{index} = {{ last = \"a\" }}\n"))
        .collect::<Vec<_>>()
        .concat();
    let table: Vec<String> = (0..20).map(|index| format!("c{index} text")).collect();
    let trial = file(&columns, &table.join(", "));
    let step = trial.compile("a").unwrap();
    let id = whimbrel_model::PartitionId { source: "s".into(), path: "f".into() };
    let facts = whimbrel_transform::PartitionFacts::new(id, std::sync::Arc::default(), 1);
    let mut state = step.start(0, &facts, None).unwrap();
    for length in [2_000, 3_000] {
        let records = format!("a\n{}", "x".repeat(length));
        let mut out = whimbrel_transform::Out::new(&step);
        let chunk = &crate::harness::chunks(&step, 0, &records, 9)[0];
        step.apply(&mut state, chunk, &whimbrel_transform::Lookups::default(), &mut out);
        assert!(state.save().len() < whimbrel_transform::STATE_BYTES_MAX);
    }
    let outcome = trial.outcome(&format!("a\n{}", "x".repeat(3_000)));
    assert!(outcome.starts_with("file: WB0258 column `c0`"), "{outcome}");
}

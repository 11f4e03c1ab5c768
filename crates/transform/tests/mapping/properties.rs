//! What holds for every input.

use proptest::prelude::*;

use crate::harness::Trial;

fn clocks_and_more() -> Trial {
    Trial::new(
        "timezone = \"Europe/Berlin\"\n[source.s]\ncsv = \"*\"\n[[table]]\ninto = \"t\"\nfrom = \"s\"\nkey = [\"zz\"]\nwhere = \"s != 'IGNORE'\"\nduplicates = { by = [\"b\"] }\n[table.columns]\nzz = { fact = \"record.number\" }\na = { from = \"a\", timestamp = [\"unix\", \"%H:%M:%S%.f\"], start = { fact = \"file.stem\", timestamp = \"run_%Y%m%d_%H%M%S\", fold = \"earlier\" } }\nb = { from = \"b\", invalid = \"null\" }\nc = { cel = \"size(s) + 1\" }",
    )
    .table("zz integer, a timestamptz, b double, c integer")
}

fn file_of_aggregates() -> Trial {
    Trial::new(
        "[source.s]\ncsv = \"*\"\n[[table]]\ninto = \"t\"\nfrom = \"s\"\neach = \"file\"\nkey = [\"zz\"]\n[table.columns]\nzz = { fact = \"file.path\" }\nl = { last = \"s\" }\nf = { first_of = \"a\" }\nn = { count = true }\nm = { max = \"b\", invalid = \"null\" }\nx = { sum = \"b\", invalid = \"null\" }",
    )
    .table("zz text, l text, f text, n integer, m double, x decimal")
}

fn records() -> impl Strategy<Value = String> {
    let record = prop_oneof![
        5 => (0u32..24, 0u32..60, 0u32..60, 0u32..1_000, "[A-Z]{0,6}").prop_map(|(h, m, s, ms, word)| {
            format!("{h:02}:{m:02}:{s:02}.{ms:03}|{}.{}|{word}", h * m, s)
        }),
        1 => Just("02:30:00|nan|IGNORE".to_owned()),
        1 => Just("!!torn".to_owned()),
        1 => "[ -{}~]{0,20}",
        1 => "\\PC{0,10}\\|\\PC{0,10}\\|\\PC{0,10}",
    ];
    proptest::collection::vec(record, 0..30).prop_map(|records| {
        let records: Vec<String> =
            records.into_iter().map(|record| record.replace(['\n', '\r'], " ")).collect();
        format!("a|b|s\n{}", records.join("\n"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn chunks_and_resuming_change_nothing(records in records(), size in 1usize..8, resume in any::<bool>(), file in any::<bool>()) {
        let trial = if file { file_of_aggregates() } else { clocks_and_more() };
        let whole = trial.outcome(&records);
        let cut = Trial { chunk: size, resume, ..trial }.outcome(&records);
        prop_assert_eq!(whole, cut);
    }

    #[test]
    fn every_record_is_one_unit_and_rejected_ones_have_no_rows(records in records()) {
        let outputs = clocks_and_more().run(&records).unwrap();
        let units: usize = outputs.iter().map(|output| output.units.len()).sum();
        prop_assert_eq!(units, records.lines().count() - 1);
        for output in &outputs {
            prop_assert_eq!(output.rows.len(), output.row_units.len());
            prop_assert_eq!(output.legacy_keys.len(), output.rows.len());
            prop_assert_eq!(output.duplicates.len(), output.units.len());
            for unit in &output.row_units {
                let fate = &output.units[*unit as usize].fate;
                prop_assert!(matches!(fate, whimbrel_transform::UnitFate::Rows(1)));
            }
        }
    }

    #[test]
    fn no_expression_of_cel_panics(cel in "[a-c(!][a-c0-9+*.()\\[\\]\"! &|<>=?:,{}]{0,30}") {
        let columns = format!("x = {{ cel = '''{cel}''' }}");
        let trial = Trial::columns(&columns, "x text");
        if trial.compile("a|b|c").is_ok() {
            trial.outcome("a|b|c\n1|2|3\n~|x|");
        }
    }

    #[test]
    fn no_saved_state_panics(saved in proptest::collection::vec(any::<u8>(), 0..60)) {
        let step = file_of_aggregates().compile("a|b|s").unwrap();
        let id = whimbrel_model::PartitionId { source: "s".into(), path: "f".into() };
        let facts = whimbrel_transform::PartitionFacts::new(id, std::sync::Arc::default(), 1);
        let _ = step.start(0, &facts, Some(&saved));
    }
}

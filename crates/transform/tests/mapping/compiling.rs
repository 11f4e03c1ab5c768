//! Mistakes that are known before a record is read, and where they are.

use expect_test::{Expect, expect};
use whimbrel_model::plan;
use whimbrel_transform::{Environment, Step};

use crate::harness::Trial;

fn check(columns: &str, table: &str, header: &str, expected: &Expect) {
    let trial = Trial::columns(columns, table);
    expected
        .assert_eq(&trial.compile(header).map_or_else(|errors| errors, |_| "compiles".to_owned()));
}

#[test]
fn unknown_columns_have_suggestions() {
    check(
        "a = \"stauts\"",
        "a text",
        "status",
        &expect![[r#"WB0201 at `"stauts"`: `s` has no column `stauts` (did you mean `status`?)"#]],
    );
    check(
        "a = \"a\"\nbb = \"b\"",
        "a text, b text",
        "a|b",
        &expect!["WB0203 at `bb`: table `t` has no column `bb`"],
    );
}

#[test]
fn every_column_of_a_header_is_accounted_for() {
    check("a = { cel = \"row['b c'] + a\" }", "a text", "a|b c", &expect!["compiles"]);
    check(
        "a = \"a\"",
        "a text",
        "a|b",
        &expect![
            "WB0202 at `s`: column `b` of `s` is carried nowhere (use it, or list it under `ignore` or `archive` of `[source.s]`)"
        ],
    );
    check("a = { fact = \"record.text\" }", "a text", "a|b", &expect!["compiles"]);
}

#[test]
fn columns_that_only_some_files_have_must_be_optional() {
    let mut trial = Trial::columns("a = \"a\"", "a text");
    let plan = trial.plan();
    let shape = |names: &[&str]| whimbrel_model::Shape {
        columns: names
            .iter()
            .map(|name| whimbrel_model::ShapeColumn { name: (*name).into(), kind: None })
            .collect(),
        closed: true,
        format: String::new(),
    };
    let shapes = vec![shape(&["a"]), shape(&["b"])];
    let sources = vec![whimbrel_transform::SourceShape { source: "s".into(), shapes }];
    let environment = Environment { sources, ..Environment::default() };
    let errors = Step::compile(&plan, &plan.tables[0], &environment).unwrap_err();
    assert_eq!(errors[0].message, "some files of `s` have no column `a`");
    trial.plan =
        trial.plan.replace("csv = \"*\"", "csv = \"*\"\noptional = [\"a\"]\nignore = [\"b\"]");
    let plan = trial.plan();
    assert!(Step::compile(&plan, &plan.tables[0], &environment).is_ok());
}

#[test]
fn required_columns_must_be_filled() {
    check(
        "a = \"a\"",
        "a text, b text!, c text=!",
        "a",
        &expect![[r#"WB0204 at `"t"`: `t.b` is required, and nothing fills it"#]],
    );
}

#[test]
fn keys_must_not_become_null() {
    let plan = "[source.s]\ncsv = \"*\"\n[[table]]\ninto = \"t\"\nfrom = \"s\"\nkey = [\"a\"]\n[table.columns]\na = { from = \"a\", invalid = \"null\" }";
    let errors = Trial::new(plan).table("a integer").compile("a").unwrap_err();
    expect![[r#"WB0205 at `{ from = "a", invalid = "null" }`: key column `a` could become NULL"#]]
        .assert_eq(&errors);
}

#[test]
fn kinds_that_never_convert_are_refused() {
    check(
        "a = { uuid5 = [\"a\"] }",
        "a integer",
        "a",
        &expect![[
            r#"WB0206 at `{ uuid5 = ["a"] }`: `a` holds integer, the expression gives uuid"#
        ]],
    );
    check(
        "a = { fact = \"file.mtime\" }\nb = \"a\"",
        "a double, b bytes",
        "a",
        &expect![[r#"
        WB0206 at `{ fact = "file.mtime" }`: `a` holds double, the expression gives timestamptz
        WB0206 at `"a"`: `b` holds bytes, the expression gives text"#]],
    );
    check(
        "a = { from = \"a\", default = \"x\" }",
        "a integer",
        "a",
        &expect![[
            r#"WB0217 at `{ from = "a", default = "x" }`: `x` is no integer: not an integer as it stands"#
        ]],
    );
}

#[test]
fn mistakes_in_cel_point_into_the_plan() {
    check(
        "a = { cel = \"size(a) > \" }",
        "a boolean",
        "a",
        &expect![[r#"WB0208 at `"`: CEL: mismatched input the end of the expression"#]],
    );
    check(
        "a = { cel = \"size(a) + nme\" }",
        "a integer",
        "a|name",
        &expect!["WB0209 at `nme`: `s` has no column `nme` (did you mean `name`?)"],
    );
    check(
        "a = { cel = 'row[a]' }",
        "a text",
        "a",
        &expect!["WB0210 at `row[a`: the name in `row[…]` must be a literal text"],
    );
    check(
        "a = { cel = \"a + new.a\" }",
        "a text",
        "a",
        &expect!["WB0209 at `new.a`: `new` is known in rules only"],
    );
    check(
        "a = { cel = '''\nsiz(a)''' }",
        "a integer",
        "a",
        &expect!["WB0209 at `siz`: unknown function `siz` (did you mean `size`?)"],
    );
}

#[test]
fn formats_zones_patterns_and_maps_are_tried_beforehand() {
    check(
        "a = { from = \"a\", timestamp = \"%Y-%q\" }",
        "a timestamp",
        "a",
        &expect![[
            r#"WB0211 at `"%Y-%q"`: format `%Y-%q`: strptime parsing failed: found unrecognized specifier directive `q`"#
        ]],
    );
    check(
        "a = { from = \"a\", timestamp = \"%H:%M\" }",
        "a timestamptz",
        "a",
        &expect![[r#"WB0219 at `"%H:%M"`: `%H:%M` has no day, and `start` is not said"#]],
    );
    check(
        "a = { from = \"a\", timestamp = \"%H:%M\", start = { from = \"a\", timestamp = \"%F\" } }",
        "a timestamptz",
        "a",
        &expect![[
            r#"WB0219 at `{ from = "a", timestamp = "%F" }`: `start` is the same for all records of a file: it can only be made of the file's facts"#
        ]],
    );
    check(
        "a = { from = \"a\", timestamp = \"%F\", timezone = \"Europe/Berlinn\" }",
        "a timestamptz",
        "a",
        &expect![[r#"WB0213 at `"Europe/Berlinn"`: unknown time zone `Europe/Berlinn`"#]],
    );
    check(
        "a = { from = \"a\", matches = \"(\" }",
        "a text",
        "a",
        &expect![[r#"WB0212 at `"("`: `matches`: unclosed group"#]],
    );
    check("a = \"/b\"", "a text", "a", &expect![[r#"WB0201 at `"/b"`: `s` has no column `b`"#]]);
}

#[test]
fn tables_are_made_from_the_mapping_where_there_is_none() {
    let mut trial = Trial::json(
        "a = { uuid5 = [{ fact = \"file.path\" }] }\nb = { from = \"b\", timestamp = \"unix\" }\nc = \"c\"\nd = { from = \"d\", type = \"decimal(9,2)\" }\nf = { from = \"f\", list = { split = [\",\"] } }\ng = { fact = \"record.line\" }\nh = { concat = [\"c\", \"d\"] }",
        "",
    );
    trial.table = None;
    let step = trial.compile("{}").unwrap();
    let kinds: Vec<String> = step
        .table()
        .columns
        .iter()
        .map(|column| format!("{} {}", column.name, column.kind.name()))
        .collect();
    expect!["zz integer, a uuid, b timestamptz, c any, d decimal(9,2), f json, g integer, h text"]
        .assert_eq(&kinds.join(", "));
    assert_eq!(step.table().key, [0]);
    assert!(!step.table().columns[0].nullable && step.table().columns[1].nullable);
}

#[test]
fn the_plans_of_the_fixtures_compile() {
    for name in ["extruder", "content"] {
        let path = format!("{}/../../fixtures/{name}/whimbrel.toml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let plan =
            plan::decode(&text, &|_| None, &|_| Err(std::io::Error::other("no files"))).unwrap();
        for mapping in &plan.tables {
            let environment = Environment { referenced: true, ..Environment::default() };
            if let Err(errors) = Step::compile(&plan, mapping, &environment) {
                let shown: Vec<String> =
                    errors.iter().map(|error| error.render("plan", &text)).collect();
                panic!("{}", shown.join("\n"));
            }
        }
    }
}

#[test]
fn a_table_with_two_key_columns_cannot_be_referred_to() {
    let plan = "[source.s]\ncsv = \"*\"\n[[table]]\ninto = \"p\"\nfrom = \"s\"\nkey = [\"a\", \"b\"]\nlegacy_key = [\"a\"]\n[table.columns]\na = \"a\"\nb = \"b\"\n[[table]]\ninto = \"t\"\nfrom = \"s\"\nkey = [\"a\"]\n[table.columns]\na = \"a\"\nparent = { ref = \"p\", by = \"b\" }";
    let trial = Trial { mapping: 1, ..Trial::new(plan) };
    expect![[r#"WB0216 at `"p"`: `p` has no key of a single column to refer to"#]]
        .assert_eq(&trial.compile("a|b").expect_err("a mistake"));
}

#[test]
fn a_mark_carries_sixty_four_aggregates() {
    let of = |count: usize| {
        let column = |number| format!("c{number} = {{ last = \"a\" }}\n");
        let columns = (0..count).map(column).collect::<Vec<_>>().concat();
        let plan = format!(
            "[source.s]\ncsv = \"*\"\n[[table]]\ninto = \"t\"\nfrom = \"s\"\neach = \"file\"\n\
             key = [\"zz\"]\n[table.columns]\nzz = {{ fact = \"file.path\" }}\n{columns}"
        );
        Trial::new(&plan).compile("a").map(|_| ())
    };
    assert_eq!(of(64), Ok(()));
    let errors = of(65).expect_err("one too many");
    assert!(
        errors.starts_with("WB0221 at ")
            && errors.ends_with(": more than 64 clocks or aggregates in one table"),
        "{errors}"
    );
}

#[test]
fn a_state_that_cannot_be_read_begins_nothing() {
    use std::sync::Arc;

    use whimbrel_model::{FileFacts, PartitionId};
    use whimbrel_transform::PartitionFacts;

    let trial = Trial::columns(
        "a = { from = \"a\", timestamp = \"%H:%M\", start = { fact = \"file.mtime\" } }",
        "a timestamptz",
    );
    let step = trial.compile("a").expect("it compiles");
    let id = PartitionId { source: "s".into(), path: "a.csv".into() };
    let facts = PartitionFacts::new(id, Arc::new(FileFacts::default()), 1);
    let sound = step.start(0, &facts, None).expect("a fresh state").save();
    assert!(step.start(0, &facts, Some(&sound)).is_ok());
    for damaged in [&sound[..sound.len() - 1], b"", b"another form"] {
        let error = step.start(0, &facts, Some(damaged)).expect_err("it is damaged");
        assert_eq!(error.code, "WB0220", "{damaged:?}");
    }
}

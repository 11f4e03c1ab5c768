//! Many small plans on many small records.

use proptest::prelude::*;
use proptest::sample::select;
use whimbrel_validator::interpret::Holds;

use crate::harness::Trial;

/// A cell, hostile ones too, without what ends cells and records here.
fn cell() -> impl Strategy<Value = String> {
    let time =
        (0u32..25, 0u32..61, 0u32..61, 0u32..2_000).prop_map(|(hour, minute, second, milli)| {
            format!("{hour:02}:{minute:02}:{second:02}.{milli:03}")
        });
    let local = (2020i32..2026, 1u32..13, 1u32..32, 0u32..24, 0u32..60).prop_map(
        |(year, month, day, hour, minute)| {
            format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:00")
        },
    );
    // Around the hours that come twice, or not at all.
    let odd = (
        select(vec![
            "2024-03-31",
            "2024-10-27",
            "2024-03-10",
            "2024-11-03",
            "2024-04-07",
            "2024-10-06",
        ]),
        0u32..4,
        0u32..60,
    );
    let odd = odd.prop_map(|(day, hour, minute)| format!("{day}T{hour:02}:{minute:02}:00"));
    prop_oneof![
        2 => "-?[0-9]{1,4}(\\.[0-9]{1,3})?",
        1 => "-?[0-9]{1,22}(\\.[0-9]{1,12})?([eE][-+]?[0-9]{1,3})?",
        2 => time,
        2 => local,
        2 => odd,
        1 => any::<i32>().prop_map(|seconds| seconds.to_string()),
        1 => select(vec!["", "~", "true", "false", "nan", "A", "b", " a ", "A_P", "x,y;x, ,z", "[1,\"b\",null]", "{\"k\":1.0}", "\\0"]).prop_map(str::to_owned),
        1 => "[ -{}~]{0,12}",
        1 => "\\PC{0,8}",
    ]
    .prop_map(|cell| cell.replace(['|', '\n', '\r'], " "))
}

fn records() -> impl Strategy<Value = String> {
    let record = prop_oneof![
        12 => (cell(), cell(), cell()).prop_map(|(a, b, c)| format!("{a}|{b}|{c}")),
        1 => Just("!!torn".to_owned()),
    ];
    proptest::collection::vec(record, 1..12).prop_map(|records| {
        let records = records
            .into_iter()
            .map(|record| if record.starts_with('{') { format!(" {record}") } else { record });
        format!("a|b|c\n{}", records.collect::<Vec<_>>().join("\n"))
    })
}

const KINDS: &[&str] = &[
    "boolean",
    "smallint",
    "integer",
    "unsigned",
    "decimal",
    "decimal(6,2)",
    "double",
    "text",
    "text(6)",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "uuid",
    "json",
    "any",
];

/// Something that is done to a value.
fn operations() -> impl Strategy<Value = String> {
    let one = select(vec![
        "trim = true",
        "lower = true",
        "newlines = true",
        "null = [\"\", \"nan\", \"1\"]",
        "strip_prefix = \"A\"",
        "strip_suffix = \"_P\"",
        "map = \"m\", map_other = \"keep\"",
        "map = \"m\", map_other = \"null\"",
        "list = { split = [\",\", \";\"], unique = true }",
        "matches = \"[0-9a]\"",
        "max_chars = 7",
        "invalid = \"null\"",
        "invalid = \"default\", default = \"1\"",
        "default = \"0\"",
        "round = true",
        "timezone = \"America/New_York\"",
        "timezone = \"Australia/Lord_Howe\"",
        "timestamp = [\"unix\", \"iso8601\", \"%Y-%m-%d %H:%M\"]",
        "timestamp = [\"rfc3339\", \"%Y-%m-%dT%H:%M:%S\", \"%d.%m.%Y\"], fold = \"earlier\"",
        "timestamp = [\"%Y-%m-%dT%H:%M:%S\"], fold = \"later\"",
        "timestamp = [\"unix\", \"%H:%M:%S%.f\"], start = { fact = \"file.stem\", timestamp = \"run_%Y%m%d_%H%M%S\", fold = \"earlier\" }",
    ]);
    proptest::collection::vec(one, 0..4).prop_map(|chosen| {
        let mut keys: Vec<&str> = Vec::new();
        let mut text = String::new();
        for operation in chosen {
            let own: Vec<&str> =
                operation.split(", ").filter_map(|part| part.split(" = ").next()).collect();
            if own.iter().all(|key| !keys.contains(key)) {
                keys.extend(own);
                text += &format!(", {operation}");
            }
        }
        text
    })
}

fn field() -> impl Strategy<Value = &'static str> {
    select(vec![
        "\"a\"",
        "\"b\"",
        "\"c\"",
        "\"l\"",
        "{ value = 7 }",
        "{ fact = \"record.number\" }",
    ])
}

fn expression() -> impl Strategy<Value = String> {
    let part = (select(vec!["a", "b", "c", "l"]), operations())
        .prop_map(|(name, rest)| format!("{{ from = \"{name}\"{rest} }}"))
        .boxed();
    let base = prop_oneof![
        4 => select(vec!["a", "b", "c", "l", "k"]).prop_map(|name| format!("from = \"{name}\"")),
        1 => (part.clone(), field()).prop_map(|(a, b)| format!("first = [{a}, {b}]")),
        1 => (part.clone(), field()).prop_map(|(a, b)| format!("concat = [{a}, {b}], separator = \"/\"")),
        1 => (part.clone(), -2i32..3).prop_map(|(a, part)| format!("split = {a}, by = \"-\", part = {}", if part == 0 { 1 } else { part })),
        1 => (part.clone(), field()).prop_map(|(a, b)| format!("uuid5 = [{a}, {b}]")),
        1 => (part.clone(), field()).prop_map(|(a, b)| format!("hash = \"sha256\", of = [{a}, {b}]")),
        1 => (part.clone(), field()).prop_map(|(a, b)| format!("object = {{ p = {a}, q = {b} }}")),
        1 => part.prop_map(|a| format!("canonical_json = {a}")),
        1 => select(vec!["a", "a + b", "size(a) > 2", "a == null ? 'none' : a", "int(a) * 2", "double(b) / 2.0", "[a, b]", "l", "a.matches('[0-9]+')"]).prop_map(|cel| format!("cel = \"{cel}\"")),
    ];
    (base, operations()).prop_map(|(base, rest)| format!("{{ {base}{rest} }}"))
}

fn of_files() -> impl Strategy<Value = String> {
    let base = (select(vec!["last", "first_of", "min", "max", "sum"]), select(vec!["a", "b", "c"]))
        .prop_map(|(of, field)| format!("{of} = \"{field}\""));
    let rest = select(vec![
        "",
        ", null = [\"\", \"1\"]",
        ", invalid = \"null\"",
        ", invalid = \"default\", default = \"1\"",
        ", trim = true, default = \"1\"",
        ", invalid = \"null\", timestamp = [\"iso8601\", \"unix\"]",
    ]);
    // Instants have no sum.
    let whole = (base, rest)
        .prop_filter("", |(base, rest)| !(base.starts_with("sum") && rest.contains("timestamp")));
    whole.prop_map(|(base, rest)| format!("{{ {base}{rest} }}"))
}

fn holds() -> impl Strategy<Value = Holds> {
    select(vec!["sqlite", "postgres", "mysql"]).prop_map(|engine| Holds::of_engine(engine).unwrap())
}

fn stem() -> impl Strategy<Value = &'static str> {
    select(vec![
        "run_20241027_013000",
        "run_20241027_023000",
        "run_20240331_013000",
        "run_20240331_023000",
        "run_20230602_235950",
        "notes",
    ])
}

/// Where the two differ, knowingly: which kind a `default` has in a column of any kind is not said; and
/// behind a clock, the load path puts the `default` in the place of what `invalid = "null"` made NULL.
fn is_open(expression: &str, kind: &str) -> bool {
    let has = |word: &str| expression.contains(word);
    has("default = ") && (kind == "any" || (has("start = ") && has("invalid = \"null\"")))
}

/// Columns of a plan, and of the table they fill.
fn columns(expressions: &[(String, &str)]) -> (String, String) {
    let columns = expressions.iter().enumerate();
    let lines = columns.clone().map(|(at, (expression, _))| format!("x{at} = {expression}\n"));
    let table = columns.map(|(at, (_, kind))| format!("x{at} {kind}"));
    (lines.collect::<Vec<_>>().concat(), table.collect::<Vec<_>>().join(", "))
}

const REST: &str = "let = { l = { from = \"b\", trim = true, null = [\"\"] }, k = { from = \"l\", type = \"integer\" } }\n";
const MAP: &str = "\n[map.m]\n1 = 5\nA = \"x\"\ntrue = false";

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_and_fates_of_records(
        expressions in proptest::collection::vec((expression(), select(KINDS)), 1..3),
        filter in select(vec!["", "where = \"a != 'A'\"\n", "where = \"l == null || size(l) < 9\"\n"]),
        rule in select(vec!["", "\n[[table.rule]]\nname = \"r\"\ncel = \"new.x0 != null\"", "\n[[table.rule]]\nname = \"w\"\ncel = \"new.x0 > 1\"\nseverity = \"warn\""]),
        records in records(),
        holds in holds(),
        stem in stem(),
    ) {
        prop_assume!(!expressions.iter().any(|(expression, kind)| is_open(expression, kind)));
        let (columns, table) = columns(&expressions);
        let trial = Trial::with(&format!("{filter}{REST}"), &format!("{columns}{MAP}{rule}"), &table, &records);
        trial.stem(stem).agree(holds);
    }

    #[test]
    fn rows_and_fates_of_files(
        expressions in proptest::collection::vec((of_files(), select(KINDS)), 1..3),
        records in records(),
        holds in holds(),
    ) {
        prop_assume!(!expressions.iter().any(|(expression, kind)| is_open(expression, kind)));
        let (columns, table) = columns(&expressions);
        Trial::with("each = \"file\"\n", &columns, &table, &records).agree(holds);
    }
}

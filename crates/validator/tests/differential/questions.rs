//! Questions that the plan reference answers, and some that it leaves open, asked of both.

use whimbrel_validator::interpret::Holds;

use crate::harness::Trial;

fn sqlite() -> Holds {
    Holds::of_engine("sqlite").unwrap()
}

/// Asks of every kind; the load path must take at least so many of the plans.
#[track_caller]
fn of_every_kind(least: usize, trial: impl Fn(&str, &str) -> Trial) {
    let mut taken = 0;
    for records in [TEXTS, JSON] {
        for kind in KINDS {
            taken += usize::from(trial(kind, records).agree(sqlite()));
        }
    }
    assert!(taken >= least, "{taken} plans are taken");
}

#[test]
fn a_field_becomes_every_kind() {
    of_every_kind(30, |kind, records| Trial::columns("x = \"a\"", &format!("x {kind}"), records));
}

#[test]
fn what_is_done_to_a_value_is_done_alike() {
    for operation in OPERATIONS {
        let columns = format!("x = {{ from = \"a\", {operation} }}");
        of_every_kind(4, |kind, records| Trial::columns(&columns, &format!("x {kind}"), records));
    }
}

#[test]
fn every_base_gives_the_same() {
    let rest = "\n[map.m]\n1 = 5\nabc = \"x\"\ntrue = false\n\"1.0\" = 1.5";
    let lets = "let = { l = { from = \"a\", type = \"integer\" }, m = { from = \"a\", timestamp = [\"unix\", \"%Y-%m-%d\", \"rfc3339\", \"iso8601\"] }, n = { from = \"a\", type = \"double\", invalid = \"default\", default = 9 } }\n";
    for base in BASES {
        let columns = format!("x = {base}{rest}");
        of_every_kind(2, |kind, records| {
            Trial::with(lets, &columns, &format!("x {kind}"), records)
        });
    }
}

#[test]
fn more_than_one_column_of_one_kind() {
    for (name, trial) in more() {
        assert!(trial.agree(sqlite()), "{name} is no plan");
    }
}

const TEXTS: &str = "a\n1\n-1\n0\n-0\n007\n+1\n1.0\n1.10\n1e5\n.5\n5.\n1e400\n9007199254740993\n0.1\n0.10000000000000000001\n 1\n1 \n\nabc\ntrue\nfalse\nTrue\nnull\n\"x\"\n[1, 2]\n{\"a\":1,\"a\":2}\nNaN\ninf\nInfinity\ninfinity\n-infinity\n2024-02-29\n2024-02-30\n2024-02-29T12:34:56\n2024-02-29 12:34:56.5\n2024-02-29T00:00:00\n2024-02-29T12:34:56Z\n2024-02-29t12:34:56z\n2024-02-29 12:34:56+02:00\n2024-02-29T12:34\n2024-03-31T02:30:00\n2024-10-27T02:30:00\n12:34:56\n12:34\n24:00:00\n23:59:60\n12:34:56.123456789\n12:34:56.1234567890\nA0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11\na0eebc999c0b4ef8bb6d6bb9bd380a11\n{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}\n~\na\\0b\n32768\n-32769\n2147483648\n9223372036854775808\n18446744073709551616\n170141183460469231731687303715884105728\n12345.678\n99999.995\n0.005\n0.015\n-0.0\n0000-01-01\n+010000-01-01\n1700000000\n1e9\n1.7000000000000000005e9\n1700000000.1234567891";

const JSON: &str = "{\"a\":1}\n{\"a\":1.0}\n{\"a\":-0}\n{\"a\":-0.0}\n{\"a\":1e3}\n{\"a\":1.50}\n{\"a\":1e400}\n{\"a\":0.10000000000000000001}\n{\"a\":12345678901234567890}\n{\"a\":9007199254740993}\n{\"a\":9007199254740993.0}\n{\"a\":99999999999999999999999999999999999999999}\n{\"a\":true}\n{\"a\":false}\n{\"a\":null}\n{\"a\":\"x\"}\n{\"a\":\"1\"}\n{\"a\":\" 1 \"}\n{\"a\":\"[1]\"}\n{\"a\":[1, \"b\", true]}\n{\"a\":[]}\n{\"a\":[null]}\n{\"a\":[\" x \",\"\",\"x\"]}\n{\"a\":{\"b\":1}}\n{}\n{\"a\":\"2024-02-29T12:34:56Z\"}\n{\"a\":\"\"}\n{\"a\":1700000000.5}\n{\"a\":1.7e9}\n{\"a\":\"true\"}";

const KINDS: &[&str] = &[
    "boolean",
    "smallint",
    "int",
    "integer",
    "unsigned",
    "hugeint",
    "decimal",
    "decimal(7,2)",
    "decimal(2,5)",
    "double",
    "text",
    "text(5)",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "uuid",
    "json",
    "any",
];

const OPERATIONS: &[&str] = &[
    "invalid = \"null\"",
    "invalid = \"null\", default = \"1\"",
    "invalid = \"default\", default = \"1\"",
    "round = true",
    "trim = true",
    "lower = true",
    "null = [\"1\", \"abc\", \"true\", \"[1,\\\"b\\\",true]\"]",
    "list = { split = [\",\", \" \"], unique = true }",
    "list = {}",
    "max_chars = 3",
    "matches = \"1\"",
    "timestamp = [\"unix\", \"%Y-%m-%d\", \"rfc3339\", \"iso8601\"]",
    "timestamp = \"unix_ms\"",
    "timestamp = \"unix\"",
    "timestamp = \"unix_us\", invalid = \"null\"",
    "timestamp = \"%Y-%m-%d\"",
    "timestamp = [\"%Y-%m-%dT%H:%M:%S\", \"%Y-%m-%d %H:%M:%S%.f\"], fold = \"later\"",
    "timestamp = [\"%Y-%m-%dT%H:%M:%S%z\", \"%Y-%m-%d %H:%M:%S%:z\"], timezone = \"America/New_York\"",
    "timestamp = [\"rfc3339\", \"iso8601\"], fold = \"earlier\"",
    "timestamp = [\"%H:%M:%S\", \"%H:%M:%S%.f\", \"%H:%M\"]",
    "timestamp = \"%s\"",
];

const BASES: &[&str] = &[
    "{ first = [{ from = \"a\", invalid = \"null\" }, { value = 7 }] }",
    "{ first = [\"a\", { value = 7 }], trim = true }",
    "{ first = [\"a\", { value = 7 }], invalid = \"null\" }",
    "{ concat = [\"a\", \"a\"], separator = \"-\" }",
    "{ split = \"a\", by = \"-\", part = -2 }",
    "{ uuid5 = [\"a\", { fact = \"record.number\" }] }",
    "{ uuid5 = [\"a\", { fact = \"record.number\" }], invalid = \"null\" }",
    "{ hash = \"blake3\", of = [\"a\"] }",
    "{ hash = \"sha256\", of = [\"a\"], invalid = \"null\" }",
    "{ object = { k = \"a\", l = { from = \"a\", type = \"text\" } } }",
    "{ canonical_json = \"a\" }",
    "{ canonical_json = \"a\", invalid = \"null\" }",
    "{ cel = \"a\" }",
    "{ cel = \"[a]\" }",
    "{ cel = \"string(a)\", invalid = \"null\" }",
    "{ value = 12 }",
    "{ value = \"12\" }",
    "{ value = 1.5 }",
    "{ value = true }",
    "{ fact = \"file.mtime\" }",
    "{ fact = \"record.text\" }",
    "{ fact = \"record.json\" }",
    "{ from = \"a\", map = \"m\", map_other = \"keep\" }",
    "{ from = \"a\", map = \"m\", invalid = \"null\" }",
    "{ from = \"a\", map = \"m\", map_other = \"null\", default = 3 }",
    "\"l\"",
    "{ from = \"l\", invalid = \"null\" }",
    "{ cel = \"l\", invalid = \"null\" }",
    "\"m\"",
    "{ from = \"n\" }",
];

/// What takes more than one column of one kind.
fn more() -> Vec<(&'static str, Trial)> {
    let clock = |rest: &str, fold: &str, stem: &str| {
        let column = format!(
            "x = {{ from = \"a\", timestamp = [\"unix\", \"%H:%M:%S%.f\"], {fold} start = {{ fact = \"file.stem\", timestamp = \"run_%Y%m%d_%H%M%S\", fold = \"earlier\" }} }}"
        );
        let records = "a|x\n01:59:59.5|\n02:30:00|\n02:59:59|\n02:00:00|no\n02:59:00|\n!!|\n03:00:00|\n23:59:59|\n00:00:01|\n23:59:58|\n00:00:02|\n1730000000.25|\nxx|\n00:00:02|\n12:30:00|no\n00:10:00|no\n02:29:59|\n02:29:58|\n01:00:00|\n02:10:00|\n~|";
        Trial::with(rest, &column, "x timestamptz", records).stem(stem)
    };
    let file = |columns: &str, table: &str, records: &str| {
        Trial::with("each = \"file\"\n", columns, table, records)
    };
    let numbers = "a|b\n10|x\n9.50|y_P\n~|\n-1|~\n1e2|z_P\n0.50|";
    let rules = "\n[[table.rule]]\nname = \"r\"\ncel = \"new.x > 0\"\n[[table.rule]]\nname = \"w\"\ncel = \"new.x < 5\"\nseverity = \"warn\"";
    let elements = "{\"id\":1,\"t\":[{\"v\":1},{\"v\":2}]}\n{\"id\":2,\"t\":[{\"v\":1},{\"v\":\"x\"}]}\n{\"id\":3}\n{\"id\":4,\"t\":[]}\n{\"id\":5,\"t\":\"x\"}\n{\"id\":6,\"t\":[1,\"a\",null,true,[2]]}\n{\"id\":7,\"t\":{\"v\":1}}\n{\"id\":8,\"t\":null}";
    vec![
        ("clock", clock("", "", "run_20241027_013000")),
        ("clock later", clock("", "fold = \"later\",", "run_20241027_013000")),
        ("clock in fold", clock("", "", "run_20241027_023000")),
        ("clock before spring", clock("", "", "run_20240330_235950")),
        ("clock without a start", clock("", "", "notes")),
        ("clock filtered", clock("where = \"x != 'no'\"\n", "", "run_20241026_230000")),
        ("clock in a let", Trial::with("let = { m = { from = \"a\", timestamp = \"%H:%M\", start = { fact = \"file.mtime\" } } }\nwhere = \"x != 'no'\"\n", "x = \"m\"\ny = { first = [{ value = \"a\" }, { from = \"a\", timestamp = \"%H:%M\", start = { fact = \"file.mtime\" } }] }", "x timestamptz, y text", "a|x\n23:00|\n12:00|no\n00:00|no\n23:59|no\n00:10|")),
        ("last", file("x = { last = \"b\", strip_suffix = \"_P\", null = [\"\"] }\ny = { first_of = \"b\" }\nn = { count = true }", "x text, y text, n integer", numbers)),
        ("last mapped", file("x = { last = \"b\", strip_suffix = \"_P\", map = \"m\", map_other = \"null\", default = \"none\" }\n[map.m]\ny = \"why\"", "x text", numbers)),
        ("min max sum", file("lo = { min = \"a\" }\nhi = { max = \"a\" }\nsum = { sum = \"a\" }", "lo double, hi double, sum decimal", numbers)),
        ("min max sum as text", file("lo = { min = \"a\" }\nhi = { max = \"a\" }\nsum = { sum = \"a\" }", "lo text, hi text, sum text", numbers)),
        ("min max sum of text", file("lo = { min = \"b\" }", "lo text", numbers)),
        ("min invalid", file("lo = { min = \"b\", invalid = \"null\" }\nhi = { max = \"a\", invalid = \"default\", default = 3 }", "lo text, hi integer", numbers)),
        ("min max of times", file("lo = { min = \"a\" }\nhi = { max = \"a\" }", "lo date, hi timestamp", "a|b\n2024-01-10|\n2024-01-09|\n~|")),
        ("min max of clocks", file("lo = { min = \"a\" }\nhi = { max = \"a\" }", "lo time, hi time", "a|b\n12:00:00|\n09:00:00|\n~|")),
        ("min of what is no time", file("lo = { min = \"a\", invalid = \"null\" }", "lo date", "a|b\n2024-01-10|\nx|")),
        ("min max of truth", file("lo = { min = \"a\" }", "lo boolean", "a|b\ntrue|\nfalse|")),
        ("min max of ids", file("lo = { min = \"a\" }", "lo uuid", "a|b\na0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|\nA0eebc99-9c0b-4ef8-bb6d-6bb9bd380a10|")),
        ("min max of documents", file("lo = { min = \"a\" }", "lo json", "a|b\n10|\n9|")),
        ("min max of documents of text", file("lo = { min = \"a\" }", "lo json", "a|b\n\"10\"|\n\"9\"|")),
        ("min max of kinds", file("lo = { min = \"a\" }\nhi = { max = \"a\", type = \"text\" }\nj = { max = \"a\", type = \"double\" }", "lo any, hi text, j double", numbers)),
        ("max trimmed", file("hi = { max = \"a\", trim = true, strip_suffix = \"%\" }", "hi double", "a|b\n 10%|\n9%|\n 11% |")),
        ("max dates", file("hi = { max = \"a\", timestamp = \"%d.%m.%Y %H:%M\" }\nlo = { min = \"a\", timestamp = \"%d.%m.%Y %H:%M\" }", "hi timestamptz, lo timestamp", "a|b\n2.1.2024 00:00|\n10.1.2024 00:00|\n9.1.2024 23:00|")),
        ("max days", file("hi = { max = \"a\", timestamp = \"%d.%m.%Y\" }", "hi date", "a|b\n2.1.2024|\n10.1.2024|\n9.1.2024|")),
        ("max days as instants", file("hi = { max = \"a\", timestamp = \"%d.%m.%Y\" }", "hi timestamptz", "a|b\n2.1.2024|\n10.1.2024|\n9.1.2024|")),
        ("aggregates of json", Trial::with("each = \"file\"\n", "lo = { min = \"a\" }\nl = { last = \"a\" }\nf = { first_of = \"a\" }\ns = { sum = \"a\" }", "lo decimal, l any, f json, s decimal(10,2)", "{\"a\":1.50}\n{\"a\":2}\n{\"a\":null}\n{\"a\":-1e1}")),
        ("a sum too long", file("s = { sum = \"a\" }", "s decimal", "a|b\n99999999999999999999999999999999999999|\n1|")),
        ("a file with defects", file("n = { count = true }\nl = { last = \"a\" }", "n integer, l text", "a|b\n1|\n!!|")),
        ("a file filtered", Trial::with("each = \"file\"\nwhere = \"n > 1\"\nlet = { n = { count = true } }\n", "x = \"n\"", "x integer", "a|b\n1|")),
        ("file text", file("x = { fact = \"file.text\" }\ny = { fact = \"file.sha256\" }\nz = { fact = \"source.ordinal\" }\nm = { fact = \"file.mtime\" }\ns = { fact = \"file.size\" }", "x text, y text, z integer, m timestamptz, s integer", "a|b\n1|")),
        ("facts", Trial::columns("a = { fact = \"file.path\" }\nb = { fact = \"file.stem\" }\nc = { fact = \"record.line\" }\nd = { fact = \"source.ordinal\" }\ne = { fact = \"record.text\" }\nf = { fact = \"source.name\" }\ng = { fact = \"plan.timezone\" }\nh = { fact = \"file.sha256\" }\ni = { fact = \"file.dir\" }\nj = { fact = \"file.suffix\" }\nk = { fact = \"file.name\" }\nl = { fact = \"file.blake3\" }", "a text, b text, c integer, d integer, e text, f text, g text, h text, i text, j text, k text, l text", "a|b\n1|2\n3|é")),
        ("rules", Trial::columns(&format!("x = {{ from = \"a\", invalid = \"null\" }}{rules}"), "x integer", "a\n1\n0\nx\n9\n~")),
        ("a warning that fails", Trial::columns("x = { from = \"a\", invalid = \"null\" }\n[[table.rule]]\nname = \"w\"\ncel = \"new.x < 5\"\nseverity = \"warn\"", "x integer", "a\n1\nx")),
        ("a rule that is no condition", Trial::columns("x = \"a\"\n[[table.rule]]\nname = \"w\"\ncel = \"new.x\"\nseverity = \"warn\"", "x integer", "a\n1")),
        ("required", Trial::columns("x = { from = \"a\", null = [\"-\"] }\ny = { from = \"a\", null = [\"-\"], default = \"d\" }", "x text!, y text!", "a\n-\n1\n~")),
        ("where", Trial::with("where = \"a\"\n", "x = \"a\"", "x text", "a\ntrue\nx")),
        ("where declared", Trial { plan: Trial::with("where = \"a != null && a > 1\"\n", "x = \"a\"\ny = \"b\"", "x text, y text", "a|b\n1|u\n2|v\nx|w\n~|\n007|z").plan.replace("[[table]]", "[source.s.columns]\na = { type = \"integer\" }\nb = { type = \"integer\" }\n[[table]]"), ..Trial::with("", "x = \"a\"\ny = \"b\"", "x text, y text", "a|b\n1|u\n2|v\nx|w\n~|\n007|z") }),
        ("a let that fails and is not used", Trial::with("let = { l = { from = \"a\", type = \"integer\" } }\n", "x = \"a\"", "x text", "a\n1\nx")),
        ("a let that fails in first", Trial::with("let = { l = { from = \"a\", type = \"integer\" } }\n", "x = { first = [{ from = \"l\", invalid = \"null\" }, { value = 1 }] }", "x text", "a\n1\nx")),
        ("a let that hides", Trial::with("let = { a = { from = \"a\", trim = true }, b = { from = \"a\", lower = true } }\n", "x = \"a\"\ny = \"b\"\nz = { cel = \"a + row.b\" }", "x text, y text, z text", "a|b\n X |y")),
        ("concat of nothing", Trial::columns("x = { concat = [\"a\", \"b\"] }\ny = { concat = [\"a\"], default = \"d\" }\nz = { uuid5 = [{ concat = [\"a\"] }] }", "x text, y text, z text", "a|b\n~|~\n|")),
        ("split", Trial::columns("x = { split = \"a\", by = \"ab\", part = 1 }\ny = { split = \"a\", by = \"ab\", part = 3 }\nz = { split = \"a\", by = \"ab\", part = -3, default = \"d\" }", "x text, y text, z text", "a\nabab\nxabyabz\n\n~\nq")),
        ("separator in parts", Trial::columns("x = { uuid5 = [\"a\", \"b\"] }\ny = { hash = \"sha256\", of = [\"a\"] }", "x text, y text", "a|b\nx\u{1f}|y\nx|\u{1f}y\nx|y")),
        ("separator in parts that may be invalid", Trial::columns("x = { uuid5 = [\"a\", \"b\"], invalid = \"null\" }", "x text", "a|b\nx\u{1f}|y\nx|~")),
        ("an invalid part", Trial::columns("x = { concat = [{ from = \"a\", type = \"integer\" }, \"b\"], invalid = \"null\" }\ny = { concat = [{ from = \"a\", type = \"integer\", invalid = \"default\", default = 0 }, \"b\"] }", "x text, y text", "a|b\nx|y\n1|y")),
        ("elements", Trial::with("each = \"/t\"\nlet = { e = { fact = \"element\" } }\n", "n = { fact = \"element.number\" }\nv = { cel = \"e.v\" }", "n integer, v integer", elements)),
        ("elements as they are", Trial::with("each = \"/t\"\n", "n = { fact = \"element.number\" }\nv = { fact = \"element\" }\ni = \"id\"", "n integer, v any, i integer", elements)),
        ("elements as text", Trial::with("each = \"/t\"\n", "n = { fact = \"element.number\" }\nv = { fact = \"element\" }", "n integer, v text", elements)),
        ("elements filtered", Trial::with("each = \"/t\"\nwhere = \"id > 1 && e != null\"\nlet = { e = { fact = \"element\" } }\n", "v = \"e\"", "v json", elements)),
        ("elements filtered by record", Trial::with("each = \"/t\"\nwhere = \"id > 5\"\n", "v = { fact = \"element\" }", "v json", elements)),
        ("pointers", Trial::columns("x = \"/t/0/v\"\ny = \"/t\"\nz = { cel = \"t\" }", "x any, y json, z json", elements)),
        ("strip", Trial::columns("x = { from = \"a\", strip_prefix = \"ab\", strip_suffix = \"ab\" }\ny = { from = \"a\", newlines = true, trim = true, lower = true }", "x text, y text", "a\nab\nabab\nababab\n\u{feff} X\r\n")),
        ("markers before trim", Trial::columns("x = { from = \"a\", null = [\"NA\", \"\"], trim = true }", "x text", "a\nNA\n NA\n\n \n~")),
        ("map of map", Trial::columns("x = { from = \"a\", map = \"m\", trim = true, list = {}, max_chars = 4, matches = \"x\" }\n[map.m]\na = \"xx\"\nb = 5\nc = \"yyyyy\"\nd = true", "x any", "a\na\nb\nc\nd\n a ")),
        ("object", Trial::columns("x = { object = { a = \"a\", b = { value = 1.5 }, c = { value = true }, d = { fact = \"file.mtime\" }, e = { object = { f = \"a\" } } } }", "x json", "a\nq\"\n~")),
        ("canonical", Trial::columns("x = { canonical_json = \"a\", default = \"d\" }\ny = { canonical_json = \"a\", invalid = \"default\", default = \"d\" }", "x text, y text", "a\n{\"b\":1.0,\"a\":[]}\n~\n{\"a\":1,\"a\":2}\nx\n1e400\n\"x\"")),
        ("hash of parts", Trial::columns("x = { hash = \"blake3\", of = [\"a\", { value = 1.0 }, { value = true }, { fact = \"file.mtime\" }] }", "x text", "a\nq\n~")),
        ("value in a let", Trial::with("let = { l = { value = 12 }, m = { value = 1.0 }, n = { value = 1e300 } }\n", "x = \"l\"\ny = \"m\"\nz = \"n\"\nw = { concat = [\"l\", \"m\", \"n\"], separator = \" \" }", "x text, y text, z decimal, w text", "a\n1")),
        ("default converted", Trial::columns("x = { from = \"a\", default = \"2024-01-01\" }\ny = { from = \"a\", default = 5 }\nz = { from = \"a\", type = \"integer\", invalid = \"default\", default = 5 }", "x date, y decimal(5,2), z integer", "a\n~")),
        ("an invalid branch", Trial::columns("x = { first = [{ from = \"a\", type = \"integer\" }, \"b\"], invalid = \"null\" }", "x integer", "a|b\nx|y\n1|y\n~|y")),
        ("a bare invalid branch", Trial::columns("x = { first = [\"a\", \"b\"], invalid = \"default\", default = 9 }", "x integer", "a|b\nx|3\n1|y\n~|y")),
        ("an invalid source", Trial::columns("x = { by_source = { s = { from = \"a\", type = \"integer\" } }, invalid = \"null\" }\ny = { by_source = { s = \"b\" }, invalid = \"null\" }", "x integer, y integer", "a|b\nx|3\n1|y\n~|y")),
        ("an invalid text to split", Trial::columns("x = { split = { from = \"a\", max_chars = 3 }, by = \"-\", part = 1, invalid = \"null\" }", "x text", "a|b\nabcde|3\n1|y\n~|y")),
        ("an invalid document", Trial::columns("x = { canonical_json = { from = \"a\", type = \"json\" }, invalid = \"null\" }\ny = { object = { k = { from = \"b\", type = \"integer\" } }, invalid = \"null\" }", "x text, y json", "a|b\nabcde|3\n1|y\n~|y")),
        ("null part of a hash", Trial::columns("x = { hash = \"sha256\", of = [\"a\", \"b\"], invalid = \"null\" }", "x text", "a|b\nx|~\nx\u{1f}|y")),
        ("null part of a key", Trial::columns("x = { uuid5 = [\"a\"], invalid = \"null\" }", "x text", "a|b\n~|~")),
        ("instants as days", Trial::columns("x = { from = \"a\", timestamp = \"unix\", timezone = \"UTC\" }", "x date", "a\n0\n86400\n1")),
        ("range", Trial::columns("x = { from = \"a\", timestamp = \"unix\" }", "x timestamptz", "a\n-62167219200\n-62167219201\n-377673580800\n-377673580801\n-377705023200\n-377705023201\n-100000000000\n253402300799.999999999\n253402300800")),
        ("range by a pattern", Trial::columns("x = { from = \"a\", timestamp = [\"%s\", \"%Y-%m-%dT%H:%M:%S%:z\"] }", "x timestamptz", "a\n-62167219200\n-62167219201\n-377705023200\n-377705023201\n-100000000000\n253402207199\n253402207200\n253402300799\n253402300800\n0000-01-01T00:00:00+02:00\n-001-01-01T00:00:00+02:00\n9999-12-31T23:00:00-02:00")),
        ("range of days", Trial::columns("x = { from = \"a\", timestamp = [\"%Y-%m-%d\"], invalid = \"null\" }\ny = { from = \"a\", timestamp = [\"rfc3339\", \"%Y-%m-%d\", \"%Y-%m-%d %H:%M:%S\", \"%s\"], invalid = \"default\", default = \"2000-01-01\" }", "x date, y timestamp", "a\n-001-01-01\n0000-01-01\n0000-01-01T00:00:00+02:00\n-001-01-01 00:00:00\n-009999-01-02 00:00:00\n9999-12-31 23:59:59")),
        ("zone dropped in the hour that comes twice", Trial::columns("x = { from = \"a\", timestamp = \"rfc3339\", invalid = \"null\" }\ny = { from = \"a\", timestamp = \"rfc3339\", fold = \"earlier\", invalid = \"null\" }\nz = { from = \"a\", timestamp = \"rfc3339\", fold = \"later\", invalid = \"null\" }\nw = { from = \"a\", invalid = \"null\" }", "x timestamp, y timestamp, z timestamp, w timestamp", "a\n2024-10-27T00:30:00Z\n2024-10-27T01:30:00Z\n2024-10-26T23:59:59Z\n2024-10-27T02:00:00Z")),
        ("zone dropped", Trial::columns("x = { from = \"a\", timestamp = \"rfc3339\" }\ny = { from = \"a\", timestamp = \"rfc3339\", timezone = \"America/New_York\" }\nz = { from = \"a\", timestamp = \"rfc3339\", type = \"date\" }", "x timestamp, y timestamp, z date", "a\n2024-07-01T22:30:00Z\n2024-07-01T22:00:00Z\n2024-07-01T00:00:00-04:00")),
        ("pattern widths", Trial::columns("x = { from = \"a\", timestamp = [\"%d.%m.%Y %H:%M:%S\", \"%Y%m%d%H%M%S\", \"%b %d %Y %I:%M %p\", \"%A %d %B %Y\", \"%j %Y\", \"%y-%m-%d\"] }", "x timestamptz", "a\n1.2.2024 3:4:5\n01.02.2024 03:04:05\n01.02.2024 03:04:60\n1.2.24 3:4:5\n20240102030405\n2024010203040\nJan 02 2024 03:04 PM\nJan 2 2024 3:04 pm\nMonday 01 January 2024\nTuesday 01 January 2024\n032 2024\n24-02-29\n68-01-01\n69-01-01\n-24-02-29\n31.03.2024 02:30:00\n 01.02.2024 03:04:05\n01.02.2024  03:04:05\n01.02.2024 03:04:05 ")),
    ]
}

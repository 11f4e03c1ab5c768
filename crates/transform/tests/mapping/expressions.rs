//! What each base and each operation gives.

use expect_test::expect;
use whimbrel_model::Value;

use crate::harness::Trial;

#[test]
fn operations_come_in_one_order_whatever_the_plan_says() {
    Trial::columns(
        "a = { default = \"none\", lower = true, strip_suffix = \"_p\", trim = true, null = [\"NA\"], from = \"a\" }",
        "a text",
    )
    .check(
        "a\n RUN_P \nNA\n NA\n~",
        &expect![[r#"
            1: "run"
            2: "none"
            3: "na"
            4: "none""#]],
    );
}

#[test]
fn maps_compare_text_exactly() {
    Trial::columns(
        "a = { from = \"a\", map = \"m\" }\nb = { from = \"a\", map = \"m\", map_other = \"null\", default = \"?\" }\nc = { from = \"a\", map = \"m\", map_other = \"keep\" }\n[map.m]\nREADY = \"ready\"\nOLD = \"old\"",
        "a text, b text, c text",
    )
    .check(
        "a\nREADY\nReady\n~",
        &expect![[r#"
            1: "ready" | "ready" | "ready"
            2: WB0244 column `a` field `a`: the value is not in its map: `Ready`
            3: NULL | "?" | NULL"#]],
    );
    Trial::columns(
        "b = { from = \"a\", map = \"m\", map_other = \"null\", default = \"?\" }\nc = { from = \"a\", map = \"m\", map_other = \"keep\" }\n[map.m]\nREADY = \"ready\"",
        "b text, c text",
    )
    .check(
        "a\nReady",
        &expect![[r#"
            1: "?" | "Ready"
            note WB0265 b × 1: 1:"Ready"
            note WB0266 c × 1: 1:"Ready""#]],
    );
}

#[test]
fn first_tries_branches_in_the_column_s_kind() {
    Trial::columns("a = { first = [{ from = \"a\", invalid = \"null\" }, \"b\"] }", "a integer")
        .check(
            "a|b\n1|2\nx|2\n~|y\n~|~",
            &expect![[r#"
            1: 1
            2: 2
            3: WB0230 column `a` field `b`: not an integer as it stands: `y`
            4: NULL
            note WB0260 a × 1: 2:"x""#]],
        );
}

#[test]
fn concat_leaves_null_out_and_split_takes_a_part() {
    Trial::columns(
        "a = { concat = [\"a\", \"b\", { value = \"x\" }], separator = \"-\" }\nb = { split = \"a\", by = \"/\", part = -1 }\nc = { split = \"a\", by = \"/\", part = 2, default = \"none\" }",
        "a text, b text, c text",
    )
    .check(
        "a|b\np/q|1\n~|~",
        &expect![[r#"
            1: "p/q-1-x" | "q" | "q"
            2: "x" | NULL | "none""#]],
    );
}

#[test]
fn uuids_are_made_of_parts_and_need_them_all() {
    Trial::columns(
        "a = { uuid5 = [\"a\", \"b\"] }\nb = { uuid5 = [{ from = \"a\" }, \"b\"] }",
        "a uuid, b text",
    )
    .check(
        "a|b\nx|y\nx|~",
        &expect![[r#"
            1: b51c1c6a-3121-557f-b3d4-49d25a9aa927 | "b51c1c6a-3121-557f-b3d4-49d25a9aa927"
            2: WB0246 column `a`: part `b` is NULL"#]],
    );
}

#[test]
fn parts_that_hold_what_stands_between_them_make_no_key() {
    Trial::columns("a = { uuid5 = [\"a\", \"b\"] }\nb = \"b\"", "a uuid, b text").check(
        "a|b\nx\u{1f}|y\nx|\u{1f}y",
        &expect![[r#"
            1: WB0272 column `a`: a part holds the character U+001F, which stands between parts
            2: WB0272 column `a`: a part holds the character U+001F, which stands between parts"#]],
    );
}

#[test]
fn hashes_and_checksums_are_hex() {
    Trial::columns(
        "a = { hash = \"sha256\", of = [\"a\"] }\nb = { canonical_json = \"b\" }\nc = { canonical_json = \"b\", invalid = \"null\" }",
        "a text(64), b text(64), c text(64)",
    )
    .check(
        "a|b\nabc|{\"b\":1.0, \"a\":[]}\nabc|{\"a\":[],\"b\":1}\nabc|nope",
        &expect![[r#"
            1: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" | "1c8f8816506a8ccbc55140d8a7bb70214a8942c7030fc0fc2914cec675cd1c15" | "1c8f8816506a8ccbc55140d8a7bb70214a8942c7030fc0fc2914cec675cd1c15"
            2: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" | "1c8f8816506a8ccbc55140d8a7bb70214a8942c7030fc0fc2914cec675cd1c15" | "1c8f8816506a8ccbc55140d8a7bb70214a8942c7030fc0fc2914cec675cd1c15"
            3: WB0241 column `b`: line 1, column 1, byte 0: expected a value"#]],
    );
}

#[test]
fn objects_and_lists_are_json() {
    Trial::json(
        "o = { object = { name = \"n\", tags = \"t\", at = { fact = \"file.mtime\" } } }\nl = { from = \"t\", list = { split = [\",\", \";\"], unique = true }, default = \"[]\" }",
        "o json, l json",
    )
    .check(
        "{\"n\":1.50,\"t\":[\"a\", \" b\",\"a\"]}\n{\"t\":\"x; y,,x\"}\n{\"t\":[[1]]}\n{}",
        &expect![[r#"
            1: {"name":1.50,"tags":["a"," b","a"],"at":"2023-11-14T22:13:20Z"} | ["a","b"]
            2: {"name":null,"tags":"x; y,,x","at":"2023-11-14T22:13:20Z"} | ["x","y"]
            3: WB0252 column `l` field `t`: not a text or an array of texts: `[[1]]`
            4: {"name":null,"tags":null,"at":"2023-11-14T22:13:20Z"} | []"#]],
    );
}

#[test]
fn checks_on_text_are_invalid_values() {
    Trial::columns(
        "u = { from = \"u\", matches = \"^https?://\", invalid = \"null\" }\nm = { from = \"u\", max_chars = 8 }",
        "u text, m text",
    )
    .check(
        "u\nhttp://x\nftp://x\nhttps://xyz",
        &expect![[r#"
            1: "http://x" | "http://x"
            2: NULL | "ftp://x"
            3: WB0239 column `m` field `u`: 11 characters, at most 8 are wanted: `https://xyz`
            note WB0260 u × 1: 2:"ftp://x""#]],
    );
}

#[test]
fn pointers_reach_into_documents() {
    Trial::json(
        "a = \"/m/x\"\nb = \"m\"\nc = { fact = \"record.json\" }",
        "a integer, b json, c json",
    )
    .check(
        "{\"m\":{\"x\":5.0}}\n{\"m\":[1]}",
        &expect![[r#"
            1: 5 | {"x":5.0} | {"m":{"x":5.0}}
            2: NULL | [1] | {"m":[1]}"#]],
    );
}

#[test]
fn facts_say_where_a_record_stood() {
    Trial::columns(
        "a = { fact = \"file.path\" }\nb = { fact = \"file.stem\" }\nc = { fact = \"record.line\" }\nd = { fact = \"source.ordinal\" }\ne = { fact = \"record.text\" }\nf = { fact = \"source.name\" }\ng = { fact = \"plan.timezone\" }\nh = { fact = \"file.sha256\" }",
        "a text, b text, c integer, d integer, e text, f text, g text, h text",
    )
    .check("x|y\n1|2\n3|4", &expect![[r#"
        1: "logs/run.csv" | "run_20241027_013000" | 2 | 1 | "1|2" | "s" | "UTC" | "5ha"
        2: "logs/run.csv" | "run_20241027_013000" | 3 | 2 | "3|4" | "s" | "UTC" | "5ha""#]]);
}

#[test]
fn timestamps_try_formats_in_order_and_zones_are_declared() {
    Trial::columns(
        "a = { from = \"a\", timestamp = [\"unix\", \"%d.%m.%Y %H:%M\"], timezone = \"Europe/Berlin\" }\nb = { from = \"a\", timestamp = [\"unix\", \"%d.%m.%Y %H:%M\"], timezone = \"Europe/Berlin\", fold = \"later\", invalid = \"null\" }",
        "a timestamptz, b timestamptz",
    )
    .check(
        "a\n1711846799.5\n1.7.2024 12:00\n31.3.2024 02:30\n27.10.2024 02:30\nyesterday",
        &expect![[r#"
            1: 2024-03-31T00:59:59.500Z | 2024-03-31T00:59:59.500Z
            2: 2024-07-01T10:00:00Z | 2024-07-01T10:00:00Z
            3: WB0237 column `a` field `a`: the clocks never showed this local time: `31.3.2024 02:30`
            4: WB0238 column `a` field `a`: the clocks showed this local time twice: `27.10.2024 02:30`
            5: WB0236 column `a` field `a`: not a date or time in the expected form: `yesterday`"#]],
    );
}

#[test]
fn columns_without_a_zone_keep_the_clock_as_written() {
    Trial::columns(
        "a = { from = \"a\", timestamp = \"%d.%m.%Y %H:%M\" }\nb = { from = \"b\", timestamp = \"%H.%M\" }\nc = { from = \"a\", timestamp = \"%d.%m.%Y %H:%M\", type = \"date\" }",
        "a timestamp, b time, c date",
    )
    .check(
        "a|b\n1.7.2024 00:00|12.30\n1.7.2024 12:00|12.30",
        &expect![[r#"
            1: 2024-07-01T00:00:00 | 12:30:00 | 2024-07-01
            2: WB0243 column `c` field `a`: the column holds a day, this has a time too: `1.7.2024 12:00`"#]],
    );
}

fn clock(rest: &str) -> Trial {
    Trial::new(&format!(
        "timezone = \"Europe/Berlin\"\n[source.s]\ncsv = \"*\"\n[[table]]\ninto = \"t\"\nfrom = \"s\"\nkey = [\"zz\"]\n{rest}[table.columns]\nzz = {{ fact = \"record.number\" }}\na = {{ from = \"a\", timestamp = [\"unix\", \"%H:%M:%S%.f\"], start = {{ fact = \"file.stem\", timestamp = \"run_%Y%m%d_%H%M%S\", fold = \"earlier\" }} }}"
    ))
    .table("zz integer, a timestamptz")
}

#[test]
fn clocks_count_from_their_file_over_midnight_and_the_repeated_hour() {
    clock("").check(
        "a\n01:59:59.5\n02:30:00\n02:59:59\n02:00:00\n02:59:00\n03:00:00\n23:59:59\n00:00:01\n1730000000.25\nxx\n00:00:02",
        &expect![[r#"
            1: 2024-10-26T23:59:59.500Z
            2: 2024-10-27T00:30:00Z
            3: 2024-10-27T00:59:59Z
            4: 2024-10-27T01:00:00Z
            5: 2024-10-27T01:59:00Z
            6: 2024-10-27T02:00:00Z
            7: 2024-10-27T22:59:59Z
            8: 2024-10-27T23:00:01Z
            9: 2024-10-27T03:33:20.250Z
            10: WB0236 column `a` field `a`: not a date or time in the expected form: `xx`
            11: 2024-10-27T23:00:02Z"#]],
    );
}

#[test]
fn records_that_are_left_out_still_move_the_clock() {
    clock("where = \"x != 'no'\"\n").check(
        "a|x\n23:00:00|y\n01:00:00|no\n12:00:00|no\n23:30:00|y\n!!|\n00:10:00|y",
        &expect![[r#"
            1: 2024-10-27T22:00:00Z
            2: filtered by x != 'no'
            3: filtered by x != 'no'
            4: 2024-10-28T22:30:00Z
            5: WB0101: torn
            6: 2024-10-28T23:10:00Z
            note WB0268 x != 'no' × 2: 2:"" 3:"""#]],
    );
}

#[test]
fn a_file_that_does_not_say_when_it_began_has_no_clock() {
    let mut trial = clock("");
    trial.file.stem = "notes".into();
    trial.check(
        "a\n12:00:00\n1730000000",
        &expect![[r#"
            1: WB0236 column `a` field `a`: `start` of the file: WB0236 column `a`: not a date or time in the expected form: `notes`: `12:00:00`
            2: 2024-10-27T03:33:20Z"#]],
    );
}

#[test]
fn references_lead_to_the_parent_s_new_key_or_reject() {
    let mut trial = Trial::new(
        "[source.s]\ncsv = \"*\"\n[[table]]\ninto = \"p\"\nfrom = \"s\"\nkey = [\"id\"]\n[table.columns]\nid = { uuid5 = [\"a\", \"b\"] }\n[[table]]\ninto = \"t\"\nfrom = \"s\"\nkey = [\"zz\"]\n[table.columns]\nzz = { fact = \"record.number\" }\np = { ref = \"p\", by = [\"a\", \"b\"] }\nq = { ref = \"p\", by = [\"b\", \"a\"], missing = \"null\" }",
    )
    .table("zz integer, p uuid, q text");
    trial.mapping = 1;
    trial.parents = vec![("p".into(), "1\u{1f}2".into(), Value::Uuid([7; 16]))];
    trial.check(
        "a|b\n1|2\n1|~\n2|1",
        &expect![[r#"
            1: 07070707-0707-0707-0707-070707070707 | NULL
            2: WB0246 column `p`: part `b` is NULL
            3: WB0247 column `p`: no row of `p` was made from this record: `2 · 1`
            note WB0270 q × 1: 1:"2 · 1""#]],
    );
    let step = trial.compile("a|b\n").unwrap();
    let chunk = &crate::harness::chunks(&step, 0, "a|b\n1|2\n1|~\n1|2\n3|4", 9)[0];
    let id = whimbrel_model::PartitionId { source: "s".into(), path: "f".into() };
    let facts = whimbrel_transform::PartitionFacts::new(id, std::sync::Arc::default(), 1);
    let state = step.start(0, &facts, None).unwrap();
    let lookups = step.lookups(&state, chunk);
    assert_eq!(lookups.len(), 1);
    assert_eq!(lookups[0].keys, ["1\u{1f}2", "2\u{1f}1", "3\u{1f}4", "4\u{1f}3"]);
}

#[test]
fn a_reference_to_several_rows_is_refused_whatever_becomes_of_missing_ones() {
    let plan = |sensitive: &str| {
        format!(
            "[source.s]\ncsv = \"*\"\n{sensitive}[[table]]\ninto = \"p\"\nfrom = \"s\"\nkey = [\"id\"]\nlegacy_key = [\"a\"]\n[table.columns]\nid = \"a\"\n[[table]]\ninto = \"t\"\nfrom = \"s\"\nkey = [\"zz\"]\n[table.columns]\nzz = {{ fact = \"record.number\" }}\nq = {{ ref = \"p\", by = \"a\", missing = \"null\" }}"
        )
    };
    let trial = |sensitive: &str| {
        let mut trial = Trial::new(&plan(sensitive)).table("zz integer, q text");
        trial.mapping = 1;
        trial.several = vec![("p".into(), "k".into(), "`a.csv:1` and `b.csv:7`".into())];
        trial
    };
    trial("").check(
        "a|b\nk|1",
        &expect!["1: WB0273 column `q`: records with this key became different rows of `p`: `a.csv:1` and `b.csv:7`: `k`"],
    );
    trial("sensitive = [\"a\"]\n").check(
        "a|b\nk|1",
        &expect!["1: WB0273 column `q`: the reference leads to several rows: `***`"],
    );
}

#[test]
fn cel_sees_declared_kinds_and_lets_and_its_failures_reject() {
    Trial::new(
        "[source.s]\ncsv = \"*\"\n[source.s.columns]\nn = { type = \"integer\" }\n[[table]]\ninto = \"t\"\nfrom = \"s\"\nkey = [\"zz\"]\nwhere = \"n != null && n >= 0\"\n[table.let]\ntrimmed = { from = \"Pwr_Z1_%\", trim = true }\n[table.columns]\nzz = { fact = \"record.number\" }\na = { cel = \"n * 2\" }\nb = { cel = \"trimmed == null ? -1 : size(trimmed)\" }\nc = { cel = \"double(row['Pwr_Z1_%'])\", invalid = \"null\" }",
    )
    .table("zz integer, a integer, b smallint, c double")
    .check(
        "n|Pwr_Z1_%\n21| x \n-1|1\n007|1\n9223372036854775807|1\n~|1\n1|1.5",
        &expect![[r#"
            1: 42 | 1 | NULL
            2: filtered by n != null && n >= 0
            3: WB0250 rule `where n != null && n >= 0`: field `n`: not an integer as it stands
            4: WB0250 column `a`: `*` leaves 64 bits
            5: filtered by n != null && n >= 0
            6: 2 | 3 | 1.5
            note WB0260 c × 1: 1:"`double(…)`: not a number as it stands: text ` x `"
            note WB0268 n != null && n >= 0 × 2: 2:"" 5:"""#]],
    );
}

#[test]
fn a_let_hides_the_field_of_its_name_from_everything_but_itself() {
    Trial::new(
        "[source.s]\njsonl = \"*\"\n[[table]]\ninto = \"t\"\nfrom = \"s\"\nkey = [\"zz\"]\n[table.let]\nc = { first = [\"c\", \"text\"] }\nd = { from = \"c\", trim = true }\n[table.columns]\nzz = { fact = \"record.number\" }\na = \"c\"\nb = { cel = \"d + c\" }\nunused = \"text\"",
    )
    .table("zz integer, a text, b text, unused text")
    .check("{\"text\":\" x\"}\n{\"c\":\"y\",\"text\":\"z\"}", &expect![[r#"
        1: " x" | "x x" | " x"
        2: "y" | "yy" | "z""#]]);
}

#[test]
fn rules_see_produced_values_and_reject_or_warn() {
    Trial::new(
        "[source.s]\ncsv = \"*\"\n[[table]]\ninto = \"t\"\nfrom = \"s\"\nkey = [\"zz\"]\n[table.columns]\nzz = { fact = \"record.number\" }\na = \"a\"\nb = { from = \"b\", invalid = \"null\" }\n[[table.rule]]\nname = \"positive\"\ncel = \"new.a > 0\"\n[[table.rule]]\nname = \"known\"\ncel = \"new.b != null\"\nseverity = \"warn\"",
    )
    .table("zz integer, a integer, b integer")
    .check(
        "a|b\n1|1\n0|1\n1|x\n~|1\n0|x",
        &expect![[r#"
            1: 1 | 1
            2: WB0251 rule `positive`: a rule of the plan is broken
            3: 1 | NULL
            4: WB0250 rule `positive`: `>` does not take null and int
            5: WB0251 rule `positive`: a rule of the plan is broken
            note WB0260 b × 1: 3:"x"
            note WB0267 known × 1: 3:"""#]],
    );
}

#[test]
fn elements_make_rows_and_one_bad_element_rejects_them_all() {
    Trial::new(
        "[source.s]\njsonl = \"*\"\n[[table]]\ninto = \"t\"\nfrom = \"s\"\neach = \"/tags\"\nkey = [\"id\", \"n\"]\n[table.let]\ne = { fact = \"element\" }\n[table.columns]\nid = \"id\"\nn = { fact = \"element.number\" }\nv = { cel = \"e.v\" }",
    )
    .table("id integer, n integer, v integer")
    .check(
        "{\"id\":1,\"tags\":[{\"v\":1},{\"v\":2}]}\n{\"id\":2,\"tags\":[{\"v\":1},{\"v\":\"x\"}]}\n{\"id\":3}\n{\"id\":4,\"tags\":[]}\n{\"id\":5,\"tags\":\"x\"}",
        &expect![[r#"
            1: 1 | 1 | 1
            1: 1 | 2 | 2
            2: WB0230 column `v`: not an integer as it stands: `x`
            3: no rows
            4: no rows
            5: WB0253 field `/tags`: not a JSON array: `x`"#]],
    );
}

#[test]
fn unions_take_one_expression_per_source() {
    let plan = "[source.a]\njsonl = \"*\"\n[source.b]\ncsv = \"*\"\n[[table]]\ninto = \"t\"\nfrom = [\"a\", \"b\"]\nkey = [\"k\"]\n[table.columns]\nk = { fact = \"record.number\" }\nv.by_source = { a = { from = \"x\", invalid = \"null\" }, b = { value = 7 } }";
    let mut trial = Trial::new(plan).table("k integer, v integer");
    trial.check(
        "{\"x\":1}\n{\"x\":\"y\"}",
        &expect![[r#"
        1: 1 | 1
        2: 2 | NULL
        note WB0260 v × 1: 2:"y""#]],
    );
    trial.plan = trial.plan.replace("csv = \"*\"", "csv = \"*\"\nignore = [\"z\"]");
    trial.source = 1;
    trial.check("z\n1", &expect!["1: 1 | 7"]);
}

#[test]
fn archived_columns_and_legacy_keys_accompany_rows() {
    let mut trial = Trial::new(
        "[source.s]\ncsv = \"*\"\narchive = [\"note\", \"x\"]\n[[table]]\ninto = \"t\"\nfrom = \"s\"\nkey = [\"id\"]\n[table.columns]\nid = \"id\"",
    )
    .table("id integer");
    trial.referenced = true;
    trial.check(
        "id|note|x\n1|a\"b|~\nx|y|~\n2|~|~",
        &expect![[r#"
        1: 1 key 1
        1: archived {"note":"a\"b"}
        2: WB0230 column `id` field `id`: not an integer as it stands: `x`
        3: 2 key 2"#]],
    );
}

#[test]
fn duplicates_are_compared_by_record_or_by_columns() {
    let digests = |duplicates: &str, records: &str| {
        let trial = Trial::new(&format!(
            "[source.s]\ncsv = \"*\"\n[[table]]\ninto = \"t\"\nfrom = \"s\"\nkey = [\"zz\"]\nduplicates = {duplicates}\n[table.columns]\nzz = {{ fact = \"record.number\" }}\na = \"a\"\nb = \"b\""
        ));
        let outputs = trial.table("zz integer, a double, b text").run(records).unwrap();
        outputs.into_iter().flat_map(|output| output.duplicates).collect::<Vec<_>>()
    };
    let by_record = digests("{ by = \"record\" }", "a|b\n1|x\n1|x\n1.0|x\nbad|x");
    assert_eq!(by_record[0], by_record[1]);
    assert!(by_record[0] != by_record[2] && by_record[2].is_some() && by_record[3].is_none());
    let by_file = digests("{ by = \"record\", scope = \"file\" }", "a|b\n1|x");
    assert_ne!(by_file[0], by_record[0]);
    let by_columns = digests("{ by = [\"a\", \"b\"] }", "a|b\n1|x\n1.0|x\n1|~\n1|~");
    assert_eq!(by_columns[0], by_columns[1], "by value");
    assert_eq!(by_columns[2..], [None, None], "NULL equals nothing");
}

#[test]
fn text_that_has_to_match_is_rejected_where_it_does_not() {
    Trial::columns("a = { from = \"a\", matches = \"^[a-z]+$\" }", "a text").check(
        "a\nfine\nNot",
        &expect![[r#"
            1: "fine"
            2: WB0245 column `a` field `a`: the text does not match: `Not`"#]],
    );
}

#[test]
fn a_condition_that_is_neither_true_nor_false_rejects() {
    let plan = "[source.s]\ncsv = \"*\"\n[[table]]\ninto = \"t\"\nfrom = \"s\"\nwhere = \"a\"\nkey = [\"a\"]\n[table.columns]\na = \"a\"";
    Trial::new(plan)
        .table("a text")
        .check("a\nx", &expect!["1: WB0259 rule `where a`: the condition gave text"]);
}

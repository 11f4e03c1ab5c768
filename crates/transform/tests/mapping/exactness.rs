//! Nothing changes silently.

use expect_test::expect;

use crate::harness::Trial;

#[test]
fn text_becomes_a_number_only_as_it_stands() {
    Trial::columns("n = \"n\"\nx = \"x\"", "n integer, x double").check(
        "n|x\n12|1.10\n00601|1\n1e5|1\n9007199254740993|1\n+1|1\n1.10|1\n1|9007199254740993\n-0|1\n~|~\n1|1e5\n||",
        &expect![[r"
            1: 12 | 1.1
            2: WB0230 column `n` field `n`: not an integer as it stands: `00601`
            3: WB0230 column `n` field `n`: not an integer as it stands: `1e5`
            4: 9007199254740993 | 1.0
            5: WB0230 column `n` field `n`: not an integer as it stands: `+1`
            6: WB0230 column `n` field `n`: not an integer as it stands: `1.10`
            7: WB0233 column `x` field `x`: a double cannot hold the number exactly: `9007199254740993`
            8: WB0230 column `n` field `n`: not an integer as it stands: `-0`
            9: NULL | NULL
            10: 1 | 100000.0
            11: WB0230 column `n` field `n`: not an integer as it stands: ``"]],
    );
}

#[test]
fn invalid_values_become_null_or_the_default_counted_and_sampled() {
    Trial::columns("n = { from = \"n\", invalid = \"null\" }\nm = { from = \"n\", invalid = \"default\", default = 7 }", "n integer, m integer")
        .check(
            "n\nx\n1\n~\n--",
            &expect![[r#"
                1: NULL | 7
                2: 1 | 1
                3: NULL | 7
                4: NULL | 7
                note WB0260 n × 2: 1:"x" 4:"--"
                note WB0261 m × 2: 1:"x" 4:"--""#]],
        );
}

#[test]
fn what_the_engine_cannot_hold_is_counted_or_refused() {
    Trial::columns("x = \"x\"\nt = \"t\"", "x double, t text(3)").check(
        "x|t\n-0.0|abc\n1|abcd\n1|a\\0b\nnan|a\n1|ééé",
        &expect![[r#"
            1: 0.0 | "abc"
            2: WB0239 column `t` field `t`: 4 characters, the column holds 3: `abcd`
            3: WB0240 column `t` field `t`: the engine holds no U+0000 in text: `a\u{0}b`
            4: WB0232 column `x` field `x`: not a number as it stands: `nan`
            5: 1.0 | "ééé"
            note WB0262 x × 1: 1:"-0.0""#]],
    );
}

#[test]
fn decimals_are_exact_or_rounded_as_declared() {
    Trial::columns(
        "d = \"d\"\nr = { from = \"d\", round = true }",
        "d decimal(6,3), r decimal(4,1)",
    )
    .check(
        "d\n1.100\n2.250\n1.2345\n1e2\n9999.9",
        &expect![[r#"
            1: 1.100 | 1.100
            2: 2.250 | 2.2
            3: WB0234 column `d` field `d`: decimal(6,3) cannot hold it: `1.2345`
            4: WB0232 column `d` field `d`: not a decimal number as it stands: `1e2`
            5: WB0234 column `d` field `d`: decimal(6,3) cannot hold it: `9999.9`
            note WB0263 r × 1: 2:"2.250""#]],
    );
}

#[test]
fn json_numbers_keep_their_text() {
    Trial::json("a = \"a\"\nb = \"a\"\nc = \"a\"\nd = \"a\"", "a any, b text, c decimal, d json")
        .check(
            "{\"a\":1.50}\n{\"a\":12345678901234567890}\n{\"a\":true}\n{\"a\":\"x\"}\n{\"a\":[1, 2]}\n{}\n{\"a\":1e400}",
            &expect![[r#"
                1: 1.5 | "1.50" | 1.50 | 1.50
                2: 12345678901234567890 | "12345678901234567890" | 12345678901234567890 | 12345678901234567890
                3: WB0243 column `c` field `a`: boolean cannot become decimal: `true`
                4: WB0232 column `c` field `a`: not a decimal number as it stands: `x`
                5: WB0243 column `c` field `a`: json cannot become decimal: `[1,2]`
                6: NULL | NULL | NULL | NULL
                7: 1e400 | "1e400" | 1e400 | 1e400
                note WB0264 b × 3: 1:"1.50" 2:"12345678901234567890" 7:"1e400""#]],
        );
}

#[test]
fn required_columns_and_keys_refuse_null() {
    Trial::new("[source.s]\ncsv = \"*\"\n[[table]]\ninto = \"t\"\nfrom = \"s\"\nkey = [\"k\"]\n[table.columns]\nk = \"k\"\nr = \"r\"")
        .table("k text, r text!")
        .check(
            "k|r\na|b\n~|b\na|~",
            &expect![[r#"
                1: "a" | "b"
                2: WB0249 column `k` field `k`: a key column is NULL
                3: WB0248 column `r` field `r`: a required column is NULL"#]],
        );
}

#[test]
fn defective_records_are_rejected_with_their_own_code() {
    Trial::columns("a = \"a\"", "a text").check(
        "a\nx\n!!torn",
        &expect![[r#"
            1: "x"
            2: WB0101: torn"#]],
    );
}

#[test]
fn hostile_text_is_shown_escaped_and_bounded() {
    let long = "\u{1b}[2J".repeat(1_000);
    let outcome = Trial::columns("a = \"a\"", "a integer").outcome(&format!("a\n{long}"));
    assert!(outcome.len() < 1_500 && !outcome.contains('\u{1b}'), "{outcome}");
}

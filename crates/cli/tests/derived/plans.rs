//! Small plans: references, duplicates, rows that stand there already.

use std::fs;

use expect_test::{Expect, expect};

use crate::agreement::agree;

/// A plan with a target `new.db`, files beside it as `name: content`, and the tables of the target.
#[track_caller]
fn check(plan: &str, files: &[(&str, &str)], schema: &str, expected: &Expect) {
    let folder = tempfile::tempdir().unwrap();
    let head = "name = \"derived\"\ntarget = \"sqlite:new.db\"\nschema = \"schema\"\n";
    fs::write(folder.path().join("whimbrel.toml"), format!("{head}{plan}")).unwrap();
    fs::create_dir(folder.path().join("schema")).unwrap();
    fs::write(folder.path().join("schema/1.sql"), schema).unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    expected.assert_eq(&agree(folder.path(), "new.db", &[], &[]));
}

const PARENTS: &str =
    "[source.p]\ncsv = \"p*.csv\"\nnull = [\"\"]\n[source.c]\ncsv = \"c.csv\"\nnull = [\"\"]\n";

#[test]
fn children_follow_their_parents() {
    check(
        &format!(
            "{PARENTS}[[table]]\ninto = \"child\"\nfrom = \"c\"\nkey = [\"id\"]\ncolumns = {{ id = \"ID\", parent = {{ ref = \"parent\", by = \"P\" }} }}\n\
             [[table]]\ninto = \"parent\"\nfrom = \"p\"\nkey = [\"id\"]\ncolumns = {{ id = \"ID\", n = \"N\" }}\n"
        ),
        &[
            ("p1.csv", "ID,N\n1,1\n2,x\n03,3\n3,3\n"),
            ("c.csv", "ID,P\n1,1\n2,2\n3,3\n4,03\n5,\n6,9\n"),
        ],
        "CREATE TABLE parent (id INTEGER PRIMARY KEY, n INTEGER); CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent (id));",
        &expect![[r#"
            parent: 2 rows
            child: 2 rows
            6 rejects
        "#]],
    );
}

#[test]
fn a_missing_parent_may_be_null() {
    check(
        &format!(
            "{PARENTS}[[table]]\ninto = \"parent\"\nfrom = \"p\"\nkey = [\"id\"]\nlegacy_key = [\"OLD\", {{ from = \"N\", null = [\"-\"] }}]\ncolumns = {{ id = \"ID\" }}\n\
             [[table]]\ninto = \"child\"\nfrom = \"c\"\nkey = [\"id\"]\ncolumns = {{ id = \"ID\", parent = {{ ref = \"parent\", by = [\"P\", \"Q\"], missing = \"null\" }} }}\n"
        ),
        &[
            ("p1.csv", "ID,OLD,N\n1,a,b\n2,a,c\n3,d,-\n4,d,b\n"),
            ("p2.csv", "ID,OLD,N\n5,a,b\n6,d,b\n7,,b\n"),
            ("c.csv", "ID,P,Q\n1,a,b\n2,a,c\n3,d,b\n4,,b\n5,x,y\n6,d,\n"),
        ],
        "CREATE TABLE parent (id INTEGER PRIMARY KEY); CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER);",
        &expect![[r#"
            parent: 5 rows
            child: 4 rows
            4 rejects
        "#]],
    );
}

#[test]
fn old_keys_are_compared_as_they_are_written() {
    check(
        "[source.p]\njsonl = \"p.jsonl\"\n[source.c]\njsonl = \"c.jsonl\"\n\
         [[table]]\ninto = \"parent\"\nfrom = \"p\"\nkey = [\"id\"]\ncolumns = { id = \"id\" }\n\
         [[table]]\ninto = \"child\"\nfrom = \"c\"\nkey = [\"id\"]\ncolumns = { id = \"id\", parent = { ref = \"parent\", by = \"p\" } }\n",
        &[
            ("p.jsonl", "{\"id\":1}\n{\"id\":2.0}\n{\"id\":\"3\"}\n{\"id\":4e0}\n"),
            (
                "c.jsonl",
                "{\"id\":1,\"p\":1}\n{\"id\":2,\"p\":2}\n{\"id\":3,\"p\":3}\n{\"id\":4,\"p\":\"1\"}\n{\"id\":5,\"p\":2.0}\n{\"id\":6,\"p\":4}\n{\"id\":7,\"p\":4e0}\n{\"id\":8,\"p\":1.0}\n",
            ),
        ],
        "CREATE TABLE parent (id INTEGER PRIMARY KEY); CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER);",
        &expect![[r#"
            parent: 4 rows
            child: 5 rows
            3 rejects
        "#]],
    );
}

#[test]
fn old_keys_of_uuids_and_times() {
    check(
        "[source.p]\ncsv = \"p.csv\"\n[source.c]\ncsv = \"c.csv\"\n\
         [[table]]\ninto = \"parent\"\nfrom = \"p\"\nkey = [\"id\"]\ncolumns = { id = { from = \"ID\", trim = true, type = \"uuid\" } }\n\
         [[table]]\ninto = \"other\"\nfrom = \"p\"\nkey = [\"at\"]\ncolumns = { at = { from = \"AT\", timestamp = \"%d.%m.%Y\" } }\n\
         [[table]]\ninto = \"child\"\nfrom = \"c\"\nkey = [\"id\"]\ncolumns = { id = \"ID\", parent = { ref = \"parent\", by = \"P\", missing = \"null\" }, other = { ref = \"other\", by = \"Q\", missing = \"null\" } }\n",
        &[
            (
                "p.csv",
                "ID,AT\n A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11,01.02.2024\na0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12,02.02.2024\n",
            ),
            (
                "c.csv",
                "ID,P,Q\n1,A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11,01.02.2024\n2,a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,2024-02-01T00:00:00Z\n3,a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12,2024-02-01\n4, A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11,x\n",
            ),
        ],
        "CREATE TABLE parent (id UUID_TEXT PRIMARY KEY); CREATE TABLE other (at TIMESTAMPTZ_TEXT PRIMARY KEY); CREATE TABLE child (id INTEGER PRIMARY KEY, parent UUID_TEXT, other TIMESTAMPTZ_TEXT);",
        &expect![[r#"
            parent: 2 rows
            other: 2 rows
            child: 4 rows
            0 rejects
        "#]],
    );
}

const ROWS: &str =
    "id,a,b\n1,x,1\n2,x,2\n3,y,1\n1,x,1\n1,z,9\n4,,5\n5,,5\n6,x,1\n7,bad,q\n8,bad,1\n7,y,1\n";

fn rows(rest: &str) -> String {
    format!(
        "[source.s]\ncsv = \"s*.csv\"\nnull = [\"\"]\n[source.c]\ncsv = \"c.csv\"\n[[table]]\ninto = \"t\"\nfrom = \"s\"\nkey = [\"id\"]\n{rest}\
         columns = {{ id = \"id\", a = \"a\", b = \"b\" }}\n\
         [[table]]\ninto = \"c\"\nfrom = \"c\"\nkey = [\"id\"]\ncolumns = {{ id = \"id\", t = {{ ref = \"t\", by = \"t\" }} }}\n"
    )
}

const T: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER); CREATE TABLE c (id INTEGER PRIMARY KEY, t INTEGER);";

#[track_caller]
fn check_rows(rest: &str, expected: &Expect) {
    let files = [
        ("s1.csv", ROWS),
        ("s2.csv", "id,a,b\n2,x,2\n3,z,1\n9,y,1\n10,u,1\n"),
        ("c.csv", "id,t\n1,1\n2,2\n3,3\n4,4\n5,5\n6,6\n7,7\n8,8\n9,9\n10,10\n"),
    ];
    check(&rows(rest), &files, T, expected);
}

#[test]
fn a_key_that_comes_again() {
    check_rows(
        "",
        &expect![[r#"
        t: 10 rows
        c: 10 rows
        3 rejects
    "#]],
    );
    check_rows(
        "existing = \"update\"\n",
        &expect![[r#"
        t: 10 rows
        c: 10 rows
        3 rejects
    "#]],
    );
    check_rows(
        "existing = \"keep\"\n",
        &expect![[r#"
        t: 10 rows
        c: 10 rows
        1 rejects
    "#]],
    );
}

#[test]
fn units_that_count_as_one() {
    check_rows(
        "duplicates = { by = [\"a\"] }\n",
        &expect![[r#"
        t: 6 rows
        c: 10 rows
        3 rejects
    "#]],
    );
    check_rows(
        "duplicates = { by = [\"a\", \"b\"] }\n",
        &expect![[r#"
        t: 7 rows
        c: 10 rows
        3 rejects
    "#]],
    );
    check_rows(
        "duplicates = { by = [\"a\"], scope = \"file\" }\n",
        &expect![[r#"
        t: 8 rows
        c: 9 rows
        4 rejects
    "#]],
    );
    check_rows(
        "duplicates = { by = \"record\" }\n",
        &expect![[r#"
        t: 10 rows
        c: 10 rows
        3 rejects
    "#]],
    );
    check_rows(
        "duplicates = { by = \"record\", scope = \"file\" }\n",
        &expect![[r#"
        t: 10 rows
        c: 10 rows
        3 rejects
    "#]],
    );
    check_rows(
        "duplicates = { by = [\"a\"], conflict = \"reject\" }\n",
        &expect![[r#"
        t: 6 rows
        c: 6 rows
        13 rejects
    "#]],
    );
    check_rows(
        "duplicates = { by = [\"id\"], conflict = \"reject\" }\n",
        &expect![[r#"
        t: 10 rows
        c: 10 rows
        5 rejects
    "#]],
    );
    check_rows(
        "duplicates = { by = \"record\", conflict = \"reject\" }\n",
        &expect![[r#"
        t: 10 rows
        c: 10 rows
        5 rejects
    "#]],
    );
    check_rows(
        "duplicates = { by = [\"b\"] }\nexisting = \"update\"\n",
        &expect![[r#"
        t: 3 rows
        c: 10 rows
        2 rejects
    "#]],
    );
}

#[test]
fn elements_and_what_they_share() {
    let plan = |rest: &str| {
        format!(
            "[source.s]\njsonl = \"s.jsonl\"\n[[table]]\ninto = \"t\"\nfrom = \"s\"\neach = \"/t\"\nkey = [\"id\"]\n{rest}\
             columns = {{ id = {{ fact = \"element\" }}, a = \"n\", b = {{ fact = \"element.number\" }} }}\n"
        )
    };
    let files = [(
        "s.jsonl",
        "{\"n\":\"a\",\"t\":[1,2]}\n{\"n\":\"b\",\"t\":[3,1]}\n{\"n\":\"c\",\"t\":[3]}\n{\"n\":\"a\",\"t\":[1,2]}\n{\"n\":\"d\",\"t\":[]}\n{\"n\":\"e\",\"t\":[7,7]}\n{\"n\":\"f\"}\n",
    )];
    check(
        &plan(""),
        &files,
        T,
        &expect![[r#"
        t: 3 rows
        2 rejects
    "#]],
    );
    check(
        &plan("existing = \"keep\"\n"),
        &files,
        T,
        &expect![[r#"
        t: 3 rows
        0 rejects
    "#]],
    );
    check(
        &plan("existing = \"update\"\n"),
        &files,
        T,
        &expect![[r#"
        t: 3 rows
        2 rejects
    "#]],
    );
    check(
        &plan("duplicates = { by = [\"a\"] }\n"),
        &files,
        T,
        &expect![[r#"
        t: 3 rows
        2 rejects
    "#]],
    );
}

#[test]
fn what_the_target_refuses_is_no_parent() {
    check(
        "[source.p]\ncsv = \"p.csv\"\n[source.c]\ncsv = \"c.csv\"\n\
         [[table]]\ninto = \"parent\"\nfrom = \"p\"\nkey = [\"id\"]\nduplicates = { by = [\"u\"] }\ncolumns = { id = \"ID\", n = \"N\", u = \"U\" }\n\
         [[table]]\ninto = \"child\"\nfrom = \"c\"\nkey = [\"id\"]\ncolumns = { id = \"ID\", parent = { ref = \"parent\", by = \"P\" } }\n",
        &[
            ("p.csv", "ID,N,U\n1,5,a\n2,-5,b\n3,7,b\n4,-1,c\n5,8,c\n"),
            ("c.csv", "ID,P\n1,1\n2,2\n3,3\n4,4\n5,5\n"),
        ],
        "CREATE TABLE parent (id INTEGER PRIMARY KEY, n INTEGER CHECK (n > 0), u TEXT); CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER);",
        &expect![[r#"
            parent: 3 rows
            child: 3 rows
            4 rejects
        "#]],
    );
}

#[test]
fn files_that_are_set_aside() {
    let plan = |large: &str| {
        format!(
            "[source.s]\ncsv = \"s*.csv\"\nmax_file_size = 12\nlarge_files = \"{large}\"\n[[table]]\ninto = \"t\"\nfrom = \"s\"\nkey = [\"id\"]\n\
             columns = {{ id = {{ fact = \"source.ordinal\" }}, a = \"a\" }}\n"
        )
    };
    let files =
        [("s1.csv", "a\n1\n2\n"), ("s2.csv", "a\n1\n2\n3\n4\n5\n6\n7\n"), ("s3.csv", "a\nx\ny\n")];
    check(
        &plan("handle"),
        &files,
        T,
        &expect![[r#"
        t: 11 rows
        0 rejects
    "#]],
    );
    check(
        &plan("skip"),
        &files,
        T,
        &expect![[r#"
        t: 4 rows
        0 rejects
    "#]],
    );
    check(
        &plan("reject"),
        &files,
        T,
        &expect![[r#"
        t: 4 rows
        1 rejects
    "#]],
    );
}

#[test]
fn kinds_that_a_type_says_against_the_column() {
    let plan = "[source.s]\njsonl = \"s.jsonl\"\n[[table]]\ninto = \"k\"\nfrom = \"s\"\nkey = [\"id\"]\n[table.columns]\n\
        id = { fact = \"record.number\" }\na = { from = \"v\", type = \"text\" }\nb = { from = \"v\", type = \"json\" }\n\
        c = { from = \"v\", type = \"integer\", invalid = \"null\" }\nd = { from = \"v\", type = \"decimal\", invalid = \"null\" }\n\
        e = { from = \"v\", list = {}, invalid = \"null\" }\nf = { fact = \"file.path\" }\n";
    check(
        plan,
        &[(
            "s.jsonl",
            "{\"v\":1}\n{\"v\":\"abcdef\"}\n{\"v\":\"1.50\"}\n{\"v\":1.50}\n{\"v\":true}\n{\"v\":[1]}\n{\"v\":null}\n",
        )],
        "CREATE TABLE k (id INTEGER PRIMARY KEY, a TEXT, b TEXT, c TEXT, d DOUBLE, e, f TEXT);",
        &expect![[r#"
            k: 5 rows
            2 rejects
        "#]],
    );
}

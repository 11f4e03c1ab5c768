//! What `init` keeps of an old database, and what it says of the rest.

use std::fs;

use tempfile::TempDir;

use crate::old::{Place, Words};
use crate::{said, whimbrel};

/// A new database, in a folder that goes with it.
struct Carried {
    new: Place,
    _folder: TempDir,
}

/// Loads a database into a new one by the plan of `init`; the plan, the schema, and the new database.
#[track_caller]
fn carried(from: Words, sql: &str, to: Words) -> Option<(String, String, Carried)> {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path().to_owned();
    let old = Place::new(from, &folder, "old")?;
    let new = Place::new(to, &folder, "new")?;
    old.run(sql);
    let (source, target) = (old.url(), new.url());
    let made = whimbrel(&folder, &["init", &source, "--target", &target], &[]);
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    let environment = [("SOURCE", source.as_str()), ("TARGET", target.as_str())];
    let loaded = whimbrel(&folder, &["migrate"], &environment);
    assert_eq!(loaded.status.code(), Some(0), "{}", said(&loaded));
    let plan = fs::read_to_string(folder.join("whimbrel.toml")).unwrap();
    let engine = match to {
        Words::Sqlite => "sqlite",
        Words::Postgres => "postgres",
        Words::Mysql => "mysql",
    };
    let schema = format!("schema/{engine}/0001_tables.sql");
    let schema = fs::read_to_string(folder.join(schema)).unwrap();
    Some((plan, schema, Carried { new, _folder: kept }))
}

fn texts(rows: &[&[&str]]) -> Vec<Vec<Option<String>>> {
    rows.iter().map(|row| row.iter().map(|value| Some((*value).to_owned())).collect()).collect()
}

#[test]
fn tables_of_schemas_with_dots_in_their_names_are_carried() {
    let sql = "CREATE SCHEMA \"a.b\"; CREATE TABLE \"a.b\".\"c.d\" (id int PRIMARY KEY);
        CREATE TABLE \"c.d\" (id int PRIMARY KEY, up int REFERENCES \"a.b\".\"c.d\");
        INSERT INTO \"a.b\".\"c.d\" VALUES (1); INSERT INTO \"c.d\" VALUES (2, 1);";
    let Some((plan, _, new)) = carried(Words::Postgres, sql, Words::Mysql) else { return };
    assert!(plan.contains(r#"table    = "\"a.b\".\"c.d\"""#), "{plan}");
    let queries = ["SELECT id FROM a_b_c_d".to_owned(), "SELECT id, up FROM c_d".to_owned()];
    assert_eq!(new.new.rows(&queries), [texts(&[&["1"]]), texts(&[&["2", "1"]])]);
}

#[test]
fn columns_that_mariadb_hides_are_carried() {
    let sql = "CREATE TABLE t (id int PRIMARY KEY, seen int, hidden int INVISIBLE DEFAULT 7);
        INSERT INTO t (id, seen, hidden) VALUES (1, 2, 3); INSERT INTO t (id, seen) VALUES (4, 5);";
    let Some((_, _, new)) = carried(Words::Mysql, sql, Words::Postgres) else { return };
    let query = "SELECT id, seen, hidden FROM t ORDER BY id".to_owned();
    assert_eq!(new.new.rows(&[query]), [texts(&[&["1", "2", "3"], &["4", "5", "7"]])]);
}

#[test]
fn documents_in_keys_are_carried_into_mariadb() {
    let sql = "CREATE TABLE t (doc jsonb PRIMARY KEY, other jsonb UNIQUE);
        INSERT INTO t VALUES ('{\"a\": 1}', '[1, 2]'), ('2', NULL);";
    let Some((_, _, new)) = carried(Words::Postgres, sql, Words::Mysql) else { return };
    let query = "SELECT COUNT(*) FROM t WHERE JSON_VALUE(doc, '$.a') = 1 OR doc = '2'".to_owned();
    assert_eq!(new.new.rows(&[query]), [texts(&[&["2"]])]);
}

#[test]
fn many_short_texts_have_room_in_a_row_of_mariadb() {
    let columns: Vec<String> = (0..120).map(|at| format!("c{at} varchar(30)")).collect();
    let sql = format!(
        "CREATE TABLE t (id int PRIMARY KEY, {}); INSERT INTO t (id, c119) VALUES (1, 'x')",
        columns.join(", ")
    );
    let Some((_, _, new)) = carried(Words::Postgres, &sql, Words::Mysql) else { return };
    assert_eq!(new.new.rows(&["SELECT id, c119 FROM t".to_owned()]), [texts(&[&["1", "x"]])]);
}

#[test]
fn tables_called_like_keys_are_carried_into_postgresql() {
    let sql = "CREATE TABLE a (id INT PRIMARY KEY, b INT UNIQUE); CREATE TABLE a_pkey (id INT PRIMARY KEY);
        CREATE TABLE a_b_key (id INT PRIMARY KEY); INSERT INTO a VALUES (1, 2);";
    let Some((_, _, new)) = carried(Words::Sqlite, sql, Words::Postgres) else { return };
    assert_eq!(new.new.rows(&["SELECT id, b FROM a".to_owned()]), [texts(&[&["1", "2"]])]);
}

#[test]
fn blanks_that_fill_a_char_up_are_left_out_and_that_is_said() {
    let sql = "CREATE TABLE t (id int PRIMARY KEY, code char(5), name varchar(5));
        INSERT INTO t VALUES (1, 'ab', 'ab '), (2, ' c', ' c');";
    for to in Words::ALL {
        let Some((plan, schema, new)) = carried(Words::Postgres, sql, to) else { return };
        assert!(plan.contains("# character(5), blanks at the end left out"), "{plan}");
        assert!(schema.contains("-- character(5), blanks at the end left out"), "{schema}");
        let query = "SELECT code, name FROM t ORDER BY id".to_owned();
        assert_eq!(new.new.rows(&[query]), [texts(&[&["ab", "ab "], &[" c", " c"]])], "{to:?}");
    }
}

#[test]
fn a_table_without_a_name_is_carried() {
    let sql = "CREATE TABLE \"\" (id INTEGER PRIMARY KEY, born DATE); INSERT INTO \"\" VALUES (1, '1990-01-02')";
    let (plan, _, new) = carried(Words::Sqlite, sql, Words::Sqlite).unwrap();
    assert!(plan.contains(r#"query    = "SELECT * FROM \"\"""#), "{plan}");
    let query = "SELECT id, born FROM unnamed".to_owned();
    assert_eq!(new.new.rows(&[query]), [texts(&[&["1", "1990-01-02"]])]);
}

#[test]
fn steps_of_tables_whose_names_are_no_line_have_names_that_are() {
    let made = ["a\nb", "a\\nb"].map(|name| {
        format!(
            "CREATE TABLE \"{name}\" (id int PRIMARY KEY, up int REFERENCES \"{name}\");
             INSERT INTO \"{name}\" VALUES (1, 2), (2, NULL);"
        )
    });
    let Some((plan, _, new)) = carried(Words::Postgres, &made.concat(), Words::Postgres) else {
        return;
    };
    for step in [r#"name   = "a\\nb_ref_1""#, r#"name   = "a\\nb_ref_1_2""#] {
        assert!(plan.contains(step), "{plan}");
    }
    let queries =
        ["a\nb", "a\\nb"].map(|name| format!("SELECT id::text FROM \"{name}\" ORDER BY 1"));
    assert_eq!(new.new.rows(&queries), [texts(&[&["1"], &["2"]]), texts(&[&["1"], &["2"]])]);
}

#[test]
fn what_is_not_kept_is_said_in_the_schema() {
    let sqlite = "CREATE TABLE p (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE CHECK (name <> ''));
        CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER DEFAULT 5 REFERENCES p ON DELETE CASCADE);";
    let (_, schema, _) = carried(Words::Sqlite, sqlite, Words::Sqlite).unwrap();
    for told in [
        "-- 1 COLLATE of the old table left out: text is compared by its bytes\n",
        "-- 1 CHECK constraint of the old table left out\n",
        "-- `ON DELETE CASCADE` of `p` -> `p (id)` left out\n",
        "-- INTEGER, default 5\n",
    ] {
        assert!(schema.contains(told), "{told} {schema}");
    }
    let postgres = "CREATE TABLE p (id int PRIMARY KEY, name text COLLATE \"C\");
        CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p ON DELETE SET NULL ON UPDATE CASCADE);";
    let Some((_, schema, _)) = carried(Words::Postgres, postgres, Words::Sqlite) else { return };
    for told in
        ["-- text, collation C\n", "-- `ON DELETE SET NULL ON UPDATE CASCADE` of `p` -> `p (id)`"]
    {
        assert!(schema.contains(told), "{told} {schema}");
    }
    let mysql = "CREATE TABLE p (id int PRIMARY KEY, name varchar(9) COLLATE utf8mb4_general_ci);
        CREATE TABLE c (id int PRIMARY KEY, p int, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE);";
    let Some((_, schema, _)) = carried(Words::Mysql, mysql, Words::Sqlite) else { return };
    for told in
        ["collation utf8mb4_general_ci\n", "-- `ON DELETE CASCADE` of `p` -> `p (id)` left out"]
    {
        assert!(schema.contains(told), "{told} {schema}");
    }
}

#[test]
fn a_column_that_is_called_otherwise_says_how_it_was_called() {
    let sql = "CREATE TABLE t (id INT PRIMARY KEY, ctid TEXT); INSERT INTO t VALUES (1, 'x')";
    let Some((plan, schema, new)) = carried(Words::Sqlite, sql, Words::Postgres) else { return };
    assert!(plan.contains("legacy_ctid = \"ctid\""), "{plan}");
    assert!(schema.contains("called `ctid` before"), "{schema}");
    assert_eq!(new.new.rows(&["SELECT legacy_ctid FROM t".to_owned()]), [texts(&[&["x"]])]);
}

#[test]
fn references_that_mariadb_would_name_alike_are_carried() {
    let tables = ["老", "送", "¥", "å", "Name", "name", &"l".repeat(60), &"ä".repeat(31)];
    let tables = tables.map(|table| Words::Postgres.quote(table));
    let made = tables.each_ref().map(|table| {
        format!(
            "CREATE TABLE {table} (id int PRIMARY KEY, up int REFERENCES \"the top\", own int REFERENCES {table});
             INSERT INTO {table} VALUES (2, 1, 2);"
        )
    });
    let sql = "CREATE TABLE \"the top\" (id int PRIMARY KEY); INSERT INTO \"the top\" VALUES (1);";
    let sql = sql.to_owned() + &made.concat();
    let Some((_, _, new)) = carried(Words::Postgres, &sql, Words::Mysql) else { return };
    let count = "SELECT COUNT(*) FROM information_schema.REFERENTIAL_CONSTRAINTS
        WHERE CONSTRAINT_SCHEMA = DATABASE()";
    let wanted = (2 * tables.len()).to_string();
    assert_eq!(new.new.rows(&[count.to_owned()]), [texts(&[&[&wanted]])]);
}

/// Letters of MariaDB's names that it takes for one with another, those that are equal side by side.
fn equal_letters(mariadb: &Place) -> Vec<char> {
    let letters = |by: &str| {
        format!(
            "SELECT GROUP_CONCAT(n) FROM (SELECT n, CONVERT(CONVERT(UNHEX(LPAD(HEX(n), 8, '0')) USING utf32)
             USING utf8mb3) AS c FROM (SELECT seq AS n FROM seq_33_to_65535) AS numbers
             WHERE n <> 46 AND n NOT BETWEEN 55296 AND 57343) AS letters GROUP BY {by} HAVING COUNT(*) > 1"
        )
    };
    let by = ["WEIGHT_STRING(c COLLATE utf8mb3_general_ci)", "LOWER(c) COLLATE utf8mb3_bin"];
    let found = mariadb.rows(&by.map(letters));
    let mut equal = Vec::new();
    for row in found.concat() {
        let numbers = row[0].as_deref().unwrap().split(',');
        for letter in numbers.map(|number| char::from_u32(number.parse().unwrap()).unwrap()) {
            if !equal.contains(&letter) {
                equal.push(letter);
            }
        }
    }
    equal
}

#[test]
fn columns_that_mariadb_takes_for_one_get_numbers_there() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mariadb) = Place::new(Words::Mysql, folder.path(), "letters") else { return };
    let equal = equal_letters(&mariadb);
    assert!(equal.len() > 1400, "{}", equal.len());
    let mut tables: Vec<Vec<String>> = Vec::new();
    for letters in equal.chunks(400) {
        let mut columns: Vec<String> = Vec::new();
        for letter in letters {
            let name = format!("x{letter}");
            if !columns.iter().any(|other| other.eq_ignore_ascii_case(&name)) {
                columns.push(name);
            }
        }
        tables.push(columns);
    }
    let mut sql = String::new();
    for (at, columns) in tables.iter().enumerate() {
        let list: Vec<String> =
            columns.iter().map(|name| format!(", {} INT", Words::Sqlite.quote(name))).collect();
        let values: Vec<String> = (0..columns.len()).map(|at| format!(", {at}")).collect();
        let (list, values) = (list.concat(), values.concat());
        sql.push_str(&format!("CREATE TABLE t{at} (id INT PRIMARY KEY{list});"));
        sql.push_str(&format!("INSERT INTO t{at} VALUES (1{values});"));
    }
    let Some((_, _, new)) = carried(Words::Sqlite, &sql, Words::Mysql) else { return };
    for (at, columns) in tables.iter().enumerate() {
        let found = new.new.rows(&[format!("SELECT * FROM t{at}")]);
        let wanted: Vec<String> =
            std::iter::once(1).chain(0..columns.len()).map(|value| value.to_string()).collect();
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        assert_eq!(found, [texts(&[&wanted])]);
    }
}

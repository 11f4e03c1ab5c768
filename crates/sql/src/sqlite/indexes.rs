//! Indexes that a load can do without: told from the schema, dropped, and made again from the very
//! text that made them.

use rusqlite::Connection;
use whimbrel_endpoint::Index;

use crate::dialect::Dialect;

const WORDS: Dialect = Dialect::Sqlite;

/// The indexes that decide no row's fate: not unique, of plain columns, and with a condition, if any,
/// that cannot fail on a value. A table with triggers keeps all: what they ask may need them.
pub(crate) fn parkable(connection: &Connection, table: &str) -> rusqlite::Result<Vec<Index>> {
    let mut statement = connection.prepare(
        "SELECT s.name, s.sql FROM pragma_index_list(?1, 'main') l
         JOIN main.sqlite_schema s ON s.type = 'index' AND s.name = l.name
         WHERE l.\"unique\" = 0 AND s.sql IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM pragma_index_info(l.name, 'main') c
                           LEFT JOIN pragma_table_xinfo(?1, 'main') x ON x.cid = c.cid
                           WHERE c.cid < 0 OR x.hidden IS NOT 0)
           AND NOT EXISTS (SELECT 1 FROM main.sqlite_schema t
                           WHERE t.type = 'trigger' AND t.tbl_name = ?1 COLLATE NOCASE)
         ORDER BY s.rowid",
    )?;
    let index = |row: &rusqlite::Row<'_>| Ok(Index { name: row.get(0)?, definition: row.get(1)? });
    let found = statement.query_map([table], index)?.collect::<Result<Vec<Index>, _>>()?;
    Ok(found.into_iter().filter(|index| cannot_fail(&index.definition)).collect())
}

/// A condition without calls and operators that refuse values (`json ->`, `REGEXP`, `MATCH`). What is
/// in doubt may fail: letters in quotes are taken for words.
fn cannot_fail(definition: &str) -> bool {
    let upper = definition.to_ascii_uppercase();
    let one_list = definition.matches('(').count() == 1;
    let refuses = ["->", "REGEXP", "MATCH", "RAISE"].iter().any(|word| upper.contains(word));
    one_list && !refuses
}

/// Drops those that are there; their names.
pub(crate) fn drop_all(
    connection: &Connection,
    indexes: &[Index],
) -> rusqlite::Result<Vec<String>> {
    let mut dropped = Vec::new();
    for index in indexes {
        // Another one of that name is not ours.
        let same = definition(connection, &index.name)?.as_deref() == Some(&*index.definition);
        if same {
            connection.execute_batch(&format!("DROP INDEX main.{}", WORDS.quote(&index.name)))?;
            dropped.push(index.name.clone());
        }
    }
    Ok(dropped)
}

/// Makes those that are not there; their names.
pub(crate) fn create_all(
    connection: &Connection,
    table: &str,
    indexes: &[Index],
) -> rusqlite::Result<Vec<String>> {
    let mut created = Vec::new();
    if !super::catalogue::exists(connection, table)? {
        return Ok(created);
    }
    for index in indexes {
        if definition(connection, &index.name)?.is_none() {
            connection.execute_batch(&index.definition)?;
            created.push(index.name.clone());
        }
    }
    Ok(created)
}

fn definition(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    let sql =
        "SELECT max(sql) FROM main.sqlite_schema WHERE type = 'index' AND name = ?1 COLLATE NOCASE";
    connection.query_row(sql, [name], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_fates_or_may_fail_is_kept() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE p (id INTEGER PRIMARY KEY);
                 CREATE TABLE t (id INTEGER PRIMARY KEY, a, b TEXT, u UNIQUE, j TEXT,
                                 p REFERENCES p, v AS (json_extract(j, '$.x')));
                 CREATE INDEX plain ON t (a, b COLLATE NOCASE DESC);
                 CREATE INDEX  partial on t(b)  WHERE a IS NOT NULL AND b <> 'x' -- odd;
                 ;
                 CREATE INDEX child ON t (p);
                 CREATE UNIQUE INDEX uniq ON t (a, id);
                 CREATE INDEX expression ON t (lower(b));
                 CREATE INDEX virtual ON t (v);
                 CREATE INDEX calls ON t (a) WHERE json_valid(j);
                 CREATE INDEX arrow ON t (a) WHERE j -> 'x' = 1;",
            )
            .unwrap();
        let all = "SELECT group_concat(sql, '|') FROM sqlite_schema WHERE type = 'index'";
        let schema = || connection.query_row(all, [], |row| row.get::<_, String>(0)).unwrap();
        let found = parkable(&connection, "T").unwrap();
        let names: Vec<&str> = found.iter().map(|index| index.name.as_str()).collect();
        assert_eq!(names, ["plain", "partial", "child"]);
        assert_eq!(drop_all(&connection, &found).unwrap(), ["plain", "partial", "child"]);
        assert_eq!(drop_all(&connection, &found).unwrap(), [""; 0], "once");
        assert!(!schema().contains("partial"));
        assert_eq!(create_all(&connection, "t", &found).unwrap(), ["plain", "partial", "child"]);
        assert_eq!(create_all(&connection, "t", &found).unwrap(), [""; 0], "once");
        for index in &found {
            assert!(schema().contains(&index.definition), "{}", schema());
        }
        connection.execute_batch("CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END").unwrap();
        assert_eq!(parkable(&connection, "t").unwrap(), []);
        connection.execute_batch("DROP TABLE t").unwrap();
        assert_eq!(create_all(&connection, "t", &found).unwrap(), [""; 0]);
    }
}

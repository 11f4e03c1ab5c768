//! Indexes that a load can do without: told from the catalogue and `SHOW CREATE TABLE`, dropped, and
//! made again from that very clause, all of a table in one `ALTER TABLE`.
//!
//! Of InnoDB's indexes no plain one refuses a row: how long its entries can be was settled when it
//! was made. Those that compute (functional ones, of virtual columns) may, so they stay; and those
//! that foreign keys or a counter need, FULLTEXT and SPATIAL ones, and all of a table with triggers.

use whimbrel_endpoint::Index;

use super::catalogue::place;
use super::decode;
use super::session::Session;
use crate::dialect::Dialect;

const WORDS: Dialect = Dialect::Mysql;

const PARKABLE: &str = "\
SELECT s.index_name FROM information_schema.statistics s \
JOIN information_schema.tables t USING (table_schema, table_name) \
WHERE s.table_schema = COALESCE(?, DATABASE()) AND s.table_name = ? \
  AND t.engine = 'InnoDB' AND t.table_type = 'BASE TABLE' \
  AND NOT EXISTS (SELECT 1 FROM information_schema.triggers g \
                  WHERE g.event_object_schema = s.table_schema \
                    AND g.event_object_table = s.table_name) \
GROUP BY s.table_schema, s.table_name, s.index_name \
HAVING MIN(s.non_unique) = 1 AND MAX(s.index_type <> 'BTREE') = 0 \
   AND COUNT(s.column_name) = COUNT(*) \
   AND SUM(s.seq_in_index = 1 AND EXISTS ( \
         SELECT 1 FROM information_schema.key_column_usage k \
         WHERE k.referenced_table_name IS NOT NULL \
           AND ((k.table_schema = s.table_schema AND k.table_name = s.table_name \
                 AND k.column_name = s.column_name) \
             OR (k.referenced_table_schema = s.table_schema \
                 AND k.referenced_table_name = s.table_name \
                 AND k.referenced_column_name = s.column_name)))) = 0 \
   AND SUM(EXISTS ( \
         SELECT 1 FROM information_schema.columns c \
         WHERE c.table_schema = s.table_schema AND c.table_name = s.table_name \
           AND c.column_name = s.column_name \
           AND (c.extra LIKE '%VIRTUAL%' \
                OR (s.seq_in_index = 1 AND c.extra LIKE '%auto_increment%')))) = 0";

/// The indexes that decide no row's fate, in the order of the table's definition.
pub(crate) async fn parkable(
    session: &mut Session,
    table: &str,
) -> Result<Vec<Index>, sqlx::Error> {
    let rows = session.rows_once(PARKABLE, place(table)).await?;
    let names: Vec<String> = rows.iter().filter_map(|row| decode::text(row, 0)).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let shown = session.look(&format!("SHOW CREATE TABLE {}", WORDS.table(table))).await?;
    let shown = shown.first().and_then(|row| decode::text(row, 1)).unwrap_or_default();
    Ok(clauses(&shown, &names))
}

/// The clauses of these indexes, one a line.
fn clauses(shown: &str, names: &[String]) -> Vec<Index> {
    let clause = |line: &str| {
        let clause = line.trim_start();
        let clause = clause.strip_suffix(',').unwrap_or(clause);
        let name = names.iter().find(|name| {
            let head = format!("KEY {} (", WORDS.quote(name));
            clause.starts_with(&head)
        })?;
        Some(Index { name: name.clone(), definition: clause.to_owned() })
    };
    shown.lines().filter_map(clause).collect()
}

/// The statement that drops those of the indexes that are there, and their names.
pub(crate) async fn dropping(
    session: &mut Session,
    table: &str,
    indexes: &[Index],
) -> Result<Option<(String, Vec<String>)>, sqlx::Error> {
    let standing = standing(session, table).await?.unwrap_or_default();
    let there = |index: &&Index| standing.contains(&index.name);
    let drop = |index: &Index| format!("DROP KEY {}", WORDS.quote(&index.name));
    Ok(alter(table, indexes.iter().filter(there), drop))
}

/// The statement that makes those of the indexes that are not there, and their names; none where the
/// table is gone.
pub(crate) async fn creating(
    session: &mut Session,
    table: &str,
    indexes: &[Index],
) -> Result<Option<(String, Vec<String>)>, sqlx::Error> {
    let Some(standing) = standing(session, table).await? else { return Ok(None) };
    let gone = |index: &&Index| {
        !standing.iter().any(|name| name.to_lowercase() == index.name.to_lowercase())
    };
    let add = |index: &Index| format!("ADD {}", index.definition);
    Ok(alter(table, indexes.iter().filter(gone), add))
}

fn alter<'a>(
    table: &str,
    indexes: impl Iterator<Item = &'a Index>,
    clause: impl Fn(&Index) -> String,
) -> Option<(String, Vec<String>)> {
    let (clauses, names): (Vec<String>, Vec<String>) =
        indexes.map(|index| (clause(index), index.name.clone())).unzip();
    let sql = format!("ALTER TABLE {} {}", WORDS.table(table), clauses.join(", "));
    (!names.is_empty()).then_some((sql, names))
}

/// The names of a table's indexes; `None` where there is no such table.
async fn standing(session: &mut Session, table: &str) -> Result<Option<Vec<String>>, sqlx::Error> {
    if !super::catalogue::exists(session, table).await? {
        return Ok(None);
    }
    let sql = "SELECT DISTINCT index_name FROM information_schema.statistics \
               WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ?";
    let rows = session.rows_once(sql, place(table)).await?;
    Ok(Some(rows.iter().filter_map(|row| decode::text(row, 0)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clause_is_taken_as_the_server_says_it() {
        let shown = "CREATE TABLE `t` (\n  `a` int(11) DEFAULT NULL,\n  PRIMARY KEY (`id`),\n  \
                     UNIQUE KEY `u` (`a`),\n  KEY `plain` (`a`),\n  \
                     KEY `odd``one` (`b`(10),`a` DESC) COMMENT 'x, y' IGNORED,\n  \
                     FULLTEXT KEY `f` (`b`)\n) ENGINE=InnoDB";
        let names = ["plain", "odd`one", "u", "f"].map(str::to_owned);
        let clauses = clauses(shown, &names);
        let texts: Vec<&str> = clauses.iter().map(|index| index.definition.as_str()).collect();
        assert_eq!(
            texts,
            ["KEY `plain` (`a`)", "KEY `odd``one` (`b`(10),`a` DESC) COMMENT 'x, y' IGNORED"]
        );
    }
}

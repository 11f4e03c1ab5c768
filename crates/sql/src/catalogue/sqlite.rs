//! SQLite's catalogue, by its table-valued pragmas.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rusqlite::Connection;
use whimbrel_endpoint::EndpointError;
use whimbrel_model::Kind;
use whimbrel_model::catalogue::{
    Catalogue, ColumnEntry, Filled, LeftOut, Reference, Rows, TableEntry, actions,
};
use whimbrel_model::kind::IntWidth;

use super::{Look, look as ask, spell, suggest};
use crate::Options;
use crate::dialect::Dialect;
use crate::sqlite::catalogue::words;
use crate::sqlite::lane::Lane;
use crate::sqlite::session::Role;

const SQLITE: Dialect = Dialect::Sqlite;

pub(super) async fn read(
    path: PathBuf,
    shown: String,
    options: Options,
    look: Look,
) -> Result<Catalogue, EndpointError> {
    let lane = Lane::start(path, options, Role::Read);
    lane.run(move |session| {
        let outcome = {
            let connection = session.connection()?;
            whole(connection, shown, look)
        };
        outcome.map_err(|error| session.failed("read the catalogue", error))
    })
    .await
}

fn whole(connection: &Connection, shown: String, look: Look) -> rusqlite::Result<Catalogue> {
    // One snapshot for all that follows.
    let snapshot = connection.unchecked_transaction()?;
    let mut catalogue = Catalogue {
        engine: "sqlite",
        version: format!("SQLite {}", rusqlite::version()),
        shown,
        ..Catalogue::default()
    };
    let sizes = sizes(&snapshot);
    for found in found(&snapshot)? {
        match found.what.as_str() {
            "table" if SQLITE.is_ledger(&found.name) => {}
            "table" => catalogue.tables.push(table(&snapshot, &found, &sizes)?),
            "view" if SQLITE.is_ledger(&found.name) => {}
            "view" => catalogue.left_out.push(LeftOut { name: found.name, what: "view" }),
            "virtual" => {
                catalogue.left_out.push(LeftOut { name: found.name, what: "virtual table" });
            }
            // What a virtual table keeps its own data in.
            _ => {}
        }
    }
    spell(&mut catalogue.tables);
    suggest(SQLITE, &mut catalogue.tables);
    look_at_rows(&snapshot, &mut catalogue, look)?;
    snapshot.rollback()?;
    Ok(catalogue)
}

struct Found {
    name: String,
    what: String,
    without_rowid: bool,
    sql: String,
}

fn found(connection: &Connection) -> rusqlite::Result<Vec<Found>> {
    let mut statement = connection.prepare(
        "SELECT l.name, l.type, l.wr, coalesce(s.sql, '')
         FROM pragma_table_list l LEFT JOIN sqlite_schema s ON s.name = l.name
         WHERE l.schema = 'main' AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
         ORDER BY l.name",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(Found {
            name: row.get(0)?,
            what: row.get(1)?,
            without_rowid: row.get(2)?,
            sql: row.get(3)?,
        })
    })?;
    rows.collect()
}

/// Bytes of each table with its indexes; nothing where this SQLite cannot tell.
fn sizes(connection: &Connection) -> BTreeMap<String, u64> {
    let ask = || -> rusqlite::Result<BTreeMap<String, u64>> {
        let mut statement = connection.prepare(
            "SELECT s.tbl_name, SUM(d.pgsize) FROM dbstat('main', 1) d
             JOIN sqlite_schema s ON s.name = d.name GROUP BY 1",
        )?;
        let rows =
            statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)))?;
        rows.collect()
    };
    ask().unwrap_or_default()
}

fn table(
    connection: &Connection,
    found: &Found,
    sizes: &BTreeMap<String, u64>,
) -> rusqlite::Result<TableEntry> {
    let mut statement = connection.prepare(
        "SELECT name, type, \"notnull\", dflt_value, pk, hidden
         FROM pragma_table_xinfo(?1, 'main') ORDER BY cid",
    )?;
    let mut rows = statement.query([&found.name])?;
    let (mut columns, mut key) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let declared: String = row.get(1)?;
        let place: u32 = row.get(4)?;
        let required: bool = row.get(2)?;
        let generated = row.get::<_, i64>(5)? > 1;
        if place > 0 {
            key.push((place, name.clone()));
        }
        columns.push(ColumnEntry {
            kind: SQLITE.kind_of(&declared),
            name,
            declared,
            nullable: !required && (place == 0 || !found.without_rowid),
            collation: None,
            default: row.get(3)?,
            filled: if generated { Filled::Generated } else { Filled::ByRow },
            labels: Vec::new(),
            nulls: 0,
            chars_max: None,
            odd: Vec::new(),
        });
    }
    key.sort_unstable();
    let key: Vec<String> = key.into_iter().map(|(_, name)| name).collect();
    if let [alone] = key.as_slice() {
        let alias = columns
            .iter_mut()
            .find(|column| column.name == *alone)
            .filter(|column| column.declared.eq_ignore_ascii_case("INTEGER"))
            .filter(|_| !found.without_rowid);
        if let Some(column) = alias {
            column.kind = Kind::Int(IntWidth::I64);
            column.nullable = false;
            column.filled = Filled::Identity;
        }
    }
    let (uniques, partial_uniques) = uniques(connection, &found.name)?;
    let triggers = connection.query_row(
        "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1",
        [&found.name],
        |row| row.get::<_, i64>(0),
    )?;
    Ok(TableEntry {
        name: found.name.clone(),
        columns,
        key,
        uniques,
        partial_uniques,
        references: references(connection, &found.name)?,
        checks: count_word(&found.sql, "CHECK"),
        collations: count_word(&found.sql, "COLLATE"),
        triggers: triggers as u64,
        rows: Rows::Exact(0),
        bytes: sizes.get(&found.name).copied(),
        partitions: 0,
        null_keys: 0,
        storage: None,
    })
}

/// Unique keys over whole columns, and how many there are of other sorts.
fn uniques(connection: &Connection, table: &str) -> rusqlite::Result<(Vec<Vec<String>>, u64)> {
    let mut statement = connection.prepare(
        "SELECT name, partial FROM pragma_index_list(?1, 'main')
         WHERE \"unique\" AND origin <> 'pk' ORDER BY seq DESC",
    )?;
    let found: Vec<(String, bool)> = statement
        .query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let (mut uniques, mut partial) = (Vec::new(), 0);
    for (index, is_partial) in found {
        let mut statement =
            connection.prepare("SELECT name FROM pragma_index_info(?1, 'main') ORDER BY seqno")?;
        let names: Vec<Option<String>> =
            statement.query_map([index], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let names: Option<Vec<String>> = names.into_iter().collect();
        match names.filter(|_| !is_partial) {
            Some(names) => uniques.push(names),
            None => partial += 1,
        }
    }
    Ok((uniques, partial))
}

fn references(connection: &Connection, table: &str) -> rusqlite::Result<Vec<Reference>> {
    let keys = crate::sqlite::catalogue::foreign_keys(connection, table)?;
    let name = |named: String| -> rusqlite::Result<String> {
        // The parent as the catalogue spells it, whatever the case in the reference.
        let mut statement = connection.prepare_cached(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND name = ?1 COLLATE NOCASE",
        )?;
        let mut rows = statement.query([&named])?;
        let found = rows.next()?.map(|row| row.get(0)).transpose()?;
        Ok(found.unwrap_or(named))
    };
    let mut statement = connection.prepare(
        "SELECT on_delete, on_update FROM pragma_foreign_key_list(?1, 'main') GROUP BY id ORDER BY id",
    )?;
    let rules = statement.query_map([table], |row| {
        Ok(actions(&row.get::<_, String>(0)?, &row.get::<_, String>(1)?))
    })?;
    let rules: Vec<Option<String>> = rules.collect::<Result<_, _>>()?;
    keys.into_iter()
        .zip(rules)
        .map(|(key, actions)| {
            Ok(Reference {
                columns: key.columns,
                parent: name(key.parent)?,
                parent_columns: key.parent_columns,
                actions,
                guessed: false,
                orphans: None,
            })
        })
        .collect()
}

/// How often a word stands in a table's definition, outside of quotes and comments.
fn count_word(sql: &str, wanted: &str) -> u64 {
    words(sql).iter().filter(|word| *word == wanted).count() as u64
}

fn look_at_rows(
    connection: &Connection,
    catalogue: &mut Catalogue,
    look: Look,
) -> rusqlite::Result<()> {
    for at in 0..catalogue.tables.len() {
        let name = catalogue.tables[at].name.clone();
        if let Some(estimate) = look.taken(|| estimate(connection, &name)) {
            catalogue.tables[at].rows = Rows::Estimate(estimate);
            continue;
        }
        let count: i64 = connection.query_row(&ask::rows(SQLITE, &name), [], |row| row.get(0))?;
        catalogue.tables[at].rows = Rows::Exact(count as u64);
        for question in ask::questions(SQLITE, &catalogue.tables[at]) {
            let answers: Vec<Option<i64>> = connection.query_row(&question.sql, [], |row| {
                (0..question.about.len()).map(|index| row.get(index)).collect()
            })?;
            for (about, answer) in question.about.into_iter().zip(answers) {
                ask::answered(&mut catalogue.tables[at], about, answer);
            }
        }
    }
    for at in 0..catalogue.tables.len() {
        let table = &catalogue.tables[at];
        if matches!(table.rows, Rows::Estimate(_)) {
            continue;
        }
        let asked: Vec<Option<String>> = table
            .references
            .iter()
            .map(|reference| ask::orphans(SQLITE, catalogue, table, reference))
            .collect();
        for (number, sql) in asked.into_iter().enumerate() {
            let Some(sql) = sql else { continue };
            let count: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
            catalogue.tables[at].references[number].orphans = Some(count as u64);
        }
    }
    Ok(())
}

/// Rows as ANALYZE has counted them, where it has.
fn estimate(connection: &Connection, table: &str) -> Option<u64> {
    let sql = "SELECT MAX(CAST(stat AS INTEGER)) FROM sqlite_stat1 WHERE tbl = ?1";
    let found: Option<i64> = connection.query_row(sql, [table], |row| row.get(0)).ok().flatten();
    found.and_then(|rows| u64::try_from(rows).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_counted_outside_of_quotes_and_comments() {
        let sql =
            "CREATE TABLE t (a CHECK (a > 0), \"check\" TEXT, -- check\n b Check(b<>'check'))";
        assert_eq!(count_word(sql, "CHECK"), 2);
    }
}

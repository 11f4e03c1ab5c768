//! What an engine itself says of a table: where its counters stand, which constraints and indexes it does
//! not vouch for, which references it has no index for.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use whimbrel_endpoint::{Counter, Doubt, EndpointError, ErrorClass, Feed};
use whimbrel_model::ValueRef;

use crate::codes;
use crate::dialect::Dialect;
use crate::sqlite::fault;

/// Answers SQL on the snapshot, as texts.
#[async_trait::async_trait]
pub(super) trait Asked: Sync {
    async fn ask(&self, sql: String) -> Result<Box<dyn Feed>, EndpointError>;
}

async fn texts(asked: &dyn Asked, sql: String) -> Result<Vec<Vec<Option<String>>>, EndpointError> {
    let mut feed = asked.ask(sql).await?;
    let mut rows = Vec::new();
    while let Some(chunk) = feed.next().await? {
        let text = |value: ValueRef<'_>| match value {
            ValueRef::Null => None,
            value => Some(value.to_string()),
        };
        rows.extend(chunk.rows().map(|row| row.values().map(text).collect::<Vec<_>>()));
    }
    Ok(rows)
}

/// A text as an expression that no setting of the engine reads differently.
fn literal(dialect: Dialect, text: &str) -> String {
    match dialect {
        Dialect::Sqlite => format!("'{}'", text.replace('\'', "''")),
        Dialect::Postgres => format!("'{}'::text", text.replace('\'', "''")),
        Dialect::Mysql => {
            if text.is_empty() {
                return "''".to_owned();
            }
            let mut hex = String::with_capacity(2 * text.len());
            text.bytes().for_each(|byte| hex.push_str(&format!("{byte:02x}")));
            format!("CONVERT(0x{hex} USING utf8mb4)")
        }
    }
}

/// The schema of a table, as an expression.
fn schema(dialect: Dialect, schema: Option<&str>) -> String {
    schema.map_or_else(|| "DATABASE()".to_owned(), |schema| literal(dialect, schema))
}

pub(super) async fn counters(
    asked: &dyn Asked,
    dialect: Dialect,
    table: &str,
) -> Result<Vec<Counter>, EndpointError> {
    match dialect {
        Dialect::Sqlite => of_sqlite(asked, table).await,
        Dialect::Postgres => of_postgres(asked, table).await,
        Dialect::Mysql => of_mysql(asked, table).await,
    }
}

fn number(text: Option<&String>) -> Option<i128> {
    text.and_then(|text| text.parse().ok())
}

/// Only `AUTOINCREMENT` has a counter of its own.
async fn of_sqlite(asked: &dyn Asked, table: &str) -> Result<Vec<Counter>, EndpointError> {
    let there = "SELECT name FROM sqlite_schema WHERE name = 'sqlite_sequence'";
    if texts(asked, there.to_owned()).await?.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT CAST(s.seq AS TEXT) AS seq, (SELECT CAST(max(rowid) AS TEXT) FROM {}) AS highest \
         FROM sqlite_sequence AS s WHERE s.name = {} COLLATE NOCASE",
        Dialect::Sqlite.table(table),
        literal(Dialect::Sqlite, table)
    );
    let rows = texts(asked, sql).await?;
    let counter = |row: &Vec<Option<String>>| {
        let last = number(row[0].as_ref())?;
        let highest = number(row[1].as_ref());
        Some(Counter { column: "rowid".to_owned(), next: last.saturating_add(1), highest, step: 1 })
    };
    Ok(rows.iter().filter_map(counter).collect())
}

/// Owned sequences (serial, identity), and those that a default names.
async fn of_postgres(asked: &dyn Asked, table: &str) -> Result<Vec<Counter>, EndpointError> {
    let dialect = Dialect::Postgres;
    let place = literal(dialect, &dialect.table(table));
    let sql = format!(
        "SELECT DISTINCT a.attname::text AS name, s.seqrelid::regclass::text AS sequence, \
                s.seqincrement::text AS step \
         FROM pg_catalog.pg_depend d \
         JOIN pg_catalog.pg_sequence s ON s.seqrelid = d.objid \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
         WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refobjid = to_regclass({place}) \
           AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i') \
         UNION \
         SELECT a.attname::text, s.seqrelid::regclass::text, s.seqincrement::text \
         FROM pg_catalog.pg_attrdef f \
         JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::regclass \
              AND d.objid = f.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass \
         JOIN pg_catalog.pg_sequence s ON s.seqrelid = d.refobjid \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum \
         WHERE f.adrelid = to_regclass({place})"
    );
    let mut counters = Vec::new();
    for row in texts(asked, sql).await? {
        let [Some(column), Some(sequence), Some(step)] = &row[..] else { continue };
        let step: i128 = step.parse().unwrap_or(1);
        let edge = if step < 0 { "min" } else { "max" };
        let sql = format!(
            "SELECT (CASE WHEN q.is_called THEN q.last_value::numeric + {step} \
                          ELSE q.last_value::numeric END)::text AS next, \
                    (SELECT {edge}({name})::text FROM {table}) AS highest \
             FROM {sequence} AS q",
            name = dialect.quote(column),
            table = dialect.table(table)
        );
        for told in texts(asked, sql).await? {
            let Some(next) = number(told[0].as_ref()) else { continue };
            let highest = number(told[1].as_ref());
            counters.push(Counter { column: column.clone(), next, highest, step });
        }
    }
    Ok(counters)
}

async fn of_mysql(asked: &dyn Asked, table: &str) -> Result<Vec<Counter>, EndpointError> {
    let dialect = Dialect::Mysql;
    let (own, name) = dialect.place(table);
    let sql = format!(
        "SELECT c.column_name AS name, CAST(t.auto_increment AS CHAR) AS next \
         FROM information_schema.columns AS c JOIN information_schema.tables AS t \
              ON t.table_schema = c.table_schema AND t.table_name = c.table_name \
         WHERE c.extra LIKE '%auto_increment%' AND c.table_schema = {} AND c.table_name = {}",
        schema(dialect, own.as_deref()),
        literal(dialect, &name)
    );
    let mut counters = Vec::new();
    for row in texts(asked, sql).await? {
        let (Some(column), next) = (&row[0], number(row[1].as_ref())) else { continue };
        let Some(next) = next else { continue };
        let sql = format!(
            "SELECT CAST(max({}) AS CHAR) AS highest FROM {}",
            dialect.quote(column),
            dialect.table(table)
        );
        let told = texts(asked, sql).await?;
        let highest = number(told.first().and_then(|row| row[0].as_ref()));
        counters.push(Counter { column: column.clone(), next, highest, step: 1 });
    }
    Ok(counters)
}

/// On servers; see [`checked_by_sqlite`].
pub(super) async fn doubts(
    asked: &dyn Asked,
    dialect: Dialect,
    table: &str,
) -> Result<Vec<Doubt>, EndpointError> {
    match dialect {
        Dialect::Sqlite => Ok(Vec::new()),
        Dialect::Postgres => vouched_by_postgres(asked, table).await,
        Dialect::Mysql => checked_again(asked, table).await,
    }
}

/// NOT NULL, CHECK, UNIQUE and the indexes, by `SQLite`'s own look at every row. It forgets CHECKs of a
/// database that was opened for reading only, so this is a connection of its own, which only reads too.
pub(super) async fn checked_by_sqlite(
    path: &Path,
    busy: Duration,
    table: &str,
) -> Result<Vec<Doubt>, EndpointError> {
    let (path, table, name) = (path.to_owned(), table.to_owned(), table.to_owned());
    let look = move || -> Result<Vec<String>, EndpointError> {
        let looked = || -> rusqlite::Result<Vec<String>> {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(&path, flags)?;
            connection.busy_timeout(busy)?;
            connection.pragma_update(None, "query_only", true)?;
            // What is committed is moved by those who write.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            let sql = "SELECT integrity_check FROM pragma_integrity_check(?1) LIMIT 100";
            let mut statement = connection.prepare(sql)?;
            statement.query_map([&table], |row| row.get(0))?.collect()
        };
        let told = looked().map_err(|error| fault::failed(&path, "check the integrity", error))?;
        Ok(told.into_iter().filter(|told| told != "ok").collect())
    };
    let told = tokio::task::spawn_blocking(look).await.unwrap_or_else(|_| {
        let what = "the thread that checked the integrity has ended";
        Err(EndpointError::new(ErrorClass::System, codes::CONNECTION_GONE, what))
    })?;
    Ok(told.into_iter().map(|what| Doubt { name: name.clone(), what }).collect())
}

async fn vouched_by_postgres(asked: &dyn Asked, table: &str) -> Result<Vec<Doubt>, EndpointError> {
    let place = literal(Dialect::Postgres, &Dialect::Postgres.table(table));
    let sql = format!(
        "SELECT c.conname::text AS name, 'the constraint was never validated' AS what \
         FROM pg_catalog.pg_constraint c WHERE c.conrelid = to_regclass({place}) AND NOT c.convalidated \
         UNION ALL \
         SELECT i.indexrelid::regclass::text, 'the index is not valid' \
         FROM pg_catalog.pg_index i WHERE i.indrelid = to_regclass({place}) \
           AND NOT (i.indisvalid AND i.indisready) \
         UNION ALL \
         SELECT c.conname::text, 'the reference is not enforced: its triggers are disabled' \
         FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_constraint c ON c.oid = t.tgconstraint \
         WHERE t.tgrelid = to_regclass({place}) AND t.tgisinternal AND t.tgenabled = 'D' \
         GROUP BY c.conname ORDER BY 1, 2"
    );
    let row = |mut row: Vec<Option<String>>| {
        let what = row.pop().flatten()?;
        Some(Doubt { name: row.pop().flatten()?, what })
    };
    Ok(texts(asked, sql).await?.into_iter().filter_map(row).collect())
}

/// These servers can be told not to look at CHECKs while rows are written: they are evaluated again.
async fn checked_again(asked: &dyn Asked, table: &str) -> Result<Vec<Doubt>, EndpointError> {
    let dialect = Dialect::Mysql;
    let (own, name) = dialect.place(table);
    let (schema, name) = (schema(dialect, own.as_deref()), literal(dialect, &name));
    let version = texts(asked, "SELECT VERSION() AS v".to_owned()).await?;
    let version = version.into_iter().flatten().flatten().next().unwrap_or_default();
    let is_mariadb = version.contains("MariaDB");
    if !is_mariadb && version.starts_with("5.") {
        return Ok(Vec::new());
    }
    // On MariaDB names of CHECKs are the table's own, and its `constraint_name` may be a column's.
    let of_table = if is_mariadb { " AND c.table_name = t.table_name" } else { "" };
    let sql = format!(
        "SELECT c.constraint_name AS name, c.check_clause AS clause \
         FROM information_schema.check_constraints AS c JOIN information_schema.table_constraints AS t \
              ON t.constraint_schema = c.constraint_schema AND t.constraint_name = c.constraint_name{of_table} \
         WHERE t.constraint_type = 'CHECK' AND t.table_schema = {schema} AND t.table_name = {name}"
    );
    let mut doubts = Vec::new();
    for row in texts(asked, sql).await? {
        let [Some(constraint), Some(clause)] = &row[..] else { continue };
        // MySQL keeps the clause with its quotes escaped, as it stood in the statement.
        let clause = if is_mariadb { clause.clone() } else { clause.replace("\\'", "'") };
        let sql =
            format!("SELECT COUNT(*) AS n FROM {} WHERE NOT ({clause})", dialect.table(table));
        let told = texts(asked, sql).await?;
        let broken = number(told.first().and_then(|row| row[0].as_ref())).unwrap_or(0);
        if broken > 0 {
            let rows = if broken == 1 {
                "1 row breaks".to_owned()
            } else {
                format!("{broken} rows break")
            };
            doubts.push(Doubt { name: constraint.clone(), what: format!("{rows} the CHECK") });
        }
    }
    Ok(doubts)
}

/// The leading columns of each index of a table.
pub(super) async fn indexes(
    asked: &dyn Asked,
    dialect: Dialect,
    table: &str,
) -> Result<Vec<Vec<String>>, EndpointError> {
    let (own, name) = dialect.place(table);
    let sql = match dialect {
        Dialect::Sqlite => format!(
            "SELECT l.name AS i, x.name AS c FROM pragma_index_list({0}) AS l, pragma_index_info(l.name) AS x \
             WHERE l.partial = 0 ORDER BY l.seq, x.seqno",
            literal(dialect, table)
        ),
        Dialect::Postgres => format!(
            "SELECT i.indexrelid::text AS i, a.attname::text AS c \
             FROM pg_catalog.pg_index i \
             CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place) \
             LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number \
                  AND k.number > 0 \
             WHERE i.indrelid = to_regclass({}) AND i.indpred IS NULL AND i.indisvalid \
             ORDER BY i.indexrelid, k.place",
            literal(dialect, &dialect.table(table))
        ),
        Dialect::Mysql => format!(
            "SELECT s.index_name AS i, s.column_name AS c FROM information_schema.statistics AS s \
             WHERE s.table_schema = {} AND s.table_name = {} ORDER BY s.index_name, s.seq_in_index",
            schema(dialect, own.as_deref()),
            literal(dialect, &name)
        ),
    };
    let mut indexes: Vec<(String, Vec<String>)> = Vec::new();
    for row in texts(asked, sql).await? {
        let [Some(index), column] = &row[..] else { continue };
        // An expression ends what can be used.
        let column = column.clone().unwrap_or_default();
        match indexes.last_mut().filter(|(name, _)| name == index) {
            Some((_, columns)) => columns.push(column),
            None => indexes.push((index.clone(), vec![column])),
        }
    }
    Ok(indexes.into_iter().map(|(_, columns)| columns).collect())
}

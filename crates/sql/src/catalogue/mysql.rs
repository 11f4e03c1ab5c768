//! The catalogue of MariaDB and MySQL, by `information_schema`.

use std::str::FromStr as _;

use sqlx::mysql::{MySqlConnectOptions, MySqlRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, MySqlConnection, Row as _};
use whimbrel_endpoint::{EndpointError, ErrorClass};
use whimbrel_model::catalogue::{
    Catalogue, ColumnEntry, Filled, LeftOut, Reference, Rows, TableEntry, actions,
};

use super::{CONNECT, Look, look as ask, spell, suggest};
use crate::codes;
use crate::dialect::Dialect;
use crate::mysql::fault;
use crate::shown::Shown;

const MYSQL: Dialect = Dialect::Mysql;

// Everything is cast: MySQL 8 answers with binary strings and unsigned numbers where MariaDB does
// not.
const SCHEMAS: &str = "table_schema = DATABASE()";

const TABLES: &str = "
    SELECT CAST(table_schema AS CHAR), CAST(table_name AS CHAR), CAST(table_type AS CHAR),
           CAST(engine AS CHAR), CAST(table_rows AS SIGNED),
           CAST(data_length + index_length AS SIGNED), table_schema <=> DATABASE(),
           CAST((SELECT COUNT(*) FROM information_schema.partitions p
                  WHERE p.table_schema = t.table_schema AND p.table_name = t.table_name
                    AND p.partition_name IS NOT NULL) AS SIGNED),
           CAST((SELECT COUNT(*) FROM information_schema.triggers g
                  WHERE g.event_object_schema = t.table_schema
                    AND g.event_object_table = t.table_name) AS SIGNED),
           CAST((SELECT COUNT(*) FROM information_schema.table_constraints k
                  WHERE k.table_schema = t.table_schema AND k.table_name = t.table_name
                    AND k.constraint_type = 'CHECK') AS SIGNED)
      FROM information_schema.tables t WHERE $SCHEMAS ORDER BY 1, 2";

const COLUMNS: &str = "
    SELECT CAST(table_schema AS CHAR), CAST(table_name AS CHAR), CAST(column_name AS CHAR),
           CAST(column_type AS CHAR), is_nullable = 'YES', CAST(column_default AS CHAR),
           CAST(extra AS CHAR), generation_expression <> '', CAST(collation_name AS CHAR)
      FROM information_schema.columns WHERE $SCHEMAS
     ORDER BY table_schema, table_name, ordinal_position";

const KEYS: &str = "
    SELECT CAST(table_schema AS CHAR), CAST(table_name AS CHAR), CAST(index_name AS CHAR),
           CAST(column_name AS CHAR), sub_part IS NOT NULL
      FROM information_schema.statistics WHERE non_unique = 0 AND $SCHEMAS
     ORDER BY table_schema, table_name, index_name, seq_in_index";

const REFERENCES: &str = "
    SELECT CAST(k.table_schema AS CHAR), CAST(k.table_name AS CHAR),
           CAST(k.constraint_name AS CHAR), CAST(k.column_name AS CHAR),
           CAST(k.referenced_table_schema AS CHAR), CAST(k.referenced_table_name AS CHAR),
           CAST(k.referenced_column_name AS CHAR), CAST(r.delete_rule AS CHAR),
           CAST(r.update_rule AS CHAR)
      FROM information_schema.key_column_usage k
      LEFT JOIN information_schema.referential_constraints r
             ON r.constraint_schema = k.constraint_schema
            AND r.constraint_name = k.constraint_name AND r.table_name = k.table_name
     WHERE k.referenced_table_name IS NOT NULL AND k.$SCHEMAS
     ORDER BY k.table_schema, k.table_name, k.constraint_name, k.ordinal_position";

pub(super) async fn read(url: &str, shown: String, look: Look) -> Result<Catalogue, EndpointError> {
    let place = Shown::new(&shown, false);
    let failed = |error| fault::failed(&place, "read the catalogue", error);
    let mut connection = connect(url, &place).await?;
    let outcome = whole(&mut connection, shown.clone(), look).await.map_err(failed);
    // What was read is there already; a farewell that fails changes nothing.
    let _ = connection.close().await;
    outcome
}

async fn connect(url: &str, shown: &Shown) -> Result<MySqlConnection, EndpointError> {
    // The driver's words may repeat the URL, and with it the password.
    let refused = |why: &str| {
        EndpointError::new(ErrorClass::Configuration, codes::URL, format!("{why}: `{shown}`"))
    };
    let options = MySqlConnectOptions::from_str(url)
        .map_err(|_| refused("a server is named as `mysql://USER@HOST/DATABASE`"))?;
    if options.get_database().is_none() {
        return Err(refused("the URL names no database: `mysql://USER@HOST/DATABASE`"));
    }
    let options = options.charset("utf8mb4").disable_statement_logging();
    let connecting = MySqlConnection::connect_with(&options);
    let late = |_| sqlx::Error::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
    let connected = tokio::time::timeout(CONNECT, connecting).await.map_err(late);
    connected.and_then(|outcome| outcome).map_err(|error| fault::unreachable(shown, false, error))
}

async fn whole(
    connection: &mut MySqlConnection,
    shown: String,
    look: Look,
) -> Result<Catalogue, sqlx::Error> {
    for sql in [
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    ] {
        sqlx::raw_sql(sql).execute(&mut *connection).await?;
    }
    let version: String = one(connection, "SELECT CAST(VERSION() AS CHAR)").await?.try_get(0)?;
    let name = if version.contains("MariaDB") { "MariaDB" } else { "MySQL" };
    let mut catalogue = Catalogue {
        engine: "mysql",
        version: format!("{name} {}", version.split('-').next().unwrap_or_default()),
        shown,
        ..Catalogue::default()
    };
    let mut estimates = Vec::new();
    for row in all(connection, TABLES).await? {
        let name = name_of(&row, 0, 1, row.try_get::<i64, _>(6)? == 1)?;
        let what = match row.try_get::<&str, _>(2)? {
            "VIEW" | "SYSTEM VIEW" => Some("view"),
            "SEQUENCE" => Some("sequence"),
            _ => None,
        };
        if let Some(what) = what {
            catalogue.left_out.push(LeftOut { name, what });
        } else if !MYSQL.is_ledger(&name) {
            estimates.push(row.try_get::<Option<i64>, _>(4)?.map(|rows| rows as u64));
            catalogue.tables.push(table(name, &row)?);
        }
    }
    columns(connection, &mut catalogue.tables).await?;
    keys(connection, &mut catalogue.tables).await?;
    references(connection, &mut catalogue.tables).await?;
    spell(&mut catalogue.tables);
    suggest(MYSQL, &mut catalogue.tables);
    look_at_rows(connection, &mut catalogue, &estimates, look).await?;
    sqlx::raw_sql("ROLLBACK").execute(connection).await?;
    Ok(catalogue)
}

/// A table's name: with its schema where the connection has none.
fn name_of(row: &MySqlRow, schema: usize, name: usize, usual: bool) -> Result<String, sqlx::Error> {
    let name: String = row.try_get(name)?;
    let schema: String = row.try_get(schema)?;
    Ok(MYSQL.said((!usual).then_some(schema.as_str()), &name))
}

/// The table that a row of the catalogue is about.
fn owner<'a>(
    tables: &'a mut [TableEntry],
    row: &MySqlRow,
) -> Result<Option<&'a mut TableEntry>, sqlx::Error> {
    let (short, long) = (name_of(row, 0, 1, true)?, name_of(row, 0, 1, false)?);
    Ok(tables.iter_mut().find(|table| table.name == short || table.name == long))
}

fn table(name: String, row: &MySqlRow) -> Result<TableEntry, sqlx::Error> {
    let engine: Option<String> = row.try_get(3)?;
    let count = |index: usize| row.try_get::<i64, _>(index).map(|count| count as u64);
    Ok(TableEntry {
        name,
        columns: Vec::new(),
        key: Vec::new(),
        uniques: Vec::new(),
        partial_uniques: 0,
        references: Vec::new(),
        checks: count(9)?,
        collations: 0,
        triggers: count(8)?,
        rows: Rows::Exact(0),
        bytes: row.try_get::<Option<i64>, _>(5)?.map(|bytes| bytes as u64),
        partitions: count(7)?,
        null_keys: 0,
        storage: engine.filter(|engine| !engine.eq_ignore_ascii_case("InnoDB")),
    })
}

async fn columns(
    connection: &mut MySqlConnection,
    tables: &mut [TableEntry],
) -> Result<(), sqlx::Error> {
    for row in all(connection, COLUMNS).await? {
        let Some(table) = owner(tables, &row)? else { continue };
        let declared: String = row.try_get(3)?;
        let extra = row.try_get::<Option<String>, _>(6)?.unwrap_or_default().to_lowercase();
        let generated = row.try_get::<Option<i64>, _>(7)?.unwrap_or(0) == 1;
        let filled = if extra.contains("auto_increment") {
            Filled::Identity
        } else if generated || extra.contains("virtual") || extra.contains("stored generated") {
            Filled::Generated
        } else {
            Filled::ByRow
        };
        let kind = MYSQL.kind_of(&declared);
        let default: Option<String> = row.try_get(5)?;
        table.columns.push(ColumnEntry {
            name: row.try_get(2)?,
            labels: labels(&declared),
            declared,
            kind,
            nullable: row.try_get::<i64, _>(4)? == 1,
            // A binary one is what the new table has.
            collation: row
                .try_get::<Option<String>, _>(8)?
                .filter(|name| !name.ends_with("_bin") && name != "binary"),
            default: default.filter(|words| filled == Filled::ByRow && words != "NULL"),
            filled,
            nulls: 0,
            chars_max: None,
            odd: Vec::new(),
        });
    }
    Ok(())
}

/// Labels of `enum('a','b')` and `set('a','b')`.
fn labels(declared: &str) -> Vec<String> {
    let inside = ["enum(", "set("].iter().find_map(|word| declared.strip_prefix(word));
    let Some(mut rest) = inside else { return Vec::new() };
    let mut labels = Vec::new();
    while let Some(quoted) = rest.strip_prefix('\'') {
        let mut label = String::new();
        let mut letters = quoted.char_indices().peekable();
        let mut end = quoted.len();
        while let Some((at, letter)) = letters.next() {
            let doubled = letters.peek().is_some_and(|(_, next)| *next == '\'');
            if letter == '\'' && !doubled {
                end = at + 1;
                break;
            }
            if letter == '\'' {
                letters.next();
            }
            label.push(letter);
        }
        labels.push(label);
        rest = quoted[end..].trim_start_matches(',');
    }
    labels
}

async fn keys(
    connection: &mut MySqlConnection,
    tables: &mut [TableEntry],
) -> Result<(), sqlx::Error> {
    let mut last: Option<(String, String)> = None;
    let mut found: Vec<(usize, String, Vec<String>, bool)> = Vec::new();
    for row in all(connection, KEYS).await? {
        let Some(name) = owner(tables, &row)?.map(|table| table.name.clone()) else { continue };
        let at = tables.iter().position(|table| table.name == name).unwrap_or_default();
        let index: String = row.try_get(2)?;
        let column: Option<String> = row.try_get(3)?;
        let partial = column.is_none() || row.try_get::<i64, _>(4)? == 1;
        if last.as_ref() != Some(&(name.clone(), index.clone())) {
            found.push((at, index.clone(), Vec::new(), false));
            last = Some((name, index));
        }
        let key = found.last_mut().expect("one was pushed above");
        key.2.extend(column);
        key.3 |= partial;
    }
    for (at, index, columns, partial) in found {
        match (index.as_str(), partial) {
            ("PRIMARY", false) => tables[at].key = columns,
            (_, true) => tables[at].partial_uniques += 1,
            (_, false) => tables[at].uniques.push(columns),
        }
    }
    Ok(())
}

async fn references(
    connection: &mut MySqlConnection,
    tables: &mut [TableEntry],
) -> Result<(), sqlx::Error> {
    let names: Vec<String> = tables.iter().map(|table| table.name.clone()).collect();
    let mut last: Option<(String, String)> = None;
    for row in all(connection, REFERENCES).await? {
        let (short, long) = (name_of(&row, 4, 5, true)?, name_of(&row, 4, 5, false)?);
        let own_schema = row.try_get::<String, _>(0)? == row.try_get::<String, _>(4)?;
        let parent = names
            .iter()
            .find(|name| **name == long || (own_schema && **name == short))
            .cloned()
            .unwrap_or(long);
        let constraint: String = row.try_get(2)?;
        let Some(table) = owner(tables, &row)? else { continue };
        if last.as_ref() != Some(&(table.name.clone(), constraint.clone())) {
            let rule =
                |at: usize| row.try_get::<Option<String>, _>(at).map(Option::unwrap_or_default);
            table.references.push(Reference {
                columns: Vec::new(),
                parent,
                parent_columns: Vec::new(),
                actions: actions(&rule(7)?, &rule(8)?),
                guessed: false,
                orphans: None,
            });
            last = Some((table.name.clone(), constraint));
        }
        let reference = table.references.last_mut().expect("one was pushed above");
        reference.columns.push(row.try_get(3)?);
        reference.parent_columns.push(row.try_get(6)?);
    }
    Ok(())
}

async fn look_at_rows(
    connection: &mut MySqlConnection,
    catalogue: &mut Catalogue,
    estimates: &[Option<u64>],
    look: Look,
) -> Result<(), sqlx::Error> {
    for (at, estimate) in estimates.iter().enumerate() {
        if let Some(estimate) = look.taken(|| *estimate) {
            catalogue.tables[at].rows = Rows::Estimate(estimate);
            continue;
        }
        let sql = ask::rows(MYSQL, &catalogue.tables[at].name);
        let count: i64 = one(connection, &sql).await?.try_get(0)?;
        catalogue.tables[at].rows = Rows::Exact(count as u64);
        for question in ask::questions(MYSQL, &catalogue.tables[at]) {
            let row = one(connection, &question.sql).await?;
            for (index, about) in question.about.into_iter().enumerate() {
                ask::answered(&mut catalogue.tables[at], about, row.try_get(index)?);
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
            .map(|reference| ask::orphans(MYSQL, catalogue, table, reference))
            .collect();
        for (number, sql) in asked.into_iter().enumerate() {
            let Some(sql) = sql else { continue };
            let count: i64 = one(connection, &sql).await?.try_get(0)?;
            catalogue.tables[at].references[number].orphans = Some(count as u64);
        }
    }
    Ok(())
}

async fn all(connection: &mut MySqlConnection, sql: &str) -> Result<Vec<MySqlRow>, sqlx::Error> {
    let sql = sql.replace("$SCHEMAS", SCHEMAS);
    sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_all(connection).await
}

/// The one row that a question has for an answer.
async fn one(connection: &mut MySqlConnection, sql: &str) -> Result<MySqlRow, sqlx::Error> {
    sqlx::query(AssertSqlSafe(sql.to_owned())).persistent(false).fetch_one(connection).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_keep_quotes_and_commas() {
        assert_eq!(labels("enum('a','b,c','it''s','')"), ["a", "b,c", "it's", ""]);
        assert_eq!(labels("set('x')"), ["x"]);
        assert!(labels("varchar(10)").is_empty());
    }
}

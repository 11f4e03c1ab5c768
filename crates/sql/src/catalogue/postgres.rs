//! PostgreSQL's catalogue, by `pg_catalog`: it shows what `information_schema` hides from those
//! who own nothing.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _};
use whimbrel_endpoint::{EndpointError, ErrorClass};
use whimbrel_model::Kind;
use whimbrel_model::catalogue::{
    Catalogue, ColumnEntry, Filled, LeftOut, Reference, Rows, TableEntry, actions,
};

use super::{CONNECT, Look, look as ask, suggest};
use crate::codes;
use crate::dialect::Dialect;
use crate::postgres::fault;
use crate::shown::Shown;

const POSTGRES: Dialect = Dialect::Postgres;

const TABLES: &str = "
    SELECT c.oid::int8 AS oid, n.nspname::text AS schema, c.relname::text AS name,
           c.relkind::text AS kind,
           has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS open,
           pg_table_is_visible(c.oid) AS usual,
           c.reltuples::float8 AS tuples,
           (SELECT sum(pg_total_relation_size(part.relid))::int8
              FROM pg_partition_tree(c.oid) part) AS parts_bytes,
           (SELECT count(*) FROM pg_partition_tree(c.oid) part WHERE part.isleaf)::int8 AS parts,
           (SELECT sum(leaf.reltuples)::float8 FROM pg_partition_tree(c.oid) part
              JOIN pg_class leaf ON leaf.oid = part.relid WHERE part.isleaf) AS parts_tuples,
           pg_total_relation_size(c.oid)::int8 AS bytes,
           (SELECT count(*) FROM pg_trigger t
             WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)::int8 AS triggers
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
       AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'whimbrel')
       AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'
       AND NOT EXISTS (SELECT 1 FROM pg_depend d
                        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                          AND d.deptype = 'e')
     ORDER BY 2, 3";

const COLUMNS: &str = "
    SELECT a.attrelid::int8 AS oid, a.attname::text AS name, a.attnotnull AS required,
           format_type(a.atttypid, a.atttypmod) AS declared, t.typtype::text AS kind,
           CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END AS base,
           pg_get_expr(d.adbin, d.adrelid) AS fallback, a.attidentity::text AS identity,
           a.attgenerated::text AS generated,
           (SELECT l.collname::text FROM pg_collation l
             WHERE l.oid = a.attcollation AND l.collname <> 'default'
               AND a.attcollation <> t.typcollation) AS collation,
           ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid
                  ORDER BY e.enumsortorder) AS labels
      FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid::int8 = ANY($1)
     ORDER BY 1, a.attnum";

const KEYS: &str = "
    SELECT i.indrelid::int8 AS oid, i.indisprimary AS is_primary,
           i.indpred IS NOT NULL OR i.indexprs IS NOT NULL AS partial,
           ARRAY(SELECT a.attname::text
                   FROM unnest(i.indkey::int2[]) WITH ORDINALITY k (number, place)
                   JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
                  WHERE k.place <= i.indnkeyatts ORDER BY k.place) AS columns
      FROM pg_index i
     WHERE i.indisunique AND i.indislive AND i.indrelid::int8 = ANY($1)
     ORDER BY i.indexrelid";

const CONSTRAINTS: &str = "
    SELECT c.conrelid::int8 AS oid, c.contype::text AS kind, c.confrelid::int8 AS parent,
           c.confdeltype::text AS deleted, c.confupdtype::text AS updated,
           ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY k (number, place)
                   JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number
                  ORDER BY k.place) AS columns,
           ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY k (number, place)
                   JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.number
                  ORDER BY k.place) AS parent_columns
      FROM pg_constraint c
     WHERE c.contype IN ('f', 'c') AND c.conparentid = 0 AND c.conrelid::int8 = ANY($1)
     ORDER BY c.conname";

pub(super) async fn read(url: &str, shown: String, look: Look) -> Result<Catalogue, EndpointError> {
    let place = Shown::new(&shown, false);
    let failed = |error| fault::failed(&place, "read the catalogue", error);
    let mut connection = connect(url, &place).await?;
    let outcome = whole(&mut connection, shown.clone(), look).await.map_err(failed);
    // What was read is there already; a farewell that fails changes nothing.
    let _ = connection.close().await;
    outcome
}

async fn connect(url: &str, shown: &Shown) -> Result<PgConnection, EndpointError> {
    // The driver's words may repeat the URL, and with it the password.
    let refused = |_| {
        let what = format!("a server is named as `postgres://USER@HOST/DATABASE`: `{shown}`");
        EndpointError::new(ErrorClass::Configuration, codes::URL, what)
    };
    let options = PgConnectOptions::from_str(&url.replacen("postgresql://", "postgres://", 1));
    let options =
        options.map_err(refused)?.application_name("whimbrel").disable_statement_logging();
    let connecting = PgConnection::connect_with(&options);
    let late = |_| sqlx::Error::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
    let connected = tokio::time::timeout(CONNECT, connecting).await.map_err(late);
    connected.and_then(|outcome| outcome).map_err(|error| fault::unconnected(shown, error))
}

async fn whole(
    connection: &mut PgConnection,
    shown: String,
    look: Look,
) -> Result<Catalogue, sqlx::Error> {
    run(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
    let version: String = one(connection, "SHOW server_version").await?.try_get(0)?;
    let mut catalogue = Catalogue {
        engine: "postgres",
        version: format!("PostgreSQL {}", version.split(' ').next().unwrap_or_default()),
        shown,
        ..Catalogue::default()
    };
    let mut estimates = Vec::new();
    let mut oids: Vec<i64> = Vec::new();
    for row in sqlx::query(TABLES).fetch_all(&mut *connection).await? {
        let (schema, name): (String, String) = (row.try_get("schema")?, row.try_get("name")?);
        // The ledger's tables are in a schema of their own; a namesake elsewhere needs its schema.
        let is_usual = row.try_get("usual")? && !POSTGRES.is_ledger(&name);
        let name = POSTGRES.said((!is_usual).then_some(schema.as_str()), &name);
        let what = match row.try_get::<&str, _>("kind")? {
            "r" | "p" if !row.try_get::<bool, _>("open")? => {
                Some("table that this user may not read")
            }
            "v" => Some("view"),
            "m" => Some("materialised view"),
            "f" => Some("foreign table"),
            _ => None,
        };
        if let Some(what) = what {
            catalogue.left_out.push(LeftOut { name, what });
        } else {
            oids.push(row.try_get("oid")?);
            estimates.push(estimate(&row)?);
            catalogue.tables.push(table(name, &row)?);
        }
    }
    columns(connection, &oids, &mut catalogue.tables).await?;
    keys(connection, &oids, &mut catalogue.tables).await?;
    constraints(connection, &oids, &mut catalogue.tables).await?;
    suggest(POSTGRES, &mut catalogue.tables);
    look_at_rows(connection, &mut catalogue, &estimates, look).await?;
    run(connection, "ROLLBACK").await?;
    Ok(catalogue)
}

fn table(name: String, row: &PgRow) -> Result<TableEntry, sqlx::Error> {
    let is_parted = row.try_get::<&str, _>("kind")? == "p";
    let partitions: i64 = if is_parted { row.try_get("parts")? } else { 0 };
    let bytes: Option<i64> = row.try_get(if partitions == 0 { "bytes" } else { "parts_bytes" })?;
    Ok(TableEntry {
        name,
        columns: Vec::new(),
        key: Vec::new(),
        uniques: Vec::new(),
        partial_uniques: 0,
        references: Vec::new(),
        checks: 0,
        collations: 0,
        triggers: row.try_get::<i64, _>("triggers")? as u64,
        rows: Rows::Exact(0),
        bytes: bytes.map(|bytes| bytes as u64),
        partitions: partitions as u64,
        null_keys: 0,
        storage: None,
    })
}

/// What the planner believes; nothing where the table was never analysed.
fn estimate(row: &PgRow) -> Result<Option<u64>, sqlx::Error> {
    let own: f64 = row.try_get("tuples")?;
    let parts: Option<f64> = row.try_get("parts_tuples")?;
    let most = parts.unwrap_or(0.0).max(own);
    Ok((most >= 1.0).then_some(most as u64))
}

async fn columns(
    connection: &mut PgConnection,
    oids: &[i64],
    tables: &mut [TableEntry],
) -> Result<(), sqlx::Error> {
    for row in sqlx::query(COLUMNS).bind(oids).fetch_all(connection).await? {
        let Some(table) = owner(oids, tables, &row)? else { continue };
        let declared: String = row.try_get("declared")?;
        let base: Option<String> = row.try_get("base")?;
        let fallback: Option<String> = row.try_get("fallback")?;
        let counts = fallback.as_deref().is_some_and(|words| words.starts_with("nextval("));
        let filled = if !row.try_get::<&str, _>("generated")?.is_empty() {
            Filled::Generated
        } else if counts || !row.try_get::<&str, _>("identity")?.is_empty() {
            Filled::Identity
        } else {
            Filled::ByRow
        };
        let kind = if row.try_get::<&str, _>("kind")? == "e" {
            Kind::Text(None)
        } else {
            POSTGRES.kind_of(base.as_deref().unwrap_or(&declared))
        };
        table.columns.push(ColumnEntry {
            name: row.try_get("name")?,
            declared,
            kind,
            nullable: !row.try_get::<bool, _>("required")?,
            collation: row.try_get("collation")?,
            default: fallback.filter(|_| filled == Filled::ByRow),
            filled,
            labels: row.try_get("labels")?,
            nulls: 0,
            chars_max: None,
            odd: Vec::new(),
        });
    }
    Ok(())
}

async fn keys(
    connection: &mut PgConnection,
    oids: &[i64],
    tables: &mut [TableEntry],
) -> Result<(), sqlx::Error> {
    for row in sqlx::query(KEYS).bind(oids).fetch_all(connection).await? {
        let Some(table) = owner(oids, tables, &row)? else { continue };
        let columns: Vec<String> = row.try_get("columns")?;
        if row.try_get("is_primary")? {
            table.key = columns;
        } else if row.try_get("partial")? {
            table.partial_uniques += 1;
        } else if !table.uniques.contains(&columns) {
            table.uniques.push(columns);
        }
    }
    Ok(())
}

async fn constraints(
    connection: &mut PgConnection,
    oids: &[i64],
    tables: &mut [TableEntry],
) -> Result<(), sqlx::Error> {
    let names: BTreeMap<i64, String> =
        oids.iter().copied().zip(tables.iter().map(|table| table.name.clone())).collect();
    for row in sqlx::query(CONSTRAINTS).bind(oids).fetch_all(connection).await? {
        let parent = names.get(&row.try_get::<i64, _>("parent")?).cloned();
        let Some(table) = owner(oids, tables, &row)? else { continue };
        match (row.try_get::<&str, _>("kind")?, parent) {
            ("f", Some(parent)) => table.references.push(Reference {
                columns: row.try_get("columns")?,
                parent,
                parent_columns: row.try_get("parent_columns")?,
                actions: actions(rule(row.try_get("deleted")?), rule(row.try_get("updated")?)),
                guessed: false,
                orphans: None,
            }),
            (_, _) => table.checks += 1,
        }
    }
    Ok(())
}

/// What a letter of `confdeltype` means.
fn rule(letter: &str) -> &'static str {
    match letter {
        "c" => "CASCADE",
        "n" => "SET NULL",
        "d" => "SET DEFAULT",
        _ => "",
    }
}

fn owner<'a>(
    oids: &[i64],
    tables: &'a mut [TableEntry],
    row: &PgRow,
) -> Result<Option<&'a mut TableEntry>, sqlx::Error> {
    let oid: i64 = row.try_get("oid")?;
    Ok(oids.iter().position(|one| *one == oid).and_then(|at| tables.get_mut(at)))
}

async fn look_at_rows(
    connection: &mut PgConnection,
    catalogue: &mut Catalogue,
    estimates: &[Option<u64>],
    look: Look,
) -> Result<(), sqlx::Error> {
    for (at, estimate) in estimates.iter().enumerate() {
        if let Some(estimate) = look.taken(|| *estimate) {
            catalogue.tables[at].rows = Rows::Estimate(estimate);
            continue;
        }
        let sql = ask::rows(POSTGRES, &catalogue.tables[at].name);
        let count: i64 = one(connection, &sql).await?.try_get(0)?;
        catalogue.tables[at].rows = Rows::Exact(count as u64);
        for question in ask::questions(POSTGRES, &catalogue.tables[at]) {
            let row = one(connection, &question.sql).await?;
            for (index, about) in question.about.into_iter().enumerate() {
                // A count is int8, a length int4.
                let answer = row.try_get::<Option<i64>, _>(index).or_else(|_| {
                    row.try_get::<Option<i32>, _>(index).map(|one| one.map(i64::from))
                })?;
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
            .map(|reference| ask::orphans(POSTGRES, catalogue, table, reference))
            .collect();
        for (number, sql) in asked.into_iter().enumerate() {
            let Some(sql) = sql else { continue };
            let count: i64 = one(connection, &sql).await?.try_get(0)?;
            catalogue.tables[at].references[number].orphans = Some(count as u64);
        }
    }
    Ok(())
}

async fn run(connection: &mut PgConnection, sql: &'static str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sql).execute(connection).await.map(drop)
}

/// The one row that a question has for an answer.
async fn one(connection: &mut PgConnection, sql: &str) -> Result<PgRow, sqlx::Error> {
    sqlx::query(AssertSqlSafe(sql.to_owned())).persistent(false).fetch_one(connection).await
}

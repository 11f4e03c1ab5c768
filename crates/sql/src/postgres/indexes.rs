//! Indexes that a load can do without: told from the catalogue, dropped, and made again from what
//! the server itself says of them.
//!
//! A B-tree refuses entries over a third of a page, so an index decides the fate of long rows. Where
//! one comes, the table's indexes are made again in the transaction that writes it, before it does.

use whimbrel_endpoint::{EndpointError, Index, failpoint};
use whimbrel_model::{Chunk, Row, ValueRef};

use super::link::{Bound, Kept, Link};
use crate::dialect::Dialect;

const WORDS: Dialect = Dialect::Postgres;

/// Bytes of a row up to which no index refuses it: an entry holds 2,704; `lower` and `upper` at most
/// double one value; 32 columns are padded by at most 256.
const LONG_ROW: usize = 800;

/// What can be made again exactly, and never refuses a row of moderate length: not unique, behind no
/// constraint, B-tree or hash of built-in operator classes; in expressions and conditions nothing but
/// comparisons, `lower` and `upper`. What carries more than its definition says (a comment, CLUSTER,
/// replica identity, statistics targets, a parent) stays; so do the indexes of a table with triggers,
/// which may need them, and of one that the user may not index.
const PARKABLE: &str = "
SELECT i.relname::text,
       'SET LOCAL default_tablespace = ' || quote_literal(coalesce(s.spcname, '')) || '; '
       || pg_get_indexdef(x.indexrelid)
FROM pg_catalog.pg_index x
JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
JOIN pg_catalog.pg_class t ON t.oid = x.indrelid
JOIN pg_catalog.pg_am m ON m.oid = i.relam
LEFT JOIN pg_catalog.pg_tablespace s ON s.oid = i.reltablespace
WHERE t.oid = $1 AND t.relkind = 'r' AND m.amname IN ('btree', 'hash')
  AND NOT (x.indisunique OR x.indisprimary OR x.indisexclusion OR x.indisclustered OR x.indisreplident)
  AND x.indisvalid AND x.indisready AND x.indislive
  AND pg_has_role(t.relowner, 'USAGE') AND has_schema_privilege(t.relnamespace, 'CREATE')
  AND (s.oid IS NULL OR has_tablespace_privilege(s.oid, 'CREATE'))
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid = t.oid AND NOT g.tgisinternal)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint c WHERE c.conindid = i.oid)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid = i.oid)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_description d
                  WHERE d.classoid = 'pg_catalog.pg_class'::regclass AND d.objoid = i.oid)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_seclabel l
                  WHERE l.classoid = 'pg_catalog.pg_class'::regclass AND l.objoid = i.oid)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                  WHERE (d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.oid
                         AND d.deptype NOT IN ('a', 'n'))
                     OR (d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = i.oid))
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
                  WHERE a.attrelid = i.oid AND a.attnum > 0 AND coalesce(a.attstattarget, -1) >= 0)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
                  WHERE a.attrelid = t.oid AND a.attnum = ANY (x.indkey::int2[])
                    AND a.attgenerated NOT IN ('', 's'))
  AND NOT EXISTS (SELECT FROM unnest(x.indclass::oid[]) o (oid)
                  JOIN pg_catalog.pg_opclass c ON c.oid = o.oid
                  JOIN pg_catalog.pg_type p ON p.oid = c.opcintype
                  WHERE c.opcnamespace <> 'pg_catalog'::regnamespace
                     OR (p.typtype <> 'b' AND c.opcname <> 'enum_ops'))
  AND (SELECT count(*) FROM unnest(x.indkey::int2[]) k (attnum) WHERE k.attnum = 0) <= 1
  AND NOT EXISTS (
      SELECT FROM regexp_matches(concat(x.indexprs::text, x.indpred::text), '\\{([A-Z_]+)', 'g') n (name)
      WHERE n.name[1] NOT IN ('FUNCEXPR', 'OPEXPR', 'VAR', 'CONST', 'RELABELTYPE', 'NULLTEST',
                              'BOOLEXPR', 'BOOLEANTEST', 'COALESCE', 'COALESCEEXPR'))
  AND NOT EXISTS (
      SELECT FROM regexp_matches(concat(x.indexprs::text, x.indpred::text),
                                 ':(?:func|opfunc)id (\\d+)', 'g') n (oid)
      WHERE n.oid[1]::oid NOT IN (
                SELECT p.oid FROM pg_catalog.pg_proc p
                WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname IN ('lower', 'upper')
                  AND p.proargtypes[0] = 'text'::regtype)
        AND n.oid[1]::oid NOT IN (
                SELECT o.oprcode::oid FROM pg_catalog.pg_operator o
                JOIN pg_catalog.pg_type l ON l.oid = o.oprleft AND l.typtype = 'b' AND l.typcategory <> 'A'
                WHERE o.oprnamespace = 'pg_catalog'::regnamespace
                  AND o.oprname IN ('=', '<>', '<', '>', '<=', '>=')))
ORDER BY i.oid";

fn doing(table: &str) -> String {
    format!("see to the indexes of `{table}`")
}

/// The indexes that decide no row's fate. With all names qualified, so that they hold under every
/// search path.
pub(crate) async fn parkable(
    link: &mut Link,
    table: &str,
    oid: u32,
) -> Result<Vec<Index>, EndpointError> {
    let doing = doing(table);
    let sql = "SELECT current_setting('search_path')";
    let path = link.rows(&doing, sql, vec![], Kept::No).await?;
    let path = path.first().and_then(|row| row[0].as_text()).unwrap_or_default().to_owned();
    set_path(link, &doing, "pg_catalog").await?;
    let found = link.rows(&doing, PARKABLE, vec![Bound::oid(oid)], Kept::No).await?;
    set_path(link, &doing, &path).await?;
    let text = |value: &whimbrel_model::Value| value.as_text().unwrap_or_default().to_owned();
    Ok(found.iter().map(|row| Index { name: text(&row[0]), definition: text(&row[1]) }).collect())
}

async fn set_path(link: &mut Link, doing: &str, path: &str) -> Result<(), EndpointError> {
    let sql = "SELECT set_config('search_path', $1, true)";
    link.rows(doing, sql, vec![Bound::text(path)], Kept::No).await.map(drop)
}

/// Drops those that still are what was recorded; their names.
pub(crate) async fn drop_all(
    link: &mut Link,
    table: &str,
    oid: u32,
    indexes: &[Index],
) -> Result<Vec<String>, EndpointError> {
    let doing = doing(table);
    let standing = parkable(link, table, oid).await?;
    let mut dropped = Vec::new();
    for index in indexes.iter().filter(|index| standing.contains(index)) {
        let place = place(link, &doing, oid, &index.name).await?;
        link.run(&doing, &format!("DROP INDEX {place}")).await?;
        dropped.push(index.name.clone());
    }
    link.forget().await;
    Ok(dropped)
}

/// Where an index of the table stands or would stand: in its schema.
async fn place(
    link: &mut Link,
    doing: &str,
    oid: u32,
    name: &str,
) -> Result<String, EndpointError> {
    let sql = "SELECT n.nspname::text FROM pg_catalog.pg_class c \
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1";
    let found = link.rows(doing, sql, vec![Bound::oid(oid)], Kept::No).await?;
    let schema = found.first().and_then(|row| row[0].as_text()).unwrap_or_default();
    Ok(format!("{}.{}", WORDS.quote(schema), WORDS.quote(name)))
}

/// Makes those that are not there; their names.
pub(crate) async fn create_all(
    link: &mut Link,
    table: &str,
    oid: u32,
    indexes: &[Index],
) -> Result<Vec<String>, EndpointError> {
    let doing = doing(table);
    let mut created = Vec::new();
    for index in indexes {
        let place = place(link, &doing, oid, &index.name).await?;
        let sql = "SELECT to_regclass($1) IS NULL";
        let found = link.rows(&doing, sql, vec![Bound::text(&place)], Kept::No).await?;
        if found.first().is_some_and(|row| row[0] == whimbrel_model::Value::Bool(true)) {
            link.run(&doing, &index.definition).await?;
            created.push(index.name.clone());
        }
    }
    if !created.is_empty() {
        link.run(&doing, "SET LOCAL default_tablespace TO DEFAULT").await?;
        link.forget().await;
    }
    Ok(created)
}

/// Whether any row is so long that an index might refuse it.
pub(crate) fn has_long_row(rows: &Chunk) -> bool {
    let bytes = |row: Row<'_>| row.values().map(bytes).sum::<usize>();
    rows.size() > LONG_ROW && rows.rows().any(|row| bytes(row) > LONG_ROW)
}

fn bytes(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Text(text) | ValueRef::Decimal(text) | ValueRef::Json(text) => text.len(),
        ValueRef::Bytes(bytes) => bytes.len(),
        // Of fixed size, 16 bytes at most.
        _ => 16,
    }
}

/// Makes the parked indexes of a table again, in the transaction that is about to write a long row.
pub(crate) async fn unpark(link: &mut Link, table: &str, oid: u32) -> Result<(), EndpointError> {
    let doing = doing(table);
    let sql = "SELECT name, definition FROM whimbrel.parked_indexes WHERE target_table = $1 \
               ORDER BY seq";
    let found = link.rows(&doing, sql, vec![Bound::text(table)], Kept::No).await?;
    if found.is_empty() {
        return Ok(());
    }
    let text = |value: &whimbrel_model::Value| value.as_text().unwrap_or_default().to_owned();
    let indexes: Vec<Index> =
        found.iter().map(|row| Index { name: text(&row[0]), definition: text(&row[1]) }).collect();
    create_all(link, table, oid, &indexes).await?;
    failpoint!("sql.indexes.unparked");
    let sql = "DELETE FROM whimbrel.parked_indexes WHERE target_table = $1";
    link.rows(&doing, sql, vec![Bound::text(table)], Kept::No).await.map(drop)
}

/// ANALYZE, where the user may, and where the server would not do it by itself within a minute or
/// so. What hinders it is undone and does no harm.
pub(crate) async fn analyze(link: &mut Link, table: &str, oid: u32) -> Result<bool, EndpointError> {
    let doing = format!("analyze `{table}`");
    let sql = "SELECT pg_has_role(c.relowner, 'USAGE') AND NOT (\
                   c.relkind = 'r' AND current_setting('autovacuum') = 'on' \
                   AND current_setting('track_counts') = 'on' \
                   AND NOT coalesce(c.reloptions && ARRAY['autovacuum_enabled=false', 'autovacuum_enabled=off'], false)) \
               FROM pg_catalog.pg_class c WHERE c.oid = $1 AND c.relkind IN ('r', 'p')";
    let found = link.rows(&doing, sql, vec![Bound::oid(oid)], Kept::No).await?;
    if found.first().is_none_or(|row| row[0] != whimbrel_model::Value::Bool(true)) {
        return Ok(false);
    }
    link.run(&doing, "SAVEPOINT before_statistics").await?;
    match link.simple(&format!("ANALYZE {}", WORDS.table(table))).await {
        Ok(_) => {
            link.run(&doing, "RELEASE SAVEPOINT before_statistics").await?;
            Ok(true)
        }
        Err(error) if link.lost => Err(link.told(&doing, error)),
        Err(_) => {
            link.run(
                &doing,
                "ROLLBACK TO SAVEPOINT before_statistics; RELEASE SAVEPOINT before_statistics",
            )
            .await?;
            Ok(false)
        }
    }
}

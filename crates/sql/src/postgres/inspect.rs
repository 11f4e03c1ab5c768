//! What stands in the way of a load, and what should be known before it. Nothing is changed.

use std::time::{Duration, Instant};

use whimbrel_endpoint::{EndpointError, Finding, Needs, Pressure};
use whimbrel_model::Value;

use super::link::{Bound, Kept, Link};
use super::{catalogue, deferred, schema};
use crate::codes;
use crate::dialect::Dialect;
use crate::keys;

const WORDS: Dialect = Dialect::Postgres;
const DOING: &str = "look at the server";

/// The oldest version that is tried.
const VERSION_MIN: i64 = 140_000;
/// Connections that a run takes, with one to spare.
const CONNECTIONS: i64 = 4;
/// A transaction that has been open for so long keeps the server from tidying up.
const LONG: Duration = Duration::from_mins(5);

fn blocks(code: &'static str, message: String) -> Finding {
    Finding { code, blocks: true, message }
}

fn known(code: &'static str, message: String) -> Finding {
    Finding { code, blocks: false, message }
}

fn number(value: &Value) -> i64 {
    value.as_int().unwrap_or(0) as i64
}

fn is(value: &Value) -> bool {
    *value == Value::Bool(true)
}

/// See [`whimbrel_endpoint::Target::inspect`].
pub(crate) async fn inspect(link: &mut Link, needs: &Needs) -> Result<Vec<Finding>, EndpointError> {
    let mut findings = Vec::new();
    server(link, needs, &mut findings).await?;
    creating(link, needs, &mut findings).await?;
    for table in &needs.tables {
        writing(link, needs, table, &mut findings).await?;
    }
    findings.extend(schema::inspect(link, needs).await?);
    others(link, &mut findings).await?;
    Ok(findings)
}

async fn server(
    link: &mut Link,
    needs: &Needs,
    findings: &mut Vec<Finding>,
) -> Result<(), EndpointError> {
    let sql = "SELECT current_setting('server_version_num')::int8, \
                      current_setting('server_version'), \
                      pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on', \
                      current_setting('max_connections')::int8 \
                        - current_setting('superuser_reserved_connections')::int8, \
                      (SELECT count(*) FROM pg_catalog.pg_stat_activity \
                       WHERE backend_type = 'client backend'), \
                      current_setting('autovacuum') = 'on', \
                      pg_size_bytes(current_setting('max_wal_size'))";
    let found = link.rows(DOING, sql, vec![], Kept::No).await?;
    let Some(row) = found.first() else { return Ok(()) };
    if number(&row[0]) < VERSION_MIN {
        findings.push(blocks(
            codes::VERSION,
            format!(
                "PostgreSQL 14 or newer is needed; the server is: `{}`",
                row[1].as_text().unwrap_or_default()
            ),
        ));
    }
    if is(&row[2]) {
        findings.push(blocks(
            codes::READ_ONLY,
            "the server takes no writes: it is a standby, or `default_transaction_read_only` is on; \
             name the primary in the URL"
                .to_owned(),
        ));
    }
    let (most, used) = (number(&row[3]), number(&row[4]));
    if used + CONNECTIONS > most {
        findings.push(known(
            codes::CONNECTIONS,
            format!("{used} of {most} connections are in use; a run takes two or three more"),
        ));
    }
    if !is(&row[5]) {
        findings.push(known(
            codes::SETTING,
            "autovacuum is off: tables that the user of the URL does not own keep the statistics of \
             empty ones until somebody runs ANALYZE"
                .to_owned(),
        ));
    }
    let wal = number(&row[6]);
    if let Some(bytes) = needs.bytes
        && wal > 0
        && bytes / 2 > wal as u64
    {
        findings.push(known(
            codes::SETTING,
            format!(
                "the load is about {} MiB and `max_wal_size` is {} MiB: checkpoints will come often \
                 and slow it down; a larger value for the time of the load helps",
                bytes >> 20,
                wal >> 20
            ),
        ));
    }
    Ok(())
}

/// What creating tables and the ledger takes.
async fn creating(
    link: &mut Link,
    needs: &Needs,
    findings: &mut Vec<Finding>,
) -> Result<(), EndpointError> {
    let sql = "SELECT has_database_privilege(current_database(), 'CREATE'), current_user::text, \
                      current_database()::text, \
                      to_regnamespace('whimbrel') IS NOT NULL, \
                      CASE WHEN to_regnamespace('whimbrel') IS NOT NULL \
                           THEN has_schema_privilege('whimbrel', 'CREATE, USAGE') END, \
                      to_regclass('whimbrel.meta') IS NOT NULL, \
                      coalesce((SELECT bool_and(has_table_privilege(c.oid, 'SELECT') \
                                   AND has_table_privilege(c.oid, 'INSERT') \
                                   AND has_table_privilege(c.oid, 'UPDATE') \
                                   AND has_table_privilege(c.oid, 'DELETE')) \
                                FROM pg_catalog.pg_class c \
                                WHERE c.relnamespace = to_regnamespace('whimbrel') \
                                  AND c.relkind = 'r'), true)";
    let found = link.rows(DOING, sql, vec![], Kept::No).await?;
    let Some(row) = found.first() else { return Ok(()) };
    let user = row[1].as_text().unwrap_or_default().to_owned();
    let database = row[2].as_text().unwrap_or_default().to_owned();
    if !is(&row[3]) && !is(&row[0]) {
        findings.push(blocks(
            codes::PRIVILEGE,
            format!(
                "the ledger needs a schema of its own, which `{user}` may not create; as the \
                 database's owner: `GRANT CREATE ON DATABASE {} TO {}`, or \
                 `CREATE SCHEMA whimbrel AUTHORIZATION {}`",
                WORDS.quote(&database),
                WORDS.quote(&user),
                WORDS.quote(&user)
            ),
        ));
    }
    if is(&row[3]) && !is(&row[5]) && !is(&row[4]) {
        findings.push(blocks(
            codes::PRIVILEGE,
            format!(
                "`{user}` may not create the ledger's tables: \
                 `GRANT CREATE, USAGE ON SCHEMA whimbrel TO {}`",
                WORDS.quote(&user)
            ),
        ));
    }
    if is(&row[5]) && !is(&row[6]) {
        findings.push(blocks(
            codes::PRIVILEGE,
            format!(
                "`{user}` may not write the ledger: \
                 `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA whimbrel TO {}`",
                WORDS.quote(&user)
            ),
        ));
    }
    let mut schemas: Vec<Option<String>> = needs
        .creates
        .iter()
        .map(|table| WORDS.place(table).0.map(std::borrow::Cow::into_owned))
        .collect();
    schemas.sort_unstable();
    schemas.dedup();
    for schema in schemas {
        let sql = "SELECT coalesce($1, current_schema()::text), \
                          has_schema_privilege(coalesce($1, current_schema()::text), 'CREATE')";
        let bound = Bound { oid: 25, bytes: schema.map(String::into_bytes) };
        let exists = "SELECT coalesce($1, current_schema()::text) IS NOT NULL \
                      AND to_regnamespace(quote_ident(coalesce($1, current_schema()::text))) \
                          IS NOT NULL";
        let there = link.rows(DOING, exists, vec![bound.clone()], Kept::No).await?;
        if !there.first().is_some_and(|row| is(&row[0])) {
            // A schema file may be about to create it.
            continue;
        }
        let found = link.rows(DOING, sql, vec![bound], Kept::No).await?;
        if let Some(row) = found.first()
            && !is(&row[1])
        {
            let schema = row[0].as_text().unwrap_or_default();
            findings.push(blocks(
                codes::PRIVILEGE,
                format!(
                    "`{user}` may not create tables in the schema `{schema}`: \
                     `GRANT CREATE, USAGE ON SCHEMA {} TO {}`",
                    WORDS.quote(schema),
                    WORDS.quote(&user)
                ),
            ));
        }
    }
    Ok(())
}

/// What writing to an existing table takes.
async fn writing(
    link: &mut Link,
    needs: &Needs,
    table: &str,
    findings: &mut Vec<Finding>,
) -> Result<(), EndpointError> {
    let Some(facts) = catalogue::facts(link, table).await? else { return Ok(()) };
    let sql = "SELECT has_table_privilege(c.oid, 'SELECT'), has_table_privilege(c.oid, 'INSERT'), \
                      has_table_privilege(c.oid, 'UPDATE'), has_table_privilege(c.oid, 'DELETE'), \
                      current_user::text, c.relpersistence = 'u', \
                      (SELECT string_agg(t.tgname::text, ', ' ORDER BY t.tgname) \
                       FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid \
                         AND NOT t.tgisinternal AND t.tgenabled <> 'D'), \
                      (SELECT string_agg(s.oid::regclass::text, ', ' ORDER BY s.oid) \
                       FROM pg_catalog.pg_depend d \
                       JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S' \
                       WHERE d.refobjid = c.oid AND d.refobjsubid > 0 \
                         AND CASE WHEN s.relkind = 'S' THEN NOT has_sequence_privilege(s.oid, 'UPDATE') END), \
                      has_schema_privilege(c.relnamespace, 'USAGE') \
               FROM pg_catalog.pg_class c WHERE c.oid = $1";
    let found = link.rows(DOING, sql, vec![Bound::oid(facts.oid)], Kept::No).await?;
    let Some(row) = found.first() else { return Ok(()) };
    let user = row[4].as_text().unwrap_or_default().to_owned();
    let names = ["SELECT", "INSERT", "UPDATE", "DELETE"];
    let missing: Vec<&str> =
        names.iter().zip(row).filter(|(_, has)| !is(has)).map(|(name, _)| *name).collect();
    if !missing.is_empty() || !is(&row[8]) {
        findings.push(blocks(
            codes::PRIVILEGE,
            format!(
                "`{user}` may not write to `{table}` (missing: {}): `GRANT {} ON {} TO {}`",
                if missing.is_empty() {
                    "USAGE of its schema".to_owned()
                } else {
                    missing.join(", ")
                },
                if missing.is_empty() { "USAGE".to_owned() } else { missing.join(", ") },
                WORDS.table(table),
                WORDS.quote(&user)
            ),
        ));
    }
    if let Some(sequences) = row[7].as_text() {
        findings.push(known(
            codes::PRIVILEGE,
            format!(
                "`{user}` may not set the counters of `{table}`, which have to go on behind the \
                 loaded keys: `GRANT USAGE, SELECT, UPDATE ON SEQUENCE {sequences} TO {}`",
                WORDS.quote(&user)
            ),
        ));
    }
    if is(&row[5]) {
        findings.push(known(
            codes::SETTING,
            format!(
                "`{table}` is unlogged: after a crash of the server it is empty, while the ledger \
                 says that its rows are loaded; `ALTER TABLE {} SET LOGGED`",
                WORDS.table(table)
            ),
        ));
    }
    if let Some(triggers) = row[6].as_text() {
        findings.push(known(
            codes::TRIGGERS,
            format!("triggers of `{table}` run for every row: `{triggers}`"),
        ));
    }
    findings.extend(keys::inspect(needs, table, |key| facts.is_unique(key)));
    findings.extend(deferred::inspect(link, &facts, table).await?);
    if facts.has_policies {
        findings.push(known(
            codes::SETTING,
            format!(
                "policies look at the rows of `{table}`: it is filled by INSERT, which is slower, \
                 and rows that they hide are not found again"
            ),
        ));
    }
    Ok(())
}

/// What goes on at the server besides.
async fn others(link: &mut Link, findings: &mut Vec<Finding>) -> Result<(), EndpointError> {
    let sql = "SELECT slot_name::text, \
                      pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() \
                                           ELSE pg_current_wal_lsn() END, restart_lsn)::int8 \
               FROM pg_catalog.pg_replication_slots \
               WHERE NOT active AND restart_lsn IS NOT NULL ORDER BY 1";
    // Whoever may not see this is told nothing about it.
    if let Ok(slots) = link.rows(DOING, sql, vec![], Kept::No).await {
        for slot in slots {
            findings.push(known(
                codes::SETTING,
                format!(
                    "nobody reads the replication slot `{}`: the server keeps all of its log since \
                     then ({} MiB), and what this load writes as well, until the disk is full",
                    slot[0].as_text().unwrap_or_default(),
                    number(&slot[1]) >> 20
                ),
            ));
        }
    }
    let sql = format!(
        "SELECT pid::int8, coalesce(usename::text, ''), coalesce(application_name, ''), \
                extract(epoch FROM clock_timestamp() - xact_start)::int8 \
         FROM pg_catalog.pg_stat_activity \
         WHERE xact_start < clock_timestamp() - interval '{} seconds' AND pid <> pg_backend_pid() \
           AND backend_type = 'client backend' ORDER BY xact_start LIMIT 3",
        LONG.as_secs()
    );
    for row in link.rows(DOING, &sql, vec![], Kept::No).await? {
        findings.push(known(
            codes::SETTING,
            format!(
                "a transaction has been open for {} minutes (process {}, user `{}`, program `{}`): \
                 its locks may stop the load, and the server cannot tidy up meanwhile",
                number(&row[3]) / 60,
                number(&row[0]),
                row[1].as_text().unwrap_or_default(),
                row[2].as_text().unwrap_or_default()
            ),
        ));
    }
    Ok(())
}

/// See [`whimbrel_endpoint::Target::pressure`].
pub(crate) async fn pressure(link: &mut Link) -> Result<Pressure, EndpointError> {
    let begun = Instant::now();
    let sql = "SELECT (SELECT count(*) FROM pg_catalog.pg_stat_activity \
                       WHERE wait_event_type = 'Lock' AND datname = current_database() \
                         AND application_name <> 'whimbrel'), \
                      (SELECT (max(extract(epoch FROM replay_lag)) * 1000)::int8 \
                       FROM pg_catalog.pg_stat_replication)";
    let found = link.rows(DOING, sql, vec![], Kept::Yes).await?;
    let round_trip = begun.elapsed();
    let Some(row) = found.first() else { return Ok(Pressure::default()) };
    Ok(Pressure {
        lock_waits: number(&row[0]) as u64,
        replica_lag: row[1].as_int().map(|millis| Duration::from_millis(millis as u64)),
        round_trip,
    })
}

//! PostgreSQL as a source.
//!
//! ```text
//! holder   BEGIN … REPEATABLE READ, READ ONLY; pg_export_snapshot() ── keeps the state, answers about
//!                                                     │                the catalogue
//! reader   BEGIN …; SET TRANSACTION SNAPSHOT ◀────────┘
//!          COPY (SELECT … ORDER BY key) TO STDOUT (FORMAT binary) ─▶ rows, some ahead of the reader
//! ```
//! Every reader has a connection of its own, and all of them see the holder's state. Types with a
//! binary format that is spoken here come by it; all others (composites, ranges, enumerations,
//! geometry, `xml`, `vector` …) as the text that the server spells, arrays of them as JSON, `money` as
//! the number it is. So every column can be read.
//!
//! The order of text is that of its bytes (`COLLATE "C"`): where the table's index has another
//! collation the server sorts. Sessions run at UTC, with row-level security off: policies that would
//! hide rows make the reading fail instead.

use std::str::FromStr as _;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions as _, Executor as _, Row as _, SqlSafeStr as _,
    Statement as _,
};
use tokio::sync::Mutex;
use whimbrel_endpoint::{EndpointError, ErrorClass, Feed, Finding};
use whimbrel_model::{ChunkBuilder, ValueRef};

use super::Read;
use super::engine::Engine;
use super::layout::{Carried, Known, Layout, SourceColumn, Told, Wanted, inner, no_table, refused};
use super::pump::{Gone, Pipe, Pump, is_full, taken};
use crate::dialect::Dialect;
use crate::postgres::decode::decode;
use crate::postgres::fault;
use crate::postgres::form::Form;
use crate::shown::Shown;
use crate::{codes, sockets};

/// What every session is set to.
const SESSION: &str = "SET TIME ZONE 'UTC';
    SET datestyle = 'ISO, YMD'; SET intervalstyle = 'iso_8601'; SET bytea_output = 'hex';
    SET extra_float_digits = 1; SET xmloption = 'content'; SET row_security = off;
    SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;
    BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(15);

/// A snapshot to be joined, and its name: the server's life since it started or crashed, the database,
/// and which transactions of that life are visible. The same ones make the same content.
const SNAPSHOT: &str = "
    SELECT pg_export_snapshot(), concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()),
        (SELECT extract(epoch FROM stats_reset) FROM pg_stat_bgwriter),
        (SELECT oid FROM pg_database WHERE datname = current_database()), pg_current_snapshot())";

/// From this size on, keeping a state for as long as reading takes is worth a word.
const LARGE_BYTES: i64 = 1 << 30;

/// A database of a server.
pub(super) struct PostgresEngine {
    options: PgConnectOptions,
    shown: Shown,
    holder: Mutex<Option<Holder>>,
}

/// The connection that keeps the state.
struct Holder {
    connection: PgConnection,
    snapshot: String,
    state: String,
}

type Answer<T> = Result<T, EndpointError>;

impl PostgresEngine {
    pub(super) fn new(url: &str, shown: Shown) -> Answer<Self> {
        // The driver's words may repeat the URL.
        let options = PgConnectOptions::from_str(url)
            .map_err(|_| refused(codes::URL, format!("the URL is not understood: `{shown}`")))?;
        let options = options.application_name("whimbrel").disable_statement_logging();
        Ok(Self { options, shown, holder: Mutex::new(None) })
    }

    async fn connect(&self) -> Answer<PgConnection> {
        let connected = tokio::time::timeout(CONNECT, self.options.connect()).await;
        let connected = connected
            .unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()));
        let mut connection = connected.map_err(|error| {
            if fault::server(&error).is_some() {
                fault::failed(&self.shown, "connect", error)
            } else {
                fault::unconnected(&self.shown, error)
            }
        })?;
        sockets::set(self.options.get_port());
        let set = sqlx::raw_sql(SESSION).execute(&mut connection).await;
        set.map_err(|error| fault::failed(&self.shown, "set the session up", error))?;
        Ok(connection)
    }

    /// Works on the holder's connection; where that is lost, so is the state.
    async fn with<T>(
        &self,
        doing: &str,
        work: impl AsyncFnOnce(&mut Holder) -> Result<T, sqlx::Error>,
    ) -> Answer<T> {
        let mut holder = self.holder.lock().await;
        if holder.is_none() {
            let mut connection = self.connect().await?;
            let exported = sqlx::query_as(SNAPSHOT).fetch_one(&mut connection).await;
            let (snapshot, state): (String, String) =
                exported.map_err(|error| fault::failed(&self.shown, "take a snapshot", error))?;
            *holder = Some(Holder { connection, snapshot, state });
        }
        let held = holder.as_mut().expect("it was opened above");
        // A statement that fails must not end the transaction that keeps the state.
        let attempt = async {
            sqlx::raw_sql("SAVEPOINT look").execute(&mut held.connection).await?;
            work(held).await
        };
        let outcome = attempt.await;
        let undone = sqlx::raw_sql("ROLLBACK TO SAVEPOINT look; RELEASE SAVEPOINT look")
            .execute(&mut held.connection)
            .await;
        if undone.is_err() {
            *holder = None;
        }
        outcome.map_err(|error| failed(&self.shown, doing, error))
    }
}

#[async_trait]
impl Engine for PostgresEngine {
    async fn layout(&self, read: &Read, wanted: &Wanted) -> Answer<Layout> {
        let known = match read {
            Read::Table(name) => {
                let found = self
                    .with("read the catalogue", async |held| {
                        table(&mut held.connection, name).await
                    })
                    .await?;
                match found {
                    Ok(known) => known,
                    Err(names) => {
                        let names = names.iter().map(String::as_str);
                        return Err(no_table(name, &self.shown, names));
                    }
                }
            }
            Read::Query(sql) => {
                let doing = "prepare the query";
                self.with(doing, async |held| query(&mut held.connection, sql).await).await?
            }
        };
        let layout = Layout::new(known, read, wanted)?;
        let doing = "prepare to read the source";
        let sql = layout.sql.clone();
        self.with(doing, async |held| {
            held.connection.prepare(AssertSqlSafe(sql).into_sql_str()).await.map(drop)
        })
        .await?;
        Ok(layout)
    }

    async fn state(&self) -> Answer<String> {
        self.with("look at the snapshot", async |held| Ok(held.state.clone())).await
    }

    async fn rows(&self, layout: &Layout) -> Answer<Box<dyn Feed>> {
        let mut connection = self.connect().await?;
        // As long as the holder is held, its state is there to be joined.
        self.with("join the snapshot", async |held| {
            let join = format!("SET TRANSACTION SNAPSHOT '{}'", held.snapshot);
            sqlx::raw_sql(AssertSqlSafe(join)).execute(&mut connection).await.map(drop)
        })
        .await?;
        if let Some(most) = layout.most {
            // More than 24 days the setting cannot say.
            let millis = most.as_millis().min(i32::MAX as u128);
            let limit = format!("SET LOCAL statement_timeout = {millis}");
            let set = sqlx::raw_sql(AssertSqlSafe(limit)).execute(&mut connection).await;
            set.map_err(|error| fault::failed(&self.shown, "set the session up", error))?;
        }
        let copy = format!("COPY ({}) TO STDOUT (FORMAT binary)", layout.sql);
        let forms = layout.columns.iter().map(|column| form(&column.carried)).collect();
        let shown = self.shown.clone();
        Ok(Box::new(Pump::start(|pipe| pour(connection, copy, forms, shown, pipe))))
    }

    async fn inspect(&self, read: &Read) -> Answer<Vec<Finding>> {
        let shown = self.shown.clone();
        self.with("look at the source", async |held| {
            let connection = &mut held.connection;
            let mut findings = Vec::new();
            let path = read.path();
            let (size, may) = match read {
                Read::Table(name) => {
                    let row = sqlx::query(PRIVILEGES)
                        .bind(Dialect::Postgres.table(name))
                        .fetch_one(&mut *connection)
                        .await?;
                    (row.try_get::<i64, _>(0)?, row.try_get::<bool, _>(1)?)
                }
                Read::Query(_) => {
                    let size = "SELECT pg_database_size(current_database())";
                    (sqlx::query_scalar(size).fetch_one(&mut *connection).await?, true)
                }
            };
            if !may {
                findings.push(Finding {
                    code: codes::PRIVILEGE,
                    blocks: true,
                    message: format!("reading needs the privilege SELECT on `{path}`"),
                });
            }
            let standby: bool =
                sqlx::query_scalar("SELECT pg_is_in_recovery()").fetch_one(connection).await?;
            if standby {
                findings.push(snapshot(format!(
                    "`{shown}` is a standby: it ends queries that keep it from replaying changes \
                     for longer than max_standby_streaming_delay, and the reading with them; \
                     hot_standby_feedback = on avoids that"
                )));
            }
            if size >= LARGE_BYTES {
                findings.push(snapshot(format!(
                    "one state of the database is kept as long as `{path}` is read \
                     ({} GiB): meanwhile VACUUM removes nothing that it needs, and much-updated \
                     tables of `{shown}` grow",
                    size >> 30
                )));
            }
            Ok(findings)
        })
        .await
    }
}

/// What the server has against a statement of the plan is the plan's mistake.
fn failed(shown: &Shown, doing: &str, error: sqlx::Error) -> EndpointError {
    let state = fault::state(&error);
    let mistaken = matches!(state.get(..2), Some("42" | "0A" | "3F" | "2F")) && state != "42501";
    if !mistaken {
        return fault::failed(shown, doing, error);
    }
    let place = fault::position(&error).map_or(String::new(), |at| format!(" at character {at}"));
    let words = fault::told(&error, shown);
    refused(codes::SOURCE_QUERY, format!("PostgreSQL does not take it{place}: {words}: `{shown}`"))
}

fn form(carried: &Carried) -> Form {
    match carried {
        Carried::Form(form) => form.clone(),
        Carried::Stored | Carried::Bytes => Form::Spelled,
    }
}

fn snapshot(message: String) -> Finding {
    Finding { code: codes::SOURCE_SNAPSHOT, blocks: false, message }
}

/// Copies rows into a pipe until their end.
async fn pour(
    mut connection: PgConnection,
    copy: String,
    forms: Vec<Form>,
    shown: Shown,
    pipe: Pipe,
) {
    let doing = "read rows";
    let mut batch = ChunkBuilder::new(forms.len());
    let mut spelled = String::new();
    let mut outcome = Ok(());
    match connection.copy_out_raw(&copy).await {
        Err(error) => outcome = Err(failed(&shown, doing, error)),
        Ok(mut stream) => {
            let mut header = true;
            loop {
                let next = std::future::poll_fn(|context| stream.as_mut().poll_next(context)).await;
                let message = match next {
                    None => break,
                    Some(Ok(message)) => message,
                    Some(Err(error)) => {
                        outcome = Err(failed(&shown, doing, error));
                        break;
                    }
                };
                let rows = if std::mem::take(&mut header) { headless(&message) } else { &message };
                if tuples(rows, &forms, &mut spelled, &mut batch).is_none() {
                    outcome = Err(garbled(&shown));
                    break;
                }
                // A large row is not kept twice while it waits.
                drop(message);
                if is_full(&batch) {
                    let full = taken(&mut batch, forms.len());
                    if let Err(Gone) = pipe.send(full).await {
                        // The connection closes in the middle of the copy, which the server notices.
                        return;
                    }
                }
            }
        }
    }
    let rest = batch.finish();
    if !rest.is_empty() && pipe.send(rest).await.is_err() {
        return;
    }
    if outcome.is_ok() {
        outcome = match rewritten(&mut connection).await {
            Ok(None) => Ok(()),
            Ok(Some(table)) => Err(EndpointError::new(
                ErrorClass::Changed,
                whimbrel_endpoint::codes::SOURCE_CHANGED,
                format!(
                    "a table was emptied or rewritten (TRUNCATE, ALTER TABLE, VACUUM FULL) after the \
                     state that is read was taken, and may come without its rows; run again to read a \
                     newer state: `{table}` of `{shown}`"
                ),
            )),
            Err(error) => Err(failed(&shown, doing, error)),
        };
    }
    match outcome {
        Ok(()) => {
            pipe.end().await;
            // It only read: how it ends makes no difference.
            let _ = sqlx::Connection::close(connection).await;
        }
        Err(error) => pipe.fail(error).await,
    }
}

/// A table among those that the transaction has read which is in another file than in its snapshot: the
/// rows of old are not in that, and nothing else says so. Since they were read, locks keep them as they are.
async fn rewritten(connection: &mut PgConnection) -> Result<Option<String>, sqlx::Error> {
    let sql =
        "SELECT c.oid::regclass::text FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
         WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND c.relkind IN ('r', 'm')
            AND c.relfilenode <> 0 AND c.relfilenode <> pg_relation_filenode(c.oid) LIMIT 1";
    sqlx::query_scalar(sql).fetch_optional(connection).await
}

/// Behind `PGCOPY\n\xff\r\n\0`, the flags and an extension of a length that is given.
fn headless(message: &[u8]) -> &[u8] {
    let extension = message.get(15..19).and_then(|bytes| bytes.try_into().ok());
    let extension = u32::from_be_bytes(extension.unwrap_or_default()) as usize;
    message.get(19 + extension..).unwrap_or_default()
}

/// Whole rows: a count of columns, each with its length, -1 for NULL. A count of -1 is the end.
fn tuples(
    mut bytes: &[u8],
    forms: &[Form],
    spelled: &mut String,
    batch: &mut ChunkBuilder,
) -> Option<()> {
    while let Some((count, rest)) = bytes.split_first_chunk::<2>() {
        if i16::from_be_bytes(*count) == -1 {
            return Some(());
        }
        if usize::from(u16::from_be_bytes(*count)) != forms.len() {
            return None;
        }
        bytes = rest;
        for form in forms {
            let (length, rest) = bytes.split_first_chunk::<4>()?;
            let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
                batch.push(ValueRef::Null);
                bytes = rest;
                continue;
            };
            let (field, rest) = rest.split_at_checked(length)?;
            bytes = rest;
            match (decode(form, field, spelled), form) {
                (Ok(value), _) => batch.push(value),
                // A database without an encoding holds any bytes as text.
                (Err(_), Form::Text(_) | Form::Blank(_) | Form::Json) => {
                    batch.push(ValueRef::Bytes(field));
                }
                (Err(_), _) => return None,
            }
        }
        batch.end_row();
    }
    Some(())
}

fn garbled(shown: &str) -> EndpointError {
    EndpointError::new(
        ErrorClass::System,
        codes::ENGINE,
        format!("the server sent rows that are not what it announced: `{shown}`"),
    )
}

/// Columns of a relation: name, type, modifier, whether required; of domains what they are over.
const COLUMNS: &str = "
    WITH RECURSIVE typed(number, oid, modifier, required) AS (
        SELECT a.attnum, a.atttypid, a.atttypmod, a.attnotnull
        FROM pg_attribute AS a WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT number, d.typbasetype, CASE WHEN modifier = -1 THEN d.typtypmod ELSE modifier END,
               required OR d.typnotnull
        FROM typed JOIN pg_type AS d ON d.oid = typed.oid AND d.typtype = 'd'
    )
    SELECT a.attname::text, typed.oid::int8, typed.modifier, typed.required,
           t.typtype::text, t.typcategory::text, t.typname::text,
           (l.collname IN ('C', 'POSIX', 'ucs_basic')
               OR l.collname = 'default' AND d.datcollate IN ('C', 'POSIX')) IS TRUE
    FROM typed JOIN pg_attribute AS a ON a.attrelid = $1::oid AND a.attnum = typed.number
        JOIN pg_type AS t ON t.oid = typed.oid AND t.typtype <> 'd'
        JOIN pg_database AS d ON d.datname = current_database()
        LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
    ORDER BY typed.number";

/// Types by their numbers, or those of the columns that they come from, in that order; of domains what
/// they are over.
const TYPES: &str = "
    WITH RECURSIVE typed(number, oid, modifier) AS (
        SELECT n.number, COALESCE(a.atttypid, n.oid::oid), COALESCE(a.atttypmod, -1)
        FROM unnest($1::int8[], $2::int8[], $3::int2[]) WITH ORDINALITY
                AS n(oid, relation, column_number, number)
            LEFT JOIN pg_attribute AS a
                ON a.attrelid = n.relation::oid AND a.attnum = n.column_number AND n.relation > 0
        UNION ALL
        SELECT number, d.typbasetype, CASE WHEN modifier = -1 THEN d.typtypmod ELSE modifier END
        FROM typed JOIN pg_type AS d ON d.oid = typed.oid AND d.typtype = 'd'
    )
    SELECT ''::text, typed.oid::int8, typed.modifier, false,
           t.typtype::text, t.typcategory::text, t.typname::text, false
    FROM typed JOIN pg_type AS t ON t.oid = typed.oid AND t.typtype <> 'd'
    ORDER BY typed.number";

/// Unique indexes over plain columns of all rows, the primary key first.
const UNIQUE: &str = "
    SELECT ARRAY(
        SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place)
        JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number
        WHERE k.place <= i.indnkeyatts ORDER BY k.place)
    FROM pg_index AS i
    WHERE i.indrelid = $1::oid AND i.indisunique AND i.indisvalid AND i.indimmediate
        AND i.indpred IS NULL AND i.indexprs IS NULL
    ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid::regclass::text";

const PRIVILEGES: &str = "
    SELECT pg_total_relation_size($1::regclass), has_table_privilege($1::regclass, 'SELECT')
        OR NOT EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0
            AND NOT attisdropped AND NOT has_column_privilege(attrelid, attnum, 'SELECT'))";

/// What a table holds; the names of all tables where there is none of this name.
async fn table(
    connection: &mut PgConnection,
    name: &str,
) -> Result<Result<Known, Vec<String>>, sqlx::Error> {
    let found = sqlx::query(
        "SELECT oid::int8, CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
                    WHEN 'f' THEN 'foreign table' ELSE 'table' END
         FROM pg_class WHERE oid = to_regclass($1) AND relkind IN ('r', 'p', 'v', 'm', 'f')",
    )
    .bind(Dialect::Postgres.table(name))
    .fetch_optional(&mut *connection)
    .await?;
    let Some(found) = found else {
        let names = sqlx::query_scalar(
            "SELECT CASE WHEN pg_table_is_visible(c.oid) THEN relname::text
                    ELSE nspname || '.' || relname END
             FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
             WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
                AND nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') ORDER BY 1",
        );
        return names.fetch_all(&mut *connection).await.map(Err);
    };
    let (oid, what): (i64, String) = (found.try_get(0)?, found.try_get(1)?);
    let rows = sqlx::query(COLUMNS).bind(oid).fetch_all(&mut *connection).await?;
    let columns = rows.iter().map(|row| told(row, row.try_get(0)?));
    let columns = columns.collect::<Result<Vec<Told>, sqlx::Error>>()?;
    let unique: Vec<Vec<String>> =
        sqlx::query_scalar(UNIQUE).bind(oid).fetch_all(connection).await?;
    Ok(Ok(Known { engine: "postgres", dialect: Dialect::Postgres, columns, unique, what }))
}

/// What a query answers.
async fn query(connection: &mut PgConnection, sql: &str) -> Result<Known, sqlx::Error> {
    let sql = AssertSqlSafe(inner(sql).to_owned()).into_sql_str();
    let statement = connection.prepare(sql).await?;
    let answered = statement.columns();
    let oid = |oid: Option<Oid>| i64::from(oid.map_or(0, |oid| oid.0));
    let types: Vec<i64> = answered.iter().map(|c| oid(c.type_info().oid())).collect();
    let relations: Vec<i64> = answered.iter().map(|c| oid(c.relation_id())).collect();
    let numbers: Vec<i16> =
        answered.iter().map(|c| c.relation_attribute_no().unwrap_or(0)).collect();
    let names: Vec<String> = answered.iter().map(|c| c.name().to_owned()).collect();
    let rows = sqlx::query(TYPES).bind(types).bind(relations).bind(numbers);
    let rows = rows.fetch_all(&mut *connection).await?;
    let columns = rows.iter().zip(names).map(|(row, name)| told(row, name));
    let columns = columns.collect::<Result<Vec<Told>, sqlx::Error>>()?;
    let what = "query".to_owned();
    Ok(Known { engine: "postgres", dialect: Dialect::Postgres, columns, unique: Vec::new(), what })
}

/// An array of a type without a form here; with other bounds than from 1, which JSON has not, the
/// text of its literal.
fn listed(name: &str) -> String {
    format!(
        "CASE WHEN pg_catalog.array_dims({name}) !~ '^(\\[1:[0-9]+\\])+$' \
         THEN pg_catalog.to_json({name}::text) ELSE pg_catalog.to_json({name}) END"
    )
}

/// A column as it is selected, ordered and decoded.
fn told(row: &PgRow, name: String) -> Result<Told, sqlx::Error> {
    let oid: i64 = row.try_get(1)?;
    let (modifier, required): (i32, bool) = (row.try_get(2)?, row.try_get(3)?);
    let (class, category): (String, String) = (row.try_get(4)?, row.try_get(5)?);
    let (type_name, by_bytes): (String, bool) = (row.try_get(6)?, row.try_get(7)?);
    let quoted = Dialect::Postgres.quote(&name);
    let builtin = u32::try_from(oid).ok().and_then(Form::builtin);
    let known = builtin.map(|form| form.bounded(modifier));
    let (form, selected) = match known {
        Some(form) => (form, quoted.clone()),
        None if class == "e" => (Form::Text(None), format!("{quoted}::text")),
        None if type_name == "money" => (Form::Numeric(None), format!("{quoted}::numeric")),
        None if category == "A" => (Form::Json, listed(&quoted)),
        None => (Form::Text(None), format!("{quoted}::text")),
    };
    let ordered = match &form {
        Form::Text(_) | Form::Blank(_) if by_bytes && selected == quoted => quoted.clone(),
        Form::Text(_) | Form::Blank(_) => format!("({selected}) COLLATE \"C\""),
        Form::Json | Form::Array { .. } => format!("({quoted}::text) COLLATE \"C\""),
        _ => selected.clone(),
    };
    let kind = form.kind();
    let column = SourceColumn { name, kind, selected, ordered, carried: Carried::Form(form) };
    Ok(Told { column, nullable: !required })
}

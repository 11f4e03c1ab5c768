//! A connection: set up once, asked with values that are bound in our own bytes.

use std::collections::HashMap;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgConnectOptions, PgRow, PgTypeInfo};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions as _, Connection as _, Encode, PgConnection,
    Postgres, Row as _, Type, ValueRef as _,
};
use whimbrel_endpoint::{EndpointError, ErrorClass};
use whimbrel_model::{Value, ValueRef};

use super::decode::decode;
use super::fault;
use super::form::Form;
use crate::shown::Shown;
use crate::{Options, codes, sockets};

/// Where to connect, and how.
pub(crate) struct Place {
    options: PgConnectOptions,
    /// The URL without secrets.
    pub(crate) shown: Shown,
    /// How long to wait for a lock.
    pub(crate) busy: Duration,
}

/// Without the driver's options: they show the password.
impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").field("shown", &self.shown).finish_non_exhaustive()
    }
}

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(15);

/// A link that has been idle for so long is asked whether it still stands.
const IDLE: Duration = Duration::from_secs(1);

/// Bytes of a COPY that are sent at a time: the server begins with the first, and the driver's buffer
/// for them stays small.
const COPY_PIECE: usize = 256 << 10;

/// A session that never learns that its client is gone lets go of its locks after this.
const IDLE_IN_TRANSACTION: Duration = Duration::from_mins(5);

impl Place {
    pub(crate) fn new(url: &str, shown: &str, options: &Options) -> Result<Self, EndpointError> {
        let url = url
            .strip_prefix("postgresql://")
            .map_or_else(|| url.to_owned(), |rest| format!("postgres://{rest}"));
        // The driver's words may repeat the URL, and with it the password.
        let parsed = PgConnectOptions::from_str(&url).map_err(|_| {
            EndpointError::new(
                ErrorClass::Configuration,
                codes::URL,
                format!("a server is named as `postgres://USER@HOST/DATABASE`: `{shown}`"),
            )
        })?;
        let parsed = parsed.application_name("whimbrel").disable_statement_logging();
        let shown = Shown::new(shown, options.hides_values);
        Ok(Self { options: parsed, shown, busy: options.busy })
    }

    /// The database's name, as far as the URL tells.
    pub(crate) fn database(&self) -> &str {
        self.options.get_database().unwrap_or_else(|| self.options.get_username())
    }

    fn is_tcp(&self) -> bool {
        self.options.get_socket().is_none() && !self.options.get_host().starts_with('/')
    }

    /// The connection, where it still stands; else a new one.
    pub(crate) async fn standing(
        self: &Arc<Self>,
        link: Option<Link>,
    ) -> Result<Link, EndpointError> {
        if let Some(mut link) = link
            && link.stands().await
        {
            return Ok(link);
        }
        self.connect().await
    }

    /// A new connection with our settings.
    pub(crate) async fn connect(self: &Arc<Self>) -> Result<Link, EndpointError> {
        let connection =
            match tokio::time::timeout(CONNECT, PgConnection::connect_with(&self.options)).await {
                Ok(Ok(connection)) => connection,
                Ok(Err(error)) if fault::state(&error) == "3D000" => {
                    return Err(EndpointError::new(
                        ErrorClass::Configuration,
                        codes::NO_SUCH_DATABASE,
                        format!(
                            "the server has no such database; create it: `createdb {}`: `{}`",
                            self.database(),
                            self.shown
                        ),
                    ));
                }
                Ok(Err(error)) => return Err(fault::unconnected(&self.shown, error)),
                Err(_) => {
                    let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
                    return Err(fault::unconnected(&self.shown, late.into()));
                }
            };
        if self.is_tcp() {
            sockets::set(self.options.get_port());
        }
        let mut link = Link {
            place: Arc::clone(self),
            connection,
            pid: 0,
            forms: HashMap::new(),
            lost: false,
            aborted: None,
            used: Instant::now(),
        };
        link.set_up().await?;
        Ok(link)
    }
}

/// A connection and what is known of it.
pub(crate) struct Link {
    pub(crate) place: Arc<Place>,
    connection: PgConnection,
    /// The server's process behind it.
    pub(crate) pid: i32,
    /// Forms of types that only the catalogue knows.
    forms: HashMap<u32, Form>,
    /// It is of no use any more.
    pub(crate) lost: bool,
    /// What aborted the open transaction: nothing works in it any more.
    pub(crate) aborted: Option<(ErrorClass, &'static str, String)>,
    used: Instant,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("pid", &self.pid)
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}

/// A value that is bound: its type's number and its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub(crate) oid: u32,
    /// `None` is NULL.
    pub(crate) bytes: Option<Vec<u8>>,
}

impl Bound {
    pub(crate) fn text(text: &str) -> Self {
        Self { oid: 25, bytes: Some(text.as_bytes().to_vec()) }
    }

    pub(crate) fn int(value: i64) -> Self {
        Self { oid: 20, bytes: Some(value.to_be_bytes().to_vec()) }
    }

    pub(crate) fn oid(value: u32) -> Self {
        Self { oid: 26, bytes: Some(value.to_be_bytes().to_vec()) }
    }
}

impl Type<Postgres> for Bound {
    fn type_info() -> PgTypeInfo {
        // Never asked: `produces` knows the type of each.
        PgTypeInfo::with_oid(Oid(0))
    }
}

impl Encode<'_, Postgres> for Bound {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        match &self.bytes {
            None => Ok(IsNull::Yes),
            Some(bytes) => {
                buffer.extend_from_slice(bytes);
                Ok(IsNull::No)
            }
        }
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(Oid(self.oid)))
    }
}

/// Whether a statement stays prepared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kept {
    /// It comes again with other values.
    Yes,
    /// It is asked once, or what it names may change.
    No,
}

impl Link {
    /// Our settings.
    pub(crate) async fn set_up(&mut self) -> Result<(), EndpointError> {
        let settings = format!(
            "SET timezone = 'UTC'; SET datestyle = 'ISO, MDY'; SET intervalstyle = 'postgres'; \
             SET standard_conforming_strings = on; SET client_min_messages = warning; \
             SET default_transaction_isolation = 'read committed'; SET statement_timeout = 0; \
             SET lock_timeout = {}; SET idle_in_transaction_session_timeout = {}",
            self.place.busy.as_millis().clamp(1, 2_147_483_647),
            IDLE_IN_TRANSACTION.as_millis()
        );
        self.run("set up the session", &settings).await?;
        // Only where the server's system can: a statement is not finished for nobody.
        let _ = self.simple("SET client_connection_check_interval = '10s'").await;
        let sql = "SELECT pg_backend_pid(), current_user = 'whimbrel', \
                          current_setting('search_path')";
        let found = self.rows("set up the session", sql, vec![], Kept::No).await?;
        let Some([pid, is_namesake, path]) = found.first().map(Vec::as_slice) else {
            return Ok(());
        };
        self.pid = pid.as_int().unwrap_or(0) as i32;
        let path = path.as_text().unwrap_or_default();
        let kept = without_ledger(path, *is_namesake == Value::Bool(true));
        if kept != path {
            let sql = "SELECT set_config('search_path', $1, false)";
            self.rows("set up the session", sql, vec![Bound::text(&kept)], Kept::No).await?;
        }
        Ok(())
    }

    /// Puts back what statements of the plan may have set.
    pub(crate) async fn set_up_again(&mut self, search_path: &str) -> Result<(), EndpointError> {
        self.set_up().await?;
        let sql = "SELECT set_config('search_path', $1, false)";
        self.rows("set up the session", sql, vec![Bound::text(search_path)], Kept::No).await?;
        Ok(())
    }

    /// An error in this database's name. Where a transaction is open, it is aborted with it.
    pub(crate) fn told(&mut self, doing: &str, error: sqlx::Error) -> EndpointError {
        self.lost |= fault::ends_connection(&error);
        let told = fault::failed(&self.place.shown, doing, error);
        self.aborted.get_or_insert((told.class, told.code, told.what.clone()));
        told
    }

    /// An error that is nobody's but ours.
    pub(crate) fn damaged(&mut self, doing: &str, why: super::decode::Damaged) -> EndpointError {
        EndpointError::new(
            ErrorClass::System,
            codes::ENGINE,
            format!("{doing}: {why}: `{}`", self.place.shown),
        )
    }

    /// Runs statements without values; returns how many rows the last one changed.
    pub(crate) async fn simple(&mut self, sql: &str) -> Result<u64, sqlx::Error> {
        self.used = Instant::now();
        let outcome = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection).await;
        if let Err(error) = &outcome {
            self.lost |= fault::ends_connection(error);
        }
        Ok(outcome?.rows_affected())
    }

    /// The same with its error told.
    pub(crate) async fn run(&mut self, doing: &str, sql: &str) -> Result<u64, EndpointError> {
        match self.simple(sql).await {
            Ok(count) => Ok(count),
            Err(error) => Err(self.told(doing, error)),
        }
    }

    fn prepared(
        sql: &str,
        binds: Vec<Bound>,
        kept: Kept,
    ) -> sqlx::query::Query<'static, Postgres, sqlx::postgres::PgArguments> {
        let query = sqlx::query(AssertSqlSafe(sql)).persistent(kept == Kept::Yes);
        binds.into_iter().fold(query, sqlx::query::Query::bind)
    }

    /// The rows of a statement.
    pub(crate) async fn ask(
        &mut self,
        sql: &str,
        binds: Vec<Bound>,
        kept: Kept,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        self.used = Instant::now();
        // The driver looks up a type that it meets for the first time by a statement of its own, which
        // takes the place of ours where that has no name; the second time it knows the type.
        let again = (kept == Kept::No).then(|| binds.clone());
        let query = Self::prepared(sql, binds, kept);
        let mut outcome = query.fetch_all(&mut self.connection).await;
        if let (Some(binds), Err(error)) = (again, &outcome)
            && fault::is_unprepared(error)
        {
            let query = Self::prepared(sql, binds, kept);
            outcome = query.fetch_all(&mut self.connection).await;
        }
        if let Err(error) = &outcome {
            self.lost |= fault::ends_connection(error);
        }
        outcome
    }

    /// How many rows a statement changed.
    pub(crate) async fn change(
        &mut self,
        sql: &str,
        binds: Vec<Bound>,
        kept: Kept,
    ) -> Result<u64, sqlx::Error> {
        self.used = Instant::now();
        let query = Self::prepared(sql, binds, kept);
        let outcome = query.execute(&mut self.connection).await;
        if let Err(error) = &outcome {
            self.lost |= fault::ends_connection(error);
        }
        Ok(outcome?.rows_affected())
    }

    /// The rows of a statement as values.
    pub(crate) async fn rows(
        &mut self,
        doing: &str,
        sql: &str,
        binds: Vec<Bound>,
        kept: Kept,
    ) -> Result<Vec<Vec<Value>>, EndpointError> {
        let rows = match self.ask(sql, binds, kept).await {
            Ok(rows) => rows,
            Err(error) => return Err(self.told(doing, error)),
        };
        let forms = match rows.first() {
            Some(row) => self.forms(doing, &types(row)).await?,
            None => return Ok(Vec::new()),
        };
        let mut spelled = String::new();
        let mut values = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut one = Vec::with_capacity(forms.len());
            for (index, form) in forms.iter().enumerate() {
                match value(row, index, form, &mut spelled) {
                    Ok(value) => one.push(value.to_owned()),
                    Err(damaged) => return Err(self.damaged(doing, damaged)),
                }
            }
            values.push(one);
        }
        Ok(values)
    }

    /// The forms of types by their numbers; what the catalogue alone knows is looked up once.
    pub(crate) async fn forms(
        &mut self,
        doing: &str,
        oids: &[u32],
    ) -> Result<Vec<Form>, EndpointError> {
        let mut forms = Vec::with_capacity(oids.len());
        for oid in oids {
            let form = match (Form::builtin(*oid), self.forms.get(oid)) {
                (Some(form), _) => form,
                (None, Some(form)) => form.clone(),
                (None, None) => {
                    let form = self.looked_up(doing, *oid).await?;
                    self.forms.insert(*oid, form.clone());
                    form
                }
            };
            forms.push(form);
        }
        Ok(forms)
    }

    async fn looked_up(&mut self, doing: &str, oid: u32) -> Result<Form, EndpointError> {
        let sql = "SELECT t.typtype::text, t.typname::text, t.typelem::int8, \
                          coalesce(e.typtype::text, ''), coalesce(e.typname::text, '') \
                   FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_type e \
                        ON e.oid = t.typelem AND t.typcategory = 'A' \
                   WHERE t.oid = $1";
        let found = match self.ask(sql, vec![Bound::oid(oid)], Kept::Yes).await {
            Ok(found) => found,
            Err(error) => return Err(self.told(doing, error)),
        };
        let Some(row) = found.first() else { return Ok(Form::Spelled) };
        let mut spelled = String::new();
        let mut text = |index: usize| {
            let found = value(row, index, &Form::Text(None), &mut spelled).map(ValueRef::to_owned);
            found.ok().and_then(|value| value.as_text().map(str::to_owned)).unwrap_or_default()
        };
        let names = [text(0), text(1), text(3), text(4)];
        let element = value(row, 2, &Form::Int8, &mut spelled).map(ValueRef::to_owned);
        let element = element.ok().and_then(|value| value.as_int()).unwrap_or(0) as u32;
        Ok(custom(&names[0], &names[1], element, &names[2], &names[3]))
    }

    /// Starts a COPY, sends its bytes and ends it; returns how many rows the server took.
    pub(crate) async fn copy(&mut self, sql: &str, bytes: &[u8]) -> Result<u64, sqlx::Error> {
        self.used = Instant::now();
        // Where this future is dropped in the middle, the link is: whoever holds it takes it out
        // for the time of a call.
        let outcome = async {
            let mut copy = self.connection.copy_in_raw(sql).await?;
            // A server that refuses goes on reading and throws away what it gets; its words come
            // in place of the count. (`abort` would leave a reply unread.)
            for piece in bytes.chunks(COPY_PIECE) {
                copy.send(piece).await?;
            }
            copy.finish().await
        }
        .await;
        if let Err(error) = &outcome {
            self.lost |= fault::ends_connection(error);
        }
        outcome
    }

    /// Forgets prepared statements: what they name has changed.
    pub(crate) async fn forget(&mut self) {
        self.forms.clear();
        if self.connection.clear_cached_statements().await.is_err() {
            self.lost = true;
        }
    }

    /// Whether it still stands.
    pub(crate) async fn stands(&mut self) -> bool {
        if self.lost {
            return false;
        }
        if self.used.elapsed() < IDLE {
            return true;
        }
        self.used = Instant::now();
        self.connection.ping().await.is_ok()
    }

    /// The names and types of a statement's columns, without running it.
    pub(crate) async fn columns(&mut self, sql: &str) -> Result<Vec<(String, u32)>, sqlx::Error> {
        use sqlx::{Executor as _, SqlSafeStr as _, Statement as _};
        let outcome = (&mut self.connection).prepare(AssertSqlSafe(sql).into_sql_str()).await.map(
            |statement| {
                let of = |column: &sqlx::postgres::PgColumn| {
                    let oid = column.type_info().oid().map_or(0, |oid| oid.0);
                    (column.name().to_owned(), oid)
                };
                statement.columns().iter().map(of).collect()
            },
        );
        if let Err(error) = &outcome {
            self.lost |= fault::ends_connection(error);
        }
        outcome
    }
}

/// A search path without the ledger's schema: a user of the name `whimbrel` has it as `$user`, and
/// the plan's tables would meet the ledger's there.
fn without_ledger(path: &str, is_namesake: bool) -> String {
    let is_ours = |part: &str| {
        part.trim_matches('"') == "whimbrel" || (is_namesake && part.trim_matches('"') == "$user")
    };
    let kept: Vec<&str> = path.split(',').map(str::trim).filter(|part| !is_ours(part)).collect();
    if kept.is_empty() { "public".to_owned() } else { kept.join(", ") }
}

/// The form of a type that is not built in, from its row in the catalogue.
pub(crate) fn custom(
    sort: &str,
    name: &str,
    element: u32,
    element_sort: &str,
    element_name: &str,
) -> Form {
    if element != 0 && !element_sort.is_empty() {
        let inner =
            Form::builtin(element).unwrap_or_else(|| custom(element_sort, element_name, 0, "", ""));
        return match inner {
            Form::Spelled | Form::Array { .. } => Form::Spelled,
            inner => Form::Array { oid: element, element: Box::new(inner) },
        };
    }
    match (sort, name) {
        ("e", _) | (_, "citext") => Form::Text(None),
        (_, _) => Form::Spelled,
    }
}

/// The numbers of the types of a row's columns.
pub(crate) fn types(row: &PgRow) -> Vec<u32> {
    row.columns().iter().map(|column| column.type_info().oid().map_or(0, |oid| oid.0)).collect()
}

/// One value of a row.
#[inline]
pub(crate) fn value<'a>(
    row: &'a PgRow,
    index: usize,
    form: &Form,
    spelled: &'a mut String,
) -> Result<ValueRef<'a>, super::decode::Damaged> {
    let raw = row.try_get_raw(index).map_err(|_| super::decode::Damaged)?;
    if raw.is_null() {
        return Ok(ValueRef::Null);
    }
    let bytes = raw.as_bytes().map_err(|_| super::decode::Damaged)?;
    decode(form, bytes, spelled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_shows_no_password() {
        let url = "postgres://me:canary@h/d";
        let place = Place::new(url, "postgres://me:***@h/d", &Options::default());
        assert!(!format!("{:?}", place.unwrap()).contains("canary"));
    }
}

//! PostgreSQL's errors as classes, codes and sentences that say what to do.
//!
//! The SQLSTATE decides; the server's words follow it, bounded.

use sqlx::Error;
use sqlx::postgres::{PgDatabaseError, PgErrorPosition, PgSeverity};
use whimbrel_endpoint::{EndpointError, ErrorClass, RowFate};

use crate::shown::{self, Shown};
use crate::{codes, tls};

/// What could not be done, where and why; the SQLSTATE as the cause, where there is one.
#[allow(clippy::needless_pass_by_value)] // made for `map_err`
pub(crate) fn failed(shown: &Shown, doing: &str, error: Error) -> EndpointError {
    let (class, code, reason) = classify(&error, told(&error, shown));
    let failed = EndpointError::new(class, code, format!("{doing}: {reason}: `{shown}`"));
    match server(&error) {
        Some(told) => failed.because(SqlState(told.code().to_owned())),
        None => failed,
    }
}

/// The server's code for an error.
#[derive(Debug)]
struct SqlState(String);

impl std::fmt::Display for SqlState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostgreSQL's SQLSTATE {}", self.0)
    }
}

impl std::error::Error for SqlState {}

/// The error as the server told it.
pub(crate) fn server(error: &Error) -> Option<&PgDatabaseError> {
    error.as_database_error().and_then(|told| told.try_downcast_ref::<PgDatabaseError>())
}

/// The SQLSTATE; empty where the error is not the server's.
pub(crate) fn state(error: &Error) -> &str {
    server(error).map_or("", PgDatabaseError::code)
}

/// The server's words, bounded, with its detail.
pub(crate) fn words(error: &Error) -> String {
    let words = match server(error) {
        Some(told) => match told.detail() {
            Some(detail) => format!("{} ({})", told.message(), detail.trim_end_matches('.')),
            None => told.message().to_owned(),
        },
        None => error.to_string(),
    };
    words.chars().take(500).collect()
}

/// The server's words as an error that is not about one row may have them.
pub(crate) fn told(error: &Error, shown: &Shown) -> String {
    match server(error) {
        Some(told) if shown.hides_values() && may_quote(told) => {
            shown::untold(told.constraint().or_else(|| told.column()))
        }
        // Details quote whole rows.
        Some(told) if shown.hides_values() => told.message().chars().take(500).collect(),
        Some(_) | None => words(error),
    }
}

/// Whether the message itself may have a value in it: those of conversions do, and a function says
/// what it likes.
fn may_quote(told: &PgDatabaseError) -> bool {
    const NAMES_ONLY: [&str; 20] = [
        "08", "0A", "21", "23", "25", "28", "2B", "2F", "34", "3D", "3F", "40", "42", "44", "53",
        "54", "55", "57", "58", "26",
    ];
    let state = told.code();
    let names_only = NAMES_ONLY.iter().any(|class| state.starts_with(class))
        // Too long, and a division by zero.
        || matches!(state, "22001" | "22012");
    !names_only || told.r#where().is_some_and(|context| context.contains("PL/"))
}

/// Whether the connection is of no use any more.
pub(crate) fn ends_connection(error: &Error) -> bool {
    match server(error) {
        Some(told) => {
            matches!(told.severity(), PgSeverity::Fatal | PgSeverity::Panic)
                || told.code().starts_with("08")
        }
        None => true,
    }
}

/// Whether the server does not know the statement that it was asked to run.
pub(crate) fn is_unprepared(error: &Error) -> bool {
    server(error).is_some_and(|told| told.code() == "26000")
}

/// Where in the statement the server saw the mistake, in characters from 1.
pub(crate) fn position(error: &Error) -> Option<usize> {
    match server(error)?.position()? {
        PgErrorPosition::Original(at) => Some(at),
        PgErrorPosition::Internal { .. } => None,
    }
}

/// The line of a COPY that the error is about, from 1: `COPY items, line 3, column name`.
pub(crate) fn copied_line(error: &Error) -> Option<usize> {
    let context = server(error)?.r#where()?;
    let (_, rest) = context.rsplit_once("COPY ")?;
    let (_, rest) = rest.split_once(", line ")?;
    let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

/// What an error means for the one row that met it; `None` where it is not about a row.
pub(crate) fn fate(error: &Error) -> Option<RowFate> {
    let told = server(error)?;
    if matches!(told.severity(), PgSeverity::Fatal | PgSeverity::Panic) {
        return None;
    }
    let state = told.code();
    let code = match state {
        "23505" | "23P01" => codes::UNIQUE,
        "23503" => codes::FOREIGN_KEY,
        "23502" => whimbrel_endpoint::codes::NOT_NULL,
        "23514" | "23000" | "23001" | "44000" => codes::CHECK,
        "22001" => codes::TOO_LONG,
        "22003" | "22008" | "22015" => codes::UNHOLDABLE,
        "54000" => codes::TOO_BIG,
        _ if state.starts_with("22") => codes::STORED_TYPE,
        _ if state.starts_with("P0") => codes::TRIGGER,
        _ if is_of_a_trigger(told) => codes::TRIGGER,
        _ => return None,
    };
    let subject = told.constraint().or_else(|| told.column()).map(str::to_owned);
    Some(RowFate::Refused { code, subject, message: words(error) })
}

/// A trigger may raise any SQLSTATE, but not those that say what became of the session.
fn is_of_a_trigger(told: &PgDatabaseError) -> bool {
    let is_ours = !["08", "25", "40", "53", "55", "57", "58", "XX"]
        .iter()
        .any(|class| told.code().starts_with(class));
    is_ours && told.r#where().is_some_and(|context| context.contains("PL/"))
}

fn classify(error: &Error, words: String) -> (ErrorClass, &'static str, String) {
    use ErrorClass::{Configuration, System, Transient};
    match server(error) {
        Some(told) => by_state(told.code(), told, words),
        None => match error {
            Error::Io(why) => {
                (Transient, codes::CONNECTION_LOST, format!("the connection broke ({why})"))
            }
            Error::Tls(why) => {
                (Configuration, codes::TLS, tls::reason(&why.to_string(), &tls::POSTGRES))
            }
            Error::Protocol(why) => (
                Transient,
                codes::CONNECTION_LOST,
                format!("the connection is out of step ({why})"),
            ),
            other => (System, codes::ENGINE, other.to_string()),
        },
    }
}

fn by_state(
    state: &str,
    told: &PgDatabaseError,
    words: String,
) -> (ErrorClass, &'static str, String) {
    use ErrorClass::{Configuration, Constraint, Data, System, Transient};
    match state {
        "40001" | "40P01" => (Transient, codes::CONFLICT, words),
        "55P03" => (Transient, codes::LOCKED, format!("another session holds a lock ({words})")),
        "53300" => (
            Transient,
            codes::CONNECTIONS,
            format!("the server takes no more connections ({words})"),
        ),
        "53100" => (System, codes::DISK_FULL, format!("the server's disk is full ({words})")),
        "53200" => (System, codes::MEMORY, format!("the server is out of memory ({words})")),
        "25006" => (
            System,
            codes::READ_ONLY,
            format!("the database is read-only: a standby, or set so ({words})"),
        ),
        "28P01" | "28000" => login(&words),
        "3D000" => (Configuration, codes::NO_SUCH_DATABASE, words),
        "42501" if words.contains("schema whimbrel") => (
            Configuration,
            codes::PRIVILEGE,
            format!(
                "the ledger is another user's ({words}); its owner lets this user in: `GRANT CREATE, \
                 USAGE ON SCHEMA whimbrel TO …`, `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES \
                 IN SCHEMA whimbrel TO …`"
            ),
        ),
        "42501" => (Configuration, codes::PRIVILEGE, words),
        "42P01" if words.contains("\"whimbrel.") => (
            Configuration,
            whimbrel_endpoint::codes::NO_LEDGER,
            format!("the ledger is not there ({words})"),
        ),
        "42P01" | "42703" | "3F000" => (Configuration, whimbrel_endpoint::codes::MISSING, words),
        "42P07" => (Configuration, whimbrel_endpoint::codes::TABLE_EXISTS, words),
        "42P10" => (Configuration, codes::KEY_NOT_UNIQUE, words),
        "57014" => (Transient, codes::CONFLICT, words),
        "25P03" => (Transient, codes::CONNECTION_LOST, words),
        "23505" => (Constraint, codes::UNIQUE, words),
        "23503" => (Constraint, codes::FOREIGN_KEY, words),
        "23502" => (Constraint, whimbrel_endpoint::codes::NOT_NULL, words),
        _ if state.starts_with("23") => (Constraint, codes::CHECK, words),
        _ if state.starts_with("44") => (Constraint, codes::CHECK, words),
        _ if state.starts_with("22") => (Data, codes::STORED_TYPE, words),
        _ if state.starts_with("P0") => (Constraint, codes::TRIGGER, words),
        _ if state.starts_with("08") || state.starts_with("57P") => {
            (Transient, codes::CONNECTION_LOST, format!("the session was ended ({words})"))
        }
        _ if state.starts_with("53") => (System, codes::ENGINE, words),
        _ if state.starts_with("58") || state.starts_with("XX") => {
            (System, codes::INPUT_OUTPUT, words)
        }
        _ if state.starts_with("28") => login(&words),
        _ if state.starts_with("42") => (Configuration, codes::ENGINE, words),
        _ if is_of_a_trigger(told) => (Constraint, codes::TRIGGER, words),
        _ => (System, codes::ENGINE, words),
    }
}

fn login(words: &str) -> (ErrorClass, &'static str, String) {
    // pg_hba.conf refuses with the same SQLSTATE whatever the reason; its words tell.
    if words.contains("no encryption") || words.contains("SSL off") {
        return (
            ErrorClass::Configuration,
            codes::TLS,
            format!(
                "the server lets nobody in like this without encryption; with `sslmode=require` it \
                 may ({words})"
            ),
        );
    }
    (ErrorClass::Configuration, codes::LOGIN, format!("the login was refused ({words})"))
}

/// Why no connection came about.
#[allow(clippy::needless_pass_by_value)] // made for `map_err`
pub(crate) fn unconnected(shown: &Shown, error: Error) -> EndpointError {
    use std::io::ErrorKind;
    let Error::Io(why) = &error else {
        return failed(shown, "connect", error);
    };
    if let Some(reason) = tls::broken(why, &tls::POSTGRES) {
        let what = format!("connect: {reason}: `{shown}`");
        return EndpointError::new(ErrorClass::Configuration, codes::TLS, what);
    }
    let unreachable = |class, reason: String| {
        EndpointError::new(class, codes::UNREACHABLE, format!("connect: {reason}: `{shown}`"))
    };
    let text = why.to_string();
    if text.contains("lookup address") || text.contains("nodename") || text.contains("not known") {
        return unreachable(
            ErrorClass::Configuration,
            format!("the host's name is unknown ({why})"),
        );
    }
    match why.kind() {
        ErrorKind::ConnectionRefused => {
            unreachable(ErrorClass::Transient, "nothing listens there".to_owned())
        }
        ErrorKind::NotFound => {
            unreachable(ErrorClass::Transient, "there is no such socket".to_owned())
        }
        ErrorKind::PermissionDenied => {
            unreachable(ErrorClass::Configuration, format!("not permitted ({why})"))
        }
        ErrorKind::TimedOut => unreachable(ErrorClass::Transient, "no answer in time".to_owned()),
        _ => unreachable(ErrorClass::Transient, why.to_string()),
    }
}

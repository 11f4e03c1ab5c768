//! Errors of the driver and the server as classes, codes and sentences that say what to do.

use std::fmt;

use sqlx::mysql::MySqlDatabaseError;
use whimbrel_endpoint::{EndpointError, ErrorClass};

use crate::shown::{self, Shown};
use crate::{codes, tls};

/// What could not be done, where and why; the server's number for it as the cause.
#[allow(clippy::needless_pass_by_value)] // made for `map_err`
pub(crate) fn failed(shown: &Shown, doing: &str, error: sqlx::Error) -> EndpointError {
    let (class, code, reason) = classify(&error, told(&error, shown));
    let failed = EndpointError::new(class, code, format!("{doing}: {reason}: `{shown}`"));
    match number(&error) {
        Some(number) => failed.because(ErrorNumber(number)),
        None => failed,
    }
}

/// As `failed`, for an attempt to connect.
pub(crate) fn unreachable(shown: &Shown, reached: bool, error: sqlx::Error) -> EndpointError {
    // MariaDB refuses a login without encryption in the words of a wrong password.
    let is_plain = shown.to_ascii_lowercase().contains("mode=disabled");
    match error {
        sqlx::Error::Io(error) => no_answer(shown, reached, &error),
        error if is_plain && number(&error) == Some(1045) => EndpointError::new(
            ErrorClass::Configuration,
            codes::LOGIN,
            format!(
                "connect: the server refuses the login, or one without encryption, which \
                 `ssl-mode=REQUIRED` would have ({}): `{shown}`",
                words(&error)
            ),
        ),
        sqlx::Error::Protocol(words) if words.contains("authentication") => EndpointError::new(
            ErrorClass::Configuration,
            codes::LOGIN,
            format!(
                "connect: the server's way to log in is not known here ({}): `{shown}`",
                bounded(&words)
            ),
        ),
        other => failed(shown, "connect", other),
    }
}

/// No server where the URL points; once it has answered it is taken to come back.
pub(crate) fn no_answer(shown: &str, reached: bool, error: &std::io::Error) -> EndpointError {
    use std::io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied, TimedOut};
    let words = error.to_string();
    if let Some(reason) = tls::broken(error, &tls::MYSQL) {
        let what = format!("connect: {reason}: `{shown}`");
        return EndpointError::new(ErrorClass::Configuration, codes::TLS, what);
    }
    // A server that is not there may come; a name that nobody knows will hardly.
    let (is_there, reason) = match error.kind() {
        ConnectionRefused => (true, "nothing listens there".to_owned()),
        NotFound => (true, "there is no such socket".to_owned()),
        TimedOut => (true, "no answer in time".to_owned()),
        _ if words.contains("lookup") || words.contains("Name or service") => {
            (reached, format!("the host's name is unknown ({words})"))
        }
        PermissionDenied => (reached, format!("not permitted ({words})")),
        _ => (true, words),
    };
    let class = if is_there { ErrorClass::Transient } else { ErrorClass::Configuration };
    EndpointError::new(class, codes::UNREACHABLE, format!("connect: {reason}: `{shown}`"))
}

/// The server's error number.
#[derive(Debug)]
struct ErrorNumber(u16);

impl fmt::Display for ErrorNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server's error {}", self.0)
    }
}

impl std::error::Error for ErrorNumber {}

fn server(error: &sqlx::Error) -> Option<&MySqlDatabaseError> {
    match error {
        sqlx::Error::Database(error) => error.try_downcast_ref::<MySqlDatabaseError>(),
        _ => None,
    }
}

/// The server's number for the error.
pub(crate) fn number(error: &sqlx::Error) -> Option<u16> {
    server(error).map(MySqlDatabaseError::number)
}

/// The server's own words, bounded.
pub(crate) fn words(error: &sqlx::Error) -> String {
    bounded(&server(error).map_or_else(|| error.to_string(), |error| error.message().to_owned()))
}

/// The server's words as an error that is not about one row may have them.
pub(crate) fn told(error: &sqlx::Error, shown: &Shown) -> String {
    match server(error) {
        Some(said) if shown.hides_values() && may_quote(said) => {
            let words = said.message();
            let key = is_duplicate(error).then(|| subject(said.number(), words)).flatten();
            shown::untold(key.as_deref())
        }
        Some(_) | None => words(error),
    }
}

/// Whether the server's words may have a value in them: those of most refused rows do, and a trigger
/// says what it likes.
fn may_quote(said: &MySqlDatabaseError) -> bool {
    // These name columns, keys and constraints.
    let names_only = matches!(
        said.number(),
        1048 | 1118
            | 1153
            | 1216
            | 1217
            | 1263
            | 1264
            | 1265
            | 1364
            | 1406
            | 1451
            | 1452
            | 3819
            | 4025
    );
    match class(said.number(), said.message()) {
        (ErrorClass::Data | ErrorClass::Constraint, _) => !names_only,
        (ErrorClass::System, codes::ENGINE) => true,
        _ => said.code() == Some("45000"),
    }
}

fn bounded(text: &str) -> String {
    text.chars().take(500).collect()
}

/// Whether the connection is of no more use.
pub(crate) fn ends_session(error: &sqlx::Error) -> bool {
    match number(error) {
        Some(number) => is_lost(number),
        None => !matches!(error, sqlx::Error::RowNotFound | sqlx::Error::Encode(_)),
    }
}

/// Whether the server undid the whole transaction, or may have.
pub(crate) fn ends_transaction(error: &sqlx::Error) -> bool {
    // A lock that was waited for too long undoes the statement only, or all: a setting decides.
    matches!(number(error), Some(1205 | 1213 | 1614 | 3058 | 3572)) || ends_session(error)
}

fn is_lost(number: u16) -> bool {
    matches!(number, 1053 | 1077 | 1079 | 1152 | 1158..=1161 | 1184 | 1317 | 1927 | 2002..=2013)
}

/// Why the server refused a row, where it was the row: code, constraint or column, words.
pub(crate) fn refusal(error: &sqlx::Error) -> Option<(&'static str, Option<String>, String)> {
    let number = number(error)?;
    let (class, code) = class(number, &words(error));
    let words = words(error);
    match class {
        ErrorClass::Data | ErrorClass::Constraint => Some((code, subject(number, &words), words)),
        ErrorClass::Transient
        | ErrorClass::System
        | ErrorClass::Configuration
        | ErrorClass::Unknown
        | ErrorClass::Fenced
        | ErrorClass::Changed => None,
    }
}

/// True where a unique key has the row's values already.
pub(crate) fn is_duplicate(error: &sqlx::Error) -> bool {
    matches!(number(error), Some(1022 | 1062 | 1169 | 1557 | 1586))
}

fn class(number: u16, words: &str) -> (ErrorClass, &'static str) {
    use ErrorClass::{Configuration, Constraint, Data, System, Transient};
    use whimbrel_endpoint::codes as shared;
    match number {
        1045 | 1130 | 1251 | 1275 | 1698 | 1820 | 1862 => (Configuration, codes::LOGIN),
        3159 => (Configuration, codes::TLS),
        1049 => (Configuration, codes::NO_SUCH_DATABASE),
        1044 | 1095 | 1142 | 1143 | 1227 | 1370 | 1410 | 1419 => (Configuration, codes::PRIVILEGE),
        1146 if words.contains("whimbrel_") => (Configuration, shared::NO_LEDGER),
        1051 | 1054 | 1091 | 1146 | 1176 | 1305 => (Configuration, shared::MISSING),
        1050 | 1007 => (Configuration, shared::TABLE_EXISTS),
        1064 | 1065 | 1149 | 1170 | 1071 | 1060 | 1061 | 1072 | 1005 | 1215 | 1824 | 1231
        | 1193 | 1295 | 1046 => (Configuration, codes::ENGINE),
        1205 => (Transient, codes::LOCKED),
        1213 | 1614 | 1969 | 3024 | 3058 | 3572 => (Transient, codes::CONFLICT),
        1040 | 1203 | 1226 => (Transient, codes::CONNECTIONS),
        number if is_lost(number) => (Transient, codes::CONNECTION_LOST),
        1290 | 1792 | 1836 | 1874 => (System, codes::READ_ONLY),
        1021 | 1114 => (System, codes::DISK_FULL),
        3 | 1026 | 1030 if below(words) == Some(NO_SPACE) => (System, codes::DISK_FULL),
        1030 if below(words) == Some(OUT_OF_MEMORY) => (System, codes::MEMORY),
        1037 | 1038 | 1041 | 1135 => (System, codes::MEMORY),
        1153 => (Data, codes::PACKET),
        1118 | 1301 => (Data, codes::TOO_BIG),
        1406 => (Data, codes::TOO_LONG),
        1264 | 1265 | 1292 | 1366 | 1367 | 1411 | 1416 | 1690 | 3140 | 3141 | 3156 => {
            (Data, codes::UNHOLDABLE)
        }
        1048 | 1263 | 1364 => (Constraint, shared::NOT_NULL),
        1022 | 1062 | 1169 | 1557 | 1586 => (Constraint, codes::UNIQUE),
        1216 | 1217 | 1451 | 1452 | 1761 | 1762 => (Constraint, codes::FOREIGN_KEY),
        1369 | 3819 | 4025 | 1526 => (Constraint, codes::CHECK),
        // SIGNAL of a trigger, and what a trigger's statements may meet.
        1442 | 1643 | 1644 => (Constraint, codes::TRIGGER),
        _ => (System, codes::ENGINE),
    }
}

/// Of the system below the server.
const NO_SPACE: u32 = 28;
/// Of a storage engine.
const OUT_OF_MEMORY: u32 = 128;

/// The number of the error below the server that its words name: `Got error 28 "No space left on
/// device" from storage engine`, `Error writing file '/tmp/f' (Errcode: 28 "No space left on device")`.
fn below(words: &str) -> Option<u32> {
    let named = ["Got error ", "(Errcode: ", "(errno: "];
    let (_, rest) = named.iter().find_map(|before| words.rsplit_once(before))?;
    let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

fn classify(error: &sqlx::Error, told: String) -> (ErrorClass, &'static str, String) {
    use ErrorClass::{Configuration, System, Transient};
    match (number(error), error) {
        (Some(number), _) => {
            let (mut class, mut code) = class(number, &words(error));
            // A condition that a trigger or a procedure signals has a number of its own at times.
            if class == System && server(error).and_then(MySqlDatabaseError::code) == Some("45000")
            {
                (class, code) = (ErrorClass::Constraint, codes::TRIGGER);
            }
            (class, code, advice(number, told))
        }
        (None, sqlx::Error::Io(error)) => {
            (Transient, codes::CONNECTION_LOST, format!("the connection broke ({error})"))
        }
        (None, sqlx::Error::Tls(error)) => {
            (Configuration, codes::TLS, tls::reason(&error.to_string(), &tls::MYSQL))
        }
        (None, sqlx::Error::Configuration(error)) => (Configuration, codes::URL, error.to_string()),
        (None, sqlx::Error::Protocol(why)) => {
            let what = format!("the connection is out of step ({})", bounded(why));
            (Transient, codes::CONNECTION_LOST, what)
        }
        (None, _) => (System, codes::ENGINE, told),
    }
}

fn advice(number: u16, words: String) -> String {
    match number {
        1205 => format!("another session holds a lock ({words})"),
        3159 => format!(
            "the server takes encrypted connections only; `ssl-mode=REQUIRED` makes one ({words})"
        ),
        1045 | 1698 => format!("the server refuses the login ({words})"),
        1290 | 1836 => format!("the server is read-only ({words})"),
        1114 | 1021 => format!("the server's disk is full ({words})"),
        1317 | 1927 => format!("the session was ended at the server ({words})"),
        1053 => format!("the server is shutting down ({words})"),
        _ => words,
    }
}

/// The column, key or constraint that the server's words name.
fn subject(number: u16, words: &str) -> Option<String> {
    let quoted = |after: &str| {
        let (_, rest) = words.split_once(after)?;
        let quote = rest.chars().find(|letter| matches!(letter, '\'' | '`'))?;
        let name = rest.split(quote).nth(1)?;
        Some(name.to_owned())
    };
    match number {
        1062 | 1586 => {
            // MySQL 8 puts the table before the key.
            let (_, key) = words.rsplit_once(" for key ")?;
            let key = key.trim_matches(['\'', '`']);
            Some(key.rsplit('.').next().unwrap_or(key).to_owned())
        }
        1452 | 1216 => {
            let columns = words.split_once("FOREIGN KEY (")?.1.split_once(')')?.0;
            let parent = words.split_once("REFERENCES ")?.1.split(" (").next()?;
            Some(format!("{columns} → {parent}").replace('`', ""))
        }
        4025 => {
            let name = quoted("CONSTRAINT ")?;
            Some(name.rsplit('.').next().unwrap_or(&name).to_owned())
        }
        3819 => quoted("constraint "),
        1048 => quoted("Column "),
        1364 => quoted("Field "),
        // `for column 'c'`, and with its place: for column `db`.`t`.`c`.
        _ => {
            let (_, rest) = words.rsplit_once(" column ")?;
            let named = rest.split(" at row").next()?.trim();
            let last = named.rsplit('.').next()?;
            Some(last.trim_matches(['\'', '`']).to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_taken_from_the_servers_words() {
        let check = |number, words, expected: &str| {
            assert_eq!(subject(number, words).as_deref(), Some(expected), "{words}");
        };
        check(1062, "Duplicate entry 'x for key y' for key 'PRIMARY'", "PRIMARY");
        check(1062, "Duplicate entry '1' for key 't.by_name'", "by_name");
        check(4025, "CONSTRAINT `t.age` failed for `db`.`t`", "age");
        check(3819, "Check constraint 'positive' is violated.", "positive");
        check(1406, "Data too long for column 'name' at row 1", "name");
        check(1366, "Incorrect string value: '\\xF0' for column `db`.`t`.`name` at row 1", "name");
        check(
            1452,
            "Cannot add or update a child row: a foreign key constraint fails (`d`.`c`, CONSTRAINT \
             `c_ibfk_1` FOREIGN KEY (`p`) REFERENCES `parents` (`id`))",
            "p → parents",
        );
    }

    #[test]
    fn a_full_disk_is_told_from_other_numbers_with_a_28() {
        let check = |number, words, code| assert_eq!(class(number, words).1, code, "{words}");
        let full = codes::DISK_FULL;
        check(1030, "Got error 28 \"No space left on device\" from storage engine InnoDB", full);
        check(3, "Error writing file '/tmp/x' (Errcode: 28 \"No space left on device\")", full);
        check(1026, "Error writing file './d/t.frm' (errno: 28 - No space left on device)", full);
        let memory = "Got error 128 \"Out of memory in engine\" from storage engine";
        check(1030, memory, codes::MEMORY);
        let read_only = "Error writing file '/tmp/#sql_28' (Errcode: 30 \"Read-only file system\")";
        check(3, read_only, codes::ENGINE);
        check(1030, "Got error 280", codes::ENGINE);
    }

    #[test]
    fn a_connection_that_is_out_of_step_is_lost() {
        let error = sqlx::Error::Protocol("unexpected packet".to_owned());
        let (class, code, what) = classify(&error, String::new());
        assert_eq!((class, code), (ErrorClass::Transient, codes::CONNECTION_LOST));
        assert_eq!(what, "the connection is out of step (unexpected packet)");
    }

    #[test]
    fn numbers_have_classes() {
        use ErrorClass::{Configuration, Constraint, Data, System, Transient};
        let check = |number, expected| assert_eq!(class(number, "").0, expected, "{number}");
        for number in [1205, 1213, 2002, 2013, 1040, 1927, 1053] {
            check(number, Transient);
        }
        for number in [1045, 1044, 1049, 1142, 1146, 1054, 1064] {
            check(number, Configuration);
        }
        for number in [1290, 1836, 1021, 1114, 1041, 1037] {
            check(number, System);
        }
        for number in [1406, 1264, 1366, 1292] {
            check(number, Data);
        }
        for number in [1062, 1451, 1452, 4025, 3819, 1644] {
            check(number, Constraint);
        }
    }
}

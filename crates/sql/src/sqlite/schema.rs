//! Schema files: cut into statements, each with its line, run under an authorizer.

use std::sync::{Arc, Mutex};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use whimbrel_endpoint::{EndpointError, ErrorClass, SchemaFile, Script};
use whimbrel_model::{Chunk, ChunkBuilder, Kind, Table};

use super::{catalogue, fault, value};
use crate::{codes, shown};

/// Runs a file's statements in the open transaction. An error names the file and the line.
pub(crate) fn apply(
    connection: &Connection,
    file: &SchemaFile,
    hides_values: bool,
) -> Result<(), EndpointError> {
    let words = Words { name: &file.name, sql: &file.sql, what: What::Schema, hides_values };
    guarded(connection, words, run)
}

/// Runs a script's statements in the open transaction; returns how many rows they changed.
pub(crate) fn execute(
    connection: &Connection,
    script: &Script,
    hides_values: bool,
) -> Result<u64, EndpointError> {
    let before = connection.total_changes();
    let words = Words { name: &script.name, sql: &script.sql, what: What::Script, hides_values };
    guarded(connection, words, run)?;
    Ok(connection.total_changes() - before)
}

/// Refuses a script with statements that are not allowed there; tables need not be there for it.
pub(crate) fn look_over(script: &Script) -> Result<(), EndpointError> {
    let words =
        Words { name: &script.name, sql: &script.sql, what: What::Script, hides_values: true };
    let connection = Connection::open_in_memory().map_err(|error| broken(words, error))?;
    let denied = Arc::new(Mutex::new(None));
    guard(&connection, &denied).map_err(|error| broken(words, error))?;
    statements(words.sql).into_iter().try_for_each(|statement| {
        let Err(error) = connection.prepare(statement.sql).map(drop) else { return Ok(()) };
        match denied.lock().expect("the authorizer does not panic").take() {
            Some(word) => Err(refused(words, &statement, Some(word), error)),
            None => Ok(()),
        }
    })
}

/// The rows of a query, at most `limit`; anything but one query is refused.
pub(crate) fn query(
    connection: &Connection,
    script: &Script,
    limit: u64,
    hides_values: bool,
) -> Result<(Vec<String>, Chunk), EndpointError> {
    let words = Words { name: &script.name, sql: &script.sql, what: What::Script, hides_values };
    let mut answers = Vec::new();
    guarded(connection, words, |connection, sql| {
        answers.push(ask(connection, sql, limit)?);
        Ok(())
    })?;
    match (answers.pop(), answers.is_empty()) {
        (Some(Some(answer)), true) => Ok(answer),
        (_, _) => Err(EndpointError::new(
            ErrorClass::Configuration,
            codes::SCRIPT,
            format!("{}: one query is expected here, that changes nothing", script.name),
        )),
    }
}

/// `None` where the statement is none that only reads.
fn ask(
    connection: &Connection,
    sql: &str,
    limit: u64,
) -> rusqlite::Result<Option<(Vec<String>, Chunk)>> {
    let mut statement = connection.prepare(sql)?;
    if !statement.readonly() || statement.column_count() == 0 {
        return Ok(None);
    }
    let names: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut chunk = ChunkBuilder::new(names.len());
    let mut spelled = String::new();
    let mut rows = statement.raw_query();
    while let Some(row) = if (chunk.len() as u64) < limit { rows.next()? } else { None } {
        for index in 0..names.len() {
            chunk.push(value::read(Kind::Any, row.get_ref(index)?, &mut spelled));
        }
        chunk.end_row();
    }
    Ok(Some((names, chunk.finish())))
}

/// Statements of the plan, and where they stand.
#[derive(Clone, Copy)]
struct Words<'a> {
    name: &'a str,
    sql: &'a str,
    what: What,
    hides_values: bool,
}

#[derive(Clone, Copy)]
enum What {
    Schema,
    Script,
}

fn guarded(
    connection: &Connection,
    words: Words<'_>,
    mut run: impl FnMut(&Connection, &str) -> rusqlite::Result<()>,
) -> Result<(), EndpointError> {
    let denied = Arc::new(Mutex::new(None));
    guard(connection, &denied).map_err(|error| broken(words, error))?;
    let outcome = statements(words.sql).into_iter().try_for_each(|statement| {
        run(connection, statement.sql).map_err(|error| {
            let denied = denied.lock().expect("the authorizer does not panic").take();
            refused(words, &statement, denied, error)
        })
    });
    unguard(connection).map_err(|error| broken(words, error))?;
    outcome
}

/// The tables that the files create, from a database of their own in memory.
pub(crate) fn scratch(files: &[SchemaFile]) -> Result<Vec<Table>, EndpointError> {
    in_scratch(files, catalogue::tables)
}

/// What is to be seen where the files were applied: in a database of their own in memory.
pub(crate) fn in_scratch<T>(
    files: &[SchemaFile],
    look: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> Result<T, EndpointError> {
    let opened = || {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch("PRAGMA foreign_keys = ON; BEGIN")?;
        Ok(connection)
    };
    let failed = |error: rusqlite::Error| {
        EndpointError::new(ErrorClass::System, codes::ENGINE, "read the schema files")
            .because(error)
    };
    let connection = opened().map_err(failed)?;
    for file in files {
        apply(&connection, file, false)?;
    }
    look(&connection).map_err(failed)
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.raw_query();
    while rows.next()?.is_some() {}
    Ok(())
}

type Denied = Arc<Mutex<Option<&'static str>>>;

fn guard(connection: &Connection, denied: &Denied) -> rusqlite::Result<()> {
    let denied = Arc::clone(denied);
    connection.authorizer(Some(move |context: AuthContext<'_>| match forbidden(&context.action) {
        None => Authorization::Allow,
        Some(word) => {
            *denied.lock().expect("the authorizer does not panic") = Some(word);
            Authorization::Deny
        }
    }))
}

fn unguard(connection: &Connection) -> rusqlite::Result<()> {
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)
}

fn forbidden(action: &AuthAction<'_>) -> Option<&'static str> {
    match action {
        AuthAction::Transaction { .. } => Some("BEGIN, COMMIT and ROLLBACK"),
        AuthAction::Savepoint { .. } => Some("SAVEPOINT"),
        AuthAction::Pragma { .. } => Some("PRAGMA"),
        AuthAction::Attach { .. } => Some("ATTACH and VACUUM"),
        AuthAction::Detach { .. } => Some("DETACH"),
        _ => None,
    }
}

fn broken(words: Words<'_>, error: rusqlite::Error) -> EndpointError {
    EndpointError::new(ErrorClass::System, codes::ENGINE, format!("apply `{}`", words.name))
        .because(error)
}

fn refused(
    file: Words<'_>,
    statement: &Statement<'_>,
    denied: Option<&'static str>,
    error: rusqlite::Error,
) -> EndpointError {
    let line = match &error {
        rusqlite::Error::SqlInputError { offset, .. } => {
            let offset = usize::try_from(*offset).unwrap_or(0);
            statement.line + newlines(statement.sql.get(..offset).unwrap_or(""))
        }
        _ => statement.line,
    };
    let words = fault::words(&error);
    let untold = file.hides_values && fault::may_quote(&error);
    let (failed, place) = match file.what {
        What::Schema => (codes::SCHEMA, "a schema file"),
        What::Script => (codes::SCRIPT, "a script"),
    };
    let forbidden =
        |word: &str| (codes::SCHEMA_FORBIDDEN, format!("not allowed in {place}: {word}"));
    let (code, reason) = match denied {
        Some(word) => forbidden(word),
        None if words.contains("VACUUM") => forbidden("VACUUM"),
        None if words.ends_with("already exists") => {
            (whimbrel_endpoint::codes::TABLE_EXISTS, words)
        }
        None if untold => (failed, shown::untold(None)),
        None => (failed, words),
    };
    let class = match fault::primary(&error) {
        Some(rusqlite::ErrorCode::DiskFull | rusqlite::ErrorCode::SystemIoFailure) => {
            ErrorClass::System
        }
        Some(_) | None => ErrorClass::Configuration,
    };
    let beginning: String = statement.sql.lines().next().unwrap_or("").chars().take(80).collect();
    let what = format!("{}:{line}: {reason}: `{beginning}`", file.name);
    let refused = EndpointError::new(class, code, what);
    if untold { refused } else { refused.because(error) }
}

/// One statement and the line, from 1, that its first word stands in.
#[derive(Debug, PartialEq, Eq)]
struct Statement<'a> {
    sql: &'a str,
    line: usize,
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// Where a statement ends, after SQLite's own `sqlite3_complete` (src/complete.c): a semicolon,
/// but within CREATE TRIGGER only one that follows `END`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Normal,
    Explain,
    Create,
    Trigger,
    Semicolon,
    End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Semicolon,
    Other,
    Explain,
    Create,
    Temp,
    Trigger,
    End,
}

impl State {
    /// The state after a token; `None` where the statement is complete.
    fn after(self, token: Token) -> Option<Self> {
        Some(match (self, token) {
            (Self::Trigger | Self::Semicolon, Token::Semicolon) => Self::Semicolon,
            (_, Token::Semicolon) => return None,
            (Self::Start, Token::Explain) => Self::Explain,
            (Self::Start | Self::Explain, Token::Create) => Self::Create,
            (Self::Explain, Token::Other) => Self::Explain,
            (Self::Create, Token::Temp) => Self::Create,
            (Self::Create, Token::Trigger) => Self::Trigger,
            (Self::Semicolon, Token::End) => Self::End,
            (Self::Trigger | Self::Semicolon | Self::End, _) => Self::Trigger,
            (Self::Start | Self::Normal | Self::Explain | Self::Create, _) => Self::Normal,
        })
    }
}

/// Cuts a file into its statements; blanks and comments between them belong to none.
fn statements(sql: &str) -> Vec<Statement<'_>> {
    let mut found = Vec::new();
    let (mut at, mut begin, mut state) = (0, None, State::Start);
    while at < sql.len() {
        let (len, token) = token(&sql[at..]);
        if let Some(token) = token {
            let start = *begin.get_or_insert(at);
            if let Some(next) = state.after(token) {
                state = next;
            } else {
                found.extend(statement(sql, start, at + len));
                (begin, state) = (None, State::Start);
            }
        }
        at += len;
    }
    found.extend(begin.and_then(|start| statement(sql, start, sql.len())));
    found
}

fn statement(sql: &str, start: usize, end: usize) -> Option<Statement<'_>> {
    let text = &sql[start..end];
    (text != ";").then(|| Statement { sql: text, line: 1 + newlines(&sql[..start]) })
}

/// Length of the next token, and what it is; `None` for blanks and comments.
fn token(sql: &str) -> (usize, Option<Token>) {
    let bytes = sql.as_bytes();
    let until = |pattern: &str| sql.find(pattern).map_or(sql.len(), |at| at + pattern.len());
    let quoted = |end: char| {
        let close = sql[1..].find(end).map_or(sql.len(), |at| at + 2);
        (close, Some(Token::Other))
    };
    match bytes {
        [b';', ..] => (1, Some(Token::Semicolon)),
        [b' ' | b'\t' | b'\n' | b'\r' | 0x0c, ..] | [0xef, 0xbb, 0xbf, ..] => {
            (sql.chars().next().map_or(1, char::len_utf8), None)
        }
        [b'-', b'-', ..] => (until("\n"), None),
        [b'/', b'*', ..] => (sql[2..].find("*/").map_or(sql.len(), |at| at + 4), None),
        [b'\'', ..] => quoted('\''),
        [b'"', ..] => quoted('"'),
        [b'`', ..] => quoted('`'),
        [b'[', ..] => quoted(']'),
        _ => word(sql),
    }
}

fn word(sql: &str) -> (usize, Option<Token>) {
    let in_word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '$';
    let len = sql.find(|letter| !in_word(letter)).unwrap_or(sql.len());
    if len == 0 {
        return (sql.chars().next().map_or(1, char::len_utf8), Some(Token::Other));
    }
    let token = match sql[..len].to_ascii_uppercase().as_str() {
        "EXPLAIN" => Token::Explain,
        "CREATE" => Token::Create,
        "TEMP" | "TEMPORARY" => Token::Temp,
        "TRIGGER" => Token::Trigger,
        "END" => Token::End,
        _ => Token::Other,
    };
    (len, Some(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str, expected: &[(usize, &str)]) {
        let found: Vec<(usize, &str)> =
            statements(sql).into_iter().map(|found| (found.line, found.sql)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn statements_end_with_semicolons() {
        check("SELECT 1;\n\nSELECT 2 ;;", &[(1, "SELECT 1;"), (3, "SELECT 2 ;")]);
    }

    #[test]
    fn comments_between_statements_belong_to_none() {
        check("-- a; b\n/* ; */ SELECT 1; -- end", &[(2, "SELECT 1;")]);
    }

    #[test]
    fn semicolons_in_quotes_end_nothing() {
        check(
            "SELECT ';', \"a;b\", [c;d], `e;f`, 'it''s;'; X",
            &[(1, "SELECT ';', \"a;b\", [c;d], `e;f`, 'it''s;';"), (1, "X")],
        );
    }

    #[test]
    fn a_trigger_is_one_statement() {
        let trigger = "CREATE TEMP TRIGGER a AFTER INSERT ON t BEGIN\n SELECT 1; SELECT CASE WHEN 1 THEN 2 END;\nEND;";
        check(&format!("{trigger} SELECT 3;"), &[(1, trigger), (3, "SELECT 3;")]);
    }

    #[test]
    fn an_unterminated_file_has_a_last_statement() {
        check("SELECT 'open; ", &[(1, "SELECT 'open; ")]);
        check("/* open", &[]);
        check("\u{feff}SELECT 1", &[(1, "SELECT 1")]);
    }
}

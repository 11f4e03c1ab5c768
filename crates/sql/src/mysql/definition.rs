//! SQL of the plan: statements that the transaction holds, and definitions, which commit by
//! themselves and yet happen once.
//!
//! ```text
//! writer    BEGIN ─────── fence ─────────────────────────────── rows ─ forget notes ─ fence, COMMIT
//! definer   advisory lock ─ note intent, COMMIT ─ CREATE … ─ note done, COMMIT ─ …
//! ```
//! Whoever takes over ends the writer first, then the definer: a writer that still answers when the
//! definer has its lock was not replaced before. The fence's row stays free meanwhile, so that the
//! lease is renewed however long definitions take.
//!
//! A note names run, script, statement and what the definitions of its objects were before. Found again
//! as intent, they are compared: still as before, it did not happen. What changes them and what would
//! leave no trace is in [`trace`](super::trace). A refused statement leaves no intent. Statements that
//! are no definitions commit together with their note. The notes go with the transaction that asked.
//!
//! What was defined stays when the transaction is undone, but for new tables of the mapping.

use std::collections::BTreeMap;

use whimbrel_endpoint::{EndpointError, ErrorClass, Fence, Rows, Script, failpoint};
use whimbrel_model::{ChunkBuilder, Kind};

use super::encode::Param;
use super::lane::Lane;
use super::script::{self, Statement, What};
use super::session::{IDLE_AT_MOST, Session, bound, none};
use super::trace::{Object, Trace};
use super::{decode, fault, lease, read};
use crate::codes;
use crate::shown::Shown;

/// A file or a script, as messages and notes name it.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a> {
    pub(crate) name: &'a str,
    pub(crate) sql: &'a str,
    /// The code of a statement that the server refuses.
    pub(crate) code: &'static str,
    /// What the notes are under; empty where none are written.
    pub(crate) note: &'a str,
}

/// Runs all statements; returns how many rows they changed, and whether notes were written.
pub(crate) async fn run(
    lane: &Lane,
    writer: &mut Session,
    fence: Fence,
    words: Words<'_>,
) -> Result<(u64, bool), EndpointError> {
    let statements = cut(words)?;
    if statements.iter().any(|(_, what)| matches!(what, What::Definition(_))) {
        let rows = define(lane, writer, fence, words, &statements).await?;
        return Ok((rows, true));
    }
    let mut rows = 0;
    for (statement, what) in &statements {
        if *what == What::Setting {
            let reason = "SET of the session, but before definitions";
            return Err(forbidden(words, statement, codes::SCHEMA_FORBIDDEN, reason));
        }
        let outcome = writer.command_counted(statement.sql).await;
        rows += outcome.map_err(|error| refused(lane, words, statement, error))?;
    }
    still_open(lane, writer, words).await?;
    Ok((rows, false))
}

/// A procedure may have committed.
async fn still_open(
    lane: &Lane,
    writer: &mut Session,
    words: Words<'_>,
) -> Result<(), EndpointError> {
    if !writer.server.mariadb {
        return Ok(());
    }
    let open = writer.number("SELECT @@in_transaction", none()).await;
    let open = open.map_err(|error| lane.place.failed("look at the transaction", error))?;
    if open == Some(1) {
        return Ok(());
    }
    Err(EndpointError::new(
        ErrorClass::Configuration,
        codes::ROLLED_BACK,
        format!("{}: a statement ended the transaction that it was part of", words.name),
    ))
}

/// The statements, and what each of them is.
pub(crate) fn cut<'a>(words: Words<'a>) -> Result<Vec<(Statement<'a>, What)>, EndpointError> {
    let statements = script::statements(words.sql).map_err(|uncut| {
        EndpointError::new(
            ErrorClass::Configuration,
            words.code,
            format!("{}:{}: {}", words.name, uncut.line, uncut.reason),
        )
    })?;
    let cut: Vec<(Statement<'a>, What)> =
        statements.into_iter().map(|found| (found, script::what(found.sql))).collect();
    let defines = cut.iter().any(|(_, what)| matches!(what, What::Definition(_)));
    for (statement, what) in &cut {
        match what {
            What::Forbidden(word) => {
                return Err(forbidden(words, statement, codes::SCHEMA_FORBIDDEN, word));
            }
            What::Untold(reason) => {
                return Err(forbidden(words, statement, codes::DEFINITION, reason));
            }
            What::Temporary if defines => {
                let reason = "a temporary table beside definitions: it does not survive a crash";
                return Err(forbidden(words, statement, codes::DEFINITION, reason));
            }
            What::Rows | What::Definition(_) | What::Setting | What::Temporary => {}
        }
    }
    Ok(cut)
}

/// Refuses a script with statements that are not allowed there.
pub(crate) fn look_over(script: &Script) -> Result<(), EndpointError> {
    cut(Words { name: &script.name, sql: &script.sql, code: codes::SCRIPT, note: "" }).map(drop)
}

fn forbidden(
    words: Words<'_>,
    statement: &Statement<'_>,
    code: &'static str,
    reason: &str,
) -> EndpointError {
    EndpointError::new(
        ErrorClass::Configuration,
        code,
        format!(
            "{}:{}: not allowed here: {reason}: `{}`",
            words.name,
            statement.line,
            beginning(statement.sql)
        ),
    )
}

fn beginning(sql: &str) -> String {
    sql.lines().next().unwrap_or("").chars().take(80).collect()
}

/// A statement that the server refused: what was asked cannot work, unless the server is at fault.
fn refused(
    lane: &Lane,
    words: Words<'_>,
    statement: &Statement<'_>,
    error: sqlx::Error,
) -> EndpointError {
    told(&lane.place.shown, words, statement, error)
}

fn told(
    shown: &Shown,
    words: Words<'_>,
    statement: &Statement<'_>,
    error: sqlx::Error,
) -> EndpointError {
    let place = format!("{}:{}", words.name, statement.line);
    let reason = fault::told(&error, shown);
    let sql = beginning(statement.sql);
    let told = fault::failed(shown, &place, error);
    match (told.class, told.code) {
        (ErrorClass::Transient, _) => told,
        // What has no code of its own is a mistake in the statement.
        (ErrorClass::System, code) if code != codes::ENGINE => told,
        (_, _) => {
            let code = match told.code {
                codes::PRIVILEGE => codes::PRIVILEGE,
                whimbrel_endpoint::codes::TABLE_EXISTS => whimbrel_endpoint::codes::TABLE_EXISTS,
                _ => words.code,
            };
            let what = format!("{place}: {reason}: `{sql}`");
            let refused = EndpointError::new(ErrorClass::Configuration, code, what);
            match told.why {
                Some(why) => refused.because(why),
                None => refused,
            }
        }
    }
}

/// Makes the tables that the files create in a database that has nothing else.
pub(crate) async fn rehearse(
    session: &mut Session,
    shown: &Shown,
    words: Words<'_>,
) -> Result<(), EndpointError> {
    for (statement, what) in cut(words)? {
        // What names another database would be done there.
        let objects = match &what {
            What::Definition(Some(trace)) => trace.objects.as_slice(),
            What::Definition(None) | What::Rows | What::Setting | What::Temporary => &[],
            What::Forbidden(_) | What::Untold(_) => &[],
        };
        if let Some(schema) = objects.iter().find_map(|object| object.schema.as_ref()) {
            let reason = format!("a definition in another database ({schema})");
            return Err(forbidden(words, &statement, codes::DEFINITION, &reason));
        }
        let outcome = session.command(statement.sql).await;
        outcome.map_err(|error| told(shown, words, &statement, error))?;
    }
    Ok(())
}

/// What is noted of a statement.
struct Note {
    digest: Vec<u8>,
    before: Option<Vec<u8>>,
    done: bool,
}

async fn define(
    lane: &Lane,
    writer: &mut Session,
    fence: Fence,
    words: Words<'_>,
    statements: &[(Statement<'_>, What)],
) -> Result<u64, EndpointError> {
    let mut definer = lane.define().await?;
    // Whoever took over in between ended the writer, and did not see the definer yet.
    let current = lease::is_current(writer, fence).await;
    if !current.map_err(|error| lane.place.failed("check the fence", error))? {
        return Err(lease::fenced());
    }
    if writer.server.mariadb {
        // The writer rests while definitions run, however long that takes.
        let patient = writer.command("SET SESSION idle_transaction_timeout = 0").await;
        patient.map_err(|error| lane.place.failed("begin definitions", error))?;
    }
    lane.forget();
    let outcome = define_all(lane, &mut definer, fence, words, statements).await;
    lane.forget();
    if writer.server.mariadb {
        let again = writer.command(IDLE_AT_MOST).await;
        again.map_err(|error| lane.place.failed("end definitions", error))?;
    }
    outcome
}

async fn define_all(
    lane: &Lane,
    definer: &mut Session,
    fence: Fence,
    words: Words<'_>,
    statements: &[(Statement<'_>, What)],
) -> Result<u64, EndpointError> {
    let noting = |error| lane.place.failed("note definitions", error);
    let run = lease::run(definer).await.map_err(noting)?.unwrap_or_default();
    let notes = notes(definer, words.note, &run).await.map_err(noting)?;
    let mut rows = 0;
    for (number, (statement, what)) in statements.iter().enumerate() {
        let number = number as u64;
        let refused = |error| refused(lane, words, statement, error);
        // A successor may not be allowed to end the sessions of another user.
        if !lease::is_current(definer, fence).await.map_err(noting)? {
            return Err(lease::fenced());
        }
        let trace = match what {
            // A setting is the session's: it is made in every attempt.
            What::Setting => {
                definer.command(statement.sql).await.map_err(refused)?;
                continue;
            }
            What::Definition(trace) => trace.as_ref(),
            What::Rows | What::Temporary | What::Forbidden(_) | What::Untold(_) => None,
        };
        let digest = digest(definer, statement.sql.as_bytes()).await.map_err(noting)?;
        let known = notes.get(&number).filter(|note| note.digest == digest);
        if known.is_some_and(|note| note.done) {
            continue;
        }
        let now = standing(definer, trace).await.map_err(noting)?;
        if let (Some(note), Some(trace)) = (known, trace)
            && note.before != now.digest
        {
            if !now.is_after(trace) {
                return Err(in_part(words, statement, trace, &now));
            }
            done(definer, words.note, number).await.map_err(noting)?;
            continue;
        }
        let about = About { note: words.note, number, run: &run, digest: &digest };
        if matches!(what, What::Definition(_)) {
            intend(definer, &about, now.digest.as_deref(), "intent").await.map_err(noting)?;
            failpoint!("sql.definition.intended");
            match definer.command_counted(statement.sql).await {
                Ok(changed) => rows += changed,
                Err(error) => {
                    withdraw(definer, words.note, number, trace, &now).await;
                    return Err(refused(error));
                }
            }
            failpoint!("sql.definition.made");
            done(definer, words.note, number).await.map_err(noting)?;
        } else {
            definer.begin().await.map_err(noting)?;
            rows += definer.command_counted(statement.sql).await.map_err(refused)?;
            still_open(lane, definer, words).await?;
            intend(definer, &about, None, "done").await.map_err(noting)?;
            definer.command("COMMIT").await.map_err(noting)?;
        }
        failpoint!("sql.definition.done");
    }
    Ok(rows)
}

/// Takes back the intent of a statement that the server refused, if it changed nothing: what stands
/// there later is not its work. Where this fails the refusal is what counts.
async fn withdraw(
    definer: &mut Session,
    note: &str,
    number: u64,
    trace: Option<&Trace>,
    before: &Standing,
) {
    if !definer.is_sound() {
        return;
    }
    if let Ok(now) = standing(definer, trace).await
        && now.digest == before.digest
    {
        let arguments = bound([Param::Text(note), Param::Unsigned(number)]);
        let sql = "DELETE FROM whimbrel_definitions WHERE `script` = ? AND `statement` = ?";
        drop(definer.run(sql, arguments).await);
    }
}

/// A statement of several objects that was interrupted in the middle.
fn in_part(
    words: Words<'_>,
    statement: &Statement<'_>,
    trace: &Trace,
    now: &Standing,
) -> EndpointError {
    let wrong = trace.objects.iter().zip(trace.there.iter().flatten()).zip(&now.objects);
    let wrong = wrong.filter(|((_, there), now)| **there != now.is_some());
    let wrong: Vec<String> = wrong
        .map(|((object, there), _)| {
            let place = place(object);
            if *there { format!("{place} is missing") } else { format!("{place} is there") }
        })
        .collect();
    EndpointError::new(
        ErrorClass::Configuration,
        codes::DEFINITION,
        format!(
            "{}:{}: an interrupted attempt has done this in part; finish it by hand, then go on: {}: \
             `{}`",
            words.name,
            statement.line,
            wrong.join(", "),
            beginning(statement.sql)
        ),
    )
}

async fn notes(
    definer: &mut Session,
    note: &str,
    run: &str,
) -> Result<BTreeMap<u64, Note>, sqlx::Error> {
    let rows = definer
        .rows(
            "SELECT `statement`, `digest`, `before`, `state` FROM whimbrel_definitions \
             WHERE `script` = ? AND `run` = ?",
            bound([Param::Text(note), Param::Text(run)]),
        )
        .await?;
    let noted = rows.iter().map(|row| {
        let bytes = |index| decode::raw(row, index).map(<[u8]>::to_vec);
        let number = decode::integer(row, 0).unwrap_or_default() as u64;
        let done = decode::text(row, 3).as_deref() == Some("done");
        (number, Note { digest: bytes(1).unwrap_or_default(), before: bytes(2), done })
    });
    Ok(noted.collect())
}

/// Whether a statement under this note was begun by this run and waits for its transaction.
pub(crate) async fn is_noted(session: &mut Session, note: &str) -> Result<bool, sqlx::Error> {
    let run = lease::run(session).await?.unwrap_or_default();
    Ok(!notes(session, note, &run).await?.is_empty())
}

struct About<'a> {
    note: &'a str,
    number: u64,
    run: &'a str,
    digest: &'a [u8],
}

async fn intend(
    definer: &mut Session,
    about: &About<'_>,
    before: Option<&[u8]>,
    state: &str,
) -> Result<(), sqlx::Error> {
    definer
        .run(
            "INSERT INTO whimbrel_definitions \
             (`script`, `statement`, `run`, `digest`, `before`, `state`) VALUES (?, ?, ?, ?, ?, ?) \
             ON DUPLICATE KEY UPDATE `run` = VALUES(`run`), `digest` = VALUES(`digest`), \
             `before` = VALUES(`before`), `state` = VALUES(`state`)",
            bound([
                Param::Text(about.note),
                Param::Unsigned(about.number),
                Param::Text(about.run),
                Param::Bytes(about.digest),
                before.map_or(Param::Null, Param::Bytes),
                Param::Text(state),
            ]),
        )
        .await
        .map(drop)
}

async fn done(definer: &mut Session, note: &str, number: u64) -> Result<(), sqlx::Error> {
    definer
        .run(
            "UPDATE whimbrel_definitions SET `state` = 'done' WHERE `script` = ? AND `statement` = ?",
            bound([Param::Text(note), Param::Unsigned(number)]),
        )
        .await
        .map(drop)
}

/// The notes under these names have served: their transaction is about to commit.
pub(crate) async fn settle(writer: &mut Session, notes: &[String]) -> Result<(), sqlx::Error> {
    for note in notes {
        let arguments = bound([Param::Text(note)]);
        writer.run("DELETE FROM whimbrel_definitions WHERE `script` = ?", arguments).await?;
    }
    Ok(())
}

/// What was done under these names is about to be undone: whoever finds the notes looks what stands.
pub(crate) async fn doubt(writer: &mut Session, notes: &[String]) -> Result<(), sqlx::Error> {
    for note in notes {
        let arguments = bound([Param::Text(note)]);
        let sql = "UPDATE whimbrel_definitions SET `state` = 'intent' WHERE `script` = ?";
        writer.run(sql, arguments).await?;
    }
    Ok(())
}

async fn digest(session: &mut Session, bytes: &[u8]) -> Result<Vec<u8>, sqlx::Error> {
    let rows = session.rows("SELECT UNHEX(SHA2(?, 256))", bound([Param::Bytes(bytes)])).await?;
    Ok(rows.first().and_then(|row| decode::raw(row, 0)).unwrap_or_default().to_vec())
}

/// How the objects of a statement are defined at a moment.
struct Standing {
    /// Of each, `None` where it is not there.
    objects: Vec<Option<Vec<u8>>>,
    /// Of all of them; `None` where there is nothing to compare, or the only one is not there.
    digest: Option<Vec<u8>>,
}

impl Standing {
    /// Whether this can be how the statement leaves them, given that they are no more as before it.
    fn is_after(&self, trace: &Trace) -> bool {
        let Some(there) = &trace.there else { return true };
        self.objects.iter().map(Option::is_some).eq(there.iter().copied())
    }
}

async fn standing(session: &mut Session, trace: Option<&Trace>) -> Result<Standing, sqlx::Error> {
    let mut objects = Vec::new();
    for object in trace.map_or([].as_slice(), |trace| trace.objects.as_slice()) {
        objects.push(defined(session, object).await?);
    }
    let digest = match objects.as_slice() {
        [] => None,
        [only] => only.clone(),
        all => {
            let parts = all.iter().map(|one| one.as_deref().unwrap_or_default());
            let whole: Vec<u8> =
                parts.flat_map(|part| [&[part.len() as u8], part].concat()).collect();
            Some(digest(session, &whole).await?)
        }
    };
    Ok(Standing { objects, digest })
}

fn place(object: &Object) -> String {
    match &object.schema {
        Some(schema) => format!("{schema}.{}", object.name),
        None => object.name.clone(),
    }
}

/// A digest of how an object is defined now, `None` where it is not there.
async fn defined(session: &mut Session, object: &Object) -> Result<Option<Vec<u8>>, sqlx::Error> {
    let Object { kind, .. } = object;
    let rows = match session.look(&format!("SHOW CREATE {kind} {}", place(object))).await {
        Ok(rows) => rows,
        // No such table, routine, trigger, event, sequence; or it is of another kind.
        Err(error)
            if matches!(
                fault::number(&error),
                Some(1146 | 1305 | 1347 | 1360 | 1539 | 1049 | 4088 | 4089 | 4091)
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let column = match *kind {
        "TRIGGER" | "PROCEDURE" | "FUNCTION" => 2,
        "EVENT" => 3,
        _ => 1,
    };
    let text = rows.first().and_then(|row| decode::text(row, column)).unwrap_or_default();
    digest(session, uncounted(&text).as_bytes()).await.map(Some)
}

/// The definition without its counter, which rows move.
fn uncounted(definition: &str) -> String {
    match definition.split_once(" AUTO_INCREMENT=") {
        Some((before, after)) => {
            let after = after.trim_start_matches(|letter: char| letter.is_ascii_digit());
            format!("{before}{after}")
        }
        None => definition.to_owned(),
    }
}

/// The rows of a query of the plan, at most `limit`; anything but one query is refused.
pub(crate) async fn query(
    lane: &Lane,
    session: &mut Session,
    asked: &Script,
    limit: u64,
) -> Result<(Vec<String>, Rows), EndpointError> {
    let words = Words { name: &asked.name, sql: &asked.sql, code: codes::SCRIPT, note: "" };
    let statements = cut(words)?;
    let not_one = || {
        EndpointError::new(
            ErrorClass::Configuration,
            codes::SCRIPT,
            format!("{}: one query is expected here, that changes nothing", asked.name),
        )
    };
    let [(statement, What::Rows)] = statements.as_slice() else { return Err(not_one()) };
    let first = statement.sql.split_whitespace().next().unwrap_or("").to_ascii_uppercase();
    if matches!(first.as_str(), "INSERT" | "REPLACE" | "UPDATE" | "DELETE" | "CALL" | "LOAD" | "DO")
    {
        return Err(not_one());
    }
    let refused = |error| refused(lane, words, statement, error);
    let names = session.columns(statement.sql).await.map_err(refused)?;
    if names.is_empty() {
        return Err(not_one());
    }
    let bounded = format!("SET SESSION sql_select_limit = {limit}");
    session.command(&bounded).await.map_err(refused)?;
    let outcome = session.rows_once(statement.sql, none()).await;
    session.command("SET SESSION sql_select_limit = DEFAULT").await.map_err(refused)?;
    let rows = outcome.map_err(refused)?;
    if rows.is_empty() {
        return Ok((names.clone(), ChunkBuilder::new(names.len()).finish()));
    }
    let kinds = vec![Kind::Any; names.len()];
    Ok((names, read::chunk(&rows, &kinds)))
}

#[cfg(test)]
mod tests {
    use super::uncounted;

    #[test]
    fn a_counter_is_no_part_of_a_definition() {
        assert_eq!(
            uncounted(
                "CREATE TABLE `t` (…) ENGINE=InnoDB AUTO_INCREMENT=42 DEFAULT CHARSET=utf8mb4"
            ),
            "CREATE TABLE `t` (…) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"
        );
    }
}

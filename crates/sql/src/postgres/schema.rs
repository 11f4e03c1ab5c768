//! Schema files, scripts and queries of the plan, statement by statement.

use whimbrel_endpoint::{EndpointError, ErrorClass, Finding, Needs, SchemaFile, Script};
use whimbrel_model::{Chunk, Table, Value};

use super::link::{Bound, Kept, Link};
use super::statement::{Statement, newlines, statements};
use super::{catalogue, deferred, fault, read};
use crate::codes;
use crate::dialect::Dialect;
use crate::keys;

const WORDS: Dialect = Dialect::Postgres;

/// Statements of the plan, and where they stand.
#[derive(Clone, Copy)]
struct Words<'a> {
    name: &'a str,
    sql: &'a str,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    Schema,
    Script,
}

impl What {
    fn place(self) -> &'static str {
        match self {
            Self::Schema => "a schema file",
            Self::Script => "a script",
        }
    }
}

/// Runs a file's statements in the open transaction. An error names the file and the line.
pub(crate) async fn apply(link: &mut Link, file: &SchemaFile) -> Result<(), EndpointError> {
    let words = Words { name: &file.name, sql: &file.sql, what: What::Schema };
    run(link, words).await.map(drop)
}

/// Runs a script's statements in the open transaction; returns how many rows they changed.
pub(crate) async fn execute(link: &mut Link, script: &Script) -> Result<u64, EndpointError> {
    run(link, Words { name: &script.name, sql: &script.sql, what: What::Script }).await
}

/// Refuses a script with statements that are not allowed there.
pub(crate) fn look_over(script: &Script) -> Result<(), EndpointError> {
    let words = Words { name: &script.name, sql: &script.sql, what: What::Script };
    none_forbidden(words, &statements(words.sql))
}

fn none_forbidden(words: Words<'_>, statements: &[Statement<'_>]) -> Result<(), EndpointError> {
    for statement in statements {
        if let Some(word) = statement.forbidden() {
            return Err(not_allowed(words, statement, word));
        }
    }
    Ok(())
}

async fn run(link: &mut Link, words: Words<'_>) -> Result<u64, EndpointError> {
    let statements = statements(words.sql);
    // Nothing runs where something is not allowed.
    none_forbidden(words, &statements)?;
    let before = session(link).await?;
    let mut changed = 0;
    for statement in &statements {
        match link.simple(statement.sql).await {
            Ok(count) if statement.counts_changes() => changed += count,
            Ok(_) => {}
            Err(error) => return Err(refused(link, words, statement, error)),
        }
    }
    link.forget().await;
    let after = session(link).await?;
    if (&after.user, &after.role) != (&before.user, &before.role) {
        return Err(other_role(link, words, &after));
    }
    link.set_up_again(&before.path).await?;
    Ok(changed)
}

/// What statements of the plan may change of a session, and what follows depends on.
struct Session {
    path: String,
    user: String,
    /// `none` where it is the user's own.
    role: String,
}

async fn session(link: &mut Link) -> Result<Session, EndpointError> {
    let sql = "SELECT current_setting('search_path'), session_user::text, current_setting('role')";
    let found = link.rows("look at the session", sql, vec![], Kept::No).await?;
    let text = |index: usize| {
        found.first().and_then(|row| row[index].as_text()).unwrap_or_default().to_owned()
    };
    Ok(Session { path: text(0), user: text(1), role: text(2) })
}

/// No statement says it, but a function or a block has done it: the bookkeeping would go on as
/// somebody else. Nothing can be committed any more.
fn other_role(link: &mut Link, words: Words<'_>, after: &Session) -> EndpointError {
    let role = if after.role == "none" { &after.user } else { &after.role };
    let what = format!(
        "{}: not allowed in {}: it leaves the session to another role; `RESET ROLE` where it was set: \
         `{}`",
        words.name,
        words.what.place(),
        role.chars().take(63).collect::<String>()
    );
    let class = ErrorClass::Configuration;
    link.aborted.get_or_insert((class, codes::SCHEMA_FORBIDDEN, what.clone()));
    EndpointError::new(class, codes::SCHEMA_FORBIDDEN, what)
}

/// The rows of a query, at most `limit`; anything but one query is refused, and what it would
/// change is undone.
pub(crate) async fn query(
    link: &mut Link,
    script: &Script,
    limit: u64,
) -> Result<(Vec<String>, Chunk), EndpointError> {
    let words = Words { name: &script.name, sql: &script.sql, what: What::Script };
    let statements = statements(words.sql);
    let [statement] = &statements[..] else {
        return Err(no_query(words));
    };
    if let Some(word) = statement.forbidden() {
        return Err(not_allowed(words, statement, word));
    }
    let doing = "run a query of the plan";
    link.run(doing, "SAVEPOINT whimbrel_query; SET LOCAL transaction_read_only = on").await?;
    let outcome = ask(link, words, statement, limit).await;
    if link.lost {
        return outcome;
    }
    let back = "ROLLBACK TO SAVEPOINT whimbrel_query; RELEASE SAVEPOINT whimbrel_query";
    link.aborted = None;
    link.run(doing, back).await?;
    outcome
}

async fn ask(
    link: &mut Link,
    words: Words<'_>,
    statement: &Statement<'_>,
    limit: u64,
) -> Result<(Vec<String>, Chunk), EndpointError> {
    let columns = match link.columns(statement.sql).await {
        Ok(columns) if columns.is_empty() => return Err(no_query(words)),
        Ok(columns) => columns,
        Err(error) => return Err(refused(link, words, statement, error)),
    };
    let (names, oids): (Vec<String>, Vec<u32>) = columns.into_iter().unzip();
    let forms = link.forms("look up types", &oids).await?;
    // What has no binary form of ours comes as the server spells it.
    let wanted: Vec<String> = forms
        .iter()
        .enumerate()
        .map(|(index, form)| match form {
            super::form::Form::Spelled => format!("q.c{index}::text"),
            _ => format!("q.c{index}"),
        })
        .collect();
    let aliases: Vec<String> = (0..names.len()).map(|index| format!("c{index}")).collect();
    let sql = format!(
        "SELECT {} FROM (\n{}\n) AS q({}) LIMIT {}",
        wanted.join(", "),
        statement.sql,
        aliases.join(", "),
        limit.min(i64::MAX as u64)
    );
    let rows = match link.ask(&sql, vec![], Kept::No).await {
        Ok(rows) => rows,
        Err(error) => return Err(refused(link, words, statement, error)),
    };
    let chunk = read::chunk(link, "run a query of the plan", names.len(), &rows).await?;
    Ok((names, chunk))
}

fn no_query(words: Words<'_>) -> EndpointError {
    EndpointError::new(
        ErrorClass::Configuration,
        codes::SCRIPT,
        format!("{}: one query is expected here, that changes nothing", words.name),
    )
}

fn beginning(statement: &Statement<'_>) -> String {
    statement.sql.lines().next().unwrap_or("").chars().take(80).collect()
}

fn not_allowed(words: Words<'_>, statement: &Statement<'_>, word: &str) -> EndpointError {
    let place = words.what.place();
    EndpointError::new(
        ErrorClass::Configuration,
        codes::SCHEMA_FORBIDDEN,
        format!(
            "{}:{}: not allowed in {place}: {word}: `{}`",
            words.name,
            statement.line,
            beginning(statement)
        ),
    )
}

fn refused(
    link: &mut Link,
    words: Words<'_>,
    statement: &Statement<'_>,
    error: sqlx::Error,
) -> EndpointError {
    let at = fault::position(&error).map(|position| {
        let before: String = statement.sql.chars().take(position.saturating_sub(1)).collect();
        newlines(&before)
    });
    let line = statement.line + at.unwrap_or(0);
    let said = fault::told(&error, &link.place.shown);
    let state = fault::state(&error).to_owned();
    let told = link.told(&format!("apply `{}`", words.name), error);
    // What is not the statement's fault keeps its class.
    if matches!(
        told.class,
        ErrorClass::Transient | ErrorClass::System | ErrorClass::Unknown | ErrorClass::Fenced
    ) && state != "0A000"
        && !state.is_empty()
        && told.code != codes::ENGINE
        || link.lost
    {
        return told;
    }
    let code = match (words.what, state.as_str()) {
        (_, "42P07") => whimbrel_endpoint::codes::TABLE_EXISTS,
        (_, "42501") => codes::PRIVILEGE,
        (What::Schema, _) => codes::SCHEMA,
        (What::Script, _) => codes::SCRIPT,
    };
    EndpointError::new(
        ErrorClass::Configuration,
        code,
        format!("{}:{line}: {said}: `{}`", words.name, beginning(statement)),
    )
    .because(told)
}

/// The tables that the files would create: they are applied to a schema that goes at once.
pub(crate) async fn scratch(
    link: &mut Link,
    files: &[SchemaFile],
) -> Result<Vec<Table>, EndpointError> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    link.run(READING, "BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    let outcome = match in_scratch(link, files).await {
        Ok((before, own)) => {
            let own: Vec<&str> = own.iter().map(String::as_str).collect();
            catalogue::since(link, READING, &before, &own).await
        }
        Err(error) => Err(error),
    };
    leave_scratch(link, outcome).await
}

/// What should be known of the tables that the files would create.
pub(crate) async fn inspect(link: &mut Link, needs: &Needs) -> Result<Vec<Finding>, EndpointError> {
    if needs.schema.is_empty() || needs.creates.is_empty() {
        return Ok(Vec::new());
    }
    link.run(READING, "BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    let outcome = match in_scratch(link, &needs.schema).await {
        Ok(_) => created(link, needs).await,
        Err(error) => Err(error),
    };
    leave_scratch(link, outcome).await
}

async fn created(link: &mut Link, needs: &Needs) -> Result<Vec<Finding>, EndpointError> {
    let mut findings = Vec::new();
    for table in &needs.creates {
        if let Some(facts) = catalogue::facts(link, table).await? {
            findings.extend(keys::inspect(needs, table, |key| facts.is_unique(key)));
            findings.extend(deferred::inspect(link, &facts, table).await?);
        }
    }
    Ok(findings)
}

const READING: &str = "read the schema files";

async fn leave_scratch<T>(
    link: &mut Link,
    outcome: Result<T, EndpointError>,
) -> Result<T, EndpointError> {
    if link.lost {
        return outcome;
    }
    link.aborted = None;
    link.run(READING, "ROLLBACK").await?;
    link.forget().await;
    match outcome {
        Err(error) if error.code == codes::PRIVILEGE => Err(with_grant(link, error).await?),
        // Before a run this is a setting that is in its way; the class is of one that is under way.
        Err(error) if error.code == codes::READ_ONLY => {
            Err(EndpointError { class: ErrorClass::Configuration, ..error })
        }
        outcome => outcome,
    }
}

/// The same with the statement that allows it, where it is tables that may not be created.
async fn with_grant(link: &mut Link, error: EndpointError) -> Result<EndpointError, EndpointError> {
    let sql = "SELECT current_schema()::text, current_user::text \
               WHERE NOT has_schema_privilege(current_schema(), 'CREATE')";
    let found = link.rows(READING, sql, vec![], Kept::No).await?;
    let Some([schema, user]) = found.first().map(Vec::as_slice) else { return Ok(error) };
    let quoted = |value: &Value| WORDS.quote(value.as_text().unwrap_or_default());
    let grant = format!("GRANT CREATE, USAGE ON SCHEMA {} TO {}", quoted(schema), quoted(user));
    Ok(EndpointError { what: format!("{}: as its owner: `{grant}`", error.what), ..error })
}

/// Applies the files in the open transaction: the tables that were there before, and the schemas that
/// new ones without a schema are in.
async fn in_scratch(
    link: &mut Link,
    files: &[SchemaFile],
) -> Result<(Vec<i64>, Vec<String>), EndpointError> {
    let sql = "SELECT has_database_privilege(current_database(), 'CREATE'), \
                      coalesce(current_schema()::text, ''), current_setting('search_path')";
    let found = link.rows(READING, sql, vec![], Kept::No).await?;
    let text = |index: usize| {
        found.first().and_then(|row| row[index].as_text()).unwrap_or_default().to_owned()
    };
    let (mut own, path) = (vec![text(1)], text(2));
    let may_create = found.first().is_some_and(|row| row[0] == Value::Bool(true));
    if may_create {
        let schema = format!("scratch_of_whimbrel_{}", link.pid);
        link.run(READING, &format!("CREATE SCHEMA {}", WORDS.quote(&schema))).await?;
        // The user's schemas stay visible: extensions are there.
        let path = format!("{}, {path}", WORDS.quote(&schema));
        let set = "SELECT set_config('search_path', $1, true)";
        link.rows(READING, set, vec![Bound::text(&path)], Kept::No).await?;
        own.push(schema);
    }
    let before = catalogue::all(link, READING).await?;
    for file in files {
        apply(link, file).await?;
    }
    Ok((before, own))
}

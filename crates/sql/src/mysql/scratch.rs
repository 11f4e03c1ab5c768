//! A database of its own in which schema files are tried, dropped afterwards.
//!
//! ```text
//! maker   lock NAME ─ CREATE DATABASE NAME ─ the files' statements ─ DROP DATABASE NAME ─ unlock
//! later   a database of such a name whose lock is free: its maker is gone, and it is dropped
//! ```
//! Locks are one server's own, and so names say which server: what another one's maker works in, as
//! of a cluster, is left alone. Who may create no such database has the tables that stand described.

use std::collections::BTreeSet;

use whimbrel_endpoint::{EndpointError, ErrorClass, SchemaFile};

use super::catalogue::{self, Facts, Named};
use super::definition::{self, Words};
use super::script::What;
use super::session::{Place, Session, none};
use super::{decode, fault, inspect};
use crate::codes;
use crate::dialect::Dialect;

const PREFIX: &str = "whimbrel_scratch_";

/// Letters that say which server, and which attempt.
const SERVER: usize = 8;
const ATTEMPT: usize = 16;

/// The tables that the files create.
pub(crate) async fn tables(
    place: &Place,
    files: &[SchemaFile],
) -> Result<Vec<Facts>, EndpointError> {
    let mut session = place.open().await?;
    let session = &mut session;
    let name = name(session).await.map_err(|error| place.failed(TRY, error))?;
    clear(session, &name)
        .await
        .map_err(|error| place.failed("drop old scratch databases", error))?;
    // Before the database is there: one whose lock is free has no maker.
    session.lock(&name, 0).await.map_err(|error| place.failed(TRY, error))?;
    let quoted = Dialect::Mysql.quote(&name);
    if let Err(error) = session.command(&format!("CREATE DATABASE {quoted}")).await {
        let may_not = matches!(fault::number(&error), Some(1044 | 1142 | 1227));
        let told = place.failed(TRY, error);
        return match told.code {
            _ if may_not => standing(session, place, files, told).await,
            // Before a run this is a setting that is in its way; the class is of one under way.
            codes::READ_ONLY => Err(EndpointError { class: ErrorClass::Configuration, ..told }),
            _ => Err(told),
        };
    }
    let tables = rehearse(session, place, &quoted, files).await;
    let dropped = session.command(&format!("DROP DATABASE {quoted}")).await;
    let tables = tables?;
    dropped.map_err(|error| place.failed(&format!("drop {quoted}"), error))?;
    session.unlock(&name).await.map_err(|error| place.failed(TRY, error))?;
    Ok(tables)
}

const TRY: &str = "make a database to try the schema files in";

async fn name(session: &mut Session) -> Result<String, sqlx::Error> {
    let sql = "SELECT LEFT(SHA1(CONCAT_WS(':', @@hostname, @@port, @@datadir)), 8), \
               LEFT(REPLACE(UUID(), '-', ''), 16)";
    let rows = session.rows(sql, none()).await?;
    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    let text = |index| decode::text(row, index).unwrap_or_default();
    Ok(format!("{PREFIX}{}_{}", text(0), text(1)))
}

/// Drops what makers who are gone have left on this server.
async fn clear(session: &mut Session, own: &str) -> Result<(), sqlx::Error> {
    for row in &session.look("SHOW DATABASES LIKE 'whimbrel\\_scratch\\_%'").await? {
        let name = decode::text(row, 0).unwrap_or_default();
        // The lock is taken, not looked at: of two that clear, one does.
        if !is_alike(&name, own) || !session.lock(&name, 0).await? {
            continue;
        }
        let sql = format!("DROP DATABASE IF EXISTS {}", Dialect::Mysql.quote(&name));
        match session.command(&sql).await {
            // Another user's, or somebody looks at it: it is no reason to try nothing.
            Err(error) if fault::number(&error).is_none() => return Err(error),
            Err(_) | Ok(()) => session.unlock(&name).await?,
        }
    }
    Ok(())
}

/// Whether a name is one that was made here as `own` was.
fn is_alike(name: &str, own: &str) -> bool {
    let server = &own[..PREFIX.len() + SERVER + "_".len()];
    let is_hex = |letter: u8| matches!(letter, b'0'..=b'9' | b'a'..=b'f');
    name.strip_prefix(server)
        .is_some_and(|attempt| attempt.len() == ATTEMPT && attempt.bytes().all(is_hex))
}

async fn rehearse(
    session: &mut Session,
    place: &Place,
    quoted: &str,
    files: &[SchemaFile],
) -> Result<Vec<Facts>, EndpointError> {
    let failed = |error| place.failed("read the schema files", error);
    session.command(&format!("USE {quoted}")).await.map_err(failed)?;
    for file in files {
        definition::rehearse(session, &place.shown, words(file)).await?;
    }
    catalogue::tables(session).await.map_err(failed)
}

fn words(file: &SchemaFile) -> Words<'_> {
    Words { name: &file.name, sql: &file.sql, code: codes::SCHEMA, note: "" }
}

/// The files' tables as they stand in the target, where none of them is missing.
async fn standing(
    session: &mut Session,
    place: &Place,
    files: &[SchemaFile],
    told: EndpointError,
) -> Result<Vec<Facts>, EndpointError> {
    let failed = |error| place.failed("read the catalogue", error);
    let mut tables = Vec::new();
    for name in left(files)? {
        match catalogue::named(session, &name).await.map_err(failed)? {
            Named::Table(facts) => tables.push(facts),
            Named::Else(_) => {}
            Named::Nothing => {
                let user = inspect::user(session).await.map_err(failed)?;
                return Err(not_tried(&name, &user, told));
            }
        }
    }
    Ok(tables)
}

fn not_tried(table: &str, user: &str, told: EndpointError) -> EndpointError {
    EndpointError {
        what: format!(
            "{}; needed as the target has no table `{table}` yet; an administrator may run: \
             GRANT ALL ON `whimbrel\\_scratch\\_%`.* TO {user}",
            told.what
        ),
        ..told
    }
}

/// The tables that are there after the files' statements.
fn left(files: &[SchemaFile]) -> Result<BTreeSet<String>, EndpointError> {
    let mut names = BTreeSet::new();
    for file in files {
        for (_, what) in definition::cut(words(file))? {
            let What::Definition(Some(trace)) = what else { continue };
            for (index, object) in trace.objects.iter().enumerate() {
                if object.kind != "TABLE" {
                    continue;
                }
                let name = match &object.schema {
                    Some(schema) => format!("{}.{}", bare(schema), bare(&object.name)),
                    None => bare(&object.name),
                };
                if trace.there.as_ref().is_none_or(|there| there[index]) {
                    names.insert(name);
                } else {
                    names.remove(&name);
                }
            }
        }
    }
    Ok(names)
}

fn bare(quoted: &str) -> String {
    let inside = quoted.strip_prefix('`').and_then(|name| name.strip_suffix('`'));
    inside.map_or_else(|| quoted.to_owned(), |name| name.replace("``", "`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_our_form_and_of_this_server_are_alike() {
        let own = "whimbrel_scratch_0123abcd_0123456789abcdef";
        let check = |name: &str, expected| assert_eq!(is_alike(name, own), expected, "{name}");
        check("whimbrel_scratch_0123abcd_fedcba9876543210", true);
        check("whimbrel_scratch_0123abce_fedcba9876543210", false);
        check("whimbrel_scratch_0123abcd_fedcba987654321", false);
        check("whimbrel_scratch_0123abcd_fedcba98765432100", false);
        check("whimbrel_scratch_0123abcd_fedcba987654321G", false);
        check("whimbrel_scratch_0123abcd_fedcba98765432`0", false);
        check("whimbrel_scratch_fedcba9876543210", false);
        check("whimbrel_scratch_mine", false);
    }

    #[test]
    fn the_tables_that_files_leave_are_named() {
        let file = |sql: &str| SchemaFile { name: "schema/1.sql".to_owned(), sql: sql.to_owned() };
        let check = |sql: &str, expected: &[&str]| {
            let names: Vec<String> = left(&[file(sql)]).unwrap().into_iter().collect();
            assert_eq!(names, expected, "{sql}");
        };
        check("CREATE TABLE `a``b` (id int); CREATE TABLE IF NOT EXISTS c (id int)", &["a`b", "c"]);
        check("CREATE TABLE a (id int); RENAME TABLE a TO b; INSERT INTO b VALUES (1)", &["b"]);
        check("DROP TABLE IF EXISTS a; CREATE TABLE a (id int)", &["a"]);
        check("CREATE TABLE a (id int); DROP TABLE a; CREATE VIEW v AS SELECT 1", &[]);
        check("CREATE TABLE d.a (id int)", &["d.a"]);
    }
}

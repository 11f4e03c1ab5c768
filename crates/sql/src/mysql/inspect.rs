//! What stands in the way of a load, and how hard the server is at work.

use std::time::{Duration, Instant};

use whimbrel_endpoint::{Finding, Needs, Pressure};

use super::catalogue::{self, Named};
use super::session::{Session, none};
use super::{decode, fault};
use crate::codes;
use crate::dialect::Dialect;
use crate::keys;

const WORDS: Dialect = Dialect::Mysql;

/// Rows of the ledger may take so many bytes: undo entries of a large batch.
const PACKET_WANTED: usize = 16 << 20;

/// Why the server takes no writes, if it takes none of this user.
pub(crate) async fn read_only(session: &mut Session) -> Result<Option<String>, sqlx::Error> {
    if session.number("SELECT @@innodb_read_only", none()).await? == Some(1) {
        return Ok(Some("the server's tables are read-only (innodb_read_only)".to_owned()));
    }
    if session.number("SELECT @@read_only", none()).await? != Some(1) {
        return Ok(None);
    }
    let grants = grants(session).await?;
    let exempt = ["SUPER", "READ_ONLY ADMIN", "READ ONLY ADMIN", "ALL PRIVILEGES"];
    if grants.iter().any(|grant| grant.global && exempt.iter().any(|word| grant.has(word))) {
        return Ok(None);
    }
    Ok(Some("the server is read-only (read_only): a replica, or set so".to_owned()))
}

/// Findings, those that block first in each kind.
pub(crate) async fn inspect(
    session: &mut Session,
    needs: &Needs,
) -> Result<Vec<Finding>, sqlx::Error> {
    let mut found = Vec::new();
    let mut tell = |code, blocks, message: String| found.push(Finding { code, blocks, message });
    let server = session.server.clone();
    let oldest = if server.mariadb { (10, 6) } else { (8, 0) };
    if server.number < oldest {
        tell(codes::VERSION, true, format!("the server is too old: `{}`", server.version));
    }
    if let Some(reason) = read_only(session).await? {
        tell(codes::READ_ONLY, true, reason);
    }
    if server.packet < PACKET_WANTED {
        tell(
            codes::PACKET,
            false,
            format!(
                "`max_allowed_packet` is {} bytes: rows, and undo entries of a batch, that are \
                 larger cannot be written; 16 MiB or more is better",
                server.packet
            ),
        );
    }
    if session.number("SELECT @@log_bin", none()).await? == Some(1) {
        let rows = session.rows("SELECT @@binlog_format", none()).await?;
        let format = rows.first().and_then(|row| decode::text(row, 0)).unwrap_or_default();
        if format.eq_ignore_ascii_case("STATEMENT") {
            tell(
                codes::SETTING,
                true,
                "`binlog_format` is STATEMENT: InnoDB refuses writes at READ COMMITTED with it; \
                 set ROW or MIXED"
                    .to_owned(),
            );
        }
    }
    let grants = grants(session).await?;
    let user = user(session).await?;
    for (table, created) in needs
        .tables
        .iter()
        .map(|table| (table, false))
        .chain(needs.creates.iter().map(|t| (t, true)))
    {
        let wanted: &[&str] = if created {
            &["CREATE", "INSERT", "SELECT"]
        } else {
            &["SELECT", "INSERT", "UPDATE", "DELETE"]
        };
        let missing = missing(&grants, &server.database, table, wanted);
        if !missing.is_empty() {
            tell(
                codes::PRIVILEGE,
                true,
                format!(
                    "no privilege for {} on `{table}`: GRANT {} ON {} TO {user}",
                    missing.join(", "),
                    missing.join(", "),
                    place(&server.database, table)
                ),
            );
        }
    }
    let stands = catalogue::exists(session, "whimbrel_meta").await?;
    let wanted: &[&str] = if stands {
        &["SELECT", "INSERT", "UPDATE", "DELETE"]
    } else {
        &["CREATE", "CREATE VIEW", "DROP", "SELECT", "INSERT", "UPDATE", "DELETE"]
    };
    let missing = missing(&grants, &server.database, "whimbrel_meta", wanted);
    if !missing.is_empty() {
        let words = if stands { "written" } else { "created" };
        tell(
            codes::PRIVILEGE,
            true,
            format!(
                "the ledger (tables `whimbrel_…`) cannot be {words} without: GRANT {} ON `{}`.* TO {user}",
                missing.join(", "),
                server.database
            ),
        );
    }
    for table in &needs.tables {
        match catalogue::named(session, table).await? {
            Named::Nothing | Named::Else(_) => {}
            Named::Table(facts) => {
                let is_unique = |key: &[&str]| facts.unique_by(key).is_some();
                if let Some(finding) = keys::inspect(needs, table, is_unique) {
                    tell(finding.code, finding.blocks, finding.message);
                }
                if !facts.engine.eq_ignore_ascii_case("InnoDB") {
                    tell(
                        codes::NOT_TRANSACTIONAL,
                        true,
                        format!(
                            "the table's engine ({}) has no transactions: `{table}`",
                            facts.engine
                        ),
                    );
                }
                if facts.triggers > 0 {
                    let count = facts.triggers;
                    let word = if count == 1 { "trigger" } else { "triggers" };
                    tell(
                        codes::TRIGGERS,
                        false,
                        format!("{count} {word} will run for every row of: `{table}`"),
                    );
                }
            }
        }
    }
    Ok(found)
}

fn place(database: &str, table: &str) -> String {
    match WORDS.place(table) {
        (Some(_), _) => WORDS.table(table),
        (None, name) => format!("{}.{}", WORDS.quote(database), WORDS.quote(&name)),
    }
}

/// The session's user as GRANT names it.
pub(crate) async fn user(session: &mut Session) -> Result<String, sqlx::Error> {
    let rows = session.rows("SELECT CURRENT_USER()", none()).await?;
    let user = rows.first().and_then(|row| decode::text(row, 0)).unwrap_or_default();
    let (name, host) = user.rsplit_once('@').unwrap_or((&user, "%"));
    Ok(format!("'{name}'@'{host}'"))
}

/// One line of SHOW GRANTS.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Grant {
    privileges: Vec<String>,
    /// `*.*`
    global: bool,
    /// Pattern of the database, with `%` and `_`.
    database: String,
    /// `None`: all tables of it.
    table: Option<String>,
}

impl Grant {
    fn has(&self, privilege: &str) -> bool {
        self.privileges.iter().any(|held| held == privilege)
    }

    fn allows(&self, privilege: &str) -> bool {
        self.has(privilege) || self.has("ALL PRIVILEGES")
    }

    fn covers(&self, database: &str, table: &str) -> bool {
        // Only grants on whole databases have patterns.
        match &self.table {
            _ if self.global => true,
            None => matches(&self.database, database),
            Some(name) => self.database == database && name == table,
        }
    }
}

async fn grants(session: &mut Session) -> Result<Vec<Grant>, sqlx::Error> {
    match session.look("SHOW GRANTS").await {
        Ok(rows) => Ok(rows.iter().filter_map(|row| grant(&decode::text(row, 0)?)).collect()),
        // Who may not see grants is told nothing of them.
        Err(error) if fault::number(&error).is_some() => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Privileges that no grant allows. Roles and what cannot be read are taken to allow everything:
/// a finding must be true.
fn missing(grants: &[Grant], database: &str, table: &str, wanted: &[&str]) -> Vec<String> {
    let (schema, table) = WORDS.place(table);
    let database = schema.as_deref().unwrap_or(database);
    if grants.is_empty() || grants.iter().any(|grant| grant.has("ROLE")) {
        return Vec::new();
    }
    let allowed = |privilege: &&&str| {
        !grants.iter().any(|grant| grant.covers(database, &table) && grant.allows(privilege))
    };
    wanted.iter().filter(allowed).map(|privilege| (*privilege).to_owned()).collect()
}

/// `GRANT SELECT, INSERT ON `db`.* TO …`; of columns only, it counts as none.
fn grant(line: &str) -> Option<Grant> {
    let rest = line.strip_prefix("GRANT ")?;
    let Some((privileges, rest)) = rest.split_once(" ON ") else {
        // `GRANT role TO user`
        return Some(Grant {
            privileges: vec!["ROLE".to_owned()],
            global: false,
            database: String::new(),
            table: None,
        });
    };
    let (place, _) = rest.split_once(" TO ")?;
    let privileges = privileges
        .split(", ")
        .filter(|privilege| !privilege.contains('('))
        .map(|privilege| privilege.trim().to_uppercase());
    let privileges = privileges.collect();
    if place == "*.*" {
        return Some(Grant { privileges, global: true, database: "%".to_owned(), table: None });
    }
    let (database, table) = place.split_once('.')?;
    let bare = |name: &str| name.trim_matches('`').replace("``", "`");
    Some(Grant {
        privileges,
        global: false,
        database: bare(database),
        table: (table != "*").then(|| bare(table)),
    })
}

/// A database against a pattern with `%`, `_` and `\`.
fn matches(pattern: &str, name: &str) -> bool {
    let mut letters = pattern.chars();
    match letters.next() {
        None => name.is_empty(),
        Some('%') => {
            let rest = letters.as_str();
            (0..=name.len())
                .filter(|at| name.is_char_boundary(*at))
                .any(|at| matches(rest, &name[at..]))
        }
        Some('\\') => {
            let wanted = letters.next();
            let mut have = name.chars();
            have.next() == wanted && matches(letters.as_str(), have.as_str())
        }
        Some('_') => {
            let mut have = name.chars();
            have.next().is_some() && matches(letters.as_str(), have.as_str())
        }
        Some(letter) => {
            let mut have = name.chars();
            have.next() == Some(letter) && matches(letters.as_str(), have.as_str())
        }
    }
}

/// Lock waits of others, the lag of a replica that is asked itself, and how long an answer takes.
pub(crate) async fn pressure(session: &mut Session) -> Result<Pressure, sqlx::Error> {
    let begun = Instant::now();
    session.number("SELECT 1", none()).await?;
    let round_trip = begun.elapsed();
    // The list of transactions would tell whose they are, but is as old as its last reading.
    let waits =
        session.rows("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'", none()).await?;
    let lock_waits = waits.first().and_then(|row| decode::text(row, 1)?.parse().ok());
    Ok(Pressure {
        lock_waits: lock_waits.unwrap_or(0),
        replica_lag: lag(session).await?,
        round_trip,
    })
}

async fn lag(session: &mut Session) -> Result<Option<Duration>, sqlx::Error> {
    use sqlx::{Column as _, Row as _};
    let asked =
        if session.server.mariadb { "SHOW ALL SLAVES STATUS" } else { "SHOW REPLICA STATUS" };
    let rows = match session.look(asked).await {
        Ok(rows) => rows,
        Err(error) if fault::number(&error).is_some() => return Ok(None),
        Err(error) => return Err(error),
    };
    let behind = |row: &sqlx::mysql::MySqlRow| {
        let names = ["Seconds_Behind_Master", "Seconds_Behind_Source"];
        let at = row.columns().iter().position(|column| names.contains(&column.name()))?;
        decode::text(row, at)?.parse().ok()
    };
    Ok(rows.iter().filter_map(behind).max().map(Duration::from_secs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_read_by_place() {
        let grants: Vec<Grant> = [
            "GRANT USAGE ON *.* TO `me`@`%`",
            "GRANT SELECT, INSERT ON `shop\\_%`.* TO `me`@`%`",
            "GRANT UPDATE, DELETE (`a`) ON `shop_a`.`orders` TO `me`@`%`",
        ]
        .iter()
        .filter_map(|line| grant(line))
        .collect();
        let check = |table: &str, expected: &[&str]| {
            let wanted = ["SELECT", "UPDATE", "DELETE"];
            assert_eq!(missing(&grants, "shop_a", table, &wanted), expected, "{table}");
        };
        check("orders", &["DELETE"]);
        check("others", &["UPDATE", "DELETE"]);
        check("shopxa.orders", &["SELECT", "UPDATE", "DELETE"]);
    }

    #[test]
    fn a_role_may_allow_everything() {
        let grants: Vec<Grant> =
            ["GRANT `loader` TO `me`@`%`"].iter().filter_map(|line| grant(line)).collect();
        assert!(missing(&grants, "d", "t", &["SELECT"]).is_empty());
    }
}

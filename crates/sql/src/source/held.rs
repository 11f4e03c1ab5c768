//! Commits of a MariaDB or MySQL server, held up for the moment in which several sessions take their
//! snapshots.
//!
//! ```text
//! look      FLUSH TABLES WITH READ LOCK ─────────────── UNLOCK TABLES
//! readers                                └ snapshots ┘
//! ```
//! Whoever writes waits behind the one who waits for this lock, so it is waited for a second at most, a
//! few times with a rest in between. It is held for as long as the snapshots take, a round trip or two;
//! the server itself ends a session that holds it and says nothing for [`HOLD`].

use std::time::Duration;

use sqlx::AssertSqlSafe;
use sqlx::mysql::MySqlConnection;

use crate::mysql::fault;

/// How often the lock is asked for, how long it is waited for, and the rest in between.
const ATTEMPTS: usize = 3;
const WAIT: Duration = Duration::from_secs(1);
const REST: Duration = Duration::from_millis(200);

/// How long the lock is held at most.
pub(super) const HOLD: Duration = Duration::from_secs(5);

/// Why commits were not held up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unheld {
    /// The user may not do that, or nobody may on this server.
    Forbidden,
    /// Others were at work for longer than the lock was waited for.
    Busy,
}

impl Unheld {
    /// What would help.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::Forbidden => "let the user hold commits up for that moment (GRANT RELOAD ON *.*)",
            Self::Busy => "the lock that holds commits up for that moment was not to be had soon",
        }
    }
}

/// Lets nobody commit until [`let_go`]; a connection that is dropped instead lets go too.
pub(super) async fn hold(look: &mut MySqlConnection) -> Result<Result<(), Unheld>, sqlx::Error> {
    let mut outcome = hold_once(look).await?;
    for _ in 1..ATTEMPTS {
        if outcome != Err(Unheld::Busy) {
            break;
        }
        tokio::time::sleep(REST).await;
        outcome = hold_once(look).await?;
    }
    Ok(outcome)
}

async fn hold_once(look: &mut MySqlConnection) -> Result<Result<(), Unheld>, sqlx::Error> {
    let (wait, hold) = (WAIT.as_secs(), HOLD.as_secs());
    let limits = format!("SET SESSION lock_wait_timeout = {wait}, wait_timeout = {hold}");
    command(look, &limits).await?;
    let why = match command(look, "FLUSH TABLES WITH READ LOCK").await {
        Ok(()) => return Ok(Ok(())),
        Err(error) => match fault::number(&error) {
            None => return Err(error),
            Some(1205 | 1213 | 1317 | 1969 | 3024) => Unheld::Busy,
            Some(_) => Unheld::Forbidden,
        },
    };
    // Where it was refused, MySQL may have granted the first half of it.
    let_go(look).await.map(|()| Err(why))
}

/// Others commit again.
pub(super) async fn let_go(look: &mut MySqlConnection) -> Result<(), sqlx::Error> {
    let free = "UNLOCK TABLES; SET SESSION lock_wait_timeout = DEFAULT, wait_timeout = 31536000";
    command(look, free).await
}

async fn command(look: &mut MySqlConnection, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(look).await.map(drop)
}

#[cfg(test)]
mod tests {
    use sqlx::Connection as _;
    use whimbrel_testkit::servers::{Database, Engine, Options, Server, private_or_skip};

    use super::*;

    const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY)";

    /// Locks of the whole server: nobody else's tests are on it.
    fn server() -> Option<Server> {
        private_or_skip(Engine::Mysql, &Options::default())
    }

    async fn connect(url: &str) -> MySqlConnection {
        MySqlConnection::connect(url).await.unwrap()
    }

    fn insert(database: &Database<'_>, id: u8) -> std::io::Result<()> {
        database.run(&format!("SET lock_wait_timeout = 1; INSERT INTO t VALUES ({id})"))
    }

    #[tokio::test]
    async fn nobody_commits_until_they_are_let_go() {
        let Some(server) = server() else { return };
        let database = server.database("held").unwrap();
        database.run(TABLE).unwrap();
        let mut look = connect(&database.url()).await;
        assert_eq!(hold(&mut look).await.unwrap(), Ok(()));
        assert!(insert(&database, 1).unwrap_err().to_string().contains("1205"));
        let_go(&mut look).await.unwrap();
        insert(&database, 1).unwrap();
        // Who is gone holds nobody up.
        assert_eq!(hold(&mut look).await.unwrap(), Ok(()));
        look.close_hard().await.unwrap();
        insert(&database, 2).unwrap();
    }

    #[tokio::test]
    async fn who_is_long_at_work_is_not_waited_for() {
        let Some(server) = server() else { return };
        let database = server.database("long").unwrap();
        database.run(&format!("{TABLE}; CREATE TABLE locked (n int)")).unwrap();
        let mut long = connect(&database.url()).await;
        command(&mut long, "LOCK TABLES locked WRITE").await.unwrap();
        let mut look = connect(&database.url()).await;
        assert_eq!(hold(&mut look).await.unwrap(), Err(Unheld::Busy));
        insert(&database, 1).unwrap();
    }

    #[tokio::test]
    async fn without_the_privilege_nothing_is_held() {
        let Some(server) = server() else { return };
        let database = server.database("forbidden").unwrap();
        let name = database.name();
        let grants = ["%", "localhost"].map(|host| {
            format!(
                "CREATE USER 'reads'@'{host}' IDENTIFIED BY 'canary'; \
                 GRANT SELECT, INSERT ON `{name}`.* TO 'reads'@'{host}';"
            )
        });
        database.run(&format!("{TABLE}; {}", grants.concat())).unwrap();
        let url = database.tcp_url().unwrap();
        let (start, rest) = url.split_once("://").unwrap();
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        let mut look = connect(&format!("{start}://reads:canary@{host}")).await;
        assert_eq!(hold(&mut look).await.unwrap(), Err(Unheld::Forbidden));
        assert!(Unheld::Forbidden.advice().contains("GRANT RELOAD ON *.*"));
        insert(&database, 1).unwrap();
    }
}

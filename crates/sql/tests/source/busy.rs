//! MariaDB and MySQL while others commit without end.

use std::sync::Arc;

use whimbrel_endpoint::Source;
use whimbrel_sql::{Options, sources};
use whimbrel_testkit::servers::{Database, Engine, Options as Settings, private_or_skip};

use crate::world::{rows, table};

/// Transactions that add one in each of three tables.
const BUSY: &str = "CREATE TABLE a (id int PRIMARY KEY, n int);
    CREATE TABLE b LIKE a; CREATE TABLE c LIKE a; CREATE TABLE stop (n int);
    INSERT INTO a VALUES (1, 0); INSERT INTO b VALUES (1, 0); INSERT INTO c VALUES (1, 0);
DELIMITER //
    CREATE PROCEDURE busy() BEGIN
        WHILE NOT EXISTS (SELECT 1 FROM stop) DO
            START TRANSACTION;
            UPDATE a SET n = n + 1; UPDATE b SET n = n + 1; UPDATE c SET n = n + 1;
            COMMIT;
        END WHILE;
    END//
DELIMITER ;";

/// A database in which somebody is at work, until this is dropped.
struct Busy<'a>(&'a Database<'a>);

impl Busy<'_> {
    /// Returns once more was committed.
    fn is_at_work(&self) {
        let count = || self.0.rows("SELECT n FROM a").unwrap();
        let before = count();
        while count() == before {
            std::thread::yield_now();
        }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.run("INSERT INTO stop VALUES (1)").unwrap();
    }
}

/// Does something while somebody is at work, on a server where nobody else is.
fn while_busy(work: impl AsyncFnOnce(&Busy<'_>)) {
    let Some(server) = private_or_skip(Engine::Mysql, &Settings::default()) else { return };
    let database = server.database("busy").unwrap();
    database.run(BUSY).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| database.run("CALL busy()").unwrap());
        let busy = Busy(&database);
        busy.is_at_work();
        tokio::runtime::Runtime::new().unwrap().block_on(work(&busy));
    });
}

fn three(url: &str) -> Vec<Arc<dyn Source>> {
    let specs = ["a", "b", "c"].map(|name| table(url, name));
    sources(specs.to_vec(), Options::default()).unwrap()
}

/// What is said of the snapshot.
async fn told(sources: &[Arc<dyn Source>]) -> Vec<String> {
    let findings = sources[0].inspect().await.unwrap();
    let snapshot = findings.into_iter().filter(|finding| finding.code == "WB0497");
    snapshot.map(|finding| finding.message).collect()
}

#[test]
fn all_sources_see_one_state_while_others_commit_without_end() {
    while_busy(async |busy| {
        for _ in 0..5 {
            let sources = three(&busy.0.url());
            assert_eq!(told(&sources).await, Vec::<String>::new());
            let mut numbers = Vec::new();
            for source in &sources {
                numbers.push(rows(&**source).await.unwrap()[0][1].clone());
            }
            assert!(numbers.iter().all(|number| *number == numbers[0]), "{numbers:?}");
        }
        // Nobody is held up any more.
        busy.is_at_work();
    });
}

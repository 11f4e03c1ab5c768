//! Schema files are tried in a database of their own: without the privilege, and after a kill.

use whimbrel_testkit::servers::{Database, Engine, Options as Settings, private_or_skip};

use crate::place::{file, opened, refusal};

const TWO: &str = "CREATE TABLE a (id int PRIMARY KEY);\n\
     CREATE TABLE IF NOT EXISTS b (id int PRIMARY KEY, name varchar(9));";

fn cells(database: &Database<'_>, query: &str) -> Vec<String> {
    let rows = database.rows(query).unwrap();
    let text = |row: &Vec<Option<Vec<u8>>>| String::from_utf8(row[0].clone().unwrap()).unwrap();
    rows.iter().map(text).collect()
}

fn scratches(database: &Database<'_>) -> Vec<String> {
    cells(database, "SHOW DATABASES LIKE 'whimbrel\\_scratch\\_%'")
}

#[tokio::test]
async fn a_rehearsal_leaves_nothing() {
    let Some(server) = private_or_skip(Engine::Mysql, &Settings::default()) else { return };
    let database = server.database("rehearsal").unwrap();
    let target = opened(&database.url()).await;
    let tables = target.describe_schema(&[file(TWO)]).await.unwrap();
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    let (_, code, what) =
        refusal(target.describe_schema(&[file("CREATE TABLE a (id nothing)")]).await);
    assert_eq!(code, "WB0420");
    assert!(what.contains("schema/001.sql:1"), "{what}");
    let (_, code, _) =
        refusal(target.describe_schema(&[file("CREATE TABLE mysql.a (id int)")]).await);
    assert_eq!(code, "WB0473");
    assert!(cells(&database, "SHOW TABLES").is_empty());
    assert!(scratches(&database).is_empty());
}

#[tokio::test]
async fn a_user_of_one_database_goes_on_with_the_tables_that_stand() {
    let Some(server) = private_or_skip(Engine::Mysql, &Settings::default()) else { return };
    let database = server.database("tenant").unwrap();
    let name = database.name();
    database
        .run(&format!(
            "CREATE USER tenant@'%' IDENTIFIED BY 'p'; GRANT ALL ON `{name}`.* TO tenant@'%'; {TWO}"
        ))
        .unwrap();
    let url = database.tcp_url().unwrap();
    let (_, host) = url.rsplit_once('@').unwrap();
    let target = opened(&format!("mysql://tenant:p@{host}")).await;
    let tables = target.describe_schema(&[file(TWO)]).await.unwrap();
    let shown: Vec<(&str, usize)> =
        tables.iter().map(|table| (table.name.as_str(), table.columns.len())).collect();
    assert_eq!(shown, [("a", 1), ("b", 2)]);
    // What is not there cannot be known without trying.
    let third = [file(TWO), file("CREATE TABLE c (id int)")];
    let (_, code, what) = refusal(target.describe_schema(&third).await);
    assert_eq!(code, "WB0453");
    let grant = "GRANT ALL ON `whimbrel\\_scratch\\_%`.* TO 'tenant'@'%'";
    assert!(what.contains("no table `c`") && what.ends_with(grant), "{what}");
    // As it says, so it goes.
    database.run(&format!("DROP TABLE a, b; {grant}")).unwrap();
    let tables = target.describe_schema(&third).await.unwrap();
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert!(scratches(&database).is_empty());
}

#[tokio::test]
async fn what_a_killed_attempt_left_is_dropped_by_the_next_and_a_living_ones_is_not() {
    let Some(server) = private_or_skip(Engine::Mysql, &Settings::default()) else { return };
    let database = server.database("left").unwrap();
    database.run("CREATE DATABASE whimbrel_scratch_mine").unwrap();
    let (long, next) = (opened(&database.url()).await, opened(&database.url()).await);
    let slow = [file("CREATE TABLE t (id int); SELECT SLEEP(600);")];
    let others = async {
        let at_work = "SELECT id FROM information_schema.processlist \
                       WHERE db LIKE 'whimbrel\\_scratch\\_%' AND info LIKE '%SLEEP(600)%'";
        let mut session = Vec::new();
        while session.is_empty() {
            tokio::task::yield_now().await;
            session = cells(&database, at_work);
        }
        let living = scratches(&database);
        assert_eq!(living.len(), 2, "{living:?}");
        next.describe_schema(&[file(TWO)]).await.unwrap();
        assert_eq!(scratches(&database), living);
        database.run(&format!("KILL {}", session[0])).unwrap();
        living
    };
    let (killed, living) = tokio::join!(long.describe_schema(&slow), others);
    killed.unwrap_err();
    assert_eq!(scratches(&database), living);
    next.describe_schema(&[file(TWO)]).await.unwrap();
    assert_eq!(scratches(&database), ["whimbrel_scratch_mine"]);
}

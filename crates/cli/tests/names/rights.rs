//! Users who may not make the tables of the plan: `validate` and `migrate` say so alike, with the GRANT.

use std::fs;

use whimbrel_testkit::servers;

use crate::{said, whimbrel};

/// What `validate` and `migrate` say of the plan of `init`, as a role that `rights` has made.
#[track_caller]
fn refused(hint: &str, rights: &str, told: [&str; 2]) {
    let Some(server) = servers::postgres_or_skip() else { return };
    let database = server.database(hint).unwrap();
    let role = format!("r_{}", database.name());
    let fill = |text: &str| text.replace("WHO", &role).replace("HERE", database.name());
    database.run(&fill(rights)).unwrap();
    let url = database.tcp_url().unwrap();
    let (_, place) = url.split_once('@').unwrap();
    let target = format!("postgres://{role}:p@{place}");
    let folder = tempfile::tempdir().unwrap();
    let old = rusqlite::Connection::open(folder.path().join("old.db")).unwrap();
    old.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)").unwrap();
    let made = whimbrel(folder.path(), &["init", "old.db", "--target", &target], &[]);
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    for (verb, told) in ["validate", "migrate"].into_iter().zip(told) {
        let output = whimbrel(folder.path(), &[verb], &[("TARGET", &target)]);
        let said = said(&output);
        assert!(said.contains(&fill(told)), "{verb}: {said}");
        assert_eq!(output.status.code(), Some(2), "{verb}: {said}");
    }
    assert!(fs::exists(folder.path().join("whimbrel.toml")).unwrap());
    drop(database.run(&fill("DROP OWNED BY WHO; DROP ROLE WHO")));
}

#[test]
fn who_may_not_create_in_the_schema_is_told_the_grant() {
    refused(
        "create",
        "CREATE ROLE WHO LOGIN PASSWORD 'p'; CREATE SCHEMA whimbrel AUTHORIZATION WHO;
         REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        ["GRANT CREATE, USAGE ON SCHEMA \"public\" TO \"WHO\""; 2],
    );
}

#[test]
fn a_role_that_only_reads_is_told_so_by_both_verbs() {
    refused(
        "reader",
        "CREATE ROLE WHO LOGIN PASSWORD 'p'; GRANT CREATE ON DATABASE \"HERE\" TO WHO;
         GRANT CREATE ON SCHEMA public TO WHO; ALTER ROLE WHO SET default_transaction_read_only = on",
        ["`default_transaction_read_only` is on", "WB0405"],
    );
}

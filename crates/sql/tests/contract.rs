//! SQLite keeps the contract of targets.
#![allow(clippy::unwrap_used)] // helpers of tests are tests as well

use std::path::PathBuf;
use std::time::Duration;

use whimbrel_endpoint::contract::{Connect, orphan_contract, target_contract};
use whimbrel_sql::{Options, open};

fn fresh() -> Connect {
    let folder = tempfile::tempdir().unwrap();
    let base: PathBuf = folder.path().to_owned();
    Box::new(async move || {
        // The folder goes with the last connection's closure.
        assert!(folder.path().exists());
        let options =
            Options { base: base.clone(), busy: Duration::from_millis(50), ..Options::default() };
        open("sqlite:target.db", options).await.unwrap()
    })
}

#[tokio::test]
async fn sqlite_keeps_the_contract() {
    target_contract(fresh).await;
}

#[tokio::test]
async fn sqlite_refuses_orphans_and_not_batches() {
    orphan_contract(fresh, |parents| family(parents, ""), false).await;
    orphan_contract(fresh, |parents| family(parents, "DEFERRABLE INITIALLY DEFERRED"), true).await;
}

fn family(parents: &str, deferral: &str) -> String {
    format!(
        "CREATE TABLE parents (id BIGINT NOT NULL PRIMARY KEY, parent BIGINT);
         CREATE TABLE children (id BIGINT NOT NULL PRIMARY KEY, parent BIGINT,
            CONSTRAINT c FOREIGN KEY (parent) REFERENCES {parents} (id) {deferral});"
    )
}

//! PostgreSQL keeps the contract of targets.

use std::sync::Arc;
use std::time::Duration;

use whimbrel_endpoint::contract::{Connect, orphan_contract, target_contract};
use whimbrel_sql::{Options, open};
use whimbrel_testkit::servers::postgres_or_skip;

async fn keeps_the_contract(by_tcp: bool) {
    let Some(server) = postgres_or_skip() else { return };
    target_contract(|| -> Connect {
        let database = Arc::new(server.database("contract").unwrap());
        Box::new(async move || {
            let url = if by_tcp { database.tcp_url().unwrap() } else { database.url() };
            let options = Options { busy: Duration::from_millis(500), ..Options::default() };
            open(&url, options).await.unwrap()
        })
    })
    .await;
}

#[tokio::test]
async fn postgres_refuses_orphans_and_not_batches() {
    let Some(server) = postgres_or_skip() else { return };
    for deferral in ["", "DEFERRABLE INITIALLY IMMEDIATE", "DEFERRABLE INITIALLY DEFERRED"] {
        let make = || -> Connect {
            let database = Arc::new(server.database("orphans").unwrap());
            Box::new(async move || open(&database.url(), Options::default()).await.unwrap())
        };
        let waits = deferral.ends_with("DEFERRED");
        orphan_contract(make, |parents| family(parents, deferral), waits).await;
    }
}

fn family(parents: &str, deferral: &str) -> String {
    format!(
        "CREATE TABLE parents (id BIGINT NOT NULL PRIMARY KEY, parent BIGINT);
         CREATE TABLE children (id BIGINT NOT NULL PRIMARY KEY, parent BIGINT,
            CONSTRAINT c FOREIGN KEY (parent) REFERENCES {parents} (id) {deferral});"
    )
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    keeps_the_contract(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_keeps_the_contract_by_tcp() {
    keeps_the_contract(true).await;
}

//! PostgreSQL keeps the contract of targets.

use std::sync::Arc;
use std::time::Duration;

use whimbrel_endpoint::contract::{Connect, target_contract};
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
async fn postgres_keeps_the_contract() {
    keeps_the_contract(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_keeps_the_contract_by_tcp() {
    keeps_the_contract(true).await;
}

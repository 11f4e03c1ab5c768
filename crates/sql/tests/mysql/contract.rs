//! MariaDB keeps the contract of targets.

use std::sync::Arc;

use whimbrel_endpoint::contract::{Connect, orphan_contract, target_contract};

use crate::place::{Place, server};

async fn keeps_the_contract(by_tcp: bool) {
    if server().is_none() {
        return;
    }
    target_contract(|| -> Connect {
        let place = Arc::new(Place::new("contract").unwrap());
        Box::new(async move || if by_tcp { place.by_tcp().await } else { place.target().await })
    })
    .await;
}

#[tokio::test]
async fn mariadb_refuses_orphans_and_not_batches() {
    if server().is_none() {
        return;
    }
    let make = || -> Connect {
        let place = Arc::new(Place::new("orphans").unwrap());
        Box::new(async move || place.target().await)
    };
    orphan_contract(make, family, false).await;
}

fn family(parents: &str) -> String {
    format!(
        "CREATE TABLE parents (id BIGINT NOT NULL PRIMARY KEY, parent BIGINT);
         CREATE TABLE children (id BIGINT NOT NULL PRIMARY KEY, parent BIGINT,
            CONSTRAINT c FOREIGN KEY (parent) REFERENCES {parents} (id));"
    )
}

#[tokio::test]
async fn mariadb_keeps_the_contract() {
    keeps_the_contract(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_keeps_the_contract_by_tcp() {
    keeps_the_contract(true).await;
}

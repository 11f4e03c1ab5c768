//! SQLite keeps the contract of targets.
#![allow(clippy::unwrap_used)] // helpers of tests are tests as well

use std::path::PathBuf;
use std::time::Duration;

use whimbrel_endpoint::contract::{Connect, target_contract};
use whimbrel_sql::{Options, open};

#[tokio::test]
async fn sqlite_keeps_the_contract() {
    target_contract(|| -> Connect {
        let folder = tempfile::tempdir().unwrap();
        let base: PathBuf = folder.path().to_owned();
        Box::new(async move || {
            // The folder goes with the last connection's closure.
            assert!(folder.path().exists());
            let options = Options {
                base: base.clone(),
                busy: Duration::from_millis(50),
                ..Options::default()
            };
            open("sqlite:target.db", options).await.unwrap()
        })
    })
    .await;
}

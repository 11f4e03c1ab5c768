//! A folder with a database in it, and short words for what tests do there.
#![allow(dead_code)] // each test binary uses some of them

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use whimbrel_endpoint::contract::holder;
use whimbrel_endpoint::{
    EndpointError, Fence, LeaseAnswer, LeaseRequest, Query, RowFate, SchemaFile, Target, Txn,
    WriteMode,
};
use whimbrel_model::{Chunk, ChunkBuilder, Table, Value, ValueRef};
use whimbrel_sql::{Options, open};

/// A database that goes with this value.
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    _kept: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let kept = tempfile::tempdir().unwrap();
        Self { folder: kept.path().to_owned(), _kept: kept }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join("target.db")
    }

    /// Another program's connection.
    pub(crate) fn stranger(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.file()).unwrap()
    }

    pub(crate) async fn target(&self) -> Box<dyn Target> {
        self.target_at("target.db").await
    }

    pub(crate) async fn target_at(&self, file: &str) -> Box<dyn Target> {
        let options = Options {
            base: self.folder.clone(),
            busy: Duration::from_millis(50),
            ..Options::default()
        };
        open(&format!("sqlite:{file}"), options).await.unwrap()
    }

    /// A target with a ledger, the lease, and what `schema` creates.
    pub(crate) async fn ready(&self, schema: &str) -> (Box<dyn Target>, Fence) {
        let target = self.target().await;
        target.prepare_ledger().await.unwrap();
        let fence = lease(&*target).await;
        let mut txn = target.begin(fence).await.unwrap();
        txn.apply_schema(&file(schema)).await.unwrap();
        txn.commit().await.unwrap();
        (target, fence)
    }
}

pub(crate) fn file(sql: &str) -> SchemaFile {
    SchemaFile { name: "schema/001.sql".to_owned(), sql: sql.to_owned() }
}

pub(crate) async fn lease(target: &dyn Target) -> Fence {
    let request = LeaseRequest {
        holder: holder("run"),
        ttl: Duration::from_mins(1),
        renew: None,
        dead: None,
    };
    match target.lease(&request).await.unwrap() {
        LeaseAnswer::Granted(fence) => fence,
        LeaseAnswer::Held { by, .. } => panic!("held by `{}`", by.run),
    }
}

pub(crate) fn chunk(rows: &[&[ValueRef<'_>]]) -> Chunk {
    let mut chunk = ChunkBuilder::new(rows.first().map_or(0, |row| row.len()));
    for row in rows {
        for value in *row {
            chunk.push(*value);
        }
        chunk.end_row();
    }
    chunk.finish()
}

pub(crate) async fn write(
    txn: &mut Box<dyn Txn>,
    table: &Table,
    rows: &[&[ValueRef<'_>]],
) -> Vec<RowFate> {
    txn.write(table, Arc::new(chunk(rows)), WriteMode::Insert).await.unwrap()
}

pub(crate) async fn described(target: &dyn Target, table: &str) -> Table {
    target.describe(table).await.unwrap().expect("the table exists")
}

pub(crate) fn values(chunk: &Chunk) -> Vec<Vec<Value>> {
    chunk.rows().map(|row| row.values().map(ValueRef::to_owned).collect()).collect()
}

pub(crate) async fn all(target: &dyn Target, table: &str, columns: &[&str]) -> Vec<Vec<Value>> {
    values(&target.select(&Query::table(table, columns)).await.unwrap())
}

/// Class, code and whole text of an error, its causes included.
pub(crate) fn told(error: &EndpointError) -> (whimbrel_endpoint::ErrorClass, &'static str, String) {
    let mut text = error.what.clone();
    let mut cause = std::error::Error::source(error);
    while let Some(why) = cause {
        text.push_str(" | ");
        text.push_str(&why.to_string());
        cause = why.source();
    }
    (error.class, error.code, text)
}

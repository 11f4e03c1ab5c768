//! A database of a test's own, and short words for what tests do there.

use std::sync::Arc;
use std::time::Duration;

use whimbrel_endpoint::contract::holder;
use whimbrel_endpoint::{
    EndpointError, ErrorClass, Fence, LeaseAnswer, LeaseRequest, Query, RowFate, SchemaFile,
    Target, Txn, WriteMode,
};
use whimbrel_model::{Chunk, ChunkBuilder, Table, Value, ValueRef};
use whimbrel_sql::{Options, open};
use whimbrel_testkit::servers::{Database, postgres_or_skip};

/// A new database on the shared server; `None` where there is no server.
pub(crate) fn database(hint: &str) -> Option<Database<'static>> {
    postgres_or_skip().map(|server| server.database(hint).unwrap())
}

pub(crate) async fn target(database: &Database<'_>) -> Box<dyn Target> {
    target_at(&database.url()).await
}

pub(crate) async fn target_at(url: &str) -> Box<dyn Target> {
    let options = Options { busy: Duration::from_millis(300), ..Options::default() };
    open(url, options).await.unwrap()
}

/// A target with a ledger, the lease, and what `schema` creates.
pub(crate) async fn ready(database: &Database<'_>, schema: &str) -> (Box<dyn Target>, Fence) {
    let target = target(database).await;
    target.prepare_ledger().await.unwrap();
    let fence = lease(&*target, "run").await;
    let mut txn = target.begin(fence).await.unwrap();
    txn.apply_schema(&file(schema)).await.unwrap();
    txn.commit().await.unwrap();
    (target, fence)
}

pub(crate) fn file(sql: &str) -> SchemaFile {
    SchemaFile { name: "schema/001.sql".to_owned(), sql: sql.to_owned() }
}

pub(crate) fn request(run: &str) -> LeaseRequest {
    LeaseRequest { holder: holder(run), ttl: Duration::from_mins(1), renew: None, dead: None }
}

pub(crate) async fn lease(target: &dyn Target, run: &str) -> Fence {
    granted(target.lease(&request(run)).await.unwrap())
}

pub(crate) fn granted(answer: LeaseAnswer) -> Fence {
    match answer {
        LeaseAnswer::Granted(fence) => fence,
        LeaseAnswer::Held { by, .. } => panic!("held by `{}`", by.run),
    }
}

pub(crate) fn chunk(rows: &[&[ValueRef<'_>]]) -> Chunk {
    let mut chunk = ChunkBuilder::new(rows.first().map_or(0, |row| row.len()));
    for row in rows {
        row.iter().for_each(|value| chunk.push(*value));
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

/// Code and subject of a refusal.
pub(crate) fn refusal(fate: &RowFate) -> (&'static str, &str) {
    match fate {
        RowFate::Refused { code, subject, .. } => (code, subject.as_deref().unwrap_or("")),
        RowFate::Inserted | RowFate::Taken | RowFate::Updated => panic!("{fate:?}"),
    }
}

/// Class, code and whole text of an error, its causes included.
pub(crate) fn told(error: &EndpointError) -> (ErrorClass, &'static str, String) {
    let mut text = error.what.clone();
    let mut cause = std::error::Error::source(error);
    while let Some(why) = cause {
        text.push_str(" | ");
        text.push_str(&why.to_string());
        cause = why.source();
    }
    (error.class, error.code, text)
}

//! A database of a server, and short words for what tests do in it.

use std::sync::Arc;
use std::time::Duration;

use whimbrel_endpoint::contract::holder;
use whimbrel_endpoint::{
    EndpointError, ErrorClass, Fence, LeaseAnswer, LeaseRequest, RowFate, SchemaFile, Script,
    Target, Txn, WriteMode,
};
use whimbrel_model::{Chunk, ChunkBuilder, Table, ValueRef};
use whimbrel_sql::{Options, open};
use whimbrel_testkit::servers::{Database, Server, mysql_or_skip};

pub(crate) fn server() -> Option<&'static Server> {
    mysql_or_skip()
}

/// A database that goes with this value.
pub(crate) struct Place {
    pub(crate) database: Database<'static>,
}

impl Place {
    /// `None` where there is no server.
    pub(crate) fn new(hint: &str) -> Option<Self> {
        Some(Self { database: server()?.database(hint).unwrap() })
    }

    pub(crate) async fn target(&self) -> Box<dyn Target> {
        opened(&self.database.url()).await
    }

    pub(crate) async fn by_tcp(&self) -> Box<dyn Target> {
        opened(&self.database.tcp_url().unwrap()).await
    }

    /// A target with a ledger, the lease, and what `schema` creates.
    pub(crate) async fn ready(&self, schema: &str) -> (Box<dyn Target>, Fence) {
        let target = self.target().await;
        target.prepare_ledger().await.unwrap();
        let fence = lease(&*target, "run").await;
        if !schema.is_empty() {
            self.sql(schema);
        }
        (target, fence)
    }

    /// By the server's own client.
    pub(crate) fn sql(&self, sql: &str) {
        self.database.run(sql).unwrap();
    }

    /// One row a line, columns with commas between them.
    pub(crate) fn rows(&self, query: &str) -> Vec<String> {
        let shown = |cell: &Option<Vec<u8>>| {
            cell.as_ref().map_or("NULL".to_owned(), |it| String::from_utf8_lossy(it).into_owned())
        };
        let rows = self.database.rows(query).unwrap();
        rows.iter().map(|row| row.iter().map(shown).collect::<Vec<_>>().join(",")).collect()
    }
}

pub(crate) async fn opened(url: &str) -> Box<dyn Target> {
    let options = Options { busy: Duration::from_millis(500), ..Options::default() };
    open(url, options).await.unwrap()
}

pub(crate) async fn lease(target: &dyn Target, run: &str) -> Fence {
    let request =
        LeaseRequest { holder: holder(run), ttl: Duration::from_mins(1), renew: None, dead: None };
    match target.lease(&request).await.unwrap() {
        LeaseAnswer::Granted(fence) => fence,
        LeaseAnswer::Held { by, .. } => panic!("held by `{}`", by.run),
    }
}

pub(crate) async fn described(target: &dyn Target, table: &str) -> Table {
    target.describe(table).await.unwrap().expect("the table exists")
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

/// `code subject` of a refused row.
pub(crate) fn told(fate: &RowFate) -> String {
    match fate {
        RowFate::Inserted => "inserted".to_owned(),
        RowFate::Taken => "taken".to_owned(),
        RowFate::Updated => "updated".to_owned(),
        RowFate::Refused { code, subject, message } => {
            assert!(!message.is_empty());
            format!("{code} {}", subject.as_deref().unwrap_or("-"))
        }
    }
}

pub(crate) fn file(sql: &str) -> SchemaFile {
    SchemaFile { name: "schema/001.sql".to_owned(), sql: sql.to_owned() }
}

pub(crate) fn script(sql: &str) -> Script {
    Script { name: "relate \"tree\"".to_owned(), sql: sql.to_owned() }
}

pub(crate) fn refusal<T>(outcome: Result<T, EndpointError>) -> (ErrorClass, &'static str, String) {
    match outcome {
        Ok(_) => panic!("it succeeded, which it must not"),
        Err(error) => (error.class, error.code, error.what),
    }
}

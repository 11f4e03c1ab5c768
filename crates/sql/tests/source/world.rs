//! Short words for what tests of sources do.
#![allow(dead_code)] // not every engine's tests use all of them

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use whimbrel_endpoint::contract::SourceUnderTest;
use whimbrel_endpoint::{
    Discovery, EndpointError, Field, Finding, Freshness, Limit, Partition, Reader, Shape, Source,
};
use whimbrel_model::plan::HashAlgorithm;
use whimbrel_model::{Position, SourceChunk, SourceMark, Value, ValueRef};
use whimbrel_sql::{Options, Read, SourceSpec, sources};

/// A table of a database.
pub(crate) fn table(url: &str, name: &str) -> SourceSpec {
    SourceSpec {
        name: "old".to_owned(),
        url: url.to_owned(),
        read: Read::Table(name.to_owned()),
        key: Vec::new(),
    }
}

/// A query with a key.
pub(crate) fn query(url: &str, sql: &str, key: &[&str]) -> SourceSpec {
    SourceSpec {
        name: "old".to_owned(),
        url: url.to_owned(),
        read: Read::Query(sql.to_owned()),
        key: key.iter().map(|&name| name.to_owned()).collect(),
    }
}

/// The source that a spec describes.
pub(crate) fn source(spec: &SourceSpec) -> Arc<dyn Source> {
    sources(vec![spec.clone()], Options::default()).unwrap().remove(0)
}

pub(crate) async fn partition(source: &dyn Source) -> Result<Partition, EndpointError> {
    Ok(source.partitions().await?.partitions.remove(0))
}

/// Everything that a source holds, row by row, with all columns.
pub(crate) async fn rows(source: &dyn Source) -> Result<Vec<Vec<Value>>, EndpointError> {
    let partition = partition(source).await?;
    let shape = source.describe(&partition).await?;
    let fields: Vec<Field> =
        shape.columns.into_iter().map(|column| Field::Column(column.name)).collect();
    let mut reader = source.open(&partition, &fields, None).await?;
    let mut rows = Vec::new();
    while let Some(chunk) = reader.next(Limit::default()).await? {
        let owned = |row: whimbrel_model::Row<'_>| row.values().map(ValueRef::to_owned).collect();
        rows.extend(chunk.rows.rows().map(owned));
    }
    reader.finish().await?;
    Ok(rows)
}

/// The first column of all rows, as people read it.
pub(crate) async fn firsts(source: &dyn Source) -> Vec<String> {
    let rows = rows(source).await.unwrap();
    rows.iter().map(|row| row[0].as_ref().to_string()).collect()
}

/// A source whose snapshot is taken anew when a test has changed the database: another run.
pub(crate) struct Renewed<C> {
    spec: SourceSpec,
    inner: Mutex<Arc<dyn Source>>,
    /// The statement that changes the database.
    change: C,
    /// A table with a text column `id` and the rows `r1` … `r6`.
    table: String,
}

impl<C: Fn(&str)> Renewed<C> {
    pub(crate) fn new(spec: SourceSpec, table: &str, change: C) -> Self {
        let inner = Mutex::new(source(&spec));
        Self { spec, inner, change, table: table.to_owned() }
    }

    fn now(&self) -> Arc<dyn Source> {
        Arc::clone(&self.inner.lock().unwrap())
    }

    fn changed(&self, sql: &str) {
        (self.change)(&sql.replace("TABLE", &self.table));
        *self.inner.lock().unwrap() = source(&self.spec);
    }
}

impl<C: Fn(&str) + Send + Sync> SourceUnderTest for Renewed<C> {
    fn source(&self) -> &dyn Source {
        self
    }

    fn append(&self, _: &Partition) {
        self.changed("INSERT INTO TABLE (id, note) VALUES ('r7', 'appended')");
    }

    fn alter(&self, _: &Partition) {
        self.changed("UPDATE TABLE SET note = 'altered' WHERE id = 'r1'");
    }

    fn empty(&self, _: &Partition) {
        self.changed("DELETE FROM TABLE");
    }

    fn is_snapshot(&self) -> bool {
        true
    }
}

#[async_trait]
impl<C: Fn(&str) + Send + Sync> Source for Renewed<C> {
    fn name(&self) -> &str {
        &self.spec.name
    }

    async fn partitions(&self) -> Result<Discovery, EndpointError> {
        self.now().partitions().await
    }

    async fn inspect(&self) -> Result<Vec<Finding>, EndpointError> {
        self.now().inspect().await
    }

    async fn describe(&self, partition: &Partition) -> Result<Shape, EndpointError> {
        self.now().describe(partition).await
    }

    async fn open(
        &self,
        partition: &Partition,
        fields: &[Field],
        after: Option<&SourceMark>,
    ) -> Result<Box<dyn Reader>, EndpointError> {
        self.now().open(partition, fields, after).await
    }

    async fn parse(
        &self,
        partition: &Partition,
        fields: &[Field],
        records: &[(Position, Vec<u8>)],
    ) -> Result<SourceChunk, EndpointError> {
        self.now().parse(partition, fields, records).await
    }

    async fn checksum(
        &self,
        partition: &Partition,
        algorithm: HashAlgorithm,
    ) -> Result<String, EndpointError> {
        self.now().checksum(partition, algorithm).await
    }

    async fn text(&self, partition: &Partition) -> Result<String, EndpointError> {
        self.now().text(partition).await
    }

    async fn compare(
        &self,
        partition: &Partition,
        mark: &SourceMark,
    ) -> Result<Freshness, EndpointError> {
        self.now().compare(partition, mark).await
    }
}

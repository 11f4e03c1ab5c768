//! Rows that rules look at: of a table of the target, or the records of a source; each with what it is
//! told by. And the rules that look at one row at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use whimbrel_cel::{Cell, Fault};
use whimbrel_endpoint::{
    EndpointError, Feed, Field, Limit, Partition, Reader, RowOrder, Snapshot, Source,
};
use whimbrel_model::plan::{self, At, LargeFiles};
use whimbrel_model::{Chunk, ChunkBuilder, Column, Row, Table, Value, ValueRef};

use super::compile::{self, Known};
use super::{Tally, Trouble, own, shown};
use crate::order;

/// What a rule looks at.
#[derive(Clone, Copy)]
pub(super) enum Subject<'s> {
    /// A table of the target.
    Table {
        /// Its state.
        snapshot: &'s dyn Snapshot,
        /// Its name.
        name: &'s str,
        /// Whether values must not be shown.
        hides: bool,
    },
    /// A source.
    Source {
        /// What reads it.
        source: &'s Arc<dyn Source>,
        /// What the plan says of it.
        plan: &'s plan::Source,
        /// Whether values must not be shown.
        hides: bool,
    },
}

/// How a row is told.
#[derive(Clone, Debug)]
pub(super) enum Who {
    /// By these columns.
    Columns(Vec<String>),
    /// By the file and the number of the record.
    Place,
    /// Nothing may tell it.
    Hidden,
}

/// Rows: the columns that are wanted, then what tells them.
pub(super) struct Opened {
    pub(super) feed: Box<dyn Feed>,
    /// How many columns were wanted.
    pub(super) wanted: usize,
    pub(super) who: Who,
}

impl Opened {
    /// All columns.
    pub(super) fn width(&self) -> usize {
        self.wanted
            + match &self.who {
                Who::Columns(names) => names.len(),
                Who::Place => 2,
                Who::Hidden => 0,
            }
    }

    /// Columns behind those that were wanted.
    pub(super) fn told(&self) -> std::ops::Range<usize> {
        self.wanted..self.width()
    }
}

impl Who {
    /// `id=1`, or `samples/a.csv, record 7`.
    pub(super) fn shown<'v>(&self, values: impl Iterator<Item = ValueRef<'v>>) -> String {
        match self {
            Self::Columns(names) => {
                let cell = |(name, value): (&String, ValueRef<'_>)| {
                    format!("{}={}", shown::text(name), shown::value(value))
                };
                names.iter().zip(values).map(cell).collect::<Vec<_>>().join(", ")
            }
            Self::Place => {
                let parts: Vec<String> = values.map(shown::value).collect();
                format!("{}, record {}", parts[0], parts[1])
            }
            Self::Hidden => shown::MASK.to_owned(),
        }
    }
}

impl Subject<'_> {
    /// Whether values must not be shown: nobody knows which of them came of a sensitive one.
    pub(super) fn hides(&self) -> bool {
        match self {
            Self::Table { hides, .. } | Self::Source { hides, .. } => *hides,
        }
    }

    /// The columns that it has.
    pub(super) async fn known(&self) -> Result<Known, Trouble> {
        match self {
            Self::Table { .. } => Ok(Known::of(&self.table().await?)),
            Self::Source { source, .. } => {
                let (names, kinds) = (Vec::new(), Vec::new());
                let mut known = Known { names, kinds, closed: true };
                for partition in partitions(source).await?.into_iter().take(1) {
                    let shape = source.describe(&partition).await?;
                    known.closed = shape.closed;
                    known.names.extend(shape.columns.into_iter().map(|column| column.name));
                }
                // Files may differ; a column that none has is NULL everywhere.
                known.closed = false;
                Ok(known)
            }
        }
    }

    pub(super) async fn table(&self) -> Result<Table, Trouble> {
        let Self::Table { snapshot, name, .. } = self else {
            return Err(own("a source is no table"));
        };
        let table = snapshot.describe(name).await?;
        table.ok_or_else(|| own(format!("there is no table `{}`", shown::text(name))))
    }

    /// Refuses two columns of a table whose values cannot be the same, or cannot be in an order.
    pub(super) async fn are_alike(&self, one: &str, other: &str) -> Result<(), Trouble> {
        if matches!(self, Self::Source { .. }) {
            return Ok(());
        }
        let table = self.table().await?;
        let kind = |name: &str| {
            table.columns.iter().find(|column| column.name == name).map(|column| column.kind)
        };
        let (Some(a), Some(b)) = (kind(one), kind(other)) else { return Ok(()) };
        compile::unalike((one, a), (other, b)).map_or(Ok(()), |why| Err(own(why)))
    }

    /// Rows with these columns, in whatever order.
    pub(super) async fn open(&self, wanted: &[&str]) -> Result<Opened, Trouble> {
        match self {
            Self::Table { snapshot, .. } => {
                let table = self.table().await?;
                let find = |name: &str| -> Result<Column, Trouble> {
                    let found = table.columns.iter().find(|column| column.name == name);
                    found.cloned().ok_or_else(|| {
                        own(format!("`{}` has no column `{}`", table.name, shown::text(name)))
                    })
                };
                let mut columns: Vec<Column> =
                    wanted.iter().map(|name| find(name)).collect::<Result<_, _>>()?;
                let key: Vec<Column> =
                    table.key.iter().map(|&index| table.columns[index].clone()).collect();
                // Without a key a row is told by what is looked at.
                let told = match (key.is_empty(), self.hides()) {
                    (false, _) => key,
                    (true, false) => columns.clone(),
                    (true, true) => Vec::new(),
                };
                let names = || told.iter().map(|column| column.name.clone()).collect();
                let who = if told.is_empty() { Who::Hidden } else { Who::Columns(names()) };
                columns.extend(told);
                let table = Table { name: table.name, key: Vec::new(), columns };
                let feed = snapshot.rows(&table, RowOrder::Any).await?;
                Ok(Opened { feed, wanted: wanted.len(), who })
            }
            Self::Source { source, plan, .. } => {
                let field = |name: &&str| {
                    if name.starts_with('/') {
                        Field::Pointer((*name).to_owned())
                    } else {
                        Field::Column((*name).to_owned())
                    }
                };
                let is_read = |partition: &Partition| {
                    let is_large =
                        plan.max_file_size.is_some_and(|most| partition.facts.size > most);
                    !is_large || plan.large_files == LargeFiles::Handle
                };
                let partitions = partitions(source).await?.into_iter().filter(is_read).collect();
                let records = Records {
                    source: Arc::clone(source),
                    fields: wanted.iter().map(field).collect(),
                    partitions,
                    open: None,
                };
                Ok(Opened { feed: Box::new(records), wanted: wanted.len(), who: Who::Place })
            }
        }
    }
}

async fn partitions(source: &Arc<dyn Source>) -> Result<VecDeque<Partition>, Trouble> {
    let discovery = source.partitions().await?;
    if let Some(first) = discovery.unreadable.first() {
        return Err(own(format!(
            "`{}` cannot be read: {}",
            shown::text(&first.path),
            shown::text(&first.reason)
        )));
    }
    Ok(discovery.partitions.into())
}

/// What a query of a source answers.
pub(super) async fn answer(
    source: &Arc<dyn Source>,
) -> Result<(Vec<String>, Box<dyn Feed>), Trouble> {
    let partitions = partitions(source).await?;
    let mut names: Vec<String> = Vec::new();
    for partition in &partitions {
        let shape = source.describe(partition).await?;
        names.extend(shape.columns.into_iter().map(|column| column.name));
    }
    let fields = names.iter().cloned().map(Field::Column).collect();
    let records = Records { source: Arc::clone(source), fields, partitions, open: None };
    Ok((names, Box::new(records)))
}

/// Records of a source as rows: its fields, then path and number. Records with a defect do not come:
/// they are rejects anyway.
struct Records {
    source: Arc<dyn Source>,
    fields: Vec<Field>,
    partitions: VecDeque<Partition>,
    open: Option<(String, Box<dyn Reader>)>,
}

#[async_trait]
impl Feed for Records {
    async fn next(&mut self) -> Result<Option<Chunk>, EndpointError> {
        loop {
            if self.open.is_none() {
                let Some(partition) = self.partitions.pop_front() else { return Ok(None) };
                let reader = self.source.open(&partition, &self.fields, None).await?;
                self.open = Some((partition.id.path.clone(), reader));
            }
            let Some((path, mut reader)) = self.open.take() else { return Ok(None) };
            let Some(chunk) = reader.next(Limit::default()).await? else {
                reader.finish().await?;
                continue;
            };
            let width = self.fields.len() + 2;
            let mut rows = ChunkBuilder::with_capacity(width, chunk.records.len(), 0);
            for (row, record) in chunk.rows.rows().zip(&chunk.records) {
                if record.defect.is_some() {
                    continue;
                }
                row.values().for_each(|value| rows.push(value));
                rows.push(ValueRef::Text(&path));
                rows.push(ValueRef::Int(record.position.record.into()));
                rows.end_row();
            }
            self.open = Some((path, reader));
            if !rows.is_empty() {
                return Ok(Some(rows.finish()));
            }
        }
    }
}

/// `rows`: true for each row. A row without an answer does not hold.
pub(super) async fn hold(subject: &Subject<'_>, cel: &At<String>) -> Result<Tally, Trouble> {
    let hides = subject.hides();
    let known = subject.known().await?;
    let compiled = compile::compile(cel, &known);
    let compiled = compiled.map_err(|errors| {
        own(errors.first().map_or("the expression is none", |error| error.message.as_str()))
    })?;
    let wanted: Vec<&str> = compiled.wanted.iter().map(String::as_str).collect();
    let mut opened = subject.open(&wanted).await?;
    let told = opened.told();
    let mut tally = Tally::over_rows();
    while let Some(chunk) = opened.feed.next().await? {
        tally.looked_at(chunk.len());
        for row in chunk.rows() {
            let answer = compiled.program.run::<Fault>(|input| Ok(Cell::Ref(row.get(input))));
            let why = match answer {
                Ok(Value::Bool(true)) => continue,
                Ok(Value::Bool(false)) => None,
                Ok(other) => Some(format!("the answer is {}, not true", other.as_ref().noun())),
                Err(fault) => Some(fault.message),
            };
            tally.violated(|| {
                let who = opened.who.shown(told.clone().map(|index| row.get(index)));
                match why.filter(|_| !hides) {
                    Some(why) => format!("{who} ({why})"),
                    None => who,
                }
            });
        }
    }
    Ok(tally)
}

/// `self-parents`.
pub(super) async fn own_parents(
    subject: &Subject<'_>,
    key: &At<String>,
    parent: &At<String>,
) -> Result<Tally, Trouble> {
    subject.are_alike(&key.value, &parent.value).await?;
    let mut opened = subject.open(&[&key.value, &parent.value]).await?;
    let told = opened.told();
    let mut tally = Tally::over_rows();
    while let Some(chunk) = opened.feed.next().await? {
        tally.looked_at(chunk.len());
        for row in chunk.rows() {
            let (key, parent) = (row.get(0), row.get(1));
            if !key.is_null() && order::compare(key, parent).is_eq() {
                tally.violated(|| opened.who.shown(told.clone().map(|index| row.get(index))));
            }
        }
    }
    Ok(tally)
}

/// Rows that come in an order, one by one.
pub(super) struct Cursor<F> {
    feed: F,
    chunk: Chunk,
    at: usize,
}

impl<F: Feed> Cursor<F> {
    pub(super) fn over(feed: F, width: usize) -> Self {
        Self { feed, chunk: ChunkBuilder::new(width).finish(), at: 0 }
    }

    /// The row that it stands at; `None` at the end.
    pub(super) async fn row(&mut self) -> Result<Option<Row<'_>>, EndpointError> {
        while self.at >= self.chunk.len() {
            let Some(chunk) = self.feed.next().await? else { return Ok(None) };
            (self.chunk, self.at) = (chunk, 0);
        }
        Ok(Some(self.chunk.row(self.at)))
    }

    pub(super) fn advance(&mut self) {
        self.at += 1;
    }
}

/// A row of these values for a sorter.
pub(super) fn one<'v>(width: usize, values: impl Iterator<Item = ValueRef<'v>>) -> Chunk {
    let mut chunk = ChunkBuilder::with_capacity(width, 1, 0);
    values.for_each(|value| chunk.push(value));
    chunk.end_row();
    chunk.finish()
}

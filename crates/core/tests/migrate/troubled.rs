//! Endpoints to which something happens: a target whose n-th commit goes wrong or whose answers are
//! lies, and a source that hands over few records at once, so that batches end inside of files.

use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use whimbrel_endpoint::memory::{Committed, MemorySource, MemoryTarget};
use whimbrel_endpoint::{
    Coming, Discovery, EndpointError, ErrorClass, Fence, Finding, Freshness, LeaseAnswer,
    LeaseRequest, Limit, Needs, Partition, Pressure, Query, Reader, ReaderEnd, RowFate, Rows,
    SchemaFile, Snapshot, Source, Target, TargetFacts, Txn, WriteMode,
};
use whimbrel_ledger::tables;
use whimbrel_model::plan::HashAlgorithm;
use whimbrel_model::{
    Chunk, ChunkBuilder, Field, Position, Row, Shape, SourceChunk, SourceMark, Table, Value,
    ValueRef,
};

/// What happens at a commit; when records are read, only `Refused` and `Panic`, which commits do not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trouble {
    /// It is not carried out; the error has this class.
    Refused(ErrorClass),
    /// It is carried out, but its answer is lost.
    Unheard,
    /// The process dies before it is carried out.
    DeathBefore,
    /// The process dies when it has been carried out.
    DeathAfter,
    /// The server falls before it is carried out, and forgets what is not on its disk.
    FallBefore,
    /// The server falls once it has answered, and is there again.
    FallAfter,
    /// The thread that reads has a defect.
    Panic,
}

/// Which commits a server may forget when it falls.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Flush {
    #[default]
    Each,
    /// Those since the load began, until it is left: PostgreSQL.
    WhenTheLoadIsLeft,
    /// All: MariaDB and MySQL, where the operator has set them so.
    Never,
}

/// What a target says of rows that it was to write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lie {
    /// Nothing of the last one.
    Silence,
    /// That there was one more.
    Surplus,
    /// That their keys are taken, although it holds none of them.
    Taken,
}

/// A value that no row may be updated to.
pub(crate) const UNFIT: &str = "unfit";

/// When it happens, counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum At {
    Commit(u64),
    /// Of the commits those that hold a batch.
    Batch(u64),
    /// When records are read.
    Read(u64),
    /// When the load is left.
    Leave(u64),
}

/// Something that happens elsewhere.
pub(crate) type Event = Box<dyn FnOnce() + Send>;

/// What befalls a process.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) troubles: BTreeMap<At, Trouble>,
    pub(crate) lie: Option<Lie>,
    /// Rows of this bookkeeping table are not written in this batch.
    pub(crate) forgets: Option<(&'static str, u64)>,
    /// What the target answers when it is asked how it is, one after the other: while rows are
    /// written and not committed, as nobody else waits for them.
    pub(crate) pressures: Mutex<VecDeque<Pressure>>,
    /// What it wants to be known.
    pub(crate) findings: Vec<Finding>,
    /// What happens elsewhere once so many batches are tried, before the next transaction begins.
    pub(crate) meanwhile: Mutex<Option<(u64, Event)>>,
    pub(crate) commits: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) reads: AtomicU64,
    /// The source is a database with so many sessions, each for one reader or comparison.
    pub(crate) sessions: Option<Arc<Semaphore>>,
    pub(crate) died: Notify,
    /// This table cannot be read while a load is under way.
    pub(crate) unreadable: Option<&'static str>,
    pub(crate) flush: Flush,
    pub(crate) loading: AtomicBool,
    leaves: AtomicU64,
    writing: AtomicBool,
    /// What is on the server's disk, where that is not all that is committed.
    disk: Mutex<Option<Committed>>,
    /// The server fell, and the writer does not know it yet.
    fell: AtomicBool,
}

impl Script {
    /// A commit was acknowledged; whether it is on the disk.
    fn acknowledged(&self, before: Committed) {
        let flushed = match self.flush {
            Flush::Each => true,
            Flush::WhenTheLoadIsLeft => !self.loading.load(Ordering::SeqCst),
            Flush::Never => false,
        };
        let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        if flushed {
            *disk = None;
        } else if disk.is_none() {
            *disk = Some(before);
        }
    }

    fn fall(&self, target: &MemoryTarget) {
        let disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(disk) = disk {
            target.fall_back_to(&disk);
        }
    }

    /// Who writes first on a new connection is told.
    fn told_of_a_fall(&self) -> Result<(), EndpointError> {
        if self.fell.swap(false, Ordering::SeqCst) { Err(lost()) } else { Ok(()) }
    }
}

fn lost() -> EndpointError {
    let what = "the connection to the test's target is lost";
    EndpointError::new(ErrorClass::Transient, "WB0610", what)
}

/// A target that follows a script.
pub(crate) struct Troubled {
    pub(crate) inner: MemoryTarget,
    pub(crate) script: Arc<Script>,
}

#[async_trait]
impl Target for Troubled {
    async fn facts(&self) -> Result<TargetFacts, EndpointError> {
        self.inner.facts().await
    }

    async fn describe(&self, table: &str) -> Result<Option<Table>, EndpointError> {
        let loading = self.script.loading.load(Ordering::SeqCst);
        if loading && self.script.unreadable == Some(table) {
            let what = "the test's target does not read this";
            return Err(EndpointError::new(ErrorClass::System, "WB0610", what));
        }
        self.inner.describe(table).await
    }

    async fn describe_schema(&self, files: &[SchemaFile]) -> Result<Vec<Table>, EndpointError> {
        self.inner.describe_schema(files).await
    }

    async fn prepare_ledger(&self) -> Result<(), EndpointError> {
        self.inner.prepare_ledger().await
    }

    async fn has_ledger(&self) -> Result<bool, EndpointError> {
        self.inner.has_ledger().await
    }

    async fn select(&self, query: &Query) -> Result<Rows, EndpointError> {
        self.inner.select(query).await
    }

    async fn lease(&self, request: &LeaseRequest) -> Result<LeaseAnswer, EndpointError> {
        self.inner.lease(request).await
    }

    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, EndpointError> {
        self.inner.snapshot()
    }

    async fn release(&self, fence: Fence) -> Result<(), EndpointError> {
        self.inner.release(fence).await
    }

    async fn begin(&self, fence: Fence) -> Result<Box<dyn Txn>, EndpointError> {
        let batches = self.script.batches.load(Ordering::SeqCst);
        let happens = {
            let mut meanwhile =
                self.script.meanwhile.lock().unwrap_or_else(PoisonError::into_inner);
            meanwhile.take_if(|(after, _)| *after == batches)
        };
        if let Some((_, happens)) = happens {
            // Elsewhere: on a thread of its own, which has no runtime yet.
            std::thread::spawn(happens).join().expect("what happens elsewhere succeeds");
        }
        self.script.told_of_a_fall()?;
        let inner = self.inner.begin(fence).await?;
        Ok(Box::new(TroubledTxn {
            inner,
            target: self.inner.clone(),
            script: Arc::clone(&self.script),
            batch: false,
        }))
    }

    async fn inspect(&self, needs: &Needs) -> Result<Vec<Finding>, EndpointError> {
        Ok([self.script.findings.clone(), self.inner.inspect(needs).await?].concat())
    }

    async fn pressure(&self) -> Result<Pressure, EndpointError> {
        if !self.script.writing.load(Ordering::SeqCst) {
            return Ok(Pressure::default());
        }
        let mut pressures = self.script.pressures.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(pressures.pop_front().unwrap_or_default())
    }

    async fn enter_load(&self) -> Result<(), EndpointError> {
        self.script.loading.store(true, Ordering::SeqCst);
        self.inner.enter_load().await
    }

    async fn leave_load(&self) -> Result<(), EndpointError> {
        let leave = At::Leave(self.script.leaves.fetch_add(1, Ordering::SeqCst) + 1);
        if let Some(Trouble::Refused(class)) = self.script.troubles.get(&leave) {
            let what = "the test's target does not leave the load";
            return Err(EndpointError::new(*class, "WB0610", what));
        }
        if self.script.flush != Flush::Never {
            self.script.told_of_a_fall()?;
            *self.script.disk.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        self.script.loading.store(false, Ordering::SeqCst);
        self.inner.leave_load().await
    }
}

struct TroubledTxn {
    inner: Box<dyn Txn>,
    target: MemoryTarget,
    script: Arc<Script>,
    /// True once it holds the row of a batch.
    batch: bool,
}

#[async_trait]
impl Txn for TroubledTxn {
    async fn write(
        &mut self,
        table: &Table,
        rows: Arc<Chunk>,
        mode: WriteMode,
    ) -> Result<Vec<RowFate>, EndpointError> {
        let count = rows.len();
        if self.script.lie == Some(Lie::Taken) {
            return Ok(vec![RowFate::Taken; count]);
        }
        self.script.writing.store(true, Ordering::SeqCst);
        let mut fates = self.inner.write(table, rows, mode).await?;
        match self.script.lie {
            Some(Lie::Silence) => fates.truncate(count - 1),
            Some(Lie::Surplus) => fates.push(RowFate::Inserted),
            Some(Lie::Taken) | None => {}
        }
        Ok(fates)
    }

    fn expect(&mut self, table: &Table, rows: &Arc<Chunk>, coming: Coming) {
        self.inner.expect(table, rows, coming);
    }

    async fn put(&mut self, table: &Table, rows: &Chunk) -> Result<(), EndpointError> {
        self.batch |= table.name == tables::BATCHES.name;
        let batch = self.script.batches.load(Ordering::SeqCst) + 1;
        match self.script.forgets {
            Some((name, at)) if name == table.name && batch == at => Ok(()),
            Some(_) | None => self.inner.put(table, rows).await,
        }
    }

    async fn delete(&mut self, query: &Query) -> Result<u64, EndpointError> {
        self.inner.delete(query).await
    }

    async fn select(&mut self, query: &Query) -> Result<Rows, EndpointError> {
        self.inner.select(query).await
    }

    async fn read_for_update(
        &mut self,
        table: &Table,
        keys: &Chunk,
    ) -> Result<Vec<Option<Vec<Value>>>, EndpointError> {
        self.inner.read_for_update(table, keys).await
    }

    async fn update(&mut self, table: &Table, rows: &Chunk) -> Result<Vec<RowFate>, EndpointError> {
        let is_unfit = |row: &Row<'_>| {
            row.values().any(|value| matches!(value, ValueRef::Text(text) if text == UNFIT))
        };
        let mut fit = ChunkBuilder::new(rows.width());
        for row in rows.rows().filter(|row| !is_unfit(row)) {
            row.values().for_each(|value| fit.push(value));
            fit.end_row();
        }
        let mut fates = self.inner.update(table, &fit.finish()).await?.into_iter();
        let refused = || RowFate::Refused {
            code: "WB0411",
            subject: Some("fitness".to_owned()),
            message: "the row is unfit".to_owned(),
        };
        let fate =
            |row: Row<'_>| if is_unfit(&row) { refused() } else { fates.next().expect("one each") };
        Ok(rows.rows().map(fate).collect())
    }

    async fn remove(&mut self, table: &Table, keys: &Chunk) -> Result<u64, EndpointError> {
        self.inner.remove(table, keys).await
    }

    async fn create_table(&mut self, table: &Table) -> Result<(), EndpointError> {
        self.inner.create_table(table).await
    }

    async fn apply_schema(&mut self, file: &SchemaFile) -> Result<(), EndpointError> {
        self.inner.apply_schema(file).await
    }

    /// A language of five statements, as memory reads no SQL: `copy TABLE TABLE`, `clear TABLE`,
    /// `needs TABLE` (has rows), `nothing`, `refused`.
    async fn execute(&mut self, script: &whimbrel_endpoint::Script) -> Result<u64, EndpointError> {
        let mut changed = 0;
        for statement in script.sql.split(';') {
            let words: Vec<&str> = statement.split_whitespace().collect();
            changed += match words.as_slice() {
                ["copy", from, into] => self.copy(from, into).await?,
                ["clear", table] => self.inner.delete(&Query::table(*table, &[])).await?,
                ["nothing"] => 0,
                ["refused"] => {
                    let what = format!("{}: refused", script.name);
                    return Err(EndpointError::new(ErrorClass::Configuration, "WB0423", what));
                }
                ["needs", table] => {
                    let rows = self.inner.count(table).await?;
                    assert!(
                        rows.is_some_and(|rows| rows > 0),
                        "{}: `{table}` is empty",
                        script.name
                    );
                    0
                }
                other => panic!("{}: no statement: {other:?}", script.name),
            };
        }
        Ok(changed)
    }

    async fn query(
        &mut self,
        script: &whimbrel_endpoint::Script,
        limit: u64,
    ) -> Result<(Vec<String>, Rows), EndpointError> {
        let table = script.sql.strip_prefix("rows of ").expect("a query of the test's language");
        let table = self.target.describe(table).await?.expect("the table is there");
        let names = tables::names(&table);
        let columns = names.iter().map(|name| (*name).to_owned()).collect();
        let mut query = Query::table(table.name.clone(), &names);
        query.limit = Some(limit);
        Ok((columns, self.inner.select(&query).await?))
    }

    async fn count(&mut self, table: &str) -> Result<Option<u64>, EndpointError> {
        self.inner.count(table).await
    }

    async fn commit(self: Box<Self>) -> Result<(), EndpointError> {
        self.script.writing.store(false, Ordering::SeqCst);
        let commit = At::Commit(self.script.commits.fetch_add(1, Ordering::SeqCst) + 1);
        let batch =
            self.batch.then(|| At::Batch(self.script.batches.fetch_add(1, Ordering::SeqCst) + 1));
        let of = |at| self.script.troubles.get(&at);
        let before = self.target.committed();
        match of(commit).or_else(|| of(batch?)) {
            None => {
                self.inner.commit().await?;
                self.script.acknowledged(before);
                Ok(())
            }
            Some(Trouble::FallBefore) => {
                self.inner.rollback().await?;
                self.script.fall(&self.target);
                Err(lost())
            }
            Some(Trouble::FallAfter) => {
                self.inner.commit().await?;
                self.script.acknowledged(before);
                self.script.fall(&self.target);
                self.script.fell.store(true, Ordering::SeqCst);
                Ok(())
            }
            Some(Trouble::Refused(class)) => {
                self.inner.rollback().await?;
                Err(EndpointError::new(*class, "WB0610", "the test's target refuses the commit"))
            }
            Some(Trouble::Unheard) => {
                self.inner.commit().await?;
                let what = "the test's target does not answer";
                Err(EndpointError::new(ErrorClass::Unknown, "WB0610", what))
            }
            Some(Trouble::DeathBefore) => {
                self.script.died.notify_one();
                pending().await
            }
            Some(Trouble::DeathAfter) => {
                self.inner.commit().await?;
                self.script.died.notify_one();
                pending().await
            }
            Some(Trouble::Panic) => panic!("only readers panic"),
        }
    }

    async fn rollback(self: Box<Self>) -> Result<(), EndpointError> {
        self.inner.rollback().await
    }
}

impl TroubledTxn {
    async fn copy(&mut self, from: &str, into: &str) -> Result<u64, EndpointError> {
        let table = self.target.describe(into).await?.expect("the table is there");
        let query = Query::table(from, &tables::names(&table));
        let rows = self.inner.select(&query).await?;
        self.inner.put(&table, &rows).await?;
        Ok(rows.len() as u64)
    }
}

/// A source whose readers hand over at most so many records at once.
pub(crate) struct Sips {
    pub(crate) inner: MemorySource,
    pub(crate) records: usize,
    pub(crate) script: Arc<Script>,
}

#[async_trait]
impl Source for Sips {
    fn name(&self) -> &str {
        self.inner.name()
    }

    /// With times of change, which memory does not keep: another one for other bytes.
    async fn partitions(&self) -> Result<Discovery, EndpointError> {
        let mut found = self.inner.partitions().await?;
        for partition in &mut found.partitions {
            let bytes = self.inner.text(partition).await?;
            let bytes = blake3::hash(bytes.as_bytes());
            let time = bytes.as_bytes().first_chunk().expect("a hash is longer than 4 bytes");
            Arc::make_mut(&mut partition.facts).mtime_nanos = u32::from_be_bytes(*time).into();
        }
        Ok(found)
    }

    async fn state(&self) -> Result<Option<String>, EndpointError> {
        self.inner.state().await
    }

    async fn describe(&self, partition: &Partition) -> Result<Shape, EndpointError> {
        self.inner.describe(partition).await
    }

    async fn open(
        &self,
        partition: &Partition,
        fields: &[Field],
        after: Option<&SourceMark>,
    ) -> Result<Box<dyn Reader>, EndpointError> {
        let session = self.session()?;
        let inner = self.inner.open(partition, fields, after).await?;
        let (records, script) = (self.records, Arc::clone(&self.script));
        Ok(Box::new(SipReader { inner, records, script, _session: session }))
    }

    async fn parse(
        &self,
        partition: &Partition,
        fields: &[Field],
        records: &[(Position, Vec<u8>)],
    ) -> Result<SourceChunk, EndpointError> {
        self.inner.parse(partition, fields, records).await
    }

    async fn checksum(
        &self,
        partition: &Partition,
        algorithm: HashAlgorithm,
    ) -> Result<String, EndpointError> {
        self.inner.checksum(partition, algorithm).await
    }

    async fn text(&self, partition: &Partition) -> Result<String, EndpointError> {
        self.inner.text(partition).await
    }

    async fn compare(
        &self,
        partition: &Partition,
        mark: &SourceMark,
    ) -> Result<Freshness, EndpointError> {
        let _session = self.session()?;
        self.inner.compare(partition, mark).await
    }
}

impl Sips {
    fn session(&self) -> Result<Option<OwnedSemaphorePermit>, EndpointError> {
        let Some(sessions) = &self.script.sessions else { return Ok(None) };
        Arc::clone(sessions).try_acquire_owned().map(Some).map_err(|_| {
            EndpointError::new(ErrorClass::System, "WB0610", "all sessions are in use")
        })
    }
}

struct SipReader {
    inner: Box<dyn Reader>,
    records: usize,
    script: Arc<Script>,
    _session: Option<OwnedSemaphorePermit>,
}

#[async_trait]
impl Reader for SipReader {
    async fn next(&mut self, limit: Limit) -> Result<Option<SourceChunk>, EndpointError> {
        let read = At::Read(self.script.reads.fetch_add(1, Ordering::SeqCst) + 1);
        match self.script.troubles.get(&read) {
            Some(Trouble::Refused(class)) => {
                let what = "the test's source does not answer";
                return Err(EndpointError::new(*class, "WB0610", what));
            }
            Some(Trouble::Panic) => panic!("the test's source has a defect"),
            _ => {}
        }
        self.inner.next(Limit { rows: limit.rows.min(self.records), ..limit }).await
    }

    async fn finish(self: Box<Self>) -> Result<ReaderEnd, EndpointError> {
        self.inner.finish().await
    }
}

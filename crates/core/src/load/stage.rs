//! A worker: reads items, transforms and hashes their records, and sends them in order.
//!
//! ```text
//! small file   read → transform → hash                      one thread
//! large file   read ─▶ channel ─▶ transform → hash          two threads
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use whimbrel_endpoint::{
    EndpointError, Field, Freshness, Limit, Partition, Reader, ReaderEnd, Source, Target, failpoint,
};
use whimbrel_ledger::{Item, Lead, Place, Stage, Versions, lead};
use whimbrel_model::digest::{DigestKey, Domain};
use whimbrel_model::plan::{Each, HashAlgorithm, Plan};
use whimbrel_model::{Chunk, Digest, Position, SourceChunk, SourceMark};
use whimbrel_transform::{
    Lookup, Lookups, Only, Out, PartitionFacts, State, Step, UnitFate, UnitKind, excerpt_text,
};

use super::again::{self, Again};
use super::digests::{RowDigester, encode_key};
use super::gate::Gate;
use super::outbox::{Failed, Outbox, Unheard};
use super::produced::{Fate, ItemEnd, Produced, Reached, Refusal, Rows, Unit};
use super::work::{Part, Work};
use crate::ports::Ports;
use crate::survey::{SetAside, SurveyedStep};

/// Files above this size are read by a thread of their own.
const LARGE: u64 = 1 << 20;
/// Rows between that thread and the one that transforms, as whole chunks, at least one.
const READ_AHEAD: usize = 4_096;
/// Bytes that a reader is asked for at a time, for each row that it is asked for.
const CHUNK_ROW_BYTES: usize = 256;
/// A reader makes room for all records that it is asked for. Of a small file they are no more than it
/// holds if each has so many bytes; shorter ones take several turns.
const RECORD_BYTES: u64 = 16;

/// What all workers of a step share.
pub(crate) struct Shared {
    pub(crate) gate: Gate,
    pub(crate) busy: Busy,
    step: Arc<Step>,
    parents: ParentIndex,
    sources: BTreeMap<String, SharedSource>,
    digester: RowDigester,
    mappings: bool,
    per_file: bool,
    choice: Choice,
    /// What a reader is asked for at a time.
    chunk: Limit,
}

/// Which units of a step are taken.
pub(crate) enum Choice {
    /// All.
    All,
    /// All; and what each refers to is noted, for a sample to be chosen.
    Traced,
    /// Those of a sample, by ordinal.
    Sampled(Arc<BTreeSet<u64>>),
}

struct SharedSource {
    adapter: Arc<dyn Source>,
    /// Its place among the step's sources.
    ordinal: usize,
    fields: Vec<Field>,
    key: DigestKey,
}

/// How long each stage has worked, over all threads.
#[derive(Default)]
pub(crate) struct Busy {
    read: AtomicU64,
    transform: AtomicU64,
    write: AtomicU64,
}

impl Busy {
    pub(crate) fn write(&self, took: Duration) {
        self.write.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
    }

    fn read(&self, took: Duration) {
        self.read.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
    }

    fn transform(&self, took: Duration) {
        self.transform.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
    }

    /// The stage that has worked longest.
    pub(crate) fn bottleneck(&self) -> &'static str {
        let stages = [("read", &self.read), ("transform", &self.transform), ("write", &self.write)];
        let longest = stages.into_iter().max_by_key(|(_, nanos)| nanos.load(Ordering::Relaxed));
        longest.map_or("read", |(name, _)| name)
    }
}

impl Shared {
    pub(crate) fn new(
        ports: &Ports,
        plan: &Plan,
        surveyed: &SurveyedStep,
        project_key: &[u8; 32],
        gate: Gate,
        parents: ParentIndex,
        choice: Choice,
    ) -> Self {
        let mut sources = BTreeMap::new();
        for (ordinal, from) in plan.tables[surveyed.mapping].from.iter().enumerate() {
            let name = &from.value;
            sources.insert(
                name.clone(),
                SharedSource {
                    adapter: Arc::clone(&ports.sources[name]),
                    ordinal,
                    fields: surveyed.step.fields(ordinal).to_vec(),
                    key: DigestKey::derive(project_key, Domain::Source, name),
                },
            );
        }
        Self {
            gate,
            busy: Busy::default(),
            step: Arc::clone(&surveyed.step),
            parents,
            sources,
            digester: RowDigester::new(project_key, &surveyed.table),
            mappings: surveyed.step.stores_mappings(),
            per_file: plan.tables[surveyed.mapping].each == Each::File,
            choice,
            chunk: Limit {
                rows: ports.target.rows_together(),
                bytes: ports.target.rows_together() * CHUNK_ROW_BYTES,
            },
        }
    }

    /// Asks readers for at most so many records at a time: a batch holds whole chunks.
    pub(crate) fn in_chunks_of(mut self, records: u64) -> Self {
        let records = usize::try_from(records).unwrap_or(usize::MAX);
        self.chunk.rows = self.chunk.rows.min(records);
        self
    }
}

/// Takes items until there are none left, or nobody listens.
pub(crate) fn work(shared: &Shared, handle: &Handle) {
    let mut parents = Parents::default();
    while let Some((works, mut outbox)) = shared.gate.take() {
        for work in works {
            let done = match &work.part {
                Part::Aside(aside) => set_aside(shared, &work, aside, &mut outbox),
                Part::File(partition) => {
                    file(shared, handle, &work, partition, &mut outbox, &mut parents)
                }
            };
            match done {
                Ok(()) => {}
                Err(Stop::Unheard) => return,
                Err(Stop::Failed(error)) => {
                    let path = work.item.source_file;
                    // The writer stops at the first error; nobody listening is fine too.
                    let _heard = outbox.fail(Failed { path, error });
                    return;
                }
            }
        }
        if outbox.finish().is_err() {
            return;
        }
    }
}

/// Why a worker does not go on.
enum Stop {
    Unheard,
    Failed(EndpointError),
}

impl From<Unheard> for Stop {
    fn from(Unheard: Unheard) -> Self {
        Self::Unheard
    }
}

impl From<EndpointError> for Stop {
    fn from(error: EndpointError) -> Self {
        Self::Failed(error)
    }
}

fn set_aside(
    shared: &Shared,
    work: &Work,
    aside: &SetAside,
    outbox: &mut Outbox,
) -> Result<(), Stop> {
    let facts = format!("{} {}", work.item.source_file, aside.partition.facts.size);
    let digest = shared.sources[&work.item.source].key.digest(facts.as_bytes());
    let left_out = match &shared.choice {
        Choice::All | Choice::Traced => aside.filtered,
        Choice::Sampled(units) => aside.filtered || !units.contains(&work.item.first_unit),
    };
    let fate = if left_out {
        Fate::Filtered
    } else {
        Fate::Rejected(Box::new(Refusal {
            stage: Stage::Read,
            code: "WB0607".to_owned(),
            column: None,
            field: None,
            value: None,
            rule: None,
            message: aside.reason.clone(),
        }))
    };
    let unit = Unit {
        item: work.index,
        ordinal: work.item.first_unit,
        position: Position::default(),
        digest,
        raw: (0, 0),
        fate,
        duplicate: None,
        archive: None,
    };
    let end = ItemEnd { lines: None, skipped: None, aside: Some(aside.reason.clone()) };
    outbox.send(Produced {
        items: vec![Reached { item: work.index, mark: None, state: None, end: Some(end) }],
        units: vec![unit],
        raw: Vec::new(),
        rows: Arc::new(Rows::none(shared.step.table().columns.len())),
        refers: Vec::new(),
        notes: whimbrel_transform::Notes::default(),
        size: 256,
    })?;
    Ok(())
}

/// Where the records of a file come from: this thread, or one that reads ahead.
trait Feed {
    fn next(&mut self) -> Result<Option<(SourceChunk, Vec<Digest>)>, EndpointError>;
    fn finish(self) -> Result<ReaderEnd, EndpointError>;
}

struct Direct<'a> {
    reader: Box<dyn Reader>,
    handle: &'a Handle,
    busy: &'a Busy,
    key: &'a DigestKey,
    limit: Limit,
}

impl Feed for Direct<'_> {
    fn next(&mut self) -> Result<Option<(SourceChunk, Vec<Digest>)>, EndpointError> {
        let began = Instant::now();
        let chunk = self.handle.block_on(self.reader.next(self.limit))?;
        let chunk = chunk.map(|chunk| {
            let digests = (0..chunk.records.len()).map(|index| self.key.digest(chunk.bytes(index)));
            let digests = digests.collect();
            (chunk, digests)
        });
        self.busy.read(began.elapsed());
        Ok(chunk)
    }

    fn finish(self) -> Result<ReaderEnd, EndpointError> {
        self.handle.block_on(self.reader.finish())
    }
}

enum Ahead {
    Chunk(Box<(SourceChunk, Vec<Digest>)>),
    End(ReaderEnd),
    Failed(EndpointError),
}

struct ReadAhead {
    chunks: mpsc::Receiver<Ahead>,
    end: Option<ReaderEnd>,
}

impl Feed for ReadAhead {
    fn next(&mut self) -> Result<Option<(SourceChunk, Vec<Digest>)>, EndpointError> {
        match self.chunks.recv() {
            Ok(Ahead::Chunk(chunk)) => Ok(Some(*chunk)),
            Ok(Ahead::End(end)) => {
                self.end = Some(end);
                Ok(None)
            }
            Ok(Ahead::Failed(error)) => Err(error),
            Err(mpsc::RecvError) => Err(reader_lost()),
        }
    }

    fn finish(self) -> Result<ReaderEnd, EndpointError> {
        self.end.ok_or_else(reader_lost)
    }
}

fn reader_lost() -> EndpointError {
    let class = whimbrel_endpoint::ErrorClass::System;
    EndpointError::new(class, "WB0622", "the reading thread ended unexpectedly")
}

/// Reads everything ahead of whoever transforms; ends when nobody listens.
fn read_ahead(mut direct: Direct<'_>, chunks: &mpsc::SyncSender<Ahead>) {
    loop {
        let (message, last) = match direct.next() {
            Ok(Some(chunk)) => (Ahead::Chunk(Box::new(chunk)), false),
            Ok(None) => match direct.finish() {
                Ok(end) => {
                    let _heard = chunks.send(Ahead::End(end));
                    return;
                }
                Err(error) => {
                    let _heard = chunks.send(Ahead::Failed(error));
                    return;
                }
            },
            Err(error) => (Ahead::Failed(error), true),
        };
        if chunks.send(message).is_err() || last {
            return;
        }
    }
}

fn file(
    shared: &Shared,
    handle: &Handle,
    work: &Work,
    partition: &Partition,
    outbox: &mut Outbox,
    parents: &mut Parents,
) -> Result<(), Stop> {
    let source = &shared.sources[&work.item.source];
    let facts = facts(shared, handle, work, partition, source)?;
    let saved = work.item.state.as_deref();
    let state = shared.step.start(source.ordinal, &facts, saved).map_err(|error| {
        let class = whimbrel_endpoint::ErrorClass::Changed;
        let what = format!("going on with `{}`", work.item.source_file);
        EndpointError::new(class, "WB0616", what).because(error)
    })?;
    let state = match &work.item.mark {
        Some(mark) if saved.is_none() && shared.step.has_state() => {
            read_up_to(shared, handle, partition, source, mark, state)?
        }
        Some(_) | None => state,
    };
    let producer = Producer { shared, handle, work, partition, source, outbox, parents, text: 0 };
    let again = work.again.as_ref().filter(|again| again.is_of_records());
    if let Some(again) = again {
        // Before there is a reader: a database may have no session for a second one.
        producer.unchanged(again)?;
    }
    let opened = source.adapter.open(partition, &source.fields, work.item.mark.as_ref());
    let reader = handle.block_on(opened)?;
    // What is no file does not tell its size beforehand.
    let is_file = !partition.facts.name.is_empty();
    let most = if is_file { partition.facts.size / RECORD_BYTES + 1 } else { u64::MAX };
    let limit = Limit { rows: most.min(shared.chunk.rows as u64) as usize, ..shared.chunk };
    let direct = Direct { reader, limit, handle, busy: &shared.busy, key: &source.key };
    if let Some(again) = again {
        return producer.run_again(direct, state, again);
    }
    if is_file && partition.facts.size <= LARGE {
        return producer.run(direct, state);
    }
    std::thread::scope(|scope| {
        let (ahead, chunks) = mpsc::sync_channel((READ_AHEAD / shared.chunk.rows.max(1)).max(1));
        let reading = scope.spawn(move || read_ahead(direct, &ahead));
        let done = producer.run(ReadAhead { chunks, end: None }, state);
        // Where that panicked, no end was sent, and the error is at hand.
        let _ended = reading.join();
        done
    })
}

/// The state at a mark, made again from the records before it.
fn read_up_to(
    shared: &Shared,
    handle: &Handle,
    partition: &Partition,
    source: &SharedSource,
    mark: &SourceMark,
    mut state: State,
) -> Result<State, EndpointError> {
    let opened = source.adapter.open(partition, &source.fields, None);
    let mut reader = handle.block_on(opened)?;
    let mut left = mark.records;
    while left > 0
        && let Some(chunk) = handle.block_on(reader.next(shared.chunk))?
    {
        let records = chunk.records.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut out = Out::new(shared.step.as_ref());
        // Clocks and aggregates do not look at other tables.
        shared.step.apply_to(0..records, &mut state, &chunk, &Lookups::default(), &mut out);
        left -= records as u64;
    }
    Ok(state)
}

fn facts(
    shared: &Shared,
    handle: &Handle,
    work: &Work,
    partition: &Partition,
    source: &SharedSource,
) -> Result<PartitionFacts, EndpointError> {
    let needs = shared.step.needs();
    let checksum = |wanted: bool, algorithm| {
        let made = wanted.then(|| handle.block_on(source.adapter.checksum(partition, algorithm)));
        made.transpose()
    };
    let text = needs.text.then(|| {
        let text = handle.block_on(source.adapter.text(partition));
        text.map_err(|error| error.to_string())
    });
    Ok(PartitionFacts {
        id: partition.id.clone(),
        file: Arc::clone(&partition.facts),
        // Units that are files are counted, units within files are numbered by file and record.
        ordinal: if shared.per_file { work.item.ordinal } else { work.item.first_unit } + 1,
        sha256: checksum(needs.sha256, HashAlgorithm::Sha256)?,
        blake3: checksum(needs.blake3, HashAlgorithm::Blake3)?,
        text,
    })
}

/// Turns the records of one file into what the writer takes.
struct Producer<'a> {
    shared: &'a Shared,
    handle: &'a Handle,
    work: &'a Work,
    partition: &'a Partition,
    source: &'a SharedSource,
    outbox: &'a mut Outbox,
    parents: &'a mut Parents,
    /// Text of the rows of the last chunk: the next one's is likely to be as long.
    text: usize,
}

impl Producer<'_> {
    fn run(mut self, mut feed: impl Feed, mut state: State) -> Result<(), Stop> {
        let mut marks = Marks::new(&self.work.item, &state);
        while let Some((chunk, digests)) = feed.next()? {
            failpoint!("core.load.chunk_read");
            let began = Instant::now();
            let (mut chunk, digests) = match &self.work.again {
                Some(again) => self.repaired(again, chunk, digests)?,
                None => (chunk, digests),
            };
            let lookups = self.lookups(&state, &chunk)?;
            let refers = self.traced(&state, &chunk);
            let mut out = self.out(chunk.records.len());
            let step = self.shared.step.as_ref();
            let last = chunk.records.len() - 1;
            step.apply_to(0..last, &mut state, &chunk, &lookups, &mut out);
            let before = state.save();
            step.apply_to(last..last + 1, &mut state, &chunk, &lookups, &mut out);
            let raw = std::mem::take(&mut chunk.raw);
            marks.note(std::mem::take(&mut chunk.mark), before, &state);
            let reached = self.reached(Some(marks.mark.clone()), marks.state.clone(), None);
            let produced = self.produced(out, Some((&chunk, &digests)), raw, reached);
            self.text = produced.rows.chunk.text_len();
            self.shared.busy.transform(began.elapsed());
            self.outbox.send(Produced { refers, ..produced })?;
        }
        let end = feed.finish()?;
        let mut out = self.out(0);
        let mut lookups = Lookups::default();
        let referred = self.shared.step.finish_lookups(&state);
        self.resolve(&referred, &mut lookups)?;
        self.shared.step.finish(&mut state, &lookups, &mut out);
        marks.end(&end);
        let ended =
            ItemEnd { lines: Some(end.lines), skipped: Some(end.skipped_lines), aside: None };
        let reached = self.reached(Some(marks.mark), marks.state, Some(ended));
        let mut last = self.produced(out, None, Vec::new(), reached);
        if matches!(self.shared.choice, Choice::Traced) {
            last.refers = last.units.iter().map(|_| referred.clone()).collect();
        }
        for unit in &mut last.units {
            unit.digest = self.file_digest(&end);
        }
        self.outbox.send(last)?;
        Ok(())
    }

    fn reached(
        &self,
        mark: Option<SourceMark>,
        state: Option<Vec<u8>>,
        end: Option<ItemEnd>,
    ) -> Reached {
        Reached { item: self.work.index, mark, state, end }
    }

    /// What a chunk of so many records becomes is collected here.
    fn out(&self, records: usize) -> Out {
        let units = if self.shared.per_file { 0 } else { records };
        let out = Out::with_capacity(self.shared.step.as_ref(), units, self.text);
        match &self.shared.choice {
            Choice::All | Choice::Traced => out,
            Choice::Sampled(units) => out.only(Only {
                units: Arc::clone(units),
                first: self.work.item.first_unit,
                rule: Arc::from("--sample"),
            }),
        }
    }

    /// What each record of a chunk refers to, where it is asked for.
    fn traced(&self, state: &State, chunk: &SourceChunk) -> Vec<Vec<Lookup>> {
        match self.shared.choice {
            Choice::All | Choice::Sampled(_) => Vec::new(),
            Choice::Traced => (0..chunk.records.len())
                .map(|index| self.shared.step.lookups(state, &chunk.slice(index..index + 1)))
                .collect(),
        }
    }

    /// Sends the wanted records of a file that was read before, and only those. It was compared with
    /// what it was, and is once more.
    fn run_again(
        mut self,
        mut feed: impl Feed,
        mut state: State,
        again: &Again,
    ) -> Result<(), Stop> {
        let stateless = !self.shared.step.has_state();
        let marked = again.mark.as_ref().map_or(0, |mark| mark.records);
        let mut read = 0;
        let mut at_mark = if marked == 0 { Some(state.save()) } else { None };
        while !(again.done_after(read) && (stateless || read >= marked))
            && let Some((chunk, digests)) = feed.next()?
        {
            failpoint!("core.retry.chunk_read");
            let began = Instant::now();
            again.recognise(&self.work.item.source_file, &chunk, &digests)?;
            let (chunk, digests) = self.repaired(again, chunk, digests)?;
            for stretch in again.stretches(&chunk) {
                read = chunk.records[stretch.records.end - 1].position.record;
                if stretch.wanted || !stateless {
                    let mut part = chunk.slice(stretch.records.clone());
                    let lookups = self.lookups(&state, &part)?;
                    let mut out = self.out(part.records.len());
                    self.shared.step.apply(&mut state, &part, &lookups, &mut out);
                    if stretch.wanted {
                        let raw = std::mem::take(&mut part.raw);
                        let records = Some((&part, &digests[stretch.records]));
                        let reached = self.reached(None, None, None);
                        self.outbox.send(self.produced(out, records, raw, reached))?;
                    }
                }
                if read == marked {
                    at_mark = Some(state.save());
                }
            }
            self.shared.busy.transform(began.elapsed());
        }
        if !again.done_after(read) {
            return Err(self.shorter().into());
        }
        drop(feed);
        self.unchanged(again)?;
        let ended = ItemEnd { lines: None, skipped: None, aside: None };
        let state = if stateless { Some(state.save()) } else { at_mark };
        let reached = self.reached(again.mark.clone(), state, Some(ended));
        self.outbox.send(self.produced(self.out(0), None, Vec::new(), reached))?;
        Ok(())
    }

    /// The file must still be what was read of it.
    fn unchanged(&self, again: &Again) -> Result<(), EndpointError> {
        let Some(mark) = &again.mark else { return Ok(()) };
        let compared = self.source.adapter.compare(self.partition, mark);
        match self.handle.block_on(compared)? {
            Freshness::Same | Freshness::Appended => Ok(()),
            Freshness::Changed => Err(self.shorter()),
        }
    }

    fn shorter(&self) -> EndpointError {
        let what = format!("it is no longer what was read: `{}`", self.work.item.source_file);
        EndpointError::new(whimbrel_endpoint::ErrorClass::Changed, "WB0616", what)
    }

    /// A chunk with what a person has repaired in it.
    fn repaired(
        &self,
        again: &Again,
        chunk: SourceChunk,
        mut digests: Vec<Digest>,
    ) -> Result<(SourceChunk, Vec<Digest>), EndpointError> {
        let (at, records): (Vec<usize>, Vec<_>) = again.repairs(&chunk).into_iter().unzip();
        if at.is_empty() {
            return Ok((chunk, digests));
        }
        let parsed = self.source.adapter.parse(self.partition, &self.source.fields, &records);
        let parsed = self.handle.block_on(parsed)?;
        for (index, (_, bytes)) in at.iter().zip(&records) {
            digests[*index] = self.source.key.digest(bytes);
        }
        Ok((again::replaced(&chunk, &at, &parsed), digests))
    }

    fn lookups(&mut self, state: &State, chunk: &SourceChunk) -> Result<Lookups, EndpointError> {
        let mut lookups = Lookups::default();
        self.resolve(&self.shared.step.lookups(state, chunk), &mut lookups)?;
        Ok(lookups)
    }

    fn resolve(&mut self, wanted: &[Lookup], lookups: &mut Lookups) -> Result<(), EndpointError> {
        let index = &self.shared.parents;
        wanted.iter().try_for_each(|one| self.parents.resolve(index, self.handle, one, lookups))
    }

    /// A file as a unit: its path and what was in it.
    fn file_digest(&self, end: &ReaderEnd) -> Digest {
        let mut stream = self.source.key.stream();
        stream.update(self.work.item.source_file.as_bytes());
        stream.update(&end.bytes.to_be_bytes());
        if let Some(digest) = &end.digest {
            stream.update(&digest.0);
        }
        stream.finish()
    }

    fn produced(
        &self,
        out: Out,
        records: Option<(&SourceChunk, &[Digest])>,
        raw: Vec<u8>,
        reached: Reached,
    ) -> Produced {
        let out = out.finish();
        let (duplicates, mut archive) = (out.duplicates, out.archive);
        let units = out.units.into_iter().enumerate().map(|(index, unit)| {
            let (position, digest, span, ordinal) = match (unit.what, records) {
                (UnitKind::Record(record), Some((chunk, digests))) => {
                    let about = &chunk.records[record];
                    let ordinal = self.work.item.first_unit + about.position.record;
                    (about.position, digests[record], about.raw, ordinal)
                }
                (UnitKind::Record(_) | UnitKind::File, _) => {
                    (Position::default(), Digest([0; 32]), (0, 0), self.work.item.first_unit)
                }
            };
            Unit {
                item: self.work.index,
                ordinal,
                position,
                digest,
                raw: span,
                fate: fate(unit.fate),
                duplicate: duplicates.get(index).copied().flatten(),
                archive: archive.get_mut(index).and_then(Option::take),
            }
        });
        let units: Vec<Unit> = units.collect();
        let rows = Arc::new(self.rows(out.rows, out.row_units, out.legacy_keys));
        let size =
            raw.len() + rows.chunk.size() + rows.keys.len() + units.len() * size_of::<Unit>();
        Produced {
            items: vec![reached],
            units,
            raw,
            rows,
            refers: Vec::new(),
            notes: out.notes,
            size,
        }
    }

    fn rows(&self, chunk: Chunk, units: Vec<u32>, legacy: Vec<String>) -> Rows {
        let mut rows = Rows {
            digests: Vec::with_capacity(chunk.len()),
            bytes: Vec::with_capacity(chunk.len()),
            keys: Vec::new(),
            key_ends: Vec::with_capacity(chunk.len()),
            units,
            legacy: if self.shared.mappings { legacy } else { Vec::new() },
            chunk: Arc::default(),
        };
        let table = self.shared.step.table();
        let mut encoded = Vec::with_capacity(512);
        for row in chunk.rows() {
            encoded.clear();
            self.shared.digester.encode(row, &mut encoded);
            rows.digests.push(self.shared.digester.digest(&encoded));
            rows.bytes.push(encoded.len() as u32);
            encode_key(table, row, &mut rows.keys);
            rows.key_ends.push(rows.keys.len() as u32);
        }
        rows.chunk = Arc::new(chunk);
        rows
    }
}

fn fate(fate: UnitFate) -> Fate {
    match fate {
        UnitFate::Rows(_) => Fate::Rows,
        UnitFate::Filtered { .. } => Fate::Filtered,
        UnitFate::Rejected(reason) => Fate::Rejected(Box::new(Refusal {
            stage: if reason.code.starts_with("WB01") {
                Stage::Read
            } else if reason.rule.is_some() {
                Stage::Rule
            } else {
                Stage::Transform
            },
            code: reason.code.to_owned(),
            column: reason.column,
            field: reason.field,
            value: reason.value,
            rule: reason.rule,
            message: reason.message,
        })),
    }
}

/// The last mark, with the state there and the one before its last record: where that record has no
/// end yet, the file goes on before it when it has grown.
struct Marks {
    mark: SourceMark,
    state: Option<Vec<u8>>,
    before: Option<Vec<u8>>,
}

impl Marks {
    fn new(item: &Item, state: &State) -> Self {
        let mark = item.mark.clone().unwrap_or_default();
        Self { mark, state: Some(state.save()), before: None }
    }

    fn note(&mut self, mark: SourceMark, before: Vec<u8>, state: &State) {
        *self = Self { mark, state: Some(state.save()), before: Some(before) };
    }

    /// Steps back to where the file goes on. More than one record back nothing is known of the
    /// state: it is made again from the beginning of the file.
    fn end(&mut self, end: &ReaderEnd) {
        self.state = match self.mark.records.checked_sub(end.mark.records) {
            Some(0) | None => self.state.take(),
            Some(1) => self.before.take(),
            Some(_) => None,
        };
        self.mark = end.mark.clone();
    }
}

/// Where new keys of parents are found.
pub(crate) enum ParentIndex {
    /// In the ledger, where earlier steps have committed them; with what was read of each of their
    /// tables when.
    Ledger { target: Arc<dyn Target>, versions: BTreeMap<String, Versions> },
    /// In memory, by (table, legacy key): where nothing is written.
    Memory(Arc<BTreeMap<(String, String), Lead>>),
}

impl ParentIndex {
    fn find(
        &self,
        handle: &Handle,
        table: &str,
        legacy: &[String],
    ) -> Result<BTreeMap<String, Lead>, EndpointError> {
        match self {
            Self::Ledger { target, versions } => {
                let versions = versions.get(table).expect("every table referred to is there");
                handle.block_on(lead::resolve(target.as_ref(), table, legacy, versions))
            }
            Self::Memory(leads) => Ok(legacy
                .iter()
                .filter_map(|one| {
                    let lead = leads.get(&(table.to_owned(), one.clone()))?;
                    Some((one.clone(), lead.clone()))
                })
                .collect()),
        }
    }
}

/// New keys of parents, remembered by a worker.
#[derive(Default)]
struct Parents {
    known: BTreeMap<(String, String), Option<Lead>>,
}

/// Parents that a worker remembers before it forgets them all.
const PARENTS_MAX: usize = 50_000;

impl Parents {
    fn resolve(
        &mut self,
        index: &ParentIndex,
        handle: &Handle,
        wanted: &Lookup,
        lookups: &mut Lookups,
    ) -> Result<(), EndpointError> {
        if self.known.len() > PARENTS_MAX {
            self.known.clear();
        }
        let key = |legacy: &String| (wanted.table.clone(), legacy.clone());
        let missing: Vec<String> = wanted
            .keys
            .iter()
            .filter(|legacy| !self.known.contains_key(&key(legacy)))
            .cloned()
            .collect();
        if !missing.is_empty() {
            let mut found = index.find(handle, &wanted.table, &missing)?;
            for legacy in missing {
                let lead = found.remove(&legacy);
                self.known.insert((wanted.table.clone(), legacy), lead);
            }
        }
        for legacy in &wanted.keys {
            match self.known.get(&key(legacy)) {
                Some(Some(Lead::Row { new_key, .. })) => {
                    lookups.insert(&wanted.table, legacy, new_key);
                }
                Some(Some(Lead::Rows { first, other })) => {
                    lookups.insert_several(&wanted.table, legacy, &told_apart(first, other));
                }
                Some(None) | None => {}
            }
        }
        Ok(())
    }
}

/// `a.csv:3 and b.csv:1`, with the sources where their paths do not tell them apart.
fn told_apart(first: &Place, other: &Place) -> String {
    let bare = |place: &Place| format!("`{}:{}`", excerpt_text(&place.source_file), place.record);
    let sources = first.source_file == other.source_file && first.source != other.source;
    let shown = |place: &Place| {
        let bare = bare(place);
        if sources { format!("{bare} of `{}`", excerpt_text(&place.source)) } else { bare }
    };
    if first == other {
        format!("{} alone", bare(first))
    } else {
        format!("{} and {}", shown(first), shown(other))
    }
}

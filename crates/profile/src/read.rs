//! Reads sources once, from the first record to the last, and makes their profile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use whimbrel_endpoint::{EndpointError, Field, Limit, Partition, ReaderEnd, Source};
use whimbrel_model::json::{self, Json};
use whimbrel_model::{Kind, SourceChunk, ValueRef};

use crate::cells;
use crate::column::{CellNote, Place, Tally};
use crate::forms;
use crate::inspect::{Leftover, ProposedSource};
use crate::keys::{self, KEY_DIGESTS_MAX, RECORD_DIGESTS_MAX, Watch};
use crate::profile::Profile;
use crate::sniff::Format;
use crate::summary;

/// What to profile.
pub struct Request<'a> {
    /// The folder, as the operator named it.
    pub folder: &'a str,
    /// Each proposed source with a reader of it, opened as [`ProposedSource::for_reading`] says.
    pub sources: &'a [(ProposedSource, Arc<dyn Source>)],
    /// Files that no source takes.
    pub leftovers: Vec<Leftover>,
    /// Time since some fixed moment: the caller's clock.
    pub elapsed: &'a (dyn Fn() -> Duration + Sync),
}

/// How far the profile is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Progress {
    /// The source being read.
    pub source: String,
    /// The file being read.
    pub file: String,
    /// Files read to their end, of all sources.
    pub files_done: u64,
    /// Files of all sources.
    pub files: u64,
    /// Records so far.
    pub records: u64,
    /// Bytes of the files read so far.
    pub bytes_done: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

/// A profile could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// A source could not list its files.
    #[error("list the files of `{source_name}`")]
    List {
        /// The source.
        source_name: String,
        /// Why.
        #[source]
        why: EndpointError,
    },
    /// There is nothing to look at.
    #[error("no file of a known format in `{folder}`")]
    NothingFound {
        /// The folder.
        folder: String,
    },
}

impl ProfileError {
    /// The code that `explain` knows.
    pub fn code(&self) -> &'static str {
        match self {
            Self::List { why, .. } => why.code,
            Self::NothingFound { .. } => crate::codes::NOTHING_FOUND,
        }
    }
}

/// Reads every record of every source. A file that cannot be read is an anomaly of its source, not
/// an error.
pub async fn profile(
    request: Request<'_>,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Profile, ProfileError> {
    if request.sources.is_empty() {
        return Err(ProfileError::NothingFound { folder: request.folder.to_owned() });
    }
    let begun = (request.elapsed)();
    let mut state = Progress {
        source: String::new(),
        file: String::new(),
        files_done: 0,
        files: request.sources.iter().map(|(proposed, _)| proposed.files.len() as u64).sum(),
        records: 0,
        bytes_done: 0,
        bytes: request.sources.iter().map(|(proposed, _)| proposed.bytes).sum(),
    };
    let mut sources = Vec::with_capacity(request.sources.len());
    for (proposed, source) in request.sources {
        let tally = read_source(proposed, source.as_ref(), &mut state, progress).await?;
        sources.push(summary::source(proposed, &tally));
    }
    let seconds = (request.elapsed)().saturating_sub(begun).as_secs_f64();
    Ok(summary::whole(request.folder, sources, request.leftovers, seconds))
}

/// Everything found in one source.
#[derive(Debug, Default)]
pub(crate) struct SourceTally {
    pub(crate) files: Vec<FileTally>,
    pub(crate) columns: Vec<(String, Tally)>,
    pub(crate) watches: Vec<Watch>,
    pub(crate) records: u64,
    pub(crate) defects: BTreeMap<&'static str, Found>,
    pub(crate) repeated: Watch,
    pub(crate) formats: BTreeMap<String, u64>,
    pub(crate) headers: BTreeMap<Vec<String>, (u64, u32)>,
    pub(crate) nul: Option<Found>,
    pub(crate) json_keys: Option<Found>,
    pub(crate) not_objects: Option<Found>,
    pub(crate) unlike_utf8: Option<Found>,
    /// Kinds that the source declares.
    pub(crate) declared: BTreeMap<String, Kind>,
    index: BTreeMap<String, usize>,
    held: usize,
}

/// A count and where it began.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) count: u64,
    pub(crate) first: Place,
    pub(crate) message: String,
}

/// What became of one file.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileTally {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
    pub(crate) records: u64,
    pub(crate) torn: bool,
    /// Lines that end in one byte and in two.
    pub(crate) ends: (u64, u64),
    pub(crate) problem: Option<String>,
}

async fn read_source(
    proposed: &ProposedSource,
    source: &dyn Source,
    state: &mut Progress,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<SourceTally, ProfileError> {
    state.source.clone_from(&proposed.name);
    let found = source
        .partitions()
        .await
        .map_err(|why| ProfileError::List { source_name: proposed.name.clone(), why })?;
    let before = state.bytes_done;
    let mut tally = SourceTally::default();
    for partition in &found.partitions {
        state.file.clone_from(&partition.id.path);
        let mut file = FileTally {
            path: partition.id.path.clone(),
            bytes: partition.facts.size,
            ..FileTally::default()
        };
        let done = state.bytes_done;
        let outcome =
            read_file(proposed, source, partition, &mut tally, &mut file, state, progress).await;
        if let Err(error) = outcome {
            file.problem = Some(chain(&error));
        }
        tally.files.push(file);
        state.files_done += 1;
        state.bytes_done = done + partition.facts.size;
        progress(state.clone());
    }
    for unreadable in found.unreadable {
        let problem = Some(unreadable.reason);
        tally.files.push(FileTally { path: unreadable.path, problem, ..FileTally::default() });
        state.files_done += 1;
    }
    // Sizes were taken when the files were found; unreadable ones count as done.
    state.bytes_done = before + proposed.bytes;
    progress(state.clone());
    tally.complete();
    Ok(tally)
}

fn chain(error: &EndpointError) -> String {
    let mut text = error.to_string();
    let mut why = std::error::Error::source(error);
    while let Some(cause) = why {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        why = cause.source();
    }
    text
}

/// How the values of a format reach the columns.
enum Layout {
    /// One cell per column: indexes of the tallies.
    Cells { columns: Vec<usize>, delimiter: u8 },
    /// A JSON object first, then the named columns where the object lacks them.
    Object { beside: Vec<&'static str> },
    /// The text of the file.
    Body { column: usize },
    /// One value per column, of the column's own kind.
    Row { columns: Vec<usize> },
}

async fn read_file(
    proposed: &ProposedSource,
    source: &dyn Source,
    partition: &Partition,
    tally: &mut SourceTally,
    file: &mut FileTally,
    state: &mut Progress,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), EndpointError> {
    let shape = source.describe(partition).await?;
    let number = tally.files.len() as u32;
    *tally.formats.entry(shape.format.clone()).or_default() += 1;
    for column in &shape.columns {
        if let Some(kind) = column.kind.filter(|_| proposed.format == Format::Table) {
            tally.declared.insert(column.name.clone(), kind);
        }
    }
    let names: Vec<String> = shape.columns.into_iter().map(|column| column.name).collect();
    let (layout, fields) = layout(proposed, tally, &names);
    if matches!(layout, Layout::Cells { .. }) {
        tally.headers.entry(names).or_insert((0, number)).0 += 1;
    }
    let mut reader = source.open(partition, &fields, None).await?;
    let declared = proposed.encoding.is_some();
    let by_lines = matches!(proposed.format, Format::Csv { .. } | Format::JsonLines);
    let mut last_end = None;
    while let Some(chunk) = reader.next(LIMIT).await? {
        tally.chunk(&chunk, &layout, number, declared);
        if by_lines {
            line_ends(&chunk, &mut last_end, &mut file.ends);
        }
        let count = chunk.records.len() as u64;
        file.records += count;
        state.records += count;
        let so_far = chunk.records.last().map_or(0, |record| record.position.byte);
        let bytes_done = state.bytes_done + so_far.min(partition.facts.size);
        progress(Progress { bytes_done, ..state.clone() });
    }
    let ReaderEnd { mark, lines, .. } = reader.finish().await?;
    file.lines = lines;
    // The mark stands after the last record that has its line end.
    file.torn = by_lines && mark.records < file.records;
    Ok(())
}

const LIMIT: Limit = Limit { rows: 4_000, bytes: 4 << 20 };

fn layout(
    proposed: &ProposedSource,
    tally: &mut SourceTally,
    names: &[String],
) -> (Layout, Vec<Field>) {
    match &proposed.format {
        Format::Csv { delimiter, .. } => {
            let columns = names.iter().map(|name| tally.column(name)).collect();
            let delimiter = u8::try_from(*delimiter).unwrap_or(b',');
            let fields = names.iter().map(|name| Field::Column(name.clone())).collect();
            (Layout::Cells { columns, delimiter }, fields)
        }
        Format::Json | Format::JsonLines => {
            (Layout::Object { beside: Vec::new() }, vec![Field::Json])
        }
        Format::Markdown => {
            let beside = vec!["body", "heading"];
            let others = beside.iter().map(|name| Field::Column((*name).to_owned()));
            let fields = std::iter::once(Field::Json).chain(others).collect();
            (Layout::Object { beside }, fields)
        }
        Format::Table => {
            let columns = names.iter().map(|name| tally.column(name)).collect();
            let fields = names.iter().map(|name| Field::Column(name.clone())).collect();
            (Layout::Row { columns }, fields)
        }
        Format::Text => {
            let column = tally.column("body");
            (Layout::Body { column }, vec![Field::Column("body".to_owned())])
        }
    }
}

/// Counts line ends by the bytes between records: readers hand records over without them.
fn line_ends(chunk: &SourceChunk, last_end: &mut Option<u64>, ends: &mut (u64, u64)) {
    for record in &chunk.records {
        match last_end.map(|end| record.position.byte.saturating_sub(end)) {
            Some(1) => ends.0 += 1,
            Some(2) => ends.1 += 1,
            Some(_) | None => {} // blank lines, comments, the header
        }
        *last_end = Some(record.position.byte + (record.raw.1 - record.raw.0) as u64);
    }
}

impl SourceTally {
    fn column(&mut self, name: &str) -> usize {
        if let Some(index) = self.index.get(name) {
            return *index;
        }
        self.index.insert(name.to_owned(), self.columns.len());
        self.columns.push((name.to_owned(), Tally::default()));
        self.watches.push(Watch::default());
        self.columns.len() - 1
    }

    fn chunk(&mut self, chunk: &SourceChunk, layout: &Layout, file: u32, declared: bool) {
        let mut notes = Vec::new();
        for (at, (row, record)) in chunk.rows.rows().zip(&chunk.records).enumerate() {
            let position = record.position;
            let place = Place { file, line: position.line, record: position.record };
            self.records += 1;
            self.raw(chunk.bytes(at), place, declared);
            if let Some(defect) = &record.defect {
                note(self.defects.entry(defect.code), place, &defect.message);
                continue;
            }
            match layout {
                Layout::Cells { columns, delimiter } => {
                    notes.clear();
                    let marked = |value: ValueRef<'_>| matches!(value, ValueRef::Text(text) if forms::marker(text).is_some());
                    if row.values().any(marked) {
                        cells::notes(chunk.bytes(at), *delimiter, &mut notes);
                    }
                    for (cell, (column, value)) in columns.iter().zip(row.values()).enumerate() {
                        let note = notes.get(cell).copied().unwrap_or(CellNote::Plain);
                        self.value(*column, value, note, place);
                    }
                }
                Layout::Object { beside } => {
                    let mut values = row.values();
                    let seen = values.next().and_then(|value| self.object(value, place));
                    for (name, value) in beside.iter().zip(values) {
                        if !seen.as_ref().is_some_and(|seen| seen.contains(*name))
                            && !value.is_null()
                        {
                            let column = self.column(name);
                            self.value(column, value, CellNote::Plain, place);
                        }
                    }
                }
                Layout::Row { columns } => {
                    for (column, value) in columns.iter().zip(row.values()) {
                        self.value(*column, value, CellNote::Plain, place);
                    }
                }
                Layout::Body { column } => {
                    self.value(*column, row.get(0), CellNote::Plain, place);
                }
            }
        }
    }

    /// Looks at a record's own bytes.
    fn raw(&mut self, raw: &[u8], place: Place, declared: bool) {
        if memchr::memchr(0, raw).is_some() && !is_wide(raw) {
            note_one(&mut self.nul, place, "");
        }
        if declared && !raw.is_ascii() && std::str::from_utf8(raw).is_ok() {
            note_one(&mut self.unlike_utf8, place, "");
        }
        let room = RECORD_DIGESTS_MAX.saturating_sub(self.repeated.held());
        self.repeated.add(raw, None, place, room);
    }

    fn value(&mut self, column: usize, value: ValueRef<'_>, note: CellNote, place: Place) {
        self.columns[column].1.add(value, note, place);
        let watch = &mut self.watches[column];
        if watch.is_settled() {
            return;
        }
        let before = watch.held();
        let mut scratch = String::new();
        let marker = matches!(value, ValueRef::Text(text) if forms::marker(text).is_some());
        match keys::identity(value, &mut scratch).filter(|_| !marker) {
            Some((bytes, number)) => {
                let room = KEY_DIGESTS_MAX.saturating_sub(self.held);
                watch.add(bytes, number, place, room);
            }
            None => watch.give_up(),
        }
        self.held = self.held + watch.held() - before;
    }

    /// Counts the members of a JSON object; the keys it has.
    fn object(&mut self, value: ValueRef<'_>, place: Place) -> Option<BTreeSet<String>> {
        let (ValueRef::Json(text) | ValueRef::Text(text)) = value else {
            note_one(&mut self.not_objects, place, "");
            return None;
        };
        let parsed = json::parse_with(text.as_bytes(), json::Limits::default()).ok();
        let Some((parsed, members)) = parsed.as_ref().and_then(|p| Some((p, p.json.as_object()?)))
        else {
            note_one(&mut self.not_objects, place, "");
            return None;
        };
        if parsed.duplicates.count > 0 {
            note_one(&mut self.json_keys, place, "");
        }
        let mut seen = BTreeSet::new();
        for (key, _) in members {
            // Of a key said twice the last counts, as everywhere in Whimbrel.
            if seen.insert(key.to_string()) {
                let member = parsed.json.get(key).unwrap_or(&Json::Null);
                let column = self.column(key);
                self.member(column, member, place);
            }
        }
        Some(seen)
    }

    fn member(&mut self, column: usize, member: &Json<'_>, place: Place) {
        let text;
        let value = match member {
            Json::Null => ValueRef::Null,
            Json::Bool(flag) => ValueRef::Bool(*flag),
            Json::Number(number) => ValueRef::Decimal(number.as_str()),
            Json::String(text) => ValueRef::Text(text),
            Json::Array(_) | Json::Object(_) => {
                text = member.to_text();
                ValueRef::Json(&text)
            }
        };
        self.value(column, value, CellNote::Plain, place);
    }

    /// Records that lack a column count as NULL there.
    fn complete(&mut self) {
        let defects: u64 = self.defects.values().map(|found| found.count).sum();
        let records = self.records - defects;
        for ((_, tally), watch) in self.columns.iter_mut().zip(&mut self.watches) {
            let absent = records.saturating_sub(tally.values);
            if absent > 0 {
                watch.give_up();
                tally.add_absent(absent);
            }
        }
    }
}

fn is_wide(raw: &[u8]) -> bool {
    raw.len() >= 2 && (raw[0] == 0) != (raw[1] == 0) && raw.len().is_multiple_of(2)
}

fn note(
    entry: std::collections::btree_map::Entry<'_, &'static str, Found>,
    place: Place,
    message: &str,
) {
    let message = || message.to_owned();
    entry.or_insert_with(|| Found { count: 0, first: place, message: message() }).count += 1;
}

fn note_one(found: &mut Option<Found>, place: Place, message: &str) {
    let start = || Found { count: 0, first: place, message: message.to_owned() };
    found.get_or_insert_with(start).count += 1;
}

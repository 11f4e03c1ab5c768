//! From tallies to the profile: what is unusual, and what loading will take.

use std::collections::BTreeSet;

use whimbrel_model::kind::IntWidth;
use whimbrel_model::{DateTime, Kind};

use crate::codes;
use crate::column::{Clock, Place, Tally};
use crate::forms::MARKERS;
use crate::infer::{self, Doubt, Guess};
use crate::inspect::{Generation, Leftover, ProposedSource};
use crate::keys::Uniqueness;
use crate::profile::{
    Anomaly, ColumnProfile, Counted, DoubtProfile, Estimate, KeyProfile, Profile, SCHEMA,
    SourceProfile, TopValue, Totals,
};
use crate::read::{FileTally, Found, SourceTally};
use crate::shown::{self, counted};
use crate::sniff::Format;
use crate::stamps::PATTERNS;

const WEIGHTIEST_FIRST: &[&str] = &[
    codes::UNREADABLE,
    codes::DEFECTS,
    codes::KEY_REPEATS,
    codes::RECORD_REPEATS,
    codes::TORN_LINE,
    codes::NUL_BYTES,
    codes::NUL_IN_TEXT,
    codes::NOT_OBJECTS,
    codes::JSON_KEYS,
    codes::GENERATIONS,
    codes::ENCODINGS,
    codes::BACKWARDS,
    codes::OUTLIERS,
    codes::CONTROLS,
    codes::LINE_ENDS,
    codes::HEADER_ONLY,
    codes::EMPTY_FILE,
    codes::UNCHECKED,
];
const TOP: usize = 10;
const BINS: usize = 24;

/// The profile of one source.
pub(crate) fn source(proposed: &ProposedSource, tally: &SourceTally) -> SourceProfile {
    let places = Places { files: &tally.files };
    let typed = proposed.format.is_typed();
    let guesses: Vec<Guess> =
        tally.columns.iter().map(|(name, column)| guess(name, column, typed, tally)).collect();
    let columns = tally.columns.iter().zip(&guesses);
    let columns: Vec<ColumnProfile> =
        columns.map(|((name, tally), guess)| column(name, tally, guess, &places)).collect();
    let keys = keys(tally, &places);
    let generations = generations(tally, &places);
    let mut anomalies = Vec::new();
    files(tally, proposed.format == Format::Table, &mut anomalies);
    records(tally, &places, &mut anomalies);
    variety(tally, &generations, &mut anomalies);
    repeats(tally, &keys, &places, &mut anomalies);
    for ((name, tally), guess) in tally.columns.iter().zip(&guesses) {
        of_column(name, tally, guess, &places, &mut anomalies);
    }
    anomalies.sort_by_key(|anomaly| WEIGHTIEST_FIRST.iter().position(|code| *code == anomaly.code));
    SourceProfile {
        name: proposed.name.clone(),
        format: proposed.format.clone(),
        globs: proposed.globs.clone(),
        exclude: proposed.exclude.clone(),
        ignore_case: proposed.ignore_case,
        hidden: proposed.hidden,
        encoding: proposed.encoding.clone(),
        names: proposed.names(),
        totals: totals(tally),
        lines: tally.files.iter().map(|file| file.lines).sum(),
        formats: tally
            .formats
            .iter()
            .map(|(what, count)| Counted { what: shown::shown(what, 80), count: *count })
            .collect(),
        headerless: tally.headers.get(&Vec::new()).map_or(0, |(files, _)| *files),
        generations,
        columns,
        keys,
        anomalies,
        table: None,
    }
}

/// What a column is taken for; what its source declares counts, and what its values say beside it
/// is a remark.
fn guess(name: &str, column: &Tally, typed: bool, tally: &SourceTally) -> Guess {
    let Some(declared) = tally.declared.get(name) else {
        return infer::guess(name, column, typed);
    };
    let values = column.values - column.nulls;
    let is_text = matches!(declared, Kind::Text(_) | Kind::Any);
    let found = infer::guess(name, column, !is_text);
    let narrower = is_text && values > 0 && !matches!(found.kind, Kind::Text(_));
    let notes = if narrower {
        let written = found.timestamp.map(|format| format!(", written as `{format}`"));
        vec![format!("every value is `{}`{}", found.kind.name(), written.unwrap_or_default())]
    } else {
        Vec::new()
    };
    Guess {
        kind: *declared,
        notes,
        words: None,
        null: Vec::new(),
        doubt: None,
        timestamp: found.timestamp.filter(|_| narrower),
    }
}

struct Places<'a> {
    files: &'a [FileTally],
}

impl Places<'_> {
    fn show(&self, place: Place) -> String {
        let path = self.files.get(place.file as usize).map_or("", |file| &file.path);
        let path = shown::shown(path, 120);
        if place.line > 0 { format!("{path}:{}", place.line) } else { path }
    }
}

fn totals(tally: &SourceTally) -> Totals {
    Totals {
        files: tally.files.len() as u64,
        bytes: tally.files.iter().map(|file| file.bytes).sum(),
        records: tally.records,
        defects: tally.defects.values().map(|found| found.count).sum(),
    }
}

fn column(name: &str, tally: &Tally, guess: &Guess, places: &Places<'_>) -> ColumnProfile {
    let (distinct, distinct_exact) = tally.distinct.count();
    let clock = clock(tally, guess);
    let (min, max) = range(tally, guess, clock);
    let (histogram_of, bins) = if clock.is_some() {
        ("times", &tally.times)
    } else if is_numeric(guess.kind) {
        ("values", &tally.numbers)
    } else {
        ("characters", &tally.lengths)
    };
    let markers = MARKERS.iter().zip(&tally.markers).flat_map(|(marker, count)| {
        let plain = Counted { what: (*marker).to_owned(), count: count.plain };
        let quoted = Counted { what: format!("\"{marker}\""), count: count.quoted };
        [plain, quoted]
    });
    let top = tally.top.most(TOP).into_iter();
    ColumnProfile {
        name: name.to_owned(),
        kind: guess.kind.name(),
        timestamp: guess.timestamp,
        words: guess.words,
        null: guess.null.clone(),
        notes: guess.notes.clone(),
        doubt: guess.doubt.as_ref().map(|doubt| doubt_of(doubt, places)),
        records: tally.values,
        absent: tally.absent,
        nulls: tally.nulls - tally.absent,
        markers: markers.filter(|counted| counted.count > 0).collect(),
        distinct,
        distinct_exact,
        min,
        max,
        chars_min: tally.chars.map(|(min, _)| min),
        chars_max: tally.chars.map(|(_, max)| max),
        histogram_of,
        histogram: bins.equal(BINS),
        top: top
            .map(|(value, count, error)| TopValue { value: value.to_owned(), count, error })
            .collect(),
        beyond_double: tally.beyond_double,
        leading_zeros: tally.leading_zeros,
        blank: tally.blank,
        padded: tally.padded,
        multi_line: tally.multi_line,
        controls: tally.controls,
        nul: tally.nul,
        first_nul: tally.first_nul.map(|place| places.show(place)),
        bytes_mean: tally.bytes as f64 / (tally.values - tally.nulls).max(1) as f64,
    }
}

fn doubt_of(doubt: &Doubt, places: &Places<'_>) -> DoubtProfile {
    DoubtProfile {
        almost: doubt.almost.clone(),
        kind: doubt.kind.name(),
        timestamp: doubt.timestamp,
        fits: doubt.fits,
        of: doubt.of,
        reason: doubt.first.reason,
        place: places.show(doubt.first.place),
        value: doubt.first.value.clone(),
    }
}

fn clock<'a>(tally: &'a Tally, guess: &Guess) -> Option<&'a Clock> {
    let format = guess.timestamp?;
    let pattern = PATTERNS.iter().position(|pattern| pattern.text == format)?;
    tally.clocks.get(&pattern)
}

fn range(tally: &Tally, guess: &Guess, clock: Option<&Clock>) -> (Option<String>, Option<String>) {
    if let Some(clock) = clock {
        return (instant(clock.min, guess.kind), instant(clock.max, guess.kind));
    }
    match &tally.extremes {
        Some((min, max)) if is_numeric(guess.kind) => {
            (Some(shown::shown(&min.text, 40)), Some(shown::shown(&max.text, 40)))
        }
        Some(_) | None => (None, None),
    }
}

fn instant(nanos: i128, kind: Kind) -> Option<String> {
    let at = DateTime::from_unix_nanos(nanos)?;
    let text = at.to_string();
    Some(match kind {
        Kind::Date => at.date().to_string(),
        Kind::Time => text.split_once('T').map_or(text.clone(), |(_, clock)| clock.to_owned()),
        Kind::TimestampTz => format!("{text}Z"),
        _ => text, // a local time
    })
}

fn generations(tally: &SourceTally, places: &Places<'_>) -> Vec<Generation> {
    let mut found: Vec<Generation> = tally
        .headers
        .iter()
        .filter(|(columns, _)| !columns.is_empty())
        .map(|(columns, (files, first))| {
            let place = Place { file: *first, ..Place::default() };
            Generation { columns: columns.clone(), files: *files, first: places.show(place) }
        })
        .collect();
    found.sort_by(|a, b| b.files.cmp(&a.files).then_with(|| a.first.cmp(&b.first)));
    found
}

fn keys(tally: &SourceTally, places: &Places<'_>) -> Vec<KeyProfile> {
    let mut out = Vec::new();
    for ((name, column), watch) in tally.columns.iter().zip(&tally.watches) {
        if column.values == 0 || column.nulls > 0 || column.marked() > 0 {
            continue;
        }
        let named = sounds_like_key(name);
        let key = match watch.uniqueness() {
            Uniqueness::Unique if named || tally.records >= 100 => (true, true, 0, None),
            Uniqueness::Unchecked { .. } if named => (false, false, 0, None),
            Uniqueness::Repeats { count, all: true, first } if named => {
                (false, true, count, Some(places.show(first)))
            }
            Uniqueness::Unique | Uniqueness::Unchecked { .. } | Uniqueness::Repeats { .. } => {
                continue;
            }
        };
        let (unique, checked, repeats, first_repeat) = key;
        out.push(KeyProfile { column: name.clone(), unique, checked, repeats, first_repeat });
    }
    out
}

/// `id`, `user_id`, `uuid`, `Nr`, `code` …
pub(crate) fn sounds_like_key(name: &str) -> bool {
    const WORDS: [&str; 10] =
        ["id", "uuid", "guid", "key", "code", "no", "nr", "number", "num", "sku"];
    crate::names::snake(name).split('_').any(|part| WORDS.contains(&part))
}

fn add(
    anomalies: &mut Vec<Anomaly>,
    code: &'static str,
    count: u64,
    first: Option<String>,
    message: String,
) {
    anomalies.push(Anomaly { code, message, count, first, column: None });
}

fn files(tally: &SourceTally, is_table: bool, out: &mut Vec<Anomaly>) {
    for file in &tally.files {
        if let Some(problem) = &file.problem {
            let message = format!("cannot be read: {}", shown::shown(problem, 200));
            add(out, codes::UNREADABLE, 1, Some(shown::shown(&file.path, 120)), message);
        }
    }
    if is_table {
        return;
    }
    let read = || tally.files.iter().filter(|file| file.problem.is_none());
    let some = |wanted: &dyn Fn(&FileTally) -> bool| {
        let mut files = read().filter(|file| wanted(file));
        files.next().map(|first| (files.count() as u64 + 1, Some(shown::shown(&first.path, 120))))
    };
    if let Some((count, first)) = some(&|file| file.bytes == 0) {
        add(
            out,
            codes::EMPTY_FILE,
            count,
            first,
            format!("{} without a byte", counted(count, "file", "files")),
        );
    }
    if let Some((count, first)) = some(&|file| file.bytes > 0 && file.records == 0) {
        let message = format!("{} without a record", counted(count, "file", "files"));
        add(out, codes::HEADER_ONLY, count, first, message);
    }
    if let Some((count, first)) = some(&|file| file.torn) {
        let message = format!("{} within a line", counted(count, "file ends", "files end"));
        add(out, codes::TORN_LINE, count, first, message);
    }
    if let Some((count, first)) = some(&|file| file.ends.0 > 0 && file.ends.1 > 0) {
        let files = counted(count, "file", "files");
        add(
            out,
            codes::LINE_ENDS,
            count,
            first,
            format!("{files} with lines that end in one byte and in two"),
        );
    }
    let short = some(&|file| file.ends.0 > 0 && file.ends.1 == 0);
    let long = some(&|file| file.ends.1 > 0 && file.ends.0 == 0);
    if let (Some((short, _)), Some((long, first))) = (short, long) {
        let message = format!(
            "lines end with LF in {}, with CR LF in {}",
            counted(short, "file", "files"),
            counted(long, "file", "files")
        );
        add(out, codes::LINE_ENDS, long, first, message);
    }
}

fn records(tally: &SourceTally, places: &Places<'_>, out: &mut Vec<Anomaly>) {
    for (code, found) in &tally.defects {
        let message = format!(
            "{} rejected ({code}): {}",
            if found.count == 1 {
                "1 record would be".to_owned()
            } else {
                format!("{} records would be", shown::count(found.count))
            },
            shown::shown(&found.message, 160)
        );
        add(out, codes::DEFECTS, found.count, Some(places.show(found.first)), message);
    }
    let mut some = |code, found: &Option<Found>, what: &str| {
        if let Some(found) = found {
            let message = format!("{} {what}", counted(found.count, "record", "records"));
            add(out, code, found.count, Some(places.show(found.first)), message);
        }
    };
    some(codes::NUL_BYTES, &tally.nul, "with NUL bytes");
    some(codes::JSON_KEYS, &tally.json_keys, "with a key said twice");
    some(codes::NOT_OBJECTS, &tally.not_objects, "without keys: no JSON object");
    some(
        codes::ENCODINGS,
        &tally.unlike_utf8,
        "that look like UTF-8, not like the declared encoding",
    );
}

fn variety(tally: &SourceTally, generations: &[Generation], out: &mut Vec<Anomaly>) {
    if let [usual, others @ ..] = generations
        && let [other, ..] = others
    {
        let kinds = counted(generations.len() as u64, "header", "different headers");
        let extra =
            others.iter().flat_map(|one| &one.columns).filter(|c| !usual.columns.contains(c));
        let extra: BTreeSet<&String> = extra.collect();
        let names: Vec<String> =
            extra.iter().take(5).map(|name| format!("`{}`", shown::shown(name, 40))).collect();
        let only = if names.is_empty() {
            String::new()
        } else {
            format!("; only in some: {}", names.join(", "))
        };
        let count = others.iter().map(|one| one.files).sum();
        add(out, codes::GENERATIONS, count, Some(other.first.clone()), format!("{kinds}{only}"));
    }
    if tally.formats.len() > 1 {
        let all: Vec<String> = tally
            .formats
            .iter()
            .take(6)
            .map(|(format, files)| {
                format!("{} ({})", shown::shown(format, 60), counted(*files, "file", "files"))
            })
            .collect();
        add(out, codes::ENCODINGS, tally.formats.len() as u64, None, all.join(", "));
    }
}

fn repeats(tally: &SourceTally, keys: &[KeyProfile], places: &Places<'_>, out: &mut Vec<Anomaly>) {
    match tally.repeated.uniqueness() {
        Uniqueness::Repeats { count, all, first } => {
            let more = if all { "" } else { "more than " };
            let records = counted(count, "record repeats", "records repeat");
            let message = format!("{more}{records} an earlier one, byte for byte");
            add(out, codes::RECORD_REPEATS, count, Some(places.show(first)), message);
        }
        Uniqueness::Unchecked { rows } => {
            let message = format!(
                "equal records: not looked for beyond {}",
                counted(rows, "record", "records")
            );
            add(out, codes::UNCHECKED, tally.records - rows, None, message);
        }
        Uniqueness::Unique => {}
    }
    for key in keys {
        let column = shown::shown(&key.column, 60);
        if key.repeats > 0 {
            let message = format!("`{column}` repeats {}", counted(key.repeats, "value", "values"));
            add(out, codes::KEY_REPEATS, key.repeats, key.first_repeat.clone(), message);
        } else if !key.checked {
            let message =
                format!("`{column}` looks like a key; there was no room to compare all values");
            add(out, codes::UNCHECKED, tally.records, None, message);
        }
    }
}

fn of_column(
    name: &str,
    tally: &Tally,
    guess: &Guess,
    places: &Places<'_>,
    out: &mut Vec<Anomaly>,
) {
    let column = shown::shown(name, 60);
    let mut found = |code, count, first, message| {
        out.push(Anomaly { code, message, count, first, column: Some(column.clone()) });
    };
    if let Some(clock) = clock(tally, guess).filter(|clock| clock.backwards > 0)
        && clock.backwards * 10 <= tally.read
    {
        let steps = counted(clock.backwards, "time", "times");
        let midnights = if clock.midnights > 0 {
            format!(", {} of them by more than 12 hours (midnight?)", shown::count(clock.midnights))
        } else {
            String::new()
        };
        let message = format!("`{column}` goes backwards {steps} within a file{midnights}");
        found(
            codes::BACKWARDS,
            clock.backwards,
            clock.first_backwards.map(|place| places.show(place)),
            message,
        );
    }
    if let Some((low, high, count)) = outliers(tally).filter(|_| is_numeric(guess.kind)) {
        let message = format!(
            "`{column}`: {} far from the others, outside {low:.4}..{high:.4}",
            counted(count, "value", "values")
        );
        found(codes::OUTLIERS, count, None, message);
    }
    if let Some(first) = tally.first_nul {
        let values = counted(tally.nul, "value", "values");
        let message = format!(
            "`{column}`: {values} with U+0000, which SQLite and PostgreSQL cannot hold in text"
        );
        found(codes::NUL_IN_TEXT, tally.nul, Some(places.show(first)), message);
    }
    if tally.controls > 0 {
        let message = format!(
            "`{column}`: {} with control characters",
            counted(tally.controls, "value", "values")
        );
        found(codes::CONTROLS, tally.controls, None, message);
    }
}

fn is_numeric(kind: Kind) -> bool {
    matches!(kind, Kind::Int(_) | Kind::Decimal(_) | Kind::Float)
}

/// Bounds ten times the interquartile range beyond the quartiles, and how many values lie outside.
fn outliers(tally: &Tally) -> Option<(f64, f64, u64)> {
    if tally.numbers.total() < 100 {
        return None;
    }
    let (q1, q3) = (tally.numbers.quantile(0.25)?, tally.numbers.quantile(0.75)?);
    let reach = (q3 - q1).max(tally.numbers.resolution()) * 10.0;
    let (low, high) = (q1 - reach, q3 + reach);
    let count = tally.numbers.outside(low, high);
    // More than one in a hundred is no outlier but another sort of value.
    (count > 0 && count * 100 <= tally.numbers.total()).then_some((low, high, count))
}

/// The whole profile.
pub(crate) fn whole(
    folder: &str,
    sources: Vec<SourceProfile>,
    leftovers: Vec<Leftover>,
    seconds: f64,
) -> Profile {
    let mut totals = Totals::default();
    for source in &sources {
        totals.files += source.totals.files;
        totals.bytes += source.totals.bytes;
        totals.records += source.totals.records;
        totals.defects += source.totals.defects;
    }
    let estimate = estimate(&sources, &totals, seconds);
    let folder = shown::shown(folder, 400);
    Profile { schema: SCHEMA, folder, sources, leftovers, totals, estimate, database: None }
}

// A row's header and cell headers in the b-tree, and the entry of an index on its key.
const ROW_OVERHEAD_BYTES: f64 = 12.0;
// Key digests, undo and batches of the ledger, spread over the rows.
const LEDGER_BYTES_PER_ROW: f64 = 24.0;

fn estimate(sources: &[SourceProfile], totals: &Totals, seconds: f64) -> Estimate {
    let rows = totals.records - totals.defects;
    let bytes: f64 = sources
        .iter()
        .map(|source| {
            let rows = (source.totals.records - source.totals.defects) as f64;
            let cells: f64 = source.columns.iter().map(cell_bytes).sum();
            rows * (ROW_OVERHEAD_BYTES + LEDGER_BYTES_PER_ROW) + cells
        })
        .sum();
    let rate =
        if seconds > 0.0 && totals.records > 0 { totals.records as f64 / seconds } else { 0.0 };
    let load_seconds = if rate > 0.0 { rows as f64 / rate } else { 0.0 };
    let basis = format!(
        "{} read and typed in {} here; a load does the same work and writes as well",
        counted(totals.records, "record", "records"),
        shown::seconds(seconds)
    );
    // Pages are filled to about 80 %.
    let target_bytes = (bytes / 0.8) as u64;
    Estimate {
        rows,
        target_bytes,
        read_seconds: seconds,
        records_per_second: rate,
        load_seconds,
        basis,
    }
}

fn cell_bytes(column: &ColumnProfile) -> f64 {
    let present = (column.records - column.nulls - column.absent) as f64;
    let each = match Kind::parse(&column.kind) {
        Some(Kind::Int(IntWidth::I16 | IntWidth::I32 | IntWidth::I64)) => 5.0,
        Some(Kind::Float) => 9.0,
        Some(Kind::Bool) => 1.0,
        Some(Kind::Timestamp | Kind::TimestampTz) => 26.0,
        Some(Kind::Date) => 12.0,
        _ => column.bytes_mean + 2.0, // as text
    };
    present * each + column.records as f64
}

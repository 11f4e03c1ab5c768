//! What a mapping changed, warned about or left out without refusing it: counted and sampled.
//!
//! A note belongs to a unit that was not rejected: what a refused unit would have changed is not
//! counted. Notes of later chunks are merged after those of earlier ones, so that the samples are
//! the first in source order whatever the size of chunks.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use whimbrel_model::json::write_string;
use whimbrel_model::{Position, SourceChunk};

/// Samples kept of each kind of note.
pub const SAMPLES_MAX: usize = 5;

/// What a note is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct NoteKey {
    /// A code of [`crate::CODES`], or of a repair that the source made.
    pub code: &'static str,
    /// The target column, or the name of a `let`; empty where it is about the unit.
    pub column: Arc<str>,
    /// The rule; empty where there is none.
    pub rule: Arc<str>,
}

/// How often, and the first few.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Note {
    /// How many values or units.
    pub count: u64,
    /// The first of them.
    pub samples: Vec<Sample>,
}

/// One value that a note is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sample {
    /// Path of the file.
    pub path: Arc<str>,
    /// Where the record stood.
    pub position: Position,
    /// The original value, escaped and bounded; NULL is `None`.
    pub value: Option<String>,
}

/// Notes by what they are about.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Notes {
    entries: BTreeMap<NoteKey, Note>,
}

impl Notes {
    /// All notes, ordered by code, column and rule.
    pub fn iter(&self) -> impl Iterator<Item = (&NoteKey, &Note)> {
        self.entries.iter()
    }

    /// True without a note.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many values or units of a code there are, over all columns and rules.
    pub fn count(&self, code: &str) -> u64 {
        self.entries.iter().filter(|(key, _)| key.code == code).map(|(_, note)| note.count).sum()
    }

    /// Adds the notes of what comes after in source order.
    pub fn merge(&mut self, later: Self) {
        for (key, note) in later.entries {
            let own = self.entries.entry(key).or_default();
            own.count += note.count;
            let room = SAMPLES_MAX - own.samples.len();
            own.samples.extend(note.samples.into_iter().take(room));
        }
    }

    /// `[{"code":…,"column":…,"rule":…,"count":…,"samples":[{"path":…,"record":…,"line":…,
    /// "value":…}]}]`, ordered by code, column and rule.
    pub fn to_json(&self) -> String {
        let mut out = String::from("[");
        for (key, note) in &self.entries {
            if out.len() > 1 {
                out.push(',');
            }
            out.push_str("{\"code\":");
            write_string(&mut out, key.code);
            for (name, part) in [("column", &key.column), ("rule", &key.rule)] {
                if !part.is_empty() {
                    let _ = write!(out, ",\"{name}\":");
                    write_string(&mut out, part);
                }
            }
            let _ = write!(out, ",\"count\":{},\"samples\":[", note.count);
            for (index, sample) in note.samples.iter().enumerate() {
                out.push_str(if index == 0 { "{\"path\":" } else { ",{\"path\":" });
                write_string(&mut out, &sample.path);
                let Position { record, line, .. } = sample.position;
                let _ = write!(out, ",\"record\":{record},\"line\":{line},\"value\":");
                match &sample.value {
                    Some(value) => write_string(&mut out, value),
                    None => out.push_str("null"),
                }
                out.push('}');
            }
            out.push_str("]}");
        }
        out.push(']');
        out
    }

    pub(crate) fn wants_sample(&self, key: &NoteKey) -> bool {
        self.entries.get(key).is_none_or(|note| note.samples.len() < SAMPLES_MAX)
    }

    pub(crate) fn add(&mut self, key: NoteKey, sample: Option<Sample>) {
        let note = self.entries.entry(key).or_default();
        note.count += 1;
        if note.samples.len() < SAMPLES_MAX {
            note.samples.extend(sample);
        }
    }
}

/// Notes of one unit, until it is known whether the unit is refused.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    notes: Vec<(NoteKey, Option<String>)>,
    none: Arc<str>,
}

impl Pending {
    /// Notes a conversion of a value in a column.
    pub(crate) fn convert(
        &mut self,
        code: &'static str,
        column: &Arc<str>,
        value: impl FnOnce() -> Option<String>,
    ) {
        let key = NoteKey { code, column: Arc::clone(column), rule: Arc::clone(&self.none) };
        self.notes.push((key, value()));
    }

    /// Notes what the source did to the record at `index` of a chunk.
    pub(crate) fn repairs(&mut self, chunk: &SourceChunk, index: usize) {
        let first = chunk.repairs.partition_point(|repair| repair.record < index);
        for repair in chunk.repairs[first..].iter().take_while(|repair| repair.record == index) {
            let none = || Arc::clone(&self.none);
            let key = NoteKey { code: repair.code, column: none(), rule: none() };
            self.notes.push((key, None));
        }
    }

    /// Notes a broken or filtering rule.
    pub(crate) fn rule(&mut self, code: &'static str, rule: &Arc<str>) {
        let key = NoteKey { code, column: Arc::clone(&self.none), rule: Arc::clone(rule) };
        self.notes.push((key, None));
    }

    pub(crate) fn clear(&mut self) {
        self.notes.clear();
    }

    pub(crate) fn flush(&mut self, notes: &mut Notes, path: &Arc<str>, position: Position) {
        for (key, value) in self.notes.drain(..) {
            let sample = notes.wants_sample(&key).then(|| Sample {
                path: Arc::clone(path),
                position,
                value,
            });
            notes.add(key, sample);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(range: std::ops::Range<u64>) -> Notes {
        let mut notes = Notes::default();
        let mut pending = Pending::default();
        for record in range {
            pending.convert("WB0200", &"a".into(), || Some(record.to_string()));
            pending.flush(&mut notes, &"f".into(), Position { record, line: record + 1, byte: 0 });
        }
        notes
    }

    #[test]
    fn samples_are_the_first_whatever_the_chunks() {
        let mut parts = notes(0..3);
        parts.merge(notes(3..4));
        parts.merge(notes(4..9));
        assert_eq!(parts, notes(0..9));
        assert_eq!(parts.count("WB0200"), 9);
    }

    #[test]
    fn json_names_code_column_and_position() {
        assert_eq!(
            notes(7..8).to_json(),
            r#"[{"code":"WB0200","column":"a","count":1,"samples":[{"path":"f","record":7,"line":8,"value":"7"}]}]"#
        );
    }
}

//! What the plan changed, warned about or left out: the notes of all batches as one.
//!
//! Batches are in source order and each keeps the first samples, so the first of all are the same
//! wherever the borders of batches lie.

use std::collections::BTreeMap;

use serde::Deserialize;
use whimbrel_ledger::Batch;

use super::run::{name, place};
use super::{Options, limits};
use crate::codes::NOTES_UNREADABLE;
use crate::report::{Effect, Listed, NoteRow, NoteSample, Remark};
use crate::shown::shown;

pub(super) struct Notes {
    include_values: bool,
    title_of: fn(&str) -> Option<&'static str>,
    /// By step (as text sorts otherwise), code, column, rule.
    all: BTreeMap<(u64, String, String, String), Tally>,
}

struct Tally {
    table: String,
    count: u64,
    samples: Vec<NoteSample>,
}

/// One note as `whimbrel_transform::Notes::to_json` writes it.
#[derive(Deserialize)]
struct Written {
    code: String,
    #[serde(default)]
    column: String,
    #[serde(default)]
    rule: String,
    count: u64,
    #[serde(default)]
    samples: Vec<WrittenSample>,
}

#[derive(Deserialize)]
struct WrittenSample {
    path: String,
    record: u64,
    line: u64,
    value: Option<String>,
}

impl Notes {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            include_values: options.include_values,
            title_of: options.title_of,
            all: BTreeMap::new(),
        }
    }

    pub(super) fn batch(&mut self, batch: &Batch, table: &str, remarks: &mut Listed<Remark>) {
        let Ok(notes) = serde_json::from_str::<Vec<Written>>(&batch.notes) else {
            remarks.push(limits::REMARKS, || Remark {
                code: NOTES_UNREADABLE,
                message: format!(
                    "the notes of batch {} of `{}` cannot be read",
                    batch.batch,
                    name(table)
                ),
            });
            return;
        };
        for note in notes {
            self.note(batch.step, table, note);
        }
    }

    fn note(&mut self, step: u64, table: &str, note: Written) {
        let key = (step, name(&note.code), name(&note.column), name(&note.rule));
        let tally = self.all.entry(key).or_insert_with(|| Tally {
            table: name(table),
            count: 0,
            samples: Vec::new(),
        });
        tally.count = tally.count.saturating_add(note.count);
        let room = limits::NOTE_SAMPLES - tally.samples.len();
        let include_values = self.include_values;
        tally.samples.extend(note.samples.into_iter().take(room).map(|one| NoteSample {
            place: place(&one.path, one.line),
            record: one.record,
            value: one.value.filter(|_| include_values).map(|value| shown(&value, limits::VALUE)),
        }));
    }

    pub(super) fn finish(self) -> Listed<NoteRow> {
        let title_of = self.title_of;
        let rows = self.all.into_iter().map(|((_, code, column, rule), tally)| NoteRow {
            table: tally.table,
            title: title_of(&code),
            effect: effect(&code),
            column: some(column),
            rule: some(rule),
            count: tally.count,
            samples: tally.samples,
            code,
        });
        Listed::first(rows.collect(), limits::NOTES)
    }
}

fn some(text: String) -> Option<String> {
    if text.is_empty() { None } else { Some(text) }
}

/// The codes are part of the ledger's form: a last record without a line end, `rules` that warn,
/// `where`, records that cannot be read inside a file that became a row; every other note is a
/// conversion.
fn effect(code: &str) -> Effect {
    match code {
        "WB0123" | "WB0267" => Effect::Warned,
        "WB0268" | "WB0271" => Effect::LeftOut,
        _conversion => Effect::Converted,
    }
}

//! `forensic`: what `rigorous` derives is written down, record by record, as leaves of a lineage.
//!
//! ```text
//! derived unit ─▶ leaf: place, digest of its bytes, fate, code or rule, rows with their digests
//! row that SQL of the plan has changed or made ─▶ leaf: attested, with its digest as it stands
//! ```
//! Each record has one leaf in each table that it was read for: as many as the ledger has counted. Each row
//! is in a leaf of a record, or attested; what is neither, `rows` has failed for already.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use whimbrel_endpoint::{EndpointError, Feed as _, RowOrder, Snapshot, Source};
use whimbrel_ledger::{audit, meta};
use whimbrel_model::decimal::Numeric;
use whimbrel_model::json::{self, Json};
use whimbrel_model::plan::{Each, HashAlgorithm, Plan, TableMapping};
use whimbrel_model::wce::RowLayout;
use whimbrel_model::{Kind, Row, Table, Value, ValueRef};

use super::fates::Rejects;
use super::filled::Filled;
use super::remembered::Remembered;
use super::{Checked, Level, Request, Status, Verification, counted};
use crate::interpret::{Derived, Fate, REFUSED};
use crate::lineage::{Draft, Leaf, LeafFate, MadeRow, Origin, Unit, sha256};
use crate::sorter::sorted;

/// Rejects with another reason that are named.
const NAMED: usize = 5;

/// Writes leaves.
pub(super) struct Recorder {
    draft: Draft,
    /// SHA-256 of files that are units by themselves.
    files: BTreeMap<(String, String), String>,
    /// The columns by which records of an old database are told apart.
    keys: BTreeMap<String, Vec<String>>,
}

impl Recorder {
    /// Begins a lineage where the level asks for one.
    pub(super) async fn begin(
        request: &Request<'_>,
        plan: &Plan,
        sources: &BTreeMap<String, Arc<dyn Source>>,
    ) -> Result<Option<Self>, EndpointError> {
        let Some(folder) = request.lineage.filter(|_| request.level >= Level::Forensic) else {
            return Ok(None);
        };
        let project = meta::digest_key(request.target).await?;
        let draft = Draft::begin(folder, &request.run.id, &project)?;
        let mut keys = BTreeMap::new();
        for (name, source) in sources {
            let declared = plan.sources.iter().find(|declared| declared.name.value == *name);
            let is_hidden = |column: &String| {
                declared.is_some_and(|declared| {
                    declared.sensitive.iter().any(|hidden| hidden.value == *column)
                })
            };
            // What is not shown is not written down either.
            let key = source.key().await?;
            keys.insert(name.clone(), if key.iter().any(is_hidden) { Vec::new() } else { key });
        }
        Ok(Some(Self { draft, files: BTreeMap::new(), keys }))
    }

    /// Hashes the files that are units of a table by themselves.
    pub(super) async fn hash_files(
        &mut self,
        plan: &Plan,
        mapping: &TableMapping,
        sources: &BTreeMap<String, Arc<dyn Source>>,
    ) -> Result<(), EndpointError> {
        for from in &mapping.from {
            let declared = plan.sources.iter().find(|source| source.name.value == from.value);
            let most = declared.and_then(|source| source.max_file_size);
            let Some(source) = sources.get(&from.value) else { continue };
            if mapping.each != Each::File && most.is_none() {
                continue;
            }
            for partition in source.partitions().await?.partitions {
                let is_unit = mapping.each == Each::File
                    || most.is_some_and(|most| partition.facts.size > most);
                let place = (partition.id.source.clone(), partition.id.path.clone());
                if is_unit && !self.files.contains_key(&place) {
                    let digest = source.checksum(&partition, HashAlgorithm::Sha256).await?;
                    self.files.insert(place, digest);
                }
            }
        }
        Ok(())
    }

    /// Rows of a table that only SQL of the plan writes.
    pub(super) async fn attest_whole(
        &mut self,
        request: &Request<'_>,
        snapshot: &dyn Snapshot,
        filled: &Filled,
    ) -> Result<(), EndpointError> {
        let Some(table) = snapshot.describe(&filled.name).await? else { return Ok(()) };
        let all: Vec<usize> = (0..table.columns.len()).collect();
        let key = if table.key.is_empty() { &all } else { &table.key };
        let rows = snapshot.rows(&table, RowOrder::Any).await?;
        let mut rows = sorted(rows, all.len(), key, &request.room).await?;
        let layout = RowLayout::of_rows(&table);
        while let Some(chunk) = rows.next().await? {
            for row in chunk.rows() {
                self.attest(LeafFate::Attested, &table, &layout, row, filled)?;
            }
        }
        Ok(())
    }

    /// A row as SQL of the plan has left it, or that it has taken away.
    pub(super) fn attest(
        &mut self,
        fate: LeafFate,
        table: &Table,
        layout: &RowLayout,
        row: Row<'_>,
        filled: &Filled,
    ) -> Result<(), EndpointError> {
        self.draft.push(Leaf {
            n: 0,
            table: table.name.clone(),
            from: None,
            fate,
            code: None,
            rule: Some(filled.written_by.join(", ")),
            of: None,
            rows: vec![made(table, layout, |column| row.get(column))],
            salt: String::new(),
        })
    }

    /// No more leaves; and whether the audit log holds.
    pub(super) async fn end(
        self,
        request: &Request<'_>,
        verification: &mut Verification,
    ) -> Result<(), EndpointError> {
        verification.lineage = Some(self.draft.seal()?);
        let verified = audit::verify(request.target, None).await?;
        let check = Checked::passed("audit", "log").counts(verified.entries, verified.entries);
        let faults = verified.faults.len() as u64 + verified.more;
        verification.checks.push(if verified.is_intact() {
            check
        } else {
            let message =
                format!("{}; `whimbrel audit verify` names them", counted(faults, "broken link"));
            check.ended(Status::Failed, message)
        });
        verification.audit = verified.head;
        Ok(())
    }
}

/// A row of a leaf.
fn made<'v>(table: &Table, layout: &RowLayout, value: impl Fn(usize) -> ValueRef<'v>) -> MadeRow {
    let mut encoded = Vec::with_capacity(256);
    layout.encode(&mut encoded, &value);
    let key = table.key.iter().map(|&column| key_text(table.columns[column].kind, value(column)));
    MadeRow { key: key.collect(), sha256: sha256(&encoded) }
}

/// The SHA-256 of a row's encoding, as leaves have it.
pub fn row_digest(table: &Table, row: Row<'_>) -> String {
    made(table, &RowLayout::of_rows(table), |column| row.get(column)).sha256
}

/// The key of a row, as leaves have it.
pub fn row_key(table: &Table, row: Row<'_>) -> Vec<String> {
    let text = |&column: &usize| key_text(table.columns[column].kind, row.get(column));
    table.key.iter().map(text).collect()
}

/// The text of a key's value: one for each value, whatever its spelling.
fn key_text(kind: Kind, value: ValueRef<'_>) -> String {
    let text = value.to_string();
    match (kind, value) {
        (Kind::Decimal(_), ValueRef::Decimal(_) | ValueRef::Text(_))
            if text.contains('.')
                && !text.contains(['e', 'E'])
                && Numeric::parse(&text).is_ok() =>
        {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        (_, _) => text,
    }
}

/// The leaves of one table.
pub(super) struct Leaves<'a> {
    pub(super) recorder: &'a mut Recorder,
    table: &'a Table,
    layout: RowLayout,
    known: &'a Remembered,
    rejects: Rejects<'a>,
    /// Source and path of the items by their ordinals.
    items: BTreeMap<u64, (String, String)>,
    units: u64,
    /// Rejects that the ledger has with another reason.
    wrong: Vec<String>,
    wrong_count: u64,
}

impl<'a> Leaves<'a> {
    pub(super) fn of(recorder: &'a mut Recorder, table: &'a Table, known: &'a Remembered) -> Self {
        let layout = RowLayout::of_rows(table);
        Self {
            recorder,
            table,
            layout,
            known,
            rejects: Rejects::of(known, &table.name),
            items: BTreeMap::new(),
            units: 0,
            wrong: Vec::new(),
            wrong_count: 0,
        }
    }

    /// Takes a unit; `places` says which mapped column each column of the table is.
    pub(super) fn take(
        &mut self,
        derived: &Derived<'_>,
        places: &[Option<usize>],
    ) -> Result<(), EndpointError> {
        self.units += 1;
        let item = derived.ordinal >> 32;
        self.items
            .entry(item)
            .or_insert_with(|| (derived.source.to_owned(), derived.path.to_owned()));
        let of = derived.first.and_then(|first| {
            let (source, path) = self.items.get(&(first >> 32))?.clone();
            Some(Unit { source, path, record: first & u64::from(u32::MAX) })
        });
        let (fate, code, rule) = self.judged(derived);
        let rows = match &derived.fate {
            Fate::Rows(rows) => rows
                .iter()
                .map(|row| {
                    made(self.table, &self.layout, |column| {
                        let value = places[column].and_then(|place| row.get(place));
                        value.map_or(ValueRef::Null, Value::as_ref)
                    })
                })
                .collect(),
            Fate::Rejected { .. } | Fate::Filtered(_) | Fate::Duplicate => Vec::new(),
        };
        let from = Some(self.origin(derived));
        let table = self.table.name.clone();
        let leaf = Leaf { n: 0, table, from, fate, code, rule, of, rows, salt: String::new() };
        self.recorder.draft.push(leaf)
    }

    fn origin(&self, derived: &Derived<'_>) -> Origin {
        let unit = Unit {
            source: derived.source.to_owned(),
            path: derived.path.to_owned(),
            record: derived.position.record,
        };
        let read = derived.unmended.or(derived.bytes);
        let key = self.recorder.keys.get(derived.source).filter(|key| !key.is_empty());
        let key = key.zip(read).map(|(key, bytes)| source_key(key, bytes)).unwrap_or_default();
        let whole = || self.recorder.files.get(&(unit.source.clone(), unit.path.clone())).cloned();
        Origin {
            line: Some(derived.position.line).filter(|line| *line > 0),
            key,
            sha256: read.map(sha256).or_else(whole),
            mended: derived.unmended.and(derived.bytes).map(sha256),
            unit,
        }
    }

    /// What became of the unit, with the ledger's reason.
    fn judged(&mut self, derived: &Derived<'_>) -> (LeafFate, Option<String>, Option<String>) {
        match &derived.fate {
            Fate::Rows(_) if derived.first.is_some() => (LeafFate::Unchanged, None, None),
            Fate::Rows(_) => (LeafFate::Loaded, None, None),
            Fate::Filtered(left_out) => {
                (LeafFate::Filtered, None, Some(left_out.word().to_owned()))
            }
            Fate::Duplicate => (LeafFate::Duplicate, None, None),
            Fate::Rejected { reason, .. } => {
                let known = self.rejects.find(derived);
                let code = known.map_or(*reason, |known| known.code.as_str());
                if code != *reason && *reason != REFUSED {
                    self.wrong_count += 1;
                    if self.wrong.len() < NAMED {
                        self.wrong.push(format!(
                            "record {} of `{}` is rejected with {code}, and should be with {reason}",
                            derived.position.record, derived.path
                        ));
                    }
                }
                let rule = known.and_then(|known| known.rule.clone());
                (LeafFate::Rejected, Some(code.to_owned()), rule)
            }
        }
    }

    /// As many leaves as units were read, and the reasons of rejects.
    pub(super) fn check(mut self) -> Checked {
        let name = &self.table.name;
        let read = self.known.read(name);
        let fates = self.recorder.draft.counts().get(name);
        let check = Checked::passed("lineage", name).counts(read, self.units);
        let check = Checked { details: json!({ "fates": fates }), ..check };
        if read != self.units {
            let message = format!(
                "{} for {} that the ledger has counted",
                counted(self.units, "leaf").replace("leafs", "leaves"),
                counted(read, "record")
            );
            self.wrong.insert(0, message);
        } else if self.wrong.is_empty() {
            return check;
        }
        let more = self.wrong_count.saturating_sub(self.wrong.len() as u64);
        if more > 0 {
            self.wrong.push(format!("and {more} more"));
        }
        check.ended(Status::Failed, self.wrong.join("; "))
    }
}

/// The key of a record of an old database, from the JSON object that its bytes are.
pub fn source_key(columns: &[String], bytes: &[u8]) -> Vec<String> {
    let Ok(record) = json::parse(bytes) else { return Vec::new() };
    let text = |column: &String| {
        Some(match record.get(column)? {
            Json::String(text) => text.to_string(),
            other => other.to_text(),
        })
    };
    columns.iter().map(text).collect::<Option<Vec<_>>>().unwrap_or_default()
}

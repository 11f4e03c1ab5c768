//! What only the ledger knows of a migration: units that the target refused, records that were mended,
//! the order of items; and whether the sources are still what was read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use whimbrel_endpoint::{EndpointError, ErrorClass, Freshness, Partition, Source, Target};
use whimbrel_ledger::{RejectStatus, RunKind, Stage, item, pages, reject};
use whimbrel_model::SourceMark;

use super::filled::Filled;
use crate::interpret::Known;

/// Rejects in a page.
const PAGE: u64 = 5_000;

/// A unit: its table, source, path and record.
pub(super) type UnitId = (String, String, String, u64);

/// Where and why a unit was refused.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) stage: Stage,
    pub(super) code: String,
    pub(super) rule: Option<String>,
}

/// The ledger's answers for the interpreter.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    /// Rejects that stand.
    pub(super) rejects: BTreeMap<UnitId, Refusal>,
    /// By table, source and path, the ordinal of the newest version of an item and the units read of it.
    reads: BTreeMap<(String, String, String), (u64, u64)>,
    repaired: BTreeMap<(String, String, u64), Vec<u8>>,
    ordinals: BTreeMap<(String, String, String), u64>,
    /// The newest mark of every file that was read, by source and path.
    marks: BTreeMap<(String, String), SourceMark>,
}

impl Known for Remembered {
    fn refused(&self, table: &str, source: &str, path: &str, record: u64) -> bool {
        let id = (table.to_owned(), source.to_owned(), path.to_owned(), record);
        self.rejects.get(&id).is_some_and(|known| known.stage == Stage::Target)
    }

    fn repaired(&self, source: &str, path: &str, record: u64) -> Option<Vec<u8>> {
        self.repaired.get(&(source.to_owned(), path.to_owned(), record)).cloned()
    }

    fn ordinal(&self, table: &str, source: &str, path: &str) -> Option<u64> {
        self.ordinals.get(&(table.to_owned(), source.to_owned(), path.to_owned())).copied()
    }
}

impl Remembered {
    /// Reads what the loads of one plan have left.
    pub(crate) async fn of(
        target: &dyn Target,
        tables: &[Filled],
        plan: &str,
    ) -> Result<Self, EndpointError> {
        let mut known = Self::default();
        for table in tables {
            for load in table.loads.iter().filter(|load| load.run.plan == plan) {
                let (run, step) = (load.run.id.as_str(), load.step.step);
                for item in item::of_step(target, run, step).await? {
                    let place = (table.name.clone(), item.source.clone(), item.source_file.clone());
                    if load.run.kind != RunKind::Retry {
                        // What goes on in a file keeps its ordinal.
                        let read = known.reads.entry(place.clone()).or_default();
                        let before = if read.0 == item.ordinal { read.1 } else { 0 };
                        *read = (item.ordinal, before + item.counts.read);
                    }
                    known.ordinals.insert(place, item.ordinal);
                    if let Some(mark) = item.mark.filter(|_| load.run.kind != RunKind::Retry) {
                        known.marks.insert((item.source, item.source_file), mark);
                    }
                }
                known.take_rejects(target, &table.name, run, step).await?;
                for reject in reject::repaired(target, run, step).await? {
                    let Some(bytes) = reject.fixed_bytes else { continue };
                    let place = (reject.source, reject.source_file, reject.record);
                    known.repaired.insert(place, bytes);
                }
            }
        }
        Ok(known)
    }

    async fn take_rejects(
        &mut self,
        target: &dyn Target,
        table: &str,
        run: &str,
        step: u64,
    ) -> Result<(), EndpointError> {
        let mut after = None;
        loop {
            let page = pages::rejects(target, run, step, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.unit);
            for head in page {
                let id = (table.to_owned(), head.source, head.source_file, head.record);
                match head.status {
                    RejectStatus::Open | RejectStatus::Waived => {
                        let (stage, code, rule) = (head.stage, head.code, head.rule);
                        self.rejects.insert(id, Refusal { stage, code, rule });
                    }
                    RejectStatus::Fixed | RejectStatus::Superseded => {}
                }
            }
        }
    }

    /// The files of a source that are not what was read, each with what is the matter.
    pub(super) async fn changed(
        &self,
        name: &str,
        source: &Arc<dyn Source>,
    ) -> Result<Vec<(String, &'static str)>, EndpointError> {
        let partitions: BTreeMap<String, Partition> = source
            .partitions()
            .await?
            .partitions
            .into_iter()
            .map(|partition| (partition.id.path.clone(), partition))
            .collect();
        let mut changed = Vec::new();
        let mut read = BTreeSet::new();
        for ((_, path), mark) in self.marks.iter().filter(|((of, _), _)| of == name) {
            read.insert(path.clone());
            let what = match partitions.get(path) {
                None => Some("is gone"),
                Some(partition) => match source.compare(partition, mark).await {
                    Ok(Freshness::Same) => None,
                    Ok(Freshness::Appended) => Some("has more at its end"),
                    Ok(Freshness::Changed) => Some("has changed"),
                    Err(error) if error.class == ErrorClass::Changed => Some("has changed"),
                    Err(error) => return Err(error),
                },
            };
            changed.extend(what.map(|what| (path.clone(), what)));
        }
        if !self.marks.is_empty() {
            let new = partitions.into_keys().filter(|path| !read.contains(path));
            let new = new.filter(|path| !self.is_item(name, path));
            changed.extend(new.map(|path| (path, "is new")));
        }
        Ok(changed)
    }

    /// How many units the ledger says were read for a table, of the newest version of each file.
    pub(super) fn read(&self, table: &str) -> u64 {
        let own = self.reads.iter().filter(|((of, ..), _)| of == table);
        own.map(|(_, (_, read))| read).sum()
    }

    fn is_item(&self, source: &str, path: &str) -> bool {
        self.ordinals.keys().any(|(_, of, own)| of == source && own == path)
    }
}

//! Where legacy keys lead: to the row that was made from the record with this key, or to several.
//!
//! ```text
//! file, first read   A ▶ row 1   B ▶ row 2        an earlier version: counts for keys that
//! file, read anew    A ▶ row 3   C ▶ row 2        the file does not hold any more,
//!                    A leads to row 3, B nowhere  and while no other key has taken the row
//! ```

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_endpoint::{EndpointError, Operator, Order, Target};
use whimbrel_model::Value;

use crate::cells;
use crate::mapping::Mapping;
use crate::{RunKind, item, run, step};

/// Where a legacy key leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lead {
    /// To one row.
    Row {
        /// WCE-1 of its key.
        new_key: Vec<u8>,
        /// The record that it was made from.
        place: Place,
    },
    /// To several rows.
    Rows {
        /// The record that the first was made from.
        first: Place,
        /// And that of another.
        other: Place,
    },
}

/// A record that a row was made from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Name of the source.
    pub source: String,
    /// Path of the file.
    pub source_file: String,
    /// Record in its file.
    pub record: u64,
}

impl Lead {
    /// Takes in that the key leads to this row too.
    pub fn add(&mut self, key: &[u8], other: impl FnOnce() -> Place) {
        if let Self::Row { new_key, place } = self
            && new_key != key
        {
            *self = Self::Rows { first: place.clone(), other: other() };
        }
    }
}

/// Which runs have read each file of a table anew: what a file became before is of an earlier
/// version of it.
#[derive(Default, Debug)]
pub struct Versions {
    /// Sequence numbers of the plan's runs.
    runs: BTreeMap<String, u64>,
    /// By (source, file), those of the runs that began a version; files with one are left out.
    begun: BTreeMap<(String, String), Vec<u64>>,
}

impl Versions {
    /// Looks through what runs of the plan have read into the table.
    pub async fn of(target: &dyn Target, plan: &str, table: &str) -> Result<Self, EndpointError> {
        let mut runs = run::all(target, None).await?;
        runs.retain(|run| run.plan == plan);
        if runs.len() < 2 {
            return Ok(Self::default());
        }
        runs.sort_by_key(|run| run.seq);
        let mut begun: BTreeMap<(String, String), (u64, Vec<u64>)> = BTreeMap::new();
        for run in &runs {
            let steps = step::of_run(target, &run.id).await?;
            let fills = |step: &&step::Step| step.target_table.as_deref() == Some(table);
            for step in steps.iter().filter(fills) {
                for item in item::of_step(target, &run.id, step.step).await? {
                    let file = (item.source, item.source_file);
                    let (ordinal, versions) = begun.entry(file).or_default();
                    // What goes on in a file, or reads rejects of it again, keeps its ordinal.
                    let goes_on = run.kind != RunKind::Full && *ordinal == item.ordinal;
                    if versions.is_empty() || !goes_on {
                        *ordinal = item.ordinal;
                        versions.push(run.seq);
                    }
                }
            }
        }
        let begun = begun.into_iter().map(|(file, (_, versions))| (file, versions));
        Ok(Self {
            runs: runs.into_iter().map(|run| (run.id, run.seq)).collect(),
            begun: begun.filter(|(_, versions)| versions.len() > 1).collect(),
        })
    }

    /// How many newer versions of its file there are.
    fn age(&self, mapping: &Mapping) -> usize {
        let file = (mapping.source.clone(), mapping.source_file.clone());
        match (self.begun.get(&file), self.runs.get(&mapping.run)) {
            (Some(begun), Some(run)) => begun.iter().filter(|begun| *begun > run).count(),
            // Files with one version, and what runs of other plans have written.
            (_, _) => 0,
        }
    }
}

/// Where committed legacy keys of a table lead. A key that is not in the answer leads nowhere.
pub async fn resolve(
    target: &dyn Target,
    table: &str,
    legacy_ids: &[String],
    versions: &Versions,
) -> Result<BTreeMap<String, Lead>, EndpointError> {
    let mut found = BTreeMap::new();
    let mut outdated = Vec::new();
    for ids in legacy_ids.chunks(500) {
        let ids = ids.iter().map(|id| id.as_str().into()).collect();
        let query = cells::query::<Mapping>()
            .is("legacy_type", table)
            .that("legacy_id", Operator::In, ids)
            .by("legacy_id", Order::Rising)
            .by("source_file", Order::Rising)
            .by("record", Order::Rising);
        let mappings = cells::select::<Mapping>(target, query).await?;
        for of_one in mappings.chunk_by(|one, other| one.legacy_id == other.legacy_id) {
            let current: Vec<&Mapping> =
                of_one.iter().filter(|mapping| versions.age(mapping) == 0).collect();
            match lead(&current) {
                Some(lead) => drop(found.insert(of_one[0].legacy_id.clone(), lead)),
                None => outdated.extend(newest(of_one, versions).into_iter().cloned()),
            }
        }
    }
    let taken = taken_over(target, table, &outdated, versions).await?;
    outdated.retain(|mapping| !taken.contains(&mapping.new_key));
    for of_one in outdated.chunk_by(|one, other| one.legacy_id == other.legacy_id) {
        if let Some(lead) = lead(&of_one.iter().collect::<Vec<_>>()) {
            found.insert(of_one[0].legacy_id.clone(), lead);
        }
    }
    Ok(found)
}

/// Where mappings of one legacy key lead.
fn lead(mappings: &[&Mapping]) -> Option<Lead> {
    let (first, rest) = mappings.split_first()?;
    let mut lead = Lead::Row { new_key: first.new_key.clone(), place: place(first) };
    rest.iter().for_each(|mapping| lead.add(&mapping.new_key, || place(mapping)));
    Some(lead)
}

fn place(mapping: &Mapping) -> Place {
    Place {
        source: mapping.source.clone(),
        source_file: mapping.source_file.clone(),
        record: mapping.record,
    }
}

/// Of each file, what is of the newest version in which it held the key.
fn newest<'m>(mappings: &'m [Mapping], versions: &Versions) -> Vec<&'m Mapping> {
    let mut youngest: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for mapping in mappings {
        let age = youngest.entry((&mapping.source, &mapping.source_file)).or_insert(usize::MAX);
        *age = versions.age(mapping).min(*age);
    }
    let is_newest = |mapping: &&Mapping| {
        let file = (mapping.source.as_str(), mapping.source_file.as_str());
        youngest.get(&file) == Some(&versions.age(mapping))
    };
    mappings.iter().filter(is_newest).collect()
}

/// Keys of rows that are made from other records by now.
async fn taken_over(
    target: &dyn Target,
    table: &str,
    outdated: &[Mapping],
    versions: &Versions,
) -> Result<BTreeSet<Vec<u8>>, EndpointError> {
    let mut taken = BTreeSet::new();
    for mappings in outdated.chunks(500) {
        let keys: Vec<Value> =
            mappings.iter().map(|mapping| mapping.new_key.as_slice().into()).collect();
        let query = cells::query::<Mapping>()
            .is("new_type", table)
            .that("new_key", Operator::In, keys)
            .is("winner", 1u64);
        let all = cells::select::<Mapping>(target, query).await?;
        let current = all.into_iter().filter(|mapping| versions.age(mapping) == 0);
        taken.extend(current.map(|mapping| mapping.new_key));
    }
    Ok(taken)
}

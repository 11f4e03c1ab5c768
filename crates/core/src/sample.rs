//! `--sample N`: which units a sample takes, chosen before anything is written.
//!
//! ```text
//! children  ▪▪□▪□□  N by the rank of their place  ─┐ what they refer to
//! parents   □▪□□▪▪  N by rank, and those           ◀┘
//! ```
//! The rank of a unit is a hash of source, path and record: the same for everyone, whatever the
//! units hold and however many threads read them. Everything is read for it, up to twice.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::ops::ControlFlow;
use std::sync::Arc;

use whimbrel_ledger::{Item, ItemStatus, Run, item};
use whimbrel_transform::Lookup;

use crate::error::{CoreError, While};
use crate::load::dry::{ParentKeys, parent_keys, read_through};
use crate::load::{Choice, Fate, Produced};
use crate::migrate::Job;
use crate::survey::SurveyedStep;

/// Ordinals of the units that are taken, by table.
pub(crate) type Sample = BTreeMap<String, Arc<BTreeSet<u64>>>;

/// Chooses about `size` units of every table, and whatever these refer to. Incomplete where the run
/// is to stop.
pub(crate) async fn choose(job: &Job<'_>, run: &Run, size: u64) -> Result<Sample, CoreError> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let mut parents = ParentKeys::default();
    let mut steps: Vec<(&SurveyedStep, Vec<Item>)> = Vec::new();
    for (index, surveyed) in job.survey.steps.iter().enumerate() {
        let items = unread(job, run, index as u64 + 1).await?;
        if surveyed.step.stores_mappings() {
            parents = parent_keys(job, surveyed, &items, parents).await?;
        }
        steps.push((surveyed, items));
    }
    let parents = Arc::new(parents);
    let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut sample = Sample::new();
    for (surveyed, items) in steps.into_iter().rev() {
        let table = &surveyed.table.name;
        let mut choosing = Choosing::new(size, wanted.remove(table).unwrap_or_default());
        let mut see = |item: &Item, produced: Produced| {
            choosing.see(item, &produced);
            ControlFlow::Continue(())
        };
        let read = read_through(job, surveyed, &items, &parents, Choice::Traced, &mut see).await?;
        if read.is_break() {
            return Ok(sample);
        }
        let (units, refers) = choosing.finish();
        for lookup in refers {
            wanted.entry(lookup.table).or_default().extend(lookup.keys);
        }
        sample.insert(table.clone(), Arc::new(units));
    }
    Ok(sample)
}

/// The items of a step as they were before anything of them was read.
async fn unread(job: &Job<'_>, run: &Run, step: u64) -> Result<Vec<Item>, CoreError> {
    let items = item::of_step(job.ports.target.as_ref(), &run.id, step).await;
    let mut items = items.during(|| "reading the ledger".to_owned())?;
    for item in &mut items {
        item.status = ItemStatus::Pending;
        item.mark = None;
        item.state = None;
    }
    Ok(items)
}

/// The sample of one table in the making.
struct Choosing {
    size: usize,
    /// Legacy keys that units of other tables refer to.
    wanted: BTreeSet<String>,
    /// The smallest ranks so far, largest on top.
    ranked: BinaryHeap<(u64, u64)>,
    referred: BTreeSet<u64>,
    refers: BTreeMap<u64, Vec<Lookup>>,
}

impl Choosing {
    fn new(size: usize, wanted: BTreeSet<String>) -> Self {
        Self {
            size,
            wanted,
            ranked: BinaryHeap::new(),
            referred: BTreeSet::new(),
            refers: BTreeMap::new(),
        }
    }

    fn see(&mut self, item: &Item, produced: &Produced) {
        let mut referred = BTreeSet::new();
        for (row, unit) in produced.rows.units.iter().enumerate() {
            if produced.rows.legacy.get(row).is_some_and(|key| self.wanted.contains(key)) {
                referred.insert(*unit as usize);
            }
        }
        for (index, unit) in produced.units.iter().enumerate() {
            if matches!(unit.fate, Fate::Filtered) {
                continue;
            }
            let is_referred = referred.contains(&index);
            if is_referred {
                self.referred.insert(unit.ordinal);
            }
            let is_ranked = self.rank(rank(item, unit.position.record), unit.ordinal);
            if is_referred || is_ranked {
                let refers = produced.refers.get(index).cloned().unwrap_or_default();
                self.refers.insert(unit.ordinal, refers);
            }
        }
    }

    /// Takes the unit where its rank is among the smallest; forgets the one that it pushes out.
    fn rank(&mut self, rank: u64, ordinal: u64) -> bool {
        if self.ranked.len() < self.size {
            self.ranked.push((rank, ordinal));
            return true;
        }
        let fits = self.ranked.peek().is_some_and(|largest| (rank, ordinal) < *largest);
        if fits {
            if let Some((_, out)) = self.ranked.pop()
                && !self.referred.contains(&out)
            {
                self.refers.remove(&out);
            }
            self.ranked.push((rank, ordinal));
        }
        fits
    }

    fn finish(self) -> (BTreeSet<u64>, impl Iterator<Item = Lookup>) {
        let mut units = self.referred;
        units.extend(self.ranked.into_iter().map(|(_, ordinal)| ordinal));
        (units, self.refers.into_values().flatten())
    }
}

/// Where a unit comes in the order in which samples take units.
fn rank(item: &Item, record: u64) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for part in [item.source.as_bytes(), item.source_file.as_bytes(), &record.to_be_bytes()] {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let bytes = *hasher.finalize().as_bytes();
    u64::from_be_bytes(std::array::from_fn(|index| bytes[index]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_smallest_ranks_are_taken_in_any_order(
            mut ranks in proptest::collection::btree_set(any::<u64>(), 0..200).prop_map(Vec::from_iter).prop_shuffle(),
            size in 0_usize..50,
        ) {
            let mut choosing = Choosing::new(size, BTreeSet::new());
            for rank in &ranks {
                choosing.rank(*rank, *rank);
            }
            let (units, _) = choosing.finish();
            ranks.sort_unstable();
            ranks.truncate(size);
            prop_assert_eq!(Vec::from_iter(units), ranks);
        }
    }
}

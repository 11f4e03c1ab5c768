//! What there is to do for a step: its items, each with the file it is read from.

use std::collections::BTreeMap;

use whimbrel_endpoint::Partition;
use whimbrel_ledger::{Item, ItemStatus};

use super::again::Again;
use crate::survey::{SetAside, Survey};

/// An item to be done.
pub(crate) struct Work {
    /// Index in the step's items.
    pub(crate) index: usize,
    pub(crate) item: Item,
    pub(crate) part: Part,
    /// Set where only some units are wanted, of a file that was read before.
    pub(crate) again: Option<Again>,
}

/// What an item is.
#[derive(Clone)]
pub(crate) enum Part {
    /// A file to read.
    File(Partition),
    /// A file that is left out or rejected as a whole.
    Aside(SetAside),
}

impl Work {
    /// Bytes to be read.
    pub(crate) fn bytes(&self) -> u64 {
        match &self.part {
            Part::File(partition) => partition.facts.size,
            Part::Aside(_) => 0,
        }
    }
}

/// What is left to do of the items, in source order; the path of the first file that is gone.
pub(crate) fn works(
    survey: &Survey,
    items: &[Item],
    mut again: BTreeMap<usize, Again>,
) -> Result<Vec<Work>, String> {
    let mut parts: BTreeMap<(&str, &str), Part> = BTreeMap::new();
    for (name, source) in &survey.sources {
        for aside in &source.set_aside {
            parts.insert((name, &aside.partition.id.path), Part::Aside(aside.clone()));
        }
        for partition in &source.partitions {
            parts.insert((name, &partition.id.path), Part::File(partition.clone()));
        }
    }
    let mut works = Vec::new();
    for (index, item) in items.iter().enumerate() {
        if item.status == ItemStatus::Completed {
            continue;
        }
        let Some(part) = parts.get(&(item.source.as_str(), item.source_file.as_str())) else {
            return Err(item.source_file.clone());
        };
        let (part, again) = (part.clone(), again.remove(&index));
        works.push(Work { index, item: item.clone(), part, again });
    }
    Ok(works)
}

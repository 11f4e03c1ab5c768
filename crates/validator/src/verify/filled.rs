//! What the ledger knows of the tables that a plan has filled: who has loaded into them, and how.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_endpoint::{EndpointError, Target};
use whimbrel_ledger::Layout;
use whimbrel_ledger::{Batch, Run, Step, StepStatus, batch, run, step};
use whimbrel_model::Table;

/// A table that runs have loaded into.
#[derive(Clone, Debug)]
pub struct Filled {
    /// Its name.
    pub name: String,
    /// Every step that has loaded into it, of whatever plan, in the order of the runs.
    pub loads: Vec<Load>,
    /// Names of `[[relate]]` steps that have written to it.
    pub written_by: Vec<String>,
}

/// A step that has loaded into a table.
#[derive(Clone, Debug)]
pub struct Load {
    /// The run.
    pub run: Run,
    /// The step.
    pub step: Step,
    /// The columns of its rows; `None` where an older version has not written them down.
    pub layout: Option<Layout>,
    /// Its batches, in order.
    pub batches: Vec<Batch>,
}

impl Filled {
    /// The different layouts of the loads, in the order of their first use; `None` where one is unknown.
    pub fn layouts(&self) -> Option<Vec<&Layout>> {
        let mut layouts: Vec<&Layout> = Vec::new();
        for load in self.loads.iter().filter(|load| !load.batches.is_empty()) {
            let layout = load.layout.as_ref()?;
            let same = |known: &&Layout| known.columns == layout.columns && known.key == layout.key;
            if !layouts.iter().any(same) {
                layouts.push(layout);
            }
        }
        Some(layouts)
    }

    /// The table with every column that a load has filled.
    pub fn table(&self) -> Option<Table> {
        let layouts = self.layouts()?;
        let mut table = layouts.last()?.table(&self.name);
        for layout in &layouts {
            for column in layout.table(&self.name).columns {
                if !table.columns.iter().any(|known| known.name == column.name) {
                    table.columns.push(column);
                }
            }
        }
        Some(table)
    }

    /// Rows that stood in it before the first load.
    pub fn rows_before(&self) -> Option<u64> {
        self.loads.first()?.layout.as_ref()?.rows_before
    }

    /// Rows that the loads have inserted.
    pub fn inserted(&self) -> u64 {
        let batches = self.loads.iter().flat_map(|load| &load.batches);
        batches.map(|batch| batch.rows.inserted.n()).sum()
    }

    /// Rows that the loads have overwritten.
    pub fn updated(&self) -> u64 {
        let batches = self.loads.iter().flat_map(|load| &load.batches);
        batches.map(|batch| batch.rows.updated.n()).sum()
    }
}

/// The tables that the steps of a run fill, and every load into them, or only the run's own; then those that
/// its `[[relate]]` steps write to.
pub async fn filled(
    target: &dyn Target,
    newest: &Run,
    only_own: bool,
) -> Result<Vec<Filled>, EndpointError> {
    let mut runs = run::all(target, None).await?;
    runs.reverse();
    runs.retain(|run| !only_own || run.id == newest.id);
    let mut steps: BTreeMap<String, Vec<Step>> = BTreeMap::new();
    for run in &runs {
        steps.insert(run.id.clone(), step::of_run(target, &run.id).await?);
    }
    let own = steps.get(&newest.id).cloned().unwrap_or_default();
    let mut tables: Vec<Filled> = Vec::new();
    for table in own.iter().filter_map(|step| step.target_table.clone()) {
        if !tables.iter().any(|known| known.name == table) {
            tables.push(Filled { name: table, loads: Vec::new(), written_by: Vec::new() });
        }
    }
    for run in &runs {
        let own = steps.remove(&run.id).unwrap_or_default();
        let loads = |step: &Step| {
            let table = step.target_table.as_ref();
            table.is_some_and(|table| tables.iter().any(|known| known.name == *table))
        };
        let mut batches =
            if own.iter().any(loads) { batch::of_run(target, &run.id).await? } else { Vec::new() };
        for step in own {
            note_writes(&step, run.plan == newest.plan, &mut tables);
            let name = step.target_table.clone();
            let known = tables.iter_mut().find(|known| Some(&known.name) == name.as_ref());
            let Some(known) = known.filter(|_| step.status != StepStatus::Pending) else {
                continue;
            };
            let (mine, rest) = batches.into_iter().partition(|batch| batch.step == step.step);
            batches = rest;
            let layout = step.layout();
            known.loads.push(Load { run: run.clone(), step, layout, batches: mine });
        }
    }
    Ok(tables)
}

/// What a step of SQL says that it writes; of the plan's own steps also tables that nothing else fills,
/// which come behind the others.
fn note_writes(step: &Step, is_own: bool, tables: &mut Vec<Filled>) {
    let Some(name) = step.migration_step.strip_prefix("relate:") else { return };
    let data = step.rollback_data.as_deref().unwrap_or_default();
    let Ok(data) = serde_json::from_str::<serde_json::Value>(data) else { return };
    if data["taken_back"].as_bool() == Some(true) {
        return;
    }
    let written: BTreeSet<&str> = data["writes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| entry["table"].as_str())
        .collect();
    for written in written {
        let place = tables.iter().position(|table| table.name == written);
        let Some(place) = place.or_else(|| {
            let (loads, written_by) = (Vec::new(), Vec::new());
            is_own.then(|| tables.push(Filled { name: written.to_owned(), loads, written_by }))?;
            tables.len().checked_sub(1)
        }) else {
            continue;
        };
        if !tables[place].written_by.iter().any(|known| known == name) {
            tables[place].written_by.push(name.to_owned());
        }
    }
}

//! The life of a target: files that change and are taken, rejects that are read again, and troubles.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use whimbrel_core::Chosen;
use whimbrel_ledger::{RejectStatus, RunStatus, reject};

use crate::ledger::{now, runs};
use crate::resume::trouble;
use crate::troubled::{At, Trouble};
use crate::world::{Process, World, same};

fn world(settings: &str) -> World {
    let plan = format!(
        r#"
[source.s]
csv = "*"
[[table]]
into = "t"
from = "s"
key  = ["id"]
{settings}
columns = {{ id = {{ from = "id", type = "integer" }}, value = "value", n = {{ from = "n", type = "integer" }} }}
"#
    );
    World::new(&plan, &[("s", "id,value,n")])
}

/// What is done to a target.
#[derive(Clone, Debug)]
enum Deed {
    /// The files become these, and what changed is taken.
    Take(Vec<Vec<String>>),
    /// Some of the rejects that wait are read again.
    Retry(Vec<bool>),
}

fn files() -> impl Strategy<Value = Deed> {
    let record = (0..5u8, 0..3u8, select(&["bad", "1", "2", "3"][..]));
    let record = record.prop_map(|(id, value, n)| format!("{id},{value},{n}"));
    vec(vec(record, 0..6), 1..3).prop_map(Deed::Take)
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![files(), vec(any::<bool>(), 1..10).prop_map(Deed::Retry)]
}

fn process<'a>(world: &'a World, deed: &Deed, chosen: &Chosen) -> Process<'a> {
    match deed {
        Deed::Take(_) => world.process().incremental(),
        Deed::Retry(_) => world.process().retry(chosen.clone()),
    }
}

/// Rejects that wait, those that `pick` says.
fn waiting(world: &World, pick: &[bool]) -> Chosen {
    let runs = runs(&world.target);
    let all = runs.iter().flat_map(|run| now(reject::page(&world.target, &run.id, 1, None, 1000)));
    let open = all.filter(|reject| reject.status == RejectStatus::Open);
    let picked = open.zip(pick.iter().cycle()).filter(|(_, picked)| **picked);
    picked.map(|(reject, _)| (reject.id(), None)).collect()
}

/// Does it, whatever befalls the processes that do.
fn perform(world: &World, deed: &Deed, troubles: &[(u64, Trouble)]) -> Result<(), String> {
    let mut chosen = Chosen::new();
    match deed {
        Deed::Take(files) => files.iter().enumerate().for_each(|(number, lines)| {
            world.set("s", &number.to_string(), &lines.join("\n"));
        }),
        Deed::Retry(pick) => chosen = waiting(world, pick),
    }
    let before = runs(&world.target).len();
    let done = || {
        let runs = runs(&world.target);
        runs.len() > before && runs.iter().all(|run| run.status == RunStatus::Completed)
    };
    for (commit, trouble) in troubles {
        if !done() {
            process(world, deed, &chosen).trouble(At::Commit(*commit), *trouble).run();
        }
    }
    if done() {
        return Ok(());
    }
    match process(world, deed, &chosen).run().result {
        Some(Ok(_)) => Ok(()),
        other => Err(format!("{deed:?}: {other:?}")),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_life_with_troubles_ends_like_one_without(
        existing in select(&["reject", "update", "keep"][..]),
        more in select(&["", "legacy_key = [\"id\"]", "duplicates = { by = [\"value\"] }"][..]),
        first in files(),
        deeds in vec((deed(), vec((1..10u64, trouble()), 0..3)), 1..5),
    ) {
        let settings = format!("existing = \"{existing}\"\n{more}");
        let (calm, troubled) = (world(&settings), world(&settings));
        let first = (first, Vec::new());
        for (deed, troubles) in std::iter::once(first).chain(deeds) {
            perform(&calm, &deed, &[]).map_err(TestCaseError::fail)?;
            perform(&troubled, &deed, &troubles).map_err(TestCaseError::fail)?;
            same(&calm, &troubled).map_err(TestCaseError::fail)?;
        }
    }
}

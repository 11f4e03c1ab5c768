//! A small world: a plan, legacy files, a target, and processes that run `migrate` in it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use expect_test::Expect;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use whimbrel_core::event::Emitter;
use whimbrel_core::{
    Cancel, Chosen, Clock, CoreError, Depth, Identity, Options, Outcome, Ports, Preview,
};
use whimbrel_endpoint::memory::{MemoryRecord, MemorySource, MemoryTarget};
use whimbrel_endpoint::{Holder, Source};
use whimbrel_ledger::{Reject, Run};
use whimbrel_model::plan::{self, Plan};
use whimbrel_model::{Defect, Value};

use crate::ledger;
use crate::ports::{Dead, Ear, Heard, Kept, Nobody, Stopped};
use crate::troubled::{At, Flush, Lie, Script, Sips, Trouble, Troubled};

/// A plan, legacy files, and a target.
#[derive(Clone)]
pub(crate) struct World {
    plan: Arc<Plan>,
    sources: BTreeMap<String, MemorySource>,
    pub(crate) target: MemoryTarget,
    pub(crate) spilled: Arc<Kept>,
    dead: Dead,
    processes: Arc<AtomicU64>,
    /// Records that a reader hands over at once.
    sip: usize,
}

impl World {
    /// A plan without its first two lines, and the columns of its sources.
    pub(crate) fn new(tables: &str, sources: &[(&str, &str)]) -> Self {
        let source = |(name, columns): &(&str, &str)| {
            let columns: Vec<&str> = columns.split(',').collect();
            ((*name).to_owned(), MemorySource::new(name, &columns))
        };
        Self {
            plan: Arc::new(decode(tables)),
            sources: sources.iter().map(source).collect(),
            target: MemoryTarget::new(),
            spilled: Arc::default(),
            dead: Dead::default(),
            processes: Arc::default(),
            sip: 2,
        }
    }

    /// Sets a file: a line is a record, `~` is NULL, and a line that begins with `!` is no record.
    pub(crate) fn file(self, source: &str, path: &str, lines: &str) -> Self {
        self.set(source, path, lines);
        self
    }

    /// Replaces a file, or adds one.
    pub(crate) fn set(&self, source: &str, path: &str, lines: &str) {
        self.sources[source].set(path, lines.lines().map(record).collect());
    }

    /// Sets a file of documents: each has an id and a JSON array.
    pub(crate) fn documents(self, source: &str, path: &str, documents: &[(&str, &str)]) -> Self {
        let record = |(id, array): &(&str, &str)| {
            MemoryRecord::new(vec![Value::Text((*id).to_owned()), Value::Json((*array).to_owned())])
        };
        self.sources[source].set(path, documents.iter().map(record).collect());
        self
    }

    /// Adds records to a file.
    pub(crate) fn append(&self, source: &str, path: &str, lines: &str) {
        lines.lines().for_each(|line| self.sources[source].append(path, record(line)));
    }

    /// Names the state of all sources, as one database has it.
    pub(crate) fn in_state(&self, name: &str) {
        self.sources.values().for_each(|source| source.name_state(name));
    }

    /// Takes a file away.
    pub(crate) fn delete(&self, source: &str, path: &str) {
        self.sources[source].take_away(path);
    }

    /// The same world with another plan.
    pub(crate) fn with_plan(mut self, tables: &str) -> Self {
        self.plan = Arc::new(decode(tables));
        self
    }

    /// The same world, whose readers hand over so many records at once.
    pub(crate) fn sips(mut self, records: usize) -> Self {
        self.sip = records;
        self
    }

    /// The same plan and files with an empty target.
    pub(crate) fn afresh(&self) -> Self {
        Self {
            target: MemoryTarget::new(),
            spilled: Arc::default(),
            dead: Dead::default(),
            processes: Arc::default(),
            ..self.clone()
        }
    }

    /// The plan and the files of this world, with the target of another.
    pub(crate) fn on(&self, other: &Self) -> Self {
        Self { plan: Arc::clone(&self.plan), sources: self.sources.clone(), ..other.clone() }
    }

    /// A process of this world, with batches of two rows.
    pub(crate) fn process(&self) -> Process<'_> {
        let options = Options { workers: Some(1), batch_size: Some(2), ..Options::default() };
        let clock = Arc::new(Stopped);
        let script = Script::default();
        Process { world: self, options, script, clock, stop_at: None, chosen: None }
    }

    /// Runs an undisturbed process.
    pub(crate) fn migrate(&self) -> Result<Outcome, CoreError> {
        self.process().run().result.expect("the process lives")
    }

    /// Runs an undisturbed process that takes what changed.
    pub(crate) fn migrate_incremental(&self) -> Result<Outcome, CoreError> {
        self.process().incremental().run().result.expect("the process lives")
    }

    /// The process of this number, from 1, is known to be dead.
    pub(crate) fn declare_dead(&self, process: u64) {
        self.dead.add(process);
    }

    /// Runs an undisturbed process, which completes the run.
    pub(crate) fn migrate_to_the_end(&self) {
        let ended = self.migrate();
        let done = matches!(ended, Ok(Outcome::Completed { .. } | Outcome::NothingToDo { .. }));
        assert!(done, "{ended:?}");
    }

    /// Somebody else writes into the row under this key: its second column.
    pub(crate) fn edit(&self, table: &str, key: &str, value: &str) {
        ledger::edit(&self.target, table, key, value);
    }

    /// What a run would do, looked at to the end.
    pub(crate) fn preview(&self) -> Result<Preview, CoreError> {
        let ports = self.quiet_ports();
        let (schema, options) = (Vec::new(), Options::default());
        let previewing =
            whimbrel_core::preview(&ports, &self.plan, schema, &options, Depth::Everything);
        runtime().block_on(previewing)
    }

    /// Waives rejects of a run.
    pub(crate) fn waive(
        &self,
        run: &Run,
        rejects: Vec<Reject>,
        reason: &str,
    ) -> Result<u64, CoreError> {
        let ports = self.quiet_ports();
        runtime().block_on(whimbrel_core::waive(&ports, run, rejects, reason))
    }

    fn quiet_ports(&self) -> Ports {
        let ear = Ear { stop_at: None, cancel: Cancel::default(), heard: Mutex::default() };
        self.ports(Cancel::default(), Arc::new(ear), Arc::default(), Arc::new(Stopped))
    }

    /// Units that the newest run has committed.
    pub(crate) fn units(&self) -> u64 {
        ledger::units(&self.target)
    }

    /// Everything that is committed, as far as it must not depend on how it came about.
    pub(crate) fn committed(&self) -> Vec<String> {
        ledger::committed(&self.target, &self.plan)
    }

    /// What a person wants to know of it.
    pub(crate) fn told(&self) -> String {
        ledger::told(&self.target, &self.plan)
    }

    fn ports(
        &self,
        cancel: Cancel,
        ear: Arc<Ear>,
        script: Arc<Script>,
        clock: Arc<dyn Clock>,
    ) -> Ports {
        let started = self.processes.fetch_add(1, Ordering::SeqCst) + 1;
        let holder = Holder {
            run: String::new(),
            host: "here".to_owned(),
            boot: "one".to_owned(),
            pid: 7,
            started,
        };
        let sips = |source: &MemorySource| -> Arc<dyn Source> {
            let script = Arc::clone(&script);
            Arc::new(Sips { inner: source.clone(), records: self.sip, script })
        };
        let sources = self.sources.iter().map(|(name, one)| (name.clone(), sips(one))).collect();
        Ports {
            target: Arc::new(Troubled { inner: self.target.clone(), script }),
            sources,
            asked: BTreeMap::new(),
            commands: Arc::new(Nobody),
            clock: Arc::clone(&clock),
            spill: Arc::clone(&self.spilled) as _,
            scratch: std::env::temp_dir(),
            lineage: std::env::temp_dir(),
            liveness: Arc::new(self.dead.clone()),
            events: Emitter::new(clock, ear),
            cancel,
            identity: Identity {
                holder,
                actor: "tester@here".to_owned(),
                tool_version: "0.0.0".to_owned(),
            },
        }
    }
}

/// Migrates and compares what there is then.
#[track_caller]
pub(crate) fn check(world: &World, expect: &Expect) {
    let ended = world.migrate();
    let told = match ended {
        Ok(_) => world.told(),
        Err(error) => format!("{}\n{}: {error}\n", world.told(), error.code()),
    };
    expect.assert_eq(&told);
}

/// Says where two worlds differ, whatever their histories.
pub(crate) fn same(one: &World, other: &World) -> Result<(), String> {
    let (one, other) = (one.committed(), other.committed());
    if one == other {
        return Ok(());
    }
    let only = |here: &[String], there: &[String]| {
        here.iter().find(|line| !there.contains(line)).cloned().unwrap_or_default()
    };
    Err(format!("only here:  {}\nonly there: {}", only(&one, &other), only(&other, &one)))
}

/// A process that is going to run.
pub(crate) struct Process<'a> {
    world: &'a World,
    pub(crate) options: Options,
    pub(crate) script: Script,
    clock: Arc<dyn Clock>,
    stop_at: Option<u64>,
    /// Rejects that it reads again, instead of migrating.
    chosen: Option<Chosen>,
}

/// How a process ended.
pub(crate) struct Ended {
    /// `None`: it died.
    pub(crate) result: Option<Result<Outcome, CoreError>>,
    pub(crate) heard: Heard,
    /// Commits that it tried.
    pub(crate) commits: u64,
    /// Whether the target is still tuned for a load.
    pub(crate) loading: bool,
}

impl Process<'_> {
    pub(crate) fn workers(mut self, workers: u32) -> Self {
        self.options.workers = Some(workers);
        self
    }

    pub(crate) fn batch_size(mut self, rows: u64) -> Self {
        self.options.batch_size = Some(rows);
        self
    }

    pub(crate) fn trouble(mut self, at: At, trouble: Trouble) -> Self {
        self.script.troubles.insert(at, trouble);
        self
    }

    /// Sources are databases with so many sessions.
    pub(crate) fn sessions(mut self, sessions: usize) -> Self {
        self.script.sessions = Some(Arc::new(Semaphore::new(sessions)));
        self
    }

    /// Which commits its server may forget when it falls.
    pub(crate) fn flush(mut self, flush: Flush) -> Self {
        self.script.flush = flush;
        self
    }

    pub(crate) fn stop_at(mut self, checkpoint: u64) -> Self {
        self.stop_at = Some(checkpoint);
        self
    }

    pub(crate) fn incremental(mut self) -> Self {
        self.options.incremental = true;
        self
    }

    pub(crate) fn retry(mut self, chosen: Chosen) -> Self {
        self.chosen = Some(chosen);
        self
    }

    pub(crate) fn lie(mut self, lie: Lie) -> Self {
        self.script.lie = Some(lie);
        self
    }

    pub(crate) fn forget(mut self, table: &'static str, in_batch: u64) -> Self {
        self.script.forgets = Some((table, in_batch));
        self
    }

    /// Time is this clock's.
    pub(crate) fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Lets something happen elsewhere after so many batches.
    pub(crate) fn meanwhile(
        mut self,
        batches: u64,
        happens: impl FnOnce() + Send + 'static,
    ) -> Self {
        self.script.meanwhile = Mutex::new(Some((batches, Box::new(happens))));
        self
    }

    /// Runs until the process is done, or dies.
    pub(crate) fn run(self) -> Ended {
        let cancel = Cancel::default();
        let heard = Mutex::default();
        let ear = Arc::new(Ear { stop_at: self.stop_at, cancel: cancel.clone(), heard });
        let script = Arc::new(self.script);
        let clock = Arc::clone(&self.clock);
        let ports = self.world.ports(cancel, Arc::clone(&ear), Arc::clone(&script), clock);
        let started = ports.identity.holder.started;
        let runtime = runtime();
        let (plan, schema, options) = (&self.world.plan, Vec::new(), &self.options);
        let running = async {
            match self.chosen {
                None => whimbrel_core::migrate(&ports, plan, schema, options).await,
                Some(chosen) => whimbrel_core::retry(&ports, plan, schema, options, chosen).await,
            }
        };
        let result = runtime.block_on(async {
            tokio::select! {
                result = running => Some(result),
                () = script.died.notified() => None,
            }
        });
        runtime.shutdown_background();
        self.world.dead.add(started);
        let heard = ear.heard.lock().expect("nobody panics while listening").clone();
        let commits = script.commits.load(Ordering::SeqCst);
        Ended { result, heard, commits, loading: script.loading.load(Ordering::SeqCst) }
    }
}

/// Time in it is its own and goes by at once: waiting for a retry costs nothing.
fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().expect("a runtime")
}

fn decode(tables: &str) -> Plan {
    let text = format!("name = \"test\"\ntarget = \"memory\"\n{tables}");
    let no_files = |_: &str| Err(std::io::Error::other("no files"));
    plan::decode(&text, &|_| None, &no_files).unwrap_or_else(|errors| {
        let shown: Vec<String> = errors.iter().map(|error| error.render("plan", &text)).collect();
        panic!("{}", shown.join("\n"))
    })
}

fn record(line: &str) -> MemoryRecord {
    if line.starts_with('!') {
        let defect = Defect { code: "WB0101", column: 0, message: "torn".to_owned() };
        return MemoryRecord::defective(format!("{line}\n"), defect);
    }
    let cell = |cell: &str| match cell {
        "~" => Value::Null,
        text => Value::Text(text.to_owned()),
    };
    MemoryRecord::new(line.split(',').map(cell).collect())
}

//! Ledgers made up for tests: one story of records, told with any borders of batches and any
//! number of killed processes.

use whimbrel_endpoint::memory::MemoryTarget;
use whimbrel_endpoint::{Fence, Holder, LeaseAnswer, LeaseRequest, Target, Txn};
use whimbrel_ledger::{
    Batch, Check, CheckStatus, Counts, Item, ItemKind, ItemStatus, Phase, Reject, RejectStatus,
    Run, RunKind, RunStatus, Stage, Step, StepStatus, batch, chain, check, item, reject, run, step,
};
use whimbrel_model::digest::{DigestKey, Domain};
use whimbrel_model::{Account, Class, Digest, RowAccount, SourceMark};

/// How a story is told: everything here is circumstance.
#[derive(Clone, Debug)]
pub(crate) struct Telling {
    pub(crate) run: &'static str,
    /// Units per batch, in turn.
    pub(crate) batches: Vec<usize>,
    /// After each of these many committed batches the process is killed, and another goes on.
    pub(crate) kills: Vec<usize>,
    /// Milliseconds that a batch takes, in turn.
    pub(crate) batch_ms: Vec<u64>,
    /// Milliseconds between a kill and the next process.
    pub(crate) pause_ms: u64,
    /// Second of the day at which it begins.
    pub(crate) start: u64,
}

impl Telling {
    pub(crate) fn undisturbed() -> Self {
        Self {
            run: "aa11bb22",
            batches: vec![100],
            kills: Vec::new(),
            batch_ms: vec![200],
            pause_ms: 0,
            start: 36_000,
        }
    }
}

/// One unit of the story.
pub(crate) struct Unit {
    pub(crate) item: usize,
    pub(crate) record: u64,
    pub(crate) line: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) class: Class,
    pub(crate) refusal: Option<Refusal>,
    /// Code, column and value of a note.
    pub(crate) note: Option<(&'static str, &'static str, &'static str, String)>,
}

/// Why a unit is refused.
#[derive(Clone)]
pub(crate) struct Refusal {
    pub(crate) stage: Stage,
    pub(crate) code: String,
    pub(crate) column: Option<String>,
    pub(crate) rule: Option<String>,
    pub(crate) value: String,
    pub(crate) message: String,
    pub(crate) status: RejectStatus,
}

/// What happened, whoever tells it.
pub(crate) struct Story {
    pub(crate) plan: String,
    /// Table, source, files, units in source order.
    pub(crate) tables: Vec<(String, String, Vec<String>, Vec<Unit>)>,
    /// Steps of SQL: name, and what it has recorded where it is done.
    pub(crate) relates: Vec<(String, Option<String>)>,
    /// How the run stands when it is told.
    pub(crate) status: RunStatus,
    pub(crate) error: Option<(String, String)>,
}

/// Extruder logs with all classes but few surprises.
pub(crate) fn story(records: u64) -> Story {
    let files =
        (0..3).map(|file| format!("legacy/logs/run_2024010{}.csv", file + 1)).collect::<Vec<_>>();
    let samples = (0..3 * records).map(|at| sample_unit(at, records)).collect();
    let runs = (0..3).map(|file| plain(file, 0, 0, format!("run {file}"), Class::Loaded)).collect();
    Story {
        plan: "extruder-telemetry".to_owned(),
        tables: vec![
            ("runs".to_owned(), "samples".to_owned(), files.clone(), runs),
            ("run_samples".to_owned(), "samples".to_owned(), files, samples),
        ],
        relates: vec![
            done("run ends", "\"undo\":\"UPDATE\",\"checked\":true", 3),
            done("closure", "\"undo\":null,\"checked\":false", 1_120),
            done("before", "\"undo\":\"UPDATE\",\"by\":\"0badcafe\"", 7),
        ],
        status: RunStatus::Completed,
        error: None,
    }
}

/// A done step of SQL, in the form of `whimbrel_core`.
pub(crate) fn done(name: &str, about: &str, rows: u64) -> (String, Option<String>) {
    let writes =
        r#"[{"table":"runs","before":3,"after":3},{"table":"gone","before":1,"after":null}]"#;
    let recorded = format!("{{\"rows\":{rows},{about},\"writes\":{writes}}}");
    (name.to_owned(), Some(recorded))
}

fn plain(item: usize, record: u64, line: u64, text: String, class: Class) -> Unit {
    Unit { item, record, line, bytes: text.into_bytes(), class, refusal: None, note: None }
}

fn sample_unit(at: u64, records: u64) -> Unit {
    let (item, record) = ((at / records) as usize, at % records + 1);
    let mut unit = plain(item, record, record + 1, format!("{at},12.5,RUNNING"), Class::Loaded);
    match at % 50 {
        7 => {
            unit.class = Class::Rejected;
            unit.refusal = Some(Refusal {
                stage: Stage::Transform,
                code: "WB0232".to_owned(),
                column: Some("t1_feed".to_owned()),
                rule: None,
                value: format!("{at},5"),
                message: "not a number as it stands".to_owned(),
                status: if at % 100 == 7 { RejectStatus::Open } else { RejectStatus::Waived },
            });
        }
        19 if at % 150 == 19 => {
            unit.class = Class::Rejected;
            unit.refusal = Some(Refusal {
                stage: Stage::Rule,
                code: "WB0251".to_owned(),
                column: None,
                rule: Some("speed_below_200".to_owned()),
                value: "999".to_owned(),
                message: "the rule `speed_below_200` is broken".to_owned(),
                status: RejectStatus::Open,
            });
        }
        23 => unit.class = Class::Filtered,
        31 => unit.class = Class::Duplicate,
        5 | 11 => unit.note = Some(("WB0260", "t2_zone", "", format!("--{at}"))),
        12 => unit.note = Some(("WB0267", "", "warm", String::new())),
        _ => {}
    }
    unit
}

/// A target whose ledger holds the story, told so.
pub(crate) async fn told(story: &Story, telling: &Telling) -> MemoryTarget {
    let target = MemoryTarget::new();
    tell(&target, story, telling).await;
    target
}

/// Writes the story into a target's ledger.
pub(crate) async fn tell(target: &dyn Target, story: &Story, telling: &Telling) {
    target.prepare_ledger().await.unwrap();
    let mut teller = Teller {
        target,
        story,
        telling,
        now: telling.start * 1_000,
        fence: Fence(0),
        told: 0,
        attempts: 0,
    };
    teller.lease().await;
    teller.begin().await;
    for table in 0..story.tables.len() {
        teller.load(table).await;
    }
    if story.status == RunStatus::Completed {
        teller.finish().await;
    } else {
        teller.stop().await;
    }
}

struct Teller<'a> {
    target: &'a dyn Target,
    story: &'a Story,
    telling: &'a Telling,
    /// Milliseconds since midnight.
    now: u64,
    fence: Fence,
    /// Batches committed so far.
    told: usize,
    attempts: u64,
}

impl Teller<'_> {
    async fn lease(&mut self) {
        let holder = Holder {
            run: self.telling.run.to_owned(),
            host: "h".to_owned(),
            boot: "b".to_owned(),
            pid: 1,
            started: 1,
        };
        let request = LeaseRequest {
            holder,
            ttl: std::time::Duration::from_mins(1),
            renew: None,
            dead: None,
        };
        match self.target.lease(&request).await.unwrap() {
            LeaseAnswer::Granted(fence) => self.fence = fence,
            LeaseAnswer::Held { by, .. } => panic!("held by {by:?}"),
        }
    }

    fn at(&self) -> String {
        let (seconds, millis) = (self.now / 1_000, self.now % 1_000);
        let day = 1 + seconds / 86_400;
        format!(
            "2024-05-{day:02}T{:02}:{:02}:{:02}.{millis:03}Z",
            seconds / 3_600 % 24,
            seconds / 60 % 60,
            seconds % 60
        )
    }

    async fn txn(&self) -> Box<dyn Txn> {
        self.target.begin(self.fence).await.unwrap()
    }

    fn run(&self, status: RunStatus, phase: Phase) -> Run {
        let ended =
            matches!(status, RunStatus::Completed | RunStatus::Failed | RunStatus::Interrupted);
        Run {
            id: self.telling.run.to_owned(),
            seq: 1,
            plan: self.story.plan.clone(),
            plan_digest: vec![7; 32],
            kind: RunKind::Full,
            parent: None,
            status,
            phase,
            attempts: self.attempts,
            options: "{\"sample\":null}".to_owned(),
            sources: "{\"samples\":{\"files\":3,\"bytes\":123456}}".to_owned(),
            started_by: "ada@plant-7".to_owned(),
            tool_version: "0.1.0".to_owned(),
            started_at: Self { now: self.telling.start * 1_000, ..*self }.at(),
            ended_at: ended.then(|| self.at()),
            error_code: self.story.error.as_ref().map(|(code, _)| code.clone()),
            error_message: self.story.error.as_ref().map(|(_, message)| message.clone()),
        }
    }

    fn step(&self, number: u64, name: String, table: Option<&str>, done: bool) -> Step {
        Step {
            run: self.telling.run.to_owned(),
            step: number,
            migration_step: name,
            status: if done { StepStatus::Completed } else { StepStatus::Pending },
            started_at: done.then(|| self.at()),
            completed_at: done.then(|| self.at()),
            error_message: None,
            rollback_data: None,
            target_table: table.map(str::to_owned),
            digest: None,
        }
    }

    async fn begin(&mut self) {
        let mut open = self.txn().await;
        let txn = open.as_mut();
        self.attempt(txn, "run.started").await;
        self.now += 50;
        let mut steps = vec![self.step(0, "prepare".to_owned(), None, true)];
        for (index, (table, ..)) in self.story.tables.iter().enumerate() {
            steps.push(self.step(index as u64 + 1, format!("load:{table}"), Some(table), false));
        }
        let tables = steps.len() as u64;
        for (index, (name, _)) in self.story.relates.iter().enumerate() {
            steps.push(self.step(tables + index as u64, format!("relate:{name}"), None, false));
        }
        step::put(txn, &steps).await.unwrap();
        chain::checkpoint(
            txn,
            self.telling.run,
            "prepared",
            "prepare",
            &serde_json::json!({}),
            &self.at(),
        )
        .await
        .unwrap();
        for index in 0..self.story.tables.len() {
            item::put(txn, &self.items(index, &[])).await.unwrap();
        }
        open.commit().await.unwrap();
    }

    async fn attempt(&mut self, txn: &mut dyn Txn, action: &str) {
        self.attempts += 1;
        run::put(txn, &self.run(RunStatus::Running, Phase::Load)).await.unwrap();
        let detail = serde_json::json!({});
        chain::record(txn, &self.at(), "ada@plant-7", action, self.telling.run, &detail)
            .await
            .unwrap();
    }

    /// The items of a table, as far as these units are committed.
    fn items(&self, table: usize, done: &[Unit]) -> Vec<Item> {
        let (_, source, files, units) = &self.story.tables[table];
        let items = files.iter().enumerate().map(|(ordinal, file)| {
            let own: Vec<&Unit> = done.iter().filter(|unit| unit.item == ordinal).collect();
            let all = units.iter().filter(|unit| unit.item == ordinal).count();
            let mut counts = Counts { read: own.len() as u64, classes: [0; 6] };
            for unit in &own {
                counts.classes[unit.class as usize] += 1;
            }
            let status = if own.is_empty() {
                ItemStatus::Pending
            } else if own.len() == all {
                ItemStatus::Completed
            } else {
                ItemStatus::Running
            };
            let completed = status == ItemStatus::Completed;
            Item {
                run: self.telling.run.to_owned(),
                step: table as u64 + 1,
                ordinal: ordinal as u64,
                kind: ItemKind::File,
                source: source.clone(),
                source_file: file.clone(),
                status,
                facts: "{\"size\":4711}".to_owned(),
                first_unit: (ordinal as u64) << 32,
                mark: (!own.is_empty())
                    .then(|| SourceMark { records: own.len() as u64, token: vec![1] }),
                state: None,
                counts,
                lines: completed.then_some(all as u64 + 1),
                skipped: completed.then_some(0),
                error_message: None,
            }
        });
        items.collect()
    }

    async fn load(&mut self, table: usize) {
        let units = &self.story.tables[table].3;
        let (mut from, mut number) = (0, 0);
        while from < units.len() {
            let size = self.telling.batches[self.told % self.telling.batches.len()].max(1);
            let to = (from + size).min(units.len());
            if self.telling.kills.contains(&self.told) {
                // The process died with this batch open: nothing of it is there.
                self.now += self.telling.pause_ms;
                let mut txn = self.txn().await;
                self.attempt(txn.as_mut(), "run.resumed").await;
                txn.commit().await.unwrap();
            }
            self.now += self.telling.batch_ms[self.told % self.telling.batch_ms.len()];
            self.commit(table, number, from, to).await;
            self.told += 1;
            number += 1;
            from = to;
        }
        if self.story.status == RunStatus::Completed {
            let mut txn = self.txn().await;
            let name = &self.story.tables[table].0;
            let step = self.step(table as u64 + 1, format!("load:{name}"), Some(name), true);
            step::put(txn.as_mut(), &[step]).await.unwrap();
            txn.commit().await.unwrap();
        }
    }

    async fn commit(&self, table: usize, number: u64, from: usize, to: usize) {
        let units = &self.story.tables[table].3;
        let mut account = Account::default();
        let mut rows = RowAccount::default();
        let mut rejects = Vec::new();
        for unit in &units[from..to] {
            let digest = digest(&unit.bytes);
            let bytes = unit.bytes.len() as u64;
            account.read.add(&digest, bytes);
            account.class_mut(unit.class).add(&digest, bytes);
            if unit.class == Class::Loaded {
                rows.produced.add(&digest, bytes);
                rows.inserted.add(&digest, bytes);
            }
            if let Some(refusal) = &unit.refusal {
                rejects.push(self.reject(table, unit, refusal));
            }
        }
        let row = Batch {
            run: self.telling.run.to_owned(),
            step: table as u64 + 1,
            batch: number,
            fence: self.fence.0,
            first_item: units[from].item as u64,
            last_item: units[to - 1].item as u64,
            units: account,
            rows,
            notes: notes(&units[from..to], &self.story.tables[table].2),
            committed_at: self.at(),
        };
        let mut txn = self.txn().await;
        batch::put(txn.as_mut(), &row).await.unwrap();
        reject::put(txn.as_mut(), &rejects).await.unwrap();
        item::put(txn.as_mut(), &self.items(table, &units[..to])).await.unwrap();
        txn.commit().await.unwrap();
    }

    fn reject(&self, table: usize, unit: &Unit, refusal: &Refusal) -> Reject {
        let (name, source, files, _) = &self.story.tables[table];
        let waived = refusal.status == RejectStatus::Waived;
        Reject {
            run: self.telling.run.to_owned(),
            step: table as u64 + 1,
            unit: ((unit.item as u64) << 32) + unit.record,
            source: source.clone(),
            source_file: files[unit.item].clone(),
            record: unit.record,
            line: unit.line,
            byte_offset: unit.record * 20,
            byte_len: unit.bytes.len() as u64,
            stage: refusal.stage,
            code: refusal.code.clone(),
            target_table: name.clone(),
            target_column: refusal.column.clone(),
            source_field: refusal.column.as_ref().map(|column| column.to_uppercase()),
            value: Some(refusal.value.clone()),
            rule: refusal.rule.clone(),
            message: refusal.message.clone(),
            digest: digest(&unit.bytes).0.to_vec(),
            bytes: Some(unit.bytes.clone()),
            spill: None,
            status: refusal.status,
            fixed_bytes: None,
            resolved_by: waived.then(|| "ada@plant-7".to_owned()),
            resolution: waived.then(|| "sensor 1 was broken".to_owned()),
            resolved_at: waived.then(|| self.at()),
        }
    }

    /// The steps of SQL that are done, and the one at which the run ended.
    async fn relate(&mut self) {
        let first = self.story.tables.len() as u64 + 1;
        let mut steps = Vec::new();
        for (index, (name, recorded)) in self.story.relates.iter().enumerate() {
            self.now += 40;
            let done = recorded.is_some();
            let step = self.step(first + index as u64, format!("relate:{name}"), None, done);
            let ended = !done && self.story.status == RunStatus::Failed;
            let status = if ended { StepStatus::Failed } else { step.status };
            steps.push(Step { rollback_data: recorded.clone(), status, ..step });
            if ended {
                break;
            }
        }
        let mut txn = self.txn().await;
        step::put(txn.as_mut(), &steps).await.unwrap();
        txn.commit().await.unwrap();
    }

    async fn finish(&mut self) {
        self.relate().await;
        self.now += 30;
        let mut txn = self.txn().await;
        let last = (self.story.tables.len() + self.story.relates.len()) as u64 + 1;
        step::put(txn.as_mut(), &[self.step(last, "finish".to_owned(), None, true)]).await.unwrap();
        run::put(txn.as_mut(), &self.run(RunStatus::Completed, Phase::Finish)).await.unwrap();
        let checks: Vec<Check> = self
            .story
            .tables
            .iter()
            .enumerate()
            .map(|(seq, (table, .., units))| Check {
                run: self.telling.run.to_owned(),
                seq: seq as u64,
                phase: "finish".to_owned(),
                check_type: "conservation".to_owned(),
                check_name: table.clone(),
                status: CheckStatus::Passed,
                expected_count: Some(units.len() as u64),
                actual_count: Some(units.len() as u64),
                details: None,
                error_message: None,
                created_at: self.at(),
            })
            .collect();
        check::put(txn.as_mut(), &checks).await.unwrap();
        chain::checkpoint(
            txn.as_mut(),
            self.telling.run,
            "loaded",
            "load",
            &serde_json::json!({}),
            &self.at(),
        )
        .await
        .unwrap();
        txn.commit().await.unwrap();
    }

    async fn stop(&mut self) {
        if self.story.relates.iter().any(|(_, recorded)| recorded.is_none()) {
            self.relate().await;
        }
        let mut txn = self.txn().await;
        run::put(txn.as_mut(), &self.run(self.story.status, Phase::Load)).await.unwrap();
        txn.commit().await.unwrap();
    }
}

fn digest(bytes: &[u8]) -> Digest {
    DigestKey::derive(&[3; 32], Domain::Source, "samples").digest(bytes)
}

/// The notes of a batch in the form of `whimbrel_transform::Notes::to_json`.
fn notes(units: &[Unit], files: &[String]) -> String {
    let mut all: std::collections::BTreeMap<(&str, &str, &str), (u64, Vec<serde_json::Value>)> =
        std::collections::BTreeMap::new();
    for unit in units {
        let Some((code, column, rule, value)) = &unit.note else { continue };
        let (count, samples) = all.entry((code, column, rule)).or_default();
        *count += 1;
        if samples.len() < 5 {
            let value = if value.is_empty() { None } else { Some(value) };
            samples.push(serde_json::json!({ "path": files[unit.item], "record": unit.record, "line": unit.line, "value": value }));
        }
    }
    let all = all.into_iter().map(|((code, column, rule), (count, samples))| {
        let mut note = serde_json::json!({ "code": code, "count": count, "samples": samples });
        if !column.is_empty() {
            note["column"] = column.into();
        }
        if !rule.is_empty() {
            note["rule"] = rule.into();
        }
        note
    });
    serde_json::Value::Array(all.collect()).to_string()
}

/// Titles of the codes in stories.
pub(crate) fn title_of(code: &str) -> Option<&'static str> {
    match code {
        "WB0232" => Some("not a number as it stands"),
        "WB0251" => Some("a rule of the plan is broken"),
        "WB0260" => Some("values that could not be converted became NULL"),
        "WB0267" => Some("rows that break a rule were loaded"),
        _unknown => None,
    }
}

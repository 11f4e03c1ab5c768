//! Rules of the user's own (`[[check]]`): what each looks at, how many rows break it, and which.
//!
//! ```text
//! rows, kind ─▶ rows of a table or records of a source, streamed (sorted in files where order matters)
//! sql        ─▶ the engine, which only reads        ─▶ violations, the first of them ─▶ judged by `allow`
//! command    ─▶ a program of the user's                                                 and `severity`
//! ```
//! A rule that could not be evaluated is neither broken nor kept. What went wrong with the connection is
//! an error here, so that whoever asks may try again; everything else is the rule's own.

mod circles;
mod command;
mod compile;
mod dates;
mod orphans;
mod overlaps;
mod queries;
mod rows;
mod shown;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};
use whimbrel_endpoint::{EndpointError, ErrorClass, Feed, Script, Snapshot, Source};
use whimbrel_model::plan::{
    Asks, At, Budget, Check, CheckOn, CheckSeverity, Plan, Ready, SqlText, Verify,
};
use whimbrel_model::{Date, DateTime};

use crate::sorter::Room;
use crate::verify::{Checked, Level, Status};
use rows::Subject;
use shown::Samples;

pub(crate) use shown::bounded;

pub use command::{Command, Commands, Ended};
pub use compile::{Known, look_over};

/// The type of these checks in the ledger.
pub const KIND: &str = "check";

/// What is done to a statement of an engine a little later than its rule is given up.
const AFTERWARDS: Duration = Duration::from_millis(500);

/// What rules are evaluated with.
pub struct Rules<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Its sources, by name.
    pub sources: &'a BTreeMap<String, Arc<dyn Source>>,
    /// What answers the SQL of checks of sources, by the names of the checks.
    pub asked: &'a BTreeMap<String, Arc<dyn Source>>,
    /// What runs programs.
    pub commands: &'a dyn Commands,
    /// What the target's engine is called.
    pub engine: &'a str,
    /// The run, where there is one.
    pub run: Option<&'a str>,
    /// Which day it is.
    pub today: Date,
    /// Where rows are sorted.
    pub room: Room,
}

/// What a rule has found.
#[derive(Default)]
struct Tally {
    /// Rows that were looked at, where that is known.
    looked: Option<u64>,
    /// Rows that break it.
    violations: u64,
    samples: Samples,
}

impl Tally {
    fn over_rows() -> Self {
        Self { looked: Some(0), ..Self::default() }
    }

    fn looked_at(&mut self, rows: usize) {
        self.looked = self.looked.map(|looked| looked + rows as u64);
    }

    fn violated(&mut self, who: impl FnOnce() -> String) {
        self.violations += 1;
        self.samples.take(who);
    }
}

/// Why a rule could not be evaluated.
enum Trouble {
    /// The rule's own.
    Own(String),
    /// Nobody knows what would have come of it.
    Lost(EndpointError),
}

impl From<EndpointError> for Trouble {
    fn from(error: EndpointError) -> Self {
        match error.class {
            ErrorClass::Transient | ErrorClass::Unknown | ErrorClass::Fenced => Self::Lost(error),
            ErrorClass::Configuration
            | ErrorClass::Changed
            | ErrorClass::Data
            | ErrorClass::Constraint
            | ErrorClass::System => {
                let why = error.why.map(|why| format!(": {why}")).unwrap_or_default();
                Self::Own(format!("{}{why} ({})", error.what, error.code))
            }
        }
    }
}

fn own(what: impl Into<String>) -> Trouble {
    Trouble::Own(what.into())
}

/// The level from which on a rule is evaluated.
fn from_level(check: &Check) -> Level {
    match check.level {
        Verify::None | Verify::Basic => Level::Basic,
        Verify::Standard => Level::Standard,
        Verify::Rigorous => Level::Rigorous,
        Verify::Forensic => Level::Forensic,
    }
}

impl Rules<'_> {
    /// The rules on the target that a level has, on one state of it.
    pub async fn of_target(
        &self,
        level: Level,
        snapshot: &dyn Snapshot,
    ) -> Result<Vec<Checked>, EndpointError> {
        let mut checked = Vec::new();
        for check in self.plan.checks.iter().filter(|check| from_level(check) <= level) {
            if matches!(check.on, CheckOn::Target) {
                checked.push(self.evaluated(check, Some(snapshot)).await?);
            }
        }
        Ok(checked)
    }

    /// The rules on sources that a level has.
    pub async fn of_sources(&self, level: Level) -> Result<Vec<Checked>, EndpointError> {
        let mut checked = Vec::new();
        for check in self.plan.checks.iter().filter(|check| from_level(check) <= level) {
            if matches!(check.on, CheckOn::Source(_)) {
                checked.push(self.evaluated(check, None).await?);
            }
        }
        Ok(checked)
    }

    /// The plan's queries against their budgets, on one state of the target.
    pub async fn in_time(&self, snapshot: &dyn Snapshot) -> Result<Vec<Checked>, EndpointError> {
        let mut checked = Vec::new();
        for query in &self.plan.queries {
            checked.push(queries::timed(query, snapshot, self.engine).await?);
        }
        Ok(checked)
    }

    async fn evaluated(
        &self,
        check: &Check,
        snapshot: Option<&dyn Snapshot>,
    ) -> Result<Checked, EndpointError> {
        let passed = Checked::passed(KIND, &check.name.value);
        if let Asks::Command { words, pass } = &check.asks {
            return Ok(self.command(check, words, pass).await);
        }
        let answer = tokio::time::timeout(check.timeout, self.asked(check, snapshot)).await;
        Ok(match answer {
            Ok(Ok(tally)) => judged(check, passed, &tally),
            Ok(Err(Trouble::Lost(error))) => return Err(error),
            Ok(Err(Trouble::Own(why))) => passed.ended(Status::Unverified, why),
            Err(_) => {
                let message = format!("it took longer than {:?}", check.timeout);
                passed.ended(Status::Unverified, message)
            }
        })
    }

    async fn asked(
        &self,
        check: &Check,
        snapshot: Option<&dyn Snapshot>,
    ) -> Result<Tally, Trouble> {
        let subject = self.subject(check, snapshot)?;
        match (&check.asks, subject) {
            (Asks::Sql(sql), _) => self.sql(check, sql, snapshot).await,
            (Asks::Rows { cel, .. }, Some(subject)) => rows::hold(&subject, cel).await,
            (Asks::Ready { ready, .. }, Some(subject)) => self.ready(ready, &subject).await,
            (Asks::Command { .. } | Asks::Rows { .. } | Asks::Ready { .. }, _) => {
                Err(own("it says not what it looks at"))
            }
        }
    }

    /// The rows that a rule looks at, where it is rows of one thing.
    fn subject<'s>(
        &'s self,
        check: &'s Check,
        snapshot: Option<&'s dyn Snapshot>,
    ) -> Result<Option<Subject<'s>>, Trouble> {
        let Some(name) = check.subject() else { return Ok(None) };
        match (&check.on, snapshot) {
            (CheckOn::Source(_), _) => self.source(&name.value).map(Some),
            (CheckOn::Target, Some(snapshot)) => {
                Ok(Some(Subject::Table { snapshot, name: &name.value, hides: self.is_sensitive() }))
            }
            (CheckOn::Target, None) => Ok(None),
        }
    }

    fn source<'s>(&'s self, name: &'s str) -> Result<Subject<'s>, Trouble> {
        let found = self.sources.get(name).zip(self.plan.source(name));
        let (source, plan) = found.ok_or_else(|| own(format!("no source is called `{name}`")))?;
        Ok(Subject::Source { source, plan, hides: self.is_sensitive() })
    }

    async fn ready(&self, ready: &Ready, subject: &Subject<'_>) -> Result<Tally, Trouble> {
        match ready {
            Ready::Orphans { columns, references, key } => {
                let parents = match subject {
                    Subject::Table { snapshot, hides, .. } => Subject::Table {
                        snapshot: *snapshot,
                        name: &references.value,
                        hides: *hides,
                    },
                    Subject::Source { .. } => self.source(&references.value)?,
                };
                orphans::find(subject, columns, &parents, key, &self.room).await
            }
            Ready::SelfParents { key, parent } => rows::own_parents(subject, key, parent).await,
            Ready::Cycles { key, parent } => circles::find(subject, key, parent, &self.room).await,
            Ready::Dates { columns, after, before, span } => {
                let day = |text: &Option<At<String>>| dates::bound(text.as_ref(), self.today);
                let bounds = (day(after), day(before));
                dates::find(subject, columns, bounds, span.as_ref()).await
            }
            Ready::Overlaps { by, start, end } => {
                overlaps::find(subject, by, start, end, &self.room).await
            }
        }
    }

    async fn sql(
        &self,
        check: &Check,
        sql: &SqlText,
        snapshot: Option<&dyn Snapshot>,
    ) -> Result<Tally, Trouble> {
        let (names, mut feed): (Vec<String>, Box<dyn Feed>) = match snapshot {
            Some(snapshot) => {
                let text = sql.for_engine(self.engine);
                let text = text.ok_or_else(|| own(format!("it has no SQL for {}", self.engine)))?;
                let name = format!("check `{}`", shown::text(&check.name.value));
                let script = Script { name, sql: text.to_owned() };
                snapshot.query(&script, check.timeout + AFTERWARDS).await?
            }
            None => {
                let source = self.asked.get(&check.name.value);
                let source = source.ok_or_else(|| own("its source is no database"))?;
                rows::answer(source).await?
            }
        };
        let mut tally = Tally::default();
        let hides = self.is_sensitive();
        while let Some(chunk) = feed.next().await? {
            for row in chunk.rows() {
                tally.violated(|| {
                    if hides { shown::MASK.to_owned() } else { shown::cells(&names, row) }
                });
            }
        }
        Ok(tally)
    }

    async fn command(&self, check: &Check, words: &[At<String>], pass: &[At<String>]) -> Checked {
        let texts = |all: &[At<String>]| all.iter().map(|one| one.value.clone()).collect();
        let mut given = vec![
            ("WHIMBREL_CHECK", check.name.value.clone()),
            ("WHIMBREL_TARGET", self.plan.target.value.url_shown()),
            ("WHIMBREL_ENGINE", self.engine.to_owned()),
        ];
        given.extend(self.run.map(|run| ("WHIMBREL_RUN", run.to_owned())));
        if let CheckOn::Source(source) = &check.on {
            given.push(("WHIMBREL_SOURCE", source.value.clone()));
        }
        let command = Command {
            words: texts(words),
            given: given.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            pass: texts(pass),
            timeout: check.timeout,
        };
        let passed = Checked::passed(KIND, &check.name.value);
        let ended = self.commands.run(command).await;
        command::judged(check, passed, ended, self.is_sensitive(), self.plan)
    }

    /// Whether values must not be shown: nobody knows which of them a rule shows.
    fn is_sensitive(&self) -> bool {
        self.plan.sources.iter().any(|source| !source.sensitive.is_empty())
    }
}

/// The whole days of an instant.
pub fn day_of(now: DateTime) -> Date {
    now.date()
}

/// What becomes of violations.
fn judged(check: &Check, passed: Checked, tally: &Tally) -> Checked {
    let allowed = match (check.allow, tally.looked) {
        (Budget::Count(count), _) => count,
        (Budget::Ratio(ratio), looked) => (ratio * looked.unwrap_or(0) as f64).floor() as u64,
    };
    let allow: Json = match check.allow {
        Budget::Count(count) => count.into(),
        Budget::Ratio(ratio) => format!("{}%", ratio * 100.0).into(),
    };
    let details = json!({
        "severity": severity(check), "on": on(check), "looked": tally.looked, "allow": allow,
        "samples": tally.samples.texts,
    });
    let violations = tally.violations;
    let checked = Checked { details, ..passed }.counts(allowed, violations);
    if violations == 0 {
        return checked;
    }
    let of = tally.looked.map(|looked| format!(" of {looked}")).unwrap_or_default();
    let verb = if violations == 1 { "breaks" } else { "break" };
    let limit = if allowed == 0 { String::new() } else { format!(" ({allowed} allowed)") };
    let samples = tally.samples.told(violations);
    let is_one = tally.looked.is_none() && violations == 1;
    let rows = if is_one { "row" } else { "rows" };
    let message = format!("{violations}{of} {rows} {verb} it{limit}: {samples}");
    let is_over = violations > allowed;
    let status = match check.severity {
        CheckSeverity::Error if is_over => Status::Failed,
        CheckSeverity::Error | CheckSeverity::Warning => Status::Noted,
    };
    checked.ended(status, message)
}

fn severity(check: &Check) -> &'static str {
    match check.severity {
        CheckSeverity::Error => "error",
        CheckSeverity::Warning => "warning",
    }
}

fn on(check: &Check) -> &str {
    match &check.on {
        CheckOn::Target => "target",
        CheckOn::Source(source) => &source.value,
    }
}

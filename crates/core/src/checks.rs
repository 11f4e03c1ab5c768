//! Rules of the plan (`[[check]]`): looked over with everything else before a run, evaluated on sources
//! before the first write. Those on the target belong to the verification.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use whimbrel_endpoint::{EndpointError, ErrorClass, Script, Snapshot, TargetFacts};
use whimbrel_model::Table;
use whimbrel_model::plan::{Asks, At, Check, CheckOn, Plan, PlanError, Ready, SqlText, Verify};
use whimbrel_transform::excerpt_text;
use whimbrel_validator::rules::{self, Known, Rules};
use whimbrel_validator::sorter::Room;
use whimbrel_validator::verify::{Checked, Level, Status};

use crate::error::{CoreError, While};
use crate::event::Event;
use crate::ports::Ports;
use crate::survey::SourceSurvey;
use crate::verify::SORT_BYTES;

/// The number of the first check of sources: those of other phases stand before and behind.
const FIRST: u64 = 500_000;

/// What the plan's rules are evaluated with.
pub(crate) fn rules<'a>(
    ports: &'a Ports,
    plan: &'a Plan,
    engine: &'a str,
    run: Option<&'a str>,
) -> Rules<'a> {
    Rules {
        plan,
        sources: &ports.sources,
        asked: &ports.asked,
        commands: ports.commands.as_ref(),
        engine,
        run,
        today: ports.clock.now().date(),
        room: Room { folder: ports.scratch.clone(), bytes: SORT_BYTES },
    }
}

/// Evaluates the rules on sources that a level has. Writes nothing.
pub async fn check_sources(
    ports: &Ports,
    plan: &Plan,
    level: Level,
) -> Result<Vec<Checked>, CoreError> {
    if plan.checks.iter().all(|check| matches!(check.on, CheckOn::Target)) {
        return Ok(Vec::new());
    }
    let facts = ports.target.facts().await.during(|| "looking at the target".to_owned())?;
    let rules = rules(ports, plan, facts.engine, None);
    rules.of_sources(level).await.during(|| "evaluating the checks of sources".to_owned())
}

/// The rules on sources before a run: what is broken refuses it, what could not be evaluated too.
pub(crate) async fn before(ports: &Ports, plan: &Plan) -> Result<Vec<Checked>, CoreError> {
    let level = match plan.verify {
        Verify::None | Verify::Basic => Level::Basic,
        Verify::Standard => Level::Standard,
        Verify::Rigorous => Level::Rigorous,
        Verify::Forensic => Level::Forensic,
    };
    let checked = check_sources(ports, plan, level).await?;
    let of = |status: Status| -> Vec<String> {
        checked.iter().filter(|one| one.status == status).map(told).collect()
    };
    let (failed, unknown) = (of(Status::Failed), of(Status::Unverified));
    if !failed.is_empty() {
        return Err(CoreError::SourcesBreakRules(failed.join("; ")));
    }
    if !unknown.is_empty() {
        return Err(CoreError::NotEvaluated(unknown.join("; ")));
    }
    for message in of(Status::Noted) {
        ports.events.emit(Event::Warning { code: "WB0645", message });
    }
    Ok(checked)
}

/// A rule and what came of it.
pub(crate) fn told(checked: &Checked) -> String {
    let message = checked.message.as_deref().unwrap_or("it holds");
    format!("check `{}`: {message}", excerpt_text(&checked.name))
}

/// The rules on sources as rows of the ledger.
pub(crate) fn as_rows(run: &str, checked: &[Checked], now: &str) -> Vec<whimbrel_ledger::Check> {
    let row =
        |(index, one): (usize, &Checked)| one.as_row(run, FIRST + index as u64, "preflight", now);
    checked.iter().enumerate().map(row).collect()
}

/// What the look before a run knows of sources and target.
pub(crate) struct View<'a> {
    pub(crate) ports: &'a Ports,
    pub(crate) plan: &'a Plan,
    pub(crate) target: &'a TargetFacts,
    pub(crate) sources: &'a BTreeMap<String, SourceSurvey>,
    /// Tables that are there, or that the schema makes.
    pub(crate) tables: &'a BTreeMap<String, (Table, bool)>,
    /// Tables that are made from the mapping.
    pub(crate) made: BTreeMap<String, Table>,
}

impl View<'_> {
    /// Every mistake of the plan's rules that can be known before a row is read.
    pub(crate) async fn mistakes(&self) -> Result<Vec<PlanError>, CoreError> {
        let mut mistakes = Vec::new();
        let mut snapshot = None;
        for check in &self.plan.checks {
            match &check.asks {
                Asks::Sql(_) => mistakes.extend(self.sql(check, &mut snapshot).await?),
                Asks::Rows { .. } | Asks::Ready { .. } => {
                    mistakes.extend(self.names(check).await?);
                }
                Asks::Command { .. } => {}
            }
        }
        for query in &self.plan.queries {
            let (name, sql) = (&query.name.value, &query.sql);
            mistakes.extend(self.taken("query", name, sql, &mut snapshot).await?);
        }
        Ok(mistakes)
    }

    async fn names(&self, check: &Check) -> Result<Vec<PlanError>, CoreError> {
        let Some(subject) = check.subject() else { return Ok(Vec::new()) };
        let known = match &check.on {
            CheckOn::Source(name) => self.of_source(&name.value),
            CheckOn::Target => match self.of_table(&subject.value).await? {
                Some(table) => Known::of(&table),
                None => return Ok(self.no_table(subject)),
            },
        };
        let mut mistakes = rules::look_over(check, &known);
        if let (Asks::Ready { ready: Ready::Orphans { references, key, columns }, .. }, true) =
            (&check.asks, matches!(check.on, CheckOn::Target))
        {
            match self.of_table(&references.value).await? {
                None => mistakes.extend(self.no_table(references)),
                Some(parent) => {
                    let unknown = key.iter().filter(|key| parent.column(&key.value).is_none());
                    mistakes.extend(unknown.map(|column| no_column(references, column)));
                    mistakes.extend(no_match(&parent, references, key, columns));
                }
            }
        }
        Ok(mistakes)
    }

    fn of_source(&self, name: &str) -> Known {
        let shapes = self.sources.get(name).map(|source| source.shapes.as_slice());
        let shapes = shapes.unwrap_or_default();
        let mut names = BTreeSet::new();
        for (shape, _) in shapes {
            names.extend(shape.columns.iter().map(|column| column.name.clone()));
        }
        let optional = self.plan.source(name).map(|source| source.optional.as_slice());
        names.extend(optional.unwrap_or_default().iter().map(|column| column.value.clone()));
        let closed = !shapes.is_empty() && shapes.iter().all(|(shape, _)| shape.closed);
        Known { names: names.into_iter().collect(), kinds: Vec::new(), closed }
    }

    /// A table as it is or will be.
    async fn of_table(&self, name: &str) -> Result<Option<Table>, CoreError> {
        if let Some((table, _)) = self.tables.get(name) {
            return Ok(Some(table.clone()));
        }
        if let Some(table) = self.made.get(name) {
            return Ok(Some(table.clone()));
        }
        if !self.target.exists {
            return Ok(None);
        }
        let described = self.ports.target.describe(name).await;
        described.during(|| format!("describing table `{name}`"))
    }

    /// A table that SQL of the plan writes may be its own.
    fn no_table(&self, name: &At<String>) -> Vec<PlanError> {
        let relates = &self.plan.relates;
        if relates.iter().any(|relate| relate.writes.iter().any(|it| it.value == name.value)) {
            return Vec::new();
        }
        vec![PlanError {
            code: whimbrel_validator::codes::CHECK_FITS,
            message: format!("there is no table `{}`", excerpt_text(&name.value)),
            span: Some(name.span.clone()),
            help: None,
        }]
    }

    /// SQL is prepared where its tables may be there.
    async fn sql(
        &self,
        check: &Check,
        snapshot: &mut Option<Arc<dyn Snapshot>>,
    ) -> Result<Vec<PlanError>, CoreError> {
        let Asks::Sql(sql) = &check.asks else { return Ok(Vec::new()) };
        if matches!(check.on, CheckOn::Target) {
            return self.taken("check", &check.name.value, sql, snapshot).await;
        }
        let name = excerpt_text(&check.name.value);
        let Some(source) = self.ports.asked.get(&check.name.value) else {
            return Ok(Vec::new());
        };
        let looked = async {
            for partition in source.partitions().await?.partitions {
                source.describe(&partition).await?;
            }
            Ok(())
        };
        let looked: Result<(), EndpointError> = looked.await;
        match looked {
            Err(error) if error.class == ErrorClass::Configuration => {
                Ok(vec![refused(error.code, error.what, None, sql)])
            }
            looked => looked.during(|| format!("check `{name}`")).map(|()| Vec::new()),
        }
    }

    /// Whether the target takes a statement of the plan.
    async fn taken(
        &self,
        what: &str,
        name: &str,
        sql: &SqlText,
        snapshot: &mut Option<Arc<dyn Snapshot>>,
    ) -> Result<Vec<PlanError>, CoreError> {
        let name = excerpt_text(name);
        let engine = self.target.engine;
        let Some(text) = sql.for_engine(engine) else {
            let message = format!("`sql` of `[[{what}]]` `{name}` has no text for `{engine}`");
            let help = format!("add `{engine} = \"…\"`");
            return Ok(vec![refused("WB0036", message, Some(help), sql)]);
        };
        // A server without its database is asked nothing; of SQLite the engine is here.
        if !self.target.exists && engine != "sqlite" {
            return Ok(Vec::new());
        }
        let script = Script { name: format!("{what} `{name}`"), sql: text.to_owned() };
        if snapshot.is_none() {
            let taken = self.ports.target.snapshot();
            *snapshot = Some(taken.during(|| "looking at the target".to_owned())?);
        }
        let Some(snapshot) = snapshot else { return Ok(Vec::new()) };
        match snapshot.prepare(&script).await {
            Ok(()) => Ok(Vec::new()),
            Err(error) if error.code == whimbrel_endpoint::codes::MISSING => {
                // Something that is not there yet may be made by the run.
                Ok(Vec::new())
            }
            Err(error) if error.code == whimbrel_endpoint::codes::UNSUPPORTED => Ok(Vec::new()),
            Err(error) if error.class == ErrorClass::Configuration => {
                Ok(vec![refused(error.code, error.what, None, sql)])
            }
            Err(error) => Err(error).during(|| format!("{what} `{name}`")),
        }
    }
}

fn refused(code: &'static str, message: String, help: Option<String>, sql: &SqlText) -> PlanError {
    PlanError { code, message, span: Some(sql.span.clone()), help }
}

/// Columns that lead to a key with another number of them.
fn no_match(
    parent: &Table,
    references: &At<String>,
    key: &[At<String>],
    columns: &[At<String>],
) -> Option<PlanError> {
    let own = parent.key.len();
    // A `key` that is said is counted with the plan's own mistakes.
    if !key.is_empty() || columns.is_empty() || own == columns.len() {
        return None;
    }
    let name = excerpt_text(&references.value);
    let message = match own {
        0 => format!("`{name}` has no key, and `key` does not say what `columns` lead to"),
        1 => format!("the key of `{name}` has 1 column, and `columns` {}", columns.len()),
        own => format!("the key of `{name}` has {own} columns, and `columns` {}", columns.len()),
    };
    Some(PlanError {
        code: whimbrel_validator::codes::CHECK_FITS,
        message,
        span: Some(columns[0].span.clone()),
        help: Some("say by `key` which columns there are meant".to_owned()),
    })
}

fn no_column(table: &At<String>, column: &At<String>) -> PlanError {
    PlanError {
        code: whimbrel_validator::codes::CHECK_FITS,
        message: format!(
            "`{}` has no column `{}`",
            excerpt_text(&table.value),
            excerpt_text(&column.value)
        ),
        span: Some(column.span.clone()),
        help: None,
    }
}

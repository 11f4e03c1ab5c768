//! The look before anything is written: files found, tables described, mappings compiled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use whimbrel_endpoint::{Discovery, Finding, Needs, Partition, SchemaFile, Shape, TargetFacts};
use whimbrel_ledger::Item;
use whimbrel_model::Table;
use whimbrel_model::plan::{Base, LargeFiles, Plan, TableMapping};
use whimbrel_transform::{CompileError, Environment, Limits, SourceShape, Step};
use whimbrel_validator::verify::Checked;

use crate::checks::View;
use crate::error::{CoreError, While};
use crate::options::Options;
use crate::ports::Ports;
use crate::relate;

/// Everything that is known before the first write.
pub struct Survey {
    /// What the target is.
    pub target: TargetFacts,
    /// What each source consists of, by name.
    pub sources: BTreeMap<String, SourceSurvey>,
    /// The steps, parents before children.
    pub steps: Vec<SurveyedStep>,
    /// The steps of SQL, in the order of the plan.
    pub relates: Vec<SurveyedRelate>,
    /// What endpoints want to be known; nothing of it stands in the way.
    pub findings: Vec<Found>,
    /// Schema files to apply.
    pub schema: Vec<SchemaFile>,
    /// What came of the checks of sources, where a run is about to begin.
    pub checked: Vec<Checked>,
}

/// What an endpoint wants to be known.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Found {
    /// `target`, `source NAME`, or `source NAME and 2 more`.
    pub at: String,
    /// A code that `explain` knows.
    pub code: &'static str,
    /// What it is and what to do.
    pub message: String,
}

/// A step of SQL.
pub struct SurveyedRelate {
    /// Index in the plan's `[[relate]]`.
    pub index: usize,
    /// Digest of its SQL for the target's engine.
    pub digest: [u8; 32],
}

/// What a source consists of.
#[derive(Debug)]
pub struct SourceSurvey {
    /// Files in source order.
    pub partitions: Vec<Partition>,
    /// Files left out or rejected as a whole, by path, with the reason.
    pub set_aside: Vec<SetAside>,
    /// Distinct shapes with the number of files of each, most frequent first.
    pub shapes: Vec<(Shape, u64)>,
    /// Bytes of all files.
    pub bytes: u64,
    /// Whether it is a database, whose one partition is no file.
    pub database: bool,
    /// The name of the state in which it was looked at, where there is one.
    pub state: Option<String>,
}

impl Survey {
    /// Ordinal of the last step, `finish`.
    pub(crate) fn last_step(&self) -> u64 {
        (self.steps.len() + self.relates.len()) as u64 + 1
    }

    /// Ordinal of the first step behind those that load.
    pub(crate) fn first_relate(&self) -> u64 {
        self.steps.len() as u64 + 1
    }

    /// Bytes to be read of an item; nothing of a file that is left out.
    pub(crate) fn bytes_of(&self, item: &Item) -> Option<u64> {
        let files = &self.sources.get(&item.source)?.partitions;
        let path = item.source_file.as_bytes();
        let found = files.binary_search_by(|file| file.id.path.as_bytes().cmp(path)).ok()?;
        Some(files[found].facts.size)
    }

    /// The file of that source and path, if it is still there.
    pub(crate) fn find(&self, source: &str, path: &str) -> Option<&Partition> {
        let source = self.sources.get(source)?;
        let asides = source.set_aside.iter().map(|aside| &aside.partition);
        source.partitions.iter().chain(asides).find(|partition| partition.id.path == path)
    }
}

/// A file that is not read.
#[derive(Clone, Debug)]
pub struct SetAside {
    /// The file.
    pub partition: Partition,
    /// Left out (true) or rejected (false).
    pub filtered: bool,
    /// Why.
    pub reason: String,
}

/// A table's mapping, compiled.
pub struct SurveyedStep {
    /// Index in the plan's tables.
    pub mapping: usize,
    /// The compiled mapping.
    pub step: Arc<Step>,
    /// The target's table, where it exists; otherwise what will be created.
    pub table: Table,
    /// True where the table does not exist yet.
    pub created: bool,
    /// Digest of everything that decides what this step loads.
    pub digest: [u8; 32],
}

/// Looks at sources and target and compiles the plan. Writes nothing.
pub async fn survey(
    ports: &Ports,
    plan: &Plan,
    schema: Vec<SchemaFile>,
    options: &Options,
) -> Result<Survey, CoreError> {
    let target = ports.target.facts().await.during(|| "looking at the target".to_owned())?;
    let mut findings = Vec::new();
    let mut sources = BTreeMap::new();
    for source in &plan.sources {
        let name = &source.name.value;
        let adapter = &ports.sources[name];
        let at = format!("source {name}");
        let inspected = adapter.inspect().await.during(|| format!("looking at `{name}`"))?;
        findings.extend(harmless(&at, inspected)?);
        let discovery =
            adapter.partitions().await.during(|| format!("looking for the files of `{name}`"))?;
        sources.insert(name.clone(), look_at(ports, plan, name, discovery, options).await?);
    }
    let mut findings = said_once(findings);
    let tables = describe_tables(ports, plan, &schema, &target).await?;
    let relates = relate::look_at(plan, target.engine);
    if let Ok(relates) = &relates {
        relate::look_over(ports, plan, relates, target.engine)?;
    }
    let steps = compile(plan, &sources, &tables, &target);
    let mistakes = {
        let steps = steps.iter().flatten();
        let made = steps.map(|step| (step.table.name.clone(), step.table.clone())).collect();
        let (target, sources, tables) = (&target, &sources, &tables);
        View { ports, plan, target, sources, tables, made }.mistakes().await?
    };
    let (steps, relates) = match (steps, relates) {
        (Ok(steps), Ok(relates)) if mistakes.is_empty() => (steps, relates),
        (steps, relates) => {
            let errors = [steps.err(), relates.err(), Some(mistakes)];
            return Err(CoreError::Compile(errors.into_iter().flatten().flatten().collect()));
        }
    };
    let needs = needs(&sources, &steps, &schema);
    let inspected = ports.target.inspect(&needs).await;
    findings.extend(harmless("target", inspected.during(|| "looking at the target".to_owned())?)?);
    let checked = Vec::new();
    Ok(Survey { target, sources, steps, relates, findings, schema, checked })
}

/// What several sources tell in the same words, as of the database that they share, is told once.
pub(crate) fn said_once(findings: Vec<Found>) -> Vec<Found> {
    let mut once: Vec<(Found, usize)> = Vec::new();
    for found in findings {
        let same = |known: &Found| (known.code, &known.message) == (found.code, &found.message);
        match once.iter_mut().find(|(known, _)| same(known)) {
            Some((_, more)) => *more += 1,
            None => once.push((found, 0)),
        }
    }
    let told = |(found, more): (Found, usize)| match more {
        0 => found,
        more => Found { at: format!("{} and {more} more", found.at), ..found },
    };
    once.into_iter().map(told).collect()
}

/// What was found, where nothing of it stands in the way of a run.
fn harmless(at: &str, findings: Vec<Finding>) -> Result<Vec<Found>, CoreError> {
    let (blocking, rest): (Vec<Finding>, Vec<Finding>) =
        findings.into_iter().partition(|finding| finding.blocks);
    let found = |finding: Finding| Found {
        at: at.to_owned(),
        code: finding.code,
        message: finding.message,
    };
    if blocking.is_empty() {
        return Ok(rest.into_iter().map(found).collect());
    }
    Err(CoreError::Blocked(blocking.into_iter().map(found).collect()))
}

/// Rows with ledger and index take about this many times the bytes of their records.
pub(crate) const DISK_FACTOR: u64 = 2;

fn needs(
    sources: &BTreeMap<String, SourceSurvey>,
    steps: &[SurveyedStep],
    schema: &[SchemaFile],
) -> Needs {
    let names = |created: bool| {
        let those = steps.iter().filter(|step| step.created == created);
        those.map(|step| step.table.name.clone()).collect()
    };
    let known = sources.values().all(|source| !source.database);
    let bytes = sources.values().map(|source| source.bytes).sum::<u64>();
    let bytes = known.then_some(bytes.saturating_mul(DISK_FACTOR));
    let key = |step: &SurveyedStep| -> Option<(String, Vec<String>)> {
        let table = &step.table;
        let key = table.key.iter().map(|&index| table.columns[index].name.clone());
        (!table.key.is_empty()).then(|| (table.name.clone(), key.collect()))
    };
    let keys = steps.iter().filter_map(key).collect();
    Needs { tables: names(false), creates: names(true), keys, schema: schema.to_vec(), bytes }
}

async fn look_at(
    ports: &Ports,
    plan: &Plan,
    name: &str,
    discovery: Discovery,
    options: &Options,
) -> Result<SourceSurvey, CoreError> {
    let source = plan.sources.iter().find(|source| source.name.value == name);
    let source = source.expect("the source is one of the plan's");
    if !discovery.unreadable.is_empty() {
        let paths = discovery.unreadable.into_iter().map(|one| (one.path, one.reason));
        return Err(CoreError::Unreadable(paths.collect()));
    }
    if discovery.partitions.is_empty() {
        let globs: Vec<&str> = source.globs.iter().map(|glob| glob.value.as_str()).collect();
        let globs = globs.join(", ");
        return Err(CoreError::NoFiles { source_name: name.to_owned(), globs });
    }
    let (limit, large) = options.file_limit(source);
    let state = ports.sources[name].state().await.during(|| format!("looking at `{name}`"))?;
    let mut survey = SourceSurvey {
        partitions: Vec::new(),
        set_aside: Vec::new(),
        shapes: Vec::new(),
        bytes: 0,
        database: source.database().is_some(),
        state,
    };
    for partition in discovery.partitions {
        let size = partition.facts.size;
        survey.bytes += size;
        let too_large = limit.is_some_and(|limit| size > limit);
        if too_large && large != LargeFiles::Handle {
            let reason = format!("{size} bytes, over the limit of {}", limit.unwrap_or(0));
            let filtered = large == LargeFiles::Skip;
            survey.set_aside.push(SetAside { partition, filtered, reason });
            continue;
        }
        survey.partitions.push(partition);
    }
    survey.shapes = shapes(ports, name, &survey.partitions).await?;
    Ok(survey)
}

/// Files that are looked into for their shape; of more, an even spread.
const SHAPES_LOOKED_AT: usize = 500;

async fn shapes(
    ports: &Ports,
    name: &str,
    partitions: &[Partition],
) -> Result<Vec<(Shape, u64)>, CoreError> {
    let adapter = &ports.sources[name];
    let mut shapes: Vec<(Shape, u64)> = Vec::new();
    let stride = partitions.len().div_ceil(SHAPES_LOOKED_AT).max(1);
    for partition in partitions.iter().step_by(stride) {
        // A file whose beginning cannot be read is met again by the load, which says so.
        let Ok(shape) = adapter.describe(partition).await else { continue };
        match shapes.iter_mut().find(|(known, _)| *known == shape) {
            Some((_, files)) => *files += 1,
            None => shapes.push((shape, 1)),
        }
    }
    shapes.sort_by_key(|(_, files)| std::cmp::Reverse(*files));
    Ok(shapes)
}

/// The target's tables by name; those of the schema files where the target lacks them.
async fn describe_tables(
    ports: &Ports,
    plan: &Plan,
    schema: &[SchemaFile],
    target: &TargetFacts,
) -> Result<BTreeMap<String, (Table, bool)>, CoreError> {
    let mut tables = BTreeMap::new();
    if !schema.is_empty() {
        let described = ports.target.describe_schema(schema).await;
        for table in described.during(|| "reading the plan's schema".to_owned())? {
            tables.insert(table.name.clone(), (table, true));
        }
    }
    if !target.exists {
        return Ok(tables);
    }
    for mapping in &plan.tables {
        let name = &mapping.into.value;
        let table = ports.target.describe(name).await;
        if let Some(table) = table.during(|| format!("describing table `{name}`"))? {
            tables.insert(name.clone(), (table, false));
        }
    }
    Ok(tables)
}

fn compile(
    plan: &Plan,
    sources: &BTreeMap<String, SourceSurvey>,
    tables: &BTreeMap<String, (Table, bool)>,
    target: &TargetFacts,
) -> Result<Vec<SurveyedStep>, Vec<CompileError>> {
    let referenced = referenced_tables(plan);
    let mut steps = Vec::new();
    let mut keys = BTreeMap::new();
    let mut errors: Vec<CompileError> = Vec::new();
    for index in plan.order() {
        let mapping = &plan.tables[index];
        let known = tables.get(&mapping.into.value);
        let shapes = mapping.from.iter().map(|from| SourceShape {
            source: from.value.clone(),
            shapes: sources[&from.value].shapes.iter().map(|(shape, _)| shape.clone()).collect(),
        });
        let environment = Environment {
            table: known.map(|(table, _)| table),
            sources: shapes.collect(),
            limits: Limits::of_engine(target.engine),
            referenced: referenced.contains(mapping.into.value.as_str()),
            keys: keys.clone(),
        };
        match Step::compile(plan, mapping, &environment) {
            Ok(step) => {
                if let [key] = step.table().key[..] {
                    keys.insert(mapping.into.value.clone(), step.table().columns[key].kind);
                }
                steps.push(surveyed(plan, index, step, known));
            }
            Err(more) => errors.extend(more),
        }
    }
    if errors.is_empty() { Ok(steps) } else { Err(errors) }
}

fn surveyed(
    plan: &Plan,
    mapping: usize,
    step: Step,
    known: Option<&(Table, bool)>,
) -> SurveyedStep {
    let table = step.table().clone();
    SurveyedStep {
        mapping,
        digest: plan.digest(&plan.tables[mapping]),
        step: Arc::new(step),
        created: known.is_none_or(|(_, created)| *created),
        table,
    }
}

/// Tables that some `ref` names.
pub(crate) fn referenced_tables(plan: &Plan) -> BTreeSet<&str> {
    plan.tables.iter().flat_map(references).collect()
}

/// Tables that some `ref` of this one names.
pub(crate) fn references(mapping: &TableMapping) -> BTreeSet<&str> {
    let mut tables = BTreeSet::new();
    let exprs = mapping.columns.iter().chain(&mapping.lets).map(|(_, expr)| expr);
    for expr in exprs.chain(mapping.legacy_key.iter().flatten()) {
        expr.walk(&mut |expr| {
            if let Base::Ref { table, .. } = &expr.base {
                tables.insert(table.value.as_str());
            }
        });
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_are_said_once() {
        let found = |at: &str, message: &str| Found {
            at: at.to_owned(),
            code: "WB0497",
            message: message.to_owned(),
        };
        let findings = vec![
            found("source a", "journal"),
            found("source b", "no key"),
            found("source b", "journal"),
            found("source c", "journal"),
        ];
        let expected = vec![found("source a and 2 more", "journal"), found("source b", "no key")];
        assert_eq!(said_once(findings), expected);
    }
}

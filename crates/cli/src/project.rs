//! A plan on disk, with everything it names: decoded, its sources, target and schema files opened.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;
use std::sync::Arc;

use whimbrel_core::event::{Emitter, Observer};
use whimbrel_core::{Cancel, Clock, CoreError, Found, Ports};
use whimbrel_endpoint::{SchemaFile, Source, Target};
use whimbrel_model::plan::{Asks, Check, CheckOn, Database, Plan, SourceRows, decode};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::machine::{ProcLiveness, SpillFolder, SystemClock, identity};
use crate::output::{count, printable};
use crate::programs::Programs;

/// Adapters by name.
type Adapters = BTreeMap<String, Arc<dyn Source>>;

/// A decoded plan and where it stands.
pub(crate) struct Project {
    /// The plan file, as given.
    pub(crate) file: PathBuf,
    /// Its text.
    pub(crate) text: String,
    /// The folder that its paths are relative to.
    pub(crate) base: PathBuf,
    pub(crate) plan: Plan,
}

impl Project {
    /// Reads and decodes a plan.
    pub(crate) fn open(file: &Path) -> Result<Self, Failure> {
        let bytes = fs::read(file).map_err(|error| not_readable(file, &error))?;
        let text = String::from_utf8(bytes).map_err(|error| not_utf8(file, &error))?;
        let base = file.parent().filter(|parent| !parent.as_os_str().is_empty());
        let base = base.unwrap_or_else(|| Path::new(".")).to_owned();
        let shown = file.display().to_string();
        let environment = |name: &str| {
            #[allow(clippy::disallowed_methods)]
            // the command line is where the environment is read
            std::env::var(name).ok()
        };
        let read_file = |path: &str| fs::read_to_string(base.join(path));
        match decode(&text, &environment, &read_file) {
            Ok(plan) => {
                let (tables, sources) = (plan.tables.len(), plan.sources.len());
                tracing::debug!(plan = %shown, name = %plan.name.value, tables, sources, "plan read");
                Ok(Self { file: file.to_owned(), text, base, plan })
            }
            Err(errors) => {
                let rendered: Vec<String> =
                    errors.iter().map(|error| error.render(&shown, &text)).collect();
                let number = rendered.len();
                let plural = if number == 1 { "" } else { "s" };
                Err(Failure {
                    code: errors.first().map_or("WB0001", |error| error.code),
                    message: format!("the plan `{shown}` has {number} error{plural}"),
                    causes: Vec::new(),
                    hint: Some("docs/plan-reference.md describes every key".to_owned()),
                    errors: rendered,
                    exit: Exit::Usage,
                })
            }
        }
    }

    /// The adapters of the plan's sources.
    pub(crate) fn sources(&self) -> Result<BTreeMap<String, Arc<dyn Source>>, Failure> {
        self.sources_and_asked().map(|(sources, _)| sources)
    }

    /// The adapters of the plan's sources, and what answers the SQL of checks of sources, in the state
    /// that those are read in.
    fn sources_and_asked(&self) -> Result<(Adapters, Adapters), Failure> {
        let (mut sources, mut asked) = (BTreeMap::new(), BTreeMap::new());
        let mut databases = Vec::new();
        for source in &self.plan.sources {
            match source.database() {
                Some(database) => databases.push(spec(&source.name.value, database)),
                None => {
                    let adapter = whimbrel_files::open(source, &self.base)?;
                    sources.insert(source.name.value.clone(), adapter);
                }
            }
        }
        let known = databases.len();
        databases.extend(self.plan.checks.iter().filter_map(|check| self.asked_by(check)));
        for (index, source) in
            whimbrel_sql::sources(databases, self.sql_options())?.into_iter().enumerate()
        {
            let of = if index < known { &mut sources } else { &mut asked };
            of.insert(source.name().to_owned(), source);
        }
        Ok((sources, asked))
    }

    /// The query of a check of a source.
    fn asked_by(&self, check: &Check) -> Option<whimbrel_sql::SourceSpec> {
        let (CheckOn::Source(source), Asks::Sql(sql)) = (&check.on, &check.asks) else {
            return None;
        };
        let database = self.plan.source(&source.value)?.database()?;
        let url = database.url.value.expose();
        let engine = match url.split(':').next().unwrap_or_default() {
            "postgres" | "postgresql" => "postgres",
            "mysql" | "mariadb" => "mysql",
            _ => "sqlite",
        };
        Some(whimbrel_sql::SourceSpec {
            name: check.name.value.clone(),
            url: url.to_owned(),
            read: whimbrel_sql::Read::Query(sql.for_engine(engine)?.to_owned()),
            key: Vec::new(),
        })
    }

    fn sql_options(&self) -> whimbrel_sql::Options {
        whimbrel_sql::Options {
            base: self.base.clone(),
            hides_values: self.plan.sources.iter().any(|source| !source.sensitive.is_empty()),
            ..whimbrel_sql::Options::default()
        }
    }

    /// The plan's target.
    pub(crate) async fn target(&self) -> Result<Arc<dyn Target>, Failure> {
        let target = self.plan.target.value.expose();
        let target = whimbrel_sql::open(target, self.sql_options()).await?;
        Ok(Arc::from(target))
    }

    /// The SQL files of the plan's `schema` for an engine, in the order of their names.
    pub(crate) fn schema(&self, engine: &str) -> Result<Vec<SchemaFile>, Failure> {
        let Some(schema) = &self.plan.schema else { return Ok(Vec::new()) };
        let folder = self.base.join(&schema.value);
        let own = folder.join(engine);
        let folder = if own.is_dir() { own } else { folder };
        let mut files = Vec::new();
        let unreadable = |error: std::io::Error| {
            let what = format!("the plan's schema folder cannot be read: `{}`", folder.display());
            Failure::io("WB0702", what, &error).with_exit(Exit::Usage)
        };
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|extension| extension == "sql") {
                let sql = fs::read_to_string(&path).map_err(unreadable)?;
                let name = path.strip_prefix(&self.base).unwrap_or(&path).display().to_string();
                files.push(SchemaFile { name, sql });
            }
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        if files.is_empty() {
            let message =
                format!("no SQL file in the plan's schema folder: `{}`", folder.display());
            return Err(Failure::usage(
                "WB0702",
                message,
                "leave `schema` out to create tables from the mapping",
            ));
        }
        Ok(files)
    }

    /// An error of the core, with mistakes in the mapping shown at their places in the plan, and
    /// the paths that cannot be read where they are several.
    pub(crate) fn explain(&self, error: CoreError) -> Failure {
        let rendered = match &error {
            CoreError::Compile(errors) => {
                let shown = self.file.display().to_string();
                errors.iter().map(|error| error.render(&shown, &self.text)).collect()
            }
            CoreError::Unreadable(paths) if paths.len() > 1 => listed(paths),
            CoreError::Blocked(found) if found.len() > 1 => found.iter().map(finding).collect(),
            _ => Vec::new(),
        };
        Failure { errors: rendered, ..Failure::from(error) }
    }

    /// Everything a run needs.
    pub(crate) async fn ports(&self, observer: Arc<dyn Observer>) -> Result<Ports, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let identity = identity();
        let (sources, asked) = self.sources_and_asked()?;
        let commands = Programs { folder: self.base.clone(), plan: self.file.clone() };
        Ok(Ports {
            target: self.target().await?,
            sources,
            asked,
            commands: Arc::new(commands),
            events: Emitter::new(Arc::clone(&clock), observer),
            clock,
            spill: Arc::new(SpillFolder::new(&self.base)),
            scratch: std::env::temp_dir(),
            lineage: self.base.join(".whimbrel/lineage"),
            liveness: Arc::new(ProcLiveness::new(identity.holder.clone())),
            cancel: Cancel::default(),
            identity,
        })
    }
}

/// A source of rows of a database, as its adapter wants it.
fn spec(name: &str, database: &Database) -> whimbrel_sql::SourceSpec {
    whimbrel_sql::SourceSpec {
        name: name.to_owned(),
        url: database.url.value.expose().to_owned(),
        read: match &database.rows {
            SourceRows::Table(table) => whimbrel_sql::Read::Table(table.value.clone()),
            SourceRows::Query(query) => whimbrel_sql::Read::Query(query.value.clone()),
        },
        key: database.key.iter().map(|column| column.value.clone()).collect(),
    }
}

fn not_readable(file: &Path, error: &std::io::Error) -> Failure {
    let failure =
        Failure::io("WB0703", format!("the plan cannot be read: `{}`", file.display()), error);
    let hint = match error.kind() {
        std::io::ErrorKind::NotFound => {
            "`whimbrel init DIR` writes a plan from a folder of data, `whimbrel init URL` from a database"
        }
        _ => "check its permissions",
    };
    failure.with_hint(hint).with_exit(Exit::Usage)
}

fn not_utf8(file: &Path, error: &FromUtf8Error) -> Failure {
    let (bytes, at) = (error.as_bytes(), error.utf8_error().valid_up_to());
    let line = bytes[..at].split(|byte| *byte == b'\n').count();
    let message = format!("the plan is not UTF-8: `{}`", file.display());
    let hint = if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        "it begins like UTF-16: save it as UTF-8"
    } else {
        "write that character in UTF-8, or save the plan as UTF-8"
    };
    let what = format!("byte 0x{:02x} at offset {at}, in line {line}", bytes[at]);
    Failure { causes: vec![what], ..Failure::usage("WB0703", message, hint) }
}

/// `! target: the role may not … (WB0630)`.
pub(crate) fn finding(found: &Found) -> String {
    format!("! {}: {} ({})", found.at, printable(&found.message, 400), found.code)
}

/// The first of the paths that cannot be read, each with its reason.
fn listed(paths: &[(String, String)]) -> Vec<String> {
    const SHOWN: usize = 5;
    let shown = |(path, why): &(String, String)| {
        format!("`{}`: {}", printable(path, 300), printable(why, 200))
    };
    let mut lines: Vec<String> = paths.iter().take(SHOWN).map(shown).collect();
    if paths.len() > SHOWN {
        lines.push(format!("and {}", count((paths.len() - SHOWN) as u64, "more path")));
    }
    lines
}

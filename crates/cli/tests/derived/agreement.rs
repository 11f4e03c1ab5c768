//! One folder with a plan: migrated by the binary, derived by the interpreter, compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::types::ValueRef as Stored;
use whimbrel_endpoint::{EndpointError, Source};
use whimbrel_model::Value;
use whimbrel_model::plan::{Plan, SourceRows, decode};
use whimbrel_validator::interpret::{Derived, Fate, Holds, Interpreter, Known, Told, Turn};

/// What the ledger knows of a run: which units the target refused. By table, source and path.
#[derive(Debug, Default)]
struct Refused(BTreeMap<(String, String, String), Told>);

impl Known for Refused {
    fn of(&self, table: &str, source: &str, path: &str) -> Option<&Told> {
        self.0.get(&(table.to_owned(), source.to_owned(), path.to_owned()))
    }
}

impl Refused {
    /// Everything as one run has read it, file by file.
    async fn of(
        plan: &Plan,
        sources: &BTreeMap<String, Arc<dyn Source>>,
        refused: &BTreeSet<Place>,
    ) -> Self {
        let mut known = Self::default();
        for table in &plan.tables {
            let into = &table.into.value;
            let mut ordinal = 0;
            for from in &table.from {
                for partition in sources[&from.value].partitions().await.unwrap().partitions {
                    let id = (into.clone(), from.value.clone(), partition.id.path);
                    let own = refused.iter().filter(|(table, source, path, _)| {
                        (table, source, path) == (&id.0, &id.1, &id.2)
                    });
                    let turns = vec![Turn::whole(1)];
                    let refused = own.map(|(.., record)| *record).collect();
                    known.0.insert(id, Told { ordinal, turns, refused, ..Told::default() });
                    ordinal += 1;
                }
            }
        }
        known
    }
}

/// A unit's place: table, source, file, record.
type Place = (String, String, String, u64);

/// Units of a file by their class: with rows, rejected, filtered, duplicate.
type Classes = BTreeMap<(String, String, String), [u64; 4]>;

/// Loads the folder's plan into the SQLite database `target` and compares. Columns that a `[[relate]]`
/// writes are left out, as `table.column`. Returns what was compared.
#[track_caller]
pub(crate) fn agree(
    folder: &Path,
    target: &str,
    environment: &[(&str, &str)],
    left_out: &[&str],
) -> String {
    let mut migrate = Command::new(env!("CARGO_BIN_EXE_whimbrel"));
    let output = migrate
        .args(["migrate", "--yes"])
        .current_dir(folder)
        .env_remove("TARGET")
        .envs(environment.iter().copied())
        .env("WHIMBREL_PROGRESS", "none")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{said}");

    let variables = |name: &str| {
        environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    };
    let text = std::fs::read_to_string(folder.join("whimbrel.toml")).unwrap();
    let files = |path: &str| std::fs::read_to_string(folder.join(path));
    let plan = decode(&text, &variables, &files).unwrap_or_else(|errors| panic!("{errors:?}"));
    let database = Connection::open(folder.join(target)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(compare(folder, &plan, target, &database, left_out))
}

#[track_caller]
fn sources(folder: &Path, plan: &Plan) -> BTreeMap<String, Arc<dyn Source>> {
    let mut sources = BTreeMap::new();
    let mut specs = Vec::new();
    for source in &plan.sources {
        let name = source.name.value.clone();
        match source.database() {
            None => _ = sources.insert(name, whimbrel_files::open(source, folder).unwrap()),
            Some(database) => specs.push(whimbrel_sql::SourceSpec {
                name,
                url: database.url.value.expose().to_owned(),
                read: match &database.rows {
                    SourceRows::Table(table) => whimbrel_sql::Read::Table(table.value.clone()),
                    SourceRows::Query(query) => whimbrel_sql::Read::Query(query.value.clone()),
                },
                key: database.key.iter().map(|column| column.value.clone()).collect(),
            }),
        }
    }
    for source in whimbrel_sql::sources(specs, options(folder)).unwrap() {
        sources.insert(source.name().to_owned(), source);
    }
    sources
}

fn options(folder: &Path) -> whimbrel_sql::Options {
    whimbrel_sql::Options { base: folder.to_owned(), ..whimbrel_sql::Options::default() }
}

async fn compare(
    folder: &Path,
    plan: &Plan,
    target: &str,
    database: &Connection,
    left_out: &[&str],
) -> String {
    let opened = whimbrel_sql::open(&format!("sqlite:{target}"), options(folder)).await.unwrap();
    let mut targets = BTreeMap::new();
    for table in &plan.tables {
        let described = opened.describe(&table.into.value).await.unwrap().unwrap();
        targets.insert(table.into.value.clone(), described);
    }
    let rejects = rejects(database);
    let by_target =
        rejects.iter().filter(|(_, (stage, code))| stage == "target" && !code.starts_with("WB06"));
    let refused = by_target.map(|(place, _)| place.clone()).collect();
    let sources = sources(folder, plan);
    let refused = Refused::of(plan, &sources, &refused).await;
    let holds = Holds::of_engine("sqlite").unwrap();
    let mut interpreter =
        Interpreter::new(plan, &targets, holds).unwrap().knowing(Arc::new(refused));

    let mut differences = String::new();
    let mut told = String::new();
    let (mut fates, mut classes) = (BTreeMap::new(), Classes::new());
    for index in plan.order() {
        let mapping = &plan.tables[index];
        let into = &mapping.into.value;
        let names: Vec<&str> =
            mapping.columns.iter().map(|(name, _)| name.value.as_str()).collect();
        let key: Vec<usize> = mapping
            .key
            .iter()
            .map(|key| names.iter().position(|name| **name == key.value).unwrap())
            .collect();
        let mut rows: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
        let mut sink = |derived: Derived<'_>| {
            let place = (
                into.clone(),
                derived.source.to_owned(),
                derived.path.to_owned(),
                derived.position.record,
            );
            let file = (place.0.clone(), place.1.clone(), place.2.clone());
            let class = match &derived.fate {
                Fate::Rows(_) => 0,
                Fate::Rejected { .. } => 1,
                Fate::Filtered(_) => 2,
                Fate::Duplicate => 3,
            };
            classes.entry(file).or_default()[class] += 1;
            match derived.fate {
                Fate::Rows(made) => {
                    for row in made {
                        let row: Vec<String> = row.iter().map(spelled).collect();
                        rows.insert(key.iter().map(|index| row[*index].clone()).collect(), row);
                    }
                }
                Fate::Rejected { reason, .. } => _ = fates.insert(place, reason),
                Fate::Filtered(_) | Fate::Duplicate => {}
            }
            Ok::<(), EndpointError>(())
        };
        interpreter.derive(&sources, index, &mut sink).await.unwrap();
        let stored = stored(database, into, &names, &key);
        let _ = writeln!(told, "{into}: {} rows", stored.len());
        let hidden: Vec<usize> = (0..names.len())
            .filter(|at| left_out.contains(&format!("{into}.{}", names[*at]).as_str()))
            .collect();
        differ(&mut differences, into, &names, &hidden, &rows, &stored);
    }
    for (place, (_, code)) in &rejects {
        let reason = fates.remove(place);
        if reason != Some(code.as_str()) && reason != Some("refused") {
            let _ = writeln!(differences, "{place:?} is rejected: {code}, derived: {reason:?}");
        }
    }
    for (place, reason) in fates {
        let _ = writeln!(differences, "{place:?} is no reject, derived: {reason}");
    }
    let accounts = accounts(database);
    for (file, expected) in &accounts {
        let derived = classes.remove(file).unwrap_or_default();
        if derived != *expected {
            let _ = writeln!(differences, "{file:?}: {expected:?}, derived {derived:?}");
        }
    }
    for (file, derived) in classes {
        let _ = writeln!(differences, "{file:?} was not read, derived {derived:?}");
    }
    assert!(differences.is_empty(), "{differences}");
    let _ = writeln!(told, "{} rejects", rejects.len());
    told
}

fn differ(
    out: &mut String,
    table: &str,
    names: &[&str],
    hidden: &[usize],
    derived: &BTreeMap<Vec<String>, Vec<String>>,
    stored: &BTreeMap<Vec<String>, Vec<String>>,
) {
    for (key, row) in derived {
        let Some(there) = stored.get(key) else {
            let _ = writeln!(out, "{table} {key:?} is not there: {row:?}");
            continue;
        };
        for (index, name) in names.iter().enumerate().filter(|(index, _)| !hidden.contains(index)) {
            if row[index] != there[index] {
                let _ = writeln!(
                    out,
                    "{table} {key:?} {name}: {}, derived {}",
                    there[index], row[index]
                );
            }
        }
    }
    for key in stored.keys().filter(|key| !derived.contains_key(*key)) {
        let _ = writeln!(out, "{table} {key:?} is there, and was not derived");
    }
}

/// A value as SQLite has it: its storage class and its content.
fn spelled(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => format!("integer {}", u8::from(*flag)),
        Value::Int(number) => match i64::try_from(*number) {
            Ok(number) => format!("integer {number}"),
            Err(_) => format!("text {number}"),
        },
        Value::Float(number) => format!("real {number:?}"),
        Value::Bytes(bytes) => format!("blob {bytes:02x?}"),
        Value::Text(text) | Value::Json(text) | Value::Decimal(text) => format!("text {text:?}"),
        Value::Date(_)
        | Value::Time(_)
        | Value::Timestamp(_)
        | Value::TimestampTz(_)
        | Value::Uuid(_) => {
            format!("text {:?}", value.as_ref().to_string())
        }
    }
}

fn stored(
    database: &Connection,
    table: &str,
    names: &[&str],
    key: &[usize],
) -> BTreeMap<Vec<String>, Vec<String>> {
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    let mut select =
        database.prepare(&format!("SELECT {} FROM \"{table}\"", quoted.join(", "))).unwrap();
    let mut rows = select.query([]).unwrap();
    let mut all = BTreeMap::new();
    while let Some(row) = rows.next().unwrap() {
        let row: Vec<String> = (0..names.len())
            .map(|index| match row.get_ref(index).unwrap() {
                Stored::Null => "null".to_owned(),
                Stored::Integer(number) => format!("integer {number}"),
                Stored::Real(number) => format!("real {number:?}"),
                Stored::Text(text) => format!("text {:?}", std::str::from_utf8(text).unwrap()),
                Stored::Blob(bytes) => format!("blob {bytes:02x?}"),
            })
            .collect();
        all.insert(key.iter().map(|index| row[*index].clone()).collect(), row);
    }
    all
}

fn rejects(database: &Connection) -> BTreeMap<Place, (String, String)> {
    let sql = "SELECT target_table, source, source_file, record, stage, code FROM whimbrel_migration_rejects";
    let mut select = database.prepare(sql).unwrap();
    let rows = select.query_map([], |row| {
        let place = (row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, i64>(3)? as u64);
        Ok((place, (row.get(4)?, row.get(5)?)))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

fn accounts(database: &Connection) -> Classes {
    let sql = "SELECT s.target_table, i.source, i.source_file, i.loaded + i.updated + i.unchanged, i.rejected, \
               i.filtered, i.duplicate FROM whimbrel_migration_items i JOIN whimbrel_migration_steps s \
               ON s.run = i.run AND s.step = i.step WHERE i.read > 0";
    let mut select = database.prepare(sql).unwrap();
    let rows = select.query_map([], |row| {
        let count = |index| row.get::<_, i64>(index).map(|count| count as u64);
        let file = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok((file, [count(3)?, count(4)?, count(5)?, count(6)?]))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

//! `init`: a first plan and its schema from what a folder, or a database, holds. Never overwrites a
//! file.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};

use serde_json::{Value as Json, json};
use whimbrel_model::catalogue::{Catalogue, Rows};
use whimbrel_profile::database_plan::{self, CarryOptions};
use whimbrel_profile::init::{self, DraftError, DraftOptions, DraftTable, PlanDraft};
use whimbrel_profile::profile::{Profile, SourceProfile};
use whimbrel_profile::schema::Words;
use whimbrel_sql::{Location, Look};

use crate::args::{Global, Init};
use crate::cmd::analyze::profile_of;
use crate::cmd::legacy::{self, Legacy, as_variable};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Answer, count, printable};

pub(crate) async fn run(global: &Global, args: &Init) -> Result<Answer, Failure> {
    // Before everything is read: the answer would be the same afterwards.
    refuse_to_overwrite(&args.out)?;
    let base = args.out.parent().filter(|parent| !parent.as_os_str().is_empty());
    let base = base.unwrap_or_else(|| Path::new("."));
    let engine = init::engine_of(args.target.as_deref()).map_err(|error| no_draft(&error))?;
    let dialect = legacy::dialect(engine);
    let (declared, kind_of) = (|kind| dialect.declared(kind), |text: &str| dialect.kind_of(text));
    let words = Words { engine, declared: &declared, kind_of: &kind_of };
    let target = args.target.as_deref().map(target);
    let schema = schema_folder(&args.out);
    match Legacy::of(&args.path) {
        Legacy::Folder(folder) => {
            let profile = profile_of(global, folder, args.hidden).await?;
            fs::create_dir_all(base).map_err(|error| not_written(base, &error))?;
            let options = DraftOptions {
                name: &name_of(folder),
                target: target.as_deref(),
                prefix: &way(base, folder)?,
                schema: &schema,
                words,
            };
            let mut draft = init::plan_for(&profile, &options).map_err(|error| no_draft(&error))?;
            draft.notes.extend(to_set_for(target.as_deref()));
            let files = write(&args.out, base, &draft)?;
            Ok(answer(&args.out, &profile, &draft, &files))
        }
        Legacy::Database(url) => {
            let look = Look::Rows { estimate_above: args.estimate_above };
            let (catalogue, _) = legacy::database(&url, look).await?;
            fs::create_dir_all(base).map_err(|error| not_written(base, &error))?;
            let source = as_variable("SOURCE", &from_plan(base, &url)?);
            let options = CarryOptions {
                name: &database_name(&url),
                source: &source,
                target: target.as_deref(),
                schema: &schema,
                words,
            };
            let mut draft =
                database_plan::plan_for(&catalogue, &options).map_err(|error| no_draft(&error))?;
            if source == "${SOURCE}" {
                draft.notes.push(to_set("SOURCE", "old database"));
            }
            draft.notes.extend(to_set_for(target.as_deref()));
            let files = write(&args.out, base, &draft)?;
            Ok(carried(&args.out, &catalogue, &draft, &files))
        }
    }
}

/// The target as the plan says it: a URL with a password is not written down.
fn target(url: &str) -> String {
    let variable = as_variable("TARGET", url);
    if variable == "${TARGET}" && !url.contains('$') { variable } else { url.to_owned() }
}

fn to_set(variable: &str, what: &str) -> String {
    format!("set the variable {variable} to the {what}'s URL: it is not written down")
}

fn to_set_for(target: Option<&str>) -> Option<String> {
    (target == Some("${TARGET}")).then(|| to_set("TARGET", "target"))
}

/// The URL as the plan says it: a file of SQLite by its way from the plan.
fn from_plan(base: &Path, url: &str) -> Result<String, Failure> {
    let Location::Sqlite { path, .. } = Location::parse(url, Path::new("."))? else {
        return Ok(url.to_owned());
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let way = way(base, folder.unwrap_or_else(|| Path::new(".")))?;
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(format!("sqlite:{way}{}", file.unwrap_or_default()))
}

/// The plan's name: that of the database.
fn database_name(url: &str) -> String {
    let place = url.split(['?', '#']).next().unwrap_or(url);
    let last = place.rsplit(['/', ':']).next().unwrap_or_default();
    plain_name(last.strip_suffix(".db").or_else(|| last.strip_suffix(".sqlite")).unwrap_or(last))
}

fn no_draft(error: &DraftError) -> Failure {
    let hint = match error {
        DraftError::Empty { .. } => "`whimbrel analyze` shows what there is",
        DraftError::Engine { .. } => {
            "write `sqlite:FILE`, `postgres://…` or `mysql://…`, or leave `--target` out for a SQLite file"
        }
    };
    Failure::usage(error.code(), error.to_string(), hint)
}

fn refuse_to_overwrite(file: &Path) -> Result<(), Failure> {
    if file.symlink_metadata().is_err() {
        return Ok(());
    }
    let message =
        format!("the file exists already, and `init` never overwrites: `{}`", file.display());
    Err(Failure::usage("WB0723", message, "move it away, or name another plan with `--out FILE`"))
}

/// The plan's name: that of the folder.
fn name_of(folder: &Path) -> String {
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let last =
        whole.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    plain_name(&last)
}

/// Letters of a plan's name.
const NAME_MAX: usize = 100;

fn plain_name(last: &str) -> String {
    let plain: String = last
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect();
    let plain = plain.trim_matches('-');
    let plain = plain[..plain.len().min(NAME_MAX)].trim_end_matches('-');
    if plain.is_empty() { "legacy".to_owned() } else { plain.to_owned() }
}

/// `schema` beside `whimbrel.toml`, `NAME-schema` beside `NAME.toml`: each plan has its own.
fn schema_folder(plan: &Path) -> String {
    let stem = plan.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    if stem == "whimbrel" { "schema".to_owned() } else { format!("{stem}-schema") }
}

/// The way from one folder to another, as plans write it: empty, or with a `/` at its end.
fn way(from: &Path, to: &Path) -> Result<String, Failure> {
    let whole = |path: &Path| path.canonicalize().map_err(|error| not_written(path, &error));
    let (from, to) = (whole(from)?, whole(to)?);
    let (from, to): (Vec<Component<'_>>, Vec<Component<'_>>) =
        (from.components().collect(), to.components().collect());
    let same = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let mut way = "../".repeat(from.len() - same);
    for part in &to[same..] {
        way.push_str(&part.as_os_str().to_string_lossy());
        way.push('/');
    }
    Ok(way)
}

/// Writes the schema, then the plan that names it; a file that is there is left as it is.
fn write(plan: &Path, base: &Path, draft: &PlanDraft) -> Result<Vec<PathBuf>, Failure> {
    let mut files: Vec<(PathBuf, &str)> =
        draft.schema.iter().map(|(path, sql)| (joined(base, path), sql.as_str())).collect();
    files.push((plan.to_owned(), &draft.plan));
    for (file, _) in &files {
        refuse_to_overwrite(file)?;
    }
    for (number, (file, text)) in files.iter().enumerate() {
        create(file, text).inspect_err(|_| {
            // Half of it would keep the same command from writing all of it.
            for (written, _) in &files[..number] {
                let _gone = fs::remove_file(written);
            }
        })?;
    }
    Ok(files.into_iter().map(|(file, _)| file).collect())
}

fn joined(base: &Path, path: &str) -> PathBuf {
    if base == Path::new(".") { PathBuf::from(path) } else { base.join(path) }
}

fn create(file: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            refuse_to_overwrite(file).err().unwrap_or_else(|| not_written(file, &error))
        }
        _ => not_written(file, &error),
    };
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut created = File::create_new(file).map_err(failed)?;
    created.write_all(text.as_bytes()).and_then(|()| created.sync_all()).map_err(|error| {
        let _gone = fs::remove_file(file);
        failed(error)
    })
}

fn not_written(path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot be written: `{}`", path.display());
    Failure::io("WB0724", message, error)
        .with_hint("check the space and the permissions of the folder")
        .with_exit(Exit::Usage)
}

fn answer(plan: &Path, profile: &Profile, draft: &PlanDraft, files: &[PathBuf]) -> Answer {
    let plan = plan.display().to_string();
    let mut lines = vec![format!(
        "{}: {} in {}",
        profile.folder,
        count(profile.totals.records, "record"),
        count(profile.totals.files, "file")
    )];
    let mut tables = Vec::new();
    for source in &profile.sources {
        let table = draft.tables.iter().find(|table| table.source == source.name);
        lines.push(line(source, table));
        tables.extend(table.map(|table| described(source, table)));
    }
    lines.extend(draft.notes.iter().map(|note| format!("  note: {note}")));
    let next = init::next_command(&plan);
    let written: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    lines.push(format!("Wrote {}\nNext: {next}\n", written.join(", ")));
    let data = json!({
        "plan": plan,
        "files": written,
        "records": profile.totals.records,
        "tables": tables,
        "notes": draft.notes,
        "next": next,
    });
    Answer::new(format!("wrote {plan}"), lines.join("\n"), data)
}

/// The answer for a database: a line for each table, in the order of the plan.
fn carried(plan: &Path, catalogue: &Catalogue, draft: &PlanDraft, files: &[PathBuf]) -> Answer {
    let plan = plan.display().to_string();
    let rows: u64 = catalogue.tables.iter().map(|table| table.rows.count()).sum();
    let mut lines = vec![format!(
        "{} ({}): {} in {}",
        catalogue.shown,
        catalogue.version,
        count(rows, "row"),
        count(catalogue.tables.len() as u64, "table")
    )];
    let mut tables = Vec::new();
    for (table, made) in
        catalogue.tables.iter().filter(|one| !one.columns.is_empty()).zip(&draft.tables)
    {
        let about = if matches!(table.rows, Rows::Estimate(_)) { "about " } else { "" };
        let key = if made.key_is_made { " made from the place" } else { "" };
        let name = printable(&table.name, 80);
        let rows = count(table.rows.count(), "row");
        let columns = count(made.columns, "column");
        lines.push(format!(
            "  {name}: {about}{rows} -> table {}, {columns}, key {}{key}",
            printable(&made.table, 80),
            printable(&made.key, 80)
        ));
        tables.push(json!({
            "source": made.source,
            "name": table.name,
            "rows": table.rows.count(),
            "estimated": matches!(table.rows, Rows::Estimate(_)),
            "table": made.table,
            "columns": made.columns,
            "key": made.key,
            "key_is_made": made.key_is_made,
        }));
    }
    lines.extend(draft.notes.iter().map(|note| format!("  note: {note}")));
    let next = init::next_command(&plan);
    let written: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    lines.push(format!("Wrote {}\nNext: {next}\n", written.join(", ")));
    let data = json!({
        "plan": plan,
        "files": written,
        "records": rows,
        "tables": tables,
        "notes": draft.notes,
        "next": next,
    });
    Answer::new(format!("wrote {plan}"), lines.join("\n"), data)
}

fn line(source: &SourceProfile, table: Option<&DraftTable>) -> String {
    let found = format!(
        "  {} ({}): {}, {}",
        source.name,
        source.format.key(),
        count(source.totals.files, "file"),
        count(source.totals.records, "record")
    );
    let defects = match source.totals.defects {
        0 => String::new(),
        defects => format!(" ({defects} defective)"),
    };
    let Some(table) = table else { return format!("{found}{defects} -> no table") };
    let made = if table.key_is_made { " made from the place" } else { "" };
    let doubts = match table.doubts {
        0 => String::new(),
        doubts => format!(", {} (the plan says why)", count(doubts, "doubtful column")),
    };
    let columns = count(table.columns, "column");
    format!("{found}{defects} -> table {}, {columns}, key {}{made}{doubts}", table.table, table.key)
}

fn described(source: &SourceProfile, table: &DraftTable) -> Json {
    json!({
        "source": source.name,
        "format": source.format.key(),
        "files": source.totals.files,
        "records": source.totals.records,
        "defects": source.totals.defects,
        "table": table.table,
        "columns": table.columns,
        "key": table.key,
        "key_is_made": table.key_is_made,
        "doubts": table.doubts,
    })
}

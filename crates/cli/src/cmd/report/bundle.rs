//! `report --bundle`: what support needs of a run, in one archive, without secrets and without data of
//! records.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde_json::{Value as Json, json};
use whimbrel_core::{Clock as _, rfc3339};
use whimbrel_endpoint::{EndpointError, Finding, Needs, Target};
use whimbrel_ledger::Run;
use whimbrel_report::{Member, Options};

use super::redact;
use super::tar::Tar;
use crate::failure::Failure;
use crate::machine::SystemClock;
use crate::output::{Answer, count, thousands};
use crate::project::Project;

/// The form of a bundle; files and fields are only ever added under it.
const SCHEMA: &str = "whimbrel/bundle/v1";

const README: &str = "\
This archive was written by `whimbrel report --bundle`, for whoever helps with a migration.

In it: the plan (plan.toml), the report (report.json), the ledger's rows of the run (*.jsonl: runs, steps,
items, batches, rejects, checks, checkpoints, the audit log), the target (target.json), what target and
sources wanted to be known (inspect.jsonl), versions and what was left out (bundle.json).

Left out: records, their bytes and values, values and messages of rejects, messages of databases (they quote
values), reasons that a person wrote, digests of records, keys, mappings, undo journals; in the plan values
and defaults of variables, passwords and parameters of URLs, literals of SQL, comments.

Still in it: names of files, tables, columns, rules, users and hosts, and constants that the plan itself holds
(maps, values, expressions). Whimbrel keeps no logs: add those that you have. Look through everything
before you send it.
";

pub(super) async fn write(
    project: &Project,
    run: &Run,
    options: &Options,
    file: &Path,
) -> Result<Answer, Failure> {
    if fs::symlink_metadata(file).is_ok() {
        return Err(exists(file));
    }
    let target = project.target().await?;
    let target = target.as_ref();
    let secrets = redact::secrets(&project.plan);
    let ledger = whimbrel_report::members(target, run, options).await.map_err(super::failure)?;
    let inspected = inspected(project, target).await;
    let mut members = vec![about(project, run, &ledger)];
    members.extend(ledger);
    members.push(of_target(target).await);
    members.push(inspected);
    let mut files = vec![("README.txt", README.to_owned())];
    let plan = redact::plan(&project.text, &secrets);
    files.push(("plan.toml", plan.unwrap_or_default()));
    for mut member in members {
        member.documents.iter_mut().for_each(|one| redact::document(one, &secrets));
        files.push((member.name, text(&member)));
    }
    let bytes = archived(file, &run.id, &files).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(file),
        _ => Failure::io(
            "WB0724",
            format!("the bundle cannot be written: `{}`", file.display()),
            &error,
        ),
    })?;
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    let shown = file.display().to_string();
    let message = format!("bundle of run {} written to {shown}", run.id);
    let text = format!(
        "{message}: {}, {} bytes\n! look through it before you send it; README.txt says what is left out\n",
        count(names.len() as u64, "file"),
        thousands(bytes)
    );
    let data = json!({ "run": run.id, "file": shown, "bytes": bytes, "files": names });
    Ok(Answer::new(message, text, data))
}

fn exists(file: &Path) -> Failure {
    let message = format!("there is a file already: `{}`", file.display());
    Failure::usage("WB0723", message, "name another one for the bundle")
}

/// Versions, times, and how much of each list is not in it.
fn about(project: &Project, run: &Run, ledger: &[Member]) -> Member {
    let more = ledger.iter().filter(|member| member.more > 0);
    let more: serde_json::Map<String, Json> =
        more.map(|member| (member.name.to_owned(), member.more.into())).collect();
    let document = json!({
        "schema": SCHEMA,
        "run": run.id,
        "created_at": rfc3339(SystemClock::new().now()),
        "whimbrel": env!("CARGO_PKG_VERSION"),
        "os": std::env::consts::OS,
        "arch": std::env::consts::ARCH,
        "plan": project.plan.name.value,
        "rows_left_out": more,
    });
    Member::document("bundle.json", document)
}

/// What the target is; where it does not answer any more, why.
async fn of_target(target: &dyn Target) -> Member {
    let document = match target.facts().await {
        Ok(facts) => json!({
            "engine": facts.engine, "version": facts.version, "location": facts.location,
            "exists": facts.exists, "read_only": facts.read_only.is_some(),
            "free_bytes": facts.free_bytes, "size_bytes": facts.size_bytes,
        }),
        Err(error) => json!({ "error": error.code }),
    };
    Member::document("target.json", document)
}

/// What target and sources want to be known now.
async fn inspected(project: &Project, target: &dyn Target) -> Member {
    let mut member = Member::lines("inspect.jsonl");
    let tables = project.plan.tables.iter().map(|table| table.into.value.clone());
    let needs = Needs { tables: tables.collect(), ..Needs::default() };
    found(&mut member, "target", target.inspect(&needs).await);
    match project.sources() {
        Ok(sources) => {
            for (name, source) in sources {
                found(&mut member, &format!("source {name}"), source.inspect().await);
            }
        }
        Err(failure) => member.documents.push(json!({ "at": "sources", "error": failure.code })),
    }
    member
}

fn found(member: &mut Member, at: &str, findings: Result<Vec<Finding>, EndpointError>) {
    match findings {
        Ok(findings) => member.documents.extend(findings.iter().map(|finding| {
            json!({
                "at": at, "code": finding.code, "blocks": finding.blocks,
                "message": finding.message,
            })
        })),
        Err(error) => member.documents.push(json!({ "at": at, "error": error.code })),
    }
}

fn text(member: &Member) -> String {
    let lines = Path::new(member.name).extension().is_some_and(|form| form == "jsonl");
    let one = |document: &Json| {
        let text = if lines {
            serde_json::to_string(document)
        } else {
            serde_json::to_string_pretty(document)
        };
        text.expect("a JSON value has a text") + "\n"
    };
    member.documents.iter().map(one).collect()
}

/// Writes the archive: all of it or none. Returns its size.
fn archived(file: &Path, run: &str, files: &[(&str, String)]) -> io::Result<u64> {
    // Others need not see who did what.
    let out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    let written = packed(out, run, files);
    if written.is_err() {
        let _half = fs::remove_file(file);
    }
    written
}

fn packed(out: File, run: &str, files: &[(&str, String)]) -> io::Result<u64> {
    let modified = out.metadata()?.modified()?.duration_since(std::time::UNIX_EPOCH);
    let mtime = modified.map_or(0, |since| since.as_secs());
    let mut tar = Tar::new(zstd::Encoder::new(out, 0)?, mtime);
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let run: String = run.chars().take(40).map(plain).collect();
    for (name, content) in files {
        tar.add(&format!("whimbrel-{run}/{name}"), content.as_bytes())?;
    }
    let mut out = tar.finish()?.finish()?;
    out.flush()?;
    out.sync_all()?;
    Ok(out.metadata()?.len())
}

//! `rejects retry`: rejected records read again, with the plan as it is now or with repaired bytes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use whimbrel_core::{Chosen, Options, Outcome, Selection};
use whimbrel_endpoint::Target;
use whimbrel_ledger::{Reject, RejectStatus, Run, RunKind, RunStatus, reject};

use super::show::bytes;
use super::{Named, bytes_file, for_each, name, place};
use crate::args::{Global, RejectsRetry};
use crate::cmd::migrate::{self, find_run, plan_flag};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::machine::listen_for_signals;
use crate::output::{Answer, count, printable};
use crate::progress::Shown;
use crate::project::Project;

pub(crate) async fn run(global: &Global, args: &RejectsRetry) -> Result<Answer, Failure> {
    if args.stray.is_some() {
        return Err(Failure::usage(
            "WB0727",
            "`rejects retry` takes no run: it continues the newest one",
            "what waits of the runs before it is read too; name rejects (`TABLE.UNIT`) or codes to choose",
        ));
    }
    let project = Project::open(&args.plan)?;
    let ports = project.ports(Arc::new(Shown::new(global))).await?;
    listen_for_signals(&ports.cancel)
        .map_err(|error| Failure::io("WB0704", "signals cannot be heard", &error))?;
    let target = ports.target.as_ref();
    let newest = find_run(&project, target, None).await?;
    let unfinished = newest.kind == RunKind::Retry && newest.status != RunStatus::Completed;
    // A retry that was stopped has chosen already.
    let chosen =
        if unfinished { Chosen::new() } else { choose(&project, target, &newest, args).await? };
    let options = Options {
        selection: Selection { rejects: words(args), ..migrate::selection(&args.selection)? },
        deadline_at: project.plan.run.deadline.map(|deadline| ports.clock.monotonic() + deadline),
        ..Options::default()
    };
    let schema = project.schema(ports.target.facts().await?.engine)?;
    let outcome = whimbrel_core::retry(&ports, &project.plan, schema, &options, chosen).await;
    match outcome.map_err(|error| project.explain(error))? {
        Outcome::NothingToDo { run } => {
            let message = match &args.from {
                None => format!("no open reject of run {run} to read again"),
                Some(folder) => format!("run {run} has what was repaired in {}", folder.display()),
            };
            let open = reject::open_of(target, &newest).await?;
            let text = format!("Nothing to do: {message}.\n");
            Ok(Answer::new(message, text, json!({ "run": run, "open_rejects": open })))
        }
        Outcome::Completed { run, rejects, remapped, .. } => {
            completed(&project, target, &run, rejects, &remapped).await
        }
        outcome @ (Outcome::SourcesChanged { .. } | Outcome::Stopped { .. }) => {
            migrate::answer(&ports, &project, outcome).await
        }
    }
}

/// What was asked for, as it was typed: the same words go on with a retry that was stopped.
fn words(args: &RejectsRetry) -> Option<String> {
    let from = args.from.as_ref().map(|folder| format!("--from {}", folder.display()));
    let words: Vec<String> = args.which.iter().cloned().chain(from).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

async fn completed(
    project: &Project,
    target: &dyn Target,
    id: &str,
    again: u64,
    remapped: &[String],
) -> Result<Answer, Failure> {
    let run = find_run(project, target, Some(id)).await?;
    let open = reject::open_of(target, &run).await?;
    let tables = migrate::table_figures(target, id).await?;
    let read: u64 = tables.iter().map(|table| table.units.read).sum();
    let flag = plan_flag(project);
    let mut text = format!("Run {id} is complete.\n");
    tables
        .iter()
        .filter(|table| table.units.read > 0)
        .for_each(|table| text.push_str(&table.line()));
    let message = format!("{} read again, {again} of them rejected again", count(read, "record"));
    text.push_str(&match open {
        0 => "No reject is open any more.\n".to_owned(),
        _ => format!("! {} open: whimbrel rejects list{flag}\n", count(open, "reject")),
    });
    text.push_str(&migrate::remapped_text(remapped));
    text.push_str(&format!("Next: whimbrel report{flag}\n"));
    let data = json!({
        "run": id,
        "rejects": again,
        "open_rejects": open,
        "tables_remapped": remapped,
        "tables": tables.iter().map(migrate::TableFigures::json).collect::<Vec<_>>(),
    });
    let exit = if again == 0 { Exit::Done } else { Exit::Rejects };
    Ok(Answer::new(message, text, data).with_exit(exit))
}

/// The rejects that are meant, each with its repaired bytes where there are some.
async fn choose(
    project: &Project,
    target: &dyn Target,
    newest: &Run,
    args: &RejectsRetry,
) -> Result<Chosen, Failure> {
    let exported = args.from.as_deref().map(index).transpose()?;
    let mut chosen = Chosen::new();
    let mut repairs = Repairs::default();
    let mut named = Named::new(&args.which);
    for_each(target, newest, true, &mut |reject| {
        if !named.means(&reject) {
            return Ok(());
        }
        let (Some(folder), Some(exported)) = (&args.from, &exported) else {
            chosen.insert(reject.id(), None);
            return Ok(());
        };
        if let Some(repaired) = repaired(project, folder, exported, &reject)? {
            repairs.note(&reject, &repaired)?;
            chosen.insert(reject.id(), Some(repaired));
        }
        Ok(())
    })
    .await?;
    named.all_met(newest)?;
    if let (Some(folder), Some(exported), true) = (&args.from, &exported, chosen.is_empty()) {
        if is_done(target, newest, folder, exported).await? {
            return Ok(chosen);
        }
        let flag = plan_flag(project);
        return Err(Failure::usage(
            "WB0710",
            format!("no file in `{}` differs from its open reject", folder.display()),
            format!(
                "edit the `.bytes` files, or read all again as they are: whimbrel rejects retry{flag}"
            ),
        ));
    }
    Ok(chosen)
}

/// True where a run has read something repaired that stands in the folder: one that was killed when
/// it had just ended, and whose command comes again.
async fn is_done(
    target: &dyn Target,
    newest: &Run,
    folder: &Path,
    exported: &Exported,
) -> Result<bool, Failure> {
    let mut done = false;
    for_each(target, newest, false, &mut |reject| {
        let resolved = matches!(reject.status, RejectStatus::Fixed | RejectStatus::Superseded);
        if let (true, Some(repaired)) = (resolved && !done, &reject.fixed_bytes) {
            done = edited(folder, exported, &reject)?.as_ref() == Some(repaired);
        }
        Ok(())
    })
    .await?;
    Ok(done)
}

/// What `rejects export` has written to a folder: by name, the digest of the bytes.
type Exported = BTreeMap<String, String>;

fn index(folder: &Path) -> Result<Exported, Failure> {
    let file = folder.join("index.jsonl");
    let text = fs::read_to_string(&file).map_err(|error| {
        let message = format!("the index of exported rejects cannot be read: `{}`", file.display());
        Failure::io("WB0710", message, &error)
            .with_hint("`whimbrel rejects export FOLDER` writes it")
            .with_exit(Exit::Usage)
    })?;
    let mut exported = Exported::new();
    for (number, line) in text.lines().enumerate() {
        let (name, digest) = entry(line).ok_or_else(|| {
            let place = format!("{}:{}", file.display(), number + 1);
            let message = format!("no entry of an index of rejects: `{place}`");
            Failure::usage("WB0710", message, "`whimbrel rejects export FOLDER` writes a new one")
        })?;
        exported.extend(digest.map(|digest| (name, digest)));
    }
    Ok(exported)
}

/// Name and digest; a file that was rejected as a whole has no bytes and no digest.
fn entry(line: &str) -> Option<(String, Option<String>)> {
    let entry: Json = serde_json::from_str(line).ok()?;
    let digest = entry.get("bytes_blake3").and_then(Json::as_str);
    Some((entry["id"].as_str()?.to_owned(), digest.map(str::to_owned)))
}

/// The bytes in the folder, where they are not those that were exported.
fn edited(folder: &Path, exported: &Exported, reject: &Reject) -> Result<Option<Vec<u8>>, Failure> {
    let Some(digest) = exported.get(&name(reject)) else { return Ok(None) };
    let file = folder.join(bytes_file(reject));
    match fs::read(&file) {
        Ok(found) => Ok((blake3::hash(&found).to_hex().as_str() != digest).then_some(found)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let message = format!("repaired bytes cannot be read: `{}`", file.display());
            Err(Failure::io("WB0710", message, &error))
        }
    }
}

/// The bytes by which a person has replaced those of an open reject.
fn repaired(
    project: &Project,
    folder: &Path,
    exported: &Exported,
    reject: &Reject,
) -> Result<Option<Vec<u8>>, Failure> {
    let Some(found) = edited(folder, exported, reject)? else { return Ok(None) };
    let differs = found != bytes(project, reject)?;
    if differs && reject.is_cut() {
        let message =
            format!("only the beginning of record `{}` was kept", printable(&place(reject), 200));
        return Err(Failure::usage(
            "WB0718",
            message,
            "mend the file itself and take it with `whimbrel migrate --incremental`",
        ));
    }
    Ok(differs.then_some(found))
}

/// Repairs by record: one record that several tables have rejected is repaired in one way.
#[derive(Default)]
struct Repairs(BTreeMap<(String, String, u64), (String, Vec<u8>)>);

impl Repairs {
    fn note(&mut self, reject: &Reject, repaired: &[u8]) -> Result<(), Failure> {
        let record = (reject.source.clone(), reject.source_file.clone(), reject.record);
        let (first, known) =
            self.0.entry(record).or_insert_with(|| (name(reject), repaired.to_vec()));
        if known == repaired {
            return Ok(());
        }
        let message = format!(
            "`{first}` and `{}` are the same record, `{}`, repaired in two ways",
            name(reject),
            printable(&place(reject), 200)
        );
        Err(Failure::usage("WB0711", message, "let both files hold the same bytes"))
    }
}

//! `rejects export`: the original bytes of open rejects, in files that can be mended in an editor.
//!
//! One file per reject, named after it (`TABLE.UNIT.bytes`), holding exactly the record's bytes, and
//! `index.jsonl` with what is wrong with each.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use serde_json::json;
use whimbrel_endpoint::Target;
use whimbrel_ledger::Run;
use whimbrel_profile::shown::argument;

use super::show::bytes;
use super::{bytes_file, for_each, list};
use crate::args::RejectsExport;
use crate::cmd::migrate::{find_run, plan_flag};
use crate::failure::Failure;
use crate::output::{Answer, count};
use crate::project::Project;

pub(crate) async fn run(args: &RejectsExport) -> Result<Answer, Failure> {
    let project = Project::open(&args.on.plan)?;
    let target = project.target().await?;
    let run = find_run(&project, target.as_ref(), args.on.run.as_deref()).await?;
    let folder = &args.folder;
    let failed = |error: io::Error| failed(folder, &error);
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).map_err(|error| failed(error).with_hint(ROOM))?;
    }
    let sensitive = project.plan.sources.iter().any(|source| !source.sensitive.is_empty());
    let mut making = fs::DirBuilder::new();
    if sensitive {
        making.mode(0o700);
    }
    making.create(folder).map_err(failed)?;
    let written = write(&project, target.as_ref(), &run, folder).await;
    let (total, hidden) = written.inspect_err(|_| {
        // A part of the rejects would look like all of them.
        let _gone = fs::remove_dir_all(folder);
    })?;
    let message = format!("{} written to {}", count(total, "reject"), folder.display());
    let clear = match hidden {
        0 => String::new(),
        _ => format!("! {} with sensitive columns, in clear\n", count(hidden, "record")),
    };
    let text = format!(
        "{message}\n{clear}Next: edit the .bytes files, then whimbrel rejects retry --from {}{}\n",
        argument(&folder.display().to_string()),
        plan_flag(&project)
    );
    Ok(Answer::new(
        message,
        text,
        json!({ "run": run.id, "total": total, "folder": folder.display().to_string() }),
    ))
}

/// Writes the files into a new folder; how many rejects there are, and how many have sensitive columns.
async fn write(
    project: &Project,
    target: &dyn Target,
    run: &Run,
    folder: &Path,
) -> Result<(u64, u64), Failure> {
    let failed = |error: io::Error| failed(folder, &error);
    let mut index = fs::File::create(folder.join("index.jsonl")).map_err(failed)?;
    let (mut total, mut hidden) = (0u64, 0u64);
    for_each(target, run, true, &mut |reject| {
        let mut entry = list::json(&reject);
        // A file that was rejected as a whole has no bytes of a record.
        if reject.record > 0 {
            let file = bytes_file(&reject);
            let mut out = fs::File::create_new(folder.join(&file)).map_err(failed)?;
            let bytes = bytes(project, &reject)?;
            out.write_all(&bytes).map_err(failed)?;
            entry["bytes_blake3"] = json!(blake3::hash(&bytes).to_hex().as_str());
            entry["bytes_file"] = json!(file);
        }
        writeln!(index, "{entry}").map_err(failed)?;
        total += 1;
        hidden += u64::from(project.plan.hides_records(&reject.source));
        Ok(())
    })
    .await?;
    index.sync_all().map_err(failed)?;
    Ok((total, hidden))
}

const ROOM: &str = "check the space, and the permissions of the folder that it goes into";

fn failed(folder: &Path, error: &io::Error) -> Failure {
    let message = format!("rejects cannot be written to `{}`", folder.display());
    let hint = match error.kind() {
        io::ErrorKind::AlreadyExists => "name a folder that does not exist yet",
        _ => ROOM,
    };
    Failure::io("WB0709", message, error).with_hint(hint)
}

//! `rejects show`: one reject with its original bytes.

use std::fs;

use serde_json::json;
use whimbrel_ledger::Reject;
use whimbrel_transform::MASK;

use super::{for_each, list, name, place};
use crate::args::RejectsShow;
use crate::cmd::migrate::find_run;
use crate::failure::Failure;
use crate::output::{Answer, count, printable};
use crate::project::Project;

/// Characters of a record that are shown.
const SHOWN: usize = 2000;

pub(crate) async fn run(args: &RejectsShow) -> Result<Answer, Failure> {
    let project = Project::open(&args.on.plan)?;
    let target = project.target().await?;
    let run = find_run(&project, target.as_ref(), args.on.run.as_deref()).await?;
    let mut found = Vec::new();
    for_each(target.as_ref(), &run, false, &mut |reject| {
        if name(&reject) == args.reject || place(&reject) == args.reject {
            found.push(reject);
        }
        Ok(())
    })
    .await?;
    if found.is_empty() {
        let message = format!("no reject `{}` in run {}", printable(&args.reject, 200), run.id);
        return Err(Failure::usage("WB0707", message, "`whimbrel rejects list --all` names them"));
    }
    let mut text = String::new();
    let mut data = Vec::new();
    for reject in &found {
        let mut document = list::json(reject);
        let hidden = !args.show_sensitive && project.plan.hides_records(&reject.source);
        document["hidden"] = json!(hidden);
        if hidden {
            let record = format!("{MASK} (`--show-sensitive` prints it)");
            text.push_str(&described(reject, &record));
            document["text"] = json!(MASK);
        } else {
            let bytes = bytes(&project, reject)?;
            let record = String::from_utf8_lossy(&bytes);
            text.push_str(&described(reject, &printable(&record, SHOWN)));
            document["text"] = json!(record);
            document["utf8"] = json!(std::str::from_utf8(&bytes).is_ok());
        }
        data.push(document);
    }
    Ok(Answer::new(count(found.len() as u64, "reject"), text, json!({ "rejects": data })))
}

/// The original bytes, from the ledger or from their spill file.
pub(super) fn bytes(project: &Project, reject: &Reject) -> Result<Vec<u8>, Failure> {
    match (&reject.bytes, &reject.spill) {
        (Some(bytes), _) => Ok(bytes.clone()),
        (None, Some(spill)) => {
            let path = project.base.join(".whimbrel").join(spill);
            fs::read(&path).map_err(|error| {
                Failure::io(
                    "WB0708",
                    format!("the bytes of a reject cannot be read: `{}`", path.display()),
                    &error,
                )
            })
        }
        (None, None) => Ok(Vec::new()),
    }
}

fn described(reject: &Reject, record: &str) -> String {
    let name = printable(&name(reject), 200);
    let mut text = format!("reject {name} ({})\n", reject.status.word());
    let mut row = |label: &str, value: String| text.push_str(&format!("  {label:<9} {value}\n"));
    row(
        "place",
        format!(
            "{} (record {}, byte {}, {} bytes)",
            printable(&place(reject), 400),
            reject.record,
            reject.byte_offset,
            reject.byte_len
        ),
    );
    row("table", printable(&reject.target_table, 200));
    if let Some(column) = &reject.target_column {
        row("column", printable(column, 200));
    }
    if let Some(field) = &reject.source_field {
        row("field", printable(field, 200));
    }
    if let Some(rule) = &reject.rule {
        row("rule", printable(rule, 200));
    }
    row("reason", format!("{} {}", reject.code, printable(&reject.message, 400)));
    if let Some(value) = &reject.value {
        row("value", format!("`{}`", printable(value, 200)));
    }
    if let Some(resolution) = &reject.resolution {
        row("resolved", printable(resolution, 400));
    }
    row("record", record.to_owned());
    text.push_str(&format!("  more      whimbrel explain {}\n", reject.code));
    text
}

//! `report`: everything about one run, as Markdown, HTML or JSON; its checks as JUnit's XML.

mod bundle;
mod redact;
mod tar;

use serde_json::json;
use whimbrel_report::{GatherError, Options};

use crate::args::{Format, Global, Report, ReportForm};
use crate::cmd::migrate::{find_run, takes_no_flag};
use crate::codes;
use crate::failure::Failure;
use crate::output::Answer;
use crate::project::Project;

pub(crate) async fn run(global: &Global, args: &Report) -> Result<Answer, Failure> {
    takes_no_flag("report", &args.on)?;
    let project = Project::open(args.on.plan())?;
    let target = project.target().await?;
    let run = find_run(&project, target.as_ref(), args.on.wanted()).await?;
    let file = project.file.display().to_string();
    let options = Options {
        plan: (file != "whimbrel.toml").then_some(file),
        title_of: codes::title_of,
        ..Options::default()
    };
    if let Some(file) = &args.bundle {
        return bundle::write(&project, &run, &options, file).await;
    }
    let form = args.form.unwrap_or(match global.format {
        Format::Text => ReportForm::Md,
        Format::Json | Format::Jsonl => ReportForm::Json,
    });
    let message = format!("report of run {}", run.id);
    let target = target.as_ref();
    let gathered =
        async { whimbrel_report::gather(target, &run.id, &options).await.map_err(failure) };
    Ok(match form {
        ReportForm::Md => whole(message, "md", whimbrel_report::markdown(&gathered.await?)),
        ReportForm::Html => whole(message, "html", whimbrel_report::html(&gathered.await?)),
        ReportForm::Json => {
            let document = whimbrel_report::json(&gathered.await?);
            let text = serde_json::to_string_pretty(&document).expect("a JSON value has a text");
            Answer::new(message, text, document)
        }
        ReportForm::Junit => {
            let document = whimbrel_report::junit(target, &run.id, &options).await;
            whole(message, "junit", document.map_err(failure)?)
        }
    })
}

/// A form for people; in an envelope it is one text.
fn whole(message: String, form: &str, text: String) -> Answer {
    let data = json!({ "form": form, "text": text });
    Answer::new(message, text, data)
}

fn failure(error: GatherError) -> Failure {
    match error {
        GatherError::NoSuchRun(_) => {
            let code = error.code();
            Failure::usage(code, error.to_string(), "`whimbrel history` lists the runs")
        }
        GatherError::Ledger { run, source } => {
            let mut failure = Failure::from(source);
            let why = std::mem::replace(
                &mut failure.message,
                format!("the ledger of run {run} cannot be read"),
            );
            failure.causes.insert(0, why);
            failure
        }
    }
}

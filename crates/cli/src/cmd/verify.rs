//! `verify`: proves that what was loaded stands in the target. Writes its checks to the ledger.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use whimbrel_core::event::{Numbered, Observer};
use whimbrel_core::{CoreError, verify_run, waive_verification};
use whimbrel_model::Value;
use whimbrel_transform::MASK;
use whimbrel_validator::compare::{Cell, Found, How};
use whimbrel_validator::lineage::{SignKey, Signer};
use whimbrel_validator::verify::{Checked, Level, Status, Verification};

use crate::args::{LevelArg, VerifyVerb};
use crate::cmd::compare::NO_RIGHT;
use crate::cmd::masks::Masks;
use crate::cmd::migrate::{plan_flag, takes_no_flag};
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::output::{Answer, Shortfall, count, printable, thousands};
use crate::project::Project;

/// Characters of a message in a table.
const MESSAGE_CHARS: usize = 400;

/// Characters of a value.
const CELL_CHARS: usize = 60;

pub(crate) async fn run(args: &VerifyVerb) -> Result<Answer, Failure> {
    takes_no_flag("verify", &args.on)?;
    let project = Project::open(args.on.plan())?;
    let ports = project.ports(Arc::new(Silent)).await?;
    let wanted = args.on.wanted();
    if let Some(reason) = &args.waive {
        if reason.trim().is_empty() {
            let hint = "`--waive \"the shop was open: rows of today are newer\"`";
            return Err(Failure::usage("WB0706", "`--waive` needs a reason", hint));
        }
        let waived = waive_verification(&ports, &project.plan, wanted, reason).await;
        let run = waived.map_err(|error| project.explain(error))?;
        let message = format!("Waived the verification of run {}", run.id);
        let text = format!(
            "{message}: {}\nNext: whimbrel migrate    (goes on, if the run is unfinished)\n",
            printable(reason, 200)
        );
        return Ok(Answer::new(message, text, json!({ "run": run.id, "reason": reason })));
    }
    let level = match args.level {
        LevelArg::Basic => Level::Basic,
        LevelArg::Standard => Level::Standard,
        LevelArg::Rigorous => Level::Rigorous,
        LevelArg::Forensic => Level::Forensic,
    };
    let key = args.sign_key.as_deref().map(sign_key).transpose()?;
    if key.is_some() && level != Level::Forensic {
        let hint = "whimbrel verify --level forensic --sign-key FILE";
        let message = "`--sign-key` signs what `--level forensic` writes down";
        return Err(Failure::usage("WB0706", message, hint));
    }
    let signer = key.as_ref().map(|key| key as &dyn Signer);
    let verified = verify_run(&ports, &project.plan, wanted, level, signer).await;
    let (run, verification) = verified.map_err(|error| unverified(&project, error))?;
    let masks = Masks::of(&project, &ports).await;
    Ok(answer(&project, &run.id, &masked(&project, &masks, verification)))
}

/// The rows that differ, without what must not be shown of them.
fn masked(project: &Project, masks: &Masks, verification: Verification) -> Verification {
    let over = |(table, found): (String, Found)| {
        let mapping = project.plan.tables.iter().find(|mapping| mapping.into.value == table);
        let key: Option<Vec<String>> =
            mapping.map(|mapping| mapping.key.iter().map(|key| key.value.clone()).collect());
        let found = masks.over(&table, key.as_deref(), &found);
        (table, found)
    };
    let found = verification.found.into_iter().map(over).collect();
    Verification { found, ..verification }
}

/// The key of `--sign-key`.
fn sign_key(file: &Path) -> Result<SignKey, Failure> {
    let shown = printable(&file.display().to_string(), 200);
    let hint = "`openssl genpkey -algorithm ed25519 -out FILE` makes one";
    let text = fs::read_to_string(file).map_err(|error| {
        let what = format!("the key cannot be read: `{shown}`");
        Failure::io("WB0825", what, &error).with_exit(Exit::Usage).with_hint(hint)
    })?;
    SignKey::from_pem(&text).map_err(|why| {
        let what = format!("the key cannot sign: `{shown}`");
        Failure { causes: vec![why.to_owned()], ..Failure::usage("WB0825", what, hint) }
    })
}

/// What broke in the middle is neither a match nor a difference.
fn unverified(project: &Project, error: CoreError) -> Failure {
    let is_break = match &error {
        CoreError::Endpoint { source, .. } => {
            source.code == NO_RIGHT || !matches!(exit::of_core(&error), Exit::Usage | Exit::Held)
        }
        _ => false,
    };
    let failure = project.explain(error);
    if !is_break {
        return failure;
    }
    let hint = "nothing is known of what was not read; run the same command again";
    failure.with_exit(Exit::NotVerified).with_hint(hint)
}

/// Nobody listens: the answer says it all.
pub(crate) struct Silent;

impl Observer for Silent {
    fn event(&self, _: &Numbered) {}
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Passed => "passed",
        Status::Failed => "FAILED",
        Status::Noted => "noted",
        Status::Unverified => "NOT VERIFIED",
    }
}

fn answer(project: &Project, run: &str, verification: &Verification) -> Answer {
    let checks = &verification.checks;
    let level = verification.level.word();
    let of = |status: Status| checks.iter().filter(|check| check.status == status).count() as u64;
    let coverage = verification.coverage;
    let message = if verification.passed() {
        format!("Run {run} is verified ({level}): {} passed", count(of(Status::Passed), "check"))
    } else if verification.failed() {
        format!("Run {run} differs ({level}): {} failed", count(of(Status::Failed), "check"))
    } else {
        format!("Run {run} could not be verified ({level}) as a whole")
    };
    let mut text = format!("{message}.\n\n");
    table(checks, &mut text);
    if verification.level >= Level::Standard {
        let _ = write!(
            text,
            "\n{} read back, {} proved by their digests",
            count(coverage.rows, "row"),
            thousands(coverage.proved)
        );
        if verification.level >= Level::Rigorous {
            let _ = write!(text, ", {} derived anew", thousands(coverage.derived));
        }
        if coverage.attested > 0 {
            let _ = write!(text, ", {} attested", thousands(coverage.attested));
        }
        text.push('\n');
    }
    if let Some(lineage) = lineage_of(verification) {
        let signed = match lineage["key"].as_str() {
            Some(key) => format!("signed with the key {key}"),
            None => "not signed (`--sign-key FILE` signs it)".to_owned(),
        };
        let _ = writeln!(
            text,
            "lineage of {} in .whimbrel/lineage/{run}/; head {}, {signed}",
            count(lineage["leaves"].as_u64().unwrap_or(0), "leaf").replace("leafs", "leaves"),
            lineage["head"].as_str().unwrap_or_default()
        );
    }
    for (table, found) in &verification.found {
        let _ = writeln!(text, "  {}: {}", printable(table, 60), row(found));
    }
    let next = format!("whimbrel report {run}{}", plan_flag(project));
    let _ = writeln!(text, "Next: {next}");
    let data = json!({
        "run": run,
        "level": level,
        "passed": verification.passed(),
        "coverage": {
            "rows": coverage.rows, "proved": coverage.proved, "derived": coverage.derived, "attested": coverage.attested,
        },
        "lineage": lineage_of(verification),
        "checks": checks.iter().map(document).collect::<Vec<_>>(),
        "rows": verification.found.iter().map(|(table, found)| json!({
            "table": table, "how": found.how.word(), "key": key_of(found),
            "cells": found.cells.iter().map(of_cell).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    });
    let answer = Answer::new(message, text, data);
    if verification.passed() {
        return answer;
    }
    if verification.failed() {
        let hint = "mend the rows and verify again, or `whimbrel verify --waive REASON`";
        return answer
            .falls_short(Exit::Differs, Shortfall { code: "WB0639", hint: hint.to_owned() });
    }
    let hint = "the checks that are not verified say why";
    answer.falls_short(Exit::NotVerified, Shortfall { code: "WB0807", hint: hint.to_owned() })
}

/// What the head of a lineage holds, where one was made.
fn lineage_of(verification: &Verification) -> Option<&Json> {
    let is_whole = |check: &&Checked| check.kind == "lineage" && check.details["head"].is_string();
    let own = verification.checks.iter().rfind(is_whole);
    own.filter(|_| verification.passed()).map(|check| &check.details)
}

fn of_cell(cell: &Cell) -> Json {
    let told = |value: &Option<Value>| match value {
        None | Some(Value::Null) => Json::Null,
        Some(value) => printable(&value.as_ref().to_string(), 4_096).into(),
    };
    json!({ "column": cell.column, "expected": told(&cell.left), "found": told(&cell.right) })
}

fn table(checks: &[Checked], text: &mut String) {
    let kinds = checks.iter().map(|check| check.kind.len()).max().unwrap_or(0);
    let name = |check: &Checked| printable(&check.name, 48);
    let names = checks.iter().map(|check| name(check).chars().count()).max().unwrap_or(0);
    for check in checks {
        let figures = match (check.expected, check.actual) {
            (Some(expected), Some(actual)) if expected == actual => thousands(actual),
            (Some(expected), Some(actual)) => {
                format!("{} of {}", thousands(actual), thousands(expected))
            }
            (None, Some(actual)) => thousands(actual),
            (Some(_) | None, None) => String::new(),
        };
        let line = format!(
            "  {:kinds$}  {:names$}  {:12}  {figures}",
            check.kind,
            name(check),
            word(check.status)
        );
        let _ = writeln!(text, "{}", line.trim_end());
        // What a profile tells is for the report.
        if let Some(message) = check.message.as_ref().filter(|_| check.kind != "profile") {
            let _ = writeln!(text, "  {:kinds$}  {}", "", printable(message, MESSAGE_CHARS));
        }
    }
}

fn key_of(found: &Found) -> String {
    let parts: Vec<String> =
        found.key.iter().map(|value| printable(&value.as_ref().to_string(), 120)).collect();
    parts.join("/")
}

fn row(found: &Found) -> String {
    let told = |value: &Option<Value>| match value {
        None => "-".to_owned(),
        Some(Value::Text(text)) if text == MASK => MASK.to_owned(),
        // Unlike NULL, `NULL` and nothing at all.
        Some(Value::Text(text)) => format!("'{}'", printable(text, CELL_CHARS)),
        Some(value) => printable(&value.as_ref().to_string(), CELL_CHARS),
    };
    let cell = |cell: &Cell| {
        let (should, is) = (told(&cell.left), told(&cell.right));
        format!("{} should be {should}, is {is}", printable(&cell.column, CELL_CHARS))
    };
    let head = format!("{} {}", found.how.word(), key_of(found));
    if found.how != How::Changed || found.cells.is_empty() {
        return head;
    }
    let cells: Vec<String> = found.cells.iter().map(cell).collect();
    format!("{head}: {}", cells.join("; "))
}

fn document(check: &Checked) -> Json {
    json!({
        "type": check.kind,
        "name": check.name,
        "status": match check.status {
            Status::Passed => "passed",
            Status::Failed => "failed",
            Status::Noted => "noted",
            Status::Unverified => "unverified",
        },
        "expected": check.expected,
        "actual": check.actual,
        "message": check.message,
        "details": check.details,
    })
}

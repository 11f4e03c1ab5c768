//! The checks of a run as JUnit's XML, which every CI reads: one test case a check, and one for the
//! run itself, so that a run without checks is no success.

use std::fmt::Write as _;

use whimbrel_endpoint::Target;
use whimbrel_ledger::{Check, CheckStatus, Run, RunStatus, check};

use crate::gather::run::{stop, told};
use crate::gather::{GatherError, Options, limits};
use crate::shown::shown;

/// The checks of a run, all of them, as JUnit's XML.
pub async fn junit(
    target: &dyn Target,
    run: &str,
    options: &Options,
) -> Result<String, GatherError> {
    let failed = |source| GatherError::Ledger { run: run.to_owned(), source };
    let found = whimbrel_ledger::run::get(target, run).await.map_err(failed)?;
    let found = found.ok_or_else(|| GatherError::NoSuchRun(run.to_owned()))?;
    let checks = check::of_run(target, run).await.map_err(failed)?;
    Ok(document(&found, &checks, options))
}

fn document(run: &Run, checks: &[Check], options: &Options) -> String {
    let failures = checks.iter().filter(|check| check.status == CheckStatus::Failed).count();
    let unverified = checks.iter().filter(|check| check.status == CheckStatus::Unverified).count();
    let errors = unverified + usize::from(run.status != RunStatus::Completed);
    let counts =
        format!("tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\"", checks.len() + 1);
    let name = text(&format!("whimbrel run {}", run.id));
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{name}\" {counts}>\n\
         <testsuite name=\"{}\" timestamp=\"{}\" {counts} skipped=\"0\">\n",
        text(&run.plan),
        text(run.started_at.split('.').next().unwrap_or_default().trim_end_matches('Z'))
    );
    out.push_str(&of_run(run, options));
    for check in checks {
        out.push_str(&of_check(check, options));
    }
    out.push_str("</testsuite>\n</testsuites>\n");
    out
}

/// The run itself: anything but complete is an error, not a failed check.
fn of_run(run: &Run, options: &Options) -> String {
    let head = format!("<testcase classname=\"run\" name=\"{}\"", text(&run.id));
    if run.status == RunStatus::Completed {
        return format!("{head}/>\n");
    }
    let code = run.error_code.as_deref().unwrap_or(run.status.word());
    let stop = stop(run, options).map(|stop| stop.message);
    let message = stop.as_deref().unwrap_or(run.status.word());
    format!(
        "{head}>\n<error type=\"{}\" message=\"{}\"/>\n</testcase>\n",
        text(code),
        text(message)
    )
}

fn of_check(check: &Check, options: &Options) -> String {
    let mut out = String::new();
    let put = &mut out;
    let class = format!("{}.{}", check.phase, check.check_type);
    let head =
        format!("<testcase classname=\"{}\" name=\"{}\"", text(&class), text(&check.check_name));
    let figures = [("expected", check.expected_count), ("found", check.actual_count)];
    let figures = figures.iter().filter_map(|(word, count)| Some(format!("{word} {}", (*count)?)));
    let figures = figures.collect::<Vec<_>>().join(", ");
    let message = told(check, options.include_values);
    let message = message.as_deref().unwrap_or(if figures.is_empty() {
        check.status.word()
    } else {
        &figures
    });
    match check.status {
        CheckStatus::Passed => writeln!(put, "{head}/>"),
        CheckStatus::Failed => write!(
            put,
            "{head}>\n<failure type=\"{}\" message=\"{}\">{}</failure>\n</testcase>\n",
            text(&check.check_type),
            text(message),
            text(&figures)
        ),
        CheckStatus::Unverified => write!(
            put,
            "{head}>\n<error type=\"{}\" message=\"{}\"/>\n</testcase>\n",
            text(&check.check_type),
            text(message)
        ),
        // JUnit knows no warnings: it passed, and this is what it said.
        CheckStatus::Noted | CheckStatus::Waived => write!(
            put,
            "{head}>\n<system-out>{}</system-out>\n</testcase>\n",
            text(&format!("{}: {message}", check.status.word()))
        ),
    }
    .expect("a String takes every character");
    out
}

/// Text for XML content and attributes. What steers a reader is escaped, and so is what no XML may
/// hold in any form: controls, and the two that are no characters.
fn text(text: &str) -> String {
    let mut out = String::new();
    for letter in shown(text, limits::MESSAGE).chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => out.extend(letter.escape_unicode()),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_can_stand_in_xml() {
        let allowed = |letter: char| matches!(letter, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
        for letter in '\0'..=char::MAX {
            let shown = text(&letter.to_string());
            assert!(shown.chars().all(allowed), "{letter:?}");
            assert!(!shown.contains(['<', '>', '"', '\'']), "{letter:?}");
        }
    }
}

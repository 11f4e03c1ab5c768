//! The report as Markdown that GitHub renders, below the size of one of its comments.
//!
//! Legacy text stands in code spans, or in `<code>` with character references where a code span
//! could be left: no pipe ends a cell, no backtick a span, nothing becomes a link or a mention.

use std::fmt::Write as _;

use crate::report::{
    CheckOutcome, Circumstances, Effect, RejectGroup, RelateRow, RelateTimes, RowAccounts,
    RunReport, SourceRow, StatusCounts, TableRow, Verdict,
};
use crate::shown::{bytes, count, counted, percent, rate, seconds};

/// The most bytes of a report as Markdown: what a comment on GitHub holds.
const MAX: usize = 65_000;

/// The report as Markdown.
pub fn markdown(report: &RunReport) -> String {
    let mut out = String::with_capacity(16 << 10);
    head(&mut out, report);
    next(&mut out, report);
    accounts(&mut out, report);
    relates(&mut out, report);
    ends(&mut out, report);
    rejects(&mut out, report);
    notes(&mut out, report);
    checks(&mut out, report);
    files(&mut out, report);
    times(&mut out, report);
    circumstances(&mut out, report);
    digests(&mut out, report);
    debug_assert!(out.len() <= MAX, "every section has its share");
    out
}

/// What a section's table may take, in bytes.
mod share {
    pub(super) const TABLES: usize = 6_000;
    pub(super) const RELATES: usize = 3_000;
    pub(super) const GROUPS: usize = 5_000;
    pub(super) const SAMPLES: usize = 6_500;
    pub(super) const NOTES: usize = 5_500;
    pub(super) const CHECKS: usize = 4_000;
    pub(super) const FILES: usize = 2_500;
    pub(super) const PHASES: usize = 3_000;
    pub(super) const SMALL: usize = 1_500;
}

/// How a verdict is marked, beside its words.
pub(crate) fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Complete => "✔",
        Verdict::CompleteWithRejects => "⚠",
        Verdict::Unbalanced | Verdict::Failed => "✖",
        Verdict::Interrupted => "⏸",
        Verdict::Running => "▶",
    }
}

/// How a status of a check or a step is marked, beside its word.
pub(crate) fn mark_of(status: &str) -> &'static str {
    match status {
        "passed" | "completed" => "✔",
        "failed" => "✖",
        "warning" | "noted" | "unverified" | "waived" => "⚠",
        "running" => "▶",
        _waiting => "…",
    }
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn heading(out: &mut String, text: &str) {
    line(out, "");
    line(out, &format!("## {text}"));
    line(out, "");
}

fn head(out: &mut String, report: &RunReport) {
    let (outcome, circumstances) = (&report.outcome, &report.circumstances);
    let verdict = outcome.verdict;
    line(
        out,
        &format!(
            "# {} Run {} of {}: {}",
            mark(verdict),
            code(&circumstances.run),
            code(&outcome.plan),
            verdict.words()
        ),
    );
    line(out, "");
    line(out, &balance(report));
    let speed = &circumstances.pace;
    line(out, "");
    line(
        out,
        &format!(
            "{} in {}: {} units/s, {} rows/s, {}/s.",
            bytes(outcome.units.read.bytes),
            seconds(circumstances.active_seconds),
            rate(speed.units_per_second),
            rate(speed.rows_per_second),
            bytes(speed.bytes_per_second as u64)
        ),
    );
    if let Some(stop) = &outcome.error {
        line(out, "");
        line(out, &format!("Stopped by {}: {}", code(&stop.code), text(&stop.message)));
    }
    for remark in outcome.remarks.shown.iter().take(5) {
        line(out, "");
        line(out, &format!("⚠ {} {}", remark.code, text(&remark.message)));
    }
}

/// `**read 40** = loaded 30 + rejected 10: ✔ balanced`; classes without units are left out.
fn balance(report: &RunReport) -> String {
    let outcome = &report.outcome;
    let classes = outcome.units.classes().into_iter().filter(|(_, figure)| figure.count > 0);
    let classes: Vec<String> =
        classes.map(|(name, figure)| format!("{name} {}", count(figure.count))).collect();
    let classes = if classes.is_empty() { "0".to_owned() } else { classes.join(" + ") };
    let balanced = if outcome.balanced {
        "✔ balanced in counts, bytes and digests"
    } else {
        "✖ NOT balanced"
    };
    format!("**read {}** = {classes}: {balanced}", count(outcome.units.read.count))
}

fn next(out: &mut String, report: &RunReport) {
    heading(out, "What to do next");
    for (index, step) in report.circumstances.next.iter().enumerate() {
        line(out, &format!("{}. {}: {}", index + 1, text(&step.why), code(&step.command)));
    }
}

fn accounts(out: &mut String, report: &RunReport) {
    let tables = &report.outcome.tables;
    heading(out, "Where the records went");
    let head = [
        "Table",
        "Status",
        "Read:",
        "Loaded:",
        "Updated:",
        "Unchanged:",
        "Rejected:",
        "Filtered:",
        "Duplicate:",
        "Balance",
    ];
    let rows = tables.shown.iter().map(|table| {
        let mut cells =
            vec![code(&table.table), status(table.status), count(table.units.read.count)];
        cells.extend(table.units.classes().map(|(_, figure)| count(figure.count)));
        cells.push(balanced(table));
        cells
    });
    grid(out, &head, rows, tables.more, "table", share::TABLES / 2);
    line(out, "");
    let head = [
        "Table",
        "Rows produced:",
        "Inserted:",
        "Updated:",
        "Unchanged:",
        "Files:",
        "Done:",
        "Lines:",
        "Blank or comment:",
    ];
    let rows = tables.shown.iter().map(|table| {
        let RowAccounts { produced, inserted, updated, unchanged } = table.rows;
        let files = &table.files;
        let figures = [
            produced.count,
            inserted.count,
            updated.count,
            unchanged.count,
            files.total,
            files.completed,
            files.lines,
            files.skipped,
        ];
        std::iter::once(code(&table.table)).chain(figures.map(count)).collect()
    });
    grid(out, &head, rows, tables.more, "table", share::TABLES / 2);
}

fn balanced(table: &TableRow) -> String {
    let gaps = gaps(table);
    if gaps.is_empty() { "✔ balanced".to_owned() } else { format!("✖ {gaps}") }
}

/// What does not balance in a table's accounts; nothing where all does.
pub(crate) fn gaps(table: &TableRow) -> String {
    let mut gaps = Vec::new();
    if !table.units_balance {
        gaps.push("units do not balance".to_owned());
    }
    if !table.rows_balance {
        gaps.push("rows do not balance".to_owned());
    }
    if !table.rejects_agree {
        let (listed, rejected) = (count(table.rejects_listed), count(table.units.rejected.count));
        gaps.push(format!("{rejected} rejected, but {listed} listed"));
    }
    gaps.join("; ")
}

fn relates(out: &mut String, report: &RunReport) {
    let relates = &report.outcome.relates;
    if relates.shown.is_empty() {
        return;
    }
    heading(out, "Steps in SQL");
    let head = ["Step", "Status", "Rows changed:", "Tables after", "Time:", "Check", "Undo"];
    let rows = relates.shown.iter().map(|relate| {
        let times = times_of(report, relate);
        let status = match times.and_then(|times| times.done_by.as_deref()) {
            Some(run) => format!("{}, by run {}", status(relate.status), code(run)),
            None => status(relate.status),
        };
        let tables = relate.tables.shown.iter().map(|one| {
            let rows =
                one.rows_after.map_or_else(|| "gone".to_owned(), |rows| counted(rows, "row"));
            format!("{} {rows}", code(&one.table))
        });
        vec![
            code(&relate.name),
            status,
            relate.rows.map(count).unwrap_or_default(),
            joined(tables, relate.tables.more),
            times.and_then(|times| times.active_seconds).map(seconds).unwrap_or_default(),
            check_outcome(relate.check),
            undo(relate.undo).to_owned(),
        ]
    });
    grid(out, &head, rows, relates.more, "step", share::RELATES);
}

/// The circumstances of a step of SQL.
pub(crate) fn times_of<'r>(report: &'r RunReport, relate: &RelateRow) -> Option<&'r RelateTimes> {
    report.circumstances.relates.shown.iter().find(|times| times.step == relate.step)
}

/// The parts, and how many more there are.
pub(crate) fn joined(parts: impl Iterator<Item = String>, more: u64) -> String {
    let more = (more > 0).then(|| format!("and {} more", count(more)));
    parts.chain(more).collect::<Vec<_>>().join(", ")
}

/// A sign and the words.
fn check_outcome(check: CheckOutcome) -> String {
    match check {
        CheckOutcome::Passed | CheckOutcome::Failed => status(check.words()),
        CheckOutcome::None | CheckOutcome::NotYet | CheckOutcome::Unknown => {
            check.words().to_owned()
        }
    }
}

/// Whether a done step can be undone.
pub(crate) fn undo(undo: Option<bool>) -> &'static str {
    match undo {
        Some(true) => "recorded",
        Some(false) => "⚠ none",
        None => "",
    }
}

fn status(status: &str) -> String {
    format!("{} {status}", mark_of(status))
}

fn rejects(out: &mut String, report: &RunReport) {
    let rejects = &report.outcome.rejects;
    heading(out, "Rejects");
    if rejects.total == 0 {
        line(out, "None.");
        return;
    }
    let statuses = &rejects.statuses;
    line(
        out,
        &format!(
            "{}: {} open, {} fixed, {} superseded, {} waived.",
            counted(rejects.total, "reject"),
            count(statuses.open),
            count(statuses.fixed),
            count(statuses.superseded),
            count(statuses.waived)
        ),
    );
    line(out, "");
    let head = ["#:", "Rejects:", "Share:", "", "Open:", "Cause", "Table", "Column", "Rule"];
    let rows = rejects.groups.shown.iter().enumerate().map(|(index, group)| {
        vec![
            (index + 1).to_string(),
            count(group.count),
            percent(group.count, rejects.total),
            bar(group.count, rejects.total),
            count(group.statuses.open),
            cause(group),
            code(&group.table),
            optional(group.column.as_deref()),
            optional(group.rule.as_deref()),
        ]
    });
    let left = grid(out, &head, rows, rejects.groups.more, "cause", share::GROUPS);
    line(out, "");
    let listed = rejects.groups.shown.len() - left;
    samples(out, &rejects.groups.shown[..listed]);
    line(out, "");
    grouped(out, report);
    line(out, "");
    let rows = rejects.by_stage.iter().map(|one| vec![one.stage.to_owned(), count(one.count)]);
    grid(out, &["Stage", "Rejects:"], rows, 0, "stage", share::SMALL);
    if !rejects.waivers.shown.is_empty() {
        line(out, "");
        let rows = rejects
            .waivers
            .shown
            .iter()
            .map(|one| vec![text(&one.reason), text(&one.by), count(one.count)]);
        grid(
            out,
            &["Waived because", "By", "Rejects:"],
            rows,
            rejects.waivers.more,
            "reason",
            share::SMALL,
        );
    }
}

/// The same rejects by one thing at a time.
fn grouped(out: &mut String, report: &RunReport) {
    let rejects = &report.outcome.rejects;
    let figures = |count_of: u64, statuses: &StatusCounts| {
        [count_of, statuses.open, statuses.retried(), statuses.waived].map(count)
    };
    let rows = rejects.by_code.shown.iter().map(|one| {
        let figures = figures(one.count, &one.statuses);
        std::iter::once(titled(&one.code, one.title)).chain(figures).collect()
    });
    let head = ["Code", "Rejects:", "Open:", "Read again:", "Waived:"];
    grid(out, &head, rows, rejects.by_code.more, "code", share::SMALL);
    line(out, "");
    let rows = rejects.by_column.shown.iter().map(|one| {
        let column = one.column.as_deref().map_or_else(|| "the record".to_owned(), code);
        let figures = figures(one.count, &one.statuses);
        [code(&one.table), column].into_iter().chain(figures).collect()
    });
    let head = ["Table", "Column", "Rejects:", "Open:", "Read again:", "Waived:"];
    grid(out, &head, rows, rejects.by_column.more, "column", share::SMALL);
    line(out, "");
    let rows = rejects.by_source.shown.iter().map(|one| {
        let figures = figures(one.count, &one.statuses);
        std::iter::once(code(&one.source)).chain(figures).collect()
    });
    let head = ["Source", "Rejects:", "Open:", "Read again:", "Waived:"];
    grid(out, &head, rows, rejects.by_source.more, "source", share::SMALL);
    line(out, "");
    let hours = &report.circumstances.rejects_by_hour;
    let rows = hours.shown.iter().map(|one| vec![text(&one.hour), count(one.count)]);
    grid(out, &["Hour", "Rejects:"], rows, hours.more, "hour", share::SMALL / 2);
}

fn cause(group: &RejectGroup) -> String {
    titled(&group.code, group.title)
}

fn titled(known: &str, title: Option<&str>) -> String {
    match title {
        Some(title) => format!("{} {}", code(known), text(title)),
        None => code(known),
    }
}

/// Attempts that ended before the run was done.
fn ends(out: &mut String, report: &RunReport) {
    let circumstances = &report.circumstances;
    if circumstances.ends.shown.is_empty() {
        return;
    }
    heading(out, "Errors and stops");
    let rows = circumstances.ends.shown.iter().map(|end| {
        let why = match (&end.code, &end.reason) {
            (Some(code), _) => titled(code, end.title),
            (None, Some(reason)) => format!("stopped: {}", text(reason)),
            (None, None) => String::new(),
        };
        vec![why, text(&end.phase), text(&end.hour), count(end.count), count(end.retries)]
    });
    let head = ["Why an attempt ended", "Phase", "Hour", "Attempts:", "Tried again before:"];
    grid(out, &head, rows, circumstances.ends.more, "end", share::SMALL);
}

fn samples(out: &mut String, groups: &[RejectGroup]) {
    let head = ["#:", "Place", "Record:", "Byte:", "Field", "Value", "Why", "Reject"];
    let rows = groups.iter().enumerate().flat_map(|(index, group)| {
        group.samples.iter().map(move |sample| {
            vec![
                (index + 1).to_string(),
                code(&sample.place),
                count(sample.record),
                count(sample.byte_offset),
                optional(sample.field.as_deref()),
                optional(sample.value.as_deref()),
                sample.message.as_deref().map(text).unwrap_or_default(),
                code(&sample.reject),
            ]
        })
    });
    grid(out, &head, rows, 0, "sample", share::SAMPLES);
}

fn notes(out: &mut String, report: &RunReport) {
    let notes = &report.outcome.notes;
    heading(out, "What the plan changed, warned about or left out");
    if notes.shown.is_empty() {
        line(out, "Nothing: every value arrived as it was.");
        return;
    }
    let head = ["Count:", "What", "", "Table", "Column", "Rule", "First of them"];
    let rows = notes.shown.iter().map(|note| {
        let what = match note.title {
            Some(title) => format!("{} {}", code(&note.code), text(title)),
            None => code(&note.code),
        };
        let first = note.samples.iter().take(2).map(|sample| match &sample.value {
            Some(value) => format!("{} at {}", code(value), code(&sample.place)),
            None => code(&sample.place),
        });
        vec![
            count(note.count),
            what,
            effect(note.effect),
            code(&note.table),
            optional(note.column.as_deref()),
            optional(note.rule.as_deref()),
            first.collect::<Vec<_>>().join(", "),
        ]
    });
    grid(out, &head, rows, notes.more, "kind", share::NOTES);
}

fn effect(effect: Effect) -> String {
    effect.word().to_owned()
}

fn checks(out: &mut String, report: &RunReport) {
    let checks = &report.outcome.checks;
    heading(out, "Checks");
    if checks.shown.is_empty() {
        line(out, "None yet: they are made when the load is done.");
        return;
    }
    let head = ["Check", "Of", "Result", "Expected:", "Found:", "What is wrong"];
    let rows = checks.shown.iter().map(|check| {
        vec![
            text(&check.kind),
            code(&check.name),
            status(check.status),
            check.expected.map(count).unwrap_or_default(),
            check.actual.map(count).unwrap_or_default(),
            check.message.as_deref().map(text).unwrap_or_default(),
        ]
    });
    grid(out, &head, rows, checks.more, "check", share::CHECKS);
}

/// `12`, or `1 table` of a database.
fn found(source: &SourceRow) -> String {
    if source.tables > 0 { counted(source.tables, "table") } else { count(source.files) }
}

fn files(out: &mut String, report: &RunReport) {
    let outcome = &report.outcome;
    heading(out, "Files");
    let rows = outcome
        .sources
        .shown
        .iter()
        .map(|one| vec![code(&one.source), found(one), bytes(one.bytes)]);
    grid(out, &["Source", "Files:", "Size:"], rows, outcome.sources.more, "source", share::SMALL);
    if !outcome.worst_files.shown.is_empty() {
        line(out, "");
        let rows = outcome.worst_files.shown.iter().map(|file| {
            vec![
                code(&file.file),
                code(&file.table),
                count(file.rejected),
                count(file.read),
                status(file.status),
            ]
        });
        let head = ["Files with most rejects", "Table", "Rejected:", "Read:", "Status"];
        grid(out, &head, rows, outcome.worst_files.more, "file", share::FILES);
    }
    if !outcome.set_aside.shown.is_empty() {
        line(out, "");
        let rows = outcome.set_aside.shown.iter().map(|file| {
            let why = file.reason.as_deref().map(text).unwrap_or_default();
            vec![
                code(&file.file),
                code(&file.table),
                file.bytes.map(bytes).unwrap_or_default(),
                file.fate.to_owned(),
                why,
            ]
        });
        let head = ["Files not read", "Table", "Size:", "Fate", "Why"];
        grid(out, &head, rows, outcome.set_aside.more, "file", share::FILES);
    }
}

fn times(out: &mut String, report: &RunReport) {
    let circumstances = &report.circumstances;
    heading(out, "Where the time went");
    let whole = (circumstances.active_seconds * 1e6) as u64;
    let head = ["Phase", "Time:", "Share:", "", "Units:", "Batches:"];
    let rows = circumstances.phases.shown.iter().map(|phase| {
        let part = (phase.active_seconds * 1e6) as u64;
        vec![
            code(&phase.name),
            seconds(phase.active_seconds),
            percent(part, whole),
            bar(part, whole),
            count(phase.units),
            count(phase.batches),
        ]
    });
    grid(out, &head, rows, circumstances.phases.more, "phase", share::PHASES);
    let pace = &circumstances.pace;
    let course: Vec<f64> = pace
        .points
        .iter()
        .map(|point| {
            if point.active_seconds > 0.0 { point.units as f64 / point.active_seconds } else { 0.0 }
        })
        .collect();
    if course.len() > 2 {
        line(out, "");
        line(
            out,
            &format!(
                "units/s `{}` at most {}, median {}",
                sparkline(&course),
                rate(pace.units_per_second_max),
                rate(pace.units_per_second_median)
            ),
        );
    }
}

fn circumstances(out: &mut String, report: &RunReport) {
    let (outcome, circumstances) = (&report.outcome, &report.circumstances);
    heading(out, "Circumstances");
    let mut rows = vec![
        ("Kind", text(outcome.kind)),
        (
            "Target",
            format!(
                "{} {}, {}",
                text(&circumstances.target.engine),
                text(&circumstances.target.version),
                code(&circumstances.target.location)
            ),
        ),
        (
            "Started",
            format!("{} by {}", text(&circumstances.started_at), text(&circumstances.started_by)),
        ),
        ("Ended", circumstances.ended_at.as_deref().map_or_else(|| "not yet".to_owned(), text)),
        ("Time", time(circumstances)),
        ("Batches", count(circumstances.batches)),
        ("Tried again", times_tried(circumstances.retries)),
        ("Options", code(&outcome.options.to_string())),
        ("Plan digest", code(&outcome.plan_digest)),
        ("Program", text(&outcome.tool_version)),
    ];
    let related = |runs: &crate::report::Listed<crate::report::Related>| {
        let shown: Vec<String> = runs
            .shown
            .iter()
            .take(10)
            .map(|run| format!("{} ({}, {})", code(&run.run), run.kind, run.status))
            .collect();
        shown.join(", ")
    };
    if !circumstances.ancestors.shown.is_empty() {
        rows.push(("Continues", related(&circumstances.ancestors)));
    }
    if !circumstances.children.shown.is_empty() {
        rows.push(("Continued by", related(&circumstances.children)));
    }
    let checkpoints: Vec<String> = circumstances
        .checkpoints
        .shown
        .iter()
        .take(10)
        .map(|one| format!("{} {}", code(&one.name), code(one.hash.get(..16).unwrap_or(&one.hash))))
        .collect();
    if !checkpoints.is_empty() {
        let intact =
            if circumstances.checkpoints_intact { "✔ chain intact" } else { "✖ chain broken" };
        rows.push(("Checkpoints", format!("{}: {intact}", checkpoints.join(", "))));
    }
    let rows = rows.into_iter().map(|(what, value)| vec![what.to_owned(), value]);
    grid(out, &["", ""], rows, 0, "fact", share::SMALL * 3);
    if !circumstances.spilled.shown.is_empty() {
        line(out, "");
        let rows = circumstances
            .spilled
            .shown
            .iter()
            .map(|one| vec![code(&one.reject), bytes(one.bytes), code(&one.file)]);
        let head = ["Long reject", "Size:", "Its bytes are in"];
        grid(out, &head, rows, circumstances.spilled.more, "reject", share::SMALL);
    }
}

/// The time worked; pauses only where there were any.
pub(crate) fn time(circumstances: &Circumstances) -> String {
    let worked = format!(
        "{} in {}",
        seconds(circumstances.active_seconds),
        counted(circumstances.attempts, "attempt")
    );
    if circumstances.attempts < 2 {
        return worked;
    }
    format!("{worked}, {} with the pauses between them", seconds(circumstances.elapsed_seconds))
}

/// Passing faults.
pub(crate) fn times_tried(retries: u64) -> String {
    if retries == 0 { "never".to_owned() } else { counted(retries, "time") }
}

fn digests(out: &mut String, report: &RunReport) {
    if report.digests.shown.is_empty() {
        return;
    }
    line(out, "");
    line(out, "<details><summary>Digest sums (comparable between runs of this target)</summary>");
    line(out, "");
    let rows = report
        .digests
        .shown
        .iter()
        .map(|table| vec![code(&table.table), code(&table.read), code(&table.rows_produced)]);
    grid(
        out,
        &["Table", "Units read", "Rows produced"],
        rows,
        report.digests.more,
        "table",
        share::SMALL * 2,
    );
    line(out, "");
    line(out, "</details>");
}

/// A table of at most `limit` bytes; says how many rows it left out, and returns how many of the
/// given ones. Columns whose head ends with a colon are figures.
fn grid(
    out: &mut String,
    head: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
    more: u64,
    noun: &str,
    limit: usize,
) -> usize {
    let start = out.len();
    let names: Vec<&str> = head.iter().map(|name| name.trim_end_matches(':')).collect();
    let rules: Vec<&str> =
        head.iter().map(|name| if name.ends_with(':') { "---:" } else { "---" }).collect();
    line(out, &format!("| {} |", names.join(" | ")));
    line(out, &format!("| {} |", rules.join(" | ")));
    let mut left = 0;
    for row in rows {
        let row = format!("| {} |", row.join(" | "));
        if left == 0 && out.len() - start + row.len() < limit {
            line(out, &row);
        } else {
            left += 1;
        }
    }
    let missing = more + left as u64;
    if missing > 0 {
        line(out, "");
        line(out, &format!("… and {}.", counted(missing, &format!("more {noun}"))));
    }
    left
}

/// A bar of ten blocks.
fn bar(part: u64, whole: u64) -> String {
    if whole == 0 || part == 0 {
        return String::new();
    }
    let eighths = ((part as f64 / whole as f64) * 80.0).ceil() as usize;
    let mut bar = "█".repeat(eighths / 8);
    bar.extend("▏▎▍▌▋▊▉".chars().nth((eighths % 8).wrapping_sub(1)));
    bar
}

/// At most 40 blocks, each the mean of its neighbours.
fn sparkline(values: &[f64]) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let width = values.len().div_ceil(40);
    let means: Vec<f64> =
        values.chunks(width).map(|part| part.iter().sum::<f64>() / part.len() as f64).collect();
    let most = means.iter().copied().fold(0.0, f64::max);
    means
        .iter()
        .map(
            |mean| {
                if most > 0.0 { BLOCKS[((mean / most) * 7.0).round() as usize] } else { BLOCKS[0] }
            },
        )
        .collect()
}

fn optional(value: Option<&str>) -> String {
    value.map(code).unwrap_or_default()
}

/// Text that stands for itself: a code span where that is safe, else `<code>` with references.
fn code(text: &str) -> String {
    let spaced = text.starts_with(' ') || text.ends_with(' ');
    if text.is_empty() {
        return "*(empty)*".to_owned();
    }
    if !spaced && !text.contains(['`', '|']) {
        return format!("`{text}`");
    }
    format!("<code>{}</code>", references(text))
}

/// Prose that may quote legacy text; what stands between backticks becomes code.
fn text(text: &str) -> String {
    if !text.matches('`').count().is_multiple_of(2) {
        return prose(text);
    }
    let parts = text.split('`').enumerate().map(|(at, part)| match (at % 2, part) {
        (0, "") => String::new(),
        (0, part) => prose(part),
        (_quoted, part) => code(part),
    });
    parts.collect()
}

fn prose(text: &str) -> String {
    if text.contains(['@', '#']) || text.contains("://") || text.contains("www.") {
        return code(text);
    }
    references(text)
}

/// Every character that Markdown or HTML could read as its own becomes a reference; so do those
/// that make GitHub see an address.
fn references(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let address = (letter == ':' && letters.peek() == Some(&'/'))
            || (letter == '.' && out.ends_with("www"));
        match letter {
            letter if address => {
                write!(out, "&#{};", u32::from(letter)).expect("a String takes every character");
            }
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '#' | '|' | '~' | '$' | '@' => {
                write!(out, "&#{};", u32::from(letter)).expect("a String takes every character");
            }
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_in_its_cell() {
        assert_eq!(code("plain"), "`plain`");
        assert_eq!(code("a|b"), "<code>a&#124;b</code>");
        assert_eq!(code("`rm`|\\"), "<code>&#96;rm&#96;&#124;&#92;</code>");
        assert_eq!(code("<script>alert(1)</script>"), "`<script>alert(1)</script>`");
        assert_eq!(code(" "), "<code> </code>");
        assert_eq!(text("*a* [b](c) <img>"), "&#42;a&#42; &#91;b&#93;(c) &lt;img&gt;");
        assert_eq!(text("ask @someone"), "`ask @someone`");
        assert_eq!(text("writing to `a|b`: `x`"), "writing to <code>a&#124;b</code>: `x`");
        assert_eq!(text("an odd ` one"), "an odd &#96; one");
        assert_eq!(text("see https://a|b"), "<code>see https&#58;//a&#124;b</code>");
    }

    #[test]
    fn something_has_a_bar() {
        assert_eq!(bar(1, 1_000_000), "▏");
        assert_eq!(bar(1, 1), "██████████");
        assert_eq!(bar(1, 2), "█████");
        assert_eq!(bar(0, 2), "");
    }

    #[test]
    fn a_long_course_takes_forty_blocks() {
        let values: Vec<f64> = (0..200).map(f64::from).collect();
        assert_eq!(sparkline(&values).chars().count(), 40);
        assert_eq!(sparkline(&[0.0, 1.0, 2.0]), "▁▅█");
    }
}

//! The report as one HTML page: no script, no request, below 2 MB, light, dark and on paper.
//!
//! Every picture has a title, a description and a table that says the same. Everything that comes
//! from the ledger goes through [`escaped`]; every list has a share of the page and says what it
//! leaves out.

mod axis;
mod pictures;
mod style;

use std::fmt::Write as _;

use crate::markdown::{gaps, joined, mark, mark_of, time, times_of, times_tried, undo};
use crate::report::{
    CheckOutcome, NoteRow, NoteSample, RejectGroup, RejectSample, RelateRow, Related, RunReport,
    StatusCounts, TableRow, Verdict,
};
use crate::shown::{bytes, clock, count, counted, percent, rate, seconds};

/// What the lists of a section may take, in bytes; all together stay below 2 MB.
mod share {
    pub(super) const TABLES: usize = 150_000;
    pub(super) const RELATES: usize = 100_000;
    pub(super) const GROUPS: usize = 400_000;
    pub(super) const NOTES: usize = 250_000;
    pub(super) const CHECKS: usize = 150_000;
    pub(super) const FILES: usize = 60_000;
    pub(super) const PHASES: usize = 60_000;
    pub(super) const POINTS: usize = 40_000;
    pub(super) const DIGESTS: usize = 150_000;
    pub(super) const SMALL: usize = 30_000;
}

/// The report as one page.
pub fn html(report: &RunReport) -> String {
    let mut page = Page { out: String::with_capacity(64 << 10) };
    page.head(report);
    page.summary(report);
    page.next(report);
    page.flow(report);
    page.relates(report);
    page.ends(report);
    page.rejects(report);
    page.notes(report);
    page.checks(report);
    page.times(report);
    page.files(report);
    page.circumstances(report);
    page.out.push_str("</main></body></html>\n");
    page.out
}

/// Text for HTML content and attributes.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter => out.push(letter),
        }
    }
    out
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", escaped(text))
}

/// Prose; what stands between backticks becomes code.
fn prose(text: &str) -> String {
    if !text.matches('`').count().is_multiple_of(2) {
        return escaped(text);
    }
    let parts = text.split('`').enumerate();
    parts.map(|(at, part)| if at % 2 == 0 { escaped(part) } else { code(part) }).collect()
}

/// A table, and what of it.
fn about(table: &str, column: Option<&str>, rule: Option<&str>) -> String {
    let part = |word: &str, name: Option<&str>| {
        name.map(|name| format!("<br/>{word} {}", code(name))).unwrap_or_default()
    };
    format!("{}{}{}", code(table), part("column", column), part("rule", rule))
}

/// A column of a table: figures are set right, prose may wrap anywhere.
enum Column {
    Name(&'static str),
    Number(&'static str),
    Prose(&'static str),
}

impl Column {
    fn head(&self) -> String {
        match self {
            Self::Name(head) | Self::Prose(head) => format!("<th scope=\"col\">{head}</th>"),
            Self::Number(head) => format!("<th scope=\"col\" class=\"n\">{head}</th>"),
        }
    }

    fn cell(&self, content: &str) -> String {
        match self {
            Self::Name(_) => format!("<td>{content}</td>"),
            Self::Number(_) => format!("<td class=\"n\">{content}</td>"),
            Self::Prose(_) => format!("<td class=\"p\">{content}</td>"),
        }
    }
}

use Column::{Name, Number, Prose};

struct Page {
    out: String,
}

impl Page {
    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.out.write_fmt(text).expect("a String takes every character");
    }

    fn head(&mut self, report: &RunReport) {
        let (outcome, circumstances) = (&report.outcome, &report.circumstances);
        let title = format!("Run {} of {}", escaped(&circumstances.run), escaped(&outcome.plan));
        let style = style::sheet();
        self.put(format_args!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\
             <title>{title}: {}</title><style>{style}</style></head><body><main>",
            outcome.verdict.words()
        ));
        self.put(format_args!(
            "<h1>{title}</h1><p class=\"verdict {}\"><span aria-hidden=\"true\">{}</span> {}</p>",
            tone(outcome.verdict),
            mark(outcome.verdict),
            capital(outcome.verdict.words())
        ));
        if let Some(stop) = &outcome.error {
            self.put(format_args!(
                "<p class=\"bad\">Stopped by {}: {}</p>",
                code(&stop.code),
                prose(&stop.message)
            ));
        }
        for remark in &outcome.remarks.shown {
            self.put(format_args!(
                "<p class=\"warn\">⚠ {} {}</p>",
                remark.code,
                prose(&remark.message)
            ));
        }
    }

    fn summary(&mut self, report: &RunReport) {
        let (outcome, circumstances) = (&report.outcome, &report.circumstances);
        let units = &outcome.units;
        let classes = units.classes().into_iter().filter(|(_, figure)| figure.count > 0);
        let classes: Vec<String> = classes
            .map(|(name, figure)| format!("{name} <b>{}</b>", count(figure.count)))
            .collect();
        let classes = if classes.is_empty() { "<b>0</b>".to_owned() } else { classes.join(" + ") };
        let (tone, balanced) = if outcome.balanced {
            ("ok", "✔ balanced in counts, bytes and digests")
        } else {
            ("bad", "✖ NOT balanced")
        };
        self.put(format_args!(
            "<p class=\"balance\">read <b>{}</b> = {classes} <span class=\"{tone}\">{balanced}</span></p>",
            count(units.read.count)
        ));
        let files: u64 = outcome.sources.shown.iter().map(|source| source.files).sum();
        let tiles = [
            ("read", count(units.read.count), bytes(units.read.bytes)),
            (
                "rows written",
                count(outcome.rows.inserted.count + outcome.rows.updated.count),
                counted(outcome.tables.shown.len() as u64 + outcome.tables.more, "table"),
            ),
            (
                "rejects that wait",
                count(outcome.rejects.statuses.open),
                format!("of {}", counted(outcome.rejects.total, "reject")),
            ),
            (
                "files",
                count(files),
                counted(outcome.sources.shown.len() as u64 + outcome.sources.more, "source"),
            ),
            (
                "time",
                seconds(circumstances.active_seconds),
                counted(circumstances.attempts, "attempt"),
            ),
            (
                "units per second",
                rate(circumstances.pace.units_per_second),
                format!("{}/s", bytes(circumstances.pace.bytes_per_second as u64)),
            ),
        ];
        self.out.push_str("<dl class=\"tiles\">");
        for (what, figure, beside) in tiles {
            self.put(format_args!(
                "<div><dt>{what}</dt><dd><b>{figure}</b><span>{beside}</span></dd></div>"
            ));
        }
        self.out.push_str("</dl>");
    }

    fn next(&mut self, report: &RunReport) {
        self.out.push_str("<h2>What to do next</h2><ol class=\"next\">");
        for step in &report.circumstances.next {
            self.put(format_args!(
                "<li>{}<br/>{}</li>",
                capital(&prose(&step.why)),
                code(&step.command)
            ));
        }
        self.out.push_str("</ol>");
    }

    fn flow(&mut self, report: &RunReport) {
        let tables = &report.outcome.tables;
        self.out.push_str("<h2>Where the records went</h2>");
        self.out.push_str(&pictures::flow(&report.outcome));
        let columns = [
            Name("Table"),
            Name("Status"),
            Number("Read"),
            Number("Loaded"),
            Number("Updated"),
            Number("Unchanged"),
            Number("Rejected"),
            Number("Filtered"),
            Number("Duplicate"),
            Name("Balance"),
        ];
        let rows = tables.shown.iter().map(|table| {
            let mut cells =
                vec![code(&table.table), status(table.status), count(table.units.read.count)];
            cells.extend(table.units.classes().map(|(_, figure)| count(figure.count)));
            cells.push(balance(table));
            cells
        });
        self.table("Source units by table", &columns, rows, tables.more, "table", share::TABLES);
        let columns = [
            Name("Table"),
            Number("Rows produced"),
            Number("Inserted"),
            Number("Updated"),
            Number("Unchanged"),
            Number("Files"),
            Number("Done"),
            Number("Lines"),
            Number("Blank or comment"),
        ];
        let rows = tables.shown.iter().map(|table| {
            let (rows, files) = (&table.rows, &table.files);
            let figures = [
                rows.produced.count,
                rows.inserted.count,
                rows.updated.count,
                rows.unchanged.count,
                files.total,
                files.completed,
                files.lines,
                files.skipped,
            ];
            std::iter::once(code(&table.table)).chain(figures.map(count)).collect()
        });
        self.table(
            "Target rows and files by table",
            &columns,
            rows,
            tables.more,
            "table",
            share::TABLES,
        );
    }

    fn relates(&mut self, report: &RunReport) {
        let relates = &report.outcome.relates;
        if relates.shown.is_empty() {
            return;
        }
        self.out.push_str("<h2>Steps in SQL</h2>");
        let columns = [
            Name("Step"),
            Name("Status"),
            Number("Rows changed"),
            Prose("Tables after"),
            Number("Time"),
            Name("Check"),
            Name("Undo"),
        ];
        let rows = relates.shown.iter().map(|relate| relate_cells(report, relate));
        let caption = "Steps in the target's own SQL";
        self.table(caption, &columns, rows, relates.more, "step", share::RELATES);
    }

    fn rejects(&mut self, report: &RunReport) {
        let rejects = &report.outcome.rejects;
        self.out.push_str("<h2>Rejects</h2>");
        if rejects.total == 0 {
            self.out.push_str("<p class=\"ok\">✔ None.</p>");
            return;
        }
        self.put(format_args!(
            "<p>{}: <b>{}</b> open, {} fixed, {} superseded, {} waived.</p>",
            counted(rejects.total, "reject"),
            count(rejects.statuses.open),
            count(rejects.statuses.fixed),
            count(rejects.statuses.superseded),
            count(rejects.statuses.waived)
        ));
        self.out.push_str(&pictures::pareto(rejects));
        let columns = [
            Number("#"),
            Number("Rejects"),
            Number("Share"),
            Number("Open"),
            Prose("Cause"),
            Name("Where"),
            Prose("First of them"),
        ];
        let rows = rejects.groups.shown.iter().enumerate().map(|(index, group)| {
            vec![
                (index + 1).to_string(),
                count(group.count),
                percent(group.count, rejects.total),
                count(group.statuses.open),
                cause(group),
                about(&group.table, group.column.as_deref(), group.rule.as_deref()),
                group.samples.iter().map(sample).collect(),
            ]
        });
        self.table("Rejects by cause", &columns, rows, rejects.groups.more, "cause", share::GROUPS);
        self.out.push_str("<div class=\"pair\">");
        self.grouped(report);
        let rows = rejects.by_stage.iter().map(|one| vec![one.stage.to_owned(), count(one.count)]);
        self.table(
            "Rejects by stage",
            &[Name("Stage"), Number("Rejects")],
            rows,
            0,
            "stage",
            share::SMALL,
        );
        let hours = &report.circumstances.rejects_by_hour;
        let rows = hours.shown.iter().map(|one| vec![escaped(&one.hour), count(one.count)]);
        self.table(
            "Rejects by hour",
            &[Name("Hour"), Number("Rejects")],
            rows,
            hours.more,
            "hour",
            share::SMALL,
        );
        self.out.push_str("</div>");
        if !rejects.waivers.shown.is_empty() {
            let rows = rejects
                .waivers
                .shown
                .iter()
                .map(|one| vec![escaped(&one.reason), escaped(&one.by), count(one.count)]);
            let columns = [Prose("Waived because"), Name("By"), Number("Rejects")];
            self.table("Waivers", &columns, rows, rejects.waivers.more, "reason", share::SMALL);
        }
    }

    /// The same rejects by one thing at a time.
    fn grouped(&mut self, report: &RunReport) {
        let rejects = &report.outcome.rejects;
        let figures = |count_of: u64, statuses: &StatusCounts| {
            [count_of, statuses.open, statuses.retried(), statuses.waived].map(count)
        };
        let numbers = [Number("Rejects"), Number("Open"), Number("Read again"), Number("Waived")];
        let [all, open, again, waived] = numbers;
        let columns = [Prose("Code"), all, open, again, waived];
        let rows = rejects.by_code.shown.iter().map(|one| {
            let figures = figures(one.count, &one.statuses);
            std::iter::once(titled(&one.code, one.title)).chain(figures).collect()
        });
        let more = rejects.by_code.more;
        self.table("Rejects by code", &columns, rows, more, "code", share::SMALL);
        let [_, all, open, again, waived] = columns;
        let columns = [Name("Table"), Name("Column"), all, open, again, waived];
        let rows = rejects.by_column.shown.iter().map(|one| {
            let column = one.column.as_deref().map_or_else(|| "the record".to_owned(), code);
            let figures = figures(one.count, &one.statuses);
            [code(&one.table), column].into_iter().chain(figures).collect()
        });
        let more = rejects.by_column.more;
        self.table("Rejects by column", &columns, rows, more, "column", share::SMALL);
        let [_, _, all, open, again, waived] = columns;
        let columns = [Name("Source"), all, open, again, waived];
        let rows = rejects.by_source.shown.iter().map(|one| {
            let figures = figures(one.count, &one.statuses);
            std::iter::once(code(&one.source)).chain(figures).collect()
        });
        let more = rejects.by_source.more;
        self.table("Rejects by source", &columns, rows, more, "source", share::SMALL);
    }

    /// Attempts that ended before the run was done.
    fn ends(&mut self, report: &RunReport) {
        let ends = &report.circumstances.ends;
        if ends.shown.is_empty() {
            return;
        }
        self.out.push_str("<h2>Errors and stops</h2>");
        let columns = [
            Prose("Why an attempt ended"),
            Name("Phase"),
            Name("Hour"),
            Number("Attempts"),
            Number("Tried again before"),
        ];
        let rows = ends.shown.iter().map(|end| {
            let why = match (&end.code, &end.reason) {
                (Some(code), _) => titled(code, end.title),
                (None, Some(reason)) => format!("stopped: {}", escaped(reason)),
                (None, None) => String::new(),
            };
            let (phase, hour) = (escaped(&end.phase), escaped(&end.hour));
            vec![why, phase, hour, count(end.count), count(end.retries)]
        });
        let caption = "Attempts that ended before the run was done";
        self.table(caption, &columns, rows, ends.more, "end", share::SMALL);
    }

    fn notes(&mut self, report: &RunReport) {
        let notes = &report.outcome.notes;
        self.out.push_str("<h2>What the plan changed, warned about or left out</h2>");
        if notes.shown.is_empty() {
            self.out.push_str("<p>Nothing: every value arrived as it was.</p>");
            return;
        }
        let columns =
            [Number("Count"), Name("Effect"), Prose("What"), Name("Where"), Prose("First of them")];
        let rows = notes.shown.iter().map(|note| {
            vec![
                count(note.count),
                note.effect.word().to_owned(),
                what(note),
                about(&note.table, note.column.as_deref(), note.rule.as_deref()),
                note.samples.iter().map(note_sample).collect(),
            ]
        });
        self.table(
            "Changes, warnings and filters",
            &columns,
            rows,
            notes.more,
            "kind",
            share::NOTES,
        );
    }

    fn checks(&mut self, report: &RunReport) {
        let checks = &report.outcome.checks;
        self.out.push_str("<h2>Checks</h2>");
        if checks.shown.is_empty() {
            self.out.push_str("<p>None yet: they are made when the load is done.</p>");
            return;
        }
        let columns = [
            Name("Check"),
            Name("Of"),
            Name("Result"),
            Number("Expected"),
            Number("Found"),
            Prose("What is wrong"),
        ];
        let rows = checks.shown.iter().map(|check| {
            vec![
                escaped(&check.kind),
                code(&check.name),
                status(check.status),
                check.expected.map(count).unwrap_or_default(),
                check.actual.map(count).unwrap_or_default(),
                check.message.as_deref().map(prose).unwrap_or_default(),
            ]
        });
        self.table("What was checked", &columns, rows, checks.more, "check", share::CHECKS);
    }

    fn times(&mut self, report: &RunReport) {
        let circumstances = &report.circumstances;
        self.out.push_str("<h2>Where the time went</h2>");
        self.out.push_str(&pictures::timeline(circumstances));
        self.out.push_str("<details><summary>The same as a table</summary>");
        let whole = (circumstances.active_seconds * 1e6) as u64;
        let columns = [
            Name("Phase"),
            Number("From"),
            Number("To"),
            Number("Time worked"),
            Number("Share"),
            Number("Units"),
            Number("Batches"),
        ];
        let rows = circumstances.phases.shown.iter().map(|phase| {
            vec![
                code(&phase.name),
                clock(phase.from_seconds),
                clock(phase.to_seconds),
                seconds(phase.active_seconds),
                percent((phase.active_seconds * 1e6) as u64, whole),
                count(phase.units),
                count(phase.batches),
            ]
        });
        self.table("Phases", &columns, rows, circumstances.phases.more, "phase", share::PHASES);
        let columns = [
            Number("Attempt"),
            Name("Started"),
            Number("From"),
            Number("To"),
            Number("Units"),
            Number("Batches"),
        ];
        let rows = circumstances.attempts_known.shown.iter().map(|attempt| {
            vec![
                attempt.attempt.to_string(),
                escaped(&attempt.started_at),
                clock(attempt.from_seconds),
                clock(attempt.to_seconds),
                count(attempt.units),
                count(attempt.batches),
            ]
        });
        self.table(
            "Attempts",
            &columns,
            rows,
            circumstances.attempts_known.more,
            "attempt",
            share::SMALL,
        );
        self.out.push_str("</details>");
        self.pace(report);
    }

    fn pace(&mut self, report: &RunReport) {
        let circumstances = &report.circumstances;
        let pace = &circumstances.pace;
        self.out.push_str("<h3>How fast the records went</h3>");
        if pace.points.len() < 3 {
            self.put(format_args!(
                "<p>Too few batches for a course over time: {}.</p>",
                count(circumstances.batches)
            ));
            return;
        }
        self.out.push_str(&pictures::pace(circumstances));
        self.out.push_str("<details><summary>The same as a table</summary>");
        let columns = [
            Number("From"),
            Number("To"),
            Number("Units"),
            Number("Rows"),
            Number("Rejected"),
            Number("Units/s"),
            Number("Slowest batch"),
            Number("Fastest batch"),
            Number("Batches"),
        ];
        let rows = pace.points.iter().map(|point| {
            let mean = if point.active_seconds > 0.0 {
                point.units as f64 / point.active_seconds
            } else {
                0.0
            };
            vec![
                clock(point.from_seconds),
                clock(point.to_seconds),
                count(point.units),
                count(point.rows),
                count(point.rejected),
                rate(mean),
                rate(point.units_per_second_min),
                rate(point.units_per_second_max),
                count(point.batches),
            ]
        });
        self.table("Pace", &columns, rows, 0, "point", share::POINTS);
        self.out.push_str("</details>");
    }

    fn files(&mut self, report: &RunReport) {
        let outcome = &report.outcome;
        self.out.push_str("<h2>Files</h2>");
        let rows = outcome.sources.shown.iter().map(|one| {
            let found = match one.tables {
                0 => count(one.files),
                tables => counted(tables, "table"),
            };
            vec![code(&one.source), found, bytes(one.bytes)]
        });
        let columns = [Name("Source"), Number("Files"), Number("Size")];
        self.table("What was found", &columns, rows, outcome.sources.more, "source", share::SMALL);
        if !outcome.worst_files.shown.is_empty() {
            let rows = outcome.worst_files.shown.iter().map(|file| {
                vec![
                    code(&file.file),
                    code(&file.table),
                    count(file.rejected),
                    count(file.read),
                    status(file.status),
                ]
            });
            let columns =
                [Prose("File"), Name("Table"), Number("Rejected"), Number("Read"), Name("Status")];
            self.table(
                "Files with most rejects",
                &columns,
                rows,
                outcome.worst_files.more,
                "file",
                share::FILES,
            );
        }
        if !outcome.set_aside.shown.is_empty() {
            let rows = outcome.set_aside.shown.iter().map(|file| {
                let why = file.reason.as_deref().map(prose).unwrap_or_default();
                vec![
                    code(&file.file),
                    code(&file.table),
                    file.bytes.map(bytes).unwrap_or_default(),
                    file.fate.to_owned(),
                    why,
                ]
            });
            let columns =
                [Prose("File"), Name("Table"), Number("Size"), Name("Fate"), Prose("Why")];
            self.table(
                "Files that were not read",
                &columns,
                rows,
                outcome.set_aside.more,
                "file",
                share::FILES,
            );
        }
    }

    fn circumstances(&mut self, report: &RunReport) {
        let (outcome, circumstances) = (&report.outcome, &report.circumstances);
        let target = &circumstances.target;
        self.out.push_str("<h2>Circumstances</h2><dl class=\"facts\">");
        self.fact("Kind", outcome.kind);
        self.fact(
            "Target",
            &format!(
                "{} {}, {}",
                escaped(&target.engine),
                escaped(&target.version),
                code(&target.location)
            ),
        );
        self.fact(
            "Started",
            &format!(
                "{} by {}",
                escaped(&circumstances.started_at),
                escaped(&circumstances.started_by)
            ),
        );
        self.fact(
            "Ended",
            &circumstances.ended_at.as_deref().map_or_else(|| "not yet".to_owned(), escaped),
        );
        self.fact("Time", &time(circumstances));
        self.fact("Batches", &count(circumstances.batches));
        self.fact("Tried again", &times_tried(circumstances.retries));
        self.fact("Options", &code(&outcome.options.to_string()));
        self.fact("Plan digest", &code(&outcome.plan_digest));
        self.fact("Program", &escaped(&outcome.tool_version));
        if !circumstances.ancestors.shown.is_empty() {
            self.fact("Continues", &related(&circumstances.ancestors.shown));
        }
        if !circumstances.children.shown.is_empty() {
            self.fact("Continued by", &related(&circumstances.children.shown));
        }
        self.out.push_str("</dl>");
        self.records(report);
    }

    fn fact(&mut self, what: &str, content: &str) {
        self.put(format_args!("<div><dt>{what}</dt><dd>{content}</dd></div>"));
    }

    fn records(&mut self, report: &RunReport) {
        let circumstances = &report.circumstances;
        if !circumstances.spilled.shown.is_empty() {
            let rows = circumstances
                .spilled
                .shown
                .iter()
                .map(|one| vec![code(&one.reject), bytes(one.bytes), code(&one.file)]);
            let columns = [Name("Reject"), Number("Size"), Prose("Its bytes are in")];
            self.table(
                "Rejects too long for the ledger",
                &columns,
                rows,
                circumstances.spilled.more,
                "reject",
                share::SMALL,
            );
        }
        if !circumstances.checkpoints.shown.is_empty() {
            let (tone, intact) = if circumstances.checkpoints_intact {
                ("ok", "✔ The chain of checkpoints is intact.")
            } else {
                ("bad", "✖ The chain of checkpoints is broken.")
            };
            self.put(format_args!("<p class=\"{tone}\">{intact}</p>"));
            let rows = circumstances
                .checkpoints
                .shown
                .iter()
                .map(|one| vec![code(&one.name), escaped(&one.created_at), code(&one.hash)]);
            let columns = [Name("Checkpoint"), Name("Time"), Prose("Hash")];
            self.table(
                "Checkpoints",
                &columns,
                rows,
                circumstances.checkpoints.more,
                "checkpoint",
                share::SMALL,
            );
        }
        self.out.push_str(
            "<details><summary>Digest sums (comparable between runs of this target)</summary>",
        );
        let columns = [Name("Table"), Name("Class"), Prose("Σ of digests")];
        let rows = report.digests.shown.iter().flat_map(|table| {
            let sums = [
                ("read", &table.read),
                ("loaded", &table.loaded),
                ("updated", &table.updated),
                ("unchanged", &table.unchanged),
                ("rejected", &table.rejected),
                ("filtered", &table.filtered),
                ("duplicate", &table.duplicate),
                ("rows produced", &table.rows_produced),
                ("rows inserted", &table.rows_inserted),
                ("rows updated", &table.rows_updated),
                ("rows unchanged", &table.rows_unchanged),
            ];
            sums.map(|(class, sum)| vec![code(&table.table), class.to_owned(), code(sum)])
        });
        self.table("Digest sums", &columns, rows, report.digests.more * 11, "sum", share::DIGESTS);
        self.out.push_str("</details>");
    }

    /// A table of at most `limit` bytes that says how many rows it leaves out.
    fn table(
        &mut self,
        caption: &str,
        columns: &[Column],
        rows: impl Iterator<Item = Vec<String>>,
        more: u64,
        noun: &str,
        limit: usize,
    ) {
        self.put(format_args!(
            "<div class=\"scroll\" role=\"region\" aria-label=\"{caption}\" tabindex=\"0\"><table><caption>{caption}</caption><thead><tr>"
        ));
        for column in columns {
            self.out.push_str(&column.head());
        }
        self.out.push_str("</tr></thead><tbody>");
        let start = self.out.len();
        let mut left = 0;
        for row in rows {
            let cells: String =
                columns.iter().zip(&row).map(|(column, cell)| column.cell(cell)).collect();
            if left == 0 && self.out.len() - start + cells.len() < limit {
                self.put(format_args!("<tr>{cells}</tr>"));
            } else {
                left += 1;
            }
        }
        self.out.push_str("</tbody></table></div>");
        if more + left > 0 {
            self.put(format_args!(
                "<p class=\"soft\">… and {}.</p>",
                counted(more + left, &format!("more {noun}"))
            ));
        }
    }
}

fn relate_cells(report: &RunReport, relate: &RelateRow) -> Vec<String> {
    let times = times_of(report, relate);
    let by = times.and_then(|times| times.done_by.as_deref());
    let by = by.map(|run| format!("<br/>by run {}", code(run))).unwrap_or_default();
    let tables = relate.tables.shown.iter().map(|one| {
        let rows = one.rows_after.map_or_else(|| "gone".to_owned(), |rows| counted(rows, "row"));
        format!("{} {rows}", code(&one.table))
    });
    let check = match relate.check {
        CheckOutcome::Passed | CheckOutcome::Failed => status(relate.check.words()),
        CheckOutcome::None | CheckOutcome::NotYet | CheckOutcome::Unknown => {
            relate.check.words().to_owned()
        }
    };
    vec![
        code(&relate.name),
        format!("{}{by}", status(relate.status)),
        relate.rows.map(count).unwrap_or_default(),
        joined(tables, relate.tables.more),
        times.and_then(|times| times.active_seconds).map(seconds).unwrap_or_default(),
        check,
        undo(relate.undo).to_owned(),
    ]
}

fn tone(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Complete => "ok",
        Verdict::CompleteWithRejects | Verdict::Interrupted | Verdict::Running => "warn",
        Verdict::Unbalanced | Verdict::Failed => "bad",
    }
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// An icon and the word.
fn status(status: &str) -> String {
    let tone = match status {
        "passed" | "completed" => "ok",
        "failed" => "bad",
        _open => "warn",
    };
    format!("<span class=\"{tone}\">{} {status}</span>", mark_of(status))
}

fn balance(table: &TableRow) -> String {
    let gaps = gaps(table);
    if gaps.is_empty() {
        return "<span class=\"ok\">✔ balanced</span>".to_owned();
    }
    format!("<span class=\"bad\">✖ {gaps}</span>")
}

fn cause(group: &RejectGroup) -> String {
    titled(&group.code, group.title)
}

fn titled(known: &str, title: Option<&str>) -> String {
    match title {
        Some(title) => format!("{} {}", code(known), escaped(title)),
        None => code(known),
    }
}

fn what(note: &NoteRow) -> String {
    match note.title {
        Some(title) => format!("{} {}", code(&note.code), escaped(title)),
        None => code(&note.code),
    }
}

fn sample(sample: &RejectSample) -> String {
    let field =
        sample.field.as_deref().map(|field| format!(" {}", code(field))).unwrap_or_default();
    let value =
        sample.value.as_deref().map(|value| format!(" = {}", code(value))).unwrap_or_default();
    let message =
        sample.message.as_deref().map(|why| format!(" <span class=\"soft\">{}</span>", prose(why)));
    format!("<div>{}{field}{value}{}</div>", code(&sample.place), message.unwrap_or_default())
}

fn note_sample(sample: &NoteSample) -> String {
    let value =
        sample.value.as_deref().map(|value| format!("{} ", code(value))).unwrap_or_default();
    format!("<div>{value}<span class=\"soft\">{}</span></div>", escaped(&sample.place))
}

fn related(runs: &[Related]) -> String {
    let runs = runs.iter().map(|run| {
        format!("{} ({}, {}, {})", code(&run.run), run.kind, run.status, escaped(&run.started_at))
    });
    runs.collect::<Vec<_>>().join(", ")
}

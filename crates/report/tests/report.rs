//! What reports say and how they look, from ledgers made up for the purpose.

#![allow(clippy::unwrap_used)] // a test may panic

mod made;

use expect_test::{ExpectFile, expect, expect_file};
use made::{Refusal, Story, Telling, Unit, done, story, title_of, told};
use proptest::prelude::*;
use whimbrel_ledger::{RejectStatus, RunStatus, Stage};
use whimbrel_model::Class;
use whimbrel_report::{
    CheckOutcome, CodeRejects, ColumnRejects, Effect, EndRow, Figure, HourRow, Listed, NoteRow,
    NoteSample, Options, RejectGroup, RejectSample, RunReport, SourceRejects, StatusCounts,
    Verdict, gather, html, json, junit, markdown,
};

fn options() -> Options {
    Options { title_of, ..Options::default() }
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

fn report_with(story: &Story, telling: &Telling, options: &Options) -> RunReport {
    wait(async { gather(&told(story, telling).await, telling.run, options).await.unwrap() })
}

fn report(story: &Story) -> RunReport {
    report_with(story, &Telling::undisturbed(), &options())
}

/// Keeps a page where a person can look at it.
fn keep(name: &str, page: &str) {
    std::fs::write(format!("{}/{name}.html", env!("CARGO_TARGET_TMPDIR")), page).unwrap();
}

fn check(actual: &str, expected: &ExpectFile) {
    expected.assert_eq(actual);
}

#[test]
fn a_finished_run_as_markdown() {
    check(&markdown(&report(&story(400))), &expect_file!["snapshots/finished.md"]);
}

#[test]
fn a_finished_run_as_json() {
    let text = serde_json::to_string_pretty(&json(&report(&story(60)))).unwrap();
    check(&(text + "\n"), &expect_file!["snapshots/finished.json"]);
}

#[test]
fn a_failed_run_as_markdown_says_how_to_go_on() {
    let mut story = story(100);
    story.status = RunStatus::Failed;
    story.error = Some(("WB0610".to_owned(), "writing to `run_samples`: disk is full".to_owned()));
    let options = Options { plan: Some("plans/extruder new.toml".to_owned()), ..options() };
    let report = report_with(&story, &Telling::undisturbed(), &options);
    assert_eq!(report.outcome.verdict, Verdict::Failed);
    check(&markdown(&report), &expect_file!["snapshots/failed.md"]);
}

/// The section about steps of SQL, as Markdown.
fn steps_in_sql(story: &Story) -> String {
    let text = markdown(&report(story));
    let Some((_, section)) = text.split_once("## Steps in SQL\n\n") else { return String::new() };
    section.split("\n\n").next().unwrap().to_owned()
}

#[test]
fn a_step_of_sql_tells_rows_time_check_and_undo() {
    expect![[r#"
        | Step | Status | Rows changed | Tables after | Time | Check | Undo |
        | --- | --- | ---: | --- | ---: | --- | --- |
        | `run ends` | ✔ completed | 3 | `runs` 3 rows, `gone` gone | 0.04 s | ✔ passed | recorded |
        | `closure` | ✔ completed | 1,120 | `runs` 3 rows, `gone` gone | 0.04 s | none | ⚠ none |
        | `before` | ✔ completed, by run `0badcafe` | 7 | `runs` 3 rows, `gone` gone | 0.04 s | not recorded | recorded |"#]]
    .assert_eq(&steps_in_sql(&story(60)));
    let page = html(&report(&story(60)));
    assert!(page.contains("<h2>Steps in SQL</h2>") && page.contains("not recorded"), "{page}");
    keep("steps", &page);
}

#[test]
fn a_check_that_found_rows_is_told_and_what_follows_waits() {
    let mut story = story(60);
    story.status = RunStatus::Failed;
    story.error = Some(("WB0628".to_owned(), "the check returned rows: id = 7".to_owned()));
    story.relates[1].1 = None;
    story.relates[2].1 = None;
    expect![[r#"
        | Step | Status | Rows changed | Tables after | Time | Check | Undo |
        | --- | --- | ---: | --- | ---: | --- | --- |
        | `run ends` | ✔ completed | 3 | `runs` 3 rows, `gone` gone | 0.04 s | ✔ passed | recorded |
        | `closure` | ✖ failed |  |  |  | ✖ failed |  |
        | `before` | … pending |  |  |  | not yet |  |"#]]
    .assert_eq(&steps_in_sql(&story));
    let report = report(&story);
    let checks: Vec<_> = report.outcome.relates.shown.iter().map(|step| step.check).collect();
    assert_eq!(checks, [CheckOutcome::Passed, CheckOutcome::Failed, CheckOutcome::NotYet]);
}

#[test]
fn a_step_whose_record_cannot_be_read_is_listed_without_figures() {
    let mut story = story(60);
    story.relates = vec![("torn".to_owned(), Some("{\"rows\":".to_owned()))];
    expect![[r#"
        | Step | Status | Rows changed | Tables after | Time | Check | Undo |
        | --- | --- | ---: | --- | ---: | --- | --- |
        | `torn` | ✔ completed |  |  | 0.04 s | not recorded |  |"#]]
    .assert_eq(&steps_in_sql(&story));
}

#[test]
fn a_plan_without_steps_of_sql_has_no_section_for_them() {
    let mut story = story(60);
    story.relates.clear();
    assert_eq!(steps_in_sql(&story), "");
    assert!(!html(&report(&story)).contains("Steps in SQL"));
}

fn telling() -> impl Strategy<Value = Telling> {
    let batches = prop::collection::vec(1usize..90, 1..5);
    let kills = prop::collection::vec(0usize..12, 0..4);
    let batch_ms = prop::collection::vec(0u64..5_000, 1..4);
    (batches, kills, batch_ms, 0u64..90_000_000, 0u64..86_000).prop_map(
        |(batches, kills, batch_ms, pause_ms, start)| Telling {
            run: "ff00ee11",
            batches,
            kills,
            batch_ms,
            pause_ms,
            start,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Times, attempts, fences, ids and borders of batches are circumstances; nothing else is.
    #[test]
    fn the_outcome_of_a_killed_and_resumed_run_equals_that_of_an_undisturbed_one(telling in telling()) {
        let story = story(60);
        let undisturbed = report(&story);
        let resumed = report_with(&story, &telling, &options());
        prop_assert_eq!(&resumed.outcome, &undisturbed.outcome);
        prop_assert_eq!(&resumed.digests, &undisturbed.digests);
        let (json, undisturbed) = (json(&resumed), json(&undisturbed));
        prop_assert_eq!(&json["outcome"], &undisturbed["outcome"]);
    }

    #[test]
    fn every_telling_makes_a_sound_page(telling in telling()) {
        let report = report_with(&story(60), &telling, &options());
        let page = html(&report);
        prop_assert_eq!(unsound(&page), None);
        prop_assert!(!page.contains("NaN") && !page.contains("inf\""), "a place is no number");
    }
}

#[test]
fn a_killed_and_resumed_run_tells_its_attempts_and_pauses() {
    let telling = Telling {
        batches: vec![25],
        kills: vec![3, 9],
        pause_ms: 3_600_000,
        ..Telling::undisturbed()
    };
    let report = report_with(&story(100), &telling, &options());
    let circumstances = &report.circumstances;
    assert_eq!(circumstances.attempts, 3);
    assert_eq!(circumstances.attempts_known.shown.len(), 3);
    assert!(circumstances.elapsed_seconds > 7_200.0, "{}", circumstances.elapsed_seconds);
    assert!(circumstances.active_seconds < 60.0, "{}", circumstances.active_seconds);
    let units: u64 = circumstances.attempts_known.shown.iter().map(|attempt| attempt.units).sum();
    assert_eq!(units, report.outcome.units.read.count);
    keep("resumed", &html(&report));
}

#[test]
fn a_thousand_batches_become_two_hundred_points_that_keep_the_stall() {
    let mut batch_ms = vec![20; 5_000];
    batch_ms[700] = 60_000;
    let telling = Telling { batches: vec![1], batch_ms, ..Telling::undisturbed() };
    let report = report_with(&story(350), &telling, &options());
    let points = &report.circumstances.pace.points;
    assert!(points.len() <= 200 && points.len() >= 100, "{}", points.len());
    assert_eq!(points.iter().map(|point| point.batches).sum::<u64>(), report.circumstances.batches);
    let (last, others) = points.split_last().unwrap();
    assert!(
        others
            .iter()
            .all(|point| point.batches == others[0].batches && point.batches >= last.batches)
    );
    let slowest =
        points.iter().map(|point| point.units_per_second_min).fold(f64::INFINITY, f64::min);
    assert!(slowest < 0.02, "{slowest}");
}

#[test]
fn rejects_of_many_pages_are_all_counted() {
    let telling = Telling { batches: vec![20_000], ..Telling::undisturbed() };
    let report = report_with(&story(40_000), &telling, &options());
    let rejects = &report.outcome.rejects;
    assert_eq!(rejects.total, report.outcome.units.rejected.count);
    assert!(rejects.total > 2_000, "{}", rejects.total);
    assert_eq!(rejects.groups.shown.iter().map(|group| group.count).sum::<u64>(), rejects.total);
    assert_eq!(rejects.statuses.open + rejects.statuses.waived, rejects.total);
    assert_eq!(rejects.waivers.shown[0].count, rejects.statuses.waived);
}

#[test]
fn rejects_are_told_by_code_column_source_and_hour() {
    let report = report(&story(400));
    let rejects = &report.outcome.rejects;
    let sums = [
        rejects.by_code.shown.iter().map(|one| one.count).sum::<u64>(),
        rejects.by_column.shown.iter().map(|one| one.count).sum(),
        rejects.by_source.shown.iter().map(|one| one.count).sum(),
        report.circumstances.rejects_by_hour.shown.iter().map(|one| one.count).sum(),
    ];
    assert_eq!(sums, [rejects.total; 4]);
    for one in &rejects.by_code.shown {
        let groups = rejects.groups.shown.iter().filter(|group| group.code == one.code);
        assert_eq!(one.count, groups.map(|group| group.count).sum::<u64>());
        let StatusCounts { open, waived, .. } = one.statuses;
        assert_eq!(one.count, open + waived + one.statuses.retried());
    }
    let counts: Vec<u64> = rejects.by_column.shown.iter().map(|one| one.count).collect();
    assert!(counts.is_sorted_by(|one, next| one >= next), "{counts:?}");
    let page = html(&report);
    for caption in ["Rejects by code", "Rejects by column", "Rejects by source", "Rejects by hour"]
    {
        assert!(page.contains(&format!("<caption>{caption}</caption>")), "{caption}");
    }
}

/// A run whose attempts ended so, by the audit log.
fn ended(ends: &'static [(&'static str, &'static str, &'static str)]) -> RunReport {
    wait(async {
        let target = told(&story(60), &Telling::undisturbed()).await;
        rewrite(&target, async |txn: &mut dyn whimbrel_endpoint::Txn| {
            for (at, action, detail) in ends {
                let detail = serde_json::from_str(detail).unwrap();
                whimbrel_ledger::chain::record(txn, at, "ada", action, "aa11bb22", &detail).await?;
            }
            Ok(())
        })
        .await;
        gather(&target, "aa11bb22", &options()).await.unwrap()
    })
}

#[test]
fn errors_and_stops_are_told_by_cause_phase_and_hour() {
    let report = ended(&[
        ("2026-01-01T10:05:00Z", "run.failed", r#"{"code":"WB0236","phase":"load","retries":2}"#),
        ("2026-01-01T10:50:00Z", "run.failed", r#"{"code":"WB0236","phase":"load","retries":1}"#),
        ("2026-01-01T11:50:00Z", "run.failed", r#"{"code":"WB0236","phase":"load"}"#),
        ("2026-01-01T12:00:00Z", "run.interrupted", r#"{"reason":"deadline","phase":"load"}"#),
        ("2026-01-01T13:00:00Z", "run.completed", r#"{"retries":4}"#),
        ("2026-01-01T14:00:00Z", "run.failed", r#""nothing that is known""#),
    ]);
    let row = |end: &EndRow| {
        let why = end.code.as_deref().or(end.reason.as_deref()).unwrap_or("");
        format!("{why} {} {} {} {}", end.phase, end.hour, end.count, end.retries)
    };
    let rows: Vec<String> = report.circumstances.ends.shown.iter().map(row).collect();
    assert_eq!(
        rows,
        [
            "deadline load 2026-01-01T12:00Z 1 0",
            "WB0236 load 2026-01-01T10:00Z 2 3",
            "WB0236 load 2026-01-01T11:00Z 1 0",
        ]
    );
    assert_eq!(report.circumstances.retries, 7);
    let text = markdown(&report);
    assert!(text.contains("| stopped: deadline | load | 2026-01-01T12:00Z | 1 | 0 |"), "{text}");
    assert!(text.contains("| Tried again | 7 times |"), "{text}");
    assert!(html(&report).contains("<h2>Errors and stops</h2>"));
}

/// What Python's XML parser finds in a document: a line per test case, with what it holds. None where
/// there is no Python.
fn parsed(document: &str) -> Option<Vec<String>> {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    const PARSE: &str = "
import sys, xml.etree.ElementTree as tree
root = tree.fromstring(sys.stdin.buffer.read())
suite, = root
for element in (root, suite):
    found = (len(suite), len(suite.findall('*/failure')), len(suite.findall('*/error')))
    assert found == tuple(int(element.get(name)) for name in ('tests', 'failures', 'errors')), found
for case in suite:
    parts = [f'{part.tag} {part.get(\"message\") or part.text!s}' for part in case]
    print(ascii(' '.join([case.get('classname'), case.get('name')] + parts)))
";
    let mut child = Command::new("python3")
        .args(["-c", PARSE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take().unwrap().write_all(document.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "not well-formed:\n{document}");
    Some(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect())
}

#[test]
fn every_check_is_a_test_case() {
    let target = wait(told(&story(60), &Telling::undisturbed()));
    let document = wait(junit(&target, "aa11bb22", &options())).unwrap();
    let cases = document.matches("<testcase ").count();
    assert_eq!(cases, report(&story(60)).outcome.checks.shown.len() + 1);
    if let Some(cases) = parsed(&document) {
        expect![[r#"
            'run aa11bb22'
            'finish.conservation runs'
            'finish.conservation run_samples'"#]]
        .assert_eq(&cases.join("\n"));
    }
}

#[test]
fn failed_checks_and_unfinished_runs_are_told_with_hostile_text() {
    use whimbrel_ledger::{Check, CheckStatus, check};
    let statuses = [CheckStatus::Passed, CheckStatus::Failed, CheckStatus::Noted];
    let odd = ["\u{0}\u{1}\u{b}\u{fffe}\u{ffff}\u{feff}\u{85}", "]]>", "<![CDATA[", "&#0;"];
    let texts: Vec<String> = HOSTILE.iter().chain(&odd).map(|text| (*text).to_owned()).collect();
    let mut story = story(10);
    story.status = RunStatus::Failed;
    story.plan = texts.concat();
    story.error = Some((texts.concat(), texts.concat()));
    let document = wait(async {
        let target = told(&story, &Telling::undisturbed()).await;
        let checks: Vec<Check> = texts
            .iter()
            .zip(statuses.into_iter().cycle())
            .enumerate()
            .map(|(seq, (text, status))| Check {
                run: "aa11bb22".to_owned(),
                seq: 100 + seq as u64,
                phase: text.clone(),
                check_type: text.clone(),
                check_name: text.clone(),
                status,
                expected_count: Some(3),
                actual_count: Some(2),
                details: None,
                error_message: (seq % 2 == 0).then(|| text.clone()),
                created_at: String::new(),
            })
            .collect();
        rewrite(&target, async |txn: &mut dyn whimbrel_endpoint::Txn| {
            check::put(txn, &checks).await
        })
        .await;
        junit(&target, "aa11bb22", &options()).await.unwrap()
    });
    let failures = (texts.len() + 1) / 3;
    assert!(document.contains(&format!(" failures=\"{failures}\" errors=\"1\"")), "{document}");
    if let Some(cases) = parsed(&document) {
        assert!(cases[0].contains(" error <script>alert(1)</script>"), "{}", cases[0]);
        let failed = cases.iter().filter(|case| case.contains(" failure "));
        assert_eq!(failed.count(), failures);
        assert!(cases.iter().any(|case| case.contains("expected 3, found 2")), "{cases:?}");
    }
    let quiet = Options { include_values: false, ..options() };
    let target = wait(told(&story, &Telling::undisturbed()));
    let document = wait(junit(&target, "aa11bb22", &quiet)).unwrap();
    assert!(document.contains("message=\"the message is left out\""), "{document}");
    let missing = wait(junit(&target, "nope", &quiet)).unwrap_err();
    assert_eq!(missing.code(), "WB0551");
}

#[test]
fn values_are_left_out_where_they_are_not_wanted() {
    let hidden = Options { include_values: false, ..options() };
    let report = report_with(&story(100), &Telling::undisturbed(), &hidden);
    let shown = [markdown(&report), html(&report), json(&report).to_string()];
    for text in shown {
        assert!(!text.contains("57,5") && !text.contains("--11"), "a value stands in the report");
    }
    let mut failed = story(10);
    failed.status = RunStatus::Failed;
    failed.error = Some(("WB0232".to_owned(), "Duplicate entry '57,5' for key".to_owned()));
    let report = report_with(&failed, &Telling::undisturbed(), &hidden);
    let stop = report.outcome.error.unwrap();
    assert_eq!((stop.code.as_str(), Some(stop.message.as_str())), ("WB0232", title_of("WB0232")));
    let with = markdown(&self::report(&story(100)));
    assert!(with.contains("57,5") && with.contains("--11"), "{with}");
}

#[test]
fn a_gap_in_the_accounts_is_told_first() {
    let target = wait(told(&story(60), &Telling::undisturbed()));
    let report = wait(async {
        let mut batch =
            whimbrel_ledger::batch::of_run(&target, "aa11bb22").await.unwrap().remove(1);
        batch.units.classes[0] = whimbrel_model::Sum::default();
        rewrite(&target, async |txn| whimbrel_ledger::batch::put(txn, &batch).await).await;
        gather(&target, "aa11bb22", &options()).await.unwrap()
    });
    assert_eq!(report.outcome.verdict, Verdict::Unbalanced);
    assert!(!report.outcome.balanced);
    assert!(markdown(&report).contains("✖ NOT balanced"));
    assert!(markdown(&report).contains("✖ units do not balance"));
    keep("unbalanced", &html(&report));
}

#[test]
fn a_rejected_unit_that_is_not_listed_is_a_gap() {
    let target = wait(told(&story(60), &Telling::undisturbed()));
    let report = wait(async {
        let reject = whimbrel_endpoint::Query::table(
            whimbrel_ledger::tables::REJECTS.name.clone(),
            &["unit"],
        )
        .is("step", 2u64)
        .is("unit", 8u64);
        rewrite(&target, async |txn| {
            assert_eq!(txn.delete(&reject).await?, 1);
            Ok(())
        })
        .await;
        gather(&target, "aa11bb22", &options()).await.unwrap()
    });
    assert_eq!(report.outcome.verdict, Verdict::Unbalanced);
    assert!(markdown(&report).contains("✖ 6 rejected, but 5 listed"), "{}", markdown(&report));
}

#[test]
fn unreadable_notes_are_told_and_the_rest_is_reported() {
    let target = wait(told(&story(60), &Telling::undisturbed()));
    let report = wait(async {
        let mut batch =
            whimbrel_ledger::batch::of_run(&target, "aa11bb22").await.unwrap().remove(1);
        batch.notes = "[{\"code\":".to_owned();
        rewrite(&target, async |txn| whimbrel_ledger::batch::put(txn, &batch).await).await;
        gather(&target, "aa11bb22", &options()).await.unwrap()
    });
    assert_eq!(report.outcome.remarks.shown[0].code, "WB0550");
    assert!(report.outcome.balanced);
}

#[test]
fn options_and_sources_that_cannot_be_read_are_told_and_left_out() {
    let target = wait(told(&story(60), &Telling::undisturbed()));
    let report = wait(async {
        let mut run = whimbrel_ledger::run::get(&target, "aa11bb22").await.unwrap().unwrap();
        (run.options, run.sources) = ("{\"sample\":".to_owned(), "[]".to_owned());
        rewrite(&target, async |txn| whimbrel_ledger::run::put(txn, &run).await).await;
        gather(&target, "aa11bb22", &options()).await.unwrap()
    });
    let remarks: Vec<_> =
        report.outcome.remarks.shown.iter().map(|one| one.message.as_str()).collect();
    assert_eq!(
        remarks,
        ["the run's `options` cannot be read", "the run's `sources` cannot be read"]
    );
    assert_eq!(report.outcome.remarks.shown[0].code, "WB0553");
    assert!(report.outcome.sources.shown.is_empty() && report.outcome.balanced);
}

#[test]
fn an_edited_checkpoint_breaks_the_chain() {
    let target = wait(told(&story(60), &Telling::undisturbed()));
    let report = wait(async {
        // A checkpoint that claims to stand at the place of the first one.
        let table = &*whimbrel_ledger::tables::CHECKPOINTS;
        let mut row = target.rows(&table.name).remove(0);
        row[3] = "another".into();
        let mut builder = whimbrel_model::ChunkBuilder::new(row.len());
        for value in &row {
            builder.push(value.as_ref());
        }
        builder.end_row();
        let chunk = builder.finish();
        rewrite(&target, async |txn| txn.put(table, &chunk).await).await;
        gather(&target, "aa11bb22", &options()).await.unwrap()
    });
    assert!(!report.circumstances.checkpoints_intact);
    assert_eq!(report.outcome.remarks.shown[0].code, "WB0552");
}

#[test]
fn files_that_were_not_read_say_why() {
    let target = wait(told(&story(60), &Telling::undisturbed()));
    let report = wait(async {
        let items = whimbrel_ledger::item::of_step(&target, "aa11bb22", 2).await.unwrap();
        let aside = |at: u64, class: Class, why: Option<&str>| {
            let mut item = items[0].clone();
            item.ordinal = 3 + at;
            item.first_unit = item.ordinal << 32;
            item.source_file = format!("legacy/logs/huge_{at}.csv");
            item.facts = "{\"size\":52428801}".to_owned();
            (item.mark, item.lines, item.skipped) = (None, None, None);
            item.counts = whimbrel_ledger::Counts { read: 1, classes: [0; 6] };
            item.counts.classes[class as usize] = 1;
            item.error_message = why.map(str::to_owned);
            item
        };
        let asides = [
            aside(0, Class::Filtered, Some("50.0 MiB, allowed are 50 MB")),
            aside(1, Class::Rejected, Some("larger than <b>allowed</b>\u{1b}[2J")),
            aside(2, Class::Filtered, None),
        ];
        rewrite(&target, async |txn| whimbrel_ledger::item::put(txn, &asides).await).await;
        gather(&target, "aa11bb22", &options()).await.unwrap()
    });
    let shown = &report.outcome.set_aside.shown;
    let facts: Vec<_> =
        shown.iter().map(|file| (file.fate, file.bytes, file.reason.as_deref())).collect();
    assert_eq!(
        facts,
        [
            ("left out", Some(52_428_801), Some("50.0 MiB, allowed are 50 MB")),
            ("rejected", Some(52_428_801), Some("larger than <b>allowed</b>\\u{1b}[2J")),
            ("left out", Some(52_428_801), None),
        ]
    );
    let document = json(&report);
    assert_eq!(
        document["outcome"]["set_aside"]["shown"][0]["reason"],
        "50.0 MiB, allowed are 50 MB"
    );
    let page = html(&report);
    assert_eq!(unsound(&page), None);
    for form in [markdown(&report), page] {
        assert!(form.contains("legacy/logs/huge_0.csv"), "{form}");
        assert!(form.contains("50.0 MiB, allowed are 50 MB"), "{form}");
        assert!(!form.contains("<b>allowed") && !form.contains('\u{1b}'), "{form}");
    }
}

async fn rewrite(
    target: &dyn whimbrel_endpoint::Target,
    change: impl AsyncFnOnce(
        &mut dyn whimbrel_endpoint::Txn,
    ) -> Result<(), whimbrel_endpoint::EndpointError>,
) {
    use whimbrel_endpoint::{Holder, LeaseAnswer, LeaseRequest};
    let holder = Holder {
        run: "aa11bb22".to_owned(),
        host: "h".to_owned(),
        boot: "b".to_owned(),
        pid: 1,
        started: 1,
    };
    let dead = Some(holder.clone());
    let request =
        LeaseRequest { holder, ttl: std::time::Duration::from_mins(1), renew: None, dead };
    let LeaseAnswer::Granted(fence) = target.lease(&request).await.unwrap() else {
        panic!("the lease is held")
    };
    let mut txn = target.begin(fence).await.unwrap();
    change(txn.as_mut()).await.unwrap();
    txn.commit().await.unwrap();
}

#[test]
fn a_run_that_is_not_there_is_an_error_with_its_code() {
    let target = wait(told(&story(10), &Telling::undisturbed()));
    let error = wait(gather(&target, "nope", &options())).unwrap_err();
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        ("WB0551", "the ledger holds no run `nope`")
    );
}

/// Strings that have broken pages, tables and terminals elsewhere.
const HOSTILE: [&str; 12] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'><svg onload=alert(1)>",
    "</title></style></textarea><script>alert(1)</script>",
    "javascript:alert(1)",
    "`|`<b>|--|\n| x |",
    "[click](javascript:alert(1)) ![i](http://evil/x.png)",
    "</details><h1>owned</h1>",
    "\u{1b}]0;owned\u{7}\u{202e}gnp.exe",
    "@everyone #1 https://evil.example/ www.evil.example",
    "&lt;script&gt;&#x3C;script&#x3E;",
    "a\r\n---\n# heading\n```",
];

fn hostile_story() -> Story {
    let units = HOSTILE.iter().enumerate().map(|(at, text)| Unit {
        item: 0,
        record: at as u64 + 1,
        line: at as u64 + 2,
        bytes: text.as_bytes().to_vec(),
        class: Class::Rejected,
        refusal: Some(Refusal {
            stage: Stage::Transform,
            code: (*text).to_owned(),
            column: Some((*text).to_owned()),
            rule: Some((*text).to_owned()),
            value: (*text).to_owned(),
            message: (*text).to_owned(),
            status: RejectStatus::Open,
        }),
        note: Some((HOSTILE[at], HOSTILE[at], HOSTILE[at], (*text).to_owned())),
    });
    Story {
        plan: HOSTILE.concat(),
        tables: vec![(
            HOSTILE.concat(),
            HOSTILE.concat(),
            vec![format!("{}.csv", HOSTILE.concat())],
            units.collect(),
        )],
        relates: HOSTILE.iter().map(|text| done(text, "\"undo\":null", 1)).collect(),
        status: RunStatus::Completed,
        error: Some((HOSTILE[0].to_owned(), HOSTILE.concat())),
    }
}

#[test]
fn hostile_text_stays_text_in_a_page() {
    let page = html(&report(&hostile_story()));
    keep("hostile", &page);
    assert_eq!(unsound(&page), None);
    for word in
        ["<script", "<img", "<b>|", "<svg onload", "<h1>owned", "\u{1b}", "\u{202e}", "\u{7}"]
    {
        assert!(!page.contains(word), "{word}");
    }
    assert_eq!(page.matches("<h1").count(), 1);
}

#[test]
fn hostile_text_stays_text_in_markdown() {
    let text = markdown(&report(&hostile_story()));
    for line in text.lines().filter(|line| line.starts_with('|')) {
        let cells = line.matches('|').count();
        assert!((3..=11).contains(&cells), "{cells} bars: {line}");
    }
    assert!(
        !text.lines().any(|line| line.starts_with("# heading")
            || line.starts_with("```")
            || line.starts_with("---")),
        "{text}"
    );
    assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{7}', '\r']));
    // Outside of code spans nothing is left that HTML or Markdown could read.
    let outside: String = text.split('`').step_by(2).collect();
    for word in [
        "<script",
        "<img",
        "<svg",
        "</details><h1",
        "](javascript",
        "](http",
        " @everyone",
        "https://",
    ] {
        assert!(!outside.contains(word), "{word}: {outside}");
    }
}

#[test]
fn a_page_asks_nobody_for_anything_and_needs_no_script() {
    let page = html(&report(&story(400)));
    keep("finished", &page);
    for word in [
        "http:", "https:", "src=", "<script", "<link", "@import", "url(", "<iframe", "<object",
        "onclick", "onload",
    ] {
        assert!(!page.contains(word), "{word}");
    }
    assert_eq!(unsound(&page), None);
}

#[test]
fn every_picture_says_what_it_shows() {
    let telling =
        Telling { batches: vec![50], kills: vec![4], pause_ms: 60_000, ..Telling::undisturbed() };
    let page = html(&report_with(&story(400), &telling, &options()));
    let pictures = page.matches("<svg ").count();
    assert_eq!(pictures, 4);
    assert_eq!(page.matches("role=\"img\"").count(), pictures);
    assert_eq!(page.matches("<desc id=").count(), pictures);
    assert_eq!(page.matches("<title id=").count(), pictures);
}

/// A report that is full to the brim: every list at its limit, every text at its longest.
fn brimful(groups: usize, letter: char) -> RunReport {
    let mut report = report(&story(60));
    let long = |chars: usize| letter.to_string().repeat(chars);
    let sample = RejectSample {
        reject: "1.4294967297".to_owned(),
        place: long(210),
        record: u64::MAX,
        byte_offset: u64::MAX,
        byte_len: u64::MAX,
        field: Some(long(120)),
        value: Some(long(121)),
        message: Some(long(301)),
    };
    let group = RejectGroup {
        table: long(120),
        code: long(120),
        title: None,
        column: Some(long(120)),
        rule: Some(long(120)),
        count: 1,
        statuses: StatusCounts { open: 1, ..StatusCounts::default() },
        samples: vec![sample; 3],
    };
    let outcome = &mut report.outcome;
    outcome.rejects.total = groups as u64;
    outcome.rejects.groups = Listed { shown: vec![group; groups], more: 0 };
    let note = NoteRow {
        table: long(120),
        code: long(120),
        title: None,
        effect: Effect::Converted,
        column: Some(long(120)),
        rule: Some(long(120)),
        count: 1,
        samples: vec![NoteSample { place: long(210), record: 1, value: Some(long(121)) }; 5],
    };
    outcome.notes = Listed { shown: vec![note; 500], more: 0 };
    let statuses = StatusCounts { open: u64::MAX, ..StatusCounts::default() };
    let code = CodeRejects { code: long(120), title: None, count: u64::MAX, statuses };
    outcome.rejects.by_code = Listed { shown: vec![code; 200], more: 7 };
    let (table, column) = (long(120), Some(long(120)));
    let column = ColumnRejects { table, column, count: u64::MAX, statuses };
    outcome.rejects.by_column = Listed { shown: vec![column; 500], more: 7 };
    let source = SourceRejects { source: long(120), count: u64::MAX, statuses };
    outcome.rejects.by_source = Listed { shown: vec![source; 200], more: 7 };
    let end = EndRow {
        code: Some(long(120)),
        title: None,
        reason: None,
        phase: long(120),
        hour: long(17),
        count: u64::MAX,
        retries: u64::MAX,
    };
    report.circumstances.ends = Listed { shown: vec![end; 200], more: 7 };
    let hour = HourRow { hour: "2024-03-31T01:00Z".to_owned(), count: u64::MAX };
    report.circumstances.rejects_by_hour = Listed { shown: vec![hour; 500], more: 7 };
    let mut table = outcome.tables.shown[0].clone();
    table.table = long(120);
    table.units.read = Figure { count: u64::MAX / 500, bytes: 1 };
    outcome.tables = Listed { shown: vec![table; 500], more: 7 };
    let mut relate = outcome.relates.shown[0].clone();
    relate.name = long(120);
    let mut written = relate.tables.shown[0].clone();
    written.table = long(120);
    relate.tables = Listed { shown: vec![written; 20], more: 7 };
    outcome.relates = Listed { shown: vec![relate; 500], more: 7 };
    outcome.units.read.count = u64::MAX;
    let mut file = outcome.worst_files.shown[0].clone();
    (file.file, file.table) = (long(200), long(120));
    outcome.worst_files = Listed { shown: vec![file; 20], more: 7 };
    let mut check = outcome.checks.shown[0].clone();
    (check.name, check.message) = (long(120), Some(long(301)));
    outcome.checks = Listed { shown: vec![check; 1_000], more: 7 };
    outcome.error = Some(whimbrel_report::Stop { code: long(120), message: long(600) });
    outcome.plan = long(120);
    let mut digests = report.digests.shown[0].clone();
    digests.table = long(120);
    report.digests = Listed { shown: vec![digests; 500], more: 7 };
    let mut phase = report.circumstances.phases.shown[0].clone();
    phase.name = long(120);
    report.circumstances.phases = Listed { shown: vec![phase; 500], more: 7 };
    report.circumstances.target.location = long(200);
    report
}

#[test]
fn a_page_of_ten_thousand_causes_stays_below_two_megabytes() {
    for letter in ['a', '\'', '𝄞'] {
        let page = html(&brimful(10_000, letter));
        assert!(page.len() < 2_000_000, "{} bytes of {letter}", page.len());
        assert_eq!(unsound(&page), None);
        assert!(
            page.contains("more causes.") && page.contains("more tables."),
            "what is left out is not told"
        );
        keep("brimful", &page);
    }
}

#[test]
fn markdown_of_ten_thousand_causes_fits_into_a_comment() {
    for letter in ['a', '|', '𝄞'] {
        let text = markdown(&brimful(10_000, letter));
        assert!(text.len() <= 65_000, "{} bytes of {letter}", text.len());
        assert!(text.contains("more causes."));
    }
}

/// Why a page is not well-formed: tags that do not nest, attributes without quotes, a bare `&`.
fn unsound(page: &str) -> Option<String> {
    const VOID: [&str; 2] = ["meta", "br"];
    const SHAPES: [&str; 3] = ["path", "rect", "circle"];
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page.strip_prefix("<!doctype html>\n")?;
    while let Some(start) = rest.find('<') {
        let (text, tag) = rest.split_at(start);
        let style = open.last() == Some(&"style");
        if !style && let Some(bad) = bare_ampersand(text) {
            return Some(format!("a bare ampersand: {bad}"));
        }
        let Some(end) = tag_end(tag) else {
            return Some(format!("a tag that does not end: {}", head(tag)));
        };
        let inner = &tag[1..end];
        rest = &tag[end + 1..];
        if let Some(name) = inner.strip_prefix('/') {
            match open.pop() {
                Some(last) if last == name => {}
                last => return Some(format!("</{name}> closes {last:?}")),
            }
            continue;
        }
        let name = inner.split([' ', '/']).next().unwrap_or("");
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Some(format!("no tag: <{}", head(inner)));
        }
        if inner.matches('"').count() % 2 != 0 {
            return Some(format!("an odd quote in <{}", head(inner)));
        }
        match (VOID.contains(&name), inner.ends_with('/')) {
            (true, true) => {}
            (false, false) => open.push(name),
            (true, false) => return Some(format!("<{name}> is not closed")),
            (false, true) if SHAPES.contains(&name) => {}
            (false, true) => return Some(format!("<{name}/> holds nothing")),
        }
    }
    if open.is_empty() { None } else { Some(format!("left open: {open:?}")) }
}

/// Where a tag ends: the first `>` outside of quotes.
fn tag_end(tag: &str) -> Option<usize> {
    let mut quoted = false;
    tag.char_indices().find_map(|(at, letter)| {
        quoted ^= letter == '"';
        (letter == '>' && !quoted).then_some(at)
    })
}

fn bare_ampersand(text: &str) -> Option<String> {
    text.match_indices('&').map(|(at, _)| &text[at + 1..]).find_map(|after| {
        let name: String = after.chars().take_while(|letter| *letter != ';').take(8).collect();
        let known = ["amp", "lt", "gt", "quot", "#39"].contains(&name.as_str());
        (!known).then(|| head(after))
    })
}

fn head(text: &str) -> String {
    text.chars().take(60).collect()
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let page = |body: &str| format!("<!doctype html>\n<html><body>{body}</body></html>");
    assert_eq!(unsound(&page("<p title=\"a > b\">x &amp; y<br/></p>")), None);
    for wrong in ["<p>", "</p>", "<b><i></b></i>", "<br>", "a & b", "<p x=\"y>", "a < b"] {
        assert!(unsound(&page(wrong)).is_some(), "{wrong}");
    }
}

//! The report of a run: read from the ledger once, rendered as Markdown, JSON or one HTML page.
//!
//! ```text
//! ledger ──gather──▶ RunReport ──┬─ markdown   for a pull request
//!  (in pages)        (bounded)   ├─ json       for programs: whimbrel/report/v1
//!                                └─ html       one offline file with pictures
//! checks ──junit──▶ one test case each, for CI
//! ledger ──members──▶ what may be shown to strangers: no record, no value
//! ```
//! Owns what a report says and how it looks; it has no clock, opens no file and knows no terminal.
//! What a run did ([`Outcome`]) and under which circumstances it did so ([`Circumstances`]: times,
//! attempts, ids, borders of batches) are apart, so that the outcome of a run that was killed and
//! resumed equals that of an undisturbed one.

mod bundle;
mod codes;
mod gather;
mod html;
mod instant;
mod junit;
mod markdown;
mod report;
mod shown;

pub use bundle::{Member, members};
pub use codes::CODES;
pub use gather::{GatherError, Options, gather, relates};
pub use html::html;
pub use junit::junit;
pub use markdown::markdown;
pub use report::{
    Attempt, CheckOutcome, CheckRow, CheckpointMark, CheckpointRow, Circumstances, CodeRejects,
    ColumnRejects, Effect, EndRow, Figure, FileRow, FilesOfTable, HourRow, Listed, NextStep,
    NoteRow, NoteSample, Outcome, Pace, PacePoint, Phase, RejectGroup, RejectSample, Rejects,
    RelateRow, RelateTable, RelateTimes, Related, Remark, RowAccounts, RunReport, SCHEMA, SetAside,
    SourceRejects, SourceRow, SpilledReject, StageRejects, StatusCounts, Stop, TableDigests,
    TableRow, TargetRow, UnitAccounts, Verdict, Waiver, json,
};

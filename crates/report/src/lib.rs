//! The report of a run: read from the ledger once, rendered as Markdown, JSON or one HTML page.
//!
//! ```text
//! ledger ──gather──▶ RunReport ──┬─ markdown   for a pull request
//!  (in pages)        (bounded)   ├─ json       for programs: whimbrel/report/v1
//!                                └─ html       one offline file with pictures
//! ```
//! Owns what a report says and how it looks; it has no clock, opens no file and knows no terminal.
//! What a run did ([`Outcome`]) and under which circumstances it did so ([`Circumstances`]: times,
//! attempts, ids, borders of batches) are apart, so that the outcome of a run that was killed and
//! resumed equals that of an undisturbed one.

mod codes;
mod gather;
mod html;
mod instant;
mod markdown;
mod report;
mod shown;

pub use codes::CODES;
pub use gather::{GatherError, Options, gather, relates};
pub use html::html;
pub use markdown::markdown;
pub use report::{
    Attempt, CheckOutcome, CheckRow, CheckpointMark, CheckpointRow, Circumstances, Effect, Figure,
    FileRow, FilesOfTable, HourRow, Listed, NextStep, NoteRow, NoteSample, Outcome, Pace,
    PacePoint, Phase, RejectGroup, RejectSample, Rejects, RelateRow, RelateTable, RelateTimes,
    Related, Remark, RowAccounts, RunReport, SCHEMA, SetAside, SourceRejects, SourceRow,
    SpilledReject, StageRejects, StatusCounts, Stop, TableDigests, TableRow, TargetRow,
    UnitAccounts, Verdict, Waiver, json,
};

//! Codes of the core's errors, for `explain`.

use crate::error::CoreError;

/// Code, title, explanation.
pub const CODES: &[(&str, &str, &str)] = &[
    (
        "WB0601",
        "a duplicate",
        "The plan's `duplicates` rule says that a unit with the same content was read before, and its \
      `conflict = \"reject\"` says to refuse later ones. The message names the first. Mend the \
      source, or say `conflict = \"map\"` to let both lead to the same row.",
    ),
    (
        "WB0602",
        "the key is taken",
        "A row with the same key and another content stands in the target. Nothing was overwritten. \
      Where it was there before the run, say `existing = \"update\"` or `existing = \"keep\"` in the plan's \
      `[[table]]`, or mend the key. Where an earlier record of the same run made it, mend the key of \
      the later one, or declare `duplicates`.",
    ),
    (
        "WB0603",
        "two records of one run have the same key",
        "The table says `existing = \"update\"`, and the key belongs to a row that another record of this \
      run made; the first in source order stays. Mend the key of the later record, or declare `duplicates`.",
    ),
    (
        "WB0604",
        "the row was edited since",
        "The target's row is not as Whimbrel wrote it: someone has edited it. Such edits are never \
      overwritten unasked. Compare both, then mend the source or the row, and run again.",
    ),
    (
        "WB0605",
        "the target refuses the row as a duplicate of none",
        "The database reported a taken key but holds no row under it. Another unique index or a \
      trigger is at work; look at the table's indexes.",
    ),
    (
        "WB0606",
        "a failure could not be recorded",
        "The run failed, and the target did not take the note of it. The ledger still shows the run \
      as running; the same command goes on from the last checkpoint.",
    ),
    (
        "WB0607",
        "a file is larger than allowed",
        "The file is above `max_file_size` and `large_files = \"reject\"`. Raise the limit, split the \
      file, or say `large_files = \"skip\"` or `\"handle\"`.",
    ),
    (
        "WB0610",
        "the target or a source failed",
        "A step could not be carried out; the causes below the message say why. What is committed \
      stays committed: mend the cause and run the same command again.",
    ),
    (
        "WB0611",
        "the plan does not fit its data",
        "Compiling the mapping against the files and tables found errors. Each is shown with its place \
      in the plan. Nothing was written.",
    ),
    (
        "WB0612",
        "a source matches no file",
        "The globs of a source are relative to the plan's folder and match nothing. Check the spelling, \
      the folder, and `ignore_case` and `hidden`. Use `whimbrel analyze DIR` to see what is there.",
    ),
    (
        "WB0613",
        "files cannot be read",
        "Files that match a source exist but cannot be opened. Check the permissions of the source \
      directory for the user who runs Whimbrel, or `exclude` the files.",
    ),
    (
        "WB0614",
        "another run holds the target",
        "One run per target at a time. Wait until it is done; where its process is dead on another \
      host, its right runs out by itself within a minute.",
    ),
    (
        "WB0615",
        "the mapping changed since rows were loaded with it",
        "Batches were committed with another mapping. Put the plan back, or go on with `--adopt`: what \
      is committed stays as it is, what comes is loaded with the new mapping, and the audit log says \
      so. To load everything with the new mapping, use another target. `rejects retry` reads rejected \
      records with the new mapping, and adopts it too. A relate step that was done and is not in the plan any \
      more is taken back by its recorded `undo`.",
    ),
    (
        "WB0616",
        "a source changed under an unfinished run",
        "A file that is partly loaded is not what it was when the run began. Put it back, and run the \
      same command again.",
    ),
    (
        "WB0617",
        "the options of the unfinished run differ",
        "An unfinished run goes on with the options it was started with. Leave the options out, or \
      finish it first.",
    ),
    (
        "WB0618",
        "the accounts do not balance",
        "What was read is not what was loaded, rejected, filtered and skipped. This is a defect of \
      Whimbrel or a damaged ledger, never of your data. The run is not complete. Keep the target \
      as it is and report the figures of the message.",
    ),
    (
        "WB0619",
        "outside the maintenance window",
        "The plan's `[window]` is closed. Run inside it, or say `outside = \"wait\"`.",
    ),
    (
        "WB0620",
        "no such run",
        "The ledger of the target knows no such run. `whimbrel history` lists them.",
    ),
    ("WB0621", "refused", "What was asked does not fit the state of things; the message says why."),
    (
        "WB0622",
        "a thread of the load ended",
        "A part of the program ended unexpectedly. What is committed stays; run the same command again, \
      and report the message if it returns.",
    ),
    (
        "WB0623",
        "the newest run is not complete",
        "Rejects are read again by a run that continues a complete one. Finish the newest run first: \
      `whimbrel migrate` goes on with it.",
    ),
    (
        "WB0624",
        "the file of a reject changed",
        "A reject is read again in the file it came from, with the repaired bytes you give. That file \
      has changed since, or is gone. If you have mended the file itself, `whimbrel migrate \
      --incremental` takes it as a new version; else put it back, or waive the reject.",
    ),
    (
        "WB0625",
        "stopped while waiting for the window",
        "A signal ended the wait for the plan's `[window]` to open. Nothing was begun; the same command \
      waits again.",
    ),
    (
        "WB0626",
        "a table that was filled is gone",
        "The ledger says that rows were loaded into this table, and the target has no such table: it was \
      dropped or renamed by hand. Nothing was written. Put the table back (from a backup), or load \
      into another target.",
    ),
    (
        "WB0627",
        "a sample of what is loaded already",
        "A sample is a first look at a few records in a target of its own. This target holds all of \
      them. Name another target in the plan, as `sqlite:sample.db`.",
    ),
    (
        "WB0628",
        "the check of a relate step returned rows",
        "The step's `sql` was done, and its `check`, which must return no rows, returned some; the message \
      shows the first. The step was taken back as a whole, but for definitions on MariaDB and MySQL, which \
      commit by themselves; what is loaded stays. Correct the `sql`, the \
      `check` or the data, and run the same command again: it goes on with this step.",
    ),
    (
        "WB0629",
        "a relate step cannot be done again",
        "An earlier run has done this step, and rows have come since or its SQL has changed, so it would \
      have to be taken back and done again; but neither that run nor the plan has an `undo` for it. \
      Add `undo` to the step. Where its `sql` may simply be done once more (a materialised view that is \
      refreshed), `undo = \"SELECT 1\"` says so.",
    ),
    (
        "WB0630",
        "something stands in the way of the run",
        "The look at the endpoints before the run has found what the run would fail at. Nothing was \
      written. Each thing has a code of its own that `whimbrel explain` knows.",
    ),
    (
        "WB0631",
        "indexes stay while their table is loaded",
        "They were to be dropped and made again after the load (`[run] indexes`), which is faster, but the \
      target refused: another session holds the table, or the user may not. The load goes on with them, \
      and nothing else is different. `indexes = \"keep\"` does not try.",
    ),
    (
        "WB0632",
        "indexes are parked still",
        "The run ended before indexes that were dropped for the load could be made again: the target was \
      not to be reached, or refused. Their definitions are recorded in the ledger table \
      `whimbrel_parked_indexes` (`whimbrel.parked_indexes` on PostgreSQL). The next `whimbrel migrate` \
      makes them again, also where it has nothing else to do; `whimbrel status` lists them.",
    ),
    (
        "WB0633",
        "a database is read in a newer state",
        "All sources of a URL are read in one state of the database, for as long as the process and its \
      connections last. That state is gone, and the run goes on in a newer one. What stands behind a \
      mark is the same there, or the run is refused (WB0616). Sources that were done before are read \
      once more when everything is loaded and compared (WB0634), unless the engine can prove that \
      nothing was written since. Keep others from writing to the old database until the run is \
      complete; else there is nothing to do.",
    ),
    (
        "WB0634",
        "a source was changed while the run was interrupted",
        "The source was read in one state of its database and other sources in a newer one, in which it \
      is no longer the same: tables of the target are of two moments. Everything that was read is \
      loaded and accounted for. Keep others from writing, and let `whimbrel migrate --incremental` \
      read it again: added rows are inserted, changed ones become rejects, or updates where the plan \
      says `existing = \"update\"`. Rows that are gone stay in the target.",
    ),
    (
        "WB0635",
        "the target has forgotten steps that were done",
        "The server fell and came back without the last commits that it had acknowledged: they had not \
      reached its disk. The run was not called complete; it goes back to what the ledger has and does \
      the rest again, as often as `[run] retries` says. Where it ends with this error, the server fell \
      several times: run the same command again. While tables are loaded this is to be expected; at \
      relate steps and the end only where the server is set not to flush each commit \
      (`synchronous_commit = off`, `innodb_flush_log_at_trx_commit` other than 1).",
    ),
    (
        "WB0636",
        "a removed relate step cannot be taken back",
        "A run has done this step, the plan does not have it any more, and no `undo` was recorded, so its \
      effect would stay unseen. Put the step back into the plan with an `undo` and do it once more with \
      `--adopt`; then take it out. `undo = \"SELECT 1\"` says that what it did may stay. A renamed step is \
      a removed one and a new one.",
    ),
    (
        "WB0637",
        "an unfinished run goes on with the tables and steps it began with",
        "Tables were added, taken out or put into another order in the plan, or relate steps that this run \
      has done already, while it is unfinished: its ledger counts them as they were. `--adopt` does not \
      change that. Put them back, let `whimbrel migrate` finish the run, and change the plan then: rows of \
      a table that the plan does not fill any more stay where they are, a removed relate step is taken \
      back with `--adopt`. A table that cannot be loaded is left out of the unfinished run by \
      `where = \"false\"` and `--adopt`.",
    ),
    (
        "WB0638",
        "rows of a database without a key cannot be told from new ones",
        "The key of the table is made of the number under which a row of an old database is read \
      (`record.number`), because it has no key of its own. Rows were put in, taken out or changed \
      between others since, so those behind them have other numbers: they would be loaded twice, and \
      new ones refused. Nothing was written. Give the old table a key, or name columns that tell its \
      rows apart in the source's `key` and the table's `key`; or load everything into another target. \
      Rows that come behind all others are taken as they are.",
    ),
    (
        "WB0647",
        "the old keys of a table that is referred to were not kept",
        "The plan has a `ref` now to a table whose rows an earlier run has loaded when nothing referred to it \
      yet. Then it was not written down which record each row came from, so every reference would lead \
      nowhere and its record be rejected. Nothing was written. Load everything into another target with the \
      plan as it is now, or fill the column by a `[[relate]]` step. A table with `legacy_key` of its own \
      always keeps the old keys.",
    ),
    (
        "WB0639",
        "what stands in the target is not what was loaded, or breaks a rule of the plan",
        "After the load everything was read back, on connections of its own, and compared with what the \
      ledger says was written. The message names the checks that failed. The run is not complete: the same \
      command verifies again, and goes on once nothing differs. Look at `whimbrel verify` for the rows; \
      triggers, other programs that write the same tables, and columns whose type changes values are the \
      usual causes. A `check` is a `[[check]]` of the plan: mend the data, or the rule. `whimbrel verify --waive REASON` takes the responsibility, and is audited.",
    ),
    (
        "WB0645",
        "the sources break rules of the plan",
        "A `[[check]]` of a source, of severity `error`, is broken by more records than it allows. Nothing \
      was written. The message names the check and the first records; `whimbrel validate` evaluates all of \
      them again. Mend the data, raise `allow`, or make the check a `warning`: then it is shown and the run \
      goes on.",
    ),
    (
        "WB0646",
        "a rule of the plan could not be evaluated",
        "Whether a `[[check]]` holds is not known: its SQL was refused, its command did not start, a table or a \
      privilege is missing, or it took longer than its `timeout`. That is not a pass. On a source it stands \
      in the way of the run, and nothing was written; on the target the run is not complete, and the same \
      command evaluates it again.",
    ),
];

impl CoreError {
    /// The code that `explain` knows.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Endpoint { source, .. } => source.code,
            Self::Compile(errors) => errors.first().map_or("WB0611", |error| error.code),
            Self::Blocked(found) => found.first().map_or("WB0630", |found| found.code),
            Self::NoFiles { .. } => "WB0612",
            Self::Unreadable(_) => "WB0613",
            Self::Held { .. } => "WB0614",
            Self::MappingChanged { .. } | Self::RelateRemoved { .. } => "WB0615",
            Self::RemovedWithoutUndo { .. } => "WB0636",
            Self::ListChanged { .. } => "WB0637",
            Self::Renumbered { .. } => "WB0638",
            Self::NoOldKeys { .. } => "WB0647",
            Self::SourceChanged { .. } => "WB0616",
            Self::OptionsChanged { .. } => "WB0617",
            Self::Unbalanced { .. } => "WB0618",
            Self::OutsideWindow { .. } => "WB0619",
            Self::NoSuchRun(_) | Self::NoRun { .. } => "WB0620",
            Self::Refused(_) => "WB0621",
            Self::ThreadLost(_) => "WB0622",
            Self::Unfinished { .. } => "WB0623",
            Self::RejectChanged { .. } => "WB0624",
            Self::TableGone { .. } => "WB0626",
            Self::LoadedAlready { .. } => "WB0627",
            Self::CheckFailed { .. } => "WB0628",
            Self::NoUndo { .. } => "WB0629",
            Self::Forgotten { .. } => "WB0635",
            Self::StoppedWaiting(_) => "WB0625",
            Self::Differs { .. } => "WB0639",
            Self::SourcesBreakRules(_) => "WB0645",
            Self::NotEvaluated(_) => "WB0646",
            Self::StandsFailed { .. } => whimbrel_validator::verify::STANDS_FAILED,
        }
    }
}

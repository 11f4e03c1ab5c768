//! Every code that an error can carry, from all crates.

/// Codes of the command line itself.
const OWN: &[(&str, &str, &str)] = &[
    (
        "WB0701",
        "bytes of a reject could not be kept",
        "A rejected record is longer than the ledger keeps, and the file below `.whimbrel/` that takes \
      its bytes could not be written. Nothing of the batch was committed. Check the space and the \
      permissions of the plan's folder, then run the same command again.",
    ),
    (
        "WB0702",
        "the plan's schema folder",
        "The folder that `schema` names cannot be read or holds no `.sql` file for the target's engine. \
      Files stand in `schema/sqlite/`, or in `schema/` itself.",
    ),
    (
        "WB0703",
        "the plan cannot be read",
        "The plan file does not exist, cannot be read, or is no UTF-8 text. `whimbrel init DIR` or `whimbrel init URL` writes one.",
    ),
    (
        "WB0704",
        "the program could not start",
        "The operating system refused threads or signal handlers. Look at the limits of the process.",
    ),
    (
        "WB0705",
        "the answer could not be written",
        "What was done is done; only its answer could not be written to standard output or to `--output`.",
    ),
    (
        "WB0706",
        "a value on the command line",
        "The value of a flag could not be understood; the message says which and what is expected.",
    ),
    (
        "WB0707",
        "no such reject",
        "No reject of the run goes by that name, place or code, or it is resolved already. \
      `whimbrel rejects list --all` names open ones, `--resolved` shows the others too.",
    ),
    (
        "WB0708",
        "the bytes of a reject cannot be read",
        "A rejected record was longer than the ledger keeps; its bytes stand in a file below \
      `.whimbrel/` beside the plan, and that file is gone or cannot be read. Put it back: the \
      ledger in the target holds only its name.",
    ),
    (
        "WB0709",
        "rejects cannot be written to a folder",
        "`rejects export` makes a new folder and never writes into one that is there. Name a folder \
      that does not exist yet, in a place that can be written to.",
    ),
    (
        "WB0710",
        "repaired rejects cannot be read",
        "`rejects retry --from FOLDER` reads the index and the `.bytes` files that `rejects export` has \
      written, and takes those whose bytes differ from the rejected ones. The index is gone or \
      damaged, or nothing differs: edit the files, or export into a new folder.",
    ),
    (
        "WB0711",
        "one record repaired in two ways",
        "Several tables are filled from this record and each has rejected it, so it was exported more \
      than once. Repair one of the files, or all of them alike.",
    ),
    (
        "WB0712",
        "stopped by a signal",
        "Ctrl-C or SIGTERM reached the run. What it had read is committed; the same command goes on from \
      there.",
    ),
    (
        "WB0713",
        "the deadline has passed",
        "`--deadline`, or `deadline` under `[run]`, ended the run at a checkpoint. The same command goes \
      on, with a new deadline.",
    ),
    (
        "WB0714",
        "the maintenance window has closed",
        "The run was still going when the plan's `[window]` closed, and stopped at a checkpoint. The same \
      command goes on in the next window.",
    ),
    (
        "WB0715",
        "more rejects than allowed",
        "`[rejects] max` was passed and the run stopped at a checkpoint. `whimbrel rejects list` groups \
      them by cause. Raise `max` and run the same command again; what is committed stays. Where you mend \
      the plan too, go on with `--adopt`.",
    ),
    (
        "WB0716",
        "a check failed",
        "`validate` found something that a run would fail on, or an expression that fails on every record \
      that was tried. Each failed check says what; those that met an error have a code of their own. \
      Where all records tried are rejected for what stands in them, that is a warning: a run would \
      list them. Nothing was written.",
    ),
    (
        "WB0717",
        "a rule was broken too often",
        "The `max` of a `[[table.rule]]` was passed and the run stopped at a checkpoint. `whimbrel report` \
      shows where it was broken. Raise `max` and run the same command again; what is committed stays. \
      Where you mend the plan too, go on with `--adopt`.",
    ),
    (
        "WB0718",
        "a record of which only the beginning was kept",
        "A record above `max_record_size`, or one whose end was not found, is kept by its first 64 KiB: \
      what is mended there would lose the rest. Raise `max_record_size` and read it again with \
      `whimbrel rejects retry`, or mend the file itself and take it with `whimbrel migrate \
      --incremental`.",
    ),
    (
        "WB0720",
        "no such code",
        "`explain` was asked for a code that no error carries. Codes are `WB` and four digits.",
    ),
    (
        "WB0721",
        "the folder cannot be read",
        "`analyze` or `init` was given a folder that does not exist, is none, or may not be read. \
      Check the spelling and the permissions; nothing was written.",
    ),
    (
        "WB0722",
        "no data in the folder",
        "The folder holds no file of a format that is read, or only files that are left out; the causes \
      below the message name the first of them. `--hidden` also looks at what begins with a dot.",
    ),
    (
        "WB0723",
        "the file exists already",
        "`init` never overwrites a plan or a schema, and `report --bundle` no file at all. Move the file \
      away, or name another one (`init --out FILE`).",
    ),
    (
        "WB0724",
        "a file cannot be written",
        "A page, a plan, a schema, an anchor, a bundle or the demo's data could not be written. Check that \
      the folder exists, the space on its file system, and the permissions.",
    ),
    (
        "WB0725",
        "the demo's folder is in use",
        "`demo` begins in a folder that does not exist or is empty, and leaves anything else alone. \
      Name a new one: `whimbrel demo FOLDER`.",
    ),
    (
        "WB0726",
        "a command of the demo failed",
        "`demo` types the commands that a person would, and one of them ended otherwise than it should. \
      The message names the command and its folder: run it there to look closer.",
    ),
    (
        "WB0727",
        "the command line is not understood",
        "A verb, a flag or a value is not known, or one is missing. `whimbrel --help` lists the verbs, \
         `whimbrel VERB --help` the flags of one.",
    ),
    (
        "WB0728",
        "not confirmed",
        "The question whether to load was not answered with `y` or `yes`. Nothing was written. `--yes` \
      does not ask; without a terminal nothing is asked.",
    ),
    (
        "WB0729",
        "the audit trail does not hold",
        "`audit verify` has recomputed the hash chains of the audit log and of the runs' checkpoints, and \
      links are missing, changed, moved or put in between; or the log no longer holds the entry of the \
      anchor: it was cut off, or recomputed from some entry on. The message names the places. Somebody \
      has written to the ledger's tables past Whimbrel, or it was restored from an older copy. Compare \
      with a backup; nothing was changed. docs/audit.md says what each finding means.",
    ),
    (
        "WB0730",
        "there is no audit log to verify",
        "The target holds no ledger: no run was begun there yet, the plan names another target than it \
      did, or the tables were dropped. Nothing was verified.",
    ),
    (
        "WB0731",
        "the file is no anchor",
        "`audit verify --anchor FILE` reads what `audit anchor FILE` has written: one line of JSON. The file \
      cannot be read or holds something else; `audit anchor` never overwrites such a file. Name another \
      one.",
    ),
    (
        "WB0732",
        "the anchor is of another ledger",
        "The anchor was taken of another target, or this one's ledger was made anew since. `audit verify` \
      tells that from a log that was cut off or recomputed, as its entries cannot be compared; `audit \
      anchor` leaves the file alone. Name the anchor of this target, or find out who replaced it.",
    ),
    (
        "WB0734",
        "a database to compare",
        "One of the databases that `compare` was given is not there. It opens nothing for writing and \
      creates nothing. Name a database by its URL, or a file of SQLite by its path.",
    ),
    (
        "WB0735",
        "the list of differences",
        "The file that `--list` names could not be written, or the list ended before its end. The \
      comparison itself changes nothing: name another file and run it again.",
    ),
    (
        "WB0736",
        "the file of suggested repairs",
        "`compare --repair FILE` writes SQL that would make the right side like the left one, for you to read \
      and to run. The file could not be written, or one of that name is there, which is never overwritten. \
      Nothing was changed in either database: name another file and run it again.",
    ),
    (
        "WB0737",
        "suggested repairs hold sensitive values",
        "The plan says of columns that their values must not be shown, and the file of `compare --repair` \
      holds values as they are. Only its owner may read the file; with `--show-sensitive` it is written.",
    ),
    (
        "WB0804",
        "rows still change",
        "Every row that differs was read again and still differs, but in another way than before: both \
      sides are being written. That is neither equal nor different. Raise `--attempts` or `--wait`, or \
      compare when less is written.",
    ),
    (
        "WB0805",
        "the two sides differ",
        "Rows, tables or columns differ between the two databases; rows that differ were read again \
      before they counted. The answer counts all of them and shows some; `--all --list FILE` writes each, \
      and `--repair FILE` SQL that would make the right side like the left one. Nothing is repaired by \
      itself: decide which side is right, and mend the other.",
    ),
];

/// Code, title, explanation of every code, in order.
pub(crate) fn all() -> Vec<(&'static str, &'static str, &'static str)> {
    let mut all: Vec<_> = OWN
        .iter()
        .chain(whimbrel_model::plan::CODES)
        .chain(whimbrel_files::CODES)
        .chain(whimbrel_transform::CODES)
        .chain(whimbrel_endpoint::codes::CODES)
        .chain(whimbrel_sql::CODES)
        .chain(whimbrel_ledger::CODES)
        .chain(whimbrel_profile::codes::CODES)
        .chain(whimbrel_report::CODES)
        .chain(whimbrel_validator::CODES)
        .chain(whimbrel_core::CODES)
        .copied()
        .collect();
    all.sort_unstable();
    all
}

/// The title of a code.
pub(crate) fn title_of(code: &str) -> Option<&'static str> {
    all().into_iter().find(|known| known.0 == code).map(|known| known.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained_once_and_looks_like_one() {
        let all = all();
        for pair in all.windows(2) {
            assert_ne!(pair[0].0, pair[1].0);
        }
        for (code, title, explanation) in all {
            let digits = code.strip_prefix("WB").expect("codes begin with WB");
            assert!(
                digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit()),
                "{code}"
            );
            assert!(!title.is_empty() && !title.ends_with('.'), "{code}: {title}");
            assert!(explanation.ends_with('.'), "{code}: {explanation}");
        }
    }
}

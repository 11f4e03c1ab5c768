//! `audit`: who did what when, and whether the log of it is whole.
//!
//! A log may be longer than memory: it is read in pages, and told entry by entry.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use whimbrel_endpoint::{EndpointError, Target};
use whimbrel_ledger::audit::hex;
use whimbrel_ledger::{Anchor, Anchored, AuditEntry, ChainId, Fault, Verified, Wrong, audit};
use whimbrel_profile::shown::argument;

use crate::args::{Audit, AuditAnchor, AuditVerb, AuditVerify, is_torn, run_or_plan};
use crate::cmd::migrate::{find_run, plan_flag, torn};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Answer, Output, Shortfall, count, printable, thousands};
use crate::project::Project;

/// Entries that are held at a time.
const PAGE: u64 = 200;
/// Characters of an entry's details for people.
const DETAIL: usize = 160;
/// Faults told one by one.
const FAULTS: usize = 100;

pub(crate) async fn run(output: &Output, args: &Audit) -> Result<Answer, Failure> {
    match &args.verb {
        None => list(output, args).await,
        Some(AuditVerb::Verify(args)) => verify(args).await,
        Some(AuditVerb::Anchor(args)) => anchor(args).await,
    }
}

async fn list(output: &Output, args: &Audit) -> Result<Answer, Failure> {
    let (run, plan) = run_or_plan(args.run.as_deref(), &args.plan);
    if is_torn(args.run.as_deref(), &args.plan) {
        return Err(torn("audit"));
    }
    let project = Project::open(plan)?;
    let target = project.target().await?;
    let run = match run {
        Some(run) => Some(find_run(&project, target.as_ref(), Some(run)).await?.id),
        None => None,
    };
    let told = if target.facts().await?.exists && target.has_ledger().await? {
        entries(output, target.as_ref(), run.as_deref()).await?
    } else {
        0
    };
    let message = match (&run, told) {
        (_, 0) => "nothing was done yet".to_owned(),
        (Some(run), _) => format!("{} on run {run}", count_entries(told)),
        (None, _) => count_entries(told),
    };
    let flag = plan_flag(&project);
    let text = match told {
        0 => "Nothing was done yet. `whimbrel migrate` begins a run.\n".to_owned(),
        _ => format!("{}. Next: whimbrel audit verify{flag}\n", count_entries(told)),
    };
    let mut data = json!({ "run": run, "total": told });
    if told == 0 {
        data["entries"] = json!([]);
    }
    Ok(Answer::new(message, text, data))
}

fn count_entries(number: u64) -> String {
    if number == 1 { "1 entry".to_owned() } else { format!("{} entries", thousands(number)) }
}

/// Tells the entries, oldest first; returns how many.
async fn entries(output: &Output, target: &dyn Target, run: Option<&str>) -> Result<u64, Failure> {
    let mut told = 0;
    let mut after = None;
    loop {
        let page = audit::page(target, after, PAGE).await?;
        for entry in page.iter().filter(|entry| run.is_none_or(|run| entry.touches(run))) {
            told += 1;
            let said = output.entry(&line(entry), &document(entry));
            if said.map_err(|error| unwritten(&error))?.is_break() {
                return Ok(told);
            }
        }
        match page.last() {
            Some(last) if page.len() as u64 == PAGE => after = Some(last.seq),
            Some(_) | None => return Ok(told),
        }
    }
}

fn unwritten(error: &io::Error) -> Failure {
    Failure::io("WB0705", "the answer could not be written", error)
}

fn line(entry: &AuditEntry) -> String {
    format!(
        "{:>6}  {:<27}  {}  {:<17}  {:<8}  {}\n",
        entry.seq,
        printable(&entry.at, 40),
        printable(&entry.actor, 80),
        printable(&entry.action, 40),
        printable(&entry.object, 80),
        printable(&words(&entry.detail), DETAIL)
    )
    .replace("  \n", "\n")
}

fn document(entry: &AuditEntry) -> Json {
    let detail: Json = serde_json::from_str(&entry.detail).unwrap_or_else(|_| json!(entry.detail));
    json!({
        "seq": entry.seq, "at": entry.at, "actor": entry.actor, "action": entry.action,
        "object": entry.object, "detail": detail, "hash": hex(&entry.hash),
    })
}

/// `kind full, plan people`: what has no value is left out.
fn words(detail: &str) -> String {
    match serde_json::from_str(detail) {
        Ok(detail) => said(&detail),
        Err(_) => detail.to_owned(),
    }
}

fn said(value: &Json) -> String {
    /// Of a list.
    const SHOWN: usize = 5;
    match value {
        Json::Null => String::new(),
        Json::String(text) if is_digest(text) => format!("{}…", &text[..12]),
        Json::String(text) => text.clone(),
        Json::Bool(_) | Json::Number(_) => value.to_string(),
        Json::Array(values) => {
            let more = values.len().saturating_sub(SHOWN);
            let more = (more > 0).then(|| format!("and {more} more"));
            let shown = values.iter().take(SHOWN).map(said);
            shown.chain(more).collect::<Vec<_>>().join(" ")
        }
        Json::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name, said(value)));
            let fields = fields.filter(|(_, value)| !value.is_empty());
            fields.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
        }
    }
}

/// Whole digests are for programs.
fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

async fn verify(args: &AuditVerify) -> Result<Answer, Failure> {
    let project = Project::open(&args.plan)?;
    let known = args.anchor.as_deref().map(read_anchor).transpose()?;
    let (ledger, verified) = verified(&project, known.as_ref()).await?;
    let anchored = known.as_ref().map(|anchor| anchor.check(&ledger, &verified));
    let mut text = chains(&verified);
    if let (Some(anchor), Some(anchored)) = (&known, anchored) {
        text.push_str(&anchor_line(anchor, anchored));
    }
    let flag = plan_flag(&project);
    let data = data(&ledger, &verified, known.as_ref().zip(anchored));
    match told(&verified, anchored) {
        None => {
            if known.is_none() {
                text.push_str(&format!(
                    "! the chain alone cannot show whether entries were cut off at its end, or recomputed \
                     from some entry on to its end; an anchor that is kept elsewhere can\nNext: whimbrel audit anchor FILE{flag}, and \
                     later whimbrel audit verify --anchor FILE{flag}\n"
                ));
            }
            let message = format!("the audit trail holds: {}", count_entries(verified.entries));
            Ok(Answer::new(message, text, data))
        }
        Some(Broken { message, code }) => {
            text.push_str(&format!("{}; whimbrel explain {code}\n", capital(&message)));
            let hint = "compare with a backup: docs/audit.md".to_owned();
            let answer = Answer::new(message, text, data);
            Ok(answer.falls_short(Exit::Differs, Shortfall { code, hint }))
        }
    }
}

/// Recomputes the chains; says which ledger they are of.
async fn verified(
    project: &Project,
    known: Option<&Anchor>,
) -> Result<(String, Verified), Failure> {
    let target = project.target().await?;
    let target = target.as_ref();
    let there = async { Ok(target.facts().await?.exists && target.has_ledger().await?) };
    if !there.await.map_err(unreadable)? {
        let message = "the target holds no ledger: nothing was verified";
        let failure = Failure::usage("WB0730", message, "`whimbrel migrate` begins one");
        return Err(failure.with_exit(Exit::NotVerified));
    }
    let ledger = audit::ledger_id(target).await.map_err(unreadable)?;
    let place = known.map(|anchor| anchor.count);
    Ok((ledger, audit::verify(target, place).await.map_err(unreadable)?))
}

/// What cannot be read cannot be verified; what may pass may be tried again.
fn unreadable(error: EndpointError) -> Failure {
    let failure = Failure::from(error);
    if failure.exit.retryable() { failure } else { failure.with_exit(Exit::NotVerified) }
}

/// Why a trail does not hold.
struct Broken {
    message: String,
    code: &'static str,
}

fn told(verified: &Verified, anchored: Option<Anchored>) -> Option<Broken> {
    let faults = verified.faults.len() as u64 + verified.more;
    if faults > 0 {
        let message = format!("the audit trail does not hold: {}", count(faults, "fault"));
        return Some(Broken { message, code: "WB0729" });
    }
    let (message, code) = match anchored {
        None | Some(Anchored::Holds { .. }) => return None,
        Some(Anchored::CutOff { .. }) => ("entries were cut off at the end of the log", "WB0729"),
        Some(Anchored::Rewritten) => ("the log was rewritten since the anchor was taken", "WB0729"),
        Some(Anchored::OtherLedger) => ("the anchor is of another ledger", "WB0732"),
    };
    Some(Broken { message: message.to_owned(), code })
}

/// What was found, chain by chain.
fn chains(verified: &Verified) -> String {
    let of = |audit: bool| {
        let faults = verified.faults.iter();
        faults.filter(move |fault| (fault.chain == ChainId::Audit) == audit)
    };
    let sign = |audit: bool| if of(audit).next().is_none() { "ok  " } else { "FAIL" };
    let head = verified.head.as_ref();
    let head = head.map(|head| format!(", head {}", hex(&head.hash))).unwrap_or_default();
    let mut text =
        format!("{}  {:<12} {}{head}\n", sign(true), "audit log", count_entries(verified.entries));
    let shown = of(true).take(FAULTS);
    shown.for_each(|fault| text.push_str(&format!("      {}\n", fault_line(fault))));
    text.push_str(&format!(
        "{}  {:<12} {} of {}\n",
        sign(false),
        "checkpoints",
        thousands(verified.checkpoints),
        count(verified.runs, "run")
    ));
    let shown = of(false).take(FAULTS);
    shown.for_each(|fault| text.push_str(&format!("      {}\n", fault_line(fault))));
    let left = [true, false].map(|audit| of(audit).count().saturating_sub(FAULTS) as u64);
    let left = left.iter().sum::<u64>() + verified.more;
    if left > 0 {
        text.push_str(&format!("      … and {}\n", count(left, "more fault")));
    }
    text
}

fn fault_line(fault: &Fault) -> String {
    let seq = fault.seq;
    let link = match &fault.chain {
        ChainId::Audit => format!("entry {seq}"),
        ChainId::Checkpoints(run) => format!("run {}, checkpoint {seq}", printable(run, 80)),
    };
    match &fault.wrong {
        Wrong::Missing { to } if *to == seq => format!("{link} is missing"),
        Wrong::Missing { to } => {
            format!(
                "{} to {to} are missing",
                link.replace("entry ", "entries ").replace("checkpoint ", "checkpoints ")
            )
        }
        Wrong::Changed => format!("{link} was changed: its content does not give its hash"),
        Wrong::Moved { from } => format!("{link} was written as {from}"),
        Wrong::Detached => format!("{link} does not follow the one before: either was replaced"),
        Wrong::BeforeTheFirst => format!("{link} stands before the first"),
        Wrong::Unreadable(why) => format!("{link} cannot be read: {}", printable(why, 200)),
        Wrong::NoCheckpoint(hash) => match &fault.chain {
            ChainId::Checkpoints(run) => format!(
                "run {}: its last checkpoint, which entry {seq} of the audit log names, is missing: {}",
                printable(run, 80),
                printable(hash, 64)
            ),
            ChainId::Audit => link,
        },
    }
}

fn wrong_word(wrong: &Wrong) -> &'static str {
    match wrong {
        Wrong::Missing { .. } => "missing",
        Wrong::Changed => "changed",
        Wrong::Moved { .. } => "moved",
        Wrong::Detached => "detached",
        Wrong::BeforeTheFirst => "before_the_first",
        Wrong::Unreadable(_) => "unreadable",
        Wrong::NoCheckpoint(_) => "no_checkpoint",
    }
}

fn anchor_line(anchor: &Anchor, anchored: Anchored) -> String {
    let entry = format!("entry {} ({})", thousands(anchor.count), printable(&anchor.at, 40));
    let (sign, what) = match anchored {
        Anchored::Holds { since } => {
            ("ok  ", format!("{entry} is in the log; {} since", count_entries(since)))
        }
        Anchored::CutOff { entries } => {
            ("FAIL", format!("{entry} is not in the log, which ends with {entries}"))
        }
        Anchored::Rewritten => ("FAIL", format!("{entry} is another one in the log")),
        Anchored::OtherLedger => ("FAIL", format!("{entry} is of another ledger")),
    };
    format!("{sign}  {:<12} {what}\n", "anchor")
}

fn data(ledger: &str, verified: &Verified, anchored: Option<(&Anchor, Anchored)>) -> Json {
    let fault = |fault: &Fault| {
        let run = match &fault.chain {
            ChainId::Audit => None,
            ChainId::Checkpoints(run) => Some(run),
        };
        let to = if let Wrong::Missing { to } = fault.wrong { Some(to) } else { None };
        json!({
            "chain": if run.is_some() { "checkpoints" } else { "audit" },
            "run": run, "seq": fault.seq, "to": to, "what": wrong_word(&fault.wrong),
            "message": fault_line(fault),
        })
    };
    let anchor = anchored.map(|(anchor, anchored)| {
        let how = match anchored {
            Anchored::Holds { .. } => "holds",
            Anchored::CutOff { .. } => "cut_off",
            Anchored::Rewritten => "rewritten",
            Anchored::OtherLedger => "other_ledger",
        };
        json!({ "count": anchor.count, "head": anchor.head, "at": anchor.at, "result": how })
    });
    let head = verified.head.as_ref();
    json!({
        "ledger": ledger,
        "entries": verified.entries,
        "head": head.map(|head| hex(&head.hash)),
        "head_seq": head.map(|head| head.seq),
        "runs": verified.runs,
        "checkpoints": verified.checkpoints,
        "faults": verified.faults.iter().map(fault).collect::<Vec<_>>(),
        "more_faults": verified.more,
        "anchor": anchor,
    })
}

async fn anchor(args: &AuditAnchor) -> Result<Answer, Failure> {
    let project = Project::open(&args.plan)?;
    let there = args.file.try_exists().map_err(|error| not_written(&args.file, &error))?;
    let known = if there { Some(read_anchor(&args.file)?) } else { None };
    let (ledger, verified) = verified(&project, known.as_ref()).await?;
    let anchored = known.as_ref().map(|anchor| anchor.check(&ledger, &verified));
    if anchored == Some(Anchored::OtherLedger) {
        let message = format!(
            "the anchor in `{}` is of another ledger; it was left alone",
            shown(&args.file)
        );
        return Err(Failure::usage("WB0732", message, "name another file"));
    }
    let flag = plan_flag(&project);
    let file = argument(&shown(&args.file));
    if let Some(Broken { message, code }) = told(&verified, anchored) {
        let mut text = chains(&verified);
        if let (Some(anchor), Some(anchored)) = (&known, anchored) {
            text.push_str(&anchor_line(anchor, anchored));
        }
        text.push_str(&format!("{}; no anchor was written\n", capital(&message)));
        let hint = format!("whimbrel audit verify{flag} shows where; docs/audit.md");
        let answer =
            Answer::new(message, text, data(&ledger, &verified, known.as_ref().zip(anchored)));
        return Ok(answer.falls_short(Exit::Differs, Shortfall { code, hint }));
    }
    let Some(anchor) = Anchor::of(&ledger, &verified) else {
        let failure = Failure::usage(
            "WB0730",
            "the audit log is empty: there is nothing to anchor",
            "`whimbrel migrate` begins a run",
        );
        return Err(failure.with_exit(Exit::NotVerified));
    };
    write_anchor(&args.file, &anchor, there).map_err(|error| not_written(&args.file, &error))?;
    let message =
        format!("anchor of {} written to {}", count_entries(anchor.count), shown(&args.file));
    let text = format!(
        "{message}\n! keep it where nobody who can write to the target can change it\n\
         Next: whimbrel audit verify --anchor {file}{flag}\n"
    );
    let data = json!({
        "file": shown(&args.file), "ledger": anchor.ledger, "count": anchor.count,
        "head": anchor.head, "at": anchor.at,
    });
    Ok(Answer::new(message, text, data))
}

fn read_anchor(file: &Path) -> Result<Anchor, Failure> {
    let hint = "`whimbrel audit anchor FILE` writes one";
    let bytes = read_bounded(file).map_err(|error| {
        let message = format!("the anchor cannot be read: `{}`", shown(file));
        Failure::io("WB0731", message, &error).with_hint(hint).with_exit(Exit::Usage)
    })?;
    let anchor = std::str::from_utf8(&bytes).ok().and_then(Anchor::from_json);
    anchor.ok_or_else(|| {
        let message = format!("the file is no anchor: `{}`; it was left alone", shown(file));
        Failure::usage("WB0731", message, hint)
    })
}

/// An anchor is one short line.
fn read_bounded(file: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    File::open(file)?.take(4_096).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A new file is made; one that is there is replaced as a whole or not at all.
fn write_anchor(file: &Path, anchor: &Anchor, there: bool) -> io::Result<()> {
    let text = anchor.to_json() + "\n";
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    if there {
        let mut beside = file.as_os_str().to_owned();
        beside.push(format!(".{}", std::process::id()));
        let beside = PathBuf::from(beside);
        let mut out = File::create_new(&beside)?;
        out.write_all(text.as_bytes())?;
        out.sync_all()?;
        fs::rename(&beside, file)?;
    } else {
        let mut out = File::create_new(file)?;
        out.write_all(text.as_bytes())?;
        out.sync_all()?;
    }
    File::open(folder)?.sync_all()
}

fn not_written(file: &Path, error: &io::Error) -> Failure {
    Failure::io("WB0724", format!("the anchor cannot be written: `{}`", shown(file)), error)
}

fn shown(file: &Path) -> String {
    printable(&file.display().to_string(), 400)
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

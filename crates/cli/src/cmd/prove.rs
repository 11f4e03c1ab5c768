//! `prove`: where a record went, or what a row was made of, with a proof that others can check.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};
use whimbrel_core::{Answered, Now, Proof, State, Thing, prove};
use whimbrel_ledger::Run;
use whimbrel_ledger::audit::hex;
use whimbrel_validator::lineage::kept::LEAVES_MAX;
use whimbrel_validator::lineage::{Asked, Leaf, LeafFate, Proved, Unit};

use crate::args::Prove;
use crate::cmd::migrate::{find_run, plan_flag, takes_no_flag};
use crate::cmd::verify::Silent;
use crate::codes;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Answer, Shortfall, count, printable, thousands};
use crate::project::Project;

/// The form of a proof's document.
const SCHEMA: &str = "whimbrel/proof/v1";

/// Leaves that are shown to people.
const SHOWN: usize = 20;

/// Characters of a name.
const NAME: usize = 300;

pub(crate) async fn run(args: &Prove) -> Result<Answer, Failure> {
    takes_no_flag("prove", &args.on)?;
    let project = Project::open(args.on.plan())?;
    let ports = project.ports(std::sync::Arc::new(Silent)).await?;
    let run = find_run(&project, ports.target.as_ref(), args.on.wanted()).await?;
    let asked = match (&args.record, &args.row) {
        (Some(record), _) => Asked::Record(record.clone()),
        (None, row) => Asked::Row(row.clone().unwrap_or_default()),
    };
    let answered = prove(&ports, &run, &asked).await;
    match answered.map_err(|error| project.explain(error))? {
        Answered::NoLineage => Err(none(&project, &run)),
        Answered::NotThere { near, stands } => Err(not_there(&asked, near.as_deref(), stands)),
        Answered::Proof(proof) => Ok(answer(&project, &run, &asked, &proof)),
    }
}

fn none(project: &Project, run: &Run) -> Failure {
    let message = format!("run {} has no lineage here: nothing can be proved", run.id);
    let hint = format!("whimbrel verify --level forensic{}", plan_flag(project));
    Failure::usage("WB0822", message, hint).with_exit(Exit::NotVerified)
}

fn name_of(asked: &Asked) -> (&'static str, String) {
    match asked {
        Asked::Record(text) => ("record", printable(text, NAME)),
        Asked::Row(text) => ("row", printable(text, NAME)),
    }
}

fn not_there(asked: &Asked, near: Option<&str>, stands: bool) -> Failure {
    let (what, name) = name_of(asked);
    let message = match asked {
        Asked::Record(_) => format!("no mapping has judged such a record: `{name}`"),
        Asked::Row(_) if stands => {
            format!("the row stands in the target, and no record made it: `{name}`")
        }
        Asked::Row(_) => format!("no leaf and no row of the target has this key: `{name}`"),
    };
    let forms = match asked {
        Asked::Record(_) => "FILE:LINE, FILE#RECORD, FILE, or SOURCE/KEY of an old database",
        Asked::Row(_) => {
            "TABLE/KEY, a key of several columns as KEY/KEY or, where one has a `/`, as \
             `[\"KEY\", \"KEY\"]`"
        }
    };
    let mut causes = Vec::new();
    if stands {
        causes.push(
            "it stood there before the first load, or came after the verification".to_owned(),
        );
    }
    // What is nearest reads like what was asked where a part of the key has a `/` of its own.
    let near = near.filter(|near| !near.contains(&format!("`{name}`")));
    let hint = match near {
        Some(near) => format!("{}; a {what} is named {forms}", printable(near, NAME)),
        None => format!("a {what} is named {forms}"),
    };
    Failure { causes, ..Failure::usage("WB0823", message, hint) }
}

fn answer(project: &Project, run: &Run, asked: &Asked, proof: &Proof) -> Answer {
    let (what, name) = name_of(asked);
    let data = document(asked, proof);
    if !proof.holds() {
        let message = format!("The lineage of run {} does not hold", run.id);
        let faults = proof.faults.iter().map(|fault| format!("  {}\n", printable(fault, NAME)));
        let text = format!(
            "{message}: nothing is proved.\n{}Next: whimbrel explain WB0821\n",
            faults.collect::<String>()
        );
        let hint = "compare `.whimbrel/lineage/` and the ledger with a copy: docs/proofs.md";
        let shortfall = Shortfall { code: "WB0821", hint: hint.to_owned() };
        return Answer::new(message, text, data).falls_short(Exit::Differs, shortfall);
    }
    let leaves = &proof.found.leaves;
    let message = format!(
        "{} of {what} {name}, run {}",
        said(leaves.len() as u64 + proof.found.more),
        run.id
    );
    let mut text = String::new();
    for proved in leaves.iter().take(SHOWN) {
        text.push_str(&block(project, proof, proved));
    }
    let more = leaves.len().saturating_sub(SHOWN) as u64 + proof.found.more;
    if more > 0 {
        let _ =
            writeln!(text, "and {} more; `--format json` has the first {LEAVES_MAX}\n", said(more));
    }
    for proved in &proof.found.decided_by {
        text.push_str(&block(project, proof, proved));
    }
    text.push_str(&head(proof));
    let answer = |text: String| Answer::new(message.clone(), text, data.clone());
    if !proof.is_current() {
        let _ = writeln!(
            text,
            "Changed since: the proof is of what stood there when the run was verified; whimbrel explain WB0824"
        );
        let hint = format!("whimbrel verify{}", plan_flag(project));
        return answer(text).falls_short(Exit::Differs, Shortfall { code: "WB0824", hint });
    }
    let _ = writeln!(
        text,
        "Next: the same with --format json: a document that others can check without Whimbrel (docs/proofs.md)"
    );
    answer(text)
}

fn said(leaves: u64) -> String {
    if leaves == 1 { "1 leaf".to_owned() } else { format!("{} leaves", thousands(leaves)) }
}

fn short(digest: &str) -> String {
    format!("sha256 {}…", digest.get(..16).unwrap_or(digest))
}

fn place(unit: &Unit) -> String {
    let path = printable(&unit.path, NAME);
    if unit.record == 0 { format!("`{path}`") } else { format!("`{path}#{}`", unit.record) }
}

/// A leaf for people.
fn block(project: &Project, proof: &Proof, proved: &Proved) -> String {
    let leaf = &proved.leaf;
    let table = printable(&leaf.table, NAME);
    let mut text = match &leaf.from {
        None => format!("rows of {table}, by SQL of the plan\n"),
        Some(from) => {
            let path = printable(&from.unit.path, NAME);
            let at = from.line.map(|line| format!(":{line}")).unwrap_or_default();
            let source = printable(&from.unit.source, NAME);
            let number = match from.unit.record {
                0 => "the whole file".to_owned(),
                number => format!("record {}", thousands(number)),
            };
            format!("{path}{at} ({number} of source `{source}`)\n")
        }
    };
    let mut line = |label: &str, what: String| {
        let _ = writeln!(text, "  {label:<7} {what}");
    };
    line("table", table.clone());
    line("fate", fate(project, leaf));
    if let Some(of) = &leaf.of {
        let how = match leaf.fate {
            LeafFate::Duplicate => "it counts as",
            LeafFate::Unchanged => "its rows were made before by",
            LeafFate::Rejected => "came before it:",
            LeafFate::Loaded | LeafFate::Filtered | LeafFate::Attested | LeafFate::Removed => {
                "after"
            }
        };
        line("of", format!("{how} {}", place(of)));
    }
    let state = |thing: &Thing| {
        let own = |now: &&Now| now.leaf == leaf.n && now.thing == *thing;
        proof.now.iter().find(own).map(|now| told(&now.state))
    };
    if let Some(from) = &leaf.from {
        let key = from.key.join("/");
        let key = if key.is_empty() { key } else { format!("key {}, ", printable(&key, NAME)) };
        if let (Some(digest), Some(state)) = (&from.sha256, state(&Thing::Record)) {
            line("record", format!("{key}{state}, {}", short(digest)));
        }
        if let Some(mended) = &from.mended {
            line("mended", format!("read with other bytes, {}", short(mended)));
        }
    }
    for (index, row) in leaf.rows.iter().enumerate().take(SHOWN) {
        let key = if row.key.is_empty() {
            "a row without a key".to_owned()
        } else {
            format!("{table}/{}", keyed(&row.key))
        };
        let now = state(&Thing::Row(index)).map(|state| format!(", {state}")).unwrap_or_default();
        line("row", format!("{}{now}, {}", printable(&key, NAME), short(&row.sha256)));
    }
    let leaves = proof.head.as_ref().map_or(0, |head| head.leaves);
    let steps = count(proved.path.hashes.len() as u64, "hash").replace("hashs", "hashes");
    line(
        "leaf",
        format!("{} of {}; {steps} lead to the root", thousands(leaf.n), thousands(leaves)),
    );
    text.push('\n');
    text
}

/// A key as `--row` takes it.
fn keyed(key: &[String]) -> String {
    if key.len() > 1 && key.iter().any(|part| part.contains('/')) {
        json!(key).to_string()
    } else {
        key.join("/")
    }
}

fn fate(project: &Project, leaf: &Leaf) -> String {
    let word = leaf.fate.word();
    let rule = leaf.rule.as_deref().map(|rule| printable(rule, NAME));
    match (leaf.fate, &leaf.code, rule) {
        (LeafFate::Rejected, Some(code), rule) => {
            let title = codes::title_of(code).map(|title| format!(", {title}")).unwrap_or_default();
            let rule = rule.map(|rule| format!(": `{rule}`")).unwrap_or_default();
            format!("{word}, {}{title}{rule}", printable(code, 20))
        }
        (LeafFate::Filtered, _, Some(rule)) => {
            let mappings = &project.plan.tables;
            let mapping = mappings.iter().find(|mapping| mapping.into.value == leaf.table);
            let filter = mapping.and_then(|mapping| mapping.filter.as_ref());
            match filter.filter(|_| rule == "where") {
                Some(filter) => {
                    let at = project.text.get(..filter.span.start).unwrap_or_default();
                    let line = at.matches('\n').count() + 1;
                    let file = project.file.display().to_string();
                    format!("{word} by `where` ({}:{line})", printable(&file, NAME))
                }
                None => format!("{word} by `{rule}`"),
            }
        }
        (LeafFate::Attested | LeafFate::Removed, _, Some(rule)) => {
            format!("{word}: as SQL of the plan has left it (`{rule}`)")
        }
        (_, _, _) => word.to_owned(),
    }
}

fn told(state: &State) -> String {
    match state {
        State::Same => "as it was".to_owned(),
        State::Rewritten(by) => {
            format!("as SQL of the plan (`{}`) had left it", printable(by, NAME))
        }
        State::Changed(_) => "CHANGED SINCE".to_owned(),
        State::Gone => "GONE SINCE".to_owned(),
        State::Unread(why) => format!("not read again ({})", printable(why, NAME)),
    }
}

/// Head, signature and audit log for people.
fn head(proof: &Proof) -> String {
    let Some(head) = &proof.head else { return String::new() };
    let root = head.root.get(..16).unwrap_or(&head.root);
    let mut text = format!(
        "head    run {}, {}, root {root}…, {}\n",
        head.run,
        said(head.leaves),
        printable(&head.at, 40)
    );
    let signed = match &proof.signed_by {
        Some(key) => format!("signed with the key {key}; whose key that is, you must know"),
        None => "nobody has signed the head".to_owned(),
    };
    let _ = writeln!(text, "        {signed}");
    if let Some(entry) = &proof.entry {
        let _ = writeln!(
            text,
            "        entry {} of the audit log names it ({}, {}), and the log holds",
            entry.seq,
            printable(&entry.at, 40),
            printable(&entry.actor, 80)
        );
    }
    text
}

/// The proof as a document that stands by itself.
fn document(asked: &Asked, proof: &Proof) -> Json {
    let (what, name) = match asked {
        Asked::Record(text) => ("record", text),
        Asked::Row(text) => ("row", text),
    };
    let proved = |proved: &Proved| {
        let path: Vec<String> = proved.path.hashes.iter().map(|hash| hex(hash)).collect();
        json!({ "leaf": proved.text, "path": path })
    };
    let signature = proof.signature.as_ref().map(|(signature, key)| {
        json!({ "algorithm": "ed25519", "public_key": key, "signature": hex(signature) })
    });
    let entry = proof.entry.as_ref().map(|entry| {
        json!({ "seq": entry.seq, "at": entry.at, "actor": entry.actor, "hash": hex(&entry.hash) })
    });
    let now = proof.now.iter().map(|now| {
        let (thing, row) = match now.thing {
            Thing::Record => ("record", None),
            Thing::Row(place) => ("row", Some(place)),
        };
        let (state, detail) = match &now.state {
            State::Same => ("same", None),
            State::Rewritten(by) => ("rewritten", Some(by)),
            State::Changed(digest) => ("changed", Some(digest)),
            State::Gone => ("gone", None),
            State::Unread(why) => ("unread", Some(why)),
        };
        json!({ "leaf": now.leaf, "what": thing, "row": row, "state": state, "detail": detail })
    });
    json!({
        "schema": SCHEMA,
        "asked": { what: name },
        "holds": proof.holds(),
        "faults": proof.faults,
        "head": proof.head_text,
        "signature": signature,
        "audit": entry,
        "leaves": proof.found.leaves.iter().map(proved).collect::<Vec<_>>(),
        "decided_by": proof.found.decided_by.iter().map(proved).collect::<Vec<_>>(),
        "more": proof.found.more,
        "now": now.collect::<Vec<_>>(),
    })
}

//! Proofs: what became of a record, and what a row was made of, from the lineage that a forensic verification
//! has left; with whether that still holds and still is so.
//!
//! ```text
//! leaves ─▶ root ─▶ head ─┬▶ audit log, checks       all of them, or it is broken
//!                         └▶ signature
//! record, row: read again, and hashed                 the same, changed since, gone
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use whimbrel_endpoint::{EndpointError, Limit, RowOrder};
use whimbrel_ledger::{AuditEntry, Run, audit, chain, check};
use whimbrel_model::plan::HashAlgorithm;
use whimbrel_model::{Row, Table};
use whimbrel_validator::lineage::kept::Found;
use whimbrel_validator::lineage::sign::signed_by;
use whimbrel_validator::lineage::{self, Asked, Head, Kept, LeafFate, MadeRow, Proved};
use whimbrel_validator::verify::{Filled, filled, row_digest, row_key};

use crate::error::{CoreError, While};
use crate::ports::Ports;

/// Entries of the audit log about one run that are looked through.
const ENTRIES: u64 = 100_000;

/// Changed rows for which SQL of the plan is looked at.
const REWRITTEN: usize = 20;

/// The answer to a question about lineage.
#[derive(Debug)]
pub enum Answered {
    /// The run has none here.
    NoLineage,
    /// It holds, and has no such record or row.
    NotThere {
        /// What comes nearest.
        near: Option<String>,
        /// A row with this key stands in the target all the same.
        stands: bool,
    },
    /// It was found, or something does not hold.
    Proof(Box<Proof>),
}

/// A proof, with all that was found out about it.
#[derive(Debug)]
pub struct Proof {
    /// The head's bytes.
    pub head_text: String,
    /// What they say.
    pub head: Option<Head>,
    /// The signature and the key beside the head.
    pub signature: Option<(Vec<u8>, String)>,
    /// The key by which the head is signed: the SHA-256 of its DER.
    pub signed_by: Option<String>,
    /// The entry of the audit log that names the head.
    pub entry: Option<AuditEntry>,
    /// What was found.
    pub found: Found,
    /// What does not hold.
    pub faults: Vec<String>,
    /// How records and rows stand now.
    pub now: Vec<Now>,
}

impl Proof {
    /// Everything leads to the head, and the ledger knows it.
    pub fn holds(&self) -> bool {
        self.faults.is_empty()
    }

    /// Nothing that was read again is another than it was.
    pub fn is_current(&self) -> bool {
        !self.now.iter().any(|now| matches!(now.state, State::Changed(_) | State::Gone))
    }
}

/// How a record or a row of a leaf stands now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Now {
    /// The leaf's number.
    pub leaf: u64,
    /// Which.
    pub thing: Thing,
    /// How.
    pub state: State,
}

/// What of a leaf was read again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Thing {
    /// Its record.
    Record,
    /// Its row of this place.
    Row(usize),
}

/// How something stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// As the leaf says.
    Same,
    /// As SQL of the plan had left it when the run was verified: these steps.
    Rewritten(String),
    /// With another digest.
    Changed(String),
    /// It is not there.
    Gone,
    /// It could not be read.
    Unread(String),
}

/// Answers a question about what a run has left.
pub async fn prove(ports: &Ports, run: &Run, asked: &Asked) -> Result<Answered, CoreError> {
    let doing = || "looking at the lineage of the run".to_owned();
    let Some(kept) = Kept::open(&ports.lineage, &run.id).during(doing)? else {
        return Ok(Answered::NoLineage);
    };
    let found = kept.find(asked).during(doing)?;
    let mut proof = Proof {
        head_text: kept.text.clone(),
        head: kept.head.clone(),
        signature: kept.signature.clone(),
        signed_by: None,
        entry: None,
        found,
        faults: Vec::new(),
        now: Vec::new(),
    };
    files(run, &mut proof);
    ledger(ports, run, &kept, &mut proof).await.during(doing)?;
    if !proof.holds() {
        return Ok(Answered::Proof(Box::new(proof)));
    }
    let tables = filled(ports.target.as_ref(), run, false).await.during(doing)?;
    if proof.found.leaves.is_empty() {
        let stands = stands(ports, &tables, asked).await.during(doing)?;
        return Ok(Answered::NotThere { near: proof.found.near, stands });
    }
    records(ports, &mut proof).await;
    rows(ports, &tables, &kept, &mut proof).await.during(doing)?;
    Ok(Answered::Proof(Box::new(proof)))
}

/// Whether leaves, head and signature are of each other.
fn files(run: &Run, proof: &mut Proof) {
    let faults = &mut proof.faults;
    let Some(head) = &proof.head else {
        let missing = proof.head_text.is_empty();
        faults.push(if missing { "the head is missing" } else { "the head is none" }.to_owned());
        return;
    };
    if head.run != run.id {
        faults.push(format!("the head is of run `{}`", head.run));
    }
    let found = &proof.found;
    faults.extend(found.fault.clone());
    if found.count != head.leaves {
        faults
            .push(format!("there are {} leaves, and the head names {}", found.count, head.leaves));
    }
    if found.root != head.root {
        faults.push(format!(
            "the leaves give the root {}, and the head names {}",
            found.root, head.root
        ));
    }
    let strays = |proved: &&Proved| !proved.leads_to(&head.root, head.leaves);
    let mut all = found.leaves.iter().chain(&found.decided_by);
    if let Some(proved) = all.find(strays).filter(|_| found.root == head.root) {
        faults.push(format!("the path of leaf {} does not lead to the root", proved.path.index));
    }
    if let Some((signature, key)) = &proof.signature {
        proof.signed_by = signed_by(key, proof.head_text.as_bytes(), signature);
        if proof.signed_by.is_none() {
            faults.push("the signature is not of this head and this key".to_owned());
        }
    }
}

/// Whether the ledger names this head, and its audit log holds.
async fn ledger(
    ports: &Ports,
    run: &Run,
    kept: &Kept,
    proof: &mut Proof,
) -> Result<(), EndpointError> {
    let target = ports.target.as_ref();
    let digest = kept.digest();
    let before = proof.head.as_ref().and_then(|head| head.audit.clone());
    let verified = audit::verify(target, before.as_ref().map(|entry| entry.seq)).await?;
    let faults = &mut proof.faults;
    if !verified.is_intact() {
        faults.push("the audit log does not hold: `whimbrel audit verify` says where".to_owned());
    }
    let hash = |head: &audit::Head| audit::hex(&head.hash);
    if before
        .as_ref()
        .is_some_and(|entry| verified.at_anchor.as_ref().map(hash) != Some(entry.hash.clone()))
    {
        faults.push("the audit log is another than the one that the head names".to_owned());
    }
    let named = |entry: &AuditEntry| -> Option<Json> {
        let detail: Json = serde_json::from_str(&entry.detail).ok()?;
        (entry.action == "run.verified")
            .then(|| detail["lineage"].clone())
            .filter(|own| !own.is_null())
    };
    let entries = chain::entries_of(target, &run.id, ENTRIES).await?;
    match entries.into_iter().rev().find_map(|entry| Some((named(&entry)?, entry))) {
        None => faults.push("the audit log names no head of this run".to_owned()),
        Some((lineage, _)) if lineage["head"].as_str() != Some(digest.as_str()) => {
            faults.push("the audit log names another head".to_owned());
        }
        Some((lineage, entry)) => {
            match (lineage["key"].as_str(), &proof.signed_by) {
                (Some(_), None) => {
                    faults.push("the head was signed, and its signature is gone".to_owned());
                }
                (Some(key), Some(own)) if key != own => {
                    faults.push("the head was signed with another key".to_owned());
                }
                (None, Some(_)) => {
                    faults.push("the head was not signed when it was made".to_owned());
                }
                (Some(_), Some(_)) | (None, None) => {}
            }
            proof.entry = Some(entry);
        }
    }
    let checks = check::of_run(target, &run.id).await?;
    let own = checks
        .iter()
        .rev()
        .find(|check| check.check_type == "lineage" && check.check_name == run.id);
    let details =
        own.and_then(|check| serde_json::from_str::<Json>(check.details.as_deref()?).ok());
    if details.is_none_or(|details| details["head"].as_str() != Some(digest.as_str())) {
        faults.push("the checks of the run name no such head".to_owned());
    }
    Ok(())
}

/// Of records by their numbers the leaves, each with the digest that it holds.
type Records = BTreeMap<u64, Vec<(u64, String)>>;

/// Reads the records again; what cannot be read is said, and no error.
async fn records(ports: &Ports, proof: &mut Proof) {
    let mut wanted: BTreeMap<(String, String), Records> = BTreeMap::new();
    for proved in &proof.found.leaves {
        let Some(from) = &proved.leaf.from else { continue };
        let Some(digest) = &from.sha256 else { continue };
        let file = (from.unit.source.clone(), from.unit.path.clone());
        let records = wanted.entry(file).or_default();
        records.entry(from.unit.record).or_default().push((proved.leaf.n, digest.clone()));
    }
    for ((source, path), records) in wanted {
        let found = digests(ports, &source, &path, records.keys().copied().collect()).await;
        for (record, leaves) in records {
            for (leaf, digest) in leaves {
                let state = match &found {
                    Err(why) => State::Unread(why.clone()),
                    Ok(None) => State::Gone,
                    Ok(Some(found)) => compared(&digest, found.get(&record)),
                };
                proof.now.push(Now { leaf, thing: Thing::Record, state });
            }
        }
    }
}

fn compared(digest: &str, found: Option<&String>) -> State {
    match found {
        None => State::Gone,
        Some(own) if own == digest => State::Same,
        Some(own) => State::Changed(own.clone()),
    }
}

/// The digests of some records of a file as it is now; `None` where there is no such file.
async fn digests(
    ports: &Ports,
    source: &str,
    path: &str,
    wanted: BTreeSet<u64>,
) -> Result<Option<BTreeMap<u64, String>>, String> {
    let said = |error: EndpointError| error.what;
    let Some(source) = ports.sources.get(source) else {
        return Err(format!("the plan has no source `{source}`"));
    };
    let partitions = source.partitions().await.map_err(said)?.partitions;
    let Some(partition) = partitions.into_iter().find(|own| own.id.path == path) else {
        return Ok(None);
    };
    let mut found = BTreeMap::new();
    if wanted.contains(&0) {
        let digest = source.checksum(&partition, HashAlgorithm::Sha256).await.map_err(said)?;
        found.insert(0, digest);
    }
    let last = wanted.last().copied().unwrap_or(0);
    if last == 0 {
        return Ok(Some(found));
    }
    let mut reader = source.open(&partition, &[], None).await.map_err(said)?;
    while let Some(chunk) = reader.next(Limit::default()).await.map_err(said)? {
        for (index, record) in chunk.records.iter().enumerate() {
            if wanted.contains(&record.position.record) {
                found.insert(record.position.record, lineage::sha256(chunk.bytes(index)));
            }
        }
        if chunk.records.last().is_some_and(|record| record.position.record >= last) {
            break;
        }
    }
    Ok(Some(found))
}

/// Rows that stand in a table, by their keys or, where it has none, by their digests.
#[derive(Default)]
struct Stands {
    by_key: BTreeMap<Vec<String>, String>,
    digests: BTreeSet<String>,
}

impl Stands {
    fn state(&self, row: &MadeRow) -> State {
        if row.key.is_empty() {
            return if self.digests.contains(&row.sha256) { State::Same } else { State::Gone };
        }
        compared(&row.sha256, self.by_key.get(&row.key))
    }
}

/// Reads the rows again.
async fn rows(
    ports: &Ports,
    tables: &[Filled],
    kept: &Kept,
    proof: &mut Proof,
) -> Result<(), EndpointError> {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    let all = || proof.found.leaves.iter().chain(&proof.found.decided_by);
    for proved in all().filter(|proved| !proved.leaf.rows.is_empty()) {
        names.insert(&proved.leaf.table);
    }
    let mut now = Vec::new();
    let mut rewritten = Vec::new();
    for name in names {
        let own = || all().filter(|proved| proved.leaf.table == name);
        let wanted: BTreeSet<&MadeRow> = own().flat_map(|proved| &proved.leaf.rows).collect();
        let by = tables.iter().find(|filled| filled.name == name);
        let is_sql = by.is_some_and(|filled| !filled.written_by.is_empty());
        let found = match described(ports, tables, name).await? {
            // A column may be gone since: the proof stands all the same.
            Some(table) => read(ports, &table, &wanted).await.map_err(|error| error.what),
            None => Ok(Stands::default()),
        };
        for proved in own() {
            for (place, row) in proved.leaf.rows.iter().enumerate() {
                let state = match &found {
                    Ok(found) => found.state(row),
                    Err(why) => State::Unread(why.clone()),
                };
                let state = match (proved.leaf.fate, state) {
                    (LeafFate::Removed, State::Gone) => State::Same,
                    // What it was before SQL of the plan took it away stands there again.
                    (LeafFate::Removed, State::Same) => State::Changed(row.sha256.clone()),
                    (_, state) => state,
                };
                let is_other = matches!(state, State::Changed(_) | State::Gone);
                if is_other && is_sql && proved.leaf.from.is_some() && rewritten.len() < REWRITTEN {
                    rewritten.push((now.len(), name.to_owned(), row.key.clone()));
                }
                now.push(Now { leaf: proved.leaf.n, thing: Thing::Row(place), state });
            }
        }
    }
    for (place, table, key) in rewritten {
        let asked = serde_json::to_string(&key).unwrap_or_default();
        let found = kept.find(&Asked::Row(format!("{table}/{asked}")))?;
        let by_sql = found.leaves.into_iter().find(|proved| {
            proved.leaf.from.is_none() && proved.leaf.rows.iter().any(|row| row.key == key)
        });
        let Some(by_sql) = by_sql else { continue };
        let is_so = match &now[place].state {
            State::Changed(digest) => by_sql.leaf.rows.iter().any(|row| row.sha256 == *digest),
            State::Gone => by_sql.leaf.fate == LeafFate::Removed,
            State::Same | State::Rewritten(_) | State::Unread(_) => false,
        };
        if is_so {
            now[place].state = State::Rewritten(by_sql.leaf.rule.clone().unwrap_or_default());
            let mut known = proof.found.leaves.iter().chain(&proof.found.decided_by);
            if !known.any(|known| known.leaf.n == by_sql.leaf.n) {
                proof.found.decided_by.push(by_sql);
            }
        }
    }
    proof.now.extend(now);
    Ok(())
}

/// The table with the columns that its leaves' digests are of.
async fn described(
    ports: &Ports,
    tables: &[Filled],
    name: &str,
) -> Result<Option<Table>, EndpointError> {
    let stands = ports.target.snapshot()?.describe(name).await?;
    let loaded = tables.iter().find(|filled| filled.name == name).and_then(Filled::table);
    Ok(stands.map(|stands| loaded.unwrap_or(stands)))
}

async fn read(
    ports: &Ports,
    table: &Table,
    wanted: &BTreeSet<&MadeRow>,
) -> Result<Stands, EndpointError> {
    let keys: BTreeSet<&Vec<String>> = wanted.iter().map(|row| &row.key).collect();
    let digests: BTreeSet<&String> = wanted.iter().map(|row| &row.sha256).collect();
    let mut found = Stands::default();
    each_row(ports, table, &mut |row| {
        let key = row_key(table, row);
        if key.is_empty() {
            let digest = row_digest(table, row);
            if digests.contains(&digest) {
                found.digests.insert(digest);
            }
        } else if keys.contains(&key) {
            found.by_key.insert(key, row_digest(table, row));
        }
        found.by_key.len() + found.digests.len() < wanted.len()
    })
    .await?;
    Ok(found)
}

/// Shows the rows of a table as long as somebody wants them.
async fn each_row(
    ports: &Ports,
    table: &Table,
    see: &mut (dyn FnMut(Row<'_>) -> bool + Send),
) -> Result<(), EndpointError> {
    let snapshot = ports.target.snapshot()?;
    let mut feed = snapshot.rows(table, RowOrder::Any).await?;
    while let Some(chunk) = feed.next().await? {
        if !chunk.rows().all(&mut *see) {
            break;
        }
    }
    Ok(())
}

/// Whether a row that no leaf knows stands in the target.
async fn stands(ports: &Ports, tables: &[Filled], asked: &Asked) -> Result<bool, EndpointError> {
    let Asked::Row(text) = asked else { return Ok(false) };
    for filled in tables {
        let rest = text.strip_prefix(&filled.name).and_then(|rest| rest.strip_prefix('/'));
        let Some(rest) = rest else { continue };
        let Some(table) = described(ports, tables, &filled.name).await? else { continue };
        let mut stands = false;
        each_row(ports, &table, &mut |row| {
            stands = lineage::kept::is_key(rest, &row_key(&table, row));
            !stands
        })
        .await?;
        if stands {
            return Ok(true);
        }
    }
    Ok(false)
}

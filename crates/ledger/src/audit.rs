//! The audit log read in pages, and the chains proved link by link; anchors that show what a chain
//! alone cannot.
//!
//! ```text
//! entry 1 ──▶ entry 2 ──▶ … ──▶ entry n      each names the hash of the one before
//!                          ▲         ▲
//!                        anchor     head     cut off, or recomputed to the end: only an anchor that
//!                                            is kept elsewhere shows it
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value as Json, json};
use whimbrel_endpoint::{EndpointError, Operator, Order, Query, Target};
use whimbrel_model::{Digest, Row, Value};

use crate::cells::{self, Cells, Stored};
use crate::chain::{AuditEntry, Checkpoint};
use crate::{meta, tables};

/// Rows of a chain that are held at a time.
const PAGE: u64 = 200;

/// Entries of the audit log in order, those after `after`, at most `limit`.
pub async fn page(
    target: &dyn Target,
    after: Option<u64>,
    limit: u64,
) -> Result<Vec<AuditEntry>, EndpointError> {
    let query = cells::query::<AuditEntry>().by("seq", Order::Rising).at_most(limit);
    let query = match after {
        Some(last) => query.that("seq", Operator::Above, vec![last.into()]),
        None => query,
    };
    cells::select(target, query).await
}

impl AuditEntry {
    /// Whether it is about that run: done to it, or named anywhere in the details.
    pub fn touches(&self, run: &str) -> bool {
        fn names(value: &Json, run: &str) -> bool {
            match value {
                Json::String(text) => text == run,
                Json::Array(values) => values.iter().any(|value| names(value, run)),
                Json::Object(fields) => fields.values().any(|value| names(value, run)),
                Json::Null | Json::Bool(_) | Json::Number(_) => false,
            }
        }
        self.object == run
            || self.detail.contains(run)
                && serde_json::from_str(&self.detail).is_ok_and(|detail| names(&detail, run))
    }
}

/// Which chain.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ChainId {
    /// The audit log, from 1.
    Audit,
    /// The checkpoints of a run, from 0.
    Checkpoints(String),
}

/// What is wrong at a place of a chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wrong {
    /// Links are not there, from this place to that one.
    Missing {
        /// The last of them.
        to: u64,
    },
    /// The link does not carry the hash of its own content.
    Changed,
    /// The link is one that was written under another number.
    Moved {
        /// That number.
        from: u64,
    },
    /// The link does not name the hash of the one before.
    Detached,
    /// A link that stands before the first.
    BeforeTheFirst,
    /// A column does not hold what it must.
    Unreadable(String),
    /// The audit log names a checkpoint with this hash, in hex, and the run has none.
    NoCheckpoint(String),
}

/// A place where a chain does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The chain.
    pub chain: ChainId,
    /// The link's number.
    pub seq: u64,
    /// What is wrong.
    pub wrong: Wrong,
}

/// The end of a chain, or the place that an anchor holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// The link's number.
    pub seq: u64,
    /// Its time, RFC 3339.
    pub at: String,
    /// Its hash.
    pub hash: Vec<u8>,
}

/// How many faults are kept; the others are counted.
const FAULTS: usize = 1_000;

/// What was found when all chains were recomputed.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Verified {
    /// Entries of the audit log.
    pub entries: u64,
    /// The newest entry.
    pub head: Option<Head>,
    /// What the log holds at the place of the anchor that was handed over.
    pub at_anchor: Option<Head>,
    /// Runs with checkpoints.
    pub runs: u64,
    /// Checkpoints of all runs.
    pub checkpoints: u64,
    /// Where a chain does not hold: the audit log in its order, then run by run.
    pub faults: Vec<Fault>,
    /// How many more there are.
    pub more: u64,
}

impl Verified {
    /// Whether every link of every chain holds.
    pub fn is_intact(&self) -> bool {
        self.faults.is_empty()
    }

    fn fault(&mut self, chain: &ChainId, seq: u64, wrong: Wrong) {
        if self.faults.len() < FAULTS {
            self.faults.push(Fault { chain: chain.clone(), seq, wrong });
        } else {
            self.more += 1;
        }
    }
}

/// What stands in a chain.
trait Link: Stored {
    /// The number of the first.
    const FIRST: u64;
    /// The same under another number.
    fn numbered(seq: u64, link: &Self) -> Self;
    fn seq(&self) -> u64;
    fn at(&self) -> &str;
    fn previous(&self) -> &[u8];
    fn hash(&self) -> &[u8];
    fn expected(&self) -> Vec<u8>;
}

macro_rules! link {
    ($type:ident, $first:literal, $at:ident) => {
        impl Link for $type {
            const FIRST: u64 = $first;
            fn numbered(seq: u64, link: &Self) -> Self {
                Self { seq, ..link.clone() }
            }
            fn seq(&self) -> u64 {
                self.seq
            }
            fn at(&self) -> &str {
                &self.$at
            }
            fn previous(&self) -> &[u8] {
                &self.previous
            }
            fn hash(&self) -> &[u8] {
                &self.hash
            }
            fn expected(&self) -> Vec<u8> {
                self.expected_hash()
            }
        }
    };
}

link!(AuditEntry, 1, at);
link!(Checkpoint, 0, created_at);

/// How far from its place a link that was moved is looked for.
const REACH: u64 = 64;

/// A walk along one chain.
struct Walk {
    chain: ChainId,
    next: u64,
    /// The hash that the next link has to name; unknown behind a link that cannot be read.
    previous: Option<Vec<u8>>,
}

impl Walk {
    fn along<L: Link>(chain: ChainId) -> Self {
        Self { chain, next: L::FIRST, previous: Some(Vec::new()) }
    }

    /// The place of the next link; says what is missing before it.
    fn arrive(&mut self, seq: u64, first: u64, found: &mut Verified) {
        if seq < first {
            found.fault(&self.chain, seq, Wrong::BeforeTheFirst);
            return;
        }
        if seq > self.next {
            found.fault(&self.chain, self.next, Wrong::Missing { to: seq - 1 });
            self.previous = None;
        }
        self.next = seq + 1;
    }

    fn unreadable(&mut self, seq: u64, why: String, found: &mut Verified) {
        found.fault(&self.chain, seq, Wrong::Unreadable(why));
        self.previous = None;
    }

    fn link<L: Link>(&mut self, link: &L, found: &mut Verified) {
        let follows = self.previous.as_deref().is_none_or(|previous| previous == link.previous());
        if link.hash() != link.expected() {
            let wrong = moved_from(link).map_or(Wrong::Changed, |from| Wrong::Moved { from });
            found.fault(&self.chain, link.seq(), wrong);
        } else if !follows {
            found.fault(&self.chain, link.seq(), Wrong::Detached);
        }
        self.previous = Some(link.hash().to_vec());
    }
}

/// The number under which the link was written, where its hash fits that.
fn moved_from<L: Link>(link: &L) -> Option<u64> {
    let seq = link.seq();
    (seq.saturating_sub(REACH)..=seq.saturating_add(REACH))
        .filter(|other| *other != seq)
        .find(|other| L::numbered(*other, link).expected() == link.hash())
}

/// Recomputes all chains of the ledger from their first links. `anchor` is the number of the entry
/// that an anchor holds.
pub async fn verify(target: &dyn Target, anchor: Option<u64>) -> Result<Verified, EndpointError> {
    let mut found = Verified::default();
    let mut named: BTreeMap<String, (u64, String)> = BTreeMap::new();
    let mut walk = Walk::along::<AuditEntry>(ChainId::Audit);
    let whole = || cells::query::<AuditEntry>();
    walked(target, &whole, &mut walk, &mut found, &mut |found, entry: &AuditEntry| {
        found.entries += 1;
        let head = head(entry);
        if anchor == Some(entry.seq) {
            found.at_anchor = Some(head.clone());
        }
        found.head = Some(head);
        if let Some(hash) = checkpoint_named(entry) {
            named.insert(entry.object.clone(), (entry.seq, hash));
        }
    })
    .await?;
    let mut last: Option<String> = None;
    while let Some(run) = run_after(target, last.as_deref()).await? {
        let promised = named.remove(&run);
        let mut met = promised.is_none();
        let mut walk = Walk::along::<Checkpoint>(ChainId::Checkpoints(run.clone()));
        let of_run = || cells::query::<Checkpoint>().is("run", run.as_str());
        walked(target, &of_run, &mut walk, &mut found, &mut |found, link: &Checkpoint| {
            found.checkpoints += 1;
            met |= promised.as_ref().is_some_and(|(_, hash)| *hash == hex(&link.hash));
        })
        .await?;
        if let (false, Some((seq, hash))) = (met, promised) {
            found.fault(&walk.chain, seq, Wrong::NoCheckpoint(hash));
        }
        found.runs += 1;
        last = Some(run);
    }
    for (run, (seq, hash)) in named {
        found.fault(&ChainId::Checkpoints(run), seq, Wrong::NoCheckpoint(hash));
    }
    Ok(found)
}

fn head<L: Link>(link: &L) -> Head {
    Head { seq: link.seq(), at: link.at().to_owned(), hash: link.hash().to_vec() }
}

/// The hash of the last checkpoint of a run, as its last entry names it.
fn checkpoint_named(entry: &AuditEntry) -> Option<String> {
    if entry.action != "run.completed" {
        return None;
    }
    let detail: Json = serde_json::from_str(&entry.detail).ok()?;
    Some(detail.get("checkpoint")?.as_str()?.to_owned())
}

/// The next run, by its bytes, that has checkpoints.
async fn run_after(
    target: &dyn Target,
    last: Option<&str>,
) -> Result<Option<String>, EndpointError> {
    let query = Query::table(tables::CHECKPOINTS.name.clone(), &["run"])
        .by("run", Order::Rising)
        .at_most(1);
    let query = match last {
        Some(last) => query.that("run", Operator::Above, vec![last.into()]),
        None => query,
    };
    let rows = target.select(&query).await?;
    let run = rows.rows().next().map(|row| row.get(0).to_owned());
    Ok(run.and_then(|run| run.as_text().map(str::to_owned)))
}

/// Walks along the links that `whole` asks for, in pages, and hands on those that can be read.
async fn walked<L: Link>(
    target: &dyn Target,
    whole: &dyn Fn() -> Query,
    walk: &mut Walk,
    found: &mut Verified,
    see: &mut dyn FnMut(&mut Verified, &L),
) -> Result<(), EndpointError> {
    let below = whole().that("seq", Operator::AtMost, vec![Value::Int(-1)]);
    if !target.select(&below.at_most(1)).await?.is_empty() {
        found.fault(&walk.chain, 0, Wrong::BeforeTheFirst);
    }
    let mut after = Value::Int(-1);
    loop {
        let query = whole().that("seq", Operator::Above, vec![after]);
        let rows = target.select(&query.by("seq", Order::Rising).at_most(PAGE)).await?;
        let mut last = None;
        for row in rows.rows() {
            let seq = number::<L>(row)?;
            last = Some(seq);
            walk.arrive(seq, L::FIRST, found);
            match L::read(&mut Cells::of(L::table(), row)) {
                Ok(link) => {
                    if seq >= L::FIRST {
                        walk.link(&link, found);
                    }
                    see(found, &link);
                }
                Err(error) => walk.unreadable(seq, error.to_string(), found),
            }
        }
        match last {
            Some(last) if rows.len() as u64 == PAGE => after = last.into(),
            Some(_) | None => return Ok(()),
        }
    }
}

/// The number of a link, whatever else can be read of it.
fn number<L: Link>(row: Row<'_>) -> Result<u64, EndpointError> {
    let table = L::table();
    let place = table.columns.iter().position(|column| column.name == "seq");
    let mut cells = Cells::of(table, row);
    cells.skip(place.expect("every chain is numbered"));
    cells.int()
}

/// The last entry of the log, to be kept where nobody who can write to the target can.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Anchor {
    /// Which ledger: made of its project key, which it does not show.
    pub ledger: String,
    /// Entries of the log; the number of the last one.
    pub count: u64,
    /// The hash of the last one, in hex.
    pub head: String,
    /// The time of the last one.
    pub at: String,
}

/// The form of an anchor's file.
const ANCHOR: &str = "whimbrel/anchor/v1";

impl Anchor {
    /// The anchor of a log whose chain was verified; none of an empty one.
    pub fn of(ledger: &str, verified: &Verified) -> Option<Self> {
        let head = verified.head.as_ref()?;
        Some(Self {
            ledger: ledger.to_owned(),
            count: head.seq,
            head: hex(&head.hash),
            at: head.at.clone(),
        })
    }

    /// One line of JSON.
    pub fn to_json(&self) -> String {
        let Self { ledger, count, head, at } = self;
        json!({ "schema": ANCHOR, "ledger": ledger, "count": count, "head": head, "at": at })
            .to_string()
    }

    /// Reads what [`Anchor::to_json`] has written; `None` where it is something else.
    pub fn from_json(text: &str) -> Option<Self> {
        let anchor: Json = serde_json::from_str(text).ok()?;
        let word = |name: &str| anchor.get(name)?.as_str().map(str::to_owned);
        let is_hash = |text: &String| text.len() == 64 && Digest::from_hex(text).is_some();
        (word("schema")? == ANCHOR).then_some(())?;
        Some(Self {
            ledger: word("ledger")?,
            count: anchor.get("count")?.as_u64().filter(|count| *count > 0)?,
            head: word("head").filter(is_hash)?.to_ascii_lowercase(),
            at: word("at")?,
        })
    }

    /// How the log stands to it; `verified` has looked at the place of this anchor.
    pub fn check(&self, ledger: &str, verified: &Verified) -> Anchored {
        let entries = verified.head.as_ref().map_or(0, |head| head.seq);
        match &verified.at_anchor {
            _ if self.ledger != ledger => Anchored::OtherLedger,
            _ if entries < self.count => Anchored::CutOff { entries },
            Some(there) if hex(&there.hash) == self.head => {
                Anchored::Holds { since: entries - self.count }
            }
            Some(_) | None => Anchored::Rewritten,
        }
    }
}

/// How a log stands to an anchor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Anchored {
    /// The anchor's entry is in the log.
    Holds {
        /// Entries that have come since.
        since: u64,
    },
    /// The log ends before the anchor's entry.
    CutOff {
        /// Where it ends.
        entries: u64,
    },
    /// There is another entry at its place.
    Rewritten,
    /// It is of another ledger.
    OtherLedger,
}

/// A name of the ledger that tells it from every other one and does not give its project key away.
pub async fn ledger_id(target: &dyn Target) -> Result<String, EndpointError> {
    let key = meta::get(target, "project_key").await?.unwrap_or_default();
    Ok(hex(&blake3::derive_key("whimbrel 2026 ledger id", key.as_bytes())[..16]))
}

/// Hexadecimal digits, as hashes are shown.
pub fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(out, "{byte:02x}").expect("a String takes every character");
    }
    out
}

#[cfg(test)]
mod tests;

//! What a table's rows are compared with: keys, duplicates, old keys. Digests of 16 bytes stand for them.

use std::collections::{BTreeMap, HashMap};

use whimbrel_model::plan::{
    DuplicateConflict, Duplicates, DuplicatesBy, DuplicatesScope, Existing,
};
use whimbrel_model::{Value, wce};

use super::terms::{Column, Mapping};
use super::{Fate, Led, Made, REFUSED, codes};

type Short = [u8; 16];

/// Old keys of the rows of tables that others refer to.
pub(super) type Parents = BTreeMap<String, OldKeys>;

/// Where the old keys of one table lead, run by run.
#[derive(Debug, Default)]
pub(super) struct OldKeys(HashMap<Short, Parent>);

#[derive(Debug)]
struct Parent {
    /// The row's key.
    key: Value,
    /// The run that made the row.
    since: u64,
    /// The first run that another row with this old key stood behind.
    several: Option<u64>,
}

/// Where an old key leads.
#[derive(Debug)]
pub(super) enum Lead<'l> {
    Nowhere,
    One(&'l Value),
    Several,
}

impl OldKeys {
    /// As it is for what a run reads.
    pub(super) fn lead(&self, old_key: &str, run: u64) -> Lead<'_> {
        match self.0.get(&short(old_key.as_bytes())) {
            Some(parent) if parent.several.is_some_and(|several| several <= run) => Lead::Several,
            Some(parent) if parent.since <= run => Lead::One(&parent.key),
            Some(_) | None => Lead::Nowhere,
        }
    }

    fn note(&mut self, old_key: &str, key: &Value, since: u64) {
        let new = || Parent { key: key.clone(), since, several: None };
        let parent = self.0.entry(short(old_key.as_bytes())).or_insert_with(new);
        if parent.key == *key {
            parent.since = parent.since.min(since);
            return;
        }
        let both = parent.since.max(since);
        parent.several = Some(parent.several.map_or(both, |several| several.min(both)));
        if since < parent.since {
            (parent.key, parent.since) = (key.clone(), since);
        }
    }
}

/// One table on its way.
pub(super) struct Memory<'m> {
    mapping: &'m Mapping,
    /// What stands under each key.
    rows: HashMap<Short, Held>,
    /// Who was the first of those that count as one.
    winners: HashMap<Short, Winner>,
    old_keys: OldKeys,
}

/// A row that stands.
#[derive(Clone, Copy)]
struct Held {
    content: Short,
    /// The ordinal of the unit that made it.
    unit: u64,
    /// The run that has written it last, or found it as it should be.
    run: u64,
}

struct Winner {
    key: Vec<Value>,
    unit: u64,
}

/// A unit that is to be settled.
pub(super) struct Candidate<'c> {
    /// Its ordinal.
    pub(super) unit: u64,
    /// The run that decides it.
    pub(super) run: u64,
    /// The first run in which what refers to it may have found it.
    pub(super) since: u64,
    pub(super) source: &'c str,
    pub(super) path: &'c str,
    pub(super) bytes: Option<&'c [u8]>,
    /// The target itself has refused it.
    pub(super) refused: bool,
}

/// What became of a unit.
pub(super) struct Settled {
    pub(super) fate: Fate,
    /// The ordinal of the unit before it that decides that, where one does.
    pub(super) first: Option<u64>,
    /// Where its old keys lead.
    pub(super) led: Vec<Led>,
}

impl Settled {
    /// A fate that no other unit decides.
    pub(super) fn alone(fate: Fate) -> Self {
        Self { fate, first: None, led: Vec::new() }
    }

    fn beside(fate: Fate, first: u64) -> Self {
        Self { fate, first: Some(first), led: Vec::new() }
    }
}

impl<'m> Memory<'m> {
    pub(super) fn new(mapping: &'m Mapping) -> Self {
        Self {
            mapping,
            rows: HashMap::new(),
            winners: HashMap::new(),
            old_keys: OldKeys::default(),
        }
    }

    pub(super) fn into_parents(self) -> OldKeys {
        self.old_keys
    }

    /// What becomes of a unit whose rows are sound by themselves.
    pub(super) fn settle(&mut self, candidate: &Candidate<'_>, rows: Vec<Made>) -> Settled {
        let Candidate { unit, run, .. } = *candidate;
        let mapping = self.mapping;
        let same =
            mapping.duplicates.as_ref().and_then(|rule| same(mapping, rule, candidate, &rows));
        if let (Some(same), Some(rule)) = (same, &mapping.duplicates)
            && let Some(Winner { key, unit }) = self.winners.get(&same)
        {
            if rule.conflict == DuplicateConflict::Reject {
                let reason = codes::AGAIN;
                return Settled::beside(Fate::Rejected { reason, column: None }, *unit);
            }
            let led = led(rows, |_| key.clone(), false);
            let settled = Settled { fate: Fate::Duplicate, first: Some(*unit), led };
            return self.noted(settled, candidate.since);
        }
        if candidate.refused {
            let taken = rows.iter().find_map(|row| self.rows.get(&self.key_digest(row)));
            let first = taken.map(|held| held.unit);
            let fate = Fate::Rejected { reason: REFUSED, column: None };
            return Settled { first, ..Settled::alone(fate) };
        }
        let mut placed: HashMap<Short, Held> = HashMap::with_capacity(rows.len());
        let mut again = None;
        let mut met = Vec::new();
        for row in &rows {
            let key = self.key_digest(row);
            let content = encoded(mapping.columns.iter().zip(&row.values));
            let before = placed.get(&key).or_else(|| self.rows.get(&key));
            let reject =
                |reason, first| Settled::beside(Fate::Rejected { reason, column: None }, first);
            match (before.copied(), mapping.existing) {
                (None, _) => _ = placed.insert(key, Held { content, unit, run }),
                (Some(held), _) if held.content == content => {
                    again = again.or(Some(held.unit));
                    met.push(key);
                }
                // What another record of the run has made is nothing to update.
                (Some(held), Existing::Update) if held.run == run => {
                    return reject(codes::SAME_KEY, held.unit);
                }
                (Some(_), Existing::Update) => _ = placed.insert(key, Held { content, unit, run }),
                (Some(held), Existing::Reject) => return reject(codes::EXISTS, held.unit),
                (Some(held), Existing::Keep) => {
                    self.win(same, unit, &rows);
                    // Of several rows some may not stand, and none of them leads anywhere.
                    let rows = if rows.len() == 1 { rows } else { Vec::new() };
                    let led = led(rows, |row| self.key_of(row), false);
                    let settled = Settled { fate: Fate::Duplicate, first: Some(held.unit), led };
                    return self.noted(settled, candidate.since);
                }
            }
        }
        let first = again.filter(|_| placed.is_empty());
        self.rows.extend(placed);
        for key in met {
            self.rows.entry(key).and_modify(|held| held.run = run);
        }
        self.win(same, unit, &rows);
        let values = rows.iter().map(|row| row.values.clone()).collect();
        let led = led(rows, |row| self.key_of(row), true);
        self.noted(Settled { fate: Fate::Rows(values), first, led }, candidate.since)
    }

    /// Later records that count as one with the unit are its duplicates.
    fn win(&mut self, same: Option<Short>, unit: u64, rows: &[Made]) {
        if let Some(same) = same {
            let key = rows.first().map(|row| self.key_of(row)).unwrap_or_default();
            self.winners.insert(same, Winner { key, unit });
        }
    }

    /// Keeps where the old keys lead, for those who refer to them.
    fn noted(&mut self, settled: Settled, since: u64) -> Settled {
        if self.mapping.is_parent {
            for Led { old_key, key, .. } in &settled.led {
                if let Some(first) = key.first() {
                    self.old_keys.note(old_key, first, since);
                }
            }
        }
        settled
    }

    fn key_digest(&self, row: &Made) -> Short {
        let Mapping { key, columns, .. } = self.mapping;
        encoded(key.iter().map(|index| (&columns[*index], &row.values[*index])))
    }

    fn key_of(&self, row: &Made) -> Vec<Value> {
        self.mapping.key.iter().map(|index| row.values[*index].clone()).collect()
    }
}

/// The old keys of rows, with the key of the row that each leads to.
fn led(rows: Vec<Made>, key: impl Fn(&Made) -> Vec<Value>, winner: bool) -> Vec<Led> {
    let lead = |mut row: Made| {
        let old_key = row.old_key.take()?;
        Some(Led { old_key, key: key(&row), winner })
    };
    rows.into_iter().filter_map(lead).collect()
}

/// What makes units count as one; nothing where a column is NULL or there are no rows.
fn same(
    mapping: &Mapping,
    rule: &Duplicates,
    candidate: &Candidate<'_>,
    rows: &[Made],
) -> Option<Short> {
    let mut out = Vec::new();
    match rule.scope {
        DuplicatesScope::Table => {}
        DuplicatesScope::File => {
            wce::text(&mut out, candidate.source);
            wce::text(&mut out, candidate.path);
        }
    }
    match &rule.by {
        DuplicatesBy::Record => wce::bytes(&mut out, candidate.bytes?),
        DuplicatesBy::Columns(by) => {
            rows.first()?;
            for row in rows {
                for name in by {
                    let index =
                        mapping.columns.iter().position(|column| column.name == name.value)?;
                    let value = &row.values[index];
                    if value.as_ref().is_null() {
                        return None;
                    }
                    wce::cell(&mut out, mapping.columns[index].kind, value.as_ref());
                }
            }
        }
    }
    Some(short(&out))
}

fn encoded<'c>(cells: impl Iterator<Item = (&'c Column, &'c Value)>) -> Short {
    let mut out = Vec::new();
    for (column, value) in cells {
        wce::cell(&mut out, column.kind, value.as_ref());
    }
    short(&out)
}

fn short(bytes: &[u8]) -> Short {
    let hash = blake3::hash(bytes);
    *hash.as_bytes().first_chunk().expect("32 bytes hold 16")
}

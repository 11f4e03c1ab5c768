//! What a table's rows are compared with: keys, duplicates, old keys. Digests of 16 bytes stand for them.

use std::collections::{BTreeMap, HashMap};

use whimbrel_model::plan::{
    DuplicateConflict, Duplicates, DuplicatesBy, DuplicatesScope, Existing,
};
use whimbrel_model::{Value, wce};

use super::terms::{Column, Mapping};
use super::{Fate, Made, REFUSED, codes};

type Short = [u8; 16];

/// Old keys of the rows of tables that others refer to.
pub(super) type Parents = BTreeMap<String, OldKeys>;

/// Where the old keys of one table lead.
#[derive(Debug, Default)]
pub(super) struct OldKeys(HashMap<Short, Parent>);

#[derive(Debug)]
enum Parent {
    One(Value),
    Several,
}

/// Where an old key leads.
#[derive(Debug)]
pub(super) enum Lead<'l> {
    Nowhere,
    One(&'l Value),
    Several,
}

impl OldKeys {
    pub(super) fn lead(&self, old_key: &str) -> Lead<'_> {
        match self.0.get(&short(old_key.as_bytes())) {
            None => Lead::Nowhere,
            Some(Parent::One(key)) => Lead::One(key),
            Some(Parent::Several) => Lead::Several,
        }
    }

    fn note(&mut self, old_key: &str, key: &Value) {
        let lead =
            self.0.entry(short(old_key.as_bytes())).or_insert_with(|| Parent::One(key.clone()));
        if matches!(lead, Parent::One(known) if known != key) {
            *lead = Parent::Several;
        }
    }
}

/// One table on its way.
pub(super) struct Memory<'m> {
    mapping: &'m Mapping,
    /// The content that stands under each key, and the ordinal of the unit that made it.
    rows: HashMap<Short, (Short, u64)>,
    /// Who was the first of those that count as one.
    winners: HashMap<Short, Winner>,
    old_keys: OldKeys,
}

struct Winner {
    key: Option<Value>,
    unit: u64,
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

    /// What becomes of a unit whose rows are sound by themselves, and the ordinal of the unit before it that
    /// decides it, where one does.
    pub(super) fn settle(
        &mut self,
        unit: u64,
        (source, path): (&str, &str),
        bytes: Option<&[u8]>,
        rows: Vec<Made>,
        refused: bool,
    ) -> (Fate, Option<u64>) {
        let mapping = self.mapping;
        let same = mapping
            .duplicates
            .as_ref()
            .and_then(|rule| same(mapping, rule, source, path, bytes, &rows));
        if let (Some(same), Some(rule)) = (same, &mapping.duplicates)
            && let Some(winner) = self.winners.get(&same)
        {
            if rule.conflict == DuplicateConflict::Reject {
                return (Fate::Rejected { reason: codes::AGAIN, column: None }, Some(winner.unit));
            }
            let first = winner.unit;
            if let Some(key) = &winner.key {
                let old_keys = rows.iter().filter_map(|row| row.old_key.as_deref());
                old_keys.for_each(|old_key| self.old_keys.note(old_key, key));
            }
            return (Fate::Duplicate, Some(first));
        }
        if refused {
            let taken = rows.iter().find_map(|row| self.rows.get(&self.key_digest(row)));
            let first = taken.map(|(_, first)| *first);
            return (Fate::Rejected { reason: REFUSED, column: None }, first);
        }
        let mut placed: Vec<(Short, (Short, u64))> = Vec::with_capacity(rows.len());
        let mut again = None;
        for row in &rows {
            let key = self.key_digest(row);
            let whole = encoded(mapping.columns.iter().zip(&row.values));
            let before = self.rows.get(&key).or_else(|| {
                let own = placed.iter().rev().find(|(own, _)| *own == key);
                own.map(|(_, whole)| whole)
            });
            match (before.copied(), mapping.existing) {
                (Some((before, first)), _) if before == whole => again = again.or(Some(first)),
                (None, _) => placed.push((key, (whole, unit))),
                // What another record of the plan has made is nothing to update.
                (Some((_, first)), Existing::Update) => {
                    return (Fate::Rejected { reason: codes::SAME_KEY, column: None }, Some(first));
                }
                (Some((_, first)), Existing::Reject) => {
                    return (Fate::Rejected { reason: codes::EXISTS, column: None }, Some(first));
                }
                (Some((_, first)), Existing::Keep) => {
                    self.note(&rows);
                    return (Fate::Duplicate, Some(first));
                }
            }
        }
        let again = again.filter(|_| placed.is_empty());
        self.rows.extend(placed);
        self.note(&rows);
        if let Some(same) = same {
            let key = rows.first().and_then(|row| self.key_of(row)).cloned();
            self.winners.insert(same, Winner { key, unit });
        }
        (Fate::Rows(rows.into_iter().map(|row| row.values).collect()), again)
    }

    fn note(&mut self, rows: &[Made]) {
        for row in rows {
            let key = self.mapping.key.first().and_then(|index| row.values.get(*index));
            if let (Some(old_key), Some(key)) = (&row.old_key, key) {
                self.old_keys.note(old_key, key);
            }
        }
    }

    fn key_digest(&self, row: &Made) -> Short {
        let Mapping { key, columns, .. } = self.mapping;
        encoded(key.iter().map(|index| (&columns[*index], &row.values[*index])))
    }

    fn key_of<'r>(&self, row: &'r Made) -> Option<&'r Value> {
        self.mapping.key.first().and_then(|index| row.values.get(*index))
    }
}

/// What makes units count as one; nothing where a column is NULL or there are no rows.
fn same(
    mapping: &Mapping,
    rule: &Duplicates,
    source: &str,
    path: &str,
    bytes: Option<&[u8]>,
    rows: &[Made],
) -> Option<Short> {
    let mut out = Vec::new();
    match rule.scope {
        DuplicatesScope::Table => {}
        DuplicatesScope::File => {
            wce::text(&mut out, source);
            wce::text(&mut out, path);
        }
    }
    match &rule.by {
        DuplicatesBy::Record => wce::bytes(&mut out, bytes?),
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

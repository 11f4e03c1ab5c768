//! References of a table to itself that wait for the commit: which rows of a batch it would refuse.
//!
//! ```text
//! write ─▶ noted: to what a row refers, and by what others refer to it ─▶ COMMIT, refused
//!   ▲                                                                           │
//!   └── refused here, when the batch comes again ◀── and what refers to them ◀──┴── orphans
//! ```
//! Rows of a batch may come in any order, so none can be refused before all are there; and then the
//! engine does not say which of them it means. So they are looked for, and the batch is undone and
//! written again without them.

use std::collections::{BTreeMap, HashMap, HashSet};

use whimbrel_endpoint::{EndpointError, ErrorClass, Finding, RowFate};
use whimbrel_model::wce::RowLayout;
use whimbrel_model::{Chunk, ChunkBuilder, Row, Table, Value, ValueRef};

use crate::codes;

/// A foreign key of a table to itself that is checked at the commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct OwnKey {
    /// As messages name it; one of the table's.
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
    pub(crate) parent_columns: Vec<String>,
}

/// What should be known of such a key before a load.
pub(crate) fn finding(table: &str, key: &str) -> Finding {
    Finding {
        code: codes::DEFERRED,
        blocks: false,
        message: format!(
            "`{table}` refers to itself by `{key}`, which is checked at the commit: rows of one batch \
             may come in any order, but a row whose parent comes in a later batch is rejected; have \
             parents come first, or fill the column in a second pass (`[[relate]]`)"
        ),
    }
}

/// What a transaction has written to such tables.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Vec<Pending>);

/// The rows of one table, as one of its keys sees them.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) table: Table,
    pub(crate) key: OwnKey,
    columns: Vec<usize>,
    /// None where the rows leave some of them out.
    parents: Vec<usize>,
    layout: RowLayout,
    /// To what each row refers, and by what others refer to it.
    rows: Vec<(Vec<u8>, Vec<u8>)>,
    /// What is referred to, once each.
    values: BTreeMap<Vec<u8>, Vec<Value>>,
}

impl Pending {
    fn new(table: &Table, key: &OwnKey) -> Option<Self> {
        let indexes = |names: &[String]| -> Option<Vec<usize>> {
            names.iter().map(|name| table.column(name)).collect()
        };
        let columns = indexes(&key.columns)?;
        let named = columns.iter().map(|&index| &table.columns[index]).enumerate();
        Some(Self {
            layout: RowLayout::new(named),
            parents: indexes(&key.parent_columns).unwrap_or_default(),
            columns,
            table: table.clone(),
            key: key.clone(),
            rows: Vec::new(),
            values: BTreeMap::new(),
        })
    }

    /// To what a row refers; `None` where it refers to nothing.
    fn refers_to(&self, row: Row<'_>) -> Option<Vec<u8>> {
        if self.columns.iter().any(|&column| row.get(column).is_null()) {
            return None;
        }
        let mut bytes = Vec::new();
        self.layout.encode(&mut bytes, |place| row.get(self.columns[place]));
        Some(bytes)
    }

    fn note(&mut self, row: Row<'_>) {
        let Some(to) = self.refers_to(row) else { return };
        let mut by = Vec::new();
        if !self.parents.is_empty() {
            self.layout.encode(&mut by, |place| row.get(self.parents[place]));
        }
        if !self.values.contains_key(&to) {
            let values = self.columns.iter().map(|&column| row.get(column).to_owned());
            self.values.insert(to.clone(), values.collect());
        }
        self.rows.push((to, by));
    }

    /// What rows refer to, once each: the engine is asked whether it is there.
    pub(crate) fn referred_to(&self) -> Vec<&[Value]> {
        self.values.values().map(Vec::as_slice).collect()
    }

    /// What is missing, and with it the rows that refer to it, and what refers to those. `orphans`
    /// are places in [`Self::referred_to`].
    fn missing(&self, orphans: &[usize]) -> HashSet<Vec<u8>> {
        let mut rows: HashMap<&[u8], Vec<&[u8]>> = HashMap::new();
        for (to, by) in &self.rows {
            rows.entry(to.as_slice()).or_default().push(by.as_slice());
        }
        let referred_to: Vec<&Vec<u8>> = self.values.keys().collect();
        let mut open: Vec<&[u8]> = orphans.iter().map(|&at| referred_to[at].as_slice()).collect();
        let mut missing = HashSet::new();
        while let Some(one) = open.pop() {
            if let Some(gone) = rows.get(one)
                && missing.insert(one.to_owned())
            {
                open.extend(gone.iter().copied());
            }
        }
        missing
    }
}

impl Waiting {
    /// Rows of this table will be noted.
    pub(crate) fn watch(&mut self, table: &Table, keys: &[OwnKey]) {
        if !keys.is_empty() && !self.0.iter().any(|pending| pending.table == *table) {
            self.0.extend(keys.iter().filter_map(|key| Pending::new(table, key)));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn all(&self) -> &[Pending] {
        &self.0
    }

    /// Whether rows of this table are noted.
    pub(crate) fn watches(&self, table: &Table) -> bool {
        self.0.iter().any(|pending| pending.table == *table)
    }

    /// The fate of a row that an earlier attempt has found to have no parent.
    pub(crate) fn refused<'l>(
        &self,
        learnt: &'l Learnt,
        table: &Table,
        row: Row<'_>,
    ) -> Option<&'l RowFate> {
        if learnt.0.is_empty() {
            return None;
        }
        self.0.iter().filter(|pending| pending.table == *table).find_map(|pending| {
            let refused = learnt.0.get(&(table.name.clone(), pending.key.name.clone()))?;
            refused.missing.contains(&pending.refers_to(row)?).then_some(&refused.fate)
        })
    }

    /// Notes a row that was written.
    pub(crate) fn note(&mut self, table: &Table, row: Row<'_>) {
        self.0
            .iter_mut()
            .filter(|pending| pending.table == *table)
            .for_each(|pending| pending.note(row));
    }
}

/// Rows that a commit was refused for; kept until a batch of their table is committed.
#[derive(Debug, Default)]
pub(crate) struct Learnt(BTreeMap<(String, String), Refused>);

#[derive(Debug)]
struct Refused {
    missing: HashSet<Vec<u8>>,
    fate: RowFate,
}

impl Learnt {
    /// Learns that these places of [`Pending::referred_to`] are not there. The error that sends the
    /// batch back; `None` where nothing new is known, and so nothing would be gained.
    pub(crate) fn learn(
        &mut self,
        pending: &Pending,
        orphans: &[usize],
        fate: RowFate,
    ) -> Option<EndpointError> {
        let missing = pending.missing(orphans);
        let (table, name) = (&pending.table.name, &pending.key.name);
        let place = (table.clone(), name.clone());
        let refused = self
            .0
            .entry(place)
            .or_insert_with(|| Refused { missing: HashSet::new(), fate: fate.clone() });
        let before = refused.missing.len();
        refused.missing.extend(missing);
        if refused.missing.len() == before {
            return None;
        }
        refused.fate = fate;
        Some(EndpointError::new(
            ErrorClass::Transient,
            whimbrel_endpoint::codes::WITHOUT_ORPHANS,
            format!(
                "rows of `{table}` refer to rows that are not there; their batch is written again \
                 without them: `{name}`"
            ),
        ))
    }

    /// A batch of these tables was committed.
    pub(crate) fn forget(&mut self, waiting: &Waiting) {
        for pending in &waiting.0 {
            self.0.remove(&(pending.table.name.clone(), pending.key.name.clone()));
        }
    }
}

/// The rows without those that have a fate already.
pub(crate) fn undecided(rows: &Chunk, fates: &[Option<RowFate>]) -> Chunk {
    let mut kept = ChunkBuilder::new(rows.width());
    for (row, _) in rows.rows().zip(fates).filter(|(_, fate)| fate.is_none()) {
        row.values().for_each(|value: ValueRef<'_>| kept.push(value));
        kept.end_row();
    }
    kept.finish()
}

#[cfg(test)]
mod tests {
    use whimbrel_model::kind::IntWidth;
    use whimbrel_model::{Column, Kind};

    use super::*;

    fn table() -> Table {
        let column = |name: &str| Column {
            name: name.to_owned(),
            kind: Kind::Int(IntWidth::I64),
            nullable: true,
            has_default: false,
        };
        Table { name: "t".to_owned(), columns: vec![column("id"), column("boss")], key: vec![0] }
    }

    fn rows(rows: &[(i64, Option<i64>)]) -> Chunk {
        let mut chunk = ChunkBuilder::new(2);
        for (id, boss) in rows {
            chunk.push(ValueRef::Int((*id).into()));
            chunk.push(boss.map_or(ValueRef::Null, |boss| ValueRef::Int(boss.into())));
            chunk.end_row();
        }
        chunk.finish()
    }

    /// Which rows are refused, once the engine has said that `gone` are not there.
    fn check(chunk: &Chunk, gone: &[i128], expected: &[i128]) {
        let key = OwnKey {
            name: "boss".to_owned(),
            columns: vec!["boss".to_owned()],
            parent_columns: vec!["id".to_owned()],
        };
        let (mut waiting, mut learnt) = (Waiting::default(), Learnt::default());
        waiting.watch(&table(), std::slice::from_ref(&key));
        chunk.rows().for_each(|row| waiting.note(&table(), row));
        let pending = &waiting.all()[0];
        let is_gone = |values: &&[Value]| gone.iter().any(|id| values[0].as_int() == Some(*id));
        let orphans: Vec<usize> = (0..pending.referred_to().len())
            .filter(|at| is_gone(&pending.referred_to()[*at]))
            .collect();
        let fate = RowFate::Refused { code: "WB0412", subject: None, message: String::new() };
        assert!(learnt.learn(pending, &orphans, fate.clone()).is_some());
        assert!(learnt.learn(pending, &orphans, fate).is_none(), "nothing new is known");
        let refused: Vec<i128> = chunk
            .rows()
            .filter(|row| waiting.refused(&learnt, &table(), *row).is_some())
            .filter_map(|row| row.get(0).to_owned().as_int())
            .collect();
        assert_eq!(refused, expected);
        learnt.forget(&waiting);
        assert!(chunk.rows().all(|row| waiting.refused(&learnt, &table(), row).is_none()));
    }

    #[test]
    fn whatever_rests_on_an_orphan_is_refused_with_it_and_nothing_else() {
        let chunk = rows(&[
            (5, Some(4)),
            (4, Some(3)),
            (3, Some(9)),
            (2, Some(1)),
            (1, None),
            (6, Some(9)),
            (7, Some(7)),
        ]);
        check(&chunk, &[9], &[5, 4, 3, 6]);
    }

    #[test]
    fn a_circle_that_hangs_on_nothing_that_is_gone_stays() {
        check(&rows(&[(1, Some(2)), (2, Some(1)), (3, Some(8))]), &[8], &[3]);
    }
}

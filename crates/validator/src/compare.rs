//! Two databases, table by table: which rows one of them lacks, and which differ in which cells.
//!
//! ```text
//! catalogues ─▶ tables and columns of the same names ─▶ snapshots of both ─▶ merge by key
//!                                                        rows that differ ─▶ read again after a pause
//! ```
//! Both may be written meanwhile: rows that differ are read again, and count only where they still
//! do. Every row is compared; how many are listed is another matter.

mod mapped;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use whimbrel_endpoint::{EndpointError, ErrorClass, Feed, Query, RowOrder, Snapshot, Target};
use whimbrel_model::catalogue::TableEntry;
use whimbrel_model::{Column, Kind, Row, Table, Value, ValueRef};

use crate::agree::{self, Converted};
use crate::codes;
use crate::merge::{Difference, MergeError, Side, Tally, merge, same};
use crate::sorter::{Room, sorted};

pub use mapped::{Mapped, compare_mapped};

/// Rows of a table that are read again. Where more differ, they are not changes on their way.
pub const REREAD_MAX: usize = 1_000;

/// What is compared, and how patiently.
#[derive(Clone, Debug)]
pub struct Options {
    /// Only these tables; none: all that either side has.
    pub tables: Vec<String>,
    /// Columns that are left out, as `column` or `table.column`.
    pub without: Vec<String>,
    /// How often rows that differ are read again.
    pub attempts: u32,
    /// How long to wait before.
    pub pause: Duration,
    /// Where rows are sorted that do not come in order.
    pub room: Room,
    /// Who watches is told what the right side holds, as its engine gives it.
    pub stands: bool,
}

/// Who compares tells and waits through this.
#[async_trait]
pub trait Watch: Send {
    /// Lets some time go by.
    async fn wait(&mut self, pause: Duration);

    /// A table is compared from here on: its name, its key, its columns.
    async fn begins(&mut self, table: &TableComparison) -> Result<(), EndpointError>;

    /// A row differs, for good. In the order of the table's key as far as none was read again. Where that
    /// was asked for, `stands` is the right side's row, if it has it: the values of all columns, as they
    /// stand there and not as they were compared.
    fn differs(&mut self, table: &str, found: &Found, stands: Option<&[Value]>);

    /// What was told of this table is void: its rows did not come in order, and are compared anew.
    fn anew(&mut self, table: &str);
}

/// A row that differs.
#[derive(Clone, PartialEq, Debug)]
pub struct Found {
    /// How.
    pub how: How,
    /// The values of its key, in the key's order; of a table without one, the whole row.
    pub key: Vec<Value>,
    /// The cells that differ; of a row that is on one side only, all of that side's.
    pub cells: Vec<Cell>,
    /// It differed in another way when it was read again: both sides still change.
    pub unstable: bool,
}

/// In which way a row differs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// The right side lacks it.
    Missing,
    /// The left side lacks it.
    Extra,
    /// Both have it, with other values.
    Changed,
}

impl How {
    /// `missing`, `extra`, `changed`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Changed => "changed",
        }
    }

    /// How many rows that is on the left, and on the right.
    fn sides(self) -> (u64, u64) {
        match self {
            Self::Missing => (1, 0),
            Self::Extra => (0, 1),
            Self::Changed => (1, 1),
        }
    }

    /// Where such rows are counted.
    fn class(self, tally: &mut Tally) -> &mut u64 {
        match self {
            Self::Missing => &mut tally.missing,
            Self::Extra => &mut tally.extra,
            Self::Changed => &mut tally.changed,
        }
    }
}

/// A cell of a row that differs.
#[derive(Clone, PartialEq, Debug)]
pub struct Cell {
    /// Its column.
    pub column: String,
    /// What the left side holds, where it has the row.
    pub left: Option<Value>,
    /// What the right side holds, where it has the row.
    pub right: Option<Value>,
}

/// What came of a comparison.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// Tables that both sides have, by name.
    pub tables: Vec<TableComparison>,
    /// Tables that only the left side has.
    pub only_left: Vec<String>,
    /// Tables that only the right side has.
    pub only_right: Vec<String>,
}

/// What came of one table.
#[derive(Clone, Debug)]
pub struct TableComparison {
    /// Its name.
    pub table: String,
    /// The columns that rows are matched by; none: by all of their values.
    pub key: Vec<String>,
    /// Why there is no key, where there is none.
    pub keyless: Option<Keyless>,
    /// Columns that were compared, key included.
    pub columns: Vec<String>,
    /// Columns that only one side has, or that both have in kinds that cannot be compared.
    pub apart: Vec<Apart>,
    /// Every row, in the state in which it was read last.
    pub tally: Tally,
    /// Rows that differ, but in another way each time.
    pub unstable: u64,
    /// Rows that differed at first and were equal when they were read again.
    pub settled: u64,
    /// True where more than [`REREAD_MAX`] rows differed, so that none was read again.
    pub not_reread: bool,
    /// The sides whose rows did not come in the order of their key and were sorted here.
    pub sorted: Vec<Side>,
    /// Where the left side is a plan: units of its sources that it rejects.
    pub rejected: u64,
    /// Where the left side is a plan: its steps of SQL that have written to the table.
    pub written_by: Vec<String>,
    /// Where the left side is a plan: rows that may differ from what it makes and be right.
    pub spared: Option<Spared>,
}

/// Rows of a table that a plan fills, of which it does not say all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spared {
    /// Why it does not.
    pub why: String,
    /// Not only of rows that stand there: also those that are missing may be missing by right.
    pub missing_too: bool,
}

/// Why rows are matched by all of their values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Keyless {
    /// Neither side declares a key.
    Undeclared,
    /// The columns of the key may be NULL, so that it tells no two rows apart that have none.
    MayBeNull(Side, Vec<String>),
    /// Not all columns of the key are compared.
    NotCompared(Side, Vec<String>),
}

/// A column that is not compared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Apart {
    /// Its name.
    pub column: String,
    /// Where it is.
    pub side: Side,
}

impl Comparison {
    /// Nothing differs: not in rows, and not in what tables there are.
    pub fn is_equal(&self) -> bool {
        self.only_left.is_empty()
            && self.only_right.is_empty()
            && self.tables.iter().all(|table| table.tally.is_equal() && table.apart.is_empty())
    }

    /// All that differs still changed while it was looked at.
    pub fn is_unsettled(&self) -> bool {
        let stable = |table: &TableComparison| table.tally.differing() > table.unstable;
        let apart = |table: &TableComparison| !table.apart.is_empty();
        !self.is_equal()
            && self.only_left.is_empty()
            && self.only_right.is_empty()
            && !self.tables.iter().any(|table| stable(table) || apart(table))
    }
}

/// Compares two databases by the names of their tables and columns.
///
/// Class `Configuration`, code `WB0803`: a table or a column that was named is on neither side, or there is
/// none.
pub async fn compare(
    left: &dyn Target,
    right: &dyn Target,
    options: &Options,
    watch: &mut dyn Watch,
) -> Result<Comparison, EndpointError> {
    let snapshots = (left.snapshot()?, right.snapshot()?);
    let (of_left, of_right) = (&*snapshots.0, &*snapshots.1);
    let names = Names::of(of_left, of_right, options).await?;
    let mut leaves = Leaves::new(&options.without);
    let mut pairs = Vec::with_capacity(names.both.len());
    for name in &names.both {
        pairs.extend(Pair::of(of_left, of_right, name, &names.keys, &mut leaves).await?);
    }
    leaves.all_met()?;
    let mut comparison =
        Comparison { only_left: names.left, only_right: names.right, ..Comparison::default() };
    let spells = [left.facts().await?.engine == SPELLS, right.facts().await?.engine == SPELLS];
    let mut jobs = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let mut job = Job::new(pair, options);
        job.keeps = job.pair.keeps(spells, options.stands);
        if job.pair.left.columns.is_empty() {
            // They share a name and nothing else.
            let name = &job.pair.left.name;
            job.compared.tally = Tally {
                left: of_left.count(name).await?.unwrap_or(0),
                right: of_right.count(name).await?.unwrap_or(0),
                ..Tally::default()
            };
        } else {
            watch.begins(&job.compared).await?;
            job.compare(of_left, of_right, watch).await?;
        }
        jobs.push(job);
    }
    // While a state is kept, others may not be able to write.
    drop(snapshots);
    for _ in 0..options.attempts {
        if jobs.iter().all(|job| job.differing.is_empty()) {
            break;
        }
        watch.wait(options.pause).await;
        for job in &mut jobs {
            job.read_again(left, right).await?;
        }
    }
    for job in &mut jobs {
        job.tell(watch);
    }
    comparison.tables = jobs.into_iter().map(|job| job.compared).collect();
    Ok(comparison)
}

/// The columns that are left out, and which of them were there.
struct Leaves<'o> {
    without: &'o [String],
    met: Vec<bool>,
}

impl<'o> Leaves<'o> {
    fn new(without: &'o [String]) -> Self {
        Self { without, met: vec![false; without.len()] }
    }

    /// Whether a column is left out; it is there.
    fn out(&mut self, table: &str, column: &str) -> bool {
        let whole = format!("{table}.{column}");
        let mut is_out = false;
        for (without, met) in self.without.iter().zip(&mut self.met) {
            if *without == column || *without == whole {
                (is_out, *met) = (true, true);
            }
        }
        is_out
    }

    fn all_met(&self) -> Result<(), EndpointError> {
        let stray = self.without.iter().zip(&self.met).find(|(_, met)| !**met);
        stray.map_or(Ok(()), |(name, _)| {
            Err(nothing(format!("no table that is compared has a column to leave out: `{name}`")))
        })
    }
}

/// Keys and unique keys that the catalogues of both sides declare, by table.
type Declared = [BTreeMap<String, Vec<Vec<String>>>; 2];

/// Tables by where they are.
struct Names {
    both: Vec<String>,
    left: Vec<String>,
    right: Vec<String>,
    keys: Declared,
}

impl Names {
    async fn of(
        of_left: &dyn Snapshot,
        of_right: &dyn Snapshot,
        options: &Options,
    ) -> Result<Self, EndpointError> {
        let of = async |side: &dyn Snapshot| {
            let catalogue = side.catalogue().await?;
            let keys = |table: TableEntry| {
                let own = (!table.key.is_empty()).then_some(table.key);
                (table.name, own.into_iter().chain(table.uniques).collect())
            };
            let keys: BTreeMap<String, Vec<Vec<String>>> =
                catalogue.tables.into_iter().map(keys).collect();
            Ok::<_, EndpointError>(keys)
        };
        let keys = [of(of_left).await?, of(of_right).await?];
        let [mut left, mut right] =
            keys.each_ref().map(|keys| keys.keys().cloned().collect::<Vec<String>>());
        if !options.tables.is_empty() {
            left.retain(|name| options.tables.contains(name));
            right.retain(|name| options.tables.contains(name));
            let nowhere =
                options.tables.iter().find(|name| !left.contains(name) && !right.contains(name));
            if let Some(name) = nowhere {
                return Err(nothing(format!("neither side has a table of this name: `{name}`")));
            }
        }
        if left.is_empty() && right.is_empty() {
            return Err(nothing("neither side has a table".to_owned()));
        }
        let mut names = Self { both: Vec::new(), left: Vec::new(), right: Vec::new(), keys };
        for (own, other, alone, side) in
            [(&left, &right, &mut names.left, of_right), (&right, &left, &mut names.right, of_left)]
        {
            for name in own {
                // A catalogue shows neither views nor what its reader may not see. An engine that takes
                // names of another case for the same has shown it under its own.
                let is_shown = other.iter().any(|own| own.eq_ignore_ascii_case(name));
                let is_there = if is_shown {
                    other.contains(name)
                } else {
                    side.describe(name).await?.is_some()
                };
                if is_there {
                    names.both.push(name.clone());
                } else {
                    alone.push(name.clone());
                }
            }
        }
        names.both.sort();
        names.both.dedup();
        Ok(names)
    }
}

/// The engine that keeps dates, UUIDs and numbers as text, in whatever form it was given.
const SPELLS: &str = "sqlite";

fn nothing(message: String) -> EndpointError {
    EndpointError::new(ErrorClass::Configuration, codes::NO_TABLE, message)
}

/// A table as both sides have it.
struct Pair {
    left: Table,
    right: Table,
    /// The kinds in which cells are compared.
    kinds: Vec<Kind>,
    apart: Vec<Apart>,
    keyless: Option<Keyless>,
}

impl Pair {
    async fn of(
        left: &dyn Snapshot,
        right: &dyn Snapshot,
        name: &str,
        declared: &Declared,
        leaves: &mut Leaves<'_>,
    ) -> Result<Option<Self>, EndpointError> {
        let (Some(left), Some(right)) = (left.describe(name).await?, right.describe(name).await?)
        else {
            return Ok(None);
        };
        let columns = left.columns.iter().chain(&right.columns);
        let out: Vec<&String> =
            columns.map(|column| &column.name).filter(|column| leaves.out(name, column)).collect();
        let is_left_out = |column: &Column| out.contains(&&column.name);
        let has = |table: &Table, name: &str| table.columns.iter().any(|own| own.name == name);
        let mut apart = Vec::new();
        for (own, other, side) in [(&left, &right, Side::Left), (&right, &left, Side::Right)] {
            let alone = own.columns.iter().filter(|column| !has(other, &column.name));
            let alone = alone.filter(|column| !is_left_out(column));
            apart.extend(alone.map(|column| Apart { column: column.name.clone(), side }));
        }
        let wanted = |column: &&Column| has(&right, &column.name) && !is_left_out(column);
        let names: Vec<String> =
            left.columns.iter().filter(wanted).map(|column| column.name.clone()).collect();
        let key = [&left, &right]
            .into_iter()
            .map(key_names)
            .find(|key| !key.is_empty() && key.iter().all(|column| names.contains(column)));
        let key = key.unwrap_or_default();
        let keyless = key.is_empty().then(|| {
            let declared =
                declared.each_ref().map(|keys| keys.get(name).and_then(|keys| keys.first()));
            keyless(declared, &names)
        });
        let (left, right) = (narrowed(&left, &names, &key), narrowed(&right, &names, &key));
        let kinds = left.columns.iter().zip(&right.columns);
        let kinds = kinds.map(|(a, b)| agree::kind(a.kind, b.kind)).collect();
        Ok(Some(Self { left, right, kinds, apart, keyless }))
    }
}

impl Pair {
    /// The sides whose values are kept beside what they are compared as: where a row is not found again by
    /// the latter, and where somebody wants to know what stands there.
    fn keeps(&self, spells: [bool; 2], stands: bool) -> [bool; 2] {
        let differs = |(table, spells): (&Table, bool)| {
            let mut key = table.key.iter();
            key.any(|&column| {
                agree::may_convert(table.columns[column].kind, self.kinds[column], spells)
            })
        };
        [differs((&self.left, spells[0])), stands || differs((&self.right, spells[1]))]
    }
}

/// Why no key that is declared can be used.
fn keyless(declared: [Option<&Vec<String>>; 2], compared: &[String]) -> Keyless {
    let sides = [Side::Left, Side::Right].into_iter().zip(declared);
    let sides: Vec<_> = sides.filter_map(|(side, key)| Some((side, key?))).collect();
    let is_compared = |key: &[String]| key.iter().all(|column| compared.contains(column));
    match sides.iter().find(|(_, key)| is_compared(key)).or(sides.first()) {
        None => Keyless::Undeclared,
        Some((side, key)) if is_compared(key) => Keyless::MayBeNull(*side, (*key).clone()),
        Some((side, key)) => Keyless::NotCompared(*side, (*key).clone()),
    }
}

fn key_names(table: &Table) -> Vec<String> {
    table.key.iter().map(|&column| table.columns[column].name.clone()).collect()
}

/// The table with these columns, in this order, and this key.
fn narrowed(table: &Table, names: &[String], key: &[String]) -> Table {
    let column = |name: &String| table.columns.iter().find(|column| column.name == *name).cloned();
    let place = |name: &String| names.iter().position(|own| own == name);
    Table {
        name: table.name.clone(),
        columns: names.iter().filter_map(column).collect(),
        key: key.iter().filter_map(place).collect(),
    }
}

/// What stands under a key when it is read again.
enum Reread {
    /// The row, or none.
    Row(Option<Stored>),
    /// More than one: what is a key on the other side is none on this one.
    Several,
}

/// A row: as it is compared, and as it stands.
struct Stored {
    compared: Vec<Value>,
    stands: Vec<Value>,
}

/// The comparison of one table.
struct Job<'a> {
    pair: Pair,
    options: &'a Options,
    compared: TableComparison,
    /// Rows that differ and may yet settle.
    differing: Vec<Kept>,
    /// The sides whose values come a second time, as they stand.
    keeps: [bool; 2],
}

/// A row that differs.
struct Kept {
    found: Found,
    /// By what it is found again on either side, where that is not what it is compared by.
    keys: [Option<Vec<Value>>; 2],
    /// What stands on the right, where somebody wants to know.
    stands: Option<Vec<Value>>,
}

impl<'a> Job<'a> {
    fn new(pair: Pair, options: &'a Options) -> Self {
        let table = &pair.left;
        let compared = TableComparison {
            table: table.name.clone(),
            key: key_names(table),
            keyless: pair.keyless.clone(),
            columns: table.columns.iter().map(|column| column.name.clone()).collect(),
            apart: pair.apart.clone(),
            tally: Tally::default(),
            unstable: 0,
            settled: 0,
            not_reread: false,
            sorted: Vec::new(),
            rejected: 0,
            written_by: Vec::new(),
            spared: None,
        };
        Self { pair, options, compared, differing: Vec::new(), keeps: [false; 2] }
    }

    /// Every row of both sides, once.
    async fn compare(
        &mut self,
        left: &dyn Snapshot,
        right: &dyn Snapshot,
        watch: &mut dyn Watch,
    ) -> Result<(), EndpointError> {
        let table = &self.pair.left;
        let rereads = !table.key.is_empty() && self.options.attempts > 0;
        let mut unordered = Vec::new();
        let (tally, found) = loop {
            let mut found = Gathered {
                table,
                kept: Vec::new(),
                rereads,
                keeps: self.keeps,
                stands: self.options.stands,
                watch: &mut *watch,
            };
            match self.merged((left, right), &unordered, &mut found).await {
                Ok(tally) => {
                    let not_reread = rereads && !found.rereads;
                    break (tally, (found.kept, not_reread));
                }
                Err(MergeError::Disorder(side)) if !unordered.contains(&side) => {
                    unordered.push(side);
                    watch.anew(&table.name);
                }
                Err(MergeError::Disorder(_)) => unreachable!("what was sorted here is in order"),
                Err(MergeError::Read(_, error)) => return Err(error),
            }
        };
        self.compared.tally = tally;
        self.compared.sorted = unordered;
        (self.differing, self.compared.not_reread) = found;
        Ok(())
    }

    async fn merged(
        &self,
        snapshots: (&dyn Snapshot, &dyn Snapshot),
        unordered: &[Side],
        found: &mut Gathered<'_>,
    ) -> Result<Tally, MergeError> {
        let Pair { left, right, kinds, .. } = &self.pair;
        let sides = [(Side::Left, snapshots.0, left), (Side::Right, snapshots.1, right)];
        let mut feeds = Vec::with_capacity(2);
        for (side, snapshot, table) in sides {
            let feed = self.feed(snapshot, table, side, unordered.contains(&side)).await;
            feeds.push(feed.map_err(|error| MergeError::Read(side, error))?);
        }
        let [left_feed, right_feed] = &mut feeds[..] else { unreachable!("there are two sides") };
        let mut sink = |difference: Difference<'_>| found.take(difference);
        merge(left_feed.as_mut(), right_feed.as_mut(), kinds, &left.key, &mut sink).await
    }

    /// All rows of one side in order.
    async fn feed(
        &self,
        snapshot: &dyn Snapshot,
        table: &Table,
        side: Side,
        is_unordered: bool,
    ) -> Result<Box<dyn Feed>, EndpointError> {
        let sorts = is_unordered || table.key.is_empty();
        let order = if sorts { RowOrder::Any } else { RowOrder::ByKey };
        let own: Vec<Kind> = table.columns.iter().map(|column| column.kind).collect();
        let (rows, columns) = (snapshot.rows(table, order).await?, table.columns.len());
        let keeps = match side {
            Side::Left => self.keeps[0],
            Side::Right => self.keeps[1],
        };
        let (feed, width) = if keeps {
            (Converted::beside(rows, &self.pair.kinds), 2 * columns)
        } else {
            (Converted::over(rows, &own, &self.pair.kinds), columns)
        };
        if !sorts {
            return Ok(feed);
        }
        let all: Vec<usize> = (0..columns).collect();
        let key = if table.key.is_empty() { &all } else { &table.key };
        Ok(Box::new(sorted(feed, width, key, &self.options.room).await?))
    }

    /// Reads rows that differ again; those that do not any more count as equal.
    async fn read_again(
        &mut self,
        left: &dyn Target,
        right: &dyn Target,
    ) -> Result<(), EndpointError> {
        for before in std::mem::take(&mut self.differing) {
            let [left_key, right_key] =
                before.keys.each_ref().map(|key| key.as_ref().unwrap_or(&before.found.key));
            let rows = (
                self.row(left, &self.pair.left, left_key).await?,
                self.row(right, &self.pair.right, right_key).await?,
            );
            let (Reread::Row(left), Reread::Row(right)) = rows else {
                // Which of them is meant, nobody can say.
                self.differing.push(before);
                continue;
            };
            self.settle(before, left.map(|row| row.compared), right);
        }
        Ok(())
    }

    /// Counts a row that differed as what it is now.
    fn settle(&mut self, before: Kept, left: Option<Vec<Value>>, right: Option<Stored>) {
        let Kept { found: before, keys, .. } = before;
        let (right, stands) = right.map(|row| (row.compared, row.stands)).unzip();
        let rows = &(left, right);
        let tally = &mut self.compared.tally;
        let (left, right) = before.how.sides();
        tally.left -= left;
        tally.right -= right;
        *before.how.class(tally) -= 1;
        let now = self.looked_at(&before.key, rows);
        let tally = &mut self.compared.tally;
        let Some(now) = now else {
            self.compared.settled += 1;
            let both = u64::from(rows.0.is_some());
            tally.equal += both;
            tally.left += both;
            tally.right += both;
            return;
        };
        let (left, right) = now.how.sides();
        tally.left += left;
        tally.right += right;
        *now.how.class(tally) += 1;
        let unstable = now.how != before.how || now.cells != before.cells;
        let stands = stands.filter(|_| self.options.stands);
        self.differing.push(Kept { found: Found { unstable, ..now }, keys, stands });
    }

    /// What differs after all.
    fn tell(&mut self, watch: &mut dyn Watch) {
        for Kept { found, stands, .. } in &self.differing {
            self.compared.unstable += u64::from(found.unstable);
            watch.differs(&self.compared.table, found, stands.as_deref());
        }
    }

    /// A row as it is committed now.
    async fn row(
        &self,
        side: &dyn Target,
        table: &Table,
        key: &[Value],
    ) -> Result<Reread, EndpointError> {
        let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        let query = |form: &dyn Fn(&Value) -> Value| {
            let mut query = Query::table(&table.name, &names).at_most(2);
            for (value, &column) in key.iter().zip(&table.key) {
                query = query.is(&table.columns[column].name, form(value));
            }
            query
        };
        let mut rows = side.select(&query(&Value::clone)).await?;
        let has_uuid = key.iter().any(|value| matches!(value, Value::Uuid(_)));
        if rows.is_empty() && has_uuid && side.facts().await?.engine == SPELLS {
            // It may stand there as its bytes, which no text is equal to.
            let bytes = |value: &Value| match value {
                Value::Uuid(uuid) => Value::Bytes(uuid.to_vec()),
                value => value.clone(),
            };
            rows = side.select(&query(&bytes)).await?;
        }
        if rows.len() > 1 {
            return Ok(Reread::Several);
        }
        let row = rows.rows().next();
        Ok(Reread::Row(row.map(|row| {
            let values = row.values().zip(&self.pair.kinds);
            let compared = values.map(|(value, kind)| {
                agree::converted(*kind, value).unwrap_or_else(|| value.to_owned())
            });
            Stored {
                compared: compared.collect(),
                stands: row.values().map(ValueRef::to_owned).collect(),
            }
        })))
    }

    /// How two rows of one key differ, if they do.
    fn looked_at(
        &self,
        key: &[Value],
        rows: &(Option<Vec<Value>>, Option<Vec<Value>>),
    ) -> Option<Found> {
        let how = match rows {
            (None, None) => return None,
            (Some(_), None) => How::Missing,
            (None, Some(_)) => How::Extra,
            (Some(_), Some(_)) => How::Changed,
        };
        let mut cells = Vec::new();
        for (index, column) in self.pair.left.columns.iter().enumerate() {
            let value = |row: &Option<Vec<Value>>| row.as_ref().map(|row| row[index].clone());
            let (left, right) = (value(&rows.0), value(&rows.1));
            let is_same = match (&left, &right) {
                (Some(a), Some(b)) => same(self.pair.kinds[index], a.as_ref(), b.as_ref()),
                (_, _) => false,
            };
            if !is_same {
                cells.push(Cell { column: column.name.clone(), left, right });
            }
        }
        let differs = !cells.is_empty();
        differs.then(|| Found { how, key: key.to_vec(), cells, unstable: false })
    }
}

/// Rows that differ: kept to be read again, or told at once.
struct Gathered<'a> {
    table: &'a Table,
    kept: Vec<Kept>,
    rereads: bool,
    /// The sides whose values come a second time, as they stand.
    keeps: [bool; 2],
    /// Who watches wants to know what stands on the right.
    stands: bool,
    watch: &'a mut dyn Watch,
}

impl Gathered<'_> {
    fn take(&mut self, difference: Difference<'_>) {
        let (left, right) = match difference {
            Difference::Missing(row) => (Some(row), None),
            Difference::Extra(row) => (None, Some(row)),
            Difference::Changed { left, right, .. } => (Some(left), Some(right)),
        };
        let stands = right.filter(|_| self.stands).map(|row| self.standing(row, self.keeps[1]));
        let found = found(self.table, difference);
        if !self.rereads {
            self.watch.differs(&self.table.name, &found, stands.as_deref());
            return;
        }
        let key = |row: Option<Row<'_>>, keeps: bool| {
            let row = self.standing(row.filter(|_| keeps)?, keeps);
            Some(self.table.key.iter().map(|&column| row[column].clone()).collect())
        };
        let keys = [key(left, self.keeps[0]), key(right, self.keeps[1])];
        self.kept.push(Kept { found, keys, stands });
        if self.kept.len() > REREAD_MAX {
            self.rereads = false;
            for Kept { found, stands, .. } in std::mem::take(&mut self.kept) {
                self.watch.differs(&self.table.name, &found, stands.as_deref());
            }
        }
    }

    /// A row as its engine gives it: behind what it was compared as, where that may be another form of it.
    fn standing(&self, row: Row<'_>, keeps: bool) -> Vec<Value> {
        let columns = self.table.columns.len();
        let compared = if keeps { columns } else { 0 };
        row.values().skip(compared).take(columns).map(ValueRef::to_owned).collect()
    }
}

/// A difference with values of its own.
pub fn found(table: &Table, difference: Difference<'_>) -> Found {
    let key_of = |row: Row<'_>| {
        let all = 0..table.columns.len();
        let own = |column: usize| row.get(column).to_owned();
        if table.key.is_empty() {
            all.map(own).collect()
        } else {
            table.key.iter().copied().map(own).collect()
        }
    };
    let whole = |row: Row<'_>, side: Side| {
        let cell = |(column, value): (&Column, ValueRef<'_>)| {
            let value = Some(value.to_owned());
            let (left, right) = if side == Side::Left { (value, None) } else { (None, value) };
            Cell { column: column.name.clone(), left, right }
        };
        table.columns.iter().zip(row.values()).map(cell).collect()
    };
    let (how, key, cells) = match difference {
        Difference::Missing(row) => (How::Missing, key_of(row), whole(row, Side::Left)),
        Difference::Extra(row) => (How::Extra, key_of(row), whole(row, Side::Right)),
        Difference::Changed { left, right, columns } => {
            let cell = |&column: &usize| Cell {
                column: table.columns[column].name.clone(),
                left: Some(left.get(column).to_owned()),
                right: Some(right.get(column).to_owned()),
            };
            (How::Changed, key_of(left), columns.iter().map(cell).collect())
        }
    };
    Found { how, key, cells, unstable: false }
}

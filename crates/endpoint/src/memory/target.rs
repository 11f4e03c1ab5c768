//! Tables as maps by key. A transaction works on a copy that shares what it does not change.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering as Counting};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use whimbrel_model::{Chunk, ChunkBuilder, Row, Table, Value, ValueRef};

use super::order::{Key, compare};
use crate::{
    Coming, Condition, EndpointError, ErrorClass, Fence, Finding, Holder, LeaseAnswer,
    LeaseRequest, Needs, Operator, Order, Query, RowFate, Rows, SchemaFile, Script, Snapshot,
    Target, TargetFacts, Txn, WriteMode, codes,
};

/// What the ledger's tables are called; a prepared target creates them as they are first written.
const LEDGER: &str = "whimbrel_";

/// A target in memory. A clone is another connection to the same data.
#[derive(Debug)]
pub struct MemoryTarget {
    state: Arc<Mutex<State>>,
    connection: u64,
}

#[derive(Debug, Default)]
struct State {
    tables: Tables,
    ledger: bool,
    lease: Lease,
    /// The connection whose transaction is open.
    open: Option<u64>,
    /// Milliseconds that [`MemoryTarget::advance`] has let pass.
    now_ms: u64,
}

#[derive(Debug, Default)]
struct Lease {
    fence: u64,
    holder: Option<Holder>,
    expires_ms: u64,
}

/// What a target in memory had committed at a moment.
#[derive(Clone, Default, Debug)]
pub struct Committed(Tables);

impl Committed {
    /// A table and its rows, by key.
    pub(super) fn table(&self, name: &str) -> Option<(&Table, impl Iterator<Item = &Vec<Value>>)> {
        self.0.get(name).map(|stored| (&stored.table, stored.rows.values()))
    }
}

type Tables = BTreeMap<String, Arc<Stored>>;

/// A table and its rows, under their keys or, without a key, in the order they came.
#[derive(Clone, Debug)]
struct Stored {
    table: Table,
    rows: BTreeMap<Key, Vec<Value>>,
    inserted: u64,
}

static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

impl Default for MemoryTarget {
    fn default() -> Self {
        Self::new()
    }
}

impl Clone for MemoryTarget {
    fn clone(&self) -> Self {
        Self::on(Arc::clone(&self.state))
    }
}

impl MemoryTarget {
    /// An empty target without a ledger.
    pub fn new() -> Self {
        Self::on(Arc::default())
    }

    /// A target that holds these tables, empty.
    pub fn with_tables(tables: impl IntoIterator<Item = Table>) -> Self {
        let target = Self::new();
        for table in tables {
            target.state().tables.insert(table.name.clone(), Arc::new(Stored::new(table)));
        }
        target
    }

    fn on(state: Arc<Mutex<State>>) -> Self {
        Self { state, connection: CONNECTIONS.fetch_add(1, Counting::Relaxed) }
    }

    /// Committed rows of a table by key, with the columns in the table's order.
    pub fn rows(&self, table: &str) -> Vec<Vec<Value>> {
        let state = self.state();
        let stored = state.tables.get(table);
        stored.map(|stored| stored.rows.values().cloned().collect()).unwrap_or_default()
    }

    /// All tables as they are committed now, for [`MemoryTarget::fall_back_to`].
    pub fn committed(&self) -> Committed {
        Committed(self.state().tables.clone())
    }

    /// Forgets what was committed since, as a server does that falls before it is on its disk.
    /// Leases stay.
    pub fn fall_back_to(&self, then: &Committed) {
        self.state().tables.clone_from(&then.0);
    }

    /// Lets the target's clock go on, as far as leases are concerned. It does not go by itself.
    pub fn advance(&self, by: Duration) {
        let passed = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        let mut state = self.state();
        state.now_ms = state.now_ms.saturating_add(passed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// A panic elsewhere leaves the state whole: it is changed by single assignments.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Target for MemoryTarget {
    async fn facts(&self) -> Result<TargetFacts, EndpointError> {
        Ok(TargetFacts {
            engine: "memory",
            version: env!("CARGO_PKG_VERSION").to_owned(),
            location: "memory".to_owned(),
            exists: true,
            read_only: None,
            free_bytes: None,
            size_bytes: None,
        })
    }

    async fn describe(&self, table: &str) -> Result<Option<Table>, EndpointError> {
        Ok(self.state().tables.get(table).map(|stored| stored.table.clone()))
    }

    async fn describe_schema(&self, files: &[SchemaFile]) -> Result<Vec<Table>, EndpointError> {
        match files.first() {
            None => Ok(Vec::new()),
            Some(file) => Err(no_sql(&file.name)),
        }
    }

    async fn inspect(&self, needs: &Needs) -> Result<Vec<Finding>, EndpointError> {
        let state = self.state();
        let key_of = |table: &str| Some(key_names(&state.tables.get(table)?.table));
        let shared = needs.keys.iter().filter(|(table, key)| {
            needs.tables.contains(table) && key_of(table).is_some_and(|own| own != **key)
        });
        let finding = |(table, key): (&String, &Vec<String>)| Finding {
            code: codes::UNSUPPORTED,
            blocks: true,
            message: not_unique(table, key),
        };
        Ok(shared.map(finding).collect())
    }

    async fn prepare_ledger(&self) -> Result<(), EndpointError> {
        self.state().ledger = true;
        Ok(())
    }

    async fn has_ledger(&self) -> Result<bool, EndpointError> {
        Ok(self.state().ledger)
    }

    async fn select(&self, query: &Query) -> Result<Rows, EndpointError> {
        let state = self.state();
        select(&state.tables, state.ledger, query)
    }

    async fn lease(&self, request: &LeaseRequest) -> Result<LeaseAnswer, EndpointError> {
        let mut state = self.state();
        if request.renew.is_none() && state.open == Some(self.connection) {
            return Err(transaction("ask for the right to write: a transaction is open"));
        }
        if !state.ledger {
            return Err(no_ledger("ask for the right to write"));
        }
        let now = state.now_ms;
        state.lease.ask(request, now)
    }

    async fn release(&self, fence: Fence) -> Result<(), EndpointError> {
        let mut state = self.state();
        if state.lease.fence == fence.0 {
            state.lease.holder = None;
        }
        Ok(())
    }

    async fn begin(&self, fence: Fence) -> Result<Box<dyn Txn>, EndpointError> {
        let mut state = self.state();
        match state.open {
            Some(connection) if connection == self.connection => {
                return Err(transaction("begin a transaction: a transaction is open"));
            }
            Some(_) => {
                return Err(EndpointError::new(
                    ErrorClass::Transient,
                    codes::TRANSACTION,
                    "begin a transaction: another connection has one open",
                ));
            }
            None => {}
        }
        if !state.ledger {
            return Err(no_ledger("begin a transaction"));
        }
        state.open = Some(self.connection);
        let tables = state.tables.clone();
        Ok(Box::new(MemoryTxn {
            state: Arc::clone(&self.state),
            fence,
            tables,
            ended: false,
            expected: None,
            owed: None,
        }))
    }

    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, EndpointError> {
        Ok(Arc::new(self.committed()))
    }

    async fn enter_load(&self) -> Result<(), EndpointError> {
        if self.state().ledger { Ok(()) } else { Err(no_ledger("prepare for loading")) }
    }

    async fn leave_load(&self) -> Result<(), EndpointError> {
        Ok(())
    }
}

impl Lease {
    fn ask(&mut self, request: &LeaseRequest, now: u64) -> Result<LeaseAnswer, EndpointError> {
        let held = self.holder.clone().filter(|_| self.expires_ms > now);
        let is_own = self.holder.as_ref() == Some(&request.holder);
        match (request.renew, held) {
            (Some(fence), _) if is_own && fence.0 == self.fence => {}
            (Some(_), None) => return Err(fenced()),
            (None, Some(by)) if !is_own && request.dead.as_ref() != Some(&by) => {
                return Ok(LeaseAnswer::Held { by, expires_in_ms: self.expires_ms - now });
            }
            (Some(_), Some(by)) => {
                return Ok(LeaseAnswer::Held { by, expires_in_ms: self.expires_ms - now });
            }
            (None, Some(_) | None) => self.fence += 1,
        }
        let ttl = u64::try_from(request.ttl.as_millis()).unwrap_or(u64::MAX);
        self.holder = Some(request.holder.clone());
        self.expires_ms = now.saturating_add(ttl);
        Ok(LeaseAnswer::Granted(Fence(self.fence)))
    }
}

/// The open transaction: a copy of the tables, put in their place by `commit`.
#[derive(Debug)]
struct MemoryTxn {
    state: Arc<Mutex<State>>,
    fence: Fence,
    tables: Tables,
    ended: bool,
    /// Rows that the write after the next one is sure to be given, and those that the next one is.
    /// Nothing is begun here, but whoever says so and does something else is found out.
    expected: Option<Certain>,
    owed: Option<Certain>,
}

/// Rows that are certain to come, and their table.
#[derive(Debug)]
struct Certain {
    table: String,
    rows: Arc<Chunk>,
}

impl Certain {
    fn are(&self, table: &Table, rows: &Arc<Chunk>) -> bool {
        self.table == table.name && Arc::ptr_eq(&self.rows, rows)
    }
}

fn not_written() -> EndpointError {
    EndpointError::new(
        ErrorClass::Configuration,
        codes::TRANSACTION,
        "rows that were certain to come were not written",
    )
}

impl Drop for MemoryTxn {
    fn drop(&mut self) {
        if !self.ended {
            lock(&self.state).open = None;
        }
    }
}

#[async_trait]
impl Txn for MemoryTxn {
    async fn write(
        &mut self,
        table: &Table,
        rows: Arc<Chunk>,
        mode: WriteMode,
    ) -> Result<Vec<RowFate>, EndpointError> {
        let WriteMode::Insert = mode;
        if self.owed.take().is_some_and(|owed| !owed.are(table, &rows)) {
            return Err(not_written());
        }
        self.expected.take_if(|expected| expected.are(table, &rows));
        let stored = self.stored(table)?;
        let layout = stored.layout(table, &rows)?;
        let fates: Vec<RowFate> =
            rows.rows().map(|row| stored.insert(table, &layout, row)).collect();
        let all = fates.iter().all(|fate| *fate == RowFate::Inserted);
        self.owed = self.expected.take().filter(|_| all);
        Ok(fates)
    }

    fn expect(&mut self, table: &Table, rows: &Arc<Chunk>, coming: Coming) {
        let certain = Certain { table: table.name.clone(), rows: Arc::clone(rows) };
        self.expected = (coming == Coming::Surely).then_some(certain);
    }

    async fn put(&mut self, table: &Table, rows: &Chunk) -> Result<(), EndpointError> {
        let stored = self.stored(table)?;
        let layout = stored.layout(table, rows)?;
        for row in rows.rows() {
            let key = stored.key_of(table, row);
            let old = stored.rows.get(&key).cloned();
            let mut values = old.unwrap_or_else(|| vec![Value::Null; stored.table.columns.len()]);
            layout.fill(&mut values, row);
            stored.complete(&values)?;
            stored.rows.insert(key, values);
        }
        Ok(())
    }

    async fn delete(&mut self, query: &Query) -> Result<u64, EndpointError> {
        let Some(stored) = self.tables.get_mut(&query.table) else {
            return absent(self.ledger(), &query.table).map(|()| 0);
        };
        let stored = Arc::make_mut(stored);
        let filter = Filter::new(&stored.table, &query.conditions)?;
        let before = stored.rows.len();
        stored.rows.retain(|_, row| !filter.matches(row));
        Ok((before - stored.rows.len()) as u64)
    }

    async fn select(&mut self, query: &Query) -> Result<Rows, EndpointError> {
        select(&self.tables, self.ledger(), query)
    }

    async fn read_for_update(
        &mut self,
        table: &Table,
        keys: &Chunk,
    ) -> Result<Vec<Option<Vec<Value>>>, EndpointError> {
        let stored = self.keyed(table, keys)?;
        let places = places(&stored.table, table.columns.iter().map(|column| &column.name))?;
        let read = |row: &Vec<Value>| places.iter().map(|&place| row[place].clone()).collect();
        Ok(keys.rows().map(|row| stored.rows.get(&whole(row)).map(read)).collect())
    }

    async fn update(&mut self, table: &Table, rows: &Chunk) -> Result<Vec<RowFate>, EndpointError> {
        if table.key.is_empty() {
            return Err(no_key(table));
        }
        let stored = self.stored(table)?;
        let layout = stored.layout(table, rows)?;
        rows.rows().map(|row| stored.overwrite(table, &layout, row)).collect()
    }

    async fn remove(&mut self, table: &Table, keys: &Chunk) -> Result<u64, EndpointError> {
        let stored = self.keyed(table, keys)?;
        let removed = keys.rows().filter(|row| stored.rows.remove(&whole(*row)).is_some());
        Ok(removed.count() as u64)
    }

    async fn create_table(&mut self, table: &Table) -> Result<(), EndpointError> {
        if self.tables.contains_key(&table.name) {
            return Err(EndpointError::new(
                ErrorClass::Configuration,
                codes::TABLE_EXISTS,
                format!("the table exists already: `{}`", table.name),
            ));
        }
        self.tables.insert(table.name.clone(), Arc::new(Stored::new(table.clone())));
        Ok(())
    }

    async fn apply_schema(&mut self, file: &SchemaFile) -> Result<(), EndpointError> {
        Err(no_sql(&file.name))
    }

    async fn execute(&mut self, script: &Script) -> Result<u64, EndpointError> {
        Err(no_sql(&script.name))
    }

    async fn query(
        &mut self,
        script: &Script,
        _limit: u64,
    ) -> Result<(Vec<String>, Rows), EndpointError> {
        Err(no_sql(&script.name))
    }

    async fn count(&mut self, table: &str) -> Result<Option<u64>, EndpointError> {
        Ok(self.tables.get(table).map(|stored| stored.rows.len() as u64))
    }

    async fn commit(mut self: Box<Self>) -> Result<(), EndpointError> {
        self.ended = true;
        let mut state = lock(&self.state);
        state.open = None;
        if state.lease.fence != self.fence.0 || state.lease.holder.is_none() {
            return Err(fenced());
        }
        if self.owed.is_some() {
            return Err(not_written());
        }
        state.tables = std::mem::take(&mut self.tables);
        Ok(())
    }

    async fn rollback(self: Box<Self>) -> Result<(), EndpointError> {
        Ok(())
    }
}

impl MemoryTxn {
    fn ledger(&self) -> bool {
        lock(&self.state).ledger
    }

    /// The table to be changed; a table of the ledger comes into being here.
    fn stored(&mut self, table: &Table) -> Result<&mut Stored, EndpointError> {
        if !self.tables.contains_key(&table.name) {
            absent(self.ledger(), &table.name)?;
            self.tables.insert(table.name.clone(), Arc::new(Stored::new(table.clone())));
        }
        let stored = self.tables.get_mut(&table.name).expect("it was inserted above");
        let stored = Arc::make_mut(stored);
        stored.accept(table)?;
        Ok(stored)
    }

    fn keyed(&mut self, table: &Table, keys: &Chunk) -> Result<&mut Stored, EndpointError> {
        if table.key.is_empty() {
            return Err(no_key(table));
        }
        fits(table.key.len(), keys)?;
        self.stored(table)
    }
}

/// Where the values of a chunk's rows belong among the stored columns.
struct Layout(Vec<usize>);

impl Layout {
    fn fill(&self, values: &mut [Value], row: Row<'_>) {
        for (&place, value) in self.0.iter().zip(row.values()) {
            values[place] = value.to_owned();
        }
    }
}

impl Stored {
    fn new(table: Table) -> Self {
        Self { table, rows: BTreeMap::new(), inserted: 0 }
    }

    /// Checks that rows of `table` can be written here. The ledger's own tables grow columns.
    fn accept(&mut self, table: &Table) -> Result<(), EndpointError> {
        for column in &table.columns {
            if self.table.column(&column.name).is_none() && table.name.starts_with(LEDGER) {
                self.table.columns.push(column.clone());
                self.rows.values_mut().for_each(|row| row.push(Value::Null));
            }
        }
        let (own, asked) = (key_names(&self.table), key_names(table));
        if asked.is_empty() && own.is_empty() || asked == own {
            return Ok(());
        }
        Err(EndpointError::new(
            ErrorClass::Configuration,
            codes::UNSUPPORTED,
            not_unique(&table.name, &asked),
        ))
    }

    fn layout(&self, table: &Table, rows: &Chunk) -> Result<Layout, EndpointError> {
        fits(table.columns.len(), rows)?;
        places(&self.table, table.columns.iter().map(|column| &column.name)).map(Layout)
    }

    fn key_of(&mut self, table: &Table, row: Row<'_>) -> Key {
        if table.key.is_empty() {
            self.inserted += 1;
            return Key(vec![Value::Int(self.inserted.into())]);
        }
        Key(table.key.iter().map(|&index| row.get(index).to_owned()).collect())
    }

    fn insert(&mut self, table: &Table, layout: &Layout, row: Row<'_>) -> RowFate {
        if let Some(&index) = table.key.iter().find(|&&index| row.get(index).is_null()) {
            return RowFate::Refused {
                code: codes::KEY_NULL,
                subject: Some(table.columns[index].name.clone()),
                message: "the key is NULL".to_owned(),
            };
        }
        let key = self.key_of(table, row);
        if self.rows.contains_key(&key) {
            return RowFate::Taken;
        }
        let mut values = vec![Value::Null; self.table.columns.len()];
        layout.fill(&mut values, row);
        if let Some(refused) = self.refused(&values) {
            return refused;
        }
        self.rows.insert(key, values);
        RowFate::Inserted
    }

    fn overwrite(
        &mut self,
        table: &Table,
        layout: &Layout,
        row: Row<'_>,
    ) -> Result<RowFate, EndpointError> {
        let key = self.key_of(table, row);
        let mut values = self.rows.get(&key).cloned().ok_or_else(|| gone(table, &key))?;
        layout.fill(&mut values, row);
        if let Some(refused) = self.refused(&values) {
            return Ok(refused);
        }
        self.rows.insert(key, values);
        Ok(RowFate::Updated)
    }

    fn refused(&self, values: &[Value]) -> Option<RowFate> {
        let column = self.required(values)?;
        Some(RowFate::Refused {
            code: codes::NOT_NULL,
            message: format!("NOT NULL constraint failed: {}.{column}", self.table.name),
            subject: Some(column),
        })
    }

    /// A column that must not be NULL, but is.
    fn required(&self, values: &[Value]) -> Option<String> {
        let mut columns = self.table.columns.iter().zip(values);
        let missing = columns.find(|(column, value)| {
            !column.nullable && !column.has_default && value.as_ref().is_null()
        });
        missing.map(|(column, _)| column.name.clone())
    }

    fn complete(&self, values: &[Value]) -> Result<(), EndpointError> {
        match self.required(values) {
            None => Ok(()),
            Some(column) => Err(EndpointError::new(
                ErrorClass::Constraint,
                codes::NOT_NULL,
                format!("NOT NULL constraint failed: `{}.{column}`", self.table.name),
            )),
        }
    }
}

fn whole(row: Row<'_>) -> Key {
    Key(row.values().map(ValueRef::to_owned).collect())
}

fn places<'a>(
    table: &Table,
    names: impl Iterator<Item = &'a String>,
) -> Result<Vec<usize>, EndpointError> {
    names
        .map(|name| {
            table.column(name).ok_or_else(|| {
                EndpointError::new(
                    ErrorClass::Configuration,
                    codes::MISSING,
                    format!("there is no such column: `{}.{name}`", table.name),
                )
            })
        })
        .collect()
}

/// Conditions with their columns looked up.
struct Filter<'a>(Vec<(usize, &'a Condition)>);

impl<'a> Filter<'a> {
    fn new(table: &Table, conditions: &'a [Condition]) -> Result<Self, EndpointError> {
        let places = places(table, conditions.iter().map(|condition| &condition.column))?;
        Ok(Self(places.into_iter().zip(conditions).collect()))
    }

    fn matches(&self, row: &[Value]) -> bool {
        self.0.iter().all(|(place, condition)| holds(condition, row[*place].as_ref()))
    }
}

fn holds(condition: &Condition, value: ValueRef<'_>) -> bool {
    let against = condition.values.first().map_or(ValueRef::Null, Value::as_ref);
    let comparable = !value.is_null() && !against.is_null();
    match condition.operator {
        Operator::Is => compare(value, against).is_eq(),
        Operator::IsNot => compare(value, against).is_ne(),
        Operator::In => condition.values.iter().any(|one| compare(value, one.as_ref()).is_eq()),
        Operator::Above => comparable && compare(value, against).is_gt(),
        Operator::AtMost => comparable && compare(value, against).is_le(),
    }
}

fn select(tables: &Tables, ledger: bool, query: &Query) -> Result<Rows, EndpointError> {
    let Some(stored) = tables.get(&query.table) else {
        absent(ledger, &query.table)?;
        return Ok(ChunkBuilder::new(query.columns.len()).finish());
    };
    let filter = Filter::new(&stored.table, &query.conditions)?;
    let columns = places(&stored.table, query.columns.iter())?;
    let order = places(&stored.table, query.order.iter().map(|(column, _)| column))?;
    let mut rows: Vec<&Vec<Value>> =
        stored.rows.values().filter(|row| filter.matches(row)).collect();
    rows.sort_by(|a, b| {
        let terms = order.iter().zip(&query.order);
        let compared = terms.map(|(&place, (_, direction))| {
            let rising = compare(a[place].as_ref(), b[place].as_ref());
            match direction {
                Order::Rising => rising,
                Order::Falling => rising.reverse(),
            }
        });
        compared.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    });
    let limit = query.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let mut answer = ChunkBuilder::new(columns.len());
    for row in rows.into_iter().take(limit) {
        for &place in &columns {
            answer.push(row[place].as_ref());
        }
        answer.end_row();
    }
    Ok(answer.finish())
}

/// A table of a prepared ledger may be empty; any other must exist.
fn absent(ledger: bool, table: &str) -> Result<(), EndpointError> {
    if ledger && table.starts_with(LEDGER) {
        return Ok(());
    }
    Err(EndpointError::new(
        ErrorClass::Configuration,
        codes::MISSING,
        format!("there is no such table: `{table}`"),
    ))
}

fn fits(width: usize, rows: &Chunk) -> Result<(), EndpointError> {
    if rows.is_empty() || rows.width() == width {
        return Ok(());
    }
    Err(EndpointError::new(
        ErrorClass::Configuration,
        codes::MISSING,
        format!("rows of {} values for {width} columns", rows.width()),
    ))
}

fn gone(table: &Table, key: &Key) -> EndpointError {
    let key: Vec<String> =
        key.0.iter().map(|value| value.as_ref().to_string().chars().take(80).collect()).collect();
    EndpointError::new(
        ErrorClass::Changed,
        codes::ROW_GONE,
        format!("no row to overwrite in `{}` under its key: `{}`", table.name, key.join(", ")),
    )
}

fn key_names(table: &Table) -> Vec<String> {
    table.key.iter().map(|&index| table.columns[index].name.clone()).collect()
}

fn not_unique(table: &str, key: &[String]) -> String {
    format!("nothing makes the key of `{table}` unique: `{}`", key.join(", "))
}

fn no_key(table: &Table) -> EndpointError {
    EndpointError::new(
        ErrorClass::Configuration,
        codes::UNSUPPORTED,
        format!("the table has no key to find rows by: `{}`", table.name),
    )
}

fn no_ledger(doing: &str) -> EndpointError {
    EndpointError::new(
        ErrorClass::Configuration,
        codes::NO_LEDGER,
        format!("{doing}: the ledger is not there"),
    )
}

fn no_sql(name: &str) -> EndpointError {
    EndpointError::new(
        ErrorClass::Configuration,
        codes::UNSUPPORTED,
        format!("the in-memory target does not read SQL: `{name}`"),
    )
}

fn transaction(what: &str) -> EndpointError {
    EndpointError::new(ErrorClass::Configuration, codes::TRANSACTION, what)
}

fn fenced() -> EndpointError {
    EndpointError::new(
        ErrorClass::Fenced,
        codes::FENCED,
        "the right to write has passed to another run, or was given back",
    )
}

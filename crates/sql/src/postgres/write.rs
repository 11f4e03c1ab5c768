//! Rows into a table: one COPY for all of them, and the few that the server refuses one by one.
//!
//! ```text
//! rows ─▶ checks of ours ─▶ COPY ──▶ taken keys ─▶ COPY the rest ──▶ all but row n, n alone ─▶ …
//!           refused           all in    set-based       in or           the server names n, else
//!                                                                       by halves
//! ```
//! While the server is busy with a COPY, the rows of the next one are encoded, where they are known.
//! Each attempt stands behind a savepoint. A row that is refused costs two more attempts, or as many
//! as halving takes where the server does not say which row it was.

use std::sync::Arc;

use tokio::task::JoinHandle;
use whimbrel_endpoint::{EndpointError, ErrorClass, RowFate, failpoint};
use whimbrel_model::{Chunk, Table};

use super::catalogue::{Facts, Slot};
use super::encode;
use super::fault;
use super::form::Form;
use super::keyed::bound_rows;
use super::link::{Kept, Link, value};
use super::read::{is_flat, list, no_column};
use crate::codes;
use crate::dialect::Dialect;
use crate::keys;

const WORDS: Dialect = Dialect::Postgres;

/// Whether what was done since the savepoint may be undone by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Savepoint {
    /// There is none.
    None,
    /// Nothing was written behind it.
    Fresh,
    /// Something that is to stay was.
    Used,
}

impl Savepoint {
    /// Something else than an attempt was done in the transaction.
    pub(crate) fn passed(&mut self) {
        if *self == Self::Fresh {
            *self = Self::Used;
        }
    }

    /// What comes next is an attempt.
    pub(crate) async fn set(&mut self, link: &mut Link, doing: &str) -> Result<(), EndpointError> {
        match *self {
            Self::Fresh => {}
            Self::None => {
                link.run(doing, "SAVEPOINT whimbrel_write").await?;
            }
            Self::Used => {
                let sql = "RELEASE SAVEPOINT whimbrel_write; SAVEPOINT whimbrel_write";
                link.run(doing, sql).await?;
            }
        }
        *self = Self::Used;
        Ok(())
    }

    /// Undoes the attempt.
    pub(crate) async fn undo(&mut self, link: &mut Link, doing: &str) -> Result<(), EndpointError> {
        link.run(doing, "ROLLBACK TO SAVEPOINT whimbrel_write").await?;
        *self = Self::Fresh;
        Ok(())
    }
}

/// How rows go into one table, worked out once a transaction.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) table: Table,
    pub(crate) facts: Arc<Facts>,
    /// One per column of the table.
    slots: Vec<Slot>,
    /// The COPY, into the table or into the staging table.
    copy: String,
    /// From the staging table into the table.
    from_stage: Option<FromStage>,
}

#[derive(Debug)]
struct FromStage {
    create: String,
    insert: String,
    empty: String,
}

impl Way {
    /// Works it out; a key that nothing makes unique is refused.
    pub(crate) fn new(table: &Table, facts: Arc<Facts>) -> Result<Self, EndpointError> {
        let mut slots = Vec::with_capacity(table.columns.len());
        for column in &table.columns {
            let slot =
                facts.slot(&column.name).ok_or_else(|| no_column(&table.name, &column.name))?;
            slots.push(slot.clone());
        }
        let key: Vec<&str> =
            table.key.iter().map(|&index| table.columns[index].name.as_str()).collect();
        if !key.is_empty() && !facts.is_unique(&key) {
            return Err(keys::refused(table));
        }
        let columns: Vec<String> = slots.iter().map(|slot| WORDS.quote(&slot.name)).collect();
        let into = WORDS.table(&table.name);
        let binary = "FROM STDIN (FORMAT BINARY)";
        // COPY takes neither what the server has to read, nor rows that policies look at. Values of
        // identity columns it takes as they are, also where those are always generated.
        let is_staged = facts.has_policies || slots.iter().any(|slot| slot.form == Form::Spelled);
        if !is_staged {
            let copy = format!("COPY {into} ({}) {binary}", columns.join(", "));
            return Ok(Self { table: table.clone(), facts, slots, copy, from_stage: None });
        }
        let stage = format!("pg_temp.whimbrel_stage_{}", facts.oid);
        let staged: Vec<String> = slots
            .iter()
            .zip(&columns)
            .enumerate()
            .map(|(index, (slot, column))| match slot.form {
                Form::Spelled => format!("{column}::text AS c{index}"),
                _ => format!("{column} AS c{index}"),
            })
            .collect();
        let cast: Vec<String> = slots
            .iter()
            .enumerate()
            .map(|(index, slot)| match slot.form {
                Form::Spelled => format!("c{index}::{}", slot.spelled),
                _ => format!("c{index}"),
            })
            .collect();
        Ok(Self {
            copy: format!("COPY {stage} {binary}"),
            from_stage: Some(FromStage {
                create: format!(
                    "DROP TABLE IF EXISTS {stage}; \
                     CREATE TEMPORARY TABLE whimbrel_stage_{} ON COMMIT DROP AS \
                     SELECT 0::int8 AS n, {} FROM {into} WITH NO DATA",
                    facts.oid,
                    staged.join(", ")
                ),
                insert: format!(
                    "INSERT INTO {into} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {stage} ORDER BY n",
                    columns.join(", "),
                    cast.join(", ")
                ),
                empty: format!("DELETE FROM {stage}"),
            }),
            table: table.clone(),
            facts,
            slots,
        })
    }

    /// What the way needs before its first row.
    pub(crate) async fn prepare(&self, link: &mut Link) -> Result<(), EndpointError> {
        match &self.from_stage {
            None => Ok(()),
            Some(stage) => {
                link.run(&format!("write to `{}`", self.table.name), &stage.create).await.map(drop)
            }
        }
    }
}

/// The signature, no flags, no extension.
const HEAD: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TAIL: [u8; 2] = (-1i16).to_be_bytes();

/// Rows in COPY's format, one behind the other, between its head and its tail.
#[derive(Debug)]
struct Encoded {
    bytes: Vec<u8>,
    /// Of each row that passed: its index in the chunk and where it ends.
    rows: Vec<(usize, usize)>,
}

impl Encoded {
    /// The bytes of these rows, which rise, as a COPY of their own.
    fn of(&self, places: &[usize]) -> Vec<u8> {
        let mut bytes = HEAD.to_vec();
        for &place in places {
            let start = if place == 0 { HEAD.len() } else { self.rows[place - 1].1 };
            bytes.extend_from_slice(&self.bytes[start..self.rows[place].1]);
        }
        bytes.extend_from_slice(&TAIL);
        bytes
    }
}

/// Encodes what can be stored; what cannot has its fate.
fn encode(way: &Way, rows: &Chunk, fates: &mut [Option<RowFate>]) -> Encoded {
    let is_staged = way.from_stage.is_some();
    let width = (way.slots.len() + usize::from(is_staged)) as i16;
    let mut bytes = Vec::with_capacity(rows.size() + rows.len() * way.slots.len());
    bytes.extend_from_slice(HEAD);
    let mut passed = Vec::with_capacity(rows.len());
    for (index, row) in rows.rows().enumerate() {
        let start = bytes.len();
        bytes.extend_from_slice(&width.to_be_bytes());
        if is_staged {
            bytes.extend_from_slice(&8i32.to_be_bytes());
            bytes.extend_from_slice(&(index as i64).to_be_bytes());
        }
        let mut fate = None;
        for (column, slot) in way.slots.iter().enumerate() {
            let value = row.get(column);
            let refused = if value.is_null() && (slot.required || way.table.key.contains(&column)) {
                Some(null(way, column))
            } else if slot.generated {
                Some((codes::WOULD_CHANGE, "the column is computed by the server".to_owned()))
            } else {
                encode::field(&slot.form, value, &mut bytes)
                    .err()
                    .map(|refusal| (refusal.code, refusal.message))
            };
            if let Some((code, message)) = refused {
                let subject = Some(slot.name.clone());
                fate = Some(RowFate::Refused { code, subject, message });
                break;
            }
        }
        if fate.is_some() {
            bytes.truncate(start);
            fates[index] = fate;
        } else {
            passed.push((index, bytes.len()));
        }
    }
    bytes.extend_from_slice(&TAIL);
    Encoded { bytes, rows: passed }
}

fn null(way: &Way, column: usize) -> (&'static str, String) {
    if way.table.key.contains(&column) {
        return (whimbrel_endpoint::codes::KEY_NULL, "the key is NULL".to_owned());
    }
    (whimbrel_endpoint::codes::NOT_NULL, "the column refuses NULL".to_owned())
}

/// Rows as COPY takes them, and the fates of those that it does not get.
#[derive(Debug)]
pub(crate) struct Prepared {
    encoded: Encoded,
    fates: Vec<Option<RowFate>>,
}

impl Prepared {
    pub(crate) fn new(way: &Way, rows: &Chunk) -> Self {
        let mut fates = vec![None; rows.len()];
        let encoded = encode(way, rows, &mut fates);
        Self { encoded, fates }
    }

    /// The same, where it may have been done ahead.
    pub(crate) async fn of(ahead: Option<Ahead>, way: &Arc<Way>, rows: &Arc<Chunk>) -> Self {
        let prepared = match ahead {
            Some(ahead) => ahead.of(way, rows).await,
            None => None,
        };
        prepared.unwrap_or_else(|| Self::new(way, rows))
    }
}

/// Rows that a thread of its own prepares, while the server is busy with others.
#[derive(Debug)]
pub(crate) struct Ahead {
    way: Arc<Way>,
    rows: Arc<Chunk>,
    work: JoinHandle<Prepared>,
}

impl Ahead {
    pub(crate) fn start(way: &Arc<Way>, rows: Arc<Chunk>) -> Self {
        let (its_way, its_rows) = (Arc::clone(way), Arc::clone(&rows));
        let work = tokio::task::spawn_blocking(move || Prepared::new(&its_way, &its_rows));
        Self { way: Arc::clone(way), rows, work }
    }

    /// What came of it, if these are the rows and they go the same way.
    async fn of(self, way: &Arc<Way>, rows: &Arc<Chunk>) -> Option<Prepared> {
        let is_it = Arc::ptr_eq(&self.way, way) && Arc::ptr_eq(&self.rows, rows);
        if is_it { self.work.await.ok() } else { None }
    }
}

/// Writes rows; one fate per row, in order.
pub(crate) async fn write(
    link: &mut Link,
    savepoint: &mut Savepoint,
    way: &Way,
    rows: &Chunk,
    prepared: Prepared,
) -> Result<Vec<RowFate>, EndpointError> {
    let Prepared { encoded, mut fates } = prepared;
    let mut writing = Writing { link, savepoint, way, rows, encoded: &encoded, fates: &mut fates };
    writing.all().await?;
    failpoint!("sql.write.after");
    let decided = |fate: Option<RowFate>| fate.expect("every row was decided on");
    Ok(fates.into_iter().map(decided).collect())
}

/// What came of an attempt.
enum Attempt {
    Done,
    /// A trigger left rows out; nothing stands.
    Short,
    Failed(sqlx::Error),
}

struct Writing<'a> {
    link: &'a mut Link,
    savepoint: &'a mut Savepoint,
    way: &'a Way,
    rows: &'a Chunk,
    encoded: &'a Encoded,
    fates: &'a mut [Option<RowFate>],
}

impl Writing<'_> {
    fn doing(&self) -> String {
        format!("write to `{}`", self.way.table.name)
    }

    fn decide(&mut self, place: usize, fate: RowFate) {
        self.fates[self.encoded.rows[place].0] = Some(fate);
    }

    fn decide_all(&mut self, places: &[usize], fate: &RowFate) {
        for &place in places {
            self.decide(place, fate.clone());
        }
    }

    /// Decides on all rows that were encoded, from the first to the last, as if they came one by
    /// one.
    async fn all(&mut self) -> Result<(), EndpointError> {
        let mut open: Vec<Vec<usize>> = vec![(0..self.encoded.rows.len()).collect()];
        while let Some(places) = open.pop() {
            if places.is_empty() {
                continue;
            }
            match self.attempt(&places).await? {
                Attempt::Done => self.decide_all(&places, &RowFate::Inserted),
                Attempt::Short if places.len() == 1 => self.decide(places[0], skipped()),
                Attempt::Short => halve(&places, &mut open),
                Attempt::Failed(error) => self.refused(places, error, &mut open).await?,
            }
        }
        Ok(())
    }

    /// What is to be tried next, after the server refused these rows.
    async fn refused(
        &mut self,
        places: Vec<usize>,
        error: sqlx::Error,
        open: &mut Vec<Vec<usize>>,
    ) -> Result<(), EndpointError> {
        let Some(fate) = fault::fate(&error) else {
            let doing = self.doing();
            return Err(self.link.told(&doing, error));
        };
        let state = fault::state(&error);
        if state == "23505" && !self.way.table.key.is_empty() {
            let (taken, again) = self.taken(&places).await?;
            self.decide_all(&taken, &RowFate::Taken);
            let rest: Vec<usize> =
                places.iter().copied().filter(|place| !has(&taken, *place)).collect();
            if !again.is_empty() {
                return self.with_doubles(rest, again, open).await;
            }
            if !taken.is_empty() {
                open.push(rest);
                return Ok(());
            }
        }
        if let [place] = places[..] {
            self.decide(place, fate);
            return Ok(());
        }
        if state == "23503" {
            let orphans = self.orphans(&places, &error).await?;
            if !orphans.is_empty() {
                let rest = places.into_iter().filter(|place| !has(&orphans, *place)).collect();
                self.decide_all(&orphans, &fate_of_orphan(&fate));
                open.push(rest);
                return Ok(());
            }
        }
        // The row that the server names comes alone; what is before it, first.
        let named = fault::copied_line(&error)
            .filter(|_| self.way.from_stage.is_none())
            .and_then(|line| line.checked_sub(1))
            .filter(|at| *at < places.len());
        match named {
            Some(at) => {
                open.push(places[at + 1..].to_vec());
                open.push(vec![places[at]]);
                open.push(places[..at].to_vec());
            }
            None => halve(&places, open),
        }
        Ok(())
    }

    /// Rows some of which have keys that come earlier among them: those wait for the others.
    async fn with_doubles(
        &mut self,
        rest: Vec<usize>,
        again: Vec<usize>,
        open: &mut Vec<Vec<usize>>,
    ) -> Result<(), EndpointError> {
        let firsts: Vec<usize> =
            rest.iter().copied().filter(|place| !has(&again, *place)).collect();
        if let Attempt::Done = self.attempt(&firsts).await? {
            self.decide_all(&firsts, &RowFate::Inserted);
            self.decide_all(&again, &RowFate::Taken);
        } else {
            // A first one may be refused, and then a second one is not: the order decides.
            halve(&rest, open);
        }
        Ok(())
    }

    async fn attempt(&mut self, places: &[usize]) -> Result<Attempt, EndpointError> {
        let doing = self.doing();
        self.savepoint.set(self.link, &doing).await?;
        let copied = if places.len() == self.encoded.rows.len() {
            self.copied(&self.encoded.bytes).await
        } else {
            self.copied(&self.encoded.of(places)).await
        };
        let attempt = match copied {
            Ok(count) if count == places.len() as u64 => return Ok(Attempt::Done),
            Ok(_) => Attempt::Short,
            Err(error) if self.link.lost => return Err(self.link.told(&doing, error)),
            Err(error) => Attempt::Failed(error),
        };
        self.savepoint.undo(self.link, &doing).await?;
        Ok(attempt)
    }

    async fn copied(&mut self, bytes: &[u8]) -> Result<u64, sqlx::Error> {
        let count = self.link.copy(&self.way.copy, bytes).await?;
        let Some(stage) = &self.way.from_stage else { return Ok(count) };
        let count = self.link.change(&stage.insert, vec![], Kept::No).await?;
        self.link.simple(&stage.empty).await?;
        Ok(count)
    }

    /// The rows whose keys are in the table, and those whose keys come earlier among the rows.
    async fn taken(&mut self, places: &[usize]) -> Result<(Vec<usize>, Vec<usize>), EndpointError> {
        let table = &self.way.table;
        let slots: Vec<&Slot> = table.key.iter().map(|&index| &self.way.slots[index]).collect();
        let given: Vec<String> = slots
            .iter()
            .enumerate()
            .map(|(index, slot)| {
                if is_flat(slot) {
                    format!("s.c{index}")
                } else {
                    format!("s.c{index}::{}", slot.spelled)
                }
            })
            .collect();
        let same: Vec<String> = slots
            .iter()
            .zip(&given)
            .map(|(slot, given)| format!("t.{} = {given}", WORDS.quote(&slot.name)))
            .collect();
        let sql = format!(
            "SELECT q.n, q.taken FROM ( \
                 SELECT s.n, EXISTS (SELECT FROM {} AS t WHERE {}) AS taken, \
                        row_number() OVER (PARTITION BY {} ORDER BY s.n) AS place \
                 FROM {} \
             ) AS q WHERE q.taken OR q.place > 1 ORDER BY q.n",
            WORDS.table(&table.name),
            same.join(" AND "),
            given.join(", "),
            bound_rows(slots.len())
        );
        let mut binds = Vec::with_capacity(slots.len());
        for (slot, &column) in slots.iter().zip(&table.key) {
            let values =
                places.iter().map(|&place| self.rows.row(self.encoded.rows[place].0).get(column));
            binds.push(list(slot, values).map_err(|refusal| {
                EndpointError::new(ErrorClass::Data, refusal.code, refusal.message)
            })?);
        }
        let doing = self.doing();
        let (mut taken, mut again) = (Vec::new(), Vec::new());
        for row in self.link.rows(&doing, &sql, binds, Kept::Yes).await? {
            let at = row[0].as_int().and_then(|number| usize::try_from(number - 1).ok());
            let Some(&place) = at.and_then(|at| places.get(at)) else { continue };
            if row[1] == whimbrel_model::Value::Bool(true) {
                taken.push(place);
            } else {
                again.push(place);
            }
        }
        Ok((taken, again))
    }

    /// The rows whose parents are missing, by the foreign key that the error names. A row whose
    /// parent is among the rows themselves is not one of them.
    async fn orphans(
        &mut self,
        places: &[usize],
        error: &sqlx::Error,
    ) -> Result<Vec<usize>, EndpointError> {
        let named = fault::server(error).and_then(|told| told.constraint());
        let key = self.way.facts.foreign_keys.iter().find(|key| Some(key.name.as_str()) == named);
        let Some(key) = key.filter(|key| !key.is_full) else { return Ok(Vec::new()) };
        let columns: Option<Vec<usize>> =
            key.columns.iter().map(|name| self.way.table.column(name)).collect();
        let Some(columns) = columns else { return Ok(Vec::new()) };
        let slots: Vec<&Slot> = columns.iter().map(|&index| &self.way.slots[index]).collect();
        if !slots.iter().all(|slot| is_flat(slot)) {
            return Ok(Vec::new());
        }
        let mut wanted = columns.clone();
        // A table that points to itself: the parents may be here.
        let mut own = String::new();
        if key.is_own {
            let parents: Option<Vec<usize>> =
                key.parent_columns.iter().map(|name| self.way.table.column(name)).collect();
            let Some(parents) = parents else { return Ok(Vec::new()) };
            if !parents.iter().all(|&index| is_flat(&self.way.slots[index])) {
                return Ok(Vec::new());
            }
            let terms: Vec<String> = (0..columns.len())
                .map(|index| format!("s.c{index} = p.c{}", index + columns.len()))
                .collect();
            wanted.extend(parents);
            let rows = bound_rows(wanted.len()).replace(" AS s(", " AS p(");
            own = format!(" AND NOT EXISTS (SELECT FROM {rows} WHERE {})", terms.join(" AND "));
        }
        let known: Vec<String> =
            (0..columns.len()).map(|index| format!("s.c{index} IS NOT NULL")).collect();
        let same: Vec<String> = key
            .parent_columns
            .iter()
            .enumerate()
            .map(|(index, name)| format!("t.{} = s.c{index}", WORDS.quote(name)))
            .collect();
        let sql = format!(
            "SELECT s.n FROM {} WHERE {} AND NOT EXISTS (SELECT FROM {} AS t WHERE {}){own} \
             ORDER BY s.n",
            bound_rows(wanted.len()),
            known.join(" AND "),
            key.parent,
            same.join(" AND ")
        );
        let mut binds = Vec::with_capacity(wanted.len());
        for &column in &wanted {
            let values =
                places.iter().map(|&place| self.rows.row(self.encoded.rows[place].0).get(column));
            binds.push(list(&self.way.slots[column], values).map_err(|refusal| {
                EndpointError::new(ErrorClass::Data, refusal.code, refusal.message)
            })?);
        }
        let doing = self.doing();
        let rows = match self.link.ask(&sql, binds, Kept::No).await {
            Ok(rows) => rows,
            Err(error) => return Err(self.link.told(&doing, error)),
        };
        let mut orphans = Vec::with_capacity(rows.len());
        let mut spelled = String::new();
        for row in &rows {
            let number = match value(row, 0, &Form::Int8, &mut spelled) {
                Ok(number) => number.to_owned().as_int().unwrap_or(0),
                Err(damaged) => return Err(self.link.damaged(&doing, damaged)),
            };
            let at = usize::try_from(number - 1).ok();
            orphans.extend(at.and_then(|at| places.get(at)).copied());
        }
        Ok(orphans)
    }
}

/// Places rise wherever they are listed.
fn has(places: &[usize], place: usize) -> bool {
    places.binary_search(&place).is_ok()
}

/// The first half is tried first.
pub(crate) fn halve(places: &[usize], open: &mut Vec<Vec<usize>>) {
    let (first, second) = places.split_at(places.len().div_ceil(2));
    open.push(second.to_vec());
    open.push(first.to_vec());
}

pub(crate) fn skipped() -> RowFate {
    RowFate::Refused {
        code: codes::TRIGGER,
        subject: None,
        message: "a trigger skipped the row".to_owned(),
    }
}

/// The server's words are about one of the rows; what they say of the constraint is true of all.
pub(crate) fn fate_of_orphan(fate: &RowFate) -> RowFate {
    match fate {
        RowFate::Refused { code, subject, message } => RowFate::Refused {
            code,
            subject: subject.clone(),
            message: message.split(" (Key ").next().unwrap_or(message).to_owned(),
        },
        RowFate::Inserted | RowFate::Taken | RowFate::Updated => fate.clone(),
    }
}

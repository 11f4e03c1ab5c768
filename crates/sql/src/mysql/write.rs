//! Rows into a table: short prepared statements of many rows, and what a refused one means.
//!
//! ```text
//! rows ─ checks ─▶ statement of 500 ─ ok ─▶ Inserted
//!                       │ refused: it left nothing, the transaction stands
//!                       ├ a key is taken: which keys are there? ─▶ Taken; the rest again
//!                       └ else, or still: halves, down to the row ─▶ Refused, with the server's words
//! ```
//! The cost of bad rows is their number times the logarithm of the statement's rows.

use std::collections::BTreeMap;

use sqlx::Arguments as _;
use sqlx::mysql::MySqlArguments;
use whimbrel_endpoint::{EndpointError, ErrorClass, RowFate};
use whimbrel_model::decimal::Decimal;
use whimbrel_model::{Chunk, Kind, Row, Table, Value, ValueRef};

use super::catalogue::Facts;
use super::encode::{Param, Refusal, Scratch, Shape, Slot, form};
use super::session::{Place, Session, bind, bound, none};
use super::{decode, fault};
use crate::codes;
use crate::dialect::{Dialect, Taken};

const WORDS: Dialect = Dialect::Mysql;

/// Rows of one statement.
const ROWS_MAX: usize = 500;

/// Values of one statement, where the rows are not wider: the server's cost of a value rises with
/// their number. A million rows of 12 took it a quarter less at 1,500 values than at 6,000; below that
/// only the round trips become more.
const VALUES_MAX: usize = 2_048;

/// Bytes of one statement; the server's packet may allow less.
const BYTES_MAX: usize = 1 << 20;

/// Keys that are looked for at once.
const KEYS_MAX: usize = 500;

/// How rows go into one table, worked out once.
#[derive(Debug)]
pub(crate) struct Insertion {
    pub(crate) table: Table,
    taken: Taken,
    /// One per column.
    slots: Vec<Slot>,
    /// Which columns of the key are compared by letters in the server.
    collated: Vec<bool>,
    /// The statement for as many rows as one takes at most.
    full: String,
    rows_max: usize,
}

impl Insertion {
    /// `Err` where a column is missing.
    pub(crate) fn new(table: &Table, facts: &Facts, taken: Taken) -> Result<Self, EndpointError> {
        let slots = table
            .columns
            .iter()
            .map(|column| {
                facts.slot(&column.name, column.kind).ok_or_else(|| {
                    EndpointError::new(
                        ErrorClass::Configuration,
                        whimbrel_endpoint::codes::MISSING,
                        format!("the target has no such column: `{}.{}`", table.name, column.name),
                    )
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let rows_max = (VALUES_MAX / table.columns.len().max(1)).clamp(1, ROWS_MAX);
        Ok(Self {
            slots,
            collated: key_names(table).map(|name| facts.is_collated(name)).collect(),
            full: WORDS.insert(table, taken, rows_max),
            table: table.clone(),
            taken,
            rows_max,
        })
    }

    pub(crate) fn is(&self, table: &Table, taken: Taken) -> bool {
        self.table == *table && self.taken == taken
    }

    fn sql(&self, rows: usize) -> std::borrow::Cow<'_, str> {
        if rows == self.rows_max {
            return self.full.as_str().into();
        }
        WORDS.insert(&self.table, self.taken, rows).into()
    }

    fn key_slots(&self) -> impl Iterator<Item = &Slot> {
        self.table.key.iter().map(|index| &self.slots[*index])
    }
}

fn key_names(table: &Table) -> impl Iterator<Item = &str> {
    table.key.iter().map(|index| table.columns[*index].name.as_str())
}

/// Writes rows; one fate each.
pub(crate) async fn insert(
    session: &mut Session,
    into: &Insertion,
    rows: &Chunk,
    place: &Place,
) -> Result<Vec<RowFate>, EndpointError> {
    let mut pieces = Pieces::new(into, rows, session.server.packet);
    let mut work = Work { session, into, rows, place, fates: vec![None; rows.len()] };
    let mut next = pieces.next();
    while let Some(Piece { rows, arguments }) = next {
        // While the server works on one statement, the rows of the next are checked and laid out.
        let sending = send(work.session, into, rows.len(), arguments);
        let (sent, after) = tokio::join!(sending, async { pieces.next() });
        work.sent(rows, sent).await?;
        next = after;
    }
    for (row, fate) in pieces.refused {
        work.fates[row] = Some(fate);
    }
    let fates = work.fates.into_iter();
    Ok(fates.map(|fate| fate.expect("every row has met its fate")).collect())
}

/// The rows of one statement, and their values as they are bound.
struct Piece {
    rows: Vec<usize>,
    arguments: MySqlArguments,
}

/// Rows on their way into statements. Each is checked when its statement is laid out; what does not
/// pass is left out.
struct Pieces<'a> {
    into: &'a Insertion,
    rows: &'a Chunk,
    packet: usize,
    /// The first row of the next statement.
    next: usize,
    /// Bytes of the statement before.
    bytes: usize,
    /// One per column: a row is spelled as a whole before any of it is bound.
    scratch: Vec<Scratch>,
    refused: Vec<(usize, RowFate)>,
}

impl<'a> Pieces<'a> {
    fn new(into: &'a Insertion, rows: &'a Chunk, packet: usize) -> Self {
        let scratch = into.slots.iter().map(|_slot| Scratch::default()).collect();
        Self { into, rows, packet, next: 0, bytes: 0, scratch, refused: Vec::new() }
    }

    /// For rows of which each has to be written.
    fn none_refused(&self) -> Result<(), EndpointError> {
        let Some((_, RowFate::Refused { code, subject, message })) = self.refused.first() else {
            return Ok(());
        };
        let column = subject.as_ref().map(|name| format!(", column `{name}`")).unwrap_or_default();
        let what = format!("write to `{}`{column}: {message}", self.into.table.name);
        Err(EndpointError::new(ErrorClass::Data, code, what))
    }
}

impl Iterator for Pieces<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let (into, bytes_max) = (self.into, BYTES_MAX.min(self.packet / 2));
        let rows_max = into.rows_max.min(self.rows.len() - self.next);
        let mut piece = Piece { rows: Vec::with_capacity(rows_max), arguments: none() };
        piece.arguments.reserve(rows_max * into.slots.len(), self.bytes);
        let mut bytes = 0;
        while self.next < self.rows.len() && piece.rows.len() < rows_max {
            let row = self.rows.row(self.next);
            match checked(into, row, self.packet, &mut self.scratch) {
                Err(fate) => self.refused.push((self.next, fate)),
                Ok((size, _)) if bytes + size > bytes_max && !piece.rows.is_empty() => break,
                Ok((size, params)) => {
                    bytes += size;
                    params.into_iter().for_each(|param| bind(&mut piece.arguments, param));
                    piece.rows.push(self.next);
                }
            }
            self.next += 1;
        }
        self.bytes = bytes;
        (!piece.rows.is_empty()).then_some(piece)
    }
}

struct Work<'a> {
    session: &'a mut Session,
    into: &'a Insertion,
    rows: &'a Chunk,
    place: &'a Place,
    fates: Vec<Option<RowFate>>,
}

impl Work<'_> {
    async fn sent(
        &mut self,
        piece: Vec<usize>,
        outcome: Result<(), sqlx::Error>,
    ) -> Result<(), EndpointError> {
        match outcome {
            Ok(()) => {
                self.inserted(&piece);
                Ok(())
            }
            Err(error) => self.refused(piece, error).await,
        }
    }

    fn inserted(&mut self, piece: &[usize]) {
        piece.iter().for_each(|row| self.fates[*row] = Some(RowFate::Inserted));
    }

    async fn send(&mut self, piece: &[usize]) -> Result<(), sqlx::Error> {
        let arguments = values(self.into, self.rows, piece);
        send(self.session, self.into, piece.len(), arguments).await
    }

    /// What an error means for the rows of the statement that met it.
    async fn refused(
        &mut self,
        piece: Vec<usize>,
        error: sqlx::Error,
    ) -> Result<(), EndpointError> {
        // Pieces that wait, the next one last; with the error where the piece has met one.
        let mut waiting = vec![(piece, Some(error))];
        let mut looked = false;
        while let Some((piece, error)) = waiting.pop() {
            let error = match error {
                Some(error) => error,
                None => match self.send(&piece).await {
                    Ok(()) => {
                        self.inserted(&piece);
                        continue;
                    }
                    Err(error) => error,
                },
            };
            let Some((code, subject, message)) = fault::refusal(&error) else {
                let doing = format!("write to `{}`", self.into.table.name);
                return Err(self.place.failed(&doing, error));
            };
            let keyed = !self.into.table.key.is_empty();
            let duplicate = keyed && fault::is_duplicate(&error);
            if let ([row], false) = (piece.as_slice(), duplicate) {
                self.fates[*row] = Some(RowFate::Refused { code, subject, message });
                continue;
            }
            if duplicate && (!looked || piece.len() == 1) {
                looked = true;
                let (fresh, later) = self.untaken(&piece).await?;
                if let ([row], []) = (fresh.as_slice(), later.as_slice())
                    && piece.len() == 1
                {
                    // Another unique key, or one that only the collation holds equal.
                    self.fates[*row] = Some(RowFate::Refused { code, subject, message });
                    continue;
                }
                // What repeats a key of this piece is taken once the first has its fate.
                let mut again: Vec<Vec<usize>> = Vec::new();
                again.extend((!later.is_empty()).then_some(later));
                again.extend((!fresh.is_empty()).then_some(fresh));
                let repeats = again.len() == 2;
                waiting.extend(again.into_iter().map(|piece| (piece, None)));
                if repeats {
                    looked = false;
                }
                continue;
            }
            let half = piece.len() / 2;
            waiting.push((piece[half..].to_vec(), None));
            waiting.push((piece[..half].to_vec(), None));
        }
        Ok(())
    }

    /// Gives the rows whose key is there their fate; the others, and those among them that repeat
    /// a key of an earlier one.
    async fn untaken(
        &mut self,
        piece: &[usize],
    ) -> Result<(Vec<usize>, Vec<usize>), EndpointError> {
        let into = self.into;
        let mut keys = Vec::with_capacity(piece.len());
        for row in piece {
            let row = self.rows.row(*row);
            keys.push(key_of(into.key_slots(), into.table.key.iter().map(|at| row.get(*at))));
        }
        let mut present = BTreeMap::new();
        for some in piece.chunks(KEYS_MAX) {
            let values = some.iter().map(|row| {
                let row = self.rows.row(*row);
                into.table.key.iter().map(|at| row.get(*at)).collect::<Vec<_>>()
            });
            let values: Vec<_> = values.collect();
            let found =
                stored(self.session, into, &into.table.key, &values, " LOCK IN SHARE MODE").await;
            let found = found.map_err(|error| {
                self.place.failed(&format!("look up keys of `{}`", into.table.name), error)
            })?;
            present.extend(found);
        }
        let (mut fresh, mut later) = (Vec::new(), Vec::new());
        let mut seen = std::collections::BTreeSet::new();
        for (row, key) in piece.iter().zip(keys) {
            if present.contains_key(&key) {
                self.fates[*row] = Some(RowFate::Taken);
            } else if seen.insert(key) {
                fresh.push(*row);
            } else {
                later.push(*row);
            }
        }
        Ok((fresh, later))
    }
}

/// The values of some rows that passed the checks, as they are bound.
fn values(into: &Insertion, rows: &Chunk, piece: &[usize]) -> MySqlArguments {
    let mut arguments = none();
    let mut scratch = Scratch::default();
    for row in piece {
        for (slot, value) in into.slots.iter().zip(rows.row(*row).values()) {
            let param = form(slot, value, &mut scratch).expect("the row passed the checks");
            bind(&mut arguments, param);
        }
    }
    arguments
}

async fn send(
    session: &mut Session,
    into: &Insertion,
    rows: usize,
    arguments: MySqlArguments,
) -> Result<(), sqlx::Error> {
    let sql = into.sql(rows);
    // Other numbers of rows seldom come twice.
    if rows == into.rows_max || rows == 1 {
        session.run(&sql, arguments).await.map(drop)
    } else {
        session.run_once(&sql, arguments).await.map(drop)
    }
}

/// About the bytes that a row takes and its values as they are bound, or why it is not sent.
fn checked<'a>(
    into: &Insertion,
    row: Row<'a>,
    packet: usize,
    scratch: &'a mut [Scratch],
) -> Result<(usize, Vec<Param<'a>>), RowFate> {
    let table = &into.table;
    let refused = |code, column: Option<usize>, message| {
        let subject = column.map(|index| table.columns[index].name.clone());
        RowFate::Refused { code, subject, message }
    };
    // Bookkeeping, which overwrites, has keys that may hold NULL.
    let keyed = matches!(into.taken, Taken::Skip);
    if let Some(&column) = table.key.iter().find(|&&index| keyed && row.get(index).is_null()) {
        let message = "the key is NULL".to_owned();
        return Err(refused(whimbrel_endpoint::codes::KEY_NULL, Some(column), message));
    }
    let (mut bytes, mut params) = (0, Vec::with_capacity(into.slots.len()));
    let slots = into.slots.iter().zip(row.values()).zip(scratch);
    for (index, ((slot, value), scratch)) in slots.enumerate() {
        let param = form(slot, value, scratch)
            .map_err(|Refusal { code, message }| refused(code, Some(index), message))?;
        bytes += param.size();
        params.push(param);
    }
    let most = packet.saturating_sub(1024);
    if bytes > most {
        let message = format!("the row takes {bytes} bytes, a packet holds {most}");
        return Err(refused(codes::PACKET, None, message));
    }
    Ok((bytes, params))
}

/// Rows found by their key's bytes, of these columns of the table.
type Found = BTreeMap<Vec<u8>, Vec<Value>>;

/// The stored rows under these keys, compared by their bytes whatever the collation.
async fn stored(
    session: &mut Session,
    into: &Insertion,
    columns: &[usize],
    keys: &[Vec<ValueRef<'_>>],
    lock: &str,
) -> Result<Found, sqlx::Error> {
    let table = &into.table;
    let quoted = |index: &usize| WORDS.quote(&table.columns[*index].name);
    let wanted: Vec<usize> = columns
        .iter()
        .copied()
        .chain(table.key.iter().copied().filter(|index| !columns.contains(index)))
        .collect();
    let slots: Vec<&Slot> = into.key_slots().collect();
    let mut scratch = Scratch::default();
    let mut arguments = none();
    let mut asked = 0;
    for key in keys {
        // What the columns cannot hold is not in them.
        let holds = key
            .iter()
            .zip(&slots)
            .all(|(value, slot)| !value.is_null() && form(slot, *value, &mut scratch).is_ok());
        if holds {
            asked += 1;
            for (value, slot) in key.iter().zip(&slots) {
                let param = form(slot, *value, &mut scratch).expect("it was taken above");
                bind(&mut arguments, param);
            }
        }
    }
    if asked == 0 {
        return Ok(Found::new());
    }
    let names: Vec<String> = wanted.iter().map(quoted).collect();
    let sql = format!(
        "SELECT {} FROM {} WHERE {}{lock}",
        names.join(", "),
        WORDS.table(&table.name),
        among(table, asked)
    );
    let rows = if asked == KEYS_MAX || asked == 1 {
        session.rows(&sql, arguments).await?
    } else {
        session.rows_once(&sql, arguments).await?
    };
    let kinds: Vec<Kind> = wanted.iter().map(|index| table.columns[*index].kind).collect();
    let chunk = super::read::chunk(&rows, &kinds);
    let place = |index: &usize| wanted.iter().position(|at| at == index).expect("keys are wanted");
    let places: Vec<usize> = table.key.iter().map(place).collect();
    Ok(chunk
        .rows()
        .map(|row| {
            let key = key_of(slots.iter().copied(), places.iter().map(|at| row.get(*at)));
            let values = row.values().take(columns.len()).map(ValueRef::to_owned).collect();
            (key, values)
        })
        .collect())
}

/// `(a, b) IN ((?, ?), …)`
fn among(table: &Table, keys: usize) -> String {
    let names: Vec<String> = key_names(table).map(|name| WORDS.quote(name)).collect();
    let one = match names.len() {
        1 => "?".to_owned(),
        many => format!("({})", vec!["?"; many].join(", ")),
    };
    let left = if names.len() == 1 { names[0].clone() } else { format!("({})", names.join(", ")) };
    format!("{left} IN ({})", vec![one; keys].join(", "))
}

/// A key as bytes that are equal exactly where the column would hold equal values.
fn key_of<'a>(
    slots: impl Iterator<Item = &'a Slot>,
    values: impl Iterator<Item = ValueRef<'a>>,
) -> Vec<u8> {
    let mut key = Vec::new();
    let mut scratch = Scratch::default();
    for (slot, value) in slots.zip(values) {
        let (tag, bytes): (u8, std::borrow::Cow<'_, [u8]>) = match form(slot, value, &mut scratch) {
            Err(_) => (0, value.to_string().into_bytes().into()),
            Ok(Param::Null) => (1, Vec::new().into()),
            Ok(Param::Int(value)) => (2, i128::from(value).to_be_bytes().to_vec().into()),
            Ok(Param::Unsigned(value)) => (2, i128::from(value).to_be_bytes().to_vec().into()),
            Ok(Param::Double(value)) => (3, value.to_be_bytes().to_vec().into()),
            Ok(Param::Text(text)) if matches!(slot.shape, Shape::Decimal { .. }) => {
                let plain =
                    Decimal::parse(text).ok().and_then(|number| number.to_plain_string(200));
                (4, plain.unwrap_or_default().into_bytes().into())
            }
            Ok(Param::Text(text)) => (5, text.as_bytes().into()),
            Ok(Param::Bytes(bytes)) => (6, bytes.into()),
        };
        key.push(tag);
        key.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        key.extend_from_slice(&bytes);
    }
    key
}

/// The rows under these keys with all columns, in the order of the keys; they stay locked.
pub(crate) async fn read_for_update(
    session: &mut Session,
    from: &Insertion,
    keys: &Chunk,
    place: &Place,
) -> Result<Vec<Option<Vec<Value>>>, EndpointError> {
    let columns: Vec<usize> = (0..from.table.columns.len()).collect();
    let mut answer = Vec::with_capacity(keys.len());
    let all: Vec<Vec<ValueRef<'_>>> = keys.rows().map(|row| row.values().collect()).collect();
    for some in all.chunks(KEYS_MAX) {
        let found = stored(session, from, &columns, some, " FOR UPDATE")
            .await
            .map_err(|error| place.failed(&format!("read `{}`", from.table.name), error))?;
        answer.extend(
            some.iter()
                .map(|key| found.get(&key_of(from.key_slots(), key.iter().copied())).cloned()),
        );
    }
    Ok(answer)
}

/// Inserts or overwrites bookkeeping rows by their key.
pub(crate) async fn put(
    session: &mut Session,
    into: &Insertion,
    rows: &Chunk,
    place: &Place,
) -> Result<(), EndpointError> {
    let mut pieces = Pieces::new(into, rows, session.server.packet);
    while let Some(Piece { rows, arguments }) = pieces.next() {
        pieces.none_refused()?;
        send(session, into, rows.len(), arguments)
            .await
            .map_err(|error| place.failed(&format!("write to `{}`", into.table.name), error))?;
    }
    pieces.none_refused()
}

/// Overwrites rows by their key; each must be there. A statement takes one row, so that one which is
/// refused leaves nothing to be looked for.
pub(crate) async fn update(
    session: &mut Session,
    into: &Insertion,
    rows: &Chunk,
    place: &Place,
) -> Result<Vec<RowFate>, EndpointError> {
    let table = &into.table;
    let all_key = table.key.len() == table.columns.len();
    let sets: Vec<usize> =
        if all_key { table.key.clone() } else { crate::dialect::rest(table).collect() };
    let assignments: Vec<String> = sets
        .iter()
        .map(|index| format!("{} = ?", WORDS.quote(&table.columns[*index].name)))
        .collect();
    let sql = format!(
        "UPDATE {} SET {} WHERE {}",
        WORDS.table(&table.name),
        assignments.join(", "),
        by_key(into)
    );
    let mut scratch: Vec<Scratch> = into.slots.iter().map(|_slot| Scratch::default()).collect();
    let mut fates = Vec::with_capacity(rows.len());
    for row in rows.rows() {
        let params = match checked(into, row, session.server.packet, &mut scratch) {
            Ok((_, params)) => params,
            Err(fate) => {
                fates.push(fate);
                continue;
            }
        };
        let mut arguments = none();
        sets.iter().for_each(|index| bind(&mut arguments, params[*index]));
        for (index, collated) in table.key.iter().zip(&into.collated) {
            bind(&mut arguments, params[*index]);
            if *collated {
                bind(&mut arguments, params[*index]);
            }
        }
        fates.push(match session.run(&sql, arguments).await {
            Ok(1) => RowFate::Updated,
            Ok(_) => return Err(gone(table, row)),
            Err(error) => match fault::refusal(&error) {
                Some((code, subject, message)) => RowFate::Refused { code, subject, message },
                None => return Err(place.failed(&format!("update `{}`", table.name), error)),
            },
        });
    }
    Ok(fates)
}

fn gone(table: &Table, row: Row<'_>) -> EndpointError {
    let shown: Vec<String> = table
        .key
        .iter()
        .map(|index| row.get(*index).to_string().chars().take(80).collect())
        .collect();
    EndpointError::new(
        ErrorClass::Changed,
        whimbrel_endpoint::codes::ROW_GONE,
        format!("no row to overwrite in `{}` under its key: `{}`", table.name, shown.join(", ")),
    )
}

/// Removes the rows under these keys; returns how many there were.
pub(crate) async fn remove(
    session: &mut Session,
    from: &Insertion,
    keys: &Chunk,
    place: &Place,
) -> Result<u64, EndpointError> {
    let table = &from.table;
    let sql = format!("DELETE FROM {} WHERE {}", WORDS.table(&table.name), by_key(from));
    let mut scratch = Scratch::default();
    let mut count = 0;
    for key in keys.rows() {
        let mut arguments = none();
        if bind_key(&mut arguments, from, key.values(), &mut scratch).is_err() {
            // What the columns cannot hold is not in them.
            continue;
        }
        count += session
            .run(&sql, arguments)
            .await
            .map_err(|error| place.failed(&format!("delete from `{}`", table.name), error))?;
    }
    Ok(count)
}

/// `a = ? AND CAST(a AS BINARY) = ?`: the index finds the row, its bytes decide.
fn by_key(into: &Insertion) -> String {
    let terms: Vec<String> = key_names(&into.table)
        .zip(&into.collated)
        .map(|(name, collated)| {
            let name = WORDS.quote(name);
            if *collated {
                format!("{name} = ? AND CAST({name} AS BINARY) = ?")
            } else {
                format!("{name} = ?")
            }
        })
        .collect();
    terms.join(" AND ")
}

fn bind_key<'a>(
    arguments: &mut MySqlArguments,
    into: &Insertion,
    key: impl Iterator<Item = ValueRef<'a>>,
    scratch: &mut Scratch,
) -> Result<(), (usize, Refusal)> {
    for ((index, value), collated) in into.table.key.iter().zip(key).zip(&into.collated) {
        let slot = &into.slots[*index];
        let param = form(slot, value, scratch).map_err(|refusal| (*index, refusal))?;
        bind(arguments, param);
        if *collated {
            bind(arguments, param);
        }
    }
    Ok(())
}

/// The next number of a table's counter, where it has one: InnoDB lets it follow what is written.
pub(crate) async fn counter(
    session: &mut Session,
    facts: &Facts,
    table: &str,
) -> Result<Option<String>, sqlx::Error> {
    let Some(column) = facts.counter() else { return Ok(None) };
    let (schema, name) = WORDS.place(table);
    let rows = session
        .rows(
            "SELECT auto_increment FROM information_schema.tables \
             WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ?",
            bound([schema.as_deref().map_or(Param::Null, Param::Text), Param::Text(&name)]),
        )
        .await?;
    let next = rows.first().and_then(|row| decode::integer(row, 0));
    Ok(next.map(|next| format!("{column} = {next}")))
}

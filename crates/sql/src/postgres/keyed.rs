//! Sets of rows by their keys: one statement each, the rows bound as a list for each column.

use std::collections::HashMap;

use whimbrel_endpoint::{EndpointError, ErrorClass, RowFate};
use whimbrel_model::wce::RowLayout;
use whimbrel_model::{Chunk, Table, Value, ValueRef};

use super::catalogue::{Facts, Slot};
use super::encode::{self, Refusal};
use super::fault;
use super::link::{Bound, Kept, Link, types, value};
use super::read::{is_flat, list, no_column, typed};
use super::write::{Savepoint, halve, skipped};
use crate::codes;
use crate::dialect::{Dialect, rest};

const WORDS: Dialect = Dialect::Postgres;

/// Rows of one statement at most: its lists are built in memory.
pub(crate) const ROWS_MAX: usize = 20_000;

/// The columns of a table as the catalogue knows them.
pub(crate) fn slots<'f>(facts: &'f Facts, table: &Table) -> Result<Vec<&'f Slot>, EndpointError> {
    let slot = |column: &whimbrel_model::Column| {
        facts.slot(&column.name).ok_or_else(|| no_column(&table.name, &column.name))
    };
    table.columns.iter().map(slot).collect()
}

/// A column of the bound rows, cast where the server has to read it.
fn given(slot: &Slot, index: usize) -> String {
    if is_flat(slot) { format!("s.c{index}") } else { format!("s.c{index}::{}", slot.spelled) }
}

/// `unnest($1, $2) WITH ORDINALITY AS s(c0, c1, n)`: the bound rows, numbered from 1.
pub(crate) fn bound_rows(count: usize) -> String {
    let list = |part: &dyn Fn(usize) -> String| (0..count).map(part).collect::<Vec<_>>().join(", ");
    format!(
        "unnest({}) WITH ORDINALITY AS s({}, n)",
        list(&|index| format!("${}", index + 1)),
        list(&|index| format!("c{index}"))
    )
}

fn matches(table: &Table, slots: &[&Slot], key_at: impl Fn(usize) -> usize) -> String {
    let terms: Vec<String> = table
        .key
        .iter()
        .enumerate()
        .map(|(place, &index)| {
            let slot = slots[index];
            format!("t.{} = {}", WORDS.quote(&slot.name), given(slot, key_at(place)))
        })
        .collect();
    terms.join(" AND ")
}

fn refused(doing: &str, table: &Table, column: &str, refusal: &Refusal) -> EndpointError {
    EndpointError::new(
        ErrorClass::Data,
        refusal.code,
        format!("{doing} `{}`: {} (column `{column}`)", table.name, refusal.message),
    )
}

/// The lists of all columns, of the rows at these indexes.
fn lists(
    doing: &str,
    table: &Table,
    slots: &[&Slot],
    rows: &Chunk,
    indexes: &[usize],
) -> Result<Vec<Bound>, EndpointError> {
    listed(slots, rows, indexes)
        .map_err(|(column, refusal)| refused(doing, table, &slots[column].name, &refusal))
}

/// The same, or the column that cannot hold one of the values.
fn listed(
    slots: &[&Slot],
    rows: &Chunk,
    indexes: &[usize],
) -> Result<Vec<Bound>, (usize, Refusal)> {
    slots
        .iter()
        .enumerate()
        .map(|(column, slot)| {
            list(slot, indexes.iter().map(|&row| rows.row(row).get(column)))
                .map_err(|refusal| (column, refusal))
        })
        .collect()
}

/// Inserts rows, or overwrites those whose keys are there; of two with the same key the last counts.
pub(crate) async fn put(
    link: &mut Link,
    facts: &Facts,
    table: &Table,
    rows: &Chunk,
) -> Result<(), EndpointError> {
    let slots = slots(facts, table)?;
    let columns: Vec<String> = slots.iter().map(|slot| WORDS.quote(&slot.name)).collect();
    let values: Vec<String> =
        slots.iter().enumerate().map(|(index, slot)| given(slot, index)).collect();
    let mut sql = format!(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} ORDER BY s.n",
        WORDS.table(&table.name),
        columns.join(", "),
        values.join(", "),
        bound_rows(slots.len())
    );
    if !table.key.is_empty() {
        let key: Vec<&str> = table.key.iter().map(|&index| columns[index].as_str()).collect();
        let sets: Vec<String> = rest(table)
            .map(|index| format!("{name} = excluded.{name}", name = columns[index]))
            .collect();
        sql.push_str(&format!(" ON CONFLICT ({}) DO ", key.join(", ")));
        if sets.is_empty() {
            sql.push_str("NOTHING");
        } else {
            sql.push_str(&format!("UPDATE SET {}", sets.join(", ")));
        }
    }
    let doing = "write to";
    for indexes in last_of_each(table, rows).chunks(ROWS_MAX) {
        let binds = lists(doing, table, &slots, rows, indexes)?;
        if let Err(error) = link.change(&sql, binds, Kept::Yes).await {
            return Err(link.told(&format!("{doing} `{}`", table.name), error));
        }
    }
    Ok(())
}

/// Indexes of the rows, without those whose key comes again later.
fn last_of_each(table: &Table, rows: &Chunk) -> Vec<usize> {
    if table.key.is_empty() || rows.len() < 2 {
        return (0..rows.len()).collect();
    }
    let layout = RowLayout::of_keys(table);
    let mut last: HashMap<Vec<u8>, usize> = HashMap::with_capacity(rows.len());
    for (index, row) in rows.rows().enumerate() {
        let mut key = Vec::new();
        layout.encode(&mut key, |column| row.get(column));
        last.insert(key, index);
    }
    let mut indexes: Vec<usize> = last.into_values().collect();
    indexes.sort_unstable();
    indexes
}

/// Overwrites the rows under their keys; every one must be there. Those that are refused are found by
/// halves, each attempt behind a savepoint.
pub(crate) async fn update(
    link: &mut Link,
    savepoint: &mut Savepoint,
    facts: &Facts,
    table: &Table,
    rows: &Chunk,
) -> Result<Vec<RowFate>, EndpointError> {
    let slots = slots(facts, table)?;
    let sql = overwrite(table, &slots);
    let mut fates: Vec<Option<RowFate>> = vec![None; rows.len()];
    let all: Vec<usize> = (0..rows.len()).collect();
    let mut open: Vec<Vec<usize>> = all.chunks(ROWS_MAX).rev().map(<[usize]>::to_vec).collect();
    while let Some(places) = open.pop() {
        let fate = match listed(&slots, rows, &places) {
            Ok(binds) => match attempt(link, savepoint, table, &sql, binds).await? {
                Attempt::Changed(count) if count == places.len() as u64 => RowFate::Updated,
                Attempt::Changed(_) => {
                    savepoint.undo(link, &doing_update(table)).await?;
                    gone(link, facts, table, rows, &places).await?;
                    skipped()
                }
                Attempt::Refused(fate) => fate,
            },
            Err((column, Refusal { code, message })) => {
                RowFate::Refused { code, subject: Some(slots[column].name.clone()), message }
            }
        };
        if fate == RowFate::Updated || places.len() == 1 {
            places.iter().for_each(|row| fates[*row] = Some(fate.clone()));
        } else {
            halve(&places, &mut open);
        }
    }
    Ok(fates.into_iter().map(|fate| fate.expect("every row was decided on")).collect())
}

fn doing_update(table: &Table) -> String {
    format!("update `{}`", table.name)
}

fn overwrite(table: &Table, slots: &[&Slot]) -> String {
    let mut sets: Vec<usize> = rest(table).collect();
    if sets.is_empty() {
        sets.clone_from(&table.key);
    }
    let sets: Vec<String> = sets
        .into_iter()
        .map(|index| {
            format!("{} = {}", WORDS.quote(&slots[index].name), given(slots[index], index))
        })
        .collect();
    format!(
        "UPDATE {} AS t SET {} FROM {} WHERE {}",
        WORDS.table(&table.name),
        sets.join(", "),
        bound_rows(slots.len()),
        matches(table, slots, |place| table.key[place])
    )
}

/// What came of an attempt to overwrite rows.
enum Attempt {
    /// So many.
    Changed(u64),
    /// None: the server refused one of them.
    Refused(RowFate),
}

async fn attempt(
    link: &mut Link,
    savepoint: &mut Savepoint,
    table: &Table,
    sql: &str,
    binds: Vec<Bound>,
) -> Result<Attempt, EndpointError> {
    let doing = doing_update(table);
    savepoint.set(link, &doing).await?;
    let error = match link.change(sql, binds, Kept::Yes).await {
        Ok(count) => return Ok(Attempt::Changed(count)),
        Err(error) => error,
    };
    match fault::fate(&error).filter(|_| !link.lost) {
        Some(fate) => savepoint.undo(link, &doing).await.map(|()| Attempt::Refused(fate)),
        None => Err(link.told(&doing, error)),
    }
}

/// An error that names a row which should have been there, if one is missing.
async fn gone(
    link: &mut Link,
    facts: &Facts,
    table: &Table,
    rows: &Chunk,
    indexes: &[usize],
) -> Result<(), EndpointError> {
    let mut keys = whimbrel_model::ChunkBuilder::new(table.key.len());
    for &index in indexes {
        table.key.iter().for_each(|&column| keys.push(rows.row(index).get(column)));
        keys.end_row();
    }
    let keys = keys.finish();
    let found = read(link, facts, table, &keys, "").await?;
    let Some(missing) = found.iter().position(Option::is_none) else { return Ok(()) };
    let shown: Vec<String> = keys
        .row(missing)
        .values()
        .map(|value| value.to_string().chars().take(80).collect())
        .collect();
    Err(EndpointError::new(
        ErrorClass::Changed,
        whimbrel_endpoint::codes::ROW_GONE,
        format!("no row to overwrite in `{}` under its key: `{}`", table.name, shown.join(", ")),
    ))
}

/// Removes the rows under these keys; returns how many there were.
pub(crate) async fn remove(
    link: &mut Link,
    facts: &Facts,
    table: &Table,
    keys: &Chunk,
) -> Result<u64, EndpointError> {
    let all = slots(facts, table)?;
    let slots: Vec<&Slot> = table.key.iter().map(|&index| all[index]).collect();
    let sql = format!(
        "DELETE FROM {} AS t USING {} WHERE {}",
        WORDS.table(&table.name),
        bound_rows(slots.len()),
        matches(table, &all, |place| place)
    );
    let doing = "delete from";
    let mut count = 0;
    let indexes: Vec<usize> =
        (0..keys.len()).filter(|&row| are_holdable(&slots, keys, row)).collect();
    for indexes in indexes.chunks(ROWS_MAX) {
        let binds = lists(doing, table, &slots, keys, indexes)?;
        match link.change(&sql, binds, Kept::Yes).await {
            Ok(changed) => count += changed,
            Err(error) => return Err(link.told(&format!("{doing} `{}`", table.name), error)),
        }
    }
    Ok(count)
}

/// What its column cannot hold is not in it.
fn are_holdable(slots: &[&Slot], keys: &Chunk, row: usize) -> bool {
    keys.row(row).values().zip(slots).all(|(value, slot)| {
        !value.is_null() && encode::encode(&slot.form, value, &mut Vec::new()).is_ok()
    })
}

/// The rows under these keys, locked; `None` where there is none.
pub(crate) async fn read_for_update(
    link: &mut Link,
    facts: &Facts,
    table: &Table,
    keys: &Chunk,
) -> Result<Vec<Option<Vec<Value>>>, EndpointError> {
    read(link, facts, table, keys, " FOR UPDATE OF t").await
}

async fn read(
    link: &mut Link,
    facts: &Facts,
    table: &Table,
    keys: &Chunk,
    lock: &str,
) -> Result<Vec<Option<Vec<Value>>>, EndpointError> {
    let all = slots(facts, table)?;
    let slots: Vec<&Slot> = table.key.iter().map(|&index| all[index]).collect();
    let columns: Vec<String> = all
        .iter()
        .map(|slot| {
            let spelled = if slot.form == super::form::Form::Spelled { "::text" } else { "" };
            format!("t.{}{spelled}", WORDS.quote(&slot.name))
        })
        .collect();
    let sql = format!(
        "SELECT s.n, {} FROM {} JOIN {} AS t ON {}{lock}",
        columns.join(", "),
        bound_rows(slots.len()),
        WORDS.table(&table.name),
        matches(table, &all, |place| place)
    );
    let doing = format!("read `{}`", table.name);
    let mut found = vec![None; keys.len()];
    let indexes: Vec<usize> =
        (0..keys.len()).filter(|&row| are_holdable(&slots, keys, row)).collect();
    for indexes in indexes.chunks(ROWS_MAX) {
        let binds = lists("read", table, &slots, keys, indexes)?;
        let rows = match link.ask(&sql, binds, Kept::Yes).await {
            Ok(rows) => rows,
            Err(error) => return Err(link.told(&doing, error)),
        };
        let Some(first) = rows.first() else { continue };
        let forms = link.forms(&doing, &types(first)).await?;
        let mut spelled = String::new();
        for row in &rows {
            let mut cell = |index: usize, forms: &[super::form::Form]| {
                value(row, index, &forms[index], &mut spelled).map(ValueRef::to_owned)
            };
            let number = match cell(0, &forms) {
                Ok(number) => number.as_int().unwrap_or(0),
                Err(damaged) => return Err(link.damaged(&doing, damaged)),
            };
            let mut values = Vec::with_capacity(table.columns.len());
            for (index, column) in table.columns.iter().enumerate() {
                match cell(index + 1, &forms) {
                    Ok(value) => values.push(typed(column.kind, value.as_ref())),
                    Err(damaged) => return Err(link.damaged(&doing, damaged)),
                }
            }
            let place = usize::try_from(number - 1).ok().and_then(|at| indexes.get(at));
            if let Some(place) = place.and_then(|place| found.get_mut(*place)) {
                *place = Some(values);
            }
        }
    }
    Ok(found)
}

/// An error unless the table has a key.
pub(crate) fn keyed(table: &Table) -> Result<(), EndpointError> {
    if !table.key.is_empty() {
        return Ok(());
    }
    Err(EndpointError::new(
        ErrorClass::Configuration,
        codes::KEY_NOT_UNIQUE,
        format!("the table has no key to find rows by: `{}`", table.name),
    ))
}

/// An error unless rows have so many values.
pub(crate) fn fits(width: usize, rows: &Chunk) -> Result<(), EndpointError> {
    if rows.is_empty() || rows.width() == width {
        return Ok(());
    }
    Err(EndpointError::new(
        ErrorClass::Configuration,
        whimbrel_endpoint::codes::MISSING,
        format!("rows of {} values for {width} columns", rows.width()),
    ))
}

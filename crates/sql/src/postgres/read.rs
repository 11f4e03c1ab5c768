//! Reading rows: questions with bound values in, chunks of typed values out.

use sqlx::postgres::PgRow;
use whimbrel_endpoint::{Condition, EndpointError, ErrorClass, Operator, Query};
use whimbrel_model::decimal::Decimal;
use whimbrel_model::{Chunk, ChunkBuilder, Kind, Value, ValueRef};

use super::catalogue::{Facts, Slot};
use super::encode::{self, Refusal};
use super::form::Form;
use super::link::{Bound, Kept, Link, types, value};
use crate::dialect::{Bind, Dialect, Statement};

const WORDS: Dialect = Dialect::Postgres;

/// An error for a table that is not there.
pub(crate) fn no_table(table: &str) -> EndpointError {
    let (code, what) = if WORDS.is_ledger(table) {
        (whimbrel_endpoint::codes::NO_LEDGER, "the ledger is not there")
    } else {
        (whimbrel_endpoint::codes::MISSING, "the target has no such table")
    };
    EndpointError::new(ErrorClass::Configuration, code, format!("{what}: `{table}`"))
}

/// An error for a column that is not there.
pub(crate) fn no_column(table: &str, column: &str) -> EndpointError {
    EndpointError::new(
        ErrorClass::Configuration,
        whimbrel_endpoint::codes::MISSING,
        format!("the target has no such column: `{table}.{column}`"),
    )
}

fn refused(doing: &str, refusal: &Refusal) -> EndpointError {
    EndpointError::new(ErrorClass::Data, refusal.code, format!("{doing}: {}", refusal.message))
}

/// The rows of a query.
pub(crate) async fn select(
    link: &mut Link,
    facts: &Facts,
    query: &Query,
    kept: Kept,
) -> Result<Chunk, EndpointError> {
    let doing = format!("read rows of `{}`", query.table);
    let wanted: Vec<&Slot> = query
        .columns
        .iter()
        .map(|name| facts.slot(name).ok_or_else(|| no_column(&query.table, name)))
        .collect::<Result<_, _>>()?;
    for (name, _) in &query.order {
        facts.slot(name).ok_or_else(|| no_column(&query.table, name))?;
    }
    let query = holdable(facts, query)?;
    let mut statement = WORDS.select(&query, &is_text(facts));
    if wanted.iter().any(|slot| slot.form == Form::Spelled) {
        statement.sql = spelled_by_the_server(&wanted, &statement.sql);
    }
    let binds = binds(&doing, facts, &query.conditions, &statement)?;
    let rows = match link.ask(&statement.sql, binds, kept).await {
        Ok(rows) => rows,
        Err(error) => return Err(link.told(&doing, error)),
    };
    chunk(link, &doing, query.columns.len(), &rows).await
}

/// Deletes rows; returns how many.
pub(crate) async fn delete(
    link: &mut Link,
    facts: &Facts,
    query: &Query,
) -> Result<u64, EndpointError> {
    let doing = format!("delete rows of `{}`", query.table);
    let query = holdable(facts, query)?;
    let statement = WORDS.delete(&query, &is_text(facts));
    let binds = binds(&doing, facts, &query.conditions, &statement)?;
    match link.change(&statement.sql, binds, Kept::Yes).await {
        Ok(count) => Ok(count),
        Err(error) => Err(link.told(&doing, error)),
    }
}

/// Rows as a chunk of so many columns.
pub(crate) async fn chunk(
    link: &mut Link,
    doing: &str,
    width: usize,
    rows: &[PgRow],
) -> Result<Chunk, EndpointError> {
    let mut chunk = ChunkBuilder::new(width);
    let Some(first) = rows.first() else { return Ok(chunk.finish()) };
    let forms = link.forms(doing, &types(first)).await?;
    let mut spelled = String::new();
    for row in rows {
        for (index, form) in forms.iter().enumerate() {
            match value(row, index, form, &mut spelled) {
                Ok(value) => chunk.push(value),
                Err(damaged) => return Err(link.damaged(doing, damaged)),
            }
        }
        chunk.end_row();
    }
    Ok(chunk.finish())
}

/// A value that was read, as a column of this kind has it: wide integers are numerics here.
pub(crate) fn typed(kind: Kind, value: ValueRef<'_>) -> Value {
    match (kind, value) {
        (Kind::Int(_), ValueRef::Decimal(text)) => Decimal::parse(text)
            .ok()
            .and_then(|number| number.to_i128_exact())
            .map_or_else(|| value.to_owned(), Value::Int),
        (_, _) => value.to_owned(),
    }
}

/// Columns whose types have no binary form of ours, through the server's own spelling.
fn spelled_by_the_server(wanted: &[&Slot], sql: &str) -> String {
    let columns: Vec<String> = wanted
        .iter()
        .map(|slot| {
            let name = WORDS.quote(&slot.name);
            if slot.form == Form::Spelled { format!("{name}::text AS {name}") } else { name }
        })
        .collect();
    format!("SELECT {} FROM ({sql}) AS q", columns.join(", "))
}

fn is_text(facts: &Facts) -> impl Fn(&str) -> bool {
    |name: &str| facts.slot(name).is_some_and(|slot| slot.collates)
}

/// The query without values that its columns cannot hold: nothing is equal to them.
fn holdable(facts: &Facts, query: &Query) -> Result<Query, EndpointError> {
    let mut query = query.clone();
    let is_ledger = WORDS.is_ledger(&query.table);
    for condition in &mut query.conditions {
        let slot = facts
            .slot(&condition.column)
            .ok_or_else(|| no_column(&query.table, &condition.column))?;
        if is_ledger {
            condition.values.iter_mut().for_each(without_nul);
        }
        match condition.operator {
            Operator::Is if condition.values.iter().any(|value| !holds(slot, value)) => {
                condition.operator = Operator::In;
                condition.values.clear();
            }
            Operator::In => condition.values.retain(|value| holds(slot, value)),
            Operator::Is | Operator::IsNot | Operator::Above | Operator::AtMost => {}
        }
    }
    Ok(query)
}

fn holds(slot: &Slot, value: &Value) -> bool {
    value.as_ref().is_null() || encode::encode(&slot.form, value.as_ref(), &mut Vec::new()).is_ok()
}

/// The ledger's text is for people: a NUL, which PostgreSQL does not hold, is shown as `␀`.
fn without_nul(value: &mut Value) {
    if let Value::Text(text) = value
        && text.contains('\0')
    {
        *text = text.replace('\0', "␀");
    }
}

/// The rows as the ledger's tables hold them; see [`without_nul`].
pub(crate) fn for_ledger(table: &str, rows: &Chunk) -> Option<Chunk> {
    let has_nul =
        |value: ValueRef<'_>| matches!(value, ValueRef::Text(text) if text.contains('\0'));
    if !WORDS.is_ledger(table) || !rows.rows().any(|row| row.values().any(has_nul)) {
        return None;
    }
    let mut chunk = ChunkBuilder::new(rows.width());
    for row in rows.rows() {
        for value in row.values() {
            let mut value = value.to_owned();
            without_nul(&mut value);
            chunk.push(value.as_ref());
        }
        chunk.end_row();
    }
    Some(chunk.finish())
}

/// What is bound: each condition by its column's type, the limit as it is.
fn binds(
    doing: &str,
    facts: &Facts,
    conditions: &[Condition],
    statement: &Statement,
) -> Result<Vec<Bound>, EndpointError> {
    let is_bound = |condition: &&Condition| {
        let null = || condition.values.first().is_none_or(|value| value.as_ref().is_null());
        match condition.operator {
            Operator::Is | Operator::IsNot => !null(),
            Operator::In | Operator::Above | Operator::AtMost => true,
        }
    };
    let mut slots =
        conditions.iter().filter(is_bound).filter_map(|condition| facts.slot(&condition.column));
    let mut bound = Vec::with_capacity(statement.binds.len());
    for bind in &statement.binds {
        let slot = slots.next();
        bound.push(match (bind, slot) {
            (Bind::One(value), Some(slot)) => {
                one(slot, value.as_ref()).map_err(|refusal| refused(doing, &refusal))?
            }
            (Bind::List(values), Some(slot)) => list(slot, values.iter().map(Value::as_ref))
                .map_err(|refusal| refused(doing, &refusal))?,
            (Bind::One(limit), None) => Bound::int(limit.as_int().unwrap_or(0) as i64),
            (Bind::List(_), None) => {
                unreachable!("a list belongs to a condition, and each condition to a column")
            }
        });
    }
    Ok(bound)
}

/// A value for a placeholder of the column's type.
fn one(slot: &Slot, value: ValueRef<'_>) -> Result<Bound, Refusal> {
    let mut bytes = Vec::new();
    encode::encode(&slot.form, value, &mut bytes)?;
    let oid = if slot.form == Form::Spelled { 25 } else { slot.oid };
    Ok(Bound { oid, bytes: (!value.is_null()).then_some(bytes) })
}

/// A list for a placeholder of the column's array type.
pub(crate) fn list<'a>(
    slot: &Slot,
    values: impl ExactSizeIterator<Item = ValueRef<'a>>,
) -> Result<Bound, Refusal> {
    let (element, list) = if is_flat(slot) { (slot.oid, slot.list_oid) } else { (25, 1009) };
    let form = if is_flat(slot) { &slot.form } else { &Form::Text(None) };
    let bytes = encode::list(form, element, values)?;
    Ok(Bound { oid: list, bytes: Some(bytes) })
}

/// Whether a list of the column's values is an array of its type: not where that is an array
/// itself, nor where the server has to read text.
pub(crate) fn is_flat(slot: &Slot) -> bool {
    slot.list_oid != 0 && !matches!(slot.form, Form::Array { .. } | Form::Spelled)
}

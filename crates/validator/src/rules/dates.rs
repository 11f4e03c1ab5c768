//! `dates`: days and instants that cannot be.

use std::cmp::Ordering;

use whimbrel_model::plan::{At, TODAY, quantity};
use whimbrel_model::{Date, ValueRef};

use super::rows::Subject;
use super::{Tally, Trouble, shown};
use crate::order;

/// The day that a bound of the plan means.
pub(super) fn bound(text: Option<&At<String>>, today: Date) -> Option<Date> {
    let text = text?;
    if text.value == TODAY { Some(today) } else { quantity::day(&text.value) }
}

pub(super) async fn find(
    subject: &Subject<'_>,
    columns: &[At<String>],
    (first, last): (Option<Date>, Option<Date>),
    span: Option<&(At<String>, At<String>)>,
) -> Result<Tally, Trouble> {
    let mut wanted: Vec<&str> = columns.iter().map(|column| column.value.as_str()).collect();
    let ends = span.map(|(start, end)| [start.value.as_str(), end.value.as_str()]);
    wanted.extend(ends.into_iter().flatten());
    let mut opened = subject.open(&wanted).await?;
    let (told, hides) = (opened.told(), subject.hides());
    let mut tally = Tally::over_rows();
    while let Some(chunk) = opened.feed.next().await? {
        tally.looked_at(chunk.len());
        for row in chunk.rows() {
            let outside = columns.iter().enumerate().find_map(|(index, column)| {
                let value = row.get(index);
                let why = amiss(value, first, last)?;
                let value = if hides { shown::MASK.to_owned() } else { shown::value(value) };
                Some(format!("{}={value} {why}", shown::text(&column.value)))
            });
            let turned = || {
                span?;
                let (start, end) = (row.get(columns.len()), row.get(columns.len() + 1));
                let is_turned = !start.is_null() && !end.is_null() && is_behind(start, end);
                let told = |value| if hides { shown::MASK.to_owned() } else { shown::value(value) };
                is_turned.then(|| format!("{} is behind {}", told(start), told(end)))
            };
            if let Some(what) = outside.or_else(turned) {
                tally.violated(|| {
                    let who = opened.who.shown(told.clone().map(|index| row.get(index)));
                    format!("{who}: {what}")
                });
            }
        }
    }
    Ok(tally)
}

/// What is wrong with a day; NULL is no day, and not wrong.
fn amiss(value: ValueRef<'_>, first: Option<Date>, last: Option<Date>) -> Option<&'static str> {
    if value.is_null() {
        return None;
    }
    let Some(day) = day(value) else { return Some("is no day") };
    if first.is_some_and(|first| day < first) {
        return Some("is too early");
    }
    last.is_some_and(|last| day > last).then_some("is too late")
}

/// The day of a value, of instants by UTC; of text its first ten characters, `1990-01-31`.
fn day(value: ValueRef<'_>) -> Option<Date> {
    match value {
        ValueRef::Date(day) => Some(day),
        ValueRef::Timestamp(at) | ValueRef::TimestampTz(at) => Some(at.date()),
        ValueRef::Text(text) => {
            let (day, rest) = text.split_at_checked(10)?;
            let fits = rest.is_empty() || rest.starts_with(['T', ' ']);
            fits.then(|| quantity::day(day))?
        }
        ValueRef::Null
        | ValueRef::Bool(_)
        | ValueRef::Int(_)
        | ValueRef::Decimal(_)
        | ValueRef::Float(_)
        | ValueRef::Bytes(_)
        | ValueRef::Time(_)
        | ValueRef::Uuid(_)
        | ValueRef::Json(_) => None,
    }
}

/// Whether a beginning is behind its end. Values of different sorts are compared by their days.
fn is_behind(start: ValueRef<'_>, end: ValueRef<'_>) -> bool {
    let is_same = std::mem::discriminant(&start) == std::mem::discriminant(&end);
    if is_same {
        return order::compare(start, end) == Ordering::Greater;
    }
    match (day(start), day(end)) {
        (Some(start), Some(end)) => start > end,
        (_, _) => order::compare(start, end) == Ordering::Greater,
    }
}

//! `overlaps`: rows of one group whose times overlap, sorted by group and beginning.

use whimbrel_model::plan::At;
use whimbrel_model::{Value, ValueRef};

use super::rows::{Cursor, Subject};
use super::{Tally, Trouble};
use crate::order;
use crate::sorter::{Room, Sorter};

/// The latest end that a group has had; `None` in it has no end.
struct Latest {
    group: Vec<Value>,
    end: Option<Value>,
}

pub(super) async fn find(
    subject: &Subject<'_>,
    by: &[At<String>],
    start: &At<String>,
    end: &At<String>,
    room: &Room,
) -> Result<Tally, Trouble> {
    let mut wanted: Vec<&str> = by.iter().map(|column| column.value.as_str()).collect();
    wanted.extend([start.value.as_str(), end.value.as_str()]);
    let (from, until) = (by.len(), by.len() + 1);
    subject.are_alike(&start.value, &end.value).await?;
    let mut opened = subject.open(&wanted).await?;
    let (width, told) = (opened.width(), opened.told());
    let key: Vec<usize> = (0..=from).collect();
    let mut sorter = Sorter::new(room.clone(), width, &key);
    let mut tally = Tally::over_rows();
    while let Some(chunk) = opened.feed.next().await? {
        tally.looked_at(chunk.len());
        for row in chunk.rows() {
            let counts = key.iter().all(|&index| !row.get(index).is_null());
            // What ends where it begins, or before, takes no time: `dates` finds it.
            let takes_time =
                row.get(until).is_null() || order::compare(row.get(from), row.get(until)).is_lt();
            if counts && takes_time {
                sorter.push(row)?;
            }
        }
    }
    let mut rows = Cursor::over(sorter.finish()?, width);
    let mut latest: Option<Latest> = None;
    while let Some(row) = rows.row().await? {
        let is_same = |latest: &&mut Latest| {
            let pairs = latest.group.iter().zip(row.values());
            pairs.into_iter().all(|(own, other)| order::compare(own.as_ref(), other).is_eq())
        };
        let end = (!row.get(until).is_null()).then(|| row.get(until).to_owned());
        match latest.as_mut().filter(is_same) {
            Some(latest) => {
                let is_over = latest
                    .end
                    .as_ref()
                    .is_some_and(|end| order::compare(end.as_ref(), row.get(from)).is_le());
                if !is_over {
                    tally.violated(|| opened.who.shown(told.clone().map(|index| row.get(index))));
                }
                let is_later = match (&latest.end, &end) {
                    (None, _) => false,
                    (Some(_), None) => true,
                    (Some(own), Some(end)) => order::compare(own.as_ref(), end.as_ref()).is_lt(),
                };
                if is_later {
                    latest.end = end;
                }
            }
            None => {
                let group = row.values().take(from).map(ValueRef::to_owned).collect();
                latest = Some(Latest { group, end });
            }
        }
        rows.advance();
    }
    Ok(tally)
}

//! `cycles`: rows whose parents lead in a circle, by doubling steps.
//!
//! ```text
//! pairs (row, 2ⁿ steps up)  ⋈  pairs  ─▶  pairs (row, 2ⁿ⁺¹ steps up); rows whose way ends fall out
//! ```
//! A round in which no row falls out leaves those whose way never ends: of rows whose way ends, one with
//! the shortest would have fallen out. So there are as many rounds as the longest way has bits. Memory
//! stays what the sorters take (Knuth, The Art of Computer Programming 3, §5.4).

use whimbrel_model::ValueRef;
use whimbrel_model::plan::At;

use super::rows::{Cursor, Subject, one};
use super::{Tally, Trouble, own, shown};
use crate::order;
use crate::sorter::{Room, Sorter};

/// Both orders of the pairs.
struct Pairs {
    by_row: Sorter,
    by_above: Sorter,
    count: u64,
}

impl Pairs {
    fn new(room: &Room) -> Self {
        // Four of them live at a time.
        let room = Room { bytes: room.bytes / 4, ..room.clone() };
        let by_row = Sorter::new(room.clone(), 2, &[0]);
        Self { by_row, by_above: Sorter::new(room, 2, &[1]), count: 0 }
    }

    fn push(&mut self, row: ValueRef<'_>, above: ValueRef<'_>) -> Result<(), Trouble> {
        let pair = one(2, [row, above].into_iter());
        self.by_row.push(pair.row(0))?;
        self.by_above.push(pair.row(0))?;
        self.count += 1;
        Ok(())
    }
}

pub(super) async fn find(
    subject: &Subject<'_>,
    key: &At<String>,
    parent: &At<String>,
    room: &Room,
) -> Result<Tally, Trouble> {
    let mut opened = subject.open(&[&key.value, &parent.value]).await?;
    let mut tally = Tally::over_rows();
    let mut pairs = Pairs::new(room);
    while let Some(chunk) = opened.feed.next().await? {
        tally.looked_at(chunk.len());
        for row in chunk.rows().filter(|row| !row.get(0).is_null() && !row.get(1).is_null()) {
            pairs.push(row.get(0), row.get(1))?;
        }
    }
    loop {
        let before = pairs.count;
        let (next, ends) = doubled(pairs, room, &key.value).await?;
        if next.count == before {
            let names = [key.value.clone()];
            let mut left = Cursor::over(next.by_row.finish()?, 2);
            while let Some(row) = left.row().await? {
                tally.violated(|| shown::cells(&names, row));
                left.advance();
            }
            return Ok(tally);
        }
        debug_assert_eq!(next.count + ends, before, "each pair goes on or ends");
        pairs = next;
    }
}

/// Pairs of twice as many steps, and how many rows' ways have ended.
async fn doubled(pairs: Pairs, room: &Room, key: &str) -> Result<(Pairs, u64), Trouble> {
    let (mut next, mut ends) = (Pairs::new(room), 0);
    let mut below = Cursor::over(pairs.by_above.finish()?, 2);
    let mut above = Cursor::over(pairs.by_row.finish()?, 2);
    let mut last: Option<whimbrel_model::Value> = None;
    while let Some(lower) = below.row().await? {
        let Some(upper) = above.row().await? else {
            ends += 1;
            below.advance();
            continue;
        };
        if last.as_ref().is_some_and(|last| order::compare(last.as_ref(), upper.get(0)).is_eq()) {
            let value = shown::value(upper.get(0));
            return Err(own(format!(
                "`{}` does not tell rows apart: several have `{value}`",
                shown::text(key)
            )));
        }
        match order::compare(lower.get(1), upper.get(0)) {
            std::cmp::Ordering::Less => {
                ends += 1;
                below.advance();
            }
            std::cmp::Ordering::Equal => {
                next.push(lower.get(0), upper.get(1))?;
                below.advance();
            }
            std::cmp::Ordering::Greater => {
                last = Some(upper.get(0).to_owned());
                above.advance();
            }
        }
    }
    Ok((next, ends))
}

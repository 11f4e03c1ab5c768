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
    subject.are_alike(&key.value, &parent.value).await?;
    let mut opened = subject.open(&[&key.value, &parent.value]).await?;
    let mut tally = Tally::over_rows();
    let mut pairs = Pairs::new(room);
    while let Some(chunk) = opened.feed.next().await? {
        tally.looked_at(chunk.len());
        for row in chunk.rows().filter(|row| !row.get(0).is_null() && !row.get(1).is_null()) {
            pairs.push(row.get(0), row.get(1))?;
        }
    }
    let left = endless(pairs, room, &key.value, subject.hides()).await?;
    let names = [key.value.clone()];
    let mut left = Cursor::over(left.by_row.finish()?, 2);
    while let Some(row) = left.row().await? {
        tally.violated(|| {
            if subject.hides() { shown::MASK.to_owned() } else { shown::cells(&names, row) }
        });
        left.advance();
    }
    Ok(tally)
}

/// The pairs of rows whose way never ends.
async fn endless(mut pairs: Pairs, room: &Room, key: &str, hides: bool) -> Result<Pairs, Trouble> {
    loop {
        let before = pairs.count;
        let (next, ends) = doubled(pairs, room, key, hides).await?;
        debug_assert_eq!(next.count + ends, before, "each pair goes on or ends");
        if ends == 0 {
            return Ok(next);
        }
        pairs = next;
    }
}

/// Pairs of twice as many steps, and how many rows' ways have ended.
async fn doubled(
    pairs: Pairs,
    room: &Room,
    key: &str,
    hides: bool,
) -> Result<(Pairs, u64), Trouble> {
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
            let value = if hides { shown::MASK.to_owned() } else { shown::value(upper.get(0)) };
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Rows that come back to a row that they have passed, by walking from each.
    fn walked(parents: &[Option<usize>]) -> Vec<usize> {
        let is_endless = |&start: &usize| {
            let mut at = start;
            for _ in 0..=parents.len() {
                match parents.get(at).copied().flatten() {
                    Some(parent) => at = parent,
                    None => return false,
                }
            }
            true
        };
        (0..parents.len()).filter(is_endless).collect()
    }

    async fn found(parents: &[Option<usize>], bytes: usize) -> Result<Vec<usize>, Trouble> {
        let room = Room { folder: std::env::temp_dir(), bytes };
        let mut pairs = Pairs::new(&room);
        for (row, parent) in parents.iter().enumerate() {
            let Some(parent) = parent else { continue };
            pairs.push(ValueRef::Int(row as i128), ValueRef::Int(*parent as i128))?;
        }
        let mut left = Cursor::over(endless(pairs, &room, "id", false).await?.by_row.finish()?, 2);
        let mut rows = Vec::new();
        while let Some(row) = left.row().await? {
            let ValueRef::Int(row) = row.get(0) else { panic!("rows are numbers") };
            rows.push(row as usize);
            left.advance();
        }
        Ok(rows)
    }

    fn block<T>(future: impl Future<Output = Result<T, Trouble>>) -> Option<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(future).ok()
    }

    proptest! {
        #[test]
        fn circles_of_any_length_are_found_and_what_hangs_below_them(
            // Parents up to 79 of at most 60 rows: some are not there.
            parents in prop::collection::vec(prop::option::weighted(0.9, 0usize..80), 0..60),
            bytes in 64usize..4_000,
        ) {
            prop_assert_eq!(block(found(&parents, bytes)).unwrap(), walked(&parents));
        }
    }

    #[test]
    fn a_long_way_that_ends_is_no_circle_and_a_long_circle_is() {
        let mut parents: Vec<Option<usize>> =
            (0..5_000).map(|row: usize| row.checked_sub(1)).collect();
        assert_eq!(block(found(&parents, 1 << 20)).unwrap(), Vec::<usize>::new());
        parents[0] = Some(4_999);
        assert_eq!(block(found(&parents, 1 << 20)).unwrap().len(), 5_000);
    }

    #[test]
    fn rows_that_their_key_does_not_tell_apart_are_no_answer() {
        let twice = async {
            let room = Room { folder: std::env::temp_dir(), bytes: 1 << 20 };
            let mut pairs = Pairs::new(&room);
            for parent in [2i128, 3] {
                pairs.push(ValueRef::Int(1), ValueRef::Int(parent))?;
                pairs.push(ValueRef::Int(parent), ValueRef::Int(1))?;
            }
            endless(pairs, &room, "id", false).await.map(|_| ())
        };
        assert!(block(twice).is_none());
    }
}

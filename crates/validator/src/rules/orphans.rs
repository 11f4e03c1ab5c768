//! `orphans`: rows that lead nowhere. In the target the engine compares; records of sources are compared
//! here, as they stand, both sides sorted.

use std::cmp::Ordering;

use whimbrel_endpoint::Snapshot;
use whimbrel_model::catalogue::Reference;
use whimbrel_model::plan::At;
use whimbrel_model::{Row, Table, ValueRef};

use super::rows::{Cursor, Subject, Who};
use super::{Tally, Trouble, own, shown};
use crate::order;
use crate::sorter::{Room, Sorter};

pub(super) async fn find(
    subject: &Subject<'_>,
    columns: &[At<String>],
    parents: &Subject<'_>,
    key: &[At<String>],
    room: &Room,
) -> Result<Tally, Trouble> {
    match subject {
        Subject::Table { snapshot, .. } => {
            in_target(*snapshot, subject, columns, parents, key).await
        }
        Subject::Source { .. } => in_sources(subject, columns, parents, key, room).await,
    }
}

fn names(columns: &[At<String>]) -> Vec<String> {
    columns.iter().map(|column| column.value.clone()).collect()
}

async fn in_target(
    snapshot: &dyn Snapshot,
    subject: &Subject<'_>,
    columns: &[At<String>],
    parents: &Subject<'_>,
    key: &[At<String>],
) -> Result<Tally, Trouble> {
    let (table, parent) = (subject.table().await?, parents.table().await?);
    let parent_columns = if key.is_empty() {
        parent.key.iter().map(|&index| parent.columns[index].name.clone()).collect()
    } else {
        names(key)
    };
    if parent_columns.len() != columns.len() {
        return Err(own(format!(
            "the key of `{}` has {} columns, and `columns` {}: say `key`",
            parent.name,
            parent_columns.len(),
            columns.len()
        )));
    }
    let reference = Reference {
        columns: names(columns),
        parent: parent.name,
        parent_columns,
        actions: None,
        guessed: false,
        orphans: None,
    };
    let is_compared = |index: &usize| reference.columns.contains(&table.columns[*index].name);
    // Values that must not be shown tell no row; its key does.
    let is_keyed = !table.key.is_empty();
    let shown_by = |index: &usize| {
        table.key.contains(index) || is_compared(index) && !(is_keyed && subject.hides())
    };
    let kept: Vec<_> = (0..table.columns.len()).filter(shown_by).collect();
    let told: Vec<String> = kept.iter().map(|&index| table.columns[index].name.clone()).collect();
    let who = if is_keyed || !subject.hides() { Who::Columns(told) } else { Who::Hidden };
    let told_columns = kept.iter().map(|&index| table.columns[index].clone()).collect();
    let looked = snapshot.count(&table.name).await?;
    let few = Table { name: table.name, key: Vec::new(), columns: told_columns };
    let orphans = snapshot.orphans(&few, &reference).await?;
    let mut tally = Tally { looked, violations: orphans.rows, ..Tally::default() };
    for sample in &orphans.samples {
        tally.samples.take(|| who.shown(sample.iter().map(whimbrel_model::Value::as_ref)));
    }
    Ok(tally)
}

async fn in_sources(
    subject: &Subject<'_>,
    columns: &[At<String>],
    parents: &Subject<'_>,
    key: &[At<String>],
    room: &Room,
) -> Result<Tally, Trouble> {
    let mut tally = Tally::over_rows();
    let room = Room { bytes: room.bytes / 2, ..room.clone() };
    let own_columns: Vec<usize> = (0..columns.len()).collect();
    let is_whole = |row: &Row<'_>| own_columns.iter().all(|&index| !row.get(index).is_null());
    let texts = |all: &[At<String>]| all.iter().map(|one| one.value.clone()).collect::<Vec<_>>();
    let (columns, key) = (texts(columns), texts(key));
    let wanted: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut opened = subject.open(&wanted).await?;
    let (width, told) = (opened.width(), opened.told());
    let mut children = Sorter::new(room.clone(), width, &own_columns);
    while let Some(chunk) = opened.feed.next().await? {
        tally.looked_at(chunk.len());
        chunk.rows().filter(is_whole).try_for_each(|row| children.push(row))?;
    }
    let wanted: Vec<&str> = key.iter().map(String::as_str).collect();
    let mut there = parents.open(&wanted).await?;
    let parent_width = there.width();
    let mut keys = Sorter::new(room, parent_width, &own_columns);
    while let Some(chunk) = there.feed.next().await? {
        chunk.rows().try_for_each(|row| keys.push(row))?;
    }
    let mut children = Cursor::over(children.finish()?, width);
    let mut keys = Cursor::over(keys.finish()?, parent_width);
    while let Some(child) = children.row().await? {
        let order = match keys.row().await? {
            Some(parent) => order::rows(child, parent, &own_columns),
            None => Ordering::Less,
        };
        match order {
            Ordering::Less => {
                tally.violated(|| {
                    let who = opened.who.shown(told.clone().map(|index| child.get(index)));
                    if subject.hides() {
                        return who;
                    }
                    let cells: Vec<ValueRef<'_>> = child.values().take(columns.len()).collect();
                    let cells = columns.iter().zip(cells);
                    let cells: Vec<String> = cells
                        .map(|(name, value)| {
                            format!("{}={}", shown::text(name), shown::value(value))
                        })
                        .collect();
                    format!("{who}: {}", cells.join(", "))
                });
                children.advance();
            }
            Ordering::Equal => children.advance(),
            Ordering::Greater => keys.advance(),
        }
    }
    Ok(tally)
}

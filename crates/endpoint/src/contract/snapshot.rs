//! The claims about states of a target that are read for proof.

use whimbrel_model::wce::RowLayout;
use whimbrel_model::{Chunk, Table, Value};

use super::target::{Connect, begin, edge_rows, int, item_rows, items, ready, values, write};
use crate::{ErrorClass, Feed, RowFate, RowOrder, Snapshot};

/// Runs every claim on a fresh database each.
pub(super) async fn all(make: &impl Fn() -> Connect) {
    a_snapshot_is_one_state_for_as_long_as_it_is_kept(make()).await;
    rows_are_asked_for_by_their_columns(make()).await;
    what_is_not_there_is_none(make()).await;
    values_are_proved_by_the_bytes_that_were_digested(make()).await;
}

async fn all_rows(mut feed: Box<dyn Feed>) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    while let Some(piece) = feed.next().await.expect("rows can be read") {
        assert!(!piece.is_empty(), "a piece has rows");
        rows.extend(values(&piece));
    }
    rows
}

async fn ids_of(snapshot: &dyn Snapshot, order: RowOrder) -> Vec<Value> {
    let feed = snapshot.rows(&items(), order).await.expect("rows can be asked for");
    all_rows(feed).await.into_iter().map(|row| row[0].clone()).collect()
}

async fn a_snapshot_is_one_state_for_as_long_as_it_is_kept(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let mut txn = begin(&*target, fence).await;
    write(&mut txn, &items(), item_rows(&[(3, "c", ""), (1, "a", "x")])).await;
    txn.commit().await.expect("commit");
    let snapshot = target.snapshot().expect("a snapshot can be taken");
    assert_eq!(snapshot.count("items").await.expect("count"), Some(2));
    let mut txn = begin(&*target, fence).await;
    write(&mut txn, &items(), item_rows(&[(2, "b", "")])).await;
    // Engines with one lock for all cannot write meanwhile, and say that it will pass.
    let written = match txn.commit().await {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.class, ErrorClass::Transient, "{error:?}");
            false
        }
    };
    assert_eq!(snapshot.count("items").await.expect("count"), Some(2), "the state is kept");
    assert_eq!(ids_of(&*snapshot, RowOrder::ByKey).await, [int(1), int(3)]);
    drop(snapshot);
    if !written {
        let mut txn = begin(&*target, fence).await;
        write(&mut txn, &items(), item_rows(&[(2, "b", "")])).await;
        txn.commit().await.expect("nothing keeps a state any more");
    }
    let later = target.snapshot().expect("another one");
    assert_eq!(ids_of(&*later, RowOrder::ByKey).await, [int(1), int(2), int(3)]);
    assert_eq!(ids_of(&*later, RowOrder::Any).await.len(), 3);
}

async fn rows_are_asked_for_by_their_columns(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let mut txn = begin(&*target, fence).await;
    write(&mut txn, &items(), item_rows(&[(1, "a", "x")])).await;
    txn.commit().await.expect("commit");
    let snapshot = target.snapshot().expect("a snapshot can be taken");
    let whole = snapshot.describe("items").await.expect("describe").expect("it is there");
    let names: Vec<&str> = whole.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!((names, &whole.key), (vec!["id", "name", "note"], &vec![0]));
    let turned = Table {
        columns: vec![whole.columns[2].clone(), whole.columns[0].clone()],
        key: vec![1],
        ..whole.clone()
    };
    let rows = snapshot.rows(&turned, RowOrder::ByKey).await.expect("rows");
    assert_eq!(all_rows(rows).await, [[Value::Text("x".to_owned()), int(1)]]);
    let mut missing = whole.clone();
    "gone".clone_into(&mut missing.columns[1].name);
    let Err(error) = snapshot.rows(&missing, RowOrder::Any).await else {
        panic!("a column that is not there is no error");
    };
    assert_eq!(error.class, ErrorClass::Changed, "{error:?}");
}

async fn what_is_not_there_is_none(connect: Connect) {
    let (target, _) = ready(&connect).await;
    let snapshot = target.snapshot().expect("a snapshot can be taken");
    assert_eq!(snapshot.describe("nothing").await.expect("describe"), None);
    assert_eq!(snapshot.count("nothing").await.expect("count"), None);
    assert_eq!(snapshot.count("items").await.expect("count"), Some(0));
    assert!(ids_of(&*snapshot, RowOrder::ByKey).await.is_empty());
}

async fn values_are_proved_by_the_bytes_that_were_digested(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let mut txn = begin(&*target, fence).await;
    let mut tables = Vec::new();
    for (table, rows) in edge_rows() {
        txn.create_table(&table).await.expect("create");
        let fates = write(&mut txn, &table, rows.clone()).await;
        assert!(fates.iter().all(|fate| *fate == RowFate::Inserted), "{}", table.name);
        tables.push((table, rows));
    }
    txn.commit().await.expect("commit");
    let snapshot = target.snapshot().expect("a snapshot can be taken");
    for (table, rows) in tables {
        let mut feed = snapshot.rows(&table, RowOrder::ByKey).await.expect("rows");
        let mut found = Vec::new();
        while let Some(piece) = feed.next().await.expect("rows can be read") {
            found.extend(encoded(&table, &piece));
        }
        let (kind, shown) = (table.columns[1].kind.name(), values(&rows));
        for ((found, written), row) in found.iter().zip(encoded(&table, &rows)).zip(&shown) {
            assert_eq!(*found, written, "{kind}: {row:?}");
        }
        assert_eq!(found.len(), rows.len(), "{kind}");
    }
}

/// The rows as they are digested.
fn encoded(table: &Table, rows: &Chunk) -> Vec<Vec<u8>> {
    let layout = RowLayout::of_rows(table);
    let encode = |row: whimbrel_model::Row<'_>| {
        let mut bytes = Vec::new();
        layout.encode(&mut bytes, |column| row.get(column));
        bytes
    };
    rows.rows().map(encode).collect()
}

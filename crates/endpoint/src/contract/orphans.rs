//! The claims about rows whose parents are missing.

use whimbrel_model::kind::IntWidth;
use whimbrel_model::{Chunk, ChunkBuilder, Column, Kind, Table, Value, ValueRef};

use super::target::{Connect, begin, int, ready, values, write};
use crate::{EndpointError, ErrorClass, Fence, Order, Query, RowFate, SchemaFile, Target, codes};

/// Runs every claim on a fresh database. `schema` creates the tables `parents` and `children`, each with
/// `id` (its key) and `parent`, of which that of `children` refers to the table that it is given;
/// `waits` where that is checked with the commit.
pub async fn orphan_contract(
    make: impl Fn() -> Connect,
    schema: impl Fn(&str) -> String,
    waits: bool,
) {
    let (others, own) = (schema("parents"), schema("children"));
    an_orphan_costs_one_row(make(), &others).await;
    if waits {
        rows_of_a_batch_refer_to_each_other_in_any_order(make(), &own).await;
        an_orphan_costs_its_row_and_those_that_rest_on_it(make(), &own).await;
        what_was_learnt_holds_for_one_batch(make(), &own).await;
    }
}

/// `id` and `parent`, keyed by `id`.
fn table(name: &str) -> Table {
    let column = |name: &str, nullable| Column {
        name: name.to_owned(),
        kind: Kind::Int(IntWidth::I64),
        nullable,
        has_default: false,
    };
    Table {
        name: name.to_owned(),
        columns: vec![column("id", false), column("parent", true)],
        key: vec![0],
    }
}

/// Rows of such a table; a parent of 0 is NULL.
fn rows(rows: &[(i64, i64)]) -> Chunk {
    let mut chunk = ChunkBuilder::new(2);
    for (id, parent) in rows {
        chunk.push(ValueRef::Int((*id).into()));
        chunk.push(if *parent == 0 { ValueRef::Null } else { ValueRef::Int((*parent).into()) });
        chunk.end_row();
    }
    chunk.finish()
}

async fn with_schema(connect: &Connect, schema: &str) -> (Box<dyn Target>, Fence) {
    let (target, fence) = ready(connect).await;
    let file = SchemaFile { name: "schema/001.sql".to_owned(), sql: schema.to_owned() };
    let mut txn = begin(&*target, fence).await;
    txn.apply_schema(&file).await.expect("foreign keys can be declared");
    txn.commit().await.expect("a schema can be committed");
    (target, fence)
}

async fn ids(target: &dyn Target) -> Vec<Vec<Value>> {
    let query = Query::table("children", &["id"]).by("id", Order::Rising);
    values(&target.select(&query).await.expect("rows can be read"))
}

/// Which of the rows were refused for want of a parent; the others are in.
fn refused(fates: &[RowFate]) -> Vec<usize> {
    let is_refused = |fate: &RowFate| match fate {
        RowFate::Inserted => false,
        RowFate::Taken | RowFate::Updated => panic!("no key is taken: {fates:?}"),
        RowFate::Refused { code, message, .. } => {
            assert!(code.starts_with("WB") && !message.is_empty(), "{fates:?}");
            true
        }
    };
    (0..fates.len()).filter(|at| is_refused(&fates[*at])).collect()
}

async fn an_orphan_costs_one_row(connect: Connect, schema: &str) {
    let (target, fence) = with_schema(&connect, schema).await;
    let mut txn = begin(&*target, fence).await;
    let parents = write(&mut txn, &table("parents"), rows(&[(1, 0), (2, 0)])).await;
    assert_eq!(refused(&parents), [0; 0]);
    let children = rows(&[(10, 1), (11, 9), (12, 0), (13, 2), (14, 9)]);
    let fates = write(&mut txn, &table("children"), children).await;
    assert_eq!(refused(&fates), [1, 4], "{fates:?}");
    let fates = write(&mut txn, &table("children"), rows(&[(15, 8)])).await;
    assert_eq!(refused(&fates), [0], "{fates:?}");
    let fates = write(&mut txn, &table("children"), rows(&[(16, 2)])).await;
    assert_eq!(refused(&fates), [0; 0], "{fates:?}");
    txn.commit().await.expect("what was refused does not stand in the way of the rest");
    assert_eq!(ids(&*target).await, [[int(10)], [int(12)], [int(13)], [int(16)]]);
}

async fn rows_of_a_batch_refer_to_each_other_in_any_order(connect: Connect, schema: &str) {
    let (target, fence) = with_schema(&connect, schema).await;
    let mut txn = begin(&*target, fence).await;
    for part in [rows(&[(1, 2), (3, 3)]), rows(&[(4, 5), (5, 2)]), rows(&[(2, 1)])] {
        let fates = write(&mut txn, &table("children"), part).await;
        assert_eq!(refused(&fates), [0; 0], "{fates:?}");
    }
    txn.commit().await.expect("every row has its parent");
    assert_eq!(ids(&*target).await.len(), 5);
}

/// Writes chunks in one transaction and commits it; the refused ones of each.
async fn batch(
    target: &dyn Target,
    fence: Fence,
    parts: &[&[(i64, i64)]],
) -> (Vec<Vec<usize>>, Result<(), EndpointError>) {
    let mut txn = begin(target, fence).await;
    let mut all = Vec::new();
    for part in parts {
        all.push(refused(&write(&mut txn, &table("children"), rows(part)).await));
    }
    (all, txn.commit().await)
}

async fn an_orphan_costs_its_row_and_those_that_rest_on_it(connect: Connect, schema: &str) {
    let (target, fence) = with_schema(&connect, schema).await;
    // 3 has no parent, 4 hangs on 3 and comes before it, 6 hangs on 4.
    let parts: &[&[(i64, i64)]] = &[&[(1, 2), (4, 3)], &[(2, 0), (3, 9)], &[(5, 2), (6, 4)]];
    let (fates, committed) = batch(&*target, fence, parts).await;
    assert_eq!(fates, [[0; 0], [], []]);
    let error = committed.expect_err("a row has no parent");
    assert_eq!((error.class, error.code), (ErrorClass::Transient, codes::WITHOUT_ORPHANS));
    assert!(ids(&*target).await.is_empty(), "nothing of the batch is there");
    let (fates, committed) = batch(&*target, fence, parts).await;
    assert_eq!(fates, [[1], [1], [1]]);
    committed.expect("the rows without parents are left out");
    assert_eq!(ids(&*target).await, [[int(1)], [int(2)], [int(5)]]);
}

async fn what_was_learnt_holds_for_one_batch(connect: Connect, schema: &str) {
    let (target, fence) = with_schema(&connect, schema).await;
    let part: &[(i64, i64)] = &[(1, 9)];
    batch(&*target, fence, &[part]).await.1.expect_err("9 is not there");
    let (fates, committed) = batch(&*target, fence, &[part]).await;
    assert_eq!(fates, [[0]]);
    committed.expect("nothing is left of it");
    let (fates, committed) = batch(&*target, fence, &[part, &[(9, 0)]]).await;
    assert_eq!(fates, [[0; 0], []]);
    committed.expect("9 is there now");
}

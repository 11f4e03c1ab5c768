//! The digests of a row do not depend on the engine that keeps it: what was written is read back from
//! each with the same canonical bytes.

#![allow(clippy::unwrap_used)] // helpers of tests are tests as well

mod place;

use std::sync::Arc;

use place::{Place, lease};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use tokio::runtime::Runtime;
use whimbrel_endpoint::{RowFate, RowOrder, Target, WriteMode};
use whimbrel_model::kind::IntWidth;
use whimbrel_model::wce::RowLayout;
use whimbrel_model::{
    Chunk, ChunkBuilder, Column, Date, DateTime, Kind, Table, Time, Value, ValueRef,
};
use whimbrel_sql::{Options, open};
use whimbrel_testkit::servers::{Engine, server_or_skip};

/// A key, then a column of each kind that all engines have.
fn table() -> Table {
    let kinds = [
        Kind::Int(IntWidth::I64),
        Kind::Bool,
        Kind::Int(IntWidth::I16),
        Kind::Int(IntWidth::I64),
        Kind::Decimal(Some((30, 10))),
        Kind::Float,
        Kind::Text(None),
        Kind::Text(Some(12)),
        Kind::Bytes,
        Kind::Date,
        Kind::Time,
        Kind::Timestamp,
        Kind::TimestampTz,
        Kind::Uuid,
        Kind::Json,
    ];
    let column = |(index, kind): (usize, Kind)| Column {
        name: format!("c{index}"),
        kind,
        nullable: index > 0,
        has_default: false,
    };
    let columns = kinds.into_iter().enumerate().map(column).collect();
    Table { name: "anything".to_owned(), columns, key: vec![0] }
}

/// To the microsecond, in years that all engines have.
fn instants() -> impl Strategy<Value = DateTime> {
    let (first, last) = (days(1), days(9_999));
    (first..last, 0..86_400_000_000_u64)
        .prop_map(|(days, micros)| DateTime { days, nanos: micros * 1_000 })
}

fn days(year: i32) -> i32 {
    Date::from_ymd(year, 12, 31).unwrap().days
}

fn decimals() -> impl Strategy<Value = String> {
    let plain = |(sign, whole, fraction): (bool, String, String)| {
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{}{whole}{point}{fraction}", if sign { "-" } else { "" })
    };
    (any::<bool>(), "[0-9]{1,20}", "[0-9]{0,10}").prop_map(plain)
}

fn floats() -> impl Strategy<Value = f64> {
    // Without those that some engine has not: NaN, infinities, −0.
    let is_plain = |value: &f64| value.is_finite() && !(*value == 0.0 && value.is_sign_negative());
    prop_oneof![
        any::<f64>(),
        any::<i32>().prop_map(f64::from),
        (0..1_000).prop_map(|n| f64::from(n) / 7.0)
    ]
    .prop_filter("every engine has it", is_plain)
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        "[a-zA-Z0-9 äß🦉]{0,8}".prop_map(|text| format!("\"{text}\"")),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let object = |members: Vec<(String, String)>| {
            let members: std::collections::BTreeMap<_, _> = members.into_iter().collect();
            let members: Vec<String> =
                members.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
            format!("{{{}}}", members.join(", "))
        };
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|all| format!("[{}]", all.join(", "))),
            vec(("[a-z]{1,4}", inner), 0..4).prop_map(object),
        ]
    })
}

/// One row but its key.
fn rows() -> impl Strategy<Value = Vec<Value>> {
    fn cell<T: std::fmt::Debug>(
        values: impl Strategy<Value = T>,
        make: fn(T) -> Value,
    ) -> impl Strategy<Value = Value> {
        option::weighted(0.9, values).prop_map(move |value| value.map_or(Value::Null, make))
    }
    let text = || "[^\\x00]{0,12}";
    (
        (
            cell(any::<bool>(), Value::Bool),
            cell(any::<i16>(), |value| Value::Int(value.into())),
            cell(any::<i64>(), Value::from),
            cell(decimals(), Value::Decimal),
            cell(floats(), Value::Float),
            cell(text(), Value::Text),
            cell(text(), Value::Text),
        ),
        (
            cell(vec(any::<u8>(), 0..20), Value::Bytes),
            cell(days(1)..days(9_999), |days| Value::Date(Date { days })),
            cell(0..86_400_000_000_i64, |micros| Value::Time(Time { nanos: micros * 1_000 })),
            cell(instants(), Value::Timestamp),
            cell(instants(), Value::TimestampTz),
            cell(any::<[u8; 16]>(), Value::Uuid),
            cell(json(), Value::Json),
        ),
    )
        .prop_map(|((a, b, c, d, e, f, g), (h, i, j, k, l, m, n))| {
            std::vec![a, b, c, d, e, f, g, h, i, j, k, l, m, n]
        })
}

fn encoded(table: &Table, rows: &Chunk) -> Vec<Vec<u8>> {
    let layout = RowLayout::of_rows(table);
    let encode = |row: whimbrel_model::Row<'_>| {
        let mut bytes = Vec::new();
        layout.encode(&mut bytes, |column| row.get(column));
        bytes
    };
    rows.rows().map(encode).collect()
}

/// Writes the rows as a load does, and reads them back as a verification does.
async fn through(target: &dyn Target, table: &Table, rows: &Chunk) -> Vec<Vec<u8>> {
    target.prepare_ledger().await.unwrap();
    let fence = lease(target).await;
    let mut txn = target.begin(fence).await.unwrap();
    txn.create_table(table).await.unwrap();
    let fates = txn.write(table, Arc::new(rows.clone()), WriteMode::Insert).await.unwrap();
    for (fate, row) in fates.iter().zip(rows.rows()) {
        let row: Vec<ValueRef<'_>> = row.values().collect();
        assert_eq!(*fate, RowFate::Inserted, "{row:?}");
    }
    txn.commit().await.unwrap();
    let snapshot = target.snapshot().unwrap();
    let mut feed = snapshot.rows(table, RowOrder::ByKey).await.unwrap();
    let mut found = Vec::new();
    while let Some(piece) = feed.next().await.unwrap() {
        found.extend(encoded(table, &piece));
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn every_engine_gives_back_the_bytes_that_were_digested(all in vec(rows(), 1..120)) {
        let table = table();
        let mut chunk = ChunkBuilder::new(table.columns.len());
        for (key, row) in all.iter().enumerate() {
            chunk.push(ValueRef::Int(key as i128));
            row.iter().for_each(|value| chunk.push(value.as_ref()));
            chunk.end_row();
        }
        let chunk = chunk.finish();
        let written = encoded(&table, &chunk);
        let runtime = Runtime::new().unwrap();
        let check = |engine: &str, found: Vec<Vec<u8>>| {
            for ((found, written), row) in found.iter().zip(&written).zip(&all) {
                prop_assert_eq!(found, written, "{}: {:?}", engine, row);
            }
            prop_assert_eq!(found.len(), written.len(), "{}", engine);
            Ok(())
        };
        let place = Place::new();
        check("sqlite", runtime.block_on(async {
            through(&*place.target().await, &table, &chunk).await
        }))?;
        for engine in [Engine::Postgres, Engine::Mysql] {
            let Some(server) = server_or_skip(engine) else { continue };
            let database = server.database("encoding").unwrap();
            check(engine.name(), runtime.block_on(async {
                let target = open(&database.url(), Options::default()).await.unwrap();
                through(&*target, &table, &chunk).await
            }))?;
        }
    }
}

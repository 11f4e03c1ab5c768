//! The claims about targets.

use std::sync::Arc;
use std::time::Duration;

use whimbrel_model::kind::IntWidth;
use whimbrel_model::{
    Chunk, ChunkBuilder, Column, Date, DateTime, Kind, Table, Time, Value, ValueRef,
};

use crate::{
    Coming, EndpointError, ErrorClass, Fence, Holder, LeaseAnswer, LeaseRequest, Needs, Operator,
    Order, Query, RowFate, SchemaFile, Target, Txn, WriteMode,
};

/// Opens one more connection to the database under test.
pub type Connect = Box<dyn AsyncConnect>;

/// See [`Connect`]; implemented by every async function that returns a target.
#[async_trait::async_trait(?Send)]
pub trait AsyncConnect {
    /// One more connection to the same database.
    async fn connect(&self) -> Box<dyn Target>;
}

#[async_trait::async_trait(?Send)]
impl<F: AsyncFn() -> Box<dyn Target>> AsyncConnect for F {
    async fn connect(&self) -> Box<dyn Target> {
        self().await
    }
}

/// Runs every claim. `make` returns, for a new and empty database each time, a function that
/// connects to it; the database need not exist before it is written to.
pub async fn target_contract(make: impl Fn() -> Connect) {
    looking_creates_nothing(make()).await;
    a_ledger_can_be_prepared_twice(make()).await;
    leases_exclude_each_other(make()).await;
    a_renewal_needs_the_current_fence(make()).await;
    a_dead_holder_is_replaced_at_once(make()).await;
    an_expired_lease_is_free(make()).await;
    a_lease_can_be_given_back(make()).await;
    an_old_fence_cannot_commit(make()).await;
    a_takeover_during_a_transaction_stops_one_of_both(make()).await;
    a_released_fence_cannot_commit(make()).await;
    a_renewal_is_possible_in_a_transaction(make()).await;
    rows_meet_their_fates(make()).await;
    expected_rows_go_in_only_when_they_are_written(make()).await;
    rows_that_surely_come_are_in_as_if_they_came_one_after_the_other(make()).await;
    rows_that_surely_come_and_do_not_are_never_there(make()).await;
    rows_that_come_sooner_than_expected_are_written_once(make()).await;
    what_is_booked_between_writes_stays_whatever_becomes_of_their_rows(make()).await;
    rows_without_a_key_are_all_new(make()).await;
    a_key_that_is_not_unique_is_refused(make()).await;
    what_is_undone_never_was(make()).await;
    one_transaction_at_a_time(make()).await;
    reads_see_what_is_committed(make()).await;
    queries_filter_order_and_limit(make()).await;
    text_is_compared_by_its_bytes(make()).await;
    put_replaces_by_key(make()).await;
    rows_are_deleted_by_condition(make()).await;
    rows_are_read_updated_and_removed_by_key(make()).await;
    a_missing_row_cannot_be_overwritten(make()).await;
    a_refused_update_costs_its_row(make()).await;
    a_table_is_created_once(make()).await;
    missing_tables_and_columns_are_named(make()).await;
    values_come_back_as_they_went_in(make()).await;
    loading_can_be_entered_again_after_a_crash(make()).await;
    super::snapshot::all(&make).await;
}

/// A holder of this name.
pub fn holder(run: &str) -> Holder {
    Holder {
        run: run.to_owned(),
        host: "somewhere".to_owned(),
        boot: "b00t".to_owned(),
        pid: 4_242,
        started: 17,
    }
}

const MINUTE: Duration = Duration::from_mins(1);

fn request(run: &str) -> LeaseRequest {
    LeaseRequest { holder: holder(run), ttl: MINUTE, renew: None, dead: None }
}

fn column(name: &str, kind: Kind) -> Column {
    Column { name: name.to_owned(), kind, nullable: true, has_default: false }
}

/// `id`, `name` (required), `note`, keyed by `id`.
pub(super) fn items() -> Table {
    let required = |column: Column| Column { nullable: false, ..column };
    Table {
        name: "items".to_owned(),
        columns: vec![
            required(column("id", Kind::Int(IntWidth::I64))),
            required(column("name", Kind::Text(None))),
            column("note", Kind::Text(None)),
        ],
        key: vec![0],
    }
}

pub(super) fn chunk(width: usize, rows: &[&[ValueRef<'_>]]) -> Chunk {
    let mut chunk = ChunkBuilder::new(width);
    for row in rows {
        row.iter().for_each(|value| chunk.push(*value));
        chunk.end_row();
    }
    chunk.finish()
}

/// Rows of `items`; an empty note is NULL.
pub(super) fn item_rows(rows: &[(i64, &str, &str)]) -> Chunk {
    let mut chunk = ChunkBuilder::new(3);
    for (id, name, note) in rows {
        chunk.push(ValueRef::Int((*id).into()));
        chunk.push(ValueRef::Text(name));
        chunk.push(if note.is_empty() { ValueRef::Null } else { ValueRef::Text(note) });
        chunk.end_row();
    }
    chunk.finish()
}

fn ids(ids: &[i64]) -> Chunk {
    let mut chunk = ChunkBuilder::new(1);
    for id in ids {
        chunk.push(ValueRef::Int((*id).into()));
        chunk.end_row();
    }
    chunk.finish()
}

pub(super) fn values(chunk: &Chunk) -> Vec<Vec<Value>> {
    chunk.rows().map(|row| row.values().map(ValueRef::to_owned).collect()).collect()
}

pub(super) fn int(value: i64) -> Value {
    Value::Int(value.into())
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

async fn granted(target: &dyn Target, request: &LeaseRequest) -> Fence {
    match target.lease(request).await.expect("the lease can be asked for") {
        LeaseAnswer::Granted(fence) => fence,
        LeaseAnswer::Held { by, .. } => panic!("the lease is held by `{}`", by.run),
    }
}

async fn held_by(target: &dyn Target, request: &LeaseRequest) -> String {
    match target.lease(request).await.expect("the lease can be asked for") {
        LeaseAnswer::Granted(fence) => panic!("granted under {fence:?}"),
        LeaseAnswer::Held { by, expires_in_ms } => {
            assert!(expires_in_ms > 0 && expires_in_ms <= 60_000, "{expires_in_ms} ms");
            by.run
        }
    }
}

/// A target with a ledger, a lease and the table `items`.
pub(super) async fn ready(connect: &Connect) -> (Box<dyn Target>, Fence) {
    let target = connect.connect().await;
    target.prepare_ledger().await.expect("a ledger can be prepared");
    let fence = granted(&*target, &request("first")).await;
    let mut txn = begin(&*target, fence).await;
    txn.create_table(&items()).await.expect("a table can be created");
    txn.commit().await.expect("a table can be committed");
    (target, fence)
}

pub(super) async fn begin(target: &dyn Target, fence: Fence) -> Box<dyn Txn> {
    target.begin(fence).await.expect("a transaction can be begun")
}

pub(super) async fn write(txn: &mut Box<dyn Txn>, table: &Table, rows: Chunk) -> Vec<RowFate> {
    let written = txn.write(table, Arc::new(rows), WriteMode::Insert).await;
    written.expect("rows can be written")
}

async fn all_items(target: &dyn Target) -> Vec<Vec<Value>> {
    let query = Query::table("items", &["id", "name", "note"]).by("id", Order::Rising);
    values(&target.select(&query).await.expect("rows can be read"))
}

fn class<T>(outcome: Result<T, EndpointError>) -> ErrorClass {
    match outcome {
        Ok(_) => panic!("it succeeded, which it must not"),
        Err(error) => {
            assert!(error.code.starts_with("WB") && !error.what.is_empty(), "{error:?}");
            error.class
        }
    }
}

fn is_refused(fate: &RowFate, column: &str) -> bool {
    matches!(fate, RowFate::Refused { subject: Some(subject), code, message }
        if subject == column && code.starts_with("WB") && !message.is_empty())
}

async fn looking_creates_nothing(connect: Connect) {
    let target = connect.connect().await;
    let before = target.facts().await.expect("facts").exists;
    assert_eq!(target.describe("items").await.expect("describe"), None);
    assert!(!target.has_ledger().await.expect("has_ledger"));
    assert!(target.describe_schema(&[]).await.expect("describe_schema").is_empty());
    assert_eq!(target.facts().await.expect("facts").exists, before);
    let again = connect.connect().await;
    assert_eq!(again.facts().await.expect("facts").exists, before);
}

async fn a_ledger_can_be_prepared_twice(connect: Connect) {
    let target = connect.connect().await;
    target.prepare_ledger().await.expect("first");
    assert!(target.has_ledger().await.expect("has_ledger"));
    target.prepare_ledger().await.expect("second");
    let other = connect.connect().await;
    assert!(other.has_ledger().await.expect("has_ledger"));
    other.prepare_ledger().await.expect("third, from elsewhere");
    assert!(target.facts().await.expect("facts").exists);
    let meta = Query::table("whimbrel_meta", &["name", "value"]).is("name", "nothing");
    assert!(target.select(&meta).await.expect("the ledger's tables can be read").is_empty());
}

async fn leases_exclude_each_other(connect: Connect) {
    let (target, first) = ready(&connect).await;
    let other = connect.connect().await;
    assert_eq!(held_by(&*other, &request("second")).await, "first");
    // Whoever asks again, after an answer that was lost, gets the right once more.
    let again = granted(&*target, &request("first")).await;
    assert!(again > first);
    // The same run on another machine is somebody else.
    let mut elsewhere = request("first");
    elsewhere.holder.host.push_str(" else");
    assert_eq!(held_by(&*other, &elsewhere).await, "first");
}

async fn a_renewal_needs_the_current_fence(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let renewal = LeaseRequest { renew: Some(fence), ..request("first") };
    assert_eq!(granted(&*target, &renewal).await, fence);
    let foreign = LeaseRequest { renew: Some(fence), ..request("second") };
    assert_eq!(held_by(&*target, &foreign).await, "first");
    target.release(fence).await.expect("release");
    let later = granted(&*target, &request("second")).await;
    assert!(later > fence);
    assert_eq!(held_by(&*target, &renewal).await, "second");
    target.release(later).await.expect("release");
    assert_eq!(class(target.lease(&renewal).await), ErrorClass::Fenced);
}

async fn a_dead_holder_is_replaced_at_once(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let mut other_process = holder("first");
    other_process.started += 1;
    let mistaken = LeaseRequest { dead: Some(other_process), ..request("second") };
    assert_eq!(held_by(&*target, &mistaken).await, "first");
    let takeover = LeaseRequest { dead: Some(holder("first")), ..request("second") };
    assert!(granted(&*target, &takeover).await > fence);
    assert_eq!(held_by(&*target, &request("first")).await, "second");
}

async fn an_expired_lease_is_free(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let short = LeaseRequest { renew: Some(fence), ttl: Duration::ZERO, ..request("first") };
    assert_eq!(granted(&*target, &short).await, fence);
    // Nobody has taken over yet: the holder may still renew, and commit.
    let renewal = LeaseRequest { renew: Some(fence), ttl: Duration::ZERO, ..request("first") };
    assert_eq!(granted(&*target, &renewal).await, fence);
    begin(&*target, fence).await.commit().await.expect("the fence is still current");
    assert!(granted(&*target, &request("second")).await > fence);
    assert_eq!(class(begin(&*target, fence).await.commit().await), ErrorClass::Fenced);
}

async fn a_lease_can_be_given_back(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    target.release(fence).await.expect("release");
    target.release(fence).await.expect("release twice");
    let second = granted(&*target, &request("second")).await;
    assert!(second > fence);
    target.release(fence).await.expect("a late release");
    assert_eq!(held_by(&*target, &request("third")).await, "second");
}

async fn an_old_fence_cannot_commit(connect: Connect) {
    let (target, old) = ready(&connect).await;
    let new = granted(&*target, &request("first")).await;
    let mut txn = begin(&*target, old).await;
    write(&mut txn, &items(), item_rows(&[(1, "a", "")])).await;
    assert_eq!(class(txn.commit().await), ErrorClass::Fenced);
    assert!(all_items(&*target).await.is_empty());
    let mut txn = begin(&*target, Fence(new.0 + 1)).await;
    write(&mut txn, &items(), item_rows(&[(1, "a", "")])).await;
    assert_eq!(class(txn.commit().await), ErrorClass::Fenced);
    let mut txn = begin(&*target, new).await;
    write(&mut txn, &items(), item_rows(&[(1, "a", "")])).await;
    txn.commit().await.expect("the current fence can commit");
    assert_eq!(all_items(&*target).await.len(), 1);
}

async fn a_takeover_during_a_transaction_stops_one_of_both(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let other = connect.connect().await;
    let mut txn = begin(&*target, fence).await;
    write(&mut txn, &items(), item_rows(&[(1, "a", "")])).await;
    let takeover = LeaseRequest { dead: Some(holder("first")), ..request("second") };
    match other.lease(&takeover).await {
        Ok(LeaseAnswer::Granted(new)) => {
            assert!(new > fence);
            assert_eq!(class(txn.commit().await), ErrorClass::Fenced);
            assert!(all_items(&*target).await.is_empty());
        }
        Ok(LeaseAnswer::Held { by, .. }) => panic!("a dead holder was kept: `{}`", by.run),
        // Engines with one lock for all let the transaction finish first.
        Err(error) => {
            assert_eq!(error.class, ErrorClass::Transient, "{error:?}");
            txn.commit().await.expect("nobody has taken over");
            assert_eq!(all_items(&*target).await.len(), 1);
            assert!(granted(&*other, &takeover).await > fence);
            assert_eq!(class(begin(&*target, fence).await.commit().await), ErrorClass::Fenced);
        }
    }
}

async fn a_released_fence_cannot_commit(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    target.release(fence).await.expect("release");
    assert_eq!(class(begin(&*target, fence).await.commit().await), ErrorClass::Fenced);
}

async fn a_renewal_is_possible_in_a_transaction(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let txn = begin(&*target, fence).await;
    let renewal = LeaseRequest { renew: Some(fence), ..request("first") };
    assert_eq!(granted(&*target, &renewal).await, fence);
    class(target.lease(&request("first")).await);
    txn.commit().await.expect("the fence is still current");
}

async fn rows_meet_their_fates(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let mut txn = begin(&*target, fence).await;
    assert!(write(&mut txn, &items(), item_rows(&[])).await.is_empty());
    let rows = chunk(
        3,
        &[
            &[ValueRef::Int(1), ValueRef::Text("one"), ValueRef::Null],
            &[ValueRef::Int(2), ValueRef::Null, ValueRef::Text("no name")],
            &[ValueRef::Int(1), ValueRef::Text("one again"), ValueRef::Null],
            &[ValueRef::Null, ValueRef::Text("no key"), ValueRef::Null],
            &[ValueRef::Int(3), ValueRef::Text("three"), ValueRef::Text("last")],
        ],
    );
    let fates = write(&mut txn, &items(), rows).await;
    assert_eq!(fates[0], RowFate::Inserted);
    assert!(is_refused(&fates[1], "name"), "{:?}", fates[1]);
    assert_eq!(fates[2], RowFate::Taken);
    assert!(is_refused(&fates[3], "id"), "{:?}", fates[3]);
    assert_eq!(fates[4], RowFate::Inserted);
    txn.commit().await.expect("commit");

    let mut txn = begin(&*target, fence).await;
    let fates = write(&mut txn, &items(), item_rows(&[(3, "x", ""), (4, "four", "")])).await;
    assert_eq!(fates, [RowFate::Taken, RowFate::Inserted]);
    txn.commit().await.expect("commit");
    assert_eq!(
        all_items(&*target).await,
        [
            vec![int(1), text("one"), Value::Null],
            vec![int(3), text("three"), text("last")],
            vec![int(4), text("four"), Value::Null],
        ]
    );
}

async fn expected_rows_go_in_only_when_they_are_written(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let mut txn = begin(&*target, fence).await;
    let first = Arc::new(item_rows(&[(1, "one", ""), (2, "two", "")]));
    let second = Arc::new(item_rows(&[(2, "two again", ""), (3, "three", "")]));
    let never = Arc::new(item_rows(&[(9, "never", "")]));
    let another = Arc::new(item_rows(&[(4, "four", "")]));
    txn.expect(&items(), &second, Coming::Likely);
    let fates = txn.write(&items(), first, WriteMode::Insert).await.expect("write");
    assert_eq!(fates, [RowFate::Inserted, RowFate::Inserted]);
    txn.expect(&items(), &never, Coming::Likely);
    let fates = txn.write(&items(), second, WriteMode::Insert).await.expect("write");
    assert_eq!(fates, [RowFate::Taken, RowFate::Inserted]);
    let fates = txn.write(&items(), another, WriteMode::Insert).await.expect("write");
    assert_eq!(fates, [RowFate::Inserted]);
    txn.expect(&items(), &never, Coming::Likely);
    txn.commit().await.expect("commit");
    assert_eq!(
        all_items(&*target).await,
        [
            vec![int(1), text("one"), Value::Null],
            vec![int(2), text("two"), Value::Null],
            vec![int(3), text("three"), Value::Null],
            vec![int(4), text("four"), Value::Null],
        ]
    );
}

async fn rows_that_surely_come_are_in_as_if_they_came_one_after_the_other(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let mut txn = begin(&*target, fence).await;
    let first = Arc::new(item_rows(&[(1, "one", ""), (2, "two", "")]));
    let second = Arc::new(item_rows(&[(2, "two again", ""), (3, "three", "")]));
    let third = Arc::new(item_rows(&[(4, "four", "")]));
    let fourth = Arc::new(item_rows(&[(5, "five", "")]));
    txn.expect(&items(), &second, Coming::Surely);
    let fates = txn.write(&items(), first, WriteMode::Insert).await.expect("write");
    assert_eq!(fates, [RowFate::Inserted, RowFate::Inserted]);
    // Bookkeeping comes between the two.
    let keys = chunk(1, &[&[ValueRef::Int(1)]]);
    let stored = txn.read_for_update(&items(), &keys).await.expect("read");
    assert!(stored[0].is_some());
    txn.expect(&items(), &third, Coming::Surely);
    let fates = txn.write(&items(), second, WriteMode::Insert).await.expect("write");
    assert_eq!(fates, [RowFate::Taken, RowFate::Inserted]);
    txn.expect(&items(), &fourth, Coming::Surely);
    let fates = txn.write(&items(), third, WriteMode::Insert).await.expect("write");
    assert_eq!(fates, [RowFate::Inserted]);
    let fates = txn.write(&items(), fourth, WriteMode::Insert).await.expect("write");
    assert_eq!(fates, [RowFate::Inserted]);
    txn.commit().await.expect("commit");
    let ids: Vec<Value> = all_items(&*target).await.into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(ids, [int(1), int(2), int(3), int(4), int(5)]);
}

async fn rows_that_surely_come_and_do_not_are_never_there(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    for ending in ["commit", "rollback", "drop"] {
        let mut txn = begin(&*target, fence).await;
        let first = Arc::new(item_rows(&[(1, "one", "")]));
        let never = Arc::new(item_rows(&[(9, "never", "")]));
        txn.expect(&items(), &never, Coming::Surely);
        let fates = txn.write(&items(), first, WriteMode::Insert).await.expect("write");
        assert_ne!(fates, []);
        match ending {
            // Refused, or without them.
            "commit" => drop(txn.commit().await),
            "rollback" => txn.rollback().await.expect("rollback"),
            _ => drop(txn),
        }
        // A connection that was lost by it is told of once.
        let mut txn = match target.begin(fence).await {
            Ok(txn) => txn,
            Err(_) => begin(&*target, fence).await,
        };
        let keys = chunk(1, &[&[ValueRef::Int(9)]]);
        let stored = txn.read_for_update(&items(), &keys).await.expect("read");
        assert_eq!(stored, [None], "after {ending}");
        txn.rollback().await.expect("rollback");
    }
}

async fn rows_that_come_sooner_than_expected_are_written_once(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let mut txn = begin(&*target, fence).await;
    write(&mut txn, &items(), item_rows(&[(1, "one", "")])).await;
    let sooner = Arc::new(item_rows(&[(2, "two", "")]));
    txn.expect(&items(), &sooner, Coming::Surely);
    let fates = txn.write(&items(), sooner, WriteMode::Insert).await.expect("write");
    assert_eq!(fates, [RowFate::Inserted]);
    txn.commit().await.expect("commit");
    assert_eq!(all_items(&*target).await.len(), 2);
}

async fn what_is_booked_between_writes_stays_whatever_becomes_of_their_rows(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let books = Table { name: "books".to_owned(), ..items() };
    let mut txn = begin(&*target, fence).await;
    txn.create_table(&books).await.expect("create");
    let first = Arc::new(item_rows(&[(1, "one", "")]));
    let taken = Arc::new(item_rows(&[(1, "again", "")]));
    txn.expect(&items(), &taken, Coming::Surely);
    let fates = txn.write(&items(), first, WriteMode::Insert).await.expect("write");
    assert_eq!(fates, [RowFate::Inserted]);
    txn.put(&books, &item_rows(&[(1, "booked", "")])).await.expect("put");
    let fates = txn.write(&items(), taken, WriteMode::Insert).await.expect("write");
    assert_eq!(fates, [RowFate::Taken]);
    let fates = write(&mut txn, &items(), item_rows(&[(2, "two", ""), (1, "again", "")])).await;
    assert_eq!(fates, [RowFate::Inserted, RowFate::Taken]);
    txn.commit().await.expect("commit");
    assert_eq!(all_items(&*target).await.len(), 2);
    let booked = target.select(&Query::table("books", &["id"])).await.expect("select");
    assert_eq!(booked.len(), 1, "what was booked is gone");
}

async fn rows_without_a_key_are_all_new(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let log = Table {
        name: "log".to_owned(),
        columns: vec![column("line", Kind::Text(None))],
        key: vec![],
    };
    let line = ValueRef::Text("the same");
    let mut txn = begin(&*target, fence).await;
    txn.create_table(&log).await.expect("create");
    let fates = write(&mut txn, &log, chunk(1, &[&[line], &[line]])).await;
    assert_eq!(fates, [RowFate::Inserted, RowFate::Inserted]);
    txn.put(&log, &chunk(1, &[&[line]])).await.expect("put");
    txn.commit().await.expect("commit");
    let rows = target.select(&Query::table("log", &["line"])).await.expect("select");
    assert_eq!(rows.len(), 3);
}

async fn a_key_that_is_not_unique_is_refused(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let by_name = Table { key: vec![1], ..items() };
    let found = async |key: usize| {
        let key = vec![items().columns[key].name.clone()];
        let needs = Needs {
            tables: vec!["items".to_owned()],
            keys: [("items".to_owned(), key)].into(),
            ..Needs::default()
        };
        let findings = target.inspect(&needs).await.expect("inspect");
        let blocking = findings.into_iter().filter(|finding| finding.blocks);
        blocking.map(|finding| finding.message).collect::<Vec<_>>()
    };
    let nothing: &[String] = &[];
    assert_eq!(found(0).await, nothing);
    let found = found(1).await;
    assert!(found.len() == 1 && found[0].contains("key of `items` unique"), "{found:?}");
    let mut txn = begin(&*target, fence).await;
    let rows = Arc::new(item_rows(&[(1, "a", "")]));
    assert_eq!(
        class(txn.write(&by_name, rows, WriteMode::Insert).await),
        ErrorClass::Configuration
    );
    txn.rollback().await.expect("rollback");
}

async fn what_is_undone_never_was(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let scratch = Table { name: "scratch".to_owned(), ..items() };
    let mut txn = begin(&*target, fence).await;
    write(&mut txn, &items(), item_rows(&[(1, "a", "")])).await;
    txn.create_table(&scratch).await.expect("create");
    txn.rollback().await.expect("rollback");
    assert!(all_items(&*target).await.is_empty());
    assert_eq!(target.describe("scratch").await.expect("describe"), None);

    let mut txn = begin(&*target, fence).await;
    write(&mut txn, &items(), item_rows(&[(1, "a", "")])).await;
    drop(txn);
    let mut txn = begin(&*target, fence).await;
    let fates = write(&mut txn, &items(), item_rows(&[(1, "a", "")])).await;
    assert_eq!(fates, [RowFate::Inserted]);
    txn.commit().await.expect("commit");
    assert_eq!(all_items(&*target).await.len(), 1);
}

async fn one_transaction_at_a_time(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let other = connect.connect().await;
    let txn = begin(&*target, fence).await;
    assert_eq!(class(target.begin(fence).await), ErrorClass::Configuration);
    assert_eq!(class(other.begin(fence).await), ErrorClass::Transient);
    txn.commit().await.expect("commit");
    begin(&*other, fence).await.commit().await.expect("the place is free again");
}

async fn reads_see_what_is_committed(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let query = Query::table("items", &["id"]);
    let mut txn = begin(&*target, fence).await;
    write(&mut txn, &items(), item_rows(&[(1, "a", "")])).await;
    assert!(target.select(&query).await.expect("select").is_empty());
    assert_eq!(txn.select(&query).await.expect("select").len(), 1);
    txn.commit().await.expect("commit");
    assert_eq!(target.select(&query).await.expect("select").len(), 1);
}

async fn queries_filter_order_and_limit(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let mut txn = begin(&*target, fence).await;
    let rows = [(1, "a", "x"), (2, "b", ""), (3, "c", "y"), (4, "d", ""), (5, "e", "x")];
    write(&mut txn, &items(), item_rows(&rows)).await;
    txn.commit().await.expect("commit");
    let check = async |query: Query, expected: &[i64]| {
        let answer = target.select(&query).await.expect("select");
        let found: Vec<i128> =
            answer.rows().map(|row| row.get(0).to_owned().as_int().expect("an id")).collect();
        let expected: Vec<i128> = expected.iter().map(|id| i128::from(*id)).collect();
        assert_eq!(found, expected, "{query:?}");
    };
    let all = || Query::table("items", &["id"]).by("id", Order::Rising);
    check(all(), &[1, 2, 3, 4, 5]).await;
    check(all().at_most(2), &[1, 2]).await;
    check(all().at_most(0), &[]).await;
    check(all().is("note", "x"), &[1, 5]).await;
    check(all().is("note", Value::Null), &[2, 4]).await;
    check(all().that("note", Operator::IsNot, vec![text("x")]), &[2, 3, 4]).await;
    check(all().that("note", Operator::IsNot, vec![Value::Null]), &[1, 3, 5]).await;
    check(all().that("id", Operator::In, vec![int(4), int(1), int(9)]), &[1, 4]).await;
    check(all().that("id", Operator::In, vec![]), &[]).await;
    check(all().that("note", Operator::In, vec![text("y"), Value::Null]), &[2, 3, 4]).await;
    check(all().that("id", Operator::Above, vec![int(3)]), &[4, 5]).await;
    check(all().that("id", Operator::AtMost, vec![int(2)]), &[1, 2]).await;
    check(all().that("note", Operator::Above, vec![text("x")]), &[3]).await;
    check(all().that("note", Operator::AtMost, vec![text("y")]), &[1, 3, 5]).await;
    check(all().is("note", "x").that("id", Operator::Above, vec![int(1)]), &[5]).await;
    let by_note = |order| Query::table("items", &["id"]).by("note", order).by("id", Order::Falling);
    check(by_note(Order::Rising), &[4, 2, 5, 1, 3]).await;
    check(by_note(Order::Falling), &[3, 5, 1, 4, 2]).await;
    let many: Vec<Value> = (3..100_000).map(int).collect();
    check(all().that("id", Operator::In, many), &[3, 4, 5]).await;
    let swapped = Query::table("items", &["name", "id"]).is("id", 2i64);
    let answer = target.select(&swapped).await.expect("select");
    assert_eq!(values(&answer), [vec![text("b"), int(2)]]);
}

async fn text_is_compared_by_its_bytes(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let mut txn = begin(&*target, fence).await;
    let names = ["a", "B", "é", "e\u{301}", "Z", "a b", "", "a\u{0}", "ß"];
    let rows: Vec<(i64, &str, &str)> =
        names.iter().enumerate().map(|(id, name)| (id as i64, *name, "")).collect();
    let fates = write(&mut txn, &items(), item_rows(&rows)).await;
    txn.commit().await.expect("commit");
    let query = Query::table("items", &["name"]).by("name", Order::Rising);
    let found = values(&target.select(&query).await.expect("select"));
    // PostgreSQL's text holds no NUL: there such a row is refused, and only such a row.
    let mut sorted: Vec<&str> = names
        .into_iter()
        .zip(&fates)
        .filter(|(name, fate)| !(name.contains('\u{0}') && is_refused(fate, "name")))
        .map(|(name, _)| name)
        .collect();
    sorted.sort_unstable();
    let sorted: Vec<Vec<Value>> = sorted.into_iter().map(|name| vec![text(name)]).collect();
    assert_eq!(found, sorted);
    let query = Query::table("items", &["name"]).is("name", "b");
    assert!(target.select(&query).await.expect("select").is_empty());
    let query = Query::table("items", &["name"]).that("name", Operator::In, vec![text("z")]);
    assert!(target.select(&query).await.expect("select").is_empty());
}

async fn put_replaces_by_key(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let mut txn = begin(&*target, fence).await;
    txn.put(&items(), &item_rows(&[(1, "a", "x"), (2, "b", "y")])).await.expect("put");
    txn.put(&items(), &item_rows(&[(2, "B", ""), (3, "c", "z")])).await.expect("put");
    // Columns that the table at hand leaves out keep what they held.
    let names_only = Table { columns: items().columns[..2].to_vec(), ..items() };
    let row = chunk(2, &[&[ValueRef::Int(1), ValueRef::Text("A")]]);
    txn.put(&names_only, &row).await.expect("put");
    txn.commit().await.expect("commit");
    assert_eq!(
        all_items(&*target).await,
        [
            vec![int(1), text("A"), text("x")],
            vec![int(2), text("B"), Value::Null],
            vec![int(3), text("c"), text("z")],
        ]
    );
}

async fn rows_are_deleted_by_condition(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let mut txn = begin(&*target, fence).await;
    txn.put(&items(), &item_rows(&[(1, "a", "x"), (2, "b", ""), (3, "c", "x")]))
        .await
        .expect("put");
    let query =
        Query::table("items", &[]).is("note", "x").that("id", Operator::Above, vec![int(1)]);
    assert_eq!(txn.delete(&query).await.expect("delete"), 1);
    assert_eq!(txn.delete(&query).await.expect("delete"), 0);
    txn.commit().await.expect("commit");
    assert_eq!(all_items(&*target).await.len(), 2);
    let mut txn = begin(&*target, fence).await;
    assert_eq!(txn.delete(&Query::table("items", &[])).await.expect("delete"), 2);
    txn.commit().await.expect("commit");
    assert!(all_items(&*target).await.is_empty());
}

async fn rows_are_read_updated_and_removed_by_key(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let mut txn = begin(&*target, fence).await;
    write(&mut txn, &items(), item_rows(&[(1, "a", "x"), (2, "b", ""), (3, "c", "z")])).await;
    let found = txn.read_for_update(&items(), &ids(&[3, 9, 1])).await.expect("read");
    assert_eq!(
        found,
        [Some(vec![int(3), text("c"), text("z")]), None, Some(vec![int(1), text("a"), text("x")]),]
    );
    let fates = txn.update(&items(), &item_rows(&[(1, "A", ""), (3, "C", "Z")])).await;
    assert_eq!(fates.expect("update"), [RowFate::Updated, RowFate::Updated]);
    assert_eq!(txn.remove(&items(), &ids(&[2, 9])).await.expect("remove"), 1);
    txn.commit().await.expect("commit");
    assert_eq!(
        all_items(&*target).await,
        [vec![int(1), text("A"), Value::Null], vec![int(3), text("C"), text("Z")],]
    );
}

async fn a_missing_row_cannot_be_overwritten(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let mut txn = begin(&*target, fence).await;
    let outcome = txn.update(&items(), &item_rows(&[(7, "a", "")])).await;
    assert_eq!(class(outcome), ErrorClass::Changed);
    txn.rollback().await.expect("rollback");
}

async fn a_refused_update_costs_its_row(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let mut txn = begin(&*target, fence).await;
    let old =
        [(1, "a", ""), (2, "b", "x"), (3, "c", ""), (4, "d", ""), (5, "e", "y"), (6, "f", "")];
    write(&mut txn, &items(), item_rows(&old)).await;
    let mut rows = ChunkBuilder::new(3);
    for (id, name) in [(1, Some("A")), (2, None), (3, Some("C")), (4, Some("D")), (5, None)] {
        rows.push(ValueRef::Int(id));
        rows.push(name.map_or(ValueRef::Null, ValueRef::Text));
        rows.push(ValueRef::Text("new"));
        rows.end_row();
    }
    let fates = txn.update(&items(), &rows.finish()).await.expect("update");
    let updated: Vec<bool> = fates.iter().map(|fate| *fate == RowFate::Updated).collect();
    assert_eq!(updated, [true, false, true, true, false], "{fates:?}");
    assert!(is_refused(&fates[1], "name") && is_refused(&fates[4], "name"), "{fates:?}");
    // What comes after it in the transaction stands like what came before.
    let after = txn.update(&items(), &item_rows(&[(6, "F", "")])).await.expect("update");
    assert_eq!(after, [RowFate::Updated]);
    txn.commit().await.expect("commit");
    assert_eq!(
        all_items(&*target).await,
        [
            vec![int(1), text("A"), text("new")],
            vec![int(2), text("b"), text("x")],
            vec![int(3), text("C"), text("new")],
            vec![int(4), text("D"), text("new")],
            vec![int(5), text("e"), text("y")],
            vec![int(6), text("F"), Value::Null],
        ]
    );
}

async fn a_table_is_created_once(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    assert_eq!(described(&*target, "items").await, items());
    let mut txn = begin(&*target, fence).await;
    assert_eq!(class(txn.create_table(&items()).await), ErrorClass::Configuration);
    let odd = Table { name: "odd \"name\"; --".to_owned(), ..items() };
    txn.create_table(&odd).await.expect("create");
    assert_eq!(write(&mut txn, &odd, item_rows(&[(1, "a", "")])).await, [RowFate::Inserted]);
    txn.commit().await.expect("commit");
    assert_eq!(described(&*target, &odd.name).await, odd);
}

/// The table without its defaults: some engines fill integer keys unasked.
async fn described(target: &dyn Target, table: &str) -> Table {
    let found = target.describe(table).await.expect("describe");
    let mut found = found.expect("the table was created");
    for column in &mut found.columns {
        column.has_default = false;
    }
    found
}

async fn missing_tables_and_columns_are_named(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let told = async |query: Query, name: &str| {
        let error = target.select(&query).await.expect_err("nothing to read");
        assert_eq!(error.class, ErrorClass::Configuration, "{error:?}");
        let cause = error.why.map(|why| why.to_string()).unwrap_or_default();
        assert!(format!("{} {cause}", error.what).contains(name), "{}", error.what);
    };
    told(Query::table("nowhere", &["id"]), "nowhere").await;
    told(Query::table("items", &["missing_column"]), "missing_column").await;
    let wider =
        Table { columns: [items().columns, vec![column("extra", Kind::Any)]].concat(), ..items() };
    let mut txn = begin(&*target, fence).await;
    let row = chunk(4, &[&[ValueRef::Int(1), ValueRef::Text("a"), ValueRef::Null, ValueRef::Null]]);
    let outcome = txn.write(&wider, Arc::new(row), WriteMode::Insert).await;
    assert_eq!(class(outcome), ErrorClass::Configuration);
    let file = SchemaFile { name: "broken.sql".to_owned(), sql: "NOT A STATEMENT".to_owned() };
    let error = txn.apply_schema(&file).await.expect_err("nonsense was applied");
    assert_eq!(error.class, ErrorClass::Configuration);
    assert!(error.what.contains("broken.sql"), "{}", error.what);
    txn.rollback().await.expect("rollback");
}

async fn values_come_back_as_they_went_in(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    let mut txn = begin(&*target, fence).await;
    for (table, rows) in edge_rows() {
        let kind = table.columns[1].kind;
        txn.create_table(&table).await.expect("create");
        let samples: Vec<Value> = rows.rows().map(|row| row.get(1).to_owned()).collect();
        for (fate, value) in write(&mut txn, &table, rows).await.iter().zip(&samples) {
            assert_eq!(*fate, RowFate::Inserted, "{} {value:?}", kind.name());
        }
        let keys: Vec<i64> = (0..samples.len() as i64).collect();
        let found = txn.read_for_update(&table, &ids(&keys)).await.expect("read");
        for (row, value) in found.iter().zip(&samples) {
            let row = row.as_ref().expect("the row was written");
            assert!(is_same(kind, &row[1], value), "{}: {:?}, not {value:?}", kind.name(), row[1]);
        }
        let query = Query::table(table.name.as_str(), &["v"]).by("id", Order::Rising);
        let found = values(&txn.select(&query).await.expect("select"));
        assert_eq!(found.len(), samples.len(), "{}", kind.name());
        for (row, value) in found.iter().zip(&samples) {
            assert!(is_same(kind, &row[0], value), "{}: {:?}, not {value:?}", kind.name(), row[0]);
        }
    }
    txn.commit().await.expect("commit");
}

/// Whether they mean the same. Servers fill a decimal up to its column's scale, spell JSON their own
/// way, and keep integers beyond 64 bits as decimals; what counts are the bytes that are digested.
fn is_same(kind: Kind, found: &Value, written: &Value) -> bool {
    let number = |value: &Value| match (kind, value.as_ref()) {
        (Kind::Int(_), ValueRef::Decimal(digits)) => digits.parse().ok().map(Value::Int),
        (_, _) => None,
    };
    let encoded = |value: &Value| {
        let mut bytes = Vec::new();
        whimbrel_model::wce::cell(
            &mut bytes,
            kind,
            number(value).as_ref().unwrap_or(value).as_ref(),
        );
        bytes
    };
    encoded(found) == encoded(written)
}

/// A table of each kind with its edge values under rising keys.
pub(super) fn edge_rows() -> Vec<(Table, Chunk)> {
    let of_kind = |(index, (kind, samples)): (usize, (Kind, Vec<Value>))| {
        let table = Table {
            name: format!("values_{index}"),
            columns: vec![column("id", Kind::Int(IntWidth::I64)), column("v", kind)],
            key: vec![0],
        };
        let mut rows = ChunkBuilder::new(2);
        for (id, value) in samples.iter().enumerate() {
            rows.push(ValueRef::Int(id as i128));
            rows.push(value.as_ref());
            rows.end_row();
        }
        (table, rows.finish())
    };
    edge_values().into_iter().enumerate().map(of_kind).collect()
}

/// Values that every engine holds in a column that it created for their kind.
fn edge_values() -> Vec<(Kind, Vec<Value>)> {
    let strings = |texts: &[&str]| -> Vec<String> { texts.iter().map(|&t| t.to_owned()).collect() };
    let each = |texts: &[&str], make: fn(String) -> Value| -> Vec<Value> {
        strings(texts).into_iter().map(make).chain([Value::Null]).collect()
    };
    let integers = |width: IntWidth| {
        let (least, most) = width.range();
        let values = [least, -1, 0, 1, 42, most].map(|value| Value::Int(value.max(least)));
        (Kind::Int(width), values.to_vec())
    };
    let day = |year, month, day| Date::from_ymd(year, month, day).expect("a day");
    let days =
        [day(1, 1, 1), day(1969, 12, 31), day(1970, 1, 1), day(2024, 2, 29), day(9999, 12, 31)];
    let nanos = [0, 1_000, 250_000_000, 86_399_999_999_000];
    let instants: Vec<DateTime> =
        days.iter().flat_map(|day| nanos.map(|nanos| DateTime { days: day.days, nanos })).collect();
    vec![
        (Kind::Bool, vec![Value::Bool(true), Value::Bool(false), Value::Null]),
        integers(IntWidth::I16),
        integers(IntWidth::I32),
        integers(IntWidth::I64),
        integers(IntWidth::U64),
        integers(IntWidth::I128),
        (
            Kind::Decimal(Some((38, 10))),
            each(
                &[
                    "0",
                    "12.5",
                    "-0.0000000001",
                    "9007199254740993",
                    "0.1",
                    "1234567890123456789012345678.5",
                ],
                Value::Decimal,
            ),
        ),
        (
            Kind::Float,
            [
                0.0,
                1.0,
                -1.5,
                0.1,
                1e300,
                5e-324,
                f64::MAX,
                f64::MIN_POSITIVE,
                9_007_199_254_740_993.0,
            ]
            .map(Value::Float)
            .to_vec(),
        ),
        (
            Kind::Text(None),
            each(
                &[
                    "",
                    " ",
                    "007",
                    "1e5",
                    "NULL",
                    "née 🦉",
                    "a'b\"c\\d",
                    "line\r\nbreak\ttab",
                    "2024-01-01",
                ],
                Value::Text,
            ),
        ),
        (Kind::Text(Some(5)), each(&["12345", "ééééé"], Value::Text)),
        (
            Kind::Bytes,
            vec![
                Value::Bytes(vec![]),
                Value::Bytes(vec![0, 255, 0x27]),
                Value::Bytes((0..=255).collect()),
                Value::Null,
            ],
        ),
        (Kind::Date, days.map(Value::Date).to_vec()),
        (Kind::Time, nanos.map(|nanos| Value::Time(Time { nanos: nanos as i64 })).to_vec()),
        (Kind::Timestamp, instants.iter().copied().map(Value::Timestamp).collect()),
        (Kind::TimestampTz, instants.iter().copied().map(Value::TimestampTz).collect()),
        (
            Kind::Uuid,
            vec![Value::Uuid([0; 16]), Value::Uuid([255; 16]), Value::Uuid(*b"0123456789abcdef")],
        ),
        (
            Kind::Json,
            each(
                &[
                    "{}",
                    "[1.10,1e5]",
                    "1.10",
                    "\"text\"",
                    "null",
                    "{\"b\":1,\"a\":[true,null]}",
                    "-0",
                ],
                Value::Json,
            ),
        ),
    ]
}

async fn loading_can_be_entered_again_after_a_crash(connect: Connect) {
    let (target, fence) = ready(&connect).await;
    target.enter_load().await.expect("enter");
    let mut txn = begin(&*target, fence).await;
    write(&mut txn, &items(), item_rows(&[(1, "a", "")])).await;
    txn.commit().await.expect("commit");
    drop(target);
    let target = connect.connect().await;
    assert_eq!(all_items(&*target).await.len(), 1);
    target.enter_load().await.expect("enter again");
    let mut txn = begin(&*target, fence).await;
    write(&mut txn, &items(), item_rows(&[(2, "b", "")])).await;
    txn.commit().await.expect("commit");
    target.leave_load().await.expect("leave");
    target.leave_load().await.expect("leave twice");
    assert_eq!(all_items(&*target).await.len(), 2);
    let mut txn = begin(&*target, fence).await;
    write(&mut txn, &items(), item_rows(&[(3, "c", "")])).await;
    txn.commit().await.expect("commit");
    let other = connect.connect().await;
    assert_eq!(all_items(&*other).await.len(), 3);
}

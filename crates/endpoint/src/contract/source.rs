//! The claims about sources.

use whimbrel_model::{Position, SourceChunk, SourceMark, ValueRef};

use crate::{ErrorClass, Field, Freshness, Limit, Partition, ReaderEnd, Source};

/// A source with content that the claims know enough about.
pub trait SourceUnderTest {
    /// The source: at least one partition with at least five records, each of a few bytes, with a
    /// column `id` that is never the same twice in a partition.
    fn source(&self) -> &dyn Source;

    /// Appends one more record to a partition, behind all others.
    fn append(&self, partition: &Partition);

    /// Changes the bytes of the first record of a partition, but not their number.
    fn alter(&self, partition: &Partition);

    /// Takes everything from a partition.
    fn empty(&self, partition: &Partition);

    /// Codes of defects and repairs that a record has for what stands around it, not for its own bytes: by
    /// itself it may be a sound record.
    fn of_surroundings(&self) -> &'static [&'static str] {
        &[]
    }

    /// True where a reader reads what was there when it was opened: a change made meanwhile is not
    /// noticed, because it is not seen.
    fn is_snapshot(&self) -> bool {
        false
    }
}

/// Runs every claim, each on a source of its own from `make`.
pub async fn source_contract<S: SourceUnderTest>(make: impl Fn() -> S) {
    partitions_come_in_order(&make()).await;
    reading_ends_with_what_the_whole_was(&make()).await;
    positions_rise_and_bytes_are_kept(&make()).await;
    limits_are_kept_and_change_nothing(&make()).await;
    fields_come_in_the_order_asked_for(&make()).await;
    resuming_at_any_mark_equals_reading_on(&make()).await;
    a_mark_at_the_end_leads_to_the_end(&make()).await;
    bytes_after_the_mark_may_be_appended(&make()).await;
    a_changed_prefix_is_noticed(&make()).await;
    a_change_while_reading_is_noticed(&make()).await;
    freshness_tells_versions_apart(&make()).await;
    text_and_checksum_are_of_the_whole(&make()).await;
    own_bytes_parse_as_they_were_read(&make()).await;
    parsed_records_stand_where_they_are_said_to(&make()).await;
    parsed_bytes_are_one_record_or_a_defect(&make()).await;
}

const ALL: Limit = Limit { rows: usize::MAX, bytes: usize::MAX };

fn id() -> Vec<Field> {
    vec![Field::Column("id".to_owned())]
}

async fn first(test: &impl SourceUnderTest) -> Partition {
    let found = test.source().partitions().await.expect("partitions");
    found.partitions.into_iter().next().expect("a source under test has a partition")
}

/// One record as a reader shows it.
#[derive(Clone, PartialEq, Debug)]
struct Seen {
    values: Vec<String>,
    record: u64,
    line: u64,
    byte: u64,
    raw: Vec<u8>,
    defect: Option<&'static str>,
}

fn seen(chunk: &SourceChunk) -> Vec<Seen> {
    assert_eq!(chunk.rows.len(), chunk.records.len(), "one row per record");
    let shown = |value: ValueRef<'_>| format!("{value:?}");
    chunk
        .records
        .iter()
        .enumerate()
        .map(|(index, record)| Seen {
            values: chunk.rows.row(index).values().map(shown).collect(),
            record: record.position.record,
            line: record.position.line,
            byte: record.position.byte,
            raw: chunk.bytes(index).to_vec(),
            defect: record.defect.as_ref().map(|defect| defect.code),
        })
        .collect()
}

/// Everything from a mark on, in chunks of `limit`, with the mark after each chunk.
async fn read(
    test: &impl SourceUnderTest,
    partition: &Partition,
    after: Option<&SourceMark>,
    limit: Limit,
) -> (Vec<Seen>, Vec<SourceMark>, ReaderEnd) {
    let opened = test.source().open(partition, &id(), after).await;
    let mut reader = opened.expect("a partition can be opened");
    let (mut records, mut marks) = (Vec::new(), Vec::new());
    while let Some(chunk) = reader.next(limit).await.expect("a partition can be read") {
        assert!(!chunk.records.is_empty(), "a chunk has at least one record");
        records.extend(seen(&chunk));
        let before = marks.last().or(after).map_or(0, |mark: &SourceMark| mark.records);
        assert_eq!(chunk.mark.records, before + chunk.records.len() as u64, "marks count records");
        assert!(chunk.mark.token.len() <= 8 * 1024, "a token has a few KiB at most");
        marks.push(chunk.mark);
    }
    assert!(reader.next(limit).await.expect("the end stays the end").is_none());
    let end = reader.finish().await.expect("the partition did not change");
    (records, marks, end)
}

async fn partitions_come_in_order(test: &impl SourceUnderTest) {
    let found = test.source().partitions().await.expect("partitions").partitions;
    let paths: Vec<&[u8]> = found.iter().map(|partition| partition.id.path.as_bytes()).collect();
    assert!(paths.is_sorted(), "paths are compared as bytes");
    let name = test.source().name();
    assert!(found.iter().all(|partition| partition.id.source == name));
    let again = test.source().partitions().await.expect("partitions").partitions;
    assert!(found.iter().map(|partition| &partition.id).eq(again.iter().map(|p| &p.id)));
}

async fn reading_ends_with_what_the_whole_was(test: &impl SourceUnderTest) {
    let partition = first(test).await;
    let shape = test.source().describe(&partition).await.expect("describe");
    assert!(shape.columns.iter().any(|column| column.name == "id"), "{shape:?}");
    let (records, _, end) = read(test, &partition, None, ALL).await;
    assert!(records.len() >= 5, "a source under test has five records");
    assert!(end.bytes >= records.iter().map(|record| record.raw.len() as u64).sum());
    assert!(end.mark.records <= records.len() as u64);
}

async fn positions_rise_and_bytes_are_kept(test: &impl SourceUnderTest) {
    let partition = first(test).await;
    let (records, _, _) = read(test, &partition, None, ALL).await;
    for (index, record) in records.iter().enumerate() {
        assert_eq!(record.record, index as u64 + 1, "records are counted from 1");
        assert!(!record.raw.is_empty(), "a record has bytes");
    }
    for pair in records.windows(2) {
        assert!(pair[0].byte + pair[0].raw.len() as u64 <= pair[1].byte, "{pair:?}");
        assert!(pair[0].line <= pair[1].line, "{pair:?}");
    }
}

async fn limits_are_kept_and_change_nothing(test: &impl SourceUnderTest) {
    let partition = first(test).await;
    let (whole, _, end) = read(test, &partition, None, ALL).await;
    for limit in [
        Limit { rows: 1, bytes: usize::MAX },
        Limit { rows: 2, bytes: usize::MAX },
        Limit { rows: usize::MAX, bytes: 1 },
        Limit::default(),
    ] {
        let (records, marks, other) = read(test, &partition, None, limit).await;
        assert_eq!(records, whole, "{limit:?}");
        assert_eq!(other.mark, end.mark, "{limit:?}");
        assert_eq!(
            (other.lines, other.skipped_lines, other.bytes, other.digest),
            (end.lines, end.skipped_lines, end.bytes, end.digest),
            "{limit:?}"
        );
        let largest = marks.iter().scan(0, |before, mark| {
            let count = mark.records - *before;
            *before = mark.records;
            Some(count)
        });
        assert!(largest.max() <= Some(limit.rows as u64), "{limit:?}");
    }
}

async fn fields_come_in_the_order_asked_for(test: &impl SourceUnderTest) {
    let partition = first(test).await;
    let fields = [
        Field::Column("no such column".to_owned()),
        Field::Column("id".to_owned()),
        Field::Json,
        Field::Column("id".to_owned()),
    ];
    let mut reader = test.source().open(&partition, &fields, None).await.expect("open");
    let chunk = reader.next(ALL).await.expect("read").expect("a record");
    assert_eq!(chunk.rows.width(), fields.len());
    for (row, record) in chunk.rows.rows().zip(&chunk.records) {
        assert!(row.get(0).is_null(), "a field that is not there is NULL");
        assert_eq!(row.get(1), row.get(3));
        if record.defect.is_some() {
            assert!(row.values().all(|value| value.is_null()), "a defective record has no values");
        } else {
            assert!(matches!(row.get(2), ValueRef::Json(_)), "{:?}", row.get(2));
        }
    }
    let none = test.source().open(&partition, &[], None).await;
    let chunk = none.expect("open").next(ALL).await.expect("read").expect("a record");
    assert_eq!((chunk.rows.width(), chunk.rows.len()), (0, chunk.records.len()));
}

async fn resuming_at_any_mark_equals_reading_on(test: &impl SourceUnderTest) {
    let partition = first(test).await;
    let one = Limit { rows: 1, bytes: usize::MAX };
    let (whole, marks, end) = read(test, &partition, None, one).await;
    for (behind, mark) in marks.iter().enumerate() {
        let (rest, _, other) = read(test, &partition, Some(mark), ALL).await;
        assert_eq!(rest, whole[behind + 1..], "resumed after record {}", behind + 1);
        assert_eq!(other.mark, end.mark);
        assert_eq!(
            (other.lines, other.skipped_lines, other.bytes),
            (end.lines, end.skipped_lines, end.bytes)
        );
    }
}

async fn a_mark_at_the_end_leads_to_the_end(test: &impl SourceUnderTest) {
    let partition = first(test).await;
    let (_, marks, _) = read(test, &partition, None, ALL).await;
    let last = marks.last().expect("a mark");
    let (rest, _, _) = read(test, &partition, Some(last), ALL).await;
    assert!(rest.is_empty());
}

async fn bytes_after_the_mark_may_be_appended(test: &impl SourceUnderTest) {
    let partition = first(test).await;
    let (whole, _, end) = read(test, &partition, None, ALL).await;
    test.append(&partition);
    let partition = first(test).await;
    let (more, _, _) = read(test, &partition, Some(&end.mark), ALL).await;
    assert_eq!(more.len(), 1, "one record was appended");
    assert_eq!(more[0].record, whole.len() as u64 + 1);
}

async fn a_changed_prefix_is_noticed(test: &impl SourceUnderTest) {
    let partition = first(test).await;
    let one = Limit { rows: 1, bytes: usize::MAX };
    let (_, marks, _) = read(test, &partition, None, one).await;
    test.alter(&partition);
    let partition = first(test).await;
    for mark in &marks {
        match test.source().open(&partition, &id(), Some(mark)).await {
            Ok(_) => panic!("resumed behind {} changed records", mark.records),
            Err(error) => assert_eq!(error.class, ErrorClass::Changed, "{error:?}"),
        }
    }
    test.empty(&partition);
    let error = test.source().open(&partition, &id(), marks.last()).await.err();
    assert_eq!(error.map(|error| error.class), Some(ErrorClass::Changed));
}

async fn a_change_while_reading_is_noticed(test: &impl SourceUnderTest) {
    let partition = first(test).await;
    let (whole, _, _) = read(test, &partition, None, ALL).await;
    let mut reader = test.source().open(&partition, &id(), None).await.expect("open");
    let begun = reader.next(Limit { rows: 1, bytes: usize::MAX }).await.expect("read");
    test.alter(&partition);
    if test.is_snapshot() {
        let mut records = seen(&begun.expect("a record"));
        while let Some(chunk) = reader.next(ALL).await.expect("the snapshot is read on") {
            records.extend(seen(&chunk));
        }
        assert_eq!(records, whole, "a snapshot does not change");
        reader.finish().await.expect("a snapshot does not change");
        return;
    }
    let outcome = async {
        while reader.next(ALL).await?.is_some() {}
        reader.finish().await
    };
    let error = outcome.await.expect_err("the change went unnoticed");
    assert_eq!(error.class, ErrorClass::Changed, "{error:?}");
}

async fn freshness_tells_versions_apart(test: &impl SourceUnderTest) {
    let partition = first(test).await;
    let (_, _, end) = read(test, &partition, None, ALL).await;
    let compare = async || {
        let partition = first(test).await;
        test.source().compare(&partition, &end.mark).await.expect("compare")
    };
    assert_eq!(compare().await, Freshness::Same);
    test.append(&partition);
    assert_eq!(compare().await, Freshness::Appended);
    test.alter(&partition);
    assert_eq!(compare().await, Freshness::Changed);
    test.empty(&partition);
    assert_eq!(compare().await, Freshness::Changed);
}

async fn text_and_checksum_are_of_the_whole(test: &impl SourceUnderTest) {
    use whimbrel_model::plan::HashAlgorithm::{Blake3, Sha256};
    let partition = first(test).await;
    let text = test.source().text(&partition).await.expect("text");
    let (records, _, _) = read(test, &partition, None, ALL).await;
    assert!(
        records
            .iter()
            .all(|record| { std::str::from_utf8(&record.raw).is_ok_and(|raw| text.contains(raw)) })
    );
    let sum = async |algorithm| {
        let partition = first(test).await;
        test.source().checksum(&partition, algorithm).await.expect("checksum")
    };
    let before = (sum(Sha256).await, sum(Blake3).await);
    assert_eq!((before.0.len(), before.1.len()), (64, 64));
    assert_eq!((sum(Sha256).await, sum(Blake3).await), before);
    test.alter(&partition);
    assert_ne!(sum(Sha256).await, before.0);
    assert_ne!(sum(Blake3).await, before.1);
}

async fn own_bytes_parse_as_they_were_read(test: &impl SourceUnderTest) {
    parse_equals_reading(test.source(), test.of_surroundings()).await;
}

/// Claims of every record of every partition that its own bytes, parsed, are what reading made of
/// them: the same values, repairs, place and bytes, and a defect or none. Records whose defect is
/// one `of_surroundings` are parsed too; whether they have a defect then, is not looked at. Repairs
/// of surroundings are those of the place, and not of the record by itself.
pub async fn parse_equals_reading(source: &dyn Source, of_surroundings: &[&str]) {
    let found = source.partitions().await.expect("partitions");
    for partition in &found.partitions {
        let shape = source.describe(partition).await.expect("describe");
        let columns = shape.columns.into_iter().map(|column| Field::Column(column.name));
        let fields: Vec<Field> = columns.chain([Field::Json]).collect();
        let mut reader = source.open(partition, &fields, None).await.expect("open");
        while let Some(chunk) = reader.next(Limit::default()).await.expect("read") {
            let own = |index: usize| (chunk.records[index].position, chunk.bytes(index).to_vec());
            let records: Vec<_> = (0..chunk.records.len()).map(own).collect();
            let parsed = source.parse(partition, &fields, &records).await.expect("parse");
            assert_eq!(parsed.mark, SourceMark::default(), "nothing can go on after it");
            let exempt = |record: &Seen| of_surroundings.iter().any(|c| record.defect == Some(c));
            let pairs = seen(&chunk).into_iter().zip(seen(&parsed)).enumerate();
            for (index, (read, parsed_as)) in pairs.filter(|(_, (read, _))| !exempt(read)) {
                let whether = |record: &Seen| record.defect.is_some();
                assert_eq!(whether(&read), whether(&parsed_as), "{read:?}, parsed {parsed_as:?}");
                assert_eq!(read, Seen { defect: read.defect, ..parsed_as });
                let mut own = repairs(&chunk, index);
                own.retain(|code| !of_surroundings.contains(code));
                assert_eq!(own, repairs(&parsed, index), "{read:?}");
            }
        }
    }
}

fn repairs(chunk: &SourceChunk, record: usize) -> Vec<&'static str> {
    let own = chunk.repairs.iter().filter(|repair| repair.record == record);
    own.map(|repair| repair.code).collect()
}

async fn parsed_records_stand_where_they_are_said_to(test: &impl SourceUnderTest) {
    let partition = first(test).await;
    let (records, _, _) = read(test, &partition, None, ALL).await;
    let place = |record: u64| Position { record, line: 10 * record, byte: 100 * record };
    let sound = records.iter().filter(|record| record.defect.is_none());
    let moved = sound.rev().map(|seen| (place(seen.record + 9), seen.raw.clone()));
    let moved: Vec<_> = moved.collect();
    let parsed = test.source().parse(&partition, &id(), &moved).await.expect("parse");
    let parsed = seen(&parsed);
    assert_eq!(parsed.len(), moved.len(), "one row per entry");
    for ((position, raw), record) in moved.iter().zip(&parsed) {
        let stands = Position { record: record.record, line: record.line, byte: record.byte };
        assert_eq!((stands, &record.raw, record.defect), (*position, raw, None));
        assert!(records.iter().any(|r| r.raw == *raw && r.values == record.values), "{record:?}");
    }
    let none = test.source().parse(&partition, &id(), &[]).await.expect("parse");
    assert!(none.rows.is_empty() && none.records.is_empty());
}

async fn parsed_bytes_are_one_record_or_a_defect(test: &impl SourceUnderTest) {
    let partition = first(test).await;
    let (records, _, _) = read(test, &partition, None, ALL).await;
    let [one, two] = [&records[0], &records[1]]
        .map(|record| record.raw.strip_suffix(b"\n").unwrap_or(&record.raw));
    let place = Position { record: 1, line: records[0].line, byte: records[0].byte };
    let line = |parts: &[&[u8]]| (place, parts.concat());
    let given =
        [line(&[]), line(&[b"\n"]), line(&[one]), line(&[one, b"\n"]), line(&[one, b"\n", two])];
    let parsed = test.source().parse(&partition, &id(), &given).await.expect("parse");
    let parsed = seen(&parsed);
    let defects: Vec<bool> = parsed.iter().map(|record| record.defect.is_some()).collect();
    assert_eq!(defects, [true, true, false, false, true], "{parsed:?}");
    assert!(parsed.iter().zip(&given).all(|(record, (_, bytes))| record.raw == *bytes));
    assert!(parsed[2..4].iter().all(|record| record.values == records[0].values), "{parsed:?}");
}

//! The in-memory endpoints keep the contract.

use whimbrel_endpoint::contract::{Connect, SourceUnderTest, source_contract, target_contract};
use whimbrel_endpoint::memory::{MemoryRecord, MemorySource, MemoryTarget};
use whimbrel_endpoint::{Partition, Source, Target};
use whimbrel_model::{Defect, Field, Position, Value, ValueRef};

#[tokio::test]
async fn the_memory_target_keeps_the_contract() {
    target_contract(|| -> Connect {
        let first = MemoryTarget::new();
        Box::new(async move || {
            let target: Box<dyn Target> = Box::new(first.clone());
            target
        })
    })
    .await;
}

struct Sample(MemorySource);

fn record(id: i64) -> MemoryRecord {
    MemoryRecord::new(vec![Value::Int(id.into()), Value::Text(format!("name {id}"))])
}

impl SourceUnderTest for Sample {
    fn source(&self) -> &dyn Source {
        &self.0
    }

    fn append(&self, partition: &Partition) {
        self.0.append(&partition.id.path, record(99));
    }

    fn alter(&self, partition: &Partition) {
        let records = (2..8).map(record).collect();
        self.0.set(&partition.id.path, records);
    }

    fn empty(&self, partition: &Partition) {
        self.0.set(&partition.id.path, Vec::new());
    }
}

#[tokio::test]
async fn the_memory_source_keeps_the_contract() {
    source_contract(|| {
        let source = MemorySource::new("samples", &["id", "name"]);
        let mut records: Vec<MemoryRecord> = (1..7).map(record).collect();
        let defect = Defect { code: "WB0100", column: 0, message: "torn".to_owned() };
        records.insert(3, MemoryRecord::defective("torn,\n", defect));
        source.set("b.csv", (1..9).map(record).collect());
        source.set("a.csv", records);
        Sample(source)
    })
    .await;
}

#[tokio::test]
async fn mended_bytes_of_the_memory_source_are_a_line_of_cells() {
    let source = MemorySource::new("samples", &["id", "name"]);
    source.set("a", (1..3).map(record).collect());
    let partition = source.partitions().await.unwrap().partitions.remove(0);
    let place = Position { record: 2, line: 2, byte: 9 };
    let given = ["2,name 2", "7,seven\r\n", "7", "7,8,9", "", "1,a\n2,b\n"];
    let given = given.map(|text| (place, text.as_bytes().to_vec()));
    let fields = [Field::Column("id".to_owned())];
    let chunk = source.parse(&partition, &fields, &given).await.unwrap();
    let ids: Vec<_> = chunk.rows.rows().map(|row| row.get(0)).collect();
    let null = ValueRef::Null;
    assert_eq!(ids, [ValueRef::Int(2), ValueRef::Text("7"), null, null, null, null]);
    let defects: Vec<_> = chunk.records.iter().map(|record| record.defect.is_some()).collect();
    assert_eq!(defects, [false, false, true, true, true, true]);
}

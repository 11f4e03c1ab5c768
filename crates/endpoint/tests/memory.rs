//! The in-memory endpoints keep the contract.

use whimbrel_endpoint::contract::{Connect, SourceUnderTest, source_contract, target_contract};
use whimbrel_endpoint::memory::{MemoryRecord, MemorySource, MemoryTarget};
use whimbrel_endpoint::{Partition, Source, Target};
use whimbrel_model::{Defect, Value};

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

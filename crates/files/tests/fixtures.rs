//! The fixtures' legacy folders through the readers: exactly the records that must be refused for
//! their form are defects, at the places that were worked out without this crate.

#![allow(clippy::unwrap_used)] // helpers of tests are no test functions to clippy

use std::collections::BTreeSet;
use std::path::Path;

use whimbrel_endpoint::Limit;
use whimbrel_model::plan;
use whimbrel_testkit::{DEFAULT_SEED, content, extruder};

/// Reasons of `rejects.tsv` that readers find; all others are the mapping's.
const OF_READERS: [&str; 5] = ["ragged", "encoding", "encoding|json", "json", "front matter"];

#[tokio::test]
async fn the_content_fixture_has_the_expected_defects() {
    let folder = tempfile::tempdir().unwrap();
    content::write(&folder.path().join("legacy"), 0, DEFAULT_SEED).unwrap();
    check("content", folder.path()).await;
}

#[tokio::test]
async fn the_extruder_fixture_has_the_expected_defects() {
    let folder = tempfile::tempdir().unwrap();
    extruder::write(&folder.path().join("legacy"), extruder::Size::Small, DEFAULT_SEED).unwrap();
    check("extruder", folder.path()).await;
}

async fn check(fixture: &str, folder: &Path) {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(fixture);
    let text = std::fs::read_to_string(fixture.join("whimbrel.toml")).unwrap();
    let no_file = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let plan = plan::decode(&text, &|_: &str| None, &no_file).unwrap();
    let mut found = BTreeSet::new();
    for source in &plan.sources {
        defects(source, folder, &mut found).await;
    }
    assert_eq!(found, expected(&fixture));
}

/// `source file record line` of every defect.
async fn defects(source: &plan::Source, folder: &Path, found: &mut BTreeSet<String>) {
    let source = whimbrel_files::open(source, folder).unwrap();
    let discovery = source.partitions().await.unwrap();
    assert!(discovery.unreadable.is_empty(), "{:?}", discovery.unreadable);
    for partition in discovery.partitions {
        let mut reader = source.open(&partition, &[], None).await.unwrap();
        while let Some(chunk) = reader.next(Limit::default()).await.unwrap() {
            for record in chunk.records.iter().filter(|record| record.defect.is_some()) {
                let (path, at) = (&partition.id.path, record.position);
                found.insert(format!("{} {path} {} {}", source.name(), at.record, at.line));
            }
        }
        reader.finish().await.unwrap();
    }
}

fn expected(fixture: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(fixture.join("expected/rejects.tsv")).unwrap();
    let rows = text.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>());
    // Where the file is the unit it has no place of its own; its document is its only record.
    let place = |row: &[&str]| row[1..5].join(" ").replace(".json 0 0", ".json 1 1");
    rows.filter(|row| OF_READERS.contains(&row[5])).map(|row| place(&row)).collect()
}

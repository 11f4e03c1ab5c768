//! The fixture systems.

use std::fs;
use std::path::{Path, PathBuf};

use expect_test::{Expect, expect};
use tempfile::TempDir;
use whimbrel_testkit::DEFAULT_SEED;
use whimbrel_testkit::servers;

use crate::agreement::agree;

fn fixture(name: &str) -> (TempDir, PathBuf) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name);
    let folder = tempfile::tempdir().unwrap();
    fs::copy(from.join("whimbrel.toml"), folder.path().join("whimbrel.toml")).unwrap();
    copy(&from.join("schema"), &folder.path().join("schema"));
    let path = folder.path().to_owned();
    (folder, path)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn check(told: &str, expected: &Expect) {
    expected.assert_eq(told);
}

#[test]
fn what_the_extruder_left_is_derived_as_it_was_loaded() {
    let (_folder, path) = fixture("extruder");
    let size = whimbrel_testkit::extruder::Size::Small;
    whimbrel_testkit::extruder::write(&path.join("legacy"), size, DEFAULT_SEED).unwrap();
    check(
        &agree(&path, "extruder.db", &[], &[]),
        &expect![[r#"
        config_profiles: 4 rows
        runs: 25 rows
        run_samples: 870 rows
        logger_events: 17 rows
        30 rejects
    "#]],
    );
}

#[test]
fn the_documents_are_derived_as_they_were_loaded() {
    let (_folder, path) = fixture("content");
    whimbrel_testkit::content::write(&path.join("legacy"), 0, DEFAULT_SEED).unwrap();
    check(
        &agree(&path, "content.db", &[], &[]),
        &expect![[r#"
        content_items: 80 rows
        knowledge_items: 7 rows
        53 rejects
    "#]],
    );
}

#[test]
fn the_heartbeats_are_derived_as_they_were_loaded() {
    let (_folder, path) = fixture("heartbeat");
    whimbrel_testkit::heartbeat::write(&path.join("legacy"), 0, DEFAULT_SEED).unwrap();
    let dump = fs::read_to_string(path.join("legacy/legacy.sqlite.sql")).unwrap();
    rusqlite::Connection::open(path.join("legacy.db")).unwrap().execute_batch(&dump).unwrap();
    check(
        &agree(&path, "heartbeat.db", &[], &[]),
        &expect![[r#"
        application: 48 rows
        heartbeat_event: 452 rows
        failed_check: 44 rows
        application_alert_config: 38 rows
        39 rejects
    "#]],
    );
}

#[test]
fn the_chunks_are_derived_as_they_were_loaded() {
    let Some(server) = servers::postgres_or_skip() else { return };
    let (_folder, path) = fixture("chunks");
    whimbrel_testkit::chunks::write(&path.join("legacy"), 0, DEFAULT_SEED).unwrap();
    let old = server.database("derived").unwrap();
    old.run_file(&path.join("legacy/legacy.postgres.sql")).unwrap();
    let url = old.url();
    // What the steps in SQL write.
    let left_out = ["chunks.is_tag", "chunks.tags", "chunks.last_updated"];
    check(
        &agree(&path, "chunks.db", &[("LEGACY", &url)], &left_out),
        &expect![[r#"
        chunks: 176 rows
        chunk_tags: 80 rows
        graph_nodes: 95 rows
        graph_edges: 49 rows
        stray_rows: 2 rows
        31 rejects
    "#]],
    );
}

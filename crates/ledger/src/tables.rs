//! The ledger's tables, as `migrations/` creates them: names, columns, keys.
//!
//! One declaration per table; everything that writes or reads a ledger row goes through it.

use std::sync::LazyLock;

use whimbrel_model::kind::IntWidth;
use whimbrel_model::{Column, Kind, Table};

const TEXT: Kind = Kind::Text(None);
const INT: Kind = Kind::Int(IntWidth::I64);
const BLOB: Kind = Kind::Bytes;

macro_rules! table {
    ($(#[$doc:meta])* $name:ident = $sql:literal key [$($key:literal),*] { $($column:ident: $kind:ident),* $(,)? }) => {
        $(#[$doc])*
        pub static $name: LazyLock<Table> = LazyLock::new(|| {
            let columns: Vec<Column> = vec![$(Column {
                name: stringify!($column).to_owned(),
                kind: $kind,
                nullable: true,
                has_default: false,
            }),*];
            let key: &[&str] = &[$($key),*];
            let position = |name: &&str| columns.iter().position(|column| column.name == *name);
            let key = key.iter().map(|name| position(name).expect("a key column is a column"));
            Table { name: $sql.to_owned(), key: key.collect(), columns }
        });
    };
}

table! {
    /// Names and values: `project_key`, `ledger_version` …
    META = "whimbrel_meta" key ["name"] { name: TEXT, value: TEXT }
}
table! {
    /// One row per run.
    RUNS = "whimbrel_migration_runs" key ["id"] {
        id: TEXT, seq: INT, plan: TEXT, plan_digest: BLOB, kind: TEXT, parent: TEXT, status: TEXT,
        phase: TEXT, attempts: INT, options: TEXT, sources: TEXT, started_by: TEXT,
        tool_version: TEXT, started_at: TEXT, ended_at: TEXT, error_code: TEXT, error_message: TEXT,
    }
}
table! {
    /// One row per step of a run.
    STEPS = "whimbrel_migration_steps" key ["run", "step"] {
        run: TEXT, step: INT, migration_step: TEXT, status: TEXT, started_at: TEXT,
        completed_at: TEXT, error_message: TEXT, rollback_data: TEXT, target_table: TEXT,
        digest: BLOB,
    }
}
table! {
    /// One row per file and step: the partition with its mark.
    ITEMS = "whimbrel_migration_items" key ["run", "step", "ordinal"] {
        run: TEXT, step: INT, ordinal: INT, item_type: TEXT, source: TEXT, source_file: TEXT,
        status: TEXT, facts: TEXT, first_unit: INT, records: INT, mark: BLOB, state: BLOB,
        read: INT, loaded: INT, updated: INT, unchanged: INT, rejected: INT, filtered: INT,
        duplicate: INT, lines: INT, skipped: INT, error_message: TEXT,
    }
}
table! {
    /// One row per committed batch.
    BATCHES = "whimbrel_migration_batches" key ["run", "step", "batch"] {
        run: TEXT, step: INT, batch: INT, fence: INT, first_item: INT, last_item: INT,
        accounts: BLOB, read: INT, loaded: INT, updated: INT, unchanged: INT, rejected: INT,
        filtered: INT, duplicate: INT, rows_produced: INT, rows_inserted: INT, rows_updated: INT,
        rows_unchanged: INT, read_bytes: INT, notes: TEXT, committed_at: TEXT,
    }
}
table! {
    /// One row per rejected unit.
    REJECTS = "whimbrel_migration_rejects" key ["run", "step", "unit"] {
        run: TEXT, step: INT, unit: INT, source: TEXT, source_file: TEXT, record: INT, line: INT,
        byte_offset: INT, byte_len: INT, stage: TEXT, code: TEXT, target_table: TEXT,
        target_column: TEXT, source_field: TEXT, value: TEXT, rule: TEXT, message: TEXT,
        digest: BLOB, bytes: BLOB, spill: TEXT, status: TEXT, fixed_bytes: BLOB, resolved_by: TEXT,
        resolution: TEXT, resolved_at: TEXT,
    }
}
table! {
    /// Where legacy records went.
    MAPPINGS = "whimbrel_legacy_mappings" key ["legacy_type", "legacy_id", "source", "source_file", "record", "nth"] {
        legacy_type: TEXT, legacy_id: TEXT, new_type: TEXT, new_id: TEXT, new_key: BLOB,
        content_hash: BLOB, source: TEXT, source_file: TEXT, record: INT, nth: INT, winner: INT,
        run: TEXT,
    }
}
table! {
    /// What was seen already, where the plan declares duplicates.
    SEEN = "whimbrel_seen" key ["step_table", "digest"] {
        step_table: TEXT, digest: BLOB, source: TEXT, source_file: TEXT, record: INT, new_key: BLOB,
    }
}
table! {
    /// Columns without a place in the target.
    ARCHIVE = "whimbrel_archive" key ["run", "step", "unit"] {
        run: TEXT, step: INT, unit: INT, source: TEXT, source_file: TEXT, record: INT, content: TEXT,
    }
}
table! {
    /// States that a run can be compared with, or brought back to.
    CHECKPOINTS = "whimbrel_migration_checkpoints" key ["run", "seq"] {
        run: TEXT, seq: INT, name: TEXT, phase: TEXT, detail: TEXT, previous: BLOB, hash: BLOB,
        created_at: TEXT,
    }
}
table! {
    /// What was checked, and what came of it.
    CHECKS = "whimbrel_data_integrity_checks" key ["run", "seq"] {
        run: TEXT, seq: INT, phase: TEXT, check_type: TEXT, check_name: TEXT, status: TEXT,
        expected_count: INT, actual_count: INT, details: TEXT, error_message: TEXT,
        created_at: TEXT,
    }
}
table! {
    /// Who did what when, hash-chained.
    AUDIT = "whimbrel_audit_log" key ["seq"] {
        seq: INT, at: TEXT, actor: TEXT, action: TEXT, object: TEXT, detail: TEXT, previous: BLOB,
        hash: BLOB,
    }
}
table! {
    /// (key, output digest) of a batch's inserts.
    UNDO_INSERTS = "whimbrel_undo_inserts" key ["run", "step", "batch"] {
        run: TEXT, step: INT, batch: INT, target_table: TEXT, rows: INT, entries: BLOB,
    }
}
table! {
    /// Images of what a batch's updates changed.
    UNDO_UPDATES = "whimbrel_undo_updates" key ["run", "step", "batch", "seq"] {
        run: TEXT, step: INT, batch: INT, seq: INT, target_table: TEXT, row_key: BLOB,
        before: BLOB, after: BLOB,
    }
}
table! {
    /// Indexes that are gone for the time of a load (since version 2).
    PARKED_INDEXES = "whimbrel_parked_indexes" key ["target_table", "name"] {
        run: TEXT, step: INT, target_table: TEXT, name: TEXT, seq: INT, definition: TEXT,
        created_at: TEXT,
    }
}

/// The columns of a table by name, for queries.
pub fn names(table: &Table) -> Vec<&str> {
    table.columns.iter().map(|column| column.name.as_str()).collect()
}

-- The ledger, version 1, on SQLite. Written through the same transaction as the rows it accounts for.
-- Times are RFC 3339 UTC text; digests and sums are blobs; columns without a type keep values as they are.

CREATE TABLE whimbrel_meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- Who may write. `fence` only grows; batches check it last.
CREATE TABLE whimbrel_lease (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    fence      INTEGER NOT NULL,
    run        TEXT,
    host       TEXT,
    boot       TEXT,
    pid        INTEGER,
    started    INTEGER,
    expires_ms INTEGER NOT NULL
);

CREATE TABLE whimbrel_migration_runs (
    id            TEXT PRIMARY KEY,
    seq           INTEGER NOT NULL UNIQUE,
    plan          TEXT NOT NULL,
    plan_digest   BLOB NOT NULL,
    kind          TEXT NOT NULL,          -- full | incremental | retry
    parent        TEXT,                   -- the run whose work this one continues
    status        TEXT NOT NULL,          -- running | interrupted | failed | completed
    phase         TEXT NOT NULL,          -- preflight | prepare | load | finish
    attempts      INTEGER NOT NULL,
    options       TEXT NOT NULL,          -- JSON: sample, max_file_size …: what decides which records are taken
    sources       TEXT NOT NULL,          -- JSON: what was found, per source
    started_by    TEXT NOT NULL,
    tool_version  TEXT NOT NULL,
    started_at    TEXT NOT NULL,
    ended_at      TEXT,
    error_code    TEXT,
    error_message TEXT
) WITHOUT ROWID;

CREATE TABLE whimbrel_migration_steps (
    id             INTEGER PRIMARY KEY,
    run            TEXT NOT NULL,
    step           INTEGER NOT NULL,      -- ordinal in the run, from 0
    migration_step TEXT NOT NULL,         -- prepare, load:TABLE, finish
    status         TEXT NOT NULL,         -- pending | running | completed | failed
    started_at     TEXT,
    completed_at   TEXT,
    error_message  TEXT,
    rollback_data  TEXT,                  -- JSON: what undoing the step needs to know
    target_table   TEXT,
    digest         BLOB,                  -- of the compiled mapping
    UNIQUE (run, step)
);

CREATE VIEW whimbrel_migration_log AS
SELECT id, migration_step, status, started_at, completed_at, error_message, rollback_data
FROM whimbrel_migration_steps;

-- One row per file and step: the partitions, with their marks.
CREATE TABLE whimbrel_migration_items (
    run         TEXT NOT NULL,
    step        INTEGER NOT NULL,
    ordinal     INTEGER NOT NULL,         -- source order within the step
    item_type   TEXT NOT NULL,            -- file
    source      TEXT NOT NULL,
    source_file TEXT NOT NULL,
    status      TEXT NOT NULL,            -- pending | running | completed
    facts       TEXT NOT NULL,            -- JSON: size, mtime, inode when it was found
    first_unit  INTEGER NOT NULL,         -- ordinal of its first unit in the step
    records     INTEGER NOT NULL,         -- records behind the mark
    mark        BLOB,                     -- the source's token
    state       BLOB,                     -- the transform's state at the mark
    read        INTEGER NOT NULL,         -- units, as in migration_batches
    loaded      INTEGER NOT NULL,
    updated     INTEGER NOT NULL,
    unchanged   INTEGER NOT NULL,
    rejected    INTEGER NOT NULL,
    filtered    INTEGER NOT NULL,
    duplicate   INTEGER NOT NULL,
    lines       INTEGER,                  -- physical lines, once the file is done
    skipped     INTEGER,                  -- blank lines and comments, once the file is done
    error_message TEXT,
    PRIMARY KEY (run, step, ordinal)
) WITHOUT ROWID;

CREATE TABLE whimbrel_migration_batches (
    run          TEXT NOT NULL,
    step         INTEGER NOT NULL,
    batch        INTEGER NOT NULL,
    fence        INTEGER NOT NULL,
    first_item   INTEGER NOT NULL,
    last_item    INTEGER NOT NULL,
    accounts     BLOB NOT NULL,           -- 11 sums of 48 bytes: read, 6 classes, produced, inserted, updated, unchanged
    read         INTEGER NOT NULL,
    loaded       INTEGER NOT NULL,
    updated      INTEGER NOT NULL,
    unchanged    INTEGER NOT NULL,
    rejected     INTEGER NOT NULL,
    filtered     INTEGER NOT NULL,
    duplicate    INTEGER NOT NULL,
    rows_produced  INTEGER NOT NULL,
    rows_inserted  INTEGER NOT NULL,
    rows_updated   INTEGER NOT NULL,
    rows_unchanged INTEGER NOT NULL,
    read_bytes   INTEGER NOT NULL,
    notes        TEXT NOT NULL,           -- JSON: conversions, warnings and filters, counted and sampled
    committed_at TEXT NOT NULL,
    PRIMARY KEY (run, step, batch)
) WITHOUT ROWID;

CREATE TABLE whimbrel_migration_rejects (
    run         TEXT NOT NULL,
    step        INTEGER NOT NULL,
    unit        INTEGER NOT NULL,         -- ordinal of the unit in the step
    source      TEXT NOT NULL,
    source_file TEXT NOT NULL,
    record      INTEGER NOT NULL,
    line        INTEGER NOT NULL,
    byte_offset INTEGER NOT NULL,
    byte_len    INTEGER NOT NULL,
    stage       TEXT NOT NULL,            -- read | transform | rule | target
    code        TEXT NOT NULL,
    target_table  TEXT NOT NULL,
    target_column TEXT,
    source_field  TEXT,
    value       TEXT,                     -- the offending value, bounded
    rule        TEXT,
    message     TEXT NOT NULL,
    digest      BLOB NOT NULL,            -- of the unit's bytes
    bytes       BLOB,                     -- original bytes, up to 64 KiB
    spill       TEXT,                     -- file below .whimbrel/ that holds longer bytes
    status      TEXT NOT NULL,            -- open | fixed | superseded | waived
    fixed_bytes BLOB,                     -- repaired bytes that are read instead
    resolved_by TEXT,                     -- run, or person; while open: the run that has taken it on
    resolution  TEXT,                     -- reason of a waiver, or class of the unit in the later run
    resolved_at TEXT,
    PRIMARY KEY (run, step, unit)
) WITHOUT ROWID;
CREATE INDEX whimbrel_migration_rejects_status ON whimbrel_migration_rejects (status, code);

-- Where legacy records went. Kept where a key cannot be computed from its record, or where
-- references, duplicates or updates need it.
CREATE TABLE whimbrel_legacy_mappings (
    legacy_type  TEXT NOT NULL,           -- the target table that the mapping fills
    legacy_id    TEXT NOT NULL,
    new_type     TEXT NOT NULL,
    new_id       TEXT NOT NULL,           -- for people
    new_key      BLOB NOT NULL,           -- WCE-1 of the key's values
    content_hash BLOB NOT NULL,           -- output digest of the row when it was last written
    source       TEXT NOT NULL,
    source_file  TEXT NOT NULL,
    record       INTEGER NOT NULL,
    nth          INTEGER NOT NULL,        -- counts the rows of the record under this legacy key, from 0
    winner       INTEGER NOT NULL,        -- 1: the row was made from this record; 0: a duplicate that leads to it
    run          TEXT NOT NULL,
    PRIMARY KEY (legacy_type, legacy_id, source, source_file, record, nth)
) WITHOUT ROWID;
CREATE INDEX whimbrel_legacy_mappings_key ON whimbrel_legacy_mappings (new_type, new_key);

-- What was seen already, where the plan declares `duplicates`.
CREATE TABLE whimbrel_seen (
    step_table TEXT NOT NULL,
    digest     BLOB NOT NULL,             -- 16 bytes
    source     TEXT NOT NULL,
    source_file TEXT NOT NULL,
    record     INTEGER NOT NULL,
    new_key    BLOB NOT NULL,
    PRIMARY KEY (step_table, digest)
) WITHOUT ROWID;

-- Columns without a place in the target.
CREATE TABLE whimbrel_archive (
    run         TEXT NOT NULL,
    step        INTEGER NOT NULL,
    unit        INTEGER NOT NULL,
    source      TEXT NOT NULL,
    source_file TEXT NOT NULL,
    record      INTEGER NOT NULL,
    content     TEXT NOT NULL,            -- JSON: column → value
    PRIMARY KEY (run, step, unit)
) WITHOUT ROWID;

CREATE TABLE whimbrel_migration_checkpoints (
    run        TEXT NOT NULL,
    seq        INTEGER NOT NULL,
    name       TEXT NOT NULL,
    phase      TEXT NOT NULL,
    detail     TEXT NOT NULL,             -- JSON: counts and sums per table
    previous   BLOB NOT NULL,             -- hash of the checkpoint before
    hash       BLOB NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (run, seq)
) WITHOUT ROWID;

CREATE TABLE whimbrel_data_integrity_checks (
    run            TEXT NOT NULL,
    seq            INTEGER NOT NULL,
    phase          TEXT NOT NULL,
    check_type     TEXT NOT NULL,
    check_name     TEXT NOT NULL,
    status         TEXT NOT NULL,         -- passed | failed | noted | unverified | waived
    expected_count INTEGER,
    actual_count   INTEGER,
    details        TEXT,
    error_message  TEXT,
    created_at     TEXT NOT NULL,
    PRIMARY KEY (run, seq)
) WITHOUT ROWID;

CREATE TABLE whimbrel_audit_log (
    seq      INTEGER PRIMARY KEY,
    at       TEXT NOT NULL,
    actor    TEXT NOT NULL,
    action   TEXT NOT NULL,
    object   TEXT NOT NULL,
    detail   TEXT NOT NULL,
    previous BLOB NOT NULL,
    hash     BLOB NOT NULL
);

-- What undoing a batch needs: (key, output digest) of its inserts …
CREATE TABLE whimbrel_undo_inserts (
    run          TEXT NOT NULL,
    step         INTEGER NOT NULL,
    batch        INTEGER NOT NULL,
    target_table TEXT NOT NULL,
    rows         INTEGER NOT NULL,
    entries      BLOB NOT NULL,           -- zstd of: per row varint length, WCE-1 key, 16 bytes of digest
    PRIMARY KEY (run, step, batch)
) WITHOUT ROWID;

-- … and typed images of what its updates changed.
CREATE TABLE whimbrel_undo_updates (
    run          TEXT NOT NULL,
    step         INTEGER NOT NULL,
    batch        INTEGER NOT NULL,
    seq          INTEGER NOT NULL,
    target_table TEXT NOT NULL,
    row_key      BLOB NOT NULL,           -- WCE-1 of the key's values
    before       BLOB NOT NULL,           -- WCE-1 of the row, columns in name order
    after        BLOB NOT NULL,
    PRIMARY KEY (run, step, batch, seq)
) WITHOUT ROWID;

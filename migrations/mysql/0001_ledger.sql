-- The ledger, version 1, on MariaDB and MySQL. Written through the same transaction as the rows it
-- accounts for. Times are RFC 3339 UTC text; digests and sums are blobs. Names are compared by their
-- bytes, trailing blanks included: `utf8mb4_nopad_bin` is put as `utf8mb4_0900_bin` on MySQL.
--
-- Definitions commit by themselves here: every statement may be repeated, and the version is
-- written down after the last.

CREATE TABLE IF NOT EXISTS whimbrel_meta (
    `name`  VARCHAR(255) NOT NULL PRIMARY KEY,
    `value` LONGTEXT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_nopad_bin ROW_FORMAT = DYNAMIC;

-- Who may write. `fence` only grows; batches check it last.
CREATE TABLE IF NOT EXISTS whimbrel_lease (
    `id`         INT NOT NULL PRIMARY KEY,
    `fence`      BIGINT UNSIGNED NOT NULL,
    `run`        VARCHAR(255),
    `host`       VARCHAR(255),
    `boot`       VARCHAR(255),
    `pid`        BIGINT,
    `started`    BIGINT,
    `expires_ms` BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_nopad_bin ROW_FORMAT = DYNAMIC;

-- Definitions of schema files and steps, from before they are run until the transaction that asked
-- for them commits: so each happens once, however often the run is interrupted.
CREATE TABLE IF NOT EXISTS whimbrel_definitions (
    `script`    VARCHAR(512) NOT NULL,
    `statement` INT NOT NULL,
    `run`       VARCHAR(255) NOT NULL,
    `digest`    BINARY(32) NOT NULL,      -- of the statement
    `before`    BINARY(32),               -- of the object's definition before; NULL: there was none
    `state`     VARCHAR(8) NOT NULL,      -- intent | done
    PRIMARY KEY (`script`, `statement`)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_nopad_bin ROW_FORMAT = DYNAMIC;

CREATE TABLE IF NOT EXISTS whimbrel_migration_runs (
    `id`            VARCHAR(64) NOT NULL PRIMARY KEY,
    -- Not unique: rows are put by their id, and `ON DUPLICATE KEY` would take any key for it. Runs are
    -- numbered under the right to write.
    `seq`           BIGINT NOT NULL,
    `plan`          LONGTEXT NOT NULL,
    `plan_digest`   LONGBLOB NOT NULL,
    `kind`          VARCHAR(64) NOT NULL,     -- full | incremental | retry
    `parent`        VARCHAR(64),              -- the run whose work this one continues
    `status`        VARCHAR(64) NOT NULL,     -- running | interrupted | failed | completed
    `phase`         VARCHAR(64) NOT NULL,     -- preflight | prepare | load | finish
    `attempts`      BIGINT NOT NULL,
    `options`       LONGTEXT NOT NULL,        -- JSON: what decides which records are taken
    `sources`       LONGTEXT NOT NULL,        -- JSON: what was found, per source
    `started_by`    LONGTEXT NOT NULL,
    `tool_version`  LONGTEXT NOT NULL,
    `started_at`    VARCHAR(64) NOT NULL,
    `ended_at`      VARCHAR(64),
    `error_code`    VARCHAR(64),
    `error_message` LONGTEXT,
    KEY whimbrel_migration_runs_seq (`seq`)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_nopad_bin ROW_FORMAT = DYNAMIC;

CREATE TABLE IF NOT EXISTS whimbrel_migration_steps (
    `id`             BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    `run`            VARCHAR(64) NOT NULL,
    `step`           BIGINT NOT NULL,         -- ordinal in the run, from 0
    `migration_step` VARCHAR(512) NOT NULL,   -- prepare, load:TABLE, finish
    `status`         VARCHAR(64) NOT NULL,    -- pending | running | completed | failed
    `started_at`     VARCHAR(64),
    `completed_at`   VARCHAR(64),
    `error_message`  LONGTEXT,
    `rollback_data`  LONGTEXT,                -- JSON: what undoing the step needs to know
    `target_table`   VARCHAR(255),
    `digest`         LONGBLOB,                -- of the compiled mapping
    UNIQUE KEY whimbrel_migration_steps_place (`run`, `step`)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_nopad_bin ROW_FORMAT = DYNAMIC;

CREATE OR REPLACE VIEW whimbrel_migration_log AS
SELECT `id`, `migration_step`, `status`, `started_at`, `completed_at`, `error_message`, `rollback_data`
FROM whimbrel_migration_steps;

-- One row per file and step: the partitions, with their marks.
CREATE TABLE IF NOT EXISTS whimbrel_migration_items (
    `run`         VARCHAR(64) NOT NULL,
    `step`        BIGINT NOT NULL,
    `ordinal`     BIGINT NOT NULL,            -- source order within the step
    `item_type`   VARCHAR(64) NOT NULL,       -- file
    `source`      VARCHAR(512) NOT NULL,
    `source_file` LONGTEXT NOT NULL,
    `status`      VARCHAR(64) NOT NULL,       -- pending | running | completed
    `facts`       LONGTEXT NOT NULL,          -- JSON: size, mtime, inode when it was found
    `first_unit`  BIGINT NOT NULL,            -- ordinal of its first unit in the step
    `records`     BIGINT NOT NULL,            -- records behind the mark
    `mark`        LONGBLOB,                   -- the source's token
    `state`       LONGBLOB,                   -- the transform's state at the mark
    `read`        BIGINT NOT NULL,            -- units, as in migration_batches
    `loaded`      BIGINT NOT NULL,
    `updated`     BIGINT NOT NULL,
    `unchanged`   BIGINT NOT NULL,
    `rejected`    BIGINT NOT NULL,
    `filtered`    BIGINT NOT NULL,
    `duplicate`   BIGINT NOT NULL,
    `lines`       BIGINT,                     -- physical lines, once the file is done
    `skipped`     BIGINT,                     -- blank lines and comments, once the file is done
    `error_message` LONGTEXT,
    PRIMARY KEY (`run`, `step`, `ordinal`)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_nopad_bin ROW_FORMAT = DYNAMIC;

CREATE TABLE IF NOT EXISTS whimbrel_migration_batches (
    `run`          VARCHAR(64) NOT NULL,
    `step`         BIGINT NOT NULL,
    `batch`        BIGINT NOT NULL,
    `fence`        BIGINT NOT NULL,
    `first_item`   BIGINT NOT NULL,
    `last_item`    BIGINT NOT NULL,
    `accounts`     BLOB NOT NULL,             -- 11 sums of 48 bytes: read, 6 classes, produced, inserted, updated, unchanged
    `read`         BIGINT NOT NULL,
    `loaded`       BIGINT NOT NULL,
    `updated`      BIGINT NOT NULL,
    `unchanged`    BIGINT NOT NULL,
    `rejected`     BIGINT NOT NULL,
    `filtered`     BIGINT NOT NULL,
    `duplicate`    BIGINT NOT NULL,
    `rows_produced`  BIGINT NOT NULL,
    `rows_inserted`  BIGINT NOT NULL,
    `rows_updated`   BIGINT NOT NULL,
    `rows_unchanged` BIGINT NOT NULL,
    `read_bytes`   BIGINT NOT NULL,
    `notes`        LONGTEXT NOT NULL,         -- JSON: conversions, warnings and filters, counted and sampled
    `committed_at` VARCHAR(64) NOT NULL,
    PRIMARY KEY (`run`, `step`, `batch`)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_nopad_bin ROW_FORMAT = DYNAMIC;

CREATE TABLE IF NOT EXISTS whimbrel_migration_rejects (
    `run`         VARCHAR(64) NOT NULL,
    `step`        BIGINT NOT NULL,
    `unit`        BIGINT NOT NULL,            -- ordinal of the unit in the step
    `source`      VARCHAR(512) NOT NULL,
    `source_file` LONGTEXT NOT NULL,
    `record`      BIGINT NOT NULL,
    `line`        BIGINT NOT NULL,
    `byte_offset` BIGINT NOT NULL,
    `byte_len`    BIGINT NOT NULL,
    `stage`       VARCHAR(64) NOT NULL,       -- read | transform | rule | target
    `code`        VARCHAR(64) NOT NULL,
    `target_table`  LONGTEXT NOT NULL,
    `target_column` LONGTEXT,
    `source_field`  LONGTEXT,
    `value`       LONGTEXT,                   -- the offending value, bounded
    `rule`        LONGTEXT,
    `message`     LONGTEXT NOT NULL,
    `digest`      LONGBLOB NOT NULL,          -- of the unit's bytes
    `bytes`       LONGBLOB,                   -- original bytes, up to 64 KiB
    `spill`       LONGTEXT,                   -- file below .whimbrel/ that holds longer bytes
    `status`      VARCHAR(64) NOT NULL,       -- open | fixed | superseded | waived
    `fixed_bytes` LONGBLOB,                   -- repaired bytes that are read instead
    `resolved_by` LONGTEXT,                   -- run, or person; while open: the run that has taken it on
    `resolution`  LONGTEXT,                   -- reason of a waiver, or class of the unit in the later run
    `resolved_at` VARCHAR(64),
    PRIMARY KEY (`run`, `step`, `unit`),
    KEY whimbrel_migration_rejects_status (`status`, `code`)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_nopad_bin ROW_FORMAT = DYNAMIC;

-- Where legacy records went. Kept where a key cannot be computed from its record, or where
-- references, duplicates or updates need it. Identifiers and paths may be longer than InnoDB's keys:
-- a digest of them makes rows unique, their beginnings are indexed.
CREATE TABLE IF NOT EXISTS whimbrel_legacy_mappings (
    `legacy_type`  VARCHAR(255) NOT NULL,     -- the target table that the mapping fills
    `legacy_id`    LONGTEXT NOT NULL,
    `new_type`     VARCHAR(255) NOT NULL,
    `new_id`       LONGTEXT NOT NULL,         -- for people
    `new_key`      LONGBLOB NOT NULL,         -- WCE-1 of the key's values
    `content_hash` LONGBLOB NOT NULL,         -- output digest of the row when it was last written
    `source`       VARCHAR(512) NOT NULL,
    `source_file`  LONGTEXT NOT NULL,
    `record`       BIGINT NOT NULL,
    `nth`          BIGINT NOT NULL,           -- counts the rows of the record under this legacy key, from 0
    `winner`       BIGINT NOT NULL,           -- 1: the row was made from this record; 0: a duplicate that leads to it
    `run`          VARCHAR(64) NOT NULL,
    `place`        BINARY(32) GENERATED ALWAYS AS (UNHEX(SHA2(CONCAT(
                       UNHEX(SHA2(`legacy_type`, 256)), UNHEX(SHA2(`legacy_id`, 256)),
                       UNHEX(SHA2(`source`, 256)), UNHEX(SHA2(`source_file`, 256))), 256))) STORED,
    UNIQUE KEY whimbrel_legacy_mappings_place (`place`, `record`, `nth`),
    KEY whimbrel_legacy_mappings_id (`legacy_type`, `legacy_id`(190)),
    KEY whimbrel_legacy_mappings_key (`new_type`, `new_key`(255))
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_nopad_bin ROW_FORMAT = DYNAMIC;

-- What was seen already, where the plan declares `duplicates`.
CREATE TABLE IF NOT EXISTS whimbrel_seen (
    `step_table` VARCHAR(255) NOT NULL,
    `digest`     VARBINARY(64) NOT NULL,      -- 16 bytes
    `source`     VARCHAR(512) NOT NULL,
    `source_file` LONGTEXT NOT NULL,
    `record`     BIGINT NOT NULL,
    `new_key`    LONGBLOB NOT NULL,
    PRIMARY KEY (`step_table`, `digest`)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_nopad_bin ROW_FORMAT = DYNAMIC;

-- Columns without a place in the target.
CREATE TABLE IF NOT EXISTS whimbrel_archive (
    `run`         VARCHAR(64) NOT NULL,
    `step`        BIGINT NOT NULL,
    `unit`        BIGINT NOT NULL,
    `source`      VARCHAR(512) NOT NULL,
    `source_file` LONGTEXT NOT NULL,
    `record`      BIGINT NOT NULL,
    `content`     LONGTEXT NOT NULL,          -- JSON: column → value
    PRIMARY KEY (`run`, `step`, `unit`)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_nopad_bin ROW_FORMAT = DYNAMIC;

CREATE TABLE IF NOT EXISTS whimbrel_migration_checkpoints (
    `run`        VARCHAR(64) NOT NULL,
    `seq`        BIGINT NOT NULL,
    `name`       LONGTEXT NOT NULL,
    `phase`      VARCHAR(64) NOT NULL,
    `detail`     LONGTEXT NOT NULL,           -- JSON: counts and sums per table
    `previous`   LONGBLOB NOT NULL,           -- hash of the checkpoint before
    `hash`       LONGBLOB NOT NULL,
    `created_at` VARCHAR(64) NOT NULL,
    PRIMARY KEY (`run`, `seq`)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_nopad_bin ROW_FORMAT = DYNAMIC;

CREATE TABLE IF NOT EXISTS whimbrel_data_integrity_checks (
    `run`            VARCHAR(64) NOT NULL,
    `seq`            BIGINT NOT NULL,
    `phase`          VARCHAR(64) NOT NULL,
    `check_type`     LONGTEXT NOT NULL,
    `check_name`     LONGTEXT NOT NULL,
    `status`         VARCHAR(64) NOT NULL,    -- passed | failed | noted | unverified | waived
    `expected_count` BIGINT,
    `actual_count`   BIGINT,
    `details`        LONGTEXT,
    `error_message`  LONGTEXT,
    `created_at`     VARCHAR(64) NOT NULL,
    PRIMARY KEY (`run`, `seq`)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_nopad_bin ROW_FORMAT = DYNAMIC;

CREATE TABLE IF NOT EXISTS whimbrel_audit_log (
    `seq`      BIGINT NOT NULL PRIMARY KEY,
    `at`       VARCHAR(64) NOT NULL,
    `actor`    LONGTEXT NOT NULL,
    `action`   LONGTEXT NOT NULL,
    `object`   LONGTEXT NOT NULL,
    `detail`   LONGTEXT NOT NULL,
    `previous` LONGBLOB NOT NULL,
    `hash`     LONGBLOB NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_nopad_bin ROW_FORMAT = DYNAMIC;

-- What undoing a batch needs: (key, output digest) of its inserts …
CREATE TABLE IF NOT EXISTS whimbrel_undo_inserts (
    `run`          VARCHAR(64) NOT NULL,
    `step`         BIGINT NOT NULL,
    `batch`        BIGINT NOT NULL,
    `target_table` LONGTEXT NOT NULL,
    `rows`         BIGINT NOT NULL,
    `entries`      LONGBLOB NOT NULL,         -- zstd of: per row varint length, WCE-1 key, 16 bytes of digest
    PRIMARY KEY (`run`, `step`, `batch`)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_nopad_bin ROW_FORMAT = DYNAMIC;

-- … and typed images of what its updates changed.
CREATE TABLE IF NOT EXISTS whimbrel_undo_updates (
    `run`          VARCHAR(64) NOT NULL,
    `step`         BIGINT NOT NULL,
    `batch`        BIGINT NOT NULL,
    `seq`          BIGINT NOT NULL,
    `target_table` LONGTEXT NOT NULL,
    `row_key`      LONGBLOB NOT NULL,         -- WCE-1 of the key's values
    `before`       LONGBLOB NOT NULL,         -- WCE-1 of the row, columns in name order
    `after`        LONGBLOB NOT NULL,
    PRIMARY KEY (`run`, `step`, `batch`, `seq`)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_nopad_bin ROW_FORMAT = DYNAMIC;

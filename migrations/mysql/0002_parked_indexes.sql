-- The ledger, version 2: indexes that are gone for the time of a load. Each is recorded before it is
-- dropped; its record goes once it is made again.

CREATE TABLE IF NOT EXISTS whimbrel_parked_indexes (
    `run`          VARCHAR(64) NOT NULL,
    `step`         BIGINT NOT NULL,
    `target_table` VARCHAR(255) NOT NULL,
    `name`         VARCHAR(255) NOT NULL,
    `seq`          BIGINT NOT NULL,           -- among those of its table
    `definition`   LONGTEXT NOT NULL,         -- a clause of ALTER TABLE … ADD
    `created_at`   VARCHAR(64) NOT NULL,
    PRIMARY KEY (`target_table`, `name`)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_nopad_bin ROW_FORMAT = DYNAMIC;

-- The ledger, version 2: indexes that are gone for the time of a load. Each is recorded before it is
-- dropped, and its record goes in the transaction in which it is made again.

CREATE TABLE whimbrel.parked_indexes (
    run          text COLLATE "C" NOT NULL,
    step         bigint NOT NULL,
    target_table text COLLATE "C" NOT NULL,
    name         text COLLATE "C" NOT NULL,
    seq          bigint NOT NULL,                     -- among those of its table
    definition   text COLLATE "C" NOT NULL,           -- runs as it stands
    created_at   text COLLATE "C" NOT NULL,
    PRIMARY KEY (target_table, name)
);

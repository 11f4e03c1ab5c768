-- The ledger, version 2: indexes that are gone for the time of a load. Each is recorded before it is
-- dropped, and its record goes in the transaction in which it is made again.

CREATE TABLE whimbrel_parked_indexes (
    run          TEXT NOT NULL,
    step         INTEGER NOT NULL,
    target_table TEXT NOT NULL,
    name         TEXT NOT NULL,
    seq          INTEGER NOT NULL,        -- among those of its table
    definition   TEXT NOT NULL,           -- runs as it stands
    created_at   TEXT NOT NULL,
    PRIMARY KEY (target_table, name)
) WITHOUT ROWID;

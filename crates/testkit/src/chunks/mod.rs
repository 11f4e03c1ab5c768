//! Legacy data of a text processor: texts cut into chunks that form trees and tag each other, with
//! templates, embeddings and a graph, in three schemas of one PostgreSQL database.
//!
//! ```text
//! content_db  texts, chunks, chunk_tags, template_slots
//! vector_db   embeddings      a vector where the server has pgvector, else an array of doubles
//! graph_db    graph_nodes, graph_edges
//! public      views of all seven under the same names, which can be written to
//! ```

mod dirty;
mod rows;

use std::io;
use std::path::Path;

use crate::Folder;
use crate::dump::{Dump, Engine};
use rows::Rows;

/// Fills the folder, which must be empty or not there yet, with `legacy.postgres.sql`: the dirty
/// data and, beside it, `clean` chunks without damage.
pub fn write(folder: &Path, clean: u64, seed: u64) -> io::Result<()> {
    let folder = Folder::create(folder)?;
    let mut rows = Rows::new(seed);
    rows.add_sound_texts();
    dirty::add_all(&mut rows);
    rows.add_clean(clean);
    let mut dump = Dump::create(&folder, "legacy.postgres.sql", Engine::Postgres)?;
    dump.sql(TABLES)?;
    for (table, columns, rows) in rows.tables() {
        dump.table(table, columns, rows.iter().map(Vec::as_slice))?;
    }
    dump.sql(END)?;
    dump.close()
}

const TABLES: &str = "\
-- A text processor's database, for psql.
SET client_encoding = 'UTF8';
SET timezone = 'UTC';
SET client_min_messages = warning;
SELECT count(*) > 0 AS has_vector FROM pg_available_extensions WHERE name = 'vector' \\gset
BEGIN;
CREATE SCHEMA content_db;
CREATE SCHEMA vector_db;
CREATE SCHEMA graph_db;

CREATE TABLE content_db.texts (
    id         UUID PRIMARY KEY,
    content    TEXT NOT NULL,
    title      VARCHAR(255),
    status     VARCHAR(50) DEFAULT 'processing',
    created_at TIMESTAMPTZ DEFAULT now(),
    updated_at TIMESTAMPTZ DEFAULT now()
);

CREATE TABLE content_db.chunks (
    id                UUID PRIMARY KEY,
    text_id           UUID NOT NULL,
    content           TEXT NOT NULL,
    is_template       BOOLEAN DEFAULT FALSE,
    is_slot           BOOLEAN DEFAULT FALSE,
    parent_chunk_id   UUID,
    template_chunk_id UUID,
    slot_value        TEXT,
    indent_level      INTEGER DEFAULT 0,
    sequence_number   INTEGER,
    metadata          JSONB DEFAULT '{}',
    created_at        TIMESTAMPTZ DEFAULT now(),
    updated_at        TIMESTAMPTZ DEFAULT now()
);

CREATE TABLE content_db.chunk_tags (
    id           UUID PRIMARY KEY,
    chunk_id     UUID NOT NULL,
    tag_chunk_id UUID NOT NULL,
    created_at   TIMESTAMPTZ DEFAULT now(),
    UNIQUE (chunk_id, tag_chunk_id)
);

CREATE TABLE content_db.template_slots (
    id                UUID PRIMARY KEY,
    template_chunk_id UUID NOT NULL,
    slot_chunk_id     UUID NOT NULL,
    slot_order        INTEGER DEFAULT 0,
    created_at        TIMESTAMPTZ DEFAULT now()
);

CREATE TABLE vector_db.embeddings (
    id         UUID PRIMARY KEY,
    chunk_id   UUID NOT NULL,
    vector     TEXT,
    created_at TIMESTAMPTZ DEFAULT now()
);

CREATE TABLE graph_db.graph_nodes (
    id          UUID PRIMARY KEY,
    chunk_id    UUID NOT NULL,
    entity_name VARCHAR(255) NOT NULL,
    entity_type VARCHAR(100) NOT NULL,
    properties  JSONB,
    created_at  TIMESTAMPTZ DEFAULT now()
);

CREATE TABLE graph_db.graph_edges (
    id                UUID PRIMARY KEY,
    source_node_id    UUID NOT NULL,
    target_node_id    UUID NOT NULL,
    relationship_type VARCHAR(100) NOT NULL,
    properties        JSONB,
    created_at        TIMESTAMPTZ DEFAULT now()
);
";

// The constraints came after the rows, and nobody has looked at the rows since.
const END: &str = "
\\if :has_vector
CREATE EXTENSION IF NOT EXISTS vector;
ALTER TABLE vector_db.embeddings ALTER COLUMN vector TYPE vector(8) USING translate(vector, '{}', '[]')::vector;
\\else
ALTER TABLE vector_db.embeddings ALTER COLUMN vector TYPE double precision[] USING vector::double precision[];
\\endif
ALTER TABLE content_db.chunks
    ADD FOREIGN KEY (text_id) REFERENCES content_db.texts (id) ON DELETE CASCADE NOT VALID,
    ADD FOREIGN KEY (parent_chunk_id) REFERENCES content_db.chunks (id) ON DELETE CASCADE NOT VALID,
    ADD FOREIGN KEY (template_chunk_id) REFERENCES content_db.chunks (id) ON DELETE SET NULL NOT VALID;
ALTER TABLE content_db.chunk_tags
    ADD FOREIGN KEY (chunk_id) REFERENCES content_db.chunks (id) ON DELETE CASCADE NOT VALID,
    ADD FOREIGN KEY (tag_chunk_id) REFERENCES content_db.chunks (id) ON DELETE CASCADE NOT VALID;
ALTER TABLE content_db.template_slots
    ADD FOREIGN KEY (template_chunk_id) REFERENCES content_db.chunks (id) ON DELETE CASCADE NOT VALID,
    ADD FOREIGN KEY (slot_chunk_id) REFERENCES content_db.chunks (id) ON DELETE CASCADE NOT VALID;
ALTER TABLE vector_db.embeddings
    ADD FOREIGN KEY (chunk_id) REFERENCES content_db.chunks (id) ON DELETE CASCADE NOT VALID;
ALTER TABLE graph_db.graph_nodes
    ADD FOREIGN KEY (chunk_id) REFERENCES content_db.chunks (id) ON DELETE CASCADE NOT VALID;
ALTER TABLE graph_db.graph_edges
    ADD FOREIGN KEY (source_node_id) REFERENCES graph_db.graph_nodes (id) ON DELETE CASCADE NOT VALID,
    ADD FOREIGN KEY (target_node_id) REFERENCES graph_db.graph_nodes (id) ON DELETE CASCADE NOT VALID;
CREATE INDEX ON content_db.chunks (parent_chunk_id);
CREATE INDEX ON content_db.chunk_tags (tag_chunk_id);
CREATE INDEX ON content_db.template_slots (template_chunk_id);
CREATE INDEX ON vector_db.embeddings (chunk_id);
CREATE VIEW public.texts AS SELECT * FROM content_db.texts;
CREATE VIEW public.chunks AS SELECT * FROM content_db.chunks;
CREATE VIEW public.chunk_tags AS SELECT * FROM content_db.chunk_tags;
CREATE VIEW public.template_slots AS SELECT * FROM content_db.template_slots;
CREATE VIEW public.embeddings AS SELECT * FROM vector_db.embeddings;
CREATE VIEW public.graph_nodes AS SELECT * FROM graph_db.graph_nodes;
CREATE VIEW public.graph_edges AS SELECT * FROM graph_db.graph_edges;
COMMIT;
ANALYZE;
";

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn dump(clean: u64) -> String {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), clean, 1).unwrap();
        fs::read_to_string(dir.path().join("legacy.postgres.sql")).unwrap()
    }

    /// Rows of a table, as cells.
    fn rows<'a>(dump: &'a str, table: &str) -> Vec<Vec<&'a str>> {
        let begin = dump.find(&format!("\nCOPY {table} (")).expect("the table is there");
        let lines = dump[begin..].lines().skip(2).take_while(|line| *line != "\\.");
        lines.map(|line| line.split('\t').collect()).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_dump() {
        assert_eq!(dump(100), dump(100));
    }

    #[test]
    fn some_children_come_before_their_parents_by_place_and_by_time() {
        let dump = dump(0);
        let chunks = rows(&dump, "content_db.chunks");
        let place = |id: &str| chunks.iter().position(|chunk| chunk[0] == id);
        let early = chunks.iter().enumerate().filter(|(at, chunk)| {
            place(chunk[5]).is_some_and(|parent| parent > *at && chunks[parent][11] > chunk[11])
        });
        assert!(early.count() > 5);
    }

    #[test]
    fn clean_chunks_come_in_the_asked_for_number() {
        let count = |clean| rows(&dump(clean), "content_db.chunks").len();
        assert_eq!(count(1_000) - count(0), 1_000);
    }
}

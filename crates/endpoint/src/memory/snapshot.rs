//! A target in memory, read for proof: what was committed when the snapshot was taken.

use std::collections::VecDeque;
use std::time::Duration;

use async_trait::async_trait;
use whimbrel_model::catalogue::{Catalogue, Reference};
use whimbrel_model::{Chunk, ChunkBuilder, Table};

use super::Committed;
use crate::{EndpointError, ErrorClass, Feed, Orphans, RowOrder, Script, Snapshot, codes};

/// Rows in a piece of a feed.
const ROWS: usize = 512;

#[async_trait]
impl Snapshot for Committed {
    async fn catalogue(&self) -> Result<Catalogue, EndpointError> {
        Err(unsupported("a catalogue"))
    }

    async fn describe(&self, table: &str) -> Result<Option<Table>, EndpointError> {
        Ok(self.table(table).map(|(table, _)| table.clone()))
    }

    async fn rows(&self, table: &Table, _: RowOrder) -> Result<Box<dyn Feed>, EndpointError> {
        let missing = |what: String| {
            EndpointError::new(ErrorClass::Changed, codes::MISSING, format!("{what} is not there"))
        };
        let Some((own, rows)) = self.table(&table.name) else {
            return Err(missing(format!("`{}`", table.name)));
        };
        let place = |name: &String| {
            let found = own.columns.iter().position(|column| column.name == *name);
            found.ok_or_else(|| missing(format!("`{}.{name}`", table.name)))
        };
        let places = table.columns.iter().map(|column| place(&column.name));
        let places: Vec<usize> = places.collect::<Result<_, _>>()?;
        let mut pieces = VecDeque::new();
        let mut piece = ChunkBuilder::new(places.len());
        for row in rows {
            places.iter().for_each(|&place| piece.push(row[place].as_ref()));
            piece.end_row();
            if piece.len() == ROWS {
                pieces.push_back(
                    std::mem::replace(&mut piece, ChunkBuilder::new(places.len())).finish(),
                );
            }
        }
        if !piece.is_empty() {
            pieces.push_back(piece.finish());
        }
        Ok(Box::new(Pieces(pieces)))
    }

    async fn count(&self, table: &str) -> Result<Option<u64>, EndpointError> {
        Ok(self.table(table).map(|(_, rows)| rows.count() as u64))
    }

    async fn prepare(&self, _: &Script) -> Result<(), EndpointError> {
        Err(unsupported("SQL"))
    }

    async fn query(
        &self,
        _: &Script,
        _: Duration,
    ) -> Result<(Vec<String>, Box<dyn Feed>), EndpointError> {
        Err(unsupported("SQL"))
    }

    async fn orphans(&self, _: &Table, _: &Reference) -> Result<Orphans, EndpointError> {
        Err(unsupported("foreign keys"))
    }
}

fn unsupported(what: &str) -> EndpointError {
    let message = format!("a target in memory knows of no such thing: {what}");
    EndpointError::new(ErrorClass::Configuration, codes::UNSUPPORTED, message)
}

struct Pieces(VecDeque<Chunk>);

#[async_trait]
impl Feed for Pieces {
    async fn next(&mut self) -> Result<Option<Chunk>, EndpointError> {
        Ok(self.0.pop_front())
    }
}

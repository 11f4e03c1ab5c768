//! Questions about tables, and their answers as rows.

use sqlx::mysql::{MySqlArguments, MySqlRow};
use whimbrel_endpoint::{EndpointError, Query, Rows};
use whimbrel_model::{Chunk, ChunkBuilder, Kind};

use super::catalogue::Facts;
use super::decode;
use super::encode::{Scratch, plain};
use super::session::{Place, Session, bind};
use crate::dialect::{Bind, Dialect, Statement};

const WORDS: Dialect = Dialect::Mysql;

/// Values of a statement, in the order of their placeholders.
pub(crate) fn arguments(binds: &[Bind]) -> MySqlArguments {
    let mut arguments = MySqlArguments::default();
    let mut scratch = Scratch::default();
    for one in binds {
        match one {
            Bind::One(value) => bind(&mut arguments, plain(value.as_ref(), &mut scratch)),
            // As JSON: see `dialect::mysql::one_of_many`.
            Bind::List(values) => {
                let list = crate::dialect::mysql::document(values);
                bind(&mut arguments, super::encode::Param::Text(&list));
            }
        }
    }
    arguments
}

/// The rows that a query selects.
pub(crate) async fn select(
    session: &mut Session,
    facts: &Facts,
    query: &Query,
    place: &Place,
) -> Result<Rows, EndpointError> {
    let statement = WORDS.select(query, &|column| facts.is_collated(column));
    let kinds: Vec<Kind> = query.columns.iter().map(|name| facts.kind(name)).collect();
    let answer = ask(session, &statement).await;
    let rows = answer.map_err(|error| place.failed("read rows", error))?;
    Ok(chunk(&rows, &kinds))
}

async fn ask(session: &mut Session, statement: &Statement) -> Result<Vec<MySqlRow>, sqlx::Error> {
    let arguments = arguments(&statement.binds);
    let sql = session.server.spelled(&statement.sql);
    // A list of another length is another statement: few of them come twice.
    if statement.binds.len() > 16 {
        session.rows_once(&sql, arguments).await
    } else {
        session.rows(&sql, arguments).await
    }
}

/// Deletes the rows that a query's conditions select.
pub(crate) async fn delete(
    session: &mut Session,
    facts: &Facts,
    query: &Query,
    place: &Place,
) -> Result<u64, EndpointError> {
    let statement = WORDS.delete(query, &|column| facts.is_collated(column));
    let arguments = arguments(&statement.binds);
    let sql = session.server.spelled(&statement.sql);
    session.run_once(&sql, arguments).await.map_err(|error| place.failed("delete rows", error))
}

/// Rows as a chunk, by the kinds of their columns.
pub(crate) fn chunk(rows: &[MySqlRow], kinds: &[Kind]) -> Chunk {
    let mut chunk = ChunkBuilder::new(kinds.len());
    let Some(first) = rows.first() else { return chunk.finish() };
    let wires = decode::wires(first);
    let mut scratch = String::new();
    for row in rows {
        decode::push(row, kinds, &wires, &mut scratch, &mut chunk);
    }
    chunk.finish()
}

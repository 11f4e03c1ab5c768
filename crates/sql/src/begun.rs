//! A write that goes on while its caller looks at what became of the last one: the server need not
//! wait for that.

use std::sync::Arc;

use tokio::task::JoinHandle;
use whimbrel_endpoint::{Coming, EndpointError, ErrorClass, RowFate};
use whimbrel_model::{Chunk, Table};

/// What became of the rows of a write.
pub(crate) type Fates = Result<Vec<RowFate>, EndpointError>;

/// Rows that the write after the next one will be given.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) table: Table,
    pub(crate) rows: Arc<Chunk>,
    coming: Coming,
}

impl Expected {
    fn is(&self, table: &Table, rows: &Arc<Chunk>) -> bool {
        self.table == *table && Arc::ptr_eq(&self.rows, rows)
    }
}

/// The next write, begun before it is asked for.
///
/// ```text
/// write(n) ─▶ all rows in ─▶ begin n + 1 ─▶ write(n + 1): wait for it ─▶ …
///                                  └ anything else: wait for it, keep its fates until it is asked for
/// ```
#[derive(Debug)]
pub(crate) struct Begun<C> {
    expected: Option<Expected>,
    going: Option<Going<C>>,
    /// It has ended, and nobody has asked for it yet.
    ended: Option<(Table, Arc<Chunk>, Fates)>,
}

#[derive(Debug)]
struct Going<C> {
    table: Table,
    rows: Arc<Chunk>,
    work: JoinHandle<(C, Fates)>,
}

impl<C> Default for Begun<C> {
    fn default() -> Self {
        Self { expected: None, going: None, ended: None }
    }
}

impl<C: Send + 'static> Begun<C> {
    /// Notes what the write after the next one will be given.
    pub(crate) fn expect(&mut self, table: &Table, rows: &Arc<Chunk>, coming: Coming) {
        self.expected = Some(Expected { table: table.clone(), rows: Arc::clone(rows), coming });
    }

    /// A write of these rows is asked for: they are not what comes after it.
    pub(crate) fn asked(&mut self, table: &Table, rows: &Arc<Chunk>) {
        self.expected.take_if(|expected| expected.is(table, rows));
    }

    /// Rows that are expected in the same table, to be laid out meanwhile.
    pub(crate) fn laid_out_next(&mut self, table: &Table) -> Option<Arc<Chunk>> {
        let expected = self.expected.as_ref().filter(|expected| expected.table == *table);
        let rows = expected.map(|expected| Arc::clone(&expected.rows));
        self.expected.take_if(|expected| expected.coming == Coming::Likely);
        rows
    }

    /// What may be begun after a write with these fates: rows that are certain to come, where nothing
    /// else has to be done before them.
    pub(crate) fn next(&mut self, fates: &[RowFate]) -> Option<Expected> {
        let next = self.expected.take_if(|expected| expected.coming == Coming::Surely)?;
        let is_plain = self.is_idle()
            && next.rows.width() == next.table.columns.len()
            && fates.iter().all(|fate| *fate == RowFate::Inserted);
        is_plain.then_some(next)
    }

    /// Begins a write; its future has the connection until it ends.
    pub(crate) fn start(
        &mut self,
        next: Expected,
        work: impl Future<Output = (C, Fates)> + Send + 'static,
    ) {
        let Expected { table, rows, coming: _ } = next;
        self.going = Some(Going { table, rows, work: tokio::spawn(work) });
    }

    /// Whether these rows are on their way.
    pub(crate) fn is_of(&self, table: &Table, rows: &Arc<Chunk>) -> bool {
        self.going.as_ref().is_some_and(|it| it.table == *table && Arc::ptr_eq(&it.rows, rows))
    }

    /// Waits for what was begun and gives the connection back; `None` where nothing was begun, or the
    /// connection went with it.
    pub(crate) async fn wait(&mut self) -> Option<C> {
        let going = self.going.as_mut()?;
        let ended = (&mut going.work).await;
        let Going { table, rows, .. } = self.going.take().expect("it was waited for");
        match ended {
            Ok((connection, fates)) => {
                self.ended = Some((table, rows, fates));
                Some(connection)
            }
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => None,
        }
    }

    /// What became of these rows, where their write was begun before and has ended.
    pub(crate) fn take(&mut self, table: &Table, rows: &Arc<Chunk>) -> Option<Fates> {
        let (_, _, fates) =
            self.ended.take_if(|(its, those, _)| its == table && Arc::ptr_eq(those, rows))?;
        Some(fates)
    }

    /// The error of what has ended, where it has failed.
    pub(crate) fn error(&self) -> Option<&EndpointError> {
        self.ended.as_ref()?.2.as_ref().err()
    }

    /// The same, for whoever asks for something else before the write: nobody else hears of it then.
    pub(crate) fn failed(&mut self) -> Option<(Table, EndpointError)> {
        let (table, _, fates) = self.ended.take_if(|(_, _, fates)| fates.is_err())?;
        Some((table, fates.err()?))
    }

    fn is_idle(&self) -> bool {
        self.going.is_none() && self.ended.is_none()
    }

    /// Refuses to commit rows that nobody has asked to write.
    pub(crate) fn owes_nothing(&self) -> Result<(), EndpointError> {
        if self.is_idle() {
            return Ok(());
        }
        Err(EndpointError::new(
            ErrorClass::Configuration,
            whimbrel_endpoint::codes::TRANSACTION,
            "rows that were certain to come were not written",
        ))
    }
}

/// Dropped before its end, it closes the connection: what it has written is undone by that.
impl<C> Drop for Begun<C> {
    fn drop(&mut self) {
        if let Some(going) = &self.going {
            going.work.abort();
        }
    }
}

//! Between ledger rows and typed values: writing a chunk, reading a row by column name.

use whimbrel_endpoint::{EndpointError, ErrorClass, Query, Rows, Target, Txn};
use whimbrel_model::{Chunk, ChunkBuilder, Row, Table, Value};

use crate::tables;

/// A ledger row that says of itself how it is stored.
pub(crate) trait Stored: Sized {
    /// The table it lives in.
    fn table() -> &'static Table;
    /// Its values, in the order of the table's columns.
    fn values(&self) -> Vec<Value>;
    /// The row read back, its values in the order of the table's columns.
    fn read(cells: &mut Cells<'_>) -> Result<Self, EndpointError>;
}

/// Values of one row, taken in the order of the table's columns.
pub(crate) struct Cells<'a> {
    table: &'static Table,
    row: Row<'a>,
    next: usize,
}

impl<'a> Cells<'a> {
    /// The cells of a row whose columns are those of `table`.
    pub(crate) fn of(table: &'static Table, row: Row<'a>) -> Self {
        Self { table, row, next: 0 }
    }

    /// Leaves the next columns out.
    pub(crate) fn skip(&mut self, columns: usize) {
        self.next += columns;
    }

    fn take(&mut self) -> Value {
        self.next += 1;
        self.row.get(self.next - 1).to_owned()
    }

    fn unreadable(&self, wanted: &str) -> EndpointError {
        let column = &self.table.columns[self.next - 1].name;
        EndpointError::new(
            ErrorClass::Changed,
            "WB0301",
            format!("the ledger holds no {wanted} in column `{column}` of `{}`", self.table.name),
        )
    }

    pub(crate) fn text(&mut self) -> Result<String, EndpointError> {
        match self.take() {
            Value::Text(text) => Ok(text),
            _other => Err(self.unreadable("text")),
        }
    }

    pub(crate) fn text_or_null(&mut self) -> Result<Option<String>, EndpointError> {
        match self.take() {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            _other => Err(self.unreadable("text")),
        }
    }

    pub(crate) fn int(&mut self) -> Result<u64, EndpointError> {
        let value = self.take().as_int().and_then(|value| u64::try_from(value).ok());
        value.ok_or_else(|| self.unreadable("count"))
    }

    pub(crate) fn int_or_null(&mut self) -> Result<Option<u64>, EndpointError> {
        match self.take() {
            Value::Null => Ok(None),
            Value::Int(value) => match u64::try_from(value) {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(self.unreadable("count")),
            },
            _other => Err(self.unreadable("count")),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, EndpointError> {
        match self.take() {
            Value::Bytes(bytes) => Ok(bytes),
            _other => Err(self.unreadable("bytes")),
        }
    }

    pub(crate) fn bytes_or_null(&mut self) -> Result<Option<Vec<u8>>, EndpointError> {
        match self.take() {
            Value::Null => Ok(None),
            Value::Bytes(bytes) => Ok(Some(bytes)),
            _other => Err(self.unreadable("bytes")),
        }
    }

    pub(crate) fn parsed<T>(
        &mut self,
        parse: impl Fn(&str) -> Option<T>,
        wanted: &str,
    ) -> Result<T, EndpointError> {
        let text = self.text()?;
        parse(&text).ok_or_else(|| self.unreadable(wanted))
    }
}

/// A chunk of ledger rows.
pub(crate) fn chunk<T: Stored>(rows: &[T]) -> Chunk {
    let mut builder = ChunkBuilder::new(T::table().columns.len());
    for row in rows {
        row.values().iter().for_each(|value| builder.push(value.as_ref()));
        builder.end_row();
    }
    builder.finish()
}

/// Writes ledger rows, replacing those under the same key.
pub(crate) async fn put<T: Stored>(txn: &mut dyn Txn, rows: &[T]) -> Result<(), EndpointError> {
    if rows.is_empty() { Ok(()) } else { txn.put(T::table(), &chunk(rows)).await }
}

/// A query for whole rows of `T`.
pub(crate) fn query<T: Stored>() -> Query {
    Query::table(T::table().name.clone(), &tables::names(T::table()))
}

/// Reads an answer to a [`query`] of `T`.
pub(crate) fn rows<T: Stored>(answer: &Rows) -> Result<Vec<T>, EndpointError> {
    answer.rows().map(|row| T::read(&mut Cells::of(T::table(), row))).collect()
}

/// Committed rows of `T`.
pub(crate) async fn select<T: Stored>(
    target: &dyn Target,
    query: Query,
) -> Result<Vec<T>, EndpointError> {
    rows(&target.select(&query).await?)
}

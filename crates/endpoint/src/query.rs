//! Questions about bookkeeping tables, without a word of SQL.

use whimbrel_model::{Chunk, Value};

/// Rows of one table, filtered, ordered and bounded.
#[derive(Clone, Debug)]
pub struct Query {
    /// The table.
    pub table: String,
    /// The columns wanted, in this order.
    pub columns: Vec<String>,
    /// All of these must hold.
    pub conditions: Vec<Condition>,
    /// Order of the answer; every query that feeds output names one.
    pub order: Vec<(String, Order)>,
    /// At most this many rows.
    pub limit: Option<u64>,
}

/// `column operator value`.
#[derive(Clone, Debug)]
pub struct Condition {
    /// The column.
    pub column: String,
    /// How it is compared.
    pub operator: Operator,
    /// With what; NULL with [`Operator::Is`].
    pub values: Vec<Value>,
}

/// Comparisons; text is compared bytewise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operator {
    /// Equal, where NULL equals NULL.
    Is,
    /// Not equal, where NULL equals NULL.
    IsNot,
    /// Equal to one of the values.
    In,
    /// Greater than.
    Above,
    /// At most.
    AtMost,
}

/// Direction of an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Smallest first; NULL first.
    Rising,
    /// Largest first.
    Falling,
}

/// An answer: one chunk, in the order and with the columns of the query.
pub type Rows = Chunk;

impl Query {
    /// All rows of a table with these columns.
    pub fn table(table: impl Into<String>, columns: &[&str]) -> Self {
        Self {
            table: table.into(),
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            conditions: Vec::new(),
            order: Vec::new(),
            limit: None,
        }
    }

    /// Only rows where `column` is `value`.
    #[must_use]
    pub fn is(mut self, column: &str, value: impl Into<Value>) -> Self {
        self.conditions.push(Condition {
            column: column.to_owned(),
            operator: Operator::Is,
            values: vec![value.into()],
        });
        self
    }

    /// Only rows where `column` compares so.
    #[must_use]
    pub fn that(mut self, column: &str, operator: Operator, values: Vec<Value>) -> Self {
        self.conditions.push(Condition { column: column.to_owned(), operator, values });
        self
    }

    /// Ordered by `column`, after earlier orders.
    #[must_use]
    pub fn by(mut self, column: &str, order: Order) -> Self {
        self.order.push((column.to_owned(), order));
        self
    }

    /// At most `limit` rows.
    #[must_use]
    pub fn at_most(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }
}

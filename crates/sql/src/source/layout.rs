//! What a table or query holds, and the statement that reads its rows in a fixed order.

use std::time::Duration;

use whimbrel_endpoint::{EndpointError, ErrorClass, Finding, RowOrder};
use whimbrel_model::{Kind, Table};

use super::Read;
use crate::codes;
use crate::dialect::Dialect;
use crate::postgres::form::Form;

/// A column as it is read.
#[derive(Clone, Debug)]
pub(super) struct SourceColumn {
    /// Its name in the database.
    pub(super) name: String,
    /// What its values are.
    pub(super) kind: Kind,
    /// What stands for it in the list of the SELECT: itself, or a conversion that loses nothing.
    pub(super) selected: String,
    /// What rows are ordered by; text by its bytes.
    pub(super) ordered: String,
    /// How the engine hands its values over.
    pub(super) carried: Carried,
}

/// What is wanted of a table or a query.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    /// Every column, in the order of these key columns; none: of the table's own key.
    Records {
        /// Names of columns.
        key: Vec<String>,
    },
    /// These columns, as these kinds.
    Stored(Table, RowOrder),
    /// Every column, in whatever order.
    Answer,
}

/// How values come from an engine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Carried {
    /// SQLite's storage classes.
    Stored,
    /// A binary format of PostgreSQL.
    Form(Form),
    /// MySQL's binary protocol, which says itself how.
    Bytes,
}

/// Columns, order and statement.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) columns: Vec<SourceColumn>,
    /// Indexes of the columns that rows are ordered by.
    pub(super) order: Vec<usize>,
    /// True where nothing but the plan says that the key tells rows apart: neighbours are compared.
    pub(super) doubted: bool,
    /// The whole SELECT.
    pub(super) sql: String,
    /// What people should know of it.
    pub(super) findings: Vec<Finding>,
    /// The engine and what is read, for people.
    pub(super) format: String,
    /// How long reading may take, where somebody has said so. On MariaDB and MySQL a reader that goes
    /// away ends its query anyway.
    pub(super) most: Option<Duration>,
}

/// A column as an engine's catalogue or a prepared query tells it.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) column: SourceColumn,
    /// NULL is possible.
    pub(super) nullable: bool,
}

/// What is known of what a plan wants to read.
pub(super) struct Known {
    pub(super) engine: &'static str,
    pub(super) dialect: Dialect,
    pub(super) columns: Vec<Told>,
    /// Sets of columns that no two rows share, the best first.
    pub(super) unique: Vec<Vec<String>>,
    /// `table`, `view`, `query` …
    pub(super) what: String,
}

impl Layout {
    /// Chooses columns and order and writes the statement.
    pub(super) fn new(known: Known, read: &Read, wanted: &Wanted) -> Result<Self, EndpointError> {
        if known.columns.is_empty() {
            return Err(refused(
                codes::SOURCE_QUERY,
                format!("it has no columns: `{}`", read.path()),
            ));
        }
        match wanted {
            Wanted::Records { key } => Self::records(known, read, key),
            Wanted::Stored(table, order) => Self::stored(known, read, table, *order),
            Wanted::Answer => Ok(Self::written(known, read, Vec::new(), false, Vec::new())),
        }
    }

    /// The columns of a table that was described before, as the kinds that it had.
    fn stored(
        mut known: Known,
        read: &Read,
        table: &Table,
        order: RowOrder,
    ) -> Result<Self, EndpointError> {
        let mut columns = Vec::with_capacity(table.columns.len());
        for column in &table.columns {
            let found = known.columns.iter().find(|told| told.column.name == column.name);
            let Some(found) = found else {
                return Err(EndpointError::new(
                    ErrorClass::Changed,
                    whimbrel_endpoint::codes::MISSING,
                    format!("the column is not there any more: `{}.{}`", table.name, column.name),
                ));
            };
            let mut told = found.clone();
            let is_spelled = matches!(column.kind, Kind::Text(_))
                && !matches!(told.column.kind, Kind::Text(_))
                && known.dialect == Dialect::Postgres;
            if is_spelled {
                // As a target it holds text that the server reads and spells (arrays of types of its own);
                // `money` spells a currency that nobody has written.
                let is_money = told.column.carried == Carried::Form(Form::Numeric(None));
                let own = known.dialect.quote(&column.name);
                let spelled = if is_money { &told.column.selected } else { &own };
                let spelled = format!("({spelled})::text");
                told.column.ordered = format!("({spelled}) COLLATE \"C\"");
                told.column.selected = spelled;
                told.column.carried = Carried::Form(Form::Text(None));
            }
            told.column.kind = column.kind;
            columns.push(told);
        }
        known.columns = columns;
        let order = match order {
            RowOrder::ByKey => table.key.clone(),
            RowOrder::Any => Vec::new(),
        };
        Ok(Self::written(known, read, order, false, Vec::new()))
    }

    fn records(known: Known, read: &Read, key: &[String]) -> Result<Self, EndpointError> {
        let Known { columns, unique, what, .. } = &known;
        let path = read.path();
        let names: Vec<&str> = columns.iter().map(|told| told.column.name.as_str()).collect();
        for (index, name) in names.iter().enumerate() {
            if names[..index].contains(name) {
                return Err(refused(
                    codes::SOURCE_QUERY,
                    format!("two columns have one name; name one of them apart with AS: `{name}`"),
                ));
            }
        }
        let place = |name: &String| {
            let exact = names.iter().position(|own| *own == name);
            exact.or_else(|| names.iter().position(|own| own.eq_ignore_ascii_case(name)))
        };
        let mut findings = Vec::new();
        let (order, doubted) = if key.is_empty() {
            let required = |set: &&Vec<String>| {
                set.iter().all(|name| place(name).is_some_and(|at| !columns[at].nullable))
            };
            match unique.iter().find(required) {
                Some(set) => (set.iter().filter_map(place).collect(), false),
                None => {
                    findings.push(no_key(what, path));
                    ((0..columns.len()).collect(), false)
                }
            }
        } else {
            let mut order = Vec::new();
            for name in key {
                let Some(at) = place(name) else {
                    let near = near(name, names.iter().copied());
                    return Err(refused(
                        codes::SOURCE_COLUMN,
                        format!("the key names a column that `{path}` has not{near}: `{name}`"),
                    ));
                };
                order.push(at);
            }
            let proven = unique.iter().any(|set| {
                set.iter().all(|name| {
                    place(name).is_some_and(|at| order.contains(&at) && !columns[at].nullable)
                })
            });
            (order, !proven)
        };
        Ok(Self::written(known, read, order, doubted, findings))
    }

    /// The statement of the columns that are known, in the order of some of them.
    fn written(
        known: Known,
        read: &Read,
        order: Vec<usize>,
        doubted: bool,
        findings: Vec<Finding>,
    ) -> Self {
        let Known { engine, dialect, columns, what, .. } = known;
        let ordered: Vec<String> = order
            .iter()
            .map(|at: &usize| {
                let told = &columns[*at];
                match dialect {
                    // An index has NULLs last, and serves no other order even where there are none.
                    Dialect::Postgres if told.nullable => {
                        format!("{} NULLS FIRST", told.column.ordered)
                    }
                    Dialect::Postgres | Dialect::Sqlite | Dialect::Mysql => {
                        told.column.ordered.clone()
                    }
                }
            })
            .collect();
        let columns: Vec<SourceColumn> = columns.into_iter().map(|told| told.column).collect();
        let selected: Vec<&str> = columns.iter().map(|c| c.selected.as_str()).collect();
        let from = match read {
            Read::Table(name) => dialect.table(name),
            // A comment at its end must not swallow the parenthesis.
            Read::Query(query) => format!("({}\n) AS {}", inner(query), dialect.quote("q")),
        };
        let mut sql = format!("SELECT {} FROM {from}", selected.join(", "));
        if !ordered.is_empty() {
            sql.push_str(&format!(" ORDER BY {}", ordered.join(", ")));
        }
        let format = format!("{engine}, {what}");
        Self { columns, order, doubted, sql, findings, format, most: None }
    }

    /// What a mark recognises the layout by: the rows before it are told by another digest.
    pub(super) fn digest(&self) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        for column in &self.columns {
            for part in [&column.name, &column.kind.name()] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part.as_bytes());
            }
        }
        hasher.update(&[0xff]);
        for at in &self.order {
            hasher.update(&(*at as u64).to_le_bytes());
        }
        let digest = hasher.finalize();
        *digest.as_bytes().first_chunk().expect("a digest has 32 bytes")
    }
}

/// A query without what may stand at the end of a statement.
pub(super) fn inner(query: &str) -> &str {
    query.trim_end_matches(|c: char| c.is_whitespace() || c == ';').trim_start()
}

fn no_key(what: &str, path: &str) -> Finding {
    Finding {
        code: codes::SOURCE_NO_KEY,
        blocks: false,
        message: format!(
            "this {what} has no key: it is read in one go, in the order of all its columns, which \
             the database has to sort; where columns tell its rows apart, name them by the option \
             `key` of the source, as `key = [\"id\"]`: `{path}`"
        ),
    }
}

pub(super) fn refused(code: &'static str, what: impl Into<String>) -> EndpointError {
    EndpointError::new(ErrorClass::Configuration, code, what)
}

/// There is no such table; names that are near.
pub(super) fn no_table<'a>(
    name: &str,
    database: &str,
    known: impl Iterator<Item = &'a str>,
) -> EndpointError {
    let near = near(name, known);
    refused(
        codes::SOURCE_TABLE,
        format!("there is no table or view of this name in `{database}`{near}: `{name}`"),
    )
}

/// The nearest of the names as a clause, or nothing.
pub(super) fn near<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> String {
    let word = word.to_lowercase();
    let last = word.rsplit('.').next().unwrap_or_default();
    let far = |name: &str| {
        let name = name.to_lowercase();
        distance(&word, &name).min(distance(last, name.rsplit('.').next().unwrap_or_default()))
    };
    let nearest = names.map(|name| (far(name), name)).min();
    match nearest {
        Some((far, name)) if far <= (last.chars().count() / 3).max(1) => {
            format!(" (did you mean `{name}`?)")
        }
        Some(_) | None => String::new(),
    }
}

/// Characters to insert, delete or replace that turn one word into the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let least = (corner + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            corner = row[j + 1];
            row[j + 1] = least;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_recognised() {
        let names = ["public.orders", "public.check_result", "audit.log"];
        assert_eq!(
            near("check_results", names.into_iter()),
            " (did you mean `public.check_result`?)"
        );
        assert_eq!(near("customer", names.into_iter()), "");
    }

    #[test]
    fn a_query_loses_what_ends_a_statement() {
        assert_eq!(inner(" SELECT 1 ;\n; "), "SELECT 1");
    }
}

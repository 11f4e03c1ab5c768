//! The questions asked about rows: one SELECT of aggregates a table, one count a reference. Pure:
//! the engines ask them, each over its own wire.

use whimbrel_model::Kind;
use whimbrel_model::catalogue::{Catalogue, Oddity, Reference, TableEntry};

use crate::dialect::{Affinity, Dialect, affinity};

/// Aggregates in one SELECT: SQLite takes 2,000 columns, PostgreSQL 1,664.
const ANSWERS_MAX: usize = 400;

/// What an answer is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum About {
    /// NULLs of the column.
    Nulls(usize),
    /// Its longest text.
    CharsMax(usize),
    /// Values with an oddity.
    Odd(usize, Oddity),
    /// Rows with a NULL in their key.
    NullKeys,
}

/// One SELECT of aggregates, and what each of them is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Question {
    pub(super) sql: String,
    pub(super) about: Vec<About>,
}

/// Everything to ask about a table's rows.
pub(super) fn questions(dialect: Dialect, table: &TableEntry) -> Vec<Question> {
    let mut asked = Vec::new();
    for (at, column) in table.columns.iter().enumerate() {
        let name = dialect.quote(&column.name);
        if column.nullable || dialect == Dialect::Sqlite {
            asked.push((About::Nulls(at), format!("COUNT(*) - COUNT({name})")));
        }
        if matches!(column.kind, Kind::Text(_)) {
            asked.push((About::CharsMax(at), chars_max(dialect, &name)));
        }
        for (oddity, condition) in oddities(dialect, column.kind, &column.declared, &name) {
            asked.push((About::Odd(at, oddity), count_where(&condition)));
        }
    }
    let nullable = |name: &&String| table.column(name).is_some_and(|one| one.nullable);
    let keys: Vec<String> = table
        .key
        .iter()
        .filter(nullable)
        .map(|name| format!("{} IS NULL", dialect.quote(name)))
        .collect();
    if !keys.is_empty() {
        asked.push((About::NullKeys, count_where(&keys.join(" OR "))));
    }
    let from = dialect.table(&table.name);
    asked
        .chunks(ANSWERS_MAX)
        .map(|part| {
            let list: Vec<&str> = part.iter().map(|(_, sql)| sql.as_str()).collect();
            Question {
                sql: format!("SELECT {} FROM {from}", list.join(", ")),
                about: part.iter().map(|(about, _)| *about).collect(),
            }
        })
        .collect()
}

/// Writes an answer down; 0 and NULL say nothing.
pub(super) fn answered(table: &mut TableEntry, about: About, answer: Option<i64>) {
    let Some(count) = answer.and_then(|count| u64::try_from(count).ok()).filter(|one| *one > 0)
    else {
        return;
    };
    match about {
        About::Nulls(at) => table.columns[at].nulls = count,
        About::CharsMax(at) => table.columns[at].chars_max = Some(count),
        About::Odd(at, oddity) => table.columns[at].odd.push((oddity, count)),
        About::NullKeys => table.null_keys = count,
    }
}

/// How many rows the table has.
pub(super) fn rows(dialect: Dialect, table: &str) -> String {
    format!("SELECT COUNT(*) FROM {}", dialect.table(table))
}

/// How many rows point to a parent that is not there; `None` where a table cannot be asked.
pub(super) fn orphans(
    dialect: Dialect,
    catalogue: &Catalogue,
    table: &TableEntry,
    reference: &Reference,
) -> Option<String> {
    let parent = catalogue.table(&reference.parent)?;
    let pairs = reference.columns.len();
    if pairs == 0 || pairs != reference.parent_columns.len() {
        return None;
    }
    let whole = reference.parent_columns.iter().all(|name| parent.column(name).is_some());
    let orphans =
        || format!("SELECT COUNT(*) {}", without_parents(dialect, &table.name, reference));
    whole.then(orphans)
}

/// `FROM … WHERE …` for the rows of a table, called `c`, that point to a parent which is not there.
pub(crate) fn without_parents(dialect: Dialect, table: &str, reference: &Reference) -> String {
    let child = |name: &String| format!("c.{}", dialect.quote(name));
    let present: Vec<String> =
        reference.columns.iter().map(|name| format!("{} IS NOT NULL", child(name))).collect();
    let same: Vec<String> = reference
        .columns
        .iter()
        .zip(&reference.parent_columns)
        .map(|(own, other)| format!("p.{} = {}", dialect.quote(other), child(own)))
        .collect();
    format!(
        "FROM {} c WHERE {} AND NOT EXISTS (SELECT 1 FROM {} p WHERE {})",
        dialect.table(table),
        present.join(" AND "),
        dialect.table(&reference.parent),
        same.join(" AND ")
    )
}

fn count_where(condition: &str) -> String {
    format!("COUNT(CASE WHEN {condition} THEN 1 END)")
}

fn chars_max(dialect: Dialect, name: &str) -> String {
    match dialect {
        Dialect::Sqlite => {
            format!("MAX(CASE WHEN typeof({name}) = 'text' THEN length({name}) END)")
        }
        Dialect::Postgres => format!("MAX(length({name}::text))"),
        Dialect::Mysql => format!("MAX(CHAR_LENGTH({name}))"),
    }
}

fn oddities(dialect: Dialect, kind: Kind, declared: &str, name: &str) -> Vec<(Oddity, String)> {
    match dialect {
        Dialect::Sqlite => sqlite(kind, declared, name),
        Dialect::Postgres => postgres(kind, name),
        Dialect::Mysql => mysql(kind, name),
    }
}

fn sqlite(kind: Kind, declared: &str, name: &str) -> Vec<(Oddity, String)> {
    let is = |class: &str| format!("typeof({name}) = '{class}'");
    let mut asked: Vec<(Oddity, String)> =
        strangers(kind, declared).iter().map(|class| (Oddity::Class(class), is(class))).collect();
    let text = is("text");
    let day = format!("{text} AND {name} GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'");
    match kind {
        Kind::Text(length) => {
            if let Some(length) = length {
                let long = format!("{text} AND length({name}) > {length}");
                asked.push((Oddity::TooLong, long));
            }
            asked.push((Oddity::Nul, format!("{text} AND instr({name}, char(0)) > 0")));
        }
        Kind::Float => {
            let far = format!("typeof({name}) = 'real' AND abs({name}) > 1.7976931348623157e308");
            asked.push((Oddity::NotFinite, far));
        }
        Kind::Date | Kind::Timestamp | Kind::TimestampTz => {
            let zero = format!(
                "{day} AND (substr({name}, 1, 4) = '0000' OR substr({name}, 6, 2) = '00' \
                 OR substr({name}, 9, 2) = '00')"
            );
            asked.push((Oddity::ZeroDate, zero));
            if kind == Kind::TimestampTz {
                let outside = format!(
                    "{day} AND (substr({name}, 1, 10) < '1970-01-01' \
                     OR substr({name}, 1, 10) > '2038-01-19')"
                );
                asked.push((Oddity::OutsideUnix, outside));
            }
        }
        Kind::Bool
        | Kind::Int(_)
        | Kind::Decimal(_)
        | Kind::Bytes
        | Kind::Time
        | Kind::Uuid
        | Kind::Json
        | Kind::Any => {}
    }
    asked
}

/// Storage classes that values of such a column should not have.
fn strangers(kind: Kind, declared: &str) -> &'static [&'static str] {
    match (kind, affinity(declared)) {
        (Kind::Any, _) => &[],
        (Kind::Bool | Kind::Int(_), Affinity::Integer | Affinity::Numeric) => {
            &["text", "real", "blob"]
        }
        (Kind::Decimal(_), Affinity::Numeric) => &["text", "blob"],
        (Kind::Float, _) => &["text", "blob"],
        (Kind::Bytes, _) => &["text", "integer", "real"],
        (Kind::Uuid, _) => &["integer", "real"],
        (
            Kind::Text(_)
            | Kind::Date
            | Kind::Time
            | Kind::Timestamp
            | Kind::TimestampTz
            | Kind::Json
            | Kind::Decimal(_)
            | Kind::Int(_)
            | Kind::Bool,
            _,
        ) => &["integer", "real", "blob"],
    }
}

fn postgres(kind: Kind, name: &str) -> Vec<(Oddity, String)> {
    match kind {
        Kind::Float | Kind::Decimal(_) => {
            let odd = format!("{name}::text IN ('NaN', 'Infinity', '-Infinity')");
            vec![(Oddity::NotFinite, odd)]
        }
        Kind::Date | Kind::Timestamp | Kind::TimestampTz => {
            let finite = format!("isfinite({name})");
            let year = format!("extract(year FROM {name}) NOT BETWEEN 1 AND 9999");
            let mut asked = vec![
                (Oddity::Endless, format!("NOT {finite}")),
                (Oddity::OutsideYears, format!("{finite} AND {year}")),
            ];
            if kind == Kind::TimestampTz {
                let outside = format!(
                    "{finite} AND ({name} < '1970-01-01 00:00:01+00' \
                     OR {name} >= '2038-01-19 03:14:08+00')"
                );
                asked.push((Oddity::OutsideUnix, outside));
            }
            asked
        }
        Kind::Bool
        | Kind::Int(_)
        | Kind::Text(_)
        | Kind::Bytes
        | Kind::Time
        | Kind::Uuid
        | Kind::Json
        | Kind::Any => Vec::new(),
    }
}

fn mysql(kind: Kind, name: &str) -> Vec<(Oddity, String)> {
    match kind {
        Kind::Text(_) => {
            vec![(Oddity::Nul, format!("INSTR(CAST({name} AS BINARY), 0x00) > 0"))]
        }
        Kind::Date | Kind::Timestamp | Kind::TimestampTz => {
            let zero = format!("YEAR({name}) = 0 OR MONTH({name}) = 0 OR DAYOFMONTH({name}) = 0");
            vec![(Oddity::ZeroDate, zero)]
        }
        Kind::Time => {
            let outside =
                format!("{name} < CAST('00:00:00' AS TIME) OR {name} >= CAST('24:00:00' AS TIME)");
            vec![(Oddity::OutsideDay, outside)]
        }
        Kind::Bool
        | Kind::Int(_)
        | Kind::Decimal(_)
        | Kind::Float
        | Kind::Bytes
        | Kind::Uuid
        | Kind::Json
        | Kind::Any => Vec::new(),
    }
}

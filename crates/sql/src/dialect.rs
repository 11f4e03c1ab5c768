//! Words: how an engine spells names, types and the few statements that bookkeeping and loading
//! need. Pure: it knows no connection and no driver. Values never enter the text of a statement;
//! they are bound.
//!
//! Declared types of SQLite, as read (`kind_of`) and as written (`declared`). Affinity is
//! SQLite's own rule over the name, so names with `TEXT` in them keep every character.
//!
//! | kind | read from | written as |
//! |---|---|---|
//! | boolean | `BOOL`, `BOOLEAN` | `BOOLEAN` |
//! | smallint | `TINYINT`, `SMALLINT`, `INT2` | `SMALLINT` |
//! | int | `MEDIUMINT`, `INT4` | `INT4` |
//! | integer | `INT`, `INTEGER`, `BIGINT`, `INT8`, and whatever else contains `INT` | `INTEGER` |
//! | unsigned, hugeint | `UNSIGNED_TEXT`, `HUGE_TEXT` | the same: the digits, as text |
//! | decimal(p,s) | `NUMERIC(p,s)`, `DECIMAL(p,s)`, `DECIMAL_TEXT(p,s)` | `DECIMAL_TEXT(p,s)` |
//! | double | `REAL`, `DOUBLE`, `DOUBLE PRECISION`, `FLOAT` | `DOUBLE` |
//! | text(n) | `TEXT`, `CLOB`, `VARCHAR(n)`, `CHAR(n)` … | `TEXT`, `VARCHAR(n)` |
//! | date, time | `DATE`, `TIME`, `DATE_TEXT`, `TIME_TEXT` | `DATE_TEXT`, `TIME_TEXT` |
//! | timestamp | `DATETIME`, `TIMESTAMP`, `TIMESTAMP_TEXT` | `TIMESTAMP_TEXT` |
//! | timestamptz | `TIMESTAMPTZ`, `TIMESTAMP WITH TIME ZONE`, `TIMESTAMPTZ_TEXT` | `TIMESTAMPTZ_TEXT` |
//! | uuid | `UUID`, `GUID`, `UUID_TEXT`, `UUID_BLOB` | `UUID_TEXT` |
//! | json | `JSON`, `JSONB`, `JSON_TEXT` | `JSON_TEXT` |
//! | bytes | `BLOB`, `BINARY`, `VARBINARY`, `BYTEA` | `BLOB` |
//! | any | no type, `ANY`, and names that SQLite takes for numbers by default | no type |

use whimbrel_endpoint::{Condition, Operator, Order, Query};
use whimbrel_model::kind::IntWidth;
use whimbrel_model::{Kind, Table, Value};

/// The engine whose words are meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// SQLite 3.
    Sqlite,
}

/// What SQLite does to a value on its way into a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Affinity {
    /// Numbers become text.
    Text,
    /// Text that reads as a number becomes one; doubles without a fraction become integers.
    Numeric,
    /// The same as [`Affinity::Numeric`], but for casts.
    Integer,
    /// Numbers become doubles.
    Real,
    /// Nothing changes.
    Blob,
}

/// A statement and what is bound to it, in order.
#[derive(Clone, PartialEq, Debug)]
pub struct Statement {
    /// The text, with numbered placeholders.
    pub sql: String,
    /// The values.
    pub binds: Vec<Bind>,
}

/// What stands behind one placeholder.
#[derive(Clone, PartialEq, Debug)]
pub enum Bind {
    /// One value.
    One(Value),
    /// A list that the statement looks into.
    List(Vec<Value>),
}

/// What an INSERT does with a key that is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// There is no key to be taken.
    Impossible,
    /// Nothing is written.
    Skip,
    /// The row's columns are overwritten.
    Overwrite,
}

impl Dialect {
    /// A name as an identifier, whatever it contains.
    pub fn quote(self, name: &str) -> String {
        match self {
            // SQLite reads an unknown name in double quotes as a string; in backticks it never does.
            Self::Sqlite => format!("`{}`", name.replace('`', "``")),
        }
    }

    /// A name as the standard quotes it, for statements that people will read in the catalogue.
    fn quote_standard(self, name: &str) -> String {
        match self {
            Self::Sqlite => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }

    /// Rows of a table: filtered, ordered, bounded. Text is compared by its bytes.
    pub fn select(self, query: &Query) -> Statement {
        let columns = self.list(query.columns.iter().map(String::as_str));
        let mut sql = format!("SELECT {columns} FROM {}", self.quote(&query.table));
        let mut binds = Vec::new();
        self.filter(&query.conditions, &mut sql, &mut binds);
        if !query.order.is_empty() {
            let terms: Vec<String> =
                query.order.iter().map(|(column, order)| self.order(column, *order)).collect();
            sql.push_str(" ORDER BY ");
            sql.push_str(&terms.join(", "));
        }
        if let Some(limit) = query.limit {
            binds.push(Bind::One(Value::Int(limit.min(i64::MAX as u64).into())));
            sql.push_str(" LIMIT ?");
            sql.push_str(&binds.len().to_string());
        }
        Statement { sql, binds }
    }

    /// Deletes the rows that a query's conditions select; its order and limit play no part.
    pub fn delete(self, query: &Query) -> Statement {
        let mut sql = format!("DELETE FROM {}", self.quote(&query.table));
        let mut binds = Vec::new();
        self.filter(&query.conditions, &mut sql, &mut binds);
        Statement { sql, binds }
    }

    /// Inserts one row: placeholders in the order of the table's columns.
    ///
    /// `OR ABORT` overrides `ON CONFLICT` clauses that the table's own columns may carry: none of
    /// them deletes or skips a row behind our back.
    pub fn insert(self, table: &Table, taken: Taken) -> String {
        let columns = self.list(table.columns.iter().map(|column| column.name.as_str()));
        let values = placeholders(1, table.columns.len());
        let into = self.quote(&table.name);
        let key = self.list(key_names(table));
        let insert = format!("INSERT OR ABORT INTO {into} ({columns}) VALUES ({values})");
        match taken {
            Taken::Impossible => insert,
            Taken::Skip => format!("{insert} ON CONFLICT ({key}) DO NOTHING"),
            Taken::Overwrite if table.key.len() == table.columns.len() => {
                format!("{insert} ON CONFLICT ({key}) DO NOTHING")
            }
            Taken::Overwrite => {
                let excluded =
                    |name: &str| format!("{name} = excluded.{name}", name = self.quote(name));
                let sets: Vec<String> = rest_names(table).map(excluded).collect();
                format!("{insert} ON CONFLICT ({key}) DO UPDATE SET {}", sets.join(", "))
            }
        }
    }

    /// All columns of the row under a key.
    pub fn read(self, table: &Table) -> String {
        let columns = self.list(table.columns.iter().map(|column| column.name.as_str()));
        format!("SELECT {columns} FROM {} WHERE {}", self.quote(&table.name), self.by_key(table, 1))
    }

    /// Overwrites the columns outside the key: their placeholders first, then the key's.
    pub fn update(self, table: &Table) -> String {
        let (names, first): (Vec<&str>, usize) = if table.key.len() == table.columns.len() {
            (key_names(table).collect(), 1)
        } else {
            (rest_names(table).collect(), table.columns.len() - table.key.len() + 1)
        };
        let sets: Vec<String> = names
            .iter()
            .enumerate()
            .map(|(index, name)| format!("{} = ?{}", self.quote(name), index + 1))
            .collect();
        format!(
            "UPDATE OR ABORT {} SET {} WHERE {}",
            self.quote(&table.name),
            sets.join(", "),
            self.by_key(table, first)
        )
    }

    /// Deletes the row under a key.
    pub fn remove(self, table: &Table) -> String {
        format!("DELETE FROM {} WHERE {}", self.quote(&table.name), self.by_key(table, 1))
    }

    /// Creates a table that holds every value of its kinds unaltered.
    pub fn create_table(self, table: &Table) -> String {
        let mut lines: Vec<String> = table
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| {
                let required =
                    if column.nullable && !table.key.contains(&index) { "" } else { " NOT NULL" };
                let declared = self.declared(column.kind);
                let space = if declared.is_empty() { "" } else { " " };
                format!("    {}{space}{declared}{required}", self.quote_standard(&column.name))
            })
            .collect();
        if !table.key.is_empty() {
            let key: Vec<String> = key_names(table).map(|name| self.quote_standard(name)).collect();
            lines.push(format!("    PRIMARY KEY ({})", key.join(", ")));
        }
        format!("CREATE TABLE {} (\n{}\n)", self.quote_standard(&table.name), lines.join(",\n"))
    }

    /// The declared type of a column of this kind.
    pub fn declared(self, kind: Kind) -> String {
        match self {
            Self::Sqlite => match kind {
                Kind::Bool => "BOOLEAN".to_owned(),
                Kind::Int(IntWidth::I16) => "SMALLINT".to_owned(),
                Kind::Int(IntWidth::I32) => "INT4".to_owned(),
                Kind::Int(IntWidth::I64) => "INTEGER".to_owned(),
                Kind::Int(IntWidth::U64) => "UNSIGNED_TEXT".to_owned(),
                Kind::Int(IntWidth::I128) => "HUGE_TEXT".to_owned(),
                Kind::Decimal(None) => "DECIMAL_TEXT".to_owned(),
                Kind::Decimal(Some((precision, scale))) => {
                    format!("DECIMAL_TEXT({precision},{scale})")
                }
                Kind::Float => "DOUBLE".to_owned(),
                Kind::Text(None) => "TEXT".to_owned(),
                Kind::Text(Some(chars)) => format!("VARCHAR({chars})"),
                Kind::Bytes => "BLOB".to_owned(),
                Kind::Date => "DATE_TEXT".to_owned(),
                Kind::Time => "TIME_TEXT".to_owned(),
                Kind::Timestamp => "TIMESTAMP_TEXT".to_owned(),
                Kind::TimestampTz => "TIMESTAMPTZ_TEXT".to_owned(),
                Kind::Uuid => "UUID_TEXT".to_owned(),
                Kind::Json => "JSON_TEXT".to_owned(),
                Kind::Any => String::new(),
            },
        }
    }

    /// The kind that a declared type means; see the table of this module.
    pub fn kind_of(self, declared: &str) -> Kind {
        match self {
            Self::Sqlite => sqlite_kind(declared),
        }
    }

    fn list<'a>(self, names: impl Iterator<Item = &'a str>) -> String {
        names.map(|name| self.quote(name)).collect::<Vec<_>>().join(", ")
    }

    fn by_key(self, table: &Table, first: usize) -> String {
        let terms: Vec<String> = key_names(table)
            .enumerate()
            .map(|(index, name)| format!("{} = ?{}", self.quote(name), first + index))
            .collect();
        terms.join(" AND ")
    }

    fn order(self, column: &str, order: Order) -> String {
        let direction = match order {
            Order::Rising => "ASC",
            Order::Falling => "DESC",
        };
        match self {
            Self::Sqlite => format!("{} COLLATE BINARY {direction}", self.quote(column)),
        }
    }

    fn filter(self, conditions: &[Condition], sql: &mut String, binds: &mut Vec<Bind>) {
        for (index, condition) in conditions.iter().enumerate() {
            sql.push_str(if index == 0 { " WHERE " } else { " AND " });
            sql.push_str(&self.condition(condition, binds));
        }
    }

    fn condition(self, condition: &Condition, binds: &mut Vec<Bind>) -> String {
        let column = match self {
            Self::Sqlite => format!("{} COLLATE BINARY", self.quote(&condition.column)),
        };
        let operator = match condition.operator {
            Operator::Is => "IS",
            Operator::IsNot => "IS NOT",
            Operator::Above => ">",
            Operator::AtMost => "<=",
            Operator::In => return self.one_of(&column, condition, binds),
        };
        let value = condition.values.first().cloned().unwrap_or(Value::Null);
        binds.push(Bind::One(value));
        format!("{column} {operator} ?{}", binds.len())
    }

    fn one_of(self, column: &str, condition: &Condition, binds: &mut Vec<Bind>) -> String {
        let (nulls, values): (Vec<_>, Vec<_>) =
            condition.values.iter().cloned().partition(|value| value.as_ref().is_null());
        binds.push(Bind::List(values));
        let list = match self {
            Self::Sqlite => format!("{column} IN (SELECT value FROM rarray(?{}))", binds.len()),
        };
        if nulls.is_empty() { list } else { format!("({list} OR {column} IS NULL)") }
    }
}

fn placeholders(first: usize, count: usize) -> String {
    (first..first + count).map(|index| format!("?{index}")).collect::<Vec<_>>().join(", ")
}

fn key_names(table: &Table) -> impl Iterator<Item = &str> {
    table.key.iter().map(|&index| table.columns[index].name.as_str())
}

fn rest_names(table: &Table) -> impl Iterator<Item = &str> {
    rest(table).map(|index| table.columns[index].name.as_str())
}

/// Indexes of the columns outside the key, in their order.
pub(crate) fn rest(table: &Table) -> impl Iterator<Item = usize> {
    (0..table.columns.len()).filter(|index| !table.key.contains(index))
}

/// SQLite's rule (datatype3.html §3.1), in its order; in STRICT tables `ANY` changes nothing.
pub(crate) fn affinity(declared: &str) -> Affinity {
    let name = declared.to_ascii_uppercase();
    let contains = |part: &str| name.contains(part);
    if contains("INT") {
        Affinity::Integer
    } else if contains("CHAR") || contains("CLOB") || contains("TEXT") {
        Affinity::Text
    } else if contains("BLOB") || name.trim().is_empty() {
        Affinity::Blob
    } else if contains("REAL") || contains("FLOA") || contains("DOUB") {
        Affinity::Real
    } else {
        Affinity::Numeric
    }
}

fn sqlite_kind(declared: &str) -> Kind {
    let (name, arguments) = split_type(declared);
    match name.as_str() {
        "" | "ANY" => Kind::Any,
        "BOOL" | "BOOLEAN" => Kind::Bool,
        "TINYINT" | "SMALLINT" | "INT2" => Kind::Int(IntWidth::I16),
        "MEDIUMINT" | "INT4" => Kind::Int(IntWidth::I32),
        "UNSIGNED_TEXT" => Kind::Int(IntWidth::U64),
        "HUGE_TEXT" => Kind::Int(IntWidth::I128),
        "NUMERIC" | "DECIMAL" | "DECIMAL_TEXT" => Kind::Decimal(precision(&arguments)),
        "DATE" | "DATE_TEXT" => Kind::Date,
        "TIME" | "TIME_TEXT" | "TIME WITHOUT TIME ZONE" => Kind::Time,
        "DATETIME" | "TIMESTAMP" | "TIMESTAMP_TEXT" | "TIMESTAMP WITHOUT TIME ZONE" => {
            Kind::Timestamp
        }
        "TIMESTAMPTZ" | "TIMESTAMPTZ_TEXT" | "TIMESTAMP WITH TIME ZONE" => Kind::TimestampTz,
        "UUID" | "GUID" | "UUID_TEXT" | "UUID_BLOB" => Kind::Uuid,
        "JSON" | "JSONB" | "JSON_TEXT" => Kind::Json,
        "BINARY" | "VARBINARY" | "BYTEA" => Kind::Bytes,
        _ => kind_by_affinity(declared, &arguments),
    }
}

fn kind_by_affinity(declared: &str, arguments: &[u32]) -> Kind {
    match affinity(declared) {
        Affinity::Integer => Kind::Int(IntWidth::I64),
        Affinity::Text => Kind::Text(arguments.first().copied()),
        Affinity::Blob => Kind::Bytes,
        Affinity::Real => Kind::Float,
        Affinity::Numeric => Kind::Any,
    }
}

fn precision(arguments: &[u32]) -> Option<(u16, u16)> {
    let digits = u16::try_from(*arguments.first()?).ok()?;
    let scale = u16::try_from(arguments.get(1).copied().unwrap_or(0)).ok()?;
    (scale <= digits).then_some((digits, scale))
}

/// `Decimal ( 10, 2 )` is `DECIMAL` with 10 and 2; `TIMESTAMP(3) WITH TIME ZONE` keeps its tail.
fn split_type(declared: &str) -> (String, Vec<u32>) {
    let upper = declared.to_ascii_uppercase();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((head, rest)) = upper.split_once('(') else {
        return (words(&upper), Vec::new());
    };
    let (inside, tail) = rest.split_once(')').unwrap_or((rest, ""));
    let arguments = inside.split(',').map_while(|part| part.trim().parse().ok()).collect();
    (words(&format!("{head} {tail}")), arguments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use whimbrel_model::Column;

    const SQLITE: Dialect = Dialect::Sqlite;

    fn table(columns: &[(&str, Kind)], key: &[usize]) -> Table {
        let column = |(name, kind): &(&str, Kind)| Column {
            name: (*name).to_owned(),
            kind: *kind,
            nullable: true,
            has_default: false,
        };
        Table {
            name: "t".to_owned(),
            columns: columns.iter().map(column).collect(),
            key: key.to_vec(),
        }
    }

    #[test]
    fn every_written_type_reads_back_as_its_kind() {
        for name in Kind::NAMES {
            let spelled = name.replace("(p,s)", "(10,2)").replace("(n)", "(40)");
            let kind = Kind::parse(&spelled).unwrap();
            assert_eq!(SQLITE.kind_of(&SQLITE.declared(kind)), kind, "{name}");
        }
    }

    #[test]
    fn a_written_type_does_not_change_values_of_its_kind() {
        assert_eq!(affinity(&SQLITE.declared(Kind::Decimal(Some((10, 2))))), Affinity::Text);
        assert_eq!(affinity(&SQLITE.declared(Kind::Json)), Affinity::Text);
        assert_eq!(affinity(&SQLITE.declared(Kind::Int(IntWidth::U64))), Affinity::Text);
        assert_eq!(affinity(&SQLITE.declared(Kind::Int(IntWidth::I128))), Affinity::Text);
        assert_eq!(affinity(&SQLITE.declared(Kind::Float)), Affinity::Real);
        assert_eq!(affinity(&SQLITE.declared(Kind::Any)), Affinity::Blob);
    }

    #[test]
    fn declared_types_of_other_schemas_are_understood() {
        let check =
            |declared: &str, kind: Kind| assert_eq!(SQLITE.kind_of(declared), kind, "{declared}");
        check("integer", Kind::Int(IntWidth::I64));
        check("UNSIGNED BIG INT", Kind::Int(IntWidth::I64));
        check("VARCHAR(255)", Kind::Text(Some(255)));
        check("character varying (20)", Kind::Text(Some(20)));
        check("double precision", Kind::Float);
        check("Numeric ( 12 , 4 )", Kind::Decimal(Some((12, 4))));
        check("TIMESTAMP(3) WITH TIME ZONE", Kind::TimestampTz);
        check("STRING", Kind::Any);
        check("FLOATING POINT", Kind::Int(IntWidth::I64));
    }

    #[test]
    fn odd_names_stay_names() {
        assert_eq!(SQLITE.quote("a`b; DROP TABLE t"), "`a``b; DROP TABLE t`");
    }

    #[test]
    fn a_query_binds_its_values() {
        let query = Query::table("t", &["a"])
            .is("a", "x")
            .that("b", Operator::In, vec![Value::Int(1), Value::Null])
            .by("a", Order::Falling)
            .at_most(5);
        let statement = SQLITE.select(&query);
        assert_eq!(
            statement.sql,
            "SELECT `a` FROM `t` WHERE `a` COLLATE BINARY IS ?1 AND \
             (`b` COLLATE BINARY IN (SELECT value FROM rarray(?2)) OR `b` COLLATE BINARY IS NULL) \
             ORDER BY `a` COLLATE BINARY DESC LIMIT ?3"
        );
        assert_eq!(statement.binds.len(), 3);
    }

    #[test]
    fn an_update_names_the_key_last() {
        let table = table(&[("k", Kind::Text(None)), ("a", Kind::Any), ("b", Kind::Any)], &[0]);
        assert_eq!(
            SQLITE.update(&table),
            "UPDATE OR ABORT `t` SET `a` = ?1, `b` = ?2 WHERE `k` = ?3"
        );
    }

    #[test]
    fn a_created_table_requires_its_key() {
        let table = table(&[("k", Kind::Uuid), ("a", Kind::Any)], &[0]);
        assert_eq!(
            SQLITE.create_table(&table),
            "CREATE TABLE \"t\" (\n    \"k\" UUID_TEXT NOT NULL,\n    \"a\",\n    PRIMARY KEY (\"k\")\n)"
        );
    }
}

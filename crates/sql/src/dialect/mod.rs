//! Words: how an engine spells names, types and the few statements that bookkeeping and loading
//! need. Pure: it knows no connection and no driver. Values never enter the text of a statement;
//! they are bound.

pub(crate) mod mysql;
pub(crate) mod postgres;
pub(crate) mod sqlite;

use std::borrow::Cow;

use whimbrel_endpoint::{Condition, Operator, Order, Query};
use whimbrel_model::{Kind, Table, Value, catalogue};

pub use sqlite::Affinity;
pub(crate) use sqlite::affinity;

/// The engine whose words are meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// SQLite 3.
    Sqlite,
    /// PostgreSQL, 14 and newer.
    Postgres,
    /// MariaDB 10.6 and newer, MySQL 8.
    Mysql,
}

/// What every name of a ledger's table begins with; PostgreSQL has a schema for them instead.
const LEDGER: &str = "whimbrel_";

/// The ledger's tables, and its view, on every engine.
const LEDGER_TABLES: &[&str] = &[
    "archive",
    "audit_log",
    "data_integrity_checks",
    "lease",
    "legacy_mappings",
    "meta",
    "migration_batches",
    "migration_checkpoints",
    "migration_items",
    "migration_rejects",
    "migration_runs",
    "migration_steps",
    "parked_indexes",
    "seen",
    "undo_inserts",
    "undo_updates",
];

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
            Self::Sqlite | Self::Mysql => format!("`{}`", name.replace('`', "``")),
            Self::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }

    /// A name as the standard quotes it, for statements that people will read in the catalogue.
    fn quote_standard(self, name: &str) -> String {
        match self {
            Self::Sqlite | Self::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
            Self::Mysql => self.quote(name),
        }
    }

    /// Schema and name of a table. On servers a dot separates them, see [`catalogue::apart`];
    /// PostgreSQL keeps the ledger in a schema of its own.
    pub fn place(self, table: &str) -> (Option<Cow<'_, str>>, Cow<'_, str>) {
        match self {
            Self::Sqlite => (None, Cow::Borrowed(table)),
            Self::Postgres => match self.ledger_name(table) {
                Some(name) => (Some(Cow::Borrowed("whimbrel")), Cow::Borrowed(name)),
                None => catalogue::apart(table, '"'),
            },
            Self::Mysql => catalogue::apart(table, '`'),
        }
    }

    /// How a plan says a table: the name that [`Dialect::place`] reads.
    pub(crate) fn said(self, schema: Option<&str>, name: &str) -> String {
        match self {
            Self::Sqlite => name.to_owned(),
            Self::Postgres => catalogue::together(schema, name, '"'),
            Self::Mysql => catalogue::together(schema, name, '`'),
        }
    }

    /// The rest of a name that is a ledger's: others may begin alike.
    fn ledger_name(self, table: &str) -> Option<&str> {
        let name = table.strip_prefix(LEDGER)?;
        let is_own = match self {
            Self::Sqlite | Self::Postgres => name == "migration_log",
            Self::Mysql => name == "definitions",
        };
        (is_own || LEDGER_TABLES.contains(&name)).then_some(name)
    }

    /// True for names of tables that Whimbrel keeps its ledger in.
    pub(crate) fn is_ledger(self, table: &str) -> bool {
        self.ledger_name(table).is_some()
    }

    /// A table as an identifier, with its schema where it is given.
    pub fn table(self, table: &str) -> String {
        match self.place(table) {
            (Some(schema), name) => format!("{}.{}", self.quote(&schema), self.quote(&name)),
            (None, name) => self.quote(&name),
        }
    }

    /// The placeholder of the bind with this number, from 1. MySQL's have no number: binds stand in
    /// the order of their placeholders.
    fn placeholder(self, number: usize) -> String {
        match self {
            Self::Sqlite => format!("?{number}"),
            Self::Postgres => format!("${number}"),
            Self::Mysql => "?".to_owned(),
        }
    }

    /// Rows of a table: filtered, ordered, bounded. Text is compared by its bytes; `is_text` tells
    /// of which columns servers must be asked for that.
    pub fn select(self, query: &Query, is_text: &dyn Fn(&str) -> bool) -> Statement {
        let columns = self.list(query.columns.iter().map(String::as_str));
        let mut sql = format!("SELECT {columns} FROM {}", self.table(&query.table));
        let mut binds = Vec::new();
        self.filter(&query.conditions, is_text, &mut sql, &mut binds);
        if !query.order.is_empty() {
            let terms: Vec<String> = query
                .order
                .iter()
                .map(|(column, order)| self.order(column, is_text(column), *order))
                .collect();
            sql.push_str(" ORDER BY ");
            sql.push_str(&terms.join(", "));
        }
        if let Some(limit) = query.limit {
            binds.push(Bind::One(Value::Int(limit.min(i64::MAX as u64).into())));
            sql.push_str(" LIMIT ");
            sql.push_str(&self.placeholder(binds.len()));
        }
        Statement { sql, binds }
    }

    /// Deletes the rows that a query's conditions select; its order and limit play no part.
    pub fn delete(self, query: &Query, is_text: &dyn Fn(&str) -> bool) -> Statement {
        let mut sql = format!("DELETE FROM {}", self.table(&query.table));
        let mut binds = Vec::new();
        self.filter(&query.conditions, is_text, &mut sql, &mut binds);
        Statement { sql, binds }
    }

    /// Inserts so many rows: placeholders row by row, in the order of the table's columns.
    ///
    /// On SQLite, `OR ABORT` overrides `ON CONFLICT` clauses that the table's own columns may
    /// carry: none of them deletes or skips a row behind our back. MySQL has no clause that skips a
    /// taken key and nothing else (`INSERT IGNORE` also bends values): there [`Taken::Skip`] fails
    /// on it like [`Taken::Impossible`].
    pub fn insert(self, table: &Table, taken: Taken, rows: usize) -> String {
        let columns = self.list(table.columns.iter().map(|column| column.name.as_str()));
        let width = table.columns.len();
        let tuples: Vec<String> = (0..rows)
            .map(|row| format!("({})", self.placeholders(row * width + 1, width)))
            .collect();
        let into = self.table(&table.name);
        let key = self.list(key_names(table));
        let verb = match self {
            Self::Sqlite => "INSERT OR ABORT INTO",
            Self::Postgres | Self::Mysql => "INSERT INTO",
        };
        let insert = format!("{verb} {into} ({columns}) VALUES {}", tuples.join(", "));
        let all_key = table.key.len() == table.columns.len();
        match (taken, self) {
            (Taken::Impossible, _) | (Taken::Skip, Self::Mysql) => insert,
            (Taken::Skip, Self::Sqlite | Self::Postgres) => {
                format!("{insert} ON CONFLICT ({key}) DO NOTHING")
            }
            (Taken::Overwrite, Self::Sqlite | Self::Postgres) if all_key => {
                format!("{insert} ON CONFLICT ({key}) DO NOTHING")
            }
            (Taken::Overwrite, Self::Sqlite | Self::Postgres) => {
                let excluded =
                    |name: &str| format!("{name} = excluded.{name}", name = self.quote(name));
                let sets: Vec<String> = rest_names(table).map(excluded).collect();
                format!("{insert} ON CONFLICT ({key}) DO UPDATE SET {}", sets.join(", "))
            }
            (Taken::Overwrite, Self::Mysql) => {
                let given =
                    |name: &str| format!("{name} = VALUES({name})", name = self.quote(name));
                let sets: Vec<String> = if all_key {
                    key_names(table).take(1).map(given).collect()
                } else {
                    rest_names(table).map(given).collect()
                };
                format!("{insert} ON DUPLICATE KEY UPDATE {}", sets.join(", "))
            }
        }
    }

    /// All columns of the row under a key.
    pub fn read(self, table: &Table) -> String {
        let columns = self.list(table.columns.iter().map(|column| column.name.as_str()));
        format!("SELECT {columns} FROM {} WHERE {}", self.table(&table.name), self.by_key(table, 1))
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
            .map(|(index, name)| format!("{} = {}", self.quote(name), self.placeholder(index + 1)))
            .collect();
        let verb = match self {
            Self::Sqlite => "UPDATE OR ABORT",
            Self::Postgres | Self::Mysql => "UPDATE",
        };
        format!(
            "{verb} {} SET {} WHERE {}",
            self.table(&table.name),
            sets.join(", "),
            self.by_key(table, first)
        )
    }

    /// Deletes the row under a key.
    pub fn remove(self, table: &Table) -> String {
        format!("DELETE FROM {} WHERE {}", self.table(&table.name), self.by_key(table, 1))
    }

    /// Creates a table that holds every value of its kinds unaltered.
    pub fn create_table(self, table: &Table) -> String {
        let mut lines: Vec<String> = table
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| {
                if self == Self::Mysql {
                    let name = self.quote(&column.name);
                    return format!("    {name} {}", mysql::created(table, index));
                }
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
        let name = match self.place(&table.name) {
            (Some(schema), name) => {
                format!("{}.{}", self.quote_standard(&schema), self.quote_standard(&name))
            }
            (None, name) => self.quote_standard(&name),
        };
        let options = match self {
            Self::Sqlite | Self::Postgres => "",
            Self::Mysql => {
                " ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_nopad_bin \
                 ROW_FORMAT = DYNAMIC"
            }
        };
        format!("CREATE TABLE {name} (\n{}\n){options}", lines.join(",\n"))
    }

    /// The declared type of a column of this kind.
    pub fn declared(self, kind: Kind) -> String {
        match self {
            Self::Sqlite => sqlite::declared(kind),
            Self::Postgres => postgres::declared(kind),
            Self::Mysql => mysql::declared(kind),
        }
    }

    /// The kind that a declared type means; see the table of the engine's module.
    pub fn kind_of(self, declared: &str) -> Kind {
        match self {
            Self::Sqlite => sqlite::kind_of(declared),
            Self::Postgres => postgres::kind_of(declared),
            Self::Mysql => mysql::kind_of(declared),
        }
    }

    fn list<'a>(self, names: impl Iterator<Item = &'a str>) -> String {
        names.map(|name| self.quote(name)).collect::<Vec<_>>().join(", ")
    }

    fn by_key(self, table: &Table, first: usize) -> String {
        let terms: Vec<String> = key_names(table)
            .enumerate()
            .map(|(index, name)| {
                format!("{} = {}", self.quote(name), self.placeholder(first + index))
            })
            .collect();
        terms.join(" AND ")
    }

    fn order(self, column: &str, is_text: bool, order: Order) -> String {
        let column = self.bytewise(column, is_text);
        match (order, self) {
            (Order::Rising, Self::Sqlite | Self::Mysql) => format!("{column} ASC"),
            (Order::Falling, Self::Sqlite | Self::Mysql) => format!("{column} DESC"),
            (Order::Rising, Self::Postgres) => format!("{column} ASC NULLS FIRST"),
            (Order::Falling, Self::Postgres) => format!("{column} DESC NULLS LAST"),
        }
    }

    /// A column as it is compared: text by its bytes, whatever its collation.
    fn bytewise(self, column: &str, is_text: bool) -> String {
        let column = self.quote(column);
        match self {
            Self::Sqlite => format!("{column} COLLATE BINARY"),
            Self::Postgres if is_text => format!("{column} COLLATE \"C\""),
            Self::Mysql if is_text => format!("CAST({column} AS BINARY)"),
            Self::Postgres | Self::Mysql => column,
        }
    }

    fn filter(
        self,
        conditions: &[Condition],
        is_text: &dyn Fn(&str) -> bool,
        sql: &mut String,
        binds: &mut Vec<Bind>,
    ) {
        for (index, condition) in conditions.iter().enumerate() {
            sql.push_str(if index == 0 { " WHERE " } else { " AND " });
            let is_text = is_text(&condition.column);
            sql.push_str(&self.condition(condition, is_text, binds));
        }
    }

    fn condition(self, condition: &Condition, is_text: bool, binds: &mut Vec<Bind>) -> String {
        let column = self.bytewise(&condition.column, is_text);
        let value = condition.values.first().cloned().unwrap_or(Value::Null);
        let operator = match (condition.operator, self) {
            (Operator::In, _) => return self.one_of(&column, condition, binds),
            (Operator::Is, Self::Sqlite) => "IS",
            (Operator::IsNot, Self::Sqlite) => "IS NOT",
            // Servers use an index only for `=`.
            (Operator::Is, _) if value.as_ref().is_null() => return format!("{column} IS NULL"),
            (Operator::Is, Self::Postgres | Self::Mysql) => "=",
            (Operator::IsNot, _) if value.as_ref().is_null() => {
                return format!("{column} IS NOT NULL");
            }
            (Operator::IsNot, Self::Postgres) => "IS DISTINCT FROM",
            (Operator::IsNot, Self::Mysql) => {
                binds.push(Bind::One(value));
                return format!("NOT ({column} <=> {})", self.placeholder(binds.len()));
            }
            (Operator::Above, _) => ">",
            (Operator::AtMost, _) => "<=",
        };
        binds.push(Bind::One(value));
        format!("{column} {operator} {}", self.placeholder(binds.len()))
    }

    fn one_of(self, column: &str, condition: &Condition, binds: &mut Vec<Bind>) -> String {
        let (nulls, values): (Vec<_>, Vec<_>) =
            condition.values.iter().cloned().partition(|value| value.as_ref().is_null());
        let list = match self {
            Self::Sqlite | Self::Postgres => {
                binds.push(Bind::List(values));
                let list = self.placeholder(binds.len());
                match self {
                    Self::Postgres => format!("{column} = ANY({list})"),
                    Self::Sqlite | Self::Mysql => {
                        format!("{column} IN (SELECT value FROM rarray({list}))")
                    }
                }
            }
            Self::Mysql if values.is_empty() => "FALSE".to_owned(),
            Self::Mysql if mysql::is_long(&values) => mysql::one_of_many(column, values, binds),
            Self::Mysql => {
                let list = vec!["?"; values.len()].join(", ");
                binds.extend(values.into_iter().map(Bind::One));
                format!("{column} IN ({list})")
            }
        };
        if nulls.is_empty() { list } else { format!("({list} OR {column} IS NULL)") }
    }

    fn placeholders(self, first: usize, count: usize) -> String {
        let numbers = first..first + count;
        numbers.map(|number| self.placeholder(number)).collect::<Vec<_>>().join(", ")
    }
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
    use whimbrel_model::kind::IntWidth;

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

    /// What a schema creates that has a name of its own among tables.
    fn created(schema: &[&str]) -> Vec<String> {
        let lines = schema.iter().flat_map(|sql| sql.lines());
        let named = |line: &str| {
            let rest = line.strip_prefix("CREATE TABLE ").or(line.strip_prefix("CREATE VIEW "))?;
            let rest = rest.strip_prefix("IF NOT EXISTS ").unwrap_or(rest);
            Some(rest.split_whitespace().next()?.replace("whimbrel.", "whimbrel_"))
        };
        lines.filter_map(named).collect()
    }

    macro_rules! schema {
        ($engine:literal) => {
            created(&[
                include_str!(concat!("../../../../migrations/", $engine, "/0001_ledger.sql")),
                include_str!(concat!(
                    "../../../../migrations/",
                    $engine,
                    "/0002_parked_indexes.sql"
                )),
            ])
        };
    }

    #[test]
    fn the_ledgers_names_are_those_of_its_schema_and_no_others() {
        for (dialect, created) in [
            (Dialect::Sqlite, schema!("sqlite")),
            (Dialect::Postgres, schema!("postgres")),
            (Dialect::Mysql, schema!("mysql")),
        ] {
            for name in &created {
                assert!(dialect.is_ledger(name), "{dialect:?} {name}");
            }
            assert_eq!(created.len(), LEDGER_TABLES.len() + 1, "{dialect:?} {created:?}");
            for name in ["whimbrel_birds", "whimbrel_", "migration_runs", "whimbrel_metal"] {
                assert!(!dialect.is_ledger(name), "{dialect:?} {name}");
            }
        }
        assert_eq!(Dialect::Postgres.table("whimbrel_meta"), "\"whimbrel\".\"meta\"");
        assert_eq!(Dialect::Postgres.table("whimbrel_birds"), "\"whimbrel_birds\"");
        assert_eq!(Dialect::Postgres.table("public.whimbrel_meta"), "\"public\".\"whimbrel_meta\"");
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
        let statement = SQLITE.select(&query, &|_| false);
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

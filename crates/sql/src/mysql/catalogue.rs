//! What a database says of its tables: the columns that rows can carry, what each holds, and what
//! makes rows unique.

use whimbrel_endpoint::{EndpointError, ErrorClass};
use whimbrel_model::{Column, Kind, Table};

use super::decode;
use super::encode::{Charset, Param, Shape, Slot};
use super::session::{Session, bound};
use crate::codes;
use crate::dialect::Dialect;
use crate::dialect::mysql::{noted_kind, parts};
use crate::shown::Shown;
use crate::words::{self, Spelled, Spelt};

const WORDS: Dialect = Dialect::Mysql;

/// What stands under a name.
pub(crate) enum Named {
    Nothing,
    Table(Facts),
    /// A view, a sequence; the word for it.
    Else(String),
}

/// A table as the catalogue has it.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) name: String,
    pub(crate) engine: String,
    columns: Vec<Described>,
    /// Names of the columns of each unique index; the primary key first.
    pub(crate) unique: Vec<Unique>,
    pub(crate) triggers: u64,
}

/// An index that makes rows unique.
#[derive(Clone, Debug)]
pub(crate) struct Unique {
    pub(crate) name: String,
    /// Its columns, lower-case.
    columns: Vec<String>,
    /// It holds whole columns, not their beginnings.
    whole: bool,
}

#[derive(Clone, Debug)]
struct Described {
    name: String,
    slot: Slot,
    nullable: bool,
    has_default: bool,
    counts: bool,
    /// Text whose collation is not by bytes.
    collated: bool,
    /// The server sets it to the time of each change.
    renews: bool,
}

impl Facts {
    /// The table as rows are written to it.
    pub(crate) fn table(&self) -> Table {
        let columns = self.columns.iter().map(|column| Column {
            name: column.name.clone(),
            kind: column.slot.kind,
            nullable: column.nullable,
            has_default: column.has_default,
        });
        let position = |name: &String| {
            self.columns.iter().position(|column| column.name.to_lowercase() == *name)
        };
        let key = self
            .unique
            .first()
            .filter(|unique| unique.name == "PRIMARY" && unique.whole)
            .and_then(|unique| unique.columns.iter().map(position).collect::<Option<Vec<_>>>());
        Table { name: self.name.clone(), columns: columns.collect(), key: key.unwrap_or_default() }
    }

    /// How its rows would be changed by hand.
    pub(crate) fn words(&self, key: &[&str]) -> Spelled {
        if !self.engine.eq_ignore_ascii_case("InnoDB") {
            let why = format!("its engine takes nothing back: {}", self.engine);
            return Spelled::refused(WORDS, &self.name, why);
        }
        let spelt = |column: &Described| {
            Spelt::Mysql(words::Mysql { slot: column.slot.clone(), renews: column.renews })
        };
        let columns = self.columns.iter().map(spelt).collect();
        Spelled::new(WORDS, self.table(), columns, self.unique_by(key).is_some())
    }

    fn column(&self, name: &str) -> Option<&Described> {
        // Names of columns have no case.
        let lower = name.to_lowercase();
        self.columns.iter().find(|column| column.name.to_lowercase() == lower)
    }

    /// How values of a column are written; its kind is the caller's.
    pub(crate) fn slot(&self, name: &str, kind: Kind) -> Option<Slot> {
        self.column(name).map(|column| Slot { kind, ..column.slot.clone() })
    }

    /// The kind of a column; of one that is not there any.
    pub(crate) fn kind(&self, name: &str) -> Kind {
        self.column(name).map_or(Kind::Any, |column| column.slot.kind)
    }

    /// Whether text of this column is compared by its letters.
    pub(crate) fn is_collated(&self, name: &str) -> bool {
        self.column(name).is_some_and(|column| column.collated)
    }

    /// The name of an index that makes exactly these columns unique.
    pub(crate) fn unique_by(&self, key: &[&str]) -> Option<&str> {
        let mut wanted: Vec<String> = key.iter().map(|name| name.to_lowercase()).collect();
        wanted.sort_unstable();
        let found = self.unique.iter().find(|unique| {
            let mut columns = unique.columns.clone();
            columns.sort_unstable();
            unique.whole && columns == wanted
        })?;
        Some(&found.name)
    }

    /// The column that counts by itself.
    pub(crate) fn counter(&self) -> Option<&str> {
        self.columns.iter().find(|column| column.counts).map(|column| column.name.as_str())
    }
}

/// What stands under this name.
pub(crate) async fn named(session: &mut Session, table: &str) -> Result<Named, sqlx::Error> {
    let place = || place(table);
    let rows = session
        .rows(
            "SELECT table_name, table_type, engine FROM information_schema.tables \
             WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ?",
            place(),
        )
        .await?;
    let text = |row, index| decode::text(row, index).unwrap_or_default();
    let found = rows.iter().find(|row| session.server.folds_names || exact(table, &text(*row, 0)));
    let Some(row) = found else { return Ok(Named::Nothing) };
    let (kind, engine) = (text(row, 1), text(row, 2));
    if kind != "BASE TABLE" && kind != "SYSTEM VERSIONED" {
        return Ok(Named::Else(kind.to_lowercase()));
    }
    let columns = session
        .rows(
            "SELECT column_name, column_type, is_nullable, column_default, extra, \
                    character_set_name, collation_name, character_maximum_length, \
                    character_octet_length, column_comment, generation_expression \
             FROM information_schema.columns \
             WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? \
             ORDER BY ordinal_position",
            place(),
        )
        .await?;
    let checked = documents(session, table).await?;
    let columns = columns.iter().filter(|row| text(*row, 10).is_empty()).map(|row| {
        let name = text(row, 0);
        let is_json = checked.contains(&name);
        described(row, name, is_json)
    });
    let columns = columns.collect();
    Ok(Named::Table(Facts {
        name: table.to_owned(),
        engine,
        columns,
        unique: unique(session, table).await?,
        triggers: session
            .number(
                "SELECT COUNT(*) FROM information_schema.triggers \
                 WHERE event_object_schema = COALESCE(?, DATABASE()) AND event_object_table = ?",
                place(),
            )
            .await?
            .unwrap_or(0) as u64,
    }))
}

/// The facts of a table that must be there.
pub(crate) async fn facts(
    session: &mut Session,
    table: &str,
    shown: &Shown,
) -> Result<Facts, EndpointError> {
    let found = named(session, table).await;
    match found.map_err(|error| super::fault::failed(shown, "read the catalogue", error))? {
        Named::Table(facts) => Ok(facts),
        Named::Else(word) => Err(not_a_table(table, &word)),
        Named::Nothing => {
            let (code, what) = if table.starts_with("whimbrel_") {
                (whimbrel_endpoint::codes::NO_LEDGER, "the ledger is not there, no table")
            } else {
                (whimbrel_endpoint::codes::MISSING, "the target has no such table")
            };
            let what = format!("{what}: `{table}`");
            Err(EndpointError::new(ErrorClass::Configuration, code, what))
        }
    }
}

pub(crate) fn not_a_table(table: &str, word: &str) -> EndpointError {
    EndpointError::new(
        ErrorClass::Configuration,
        codes::NOT_A_TABLE,
        format!("rows cannot be loaded into a {word}: `{table}`"),
    )
}

/// All tables of the session's database, by name.
pub(crate) async fn tables(session: &mut Session) -> Result<Vec<Facts>, sqlx::Error> {
    let rows = session
        .rows(
            "SELECT table_name FROM information_schema.tables \
             WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' ORDER BY table_name",
            super::session::none(),
        )
        .await?;
    let mut tables = Vec::new();
    for row in &rows {
        let name = decode::text(row, 0).unwrap_or_default();
        if let Named::Table(facts) = named(session, &name).await? {
            tables.push(facts);
        }
    }
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tables)
}

/// True where a table or anything else has this name.
pub(crate) async fn exists(session: &mut Session, table: &str) -> Result<bool, sqlx::Error> {
    Ok(!matches!(named(session, table).await?, Named::Nothing))
}

fn exact(table: &str, found: &str) -> bool {
    WORDS.place(table).1 == found
}

/// The schema and name of a table, as arguments.
pub(crate) fn place(table: &str) -> sqlx::mysql::MySqlArguments {
    let (schema, name) = WORDS.place(table);
    bound([schema.as_deref().map_or(Param::Null, Param::Text), Param::Text(&name)])
}

/// MariaDB's JSON is text with a check; MySQL has a type of its own.
async fn documents(session: &mut Session, table: &str) -> Result<Vec<String>, sqlx::Error> {
    if !session.server.mariadb {
        return Ok(Vec::new());
    }
    let rows = session
        .rows(
            "SELECT check_clause FROM information_schema.check_constraints \
             WHERE constraint_schema = COALESCE(?, DATABASE()) AND table_name = ?",
            place(table),
        )
        .await?;
    let column = |clause: String| {
        let name = clause.strip_prefix("json_valid(`")?.strip_suffix("`)")?.to_owned();
        Some(name.replace("``", "`"))
    };
    Ok(rows.iter().filter_map(|row| decode::text(row, 0).and_then(column)).collect())
}

async fn unique(session: &mut Session, table: &str) -> Result<Vec<Unique>, sqlx::Error> {
    let rows = session
        .rows(
            "SELECT index_name, column_name, sub_part FROM information_schema.statistics \
             WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? AND non_unique = 0 \
             ORDER BY index_name, seq_in_index",
            place(table),
        )
        .await?;
    let mut found: Vec<Unique> = Vec::new();
    for row in &rows {
        let name = decode::text(row, 0).unwrap_or_default();
        if found.last().is_none_or(|last| last.name != name) {
            found.push(Unique { name, columns: Vec::new(), whole: true });
        }
        let last = found.last_mut().expect("one was pushed above");
        match decode::text(row, 1) {
            Some(column) => last.columns.push(column.to_lowercase()),
            // An index of an expression.
            None => last.whole = false,
        }
        last.whole &= decode::raw(row, 2).is_none();
    }
    found.sort_by_key(|unique| unique.name != "PRIMARY");
    Ok(found)
}

fn described(row: &sqlx::mysql::MySqlRow, name: String, is_json: bool) -> Described {
    let text = |index| decode::text(row, index);
    let declared = text(1).unwrap_or_default();
    let nullable = text(2).as_deref() == Some("YES");
    let extra = text(4).unwrap_or_default().to_ascii_lowercase();
    let counts = extra.contains("auto_increment");
    let noted = text(9).and_then(|comment| noted_kind(&comment));
    let kind = match noted {
        Some(kind) => kind,
        None if is_json => Kind::Json,
        None => WORDS.kind_of(&declared),
    };
    let length = |index| decode::integer(row, index).and_then(|length| u64::try_from(length).ok());
    let shape = if is_json {
        Shape::Json
    } else {
        shape(&declared, text(5).as_deref(), length(7), length(8))
    };
    let collated =
        matches!(shape, Shape::Text { .. } | Shape::Enum(_) | Shape::Set(_) | Shape::Json)
            && !text(6).is_some_and(|name| {
                matches!(name.as_str(), "utf8mb4_nopad_bin" | "utf8mb4_0900_bin")
            });
    Described {
        name,
        slot: Slot { kind, shape, required: !nullable },
        nullable,
        // MariaDB spells the absence of a default for a column that may be NULL as `NULL`.
        has_default: counts || text(3).is_some_and(|default| default != "NULL"),
        counts,
        collated,
        renews: extra.contains("on update"),
    }
}

/// What a declared type holds. Lengths are the catalogue's, in characters and bytes.
fn shape(declared: &str, charset: Option<&str>, chars: Option<u64>, bytes: Option<u64>) -> Shape {
    let (name, arguments) = parts(declared);
    let unsigned = declared.to_ascii_lowercase().contains("unsigned");
    let first = arguments.first().copied();
    let int = |bits: u32| {
        let (least, most) = if unsigned {
            (0, (1 << bits) - 1)
        } else {
            (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1)
        };
        Shape::Int { least, most }
    };
    let charset = match charset {
        Some("utf8mb4") => Charset::Utf8mb4,
        Some("utf8" | "utf8mb3") => Charset::Utf8mb3,
        Some("ascii") => Charset::Ascii,
        Some(_) | None => Charset::Else,
    };
    // Bytes of other character sets are not ours to count; the server does, and refuses.
    let bytes_max = if charset == Charset::Else { u64::MAX } else { bytes.unwrap_or(0) };
    let text =
        |padded| Shape::Text { chars: chars.unwrap_or(0), bytes: bytes_max, charset, padded };
    let binary = |padded| Shape::Bytes { most: bytes.or(chars).unwrap_or(0), padded };
    match name.as_str() {
        "TINYINT" => int(8),
        "SMALLINT" => int(16),
        "MEDIUMINT" => int(24),
        "INT" | "INTEGER" => int(32),
        "BIGINT" => int(64),
        "YEAR" => Shape::Year,
        "BIT" => Shape::Bit { bits: first.unwrap_or(1) },
        "DECIMAL" | "NUMERIC" => Shape::Decimal {
            digits: first.unwrap_or(10),
            scale: arguments.get(1).copied().unwrap_or(0),
            unsigned,
        },
        // `FLOAT(7,2)` rounds in silence: it is taken for what it is, a decimal.
        "FLOAT" | "DOUBLE" if arguments.len() == 2 => Shape::Opaque(declared.to_owned()),
        "FLOAT" => Shape::Double { single: true, unsigned },
        "DOUBLE" => Shape::Double { single: false, unsigned },
        "CHAR" => text(true),
        "VARCHAR" | "TINYTEXT" | "TEXT" | "MEDIUMTEXT" | "LONGTEXT" => text(false),
        "BINARY" => binary(true),
        "VARBINARY" | "TINYBLOB" | "BLOB" | "MEDIUMBLOB" | "LONGBLOB" => binary(false),
        "ENUM" => Shape::Enum(labels(declared)),
        "SET" => Shape::Set(labels(declared)),
        "DATE" => Shape::Date,
        "TIME" => Shape::Time { digits: first.unwrap_or(0) },
        "DATETIME" => Shape::DateTime { digits: first.unwrap_or(0) },
        "TIMESTAMP" => Shape::Instant { digits: first.unwrap_or(0) },
        "UUID" => Shape::Uuid,
        "INET4" => Shape::Inet { six: false },
        "INET6" => Shape::Inet { six: true },
        "JSON" => Shape::Json,
        _ => Shape::Opaque(declared.to_owned()),
    }
}

/// `enum('a','b''c')`: a and b'c.
fn labels(declared: &str) -> Vec<String> {
    let mut labels = Vec::new();
    let mut rest = declared.split_once('(').map_or("", |(_, rest)| rest);
    while let Some(quoted) = rest.trim_start_matches(',').strip_prefix('\'') {
        let mut label = String::new();
        let mut at = 0;
        let bytes = quoted.as_bytes();
        loop {
            let Some(end) = quoted[at..].find('\'').map(|end| at + end) else {
                return labels;
            };
            label.push_str(&quoted[at..end]);
            if bytes.get(end + 1) == Some(&b'\'') {
                label.push('\'');
                at = end + 2;
            } else {
                rest = &quoted[end + 1..];
                break;
            }
        }
        labels.push(label);
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_unquoted() {
        assert_eq!(labels("enum('a','b''c','','d,e')"), ["a", "b'c", "", "d,e"]);
        assert!(labels("int").is_empty());
    }

    #[test]
    fn declared_types_have_ranges() {
        let check = |declared, expected| assert_eq!(shape(declared, None, None, None), expected);
        check("tinyint(3) unsigned", Shape::Int { least: 0, most: 255 });
        check("mediumint(9)", Shape::Int { least: -8_388_608, most: 8_388_607 });
        check("bigint(20) unsigned zerofill", Shape::Int { least: 0, most: u64::MAX.into() });
        check("decimal(10,2)", Shape::Decimal { digits: 10, scale: 2, unsigned: false });
        check("bit(9)", Shape::Bit { bits: 9 });
        check("datetime(3)", Shape::DateTime { digits: 3 });
        check("time", Shape::Time { digits: 0 });
    }
}

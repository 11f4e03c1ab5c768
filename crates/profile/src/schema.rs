//! CREATE TABLE statements for people to read and change, in the words of each engine.
//!
//! The caller says how the engine spells a kind; what an engine's indexes, keys and rows allow is
//! known here. What cannot be written is left out with a note, never bent.

use std::collections::BTreeSet;

use whimbrel_model::Kind;
use whimbrel_model::kind::IntWidth;

use crate::kept;
use crate::names;
use crate::shown;

/// The engine of a target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MariaDB and MySQL.
    Mysql,
}

/// The engine whose words are written, and how it spells the type of a kind.
#[derive(Clone, Copy)]
pub struct Words<'a> {
    /// The engine.
    pub engine: Engine,
    /// The declared type of a column of this kind.
    pub declared: &'a dyn Fn(Kind) -> String,
    /// The kind that a declared type is read back as.
    pub kind_of: &'a dyn Fn(&str) -> Kind,
}

/// A table to be made.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct NewTable {
    /// Its name.
    pub name: String,
    /// Lines above it.
    pub above: Vec<String>,
    /// Its columns.
    pub columns: Vec<NewColumn>,
    /// Columns of its key.
    pub key: Vec<String>,
    /// Further unique keys.
    pub uniques: Vec<Vec<String>>,
    /// References to tables that stand before it.
    pub references: Vec<NewReference>,
}

/// A column to be made.
#[derive(Clone, PartialEq, Debug)]
pub struct NewColumn {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// True where NULL is refused.
    pub required: bool,
    /// True where the engine is to count where a row says nothing.
    pub counts: bool,
    /// Most characters of a text found.
    pub chars_max: Option<u64>,
    /// What the line ends with, as a comment.
    pub from: String,
}

/// A reference to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewReference {
    /// Its columns.
    pub columns: Vec<String>,
    /// The table that they lead to.
    pub parent: String,
    /// The columns there.
    pub parent_columns: Vec<String>,
}

/// Statements, and what they leave out.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Written {
    /// The statements.
    pub sql: String,
    /// What was left out, and why: a sentence each.
    pub notes: Vec<String>,
}

/// Bytes of an InnoDB index; a character takes four.
const INDEX_BYTES_MAX: u32 = 3_072;
/// Bytes of a MySQL row that its `varchar`s may take, with room for the other columns.
const ROW_BYTES_MAX: u32 = 48_000;
/// Bytes of an InnoDB row that stand in its page, with room for what else is kept of it.
const PAGE_BYTES_MAX: u32 = 7_800;
/// A column of more bytes may stand elsewhere, and takes so many in the page then.
const PAGE_BYTES: u32 = 255;
const OUT_OF_PAGE: u32 = 40;
/// Bytes of a key column of bytes.
const KEY_BYTES: u32 = 512;

impl Engine {
    /// The engine of a URL's scheme; `None` for schemes that name none.
    pub fn of_scheme(scheme: &str) -> Option<Self> {
        match scheme {
            "sqlite" => Some(Self::Sqlite),
            "postgres" | "postgresql" => Some(Self::Postgres),
            "mysql" | "mariadb" => Some(Self::Mysql),
            _ => None,
        }
    }

    /// The name in plans and of the schema's folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
        }
    }

    /// As people call it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::Mysql => "MySQL",
        }
    }

    /// A name in a statement; bare where everybody may read it so.
    pub fn quote(self, name: &str) -> String {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let bare = name.chars().all(plain)
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && !name.is_empty()
            && !names::is_keyword(name);
        match self {
            Self::Sqlite if bare => name.to_owned(),
            Self::Sqlite | Self::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
            Self::Mysql => format!("`{}`", name.replace('`', "``")),
        }
    }

    /// Names in a statement, in brackets.
    pub fn list(self, names: &[String]) -> String {
        let quoted: Vec<String> = names.iter().map(|name| self.quote(name)).collect();
        format!("({})", quoted.join(", "))
    }

    /// The longest name, in bytes.
    pub fn name_bytes_max(self) -> usize {
        match self {
            Self::Sqlite => usize::MAX,
            Self::Postgres => 63,
            Self::Mysql => 64,
        }
    }
}

/// The tables, in their order.
pub fn write(tables: &[NewTable], words: Words<'_>) -> Written {
    let mut written = Written::default();
    let mut taken = BTreeSet::new();
    for table in tables {
        let writer = Writer { table, tables, words };
        writer.write(&mut written, &mut taken);
    }
    written
}

struct Writer<'a> {
    table: &'a NewTable,
    tables: &'a [NewTable],
    words: Words<'a>,
}

impl Writer<'_> {
    /// `taken` holds the names of references: those of one database are of different names.
    fn write(&self, out: &mut Written, taken: &mut BTreeSet<Vec<u8>>) {
        let engine = self.words.engine;
        let roomy = self.out_of_row();
        let mut lines: Vec<(String, &str)> = Vec::new();
        for column in &self.table.columns {
            let declared = self.declared(column, roomy.contains(&column.name), &mut out.notes);
            let space = if declared.is_empty() { "" } else { " " };
            let rest = self.rest(column) + &self.remark(column, &declared);
            let line = format!("{}{space}{declared}{rest}", engine.quote(&column.name));
            lines.push((line, &column.from));
        }
        if !self.table.key.is_empty() {
            let named = self.named("pkey");
            lines.push((format!("{named}PRIMARY KEY {}", engine.list(&self.table.key)), ""));
        }
        for unique in &self.table.uniques {
            let named = self.named(&format!("{}_key", unique.join("_")));
            lines.push((format!("{named}UNIQUE {}", engine.list(unique)), ""));
        }
        for reference in &self.table.references {
            match self.obstacle(reference) {
                None => {
                    let named = self.reference_named(taken);
                    lines.push((named + &foreign_key(engine, reference), ""));
                }
                Some(why) => out.notes.push(format!(
                    "the reference of `{}` to `{}` is left out: {why}",
                    shown::shown(&self.table.name, 60),
                    shown::shown(&reference.parent, 60)
                )),
            }
        }
        out.sql.push('\n');
        for above in &self.table.above {
            out.sql.push_str(&format!("-- {above}\n"));
        }
        out.sql.push_str(&format!("CREATE TABLE {} (\n", engine.quote(&self.table.name)));
        let last = lines.len().saturating_sub(1);
        for (at, (line, from)) in lines.iter().enumerate() {
            let comma = if at < last { "," } else { "" };
            let from = if from.is_empty() { String::new() } else { format!("  -- {from}") };
            out.sql.push_str(&format!("    {line}{comma}{from}\n"));
        }
        out.sql.push_str(match engine {
            Engine::Sqlite | Engine::Postgres => ");\n",
            // Keys compared by their bytes, as everywhere else.
            Engine::Mysql => {
                ") ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin;\n"
            }
        });
    }

    /// A name of a reference for which MySQL would choose one that it does not take.
    fn reference_named(&self, taken: &mut BTreeSet<Vec<u8>>) -> String {
        let (table, engine) = (&self.table.name, self.words.engine);
        if !kept::names_references(table, engine) {
            return String::new();
        }
        format!("CONSTRAINT {} ", engine.quote(&kept::constraint(table, "_fk", engine, taken)))
    }

    /// A name of a key for which PostgreSQL would choose the name of one of the tables.
    fn named(&self, end: &str) -> String {
        let usual = format!("{}_{end}", self.table.name);
        let is_table = |name: &str| self.tables.iter().any(|table| table.name == name);
        if self.words.engine != Engine::Postgres || !is_table(&usual) {
            return String::new();
        }
        let mut others = (2..u32::MAX).map(|number| format!("{usual}{number}"));
        let free = others.find(|name| !is_table(name));
        format!("CONSTRAINT {} ", self.words.engine.quote(&free.expect("numbers do not end")))
    }

    /// What stands behind the type.
    fn rest(&self, column: &NewColumn) -> String {
        let required = column.required || self.table.key.contains(&column.name);
        let mut rest = String::new();
        if self.is_counter(column) && self.words.engine == Engine::Postgres {
            rest.push_str(" GENERATED BY DEFAULT AS IDENTITY");
        }
        if required {
            rest.push_str(" NOT NULL");
        }
        if self.is_counter(column) && self.words.engine == Engine::Mysql {
            rest.push_str(" AUTO_INCREMENT");
        }
        rest
    }

    /// What tells Whimbrel the kind of a MySQL column whose type alone would mean another.
    fn remark(&self, column: &NewColumn, declared: &str) -> String {
        let told = match (self.words.engine, column.kind) {
            (Engine::Sqlite | Engine::Postgres, _) => false,
            // Their lengths are the engine's; what they hold is text all the same.
            (Engine::Mysql, Kind::Text(_) | Kind::Any | Kind::Bytes | Kind::Decimal(_)) => false,
            // MariaDB's `json` is text with a check, by which it is known.
            (Engine::Mysql, Kind::Json) if declared == "json" => false,
            (Engine::Mysql, kind) => (self.words.kind_of)(declared) != kind,
        };
        if told { format!(" COMMENT 'whimbrel:{}'", column.kind.name()) } else { String::new() }
    }

    /// Whether the engine can count this column: alone in the key, and an integer of its own.
    fn is_counter(&self, column: &NewColumn) -> bool {
        let alone = self.table.key == [column.name.clone()];
        let whole = match self.words.engine {
            Engine::Sqlite | Engine::Postgres => {
                matches!(column.kind, Kind::Int(IntWidth::I16 | IntWidth::I32 | IntWidth::I64))
            }
            Engine::Mysql => matches!(
                column.kind,
                Kind::Int(IntWidth::I16 | IntWidth::I32 | IntWidth::I64 | IntWidth::U64)
            ),
        };
        column.counts && alone && whole
    }

    fn declared(&self, column: &NewColumn, out_of_row: bool, notes: &mut Vec<String>) -> String {
        let plain = (self.words.declared)(column.kind);
        match self.words.engine {
            // Only this word makes a column one that SQLite counts.
            Engine::Sqlite if self.is_counter(column) => "INTEGER".to_owned(),
            Engine::Sqlite | Engine::Postgres => plain,
            Engine::Mysql => match (column.kind, self.room(column)) {
                (Kind::Text(None) | Kind::Any | Kind::Json, Some(room)) => {
                    self.note_long(column, room, notes);
                    format!("varchar({room})")
                }
                (Kind::Text(Some(chars)), Some(room)) if chars > room => {
                    self.note_long(column, room, notes);
                    format!("varchar({room})")
                }
                (Kind::Bytes, Some(_)) => format!("varbinary({KEY_BYTES})"),
                (Kind::Text(Some(_)), None) if out_of_row => "longtext".to_owned(),
                (Kind::Decimal(Some((precision, scale))), _) if precision > 65 || scale > 30 => {
                    notes.push(format!(
                        "`{}` of `{}` has more digits than MySQL keeps: `decimal(65,30)` instead of \
                         `{}`; what does not fit is rejected",
                        shown::shown(&column.name, 60),
                        shown::shown(&self.table.name, 60),
                        column.kind.name()
                    ));
                    (self.words.declared)(Kind::Decimal(None))
                }
                (_, _) => plain,
            },
        }
    }

    fn note_long(&self, column: &NewColumn, room: u32, notes: &mut Vec<String>) {
        if column.chars_max.is_some_and(|chars| chars > u64::from(room)) {
            notes.push(format!(
                "`{}` of `{}` stands in an index, where MySQL has room for {room} characters: records \
                 with longer texts are rejected",
                shown::shown(&column.name, 60),
                shown::shown(&self.table.name, 60)
            ));
        }
    }

    /// Characters that an index leaves to a column; `None` where it stands in none.
    fn room(&self, column: &NewColumn) -> Option<u32> {
        let texts = |names: &[String]| {
            let (mut texts, mut bytes) = (0, 0);
            for name in names {
                match self.index_bytes(name) {
                    Some(fixed) => bytes += fixed,
                    None => texts += 1,
                }
            }
            INDEX_BYTES_MAX.saturating_sub(bytes) / 4 / texts.max(1)
        };
        let own = std::iter::once(&self.table.key)
            .chain(&self.table.uniques)
            .chain(self.table.references.iter().map(|reference| &reference.columns));
        own.filter(|names| names.contains(&column.name)).map(|names| texts(names)).min()
    }

    /// Bytes of a column in an index, at most; `None` where it takes what there is.
    fn index_bytes(&self, name: &str) -> Option<u32> {
        let column = self.table.columns.iter().find(|column| column.name == name)?;
        match column.kind {
            Kind::Text(Some(chars)) if chars <= 40 => Some(chars * 4),
            Kind::Text(_) | Kind::Any | Kind::Json => None,
            Kind::Bytes => Some(KEY_BYTES),
            Kind::Uuid => Some(36 * 4),
            Kind::Decimal(_) | Kind::Int(IntWidth::I128) => Some(32),
            Kind::Bool
            | Kind::Int(_)
            | Kind::Float
            | Kind::Date
            | Kind::Time
            | Kind::Timestamp
            | Kind::TimestampTz => Some(8),
        }
    }

    /// Texts of limited length that a MySQL row has no room for, the longest first.
    fn out_of_row(&self) -> BTreeSet<String> {
        let mut texts: Vec<(u32, &NewColumn)> = self
            .table
            .columns
            .iter()
            .filter(|column| self.room(column).is_none())
            .filter_map(|column| match column.kind {
                Kind::Text(Some(chars)) => Some((chars.saturating_mul(4), column)),
                _ => None,
            })
            .collect();
        texts.sort_by_key(|(bytes, _)| *bytes);
        let held = |column: &NewColumn| match column.kind {
            Kind::Text(Some(chars)) => in_page(chars.saturating_mul(4)),
            _ => self.index_bytes(&column.name).map_or(OUT_OF_PAGE, in_page),
        };
        let (mut row, mut page) = (0_u32, self.table.columns.iter().map(held).sum::<u32>());
        let mut out = BTreeSet::new();
        for (bytes, column) in &texts {
            row = row.saturating_add(*bytes);
            if row > ROW_BYTES_MAX {
                out.insert(column.name.clone());
                page -= in_page(*bytes) - OUT_OF_PAGE.min(in_page(*bytes));
            }
        }
        // What is longer has another place already.
        for (bytes, column) in texts.iter().rev().filter(|(bytes, _)| *bytes <= PAGE_BYTES) {
            if page > PAGE_BYTES_MAX && in_page(*bytes) > OUT_OF_PAGE {
                out.insert(column.name.clone());
                page -= in_page(*bytes) - OUT_OF_PAGE;
            }
        }
        out
    }

    /// Why the engine would not take a reference.
    fn obstacle(&self, reference: &NewReference) -> Option<&'static str> {
        let parent = self.tables.iter().find(|table| table.name == reference.parent)?;
        let unique = parent.key == reference.parent_columns
            || parent.uniques.contains(&reference.parent_columns);
        if !unique {
            return Some("nothing makes the columns that it leads to unique");
        }
        let kind = |table: &NewTable, name: &String| {
            table.columns.iter().find(|column| column.name == *name).map(|column| column.kind)
        };
        let alike = reference
            .columns
            .iter()
            .zip(&reference.parent_columns)
            .all(|(own, other)| self.alike(kind(self.table, own), kind(parent, other)));
        (!alike).then_some("its columns are of other types than those it leads to")
    }

    fn alike(&self, own: Option<Kind>, other: Option<Kind>) -> bool {
        match (self.words.engine, own, other) {
            (Engine::Sqlite, _, _) => true,
            (_, Some(Kind::Text(_) | Kind::Any), Some(Kind::Text(_) | Kind::Any)) => true,
            (
                Engine::Postgres,
                Some(Kind::Int(_) | Kind::Decimal(_)),
                Some(Kind::Int(_) | Kind::Decimal(_)),
            ) => true,
            (_, own, other) => own == other,
        }
    }
}

/// Bytes of a page that a column of so many takes at most, with its length.
fn in_page(bytes: u32) -> u32 {
    if bytes > PAGE_BYTES { OUT_OF_PAGE } else { bytes + 2 }
}

/// `FOREIGN KEY (a) REFERENCES t (b)`.
pub fn foreign_key(engine: Engine, reference: &NewReference) -> String {
    format!(
        "FOREIGN KEY {} REFERENCES {} {}",
        engine.list(&reference.columns),
        engine.quote(&reference.parent),
        engine.list(&reference.parent_columns)
    )
}

//! Old databases with hostile names, in each engine's own words, and what stands in their tables.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use whimbrel_testkit::servers::{self, Database, Server};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Words {
    Sqlite,
    Postgres,
    Mysql,
}

impl Words {
    pub(crate) const ALL: [Self; 3] = [Self::Sqlite, Self::Postgres, Self::Mysql];

    pub(crate) fn quote(self, name: &str) -> String {
        match self {
            Self::Mysql => format!("`{}`", name.replace('`', "``")),
            Self::Sqlite | Self::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }
}

/// A small sequence of numbers: the same for the same seed (SplitMix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }
}

/// A database of a test's own on one of the engines.
pub(crate) enum Place {
    File(PathBuf),
    Server(Database<'static>),
}

impl Place {
    /// An empty one; `None` where there is no such server.
    pub(crate) fn new(words: Words, folder: &Path, hint: &str) -> Option<Self> {
        let on = |server: &'static Server| Self::Server(server.database(hint).unwrap());
        Some(match words {
            Words::Sqlite => Self::File(folder.join(format!("{hint}.db"))),
            Words::Postgres => on(servers::postgres_or_skip()?),
            Words::Mysql => on(servers::mysql_or_skip()?),
        })
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::File(path) => format!("sqlite:{}", path.display()),
            Self::Server(database) => database.url(),
        }
    }

    #[track_caller]
    pub(crate) fn run(&self, sql: &str) {
        match self {
            Self::File(path) => {
                rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
            }
            Self::Server(database) => database.run(sql).unwrap(),
        }
    }

    /// The rows of each query, values as text.
    #[track_caller]
    pub(crate) fn rows(&self, queries: &[String]) -> Vec<Vec<Vec<Option<String>>>> {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        match self {
            Self::File(path) => {
                let connection = rusqlite::Connection::open(path).unwrap();
                queries.iter().map(|query| of_file(&connection, query)).collect()
            }
            Self::Server(database) => {
                let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
                let answers = database.many_rows(&queries).unwrap();
                let row = |row: Vec<Option<Vec<u8>>>| {
                    row.into_iter().map(|value| value.map(text)).collect()
                };
                answers.into_iter().map(|rows| rows.into_iter().map(row).collect()).collect()
            }
        }
    }
}

fn of_file(connection: &rusqlite::Connection, query: &str) -> Vec<Vec<Option<String>>> {
    let mut statement = connection.prepare(query).unwrap();
    let width = statement.column_count();
    let rows = statement.query_map([], |row| {
        let text = |at| {
            row.get::<_, rusqlite::types::Value>(at).map(|value| match value {
                rusqlite::types::Value::Null => None,
                rusqlite::types::Value::Integer(value) => Some(value.to_string()),
                rusqlite::types::Value::Real(value) => Some(value.to_string()),
                rusqlite::types::Value::Text(value) => Some(value),
                rusqlite::types::Value::Blob(value) => Some(String::from_utf8(value).unwrap()),
            })
        };
        (0..width).map(text).collect()
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// Names that have ended a program somewhere.
const HOSTILE: &[&str] = &[
    "/x",
    "/~1x",
    "~",
    "/a~b",
    "a/b",
    "a.b",
    "c d",
    " lead",
    "trail ",
    "a\"b",
    "\"q\"",
    "a`b",
    "`q`",
    "'",
    "it's",
    "back\\slash",
    "\\",
    "new\nline",
    "cr\r\nlf",
    "tab\tx",
    "\u{1}",
    "\u{7f}",
    "100%",
    "%s",
    "$x",
    "${TARGET}",
    "$$",
    "$1",
    "{}",
    "{a}",
    "a;b",
    "--x",
    "/*x*/",
    "*/",
    "#x",
    "#mysql50#x",
    "select",
    "SELECT",
    "order",
    "Name",
    "name",
    "NAME",
    "ctid",
    "xmin",
    "oid",
    "tableoid",
    "cmin",
    "CTID",
    "rowid",
    "_rowid_",
    "legacy_ctid",
    "legacy_row",
    "record.number",
    "😀",
    "😀😀",
    "u1f600",
    "日本",
    "Ä",
    "ä",
    "é",
    "e\u{301}",
    "İ",
    "i",
    "\u{212a}",
    "k",
    "ß",
    "ss",
    "Σ",
    "σ",
    "ς",
    "\u{200b}",
    "\u{feff}",
    "\u{2028}",
    "[x]",
    "[[table]]",
    "?1",
    "?",
    ":p",
    "@v",
    "@@x",
    "a=b",
    "a,b",
    "(x)",
    "*",
    "NULL",
    "null",
    "true",
    "1",
    "007",
    "-",
    "_",
    "=",
    "''",
    "\"\"",
    "``",
    "sqlite_x",
    "whimbrel_meta",
    "whimbrel_x",
    "pg_x",
    "migration_log",
    "json_valid(`x`)",
    "q",
    "t",
    "source",
    "values",
    "excluded",
    "COMMENT",
    "a_2",
    "a",
    "A",
    "DELIMITER",
    "$tag$",
    "x\\",
    "x''y",
    // Longer than 63 bytes, longer than 64 characters, equal up to there.
    "l_________1_________2_________3_________4_________5_________6__",
    "l_________1_________2_________3_________4_________5_________6_a",
    "l_________1_________2_________3_________4_________5_________6_b",
    "l_________1_________2_________3_________4_________5_________6_",
    "L_________1_________2_________3_________4_________5_________6_ab",
    "l_________1_________2_________3_________4_________5_________6_abc",
    "äääääääääääääääääääääääääääääääääääääääää1",
    "äääääääääääääääääääääääääääääääääääääääää2",
    "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!",
];

/// Parts of names that are made up.
const PARTS: &[&str] = &[
    "a",
    "B",
    "ä",
    "İ",
    "日",
    "😀",
    "\"",
    "`",
    "'",
    "\\",
    "\n",
    "\t",
    "/",
    "~",
    "~1",
    ".",
    "$",
    "{",
    "}",
    "%",
    ";",
    "--",
    " ",
    "0",
    "_",
    "e\u{301}",
    "\u{200b}",
    "#",
    "[",
    "]",
    "*",
    "$$",
    "long_long_long_long_long_",
];

/// The hostile names, and as many that are made up.
pub(crate) fn names(dice: &mut Dice) -> Vec<String> {
    let made = |dice: &mut Dice| {
        (0..=dice.below(6)).map(|_| PARTS[dice.below(PARTS.len())]).collect::<String>()
    };
    let mut names: Vec<String> = HOSTILE.iter().map(|name| (*name).to_owned()).collect();
    names.extend((0..40).map(|_| made(dice)));
    names
}

/// Those that an engine takes as names of one table's columns, or of tables.
pub(crate) fn taken(words: Words, names: &[String], is_table: bool) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let system = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];
    let fits = |name: &&String| match words {
        Words::Sqlite => !(is_table && name.to_ascii_lowercase().starts_with("sqlite_")),
        Words::Postgres => name.len() <= 63 && (is_table || !system.contains(&name.as_str())),
        Words::Mysql => {
            let file: usize =
                name.chars().map(|c| if c.is_alphanumeric() && c.is_ascii() { 1 } else { 5 }).sum();
            name.chars().count() <= 64
                && name.chars().all(|c| u32::from(c) < 0x1_0000)
                && !name.ends_with([' ', '\t', '\n', '\r'])
                // MariaDB's client does not send it as it is.
                && !name.contains("\r\n")
                && !(is_table && (file > 240 || name.starts_with("#mysql50#")))
        }
    };
    let ledger = |name: &str| name.starts_with("whimbrel_") || name == "migration_log";
    let folded = |name: &str| match words {
        Words::Sqlite => name.to_ascii_lowercase(),
        Words::Postgres => name.to_owned(),
        Words::Mysql if is_table => name.to_owned(),
        Words::Mysql => name.chars().map(lower).collect(),
    };
    let names = names.iter().filter(|name| !(is_table && ledger(name)));
    names.filter(fits).filter(|name| seen.insert(folded(name))).cloned().collect()
}

/// A letter as MariaDB compares it in names.
fn lower(letter: char) -> char {
    if letter == 'İ' { 'i' } else { letter.to_lowercase().next().unwrap() }
}

/// A table of an old database: its name, and the statement that reads it in the order of its key.
pub(crate) struct OldTable {
    pub(crate) name: String,
    pub(crate) select: String,
    pub(crate) rows: usize,
}

const ROWS: usize = 3;

/// Makes a table of each of so many names, and one with all names for its columns.
pub(crate) fn fill(words: Words, place: &Place, dice: &mut Dice, tables: usize) -> Vec<OldTable> {
    let pool = names(dice);
    let columns = taken(words, &pool, false);
    let mut free = taken(words, &pool, true);
    let mut made: Vec<OldTable> = Vec::new();
    let mut script = String::new();
    let mut parent: Option<(String, String)> = None;
    while made.len() < tables && !free.is_empty() {
        let name = free.remove(dice.below(free.len()));
        let mut left = columns.clone();
        let five: Vec<String> = (0..4).map(|_| left.remove(dice.below(left.len()))).collect();
        script.push_str(&chained(words, &name, &five, parent.as_ref(), made.len()));
        made.push(old_table(words, name.clone(), &five));
        parent = Some((name, five[0].clone()));
    }
    script.push_str(&wide(words, &columns));
    let mut all = vec!["the key".to_owned()];
    all.extend(columns);
    made.push(old_table(words, "the wide one".to_owned(), &all));
    place.run(&script);
    made
}

fn old_table(words: Words, name: String, columns: &[String]) -> OldTable {
    let list: Vec<String> = columns.iter().map(|column| words.quote(column)).collect();
    let select = format!("SELECT {} FROM {} ORDER BY 1", list.join(", "), words.quote(&name));
    OldTable { name, select, rows: ROWS }
}

/// A table with a key, a unique text, a text, and a reference to the table before.
fn chained(
    words: Words,
    name: &str,
    columns: &[String],
    parent: Option<&(String, String)>,
    number: usize,
) -> String {
    let quoted: Vec<String> = columns.iter().map(|column| words.quote(column)).collect();
    let [key, unique, text, up] = quoted.as_slice() else { panic!("four columns") };
    let reference = parent.map_or(String::new(), |(table, key)| {
        // MariaDB would take its own names of references for one where tables differ in case alone.
        let (name, parent, key) = (format!("up_{number}"), words.quote(table), words.quote(key));
        format!(", CONSTRAINT {name} FOREIGN KEY ({up}) REFERENCES {parent} ({key})")
    });
    let table = words.quote(name);
    let rows: Vec<String> = (1..=ROWS)
        .map(|row| {
            let other = ROWS + 1 - row;
            format!("({row}, 'u{number} {row}', 't{number} {row}', {other})")
        })
        .collect();
    format!(
        "CREATE TABLE {table} ({key} int PRIMARY KEY, {unique} varchar(40) UNIQUE, {text} text, \
         {up} int{reference});\nINSERT INTO {table} VALUES {};\n",
        rows.join(", ")
    )
}

fn wide(words: Words, columns: &[String]) -> String {
    // A row of InnoDB has no room for so many short ones.
    let text = if words == Words::Mysql { "text" } else { "varchar(20)" };
    let mut list = vec![format!("{} int PRIMARY KEY", words.quote("the key"))];
    list.extend(columns.iter().map(|column| format!("{} {text}", words.quote(column))));
    let row = |row: usize| {
        let values: Vec<String> = (0..columns.len()).map(|at| format!("'r{row} c{at}'")).collect();
        format!("({row}, {})", values.join(", "))
    };
    let rows: Vec<String> = (1..=ROWS).map(row).collect();
    let table = words.quote("the wide one");
    format!(
        "CREATE TABLE {table} ({});\nINSERT INTO {table} VALUES {};\n",
        list.join(", "),
        rows.join(", ")
    )
}

//! Names of an old database in the new one: kept where its engine takes them, else changed as little
//! as it asks for, and never two alike.

use std::collections::BTreeSet;

use unicode_normalization::char::decompose_canonical;
use whimbrel_model::catalogue;

use crate::schema::Engine;

/// Columns that PostgreSQL has in every table.
const SYSTEM: [&str; 6] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];
/// What table names of the engines' and of Whimbrel's own begin with. The last one is how MySQL names
/// files that it did not name itself.
const KEPT: [&str; 4] = ["sqlite_", "whimbrel_", "pg_", "#mysql50#"];
/// Characters of a MySQL name.
const CHARS_MAX: usize = 64;
/// Bytes of the file that InnoDB names after a table: five for a character that is no plain letter.
const FILE_BYTES_MAX: usize = 240;

/// What a name is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Table,
    Column,
    Constraint,
}

/// The name of a table that `of`, the old engine, calls as the catalogue says.
pub(crate) fn table(said: &str, of: &str, engine: Engine, taken: &mut BTreeSet<Vec<u8>>) -> String {
    let flat = match of {
        "postgres" => flat(said, '"'),
        "mysql" => flat(said, '`'),
        _ => said.to_owned(),
    };
    let flat = flat.replace('.', "_");
    let lower = flat.to_lowercase();
    let kept = KEPT.iter().any(|start| lower.starts_with(start));
    unique(if kept { format!("legacy_{flat}") } else { flat }, "", engine, Of::Table, taken)
}

/// How a plan says a table of the new database: in quotes where the name would mean another one.
pub(crate) fn said(name: &str, engine: Engine) -> String {
    match engine {
        Engine::Sqlite => name.to_owned(),
        Engine::Postgres => catalogue::together(None, name, '"'),
        Engine::Mysql => catalogue::together(None, name, '`'),
    }
}

fn flat(said: &str, quote: char) -> String {
    match catalogue::apart(said, quote) {
        (Some(schema), name) => format!("{schema}_{name}"),
        (None, name) => name.into_owned(),
    }
}

/// The name of a column.
pub(crate) fn column(name: &str, engine: Engine, taken: &mut BTreeSet<Vec<u8>>) -> String {
    let is_system = engine == Engine::Postgres && SYSTEM.contains(&name);
    let name = if is_system { format!("legacy_{name}") } else { name.to_owned() };
    unique(name, "", engine, Of::Column, taken)
}

/// True for tables whose references need names of ours: those that MySQL would give to them,
/// `TABLE_ibfk_1`, are too long, or equal to one of another table.
pub(crate) fn names_references(table: &str, engine: Engine) -> bool {
    let room = CHARS_MAX - "_ibfk_1000".len();
    engine == Engine::Mysql && (table.chars().count() > room || !table.is_ascii())
}

/// The name of a constraint of a table: `TABLE_ref_1`.
pub(crate) fn constraint(
    table: &str,
    end: &str,
    engine: Engine,
    taken: &mut BTreeSet<Vec<u8>>,
) -> String {
    unique(table.to_owned(), end, engine, Of::Constraint, taken)
}

/// The name with its end, and with the first free number behind it.
fn unique(
    name: String,
    end: &str,
    engine: Engine,
    of: Of,
    taken: &mut BTreeSet<Vec<u8>>,
) -> String {
    let name = if name.is_empty() { "unnamed".to_owned() } else { name };
    let first = fitted(&name, end, engine, of);
    if taken.insert(folded(&first, engine, of)) {
        return first;
    }
    let numbered = |number: u64| fitted(&name, &format!("{end}_{number}"), engine, of);
    let free = (2..u64::MAX).map(numbered).find(|name| taken.insert(folded(name, engine, of)));
    free.expect("numbers do not end")
}

/// The beginning of the name for which there is room before `end`, in characters that the engine takes.
fn fitted(name: &str, end: &str, engine: Engine, of: Of) -> String {
    let mut name = if engine == Engine::Mysql { basic(name) } else { name.to_owned() };
    let fits = |name: &str| match engine {
        Engine::Sqlite => true,
        Engine::Postgres => name.len() <= 63,
        Engine::Mysql => {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let file: usize = name.chars().map(|c| if plain(c) { 1 } else { 5 }).sum();
            name.chars().count() <= CHARS_MAX && (of != Of::Table || file <= FILE_BYTES_MAX)
        }
    };
    loop {
        let whole = ended(format!("{name}{end}"), engine);
        if fits(&whole) || name.is_empty() {
            return whole;
        }
        name.pop();
    }
}

/// MySQL's names have no characters past U+FFFF: their numbers stand for them.
fn basic(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for letter in name.chars() {
        match u32::from(letter) {
            number @ 0x1_0000.. => out.push_str(&format!("u{number:x}")),
            _ => out.push(letter),
        }
    }
    out
}

/// MySQL's names do not end with a blank.
fn ended(mut name: String, engine: Engine) -> String {
    let is_blank = |letter: char| letter.is_ascii_whitespace() || letter == '\u{b}';
    if engine == Engine::Mysql && name.ends_with(is_blank) {
        name.pop();
        name.push('_');
    }
    name
}

/// What is equal of names that an engine takes for one.
fn folded(name: &str, engine: Engine, of: Of) -> Vec<u8> {
    match (engine, of) {
        (Engine::Sqlite, _) => name.to_ascii_lowercase().into_bytes(),
        (Engine::Postgres, _) => name.as_bytes().to_owned(),
        (Engine::Mysql, Of::Table | Of::Column) => {
            name.chars().map(general).collect::<String>().into_bytes()
        }
        (Engine::Mysql, Of::Constraint) => name.bytes().map(of_innodb).collect(),
    }
}

/// InnoDB compares names of references byte by byte, as Latin letters without their accents, whatever
/// letters the bytes are of: `老` and `送` differ in their first byte alone, and are one. Bytes that
/// begin a letter are all equal here, which is more than that.
fn of_innodb(byte: u8) -> u8 {
    if byte >= 0xC0 { 0xC0 } else { byte.to_ascii_lowercase() }
}

/// What MySQL compares of a letter of a name, by `utf8mb3_general_ci`: no case, and in the scripts below
/// U+2200 no accent. The letters that it takes for one are one here; some others are too.
fn general(letter: char) -> char {
    let mut base = letter;
    if u32::from(letter) < 0x2200 {
        let mut parts = Vec::new();
        decompose_canonical(letter, |part| parts.push(part));
        base = parts.first().copied().unwrap_or(letter);
    }
    let mut upper = base.to_uppercase();
    let base = upper.next().filter(|_| upper.next().is_none()).unwrap_or(base);
    match base.to_lowercase().next().unwrap_or(base) {
        'ß' => 's',
        'ϲ' => 'σ',
        base => base,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn columns(engine: Engine, names: &[&str], wanted: &[&str]) {
        let mut taken = BTreeSet::new();
        let made: Vec<String> = names.iter().map(|name| column(name, engine, &mut taken)).collect();
        assert_eq!(made, wanted);
    }

    #[test]
    fn names_are_kept_where_the_engine_takes_them() {
        columns(Engine::Sqlite, &["😀", "ctid", "a "], &["😀", "ctid", "a "]);
        columns(Engine::Postgres, &["😀", "ctid", "CTID"], &["😀", "legacy_ctid", "CTID"]);
        columns(Engine::Mysql, &["a😀", "ctid", "a ", ""], &["au1f600", "ctid", "a_", "unnamed"]);
    }

    #[test]
    fn names_that_an_engine_takes_for_one_get_numbers_there() {
        let letters = ["Name", "name", "Ä", "ä", "a"];
        columns(Engine::Postgres, &letters, &letters);
        columns(Engine::Sqlite, &letters, &["Name", "name_2", "Ä", "ä", "a"]);
        columns(Engine::Mysql, &letters, &["Name", "name_2", "Ä", "ä_2", "a_3"]);
        columns(Engine::Mysql, &["İ", "i", "\u{212a}", "k"], &["İ", "i_2", "\u{212a}", "k_2"]);
        columns(Engine::Mysql, &["Σ", "ς", "Ϲ", "ß", "S"], &["Σ", "ς_2", "Ϲ_3", "ß", "S_2"]);
        let east = ["か", "が", "한", "하", "日", "本", "कि", "की"];
        columns(Engine::Mysql, &east, &east);
    }

    #[test]
    fn names_that_are_equal_when_cut_differ_in_their_number() {
        let (long, other) = ("l".repeat(70), "l".repeat(71));
        let (cut, second) = ("l".repeat(63), format!("{}_2", "l".repeat(61)));
        columns(Engine::Postgres, &[&long, &other], &[&cut, &second]);
        let wide = "日".repeat(64);
        columns(Engine::Mysql, &[&wide], &[&wide]);
    }

    #[test]
    fn tables_of_schemas_and_with_dots_are_flat() {
        let made = |said: &str, of: &str| table(said, of, Engine::Sqlite, &mut BTreeSet::new());
        assert_eq!(made("sales.orders", "postgres"), "sales_orders");
        assert_eq!(made("\"a.b\".\"c.d\"", "postgres"), "a_b_c_d");
        assert_eq!(made("`c.d`", "mysql"), "c_d");
        assert_eq!(made("\"q\"", "sqlite"), "\"q\"");
        assert_eq!(made("sqlite_x", "mysql"), "legacy_sqlite_x");
    }

    #[test]
    fn quotes_around_a_name_are_its_own_in_a_plan_too() {
        assert_eq!(said("\"q\"", Engine::Postgres), "\"\"\"q\"\"\"");
        assert_eq!(said("`q`", Engine::Mysql), "```q```");
        for (name, engine) in [("\"q\"", Engine::Mysql), ("`q`", Engine::Postgres)] {
            assert_eq!(said(name, engine), name);
        }
        assert_eq!(said("\"q\"", Engine::Sqlite), "\"q\"");
    }

    #[test]
    fn references_of_tables_with_long_or_foreign_names_have_names_of_their_own() {
        assert!(names_references(&"l".repeat(64), Engine::Mysql));
        assert!(names_references("ä", Engine::Mysql) && !names_references("ä", Engine::Postgres));
        assert!(!names_references("orders", Engine::Mysql));
        let mut taken = BTreeSet::new();
        let mut made = |table: &str| constraint(table, "_fk", Engine::Mysql, &mut taken);
        assert_eq!(
            ["老", "送", "小", "¥", "å"].map(&mut made),
            ["老_fk", "送_fk_2", "小_fk", "¥_fk", "å_fk_2"]
        );
        let long = "ä".repeat(64);
        assert_eq!(made(&long), "ä".repeat(61) + "_fk");
        assert_eq!(made(&long), "ä".repeat(59) + "_fk_2");
    }

    proptest! {
        #[test]
        fn every_name_is_taken_by_every_engine(names in prop::collection::vec("\\PC{0,90}", 1..6)) {
            for engine in [Engine::Sqlite, Engine::Postgres, Engine::Mysql] {
                let mut taken = BTreeSet::new();
                for name in &names {
                    let made = table(name, "sqlite", engine, &mut taken);
                    prop_assert!(!made.is_empty());
                    prop_assert!(engine != Engine::Postgres || made.len() <= 63);
                    prop_assert!(engine != Engine::Mysql || made.chars().count() <= 64);
                }
                prop_assert_eq!(taken.len(), names.len());
            }
        }
    }
}

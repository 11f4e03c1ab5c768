//! Names of an old database in the new one: kept where its engine takes them, else changed as little
//! as it asks for, and never two alike.

use std::collections::BTreeSet;

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

/// The name of a table that `of`, the old engine, calls as the catalogue says.
pub(crate) fn table(said: &str, of: &str, engine: Engine, taken: &mut BTreeSet<String>) -> String {
    let flat = match of {
        "postgres" => flat(said, '"'),
        "mysql" => flat(said, '`'),
        _ => said.to_owned(),
    };
    let flat = flat.replace('.', "_");
    let lower = flat.to_lowercase();
    let kept = KEPT.iter().any(|start| lower.starts_with(start));
    unique(if kept { format!("legacy_{flat}") } else { flat }, "", engine, true, taken)
}

fn flat(said: &str, quote: char) -> String {
    match catalogue::apart(said, quote) {
        (Some(schema), name) => format!("{schema}_{name}"),
        (None, name) => name.into_owned(),
    }
}

/// The name of a column.
pub(crate) fn column(name: &str, engine: Engine, taken: &mut BTreeSet<String>) -> String {
    let is_system = engine == Engine::Postgres && SYSTEM.contains(&name);
    let name = if is_system { format!("legacy_{name}") } else { name.to_owned() };
    unique(name, "", engine, false, taken)
}

/// The name of a constraint of a table: `TABLE_ref_1`.
pub(crate) fn constraint(
    table: &str,
    end: &str,
    engine: Engine,
    taken: &mut BTreeSet<String>,
) -> String {
    unique(table.to_owned(), end, engine, false, taken)
}

/// The name with its end, and with the first free number behind it.
fn unique(
    name: String,
    end: &str,
    engine: Engine,
    is_table: bool,
    taken: &mut BTreeSet<String>,
) -> String {
    let name = if name.is_empty() { "unnamed".to_owned() } else { name };
    let first = fitted(&name, end, engine, is_table);
    if taken.insert(folded(&first)) {
        return first;
    }
    let numbered = |number: u64| fitted(&name, &format!("{end}_{number}"), engine, is_table);
    let free = (2..u64::MAX).map(numbered).find(|name| taken.insert(folded(name)));
    free.expect("numbers do not end")
}

/// The beginning of the name for which there is room before `end`, in characters that the engine takes.
fn fitted(name: &str, end: &str, engine: Engine, is_table: bool) -> String {
    let mut name = if engine == Engine::Mysql { basic(name) } else { name.to_owned() };
    let fits = |name: &str| match engine {
        Engine::Sqlite => true,
        Engine::Postgres => name.len() <= 63,
        Engine::Mysql => {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let file: usize = name.chars().map(|c| if plain(c) { 1 } else { 5 }).sum();
            name.chars().count() <= CHARS_MAX && (!is_table || file <= FILE_BYTES_MAX)
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

/// What is equal of names that an engine takes for one: letter by letter, as MySQL does it, for which
/// `ς` is `σ` and `İ` is `i`.
fn folded(name: &str) -> String {
    let fold = |letter: char| {
        let mut upper = letter.to_uppercase();
        let upper = upper.next().filter(|_| upper.next().is_none()).unwrap_or(letter);
        upper.to_lowercase().next().unwrap_or(upper)
    };
    name.chars().map(fold).collect()
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
        columns(Engine::Mysql, &["İ", "i", "\u{212a}", "k"], &["İ", "i_2", "\u{212a}", "k_2"]);
        columns(Engine::Mysql, &["Σ", "ς", "ß", "SS"], &["Σ", "ς_2", "ß", "SS"]);
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

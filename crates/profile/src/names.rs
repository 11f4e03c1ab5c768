//! Names for the new schema: snake_case, ASCII, safe in every engine, unique.

use std::collections::BTreeSet;

const CHARS_MAX: usize = 60;

/// `Pwr_Z1_%` → `pwr_z1_pct`, `latencyInMs` → `latency_in_ms`, `Größe` → `groesse`; never empty,
/// never a digit in front, at most 60 characters.
pub fn snake(name: &str) -> String {
    let mut out = String::new();
    let letters: Vec<char> = name.chars().collect();
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| letters[at]);
        let after = letters.get(at + 1);
        if begins_word(before, *letter, after.copied()) {
            separate(&mut out);
        }
        spell(&mut out, *letter);
    }
    while out.ends_with('_') {
        out.pop();
    }
    out.truncate(CHARS_MAX);
    if out.is_empty() {
        out.push_str("column");
    }
    if out.starts_with(|letter: char| letter.is_ascii_digit()) {
        out.insert(0, 'c');
    }
    out
}

// `RPM_Main` is two words, `userID` too, `XMLFile` is `XML` and `File`.
fn begins_word(before: Option<char>, letter: char, after: Option<char>) -> bool {
    let Some(before) = before.filter(|_| letter.is_uppercase()) else {
        return false;
    };
    before.is_lowercase()
        || (before.is_ascii_digit() && after.is_some_and(char::is_lowercase))
        || (before.is_uppercase() && after.is_some_and(char::is_lowercase))
}

fn separate(out: &mut String) {
    if !out.is_empty() && !out.ends_with('_') {
        out.push('_');
    }
}

fn spell(out: &mut String, letter: char) {
    let word = match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' => return out.push(letter.to_ascii_lowercase()),
        '%' => "pct",
        '€' => "eur",
        '$' => "usd",
        '#' => "no",
        '&' => "and",
        '°' => "deg",
        'ä' | 'Ä' | 'æ' | 'Æ' => return out.push_str("ae"),
        'ö' | 'Ö' | 'ø' | 'Ø' => return out.push_str("oe"),
        'ü' | 'Ü' => return out.push_str("ue"),
        'ß' => return out.push_str("ss"),
        'à'..='å' | 'À'..='Å' => return out.push('a'),
        'ç' | 'Ç' => return out.push('c'),
        'è'..='ë' | 'È'..='Ë' => return out.push('e'),
        'ì'..='ï' | 'Ì'..='Ï' => return out.push('i'),
        'ñ' | 'Ñ' => return out.push('n'),
        'ò'..='õ' | 'Ò'..='Õ' => return out.push('o'),
        'ù'..='û' | 'Ù'..='Û' => return out.push('u'),
        _ => return separate(out),
    };
    separate(out);
    out.push_str(word);
    out.push('_');
}

/// The name, or the name with the first free number behind it; whatever the case of the letters.
pub fn unique(name: &str, taken: &mut BTreeSet<String>) -> String {
    if taken.insert(name.to_lowercase()) {
        return name.to_owned();
    }
    let mut number = 2;
    loop {
        let candidate = format!("{name}_{number}");
        if taken.insert(candidate.to_lowercase()) {
            return candidate;
        }
        number += 1;
    }
}

/// A table's name: not one that the engine or the ledger keeps for itself.
pub fn table(name: &str) -> String {
    let name = snake(name);
    if name.starts_with("sqlite_") || name.starts_with("whimbrel_") || name == "migration_log" {
        format!("legacy_{name}")
    } else {
        name
    }
}

/// True where SQL needs quotes around a name of [`snake`].
pub fn is_keyword(name: &str) -> bool {
    KEYWORDS.binary_search(&name).is_ok()
}

// SQLite's keywords, and what SQL:2016 reserves of everyday words.
const KEYWORDS: &[&str] = &[
    "abort",
    "action",
    "add",
    "after",
    "all",
    "alter",
    "always",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "attach",
    "autoincrement",
    "before",
    "begin",
    "between",
    "both",
    "by",
    "cascade",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "commit",
    "conflict",
    "constraint",
    "create",
    "cross",
    "current",
    "current_date",
    "current_time",
    "current_timestamp",
    "database",
    "date",
    "default",
    "deferrable",
    "deferred",
    "delete",
    "desc",
    "detach",
    "distinct",
    "do",
    "drop",
    "each",
    "else",
    "end",
    "escape",
    "except",
    "exclude",
    "exclusive",
    "exists",
    "explain",
    "fail",
    "false",
    "fetch",
    "filter",
    "first",
    "following",
    "for",
    "foreign",
    "from",
    "full",
    "generated",
    "glob",
    "grant",
    "group",
    "groups",
    "having",
    "if",
    "ignore",
    "immediate",
    "in",
    "index",
    "indexed",
    "initially",
    "inner",
    "insert",
    "instead",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "key",
    "last",
    "lateral",
    "leading",
    "left",
    "like",
    "limit",
    "localtime",
    "match",
    "materialized",
    "natural",
    "no",
    "not",
    "nothing",
    "notnull",
    "null",
    "nulls",
    "of",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "others",
    "outer",
    "over",
    "partition",
    "plan",
    "pragma",
    "preceding",
    "primary",
    "query",
    "raise",
    "range",
    "recursive",
    "references",
    "regexp",
    "reindex",
    "release",
    "rename",
    "replace",
    "restrict",
    "returning",
    "right",
    "rollback",
    "row",
    "rows",
    "savepoint",
    "select",
    "session_user",
    "set",
    "some",
    "table",
    "temp",
    "temporary",
    "then",
    "ties",
    "time",
    "timestamp",
    "to",
    "trailing",
    "transaction",
    "trigger",
    "true",
    "unbounded",
    "union",
    "unique",
    "update",
    "user",
    "using",
    "vacuum",
    "values",
    "view",
    "virtual",
    "when",
    "where",
    "window",
    "with",
    "without",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(name: &str, wanted: &str) {
        assert_eq!(snake(name), wanted);
    }

    #[test]
    fn names_read_as_the_old_ones_did() {
        check("Pwr_Z1_%", "pwr_z1_pct");
        check("T1_Feed", "t1_feed");
        check("RPM_Main", "rpm_main");
        check("latencyInMs", "latency_in_ms");
        check("userID", "user_id");
        check("XMLFile", "xml_file");
        check("Größe (m²)", "groesse_m");
        check("% of total", "pct_of_total");
        check("2019", "c2019");
        check("", "column");
        check("日本", "column");
        check("a  --  b", "a_b");
    }

    #[test]
    fn names_that_meet_get_numbers() {
        let mut taken = BTreeSet::new();
        assert_eq!(unique("a", &mut taken), "a");
        assert_eq!(unique("a", &mut taken), "a_2");
        assert_eq!(unique("a", &mut taken), "a_3");
    }

    #[test]
    fn keywords_are_sorted() {
        assert!(KEYWORDS.is_sorted());
        assert!(is_keyword("order") && !is_keyword("orders"));
    }

    proptest! {
        #[test]
        fn every_name_becomes_a_plain_identifier(name in "\\PC{0,80}") {
            let name = snake(&name);
            prop_assert!(!name.is_empty() && name.len() <= CHARS_MAX + 1);
            prop_assert!(name.starts_with(|c: char| c.is_ascii_lowercase()));
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            prop_assert!(name.chars().all(plain));
        }
    }
}

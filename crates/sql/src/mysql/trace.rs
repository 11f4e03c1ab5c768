//! What a definition leaves behind by which it is told later whether it was done. Pure.
//!
//! | statement | told by |
//! |---|---|
//! | `RENAME TABLE`, `ALTER TABLE … RENAME` | which of its names are there |
//! | `DROP TABLE`, `VIEW`, `SEQUENCE` | none of its names is there |
//! | `CREATE`, `ALTER` and the other `DROP`s | the definition of the object changed |
//!
//! What changes no definition may be done twice without harm, except for what trades places: done
//! twice it is undone. Such statements are refused.

use super::script::{Token, What};

/// Something with a definition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Object {
    /// What `SHOW CREATE` calls it.
    pub(crate) kind: &'static str,
    /// Its name, quoted, with its schema where that is given.
    pub(crate) name: String,
    pub(crate) schema: Option<String>,
}

/// The objects that a statement names, and what becomes of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Trace {
    pub(crate) objects: Vec<Object>,
    /// Which of them are there afterwards; `None` where their definitions alone tell.
    pub(crate) there: Option<Vec<bool>>,
}

impl Object {
    /// Whether both may be one on some server: letters' case may or may not count, and who names no
    /// schema means any.
    fn may_be(&self, other: &Self) -> bool {
        let same = |a: &str, b: &str| bare(a) == bare(b);
        let schemas = match (&self.schema, &other.schema) {
            (Some(own), Some(others)) => same(own, others),
            (_, _) => true,
        };
        schemas && same(&self.name, &other.name)
    }
}

/// Words for what has a definition; an index is part of its table's.
const KINDS: &[&str] =
    &["TABLE", "VIEW", "TRIGGER", "PROCEDURE", "FUNCTION", "EVENT", "SEQUENCE", "INDEX"];

const UNREAD: &str = "its names are not understood, and so a crash could not be told from success";
const NO_ACCOUNTS: &str = "RENAME of accounts, which leaves no trace by which to tell after a crash \
     whether it was done";
const TRADED_TABLES: &str = "tables that trade names leave no trace by which to tell after a crash \
     whether it was done; give each its new name in a statement of its own";
const TRADED_COLUMNS: &str = "columns that trade names and places leave no trace by which to tell \
     after a crash whether it was done; give each its new name in a statement of its own";
const TRADED_ROWS: &str = "EXCHANGE PARTITION leaves no trace by which to tell after a crash whether \
     it was done; do it before or after the migration, or move the rows (INSERT … SELECT)";

/// What `CREATE`, `ALTER`, `DROP` and `RENAME` are.
pub(crate) fn definition(tokens: &[Token<'_>]) -> What {
    let scan = Scan { tokens };
    match (scan.word(0).as_str(), scan.word(1).as_str()) {
        ("RENAME", "TABLE" | "TABLES") => renamed(scan, 2),
        ("RENAME", _) => What::Untold(NO_ACCOUNTS),
        ("DROP", "TABLE" | "TABLES") => dropped(scan, "TABLE"),
        ("DROP", "VIEW") => dropped(scan, "VIEW"),
        ("DROP", "SEQUENCE") => dropped(scan, "SEQUENCE"),
        (first, _) => match object(scan) {
            Some((table, next)) if first == "ALTER" && table.kind == "TABLE" => {
                altered(scan, table, next)
            }
            object => What::Definition(object.map(|(object, _)| changed(object))),
        },
    }
}

fn changed(object: Object) -> Trace {
    Trace { objects: vec![object], there: None }
}

/// Tokens, looked at one by one.
#[derive(Clone, Copy)]
struct Scan<'a> {
    tokens: &'a [Token<'a>],
}

impl Scan<'_> {
    /// The word at a place in capitals; empty where there is none.
    fn word(&self, at: usize) -> String {
        match self.tokens.get(at) {
            Some(Token::Word(word)) => word.to_ascii_uppercase(),
            Some(_) | None => String::new(),
        }
    }

    fn is_sign(&self, at: usize, sign: char) -> bool {
        self.tokens.get(at) == Some(&Token::Sign(sign))
    }

    /// Behind the words that are there.
    fn past(&self, mut at: usize, words: &[&str]) -> usize {
        while words.contains(&self.word(at).as_str()) {
            at += 1;
        }
        at
    }

    fn name(&self, at: usize) -> Option<String> {
        match self.tokens.get(at)? {
            Token::Word(word) => Some(format!("`{}`", word.replace('`', "``"))),
            Token::Quoted(name) => Some((*name).to_owned()),
            Token::Text | Token::Sign(_) => None,
        }
    }

    /// An object's name, and what stands behind it.
    fn object(&self, kind: &'static str, at: usize) -> Option<(Object, usize)> {
        let name = self.name(at)?;
        if self.is_sign(at + 1, '.') {
            let object = Object { kind, name: self.name(at + 2)?, schema: Some(name) };
            return Some((object, at + 3));
        }
        Some((Object { kind, name, schema: None }, at + 1))
    }
}

/// The object of a definition, what stands behind the word for its kind; and what is behind it.
fn object(scan: Scan<'_>) -> Option<(Object, usize)> {
    let (at, kind) = (0..scan.tokens.len()).find_map(|at| {
        let word = scan.word(at);
        KINDS.iter().find(|kind| **kind == word).map(|kind| (at, *kind))
    })?;
    let (at, kind) = if kind == "INDEX" {
        let on = (at + 1..scan.tokens.len()).find(|at| scan.word(*at) == "ON")?;
        (on, "TABLE")
    } else {
        (at, kind)
    };
    scan.object(kind, scan.past(at + 1, &["IF", "NOT", "EXISTS"]))
}

/// `DROP TABLE a, b`: none of them is there afterwards.
fn dropped(scan: Scan<'_>, kind: &'static str) -> What {
    let mut objects = Vec::new();
    let mut at = scan.past(2, &["IF", "EXISTS"]);
    loop {
        let Some((object, next)) = scan.object(kind, at) else { return What::Untold(UNREAD) };
        objects.push(object);
        if !scan.is_sign(next, ',') {
            break;
        }
        at = next + 1;
    }
    let there = vec![false; objects.len()];
    What::Definition(Some(Trace { objects, there: Some(there) }))
}

/// `RENAME TABLE a TO b, c TO a`: done in their order.
fn renamed(scan: Scan<'_>, mut at: usize) -> What {
    let (mut before, mut after) = (Vec::<Object>::new(), Vec::<Object>::new());
    let mut pairs = 0;
    loop {
        let Some((from, next)) = scan.object("TABLE", scan.past(at, &["IF", "EXISTS"])) else {
            return What::Untold(UNREAD);
        };
        // `WAIT n` and `NOWAIT` may stand in between.
        let Some(to) = (next..next + 3).find(|at| scan.word(*at) == "TO") else {
            return What::Untold(UNREAD);
        };
        let Some((to, next)) = scan.object("TABLE", to + 1) else { return What::Untold(UNREAD) };
        match after.iter().position(|known| *known == from) {
            Some(place) => drop(after.remove(place)),
            None => before.push(from),
        }
        after.push(to);
        pairs += 1;
        if !scan.is_sign(next, ',') {
            break;
        }
        at = next + 1;
    }
    let traded = before.iter().all(|object| after.iter().any(|other| object.may_be(other)));
    if pairs > 1 && traded {
        return What::Untold(TRADED_TABLES);
    }
    before.retain(|object| !after.contains(object));
    let there = (0..before.len() + after.len()).map(|index| index >= before.len()).collect();
    before.extend(after);
    What::Definition(Some(Trace { objects: before, there: Some(there) }))
}

/// `ALTER TABLE`: what it renames and trades stands in its clauses.
fn altered(scan: Scan<'_>, table: Object, begin: usize) -> What {
    let (mut from, mut to, mut moves, mut new_name) = (Vec::new(), Vec::new(), false, None);
    let (mut depth, mut opens) = (0_usize, true);
    for at in begin..scan.tokens.len() {
        let word = scan.word(at);
        match scan.tokens[at] {
            Token::Sign('(') => depth += 1,
            Token::Sign(')') => depth = depth.saturating_sub(1),
            Token::Sign(_) | Token::Word(_) | Token::Quoted(_) | Token::Text => {}
        }
        let next = scan.past(at + 1, &["COLUMN", "IF", "NOT", "EXISTS"]);
        match word.as_str() {
            "EXCHANGE" if depth == 0 && scan.word(at + 1) == "PARTITION" => {
                return What::Untold(TRADED_ROWS);
            }
            "CHANGE" if opens => {
                from.extend(scan.name(next));
                to.extend(scan.name(next + 1));
            }
            "RENAME" if opens && scan.word(at + 1) == "COLUMN" => {
                from.extend(scan.name(next));
                to.extend(scan.name(next + 2));
            }
            "RENAME" if opens && !matches!(scan.word(at + 1).as_str(), "INDEX" | "KEY") => {
                let name = scan.past(at + 1, &["TO", "AS"]);
                let name = name + usize::from(scan.is_sign(name, '='));
                new_name = scan.object("TABLE", name);
            }
            "ADD" if opens => {
                moves = true;
                to.extend(added(scan, next));
            }
            "DROP" if opens => moves = true,
            "FIRST" | "AFTER" if depth == 0 => moves = true,
            _ => {}
        }
        opens = depth == 0 && (scan.is_sign(at, ',') || (opens && is_wait(&word)));
    }
    // What keeps its name trades with nobody.
    let trades = from.iter().zip(&to).any(|(from, to)| bare(from) != bare(to))
        && from.iter().all(|from| to.iter().any(|to| bare(from) == bare(to)));
    if trades && moves {
        return What::Untold(TRADED_COLUMNS);
    }
    match new_name {
        Some((name, _)) if name != table => What::Definition(Some(Trace {
            objects: vec![table, name],
            there: Some(vec![false, true]),
        })),
        Some(_) | None => What::Definition(Some(changed(table))),
    }
}

/// Words, and the number, between the table's name and the first clause.
fn is_wait(word: &str) -> bool {
    matches!(word, "WAIT" | "NOWAIT") || word.bytes().all(|byte| byte.is_ascii_digit())
}

/// The columns of an `ADD`: one, or several in parentheses.
fn added(scan: Scan<'_>, at: usize) -> Vec<String> {
    if !scan.is_sign(at, '(') {
        return scan.name(at).into_iter().collect();
    }
    let (mut names, mut depth) = (Vec::new(), 0_usize);
    for at in at..scan.tokens.len() {
        match scan.tokens[at] {
            Token::Sign('(') => depth += 1,
            Token::Sign(')') => depth = depth.saturating_sub(1),
            Token::Sign(_) | Token::Word(_) | Token::Quoted(_) | Token::Text => {}
        }
        if depth == 1 && (scan.is_sign(at, '(') || scan.is_sign(at, ',')) {
            names.extend(scan.name(at + 1));
        }
        if depth == 0 {
            break;
        }
    }
    names
}

/// A name without its quotes, in small letters.
fn bare(name: &str) -> String {
    name.trim_matches('`').to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::super::script::what;
    use super::*;

    /// The names that are gone afterwards and those that are there, or what changes.
    fn told(sql: &str) -> String {
        match what(sql) {
            What::Definition(Some(Trace { objects, there: None })) => shown(&objects[0]),
            What::Definition(Some(Trace { objects, there: Some(there) })) => {
                let signs = objects.iter().zip(there).map(|(object, there)| {
                    format!("{}{}", if there { '+' } else { '-' }, shown(object))
                });
                signs.collect::<Vec<_>>().join(" ")
            }
            What::Untold(reason) => {
                let word = reason.split(' ').next().unwrap_or_default();
                format!("refused: {word}")
            }
            other => format!("{other:?}"),
        }
    }

    fn shown(object: &Object) -> String {
        match &object.schema {
            Some(schema) => format!("{schema}.{}", object.name),
            None => object.name.clone(),
        }
    }

    #[test]
    fn renames_and_drops_are_told_by_who_is_there() {
        for (sql, expected) in [
            ("RENAME TABLE a TO b", "-`a` +`b`"),
            ("RENAME TABLES IF EXISTS a WAIT 5 TO s.b", "-`a` +`s`.`b`"),
            ("RENAME TABLE t TO old, new TO t", "-`new` +`old` +`t`"),
            ("RENAME TABLE s.a TO r.a, s.b TO r.b", "-`s`.`a` -`s`.`b` +`r`.`a` +`r`.`b`"),
            ("rename table a to A", "-`a` +`A`"),
            ("DROP TABLE IF EXISTS a, s.`b c` CASCADE", "-`a` -`s`.`b c`"),
            ("DROP TABLES a", "-`a`"),
            ("DROP VIEW v, w", "-`v` -`w`"),
            ("ALTER TABLE a RENAME TO b", "-`a` +`b`"),
            ("ALTER TABLE a ADD c int, RENAME b", "-`a` +`b`"),
            ("ALTER TABLE a NOWAIT RENAME AS s.b", "-`a` +`s`.`b`"),
        ] {
            assert_eq!(told(sql), expected, "{sql}");
        }
    }

    #[test]
    fn what_trades_places_is_refused() {
        for sql in [
            "RENAME TABLE a TO t, b TO a, t TO b",
            "RENAME TABLE a TO t, b TO s.a, t TO b",
            "RENAME TABLE A TO t, b TO a, t TO B",
        ] {
            assert_eq!(told(sql), "refused: tables", "{sql}");
        }
        for sql in [
            "ALTER TABLE t EXCHANGE PARTITION p WITH TABLE x",
            "ALTER TABLE t /*!50600 EXCHANGE PARTITION p WITH TABLE x */",
        ] {
            assert_eq!(told(sql), "refused: EXCHANGE", "{sql}");
        }
        for sql in [
            "ALTER TABLE t CHANGE a b int AFTER c, CHANGE COLUMN b a int FIRST",
            "ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a, MODIFY b int FIRST",
            "ALTER TABLE t DROP a, CHANGE `b` a int, ADD COLUMN b int",
            "ALTER TABLE t DROP a, RENAME COLUMN b TO a, ADD (c int, B decimal(1, 2))",
        ] {
            assert_eq!(told(sql), "refused: columns", "{sql}");
        }
        assert_eq!(told("RENAME USER a TO b"), "refused: RENAME");
        assert_eq!(told("DROP TABLE \"a\", b"), "refused: its");
    }

    #[test]
    fn what_changes_a_definition_is_told_by_it() {
        for sql in [
            "ALTER TABLE t CHANGE a a bigint AFTER b",
            "ALTER TABLE t CHANGE a b int, ADD c int",
            "ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a",
            "ALTER TABLE t RENAME INDEX i TO j, RENAME KEY j TO i",
            "ALTER TABLE t COMMENT 'EXCHANGE PARTITION'",
            "ALTER IGNORE TABLE IF EXISTS t DROP a, ADD b int FIRST",
            "CREATE TABLE IF NOT EXISTS t (a int)",
            "CREATE UNIQUE INDEX i ON t (a)",
            "DROP INDEX i ON t",
        ] {
            assert_eq!(told(sql), "`t`", "{sql}");
        }
        assert_eq!(told("DROP TRIGGER IF EXISTS s.g"), "`s`.`g`");
    }
}

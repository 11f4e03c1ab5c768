//! Files of SQL, cut into statements, each with its line and what it is. Pure.
//!
//! A statement ends with `;`, or with what `DELIMITER` says; inside the body of a routine or trigger
//! (`BEGIN … END`, `IF`, `CASE`, `LOOP`, `REPEAT`, `WHILE` and their ends are counted) a semicolon
//! ends nothing. Comments between statements belong to none; `/*! … */` is text that the server runs.

use super::trace::{self, Trace};

/// One statement and the line, from 1, that its first word stands in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Statement<'a> {
    pub(crate) sql: &'a str,
    pub(crate) line: usize,
}

/// What a statement does to the transaction that it is run in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum What {
    /// It reads or changes rows.
    Rows,
    /// It commits by itself; its objects, where they are ones whose definitions can be looked up.
    Definition(Option<Trace>),
    /// It commits by itself, and nothing tells whether it was done: why, and what to do instead.
    Untold(&'static str),
    /// It sets something for the session.
    Setting,
    /// It begins or ends transactions, or leaves the database: the words for it.
    Forbidden(&'static str),
    /// It makes something that a lost connection takes with it.
    Temporary,
}

/// A file that cannot be cut.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Uncut {
    pub(crate) line: usize,
    pub(crate) reason: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Token<'a> {
    Word(&'a str),
    /// In backticks (or double quotes), with them.
    Quoted(&'a str),
    Text,
    Sign(char),
}

/// Cuts a file into its statements.
pub(crate) fn statements(sql: &str) -> Result<Vec<Statement<'_>>, Uncut> {
    let mut found = Vec::new();
    let mut delimiter = ";";
    let (mut at, mut begin, mut body) = (0, None::<usize>, Body::default());
    while at < sql.len() {
        let rest = &sql[at..];
        if begin.is_none()
            && let Some((len, said)) = delimiter_line(rest)
        {
            if said.is_empty() {
                let line = line_of(sql, at);
                return Err(Uncut { line, reason: "DELIMITER says none" });
            }
            delimiter = said;
            at += len;
            continue;
        }
        let ends = if delimiter == ";" { body.depth == 0 } else { true };
        if rest.starts_with(delimiter) && ends {
            found.extend(begin.take().and_then(|start| statement(sql, start, at)));
            at += delimiter.len();
            body = Body::default();
            continue;
        }
        let (len, token) =
            token(rest).map_err(|reason| Uncut { line: line_of(sql, at), reason })?;
        if let Some(token) = token {
            begin.get_or_insert(at);
            body.take(token);
        }
        at += len;
    }
    found.extend(begin.and_then(|start| statement(sql, start, sql.len())));
    Ok(found)
}

fn statement(sql: &str, start: usize, end: usize) -> Option<Statement<'_>> {
    let text = sql[start..end].trim_end();
    (!text.is_empty()).then(|| Statement { sql: text, line: line_of(sql, start) })
}

fn line_of(sql: &str, at: usize) -> usize {
    1 + sql[..at].bytes().filter(|byte| *byte == b'\n').count()
}

/// `DELIMITER //` in a line of its own: how long it is, and what it says.
fn delimiter_line(rest: &str) -> Option<(usize, &str)> {
    let word = rest.get(..9)?;
    let after = rest.get(9..)?;
    if !word.eq_ignore_ascii_case("DELIMITER") || !after.starts_with([' ', '\t', '\r', '\n']) {
        return None;
    }
    let len = after.find('\n').unwrap_or(after.len());
    Some((9 + len, after[..len].trim()))
}

/// How deep in a routine's body the scanner is.
#[derive(Default)]
struct Body {
    words: usize,
    /// The statement creates something that has a body.
    routine: bool,
    creates: bool,
    depth: usize,
    /// `END` was the last word: what follows may say what it ends.
    ended: bool,
    /// The last token, where `IF` after it is not a block: `IF EXISTS`, `END IF`.
    last: Option<String>,
}

impl Body {
    fn take(&mut self, token: Token<'_>) {
        let Token::Word(word) = token else {
            // `IF(…)` is a function, unless it opens a statement; `REPEAT(…)` always is.
            if token == Token::Sign('(') && self.last.as_deref() == Some("REPEAT") && self.depth > 1
            {
                self.depth -= 1;
            }
            self.ended = false;
            self.last = None;
            if let Token::Sign(sign) = token {
                self.last = Some(sign.to_string());
            }
            return;
        };
        let word = word.to_ascii_uppercase();
        self.words += 1;
        if self.words == 1 {
            self.creates = matches!(word.as_str(), "CREATE" | "ALTER");
            // `BEGIN NOT ATOMIC`, MariaDB's block outside of routines.
            self.routine = false;
        } else if self.creates
            && self.depth == 0
            && matches!(word.as_str(), "TRIGGER" | "PROCEDURE" | "FUNCTION" | "EVENT" | "PACKAGE")
        {
            self.routine = true;
        }
        if self.routine {
            self.count(&word);
        }
        self.last = Some(word);
    }

    fn count(&mut self, word: &str) {
        let opens_statement = matches!(
            self.last.as_deref(),
            Some(
                ";" | "BEGIN"
                    | "THEN"
                    | "ELSE"
                    | "DO"
                    | "LOOP"
                    | "REPEAT"
                    | ":"
                    | "HANDLER"
                    | "ROW"
            )
        );
        match word {
            "END" => {
                self.depth = self.depth.saturating_sub(1);
                self.ended = true;
                return;
            }
            // What an END ends was counted there.
            "IF" | "CASE" | "LOOP" | "REPEAT" | "WHILE" if self.ended => {}
            "BEGIN" => self.depth += 1,
            // An expression's CASE has its END as well.
            "CASE" => self.depth += 1,
            "LOOP" | "REPEAT" => self.depth += usize::from(self.depth > 0),
            "IF" | "WHILE" if self.depth > 0 && opens_statement => self.depth += 1,
            _ => {}
        }
        self.ended = false;
    }
}

/// Length of the next token, and what it is; `None` for blanks and comments.
fn token(sql: &str) -> Result<(usize, Option<Token<'_>>), &'static str> {
    let bytes = sql.as_bytes();
    let line = || sql.find('\n').map_or(sql.len(), |at| at + 1);
    Ok(match bytes {
        [b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, ..] | [0xef, 0xbb, 0xbf, ..] => {
            (sql.chars().next().map_or(1, char::len_utf8), None)
        }
        [b'#', ..] => (line(), None),
        [b'-', b'-'] | [b'-', b'-', b' ' | b'\t' | b'\n' | b'\r', ..] => (line(), None),
        [b'/', b'*', b'!', ..] | [b'/', b'*', b'M', b'!', ..] => {
            let len = sql.find("*/").ok_or("a comment has no end")? + 2;
            (len, Some(Token::Text))
        }
        [b'/', b'*', ..] => {
            (sql[2..].find("*/").map(|at| at + 4).ok_or("a comment has no end")?, None)
        }
        [quote @ (b'\'' | b'"' | b'`'), ..] => {
            let len = quoted(bytes, *quote).ok_or("a quote has no end")?;
            let token = if *quote == b'`' { Token::Quoted(&sql[..len]) } else { Token::Text };
            (len, Some(token))
        }
        _ => word(sql),
    })
}

fn quoted(bytes: &[u8], quote: u8) -> Option<usize> {
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'\\' if quote != b'`' => at += 2,
            byte if *byte == quote && bytes.get(at + 1) == Some(&quote) => at += 2,
            byte if *byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}

fn word(sql: &str) -> (usize, Option<Token<'_>>) {
    let in_word = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '$' | '@');
    let len = sql.find(|letter| !in_word(letter)).unwrap_or(sql.len());
    if len == 0 {
        let sign = sql.chars().next().unwrap_or(' ');
        return (sign.len_utf8(), Some(Token::Sign(sign)));
    }
    (len, Some(Token::Word(&sql[..len])))
}

/// What a statement is, by its first words.
pub(crate) fn what(sql: &str) -> What {
    // What stands in `/*!40000 … */` is run as well.
    if let Some(inside) = sql.strip_prefix("/*!").or_else(|| sql.strip_prefix("/*M!")) {
        return what(
            inside.trim_start_matches(|letter: char| letter.is_ascii_digit()).trim_start(),
        );
    }
    let tokens = tokens(sql);
    let words: Vec<String> = tokens
        .iter()
        .map(|token| match token {
            Token::Word(word) => word.to_ascii_uppercase(),
            Token::Quoted(_) | Token::Text | Token::Sign(_) => String::new(),
        })
        .collect();
    let word = |index: usize| words.get(index).map_or("", String::as_str);
    match word(0) {
        "BEGIN" | "START" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" | "XA" => {
            What::Forbidden("BEGIN, COMMIT and ROLLBACK")
        }
        "USE" => What::Forbidden("USE"),
        "LOCK" | "UNLOCK" => What::Forbidden("LOCK TABLES"),
        "SET" => setting(&tokens, &words),
        "CREATE" | "DROP" if words.iter().take(4).any(|word| word == "TEMPORARY") => {
            What::Temporary
        }
        "CREATE" | "DROP" if matches!(word(1), "DATABASE" | "SCHEMA") => {
            What::Forbidden("CREATE and DROP DATABASE")
        }
        "CREATE" | "ALTER" | "DROP" | "RENAME" => trace::definition(&tokens),
        "GRANT" | "REVOKE" | "ANALYZE" | "OPTIMIZE" | "REPAIR" | "CHECK" | "FLUSH" | "INSTALL"
        | "UNINSTALL" | "RESET" | "CACHE" | "TRUNCATE" => What::Definition(None),
        _ => What::Rows,
    }
}

fn setting(tokens: &[Token<'_>], words: &[String]) -> What {
    let named = |name: &str| words.iter().any(|word| word.trim_start_matches('@').ends_with(name));
    if named("AUTOCOMMIT") || words.get(1).is_some_and(|word| word == "TRANSACTION") {
        return What::Forbidden("SET of autocommit and TRANSACTION");
    }
    if named("GLOBAL") || named("PASSWORD") || named("PERSIST") {
        return What::Definition(None);
    }
    match tokens.get(1) {
        // A variable of the session's own, for the statements that follow.
        Some(Token::Word(word)) if word.starts_with('@') && !word.starts_with("@@") => What::Rows,
        Some(_) | None => What::Setting,
    }
}

/// Tokens of rows' statements that are looked at.
const BEGINNING: usize = 64;

/// All tokens of a definition, else the first ones. What stands in `/*!40000 … */` is run as well.
fn tokens(sql: &str) -> Vec<Token<'_>> {
    let (mut at, mut tokens) = (0, Vec::new());
    while at < sql.len() {
        let rest = &sql[at..];
        if let Some(inside) = rest.strip_prefix("/*!").or_else(|| rest.strip_prefix("/*M!")) {
            at = sql.len() - inside.trim_start_matches(|it: char| it.is_ascii_digit()).len();
            continue;
        }
        if rest.starts_with("*/") {
            at += 2;
            continue;
        }
        let Ok((len, token)) = token(rest) else { break };
        tokens.extend(token);
        at += len;
        if tokens.len() == BEGINNING && !defines(tokens[0]) {
            break;
        }
    }
    tokens
}

fn defines(first: Token<'_>) -> bool {
    let Token::Word(word) = first else { return false };
    ["CREATE", "ALTER", "DROP", "RENAME"].iter().any(|own| word.eq_ignore_ascii_case(own))
}

#[cfg(test)]
mod tests {
    use super::super::trace::Object;
    use super::*;

    fn check(sql: &str, expected: &[(usize, &str)]) {
        let found = statements(sql).unwrap();
        let found: Vec<(usize, &str)> = found.iter().map(|found| (found.line, found.sql)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn statements_end_with_semicolons() {
        check("SELECT 1;\n\nSELECT 2 ;;", &[(1, "SELECT 1"), (3, "SELECT 2")]);
        check("\u{feff}SELECT 1", &[(1, "SELECT 1")]);
    }

    #[test]
    fn comments_and_quotes_end_nothing() {
        check(
            "-- a; b\n/* ; */ # c;\nSELECT ';', \"a;b\", `c;d`, 'it\\';s', 'it''s;'; X",
            &[(3, "SELECT ';', \"a;b\", `c;d`, 'it\\';s', 'it''s;'"), (3, "X")],
        );
        check("SELECT 1--1; SELECT 2", &[(1, "SELECT 1--1"), (1, "SELECT 2")]);
        check("/*!40101 SET NAMES utf8 */;", &[(1, "/*!40101 SET NAMES utf8 */")]);
    }

    #[test]
    fn a_body_is_one_statement() {
        let trigger = "CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW BEGIN\n IF NEW.x IS NULL THEN \
                       SET NEW.x = CASE WHEN 1 THEN 2 END; END IF;\n WHILE 0 DO SET @a = IF(1, 2, 3); \
                       END WHILE; REPEAT SET @b = REPEAT('a', 2); UNTIL 1 END REPEAT;\nEND";
        check(&format!("{trigger}; SELECT 3;"), &[(1, trigger), (4, "SELECT 3")]);
        let simple = "CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW SET NEW.x = 1";
        check(&format!("{simple}; SELECT 3;"), &[(1, simple), (1, "SELECT 3")]);
        let drop = "DROP TRIGGER IF EXISTS a";
        check(&format!("{drop}; SELECT 3;"), &[(1, drop), (1, "SELECT 3")]);
    }

    #[test]
    fn a_delimiter_is_followed() {
        check(
            "DELIMITER //\nCREATE PROCEDURE p() BEGIN SELECT 1; END//\nDELIMITER ;\nSELECT 2;",
            &[(2, "CREATE PROCEDURE p() BEGIN SELECT 1; END"), (4, "SELECT 2")],
        );
    }

    #[test]
    fn what_has_no_end_is_named() {
        assert_eq!(statements("SELECT 1;\n'open").unwrap_err().line, 2);
        assert_eq!(statements("/* open").unwrap_err().line, 1);
    }

    fn object(kind: &'static str, schema: Option<&str>, name: &str) -> What {
        let object = Object { kind, name: name.to_owned(), schema: schema.map(str::to_owned) };
        What::Definition(Some(Trace { objects: vec![object], there: None }))
    }

    fn table(name: &str) -> What {
        object("TABLE", None, name)
    }

    #[test]
    fn definitions_name_their_object() {
        assert_eq!(what("CREATE TABLE IF NOT EXISTS t (a int)"), table("`t`"));
        assert_eq!(what("alter table `a b` add c int"), table("`a b`"));
        assert_eq!(what("/*!50001 ALTER TABLE t DROP a */"), table("`t`"));
        assert_eq!(what("CREATE UNIQUE INDEX i ON t (a)"), table("`t`"));
        assert_eq!(what("DROP INDEX i ON t"), table("`t`"));
        assert_eq!(what("TRUNCATE t"), What::Definition(None));
        let view = object("VIEW", Some("`s`"), "`v`");
        assert_eq!(what("CREATE OR REPLACE VIEW s.v AS SELECT 1"), view);
    }

    #[test]
    fn what_ends_transactions_is_forbidden() {
        for sql in
            ["BEGIN", "start transaction", "COMMIT", "USE x", "SET autocommit = 0", "LOCK TABLES t"]
        {
            assert!(matches!(what(sql), What::Forbidden(_)), "{sql}");
        }
        assert_eq!(what("SET @a = 1"), What::Rows);
        assert_eq!(what("SET foreign_key_checks = 0"), What::Setting);
        assert_eq!(what("INSERT INTO t VALUES (1)"), What::Rows);
        assert_eq!(what("CREATE TEMPORARY TABLE t (a int)"), What::Temporary);
    }
}

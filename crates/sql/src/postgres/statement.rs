//! Files and scripts cut into statements, each with its line, as PostgreSQL's own scanner would. Pure.

/// One statement and the line, from 1, that its first word stands in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Statement<'a> {
    pub(crate) sql: &'a str,
    pub(crate) line: usize,
    /// Its first words, in upper case, without what is quoted.
    pub(crate) words: Vec<String>,
    /// It begins like a command of `psql`.
    pub(crate) is_backslash: bool,
}

/// Words that are kept of a statement.
const WORDS_MAX: usize = 400;

pub(crate) fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// Cuts a file into its statements; blanks and comments between them belong to none.
pub(crate) fn statements(sql: &str) -> Vec<Statement<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut open: Option<Open> = None;
    while at < sql.len() {
        let (length, token) = token(&sql[at..]);
        match (token, &mut open) {
            (Token::Blank, _) => {}
            (Token::Semicolon, Some(body)) if body.depth > 0 => {}
            (Token::Semicolon, _) => {
                found.extend(open.take().map(|open| open.end(sql, at)));
            }
            (token, open) => {
                let open = open.get_or_insert_with(|| Open::at(at, sql));
                open.parens(token);
                if token == Token::Word {
                    open.word(&sql[at..at + length]);
                }
            }
        }
        at += length;
    }
    found.extend(open.map(|open| open.end(sql, sql.len())));
    found
}

struct Open {
    start: usize,
    words: Vec<String>,
    is_backslash: bool,
    /// Bodies and cases that are open (`BEGIN ATOMIC … END`), where semicolons end nothing.
    depth: usize,
    parens: usize,
}

impl Open {
    fn at(start: usize, sql: &str) -> Self {
        let is_backslash = sql[start..].starts_with('\\');
        Self { start, words: Vec::new(), is_backslash, depth: 0, parens: 0 }
    }

    fn parens(&mut self, token: Token) {
        match token {
            Token::Open => self.parens += 1,
            Token::Close => self.parens = self.parens.saturating_sub(1),
            Token::Blank | Token::Semicolon | Token::Word | Token::Other => {}
        }
    }

    fn word(&mut self, word: &str) {
        let word = word.to_ascii_uppercase();
        let is_routine = self.words.first().is_some_and(|first| first == "CREATE")
            && self.words.iter().take(4).any(|word| word == "FUNCTION" || word == "PROCEDURE");
        if is_routine && self.parens == 0 {
            match word.as_str() {
                "BEGIN" => self.depth += 1,
                "CASE" if self.depth > 0 => self.depth += 1,
                "END" => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        if self.words.len() < WORDS_MAX {
            self.words.push(word);
        }
    }

    fn end(self, sql: &str, end: usize) -> Statement<'_> {
        Statement {
            sql: sql[self.start..end].trim_end(),
            line: 1 + newlines(&sql[..self.start]),
            words: self.words,
            is_backslash: self.is_backslash,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Blank,
    Semicolon,
    Word,
    Open,
    Close,
    Other,
}

/// Length of the next token, and what it is.
fn token(sql: &str) -> (usize, Token) {
    let bytes = sql.as_bytes();
    let first = sql.chars().next().map_or(1, char::len_utf8);
    match bytes {
        [b';', ..] => (1, Token::Semicolon),
        [b'(', ..] => (1, Token::Open),
        [b')', ..] => (1, Token::Close),
        [b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, ..] | [0xef, 0xbb, 0xbf, ..] => {
            (first, Token::Blank)
        }
        [b'-', b'-', ..] => (sql.find('\n').map_or(sql.len(), |at| at + 1), Token::Blank),
        [b'/', b'*', ..] => (comment(sql), Token::Blank),
        [b'\'', ..] => (quoted(sql, b'\'', false), Token::Other),
        [b'e' | b'E', b'\'', ..] => (1 + quoted(&sql[1..], b'\'', true), Token::Other),
        [b'"', ..] => (quoted(sql, b'"', false), Token::Other),
        [b'$', ..] => (dollar(sql).unwrap_or(1), Token::Other),
        _ => word(sql, first),
    }
}

/// Comments nest.
fn comment(sql: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    let bytes = sql.as_bytes();
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                at += 2;
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

/// A quote inside is doubled; in `E'…'` a backslash takes the next byte with it.
fn quoted(sql: &str, quote: u8, escapes: bool) -> usize {
    let bytes = sql.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        let is_escape = escapes && bytes[at] == b'\\';
        let is_doubled = bytes[at] == quote && bytes.get(at + 1) == Some(&quote);
        if is_escape || is_doubled {
            at += 2;
        } else if bytes[at] == quote {
            return at + 1;
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// `$$…$$`, `$tag$…$tag$`; `None` where the dollar opens nothing (`$1`).
fn dollar(sql: &str) -> Option<usize> {
    let inner = sql[1..].find('$')?;
    let tag = &sql[1..=inner];
    let is_tag = !tag.starts_with(|letter: char| letter.is_ascii_digit())
        && tag.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    if !is_tag {
        return None;
    }
    let delimiter = &sql[..inner + 2];
    let body = &sql[delimiter.len()..];
    Some(body.find(delimiter).map_or(sql.len(), |at| at + 2 * delimiter.len()))
}

fn word(sql: &str, first: usize) -> (usize, Token) {
    let in_word = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '$');
    let length = sql.find(|letter| !in_word(letter)).unwrap_or(sql.len());
    if length == 0 { (first, Token::Other) } else { (length, Token::Word) }
}

impl Statement<'_> {
    /// Why it may not be run in the middle of our transaction, if so.
    pub(crate) fn forbidden(&self) -> Option<&'static str> {
        if self.is_backslash {
            return Some("commands of psql (\\…)");
        }
        let word = |at: usize| self.words.get(at).map_or("", String::as_str);
        if self.sets_role() {
            return Some("SET ROLE and SET SESSION AUTHORIZATION");
        }
        let has = |name: &str| self.words.iter().any(|word| word == name);
        Some(match (word(0), word(1)) {
            ("BEGIN" | "COMMIT" | "ROLLBACK" | "ABORT" | "END", _) | ("START", "TRANSACTION") => {
                "BEGIN, COMMIT and ROLLBACK"
            }
            ("PREPARE", "TRANSACTION") => "PREPARE TRANSACTION",
            ("SAVEPOINT" | "RELEASE", _) => "SAVEPOINT",
            ("VACUUM", _) => "VACUUM",
            ("CREATE" | "DROP" | "ALTER", "DATABASE") => "CREATE, ALTER and DROP DATABASE",
            ("CREATE" | "DROP", "TABLESPACE") => "CREATE and DROP TABLESPACE",
            ("CREATE" | "ALTER" | "DROP", "SUBSCRIPTION") => "CREATE SUBSCRIPTION",
            ("ALTER", "SYSTEM") => "ALTER SYSTEM",
            ("DISCARD", _) => "DISCARD",
            ("COPY", _) if has("STDIN") || has("STDOUT") => {
                "COPY FROM STDIN and TO STDOUT (dump with --inserts)"
            }
            ("SET", "TRANSACTION" | "SESSION") if has("TRANSACTION") || has("CHARACTERISTICS") => {
                "SET TRANSACTION"
            }
            ("CREATE" | "DROP", _)
                if word(1) != "FUNCTION"
                    && self.words.iter().take(5).any(|word| word == "CONCURRENTLY") =>
            {
                "CONCURRENTLY"
            }
            ("REINDEX", _) if has("CONCURRENTLY") || has("DATABASE") || has("SYSTEM") => {
                "REINDEX of a database, or CONCURRENTLY"
            }
            _ => return None,
        })
    }

    /// `SET [LOCAL | SESSION] ROLE`, `… SESSION AUTHORIZATION`, and the same with `RESET`.
    fn sets_role(&self) -> bool {
        let words: Vec<&str> = self.words.iter().take(4).map(String::as_str).collect();
        let what = match words.as_slice() {
            ["SET", "LOCAL" | "SESSION", what @ ..] if what.first() != Some(&"AUTHORIZATION") => {
                what
            }
            ["SET" | "RESET", what @ ..] => what,
            _ => return false,
        };
        matches!(what, ["ROLE", ..] | ["SESSION", "AUTHORIZATION", ..])
    }

    /// Whether the count that the server answers with is of rows that were changed.
    pub(crate) fn counts_changes(&self) -> bool {
        match self.words.first().map(String::as_str) {
            Some("SELECT" | "VALUES" | "TABLE" | "SHOW" | "EXPLAIN" | "FETCH" | "MOVE") => {
                self.words.iter().any(|word| word == "INTO")
            }
            Some("WITH") => {
                let is_change = |word: &String| {
                    matches!(word.as_str(), "INSERT" | "UPDATE" | "DELETE" | "MERGE")
                };
                self.words.iter().any(is_change)
            }
            Some(_) | None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str, expected: &[(usize, &str)]) {
        let found: Vec<(usize, &str)> =
            statements(sql).into_iter().map(|found| (found.line, found.sql)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn statements_end_with_semicolons() {
        check("SELECT 1;\n\nSELECT 2 ;;", &[(1, "SELECT 1"), (3, "SELECT 2")]);
    }

    #[test]
    fn comments_between_statements_belong_to_none_and_nest() {
        check("-- a; b\n/* ; /* ; */ ; */ SELECT 1; -- end", &[(2, "SELECT 1")]);
    }

    #[test]
    fn semicolons_in_quotes_end_nothing() {
        check(
            r#"SELECT ';', "a;b", 'it''s;', E'\';', $$;$$, $x$ $$;$$ $x$; X"#,
            &[(1, r#"SELECT ';', "a;b", 'it''s;', E'\';', $$;$$, $x$ $$;$$ $x$"#), (1, "X")],
        );
    }

    #[test]
    fn a_number_of_a_parameter_opens_no_quote() {
        check("SELECT $1; SELECT $2", &[(1, "SELECT $1"), (1, "SELECT $2")]);
    }

    #[test]
    fn the_body_of_a_routine_is_part_of_it() {
        let routine = "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC\n SELECT CASE WHEN true THEN 1 END; SELECT 2;\nEND";
        check(&format!("{routine}; SELECT 3;"), &[(1, routine), (3, "SELECT 3")]);
    }

    #[test]
    fn an_unterminated_file_has_a_last_statement() {
        check("SELECT 'open; ", &[(1, "SELECT 'open;")]);
        check("/* open", &[]);
        check("\u{feff}SELECT 1", &[(1, "SELECT 1")]);
    }

    #[test]
    fn what_would_end_the_transaction_is_known() {
        let word = |sql: &str| statements(sql)[0].forbidden();
        assert_eq!(word("begin"), Some("BEGIN, COMMIT and ROLLBACK"));
        assert_eq!(word("vacuum full t"), Some("VACUUM"));
        assert_eq!(word("create index concurrently i on t (a)"), Some("CONCURRENTLY"));
        assert_eq!(word("\\connect x"), Some("commands of psql (\\…)"));
        assert_eq!(
            word("COPY t FROM stdin"),
            Some("COPY FROM STDIN and TO STDOUT (dump with --inserts)")
        );
        for sql in [
            "SET ROLE x",
            "set local role x",
            "SET SESSION ROLE x",
            "SET role TO x",
            "RESET ROLE",
            "SET SESSION AUTHORIZATION x",
            "SET LOCAL SESSION AUTHORIZATION x",
            "SET SESSION SESSION AUTHORIZATION x",
            "RESET SESSION AUTHORIZATION",
        ] {
            assert_eq!(word(sql), Some("SET ROLE and SET SESSION AUTHORIZATION"), "{sql}");
        }
        assert_eq!(word("SET LOCAL lock_timeout = 5"), None);
        assert_eq!(word("create table \"begin\" (a int)"), None);
        assert_eq!(word("SET search_path = x"), None);
    }
}

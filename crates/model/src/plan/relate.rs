//! `[[relate]]`: steps in the database's own SQL, after all tables are loaded.

use super::{At, Plan, Span};
use std::fmt::Write as _;

/// `[[relate]]`: statements that derive rows from loaded ones, in one transaction.
#[derive(Clone, PartialEq, Debug)]
pub struct Relate {
    /// `name`, unique in the plan.
    pub name: At<String>,
    /// `sql`: what is done.
    pub sql: SqlText,
    /// `undo`: what takes it back; without it the step cannot be undone.
    pub undo: Option<SqlText>,
    /// `writes`: the tables that `sql` changes.
    pub writes: Vec<At<String>>,
    /// `check`: a query that must return no rows once `sql` is done.
    pub check: Option<SqlText>,
    /// Where the `[[relate]]` stands.
    pub span: Span,
}

impl Relate {
    /// Its texts with their keys, those that stand there.
    pub fn texts(&self) -> impl Iterator<Item = (&'static str, &SqlText)> {
        let optional = [("undo", self.undo.as_ref()), ("check", self.check.as_ref())];
        let optional = optional.into_iter().filter_map(|(key, text)| Some((key, text?)));
        std::iter::once(("sql", &self.sql)).chain(optional)
    }
}

/// SQL: one text for every engine, or one for each.
#[derive(Clone, PartialEq, Debug)]
pub struct SqlText {
    /// What it is.
    pub by: ByEngine,
    /// Where it stands.
    pub span: Span,
}

/// Which engine an SQL text is for.
#[derive(Clone, PartialEq, Debug)]
pub enum ByEngine {
    /// Every one.
    Any(String),
    /// Engines by the names of [`ENGINES`], in the order of the file.
    Each(Vec<(&'static str, String)>),
}

/// The names of engines in plans.
pub const ENGINES: &[&str] = &["sqlite", "postgres", "mysql"];

impl SqlText {
    /// The text for an engine; `None` where the plan has none for it.
    pub fn for_engine(&self, engine: &str) -> Option<&str> {
        match &self.by {
            ByEngine::Any(text) => Some(text),
            ByEngine::Each(texts) => {
                let own = texts.iter().find(|(name, _)| *name == engine);
                own.map(|(_, text)| text.as_str())
            }
        }
    }
}

impl Plan {
    /// BLAKE3 of what a `[[relate]]` does on an engine. Its name is not in it.
    pub fn relate_digest(relate: &Relate, engine: &str) -> [u8; 32] {
        let mut text = "whimbrel relate 1\n".to_owned();
        for (key, sql) in relate.texts() {
            if let Some(sql) = sql.for_engine(engine) {
                let _ = writeln!(text, "{key} {}", super::canonical::quote(sql));
            }
        }
        let mut writes: Vec<&str> =
            relate.writes.iter().map(|table| table.value.as_str()).collect();
        writes.sort_unstable();
        for table in writes {
            let _ = writeln!(text, "writes {}", super::canonical::quote(table));
        }
        *blake3::hash(text.as_bytes()).as_bytes()
    }
}

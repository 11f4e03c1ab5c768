//! What a step of a plan means, as one text, and its digest.
//!
//! Two plans whose steps have the same text load the same rows. Comments, the order of keys and of
//! columns, the names of maps, the URLs of databases, `[run]`, `[rejects]`, `[window]` and the limits of rules
//! are not in it, nor what is `sensitive`: it decides what is shown. A key that is left out and one that says its default are the same, so that keys
//! added later leave old digests as they are.

use std::fmt::Write as _;

use super::{
    At, Base, CsvDialect, Database, DuplicateConflict, Duplicates, DuplicatesBy, DuplicatesScope,
    Each, Existing, Expr, Fold, Format, HashAlgorithm, Invalid, LargeFiles, ListRule, Literal,
    MapOther, MissingRef, Plan, Ragged, Rule, Severity, Source, SourceRows, TableMapping, decode,
};

/// The first line: the version of this form.
const HEADER: &str = "whimbrel step 1\n";

impl Plan {
    /// What the step that fills `table` means: the table, the sources it reads, the maps it uses.
    ///
    /// It holds the values of variables where they went into the mapping: show it only through
    /// [`Plan::redact`].
    pub fn canonical_text(&self, table: &TableMapping) -> String {
        let mut out = Canonical { plan: self, text: HEADER.to_owned() };
        out.text("timezone", self.timezone.as_ref().map_or("UTC", |zone| &zone.value), "UTC");
        if let Some(namespace) = &self.namespace {
            let hex =
                namespace.value.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
            out.line("namespace", &hex);
        }
        for from in &table.from {
            out.line("from", &quote(&from.value));
            self.source(&from.value).into_iter().for_each(|source| out.source(source));
        }
        out.table(table);
        out.text
    }

    /// BLAKE3 of [`Plan::canonical_text`].
    pub fn digest(&self, table: &TableMapping) -> [u8; 32] {
        *blake3::hash(self.canonical_text(table).as_bytes()).as_bytes()
    }
}

struct Canonical<'a> {
    plan: &'a Plan,
    text: String,
}

impl Canonical<'_> {
    fn line(&mut self, key: &str, value: &str) {
        let _ = writeln!(self.text, "{key} {value}");
    }

    fn text(&mut self, key: &str, value: &str, default: &str) {
        if value != default {
            self.line(key, &quote(value));
        }
    }

    fn flag(&mut self, key: &str, value: bool, default: bool) {
        if value != default {
            self.line(key, &value.to_string());
        }
    }

    fn source(&mut self, source: &Source) {
        self.format(&source.format);
        for glob in &source.globs {
            self.line("  glob", &quote(&glob.value));
        }
        for column in sorted(source.exclude.iter().map(|glob| quote(&glob.value))) {
            self.line("  exclude", &column);
        }
        self.flag("  hidden", source.hidden, false);
        self.flag("  ignore_case", source.ignore_case, false);
        self.flag("  follow_links", source.follow_links, false);
        self.text(
            "  encoding",
            source.encoding.as_ref().map_or("utf-8", |encoding| &encoding.value),
            "utf-8",
        );
        self.list("  null", &source.null);
        for (name, column) in sorted(
            source.columns.iter().map(|column| (column.name.value.as_str(), column_of(column))),
        ) {
            self.line("  column", &format!("{} {column}", quote(name)));
        }
        for (key, names) in [("  optional", &source.optional), ("  archive", &source.archive)] {
            for name in sorted(names.iter().map(|name| quote(&name.value))) {
                self.line(key, &name);
            }
        }
        if let Some(size) = source.max_file_size {
            let large = match source.large_files {
                LargeFiles::Handle => None,
                LargeFiles::Skip => Some("skip"),
                LargeFiles::Reject => Some("reject"),
            };
            if let Some(large) = large {
                self.line("  larger", &format!("{size} {large}"));
            }
        }
        if source.max_record_size != decode::MAX_RECORD_SIZE {
            self.line("  max_record_size", &source.max_record_size.to_string());
        }
    }

    fn list(&mut self, key: &str, texts: &[String]) {
        for text in sorted(texts.iter().map(|text| quote(text))) {
            self.line(key, &text);
        }
    }

    fn format(&mut self, format: &Format) {
        match format {
            Format::Csv(dialect) => self.dialect(dialect),
            Format::Json { records } => {
                self.line("  format", "json");
                if let Some(pointer) = records {
                    self.line("  records", &quote(&pointer.value));
                }
            }
            Format::JsonLines => self.line("  format", "jsonl"),
            Format::Markdown => self.line("  format", "markdown"),
            Format::Text => self.line("  format", "text"),
            Format::Database(database) => self.database(database),
        }
    }

    /// Not its URL: the same rows may stand elsewhere, and credentials change.
    fn database(&mut self, database: &Database) {
        match &database.rows {
            SourceRows::Table(table) => self.line("  table", &quote(&table.value)),
            SourceRows::Query(query) => self.line("  query", &quote(&query.value)),
        }
        for column in &database.key {
            self.line("  key", &quote(&column.value));
        }
    }

    fn dialect(&mut self, dialect: &CsvDialect) {
        self.line("  format", &format!("csv {}", dialect.delimiter));
        if dialect.quote != Some(b'"') {
            self.line("  quote", &format!("{:?}", dialect.quote));
        }
        dialect.escape.into_iter().for_each(|byte| self.line("  escape", &byte.to_string()));
        dialect.comment.into_iter().for_each(|byte| self.line("  comment", &byte.to_string()));
        self.flag("  header", dialect.header, true);
        for name in &dialect.names {
            self.line("  name", &quote(name));
        }
        if dialect.skip_lines > 0 {
            self.line("  skip_lines", &dialect.skip_lines.to_string());
        }
        match dialect.ragged {
            Ragged::Reject => {}
            Ragged::Pad => self.line("  ragged", "pad"),
            Ragged::Truncate => self.line("  ragged", "truncate"),
        }
    }

    fn table(&mut self, table: &TableMapping) {
        self.line("into", &quote(&table.into.value));
        match &table.each {
            Each::Record => {}
            Each::File => self.line("each", "file"),
            Each::Element(pointer) => self.line("each", &quote(&pointer.value)),
        }
        table.filter.iter().for_each(|cel| self.line("where", &quote(&cel.value)));
        for key in &table.key {
            self.line("key", &quote(&key.value));
        }
        for part in table.legacy_key_parts() {
            let part = self.expr(part);
            self.line("legacy_key", &part);
        }
        match table.existing {
            Existing::Reject => {}
            Existing::Update => self.line("existing", "update"),
            Existing::Keep => self.line("existing", "keep"),
        }
        table
            .duplicates
            .iter()
            .for_each(|duplicates| self.line("duplicates", &duplicates_of(duplicates)));
        for (name, expr) in &table.lets {
            let expr = self.expr(expr);
            self.line("let", &format!("{} {expr}", quote(&name.value)));
        }
        for (name, expr) in sorted_by_name(&table.columns) {
            let expr = self.expr(expr);
            self.line("column", &format!("{} {expr}", quote(name)));
        }
        for rule in &table.rules {
            self.line("rule", &rule_of(rule));
        }
    }

    fn exprs<'e>(&self, exprs: impl IntoIterator<Item = &'e Expr>) -> String {
        exprs.into_iter().map(|expr| self.expr(expr)).collect::<Vec<_>>().join(" ")
    }

    fn named(&self, named: &[(&str, &Expr)]) -> String {
        named
            .iter()
            .map(|(name, expr)| format!("{} {}", quote(name), self.expr(expr)))
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn base(&self, base: &Base) -> String {
        match base {
            Base::Field(field) => format!("from {}", quote(&field.value)),
            Base::Fact(fact) => format!("fact {}", fact.value.name()),
            Base::Value(literal) => format!("value {}", literal_of(literal)),
            Base::First(parts) => format!("first [{}]", self.exprs(parts)),
            Base::Concat { parts, separator } => {
                format!("concat [{}] {}", self.exprs(parts), quote(separator))
            }
            Base::Split { of, by, part } => format!("split {} {} {part}", self.expr(of), quote(by)),
            Base::Uuid5(parts) => format!("uuid5 [{}]", self.exprs(parts)),
            Base::Ref { table, by, missing } => {
                let missing = match missing {
                    MissingRef::Reject => "",
                    MissingRef::Null => " null",
                };
                format!("ref {} [{}]{missing}", quote(&table.value), self.exprs(by))
            }
            Base::Cel(cel) => format!("cel {}", quote(&cel.value)),
            Base::Aggregate { of, field } => {
                let field = field
                    .as_ref()
                    .map(|field| format!(" {}", quote(&field.value)))
                    .unwrap_or_default();
                format!("{}{field}", of.name())
            }
            Base::BySource(named) => format!("by_source [{}]", self.named(&sorted_by_name(named))),
            Base::Hash { algorithm, parts } => {
                let algorithm = match algorithm {
                    HashAlgorithm::Sha256 => "sha256",
                    HashAlgorithm::Blake3 => "blake3",
                };
                format!("hash {algorithm} [{}]", self.exprs(parts))
            }
            // The order of an object's members is the order they are written in.
            Base::Object(named) => {
                let members: Vec<(&str, &Expr)> =
                    named.iter().map(|(name, expr)| (name.value.as_str(), expr)).collect();
                format!("object [{}]", self.named(&members))
            }
            Base::JsonChecksum(of) => format!("canonical_json {}", self.expr(of)),
        }
    }

    fn expr(&self, expr: &Expr) -> String {
        let mut out = format!("{{{}", self.base(&expr.base));
        let mut add = |key: &str, value: String| {
            let _ = write!(out, ", {key} {value}");
        };
        for text in sorted(expr.null.iter().map(|text| quote(text))) {
            add("null", text);
        }
        for (key, flag) in [
            ("trim", expr.trim),
            ("lower", expr.lower),
            ("newlines", expr.newlines),
            ("round", expr.round),
        ] {
            if flag {
                add(key, "true".to_owned());
            }
        }
        expr.strip_prefix.iter().for_each(|text| add("strip_prefix", quote(text)));
        expr.strip_suffix.iter().for_each(|text| add("strip_suffix", quote(text)));
        expr.map.iter().for_each(|name| add("map", self.map(name)));
        match expr.map_other {
            MapOther::Reject => {}
            MapOther::Keep => add("map_other", "keep".to_owned()),
            MapOther::Null => add("map_other", "null".to_owned()),
        }
        expr.list.iter().for_each(|list| add("list", list_of(list)));
        expr.matches.iter().for_each(|regex| add("matches", quote(&regex.value)));
        expr.max_chars.iter().for_each(|chars| add("max_chars", chars.to_string()));
        expr.kind.iter().for_each(|kind| add("type", kind.value.name()));
        expr.timestamp.iter().for_each(|format| add("timestamp", quote(&format.value)));
        expr.start.iter().for_each(|start| add("start", self.expr(start)));
        expr.timezone.iter().for_each(|zone| add("timezone", quote(&zone.value)));
        match expr.fold {
            Fold::Reject => {}
            Fold::Earlier => add("fold", "earlier".to_owned()),
            Fold::Later => add("fold", "later".to_owned()),
        }
        expr.default.iter().for_each(|literal| add("default", literal_of(literal)));
        match expr.invalid {
            Invalid::Reject => {}
            Invalid::Null => add("invalid", "null".to_owned()),
            Invalid::Default => add("invalid", "default".to_owned()),
        }
        out.push('}');
        out
    }

    /// The pairs of a map: its name means nothing.
    fn map(&self, name: &At<String>) -> String {
        let pairs = self.plan.map(&name.value).map(|map| map.pairs.as_slice()).unwrap_or_default();
        let pairs =
            sorted(pairs.iter().map(|(old, new)| format!("{} {}", quote(old), literal_of(new))));
        format!("[{}]", pairs.join(" "))
    }
}

fn column_of(column: &super::SourceColumn) -> String {
    let null = column
        .null
        .as_ref()
        .map(|texts| format!("null [{}]", sorted(texts.iter().map(|text| quote(text))).join(" ")));
    let kind = column.kind.as_ref().map(|kind| format!("type {}", kind.value.name()));
    null.into_iter().chain(kind).collect::<Vec<_>>().join(" ")
}

fn duplicates_of(duplicates: &Duplicates) -> String {
    let mut out = match &duplicates.by {
        DuplicatesBy::Record => "record".to_owned(),
        DuplicatesBy::Columns(columns) => {
            format!("[{}]", sorted(columns.iter().map(|column| quote(&column.value))).join(" "))
        }
    };
    match duplicates.scope {
        DuplicatesScope::Table => {}
        DuplicatesScope::File => out.push_str(" file"),
    }
    match duplicates.conflict {
        DuplicateConflict::Map => {}
        DuplicateConflict::Reject => out.push_str(" reject"),
    }
    out
}

fn rule_of(rule: &Rule) -> String {
    let severity = match rule.severity {
        Severity::Reject => "",
        Severity::Warn => " warn",
    };
    format!("{} {}{severity}", quote(&rule.name.value), quote(&rule.cel.value))
}

fn list_of(list: &ListRule) -> String {
    let split = sorted(list.split.iter().map(|text| quote(text))).join(" ");
    format!("[{split}]{}", if list.unique { " unique" } else { "" })
}

fn literal_of(literal: &Literal) -> String {
    match literal {
        Literal::Bool(flag) => flag.to_string(),
        Literal::Int(number) => number.to_string(),
        Literal::Float(number) => format!("float {:016x}", number.to_bits()),
        Literal::Text(text) => quote(text),
    }
}

fn sorted<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort();
    items
}

fn sorted_by_name(named: &[(At<String>, Expr)]) -> Vec<(&str, &Expr)> {
    let mut named: Vec<(&str, &Expr)> =
        named.iter().map(|(name, expr)| (name.value.as_str(), expr)).collect();
    named.sort_by_key(|(name, _)| *name);
    named
}

/// The text in quotes, one line, nothing else written the same way.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

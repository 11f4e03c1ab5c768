//! Checks of a whole plan that need no data: names lead somewhere, parts fit together.
//!
//! What needs the target's catalogue, a CEL or regular expression compiled, or a file opened is
//! checked where those are known.

use super::read::{Notes, bounded, quoted};
use super::suggest::did_you_mean;
use super::{
    Aggregate, Asks, At, Base, Check, CheckOn, DuplicatesBy, Each, Expr, Fact, Format, Plan, Query,
    Ready, Relate, Source, Span, TableMapping, codes,
};

/// Notes everything that does not fit together.
pub(super) fn check(plan: &Plan, notes: &Notes<'_>) {
    check_name(plan, notes);
    for source in &plan.sources {
        check_source(source, notes);
    }
    for (index, table) in plan.tables.iter().enumerate() {
        check_not_the_ledgers(&table.into, notes);
        check_filled_once(&plan.tables[..index], table, notes);
        check_from(plan, table, notes);
        check_each(plan, table, notes);
        check_columns(table, notes);
        for expr in expressions(table) {
            check_expr(plan, table, expr, notes);
        }
    }
    for (index, relate) in plan.relates.iter().enumerate() {
        check_relate(&plan.relates[..index], relate, notes);
    }
    for (index, check) in plan.checks.iter().enumerate() {
        check_rule(plan, &plan.checks[..index], check, notes);
    }
    for (index, query) in plan.queries.iter().enumerate() {
        check_query(&plan.queries[..index], query, notes);
    }
    check_cycles(plan, notes);
}

/// Indexes of tables in the order of the file, parents before children.
///
/// Tables in a circle, which no decoded plan has, come last.
pub(super) fn order(tables: &[TableMapping]) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::with_capacity(tables.len());
    loop {
        let ready = |index: &usize| {
            let parents = parents(tables, *index);
            !order.contains(index) && parents.iter().all(|(parent, _)| order.contains(parent))
        };
        match (0..tables.len()).find(ready) {
            Some(next) => order.push(next),
            None => break,
        }
    }
    let circle: Vec<usize> = (0..tables.len()).filter(|index| !order.contains(index)).collect();
    order.extend(circle);
    order
}

/// Tables that a table refers to, and where it does.
fn parents(tables: &[TableMapping], index: usize) -> Vec<(usize, &At<String>)> {
    let mut found = Vec::new();
    for expr in expressions(&tables[index]) {
        if let Base::Ref { table, .. } = &expr.base {
            let parent = tables.iter().position(|other| other.into.value == table.value);
            found.extend(parent.map(|parent| (parent, table)));
        }
    }
    found
}

/// Every expression of a table, nested ones too.
fn expressions(table: &TableMapping) -> Vec<&Expr> {
    let mut all = Vec::new();
    let lets = table.lets.iter().map(|(_, expr)| expr);
    let columns = table.columns.iter().map(|(_, expr)| expr);
    let legacy_key = table.legacy_key.iter().flatten();
    for expr in lets.chain(columns).chain(legacy_key) {
        expr.walk(&mut |expr| all.push(expr));
    }
    all
}

const NAME_CHARS_MAX: usize = 100;

fn check_name(plan: &Plan, notes: &Notes<'_>) {
    let name = &plan.name;
    if name.value.chars().any(char::is_control) || name.value.chars().count() > NAME_CHARS_MAX {
        let message = format!("`name` must be one line of at most {NAME_CHARS_MAX} characters");
        notes.error(codes::NAME, name.span.clone(), message, None);
    }
}

fn check_source(source: &Source, notes: &Notes<'_>) {
    let name = &source.name;
    let usable = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.value.is_empty() || !name.value.chars().all(usable) {
        let message = format!("a source cannot be called {}", notes.shown(name));
        let help = "use ASCII letters, digits, `-` and `_`".to_owned();
        notes.error(codes::NAME, name.span.clone(), message, Some(help));
    }
    for column in source
        .archive
        .iter()
        .filter(|column| source.ignore.iter().any(|it| it.value == column.value))
    {
        let message =
            format!("{} stands both under `ignore` and under `archive`", notes.shown(column));
        notes.error(codes::TWICE, column.span.clone(), message, None);
    }
    match &source.format {
        Format::Csv(dialect) => {
            let bytes = [Some(dialect.delimiter), dialect.quote, dialect.comment];
            if let Some(byte) = repeated(&bytes) {
                let message = format!(
                    "{} has two meanings in `[source.{}]`",
                    bounded(&format!("`{}`", char::from(byte))),
                    bounded(&name.value)
                );
                let help = "`delimiter`, `quote` and `comment` must differ".to_owned();
                notes.error(codes::TWICE, name.span.clone(), message, Some(help));
            }
            if !dialect.header && dialect.names.is_empty() {
                let message = format!(
                    "`names` is missing in `[source.{}]`: its files have no header",
                    name.value
                );
                notes.error(
                    codes::MISSING,
                    name.span.clone(),
                    message,
                    Some("for example `names = [\"id\"]`".to_owned()),
                );
            }
        }
        Format::Json { .. } | Format::JsonLines | Format::Markdown | Format::Text => {}
        Format::Database(_) => {
            for column in source.columns.iter().filter(|column| column.null.is_some()) {
                let message = format!(
                    "`null` means nothing for {}: a database has NULL itself",
                    notes.shown(&column.name)
                );
                let help = "`null` of an expression makes texts NULL".to_owned();
                notes.error(codes::NEEDS, column.name.span.clone(), message, Some(help));
            }
        }
    }
}

fn repeated(bytes: &[Option<u8>]) -> Option<u8> {
    let is_repeated =
        |(index, byte): (usize, &Option<u8>)| byte.filter(|_| bytes[..index].contains(byte));
    bytes.iter().enumerate().find_map(is_repeated)
}

/// Where engines have no schemas of their own for it, the ledger's tables begin so.
const LEDGER_PREFIX: &str = "whimbrel_";

/// Where engines have schemas, the ledger's tables stand in this one.
const LEDGER_SCHEMA: &str = "whimbrel.";

fn check_not_the_ledgers(table: &At<String>, notes: &Notes<'_>) {
    let begins = |with: &str| {
        let head = table.value.as_bytes().get(..with.len());
        // Engines find a table's name in any case.
        head.is_some_and(|head| head.eq_ignore_ascii_case(with.as_bytes()))
    };
    if begins(LEDGER_PREFIX) || begins(LEDGER_SCHEMA) {
        let message = format!("the name {} is the ledger's", notes.shown(table));
        let help = format!("name a table that does not begin with `{LEDGER_PREFIX}`");
        notes.error(codes::RESERVED, table.span.clone(), message, Some(help));
    }
}

fn check_relate(before: &[Relate], relate: &Relate, notes: &Notes<'_>) {
    let name = &relate.name;
    if name.value.chars().any(char::is_control) || name.value.chars().count() > NAME_CHARS_MAX {
        let message = format!("`name` must be one line of at most {NAME_CHARS_MAX} characters");
        notes.error(codes::NAME, name.span.clone(), message, None);
    }
    if !name.value.is_empty() && before.iter().any(|other| other.name.value == name.value) {
        let message = format!("two `[[relate]]` are called {}", notes.shown(name));
        notes.error(codes::TWICE, name.span.clone(), message, None);
    }
    for table in &relate.writes {
        check_not_the_ledgers(table, notes);
    }
}

fn check_rule(plan: &Plan, before: &[Check], check: &Check, notes: &Notes<'_>) {
    let name = &check.name;
    if name.value.chars().any(char::is_control) || name.value.chars().count() > NAME_CHARS_MAX {
        let message = format!("`name` must be one line of at most {NAME_CHARS_MAX} characters");
        notes.error(codes::NAME, name.span.clone(), message, None);
    }
    if !name.value.is_empty() && before.iter().any(|other| other.name.value == name.value) {
        let message = format!("two `[[check]]` are called {}", notes.shown(name));
        notes.error(codes::TWICE, name.span.clone(), message, None);
    }
    if let Asks::Ready { ready: Ready::Orphans { columns, key, .. }, .. } = &check.asks
        && !key.is_empty()
        && key.len() != columns.len()
    {
        let message = "`key` must have as many columns as `columns`".to_owned();
        notes.error(codes::BY_PARTS, key[0].span.clone(), message, None);
    }
    match &check.on {
        CheckOn::Target => check_rule_of_target(check, notes),
        CheckOn::Source(source) => check_rule_of_source(plan, check, source, notes),
    }
}

fn check_query(before: &[Query], query: &Query, notes: &Notes<'_>) {
    let name = &query.name;
    if name.value.chars().any(char::is_control) || name.value.chars().count() > NAME_CHARS_MAX {
        let message = format!("`name` must be one line of at most {NAME_CHARS_MAX} characters");
        notes.error(codes::NAME, name.span.clone(), message, None);
    }
    if !name.value.is_empty() && before.iter().any(|other| other.name.value == name.value) {
        let message = format!("two `[[query]]` are called {}", notes.shown(name));
        notes.error(codes::TWICE, name.span.clone(), message, None);
    }
}

fn check_rule_of_target(check: &Check, notes: &Notes<'_>) {
    let (Asks::Rows { table, .. } | Asks::Ready { table, .. }) = &check.asks else { return };
    match table {
        Some(table) => check_not_the_ledgers(table, notes),
        None if matches!(&check.asks, Asks::Rows { cel, .. } if cel.value.is_empty()) => {}
        None => {
            let message = "`table` is missing in `[[check]]`: which rows are meant?".to_owned();
            let help = "a check of a source has `source = \"…\"` instead".to_owned();
            notes.error(codes::MISSING, check.span.clone(), message, Some(help));
        }
    }
}

fn check_rule_of_source(plan: &Plan, check: &Check, name: &At<String>, notes: &Notes<'_>) {
    let known = |name: &At<String>| {
        let found = plan.source(&name.value);
        if found.is_none() && !name.value.is_empty() {
            let names = plan.sources.iter().map(|source| source.name.value.as_str());
            let message = format!("unknown source {}", notes.shown(name));
            let help = did_you_mean(&name.value, names);
            notes.error(codes::UNKNOWN_SOURCE, name.span.clone(), message, help);
        }
        found
    };
    let source = known(name);
    if let Asks::Rows { table: Some(table), .. } | Asks::Ready { table: Some(table), .. } =
        &check.asks
    {
        let message = "`table` is the target's, and the check is of a source".to_owned();
        notes.error(codes::NEEDS, table.span.clone(), message, None);
    }
    match &check.asks {
        Asks::Sql(sql) if source.is_some_and(|source| source.database().is_none()) => {
            let message = format!("{} is no database: it has no SQL", notes.shown(name));
            let help = "`rows` says in CEL what must hold for each record".to_owned();
            notes.error(codes::NO_SQL, sql.span.clone(), message, Some(help));
        }
        Asks::Ready { ready: Ready::Orphans { references, key, .. }, .. } => {
            known(references);
            if key.is_empty() {
                let message = "`key` is missing in `[[check]]`: records have none of their own";
                notes.error(codes::MISSING, check.span.clone(), message.to_owned(), None);
            }
        }
        Asks::Rows { .. } | Asks::Sql(_) | Asks::Command { .. } | Asks::Ready { .. } => {}
    }
}

/// A row per file needs files.
fn check_each(plan: &Plan, table: &TableMapping, notes: &Notes<'_>) {
    if let (Each::File, Some(source)) = (&table.each, database_of(plan, table)) {
        let message =
            format!("`each = \"file\"` of a database: {} has no files", notes.shown(source));
        notes.error(codes::NO_FILE, table.span.clone(), message, None);
    }
}

/// The first of a table's sources that is a database.
fn database_of<'a>(plan: &'a Plan, table: &'a TableMapping) -> Option<&'a At<String>> {
    let is_database =
        |from: &&At<String>| plan.source(&from.value).is_some_and(|it| it.database().is_some());
    table.from.iter().find(is_database)
}

fn check_filled_once(before: &[TableMapping], table: &TableMapping, notes: &Notes<'_>) {
    let into = &table.into;
    if !into.value.is_empty() && before.iter().any(|other| other.into.value == into.value) {
        let message = format!("two tables fill {}", notes.shown(into));
        let help = "an ordered union, `from = [\"a\", \"b\"]`, fills it from both".to_owned();
        notes.error(codes::TWICE, into.span.clone(), message, Some(help));
    }
}

fn check_from(plan: &Plan, table: &TableMapping, notes: &Notes<'_>) {
    for from in &table.from {
        if plan.source(&from.value).is_none() && !from.value.is_empty() {
            let names = plan.sources.iter().map(|source| source.name.value.as_str());
            let message = format!("unknown source {}", notes.shown(from));
            notes.error(
                codes::UNKNOWN_SOURCE,
                from.span.clone(),
                message,
                did_you_mean(&from.value, names),
            );
        }
    }
}

fn check_columns(table: &TableMapping, notes: &Notes<'_>) {
    let by: &[At<String>] = match &table.duplicates {
        Some(duplicates) => match &duplicates.by {
            DuplicatesBy::Columns(columns) => columns,
            DuplicatesBy::Record => {
                check_by_record(table, notes);
                &[]
            }
        },
        None => &[],
    };
    for (what, columns) in [("key", table.key.as_slice()), ("duplicates", by)] {
        for column in columns
            .iter()
            .filter(|column| !table.columns.is_empty() && table.column(&column.value).is_none())
        {
            let names = table.columns.iter().map(|(name, _)| name.value.as_str());
            let message = format!(
                "`{what}` names {}, which `[table.columns]` does not fill",
                notes.shown(column)
            );
            let help = did_you_mean(&column.value, names);
            notes.error(codes::UNKNOWN_COLUMN, column.span.clone(), message, help);
        }
    }
}

fn check_by_record(table: &TableMapping, notes: &Notes<'_>) {
    match table.each {
        Each::Record => {}
        Each::File | Each::Element(_) => {
            let message =
                "`by = \"record\"` compares records, and a row of this table is none".to_owned();
            let help = "name the columns that are compared".to_owned();
            notes.error(codes::EACH, table.span.clone(), message, Some(help));
        }
    }
}

fn check_expr(plan: &Plan, table: &TableMapping, expr: &Expr, notes: &Notes<'_>) {
    if let Some(map) = &expr.map
        && plan.map(&map.value).is_none()
    {
        let names = plan.maps.iter().map(|map| map.name.value.as_str());
        let message = format!("unknown map {}", notes.shown(map));
        notes.error(codes::UNKNOWN_MAP, map.span.clone(), message, did_you_mean(&map.value, names));
    }
    match &expr.base {
        Base::Field(field) => check_field(table, field, notes),
        Base::Fact(fact) => {
            check_fact(table, fact, notes);
            check_fact_of_file(plan, table, fact, notes);
        }
        Base::Ref { table: parent, by, .. } => check_ref(plan, parent, by, &expr.span, notes),
        Base::Aggregate { of, .. } => check_aggregate(table, *of, &expr.span, notes),
        Base::BySource(named) => check_by_source(table, named, &expr.span, notes),
        Base::Value(_)
        | Base::First(_)
        | Base::Concat { .. }
        | Base::Split { .. }
        | Base::Uuid5(_)
        | Base::Cel(_)
        | Base::Hash { .. }
        | Base::Object(_)
        | Base::JsonChecksum(_) => {}
    }
}

/// A whole file has no single value of a field.
fn check_field(table: &TableMapping, field: &At<String>, notes: &Notes<'_>) {
    let is_let = table.lets.iter().any(|(name, _)| name.value == field.value);
    if table.each == Each::File && !is_let {
        let message =
            format!("a file has no single {}: each row stands for a file", notes.shown(field));
        let help =
            "say which record's: `{ last = … }`, `{ first_of = … }`, `{ max = … }`".to_owned();
        notes.error(codes::EACH, field.span.clone(), message, Some(help));
    }
}

fn check_fact(table: &TableMapping, fact: &At<Fact>, notes: &Notes<'_>) {
    let fits = match fact.value {
        Fact::FileText => matches!(table.each, Each::File),
        Fact::Element | Fact::ElementNumber => matches!(table.each, Each::Element(_)),
        Fact::RecordNumber | Fact::RecordLine | Fact::RecordText | Fact::RecordJson => {
            matches!(table.each, Each::Record | Each::Element(_))
        }
        Fact::FilePath
        | Fact::FileName
        | Fact::FileStem
        | Fact::FileDir
        | Fact::FileSuffix
        | Fact::FileMtime
        | Fact::FileSize
        | Fact::FileSha256
        | Fact::FileBlake3
        | Fact::SourceName
        | Fact::SourceOrdinal
        | Fact::PlanTimezone => true,
    };
    if !fits {
        let row = match &table.each {
            Each::Record => "a record",
            Each::File => "a file",
            Each::Element(_) => "an element",
        };
        let message =
            format!("the fact `{}` does not exist where a row stands for {row}", fact.value.name());
        notes.error(codes::EACH, fact.span.clone(), message, None);
    }
}

/// Whether the fact is one about files.
fn of_file(fact: Fact) -> bool {
    match fact {
        Fact::FilePath
        | Fact::FileName
        | Fact::FileStem
        | Fact::FileDir
        | Fact::FileSuffix
        | Fact::FileMtime
        | Fact::FileSize
        | Fact::FileSha256
        | Fact::FileBlake3
        | Fact::FileText
        | Fact::RecordLine => true,
        Fact::RecordNumber
        | Fact::RecordText
        | Fact::RecordJson
        | Fact::ElementNumber
        | Fact::Element
        | Fact::SourceName
        | Fact::SourceOrdinal
        | Fact::PlanTimezone => false,
    }
}

fn check_fact_of_file(plan: &Plan, table: &TableMapping, fact: &At<Fact>, notes: &Notes<'_>) {
    // Of a union, `by_source` may ask it for the files alone.
    let every =
        |from: &At<String>| plan.source(&from.value).is_some_and(|it| it.database().is_some());
    if of_file(fact.value) && !table.from.is_empty() && table.from.iter().all(every) {
        let message = format!(
            "the fact `{}` is about files, and the table reads from a database",
            fact.value.name()
        );
        notes.error(codes::NO_FILE, fact.span.clone(), message, None);
    }
}

fn check_aggregate(table: &TableMapping, of: Aggregate, span: &Span, notes: &Notes<'_>) {
    if table.each != Each::File {
        let message =
            format!("`{}` looks at all records of a file, and this row stands for one", of.name());
        let help = "a table with `each = \"file\"` can say it".to_owned();
        notes.error(codes::EACH, span.clone(), message, Some(help));
    }
}

fn check_ref(plan: &Plan, parent: &At<String>, by: &[Expr], span: &Span, notes: &Notes<'_>) {
    let Some(table) = plan.table(&parent.value) else {
        let names = plan.tables.iter().map(|table| table.into.value.as_str());
        let message = format!("unknown table {}: no `[[table]]` fills it", notes.shown(parent));
        notes.error(
            codes::UNKNOWN_TABLE,
            parent.span.clone(),
            message,
            did_you_mean(&parent.value, names),
        );
        return;
    };
    let parts = table.legacy_key_parts().len();
    let complete = !by.is_empty() && parts > 0;
    if complete && by.len() != parts {
        let message = format!(
            "`by` has {} parts, and the old key of {} has {parts}",
            by.len(),
            notes.shown(parent)
        );
        notes.error(codes::BY_PARTS, span.clone(), message, None);
    }
}

fn check_by_source(
    table: &TableMapping,
    named: &[(At<String>, Expr)],
    span: &Span,
    notes: &Notes<'_>,
) {
    let sources = || table.from.iter().map(|from| from.value.as_str());
    if table.from.is_empty() || named.is_empty() {
        return;
    }
    for (name, _) in named.iter().filter(|(name, _)| sources().all(|from| from != name.value)) {
        let message = format!("{} is not among the table's sources", notes.shown(name));
        notes.error(
            codes::BY_SOURCE,
            name.span.clone(),
            message,
            did_you_mean(&name.value, sources()),
        );
    }
    let missing: Vec<&str> =
        sources().filter(|from| named.iter().all(|(name, _)| name.value != *from)).collect();
    if !missing.is_empty() {
        let message = format!("`by_source` says nothing for {}", quoted(&missing));
        let help = "NULL is written `{ cel = \"null\" }`".to_owned();
        notes.error(codes::BY_SOURCE, span.clone(), message, Some(help));
    }
}

/// References must not come back to where they began.
fn check_cycles(plan: &Plan, notes: &Notes<'_>) {
    let mut told = vec![false; plan.tables.len()];
    for start in 0..plan.tables.len() {
        let Some(circle) = circle_from(&plan.tables, start)
            .filter(|circle| !circle.iter().any(|(at, _)| told[*at]))
        else {
            continue;
        };
        let mut path = String::new();
        for (table, _) in &circle {
            told[*table] = true;
            path.push_str(&notes.shown(&plan.tables[*table].into));
            path.push_str(" → ");
        }
        path.push_str(&notes.shown(&plan.tables[start].into));
        notes.error(
            codes::CYCLE,
            circle[0].1.span.clone(),
            format!("tables refer to each other in a circle: {path}"),
            None,
        );
    }
}

/// The shortest way from a table along its references back to it: each table with the reference
/// that leaves it.
fn circle_from(tables: &[TableMapping], start: usize) -> Option<Vec<(usize, &At<String>)>> {
    let mut ways: Vec<Vec<(usize, &At<String>)>> = vec![Vec::new()];
    let mut ends = vec![start];
    let mut seen = vec![false; tables.len()];
    let mut next = 0;
    while next < ends.len() {
        let at = ends[next];
        for (parent, reference) in parents(tables, at) {
            let mut way = ways[next].clone();
            way.push((at, reference));
            if parent == start {
                return Some(way);
            }
            if !std::mem::replace(&mut seen[parent], true) {
                ends.push(parent);
                ways.push(way);
            }
        }
        next += 1;
    }
    None
}

impl Fact {
    /// Its name in plans.
    pub fn name(self) -> &'static str {
        let named = Self::ALL.iter().find(|(_, fact)| *fact == self);
        named.map_or("", |(name, _)| *name)
    }
}

impl Aggregate {
    /// Its key in plans.
    pub fn name(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::FirstOf => "first_of",
            Self::Count => "count",
            Self::Min => "min",
            Self::Max => "max",
            Self::Sum => "sum",
        }
    }
}

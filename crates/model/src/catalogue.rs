//! What a database holds, as its catalogue says it and a look at its rows confirms it: tables,
//! columns, keys, references, and what is odd about the values. Plain data; no engine.
//!
//! [`Catalogue::arrange`] puts parents before their children and names the circles among them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::Kind;

/// The tables of a database.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Catalogue {
    /// `sqlite`, `postgres` or `mysql`.
    pub engine: &'static str,
    /// Engine and version as it calls itself: `PostgreSQL 15.3`.
    pub version: String,
    /// The database's URL as people may see it.
    pub shown: String,
    /// Tables; after [`Catalogue::arrange`] parents first.
    pub tables: Vec<TableEntry>,
    /// Tables that refer to each other in a circle; a table that refers to itself is one too.
    pub circles: Vec<Vec<String>>,
    /// Views and whatever else has columns and is not read.
    pub left_out: Vec<LeftOut>,
}

/// Schema and name of a table as a plan says it: a dot separates them. Each of them may stand in the
/// engine's quotes, and a schema with a dot of its own has to: `"a.b"."c"`.
pub fn apart(said: &str, quote: char) -> (Option<Cow<'_, str>>, Cow<'_, str>) {
    match unquoted(said, quote) {
        Some((name, "")) => return (None, Cow::Owned(name)),
        Some((schema, rest)) => {
            if let Some(name) = rest.strip_prefix('.').filter(|name| !name.is_empty()) {
                return (Some(Cow::Owned(schema)), bare(name, quote));
            }
        }
        None => {}
    }
    match said.split_once('.') {
        Some((schema, name)) if !schema.is_empty() && !name.is_empty() => {
            (Some(Cow::Borrowed(schema)), bare(name, quote))
        }
        Some(_) | None => (None, Cow::Borrowed(said)),
    }
}

/// A name without the quotes that it stands in, where it does as a whole.
fn bare(name: &str, quote: char) -> Cow<'_, str> {
    match unquoted(name, quote) {
        Some((name, "")) => Cow::Owned(name),
        Some(_) | None => Cow::Borrowed(name),
    }
}

/// A name in quotes, doubled inside of it, at the beginning of a text; and the rest.
fn unquoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix(quote)?;
    let mut name = String::new();
    loop {
        let (part, after) = rest.split_once(quote)?;
        name.push_str(part);
        match after.strip_prefix(quote) {
            Some(after) => {
                name.push(quote);
                rest = after;
            }
            None => return (!name.is_empty()).then_some((name, after)),
        }
    }
}

/// How a plan says a table of a server, so that [`apart`] reads it: in quotes only where it must be.
pub fn together(schema: Option<&str>, name: &str, quote: char) -> String {
    let plain = schema.map_or_else(|| name.to_owned(), |schema| format!("{schema}.{name}"));
    let read = apart(&plain, quote);
    if read.0.as_deref() == schema && read.1 == name {
        return plain;
    }
    let quoted = |part: &str| {
        let doubled = part.replace(quote, &format!("{quote}{quote}"));
        format!("{quote}{doubled}{quote}")
    };
    schema.map_or_else(|| quoted(name), |schema| format!("{}.{}", quoted(schema), quoted(name)))
}

/// Something that is no table, or none that is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeftOut {
    /// Its name.
    pub name: String,
    /// What it is: `view`, `virtual table` …
    pub what: &'static str,
}

/// A table.
#[derive(Clone, PartialEq, Debug)]
pub struct TableEntry {
    /// Its name as a plan says it: with its schema where that is not the usual one.
    pub name: String,
    /// Its columns.
    pub columns: Vec<ColumnEntry>,
    /// Columns of the primary key.
    pub key: Vec<String>,
    /// Columns of further unique keys, each over whole columns and all rows.
    pub uniques: Vec<Vec<String>>,
    /// Unique indexes over expressions, beginnings of columns or some of the rows.
    pub partial_uniques: u64,
    /// References to other tables.
    pub references: Vec<Reference>,
    /// CHECK constraints.
    pub checks: u64,
    /// COLLATE clauses of its text, where columns do not tell theirs.
    pub collations: u64,
    /// Triggers.
    pub triggers: u64,
    /// How many rows there are.
    pub rows: Rows,
    /// Bytes that it takes with its indexes, where the engine tells.
    pub bytes: Option<u64>,
    /// Partitions; 0 where it is not partitioned.
    pub partitions: u64,
    /// Rows whose key, or a part of it, is NULL: SQLite allows it.
    pub null_keys: u64,
    /// MySQL's storage engine, where it is one without transactions.
    pub storage: Option<String>,
}

/// How many rows a table has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rows {
    /// Counted.
    Exact(u64),
    /// As the engine's planner believes; such a table's rows were not looked at.
    Estimate(u64),
}

impl Rows {
    /// The number, whatever it rests on.
    pub fn count(self) -> u64 {
        match self {
            Self::Exact(count) | Self::Estimate(count) => count,
        }
    }
}

/// A column.
#[derive(Clone, PartialEq, Debug)]
pub struct ColumnEntry {
    /// Its name.
    pub name: String,
    /// Its type as the engine spells it.
    pub declared: String,
    /// The kind that means.
    pub kind: Kind,
    /// False where NULL is refused.
    pub nullable: bool,
    /// Its default, as the engine spells it.
    pub default: Option<String>,
    /// Its collation, where that is not its engine's usual one, or takes different texts for equal.
    pub collation: Option<String>,
    /// Who fills it.
    pub filled: Filled,
    /// Labels of an enumeration or a set.
    pub labels: Vec<String>,
    /// Rows in which it is NULL.
    pub nulls: u64,
    /// Most characters of a text.
    pub chars_max: Option<u64>,
    /// What is odd about values, and how many of them are.
    pub odd: Vec<(Oddity, u64)>,
}

/// Who fills a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Filled {
    /// Whoever writes the row.
    ByRow,
    /// The engine counts, where the row says nothing.
    Identity,
    /// The engine computes it from others.
    Generated,
}

/// What not every engine holds, or what the column's type does not promise.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Oddity {
    /// Stored in another class than declared (SQLite): `text`, `integer`, `real`, `blob`.
    Class(&'static str),
    /// Longer than the type says.
    TooLong,
    /// A date whose year, month or day is zero.
    ZeroDate,
    /// U+0000 in a text.
    Nul,
    /// NaN or an infinity.
    NotFinite,
    /// A date or instant at infinity.
    Endless,
    /// A year before 1 or after 9999.
    OutsideYears,
    /// An instant outside of 1970-01-01 00:00:01 to 2038-01-19 03:14:07.
    OutsideUnix,
    /// A time of day below zero or past 24 hours.
    OutsideDay,
}

/// Columns that lead to a row of another table, or of the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reference {
    /// Its columns.
    pub columns: Vec<String>,
    /// The table that they lead to.
    pub parent: String,
    /// The columns there.
    pub parent_columns: Vec<String>,
    /// What becomes of a row whose parent goes or changes, where something does: `ON DELETE CASCADE`.
    pub actions: Option<String>,
    /// True where nothing declares it, but names suggest it: `user_id` and `users.id`.
    pub guessed: bool,
    /// Rows without their parent; `None` where nobody looked.
    pub orphans: Option<u64>,
}

/// What a reference does beside refusing, from the rules of SQL's catalogues.
pub fn actions(on_delete: &str, on_update: &str) -> Option<String> {
    let told = |event: &str, rule: &str| {
        let is_refusal = matches!(rule, "NO ACTION" | "RESTRICT" | "");
        (!is_refusal).then(|| format!("ON {event} {rule}"))
    };
    let both: Vec<String> =
        [told("DELETE", on_delete), told("UPDATE", on_update)].into_iter().flatten().collect();
    (!both.is_empty()).then(|| both.join(" "))
}

impl Catalogue {
    /// The table of that name.
    pub fn table(&self, name: &str) -> Option<&TableEntry> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// Puts parents before their children, by name where that is free, and finds the circles.
    ///
    /// Within a circle the references that may be NULL are the ones that point backwards, as far
    /// as that goes. What is only guessed gives way to what is declared.
    pub fn arrange(&mut self) {
        self.tables.sort_by(|a, b| a.name.cmp(&b.name));
        let all: Vec<usize> = (0..self.tables.len()).collect();
        self.circles = self
            .groups(&all, Edge::Declared)
            .into_iter()
            .filter(|group| group.len() > 1 || self.refers_to_itself(group[0]))
            .map(|group| group.iter().map(|at| self.tables[*at].name.clone()).collect())
            .collect();
        let order = self.order(&all, Edge::Any);
        let mut tables: Vec<Option<TableEntry>> =
            std::mem::take(&mut self.tables).into_iter().map(Some).collect();
        self.tables = order.into_iter().filter_map(|at| tables[at].take()).collect();
    }

    /// True where a row of `table` may be loaded before the parent that this reference leads to:
    /// the parent's table does not come before.
    pub fn points_ahead(&self, table: &str, reference: &Reference) -> bool {
        let place = |name: &str| self.tables.iter().position(|table| table.name == name);
        match (place(table), place(&reference.parent)) {
            (Some(child), Some(parent)) => parent >= child,
            (_, _) => false,
        }
    }

    fn refers_to_itself(&self, at: usize) -> bool {
        let table = &self.tables[at];
        table.references.iter().any(|one| !one.guessed && one.parent == table.name)
    }

    fn order(&self, tables: &[usize], edge: Edge) -> Vec<usize> {
        let groups = self.groups(tables, edge);
        let mut order = Vec::with_capacity(tables.len());
        for group in groups {
            match (group.len(), edge.stronger()) {
                (1, _) | (_, None) => order.extend(group),
                (_, Some(stronger)) => order.extend(self.order(&group, stronger)),
            }
        }
        order
    }

    /// Strongly connected tables, parents' groups first, each group and equals among groups by
    /// their names.
    fn groups(&self, tables: &[usize], edge: Edge) -> Vec<Vec<usize>> {
        let places: BTreeMap<&str, usize> =
            tables.iter().map(|at| (self.tables[*at].name.as_str(), *at)).collect();
        let parents: BTreeMap<usize, Vec<usize>> =
            tables.iter().map(|at| (*at, self.parents(*at, edge, &places))).collect();
        let reach: BTreeMap<usize, BTreeSet<usize>> =
            tables.iter().map(|at| (*at, reachable(*at, &parents))).collect();
        let mut waiting: BTreeSet<usize> = tables.iter().copied().collect();
        let mut groups = Vec::new();
        while !waiting.is_empty() {
            let is_next = |at: &&usize| {
                let ahead = reach[*at].iter().filter(|parent| waiting.contains(parent));
                ahead.into_iter().all(|parent| reach[parent].contains(at) || parent == *at)
            };
            let first = *waiting.iter().find(is_next).expect("the graph of groups has no circle");
            let own = |at: &usize| {
                *at == first || (reach[&first].contains(at) && reach[at].contains(&first))
            };
            let group: Vec<usize> = waiting.iter().copied().filter(own).collect();
            group.iter().for_each(|at| {
                waiting.remove(at);
            });
            groups.push(group);
        }
        groups
    }

    /// Parents among the tables with these names; a table is none of its own.
    fn parents(&self, at: usize, edge: Edge, places: &BTreeMap<&str, usize>) -> Vec<usize> {
        let table = &self.tables[at];
        table
            .references
            .iter()
            .filter(|one| edge.counts(table, one))
            .filter_map(|one| places.get(one.parent.as_str()).copied())
            .filter(|parent| *parent != at)
            .collect()
    }
}

fn reachable(from: usize, parents: &BTreeMap<usize, Vec<usize>>) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let mut next = vec![from];
    while let Some(at) = next.pop() {
        next.extend(parents[&at].iter().copied().filter(|parent| seen.insert(*parent)));
    }
    seen
}

/// Which references count for an order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    Any,
    Declared,
    Required,
}

impl Edge {
    fn stronger(self) -> Option<Self> {
        match self {
            Self::Any => Some(Self::Declared),
            Self::Declared => Some(Self::Required),
            Self::Required => None,
        }
    }

    fn counts(self, table: &TableEntry, reference: &Reference) -> bool {
        match self {
            Self::Any => true,
            Self::Declared => !reference.guessed,
            Self::Required => {
                let required = |name: &String| table.column(name).is_some_and(|one| !one.nullable);
                !reference.guessed && reference.columns.iter().all(required)
            }
        }
    }
}

impl TableEntry {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&ColumnEntry> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// What identifies a row: the primary key, else the first unique key that is never NULL.
    pub fn identity(&self) -> Option<&[String]> {
        if !self.key.is_empty() {
            return Some(&self.key);
        }
        let whole = |names: &&Vec<String>| {
            names.iter().all(|name| self.column(name).is_some_and(|column| !column.nullable))
        };
        self.uniques.iter().find(whole).map(Vec::as_slice)
    }
}

impl ColumnEntry {
    /// How many values have that oddity.
    pub fn count(&self, oddity: Oddity) -> u64 {
        self.odd.iter().find(|(one, _)| *one == oddity).map_or(0, |(_, count)| *count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(name: &str, references: &[(&str, &str)]) -> TableEntry {
        let column = |name: &str, nullable: bool| ColumnEntry {
            name: name.to_owned(),
            declared: String::new(),
            kind: Kind::Any,
            nullable,
            default: None,
            collation: None,
            filled: Filled::ByRow,
            labels: Vec::new(),
            nulls: 0,
            chars_max: None,
            odd: Vec::new(),
        };
        TableEntry {
            name: name.to_owned(),
            columns: vec![column("needed", false), column("maybe", true)],
            key: Vec::new(),
            uniques: Vec::new(),
            partial_uniques: 0,
            references: references
                .iter()
                .map(|(column, parent)| Reference {
                    columns: vec![column.trim_end_matches('?').to_owned()],
                    parent: (*parent).to_owned(),
                    parent_columns: vec!["id".to_owned()],
                    actions: None,
                    guessed: column.ends_with('?'),
                    orphans: None,
                })
                .collect(),
            checks: 0,
            collations: 0,
            triggers: 0,
            rows: Rows::Exact(0),
            bytes: None,
            partitions: 0,
            null_keys: 0,
            storage: None,
        }
    }

    fn arranged(tables: Vec<TableEntry>) -> (String, Vec<Vec<String>>) {
        let mut catalogue = Catalogue { tables, ..Catalogue::default() };
        catalogue.arrange();
        let names: Vec<&str> = catalogue.tables.iter().map(|one| one.name.as_str()).collect();
        (names.join(" "), catalogue.circles)
    }

    #[test]
    fn a_name_with_dots_and_quotes_is_read_as_it_was_said() {
        for (schema, name, said) in [
            (None, "orders", "orders"),
            (Some("sales"), "orders", "sales.orders"),
            (Some("sales"), "old.orders", "sales.old.orders"),
            (None, "c.d", "\"c.d\""),
            (Some("a.b"), "c.d", "\"a.b\".\"c.d\""),
            (Some("a"), "\"", "a.\""),
            (None, "\"q\"", "\"\"\"q\"\"\""),
            (Some("\"s\""), "t", "\"\"\"s\"\"\".\"t\""),
            (None, "\"", "\""),
            (None, "\"\"", "\"\""),
            (None, ".x", ".x"),
            (None, "x.", "x."),
            (None, ".", "."),
            (None, "\".\"", "\"\"\".\"\"\""),
        ] {
            assert_eq!(together(schema, name, '"'), said);
            let (read_schema, read_name) = apart(said, '"');
            assert_eq!((read_schema.as_deref(), read_name.as_ref()), (schema, name), "{said}");
        }
    }

    #[test]
    fn schema_and_name_may_each_stand_in_quotes() {
        for (said, schema, name) in [
            ("sales.\"c.d\"", Some("sales"), "c.d"),
            ("\"a.b\".c", Some("a.b"), "c"),
            ("\"a\"\"b\".c.d", Some("a\"b"), "c.d"),
            ("\"a\"b.c", Some("\"a\"b"), "c"),
            ("\"a\".", None, "\"a\"."),
            ("\"a", None, "\"a"),
        ] {
            let (read_schema, read_name) = apart(said, '"');
            assert_eq!((read_schema.as_deref(), read_name.as_ref()), (schema, name), "{said}");
        }
    }

    proptest! {
        #[test]
        fn every_name_is_read_as_it_was_said(
            schema in prop::option::of("[\"`.a]{1,5}"),
            name in "[\"`.a]{1,5}",
            quote in prop::sample::select(vec!['"', '`']),
        ) {
            let said = together(schema.as_deref(), &name, quote);
            let (read_schema, read_name) = apart(&said, quote);
            prop_assert_eq!((read_schema.as_deref(), read_name.as_ref()), (schema.as_deref(), &*name));
        }
    }

    #[test]
    fn parents_come_first_and_equals_by_name() {
        let (order, circles) = arranged(vec![
            table("a_orders", &[("needed", "users"), ("maybe", "shops")]),
            table("users", &[]),
            table("lines", &[("needed", "a_orders")]),
            table("shops", &[]),
        ]);
        assert_eq!(order, "shops users a_orders lines");
        assert!(circles.is_empty());
    }

    #[test]
    fn a_circle_is_named_and_opens_where_null_is_allowed() {
        let (order, circles) = arranged(vec![
            table("boss", &[("needed", "team")]),
            table("team", &[("maybe", "boss")]),
            table("zone", &[("needed", "boss")]),
        ]);
        assert_eq!(order, "team boss zone");
        assert_eq!(circles, [["boss", "team"]]);
    }

    #[test]
    fn a_table_that_refers_to_itself_is_a_circle_of_one() {
        let (order, circles) = arranged(vec![table("tree", &[("maybe", "tree")])]);
        assert_eq!((order.as_str(), circles.len()), ("tree", 1));
    }

    #[test]
    fn a_guess_orders_and_gives_way_to_what_is_declared() {
        let (order, circles) = arranged(vec![
            table("a", &[("maybe?", "b")]),
            table("b", &[("maybe", "a")]),
            table("c", &[("maybe?", "d")]),
            table("d", &[]),
        ]);
        assert_eq!(order, "a b d c");
        assert!(circles.is_empty());
    }

    #[test]
    fn a_reference_to_a_later_table_points_ahead() {
        let mut catalogue = Catalogue {
            tables: vec![table("boss", &[("needed", "team")]), table("team", &[("maybe", "boss")])],
            ..Catalogue::default()
        };
        catalogue.arrange();
        let ahead = |name: &str| {
            let table = catalogue.table(name).unwrap();
            catalogue.points_ahead(name, &table.references[0])
        };
        assert_eq!((ahead("team"), ahead("boss")), (true, false));
    }
}

//! A database as a plan that carries it over, table by table, and the schema for it: names and
//! kinds are kept, parents come first, and what the target cannot hold is said with its count.

use std::collections::BTreeSet;

use whimbrel_model::Kind;
use whimbrel_model::catalogue::{
    Catalogue, ColumnEntry, Filled, Oddity, Reference, Rows, TableEntry,
};
use whimbrel_model::kind::IntWidth;

use crate::database::{led, source_names, told};
use crate::init::{self, DraftError, DraftTable, PlanDraft, key, line, quoted, string};
use crate::kept;
use crate::names;
use crate::schema::{self, Engine, NewColumn, NewReference, NewTable, Words, foreign_key};
use crate::shown::{self, counted};

/// What the draft is for.
#[derive(Clone, Copy)]
pub struct CarryOptions<'a> {
    /// The plan's name.
    pub name: &'a str,
    /// The old database's URL as the plan shall say it, without secrets: `${SOURCE}`.
    pub source: &'a str,
    /// The target's URL as the plan shall say it; a SQLite file beside the plan where it is left out.
    pub target: Option<&'a str>,
    /// Folder of the schema, relative to the plan.
    pub schema: &'a str,
    /// The target's engine, in whose words the schema is written.
    pub words: Words<'a>,
}

/// The plan and the schema that carry a database over.
pub fn plan_for(
    catalogue: &Catalogue,
    options: &CarryOptions<'_>,
) -> Result<PlanDraft, DraftError> {
    let draft = Draft::new(catalogue, options.words.engine);
    if draft.tables.is_empty() {
        return Err(DraftError::Empty { folder: catalogue.shown.clone() });
    }
    let made: Vec<NewTable> = draft.tables.iter().map(|table| draft.made(table)).collect();
    let written = schema::write(&made, options.words);
    let engine = options.words.engine;
    let head = init::head(&shown::shown(&catalogue.shown, 200), engine);
    let path = format!("{}/{}/0001_tables.sql", options.schema, engine.name());
    let mut notes: Vec<String> = draft.tables.iter().flat_map(|table| draft.notes(table)).collect();
    notes.extend(written.notes);
    if !catalogue.left_out.is_empty() {
        let count = counted(
            catalogue.left_out.len() as u64,
            "view or other object is",
            "views and other objects are",
        );
        notes.push(format!("{count} not carried over; the plan names them"));
    }
    Ok(PlanDraft {
        plan: draft.plan(options),
        schema: vec![(path, head + &written.sql)],
        tables: draft.tables.iter().map(Table::facts).collect(),
        notes,
    })
}

struct Draft<'a> {
    catalogue: &'a Catalogue,
    engine: Engine,
    tables: Vec<Table<'a>>,
}

struct Table<'a> {
    entry: &'a TableEntry,
    source: String,
    name: String,
    /// The name as the plan says it.
    said: String,
    /// Old name and new name of every column.
    columns: Vec<(&'a ColumnEntry, String)>,
    /// Its key in the target.
    key: Vec<String>,
    /// True where that is the row's number.
    key_is_made: bool,
}

impl Table<'_> {
    fn facts(&self) -> DraftTable {
        DraftTable {
            source: self.source.clone(),
            table: self.said.clone(),
            key: self.key.join(", "),
            key_is_made: self.key_is_made,
            columns: self.columns.len() as u64 + u64::from(self.key_is_made),
            doubts: self.columns.iter().filter(|(column, _)| !column.odd.is_empty()).count() as u64,
        }
    }

    fn new_names(&self, names: &[String]) -> Option<Vec<String>> {
        let new = |name: &String| {
            self.columns.iter().find(|(column, _)| column.name == *name).map(|(_, new)| new.clone())
        };
        names.iter().map(new).collect()
    }
}

impl<'a> Draft<'a> {
    fn new(catalogue: &'a Catalogue, engine: Engine) -> Self {
        let mut taken = BTreeSet::new();
        let tables = source_names(catalogue)
            .into_iter()
            .zip(&catalogue.tables)
            .filter(|(_, entry)| !entry.columns.is_empty())
            .map(|(source, entry)| {
                let name = kept::table(&entry.name, catalogue.engine, engine, &mut taken);
                let mut used = BTreeSet::new();
                let columns: Vec<(&ColumnEntry, String)> = entry
                    .columns
                    .iter()
                    .map(|column| (column, kept::column(&column.name, engine, &mut used)))
                    .collect();
                let said = kept::said(&name, engine);
                let (key, key_is_made) = (Vec::new(), false);
                let mut table = Table { entry, source, name, said, columns, key, key_is_made };
                match entry.identity().and_then(|key| table.new_names(key)) {
                    Some(key) => table.key = key,
                    None => {
                        table.key = vec![kept::column("legacy_row", engine, &mut used)];
                        table.key_is_made = true;
                    }
                }
                table
            })
            .collect();
        Self { catalogue, engine, tables }
    }

    fn made(&self, table: &Table<'_>) -> NewTable {
        let entry = table.entry;
        let mut columns: Vec<NewColumn> = Vec::new();
        if table.key_is_made {
            columns.push(NewColumn {
                name: table.key[0].clone(),
                kind: Kind::Int(IntWidth::I64),
                required: true,
                counts: false,
                chars_max: None,
                from: "number of the row as it was read: the table has no key".to_owned(),
            });
        }
        columns.extend(table.columns.iter().map(|(column, name)| NewColumn {
            name: name.clone(),
            kind: column.kind,
            required: !column.nullable,
            counts: column.filled == Filled::Identity,
            chars_max: column.chars_max,
            from: if *name == column.name {
                from(column, self.catalogue.engine)
            } else {
                format!(
                    "{}, called `{}` before",
                    from(column, self.catalogue.engine),
                    shown::shown(&column.name, 60)
                )
            },
        }));
        let mut above = vec![shown::shown(&entry.name, 100)];
        for reference in &entry.references {
            if let Some(actions) = &reference.actions {
                above.push(format!("`{actions}` of {} left out", led(reference)));
            }
        }
        if entry.collations > 0 {
            let collations = counted(entry.collations, "COLLATE", "COLLATEs");
            above.push(format!(
                "{collations} of the old table left out: text is compared by its bytes"
            ));
        }
        if entry.checks > 0 {
            let checks = counted(entry.checks, "CHECK constraint", "CHECK constraints");
            above.push(format!("{checks} of the old table left out"));
        }
        if entry.triggers > 0 {
            let triggers = counted(entry.triggers, "trigger", "triggers");
            above.push(format!("{triggers} of the old table left out"));
        }
        if entry.partial_uniques > 0 {
            let indexes = counted(entry.partial_uniques, "unique index", "unique indexes");
            above.push(format!(
                "{indexes} over expressions, beginnings or some of the rows left out"
            ));
        }
        let unique = |names: &Vec<String>| table.new_names(names).filter(|new| *new != table.key);
        NewTable {
            name: table.name.clone(),
            above,
            columns,
            key: table.key.clone(),
            uniques: entry.uniques.iter().filter_map(unique).collect(),
            references: entry
                .references
                .iter()
                .filter(|one| !one.guessed && !self.catalogue.points_ahead(&entry.name, one))
                .filter_map(|one| self.carried(table, one))
                .collect(),
        }
    }

    /// The reference in the target's names.
    fn carried(&self, table: &Table<'_>, reference: &Reference) -> Option<NewReference> {
        let parent = self.tables.iter().find(|one| one.entry.name == reference.parent)?;
        Some(NewReference {
            columns: table.new_names(&reference.columns)?,
            parent: parent.name.clone(),
            parent_columns: parent.new_names(&reference.parent_columns)?,
        })
    }

    /// Declared references that no order of the tables can keep while they are loaded.
    fn ahead(&self, table: &Table<'a>) -> Vec<&'a Reference> {
        let ahead =
            |one: &&Reference| !one.guessed && self.catalogue.points_ahead(&table.entry.name, one);
        table.entry.references.iter().filter(ahead).collect()
    }

    /// What a person should know of a table beside the plan.
    fn notes(&self, table: &Table<'_>) -> Vec<String> {
        let name = shown::shown(&table.entry.name, 60);
        let mut notes = Vec::new();
        for reference in table.entry.references.iter().filter(|one| !one.guessed) {
            let Some(orphans) = reference.orphans.filter(|count| *count > 0) else { continue };
            let rows = counted(orphans, "row", "rows");
            let fate = if self.catalogue.points_ahead(&table.entry.name, reference) {
                "loaded all the same, because the reference is in a circle"
            } else {
                "rejected"
            };
            notes.push(format!(
                "{rows} of `{name}` without their parent, by {}: {fate}",
                led(reference)
            ));
        }
        if table.entry.null_keys > 0 {
            let rows = counted(table.entry.null_keys, "row", "rows");
            notes.push(format!("{rows} of `{name}` with NULL in the key: rejected"));
        }
        for (column, _) in &table.columns {
            for (oddity, count) in &column.odd {
                if let Some(fate) = self.fate(*oddity) {
                    let values = counted(*count, "value", "values");
                    notes.push(format!(
                        "`{}` of `{name}`: {values} {}: {fate}",
                        shown::shown(&column.name, 60),
                        told(*oddity, column)
                    ));
                }
            }
        }
        notes
    }

    /// What becomes of records with such a value; nothing where the target holds it.
    fn fate(&self, oddity: Oddity) -> Option<&'static str> {
        const REJECTED: &str = "rejected";
        match (oddity, self.engine) {
            (Oddity::Class(_), _) => Some("rejected where it does not convert exactly"),
            (Oddity::Endless | Oddity::NotFinite, Engine::Postgres) => None,
            (
                Oddity::TooLong
                | Oddity::ZeroDate
                | Oddity::Endless
                | Oddity::NotFinite
                | Oddity::OutsideDay,
                _,
            ) => Some(REJECTED),
            (Oddity::Nul, engine) => init::refuses_nul(engine).then_some(REJECTED),
            // An instant is a `datetime` on MySQL, which reaches further than its `timestamp`.
            (Oddity::OutsideUnix, _) => None,
            (Oddity::OutsideYears, Engine::Sqlite | Engine::Postgres) => None,
            (Oddity::OutsideYears, Engine::Mysql) => Some(REJECTED),
        }
    }

    fn plan(&self, options: &CarryOptions<'_>) -> String {
        let catalogue = self.catalogue;
        let mut out = String::new();
        let rows: u64 = catalogue.tables.iter().map(|table| table.rows.count()).sum();
        line(
            &mut out,
            format!(
                "# Made from {} ({}): {}, {}.",
                shown::shown(&catalogue.shown, 200),
                shown::shown(&catalogue.version, 60),
                counted(catalogue.tables.len() as u64, "table", "tables"),
                counted(rows, "row", "rows")
            ),
        );
        out.push_str(HEAD);
        for left in &catalogue.left_out {
            line(
                &mut out,
                format!("# Not carried over: {} `{}`", left.what, shown::shown(&left.name, 100)),
            );
        }
        for circle in catalogue.circles.iter().filter(|circle| circle.len() > 1) {
            let names: Vec<String> =
                circle.iter().map(|name| format!("`{}`", shown::shown(name, 60))).collect();
            line(&mut out, format!("# In a circle: {}", names.join(", ")));
        }
        line(&mut out, "");
        line(&mut out, format!("name   = {}", string(options.name)));
        let target = match options.target {
            Some(target) => quoted(target),
            // Not the name of the old database's own file.
            None => quoted(&format!("${{TARGET:-sqlite:{}_new.db}}", names::snake(options.name))),
        };
        line(&mut out, format!("target = {target}"));
        line(&mut out, format!("schema = {}", string(options.schema)));
        for table in &self.tables {
            source(&mut out, table, options.source);
        }
        for table in &self.tables {
            self.mapping(&mut out, table);
        }
        let (mut taken, mut steps) = (BTreeSet::new(), BTreeSet::new());
        for table in &self.tables {
            self.later(&mut out, table, &mut taken, &mut steps);
        }
        out.push_str(TAIL);
        out
    }

    fn mapping(&self, out: &mut String, table: &Table<'_>) {
        line(out, "\n[[table]]");
        for note in self.notes(table) {
            line(out, format!("# {note}"));
        }
        for reference in table.entry.references.iter().filter(|one| one.guessed) {
            let orphans = match reference.orphans {
                Some(0) => String::new(),
                Some(count) => format!(", {} without it", counted(count, "row", "rows")),
                None => String::new(),
            };
            line(out, format!("# perhaps a reference: {}{orphans}", led(reference)));
        }
        line(out, format!("into = {}", string(&table.said)));
        line(out, format!("from = {}", string(&table.source)));
        let keys: Vec<String> = table.key.iter().map(|name| string(name)).collect();
        line(out, format!("key  = [{}]", keys.join(", ")));
        line(out, "[table.columns]");
        if table.key_is_made {
            line(out, "# no column identifies a row: its number as it is read does");
            line(out, format!("{} = {{ fact = \"record.number\" }}", key(&table.key[0])));
        }
        let width =
            table.columns.iter().map(|(_, name)| key(name).len()).max().unwrap_or(0).min(30);
        for (column, name) in &table.columns {
            let value = string(&field(&column.name));
            let text = format!("{:<width$} = {value}", key(name));
            line(out, format!("{text}        # {}", from(column, self.catalogue.engine)));
        }
    }

    /// References that wait until every table is loaded.
    fn later(
        &self,
        out: &mut String,
        table: &Table<'_>,
        taken: &mut BTreeSet<Vec<u8>>,
        steps: &mut BTreeSet<String>,
    ) {
        let engine = self.engine;
        let clean = self.notes(table).is_empty();
        for (number, reference) in self.ahead(table).into_iter().enumerate() {
            let Some(new) = self.carried(table, reference) else { continue };
            let name =
                kept::constraint(&table.name, &format!("_ref_{}", number + 1), engine, taken);
            let (own, constraint) = (engine.quote(&table.name), engine.quote(&name));
            let add = format!(
                "ALTER TABLE {own} ADD CONSTRAINT {constraint} {}",
                foreign_key(engine, &new)
            );
            let drop = match engine {
                Engine::Sqlite | Engine::Postgres => {
                    format!("ALTER TABLE {own} DROP CONSTRAINT {constraint}")
                }
                Engine::Mysql => format!("ALTER TABLE {own} DROP FOREIGN KEY {constraint}"),
            };
            let what = led(reference);
            line(out, "");
            match engine {
                Engine::Sqlite => {
                    line(
                        out,
                        format!(
                            "# {what} of `{}` points to rows that may be loaded later. SQLite cannot add a",
                            shown::shown(&table.name, 60)
                        ),
                    );
                    line(out, "# reference to a table that stands, so the schema has none.");
                    continue;
                }
                Engine::Postgres | Engine::Mysql => {
                    line(
                        out,
                        format!(
                            "# {what} points to rows that may be loaded later: added when all are there."
                        ),
                    );
                }
            }
            let lead = if clean {
                ""
            } else {
                line(
                    out,
                    "# Some rows may be rejected and others then lack their parent. Take the marks off once it is clean:",
                );
                "# "
            };
            line(out, format!("{lead}[[relate]]"));
            line(out, format!("{lead}name   = {}", string(&step_name(&name, steps))));
            line(out, format!("{lead}writes = [{}]", string(&table.said)));
            line(out, format!("{lead}sql    = {}", string(&add)));
            line(out, format!("{lead}undo   = {}", string(&drop)));
        }
    }
}

const HEAD: &str = "\
#
# It runs as it stands: every table under its name, every column of the kind it was declared, parents
# before their children. What the target's column cannot hold exactly is rejected with its record,
# never bent; where that was seen, it is said above the table. To load such records all the same:
#     born = { from = \"born\", invalid = \"null\" }       # counted, sampled, listed
";

const TAIL: &str = "
# Past this the run stops and says how to go on.
# [rejects]
# max = \"1%\"
";

fn source(out: &mut String, table: &Table<'_>, url: &str) {
    line(out, "");
    match table.entry.rows {
        Rows::Exact(_) => {}
        Rows::Estimate(rows) => {
            line(out, format!("# about {}, not counted", counted(rows, "row", "rows")));
        }
    }
    if let Some(storage) = &table.entry.storage {
        line(
            out,
            format!("# stored by {}: stop its writers during the run", shown::shown(storage, 40)),
        );
    }
    line(out, format!("[source.{}]", table.source));
    line(out, format!("database = {}", quoted(url)));
    // SQLite has tables without a name, and a plan has none.
    let unnamed = table.entry.name.is_empty();
    if unnamed {
        line(out, format!("query    = {}", string("SELECT * FROM \"\"")));
    } else {
        line(out, format!("table    = {}", string(&table.entry.name)));
    }
    // The engine does not promise that these are never NULL; they were not.
    let promised = |name: &String| table.entry.column(name).is_some_and(|one| !one.nullable);
    let known = table.entry.key.is_empty() || !unnamed && table.entry.key.iter().all(promised);
    if table.entry.null_keys == 0 && !known {
        let keys: Vec<String> = table.entry.key.iter().map(|name| string(name)).collect();
        line(out, format!("key      = [{}]", keys.join(", ")));
    }
}

/// A column in an expression: by its name, unless that would be taken for a pointer that is none.
fn field(name: &str) -> String {
    let is_pointer = name.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    if name.starts_with('/') && is_pointer { name.to_owned() } else { init::field(name) }
}

/// What a step is called: as its constraint, on one line and in few characters.
fn step_name(constraint: &str, taken: &mut BTreeSet<String>) -> String {
    const CHARS_MAX: usize = 80;
    let name: String = shown::shown(constraint, CHARS_MAX).chars().take(CHARS_MAX).collect();
    let numbered =
        |number: u64| if number == 1 { name.clone() } else { format!("{name}_{number}") };
    let free = (1..u64::MAX).map(numbered).find(|name| taken.insert(name.clone()));
    free.expect("numbers do not end")
}

/// How a column was declared, as a comment.
fn from(column: &ColumnEntry, engine: &str) -> String {
    let declared = if column.declared.is_empty() { "no type" } else { &column.declared };
    let mut parts = vec![shown::shown(declared, 60)];
    match column.filled {
        Filled::ByRow => {}
        Filled::Identity => parts.push("counted by the engine".to_owned()),
        Filled::Generated => parts.push("computed by the engine".to_owned()),
    }
    parts.extend(column.default.iter().map(|words| format!("default {}", shown::shown(words, 40))));
    if is_blank_padded(engine, column) {
        parts.push("blanks at the end left out".to_owned());
    }
    let collation = column.collation.as_ref();
    parts.extend(collation.map(|name| format!("collation {}", shown::shown(name, 40))));
    if column.kind == Kind::Any && !column.declared.is_empty() {
        parts.push("no kind of its own".to_owned());
    }
    parts.join(", ")
}

/// PostgreSQL's `char(n)`: filled up with blanks, which are no part of the value.
fn is_blank_padded(engine: &str, column: &ColumnEntry) -> bool {
    let declared = &column.declared;
    engine == "postgres" && (declared == "character" || declared.starts_with("character("))
}

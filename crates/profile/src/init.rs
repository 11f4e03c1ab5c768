//! A profile as a first plan and its schema: commented, and ready to run as they are.
//!
//! Every column gets the narrowest kind that holds for every value read, so that every record that
//! could be taken apart loads. What stays text although most of it looks like something narrower
//! says why. Nothing is written here: the caller gets texts and never overwrites a file.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use whimbrel_model::Kind;

use crate::inspect;
use crate::names;
use crate::profile::{ColumnProfile, Profile, SourceProfile};
use crate::schema::{self, Engine, NewColumn, NewTable, Words};
use crate::shown::{self, counted, percent};
use crate::sniff::Format;
use crate::summary::sounds_like_key;

/// What the draft is for.
#[derive(Clone, Copy)]
pub struct DraftOptions<'a> {
    /// The plan's name; from the folder's where it is empty.
    pub name: &'a str,
    /// URL of the target, as the plan shall say it; a SQLite file beside the plan where it is left
    /// out.
    pub target: Option<&'a str>,
    /// The way from the plan's folder to the one that was profiled: `legacy/`, or empty.
    pub prefix: &'a str,
    /// Folder of the schema, relative to the plan.
    pub schema: &'a str,
    /// The target's engine, in whose words the schema is written; see [`engine_of`].
    pub words: Words<'a>,
}

/// A plan and what belongs to it, as texts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlanDraft {
    /// The plan, in TOML.
    pub plan: String,
    /// Files of the schema: path relative to the plan, and SQL.
    pub schema: Vec<(String, String)>,
    /// What each source becomes, in the order of the profile.
    pub tables: Vec<DraftTable>,
    /// What a person should know beside what the plan's comments say, a sentence each.
    pub notes: Vec<String>,
}

/// A source and the table made of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DraftTable {
    /// The source.
    pub source: String,
    /// The table.
    pub table: String,
    /// Its key.
    pub key: String,
    /// True where no column of the source identifies a record.
    pub key_is_made: bool,
    /// Columns of the table.
    pub columns: u64,
    /// Columns that stay text although most of their values look narrower.
    pub doubts: u64,
}

/// A draft could not be made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// Nothing was found that a table could be made from.
    #[error("no source with a column in `{folder}`")]
    Empty {
        /// The folder.
        folder: String,
    },
    /// The target's engine is none that a schema can be written for.
    #[error(
        "no schema can be written for targets of `{scheme}`: only for `sqlite`, `postgres` and `mysql`"
    )]
    Engine {
        /// The scheme of the target's URL.
        scheme: String,
    },
}

impl DraftError {
    /// The code that `explain` knows.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty { .. } => crate::codes::NOTHING_FOUND,
            Self::Engine { .. } => crate::codes::NO_SCHEMA,
        }
    }
}

/// The plan and the schema for what was profiled.
pub fn plan_for(profile: &Profile, options: &DraftOptions<'_>) -> Result<PlanDraft, DraftError> {
    let mut taken = BTreeSet::new();
    let mut notes = Vec::new();
    let mut tables = Vec::new();
    for source in &profile.sources {
        if source.columns.is_empty() {
            notes.push(format!("`{}` has no column yet: the plan leaves it out", source.name));
        } else {
            tables.push(Table::of(source, options.words.engine, &mut taken));
        }
    }
    if tables.is_empty() {
        return Err(DraftError::Empty { folder: profile.folder.clone() });
    }
    if !profile.leftovers.is_empty() {
        let files = counted(profile.leftovers.len() as u64, "file is", "files are");
        notes.push(format!("{files} not read; `whimbrel analyze` says why"));
    }
    for source in profile.sources.iter().filter(|_| refuses_nul(options.words.engine)) {
        for column in source.columns.iter().filter(|column| column.nul > 0) {
            let values = counted(column.nul, "value", "values");
            let name = shown::shown(&column.name, 60);
            notes.push(format!(
                "{values} with U+0000 in `{name}` of `{}`: rejected, unless the plan is changed as it says",
                source.name
            ));
        }
    }
    for source in &profile.sources {
        let bare = source.anomalies.iter().find(|one| one.code == crate::codes::NOT_OBJECTS);
        notes.extend(bare.map(|one| {
            let records = counted(one.count, "record is no object", "records are no objects");
            format!("{records} in `{}`: their rows hold the key alone", source.name)
        }));
    }
    let plan = plan(profile, &tables, options);
    let written = sql(profile, &tables, options.words);
    notes.extend(written.notes);
    let path = format!("{}/{}/0001_tables.sql", options.schema, options.words.engine.name());
    Ok(PlanDraft {
        plan,
        schema: vec![(path, written.sql)],
        tables: tables.iter().map(Table::facts).collect(),
        notes,
    })
}

/// The engine of a target as a plan may say it: a URL, or a variable, that of its default; SQLite
/// where nothing is known.
pub fn engine_of(target: Option<&str>) -> Result<Engine, DraftError> {
    let Some(target) = target else { return Ok(Engine::Sqlite) };
    // A variable may hold any URL; what it defaults to can be seen.
    let url = target
        .strip_prefix("${")
        .and_then(|rest| rest.split_once(":-"))
        .map_or(target, |(_, url)| url);
    let scheme = url.split_once(':').map_or("sqlite", |(scheme, _)| scheme);
    if target.starts_with("${") && url == target {
        return Ok(Engine::Sqlite);
    }
    let engine = Engine::of_scheme(scheme);
    engine.ok_or_else(|| DraftError::Engine { scheme: shown::shown(scheme, 40) })
}

/// Engines that hold no U+0000 in a text.
pub(crate) fn refuses_nul(engine: Engine) -> bool {
    match engine {
        Engine::Sqlite | Engine::Postgres => true,
        Engine::Mysql => false,
    }
}

struct Table<'a> {
    source: &'a SourceProfile,
    name: String,
    key: String,
    columns: Vec<Target>,
}

/// A column of the new table.
struct Target {
    name: String,
    kind: Kind,
    /// The expression in TOML.
    value: String,
    /// Lines above it.
    above: Vec<String>,
    /// Behind it.
    comment: String,
    /// What the schema says it comes from.
    from: String,
    /// Most characters of a text.
    chars_max: Option<u64>,
}

impl<'a> Table<'a> {
    fn of(source: &'a SourceProfile, engine: Engine, taken: &mut BTreeSet<String>) -> Self {
        let name = names::unique(&names::table(&source.name), taken);
        let mut columns = Vec::new();
        let mut used = BTreeSet::new();
        let natural = natural_key(source);
        if natural.is_none() {
            used.insert("id".to_owned());
            columns.push(made_key());
        }
        match &source.format {
            Format::Csv { .. } | Format::Json | Format::JsonLines | Format::Table => {}
            Format::Markdown => documents(
                &mut columns,
                &mut used,
                "first = [\"title\", \"heading\", { fact = \"file.stem\" }]",
            ),
            Format::Text => documents(&mut columns, &mut used, "fact = \"file.stem\""),
        }
        let front = matches!(source.format, Format::Markdown);
        let own = |column: &&ColumnProfile| {
            !(front && matches!(column.name.as_str(), "title" | "heading"))
        };
        for column in source.columns.iter().filter(own) {
            let name = match names::snake(&column.name) {
                name if natural.is_none() && name == "id" => "legacy_id".to_owned(),
                name => name,
            };
            columns.push(target(column, engine, names::unique(&name, &mut used)));
        }
        let key = natural.and_then(|key| {
            let at = source.columns.iter().filter(own).position(|column| column.name == key)?;
            let made = columns.len() - source.columns.iter().filter(own).count();
            Some(columns[made + at].name.clone())
        });
        Self { source, name, key: key.unwrap_or_else(|| "id".to_owned()), columns }
    }
}

impl Table<'_> {
    fn made(&self) -> NewTable {
        let column = |column: &Target| NewColumn {
            name: column.name.clone(),
            kind: column.kind,
            required: column.name == self.key,
            counts: false,
            chars_max: column.chars_max,
            from: column.from.clone(),
        };
        NewTable {
            name: self.name.clone(),
            columns: self.columns.iter().map(column).collect(),
            key: vec![self.key.clone()],
            ..NewTable::default()
        }
    }

    fn facts(&self) -> DraftTable {
        let doubts = self.source.columns.iter().filter(|one| one.doubt.is_some());
        DraftTable {
            source: self.source.name.clone(),
            table: self.name.clone(),
            key: self.key.clone(),
            key_is_made: natural_key(self.source).is_none(),
            columns: self.columns.len() as u64,
            doubts: doubts.count() as u64,
        }
    }
}

/// A column that is called like a key and has a different value in every record.
fn natural_key(source: &SourceProfile) -> Option<&str> {
    if matches!(source.format, Format::Markdown | Format::Text) || source.totals.records == 0 {
        return None;
    }
    let whole = |name: &str| {
        let column = source.columns.iter().find(|column| column.name == name);
        column.is_some_and(|column| {
            let kind = Kind::parse(&column.kind);
            matches!(kind, Some(Kind::Int(_) | Kind::Text(_) | Kind::Uuid))
                && column.absent + column.nulls == 0
        })
    };
    let usable: Vec<&str> = source
        .keys
        .iter()
        .filter(|key| key.unique && sounds_like_key(&key.column) && whole(&key.column))
        .map(|key| key.column.as_str())
        .collect();
    usable.iter().find(|name| names::snake(name) == "id").or_else(|| usable.first()).copied()
}

fn made_key() -> Target {
    Target {
        name: "id".to_owned(),
        kind: Kind::Uuid,
        value: "{ uuid5 = [{ fact = \"file.path\" }, { fact = \"record.number\" }] }".to_owned(),
        above: vec!["no column identifies a record: the key is made from its place".to_owned()],
        comment: String::new(),
        from: "the record's place".to_owned(),
        chars_max: None,
    }
}

fn documents(columns: &mut Vec<Target>, used: &mut BTreeSet<String>, title: &str) {
    let mut fact = |name: &str, kind: Kind, value: &str| {
        columns.push(Target {
            name: names::unique(name, used),
            kind,
            value: format!("{{ {value} }}"),
            above: Vec::new(),
            comment: String::new(),
            from: "the file".to_owned(),
            chars_max: None,
        });
    };
    fact("file_path", Kind::Text(None), "fact = \"file.path\"");
    fact("title", Kind::Text(None), title);
    fact("file_modified_at", Kind::TimestampTz, "fact = \"file.mtime\"");
}

fn target(column: &ColumnProfile, engine: Engine, name: String) -> Target {
    let kind = Kind::parse(&column.kind).unwrap_or(Kind::Text(None));
    let mut above = Vec::new();
    if let Some(doubt) = &column.doubt {
        above.push(format!(
            "text: {} of {} are {}, but `{}` at {} {}",
            shown::count(doubt.fits),
            shown::count(doubt.of),
            doubt.almost,
            doubt.value,
            doubt.place,
            doubt.reason
        ));
    }
    above.extend(column.notes.iter().map(|note| format!("{}: {note}", column.kind)));
    if let Some(first) = column.first_nul.as_ref().filter(|_| refuses_nul(engine)) {
        above.extend(nul(column, engine, first, &name));
    }
    Target {
        name,
        kind,
        value: expression(column, kind),
        above,
        comment: comment(column),
        from: shown::shown(&column.name, 60),
        chars_max: column.chars_max,
    }
}

/// What to know about a column with U+0000, and how to load it all the same.
fn nul(column: &ColumnProfile, engine: Engine, first: &str, name: &str) -> [String; 3] {
    let field = &column.name;
    let row = format!("row['{}']", field.replace('\\', "\\\\").replace('\'', "\\'"));
    let without = format!("{row} == null ? null : {row}.replace('\\u0000', '')");
    let (values, name) = (counted(column.nul, "value holds", "values hold"), key(name));
    [
        format!(
            "{values} U+0000, first at {first}: {} cannot keep it in text, the record is rejected.",
            engine.title()
        ),
        format!("Without the character: {name} = {{ cel = {} }}", string(&without)),
        format!(
            "Without the value:     {name} = {{ from = {}, invalid = \"null\" }}",
            string(&self::field(field))
        ),
    ]
}

fn expression(column: &ColumnProfile, kind: Kind) -> String {
    let field = string(&field(&column.name));
    // A time alone is read in the form it is written in; formats are for dates.
    let format = column.timestamp.filter(|_| kind != Kind::Time);
    match (format, column.words) {
        (Some(format), _) => format!("{{ from = {field}, timestamp = {} }}", string(format)),
        (None, Some(words)) => format!("{{ from = {field}, map = {} }}", string(&map_name(words))),
        (None, None) => field,
    }
}

/// A field's name, or the JSON Pointer of one that would be taken for a pointer.
pub(crate) fn field(name: &str) -> String {
    if name.is_empty() || name.starts_with('/') {
        format!("/{}", name.replace('~', "~0").replace('/', "~1"))
    } else {
        name.to_owned()
    }
}

fn map_name((yes, no): (&str, &str)) -> String {
    format!("{yes}_{no}")
}

fn comment(column: &ColumnProfile) -> String {
    let mut parts = vec![column.kind.clone()];
    if let (Some(min), Some(max)) = (&column.min, &column.max) {
        parts.push(if min == max { min.clone() } else { format!("{min}..{max}") });
    }
    let missing = crate::render::missing(column);
    if missing > 0 {
        parts.push(format!("NULL in {}", percent(missing, column.records)));
    }
    parts.join(", ")
}

fn plan(profile: &Profile, tables: &[Table<'_>], options: &DraftOptions<'_>) -> String {
    let name =
        if options.name.is_empty() { plan_name(&profile.folder) } else { options.name.to_owned() };
    let target = match options.target {
        // Variables in a URL that was given are meant as such.
        Some(target) => quoted(target),
        None => quoted(&format!("${{TARGET:-sqlite:{}.db}}", names::snake(&name))),
    };
    let mut out = String::new();
    line(
        &mut out,
        format!(
            "# Made from {} in {}: {}, {}.",
            counted(profile.totals.files, "file", "files"),
            profile.folder,
            shown::bytes(profile.totals.bytes),
            counted(profile.totals.records, "record", "records")
        ),
    );
    out.push_str(HEAD);
    if refuses_nul(options.words.engine) {
        line(
            &mut out,
            format!(
                "# Records that cannot be taken apart are rejected with their bytes: `whimbrel rejects`. So are those\n# with U+0000 in a text, which {} cannot keep; their columns say so.\n",
                options.words.engine.title()
            ),
        );
    } else {
        line(
            &mut out,
            "# Records that cannot be taken apart are rejected with their bytes: `whimbrel rejects`.\n",
        );
    }
    line(&mut out, format!("name   = {}", string(&name)));
    line(&mut out, format!("target = {target}"));
    line(&mut out, format!("schema = {}", string(options.schema)));
    if tables.iter().any(|table| table.columns.iter().any(|column| column.kind == Kind::Timestamp))
    {
        line(
            &mut out,
            "# timezone = \"Europe/Berlin\"        # of times that carry none, should they become instants",
        );
    }
    for table in tables {
        source(&mut out, table.source, options.prefix);
    }
    maps(&mut out, tables);
    for table in tables {
        mapping(&mut out, table);
    }
    out.push_str(TAIL);
    out
}

const HEAD: &str = "\
#
# It runs as it stands. Each column has the narrowest kind that holds for every value found; a
# column that stays text although most of it looks narrower says why. To load such a column
# anyway, give it that type in the schema and say here what becomes of the others:
#     age = { from = \"age\", invalid = \"null\" }       # counted, sampled, listed
";

const TAIL: &str = "
# Past this the run stops and says how to go on.
# [rejects]
# max = \"1%\"
";

fn plan_name(folder: &str) -> String {
    let last = folder.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if last.chars().any(char::is_alphanumeric) {
        names::snake(last).replace('_', "-")
    } else {
        "legacy".to_owned()
    }
}

pub(crate) fn line(out: &mut String, text: impl AsRef<str>) {
    out.push_str(text.as_ref());
    out.push('\n');
}

fn source(out: &mut String, source: &SourceProfile, prefix: &str) {
    line(out, "");
    line(out, format!("[source.{}]", source.name));
    let globs = patterns(&source.globs, prefix);
    let globs = match globs.as_slice() {
        [one] => one.clone(),
        _ => lines(&globs),
    };
    line(out, format!("{} = {globs}", source.format.key()));
    match patterns(&source.exclude, prefix).as_slice() {
        [] => {}
        [one] => line(out, format!("exclude = [{one}]")),
        several => line(out, format!("exclude = {}", lines(several))),
    }
    if source.ignore_case {
        line(out, "ignore_case = true");
    }
    if source.hidden {
        line(out, "hidden = true              # also what begins with a dot");
    }
    if let Some(encoding) = &source.encoding {
        line(
            out,
            format!(
                "encoding = {}        # guessed from the first bytes of each file",
                string(encoding)
            ),
        );
    }
    if let Format::Csv { delimiter, header } = source.format {
        if delimiter != if source.format.key() == "tsv" { '\t' } else { ',' } {
            line(out, format!("delimiter = {}", string(&delimiter.to_string())));
        }
        if !header {
            line(out, "header = false             # the first line is data already");
        }
        if let Some(names) = &source.names {
            line(out, format!("names = [{}]", list(names)));
        }
        optional(out, source);
        nulls(out, source);
    }
}

fn patterns(globs: &[String], prefix: &str) -> Vec<String> {
    let prefix = inspect::escape(prefix);
    let whole = |glob: &String| string(&format!("{prefix}{glob}"));
    globs.iter().map(whole).collect()
}

fn lines(values: &[String]) -> String {
    format!("[\n    {},\n]", values.join(",\n    "))
}

/// Columns that some header lacks; all of them, where a file has no header at all.
fn optional(out: &mut String, source: &SourceProfile) {
    let lacks = |name: &String| {
        source.headerless > 0 || source.generations.iter().any(|one| !one.columns.contains(name))
    };
    let names: Vec<String> = source
        .columns
        .iter()
        .map(|column| column.name.clone())
        .filter(|name| lacks(name))
        .collect();
    if !names.is_empty() && source.names.is_none() {
        line(out, format!("optional = [{}]        # some files lack them", list(&names)));
    }
}

fn nulls(out: &mut String, source: &SourceProfile) {
    let declared: Vec<&ColumnProfile> =
        source.columns.iter().filter(|column| !column.null.is_empty()).collect();
    if declared.is_empty() {
        return;
    }
    line(out, format!("[source.{}.columns]             # how NULL is written", source.name));
    for column in declared {
        line(out, format!("{} = {{ null = [{}] }}", key(&column.name), list(&column.null)));
    }
}

fn list(values: &[String]) -> String {
    values.iter().map(|value| string(value)).collect::<Vec<_>>().join(", ")
}

fn maps(out: &mut String, tables: &[Table<'_>]) {
    let pairs: BTreeSet<(&str, &str)> = tables
        .iter()
        .flat_map(|table| &table.source.columns)
        .filter_map(|column| column.words)
        .collect();
    for (yes, no) in pairs {
        line(out, format!("\n[map.{}]\n{yes} = true\n{no} = false", map_name((yes, no))));
    }
}

fn mapping(out: &mut String, table: &Table<'_>) {
    line(out, "\n[[table]]");
    line(out, format!("into = {}", string(&table.name)));
    line(out, format!("from = {}", string(&table.source.name)));
    line(out, format!("key  = [{}]", string(&table.key)));
    line(out, "[table.columns]");
    let width = table.columns.iter().map(|column| column.name.len()).max().unwrap_or(0).min(30);
    for column in &table.columns {
        for above in &column.above {
            line(out, format!("# {above}"));
        }
        let mut text = format!("{:<width$} = {}", column.name, column.value);
        if !column.comment.is_empty() {
            write!(text, "        # {}", column.comment).expect("a String takes every character");
        }
        line(out, text);
    }
}

/// A TOML string that means the text itself: a `$` is doubled, because plans replace variables.
pub(crate) fn string(text: &str) -> String {
    quoted(&text.replace('$', "$$"))
}

pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            letter if letter.is_control() => {
                write!(out, "\\u{:04X}", u32::from(letter))
                    .expect("a String takes every character");
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// A TOML key: bare where it can be. Keys hold no variables.
pub(crate) fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { quoted(name) }
}

fn sql(profile: &Profile, tables: &[Table<'_>], words: Words<'_>) -> schema::Written {
    let head = head(&format!("the data of {}", profile.folder), words.engine);
    let made: Vec<NewTable> = tables.iter().map(Table::made).collect();
    let written = schema::write(&made, words);
    schema::Written { sql: head + &written.sql, ..written }
}

/// First lines of a schema file.
pub(crate) fn head(of: &str, engine: Engine) -> String {
    let mut head = format!("-- Tables for {of}, as `whimbrel init` found it.\n");
    if engine == Engine::Sqlite {
        head.push_str("-- Types with TEXT in their names keep every character; SQLite would make numbers of the others.\n");
    }
    head
}

/// The one command to type next.
pub fn next_command(plan_path: &str) -> String {
    if plan_path == "whimbrel.toml" || plan_path == "./whimbrel.toml" {
        "whimbrel plan".to_owned()
    } else {
        format!("whimbrel plan {}", shown::argument(plan_path))
    }
}

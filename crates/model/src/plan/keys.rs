//! Every key of a plan, once: its section, shape, default, meaning and an example.
//!
//! The decoder's "unknown key", the JSON Schema and `docs/plan-reference.md` all come from this
//! table, so they cannot say different things. A key stands here once the code honours it.

/// A kind of table in the plan.
#[derive(Debug)]
pub(super) struct Section {
    /// How it is written: `[source.NAME]`.
    pub(super) title: &'static str,
    /// What it is for.
    pub(super) doc: &'static str,
    /// Its keys, in the order of the reference.
    pub(super) keys: &'static [Key],
    /// Keys of which exactly one must stand.
    pub(super) one_of: &'static [&'static str],
}

/// One key of a section.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    /// What holds where it is left out, as the reference shows it.
    pub(super) default: &'static str,
    pub(super) required: bool,
    /// Keys of the same section of which at least one must stand beside it.
    pub(super) needs: &'static [&'static str],
    pub(super) doc: &'static str,
    /// A line of TOML that decodes.
    pub(super) example: &'static str,
}

/// What a key's value looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// `true` or `false`.
    Bool,
    /// Nothing but `true`.
    True,
    /// A whole number from this one up.
    Count(u64),
    /// A whole number.
    Integer,
    /// A text.
    Text,
    /// One text or several.
    Texts,
    /// Several texts.
    TextList,
    /// One of these.
    Word(&'static [&'static str]),
    /// One character of ASCII, or none where the flag is set.
    Byte { or_none: bool },
    /// A number of bytes, or a text like `50MB`.
    Size,
    /// `30s`, `1h30m`.
    Duration,
    /// `50000/s`.
    Rate,
    /// `22:00`.
    Clock,
    /// A count, or a text like `1%`.
    Budget,
    /// A UUID.
    Uuid,
    /// A text, number or boolean.
    Literal,
    /// A kind of value.
    Kind,
    /// A fact about the record's place.
    Fact,
    /// `file`, `record` or a JSON Pointer.
    Each,
    /// Formats of [`super::TIMESTAMP_NAMES`] or patterns, one or several.
    Timestamps,
    /// An expression.
    Expr,
    /// One expression or several.
    Exprs,
    /// Names, each with an expression.
    NamedExprs,
    /// Old texts, each with a literal.
    Pairs,
    /// A table of that section.
    One(&'static Section),
    /// Tables of that section, in order.
    Many(&'static Section),
    /// Names, each with a table of that section.
    Named(&'static Section),
    /// Names, each with pairs.
    NamedPairs,
    /// SQL: a text, or a table of that section with one for each engine.
    Sql(&'static Section),
}

impl PartialEq for Section {
    fn eq(&self, other: &Self) -> bool {
        self.title == other.title
    }
}

impl Eq for Section {}

impl Section {
    /// The title as messages show it.
    pub(super) fn shown(&self) -> String {
        if self.title.contains(['[', '{']) {
            format!("`{}`", self.title)
        } else {
            self.title.to_owned()
        }
    }

    /// The key of that name.
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

impl Shape {
    /// What a value of this shape is called in messages and in the reference.
    pub(super) fn expects(self) -> String {
        match self {
            Self::Bool => "`true` or `false`".to_owned(),
            Self::True => "`true`".to_owned(),
            Self::Count(least) => format!("a whole number from {least}"),
            Self::Integer => "a whole number".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::Texts => "a text or a list of texts".to_owned(),
            Self::TextList => "a list of texts".to_owned(),
            Self::Word(words) => {
                let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                format!("one of {}", quoted.join(", "))
            }
            Self::Byte { or_none: false } => "a text of one ASCII character".to_owned(),
            Self::Byte { or_none: true } => "a text of one ASCII character, or \"\"".to_owned(),
            Self::Size => "a number of bytes or a text like \"50MB\" or \"50MiB\"".to_owned(),
            Self::Duration => "a text like \"30s\" or \"1h30m\"".to_owned(),
            Self::Rate => "a text like \"50000/s\"".to_owned(),
            Self::Clock => "a text like \"22:00\"".to_owned(),
            Self::Budget => "a count or a text like \"1%\"".to_owned(),
            Self::Uuid => "a UUID".to_owned(),
            Self::Literal => "a text, a number, `true` or `false`".to_owned(),
            Self::Kind => "a kind".to_owned(),
            Self::Fact => "a fact".to_owned(),
            Self::Each => "\"record\", \"file\" or a JSON Pointer like \"/tags\"".to_owned(),
            Self::Timestamps => "a timestamp format or a list of them".to_owned(),
            Self::Expr => "an expression".to_owned(),
            Self::Exprs => "an expression or a list of them".to_owned(),
            Self::NamedExprs => "a table of expressions".to_owned(),
            Self::Pairs => "a table of texts, numbers, `true` or `false`".to_owned(),
            Self::One(_) => "a table".to_owned(),
            Self::Many(_) => "a list of tables".to_owned(),
            Self::Named(_) | Self::NamedPairs => "a table of tables".to_owned(),
            Self::Sql(_) => "a text, or a table with one for each engine".to_owned(),
        }
    }
}

/// A key with its meaning and an example; what else it needs is added by the methods below.
const fn key(name: &'static str, shape: Shape, doc: &'static str, example: &'static str) -> Key {
    Key { name, shape, default: "", required: false, needs: &[], doc, example }
}

impl Key {
    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    const fn needs(mut self, needs: &'static [&'static str]) -> Self {
        self.needs = needs;
        self
    }
}

/// The plan itself.
pub(super) static ROOT: Section = Section {
    title: "the plan",
    doc: "Keys before the first section.",
    one_of: &[],
    keys: &[
        key(
            "name",
            Shape::Text,
            "What runs of this plan are called in the ledger and in reports.",
            r#"name = "extruder-telemetry""#,
        )
        .required(),
        key(
            "target",
            Shape::Text,
            "URL of the database that is filled. It is never printed with its password.",
            r#"target = "${TARGET:-sqlite:extruder.db}""#,
        )
        .required(),
        key(
            "schema",
            Shape::Text,
            "Folder of SQL files, relative to the plan, applied before the first row is loaded.",
            r#"schema = "schema""#,
        )
        .default("tables that do not exist are created from the mapping"),
        key(
            "timezone",
            Shape::Text,
            "IANA zone of times that carry none.",
            r#"timezone = "Europe/Berlin""#,
        )
        .default("UTC"),
        key(
            "namespace",
            Shape::Uuid,
            "The UUID in which `uuid5` makes its keys.",
            r#"namespace = "6ba7b811-9dad-11d1-80b4-00c04fd430c8""#,
        )
        .default("a fixed one of Whimbrel's"),
        key(
            "verify",
            Shape::Word(&["none", "basic", "standard", "rigorous", "forensic"]),
            "How closely a run is verified before it is called complete: `basic` compares counts and structure, `standard` also reads every row back and compares its digest, `rigorous` also reads the sources again and derives every row anew, `forensic` also writes down what became of every record, so that `whimbrel prove` can show it. `whimbrel verify` does the same at any time.",
            r#"verify = "basic""#,
        )
        .default("`standard`"),
        key(
            "source",
            Shape::Named(&SOURCE),
            "The sources, each under its name.",
            "[source.samples]",
        )
        .required(),
        key(
            "map",
            Shape::NamedPairs,
            "Value maps: old text = new value. Old texts are compared exactly as written.",
            "[map.status]\nREADY = \"completed\"",
        ),
        key(
            "table",
            Shape::Many(&TABLE),
            "The tables that are filled, each from one source or an ordered union of sources.",
            "[[table]]",
        )
        .required(),
        key(
            "relate",
            Shape::Many(&RELATE),
            "Steps in the target's own SQL, after all tables are loaded.",
            "[[relate]]",
        ),
        key(
            "check",
            Shape::Many(&CHECK),
            "Rules of your own, on what was loaded and on what is to be loaded.",
            "[[check]]\nname = 'c'\nsql = 'SELECT 1'",
        ),
        key(
            "query",
            Shape::Many(&QUERY),
            "Queries that the new schema must answer in time.",
            "[[query]]\nname = 'q'\nsql = 'SELECT 1'\nbudget = '50ms'",
        ),
        key(
            "rejects",
            Shape::One(&REJECTS),
            "How many rejected records are too many.",
            "[rejects]",
        ),
        key("window", Shape::One(&WINDOW), "When the run may write.", "[window]"),
        key("run", Shape::One(&RUN), "Limits that do not change what is loaded.", "[run]"),
    ],
};

/// `[source.NAME]`.
pub(super) static SOURCE: Section = Section {
    title: "[source.NAME]",
    doc: "A set of files of one format, or the rows of a database. Exactly one of the formats `csv`, `tsv`, `json`, `jsonl`, `markdown`, `text` gives the globs, relative to the plan; or `database` gives the URL, and one of `table` and `query` says which rows. A database is read in one consistent snapshot, which sources with the same URL share. A source that matches no file at all is always an error (WB0612), also where all its files are gone since the last run: a folder that was not mounted must not look like an empty one. A source that may be empty is taken out of the plan until it has a file. The NAME and a file's path are its identity in the ledger. Files are read in the order of their paths.",
    one_of: FORMATS,
    keys: &[
        key("csv", Shape::Texts, "Globs of files of comma-separated values.", r#"csv = "legacy/logs/run_*.csv""#),
        key("tsv", Shape::Texts, "The same with tabs.", r#"tsv = ["a/*.tsv", "b/*.tab"]"#),
        key("json", Shape::Texts, "Globs of JSON documents: the elements of a top-level array, else one record a file. Fields are members, or JSON Pointers (`/a/b`).", r#"json = "legacy/**/*.json""#),
        key("jsonl", Shape::Texts, "Globs of files with one JSON document a line.", r#"jsonl = "legacy/app.jsonl""#),
        key("markdown", Shape::Texts, "Globs of Markdown files: one record a file, with the keys of its front matter, `body` and `heading`.", r#"markdown = "legacy/**/*.md""#),
        key("text", Shape::Texts, "Globs of plain text files: one record a file, with `body`.", r#"text = "legacy/**/*.txt""#),
        key("database", Shape::Text, "URL of a database, `sqlite:…`, `postgres://…` or `mysql://…`. It is never printed with its password. Where the same rows stand is no part of the mapping: the URL may change between runs.", r#"database = "${OLD:-postgres://reader@old/telemetry}"
table = "check_result""#).needs(&["table", "query"]),
        key("table", Shape::Text, "The table whose rows are read; `schema.table` on servers that have schemas. On servers, each of the two may stand in the server's own quotes, doubled inside of it, and has to where it has quotes around it; so has a schema with a dot of its own, and a table with one that has no schema in front: `\"a.b\".\"c\"` on PostgreSQL, `` `c.d` `` on MariaDB and MySQL.", r#"database = "sqlite:old.db"
table = "check_result""#).needs(&["database"]),
        key("query", Shape::Text, "A query in that database's own SQL, whose rows are read: one statement that reads. Joins belong here.", r#"database = "sqlite:old.db"
query = "SELECT r.*, h.name FROM check_result r JOIN host h ON h.id = r.host_id"
key = ["id"]"#).needs(&["database"]),
        key("key", Shape::Texts, "Columns that together are different for each row and never NULL. Rows are read in their order and in parts, and a resume goes on behind the last key. Without a key, all rows are read in one go.", r#"database = "sqlite:old.db"
table = "check_result"
key = ["id"]"#).default("the table's primary key; none for a `query`").needs(&["database"]),
        key("exclude", Shape::Texts, "Globs of files that are left out.", r#"exclude = "legacy/drafts/**""#).needs(FILES),
        key("hidden", Shape::Bool, "Also read files whose name, or a folder of theirs, begins with a dot.", "hidden = true").default("`false`").needs(FILES),
        key("ignore_case", Shape::Bool, "Globs match whatever the case of the letters (`*.md` finds `A.MD`).", "ignore_case = true").default("`false`").needs(FILES),
        key("follow_links", Shape::Bool, "Go through symbolic links to folders; loops are found.", "follow_links = true").default("`false`").needs(FILES),
        key("encoding", Shape::Word(ENCODINGS), "Encoding of the files; a byte order mark wins.", r#"encoding = "windows-1252""#).default("`utf-8`").needs(FILES),
        key("null", Shape::TextList, "Cells that mean NULL, compared with the cell as it is written, quotes included: `\"\"` is an empty cell, `'\"\"'` a quoted empty one.", r#"null = ["", "NA"]"#).default("none").needs(SEPARATED),
        key("columns", Shape::Named(&SOURCE_COLUMN), "Settings of single columns.", r#"columns = { Status = { null = [""] } }"#),
        key("optional", Shape::TextList, "Columns that some files lack; they are NULL there. Any other column that a table uses and a header lacks is an error.", r#"optional = ["Time_Str"]"#).needs(FILES),
        key("ignore", Shape::TextList, "Columns that are knowingly not carried over.", r#"ignore = ["Time_Str"]"#),
        key("archive", Shape::TextList, "Columns without a place in the target; their values are kept in the ledger's archive.", r#"archive = ["url"]"#),
        key("sensitive", Shape::TextList, "Columns, or JSON Pointers, whose values are not shown: samples, messages, logs and reports have `***` in their place, and records of the source are shown only with `--show-sensitive`. What is loaded is the same. docs/sensitive.md says what it covers.", r#"sensitive = ["configuration"]"#),
        key("records", Shape::Text, "JSON Pointer of the array whose elements are the records.", r#"records = "/results""#).needs(&["json"]),
        key("delimiter", Shape::Byte { or_none: false }, "What separates fields.", r#"delimiter = ";""#).default("`,` for `csv`, a tab for `tsv`").needs(SEPARATED),
        key("quote", Shape::Byte { or_none: true }, "What encloses fields; `\"\"`: quotes mean nothing.", r#"quote = "'""#).default("`\"`").needs(SEPARATED),
        key("escape", Shape::Byte { or_none: false }, "What stands before a quote inside quotes, beside doubling it.", r"escape = '\'").default("none").needs(SEPARATED),
        key("comment", Shape::Byte { or_none: false }, "Lines that begin with it are skipped and counted.", r##"comment = "#""##).default("none").needs(SEPARATED),
        key("header", Shape::Bool, "The first line names the columns; where it does not, `names` does.", "header = false\nnames = [\"id\", \"name\"]").default("`true`").needs(SEPARATED),
        key("names", Shape::TextList, "Names of the columns, instead of the header's.", r#"header = false
names = ["id", "name"]"#).needs(SEPARATED),
        key("skip_lines", Shape::Count(0), "Lines before the header.", "skip_lines = 2").default("`0`").needs(SEPARATED),
        key("ragged", Shape::Word(&["reject", "pad", "truncate"]), "A record with too few or too many fields is rejected; `pad`: missing fields are NULL; `truncate`: surplus fields are dropped and counted.", r#"ragged = "pad""#).default("`reject`").needs(SEPARATED),
        key("max_file_size", Shape::Size, "Files above it are treated as `large_files` says.", r#"max_file_size = "50MB""#).default("none").needs(FILES),
        key("large_files", Shape::Word(&["handle", "skip", "reject"]), "`handle`: like any other; `skip`: filtered, and counted so; `reject`: rejected as a whole.", r#"max_file_size = "50MB"
large_files = "skip""#).default("`handle`").needs(&["max_file_size"]),
        key("max_record_size", Shape::Size, "A longer record is rejected.", r#"max_record_size = "1MiB""#).default("`64MiB`").needs(FILES),
    ],
};

/// The keys that name a source's format.
pub(super) const FORMATS: &[&str] =
    &["csv", "tsv", "json", "jsonl", "markdown", "text", "database"];

/// Those of them whose sources are files.
const FILES: &[&str] = &["csv", "tsv", "json", "jsonl", "markdown", "text"];

const SEPARATED: &[&str] = &["csv", "tsv"];

/// Encodings of source files.
pub(super) const ENCODINGS: &[&str] = &["utf-8", "utf-16le", "utf-16be", "latin-1", "windows-1252"];

/// `[source.NAME.columns]`.
pub(super) static SOURCE_COLUMN: Section = Section {
    title: "[source.NAME.columns] COLUMN",
    doc: "Settings of one column of a source.",
    one_of: &[],
    keys: &[
        key(
            "null",
            Shape::TextList,
            "Cells that mean NULL in this column, instead of the source's.",
            r#"null = ["", "0000-00-00"]"#,
        )
        .default("the source's"),
        key(
            "type",
            Shape::Kind,
            "What CEL sees; a cell that is not of this kind exactly rejects its record.",
            r#"type = "integer""#,
        )
        .default("`text` for separated values, else the document's own"),
    ],
};

/// `[[table]]`.
pub(super) static TABLE: Section = Section {
    title: "[[table]]",
    doc: "One step: it fills one table. Tables are filled in the order of the file, except that a table that another refers to comes first.",
    one_of: &[],
    keys: &[
        key("into", Shape::Text, "The table of the target, called as `table` of a source is: `schema.table`, in quotes where names have dots or quotes of their own.", r#"into = "runs""#).required(),
        key("from", Shape::Texts, "The source, or the sources in the order they are read. A field that a JSON, Markdown or text record lacks is NULL.", r#"from = ["json", "csv"]"#).required(),
        key("each", Shape::Each, "What makes a row: a record, a file, or an element of the array at this pointer. A record without elements is filtered.", r#"each = "file""#).default("`\"record\"`"),
        key("where", Shape::Text, "CEL over the record's fields and `let`s; records for which it is false, or false for one of their elements, are filtered, and counted so.", r#"where = "Status != 'IGNORED'""#),
        key("key", Shape::Texts, "Columns of the target that identify a row. They come from the source, from `uuid5` or from `source.ordinal`, never from the engine.", r#"key = ["run_id", "line_no"]"#).required(),
        key("legacy_key", Shape::Exprs, "What `ref … by` of other tables is compared with, as text. NULL in a part rejects the record, where the ledger keeps these keys: where another table refers to this one, `legacy_key` is said, `existing = \"update\"`, or `duplicates` go by columns.", r#"legacy_key = ["id"]"#).default("the parts of a single `uuid5` key, else the key columns' own expressions"),
        key("existing", Shape::Word(&["reject", "update", "keep"]), "What becomes of a row whose key stands in the target already with another content. `update` never overwrites what somebody else has edited since. Of records of one run that make different rows under one key the first is loaded, and the others are rejected.", r#"existing = "update""#).default("`reject`"),
        key("duplicates", Shape::One(&DUPLICATES), "Which records count as one; the first in source order wins.", r#"duplicates = { by = ["content_hash"] }"#),
        key("let", Shape::NamedExprs, "Named values that `where`, rules, CEL and columns use like fields. Each sees the fields and the names above it; one that has a field's name hides that field from all but itself. Whoever uses one that failed fails with it, whatever their own `invalid` says.", r#"let = { content = { first = ["content", "text"] } }"#),
        key("columns", Shape::NamedExprs, "Target columns, each with its expression.", r#"columns = { id = "ID", name = { from = "Name", trim = true } }"#).required(),
        key("rule", Shape::Many(&RULE), "What must hold for a row to be loaded.", "[[table.rule]]"),
    ],
};

/// `duplicates = { … }`.
pub(super) static DUPLICATES: Section = Section {
    title: "duplicates = { … }",
    doc: "Records that count as one. The first in source order (source, file, position) is loaded; later ones count as duplicates.",
    one_of: &[],
    keys: &[
        key("by", Shape::Texts, "`\"record\"`: the bytes of the record; else a list of target columns. NULL in one of them equals nothing.", r#"by = ["content_hash"]"#).required(),
        key("scope", Shape::Word(&["table", "file"]), "How far duplicates are looked for.", r#"scope = "file""#).default("`table`"),
        key("conflict", Shape::Word(&["map", "reject"]), "A later record with the same `by`, whatever its other columns: `map` counts it as a duplicate and leads its old key to the winner's row, `reject` rejects it.", r#"conflict = "reject""#).default("`map`"),
    ],
};

/// `[[table.rule]]`.
pub(super) static RULE: Section = Section {
    title: "[[table.rule]]",
    doc: "A rule about one row, checked before it is loaded.",
    one_of: &[],
    keys: &[
        key("name", Shape::Text, "What reports call it.", r#"name = "title has at most 500 characters""#).required(),
        key("cel", Shape::Text, "CEL over the record's fields and `let`s; `new.COLUMN` is the value that would be loaded.", r#"cel = "size(new.title) <= 500""#).required(),
        key("severity", Shape::Word(&["reject", "warn"]), "`warn`: the row is loaded, the violation (or that the rule fails on the row) counted and sampled.", r#"severity = "warn""#).default("`reject`"),
        key("max", Shape::Budget, "More violations than this stop the run at a checkpoint.", "max = 100").default("any number"),
    ],
};

/// An expression.
pub(super) static EXPR: Section = Section {
    title: "expressions",
    doc: "What columns, `let`s and parts of other expressions hold. A bare text is a field: a column of the source, a member, a JSON Pointer (`/a/b`), or a `let`. A table says in exactly one key where the value comes from; the other keys say what is done to it, always in this order, whatever the order they are written in: `null`, `trim`, `lower`, `newlines`, `strip_prefix` and `strip_suffix`, `map`, `list`, `matches` and `max_chars`, the kind (by `timestamp`, where it is one), `default`. Up to `strip_suffix`, but for `null`, they change texts alone; numbers and other values pass. A value that cannot be converted exactly is never bent: `invalid` decides, and what it decides is counted and sampled.",
    one_of: BASES,
    keys: &[
        key("from", Shape::Text, "A field.", r#"from = "Status""#),
        key("fact", Shape::Fact, "A fact about the record's place.", r#"fact = "file.name""#),
        key("value", Shape::Literal, "A literal.", "value = true"),
        key("first", Shape::Exprs, "The first that is not NULL.", r#"first = ["title", { fact = "file.stem" }]"#),
        key("concat", Shape::Exprs, "The parts as one text; NULL parts are left out; NULL where all are.", r#"concat = ["street", "city"]"#),
        key("split", Shape::Expr, "One `part` of a text that `by` separates; NULL where there is no such part.", r#"split = "name", by = " ", part = -1"#),
        key("uuid5", Shape::Exprs, "A UUID made from the parts' texts, joined by U+001F, in the plan's `namespace`: the same record has the same key in every run. NULL in a part rejects.", r#"uuid5 = [{ fact = "file.path" }, { fact = "record.number" }]"#),
        key("ref", Shape::Text, "The new key of the row of that table whose `legacy_key` is `by`. A parent that was rejected rejects its children.", r#"ref = "runs", by = { fact = "file.name" }"#),
        key("cel", Shape::Text, "CEL over fields and `let`s. Strict: where others coerce, it fails, and the record is rejected. Names that are not identifiers are `row['Pwr_Z1_%']`.", r#"cel = "Status.endsWith('_PARTIAL')""#),
        key("last", Shape::Text, "The last value of a field in the file that is not NULL, for `each = \"file\"`.", r#"last = "Status""#),
        key("first_of", Shape::Text, "The first such value.", r#"first_of = "Status""#),
        key("count", Shape::True, "How many records the file has.", "count = true"),
        key("min", Shape::Text, "The smallest value of a field in the file: of numbers or instants where the result is one, of times with `timestamp`, else of texts by their bytes. `invalid = \"null\"` leaves out what is no such value.", r#"min = "Temp""#),
        key("max", Shape::Text, "The largest, by the same order.", r#"max = "Temp""#),
        key("sum", Shape::Text, "The sum, exact, with up to 38 digits behind the point.", r#"sum = "Amount""#),
        key("by_source", Shape::NamedExprs, "One expression for each source of a union.", r#"by_source = { json = "title", csv = "Title" }"#),
        key("hash", Shape::Word(&["sha256", "blake3"]), "Hash of the parts in `of`, joined by U+001F, in lower-case hexadecimal. NULL in a part rejects.", r#"hash = "sha256", of = ["content"]"#),
        key("object", Shape::NamedExprs, "A JSON object.", r#"object = { old_id = "id" }"#),
        key("canonical_json", Shape::Expr, "SHA-256 of a JSON text's canonical form, in lower-case hexadecimal: blanks and the order of members do not change it.", r#"canonical_json = { fact = "file.text" }"#),
        key("separator", Shape::Text, "Between the parts.", r#"concat = ["street", "city"], separator = ", ""#).default("`\"\"`").needs(&["concat"]),
        key("by", Shape::Exprs, "For `split`: the separator. For `ref`: the parts of the legacy key.", r#"split = "name", by = " ", part = 1"#).needs(&["split", "ref"]),
        key("part", Shape::Integer, "Which part, from 1; from the end where it is negative.", r#"split = "name", by = " ", part = 2"#).needs(&["split"]),
        key("missing", Shape::Word(&["reject", "null"]), "A parent that does not exist, or NULL in `by`.", r#"ref = "runs", by = "RUN", missing = "null""#).default("`reject`").needs(&["ref"]),
        key("of", Shape::Exprs, "What is hashed.", r#"hash = "blake3", of = ["title", "body"]"#).needs(&["hash"]),
        key("null", Shape::TextList, "Texts that mean NULL here.", r#"from = "url", null = ["", "-"]"#).default("none"),
        key("trim", Shape::Bool, "White space at both ends goes.", r#"from = "title", trim = true"#).default("`false`"),
        key("lower", Shape::Bool, "Lower case, by Unicode.", r#"from = "kind", lower = true"#).default("`false`"),
        key("newlines", Shape::Bool, "CR LF and CR become LF, a leading byte order mark goes.", r#"from = "body", newlines = true"#).default("`false`"),
        key("strip_prefix", Shape::Text, "Goes from the start where it stands there.", r#"from = "ref", strip_prefix = "id:""#),
        key("strip_suffix", Shape::Text, "Goes from the end where it stands there.", r#"from = "Status", strip_suffix = "_PARTIAL""#),
        key("map", Shape::Text, "The value's pair in that `[map.NAME]`.", r#"from = "Status", map = "status""#),
        key("map_other", Shape::Word(&["reject", "keep", "null"]), "What becomes of a value that is not in the map.", r#"from = "Status", map = "status", map_other = "keep""#).default("`reject`").needs(&["map"]),
        key("list", Shape::One(&LIST), "A text or a JSON array as a JSON array of texts; nulls in it go.", r#"from = "tags", list = { split = [",", ";"], unique = true }"#),
        key("matches", Shape::Text, "A regular expression that must be found in the text; `^…$` means the whole. Other text is invalid.", r#"from = "url", matches = "^https?://", invalid = "null""#),
        key("max_chars", Shape::Count(0), "Longer text is invalid.", r#"from = "title", max_chars = 500"#),
        key("type", Shape::Kind, "The kind, where it is not the target column's.", r#"from = "settings", type = "json""#).default("the column's"),
        key("timestamp", Shape::Timestamps, "Formats of a time, tried in order: the names below, or patterns as in `strftime`, with `%.f` for a fraction.", r#"from = "seen", timestamp = ["rfc3339", "%d.%m.%Y %H:%M"]"#).default("the kind's own form, as RFC 3339 writes it"),
        key("start", Shape::Expr, "For formats without a date: the instant from which the clock counts on. A step back of more than twelve hours is the next day; one ahead of more than 23 takes that back; in the hour that comes twice, one back of more than half an hour begins the second time.", r#"from = "clock", timestamp = "%H:%M:%S%.f", start = { fact = "file.stem", timestamp = "run_%Y%m%d_%H%M%S" }"#).needs(&["timestamp"]),
        key("timezone", Shape::Text, "Zone of this column's times that carry none.", r#"from = "seen", timezone = "America/New_York""#).default("the plan's"),
        key("fold", Shape::Word(&["reject", "earlier", "later"]), "Which instant a local time means that occurs twice; with `start`, the order of the records decides first, and where that leaves it open it is the earlier one unless this says `later`. An instant that becomes a local time must be the one that is meant.", r#"from = "seen", fold = "earlier""#).default("`reject`"),
        key("default", Shape::Literal, "Instead of NULL.", r#"from = "category", default = "migrated""#),
        key("invalid", Shape::Word(&["reject", "null", "default"]), "What becomes of a value that cannot be converted: its record is rejected, or it is NULL (and stays it, whatever `default` says), or the `default`. An expression inside of another decides for itself, and what it rejects is rejected.", r#"from = "T1_Feed", invalid = "null""#).default("`reject`"),
        key("round", Shape::Bool, "A decimal may lose digits that the column cannot hold; each is counted.", r#"from = "price", round = true"#).default("`false`"),
    ],
};

/// The keys that say where an expression's value comes from.
pub(super) const BASES: &[&str] = &[
    "from",
    "fact",
    "value",
    "first",
    "concat",
    "split",
    "uuid5",
    "ref",
    "cel",
    "last",
    "first_of",
    "count",
    "min",
    "max",
    "sum",
    "by_source",
    "hash",
    "object",
    "canonical_json",
];

/// `list = { … }`.
pub(super) static LIST: Section = Section {
    title: "list = { … }",
    doc: "How a text becomes a list. A JSON array is one already.",
    one_of: &[],
    keys: &[
        key(
            "split",
            Shape::Texts,
            "Separators; each part is trimmed, empty ones go.",
            r#"split = [",", ";"]"#,
        )
        .default("the text is the only element"),
        key("unique", Shape::Bool, "Later equal elements go.", "unique = true").default("`false`"),
    ],
};

/// `[[relate]]`.
pub(super) static RELATE: Section = Section {
    title: "[[relate]]",
    doc: "A step in the target's own SQL, after all tables are loaded, in the order of the file. It is one transaction, which ends with a checkpoint (on MariaDB and MySQL, definitions commit by themselves): a run that is killed goes on with the first step that is not done. A later run of the plan that loads something takes the steps back, the last one first, and does them again; so it is, with `--adopt`, where the SQL of a step has changed, with that step and those behind it. Statements that begin or end transactions are refused. Inside a text, `$$` is written `$$$$`; a dollar quote with a tag (`$do$ … $do$`) and SQL from a file (`${file:sql/hierarchy.sql}`) are themselves.",
    one_of: &[],
    keys: &[
        key("name", Shape::Text, "What the ledger, reports and messages call it; unique in the plan.", r#"name = "hierarchy""#).required(),
        key("sql", Shape::Sql(&SQL), "What is done: one statement or several.", r#"sql = "INSERT INTO closure SELECT id, parent_id, 1 FROM nodes WHERE parent_id IS NOT NULL""#).required(),
        key("undo", Shape::Sql(&SQL), "What takes it back. It is also done before `sql` is done again: before a later run loads, where the step writes to a table that a mapping fills, else behind that load. So it must not mind rows that are gone. Without it the step cannot be undone, and `plan` and `validate` say so; where it would have to be done again, the run refuses.", r#"undo = "DELETE FROM closure""#),
        key("writes", Shape::Texts, "The tables that `sql` changes. Their numbers of rows, before and after, are kept.", r#"writes = ["closure"]"#).required(),
        key("check", Shape::Sql(&SQL), "A query that must return no rows once `sql` is done. Otherwise the step is taken back, and its first rows are shown.", r#"check = "SELECT id FROM nodes WHERE parent_id = id""#),
    ],
};

/// `[[check]]`.
pub(super) static CHECK: Section = Section {
    title: "[[check]]",
    doc: "A rule of your own. It is evaluated by every verification from its `level` on: the last phase of a run, and `whimbrel verify`. With `source` it is evaluated before the load, by `validate` and at the beginning of `migrate`, before the first write. Exactly one of `rows`, `sql`, `command` and `kind` says what must hold. Violations are counted and the first of them shown, in the answer, the ledger and the reports. docs/verification.md says more.",
    one_of: &["rows", "sql", "command", "kind"],
    keys: &[
        key("name", Shape::Text, "What the ledger, reports and messages call it; unique in the plan.", r#"name = "no-orphaned-samples""#).required(),
        key("rows", Shape::Text, "CEL over the columns of `table`, or over the fields of `source`, which must be true for each row. A row for which it is false is a violation, and so is one for which it has no value: NULL is a value like others, `c == null` asks for it, and to compare it with `<` fails. So `c == null || c > 0` allows NULL and `c > 0` does not.", r#"table = "samples"
rows = "t1 == null || t1 < 400.0""#),
        key("sql", Shape::Sql(&SQL), "A query in the target's own SQL (with `source`: in that database's), one statement that only reads. Each row that it returns is a violation. It runs in a transaction that only reads, on the state that the verification reads.", r#"sql = "SELECT id FROM samples WHERE t1 > t2 AND kind = 'melt'""#),
        key("command", Shape::TextList, "A program and its arguments, run in the plan's folder without a shell; it holds where the program ends with 0. It sees `WHIMBREL_RUN`, `WHIMBREL_PLAN`, `WHIMBREL_CHECK`, `WHIMBREL_TARGET` (the URL without its password), `WHIMBREL_ENGINE` and, with `source`, `WHIMBREL_SOURCE`; of the rest of the environment only `PATH`, `HOME`, `LANG`, `TMPDIR` and what `pass` names. What it prints is kept, its last 4 KiB.", r#"command = ["./checks/shop.sh", "--strict"]"#),
        key("kind", Shape::Word(&["orphans", "self-parents", "cycles", "dates", "overlaps"]), "A rule that many plans need. `orphans`: rows whose `columns` are not NULL and lead to no row of `references`. `self-parents`: rows whose `parent` is their own `key`. `cycles`: rows whose parents lead in a circle, those below it too. `dates`: days and instants of `columns` before `after` or behind `before`, and rows whose `start` is behind their `end`. `overlaps`: rows with the same `by` whose times, from `start` to before `end`, overlap; an `end` that is NULL is no end, and rows whose `start` or `by` is NULL do not count; what is text is compared as text, letter by letter, so that `9:00` begins behind `10:00`.", r#"kind = "cycles"
table = "runs"
key = "id"
parent = "parent_id""#),
        key("table", Shape::Text, "The target's table that is looked at.", r#"table = "samples"
rows = "true""#).needs(&["rows", "kind"]),
        key("source", Shape::Text, "The source that is looked at, by its name in the plan. The check is evaluated before the load then.", r#"source = "samples"
rows = "T1 != ''""#),
        key("on", Shape::Word(&["target", "source"]), "Says it in so many words.", r#"on = "source"
source = "samples"
rows = "T1 != ''""#).default("`source` where a source is named, else `target`"),
        key("columns", Shape::Texts, "Columns that are looked at.", r#"table = "samples"
kind = "orphans"
columns = ["run_id"]
references = "runs""#).needs(&["kind"]),
        key("references", Shape::Text, "The table, or source, that `columns` lead to.", r#"table = "samples"
kind = "orphans"
columns = ["run_id"]
references = "runs""#).needs(&["kind"]),
        key("key", Shape::Texts, "What identifies a row: of the table itself, with `orphans` of the one that is referred to.", r#"table = "runs"
kind = "self-parents"
key = "id"
parent = "parent_id""#).default("with `orphans` the table's key").needs(&["kind"]),
        key("parent", Shape::Text, "The column that holds the `key` of the parent.", r#"table = "runs"
kind = "self-parents"
key = "id"
parent = "parent_id""#).needs(&["kind"]),
        key("after", Shape::Text, "The first day that may be, or `today`, by UTC.", r#"table = "samples"
kind = "dates"
columns = ["measured_at"]
after = "1990-01-01""#).needs(&["kind"]),
        key("before", Shape::Text, "The last day that may be, or `today`, by UTC.", r#"table = "samples"
kind = "dates"
columns = ["measured_at"]
before = "today""#).needs(&["kind"]),
        key("by", Shape::Texts, "Columns that make a group.", r#"table = "runs"
kind = "overlaps"
by = ["machine"]
start = "started_at"
end = "ended_at""#).needs(&["kind"]),
        key("start", Shape::Text, "The column with the beginning.", r#"table = "runs"
kind = "dates"
start = "started_at"
end = "ended_at""#).needs(&["kind"]),
        key("end", Shape::Text, "The column with the end.", r#"table = "runs"
kind = "dates"
start = "started_at"
end = "ended_at""#).needs(&["kind"]),
        key("pass", Shape::Texts, "Environment variables that the `command` gets too, such as the password of the target.", r#"command = ["./checks/shop.sh"]
pass = ["PGPASSWORD"]"#).default("none").needs(&["command"]),
        key("level", Shape::Word(&["basic", "standard", "rigorous"]), "The first level of verification that evaluates it.", r#"level = "standard""#).default("`basic`"),
        key("severity", Shape::Word(&["error", "warning"]), "`error`: more violations than `allow` fail the verification (exit code 4), or, on a source, refuse the run (exit code 2). `warning`: they are shown.", r#"severity = "warning""#).default("`error`"),
        key("allow", Shape::Budget, "Violations that are allowed: a count, or a part of the rows that were looked at. Of what `sql` looks at only the violations are known: there it is a count; a `command` holds or not.", r#"allow = 3"#).default("`0`"),
        key("timeout", Shape::Duration, "How long it may take; after that it is not verified (exit code 8).", r#"timeout = "30s""#).default("`5m`"),
    ],
};

/// `[[query]]`.
pub(super) static QUERY: Section = Section {
    title: "[[query]]",
    doc: "A query that the new schema must answer in time. `whimbrel verify --level rigorous` asks it up to three times, takes all rows, and compares the fastest with `budget`; the verification that is a phase of a run does not, since indexes and statistics are put in order when a run ends.",
    one_of: &[],
    keys: &[
        key(
            "name",
            Shape::Text,
            "What the ledger, reports and messages call it; unique in the plan.",
            r#"name = "the latest samples""#,
        )
        .required(),
        key(
            "sql",
            Shape::Sql(&SQL),
            "One statement that only reads.",
            r#"sql = "SELECT * FROM samples ORDER BY measured_at DESC LIMIT 50""#,
        )
        .required(),
        key(
            "budget",
            Shape::Duration,
            "How long it may take, all rows read.",
            r#"budget = "50ms""#,
        )
        .required(),
        key(
            "severity",
            Shape::Word(&["error", "warning"]),
            "`error`: a query over its budget fails the verification. `warning`: it is shown.",
            r#"severity = "error""#,
        )
        .default("`warning`"),
    ],
};

/// SQL by engine.
pub(super) static SQL: Section = Section {
    title: "sql = { … }",
    doc: "One text for each engine that the plan is used with, where one text will not do for all: `sql = { sqlite = \"…\", postgres = \"…\" }`. A plan whose target is an engine without its text is refused (WB0036).",
    one_of: &[],
    keys: &[
        key("sqlite", Shape::Text, "For SQLite.", r#"sqlite = "SELECT 1""#),
        key(
            "postgres",
            Shape::Text,
            "For PostgreSQL.",
            r#"postgres = "REFRESH MATERIALIZED VIEW closure""#,
        ),
        key("mysql", Shape::Text, "For MySQL and MariaDB.", r#"mysql = "SELECT 1""#),
    ],
};

/// `[rejects]`.
pub(super) static REJECTS: Section = Section {
    title: "[rejects]",
    doc: "How many rejected records are too many. Past that the run stops at a checkpoint (exit code 7) and says how to go on.",
    one_of: &[],
    keys: &[
        key("max", Shape::Budget, "A count, or a part of the records read.", r#"max = "1%""#)
            .default("any number"),
        key(
            "after",
            Shape::Count(0),
            "A part counts only from this many records on.",
            "after = 5000",
        )
        .default("`1000`"),
    ],
};

/// `[window]`.
pub(super) static WINDOW: Section = Section {
    title: "[window]",
    doc: "When the run may write, in the plan's `timezone`. A run that is still going at the closing stops at a checkpoint (exit code 75).",
    one_of: &[],
    keys: &[
        key("open", Shape::Clock, "The opening.", r#"open = "22:00""#).required(),
        key(
            "close",
            Shape::Clock,
            "The closing; before `open` it is the next day's.",
            r#"close = "05:30""#,
        )
        .required(),
        key(
            "outside",
            Shape::Word(&["refuse", "wait"]),
            "Outside the window the run does not start, or it waits for the opening.",
            r#"outside = "wait""#,
        )
        .default("`refuse`"),
    ],
};

/// `[run]`.
pub(super) static RUN: Section = Section {
    title: "[run]",
    doc: "Limits. A change of them is no change of the mapping: a run that was interrupted goes on.",
    one_of: &[],
    keys: &[
        key("workers", Shape::Count(1), "Threads that transform.", "workers = 4")
            .default("as many as the machine has to spare"),
        key("batch_size", Shape::Count(1), "Rows in a transaction.", "batch_size = 1000")
            .default("adaptive, about 100,000"),
        key("batch_bytes", Shape::Size, "Bytes in a transaction.", r#"batch_bytes = "16MiB""#)
            .default("`64MiB`"),
        key(
            "batch_timeout",
            Shape::Duration,
            "A batch is committed after this time at the latest.",
            r#"batch_timeout = "30s""#,
        )
        .default("2s"),
        key(
            "retries",
            Shape::Count(0),
            "How often a batch is tried again after an error that may pass.",
            "retries = 5",
        )
        .default("`3`"),
        key(
            "max_rate",
            Shape::Rate,
            "Rows per second that are written at most, so that others are not disturbed.",
            r#"max_rate = "50000/s""#,
        )
        .default("none; a target under pressure slows the run down by itself"),
        key(
            "indexes",
            Shape::Word(&["auto", "keep", "park"]),
            "Indexes of a table that is empty when its load begins, but for unique ones and those that other things need: `park` drops them and makes them again when its rows are complete, `keep` leaves them, `auto` parks them where the load is large (32 MiB of files, 100,000 rows of a database).",
            r#"indexes = "keep""#,
        )
        .default("`auto`"),
        key(
            "deadline",
            Shape::Duration,
            "After this long the run stops at a checkpoint (exit code 75).",
            r#"deadline = "30m""#,
        )
        .default("none"),
    ],
};

/// Every section, in the order of the reference.
pub(super) static SECTIONS: &[&Section] = &[
    &ROOT,
    &SOURCE,
    &SOURCE_COLUMN,
    &TABLE,
    &DUPLICATES,
    &RULE,
    &EXPR,
    &LIST,
    &RELATE,
    &CHECK,
    &QUERY,
    &SQL,
    &REJECTS,
    &WINDOW,
    &RUN,
];

#[cfg(test)]
mod tests {
    use super::super::{CODES, decode};
    use super::*;

    const HEAD: &[(&str, &str)] = &[("name", "name = 'n'"), ("target", "target = 'sqlite:t.db'")];
    const SOURCES: &str = "[source.samples]\ncsv = 's'\n[source.json]\njson = 's'\n[source.csv]\ncsv = 's'\n[map.status]\na = 1\n";
    const RUNS: &str = "[[table]]\ninto = 'runs'\nfrom = 'samples'\nkey = 'id'\ncolumns = { id = { fact = 'file.name' } }\n";
    const TABLE: &[(&str, &str)] = &[
        ("into", "into = 't'"),
        ("from", "from = 'samples'"),
        ("key", "key = 'id'"),
        (
            "columns",
            "columns = { id = { fact = 'file.path' }, run_id = { value = 1 }, line_no = { value = 1 }, content_hash = { value = 1 } }",
        ),
    ];

    /// The example, and the lines of `usual` whose keys it does not write.
    fn with_usual(key: &Key, usual: &[(&str, &str)]) -> String {
        let writes =
            |name: &str| key.example.lines().any(|line| line.starts_with(&format!("{name} = ")));
        let lines = usual.iter().filter(|(name, _)| !writes(name)).map(|(_, line)| *line);
        lines.chain([key.example]).collect::<Vec<_>>().join("\n")
    }

    /// A plan in which the example of a key stands where it belongs.
    fn plan_with(section: &Section, key: &Key) -> String {
        let head = with_usual(key, HEAD);
        let usual = HEAD.iter().map(|(_, line)| *line).collect::<Vec<_>>().join("\n");
        let table = TABLE.iter().map(|(_, line)| *line).collect::<Vec<_>>().join("\n");
        let table = format!("[[table]]\n{table}");
        match section.title {
            "the plan" if key.example.starts_with('[') => format!("{usual}\n{SOURCES}{table}\n"),
            "the plan" => format!("{head}\n{SOURCES}{table}\n"),
            "[source.NAME]" => {
                let own = FORMATS.iter().any(|format| {
                    key.example.lines().any(|line| line.starts_with(&format!("{format} = ")))
                });
                let format = match key.needs.first() {
                    Some(_) | None if own => Vec::new(),
                    Some(format) if FORMATS.contains(format) => {
                        vec![(*format, "csv = 'x'".replace("csv", format))]
                    }
                    Some(_) | None => vec![("csv", "csv = 'x'".to_owned())],
                };
                let format: Vec<(&str, &str)> =
                    format.iter().map(|(name, line)| (*name, line.as_str())).collect();
                format!("{usual}\n{SOURCES}[source.x]\n{}\n{table}\n", with_usual(key, &format))
            }
            "[source.NAME.columns] COLUMN" => {
                format!(
                    "{usual}\n{SOURCES}[source.x]\ncsv = 'x'\n[source.x.columns.c]\n{}\n{table}\n",
                    key.example
                )
            }
            "[[table]]" if key.example.starts_with('[') => format!("{usual}\n{SOURCES}{table}\n"),
            "[[table]]" => format!("{usual}\n{SOURCES}[[table]]\n{}\n", with_usual(key, TABLE)),
            "duplicates = { … }" => {
                format!(
                    "{usual}\n{SOURCES}{table}\n[table.duplicates]\n{}\n",
                    with_usual(key, &[("by", "by = 'id'")])
                )
            }
            "[[table.rule]]" => {
                let rule = with_usual(key, &[("name", "name = 'r'"), ("cel", "cel = 'true'")]);
                format!("{usual}\n{SOURCES}{table}\n[[table.rule]]\n{rule}\n")
            }
            "expressions" => {
                let whole_file =
                    ["last", "first_of", "count", "min", "max", "sum", "canonical_json"];
                let each = if whole_file.contains(&key.name) { "each = 'file'\n" } else { "" };
                let from = if key.name == "by_source" { "['json', 'csv']" } else { "'samples'" };
                let id = "id = { fact = 'file.path' }";
                let columns = format!("[table.columns]\n{id}\nc = {{ {} }}", key.example);
                format!(
                    "{usual}\n{SOURCES}{RUNS}[[table]]\ninto = 't'\nfrom = {from}\n{each}key = 'id'\n{columns}\n"
                )
            }
            "list = { … }" => {
                format!(
                    "{usual}\n{SOURCES}{RUNS}[[table]]\ninto = 't'\nfrom = 'samples'\nkey = 'id'\n[table.columns]\nid = 'ID'\n[table.columns.c]\nfrom = 'C'\n[table.columns.c.list]\n{}\n",
                    key.example
                )
            }
            "[[relate]]" => {
                let own =
                    [("name", "name = 'r'"), ("sql", "sql = 'x'"), ("writes", "writes = 't'")];
                let relate = with_usual(key, &own);
                format!("{usual}\n{SOURCES}{table}\n[[relate]]\n{relate}\n")
            }
            "[[check]]" => {
                let forms = ["rows", "sql", "command", "kind"];
                let asks = forms.iter().any(|form| {
                    key.example.lines().any(|line| line.starts_with(&format!("{form} = ")))
                });
                let own = [("name", "name = 'c'"), ("sql", "sql = 'SELECT 1'")];
                let check = with_usual(key, if asks { &own[..1] } else { &own });
                format!("{usual}\n{SOURCES}{table}\n[[check]]\n{check}\n")
            }
            "[[query]]" => {
                let own =
                    [("name", "name = 'q'"), ("sql", "sql = 'x'"), ("budget", "budget = '1s'")];
                let query = with_usual(key, &own);
                format!("{usual}\n{SOURCES}{table}\n[[query]]\n{query}\n")
            }
            "sql = { … }" => {
                format!(
                    "{usual}\n{SOURCES}{table}\n[[relate]]\nname = 'r'\nwrites = 't'\nsql = {{ {} }}\n",
                    key.example
                )
            }
            "[rejects]" | "[run]" => {
                format!("{usual}\n{SOURCES}{table}\n{}\n{}\n", section.title, key.example)
            }
            "[window]" => {
                let window =
                    with_usual(key, &[("open", "open = '20:00'"), ("close", "close = '06:00'")]);
                format!("{usual}\n{SOURCES}{table}\n[window]\n{window}\n")
            }
            other => panic!("no plan for the examples of {other}"),
        }
    }

    #[test]
    fn every_example_decodes() {
        for section in SECTIONS {
            for key in section.keys {
                let plan = plan_with(section, key);
                let decoded =
                    decode(&plan, &|_| None, &|_| Err(std::io::ErrorKind::NotFound.into()));
                if let Err(errors) = decoded {
                    let shown: String =
                        errors.iter().map(|error| error.render("example", &plan)).collect();
                    panic!("`{}` of {}:\n{plan}\n{shown}", key.name, section.title);
                }
            }
        }
    }

    #[test]
    fn every_needed_key_is_one_of_its_section() {
        for section in SECTIONS {
            let needed = section.keys.iter().flat_map(|key| key.needs).chain(section.one_of);
            for name in needed {
                assert!(section.key(name).is_some(), "`{name}` in {}", section.title);
            }
        }
    }

    #[test]
    fn every_key_stands_once_in_its_section() {
        for section in SECTIONS {
            for (index, key) in section.keys.iter().enumerate() {
                assert!(
                    section.keys[..index].iter().all(|other| other.name != key.name),
                    "`{}`",
                    key.name
                );
            }
        }
    }

    #[test]
    fn every_code_stands_once_in_order() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn every_code_is_explained_in_two_to_five_sentences() {
        for (code, title, explanation) in CODES {
            let ends = [". ", "? ", ": "]
                .iter()
                .map(|end| explanation.matches(end).count())
                .sum::<usize>();
            assert!((1..6).contains(&ends) && !title.is_empty(), "{code}: {explanation}");
        }
    }
}

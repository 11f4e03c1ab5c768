//! `docs/plan-reference.md`, from the table of keys.

use std::fmt::Write as _;

use super::keys::{Key, SECTIONS, Section};
use super::{Fact, Kind, Plan, TIMESTAMP_NAMES};

const HEAD: &str = "\
# The plan file

*This page is made from the table of keys in `crates/model/src/plan/keys.rs`; a test compares them.*

A plan is one TOML file, `whimbrel.toml` unless another is named. Paths in it are relative to the
plan. Unknown keys are errors. All mistakes of a plan are shown at once, each with its place and a
code; the codes are listed below. `docs/plan.schema.json` tells editors the same.

Inside texts, `${NAME}` is replaced by a variable of the environment, `${NAME:-default}` by the
default where the variable is unset or empty, `${file:path}` by the text of a file without its last
line end, and `$$` by `$`. A variable that is not set is an error. What came from a variable or a
file is never shown, neither in messages nor in logs.

Whole plans: `fixtures/extruder/whimbrel.toml` (logs into tables) and
`fixtures/content/whimbrel.toml` (documents of four formats into tables).
";

impl Plan {
    /// The reference of every key, in Markdown.
    pub fn reference() -> String {
        let mut out = HEAD.to_owned();
        for section in SECTIONS {
            write_section(&mut out, section);
        }
        write_facts(&mut out);
        write_timestamps(&mut out);
        write_kinds(&mut out);
        write_codes(&mut out);
        out.push_str(ELSEWHERE);
        out
    }
}

fn write_section(out: &mut String, section: &Section) {
    let title = capital(&section.shown());
    let _ = write!(out, "\n## {title}\n{}\n\n", section.doc);
    out.push_str(
        "| key | value | where it is left out | meaning | example |\n|---|---|---|---|---|\n",
    );
    for key in section.keys {
        write_key(out, key);
    }
}

fn write_key(out: &mut String, key: &Key) {
    let default = match (key.required, key.default) {
        (true, _) => "**required**",
        (false, "") => "–",
        (false, default) => default,
    };
    let needs = match key.needs {
        [] => String::new(),
        needs => format!(" Only with {}.", super::read::or(needs)),
    };
    let example = key
        .example
        .lines()
        .map(|line| format!("`{}`", cell(line)))
        .collect::<Vec<_>>()
        .join("<br>");
    let _ = writeln!(
        out,
        "| `{}` | {} | {} | {}{needs} | {example} |",
        key.name,
        cell(&key.shape.expects()),
        cell(default),
        cell(key.doc),
    );
}

fn write_facts(out: &mut String) {
    out.push_str("\n## Facts\nWhat `fact` can say about the place of a record.\n\n| fact | what it is |\n|---|---|\n");
    for (name, fact) in Fact::ALL {
        let _ = writeln!(out, "| `{name}` | {} |", fact.doc());
    }
}

fn write_timestamps(out: &mut String) {
    out.push_str("\n## Timestamp formats with a name\n| name | what it reads |\n|---|---|\n");
    for (name, doc) in TIMESTAMP_NAMES {
        let _ = writeln!(out, "| `{name}` | {doc} |");
    }
}

fn write_kinds(out: &mut String) {
    let names: Vec<String> = Kind::NAMES.iter().map(|name| format!("`{name}`")).collect();
    let _ = write!(out, "\n## Kinds\nWhat `type` can say: {}.\n{NUL}", names.join(", "));
}

fn write_codes(out: &mut String) {
    out.push_str("\n## Codes of plan errors\n| code | title | what it means |\n|---|---|---|\n");
    for (code, title, explanation) in super::CODES {
        let _ = writeln!(out, "| {code} | {} | {} |", cell(title), cell(explanation));
    }
}

/// A text inside a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn capital(title: &str) -> String {
    let mut chars = title.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

impl Fact {
    /// What the fact is, for the reference.
    fn doc(self) -> &'static str {
        match self {
            Self::FilePath => "path of the file, relative to the plan, with `/`",
            Self::FileName => "its name: `run_20240330_235950.csv`",
            Self::FileStem => "its name without the last suffix: `run_20240330_235950`",
            Self::FileDir => "its folder, relative to the plan",
            Self::FileSuffix => "its last suffix: `csv`",
            Self::FileMtime => "when it was last modified, an instant",
            Self::FileSize => "its bytes",
            Self::FileSha256 => {
                "SHA-256 of its bytes as they are stored, in lower-case hexadecimal"
            }
            Self::FileBlake3 => "BLAKE3 of the same",
            Self::FileText => "the whole file as text, for `each = \"file\"`",
            Self::RecordNumber => "number of the record in its file, from 1",
            Self::RecordLine => "line at which the record begins, from 1",
            Self::RecordText => "the record as it is written",
            Self::RecordJson => "the record as a JSON object",
            Self::ElementNumber => {
                "number of the element in its array, from 1, for `each = \"/pointer\"`"
            }
            Self::Element => "the element itself, for `each = \"/pointer\"`",
            Self::SourceName => "NAME of the source",
            Self::SourceOrdinal => {
                "number of the record (or file) within the table's sources, from 1; there may be gaps"
            }
            Self::PlanTimezone => "the plan's `timezone`",
        }
    }
}

const NUL: &str = r#"
SQLite cannot keep U+0000 in a text: many of its functions and tools end the text there. A value that
holds one is rejected (WB0240), or what `invalid` says. To load it without the character:
`{ cel = "row['note'] == null ? null : row['note'].replace('\u0000', '')" }`.
"#;

/// Where the settings of two hand-written migrators that this replaces are found.
const ELSEWHERE: &str = r#"
## Coming from other migrators
Two migrators whose work Whimbrel takes over had these settings. A row is here once its key exists;
what has no row (backups and their folders, levels of verification, rollback, pool sizes) has no key
yet.

### A separated PostgreSQL schema → unified chunks (YAML)
| setting | its default | here |
|---|---|---|
| `target_database.host`, `port`, `user`, `password`, `database`, `ssl_mode` | `localhost`, `5432` … | `target`, one URL; the password as `${NAME}` or `${file:path}` |
| `source_database.*` | as above | `[source.NAME] database`, one URL; `table` or `query` for each table |
| `migration.batch_size` | `1000` | `[run] batch_size`; adaptive where it is left out |
| `migration.max_retries` | `3` | `[run] retries` (default 3); only for errors that may pass |
| `migration.timeout_per_batch` | `30s` | `[run] batch_timeout = "30s"`; none where it is left out |
| `migration.parallel_workers` | `2` | `[run] workers`; from the machine where it is left out |

### Files of an agent backend → content and knowledge items (MigrationConfig)
| setting | its default | here |
|---|---|---|
| `source_directory` | required | the globs of `[source.NAME]`; hidden folders and other cases with `hidden`, `ignore_case` |
| `batch_size` | `100` files | `[run] batch_size`, in rows |
| `validate_data` | `true` | `[[table.rule]]`, `max_chars`, `matches`: rules stand in the plan and are always checked |
| title of at most 500 characters, content of at most 1,000,000 | fixed | `[[table.rule]]` with `size(new.title) <= 500` |
| title required, else the file's stem | fixed | `first = ["title", "heading", { fact = "file.stem" }]` |
| `type` one of five | fixed | `map = "content_type"`; others are rejected, `map_other` says otherwise |
| `url` must begin with `http` | fixed, fails the item | `matches = "^https?://"`, `invalid = "null"` keeps the item and counts the loss |
| duplicates by SHA-256 of the content | fixed, dropped | `duplicates = { by = ["content_hash"] }`: both old ids lead to the row |
| knowledge item from 501 characters | fixed | `where = "size(content) > 500"` |
| `preserve_timestamps` | `true` | `first = ["created_at", { fact = "file.mtime" }]` |
| `max_file_size` | `52428800` | `[source.NAME] max_file_size`; none where it is left out |
| `skip_large_files` | `true` | `[source.NAME] large_files = "skip"`; `handle` where it is left out |
| `parallel_processing`, `max_workers` | `false`, `4` | `[run] workers` |
"#;

//! Every type of three engines into every engine: `init` writes the plan, `migrate` runs it as it
//! stands, and every value is then in the target with the same meaning, or its record was rejected
//! with the column named. Nothing changes silently.
//!
//! ```text
//! fixtures/exactness/types/ENGINE.tsv ─▶ a table per type, filled by the engine's own client
//!                                     └▶ what each target's own client must spell for every value
//! ```
//! Values are read by `psql`, `mariadb` and SQLite's own functions, never by what moved them.

#![allow(clippy::unwrap_used)] // tests

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use expect_test::{Expect, expect};
use tempfile::TempDir;
use whimbrel_testkit::servers::{self, Database};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Engine {
    Sqlite,
    Postgres,
    Mysql,
}

const ENGINES: [Engine; 3] = [Engine::Sqlite, Engine::Postgres, Engine::Mysql];

/// How two spellings are compared.
#[derive(Clone, Copy, Debug)]
enum Compared {
    /// Byte by byte.
    Text,
    /// As decimals: zeros at the end of a fraction, and exponents, do not count.
    Number,
    /// By the bits of the double.
    Double,
    /// The same, but the source has single floats.
    Single,
}

/// What becomes of a value in a target.
#[derive(Clone, PartialEq, Debug)]
enum Fate {
    /// It is there, spelled so; `None` is NULL.
    There(Option<String>),
    /// It is there, spelled so, and the change is counted under this code.
    Counted(String, String),
    /// Its record is rejected, and the column is named.
    Rejected,
}

impl Fate {
    fn parse(text: &str) -> Self {
        match text.split_once(' ') {
            _ if text == "-" => Self::Rejected,
            Some((code, rest)) if code.starts_with("WB") => {
                Self::Counted(code.to_owned(), unescaped(rest).unwrap())
            }
            _ => Self::There(unescaped(text)),
        }
    }
}

struct Cell {
    literal: String,
    canonical: Option<String>,
    fates: BTreeMap<Engine, Fate>,
}

/// A type, and the table of its values.
struct Kind {
    name: String,
    declared: String,
    compared: Compared,
    source: String,
    spelled: BTreeMap<Engine, String>,
    cells: Vec<Cell>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/exactness/types").join(name)
}

fn kinds(engine: Engine) -> Vec<Kind> {
    let file = fixture(&format!("{}.tsv", engine.name()));
    let text = std::fs::read_to_string(file).unwrap();
    let mut kinds: Vec<Kind> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let parts: Vec<&str> = line.split('\t').collect();
        match parts.as_slice() {
            ["", literal, canonical, fates @ ..] => {
                let canonical = unescaped(canonical);
                let fate = |at: usize| match fates.get(at) {
                    None | Some(&"=") => Fate::There(canonical.clone()),
                    Some(text) => Fate::parse(text),
                };
                let fates = ENGINES.into_iter().enumerate().map(|(at, engine)| (engine, fate(at)));
                let fates = fates.collect();
                let cell = Cell { literal: (*literal).to_owned(), canonical, fates };
                kinds.last_mut().unwrap().cells.push(cell);
            }
            [name, declared, compared, source, sqlite, postgres, mysql] => kinds.push(Kind {
                name: (*name).to_owned(),
                declared: (*declared).to_owned(),
                compared: match *compared {
                    "text" => Compared::Text,
                    "number" => Compared::Number,
                    "double" => Compared::Double,
                    "single" => Compared::Single,
                    other => panic!("{line}: {other}"),
                },
                source: (*source).to_owned(),
                spelled: ENGINES
                    .into_iter()
                    .zip([*sqlite, *postgres, *mysql].map(str::to_owned))
                    .collect(),
                cells: Vec::new(),
            }),
            _ => panic!("{line}"),
        }
    }
    kinds
}

/// `\N` is NULL, `\e` nothing, `\s` a blank; the rest is as in Rust.
fn unescaped(text: &str) -> Option<String> {
    if text == "\\N" {
        return None;
    }
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match rest.next().unwrap() {
            'e' => {}
            's' => out.push(' '),
            't' => out.push('\t'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            '\\' => out.push('\\'),
            'u' => {
                let digits: String = rest.by_ref().skip(1).take_while(|c| *c != '}').collect();
                out.push(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).unwrap());
            }
            other => panic!("\\{other} in {text}"),
        }
    }
    Some(out)
}

impl Engine {
    fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
        }
    }

    /// What stands before the tables: sessions as nobody would set them.
    fn prelude(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => {
                "DO $$ DECLARE setting text; BEGIN
                   FOREACH setting IN ARRAY ARRAY['timezone = ''Asia/Kathmandu''',
                       'intervalstyle = ''sql_standard''', 'datestyle = ''German, DMY''',
                       'extra_float_digits = 0', 'bytea_output = ''escape''', 'xmlbinary = ''hex''']
                   LOOP EXECUTE format('ALTER DATABASE %I SET %s', current_database(), setting); END LOOP;
                 END $$;
                 SET timezone = 'Asia/Kathmandu'; SET datestyle = 'ISO, YMD';
                 CREATE EXTENSION IF NOT EXISTS hstore; CREATE EXTENSION IF NOT EXISTS citext;
                 CREATE DOMAIN labels AS text[] CHECK (array_length(VALUE, 1) > 0);
                 CREATE TYPE moods AS ENUM ('so so ', 'happy');
                 CREATE DOMAIN positives AS integer CHECK (VALUE > 0);
                 CREATE TYPE pairs AS (a integer, b text);"
            }
            Self::Mysql => "SET time_zone = '+05:45', sql_mode = 'ALLOW_INVALID_DATES';",
        }
    }
}

/// A database of one of the engines.
enum Place {
    Sqlite(TempDir),
    Server(Engine, Database<'static>),
}

impl Place {
    fn new(engine: Engine, hint: &str) -> Option<Self> {
        let server = match engine {
            Engine::Sqlite => return Some(Self::Sqlite(tempfile::tempdir().unwrap())),
            Engine::Postgres => servers::postgres_or_skip()?,
            Engine::Mysql => servers::mysql_or_skip()?,
        };
        Some(Self::Server(engine, server.database(hint).unwrap()))
    }

    fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Server(engine, _) => *engine,
        }
    }

    fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite:{}", folder.path().join("types.db").display()),
            Self::Server(_, database) => database.url(),
        }
    }

    fn connection(folder: &TempDir) -> rusqlite::Connection {
        rusqlite::Connection::open(folder.path().join("types.db")).unwrap()
    }

    fn run(&self, sql: &str) {
        match self {
            Self::Sqlite(folder) => Self::connection(folder).execute_batch(sql).unwrap(),
            Self::Server(_, database) => database.run(sql).unwrap(),
        }
    }

    /// Number and spelling of every row of each table.
    fn spelled(&self, tables: &[(&str, &str)]) -> Vec<BTreeMap<usize, Option<String>>> {
        let query = |(table, spelled): &(&str, &str)| match self.engine() {
            Engine::Sqlite => format!("SELECT id, {spelled} FROM {table}"),
            Engine::Postgres => format!("SELECT id, ({spelled})::text FROM {table}"),
            Engine::Mysql => format!("SELECT id, {spelled} FROM {table}"),
        };
        match self {
            Self::Sqlite(folder) => {
                let connection = Self::connection(folder);
                tables.iter().map(|table| native(&connection, &query(table))).collect()
            }
            Self::Server(engine, database) => {
                let settings = ["SELECT set_config('datestyle', 'ISO, YMD', false), \
                     set_config('intervalstyle', 'iso_8601', false), \
                     set_config('extra_float_digits', '1', false), \
                     set_config('bytea_output', 'hex', false), \
                     set_config('timezone', 'UTC', false)"];
                let settings = if *engine == Engine::Postgres { &settings[..] } else { &[] };
                let queries: Vec<String> = tables.iter().map(query).collect();
                let queries: Vec<&str> =
                    settings.iter().copied().chain(queries.iter().map(String::as_str)).collect();
                let found = database.many_rows(&queries).unwrap();
                found.into_iter().skip(settings.len()).map(numbered).collect()
            }
        }
    }
}

fn numbered(rows: Vec<servers::Row>) -> BTreeMap<usize, Option<String>> {
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    let row = |row: servers::Row| {
        (text(row[0].as_ref().unwrap()).parse().unwrap(), row[1].as_ref().map(text))
    };
    rows.into_iter().map(row).collect()
}

fn native(connection: &rusqlite::Connection, query: &str) -> BTreeMap<usize, Option<String>> {
    use rusqlite::types::ValueRef;
    let mut statement = connection.prepare(query).unwrap();
    let rows = statement.query_map([], |row| {
        let value = match row.get_ref(1)? {
            ValueRef::Null => None,
            ValueRef::Integer(value) => Some(value.to_string()),
            ValueRef::Real(value) => Some(format!("{value:?}")),
            ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
            ValueRef::Blob(bytes) => {
                let hex =
                    bytes.iter().fold("x'".to_owned(), |hex, byte| hex + &format!("{byte:02x}"));
                Some(hex + "'")
            }
        };
        Ok((row.get::<_, i64>(0)? as usize, value))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

fn created(engine: Engine, kind: &Kind) -> String {
    let (name, declared) = (&kind.name, &kind.declared);
    let id = if engine == Engine::Sqlite { "INTEGER" } else { "bigint" };
    format!("CREATE TABLE {name} (id {id} NOT NULL PRIMARY KEY, v {declared});\n")
}

fn fill(place: &Place, kinds: &[Kind]) {
    let mut sql = place.engine().prelude().to_owned();
    for kind in kinds {
        let name = &kind.name;
        sql += &created(place.engine(), kind);
        for (at, cell) in kind.cells.iter().enumerate() {
            writeln!(sql, "INSERT INTO {name} VALUES ({}, {});", at + 1, cell.literal).unwrap();
        }
    }
    place.run(&sql);
}

fn same(compared: Compared, single: bool, expected: &str, found: &str) -> bool {
    let double = |text: &str| text.parse::<f64>().ok();
    match (compared, single) {
        (Compared::Text, _) => expected == found,
        (Compared::Number, _) => {
            expected == found || number(expected).is_some_and(|it| number(found) == Some(it))
        }
        (Compared::Single, true) => {
            let single = |text: &str| text.parse::<f32>().ok();
            single(expected).zip(single(found)).is_some_and(|(a, b)| a.to_bits() == b.to_bits())
        }
        (Compared::Single | Compared::Double, _) => double(expected)
            .zip(double(found))
            .is_some_and(|(a, b)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()),
    }
}

/// Sign, digits without zeros at either end, and the place of the first one.
fn number(text: &str) -> Option<(bool, String, i64)> {
    let lower = text.to_lowercase();
    let (negative, rest) =
        lower.strip_prefix('-').map_or((false, lower.as_str()), |rest| (true, rest));
    let (mantissa, exponent) = rest.split_once('e').unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let first = digits.trim_start_matches('0');
    let place =
        exponent.parse::<i64>().ok()? + whole.len() as i64 - (digits.len() - first.len()) as i64;
    let kept = first.trim_end_matches('0');
    Some(if kept.is_empty() {
        (false, String::new(), 0)
    } else {
        (negative, kept.to_owned(), place)
    })
}

fn whimbrel(folder: &Path, arguments: &[&str], source: &Place, target: &Place) -> Output {
    Command::new(env!("CARGO_BIN_EXE_whimbrel"))
        .args(arguments)
        .current_dir(folder)
        .env("SOURCE", source.url())
        .env("TARGET", target.url())
        .env("WHIMBREL_PROGRESS", "none")
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Table and row number of every reject, with the column that it names.
fn rejects(folder: &Path, source: &Place, target: &Place) -> BTreeMap<(String, usize), String> {
    let output =
        whimbrel(folder, &["rejects", "list", "--all", "--format", "json"], source, target);
    let listed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let listed =
        listed["data"]["rejects"].as_array().unwrap_or_else(|| panic!("{}", said(&output)));
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let row = |one: &serde_json::Value| {
        let number = usize::try_from(one["record"].as_u64().unwrap()).unwrap();
        let told =
            format!("{} {} {}", text(&one["column"]), text(&one["code"]), text(&one["message"]));
        ((text(&one["table"]), number), told)
    };
    listed.iter().map(row).collect()
}

/// How often each table's column was changed, by the code of the change.
fn counted(folder: &Path, source: &Place, target: &Place) -> BTreeMap<(String, String), u64> {
    let output = whimbrel(folder, &["report", "--format", "json"], source, target);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let notes = &report["data"]["outcome"]["notes"];
    assert_eq!(notes["more"], 0);
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let note = |one: &serde_json::Value| {
        assert_eq!(one["column"], "v", "{one}");
        ((text(&one["table"]), text(&one["code"])), one["count"].as_u64().unwrap())
    };
    notes["shown"].as_array().unwrap().iter().map(note).collect()
}

fn planned(source: &Place, target: &Place) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["init", &source.url(), "--target", &target.url()];
    let output = whimbrel(folder.path(), &arguments, source, target);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    folder
}

/// The folder of the plan that carried everything over, as `init` wrote it.
fn carried(source: &Place, target: &Place) -> TempDir {
    let folder = planned(source, target);
    let output = whimbrel(folder.path(), &["migrate", "--yes"], source, target);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", said(&output));
    folder
}

/// Through PostgreSQL and back, every value is what it is without the detour. Left out are `except`:
/// types whose values have another form there, as the fixture says.
fn there_and_back(engine: Engine, stored: &str, except: &[&str]) {
    let places = [(engine, "way"), (engine, "direct"), (Engine::Postgres, "far"), (engine, "back")];
    let places = places.map(|(engine, hint)| Place::new(engine, hint));
    let [Some(source), Some(direct), Some(far), Some(back)] = places else { return };
    let mut kinds = kinds(engine);
    kinds.retain(|kind| !except.contains(&kind.name.as_str()));
    fill(&source, &kinds);
    carried(&source, &direct);
    carried(&source, &far);
    carried(&far, &back);
    let spelled = |kind: &Kind| match kind.compared {
        // Zeros at the end of a fraction are as the column in between has them.
        Compared::Number => "v",
        Compared::Text | Compared::Single | Compared::Double => stored,
    };
    let tables: Vec<(&str, &str)> =
        kinds.iter().map(|kind| (kind.name.as_str(), spelled(kind))).collect();
    let spelled = direct.spelled(&tables).into_iter().zip(back.spelled(&tables));
    let mut wrong = String::new();
    for (kind, (mut direct, back)) in kinds.iter().zip(spelled) {
        // What PostgreSQL cannot hold did not get there.
        direct.retain(|at, _| kind.cells[at - 1].fates[&Engine::Postgres] != Fate::Rejected);
        let is_same = |at| match (&direct[at], back.get(at)) {
            (Some(direct), Some(Some(back))) => match kind.compared {
                Compared::Number => same(Compared::Number, false, direct, back),
                Compared::Text | Compared::Single | Compared::Double => direct == back,
            },
            (None, Some(None)) => true,
            (_, _) => false,
        };
        if direct.len() != back.len() || !direct.keys().all(is_same) {
            writeln!(wrong, "{}: {direct:?}, by way of PostgreSQL {back:?}", kind.name).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{engine:?}:\n{wrong}");
}

/// Whether a value is what it was; on SQLite, whose columns hold values that are not of their kind, what
/// the fixture says that it becomes.
fn is_kept(
    engine: Engine,
    kind: &Kind,
    at: usize,
    before: Option<&str>,
    after: Option<&str>,
) -> bool {
    match (engine, &kind.cells[at - 1].fates[&engine], after) {
        (Engine::Postgres | Engine::Mysql, _, after) => before == after,
        (Engine::Sqlite, Fate::There(Some(expected)) | Fate::Counted(_, expected), Some(after)) => {
            same(kind.compared, false, expected, after)
        }
        (Engine::Sqlite, Fate::There(None), after) => after.is_none(),
        (Engine::Sqlite, _, _) => false,
    }
}

/// Into tables of the very same types, every value is what it was, or its record is one of `rejected`.
fn into_its_own(engine: Engine, rejected: &Expect) {
    let Some(source) = Place::new(engine, "own") else { return };
    let Some(target) = Place::new(engine, "own_to") else { return };
    let mut kinds = kinds(engine);
    // The engine computes them itself.
    kinds.retain(|kind| !kind.declared.contains("GENERATED"));
    fill(&source, &kinds);
    let folder = planned(&source, &target);
    target.run(engine.prelude());
    let schema = folder.path().join("schema").join(engine.name()).join("0001_tables.sql");
    let own: String = kinds.iter().map(|kind| created(engine, kind)).collect();
    std::fs::write(schema, own).unwrap();
    let output = whimbrel(folder.path(), &["migrate", "--yes"], &source, &target);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", said(&output));
    let rejects = rejects(folder.path(), &source, &target);
    let tables: Vec<(&str, &str)> =
        kinds.iter().map(|kind| (kind.name.as_str(), kind.source.as_str())).collect();
    let there = |kind: &Kind| match engine {
        Engine::Sqlite => kind.spelled[&engine].clone(),
        Engine::Postgres | Engine::Mysql => kind.source.clone(),
    };
    let there: Vec<(&str, String)> =
        kinds.iter().map(|kind| (kind.name.as_str(), there(kind))).collect();
    let there: Vec<(&str, &str)> =
        there.iter().map(|(name, spelled)| (*name, spelled.as_str())).collect();
    let spelled = source.spelled(&tables).into_iter().zip(target.spelled(&there));
    let (mut wrong, mut refused) = (String::new(), String::new());
    for (kind, (before, after)) in kinds.iter().zip(spelled) {
        for (at, before) in &before {
            let literal = &kind.cells[at - 1].literal;
            match (after.get(at), rejects.get(&(kind.name.clone(), *at))) {
                (Some(after), None)
                    if is_kept(engine, kind, *at, before.as_deref(), after.as_deref()) => {}
                (None, Some(told)) => {
                    writeln!(refused, "{} {literal}: {told}", kind.name).unwrap();
                }
                (after, reject) => {
                    let name = &kind.name;
                    writeln!(wrong, "{name} {literal}: {before:?}, {after:?}, {reject:?}").unwrap();
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{engine:?}:\n{wrong}");
    rejected.assert_eq(&refused);
}

#[test]
fn types_of_sqlite_reach_their_own() {
    into_its_own(
        Engine::Sqlite,
        &expect![[r#"
        whole '12abc': v WB0230 not an integer as it stands
        whole 1.5: v WB0230 not an integer as it stands
        whole 1e20: v WB0231 the column holds -9223372036854775808 to 9223372036854775807
        whole 9223372036854775808: v WB0233 a double cannot hold the number exactly
        whole '9223372036854775808': v WB0233 a double cannot hold the number exactly
        whole x'3132': v WB0243 bytes is no integer
        whole '': v WB0230 not an integer as it stands
        small 70000: v WB0231 the column holds -32768 to 32767
        small 9223372036854775807: v WB0231 the column holds -32768 to 32767
        truth 2: v WB0235 integer is no boolean
        truth 't': v WB0235 only `true` and `false` are booleans
        truth 'yes': v WB0235 only `true` and `false` are booleans
        free_real 9e999: v WB0257 the engine holds no NaN and no infinity
        doubles 9e999: v WB0257 the engine holds no NaN and no infinity
        doubles -9e999: v WB0257 the engine holds no NaN and no infinity
        double_odd 'abc': v WB0232 not a number as it stands
        double_odd x'00': v WB0243 bytes cannot become double
        money 1.005: v WB0234 decimal(10,2) cannot hold it
        money 123456789.01: v WB0234 decimal(10,2) cannot hold it
        money_odd 'abc': v WB0232 not a decimal number as it stands
        money_odd '1,50': v WB0232 not a decimal number as it stands
        text_nul 'a' || char(0) || 'b': v WB0240 the engine holds no U+0000 in text
        text_nul CAST(x'61ff62' AS TEXT): v WB0243 bytes cannot become text
        text_nul CAST(x'eda080' AS TEXT): v WB0243 bytes cannot become text
        text_nul x'616263': v WB0243 bytes cannot become text
        varied 'abcd': v WB0239 4 characters, the column holds 3
        bytes 'abc': v WB0243 text cannot become bytes
        bytes_odd 5: v WB0243 integer cannot become bytes
        bytes_odd 1.5: v WB0243 double cannot become bytes
        day '2024-02-30': v WB0236 not a date or time in the expected form
        day '0000-00-00': v WB0236 not a date or time in the expected form
        day '29.02.2024': v WB0236 not a date or time in the expected form
        day 1709164800: v WB0243 integer cannot become date
        day '': v WB0236 not a date or time in the expected form
        clock '23:59': v WB0236 not a date or time in the expected form
        stamp '2024-02-30 00:00:00': v WB0236 not a date or time in the expected form
        stamp 1709210096: v WB0243 integer cannot become timestamp
        id128 'nonsense': v WB0242 not a UUID
        document '{broken': v WB0241 line 1, column 2, byte 1: expected a key in double quotes
    "#]],
    );
}

#[test]
fn types_of_postgres_reach_their_own() {
    into_its_own(
        Engine::Postgres,
        &expect![[r#"
        wholes '[0:1]={1,2}': v WB0241 line 1, column 3, byte 2: expected `,` or `]`
        moods_list '[0:0]={happy}': v WB0414 the column is of type array, the value is json: `"[0:0]={happy}"`
        documents_list ARRAY['{"a": 1.10}'::jsonb, 'null']: v WB0241 line 1, column 3, byte 2: expected `,` or `]`
        pairs_list ARRAY[ROW(1, 'a b')::pairs]:  WB0414 malformed array literal: "[{"a":1,"b":"a b"}]" ("[" must introduce explicitly-specified array dimensions)
    "#]],
    );
}

#[test]
fn types_of_mysql_reach_their_own() {
    into_its_own(
        Engine::Mysql,
        &expect![[r#"
        truth 2: v WB0235 integer is no boolean
        truth -128: v WB0235 integer is no boolean
        single_fixed 999.0001: v WB0415 columns of this type cannot be written: `float(7,4)`
        day '0000-00-00': v WB0236 not a date or time in the expected form
        day '2024-00-00': v WB0236 not a date or time in the expected form
        day '2024-02-31': v WB0236 not a date or time in the expected form
        stamp '0000-00-00 00:00:00': v WB0236 not a date or time in the expected form
        stamp '2024-00-10 01:02:03': v WB0236 not a date or time in the expected form
        instant '0000-00-00 00:00:00': v WB0236 not a date or time in the expected form
        mood_broken 'nonsense': v WB0415 no label of the column: ``
        place ST_GeomFromText('POINT(1 2)'): v WB0415 columns of this type cannot be written: `point`
        way ST_GeomFromText('LINESTRING(0 0,1 1)'): v WB0415 columns of this type cannot be written: `linestring`
    "#]],
    );
}

#[test]
fn sqlite_by_way_of_postgres_is_the_same() {
    there_and_back(
        Engine::Sqlite,
        "typeof(v) || ' ' || quote(v)",
        &["free", "free_real", "odd_word", "document"],
    );
}

#[test]
fn mysql_by_way_of_postgres_is_the_same() {
    there_and_back(Engine::Mysql, "CONCAT(HEX(v), ' ', CAST(v AS CHAR))", &["document"]);
}

fn check(from: Engine, to: Engine, expected: &Expect) {
    let Some(source) = Place::new(from, "types") else { return };
    let Some(target) = Place::new(to, "types_to") else { return };
    let kinds = kinds(from);
    fill(&source, &kinds);
    let mut wrong = String::new();
    let own: Vec<(&str, &str)> =
        kinds.iter().map(|kind| (kind.name.as_str(), kind.source.as_str())).collect();
    for (kind, found) in kinds.iter().zip(source.spelled(&own)) {
        for (at, cell) in kind.cells.iter().enumerate() {
            let found = &found[&(at + 1)];
            let is_same = match (&cell.canonical, found) {
                (Some(expected), Some(found)) => same(kind.compared, true, expected, found),
                (None, None) => true,
                (_, _) => false,
            };
            if !is_same {
                writeln!(
                    wrong,
                    "{} {}: the source has {found:?}, not {:?}",
                    kind.name, cell.literal, cell.canonical
                )
                .unwrap();
            }
        }
    }
    let folder = carried(&source, &target);
    let rejects = rejects(folder.path(), &source, &target);
    let own: Vec<(&str, &str)> =
        kinds.iter().map(|kind| (kind.name.as_str(), kind.spelled[&to].as_str())).collect();
    let (mut there, mut refused) = (0, 0);
    let mut changed: BTreeMap<(String, String), u64> = BTreeMap::new();
    for (kind, found) in kinds.iter().zip(target.spelled(&own)) {
        for (at, cell) in kind.cells.iter().enumerate() {
            let reject = rejects.get(&(kind.name.clone(), at + 1));
            let is_right = match (&cell.fates[&to], found.get(&(at + 1)), reject) {
                (Fate::There(Some(expected)), Some(Some(found)), None) => {
                    there += 1;
                    same(kind.compared, false, expected, found)
                }
                (Fate::Counted(code, expected), Some(Some(found)), None) => {
                    there += 1;
                    *changed.entry((kind.name.clone(), code.clone())).or_default() += 1;
                    same(kind.compared, false, expected, found)
                }
                (Fate::There(None), Some(None), None) => {
                    there += 1;
                    true
                }
                (Fate::Rejected, None, Some(told)) => {
                    refused += 1;
                    told.starts_with("v ")
                }
                (_, _, _) => false,
            };
            if !is_right {
                let (expected, found) = (&cell.fates[&to], found.get(&(at + 1)));
                writeln!(
                    wrong,
                    "{} {}: expected {expected:?}, found {found:?}, reject {reject:?}",
                    kind.name, cell.literal
                )
                .unwrap();
            }
        }
    }
    let counted = counted(folder.path(), &source, &target);
    if counted != changed {
        writeln!(wrong, "expected as changed: {changed:?}, counted: {counted:?}").unwrap();
    }
    assert!(wrong.is_empty(), "{from:?} to {to:?}:\n{wrong}");
    let types = kinds.len();
    expected.assert_eq(&format!("{types} types: {there} values there, {refused} rejected"));
}

#[test]
fn types_of_sqlite_reach_sqlite() {
    check(Engine::Sqlite, Engine::Sqlite, &expect!["25 types: 77 values there, 39 rejected"]);
}

#[test]
fn types_of_sqlite_reach_postgres() {
    check(Engine::Sqlite, Engine::Postgres, &expect!["25 types: 75 values there, 41 rejected"]);
}

#[test]
fn types_of_sqlite_reach_mysql() {
    check(Engine::Sqlite, Engine::Mysql, &expect!["25 types: 74 values there, 42 rejected"]);
}

#[test]
fn types_of_postgres_reach_sqlite() {
    check(Engine::Postgres, Engine::Sqlite, &expect!["64 types: 168 values there, 17 rejected"]);
}

#[test]
fn types_of_postgres_reach_postgres() {
    check(Engine::Postgres, Engine::Postgres, &expect!["64 types: 181 values there, 4 rejected"]);
}

#[test]
fn types_of_postgres_reach_mysql() {
    check(Engine::Postgres, Engine::Mysql, &expect!["64 types: 152 values there, 33 rejected"]);
}

#[test]
fn types_of_mysql_reach_sqlite() {
    check(Engine::Mysql, Engine::Sqlite, &expect!["51 types: 121 values there, 9 rejected"]);
}

#[test]
fn types_of_mysql_reach_postgres() {
    check(Engine::Mysql, Engine::Postgres, &expect!["51 types: 116 values there, 14 rejected"]);
}

#[test]
fn types_of_mysql_reach_mysql() {
    check(Engine::Mysql, Engine::Mysql, &expect!["51 types: 122 values there, 8 rejected"]);
}

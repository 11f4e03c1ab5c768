//! From files to profile, plan and schema: what a person gets from `analyze` and `init`.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, clippy::format_push_string)] // tests

mod folder;

use std::time::Duration;

use expect_test::{Expect, expect};
use folder::{Files, Folder, found, members, parse};
use whimbrel_model::Kind;
use whimbrel_model::json::Json;
use whimbrel_model::plan::{self, Base, Expr, Plan};
use whimbrel_profile::forms;
use whimbrel_profile::init::{
    DraftError, DraftOptions, PlanDraft, engine_of, next_command, plan_for,
};
use whimbrel_profile::inspect::{ProposedSource, propose};
use whimbrel_profile::profile::Profile;
use whimbrel_profile::read::{ProfileError, Request, profile};
use whimbrel_profile::render::{self, Look};
use whimbrel_profile::schema::{Engine, Words};
use whimbrel_sql::dialect::Dialect;

fn profile_of(files: &Files) -> (Vec<ProposedSource>, Profile) {
    let proposal = propose(&found(files));
    let sources: Vec<_> = proposal
        .sources
        .iter()
        .map(|proposed| (proposed.clone(), Folder::source(proposed, files)))
        .collect();
    let clock = std::sync::atomic::AtomicU64::new(0);
    let elapsed = || Duration::from_secs(clock.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
    let request = Request {
        folder: "legacy/",
        sources: &sources,
        leftovers: proposal.leftovers,
        elapsed: &elapsed,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut last = None;
    let profile =
        runtime.block_on(profile(request, &mut |progress| last = Some(progress))).unwrap();
    let last = last.expect("progress is told");
    assert_eq!((last.files_done, last.bytes_done), (last.files, last.bytes));
    (proposal.sources, profile)
}

fn draft_of(profile: &Profile) -> PlanDraft {
    draft_for(profile, None, "legacy/").unwrap()
}

fn draft_for(
    profile: &Profile,
    target: Option<&str>,
    prefix: &str,
) -> Result<PlanDraft, DraftError> {
    let engine = engine_of(target)?;
    let dialect = match engine {
        Engine::Sqlite => Dialect::Sqlite,
        Engine::Postgres => Dialect::Postgres,
        Engine::Mysql => Dialect::Mysql,
    };
    let declared = |kind| dialect.declared(kind);
    let kind_of = |declared: &str| dialect.kind_of(declared);
    let words = Words { engine, declared: &declared, kind_of: &kind_of };
    plan_for(profile, &DraftOptions { name: "", target, prefix, schema: "schema", words })
}

fn decode(draft: &PlanDraft) -> Plan {
    let no_env = |_: &str| None;
    let no_file = |_: &str| Err(std::io::Error::from(std::io::ErrorKind::NotFound));
    plan::decode(&draft.plan, &no_env, &no_file).unwrap_or_else(|errors| {
        panic!("{}\n{errors:#?}", draft.plan);
    })
}

/// The kind of every column as the schema declares it.
fn declared(draft: &PlanDraft, table: &str, column: &str) -> String {
    let sql = &draft.schema[0].1;
    let quoted = |name: &str| format!("\"{name}\"");
    let body = [table.to_owned(), quoted(table)]
        .iter()
        .find_map(|table| sql.split_once(&format!("CREATE TABLE {table} (\n")))
        .unwrap_or_else(|| panic!("{table} in {sql}"))
        .1;
    let body = body.split_once("\n);").unwrap().0;
    let line = body.lines().map(str::trim).find(|line| {
        line.starts_with(&format!("{column} ")) || line.starts_with(&format!("\"{column}\" "))
    });
    let line = line.unwrap_or_else(|| panic!("{column} in {body}"));
    line.split_whitespace().nth(1).unwrap().trim_end_matches(',').to_owned()
}

/// Whether a value would load into a column of that declared type, by rules of their own.
fn loads(value: &Json<'_>, declared: &str, expr: &Expr, plan: &Plan) -> bool {
    let text = match value {
        Json::String(text) => text.clone().into_owned(),
        Json::Number(number) => number.as_str().to_owned(),
        Json::Bool(flag) => flag.to_string(),
        other => other.to_text(),
    };
    let reading = forms::read(&text);
    let base = declared.split('(').next().unwrap();
    match base {
        "TEXT" => true,
        "INTEGER" => text.parse::<i64>().is_ok_and(|number| number.to_string() == text),
        "DOUBLE" => forms::has(reading.forms, forms::EXACT),
        "DECIMAL_TEXT" => {
            forms::has(reading.forms, forms::DECIMAL) || matches!(value, Json::Number(_))
        }
        "BOOLEAN" => match &expr.map {
            Some(map) => plan.maps.iter().any(|own| {
                own.name.value == map.value && own.pairs.iter().any(|(old, _)| *old == text)
            }),
            None => text == "true" || text == "false",
        },
        "UUID_TEXT" => forms::has(reading.forms, forms::UUID),
        "JSON_TEXT" => whimbrel_model::json::parse(text.as_bytes()).is_ok(),
        "TIME_TEXT" => expr.timestamp.is_empty(),
        "DATE_TEXT" | "TIMESTAMP_TEXT" | "TIMESTAMPTZ_TEXT" => {
            let formats: Vec<&str> =
                expr.timestamp.iter().map(|format| format.value.as_str()).collect();
            reading.stamps.iter().flatten().any(|stamp| {
                formats.contains(&whimbrel_profile::stamps::PATTERNS[stamp.pattern].text)
            })
        }
        other => panic!("unknown type {other}"),
    }
}

/// Checks that the draft decodes and that every record that could be taken apart would load.
fn check_draft(files: &Files) -> PlanDraft {
    let (proposed, profile) = profile_of(files);
    let draft = draft_of(&profile);
    let plan = decode(&draft);
    for table in &plan.tables {
        let source = plan.source(&table.from[0].value).unwrap();
        let proposed = proposed.iter().find(|one| one.name == source.name.value).unwrap();
        for path in &proposed.files {
            let bytes = &files.iter().find(|(own, _)| own == path).unwrap().1;
            let (_, records) = parse(&proposed.format, proposed.names(), bytes);
            for record in records.iter().filter_map(|record| record.fields.as_ref().ok()) {
                check_record(&members(record), table, source, &draft, &plan);
            }
        }
    }
    draft
}

fn check_record(
    members: &[(String, Option<Json<'static>>)],
    table: &plan::TableMapping,
    source: &plan::Source,
    draft: &PlanDraft,
    plan: &Plan,
) {
    for (column, expr) in &table.columns {
        let Base::Field(field) = &expr.base else {
            continue;
        };
        let name = match field.value.strip_prefix('/') {
            Some(pointer) => pointer.replace("~1", "/").replace("~0", "~"),
            None => field.value.clone(),
        };
        let value =
            members.iter().find(|(own, _)| *own == name).and_then(|(_, value)| value.clone());
        let Some(value) = value else { continue };
        let nulls = source
            .columns
            .iter()
            .find(|own| own.name.value == name)
            .and_then(|own| own.null.clone());
        if let Json::String(text) = &value {
            let nulls = nulls.unwrap_or_default();
            // Quotes are gone here; the reader compares cells as written.
            if nulls.iter().any(|null| null == text || *null == format!("\"{text}\"")) {
                continue;
            }
        }
        let declared = declared(draft, &table.into.value, &column.value);
        assert!(
            loads(&value, &declared, expr, plan),
            "{} = {value:?} does not load as {declared}\n{}",
            column.value,
            draft.plan
        );
    }
}

fn csv(path: &'static str, text: &str) -> (&'static str, Vec<u8>) {
    (path, text.as_bytes().to_vec())
}

fn runs() -> Files {
    vec![
        csv(
            "logs/run_20240101_120000.csv",
            "Timestamp,Status,T1_Feed,Pwr_Z1_%,RPM_Main\r\n\
             23:59:59.750,RUNNING,20.50,1.0,0\r\n\
             00:00:00.000,RUNNING_PARTIAL,nan,1.5,0.0\r\n\
             00:00:00.250,RUNNING,21.00,NAN,120.5\r\n\
             00:00:00.250,RUNNING,21.00,NAN,120.5\r\n\
             00:00:00.5",
        ),
        csv(
            "logs/run_20250101_120000.csv",
            "Timestamp,Time_Str,Status,T1_Feed,Pwr_Z1_%,RPM_Main\r\n\
             1735729200.250,12:00:00,READY,20.25,0.0,0\r\n",
        ),
        csv("logs/run_20250101_130000.csv", "Timestamp,Status,T1_Feed,Pwr_Z1_%,RPM_Main\r\n"),
        csv("config.json", "{\"z1\":{\"kp\":5.0},\"logging\":{\"interval\":0.25}}"),
        csv(
            "logs/app.jsonl",
            "{\"level\":\"WARN\",\"timestamp\":1735729200.5}\n{\"level\":\"ERROR\",\"timestamp\":1735729201.25,\"context\":{}}\n",
        ),
        csv("notes.pdf", "%PDF-1.4"),
    ]
}

fn content() -> Files {
    vec![
        csv(
            "a/1.json",
            r#"{"id":"a1","title":"One","content":"x","tags":["p"],"created_at":"2024-01-02T03:04:05Z"}"#,
        ),
        csv(
            "a/2.json",
            r#"{"id":"a2","title":12,"content":"y","tags":"p, q","created_at":"2024-01-03T03:04:05Z","n":9007199254740993}"#,
        ),
        csv("a/broken.json", "{\"id\":"),
        csv("b/3.MD", "---\ntitle: Three\nid: 7\n---\n# Head\ntext\n"),
        csv("b/4.md", "no front matter\n"),
        csv("c.txt", "plain"),
        csv("items.csv", "id,title,content\n1,One,\"line one\nline two\"\n1,Two,\"\"\n"),
    ]
}

#[test]
fn the_draft_for_runs_loads_everything_that_is_well_formed() {
    let draft = check_draft(&runs());
    expect![[r##"
        # Made from 5 files in legacy/: 490 bytes, 9 records.
        #
        # It runs as it stands. Each column has the narrowest kind that holds for every value found; a
        # column that stays text although most of it looks narrower says why. To load such a column
        # anyway, give it that type in the schema and say here what becomes of the others:
        #     age = { from = "age", invalid = "null" }       # counted, sampled, listed
        # Records that cannot be taken apart are rejected with their bytes: `whimbrel rejects`. So are those
        # with U+0000 in a text, which SQLite cannot keep; their columns say so.

        name   = "legacy"
        target = "${TARGET:-sqlite:legacy.db}"
        schema = "schema"

        [source.run]
        csv = "legacy/logs/run_*.csv"
        optional = ["Time_Str"]        # some files lack them
        [source.run.columns]             # how NULL is written
        T1_Feed = { null = ["nan"] }
        "Pwr_Z1_%" = { null = ["NAN"] }

        [source.config]
        json = "legacy/config.json"

        [source.app]
        jsonl = "legacy/logs/app.jsonl"

        [[table]]
        into = "run"
        from = "run"
        key  = ["id"]
        [table.columns]
        # no column identifies a record: the key is made from its place
        id         = { uuid5 = [{ fact = "file.path" }, { fact = "record.number" }] }
        # text: 4 of 5 are times as `%H:%M:%S%.f`, but `1735729200.250` at logs/run_20250101_120000.csv:2 is not a date or time in that format
        timestamp  = "Timestamp"        # text
        status     = "Status"        # text
        # double: always 2 decimals: `decimal(4,2)` would keep the digits too
        t1_feed    = "T1_Feed"        # double, 20.25..21.00, NULL in 20 %
        # double: always 1 decimal: `decimal(2,1)` would keep the digits too
        pwr_z1_pct = "Pwr_Z1_%"        # double, 0.0..1.5, NULL in 40 %
        # decimal: written with differing decimals: `double` keeps the values, not the digits
        rpm_main   = "RPM_Main"        # decimal, 0..120.5
        time_str   = "Time_Str"        # time, 12:00:00, NULL in 80 %

        [[table]]
        into = "config"
        from = "config"
        key  = ["id"]
        [table.columns]
        # no column identifies a record: the key is made from its place
        id      = { uuid5 = [{ fact = "file.path" }, { fact = "record.number" }] }
        z1      = "z1"        # json
        logging = "logging"        # json

        [[table]]
        into = "app"
        from = "app"
        key  = ["id"]
        [table.columns]
        # no column identifies a record: the key is made from its place
        id        = { uuid5 = [{ fact = "file.path" }, { fact = "record.number" }] }
        level     = "level"        # text
        timestamp = { from = "timestamp", timestamp = "unix" }        # timestamptz, 2025-01-01T11:00:00.500Z..2025-01-01T11:00:01.250Z
        context   = "context"        # json, NULL in 50 %

        # Past this the run stops and says how to go on.
        # [rejects]
        # max = "1%"
    "##]].assert_eq(&draft.plan);
}

#[test]
fn the_schema_for_runs() {
    let (_, profile) = profile_of(&runs());
    expect![[r#"
        -- Tables for the data of legacy/, as `whimbrel init` found it.
        -- Types with TEXT in their names keep every character; SQLite would make numbers of the others.

        CREATE TABLE run (
            id UUID_TEXT NOT NULL,  -- the record's place
            "timestamp" TEXT,  -- Timestamp
            status TEXT,  -- Status
            t1_feed DOUBLE,  -- T1_Feed
            pwr_z1_pct DOUBLE,  -- Pwr_Z1_%
            rpm_main DECIMAL_TEXT,  -- RPM_Main
            time_str TIME_TEXT,  -- Time_Str
            PRIMARY KEY (id)
        );

        CREATE TABLE config (
            id UUID_TEXT NOT NULL,  -- the record's place
            z1 JSON_TEXT,  -- z1
            logging JSON_TEXT,  -- logging
            PRIMARY KEY (id)
        );

        CREATE TABLE app (
            id UUID_TEXT NOT NULL,  -- the record's place
            level TEXT,  -- level
            "timestamp" TIMESTAMPTZ_TEXT,  -- timestamp
            context JSON_TEXT,  -- context
            PRIMARY KEY (id)
        );
    "#]].assert_eq(&draft_of(&profile).schema[0].1);
}

#[test]
fn the_draft_for_documents_loads_everything_that_is_well_formed() {
    let draft = check_draft(&content());
    expect![[r##"
        # Made from 7 files in legacy/: 313 bytes, 8 records.
        #
        # It runs as it stands. Each column has the narrowest kind that holds for every value found; a
        # column that stays text although most of it looks narrower says why. To load such a column
        # anyway, give it that type in the schema and say here what becomes of the others:
        #     age = { from = "age", invalid = "null" }       # counted, sampled, listed
        # Records that cannot be taken apart are rejected with their bytes: `whimbrel rejects`. So are those
        # with U+0000 in a text, which SQLite cannot keep; their columns say so.

        name   = "legacy"
        target = "${TARGET:-sqlite:legacy.db}"
        schema = "schema"

        [source.items]
        csv = "legacy/items.csv"

        [source.a]
        json = "legacy/a/*.json"

        [source.markdown]
        markdown = "legacy/**/*.md"
        ignore_case = true

        [source.text]
        text = "legacy/**/*.txt"

        [[table]]
        into = "items"
        from = "items"
        key  = ["id"]
        [table.columns]
        # no column identifies a record: the key is made from its place
        id        = { uuid5 = [{ fact = "file.path" }, { fact = "record.number" }] }
        legacy_id = "id"        # integer, 1
        title     = "title"        # text
        # text: empty (1) stay text
        content   = "content"        # text

        [[table]]
        into = "a"
        from = "a"
        key  = ["id"]
        [table.columns]
        id         = "id"        # text
        # text: mixed: 1 text, 1 number
        title      = "title"        # text
        content    = "content"        # text
        # text: mixed: 1 text, 1 object or array
        tags       = "tags"        # text
        created_at = { from = "created_at", timestamp = "rfc3339" }        # timestamptz, 2024-01-02T03:04:05Z..2024-01-03T03:04:05Z
        # integer: 1 value that no double holds: exact as integers
        n          = "n"        # integer, 9007199254740993, NULL in 50 %

        [[table]]
        into = "markdown"
        from = "markdown"
        key  = ["id"]
        [table.columns]
        # no column identifies a record: the key is made from its place
        id               = { uuid5 = [{ fact = "file.path" }, { fact = "record.number" }] }
        file_path        = { fact = "file.path" }
        title            = { first = ["title", "heading", { fact = "file.stem" }] }
        file_modified_at = { fact = "file.mtime" }
        legacy_id        = "id"        # text, NULL in 50 %
        body             = "body"        # text

        [[table]]
        into = "text"
        from = "text"
        key  = ["id"]
        [table.columns]
        # no column identifies a record: the key is made from its place
        id               = { uuid5 = [{ fact = "file.path" }, { fact = "record.number" }] }
        file_path        = { fact = "file.path" }
        title            = { fact = "file.stem" }
        file_modified_at = { fact = "file.mtime" }
        body             = "body"        # text

        # Past this the run stops and says how to go on.
        # [rejects]
        # max = "1%"
    "##]].assert_eq(&draft.plan);
}

#[test]
fn the_text_of_a_profile() {
    let (_, profile) = profile_of(&runs());
    let look = Look { width: 80, ascii: false, values: true };
    expect![[r#"
        legacy/: 5 files, 490 bytes, 9 records

        run  csv logs/run_*.csv
          3 files, 346 bytes, 6 records, 1 of them defective, utf-8
          header of 5 columns in 2 files, first in logs/run_20240101_120000.csv
          header of 6 columns in 1 file, first in logs/run_20250101_120000.csv
          Timestamp    text    █          ▂ 12..14 characters distinct 4
                       4 of 5 are times as `%H:%M:%S%.f`; `1735729200.250` at logs/run_20250101_120000.csv:2 is not a date or time in that format
                       `00:00:00.250` 40 %, `00:00:00.000` 20 %, `1735729200.250` 20 %, `23:59:59.750` 20 %
          Status       text    ▃ █        ▃ 5..15 characters distinct 3
                       `RUNNING` 60 %, `READY` 20 %, `RUNNING_PARTIAL` 20 %
          T1_Feed      double  ▄   ▄      █ 20.25..21.00 null 20 % distinct 4
                       always 2 decimals: `decimal(4,2)` would keep the digits too
                       NULL is written `nan`
                       `21.00` 40 %, `20.25` 20 %, `20.50` 20 %, `nan` 20 %
          Pwr_Z1_%     double  █       █  █ 0.0..1.5 null 40 % distinct 4
                       always 1 decimal: `decimal(2,1)` would keep the digits too
                       NULL is written `NAN`
                       `NAN` 40 %, `0.0` 20 %, `1.0` 20 %, `1.5` 20 %
          RPM_Main     decimal █          ▆ 0..120.5 distinct 3
                       written with differing decimals: `double` keeps the values, not the digits
                       `0` 40 %, `120.5` 40 %, `0.0` 20 %
          Time_Str     time    █            12:00:00 null 80 % distinct 1
                       written as `%H:%M:%S%.f`
                       `12:00:00` 100 %
          !    WB0500 1 record would be rejected (WB0101): the number of fields is not the header's; first: logs/run_20240101_120000.csv:6
          !    WB0502 1 record repeats an earlier one, byte for byte; first: logs/run_20240101_120000.csv:5
          !    WB0503 1 file ends within a line; first: logs/run_20240101_120000.csv
          !    WB0504 2 different headers; only in some: `Time_Str`; first: logs/run_20250101_120000.csv
          !    WB0510 1 file without a record; first: logs/run_20250101_130000.csv

        config  json config.json
          1 file, 45 bytes, 1 record, utf-8
          z1           json                 distinct 1
                       `{"kp":5.0}` 100 %
          logging      json                 distinct 1
                       `{"interval":0.25}` 100 %

        app  jsonl logs/app.jsonl
          1 file, 99 bytes, 2 records, utf-8
          level        text        █          █ 4..5 characters distinct 2
                       `ERROR` 50 %, `WARN` 50 %
          timestamp    timestamptz █          █ 2025-01-01T11:00:00.500Z..2025-01-01T11:00:01.250Z distinct 2
                       written as `unix`
                       `1735729200.5` 50 %, `1735729201.25` 50 %
          context      json                     null 50 % distinct 1
                       `{}` 100 %

        Not read: 1 file
          notes.pdf: it is a PDF document

        A load would write about 8 rows and 842 bytes
        in under 1 s at 9 records/s (9 records read and typed in 1 s here; a load does the same work and writes as well)

        Next: whimbrel init legacy/
    "#]].assert_eq(&render::text(&profile, look));
}

#[test]
fn own_ascii_only_where_asked_for() {
    let (_, profile) = profile_of(&runs());
    let text = render::text(&profile, Look { width: 120, ascii: true, values: true });
    assert!(text.is_ascii(), "{text}");
}

/// Codes and messages of the first source, a line each.
fn anomalies(files: Files, expect: Expect) {
    let (_, profile) = profile_of(&files);
    let lines: Vec<String> = profile.sources[0]
        .anomalies
        .iter()
        .map(|one| {
            format!("{} {} {:?}\n", one.code, one.message, one.first.as_deref().unwrap_or(""))
        })
        .collect();
    expect.assert_eq(&lines.concat());
}

#[test]
fn ragged_and_torn_lines_are_told() {
    anomalies(
        vec![csv("a.csv", "x,y\n1,2\n3\n4,5,6\n7")],
        expect![[r#"
        WB0500 3 records would be rejected (WB0101): the number of fields is not the header's "a.csv:3"
        WB0503 1 file ends within a line "a.csv"
    "#]],
    );
}

#[test]
fn repeated_keys_and_records_are_told() {
    anomalies(
        vec![csv("a.csv", "id,v\n1,a\n2,b\n1,c\n2,b\n")],
        expect![[r#"
        WB0501 `id` repeats 2 values "a.csv:4"
        WB0502 1 record repeats an earlier one, byte for byte "a.csv:5"
    "#]],
    );
}

#[test]
fn files_without_data_or_access_are_told() {
    anomalies(
        vec![
            csv("a1.csv", "x\n1\n"),
            csv("a2.csv", "x\n"),
            csv("a3.csv", ""),
            csv("a4.csv", "x\nUNREADABLE\n"),
        ],
        expect![[r#"
            WB0512 cannot be read: permission denied "a4.csv"
            WB0510 1 file without a record "a2.csv"
            WB0511 1 file without a byte "a3.csv"
        "#]],
    );
}

#[test]
fn mixed_headers_and_line_ends_are_told() {
    anomalies(
        vec![
            csv("a1.csv", "x,y,z\n1,2,3\n4,5,6\n7,8,9\n"),
            csv("a2.csv", "x,y,z,w\r\n1,2,3,4\r\n5,6,7,8\r\n"),
        ],
        expect![[r#"
            WB0504 2 different headers; only in some: `w` "a2.csv"
            WB0506 lines end with LF in 1 file, with CR LF in 1 file "a2.csv"
        "#]],
    );
}

#[test]
fn nul_bytes_and_control_characters_are_told() {
    let mut rows = "x,y\n1,2\n".repeat(30);
    rows.push_str("a\u{0},b\u{1b}[31m\n");
    anomalies(
        vec![csv("a.csv", &rows)],
        expect![[r#"
            WB0502 57 records repeat an earlier one, byte for byte "a.csv:4"
            WB0507 1 record with NUL bytes "a.csv:61"
            WB0517 `x`: 1 value with U+0000, which SQLite and PostgreSQL cannot hold in text "a.csv:61"
            WB0513 `y`: 1 value with control characters ""
        "#]],
    );
}

#[test]
fn outliers_are_told() {
    let mut rows = "t\n".to_owned();
    (0..200).for_each(|at| rows += &format!("{}.5\n", 20 + at % 7));
    rows += "9999.5\n";
    anomalies(
        vec![csv("a.csv", &rows)],
        expect![[r#"
        WB0502 more than 101 records repeat an earlier one, byte for byte "a.csv:9"
        WB0508 `t`: 1 value far from the others, outside -608.0000..672.0000 ""
    "#]],
    );
}

#[test]
fn json_keys_said_twice_and_records_without_keys_are_told() {
    anomalies(
        vec![csv("a.jsonl", "{\"a\":1,\"a\":2}\n{\"a\":3}\n[1]\n")],
        expect![[r#"
        WB0515 1 record without keys: no JSON object "a.jsonl:3"
        WB0514 1 record with a key said twice "a.jsonl:1"
    "#]],
    );
}

#[test]
fn hostile_names_and_values_make_a_plan_that_decodes() {
    let files = vec![csv(
        "we\"ird ${HOME} [x].csv",
        "id,\"a\"\"b\",${SECRET},/slash,new\u{1b}line,order,ID,\"two\nlines\"\n\
         1,x,$$,2,3,4,5,\u{1b}]0;pwned\u{7}\n2,y,z,3,4,5,6,7\n",
    )];
    let draft = check_draft(&files);
    let plan = decode(&draft);
    assert_eq!(plan.sources[0].globs[0].value, "legacy/we\"ird $[{]HOME[}] [[]x[]].csv");
    assert!(!draft.plan.contains('\u{1b}') && !draft.schema[0].1.contains('\u{1b}'));
    let (_, profile) = profile_of(&files);
    let page = render::html(&profile, true);
    assert!(!page.contains('\u{1b}'));
}

#[test]
fn a_postal_code_stays_text_and_says_why() {
    let draft = check_draft(&vec![csv("zips.csv", "zip,n\n10115,1\n00601,2\n1e5,3\n10117,4\n")]);
    let why = "# text: 2 of 4 are integers, but `00601` at zips.csv:3 has a leading zero\nzip";
    assert!(draft.plan.contains(why), "{}", draft.plan);
}

#[test]
fn empty_quoted_empty_and_na_stay_three_things() {
    let draft = check_draft(&vec![csv("a.csv", "n,t\n1,NA\n,\"\"\n\"\",\nNA,x\n\"NA\",y\n2,z\n")]);
    let plan = decode(&draft);
    let null = plan.sources[0].columns[0].null.clone().unwrap();
    assert_eq!(null, ["", "\"\"", "NA", "\"NA\""]);
    assert!(draft.plan.contains("# text: empty (2), `NA` (1) stay text"), "{}", draft.plan);
}

#[test]
fn words_for_true_and_false_become_a_map() {
    let draft = check_draft(&vec![csv("a.csv", "ok,on\nyes,true\nno,false\n")]);
    assert!(draft.plan.contains("[map.yes_no]\nyes = true\nno = false\n"), "{}", draft.plan);
}

#[test]
fn a_header_that_repeats_a_name_is_named_anew() {
    let draft = check_draft(&vec![csv("a.csv", "x,x,y\n1,2,3\n")]);
    assert_eq!(
        decode(&draft).sources[0].format,
        plan::Format::Csv(plan::CsvDialect {
            delimiter: b',',
            quote: Some(b'"'),
            escape: None,
            comment: None,
            header: true,
            names: vec!["x".to_owned(), "x_2".to_owned(), "y".to_owned()],
            skip_lines: 0,
            ragged: plan::Ragged::Reject,
        })
    );
}

#[test]
fn a_natural_key_is_used_and_a_repeated_one_is_not() {
    let unique = check_draft(&vec![csv("a.csv", "id,v\n7,a\n5,b\n")]);
    assert!(
        unique.plan.contains("key  = [\"id\"]") && !unique.plan.contains("uuid5"),
        "{}",
        unique.plan
    );
    let repeated = check_draft(&vec![csv("a.csv", "id,v\n7,a\n7,b\n")]);
    assert!(
        repeated.plan.contains("uuid5") && repeated.plan.contains("legacy_id"),
        "{}",
        repeated.plan
    );
}

#[test]
fn the_kinds_in_a_plan_are_kinds_of_plans() {
    let (_, profile) = profile_of(&content());
    for column in profile.sources.iter().flat_map(|source| &source.columns) {
        assert!(Kind::parse(&column.kind).is_some(), "{}", column.kind);
    }
}

#[test]
fn the_json_form_names_its_version() {
    let (_, profile) = profile_of(&runs());
    let json = serde_json::to_value(&profile).unwrap();
    assert_eq!(json["schema"], "whimbrel/profile/v1");
    assert_eq!(json["totals"]["records"], 9);
}

#[test]
fn nothing_to_look_at_is_an_error_with_a_code() {
    let request = Request {
        folder: "empty/",
        sources: &[],
        leftovers: Vec::new(),
        elapsed: &|| Duration::ZERO,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let error = runtime.block_on(profile(request, &mut |_| {})).unwrap_err();
    assert!(matches!(error, ProfileError::NothingFound { .. }));
    assert_eq!(error.code(), "WB0520");
}

#[test]
fn engines_that_nobody_knows_are_refused() {
    let (_, profile) = profile_of(&runs());
    let refused = draft_for(&profile, Some("oracle://u:p@h/db"), "").unwrap_err();
    assert_eq!(refused, DraftError::Engine { scheme: "oracle".to_owned() });
    for known in ["sqlite:new.db", "${TARGET}", "postgresql://h/db", "${T:-mariadb://h/db}"] {
        assert!(draft_for(&profile, Some(known), "").is_ok(), "{known}");
    }
}

#[test]
fn the_schema_for_postgresql() {
    let (_, profile) = profile_of(&runs());
    let draft = draft_for(&profile, Some("postgres://h/db"), "").unwrap();
    assert_eq!(draft.schema[0].0, "schema/postgres/0001_tables.sql");
    expect![[r#"
        -- Tables for the data of legacy/, as `whimbrel init` found it.

        CREATE TABLE "run" (
            "id" uuid NOT NULL,  -- the record's place
            "timestamp" text,  -- Timestamp
            "status" text,  -- Status
            "t1_feed" double precision,  -- T1_Feed
            "pwr_z1_pct" double precision,  -- Pwr_Z1_%
            "rpm_main" numeric,  -- RPM_Main
            "time_str" time,  -- Time_Str
            PRIMARY KEY ("id")
        );

        CREATE TABLE "config" (
            "id" uuid NOT NULL,  -- the record's place
            "z1" jsonb,  -- z1
            "logging" jsonb,  -- logging
            PRIMARY KEY ("id")
        );

        CREATE TABLE "app" (
            "id" uuid NOT NULL,  -- the record's place
            "level" text,  -- level
            "timestamp" timestamptz,  -- timestamp
            "context" jsonb,  -- context
            PRIMARY KEY ("id")
        );
    "#]]
    .assert_eq(&draft.schema[0].1);
}

#[test]
fn the_schema_for_mysql() {
    let (_, profile) = profile_of(&runs());
    let draft = draft_for(&profile, Some("mysql://h/db"), "").unwrap();
    assert_eq!(draft.schema[0].0, "schema/mysql/0001_tables.sql");
    expect![[r#"
        -- Tables for the data of legacy/, as `whimbrel init` found it.

        CREATE TABLE `run` (
            `id` char(36) NOT NULL COMMENT 'whimbrel:uuid',  -- the record's place
            `timestamp` longtext,  -- Timestamp
            `status` longtext,  -- Status
            `t1_feed` double,  -- T1_Feed
            `pwr_z1_pct` double,  -- Pwr_Z1_%
            `rpm_main` decimal(65,30),  -- RPM_Main
            `time_str` time(6),  -- Time_Str
            PRIMARY KEY (`id`)
        ) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin;

        CREATE TABLE `config` (
            `id` char(36) NOT NULL COMMENT 'whimbrel:uuid',  -- the record's place
            `z1` json,  -- z1
            `logging` json,  -- logging
            PRIMARY KEY (`id`)
        ) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin;

        CREATE TABLE `app` (
            `id` char(36) NOT NULL COMMENT 'whimbrel:uuid',  -- the record's place
            `level` longtext,  -- level
            `timestamp` datetime(6) COMMENT 'whimbrel:timestamptz',  -- timestamp
            `context` json,  -- context
            PRIMARY KEY (`id`)
        ) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COLLATE = utf8mb4_bin;
    "#]]
    .assert_eq(&draft.schema[0].1);
}

#[test]
fn the_next_command_names_the_plan_where_it_has_to() {
    assert_eq!(next_command("whimbrel.toml"), "whimbrel plan");
    assert_eq!(next_command("plans/a.toml"), "whimbrel plan plans/a.toml");
    assert_eq!(next_command("it's.toml"), r"whimbrel plan 'it'\''s.toml'");
}

mod any_table {
    use super::*;
    use proptest::prelude::*;

    fn cell() -> impl Strategy<Value = String> {
        prop_oneof![
            Just(String::new()),
            Just("NA".to_owned()),
            "-?[0-9]{1,20}",
            "-?[0-9]{1,4}\\.[0-9]{1,3}",
            "[0-9]{1,2}/[0-9]{1,2}/20[0-9]{2}",
            "20[0-9]{2}-[01][0-9]-[0-3][0-9]( [0-2][0-9]:[0-5][0-9]:00)?",
            "true|false|yes|no|Y|N",
            "1[67][0-9]{8}(\\.[0-9]{1,3})?",
            "\\PC{0,8}",
            "[\\[{]\\PC{0,4}[\\]}]",
        ]
    }

    fn written(cell: &str) -> String {
        if cell.contains(['"', ',', '\n', '\r']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell.to_owned()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_draft_loads_any_table(
            header in prop::collection::vec("\\PC{1,12}", 3),
            kinds in prop::collection::vec(prop::collection::vec(cell(), 4), 1..12),
            pure in prop::collection::vec(cell(), 3),
        ) {
            let mut text = String::new();
            let names: Vec<String> = header.iter().map(|name| written(name)).collect();
            text += &format!("key_{},{}\n", names[0].replace('"', ""), names.join(","));
            for (at, row) in kinds.iter().enumerate() {
                // One column holds one sort of value, the others anything.
                let same = pure[at % pure.len()].clone();
                let cells: Vec<String> = row[..3].iter().map(|cell| written(cell)).collect();
                text += &format!("{},{}\n", written(&same), cells.join(","));
            }
            if !names[0].contains(',') {
                let file = ("any.csv", text.into_bytes());
                let (_, profile) = profile_of(&vec![file.clone()]);
                if profile.sources[0].columns.iter().any(|column| column.records > 0) {
                    check_draft(&vec![file]);
                }
            }
        }
    }
}

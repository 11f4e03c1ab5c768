//! Indexes that are parked while a table is loaded: through the binary, on every engine, killed at
//! every point of it (with the feature `failpoints`). What the target says of its indexes afterwards
//! is what it said before, byte for byte.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)] // tests

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;
use whimbrel_testkit::servers::{self, Database, Engine};

const ROWS: usize = 500;

/// A table whose indexes are of every sort; `kept` may not be parked.
struct Sort {
    schema: &'static str,
    parked: &'static [&'static str],
}

const SQLITE: Sort = Sort {
    schema: "CREATE TABLE p (id INTEGER PRIMARY KEY);
        INSERT INTO p VALUES (1);
        CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b VARCHAR(20), p INTEGER REFERENCES p,
                        c VARCHAR(9000));
        CREATE UNIQUE INDEX kept_unique ON t (a, id);
        CREATE INDEX  \"odd name\"   ON t(b COLLATE NOCASE DESC,a) /* as typed */;
        CREATE INDEX plain ON t (a);
        CREATE INDEX partial ON t (b) WHERE a > 10 AND b IS NOT NULL;
        CREATE INDEX kept_expression ON t (lower(b));",
    parked: &["odd name", "partial", "plain"],
};

const POSTGRES: Sort = Sort {
    schema: "CREATE TABLE p (id bigint PRIMARY KEY);
        INSERT INTO p VALUES (1);
        CREATE SCHEMA IF NOT EXISTS other;
        CREATE TABLE t (id bigint PRIMARY KEY, a integer, b varchar(20), p bigint REFERENCES p,
                        c text);
        CREATE UNIQUE INDEX kept_unique ON t (a, id);
        CREATE INDEX plain ON t (a);
        CREATE INDEX \"odd \"\"name\" ON t (b DESC NULLS LAST, a) INCLUDE (p) WITH (fillfactor = 70);
        CREATE INDEX partial ON t (b) WHERE a > 10 AND b IS NOT NULL;
        CREATE INDEX expression ON t (lower(b), a);
        CREATE INDEX opclass ON t (b varchar_pattern_ops, c COLLATE \"C\");
        CREATE INDEX hashed ON t USING hash (c);
        CREATE INDEX kept_computed ON t ((a / nullif(a, 7)));
        CREATE INDEX kept_other ON t USING brin (a);
        CREATE INDEX kept_comment ON t (p);
        COMMENT ON INDEX kept_comment IS 'by hand';
        CREATE INDEX kept_cluster ON t (p, a);
        ALTER TABLE t CLUSTER ON kept_cluster;
        CREATE INDEX kept_statistics ON t (lower(b));
        ALTER INDEX kept_statistics ALTER COLUMN 1 SET STATISTICS 500;",
    parked: &["expression", "hashed", "odd \"name", "opclass", "partial", "plain"],
};

const MYSQL: Sort = Sort {
    schema: "CREATE TABLE p (id BIGINT PRIMARY KEY) ENGINE = InnoDB;
        INSERT INTO p VALUES (1);
        CREATE TABLE t (id BIGINT PRIMARY KEY, a INT, b VARCHAR(20), p BIGINT, c TEXT,
            v INT AS (a + 1) VIRTUAL,
            UNIQUE KEY kept_unique (a, id),
            KEY plain (a), KEY `odd ``name` (b DESC, a) COMMENT 'x, \\'y\\'',
            KEY prefix (c(10), b), KEY kept_foreign (p), KEY kept_virtual (v),
            FULLTEXT KEY kept_fulltext (c),
            FOREIGN KEY (p) REFERENCES p (id)) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;",
    parked: &["odd `name", "plain", "prefix"],
};

fn text(cell: Option<&Vec<u8>>) -> String {
    String::from_utf8(cell.cloned().unwrap_or_default()).unwrap()
}

enum Base {
    Sqlite(PathBuf),
    Server(Database<'static>),
}

struct World {
    folder: TempDir,
    base: Base,
    sort: &'static Sort,
}

impl World {
    /// The engine's table, empty, and a plan that loads it and parks.
    fn new(engine: Option<Engine>) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let (base, sort) = match engine {
            None => (Base::Sqlite(folder.path().join("t.db")), &SQLITE),
            Some(engine) => {
                let database = servers::server_or_skip(engine)?.database("indexes").unwrap();
                let sort = match engine {
                    Engine::Postgres => &POSTGRES,
                    Engine::Mysql => &MYSQL,
                };
                (Base::Server(database), sort)
            }
        };
        let world = Self { folder, base, sort };
        world.sql(sort.schema);
        let row = |row: usize| format!("{row},{},b{row},1,c\n", row * 7 + 1);
        let rows: Vec<String> = (0..ROWS).map(row).collect();
        world.write("t.csv", &format!("id,a,b,p,c\n{}", rows.concat()));
        world.write("whimbrel.toml", &world.plan("first", "t", "park"));
        Some(world)
    }

    fn plan(&self, name: &str, source: &str, indexes: &str) -> String {
        let url = match &self.base {
            Base::Sqlite(_) => "sqlite:t.db".to_owned(),
            Base::Server(database) => database.url(),
        };
        format!(
            "name = \"{name}\"\ntarget = \"{url}\"\n[source.t]\ncsv = \"{source}.csv\"\n\
             [[table]]\ninto = \"{source}\"\nfrom = \"t\"\nkey = [\"id\"]\n[table.columns]\n\
             id = \"id\"\n{}\
             [rejects]\nmax = \"50%\"\n[run]\nindexes = \"{indexes}\"\nbatch_size = 100\nworkers = 1\n",
            if source == "t" { "a = \"a\"\nb = \"b\"\np = \"p\"\nc = \"c\"\n" } else { "" }
        )
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn sql(&self, sql: &str) {
        match &self.base {
            Base::Sqlite(path) => {
                rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
            }
            Base::Server(database) => database.run(sql).unwrap(),
        }
    }

    fn texts(&self, query: &str) -> Vec<String> {
        match &self.base {
            Base::Sqlite(path) => {
                let connection = rusqlite::Connection::open(path).unwrap();
                let mut statement = connection.prepare(query).unwrap();
                let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
                rows.collect::<Result<_, _>>().unwrap()
            }
            Base::Server(database) => {
                let rows = database.rows(query).unwrap();
                rows.into_iter().map(|row| text(row[0].as_ref())).collect()
            }
        }
    }

    /// What the target says of the table's indexes.
    fn definitions(&self) -> Vec<String> {
        let query = match &self.base {
            Base::Sqlite(_) => {
                "SELECT name || ': ' || sql FROM sqlite_schema
                 WHERE type = 'index' AND tbl_name = 't' AND sql IS NOT NULL ORDER BY name"
            }
            Base::Server(database) if database.url().starts_with("postgres") => {
                "SELECT concat_ws('|', i.relname, pg_get_indexdef(i.oid), i.reltablespace,
                        pg_get_userbyid(i.relowner), i.reloptions::text, x.indisclustered,
                        obj_description(i.oid, 'pg_class'))
                 FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
                 WHERE x.indrelid = 't'::regclass ORDER BY i.relname COLLATE \"C\""
            }
            Base::Server(database) => {
                let shown = &database.rows("SHOW CREATE TABLE t").unwrap()[0];
                let text = text(shown[1].as_ref()).replace("\\n", "\n");
                let mut lines: Vec<String> = text
                    .lines()
                    .filter(|line| line.contains("KEY "))
                    .map(|line| line.trim().trim_end_matches(',').to_owned())
                    .collect();
                lines.sort();
                return lines;
            }
        };
        self.texts(query)
    }

    fn ledger(&self) -> &'static str {
        match &self.base {
            Base::Server(database) if database.url().starts_with("postgres") => {
                "whimbrel.parked_indexes"
            }
            Base::Sqlite(_) | Base::Server(_) => "whimbrel_parked_indexes",
        }
    }

    fn recorded(&self) -> Vec<String> {
        let collate = if self.ledger().contains('.') { " COLLATE \"C\"" } else { "" };
        self.texts(&format!("SELECT name FROM {} ORDER BY name{collate}", self.ledger()))
    }

    fn run(&self, arguments: &[&str], point: Option<&str>) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_whimbrel"));
        command.args(arguments).current_dir(self.folder.path());
        command.env("WHIMBREL_PROGRESS", "none").env_remove("WHIMBREL_FAILPOINT");
        command.envs(point.map(|point| ("WHIMBREL_FAILPOINT", point)));
        command.output().unwrap()
    }

    fn ends(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments, None);
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{said}");
        said
    }

    /// All rows are there, and no index is missing or remembered.
    fn is_whole(&self, before: &[String]) {
        let count = self.texts("SELECT CONCAT(COUNT(*), '') FROM t");
        assert_eq!(count, [ROWS.to_string()]);
        assert_eq!(self.definitions(), before);
        assert_eq!(self.recorded(), [""; 0]);
    }
}

const ENGINES: [Option<Engine>; 3] = [None, Some(Engine::Postgres), Some(Engine::Mysql)];

#[test]
fn an_undisturbed_load_leaves_every_index_as_it_was() {
    for world in ENGINES.into_iter().filter_map(World::new) {
        let before = world.definitions();
        let said = world.ends(&["migrate", "--verbose"], 0);
        world.is_whole(&before);
        assert!(said.contains("indexes of `t` are parked"), "{said}");
        let named = said.lines().find(|line| line.contains("are parked")).unwrap();
        assert!(world.sort.parked.iter().all(|name| named.contains(name)), "{named}");
        assert!(!named.contains("kept_"), "{named}");
    }
}

#[test]
fn small_loads_and_tables_with_rows_keep_their_indexes() {
    let world = World::new(None).unwrap();
    world.write("whimbrel.toml", &world.plan("first", "t", "auto"));
    let said = world.ends(&["migrate", "--verbose"], 0);
    assert!(!said.contains("parked"), "{said}");
    let world = World::new(None).unwrap();
    world.sql("INSERT INTO t (id, a) VALUES (-1, -1)");
    let said = world.ends(&["migrate", "--verbose"], 0);
    assert!(!said.contains("parked"), "{said}");
}

#[test]
fn what_nobody_brought_back_is_brought_back_where_there_is_nothing_to_do() {
    for world in ENGINES.into_iter().filter_map(World::new) {
        world.ends(&["migrate"], 0);
        let before = world.definitions();
        let (drop, definition) = match &world.base {
            Base::Sqlite(_) => ("DROP INDEX plain", "CREATE INDEX plain ON t (a)"),
            Base::Server(database) if database.url().starts_with("postgres") => {
                ("DROP INDEX plain", "CREATE INDEX plain ON public.t USING btree (a)")
            }
            Base::Server(_) => ("DROP INDEX plain ON t", "KEY `plain` (`a`)"),
        };
        let ledger = world.ledger();
        world.sql(&format!(
            "{drop}; INSERT INTO {ledger} VALUES ('gone', 1, 't', 'plain', 0, '{definition}', 'then')"
        ));
        let said = world.ends(&["status"], 0);
        assert!(
            said.contains("parked indexes of `t`: plain; the next run restores them"),
            "{said}"
        );
        world.ends(&["migrate"], 0);
        world.is_whole(&before);
        assert!(!world.ends(&["status"], 0).contains("parked"));
    }
}

#[test]
fn a_run_that_stops_at_its_reject_limit_has_its_indexes_back() {
    for world in ENGINES.into_iter().filter_map(World::new) {
        let before = world.definitions();
        let text = fs::read_to_string(world.folder.path().join("t.csv")).unwrap();
        world.write("t.csv", &text.replace("\n300,", "\nx,"));
        let plan = world.plan("first", "t", "park").replace("max = \"50%\"", "max = 0");
        world.write("whimbrel.toml", &plan);
        let said = world.ends(&["migrate", "--verbose"], 7);
        assert!(said.contains("are parked") && said.contains("are there again"), "{said}");
        assert_eq!((world.definitions(), world.recorded()), (before, vec![]));
    }
}

/// An index of PostgreSQL refuses values that fill a third of a page, so it decides fates.
#[test]
fn rows_too_long_for_an_index_have_the_same_fate_with_and_without_parking() {
    for indexes in ["keep", "park"] {
        let Some(world) = World::new(Some(Engine::Postgres)) else { return };
        let before = world.definitions();
        let mut state = 7u64;
        let mut long = String::new();
        for _ in 0..8_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            long.push(char::from(b'a' + (state >> 59) as u8 % 26));
        }
        let text = fs::read_to_string(world.folder.path().join("t.csv")).unwrap();
        world.write("t.csv", &text.replace(",b250,1,c\n", &format!(",b250,1,{long}\n")));
        world.write("whimbrel.toml", &world.plan("first", "t", indexes));
        let said = world.ends(&["migrate", "--verbose"], 3);
        assert_eq!(said.contains("are parked"), indexes == "park", "{said}");
        let count = world.texts("SELECT count(*)::text FROM t");
        assert_eq!(count, [(ROWS - 1).to_string()], "{indexes}");
        assert_eq!((world.definitions(), world.recorded()), (before, vec![]));
    }
}

#[test]
fn tablespaces_and_qualified_names_come_back() {
    let Some(world) = World::new(Some(Engine::Postgres)) else { return };
    let Base::Server(database) = &world.base else { unreachable!("it is a server's") };
    let space = format!("{}_space", database.name());
    let made = database
        .run(&format!(
            "SET allow_in_place_tablespaces = on;\nCREATE TABLESPACE {space} LOCATION '';"
        ))
        .is_ok();
    if made {
        world.sql(&format!("CREATE INDEX elsewhere ON t (a DESC) TABLESPACE {space}"));
    }
    world.sql("ALTER TABLE t SET SCHEMA other; CREATE VIEW public.unused AS SELECT 1");
    world.sql(&format!("ALTER DATABASE \"{}\" SET search_path = other, public", database.name()));
    let before = world.definitions();
    let said = world.ends(&["migrate", "--verbose"], 0);
    assert!(said.contains("are parked"), "{said}");
    assert!(!made || said.contains("elsewhere"), "{said}");
    world.is_whole(&before);
    if made {
        world.sql(&format!("DROP INDEX elsewhere; DROP TABLESPACE {space}"));
    }
}

/// A guard as administrators set it up: statements with this tag are refused.
const GUARD: &str = "
    CREATE FUNCTION guard() RETURNS event_trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'nobody may do this here'; END $$;
    CREATE EVENT TRIGGER guard ON ddl_command_start WHEN TAG IN ('STATEMENT') EXECUTE FUNCTION guard();";

#[test]
fn a_target_that_gives_no_index_away_is_loaded_with_them() {
    let Some(world) = World::new(Some(Engine::Postgres)) else { return };
    let before = world.definitions();
    world.sql(&GUARD.replace("STATEMENT", "DROP INDEX"));
    let said = world.ends(&["migrate", "--verbose"], 0);
    assert!(said.contains("WB0631") && said.contains("stay while it is loaded"), "{said}");
    assert!(!said.contains("are parked"), "{said}");
    world.is_whole(&before);
}

#[test]
fn indexes_that_cannot_be_made_at_the_end_are_told_and_made_by_the_next_run() {
    let Some(world) = World::new(Some(Engine::Postgres)) else { return };
    let before = world.definitions();
    let text = fs::read_to_string(world.folder.path().join("t.csv")).unwrap();
    world.write("t.csv", &text.replace("\n300,", "\nx,"));
    let plan = world.plan("first", "t", "park").replace("max = \"50%\"", "max = 0");
    world.write("whimbrel.toml", &plan);
    // The ledger has indexes of its own.
    world.write("p.csv", "id\n2\n");
    world.write("other.toml", &world.plan("other", "p", "keep"));
    world.ends(&["migrate", "other.toml"], 0);
    world.sql(&GUARD.replace("STATEMENT", "CREATE INDEX"));
    let said = world.ends(&["migrate", "--verbose"], 7);
    assert!(said.contains("WB0632") && said.contains("the next run makes them again"), "{said}");
    assert_eq!(world.recorded(), world.sort.parked);
    let said = world.ends(&["status"], 0);
    assert!(said.contains("parked indexes of `t`"), "{said}");
    world.sql("DROP EVENT TRIGGER guard");
    world.write("whimbrel.toml", &world.plan("first", "t", "park"));
    world.ends(&["migrate"], 3);
    assert_eq!((world.definitions(), world.recorded()), (before, vec![]));
}

#[cfg(feature = "failpoints")]
mod killed {
    use super::*;

    const POINTS: [&str; 14] = [
        "core.indexes.after_record:1",
        "core.indexes.after_drop:1",
        "core.batch.before_commit:1",
        "core.batch.after_commit:3",
        "core.indexes.before_restore:1",
        "core.indexes.after_restore:1",
        // On MySQL definitions commit by themselves.
        "sql.definition.intended:1",
        "sql.definition.made:1",
        "sql.definition.done:1",
        "sql.definition.intended:2",
        "sql.definition.made:2",
        "sql.definition.done:2",
        "sql.commit.before:5",
        "sql.commit.after:5",
    ];

    fn is_passed(world: &World, point: &str) -> bool {
        let is_mysql = std::ptr::eq(world.sort, &MYSQL);
        is_mysql || !point.starts_with("sql.definition.")
    }

    impl World {
        fn is_killed_at(&self, point: &str) {
            let output = self.run(&["migrate"], Some(point));
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), None, "{point} is not passed\n{said}");
        }

        /// No index is gone without being recorded, and `status` says which are.
        fn has_lost_nothing(&self, before: &[String], point: &str) {
            let now = self.definitions();
            let recorded = self.recorded();
            let head = |text: &str| {
                let at = text.find([':', '|']).map_or(text, |end| &text[..end]).to_owned();
                let key = at.strip_prefix("KEY `").map(|rest| rest.split("` (").next().unwrap());
                key.map_or(at.clone(), |name| name.replace("``", "`"))
            };
            for gone in before.iter().filter(|index| !now.contains(index)) {
                let name = head(gone);
                assert!(recorded.contains(&name), "{point}: {name} is not in {recorded:?}");
            }
            let said = self.ends(&["status"], 0);
            assert_eq!(said.contains("parked indexes of `t`"), !recorded.is_empty(), "{said}");
        }
    }

    #[test]
    fn anywhere_nothing_is_lost_and_the_same_command_brings_all_back() {
        for engine in ENGINES {
            for point in POINTS {
                let Some(world) = World::new(engine) else { break };
                if !is_passed(&world, point) {
                    continue;
                }
                let before = world.definitions();
                world.is_killed_at(point);
                world.has_lost_nothing(&before, point);
                world.ends(&["migrate"], 0);
                world.is_whole(&before);
            }
        }
    }

    #[test]
    fn again_and_again_it_ends_the_same() {
        for world in ENGINES.into_iter().filter_map(World::new) {
            let before = world.definitions();
            for point in [
                "core.indexes.after_record:1",
                "core.batch.after_commit:1",
                "core.batch.after_commit:1",
                "core.indexes.before_restore:1",
                "core.indexes.after_restore:1",
                "core.indexes.after_restore:1",
            ] {
                let output = world.run(&["migrate"], Some(point));
                assert!(output.status.code().is_none_or(|code| code == 0), "{point}");
                world.has_lost_nothing(&before, point);
            }
            world.ends(&["migrate"], 0);
            world.is_whole(&before);
        }
    }

    #[test]
    fn another_run_brings_back_what_an_abandoned_one_has_parked() {
        for world in ENGINES.into_iter().filter_map(World::new) {
            let before = world.definitions();
            world.is_killed_at("core.batch.after_commit:2");
            let recorded = world.recorded();
            assert_eq!(recorded, world.sort.parked);
            world.write("p.csv", "id\n2\n3\n");
            world.write("other.toml", &world.plan("other", "p", "auto"));
            world.ends(&["migrate", "other.toml"], 0);
            assert_eq!((world.definitions(), world.recorded()), (before.clone(), vec![]));
            // The abandoned run goes on all the same, with them.
            world.ends(&["migrate"], 0);
            world.is_whole(&before);
        }
    }
}

//! Servers, a folder with a plan, and the program's answers without what differs from run to run.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use expect_test::Expect;
use serde_json::Value as Json;
use tempfile::TempDir;
use whimbrel_testkit::servers::{Database, Engine, Options, Server, private_or_skip};

/// A private server of the engine that the tests of this process share: one that asks for passwords.
pub(crate) fn server(engine: Engine) -> Option<&'static Server> {
    static SHARED: [OnceLock<Option<Server>>; 2] = [OnceLock::new(), OnceLock::new()];
    let slot = match engine {
        Engine::Postgres => &SHARED[0],
        Engine::Mysql => &SHARED[1],
    };
    slot.get_or_init(|| private_or_skip(engine, &Options::default())).as_ref()
}

/// Said past the capture of tests, where `xtask test` counts it: what is skipped must be seen.
pub(crate) fn skipped(test: &str, reason: &str) {
    let _heard = writeln!(std::io::stdout(), "\nskipped: {test}: {reason}");
}

/// The URL of a database for another user and password.
pub(crate) fn url_of(database: &Database<'_>, user: &str, password: &str) -> String {
    let url = database.tcp_url().unwrap();
    let (scheme, rest) = url.split_once("://").unwrap();
    let (_, place) = rest.rsplit_once('@').unwrap();
    format!("{scheme}://{user}:{password}@{place}")
}

/// A folder with `people.csv` and a plan that loads it into a database.
pub(crate) struct Folder {
    pub(crate) folder: TempDir,
    /// Texts that differ from run to run, and what stands for them.
    pub(crate) hidden: Vec<(String, String)>,
}

impl Folder {
    pub(crate) fn new(target: &str) -> Self {
        let folder = Self { folder: tempfile::tempdir().unwrap(), hidden: Vec::new() };
        folder.write("people.csv", "id,name\n1,Ann\n2,Ben\n");
        folder.aim(target, "");
        folder
    }

    /// For a database: its name and port are hidden.
    pub(crate) fn on(database: &Database<'_>, target: &str) -> Self {
        let mut folder = Self::new(target);
        folder.hide(database.name(), "DATABASE");
        let port = database.tcp_url().unwrap();
        let port = port.rsplit_once('@').unwrap().1.split(['/', ':']).nth(1).unwrap().to_owned();
        folder.hide(&format!(":{port}/"), ":PORT/");
        folder
    }

    pub(crate) fn hide(&mut self, text: &str, instead: &str) {
        self.hidden.push((text.to_owned(), instead.to_owned()));
    }

    /// Writes the plan for a target, with more at its end.
    pub(crate) fn aim(&self, target: &str, more: &str) {
        let plan = format!(
            "name = \"people\"\ntarget = \"{target}\"\n\n[source.people]\ncsv = \"people.csv\"\n\n\
             [[table]]\ninto = \"people\"\nfrom = \"people\"\nkey = [\"id\"]\n[table.columns]\n\
             id = {{ from = \"id\", type = \"integer\" }}\nname = \"name\"\n\n{more}"
        );
        self.write("whimbrel.toml", &plan);
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    /// So many people, with a name of so many characters.
    pub(crate) fn many(&self, rows: usize, length: usize) {
        let mut text = "id,name\n".to_owned();
        for id in 0..rows {
            text.push_str(&format!("{id},{id:0length$}\n"));
        }
        self.write("people.csv", &text);
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_whimbrel"));
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        for name in ["PGSSLMODE", "PGSSLROOTCERT", "PGPASSWORD", "PGOPTIONS", "RUST_LOG"] {
            command.env_remove(name);
        }
        command.env("WHIMBREL_PROGRESS", "none").env("COLUMNS", "100");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Without what differs from run to run.
    pub(crate) fn shown(&self, output: &Output) -> String {
        let mut text = said(output);
        for (hidden, instead) in &self.hidden {
            text = text.replace(hidden, instead);
        }
        let is_noise = |line: &&str| !line.contains("warning[WB0474]");
        let shown = |line: &str| match (line.starts_with("ok    target"), line.split_once(", ")) {
            // The server's version.
            (true, Some((_, rest))) => format!("ok    target               {rest}\n"),
            _ => format!("{}\n", line.trim_end()),
        };
        text.lines().filter(is_noise).map(shown).collect()
    }

    /// What a verb says, how it exits, and what its JSON says of the same.
    pub(crate) fn told(&self, verb: &str) -> String {
        let output = self.run(&[verb]);
        let code = output.status.code().unwrap();
        let answer = self.run(&[verb, "--format", "json"]);
        assert_eq!(answer.status.code(), Some(code), "{}", said(&answer));
        let json: Json = serde_json::from_slice(&answer.stdout).unwrap();
        assert_eq!(json["exit_code"], code, "{json}");
        if let Some(error) = json["error"].as_str()
            && verb != "validate"
        {
            assert!(said(&output).contains(&format!("error[{error}]")), "{error}");
        }
        let retryable = if json["retryable"] == true { ", retryable" } else { "" };
        format!("{}exit {code}{retryable}\n", self.shown(&output))
    }

    pub(crate) fn check(&self, verb: &str, expected: Expect) {
        expected.assert_eq(&self.told(verb));
    }

    /// The run succeeds.
    pub(crate) fn succeeds(&self, arguments: &[&str]) {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", said(&output));
    }
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

/// The error at the end of what was said, without the run's name.
pub(crate) fn error(shown: &str) -> String {
    let (_, error) = shown.rsplit_once("error[").expect("it says an error");
    let lines = error.lines().filter(|line| !line.starts_with("  run: "));
    format!("error[{}\n", lines.collect::<Vec<_>>().join("\n"))
}

/// One number that a query answers.
pub(crate) fn number(database: &Database<'_>, query: &str) -> i64 {
    let rows = database.rows(query).unwrap();
    let cell = rows[0][0].as_deref().unwrap_or(b"0");
    std::str::from_utf8(cell).unwrap().parse().unwrap()
}

/// How many people stand in the target; none where there is no table yet.
pub(crate) fn people(database: &Database<'_>) -> i64 {
    let rows = database.rows("SELECT count(*) FROM people").unwrap_or_default();
    let cell = rows.first().and_then(|row| row[0].clone()).unwrap_or_else(|| b"0".to_vec());
    String::from_utf8(cell).unwrap().parse().unwrap()
}

/// Asks until the answer is yes.
pub(crate) fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < Duration::from_mins(2), "waited too long until {what}");
        std::thread::yield_now();
    }
}

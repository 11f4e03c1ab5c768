//! A plan and its data in a folder of their own, the binary run there, and what the target holds.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use expect_test::Expect;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;
use tempfile::TempDir;

/// People by the file: a row with a number and a name each.
pub(crate) const PEOPLE: &str = r#"name = "people"
target = "sqlite:people.db"

[source.people]
csv = "data/*.csv"

[[table]]
into = "people"
from = "people"
key = ["id"]
[table.columns]
id = { from = "id", type = "integer" }
name = "name"
"#;

/// Long enough for anything on a busy machine; nobody waits for it unless something hangs.
const PATIENCE: Duration = Duration::from_mins(2);

/// A plan, its data and its target.
pub(crate) struct Project(TempDir);

impl Project {
    /// A folder with this plan.
    pub(crate) fn new(plan: &str) -> Self {
        let project = Self(tempfile::tempdir().unwrap());
        project.write("whimbrel.toml", plan);
        project
    }

    /// [`PEOPLE`] with three records in each of `files` files; one in ten has a bad one.
    pub(crate) fn of_many_files(files: usize) -> Self {
        let project = Self::new(PEOPLE);
        for file in 0..files {
            let second = if file % 10 == 9 { "x".to_owned() } else { format!("{file}1") };
            let text = format!("id,name\n{file}0,Ann\n{second},Ben\n{file}2,Cy\n");
            project.write(&format!("data/{file:03}.csv"), text);
        }
        project
    }

    /// [`PEOPLE`] with one file of so many good records: it is read in several turns.
    pub(crate) fn of_one_file(records: usize) -> Self {
        let project = Self::new(PEOPLE);
        project.write("data/people.csv", people(0..records));
        project
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file anew; its folders come into being.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn append(&self, name: &str, content: &str) {
        let mut file = File::options().append(true).open(self.path(name)).unwrap();
        file.write_all(content.as_bytes()).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Edits the plan: every `from` becomes `to`.
    pub(crate) fn replan(&self, from: &str, to: &str) {
        let plan = self.read("whimbrel.toml");
        assert!(plan.contains(from), "{plan}");
        self.write("whimbrel.toml", plan.replace(from, to));
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_whimbrel"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command.env("WHIMBREL_PROGRESS", "none").env_remove("TARGET").env_remove("TZDIR");
        command
    }

    /// Runs a command line to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.command(arguments))
    }

    /// `migrate` until it is done, with rejects or without.
    pub(crate) fn finish(&self, arguments: &[&str]) -> Ended {
        let ended = self.run(&[&["migrate"], arguments].concat());
        assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");
        ended
    }

    /// Starts a command line that tells its events, and holds it up: it can be at most a few dozen
    /// events ahead of what was listened to.
    pub(crate) fn start(&self, arguments: &[&str]) -> Started {
        Started::of(self.command(&[arguments, &["--format", "jsonl"]].concat()), self)
    }

    pub(crate) fn target(&self) -> Connection {
        Connection::open(self.path("people.db")).unwrap()
    }

    /// One value of the target.
    pub(crate) fn value<T: rusqlite::types::FromSql>(&self, sql: &str) -> T {
        self.target()
            .query_row(sql, [], |row| row.get(0))
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Rows of the target's own tables, and what the ledger says became of every file and record:
    /// all that must not depend on when and how often a run was interrupted. The accounts balance.
    pub(crate) fn holds(&self) -> Vec<String> {
        let target = self.target();
        conserved(&target);
        let mut lines = Vec::new();
        for table in names(&target) {
            let mut rows = rows(&target, &format!("SELECT * FROM \"{table}\""));
            rows.sort_unstable();
            lines.extend(rows.into_iter().map(|row| format!("{table}: {row}")));
        }
        for (name, sql) in LEDGER {
            lines.extend(rows(&target, sql).into_iter().map(|row| format!("{name}: {row}")));
        }
        lines
    }

    /// What a project with the same plan and data holds after a run that nobody disturbed.
    pub(crate) fn undisturbed(&self) -> Vec<String> {
        let twin = self.twin();
        twin.finish(&[]);
        twin.holds()
    }

    /// The same plan and data, without a target.
    pub(crate) fn twin(&self) -> Self {
        let twin = Self::new(&self.read("whimbrel.toml"));
        copy(&self.path("data"), &twin.path("data"));
        twin
    }
}

/// A file of people with these numbers.
pub(crate) fn people(numbers: impl Iterator<Item = usize>) -> String {
    let records = numbers.map(|number| format!("{number},n{number}\n"));
    std::iter::once("id,name\n".to_owned()).chain(records).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

const LEDGER: &[(&str, &str)] = &[
    (
        "file",
        "SELECT s.target_table, i.source, i.source_file, i.status, sum(i.read), sum(i.loaded), sum(i.updated),
                sum(i.unchanged), sum(i.rejected), sum(i.filtered), sum(i.duplicate), max(i.lines)
         FROM whimbrel_migration_items i
         JOIN whimbrel_migration_steps s ON s.run = i.run AND s.step = i.step
         GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
    ),
    (
        "reject",
        "SELECT target_table, source_file, record, line, code, target_column, bytes, status
         FROM whimbrel_migration_rejects ORDER BY 1, 2, 3",
    ),
    ("run", "SELECT plan, kind, status, phase FROM whimbrel_migration_runs ORDER BY seq"),
];

/// Counts that are zero where nothing was lost and nothing came twice.
const CONSERVED: &[(&str, &str)] = &[
    (
        "batches whose units do not balance",
        "SELECT count(*) FROM whimbrel_migration_batches
         WHERE read <> loaded + updated + unchanged + rejected + filtered + duplicate",
    ),
    (
        "batches whose rows do not balance",
        "SELECT count(*) FROM whimbrel_migration_batches
         WHERE rows_produced <> rows_inserted + rows_updated + rows_unchanged",
    ),
    (
        "steps whose files and batches disagree",
        "SELECT count(*) FROM
            (SELECT run, step, sum(read) r, sum(rejected) j FROM whimbrel_migration_batches GROUP BY 1, 2) b
            FULL JOIN
            (SELECT run, step, sum(read) r, sum(rejected) j FROM whimbrel_migration_items GROUP BY 1, 2) i
            ON b.run = i.run AND b.step = i.step
         WHERE coalesce(b.r, 0) <> coalesce(i.r, 0) OR coalesce(b.j, 0) <> coalesce(i.j, 0)",
    ),
    (
        "rejected units without a reject, or the other way round",
        "SELECT (SELECT coalesce(sum(rejected), 0) FROM whimbrel_migration_batches)
              - (SELECT count(*) FROM whimbrel_migration_rejects)",
    ),
];

/// The law of conservation, and that every inserted row stands in its table.
fn conserved(target: &Connection) {
    let number = |sql: &str| target.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    for (what, sql) in CONSERVED {
        assert_eq!(number(sql), 0, "{what}");
    }
    for table in names(target) {
        let inserted = format!(
            "SELECT coalesce(sum(b.rows_inserted), 0) FROM whimbrel_migration_batches b
             JOIN whimbrel_migration_steps s ON s.run = b.run AND s.step = b.step
             WHERE s.target_table = '{table}'"
        );
        let standing = format!("SELECT count(*) FROM \"{table}\"");
        assert_eq!(number(&standing), number(&inserted), "rows of `{table}`");
    }
    let sound: String = target.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
}

/// The target's own tables.
fn names(target: &Connection) -> Vec<String> {
    rows(
        target,
        "SELECT name FROM sqlite_schema WHERE type = 'table'
         AND name NOT LIKE 'whimbrel_%' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    )
}

fn rows(target: &Connection, sql: &str) -> Vec<String> {
    let mut prepared = target.prepare(sql).unwrap();
    let width = prepared.column_count();
    let cells = |row: &rusqlite::Row<'_>| -> String {
        (0..width).map(|index| shown(row.get_ref_unwrap(index))).collect::<Vec<_>>().join(" | ")
    };
    let found = prepared.query_map([], |row| Ok(cells(row))).unwrap();
    found.collect::<Result<_, _>>().unwrap()
}

fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => format!("{number:?}"),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.escape_ascii().to_string(),
    }
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` where a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn of(mut command: Command) -> Self {
        Self::from(command.output().unwrap())
    }

    fn new(status: ExitStatus, stdout: String, stderr: String) -> Self {
        Self { code: status.code(), signal: status.signal(), stdout, stderr }
    }

    /// The last line of standard output, or all of it, as a document.
    pub(crate) fn json(&self) -> Json {
        let whole = serde_json::from_str(&self.stdout);
        whole.unwrap_or_else(|_| {
            let last = self.stdout.lines().last().unwrap_or_default();
            serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {self:?}"))
        })
    }

    /// The exit code, and everything on standard output and standard error.
    pub(crate) fn check(&self, code: i32, expected: Expect) {
        assert_eq!(self.code, Some(code), "{self:?}");
        expected.assert_eq(&steady(&format!("{}{}", self.stdout, self.stderr)));
    }

    /// An error in words and as a document at once (`--format json`): exit code, words, and that
    /// the document says the same.
    pub(crate) fn refused(&self, code: i32, expected: Expect) {
        assert_eq!(self.code, Some(code), "{self:?}");
        expected.assert_eq(&steady(&self.stderr));
        let document = self.json();
        assert_eq!(document["exit_code"], code, "{document}");
        assert_eq!(document["success"], false, "{document}");
        assert_eq!(document["retryable"], matches!(code, 11 | 75 | 130 | 143), "{document}");
        let (error, message) = (document["error"].as_str(), document["message"].as_str());
        let said = format!("error[{}]: {}\n", error.unwrap(), message.unwrap());
        assert!(self.stderr.contains(&said), "{document}\n{}", self.stderr);
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self::new(output.status, text(output.stdout), text(output.stderr))
    }
}

/// Text without what differs from run to run: ids of runs, times, processes, this machine's name.
fn steady(text: &str) -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut steady = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end.max(first.len_utf8()));
        let number = word.bytes().all(|byte| byte.is_ascii_digit());
        let (shown, after) = if is_id(word) {
            ("RUN", after)
        } else if let Some(time) = time(rest) {
            ("TIME", &rest[time.len()..])
        } else if word == host.trim() {
            ("HOST", after)
        } else if number && (steady.ends_with("process ") || steady.ends_with("(pid ")) {
            ("PID", after)
        } else if number && steady.ends_with("ends in ") {
            ("SOME", after)
        } else if steady.ends_with("process PID (") {
            let name = rest.find(')').unwrap_or(rest.len());
            ("NAME", &rest[name..])
        } else {
            (word, after)
        };
        steady.push_str(shown);
        rest = after;
    }
    steady
}

fn is_id(word: &str) -> bool {
    word.len() == 8 && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// `2026-11-22T05:10:52.097943Z` at the beginning of the text.
fn time(text: &str) -> Option<&str> {
    let end =
        text.find(|c: char| !(c.is_ascii_digit() || "-:.TZ".contains(c))).unwrap_or(text.len());
    let time = &text[..end];
    (time.len() > 19 && time.ends_with('Z') && time.as_bytes()[10] == b'T').then_some(time)
}

/// A command that runs and tells its events, line by line.
pub(crate) struct Started {
    child: Child,
    lines: mpsc::Receiver<String>,
    heard: String,
    stderr: PathBuf,
}

impl Started {
    pub(crate) fn of(mut command: Command, project: &Project) -> Self {
        let stderr = project.path("stderr.txt");
        let (reader, writer) = std::io::pipe().unwrap();
        rustix::pipe::fcntl_setpipe_size(&reader, 4096).unwrap();
        command.stdout(writer).stderr(File::create(&stderr).unwrap());
        let child = command.spawn().unwrap();
        // What was given to the child must not stay open here, or the pipe never ends.
        drop(command);
        let (send, lines) = mpsc::sync_channel(0);
        std::thread::spawn(move || {
            for line in BufReader::with_capacity(16, reader).lines() {
                let Ok(line) = line else { return };
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, heard: String::new(), stderr }
    }

    /// Listens up to the next event of this type.
    pub(crate) fn until(&mut self, kind: &str) -> Json {
        loop {
            let event = self.next().unwrap_or_else(|| {
                panic!("no `{kind}`: {}{}", self.heard, fs::read_to_string(&self.stderr).unwrap())
            });
            if event["type"] == kind {
                return event;
            }
        }
    }

    /// The next event, or the answer; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Json> {
        let line = match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(mpsc::RecvTimeoutError::Disconnected) => return None,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                panic!("no word for two minutes: {}", self.heard)
            }
        };
        self.heard.push_str(&line);
        self.heard.push('\n');
        Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// True once the process is gone.
    pub(crate) fn is_gone(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Listens to all the rest.
    pub(crate) fn end(mut self) -> Ended {
        while self.next().is_some() {}
        let status = self.child.wait().unwrap();
        let stderr = fs::read_to_string(&self.stderr).unwrap();
        Ended::new(status, std::mem::take(&mut self.heard), stderr)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // A test that failed leaves nothing running.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Asks until it is so, and fails where it never is.
pub(crate) fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

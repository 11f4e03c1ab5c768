//! The independent checker: looks at a target with plain SQL and compares with what was written
//! down. Shares no code with Whimbrel. What it looks at is a SQLite database: the target itself, or
//! the picture of a server's ([`crate::picture`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::Hasher as _;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use rusqlite::Connection;

use crate::sheet;

/// The tables as lines, by the statements of a `dump.sql`.
pub fn dump(connection: &Connection, dump_sql: &Path) -> Result<BTreeMap<String, Vec<String>>> {
    let sql = fs::read_to_string(dump_sql).with_context(|| format!("{}", dump_sql.display()))?;
    let mut tables = BTreeMap::new();
    for part in sql.split("-- table: ").skip(1) {
        let (name, statement) = part.split_once('\n').context("a table's name is a line")?;
        let mut prepared = connection.prepare(statement)?;
        let lines = prepared.query_map([], |row| row.get::<_, String>(0))?;
        let mut lines: Vec<String> = lines.collect::<Result<_, _>>()?;
        lines.sort_unstable();
        tables.insert(name.trim().to_owned(), lines);
    }
    ensure!(!tables.is_empty(), "{} names no table", dump_sql.display());
    Ok(tables)
}

/// Records that are loaded on SQLite and that servers refuse (`refused-by-servers.tsv`): their
/// columns hold less than the value says, and nothing is rounded without a word in the plan.
#[derive(Default)]
pub struct Refused {
    records: Vec<RefusedRecord>,
}

struct RefusedRecord {
    table: String,
    source: String,
    file: String,
    /// The line in `rejects.tsv`.
    reject: String,
    /// The first cell of the row.
    id: String,
}

impl Refused {
    /// Those of a fixture; of a stage only those whose rows stand in its expectation.
    pub fn of(fixture: &Path, expected: &Path) -> Result<Self> {
        let path = fixture.join("refused-by-servers.tsv");
        let mut records = Vec::new();
        if !path.exists() {
            return Ok(Self { records });
        }
        for [table, source, file, record, line, reason, column, id] in sheet::rows(&path)? {
            let reject = [&*table, &source, &file, &record, &line, &reason, &column].join("\t");
            let rows = fs::read_to_string(expected.join(format!("{table}.tsv")))?;
            if rows.lines().any(|row| row.split('\t').next() == Some(&id)) {
                records.push(RefusedRecord { table, source, file, reject, id });
            }
        }
        Ok(Self { records })
    }

    fn has_row(&self, table: &str, row: &str) -> bool {
        let id = row.split('\t').next();
        self.records.iter().any(|record| record.table == table && Some(&*record.id) == id)
    }

    /// How many there are of a file.
    fn of_file(&self, (table, source, file): &(String, String, String)) -> i64 {
        let place =
            |it: &&RefusedRecord| (&it.table, &it.source, &it.file) == (table, source, file);
        self.records.iter().filter(place).count().try_into().unwrap_or(i64::MAX)
    }
}

/// Compares dumped tables with `expected/TABLE.tsv`.
pub fn compare(
    actual: &BTreeMap<String, Vec<String>>,
    expected: &Path,
    refused: &Refused,
) -> Result<u64> {
    let mut rows = 0;
    for (table, lines) in actual {
        let path = expected.join(format!("{table}.tsv"));
        let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        let wanted = text.lines().filter(|row| !refused.has_row(table, row));
        let wanted: Vec<String> = wanted.map(str::to_owned).collect();
        same_lines(table, lines, &wanted)?;
        rows += lines.len() as u64;
    }
    Ok(rows)
}

/// Fails with the first lines that are on one side only.
pub fn same_lines(what: &str, actual: &[String], wanted: &[String]) -> Result<()> {
    if actual == wanted {
        return Ok(());
    }
    let (have, want): (BTreeSet<_>, BTreeSet<_>) =
        (actual.iter().collect(), wanted.iter().collect());
    let show = |lines: Vec<&&String>| {
        let cut = |line: &&&String| line.chars().take(400).collect::<String>();
        let shown: Vec<String> = lines.iter().take(5).map(cut).collect();
        format!("\n    {}", shown.join("\n    "))
    };
    bail!(
        "`{what}` differs: {} lines instead of {}\n  missing:{}\n  surplus:{}",
        actual.len(),
        wanted.len(),
        show(want.difference(&have).collect()),
        show(have.difference(&want).collect())
    );
}

/// Compares the ledger's open rejects with an expected `rejects.tsv`. Those that a later run has
/// resolved are no longer anybody's business.
pub fn compare_rejects(
    connection: &Connection,
    expected: &Path,
    reasons: &Path,
    refused: &Refused,
) -> Result<u64> {
    let codes = reason_codes(reasons)?;
    let sql =
        "SELECT target_table, source, source_file, record, line, code, coalesce(target_column, '')
               FROM whimbrel_migration_rejects WHERE status = 'open' ORDER BY 1, 2, 3, 4";
    let mut prepared = connection.prepare(sql)?;
    let found = prepared.query_map([], |row| {
        let place: (String, String, String, i64, i64) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
        Ok((place, (row.get::<_, String>(5)?, row.get::<_, String>(6)?)))
    })?;
    let mut actual: BTreeMap<_, _> = BTreeMap::new();
    for row in found {
        let (place, what) = row?;
        let double = actual.insert(place.clone(), what);
        ensure!(double.is_none(), "two open rejects of one record: {place:?}");
    }
    let total = actual.len() as u64;
    let text = fs::read_to_string(expected).with_context(|| format!("{}", expected.display()))?;
    let mut wrong = Vec::new();
    let also = refused.records.iter().map(|record| record.reject.as_str());
    for line in text.lines().skip(1).chain(also) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [table, source, file, record, at, reason, column] = cells[..] else {
            bail!("{}: seven columns expected: {line}", expected.display());
        };
        let place =
            (table.to_owned(), source.to_owned(), file.to_owned(), record.parse()?, at.parse()?);
        let Some((code, actual_column)) = actual.remove(&place) else {
            wrong.push(format!("not rejected: {line}"));
            continue;
        };
        let fits = reason
            .split('|')
            .any(|reason| codes.get(reason).is_some_and(|codes| codes.contains(&code)));
        if !fits {
            wrong.push(format!("rejected with {code}: {line}"));
        }
        if !column.is_empty() && !column.split('|').any(|column| column == actual_column) {
            wrong.push(format!("rejected for column `{actual_column}`: {line}"));
        }
    }
    wrong.extend(actual.iter().map(|(place, (code, column))| {
        format!("rejected unexpectedly: {place:?} {code} {column}")
    }));
    ensure!(wrong.is_empty(), "rejects differ:\n  {}", wrong[..wrong.len().min(12)].join("\n  "));
    Ok(total)
}

/// Compares where the old ids of duplicates lead with an expected `duplicates.tsv`, of those tables
/// for which a run remembers that: rows of the others are found by keys made anew.
pub fn compare_duplicates(connection: &Connection, expected: &Path) -> Result<u64> {
    let remembered: BTreeSet<String> =
        column(connection, "SELECT DISTINCT new_type FROM whimbrel_legacy_mappings")?
            .into_iter()
            .collect();
    let mut actual = column(
        connection,
        "SELECT new_type || ' ' || source || ' ' || source_file || ' ' || record || ' ' || new_id
         FROM whimbrel_legacy_mappings WHERE winner = 0",
    )?;
    let mut wanted = Vec::new();
    for [table, source, file, record, _, winner] in sheet::rows(expected)? {
        if remembered.contains(&table) {
            wanted.push(format!("{table} {source} {file} {record} {winner}"));
        }
    }
    actual.sort_unstable();
    wanted.sort_unstable();
    same_lines("where duplicates lead", &actual, &wanted)?;
    Ok(actual.len() as u64)
}

/// Which codes each word for a reason stands for.
pub fn reason_codes(path: &Path) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let text = fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    let words = text.lines().skip(1).filter_map(|line| line.split_once('\t'));
    Ok(words
        .map(|(word, codes)| {
            (word.to_owned(), codes.split_whitespace().map(str::to_owned).collect())
        })
        .collect())
}

/// What became of each file, by the runs that have read it as it is now: an item with a new ordinal
/// is a file that was read anew. A unit that a later run has read again (its reject says so) counts
/// once, as what it is now.
const ACCOUNTS: &str = "
    WITH items AS (
        SELECT s.target_table, i.* FROM whimbrel_migration_items i
        JOIN whimbrel_migration_steps s ON s.run = i.run AND s.step = i.step
    ), newest AS (
        SELECT target_table, source, source_file, max(ordinal) AS ordinal FROM items GROUP BY 1, 2, 3
    ), resolved AS (
        SELECT target_table, source, source_file, unit >> 32 AS ordinal, count(*) AS rejects
        FROM whimbrel_migration_rejects WHERE status IN ('fixed', 'superseded') GROUP BY 1, 2, 3, 4
    )
    SELECT i.target_table, i.source, i.source_file, sum(i.read) - coalesce(max(r.rejects), 0),
           sum(i.loaded) + sum(i.updated) + sum(i.unchanged), sum(i.duplicate), sum(i.filtered),
           sum(i.rejected) - coalesce(max(r.rejects), 0), max(i.lines)
    FROM items i JOIN newest USING (target_table, source, source_file, ordinal)
    LEFT JOIN resolved r USING (target_table, source, source_file, ordinal)
    GROUP BY 1, 2, 3";

/// Compares the units per file with an expected `accounts.tsv`, and checks that the figures there
/// account for every line of every file.
pub fn compare_accounts(
    connection: &Connection,
    expected: &Path,
    refused: &Refused,
) -> Result<u64> {
    let mut prepared = connection.prepare(ACCOUNTS)?;
    let rows = prepared.query_map([], |row| {
        let place: (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let counts: [i64; 5] = [row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?];
        Ok((place, (counts, row.get::<_, Option<i64>>(8)?)))
    })?;
    let mut actual: BTreeMap<_, _> = rows.collect::<Result<_, _>>()?;
    let mut files = 0;
    for line in sheet::rows::<13>(expected)? {
        let [table, source, file, lines, header, blank, inside, counts @ ..] = line;
        let count = |cell: &str| cell.parse::<i64>().context("a count");
        let counts: Vec<i64> = counts.iter().map(|cell| count(cell)).collect::<Result<_>>()?;
        let [units, loaded, duplicate, filtered, rejected, again] = counts[..] else {
            bail!("{}: six counts expected", expected.display());
        };
        let place = (table, source, file);
        let Some((found, found_lines)) = actual.remove(&place) else {
            bail!("the ledger has no item for {place:?}");
        };
        let less = refused.of_file(&place);
        let wanted = [units + again, loaded + again - less, duplicate, filtered, rejected + less];
        ensure!(
            found == wanted,
            "units of {place:?}: {found:?} instead of {wanted:?} (units, loaded, duplicate, filtered, rejected)"
        );
        if lines != "-" {
            let whole = count(&header)? + count(&blank)? + count(&inside)? + units;
            ensure!(
                whole == count(&lines)?,
                "{place:?}: lines = header + blank + inside + units does not hold"
            );
            ensure!(
                found_lines == Some(whole),
                "lines of {place:?}: {found_lines:?} instead of {lines}"
            );
        }
        files += 1;
    }
    ensure!(
        actual.is_empty(),
        "the ledger has items that nobody expected: {:?}",
        actual.keys().next()
    );
    Ok(files)
}

/// Each run, in order, with how many rejects it has of each status that occurs.
pub fn reject_statuses(connection: &Connection) -> Result<Vec<(String, BTreeMap<String, i64>)>> {
    let mut runs = Vec::new();
    for run in column(connection, "SELECT id FROM whimbrel_migration_runs ORDER BY seq")? {
        let mut prepared = connection.prepare(
            "SELECT status, count(*) FROM whimbrel_migration_rejects WHERE run = ? GROUP BY 1",
        )?;
        let counts = prepared.query_map([&run], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let counts = counts.collect::<Result<_, _>>()?;
        runs.push((run, counts));
    }
    Ok(runs)
}

/// The kinds of all runs, in order; all must be complete.
pub fn runs(connection: &Connection, kinds: &[&str]) -> Result<()> {
    let sql = "SELECT kind || ' ' || status FROM whimbrel_migration_runs ORDER BY seq";
    let found = column(connection, sql)?;
    let wanted: Vec<String> = kinds.iter().map(|kind| format!("{kind} completed")).collect();
    ensure!(found == wanted, "the runs are {found:?} instead of {wanted:?}");
    Ok(())
}

/// The conservation law, from the ledger by plain SQL: in every batch, per table, per file.
pub fn conservation(connection: &Connection) -> Result<()> {
    let zero = |what: &str, sql: &str| -> Result<()> {
        let count: i64 = connection.query_row(sql, [], |row| row.get(0))?;
        ensure!(count == 0, "{what}: {count}");
        Ok(())
    };
    zero(
        "batches whose units do not balance",
        "SELECT count(*) FROM whimbrel_migration_batches WHERE read <> loaded + updated + unchanged + rejected + filtered + duplicate",
    )?;
    zero(
        "batches whose rows do not balance",
        "SELECT count(*) FROM whimbrel_migration_batches WHERE rows_produced <> rows_inserted + rows_updated + rows_unchanged",
    )?;
    zero(
        "files whose units do not balance",
        "SELECT count(*) FROM whimbrel_migration_items WHERE read <> loaded + updated + unchanged + rejected + filtered + duplicate",
    )?;
    zero(
        "files that are not done",
        "SELECT count(*) FROM whimbrel_migration_items WHERE status <> 'completed'",
    )?;
    zero("steps whose batches and files disagree",
        "SELECT count(*) FROM (SELECT run, step, sum(read) r, sum(rejected) j FROM whimbrel_migration_batches GROUP BY 1, 2) b
         FULL JOIN (SELECT run, step, sum(read) r, sum(rejected) j FROM whimbrel_migration_items GROUP BY 1, 2) i
           ON b.run = i.run AND b.step = i.step
         WHERE coalesce(b.r, 0) <> coalesce(i.r, 0) OR coalesce(b.j, 0) <> coalesce(i.j, 0)")?;
    zero("steps whose rejects are not all there",
        "SELECT count(*) FROM (SELECT run, step, sum(rejected) n FROM whimbrel_migration_batches GROUP BY 1, 2) b
         WHERE n <> (SELECT count(*) FROM whimbrel_migration_rejects r WHERE r.run = b.run AND r.step = b.step)")?;
    zero(
        "rejects that a run has resolved which has not ended, or which is not later",
        "SELECT count(*) FROM whimbrel_migration_rejects j JOIN whimbrel_migration_runs o ON o.id = j.run
         LEFT JOIN whimbrel_migration_runs r ON r.id = j.resolved_by
         WHERE j.status IN ('fixed', 'superseded') AND (r.id IS NULL OR r.status <> 'completed' OR r.seq <= o.seq)",
    )?;
    zero(
        "open rejects that a run has taken on and left",
        "SELECT count(*) FROM whimbrel_migration_rejects WHERE status = 'open' AND resolved_by IS NOT NULL",
    )?;
    // A retry supersedes by a reject of the same unit, an incremental run by reading the file on.
    zero(
        "rejects that are fixed although superseded, or the other way round",
        "SELECT count(*) FROM whimbrel_migration_rejects j
         WHERE j.status IN ('fixed', 'superseded') AND (j.status = 'superseded') <> (
             EXISTS (SELECT 1 FROM whimbrel_migration_rejects n
                     WHERE n.run = j.resolved_by AND n.unit = j.unit AND n.target_table = j.target_table)
             OR EXISTS (SELECT 1 FROM whimbrel_migration_items i
                        JOIN whimbrel_migration_steps s ON s.run = i.run AND s.step = i.step
                        WHERE i.run = j.resolved_by AND s.target_table = j.target_table
                          AND i.source = j.source AND i.source_file = j.source_file
                          AND 'incremental' = (SELECT kind FROM whimbrel_migration_runs WHERE id = i.run)))",
    )?;
    // Each unit that a retry reads is one that was rejected, and it says what became of it.
    zero(
        "retries that have read something else than they resolved",
        "SELECT count(*) FROM whimbrel_migration_runs r
         JOIN whimbrel_migration_steps s ON s.run = r.id AND s.target_table IS NOT NULL
         WHERE r.kind = 'retry'
           AND (SELECT coalesce(sum(read), 0) FROM whimbrel_migration_batches b WHERE b.run = r.id AND b.step = s.step)
            <> (SELECT count(*) FROM whimbrel_migration_rejects j WHERE j.resolved_by = r.id AND j.target_table = s.target_table)",
    )?;
    rows_stand_in_tables(connection)?;
    let damaged: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    ensure!(damaged == "ok", "the database is damaged: {damaged}");
    Ok(())
}

/// In a target that held nothing before, every inserted row stands there, and nothing else.
fn rows_stand_in_tables(connection: &Connection) -> Result<()> {
    let sql = "SELECT s.target_table, sum(b.rows_inserted) FROM whimbrel_migration_batches b
               JOIN whimbrel_migration_steps s ON s.run = b.run AND s.step = b.step GROUP BY 1";
    let mut prepared = connection.prepare(sql)?;
    let tables =
        prepared.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
    for table in tables {
        let (table, inserted) = table?;
        let quoted = table.replace('"', "\"\"");
        let count: i64 =
            connection
                .query_row(&format!("SELECT count(*) FROM \"{quoted}\""), [], |row| row.get(0))?;
        ensure!(count == inserted, "`{table}` holds {count} rows, {inserted} were inserted");
    }
    Ok(())
}

/// Everything that must be the same after any number of crashes: rows of the target's own tables
/// and the ledger without times, attempts, fences and the borders of batches. Runs are named by
/// their number.
pub fn fingerprint(connection: &Connection) -> Result<Vec<String>> {
    let print = Print { runs: run_names(connection)?, connection };
    let mut lines = Vec::new();
    for table in tables(connection)? {
        let leave_out: &[&str] = match table.as_str() {
            "whimbrel_meta"
            | "whimbrel_lease"
            | "whimbrel_migration_runs"
            | "whimbrel_audit_log"
            | "whimbrel_migration_batches"
            | "whimbrel_data_integrity_checks"
            | "whimbrel_undo_inserts" => continue,
            "whimbrel_undo_updates" => &["batch", "seq"],
            "whimbrel_migration_steps" => &["started_at", "completed_at"],
            // Facts and marks hold inodes and times of the files on disk.
            "whimbrel_migration_items" => &["facts", "mark"],
            // Digests are keyed by the first run of each target.
            "whimbrel_migration_rejects" => &["digest", "spill", "resolved_at"],
            "whimbrel_legacy_mappings" => &["content_hash"],
            "whimbrel_migration_checkpoints" => &["detail", "previous", "hash", "created_at"],
            _ => &[],
        };
        // Numbers that servers give to rows of the ledger: one that was taken back is not given again.
        let numbered: &[&str] = if table.starts_with("whimbrel_") { &["id"] } else { &[] };
        lines.extend(print.table(&table, &[leave_out, numbered].concat())?);
    }
    let totals = "SELECT run, step, sum(read), sum(loaded), sum(updated), sum(unchanged), sum(rejected), sum(filtered),
                  sum(duplicate), sum(rows_produced), sum(rows_inserted), sum(rows_updated), sum(rows_unchanged), sum(read_bytes)
                  FROM whimbrel_migration_batches GROUP BY run, step";
    lines.extend(print.query(totals, "batches")?);
    let undo =
        "SELECT run, step, target_table, sum(rows) FROM whimbrel_undo_inserts GROUP BY 1, 2, 3";
    lines.extend(print.query(undo, "undo inserts")?);
    // The names of the states that sources were read in hold times and numbers of servers.
    let sources = "(SELECT group_concat(key || ' ' || json_remove(value, '$.state')) FROM json_each(sources))";
    let runs = format!(
        "SELECT seq, plan, kind, parent, status, phase, options, {sources}, error_code
         FROM whimbrel_migration_runs"
    );
    lines.extend(print.query(&runs, "runs")?);
    // Sources are compared only where a run was resumed in another state of theirs.
    let checks =
        "SELECT run, seq, phase, check_type, check_name, status, expected_count, actual_count,
                  CASE phase WHEN 'verify' THEN NULL ELSE details END, error_message FROM whimbrel_data_integrity_checks
                  WHERE NOT (check_type = 'sources' AND status = 'passed')
                  AND coalesce(error_message, '') NOT LIKE 'WB0633:%'";
    lines.extend(print.query(checks, "checks")?);
    Ok(lines)
}

/// Ids of runs, with what stands for them.
fn run_names(connection: &Connection) -> Result<BTreeMap<String, String>> {
    let mut prepared =
        connection.prepare("SELECT id, 'run ' || seq FROM whimbrel_migration_runs")?;
    let names = prepared.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(names.collect::<Result<_, _>>()?)
}

fn tables(connection: &Connection) -> Result<Vec<String>> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
    column(connection, sql)
}

/// The texts of a query's one column.
fn column(connection: &Connection, sql: &str) -> Result<Vec<String>> {
    let mut prepared = connection.prepare(sql)?;
    let texts = prepared.query_map([], |row| row.get(0))?;
    Ok(texts.collect::<Result<_, _>>()?)
}

/// Rows as sorted lines.
struct Print<'a> {
    connection: &'a Connection,
    runs: BTreeMap<String, String>,
}

impl Print<'_> {
    fn table(&self, table: &str, leave_out: &[&str]) -> Result<Vec<String>> {
        let quoted = table.replace('"', "\"\"");
        let prepared = self.connection.prepare(&format!("SELECT * FROM \"{quoted}\" LIMIT 0"))?;
        let columns: Vec<String> = prepared
            .column_names()
            .iter()
            .filter(|name| !leave_out.contains(name))
            .map(|name| format!("\"{}\"", name.replace('"', "\"\"")))
            .collect();
        self.query(&format!("SELECT {} FROM \"{quoted}\"", columns.join(", ")), table)
    }

    fn query(&self, sql: &str, name: &str) -> Result<Vec<String>> {
        let mut prepared = self.connection.prepare(sql)?;
        let width = prepared.column_count();
        let mut rows = prepared.query([])?;
        let mut lines = Vec::new();
        while let Some(row) = rows.next()? {
            let cells: Vec<String> = (0..width)
                .map(|index| row.get_ref(index).map(|value| self.shown(value)))
                .collect::<Result<_, _>>()?;
            lines.push(format!("{name}: {}", cells.join(" | ")));
        }
        lines.sort_unstable();
        Ok(lines)
    }

    fn shown(&self, value: rusqlite::types::ValueRef<'_>) -> String {
        use rusqlite::types::ValueRef;
        match value {
            ValueRef::Null => "NULL".to_owned(),
            ValueRef::Integer(number) => number.to_string(),
            ValueRef::Real(number) => format!("{number:?}"),
            ValueRef::Text(bytes) => {
                let run = std::str::from_utf8(bytes).ok().and_then(|text| self.runs.get(text));
                run.cloned().unwrap_or_else(|| format!("'{}'", shown_bytes(bytes)))
            }
            ValueRef::Blob(bytes) => format!("x'{}'", shown_bytes(bytes)),
        }
    }
}

/// Bytes for people; many by their beginning, number and hash.
fn shown_bytes(bytes: &[u8]) -> String {
    let Some((beginning, _)) = bytes.split_at_checked(1000) else {
        return bytes.escape_ascii().to_string();
    };
    let mut hash = std::hash::DefaultHasher::new();
    hash.write(bytes);
    format!("{}… {} bytes, {:016x}", beginning.escape_ascii(), bytes.len(), hash.finish())
}

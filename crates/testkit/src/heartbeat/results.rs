//! Results of checks.

use std::io;

use super::checks::{CLEAN_FROM, Check, Results, clean};
use super::{Row, SECOND, dice, taken};
use crate::Dice;
use crate::dump::Cell;

pub(super) const COLUMNS: [&str; 7] = [
    "id",
    "healthcheck_id",
    "status",
    "response_time",
    "status_code",
    "error_message",
    "checked_at",
];

/// Results of a large database have ids from here on.
const CLEAN_IDS: i64 = 100_001;

const HEALTHY: &str = "HEALTHY";

/// A few results of each check, and the dirty ones. Ids do not rise with time.
pub(super) fn dirty(seed: u64, checks: &[Check]) -> Vec<Row> {
    let mut rows = Vec::new();
    for check in checks.iter().filter(|check| check.id < CLEAN_FROM) {
        let mut dice = dice(seed, &format!("results of {}", check.id));
        let (last, bad) = match check.results {
            Results::None => continue,
            Results::Until(before) => (taken() - before, false),
            Results::Bad => (taken() - 30 * SECOND, true),
        };
        for back in 0..dice.between(6, 14) {
            let id = rows.len() as i64 + 1;
            let at = last - back * 60 * SECOND;
            // The last one is what the heartbeat is derived from.
            let status = match dice.below(20) {
                _ if bad && back % 2 == 0 => "UNKNOWN",
                _ if bad => "UNHEALTHY",
                0 if back > 0 => "UNHEALTHY",
                1 if back > 0 => "UNKNOWN",
                _ => HEALTHY,
            };
            let cells = cells(&mut dice, id, check.id, status, at);
            rows.push(Row { cells, sqlite_only: check.sqlite_only });
        }
    }
    add_dirty(seed, &mut rows);
    rows
}

fn add_dirty(seed: u64, rows: &mut Vec<Row>) {
    let mut dice = dice(seed, "dirty results");
    let at = taken() - 3_600 * SECOND;
    let mut next = 5_001;
    let mut row = |check: i64, status: &str, edit: &dyn Fn(&mut Vec<Cell>)| {
        let mut cells = cells(&mut dice, next, check, status, at);
        edit(&mut cells);
        next += 1;
        cells
    };
    let nothing = |_: &mut Vec<Cell>| {};
    // Written by hand, in the letters that the API shows; and a word that nobody knows.
    rows.push(Row::sqlite_only(row(1, "healthy", &nothing)));
    rows.push(Row::sqlite_only(row(1, "unhealthy", &nothing)));
    rows.push(Row::sqlite_only(row(2, "unknown", &nothing)));
    rows.push(Row::sqlite_only(row(2, "DOWN", &nothing)));
    rows.push(Row::sqlite_only(row(2, "HEALTHY ", &nothing)));
    // Two at the same microsecond.
    rows.push(Row::new(row(3, HEALTHY, &nothing)));
    rows.push(Row::new(row(3, HEALTHY, &nothing)));
    // Nobody knows when; nothing measured.
    rows.push(Row::new(row(4, HEALTHY, &|cells| cells[6] = Cell::Null)));
    rows.push(Row::new(row(4, HEALTHY, &|cells| {
        cells[3] = Cell::Null;
        cells[4] = Cell::Null;
    })));
    // Without a fraction, with the `T` of ISO 8601, and what is no time.
    rows.push(Row::sqlite_only(row(5, HEALTHY, &|cells| {
        cells[6] = Cell::text("2024-07-01 09:00:00");
    })));
    rows.push(Row::sqlite_only(row(5, HEALTHY, &|cells| {
        cells[6] = Cell::text("2024-07-01T09:00:01.5");
    })));
    rows.push(Row::sqlite_only(row(5, HEALTHY, &|cells| cells[6] = Cell::text("now"))));
    // Messages of more than a line, with what has to be escaped.
    rows.push(Row::new(row(6, "UNHEALTHY", &|cells| {
        cells[5] = Cell::text("Traceback:\n\tFile \"poll.py\", line 3\r\n'C:\\poll' – 逾時");
    })));
    rows.push(Row::new(row(6, "UNHEALTHY", &|cells| cells[5] = Cell::text(""))));
    // Their checks were deleted behind the program's back.
    for check in [900, 901, 901] {
        rows.push(Row::new(row(check, HEALTHY, &nothing)));
    }
    rows.push(Row::new(row(902, "UNHEALTHY", &nothing)));
}

fn cells(dice: &mut Dice, id: i64, check: i64, status: &str, at: i64) -> Vec<Cell> {
    let millis = dice.between(20, 30_000);
    let (code, message) = match status.trim() {
        "UNHEALTHY" | "unhealthy" => {
            let code = dice.pick(&["404", "500", "503"]);
            (Cell::Number(code.to_owned()), Cell::Text(format!("HTTP {code} instead of 200")))
        }
        "UNKNOWN" | "unknown" => (Cell::Null, Cell::text("timed out")),
        _ => (Cell::Int(if dice.one_in(10) { 301 } else { 200 }), Cell::Null),
    };
    vec![
        Cell::Int(id),
        Cell::Int(check),
        Cell::text(status),
        Cell::Number(format!("{}.{:03}", millis / 1000, millis % 1000)),
        code,
        message,
        Cell::Time(at),
    ]
}

/// The results of a large database, one after the other: one in twenty is unhealthy.
pub(super) fn each_clean(
    seed: u64,
    results: u64,
    mut row: impl FnMut(&[Cell]) -> io::Result<()>,
) -> io::Result<()> {
    let checks = clean(results);
    let mut dice = dice(seed, "clean results");
    for number in 0..results as i64 {
        let status = if dice.one_in(20) { "UNHEALTHY" } else { HEALTHY };
        let at =
            taken() - (results as i64 - number) / checks * 60 * SECOND - dice.between(1, 999_999);
        row(&cells(&mut dice, CLEAN_IDS + number, CLEAN_FROM + number % checks, status, at))?;
    }
    Ok(())
}

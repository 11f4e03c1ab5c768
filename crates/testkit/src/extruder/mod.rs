//! Legacy data of an extruder: run logs of five logger generations, a process log and
//! configuration files, in one folder, with every kind of damage such folders are known to hold.
//!
//! ```text
//! config-20230110.json … config.json        the same settings over time, the last one live
//! logs/run_YYYYMMDD_HHMMSS.csv              named by the wall clock in Berlin
//! logs/app.jsonl                            what the logger and others had to say
//! logs/…                                    files that are no runs
//! ```

mod config;
mod process_log;
mod run;

use std::io;
use std::path::Path;

use crate::calendar::{HOUR, utc};
use crate::{Dice, Folder};
use run::{Generation, Run};

/// How much to make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Size {
    /// The dirty files alone: about 1,100 samples.
    Small,
    /// The dirty files, and clean runs of an hour each up to about this many samples.
    Rows(u64),
}

/// Fills the folder, which must be empty or not there yet.
pub fn write(folder: &Path, size: Size, seed: u64) -> io::Result<()> {
    let folder = Folder::create(folder)?;
    config::write(&folder)?;
    write_whole_runs(&folder, seed)?;
    write_clock_changes(&folder, seed)?;
    write_damaged_runs(&folder, seed)?;
    write_runs_without_samples(&folder, seed)?;
    write_other_headers(&folder, seed)?;
    process_log::write(&folder, seed)?;
    write_files_that_are_no_runs(&folder, seed)?;
    match size {
        Size::Small => Ok(()),
        Size::Rows(rows) => write_clean_runs(&folder, rows, seed),
    }
}

/// One clean run of each generation that differs in what it writes.
fn write_whole_runs(folder: &Folder, seed: u64) -> io::Result<()> {
    // The first generation prints `nan`, and RPM as whatever the driver returned.
    let mut run = Run::new(seed, Generation::Bare, utc(2023, 1, 14, 7, 15, 0), 250, 60);
    run.set(12, "T2_Mid", "nan");
    run.set(13, "T2_Mid", "nan");
    run.set(20, "RPM_Main", "60");
    run.set(21, "RPM_Main", "0");
    run.set(22, "RPM_Main", "0.0");
    run.write(folder)?;

    // The fourth writes NAN and says so in the status; this one ends in an alarm after midnight.
    let mut run = Run::new(seed, Generation::Marked, utc(2023, 6, 2, 21, 59, 50), 250, 80);
    run.set(30, "T1_Feed", "NAN");
    run.set(30, "Status", "RUNNING_PARTIAL");
    run.set(41, "T3_Nozzle", "NAN");
    run.set(41, "Status", "RUNNING_PARTIAL");
    run.end_with("ALARM_PARTIAL", 3);
    run.write(folder)?;

    // The fifth writes seconds since 1970 beside the clock.
    let mut run = Run::new(seed, Generation::Epoch, utc(2024, 1, 10, 8, 30, 0), 250, 60);
    run.set(17, "T_Motor", "NAN");
    run.write(folder)?;

    // It was switched off while running.
    let mut run = Run::new(seed, Generation::Epoch, utc(2024, 1, 11, 8, 30, 0), 250, 24);
    run.end_with("RUNNING", 24);
    run.write(folder)
}

fn write_clock_changes(folder: &Folder, seed: u64) -> io::Result<()> {
    // Spring: 02:00 to 03:00 does not exist; one row has such a time all the same.
    let mut run = Run::new(seed, Generation::Buffered, utc(2023, 3, 26, 0, 59, 50), 1000, 24);
    run.set(10, "Timestamp", "02:00:00.000");
    run.write(folder)?;

    // Autumn: 02:00 to 03:00 comes twice; only the order of the rows tells which.
    Run::new(seed, Generation::Buffered, utc(2023, 10, 28, 23, 40, 0), 60_000, 160)
        .write(folder)?;

    // A run that begins in the hour that comes twice: its name is ambiguous.
    Run::new(seed, Generation::Marked, utc(2023, 10, 29, 0, 30, 0), 120_000, 40).write(folder)?;

    // A run whose name says a time that does not exist: neither it nor its rows have a place.
    let mut run = Run::new(seed, Generation::Marked, utc(2024, 3, 31, 1, 30, 0), 250, 5);
    run.rename("run_20240331_023000.csv");
    run.write(folder)?;

    // Seconds since 1970 know nothing of either.
    Run::new(seed, Generation::Epoch, utc(2024, 3, 31, 0, 59, 55), 500, 20).write(folder)?;
    Run::new(seed, Generation::Epoch, utc(2024, 10, 27, 0, 59, 55), 500, 20).write(folder)?;

    // The time server sets the clock back by three seconds: the rows stay in order.
    let mut run = Run::new(seed, Generation::Marked, utc(2023, 7, 15, 8, 15, 0), 250, 60);
    run.shift_clock_from(32, -3_100);
    run.write(folder)?;

    // It does so just after midnight: the clock shows the evening again, and midnight comes twice.
    let begin = utc(2023, 7, 17, 21, 59, 58);
    let mut run = Run::new(seed, Generation::Marked, begin, 250, 40);
    run.shift_clock_from(12, -3_100);
    run.write(folder)
}

fn write_damaged_runs(folder: &Folder, seed: u64) -> io::Result<()> {
    // A flush failed in the middle of a row and wrote its block again: half a row and a whole one
    // share a line, and the rows before it stand there twice. Later the buffer overflowed.
    let mut run = Run::new(seed, Generation::Marked, utc(2023, 8, 3, 12, 0, 0), 250, 80);
    run.jump_clock_from(60, 250_000);
    let rows = run.lines();
    let half = rows[25][..rows[25].len() / 2].to_owned();
    let mut lines = rows[..25].to_vec();
    lines.push(half + &rows[20]);
    lines.extend_from_slice(&rows[21..]);
    run.write_lines(folder, &lines)?;

    // Someone opened it in a spreadsheet program.
    let mut run = Run::new(seed, Generation::Marked, utc(2023, 9, 4, 5, 0, 0), 250, 60);
    run.set(3, "T1_Feed", "\"182,44\"");
    run.set(5, "T2_Mid", "--");
    run.set(6, "T3_Nozzle", "ERR");
    run.set(8, "RPM_Feed", "fast");
    run.set(9, "RPM_Main", "sixty");
    run.set(11, "T1_Feed", "inf");
    run.set(12, "T1_Feed", "-inf");
    run.set(13, "T_Motor", "NaN");
    run.set(14, "Pwr_Z1_%", "1e3");
    run.set(15, "Pwr_Z2_%", "+12.5");
    run.set(16, "Target_Z1", "0200.0");
    run.set(17, "Target_Z2", "");
    run.set(18, "T2_Mid", " 201.10");
    run.set(19, "T2_Mid", "\"\"");
    run.set(20, "T2_Mid", "\"NAN\"");
    run.set(21, "T3_Nozzle", "-0.0");
    run.set(22, "T3_Nozzle", "-0");
    run.set(23, "T3_Nozzle", "215.330000000000000001");
    run.set(24, "Status", "MAINTENANCE");
    run.set(25, "Status", "");
    run.set(26, "Timestamp", "");
    run.set(27, "Timestamp", "07:00");
    run.set(28, "T1_Feed", "182,44"); // one column too many
    run.set(29, "Timestamp", "25:00:00.000");
    run.set(30, "T2_Mid", "1,99"); // one column too many, of another length
    let mut lines = run.lines();
    lines.insert(40, String::new()); // a blank line is no record
    lines.insert(45, run.header().to_owned()); // the header again: a row without a time
    run.write_lines(folder, &lines)?;

    // The power went: the last line breaks off.
    let run = Run::new(seed, Generation::Marked, utc(2023, 11, 5, 5, 0, 0), 250, 24);
    let mut bytes = run.bytes();
    bytes.truncate(bytes.len() - 31);
    run.write_bytes(folder, &bytes)?;

    // It breaks off where nothing tells: every column is there, only the line's end is not.
    let run = Run::new(seed, Generation::Marked, utc(2023, 11, 6, 5, 0, 0), 250, 12);
    let mut bytes = run.bytes();
    bytes.truncate(bytes.len() - 2);
    run.write_bytes(folder, &bytes)?;

    // The file system had reserved the space: a block of zero bytes at the end, one inside a row.
    let mut run = Run::new(seed, Generation::Marked, utc(2023, 11, 8, 5, 0, 0), 250, 16);
    run.set(6, "T2_Mid", "20\u{0}.10");
    let mut bytes = run.bytes();
    bytes.extend_from_slice(&[0; 96]);
    run.write_bytes(folder, &bytes)?;

    // A byte that is no UTF-8, and a control character.
    let mut run = Run::new(seed, Generation::Marked, utc(2023, 11, 9, 5, 0, 0), 250, 12);
    run.set(4, "Status", "RUNNING\u{1b}[31m");
    run.set(7, "Status", "Gr~~e");
    let mut bytes = run.bytes();
    replace(&mut bytes, b"Gr~~e", b"Gr\xf6\xdfe");
    run.write_bytes(folder, &bytes)?;

    // A byte order mark, as a spreadsheet program writes it; and line feeds alone.
    let run = Run::new(seed, Generation::Marked, utc(2023, 12, 1, 11, 0, 0), 250, 16);
    let mut bytes = b"\xef\xbb\xbf".to_vec();
    bytes.extend_from_slice(&run.bytes());
    run.write_bytes(folder, &bytes)?;
    let run = Run::new(seed, Generation::Epoch, utc(2024, 1, 12, 11, 0, 0), 250, 16);
    let mut bytes = run.bytes();
    bytes.retain(|byte| *byte != b'\r');
    run.write_bytes(folder, &bytes)?;

    // Seconds since 1970 that are none.
    let mut run = Run::new(seed, Generation::Epoch, utc(2024, 1, 15, 11, 0, 0), 250, 24);
    run.set(3, "Timestamp", "NAN");
    run.set(5, "Timestamp", "1705316401.2500");
    run.set(7, "Timestamp", "12:00:01.750");
    run.set(9, "Time_Str", "");
    run.set(11, "Timestamp", "yesterday");
    run.write(folder)
}

fn write_runs_without_samples(folder: &Folder, seed: u64) -> io::Result<()> {
    // Two files of the same bytes: a digest of the content does not identify a run.
    Run::new(seed, Generation::Marked, utc(2023, 11, 7, 5, 0, 0), 250, 0).write(folder)?;
    Run::new(seed, Generation::Marked, utc(2023, 11, 7, 5, 5, 0), 250, 0).write(folder)?;
    let run = Run::new(seed, Generation::Marked, utc(2023, 11, 7, 5, 10, 0), 250, 0);
    run.write_bytes(folder, b"")
}

fn write_other_headers(folder: &Folder, seed: u64) -> io::Result<()> {
    let mut run = Run::new(seed, Generation::Epoch, utc(2024, 4, 2, 9, 11, 11), 250, 16);
    run.add_column("Note", |row| if row % 5 == 0 { format!("lot {row}") } else { String::new() });
    run.write(folder)?;
    let mut run = Run::new(seed, Generation::Marked, utc(2024, 4, 3, 6, 0, 0), 250, 16);
    run.remove_column("RPM_Feed");
    run.write(folder)
}

fn write_files_that_are_no_runs(folder: &Folder, seed: u64) -> io::Result<()> {
    let at = utc(2024, 4, 5, 8, 0, 0) / 1000;
    folder.write(
        "logs/notes.txt",
        b"2023-09-04: opened the log in the office, see lot 48213\r\n",
        at,
    )?;
    folder.write("logs/summary_2023.csv", b"Run,Hours\r\nrun_20230114_081500,0.01\r\n", at)?;
    folder.write(
        "logs/.~lock.run_20230904_070000.csv#",
        b",operator,office-pc,04.09.2023 09:12;",
        at,
    )?;
    let run = Run::new(seed, Generation::Bare, utc(2023, 1, 14, 7, 15, 0), 250, 3);
    folder.write("logs/run_20230114_081500.csv.bak", &run.bytes(), at)
}

/// Runs of an hour at most, without damage, one a day from 2024-05-01 on.
fn write_clean_runs(folder: &Folder, rows: u64, seed: u64) -> io::Result<()> {
    const ROWS_PER_HOUR: u64 = 14_400;
    let mut left = rows;
    let mut begin = utc(2024, 5, 1, 6, 0, 0);
    while left > 0 {
        let rows = left.min(ROWS_PER_HOUR);
        let generation =
            if left.is_multiple_of(2) { Generation::Epoch } else { Generation::Marked };
        Run::new(seed, generation, begin, 250, rows as usize).write(folder)?;
        left -= rows;
        begin += 24 * HOUR;
    }
    Ok(())
}

/// Puts `new` where `old` stands, once; both of the same length.
fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    let at = bytes.windows(old.len()).position(|window| window == old);
    let at = at.expect("the row was just given this text");
    bytes[at..at + new.len()].copy_from_slice(new);
}

/// Draws from a run's own sequence.
fn dice(seed: u64, name: &str) -> Dice {
    Dice::new(seed, &format!("extruder/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::fs;

    fn contents(seed: u64, size: Size) -> BTreeMap<String, Vec<u8>> {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), size, seed).unwrap();
        let logs = fs::read_dir(dir.path().join("logs")).unwrap();
        let entries = logs.chain(fs::read_dir(dir.path()).unwrap()).map(Result::unwrap);
        let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
        files
            .map(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                (name, fs::read(entry.path()).unwrap())
            })
            .collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        assert!(contents(1, Size::Small) == contents(1, Size::Small));
        assert!(contents(1, Size::Small) != contents(2, Size::Small));
    }

    #[test]
    fn both_header_generations_stand_in_one_folder() {
        let files = contents(1, Size::Small);
        let begins = |name: &str, text: &str| files[name].starts_with(text.as_bytes());
        assert!(begins("run_20230114_081500.csv", "Timestamp,Status,T1_Feed"));
        assert!(begins("run_20240110_093000.csv", "Timestamp,Time_Str,Status,T1_Feed"));
    }

    #[test]
    fn a_row_of_every_kind_has_its_damage() {
        let files = contents(1, Size::Small);
        let has = |name: &str, bytes: &[u8]| {
            files[name].windows(bytes.len()).any(|window| window == bytes)
        };
        assert!(has("run_20230602_235950.csv", b"23:59:59.750"));
        assert!(has("run_20230602_235950.csv", b"00:00:00.000"));
        assert!(has("run_20230602_235950.csv", b"RUNNING_PARTIAL,NAN"));
        assert!(has("run_20230904_070000.csv", b"\"182,44\""));
        assert!(has("run_20231108_060000.csv", &[0; 90]));
        assert!(!files["run_20231105_060000.csv"].ends_with(b"\n"));
        assert!(files["run_20231107_060000.csv"] == files["run_20231107_060500.csv"]);
        assert!(files["run_20231107_061000.csv"].is_empty());
    }

    #[test]
    fn more_rows_come_as_clean_runs() {
        let count = |files: &BTreeMap<String, Vec<u8>>| -> usize {
            files.values().map(|bytes| bytes.split(|byte| *byte == b'\n').count() - 1).sum()
        };
        let (small, large) = (contents(1, Size::Small), contents(1, Size::Rows(20_000)));
        assert_eq!(large.len() - small.len(), 2);
        assert_eq!(count(&large) - count(&small), 20_002);
    }
}

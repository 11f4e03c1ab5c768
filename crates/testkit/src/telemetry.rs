//! One large CSV of telemetry, for benchmarks: twelve columns, about 165 bytes a row.
//!
//! ```text
//! Sample,Timestamp,Time_Str,Status,T1_Feed,T2_Mid,T3_Nozzle,T_Motor,Target_Z1,Pwr_Z1_%,RPM_Main,Note
//! 1,1704870000.000,07:00:00.000,RUNNING,181.234375,…,NAN for a sensor that is silent,…
//! ```

use std::fs::File;
use std::io;
use std::path::Path;

use csv::{Terminator, WriterBuilder};

use crate::Dice;
use crate::calendar::{Clock, utc};

/// The columns, in their order.
pub const COLUMNS: [&str; 12] = [
    "Sample",
    "Timestamp",
    "Time_Str",
    "Status",
    "T1_Feed",
    "T2_Mid",
    "T3_Nozzle",
    "T_Motor",
    "Target_Z1",
    "Pwr_Z1_%",
    "RPM_Main",
    "Note",
];

/// How many rows of each kind a file has.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Written {
    /// Rows that a typed table can take.
    pub good: u64,
    /// Rows that it cannot: text in T1_Feed, no time, or a column missing.
    pub bad: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Writes `rows` rows under a header, about `bad_ratio` of them (0 to 1) bad.
///
/// `Sample` counts from 1 and is unique; `Timestamp` is in seconds since 1970, rising by 0.25;
/// one reading in fifty is `NAN`; every tenth `Status` ends in `_PARTIAL`.
pub fn write_csv(path: &Path, rows: u64, bad_ratio: f64, seed: u64) -> io::Result<Written> {
    let mut file = File::create(path)?;
    // The bad rows are shorter, on purpose.
    let mut out = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .flexible(true)
        .buffer_capacity(1 << 20)
        .from_writer(&mut file);
    let mut dice = Dice::new(seed, "telemetry");
    let mut written = Written::default();
    let bad_in_a_million = (bad_ratio.clamp(0.0, 1.0) * 1e6).round() as u64;
    let begin = utc(2024, 1, 10, 7, 0, 0);
    out.write_record(COLUMNS)?;
    for row in 0..rows {
        let mut cells = cells(&mut dice, row, begin + row as i64 * 250);
        if dice.below(1_000_000) < bad_in_a_million {
            spoil(&mut dice, &mut cells);
            written.bad += 1;
        } else {
            written.good += 1;
        }
        out.write_record(&cells)?;
    }
    out.flush()?;
    drop(out);
    written.bytes = file.metadata()?.len();
    Ok(written)
}

fn cells(dice: &mut Dice, row: u64, millis: i64) -> Vec<String> {
    let mut reading = |low: i64, high: i64| {
        let micros = dice.between(low * 1_000_000, high * 1_000_000);
        if dice.one_in(50) {
            "NAN".to_owned()
        } else {
            format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
        }
    };
    let readings = [reading(170, 190), reading(190, 210), reading(205, 225), reading(30, 60)];
    let power = dice.between(0, 1000);
    let rpm = dice.between(590, 610);
    let zone = dice.between(1, 2);
    let feeder = dice.pick(&["nominal", "slow", "refilled"]);
    let lot = dice.between(10_000, 99_999);
    let mut cells = vec![
        (row + 1).to_string(),
        format!("{}.{:03}", millis / 1000, millis % 1000),
        Clock::berlin(millis).time(),
        if row % 10 == 9 { "RUNNING_PARTIAL".to_owned() } else { "RUNNING".to_owned() },
    ];
    cells.extend(readings);
    cells.push("200.0".to_owned());
    cells.push(format!("{}.{}", power / 10, power % 10));
    cells.push(format!("{}.{}", rpm / 10, rpm % 10));
    cells.push(format!("zone {zone} holding; feeder {feeder}; lot {lot}; checked by shift {zone}"));
    cells
}

fn spoil(dice: &mut Dice, cells: &mut Vec<String>) {
    match dice.below(3) {
        0 => "ERR".clone_into(&mut cells[4]),
        1 => cells[1].clear(),
        _ => {
            cells.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(rows: u64, bad_ratio: f64) -> (Written, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("telemetry.csv");
        let written = write_csv(&path, rows, bad_ratio, 1).unwrap();
        (written, std::fs::read_to_string(path).unwrap())
    }

    #[test]
    fn a_row_has_about_165_bytes() {
        let (written, text) = written(2_000, 0.0);
        assert_eq!(written.bytes, text.len() as u64);
        assert!((155..=175).contains(&(written.bytes / 2_000)), "{}", written.bytes / 2_000);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap(), &COLUMNS[..]);
        assert_eq!(reader.records().filter(|row| row.as_ref().unwrap().len() == 12).count(), 2_000);
    }

    #[test]
    fn bad_rows_are_counted_and_can_be_told() {
        let (written, text) = written(10_000, 0.03);
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
        let bad = reader
            .records()
            .map(Result::unwrap)
            .filter(|cells| cells.len() != 12 || cells[1].is_empty() || &cells[4] == "ERR");
        assert_eq!(bad.count() as u64, written.bad);
        assert_eq!(written.good + written.bad, 10_000);
        assert!((200..400).contains(&written.bad));
    }
}

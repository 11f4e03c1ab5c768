//! What the benchmarks load: plans, tables, and a CSV of flights.
//!
//! ```text
//! telemetry   12 columns, 165 bytes a row, key INTEGER        (made by testkit)
//! flights     19 columns,  95 bytes a row, key of three, `NA` (made here)
//! ```

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Result;
use whimbrel_testkit::telemetry::{self, Written};
use whimbrel_testkit::{DEFAULT_SEED, Dice};

/// Which data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Data {
    /// Readings of a machine: wide rows, fractions, a long text, an expression in the plan.
    Telemetry,
    /// Departures: many small numbers, some of them `NA`.
    Flights,
}

impl Data {
    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Telemetry => "telemetry",
            Self::Flights => "flights",
        }
    }

    /// The table it goes to.
    pub(super) fn table(self) -> &'static str {
        match self {
            Self::Telemetry => "samples",
            Self::Flights => "flights",
        }
    }

    /// The columns that the file fills, in its order.
    pub(super) fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Telemetry => &SAMPLE_COLUMNS,
            Self::Flights => &FLIGHT_COLUMNS,
        }
    }

    /// Our table.
    pub(super) fn schema(self, engine: &str) -> String {
        let table = match self {
            Self::Telemetry => format!("{TELEMETRY_TABLE},\n    partial BOOLEAN NOT NULL\n);\n"),
            Self::Flights => format!("{FLIGHTS_TABLE}\n);\n"),
        };
        in_words_of(engine, &table)
    }

    /// The table of a tool that takes the CSV as it is: the same types and key, but seconds since
    /// 1970 stay a number, and there is no column that an expression computes.
    pub(super) fn plain_schema(self, engine: &str) -> String {
        let table = match self {
            Self::Telemetry => {
                format!("{TELEMETRY_TABLE}\n);\n").replace("TIMESTAMPTZ     ", "DOUBLE PRECISION")
            }
            Self::Flights => format!("{FLIGHTS_TABLE}\n);\n"),
        };
        in_words_of(engine, &table)
    }

    /// The plan, whose target stands in `TARGET`.
    pub(super) fn plan(self) -> &'static str {
        match self {
            Self::Telemetry => TELEMETRY_PLAN,
            Self::Flights => FLIGHTS_PLAN,
        }
    }

    /// Writes the CSV, about `bad_ratio` of its rows bad.
    pub(super) fn write(self, path: &Path, rows: u64, bad_ratio: f64) -> Result<Written> {
        Ok(match self {
            Self::Telemetry => telemetry::write_csv(path, rows, bad_ratio, DEFAULT_SEED)?,
            Self::Flights => write_flights(path, rows, bad_ratio)?,
        })
    }
}

/// MariaDB has another word for instants, and no key over texts without a length.
fn in_words_of(engine: &str, table: &str) -> String {
    match engine {
        "mysql" => table
            .replace("TIMESTAMPTZ", "DATETIME(6)")
            .replace("carrier        TEXT", "carrier VARCHAR(8) COLLATE utf8mb4_bin"),
        _ => table.to_owned(),
    }
}

/// A folder with a plan and, for the engine, a schema.
pub(super) fn folder(
    parent: &Path,
    name: &str,
    plan: &str,
    engine: &str,
    schema: &str,
) -> Result<PathBuf> {
    let folder = parent.join(name);
    fs::create_dir_all(folder.join("legacy"))?;
    fs::create_dir_all(folder.join("schema").join(engine))?;
    // What is measured is the load; what proof costs, `bench verify` measures.
    fs::write(folder.join("whimbrel.toml"), format!("verify = \"none\"\n{plan}"))?;
    fs::write(folder.join("schema").join(engine).join("001_bench.sql"), schema)?;
    Ok(folder)
}

const TELEMETRY_TABLE: &str = "\
CREATE TABLE samples (
    sample      INTEGER          NOT NULL PRIMARY KEY,
    recorded_at TIMESTAMPTZ      NOT NULL,
    time_text   TEXT             NOT NULL,
    status      TEXT             NOT NULL,
    t1_feed     DOUBLE PRECISION,
    t2_mid      DOUBLE PRECISION,
    t3_nozzle   DOUBLE PRECISION,
    t_motor     DOUBLE PRECISION,
    target_z1   DOUBLE PRECISION,
    pwr_z1_pct  DOUBLE PRECISION,
    rpm_main    DOUBLE PRECISION,
    note        TEXT";

const FLIGHTS_TABLE: &str = "\
CREATE TABLE flights (
    year           INTEGER     NOT NULL,
    month          INTEGER     NOT NULL,
    day            INTEGER     NOT NULL,
    dep_time       INTEGER,
    sched_dep_time INTEGER     NOT NULL,
    dep_delay      INTEGER,
    arr_time       INTEGER,
    sched_arr_time INTEGER     NOT NULL,
    arr_delay      INTEGER,
    carrier        TEXT        NOT NULL,
    flight         INTEGER     NOT NULL,
    tailnum        TEXT,
    origin         TEXT        NOT NULL,
    dest           TEXT        NOT NULL,
    air_time       INTEGER,
    distance       INTEGER     NOT NULL,
    hour           INTEGER     NOT NULL,
    minute         INTEGER     NOT NULL,
    time_hour      TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (time_hour, carrier, flight)";

const TELEMETRY_PLAN: &str = r#"name     = "bench"
target   = "${TARGET}"
schema   = "schema"
timezone = "UTC"

[source.telemetry]
csv  = "legacy/*.csv"
null = ["", "NAN"]

[[table]]
into = "samples"
from = "telemetry"
key  = ["sample"]
[table.columns]
sample      = "Sample"
recorded_at = { from = "Timestamp", timestamp = "unix" }
time_text   = "Time_Str"
status      = "Status"
t1_feed     = "T1_Feed"
t2_mid      = "T2_Mid"
t3_nozzle   = "T3_Nozzle"
t_motor     = "T_Motor"
target_z1   = "Target_Z1"
pwr_z1_pct  = "Pwr_Z1_%"
rpm_main    = "RPM_Main"
note        = "Note"
partial     = { cel = "Status.endsWith('_PARTIAL')" }
"#;

const FLIGHTS_PLAN: &str = r#"name     = "bench-flights"
target   = "${TARGET}"
schema   = "schema"
timezone = "UTC"

[source.flights]
csv  = "legacy/*.csv"
null = ["NA"]

[[table]]
into = "flights"
from = "flights"
key  = ["time_hour", "carrier", "flight"]
[table.columns]
year           = "year"
month          = "month"
day            = "day"
dep_time       = "dep_time"
sched_dep_time = "sched_dep_time"
dep_delay      = "dep_delay"
arr_time       = "arr_time"
sched_arr_time = "sched_arr_time"
arr_delay      = "arr_delay"
carrier        = "carrier"
flight         = "flight"
tailnum        = "tailnum"
origin         = "origin"
dest           = "dest"
air_time       = "air_time"
distance       = "distance"
hour           = "hour"
minute         = "minute"
time_hour      = { from = "time_hour", timestamp = "%Y-%m-%dT%H:%M:%SZ" }
"#;

const SAMPLE_COLUMNS: [&str; 12] = [
    "sample",
    "recorded_at",
    "time_text",
    "status",
    "t1_feed",
    "t2_mid",
    "t3_nozzle",
    "t_motor",
    "target_z1",
    "pwr_z1_pct",
    "rpm_main",
    "note",
];

const FLIGHT_COLUMNS: [&str; 19] = [
    "year",
    "month",
    "day",
    "dep_time",
    "sched_dep_time",
    "dep_delay",
    "arr_time",
    "sched_arr_time",
    "arr_delay",
    "carrier",
    "flight",
    "tailnum",
    "origin",
    "dest",
    "air_time",
    "distance",
    "hour",
    "minute",
    "time_hour",
];

/// Departures of a day. Prime, so that every step through a day's numbers meets each of them.
const FLIGHTS_A_DAY: i64 = 919;

/// Writes departures, day after day from the first of January 2013. A number is given once a day;
/// of one in forty rows what happened is `NA`, as the flight did not. Bad rows have text in
/// `distance` or lack the last column.
fn write_flights(path: &Path, rows: u64, bad_ratio: f64) -> Result<Written> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut dice = Dice::new(DEFAULT_SEED, "flights");
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and a million
    let bad_in_a_million = (bad_ratio.clamp(0.0, 1.0) * 1e6).round() as u64;
    let mut written = Written::default();
    let mut day = Date { year: 2013, month: 1, day: 1 };
    writeln!(out, "{}", FLIGHT_COLUMNS.join(","))?;
    let mut number = 0;
    for row in 0..rows {
        if number == FLIGHTS_A_DAY {
            (day, number) = (day.next(), 0);
        }
        let cells = flight(&mut dice, day, number);
        number += 1;
        let bad = dice.below(1_000_000) < bad_in_a_million;
        let line = match (bad, row % 2) {
            (false, _) => {
                written.good += 1;
                cells.join(",")
            }
            (true, 0) => {
                written.bad += 1;
                [&cells[..15], &["far".to_owned()], &cells[16..]].concat().join(",")
            }
            (true, _) => {
                written.bad += 1;
                cells[..18].join(",")
            }
        };
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    written.bytes = fs::metadata(path)?.len();
    Ok(written)
}

fn flight(dice: &mut Dice, day: Date, number: i64) -> [String; 19] {
    let clock = |minutes: i64| {
        let minutes = minutes.rem_euclid(24 * 60);
        (minutes / 60 * 100 + minutes % 60).to_string()
    };
    let departs = 300 + number * 1_130 / FLIGHTS_A_DAY;
    let delay = if dice.one_in(3) { dice.between(1, 180) } else { dice.between(-12, 0) };
    let air_time = dice.between(25, 380);
    let arrives = departs + air_time + 35;
    let arrival_delay = delay + dice.between(-20, 20);
    let happened = |text: String, cancelled: bool| if cancelled { "NA".to_owned() } else { text };
    let cancelled = dice.one_in(40);
    let Date { year, month, day } = day;
    let carriers = ["UA", "B6", "EV", "DL", "AA", "MQ", "US", "9E", "WN", "VX", "FL", "AS", "F9"];
    let places = ["IAH", "MIA", "ORD", "ATL", "LAX", "BOS", "MCO", "CLT", "SFO", "FLL", "DCA"];
    let tail = dice.between(100, 999);
    let carrier = dice.pick(&carriers);
    [
        year.to_string(),
        month.to_string(),
        day.to_string(),
        happened(clock(departs + delay), cancelled),
        clock(departs),
        happened(delay.to_string(), cancelled),
        happened(clock(arrives + arrival_delay), cancelled),
        clock(arrives),
        happened(arrival_delay.to_string(), cancelled),
        (*carrier).to_string(),
        (number * 601 % FLIGHTS_A_DAY + 1).to_string(),
        happened(format!("N{tail}{carrier}"), cancelled && tail % 3 == 0),
        (*dice.pick(&["EWR", "LGA", "JFK"])).to_string(),
        (*dice.pick(&places)).to_string(),
        happened(air_time.to_string(), cancelled),
        (air_time * 7 + dice.between(0, 60)).to_string(),
        (departs / 60).to_string(),
        (departs % 60).to_string(),
        format!("{year:04}-{month:02}-{day:02}T{:02}:00:00Z", departs / 60),
    ]
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Date {
    year: u32,
    month: u32,
    day: u32,
}

impl Date {
    fn next(self) -> Self {
        let Self { year, month, day } = self;
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let last = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        match (month, day) {
            (12, 31) => Self { year: year + 1, month: 1, day: 1 },
            (_, day) if day == last => Self { year, month: month + 1, day: 1 },
            _ => Self { year, month, day: day + 1 },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn flights_have_nineteen_columns_and_a_key_of_three() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("flights.csv");
        let written = write_flights(&path, 5_000, 0.03).unwrap();
        let text = fs::read_to_string(path).unwrap();
        let rows: Vec<Vec<&str>> =
            text.lines().skip(1).map(|line| line.split(',').collect()).collect();
        let good: Vec<_> =
            rows.iter().filter(|cells| cells.len() == 19 && cells[15] != "far").collect();
        assert_eq!((rows.len(), good.len() as u64), (5_000, written.good));
        assert_eq!(written.good + written.bad, 5_000);
        assert!((100..200).contains(&written.bad), "{}", written.bad);
        let keys: BTreeSet<_> = good.iter().map(|cells| (cells[18], cells[9], cells[10])).collect();
        assert_eq!(keys.len(), good.len());
        let missing = good.iter().filter(|cells| cells[3] == "NA").count();
        assert!((50..250).contains(&missing), "{missing}");
    }

    #[test]
    fn days_follow_one_another_over_leap_years() {
        let mut day = Date { year: 2015, month: 12, day: 31 };
        for _ in 0..60 {
            day = day.next();
        }
        assert_eq!(day, Date { year: 2016, month: 2, day: 29 });
        assert_eq!(day.next(), Date { year: 2016, month: 3, day: 1 });
    }
}

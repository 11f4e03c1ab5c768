//! One run's log: rows as the five generations of the logger wrote them, and how to spoil them.

use std::io;

use crate::calendar::Clock;
use crate::{Dice, Folder};

/// What a logger writes, as far as it differs in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Generation {
    /// 1: a bare clock; a value that is missing ends the program.
    Bare,
    /// 2 and 3: the same rows, flushed once a minute.
    Buffered,
    /// 4: missing values are `NAN`, and the status says `_PARTIAL`.
    Marked,
    /// 5: seconds since 1970, and the clock in a column of its own.
    Epoch,
}

const COLUMNS: [&str; 12] = [
    "Timestamp",
    "Status",
    "T1_Feed",
    "T2_Mid",
    "T3_Nozzle",
    "T_Motor",
    "Target_Z1",
    "Target_Z2",
    "Pwr_Z1_%",
    "Pwr_Z2_%",
    "RPM_Main",
    "RPM_Feed",
];

/// A log being made: the rows in memory, as text.
#[derive(Debug)]
pub(super) struct Run {
    name: String,
    generation: Generation,
    columns: Vec<&'static str>,
    header: String,
    rows: Vec<Vec<String>>,
    /// Milliseconds since 1970 of each row, to write the clock anew.
    times: Vec<i64>,
    /// Seconds since 1970 at which the file was last written to.
    modified: i64,
}

impl Run {
    /// A run that begins at `begin`, in milliseconds since 1970, with a row every `period` ms.
    pub(super) fn new(
        seed: u64,
        generation: Generation,
        begin: i64,
        period: i64,
        rows: usize,
    ) -> Self {
        let name = format!("run_{}.csv", Clock::berlin(begin).stamp());
        let mut columns = COLUMNS.to_vec();
        if generation == Generation::Epoch {
            columns.insert(1, "Time_Str");
        }
        let times: Vec<i64> = (0..rows as i64).map(|row| begin + row * period).collect();
        let modified = (begin + rows as i64 * period) / 1000 + 1;
        let mut machine = Machine::new(super::dice(seed, &name), rows);
        let rows = times.iter().map(|_| machine.step(generation)).collect();
        let mut run =
            Self { name, generation, header: columns.join(","), columns, rows, times, modified };
        (0..run.rows.len()).for_each(|row| run.write_clock(row));
        run
    }

    fn write_clock(&mut self, row: usize) {
        let millis = self.times[row];
        let clock = Clock::berlin(millis).time();
        match self.generation {
            Generation::Bare | Generation::Buffered | Generation::Marked => {
                self.rows[row][0] = clock;
            }
            Generation::Epoch => {
                self.rows[row][0] = format!("{}.{:03}", millis / 1000, millis % 1000);
                self.rows[row][1] = clock;
            }
        }
    }

    /// Puts a text, as it shall stand in the file, into a cell; rows count from 0.
    pub(super) fn set(&mut self, row: usize, column: &str, text: &str) {
        let at = self.columns.iter().position(|name| *name == column);
        text.clone_into(&mut self.rows[row][at.expect("a column of this generation")]);
    }

    /// Puts a status into the last rows.
    pub(super) fn end_with(&mut self, status: &str, rows: usize) {
        let count = self.rows.len();
        (count - rows..count).for_each(|row| self.set(row, "Status", status));
    }

    /// Moves the clock by `millis` from a row on.
    pub(super) fn shift_clock_from(&mut self, first: usize, millis: i64) {
        for row in first..self.rows.len() {
            self.times[row] += millis;
            self.write_clock(row);
        }
    }

    /// Leaves a gap of `millis` before a row: what the buffer could not hold is gone.
    pub(super) fn jump_clock_from(&mut self, first: usize, millis: i64) {
        self.shift_clock_from(first, millis);
        self.modified += millis / 1000;
    }

    /// Gives the file another name than its first row would.
    pub(super) fn rename(&mut self, name: &str) {
        name.clone_into(&mut self.name);
    }

    /// Adds a column at the end.
    pub(super) fn add_column(&mut self, name: &'static str, text: impl Fn(usize) -> String) {
        self.columns.push(name);
        self.header = self.columns.join(",");
        self.rows.iter_mut().enumerate().for_each(|(index, row)| row.push(text(index)));
    }

    /// Takes a column out.
    pub(super) fn remove_column(&mut self, name: &str) {
        let at = self.columns.iter().position(|column| *column == name);
        let at = at.expect("a column of this generation");
        self.columns.remove(at);
        self.header = self.columns.join(",");
        self.rows.iter_mut().for_each(|row| {
            row.remove(at);
        });
    }

    /// The header's line, without its end.
    pub(super) fn header(&self) -> &str {
        &self.header
    }

    /// The rows' lines, without their ends.
    pub(super) fn lines(&self) -> Vec<String> {
        self.rows.iter().map(|row| row.join(",")).collect()
    }

    /// The whole file: the csv module of the logger ends lines with CR LF.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.file_of(&self.lines())
    }

    fn file_of(&self, lines: &[String]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in std::iter::once(self.header()).chain(lines.iter().map(String::as_str)) {
            bytes.extend_from_slice(line.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes
    }

    /// Writes the file as it is.
    pub(super) fn write(&self, folder: &Folder) -> io::Result<()> {
        self.write_bytes(folder, &self.bytes())
    }

    /// Writes the header and these lines.
    pub(super) fn write_lines(&self, folder: &Folder, lines: &[String]) -> io::Result<()> {
        self.write_bytes(folder, &self.file_of(lines))
    }

    /// Writes these bytes under the run's name and time.
    pub(super) fn write_bytes(&self, folder: &Folder, bytes: &[u8]) -> io::Result<()> {
        folder.write(&format!("logs/{}", self.name), bytes, self.modified)
    }
}

/// The machine's readings, in hundredths (temperatures) and tenths: integers, so that every
/// platform writes the same digits.
struct Machine {
    dice: Dice,
    rows: i64,
    row: i64,
    temperatures: [i64; 3],
    motor: i64,
    targets: [i64; 2],
}

impl Machine {
    fn new(mut dice: Dice, rows: usize) -> Self {
        let targets = [dice.between(170, 210) * 10, dice.between(190, 230) * 10];
        let temperatures = [
            targets[0] * 10 - dice.between(500, 3000),
            targets[1] * 10 - dice.between(500, 3000),
            targets[1] * 10 - dice.between(100, 2000),
        ];
        let motor = dice.between(220, 350);
        Self { dice, rows: rows as i64, row: 0, temperatures, motor, targets }
    }

    /// Cells of the next row; the clock's are empty.
    fn step(&mut self, generation: Generation) -> Vec<String> {
        let status = self.status();
        let goals = [self.targets[0] * 10, self.targets[1] * 10, self.targets[1] * 10];
        for (reading, goal) in self.temperatures.iter_mut().zip(goals) {
            *reading += (goal - *reading) / 40 + self.dice.between(-12, 12);
        }
        self.motor = (self.motor + self.dice.between(-2, 3)).clamp(200, 800);
        let turning = matches!(status, "RUNNING" | "STOPPING");
        let power = [0, 1].map(|zone| {
            let missing = goals[zone] - self.temperatures[zone];
            (missing / 3 + self.dice.between(100, 400)).clamp(0, 1000)
        });
        let rpm = if turning { 600 + self.dice.between(-5, 5) } else { 0 };
        let feed = if turning { 125 + self.dice.between(-3, 3) } else { 0 };
        self.row += 1;

        let mut cells = vec![String::new()];
        if generation == Generation::Epoch {
            cells.push(String::new());
        }
        cells.push(status.to_owned());
        cells.extend(self.temperatures.map(hundredths));
        cells.push(tenths(self.motor));
        cells.extend(self.targets.map(tenths));
        cells.extend(power.map(tenths));
        cells.extend([rpm, feed].map(raw));
        cells
    }

    fn status(&self) -> &'static str {
        match self.row * 20 / self.rows.max(1) {
            0 => "READY",
            1..=3 => "STARTING",
            4..=16 => "RUNNING",
            17 | 18 => "STOPPING",
            _ => "READY",
        }
    }
}

fn hundredths(value: i64) -> String {
    format!("{}.{:02}", value / 100, value % 100)
}

fn tenths(value: i64) -> String {
    format!("{}.{}", value / 10, value % 10)
}

/// As Python prints what the driver returned: an integer when it stands still.
fn raw(value: i64) -> String {
    if value == 0 { "0".to_owned() } else { tenths(value) }
}

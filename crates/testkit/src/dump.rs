//! SQL dumps: rows in the words of SQLite (`INSERT`) or of PostgreSQL (`COPY … FROM stdin`), to be
//! loaded with `sqlite3` and `psql`.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use crate::Folder;
use crate::calendar::Clock;

/// Whose words a dump speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// One value of a row.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    /// A number as it is to be written.
    Number(String),
    Text(String),
    /// Microseconds since 1970, written as a clock in UTC without a zone.
    Time(i64),
    /// The same, with the zone.
    Instant(i64),
}

impl Cell {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }
}

/// A dump that is being written.
pub(crate) struct Dump {
    engine: Engine,
    out: BufWriter<File>,
    /// `INSERT INTO … VALUES`, and how many rows stand behind it.
    insert: String,
    rows: usize,
}

/// Rows behind one `INSERT`.
const ROWS: usize = 200;

impl Dump {
    /// Begins a file of the folder.
    pub(crate) fn create(folder: &Folder, path: &str, engine: Engine) -> io::Result<Self> {
        let out = BufWriter::new(File::create_new(folder.path(path))?);
        Ok(Self { engine, out, insert: String::new(), rows: 0 })
    }

    /// Statements as they stand.
    pub(crate) fn sql(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }

    /// A table's rows.
    pub(crate) fn table<'a>(
        &mut self,
        name: &str,
        columns: &[&str],
        rows: impl IntoIterator<Item = &'a [Cell]>,
    ) -> io::Result<()> {
        self.begin(name, columns)?;
        for row in rows {
            self.row(row)?;
        }
        self.end()
    }

    /// Begins a table's rows.
    pub(crate) fn begin(&mut self, table: &str, columns: &[&str]) -> io::Result<()> {
        let columns = columns.join(", ");
        match self.engine {
            Engine::Sqlite => {
                self.insert = format!("INSERT INTO {table} ({columns}) VALUES");
                self.rows = 0;
                Ok(())
            }
            Engine::Postgres => writeln!(self.out, "\nCOPY {table} ({columns}) FROM stdin;"),
        }
    }

    /// A row.
    pub(crate) fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        let written: Vec<String> = cells.iter().map(|cell| self.engine.written(cell)).collect();
        if self.engine == Engine::Postgres {
            return writeln!(self.out, "{}", written.join("\t"));
        }
        match self.rows % ROWS {
            0 if self.rows == 0 => write!(self.out, "\n{}\n", self.insert)?,
            0 => write!(self.out, ";\n{}\n", self.insert)?,
            _ => self.out.write_all(b",\n")?,
        }
        self.rows += 1;
        write!(self.out, "({})", written.join(", "))
    }

    /// Ends a table's rows.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        match self.engine {
            Engine::Sqlite if self.rows == 0 => Ok(()),
            Engine::Sqlite => self.out.write_all(b";\n"),
            Engine::Postgres => self.out.write_all(b"\\.\n"),
        }
    }

    /// Ends the file.
    pub(crate) fn close(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Engine {
    fn written(self, cell: &Cell) -> String {
        match (self, cell) {
            (Self::Sqlite, Cell::Null) => "NULL".to_owned(),
            (Self::Postgres, Cell::Null) => "\\N".to_owned(),
            (Self::Sqlite, Cell::Bool(value)) => i32::from(*value).to_string(),
            (Self::Postgres, Cell::Bool(value)) => if *value { "t" } else { "f" }.to_owned(),
            (_, Cell::Int(value)) => value.to_string(),
            (_, Cell::Number(number)) => number.clone(),
            // Its shell drops a carriage return before a line end.
            (Self::Sqlite, Cell::Text(text)) => {
                format!("'{}'", text.replace('\'', "''").replace('\r', "' || char(13) || '"))
            }
            (Self::Postgres, Cell::Text(text)) => text
                .replace('\\', "\\\\")
                .replace('\t', "\\t")
                .replace('\n', "\\n")
                .replace('\r', "\\r"),
            (Self::Sqlite, Cell::Time(at)) => format!("'{}'", clock(*at)),
            (Self::Postgres, Cell::Time(at)) => clock(*at),
            (Self::Sqlite, Cell::Instant(at)) => format!("'{}+00'", clock(*at)),
            (Self::Postgres, Cell::Instant(at)) => format!("{}+00", clock(*at)),
        }
    }
}

/// `YYYY-MM-DD HH:MM:SS.ffffff` in UTC.
fn clock(micros: i64) -> String {
    let clock = Clock::utc(micros.div_euclid(1000));
    let seconds = clock.millis / 1000;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!(
        "{:04}-{:02}-{:02} {hours:02}:{minutes:02}:{:02}.{:06}",
        clock.year,
        clock.month,
        clock.day,
        seconds % 60,
        micros.rem_euclid(1_000_000)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn dumped(engine: Engine, rows: usize) -> String {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::create(dir.path()).unwrap();
        let mut dump = Dump::create(&folder, "x.sql", engine).unwrap();
        let row = [Cell::Int(1), Cell::text("it's\ta \\\r"), Cell::Null, Cell::Bool(true)];
        dump.table("t", &["a", "b", "c", "d"], (0..rows).map(|_| row.as_slice())).unwrap();
        dump.close().unwrap();
        fs::read_to_string(folder.path("x.sql")).unwrap()
    }

    #[test]
    fn sqlite_reads_literals() {
        let wanted =
            "\nINSERT INTO t (a, b, c, d) VALUES\n(1, 'it''s\ta \\' || char(13) || '', NULL, 1);\n";
        assert_eq!(dumped(Engine::Sqlite, 1), wanted);
        assert_eq!(dumped(Engine::Sqlite, ROWS + 1).matches("INSERT").count(), 2);
        assert_eq!(dumped(Engine::Sqlite, 0), "");
    }

    #[test]
    fn postgres_reads_lines_of_cells() {
        let wanted = "\nCOPY t (a, b, c, d) FROM stdin;\n1\tit's\\ta \\\\\\r\t\\N\tt\n\\.\n";
        assert_eq!(dumped(Engine::Postgres, 1), wanted);
    }

    #[test]
    fn a_clock_has_six_digits() {
        assert_eq!(clock(0), "1970-01-01 00:00:00.000000");
        assert_eq!(clock(1_719_835_199_999_999), "2024-07-01 11:59:59.999999");
    }
}

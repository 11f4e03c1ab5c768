//! One record by itself, read with the columns and the dialect of a file that it does not stand in.

use whimbrel_model::{Defect, Position};

use super::{CsvReader, CsvRecord, Mode, Step, Taken};
use crate::codes;
use crate::input::{Input, ReadError};

impl CsvReader {
    /// The only record of `input`, which is whole in memory; a defect where it holds none, or more.
    /// It stands at `position` and its bytes are `raw`. The file that gave the columns is closed.
    pub(crate) fn alone<'a>(
        &'a mut self,
        input: Input,
        position: Position,
        raw: &'a [u8],
    ) -> Result<CsvRecord<'a>, ReadError> {
        let nothing = input.unread().is_empty();
        (self.input, self.mode) = (input, Mode::Records);
        let rejected = |defect| CsvRecord::rejected(position, raw, defect, true);
        Ok(match self.step()? {
            // Records come without their line end: of an empty line nothing is left.
            Step::End if nothing && self.columns.len() == 1 => {
                let taken = self.empty_line();
                CsvRecord { position, raw, ..self.lend(&taken) }
            }
            Step::End => rejected(not_one_record(NO_RECORD)),
            Step::Record(_) if self.more() => rejected(not_one_record(MORE_THAN_ONE)),
            Step::Record(taken) => CsvRecord { position, raw, ..self.lend(&taken) },
            Step::Rejected(_, defect) => rejected(defect),
        })
    }

    fn empty_line(&mut self) -> Taken {
        self.scan();
        Taken { fields: 1, ..self.take(0, 0, 0) }
    }

    /// Whether anything but blank lines and comments follows.
    fn more(&self) -> bool {
        let mut rest = self.input.unread();
        while let Some(first) = rest.first() {
            let blank = matches!(first, b'\n' | b'\r') && self.columns.len() != 1;
            if !blank && self.options.comment != Some(*first) {
                return true;
            }
            let length = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            let end = if rest[length..].starts_with(b"\r\n") { 2 } else { 1 };
            rest = &rest[(length + end).min(rest.len())..];
        }
        false
    }
}

/// Of bytes that were to be one record and are none.
pub(crate) const NO_RECORD: &str = "there is no record";

/// Of bytes that were to be one record and are more.
pub(crate) const MORE_THAN_ONE: &str = "more follows after the first record";

#[cold]
pub(crate) fn not_one_record(found: &str) -> Defect {
    Defect { code: codes::NOT_ONE_RECORD, column: 0, message: found.to_owned() }
}

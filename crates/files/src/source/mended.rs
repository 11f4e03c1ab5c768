//! Records of bytes that a person has mended, each by itself, as if it stood in the file.

use std::collections::BTreeSet;

use whimbrel_endpoint::EndpointError;
use whimbrel_model::{Field, Position, SourceChunk, SourceMark};

use super::fields::{CsvFields, TreeFields};
use super::reader::{Out, Records};
use super::{FileSource, not_read};
use crate::encoding::Encoding;
use crate::input::{Input, ReadError};
use crate::json::value_alone;
use crate::jsonl::line_alone;
use crate::text::read_whole;

impl FileSource {
    /// See [`whimbrel_endpoint::Source::parse`].
    pub(super) fn mended(
        &self,
        path: &str,
        fields: &[Field],
        records: &[(Position, Vec<u8>)],
    ) -> Result<SourceChunk, EndpointError> {
        let marks = self.own_marks(path, records)?;
        let (input, ..) = self.input(path)?;
        let encoding = input.encoding();
        let alone = |position: Position, bytes: &[u8]| {
            Input::alone(bytes, encoding, position.line, marks.contains(&position.byte))
        };
        let reader = self.records(input, path)?;
        let out = self.each_alone(reader, fields, records, alone);
        Ok(out.map_err(|error| not_read(path, &error))?.finish(SourceMark::default()))
    }

    fn each_alone(
        &self,
        reader: Records,
        fields: &[Field],
        records: &[(Position, Vec<u8>)],
        alone: impl Fn(Position, &[u8]) -> Input,
    ) -> Result<Out, ReadError> {
        let max = self.options.record_bytes_max;
        let mut out = Out::new(fields.len(), records.len(), 0);
        let mut tree = TreeFields::new(fields);
        match reader {
            Records::Csv(mut reader) => {
                let mut fields = CsvFields::new(fields, reader.columns(), &self.options);
                for (position, bytes) in records {
                    let input = alone(*position, bytes);
                    out.push_csv(reader.alone(input, *position, bytes)?, &mut fields);
                }
            }
            Records::Json(mut reader) => {
                let first = records.iter().any(|(position, _)| position.record == 1);
                let is_document = first && !reader.is_array()?;
                for (position, bytes) in records {
                    let input = alone(*position, bytes);
                    if is_document && position.record == 1 {
                        let again = alone(*position, bytes);
                        let record = reader.document_alone([input, again], *position, bytes)?;
                        out.push_json(record, &mut tree);
                    } else {
                        out.push_json(value_alone(&input, *position, bytes, max), &mut tree);
                    }
                }
            }
            Records::Lines(_) => {
                for (position, bytes) in records {
                    let input = alone(*position, bytes);
                    out.push_json(line_alone(&input, *position, bytes, max), &mut tree);
                }
            }
            Records::Whole(whole) => {
                for (position, bytes) in records {
                    let mut file = read_whole(alone(*position, bytes), max)?;
                    (file.position, file.raw) = (*position, bytes.clone());
                    out.push_whole(file, whole.markdown, &mut tree);
                }
            }
        }
        Ok(out)
    }

    /// Where records begin with a byte order mark of their own, as where files were put together:
    /// any other was put there by an editor.
    fn own_marks(
        &self,
        path: &str,
        records: &[(Position, Vec<u8>)],
    ) -> Result<BTreeSet<u64>, EndpointError> {
        let marked = records.iter().filter_map(|(position, bytes)| {
            let (_, length) = Encoding::from_mark(bytes)?;
            Some((position.byte, &bytes[..length]))
        });
        let marked: BTreeSet<(u64, &[u8])> = marked.collect();
        if marked.is_empty() {
            return Ok(BTreeSet::new());
        }
        let file = Input::undecoded(self.unpacked(path)?.from);
        own_marks(file, marked).map_err(|error| not_read(path, &error))
    }
}

fn own_marks(mut file: Input, marked: BTreeSet<(u64, &[u8])>) -> Result<BTreeSet<u64>, ReadError> {
    let mut own = BTreeSet::new();
    for (byte, mark) in marked {
        if !file.skip_to(byte, 1)? {
            break;
        }
        file.fill(mark.len())?;
        if file.unread().starts_with(mark) {
            own.insert(byte);
        }
    }
    Ok(own)
}

#[cfg(test)]
mod tests;

//! Which cells of a CSV record stand in quotes: what a reader that yields text alone cannot say.

use crate::column::CellNote;

/// A note per cell of a record's original bytes, as RFC 4180 reads them. `out` is overwritten.
///
/// UTF-16 is read without its zero bytes, which is right wherever delimiters and quotes are ASCII.
pub fn notes(raw: &[u8], delimiter: u8, out: &mut Vec<CellNote>) {
    out.clear();
    let wide = raw.len() >= 2 && (raw[0] == 0 || raw[1] == 0);
    let mut bytes = raw.iter().copied().filter(|byte| !wide || *byte != 0).peekable();
    let mut at_start = true;
    let mut quoted = false;
    let mut note = CellNote::Plain;
    while let Some(byte) = bytes.next() {
        if quoted {
            if byte == b'"' && bytes.next_if_eq(&b'"').is_none() {
                quoted = false;
            }
        } else if byte == b'"' && at_start {
            quoted = true;
            note = CellNote::Quoted;
        } else if byte == delimiter {
            out.push(note);
            note = CellNote::Plain;
            at_start = true;
            continue;
        }
        at_start = false;
    }
    out.push(note);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &[u8], wanted: &str) {
        let mut out = Vec::new();
        notes(raw, b',', &mut out);
        let told: String = out
            .iter()
            .map(|note| match note {
                CellNote::Plain => '.',
                CellNote::Quoted => 'q',
            })
            .collect();
        assert_eq!(told, wanted, "{}", String::from_utf8_lossy(raw));
    }

    #[test]
    fn empty_and_quoted_empty_cells_are_told_apart() {
        check(b",\"\",NA,\"NA\"", ".q.q");
        check(b"", ".");
        check(b"\"\"", "q");
    }

    #[test]
    fn delimiters_and_quotes_within_quotes_do_not_count() {
        check(b"\"a,b\",\"say \"\"hi\"\"\",c", "qq.");
        check(b"a\"b,c", "..");
        check(b"\"x\ny\",1", "q.");
    }

    #[test]
    fn utf_16_is_read_by_its_ascii() {
        check(b"\"\0\"\0,\0a\0", "q.");
    }
}

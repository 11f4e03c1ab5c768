//! A profile for people: [`text`] for a terminal, [`html`] as one offline page.

mod database;
mod html;
mod text;

pub use html::html;
pub use text::{Look, text};

use crate::profile::ColumnProfile;
use crate::shown;

/// `0..99`, `2024-01-01..2024-12-31`, `3..40 characters`; empty where nothing has a range.
fn range(column: &ColumnProfile) -> String {
    match (&column.min, &column.max, column.chars_min, column.chars_max) {
        (Some(min), Some(max), _, _) if min == max => min.clone(),
        (Some(min), Some(max), _, _) => format!("{min}..{max}"),
        (_, _, Some(min), Some(max)) if min == max => {
            shown::counted(min, "character", "characters")
        }
        (_, _, Some(min), Some(max)) => format!("{min}..{max} characters"),
        (_, _, _, _) => String::new(),
    }
}

/// Values that are NULL or would be, of all records.
pub(crate) fn missing(column: &ColumnProfile) -> u64 {
    let declared = |what: &String| column.null.contains(what);
    let marked: u64 =
        column.markers.iter().filter(|one| declared(&one.what)).map(|one| one.count).sum();
    column.absent + column.nulls + marked
}

fn distinct(column: &ColumnProfile) -> String {
    let about = if column.distinct_exact { "" } else { "~" };
    format!("{about}{}", shown::count(column.distinct))
}

/// What to know about a column, without any value of it.
fn remarks(column: &ColumnProfile) -> Vec<String> {
    let mut out = column.notes.clone();
    let mut count = |number: u64, what: &str| {
        if number > 0 {
            out.push(format!("{} {what}", shown::counted(number, "value", "values")));
        }
    };
    count(column.leading_zeros, "with leading zeros");
    count(column.blank, "of blanks alone");
    count(column.padded - column.blank, "with blanks at an end");
    count(column.multi_line, "of several lines");
    count(column.controls, "with control characters");
    count(column.nul, "with U+0000");
    out
}

/// Why the column is not what most of its values are.
fn doubt(column: &ColumnProfile, with_value: bool) -> Option<String> {
    let doubt = column.doubt.as_ref()?;
    let value = if with_value { format!("`{}` ", doubt.value) } else { "the value ".to_owned() };
    Some(format!(
        "{} of {} are {}; {value}at {} {}",
        shown::count(doubt.fits),
        shown::count(doubt.of),
        doubt.almost,
        doubt.place,
        doubt.reason
    ))
}

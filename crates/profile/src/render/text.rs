//! The profile as text: one line per column, with a small histogram.

use std::fmt::Write as _;

use super::database;
use crate::database::TableProfile;
use crate::profile::{Anomaly, ColumnProfile, KeyProfile, Profile, SourceProfile};
use crate::shown::{self, counted, percent};

/// How the text looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Look {
    /// Characters in a line; lines of values and reasons may be longer.
    pub width: usize,
    /// Nothing but ASCII of our own; legacy text keeps its letters.
    pub ascii: bool,
    /// Show frequent values, which are legacy data.
    pub values: bool,
}

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const SHADES: [char; 8] = ['.', ':', '-', '=', '+', '*', '#', '@'];

/// The whole profile; the last line says what to do next.
pub fn text(profile: &Profile, look: Look) -> String {
    let mut out = String::new();
    let totals = &profile.totals;
    let whole = match &profile.database {
        Some(one) => database::whole(one, profile),
        None => format!(
            "{}, {}, {}",
            counted(totals.files, "file", "files"),
            shown::bytes(totals.bytes),
            counted(totals.records, "record", "records"),
        ),
    };
    line(&mut out, format!("{}: {whole}", profile.folder));
    for anomaly in profile.database.iter().flat_map(|one| &one.anomalies) {
        line(&mut out, format!("  !    {}", anomaly_text(anomaly)));
    }
    for source in &profile.sources {
        source_text(&mut out, source, look);
    }
    leftovers(&mut out, profile);
    if let Some(left) = profile.database.as_ref().and_then(database::left_out) {
        line(&mut out, format!("\nNot read: {left}"));
    }
    estimate(&mut out, profile);
    let next = if profile.folder.contains("***") {
        "URL, with the same URL".to_owned()
    } else {
        shown::argument(&profile.folder)
    };
    line(&mut out, format!("\nNext: whimbrel init {next}"));
    out
}

fn line(out: &mut String, text: impl AsRef<str>) {
    out.push_str(text.as_ref());
    out.push('\n');
}

fn source_text(out: &mut String, source: &SourceProfile, look: Look) {
    if let Some(table) = &source.table {
        table_text(out, source, table, look);
        return;
    }
    let totals = &source.totals;
    let globs: Vec<String> =
        source.globs.iter().take(4).map(|glob| shown::shown(glob, 80)).collect();
    let more = source.globs.len().saturating_sub(globs.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    line(out, format!("\n{}  {} {}{more}", source.name, source.format.key(), globs.join(", ")));
    let mut facts = vec![
        counted(totals.files, "file", "files"),
        shown::bytes(totals.bytes),
        counted(totals.records, "record", "records"),
    ];
    if totals.defects > 0 {
        facts.push(format!("{} of them defective", shown::count(totals.defects)));
    }
    let formats = source.formats.iter().take(3).map(|format| format.what.clone());
    facts.extend(formats.filter(|format| !format.is_empty()));
    line(out, format!("  {}", facts.join(", ")));
    for generation in source.generations.iter().filter(|_| source.generations.len() > 1) {
        line(
            out,
            format!(
                "  header of {} in {}, first in {}",
                counted(generation.columns.len() as u64, "column", "columns"),
                counted(generation.files, "file", "files"),
                generation.first
            ),
        );
    }
    columns(out, source, look);
    for key in &source.keys {
        line(out, format!("  key  {}", key_text(key)));
    }
    for anomaly in &source.anomalies {
        line(out, format!("  !    {}", anomaly_text(anomaly)));
    }
}

fn table_text(out: &mut String, source: &SourceProfile, table: &TableProfile, look: Look) {
    line(out, format!("\n{}", shown::shown(&table.name, 100)));
    line(out, format!("  {}", database::table(table)));
    columns(out, source, look);
    for reference in &table.references {
        line(out, format!("  ref  {}", database::reference(reference)));
    }
    for anomaly in &source.anomalies {
        line(out, format!("  !    {}", anomaly_text(anomaly)));
    }
}

fn columns(out: &mut String, source: &SourceProfile, look: Look) {
    if source.columns.is_empty() {
        return;
    }
    let name_width =
        widest(source, 12, 28, |column| shown::shown(&column.name, 28).chars().count());
    let kind_width = widest(source, 7, 14, |column| column.kind.len());
    let bars = if look.width >= 100 { 24 } else { 12 };
    for column in &source.columns {
        let name = shown::shown(&column.name, name_width - 1);
        let bar = histogram(&column.histogram, bars, look.ascii);
        let mut text = format!("  {name:<name_width$} {:<kind_width$} {bar:<bars$}", column.kind);
        let range = super::range(column);
        if !range.is_empty() {
            write!(text, " {range}").expect("a String takes every character");
        }
        let missing = super::missing(column);
        if missing > 0 {
            write!(text, " null {}", percent(missing, column.records))
                .expect("a String takes every character");
        }
        write!(text, " distinct {}", super::distinct(column))
            .expect("a String takes every character");
        line(out, text.trim_end());
        if let Some(declared) = database::declared(source.table.as_ref(), column) {
            line(out, format!("{:indent$}{declared}", "", indent = name_width + 3));
        }
        below(out, column, look, name_width + 3);
    }
}

fn below(out: &mut String, column: &ColumnProfile, look: Look, indent: usize) {
    let mut remarks = super::remarks(column);
    remarks.extend(super::doubt(column, look.values));
    if !column.null.is_empty() {
        let spellings: Vec<String> = column.null.iter().map(|null| format!("`{null}`")).collect();
        remarks.push(format!("NULL is written {}", spellings.join(", ")));
    }
    if let Some(format) = column.timestamp {
        remarks.push(format!("written as `{format}`"));
    }
    if look.values
        && column.distinct <= 10
        && column.distinct > 0
        && column.chars_max.unwrap_or(0) <= 60
    {
        let present = column.records - column.nulls - column.absent;
        let values =
            column.top.iter().map(|top| format!("`{}` {}", top.value, percent(top.count, present)));
        remarks.push(values.collect::<Vec<_>>().join(", "));
    }
    for remark in remarks {
        line(out, format!("{:indent$}{remark}", ""));
    }
}

fn widest(
    source: &SourceProfile,
    least: usize,
    most: usize,
    of: impl Fn(&ColumnProfile) -> usize,
) -> usize {
    source.columns.iter().map(of).max().unwrap_or(0).clamp(least, most)
}

/// One character per part; an empty part is blank.
fn histogram(counts: &[u64], parts: usize, ascii: bool) -> String {
    if counts.iter().sum::<u64>() == 0 {
        return String::new();
    }
    let per = (counts.len() / parts).max(1);
    let sums: Vec<u64> = counts.chunks(per).map(|part| part.iter().sum()).collect();
    let most = sums.iter().copied().max().unwrap_or(1).max(1);
    let letters = if ascii { SHADES } else { BLOCKS };
    let letter = |count: &u64| match count {
        0 => ' ',
        count => letters[((count * 8).div_ceil(most) as usize).clamp(1, 8) - 1],
    };
    sums.iter().map(letter).collect()
}

fn key_text(key: &KeyProfile) -> String {
    let column = shown::shown(&key.column, 60);
    if key.unique {
        format!("`{column}`: a different value in every record")
    } else if key.checked {
        let first = key.first_repeat.as_deref().unwrap_or("");
        format!(
            "`{column}`: {} repeat, the first at {first}",
            counted(key.repeats, "value", "values")
        )
    } else {
        format!("`{column}`: not checked to the end")
    }
}

fn anomaly_text(anomaly: &Anomaly) -> String {
    let first = anomaly.first.as_ref().map(|first| format!("; first: {first}")).unwrap_or_default();
    format!("{} {}{first}", anomaly.code, anomaly.message)
}

fn leftovers(out: &mut String, profile: &Profile) {
    const SHOWN: usize = 20;
    if profile.leftovers.is_empty() {
        return;
    }
    let count = profile.leftovers.len();
    line(out, format!("\nNot read: {}", counted(count as u64, "file", "files")));
    for leftover in profile.leftovers.iter().take(SHOWN) {
        line(out, format!("  {}: {}", leftover.path, leftover.reason));
    }
    if count > SHOWN {
        line(out, format!("  and {} more", count - SHOWN));
    }
}

fn estimate(out: &mut String, profile: &Profile) {
    let estimate = &profile.estimate;
    line(
        out,
        format!(
            "\nA load would write about {} and {}",
            counted(estimate.rows, "row", "rows"),
            shown::bytes(estimate.target_bytes)
        ),
    );
    if estimate.records_per_second > 0.0 {
        line(
            out,
            format!(
                "in {} at {} records/s ({})",
                shown::seconds(estimate.load_seconds),
                shown::count(estimate.records_per_second as u64),
                estimate.basis
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_has_a_character_per_part() {
        assert_eq!(histogram(&[0, 1, 4, 8], 4, false), " ▁▄█");
        assert_eq!(histogram(&[0, 1, 4, 8], 4, true), " .=@");
        assert_eq!(histogram(&[0, 0], 4, true), "");
        assert_eq!(histogram(&[u64::from(u32::MAX), 1], 2, false), "█▁");
    }
}

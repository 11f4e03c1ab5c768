//! The profile as one HTML page: no script, no request, no legacy values unless asked for.

use std::fmt::Write as _;

use super::database;
use crate::profile::{ColumnProfile, Profile, SourceProfile};
use crate::shown::{self, counted, html as escaped, percent};

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1a1c20;--soft:#5c6470;--line:#d8dce2;--paper:#fff;--bar:#2f6fb3;--warn:#9a5b00}\
@media(prefers-color-scheme:dark){:root{--ink:#e7e9ec;--soft:#a3abb6;--line:#3a4048;--paper:#15181c;--bar:#6aa9e9;--warn:#e6a23c}}\
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:2rem auto;max-width:76rem;padding:0 1rem}\
h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2.5rem;border-top:1px solid var(--line);padding-top:1rem}\
p{margin:.3rem 0}.soft{color:var(--soft)}.warn{color:var(--warn)}\
table{border-collapse:collapse;width:100%;margin:1rem 0}\
th,td{text-align:left;vertical-align:top;padding:.25rem .8rem .25rem 0;border-bottom:1px solid var(--line)}\
th{font-weight:600}td.n{text-align:right;font-variant-numeric:tabular-nums}\
td.r{overflow-wrap:anywhere}code{font:13px ui-monospace,monospace}\
svg{display:block;width:120px;height:28px}path{fill:var(--bar)}\
@media print{body{margin:0;max-width:none}}";

/// The page. With `include_values`, frequent values and the values that broke a kind stand in it:
/// they are legacy data, bounded and escaped.
pub fn html(profile: &Profile, include_values: bool) -> String {
    let mut out = String::with_capacity(64 << 10);
    let title = format!("Profile of {}", escaped(&profile.folder));
    write(
        &mut out,
        format_args!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>"
        ),
    );
    overview(&mut out, profile);
    for source in &profile.sources {
        source_html(&mut out, source, include_values);
    }
    leftovers(&mut out, profile);
    out.push_str("</body></html>\n");
    out
}

fn write(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes every character");
}

fn overview(out: &mut String, profile: &Profile) {
    let (totals, estimate) = (&profile.totals, &profile.estimate);
    match &profile.database {
        Some(one) => {
            write(out, format_args!("<p>{}.</p>", escaped(&database::whole(one, profile))));
            for anomaly in &one.anomalies {
                let message = escaped(&anomaly.message);
                write(
                    out,
                    format_args!("<p class=\"warn\">&#9888; {} {message}</p>", anomaly.code),
                );
            }
            if let Some(left) = database::left_out(one) {
                write(out, format_args!("<p>Not read: {}.</p>", escaped(&left)));
            }
        }
        None => write(
            out,
            format_args!(
                "<p>{}, {}, {}, {} defective.</p>",
                counted(totals.files, "file", "files"),
                shown::bytes(totals.bytes),
                counted(totals.records, "record", "records"),
                shown::count(totals.defects),
            ),
        ),
    }
    write(
        out,
        format_args!(
            "<p>A load would write about {} and {}",
            counted(estimate.rows, "row", "rows"),
            shown::bytes(estimate.target_bytes),
        ),
    );
    if estimate.records_per_second > 0.0 {
        write(
            out,
            format_args!(
                " in {} at {} records/s <span class=\"soft\">({})</span>",
                shown::seconds(estimate.load_seconds),
                shown::count(estimate.records_per_second as u64),
                escaped(&estimate.basis)
            ),
        );
    }
    out.push_str(".</p>");
}

fn source_html(out: &mut String, source: &SourceProfile, include_values: bool) {
    if let Some(table) = &source.table {
        write(
            out,
            format_args!(
                "<h2>{}</h2><p>{}</p>",
                escaped(&shown::shown(&table.name, 100)),
                escaped(&database::table(table))
            ),
        );
        if !table.references.is_empty() {
            out.push_str("<ul>");
            for reference in &table.references {
                let reference = escaped(&database::reference(reference));
                write(out, format_args!("<li><code>{reference}</code></li>"));
            }
            out.push_str("</ul>");
        }
        notes(out, source);
        columns(out, source, include_values);
        return;
    }
    let totals = &source.totals;
    let globs: Vec<String> = source
        .globs
        .iter()
        .take(20)
        .map(|glob| format!("<code>{}</code>", escaped(&shown::shown(glob, 120))))
        .collect();
    write(
        out,
        format_args!(
            "<h2>{} <span class=\"soft\">{}</span></h2><p>{}</p><p>{}, {}, {}, {} defective.</p>",
            escaped(&source.name),
            source.format.key(),
            globs.join(", "),
            counted(totals.files, "file", "files"),
            shown::bytes(totals.bytes),
            counted(totals.records, "record", "records"),
            shown::count(totals.defects)
        ),
    );
    let formats: Vec<String> = source
        .formats
        .iter()
        .take(10)
        .map(|one| format!("{} ({})", escaped(&one.what), counted(one.count, "file", "files")))
        .collect();
    if !formats.is_empty() {
        write(out, format_args!("<p class=\"soft\">{}</p>", formats.join("; ")));
    }
    if source.generations.len() > 1 {
        out.push_str("<ul>");
        for generation in source.generations.iter().take(50) {
            write(
                out,
                format_args!(
                    "<li>header of {} in {}, first in {}</li>",
                    counted(generation.columns.len() as u64, "column", "columns"),
                    counted(generation.files, "file", "files"),
                    escaped(&generation.first)
                ),
            );
        }
        out.push_str("</ul>");
    }
    notes(out, source);
    columns(out, source, include_values);
}

fn notes(out: &mut String, source: &SourceProfile) {
    if source.anomalies.is_empty() && source.keys.is_empty() {
        return;
    }
    out.push_str("<ul>");
    for key in source.keys.iter().filter(|key| key.unique) {
        write(
            out,
            format_args!(
                "<li><code>{}</code> has a different value in every record</li>",
                escaped(&shown::shown(&key.column, 60))
            ),
        );
    }
    for anomaly in source.anomalies.iter().take(500) {
        let first = anomaly
            .first
            .as_ref()
            .map(|first| format!(" <span class=\"soft\">first: {}</span>", escaped(first)));
        write(
            out,
            format_args!(
                "<li class=\"warn\">&#9888; {} {}{}</li>",
                anomaly.code,
                escaped(&anomaly.message),
                first.unwrap_or_default()
            ),
        );
    }
    out.push_str("</ul>");
}

fn columns(out: &mut String, source: &SourceProfile, include_values: bool) {
    if source.columns.is_empty() {
        return;
    }
    out.push_str(
        "<table><thead><tr><th scope=\"col\">Column</th><th scope=\"col\">Kind</th>\
         <th scope=\"col\">Histogram</th><th scope=\"col\">Range</th><th scope=\"col\">NULL</th>\
         <th scope=\"col\">Different</th><th scope=\"col\">Remarks</th></tr></thead><tbody>",
    );
    for column in &source.columns {
        write(
            out,
            format_args!(
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td class=\"r\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"r\">{}</td></tr>",
                escaped(&shown::shown(&column.name, 60)),
                column.kind,
                histogram(column),
                escaped(&super::range(column)),
                percent(super::missing(column), column.records),
                super::distinct(column),
                remarks(source, column, include_values)
            ),
        );
    }
    out.push_str("</tbody></table>");
}

fn remarks(source: &SourceProfile, column: &ColumnProfile, include_values: bool) -> String {
    let mut remarks: Vec<String> =
        database::declared(source.table.as_ref(), column).into_iter().collect();
    remarks.extend(super::remarks(column));
    if let Some(format) = column.timestamp {
        remarks.push(format!("written as `{format}`"));
    }
    remarks.extend(super::doubt(column, include_values));
    if include_values && !column.top.is_empty() {
        let top =
            column.top.iter().map(|top| format!("`{}` {}", top.value, shown::count(top.count)));
        remarks.push(top.collect::<Vec<_>>().join(", "));
    }
    remarks.iter().map(|remark| escaped(remark)).collect::<Vec<_>>().join("; ")
}

/// 24 bars of at most 28 pixels as one path: about 300 bytes.
fn histogram(column: &ColumnProfile) -> String {
    let most = column.histogram.iter().copied().max().unwrap_or(0);
    if most == 0 {
        return String::new();
    }
    let mut path = String::new();
    for (at, count) in column.histogram.iter().enumerate().filter(|(_, count)| **count > 0) {
        let height = (count * 28).div_ceil(most).max(1);
        write(&mut path, format_args!("M{} 28v-{height}h4v{height}z", at * 5));
    }
    format!(
        "<svg viewBox=\"0 0 120 28\" role=\"img\"><title>{} in 24 parts, at most {}</title><path d=\"{path}\"/></svg>",
        column.histogram_of,
        shown::count(most)
    )
}

fn leftovers(out: &mut String, profile: &Profile) {
    const SHOWN: usize = 500;
    if profile.leftovers.is_empty() {
        return;
    }
    out.push_str("<h2>Not read</h2><ul>");
    for leftover in profile.leftovers.iter().take(SHOWN) {
        write(
            out,
            format_args!(
                "<li><code>{}</code>: {}</li>",
                escaped(&leftover.path),
                escaped(&leftover.reason)
            ),
        );
    }
    if profile.leftovers.len() > SHOWN {
        write(out, format_args!("<li>and {} more</li>", profile.leftovers.len() - SHOWN));
    }
    out.push_str("</ul>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::Leftover;
    use crate::profile::{DoubtProfile, Estimate, SCHEMA, TopValue, Totals};
    use crate::sniff::Format;

    fn column(name: &str) -> ColumnProfile {
        ColumnProfile {
            name: name.to_owned(),
            kind: "text".to_owned(),
            timestamp: None,
            words: None,
            null: vec!["NA".to_owned()],
            notes: vec!["always 2 decimals: `decimal(4,2)` would keep the digits too".to_owned()],
            doubt: Some(DoubtProfile {
                almost: "integers".to_owned(),
                kind: "integer".to_owned(),
                timestamp: None,
                fits: 99_999,
                of: 100_000,
                reason: "has a leading zero",
                place: "folder/some_file_20240101.csv:4711".to_owned(),
                value: "<script>secret</script>".to_owned(),
            }),
            records: 100_000,
            absent: 0,
            nulls: 5,
            markers: Vec::new(),
            distinct: 5_000,
            distinct_exact: false,
            min: Some("-12345.678".to_owned()),
            max: Some("12345.678".to_owned()),
            chars_min: Some(1),
            chars_max: Some(40),
            histogram_of: "values",
            histogram: (1..=24).map(|part| part * 997).collect(),
            top: vec![TopValue { value: "secret".to_owned(), count: 7, error: 0 }],
            beyond_double: 0,
            leading_zeros: 1,
            blank: 0,
            padded: 3,
            multi_line: 0,
            controls: 0,
            nul: 0,
            first_nul: None,
            bytes_mean: 5.0,
        }
    }

    fn profile(columns: usize) -> Profile {
        let source = SourceProfile {
            name: "wide".to_owned(),
            format: Format::Csv { delimiter: ',', header: true },
            globs: vec!["<b>.csv".to_owned()],
            exclude: Vec::new(),
            ignore_case: false,
            hidden: false,
            encoding: None,
            names: None,
            totals: Totals { files: 1, bytes: 5_000_000, records: 100_000, defects: 0 },
            lines: 100_001,
            formats: Vec::new(),
            headerless: 0,
            generations: Vec::new(),
            columns: (0..columns).map(|at| column(&format!("Some_Column_<{at}>"))).collect(),
            keys: Vec::new(),
            anomalies: Vec::new(),
            table: None,
        };
        Profile {
            schema: SCHEMA,
            folder: "<img src=x>".to_owned(),
            sources: vec![source],
            leftovers: vec![Leftover {
                path: "<i>".to_owned(),
                size: 1,
                reason: "it is a PDF document".to_owned(),
            }],
            totals: Totals::default(),
            estimate: Estimate {
                rows: 1,
                target_bytes: 1,
                read_seconds: 1.0,
                records_per_second: 1.0,
                load_seconds: 1.0,
                basis: String::new(),
            },
            database: None,
        }
    }

    #[test]
    fn seventeen_hundred_columns_stay_below_two_megabytes() {
        let page = html(&profile(1_700), false);
        assert!(page.len() < 2_000_000, "{}", page.len());
    }

    #[test]
    fn a_histogram_takes_less_than_seven_hundred_bytes() {
        let picture = histogram(&column("a"));
        assert!(picture.len() < 700, "{}", picture.len());
    }

    #[test]
    fn values_stand_in_the_page_only_where_asked_for() {
        assert!(!html(&profile(1), false).contains("secret"));
        let page = html(&profile(1), true);
        assert!(page.contains("secret") && !page.contains("<script"), "{page}");
    }

    #[test]
    fn names_from_legacy_data_are_escaped() {
        let page = html(&profile(1), false);
        for hostile in ["<img", "<b>", "<i>", "<0>"] {
            assert!(!page.contains(hostile), "{hostile}");
        }
    }

    #[test]
    fn the_page_asks_nobody_for_anything() {
        let page = html(&profile(3), true);
        for word in ["http:", "https:", "src=\"", "<script", "@import", "url("] {
            assert!(!page.contains(word), "{word}");
        }
    }
}

//! A catalogue as text, for tests.

use std::fmt::Write as _;

use whimbrel_model::catalogue::Catalogue;

pub(crate) fn told(catalogue: &Catalogue) -> String {
    let mut out = String::new();
    for table in &catalogue.tables {
        write!(out, "{}: {:?}, key {:?}", table.name, table.rows, table.key).unwrap();
        if !table.uniques.is_empty() || table.partial_uniques > 0 {
            write!(out, ", unique {:?} and {}", table.uniques, table.partial_uniques).unwrap();
        }
        if table.checks + table.triggers + table.null_keys > 0 {
            let counts = (table.checks, table.triggers, table.null_keys);
            write!(out, ", checks, triggers, NULL keys {counts:?}").unwrap();
        }
        out.push('\n');
        for column in &table.columns {
            let null = if column.nullable { "" } else { " not null" };
            write!(
                out,
                "  {} {:?} {}{null} {:?}",
                column.name,
                column.declared,
                column.kind.name(),
                column.filled
            )
            .unwrap();
            write!(out, " nulls {} chars {:?}", column.nulls, column.chars_max).unwrap();
            if let Some(default) = &column.default {
                write!(out, " default {default}").unwrap();
            }
            if !column.odd.is_empty() {
                write!(out, " {:?}", column.odd).unwrap();
            }
            out.push('\n');
        }
        for one in &table.references {
            let guessed = if one.guessed { "?" } else { "" };
            writeln!(
                out,
                "  {:?} ->{guessed} {} {:?}: {:?}",
                one.columns, one.parent, one.parent_columns, one.orphans
            )
            .unwrap();
        }
    }
    for circle in &catalogue.circles {
        writeln!(out, "circle {circle:?}").unwrap();
    }
    for left in &catalogue.left_out {
        writeln!(out, "left out: {} {}", left.what, left.name).unwrap();
    }
    out
}

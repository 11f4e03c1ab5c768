//! What of a rule can be wrong before any row is read: names that lead nowhere, CEL that is none.

use std::ops::Range;

use whimbrel_cel::{Mistake, Name, Program, Unknown};
use whimbrel_model::plan::{Asks, At, Check, PlanError, Span, did_you_mean};

use super::shown;
use crate::codes;

/// The columns that a table or a source has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Known {
    /// Their names.
    pub names: Vec<String>,
    /// False where there may be others (JSON).
    pub closed: bool,
}

/// A compiled expression and the columns that it looks at.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) program: Program<usize>,
    pub(super) wanted: Vec<String>,
}

/// Every mistake of a rule about rows, against the columns that there are.
pub fn look_over(check: &Check, known: &Known) -> Vec<PlanError> {
    match &check.asks {
        Asks::Rows { cel, .. } => compile(cel, known).err().unwrap_or_default(),
        Asks::Ready { ready, .. } => {
            let columns = ready.columns();
            columns.into_iter().filter_map(|column| unknown(column, known)).collect()
        }
        Asks::Sql(_) | Asks::Command { .. } => Vec::new(),
    }
}

fn unknown(column: &At<String>, known: &Known) -> Option<PlanError> {
    if !known.closed || known.names.contains(&column.value) {
        return None;
    }
    Some(PlanError {
        code: codes::CHECK_FITS,
        message: format!("there is no column `{}`", shown::text(&column.value)),
        span: Some(column.span.clone()),
        help: did_you_mean(&column.value, known.names.iter().map(String::as_str)),
    })
}

/// Types of CEL, which are no columns unless a column is called so.
const TYPES: &[&str] = &[
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "list",
    "map",
    "null_type",
    "type",
    "timestamp",
];

pub(super) fn compile(cel: &At<String>, known: &Known) -> Result<Compiled, Vec<PlanError>> {
    let mut wanted: Vec<String> = Vec::new();
    let compiled = Program::compile(&cel.value, &mut |name| match name {
        Name::Plain(name) => {
            let is_there = known.names.iter().any(|own| own == name);
            if !is_there && (known.closed || TYPES.contains(&name)) {
                return Err(Unknown {
                    message: format!("no column is called `{}`", shown::text(name)),
                    help: did_you_mean(name, known.names.iter().map(String::as_str)),
                });
            }
            let place = wanted.iter().position(|own| own == name);
            Ok(place.unwrap_or_else(|| {
                wanted.push(name.to_owned());
                wanted.len() - 1
            }))
        }
        Name::New(_) => Err(Unknown {
            message: "`new` is known in rules of a `[[table]]` only".to_owned(),
            help: Some("name the column by itself".to_owned()),
        }),
    });
    let program = compiled.map_err(|mistakes| {
        mistakes.into_iter().map(|mistake| mistaken(cel, mistake)).collect::<Vec<_>>()
    })?;
    Ok(Compiled { program, wanted })
}

fn mistaken(cel: &At<String>, mistake: Mistake) -> PlanError {
    let Mistake { code, message, help, place } = mistake;
    let span = place.map_or_else(|| cel.span.clone(), |place| inside(cel, &place));
    PlanError { code, message, span: Some(span), help }
}

/// A place within a text of the plan; the whole text where escapes have moved it.
fn inside(text: &At<String>, place: &Range<usize>) -> Span {
    let quotes = text.span.len().saturating_sub(text.value.len());
    if quotes == 2 {
        let start = text.span.start + 1;
        return start + place.start
            ..start + place.end.max(place.start + 1).min(text.value.len() + 1);
    }
    text.span.clone()
}

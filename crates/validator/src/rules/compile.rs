//! What of a rule can be wrong before any row is read: names that lead nowhere, CEL that is none.

use std::ops::Range;

use whimbrel_cel::{Mistake, Name, Program, Unknown};
use whimbrel_model::plan::{Asks, At, Check, PlanError, Ready, Span, did_you_mean};
use whimbrel_model::{Kind, Table};

use super::shown;
use crate::codes;

/// The columns that a table or a source has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Known {
    /// Their names.
    pub names: Vec<String>,
    /// What they hold, in the same order, where that is known.
    pub kinds: Vec<Kind>,
    /// False where there may be others (JSON).
    pub closed: bool,
}

impl Known {
    /// The columns of a table.
    pub fn of(table: &Table) -> Self {
        let names = table.columns.iter().map(|column| column.name.clone()).collect();
        let kinds = table.columns.iter().map(|column| column.kind).collect();
        Self { names, kinds, closed: true }
    }

    fn kind(&self, name: &str) -> Option<Kind> {
        let place = self.names.iter().position(|own| own == name)?;
        self.kinds.get(place).copied()
    }
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
        Asks::Rows { cel, .. } => match compile(cel, known) {
            Ok(compiled) => no_answer(cel, &compiled, known).into_iter().collect(),
            Err(mistakes) => mistakes,
        },
        Asks::Ready { ready, .. } => {
            let columns = ready.columns();
            let unknown = columns.into_iter().filter_map(|column| unknown(column, known));
            let unalike = pair(ready).and_then(|(one, other)| {
                let kinds = known.kind(&one.value).zip(known.kind(&other.value))?;
                let message = unalike((&one.value, kinds.0), (&other.value, kinds.1))?;
                let span = Some(other.span.clone());
                Some(PlanError { code: codes::CHECK_FITS, message, span, help: None })
            });
            unknown.chain(unalike).collect()
        }
        Asks::Sql(_) | Asks::Command { .. } => Vec::new(),
    }
}

/// A rule holds where its answer is true.
fn no_answer(cel: &At<String>, compiled: &Compiled, known: &Known) -> Option<PlanError> {
    let noun = compiled.program.never_bool(|input| {
        let name = compiled.wanted.get(input)?;
        let kind = known.kind(name).filter(|kind| !matches!(kind, Kind::Bool | Kind::Any))?;
        Some(format!("`{}`, which is {}", shown::text(name), kind.name()))
    })?;
    Some(PlanError {
        code: codes::CHECK_FITS,
        message: format!("`rows` must be true or false, and this is {noun}"),
        span: Some(cel.span.clone()),
        help: Some("compare it with something: `c > 0`, `c != null`".to_owned()),
    })
}

/// Two columns whose values are compared with each other.
fn pair(ready: &Ready) -> Option<(&At<String>, &At<String>)> {
    match ready {
        Ready::SelfParents { key, parent } | Ready::Cycles { key, parent } => Some((key, parent)),
        Ready::Overlaps { start, end, .. } => Some((start, end)),
        Ready::Dates { .. } | Ready::Orphans { .. } => None,
    }
}

/// Why values of two columns can never be the same, nor in an order.
pub(super) fn unalike((one, a): (&str, Kind), (other, b): (&str, Kind)) -> Option<String> {
    let is_any = matches!(a, Kind::Any) || matches!(b, Kind::Any);
    if is_any || std::mem::discriminant(&a) == std::mem::discriminant(&b) {
        return None;
    }
    let (one, other) = (shown::text(one), shown::text(other));
    Some(format!(
        "`{one}` is {}, `{other}` is {}: their values are never the same",
        a.name(),
        b.name()
    ))
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

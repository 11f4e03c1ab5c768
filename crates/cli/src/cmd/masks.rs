//! Which values of a target's rows are not shown, as something `sensitive` goes into their columns.

use std::collections::BTreeSet;

use whimbrel_core::{Options, Ports, survey};
use whimbrel_model::Value;
use whimbrel_model::plan::{Base, Expr, Fact, Plan};
use whimbrel_transform::MASK;
use whimbrel_validator::compare::{Cell, Found};

use crate::project::Project;

/// What may be shown.
pub(crate) enum Masks {
    /// Everything: nothing of the plan is sensitive, or whoever asks wants to see it.
    None,
    /// Only these columns, by table: nobody knows what goes into others.
    But(BTreeSet<(String, String)>),
}

impl Masks {
    /// What a plan hides. Where it cannot be compiled now, that is everything but what its words show to be
    /// open.
    pub(crate) async fn of(project: &Project, ports: &Ports) -> Self {
        if !is_sensitive(project) {
            return Self::None;
        }
        let mut open = BTreeSet::new();
        let mut hidden = BTreeSet::new();
        let engine = ports.target.facts().await.map(|facts| facts.engine).unwrap_or_default();
        if let Ok(schema) = project.schema(engine)
            && let Ok(survey) = survey(ports, &project.plan, schema, &Options::default()).await
        {
            for surveyed in &survey.steps {
                let table = surveyed.step.table();
                for (index, column) in table.columns.iter().enumerate() {
                    let one =
                        if surveyed.step.is_sensitive(index) { &mut hidden } else { &mut open };
                    one.insert((table.name.clone(), column.name.clone()));
                }
            }
        } else {
            open = plainly_open(&project.plan);
        }
        // What SQL of the plan puts into a table, nobody knows; rows are named by their keys all the same.
        let writes = project.plan.relates.iter().flat_map(|step| &step.writes);
        let written: BTreeSet<&str> = writes.map(|table| table.value.as_str()).collect();
        let is_key = |(table, column): &(String, String)| {
            let of_table = project.plan.tables.iter().filter(|own| own.into.value == *table);
            of_table.flat_map(|own| &own.key).any(|key| key.value == *column)
        };
        open.retain(|column| {
            !hidden.contains(column) && (!written.contains(column.0.as_str()) || is_key(column))
        });
        Self::But(open)
    }

    fn hides(&self, table: &str, column: &str) -> bool {
        match self {
            Self::None => false,
            Self::But(open) => !open.contains(&(table.to_owned(), column.to_owned())),
        }
    }

    /// The row with its hidden values masked; `key` are the columns of its key, where they are known.
    pub(crate) fn over(&self, table: &str, key: Option<&[String]>, found: &Found) -> Found {
        if matches!(self, Self::None) {
            return found.clone();
        }
        let mask = || Value::Text(MASK.to_owned());
        let key = key.filter(|names| names.len() == found.key.len());
        let of_key = |(index, value): (usize, &Value)| {
            let is_hidden = key.is_none_or(|names| self.hides(table, &names[index]));
            if is_hidden { mask() } else { value.clone() }
        };
        let of_cell = |cell: &Cell| {
            if !self.hides(table, &cell.column) {
                return cell.clone();
            }
            let masked = |value: &Option<Value>| value.as_ref().map(|_| mask());
            let (left, right) = (masked(&cell.left), masked(&cell.right));
            Cell { column: cell.column.clone(), left, right }
        };
        Found {
            key: found.key.iter().enumerate().map(of_key).collect(),
            cells: found.cells.iter().map(of_cell).collect(),
            ..found.clone()
        }
    }
}

/// Columns whose expressions, as they stand, look at nothing but fields that are not sensitive.
fn plainly_open(plan: &Plan) -> BTreeSet<(String, String)> {
    let mut open = BTreeSet::new();
    for table in &plan.tables {
        let sources = table.from.iter().filter_map(|from| plan.source(&from.value));
        let sensitive: BTreeSet<&str> = sources
            .flat_map(|source| &source.sensitive)
            .map(|column| column.value.as_str())
            .collect();
        let is_let = |field: &str| table.lets.iter().any(|(name, _)| name.value == field);
        let is_open = |expr: &Expr| match &expr.base {
            Base::Field(field) => {
                let field = field.value.as_str();
                !field.starts_with('/') && !is_let(field) && !sensitive.contains(field)
            }
            Base::Fact(fact) => matches!(fact.value, Fact::RecordNumber | Fact::RecordLine),
            Base::Value(_) => true,
            _ => false,
        };
        for (column, expr) in &table.columns {
            let mut all = true;
            expr.walk(&mut |part| all &= is_open(part));
            if all {
                open.insert((table.into.value.clone(), column.value.clone()));
            }
        }
    }
    open
}

/// Whether the plan says of any column that its values must not be shown.
pub(crate) fn is_sensitive(project: &Project) -> bool {
    project.plan.sources.iter().any(|source| !source.sensitive.is_empty())
}

//! Names in expressions: fields of the sources, `let`s, target columns; and the fields nobody names.

use std::borrow::Cow;
use std::collections::BTreeSet;

use whimbrel_model::json::Pointer;
use whimbrel_model::plan::did_you_mean;
use whimbrel_model::plan::{At, Base as PlanBase, Each as PlanEach, Fact, Plan, Span};
use whimbrel_model::{Field, Kind, Table, Value};

use super::expr::{TypedBase, common_kind};
use super::{Compiler, Slot, SourceView};
use crate::cel::{Mistake, Name, Program, Unknown};
use crate::codes;
use crate::node::{Base, Input};
use crate::reason::excerpt_text;

impl Compiler<'_> {
    pub(super) fn field_or_let(&mut self, name: &At<String>) -> TypedBase {
        match self.resolve(&name.value) {
            Ok(Input::Let(index)) => {
                TypedBase { base: Base::Let(index), kind: self.lets[index].kind }
            }
            Ok(Input::Field(slot)) => {
                TypedBase { base: Base::Field(slot), kind: self.field_kind(&name.value) }
            }
            Ok(Input::New(_)) => TypedBase { base: Base::Value(Value::Null), kind: None },
            Err(unknown) => {
                self.error(codes::UNKNOWN_COLUMN, &name.span, unknown.message, unknown.help);
                TypedBase { base: Base::Value(Value::Null), kind: None }
            }
        }
    }

    /// A name of a let above, else of a field.
    fn resolve(&mut self, name: &str) -> Result<Input, Unknown> {
        let lets = self.mapping.lets.iter().take(self.lets.len());
        if let Some(index) = lets.rev().position(|(known, _)| known.value == name) {
            let index = self.lets.len() - 1 - index;
            let touched = self.lets[index].touched.clone();
            self.touched.merge(&touched);
            self.touched.lets.insert(index);
            return Ok(Input::Let(index));
        }
        if self.mapping.each == PlanEach::File {
            return Err(Unknown {
                message: format!("a file has no single `{}`", excerpt_text(name)),
                help: Some(
                    "say which record's: `{ last = … }`, `{ first_of = … }`, `{ max = … }`".into(),
                ),
            });
        }
        self.touched.record = true;
        self.field(name).map(Input::Field)
    }

    /// The slot of a field of the sources in scope.
    pub(super) fn field(&mut self, name: &str) -> Result<usize, Unknown> {
        let column = self.pointed(name);
        let name = column.as_ref();
        for source in self.scope.clone() {
            self.check_column(source, name)?;
        }
        let is_column = self.scope.iter().any(|source| self.sources[*source].has_column(name));
        if name.starts_with('/') && !is_column {
            if Pointer::parse(name).is_err() {
                return Err(Unknown {
                    message: format!("`{}` is no JSON Pointer", excerpt_text(name)),
                    help: None,
                });
            }
            return Ok(self.slot(name, &Field::Pointer(name.to_owned())));
        }
        Ok(self.slot(name, &Field::Column(name.to_owned())))
    }

    /// A column of sources that have columns may be said as a pointer to it, as one called `/x` by
    /// `/~1x`, unless another one is called like the pointer.
    fn pointed<'a>(&self, name: &'a str) -> Cow<'a, str> {
        let views = || self.scope.iter().map(|source| &self.sources[*source]);
        let have_columns =
            views().all(|view| view.closed) && views().all(|view| !view.has_column(name));
        let Some(pointer) = Pointer::parse(name).ok().filter(|_| have_columns) else {
            return Cow::Borrowed(name);
        };
        let mut tokens = pointer.tokens();
        match (tokens.next(), tokens.next()) {
            (Some(column), None) => Cow::Owned(column.to_owned()),
            (_, _) => Cow::Borrowed(name),
        }
    }

    /// A column of a source with a header must stand in every header, unless it is optional.
    fn check_column(&self, source: usize, name: &str) -> Result<(), Unknown> {
        let view = &self.sources[source];
        if !view.closed || view.plan.optional.iter().any(|optional| optional.value == name) {
            return Ok(());
        }
        let having = view
            .shapes
            .iter()
            .filter(|shape| shape.columns.iter().any(|column| column.name == name))
            .count();
        if having == view.shapes.len() {
            return Ok(());
        }
        let source_name = &view.plan.name.value;
        if having > 0 {
            return Err(Unknown {
                message: format!(
                    "some files of `{source_name}` have no column `{}`",
                    excerpt_text(name)
                ),
                help: Some(format!(
                    "list it under `optional` of `[source.{source_name}]`: it is NULL there; \
                     `whimbrel analyze` of their folder shows which files have which header"
                )),
            });
        }
        let columns =
            view.shapes.iter().flat_map(|shape| &shape.columns).map(|column| column.name.as_str());
        let lets =
            self.mapping.lets.iter().take(self.lets.len()).map(|(name, _)| name.value.as_str());
        Err(Unknown {
            message: format!("`{source_name}` has no column `{}`", excerpt_text(name)),
            help: did_you_mean(name, columns.chain(lets)),
        })
    }

    pub(super) fn slot(&mut self, name: &str, field: &Field) -> usize {
        let at = self.slots.iter().position(|slot| slot.field == *field).unwrap_or_else(|| {
            let used = vec![false; self.sources.len()];
            self.slots.push(Slot { name: name.to_owned(), field: field.clone(), used });
            self.slots.len() - 1
        });
        for source in &self.scope {
            self.slots[at].used[*source] = true;
            let plan = self.sources[*source].plan;
            self.touched.sensitive |= match field {
                Field::Json => !plan.sensitive.is_empty(),
                Field::Column(_) | Field::Pointer(_) => plan.is_sensitive(name),
            };
        }
        at
    }

    /// Compiles a condition, and says whether it looks at something sensitive.
    pub(super) fn condition(
        &mut self,
        source: &At<String>,
        new: Option<&Table>,
    ) -> Option<(Program<Input>, bool)> {
        let (program, touched) = self.watched(|compiler| compiler.program(source, new));
        self.touched.merge(&touched);
        program.map(|program| (program, touched.sensitive))
    }

    /// The kind of a field's values, where its sources agree: text where there is a header.
    fn field_kind(&self, name: &str) -> Option<Kind> {
        let column = self.pointed(name);
        let name = column.as_ref();
        common_kind(self.scope.iter().map(|source| {
            let view = &self.sources[*source];
            let mut columns = view.shapes.iter().flat_map(|shape| &shape.columns);
            let declared =
                columns.find(|column| column.name == name).and_then(|column| column.kind);
            declared.or(view.closed.then_some(Kind::Text(None)))
        }))
    }

    /// Compiles CEL; with `new`, also names of target columns.
    pub(super) fn program(
        &mut self,
        source: &At<String>,
        new: Option<&Table>,
    ) -> Option<Program<Input>> {
        let compiled = Program::compile(&source.value, &mut |name| match name {
            Name::Plain(name) => self.resolve(name),
            Name::New(name) => match new {
                Some(table) => match table.column(name) {
                    Some(index) => {
                        self.touched.sensitive |=
                            self.sensitive_columns.get(index).is_some_and(|sensitive| *sensitive);
                        Ok(Input::New(index))
                    }
                    None => Err(Unknown {
                        message: format!("no target column `{}` is filled", excerpt_text(name)),
                        help: did_you_mean(
                            name,
                            table.columns.iter().map(|column| column.name.as_str()),
                        ),
                    }),
                },
                None => {
                    Err(Unknown { message: "`new` is known in rules only".to_owned(), help: None })
                }
            },
        });
        match compiled {
            Ok(program) => Some(program),
            Err(mistakes) => {
                for Mistake { code, message, help, place } in mistakes {
                    let span =
                        place.map_or_else(|| source.span.clone(), |place| inside(source, &place));
                    self.error(code, &span, message, help);
                }
                None
            }
        }
    }

    /// Every column of a source with a header is used by some table of the plan, ignored or archived.
    pub(super) fn check_coverage(&mut self) {
        for source in 0..self.sources.len() {
            let view = &self.sources[source];
            let name = &view.plan.name.value;
            let first = self
                .plan
                .tables
                .iter()
                .find(|table| table.from.iter().any(|from| from.value == *name));
            if !view.closed || first.is_none_or(|first| first.span != self.mapping.span) {
                continue;
            }
            let Some(used) = used_columns(self.plan, name) else {
                continue;
            };
            let known = |column: &str| {
                let pointer = format!("/{}", column.replace('~', "~0").replace('/', "~1"));
                used.contains(column)
                    || (used.contains(&pointer) && !view.has_column(&pointer))
                    || view
                        .plan
                        .ignore
                        .iter()
                        .chain(&view.plan.archive)
                        .any(|name| name.value == column)
            };
            let mut missing = BTreeSet::new();
            let columns =
                view.shapes.iter().flat_map(|shape| &shape.columns).map(|column| &column.name);
            let unused: Vec<String> = columns
                .filter(|column| !known(column) && missing.insert(*column))
                .cloned()
                .collect();
            let (span, name) = (view.plan.name.span.clone(), name.clone());
            for column in unused {
                let message =
                    format!("column `{}` of `{name}` is carried nowhere", excerpt_text(&column));
                let help =
                    format!("use it, or list it under `ignore` or `archive` of `[source.{name}]`");
                self.error(codes::UNMAPPED_COLUMN, &span, message, Some(help));
            }
        }
    }
}

impl SourceView<'_> {
    fn has_column(&self, name: &str) -> bool {
        self.shapes.iter().any(|shape| shape.columns.iter().any(|column| column.name == name))
    }
}

/// The place of a part of a string in the plan: exact where the string is written without escapes,
/// else the whole string.
fn inside(source: &At<String>, place: &std::ops::Range<usize>) -> Span {
    let quotes = source.span.len().checked_sub(source.value.len());
    let before = match quotes {
        Some(0) => 0,
        Some(2) => 1,
        Some(6) => 3,
        // A line end after three quotes does not belong to the string.
        Some(7) => 4,
        Some(_) | None => return source.span.clone(),
    };
    let start = source.span.start + before;
    start + place.start..start + place.end.max(place.start + 1)
}

/// Columns of a source that some table reads by name; `None` where a table takes whole records.
fn used_columns(plan: &Plan, source: &str) -> Option<BTreeSet<String>> {
    let mut used = BTreeSet::new();
    let mut whole = false;
    for table in
        plan.tables.iter().filter(|table| table.from.iter().any(|from| from.value == source))
    {
        if let PlanEach::Element(pointer) = &table.each {
            used.insert(pointer.value.clone());
        }
        let exprs = table.lets.iter().chain(&table.columns).map(|(_, expr)| expr);
        for expr in exprs.chain(table.legacy_key.iter().flatten()) {
            expr.walk(&mut |expr| match &expr.base {
                PlanBase::Field(name) | PlanBase::Aggregate { field: Some(name), .. } => {
                    used.insert(name.value.clone());
                }
                PlanBase::Cel(source) => used.extend(names_in(&source.value)),
                PlanBase::Fact(fact) => {
                    whole |=
                        matches!(fact.value, Fact::RecordJson | Fact::RecordText | Fact::FileText);
                }
                PlanBase::Value(_)
                | PlanBase::First(_)
                | PlanBase::Concat { .. }
                | PlanBase::Split { .. }
                | PlanBase::Uuid5(_)
                | PlanBase::Ref { .. }
                | PlanBase::Aggregate { field: None, .. }
                | PlanBase::BySource(_)
                | PlanBase::Hash { .. }
                | PlanBase::Object(_)
                | PlanBase::JsonChecksum(_) => {}
            });
        }
        let conditions = table.filter.iter().chain(table.rules.iter().map(|rule| &rule.cel));
        conditions.for_each(|cel| used.extend(names_in(&cel.value)));
    }
    if whole { None } else { Some(used) }
}

/// Names that a CEL expression refers to; none where it cannot be read.
fn names_in(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let compiled = Program::compile(source, &mut |name| {
        if let Name::Plain(name) = name {
            names.push(name.to_owned());
        }
        Ok(())
    });
    if compiled.is_ok() { names } else { Vec::new() }
}

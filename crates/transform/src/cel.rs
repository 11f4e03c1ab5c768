//! CEL in the words of this crate: its values and its faults. The dialect is `whimbrel-cel`.

use whimbrel_cel as dialect;
use whimbrel_model::{Value, ValueRef};

pub(crate) use whimbrel_cel::{Mistake, Name, Unknown, regex};

use crate::codes;
use crate::op::Fault;
use crate::op::kind::Cell;

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Program<I>(dialect::Program<I>);

impl<I: Copy + PartialEq> Program<I> {
    /// Parses and checks an expression; `input` says what a name stands for.
    pub(crate) fn compile(
        source: &str,
        input: &mut dyn FnMut(Name<'_>) -> Result<I, Unknown>,
    ) -> Result<Self, Vec<Mistake>> {
        dialect::Program::compile(source, input).map(Self)
    }

    /// Evaluates the expression; `value` gives the value of an input.
    pub(crate) fn run<'a, E: From<Fault>>(
        &self,
        value: impl Fn(I) -> Result<Cell<'a>, E>,
    ) -> Result<Cell<'static>, E> {
        let given = |input| match value(input) {
            Ok(Cell::Ref(value)) => Ok(dialect::Cell::Ref(value)),
            Ok(Cell::Owned(value)) => Ok(dialect::Cell::Owned(value)),
            Err(stop) => Err(Stop::Input(stop)),
        };
        match self.0.run(given) {
            Ok(Value::Bool(value)) => Ok(Cell::Ref(ValueRef::Bool(value))),
            Ok(value) => Ok(Cell::Owned(value)),
            Err(Stop::Input(stop)) => Err(stop),
            Err(Stop::Expression(fault)) => {
                Err(Fault::new(codes::CEL_FAILED, fault.message).into())
            }
        }
    }
}

/// Why an expression has no value.
enum Stop<E> {
    /// One of its inputs has none.
    Input(E),
    Expression(dialect::Fault),
}

impl<E> From<dialect::Fault> for Stop<E> {
    fn from(fault: dialect::Fault) -> Self {
        Self::Expression(fault)
    }
}

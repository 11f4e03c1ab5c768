//! The mapping compiled from a plan: values, rows, units.
//!
//! ```text
//! Plan + Table + shapes ──compile──▶ Step          (every mistake that can be known, with its place)
//! Step + facts of a file ──start──▶ State
//! State + SourceChunk + Lookups ──apply──▶ Out     (rows, fates of units, notes; never an error)
//! ```
//! [`op`] holds the operations on single values, for use without a plan. Nothing here does IO, waits,
//! or knows of endpoints, runs or engines. Records come from wherever the caller has them; the example
//! `embed` reads them from files with `whimbrel-files`.
//!
//! ```
//! use std::io::ErrorKind;
//! use whimbrel_transform::model::{self, plan};
//! use whimbrel_transform::{Environment, Lookups, Out, PartitionFacts, Step, UnitFate};
//!
//! let text = r#"
//!     name   = "example"
//!     target = "none"
//!     [source.stock]
//!     csv = "stock.csv"
//!     [[table]]
//!     into = "parts"
//!     from = "stock"
//!     key  = ["id"]
//!     columns = { id = "ID", pieces = { from = "QTY", type = "integer" } }
//! "#;
//! let plan = plan::decode(text, &|_| None, &|_| Err(ErrorKind::NotFound.into())).unwrap();
//! let step = Step::compile(&plan, &plan.tables[0], &Environment::default()).unwrap();
//!
//! // The fields that the step asks for, here `ID` and `QTY`, of two records.
//! let mut rows = model::ChunkBuilder::new(step.fields(0).len());
//! for cells in [["A-7", "12"], ["A-8", "a dozen"]] {
//!     cells.iter().for_each(|cell| rows.push(model::ValueRef::Text(cell)));
//!     rows.end_row();
//! }
//! let record = |number| model::Record {
//!     position: model::Position { record: number, line: number + 1, byte: 0 },
//!     raw: (0, 0),
//!     defect: None,
//! };
//! let chunk = model::SourceChunk {
//!     rows: rows.finish(),
//!     records: vec![record(1), record(2)],
//!     raw: Vec::new(),
//!     mark: model::SourceMark::default(),
//!     repairs: Vec::new(),
//! };
//!
//! let id = model::PartitionId { source: "stock".into(), path: "stock.csv".into() };
//! let facts = PartitionFacts::new(id, Default::default(), 1);
//! let mut state = step.start(0, &facts, None).unwrap();
//! let mut out = Out::new(&step);
//! step.apply(&mut state, &chunk, &Lookups::default(), &mut out);
//! let out = out.finish();
//! assert_eq!(out.rows.len(), 1);
//! assert_eq!(out.units[0].fate, UnitFate::Rows(1));
//! assert!(matches!(&out.units[1].fate, UnitFate::Rejected(reason) if reason.field.as_deref() == Some("QTY")));
//! ```

mod aggregate;
mod cel;
pub mod codes;
mod compile;
mod facts;
mod lookups;
mod node;
mod notes;
pub mod op;
mod out;
mod plain;
mod reason;
mod state;
mod step;

pub use codes::CODES;
pub use compile::{Environment, SourceShape};
pub use facts::PartitionFacts;
pub use lookups::{Lookup, Lookups};
pub use notes::{Note, NoteKey, Notes, SAMPLES_MAX, Sample};
pub use op::kind::Limits;
pub use op::zone;
pub use out::{Only, Out, Output, Unit, UnitFate, UnitKind};
pub use reason::{EXCERPT_CHARS, Fault, MASK, Reason, excerpt, excerpt_text};
pub use state::{STATE_BYTES_MAX, State, StateError};
pub use step::{Needs, Step};
/// The crate whose types stand in the signatures here: plans, tables, chunks, values.
pub use whimbrel_model as model;
/// A mistake in a plan's mapping, with its place in the plan.
pub use whimbrel_model::plan::PlanError as CompileError;

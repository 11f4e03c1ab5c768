//! Plans on records: what rows, rejects and notes come out.

mod compiling;
mod exactness;
mod expressions;
mod files;
mod harness;
mod properties;
mod sensitive;

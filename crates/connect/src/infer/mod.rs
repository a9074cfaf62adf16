//! Text → value, as Connect's `Values.parseString` infers it.
//!
//! Where Connect's inference would change the value (`12:34:56Z` read as 12, long fractions as float32) the text stays
//! a string: see docs/compatibility.md.

mod text; // text -> value
mod tokens; // text -> tokens

use crate::schema::{Schema, SchemaBuilder};
use crate::value::Value;

/// The value that a text stands for, with its schema; a text that stands for none is a string.
pub fn infer(text: &str) -> (Option<Schema>, Value) {
    text::infer(text).unwrap_or_else(|| (Some(SchemaBuilder::string().build()), Value::text(text)))
}

//! `org.apache.kafka.connect.json.JsonConverter`.
//!
//! Writing: a plan per schema with field names quoted in advance; the schema's own text is made once and copied in
//! front of every payload. Reading: the envelope's schema is found by comparing bytes with the last one, so that its
//! text, often longer than the payload, is parsed once. Structs are read into their places by a plan.

mod settings; // options
mod text; // strings, numbers, bytes -> JSON text
mod write; // values -> JSON text
mod schema_text; // schema <-> JSON text
mod parser; // JSON text -> tokens
mod read; // tokens -> values
mod union; // values of unions, and maps as JSON Schema has them
mod converter; // the two, behind the contract

pub(crate) use converter::JsonConverter;
pub(crate) use parser::Parser;
pub(crate) use read::ReadPlan;
pub(crate) use settings::{DecimalFormat, Dialect, Nulls, ONE_OF, Style, definition};
pub(crate) use write::Plan;

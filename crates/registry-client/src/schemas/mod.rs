//! Registered schemas with all that they refer to: what both sides of the API must read in the same way.

mod json; // JSON Schema: `$ref` followed
mod protobuf; // Protobuf: imports followed, compiled

pub use json::{JsonSchema, Place};
pub use protobuf::{FIELD_META, compile};

/// A schema's text with all that it refers to, each under the name by which the text refers to it: an Avro full name, a
/// `$ref`, an import.
#[derive(Clone, Debug, Default)]
pub struct Document {
    pub text: String,
    pub references: Vec<(String, Document)>,
}

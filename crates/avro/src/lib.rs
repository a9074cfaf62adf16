//! Avro as Connect and the registry need it: a schema model that keeps every property, Avro-Java's text, compatibility, and the binary form.
//!
//! The model keeps what the common Rust crates drop (`connect.name`, `connect.parameters`, unknown logical types, the order of properties):
//! the registry stores, returns and hashes exactly the text that Avro-Java prints.

mod schema; // nodes in an arena, so that recursive types need no cycles
mod parse; // JSON text -> schema, as Avro-Java accepts it
mod defaults; // is this default valid for that type
mod java_json; // numbers and strings as Jackson prints them
mod print; // schema -> Avro-Java's text
mod normalise; // schema -> Confluent's normalised text

pub mod compatibility; // can a reader read what a writer wrote
pub mod encode; // binary primitives, out
pub mod decode; // binary primitives, in

mod datum; // defaults as data

pub use datum::encode_default;
pub use java_json::{write_double, write_float, write_json, write_string};
pub use parse::{ParseError, Strictness, parse, parse_with_references};
pub use schema::{
    Builder, Enum, Field, Fixed, Json, Kind, Name, Node, NodeId, Order, Properties, Record, Schema,
};

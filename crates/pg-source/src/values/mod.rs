//! PostgreSQL's text of a value to Connect's value: one decoder for snapshot and stream.

mod decode; // text -> value
mod iso; // dates and times as ISO 8601 text
mod java_map; // the order of Java's HashMap
mod mapping; // type of a column -> schema and decoder
mod geometry; // points, EWKB, vectors
mod defaults; // expression of a default -> value
mod placeholder; // what stands for a value that was not sent
mod dimensions; // length and scale of a type

pub use decode::{ConversionFailure, Decoder, binary};
pub use defaults::default_value;
pub use dimensions::dimensions;
pub use java_map::walk_order;
pub use mapping::{Types, map_column};
pub use placeholder::placeholder;

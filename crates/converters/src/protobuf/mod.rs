//! `io.confluent.connect.protobuf.ProtobufConverter`: Protobuf messages whose file is registered.
//!
//! A Connect schema becomes a `.proto` file, which protox compiles; plans over its descriptors write and read the wire
//! format straight from and to positional values. A payload begins with the place of its message in the file.

mod settings; // options
mod names; // words that Confluent's converter uses
mod file_out; // Connect schema -> .proto text
mod wire; // varints, keys, lengths
mod logical; // decimals, dates and times as messages
mod encode; // values -> message, by a plan
mod schema_in; // descriptors -> Connect schema and a read plan
mod decode; // message -> values, by a plan
mod format; // all of it, as a registered converter wants it

pub(crate) use format::converter;
pub(crate) use settings::definition;

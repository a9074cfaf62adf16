//! `io.confluent.connect.avro.AvroConverter` on any registry that speaks Confluent's API.
//!
//! A Connect schema becomes an Avro schema and an encode plan once; its id is asked of the registry in *prepare*. Writing a
//! record walks the plan over positional values: no look-up by name, no allocation per field.

mod names; // words that Confluent's converter uses, names that Avro accepts
mod settings; // options
mod schema_out; // Connect schema -> Avro schema
mod default_out; // Connect default -> JSON in the schema
mod encode; // values -> datum, by a plan
mod schemaless; // data without a schema, in the type `Anything`
mod schema_in; // Avro schema -> Connect schema and a read plan
mod default_in; // JSON in the schema -> Connect default
mod decode; // datum -> values, by a plan
mod format; // all of it, as a registered converter wants it
mod apicurio; // Apicurio's class name and options

pub(crate) use apicurio::{converter as apicurio_converter, definition as apicurio_definition};
pub(crate) use format::converter;
pub(crate) use settings::definition;

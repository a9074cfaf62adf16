//! `io.confluent.connect.json.JsonSchemaConverter`: JSON whose schema is registered as JSON Schema.
//!
//! A Connect schema becomes a JSON Schema whose `connect.*` words keep what JSON does not say; a JSON Schema of somebody
//! else becomes the Connect schema that Confluent's converter makes of it. Payloads are written and read by the plans of
//! the JSON converter.

mod settings; // options
mod schema_out; // Connect schema -> JSON Schema
mod schema_in; // JSON Schema -> Connect schema
mod fits; // may data of the own schema be written under the registry's
mod format; // all of it, as a registered converter wants it

pub(crate) use format::converter;
pub(crate) use settings::definition;

const CONNECT_TYPE: &str = "connect.type";
const CONNECT_INDEX: &str = "connect.index";
const CONNECT_VERSION: &str = "connect.version";
const CONNECT_PARAMETERS: &str = "connect.parameters";
/// Parameters of this prefix belong to the converter itself.
const NAMESPACE: &str = "io.confluent.connect.json";
/// Parameter of a string that is an enum; each symbol has a parameter of its own behind it.
const ENUM: &str = "io.confluent.connect.json.Enum";

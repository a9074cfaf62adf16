//! `io.debezium.transforms.ExtractNewRecordState`: the row out of a change event's envelope.
//!
//! The row is moved out of the envelope, not copied; only added, dropped or rewritten fields make a new struct.

mod settings; // options, the old ones too
mod fields; // add.fields and add.headers
mod plan; // what depends on the envelope's schema only
mod drop_fields; // fields that a header names
mod transform; // a record, by its plan

pub(crate) use settings::definition;
pub(crate) use transform::ExtractNewRecordState;

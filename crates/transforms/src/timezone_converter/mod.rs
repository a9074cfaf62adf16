//! `io.debezium.transforms.TimezoneConverter`: times of change events in another zone.
//!
//! A text with an offset keeps its instant and gets the zone's offset. A number without one is taken for a local time
//! of the zone and becomes the instant of it.

mod settings; // zone and rules
mod shift; // one value
mod transform; // a record, by its plan

pub(crate) use settings::definition;
pub(crate) use transform::TimezoneConverter;

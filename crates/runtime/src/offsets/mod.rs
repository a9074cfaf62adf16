//! How far a task is: what is in flight, and what is stored.

mod in_flight;
mod source_log;

pub use in_flight::InFlight;
pub use source_log::SourceOffsets;

//! `io.debezium.converters.CloudEventsConverter`: change events as CloudEvents, structured mode.
//!
//! The event is JSON or Avro, and so is its data (before and after), each by itself: JSON in JSON, Avro in JSON (base64),
//! Avro in Avro. What is no change event (heartbeats, transaction markers) has no bytes, as with Debezium.

mod settings; // options
mod event; // envelope -> event: schema and values
mod write; // events -> bytes
mod read; // bytes -> events
mod converter; // the contract

pub(crate) use converter::CloudEventsConverter;
pub(crate) use settings::definition;

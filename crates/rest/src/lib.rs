//! Kafka Connect's REST API and `/metrics`: the only door to the runtime.

mod router; // the route table, on one page
mod connectors; // /connectors
mod offsets; // /connectors/{name}/offsets
mod dead_letters; // what a sink refused, and sending it again
mod plugins; // /connector-plugins
mod root; // /, /health, /metrics
mod body; // what a request may carry
mod error; // Connect's error body

pub use router::{Server, serve};

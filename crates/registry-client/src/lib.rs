//! Confluent's Schema Registry as its clients see it: wire types and an HTTP client. Knows neither Kafka nor Connect.

mod types; // requests and responses
mod error; // what a registry or the way to it can answer
mod settings; // where, as whom, how patiently
mod client; // the calls

pub use client::{Client, Normalize};
pub use error::ClientError;
pub use settings::{Credentials, Settings};
pub use types::{
    CONTENT_TYPE, CompatibilityResult, ErrorBody, Reference, RegisterRequest, Registered, SchemaById,
    SchemaType, SubjectVersion,
};

//! Confluent's Schema Registry as its clients see it: wire types, an HTTP client, and schemas with their references. Knows neither Kafka nor Connect.

mod types; // requests and responses
mod error; // what a registry or the way to it can answer
mod settings; // where, as whom, how patiently
mod client; // the calls
pub mod schemas; // registered schemas and their references

pub use client::{Client, Normalize};
pub use error::ClientError;
pub use settings::{Credentials, Settings, Tls};
pub use types::{
    Association, CONTENT_TYPE, CompatibilityResult, ErrorBody, Metadata, Reference, RegisterRequest,
    Registered, SchemaById, SchemaType, SubjectVersion,
};

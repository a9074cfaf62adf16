//! Schema registry: Confluent's HTTP API on a `_schemas` topic in Confluent's byte form.
//!
//! One writer: registrations pass under a lock, after the topic has been read to its end, and answer once their own record
//! has been read back. Everything that is answered comes from the state that the topic's records make.

mod settings; // where it listens, where it stores
mod keys; // keys of the topic, byte by byte
mod values; // values of the topic
mod state; // what the records make
mod log; // the topic, or memory
mod format; // Avro, JSON Schema, Protobuf: text -> parsed schema, and who can read whom
mod schema; // a schema as it is kept, and its hash
mod level; // compatibility levels
mod compatibility; // may this schema follow those
mod registration; // register, look up
mod deletion; // soft and hard
mod config; // levels and modes, written
mod error; // codes and texts
mod content; // media types
mod query; // parameters of a request
mod routes; // paths -> calls
mod subjects; // handlers: subjects and versions
mod schemas; // handlers: by id
mod server; // the door

pub use level::Level;
pub use server::{Registry, serve};
pub use settings::{Settings, StartError, Store};

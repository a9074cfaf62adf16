//! Converters whose schemas live in a registry: one framing, one set of options, one way to ask; a [`Format`] says how
//! schemas and payloads look.
//!
//! A Connect schema becomes the format's schema and a plan once; its id is asked of the registry in *prepare*. A record is
//! then the magic byte, the id and what the plan writes: nothing is looked up by name.

mod settings; // options of Confluent's serialisers, the same for all formats
mod tls; // certificates and keys from options
mod subject; // under which subject a schema is registered
mod scrub; // names that a format does not accept
mod session; // what is asked of the registry
mod converter; // the contract

pub(crate) use converter::{Format, PayloadReader, PayloadWriter, RegisteredConverter};
pub(crate) use scrub::scrubbed;
pub(crate) use settings::rows;

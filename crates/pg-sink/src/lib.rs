//! Records to rows: the two JDBC sinks' options on one engine that writes PostgreSQL in sets.

pub mod settings; // options of both connectors
mod values; // a record's value as a column takes it

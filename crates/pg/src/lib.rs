//! PostgreSQL on the wire, for source and sink: connections, the replication protocol, COPY and the text of values.

pub mod lsn; // positions in the write-ahead log
pub mod oid; // numbers of the built-in types
pub mod quote; // identifiers and literals in SQL
pub mod sqlstate; // what kind of failure a SQLSTATE is
pub mod error; // what went wrong, on which server
mod tls; // sslmode, certificates
pub mod connect; // ordinary SQL sessions
mod socket; // TCP, Unix sockets, TLS
pub mod wire; // a connection whose frames we see
pub mod replication; // slots, and the stream of WAL
pub mod pgoutput; // its messages
pub mod copy; // rows of COPY, out as text, in as binary
pub mod text; // arrays, bytea, hstore, bits and points as text
pub mod numeric; // exact numbers as text
pub mod temporal; // dates, times and intervals as text
pub mod catalog; // tables, columns, keys and types of a database

pub use connect::{ConnectSettings, ServerRole, Session, SslMode, connect};
pub use error::Error;
pub use lsn::Lsn;
pub use sqlstate::ErrorClass;
pub use tokio_postgres;

//! PostgreSQL to change events to records: `io.debezium.connector.postgresql.PostgresConnector`.

mod settings; // options, checked and typed
mod filter; // which tables and columns
mod key_columns; // keys that the user chose
mod column_mappers; // masks, hashes, truncation
mod identities; // what old rows hold
mod task; // the contract with the runtime
mod start; // checks, creation, opening
mod slot; // slot, publication, prerequisites
mod server_identity; // whose positions are stored
mod new_tables; // made while nobody captured them
mod signals; // snapshots on request, while the stream goes on
mod snapshot; // tables at one moment
mod snapshot_readers; // its connections
mod stream; // frames in, events out
mod row_event; // one change of one row
mod transaction; // which events were sent before
mod tables_cache; // tables by the stream's numbers
mod tables; // what a table looks like at a point of the WAL
mod values; // text of a value -> value
mod envelope; // change event -> record
mod logical_message; // messages in the WAL
mod transaction_metadata; // beginnings and ends of transactions
mod naming; // topics, schemas, fields
mod position; // how far the source has come
mod notifications; // how the snapshot goes
mod heartbeat; // signs of life
mod lag; // how far the server is ahead
mod metrics; // what is counted
mod preflight; // what is missing at the database
mod failure; // PostgreSQL's failures -> what may be done
#[cfg(feature = "fuzzing")]
pub mod fuzzing; // a door for the fuzz targets

pub use settings::{definition, validate_boxed as validate};
pub use task::task;

/// Looks at the database without changing it.
pub fn preflight(
    properties: &connect::settings::Properties,
) -> futures::future::BoxFuture<'_, Vec<connect::preflight::Finding>> {
    Box::pin(preflight::preflight(properties))
}

//! A single-node Kafka broker: raw record batches in append-only files, woken fetches, classic groups, idempotent
//! producers. For development, tests and single machines; whoever outgrows it sets `bootstrap.servers`.
//!
//! ```text
//! listener ── dispatch ── api::* ──┬── topics ── partition ── log::{segment, index}
//!                                  └── groups ── offsets
//! ```
//! Batches are stored as they come: the broker patches the base offset and the leader epoch, which lie before the
//! part that the CRC covers, and never looks at a record.

mod settings; // where, and how durable
mod listener; // connections and frames
mod dispatch; // which request, which version
mod api; // one file per group of requests
mod topics; // names -> partitions, on disk
mod partition; // one log, and who waits for it
mod log; // segments, index, recovery
mod producers; // idempotence: what each producer wrote last
mod groups; // classic consumer groups and their offsets
mod broker; // the whole

pub use broker::Broker;
pub use settings::{BrokerSettings, Fsync};

//! The sink on a real PostgreSQL.

mod postgres; // a cluster of our own, a database per test
mod feed; // records into a task, as the runtime does it
mod golden; // recorded truth of the reference

//! The sink on a real PostgreSQL.

#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod postgres; // a cluster of our own, a database per test
mod feed; // records into a task, as the runtime does it
mod rows; // rows as records
mod holding; // foreign keys, seen one by one
mod random; // foreign keys, at random
mod failures;
mod flying; // bad rows, lost connections, changed tables
mod written; // what is written for which record
mod loading; // the first rows of empty tables

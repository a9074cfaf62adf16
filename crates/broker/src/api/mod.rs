//! One file per group of requests; each handler turns a request into its answer.

pub mod produce;
pub mod fetch;
pub mod topics;
pub mod configs;
pub mod groups;
pub mod offsets;

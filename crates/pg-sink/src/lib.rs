//! pg-sink

//! pg-source

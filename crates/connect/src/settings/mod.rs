//! Tables of options. One table per component gives parsing, defaults, `/validate` and the documentation.

mod definition; // what an option is
mod parse; // text -> value, with Kafka's error texts
mod resolve; // properties + table -> values and errors

pub use definition::{Definition, Group, Importance, Kind, Row, Standing, Validator, Width, row};
pub use resolve::{ConfigValue, Resolved, Setting};

/// A connector's configuration, in the order in which it was written.
pub type Properties = indexmap::IndexMap<String, String>;

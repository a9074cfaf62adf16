//! Runs connectors: the only crate that sees every station. It knows no HTTP.

pub mod properties; // Java's .properties files, and the order of Java's maps
mod providers; // ${file:…} and its like
pub mod settings; // the worker's own settings
pub mod plugins; // class names -> what runs them
pub mod connector_settings; // what every connector has: class, topics, converters, errors
mod codec; // records <-> bytes, through converters and transforms
mod failures; // tolerance, retries, dead letters
pub mod dead_letters; // what is done with them later
mod offsets; // how far: in flight, stored
mod signals; // what people ask of a running source, by topic and by file
mod source_task; // poll -> transforms -> converters -> produce -> offsets
mod sink_task; // consume -> converters -> transforms -> put -> commit
mod supervisor; // starts, stops and restarts tasks
pub mod status; // what state everything is in
pub mod preflight; // what is missing before a connector is made
pub mod herder; // who decides: configs in, tasks out
pub mod metrics; // names and numbers
mod metrics_help; // what they mean

pub use herder::{Herder, HerderError, HerderLoop};
pub use metrics_help::describe as describe_metrics;
pub use settings::WorkerSettings;

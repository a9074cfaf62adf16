//! Record → record, or nothing: Kafka Connect's single message transforms and their predicates. Pure.

mod catalog; // class name + settings -> transform or predicate
mod chain; // the transforms of a connector, in order, with predicates
mod predicate; // should this record be transformed
mod schema_cache; // plans by schema identity
mod java_regex; // Java's patterns and replacements
mod java_date_format; // SimpleDateFormat
mod part; // key or value
mod extract_new_record_state;
mod regex_router;
mod timestamp_converter;

pub use catalog::{create, create_predicate, definition, predicate_classes, transform_classes};
pub use chain::{Chain, ConfigError, ConfigErrors};
pub use predicate::Predicate;

//! Record → record, or nothing: Kafka Connect's single message transforms and their predicates. Pure.

mod catalog; // class name + settings -> transform or predicate
mod answers; // /validate of the transforms of a connector
mod chain; // the transforms of a connector, in order, with predicates
mod predicate; // should this record be transformed
mod schema_cache; // plans by schema identity
mod java_regex; // Java's patterns and replacements
mod java_date_format; // SimpleDateFormat
mod part; // key or value
mod options; // what settings share
mod shape; // what transforms ask of values and do to schemas
mod nulls; // replace.null.with.default
mod field_path; // names and paths of fields
mod route; // topics by pattern
mod envelope; // Debezium's change events
mod schema_name; // names as Avro allows them
mod places; // values of one kind in nested data
mod java_hash; // Object.hashCode
mod json_path; // the part of JSONPath that conditions are written in
mod json_content; // JSON text -> value with a schema
mod extract_new_record_state;
mod cast;
mod changed_record_state;
mod confluent;
mod decode_message_content;
mod enforce_record_size;
mod expression;
mod extract_field;
mod filter;
mod flatten;
mod geometry;
mod header_to_value;
mod headers;
mod hoist_field;
mod insert_field;
mod logical_table_router;
mod mask_field;
mod outbox_event_router;
mod partition_routing;
mod regex_router;
mod replace_field;
mod schema_change_event_filter;
mod schema_to_new_record;
mod set_schema_metadata;
mod timestamp_converter;
mod timestamp_router;
mod timezone_converter;
mod value_to_key;
mod vector_to_json;

pub use answers::{OptionAnswer, answers};
pub use catalog::{create, create_predicate, definition, predicate_classes, transform_classes};
pub use chain::{Chain, ConfigError, ConfigErrors};
pub use predicate::Predicate;

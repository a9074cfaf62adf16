//! Record ⇄ bytes: JSON, Avro, strings, plain bytes and headers, under the class names that configurations use.

mod catalog; // class name + settings -> converter
mod json; // with and without schemas
mod registered; // what all converters with a registry share
mod avro_converter; // Confluent's Avro
mod json_schema; // Confluent's JSON Schema
mod protobuf; // Confluent's Protobuf
mod cloud_events; // Debezium's events in another envelope
mod string; // Java's toString
mod byte_array; // bytes as they are
mod binary_data; // bytes as they are, or what another converter makes
mod number; // one number or boolean
mod java_text; // toString
mod simple_header; // header values as text, inferred again

pub use catalog::{Role, create, create_header, definition, known_classes, known_header_classes};

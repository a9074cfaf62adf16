//! Record ⇄ bytes: JSON, Avro, strings, plain bytes and headers, under the class names that configurations use.

mod catalog; // class name + settings -> converter
mod decimal; // exact numbers as text
mod json; // with and without schemas
mod avro_converter; // Confluent's, with a registry
mod string; // Java's toString
mod byte_array; // bytes as they are
mod java_text; // toString
mod simple_header; // header values as text, inferred again

pub use catalog::{Role, create, create_header, definition, known_classes};

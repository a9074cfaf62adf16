//! Class names that a configuration may name, and what each of them is.

use connect::contract::HeaderConverter;
use connect::settings::{Definition, Properties};
use connect::{Converter, TaskError};

use crate::avro_converter::{self, AvroConverter};
use crate::byte_array::{self, ByteArrayConverter};
use crate::json::{self, JsonConverter};
use crate::simple_header::SimpleHeaderConverter;
use crate::string::{self, StringConverter};

/// What a converter is used for; Avro's subjects depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Key,
    Value,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Json,
    Avro,
    String,
    ByteArray,
    SimpleHeader,
}

const CLASSES: [(&str, Class); 5] = [
    ("io.confluent.connect.avro.AvroConverter", Class::Avro),
    ("org.apache.kafka.connect.json.JsonConverter", Class::Json),
    ("org.apache.kafka.connect.storage.StringConverter", Class::String),
    ("org.apache.kafka.connect.converters.ByteArrayConverter", Class::ByteArray),
    ("org.apache.kafka.connect.storage.SimpleHeaderConverter", Class::SimpleHeader),
];

/// Full class names, for the list of plugins.
pub fn known_classes() -> impl Iterator<Item = &'static str> {
    CLASSES.iter().map(|(name, _)| *name)
}

/// Connect accepts the full name, the simple name, and the simple name without its kind.
fn find(class: &str) -> Option<Class> {
    CLASSES
        .iter()
        .find(|(name, _)| {
            let simple = name.rsplit('.').next().unwrap_or(name);
            let pruned = simple.strip_suffix("Converter").unwrap_or(simple);
            class == *name || class == simple || class == pruned
        })
        .map(|(_, class)| *class)
}

/// The options of a converter; `None` for an unknown class.
pub fn definition(class: &str) -> Option<Definition> {
    Some(match find(class)? {
        Class::Json => json::definition(),
        Class::Avro => avro_converter::definition(),
        Class::String => string::definition(),
        Class::ByteArray => byte_array::definition(),
        Class::SimpleHeader => Definition::default(),
    })
}

/// Makes a converter for keys or values. `properties` bear no prefix (`schemas.enable`, not `value.converter.schemas.enable`).
pub fn create(class: &str, role: Role, properties: &Properties) -> Result<Box<dyn Converter>, TaskError> {
    Ok(match find(class) {
        Some(Class::Json) => Box::new(JsonConverter::new(properties)?),
        Some(Class::Avro) => Box::new(AvroConverter::new(role, properties)?),
        Some(Class::String) => Box::new(StringConverter::new(properties)?),
        Some(Class::ByteArray) => Box::new(ByteArrayConverter),
        Some(Class::SimpleHeader) | None => return Err(unknown(class)),
    })
}

/// Makes a converter for headers.
pub fn create_header(class: &str, properties: &Properties) -> Result<Box<dyn HeaderConverter>, TaskError> {
    Ok(match find(class) {
        Some(Class::SimpleHeader) => Box::new(SimpleHeaderConverter),
        Some(Class::Json) => Box::new(JsonConverter::new(properties)?),
        Some(Class::String) => Box::new(StringConverter::new(properties)?),
        Some(Class::ByteArray) => Box::new(ByteArrayConverter),
        Some(Class::Avro) | None => return Err(unknown(class)),
    })
}

fn unknown(class: &str) -> TaskError {
    TaskError::halt(format!("converter class {class} is not available"))
        .with_hint(format!("available: {}", known_classes().collect::<Vec<_>>().join(", ")))
}

/// All errors of a configuration as one.
pub(crate) fn configuration_error(errors: &[String]) -> TaskError {
    TaskError::new(connect::Fate::Halt, "org.apache.kafka.common.config.ConfigException", errors.join("; "))
}

//! Class names that a configuration may name, and what each of them is.

use connect::contract::HeaderConverter;
use connect::settings::{Definition, Properties};
use connect::{Converter, TaskError};

use crate::avro_converter;
use crate::binary_data::{self, BinaryDataConverter, BinaryDataHeaderConverter};
use crate::byte_array::{self, ByteArrayConverter};
use crate::cloud_events::{self, CloudEventsConverter};
use crate::json::{self, JsonConverter};
use crate::json_schema;
use crate::number::{Number, NumberConverter};
use crate::protobuf;
use crate::simple_header::SimpleHeaderConverter;
use crate::string::{self, StringConverter};

/// What a converter is used for; subjects depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Key,
    Value,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Json,
    Avro,
    ApicurioAvro,
    JsonSchema,
    Protobuf,
    CloudEvents,
    String,
    ByteArray,
    BinaryData,
    Number(Number),
    SimpleHeader,
}

/// The first of equal simple names is the one that a simple name means.
const CLASSES: [(&str, Class); 18] = [
    ("io.confluent.connect.avro.AvroConverter", Class::Avro),
    ("io.apicurio.registry.utils.converter.AvroConverter", Class::ApicurioAvro),
    ("io.confluent.connect.json.JsonSchemaConverter", Class::JsonSchema),
    ("io.confluent.connect.protobuf.ProtobufConverter", Class::Protobuf),
    ("org.apache.kafka.connect.json.JsonConverter", Class::Json),
    ("org.apache.kafka.connect.storage.StringConverter", Class::String),
    ("org.apache.kafka.connect.converters.ByteArrayConverter", Class::ByteArray),
    ("org.apache.kafka.connect.converters.BooleanConverter", Class::Number(Number::Boolean)),
    ("org.apache.kafka.connect.converters.DoubleConverter", Class::Number(Number::Double)),
    ("org.apache.kafka.connect.converters.FloatConverter", Class::Number(Number::Float)),
    ("org.apache.kafka.connect.converters.IntegerConverter", Class::Number(Number::Integer)),
    ("org.apache.kafka.connect.converters.LongConverter", Class::Number(Number::Long)),
    ("org.apache.kafka.connect.converters.ShortConverter", Class::Number(Number::Short)),
    ("io.debezium.converters.CloudEventsConverter", Class::CloudEvents),
    ("io.debezium.converters.BinaryDataConverter", Class::BinaryData),
    ("io.debezium.converters.ByteArrayConverter", Class::BinaryData),
    ("io.debezium.converters.ByteBufferConverter", Class::BinaryData),
    ("org.apache.kafka.connect.storage.SimpleHeaderConverter", Class::SimpleHeader),
];

impl Class {
    /// Whether it converts keys and values.
    fn is_converter(self) -> bool {
        self != Self::SimpleHeader
    }

    /// Whether it converts headers: what needs a registry does not.
    fn is_header_converter(self) -> bool {
        !matches!(
            self,
            Self::Avro | Self::ApicurioAvro | Self::JsonSchema | Self::Protobuf | Self::CloudEvents
        )
    }
}

/// Full class names of what converts keys and values, for the list of plugins.
pub fn known_classes() -> impl Iterator<Item = &'static str> {
    CLASSES.iter().filter(|(_, class)| class.is_converter()).map(|(name, _)| *name)
}

/// Full class names of what converts headers.
pub fn known_header_classes() -> impl Iterator<Item = &'static str> {
    CLASSES.iter().filter(|(_, class)| class.is_header_converter()).map(|(name, _)| *name)
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
        Class::ApicurioAvro => avro_converter::apicurio_definition(),
        Class::JsonSchema => json_schema::definition(),
        Class::Protobuf => protobuf::definition(),
        Class::CloudEvents => cloud_events::definition(),
        Class::String => string::definition(),
        Class::ByteArray => byte_array::definition(),
        Class::BinaryData => binary_data::definition(),
        Class::Number(_) | Class::SimpleHeader => Definition::default(),
    })
}

/// Makes a converter for keys or values. `properties` bear no prefix (`schemas.enable`, not `value.converter.schemas.enable`).
pub fn create(class: &str, role: Role, properties: &Properties) -> Result<Box<dyn Converter>, TaskError> {
    Ok(match find(class) {
        Some(Class::Json) => Box::new(JsonConverter::new(properties)?),
        Some(Class::Avro) => Box::new(avro_converter::converter(role, properties)?),
        Some(Class::ApicurioAvro) => Box::new(avro_converter::apicurio_converter(role, properties)?),
        Some(Class::JsonSchema) => Box::new(json_schema::converter(role, properties)?),
        Some(Class::Protobuf) => Box::new(protobuf::converter(role, properties)?),
        Some(Class::CloudEvents) => Box::new(CloudEventsConverter::new(properties)?),
        Some(Class::String) => Box::new(StringConverter::new(properties)?),
        Some(Class::ByteArray) => Box::new(ByteArrayConverter),
        Some(Class::BinaryData) => Box::new(BinaryDataConverter::new(role, properties)?),
        Some(Class::Number(number)) => Box::new(NumberConverter::new(number)),
        Some(Class::SimpleHeader) | None => {
            return Err(unknown(class, CLASSES.iter().filter(|(_, class)| class.is_converter())));
        }
    })
}

/// Makes a converter for headers.
pub fn create_header(class: &str, properties: &Properties) -> Result<Box<dyn HeaderConverter>, TaskError> {
    Ok(match find(class) {
        Some(Class::SimpleHeader) => Box::new(SimpleHeaderConverter),
        Some(Class::Json) => Box::new(JsonConverter::new(properties)?),
        Some(Class::String) => Box::new(StringConverter::new(properties)?),
        Some(Class::ByteArray) => Box::new(ByteArrayConverter),
        Some(Class::BinaryData) => Box::new(BinaryDataHeaderConverter::new(properties)?),
        Some(Class::Number(number)) => Box::new(NumberConverter::new(number)),
        Some(_) | None => {
            return Err(unknown(class, CLASSES.iter().filter(|(_, class)| class.is_header_converter())));
        }
    })
}

fn unknown<'a>(class: &str, available: impl Iterator<Item = &'a (&'static str, Class)>) -> TaskError {
    let names: Vec<_> = available.map(|(name, _)| *name).collect();
    TaskError::halt(format!("converter class {class} is not available"))
        .with_hint(format!("available: {}", names.join(", ")))
}

/// All errors of a configuration as one.
pub(crate) fn configuration_error(errors: &[String]) -> TaskError {
    TaskError::new(connect::Fate::Halt, "org.apache.kafka.common.config.ConfigException", errors.join("; "))
}

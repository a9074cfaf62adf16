//! The three kinds of schemas behind one face: parsed, printed, compared.

mod json_compatibility; // may data of one JSON Schema be read as another
mod protobuf; // a compiled file, printed and compared
mod protobuf_compatibility; // may data of one file be read as another

use avro::Strictness;
use avro::compatibility::incompatibilities;
use registry_client::SchemaType;
use registry_client::schemas::{Document, JsonSchema};

use protobuf::ProtobufSchema;

/// Which of two schemas is the reader, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    New,
    Old,
}

impl Reader {
    /// Words for the reader and the writer.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::New => ("new", "old"),
            Self::Old => ("old", "new"),
        }
    }
}

#[derive(Debug)]
pub(crate) enum Parsed {
    Avro(avro::Schema),
    Json(JsonSchema),
    Protobuf(ProtobufSchema),
}

impl Parsed {
    /// New schemas are parsed strictly, stored ones leniently. The error says what is wrong.
    pub(crate) fn new(
        schema_type: SchemaType,
        document: &Document,
        strictness: Strictness,
    ) -> Result<Self, String> {
        Ok(match schema_type {
            SchemaType::Avro => Self::Avro(avro_schema(document, strictness)?),
            SchemaType::Json => Self::Json(json_schema(document, strictness)?),
            SchemaType::Protobuf => Self::Protobuf(ProtobufSchema::parse(document)?),
        })
    }

    pub(crate) fn schema_type(&self) -> SchemaType {
        match self {
            Self::Avro(_) => SchemaType::Avro,
            Self::Json(_) => SchemaType::Json,
            Self::Protobuf(_) => SchemaType::Protobuf,
        }
    }

    /// The text that is stored and answered.
    pub(crate) fn canonical(&self) -> String {
        match self {
            Self::Avro(schema) => schema.to_string(),
            Self::Json(schema) => schema.canonical(),
            Self::Protobuf(schema) => schema.canonical(),
        }
    }

    /// The text that is stored where the client asks for a normalised one.
    pub(crate) fn normalised(&self) -> String {
        match self {
            Self::Avro(schema) => schema.normalised(),
            Self::Json(schema) => schema.normalised(),
            Self::Protobuf(schema) => schema.canonical(),
        }
    }

    /// Equal for schemas that differ in order and spelling only.
    pub(crate) fn identity(&self) -> String {
        match self {
            Self::Avro(_) | Self::Json(_) => self.normalised(),
            Self::Protobuf(schema) => schema.serialized(),
        }
    }

    /// The compiled form, of the one kind of schemas that has one.
    pub(crate) fn serialized(&self) -> Option<String> {
        match self {
            Self::Protobuf(schema) => Some(schema.serialized()),
            Self::Avro(_) | Self::Json(_) => None,
        }
    }

    /// Why data of `writer` cannot be read with this schema, in Confluent's form; empty when it can.
    pub(crate) fn cannot_read(&self, writer: &Self, reader: Reader) -> Vec<String> {
        let (reader_word, writer_word) = reader.words();
        match (self, writer) {
            (Self::Avro(reader), Self::Avro(writer)) => {
                let found = incompatibilities(reader, writer);
                found.iter().map(|problem| problem.describe(reader_word, writer_word)).collect()
            }
            (Self::Json(new), Self::Json(old)) => json_compatibility::check(new, old, reader),
            (Self::Protobuf(new), Self::Protobuf(old)) => protobuf_compatibility::check(new, old, reader),
            _ => vec!["{errorType:'TYPE', description:'the schemas are of different types'}".to_owned()],
        }
    }
}

fn avro_schema(document: &Document, strictness: Strictness) -> Result<avro::Schema, String> {
    let references = document.references.iter().map(|(_, it)| avro_schema(it, Strictness::Lenient));
    let references = references.collect::<Result<Vec<_>, _>>()?;
    avro::parse_with_references(&document.text, &references, strictness).map_err(|error| error.to_string())
}

fn json_schema(document: &Document, strictness: Strictness) -> Result<JsonSchema, String> {
    let schema = JsonSchema::parse(document)?;
    if strictness == Strictness::Strict {
        jsonschema::meta::validate(schema.root()).map_err(|error| error.to_string())?;
        schema.check_references()?;
    }
    Ok(schema)
}

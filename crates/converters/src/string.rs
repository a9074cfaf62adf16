//! `org.apache.kafka.connect.storage.StringConverter`: text in, `toString()` out.

use connect::contract::HeaderConverter;
use connect::settings::{Definition, Importance, Properties, row};
use connect::{
    Buffer, Converter, Decoder, Encoder, Fate, Header, Schema, SchemaBuilder, TaskError, Text, Value,
};
use futures::future::BoxFuture;

use crate::java_text;

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row("converter.encoding")
            .default("UTF-8")
            .importance(Importance::High)
            .doc("Character set of the bytes."),
    ])
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Latin1,
    Ascii,
    /// Big endian; written with a byte order mark, read with either.
    Utf16,
    Utf16BigEndian,
    Utf16LittleEndian,
}

#[derive(Clone)]
pub(crate) struct StringConverter {
    encoding: Encoding,
    /// What it reads is always of this schema.
    schema: Schema,
}

impl StringConverter {
    pub(crate) fn new(properties: &Properties) -> Result<Self, TaskError> {
        let resolved = definition().resolve(properties);
        // Java looks for the role's own option first; the runtime hands over what it finds.
        let role = ["key.converter.encoding", "value.converter.encoding", "header.converter.encoding"];
        let own = role.iter().find_map(|name| properties.get(*name)).map(String::as_str);
        let name = own.or(resolved.text("converter.encoding")).unwrap_or("UTF-8");
        Ok(Self { encoding: Encoding::parse(name)?, schema: SchemaBuilder::string().optional().build() })
    }

    fn encode_value(&self, schema: Option<&Schema>, value: &Value, out: &mut Vec<u8>) -> bool {
        match value {
            Value::Null => return false,
            Value::String(text) => self.encoding.write(text, out),
            other => {
                let mut text = String::new();
                java_text::write(schema, other, &mut text);
                self.encoding.write(&text, out);
            }
        }
        true
    }

    fn decode_value(&self, payload: Option<&Buffer>) -> (Option<Schema>, Value) {
        let value = payload.map(|buffer| self.encoding.read(buffer));
        (Some(self.schema.clone()), Value::from(value))
    }
}

impl Converter for StringConverter {
    fn encoder<'a>(
        &'a self,
        _topic: &'a str,
        schema: Option<&'a Schema>,
    ) -> BoxFuture<'a, Result<Box<dyn Encoder>, TaskError>> {
        let encoder = StringEncoder { converter: self.clone(), schema: schema.cloned() };
        Box::pin(std::future::ready(Ok(Box::new(encoder) as Box<dyn Encoder>)))
    }

    fn writer_id(&self, _payload: &[u8]) -> Result<u32, TaskError> {
        Ok(0)
    }

    fn decoder<'a>(
        &'a self,
        _topic: &'a str,
        _writer_id: u32,
    ) -> BoxFuture<'a, Result<Box<dyn Decoder>, TaskError>> {
        Box::pin(std::future::ready(Ok(Box::new(self.clone()) as Box<dyn Decoder>)))
    }
}

impl HeaderConverter for StringConverter {
    fn encode(&self, _topic: &str, header: &Header) -> Result<Option<Vec<u8>>, TaskError> {
        let mut out = vec![];
        Ok(self.encode_value(header.schema.as_ref(), &header.value, &mut out).then_some(out))
    }

    fn decode(
        &self,
        _topic: &str,
        _key: &str,
        value: Option<&[u8]>,
    ) -> Result<(Option<Schema>, Value), TaskError> {
        Ok(self.decode_value(value.map(|bytes| Buffer::from(bytes.to_vec())).as_ref()))
    }
}

struct StringEncoder {
    converter: StringConverter,
    schema: Option<Schema>,
}

impl Encoder for StringEncoder {
    fn encode(&mut self, value: &Value, out: &mut Vec<u8>) -> Result<bool, TaskError> {
        Ok(self.converter.encode_value(self.schema.as_ref(), value, out))
    }
}

impl Decoder for StringConverter {
    fn decode(&mut self, payload: Option<&Buffer>) -> Result<(Option<Schema>, Value), TaskError> {
        Ok(self.decode_value(payload))
    }
}

impl Encoding {
    fn parse(name: &str) -> Result<Self, TaskError> {
        Ok(match name.to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" => Self::Utf8,
            "ISO-8859-1" | "ISO8859_1" | "LATIN1" => Self::Latin1,
            "US-ASCII" | "ASCII" => Self::Ascii,
            "UTF-16" | "UTF16" => Self::Utf16,
            "UTF-16BE" => Self::Utf16BigEndian,
            "UTF-16LE" => Self::Utf16LittleEndian,
            _ => {
                return Err(TaskError::new(
                    Fate::Halt,
                    "org.apache.kafka.common.errors.SerializationException",
                    format!("Unsupported encoding {name}"),
                ));
            }
        })
    }

    /// What a character set lacks becomes `?`, as in Java.
    fn write(self, text: &str, out: &mut Vec<u8>) {
        let narrow = |limit: u32| {
            move |character: char| {
                if u32::from(character) < limit { u32::from(character) as u8 } else { b'?' }
            }
        };
        match self {
            Self::Utf8 => out.extend_from_slice(text.as_bytes()),
            Self::Latin1 => out.extend(text.chars().map(narrow(0x100))),
            Self::Ascii => out.extend(text.chars().map(narrow(0x80))),
            Self::Utf16 => {
                out.extend_from_slice(&[0xfe, 0xff]);
                out.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
            }
            Self::Utf16BigEndian => out.extend(text.encode_utf16().flat_map(u16::to_be_bytes)),
            Self::Utf16LittleEndian => out.extend(text.encode_utf16().flat_map(u16::to_le_bytes)),
        }
    }

    /// What is malformed becomes the replacement character, as in Java.
    fn read(self, buffer: &Buffer) -> Text {
        let bytes: &[u8] = buffer.bytes();
        match self {
            Self::Utf8 => match Text::slice(buffer, 0..bytes.len()) {
                Ok(text) => text,
                Err(_) => Text::from(String::from_utf8_lossy(bytes).into_owned()),
            },
            Self::Latin1 => Text::from(bytes.iter().map(|byte| char::from(*byte)).collect::<String>()),
            Self::Ascii => {
                let character =
                    |byte: &u8| if byte.is_ascii() { char::from(*byte) } else { char::REPLACEMENT_CHARACTER };
                Text::from(bytes.iter().map(character).collect::<String>())
            }
            Self::Utf16 => match bytes {
                [0xff, 0xfe, rest @ ..] => read_utf16(rest, u16::from_le_bytes),
                [0xfe, 0xff, rest @ ..] => read_utf16(rest, u16::from_be_bytes),
                rest => read_utf16(rest, u16::from_be_bytes),
            },
            Self::Utf16BigEndian => read_utf16(bytes, u16::from_be_bytes),
            Self::Utf16LittleEndian => read_utf16(bytes, u16::from_le_bytes),
        }
    }
}

fn read_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Text {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let mut text: String =
        char::decode_utf16(units).map(|it| it.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    if bytes.len() % 2 == 1 {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    Text::from(text)
}

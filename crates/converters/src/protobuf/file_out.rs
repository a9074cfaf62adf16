//! Connect schema → the text of a `.proto` file.
//!
//! A struct is a message; the structs within are messages nested in it, each name once per message. What Protobuf does not
//! say about a field (that a number has eight bits, a decimal's scale) is kept in Confluent's field option.

use std::collections::{BTreeSet, HashSet};

use connect::logical::{
    self, DATE as CONNECT_DATE, DECIMAL as CONNECT_DECIMAL, TIME, TIMESTAMP as CONNECT_TIMESTAMP,
};
use connect::{Field, Kind, Schema, TaskError};

use super::names::{
    CONNECT_TYPE, DATE, DECIMAL, DEFAULT_NAME, ENUM, PRECISION, SCALE, TAG, TIME_OF_DAY, TIMESTAMP, TYPE,
    UNION, is_union, split, wrapper_of,
};
use super::settings::{Nullables, Shape};

/// The file, and the full name of the message that is the schema's.
pub(super) fn to_proto(schema: &Schema, shape: Shape) -> Result<(String, String), TaskError> {
    let mut writer = Writer { shape, imports: BTreeSet::new(), unnamed: 0 };
    let (package, name, body) = match schema.kind() {
        Kind::Struct(fields) if !is_union(schema) => {
            let full = writer.name_or_default(schema.name());
            let (package, name) = split(&full);
            let name = shape.scrub.name(name).into_owned();
            let body = writer.message(&name, fields, 0)?;
            (package.map(str::to_owned), name, body)
        }
        _ => raw(schema)?,
    };
    let mut text = String::from("syntax = \"proto3\";\n");
    if let Some(package) = &package {
        text.push_str(&format!("package {package};\n"));
    }
    text.push('\n');
    for import in &writer.imports {
        text.push_str(&format!("import \"{import}\";\n"));
    }
    if !writer.imports.is_empty() {
        text.push('\n');
    }
    text.push_str(&body);
    let full_name = package.map_or_else(|| name.clone(), |package| format!("{package}.{name}"));
    Ok((text, full_name))
}

/// A single value at the top is wrapped, as Google's wrapper of that type.
fn raw(schema: &Schema) -> Result<(Option<String>, String, String), TaskError> {
    let refused =
        || TaskError::reject(format!("Unsupported root schema of type {}", schema.kind().type_name()));
    let is_logical = matches!(schema.name(), Some(CONNECT_DECIMAL | CONNECT_DATE | TIME | CONNECT_TIMESTAMP));
    let word = scalar_word(schema).filter(|_| !is_logical).ok_or_else(refused)?;
    let wrapper = wrapper_of(word).ok_or_else(refused)?;
    let (package, name) = split(wrapper);
    let word = wrapped_word(wrapper);
    let body = format!("message {name} {{\n  {word} value = 1;\n}}\n");
    Ok((package.map(str::to_owned), name.to_owned(), body))
}

fn wrapped_word(wrapper: &str) -> &'static str {
    let found = super::names::WRAPPERS.iter().find(|(_, known)| *known == wrapper);
    found.map_or("bytes", |(word, _)| word)
}

/// Protobuf's word for a type that is no message.
fn scalar_word(schema: &Schema) -> Option<&str> {
    let own = schema.parameter(TYPE);
    Some(match schema.kind() {
        Kind::Int8 | Kind::Int16 => "int32",
        Kind::Int32 => own.unwrap_or("int32"),
        Kind::Int64 => own.unwrap_or("int64"),
        Kind::Float32 => "float",
        Kind::Float64 => "double",
        Kind::Boolean => "bool",
        Kind::String => "string",
        Kind::Bytes => "bytes",
        Kind::Array(_) | Kind::Map { .. } | Kind::Struct(_) => return None,
    })
}

/// What Confluent's field option says about a field, by name.
type Options = Vec<(&'static str, String)>;

struct Writer {
    shape: Shape,
    imports: BTreeSet<&'static str>,
    unnamed: usize,
}

/// A message in the making.
struct Message {
    fields: String,
    /// Messages and enums within.
    nested: String,
    /// Structs and enums that stand within already, under their names there.
    known: Vec<(Schema, String)>,
    numbers: HashSet<u32>,
    next_number: u32,
    indent: String,
    depth: usize,
}

impl Message {
    fn number(&mut self, schema: &Schema) -> u32 {
        let own = schema.parameter(TAG).and_then(|text| text.parse().ok());
        // A number that is taken would lose one of the fields.
        if let Some(own) = own.filter(|own| !self.numbers.contains(own)) {
            self.numbers.insert(own);
            return own;
        }
        while !self.numbers.insert(self.next_number) {
            self.next_number += 1;
        }
        self.next_number
    }
}

impl Writer {
    fn name_or_default(&mut self, name: Option<&str>) -> String {
        match name.filter(|name| !name.is_empty()) {
            Some(name) => name.to_owned(),
            None => {
                self.unnamed += 1;
                format!("{DEFAULT_NAME}{}", self.unnamed)
            }
        }
    }

    fn message(&mut self, name: &str, fields: &[Field], depth: usize) -> Result<String, TaskError> {
        let indent = "  ".repeat(depth);
        let own = fields.iter().flat_map(|field| match field.schema.kind() {
            Kind::Struct(members) if is_union(&field.schema) => members.iter().map(|it| &it.schema).collect(),
            _ => vec![&field.schema],
        });
        let mut message = Message {
            fields: String::new(),
            nested: String::new(),
            known: vec![],
            numbers: HashSet::new(),
            next_number: 1,
            indent: format!("{indent}  "),
            depth: depth + 1,
        };
        // Fields without a number of their own must not take one that a later field has.
        let reserved: HashSet<u32> =
            own.filter_map(|schema| schema.parameter(TAG).and_then(|text| text.parse().ok())).collect();
        while reserved.contains(&message.next_number) {
            message.next_number += 1;
        }
        for field in fields {
            let field_name = self.shape.scrub.name(&field.name).into_owned();
            if is_union(&field.schema) {
                self.union(&mut message, &field.schema)?;
            } else {
                let line = self.field(&mut message, &field_name, &field.schema, Place::Message)?;
                message.fields.push_str(&format!("{}{line}\n", message.indent));
            }
            while reserved.contains(&message.next_number) {
                message.next_number += 1;
            }
        }
        let Message { fields, nested, .. } = message;
        Ok(format!("{indent}message {name} {{\n{fields}{nested}{indent}}}\n"))
    }

    fn union(&mut self, message: &mut Message, schema: &Schema) -> Result<(), TaskError> {
        let name = schema.name().and_then(|name| name.strip_prefix(UNION)).unwrap_or_default();
        let name = self.name_or_default(Some(name.trim_start_matches('.')).filter(|name| !name.is_empty()));
        let name = self.shape.scrub.name(split(&name).1).into_owned();
        let mut lines = String::new();
        for member in schema.fields() {
            let member_name = self.shape.scrub.name(&member.name).into_owned();
            let line = self.field(message, &member_name, &member.schema, Place::Union)?;
            lines.push_str(&format!("{}  {line}\n", message.indent));
        }
        message.fields.push_str(&format!("{0}oneof {name} {{\n{lines}{0}}}\n", message.indent));
        Ok(())
    }

    /// `repeated int32 a = 1 [...];`
    fn field(
        &mut self,
        message: &mut Message,
        name: &str,
        schema: &Schema,
        place: Place,
    ) -> Result<String, TaskError> {
        let number = message.number(schema);
        let (label, typed) = match schema.kind() {
            Kind::Array(items) => ("repeated ", items),
            Kind::Map { key, value } => {
                let word = self.map(message, name, schema, (key, value))?;
                return Ok(format!("{word} {name} = {number};"));
            }
            Kind::Struct(_) => ("", schema),
            _ => {
                let keyword = self.shape.nullables == Nullables::Keyword && schema.is_optional();
                (if keyword && place == Place::Message { "optional " } else { "" }, schema)
            }
        };
        let (word, options) = self.word(message, name, typed)?;
        let options: Vec<_> =
            options.iter().map(|(key, value)| format!("{{ key: \"{key}\" value: \"{value}\" }}")).collect();
        if options.is_empty() {
            return Ok(format!("{label}{word} {name} = {number};"));
        }
        self.imports.insert("confluent/meta.proto");
        let options = options.join(", ");
        Ok(format!("{label}{word} {name} = {number} [(confluent.field_meta) = {{ params: [{options}] }}];"))
    }

    /// The type's name, and what Protobuf does not say about it.
    fn word(
        &mut self,
        message: &mut Message,
        field: &str,
        schema: &Schema,
    ) -> Result<(String, Options), TaskError> {
        if let Some((word, import)) = logical_word(schema) {
            self.imports.insert(import);
            let mut options = vec![];
            if word == DECIMAL {
                let precision = schema.parameter(logical::PRECISION).map(|text| (PRECISION, text.to_owned()));
                options.extend(precision);
                options.extend(schema.parameter(logical::SCALE).map(|text| (SCALE, text.to_owned())));
            }
            return Ok((word.to_owned(), options));
        }
        if schema.parameter(ENUM).is_some() {
            return Ok((self.enumeration(message, schema), vec![]));
        }
        if let Kind::Struct(fields) = schema.kind() {
            return Ok((self.nested(message, field, schema, fields)?, vec![]));
        }
        let Some(word) = scalar_word(schema) else {
            return Err(TaskError::reject(format!(
                "Array cannot be nested: the field {field} has no Protobuf type"
            )));
        };
        let options = match schema.kind() {
            Kind::Int8 | Kind::Int16 => vec![(CONNECT_TYPE, schema.kind().type_name().to_owned())],
            _ => vec![],
        };
        let wraps = self.shape.nullables == Nullables::Wrapper && schema.is_optional();
        match wrapper_of(word).filter(|_| wraps) {
            Some(wrapper) => {
                self.imports.insert("google/protobuf/wrappers.proto");
                Ok((wrapper.to_owned(), options))
            }
            None => Ok((word.to_owned(), options)),
        }
    }

    fn nested(
        &mut self,
        message: &mut Message,
        field: &str,
        schema: &Schema,
        fields: &[Field],
    ) -> Result<String, TaskError> {
        let bare = schema.to_builder().required().build();
        if let Some((_, name)) = message.known.iter().find(|(known, _)| same_message(known, &bare)) {
            return Ok(name.clone());
        }
        let full = self.name_or_default(schema.name());
        let mut name = self.shape.scrub.name(split(&full).1).into_owned();
        // A message and a field of one name would hide each other.
        if name == field {
            name.push_str("Message");
        }
        let name = unique(name, &message.known);
        let text = self.message(&name, fields, message.depth)?;
        message.nested.push_str(&text);
        message.known.push((bare, name.clone()));
        Ok(name)
    }

    fn enumeration(&mut self, message: &mut Message, schema: &Schema) -> String {
        let bare = schema.to_builder().required().build();
        let name = schema.parameter(ENUM).unwrap_or_default();
        let name = self.name_or_default(Some(split(name).1));
        let name = self.shape.scrub.name(&name).into_owned();
        if let Some((_, known)) = message.known.iter().find(|(known, _)| same_enum(known, &bare)) {
            return known.clone();
        }
        let name = unique(name, &message.known);
        let indent = &message.indent;
        let mut text = format!("{indent}enum {name} {{\n");
        for (symbol, number) in symbols(schema) {
            text.push_str(&format!("{indent}  {symbol} = {number};\n"));
        }
        text.push_str(&format!("{indent}}}\n"));
        message.nested.push_str(&text);
        message.known.push((bare, name.clone()));
        name
    }

    /// `map<k, v>` where Protobuf allows it, else a list of messages of key and value.
    fn map(
        &mut self,
        message: &mut Message,
        field: &str,
        schema: &Schema,
        (key, value): (&Schema, &Schema),
    ) -> Result<String, TaskError> {
        if matches!(value.kind(), Kind::Array(_) | Kind::Map { .. }) {
            return Err(TaskError::reject(format!("the values of the map {field} cannot be lists or maps")));
        }
        let plain_key = scalar_word(key).filter(|word| {
            let no_key = matches!(*word, "float" | "double" | "bytes");
            !no_key && key.parameter(ENUM).is_none() && logical_word(key).is_none()
        });
        // What must be said about a value needs a field to say it on.
        if let Some(key_word) = plain_key {
            let (value_word, options) = self.word(message, field, value)?;
            if options.is_empty() {
                return Ok(format!("map<{key_word}, {value_word}>"));
            }
        }
        let name = schema.name().map_or_else(|| format!("{field}Map"), |name| split(name).1.to_owned());
        let name = unique(format!("{}Entry", self.shape.scrub.name(&name)), &message.known);
        let bare = |schema: &Schema| schema.to_builder().required().build();
        let fields = [
            Field { name: "key".into(), schema: without_tag(key) },
            Field { name: "value".into(), schema: without_tag(value) },
        ];
        let text = self.message(&name, &fields, message.depth)?;
        message.nested.push_str(&text);
        message.known.push((bare(schema), name.clone()));
        Ok(format!("repeated {name}"))
    }
}

/// Where a field stands: members of a union are optional anyway.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Message,
    Union,
}

fn without_tag(schema: &Schema) -> Schema {
    if schema.parameter(TAG).is_none() {
        return schema.clone();
    }
    let mut bare = connect::SchemaBuilder::new(schema.kind().clone());
    for (key, value) in schema.parameters().iter().filter(|(key, _)| &**key != TAG) {
        bare = bare.parameter(key.clone(), value.clone());
    }
    if let Some(name) = schema.name() {
        bare = bare.name(name);
    }
    if schema.is_optional() { bare.optional().build() } else { bare.build() }
}

fn logical_word(schema: &Schema) -> Option<(&'static str, &'static str)> {
    Some(match (schema.name()?, schema.kind()) {
        (CONNECT_DECIMAL, Kind::Bytes) => (DECIMAL, "confluent/type/decimal.proto"),
        (CONNECT_DATE, Kind::Int32) => (DATE, "google/type/date.proto"),
        (TIME, Kind::Int32) => (TIME_OF_DAY, "google/type/timeofday.proto"),
        (CONNECT_TIMESTAMP, Kind::Int64) => (TIMESTAMP, "google/protobuf/timestamp.proto"),
        _ => return None,
    })
}

fn unique(name: String, known: &[(Schema, String)]) -> String {
    let is_taken = |name: &str| known.iter().any(|(_, known)| known == name);
    let mut candidate = name.clone();
    let mut count = 1;
    while is_taken(&candidate) {
        count += 1;
        candidate = format!("{name}{count}");
    }
    candidate
}

/// Equal but for what a field adds to its type.
fn same_message(a: &Schema, b: &Schema) -> bool {
    matches!(a.kind(), Kind::Struct(_)) && a.name() == b.name() && a.kind() == b.kind()
}

fn same_enum(a: &Schema, b: &Schema) -> bool {
    a.parameter(ENUM) == b.parameter(ENUM) && a.parameter(ENUM).is_some() && symbols(a).eq(symbols(b))
}

/// Symbols with their numbers.
fn symbols(schema: &Schema) -> impl Iterator<Item = (&str, &str)> {
    schema.parameters().iter().filter_map(|(key, number)| {
        let symbol = key.strip_prefix(ENUM)?.strip_prefix('.')?;
        Some((symbol, &**number))
    })
}

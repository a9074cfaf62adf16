//! JSON text → schema, accepting and refusing what Avro-Java does.

use crate::defaults::is_valid_default;
use crate::schema::{
    Builder, Enum, Field, Fixed, Json, Kind, Name, Node, NodeId, Order, Properties, Record, Schema,
};

/// Deeper schemas than this are refused: outside text must not exhaust the stack.
const DEPTH_MAX: usize = 200;

const RESERVED: [&str; 10] =
    ["type", "name", "namespace", "doc", "aliases", "fields", "items", "values", "size", "symbols"];
const RESERVED_FIELD: [&str; 6] = ["name", "type", "doc", "default", "order", "aliases"];

/// How much is demanded of names and defaults. New schemas are checked, stored ones were accepted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    Strict,
    Lenient,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(String);

pub fn parse(text: &str, strictness: Strictness) -> Result<Schema, ParseError> {
    parse_with_references(text, &[], strictness)
}

/// Parses a schema whose named types may come from `references`; those are printed by name only.
pub fn parse_with_references(
    text: &str,
    references: &[Schema],
    strictness: Strictness,
) -> Result<Schema, ParseError> {
    // A bare word such as `string`, without quotes, is a valid schema text for Avro-Java.
    let json: Json = match serde_json::from_str(text) {
        Ok(json) => json,
        Err(_) if Kind::primitive(text.trim()).is_some() => Json::String(text.trim().to_owned()),
        Err(error) => return Err(ParseError(format!("invalid JSON: {error}"))),
    };
    let mut parser = Parser { builder: Builder::default(), strictness, depth: 0 };
    references.iter().for_each(|schema| parser.builder.import(schema));
    let root = parser.schema(&json, "")?;
    let schema = parser.builder.finish(root);
    if strictness == Strictness::Strict {
        check_defaults(&schema)?;
    }
    Ok(schema)
}

struct Parser {
    builder: Builder,
    strictness: Strictness,
    depth: usize,
}

type Members = serde_json::Map<String, Json>;

impl Parser {
    fn schema(&mut self, json: &Json, namespace: &str) -> Result<NodeId, ParseError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return error("schema is nested too deeply");
        }
        let id = match json {
            Json::String(word) => self.by_word(word, namespace),
            Json::Array(branches) => self.union(branches, namespace),
            Json::Object(members) => self.object(members, namespace),
            other => error(format!("schema expected, found {other}")),
        }?;
        self.depth -= 1;
        Ok(id)
    }

    fn by_word(&mut self, word: &str, namespace: &str) -> Result<NodeId, ParseError> {
        if let Some(kind) = Kind::primitive(word) {
            return Ok(self.builder.plain(kind));
        }
        self.find(word, namespace).ok_or_else(|| ParseError(format!("undefined name: \"{word}\"")))
    }

    fn find(&self, word: &str, namespace: &str) -> Option<NodeId> {
        let name = Name::new(word, namespace);
        self.builder.find(&name.full()).or_else(|| self.builder.find(&name.simple))
    }

    fn union(&mut self, branches: &[Json], namespace: &str) -> Result<NodeId, ParseError> {
        let ids =
            branches.iter().map(|branch| self.schema(branch, namespace)).collect::<Result<Vec<_>, _>>()?;
        let mut seen = Vec::new();
        for id in &ids {
            let kind = &self.builder.node(*id).kind;
            if matches!(kind, Kind::Union(_)) {
                return error("nested union");
            }
            let label = kind.name().map_or_else(|| kind.word().to_owned(), Name::full);
            if seen.contains(&label) {
                return error(format!("duplicate in union: {label}"));
            }
            seen.push(label);
        }
        Ok(self.builder.plain(Kind::Union(ids)))
    }

    fn object(&mut self, members: &Members, namespace: &str) -> Result<NodeId, ParseError> {
        let Some(word) = members.get("type").and_then(Json::as_str) else {
            return error(format!("no type: {}", Json::Object(members.clone())));
        };
        match word {
            "record" | "error" => self.record(members, namespace, word == "error"),
            "enum" => self.symbols(members, namespace),
            "fixed" => self.fixed(members, namespace),
            "array" => self.collection(members, "items", namespace),
            "map" => self.collection(members, "values", namespace),
            _ => match Kind::primitive(word) {
                Some(kind) => Ok(self.builder.add(Node { kind, properties: custom(members, &RESERVED) })),
                None => self
                    .find(word, namespace)
                    .ok_or_else(|| ParseError(format!("type not supported: {word}"))),
            },
        }
    }

    fn collection(&mut self, members: &Members, key: &str, namespace: &str) -> Result<NodeId, ParseError> {
        let Some(item) = members.get(key) else {
            return error(format!("{key} type of a collection is missing"));
        };
        let item = self.schema(item, namespace)?;
        let kind = if key == "items" { Kind::Array(item) } else { Kind::Map(item) };
        Ok(self.builder.add(Node { kind, properties: custom(members, &RESERVED) }))
    }

    fn record(&mut self, members: &Members, namespace: &str, is_error: bool) -> Result<NodeId, ParseError> {
        let name = self.name(members, namespace)?;
        let namespace = name.namespace.clone();
        let record = Record {
            aliases: aliases(members, &namespace),
            doc: text(members, "doc"),
            name,
            fields: Vec::new(),
            is_error,
        };
        let id = self.named(Kind::Record(record), custom(members, &RESERVED))?;
        let Some(Json::Array(declared)) = members.get("fields") else {
            return error("record has no fields");
        };
        let mut fields: Vec<Field> = Vec::with_capacity(declared.len());
        for json in declared {
            let field = self.field(json, &namespace)?;
            if fields.iter().any(|other| other.name == field.name) {
                return error(format!("duplicate field {}", field.name));
            }
            fields.push(field);
        }
        if let Kind::Record(record) = &mut self.builder.node_mut(id).kind {
            record.fields = fields;
        }
        Ok(id)
    }

    fn field(&mut self, json: &Json, namespace: &str) -> Result<Field, ParseError> {
        let Json::Object(members) = json else {
            return error(format!("field is not an object: {json}"));
        };
        let Some(name) = text(members, "name") else {
            return error(format!("no field name: {json}"));
        };
        self.check_name(&name)?;
        let Some(declared) = members.get("type") else {
            return error(format!("no field type: {json}"));
        };
        let node = self.schema(declared, namespace)?;
        let mut default = members.get("default").cloned();
        if let (Some(Json::String(number)), Kind::Float | Kind::Double) =
            (&default, &self.builder.node(node).kind)
            && let Ok(number) = number.parse::<f64>()
        {
            default = serde_json::Number::from_f64(number).map(Json::Number);
        }
        let order = match members.get("order").and_then(Json::as_str) {
            None => Order::Ascending,
            Some(word) if word.eq_ignore_ascii_case("ascending") => Order::Ascending,
            Some(word) if word.eq_ignore_ascii_case("descending") => Order::Descending,
            Some(word) if word.eq_ignore_ascii_case("ignore") => Order::Ignore,
            Some(word) => return error(format!("unknown order: {word}")),
        };
        let aliases = texts(members, "aliases");
        let doc = text(members, "doc");
        Ok(Field { name, node, doc, default, order, aliases, properties: custom(members, &RESERVED_FIELD) })
    }

    fn symbols(&mut self, members: &Members, namespace: &str) -> Result<NodeId, ParseError> {
        let name = self.name(members, namespace)?;
        if !matches!(members.get("symbols"), Some(Json::Array(_))) {
            return error("enum has no symbols");
        }
        let symbols = texts(members, "symbols");
        for (index, symbol) in symbols.iter().enumerate() {
            self.check_name(symbol)?;
            if symbols[..index].contains(symbol) {
                return error(format!("duplicate enum symbol: {symbol}"));
            }
        }
        let default = text(members, "default");
        if let Some(default) = &default
            && !symbols.contains(default)
        {
            return error(format!("the enum default {default} is not among the symbols"));
        }
        let (aliases, doc) = (aliases(members, &name.namespace), text(members, "doc"));
        let mut properties = custom(members, &RESERVED);
        properties.shift_remove("default");
        self.named(Kind::Enum(Enum { name, doc, aliases, symbols, default }), properties)
    }

    fn fixed(&mut self, members: &Members, namespace: &str) -> Result<NodeId, ParseError> {
        let name = self.name(members, namespace)?;
        let size = members.get("size").and_then(Json::as_u64).and_then(|size| usize::try_from(size).ok());
        let Some(size) = size else {
            return error("invalid or no size");
        };
        let (aliases, doc) = (aliases(members, &name.namespace), text(members, "doc"));
        self.named(Kind::Fixed(Fixed { name, doc, aliases, size }), custom(members, &RESERVED))
    }

    fn named(&mut self, kind: Kind, properties: Properties) -> Result<NodeId, ParseError> {
        let full = kind.name().map(Name::full).unwrap_or_default();
        self.builder
            .add_named(Node { kind, properties })
            .ok_or_else(|| ParseError(format!("can't redefine: {full}")))
    }

    fn name(&self, members: &Members, enclosing: &str) -> Result<Name, ParseError> {
        let Some(name) = text(members, "name") else {
            return error(format!("no name in schema: {}", Json::Object(members.clone())));
        };
        let namespace = text(members, "namespace");
        let name = Name::new(&name, namespace.as_deref().unwrap_or(enclosing));
        self.check_name(&name.simple)?;
        if Kind::primitive(&name.full()).is_some() {
            return error(format!("schemas may not be named after primitives: {}", name.full()));
        }
        Ok(name)
    }

    fn check_name(&self, name: &str) -> Result<(), ParseError> {
        let mut bytes = name.bytes();
        let first = bytes.next();
        let starts = first.is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        let valid = starts && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if valid || (self.strictness == Strictness::Lenient && first.is_some()) {
            return Ok(());
        }
        error(format!("illegal character in name or empty name: {name:?}"))
    }
}

fn check_defaults(schema: &Schema) -> Result<(), ParseError> {
    for node in &schema.nodes {
        let Kind::Record(record) = &node.kind else { continue };
        for field in &record.fields {
            if let Some(default) = &field.default
                && !is_valid_default(schema, field.node, default)
            {
                return error(format!("invalid default for field {}: {default}", field.name));
            }
        }
    }
    Ok(())
}

fn custom(members: &Members, reserved: &[&str]) -> Properties {
    members
        .iter()
        .filter(|(key, _)| !reserved.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn text(members: &Members, key: &str) -> Option<String> {
    members.get(key).and_then(Json::as_str).map(str::to_owned)
}

fn texts(members: &Members, key: &str) -> Vec<String> {
    let items = members.get(key).and_then(Json::as_array);
    items.into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect()
}

fn aliases(members: &Members, namespace: &str) -> Vec<Name> {
    let mut names = Vec::new();
    for text in texts(members, "aliases") {
        let name = Name::new(&text, namespace);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn error<T>(message: impl Into<String>) -> Result<T, ParseError> {
    Err(ParseError(message.into()))
}

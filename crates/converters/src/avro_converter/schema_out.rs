//! Connect schema → Avro schema, as Confluent's `AvroData` makes it.
//!
//! Everything that Avro cannot say itself is kept in `connect.*` properties. A named type that is used again is
//! written by its name; Connect's equality decides whether it is the same one, not counting `optional`.

use std::collections::HashMap;

use avro::{
    Builder, Enum, Field, Fixed, Json, Kind as AvroKind, Name, Node, NodeId, Order, Properties, Record,
};
use connect::logical::{self, DATE, DECIMAL, TIME, TIMESTAMP};
use connect::{Kind, Schema, TaskError};

use super::default_out::to_json;
use super::names::{
    AVRO_PREFIX, CONNECT_DEFAULT, CONNECT_DOC, CONNECT_FIXED_SIZE, CONNECT_INTERNAL_TYPE, CONNECT_NAME,
    CONNECT_PARAMETERS, CONNECT_TYPE, CONNECT_VERSION, DEFAULT_NAME, ENUM, ENUM_DEFAULT, ENUM_DOC,
    FIELD_DEFAULT, FIELD_DOC, KEY, LOGICAL_TYPE, MAP_ENTRY, NAMESPACE, PRECISION, PRECISION_DEFAULT,
    RECORD_DOC, SCALE, UNION, VALUE, is_valid,
};
use super::settings::Shape;

/// The Avro form of a Connect schema.
pub(super) fn to_avro(schema: &Schema, shape: Shape) -> Result<avro::Schema, TaskError> {
    let mut writer = Writer { builder: Builder::default(), shape, known: HashMap::new(), unnamed: 0 };
    let root = writer.schema(schema)?;
    Ok(writer.builder.finish(root))
}

/// Whether a map is an Avro map: its keys are required strings.
pub(super) fn has_plain_keys(schema: &Schema) -> bool {
    matches!(schema.kind(), Kind::Map { key, .. } if matches!(key.kind(), Kind::String) && !key.is_optional())
}

impl Shape {
    /// As [`has_plain_keys`], with the option that allows optional keys too.
    pub(super) fn is_avro_map(self, schema: &Schema) -> bool {
        let Kind::Map { key, .. } = schema.kind() else { return false };
        matches!(key.kind(), Kind::String) && (self.optional_map_keys || !key.is_optional())
    }
}

pub(super) fn is_union(schema: &Schema) -> bool {
    matches!(schema.kind(), Kind::Struct(_)) && schema.name() == Some(UNION)
}

struct Writer {
    builder: Builder,
    shape: Shape,
    /// Required structs that are written already.
    known: HashMap<Schema, NodeId>,
    unnamed: usize,
}

impl Writer {
    fn schema(&mut self, schema: &Schema) -> Result<NodeId, TaskError> {
        if is_union(schema) {
            return self.union(schema);
        }
        let base = self.base(schema)?;
        if !schema.is_optional() {
            return Ok(base);
        }
        let null = self.builder.plain(AvroKind::Null);
        let with_default = schema.default().is_some() && !matches!(schema.kind(), Kind::Struct(_));
        let branches = if with_default { vec![base, null] } else { vec![null, base] };
        Ok(self.builder.plain(AvroKind::Union(branches)))
    }

    fn union(&mut self, schema: &Schema) -> Result<NodeId, TaskError> {
        let mut branches = vec![];
        if schema.is_optional() {
            branches.push(self.builder.plain(AvroKind::Null));
        }
        for field in schema.fields() {
            branches.push(self.base(&field.schema)?);
        }
        Ok(self.builder.plain(AvroKind::Union(branches)))
    }

    /// The type without its `optional`.
    fn base(&mut self, schema: &Schema) -> Result<NodeId, TaskError> {
        let kind = match schema.kind() {
            Kind::Struct(_) => return self.record(schema),
            Kind::Int8 | Kind::Int16 | Kind::Int32 => AvroKind::Int,
            Kind::Int64 => AvroKind::Long,
            Kind::Float32 => AvroKind::Float,
            Kind::Float64 => AvroKind::Double,
            Kind::Boolean => AvroKind::Boolean,
            Kind::String => match schema.parameter(ENUM).filter(|_| self.shape.enhanced) {
                Some(name) => AvroKind::Enum(self.symbols(schema, name)),
                None => AvroKind::String,
            },
            Kind::Bytes => match schema.parameter(CONNECT_FIXED_SIZE) {
                Some(size) => AvroKind::Fixed(self.fixed(schema, size)?),
                None => AvroKind::Bytes,
            },
            Kind::Array(items) => AvroKind::Array(self.schema(items)?),
            Kind::Map { value, .. } if self.shape.is_avro_map(schema) => AvroKind::Map(self.schema(value)?),
            Kind::Map { key, value } => AvroKind::Array(self.entry(schema, key, value)?),
        };
        let properties = self.properties(schema)?;
        self.add(Node { kind, properties })
    }

    /// A named type that is there already with the same content is used again.
    fn add(&mut self, node: Node) -> Result<NodeId, TaskError> {
        let Some(name) = node.kind.name().map(Name::full) else { return Ok(self.builder.add(node)) };
        match self.builder.find(&name) {
            Some(known) if *self.builder.node(known) == node => Ok(known),
            Some(_) => Err(redefined(&name)),
            None => self.builder.add_named(node).ok_or_else(|| redefined(&name)),
        }
    }

    fn record(&mut self, schema: &Schema) -> Result<NodeId, TaskError> {
        let required =
            if schema.is_optional() { schema.to_builder().required().build() } else { schema.clone() };
        if let Some(known) = self.known.get(&required) {
            return Ok(*known);
        }
        let name = self.record_name(schema);
        if let Some(known) = self.same_structure(&required, &name) {
            return Ok(known);
        }
        let record = Record {
            name: name.clone(),
            doc: schema.parameter(RECORD_DOC).map(str::to_owned),
            aliases: vec![],
            fields: vec![],
            is_error: false,
        };
        let node = Node::plain(AvroKind::Record(record));
        let id = self.builder.add_named(node).ok_or_else(|| redefined(&name.full()))?;
        self.known.insert(required, id);
        let mut fields = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let doc = schema.parameter(&format!("{FIELD_DOC}{}", field.name));
            fields.push(self.field(&field.name, &field.schema, doc)?);
        }
        let properties = self.properties(schema)?;
        let node = self.builder.node_mut(id);
        node.properties = properties;
        if let AvroKind::Record(record) = &mut node.kind {
            record.fields = fields;
        }
        Ok(id)
    }

    /// The same record under another doc, version, default or other parameters: Avro has one definition only.
    fn same_structure(&self, schema: &Schema, name: &Name) -> Option<NodeId> {
        schema.name()?;
        self.builder.find(&name.full())?;
        let same = |known: &Schema| known.name() == schema.name() && known.kind() == schema.kind();
        self.known.iter().find(|(known, _)| same(known)).map(|(_, id)| *id)
    }

    fn record_name(&mut self, schema: &Schema) -> Name {
        match schema.name() {
            Some(name) => Name::new(&self.shape.scrub.full_name(name), ""),
            None => {
                self.unnamed += 1;
                let number = if self.unnamed > 1 { self.unnamed.to_string() } else { String::new() };
                Name::new(&format!("{DEFAULT_NAME}{number}"), NAMESPACE)
            }
        }
    }

    fn field(&mut self, name: &str, schema: &Schema, doc: Option<&str>) -> Result<Field, TaskError> {
        let name = self.shape.scrub.name(name);
        if !is_valid(&name) {
            return Err(TaskError::reject(format!("Illegal character in: {name}")));
        }
        let default = match schema.default() {
            Some(default) => Some(to_json(schema, default)),
            None => schema.is_optional().then_some(Json::Null),
        };
        let node = self.schema(schema)?;
        let mut properties = Properties::new();
        self.second_use(schema, node, &mut properties);
        let doc = doc.map(str::to_owned);
        Ok(Field {
            name: name.into_owned(),
            node,
            doc,
            default,
            order: Order::Ascending,
            aliases: vec![],
            properties,
        })
    }

    /// Parameters that the one definition of a record does not have stand at the field.
    fn second_use(&self, schema: &Schema, node: NodeId, properties: &mut Properties) {
        if !self.shape.meta_data || !matches!(schema.kind(), Kind::Struct(_)) || is_union(schema) {
            return;
        }
        let record = match &self.builder.node(node).kind {
            AvroKind::Union(branches) => {
                branches.iter().find(|branch| self.builder.node(**branch).kind.name().is_some())
            }
            _ => Some(&node),
        };
        let own = record.and_then(|id| self.builder.node(*id).properties.get(CONNECT_PARAMETERS)).cloned();
        let wanted = parameters(schema);
        if !wanted.is_empty() && own != Some(Json::Object(wanted.clone())) {
            properties.insert(CONNECT_PARAMETERS.to_owned(), Json::Object(wanted));
        }
    }

    /// The record of a key and a value that a map of other keys than strings is a list of.
    fn entry(&mut self, schema: &Schema, key: &Schema, value: &Schema) -> Result<NodeId, TaskError> {
        let fields = vec![self.field(KEY, key, None)?, self.field(VALUE, value, None)?];
        let mut properties = Properties::new();
        let name = match schema.name() {
            Some(name) => {
                properties.insert(CONNECT_INTERNAL_TYPE.to_owned(), Json::from(MAP_ENTRY));
                Name::new(&self.shape.scrub.full_name(name), "")
            }
            None => Name::new(MAP_ENTRY, NAMESPACE),
        };
        let record = Record { name, doc: None, aliases: vec![], fields, is_error: false };
        self.add(Node { kind: AvroKind::Record(record), properties })
    }

    fn symbols(&self, schema: &Schema, name: &str) -> Enum {
        let prefix = format!("{ENUM}.");
        let symbols = schema.parameters().iter().filter(|(key, _)| key.starts_with(&prefix));
        let name = Name::new(&self.shape.scrub.full_name(name), "");
        let own = |prefix: &str| schema.parameter(&format!("{prefix}{}", name.simple)).map(str::to_owned);
        Enum {
            doc: own(ENUM_DOC),
            default: own(ENUM_DEFAULT),
            aliases: vec![],
            symbols: symbols.map(|(_, symbol)| symbol.to_string()).collect(),
            name,
        }
    }

    fn fixed(&self, schema: &Schema, size: &str) -> Result<Fixed, TaskError> {
        let size =
            size.parse().map_err(|_| TaskError::reject(format!("{CONNECT_FIXED_SIZE} {size} is no size")))?;
        let name = match schema.name() {
            Some(name) => Name::new(&self.shape.scrub.full_name(name), ""),
            None => Name::new(DEFAULT_NAME, NAMESPACE),
        };
        Ok(Fixed { name, doc: None, aliases: vec![], size })
    }

    fn properties(&self, schema: &Schema) -> Result<Properties, TaskError> {
        let mut properties = Properties::new();
        let mut put = |key: &str, value: Json| {
            properties.insert(key.to_owned(), value);
        };
        let is_decimal = schema.name() == Some(DECIMAL) && matches!(schema.kind(), Kind::Bytes);
        if is_decimal {
            let scale = logical::decimal_scale(schema)
                .ok_or_else(|| TaskError::reject("Invalid Decimal schema: scale parameter not found"))?;
            put(SCALE, Json::from(scale));
            let precision = schema.parameter(logical::PRECISION).and_then(|text| text.parse::<i32>().ok());
            put(PRECISION, Json::from(precision.unwrap_or(PRECISION_DEFAULT)));
        }
        if self.shape.meta_data {
            if let Some(doc) = schema.doc() {
                put(CONNECT_DOC, Json::from(doc));
            }
            if let Some(version) = schema.version() {
                put(CONNECT_VERSION, Json::from(version));
            }
            let parameters = parameters(schema);
            if !parameters.is_empty() {
                put(CONNECT_PARAMETERS, Json::Object(parameters));
            }
            if let Some(default) = schema.default().filter(|_| schema.parameter(FIELD_DEFAULT).is_none()) {
                put(CONNECT_DEFAULT, to_json(schema, default));
            }
            if let Some(name) = schema.name() {
                put(CONNECT_NAME, Json::from(name));
            }
            match schema.kind() {
                Kind::Int8 => put(CONNECT_TYPE, Json::from("int8")),
                Kind::Int16 => put(CONNECT_TYPE, Json::from("int16")),
                _ => {}
            }
        }
        match schema.name() {
            Some(DECIMAL) if is_decimal => put(LOGICAL_TYPE, Json::from("decimal")),
            Some(DATE) => put(LOGICAL_TYPE, Json::from("date")),
            Some(TIME) => put(LOGICAL_TYPE, Json::from("time-millis")),
            Some(TIMESTAMP) => put(LOGICAL_TYPE, Json::from("timestamp-millis")),
            _ => {}
        }
        for (key, value) in schema.parameters().iter().filter(|(key, _)| key.starts_with(AVRO_PREFIX)) {
            put(key, Json::from(&**value));
        }
        Ok(properties)
    }
}

fn parameters(schema: &Schema) -> Properties {
    let kept = schema.parameters().iter().filter(|(key, _)| &**key != FIELD_DEFAULT);
    kept.map(|(key, value)| (key.to_string(), Json::from(&**value))).collect()
}

fn redefined(name: &str) -> TaskError {
    TaskError::reject(format!("Can't redefine: {name}"))
}

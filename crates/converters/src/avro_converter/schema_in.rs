//! Avro schema → Connect schema and read plan, as Confluent's `AvroData` reads it.

use std::sync::Arc;

use avro::{Json, Kind as AvroKind, Node, NodeId, Record};
use connect::logical::{self, DECIMAL};
use connect::{Field, Kind, Schema, SchemaBuilder, TaskError, Text};

use super::decode::Plan;
use super::default_in::from_json;
use super::names::{
    AVRO_PREFIX, CONNECT_DEFAULT, CONNECT_DOC, CONNECT_FIXED_SIZE, CONNECT_INTERNAL_TYPE, CONNECT_NAME,
    CONNECT_PARAMETERS, CONNECT_TYPE, CONNECT_VERSION, DEFAULT_FULL_NAME, ENUM, ENUM_DEFAULT, ENUM_DOC,
    FIELD_DEFAULT, FIELD_DOC, KEY, MAP_ENTRY, NAMESPACE, PRECISION, PRECISION_DEFAULT, RECORD_DOC, SCALE,
    UNION, VALUE,
};
use super::schemaless;
use super::settings::Shape;

/// What payloads of a writer's schema are read as. `None` as schema: data without one.
pub(super) fn to_connect(
    avro: &avro::Schema,
    shape: Shape,
    version: Option<i32>,
) -> Result<(Option<Schema>, Plan), TaskError> {
    let is_anything = |kind: &AvroKind| kind.name().is_some_and(|name| name.full() == schemaless::FULL_NAME);
    if is_anything(avro.kind(avro.root())) {
        return Ok((None, Plan::Anything));
    }
    let mut reader = Reader { avro, shape, open: vec![] };
    let top = Context { version, ..Context::default() };
    reader.schema(avro.root(), &top).map(|(schema, plan)| (Some(schema), plan))
}

/// What the place of a type adds to it.
#[derive(Default, Clone, Copy)]
struct Context<'a> {
    optional: bool,
    default: Option<&'a Json>,
    doc: Option<&'a str>,
    parameters: Option<&'a Json>,
    version: Option<i32>,
}

struct Reader<'a> {
    avro: &'a avro::Schema,
    shape: Shape,
    /// Records that are being read: Connect's schemas here cannot contain themselves.
    open: Vec<NodeId>,
}

/// A Connect schema in the making; parameters of the same name replace one another.
struct Draft {
    kind: Kind,
    name: Option<String>,
    version: Option<i32>,
    doc: Option<String>,
    parameters: Vec<(Arc<str>, Arc<str>)>,
}

impl Draft {
    fn new(kind: Kind) -> Self {
        Self { kind, name: None, version: None, doc: None, parameters: vec![] }
    }

    fn logical(kind: Kind, name: &str) -> Self {
        Self { name: Some(name.to_owned()), version: Some(1), ..Self::new(kind) }
    }

    fn parameter(&mut self, key: &str, value: &str) {
        match self.parameters.iter_mut().find(|(known, _)| &**known == key) {
            Some((_, known)) => *known = value.into(),
            None => self.parameters.push((key.into(), value.into())),
        }
    }

    fn build(self, optional: bool) -> SchemaBuilder {
        let mut builder = SchemaBuilder::new(self.kind);
        if optional {
            builder = builder.optional();
        }
        if let Some(name) = self.name {
            builder = builder.name(name);
        }
        if let Some(version) = self.version {
            builder = builder.version(version);
        }
        if let Some(doc) = self.doc {
            builder = builder.doc(doc);
        }
        for (key, value) in self.parameters {
            builder = builder.parameter(key, value);
        }
        builder
    }
}

impl<'a> Reader<'a> {
    fn schema(&mut self, id: NodeId, context: &Context<'_>) -> Result<(Schema, Plan), TaskError> {
        let node = self.avro.node(id);
        if let AvroKind::Union(branches) = &node.kind {
            return self.union(branches, context);
        }
        let (mut draft, plan) = self.base(id, node)?;
        self.describe(&mut draft, node, context)?;
        let default = self.default(&mut draft, node, context);
        let mut schema = draft.build(context.optional).build();
        if let Some(json) = default {
            let value = from_json(&schema, json).ok_or_else(|| {
                TaskError::reject(format!("Invalid default value {json} of type {}", node.kind.word()))
            })?;
            if !value.is_null() {
                schema = schema.to_builder().default(value).build();
            }
        }
        Ok((schema, plan))
    }

    fn union(&mut self, branches: &[NodeId], context: &Context<'_>) -> Result<(Schema, Plan), TaskError> {
        let null = branches.iter().position(|id| matches!(self.avro.kind(*id), AvroKind::Null));
        let values: Vec<_> = branches.iter().enumerate().filter(|(index, _)| Some(*index) != null).collect();
        if let [(index, id)] = values[..]
            && (null.is_some() || self.shape.flatten_singleton_unions)
        {
            // The field's default is the union's; Connect reads it from the type's own properties only.
            let inner = Context { optional: context.optional || null.is_some(), default: None, ..*context };
            let (schema, plan) = self.schema(*id, &inner)?;
            return Ok((
                schema,
                Plan::Branch { value: index, branches: branches.len(), plan: Box::new(plan) },
            ));
        }
        let mut fields: Vec<Field> = vec![];
        let mut plans: Vec<Option<(usize, Plan)>> = vec![];
        for (index, id) in branches.iter().enumerate() {
            if Some(index) == null {
                plans.push(None);
                continue;
            }
            let member = Context { optional: true, ..Context::default() };
            let (schema, plan) = self.schema(*id, &member)?;
            let name = self.member_name(*id);
            if fields.iter().any(|field| *field.name == *name) {
                return Err(TaskError::reject("Multiple union schemas map to the Connect union field name"));
            }
            plans.push(Some((fields.len(), plan)));
            fields.push(Field { name: name.into(), schema });
        }
        let count = fields.len();
        let draft = Draft { name: Some(UNION.to_owned()), ..Draft::new(Kind::Struct(fields.into())) };
        let schema = draft.build(context.optional || null.is_some()).build();
        Ok((schema, Plan::Union { fields: count, branches: plans.into() }))
    }

    /// The name of a union's branch as a field of its struct.
    fn member_name(&self, id: NodeId) -> String {
        match self.avro.kind(id) {
            kind @ (AvroKind::Record(_) | AvroKind::Enum(_)) => {
                let name = kind.name().expect("records and enums have names");
                if self.shape.enhanced { name.full() } else { name.simple.clone() }
            }
            other => other.word().to_owned(),
        }
    }

    fn base(&mut self, id: NodeId, node: &'a Node) -> Result<(Draft, Plan), TaskError> {
        let plain = |kind: Kind, plan: Plan| Ok((Draft::new(kind), plan));
        match (&node.kind, node.logical_type()) {
            (AvroKind::Null, _) => {
                Err(TaskError::reject("Standalone null schemas are not supported by this converter"))
            }
            (AvroKind::Boolean, _) => plain(Kind::Boolean, Plan::Boolean),
            (AvroKind::Float, _) => plain(Kind::Float32, Plan::Float),
            (AvroKind::Double, _) => plain(Kind::Float64, Plan::Double),
            (AvroKind::String, _) => plain(Kind::String, Plan::String),
            (AvroKind::Int, Some("date")) => Ok((Draft::logical(Kind::Int32, logical::DATE), Plan::Int)),
            (AvroKind::Int, Some("time-millis")) => {
                Ok((Draft::logical(Kind::Int32, logical::TIME), Plan::Int))
            }
            (AvroKind::Int, _) => match node.properties.get(CONNECT_TYPE).and_then(Json::as_str) {
                Some("int8") => plain(Kind::Int8, Plan::Int8),
                Some("int16") => plain(Kind::Int16, Plan::Int16),
                Some(other) => Err(TaskError::reject(format!("Connect type annotation {other} is unknown"))),
                None => plain(Kind::Int32, Plan::Int),
            },
            (AvroKind::Long, Some("timestamp-millis")) => {
                Ok((Draft::logical(Kind::Int64, logical::TIMESTAMP), Plan::Long))
            }
            (AvroKind::Long, _) => plain(Kind::Int64, Plan::Long),
            (AvroKind::Bytes, Some("decimal")) => Ok((decimal(node)?, Plan::Bytes)),
            (AvroKind::Bytes, _) => plain(Kind::Bytes, Plan::Bytes),
            (AvroKind::Fixed(fixed), logical_type) => {
                let is_decimal = logical_type == Some("decimal");
                let mut draft = if is_decimal { decimal(node)? } else { Draft::new(Kind::Bytes) };
                draft.parameter(CONNECT_FIXED_SIZE, &fixed.size.to_string());
                Ok((draft, Plan::Fixed(fixed.size)))
            }
            (AvroKind::Enum(symbols), _) => {
                let mut draft = Draft::new(Kind::String);
                if self.shape.meta_data {
                    if let Some(doc) = &symbols.doc {
                        draft.parameter(&format!("{ENUM_DOC}{}", symbols.name.simple), doc);
                    }
                    if let Some(default) = &symbols.default {
                        draft.parameter(&format!("{ENUM_DEFAULT}{}", symbols.name.simple), default);
                    }
                }
                draft.parameter(ENUM, &symbols.name.full());
                for symbol in &symbols.symbols {
                    draft.parameter(&format!("{ENUM}.{symbol}"), symbol);
                }
                Ok((draft, Plan::Enum(symbols.symbols.iter().map(|it| Text::from(it.as_str())).collect())))
            }
            (AvroKind::Array(item), _) => self.array(*item),
            (AvroKind::Map(item), _) => {
                let (value, plan) = self.schema(*item, &Context::default())?;
                let key = SchemaBuilder::string().build();
                plain(Kind::Map { key, value }, Plan::Map(Box::new(plan)))
            }
            (AvroKind::Record(record), _) => self.record(id, record),
            (AvroKind::Union(_), _) => Err(TaskError::reject("a union stands directly in a union")),
        }
    }

    fn array(&mut self, item: NodeId) -> Result<(Draft, Plan), TaskError> {
        let node = self.avro.node(item);
        if let AvroKind::Record(record) = &node.kind
            && is_map_entry(record, node)
        {
            let field = |name: &str| record.fields.iter().find(|field| field.name == name);
            let (Some(key), Some(value)) = (field(KEY), field(VALUE)) else {
                return Err(TaskError::reject(
                    "Found map encoded as array of key-value pairs, but array elements do not match the expected format.",
                ));
            };
            let (key, key_plan) = self.schema(key.node, &Context::default())?;
            let (value, value_plan) = self.schema(value.node, &Context::default())?;
            let plan = Plan::Entries(Box::new((key_plan, value_plan)));
            return Ok((Draft::new(Kind::Map { key, value }), plan));
        }
        let (items, plan) = self.schema(item, &Context::default())?;
        Ok((Draft::new(Kind::Array(items)), Plan::Array(Box::new(plan))))
    }

    fn record(&mut self, id: NodeId, record: &'a Record) -> Result<(Draft, Plan), TaskError> {
        if self.open.contains(&id) {
            return Err(TaskError::reject(format!("recursive type {} is not supported", record.name.full())));
        }
        self.open.push(id);
        let mut draft = Draft::new(Kind::Struct(Box::default()));
        if let Some(doc) = record.doc.as_ref().filter(|_| self.shape.meta_data) {
            draft.parameter(RECORD_DOC, doc);
        }
        let (mut fields, mut plans) = (vec![], vec![]);
        for field in &record.fields {
            if let Some(doc) = field.doc.as_ref().filter(|_| self.shape.meta_data) {
                draft.parameter(&format!("{FIELD_DOC}{}", field.name), doc);
            }
            let context = Context {
                default: field.default.as_ref(),
                doc: field.doc.as_deref().filter(|_| !self.shape.discard_type_doc),
                parameters: field.properties.get(CONNECT_PARAMETERS),
                ..Context::default()
            };
            let (schema, plan) = self.schema(field.node, &context)?;
            fields.push(Field { name: field.name.as_str().into(), schema });
            plans.push(plan);
        }
        self.open.pop();
        draft.kind = Kind::Struct(fields.into_boxed_slice());
        Ok((draft, Plan::Record(plans.into_boxed_slice())))
    }

    /// Doc, version, parameters and name.
    fn describe(&self, draft: &mut Draft, node: &Node, context: &Context<'_>) -> Result<(), TaskError> {
        let property = |key: &str| node.properties.get(key);
        if self.shape.meta_data {
            let own = property(CONNECT_DOC).and_then(Json::as_str);
            draft.doc = own.or(context.doc).map(str::to_owned);
        }
        let declared = property(CONNECT_VERSION).and_then(Json::as_i64).and_then(|it| i32::try_from(it).ok());
        match (draft.version, declared) {
            (Some(known), Some(declared)) if known != declared => {
                return Err(TaskError::reject(format!(
                    "Mismatched versions: version already added to SchemaBuilder ({known}) differs from version in \
                     source schema ({declared})"
                )));
            }
            (Some(_), _) => {}
            (None, declared) => draft.version = declared.or(context.version),
        }
        if self.shape.meta_data {
            let maps = [property(CONNECT_PARAMETERS), context.parameters];
            for (key, value) in maps.into_iter().flatten().filter_map(Json::as_object).flatten() {
                let Some(value) = value.as_str() else {
                    return Err(TaskError::reject("Expected schema parameter values to be strings"));
                };
                draft.parameter(key, value);
            }
        }
        for (key, value) in node.properties.iter().filter(|(key, _)| key.starts_with(AVRO_PREFIX)) {
            draft.parameter(key, &value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
        let named = matches!(node.kind, AvroKind::Record(_) | AvroKind::Enum(_) | AvroKind::Fixed(_));
        let name = match property(CONNECT_NAME) {
            Some(name) => name.as_str().map(str::to_owned),
            None => node.kind.name().filter(|_| named).map(avro::Name::full),
        };
        if draft.name.is_none() {
            // Names of unnamed structs are numbered.
            draft.name = name.filter(|name| !name.starts_with(DEFAULT_FULL_NAME));
        }
        Ok(())
    }

    /// Connect's own default wins; one that stood in the Avro field only is marked.
    fn default<'b>(&self, draft: &mut Draft, node: &'b Node, context: &Context<'b>) -> Option<&'b Json> {
        let own = node.properties.get(CONNECT_DEFAULT);
        match context.default {
            None => own,
            Some(default) => {
                if own.is_none() && self.shape.meta_data {
                    draft.parameter(FIELD_DEFAULT, "true");
                }
                Some(default)
            }
        }
    }
}

fn decimal(node: &Node) -> Result<Draft, TaskError> {
    let number = |key: &str| node.properties.get(key).and_then(Json::as_i64);
    let scale =
        number(SCALE).ok_or_else(|| TaskError::reject("scale must be specified and must be a number."))?;
    let mut draft = Draft::logical(Kind::Bytes, DECIMAL);
    draft.parameter(logical::SCALE, &scale.to_string());
    if let Some(precision) = number(PRECISION).filter(|precision| *precision != i64::from(PRECISION_DEFAULT))
    {
        draft.parameter(logical::PRECISION, &precision.to_string());
    }
    Ok(draft)
}

fn is_map_entry(record: &Record, node: &Node) -> bool {
    (record.name.namespace == NAMESPACE && record.name.simple == MAP_ENTRY)
        || node.properties.get(CONNECT_INTERNAL_TYPE).and_then(Json::as_str) == Some(MAP_ENTRY)
}

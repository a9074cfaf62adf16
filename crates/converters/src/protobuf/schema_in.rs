//! Descriptors → Connect schema, with the plan that reads it.

use connect::{Field, Kind, Schema, SchemaBuilder, TaskError, Text, Value, logical};
use prost_reflect::{
    Cardinality, EnumDescriptor, ExtensionDescriptor, FieldDescriptor, Kind as ProtoKind, MapKey,
    MessageDescriptor, OneofDescriptor, Value as ProtoValue,
};
use registry_client::schemas::FIELD_META;

use super::decode::{Form, MessagePlan, Repetition, Slot, Symbols, Target};
use super::logical::Logical;
use super::names::{
    CONNECT_TYPE, DATE, DECIMAL, ENUM, PRECISION, SCALE, TAG, TIME_OF_DAY, TIMESTAMP, TYPE, UNION, WRAPPERS,
    is_wrapper,
};
use super::settings::{Enums, Nullables, Shape};

/// What a message is read as; `version` is the schema's under its subject.
pub(super) fn to_connect(
    message: &MessageDescriptor,
    shape: Shape,
    version: Option<i32>,
) -> Result<(Schema, Form), TaskError> {
    let meta = message.parent_pool().get_extension_by_name(FIELD_META);
    let mut reader = Reader { shape, meta, open: vec![] };
    let (mut builder, form) = match reader.raw(message)? {
        Some(raw) => raw,
        None => {
            let (builder, plan) = reader.message(message)?;
            (builder, Form::Message(Box::new(plan)))
        }
    };
    if let Some(version) = version {
        builder = builder.version(version);
    }
    Ok((builder.build(), form))
}

struct Reader {
    shape: Shape,
    /// Confluent's option of fields, where the file knows it.
    meta: Option<ExtensionDescriptor>,
    /// Messages that are being read: Connect's schemas here cannot contain themselves.
    open: Vec<String>,
}

impl Reader {
    /// A wrapper at the top is the value within.
    fn raw(&mut self, message: &MessageDescriptor) -> Result<Option<(SchemaBuilder, Form)>, TaskError> {
        if !self.shape.raw_wrappers || !is_wrapper(message.full_name()) {
            return Ok(None);
        }
        self.unwrapped(message, None).map(Some)
    }

    /// The value of a wrapper; `narrow` is the Connect type of its field, where that is smaller.
    fn unwrapped(
        &self,
        message: &MessageDescriptor,
        narrow: Option<&str>,
    ) -> Result<(SchemaBuilder, Form), TaskError> {
        let word = WRAPPERS.iter().find(|(_, name)| *name == message.full_name()).map(|(word, _)| *word);
        let field = message.get_field_by_name("value");
        let (Some(word), Some(field)) = (word, field) else {
            return Err(TaskError::reject("a wrapper message without its value"));
        };
        match (word, narrow) {
            ("int32", Some("int8")) => {
                return Ok((SchemaBuilder::int8(), Form::Wrapper(Box::new(Form::Int8), Value::Int8(0))));
            }
            ("int32", Some("int16")) => {
                return Ok((SchemaBuilder::int16(), Form::Wrapper(Box::new(Form::Int16), Value::Int16(0))));
            }
            _ => {}
        }
        let builder = match word {
            "double" => SchemaBuilder::float64(),
            "float" => SchemaBuilder::float32(),
            "int32" => SchemaBuilder::int32(),
            "bool" => SchemaBuilder::boolean(),
            "string" => SchemaBuilder::string(),
            "bytes" => SchemaBuilder::bytes(),
            _ => SchemaBuilder::int64(),
        };
        let form = scalar(&field.kind()).ok_or_else(|| TaskError::reject("a wrapper around a message"))?;
        let zero = zero_of(&builder);
        Ok((builder, Form::Wrapper(Box::new(form), zero)))
    }

    fn message(&mut self, message: &MessageDescriptor) -> Result<(SchemaBuilder, MessagePlan), TaskError> {
        let name = message.full_name();
        if self.open.iter().any(|open| open == name) {
            return Err(TaskError::reject(format!("recursive message {name} is not supported")));
        }
        self.open.push(name.to_owned());
        let mut fields: Vec<Field> = vec![];
        let mut slots: Vec<(u32, Slot)> = vec![];
        let mut initial: Vec<Value> = vec![];
        for (index, oneof) in message.oneofs().filter(|oneof| !oneof.is_synthetic()).enumerate() {
            let (schema, members) = self.union(&oneof, fields.len())?;
            slots.extend(members);
            initial.push(Value::Null);
            let name = oneof.name();
            let name = if self.shape.union_index { format!("{name}_{index}") } else { name.to_owned() };
            fields.push(Field { name: name.into(), schema });
        }
        for field in declared_fields(message) {
            if field.containing_oneof().is_some_and(|oneof| !oneof.is_synthetic()) {
                continue;
            }
            let (schema, form, repetition) = self.field(&field)?;
            initial.push(self.absent(&field, &schema, &form));
            let target = Target::Field(fields.len());
            slots.push((field.number(), Slot { target, form, repetition }));
            fields.push(Field { name: field.name().into(), schema });
        }
        self.open.pop();
        let name = if self.shape.enhanced { message.full_name() } else { message.name() };
        let builder = SchemaBuilder::new(Kind::Struct(fields.into())).name(name);
        Ok((builder, MessagePlan::new(slots, initial)))
    }

    fn union(
        &mut self,
        oneof: &OneofDescriptor,
        index: usize,
    ) -> Result<(Schema, Vec<(u32, Slot)>), TaskError> {
        let name = if self.shape.enhanced { oneof.full_name() } else { oneof.name() };
        let (mut fields, mut slots) = (vec![], vec![]);
        let members: Vec<_> = oneof.fields().collect();
        for (member, field) in members.iter().enumerate() {
            let (schema, form, repetition) = self.field(field)?;
            let target = Target::Union { index, member, members: members.len() };
            slots.push((field.number(), Slot { target, form, repetition }));
            fields.push(Field { name: field.name().into(), schema });
        }
        let builder = SchemaBuilder::new(Kind::Struct(fields.into())).name(format!("{UNION}.{name}"));
        Ok((builder.optional().build(), slots))
    }

    fn field(&mut self, field: &FieldDescriptor) -> Result<(Schema, Form, Repetition), TaskError> {
        let is_list = field.cardinality() == Cardinality::Repeated;
        if let ProtoKind::Message(entry) = field.kind()
            && is_list
            && let Some(map) = self.map(field, &entry)?
        {
            return Ok(map);
        }
        let (mut builder, form) = self.kind(field)?;
        let mut repetition = Repetition::Single;
        if is_list {
            builder = SchemaBuilder::array(builder.optional().build()).optional();
            repetition = Repetition::List;
        }
        Ok((self.finish(builder, field), form, repetition))
    }

    /// A list of entries of key and value.
    fn map(
        &mut self,
        field: &FieldDescriptor,
        entry: &MessageDescriptor,
    ) -> Result<Option<(Schema, Form, Repetition)>, TaskError> {
        let parts: Vec<_> = declared_fields(entry).collect();
        let [key, value] = &parts[..] else { return Ok(None) };
        let is_part = |field: &FieldDescriptor, name: &str| {
            field.name() == name && field.cardinality() != Cardinality::Repeated
        };
        if !entry.name().ends_with(ENTRY) || !is_part(key, "key") || !is_part(value, "value") {
            return Ok(None);
        }
        let (key_schema, key_form, _) = self.field(key)?;
        let (value_schema, value_form, _) = self.field(value)?;
        let absent = |field: &FieldDescriptor, schema: &Schema, form: &Form| match form {
            Form::Message(_) | Form::Wrapper(..) | Form::Logical(_) => Value::Null,
            _ => zero_value(field, schema, self.shape),
        };
        let initial = vec![absent(key, &key_schema, &key_form), absent(value, &value_schema, &value_form)];
        let slot = |index, form| Slot { target: Target::Field(index), form, repetition: Repetition::Single };
        let slots = vec![(key.number(), slot(0, key_form)), (value.number(), slot(1, value_form))];
        let plan = MessagePlan::new(slots, initial);
        let builder = SchemaBuilder::map(key_schema, value_schema).name(map_name(entry.name()));
        let schema = self.finish(builder, field);
        Ok(Some((schema, Form::Message(Box::new(plan)), Repetition::Map)))
    }

    /// What the place adds to a type: whether it may be missing, and its number.
    fn finish(&self, builder: SchemaBuilder, field: &FieldDescriptor) -> Schema {
        let builder = match self.shape.nullables {
            Nullables::Lost => builder.optional(),
            Nullables::Keyword if has_keyword(field) => builder.optional(),
            Nullables::Keyword | Nullables::Wrapper => builder,
        };
        builder.parameter(TAG, field.number().to_string()).build()
    }

    fn kind(&mut self, field: &FieldDescriptor) -> Result<(SchemaBuilder, Form), TaskError> {
        let kind = field.kind();
        if let ProtoKind::Message(message) = &kind {
            let (builder, form) = self.message_kind(field, message)?;
            return Ok((builder.optional(), form));
        }
        if let ProtoKind::Enum(symbols) = &kind {
            return Ok(self.enumeration(symbols));
        }
        let narrow = self.meta(field, CONNECT_TYPE);
        let own_word = |builder: SchemaBuilder, word: &str| builder.parameter(TYPE, word);
        let builder = match (&kind, narrow.as_deref()) {
            (ProtoKind::Int32 | ProtoKind::Sint32 | ProtoKind::Sfixed32, Some("int8")) => {
                SchemaBuilder::int8()
            }
            (ProtoKind::Int32 | ProtoKind::Sint32 | ProtoKind::Sfixed32, Some("int16")) => {
                SchemaBuilder::int16()
            }
            (ProtoKind::Int32, _) => SchemaBuilder::int32(),
            (ProtoKind::Sint32, _) => own_word(SchemaBuilder::int32(), "sint32"),
            (ProtoKind::Sfixed32, _) => own_word(SchemaBuilder::int32(), "sfixed32"),
            (ProtoKind::Int64, _) => SchemaBuilder::int64(),
            (ProtoKind::Uint32, _) => own_word(SchemaBuilder::int64(), "uint32"),
            (ProtoKind::Fixed32, _) => own_word(SchemaBuilder::int64(), "fixed32"),
            (ProtoKind::Uint64, _) => own_word(SchemaBuilder::int64(), "uint64"),
            (ProtoKind::Sint64, _) => own_word(SchemaBuilder::int64(), "sint64"),
            (ProtoKind::Fixed64, _) => own_word(SchemaBuilder::int64(), "fixed64"),
            (ProtoKind::Sfixed64, _) => own_word(SchemaBuilder::int64(), "sfixed64"),
            (ProtoKind::Float, _) => SchemaBuilder::float32(),
            (ProtoKind::Double, _) => SchemaBuilder::float64(),
            (ProtoKind::Bool, _) => SchemaBuilder::boolean(),
            (ProtoKind::String, _) => SchemaBuilder::string(),
            _ => SchemaBuilder::bytes(),
        };
        let form = match (scalar(&kind), narrow.as_deref()) {
            (Some(Form::Int32), Some("int8")) => Form::Int8,
            (Some(Form::Int32), Some("int16")) => Form::Int16,
            (Some(form), _) => form,
            (None, _) => return Err(TaskError::reject("a field of an unknown type")),
        };
        Ok((builder, form))
    }

    fn message_kind(
        &mut self,
        field: &FieldDescriptor,
        message: &MessageDescriptor,
    ) -> Result<(SchemaBuilder, Form), TaskError> {
        Ok(match message.full_name() {
            DECIMAL => {
                let number = |text: Option<String>| text.and_then(|text| text.parse::<i32>().ok());
                let scale = number(self.meta(field, SCALE)).unwrap_or(0);
                let mut builder = logical::decimal(scale);
                if let Some(precision) = number(self.meta(field, PRECISION)) {
                    builder = builder.parameter(logical::PRECISION, precision.to_string());
                }
                (builder, Form::Logical(Logical::Decimal { scale }))
            }
            DATE => (logical::date(), Form::Logical(Logical::Date)),
            TIME_OF_DAY => (logical::time(), Form::Logical(Logical::Time)),
            TIMESTAMP => (logical::timestamp(), Form::Logical(Logical::Timestamp)),
            name if self.shape.nullables == Nullables::Wrapper && is_wrapper(name) => {
                self.unwrapped(message, self.meta(field, CONNECT_TYPE).as_deref())?
            }
            _ => {
                let (builder, plan) = self.message(message)?;
                (builder, Form::Message(Box::new(plan)))
            }
        })
    }

    fn enumeration(&self, symbols: &EnumDescriptor) -> (SchemaBuilder, Form) {
        let name = if self.shape.enhanced { symbols.full_name() } else { symbols.name() };
        let is_number = self.shape.enums == Enums::Numbers;
        let builder = if is_number { SchemaBuilder::int32() } else { SchemaBuilder::string() };
        let mut builder = builder.name(name).parameter(ENUM, symbols.name());
        for symbol in symbols.values() {
            builder = builder.parameter(format!("{ENUM}.{}", symbol.name()), symbol.number().to_string());
        }
        let form = if is_number { Form::Int32 } else { Form::Enum(Symbols::new(symbols)) };
        (builder.optional(), form)
    }

    /// A parameter of Confluent's field option.
    fn meta(&self, field: &FieldDescriptor, name: &str) -> Option<String> {
        let options = field.options();
        let extension = self.meta.as_ref().filter(|extension| options.has_extension(extension))?;
        let meta = options.get_extension(extension);
        let parameters = meta.as_message()?.get_field_by_name("params")?;
        let value = parameters.as_map()?.get(&MapKey::String(name.to_owned()))?;
        value.as_str().map(str::to_owned)
    }

    /// What a field is that the bytes do not have.
    fn absent(&self, field: &FieldDescriptor, schema: &Schema, form: &Form) -> Value {
        match schema.kind() {
            Kind::Array(_) => return Value::Array(Box::default()),
            Kind::Map { .. } => return Value::Map(Box::default()),
            _ => {}
        }
        let is_message = matches!(form, Form::Message(_) | Form::Wrapper(..) | Form::Logical(_));
        let is_proto2 = field.supports_presence() && !is_proto3_optional(field) && !field.is_required();
        let is_null = is_proto3_optional(field) || (is_proto2 && self.shape.proto2_optional);
        if is_message || is_null { Value::Null } else { zero_value(field, schema, self.shape) }
    }
}

/// Entries of maps are named after their field.
const ENTRY: &str = "Entry";

/// In the order in which the file has them.
fn declared_fields(message: &MessageDescriptor) -> impl Iterator<Item = FieldDescriptor> + '_ {
    let numbers = message.descriptor_proto().field.iter().filter_map(|field| field.number);
    numbers.filter_map(|number| message.get_field(u32::try_from(number).ok()?))
}

fn is_proto3_optional(field: &FieldDescriptor) -> bool {
    field.field_descriptor_proto().proto3_optional()
}

fn has_keyword(field: &FieldDescriptor) -> bool {
    let is_proto2 = field.parent_file().syntax() == prost_reflect::Syntax::Proto2;
    is_proto3_optional(field) || (is_proto2 && field.cardinality() == Cardinality::Optional)
}

fn scalar(kind: &ProtoKind) -> Option<Form> {
    Some(match kind {
        ProtoKind::Int32 => Form::Int32,
        ProtoKind::Sint32 => Form::Sint32,
        ProtoKind::Sfixed32 => Form::Sfixed32,
        ProtoKind::Int64 | ProtoKind::Uint64 => Form::Int64,
        ProtoKind::Uint32 => Form::Uint32,
        ProtoKind::Sint64 => Form::Sint64,
        ProtoKind::Fixed32 => Form::Fixed32,
        ProtoKind::Fixed64 | ProtoKind::Sfixed64 => Form::Fixed64,
        ProtoKind::Float => Form::Float,
        ProtoKind::Double => Form::Double,
        ProtoKind::Bool => Form::Bool,
        ProtoKind::String => Form::String,
        ProtoKind::Bytes => Form::Bytes,
        ProtoKind::Message(_) | ProtoKind::Enum(_) => return None,
    })
}

fn zero_of(builder: &SchemaBuilder) -> Value {
    match builder.clone().build().kind() {
        Kind::Int32 => Value::Int32(0),
        Kind::Int64 => Value::Int64(0),
        Kind::Float32 => Value::Float32(0.0),
        Kind::Float64 => Value::Float64(0.0),
        Kind::Boolean => Value::Boolean(false),
        Kind::String => Value::text(""),
        _ => Value::Bytes(connect::Blob::EMPTY),
    }
}

/// The value of a field without presence that is not there; proto2's own default too.
fn zero_value(field: &FieldDescriptor, schema: &Schema, shape: Shape) -> Value {
    match (field.default_value(), schema.kind()) {
        (ProtoValue::Bool(flag), _) => Value::Boolean(flag),
        (ProtoValue::I32(number), Kind::Int8) => Value::Int8(number as i8),
        (ProtoValue::I32(number), Kind::Int16) => Value::Int16(number as i16),
        (ProtoValue::I32(number), _) => Value::Int32(number),
        (ProtoValue::I64(number), _) => Value::Int64(number),
        (ProtoValue::U32(number), _) => Value::Int64(i64::from(number)),
        (ProtoValue::U64(number), _) => Value::Int64(number as i64),
        (ProtoValue::F32(number), _) => Value::Float32(number),
        (ProtoValue::F64(number), _) => Value::Float64(number),
        (ProtoValue::String(text), _) => Value::String(Text::from(text)),
        (ProtoValue::Bytes(bytes), _) => Value::Bytes(connect::Blob::from(&bytes[..])),
        (ProtoValue::EnumNumber(number), _) if shape.enums == Enums::Numbers => Value::Int32(number),
        (ProtoValue::EnumNumber(number), _) => match field.kind() {
            ProtoKind::Enum(symbols) => Symbols::new(&symbols).value(number),
            _ => Value::Null,
        },
        _ => Value::Null,
    }
}

/// `KeyMapEntry` is the map `key_map`.
fn map_name(entry: &str) -> String {
    let name = entry.strip_suffix(ENTRY).unwrap_or(entry);
    let mut out = String::new();
    for (index, character) in name.chars().enumerate() {
        if character.is_ascii_uppercase() && index > 0 {
            out.push('_');
        }
        out.extend(character.to_lowercase());
    }
    out
}

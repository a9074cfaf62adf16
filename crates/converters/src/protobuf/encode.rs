//! Values → message, by a plan over the Connect schema and the message that is written.

use connect::logical::{
    DATE as CONNECT_DATE, DECIMAL as CONNECT_DECIMAL, TIME, TIMESTAMP as CONNECT_TIMESTAMP, decimal_scale,
};
use connect::{Kind, Schema, TaskError, Value};
use foldhash::HashMap;
use prost_reflect::{Cardinality, EnumDescriptor, FieldDescriptor, Kind as ProtoKind, MessageDescriptor};

use super::logical::Logical;
use super::names::{is_union, is_wrapper};
use super::settings::Shape;
use super::wire::{self, DELIMITED, FIXED32, FIXED64, VARINT, delimited, varint, zigzag};

/// A message's fields, in the schema's order.
pub(super) struct MessagePlan(Box<[FieldPlan]>);

struct FieldPlan {
    /// Index in the struct.
    index: usize,
    form: FieldForm,
    /// What a null is written as: a default.
    null: Option<Value>,
}

enum FieldForm {
    /// A value; one without presence is left out where it is zero.
    Single { key: Box<[u8]>, form: Form, presence: Presence },
    /// A list, each item with a key of its own.
    List { key: Box<[u8]>, form: Form },
    /// A list of numbers behind one key.
    Packed { key: Box<[u8]>, form: Form },
    /// A list of messages of key (1) and value (2).
    Map { key: Box<[u8]>, entry: Box<(FieldForm, FieldForm)> },
    /// A struct of which one field is set.
    Union(Box<[FieldPlan]>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Explicit,
    Implicit,
}

enum Form {
    Varint,
    Zigzag,
    Fixed32,
    Fixed64,
    Float,
    Double,
    Bool,
    String,
    Bytes,
    /// Number of each symbol.
    Enum(HashMap<Box<str>, i32>),
    Message(MessagePlan),
    /// A message around one value.
    Wrapper(Box<FieldForm>),
    Logical(Logical),
}

/// Compiles the plan. A field that the message lacks is left out: whether that may be was asked before.
pub(super) fn compile(
    schema: &Schema,
    message: &MessageDescriptor,
    shape: Shape,
) -> Result<MessagePlan, TaskError> {
    let mut plans = vec![];
    for (index, field) in schema.fields().iter().enumerate() {
        if let Some(plan) = field_plan(index, field, message, shape)? {
            plans.push(plan);
        }
    }
    Ok(MessagePlan(plans.into_boxed_slice()))
}

/// The plan of a value at the top that is no struct: Google's wrapper.
pub(super) fn compile_raw(
    schema: &Schema,
    message: &MessageDescriptor,
    shape: Shape,
) -> Result<MessagePlan, TaskError> {
    let field = message.get_field_by_name("value").ok_or_else(|| mismatch(schema))?;
    let form = field_form(schema, &field, shape)?;
    Ok(MessagePlan(Box::new([FieldPlan { index: 0, form, null: None }])))
}

fn field_plan(
    index: usize,
    field: &connect::Field,
    message: &MessageDescriptor,
    shape: Shape,
) -> Result<Option<FieldPlan>, TaskError> {
    let schema = &field.schema;
    let default = schema.default().filter(|_| !shape.ignore_defaults || !schema.is_optional());
    let null = default.cloned();
    if is_union(schema) {
        let mut members = vec![];
        for (index, member) in schema.fields().iter().enumerate() {
            members.extend(field_plan(index, member, message, shape)?);
        }
        return Ok(Some(FieldPlan { index, form: FieldForm::Union(members.into()), null: None }));
    }
    let name = shape.scrub.name(&field.name);
    let Some(descriptor) = message.get_field_by_name(&name) else { return Ok(None) };
    Ok(Some(FieldPlan { index, form: field_form(schema, &descriptor, shape)?, null }))
}

fn field_form(schema: &Schema, field: &FieldDescriptor, shape: Shape) -> Result<FieldForm, TaskError> {
    let is_list = field.cardinality() == Cardinality::Repeated;
    let number = field.number();
    match (schema.kind(), is_list) {
        (Kind::Map { key, value }, true) => {
            let ProtoKind::Message(entry) = field.kind() else { return Err(mismatch(schema)) };
            let part = |name: &str, schema: &Schema| {
                let field = entry.get_field_by_name(name).ok_or_else(|| mismatch(schema))?;
                field_form(schema, &field, shape)
            };
            let entry = Box::new((part("key", key)?, part("value", value)?));
            Ok(FieldForm::Map { key: wire::key(number, DELIMITED), entry })
        }
        (Kind::Array(items), true) => {
            let form = form(items, field, shape)?;
            if field.is_packed() {
                return Ok(FieldForm::Packed { key: wire::key(number, DELIMITED), form });
            }
            Ok(FieldForm::List { key: wire::key(number, form.wire_type()), form })
        }
        (Kind::Array(_) | Kind::Map { .. }, false) | (_, true) => Err(mismatch(schema)),
        (_, false) => {
            let form = form(schema, field, shape)?;
            let presence = if field.supports_presence() { Presence::Explicit } else { Presence::Implicit };
            Ok(FieldForm::Single { key: wire::key(number, form.wire_type()), form, presence })
        }
    }
}

fn form(schema: &Schema, field: &FieldDescriptor, shape: Shape) -> Result<Form, TaskError> {
    let is_integer = matches!(schema.kind(), Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64);
    Ok(match (schema.kind(), field.kind()) {
        (_, ProtoKind::Message(message)) => return message_form(schema, &message, shape),
        _ if is_logical(schema) => return Err(mismatch(schema)),
        (_, ProtoKind::Int32 | ProtoKind::Int64 | ProtoKind::Uint32 | ProtoKind::Uint64) if is_integer => {
            Form::Varint
        }
        (_, ProtoKind::Sint32 | ProtoKind::Sint64) if is_integer => Form::Zigzag,
        (_, ProtoKind::Fixed32 | ProtoKind::Sfixed32) if is_integer => Form::Fixed32,
        (_, ProtoKind::Fixed64 | ProtoKind::Sfixed64) if is_integer => Form::Fixed64,
        (_, ProtoKind::Enum(_)) if is_integer => Form::Varint,
        (Kind::String, ProtoKind::Enum(symbols)) => Form::Enum(numbers(&symbols)),
        (Kind::Float32, ProtoKind::Float) => Form::Float,
        (Kind::Float32 | Kind::Float64, ProtoKind::Double) => Form::Double,
        (Kind::Boolean, ProtoKind::Bool) => Form::Bool,
        (Kind::String, ProtoKind::String) => Form::String,
        (Kind::String | Kind::Bytes, ProtoKind::Bytes) => Form::Bytes,
        _ => return Err(mismatch(schema)),
    })
}

fn message_form(schema: &Schema, message: &MessageDescriptor, shape: Shape) -> Result<Form, TaskError> {
    use super::names::{DATE, DECIMAL, TIME_OF_DAY, TIMESTAMP};
    let scale = decimal_scale(schema);
    Ok(match (schema.name(), message.full_name()) {
        (Some(CONNECT_DECIMAL), DECIMAL) => {
            let scale = scale
                .ok_or_else(|| TaskError::reject("Invalid Decimal schema: scale parameter not found"))?;
            Form::Logical(Logical::Decimal { scale })
        }
        (Some(CONNECT_DATE), DATE) => Form::Logical(Logical::Date),
        (Some(TIME), TIME_OF_DAY) => Form::Logical(Logical::Time),
        (Some(CONNECT_TIMESTAMP), TIMESTAMP) => Form::Logical(Logical::Timestamp),
        (_, name) if is_wrapper(name) && !matches!(schema.kind(), Kind::Struct(_)) => {
            let field = message.get_field_by_name("value").ok_or_else(|| mismatch(schema))?;
            Form::Wrapper(Box::new(field_form(schema, &field, shape)?))
        }
        _ if matches!(schema.kind(), Kind::Struct(_)) => Form::Message(compile(schema, message, shape)?),
        _ => return Err(mismatch(schema)),
    })
}

fn is_logical(schema: &Schema) -> bool {
    matches!(schema.name(), Some(CONNECT_DECIMAL | CONNECT_DATE | TIME | CONNECT_TIMESTAMP))
}

fn numbers(symbols: &EnumDescriptor) -> HashMap<Box<str>, i32> {
    symbols.values().map(|symbol| (symbol.name().into(), symbol.number())).collect()
}

impl MessagePlan {
    pub(super) fn write(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), TaskError> {
        let Value::Struct(fields) = value else { return Err(wrong_type()) };
        self.write_fields(fields, out)
    }

    /// The value of a wrapper.
    pub(super) fn write_raw(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), TaskError> {
        self.write_fields(std::slice::from_ref(value), out)
    }

    fn write_fields(&self, fields: &[Value], out: &mut Vec<u8>) -> Result<(), TaskError> {
        for plan in &self.0 {
            plan.write(fields.get(plan.index).unwrap_or(&Value::Null), out)?;
        }
        Ok(())
    }
}

impl FieldPlan {
    #[inline]
    fn write(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), TaskError> {
        match (value, &self.null) {
            (Value::Null, None) => Ok(()),
            (Value::Null, Some(default)) => self.form.write(default, out),
            (value, _) => self.form.write(value, out),
        }
    }
}

impl FieldForm {
    /// `value` is not null.
    fn write(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), TaskError> {
        match self {
            Self::Single { presence: Presence::Implicit, .. } if is_zero(value) => Ok(()),
            Self::Single { key, form, presence } => {
                let start = out.len();
                out.extend_from_slice(key);
                form.write(value, out)?;
                // The first symbol of an enum is its zero.
                if *presence == Presence::Implicit && matches!(form, Form::Enum(_)) && out.last() == Some(&0)
                {
                    let is_one_byte = out.len() == start + key.len() + 1;
                    out.truncate(if is_one_byte { start } else { out.len() });
                }
                Ok(())
            }
            Self::List { key, form } => {
                let Value::Array(items) = value else { return Err(wrong_type()) };
                items.iter().try_for_each(|item| {
                    out.extend_from_slice(key);
                    form.write(item, out)
                })
            }
            Self::Packed { key, form } => {
                let Value::Array(items) = value else { return Err(wrong_type()) };
                if items.is_empty() {
                    return Ok(());
                }
                out.extend_from_slice(key);
                delimited(out, |out| items.iter().try_for_each(|item| form.write(item, out)))
            }
            Self::Map { key, entry } => {
                let Value::Map(entries) = value else { return Err(wrong_type()) };
                entries.iter().try_for_each(|(map_key, map_value)| {
                    out.extend_from_slice(key);
                    delimited(out, |out| {
                        entry.0.write_present(map_key, out)?;
                        entry.1.write_present(map_value, out)
                    })
                })
            }
            Self::Union(members) => {
                let Value::Struct(fields) = value else { return Err(wrong_type()) };
                let set = members.iter().find_map(|member| {
                    let field = fields.get(member.index).filter(|field| !field.is_null())?;
                    Some((member, field))
                });
                set.map_or(Ok(()), |(member, field)| member.write(field, out))
            }
        }
    }

    fn write_present(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), TaskError> {
        if value.is_null() { Ok(()) } else { self.write(value, out) }
    }
}

/// What a field without presence does not write. Strings of enums are judged by their number.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Boolean(flag) => !flag,
        // A negative zero is another value.
        Value::Float32(number) => number.to_bits() == 0,
        Value::Float64(number) => number.to_bits() == 0,
        Value::String(text) => text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        other => other.as_i64() == Some(0),
    }
}

impl Form {
    fn wire_type(&self) -> u8 {
        match self {
            Self::Varint | Self::Zigzag | Self::Bool | Self::Enum(_) => VARINT,
            Self::Fixed32 | Self::Float => FIXED32,
            Self::Fixed64 | Self::Double => FIXED64,
            Self::String | Self::Bytes | Self::Message(_) | Self::Wrapper(_) | Self::Logical(_) => DELIMITED,
        }
    }

    #[inline]
    fn write(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), TaskError> {
        let integer = || value.as_i64().ok_or_else(wrong_type);
        match (self, value) {
            (Self::Varint, _) => varint(integer()? as u64, out),
            (Self::Zigzag, _) => varint(zigzag(integer()?), out),
            (Self::Fixed32, _) => out.extend_from_slice(&(integer()? as u32).to_le_bytes()),
            (Self::Fixed64, _) => out.extend_from_slice(&(integer()? as u64).to_le_bytes()),
            (Self::Float, Value::Float32(number)) => out.extend_from_slice(&number.to_le_bytes()),
            (Self::Double, Value::Float64(number)) => out.extend_from_slice(&number.to_le_bytes()),
            (Self::Double, Value::Float32(number)) => {
                out.extend_from_slice(&f64::from(*number).to_le_bytes())
            }
            (Self::Bool, Value::Boolean(flag)) => out.push(u8::from(*flag)),
            (Self::String | Self::Bytes, Value::String(text)) => write_bytes(text.as_bytes(), out),
            (Self::Bytes, Value::Bytes(bytes)) => write_bytes(bytes, out),
            (Self::Enum(numbers), Value::String(text)) => match numbers.get(text.as_str()) {
                Some(number) => varint(i64::from(*number) as u64, out),
                None => return Err(TaskError::reject("the value is not among the enum's symbols")),
            },
            (Self::Message(plan), Value::Struct(_)) => delimited(out, |out| plan.write(value, out))?,
            (Self::Wrapper(form), value) if !value.is_null() => delimited(out, |out| form.write(value, out))?,
            (Self::Logical(logical), value) => logical.write(value, out)?,
            (_, Value::Null) => {
                return Err(TaskError::reject("Protobuf has no null among the items of a list"));
            }
            _ => return Err(wrong_type()),
        }
        Ok(())
    }
}

#[inline]
fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

#[cold]
fn wrong_type() -> TaskError {
    TaskError::reject("Invalid type: the value does not fit the type that its schema gives")
}

fn mismatch(schema: &Schema) -> TaskError {
    TaskError::reject(format!(
        "the Protobuf message has another type in the place of {} {}",
        schema.kind().type_name(),
        schema.name().unwrap_or_default()
    ))
}

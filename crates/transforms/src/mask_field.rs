//! `org.apache.kafka.connect.transforms.MaskField`: fields as their type's null value, or as a given one.

use connect::decimal;
use connect::logical::{self, DATE, TIME, TIMESTAMP};
use connect::settings::{Definition, Importance, Properties, Validator, row};
use connect::value::Decimal;
use connect::{Blob, Kind, Record, Schema, TaskError, Text, Transform, Value, Verdict, java_number};

use crate::nulls::{self, Defaults, Nulls};
use crate::part::Part;
use crate::schema_cache::SchemaCache;
use crate::{options, shape};

const PURPOSE: &str = "mask fields";

pub(crate) struct MaskField {
    part: Part,
    fields: Vec<String>,
    replacement: Option<Replacement>,
    nulls: Nulls,
    plans: SchemaCache<Result<Plan, String>>,
}

/// The given text and the numbers that it stands for.
struct Replacement {
    text: Text,
    number: Option<(Vec<u8>, i32)>,
}

struct Plan {
    masks: Vec<(usize, Result<Value, String>)>,
    defaults: Defaults,
}

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row("fields")
            .list()
            .required()
            .importance(Importance::High)
            .check(options::checked!(options::names, "fields"))
            .doc("Fields to mask."),
        row("replacement")
            .importance(Importance::Low)
            .check(Validator::NonEmpty)
            .doc("Text or number that takes a value's place; without it the type's empty value does."),
        Nulls::row(),
    ])
}

impl MaskField {
    pub(crate) fn new(part: Part, properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&definition(), properties)?;
        let replacement = resolved.text("replacement").map(|text| Replacement {
            text: Text::from(text),
            number: decimal::parse(text).map(|(number, scale)| (number.to_signed_bytes_be(), scale)),
        });
        Ok(Self {
            part,
            fields: resolved.list("fields").to_vec(),
            replacement,
            nulls: Nulls::of(&resolved),
            plans: SchemaCache::default(),
        })
    }
}

impl Transform for MaskField {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let Self { part, fields: names, replacement, nulls, plans } = self;
        let (schema, value) = part.of_mut(record);
        let Some(schema) = schema.as_ref() else {
            mask_entries(shape::entries_of(value, PURPOSE)?, names, replacement.as_ref())?;
            return Ok(Verdict::Keep);
        };
        let fields = shape::fields_of(value, PURPOSE)?;
        let plan =
            plans.get_or_compile(schema, |schema| Plan::new(schema, names, replacement.as_ref(), *nulls));
        let plan = shape::planned(plan)?;
        nulls::fill(fields, &plan.defaults);
        for (index, mask) in &plan.masks {
            if !fields[*index].is_null() {
                fields[*index] = shape::planned(mask)?.clone();
            }
        }
        Ok(Verdict::Keep)
    }
}

fn mask_entries(
    entries: &mut shape::Entries,
    names: &[String],
    replacement: Option<&Replacement>,
) -> Result<(), TaskError> {
    let mut missing = vec![];
    for name in names {
        match entries.iter_mut().find(|(key, _)| key.as_str() == Some(name)) {
            Some((_, value)) => *value = mask_of(value, replacement).map_err(TaskError::reject)?,
            None => missing.push((Value::text(name), Value::Null)),
        }
    }
    if !missing.is_empty() {
        shape::put_entries(entries, missing);
    }
    Ok(())
}

impl Plan {
    fn new(
        schema: &Schema,
        names: &[String],
        replacement: Option<&Replacement>,
        nulls: Nulls,
    ) -> Result<Self, String> {
        shape::require_struct(schema, &Value::Null, PURPOSE)?;
        let masked = schema
            .fields()
            .iter()
            .enumerate()
            .filter(|(_, field)| names.iter().any(|it| **it == *field.name));
        let masks = masked.map(|(index, field)| (index, mask_under(&field.schema, replacement))).collect();
        Ok(Self { masks, defaults: nulls.defaults_of(schema) })
    }
}

/// The one value that every value under a schema becomes.
fn mask_under(schema: &Schema, replacement: Option<&Replacement>) -> Result<Value, String> {
    let sample = match schema.kind() {
        Kind::Int32 if matches!(schema.name(), Some(DATE | TIME)) => Value::Date(0),
        Kind::Int64 if schema.name() == Some(TIMESTAMP) => Value::Date(0),
        Kind::Bytes => match logical::decimal_scale(schema) {
            Some(scale) => return decimal_mask(scale, replacement),
            None => Value::Bytes(Blob::EMPTY),
        },
        Kind::Int8 => Value::Int8(0),
        Kind::Int16 => Value::Int16(0),
        Kind::Int32 => Value::Int32(0),
        Kind::Int64 => Value::Int64(0),
        Kind::Float32 => Value::Float32(0.0),
        Kind::Float64 => Value::Float64(0.0),
        Kind::Boolean => Value::Boolean(false),
        Kind::String => Value::String(Text::EMPTY),
        Kind::Array(_) => Value::Array(Box::default()),
        Kind::Map { .. } => Value::Map(Box::default()),
        Kind::Struct(_) => Value::Struct(Box::default()),
    };
    Ok(match (mask_of(&sample, replacement)?, schema.kind()) {
        (Value::Date(_), Kind::Int32) => Value::Int32(0),
        (Value::Date(_), _) => Value::Int64(0),
        (mask, _) => mask,
    })
}

/// At the scale of the schema, which Connect's own masks do not keep: its converters refuse them.
fn decimal_mask(scale: i32, replacement: Option<&Replacement>) -> Result<Value, String> {
    let Some(replacement) = replacement else { return Ok(Value::Bytes(Blob::copy(&[0]))) };
    let number =
        decimal::parse(&replacement.text).and_then(|(number, own)| decimal::rescale(&number, own, scale));
    match number {
        Some(number) => Ok(Value::Bytes(Blob::from(number.to_signed_bytes_be()))),
        None => Err(format!("Unable to convert {} to a decimal of scale {scale}", replacement.text)),
    }
}

fn mask_of(value: &Value, replacement: Option<&Replacement>) -> Result<Value, String> {
    match replacement {
        _ if value.is_null() => Ok(Value::Null),
        None => null_value(value),
        Some(replacement) => replacement.instead_of(value),
    }
}

fn null_value(value: &Value) -> Result<Value, String> {
    Ok(match value {
        Value::Boolean(_) => Value::Boolean(false),
        Value::Int8(_) => Value::Int8(0),
        Value::Int16(_) => Value::Int16(0),
        Value::Int32(_) => Value::Int32(0),
        Value::Int64(_) => Value::Int64(0),
        Value::Float32(_) => Value::Float32(0.0),
        Value::Float64(_) => Value::Float64(0.0),
        Value::String(_) => Value::String(Text::EMPTY),
        Value::Date(_) => Value::Date(0),
        Value::Array(_) => Value::Array(Box::default()),
        Value::Map(_) => Value::Map(Box::default()),
        Value::Decimal(number) => {
            Value::Decimal(Box::new(Decimal { unscaled: vec![0], scale: 0, integer: number.integer }))
        }
        Value::Null | Value::Bytes(_) | Value::Struct(_) => {
            return Err(format!("Cannot mask value of type: class {}", shape::java_class(value)));
        }
    })
}

impl Replacement {
    fn instead_of(&self, value: &Value) -> Result<Value, String> {
        if matches!(value, Value::String(_)) {
            return Ok(Value::String(self.text.clone()));
        }
        if !matches!(
            value,
            Value::Int8(_)
                | Value::Int16(_)
                | Value::Int32(_)
                | Value::Int64(_)
                | Value::Float32(_)
                | Value::Float64(_)
                | Value::Decimal(_)
        ) {
            let class = shape::java_class(value);
            return Err(format!("Cannot mask value of type class {class} with custom replacement."));
        }
        let refused = || format!("Unable to convert {} (class java.lang.String) to a number", self.text);
        let (unscaled, scale) = self.number.as_ref().ok_or_else(refused)?;
        let whole = || java_number::low_bits(&java_number::whole_part(unscaled, *scale).to_signed_bytes_be());
        let double = || java_number::decimal_to_double(unscaled, *scale);
        Ok(match value {
            Value::Int8(_) => Value::Int8(whole() as i8),
            Value::Int16(_) => Value::Int16(whole() as i16),
            Value::Int32(_) => Value::Int32(whole() as i32),
            Value::Int64(_) => Value::Int64(whole()),
            Value::Float32(_) => Value::Float32(double() as f32),
            Value::Decimal(number) if number.integer && *scale != 0 => return Err(refused()),
            Value::Decimal(number) => Value::Decimal(Box::new(Decimal {
                unscaled: unscaled.clone(),
                scale: *scale,
                integer: number.integer,
            })),
            _ => Value::Float64(double()),
        })
    }
}

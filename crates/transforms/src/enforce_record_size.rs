//! `io.debezium.transforms.EnforceRecordSize`: long texts and bytes are cut until the record fits.
//!
//! The size is Debezium's estimate of what the record takes in Java's memory, so that a limit means the same here.

use connect::logical::decimal_scale;
use connect::settings::{Definition, Importance, Kind as OptionKind, Properties, Validator, row};
use connect::{Blob, Kind, Record, Schema, TaskError, Text, Transform, Value, Verdict};

use crate::envelope::{AFTER, BEFORE, is_envelope};
use crate::options;
use crate::places::{Places, Reach};
use crate::schema_cache::SchemaCache;

const STRUCT_BYTES: usize = 56;
const STRING_BYTES: usize = 56;
const BYTES_BYTES: usize = 24;
const PRIMITIVE_BYTES: usize = 24;
const REFERENCE_BYTES: usize = 8;
/// Partition, offset and each header.
const ENTRY_BYTES: usize = 100;

pub(crate) struct EnforceRecordSize {
    max_bytes: usize,
    compression_ratio: f64,
    field_bytes_min: usize,
    plans: SchemaCache<Option<Places<()>>>,
}

pub(crate) fn definition() -> Definition {
    let positive = |option: &'static str| match option {
        "max.bytes" => Validator::Check(|value, _| check_positive("max.bytes", value)),
        "min.field.size" => Validator::Check(|value, _| check_positive("min.field.size", value)),
        _ => Validator::Check(|value, _| check_positive("compression.ratio", value)),
    };
    Definition::new(vec![
        row("max.bytes")
            .int()
            .required()
            .importance(Importance::High)
            .check(positive("max.bytes"))
            .doc("Bytes that a record may have; fields of a larger one are cut."),
        row("compression.ratio")
            .kind(OptionKind::Double)
            .default("1.0")
            .importance(Importance::Low)
            .check(positive("compression.ratio"))
            .doc("Size that compression is expected to leave, as a part of the whole."),
        row("min.field.size")
            .int()
            .default("25000")
            .importance(Importance::Low)
            .check(positive("min.field.size"))
            .doc("Fields with fewer bytes are left as they are."),
    ])
}

fn check_positive(option: &str, value: Option<&str>) -> Result<(), String> {
    match value.map(|text| text.trim().parse::<f64>()) {
        Some(Ok(number)) if number <= 0.0 => {
            Err(format!("Invalid value {number} for configuration {option}: Must be a positive number"))
        }
        _ => Ok(()),
    }
}

impl EnforceRecordSize {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&definition(), properties)?;
        let bytes = |option: &str| usize::try_from(resolved.long(option)).unwrap_or(usize::MAX);
        Ok(Self {
            max_bytes: bytes("max.bytes"),
            compression_ratio: resolved.double("compression.ratio"),
            field_bytes_min: bytes("min.field.size"),
            plans: SchemaCache::default(),
        })
    }
}

impl Transform for EnforceRecordSize {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let Some(schema) = &record.value_schema else { return Ok(Verdict::Keep) };
        let Some(places) = self.plans.get_or_compile(schema, truncated_places) else {
            return Ok(Verdict::Keep);
        };
        let size = record_bytes(record) as f64 * self.compression_ratio;
        let mut excess = size.ceil() - self.max_bytes as f64;
        if excess <= 0.0 {
            return Ok(Verdict::Keep);
        }
        // The longest fields first.
        let mut lengths = vec![];
        places.each(&mut record.value, &mut |(), value| {
            lengths.push(length(value));
            Ok(())
        })?;
        let mut order: Vec<usize> = (0..lengths.len()).collect();
        order.sort_by_key(|index| std::cmp::Reverse(lengths[*index]));
        let mut kept = lengths.clone();
        for index in order {
            if excess > 0.0 && lengths[index] >= self.field_bytes_min {
                let cut = lengths[index].min(excess as usize);
                kept[index] -= cut;
                excess -= cut as f64;
            }
        }
        let mut index = 0;
        places.each(&mut record.value, &mut |(), value| {
            truncate(value, kept[index]);
            index += 1;
            Ok(())
        })?;
        Ok(Verdict::Keep)
    }
}

/// Texts and bytes of the rows; of other records, of the whole value.
fn truncated_places(schema: &Schema) -> Option<Places<()>> {
    let leaf = |schema: &Schema| match schema.kind() {
        Kind::String => Some(()),
        Kind::Bytes if decimal_scale(schema).is_none() => Some(()),
        _ => None,
    };
    if !is_envelope(schema) {
        return match schema.kind() {
            Kind::Struct(_) => Places::find(schema, Reach::Structs, &leaf),
            _ => None,
        };
    }
    let rows = [BEFORE, AFTER].into_iter().filter_map(|name| {
        let index = schema.field_index(name)?;
        Some((index, Places::find(&schema.fields()[index].schema, Reach::Structs, &leaf)?))
    });
    Some(Places::Fields(rows.collect()))
}

fn length(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => 0,
    }
}

/// A text is cut where a character ends.
fn truncate(value: &mut Value, length: usize) {
    match value {
        Value::String(text) if text.len() > length => {
            *text = Text::from(&text[..text.floor_char_boundary(length)]);
        }
        Value::Bytes(bytes) if bytes.len() > length => *bytes = Blob::copy(&bytes[..length]),
        _ => {}
    }
}

fn record_bytes(record: &Record) -> usize {
    let part = |schema: &Option<Schema>, value: &Value| match (schema, value) {
        (Some(schema), Value::Struct(_)) => struct_bytes(schema, value),
        _ => 0,
    };
    ENTRY_BYTES * (2 + record.headers.as_slice().len())
        + REFERENCE_BYTES
        + record.topic.len()
        + part(&record.key_schema, &record.key)
        + part(&record.value_schema, &record.value)
}

fn struct_bytes(schema: &Schema, value: &Value) -> usize {
    let Value::Struct(values) = value else { return 0 };
    let field = |(field, value): (&connect::Field, &Value)| {
        REFERENCE_BYTES
            + match (field.schema.kind(), value) {
                (Kind::Array(_) | Kind::Map { .. }, _) => 0,
                (Kind::Struct(_), inner) => struct_bytes(&field.schema, inner),
                (Kind::String, Value::Null) | (Kind::Bytes, Value::Null) => 0,
                (Kind::String, text) => STRING_BYTES + length(text),
                (Kind::Bytes, bytes) => BYTES_BYTES + length(bytes),
                _ => PRIMITIVE_BYTES,
            }
    };
    STRUCT_BYTES + schema.fields().iter().zip(values).map(field).sum::<usize>()
}

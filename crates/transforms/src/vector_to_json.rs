//! `io.debezium.transforms.VectorToJsonConverter`: vectors as JSON text, for sinks that know no arrays.

use std::fmt::Write;

use connect::logical::debezium::{DOUBLE_VECTOR, FLOAT_VECTOR, JSON, SPARSE_DOUBLE_VECTOR};
use connect::{Kind, Record, Schema, SchemaBuilder, TaskError, Transform, Value, Verdict, java_number};

use crate::envelope::Surroundings;
use crate::places::{Places, Reach};
use crate::schema_cache::SchemaCache;

#[derive(Default)]
pub(crate) struct VectorToJsonConverter {
    plans: SchemaCache<Option<(Places<()>, Surroundings, Schema)>>,
}

impl Transform for VectorToJsonConverter {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let Some(schema) = &record.value_schema else { return Ok(Verdict::Keep) };
        let plan = self.plans.get_or_compile(schema, |schema| {
            let places = Places::find(schema, Reach::Structs, &|schema| is_vector(schema).then_some(()))?;
            Some((places, Surroundings::of(schema), rewritten(schema)))
        });
        let Some((places, surroundings, output)) = plan else { return Ok(Verdict::Keep) };
        surroundings.fill(&mut record.value);
        places.each(&mut record.value, &mut |(), value| {
            *value = Value::from(json(value));
            Ok(())
        })?;
        record.value_schema = Some(output.clone());
        Ok(Verdict::Keep)
    }
}

fn is_vector(schema: &Schema) -> bool {
    matches!(schema.name(), Some(DOUBLE_VECTOR | FLOAT_VECTOR | SPARSE_DOUBLE_VECTOR))
}

fn rewritten(schema: &Schema) -> Schema {
    if is_vector(schema) {
        let json = SchemaBuilder::string().name(JSON).version(1);
        return if schema.is_optional() { json.optional() } else { json }.build();
    }
    let Kind::Struct(fields) = schema.kind() else { return schema.clone() };
    let mut fields = fields.to_vec();
    for field in &mut fields {
        field.schema = rewritten(&field.schema);
    }
    schema.to_builder().fields(fields).build()
}

fn json(vector: &Value) -> String {
    let mut out = String::new();
    match vector {
        Value::Array(items) => {
            out.push_str("{ \"values\": [");
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write_number(item, &mut out);
            }
            out.push_str("] }");
        }
        // Dimensions, and the elements that are not 0 by their index.
        Value::Struct(fields) => {
            out.push_str("{ \"dimensions\": ");
            write_number(fields.first().unwrap_or(&Value::Null), &mut out);
            out.push_str(", \"vector\": { ");
            let entries = match fields.get(1) {
                Some(Value::Map(entries)) => &**entries,
                _ => &[],
            };
            for (index, (position, item)) in entries.iter().enumerate() {
                out.push_str(if index > 0 { ", \"" } else { "\"" });
                write_number(position, &mut out);
                out.push_str("\": ");
                write_number(item, &mut out);
            }
            out.push_str(" } }");
        }
        _ => out.push_str("null"),
    }
    out
}

fn write_number(value: &Value, out: &mut String) {
    match value {
        Value::Float32(number) => java_number::write_float(*number, out),
        Value::Float64(number) => java_number::write_double(*number, out),
        other => match other.as_i64() {
            Some(number) => {
                let _ = write!(out, "{number}");
            }
            None => out.push_str("null"),
        },
    }
}

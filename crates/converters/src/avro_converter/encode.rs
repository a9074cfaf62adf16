//! Values → datum, by a plan over the Connect schema and the Avro schema that is written with.

use std::collections::HashMap;

use avro::{Kind as AvroKind, NodeId, encode as datum};
use connect::{Kind, Schema, TaskError, Value};

use super::names::{KEY, Scrub, VALUE};
use super::schema_out::is_union;
use super::settings::{Nulls, Shape};

/// How a value of one schema is written.
#[derive(Debug)]
pub(super) struct Plan {
    form: Form,
    /// Index of the value's branch, and of the null's, where the Avro type is a union.
    branches: Option<(usize, Option<usize>)>,
    /// What a null is written as: the default where there is one, else the null branch.
    null: Option<Box<[u8]>>,
}

#[derive(Debug)]
enum Form {
    Boolean,
    Int,
    Long,
    Float,
    Double,
    String,
    Bytes,
    Fixed(usize),
    /// Index of each symbol.
    Enum(HashMap<Box<str>, usize>),
    Array(Box<Plan>),
    Map(Box<Plan>),
    /// A list of records of key and value.
    Entries(Box<(Plan, Plan)>),
    Record(Box<[FieldPlan]>),
    /// A struct of which one field is set: index of the branch and plan, per field.
    Union(Box<[(usize, Plan)]>),
}

#[derive(Debug)]
enum FieldPlan {
    Field(usize, Plan),
    /// The writer's schema has a field that the value lacks: its default.
    Constant(Box<[u8]>),
}

/// Compiles the plan; fails where the two schemas do not belong together.
pub(super) fn compile(schema: &Schema, avro: &avro::Schema, shape: Shape) -> Result<Plan, TaskError> {
    Compiler { avro, shape }.plan(schema, avro.root())
}

struct Compiler<'a> {
    avro: &'a avro::Schema,
    shape: Shape,
}

impl Compiler<'_> {
    fn plan(&self, schema: &Schema, id: NodeId) -> Result<Plan, TaskError> {
        if is_union(schema) {
            return self.union(schema, id);
        }
        let (node, branches) = match self.avro.kind(id) {
            AvroKind::Union(ids) => {
                let null = ids.iter().position(|id| matches!(self.avro.kind(*id), AvroKind::Null));
                let mut values = ids.iter().enumerate().filter(|(index, _)| Some(*index) != null);
                // One type and null is what nearly every union is.
                let (index, node) = match (values.next(), values.next()) {
                    (Some(only), None) => only,
                    _ => {
                        let fits = |(_, id): &(usize, &NodeId)| self.form(schema, **id).is_ok();
                        ids.iter().enumerate().find(fits).ok_or_else(|| mismatch(schema))?
                    }
                };
                (*node, Some((index, null)))
            }
            _ => (id, None),
        };
        let mut plan = Plan { form: self.form(schema, node)?, branches, null: None };
        let default = schema.default().filter(|default| {
            !default.is_null() && (self.shape.nulls == Nulls::Default || !schema.is_optional())
        });
        plan.null = match (default, branches) {
            (Some(default), _) => {
                let mut bytes = vec![];
                plan.write(default, &mut bytes)?;
                Some(bytes.into_boxed_slice())
            }
            (None, Some((_, Some(null)))) if schema.is_optional() => {
                let mut bytes = vec![];
                datum::long(null as i64, &mut bytes);
                Some(bytes.into_boxed_slice())
            }
            _ => None,
        };
        Ok(plan)
    }

    fn form(&self, schema: &Schema, id: NodeId) -> Result<Form, TaskError> {
        Ok(match (schema.kind(), self.avro.kind(id)) {
            (Kind::Boolean, AvroKind::Boolean) => Form::Boolean,
            (Kind::Int8 | Kind::Int16 | Kind::Int32, AvroKind::Int) => Form::Int,
            (Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64, AvroKind::Long) => Form::Long,
            (Kind::Float32, AvroKind::Float) => Form::Float,
            (Kind::Float64, AvroKind::Double) => Form::Double,
            (Kind::String, AvroKind::String) => Form::String,
            (Kind::String, AvroKind::Enum(symbols)) => {
                let symbols = symbols.symbols.iter().enumerate();
                Form::Enum(symbols.map(|(index, symbol)| (symbol.as_str().into(), index)).collect())
            }
            (Kind::Bytes, AvroKind::Bytes) => Form::Bytes,
            (Kind::Bytes, AvroKind::Fixed(fixed)) => Form::Fixed(fixed.size),
            (Kind::Array(items), AvroKind::Array(item)) => Form::Array(Box::new(self.plan(items, *item)?)),
            (Kind::Map { value, .. }, AvroKind::Map(item)) => Form::Map(Box::new(self.plan(value, *item)?)),
            (Kind::Map { key, value }, AvroKind::Array(item)) => {
                let AvroKind::Record(entry) = self.avro.kind(*item) else { return Err(mismatch(schema)) };
                let field = |name: &str| entry.fields.iter().find(|field| field.name == name);
                let (Some(k), Some(v)) = (field(KEY), field(VALUE)) else { return Err(mismatch(schema)) };
                Form::Entries(Box::new((self.plan(key, k.node)?, self.plan(value, v.node)?)))
            }
            (Kind::Struct(_), AvroKind::Record(record)) => {
                let fields = record.fields.iter().map(|field| self.field(schema, field));
                Form::Record(fields.collect::<Result<_, _>>()?)
            }
            _ => return Err(mismatch(schema)),
        })
    }

    fn field(&self, schema: &Schema, field: &avro::Field) -> Result<FieldPlan, TaskError> {
        let scrub: Scrub = self.shape.scrub;
        let index = schema.fields().iter().position(|own| scrub.name(&own.name) == field.name);
        if let Some(index) = index {
            return Ok(FieldPlan::Field(index, self.plan(&schema.fields()[index].schema, field.node)?));
        }
        let mut bytes = vec![];
        let default = field.default.as_ref();
        match default.and_then(|json| avro::encode_default(self.avro, field.node, json, &mut bytes)) {
            Some(()) => Ok(FieldPlan::Constant(bytes.into_boxed_slice())),
            None => Err(TaskError::reject(format!("Field {} has no value and no default", field.name))),
        }
    }

    fn union(&self, schema: &Schema, id: NodeId) -> Result<Plan, TaskError> {
        let AvroKind::Union(ids) = self.avro.kind(id) else { return Err(mismatch(schema)) };
        let null = ids.iter().position(|id| matches!(self.avro.kind(*id), AvroKind::Null));
        let branches = ids.iter().enumerate().filter(|(index, _)| Some(*index) != null);
        // Fields and branches stand in the same order; a field's own `optional` says only that another may be set.
        let plans = schema.fields().iter().zip(branches).map(|(field, (index, id))| {
            let form = self.form(&field.schema, *id)?;
            Ok((index, Plan { form, branches: None, null: None }))
        });
        let plans: Box<[_]> = plans.collect::<Result<_, TaskError>>()?;
        if plans.len() != schema.fields().len() {
            return Err(mismatch(schema));
        }
        let null = null.map(|index| {
            let mut bytes = vec![];
            datum::long(index as i64, &mut bytes);
            bytes.into_boxed_slice()
        });
        Ok(Plan { form: Form::Union(plans), branches: None, null: null.filter(|_| schema.is_optional()) })
    }
}

impl Plan {
    #[inline]
    pub(super) fn write(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), TaskError> {
        if value.is_null() {
            match &self.null {
                Some(bytes) => out.extend_from_slice(bytes),
                None => return Err(TaskError::reject("Found null value for non-optional schema")),
            }
            return Ok(());
        }
        if let Some((index, _)) = self.branches {
            datum::long(index as i64, out);
        }
        self.form.write(value, out)
    }
}

impl Form {
    #[inline]
    fn write(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), TaskError> {
        match (self, value) {
            (Self::Int, Value::Int32(number)) => datum::int(*number, out),
            (Self::Long, Value::Int64(number)) => datum::long(*number, out),
            (Self::String, Value::String(text)) => datum::bytes(text.as_bytes(), out),
            (Self::Boolean, Value::Boolean(flag)) => datum::boolean(*flag, out),
            (Self::Int, Value::Int16(number)) => datum::int(i32::from(*number), out),
            (Self::Int, Value::Int8(number)) => datum::int(i32::from(*number), out),
            (Self::Long, Value::Int8(_) | Value::Int16(_) | Value::Int32(_)) => {
                datum::long(value.as_i64().unwrap_or_default(), out);
            }
            (Self::Float, Value::Float32(number)) => datum::float(*number, out),
            (Self::Double, Value::Float64(number)) => datum::double(*number, out),
            (Self::Bytes, Value::Bytes(bytes)) => datum::bytes(bytes, out),
            (Self::Fixed(size), Value::Bytes(bytes)) if bytes.len() == *size => out.extend_from_slice(bytes),
            (Self::Record(plans), Value::Struct(fields)) => {
                for plan in plans {
                    match plan {
                        FieldPlan::Field(index, plan) => {
                            plan.write(fields.get(*index).unwrap_or(&Value::Null), out)?;
                        }
                        FieldPlan::Constant(bytes) => out.extend_from_slice(bytes),
                    }
                }
            }
            (Self::Union(plans), Value::Struct(fields)) => {
                let mut set = plans.iter().zip(fields).filter(|(_, field)| !field.is_null());
                let ((index, plan), field) = set.next().ok_or_else(wrong_type)?;
                datum::long(*index as i64, out);
                plan.write(field, out)?;
            }
            (Self::Enum(symbols), Value::String(text)) => match symbols.get(text.as_str()) {
                Some(index) => datum::long(*index as i64, out),
                None => return Err(TaskError::reject("the value is not among the enum's symbols")),
            },
            (Self::Array(plan), Value::Array(items)) => {
                datum::block_start(items.len(), out);
                for item in items {
                    plan.write(item, out)?;
                }
                datum::block_end(out);
            }
            (Self::Map(plan), Value::Map(entries)) => {
                datum::block_start(entries.len(), out);
                for (key, value) in entries {
                    datum::bytes(key.as_str().ok_or_else(wrong_type)?.as_bytes(), out);
                    plan.write(value, out)?;
                }
                datum::block_end(out);
            }
            (Self::Entries(plans), Value::Map(entries)) => {
                datum::block_start(entries.len(), out);
                for (key, value) in entries {
                    plans.0.write(key, out)?;
                    plans.1.write(value, out)?;
                }
                datum::block_end(out);
            }
            _ => return Err(wrong_type()),
        }
        Ok(())
    }
}

#[cold]
fn wrong_type() -> TaskError {
    TaskError::reject("Invalid type: the value does not fit the type that its schema gives")
}

fn mismatch(schema: &Schema) -> TaskError {
    TaskError::reject(format!(
        "the Avro schema has another type in the place of {} {}",
        schema.kind().type_name(),
        schema.name().unwrap_or_default()
    ))
}

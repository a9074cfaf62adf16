//! `io.debezium.transforms.HeaderToValue`: headers as fields of the value, also inside nested structs.

use connect::settings::{Definition, Importance, Properties, Validator, row};
use connect::{Field, Kind, Record, Schema, SchemaBuilder, TaskError, Transform, Value, Verdict};

use crate::envelope::{AFTER, BEFORE};
use crate::nulls::{self, Nulls};
use crate::schema_cache::SchemaSet;
use crate::{options, shape};

const PURPOSE: &str = "Header field insertion";

pub(crate) struct HeaderToValue {
    /// Header, and the path of its field.
    pairs: Vec<(String, Vec<String>)>,
    operation: Operation,
    last: Option<Built>,
    schemas: SchemaSet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Move,
    Copy,
}

/// The schema of the last record: headers rarely change theirs.
struct Built {
    input: Schema,
    added: Vec<(usize, Schema)>,
    output: Schema,
}

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row("headers")
            .list()
            .required()
            .importance(Importance::High)
            .check(options::checked!(options::names, "headers"))
            .doc("Headers whose values go into the record's value."),
        row("fields")
            .list()
            .required()
            .importance(Importance::High)
            .check(options::checked!(options::names, "fields"))
            .doc("Fields that they become, in the order of headers; a dot leads into a nested struct."),
        row("operation")
            .required()
            .importance(Importance::High)
            .check(Validator::OneOfIgnoreCase(&["move", "copy"]))
            .doc("Whether headers are removed (move) or stay as well (copy)."),
    ])
}

impl HeaderToValue {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&definition(), properties)?;
        let (headers, fields) = (resolved.list("headers"), resolved.list("fields"));
        if headers.len() != fields.len() {
            return Err(vec![
                "'fields' config must have the same number of elements as 'headers' config.".to_owned(),
            ]);
        }
        let paths = fields.iter().map(|path| path.split('.').map(str::to_owned).collect());
        let moves = resolved.text("operation").is_some_and(|text| text.eq_ignore_ascii_case("move"));
        Ok(Self {
            pairs: headers.iter().cloned().zip(paths).collect(),
            operation: if moves { Operation::Move } else { Operation::Copy },
            last: None,
            schemas: SchemaSet::default(),
        })
    }
}

impl Transform for HeaderToValue {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        if record.value.is_null() {
            return Ok(Verdict::Keep);
        }
        let fields = shape::fields_of(&mut record.value, PURPOSE)?;
        let Some(input) = &record.value_schema else { return Ok(Verdict::Keep) };
        let mut added = vec![];
        for (index, (name, _)) in self.pairs.iter().enumerate() {
            let Some(header) = record.headers.last(name) else { continue };
            let Some(schema) = &header.schema else {
                return Err(TaskError::reject(format!("header {name} has no schema")));
            };
            added.push((index, schema.clone(), header.value.clone()));
        }
        if added.is_empty() {
            return Ok(Verdict::Keep);
        }
        let output = self.output(input, &added)?;
        for (index, _, value) in added {
            set(fields, output.fields(), &self.pairs[index].1, value).map_err(TaskError::reject)?;
        }
        record.value_schema = Some(output);
        if self.operation == Operation::Move {
            let pairs = &self.pairs;
            record.headers.retain(|header| !pairs.iter().any(|(name, _)| **name == *header.key));
        }
        Ok(Verdict::Keep)
    }
}

impl HeaderToValue {
    fn output(&mut self, input: &Schema, added: &[(usize, Schema, Value)]) -> Result<Schema, TaskError> {
        let same =
            |(known, new): (&(usize, Schema), &(usize, Schema, Value))| known.0 == new.0 && known.1 == new.1;
        if let Some(last) = &self.last
            && last.input.ptr_eq(input)
            && last.added.len() == added.len()
            && last.added.iter().zip(added).all(same)
        {
            return Ok(last.output.clone());
        }
        let mut output = input.clone();
        for (index, schema, _) in added {
            output = extended(&output, &self.pairs[*index].1, schema).map_err(TaskError::reject)?;
        }
        let output = self.schemas.intern(output);
        let added = added.iter().map(|(index, schema, _)| (*index, schema.clone())).collect();
        self.last = Some(Built { input: input.clone(), added, output: output.clone() });
        Ok(output)
    }
}

/// A struct's schema with one more field at the end of the path; a field that is there stays as it is.
fn extended(schema: &Schema, path: &[String], added: &Schema) -> Result<Schema, String> {
    let Kind::Struct(fields) = schema.kind() else {
        return Err(format!("{} is not a field of a struct", path.join(".")));
    };
    let mut fields = fields.to_vec();
    let (name, rest) = path.split_first().ok_or("a path has at least one step")?;
    match (fields.iter_mut().find(|field| *field.name == **name), rest) {
        (Some(_), []) => {}
        (Some(field), _) => field.schema = extended(&field.schema, rest, added)?,
        (None, []) => fields.push(Field { name: name.as_str().into(), schema: added.clone() }),
        (None, _) => {
            let inner = extended(&SchemaBuilder::structure().build(), rest, added)?.to_optional();
            fields.push(Field { name: name.as_str().into(), schema: inner });
        }
    }
    shape::with_fields(schema, fields)
}

/// Sets the field at the end of the path; in a struct that is null there is none.
fn set(values: &mut Box<[Value]>, fields: &[Field], path: &[String], new: Value) -> Result<(), String> {
    if values.len() < fields.len() {
        let mut longer = std::mem::take(values).into_vec();
        // New structs hold new fields, and are there from the start.
        let empty = |field: &Field| match field.schema.kind() {
            Kind::Struct(inner) => Value::Struct(vec![Value::Null; inner.len()].into()),
            _ => Value::Null,
        };
        longer.extend(fields[longer.len()..].iter().map(empty));
        *values = longer.into_boxed_slice();
    }
    let (name, rest) = path.split_first().ok_or("a path has at least one step")?;
    let index = fields.iter().position(|field| *field.name == **name).ok_or("the schema was extended")?;
    let schema = &fields[index].schema;
    if !rest.is_empty() {
        let Value::Struct(inner) = &mut values[index] else { return Ok(()) };
        if ![BEFORE, AFTER].contains(&name.as_str()) {
            // The copy of a struct has its defaults; in rows nulls stay nulls.
            nulls::fill(&mut inner[..], &Nulls::ReplacedByDefault.defaults_of(schema));
        }
        return set(inner, schema.fields(), rest, new);
    }
    if !fits(&new, schema) {
        let (kind, class) = (schema.kind().type_name().to_uppercase(), shape::java_class(&new));
        return Err(format!(
            "Invalid Java object for schema with type {kind}: class {class} for field: \"{name}\""
        ));
    }
    values[index] = new;
    Ok(())
}

fn fits(value: &Value, schema: &Schema) -> bool {
    matches!(
        (value, schema.kind()),
        (Value::Null, _)
            | (Value::Int8(_), Kind::Int8)
            | (Value::Int16(_), Kind::Int16)
            | (Value::Int32(_), Kind::Int32)
            | (Value::Int64(_), Kind::Int64)
            | (Value::Float32(_), Kind::Float32)
            | (Value::Float64(_), Kind::Float64)
            | (Value::Boolean(_), Kind::Boolean)
            | (Value::String(_), Kind::String)
            | (Value::Bytes(_), Kind::Bytes)
            | (Value::Array(_), Kind::Array(_))
            | (Value::Map(_), Kind::Map { .. })
            | (Value::Struct(_), Kind::Struct(_))
    )
}

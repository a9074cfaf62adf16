//! `DropHeaders`, `InsertHeader` and `HeaderFrom` of `org.apache.kafka.connect.transforms`.

use std::sync::Arc;

use connect::infer::infer;
use connect::settings::{Definition, Importance, Properties, Validator, row};
use connect::{Header, Record, Schema, TaskError, Transform, Value, Verdict};

use crate::nulls::Nulls;
use crate::part::Part;
use crate::schema_cache::SchemaCache;
use crate::{options, shape};

pub(crate) struct DropHeaders {
    names: Vec<String>,
}

pub(crate) fn drop_headers_definition() -> Definition {
    Definition::new(vec![
        row("headers")
            .list()
            .required()
            .importance(Importance::High)
            .check(options::checked!(options::names, "headers"))
            .doc("Headers to remove."),
    ])
}

impl DropHeaders {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&drop_headers_definition(), properties)?;
        Ok(Self { names: resolved.list("headers").to_vec() })
    }
}

impl Transform for DropHeaders {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let goes = |header: &Header| self.names.iter().any(|name| **name == *header.key);
        // The list is shared by many records: it is copied only where something goes.
        if record.headers.iter().any(goes) {
            record.headers.retain(|header| !goes(header));
        }
        Ok(Verdict::Keep)
    }
}

pub(crate) struct InsertHeader {
    header: Header,
}

pub(crate) fn insert_header_definition() -> Definition {
    Definition::new(vec![
        row("header").required().importance(Importance::High).doc("Name of the header."),
        row("value.literal")
            .required()
            .importance(Importance::High)
            .doc("Its value, the same for all records."),
    ])
}

impl InsertHeader {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&insert_header_definition(), properties)?;
        let (schema, value) = infer(resolved.text("value.literal").unwrap_or_default());
        let key = Arc::from(resolved.text("header").unwrap_or_default());
        Ok(Self { header: Header { key, schema, value } })
    }
}

impl Transform for InsertHeader {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        record.headers.push(self.header.clone());
        Ok(Verdict::Keep)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Move,
    Copy,
}

impl Operation {
    fn purpose(self) -> &'static str {
        match self {
            Self::Move => "header move",
            Self::Copy => "header copy",
        }
    }
}

pub(crate) struct HeaderFrom {
    part: Part,
    /// Field and header.
    pairs: Vec<(String, Arc<str>)>,
    operation: Operation,
    nulls: Nulls,
    plans: SchemaCache<Result<Plan, String>>,
}

struct Plan {
    /// For each pair the index of its field.
    sources: Vec<Source>,
    /// What is left of the value where fields are moved: its schema and the fields with what a null becomes.
    rest: Option<Rest>,
}

struct Rest {
    schema: Schema,
    kept: Vec<(usize, Option<Value>)>,
}

struct Source {
    index: usize,
    schema: Schema,
    default: Option<Value>,
}

pub(crate) fn header_from_definition() -> Definition {
    Definition::new(vec![
        row("fields")
            .list()
            .required()
            .importance(Importance::High)
            .check(options::checked!(options::names, "fields"))
            .doc("Fields whose values become headers."),
        row("headers")
            .list()
            .required()
            .importance(Importance::High)
            .check(options::checked!(options::names, "headers"))
            .doc("Names of those headers, in the order of fields."),
        row("operation")
            .required()
            .importance(Importance::High)
            .check(Validator::OneOf(&["move", "copy"]))
            .doc("Whether the fields are removed (move) or stay as well (copy)."),
        Nulls::row(),
    ])
}

impl HeaderFrom {
    pub(crate) fn new(part: Part, properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&header_from_definition(), properties)?;
        let (fields, headers) = (resolved.list("fields"), resolved.list("headers"));
        if fields.len() != headers.len() {
            return Err(vec![
                "'fields' config must have the same number of elements as 'headers' config.".to_owned(),
            ]);
        }
        let headers = headers.iter().map(|name| Arc::from(name.as_str()));
        Ok(Self {
            part,
            pairs: fields.iter().cloned().zip(headers).collect(),
            operation: if resolved.text("operation") == Some("move") {
                Operation::Move
            } else {
                Operation::Copy
            },
            nulls: Nulls::of(&resolved),
            plans: SchemaCache::default(),
        })
    }
}

impl Transform for HeaderFrom {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let Self { part, pairs, operation, nulls, plans } = self;
        let (schema, value) = part.of_mut(record);
        let Some(input) = schema.as_ref() else {
            let entries = shape::entries_of(value, operation.purpose())?;
            let new = from_entries(entries, pairs, *operation);
            new.into_iter().for_each(|header| record.headers.push(header));
            return Ok(Verdict::Keep);
        };
        let fields = shape::fields_of(value, operation.purpose())?;
        let plan = plans.get_or_compile(input, |input| Plan::new(input, pairs, *operation, *nulls));
        let plan = shape::planned(plan)?;
        let header = |(source, (_, name)): (&Source, &(String, Arc<str>))| {
            let value = match (&fields[source.index], &source.default) {
                (Value::Null, Some(default)) => default.clone(),
                (value, _) => value.clone(),
            };
            Header { key: Arc::clone(name), schema: Some(source.schema.clone()), value }
        };
        let new: Vec<Header> = plan.sources.iter().zip(pairs.iter()).map(header).collect();
        if let Some(rest) = &plan.rest {
            let kept = rest.kept.iter().map(|(index, default)| match std::mem::take(&mut fields[*index]) {
                Value::Null => default.clone().unwrap_or_default(),
                value => value,
            });
            *fields = kept.collect();
            *schema = Some(rest.schema.clone());
        }
        new.into_iter().for_each(|header| record.headers.push(header));
        Ok(Verdict::Keep)
    }
}

fn from_entries(
    entries: &mut shape::Entries,
    pairs: &[(String, Arc<str>)],
    operation: Operation,
) -> Vec<Header> {
    let header = |(field, name): &(String, Arc<str>)| {
        let value = shape::entry(entries, field).cloned().unwrap_or_default();
        Header { key: Arc::clone(name), schema: None, value }
    };
    let headers = pairs.iter().map(header).collect();
    if operation == Operation::Move {
        let mut list = std::mem::take(entries).into_vec();
        list.retain(|(key, _)| !pairs.iter().any(|(field, _)| key.as_str() == Some(field)));
        *entries = list.into_boxed_slice();
    }
    headers
}

impl Plan {
    fn new(
        input: &Schema,
        pairs: &[(String, Arc<str>)],
        operation: Operation,
        nulls: Nulls,
    ) -> Result<Self, String> {
        let source = |(name, _): &(String, Arc<str>)| {
            let index = input.field_index(name).ok_or_else(|| format!("Field does not exist: {name}"))?;
            let schema = input.fields()[index].schema.clone();
            Ok(Source { index, default: nulls.default_of(&schema).cloned(), schema })
        };
        let sources = pairs.iter().map(source).collect::<Result<Vec<_>, String>>()?;
        let stays = |index: &usize| sources.iter().all(|source| source.index != *index);
        let rest = match operation {
            Operation::Copy => None,
            Operation::Move => {
                let kept: Vec<usize> = (0..input.fields().len()).filter(stays).collect();
                let fields = kept.iter().map(|index| input.fields()[*index].clone()).collect();
                let default = |index: usize| nulls.default_of(&input.fields()[index].schema).cloned();
                let kept = kept.iter().map(|index| (*index, default(*index))).collect();
                Some(Rest { schema: shape::with_fields(input, fields)?, kept })
            }
        };
        Ok(Self { sources, rest })
    }
}

//! A record as CEL sees it: values are made when the expression asks for them.

use std::fmt;

use cel::ExecutionError;
use cel::common::traits::{Container, Indexer, Sizer};
use cel::common::types::{CelBool, CelBytes, CelDouble, CelInt, CelList, CelNull, CelString, MAP_TYPE, Type};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use connect::logical::decimal_scale;
use connect::{Header, Headers, Kind, Record, Schema, Value, java_number};

/// The variables of Debezium's expressions.
pub(super) struct RecordView<'a>(pub &'a Record);

impl VariableResolver for RecordView<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let record = self.0;
        let found: Box<dyn Val + 'b> = match variable {
            "value" => val(record.value_schema.as_ref(), &record.value),
            "key" => val(record.key_schema.as_ref(), &record.key),
            "topic" => Box::new(CelString::from(&*record.topic)),
            "partition" => record.partition.map_or_else(null, |it| Box::new(CelInt::from(i64::from(it)))),
            "timestamp" => record.timestamp.map_or_else(null, |it| Box::new(CelInt::from(it))),
            "header" | "headers" => Box::new(View(Data::Headers(&record.headers))),
            "valueSchema" => schema_val(record.value_schema.as_ref()),
            "keySchema" => schema_val(record.key_schema.as_ref()),
            _ => return None,
        };
        Some(CowVal::Owned(found))
    }
}

fn null<'a>() -> Box<dyn Val + 'a> {
    Box::new(CelNull)
}

fn text<'a>(text: Option<&'a str>) -> Box<dyn Val + 'a> {
    text.map_or_else(null, |text| Box::new(CelString::from(text)))
}

fn schema_val<'a>(schema: Option<&'a Schema>) -> Box<dyn Val + 'a> {
    schema.map_or_else(null, |schema| Box::new(View(Data::Schema(schema))))
}

/// Numbers are CEL's int and double; decimals are doubles.
pub(super) fn val<'a>(schema: Option<&'a Schema>, value: &'a Value) -> Box<dyn Val + 'a> {
    match value {
        Value::Null => null(),
        Value::Boolean(flag) => Box::new(CelBool::from(*flag)),
        Value::Float32(number) => Box::new(CelDouble::from(f64::from(*number))),
        Value::Float64(number) => Box::new(CelDouble::from(*number)),
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::Bytes(bytes) => match schema.and_then(decimal_scale) {
            Some(scale) => Box::new(CelDouble::from(java_number::decimal_to_double(bytes, scale))),
            None => Box::new(CelBytes::from(bytes.as_slice())),
        },
        Value::Decimal(number) => {
            Box::new(CelDouble::from(java_number::decimal_to_double(&number.unscaled, number.scale)))
        }
        Value::Date(millis) => Box::new(CelInt::from(*millis)),
        Value::Array(items) => {
            let schema = match schema.map(Schema::kind) {
                Some(Kind::Array(items)) => Some(items),
                _ => None,
            };
            Box::new(CelList::from(items.iter().map(|item| val(schema, item)).collect::<Vec<_>>()))
        }
        Value::Map(entries) => Box::new(View(Data::Map(schema, entries))),
        Value::Struct(fields) => match schema {
            Some(schema) => Box::new(View(Data::Struct(schema, fields))),
            None => null(),
        },
        other => Box::new(CelInt::from(other.as_i64().unwrap_or_default())),
    }
}

/// What has members.
#[derive(Clone, Copy)]
struct View<'a>(Data<'a>);

#[derive(Clone, Copy)]
enum Data<'a> {
    Struct(&'a Schema, &'a [Value]),
    Map(Option<&'a Schema>, &'a [(Value, Value)]),
    Headers(&'a Headers),
    Header(&'a Header),
    Schema(&'a Schema),
}

impl<'a> View<'a> {
    fn member(&self, name: &str) -> Option<Box<dyn Val + 'a>> {
        match self.0 {
            Data::Struct(schema, fields) => {
                let index = schema.field_index(name)?;
                Some(val(Some(&schema.fields()[index].schema), &fields[index]))
            }
            Data::Map(schema, entries) => {
                let (_, value) = entries.iter().find(|(key, _)| key.as_str() == Some(name))?;
                let schema = match schema.map(Schema::kind) {
                    Some(Kind::Map { value, .. }) => Some(value),
                    _ => None,
                };
                Some(val(schema, value))
            }
            Data::Headers(headers) => Some(Box::new(View(Data::Header(headers.last(name)?)))),
            Data::Header(header) => match name {
                "value" => Some(val(header.schema.as_ref(), &header.value)),
                "key" => Some(text(Some(&header.key))),
                "schema" => Some(schema_val(header.schema.as_ref())),
                _ => None,
            },
            Data::Schema(schema) => match name {
                "name" => Some(text(schema.name())),
                "doc" => Some(text(schema.doc())),
                "type" => Some(text(Some(schema.kind().type_name()))),
                "optional" => Some(Box::new(CelBool::from(schema.is_optional()))),
                "version" => {
                    Some(schema.version().map_or_else(null, |it| Box::new(CelInt::from(i64::from(it)))))
                }
                "fields" => Some(Box::new(CelList::from(
                    schema.fields().iter().map(|field| text(Some(&field.name))).collect::<Vec<_>>(),
                ))),
                _ => None,
            },
        }
    }

    fn names(&self) -> Vec<&'a str> {
        match self.0 {
            Data::Struct(schema, _) => schema.fields().iter().map(|field| &*field.name).collect(),
            Data::Map(_, entries) => entries.iter().filter_map(|(key, _)| key.as_str()).collect(),
            Data::Headers(headers) => headers.iter().map(|header| &*header.key).collect(),
            Data::Header(_) => vec!["value", "key", "schema"],
            Data::Schema(_) => vec!["name", "doc", "type", "optional", "version", "fields"],
        }
    }
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.names()).finish()
    }
}

impl Val for View<'_> {
    fn get_type(&self) -> &Type {
        &MAP_TYPE
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    /// Whole rows are compared field by field.
    fn equals(&self, other: &dyn Val) -> bool {
        let (Some(members), Some(sizer)) = (other.as_indexer(), other.as_sizer()) else { return false };
        let names = self.names();
        let same = |name: &&str| match (self.member(name), members.get(&CelString::from(*name))) {
            (Some(own), Ok(other)) => own.equals(&*other),
            _ => false,
        };
        i64::from(sizer.size()) == names.len() as i64 && names.iter().all(same)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(*self)
    }
}

impl Indexer for View<'_> {
    fn get<'b, 'v>(&'b self, index: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let name = index.downcast_ref::<CelString>().map(CelString::inner).unwrap_or_default();
        self.member(name).map(CowVal::Owned).ok_or_else(|| ExecutionError::no_such_key(name))
    }

    fn steal<'v>(self: Box<Self>, index: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(index).map(CowVal::into_owned)
    }
}

impl Container for View<'_> {
    fn contains(&self, value: &dyn Val) -> Result<bool, ExecutionError> {
        let name = value.downcast_ref::<CelString>().map(CelString::inner).unwrap_or_default();
        Ok(self.member(name).is_some())
    }
}

impl Sizer for View<'_> {
    fn size(&self) -> CelInt {
        CelInt::from(self.names().len() as i64)
    }
}

//! Connect schema → JSON Schema.

use connect::logical::DECIMAL;
use connect::{Kind, Schema, TaskError};
use serde_json::{Map, Value as Json, json};

use super::settings::{AdditionalProperties, Shape};
use super::{CONNECT_INDEX, CONNECT_PARAMETERS, CONNECT_TYPE, CONNECT_VERSION, ENUM, NAMESPACE};
use crate::json::{DecimalFormat, Nulls, ONE_OF, Plan, Style};

type Members = Map<String, Json>;

pub(super) fn to_json_schema(schema: &Schema, shape: Shape) -> Result<Json, TaskError> {
    Writer { shape }.schema(schema, None)
}

struct Writer {
    shape: Shape,
}

impl Writer {
    /// `index` is the field's place: JSON objects have no order.
    fn schema(&self, schema: &Schema, index: Option<usize>) -> Result<Json, TaskError> {
        let mut members = if is_union(schema) {
            self.union(schema)?
        } else if schema.is_optional() {
            let base = Json::Object(self.base(schema)?);
            Members::from_iter([("oneOf".to_owned(), json!([{"type": "null"}, base]))])
        } else {
            self.base(schema)?
        };
        if let Some(index) = index {
            members.insert(CONNECT_INDEX.to_owned(), json!(index));
        }
        Ok(Json::Object(members))
    }

    fn union(&self, schema: &Schema) -> Result<Members, TaskError> {
        let mut branches = vec![];
        if schema.is_optional() {
            branches.push(json!({"type": "null"}));
        }
        for (index, field) in schema.fields().iter().enumerate() {
            // The branches of a union are optional fields only because another one may be set.
            let mut branch =
                if is_union(&field.schema) { self.union(&field.schema)? } else { self.base(&field.schema)? };
            branch.insert(CONNECT_INDEX.to_owned(), json!(index));
            branches.push(Json::Object(branch));
        }
        Ok(Members::from_iter([("oneOf".to_owned(), Json::Array(branches))]))
    }

    /// The type itself, whether optional or not.
    fn base(&self, schema: &Schema) -> Result<Members, TaskError> {
        let mut members = Members::new();
        let mut connect_type = None;
        match schema.kind() {
            Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64 => {
                members.insert("type".to_owned(), json!("integer"));
                connect_type = Some(schema.kind().type_name());
            }
            Kind::Float32 | Kind::Float64 => {
                members.insert("type".to_owned(), json!("number"));
                connect_type = Some(schema.kind().type_name());
            }
            Kind::Boolean => drop(members.insert("type".to_owned(), json!("boolean"))),
            Kind::String => match symbols(schema) {
                Some(symbols) => drop(members.insert("enum".to_owned(), symbols)),
                None => drop(members.insert("type".to_owned(), json!("string"))),
            },
            Kind::Bytes => {
                let numeric = self.shape.style.decimals == DecimalFormat::Numeric;
                let is_number = schema.name() == Some(DECIMAL) && numeric;
                members.insert("type".to_owned(), json!(if is_number { "number" } else { "string" }));
                connect_type = Some("bytes");
            }
            Kind::Array(items) => {
                members.insert("type".to_owned(), json!("array"));
                members.insert("items".to_owned(), self.schema(items, None)?);
            }
            Kind::Map { key, value } => {
                members = self.map(key, value)?;
                connect_type = Some("map");
            }
            Kind::Struct(fields) => members = self.object(fields)?,
        }
        self.describe(schema, &mut members)?;
        if let Some(word) = connect_type {
            members.insert(CONNECT_TYPE.to_owned(), json!(word));
        }
        Ok(members)
    }

    fn map(&self, key: &Schema, value: &Schema) -> Result<Members, TaskError> {
        let mut members = Members::new();
        if self.shape.style.dialect.is_object(key) {
            members.insert("type".to_owned(), json!("object"));
            members.insert("additionalProperties".to_owned(), self.schema(value, None)?);
        } else {
            let entry = json!({
                "type": "object",
                "properties": {"key": self.schema(key, Some(0))?, "value": self.schema(value, Some(1))?},
            });
            members.insert("type".to_owned(), json!("array"));
            members.insert("items".to_owned(), entry);
        }
        Ok(members)
    }

    fn object(&self, fields: &[connect::Field]) -> Result<Members, TaskError> {
        let mut properties = Members::new();
        for (index, field) in fields.iter().enumerate() {
            properties.insert(field.name.to_string(), self.schema(&field.schema, Some(index))?);
        }
        let mut members = Members::new();
        members.insert("type".to_owned(), json!("object"));
        members.insert("properties".to_owned(), Json::Object(properties));
        if self.shape.additional_properties == AdditionalProperties::Refused {
            members.insert("additionalProperties".to_owned(), json!(false));
        }
        Ok(members)
    }

    /// Name, doc, default, version and parameters.
    fn describe(&self, schema: &Schema, members: &mut Members) -> Result<(), TaskError> {
        if let Some(name) = schema.name() {
            members.insert("title".to_owned(), json!(name));
        }
        if let Some(doc) = schema.doc() {
            members.insert("description".to_owned(), json!(doc));
        }
        if let Some(default) = schema.default().filter(|default| !default.is_null()) {
            let style = Style { nulls: Nulls::ReplacedByDefault, ..self.shape.style };
            let mut text = vec![];
            Plan::new(schema, style)?.write(default, &mut text)?;
            let json = serde_json::from_slice(&text)
                .map_err(|error| TaskError::reject("the default has no JSON").with_source(error))?;
            members.insert("default".to_owned(), json);
        }
        if let Some(version) = schema.version() {
            members.insert(CONNECT_VERSION.to_owned(), json!(version));
        }
        let foreign = schema.parameters().iter().filter(|(key, _)| !key.starts_with(NAMESPACE));
        let parameters: Members = foreign.map(|(key, value)| (key.to_string(), json!(&**value))).collect();
        if !parameters.is_empty() {
            members.insert(CONNECT_PARAMETERS.to_owned(), Json::Object(parameters));
        }
        Ok(())
    }
}

fn is_union(schema: &Schema) -> bool {
    matches!(schema.kind(), Kind::Struct(_)) && schema.name() == Some(ONE_OF)
}

/// The symbols of a string that is an enum.
fn symbols(schema: &Schema) -> Option<Json> {
    schema.parameter(ENUM)?;
    let symbol = |(key, _): &(std::sync::Arc<str>, std::sync::Arc<str>)| {
        let symbol = key.strip_prefix(ENUM)?.strip_prefix('.')?;
        Some(json!(symbol))
    };
    Some(Json::Array(schema.parameters().iter().filter_map(symbol).collect()))
}

//! JSON Schema → Connect schema.
//!
//! Many people's schemas come here: what names no type is judged by its words, `allOf` is merged, `oneOf` and `anyOf` with
//! null are optional types and others structs with a field per branch. What Connect cannot express is refused.

use connect::{Buffer, Field, Kind, Schema, SchemaBuilder, TaskError};
use registry_client::schemas::{JsonSchema, Place};
use serde_json::{Map, Value as Json};

use super::settings::{NotRequired, Shape, SingleUnions};
use super::{CONNECT_INDEX, CONNECT_PARAMETERS, CONNECT_TYPE, CONNECT_VERSION, ENUM};
use crate::json::{Nulls, ONE_OF, Parser, ReadPlan, Style};

/// Deeper schemas are refused: they are not ours, and must not exhaust the stack.
const DEPTH_MAX: usize = 100;

/// `version` is the schema's under its subject, for a schema that names none.
pub(super) fn to_connect(
    schema: &JsonSchema,
    shape: Shape,
    version: Option<i32>,
) -> Result<Schema, TaskError> {
    let mut reader = Reader { shape, open: vec![] };
    reader.schema(schema.place(), Presence::ByType, version)
}

/// What the place of a type says about nulls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    ByType,
    Optional,
}

struct Reader {
    shape: Shape,
    /// Objects that are being read, by address: Connect's schemas here cannot contain themselves.
    open: Vec<usize>,
}

impl Reader {
    fn schema(
        &mut self,
        place: Place<'_>,
        presence: Presence,
        version: Option<i32>,
    ) -> Result<Schema, TaskError> {
        let place = place.resolved();
        let address = std::ptr::from_ref(place.node) as usize;
        if self.open.contains(&address) {
            return Err(TaskError::reject("JSON Schemas that contain themselves are not supported"));
        }
        if self.open.len() > DEPTH_MAX {
            return Err(TaskError::reject("the JSON Schema is nested too deeply"));
        }
        self.open.push(address);
        let result = self.open_schema(place, presence, version);
        self.open.pop();
        result
    }

    fn open_schema(
        &mut self,
        place: Place<'_>,
        presence: Presence,
        version: Option<i32>,
    ) -> Result<Schema, TaskError> {
        for keyword in ["oneOf", "anyOf"] {
            if let Some(Json::Array(branches)) = place.get(keyword)
                && place.get("properties").is_none()
            {
                let branches: Vec<_> = branches.iter().map(|branch| place.part(branch)).collect();
                return self.union(place, &branches, presence, version);
            }
        }
        if let Some(Json::Array(factors)) = place.get("allOf") {
            return self.product(place, factors, presence, version);
        }
        if let Some(Json::Array(words)) = place.get("type") {
            return self.several_types(place, words, presence, version);
        }
        let kind = self.kind(place)?;
        self.describe(kind, place, presence, version)
    }

    fn union(
        &mut self,
        place: Place<'_>,
        branches: &[Place<'_>],
        presence: Presence,
        version: Option<i32>,
    ) -> Result<Schema, TaskError> {
        let is_null = |branch: &&Place<'_>| branch.resolved().get("type") == Some(&Json::from("null"));
        let (nulls, others): (Vec<&Place<'_>>, Vec<&Place<'_>>) = branches.iter().partition(is_null);
        let presence = if nulls.is_empty() { presence } else { Presence::Optional };
        let single = nulls.len() == 1 || self.shape.single_unions == SingleUnions::Flattened;
        if let ([only], true) = (&others[..], single) {
            return self.schema(**only, presence, version);
        }
        let mut fields = vec![];
        for (index, branch) in others.iter().enumerate() {
            let schema = self.schema(**branch, Presence::Optional, None)?;
            fields.push(Field { name: format!("{ONE_OF}.field.{index}").into(), schema });
        }
        let builder = SchemaBuilder::new(Kind::Struct(fields.into())).name(ONE_OF);
        self.describe(builder, place, presence, version)
    }

    /// `{"type":["null","string"]}`
    fn several_types(
        &mut self,
        place: Place<'_>,
        words: &[Json],
        presence: Presence,
        version: Option<i32>,
    ) -> Result<Schema, TaskError> {
        let others: Vec<&str> =
            words.iter().filter_map(Json::as_str).filter(|word| *word != "null").collect();
        let presence = if others.len() < words.len() { Presence::Optional } else { presence };
        if let [word] = others[..] {
            let kind = self.kind_of(word, place)?;
            return self.describe(kind, place, presence, version);
        }
        let mut fields = vec![];
        for (index, word) in others.into_iter().enumerate() {
            let schema = self.kind_of(word, place)?.optional().build();
            fields.push(Field { name: format!("{ONE_OF}.field.{index}").into(), schema });
        }
        let builder = SchemaBuilder::new(Kind::Struct(fields.into())).name(ONE_OF);
        self.describe(builder, place, presence, version)
    }

    /// All properties of all factors are one struct; without any, the factor that says most is the type.
    fn product(
        &mut self,
        place: Place<'_>,
        factors: &[Json],
        presence: Presence,
        version: Option<i32>,
    ) -> Result<Schema, TaskError> {
        let mut properties = vec![];
        collect_properties(place, &mut properties, 0);
        if !properties.is_empty() {
            let builder = self.structure(properties)?;
            return self.describe(builder, place, presence, version);
        }
        let factors: Vec<_> = factors.iter().map(|factor| place.part(factor).resolved()).collect();
        let has = |keys: &'static [&'static str]| {
            factors.iter().find(|factor| keys.iter().any(|key| factor.get(key).is_some())).copied()
        };
        // A union says more than a type, and a type more than a format.
        let best = has(&["oneOf", "anyOf"]).or_else(|| has(&["type"])).or_else(|| has(&["enum", "const"]));
        match best {
            Some(factor) => self.schema(factor, presence, version),
            None => {
                let kind = self.kind(place)?;
                self.describe(kind, place, presence, version)
            }
        }
    }

    fn kind(&mut self, place: Place<'_>) -> Result<SchemaBuilder, TaskError> {
        let word = match place.get("type").and_then(Json::as_str) {
            Some(word) => word,
            None => implied_type(place)?,
        };
        self.kind_of(word, place)
    }

    fn kind_of(&mut self, word: &str, place: Place<'_>) -> Result<SchemaBuilder, TaskError> {
        let connect_type = place.get(CONNECT_TYPE).and_then(Json::as_str);
        match (word, connect_type) {
            ("boolean", _) => Ok(SchemaBuilder::boolean()),
            ("integer" | "number", Some(connect_type)) => number(connect_type),
            ("integer", None) => Ok(SchemaBuilder::int64()),
            ("number", None) => Ok(SchemaBuilder::float64()),
            ("string", Some("bytes")) => Ok(SchemaBuilder::bytes()),
            ("string", _) => Ok(string(place)),
            ("array", _) => self.array(place, connect_type),
            ("object", Some("map")) => {
                let values = place.get("additionalProperties").unwrap_or(&Json::Null);
                let value = self.schema(place.part(values), Presence::ByType, None)?;
                Ok(SchemaBuilder::map(SchemaBuilder::string().build(), value))
            }
            ("object", _) => {
                let mut properties = vec![];
                collect_properties(place, &mut properties, 0);
                self.structure(properties)
            }
            (other, _) => Err(TaskError::reject(format!("Unsupported schema type {other}"))),
        }
    }

    fn array(&mut self, place: Place<'_>, connect_type: Option<&str>) -> Result<SchemaBuilder, TaskError> {
        let Some(items) = place.get("items").filter(|items| items.is_object()) else {
            return Err(TaskError::reject("Array schema did not specify the items type"));
        };
        let items = place.part(items);
        if connect_type == Some("map") {
            let part = |name: &str| {
                let properties = items.get("properties").and_then(|properties| properties.get(name));
                let missing = || TaskError::reject(format!("the entries of a map have no {name}"));
                properties.map(|part| items.part(part)).ok_or_else(missing)
            };
            let key = self.schema(part("key")?, Presence::ByType, None)?;
            let value = self.schema(part("value")?, Presence::ByType, None)?;
            return Ok(SchemaBuilder::map(key, value));
        }
        Ok(SchemaBuilder::array(self.schema(items, Presence::ByType, None)?))
    }

    /// Fields by their index; those without one stay where they stand.
    fn structure(&mut self, mut properties: Vec<Property<'_>>) -> Result<SchemaBuilder, TaskError> {
        let mut places: Vec<usize> = (0..properties.len()).collect();
        for (place, property) in places.iter_mut().zip(&properties) {
            let index = property.place.get(CONNECT_INDEX).and_then(Json::as_u64);
            *place = index.and_then(|index| usize::try_from(index).ok()).unwrap_or(*place);
        }
        let mut order: Vec<usize> = (0..properties.len()).collect();
        order.sort_by_key(|index| places[*index]);
        let mut fields = vec![];
        for index in order {
            let property = &mut properties[index];
            let optional = self.shape.not_required == NotRequired::Optional && !property.is_required;
            let presence = if optional { Presence::Optional } else { Presence::ByType };
            let schema = self.schema(property.place, presence, None)?;
            fields.push(Field { name: property.name.into(), schema });
        }
        Ok(SchemaBuilder::new(Kind::Struct(fields.into())))
    }

    /// Name, version, doc, parameters, default.
    fn describe(
        &self,
        mut builder: SchemaBuilder,
        place: Place<'_>,
        presence: Presence,
        version: Option<i32>,
    ) -> Result<Schema, TaskError> {
        let text = |key: &str| place.get(key).and_then(Json::as_str);
        let is_union = builder.clone().build().name() == Some(ONE_OF);
        if let Some(title) = text("title").filter(|_| !is_union) {
            builder = builder.name(title);
        }
        let own = place.get(CONNECT_VERSION).and_then(Json::as_i64).and_then(|it| i32::try_from(it).ok());
        if let Some(version) = own.or(version) {
            builder = builder.version(version);
        }
        if let Some(doc) = text("description") {
            builder = builder.doc(doc);
        }
        for (key, value) in place.get(CONNECT_PARAMETERS).and_then(Json::as_object).into_iter().flatten() {
            if let Some(value) = value.as_str() {
                builder = builder.parameter(key.as_str(), value);
            }
        }
        if presence == Presence::Optional {
            builder = builder.optional();
        }
        let schema = builder.build();
        match place.get("default").filter(|default| !default.is_null()) {
            None => Ok(schema),
            Some(default) => self.with_default(&schema, default),
        }
    }

    fn with_default(&self, schema: &Schema, default: &Json) -> Result<Schema, TaskError> {
        let buffer = Buffer::from(default.to_string().into_bytes());
        let style = Style { nulls: Nulls::ReplacedByDefault, ..self.shape.style };
        let value = ReadPlan::new(schema, style)?.read(&mut Parser::new(&buffer))?;
        Ok(schema.to_builder().default(value).build())
    }
}

/// A property of an object, with all that `allOf` adds.
struct Property<'a> {
    name: &'a str,
    place: Place<'a>,
    is_required: bool,
}

fn collect_properties<'a>(place: Place<'a>, properties: &mut Vec<Property<'a>>, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    let place = place.resolved();
    let required = place.get("required").and_then(Json::as_array);
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|it| it == name));
    for (name, part) in place.get("properties").and_then(Json::as_object).into_iter().flatten() {
        let property = Property { name, place: place.part(part), is_required: is_required(name) };
        match properties.iter_mut().find(|known| known.name == name) {
            Some(known) => *known = property,
            None => properties.push(property),
        }
    }
    for factor in place.get("allOf").and_then(Json::as_array).into_iter().flatten() {
        collect_properties(place.part(factor), properties, depth + 1);
    }
}

fn number(connect_type: &str) -> Result<SchemaBuilder, TaskError> {
    Ok(match connect_type {
        "int8" => SchemaBuilder::int8(),
        "int16" => SchemaBuilder::int16(),
        "int32" => SchemaBuilder::int32(),
        "int64" => SchemaBuilder::int64(),
        "float32" => SchemaBuilder::float32(),
        "float64" => SchemaBuilder::float64(),
        "bytes" => SchemaBuilder::bytes(),
        other => return Err(TaskError::reject(format!("Unsupported type {other}"))),
    })
}

/// A string, or one of several: JSON's enums have no name, which is an empty one here.
fn string(place: Place<'_>) -> SchemaBuilder {
    let Some(symbols) = place.get("enum").and_then(Json::as_array) else { return SchemaBuilder::string() };
    let builder = SchemaBuilder::string().parameter(ENUM, "");
    symbols.iter().fold(builder, |builder, symbol| {
        let symbol = symbol.as_str().map_or_else(|| symbol.to_string(), str::to_owned);
        builder.parameter(format!("{ENUM}.{symbol}"), symbol)
    })
}

/// The type that a schema's other words speak of.
fn implied_type<'a>(place: Place<'_>) -> Result<&'a str, TaskError> {
    const WORDS: [(&str, &[&str]); 4] = [
        ("object", &["properties", "required", "additionalProperties", "patternProperties", "minProperties"]),
        ("array", &["items", "minItems", "maxItems", "uniqueItems"]),
        ("number", &["minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum"]),
        ("string", &["pattern", "minLength", "maxLength", "format"]),
    ];
    let value = place.get("const").or_else(|| place.get("enum").and_then(|values| values.get(0)));
    if let Some(value) = value {
        return Ok(match value {
            Json::Bool(_) => "boolean",
            Json::Number(number) if number.is_f64() => "number",
            Json::Number(_) => "integer",
            _ => "string",
        });
    }
    let no_members = Map::new();
    let members = place.node.as_object().unwrap_or(&no_members);
    let found = WORDS.iter().find(|(_, words)| words.iter().any(|word| members.contains_key(*word)));
    found
        .map(|(word, _)| *word)
        .ok_or_else(|| TaskError::reject("a JSON Schema without a type is not supported"))
}

//! Recorded vectors: their schemas and values to ours and back (golden/README-connect.md describes the form).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use connect::{Blob, Field, Kind, Schema, SchemaBuilder, Value, value::Decimal};
use num_bigint::BigInt;
use serde_json::{Map, Value as Json, json};

/// Type names by path, for values without a schema.
pub type Types = BTreeMap<String, String>;

/// Where the recordings are: `TIDEGATE_GOLDEN` (from here or from the project's root), or the project's own copy.
pub fn folder() -> PathBuf {
    let given = PathBuf::from(std::env::var_os("TIDEGATE_GOLDEN").unwrap_or_else(|| "golden".into()));
    if given.is_dir() { given } else { Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(given) }
}

/// Ids from the command line or, without any there, from `TIDEGATE_CASES`; none means all.
pub fn chosen() -> BTreeSet<String> {
    // Cargo hands its own flags on.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let text =
        if words.is_empty() { std::env::var("TIDEGATE_CASES").unwrap_or_default() } else { words.join(",") };
    text.split([',', ' ', '\n']).filter(|id| !id.is_empty()).map(str::to_owned).collect()
}

/// One case a line; a folder need not have cases of every kind.
pub fn read(file: &Path) -> Vec<Json> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

pub fn types_of(json: Option<&Json>) -> Types {
    let entries = json.and_then(Json::as_object).into_iter().flatten();
    entries.map(|(path, name)| (path.clone(), name.as_str().unwrap_or_default().to_owned())).collect()
}

/// A schema in JsonConverter's form; `{"$ref": id}` is looked up in `shared`.
pub fn schema_from(json: &Json, shared: &Map<String, Json>) -> Option<Schema> {
    if json.is_null() {
        return None;
    }
    if let Some(id) = json.get("$ref").and_then(Json::as_str) {
        return schema_from(&shared[id], shared);
    }
    let child = |key: &str| schema_from(&json[key], shared).expect("content of a container");
    let mut builder = SchemaBuilder::new(match json["type"].as_str().unwrap() {
        "int8" => Kind::Int8,
        "int16" => Kind::Int16,
        "int32" => Kind::Int32,
        "int64" => Kind::Int64,
        "float" => Kind::Float32,
        "double" => Kind::Float64,
        "boolean" => Kind::Boolean,
        "string" => Kind::String,
        "bytes" => Kind::Bytes,
        "array" => Kind::Array(child("items")),
        "map" => Kind::Map { key: child("keys"), value: child("values") },
        "struct" => {
            let fields = json["fields"].as_array().unwrap().iter();
            let field = |it: &Json| Field {
                name: it["field"].as_str().unwrap().into(),
                schema: schema_from(it, shared).unwrap(),
            };
            Kind::Struct(fields.map(field).collect())
        }
        other => panic!("type {other}"),
    });
    if json["optional"] == true {
        builder = builder.optional();
    }
    if let Some(name) = json["name"].as_str() {
        builder = builder.name(name);
    }
    if let Some(version) = json["version"].as_i64() {
        builder = builder.version(version as i32);
    }
    if let Some(doc) = json["doc"].as_str() {
        builder = builder.doc(doc);
    }
    for (key, value) in json["parameters"].as_object().into_iter().flatten() {
        builder = builder.parameter(key.as_str(), value.as_str().unwrap());
    }
    if let Some(default) = json.get("default").filter(|default| !default.is_null()) {
        let bare = builder.clone().build();
        builder = builder.default(value_from(Some(&bare), default, "", &Types::new()));
    }
    Some(builder.build())
}

pub fn value_from(schema: Option<&Schema>, json: &Json, path: &str, types: &Types) -> Value {
    if json.is_null() {
        return Value::Null;
    }
    let Some(schema) = schema else { return schemaless_from(json, path, types) };
    match schema.kind() {
        Kind::Int8 => Value::Int8(integer(json) as i8),
        Kind::Int16 => Value::Int16(integer(json) as i16),
        Kind::Int32 => Value::Int32(integer(json) as i32),
        Kind::Int64 => Value::Int64(integer(json)),
        Kind::Float32 => Value::Float32(float(json) as f32),
        Kind::Float64 => Value::Float64(float(json)),
        Kind::Boolean => Value::Boolean(json.as_bool().unwrap()),
        Kind::String => Value::text(json.as_str().unwrap()),
        Kind::Bytes => bytes(json),
        Kind::Array(items) => {
            let list = json.as_array().unwrap().iter();
            Value::Array(list.map(|item| value_from(Some(items), item, path, types)).collect())
        }
        Kind::Map { key, value } => Value::Map(match json {
            Json::Object(members) => members
                .iter()
                .map(|(name, item)| (Value::text(name), value_from(Some(value), item, path, types)))
                .collect(),
            pairs => pairs
                .as_array()
                .unwrap()
                .iter()
                .map(|pair| {
                    let item = |schema, index: usize| value_from(Some(schema), &pair[index], path, types);
                    (item(key, 0), item(value, 1))
                })
                .collect(),
        }),
        Kind::Struct(fields) => Value::Struct(
            fields
                .iter()
                .map(|field| value_from(Some(&field.schema), &json[&*field.name], path, types))
                .collect(),
        ),
    }
}

fn schemaless_from(json: &Json, path: &str, types: &Types) -> Value {
    let text = || json.as_str().unwrap_or_default();
    match types.get(path).map(String::as_str) {
        Some("int8") => Value::Int8(integer(json) as i8),
        Some("int16") => Value::Int16(integer(json) as i16),
        Some("int32") => Value::Int32(integer(json) as i32),
        Some("float32") => Value::Float32(float(json) as f32),
        Some("float64") => Value::Float64(float(json)),
        Some("Date") => Value::Date(integer(json)),
        Some("BigDecimal") => big_decimal(text()),
        Some("BigInteger") => Value::Decimal(Box::new(Decimal {
            unscaled: text().parse::<BigInt>().unwrap().to_signed_bytes_be(),
            scale: 0,
            integer: true,
        })),
        Some("bytes" | "ByteBuffer") => bytes(json),
        Some("map") => Value::Map(
            json.as_array()
                .unwrap()
                .iter()
                .enumerate()
                .map(|(index, pair)| {
                    let at =
                        |side: usize| schemaless_from(&pair[side], &format!("{path}/{index}/{side}"), types);
                    (at(0), at(1))
                })
                .collect(),
        ),
        Some(other) => panic!("type {other} at {path}"),
        None => match json {
            Json::Null => Value::Null,
            Json::Bool(flag) => Value::Boolean(*flag),
            Json::Number(number) if number.to_string().contains(['.', 'e', 'E']) => {
                Value::Float64(float(json))
            }
            Json::Number(_) => Value::Int64(integer(json)),
            Json::String(text) => Value::text(text),
            Json::Array(items) => Value::Array(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| schemaless_from(item, &format!("{path}/{index}"), types))
                    .collect(),
            ),
            Json::Object(members) => Value::Map(
                members
                    .iter()
                    .map(|(name, item)| {
                        (Value::text(name), schemaless_from(item, &format!("{path}/{name}"), types))
                    })
                    .collect(),
            ),
        },
    }
}

fn big_decimal(text: &str) -> Value {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let unscaled: BigInt = format!("{whole}{fraction}").parse().unwrap();
    Value::Decimal(Box::new(Decimal {
        unscaled: unscaled.to_signed_bytes_be(),
        scale: fraction.len() as i32 - exponent.parse::<i32>().unwrap(),
        integer: false,
    }))
}

fn integer(json: &Json) -> i64 {
    json.to_string().parse().unwrap_or_else(|_| float(json) as i64)
}

fn float(json: &Json) -> f64 {
    match json {
        Json::String(text) => text.replace("Infinity", "inf").parse().unwrap(),
        number => number.to_string().parse().unwrap(),
    }
}

fn bytes(json: &Json) -> Value {
    Value::Bytes(Blob::from(STANDARD.decode(json.as_str().unwrap()).unwrap()))
}

pub fn schema_to(schema: Option<&Schema>) -> Json {
    let Some(schema) = schema else { return Json::Null };
    let mut members = Map::new();
    let word = match schema.kind() {
        Kind::Float32 => "float",
        Kind::Float64 => "double",
        other => other.type_name(),
    };
    members.insert("type".into(), json!(word));
    match schema.kind() {
        Kind::Array(items) => {
            members.insert("items".into(), schema_to(Some(items)));
        }
        Kind::Map { key, value } => {
            members.insert("keys".into(), schema_to(Some(key)));
            members.insert("values".into(), schema_to(Some(value)));
        }
        Kind::Struct(fields) => {
            let field = |field: &Field| {
                let mut json = schema_to(Some(&field.schema));
                json["field"] = json!(&*field.name);
                json
            };
            members.insert("fields".into(), fields.iter().map(field).collect());
        }
        _ => {}
    }
    members.insert("optional".into(), json!(schema.is_optional()));
    if let Some(name) = schema.name() {
        members.insert("name".into(), json!(name));
    }
    if let Some(version) = schema.version() {
        members.insert("version".into(), json!(version));
    }
    if let Some(doc) = schema.doc() {
        members.insert("doc".into(), json!(doc));
    }
    if !schema.parameters().is_empty() {
        let parameters = schema.parameters().iter().map(|(key, value)| (key.to_string(), json!(&**value)));
        members.insert("parameters".into(), Json::Object(parameters.collect()));
    }
    if let Some(default) = schema.default() {
        members.insert("default".into(), value_to(Some(schema), default, "", &mut Types::new()));
    }
    Json::Object(members)
}

pub fn value_to(schema: Option<&Schema>, value: &Value, path: &str, types: &mut Types) -> Json {
    let mut is = |name: &str| {
        if schema.is_none() {
            types.insert(path.to_owned(), name.to_owned());
        }
    };
    match value {
        Value::Null => Json::Null,
        Value::Boolean(flag) => json!(flag),
        Value::Int8(number) => {
            is("int8");
            json!(number)
        }
        Value::Int16(number) => {
            is("int16");
            json!(number)
        }
        Value::Int32(number) => {
            is("int32");
            json!(number)
        }
        Value::Int64(number) => json!(number),
        Value::Float32(number) => {
            is("float32");
            float_to(f64::from(*number), number.to_string())
        }
        Value::Float64(number) => {
            if !number.is_finite() {
                is("float64");
            }
            float_to(*number, format!("{number:?}"))
        }
        Value::String(text) => json!(text.as_str()),
        Value::Bytes(bytes) => {
            is("bytes");
            json!(STANDARD.encode(bytes.as_slice()))
        }
        Value::Array(items) => list_to(schema, items, path, types),
        Value::Map(entries) => map_to(schema, entries, path, types),
        Value::Struct(values) => {
            let fields = schema.expect("a struct has a schema").fields().iter();
            let members = fields.zip(values).map(|(field, value)| {
                (field.name.to_string(), value_to(Some(&field.schema), value, path, types))
            });
            Json::Object(members.collect())
        }
        Value::Date(millis) => {
            is("Date");
            json!(millis)
        }
        Value::Decimal(number) => {
            is(if number.integer { "BigInteger" } else { "BigDecimal" });
            json!(decimal_text(&number.unscaled, number.scale))
        }
    }
}

fn decimal_text(unscaled: &[u8], scale: i32) -> String {
    let mut text = vec![];
    connect::decimal::write(unscaled, scale, &mut text);
    String::from_utf8(text).unwrap()
}

fn float_to(number: f64, text: String) -> Json {
    if number.is_finite() {
        return serde_json::from_str(&text).unwrap();
    }
    json!(if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    })
}

fn list_to(schema: Option<&Schema>, items: &[Value], path: &str, types: &mut Types) -> Json {
    let item_schema = match schema.map(Schema::kind) {
        Some(Kind::Array(items)) => Some(items),
        _ => None,
    };
    let each = items.iter().enumerate();
    each.map(|(index, item)| value_to(item_schema, item, &format!("{path}/{index}"), types)).collect()
}

fn map_to(schema: Option<&Schema>, entries: &[(Value, Value)], path: &str, types: &mut Types) -> Json {
    let (key_schema, value_schema) = match schema.map(Schema::kind) {
        Some(Kind::Map { key, value }) => (Some(key), Some(value)),
        _ => (None, None),
    };
    let required_strings =
        key_schema.is_none_or(|key| matches!(key.kind(), Kind::String) && !key.is_optional());
    let strings = entries.iter().all(|(key, _)| matches!(key, Value::String(_)));
    if strings && required_strings {
        let members = entries.iter().map(|(key, value)| {
            let name = key.as_str().unwrap();
            (name.to_owned(), value_to(value_schema, value, &format!("{path}/{name}"), types))
        });
        return Json::Object(members.collect());
    }
    if schema.is_none() {
        types.insert(path.to_owned(), "map".to_owned());
    }
    let each = entries.iter().enumerate();
    each.map(|(index, (key, value))| {
        let key = value_to(key_schema, key, &format!("{path}/{index}/0"), types);
        let value = value_to(value_schema, value, &format!("{path}/{index}/1"), types);
        json!([key, value])
    })
    .collect()
}

/// Where two JSON values first differ; objects without regard to order, numbers by value.
pub fn difference(expected: &Json, found: &Json, path: &str) -> Option<String> {
    match (expected, found) {
        (Json::Object(a), Json::Object(b)) => {
            let keys: BTreeSet<_> = a.keys().chain(b.keys()).collect();
            keys.into_iter().find_map(|key| match (a.get(key), b.get(key)) {
                (Some(x), Some(y)) => difference(x, y, &format!("{path}/{key}")),
                (x, y) => Some(format!("{path}/{key}: expected {}, found {}", show(x), show(y))),
            })
        }
        (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
            let mut pairs = a.iter().zip(b).enumerate();
            pairs.find_map(|(index, (x, y))| difference(x, y, &format!("{path}/{index}")))
        }
        (Json::Number(a), Json::Number(b)) if numbers_equal(&a.to_string(), &b.to_string()) => None,
        (a, b) if a == b => None,
        (a, b) => Some(format!("{path}: expected {}, found {}", show(Some(a)), show(Some(b)))),
    }
}

/// Equal as doubles, or as floats: the vectors print a float as the double it is.
fn numbers_equal(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    if !a.contains(['.', 'e', 'E']) && !b.contains(['.', 'e', 'E']) {
        return false;
    }
    a.parse::<f64>() == b.parse::<f64>() || a.parse::<f32>() == b.parse::<f32>()
}

fn show(json: Option<&Json>) -> String {
    let text = json.map_or("nothing".to_owned(), Json::to_string);
    if text.chars().count() > 160 { text.chars().take(160).collect::<String>() + "…" } else { text }
}

/// `Err`: the first difference. `Ok(Some)`: a difference that a row of docs/compatibility.md decides, and what came out.
pub type Checked = Result<Option<(&'static str, Json)>, String>;

/// One line for a case that differs, and the counts at the end. What comes out where we differ by decision is pinned in
/// a file of ours (`UPDATE_EXPECT=1` renews it), for as long as the case is the one that was pinned.
pub struct Tally {
    name: &'static str,
    chosen: BTreeSet<String>,
    met: BTreeSet<String>,
    equal: usize,
    different: usize,
    decided: BTreeMap<&'static str, Vec<String>>,
    file: PathBuf,
    pinned: BTreeMap<String, Json>,
    is_renewed: bool,
}

impl Tally {
    pub fn new(name: &'static str, file: &str) -> Self {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let lines = text.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
        Self {
            name,
            chosen: chosen(),
            met: BTreeSet::new(),
            equal: 0,
            different: 0,
            decided: BTreeMap::new(),
            file: file.into(),
            pinned: lines.map(|line| (line["id"].as_str().unwrap().to_owned(), line)).collect(),
            is_renewed: std::env::var_os("UPDATE_EXPECT").is_some(),
        }
    }

    /// Checks a case where it is wanted.
    pub fn check(&mut self, case: &Json, check: impl FnOnce(&Json) -> Checked) {
        let id = case["id"].as_str().unwrap();
        if !self.chosen.is_empty() && !self.chosen.contains(id) {
            return;
        }
        self.met.insert(id.to_owned());
        let different = match check(case) {
            Ok(None) => {
                self.equal += 1;
                return;
            }
            Ok(Some((row, found))) => match self.differs_from_pinned(case, row, found) {
                None => return self.decided.entry(row).or_default().push(id.to_owned()),
                Some(text) => format!("not as pinned ({row}): {text}"),
            },
            Err(difference) => difference,
        };
        self.different += 1;
        println!("{id}: {different}");
    }

    fn differs_from_pinned(&mut self, case: &Json, row: &str, found: Json) -> Option<String> {
        let id = case["id"].as_str().unwrap();
        let recording = format!("{:016x}", fingerprint(&case.to_string()));
        if self.is_renewed {
            let line = json!({"id": id, "row": row, "recording": recording, "found": found});
            self.pinned.insert(id.to_owned(), line);
            return None;
        }
        let line = self.pinned.get(id).filter(|line| line["recording"] == recording)?;
        difference(&line["found"], &found, "")
    }

    pub fn finish(self) {
        if self.is_renewed {
            let text: String = self.pinned.values().map(|line| format!("{line}\n")).collect();
            std::fs::write(&self.file, text).unwrap();
        }
        let unmet: Vec<_> = self.chosen.difference(&self.met).collect();
        for id in &unmet {
            println!("{id}: no such case");
        }
        for (row, ids) in &self.decided {
            println!("decided: {row}: {}", ids.join(" "));
        }
        let decided: usize = self.decided.values().map(Vec::len).sum();
        println!(
            "{}: {} cases: {} equal, {decided} different by decision, {} different",
            self.name,
            self.met.len(),
            self.equal,
            self.different
        );
        if self.different > 0 || !unmet.is_empty() || self.met.is_empty() {
            std::process::exit(1);
        }
    }
}

/// FNV-1a: the same in every build.
fn fingerprint(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

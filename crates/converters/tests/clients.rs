//! Our payloads, read and written by the clients that people have: confluent-kafka-python, @confluentinc/schemaregistry,
//! fastavro, jsonschema, protobuf. They are installed below the target folder.

// The rig's helpers are no tests themselves, which is what clippy's exception is for.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use connect::logical;
use connect::settings::Properties;
use connect::{Blob, Buffer, Converter, Schema, SchemaBuilder, Value};
use converters::{Role, create};
use registry::Registry;
use serde_json::{Value as Json, json};
use tokio::runtime::Runtime;

const CLASS: &str = "io.confluent.connect.avro.AvroConverter";
const PYTHON_PACKAGES: [&str; 2] = ["confluent-kafka[schemaregistry,avro]>=2.14,<2.17", "fastavro"];
const FORMAT_PACKAGES: [&str; 3] = ["jsonschema", "protobuf", "grpcio-tools"];
const NODE_PACKAGE: &str = "@confluentinc/schemaregistry@1.10.1";

struct Case {
    topic: &'static str,
    schema: Schema,
    value: Value,
    /// As a client shows it; bytes are `{"bytes": hex}`.
    shown: Json,
}

fn row() -> SchemaBuilder {
    SchemaBuilder::structure()
        .name("shop.public.users.Value")
        .field("id", SchemaBuilder::int32().default(0).build())
        .field("name", SchemaBuilder::string().optional().build())
        .field("note", SchemaBuilder::string().optional().default("n/a").build())
        .field("age", SchemaBuilder::new(connect::Kind::Int16).optional().build())
        .field("created", SchemaBuilder::int64().name("io.debezium.time.MicroTimestamp").version(1).build())
        .field("score", SchemaBuilder::float64().build())
        .field("active", SchemaBuilder::boolean().build())
        .field("photo", SchemaBuilder::bytes().optional().build())
        .field("tags", SchemaBuilder::array(SchemaBuilder::string().optional().build()).build())
}

fn row_value() -> Value {
    Value::Struct(Box::new([
        Value::Int32(7),
        Value::text("Ödön 😀, a name that is longer than fits in place"),
        Value::Null,
        Value::Int16(-3),
        Value::Int64(1_700_000_000_123_456),
        Value::Float64(1.5),
        Value::Boolean(true),
        Value::Bytes(Blob::from(&[0_u8, 255][..])),
        Value::Array(Box::new([Value::text("a"), Value::Null])),
    ]))
}

fn row_shown() -> Json {
    json!({
        "id": 7, "name": "Ödön 😀, a name that is longer than fits in place", "note": "n/a", "age": -3,
        "created": 1_700_000_000_123_456_i64, "score": 1.5, "active": true, "photo": {"bytes": "00ff"},
        "tags": ["a", null],
    })
}

fn cases() -> Vec<Case> {
    let optional_row = row().optional().build();
    let envelope = SchemaBuilder::structure()
        .name("shop.public.users.Envelope")
        .version(2)
        .field("before", optional_row.clone())
        .field("after", optional_row)
        .field("op", SchemaBuilder::string().build())
        .field("ts_ms", SchemaBuilder::int64().optional().build())
        .build();
    let change = Value::Struct(Box::new([Value::Null, row_value(), Value::text("u"), Value::Int64(5)]));
    let key = SchemaBuilder::structure()
        .name("shop.public.users.Key")
        .field("id", SchemaBuilder::int32().default(0).build())
        .build();
    vec![
        Case { topic: "users", schema: row().build(), value: row_value(), shown: row_shown() },
        Case {
            topic: "changes",
            schema: envelope,
            value: change,
            shown: json!({"before": null, "after": row_shown(), "op": "u", "ts_ms": 5}),
        },
        Case {
            topic: "keys",
            schema: key,
            value: Value::Struct(Box::new([Value::Int32(-1)])),
            shown: json!({"id": -1}),
        },
        Case {
            topic: "days",
            schema: SchemaBuilder::structure()
                .name("d.Value")
                .field("n", logical::timestamp().optional().build())
                .build(),
            value: Value::Struct(Box::new([Value::Null])),
            shown: json!({"n": null}),
        },
    ]
}

struct Rig {
    runtime: Runtime,
    registry: Registry,
    converter: Box<dyn Converter>,
}

impl Rig {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let settings = registry::Settings::in_memory("127.0.0.1:0");
        let registry = runtime.block_on(registry::serve(&settings)).unwrap();
        let url = format!("http://{}", registry.address());
        let properties = Properties::from_iter([("schema.registry.url".to_owned(), url)]);
        Self { runtime, registry, converter: create(CLASS, Role::Value, &properties).unwrap() }
    }

    fn url(&self) -> String {
        format!("http://{}", self.registry.address())
    }

    fn encode(&self, case: &Case) -> Vec<u8> {
        let mut encoder =
            self.runtime.block_on(self.converter.encoder(case.topic, Some(&case.schema))).unwrap();
        let mut out = vec![];
        assert!(encoder.encode(&case.value, &mut out).unwrap());
        out
    }

    fn decode(&self, topic: &str, payload: Vec<u8>) -> Value {
        let id = self.converter.writer_id(&payload).unwrap();
        let mut decoder = self.runtime.block_on(self.converter.decoder(topic, id)).unwrap();
        decoder.decode(Some(&Buffer::from(payload))).unwrap().1
    }

    /// Hands every case to the client, and reads back what the client wrote.
    fn exchange(&self, mut client: Command) {
        let cases = cases();
        let mut child =
            client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        for case in &cases {
            let payload = hex::encode(self.encode(case));
            writeln!(stdin, "{}", json!({"topic": case.topic, "payload": payload, "value": case.shown}))
                .unwrap();
        }
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        check_success(&output);
        let written = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<Json> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), cases.len());
        for (case, line) in cases.iter().zip(lines) {
            let payload = hex::decode(line["payload"].as_str().unwrap()).unwrap();
            assert_eq!(
                self.decode(line["topic"].as_str().unwrap(), payload),
                read_value(case),
                "{}",
                case.topic
            );
        }
    }
}

/// A null where there is a default was written as the default.
fn read_value(case: &Case) -> Value {
    fn filled(value: &Value) -> Value {
        match value {
            Value::Struct(fields) if fields.len() == 9 => {
                let mut fields = fields.clone();
                fields[2] = Value::text("n/a");
                Value::Struct(fields)
            }
            Value::Struct(fields) => Value::Struct(fields.iter().map(filled).collect()),
            other => other.clone(),
        }
    }
    filled(&case.value)
}

fn check_success(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    check_success(&output);
}

/// A folder below the target folder that outlives a test run.
fn tools(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn script(name: &str) -> String {
    format!("{}/tests/clients/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// An environment of its own with these packages.
fn python(name: &str, packages: &[&str]) -> PathBuf {
    let folder = tools(name);
    let python = folder.join("bin/python");
    if !folder.join("installed").exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(packages));
        std::fs::write(folder.join("installed"), "").unwrap();
    }
    python
}

fn every_type() -> (Schema, Value) {
    let schema = SchemaBuilder::structure()
        .name("shop.public.everything")
        .field("small", SchemaBuilder::int8().build())
        .field("id", SchemaBuilder::int32().build())
        .field("big", SchemaBuilder::int64().build())
        .field("score", SchemaBuilder::float64().build())
        .field("active", SchemaBuilder::boolean().build())
        .field("name", SchemaBuilder::string().optional().build())
        .field("nothing", SchemaBuilder::string().optional().build())
        .field("photo", SchemaBuilder::bytes().build())
        .field("price", logical::decimal(2).build())
        .field("day", logical::date().build())
        .field("at", logical::timestamp().build())
        .field("tags", SchemaBuilder::array(SchemaBuilder::string().build()).build())
        .field(
            "counts",
            SchemaBuilder::map(SchemaBuilder::string().build(), SchemaBuilder::int32().build()).build(),
        )
        .build();
    let value = Value::Struct(Box::new([
        Value::Int8(-3),
        Value::Int32(7),
        Value::Int64(1 << 40),
        Value::Float64(1.5),
        Value::Boolean(true),
        Value::text("Ödön 😀, a name that is longer than fits in place"),
        Value::Null,
        Value::Bytes(Blob::from(&[0_u8, 255][..])),
        Value::Bytes(Blob::from(&[4_u8, 210][..])),
        Value::Int32(19_675),
        Value::Int64(1_700_000_000_123),
        Value::Array(Box::new([Value::text("a"), Value::text("b")])),
        Value::Map(Box::new([(Value::text("k"), Value::Int32(1))])),
    ]));
    (schema, value)
}

/// As JSON shows it, and as protobuf's own JSON form shows it.
fn shown_by(kind: &str) -> Json {
    let name = "Ödön 😀, a name that is longer than fits in place";
    let mut shown = json!({
        "small": -3, "id": 7, "score": 1.5, "active": true, "name": name, "photo": "AP8=",
        "tags": ["a", "b"], "counts": {"k": 1},
    });
    if kind == "json" {
        shown["big"] = json!(1_i64 << 40);
        shown["nothing"] = Json::Null;
        shown["price"] = json!("BNI=");
        shown["day"] = json!(19_675);
        shown["at"] = json!(1_700_000_000_123_i64);
    } else {
        shown["big"] = json!((1_i64 << 40).to_string());
        shown["price"] = json!({"value": "BNI=", "precision": 4, "scale": 2});
        shown["day"] = json!({"year": 2023, "month": 11, "day": 14});
        shown["at"] = json!("2023-11-14T22:13:20.123Z");
    }
    shown
}

#[test]
fn python_jsonschema_and_protobuf() {
    let formats = [
        ("json", "io.confluent.connect.json.JsonSchemaConverter"),
        ("protobuf", "io.confluent.connect.protobuf.ProtobufConverter"),
    ];
    let rig = Rig::new();
    let (schema, value) = every_type();
    let mut client = Command::new(python("python-formats", &FORMAT_PACKAGES));
    client.arg(script("formats_client.py")).arg(rig.url());
    let mut child =
        client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let converters = formats.map(|(kind, class)| {
        let url = ("schema.registry.url".to_owned(), rig.url());
        let nullable = ("optional.for.nullables".to_owned(), "true".to_owned());
        let converter = create(class, Role::Value, &Properties::from_iter([url, nullable])).unwrap();
        let mut encoder = rig.runtime.block_on(converter.encoder(kind, Some(&schema))).unwrap();
        let mut out = vec![];
        assert!(encoder.encode(&value, &mut out).unwrap());
        let payload = hex::encode(out);
        let case = json!({"kind": kind, "topic": kind, "payload": payload, "value": shown_by(kind)});
        writeln!(stdin, "{case}").unwrap();
        converter
    });
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    check_success(&output);
    let written = String::from_utf8(output.stdout).unwrap();
    assert_eq!(written.lines().count(), converters.len());
    for (converter, line) in converters.iter().zip(written.lines()) {
        let line: Json = serde_json::from_str(line).unwrap();
        let payload = hex::decode(line["payload"].as_str().unwrap()).unwrap();
        let id = converter.writer_id(&payload).unwrap();
        let topic = line["topic"].as_str().unwrap();
        let mut decoder = rig.runtime.block_on(converter.decoder(topic, id)).unwrap();
        let (_, read) = decoder.decode(Some(&Buffer::from(payload))).unwrap();
        assert_eq!(read, value, "{topic}");
    }
}

#[test]
fn confluent_python_and_fastavro() {
    let python = python("python", &PYTHON_PACKAGES);
    let rig = Rig::new();
    let mut client = Command::new(python);
    client.arg(script("python_client.py")).arg(rig.url());
    rig.exchange(client);
}

#[test]
fn confluent_node() {
    let folder = tools("node");
    std::fs::create_dir_all(&folder).unwrap();
    if !folder.join("installed").exists() {
        std::fs::write(folder.join("package.json"), "{\"private\":true}").unwrap();
        let install = ["install", "--no-audit", "--no-fund", "--silent", NODE_PACKAGE];
        run(Command::new("npm").args(install).current_dir(&folder));
        std::fs::write(folder.join("installed"), "").unwrap();
    }
    // Node resolves packages from where the script lies.
    std::fs::copy(script("node_client.mjs"), folder.join("node_client.mjs")).unwrap();
    let rig = Rig::new();
    let mut client = Command::new("node");
    client.arg(folder.join("node_client.mjs")).arg(rig.url());
    rig.exchange(client);
}

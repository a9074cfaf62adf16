//! Converters whose schemas are registered, against a real registry: round trips, references, and every way to find an id.

// The rig's helpers are no tests themselves, which is what clippy's exception is for.
#![allow(clippy::unwrap_used)]

mod rig;
#[path = "rig/rows.rs"]
mod rows;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;

use connect::settings::Properties;
use connect::{Converter, Schema, SchemaBuilder, Value};
use converters::{Role, create};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use registry_client::{Metadata, Reference, RegisterRequest, SchemaType};
use rig::Rig;
use rows::rows;

const AVRO: &str = "io.confluent.connect.avro.AvroConverter";
const JSON_SCHEMA: &str = "io.confluent.connect.json.JsonSchemaConverter";
const PROTOBUF: &str = "io.confluent.connect.protobuf.ProtobufConverter";
const CASES: u32 = 48;

fn new_converter(rig: &Rig, class: &str, options: &[(&str, &str)]) -> Box<dyn Converter> {
    let url = rig.url();
    let all = [("schema.registry.url", url.as_str())].into_iter().chain(options.iter().copied());
    let properties: Properties = all.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    create(class, Role::Value, &properties).unwrap()
}

fn register(rig: &Rig, subject: &str, request: &RegisterRequest) -> i32 {
    let client = rig.client();
    rig.runtime.block_on(client.register(subject, request, registry_client::Normalize::No)).unwrap().id
}

/// Everything that is written comes back, nulls included.
fn check_round_trips(class: &str, options: &[(&str, &str)]) {
    let rig = Rig::new();
    let converter = new_converter(&rig, class, options);
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let topic = std::cell::Cell::new(0);
    let result = runner.run(&rows(), |(schema, value)| {
        topic.set(topic.get() + 1);
        let name = format!("t{}", topic.get());
        let payload = rig.encode(&*converter, &name, &schema, &value).unwrap();
        let (read_schema, read) = rig.decode(&*converter, &name, payload).unwrap();
        prop_assert_eq!(&read, &value);
        let names = |schema: &Schema| schema.fields().iter().map(|it| it.name.clone()).collect::<Vec<_>>();
        prop_assert_eq!(names(&read_schema.unwrap()), names(&schema));
        Ok(())
    });
    result.unwrap();
}

#[test]
fn avro_comes_back() {
    check_round_trips(AVRO, &[]);
}

#[test]
fn json_schema_comes_back() {
    check_round_trips(JSON_SCHEMA, &[]);
    check_round_trips(JSON_SCHEMA, &[("decimal.format", "NUMERIC"), ("json.fail.invalid.schema", "true")]);
}

#[test]
fn protobuf_comes_back() {
    check_round_trips(PROTOBUF, &[("optional.for.nullables", "true")]);
    check_round_trips(PROTOBUF, &[("wrapper.for.nullables", "true")]);
}

fn row() -> (Schema, Value) {
    let schema = SchemaBuilder::structure()
        .name("shop.Order")
        .field("id", SchemaBuilder::int32().build())
        .field("note", SchemaBuilder::string().optional().build())
        .build();
    (schema, Value::Struct(Box::new([Value::Int32(7), Value::text("n")])))
}

#[test]
fn json_schema_text() {
    let rig = Rig::new();
    let (schema, value) = row();
    let converter = new_converter(&rig, JSON_SCHEMA, &[("object.additional.properties", "false")]);
    let payload = rig.encode(&*converter, "t", &schema, &value).unwrap();
    assert_eq!(&payload[5..], br#"{"id":7,"note":"n"}"#);
    let latest = rig.runtime.block_on(rig.client().version("t-value", None)).unwrap();
    assert_eq!(latest.schema_type, SchemaType::Json);
    assert_eq!(
        latest.schema,
        concat!(
            r#"{"type":"object","properties":{"id":{"type":"integer","connect.type":"int32","connect.index":0},"#,
            r#""note":{"oneOf":[{"type":"null"},{"type":"string"}],"connect.index":1}},"#,
            r#""additionalProperties":false,"title":"shop.Order"}"#
        )
    );
}

#[test]
fn protobuf_text_and_bytes() {
    let rig = Rig::new();
    let (schema, value) = row();
    let converter = new_converter(&rig, PROTOBUF, &[]);
    let payload = rig.encode(&*converter, "t", &schema, &value).unwrap();
    // The first message, field 1 = 7, field 2 = "n".
    assert_eq!(payload[5..], [0, 8, 7, 0x12, 1, b'n']);
    let latest = rig.runtime.block_on(rig.client().version("t-value", None)).unwrap();
    assert_eq!(latest.schema_type, SchemaType::Protobuf);
    let text =
        "syntax = \"proto3\";\npackage shop;\n\nmessage Order {\n  int32 id = 1;\n  string note = 2;\n}";
    assert_eq!(latest.schema, text);
    // Without an option for them, nulls are lost.
    let null = Value::Struct(Box::new([Value::Int32(0), Value::Null]));
    let payload = rig.encode(&*converter, "t", &schema, &null).unwrap();
    assert_eq!(payload.len(), 6);
    let (_, read) = rig.decode(&*converter, "t", payload).unwrap();
    assert_eq!(read, Value::Struct(Box::new([Value::Int32(0), Value::text("")])));
}

#[test]
fn json_schema_of_somebody_else_with_references() {
    let rig = Rig::new();
    let address = r#"{"type":"object","title":"Address","properties":{"city":{"type":"string"}}}"#;
    let text = r##"{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","title":"Person",
        "properties":{"name":{"type":"string"},"age":{"type":["integer","null"]},"home":{"$ref":"address.json"},
          "kind":{"enum":["a","b"]},"either":{"oneOf":[{"type":"string"},{"type":"integer"}]},
          "tags":{"type":"array","items":{"$ref":"#/definitions/tag"}}},
        "required":["name"],"definitions":{"tag":{"type":"string"}}}"##;
    let request = |text: &str, references| RegisterRequest {
        schema: text.to_owned(),
        schema_type: SchemaType::Json,
        references,
        ..RegisterRequest::default()
    };
    register(&rig, "address", &request(address, vec![]));
    let reference = Reference { name: "address.json".to_owned(), subject: "address".to_owned(), version: 1 };
    let id = register(&rig, "people-value", &request(text, vec![reference]));
    let options = [("use.optional.for.nonrequired", "true"), ("json.fail.invalid.schema", "true")];
    let converter = new_converter(&rig, JSON_SCHEMA, &options);
    let payload = |json: &str| [&[0], &id.to_be_bytes()[..], json.as_bytes()].concat();
    let json = r#"{"name":"x","home":{"city":"y"},"either":3,"tags":["t"],"kind":"b"}"#;
    let (schema, value) = rig.decode(&*converter, "people", payload(json)).unwrap();
    let schema = schema.unwrap();
    assert_eq!(schema.name(), Some("Person"));
    assert!(!schema.field("name").unwrap().schema.is_optional());
    assert!(schema.field("home").unwrap().schema.is_optional());
    let fields = value.as_struct().unwrap();
    assert_eq!(fields[2], Value::Struct(Box::new([Value::text("y")])));
    assert_eq!((&fields[1], &fields[3]), (&Value::Null, &Value::text("b")));
    assert_eq!(fields[4], Value::Struct(Box::new([Value::Null, Value::Int64(3)])));
    let wrong = rig.decode(&*converter, "people", payload(r#"{"name":"x","home":{"city":1}}"#)).unwrap_err();
    assert_eq!(wrong.fate, connect::Fate::Reject);
}

#[test]
fn protobuf_of_somebody_else_with_references() {
    let rig = Rig::new();
    let request = |text: &str, references| RegisterRequest {
        schema: text.to_owned(),
        schema_type: SchemaType::Protobuf,
        references,
        ..RegisterRequest::default()
    };
    let address = "syntax = \"proto3\"; package a; message Address { string city = 1; }";
    let text = r#"syntax = "proto3"; package p; import "address.proto"; import "google/protobuf/timestamp.proto";
        message First { int32 a = 1; }
        message Person {
          enum Kind { NONE = 0; SOME = 1; }
          message Inner { sint64 s = 1; fixed32 f = 2; }
          string name = 1;
          a.Address home = 2;
          google.protobuf.Timestamp at = 3;
          repeated int32 numbers = 4;
          map<string, Inner> inner = 5;
          oneof contact { string mail = 6; int64 phone = 7; }
          Kind kind = 8;
          optional bool flag = 300;
        }"#;
    register(&rig, "address", &request(address, vec![]));
    let reference = Reference { name: "address.proto".to_owned(), subject: "address".to_owned(), version: 1 };
    let id = register(&rig, "people-value", &request(text, vec![reference]));
    let converter = new_converter(&rig, PROTOBUF, &[]);
    let message: Vec<u8> = [
        &[0x0a, 1, b'x'][..],               // name
        &[0x12, 3, 0x0a, 1, b'y'],          // home { city }
        &[0x1a, 5, 8, 2, 0x10, 0xc0, 0x84], // at { seconds 2, nanos … }
        &[0x22, 2, 1, 2],                   // numbers, packed
        &[0x20, 3],                         // numbers, alone
        &[0x2a, 5, 0x0a, 1, b'k', 0x12, 0], // inner { k: {} }
        &[0x38, 9],                         // phone
        &[0x40, 1],                         // kind
        &[0xe0, 0x12, 1],                   // flag
        &[0x9a, 0x3f, 1, b'?'],             // unknown
    ]
    .concat();
    // The timestamp's nanoseconds need their last byte.
    let mut message = message;
    let at = message.windows(2).position(|pair| pair == [0x1a, 5]).unwrap();
    message[at + 1] = 6;
    message.insert(at + 7, 0x3d);
    // Person is the second message of the file: one index, 1.
    let payload = [&[0], &id.to_be_bytes()[..], &[2, 2], &message].concat();
    let (schema, value) = rig.decode(&*converter, "people", payload).unwrap();
    let schema = schema.unwrap();
    let names: Vec<_> = schema.fields().iter().map(|field| &*field.name).collect();
    assert_eq!(names, ["contact_0", "name", "home", "at", "numbers", "inner", "kind", "flag"]);
    let fields = value.as_struct().unwrap();
    assert_eq!(fields[0], Value::Struct(Box::new([Value::Null, Value::Int64(9)])));
    assert_eq!(fields[2], Value::Struct(Box::new([Value::text("y")])));
    assert_eq!(fields[3], Value::Int64(2001));
    assert_eq!(fields[4], Value::Array(Box::new([Value::Int32(1), Value::Int32(2), Value::Int32(3)])));
    let inner = Value::Struct(Box::new([Value::Int64(0), Value::Int64(0)]));
    assert_eq!(fields[5], Value::Map(Box::new([(Value::text("k"), inner)])));
    assert_eq!((&fields[6], &fields[7]), (&Value::text("SOME"), &Value::Boolean(true)));
}

#[test]
fn the_latest_version_is_written_where_it_is_asked_for() {
    let rig = Rig::new();
    let (schema, value) = row();
    let theirs = r#"{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"id","type":"int"},
        {"name":"note","type":["null","string"]},{"name":"more","type":"int","default":5}]}"#;
    let metadata = |tier: &str| {
        let properties = [("tier".to_owned(), tier.to_owned())].into();
        Some(Metadata { properties, ..Metadata::default() })
    };
    let request = |schema: &str, metadata| RegisterRequest {
        schema: schema.to_owned(),
        metadata,
        ..RegisterRequest::default()
    };
    let first = register(&rig, "t-value", &request(theirs, metadata("gold")));
    let read = |options: &[(&str, &str)]| {
        let mut all = vec![("auto.register.schemas", "false")];
        all.extend_from_slice(options);
        let converter = new_converter(&rig, AVRO, &all);
        let payload = rig.encode(&*converter, "t", &schema, &value)?;
        let id = i32::from_be_bytes(payload[1..5].try_into().unwrap());
        Ok::<_, connect::TaskError>((id, rig.decode(&*converter, "t", payload).unwrap().1))
    };
    assert!(read(&[]).is_err(), "the own schema is not registered");
    let widened = Value::Struct(Box::new([Value::Int32(7), Value::text("n"), Value::Int32(5)]));
    assert_eq!(read(&[("use.latest.version", "true")]).unwrap(), (first, widened.clone()));
    assert_eq!(read(&[("use.schema.id", &first.to_string())]).unwrap(), (first, widened.clone()));
    // A second version with other metadata; the first is still found by its own.
    let second = register(&rig, "t-value", &request(theirs, metadata("silver")));
    assert_ne!(first, second);
    assert_eq!(read(&[("use.latest.version", "true")]).unwrap().0, second);
    assert_eq!(read(&[("use.latest.with.metadata", "tier=gold")]).unwrap(), (first, widened));
    // What the latest has and the own schema does not give.
    let client = rig.client();
    let strict = theirs.replace(",\"default\":5", "");
    let request = request(&strict, None);
    rig.runtime.block_on(client.register("u-value", &request, registry_client::Normalize::No)).unwrap();
    let converter =
        new_converter(&rig, AVRO, &[("auto.register.schemas", "false"), ("use.latest.version", "true")]);
    let error = rig.encode(&*converter, "u", &schema, &value).unwrap_err();
    assert!(error.message.contains("latest.compatibility.strict"), "{error}");
}

#[test]
fn latest_of_json_schema_and_protobuf_must_fit() {
    let rig = Rig::new();
    let (schema, value) = row();
    let latest = [("auto.register.schemas", "false"), ("use.latest.version", "true")];
    let loose = [latest[0], latest[1], ("latest.compatibility.strict", "false")];
    let check = |class: &str, kind: SchemaType, topic: &str, text: &str, fits: bool| {
        let request =
            RegisterRequest { schema: text.to_owned(), schema_type: kind, ..RegisterRequest::default() };
        register(&rig, &format!("{topic}-value"), &request);
        let strict = rig.encode(&*new_converter(&rig, class, &latest), topic, &schema, &value);
        assert_eq!(strict.is_ok(), fits, "{text}: {strict:?}");
        rig.encode(&*new_converter(&rig, class, &loose), topic, &schema, &value).unwrap();
    };
    let proto = |fields: &str| format!("syntax = \"proto3\"; package shop; message Order {{ {fields} }}");
    let fitting = proto("string more = 1; string note = 5; int32 id = 9;");
    check(PROTOBUF, SchemaType::Protobuf, "p1", &fitting, true);
    check(PROTOBUF, SchemaType::Protobuf, "p2", &proto("int32 id = 1;"), false);
    let json = |more: &str| {
        format!("{{\"type\":\"object\",\"properties\":{{\"id\":{{\"type\":\"integer\"}}{more}}}")
    };
    let note = ",\"note\":{\"type\":[\"string\",\"null\"]}";
    check(JSON_SCHEMA, SchemaType::Json, "j1", &format!("{}}}", json(note)), true);
    check(
        JSON_SCHEMA,
        SchemaType::Json,
        "j2",
        &format!("{},\"additionalProperties\":false}}", json("")),
        false,
    );
    check(JSON_SCHEMA, SchemaType::Json, "j3", &format!("{},\"required\":[\"zip\"]}}", json(note)), false);
}

fn with_urls(urls: &str, options: &[(&str, &str)]) -> Box<dyn Converter> {
    let quick = [("schema.registry.url", urls), ("retries.wait.ms", "1"), ("max.retries", "1")];
    let all = quick.into_iter().chain(options.iter().copied());
    let properties: Properties = all.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    create(AVRO, Role::Value, &properties).unwrap()
}

#[test]
fn another_registry_answers_where_one_does_not() {
    let (first, second) = (Rig::new(), Rig::new());
    // Nobody listens behind a port that was just given up.
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (schema, value) = row();
    let converter = with_urls(&format!("http://{dead},{}", first.url()), &[]);
    first.encode(&*converter, "a", &schema, &value).unwrap();
    let found = first.runtime.block_on(first.client().version("a-value", None));
    assert_eq!(found.unwrap().version, 1);
    // One that answered before goes away.
    let converter = with_urls(&format!("{},{}", first.url(), second.url()), &[]);
    first.encode(&*converter, "b", &schema, &value).unwrap();
    let Rig { runtime, registry } = first;
    runtime.block_on(registry.stop());
    second.encode(&*converter, "c", &schema, &value).unwrap();
    assert!(second.runtime.block_on(second.client().version("c-value", None)).is_ok());
    assert!(second.runtime.block_on(second.client().version("b-value", None)).is_err());
    // With nobody left it is an error that passes.
    let converter = with_urls(&format!("http://{dead}"), &[]);
    let error = second.encode(&*converter, "d", &schema, &value).unwrap_err();
    assert_eq!(error.fate, connect::Fate::Retry);
}

/// Answers every request from a list, and tells what was asked.
fn scripted(answers: Vec<(u16, &'static str)>) -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for (status, body) in answers {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let mut head = vec![];
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).to_lowercase();
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
            let mut sent = vec![0; length.and_then(|text| text.parse().ok()).unwrap_or(0)];
            let _ = stream.read_exact(&mut sent);
            let _ = tell.send(head);
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            );
        }
    });
    (address, told)
}

#[test]
fn credentials_are_sent() {
    let (schema, value) = row();
    let check = |options: &[(&str, &str)], user: &str, expected: &[&str]| {
        let (address, told) = scripted(vec![(200, r#"{"id":7}"#)]);
        let converter = with_urls(&format!("http://{user}{address}"), options);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let mut encoder = runtime.block_on(converter.encoder("t", Some(&schema))).unwrap();
        let mut out = vec![];
        encoder.encode(&value, &mut out).unwrap();
        assert_eq!(out[..5], [0, 0, 0, 0, 7]);
        let head = told.recv().unwrap();
        for line in expected {
            assert!(head.contains(line), "{line} is not in {head}");
        }
    };
    // user:secret
    let basic = "authorization: basic dxnlcjpzzwnyzxq=";
    check(&[], "user:secret@", &[basic]);
    let info = [("basic.auth.credentials.source", "USER_INFO"), ("basic.auth.user.info", "user:secret")];
    check(&info, "", &[basic]);
    let jaas = "org.x.PlainLoginModule required username=\"user\" password=\"secret\";";
    let inherit = [("basic.auth.credentials.source", "SASL_INHERIT"), ("sasl.jaas.config", jaas)];
    check(&inherit, "", &[basic]);
    let bearer = [
        ("bearer.auth.token", "t0ken"),
        ("bearer.auth.logical.cluster", "lsrc-1"),
        ("bearer.auth.identity.pool.id", "pool-1"),
    ];
    let lines =
        ["authorization: bearer t0ken", "target-sr-cluster: lsrc-1", "confluent-identity-pool-id: pool-1"];
    check(&bearer, "", &lines);
}

#[test]
fn subjects_by_association_and_by_record() {
    let (schema, value) = row();
    let strategy = "io.confluent.kafka.serializers.subject.AssociatedNameStrategy";
    let asked = |answers: Vec<(u16, &'static str)>| {
        let count = answers.len();
        let (address, told) = scripted(answers);
        let converter = with_urls(&format!("http://{address}"), &[("value.subject.name.strategy", strategy)]);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let mut encoder = runtime.block_on(converter.encoder("t", Some(&schema))).unwrap();
        encoder.encode(&value, &mut vec![]).unwrap();
        told.iter().take(count).map(|head| head.lines().next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let question = "get /associations/resources/-/t?resourcetype=topic&associationtype=value http/1.1";
    let own = [(200, r#"[{"subject":"orders"}]"#), (200, r#"{"id":1}"#)];
    assert_eq!(asked(own.to_vec()), [question, "post /subjects/orders/versions http/1.1"]);
    let none = [(404, r#"{"error_code":40410,"message":"none"}"#), (200, r#"{"id":1}"#)];
    assert_eq!(asked(none.to_vec()), [question, "post /subjects/t-value/versions http/1.1"]);
    assert_eq!(asked(vec![(200, "[]"), (200, r#"{"id":1}"#)])[1], "post /subjects/t-value/versions http/1.1");
    // Our own registry has none.
    let rig = Rig::new();
    let converter = new_converter(&rig, AVRO, &[("value.subject.name.strategy", strategy)]);
    rig.encode(&*converter, "t", &schema, &value).unwrap();
    let subject = |name: &str| rig.runtime.block_on(rig.client().version(name, None)).is_ok();
    assert!(subject("t-value"));
    for (strategy, name) in
        [("RecordNameStrategy", "shop.Order"), ("TopicRecordNameStrategy", "t-shop.Order")]
    {
        for class in [AVRO, JSON_SCHEMA, PROTOBUF] {
            let rig = Rig::new();
            let converter = new_converter(&rig, class, &[("value.subject.name.strategy", strategy)]);
            rig.encode(&*converter, "t", &schema, &value).unwrap();
            assert!(rig.runtime.block_on(rig.client().version(name, None)).is_ok(), "{class} {name}");
        }
    }
}

/// A certificate for 127.0.0.1 and its key, as PEM.
fn self_signed(folder: &std::path::Path) -> (String, String) {
    let (key, certificate) = (folder.join("key.pem"), folder.join("certificate.pem"));
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (std::fs::read_to_string(certificate).unwrap(), std::fs::read_to_string(key).unwrap())
}

/// One answer over TLS, from openssl's own server: what it serves is a file.
#[test]
fn a_registry_behind_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, _) = self_signed(folder.path());
    let body = r#"{"schema":"\"string\""}"#;
    std::fs::create_dir_all(folder.path().join("schemas/ids")).unwrap();
    let length = body.len();
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    // With the query that the client sends.
    let file = folder.path().join("schemas/ids/1?fetchMaxId=false");
    std::fs::write(file, answer).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = std::process::Command::new("openssl")
        .args(["s_server", "-quiet", "-HTTP", "-accept", &port.to_string()])
        .args(["-cert", "certificate.pem", "-key", "key.pem"])
        .current_dir(folder.path())
        .spawn()
        .unwrap();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let read = |options: &[(&str, &str)]| {
        // A record's name is no subject that a reader could ask for: there is one question only.
        let mut all = vec![("value.subject.name.strategy", "RecordNameStrategy")];
        all.extend_from_slice(options);
        let converter = with_urls(&format!("https://127.0.0.1:{port}"), &all);
        let mut decoder = runtime.block_on(converter.decoder("t", 1))?;
        decoder.decode(Some(&connect::Buffer::from(vec![0, 0, 0, 0, 1, 2, b'x'])))
    };
    let trusting = read(&[("schema.registry.ssl.truststore.certificates", &certificate)]);
    let path = folder.path().join("certificate.pem");
    let location = ("schema.registry.ssl.truststore.location", path.to_str().unwrap());
    let by_file = read(&[location, ("schema.registry.ssl.truststore.type", "PEM")]);
    let doubting = read(&[]);
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(trusting.unwrap().1, Value::text("x"));
    assert_eq!(by_file.unwrap().1, Value::text("x"));
    assert_eq!(doubting.unwrap_err().fate, connect::Fate::Retry);
}

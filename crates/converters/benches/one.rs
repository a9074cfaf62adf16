//! One record of ten columns and 250 bytes: what converting it costs (design.md, performance budget).

use std::hint::black_box;

use connect::settings::Properties;
use connect::{Buffer, Converter, Decoder, Encoder, Schema, SchemaBuilder, Value};
use converters::{Role, create};
use criterion::{Criterion, criterion_group, criterion_main};
use tokio::runtime::Runtime;

const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";
const REGISTERED: [(&str, &str); 3] = [
    ("avro", "io.confluent.connect.avro.AvroConverter"),
    ("json schema", "io.confluent.connect.json.JsonSchemaConverter"),
    ("protobuf", "io.confluent.connect.protobuf.ProtobufConverter"),
];

fn schema() -> Schema {
    SchemaBuilder::structure()
        .name("server.public.bench.Value")
        .field("id", SchemaBuilder::int64().build())
        .field("name", SchemaBuilder::string().build())
        .field("email", SchemaBuilder::string().optional().build())
        .field("city", SchemaBuilder::string().optional().build())
        .field("note", SchemaBuilder::string().optional().build())
        .field("amount", SchemaBuilder::float64().optional().build())
        .field("count", SchemaBuilder::int32().optional().build())
        .field("active", SchemaBuilder::boolean().build())
        .field("created", SchemaBuilder::int64().name("io.debezium.time.MicroTimestamp").version(1).build())
        .field(
            "updated",
            SchemaBuilder::int64().name("io.debezium.time.MicroTimestamp").version(1).optional().build(),
        )
        .build()
}

fn value() -> Value {
    Value::Struct(Box::new([
        Value::Int64(123_456_789),
        Value::text("Margarethe von Beispielhausen"),
        Value::text("margarethe@beispielhausen.example.org"),
        Value::text("Beispielhausen an der Muster"),
        Value::text(&"a note of some length that nobody reads, ".repeat(3)),
        Value::Float64(1234.56),
        Value::Int32(42),
        Value::Boolean(true),
        Value::Int64(1_700_000_000_123_456),
        Value::Null,
    ]))
}

fn json(runtime: &Runtime, schemas: &str) -> Box<dyn Converter> {
    let _ = runtime;
    let properties = Properties::from_iter([("schemas.enable".to_owned(), schemas.to_owned())]);
    create(JSON, Role::Value, &properties).expect("valid settings")
}

fn encoder(runtime: &Runtime, converter: &dyn Converter, topic: &str, schema: &Schema) -> Box<dyn Encoder> {
    runtime.block_on(converter.encoder(topic, Some(schema))).expect("an encoder")
}

fn decoder(runtime: &Runtime, converter: &dyn Converter, topic: &str, payload: &[u8]) -> Box<dyn Decoder> {
    let id = converter.writer_id(payload).expect("an id");
    runtime.block_on(converter.decoder(topic, id)).expect("a decoder")
}

fn both_ways(criterion: &mut Criterion, runtime: &Runtime, name: &str, converter: &dyn Converter) {
    let (schema, value) = (schema(), value());
    let mut encode = encoder(runtime, converter, name, &schema);
    let mut out = Vec::with_capacity(1024);
    criterion.bench_function(&format!("{name} encode"), |bencher| {
        bencher.iter(|| {
            out.clear();
            encode.encode(black_box(&value), &mut out).expect("a fitting value")
        });
    });
    let buffer = Buffer::from(out.clone());
    let mut decode = decoder(runtime, converter, name, &out);
    criterion.bench_function(&format!("{name} decode"), |bencher| {
        bencher.iter(|| decode.decode(Some(black_box(&buffer))).expect("what was just written"));
    });
}

fn benches(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    both_ways(criterion, &runtime, "json", &*json(&runtime, "false"));
    both_ways(criterion, &runtime, "json with schema", &*json(&runtime, "true"));
    let registry = registry::Settings::in_memory("127.0.0.1:0");
    let registry = runtime.block_on(registry::serve(&registry)).expect("a registry");
    let url = format!("http://{}", registry.address());
    for (name, class) in REGISTERED {
        let properties = Properties::from_iter([("schema.registry.url".to_owned(), url.clone())]);
        let converter = create(class, Role::Value, &properties).expect("valid settings");
        both_ways(criterion, &runtime, name, &*converter);
    }
}

criterion_group!(one, benches);
criterion_main!(one);

//! One change event through chains of transforms: what they cost (design.md, performance budget).

use std::hint::black_box;
use std::sync::Arc;

use connect::settings::Properties;
use connect::{Record, Schema, SchemaBuilder, Value};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use transforms::Chain;

fn row() -> Schema {
    let mut builder = SchemaBuilder::structure().name("server.public.bench.Value").optional();
    for index in 0..10 {
        builder = builder.field(format!("column_{index}"), SchemaBuilder::string().optional().build());
    }
    builder.build()
}

fn envelope() -> Schema {
    SchemaBuilder::structure()
        .name("server.public.bench.Envelope")
        .field("before", row())
        .field("after", row())
        .field("op", SchemaBuilder::string().build())
        .field("ts_ms", SchemaBuilder::int64().optional().build())
        .build()
}

fn chain(pairs: &[(&str, &str)]) -> Chain {
    let properties: Properties =
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Chain::new(&properties).expect("valid settings")
}

fn benches(criterion: &mut Criterion) {
    let (schema, topic) = (envelope(), Arc::<str>::from("server.public.bench"));
    let after = Value::Struct((0..10).map(|index| Value::from(format!("value {index}"))).collect());
    let event = || {
        let value = Value::Struct(Box::new([Value::Null, after.clone(), Value::text("c"), Value::Int64(1)]));
        Record::source(topic.clone(), (None, Value::Null), (Some(schema.clone()), value))
    };
    let mut unwrap_and_route = chain(&[
        ("transforms", "unwrap,route"),
        ("transforms.unwrap.type", "io.debezium.transforms.ExtractNewRecordState"),
        ("transforms.route.type", "org.apache.kafka.connect.transforms.RegexRouter"),
        ("transforms.route.regex", "([^.]+)\\.([^.]+)\\.([^.]+)"),
        ("transforms.route.replacement", "$3"),
    ]);
    criterion.bench_function("unwrap and route", |bencher| {
        bencher.iter_batched_ref(
            event,
            |record| unwrap_and_route.apply(black_box(record)),
            BatchSize::SmallInput,
        );
    });
}

/// A row of ten columns of the kinds that a table has.
fn order_row() -> Schema {
    SchemaBuilder::structure()
        .name("server.public.orders.Value")
        .field("id", SchemaBuilder::int64().build())
        .field("customer", SchemaBuilder::int32().build())
        .field("quantity", SchemaBuilder::int32().optional().build())
        .field("price", SchemaBuilder::string().optional().build())
        .field("status", SchemaBuilder::string().optional().build())
        .field("card", SchemaBuilder::string().optional().build())
        .field("note", SchemaBuilder::string().optional().build())
        .field("created", SchemaBuilder::int64().name("io.debezium.time.MicroTimestamp").version(1).build())
        .field(
            "changed",
            SchemaBuilder::int64().name("io.debezium.time.MicroTimestamp").version(1).optional().build(),
        )
        .field("active", SchemaBuilder::boolean().build())
        .optional()
        .build()
}

fn order() -> Value {
    Value::Struct(Box::new([
        Value::Int64(1_234_567),
        Value::Int32(42),
        Value::Int32(3),
        Value::text("19.99"),
        Value::text("shipped"),
        Value::text("4111111111111111"),
        Value::text("leave it at the door, please, and ring"),
        Value::Int64(1_700_000_000_123_456),
        Value::Int64(1_700_000_100_123_456),
        Value::Boolean(true),
    ]))
}

const UNWRAP: [(&str, &str); 1] =
    [("transforms.unwrap.type", "io.debezium.transforms.ExtractNewRecordState")];
const ROUTE: [(&str, &str); 3] = [
    ("transforms.route.type", "org.apache.kafka.connect.transforms.RegexRouter"),
    ("transforms.route.regex", "([^.]+)\\.([^.]+)\\.([^.]+)"),
    ("transforms.route.replacement", "$3"),
];
const CAST: [(&str, &str); 2] = [
    ("transforms.cast.type", "org.apache.kafka.connect.transforms.Cast$Value"),
    ("transforms.cast.spec", "quantity:int64,customer:string"),
];
const TIMES: [(&str, &str); 7] = [
    ("transforms.created.type", "org.apache.kafka.connect.transforms.TimestampConverter$Value"),
    ("transforms.created.field", "created"),
    ("transforms.created.target.type", "Timestamp"),
    ("transforms.changed.type", "org.apache.kafka.connect.transforms.TimestampConverter$Value"),
    ("transforms.changed.field", "changed"),
    ("transforms.changed.target.type", "string"),
    ("transforms.changed.format", "yyyy-MM-dd'T'HH:mm:ss.SSS"),
];
const REPLACE: [(&str, &str); 3] = [
    ("transforms.replace.type", "org.apache.kafka.connect.transforms.ReplaceField$Value"),
    ("transforms.replace.exclude", "note,active"),
    ("transforms.replace.renames", "status:state"),
];
const MASK: [(&str, &str); 3] = [
    ("transforms.mask.type", "org.apache.kafka.connect.transforms.MaskField$Value"),
    ("transforms.mask.fields", "card"),
    ("transforms.mask.replacement", "****"),
];
const INSERT: [(&str, &str); 2] = [
    ("transforms.insert.type", "org.apache.kafka.connect.transforms.InsertField$Value"),
    ("transforms.insert.topic.field", "origin"),
];

/// The chain of the goal, under a microsecond, and each of its links alone.
/// What it is called, its alias, and its options.
type Link = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

fn links(criterion: &mut Criterion) {
    let row = order_row();
    let envelope = SchemaBuilder::structure()
        .name("server.public.orders.Envelope")
        .field("before", row.clone())
        .field("after", row.clone())
        .field("op", SchemaBuilder::string().build())
        .field("ts_ms", SchemaBuilder::int64().optional().build())
        .build();
    let topic = Arc::<str>::from("server.public.orders");
    let event = || {
        let value = Value::Struct(Box::new([Value::Null, order(), Value::text("c"), Value::Int64(1)]));
        Record::source(topic.clone(), (None, Value::Null), (Some(envelope.clone()), value))
    };
    let unwrapped = || Record::source(topic.clone(), (None, Value::Null), (Some(row.clone()), order()));
    let all = [
        &[("transforms", "unwrap,route,cast,created,changed,replace,mask,insert")][..],
        &UNWRAP[..],
        &ROUTE[..],
        &CAST[..],
        &TIMES[..],
        &REPLACE[..],
        &MASK[..],
        &INSERT[..],
    ]
    .concat();
    let mut whole = chain(&all);
    criterion.bench_function("the whole chain", |bencher| {
        bencher.iter_batched_ref(event, |record| whole.apply(black_box(record)), BatchSize::SmallInput);
    });
    let links: [Link; 6] = [
        ("Cast, two fields", "cast", &CAST),
        ("TimestampConverter to Timestamp", "created", &TIMES),
        ("TimestampConverter to string", "changed", &TIMES),
        ("ReplaceField", "replace", &REPLACE),
        ("MaskField", "mask", &MASK),
        ("InsertField", "insert", &INSERT),
    ];
    for (name, alias, settings) in links {
        let mut link = chain(&[&[("transforms", alias)][..], settings].concat());
        criterion.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                unwrapped,
                |record| link.apply(black_box(record)),
                BatchSize::SmallInput,
            );
        });
    }
}

criterion_group!(one, benches, links);
criterion_main!(one);

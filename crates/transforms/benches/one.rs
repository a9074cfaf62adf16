//! One change event through unwrap and route: what the chain costs (design.md, performance budget).

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

criterion_group!(one, benches);
criterion_main!(one);

//! Random structs with values.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};

use connect::{Blob, Field, Kind, Schema, SchemaBuilder, Value, logical};
use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop, prop_oneof};

/// A struct, and a value of it.
pub fn rows() -> BoxedStrategy<(Schema, Value)> {
    let names = prop::collection::btree_set("[a-z][a-z0-9]{0,6}", 1..7);
    (names, prop::collection::vec(cells(2), 7))
        .prop_map(|(names, cells)| row("test.Row", &names, cells))
        .boxed()
}

fn row(name: &str, names: &BTreeSet<String>, cells: Vec<(Schema, Value)>) -> (Schema, Value) {
    let (mut fields, mut values) = (vec![], vec![]);
    for (name, (schema, value)) in names.iter().zip(cells) {
        fields.push(Field { name: name.as_str().into(), schema });
        values.push(value);
    }
    let schema = SchemaBuilder::new(Kind::Struct(fields.into())).name(name).build();
    (schema, Value::Struct(values.into()))
}

fn scalars() -> BoxedStrategy<(Schema, Value)> {
    let of = |builder: SchemaBuilder, value: Value| (builder.build(), value);
    prop_oneof![
        any::<i8>().prop_map(move |it| of(SchemaBuilder::int8(), it.into())),
        any::<i16>().prop_map(move |it| of(SchemaBuilder::int16(), it.into())),
        any::<i32>().prop_map(move |it| of(SchemaBuilder::int32(), it.into())),
        any::<i64>().prop_map(move |it| of(SchemaBuilder::int64(), it.into())),
        prop::num::f32::NORMAL.prop_map(move |it| of(SchemaBuilder::float32(), it.into())),
        prop::num::f64::NORMAL.prop_map(move |it| of(SchemaBuilder::float64(), it.into())),
        any::<bool>().prop_map(move |it| of(SchemaBuilder::boolean(), it.into())),
        "\\PC{0,40}".prop_map(move |it| of(SchemaBuilder::string(), it.into())),
        prop::collection::vec(any::<u8>(), 0..40)
            .prop_map(move |it| of(SchemaBuilder::bytes(), Value::Bytes(Blob::from(it)))),
        any::<i64>().prop_map(move |it| {
            let unscaled = num_bigint::BigInt::from(it).to_signed_bytes_be();
            of(logical::decimal(3), Value::Bytes(Blob::from(unscaled)))
        }),
        (-700_000..2_000_000_i32).prop_map(move |it| of(logical::date(), it.into())),
        (0..86_400_000_i32).prop_map(move |it| of(logical::time(), it.into())),
        (-60_000_000_000_000..200_000_000_000_000_i64)
            .prop_map(move |it| of(logical::timestamp(), it.into())),
    ]
    .boxed()
}

/// A field: perhaps null, perhaps a list, a map or a struct.
fn cells(depth: u32) -> BoxedStrategy<(Schema, Value)> {
    let optional = (scalars(), any::<bool>()).prop_map(|((schema, value), is_null)| {
        (schema.to_optional(), if is_null { Value::Null } else { value })
    });
    let lists = prop::collection::vec(scalars(), 1..4).prop_map(|items| {
        let schema = items[0].0.clone();
        let values = items.into_iter().filter(|(other, _)| *other == schema).map(|(_, value)| value);
        (SchemaBuilder::array(schema.clone()).build(), Value::Array(values.collect()))
    });
    let maps =
        (prop::collection::btree_set("[a-z]{1,5}", 0..4), scalars()).prop_map(|(keys, (schema, value))| {
            let entries = keys.into_iter().map(|key| (Value::from(key), value.clone()));
            (
                SchemaBuilder::map(SchemaBuilder::string().build(), schema).build(),
                Value::Map(entries.collect()),
            )
        });
    let flat = prop_oneof![4 => scalars(), 3 => optional, 1 => lists, 1 => maps];
    if depth == 0 {
        return flat.boxed();
    }
    let names = prop::collection::btree_set("[a-z][a-z0-9]{0,6}", 1..4);
    let inner = (names, prop::collection::vec(cells(depth - 1), 4), Just(depth), any::<bool>());
    let structs = inner.prop_map(|(names, cells, depth, is_null)| {
        // Two structs of one name must be one.
        let (schema, value) = row(&format!("test.Inner{depth}"), &names, cells);
        let mut hasher = std::hash::DefaultHasher::new();
        schema.hash(&mut hasher);
        let schema = schema.to_builder().name(format!("test.I{:x}", hasher.finish())).build();
        (schema.to_optional(), if is_null { Value::Null } else { value })
    });
    prop_oneof![5 => flat, 1 => structs].boxed()
}

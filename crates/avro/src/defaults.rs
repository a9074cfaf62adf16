//! Whether a field's default fits the field's type, by Avro-Java 1.12's rules.

use crate::schema::{Json, Kind, NodeId, Schema};

pub(crate) fn is_valid_default(schema: &Schema, id: NodeId, value: &Json) -> bool {
    match schema.kind(id) {
        Kind::Null => value.is_null(),
        Kind::Boolean => value.is_boolean(),
        Kind::Int => integer(value).is_some_and(|number| i32::try_from(number).is_ok()),
        Kind::Long => integer(value).is_some(),
        Kind::Float | Kind::Double => value.is_number(),
        Kind::String | Kind::Bytes | Kind::Enum(_) | Kind::Fixed(_) => value.is_string(),
        Kind::Array(item) => {
            value.as_array().is_some_and(|items| items.iter().all(|it| is_valid_default(schema, *item, it)))
        }
        Kind::Map(item) => value
            .as_object()
            .is_some_and(|members| members.values().all(|member| is_valid_default(schema, *item, member))),
        // Since 1.12 any branch may match, not only the first.
        Kind::Union(branches) => branches.iter().any(|branch| is_valid_default(schema, *branch, value)),
        Kind::Record(record) => value.as_object().is_some_and(|members| {
            record.fields.iter().all(|field| {
                let member = members.get(&field.name).or(field.default.as_ref());
                member.is_some_and(|member| is_valid_default(schema, field.node, member))
            })
        }),
    }
}

fn integer(value: &Json) -> Option<i64> {
    match value {
        Json::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

//! The default of a column, from its SQL expression to the schema's default (spec: debezium.md §2.8).

use connect::{Blob, Value};
use pg::catalog::{TypeInfo, TypeKind};
use pg::numeric::{self, Numeric};
use pg::oid;

use super::decode::Decoder;
use super::mapping::{Mapped, Types, fraction_digits, numeric_modifier};
use crate::settings::Compat;

/// `None`: the schema has no default.
pub fn default_value(expression: &str, mapped: &Mapped, types: &Types, compat: Compat) -> Option<Value> {
    let info = types.get(&mapped.base_oid);
    let is_enum = matches!(info.map(|info| &info.kind), Some(TypeKind::Enum(_)));
    if !has_default(mapped, info) || (is_enum && compat == Compat::V19) {
        return None;
    }
    let expression = expression.trim();
    if expression.starts_with("NULL::") || expression == "NULL" {
        return None;
    }
    if let Some(literal) = literal(expression) {
        return literal_value(&literal, mapped);
    }
    if is_function(expression) {
        return function_value(mapped, types);
    }
    // Anything else is an expression that nobody evaluates; only a boolean takes it as "not true".
    match mapped.decoder {
        Decoder::Boolean => Some(Value::Boolean(expression.eq_ignore_ascii_case("true"))),
        _ => None,
    }
}

/// Types whose defaults appear in schemas; the others have none.
fn has_default(mapped: &Mapped, info: Option<&TypeInfo>) -> bool {
    // A default of a struct cannot be written.
    if matches!(mapped.decoder, Decoder::VariableDecimal) {
        return false;
    }
    matches!(
        mapped.base_oid,
        oid::BIT
            | oid::VARBIT
            | oid::BOOL
            | oid::BPCHAR
            | oid::VARCHAR
            | oid::TEXT
            | oid::NUMERIC
            | oid::FLOAT4
            | oid::FLOAT8
            | oid::INT2
            | oid::INT4
            | oid::INT8
            | oid::JSON
            | oid::JSONB
            | oid::XML
            | oid::UUID
            | oid::DATE
            | oid::TIME
            | oid::TIMESTAMP
            | oid::TIMESTAMPTZ
            | oid::INTERVAL
    ) || matches!(info.map(|info| &info.kind), Some(TypeKind::Enum(_)))
}

/// The content of a literal: `'text'::type`, `B'101'::"bit"`, `42`, `(-42)`, `true`.
fn literal(expression: &str) -> Option<String> {
    let bare = expression.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(expression);
    let number = bare.split_once("::").map_or(bare, |(number, _)| number);
    let number = number.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(number);
    if number.parse::<f64>().is_ok()
        && number.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.')
    {
        return Some(number.to_owned());
    }
    if expression == "true" || expression == "false" {
        return Some(expression.to_owned());
    }
    let quoted = expression
        .strip_prefix("B'")
        .or_else(|| expression.strip_prefix("E'"))
        .or_else(|| expression.strip_prefix('\''))?;
    let mut out = String::new();
    let mut chars = quoted.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' if chars.peek() == Some(&'\'') => {
                chars.next();
                out.push('\'');
            }
            '\'' => {
                // What follows must be the cast and nothing else.
                let rest: String = chars.collect();
                return (rest.is_empty() || rest.starts_with("::")).then_some(out);
            }
            '\\' if expression.starts_with("E'") => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    None
}

fn literal_value(text: &str, mapped: &Mapped) -> Option<Value> {
    if let Decoder::Boolean = mapped.decoder {
        let lower = text.to_ascii_lowercase();
        return Some(Value::Boolean(matches!(lower.as_str(), "true" | "t" | "1" | "yes" | "on" | "y")));
    }
    if let (Decoder::DecimalText, Some((_, scale))) = (&mapped.decoder, numeric_modifier(mapped.typmod)) {
        let Ok(Numeric::Finite(digits)) = numeric::parse(text.as_bytes()) else { return None };
        return Some(Value::String(numeric::to_text(digits.unscaled(scale)?.as_slice(), scale).into()));
    }
    // The expression may have fewer digits than the column (`12.3` in numeric(5,2)): the decoder pads.
    mapped.decoder.decode_rare(text.as_bytes()).ok().filter(|value| !value.is_null())
}

/// A call (`now()`, `nextval(…)`), or one of SQL's functions without parentheses.
fn is_function(expression: &str) -> bool {
    let upper = expression.to_ascii_uppercase();
    let keyword =
        ["CURRENT_", "LOCALTIME", "SESSION_USER", "USER"].iter().any(|word| upper.starts_with(word));
    let name_length = expression
        .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '"' | '$')))
        .unwrap_or(expression.len());
    keyword || (name_length > 0 && expression[name_length..].starts_with('('))
}

/// What stands for a value that only the server can compute.
fn function_value(mapped: &Mapped, types: &Types) -> Option<Value> {
    if matches!(types.get(&mapped.base_oid).map(|info| &info.kind), Some(TypeKind::Enum(_))) {
        return None;
    }
    Some(match (mapped.base_oid, &mapped.decoder) {
        (oid::UUID, _) => Value::text("00000000-0000-0000-0000-000000000000"),
        (oid::JSON | oid::JSONB, _) => Value::text("{}"),
        (oid::TIMESTAMPTZ, Decoder::TimestampZonedShort) => Value::text("1970-01-01T00:00:00Z"),
        (oid::TIMESTAMPTZ, _) => {
            let digits = fraction_digits(mapped.typmod);
            let fraction =
                if digits == 0 { String::new() } else { format!(".{:01$}", 0, usize::from(digits)) };
            Value::String(format!("1970-01-01T00:00:00{fraction}Z").into())
        }
        (oid::BIT | oid::VARBIT, Decoder::Bits) => Value::Bytes(Blob::EMPTY),
        _ => mapped.zero.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::map_column;
    use super::*;
    use crate::values::mapping::tests_support::modes;

    fn check(type_oid: u32, typmod: i32, expression: &str, expected: Option<Value>) {
        let types = Types::new();
        let mapped = map_column(type_oid, typmod, &types, &modes()).unwrap();
        assert_eq!(default_value(expression, &mapped, &types, Compat::V36), expected, "{expression}");
    }

    #[test]
    fn literals() {
        check(oid::INT4, -1, "'-42'::integer", Some(Value::Int32(-42)));
        check(oid::INT4, -1, "7", Some(Value::Int32(7)));
        check(oid::INT4, -1, "(1 + 2)", None);
        check(oid::VARCHAR, 24, "'it''s'::character varying", Some(Value::text("it's")));
        check(oid::TEXT, -1, "NULL::text", None);
        check(oid::NUMERIC, (5 << 16 | 2) + 4, "12.3", Some(Value::Bytes(Blob::copy(&[4, 0xce]))));
        check(oid::BIT, 3, "'101'::\"bit\"", Some(Value::Bytes(Blob::copy(&[5]))));
        check(oid::BIT, 3, "B'101'::\"bit\"", Some(Value::Bytes(Blob::copy(&[5]))));
        check(oid::BOOL, -1, "true", Some(Value::Boolean(true)));
        check(oid::BOOL, -1, "(1 = 1)", Some(Value::Boolean(false)));
    }

    #[test]
    fn functions() {
        check(oid::INT4, -1, "nextval('t_id_seq'::regclass)", Some(Value::Int32(0)));
        check(oid::TEXT, -1, "upper('abc'::text)", Some(Value::text("")));
        check(oid::DATE, -1, "CURRENT_DATE", Some(Value::Int32(0)));
        check(oid::TIMESTAMPTZ, -1, "now()", Some(Value::text("1970-01-01T00:00:00.000000Z")));
        check(oid::INET, -1, "'10.0.0.1'::inet", None);
    }
}

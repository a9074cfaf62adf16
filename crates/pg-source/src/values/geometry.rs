//! Values with coordinates: `point`, PostGIS's EWKB, pgvector's vectors.

use connect::{Blob, Value};

use super::ConversionFailure;

/// Struct of x, y, well-known binary (little-endian), no SRID.
pub fn point(text: &[u8]) -> Result<Value, ConversionFailure> {
    let (x, y) = pg::text::point(text).map_err(|_| ConversionFailure("malformed point"))?;
    Ok(point_value(x, y))
}

pub fn point_value(x: f64, y: f64) -> Value {
    let mut wkb = [0_u8; 21];
    // Byte order 1 is little-endian, type 1 is a point.
    wkb[0] = 1;
    wkb[1] = 1;
    wkb[5..13].copy_from_slice(&x.to_le_bytes());
    wkb[13..].copy_from_slice(&y.to_le_bytes());
    let wkb = Value::Bytes(Blob::copy(&wkb));
    Value::Struct(Box::new([Value::Float64(x), Value::Float64(y), wkb, Value::Null]))
}

const SRID_FLAG: u32 = 0x2000_0000;

/// Struct of the EWKB as it is, and the SRID that it names.
pub fn geometry(text: &[u8]) -> Result<Value, ConversionFailure> {
    const ERROR: ConversionFailure = ConversionFailure("malformed EWKB");
    let bytes = hex::decode(text).map_err(|_| ERROR)?;
    let number = |at: usize| {
        let field = *bytes.get(at..)?.first_chunk::<4>()?;
        Some(if bytes[0] == 1 { u32::from_le_bytes(field) } else { u32::from_be_bytes(field) })
    };
    let kind = number(1).ok_or(ERROR)?;
    let srid =
        if kind & SRID_FLAG == 0 { Value::Null } else { Value::Int32(number(5).ok_or(ERROR)?.cast_signed()) };
    Ok(Value::Struct(Box::new([Value::Bytes(Blob::from(bytes)), srid])))
}

/// `[1,2,3]`.
pub fn vector(text: &[u8], item: impl Fn(&[u8]) -> Option<Value>) -> Result<Value, ConversionFailure> {
    const ERROR: ConversionFailure = ConversionFailure("malformed vector");
    let inner = text.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")).ok_or(ERROR)?;
    let items = inner.split(|byte| *byte == b',').filter(|text| !text.is_empty());
    items.map(|text| item(text.trim_ascii())).collect::<Option<Box<[Value]>>>().map(Value::Array).ok_or(ERROR)
}

/// `{1:1.5,3:2}/5`: struct of the dimensions and a map of index to number.
pub fn sparse_vector(text: &[u8]) -> Result<Value, ConversionFailure> {
    let parse = || {
        let text = std::str::from_utf8(text).ok()?;
        let (entries, dimensions) = text.strip_prefix('{')?.split_once("}/")?;
        let dimensions: i16 = dimensions.parse().ok()?;
        let entries = entries.split(',').filter(|entry| !entry.is_empty()).map(|entry| {
            let (index, number) = entry.split_once(':')?;
            Some((Value::Int16(index.parse().ok()?), Value::Float64(number.parse().ok()?)))
        });
        let map = Value::Map(entries.collect::<Option<_>>()?);
        Some(Value::Struct(Box::new([Value::Int16(dimensions), map])))
    };
    parse().ok_or(ConversionFailure("malformed sparse vector"))
}

/// The text with each number as Java prints a double: `<(1,2),0.5>` is `<(1.0,2.0),0.5>`.
pub fn with_java_numbers(text: &[u8]) -> Vec<u8> {
    let is_number = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+');
    let mut out = Vec::with_capacity(text.len() + 16);
    for part in text.chunk_by(|one, other| is_number(one) == is_number(other)) {
        let number = std::str::from_utf8(part).ok().filter(|_| is_number(&part[0]));
        match number.and_then(|number| number.parse::<f64>().ok()) {
            Some(number) => out.extend_from_slice(java_double(number).as_bytes()),
            None => out.extend_from_slice(part),
        }
    }
    out
}

/// Plain between 10^-3 and 10^7, with an exponent elsewhere.
fn java_double(number: f64) -> String {
    let size = number.abs();
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    if size == 0.0 || number.is_nan() || (1e-3..1e7).contains(&size) {
        return format!("{number:?}");
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if digits.contains('.') { "" } else { ".0" };
    format!("{digits}{point}E{exponent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_java_prints_them() {
        assert_eq!(with_java_numbers(b"<(1,-2.5),1e-07>"), b"<(1.0,-2.5),1.0E-7>");
        assert_eq!(with_java_numbers(b"{1,-1,0}"), b"{1.0,-1.0,0.0}");
        assert_eq!(with_java_numbers(b"((12345678,0.001))"), b"((1.2345678E7,0.001))");
    }

    #[test]
    fn ewkb_with_and_without_srid() {
        let hex = b"0101000020E610000000000000000000000000000000000000";
        let Ok(Value::Struct(fields)) = geometry(hex) else { panic!() };
        assert_eq!(fields[1], Value::Int32(4326));
        assert!(geometry(b"01").is_err());
        assert!(geometry(b"zz").is_err());
    }

    #[test]
    fn vectors() {
        assert!(sparse_vector(b"{1:1.5,3:2}/5").is_ok());
        assert!(sparse_vector(b"{1}/5").is_err());
        assert!(vector(b"1,2", |_| None).is_err());
    }
}

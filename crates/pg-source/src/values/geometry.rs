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

#[cfg(test)]
mod tests {
    use super::*;

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

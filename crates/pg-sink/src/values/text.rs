//! The text of a value, as the input function of a type reads it.

use connect::{Kind, Schema, Value};
use jiff::tz::TimeZone;
use pg::oid;

use super::convert::{self, Target, Zones, mismatch, whole};
use super::meaning::{Meaning, Origin};
use super::temporal::{self, Moment, Unit};
use super::{ValueError, json, numeric};

#[derive(Clone, Debug, PartialEq)]
pub enum TextForm {
    /// The string as it is.
    Plain,
    Boolean,
    /// `1` and `0`, for `bit`.
    BooleanBit,
    Integer,
    Float32,
    Float64,
    Hex,
    Date(Option<TimeZone>),
    Time(Unit, Option<TimeZone>),
    Timestamp(Unit, Option<TimeZone>),
    /// An instant, with its zone.
    Instant(Unit),
    Decimal {
        scale: i32,
    },
    /// Without zeros behind the point, so that whole numbers fit into integers.
    ShortDecimal {
        scale: i32,
    },
    VariableDecimal {
        scale: usize,
        value: usize,
    },
    Microseconds,
    Bits {
        width: Option<usize>,
    },
    Point {
        x: usize,
        y: usize,
    },
    Geometry {
        wkb: usize,
        srid: Option<usize>,
    },
    Array {
        element: Box<TextForm>,
        delimiter: u8,
    },
    Hstore,
    Json(Schema),
}

impl TextForm {
    /// The form of a value with this meaning for this column; `None` where there is none.
    pub fn of(schema: &Schema, meaning: &Meaning, target: &Target, zones: &Zones) -> Option<Self> {
        let is_number = matches!(
            target.element_oid.unwrap_or(target.type_oid),
            oid::INT2 | oid::INT4 | oid::INT8 | oid::OID
        );
        let zone = |origin: &Origin, zone: &Option<TimeZone>| match origin {
            Origin::Connect => zone.clone(),
            Origin::Debezium => None,
        };
        Some(match meaning {
            Meaning::Boolean if matches!(target.type_oid, oid::BIT | oid::VARBIT) => Self::BooleanBit,
            Meaning::Boolean => Self::Boolean,
            Meaning::Integer(_) => Self::Integer,
            Meaning::Date(_) | Meaning::Time(..) | Meaning::Timestamp(..) if is_number => Self::Integer,
            Meaning::Float32 => Self::Float32,
            Meaning::Float64 => Self::Float64,
            Meaning::Bytes => Self::Hex,
            Meaning::Date(origin) => Self::Date(zone(origin, &zones.date)),
            Meaning::Time(unit, origin) => Self::Time(*unit, zone(origin, &zones.time)),
            Meaning::Timestamp(unit, _)
                if target.element_oid.unwrap_or(target.type_oid) == oid::TIMESTAMPTZ =>
            {
                Self::Instant(*unit)
            }
            Meaning::Timestamp(unit, origin) => Self::Timestamp(*unit, zone(origin, &zones.time)),
            Meaning::Decimal { scale } if is_number => Self::ShortDecimal { scale: *scale },
            Meaning::Decimal { scale } => Self::Decimal { scale: *scale },
            Meaning::VariableDecimal { scale, value } => {
                Self::VariableDecimal { scale: *scale, value: *value }
            }
            Meaning::Duration => Self::Microseconds,
            Meaning::Bits { length } => Self::Bits { width: bits_width(*length, target) },
            Meaning::Point { x, y } => Self::Point { x: *x, y: *y },
            Meaning::Geometry { wkb, srid } => Self::Geometry { wkb: *wkb, srid: *srid },
            Meaning::Array(items) => Self::array(items, target, zones)?,
            Meaning::Map if target.type_name.ends_with("hstore") => Self::Hstore,
            Meaning::Map | Meaning::Struct => return None,
            Meaning::Text
            | Meaning::ZonedTimestamp
            | Meaning::ZonedTime
            | Meaning::Json
            | Meaning::Uuid
            | Meaning::Xml
            | Meaning::Enum
            | Meaning::Ltree
            | Meaning::Tsvector => Self::Plain,
        })
        .filter(|_| !matches!(schema.kind(), Kind::Map { .. }) || target.type_name.ends_with("hstore"))
    }

    fn array(items: &Schema, target: &Target, zones: &Zones) -> Option<Self> {
        // Vectors of extensions are written like JSON arrays of numbers.
        if target.element_oid.is_none()
            && ["vector", "halfvec"].iter().any(|name| target.type_name.ends_with(name))
        {
            return Some(Self::Json(connect::SchemaBuilder::array(items.clone()).build()));
        }
        let meaning = Meaning::of(items);
        let element = match meaning {
            Meaning::Struct | Meaning::Map if matches!(target.element_oid, Some(oid::JSON | oid::JSONB)) => {
                Self::Json(items.clone())
            }
            _ => Self::of(items, &meaning, target, zones)?,
        };
        Some(Self::Array { element: Box::new(element), delimiter: target.delimiter })
    }

    /// Appends the text of a value that is not null.
    pub fn put(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), ValueError> {
        match self {
            Self::Plain => out.extend_from_slice(convert::string(value)?.as_bytes()),
            Self::Boolean => out.extend_from_slice(if convert::boolean(value)? { b"true" } else { b"false" }),
            Self::BooleanBit => out.push(if convert::boolean(value)? { b'1' } else { b'0' }),
            Self::Integer => out.extend_from_slice(itoa::Buffer::new().format(whole(value)?).as_bytes()),
            Self::Float32 => match value {
                Value::Float32(number) => {
                    put_float(out, *number, |number| ryu::Buffer::new().format(number).to_owned())
                }
                _ => return Err(mismatch("a float")),
            },
            Self::Float64 => {
                put_float(out, convert::double(value)?, |number| {
                    ryu::Buffer::new().format(number).to_owned()
                });
            }
            Self::Hex => put_hex(out, b"\\x", convert::bytes(value)?),
            Self::Date(zone) => temporal::put_date_text(out, whole(value)?, zone.as_ref()),
            Self::Time(unit, zone) => {
                temporal::put_clock(out, temporal::time_of_day(*unit, whole(value)?, zone.as_ref())?);
            }
            Self::Timestamp(unit, zone) => {
                Moment::of(*unit, whole(value)?)?.local(zone.as_ref()).put_text(out);
            }
            Self::Instant(unit) => put_instant(out, Moment::of(*unit, whole(value)?)?),
            Self::Decimal { scale } => numeric::put_text(out, convert::bytes(value)?, *scale),
            Self::ShortDecimal { scale } => {
                numeric::put_text(out, convert::bytes(value)?, *scale);
                drop_zeros(out, *scale);
            }
            Self::VariableDecimal { scale, value: place } => {
                let (scale, unscaled) = convert::variable_decimal(value, *scale, *place)?;
                numeric::put_text(out, unscaled, scale);
            }
            Self::Microseconds => {
                out.extend_from_slice(itoa::Buffer::new().format(whole(value)?).as_bytes());
                out.extend_from_slice(b" microseconds");
            }
            Self::Bits { width } => put_bits(out, value, *width)?,
            _ => return self.put_container(value, out),
        }
        Ok(())
    }

    fn put_container(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), ValueError> {
        match self {
            Self::Point { x, y } => {
                let fields = value.as_struct().ok_or_else(|| mismatch("a struct"))?;
                let number = |place: usize| convert::double(fields.get(place).unwrap_or(&Value::Null));
                let (x, y) = (number(*x)?, number(*y)?);
                out.extend_from_slice(format!("({x},{y})").as_bytes());
            }
            Self::Geometry { wkb, srid } => put_geometry(out, value, *wkb, *srid)?,
            Self::Array { element, delimiter } => put_array(out, value, element, *delimiter)?,
            Self::Hstore => put_hstore(out, value)?,
            Self::Json(schema) => json::put(out, schema, value)?,
            _ => unreachable!("the plain forms were appended before"),
        }
        Ok(())
    }
}

/// `bit(n)` wants exactly n digits; of `bit varying` the record knows only the limit.
fn bits_width(length: Option<usize>, target: &Target) -> Option<usize> {
    match target.type_oid {
        oid::BIT if target.typmod > 0 => usize::try_from(target.typmod).ok(),
        _ => length,
    }
}

fn put_float<T: Copy + Into<f64>>(out: &mut Vec<u8>, number: T, finite: fn(T) -> String) {
    let wide: f64 = number.into();
    if wide.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if wide.is_infinite() {
        out.extend_from_slice(if wide > 0.0 { b"Infinity" } else { b"-Infinity" });
    } else {
        let text = finite(number);
        // A column of integers takes 1 but not 1.0.
        out.extend_from_slice(text.strip_suffix(".0").unwrap_or(&text).as_bytes());
    }
}

fn put_hex(out: &mut Vec<u8>, prefix: &[u8], bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(prefix);
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

fn put_instant(out: &mut Vec<u8>, moment: Moment) {
    let start = out.len();
    moment.put_text(out);
    if let Moment::At(_) = moment {
        // The era comes last: `0001-01-01 00:00:00+00 BC`.
        let at = if out[start..].ends_with(b" BC") { out.len() - 3 } else { out.len() };
        out.splice(at..at, *b"+00");
    }
}

fn drop_zeros(out: &mut Vec<u8>, scale: i32) {
    if scale > 0 {
        while out.last() == Some(&b'0') {
            out.pop();
        }
        if out.last() == Some(&b'.') {
            out.pop();
        }
    }
}

/// Debezium sends bits with the lowest byte first; PostgreSQL writes the highest bit first.
fn put_bits(out: &mut Vec<u8>, value: &Value, width: Option<usize>) -> Result<(), ValueError> {
    let bytes = convert::bytes(value)?;
    let available = bytes.len() * 8;
    // A limit far above the data is `bit varying` without one.
    let width = width.filter(|width| *width < available + 8).unwrap_or(available);
    if (width..available).any(|bit| bytes[bit / 8] >> (bit % 8) & 1 == 1) {
        return Err(ValueError::new(format!("the value has more than {width} bits")));
    }
    for bit in (0..width).rev() {
        let set = bytes.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1);
        out.push(if set { b'1' } else { b'0' });
    }
    Ok(())
}

/// WKB as PostGIS reads it: hexadecimal, the reference system in front where there is one.
fn put_geometry(out: &mut Vec<u8>, value: &Value, wkb: usize, srid: Option<usize>) -> Result<(), ValueError> {
    let fields = value.as_struct().ok_or_else(|| mismatch("a struct"))?;
    let bytes = convert::bytes(fields.get(wkb).unwrap_or(&Value::Null))?;
    if let Some(srid) = srid.and_then(|place| fields.get(place)).and_then(Value::as_i64) {
        out.extend_from_slice(format!("SRID={srid};").as_bytes());
    }
    put_hex(out, b"", bytes);
    Ok(())
}

fn put_array(out: &mut Vec<u8>, value: &Value, element: &TextForm, delimiter: u8) -> Result<(), ValueError> {
    let Value::Array(items) = value else { return Err(mismatch("an array")) };
    out.push(b'{');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(delimiter);
        }
        if item.is_null() {
            out.extend_from_slice(b"NULL");
            continue;
        }
        let start = out.len();
        element.put(item, out)?;
        if !matches!(element, TextForm::Array { .. } | TextForm::Integer | TextForm::Boolean) {
            quote(out, start);
        }
    }
    out.push(b'}');
    Ok(())
}

/// Puts what was appended since `start` into quotes.
fn quote(out: &mut Vec<u8>, start: usize) {
    let text = out.split_off(start);
    out.push(b'"');
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

fn put_hstore(out: &mut Vec<u8>, value: &Value) -> Result<(), ValueError> {
    let Value::Map(entries) = value else { return Err(mismatch("a map")) };
    for (index, (key, value)) in entries.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let start = out.len();
        out.extend_from_slice(convert::string(key)?.as_bytes());
        quote(out, start);
        out.extend_from_slice(b"=>");
        if value.is_null() {
            out.extend_from_slice(b"NULL");
        } else {
            let start = out.len();
            out.extend_from_slice(convert::string(value)?.as_bytes());
            quote(out, start);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use connect::SchemaBuilder;

    fn target(type_oid: u32, element_oid: Option<u32>) -> Target {
        Target { type_oid, type_name: "t".to_owned(), typmod: -1, element_oid, delimiter: b',' }
    }

    fn check(schema: Schema, target: &Target, value: Value, expected: &str) {
        let form = TextForm::of(&schema, &Meaning::of(&schema), target, &Zones::default()).unwrap();
        let mut out = vec![];
        form.put(&value, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn arrays() {
        let text = SchemaBuilder::array(SchemaBuilder::string().optional().build()).build();
        let items = Value::Array([Value::text("a"), Value::Null, Value::text("q\"x\\")].into());
        check(text, &target(oid::TEXT_ARRAY, Some(oid::TEXT)), items, r#"{"a",NULL,"q\"x\\"}"#);
        let inner = SchemaBuilder::array(SchemaBuilder::int32().build()).build();
        let nested = Value::Array(
            [Value::Array([Value::Int32(1)].into()), Value::Array([Value::Int32(2)].into())].into(),
        );
        check(
            SchemaBuilder::array(inner).build(),
            &target(oid::INT4_ARRAY, Some(oid::INT4)),
            nested,
            "{{1},{2}}",
        );
    }

    #[test]
    fn bits() {
        let schema = |length: &str| {
            SchemaBuilder::bytes().name("io.debezium.data.Bits").parameter("length", length).build()
        };
        let value = || Value::Bytes(vec![3, 1].into());
        check(schema("10"), &target(oid::BIT, None), value(), "0100000011");
        check(schema("2147483647"), &target(oid::VARBIT, None), value(), "0000000100000011");
    }

    #[test]
    fn instants_in_text() {
        let schema = SchemaBuilder::int64().name("io.debezium.time.MicroTimestamp").build();
        let items = SchemaBuilder::array(schema).build();
        let value = Value::Array([Value::Int64(-62_167_219_200_000_000)].into());
        check(items, &target(1185, Some(oid::TIMESTAMPTZ)), value, r#"{"0001-01-01 00:00:00+00 BC"}"#);
    }
}

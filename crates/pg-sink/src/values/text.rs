//! The text of a value, as the input function of a type reads it.

use connect::{Kind, Schema, Value};
use jiff::tz::TimeZone;
use pg::oid;

use super::convert::{self, Reading, Target, mismatch, whole};
use super::meaning::{Meaning, Origin};
use super::temporal::{self, Moment, Unit};
use super::{BinaryText, ValueError, json, numeric};

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
    BinaryText(BinaryText),
    Date(Option<TimeZone>),
    /// A day in ISO text, as the server reads it: years before Christ and the infinities are written otherwise.
    IsoDate,
    /// The same of an instant.
    IsoInstant,
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
    Bits(BitsWidth),
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
    /// An object of JSON text as hstore.
    JsonHstore,
    Json(Schema),
}

impl TextForm {
    /// The form of a value with this meaning for this column; `None` where there is none.
    pub fn of(schema: &Schema, meaning: &Meaning, target: &Target, reading: &Reading) -> Option<Self> {
        let base_oid = target.element_oid.unwrap_or(target.type_oid);
        let is_number = matches!(base_oid, oid::INT2 | oid::INT4 | oid::INT8 | oid::OID);
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
            Meaning::Date(origin) => Self::Date(zone(origin, &reading.date)),
            Meaning::Time(unit, origin) => Self::Time(*unit, zone(origin, &reading.time)),
            Meaning::Timestamp(unit, _) if base_oid == oid::TIMESTAMPTZ => Self::Instant(*unit),
            Meaning::Timestamp(unit, origin) => Self::Timestamp(*unit, zone(origin, &reading.time)),
            Meaning::Decimal { scale } if is_number => Self::ShortDecimal { scale: *scale },
            Meaning::Decimal { scale } => Self::Decimal { scale: *scale },
            Meaning::VariableDecimal { scale, value } => {
                Self::VariableDecimal { scale: *scale, value: *value }
            }
            Meaning::Duration => Self::Microseconds,
            Meaning::Bits { length } => Self::Bits(BitsWidth::of(*length, target)),
            Meaning::Point { x, y } => Self::Point { x: *x, y: *y },
            Meaning::Geometry { wkb, srid } => Self::Geometry { wkb: *wkb, srid: *srid },
            Meaning::Array(items) => Self::array(items, target, reading)?,
            Meaning::Map if target.type_name.ends_with("hstore") => Self::Hstore,
            Meaning::Json if target.type_name.ends_with("hstore") => Self::JsonHstore,
            Meaning::Map | Meaning::Struct => return None,
            Meaning::IsoDate if base_oid == oid::DATE => Self::IsoDate,
            Meaning::ZonedTimestamp if matches!(base_oid, oid::TIMESTAMP | oid::TIMESTAMPTZ) => {
                Self::IsoInstant
            }
            Meaning::Text if base_oid == oid::BYTEA => {
                reading.binary_text.map_or(Self::Plain, Self::BinaryText)
            }
            Meaning::Text
            | Meaning::IsoDate
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

    fn array(items: &Schema, target: &Target, reading: &Reading) -> Option<Self> {
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
            _ => Self::of(items, &meaning, target, reading)?,
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
            Self::BinaryText(form) => put_hex(out, b"\\x", &form.decode(convert::string(value)?)?),
            Self::Date(zone) => temporal::put_date_text(out, whole(value)?, zone.as_ref()),
            Self::IsoDate => {
                let days = temporal::parse_iso_date(convert::string(value)?)
                    .ok_or_else(|| mismatch("a day in ISO form"))?;
                temporal::put_date_text(out, days, None);
            }
            Self::IsoInstant => {
                let moment = temporal::parse_zoned(convert::string(value)?)
                    .ok_or_else(|| mismatch("a point in time with a zone"))?;
                put_instant(out, moment);
            }
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
            Self::Bits(width) => put_bits(out, value, *width)?,
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
            Self::JsonHstore => put_json_as_hstore(out, convert::string(value)?)?,
            Self::Json(schema) => json::put(out, schema, value)?,
            _ => unreachable!("the plain forms were appended before"),
        }
        Ok(())
    }
}

/// How many digits a bit string has: the bytes of a record say it only up to eight, and not at all where all are 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BitsWidth {
    /// `bit(n)` wants exactly n.
    Exact(usize),
    /// Of `bit varying` the record knows the limit at most.
    Limit(Option<usize>),
}

impl BitsWidth {
    fn of(length: Option<usize>, target: &Target) -> Self {
        match target.type_oid {
            oid::BIT => Self::Exact(usize::try_from(target.typmod).ok().filter(|n| *n > 0).unwrap_or(1)),
            _ => Self::Limit(length),
        }
    }

    /// Digits for so many bits of data.
    fn digits(self, available: usize) -> usize {
        match self {
            Self::Exact(width) => width,
            // A limit far above the data is no width.
            Self::Limit(limit) => limit.filter(|limit| *limit < available + 8).unwrap_or(available),
        }
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
fn put_bits(out: &mut Vec<u8>, value: &Value, width: BitsWidth) -> Result<(), ValueError> {
    let bytes = convert::bytes(value)?;
    let available = bytes.len() * 8;
    let width = width.digits(available);
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
        put_quoted(out, convert::string(key)?);
        out.extend_from_slice(b"=>");
        if value.is_null() {
            out.extend_from_slice(b"NULL");
        } else {
            put_quoted(out, convert::string(value)?);
        }
    }
    Ok(())
}

fn put_quoted(out: &mut Vec<u8>, text: &str) {
    let start = out.len();
    out.extend_from_slice(text.as_bytes());
    quote(out, start);
}

/// Debezium writes `hstore` as an object of texts and nulls; what is neither is kept as its JSON.
fn put_json_as_hstore(out: &mut Vec<u8>, text: &str) -> Result<(), ValueError> {
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text).map_err(|_| ValueError::new("the text is not a JSON object"))?;
    for (index, (key, value)) in object.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        put_quoted(out, key);
        out.extend_from_slice(b"=>");
        match value {
            serde_json::Value::Null => out.extend_from_slice(b"NULL"),
            serde_json::Value::String(text) => put_quoted(out, text),
            other => put_quoted(out, &other.to_string()),
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
        let form = TextForm::of(&schema, &Meaning::of(&schema), target, &Reading::default()).unwrap();
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
    fn objects_as_hstore() {
        let schema = SchemaBuilder::string().name("io.debezium.data.Json").build();
        let target = Target { type_name: "public.hstore".to_owned(), ..target(90_000, None) };
        let value = Value::text(r#"{"a":"1","b c":"d\"e\\","n":null,"x":[1]}"#);
        check(schema.clone(), &target, value, r#""a"=>"1","b c"=>"d\"e\\","n"=>NULL,"x"=>"[1]""#);
        check(schema, &target, Value::text("{}"), "");
    }

    #[test]
    fn bits() {
        let schema = |length: &str| {
            SchemaBuilder::bytes().name("io.debezium.data.Bits").parameter("length", length).build()
        };
        let value = || Value::Bytes(vec![3, 1].into());
        let ten = Target { typmod: 10, ..target(oid::BIT, None) };
        check(schema("10"), &ten, value(), "0100000011");
        check(schema("10"), &ten, Value::Bytes(vec![].into()), "0000000000");
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

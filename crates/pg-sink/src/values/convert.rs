//! Matches what a value means with the column that takes it.

use connect::{Schema, Value};
use jiff::tz::TimeZone;
use pg::oid;

use super::meaning::{Meaning, Origin};
use super::temporal::{self, Moment, Unit};
use super::text::TextForm;
use super::{BinaryText, ValueError, Wire, json, numeric};

/// What a column is, as far as its values depend on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The base type: of a domain the type below it.
    pub type_oid: u32,
    /// Name of that type for a cast, without a modifier.
    pub type_name: String,
    pub typmod: i32,
    /// Element type of an array.
    pub element_oid: Option<u32>,
    pub delimiter: u8,
}

/// A conversion, the parameter that it fills, and the cast that the server must do.
#[derive(Clone, Debug)]
pub struct Chosen {
    pub conversion: Conversion,
    pub wire: Wire,
    /// Type to cast the parameter's elements to.
    pub cast: Option<String>,
}

/// How one value becomes one element of a parameter.
#[derive(Clone, Debug)]
pub enum Conversion {
    Boolean,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Text,
    Bytes,
    BinaryText(BinaryText),
    Date(Option<TimeZone>),
    Time(Unit, Option<TimeZone>),
    /// `timestamp`, or `timestamptz` without a zone.
    Timestamp(Unit, Option<TimeZone>),
    /// Days as midnight.
    DateAsTimestamp(Option<TimeZone>),
    IsoDate,
    ZonedTimestamp,
    Decimal {
        scale: i32,
    },
    VariableDecimal {
        scale: usize,
        value: usize,
    },
    IntegerAsNumeric,
    Uuid,
    Jsonb,
    /// A container as JSON.
    Json(Schema, JsonForm),
    AsText(TextForm),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonForm {
    Text,
    /// Text with the version byte of `jsonb` in front.
    Binary,
}

/// What values are taken for that do not say it themselves.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Zones for values without one; only Connect's own types are shifted.
    pub time: Option<TimeZone>,
    pub date: Option<TimeZone>,
    /// The form of texts for columns of bytes; `None` leaves them to the server.
    pub binary_text: Option<BinaryText>,
}

/// Picks the conversion for a field and a column; `None` where a value of that kind has no form for that column.
pub fn choose(schema: &Schema, meaning: &Meaning, target: &Target, reading: &Reading) -> Option<Chosen> {
    let wire = Wire::of(target.type_oid);
    if let Some(conversion) = binary(schema, meaning, wire, reading) {
        return Some(Chosen { conversion, wire, cast: None });
    }
    let form = TextForm::of(schema, meaning, target, reading)?;
    let is_text = matches!(target.type_oid, oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME);
    // Assignment to varchar(n) and its kin refuses what does not fit; a cast would cut it off.
    let cast = (!is_text).then(|| target.type_name.clone());
    let conversion = if form == TextForm::Plain { Conversion::Text } else { Conversion::AsText(form) };
    Some(Chosen { conversion, wire: Wire::Text, cast })
}

fn binary(schema: &Schema, meaning: &Meaning, wire: Wire, reading: &Reading) -> Option<Conversion> {
    let time_zone = |origin: &Origin| if *origin == Origin::Connect { reading.time.clone() } else { None };
    let date_zone = |origin: &Origin| if *origin == Origin::Connect { reading.date.clone() } else { None };
    Some(match (meaning, wire) {
        (Meaning::Boolean, Wire::Bool) => Conversion::Boolean,
        (
            Meaning::Integer(_)
            | Meaning::Date(_)
            | Meaning::Time(..)
            | Meaning::Timestamp(..)
            | Meaning::Duration,
            Wire::Int2 | Wire::Int4 | Wire::Int8,
        ) => match wire {
            Wire::Int2 => Conversion::Int2,
            Wire::Int4 => Conversion::Int4,
            _ => Conversion::Int8,
        },
        (Meaning::Integer(_), Wire::Numeric) => Conversion::IntegerAsNumeric,
        (Meaning::Float32 | Meaning::Float64, Wire::Float4) => Conversion::Float4,
        (Meaning::Float32 | Meaning::Float64, Wire::Float8) => Conversion::Float8,
        (Meaning::Integer(8 | 16), Wire::Float4) => Conversion::Float4,
        (Meaning::Integer(8 | 16 | 32), Wire::Float8) => Conversion::Float8,
        (Meaning::Bytes, Wire::Bytea) => Conversion::Bytes,
        (Meaning::Text, Wire::Bytea) => Conversion::BinaryText(reading.binary_text?),
        (Meaning::Date(origin), Wire::Date) => Conversion::Date(date_zone(origin)),
        (Meaning::Date(origin), Wire::Timestamp | Wire::TimestampTz) => {
            Conversion::DateAsTimestamp(date_zone(origin))
        }
        (Meaning::Time(unit, origin), Wire::Time) => Conversion::Time(*unit, time_zone(origin)),
        (Meaning::Timestamp(unit, origin), Wire::Timestamp) => {
            Conversion::Timestamp(*unit, time_zone(origin))
        }
        (Meaning::Timestamp(unit, _), Wire::TimestampTz) => Conversion::Timestamp(*unit, None),
        (Meaning::IsoDate, Wire::Date) => Conversion::IsoDate,
        (Meaning::ZonedTimestamp, Wire::Timestamp | Wire::TimestampTz) => Conversion::ZonedTimestamp,
        (Meaning::Decimal { scale }, Wire::Numeric) => Conversion::Decimal { scale: *scale },
        (Meaning::VariableDecimal { scale, value }, Wire::Numeric) => {
            Conversion::VariableDecimal { scale: *scale, value: *value }
        }
        (Meaning::Text | Meaning::Uuid, Wire::Uuid) => Conversion::Uuid,
        (Meaning::Text | Meaning::Json, Wire::Json) => Conversion::Text,
        (Meaning::Text | Meaning::Json, Wire::Jsonb) => Conversion::Jsonb,
        (Meaning::Struct | Meaning::Map | Meaning::Array(_), Wire::Json) => {
            Conversion::Json(schema.clone(), JsonForm::Text)
        }
        (Meaning::Struct | Meaning::Map | Meaning::Array(_), Wire::Jsonb) => {
            Conversion::Json(schema.clone(), JsonForm::Binary)
        }
        _ => return None,
    })
}

/// Length of an element that is null.
const NULL: i32 = -1;

impl Conversion {
    /// Appends the value as an array element: its length and its bytes. On an error nothing is appended.
    pub fn append(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), ValueError> {
        if value.is_null() {
            out.extend_from_slice(&NULL.to_be_bytes());
            return Ok(());
        }
        let start = out.len();
        self.append_not_null(value, out).inspect_err(|_| out.truncate(start))
    }

    fn append_not_null(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), ValueError> {
        match self {
            Self::Int4 => fixed(out, &integer::<i32>(value)?.to_be_bytes()),
            Self::Int8 => fixed(out, &whole(value)?.to_be_bytes()),
            Self::Text => variable(out, string(value)?.as_bytes())?,
            Self::Timestamp(unit, zone) => {
                let moment = Moment::of(*unit, whole(value)?)?.local(zone.as_ref());
                fixed(out, &moment.binary()?.to_be_bytes());
            }
            Self::Boolean => fixed(out, &[u8::from(boolean(value)?)]),
            Self::Int2 => fixed(out, &integer::<i16>(value)?.to_be_bytes()),
            Self::Float4 => fixed(out, &single(value)?.to_be_bytes()),
            Self::Float8 => fixed(out, &double(value)?.to_be_bytes()),
            Self::Bytes => variable(out, bytes(value)?)?,
            Self::BinaryText(form) => variable(out, &form.decode(string(value)?)?)?,
            Self::Date(zone) => fixed(out, &temporal::date(whole(value)?, zone.as_ref())?.to_be_bytes()),
            Self::Time(unit, zone) => {
                fixed(out, &temporal::time_of_day(*unit, whole(value)?, zone.as_ref())?.to_be_bytes());
            }
            Self::DateAsTimestamp(zone) => {
                let micros = whole(value)?
                    .checked_mul(temporal::DAY_MICROS)
                    .ok_or_else(|| ValueError::new("a date is outside of what PostgreSQL can hold"))?;
                fixed(out, &Moment::At(micros).local(zone.as_ref()).binary()?.to_be_bytes());
            }
            Self::IsoDate => {
                let days = temporal::parse_iso_date(string(value)?)
                    .ok_or_else(|| ValueError::new("the text is not a day in ISO form"))?;
                fixed(out, &temporal::date(days, None)?.to_be_bytes());
            }
            Self::ZonedTimestamp => {
                let text = string(value)?;
                let moment = temporal::parse_zoned(text)
                    .ok_or_else(|| ValueError::new("the text is not a point in time with a zone"))?;
                fixed(out, &moment.binary()?.to_be_bytes());
            }
            _ => return self.append_long(value, out),
        }
        Ok(())
    }

    /// Elements whose length is known when they are written.
    fn append_long(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), ValueError> {
        let length_at = out.len();
        out.extend_from_slice(&[0; 4]);
        match self {
            Self::Decimal { scale } => numeric::put_unscaled(out, bytes(value)?, *scale)?,
            Self::VariableDecimal { scale, value: place } => {
                let (scale, unscaled) = variable_decimal(value, *scale, *place)?;
                numeric::put_unscaled(out, unscaled, scale)?;
            }
            Self::IntegerAsNumeric => numeric::put_small(out, i128::from(whole(value)?), 0),
            Self::Uuid => out.extend_from_slice(&uuid(string(value)?)?),
            Self::Jsonb => {
                out.push(JSONB_VERSION);
                out.extend_from_slice(string(value)?.as_bytes());
            }
            Self::Json(schema, form) => {
                if *form == JsonForm::Binary {
                    out.push(JSONB_VERSION);
                }
                json::put(out, schema, value)?;
            }
            Self::AsText(form) => form.put(value, out)?,
            _ => unreachable!("the forms of a known length were appended before"),
        }
        let length = i32::try_from(out.len() - length_at - 4)
            .map_err(|_| ValueError::new("a value is longer than PostgreSQL can take"))?;
        out[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }
}

const JSONB_VERSION: u8 = 1;

fn fixed(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn variable(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), ValueError> {
    let length = i32::try_from(bytes.len())
        .map_err(|_| ValueError::new("a value is longer than PostgreSQL can take"))?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

pub fn mismatch(expected: &str) -> ValueError {
    ValueError::new(format!("the value is not {expected}, as its schema says"))
}

pub fn whole(value: &Value) -> Result<i64, ValueError> {
    value.as_i64().ok_or_else(|| mismatch("an integer"))
}

fn integer<T: TryFrom<i64>>(value: &Value) -> Result<T, ValueError> {
    let number = whole(value)?;
    T::try_from(number)
        .map_err(|_| ValueError::new(format!("the number needs more than {} bytes", size_of::<T>())))
}

pub fn string(value: &Value) -> Result<&str, ValueError> {
    value.as_str().ok_or_else(|| mismatch("a string"))
}

pub fn bytes(value: &Value) -> Result<&[u8], ValueError> {
    match value {
        Value::Bytes(bytes) => Ok(bytes.as_slice()),
        _ => Err(mismatch("bytes")),
    }
}

pub fn boolean(value: &Value) -> Result<bool, ValueError> {
    match value {
        Value::Boolean(flag) => Ok(*flag),
        _ => Err(mismatch("a boolean")),
    }
}

pub fn double(value: &Value) -> Result<f64, ValueError> {
    match value {
        Value::Float64(number) => Ok(*number),
        Value::Float32(number) => Ok(f64::from(*number)),
        // Plans offer this only for integers that a double holds exactly.
        _ => whole(value).map(|number| number as f64),
    }
}

fn single(value: &Value) -> Result<f32, ValueError> {
    match value {
        Value::Float32(number) => Ok(*number),
        Value::Float64(number) => {
            let single = *number as f32;
            if single.is_infinite() && number.is_finite() {
                return Err(ValueError::new("the number is too large for four bytes"));
            }
            Ok(single)
        }
        _ => whole(value).map(|number| number as f32),
    }
}

pub fn variable_decimal(value: &Value, scale: usize, place: usize) -> Result<(i32, &[u8]), ValueError> {
    let fields = value.as_struct().ok_or_else(|| mismatch("a struct"))?;
    let (Some(Value::Int32(scale)), Some(unscaled)) = (fields.get(scale), fields.get(place)) else {
        return Err(mismatch("a scale and a number"));
    };
    Ok((*scale, bytes(unscaled)?))
}

/// 32 hexadecimal digits, hyphens and braces where PostgreSQL takes them.
fn uuid(text: &str) -> Result<[u8; 16], ValueError> {
    let invalid = || ValueError::new("the text is not a UUID");
    let text = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    let mut out = [0; 16];
    let mut count = 0;
    for byte in text.bytes() {
        if byte == b'-' {
            if count == 0 || count % 4 != 0 {
                return Err(invalid());
            }
            continue;
        }
        let digit = char::from(byte).to_digit(16).ok_or_else(invalid)? as u8;
        *out.get_mut(count / 2).ok_or_else(invalid)? |= if count % 2 == 0 { digit << 4 } else { digit };
        count += 1;
    }
    if count == 32 { Ok(out) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use connect::{SchemaBuilder, logical};

    fn target(type_oid: u32, name: &str) -> Target {
        Target { type_oid, type_name: name.to_owned(), typmod: -1, element_oid: None, delimiter: b',' }
    }

    fn appended(schema: &Schema, target: &Target, value: &Value) -> Result<Vec<u8>, String> {
        let chosen =
            choose(schema, &Meaning::of(schema), target, &Reading::default()).ok_or("no conversion")?;
        let mut out = vec![];
        chosen.conversion.append(value, &mut out).map_err(|error| error.to_string())?;
        Ok(out)
    }

    #[test]
    fn binary_forms() {
        let int = SchemaBuilder::int64().build();
        assert_eq!(
            appended(&int, &target(oid::INT4, "int4"), &Value::Int64(7)).unwrap(),
            [0, 0, 0, 4, 0, 0, 0, 7]
        );
        assert!(appended(&int, &target(oid::INT4, "int4"), &Value::Int64(1 << 40)).is_err());
        assert_eq!(appended(&int, &target(oid::INT4, "int4"), &Value::Null).unwrap(), [255; 4]);
        let text = SchemaBuilder::string().build();
        let id = Value::text("{11111111-2222-3333-4444-555555555555}");
        assert_eq!(appended(&text, &target(oid::UUID, "uuid"), &id).unwrap()[4..8], [0x11; 4]);
        assert!(appended(&text, &target(oid::UUID, "uuid"), &Value::text("1-1")).is_err());
        let decimal = logical::decimal(2).build();
        let number = Value::Bytes(vec![0xcf, 0xc7].into());
        assert_eq!(
            appended(&decimal, &target(oid::NUMERIC, "numeric"), &number).unwrap(),
            [0, 0, 0, 12, 0, 2, 0, 0, 0x40, 0, 0, 2, 0, 123, 0x11, 0x94]
        );
    }

    #[test]
    fn everything_else_is_text_for_the_server() {
        let text = SchemaBuilder::string().build();
        let chosen =
            choose(&text, &Meaning::of(&text), &target(oid::INET, "inet"), &Reading::default()).unwrap();
        assert_eq!((chosen.wire, chosen.cast.as_deref()), (Wire::Text, Some("inet")));
        let chosen =
            choose(&text, &Meaning::of(&text), &target(oid::VARCHAR, "varchar"), &Reading::default())
                .unwrap();
        assert_eq!((chosen.wire, chosen.cast), (Wire::Text, None));
    }
}

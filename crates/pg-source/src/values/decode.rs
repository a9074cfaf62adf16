//! Text to value, by a decoder that was chosen once for the column.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use connect::{Blob, Buffer, Text, Value};
use pg::numeric::{self, Numeric, Unscaled};
use pg::temporal::{self, Bounded, Instant, MICROS_PER_DAY};

use super::{geometry, iso, java_map};
use crate::column_mappers::Change;
use crate::settings::BinaryMode;

/// The value cannot be written in the column's Connect type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConversionFailure(pub &'static str);

/// Unit of a timestamp in 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Millis,
    Micros,
    Nanos,
}

/// How the text of one column becomes a value.
#[derive(Clone, Debug)]
pub enum Decoder {
    Boolean,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Text,
    Bytes(BinaryMode),
    /// Any type's text, delivered as bytes.
    Unknown(BinaryMode),
    /// The same of a geometric type, with its numbers as Java writes them.
    UnknownGeometry(BinaryMode),
    /// A single bit.
    Bit,
    Bits,
    Decimal {
        scale: i32,
    },
    VariableDecimal,
    DecimalDouble,
    DecimalText,
    Money {
        scale: i32,
    },
    MoneyDouble,
    MoneyText {
        scale: i32,
    },
    Date,
    DateIso,
    /// Milliseconds of the day in 32 bits.
    TimeMillis,
    TimeMicros,
    TimeNanos,
    TimeIso,
    Timestamp(Unit),
    TimestampIso,
    TimestampZoned {
        digits: u8,
    },
    /// With as few digits as the fraction needs.
    TimestampZonedShort,
    TimeZoned,
    IntervalMicros,
    IntervalIso,
    Point,
    Geometry,
    HstoreJson,
    HstoreMap,
    Vector,
    HalfVector,
    SparseVector,
    Array {
        element: Box<Decoder>,
        delimiter: u8,
    },
    /// A rule changes what the decoder makes.
    Changed(Box<(Decoder, Change)>),
}

/// What Debezium writes for `infinity` in a date: an artefact of its arithmetic that its users know.
const DATE_INFINITY: i32 = -2_147_472_692;
const DATE_NEGATIVE_INFINITY: i32 = -2_147_472_691;
/// Likewise for timestamps, in microseconds.
const TIMESTAMP_INFINITY: i64 = 9_223_372_036_825_200_000;
const TIMESTAMP_NEGATIVE_INFINITY: i64 = -9_223_372_036_832_400_000;

impl Decoder {
    /// The value of the text at `range` of `buffer`.
    #[inline]
    pub fn decode(&self, buffer: &Buffer, range: Range<usize>) -> Result<Value, ConversionFailure> {
        let text = &buffer.bytes()[range.clone()];
        match self {
            Self::Int32 => integer(text)
                .and_then(|number| i32::try_from(number).ok())
                .map(Value::Int32)
                .ok_or(ConversionFailure("not an integer of 4 bytes")),
            Self::Int64 => {
                integer(text).map(Value::Int64).ok_or(ConversionFailure("not an integer of 8 bytes"))
            }
            Self::Text => Text::slice(buffer, range).map(Value::String).map_err(|_| NOT_UTF8),
            Self::Boolean => match text {
                b"t" => Ok(Value::Boolean(true)),
                b"f" => Ok(Value::Boolean(false)),
                _ => Err(ConversionFailure("not a boolean")),
            },
            Self::Timestamp(unit) => timestamp(text, *unit),
            Self::Decimal { scale } => decimal(text, *scale),
            _ => self.decode_rare(text),
        }
    }

    /// Types that need no slice of the buffer, or are rare enough to be copied.
    pub fn decode_rare(&self, text: &[u8]) -> Result<Value, ConversionFailure> {
        Ok(match self {
            Self::Boolean
            | Self::Int32
            | Self::Int64
            | Self::Text
            | Self::Timestamp(_)
            | Self::Decimal { .. } => {
                // Elements of arrays come here with their own copy.
                let buffer = Buffer::from(text.to_vec());
                return self.decode(&buffer, 0..text.len());
            }
            Self::Int16 => integer(text)
                .and_then(|number| i16::try_from(number).ok())
                .map(Value::Int16)
                .ok_or(ConversionFailure("not an integer of 2 bytes"))?,
            Self::Float32 => Value::Float32(parse(text).ok_or(ConversionFailure("not a float"))?),
            Self::Float64 => Value::Float64(parse(text).ok_or(ConversionFailure("not a float"))?),
            Self::Bytes(mode) => {
                let bytes = pg::text::bytea(text).map_err(|_| ConversionFailure("malformed bytea"))?;
                binary(bytes, *mode)
            }
            Self::Unknown(mode) => binary(text.to_vec(), *mode),
            Self::UnknownGeometry(mode) => binary(geometry::with_java_numbers(text), *mode),
            Self::Bit => match text {
                b"1" => Value::Boolean(true),
                b"0" => Value::Boolean(false),
                // An empty `varbit(1)`.
                b"" => Value::Null,
                _ => return Err(ConversionFailure("not a bit")),
            },
            Self::Bits => bits(text)?,
            Self::VariableDecimal => variable_decimal(text)?,
            Self::DecimalDouble => Value::Float64(parse(text).ok_or(NOT_A_NUMBER)?),
            Self::DecimalText => decimal_text(text)?,
            Self::Money { scale } => {
                Value::Bytes(Blob::copy(Unscaled::from_i128(money(text, *scale)?).as_slice()))
            }
            Self::MoneyDouble => Value::Float64(parse(&money_digits(text)?).ok_or(NOT_A_NUMBER)?),
            Self::MoneyText { scale } => {
                let unscaled = Unscaled::from_i128(money(text, *scale)?);
                Value::String(numeric::to_text(unscaled.as_slice(), *scale).into())
            }
            Self::Date => Value::Int32(date(text)?),
            Self::DateIso => Value::String(iso_date(text)?),
            Self::TimeMillis => {
                let millis = time(text)? / 1000;
                Value::Int32(i32::try_from(millis).expect("a day has fewer milliseconds than 2^31"))
            }
            Self::TimeMicros => Value::Int64(time(text)?),
            Self::TimeNanos => Value::Int64(time(text)? * 1000),
            Self::TimeIso => Value::String(format!("{}Z", iso::time(time(text)? % MICROS_PER_DAY)).into()),
            Self::TimestampIso => Value::String(iso_timestamp(text)?),
            Self::TimestampZoned { digits } => Value::String(zoned_timestamp(text, *digits)?),
            Self::TimeZoned => Value::String(zoned_time(text)?),
            Self::IntervalMicros => Value::Int64(interval_micros(text)?),
            Self::IntervalIso => Value::String(interval_iso(text)?),
            Self::Point => geometry::point(text)?,
            Self::Geometry => geometry::geometry(text)?,
            Self::HstoreJson => java_map::hstore_json(text)?,
            Self::HstoreMap => java_map::hstore_map(text)?,
            Self::Vector => geometry::vector(text, |item| parse(item).map(Value::Float64))?,
            Self::HalfVector => geometry::vector(text, |item| parse(item).map(Value::Float32))?,
            Self::SparseVector => geometry::sparse_vector(text)?,
            Self::Array { element, delimiter } => array(element, *delimiter, text)?,
            Self::TimestampZonedShort => Value::String(zoned_timestamp_short(text)?),
            Self::Changed(parts) => parts.1.apply(parts.0.decode_rare(text)?),
        })
    }
}

const NOT_UTF8: ConversionFailure = ConversionFailure("text is not UTF-8");
const NOT_A_NUMBER: ConversionFailure = ConversionFailure("not a number");
const NOT_ISO: ConversionFailure = ConversionFailure("not a date or time in ISO form");
const OUT_OF_RANGE: ConversionFailure = ConversionFailure("out of the range of the target type");

/// Decimal digits with an optional minus.
#[inline]
fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let mut sum = 0_u64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // 19 digits stay below 2^64.
        sum = sum * 10 + u64::from(digit);
    }
    if negative { 0_i64.checked_sub_unsigned(sum) } else { i64::try_from(sum).ok() }
}

/// Rust reads `NaN`, `Infinity` and `-Infinity` as PostgreSQL writes them.
fn parse<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Bytes in the form that the mode wants.
pub fn binary(bytes: Vec<u8>, mode: BinaryMode) -> Value {
    match mode {
        BinaryMode::Bytes => Value::Bytes(Blob::from(bytes)),
        BinaryMode::Base64 => Value::String(STANDARD.encode(bytes).into()),
        BinaryMode::Base64UrlSafe => Value::String(URL_SAFE.encode(bytes).into()),
        BinaryMode::Hex => Value::String(hex::encode(bytes).into()),
    }
}

/// Little-endian; high bytes that are zero are left out.
fn bits(text: &[u8]) -> Result<Value, ConversionFailure> {
    let mut bytes =
        pg::text::bits_little_endian(text).map_err(|_| ConversionFailure("malformed bit string"))?;
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    Ok(Value::Bytes(Blob::from(bytes)))
}

#[inline]
fn decimal(text: &[u8], scale: i32) -> Result<Value, ConversionFailure> {
    match numeric::parse(text).map_err(|_| NOT_A_NUMBER)? {
        Numeric::Finite(digits) => {
            let unscaled = digits.unscaled(scale).ok_or(ConversionFailure("more digits than the scale"))?;
            Ok(Value::Bytes(Blob::copy(unscaled.as_slice())))
        }
        _ => Err(ConversionFailure("NaN and infinities have no exact form")),
    }
}

fn variable_decimal(text: &[u8]) -> Result<Value, ConversionFailure> {
    match numeric::parse(text).map_err(|_| NOT_A_NUMBER)? {
        Numeric::Finite(digits) => {
            let digits = digits.stripped();
            let unscaled = digits.unscaled(digits.scale()).ok_or(NOT_A_NUMBER)?;
            let value = Value::Bytes(Blob::copy(unscaled.as_slice()));
            Ok(Value::Struct(Box::new([Value::Int32(digits.scale()), value])))
        }
        _ => Err(ConversionFailure("NaN and infinities have no exact form")),
    }
}

fn decimal_text(text: &[u8]) -> Result<Value, ConversionFailure> {
    Ok(Value::text(match numeric::parse(text).map_err(|_| NOT_A_NUMBER)? {
        Numeric::NaN => "NAN",
        Numeric::Infinity => "POSITIVE_INFINITY",
        Numeric::NegativeInfinity => "NEGATIVE_INFINITY",
        Numeric::Finite(_) => std::str::from_utf8(text).map_err(|_| NOT_UTF8)?,
    }))
}

/// The number in an amount such as `-$1,234.56` or `(1 234.56)`.
fn money_digits(text: &[u8]) -> Result<Vec<u8>, ConversionFailure> {
    let negative = matches!(text.first(), Some(b'-' | b'('));
    let digits = text.iter().copied().filter(|byte| byte.is_ascii_digit() || *byte == b'.');
    let out: Vec<u8> = negative.then_some(b'-').into_iter().chain(digits).collect();
    if out.iter().any(u8::is_ascii_digit) { Ok(out) } else { Err(ConversionFailure("malformed money")) }
}

/// Unscaled amount, rounded half up (away from zero, as Java's HALF_UP).
fn money(text: &[u8], scale: i32) -> Result<i128, ConversionFailure> {
    let digits = money_digits(text)?;
    let Ok(Numeric::Finite(digits)) = numeric::parse(&digits) else { return Err(NOT_A_NUMBER) };
    let own = digits.scale();
    let mut all = digits.integer.iter().chain(digits.fraction);
    let add = |sum: i128, digit: &u8| sum.checked_mul(10)?.checked_add(i128::from(digit - b'0'));
    let mut number = all.try_fold(0_i128, add).ok_or(OUT_OF_RANGE)?;
    let power = |digits: i32| 10_i128.checked_pow(digits.unsigned_abs()).ok_or(OUT_OF_RANGE);
    if scale >= own {
        number = number.checked_mul(power(scale - own)?).ok_or(OUT_OF_RANGE)?;
    } else {
        let divisor = power(own - scale)?;
        number = number.checked_add(divisor / 2).ok_or(OUT_OF_RANGE)? / divisor;
    }
    Ok(if digits.negative { -number } else { number })
}

fn date(text: &[u8]) -> Result<i32, ConversionFailure> {
    match temporal::date(text).map_err(|_| NOT_ISO)? {
        Bounded::Infinity => Ok(DATE_INFINITY),
        Bounded::NegativeInfinity => Ok(DATE_NEGATIVE_INFINITY),
        Bounded::Finite(days) => i32::try_from(days).map_err(|_| OUT_OF_RANGE),
    }
}

fn iso_date(text: &[u8]) -> Result<Text, ConversionFailure> {
    Ok(match temporal::date(text).map_err(|_| NOT_ISO)? {
        Bounded::Infinity => format!("{}Z", iso::date(i64::from(DATE_INFINITY))).into(),
        Bounded::NegativeInfinity => format!("{}Z", iso::date(i64::from(DATE_NEGATIVE_INFINITY))).into(),
        Bounded::Finite(days) => format!("{}Z", iso::date(days)).into(),
    })
}

fn time(text: &[u8]) -> Result<i64, ConversionFailure> {
    temporal::time(text).map_err(|_| NOT_ISO)
}

#[inline]
fn timestamp(text: &[u8], unit: Unit) -> Result<Value, ConversionFailure> {
    let bounded = temporal::timestamp(text).map_err(|_| NOT_ISO)?;
    let number = match (bounded, unit) {
        (Bounded::Finite(instant), Unit::Micros) => instant.epoch_micros().ok_or(OUT_OF_RANGE)?,
        (Bounded::Finite(instant), Unit::Millis) => instant.epoch_millis().ok_or(OUT_OF_RANGE)?,
        (Bounded::Finite(instant), Unit::Nanos) => instant.epoch_nanos().ok_or(OUT_OF_RANGE)?,
        (Bounded::Infinity, Unit::Micros) => TIMESTAMP_INFINITY,
        (Bounded::Infinity, Unit::Millis) => TIMESTAMP_INFINITY / 1000,
        (Bounded::Infinity, Unit::Nanos) => i64::MAX,
        (Bounded::NegativeInfinity, Unit::Micros) => TIMESTAMP_NEGATIVE_INFINITY,
        (Bounded::NegativeInfinity, Unit::Millis) => TIMESTAMP_NEGATIVE_INFINITY / 1000,
        (Bounded::NegativeInfinity, Unit::Nanos) => i64::MIN,
    };
    Ok(Value::Int64(number))
}

fn iso_timestamp(text: &[u8]) -> Result<Text, ConversionFailure> {
    let instant = match temporal::timestamp(text).map_err(|_| NOT_ISO)? {
        Bounded::Finite(instant) => instant,
        Bounded::Infinity => from_micros(TIMESTAMP_INFINITY),
        Bounded::NegativeInfinity => from_micros(TIMESTAMP_NEGATIVE_INFINITY),
    };
    Ok(format!("{}T{}Z", iso::date(instant.days), iso::time(instant.micros)).into())
}

fn from_micros(micros: i64) -> Instant {
    Instant { days: micros.div_euclid(MICROS_PER_DAY), micros: micros.rem_euclid(MICROS_PER_DAY) }
}

fn zoned_timestamp(text: &[u8], digits: u8) -> Result<Text, ConversionFailure> {
    Ok(match temporal::timestamp_with_zone(text).map_err(|_| NOT_ISO)? {
        Bounded::Infinity => "infinity".into(),
        Bounded::NegativeInfinity => "-infinity".into(),
        Bounded::Finite(instant) => iso::zoned(instant, digits),
    })
}

fn zoned_timestamp_short(text: &[u8]) -> Result<Text, ConversionFailure> {
    let long = zoned_timestamp(text, 6)?;
    let Some(number) = long.strip_suffix('Z') else { return Ok(long) };
    Ok(format!("{}Z", number.trim_end_matches('0').trim_end_matches('.')).into())
}

fn zoned_time(text: &[u8]) -> Result<Text, ConversionFailure> {
    let (micros, offset) = temporal::time_with_zone(text).map_err(|_| NOT_ISO)?;
    let utc = (micros - i64::from(offset) * temporal::MICROS_PER_SECOND).rem_euclid(MICROS_PER_DAY);
    Ok(format!("{}Z", iso::time(utc)).into())
}

fn interval(text: &[u8]) -> Result<temporal::Interval, ConversionFailure> {
    match temporal::interval(text).map_err(|_| ConversionFailure("malformed interval"))? {
        Bounded::Finite(interval) => Ok(interval),
        _ => Err(ConversionFailure("an infinite interval has no length")),
    }
}

/// Debezium's arithmetic in doubles: a month has 30.4375 days.
fn interval_micros(text: &[u8]) -> Result<i64, ConversionFailure> {
    let interval = interval(text)?;
    let clock = Clock::of(interval.micros);
    let days = interval.months as f64 * (365.25 / 12.0) + interval.days as f64;
    let seconds = ((days * 24.0 + clock.hours as f64) * 60.0 + clock.minutes as f64) * 60.0 + clock.seconds();
    // `as` saturates, as Java's cast does.
    Ok((seconds * 1e6) as i64)
}

/// Hours, minutes and seconds, each with the sign of the whole.
struct Clock {
    hours: i64,
    minutes: i64,
    /// Seconds in microseconds.
    micros: i64,
}

impl Clock {
    fn of(micros: i64) -> Self {
        let minute = 60 * temporal::MICROS_PER_SECOND;
        Self { hours: micros / (60 * minute), minutes: micros / minute % 60, micros: micros % minute }
    }

    fn seconds(&self) -> f64 {
        (self.micros / temporal::MICROS_PER_SECOND) as f64
            + (self.micros % temporal::MICROS_PER_SECOND) as f64 / 1e6
    }
}

fn interval_iso(text: &[u8]) -> Result<Text, ConversionFailure> {
    let interval = interval(text)?;
    let clock = Clock::of(interval.micros);
    let fraction = clock.micros.unsigned_abs() % 1_000_000;
    let sign = if clock.micros < 0 { "-" } else { "" };
    let whole = clock.micros.unsigned_abs() / 1_000_000;
    let fraction = if fraction == 0 {
        String::new()
    } else {
        format!(".{}", format!("{fraction:06}").trim_end_matches('0'))
    };
    Ok(format!(
        "P{}Y{}M{}DT{}H{}M{sign}{whole}{fraction}S",
        interval.months / 12,
        interval.months % 12,
        interval.days,
        clock.hours,
        clock.minutes
    )
    .into())
}

fn array(element: &Decoder, delimiter: u8, text: &[u8]) -> Result<Value, ConversionFailure> {
    let items = match pg::text::array(text, delimiter) {
        Ok(pg::text::Array::Flat(items)) => items,
        Ok(pg::text::Array::Nested) => {
            return Err(ConversionFailure("an array of more than one dimension has no form in Connect"));
        }
        Err(_) => return Err(ConversionFailure("malformed array")),
    };
    let values = items.iter().map(|item| match item {
        Some(text) => element.decode_rare(text),
        None => Ok(Value::Null),
    });
    values.collect::<Result<Box<[Value]>, _>>().map(Value::Array)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(decoder: &Decoder, text: &str, expected: Result<Value, &'static str>) {
        let buffer = Buffer::from(text.as_bytes().to_vec());
        let found = decoder.decode(&buffer, 0..text.len()).map_err(|failure| failure.0);
        assert_eq!(found, expected, "{decoder:?} of {text}");
    }

    #[test]
    fn integers_at_their_limits() {
        check(&Decoder::Int64, "-9223372036854775808", Ok(Value::Int64(i64::MIN)));
        check(&Decoder::Int64, "9223372036854775807", Ok(Value::Int64(i64::MAX)));
        check(&Decoder::Int64, "9223372036854775808", Err("not an integer of 8 bytes"));
        check(&Decoder::Int32, "2147483648", Err("not an integer of 4 bytes"));
        check(&Decoder::Int16, "-32768", Ok(Value::Int16(i16::MIN)));
        check(&Decoder::Int32, "", Err("not an integer of 4 bytes"));
    }

    /// Found by fuzzing: the server's own amounts have 19 digits at most.
    #[test]
    fn amounts_that_do_not_fit_are_failures() {
        let text = format!("${}", "5".repeat(44));
        let money = Decoder::Money { scale: 2 };
        check(&money, &text, Err(OUT_OF_RANGE.0));
        check(&money, &format!("{}.005", "9".repeat(37)), Err(OUT_OF_RANGE.0));
    }

    #[test]
    fn times_that_do_not_fit_are_failures() {
        check(&Decoder::Timestamp(Unit::Micros), "294276-12-31 23:59:59.999999", Err(OUT_OF_RANGE.0));
        check(
            &Decoder::Timestamp(Unit::Millis),
            "294276-12-31 23:59:59.999999",
            Ok(Value::Int64(9_224_318_015_999_999)),
        );
        check(&Decoder::Timestamp(Unit::Millis), "1969-12-31 23:59:59.9995", Ok(Value::Int64(-1)));
        check(&Decoder::TimeMicros, "24:00:00", Ok(Value::Int64(MICROS_PER_DAY)));
        check(&Decoder::TimeZoned, "01:02:03+02", Ok(Value::text("23:02:03Z")));
    }

    #[test]
    fn amounts() {
        check(&Decoder::MoneyText { scale: 2 }, "-$1,234.56", Ok(Value::text("-1234.56")));
        check(&Decoder::MoneyText { scale: 1 }, "$0.05", Ok(Value::text("0.1")));
        check(&Decoder::MoneyText { scale: 3 }, "($1.00)", Ok(Value::text("-1.000")));
    }

    #[test]
    fn intervals() {
        check(&Decoder::IntervalMicros, "1 day 02:03:04", Ok(Value::Int64(93_784_000_000)));
        check(
            &Decoder::IntervalIso,
            "1 year 2 mons 3 days 04:05:06.78",
            Ok(Value::text("P1Y2M3DT4H5M6.78S")),
        );
        check(&Decoder::IntervalIso, "-00:00:00.5", Ok(Value::text("P0Y0M0DT0H0M-0.5S")));
    }

    #[test]
    fn arrays() {
        let integers = Decoder::Array { element: Box::new(Decoder::Int32), delimiter: b',' };
        check(&integers, "{1,NULL}", Ok(Value::Array(Box::new([Value::Int32(1), Value::Null]))));
        check(&integers, "{x}", Err("not an integer of 4 bytes"));
        check(&integers, "{{1}}", Err("an array of more than one dimension has no form in Connect"));
    }
}

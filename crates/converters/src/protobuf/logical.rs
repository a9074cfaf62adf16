//! Decimals, dates and times as the messages that Confluent and Google define for them.

use connect::calendar::{date_of, days_of};
use connect::{Blob, TaskError, Value};
use num_bigint::BigInt;

use super::wire::{DELIMITED, Reader, VARINT, delimited, malformed, varint};
use connect::decimal;

const MILLIS_PER_SECOND: i64 = 1000;
const MILLIS_PER_DAY: i64 = 86_400_000;
const NANOS_PER_MILLI: i64 = 1_000_000;

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Logical {
    Decimal { scale: i32 },
    Date,
    Time,
    Timestamp,
}

/// A field of a small message: nothing where it has its zero value.
fn number(field: u8, value: i64, out: &mut Vec<u8>) {
    if value != 0 {
        out.push(field << 3 | VARINT);
        varint(value as u64, out);
    }
}

impl Logical {
    /// Writes the message with its length.
    pub(super) fn write(self, value: &Value, out: &mut Vec<u8>) -> Result<(), TaskError> {
        let wrong =
            || TaskError::reject("Invalid type: the value does not fit the type that its schema gives");
        match (self, value) {
            (Self::Decimal { scale }, Value::Bytes(unscaled)) => delimited(out, |out| {
                let digits = decimal::digits(unscaled);
                let precision = digits.trim_start_matches('-').len();
                if !unscaled.is_empty() {
                    out.push(1 << 3 | DELIMITED);
                    varint(unscaled.len() as u64, out);
                    out.extend_from_slice(unscaled);
                }
                number(2, precision as i64, out);
                number(3, i64::from(scale), out);
                Ok(())
            }),
            (Self::Date, Value::Int32(days)) => delimited(out, |out| {
                let date = date_of(i64::from(*days));
                number(1, date.year, out);
                number(2, i64::from(date.month), out);
                number(3, i64::from(date.day), out);
                Ok(())
            }),
            (Self::Time, Value::Int32(millis)) if (0..MILLIS_PER_DAY).contains(&i64::from(*millis)) => {
                delimited(out, |out| {
                    let millis = i64::from(*millis);
                    let seconds = millis / MILLIS_PER_SECOND;
                    number(1, seconds / 3600, out);
                    number(2, seconds / 60 % 60, out);
                    number(3, seconds % 60, out);
                    number(4, millis % MILLIS_PER_SECOND * NANOS_PER_MILLI, out);
                    Ok(())
                })
            }
            (Self::Time, Value::Int32(_)) => Err(TaskError::reject(
                "Time values must use number of millis greater than 0 and less than 86400000",
            )),
            (Self::Timestamp, Value::Int64(millis)) => delimited(out, |out| {
                number(1, millis.div_euclid(MILLIS_PER_SECOND), out);
                number(2, millis.rem_euclid(MILLIS_PER_SECOND) * NANOS_PER_MILLI, out);
                Ok(())
            }),
            _ => Err(wrong()),
        }
    }

    /// Reads a message without its length.
    pub(super) fn read(self, bytes: &[u8], reader: &mut Reader<'_>) -> Result<Value, TaskError> {
        // Numbers by their field; field 0 does not occur.
        let mut numbers = [0_i64; 5];
        let mut unscaled: &[u8] = &[];
        while !reader.is_at_end() {
            let (field, wire_type) = reader.key()?;
            match (wire_type, usize::try_from(field).ok().filter(|field| *field < numbers.len())) {
                (VARINT, Some(field)) => numbers[field] = reader.varint()? as i64,
                (DELIMITED, Some(1)) => unscaled = &bytes[reader.range()?],
                _ => reader.skip(wire_type)?,
            }
        }
        let [_, first, second, third, fourth] = numbers;
        match self {
            Self::Decimal { scale } => read_decimal(unscaled, third as i32, scale),
            Self::Date => {
                let in_calendar = (1..=12).contains(&second) && (1..=31).contains(&third);
                let year = Some(first).filter(|year| in_calendar && (-1_000_000..=1_000_000).contains(year));
                let days = year.map(|year| days_of(year, second, third));
                let days = days.and_then(|days| i32::try_from(days).ok());
                days.map(Value::Int32).ok_or_else(|| malformed("a date that no calendar has"))
            }
            Self::Time => {
                let fits = (0..24).contains(&first)
                    && (0..60).contains(&second)
                    && (0..60).contains(&third)
                    && (0..1_000_000_000).contains(&fourth);
                let millis =
                    ((first * 60 + second) * 60 + third) * MILLIS_PER_SECOND + fourth / NANOS_PER_MILLI;
                let millis = Some(millis).filter(|_| fits).and_then(|millis| i32::try_from(millis).ok());
                millis.map(Value::Int32).ok_or_else(|| malformed("a time that no day has"))
            }
            Self::Timestamp => {
                let millis = first.checked_mul(MILLIS_PER_SECOND);
                let millis = millis.and_then(|millis| millis.checked_add(second / NANOS_PER_MILLI));
                millis.map(Value::Int64).ok_or_else(|| malformed("a timestamp out of range"))
            }
        }
    }
}

/// The number brings its own scale; what does not fit the schema's would lose digits.
fn read_decimal(unscaled: &[u8], own: i32, scale: i32) -> Result<Value, TaskError> {
    if own == scale && !unscaled.is_empty() {
        return Ok(Value::Bytes(Blob::from(unscaled)));
    }
    let number = BigInt::from_signed_bytes_be(unscaled);
    let exact = decimal::rescale(&number, own, scale);
    let exact = exact.ok_or_else(|| malformed("a decimal does not fit the scale of its field"))?;
    Ok(Value::Bytes(Blob::from(exact.to_signed_bytes_be())))
}

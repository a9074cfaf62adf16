//! One value in another zone. What is out of the range of the calendar (and `infinity`) stays as it is.

use std::fmt::Write;

use connect::logical::{TIMESTAMP, debezium};
use connect::{Schema, Text, Value};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

/// How a field holds a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    /// A local time as a number of these parts of a second.
    Local {
        per_second: i64,
    },
    /// An instant as text with an offset.
    ZonedText,
    ZonedTimeText,
    /// An instant of the source block: moved by the zone's offset.
    Instant {
        per_second: i64,
    },
}

impl Time {
    pub(super) fn of(schema: &Schema) -> Option<Self> {
        Some(match schema.name()? {
            TIMESTAMP | debezium::TIMESTAMP => Self::Local { per_second: 1000 },
            debezium::MICRO_TIMESTAMP => Self::Local { per_second: 1_000_000 },
            debezium::NANO_TIMESTAMP => Self::Local { per_second: 1_000_000_000 },
            debezium::ZONED_TIMESTAMP => Self::ZonedText,
            debezium::ZONED_TIME => Self::ZonedTimeText,
            _ => return None,
        })
    }

    pub(super) fn convert(self, zone: &TimeZone, value: &mut Value) {
        let converted = match (self, &*value) {
            (Self::Local { per_second }, Value::Int64(number)) => {
                local(zone, *number, per_second).map(Value::Int64)
            }
            (Self::Instant { per_second }, Value::Int64(number)) => {
                instant(zone, *number, per_second).map(Value::Int64)
            }
            (Self::ZonedText, Value::String(text)) => zoned(zone, text).map(Value::String),
            (Self::ZonedTimeText, Value::String(text)) => zoned_time(zone, text).map(Value::String),
            _ => None,
        };
        if let Some(converted) = converted {
            *value = converted;
        }
    }
}

fn local(zone: &TimeZone, number: i64, per_second: i64) -> Option<i64> {
    let seconds = number.div_euclid(per_second);
    let time = Offset::UTC.to_datetime(Timestamp::from_second(seconds).ok()?);
    // A time that does not exist, or exists twice, has the offset of the time before.
    let offset = match zone.to_ambiguous_timestamp(time).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => before,
    };
    number.checked_sub(i64::from(offset.seconds()).checked_mul(per_second)?)
}

fn instant(zone: &TimeZone, number: i64, per_second: i64) -> Option<i64> {
    let offset = zone.to_offset(Timestamp::from_second(number.div_euclid(per_second)).ok()?);
    number.checked_add(i64::from(offset.seconds()).checked_mul(per_second)?)
}

fn zoned(zone: &TimeZone, text: &str) -> Option<Text> {
    let instant: Timestamp = text.parse().ok()?;
    let offset = zone.to_offset(instant);
    let time = offset.to_datetime(instant);
    let mut out = String::with_capacity(text.len() + 8);
    let sign = if time.year() < 0 { "-" } else { "" };
    let year = time.year().unsigned_abs();
    write!(out, "{sign}{year:04}-{:02}-{:02}T", time.month(), time.day()).ok()?;
    write_time(time, &mut out)?;
    write_offset(offset, &mut out)?;
    Some(Text::from(out))
}

/// `10:00:00[.5]+01:00`, at today's offset.
fn zoned_time(zone: &TimeZone, text: &str) -> Option<Text> {
    let instant: Timestamp = format!("2000-01-01T{text}").parse().ok()?;
    let offset = zone.to_offset(Timestamp::now());
    let mut out = String::with_capacity(text.len() + 8);
    write_time(offset.to_datetime(instant), &mut out)?;
    write_offset(offset, &mut out)?;
    Some(Text::from(out))
}

/// Fractions have as many digits as they need.
fn write_time(time: DateTime, out: &mut String) -> Option<()> {
    write!(out, "{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second()).ok()?;
    if time.subsec_nanosecond() > 0 {
        let digits = format!("{:09}", time.subsec_nanosecond());
        write!(out, ".{}", digits.trim_end_matches('0')).ok()?;
    }
    Some(())
}

fn write_offset(offset: Offset, out: &mut String) -> Option<()> {
    let seconds = offset.seconds();
    if seconds == 0 {
        out.push('Z');
        return Some(());
    }
    let (sign, seconds) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs());
    write!(out, "{sign}{:02}:{:02}", seconds / 3600, seconds / 60 % 60).ok()?;
    if seconds % 60 > 0 {
        write!(out, ":{:02}", seconds % 60).ok()?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZoneDatabase;

    fn check(time: Time, zone: &str, value: Value, expected: Value) {
        let zone = TimeZoneDatabase::bundled().get(zone).unwrap();
        let mut found = value;
        time.convert(&zone, &mut found);
        assert_eq!(found, expected);
    }

    #[test]
    fn both_kinds() {
        let text = |text: &str| Value::text(text);
        check(
            Time::ZonedText,
            "Europe/Berlin",
            text("2020-01-02T01:04:05.678901Z"),
            text("2020-01-02T02:04:05.678901+01:00"),
        );
        check(
            Time::ZonedText,
            "Europe/Berlin",
            text("0000-01-01T00:00:00.000000Z"),
            text("0000-01-01T00:53:28+00:53:28"),
        );
        check(Time::ZonedText, "Europe/Berlin", text("infinity"), text("infinity"));
        let millis = Time::Local { per_second: 1000 };
        check(millis, "Europe/Berlin", Value::Int64(-1), Value::Int64(-3_600_001));
        check(millis, "Europe/Berlin", Value::Int64(i64::MAX), Value::Int64(i64::MAX));
        // 02:30 does not exist on this day.
        check(millis, "Europe/Berlin", Value::Int64(1_585_449_000_000), Value::Int64(1_585_445_400_000));
    }
}

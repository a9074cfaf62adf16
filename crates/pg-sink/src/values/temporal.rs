//! Days, times and instants: units of Connect and Debezium to PostgreSQL's binary form, and their text.

use jiff::tz::TimeZone;

use super::ValueError;

/// What one step of a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Millis,
    Micros,
    Nanos,
}

/// PostgreSQL counts from 2000-01-01.
const EPOCH_DAYS: i64 = 10_957;
const EPOCH_MICROS: i64 = EPOCH_DAYS * DAY_MICROS;
pub const DAY_MICROS: i64 = 86_400_000_000;

/// What PostgreSQL's binary form has for the infinities.
const FOREVER: i64 = i64::MAX;
const BEFORE_ALL: i64 = i64::MIN;

/// Debezium's microseconds for `infinity` and `-infinity`; milliseconds are a thousandth of them.
const INFINITY_MICROS: i64 = 9_223_372_036_825_200_000;
const MINUS_INFINITY_MICROS: i64 = -9_223_372_036_832_400_000;
/// Debezium's days for `infinity` and `-infinity`.
const INFINITY_DAYS: i64 = -2_147_472_692;
const MINUS_INFINITY_DAYS: i64 = -2_147_472_691;

/// PostgreSQL's limits, as days and microseconds since its own epoch.
const DAYS_MIN: i64 = -2_451_545;
const DAYS_END: i64 = 2_145_031_949;
const MICROS_MIN: i64 = -211_813_488_000_000_000;
const MICROS_END: i64 = 9_223_371_331_200_000_000;

/// An instant or a local time, or one of the two ends of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Microseconds since 1970.
    At(i64),
    Infinity,
    MinusInfinity,
}

impl Moment {
    pub fn of(unit: Unit, number: i64) -> Result<Self, ValueError> {
        let (infinity, minus_infinity) = match unit {
            Unit::Millis => (INFINITY_MICROS / 1000, MINUS_INFINITY_MICROS / 1000),
            Unit::Micros => (INFINITY_MICROS, MINUS_INFINITY_MICROS),
            Unit::Nanos => (i64::MAX, i64::MIN),
        };
        if number == infinity {
            return Ok(Self::Infinity);
        }
        if number == minus_infinity {
            return Ok(Self::MinusInfinity);
        }
        micros(unit, number).map(Self::At)
    }

    /// The binary form of `timestamp` and `timestamptz`.
    pub fn binary(self) -> Result<i64, ValueError> {
        match self {
            Self::Infinity => Ok(FOREVER),
            Self::MinusInfinity => Ok(BEFORE_ALL),
            Self::At(micros) => micros
                .checked_sub(EPOCH_MICROS)
                .filter(|micros| (MICROS_MIN..MICROS_END).contains(micros))
                .ok_or_else(|| ValueError::new("a point in time is outside of what PostgreSQL can hold")),
        }
    }

    /// The same moment as a clock in `zone` shows it.
    pub fn local(self, zone: Option<&TimeZone>) -> Self {
        match (self, zone) {
            (Self::At(micros), Some(zone)) => Self::At(micros.saturating_add(offset_micros(zone, micros))),
            _ => self,
        }
    }

    pub fn put_text(self, out: &mut Vec<u8>) {
        match self {
            Self::Infinity => out.extend_from_slice(b"infinity"),
            Self::MinusInfinity => out.extend_from_slice(b"-infinity"),
            Self::At(micros) => {
                let (year, month, day) = civil(micros.div_euclid(DAY_MICROS));
                put_year_first(out, year, month, day);
                out.push(b' ');
                put_clock(out, micros.rem_euclid(DAY_MICROS));
                put_era(out, year);
            }
        }
    }
}

fn offset_micros(zone: &TimeZone, micros: i64) -> i64 {
    // Outside of the zone data's range there is no offset to be had; local time is then taken as UTC.
    jiff::Timestamp::from_microsecond(micros)
        .map_or(0, |instant| i64::from(zone.to_offset(instant).seconds()) * 1_000_000)
}

fn micros(unit: Unit, number: i64) -> Result<i64, ValueError> {
    match unit {
        Unit::Micros => Ok(number),
        Unit::Millis => number
            .checked_mul(1000)
            .ok_or_else(|| ValueError::new("a point in time is outside of what PostgreSQL can hold")),
        // PostgreSQL rounds a seventh digit to the nearest microsecond.
        Unit::Nanos => Ok(number.div_euclid(1000) + i64::from(number.rem_euclid(1000) >= 500)),
    }
}

/// Microseconds of the day, midnight at its end included.
pub fn time_of_day(unit: Unit, number: i64, zone: Option<&TimeZone>) -> Result<i64, ValueError> {
    let micros = micros(unit, number)?;
    if !(0..=DAY_MICROS).contains(&micros) {
        return Err(ValueError::new(format!("{micros} microseconds are not a time of day")));
    }
    Ok(match zone {
        None => micros,
        Some(zone) => (micros + offset_micros(zone, micros)).rem_euclid(DAY_MICROS),
    })
}

/// The binary form of `date` for days since 1970.
pub fn date(days: i64, zone: Option<&TimeZone>) -> Result<i32, ValueError> {
    match days {
        INFINITY_DAYS => return Ok(i32::MAX),
        MINUS_INFINITY_DAYS => return Ok(i32::MIN),
        _ => {}
    }
    let days = local_day(days, zone) - EPOCH_DAYS;
    i32::try_from(days)
        .ok()
        .filter(|_| (DAYS_MIN..DAYS_END).contains(&days))
        .ok_or_else(|| ValueError::new("a date is outside of what PostgreSQL can hold"))
}

/// The day on which midnight of UTC falls in `zone`.
fn local_day(days: i64, zone: Option<&TimeZone>) -> i64 {
    let Some(zone) = zone else { return days };
    let micros = days.saturating_mul(DAY_MICROS);
    micros.saturating_add(offset_micros(zone, micros)).div_euclid(DAY_MICROS)
}

pub fn put_date_text(out: &mut Vec<u8>, days: i64, zone: Option<&TimeZone>) {
    match days {
        INFINITY_DAYS => out.extend_from_slice(b"infinity"),
        MINUS_INFINITY_DAYS => out.extend_from_slice(b"-infinity"),
        _ => {
            let (year, month, day) = civil(local_day(days, zone));
            put_year_first(out, year, month, day);
            put_era(out, year);
        }
    }
}

/// `HH:MM:SS[.ffffff]`; zeros at the end of the fraction are left out.
pub fn put_clock(out: &mut Vec<u8>, micros: i64) {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    put_digits(out, seconds / 3600, 2);
    out.push(b':');
    put_digits(out, seconds / 60 % 60, 2);
    out.push(b':');
    put_digits(out, seconds % 60, 2);
    if fraction > 0 {
        out.push(b'.');
        put_digits(out, fraction, 6);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

fn put_year_first(out: &mut Vec<u8>, year: i64, month: i64, day: i64) {
    // There is no year 0: the year before 1 is 1 BC.
    put_digits(out, if year > 0 { year } else { 1 - year }, 4);
    out.push(b'-');
    put_digits(out, month, 2);
    out.push(b'-');
    put_digits(out, day, 2);
}

fn put_era(out: &mut Vec<u8>, year: i64) {
    if year <= 0 {
        out.extend_from_slice(b" BC");
    }
}

fn put_digits(out: &mut Vec<u8>, number: i64, width: usize) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(number).as_bytes();
    out.resize(out.len() + width.saturating_sub(digits.len()), b'0');
    out.extend_from_slice(digits);
}

/// Year, month and day of a day since 1970 (proleptic Gregorian, astronomical years).
fn civil(days: i64) -> (i64, i64, i64) {
    // Eras of 400 years that begin on 1 March, so that the leap day is the last of its year.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// The reverse of [`civil`].
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Reads `2020-01-02T03:04:05.678901+05:30` and its kin as Java and Debezium write them: years of any length and
/// sign (0 is 1 BC), up to nine digits of fraction, `Z` or an offset, and the two infinities.
pub fn parse_zoned(text: &str) -> Option<Moment> {
    match text {
        "infinity" | "+infinity" => return Some(Moment::Infinity),
        "-infinity" => return Some(Moment::MinusInfinity),
        _ => {}
    }
    let mut cursor = Cursor { rest: text.as_bytes() };
    let days = cursor.date()?;
    if !cursor.eat(b'T') && !cursor.eat(b' ') {
        return None;
    }
    let hour = cursor.digits(2, 2).filter(|hour| *hour <= 24)?;
    let minute = cursor.after(b':')?.digits(2, 2).filter(|minute| *minute < 60)?;
    let mut clock = (hour * 60 + minute) * 60 * 1_000_000;
    if cursor.eat(b':') {
        clock += cursor.digits(2, 2).filter(|second| *second <= 60)? * 1_000_000;
        clock += cursor.fraction()?;
    }
    let offset = cursor.offset()?;
    if !cursor.rest.is_empty() {
        return None;
    }
    Some(match days.checked_mul(DAY_MICROS)?.checked_add(clock - offset * 1_000_000)? {
        // Debezium's ISO text has the infinities as the instants that stand for them.
        INFINITY_MICROS => Moment::Infinity,
        MINUS_INFINITY_MICROS => Moment::MinusInfinity,
        micros => Moment::At(micros),
    })
}

/// Reads Debezium's `2020-01-02Z`: days since 1970, the infinities as the days that stand for them.
pub fn parse_iso_date(text: &str) -> Option<i64> {
    let mut cursor = Cursor { rest: text.as_bytes() };
    let days = cursor.date()?;
    cursor.eat(b'Z');
    cursor.rest.is_empty().then_some(days)
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn eat(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// `2020-01-02`; years of any length and sign (0 is 1 BC). Days since 1970.
    fn date(&mut self) -> Option<i64> {
        let negative = self.eat(b'-');
        if !negative {
            self.eat(b'+');
        }
        let year = self.digits(4, 7)?;
        let year = if negative { -year } else { year };
        let month = self.after(b'-')?.digits(2, 2).filter(|month| (1..=12).contains(month))?;
        let day = self.after(b'-')?.digits(2, 2).filter(|day| (1..=31).contains(day))?;
        let days = days_of(year, month, day);
        (civil(days) == (year, month, day)).then_some(days)
    }

    fn after(&mut self, byte: u8) -> Option<&mut Self> {
        self.eat(byte).then_some(self)
    }

    fn digits(&mut self, least: usize, most: usize) -> Option<i64> {
        let count = self.rest.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
        if count < least {
            return None;
        }
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        Some(digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
    }

    /// `.fffffffff` as microseconds, rounded to the nearest.
    fn fraction(&mut self) -> Option<i64> {
        if !self.eat(b'.') {
            return Some(0);
        }
        let before = self.rest.len();
        let number = self.digits(1, 9)?;
        let count = u32::try_from(before - self.rest.len()).ok()?;
        let nanos = number * 10_i64.pow(9 - count);
        Some((nanos + 500) / 1000)
    }

    /// `Z`, nothing, or `±HH[:MM[:SS]]`, in seconds east of Greenwich.
    fn offset(&mut self) -> Option<i64> {
        if self.eat(b'Z') || self.rest.is_empty() {
            return Some(0);
        }
        let west = self.eat(b'-');
        if !west && !self.eat(b'+') {
            return None;
        }
        let mut seconds = self.digits(2, 2)? * 3600;
        self.eat(b':');
        if let Some(minutes) = self.digits(2, 2) {
            seconds += minutes * 60;
            if self.eat(b':') {
                seconds += self.digits(2, 2)?;
            }
        }
        Some(if west { -seconds } else { seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let mut out = vec![];
        parse_zoned(text).unwrap().put_text(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{text}");
    }

    #[test]
    fn zoned() {
        check("2020-01-02T03:04:05.678901Z", "2020-01-02 03:04:05.678901");
        check("2020-01-02T03:04:05+05:30", "2020-01-01 21:34:05");
        check("0000-01-01T00:00:00.000000Z", "0001-01-01 00:00:00 BC");
        check("-4713-12-31T23:59:59.999999Z", "4714-12-31 23:59:59.999999 BC");
        check("+21016-11-04T06:51:30.123456Z", "21016-11-04 06:51:30.123456");
        check("infinity", "infinity");
        check("+294247-01-10T04:00:25.2Z", "infinity");
        for text in ["", "2020", "2020-02-30T00:00:00Z", "2020-01-02T03:04:05x", "2020-01-02T03:04:05.Z", "x"]
        {
            assert_eq!(parse_zoned(text), None, "{text}");
        }
    }

    #[test]
    fn iso_dates() {
        let check = |text: &str, expected: &str| {
            let mut out = vec![];
            put_date_text(&mut out, parse_iso_date(text).expect("a date"), None);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{text}");
        };
        check("2024-02-29Z", "2024-02-29");
        check("-0043-03-15Z", "0044-03-15 BC");
        check("-5877611-06-21Z", "infinity");
        check("-5877611-06-22Z", "-infinity");
        for text in ["", "2024-02-30Z", "2024-02-29T", "24-02-29Z"] {
            assert_eq!(parse_iso_date(text), None, "{text}");
        }
    }

    #[test]
    fn days_go_round() {
        for days in [-2_500_000, -719_528, -1, 0, 59, 60, 18_628, 2_932_896, 100_000_000] {
            let (year, month, day) = civil(days);
            assert_eq!(days_of(year, month, day), days);
        }
        assert_eq!(civil(-1), (1969, 12, 31));
        assert_eq!(date(10_957, None).unwrap(), 0);
    }

    #[test]
    fn infinities_and_limits() {
        assert_eq!(Moment::of(Unit::Micros, INFINITY_MICROS).unwrap(), Moment::Infinity);
        assert_eq!(Moment::of(Unit::Millis, -9_223_372_036_832_400).unwrap(), Moment::MinusInfinity);
        assert!(Moment::of(Unit::Millis, i64::MAX).is_err());
        assert!(Moment::At(i64::MIN).binary().is_err());
        assert_eq!(
            Moment::of(Unit::Nanos, 1_700_000_000_123_456_789).unwrap(),
            Moment::At(1_700_000_000_123_457)
        );
        assert_eq!(time_of_day(Unit::Micros, DAY_MICROS, None).unwrap(), DAY_MICROS);
        assert!(time_of_day(Unit::Micros, DAY_MICROS + 1, None).is_err());
        let tokyo = TimeZone::get("Asia/Tokyo").unwrap();
        assert_eq!(Moment::At(0).local(Some(&tokyo)), Moment::At(9 * 3_600_000_000));
        assert_eq!(time_of_day(Unit::Millis, 0, Some(&tokyo)).unwrap(), 9 * 3_600_000_000);
    }
}

//! Dates, times and intervals in PostgreSQL's ISO text, in the proleptic Gregorian calendar that it uses.

pub const MICROS_PER_SECOND: i64 = 1_000_000;
pub const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// The text is not a date or time in ISO form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a date or time in ISO form")]
pub struct NotIso;

/// A point or one of the two infinities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounded<T> {
    NegativeInfinity,
    Finite(T),
    Infinity,
}

/// Days since 1970-01-01 and microseconds of the day: wide enough for every timestamp of PostgreSQL, which
/// microseconds since 1970 in 64 bits are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant {
    pub days: i64,
    /// 0 up to a day; exactly a day for `24:00:00`.
    pub micros: i64,
}

impl Instant {
    /// `None` where it does not fit.
    pub fn epoch_micros(self) -> Option<i64> {
        self.days.checked_mul(MICROS_PER_DAY)?.checked_add(self.micros)
    }

    pub fn epoch_millis(self) -> Option<i64> {
        self.days.checked_mul(86_400_000)?.checked_add(self.micros.div_euclid(1000))
    }

    pub fn epoch_nanos(self) -> Option<i64> {
        i64::try_from((i128::from(self.days) * i128::from(MICROS_PER_DAY) + i128::from(self.micros)) * 1000)
            .ok()
    }
}

/// A calendar date; year 0 is 1 BC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    pub year: i64,
    pub month: u8,
    pub day: u8,
}

/// Days since 1970-01-01 (Hinnant's `days_from_civil`).
pub fn days_from_civil(date: Civil) -> i64 {
    let year = date.year - i64::from(date.month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month = i64::from(date.month);
    let day_of_year =
        (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + i64::from(date.day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The date of a day since 1970-01-01 (Hinnant's `civil_from_days`).
pub fn civil_from_days(days: i64) -> Civil {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u8;
    let month = (if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 }) as u8;
    Civil { year: year_of_era + era * 400 + i64::from(month <= 2), month, day }
}

/// `date`: days since 1970-01-01.
pub fn date(text: &[u8]) -> Result<Bounded<i64>, NotIso> {
    if let Some(infinity) = infinity(text) {
        return Ok(infinity);
    }
    let (text, era) = split_era(text);
    let mut reader = Reader { text };
    let days = reader.date(era)?;
    reader.end()?;
    Ok(Bounded::Finite(days))
}

/// `time`: microseconds of the day, up to and including 24:00:00.
pub fn time(text: &[u8]) -> Result<i64, NotIso> {
    let mut reader = Reader { text };
    let micros = reader.time()?;
    reader.end()?;
    Ok(micros)
}

/// `time with time zone`: microseconds of the local day, and seconds east of Greenwich.
pub fn time_with_zone(text: &[u8]) -> Result<(i64, i32), NotIso> {
    let mut reader = Reader { text };
    let micros = reader.time()?;
    let offset = reader.zone()?;
    reader.end()?;
    Ok((micros, offset))
}

/// `timestamp`.
pub fn timestamp(text: &[u8]) -> Result<Bounded<Instant>, NotIso> {
    if let Some(infinity) = infinity(text) {
        return Ok(infinity);
    }
    let (text, era) = split_era(text);
    let mut reader = Reader { text };
    let instant = reader.instant(era)?;
    reader.end()?;
    Ok(Bounded::Finite(instant))
}

/// `timestamp with time zone`, in UTC.
pub fn timestamp_with_zone(text: &[u8]) -> Result<Bounded<Instant>, NotIso> {
    if let Some(infinity) = infinity(text) {
        return Ok(infinity);
    }
    let (text, era) = split_era(text);
    let mut reader = Reader { text };
    let local = reader.instant(era)?;
    let offset = i64::from(reader.zone()?) * MICROS_PER_SECOND;
    reader.end()?;
    let micros = local.micros - offset;
    Ok(Bounded::Finite(Instant {
        days: local.days + micros.div_euclid(MICROS_PER_DAY),
        micros: micros.rem_euclid(MICROS_PER_DAY),
    }))
}

/// An interval in PostgreSQL's three parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interval {
    pub months: i64,
    pub days: i64,
    pub micros: i64,
}

/// `interval` in the style `postgres`: `1 year 2 mons -3 days +04:05:06.789`.
pub fn interval(text: &[u8]) -> Result<Bounded<Interval>, NotIso> {
    if let Some(infinity) = infinity(text) {
        return Ok(infinity);
    }
    let mut interval = Interval::default();
    let mut words = text.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        if word.contains(&b':') {
            let (negative, unsigned) = sign(word);
            let mut reader = Reader { text: unsigned };
            let micros = reader.clock()?;
            reader.end()?;
            interval.micros = if negative { -micros } else { micros };
            continue;
        }
        let (negative, unsigned) = sign(word);
        let mut reader = Reader { text: unsigned };
        let count = reader.number(1)?;
        reader.end()?;
        let count = if negative { -count } else { count };
        match words.next().ok_or(NotIso)? {
            b"year" | b"years" => interval.months += count.checked_mul(12).ok_or(NotIso)?,
            b"mon" | b"mons" => interval.months += count,
            b"day" | b"days" => interval.days = count,
            _ => return Err(NotIso),
        }
    }
    Ok(Bounded::Finite(interval))
}

fn sign(word: &[u8]) -> (bool, &[u8]) {
    match word.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, word),
    }
}

fn infinity<T>(text: &[u8]) -> Option<Bounded<T>> {
    match text {
        b"infinity" => Some(Bounded::Infinity),
        b"-infinity" => Some(Bounded::NegativeInfinity),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Era {
    Common,
    BeforeChrist,
}

fn split_era(text: &[u8]) -> (&[u8], Era) {
    match text.strip_suffix(b" BC") {
        Some(text) => (text, Era::BeforeChrist),
        None => (text, Era::Common),
    }
}

struct Reader<'a> {
    text: &'a [u8],
}

impl Reader<'_> {
    fn end(&self) -> Result<(), NotIso> {
        if self.text.is_empty() { Ok(()) } else { Err(NotIso) }
    }

    fn skip(&mut self, letter: u8) -> Result<(), NotIso> {
        match self.text.split_first() {
            Some((first, rest)) if *first == letter => {
                self.text = rest;
                Ok(())
            }
            _ => Err(NotIso),
        }
    }

    /// Exactly two digits.
    #[inline]
    fn two(&mut self) -> Result<i64, NotIso> {
        let [tens, ones] = *self.text.first_chunk().ok_or(NotIso)?;
        let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
        if tens > 9 || ones > 9 {
            return Err(NotIso);
        }
        self.text = &self.text[2..];
        Ok(i64::from(tens * 10 + ones))
    }

    /// As many digits as there are, at least `least`; more than 15 fit no field.
    fn number(&mut self, least: usize) -> Result<i64, NotIso> {
        let length = self.text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if length < least || length > 15 {
            return Err(NotIso);
        }
        let (digits, rest) = self.text.split_at(length);
        self.text = rest;
        Ok(digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
    }

    fn date(&mut self, era: Era) -> Result<i64, NotIso> {
        let year = self.number(4)?;
        self.skip(b'-')?;
        let month = self.two()?;
        self.skip(b'-')?;
        let day = self.two()?;
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(NotIso);
        }
        let year = if era == Era::BeforeChrist { 1 - year } else { year };
        Ok(days_from_civil(Civil { year, month: month as u8, day: day as u8 }))
    }

    fn instant(&mut self, era: Era) -> Result<Instant, NotIso> {
        let days = self.date(era)?;
        self.skip(b' ')?;
        Ok(Instant { days, micros: self.time()? })
    }

    /// `HH:MM:SS[.ffffff]` up to 24:00:00.
    fn time(&mut self) -> Result<i64, NotIso> {
        let micros = self.clock()?;
        if micros > MICROS_PER_DAY { Err(NotIso) } else { Ok(micros) }
    }

    /// As [`Self::time`] with any number of hours.
    fn clock(&mut self) -> Result<i64, NotIso> {
        let hours = self.number(2)?;
        self.skip(b':')?;
        let minutes = self.two()?;
        self.skip(b':')?;
        let seconds = self.two()?;
        if minutes > 59 || seconds > 60 {
            return Err(NotIso);
        }
        let seconds = hours.checked_mul(3600).ok_or(NotIso)? + minutes * 60 + seconds;
        let micros = seconds.checked_mul(MICROS_PER_SECOND).ok_or(NotIso)?;
        Ok(micros + self.fraction()?)
    }

    fn fraction(&mut self) -> Result<i64, NotIso> {
        if self.text.first() != Some(&b'.') {
            return Ok(0);
        }
        self.text = &self.text[1..];
        let before = self.text.len();
        let number = self.number(1)?;
        let digits = before - self.text.len();
        let power = 6_usize.checked_sub(digits).ok_or(NotIso)?;
        Ok(number * 10_i64.pow(power as u32))
    }

    /// `+HH[:MM[:SS]]`: seconds east.
    fn zone(&mut self) -> Result<i32, NotIso> {
        let negative = match self.text.split_first() {
            Some((b'+', rest)) => {
                self.text = rest;
                false
            }
            Some((b'-', rest)) => {
                self.text = rest;
                true
            }
            _ => return Err(NotIso),
        };
        let mut seconds = self.two()? * 3600;
        for unit in [60, 1] {
            if self.text.first() != Some(&b':') {
                break;
            }
            self.text = &self.text[1..];
            seconds += self.two()? * unit;
        }
        let seconds = i32::try_from(seconds).map_err(|_| NotIso)?;
        Ok(if negative { -seconds } else { seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_round_trip() {
        for days in (-3_000_000..3_000_000).step_by(977) {
            assert_eq!(days_from_civil(civil_from_days(days)), days);
        }
    }

    #[test]
    fn dates() {
        let check =
            |text: &str, days: i64| assert_eq!(date(text.as_bytes()), Ok(Bounded::Finite(days)), "{text}");
        check("1970-01-01", 0);
        check("2024-02-29", 19_782);
        check("0001-01-01", -719_162);
        check("0001-12-31 BC", -719_163);
        check("4714-11-24 BC", -2_440_588);
        check("5874897-12-31", 2_145_042_905);
        assert_eq!(date(b"infinity"), Ok(Bounded::Infinity));
        assert_eq!(date(b"-infinity"), Ok(Bounded::NegativeInfinity));
        for text in ["", "2024-1-01", "2024-13-01", "24-01-01", "2024-01-01x", "01/02/2024"] {
            assert!(date(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(time(b"00:00:00"), Ok(0));
        assert_eq!(time(b"23:59:59.999999"), Ok(MICROS_PER_DAY - 1));
        assert_eq!(time(b"24:00:00"), Ok(MICROS_PER_DAY));
        assert_eq!(time(b"01:02:03.5"), Ok(3_723_500_000));
        assert!(time(b"24:00:01").is_err());
        assert_eq!(time_with_zone(b"10:00:00+02"), Ok((36_000_000_000, 7200)));
        assert_eq!(time_with_zone(b"10:00:00-15:59:59"), Ok((36_000_000_000, -57_599)));
    }

    #[test]
    fn timestamps() {
        let micros = |text: &str| match timestamp(text.as_bytes()) {
            Ok(Bounded::Finite(instant)) => instant.epoch_micros(),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(micros("2024-01-01 10:00:00.123456"), Some(1_704_103_200_123_456));
        assert_eq!(micros("0044-03-15 12:00:00 BC"), Some(-63_517_780_800_000_000));
        assert_eq!(micros("294276-12-31 23:59:59.999999"), None);
        let zoned = timestamp_with_zone(b"2024-01-01 01:00:00+02").unwrap();
        let expected = Instant { days: 19_722, micros: 23 * 3_600_000_000 };
        assert_eq!(zoned, Bounded::Finite(expected));
    }

    #[test]
    fn intervals() {
        let check = |text: &str, months, days, micros| {
            let expected = Bounded::Finite(Interval { months, days, micros });
            assert_eq!(interval(text.as_bytes()), Ok(expected), "{text}");
        };
        check("00:00:00", 0, 0, 0);
        check("1 year 2 mons 3 days 04:05:06.78", 14, 3, 14_706_780_000);
        check("-1 years -2 mons +3 days -04:05:06", -14, 3, -14_706_000_000);
        check("1 day", 0, 1, 0);
        check("123456:00:00", 0, 0, 444_441_600_000_000);
        assert!(interval(b"1 fortnight").is_err());
    }
}

//! Text as a pattern reads it: numbers may be out of range and carry over, text behind the pattern is ignored.

use std::time::{SystemTime, UNIX_EPOCH};

use connect::calendar::{date_of, days_of};

use super::{DateFormat, Item, MILLIS_PER_DAY, MILLIS_PER_HOUR, MILLIS_PER_MINUTE, MONTHS, WEEKDAYS};

/// Hours east of Greenwich of the zone names that Java knows and people write.
const ZONES: [(&str, i64); 22] = [
    ("UTC", 0),
    ("GMT", 0),
    ("UT", 0),
    ("WET", 0),
    ("WEST", 1),
    ("BST", 1),
    ("CET", 1),
    ("CEST", 2),
    ("MET", 1),
    ("EET", 2),
    ("EEST", 3),
    ("MSK", 3),
    ("EST", -5),
    ("EDT", -4),
    ("CST", -6),
    ("CDT", -5),
    ("MST", -7),
    ("MDT", -6),
    ("PST", -8),
    ("PDT", -7),
    ("JST", 9),
    ("HST", -10),
];

/// Two digits of a year mean a year from 80 years ago to 20 years ahead.
const CENTURY_BEFORE_YEARS: i64 = 80;

impl DateFormat {
    /// `None` where the text does not match.
    pub(crate) fn parse(&self, text: &str) -> Option<i64> {
        let mut fields = Fields::default();
        let mut rest = text;
        for (index, item) in self.items.iter().enumerate() {
            match item {
                Item::Literal(literal) => rest = rest.strip_prefix(literal.as_str())?,
                Item::Field { letter, count } => {
                    let bounded =
                        item.is_numeric() && self.items.get(index + 1).is_some_and(Item::is_numeric);
                    rest = fields.read(*letter, *count, bounded, rest)?;
                }
            }
        }
        fields.instant()
    }
}

struct Fields {
    before_christ: bool,
    year: i64,
    month: i64,
    day: i64,
    day_of_year: Option<i64>,
    hours: i64,
    /// Hours on a clock of twelve, and whether it is afternoon.
    half_day_hours: Option<i64>,
    afternoon: bool,
    minutes: i64,
    seconds: i64,
    millis: i64,
    offset_millis: i64,
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            before_christ: false,
            year: 1970,
            month: 1,
            day: 1,
            day_of_year: None,
            hours: 0,
            half_day_hours: None,
            afternoon: false,
            minutes: 0,
            seconds: 0,
            millis: 0,
            offset_millis: 0,
        }
    }
}

impl Fields {
    fn read<'a>(&mut self, letter: char, count: usize, bounded: bool, text: &'a str) -> Option<&'a str> {
        let text = text.trim_start_matches([' ', '\t']);
        match letter {
            'G' => {
                let (index, rest) = one_of(text, &["AD", "BC"])?;
                self.before_christ = index == 1;
                return Some(rest);
            }
            'M' | 'L' if count > 2 => {
                let (index, rest) = name(text, &MONTHS)?;
                self.month = index as i64 + 1;
                return Some(rest);
            }
            'E' => return name(text, &WEEKDAYS).map(|(_, rest)| rest),
            'a' => {
                let (index, rest) = one_of(text, &["AM", "PM"])?;
                self.afternoon = index == 1;
                return Some(rest);
            }
            'z' | 'Z' | 'X' => {
                let (offset, rest) = zone(text)?;
                self.offset_millis = offset;
                return Some(rest);
            }
            _ => {}
        }
        let (value, digits, rest) = number(text, bounded.then_some(count))?;
        match letter {
            'y' | 'Y' if count <= 2 && digits == 2 && value >= 0 => self.year = in_window(value),
            'y' | 'Y' => self.year = value,
            'M' | 'L' => self.month = value,
            'd' => self.day = value,
            'D' => self.day_of_year = Some(value),
            'H' => self.hours = value,
            'k' => self.hours = if value == 24 { 0 } else { value },
            'K' => self.half_day_hours = Some(value),
            'h' => self.half_day_hours = Some(if value == 12 { 0 } else { value }),
            'm' => self.minutes = value,
            's' => self.seconds = value,
            'S' if count > 3 => self.millis = fraction_millis(value, digits)?,
            'S' => self.millis = value,
            // Weeks and days of the week say nothing beside a day of the month.
            _ => {}
        }
        Some(rest)
    }

    fn instant(&self) -> Option<i64> {
        // Wider years would leave the range of 64-bit milliseconds.
        if self.year.abs() > 292_000_000 || self.month.abs() > 1_000_000 || self.day.abs() > 1_000_000_000 {
            return None;
        }
        let year = if self.before_christ { 1 - self.year } else { self.year };
        let days = match self.day_of_year {
            Some(day) => days_of(year, 1, 1).checked_add(day)?.checked_sub(1)?,
            None => days_of(year, self.month, self.day),
        };
        let hours = match self.half_day_hours {
            Some(hours) => hours.checked_add(if self.afternoon { 12 } else { 0 })?,
            None => self.hours,
        };
        days.checked_mul(MILLIS_PER_DAY)?
            .checked_add(hours.checked_mul(MILLIS_PER_HOUR)?)?
            .checked_add(self.minutes.checked_mul(MILLIS_PER_MINUTE)?)?
            .checked_add(self.seconds.checked_mul(1000)?)?
            .checked_add(self.millis)?
            .checked_sub(self.offset_millis)
    }
}

/// A whole number, how many digits it has, and what follows. A bounded number takes `limit` characters exactly.
fn number(text: &str, limit: Option<usize>) -> Option<(i64, usize, &str)> {
    let scope = match limit {
        Some(limit) => text.get(..limit)?,
        None => text,
    };
    let unsigned = scope.strip_prefix('-').unwrap_or(scope);
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let length = digits + scope.len() - unsigned.len();
    let value = if digits == 0 { None } else { scope[..length].parse().ok() };
    Some((value?, digits, &text[length..]))
}

/// `123456` microseconds are 123 milliseconds, `5` tenths are 500.
fn fraction_millis(value: i64, digits: usize) -> Option<i64> {
    let power = |digits: usize| 10_i64.checked_pow(u32::try_from(digits).ok()?);
    if digits <= 3 { value.checked_mul(power(3 - digits)?) } else { Some(value / power(digits - 3)?) }
}

fn in_window(two_digits: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 86_400);
    let start = date_of(i64::try_from(now).unwrap_or(0)).year - CENTURY_BEFORE_YEARS;
    let year = start - start.rem_euclid(100) + two_digits;
    if year < start { year + 100 } else { year }
}

/// The longest of the names, or of their first three letters, in any case.
fn name<'a>(text: &'a str, names: &[&str]) -> Option<(usize, &'a str)> {
    one_of(text, names).or_else(|| {
        let short: Vec<_> = names.iter().map(|name| &name[..3]).collect();
        one_of(text, &short)
    })
}

fn one_of<'a>(text: &'a str, names: &[&str]) -> Option<(usize, &'a str)> {
    names.iter().enumerate().find_map(|(index, name)| {
        let head = text.get(..name.len())?;
        head.eq_ignore_ascii_case(name).then(|| (index, &text[name.len()..]))
    })
}

/// `Z`, `+01:00`, `-0800`, `+01`, `GMT+1:00`, `PST`.
fn zone(text: &str) -> Option<(i64, &str)> {
    if let Some(rest) = text.strip_prefix('Z') {
        return Some((0, rest));
    }
    if text.starts_with(['+', '-']) {
        return offset(text);
    }
    if let Some(rest) = text.strip_prefix("GMT")
        && rest.starts_with(['+', '-'])
    {
        return offset(rest);
    }
    let length = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (word, rest) = text.split_at(length);
    let (_, hours) = ZONES.iter().find(|(known, _)| known.eq_ignore_ascii_case(word))?;
    Some((hours * MILLIS_PER_HOUR, rest))
}

fn offset(text: &str) -> Option<(i64, &str)> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let rest = &text[1..];
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (hours, minutes, rest) = match digits {
        4.. => (&rest[..2], &rest[2..4], &rest[4..]),
        1 | 2 => {
            let (hours, rest) = rest.split_at(digits);
            match rest.strip_prefix(':').filter(|rest| rest.len() >= 2 && rest.is_char_boundary(2)) {
                Some(minutes) => (hours, &minutes[..2], &minutes[2..]),
                None => (hours, "0", rest),
            }
        }
        _ => return None,
    };
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    Some((sign * (hours * MILLIS_PER_HOUR + minutes * MILLIS_PER_MINUTE), rest))
}

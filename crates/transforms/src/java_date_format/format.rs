//! An instant as a pattern prints it, in UTC.

use connect::calendar::{Date, date_of, days_of, weekday};

use super::{DateFormat, Item, MILLIS_PER_DAY, MONTHS, WEEKDAYS};

impl DateFormat {
    pub(crate) fn format(&self, millis: i64) -> String {
        let mut out = String::with_capacity(self.usual_length);
        let moment = Moment::new(millis);
        for item in &self.items {
            match item {
                Item::Literal(text) => out.push_str(text),
                Item::Field { letter, count } => moment.write(*letter, *count, &mut out),
            }
        }
        out
    }
}

struct Moment {
    days: i64,
    date: Date,
    /// Milliseconds of the day.
    millis: i64,
}

impl Moment {
    fn new(millis: i64) -> Self {
        let days = millis.div_euclid(MILLIS_PER_DAY);
        Self { days, date: date_of(days), millis: millis.rem_euclid(MILLIS_PER_DAY) }
    }

    fn write(&self, letter: char, count: usize, out: &mut String) {
        let hours = self.millis / 3_600_000;
        let number = |value: i64, out: &mut String| push_padded(value, count, out);
        match letter {
            'G' => out.push_str(if self.date.year > 0 { "AD" } else { "BC" }),
            'y' => write_year(self.era_year(self.date.year), count, out),
            'Y' => write_year(self.era_year(self.week_year()), count, out),
            'M' | 'L' => self.write_month(count, out),
            'd' => number(i64::from(self.date.day), out),
            'k' => number(if hours == 0 { 24 } else { hours }, out),
            'H' => number(hours, out),
            'K' => number(hours % 12, out),
            'h' => number(if hours % 12 == 0 { 12 } else { hours % 12 }, out),
            'm' => number(self.millis / 60_000 % 60, out),
            's' => number(self.millis / 1000 % 60, out),
            'S' if count > 3 => {
                push_padded(self.millis % 1000, 3, out);
                out.extend(std::iter::repeat_n('0', count - 3));
            }
            'S' => number(self.millis % 1000, out),
            'E' => {
                let name = WEEKDAYS[weekday(self.days)];
                out.push_str(if count >= 4 { name } else { &name[..3] });
            }
            'u' => number((self.days + 3).rem_euclid(7) + 1, out),
            'D' => number(self.day_of_year() + 1, out),
            'F' => number((i64::from(self.date.day) - 1) / 7 + 1, out),
            'w' => number(self.week(), out),
            'W' => {
                let first = self.days - i64::from(self.date.day) + 1;
                number((i64::from(self.date.day) - 1 + weekday(first) as i64) / 7 + 1, out);
            }
            'a' => out.push_str(if hours < 12 { "AM" } else { "PM" }),
            'z' => out.push_str(if count >= 4 { "Coordinated Universal Time" } else { "UTC" }),
            'Z' => out.push_str("+0000"),
            _ => out.push('Z'),
        }
    }

    fn write_month(&self, count: usize, out: &mut String) {
        let name = MONTHS[usize::from(self.date.month) - 1];
        match count {
            4.. => out.push_str(name),
            3 => out.push_str(&name[..3]),
            _ => push_padded(i64::from(self.date.month), count, out),
        }
    }

    fn era_year(&self, year: i64) -> i64 {
        if year > 0 { year } else { 1 - year }
    }

    fn day_of_year(&self) -> i64 {
        self.days - days_of(self.date.year, 1, 1)
    }

    /// Weeks begin on Sunday, and the first one is the one with the first of January.
    fn week(&self) -> i64 {
        if self.week_year() > self.date.year {
            return 1;
        }
        (self.day_of_year() + weekday(days_of(self.date.year, 1, 1)) as i64) / 7 + 1
    }

    fn week_year(&self) -> i64 {
        let next = days_of(self.date.year + 1, 1, 1);
        let week_start = next - weekday(next) as i64;
        self.date.year + i64::from(self.days >= week_start)
    }
}

fn write_year(year: i64, count: usize, out: &mut String) {
    if count == 2 { push_padded(year % 100, 2, out) } else { push_padded(year, count, out) }
}

/// A number of at least `count` digits.
fn push_padded(value: i64, count: usize, out: &mut String) {
    // Most fields have two digits, and formatting machinery costs more than all of them.
    if (0..100).contains(&value) && count == 2 {
        out.push(char::from(b'0' + (value / 10) as u8));
        return out.push(char::from(b'0' + (value % 10) as u8));
    }
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(value);
    out.extend(std::iter::repeat_n('0', count.saturating_sub(digits.len())));
    out.push_str(digits);
}

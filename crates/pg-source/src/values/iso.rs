//! Dates and times as ISO 8601 text, as Java's formatters write them.

use std::fmt::Write;

use connect::Text;
use pg::temporal::{Civil, Instant, civil_from_days};

/// `2024-01-02`; years beyond four digits have a sign, years before Christ a minus.
pub fn date(days: i64) -> String {
    let Civil { year, month, day } = civil_from_days(days);
    match year {
        0..=9999 => format!("{year:04}-{month:02}-{day:02}"),
        10_000.. => format!("+{year}-{month:02}-{day:02}"),
        _ => format!("-{:04}-{month:02}-{day:02}", year.unsigned_abs()),
    }
}

/// `01:02:03` with as many digits of the fraction as it needs.
pub fn time(micros: i64) -> String {
    let mut out = clock(micros);
    let fraction = micros % 1_000_000;
    if fraction != 0 {
        let digits = format!("{fraction:06}");
        // Writing to a string does not fail.
        let _ = write!(out, ".{}", digits.trim_end_matches('0'));
    }
    out
}

fn clock(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `2024-01-02T03:04:05.678900Z` with exactly so many digits of the fraction.
pub fn zoned(instant: Instant, digits: u8) -> Text {
    let date = civil_from_days(instant.days);
    let seconds = instant.micros / 1_000_000;
    if !(0..=9999).contains(&date.year) {
        return zoned_far(instant, digits);
    }
    // The usual case, without the formatting machinery: 27 bytes at most.
    let mut out = [0_u8; 27];
    let year = date.year as u32;
    two(&mut out[0..], year / 100);
    two(&mut out[2..], year % 100);
    out[4] = b'-';
    two(&mut out[5..], u32::from(date.month));
    out[7] = b'-';
    two(&mut out[8..], u32::from(date.day));
    out[10] = b'T';
    two(&mut out[11..], (seconds / 3600) as u32);
    out[13] = b':';
    two(&mut out[14..], (seconds / 60 % 60) as u32);
    out[16] = b':';
    two(&mut out[17..], (seconds % 60) as u32);
    let mut length = 19;
    if digits > 0 {
        out[19] = b'.';
        let micros = (instant.micros % 1_000_000) as u32;
        two(&mut out[20..], micros / 10_000);
        two(&mut out[22..], micros / 100 % 100);
        two(&mut out[24..], micros % 100);
        length = 20 + usize::from(digits.min(6));
    }
    out[length] = b'Z';
    Text::from(std::str::from_utf8(&out[..=length]).expect("digits are ASCII"))
}

fn two(out: &mut [u8], number: u32) {
    out[0] = b'0' + (number / 10) as u8;
    out[1] = b'0' + (number % 10) as u8;
}

#[cold]
fn zoned_far(instant: Instant, digits: u8) -> Text {
    let mut out = format!("{}T{}", date(instant.days), clock(instant.micros));
    if digits > 0 {
        let fraction = format!("{:06}", instant.micros % 1_000_000);
        let _ = write!(out, ".{}", &fraction[..usize::from(digits.min(6))]);
    }
    out.push('Z');
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        assert_eq!(date(19_782), "2024-02-29");
        assert_eq!(date(3_789_548), "+12345-06-07");
        assert_eq!(date(-735_160), "-0043-03-15");
        assert_eq!(time(3_723_500_000), "01:02:03.5");
        let instant = Instant { days: 19_782, micros: 3_723_456_780 };
        assert_eq!(&*zoned(instant, 6), "2024-02-29T01:02:03.456780Z");
        assert_eq!(&*zoned(instant, 3), "2024-02-29T01:02:03.456Z");
        assert_eq!(&*zoned(instant, 0), "2024-02-29T01:02:03Z");
        let far = Instant { days: 3_789_548, micros: 5 };
        assert_eq!(&*zoned(far, 6), "+12345-06-07T00:00:00.000005Z");
    }
}

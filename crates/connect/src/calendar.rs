//! The calendar of Java's `Date` and `GregorianCalendar`: Julian before 15 October 1582, Gregorian from then on.
//!
//! Days are counted from 1970-01-01. Years are astronomical: 0 is 1 BC.

/// 1582-10-15, the first Gregorian day.
const CUTOVER_DAYS: i64 = -141_427;
/// 1970-01-01 as a Julian day counted from 0000-03-01 of the Julian calendar.
const JULIAN_EPOCH_DAYS: i64 = 719_470;
const GREGORIAN_EPOCH_DAYS: i64 = 719_468;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    pub year: i64,
    pub month: u8,
    pub day: u8,
}

/// The date of a day.
pub fn date_of(days: i64) -> Date {
    let (year, day_of_year) = if days >= CUTOVER_DAYS {
        gregorian_year(days + GREGORIAN_EPOCH_DAYS)
    } else {
        let from_march = days + JULIAN_EPOCH_DAYS;
        let year = (4 * from_march + 3).div_euclid(1461);
        (year, from_march - (1461 * year).div_euclid(4))
    };
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = if month <= 2 { year + 1 } else { year };
    Date { year, month: month as u8, day: day as u8 }
}

/// Year from March and day of that year, of a day counted from 0000-03-01.
fn gregorian_year(from_march: i64) -> (i64, i64) {
    let era = from_march.div_euclid(146_097);
    let day_of_era = from_march.rem_euclid(146_097);
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    (year + era * 400, day_of_era - (365 * year + year / 4 - year / 100))
}

/// The day of a date. Months and days outside their range carry over, as Java's lenient calendar does.
pub fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = year + (month - 1).div_euclid(12);
    let month = (month - 1).rem_euclid(12) + 1;
    let (from_march_year, from_march_month) =
        if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * from_march_month + 2) / 5;
    let y = from_march_year;
    let gregorian = 365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + day_of_year + day
        - 1
        - GREGORIAN_EPOCH_DAYS;
    if gregorian >= CUTOVER_DAYS {
        return gregorian;
    }
    365 * y + y.div_euclid(4) + day_of_year + day - 1 - JULIAN_EPOCH_DAYS
}

/// Day of the week, 0 is Sunday.
pub fn weekday(days: i64) -> usize {
    (days + 4).rem_euclid(7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(days: i64, year: i64, month: u8, day: u8) {
        assert_eq!(date_of(days), Date { year, month, day });
        assert_eq!(days_of(year, i64::from(month), i64::from(day)), days);
    }

    #[test]
    fn both_calendars() {
        check(0, 1970, 1, 1);
        check(19_675, 2023, 11, 14);
        check(2_932_896, 9999, 12, 31);
        check(CUTOVER_DAYS, 1582, 10, 15);
        check(CUTOVER_DAYS - 1, 1582, 10, 4);
        // Day 1 of the proleptic Gregorian year 1 is the third of January in the Julian calendar.
        check(-719_162, 1, 1, 3);
        check(-719_164, 1, 1, 1);
        check(-719_165, 0, 12, 31);
    }

    #[test]
    fn every_day_has_its_date() {
        for days in (-1_000_000..1_000_000).step_by(97) {
            let date = date_of(days);
            assert_eq!(days_of(date.year, i64::from(date.month), i64::from(date.day)), days);
        }
    }

    #[test]
    fn lenient_dates_carry_over() {
        assert_eq!(days_of(2020, 13, 2), days_of(2021, 1, 2));
        assert_eq!(weekday(0), 4);
    }
}

//! `java.text.SimpleDateFormat` in UTC and English: formats an instant, and parses as leniently as Java does.
//!
//! One difference: a run of more than three `S` is a fraction of a second, not a number of milliseconds
//! (docs/compatibility.md).

mod format; // instant -> text
mod parse; // text -> instant

const LETTERS: &str = "GyMdkHmsSEDFwWahKzZYuXL";
pub(crate) const MILLIS_PER_DAY: i64 = 86_400_000;
const MILLIS_PER_HOUR: i64 = 3_600_000;
const MILLIS_PER_MINUTE: i64 = 60_000;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(crate) struct DateFormat {
    items: Vec<Item>,
    /// Of most texts, so that they fit into what is allocated for them.
    usual_length: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Literal(String),
    Field { letter: char, count: usize },
}

impl DateFormat {
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        let mut items: Vec<Item> = vec![];
        let mut rest = pattern.chars().peekable();
        while let Some(character) = rest.next() {
            match character {
                '\'' if rest.next_if_eq(&'\'').is_some() => push_literal(&mut items, '\''),
                '\'' => loop {
                    match rest.next() {
                        None => return Err("Unterminated quote".to_owned()),
                        Some('\'') if rest.next_if_eq(&'\'').is_some() => push_literal(&mut items, '\''),
                        Some('\'') => break,
                        Some(other) => push_literal(&mut items, other),
                    }
                },
                letter if letter.is_ascii_alphabetic() => {
                    if !LETTERS.contains(letter) {
                        return Err(format!("Illegal pattern character '{letter}'"));
                    }
                    let mut count = 1;
                    while rest.next_if_eq(&letter).is_some() {
                        count += 1;
                    }
                    items.push(Item::Field { letter, count });
                }
                other => push_literal(&mut items, other),
            }
        }
        let usual_length = items.iter().map(Item::usual_length).sum();
        Ok(Self { items, usual_length })
    }
}

fn push_literal(items: &mut Vec<Item>, character: char) {
    match items.last_mut() {
        Some(Item::Literal(text)) => text.push(character),
        _ => items.push(Item::Literal(character.to_string())),
    }
}

impl Item {
    fn usual_length(&self) -> usize {
        match self {
            Self::Literal(text) => text.len(),
            Self::Field { letter: 'y', count } if *count != 2 => (*count).max(4),
            Self::Field { letter: 'Z', .. } => 5,
            Self::Field { count, .. } => *count,
        }
    }

    /// Whether a number next to another number must end where the other begins.
    fn is_numeric(&self) -> bool {
        match self {
            Self::Field { letter: 'M' | 'L', count } => *count <= 2,
            Self::Field { letter, .. } => "ydkHmsSDFwWhKYu".contains(*letter),
            Self::Literal(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLIS: i64 = 1_483_425_001_864;

    fn check(pattern: &str, text: &str, millis: i64) {
        let format = DateFormat::new(pattern).unwrap();
        assert_eq!(format.format(millis), text, "{pattern}");
        assert_eq!(format.parse(text), Some(millis), "{pattern}");
    }

    #[test]
    fn both_ways() {
        check("yyyy-MM-dd HH:mm:ss.SSS", "2017-01-03 06:30:01.864", MILLIS);
        check("yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "2017-01-03T06:30:01.864Z", MILLIS);
        check("EEE, d MMM yyyy HH:mm:ss.SSS Z", "Tue, 3 Jan 2017 06:30:01.864 +0000", MILLIS);
        check("yyyyMMddHHmmssSSS", "20170103063001864", MILLIS);
        check("yyyy-MM-dd hh:mm:ss.SSS a", "2017-01-03 06:30:01.864 AM", MILLIS);
        check("yyyy-MM-dd HH:mm:ss.SSSSSS", "2017-01-03 06:30:01.864000", MILLIS);
        check("yyyy-MM-dd", "0001-01-03", -62_135_596_800_000);
        check("''yyyy''", "'1970'", 0);
    }

    #[test]
    fn lenient() {
        let parse = |pattern: &str, text: &str| DateFormat::new(pattern).unwrap().parse(text);
        assert_eq!(parse("yyyyMMdd", "20171345"), Some(1_518_566_400_000));
        assert_eq!(parse("yyyyMMdd", "2017010"), Some(1_483_142_400_000));
        assert_eq!(parse("yyyyMMdd", "bad"), None);
        assert_eq!(parse("yyyy-MM-dd", "2017-01-03 trailing"), Some(1_483_401_600_000));
        assert_eq!(
            parse("yyyy MM dd HH mm ss SSS z", "2017 01 03 06 30 01 864 PST"),
            Some(1_483_453_801_864)
        );
        assert!(DateFormat::new("QQQ").is_err());
        assert!(DateFormat::new("bad-format").is_err());
    }
}

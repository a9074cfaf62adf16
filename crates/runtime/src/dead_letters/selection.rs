//! Which dead letters are meant.

use std::str::FromStr;

use super::{At, DeadLetter, Group};

/// Offsets of one partition, both ends included: `12`, `0:12` or `0:12-40`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub first: At,
    pub last: i64,
}

impl FromStr for Range {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').map_or((text, None), |(first, last)| (first, Some(last)));
        let first: At = first.parse()?;
        let last = match last {
            None => first.offset,
            Some(last) => last.parse().map_err(|_| format!("\"{text}\" is no range of offsets"))?,
        };
        if last < first.offset {
            Err(format!("\"{text}\" ends before it begins"))
        } else {
            Ok(Self { first, last })
        }
    }
}

/// All that is given must hold; nothing given is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Any of these.
    pub at: Vec<Range>,
    /// Id of a group.
    pub group: Option<String>,
    pub stage: Option<String>,
    /// The exception's class, or the end of its name.
    pub exception: Option<String>,
    /// The topic that the record was read from.
    pub topic: Option<String>,
    /// In the exception's message.
    pub contains: Option<String>,
}

impl Selection {
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    pub fn has(&self, letter: &DeadLetter) -> bool {
        let is_at = |range: &Range| {
            range.first.partition == letter.at.partition
                && (range.first.offset..=range.last).contains(&letter.at.offset)
        };
        let of = |wanted: &Option<String>, test: &dyn Fn(&str) -> bool| wanted.as_deref().is_none_or(test);
        let context = letter.context.as_ref();
        (self.at.is_empty() || self.at.iter().any(is_at))
            && of(&self.group, &|id| Group::id_of(letter) == id)
            && of(&self.stage, &|stage| context.is_some_and(|c| c.stage.eq_ignore_ascii_case(stage)))
            && of(&self.exception, &|class| context.is_some_and(|c| c.exception.ends_with(class)))
            && of(&self.topic, &|topic| context.is_some_and(|c| c.topic == topic))
            && of(&self.contains, &|text| {
                context.and_then(|c| c.message.as_deref()).is_some_and(|message| message.contains(text))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::super::letter::tests::{context, letter};
    use super::*;

    #[test]
    fn all_that_is_given_must_hold() {
        let values =
            ["t", "0", "1", "c", "0", "TASK_PUT", "S", "a.b.DataException", "value 17", ""].map(Some);
        let letter = letter(12, &context(values));
        let has = |selection: Selection| selection.has(&letter);
        let text = |text: &str| Some(text.to_owned());
        assert!(has(Selection::default()));
        assert!(has(Selection {
            exception: text("DataException"),
            stage: text("task_put"),
            ..Default::default()
        }));
        assert!(!has(Selection { exception: text("DataException"), topic: text("u"), ..Default::default() }));
        assert!(has(Selection { contains: text("17"), ..Default::default() }));
        assert!(has(Selection { group: Some(Group::id_of(&letter)), ..Default::default() }));
        let at = |text: &str| Selection { at: vec![text.parse().expect("a range")], ..Default::default() };
        assert!(has(at("12")) && has(at("0:10-12")) && has(at("12-13")));
        assert!(!has(at("1:12")) && !has(at("13-20")));
        assert!("9-3".parse::<Range>().is_err() && "9-x".parse::<Range>().is_err());
    }
}

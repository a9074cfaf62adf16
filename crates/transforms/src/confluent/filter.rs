//! `Filter`: records included or excluded by a JSON path.

use connect::settings::{Definition, Importance, Properties, Validator, row};
use connect::{Record, TaskError, Transform, Verdict};

use crate::json_path::JsonPath;
use crate::options;
use crate::part::Part;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    Fail,
    Include,
    Exclude,
}

pub(crate) struct Filter {
    part: Part,
    path: JsonPath,
    /// What becomes of a record that the condition is true for.
    matching: Verdict,
    missing: Missing,
}

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row("filter.condition")
            .required()
            .importance(Importance::High)
            .check(options::checked!(check_path, "filter.condition"))
            .doc("JSON path that a record matches or not, with a filter such as $[?(@.type == 'gold')]."),
        row("filter.type")
            .required()
            .importance(Importance::High)
            .check(Validator::OneOfIgnoreCase(&["include", "exclude"]))
            .doc("Whether matching records are passed (include) or dropped (exclude)."),
        row("missing.or.null.behavior")
            .default("fail")
            .importance(Importance::Medium)
            .check(Validator::OneOfIgnoreCase(&["fail", "include", "exclude"]))
            .doc("What happens where the path leads nowhere or to a null."),
    ])
}

pub(super) fn check_path(option: &str, value: Option<&str>) -> Result<(), String> {
    match value.map(JsonPath::new) {
        Some(Err(error)) => Err(format!("Invalid value for configuration {option}: {error}")),
        _ => Ok(()),
    }
}

impl Filter {
    pub(crate) fn new(part: Part, properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&definition(), properties)?;
        let is = |option: &str, word: &str| {
            resolved.text(option).is_some_and(|text| text.eq_ignore_ascii_case(word))
        };
        let path = JsonPath::new(resolved.text("filter.condition").unwrap_or_default());
        let missing = "missing.or.null.behavior";
        Ok(Self {
            part,
            path: path.map_err(|error| vec![error])?,
            matching: if is("filter.type", "exclude") { Verdict::Drop } else { Verdict::Keep },
            missing: if is(missing, "include") {
                Missing::Include
            } else if is(missing, "exclude") {
                Missing::Exclude
            } else {
                Missing::Fail
            },
        })
    }
}

impl Transform for Filter {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let found = self.path.find(self.part.of(record))?;
        let matches = found.iter().any(|(_, value)| !value.is_null());
        match (matches, self.matching, self.missing) {
            (true, verdict, _) => Ok(verdict),
            // Within a filter a missing field is just no match.
            (false, Verdict::Keep, _) if self.path.has_filter() => Ok(Verdict::Drop),
            (false, Verdict::Drop, _) if self.path.has_filter() => Ok(Verdict::Keep),
            (false, _, Missing::Include) => Ok(Verdict::Keep),
            (false, _, Missing::Exclude) => Ok(Verdict::Drop),
            (false, _, Missing::Fail) => {
                Err(TaskError::reject("the path of filter.condition leads nowhere, or to a null"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use connect::Value;

    fn run(pairs: &[(&str, &str)]) -> Option<Verdict> {
        let properties = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let value = Value::Map(Box::new([(Value::text("type"), Value::text("gold"))]));
        let mut record = Record::source("t".into(), (None, Value::Null), (None, value));
        Filter::new(Part::Value, &properties).unwrap().apply(&mut record).ok()
    }

    #[test]
    fn conditions() {
        let gold = ("filter.condition", "$[?(@.type == 'gold')]");
        let tin = ("filter.condition", "$[?(@.type == 'tin')]");
        let (include, exclude) = (("filter.type", "include"), ("filter.type", "exclude"));
        assert_eq!(run(&[gold, include]), Some(Verdict::Keep));
        assert_eq!(run(&[gold, exclude]), Some(Verdict::Drop));
        assert_eq!(run(&[tin, include]), Some(Verdict::Drop));
        assert_eq!(run(&[tin, exclude]), Some(Verdict::Keep));
        let nothing = ("filter.condition", "$.nothing");
        assert_eq!(run(&[nothing, include]), None);
        assert_eq!(run(&[nothing, include, ("missing.or.null.behavior", "exclude")]), Some(Verdict::Drop));
        assert_eq!(run(&[("filter.condition", "$.type"), include]), Some(Verdict::Keep));
    }
}

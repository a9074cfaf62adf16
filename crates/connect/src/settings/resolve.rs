//! Properties and a table give values and errors; all errors are reported together.

use super::definition::{Definition, Kind, Row, Standing};
pub use super::parse::Setting;
use super::{Properties, parse};

/// One option's answer to `/validate`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConfigValue {
    pub name: String,
    /// As text, passwords hidden; `None` is null.
    pub value: Option<String>,
    pub recommended: Vec<String>,
    pub errors: Vec<String>,
    pub visible: bool,
}

/// A configuration seen through a table.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    values: Vec<(&'static str, Setting)>,
    answers: Vec<ConfigValue>,
    unknown: Vec<String>,
}

/// What Connect shows in place of a password.
pub const HIDDEN: &str = "[hidden]";

impl Definition {
    /// Parses, applies defaults and validates every row.
    pub fn resolve(&self, properties: &Properties) -> Resolved {
        let mut resolved = Resolved::default();
        for row in &self.rows {
            let (setting, answer) = resolve_row(row, properties);
            resolved.values.push((row.name, setting));
            resolved.answers.push(answer);
        }
        resolved.unknown = properties.keys().filter(|key| !self.knows(key)).cloned().collect();
        resolved
    }
}

fn resolve_row(row: &Row, properties: &Properties) -> (Setting, ConfigValue) {
    let given = std::iter::once(&row.name)
        .chain(row.aliases)
        .find_map(|name| properties.get(*name))
        .map(String::as_str);
    let text = given.or(row.default.as_deref());
    let mut errors = vec![];
    let mut setting = Setting::Null;
    match text {
        None if row.required => {
            errors
                .push(format!("Missing required configuration \"{}\" which has no default value.", row.name));
        }
        None => {}
        Some(text) => match parse::parse(row.name, row.kind, text) {
            Ok(parsed) => setting = parsed,
            Err(error) => errors.push(error),
        },
    }
    if errors.is_empty() {
        errors.extend(
            row.validators
                .iter()
                .filter_map(|validator| parse::check(row.name, *validator, text, &setting, properties).err()),
        );
    }
    if row.standing == Standing::Refused && given.is_some() && given.map(str::trim) != row.default.as_deref()
    {
        errors.push(format!(
            "The option \"{}\" changes data or delivery and is not available in this version: remove it, or keep \
             this connector where it is.",
            row.name
        ));
    }
    let value = match (&setting, row.kind) {
        (Setting::Null, _) => None,
        (_, Kind::Password) => Some(HIDDEN.to_owned()),
        (Setting::Boolean(flag), _) => Some(flag.to_string()),
        (Setting::Long(number), _) => Some(number.to_string()),
        (Setting::Double(number), _) => Some(format!("{number:?}")),
        (Setting::List(items), _) => Some(items.join(",")),
        (Setting::Text(text), _) => Some(text.clone()),
    };
    let recommended = row.recommended.iter().map(|&value| value.to_owned()).collect();
    (setting, ConfigValue { name: row.name.to_owned(), value, recommended, errors, visible: true })
}

impl Resolved {
    /// One answer per row, in the table's order.
    pub fn answers(&self) -> &[ConfigValue] {
        &self.answers
    }

    pub fn answers_mut(&mut self) -> &mut Vec<ConfigValue> {
        &mut self.answers
    }

    /// Adds an error to an option (checks across options, or with a database).
    pub fn error(&mut self, name: &str, message: impl Into<String>) {
        let message = message.into();
        match self.answers.iter_mut().find(|answer| answer.name == name) {
            Some(answer) => answer.errors.push(message),
            None => self.answers.push(ConfigValue {
                name: name.to_owned(),
                errors: vec![message],
                visible: true,
                ..ConfigValue::default()
            }),
        }
    }

    /// All errors, in the table's order.
    pub fn errors(&self) -> Vec<String> {
        self.answers.iter().flat_map(|answer| answer.errors.iter().cloned()).collect()
    }

    /// Keys that the table does not know: accepted, one warning each.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    fn get(&self, name: &str) -> &Setting {
        self.values
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, setting)| setting)
            .expect("only options of the table are asked for")
    }

    /// Text, `None` when null or given as something that did not parse.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Setting::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A number of any integer kind; 0 when null.
    pub fn long(&self, name: &str) -> i64 {
        match self.get(name) {
            Setting::Long(number) => *number,
            _ => 0,
        }
    }

    pub fn boolean(&self, name: &str) -> bool {
        matches!(self.get(name), Setting::Boolean(true))
    }

    pub fn double(&self, name: &str) -> f64 {
        match self.get(name) {
            Setting::Double(number) => *number,
            _ => 0.0,
        }
    }

    pub fn list(&self, name: &str) -> &[String] {
        match self.get(name) {
            Setting::List(items) => items,
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::definition::{Validator, row};
    use super::*;

    fn check(properties: &[(&str, &str)], expected: &[&str]) {
        let table = Definition::new(vec![
            row("slot.name").default("debezium").check(Validator::NonEmpty),
            row("tasks.max").int().default("1").check(Validator::AtLeast(1)),
            row("topic.prefix").required().aliases(&["database.server.name"]),
            row("database.password").password(),
            row("mask").standing(Standing::Refused),
        ]);
        let properties = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(table.resolve(&properties).errors(), expected);
    }

    #[test]
    fn kafka_texts() {
        check(&[("topic.prefix", "p")], &[]);
        check(&[("database.server.name", "p")], &[]);
        check(&[], &["Missing required configuration \"topic.prefix\" which has no default value."]);
        check(
            &[("topic.prefix", "p"), ("tasks.max", "x")],
            &["Invalid value x for configuration tasks.max: Not a number of type INT"],
        );
        check(
            &[("topic.prefix", "p"), ("tasks.max", "0")],
            &["Invalid value 0 for configuration tasks.max: Value must be at least 1"],
        );
    }
}

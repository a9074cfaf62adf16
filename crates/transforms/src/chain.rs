//! The transforms of one connector, in the order of its list, each behind its predicate.

use std::collections::HashSet;
use std::fmt;

use connect::settings::Properties;
use connect::{Fate, Record, TaskError, Transform, Verdict};

use crate::answers::negated_without_predicate;
use crate::catalog::{create, create_predicate, definition};
use crate::predicate::Predicate;

/// What is wrong with one option of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The option's full name (`transforms.unwrap.type`).
    pub option: String,
    pub message: String,
}

/// All that is wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index > 0 { "; " } else { "" };
            write!(formatter, "{separator}{}: {}", error.option, error.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl From<ConfigErrors> for TaskError {
    fn from(errors: ConfigErrors) -> Self {
        Self::new(Fate::Halt, "org.apache.kafka.common.config.ConfigException", errors.to_string())
    }
}

/// Applies transforms in order; a dropped record ends the chain.
#[derive(Default)]
pub struct Chain {
    links: Vec<Link>,
    /// Index of the link that failed last.
    failed: usize,
}

struct Link {
    class: String,
    transform: Box<dyn Transform>,
    condition: Option<Condition>,
}

struct Condition {
    predicate: Box<dyn Predicate>,
    negated: bool,
}

impl Chain {
    /// Reads `transforms`, `predicates` and their options from a connector's properties. All errors together.
    pub fn new(properties: &Properties) -> Result<Self, ConfigErrors> {
        let mut errors = vec![];
        let predicates = aliases(properties, "predicates", &mut errors);
        for alias in &predicates {
            // A predicate that nobody uses must be valid too.
            if let Err(problems) = predicate_of(properties, alias) {
                errors.extend(problems);
            }
        }
        let mut links = vec![];
        for alias in aliases(properties, "transforms", &mut errors) {
            match link(properties, &alias, &predicates) {
                Ok(link) => links.push(link),
                Err(problems) => errors.extend(problems),
            }
        }
        if errors.is_empty() { Ok(Self { links, failed: 0 }) } else { Err(ConfigErrors(errors)) }
    }

    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// An error leaves the record in an unspecified state.
    pub fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        for (index, link) in self.links.iter_mut().enumerate() {
            if link.condition.as_mut().is_some_and(|it| it.predicate.test(record) == it.negated) {
                continue;
            }
            match link.transform.apply(record) {
                Ok(Verdict::Keep) => {}
                Ok(Verdict::Drop) => return Ok(Verdict::Drop),
                Err(error) => {
                    self.failed = index;
                    return Err(error);
                }
            }
        }
        Ok(Verdict::Keep)
    }

    /// Class of the transform that returned the last error.
    pub fn failed_class(&self) -> &str {
        self.links.get(self.failed).map_or("", |link| &link.class)
    }
}

pub(crate) fn aliases(properties: &Properties, list: &str, errors: &mut Vec<ConfigError>) -> Vec<String> {
    let text = properties.get(list).map(String::as_str).unwrap_or_default();
    let names: Vec<String> =
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let mut seen = HashSet::new();
    if names.iter().any(|name| !seen.insert(name)) {
        errors.push(ConfigError {
            option: list.to_owned(),
            message: format!("Invalid value {text} for configuration {list}: Duplicate alias provided."),
        });
    }
    names
}

/// The options under `prefix`, without it.
pub(crate) fn under(properties: &Properties, prefix: &str) -> Properties {
    properties
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(prefix)?.to_owned(), value.clone())))
        .collect()
}

fn class_of(properties: &Properties, prefix: &str) -> Result<String, Vec<ConfigError>> {
    let option = format!("{prefix}type");
    match properties.get(&option) {
        Some(class) => Ok(class.trim().to_owned()),
        None => Err(vec![ConfigError {
            message: format!("Missing required configuration \"{option}\" which has no default value."),
            option,
        }]),
    }
}

fn under_option(option: &str, messages: Vec<String>) -> Vec<ConfigError> {
    messages.into_iter().map(|message| ConfigError { option: option.to_owned(), message }).collect()
}

/// What is wrong with an alias, each at the option that it is about; what is about several is said at the class.
fn of_class(prefix: &str, class: &str, own: &Properties, messages: Vec<String>) -> Vec<ConfigError> {
    let answers =
        definition(class).map(|options| options.resolve(own).answers().to_vec()).unwrap_or_default();
    let place = |message: &String| {
        answers
            .iter()
            .find(|answer| answer.errors.contains(message))
            .map_or("type", |answer| answer.name.as_str())
    };
    let error = |message: String| ConfigError { option: format!("{prefix}{}", place(&message)), message };
    messages.into_iter().map(error).collect()
}

fn predicate_of(properties: &Properties, alias: &str) -> Result<Box<dyn Predicate>, Vec<ConfigError>> {
    let prefix = format!("predicates.{alias}.");
    let class = class_of(properties, &prefix)?;
    let own = under(properties, &prefix);
    create_predicate(&class, &own).map_err(|messages| of_class(&prefix, &class, &own, messages))
}

fn link(properties: &Properties, alias: &str, predicates: &[String]) -> Result<Link, Vec<ConfigError>> {
    let prefix = format!("transforms.{alias}.");
    let class = class_of(properties, &prefix)?;
    let own = under(properties, &prefix);
    let transform = create(&class, &own).map_err(|messages| of_class(&prefix, &class, &own, messages))?;
    let negated = match own.get("negate").map(|text| text.trim().to_ascii_lowercase()).as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => {
            let option = format!("{prefix}negate");
            let message = format!(
                "Invalid value {other} for configuration {option}: Expected value to be either true or false"
            );
            return Err(vec![ConfigError { option, message }]);
        }
    };
    if own.contains_key("negate") && !own.contains_key("predicate") {
        return Err(under_option(&format!("{prefix}type"), vec![negated_without_predicate(&prefix)]));
    }
    let Some(name) = own.get("predicate").map(|name| name.trim()).filter(|name| !name.is_empty()) else {
        return Ok(Link { class, transform, condition: None });
    };
    if !predicates.iter().any(|alias| alias == name) {
        let option = format!("{prefix}predicate");
        let message = format!("Invalid value {name} for configuration {option}: not found in 'predicates'");
        return Err(vec![ConfigError { option, message }]);
    }
    let condition = Condition { predicate: predicate_of(properties, name)?, negated };
    Ok(Link { class, transform, condition: Some(condition) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use connect::Value;

    fn properties(pairs: &[(&str, &str)]) -> Properties {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn route(pairs: &[(&str, &str)], topic: &str, value: Value) -> String {
        let mut chain = Chain::new(&properties(pairs)).unwrap();
        let mut record = Record::source(topic.into(), (None, Value::Null), (None, value));
        chain.apply(&mut record).unwrap();
        record.topic.to_string()
    }

    const ROUTE: [(&str, &str); 4] = [
        ("transforms", "route"),
        ("transforms.route.type", "org.apache.kafka.connect.transforms.RegexRouter"),
        ("transforms.route.regex", "([^.]+)\\.([^.]+)\\.([^.]+)"),
        ("transforms.route.replacement", "$3"),
    ];

    #[test]
    fn a_predicate_and_its_negation() {
        let predicate = [
            ("transforms.route.predicate", "gone"),
            ("predicates", "gone"),
            ("predicates.gone.type", "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone"),
        ];
        let with = [&ROUTE[..], &predicate[..]].concat();
        assert_eq!(route(&with, "p.public.users", Value::Null), "users");
        assert_eq!(route(&with, "p.public.users", Value::Boolean(true)), "p.public.users");
        let negated = [&with[..], &[("transforms.route.negate", "true")]].concat();
        assert_eq!(route(&negated, "p.public.users", Value::Null), "p.public.users");
        assert_eq!(route(&negated, "p.public.users", Value::Boolean(true)), "users");
    }

    #[test]
    fn an_unknown_class_is_named() {
        let errors = Chain::new(&properties(&[("transforms", "x"), ("transforms.x.type", "com.acme.Nope")]));
        let errors = errors.err().unwrap().0;
        assert_eq!(errors[0].option, "transforms.x.type");
        assert!(errors[0].message.contains("com.acme.Nope"));
    }
}

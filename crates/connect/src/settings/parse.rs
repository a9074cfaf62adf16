//! Text to value, with the error texts of Kafka's `ConfigDef`.

use super::Properties;
use super::definition::{Kind, Validator};

/// A parsed value.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    Null,
    Boolean(bool),
    Text(String),
    Long(i64),
    Double(f64),
    List(Vec<String>),
}

/// Parses `text` as `kind`.
///
/// # Errors
/// The text of Kafka's `ConfigException`, for `name`.
pub fn parse(name: &str, kind: Kind, text: &str) -> Result<Setting, String> {
    let trimmed = text.trim();
    let invalid = |why: &str| format!("Invalid value {text} for configuration {name}: {why}");
    let integer = |bits: u32, type_name: &str| {
        let limit = 1_i128 << (bits - 1);
        trimmed
            .parse::<i64>()
            .ok()
            .filter(|n| (-limit..limit).contains(&i128::from(*n)))
            .map(Setting::Long)
            .ok_or_else(|| invalid(&format!("Not a number of type {type_name}")))
    };
    match kind {
        Kind::Boolean if trimmed.eq_ignore_ascii_case("true") => Ok(Setting::Boolean(true)),
        Kind::Boolean if trimmed.eq_ignore_ascii_case("false") => Ok(Setting::Boolean(false)),
        Kind::Boolean => Err(invalid("Expected value to be either true or false")),
        Kind::Int => integer(32, "INT"),
        Kind::Short => integer(16, "SHORT"),
        Kind::Long => integer(64, "LONG"),
        Kind::Double => {
            trimmed.parse().map(Setting::Double).map_err(|_| invalid("Not a number of type DOUBLE"))
        }
        Kind::List if trimmed.is_empty() => Ok(Setting::List(vec![])),
        Kind::List => Ok(Setting::List(trimmed.split(',').map(|item| item.trim().to_owned()).collect())),
        Kind::Password => Ok(Setting::Text(text.to_owned())),
        Kind::String | Kind::Class => Ok(Setting::Text(trimmed.to_owned())),
    }
}

/// Runs one validator.
///
/// # Errors
/// The text that `/validate` shows.
pub fn check(
    name: &str,
    validator: Validator,
    text: Option<&str>,
    setting: &Setting,
    properties: &Properties,
) -> Result<(), String> {
    let shown = text.unwrap_or("null");
    let invalid = |why: String| Err(format!("Invalid value {shown} for configuration {name}: {why}"));
    let number = match setting {
        Setting::Long(n) => *n as f64,
        Setting::Double(n) => *n,
        _ => 0.0,
    };
    match validator {
        Validator::OneOf(allowed) if text.is_none_or(|text| !allowed.contains(&text.trim())) => {
            invalid(format!("String must be one of: {}", allowed.join(", ")))
        }
        Validator::OneOfIgnoreCase(allowed)
            if text.is_none_or(|text| !allowed.iter().any(|one| one.eq_ignore_ascii_case(text.trim()))) =>
        {
            invalid(format!("String must be one of (case insensitive): {}", allowed.join(", ")))
        }
        Validator::AtLeast(low) if number < low as f64 => invalid(format!("Value must be at least {low}")),
        Validator::Between(low, _) if number < low as f64 => invalid(format!("Value must be at least {low}")),
        Validator::Between(_, high) if number > high as f64 => {
            invalid(format!("Value must be no more than {high}"))
        }
        Validator::NonEmpty if text.is_some_and(|text| text.trim().is_empty()) => {
            invalid("String must be non-empty".to_owned())
        }
        Validator::Check(check) => check(text, properties),
        _ => Ok(()),
    }
}

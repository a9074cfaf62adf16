//! What the settings of several transforms share.

use connect::settings::{Definition, Properties, Resolved};

use crate::java_regex::Pattern;

/// Kafka's list of at least one name, none of them empty.
pub(crate) fn names(option: &str, value: Option<&str>) -> Result<(), String> {
    let Some(text) = value else {
        return Err(format!("Configuration '{option}' values must not be null."));
    };
    if text.trim().is_empty() {
        return Err(format!(
            "Configuration '{option}' must not be empty. Valid values include: any non-empty value"
        ));
    }
    if text.split(',').any(|item| item.trim().is_empty()) {
        return Err(format!("Configuration '{option}' values must not be empty."));
    }
    Ok(())
}

/// A check of an option as the tables take it, which have no room for its name.
macro_rules! checked {
    ($check:path, $option:literal) => {
        connect::settings::Validator::Check(|value, _| $check($option, value))
    };
}
pub(crate) use checked;

/// All options of a transform, or everything that is wrong with them.
pub(crate) fn resolve(definition: &Definition, properties: &Properties) -> Result<Resolved, Vec<String>> {
    let resolved = definition.resolve(properties);
    match resolved.errors() {
        errors if errors.is_empty() => Ok(resolved),
        errors => Err(errors),
    }
}

/// A text that is given and not empty.
pub(crate) fn given(resolved: &Resolved, name: &str) -> Option<Box<str>> {
    resolved.text(name).filter(|text| !text.is_empty()).map(Box::from)
}

/// A Java pattern.
pub(crate) fn pattern(option: &str, value: Option<&str>) -> Result<(), String> {
    match value {
        Some(text) => Pattern::new(text).map(drop).map_err(|error| {
            format!("Invalid value {text} for configuration {option}: Invalid regex: {error}")
        }),
        None => Ok(()),
    }
}

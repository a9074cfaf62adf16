//! Paths to fields: a plain name (V1), or steps with dots and backticks (V2, KIP-821).

use connect::settings::{Importance, Properties, Resolved, Row, Validator, row};
use connect::{Schema, Value};

use crate::nulls::Nulls;
use crate::shape;

const VERSION: &str = "field.syntax.version";

pub(crate) struct FieldPath {
    text: String,
    steps: Vec<String>,
}

/// A path in a struct's schema.
pub(crate) struct Place {
    /// Index of each step, and what a null there becomes.
    steps: Vec<(usize, Option<Value>)>,
    pub schema: Schema,
}

pub(crate) fn version_row() -> Row {
    row(VERSION)
        .default("V1")
        .importance(Importance::High)
        .check(Validator::OneOfIgnoreCase(&["V1", "V2"]))
        .doc(
            "How fields are named: V1 by a name at the top level; V2 by a path with dots into nested structs and maps, where a name that itself has dots stands between backticks.",
        )
}

/// Checks a path by the version that stands beside it.
pub(crate) fn check(value: Option<&str>, properties: &Properties) -> Result<(), String> {
    let is_v2 = properties.get(VERSION).is_some_and(|version| version.trim().eq_ignore_ascii_case("V2"));
    if is_v2 { steps_of(value.unwrap_or_default()).map(drop) } else { Ok(()) }
}

impl FieldPath {
    pub(crate) fn new(text: &str, resolved: &Resolved) -> Result<Self, String> {
        let is_v2 = resolved.text(VERSION).is_some_and(|version| version.eq_ignore_ascii_case("V2"));
        let steps = if is_v2 { steps_of(text)? } else { vec![text.to_owned()] };
        Ok(Self { text: text.to_owned(), steps })
    }

    /// Where it leads in data with this schema.
    pub(crate) fn find(&self, schema: &Schema, nulls: Nulls) -> Result<Place, String> {
        let unknown = || format!("Unknown field: {}", self.text);
        let mut place = Place { steps: vec![], schema: schema.clone() };
        for step in &self.steps {
            let index = place.schema.field_index(step).ok_or_else(unknown)?;
            let inner = place.schema.fields()[index].schema.clone();
            place.steps.push((index, nulls.default_of(&inner).cloned()));
            place.schema = inner;
        }
        Ok(place)
    }

    /// The value in schemaless data; null where the path leads nowhere.
    pub(crate) fn take(&self, mut value: Value) -> Value {
        for step in &self.steps {
            let Value::Map(entries) = value else { return Value::Null };
            value = entries
                .into_iter()
                .find(|(key, _)| key.as_str() == Some(step))
                .map(|(_, value)| value)
                .unwrap_or_default();
        }
        value
    }
}

impl Place {
    pub(crate) fn take(&self, mut value: Value) -> Value {
        for (index, default) in &self.steps {
            let Value::Struct(mut fields) = value else { return Value::Null };
            value = std::mem::take(&mut fields[*index]);
            if let (Value::Null, Some(default)) = (&value, default) {
                value = default.clone();
            }
        }
        value
    }
}

pub(crate) const EXTRACTION: &str = "field extraction";

/// Schemaless data must be a map.
pub(crate) fn require_map(value: &mut Value) -> Result<(), connect::TaskError> {
    shape::entries_of(value, EXTRACTION).map(drop)
}

fn steps_of(path: &str) -> Result<Vec<String>, String> {
    let mut steps = vec![];
    let mut rest = path;
    while !rest.is_empty() {
        let (step, behind) = match rest.strip_prefix('`') {
            Some(inside) => wrapped(inside).ok_or_else(|| incomplete(path, path.len() - rest.len()))?,
            None => match rest.split_once('.') {
                Some((step, behind)) => (step.to_owned(), behind),
                None => (rest.to_owned(), ""),
            },
        };
        steps.push(step);
        rest = behind;
    }
    if path.is_empty() || (path.ends_with('.') && !path.ends_with("`.")) {
        steps.push(String::new());
    }
    Ok(steps)
}

/// A step behind its opening backtick: it ends at one that a dot or the end follows, and no backslash precedes.
fn wrapped(text: &str) -> Option<(String, &str)> {
    let mut step = String::new();
    let mut rest = text;
    loop {
        let (inside, behind) = rest.split_once('`')?;
        let at_end = behind.is_empty() || behind.starts_with('.');
        match inside.strip_suffix('\\') {
            Some(_) if behind.is_empty() => return None,
            // Only a backtick that would close the step needs its backslash.
            Some(before) if at_end => step.push_str(before),
            _ if at_end => {
                step.push_str(inside);
                return Some((step, behind.strip_prefix('.').unwrap_or(behind)));
            }
            _ => step.push_str(inside),
        }
        step.push('`');
        rest = behind;
    }
}

fn incomplete(path: &str, position: usize) -> String {
    format!(
        "Incomplete backtick pair in path: [{path}], consider adding a backslash before backtick at position \
         {position} to escape it"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: &[&str]) {
        assert_eq!(steps_of(path).unwrap(), expected, "{path}");
    }

    #[test]
    fn steps() {
        check("a", &["a"]);
        check("a.b.c", &["a", "b", "c"]);
        check("`a.b`.c", &["a.b", "c"]);
        check("a.`b.c`", &["a", "b.c"]);
        check("`a`b`", &["a`b"]);
        check("`a\\`.b`", &["a`.b"]);
        check("", &[""]);
        check("a.", &["a", ""]);
        assert!(steps_of("`a.b").unwrap_err().contains("position 0"));
        assert!(steps_of("x.`a").unwrap_err().contains("position 2"));
    }
}

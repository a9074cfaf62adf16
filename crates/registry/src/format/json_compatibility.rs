//! Whether everything that one JSON Schema allows is allowed by another, by Confluent's rules.
//!
//! The rules compare schemas, not sets of values: what they cannot prove is a change and is refused. Most turn on the
//! *content model* of an object: open (anything may stand beside the known properties), closed, or partially open.

use std::collections::HashSet;

use registry_client::schemas::{JsonSchema, Place};
use serde_json::Value as Json;

use super::Reader;

/// Deeper schemas are not compared further; a reference to itself is met long before.
const DEPTH_MAX: usize = 200;

/// Problems in Confluent's form; empty when `new` reads what `old` allows.
pub(super) fn check(new: &JsonSchema, old: &JsonSchema, reader: Reader) -> Vec<String> {
    let mut comparison = Comparison { reader, problems: vec![], seen: HashSet::new(), depth: 0 };
    comparison.schemas(new.place(), old.place(), "#");
    comparison.problems
}

struct Comparison {
    reader: Reader,
    problems: Vec<String>,
    /// Pairs that were or are being compared, by address: schemas may contain themselves.
    seen: HashSet<(usize, usize)>,
    depth: usize,
}

/// What may stand beside the known properties of an object, or behind the known items of an array.
#[derive(Clone, Copy)]
enum Content<'a> {
    Open,
    Closed,
    Partial(Place<'a>),
}

/// Keywords that limit a number, the kind of change that narrows, and whether more is wider.
const UPPER: [(&str, &str); 5] = [
    ("maxLength", "MAX_LENGTH"),
    ("maximum", "MAXIMUM"),
    ("exclusiveMaximum", "EXCLUSIVE_MAXIMUM"),
    ("maxProperties", "MAX_PROPERTIES"),
    ("maxItems", "MAX_ITEMS"),
];
const LOWER: [(&str, &str); 5] = [
    ("minLength", "MIN_LENGTH"),
    ("minimum", "MINIMUM"),
    ("exclusiveMinimum", "EXCLUSIVE_MINIMUM"),
    ("minProperties", "MIN_PROPERTIES"),
    ("minItems", "MIN_ITEMS"),
];

impl Comparison {
    fn problem(&mut self, kind: &str, path: &str) {
        let (reader, writer) = self.reader.words();
        self.problems.push(format!(
            "{{errorType:'{kind}', description:'the {reader} schema at path \"{path}\" refuses what the {writer} \
             schema allows'}}"
        ));
    }

    /// Whether `new` reads `old`, without a word about it.
    fn reads(&mut self, new: Place<'_>, old: Place<'_>) -> bool {
        let seen = self.seen.clone();
        let before = std::mem::take(&mut self.problems);
        self.schemas(new, old, "");
        let found = std::mem::replace(&mut self.problems, before);
        self.seen = seen;
        found.is_empty()
    }

    fn schemas(&mut self, new: Place<'_>, old: Place<'_>, path: &str) {
        let (new, old) = (new.resolved(), old.resolved());
        let pair = (std::ptr::from_ref(new.node) as usize, std::ptr::from_ref(old.node) as usize);
        if !self.seen.insert(pair) || self.depth > DEPTH_MAX || allows_all(new.node) {
            return;
        }
        if *old.node == Json::Bool(false) {
            return;
        }
        if *new.node == Json::Bool(false) || allows_all(old.node) {
            return self.problem("TYPE_NARROWED", path);
        }
        self.depth += 1;
        if !self.combined(new, old, path) && self.types(new, old, path) {
            self.values(new, old, path);
            self.limits(new, old, path);
            self.objects(new, old, path);
            self.arrays(new, old, path);
        }
        self.depth -= 1;
    }

    /// Sums and products; false where neither side has one.
    fn combined(&mut self, new: Place<'_>, old: Place<'_>, path: &str) -> bool {
        if let Some(branches) = sum(old) {
            for branch in branches {
                if !self.reads(new, branch) {
                    self.problem("SUM_TYPE_NARROWED", path);
                    return true;
                }
            }
            return true;
        }
        if let Some(branches) = sum(new) {
            if !branches.into_iter().any(|branch| self.reads(branch, old)) {
                self.problem("TYPE_NARROWED", path);
            }
            return true;
        }
        match (product(new), product(old)) {
            (None, None) => false,
            (Some(new), old_factors) => {
                let old_factors = old_factors.unwrap_or_else(|| vec![old]);
                let covered =
                    new.into_iter().all(|factor| old_factors.iter().any(|old| self.reads(factor, *old)));
                if !covered {
                    self.problem("PRODUCT_TYPE_EXTENDED", path);
                }
                true
            }
            (None, Some(old)) => {
                if !old.into_iter().any(|factor| self.reads(new, factor)) {
                    self.problem("COMBINED_TYPE_SUBSCHEMAS_CHANGED", path);
                }
                true
            }
        }
    }

    /// False where the types do not fit, and nothing else need be compared.
    fn types(&mut self, new: Place<'_>, old: Place<'_>, path: &str) -> bool {
        let (Some(wanted), found) = (types(new.node), types(old.node)) else { return true };
        let fits = |word: &str| wanted.iter().any(|it| *it == word || (*it == "number" && word == "integer"));
        let problem = match found {
            None => Some("TYPE_NARROWED"),
            Some(found) if found.iter().all(|word| fits(word)) => None,
            Some(found) if found.iter().any(|word| fits(word)) => Some("TYPE_NARROWED"),
            Some(_) => Some("TYPE_CHANGED"),
        };
        if let Some(kind) = problem {
            self.problem(kind, path);
        }
        problem.is_none()
    }

    /// `enum`, `const` and `not`.
    fn values(&mut self, new: Place<'_>, old: Place<'_>, path: &str) {
        if let Some(allowed) = enumerated(new.node) {
            match enumerated(old.node) {
                Some(found) if found.iter().all(|value| allowed.contains(value)) => {}
                Some(_) => self.problem("ENUM_ARRAY_NARROWED", &format!("{path}/enum")),
                None => self.problem("TYPE_NARROWED", path),
            }
        }
        if let Some(refused) = new.get("not")
            && old.get("not") != Some(refused)
        {
            // What is refused may only shrink: the old one must cover the new one.
            let shrank = old.get("not").is_some_and(|was| self.reads(old.part(was), new.part(refused)));
            if !shrank {
                self.problem("NOT_TYPE_EXTENDED", &format!("{path}/not"));
            }
        }
    }

    fn limits(&mut self, new: Place<'_>, old: Place<'_>, path: &str) {
        let mut narrowed = |keyword: &str, kind: &str, is_narrower: fn(f64, f64) -> bool| {
            let number = |place: Place<'_>| place.get(keyword).and_then(Json::as_f64);
            let Some(now) = number(new) else { return };
            let path = format!("{path}/{keyword}");
            match number(old) {
                None => self.problem(&format!("{kind}_ADDED"), &path),
                Some(was) if is_narrower(now, was) => self.problem(&format!("{kind}_NARROWED"), &path),
                Some(_) => {}
            }
        };
        UPPER.iter().for_each(|(keyword, kind)| narrowed(keyword, kind, |now, was| now < was));
        LOWER.iter().for_each(|(keyword, kind)| narrowed(keyword, kind, |now, was| now > was));
        // A multiple of 6 is a multiple of 3.
        narrowed("multipleOf", "MULTIPLE_OF", |now, was| now != 0.0 && (was / now).fract() != 0.0);
        if let Some(pattern) = new.get("pattern")
            && old.get("pattern") != Some(pattern)
        {
            let kind = if old.get("pattern").is_some() { "PATTERN_CHANGED" } else { "PATTERN_ADDED" };
            self.problem(kind, &format!("{path}/pattern"));
        }
        if new.get("uniqueItems") == Some(&Json::Bool(true))
            && old.get("uniqueItems") != Some(&Json::Bool(true))
        {
            self.problem("UNIQUE_ITEMS_ADDED", &format!("{path}/uniqueItems"));
        }
    }

    fn objects(&mut self, new: Place<'_>, old: Place<'_>, path: &str) {
        if !is_kind(new.node, "object") && !is_kind(old.node, "object") {
            return;
        }
        let (wanted, found) = (content(new, "additionalProperties"), content(old, "additionalProperties"));
        self.contents(wanted, found, "ADDITIONAL_PROPERTIES", &format!("{path}/additionalProperties"));
        for (name, part) in members(old, "properties") {
            let path = format!("{path}/properties/{name}");
            match property(new, name) {
                Some(now) => self.schemas(now, old.part(part), &path),
                None => self.removed(wanted, new, name, old.part(part), &path),
            }
        }
        for (name, part) in members(new, "properties") {
            let path = format!("{path}/properties/{name}");
            match property(old, name) {
                Some(_)
                    if is_required(new, name) && !is_required(old, name) && part.get("default").is_none() =>
                {
                    self.problem("REQUIRED_ATTRIBUTE_ADDED", &path);
                }
                Some(_) => {}
                None => self.added(found, old, name, (new, part), &path),
            }
        }
        for keyword in ["dependencies", "dependentRequired", "dependentSchemas"] {
            for (name, part) in members(new, keyword) {
                if old.get(keyword).and_then(|was| was.get(name)) != Some(part) {
                    self.problem("DEPENDENCY_ADDED", &format!("{path}/{keyword}/{name}"));
                }
            }
        }
    }

    fn contents(&mut self, new: Content<'_>, old: Content<'_>, kind: &str, path: &str) {
        match (new, old) {
            (Content::Open, _) | (_, Content::Closed) => {}
            (Content::Closed, _) => self.problem(&format!("{kind}_REMOVED"), path),
            (Content::Partial(_), Content::Open) => self.problem(&format!("{kind}_NARROWED"), path),
            (Content::Partial(new), Content::Partial(old)) => self.schemas(new, old, path),
        }
    }

    /// A property that only the writer has.
    fn removed(&mut self, content: Content<'_>, new: Place<'_>, name: &str, old: Place<'_>, path: &str) {
        let by_pattern = pattern_property(new, name);
        match (by_pattern, content) {
            _ if *old.node == Json::Bool(false) => {}
            (Some(pattern), _) | (None, Content::Partial(pattern)) => {
                if !self.reads(pattern, old) {
                    self.problem("PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", path);
                }
            }
            (None, Content::Open) => {}
            (None, Content::Closed) => self.problem("PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL", path),
        }
    }

    /// A property that only the reader has.
    fn added<'a>(
        &mut self,
        content: Content<'_>,
        old: Place<'_>,
        name: &str,
        (new, part): (Place<'a>, &'a Json),
        path: &str,
    ) {
        let place = new.part(part);
        let by_pattern = pattern_property(old, name);
        match (by_pattern, content) {
            _ if allows_all(part) => {}
            (Some(pattern), _) | (None, Content::Partial(pattern)) => {
                if !self.reads(place, pattern) {
                    self.problem("PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", path);
                }
            }
            (None, Content::Open) => return self.problem("PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL", path),
            (None, Content::Closed) => {}
        }
        if is_required(new, name) && part.get("default").is_none() {
            self.problem("REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL", path);
        }
    }

    fn arrays(&mut self, new: Place<'_>, old: Place<'_>, path: &str) {
        if !is_kind(new.node, "array") && !is_kind(old.node, "array") {
            return;
        }
        let (new_items, new_rest) = items(new);
        let (old_items, old_rest) = items(old);
        for (index, (now, was)) in new_items.iter().zip(&old_items).enumerate() {
            self.schemas(*now, *was, &format!("{path}/items/{index}"));
        }
        for (index, now) in new_items.iter().enumerate().skip(old_items.len()) {
            let path = format!("{path}/items/{index}");
            match old_rest {
                _ if allows_all(now.node) => {}
                Content::Open => self.problem("ITEM_ADDED_TO_OPEN_CONTENT_MODEL", &path),
                Content::Closed => {}
                Content::Partial(was) => self.schemas(*now, was, &path),
            }
        }
        for (index, was) in old_items.iter().enumerate().skip(new_items.len()) {
            let path = format!("{path}/items/{index}");
            match new_rest {
                Content::Open => {}
                Content::Closed => self.problem("ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL", &path),
                Content::Partial(now) => self.schemas(now, *was, &path),
            }
        }
        self.contents(new_rest, old_rest, "ADDITIONAL_ITEMS", &format!("{path}/items"));
    }
}

/// Words that say something about a schema and nothing about data.
fn allows_all(node: &Json) -> bool {
    const SILENT: [&str; 9] =
        ["$schema", "$id", "id", "title", "description", "default", "examples", "definitions", "$comment"];
    match node {
        Json::Bool(flag) => *flag,
        Json::Object(members) => members
            .keys()
            .all(|key| SILENT.contains(&key.as_str()) || key == "$defs" || key.starts_with("connect.")),
        _ => false,
    }
}

/// The branches of `oneOf` or `anyOf`; several types are a sum too where the words differ by type.
fn sum(place: Place<'_>) -> Option<Vec<Place<'_>>> {
    let branches = place.get("oneOf").or_else(|| place.get("anyOf"))?.as_array()?;
    Some(branches.iter().map(|branch| place.part(branch)).collect())
}

fn product(place: Place<'_>) -> Option<Vec<Place<'_>>> {
    let factors = place.get("allOf")?.as_array()?;
    Some(factors.iter().map(|factor| place.part(factor)).collect())
}

/// The types that a schema names, or that its words speak of.
fn types(node: &Json) -> Option<Vec<&str>> {
    match node.get("type") {
        Some(Json::String(word)) => Some(vec![word]),
        Some(Json::Array(words)) => Some(words.iter().filter_map(Json::as_str).collect()),
        _ => None,
    }
}

fn is_kind(node: &Json, word: &str) -> bool {
    types(node).is_none_or(|types| types.contains(&word))
}

/// All values of an `enum` or `const`.
fn enumerated(node: &Json) -> Option<Vec<&Json>> {
    if let Some(value) = node.get("const") {
        return Some(vec![value]);
    }
    node.get("enum")?.as_array().map(|values| values.iter().collect())
}

fn content<'a>(place: Place<'a>, keyword: &str) -> Content<'a> {
    match place.get(keyword) {
        None => Content::Open,
        Some(Json::Bool(false)) => Content::Closed,
        Some(part) if allows_all(part) => Content::Open,
        Some(part) => Content::Partial(place.part(part)),
    }
}

fn members<'a>(place: Place<'a>, keyword: &str) -> impl Iterator<Item = (&'a String, &'a Json)> + use<'a> {
    place.get(keyword).and_then(Json::as_object).into_iter().flatten()
}

fn property<'a>(place: Place<'a>, name: &str) -> Option<Place<'a>> {
    Some(place.part(place.get("properties")?.get(name)?))
}

/// The schema of the first pattern that a name matches; a pattern that we cannot read matches nothing.
fn pattern_property<'a>(place: Place<'a>, name: &str) -> Option<Place<'a>> {
    let mut patterns = members(place, "patternProperties");
    let matches = |pattern: &str| regex::Regex::new(pattern).is_ok_and(|regex| regex.is_match(name));
    patterns.find(|(pattern, _)| matches(pattern)).map(|(_, part)| place.part(part))
}

fn is_required(place: Place<'_>, name: &str) -> bool {
    let required = place.get("required").and_then(Json::as_array);
    required.is_some_and(|names| names.iter().any(|it| it.as_str() == Some(name)))
}

/// The items that have a place of their own, and what may follow.
fn items<'a>(place: Place<'a>) -> (Vec<Place<'a>>, Content<'a>) {
    let listed = |items: &'a [Json]| items.iter().map(|item| place.part(item)).collect();
    match (place.get("prefixItems"), place.get("items")) {
        (Some(Json::Array(first)), _) => (listed(first), content(place, "items")),
        (_, Some(Json::Array(first))) => (listed(first), content(place, "additionalItems")),
        _ => (vec![], content(place, "items")),
    }
}

#[cfg(test)]
mod tests {
    use registry_client::schemas::Document;

    use super::*;

    fn check(old: &str, new: &str, expected: &[&str]) {
        let parse =
            |text: &str| JsonSchema::parse(&Document { text: text.to_owned(), references: vec![] }).unwrap();
        let problems = super::check(&parse(new), &parse(old), Reader::New);
        let kinds: Vec<_> = problems.iter().map(|it| it.split('\'').nth(1).unwrap_or_default()).collect();
        assert_eq!(kinds, expected, "{old} -> {new}");
    }

    const OPEN: &str = r#"{"type":"object","properties":{"a":{"type":"integer"}}}"#;
    const OPEN_TWO: &str = r#"{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}}}"#;
    const CLOSED: &str =
        r#"{"type":"object","properties":{"a":{"type":"integer"}},"additionalProperties":false}"#;
    const CLOSED_TWO: &str = r#"{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}},"additionalProperties":false}"#;

    #[test]
    fn content_models() {
        check(OPEN, OPEN_TWO, &["PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL"]);
        check(OPEN_TWO, OPEN, &[]);
        check(CLOSED, CLOSED_TWO, &[]);
        check(CLOSED_TWO, CLOSED, &["PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL"]);
        check(OPEN, CLOSED, &["ADDITIONAL_PROPERTIES_REMOVED"]);
        check(CLOSED, OPEN, &[]);
        let required = r#"{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}"#;
        check(OPEN, required, &["REQUIRED_ATTRIBUTE_ADDED"]);
        check(required, OPEN, &[]);
    }

    #[test]
    fn types_and_limits() {
        let of = |text: &str| format!("{{\"type\":{text}}}");
        check(&of("\"integer\""), &of("\"number\""), &[]);
        check(&of("\"number\""), &of("\"integer\""), &["TYPE_CHANGED"]);
        check(&of("\"string\""), &of("[\"string\",\"null\"]"), &[]);
        check(&of("[\"string\",\"null\"]"), &of("\"string\""), &["TYPE_NARROWED"]);
        check(&of("\"string\",\"maxLength\":5"), &of("\"string\",\"maxLength\":9"), &[]);
        check(&of("\"string\",\"maxLength\":9"), &of("\"string\",\"maxLength\":5"), &["MAX_LENGTH_NARROWED"]);
        check(&of("\"string\",\"enum\":[\"a\"]"), &of("\"string\",\"enum\":[\"a\",\"b\"]"), &[]);
        check(
            &of("\"string\",\"enum\":[\"a\",\"b\"]"),
            &of("\"string\",\"enum\":[\"a\"]"),
            &["ENUM_ARRAY_NARROWED"],
        );
        check(&of("\"number\",\"multipleOf\":6"), &of("\"number\",\"multipleOf\":3"), &[]);
        check(&of("\"string\""), "true", &[]);
        check("{}", &of("\"string\""), &["TYPE_NARROWED"]);
    }

    #[test]
    fn unions_arrays_and_schemas_that_contain_themselves() {
        let one = r#"{"oneOf":[{"type":"null"},{"type":"integer"}]}"#;
        let two = r#"{"oneOf":[{"type":"null"},{"type":"integer"},{"type":"string"}]}"#;
        check(one, two, &[]);
        check(two, one, &["SUM_TYPE_NARROWED"]);
        check(r#"{"type":"integer"}"#, one, &[]);
        check(
            r#"{"type":"array","items":{"type":"integer"}}"#,
            r#"{"type":"array","items":{"type":"string"}}"#,
            &["TYPE_CHANGED"],
        );
        let tree = r##"{"type":"object","properties":{"next":{"$ref":"#"}}}"##;
        check(tree, tree, &[]);
    }
}

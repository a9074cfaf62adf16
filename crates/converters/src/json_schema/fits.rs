//! Whether data of the own schema may be written under the registry's.

use registry_client::schemas::{JsonSchema, Place};
use serde_json::Value as Json;

const DEPTH_MAX: usize = 100;

/// Every property of ours must be allowed there with a type that takes ours, and every one that is required there must be
/// ours. Limits (`maxLength` and so on) are left to `json.fail.invalid.schema`, which looks at the data.
pub(super) fn fits(own: &JsonSchema, theirs: &JsonSchema) -> bool {
    places(own.place(), theirs.place(), 0)
}

fn places(own: Place<'_>, theirs: Place<'_>, depth: usize) -> bool {
    let (own, theirs) = (own.resolved(), theirs.resolved());
    if depth > DEPTH_MAX || *theirs.node == Json::Bool(true) {
        return true;
    }
    if let Some(branches) = branches(own) {
        return branches.into_iter().all(|branch| places(branch, theirs, depth + 1));
    }
    if let Some(branches) = branches(theirs) {
        return branches.into_iter().any(|branch| places(own, branch, depth + 1));
    }
    if let Some(factors) = theirs.get("allOf").and_then(Json::as_array) {
        return factors.iter().all(|factor| places(own, theirs.part(factor), depth + 1));
    }
    types_fit(own, theirs) && properties_fit(own, theirs, depth) && items_fit(own, theirs, depth)
}

fn branches(place: Place<'_>) -> Option<Vec<Place<'_>>> {
    let branches = place.get("oneOf").or_else(|| place.get("anyOf"))?.as_array()?;
    Some(branches.iter().map(|branch| place.part(branch)).collect())
}

fn types_fit(own: Place<'_>, theirs: Place<'_>) -> bool {
    let Some(wanted) = theirs.get("type") else { return true };
    let takes = |wanted: &str, word: &str| wanted == word || (wanted == "number" && word == "integer");
    let any = |word: &str| match wanted {
        Json::String(wanted) => takes(wanted, word),
        Json::Array(words) => words.iter().filter_map(Json::as_str).any(|wanted| takes(wanted, word)),
        _ => true,
    };
    match own.get("type") {
        Some(Json::String(word)) => any(word),
        // An enum of ours is one of strings.
        _ => any("string"),
    }
}

fn properties_fit(own: Place<'_>, theirs: Place<'_>, depth: usize) -> bool {
    let Some(Json::Object(properties)) = own.get("properties") else { return true };
    let known = |name: &str| theirs.get("properties").and_then(|properties| properties.get(name));
    let others = theirs.get("additionalProperties");
    let allowed = properties.iter().all(|(name, part)| match (known(name), others) {
        (Some(known), _) => places(own.part(part), theirs.part(known), depth + 1),
        (None, Some(Json::Bool(false))) => false,
        (None, Some(other @ Json::Object(_))) => places(own.part(part), theirs.part(other), depth + 1),
        (None, _) => true,
    });
    let required = theirs.get("required").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    allowed && required.iter().filter_map(Json::as_str).all(|name| properties.contains_key(name))
}

fn items_fit(own: Place<'_>, theirs: Place<'_>, depth: usize) -> bool {
    match (own.get("items"), theirs.get("items")) {
        (Some(own_items), Some(items @ Json::Object(_))) => {
            places(own.part(own_items), theirs.part(items), depth + 1)
        }
        _ => true,
    }
}

//! Why a case may differ: by its nature and not by its name, so that the rules hold for other recordings too. The
//! words are those of docs/compatibility.md.

use crate::case::Case;
use crate::ending::Ending;

const ACCEPTED: &str = "whatever the target type's input accepts, by the target's catalogue";
const WORKS: &str =
    "primitive keys, and a tombstone as the first record, fail; unnest with a repeated key fails";
const REFUSED: &str =
    "upsert without a key, names over 63 bytes and a wrong `insert.mode` fail after something was created";
const NAN: &str = "JsonConverter reads back the `NaN` and infinities that it wrote as 0.0";
const EXACT: &str = "VariableScaleDecimal becomes double";
const NO_SOURCE: &str = "`${source.table}` in a table's name, on records without a `source`";
const PLACEHOLDER: &str = "the unavailable-value placeholder overwrites the column";

/// Parts of the reference's messages where it stops on a value that the target would take.
const VALUES: [&str; 5] = [
    "Unable to find server array type",
    "but expression is of type",
    "st_geomfromwkb",
    "for NanoOfDay",
    "nested inside Object[]",
];
const KEYS: [&str; 2] =
    ["cannot be cast to class org.apache.kafka.connect.data.Struct", "cannot affect row a second time"];
const CREATED: [&str; 2] = ["no key fields defined", "Failed to find table"];
const NOT_FINITE: [&str; 3] = ["\"NaN\"", "\"Infinity\"", "\"-Infinity\""];

/// The row of docs/compatibility.md under which a difference falls.
pub fn row(case: &Case, expected: &Ending, found: &Ending) -> Option<&'static str> {
    let said = case.recorded["result"]["errors"].to_string();
    let says = |parts: &[&str]| parts.iter().any(|part| said.contains(part));
    match (&expected.error, &found.error) {
        (Some(_), None) if says(&VALUES) => return Some(ACCEPTED),
        (Some(_), None) if says(&KEYS) => return Some(WORKS),
        (Some(_), None) if says(&["Cannot invoke"]) && begins_with_tombstone(case) => return Some(WORKS),
        (Some(_), None) if says(&["numeric field overflow", "22003"]) => return Some(EXACT),
        (None, Some(_)) if names_source(case) && expected.tables == found.before => return Some(NO_SOURCE),
        // Refused like there, but before anything was created.
        (Some(_), Some(_)) if says(&CREATED) && found.tables == found.before => return Some(REFUSED),
        (None, None) => {}
        _ => return None,
    }
    let (wanted, seen) = (expected.tables.to_string(), found.tables.to_string());
    if wanted.contains("\"294247-01-10 ") && seen.contains("\"infinity\"") {
        return Some(EXACT);
    }
    let zeroed = NOT_FINITE.iter().fold(seen.clone(), |text, word| text.replace(word, "\"0\""));
    if zeroed == wanted {
        return Some(NAN);
    }
    let records = case.recorded["batches"].to_string();
    if records.contains("VariableScaleDecimal")
        && wanted.contains("double precision")
        && seen.contains("\"numeric\"")
    {
        return Some(EXACT);
    }
    let placeholder = "__debezium_unavailable_value";
    (wanted.contains(placeholder) && !seen.contains(placeholder)).then_some(PLACEHOLDER)
}

fn begins_with_tombstone(case: &Case) -> bool {
    case.recorded["batches"][0][0]["value"].is_null()
}

fn names_source(case: &Case) -> bool {
    case.recorded["config"]["collection.name.format"]
        .as_str()
        .is_some_and(|format| format.contains("${source."))
}

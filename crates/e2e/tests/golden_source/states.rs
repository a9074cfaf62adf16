//! How a case ends: differences that are meant, by the reason that the recording gives. The words are those of
//! docs/compatibility.md.

use serde_json::Value;

const STOPS: &str = "a domain over an enum stops the task";
const RETRIED: &str = "permanent errors (password, privilege) are retried for ever";
const NEVER: &str = "`snapshot.mode` never is refused";
const OLDER: &str = "older versions stop at values that newer ones write";
pub const REFUSED: &str = "a mask with an unknown algorithm fails when the task runs";

/// What the reference stops at, in the words of its trace.
const REASONS: &[(&str, &str)] = &[
    // A domain over an enum, `bytea_output=escape`, a table without columns, nanoseconds of a NOT NULL column.
    ("java.sql.Array.getArray()", STOPS),
    ("StringIndexOutOfBoundsException", STOPS),
    ("Table.retrieveColumnNames()", STOPS),
    ("required field: \"ts\", schema type: INT64", STOPS),
    ("required field: \"m\", schema type: STRING", OLDER),
    ("Character I is neither a decimal digit", OLDER),
];

/// The row under which another end than the recorded one falls.
pub fn decided(wanted: &Value, found: &Value, records: usize) -> Option<&'static str> {
    let state = |states: &Value| states["tasks"][0]["state"].as_str().map(str::to_owned);
    match (state(wanted).as_deref(), state(found).as_deref()) {
        (None, Some("RUNNING")) => (wanted["connector"] == "NONE").then_some(NEVER),
        (Some("RUNNING"), Some("FAILED")) => (records == 0).then_some(RETRIED),
        (Some("FAILED"), Some("RUNNING")) => reason(wanted),
        _ => None,
    }
}

fn reason(wanted: &Value) -> Option<&'static str> {
    let trace = wanted["tasks"][0]["trace"].to_string();
    // As text in JSON quotes are escaped.
    let trace = trace.replace("\\\"", "\"");
    REASONS.iter().find(|(words, _)| trace.contains(words)).map(|(_, row)| *row)
}

/// Whether the recorded task ended so: how many of the records before reached Kafka is left to chance there.
pub fn has_failed(wanted: &Value) -> bool {
    wanted["tasks"][0]["state"] == "FAILED"
}

/// The reference takes the configuration, and its task fails at it.
pub fn is_refused(wanted: &Value, error: &str) -> bool {
    let trace = wanted["tasks"][0]["trace"].to_string();
    error.contains("answered with 400") && trace.contains("NoSuchAlgorithmException")
}

//! How far a source has come, in the form in which Connect keeps it: two JSON objects.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

/// Connect's source partition and source offset. Only the source knows what they mean; the runtime stores them.
/// `serde_json` numbers keep their text (arbitrary precision), so that what was read is written back unchanged.
#[derive(Clone, Debug, PartialEq)]
pub struct SourcePosition {
    pub partition: Arc<Map<String, Json>>,
    pub offset: Arc<Map<String, Json>>,
}

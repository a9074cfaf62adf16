//! Values of the topic: unknown members are ignored, missing ones have Confluent's defaults.

use registry_client::{Metadata, Reference, SchemaType};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SchemaValue {
    pub subject: String,
    pub version: i32,
    pub id: i32,
    #[serde(rename = "schemaType", default)]
    pub schema_type: SchemaType,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    pub schema: String,
    #[serde(default)]
    pub deleted: bool,
}

/// Versions up to this one are soft-deleted.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DeleteSubjectValue {
    pub subject: String,
    pub version: i32,
}

/// What stands behind the key of a NOOP, which nobody else reads: ids up to this one were given, deleted ones included.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WatermarkValue {
    #[serde(rename = "idMax")]
    pub id_max: i32,
}

/// Members of a configuration, kept as they are: most of them only travel.
pub(crate) type ConfigValue = serde_json::Map<String, serde_json::Value>;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ModeValue {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    pub mode: Mode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Mode {
    #[default]
    Readwrite,
    Readonly,
    #[serde(rename = "READONLY_OVERRIDE")]
    ReadonlyOverride,
    /// Schemas come with their ids and versions.
    Import,
    Forward,
}

impl Mode {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        serde_json::from_value(serde_json::Value::String(text.to_ascii_uppercase())).ok()
    }
}

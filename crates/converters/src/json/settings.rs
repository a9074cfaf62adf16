//! Options of the JSON converter.

use connect::settings::{Definition, Importance, Properties, Validator, row};
use connect::{Kind, Schema, TaskError};

use crate::catalog::configuration_error;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecimalFormat {
    /// Base64 of the unscaled bytes.
    Base64,
    /// A JSON number.
    Numeric,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Envelope {
    /// `{"schema":…,"payload":…}`
    Enabled,
    Disabled,
}

/// What a null in a place with a default becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nulls {
    ReplacedByDefault,
    Kept,
}

/// How maps and unions look in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Kafka's converter: a map with other keys is a list of pairs.
    Connect,
    /// Confluent's JSON Schema: a list of objects with `key` and `value`; a union is the value of its branch; what is
    /// missing is null.
    JsonSchema,
}

impl Dialect {
    /// Whether a map with such keys is an object.
    pub(crate) fn is_object(self, key: &Schema) -> bool {
        matches!(key.kind(), Kind::String) && (self == Self::Connect || !key.is_optional())
    }

    /// Whether a struct is a union of which one field is set.
    pub(crate) fn is_union(self, schema: &Schema) -> bool {
        self == Self::JsonSchema && schema.name() == Some(ONE_OF)
    }
}

/// Name of a struct that Confluent's JSON Schema converter makes of a union.
pub(crate) const ONE_OF: &str = "io.confluent.connect.json.OneOf";

/// What plans depend on beside the schema.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub decimals: DecimalFormat,
    pub nulls: Nulls,
    pub dialect: Dialect,
}

impl Style {
    /// Of the converter's own defaults.
    pub(crate) const PLAIN: Self =
        Self { decimals: DecimalFormat::Base64, nulls: Nulls::ReplacedByDefault, dialect: Dialect::Connect };
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub envelope: Envelope,
    pub schemas_cached_max: usize,
    pub style: Style,
    /// Text of the schema of plain payloads.
    pub schema_content: Option<String>,
}

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row("schemas.enable").boolean().default("true").importance(Importance::High).doc(
            "Whether each record bears its schema beside the payload.",
        ),
        row("schemas.cache.size").int().default("1000").importance(Importance::High).doc(
            "How many schemas are kept with what was made of them.",
        ),
        row("decimal.format")
            .default("BASE64")
            .importance(Importance::Low)
            .check(Validator::OneOfIgnoreCase(&["NUMERIC", "BASE64"]))
            .doc("How decimals are written: BASE64 of the unscaled bytes, or NUMERIC as a JSON number."),
        row("replace.null.with.default")
            .boolean()
            .default("true")
            .importance(Importance::Low)
            .doc("Whether to replace a null in a field that has a default by that default."),
        row("schema.content").importance(Importance::High).doc(
            "A schema, as JSON, for payloads that come without an envelope. Only used with schemas.enable=true.",
        ),
    ])
}

impl Settings {
    pub(crate) fn parse(properties: &Properties) -> Result<Self, TaskError> {
        let resolved = definition().resolve(properties);
        let errors = resolved.errors();
        if !errors.is_empty() {
            return Err(configuration_error(&errors));
        }
        let numeric = resolved.text("decimal.format").is_some_and(|it| it.eq_ignore_ascii_case("NUMERIC"));
        let content = resolved.text("schema.content").filter(|text| !text.is_empty());
        Ok(Self {
            envelope: if resolved.boolean("schemas.enable") { Envelope::Enabled } else { Envelope::Disabled },
            schemas_cached_max: usize::try_from(resolved.long("schemas.cache.size")).unwrap_or(0).max(1),
            style: Style {
                decimals: if numeric { DecimalFormat::Numeric } else { DecimalFormat::Base64 },
                nulls: if resolved.boolean("replace.null.with.default") {
                    Nulls::ReplacedByDefault
                } else {
                    Nulls::Kept
                },
                dialect: Dialect::Connect,
            },
            schema_content: content.map(str::to_owned),
        })
    }
}

//! Options of the JSON converter.

use connect::TaskError;
use connect::settings::{Definition, Importance, Properties, Validator, row};

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

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub envelope: Envelope,
    pub schemas_cached_max: usize,
    pub decimal_format: DecimalFormat,
    pub nulls: Nulls,
    /// Text of the schema of plain payloads.
    pub schema_content: Option<String>,
}

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row("schemas.enable").boolean().default("true").importance(Importance::High).doc(
            "Include schemas within each of the serialized values and keys.",
        ),
        row("schemas.cache.size").int().default("1000").importance(Importance::High).doc(
            "The maximum number of schemas that can be cached in this converter instance.",
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
            decimal_format: if numeric { DecimalFormat::Numeric } else { DecimalFormat::Base64 },
            nulls: if resolved.boolean("replace.null.with.default") {
                Nulls::ReplacedByDefault
            } else {
                Nulls::Kept
            },
            schema_content: content.map(str::to_owned),
        })
    }
}

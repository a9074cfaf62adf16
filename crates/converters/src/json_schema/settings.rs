//! Options of the JSON Schema converter, beside those of every registered converter.

use connect::settings::{Definition, Resolved, Row, Standing, Validator, row};

use crate::json::{DecimalFormat, Dialect, Nulls, Style};
use crate::registered;

/// How Connect's schemas and JSON Schemas are translated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Of payloads.
    pub style: Style,
    pub additional_properties: AdditionalProperties,
    pub not_required: NotRequired,
    pub single_unions: SingleUnions,
    pub validation: Validation,
}

/// Whether objects that we describe may have more members than their fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AdditionalProperties {
    Allowed,
    Refused,
}

/// What a property becomes that is not required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotRequired {
    /// Optional only where its type says so.
    ByType,
    Optional,
}

/// What a union of one type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SingleUnions {
    Flattened,
    Kept,
}

/// Whether payloads are held against their schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Validation {
    Off,
    /// What does not keep to the schema is refused, written or read.
    On,
}

fn flag(name: &'static str, default: &'static str, doc: &'static str) -> Row {
    row(name).boolean().default(default).doc(doc)
}

pub(crate) fn definition() -> Definition {
    let mut rows = registered::rows();
    rows.extend([
        row("decimal.format")
            .default("BASE64")
            .check(Validator::OneOfIgnoreCase(&["NUMERIC", "BASE64"]))
            .doc("How decimals are written: BASE64 of the unscaled bytes, or NUMERIC as a JSON number."),
        flag(
            "object.additional.properties",
            "true",
            "Whether objects may have more members than their fields.",
        ),
        flag(
            "use.optional.for.nonrequired",
            "false",
            "Whether properties that are not required are read as optional fields.",
        ),
        flag("flatten.singleton.unions", "true", "Whether a union of one type is that type."),
        flag("ignore.default.for.nullables", "false", "Whether a null stays null where there is a default."),
        flag("json.fail.invalid.schema", "false", "Whether payloads that break their schema are refused."),
        row("ignore.modern.dialects").boolean().default("false").standing(Standing::Accepted),
        row("json.schema.spec.version").default("draft_7").standing(Standing::Accepted),
        row("json.write.dates.iso8601").boolean().default("true").standing(Standing::Accepted),
        row("json.oneof.for.nullables").boolean().default("true").standing(Standing::Accepted),
        row("json.indent.output").boolean().default("false").standing(Standing::Accepted),
        flag("generalized.sum.type.support", "false", "Unions and enums under Connect's general names.")
            .standing(Standing::Refused),
        flag("preserve.additional.properties", "false", "Whether members without a field are kept.")
            .standing(Standing::Refused),
    ]);
    Definition::new(rows)
}

impl Shape {
    pub(super) fn from_resolved(resolved: &Resolved) -> Self {
        let either = |name: &str| resolved.boolean(name);
        let numeric = resolved.text("decimal.format").is_some_and(|it| it.eq_ignore_ascii_case("NUMERIC"));
        Self {
            style: Style {
                decimals: if numeric { DecimalFormat::Numeric } else { DecimalFormat::Base64 },
                nulls: if either("ignore.default.for.nullables") {
                    Nulls::Kept
                } else {
                    Nulls::ReplacedByDefault
                },
                dialect: Dialect::JsonSchema,
            },
            additional_properties: if either("object.additional.properties") {
                AdditionalProperties::Allowed
            } else {
                AdditionalProperties::Refused
            },
            not_required: if either("use.optional.for.nonrequired") {
                NotRequired::Optional
            } else {
                NotRequired::ByType
            },
            single_unions: if either("flatten.singleton.unions") {
                SingleUnions::Flattened
            } else {
                SingleUnions::Kept
            },
            validation: if either("json.fail.invalid.schema") { Validation::On } else { Validation::Off },
        }
    }
}

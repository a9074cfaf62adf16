//! Options of the Avro converter's data, beside those of every registered converter.

use connect::settings::{Definition, Resolved, Row, Standing, row};

use super::names::Scrub;
use crate::registered;

/// How Connect's schemas and Avro's are translated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Whether enums and the full names of unions survive.
    pub enhanced: bool,
    /// Whether what Avro cannot express is kept in properties.
    pub meta_data: bool,
    pub scrub: Scrub,
    pub optional_map_keys: bool,
    pub flatten_singleton_unions: bool,
    pub discard_type_doc: bool,
    pub nulls: Nulls,
}

/// What a null in a field with a default is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nulls {
    Default,
    Null,
}

fn flag(name: &'static str, default: &'static str, doc: &'static str) -> Row {
    row(name).boolean().default(default).doc(doc)
}

pub(crate) fn definition() -> Definition {
    let mut rows = registered::rows();
    rows.extend([
        flag("enhanced.avro.schema.support", "false", "Whether enums and names of unions are kept."),
        flag("connect.meta.data", "true", "Whether Connect's properties are added to schemas."),
        flag("scrub.invalid.names", "false", "Whether names that Avro does not accept are rewritten."),
        flag("allow.optional.map.keys", "false", "Whether maps with optional string keys are Avro maps."),
        flag("flatten.singleton.unions", "true", "Whether a union of one type is that type."),
        flag("discard.type.doc.default", "false", "Whether a type's doc is not used for its field."),
        flag("ignore.default.for.nullables", "false", "Whether a null stays null where there is a default."),
        row("avro.remove.java.properties").boolean().default("false").standing(Standing::Accepted),
        row("avro.use.logical.type.converters").boolean().default("false").standing(Standing::Accepted),
        row("avro.reflection.allow.null").boolean().default("false").standing(Standing::Accepted),
        flag("generalized.sum.type.support", "false", "Unions and enums under Connect's general names.")
            .standing(Standing::Refused),
    ]);
    Definition::new(rows)
}

impl Shape {
    pub(super) fn from_resolved(resolved: &Resolved) -> Self {
        Self {
            enhanced: resolved.boolean("enhanced.avro.schema.support"),
            meta_data: resolved.boolean("connect.meta.data"),
            scrub: if resolved.boolean("scrub.invalid.names") { Scrub::Yes } else { Scrub::No },
            optional_map_keys: resolved.boolean("allow.optional.map.keys"),
            flatten_singleton_unions: resolved.boolean("flatten.singleton.unions"),
            discard_type_doc: resolved.boolean("discard.type.doc.default"),
            nulls: if resolved.boolean("ignore.default.for.nullables") {
                Nulls::Null
            } else {
                Nulls::Default
            },
        }
    }
}

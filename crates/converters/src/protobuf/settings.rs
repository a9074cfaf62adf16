//! Options of the Protobuf converter, beside those of every registered converter.

use connect::settings::{Definition, Resolved, Row, Standing, row};

use crate::registered;

/// How Connect's schemas and Protobuf's are translated. Each is an option of that name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Whether packages are part of the names that are read.
    pub enhanced: bool,
    pub scrub: Scrub,
    pub enums: Enums,
    pub nullables: Nullables,
    pub proto2_optional: bool,
    pub raw_wrappers: bool,
    pub union_index: bool,
    pub ignore_defaults: bool,
}

/// What is done about names that Protobuf does not accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scrub {
    No,
    Yes,
}

/// What an enum is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Enums {
    Strings,
    Numbers,
}

/// How an optional field of a plain type is told from one with its zero value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nullables {
    /// It is not.
    Lost,
    /// By the keyword `optional`.
    Keyword,
    /// By a message around the value.
    Wrapper,
}

fn flag(name: &'static str, default: &'static str, doc: &'static str) -> Row {
    row(name).boolean().default(default).doc(doc)
}

pub(crate) fn definition() -> Definition {
    let mut rows = registered::rows();
    rows.extend([
        flag("enhanced.protobuf.schema.support", "false", "Whether names are read with their package."),
        flag("scrub.invalid.names", "false", "Whether names that Protobuf does not accept are rewritten."),
        flag("int.for.enums", "false", "Whether enums are read as numbers."),
        flag(
            "optional.for.nullables",
            "false",
            "Whether optional fields are marked `optional`: nulls survive.",
        ),
        flag(
            "optional.for.proto2",
            "true",
            "Whether `optional` fields of proto2 are null where they are missing.",
        ),
        flag(
            "wrapper.for.nullables",
            "false",
            "Whether optional fields are wrapped in a message: nulls survive.",
        ),
        flag(
            "wrapper.for.raw.primitives",
            "true",
            "Whether a wrapper at the top is read as the value within.",
        ),
        flag("generate.index.for.unions", "true", "Whether the fields of unions bear the union's index."),
        flag("ignore.default.for.nullables", "false", "Whether a null stays null where there is a default."),
        row("reference.lookup.only").boolean().default("false").standing(Standing::Accepted),
        row("skip.known.types").boolean().default("true").standing(Standing::Accepted),
        row("reference.subject.name.strategy").class().standing(Standing::Accepted),
        flag("generate.struct.for.nulls", "false", "Whether missing messages are read as empty ones.")
            .standing(Standing::Refused),
        flag("flatten.unions", "false", "Whether the members of a union are fields of the message.")
            .standing(Standing::Refused),
        flag("generalized.sum.type.support", "false", "Unions and enums under Connect's general names.")
            .standing(Standing::Refused),
    ]);
    Definition::new(rows)
}

impl Shape {
    pub(super) fn from_resolved(resolved: &Resolved) -> Self {
        let given = |name: &str| resolved.boolean(name);
        Self {
            enhanced: given("enhanced.protobuf.schema.support"),
            scrub: if given("scrub.invalid.names") { Scrub::Yes } else { Scrub::No },
            enums: if given("int.for.enums") { Enums::Numbers } else { Enums::Strings },
            nullables: match (given("optional.for.nullables"), given("wrapper.for.nullables")) {
                (true, _) => Nullables::Keyword,
                (false, true) => Nullables::Wrapper,
                (false, false) => Nullables::Lost,
            },
            proto2_optional: given("optional.for.proto2"),
            raw_wrappers: given("wrapper.for.raw.primitives"),
            union_index: given("generate.index.for.unions"),
            ignore_defaults: given("ignore.default.for.nullables"),
        }
    }
}

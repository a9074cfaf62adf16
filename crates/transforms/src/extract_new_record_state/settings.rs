//! Options of ExtractNewRecordState: those of 3.2 and later, and the two older ones in their old meaning.

use connect::settings::{Definition, Importance, Properties, Validator, row};

use super::fields::FieldReference;
use crate::nulls::Nulls;

/// What becomes of a delete event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeleteAction {
    Drop,
    /// A null value under the row's schema.
    NullValue,
    /// A null value without a schema.
    Tombstone,
    /// The row before, with `__deleted`; other rows get the field too.
    Rewrite,
}

/// What becomes of the tombstone that follows a delete event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TombstoneAction {
    Drop,
    Keep,
}

/// Which fields a header may drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Droppable {
    Optional,
    All,
}

#[derive(Debug)]
pub(super) struct Settings {
    pub deletes: DeleteAction,
    pub tombstones: TombstoneAction,
    pub nulls: Nulls,
    pub add_fields: Vec<FieldReference>,
    pub add_headers: Vec<FieldReference>,
    pub route_by_field: Option<String>,
    pub drop_fields: Option<DropFields>,
}

#[derive(Debug)]
pub(super) struct DropFields {
    pub header: String,
    pub droppable: Droppable,
    /// Whether the key loses the fields too.
    pub from_key: bool,
}

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row("drop.tombstones").boolean().default("true").importance(Importance::Low).doc(
            "Option of 3.1 and before: whether the tombstones that follow deletes are removed. Has a meaning only \
             without 'delete.tombstone.handling.mode'.",
        ),
        row("delete.handling.mode")
            .default("drop")
            .check(Validator::OneOfIgnoreCase(&["drop", "rewrite", "none"]))
            .doc(
                "Option of 3.1 and before: deletes are removed (drop), rewritten with a field '__deleted' (rewrite) or \
                 passed on with a null value (none). Has a meaning only without 'delete.tombstone.handling.mode'.",
            ),
        row("delete.tombstone.handling.mode")
            .default("tombstone")
            .check(Validator::OneOfIgnoreCase(&[
                "drop",
                "tombstone",
                "rewrite",
                "rewrite-with-tombstone",
                "delete-to-tombstone",
            ]))
            .doc("What deletes and the tombstones behind them become."),
        row("route.by.field").default("").importance(Importance::Low).doc(
            "The field whose value is the name of the topic to which the record goes.",
        ),
        row("add.fields.prefix").default("__").importance(Importance::Low).doc("Prefix of added fields."),
        row("add.fields").list().default("").importance(Importance::Low).doc(
            "Fields of the envelope to add to the row, such as 'op,source.table:tbl'.",
        ),
        row("add.headers.prefix").default("__").importance(Importance::Low).doc("Prefix of added headers."),
        row("add.headers").list().default("").importance(Importance::Low).doc(
            "Fields of the envelope to add as headers.",
        ),
        row("drop.fields.header.name").importance(Importance::Low).doc(
            "The header that lists the fields to remove from the row.",
        ),
        row("drop.fields.from.key").boolean().default("false").importance(Importance::Low).doc(
            "Whether the fields are removed from the key too.",
        ),
        row("drop.fields.keep.schema.compatible").boolean().default("true").importance(Importance::Low).doc(
            "Whether only optional fields are removed.",
        ),
        Nulls::row(),
    ])
}

impl Settings {
    pub(super) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = definition().resolve(properties);
        let errors = resolved.errors();
        if !errors.is_empty() {
            return Err(errors);
        }
        let given = |name: &str| properties.get(name).map(|text| text.trim().to_ascii_lowercase());
        let old = (given("delete.handling.mode"), given("drop.tombstones"));
        let (deletes, tombstones) = match (given("delete.tombstone.handling.mode"), old) {
            (None, (None, None)) => modern("tombstone"),
            (None, (mode, drop)) => old_style(mode.as_deref(), drop.as_deref()),
            (Some(mode), _) => modern(&mode),
        };
        let references = |name: &str, prefix: &str| {
            let prefix = resolved.text(prefix).unwrap_or_default();
            let list = resolved.list(name).iter().filter(|item| !item.is_empty());
            list.map(|item| FieldReference::parse(item, prefix)).collect()
        };
        let text = |name: &str| resolved.text(name).filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(Self {
            deletes,
            tombstones,
            nulls: Nulls::of(&resolved),
            add_fields: references("add.fields", "add.fields.prefix"),
            add_headers: references("add.headers", "add.headers.prefix"),
            route_by_field: text("route.by.field"),
            drop_fields: text("drop.fields.header.name").map(|header| DropFields {
                header,
                droppable: if resolved.boolean("drop.fields.keep.schema.compatible") {
                    Droppable::Optional
                } else {
                    Droppable::All
                },
                from_key: resolved.boolean("drop.fields.from.key"),
            }),
        })
    }
}

fn modern(mode: &str) -> (DeleteAction, TombstoneAction) {
    match mode {
        "drop" => (DeleteAction::Drop, TombstoneAction::Drop),
        "rewrite" => (DeleteAction::Rewrite, TombstoneAction::Drop),
        "rewrite-with-tombstone" => (DeleteAction::Rewrite, TombstoneAction::Keep),
        "delete-to-tombstone" => (DeleteAction::Tombstone, TombstoneAction::Drop),
        _ => (DeleteAction::NullValue, TombstoneAction::Drop),
    }
}

/// The one that is not given has its old default.
fn old_style(mode: Option<&str>, drop_tombstones: Option<&str>) -> (DeleteAction, TombstoneAction) {
    let deletes = match mode {
        None | Some("drop") => DeleteAction::Drop,
        Some("rewrite") => DeleteAction::Rewrite,
        Some(_) => DeleteAction::NullValue,
    };
    let keep = drop_tombstones == Some("false");
    (deletes, if keep { TombstoneAction::Keep } else { TombstoneAction::Drop })
}

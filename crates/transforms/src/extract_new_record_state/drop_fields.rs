//! Fields that a header of the record names are left out of the row, and of the key where asked for.

use connect::{Record, Schema, TaskError, Value};

use super::settings::{DropFields, Droppable};

/// Names in the header, in its order; `None` without such a header.
pub(super) fn listed(record: &Record, settings: &DropFields) -> Result<Option<Vec<String>>, TaskError> {
    match record.headers.last(&settings.header).map(|header| &header.value) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => {
            Ok(Some(items.iter().filter_map(Value::as_str).map(str::to_owned).collect()))
        }
        Some(_) => Err(TaskError::halt(format!("header {} is not a list of field names", settings.header))),
    }
}

/// Indexes of the fields of `schema` that go.
pub(super) fn dropped(schema: &Schema, names: &[String], droppable: Droppable) -> Vec<usize> {
    let goes = |field: &connect::Field| {
        names.iter().any(|name| *name == *field.name)
            && (droppable == Droppable::All || field.schema.is_optional())
    };
    let fields = schema.fields().iter().enumerate();
    fields.filter(|(_, field)| goes(field)).map(|(index, _)| index).collect()
}

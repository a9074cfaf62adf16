//! One change of one row to its records.

use connect::{Buffer, Record, TaskError, Value};
use pg::pgoutput::{OldRow, Tuples};

use crate::envelope::{Change, Envelopes, Op, Place};
use crate::settings::{Operations, ProcessingFailure};
use crate::stream::Context;
use crate::tables::{Row, RowError, RowErrorKind, Table};
use crate::transaction_metadata::{self, TransactionMetadata};

/// Gives records of one event their places in the transaction.
#[cold]
pub fn count_records(
    metadata: &mut TransactionMetadata,
    table: &Table,
    lsn: u64,
    envelopes: &Envelopes,
    records: &mut [Record],
) {
    let collection = transaction_metadata::collection(&table.schema, &table.name);
    for record in records.iter_mut().filter(|record| !record.value.is_null()) {
        let block = metadata.count(&collection, lsn);
        envelopes.set_transaction(record, block);
    }
}

/// A change as the server tells it.
pub struct Event<'a> {
    pub op: Op,
    pub old: Option<OldRow>,
    pub buffer: &'a Buffer,
    pub place: &'a Place,
    /// Of a changed key, each half is skipped for itself.
    pub skipped: Operations,
}

/// The records that it becomes.
#[inline]
pub fn row_event(
    table: &Table,
    tuples: &Tuples,
    event: &Event<'_>,
    envelopes: &mut Envelopes,
    records: &mut Vec<Record>,
) -> Result<(), RowError> {
    let new = Row { tuple: &tuples.new, buffer: event.buffer };
    let old = event.old.map(|_| Row { tuple: &tuples.old, buffer: event.buffer });
    let before = match old {
        Some(row) if event.op != Op::Create => Some((row, table.values(row, None)?)),
        _ => None,
    };
    if event.op == Op::Delete {
        let Some((row, values)) = before else { return Ok(()) };
        if table.key.is_some() && !table.identity_has_key {
            return Err(RowError::key_missing());
        }
        let key = table.key_of(&values, row)?;
        let change = Change { op: Op::Delete, key, before: Value::Struct(values), after: Value::Null };
        envelopes.row(table, change, event.place, records);
        return Ok(());
    }
    let values = table.values(new, old)?;
    let key = table.key_of(&values, new)?;
    let Some((row, old_values)) = before else {
        let change = Change { op: event.op, key, before: Value::Null, after: Value::Struct(values) };
        envelopes.row(table, change, event.place, records);
        return Ok(());
    };
    if table.key.is_some() && table.identity_has_key {
        let old_key = table.key_of(&old_values, row)?;
        if old_key != key {
            let old = (old_key, Value::Struct(old_values));
            let new = (key, Value::Struct(values));
            envelopes.key_change(table, old, new, event.place, event.skipped, records);
            return Ok(());
        }
    }
    if event.skipped.update || (table.skips_unchanged && old_values == values) {
        return Ok(());
    }
    let change =
        Change { op: event.op, key, before: Value::Struct(old_values), after: Value::Struct(values) };
    envelopes.row(table, change, event.place, records);
    Ok(())
}

/// `event.processing.failure.handling.mode`.
#[cold]
pub fn unprocessable(
    table: &Table,
    error: &RowError,
    lsn: u64,
    context: &mut Context<'_>,
) -> Result<(), TaskError> {
    context.metrics.erroneous += 1;
    let text = format!(
        "change of {}.{} at LSN {} cannot be processed: {error}",
        table.schema,
        table.name,
        pg::Lsn(lsn)
    );
    let mode = context.settings.processing_failure;
    if error.kind == RowErrorKind::Conversion || mode == ProcessingFailure::Fail {
        let hint = error.hint(table).unwrap_or_else(|| {
            "set event.processing.failure.handling.mode to warn or skip to go on without such changes"
                .to_owned()
        });
        return Err(TaskError::halt(text).with_hint(hint));
    }
    if mode == ProcessingFailure::Warn {
        tracing::warn!(table = %table.topic, lsn = %pg::Lsn(lsn), error = %error, "change skipped");
    }
    Ok(())
}

//! Rows to array parameters, column by column, straight into the wire's form.

use connect::{Record, TaskError};

use crate::batch::TableBatch;
use crate::columns::Signature;
use crate::table_shape::TableShape;
use crate::values::{ValueError, Wire};

/// What stands before the elements of an array.
pub const ARRAY_HEAD_BYTES: usize = 20;

/// One dimension, elements may be null, counted from 1.
fn begin(wire: Wire, count: usize, element_bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(ARRAY_HEAD_BYTES + count * (4 + element_bytes));
    out.extend_from_slice(&1_i32.to_be_bytes());
    out.extend_from_slice(&1_i32.to_be_bytes());
    out.extend_from_slice(&wire.element_oid().to_be_bytes());
    out.extend_from_slice(&(count as u32).to_be_bytes());
    out.extend_from_slice(&1_i32.to_be_bytes());
    out
}

/// A first guess, so that most buffers are allocated once.
fn expected_bytes(wire: Wire) -> usize {
    match wire {
        Wire::Bool => 1,
        Wire::Int2 => 2,
        Wire::Int4 | Wire::Float4 | Wire::Date => 4,
        Wire::Int8 | Wire::Float8 | Wire::Time | Wire::Timestamp | Wire::TimestampTz => 8,
        Wire::Numeric | Wire::Uuid => 16,
        Wire::Text | Wire::Bytea | Wire::Json | Wire::Jsonb => 32,
    }
}

/// Encodes the rows of a write.
///
/// # Errors
/// The rows with a value that its column cannot take, by their place in the group.
pub fn writes(
    records: &[Record],
    batch: &TableBatch,
    signature: &Signature,
    absent: &[u16],
    rows: &[u32],
) -> Result<Vec<Vec<u8>>, Vec<(usize, TaskError)>> {
    let mut params = keys(batch, signature, rows);
    let mut bad: Vec<(usize, TaskError)> = vec![];
    for place in signature.key_count..signature.columns.len() {
        if absent.contains(&(place as u16)) {
            continue;
        }
        let wire = signature.columns[place].wire;
        let mut out = begin(wire, rows.len(), expected_bytes(wire));
        for (at, change) in rows.iter().enumerate() {
            let change = &batch.changes[*change as usize];
            let record = &records[change.record as usize];
            let slot = &change.plan.slots[place];
            if let Err(why) = slot.append(record, change.plan.row(record), &mut out)
                && bad.iter().all(|(other, _)| *other != at)
            {
                bad.push((at, refused(&change.plan.shape, slot.column, &why)));
            }
        }
        params.push(out);
    }
    if bad.is_empty() { Ok(params) } else { Err(bad) }
}

/// The key columns of rows, copied from the keys that were encoded for folding.
pub fn keys(batch: &TableBatch, signature: &Signature, rows: &[u32]) -> Vec<Vec<u8>> {
    let mut params: Vec<Vec<u8>> = signature.columns[..signature.key_count]
        .iter()
        .map(|column| begin(column.wire, rows.len(), expected_bytes(column.wire)))
        .collect();
    for row in rows {
        let mut rest = batch.key(&batch.changes[*row as usize]);
        for param in &mut params {
            let (element, behind) = split_element(rest);
            param.extend_from_slice(element);
            rest = behind;
        }
    }
    params
}

/// Cuts the first element, its length included, from encoded elements.
pub fn split_element(bytes: &[u8]) -> (&[u8], &[u8]) {
    let length = bytes.first_chunk::<4>().map_or(0, |head| i32::from_be_bytes(*head));
    bytes.split_at((4 + usize::try_from(length).unwrap_or(0)).min(bytes.len()))
}

/// The error of a record whose value its column cannot take.
pub fn refused(shape: &TableShape, column: usize, why: &ValueError) -> TaskError {
    let column = &shape.columns[column];
    TaskError::reject(format!(
        "value for column \"{}\" ({}) of {}: {why}",
        column.name, column.target.type_name, shape.quoted
    ))
}

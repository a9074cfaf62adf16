//! Names and values of the sink's metrics.

use std::time::Duration;

use connect::contract::TaskId;
use metrics::{Counter, Gauge, Histogram};

use crate::batch::Batch;
use crate::write::Outcome;

pub const WRITTEN: &str = "tidegate_sink_rows_written_total";
pub const BATCHES: &str = "tidegate_sink_batches_total";
pub const BATCH_SECONDS: &str = "tidegate_sink_batch_seconds";
pub const RETRIES: &str = "tidegate_sink_retries_total";
pub const RECONNECTS: &str = "tidegate_sink_reconnects_total";
pub const REJECTED: &str = "tidegate_sink_rejected_records_total";
pub const HELD: &str = "tidegate_sink_held_records";
pub const HELD_BYTES: &str = "tidegate_sink_held_bytes";

/// The metrics of one task.
pub struct Metrics {
    written: Counter,
    batches: Counter,
    batch_seconds: Histogram,
    retries: Counter,
    reconnects: Counter,
    rejected: Counter,
    held: Gauge,
    held_bytes: Gauge,
}

impl Metrics {
    pub fn new(id: &TaskId) -> Self {
        let labels = [("connector", id.connector.to_string()), ("task", id.task.to_string())];
        Self {
            written: metrics::counter!(WRITTEN, &labels),
            batches: metrics::counter!(BATCHES, &labels),
            batch_seconds: metrics::histogram!(BATCH_SECONDS, &labels),
            retries: metrics::counter!(RETRIES, &labels),
            reconnects: metrics::counter!(RECONNECTS, &labels),
            rejected: metrics::counter!(REJECTED, &labels),
            held: metrics::gauge!(HELD, &labels),
            held_bytes: metrics::gauge!(HELD_BYTES, &labels),
        }
    }

    pub fn batch(&self, batch: &Batch, outcome: &Outcome, took: Duration) {
        let changes: usize = batch.tables.iter().map(|table| table.changes.len()).sum();
        self.written.increment(changes.saturating_sub(outcome.left.len() + outcome.refusals.len()) as u64);
        self.batches.increment(1);
        self.batch_seconds.record(took.as_secs_f64());
    }

    pub fn retried(&self) {
        self.retries.increment(1);
    }

    pub fn reconnected(&self) {
        self.reconnects.increment(1);
    }

    pub fn rejected(&self, count: usize) {
        self.rejected.increment(count as u64);
    }

    pub fn held(&self, count: usize, bytes: usize) {
        self.held.set(count as f64);
        self.held_bytes.set(bytes as f64);
    }
}

//! What the source counts, under the names that Debezium's dashboards know.

use metrics::{Counter, Gauge, counter, gauge};

use crate::envelope::{Op, now_nanos};

/// Counted on the path of records, published once a batch.
pub struct StreamMetrics {
    pub filtered: u64,
    pub committed: u64,
    pub erroneous: u64,
    creates: u64,
    updates: u64,
    deletes: u64,
    others: u64,
    last_event_micros: i64,
    published: Published,
}

struct Published {
    events: Counter,
    creates: Counter,
    updates: Counter,
    deletes: Counter,
    filtered: Counter,
    committed: Counter,
    erroneous: Counter,
    behind_millis: Gauge,
    connected: Gauge,
    position: Gauge,
    lag_bytes: Gauge,
    queue_bytes: Gauge,
}

impl StreamMetrics {
    /// `queue_bytes_max` bounds what waits between the server's connection and the task.
    pub fn new(server: &str, queue_bytes_max: usize) -> Self {
        let labels = || {
            [
                ("plugin", "postgres".to_owned()),
                ("context", "streaming".to_owned()),
                ("name", server.to_owned()),
            ]
        };
        gauge!("debezium_metrics_MaxQueueSizeInBytes", &labels()).set(queue_bytes_max as f64);
        Self {
            filtered: 0,
            committed: 0,
            erroneous: 0,
            creates: 0,
            updates: 0,
            deletes: 0,
            others: 0,
            last_event_micros: 0,
            published: Published {
                events: counter!("debezium_metrics_TotalNumberOfEventsSeen", &labels()),
                creates: counter!("debezium_metrics_TotalNumberOfCreateEventsSeen", &labels()),
                updates: counter!("debezium_metrics_TotalNumberOfUpdateEventsSeen", &labels()),
                deletes: counter!("debezium_metrics_TotalNumberOfDeleteEventsSeen", &labels()),
                filtered: counter!("debezium_metrics_NumberOfEventsFiltered", &labels()),
                committed: counter!("debezium_metrics_NumberOfCommittedTransactions", &labels()),
                erroneous: counter!("debezium_metrics_NumberOfErroneousEvents", &labels()),
                behind_millis: gauge!("debezium_metrics_MilliSecondsBehindSource", &labels()),
                connected: gauge!("debezium_metrics_Connected", &labels()),
                position: gauge!("tidegate_source_position_lsn", &labels()),
                lag_bytes: gauge!("tidegate_source_lag_bytes", &labels()),
                queue_bytes: gauge!("debezium_metrics_CurrentQueueSizeInBytes", &labels()),
            },
        }
    }

    #[inline]
    pub fn seen(&mut self, op: Op, commit_micros: i64) {
        match op {
            Op::Create => self.creates += 1,
            Op::Update => self.updates += 1,
            Op::Delete => self.deletes += 1,
            _ => self.others += 1,
        }
        self.last_event_micros = commit_micros;
    }

    /// Makes visible what was counted since the last call.
    pub fn publish(&mut self) {
        let published = &self.published;
        let take = |count: &mut u64| std::mem::take(count);
        let (creates, updates, deletes) =
            (take(&mut self.creates), take(&mut self.updates), take(&mut self.deletes));
        let events = creates + updates + deletes + take(&mut self.others);
        published.events.increment(events);
        published.creates.increment(creates);
        published.updates.increment(updates);
        published.deletes.increment(deletes);
        published.filtered.increment(take(&mut self.filtered));
        published.committed.increment(take(&mut self.committed));
        published.erroneous.increment(take(&mut self.erroneous));
        if events > 0 {
            let behind = (now_nanos() / 1000 - self.last_event_micros).max(0) / 1000;
            published.behind_millis.set(behind as f64);
        }
    }

    /// Nothing is left to send: not behind at all.
    pub fn caught_up(&self) {
        self.published.behind_millis.set(0.0);
    }

    /// How much of the queue is filled.
    pub fn queued(&self, bytes: usize) {
        self.published.queue_bytes.set(bytes as f64);
    }

    pub fn connected(&self, connected: Connected) {
        self.published.connected.set(if connected == Connected::Yes { 1.0 } else { 0.0 });
    }

    /// Where the source is, and how many bytes of WAL the server has beyond it.
    pub fn position(&self, lsn: u64, server_lsn: u64) {
        self.published.position.set(lsn as f64);
        self.published.lag_bytes.set(server_lsn.saturating_sub(lsn) as f64);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connected {
    Yes,
    No,
}

/// Progress of the snapshot.
pub struct SnapshotMetrics {
    server: String,
    running: Gauge,
    completed: Gauge,
    tables: Gauge,
    tables_left: Gauge,
}

impl SnapshotMetrics {
    pub fn new(server: &str) -> Self {
        let labels = || {
            [
                ("plugin", "postgres".to_owned()),
                ("context", "snapshot".to_owned()),
                ("name", server.to_owned()),
            ]
        };
        Self {
            server: server.to_owned(),
            running: gauge!("debezium_metrics_SnapshotRunning", &labels()),
            completed: gauge!("debezium_metrics_SnapshotCompleted", &labels()),
            tables: gauge!("debezium_metrics_TotalTableCount", &labels()),
            tables_left: gauge!("debezium_metrics_RemainingTableCount", &labels()),
        }
    }

    pub fn started(&self, tables: usize) {
        self.running.set(1.0);
        self.completed.set(0.0);
        self.tables.set(tables as f64);
        self.tables_left.set(tables as f64);
    }

    pub fn table(&self, table: &str, rows: u64, estimated: f64) {
        let labels = [
            ("plugin", "postgres".to_owned()),
            ("context", "snapshot".to_owned()),
            ("name", self.server.clone()),
            ("table", table.to_owned()),
        ];
        gauge!("debezium_metrics_RowsScanned", &labels).set(rows as f64);
        gauge!("tidegate_snapshot_rows_estimated", &labels).set(estimated);
    }

    pub fn tables_left(&self, tables: usize) {
        self.tables_left.set(tables as f64);
    }

    pub fn finished(&self) {
        self.running.set(0.0);
        self.completed.set(1.0);
        self.tables_left.set(0.0);
    }
}

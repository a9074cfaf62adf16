//! What each series of `/metrics` means, for whoever reads them there.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

enum Kind {
    Counter,
    Gauge,
    Histogram,
}
use Kind::{Counter, Gauge, Histogram};

const HELP: &[(&str, Kind, &str)] = &[
    ("debezium_metrics_Connected", Gauge, "Whether the source has its replication connection."),
    ("debezium_metrics_CurrentQueueSizeInBytes", Gauge, "Read from the server and not decoded yet."),
    ("debezium_metrics_MaxQueueSizeInBytes", Gauge, "As much may be read ahead."),
    ("debezium_metrics_MilliSecondsBehindSource", Gauge, "Age of the last change when it was handed over."),
    (
        "debezium_metrics_NumberOfCommittedTransactions",
        Counter,
        "Transactions that were read to their commit.",
    ),
    ("debezium_metrics_NumberOfErroneousEvents", Counter, "Changes that could not become records."),
    ("debezium_metrics_NumberOfEventsFiltered", Counter, "Changes that the configuration leaves out."),
    ("debezium_metrics_TotalNumberOfCreateEventsSeen", Counter, "Inserts that were captured."),
    ("debezium_metrics_TotalNumberOfDeleteEventsSeen", Counter, "Deletes that were captured."),
    ("debezium_metrics_TotalNumberOfEventsSeen", Counter, "Changes that were captured."),
    ("debezium_metrics_TotalNumberOfUpdateEventsSeen", Counter, "Updates that were captured."),
    ("debezium_metrics_RemainingTableCount", Gauge, "Tables that the snapshot has not finished."),
    ("debezium_metrics_RowsScanned", Gauge, "Rows of the table that the snapshot has read."),
    ("debezium_metrics_SnapshotCompleted", Gauge, "Whether the snapshot came to its end."),
    ("debezium_metrics_SnapshotRunning", Gauge, "Whether a snapshot is being read."),
    ("debezium_metrics_TotalTableCount", Gauge, "Tables of the snapshot."),
    (
        "kafka_connect_sink_task_metrics_offset_commit_completion_total",
        Counter,
        "Commits of the group's offsets.",
    ),
    ("kafka_connect_sink_task_metrics_partition_count", Gauge, "Partitions that the task reads."),
    (
        "kafka_connect_sink_task_metrics_sink_record_lag_max",
        Gauge,
        "Records to read in the slowest partition.",
    ),
    ("kafka_connect_sink_task_metrics_sink_record_read_total", Counter, "Records read from Kafka."),
    (
        "kafka_connect_sink_task_metrics_sink_record_send_total",
        Counter,
        "Records given to the sink, after transforms.",
    ),
    (
        "kafka_connect_source_task_metrics_source_record_active_count",
        Gauge,
        "Records that Kafka has not acknowledged.",
    ),
    (
        "kafka_connect_source_task_metrics_source_record_poll_total",
        Counter,
        "Records from the source, before transforms.",
    ),
    ("kafka_connect_source_task_metrics_source_record_write_total", Counter, "Records sent to Kafka."),
    (
        "kafka_connect_task_error_metrics_deadletterqueue_produce_failures",
        Counter,
        "Records that the dead letter topic did not take.",
    ),
    (
        "kafka_connect_task_error_metrics_deadletterqueue_produce_requests",
        Counter,
        "Records sent to the dead letter topic.",
    ),
    (
        "kafka_connect_task_error_metrics_last_error_timestamp",
        Gauge,
        "When a record failed last, in milliseconds since 1970.",
    ),
    ("kafka_connect_task_error_metrics_total_errors_logged", Counter, "Errors of records that were logged."),
    ("kafka_connect_task_error_metrics_total_record_errors", Counter, "Records that failed for good."),
    (
        "kafka_connect_task_error_metrics_total_record_failures",
        Counter,
        "Failures of records, repeated attempts included.",
    ),
    (
        "kafka_connect_task_error_metrics_total_records_skipped",
        Counter,
        "Records that were left out because of an error.",
    ),
    ("kafka_connect_task_error_metrics_total_retries", Counter, "Attempts at records after the first one."),
    ("tidegate_sink_batch_seconds", Histogram, "Time of a batch at the target."),
    ("tidegate_sink_batches_total", Counter, "Batches that were committed at the target."),
    ("tidegate_sink_held_bytes", Gauge, "Memory of changes that wait for a row of another table."),
    ("tidegate_sink_held_records", Gauge, "Changes that wait for a row of another table."),
    ("tidegate_sink_reconnects_total", Counter, "Sessions at the target that were opened again."),
    ("tidegate_sink_record_read_bytes_total", Counter, "Bytes of keys and values read from Kafka."),
    ("tidegate_sink_rejected_records_total", Counter, "Records that the target refused."),
    ("tidegate_sink_retries_total", Counter, "Batches that were tried again."),
    (
        "tidegate_sink_rows_written_total",
        Counter,
        "Changes that were written, the last one of each key in a batch.",
    ),
    ("tidegate_snapshot_rows_estimated", Gauge, "Rows of the table by the server's statistics."),
    ("tidegate_source_lag_bytes", Gauge, "WAL between the server's end and what was handed over."),
    ("tidegate_source_offset_commits_total", Counter, "Positions that were stored in Kafka."),
    ("tidegate_source_position_lsn", Gauge, "How far the source is, as a number."),
    ("tidegate_source_record_write_bytes_total", Counter, "Bytes of keys and values sent to Kafka."),
];

/// Tells the recorder, which must be installed.
pub fn describe() {
    for (name, kind, text) in HELP {
        match kind {
            Counter => describe_counter!(*name, *text),
            Gauge => describe_gauge!(*name, *text),
            Histogram => describe_histogram!(*name, Unit::Seconds, *text),
        }
    }
}

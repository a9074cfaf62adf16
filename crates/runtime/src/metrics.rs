//! Numbers of tasks and connectors, under the names that the usual JMX exporter rules give to Connect's.

use connect::contract::TaskId;
use metrics::{Counter, Gauge, Label, counter, gauge};

/// Labels of a task's series.
pub fn labels(task: &TaskId) -> Vec<Label> {
    vec![Label::new("connector", task.connector.to_string()), Label::new("task", task.task.to_string())]
}

/// A source task's numbers.
pub struct SourceMetrics {
    pub polled: Counter,
    pub written: Counter,
    pub written_bytes: Counter,
    pub active: Gauge,
    pub offset_commits: Counter,
}

impl SourceMetrics {
    pub fn new(task: &TaskId) -> Self {
        let labels = labels(task);
        Self {
            polled: counter!("kafka_connect_source_task_metrics_source_record_poll_total", labels.iter()),
            written: counter!("kafka_connect_source_task_metrics_source_record_write_total", labels.iter()),
            written_bytes: counter!("tidegate_source_record_write_bytes_total", labels.iter()),
            active: gauge!("kafka_connect_source_task_metrics_source_record_active_count", labels.iter()),
            offset_commits: counter!("tidegate_source_offset_commits_total", labels.iter()),
        }
    }
}

/// A sink task's numbers.
pub struct SinkMetrics {
    pub read: Counter,
    pub read_bytes: Counter,
    pub sent: Counter,
    pub partitions: Gauge,
    pub lag_max: Gauge,
    pub offset_commits: Counter,
}

impl SinkMetrics {
    pub fn new(task: &TaskId) -> Self {
        let labels = labels(task);
        Self {
            read: counter!("kafka_connect_sink_task_metrics_sink_record_read_total", labels.iter()),
            read_bytes: counter!("tidegate_sink_record_read_bytes_total", labels.iter()),
            sent: counter!("kafka_connect_sink_task_metrics_sink_record_send_total", labels.iter()),
            partitions: gauge!("kafka_connect_sink_task_metrics_partition_count", labels.iter()),
            lag_max: gauge!("kafka_connect_sink_task_metrics_sink_record_lag_max", labels.iter()),
            offset_commits: counter!(
                "kafka_connect_sink_task_metrics_offset_commit_completion_total",
                labels.iter()
            ),
        }
    }
}

/// A task's errors.
pub struct ErrorMetrics {
    pub failures: Counter,
    pub errors: Counter,
    pub skipped: Counter,
    pub retries: Counter,
    pub logged: Counter,
    pub dead_letters: Counter,
    pub dead_letter_failures: Counter,
    /// Milliseconds since the epoch.
    pub last_error: Gauge,
}

impl ErrorMetrics {
    pub fn new(task: &TaskId) -> Self {
        let labels = labels(task);
        Self {
            failures: counter!("kafka_connect_task_error_metrics_total_record_failures", labels.iter()),
            errors: counter!("kafka_connect_task_error_metrics_total_record_errors", labels.iter()),
            skipped: counter!("kafka_connect_task_error_metrics_total_records_skipped", labels.iter()),
            retries: counter!("kafka_connect_task_error_metrics_total_retries", labels.iter()),
            logged: counter!("kafka_connect_task_error_metrics_total_errors_logged", labels.iter()),
            dead_letters: counter!(
                "kafka_connect_task_error_metrics_deadletterqueue_produce_requests",
                labels.iter()
            ),
            dead_letter_failures: counter!(
                "kafka_connect_task_error_metrics_deadletterqueue_produce_failures",
                labels.iter()
            ),
            last_error: gauge!("kafka_connect_task_error_metrics_last_error_timestamp", labels.iter()),
        }
    }
}

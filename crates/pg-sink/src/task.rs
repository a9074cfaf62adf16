//! The sink task as the runtime sees it: a queue in front of the writing loop.

use std::sync::Arc;

use connect::contract::{SinkProgress, TaskId, Tolerance};
use connect::{Origin, Record, SinkTask, TaskError, TopicPartition};
use futures::future::{BoxFuture, FutureExt};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::engine::Engine;
use crate::prepare::Delivery;
use crate::settings::Settings;
use crate::shared::{LoopGuard, Owned, QUEUE_BYTES_MAX, Shared, copied};

/// What a record costs beside its bytes.
const RECORD_BYTES: usize = 1_500;

/// A task of either JDBC sink.
pub struct JdbcSink {
    settings: Arc<Settings>,
    id: TaskId,
    shared: Arc<Shared>,
    engine: Option<JoinHandle<()>>,
    /// Whether all partitions are paused because the queue is full.
    congested: bool,
}

impl JdbcSink {
    pub fn new(settings: Settings, id: TaskId) -> Self {
        Self {
            settings: Arc::new(settings),
            id,
            shared: Arc::new(Shared::default()),
            engine: None,
            congested: false,
        }
    }

    /// What has gone wrong, if anything; a failure that is repeated is only an error of the call.
    fn trouble(&self) -> Result<(), TaskError> {
        let state = self.shared.state.lock();
        if let Some(failure) = &state.failure {
            return Err(copied(failure));
        }
        match &state.retrying {
            Some(message) => Err(TaskError::retry(message.clone())),
            None => Ok(()),
        }
    }

    async fn accept(&mut self, records: Vec<Record>) -> Result<(), TaskError> {
        if !records.is_empty() {
            let bytes = records.iter().map(bytes_of).sum();
            let mut state = self.shared.state.lock();
            for record in &records {
                if let Origin::Kafka(origin) = &record.origin {
                    let partition =
                        TopicPartition { topic: origin.topic.clone(), partition: origin.partition };
                    if let Some(owned) = state.owned.get_mut(&partition) {
                        owned.at_end = false;
                    }
                }
            }
            state.stamp += 1;
            let stamp = state.stamp;
            state.queue_bytes += bytes;
            state.queue.push_back(Delivery { records, bytes, stamp });
        }
        self.shared.work.notify_one();
        loop {
            let shared = self.shared.clone();
            let room = shared.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            self.trouble()?;
            if self.shared.state.lock().has_room() {
                return Ok(());
            }
            room.await;
        }
    }
}

fn bytes_of(record: &Record) -> usize {
    let raw = record.kafka_origin().map_or(0, |origin| origin.raw.size_bytes());
    RECORD_BYTES + 2 * raw
}

impl SinkTask for JdbcSink {
    fn start(&mut self, tolerance: Tolerance) -> BoxFuture<'_, Result<(), TaskError>> {
        async move {
            let engine =
                Engine::start(self.settings.clone(), self.shared.clone(), self.id.clone(), tolerance).await?;
            let guard = LoopGuard(self.shared.clone());
            self.engine = Some(tokio::spawn(async move {
                let _guard = guard;
                engine.run().await;
            }));
            Ok(())
        }
        .boxed()
    }

    fn open(&mut self, partitions: &[TopicPartition]) {
        let mut state = self.shared.state.lock();
        state.stamp += 1;
        let opened_at = state.stamp;
        for partition in partitions {
            state.owned.insert(partition.clone(), Owned { opened_at, at_end: false, done: None });
        }
        drop(state);
        self.shared.work.notify_one();
    }

    fn close(&mut self, partitions: &[TopicPartition]) {
        let mut state = self.shared.state.lock();
        state.stamp += 1;
        for partition in partitions {
            state.owned.remove(partition);
            state.held.remove(partition);
            state.full.retain(|full| full != partition);
            state.closed.push(partition.clone());
        }
        let is_closed = |record: &Record| {
            record.kafka_origin().is_some_and(|origin| {
                partitions.iter().any(|p| p.partition == origin.partition && p.topic == origin.topic)
            })
        };
        for delivery in &mut state.queue {
            delivery.records.retain(|record| !is_closed(record));
        }
        drop(state);
        self.shared.work.notify_one();
    }

    fn reached_end(&mut self, partition: &TopicPartition) {
        if let Some(owned) = self.shared.state.lock().owned.get_mut(partition) {
            owned.at_end = true;
        }
    }

    fn put(&mut self, records: Vec<Record>) -> BoxFuture<'_, Result<(), TaskError>> {
        self.accept(records).boxed()
    }

    fn flush(&mut self) -> BoxFuture<'_, Result<(), TaskError>> {
        async move {
            if let Err(error) = self.trouble()
                && error.fate != connect::Fate::Retry
            {
                return Err(error);
            }
            let (sender, receiver) = oneshot::channel();
            {
                let mut state = self.shared.state.lock();
                if state.ended {
                    return Ok(());
                }
                state.flushes.push(sender);
            }
            self.shared.work.notify_one();
            receiver.await.unwrap_or_else(|_| self.trouble())
        }
        .boxed()
    }

    fn progress(&mut self) -> SinkProgress {
        let mut state = self.shared.state.lock();
        let mut progress =
            SinkProgress { rejected: std::mem::take(&mut state.rejected), ..SinkProgress::default() };
        for (partition, owned) in &state.owned {
            if let Some(done) = owned.done {
                let held = state.held.get(partition).copied().unwrap_or(i64::MAX);
                progress.offsets.insert(partition.clone(), done.min(held));
            }
        }
        // All stop when the queue is full, and go on when half of it is written.
        self.congested =
            state.queue_bytes > if self.congested { QUEUE_BYTES_MAX / 2 } else { QUEUE_BYTES_MAX };
        progress.paused =
            if self.congested { state.owned.keys().cloned().collect() } else { state.full.clone() };
        progress.paused.sort();
        progress
    }

    fn news(&mut self) -> BoxFuture<'_, ()> {
        self.shared.news.notified().boxed()
    }

    fn stop(&mut self) -> BoxFuture<'_, ()> {
        async move {
            self.shared.state.lock().stopping = true;
            self.shared.work.notify_one();
            if let Some(engine) = self.engine.take() {
                let _ = engine.await;
            }
        }
        .boxed()
    }
}

impl Drop for JdbcSink {
    fn drop(&mut self) {
        if let Some(engine) = &self.engine {
            engine.abort();
        }
    }
}

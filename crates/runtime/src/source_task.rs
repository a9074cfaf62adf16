//! One source task: poll, transform, convert, produce, and commit what is durable.
//!
//! Kafka's acknowledgements come back in any order; the position that is committed is the newest one of which
//! every record, and every record before, is acknowledged. Only after the position itself is durable in the
//! offsets topic does the source hear of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use connect::contract::{StoredOffsets, TaskId};
use connect::settings::Properties;
use connect::{Fate, Record, SourceBatch, SourceTask, TaskError, Verdict};
use kafka::{OpenRound, Place, Producer, Topic};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use transforms::Chain;

use crate::codec::{Converters, RecordEncoder, StageError};
use crate::connector_settings::{ConverterSettings, ErrorSettings};
use crate::failures::{Attempts, Coordinates, Failed, Failures, Stage};
use crate::herder::TaskContext;
use crate::metrics::SourceMetrics;
use crate::offsets::{InFlight, SourceOffsets};
use crate::signals::{Channels, Marks};
use crate::supervisor::{Change, Control};

/// How a batch ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    All,
    /// The task is to stop; the rest of the batch is not sent.
    Stopped,
}

/// What a batch wrote.
#[derive(Default)]
struct Written {
    records: u64,
    bytes: usize,
}

/// Under this name Connect reports what Kafka would not take.
const WORKER_SOURCE_TASK: &str = "org.apache.kafka.connect.runtime.WorkerSourceTask";
/// Bytes of a key that an error shows.
const KEY_SHOWN_MAX: usize = 200;

/// A running source task; owned by its loop.
struct Running {
    id: TaskId,
    task: Box<dyn SourceTask>,
    chain: Chain,
    encoder: RecordEncoder,
    producer: Producer,
    failures: Failures,
    offsets: Arc<SourceOffsets>,
    context: Arc<TaskContext>,
    in_flight: InFlight,
    /// Topics written to, by the identity of their name, with the epoch of the record of topics.
    topics: HashMap<usize, (Arc<str>, Topic), foldhash::fast::RandomState>,
    topics_epoch: u64,
    metrics: SourceMetrics,
    signals: Channels,
    marks: Marks,
}

/// Runs until the control says stop, or an error ends the task.
///
/// # Errors
/// `Fate::Retry` where starting again helps, else what a person must do.
pub async fn run(
    context: Arc<TaskContext>,
    id: TaskId,
    properties: Properties,
    mut task: Box<dyn SourceTask>,
    mut control: Control,
) -> Result<(), TaskError> {
    let worker = &context.settings;
    let failures = Failures::new(ErrorSettings::new(&properties), &id, None);
    let encoder = RecordEncoder::new(Converters::new(&ConverterSettings::new(worker, &properties))?);
    let chain = Chain::new(&properties)?;
    let client_id = format!("connector-producer-{}-{}", id.connector, id.task);
    let mut clients = worker.connector_clients("producer.", &properties);
    if clients.get("client.id").is_none() {
        clients.set("client.id", client_id);
    }
    let producer = Producer::new(&clients).map_err(|error| TaskError::halt(error.to_string()))?;
    let stored = context.offsets.read(&id.connector).await.map_err(kafka_failed)?;
    if let Err(error) = task.start(StoredOffsets(stored)).await {
        let _ = task.stop().await;
        return Err(error);
    }
    let signals = match Channels::open(&task.signal_channels()) {
        Ok(signals) => signals,
        Err(error) => {
            let _ = task.stop().await;
            return Err(error);
        }
    };
    control.started();
    let metrics = SourceMetrics::new(&id);
    let offsets = context.offsets.clone();
    let mut running = Running {
        id,
        task,
        chain,
        encoder,
        producer,
        failures,
        offsets,
        context,
        in_flight: InFlight::default(),
        topics: HashMap::default(),
        topics_epoch: 0,
        metrics,
        signals,
        marks: Marks::default(),
    };
    let result = running.turn(&mut control).await;
    let end = running.finish(result.is_ok()).await;
    result.and(end)
}

impl Running {
    async fn turn(&mut self, control: &mut Control) -> Result<(), TaskError> {
        let period = self.context.settings.offset_flush_interval;
        let mut commit_at = interval_at(Instant::now() + period, period);
        commit_at.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let paused = control.is_paused();
            // Stopping goes first, then what frees memory (acknowledgements), then what must be on time
            // (commits), and new records last.
            tokio::select! {
                biased;
                change = control.changed() => if change == Change::Stop {
                    return Ok(());
                },
                () = self.producer.changed() => self.acknowledge().await?,
                _ = commit_at.tick() => self.commit().await,
                received = self.signals.next(), if !paused => {
                    self.marks.handed(received.until);
                    received.signals.into_iter().for_each(|signal| self.task.signal(signal));
                }
                batch = self.task.poll(), if !paused => match batch {
                    Ok(batch) => self.send(batch, control).await?,
                    Err(error) if error.fate == Fate::Retry => self.wait_out(&error, control).await,
                    Err(error) => return Err(error),
                },
            }
        }
    }

    /// The source lost its connection and will connect again on the next poll.
    async fn wait_out(&mut self, error: &TaskError, control: &mut Control) {
        let delay = control.failed_transiently(error);
        tokio::select! {
            () = control.stopped() => {}
            () = tokio::time::sleep(delay) => {}
        }
    }

    async fn send(&mut self, batch: SourceBatch, control: &mut Control) -> Result<(), TaskError> {
        control.works();
        let epoch = self.context.status.topics_epoch();
        if epoch != self.topics_epoch {
            self.topics_epoch = epoch;
            self.topics.clear();
        }
        self.metrics.polled.increment(batch.records.len() as u64);
        let is_empty = batch.records.is_empty();
        let mut round = self.producer.open();
        let sent = self.send_records(batch.records, &mut round, control).await;
        self.producer.close(round);
        if sent? == Sent::Stopped {
            return Ok(());
        }
        let sent = self.producer.sent();
        self.metrics.active.set((sent - self.producer.acknowledged()) as f64);
        if let Some(position) = batch.position {
            self.in_flight.sent(sent, position);
            self.marks.position(sent);
            self.in_flight.acknowledged(self.producer.acknowledged());
            if is_empty {
                // The source has nothing to send and wants to forget: a server that shuts down waits for this word.
                self.commit().await;
            }
        }
        Ok(())
    }

    async fn send_records(
        &mut self,
        records: Vec<Record>,
        round: &mut OpenRound,
        control: &mut Control,
    ) -> Result<Sent, TaskError> {
        let mut written = Written::default();
        for mut record in records {
            let original = self.failures.shows_source_records().then(|| record.clone());
            let failed = original.as_ref().map_or(Failed::Unknown, Failed::Source);
            if self.transform(&mut record, failed).await? == Verdict::Drop {
                continue;
            }
            if self.wait_for_room(round, control).await == Sent::Stopped {
                return Ok(Sent::Stopped);
            }
            let mut attempts = Attempts::default();
            loop {
                match self.produce(&record, round).await {
                    Ok(bytes) => {
                        written.records += 1;
                        written.bytes += bytes;
                        break;
                    }
                    Err(StageError { stage, error }) => {
                        let at = Coordinates { stage, class: class_of(stage, self.encoder.classes()) };
                        match self.failures.handle(failed, &at, error, &mut attempts).await? {
                            Some(delay) => {
                                // What was made before does not wait for this one.
                                self.producer.close(std::mem::take(round));
                                tokio::select! {
                                    () = control.stopped() => {}
                                    () = tokio::time::sleep(delay) => {}
                                }
                                *round = self.producer.open();
                                if control.is_stopped() {
                                    return Ok(Sent::Stopped);
                                }
                            }
                            None => break,
                        }
                    }
                }
            }
            if control.is_stopped() {
                return Ok(Sent::Stopped);
            }
        }
        self.metrics.written.increment(written.records);
        self.metrics.written_bytes.increment(written.bytes as u64);
        Ok(Sent::All)
    }

    /// Waits while as much as may wait is waiting for the broker.
    async fn wait_for_room(&mut self, round: &mut OpenRound, control: &mut Control) -> Sent {
        while !self.producer.has_room(round) {
            self.producer.close(std::mem::take(round));
            let stopped = tokio::select! {
                () = control.stopped() => true,
                () = self.producer.changed() => false,
            };
            self.in_flight.acknowledged(self.producer.acknowledged());
            *round = self.producer.open();
            if stopped {
                return Sent::Stopped;
            }
        }
        Sent::All
    }

    async fn transform(&mut self, record: &mut Record, failed: Failed<'_>) -> Result<Verdict, TaskError> {
        match self.chain.apply(record) {
            Ok(verdict) => Ok(verdict),
            // Transforms are pure, so this cannot pass by itself; the record is half changed, too.
            Err(error) if error.fate == Fate::Retry => Err(error),
            Err(error) => {
                let at = Coordinates { stage: Stage::Transformation, class: self.chain.failed_class() };
                self.failures.handle(failed, &at, error, &mut Attempts::default()).await?;
                Ok(Verdict::Drop)
            }
        }
    }

    /// Encodes one record into the round. Returns its size.
    async fn produce(&mut self, record: &Record, round: &mut OpenRound) -> Result<usize, StageError> {
        let produce = |error: TaskError| StageError { stage: Stage::KafkaProduce, error };
        let topic = self.topic(&record.topic).map_err(produce)?;
        let start = round.buffer().len();
        let encoded = self.encoder.encode(record, round.buffer()).await?;
        let place = Place {
            topic: &topic,
            partition: record.partition,
            headers: encoded.headers.as_ref(),
            timestamp: record.timestamp,
        };
        let bytes = encoded.parts.bytes();
        if self.producer.is_too_large(encoded.parts) {
            let key = &round.buffer()[start..start + encoded.parts.key.unwrap_or(0).min(KEY_SHOWN_MAX)];
            let message = format!(
                "record of {bytes} bytes for topic {} with key {} is larger than the producer allows",
                record.topic,
                encoded.parts.key.map_or("null".into(), |_| String::from_utf8_lossy(key)),
            );
            round.buffer().truncate(start);
            let hint = "set producer.override.max.request.size, and max.message.bytes of the topic";
            return Err(produce(TaskError::reject(message).with_hint(hint)));
        }
        self.producer.enter(round, &place, encoded.parts);
        Ok(bytes)
    }

    fn topic(&mut self, name: &Arc<str>) -> Result<Topic, TaskError> {
        let identity = name.as_ptr() as usize;
        if let Some((_, topic)) = self.topics.get(&identity) {
            return Ok(topic.clone());
        }
        let topic = self.producer.topic(name).map_err(|error| TaskError::halt(error.to_string()))?;
        self.context.status.saw_topic(&self.id, name);
        self.topics.insert(identity, (name.clone(), topic.clone()));
        Ok(topic)
    }

    async fn acknowledge(&mut self) -> Result<(), TaskError> {
        for failed in self.producer.take_undelivered() {
            let message = format!("record was not delivered to Kafka: {}", failed.error);
            let error = if failed.error.is_transient() {
                TaskError::retry(message)
            } else if failed.error.is_too_large() {
                TaskError::reject(message).with_hint("raise max.message.bytes of the topic")
            } else {
                TaskError::halt(message)
            };
            let at = Coordinates { stage: Stage::KafkaProduce, class: WORKER_SOURCE_TASK };
            match error.fate {
                Fate::Retry => return Err(error),
                _ => drop(self.failures.handle(Failed::Unknown, &at, error, &mut Attempts::default()).await?),
            }
        }
        self.in_flight.acknowledged(self.producer.acknowledged());
        Ok(())
    }

    /// Stores the newest durable position, then tells the source. A failed write is tried again with the next
    /// period: until then nothing is confirmed, and nothing lost.
    async fn commit(&mut self) {
        let reached = self.in_flight.reached_number();
        let Some(position) = self.in_flight.take_reached() else { return };
        let written = self.offsets.write(&self.id.connector, std::slice::from_ref(&position)).await;
        match written {
            Ok(()) => {
                self.metrics.offset_commits.increment(1);
                self.task.committed(&position);
                for until in self.marks.committed(reached) {
                    self.signals.forget(until).await;
                }
            }
            Err(error) => {
                tracing::warn!(connector = &*self.id.connector, %error, "offsets could not be committed");
                self.in_flight.put_back(position);
            }
        }
    }

    /// Waits for what is in flight, commits it and stops the source.
    async fn finish(mut self, in_peace: bool) -> Result<(), TaskError> {
        let timeout = self.context.settings.offset_flush_timeout.min(Duration::from_secs(60));
        let flushed = self.producer.flush(timeout).await;
        if let Err(error) = &flushed {
            tracing::warn!(connector = &*self.id.connector, %error, "stopping before all records are acknowledged");
        }
        if flushed.is_ok() || in_peace {
            self.in_flight.acknowledged(self.producer.acknowledged());
        }
        self.commit().await;
        let stopped = self.task.stop().await;
        self.signals.close().await;
        stopped
    }
}

fn class_of(stage: Stage, classes: &[String; 3]) -> &str {
    match stage {
        Stage::KeyConverter => &classes[0],
        Stage::ValueConverter => &classes[1],
        Stage::HeaderConverter => &classes[2],
        _ => WORKER_SOURCE_TASK,
    }
}

pub fn kafka_failed(error: kafka::Error) -> TaskError {
    if error.is_transient() {
        TaskError::retry(error.to_string())
    } else {
        TaskError::halt(error.to_string())
    }
}

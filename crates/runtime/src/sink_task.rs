//! One sink task: consume, convert, transform, put, and commit what is durable at the target.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use connect::contract::{SinkProgress, TaskId};
use connect::settings::Properties;
use connect::{Fate, Record, SinkTask, TaskError, TopicPartition, Verdict};
use kafka::consumer::{BatchLimits, Partition, Subscription};
use kafka::{Consumer, ConsumerEvent, Message};
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};
use transforms::Chain;

use crate::codec::{Converters, RecordDecoder, origin};
use crate::connector_settings::{ConverterSettings, ErrorSettings};
use crate::failures::{Attempts, Coordinates, DeadLetters, Failed, Failures, Stage};
use crate::herder::TaskContext;
use crate::metrics::SinkMetrics;
use crate::source_task::kafka_failed;
use crate::supervisor::{Change, Control};

/// Messages of one `put`, which `consumer.override.max.poll.records` may lower. More does not come faster: a put only
/// fills a queue, and the sink makes its own batches of it.
const POLL_RECORDS_MAX: usize = 1_000;
/// Payload bytes of one `put`.
const POLL_BYTES_MAX: usize = 1024 * 1024;
/// How often a task without news gets the chance to write what it holds.
const TICK: Duration = Duration::from_millis(500);

/// How far one partition is.
#[derive(Default)]
struct Reading {
    /// Next offset behind the last record that was put; 0 before the first one.
    put_next: i64,
    /// Next offset behind the last message that was read, also where it was dropped or skipped.
    read_next: i64,
    /// Committed to Kafka.
    committed: i64,
    /// When the topic was entered into the record of topics.
    topics_epoch: Option<u64>,
}

/// What became of a message.
#[expect(
    clippy::large_enum_variant,
    reason = "returned and taken apart at once; a box would be an allocation per record"
)]
enum Decoded {
    Record(Record),
    /// Dropped by a transform, or skipped because of an error.
    LeftOut,
    /// Nothing yet: the task is to stop.
    Stopped,
}

/// A running sink task; owned by its loop.
struct Running {
    id: TaskId,
    task: Box<dyn SinkTask>,
    chain: Chain,
    decoder: RecordDecoder,
    consumer: Consumer,
    failures: Failures,
    context: Arc<TaskContext>,
    owned: BTreeMap<Partition, Reading>,
    /// Durable at the target, by the task's word.
    durable: BTreeMap<Partition, i64>,
    /// Paused because the task wants nothing more of them.
    held_back: Vec<Partition>,
    metrics: SinkMetrics,
}

/// Runs until the control says stop, or an error ends the task.
///
/// # Errors
/// `Fate::Retry` where starting again helps, else what a person must do.
pub async fn run(
    context: Arc<TaskContext>,
    id: TaskId,
    properties: Properties,
    mut task: Box<dyn SinkTask>,
    mut control: Control,
) -> Result<(), TaskError> {
    let worker = &context.settings;
    let errors = ErrorSettings::new(&properties);
    let decoder = RecordDecoder::new(Converters::new(&ConverterSettings::new(worker, &properties))?);
    let chain = Chain::new(&properties)?;
    let dead_letters = match &errors.dead_letter {
        Some(settings) => Some(DeadLetters::open(settings, worker, &properties, &id).await?),
        None => None,
    };
    if let Err(error) = task.start(errors.put_tolerance()).await {
        task.stop().await;
        return Err(error);
    }
    let consumer = consumer(&context, &id, &properties)?;
    control.started();
    let metrics = SinkMetrics::new(&id);
    let failures = Failures::new(errors, &id, dead_letters);
    let mut running = Running {
        id,
        task,
        chain,
        decoder,
        consumer,
        failures,
        context,
        owned: BTreeMap::new(),
        durable: BTreeMap::new(),
        held_back: vec![],
        metrics,
    };
    let result = running.turn(&mut control).await;
    running.finish(result).await
}

fn consumer(context: &TaskContext, id: &TaskId, properties: &Properties) -> Result<Consumer, TaskError> {
    let mut clients = context.settings.connector_clients("consumer.", properties);
    if clients.get("group.id").is_none() {
        clients.set("group.id", format!("connect-{}", id.connector));
    }
    if clients.get("client.id").is_none() {
        clients.set("client.id", format!("connector-consumer-{}-{}", id.connector, id.task));
    }
    let list = |key: &str| properties.get(key).map(|text| text.trim()).filter(|text| !text.is_empty());
    let subscription = match (list("topics"), list("topics.regex")) {
        (Some(topics), _) => {
            Subscription::Topics(topics.split(',').map(|topic| topic.trim().to_owned()).collect())
        }
        (None, Some(regex)) => Subscription::Pattern(regex.to_owned()),
        (None, None) => return Err(TaskError::halt("neither topics nor topics.regex is set")),
    };
    let messages_max =
        clients.get("max.poll.records").and_then(|text| text.parse().ok()).unwrap_or(POLL_RECORDS_MAX);
    let limits =
        BatchLimits { messages_max: messages_max.clamp(1, POLL_RECORDS_MAX), bytes_max: POLL_BYTES_MAX };
    Consumer::new(&clients, &subscription, limits).map_err(kafka_failed)
}

impl Running {
    async fn turn(&mut self, control: &mut Control) -> Result<(), TaskError> {
        let period = self.context.settings.offset_flush_interval;
        let mut commit_at = interval_at(Instant::now() + period, period);
        commit_at.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Stopping goes first, then what the task has to say (it may pause partitions), then what must be on
            // time, and new messages last.
            tokio::select! {
                biased;
                change = control.changed() => match change {
                    Change::Stop => return Ok(()),
                    Change::Target => self.pause_or_resume(control)?,
                },
                () = self.task.news() => self.progress().await?,
                _ = commit_at.tick() => self.commit().await?,
                _ = tick.tick() => self.put(vec![], control).await?,
                event = self.consumer.next() => match event {
                    Some(event) => self.event(event, control).await?,
                    None => return Err(TaskError::retry("the consumer ended")),
                },
            }
        }
    }

    async fn event(&mut self, event: ConsumerEvent, control: &mut Control) -> Result<(), TaskError> {
        match event {
            ConsumerEvent::Batch { messages, ends } => {
                let records = self.decode(messages, control).await?;
                if !records.is_empty() {
                    self.put(records, control).await?;
                }
                for (topic, partition) in ends {
                    self.task.reached_end(&TopicPartition { topic, partition });
                }
                self.measure_lag();
            }
            ConsumerEvent::Assigned(partitions) => {
                self.task.open(&topic_partitions(&partitions));
                self.owned.extend(partitions.into_iter().map(|partition| (partition, Reading::default())));
                self.metrics.partitions.set(self.owned.len() as f64);
                if control.is_paused() {
                    self.pause_or_resume(control)?;
                }
            }
            ConsumerEvent::Revoked { partitions, lost, done } => {
                if !lost {
                    self.task.flush().await?;
                    self.progress().await?;
                    self.commit().await?;
                }
                self.task.close(&topic_partitions(&partitions));
                for partition in &partitions {
                    self.owned.remove(partition);
                    self.durable.remove(partition);
                }
                self.held_back.retain(|held| !partitions.contains(held));
                self.metrics.partitions.set(self.owned.len() as f64);
                let _ = done.send(());
            }
            ConsumerEvent::Failed { error, fatal: true } => return Err(TaskError::halt(error.to_string())),
            ConsumerEvent::Failed { error, fatal: false } => {
                if error.is_transient() {
                    tracing::warn!(connector = &*self.id.connector, %error, "kafka consumer");
                } else {
                    return Err(TaskError::halt(error.to_string()));
                }
            }
        }
        Ok(())
    }

    /// Converts and transforms; what fails is skipped or ends the task.
    async fn decode(
        &mut self,
        messages: Vec<Message>,
        control: &mut Control,
    ) -> Result<Vec<Record>, TaskError> {
        let mut records = Vec::with_capacity(messages.len());
        let mut bytes = 0;
        self.metrics.read.increment(messages.len() as u64);
        for message in messages {
            bytes += message.key.as_ref().map_or(0, |key| key.len())
                + message.value.as_ref().map_or(0, |v| v.len());
            let decoded = self.decode_one(&message, control).await?;
            if matches!(decoded, Decoded::Stopped) {
                break;
            }
            let reading = self.reading(&message);
            reading.read_next = message.offset + 1;
            if let Decoded::Record(record) = decoded {
                reading.put_next = message.offset + 1;
                records.push(record);
            }
        }
        self.metrics.read_bytes.increment(bytes as u64);
        self.metrics.sent.increment(records.len() as u64);
        Ok(records)
    }

    fn reading(&mut self, message: &Message) -> &mut Reading {
        let epoch = self.context.status.topics_epoch();
        let reading = self.owned.entry((message.topic.clone(), message.partition)).or_default();
        if reading.topics_epoch != Some(epoch) {
            reading.topics_epoch = Some(epoch);
            self.context.status.saw_topic(&self.id, &message.topic);
        }
        reading
    }

    async fn decode_one(&mut self, message: &Message, control: &mut Control) -> Result<Decoded, TaskError> {
        let mut attempts = Attempts::default();
        loop {
            let (stage, error) = match self.decoder.decode(message).await {
                Ok(mut record) => match self.chain.apply(&mut record) {
                    Ok(Verdict::Keep) => return Ok(Decoded::Record(record)),
                    Ok(Verdict::Drop) => return Ok(Decoded::LeftOut),
                    Err(error) => (Stage::Transformation, error),
                },
                Err(failed) => (failed.stage, failed.error),
            };
            let classes = self.decoder.classes();
            let class = match stage {
                Stage::KeyConverter => &classes[0],
                Stage::ValueConverter => &classes[1],
                Stage::HeaderConverter => &classes[2],
                _ => self.chain.failed_class(),
            };
            let at = Coordinates { stage, class };
            let origin = origin(message);
            match self.failures.handle(Failed::Consumed(&origin), &at, error, &mut attempts).await? {
                None => return Ok(Decoded::LeftOut),
                Some(delay) => tokio::select! {
                    () = control.stopped() => return Ok(Decoded::Stopped),
                    () = tokio::time::sleep(delay) => {}
                },
            }
        }
    }

    async fn put(&mut self, records: Vec<Record>, control: &mut Control) -> Result<(), TaskError> {
        let outcome = tokio::select! {
            biased;
            () = control.stopped() => return Ok(()),
            outcome = self.task.put(records) => outcome,
        };
        match outcome {
            Ok(()) => {
                control.works();
                self.progress().await
            }
            Err(error) if error.fate == Fate::Retry => {
                let _ = control.failed_transiently(&error);
                self.progress().await
            }
            Err(error) => Err(error),
        }
    }

    /// Takes the task's word: what is durable, what it refused, what it wants no more of.
    async fn progress(&mut self) -> Result<(), TaskError> {
        let SinkProgress { offsets, rejected, paused } = self.task.progress();
        for rejected in rejected {
            let connect::Origin::Kafka(origin) = &rejected.origin else { continue };
            let at = Coordinates { stage: Stage::TaskPut, class: "org.apache.kafka.connect.sink.SinkTask" };
            let failed = Failed::Consumed(origin);
            self.failures.handle(failed, &at, rejected.error, &mut Attempts::default()).await?;
        }
        for (partition, offset) in offsets {
            self.durable.insert((partition.topic, partition.partition), offset);
        }
        let paused: Vec<Partition> =
            paused.into_iter().map(|partition| (partition.topic, partition.partition)).collect();
        if paused != self.held_back {
            let resume: Vec<_> =
                self.held_back.iter().filter(|held| !paused.contains(held)).cloned().collect();
            self.consumer.resume(&resume).map_err(kafka_failed)?;
            self.consumer.pause(&paused).map_err(kafka_failed)?;
            self.held_back = paused;
        }
        Ok(())
    }

    /// Commits what is durable at the target, after the dead letters before it are durable too.
    async fn commit(&mut self) -> Result<(), TaskError> {
        self.progress().await?;
        let mut due = BTreeMap::new();
        for (partition, reading) in &self.owned {
            let durable = self.durable.get(partition).copied().unwrap_or(0);
            // With everything that was put durable, what was dropped or skipped behind it is done as well.
            let next = if durable >= reading.put_next { reading.read_next } else { durable };
            if next > reading.committed {
                due.insert(partition.clone(), next);
            }
        }
        if due.is_empty() {
            return Ok(());
        }
        self.failures.flush().await?;
        match self.consumer.commit(&due).await {
            Ok(()) => {
                self.metrics.offset_commits.increment(1);
                for (partition, next) in due {
                    self.owned.entry(partition).or_default().committed = next;
                }
            }
            // The next period tries again; a restart before it repeats, and loses nothing.
            Err(error) => {
                tracing::warn!(connector = &*self.id.connector, %error, "offsets could not be committed")
            }
        }
        Ok(())
    }

    fn pause_or_resume(&self, control: &Control) -> Result<(), TaskError> {
        let all: Vec<Partition> = self.owned.keys().cloned().collect();
        if control.is_paused() {
            return self.consumer.pause(&all).map_err(kafka_failed);
        }
        let wanted: Vec<_> =
            all.into_iter().filter(|partition| !self.held_back.contains(partition)).collect();
        self.consumer.resume(&wanted).map_err(kafka_failed)
    }

    fn measure_lag(&self) {
        let lag = self
            .owned
            .iter()
            .filter_map(|(partition, reading)| {
                Some(self.consumer.high_watermark(partition)? - reading.read_next.max(reading.committed))
            })
            .max();
        self.metrics.lag_max.set(lag.unwrap_or(0).max(0) as f64);
    }

    /// Writes and commits what can be, and leaves the group.
    async fn finish(mut self, result: Result<(), TaskError>) -> Result<(), TaskError> {
        let timeout = self.context.settings.task_shutdown_timeout;
        let end = if result.is_ok() {
            let flush = tokio::time::timeout(timeout, self.task.flush());
            match flush.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(connector = &*self.id.connector, %error, "flush at the end"),
                Err(_) => tracing::warn!(connector = &*self.id.connector, "flush at the end took too long"),
            }
            self.commit().await
        } else {
            // What is durable is durable: committing it saves the next start from repeating it.
            let _ = self.commit().await;
            Ok(())
        };
        self.task.stop().await;
        self.consumer.close().await;
        result.and(end)
    }
}

fn topic_partitions(partitions: &[Partition]) -> Vec<TopicPartition> {
    partitions
        .iter()
        .map(|(topic, partition)| TopicPartition { topic: topic.clone(), partition: *partition })
        .collect()
}

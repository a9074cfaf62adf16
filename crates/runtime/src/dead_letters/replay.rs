//! Sends letters through a task of their own: converters, transforms, sink.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use connect::contract::{TaskId, Tolerance};
use connect::settings::Properties;
use connect::{Fate, Origin, Record, SinkTask, TaskError, TopicPartition, Verdict};
use kafka::Message;
use tokio::time::Instant;
use transforms::Chain;

use super::{DeadLetter, Entry, Identity, Ledger, State};
use crate::codec::{Converters, RecordDecoder};
use crate::connector_settings::ConverterSettings;
use crate::plugins::SinkPlugin;
use crate::settings::WorkerSettings;

/// How often a target that does not answer, or a record that waits for another, is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// What became of one letter.
#[derive(Clone, Debug)]
pub enum Outcome {
    Applied,
    /// A transform dropped it.
    Dropped,
    /// It failed again; nothing was written.
    Refused(String),
    /// It was put, and the target's answer is missing.
    Unknown(String),
    /// It was replayed before.
    Already(Entry),
    /// Another letter of this request is about the same record.
    Duplicate,
    /// It would be sent (a dry run).
    Chosen,
}

/// One letter and its outcome.
#[derive(Clone, Debug)]
pub struct Replayed {
    pub letter: Arc<DeadLetter>,
    pub outcome: Outcome,
}

/// Sends letters of one connector. The sink is opened for each chunk anew: what a chunk comes to is known when its task
/// has ended, and records may come in any order.
pub struct Replayer {
    plugin: &'static SinkPlugin,
    id: TaskId,
    /// With references looked up.
    properties: Properties,
    decoder: RecordDecoder,
    chain: Chain,
    /// One shared name for each topic: decoders are kept by it.
    topics: HashMap<String, Arc<str>>,
    /// Where a letter has no context.
    default_topic: Option<String>,
    wait: Duration,
}

/// A chunk on its way.
struct Sending {
    letters: Vec<Arc<DeadLetter>>,
    outcomes: Vec<Option<Outcome>>,
    /// By the place that a record was read from: the letter's number.
    places: HashMap<(Arc<str>, i32, i64), usize>,
}

impl Replayer {
    /// # Errors
    /// What the configuration lacks.
    pub fn new(
        plugin: &'static SinkPlugin,
        worker: &WorkerSettings,
        id: TaskId,
        properties: Properties,
        wait: Duration,
    ) -> Result<Self, TaskError> {
        let topics: Vec<&str> = properties
            .get("topics")
            .map_or("", String::as_str)
            .split(',')
            .map(str::trim)
            .filter(|topic| !topic.is_empty())
            .collect();
        let default_topic = <[&str; 1]>::try_from(topics).ok().map(|[topic]| topic.to_owned());
        Ok(Self {
            plugin,
            decoder: RecordDecoder::new(Converters::new(&ConverterSettings::new(worker, &properties))?),
            chain: Chain::new(&properties)?,
            id,
            properties,
            topics: HashMap::new(),
            default_topic,
            wait,
        })
    }

    /// Sends letters that the caller knows to be new (or wants by force), and writes the ledger before and after.
    ///
    /// # Errors
    /// The ledger cannot be written, or the task cannot start: nothing was put then.
    pub async fn send(
        &mut self,
        letters: Vec<Arc<DeadLetter>>,
        ledger: &Ledger,
    ) -> Result<Vec<Replayed>, TaskError> {
        let mut sending = Sending { outcomes: vec![None; letters.len()], letters, places: HashMap::new() };
        let mut records = vec![];
        for number in 0..sending.letters.len() {
            let letter = sending.letters[number].clone();
            match self.prepare(&letter).await {
                Ok(Some(record)) => {
                    if let Origin::Kafka(origin) = &record.origin {
                        let place = (origin.topic.clone(), origin.partition, origin.offset);
                        sending.places.insert(place, number);
                    }
                    records.push(record);
                }
                Ok(None) => sending.outcomes[number] = Some(Outcome::Dropped),
                Err(error) if error.fate == Fate::Retry => return Err(error),
                Err(error) => sending.outcomes[number] = Some(Outcome::Refused(error.to_string())),
            }
        }
        if !records.is_empty() {
            let mut task = (self.plugin.task)(&self.properties, &self.id)?;
            if let Err(error) = task.start(Tolerance::All).await {
                task.stop().await;
                return Err(error);
            }
            // From here on the records may be written.
            if let Err(error) = sending.remember(ledger, &self.id.connector, State::Sending).await {
                task.stop().await;
                return Err(error);
            }
            put(&mut *task, records, &mut sending, self.wait).await;
        }
        sending.remember_outcomes(ledger, &self.id.connector).await?;
        Ok(sending.finished())
    }

    /// The record as the sink takes it; `None` where a transform drops it.
    async fn prepare(&mut self, letter: &DeadLetter) -> Result<Option<Record>, TaskError> {
        let (topic, partition, offset) = match (&letter.context, &self.default_topic) {
            (Some(context), _) => (context.topic.clone(), context.partition, context.offset),
            (None, Some(topic)) => (topic.clone(), letter.at.partition, letter.at.offset),
            (None, None) => {
                return Err(TaskError::reject("the topic of the record is not known")
                    .with_hint("set errors.deadletterqueue.context.headers.enable"));
            }
        };
        let topic = self.topics.entry(topic).or_insert_with_key(|name| name.as_str().into()).clone();
        let message =
            Message { topic, partition, offset, headers: letter.headers.clone(), ..letter.message.clone() };
        let mut record = self.decoder.decode(&message).await.map_err(|failed| failed.error)?;
        match self.chain.apply(&mut record)? {
            Verdict::Keep => Ok(Some(record)),
            Verdict::Drop => Ok(None),
        }
    }
}

impl Sending {
    fn is_open(&self) -> bool {
        self.outcomes.iter().any(Option::is_none)
    }

    fn take_progress(&mut self, task: &mut dyn SinkTask) {
        let progress = task.progress();
        for rejected in progress.rejected {
            let Origin::Kafka(origin) = &rejected.origin else { continue };
            let place = (origin.topic.clone(), origin.partition, origin.offset);
            if let Some(number) = self.places.get(&place) {
                self.outcomes[*number] = Some(Outcome::Refused(rejected.error.to_string()));
            }
        }
        let done: BTreeMap<(Arc<str>, i32), i64> = progress
            .offsets
            .into_iter()
            .map(|(partition, next)| ((partition.topic, partition.partition), next))
            .collect();
        for ((topic, partition, offset), number) in &self.places {
            let next = done.get(&(topic.clone(), *partition)).copied().unwrap_or(0);
            if next > *offset && self.outcomes[*number].is_none() {
                self.outcomes[*number] = Some(Outcome::Applied);
            }
        }
    }

    /// The task has ended: what it did not write by now it never will.
    fn close(&mut self, trouble: Option<&TaskError>) {
        for outcome in self.outcomes.iter_mut().filter(|outcome| outcome.is_none()) {
            *outcome = Some(match trouble {
                None => Outcome::Refused("still waits for a row of another table".to_owned()),
                // A commit whose answer was lost may have happened.
                Some(error) if error.fate == Fate::Retry => Outcome::Unknown(error.to_string()),
                Some(error) => Outcome::Refused(error.to_string()),
            });
        }
    }

    async fn remember(&self, ledger: &Ledger, connector: &str, state: State) -> Result<(), TaskError> {
        let open = self.letters.iter().zip(&self.outcomes).filter(|(_, outcome)| outcome.is_none());
        let entries: Vec<(Identity, Entry)> =
            open.map(|(letter, _)| (letter.identity(), Entry::new(state, letter.at, None))).collect();
        ledger.write(connector, &entries).await.map_err(ledger_failed)
    }

    async fn remember_outcomes(&self, ledger: &Ledger, connector: &str) -> Result<(), TaskError> {
        let mut entries = vec![];
        for (letter, outcome) in self.letters.iter().zip(&self.outcomes) {
            let (state, error) = match outcome {
                Some(Outcome::Applied) => (State::Applied, None),
                Some(Outcome::Dropped) => (State::Dropped, None),
                Some(Outcome::Refused(error)) => (State::Refused, Some(error.clone())),
                Some(Outcome::Unknown(error)) => (State::Sending, Some(error.clone())),
                _ => continue,
            };
            entries.push((letter.identity(), Entry::new(state, letter.at, error)));
        }
        ledger.write(connector, &entries).await.map_err(ledger_failed)
    }

    fn finished(self) -> Vec<Replayed> {
        let outcomes = self.outcomes.into_iter().map(|outcome| outcome.expect("every letter has an outcome"));
        self.letters.into_iter().zip(outcomes).map(|(letter, outcome)| Replayed { letter, outcome }).collect()
    }
}

/// Puts all records and waits until each is written or refused, or the time is over.
async fn put(task: &mut dyn SinkTask, mut records: Vec<Record>, sending: &mut Sending, wait: Duration) {
    let place = |record: &Record| {
        record
            .kafka_origin()
            .map(|origin| (origin.topic.clone(), origin.partition, origin.offset))
            .expect("a letter's record was read from Kafka")
    };
    records.sort_by_key(place);
    let partitions: HashSet<TopicPartition> =
        records.iter().map(place).map(|(topic, partition, _)| TopicPartition { topic, partition }).collect();
    let partitions: Vec<TopicPartition> = partitions.into_iter().collect();
    task.open(&partitions);
    let deadline = Instant::now() + wait;
    let mut trouble = None;
    let mut more = Some(records);
    while sending.is_open() {
        let outcome = match task.put(more.take().unwrap_or_default()).await {
            Ok(()) => {
                partitions.iter().for_each(|partition| task.reached_end(partition));
                task.flush().await
            }
            Err(error) => Err(error),
        };
        sending.take_progress(task);
        trouble = outcome.err();
        let is_final = trouble.as_ref().is_some_and(|error| error.fate != Fate::Retry);
        if is_final || Instant::now() >= deadline {
            break;
        }
        if sending.is_open() {
            let _ = tokio::time::timeout(LOOK_INTERVAL, task.news()).await;
        }
    }
    task.stop().await;
    sending.take_progress(task);
    sending.close(trouble.as_ref());
}

fn ledger_failed(error: kafka::Error) -> TaskError {
    let message = format!("what is replayed cannot be remembered: {error}");
    if error.is_transient() { TaskError::retry(message) } else { TaskError::halt(message) }
}

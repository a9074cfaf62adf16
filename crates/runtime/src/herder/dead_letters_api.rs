//! A sink's dead letters: groups, records, and sending them again.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use connect::TaskError;
use connect::settings::Properties;

use super::api::task_id;
use super::{ErrorKind, Herder, HerderError};
use crate::codec::{Converters, RecordDecoder};
use crate::connector_settings::{ConverterSettings, ErrorSettings};
use crate::dead_letters::{
    Cursor, DeadLetter, Ledger, Outcome, Replayed, Replayer, Selection, State, Summary, fold,
};
use crate::plugins::{self, Connector, Role, SinkPlugin};

/// Letters that are sent in one go, and the memory that they may take.
const CHUNK_LETTERS_MAX: usize = 500;
const CHUNK_BYTES_MAX: usize = 8 * 1024 * 1024;

/// One letter, as it is shown.
pub struct ShownLetter {
    pub letter: DeadLetter,
    pub group: String,
    pub replayed: Option<crate::dead_letters::Entry>,
    /// Key and value by the connector's converters, as JSON; `None` where they cannot be read.
    pub key: Option<serde_json::Value>,
    pub value: Option<serde_json::Value>,
}

/// What a replay is to do.
#[derive(Clone, Debug)]
pub struct ReplayRequest {
    pub selection: Selection,
    pub limit: usize,
    pub force: Force,
    pub run: Run,
    /// How long the target may take for one chunk.
    pub wait: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// Also what was applied already, or may have been.
    Yes,
    No,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    Real,
    /// Says what would be sent.
    Dry,
}

/// A sink with a queue.
struct Queue {
    topic: String,
    clients: kafka::ClientSettings,
    plugin: &'static SinkPlugin,
    properties: Properties,
}

impl Herder {
    /// The connector's dead letter topic, and what is in it.
    ///
    /// # Errors
    /// Not found, no sink with a queue, or no broker answered.
    pub async fn dead_letters(&self, name: &str) -> Result<(String, Summary), HerderError> {
        let queue = self.queue(name)?;
        let ledger = self.ledger().await?;
        ledger.catch_up().await?;
        let cursor = Cursor::whole(&queue.clients, &queue.topic).await?;
        let connector = name.to_owned();
        let add = move |summary: &mut Summary, letter: DeadLetter| {
            summary.add(&letter, &ledger, &connector);
            ControlFlow::Continue(())
        };
        let (summary, _) = fold(&queue.clients, &queue.topic, cursor, Summary::default(), add).await?;
        Ok((queue.topic, summary))
    }

    /// The first letters that are selected.
    ///
    /// # Errors
    /// As [`Herder::dead_letters`].
    pub async fn show_dead_letters(
        &self,
        name: &str,
        selection: Selection,
        limit: usize,
    ) -> Result<Vec<ShownLetter>, HerderError> {
        let queue = self.queue(name)?;
        let ledger = self.ledger().await?;
        ledger.catch_up().await?;
        let cursor = Cursor::whole(&queue.clients, &queue.topic).await?;
        let take = move |taken: &mut (Vec<DeadLetter>, usize), letter: DeadLetter| {
            take_if(&selection, letter, taken, limit)
        };
        let ((letters, _), _) = fold(&queue.clients, &queue.topic, cursor, (vec![], 0), take).await?;
        let converters = ConverterSettings::new(self.settings(), &queue.properties);
        let mut decoder = RecordDecoder::new(Converters::new(&converters).map_err(failed)?);
        let mut shown = vec![];
        for letter in letters {
            let topic = letter.context.as_ref().map_or("", |context| &context.topic).into();
            let message = kafka::Message { topic, ..letter.message.clone() };
            let (key, value) = decoder.shown(&message).await;
            shown.push(ShownLetter {
                group: crate::dead_letters::Group::id_of(&letter),
                replayed: ledger.entry(name, &letter.identity()),
                letter,
                key,
                value,
            });
        }
        Ok(shown)
    }

    /// Sends selected letters through the connector; each record once.
    ///
    /// # Errors
    /// As [`Herder::dead_letters`], or the sink cannot be started: what came before is in the ledger.
    pub async fn replay_dead_letters(
        &self,
        name: &str,
        request: ReplayRequest,
    ) -> Result<Vec<Replayed>, HerderError> {
        let queue = self.queue(name)?;
        let ledger = self.ledger().await?;
        let _one_at_a_time = self.0.replaying.lock().await;
        ledger.catch_up().await?;
        // Numbers of running tasks are theirs.
        let number = self.connector(name)?.tasks;
        let id = task_id(name, number);
        let mut replayer =
            Replayer::new(queue.plugin, self.settings(), id, queue.properties.clone(), request.wait)
                .map_err(failed)?;
        let mut cursor = Cursor::whole(&queue.clients, &queue.topic).await?;
        let mut seen = HashSet::new();
        let mut replayed: Vec<Replayed> = vec![];
        while !cursor.is_at_end() && replayed.len() < request.limit {
            let most = CHUNK_LETTERS_MAX.min(request.limit - replayed.len());
            let (selection, of) = (request.selection.clone(), name.to_owned());
            let take = move |taken: &mut (Vec<DeadLetter>, usize), letter: DeadLetter| {
                // Another connector's record does not fit this one's chain.
                let is_own = letter.context.as_ref().is_none_or(|context| context.connector == of);
                if is_own { take_if(&selection, letter, taken, most) } else { ControlFlow::Continue(()) }
            };
            let ((letters, _), next) = fold(&queue.clients, &queue.topic, cursor, (vec![], 0), take).await?;
            cursor = next;
            let mut chosen = vec![];
            for letter in letters {
                let letter = Arc::new(letter);
                let known = ledger.entry(name, &letter.identity());
                let outcome = match known {
                    _ if !seen.insert(letter.identity()) => Outcome::Duplicate,
                    Some(entry) if request.force == Force::No && entry.state != State::Refused => {
                        Outcome::Already(entry)
                    }
                    _ if request.run == Run::Dry => Outcome::Chosen,
                    _ => {
                        chosen.push(letter);
                        continue;
                    }
                };
                replayed.push(Replayed { letter, outcome });
            }
            if !chosen.is_empty() {
                replayed.extend(replayer.send(chosen, &ledger).await.map_err(failed)?);
            }
        }
        replayed.sort_by_key(|replayed| replayed.letter.at);
        Ok(replayed)
    }

    fn queue(&self, name: &str) -> Result<Queue, HerderError> {
        let config = self.config(name)?;
        let class = config.properties.get("connector.class").map_or("", |class| class.trim());
        let Some(Connector { role: Role::Sink(plugin), .. }) = plugins::find(class) else {
            let text = format!("connector {name} is no sink: it has no dead letter queue");
            return Err(HerderError::bad_request(text));
        };
        let properties = self.settings().providers.resolve(&config.properties);
        let Some(settings) = ErrorSettings::new(&properties).dead_letter else {
            let text = format!(
                "connector {name} has no dead letter queue: errors.deadletterqueue.topic.name is not set"
            );
            return Err(HerderError::bad_request(text));
        };
        let clients = self.settings().connector_clients("consumer.", &properties);
        Ok(Queue { topic: settings.topic, clients, plugin, properties })
    }

    /// Opened by whoever asks first.
    async fn ledger(&self) -> Result<Arc<Ledger>, HerderError> {
        let open = || async {
            let settings = self.settings();
            let replication_factor = settings.config_topic.replication_factor;
            let ledger =
                Ledger::open(&settings.clients(), self.0.producer.clone(), replication_factor).await?;
            Ok::<_, HerderError>(Arc::new(ledger))
        };
        self.0.ledger.get_or_try_init(open).await.cloned()
    }
}

fn take_if(
    selection: &Selection,
    letter: DeadLetter,
    (taken, bytes): &mut (Vec<DeadLetter>, usize),
    limit: usize,
) -> ControlFlow<()> {
    if selection.has(&letter) {
        *bytes += letter.bytes();
        taken.push(letter);
    }
    if taken.len() >= limit || *bytes >= CHUNK_BYTES_MAX {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

fn failed(error: TaskError) -> HerderError {
    HerderError::new(ErrorKind::Internal, error.to_string())
}

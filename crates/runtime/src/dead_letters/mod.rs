//! What became of refused records, for a person: read the dead letter topic, group it by what went wrong, and send
//! chosen records once more.
//!
//! A replayed record does not go back to its topic: others read that too, and would see it twice. It goes through a
//! task of its own of the same connector: converters, transforms, sink. That task ends with the request, so each
//! record's outcome is known, and the connector itself may run, be paused or be stopped meanwhile.
//!
//! *Once* is kept by a ledger in Kafka: before a record is put, its entry is durable; what was applied is never put
//! again, and what was under way when a worker died only by force, because nobody knows how it ended.

mod letter; // one dead letter: what it was, and what went wrong
mod shape; // an error's text without this record's values
mod selection; // which ones are meant
mod summary; // groups
mod ledger; // what was replayed
mod replay; // sends them

pub use ledger::{Entry, Ledger, State};
pub use letter::{At, Context, DeadLetter, Identity};
pub use replay::{Outcome, Replayed, Replayer};
pub use selection::{Range, Selection};
pub use summary::{Group, Summary};

use std::ops::ControlFlow;

use kafka::topic_reader::Extent;
use kafka::{ClientSettings, TopicReader};

/// Where a reading of the topic goes on.
#[derive(Clone, Debug)]
pub struct Cursor {
    left: Vec<Extent>,
}

impl Cursor {
    /// Everything that the topic holds now.
    ///
    /// # Errors
    /// No broker answered.
    pub async fn whole(clients: &ClientSettings, topic: &str) -> Result<Self, kafka::Error> {
        let (clients, topic) = (clients.clone(), topic.to_owned());
        let left = blocking(move || TopicReader::new(&clients, &topic)?.extents()).await?;
        Ok(Self { left: left.into_iter().rev().collect() })
    }

    pub fn is_at_end(&self) -> bool {
        self.left.is_empty()
    }
}

/// Reads on from the cursor and folds letters into `state` until `fold` has enough.
///
/// # Errors
/// No broker answered.
pub async fn fold<T: Send + 'static>(
    clients: &ClientSettings,
    topic: &str,
    cursor: Cursor,
    state: T,
    mut fold: impl FnMut(&mut T, DeadLetter) -> ControlFlow<()> + Send + 'static,
) -> Result<(T, Cursor), kafka::Error> {
    let (clients, topic) = (clients.clone(), topic.to_owned());
    let (mut cursor, mut state) = (cursor, state);
    blocking(move || {
        let reader = TopicReader::new(&clients, &topic)?;
        while let Some(extent) = cursor.left.pop() {
            let mut next = extent;
            let flow = reader.read(extent, |message| {
                next.first = message.offset + 1;
                fold(&mut state, DeadLetter::new(message))
            })?;
            if flow.is_break() {
                if next.first < next.end {
                    cursor.left.push(next);
                }
                break;
            }
        }
        Ok((state, cursor))
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, kafka::Error> + Send + 'static,
) -> Result<T, kafka::Error> {
    let closed = || kafka::Error::Closed { what: "read dead letters".to_owned() };
    tokio::task::spawn_blocking(work).await.map_err(|_| closed())?
}

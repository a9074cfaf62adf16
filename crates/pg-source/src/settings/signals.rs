//! Options of signals, and of the snapshots that they start.

use std::time::Duration;

use connect::settings::{Properties, Resolved};
use connect::signal::{SignalChannels, SignalFile, SignalTopic};
use pg::quote;

/// Where signals come from, and how an incremental snapshot is taken.
#[derive(Debug)]
pub struct SignalSettings {
    /// Tables whose new rows are signals; the first one takes the rows around a chunk.
    tables: Vec<(String, String)>,
    /// The rows of these tables count, not only those around a chunk.
    pub by_table: bool,
    pub channels: SignalChannels,
    /// Most rows of a chunk.
    pub chunk_rows: usize,
    pub watermarks: Watermarks,
    /// Nothing is written to the database.
    read_only: bool,
}

/// `incremental.snapshot.watermarking.strategy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watermarks {
    InsertInsert,
    InsertDelete,
}

impl SignalSettings {
    pub fn new(properties: &Properties, resolved: &Resolved) -> Self {
        let text = |name: &str| resolved.text(name).map(str::trim).filter(|text| !text.is_empty());
        let channels = resolved.list("signal.enabled.channels");
        let has = |name: &str| channels.iter().any(|channel| channel.trim().eq_ignore_ascii_case(name));
        let poll_interval =
            Duration::from_millis(resolved.long("signal.poll.interval.ms").max(1).unsigned_abs());
        let file = has("file").then(|| SignalFile {
            path: text("signal.file").unwrap_or("file-signals.txt").to_owned(),
            poll_interval,
        });
        let chunk = usize::try_from(resolved.long("incremental.snapshot.chunk.size")).unwrap_or(1024).max(1);
        let strategy = text("incremental.snapshot.watermarking.strategy").unwrap_or_default();
        Self {
            tables: tables(properties),
            by_table: has("source"),
            channels: SignalChannels { file, topic: has("kafka").then(|| topic(properties, resolved)) },
            chunk_rows: chunk,
            watermarks: match strategy.eq_ignore_ascii_case("insert_delete") {
                true => Watermarks::InsertDelete,
                false => Watermarks::InsertInsert,
            },
            read_only: resolved.boolean("read.only"),
        }
    }

    /// Whether anybody could send a signal.
    pub fn are_wanted(&self) -> bool {
        !self.tables.is_empty() || self.channels != SignalChannels::default()
    }

    pub fn tables(&self) -> &[(String, String)] {
        &self.tables
    }

    pub fn is_table(&self, schema: &str, name: &str) -> bool {
        self.tables.iter().any(|(of, table)| of == schema && table == name)
    }

    /// Where the rows around a chunk are written, in SQL; `None` where they are not.
    pub fn watermark_table(&self) -> Option<String> {
        let (schema, table) = self.tables.first().filter(|_| !self.read_only)?;
        Some(quote::qualified(schema, table))
    }
}

/// `schema.table`, perhaps more than one.
fn tables(properties: &Properties) -> Vec<(String, String)> {
    let text = properties.get("signal.data.collection").map(String::as_str).unwrap_or_default();
    let unquoted = |part: &str| part.trim().trim_matches('"').to_owned();
    let names = text.split(',').filter_map(|name| name.trim().split_once('.'));
    names.map(|(schema, table)| (unquoted(schema), unquoted(table))).collect()
}

fn topic(properties: &Properties, resolved: &Resolved) -> SignalTopic {
    let text = |name: &str| resolved.text(name).map(str::trim).filter(|text| !text.is_empty());
    let key = text("topic.prefix").unwrap_or_default().to_owned();
    let own = properties
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("signal.consumer.")?.to_owned(), value.clone())));
    let mut consumer: Properties = own.collect();
    let servers = text("signal.kafka.bootstrap.servers").unwrap_or_default();
    consumer.insert("bootstrap.servers".to_owned(), servers.to_owned());
    let group = text("signal.kafka.groupId").unwrap_or("kafka-signal");
    consumer.insert("group.id".to_owned(), group.to_owned());
    let name = text("signal.kafka.topic").map_or_else(|| format!("{key}-signal"), str::to_owned);
    SignalTopic { name, key, consumer }
}

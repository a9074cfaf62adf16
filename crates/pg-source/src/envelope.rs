//! Change event to record: the envelope, its source block, and the records that one event becomes.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use connect::logical::debezium;
use connect::{Buffer, Header, Headers, Record, Schema, SchemaBuilder, Text, Value};

use crate::settings::{Compat, Operations, Settings};
use crate::tables::Table;

/// Fields of the envelope.
const SOURCE: usize = 2;
/// Where the transaction block is: behind everything, or since 2.7 behind the source block.
const TRANSACTION_LAST: usize = 5;
const TRANSACTION: usize = 3;
/// Fields of the source block.
const SNAPSHOT: usize = 4;
const SEQUENCE: usize = 6;

/// Schema of a table's value.
pub fn schema(name: &str, row: &Schema, source: &Schema, transaction: &Schema, compat: Compat) -> Schema {
    let optional_long = || SchemaBuilder::int64().optional().build();
    let op = SchemaBuilder::string().build();
    let start = SchemaBuilder::structure().name(name);
    let start = match compat {
        Compat::V19 => start,
        Compat::V25 => start.version(1),
        _ => start.version(2),
    };
    let start =
        start.field("before", row.clone()).field("after", row.clone()).field("source", source.clone());
    if compat < Compat::V27 {
        return start
            .field("op", op)
            .field("ts_ms", optional_long())
            .field("transaction", transaction.clone())
            .build();
    }
    start
        .field("transaction", transaction.clone())
        .field("op", op)
        .field("ts_ms", optional_long())
        .field("ts_us", optional_long())
        .field("ts_ns", optional_long())
        .build()
}

/// Schema of the source block.
pub fn source_schema(compat: Compat) -> Schema {
    let text = || SchemaBuilder::string().build();
    let optional_text = || SchemaBuilder::string().optional().build();
    let optional_long = || SchemaBuilder::int64().optional().build();
    let allowed = if compat < Compat::V30 {
        "true,last,false,incremental"
    } else {
        "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental"
    };
    let snapshot = SchemaBuilder::string()
        .name(debezium::ENUM)
        .version(1)
        .parameter("allowed", allowed)
        .default("false")
        .optional()
        .build();
    let mut schema = SchemaBuilder::structure().name("io.debezium.connector.postgresql.Source");
    if compat >= Compat::V36 {
        schema = schema.version(1);
    }
    schema = schema
        .field("version", text())
        .field("connector", text())
        .field("name", text())
        .field("ts_ms", SchemaBuilder::int64().build())
        .field("snapshot", snapshot)
        .field("db", text())
        .field("sequence", optional_text());
    if compat >= Compat::V27 {
        schema = schema.field("ts_us", optional_long()).field("ts_ns", optional_long());
    }
    schema = schema
        .field("schema", text())
        .field("table", text())
        .field("txId", optional_long())
        .field("lsn", optional_long())
        .field("xmin", optional_long());
    if compat >= Compat::V36 {
        schema = schema.field("origin", optional_text()).field("origin_lsn", optional_long());
    }
    schema.build()
}

/// Schema of the transaction block, which is null as long as no transaction metadata is written.
pub fn transaction_schema(compat: Compat) -> Schema {
    let mut schema = SchemaBuilder::structure();
    if compat > Compat::V19 {
        schema = schema.name("event.block").version(1);
    }
    schema
        .field("id", SchemaBuilder::string().build())
        .field("total_order", SchemaBuilder::int64().build())
        .field("data_collection_order", SchemaBuilder::int64().build())
        .optional()
        .build()
}

/// `op` of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Read,
    Create,
    Update,
    Delete,
    Truncate,
}

impl Op {
    fn letter(self) -> &'static str {
        match self {
            Self::Read => "r",
            Self::Create => "c",
            Self::Update => "u",
            Self::Delete => "d",
            Self::Truncate => "t",
        }
    }
}

/// Which row of the snapshot a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    Streaming,
    True,
    First,
    FirstInCollection,
    LastInCollection,
    Last,
    /// Of an incremental snapshot: it has no place of its own in the WAL.
    Incremental,
}

impl Marker {
    /// 1.9 knew fewer of them.
    fn value(self, compat: Compat) -> Value {
        Value::text(match self {
            Self::First | Self::FirstInCollection | Self::LastInCollection if compat == Compat::V19 => "true",
            // Not set: readers see the schema's default, "false".
            Self::Streaming => return Value::Null,
            Self::True => "true",
            Self::First => "first",
            Self::FirstInCollection => "first_in_data_collection",
            Self::LastInCollection => "last_in_data_collection",
            Self::Last => "last",
            Self::Incremental => "incremental",
        })
    }
}

/// Where an event lies: what the source block says beside the table.
#[derive(Clone, Debug)]
pub struct Place {
    /// Microseconds since the epoch: of the commit, or of the snapshot.
    pub time_micros: i64,
    pub marker: Marker,
    pub transaction: Option<i64>,
    pub lsn: u64,
    /// End of the transaction before; `None` before the first one.
    pub commit: Option<u64>,
    /// Text of `sequence` where it is the same for many events.
    pub sequence: Option<Text>,
    pub origin: Option<(Text, u64)>,
}

/// Makes records; holds what is the same in all of them.
pub struct Envelopes {
    pub compat: Compat,
    pub source_schema: Schema,
    pub transaction_schema: Schema,
    version: Text,
    connector: Text,
    prefix: Text,
    database: Text,
    headers: Headers,
    context: Vec<Header>,
    tombstones: bool,
    sequences: Sequences,
    clock: Clock,
}

/// The time of making records, read once for a few of them.
#[derive(Default)]
struct Clock {
    nanos: i64,
    uses_left: u32,
}

/// Records that share one reading of the clock: microseconds of work.
const CLOCK_USES: u32 = 32;

impl Clock {
    #[inline]
    fn now(&mut self) -> i64 {
        if self.uses_left == 0 {
            self.nanos = now_nanos();
            self.uses_left = CLOCK_USES;
        }
        self.uses_left -= 1;
        self.nanos
    }
}

/// Texts of `sequence`, written one behind the other and handed out as slices when the batch is complete: one
/// allocation for the batch instead of one for each record.
#[derive(Default)]
struct Sequences {
    text: Vec<u8>,
    /// Index of the record, start and end of its text.
    places: Vec<(u32, u32, u32)>,
}

impl Envelopes {
    pub fn new(settings: &Settings, task: &str) -> Self {
        let context = if settings.extended_headers {
            let header = |name: &str, value: &str| Header {
                key: format!("__debezium.context.{name}").into(),
                schema: Some(SchemaBuilder::string().build()),
                value: Value::text(value),
            };
            vec![
                header("connectorLogicalName", &settings.topic_prefix),
                header("taskId", task),
                header("connectorName", "postgresql"),
                header("runId", &uuid::Uuid::now_v7().to_string()),
            ]
        } else {
            vec![]
        };
        Self {
            compat: settings.compat,
            source_schema: source_schema(settings.compat),
            transaction_schema: transaction_schema(settings.compat),
            version: settings.compat.version().into(),
            connector: "postgresql".into(),
            prefix: settings.topic_prefix.as_str().into(),
            database: settings.connect.dbname.as_str().into(),
            headers: Headers::new(context.clone()),
            context,
            tombstones: settings.tombstones,
            sequences: Sequences::default(),
            clock: Clock::default(),
        }
    }

    /// Called before records are made after a wait.
    pub fn wake(&mut self) {
        self.clock.uses_left = 0;
    }

    /// One row read or changed. An update that changed the key comes as [`Self::key_change`].
    pub fn row(&mut self, table: &Table, event: Change, place: &Place, out: &mut Vec<Record>) {
        let key = (table.key_schema(), event.key);
        let source = self.table_source(table, place);
        let value = self.envelope(event.op, event.before, event.after, source);
        let mut record = Record::source(table.topic.clone(), key, (Some(table.envelope.clone()), value));
        record.headers = self.headers.clone();
        self.sequences.add(out.len(), place);
        let tombstone = (event.op == Op::Delete && self.tombstones).then(|| tombstone(&record));
        out.push(record);
        out.extend(tombstone);
    }

    /// An update that changed the key: delete, tombstone, create, each naming the other's key, and each left out where
    /// its operation is.
    pub fn key_change(
        &mut self,
        table: &Table,
        old: (Value, Value),
        new: (Value, Value),
        place: &Place,
        skipped: Operations,
        out: &mut Vec<Record>,
    ) {
        let key_schema = table.key_schema();
        let (old_key, before) = old;
        let (new_key, after) = new;
        let headers = |name: &str, key: &Value| {
            let header = Header { key: name.into(), schema: key_schema.clone(), value: key.clone() };
            Headers::new(std::iter::once(header).chain(self.context.iter().cloned()).collect())
        };
        let delete_headers = headers("__debezium.newkey", &new_key);
        let create_headers = headers("__debezium.oldkey", &old_key);
        let delete = Change { op: Op::Delete, key: old_key, before, after: Value::Null };
        let create = Change { op: Op::Create, key: new_key, before: Value::Null, after };
        let start = out.len();
        if !skipped.delete {
            self.row(table, delete, place, out);
        }
        for record in &mut out[start..] {
            record.headers = delete_headers.clone();
        }
        if !skipped.create {
            let start = out.len();
            self.row(table, create, place, out);
            out[start].headers = create_headers;
        }
    }

    /// A truncation: no key, no row.
    pub fn truncate(&mut self, table: &Table, place: &Place, out: &mut Vec<Record>) {
        let source = self.table_source(table, place);
        let value = self.envelope(Op::Truncate, Value::Null, Value::Null, source);
        let mut record =
            Record::source(table.topic.clone(), (None, Value::Null), (Some(table.envelope.clone()), value));
        record.headers = self.headers.clone();
        self.sequences.add(out.len(), place);
        out.push(record);
    }

    /// A record of another topic whose value has the source block as its field `field`.
    pub fn source_block(&mut self, place: &Place) -> Value {
        let mut source = self.source(Text::EMPTY, Text::EMPTY, place);
        if let Value::Struct(fields) = &mut source {
            fields[SEQUENCE] = Value::String(sequence(place).into());
        }
        source
    }

    fn table_source(&self, table: &Table, place: &Place) -> Value {
        self.source(table.schema.clone(), table.name.clone(), place)
    }

    fn source(&self, schema: Text, table: Text, place: &Place) -> Value {
        let micros = place.time_micros;
        let (origin, origin_lsn) = match &place.origin {
            Some((name, lsn)) => (Value::String(name.clone()), Value::Int64(lsn.cast_signed())),
            None => (Value::Null, Value::Null),
        };
        let version = Value::String(self.version.clone());
        let connector = Value::String(self.connector.clone());
        let prefix = Value::String(self.prefix.clone());
        let millis = Value::Int64(micros.div_euclid(1000));
        let marker = place.marker.value(self.compat);
        let database = Value::String(self.database.clone());
        // Filled in when the batch is complete, where it is not known yet.
        let sequence = place.sequence.as_ref().map_or(Value::Null, |text| Value::String(text.clone()));
        let (schema, table) = (Value::String(schema), Value::String(table));
        let transaction = place.transaction.map_or(Value::Null, Value::Int64);
        let lsn = match place.marker {
            Marker::Incremental => Value::Null,
            _ => Value::Int64(place.lsn.cast_signed()),
        };
        if self.compat < Compat::V36 {
            let head = [version, connector, prefix, millis, marker, database, sequence];
            let times = [Value::Int64(micros), Value::Int64(micros.wrapping_mul(1000))];
            let times = times.into_iter().filter(|_| self.compat >= Compat::V27);
            let tail = [schema, table, transaction, lsn, Value::Null];
            return Value::Struct(head.into_iter().chain(times).chain(tail).collect());
        }
        Value::Struct(Box::new([
            version,
            connector,
            prefix,
            millis,
            marker,
            database,
            sequence,
            Value::Int64(micros),
            Value::Int64(micros.wrapping_mul(1000)),
            schema,
            table,
            transaction,
            lsn,
            Value::Null,
            origin,
            origin_lsn,
        ]))
    }

    fn envelope(&mut self, op: Op, before: Value, after: Value, source: Value) -> Value {
        let nanos = self.clock.now();
        let (op, millis) = (Value::text(op.letter()), Value::Int64(nanos / 1_000_000));
        if self.compat < Compat::V27 {
            return Value::Struct(Box::new([before, after, source, op, millis, Value::Null]));
        }
        Value::Struct(Box::new([
            before,
            after,
            source,
            Value::Null,
            op,
            millis,
            Value::Int64(nanos / 1000),
            Value::Int64(nanos),
        ]))
    }

    /// Puts a block into an envelope.
    pub fn set_transaction(&self, record: &mut Record, block: Value) {
        let at = if self.compat < Compat::V27 { TRANSACTION_LAST } else { TRANSACTION };
        if let Value::Struct(fields) = &mut record.value
            && let Some(field) = fields.get_mut(at)
        {
            *field = block;
        }
    }

    /// Marks a row of the snapshot that was held back until it was known to be the last.
    pub fn set_marker(&self, record: &mut Record, marker: Marker) {
        if let Some(source) = source_fields(record) {
            source[SNAPSHOT] = marker.value(self.compat);
        }
    }

    /// Records from this one on were taken back.
    pub fn take_back(&mut self, from: usize) {
        let first = self.sequences.places.partition_point(|(index, _, _)| (*index as usize) < from);
        self.sequences.places.truncate(first);
    }

    /// Fills in what is written per batch. Called once, with all records since the last call.
    pub fn complete(&mut self, records: &mut [Record]) {
        if self.sequences.places.is_empty() {
            return;
        }
        let capacity = self.sequences.text.len() + self.sequences.text.len() / 4;
        let buffer = Buffer::from(std::mem::replace(&mut self.sequences.text, Vec::with_capacity(capacity)));
        for (index, start, end) in self.sequences.places.drain(..) {
            let Some(source) = records.get_mut(index as usize).and_then(source_fields) else { continue };
            let text = Text::slice(&buffer, start as usize..end as usize).expect("digits are UTF-8");
            source[SEQUENCE] = Value::String(text);
        }
    }

    /// Nothing of an unfinished batch remains.
    pub fn forget(&mut self) {
        self.sequences = Sequences::default();
    }
}

/// One change of one row.
pub struct Change {
    pub op: Op,
    pub key: Value,
    pub before: Value,
    pub after: Value,
}

impl Sequences {
    fn add(&mut self, index: usize, place: &Place) {
        if place.sequence.is_some() {
            return;
        }
        let start = self.text.len() as u32;
        write_sequence(&mut self.text, place);
        self.places.push((index as u32, start, self.text.len() as u32));
    }
}

/// `["<end of the transaction before>","<position>"]`.
fn write_sequence(out: &mut Vec<u8>, place: &Place) {
    let mut digits = itoa::Buffer::new();
    out.push(b'[');
    match place.commit {
        Some(commit) => {
            out.push(b'"');
            out.extend_from_slice(digits.format(commit).as_bytes());
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"");
    out.extend_from_slice(digits.format(place.lsn).as_bytes());
    out.extend_from_slice(b"\"]");
}

/// The text of `sequence` by itself.
pub fn sequence(place: &Place) -> String {
    let mut out = vec![];
    write_sequence(&mut out, place);
    String::from_utf8(out).expect("digits are UTF-8")
}

fn tombstone(record: &Record) -> Record {
    let key = (record.key_schema.clone(), record.key.clone());
    let mut tombstone = Record::source(Arc::clone(&record.topic), key, (None, Value::Null));
    tombstone.headers = record.headers.clone();
    tombstone
}

fn source_fields(record: &mut Record) -> Option<&mut [Value]> {
    let Value::Struct(fields) = &mut record.value else { return None };
    match fields.get_mut(SOURCE) {
        Some(Value::Struct(source)) => Some(source),
        _ => None,
    }
}

/// Nanoseconds since the epoch.
pub fn now_nanos() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    i64::try_from(since).unwrap_or(i64::MAX)
}

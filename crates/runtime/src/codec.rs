//! Records to bytes and back: converters, prepared once per topic and schema.

use std::collections::HashMap;
use std::sync::Arc;

use connect::contract::HeaderConverter;
use connect::record::{KafkaOrigin, TimestampType};
use connect::settings::Properties;
use connect::{
    Buffer, Converter, Decoder, Encoder, Header, Headers, Origin, RawMessage, Record, Schema, TaskError,
    Value,
};
use converters::Role;
use kafka::{HeaderTemplate, Message, MessageHeaders, Parts};

use crate::connector_settings::ConverterSettings;
use crate::failures::Stage;

/// Prepared encoders or decoders that one task keeps; schemas that changed away are forgotten all at once, which
/// costs one preparation for each that is still in use.
const PREPARED_MAX: usize = 20_000;

/// A failure and the step in which it happened.
#[derive(Debug)]
pub struct StageError {
    pub stage: Stage,
    pub error: TaskError,
}

impl StageError {
    fn at(stage: Stage) -> impl FnOnce(TaskError) -> Self {
        move |error| Self { stage, error }
    }
}

/// The three converters of a task.
pub struct Converters {
    key: Box<dyn Converter>,
    value: Box<dyn Converter>,
    header: Box<dyn HeaderConverter>,
    /// Class names, for error reports.
    pub classes: [String; 3],
}

impl Converters {
    /// # Errors
    /// A class that is not built in, or its options.
    pub fn new(settings: &ConverterSettings) -> Result<Self, TaskError> {
        Ok(Self {
            key: converters::create(&settings.key.class, Role::Key, &settings.key.properties)?,
            value: converters::create(&settings.value.class, Role::Value, &settings.value.properties)?,
            header: converters::create_header(&settings.header.class, &settings.header.properties)?,
            classes: [
                settings.key.class.clone(),
                settings.value.class.clone(),
                settings.header.class.clone(),
            ],
        })
    }
}

/// What keeps the identities of a cache entry alive.
struct Prepared<T> {
    _topic: Arc<str>,
    _schema: Option<Schema>,
    codec: T,
}

type EncoderKey = (usize, usize);

/// Record to bytes.
pub struct RecordEncoder {
    converters: Converters,
    keys: HashMap<EncoderKey, Prepared<Box<dyn Encoder>>, foldhash::fast::RandomState>,
    values: HashMap<EncoderKey, Prepared<Box<dyn Encoder>>, foldhash::fast::RandomState>,
    headers: Option<(Headers, Arc<HeaderTemplate>)>,
}

/// What one record became: the lengths of its key and value, and its headers.
pub struct Encoded {
    pub parts: Parts,
    pub headers: Option<Arc<HeaderTemplate>>,
}

impl RecordEncoder {
    pub fn new(converters: Converters) -> Self {
        Self { converters, keys: HashMap::default(), values: HashMap::default(), headers: None }
    }

    pub fn classes(&self) -> &[String; 3] {
        &self.converters.classes
    }

    /// Appends one record's key and value to `out`. Waits only on the first record of a schema.
    ///
    /// # Errors
    /// The step that failed; nothing is appended then.
    pub async fn encode(&mut self, record: &Record, out: &mut Vec<u8>) -> Result<Encoded, StageError> {
        let start = out.len();
        let result = self.parts(record, out).await;
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    async fn parts(&mut self, record: &Record, out: &mut Vec<u8>) -> Result<Encoded, StageError> {
        let headers = self.headers(record).map_err(StageError::at(Stage::HeaderConverter))?;
        let topic = &record.topic;
        let key = Part { topic, schema: record.key_schema.as_ref(), value: &record.key };
        let key = key
            .encode(&*self.converters.key, &mut self.keys, out)
            .await
            .map_err(StageError::at(Stage::KeyConverter))?;
        let value = Part { topic, schema: record.value_schema.as_ref(), value: &record.value };
        let value = value
            .encode(&*self.converters.value, &mut self.values, out)
            .await
            .map_err(StageError::at(Stage::ValueConverter))?;
        Ok(Encoded { parts: Parts { key, value }, headers })
    }

    /// Most records of a task share one list of headers: its native form is built once.
    fn headers(&mut self, record: &Record) -> Result<Option<Arc<HeaderTemplate>>, TaskError> {
        if record.headers.is_empty() {
            return Ok(None);
        }
        if let Some((last, template)) = &self.headers
            && last.id() == record.headers.id()
        {
            return Ok(Some(template.clone()));
        }
        let mut encoded = vec![];
        for header in record.headers.iter() {
            encoded.push((&*header.key, self.converters.header.encode(&record.topic, header)?));
        }
        let template =
            Arc::new(HeaderTemplate::new(encoded.iter().map(|(key, value)| (*key, value.as_deref()))));
        self.headers = Some((record.headers.clone(), template.clone()));
        Ok(Some(template))
    }
}

/// A record's key or value.
struct Part<'a> {
    topic: &'a Arc<str>,
    schema: Option<&'a Schema>,
    value: &'a Value,
}

impl Part<'_> {
    /// Appends the bytes and says how many; `None` is null.
    async fn encode(
        &self,
        converter: &dyn Converter,
        prepared: &mut HashMap<EncoderKey, Prepared<Box<dyn Encoder>>, foldhash::fast::RandomState>,
        out: &mut Vec<u8>,
    ) -> Result<Option<usize>, TaskError> {
        let start = out.len();
        let id = (self.topic.as_ptr() as usize, self.schema.map_or(0, Schema::id));
        let is_there = match prepared.get_mut(&id) {
            Some(known) => known.codec.encode(self.value, out)?,
            None => {
                if prepared.len() >= PREPARED_MAX {
                    prepared.clear();
                }
                let codec = converter.encoder(self.topic, self.schema).await?;
                let known = Prepared { _topic: self.topic.clone(), _schema: self.schema.cloned(), codec };
                prepared.entry(id).insert_entry(known).get_mut().codec.encode(self.value, out)?
            }
        };
        Ok(is_there.then(|| out.len() - start))
    }
}

type DecoderKey = (usize, u32);

/// Bytes to record.
pub struct RecordDecoder {
    converters: Converters,
    keys: HashMap<DecoderKey, Prepared<Box<dyn Decoder>>, foldhash::fast::RandomState>,
    values: HashMap<DecoderKey, Prepared<Box<dyn Decoder>>, foldhash::fast::RandomState>,
    /// The last headers, raw and decoded, and the topic they came from.
    headers: Option<(Arc<str>, MessageHeaders, Headers)>,
}

impl RecordDecoder {
    pub fn new(converters: Converters) -> Self {
        Self { converters, keys: HashMap::default(), values: HashMap::default(), headers: None }
    }

    pub fn classes(&self) -> &[String; 3] {
        &self.converters.classes
    }

    /// Decodes one message. Waits only on the first message of a writer's schema.
    ///
    /// # Errors
    /// The step that failed.
    pub async fn decode(&mut self, message: &Message) -> Result<Record, StageError> {
        let (key_schema, key) =
            decode_part(&*self.converters.key, &mut self.keys, &message.topic, message.key.as_ref())
                .await
                .map_err(StageError::at(Stage::KeyConverter))?;
        let (value_schema, value) =
            decode_part(&*self.converters.value, &mut self.values, &message.topic, message.value.as_ref())
                .await
                .map_err(StageError::at(Stage::ValueConverter))?;
        let headers = self.headers(message).map_err(StageError::at(Stage::HeaderConverter))?;
        Ok(Record {
            topic: message.topic.clone(),
            partition: Some(message.partition),
            key_schema,
            key,
            value_schema,
            value,
            headers,
            timestamp: message.timestamp,
            origin: Origin::Kafka(origin(message)),
        })
    }

    /// Key and value for a person to read, as JSON; `None` where a converter cannot read them.
    pub async fn shown(
        &mut self,
        message: &Message,
    ) -> (Option<serde_json::Value>, Option<serde_json::Value>) {
        let (converters, topic) = (&self.converters, &message.topic);
        let key = decode_part(&*converters.key, &mut self.keys, topic, message.key.as_ref()).await;
        let value = decode_part(&*converters.value, &mut self.values, topic, message.value.as_ref()).await;
        (as_json(topic, key).await, as_json(topic, value).await)
    }

    /// Most messages of a task share one list of headers: it is decoded once.
    fn headers(&mut self, message: &Message) -> Result<Headers, TaskError> {
        if message.headers.is_empty() {
            return Ok(Headers::default());
        }
        if let Some((topic, raw, decoded)) = &self.headers
            && Arc::ptr_eq(raw, &message.headers)
            && Arc::ptr_eq(topic, &message.topic)
        {
            return Ok(decoded.clone());
        }
        let mut headers = vec![];
        for (name, bytes) in message.headers.iter() {
            let (schema, value) = self.converters.header.decode(&message.topic, name, bytes.as_deref())?;
            headers.push(Header { key: name.clone(), schema, value });
        }
        let decoded = Headers::new(headers);
        self.headers = Some((message.topic.clone(), message.headers.clone(), decoded.clone()));
        Ok(decoded)
    }
}

/// What was decoded, as JSON without its schema.
async fn as_json(
    topic: &str,
    decoded: Result<(Option<Schema>, Value), TaskError>,
) -> Option<serde_json::Value> {
    let (schema, value) = decoded.ok()?;
    let options = Properties::from_iter([("schemas.enable".to_owned(), "false".to_owned())]);
    let class = "org.apache.kafka.connect.json.JsonConverter";
    let converter = converters::create(class, Role::Value, &options).ok()?;
    let mut text = vec![];
    let mut encoder = converter.encoder(topic, schema.as_ref()).await.ok()?;
    match encoder.encode(&value, &mut text) {
        Ok(true) => serde_json::from_slice(&text).ok(),
        Ok(false) => Some(serde_json::Value::Null),
        Err(_) => None,
    }
}

/// Where a message lies, and its bytes.
pub fn origin(message: &Message) -> KafkaOrigin {
    KafkaOrigin {
        topic: message.topic.clone(),
        partition: message.partition,
        offset: message.offset,
        timestamp_type: match message.timestamp_type {
            kafka::message::TimestampType::None => TimestampType::None,
            kafka::message::TimestampType::CreateTime => TimestampType::CreateTime,
            kafka::message::TimestampType::LogAppendTime => TimestampType::LogAppendTime,
        },
        timestamp: message.timestamp,
        raw: RawMessage {
            key: message.key.clone(),
            value: message.value.clone(),
            headers: message.headers.clone(),
        },
    }
}

async fn decode_part(
    converter: &dyn Converter,
    prepared: &mut HashMap<DecoderKey, Prepared<Box<dyn Decoder>>, foldhash::fast::RandomState>,
    topic: &Arc<str>,
    payload: Option<&bytes::Bytes>,
) -> Result<(Option<Schema>, Value), TaskError> {
    let writer = match payload {
        Some(payload) => converter.writer_id(payload)?,
        None => 0,
    };
    let buffer = payload.map(|payload| Buffer::new(payload.clone()));
    let id = (topic.as_ptr() as usize, writer);
    if let Some(known) = prepared.get_mut(&id) {
        return known.codec.decode(buffer.as_ref());
    }
    if prepared.len() >= PREPARED_MAX {
        prepared.clear();
    }
    let mut codec = converter.decoder(topic, writer).await?;
    let result = codec.decode(buffer.as_ref());
    prepared.insert(id, Prepared { _topic: topic.clone(), _schema: None, codec });
    result
}

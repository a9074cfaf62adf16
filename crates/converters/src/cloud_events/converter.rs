//! The CloudEvents converter behind the contract.

use std::collections::HashMap;
use std::sync::Arc;

use connect::settings::Properties;
use connect::{Converter, Decoder, Encoder, Schema, TaskError};
use futures::future::BoxFuture;
use tokio::runtime::Builder;

use super::event::Envelope;
use super::read::EventDecoder;
use super::settings::{Serializer, Settings};
use super::write::{EventEncoder, NothingEncoder};
use crate::avro_converter;
use crate::catalog::Role;
use crate::json::JsonConverter;

/// Data have a subject of their own where the event is Avro too.
const DATA_SUFFIX: &str = "-data";

#[derive(Clone)]
pub(crate) struct CloudEventsConverter(Shared);

/// What encoders and decoders share.
#[derive(Clone)]
pub(super) struct Shared {
    pub settings: Arc<Settings>,
    /// Of events, whose JSON never bears a schema.
    json: Arc<JsonConverter>,
    /// Of data, as their options say.
    json_data: Arc<JsonConverter>,
    has_data_schema: bool,
    /// Of Avro events and data.
    avro: Option<Arc<dyn Converter>>,
}

impl CloudEventsConverter {
    pub(crate) fn new(properties: &Properties) -> Result<Self, TaskError> {
        let settings = Settings::parse(properties)?;
        let mut without = settings.json.clone();
        without.insert("schemas.enable".to_owned(), "false".to_owned());
        let has_data_schema =
            settings.json.get("schemas.enable").is_none_or(|text| text.eq_ignore_ascii_case("true"));
        let avro = match settings.data {
            Serializer::Avro => Some(avro(&settings)?),
            Serializer::Json => None,
        };
        Ok(Self(Shared {
            json: Arc::new(JsonConverter::new(&without)?),
            json_data: Arc::new(JsonConverter::new(&settings.json)?),
            has_data_schema,
            avro,
            settings: Arc::new(settings),
        }))
    }
}

fn avro(settings: &Settings) -> Result<Arc<dyn Converter>, TaskError> {
    Ok(if settings.avro.contains_key("apicurio.registry.url") {
        Arc::new(avro_converter::apicurio_converter(Role::Value, &settings.avro)?)
    } else {
        Arc::new(avro_converter::converter(Role::Value, &settings.avro)?)
    })
}

impl Shared {
    fn avro(&self) -> Result<&Arc<dyn Converter>, TaskError> {
        self.avro.as_ref().ok_or_else(|| TaskError::halt("CloudEvents without Avro have no Avro converter"))
    }

    pub(super) fn writer_id(&self, payload: &[u8]) -> Result<u32, TaskError> {
        self.avro()?.writer_id(payload)
    }

    fn data_topic(&self, topic: &str) -> String {
        match self.settings.event {
            Serializer::Avro => format!("{topic}{DATA_SUFFIX}"),
            Serializer::Json => topic.to_owned(),
        }
    }

    /// Waits for the registry where the event is Avro: its schema is known with the first event only.
    pub(super) fn event_encoder(&self, topic: &str, schema: &Schema) -> Result<Box<dyn Encoder>, TaskError> {
        let event = self.settings.event;
        self.waiting(|own| async move {
            match event {
                Serializer::Json => own.json.encoder(topic, Some(schema)).await,
                Serializer::Avro => own.avro()?.encoder(topic, Some(schema)).await,
            }
        })
    }

    /// Waits for the registry: the data's writer is known with the first event only.
    pub(super) fn data_decoder(&self, topic: &str, id: u32) -> Result<Box<dyn Decoder>, TaskError> {
        let topic = self.data_topic(topic);
        self.waiting(|own| async move { own.avro()?.decoder(&topic, id).await })
    }

    /// With a runtime and connections of its own: the thread that waits here may be the only one that the process's
    /// runtime has.
    fn waiting<T: Send, F: Future<Output = Result<T, TaskError>>>(
        &self,
        ask: impl FnOnce(Self) -> F + Send,
    ) -> Result<T, TaskError> {
        let prepare = || {
            let runtime = Builder::new_current_thread().enable_all().build();
            let runtime = runtime
                .map_err(|error| TaskError::retry(format!("cannot ask the schema registry: {error}")))?;
            let mut own = self.clone();
            if own.avro.is_some() {
                own.avro = Some(avro(&own.settings)?);
            }
            runtime.block_on(ask(own))
        };
        std::thread::scope(|scope| scope.spawn(prepare).join())
            .unwrap_or_else(|_| Err(TaskError::halt("preparing a CloudEvents schema failed")))
    }

    async fn encoder(&self, topic: &str, schema: Option<&Schema>) -> Result<Box<dyn Encoder>, TaskError> {
        let envelope = schema.map(Envelope::new).transpose()?.flatten();
        let Some(envelope) = envelope else { return Ok(Box::new(NothingEncoder)) };
        let data = match self.settings.data {
            Serializer::Avro => {
                let topic = self.data_topic(topic);
                Some(self.avro()?.encoder(&topic, Some(&envelope.data_schema)).await?)
            }
            Serializer::Json if self.has_data_schema => {
                Some(self.json_data.encoder(topic, Some(&envelope.data_schema)).await?)
            }
            Serializer::Json => None,
        };
        let topic = topic.to_owned();
        Ok(Box::new(EventEncoder { shared: self.clone(), topic, envelope, data, event: None }))
    }
}

impl Converter for CloudEventsConverter {
    fn encoder<'a>(
        &'a self,
        topic: &'a str,
        schema: Option<&'a Schema>,
    ) -> BoxFuture<'a, Result<Box<dyn Encoder>, TaskError>> {
        Box::pin(self.0.encoder(topic, schema))
    }

    fn writer_id(&self, payload: &[u8]) -> Result<u32, TaskError> {
        match self.0.settings.event {
            Serializer::Json => Ok(0),
            Serializer::Avro => self.0.writer_id(payload),
        }
    }

    fn decoder<'a>(
        &'a self,
        topic: &'a str,
        writer_id: u32,
    ) -> BoxFuture<'a, Result<Box<dyn Decoder>, TaskError>> {
        Box::pin(async move {
            let event = match self.0.settings.event {
                Serializer::Json => self.0.json.decoder(topic, 0).await?,
                Serializer::Avro => self.0.avro()?.decoder(topic, writer_id).await?,
            };
            let (shared, topic) = (self.0.clone(), topic.to_owned());
            Ok(Box::new(EventDecoder { shared, topic, event, data: HashMap::new(), last: None })
                as Box<dyn Decoder>)
        })
    }
}

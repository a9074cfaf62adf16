//! Converters on a real registry in memory.

use connect::{Buffer, Converter, Schema, TaskError, Value};
use registry::Registry;
use registry_client::{Client, Settings};
use tokio::runtime::Runtime;

pub struct Rig {
    pub runtime: Runtime,
    pub registry: Registry,
}

impl Rig {
    pub fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let settings = registry::Settings::in_memory("127.0.0.1:0");
        let registry = runtime.block_on(registry::serve(&settings)).unwrap();
        Self { runtime, registry }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.registry.address())
    }

    pub fn client(&self) -> Client {
        Client::new(Settings::new(vec![self.url()])).unwrap()
    }

    pub fn encode(
        &self,
        converter: &dyn Converter,
        topic: &str,
        schema: &Schema,
        value: &Value,
    ) -> Result<Vec<u8>, TaskError> {
        let mut encoder = self.runtime.block_on(converter.encoder(topic, Some(schema)))?;
        let mut out = vec![];
        assert!(encoder.encode(value, &mut out)?);
        Ok(out)
    }

    pub fn decode(
        &self,
        converter: &dyn Converter,
        topic: &str,
        payload: Vec<u8>,
    ) -> Result<(Option<Schema>, Value), TaskError> {
        let id = converter.writer_id(&payload)?;
        let mut decoder = self.runtime.block_on(converter.decoder(topic, id))?;
        decoder.decode(Some(&Buffer::from(payload)))
    }
}

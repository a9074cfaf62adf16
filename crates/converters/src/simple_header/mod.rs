//! `org.apache.kafka.connect.storage.SimpleHeaderConverter`: any value as text, and its type inferred again.
//!
//! Where Connect's inference would change the value (`12:34:56Z` read as 12, long fractions as float32) the text stays
//! a string: see docs/compatibility.md.

mod print; // value -> text

use connect::contract::HeaderConverter;
use connect::{Header, Schema, TaskError, Value};

pub(crate) struct SimpleHeaderConverter;

impl HeaderConverter for SimpleHeaderConverter {
    fn encode(&self, _topic: &str, header: &Header) -> Result<Option<Vec<u8>>, TaskError> {
        if header.value.is_null() {
            return Ok(None);
        }
        let mut text = String::new();
        print::write(header.schema.as_ref(), &header.value, print::Place::Top, &mut text)?;
        Ok(Some(text.into_bytes()))
    }

    fn decode(
        &self,
        _topic: &str,
        _key: &str,
        value: Option<&[u8]>,
    ) -> Result<(Option<Schema>, Value), TaskError> {
        let Some(bytes) = value else { return Ok((None, Value::Null)) };
        let text = String::from_utf8_lossy(bytes);
        Ok(connect::infer::infer(&text))
    }
}

//! Avro vectors, against a real registry. They come from Apicurio's fork of an old AvroData: where its README says that
//! Confluent's differs, Confluent's form is what we write.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use connect::settings::Properties;
use connect::{Buffer, Converter, Schema, Value};
use converters::{Role, create};
use registry_client::{Client, Settings};
use serde_json::{Map, Value as Json, json};
use tokio::runtime::Runtime;

use crate::vectors::{Checked, Types, difference, schema_from, schema_to, types_of, value_from, value_to};

const CLASS: &str = "io.apicurio.registry.utils.converter.AvroConverter";
const HEADER_LENGTH: usize = 5;

pub struct Registry<'a> {
    runtime: &'a Runtime,
    url: String,
    client: Client,
    topics: AtomicU32,
}

impl<'a> Registry<'a> {
    pub fn new(runtime: &'a Runtime, address: SocketAddr) -> Self {
        let url = format!("http://{address}");
        let client = Client::new(Settings::new(vec![url.clone()])).unwrap();
        Self { runtime, url, client, topics: AtomicU32::new(0) }
    }

    pub fn check(&self, case: &Json) -> Checked {
        self.runtime.block_on(self.check_case(case))
    }

    async fn check_case(&self, case: &Json) -> Checked {
        if case["class"] != CLASS {
            return Err(format!("class {}", case["class"]));
        }
        let mut properties: Properties = case["config"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        properties.insert("apicurio.registry.url".to_owned(), self.url.clone());
        let converter = create(CLASS, Role::Value, &properties).map_err(|error| error.to_string())?;
        let topic = format!("golden-{}", self.topics.fetch_add(1, Ordering::Relaxed));
        if let Some(hex) = case.get("bytes_hex") {
            return self.check_read_only(case, &topic, &*converter, hex.as_str()).await;
        }
        let none = Map::new();
        let schema = schema_from(&case["schema"], &none);
        let value = value_from(schema.as_ref(), &case["value"], "", &types_of(case.get("value_types")));
        let expects_error = case["output"].get("error").is_some();
        let mut bytes = vec![];
        let encoded = match converter.encoder(&topic, schema.as_ref()).await {
            Ok(mut encoder) => encoder.encode(&value, &mut bytes),
            Err(error) => Err(error),
        };
        let written = match (encoded, expects_error) {
            (Err(_), true) => return Ok(None),
            (Err(_), false) if redefines(case) => {
                return Ok(Some(("the recorded AvroConverter redefines a name", Json::Null)));
            }
            (Err(error), false) => return Err(format!("not written: {error}")),
            (Ok(_), true) => return Err("written, but an error was expected".to_owned()),
            (Ok(written), false) => written,
        };
        if !written {
            let expected = case["output"].get("bytes_hex") == Some(&Json::Null);
            return if expected { Ok(None) } else { Err("no bytes".to_owned()) };
        }
        self.check_written(case, &bytes).await?;
        let id = converter.writer_id(&bytes).map_err(|error| error.to_string())?;
        let mut decoder = converter.decoder(&topic, id).await.map_err(|error| error.to_string())?;
        let read = decoder.decode(Some(&Buffer::from(bytes.clone()))).map_err(|error| error.to_string())?;
        check_read(case, schema.as_ref(), &value, read)
    }

    async fn check_read_only(
        &self,
        case: &Json,
        topic: &str,
        converter: &dyn Converter,
        hex: Option<&str>,
    ) -> Checked {
        let bytes = hex.map(|hex| hex::decode(hex).unwrap());
        let read = async {
            let id = bytes.as_deref().map_or(Ok(1), |bytes| converter.writer_id(bytes))?;
            let mut decoder = converter.decoder(topic, id).await?;
            decoder.decode(bytes.clone().map(Buffer::from).as_ref())
        };
        match (read.await, case["output"].get("error").is_some()) {
            (Err(_), true) => Ok(None),
            (Err(error), false) => Err(format!("not read: {error}")),
            (Ok(_), true) => Err("read, but an error was expected".to_owned()),
            (Ok((schema, value)), false) => {
                let found = value_to(schema.as_ref(), &value, "", &mut Types::new());
                difference(&case["output"]["value"], &found, "/value").map_or(Ok(None), Err)
            }
        }
    }

    async fn check_written(&self, case: &Json, bytes: &[u8]) -> Result<(), String> {
        let id = u32::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]);
        let found = self.client.schema_by_id(id, None).await.map_err(|error| error.to_string())?;
        let wanted = case["output"]["avro_schema"].as_str().unwrap();
        // Confluent registers the union of an optional struct at the top, and writes its branch.
        let optional_struct = case["schema"]["type"] == "struct" && case["schema"]["optional"] == true;
        let wanted = if optional_struct { format!("[\"null\",{wanted}]") } else { wanted.to_owned() };
        if found.schema != wanted {
            return Err(format!("schema: expected {wanted}, found {}", found.schema));
        }
        let wanted = hex::decode(case["output"]["payload_hex"].as_str().unwrap()).unwrap();
        let raw = found.schema == "\"bytes\"" || found.schema.starts_with("{\"type\":\"bytes\"");
        // Confluent writes bytes at the top as they are, without Avro's length.
        let wanted = if raw { without_length(&wanted) } else { &wanted };
        let found = &bytes[HEADER_LENGTH + usize::from(optional_struct)..];
        if found != wanted {
            return Err(format!("payload: expected {}, found {}", hex::encode(wanted), hex::encode(found)));
        }
        Ok(())
    }
}

fn without_length(datum: &[u8]) -> &[u8] {
    let end = datum.iter().position(|byte| byte & 0x80 == 0).unwrap();
    &datum[end + 1..]
}

/// A name that stands for two different structs.
fn redefines(case: &Json) -> bool {
    case["schema"]["fields"].as_array().is_some_and(|fields| {
        fields.iter().any(|a| {
            fields.iter().any(|b| {
                a["name"].is_string()
                    && a["name"] == b["name"]
                    && a["type"] == "struct"
                    && a["fields"] != b["fields"]
            })
        })
    })
}

/// Apicurio reads anything but records without a schema: then what was written must come back.
fn check_read(
    case: &Json,
    schema: Option<&Schema>,
    value: &Value,
    (found_schema, found): (Option<Schema>, Value),
) -> Checked {
    let back = &case["back"];
    let found_value = value_to(found_schema.as_ref(), &found, "", &mut Types::new());
    if back["schema"].is_null() {
        let kept = match (schema, &found_schema) {
            (Some(a), Some(b)) => a.kind().type_name() == b.kind().type_name() && a.name() == b.name(),
            (a, b) => a.is_none() && b.is_none(),
        };
        if schema.is_some() && kept && found == *value {
            return Ok(None);
        }
        let wanted = back["value"].clone();
        return difference(&wanted, &found_value, "/value").map_or(Ok(None), Err);
    }
    let found = json!({"schema": schema_to(found_schema.as_ref()), "value": found_value});
    let mut wanted = json!({"schema": back["schema"], "value": back["value"]});
    if case["schema"]["optional"] == true {
        wanted["schema"]["optional"] = json!(true);
    }
    // The registry's version is the version of a schema that has none.
    if wanted["schema"].get("version").is_none() {
        wanted["schema"]["version"] = json!(1);
    }
    difference(&wanted, &found, "").map_or(Ok(None), |difference| Err(format!("read back: {difference}")))
}

//! The registry on a real broker: what is stored, in which bytes, and what survives a restart or was written by others.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::{Arc, Mutex};

use broker::{Broker, BrokerSettings, Fsync};
use kafka::{ClientSettings, CompactedLog, Producer, TopicSpec};
use registry::{Registry, Settings};
use reqwest::{Client, Method};
use serde_json::{Value as Json, json};

const RECORD: &str = r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"a","type":"int"}]}"#;
const WIDER: &str = r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"a","type":"int"},{"name":"b","type":["null","string"],"default":null}]}"#;

struct Rig {
    broker: Broker,
    registry: Option<Registry>,
    kafka: ClientSettings,
    http: Client,
}

impl Rig {
    async fn start(folder: &Path) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings = BrokerSettings {
            listener: "127.0.0.1:0".to_owned(),
            data_dir: folder.to_owned(),
            fsync: Fsync::Never,
        };
        let broker = Broker::start(&settings).await.unwrap();
        let address = broker.address().to_string();
        let kafka = ClientSettings::new([("bootstrap.servers", address.as_str())]);
        let mut rig = Self { broker, registry: None, kafka, http: Client::new() };
        rig.restart().await;
        rig
    }

    async fn restart(&mut self) {
        if let Some(registry) = self.registry.take() {
            registry.stop().await;
        }
        let settings = Settings::new("127.0.0.1:0", self.kafka.clone());
        self.registry = Some(registry::serve(&settings).await.unwrap());
    }

    async fn call(&self, method: Method, path: &str, body: Option<Json>) -> (u16, Json) {
        let address = self.registry.as_ref().unwrap().address();
        let mut request = self.http.request(method, format!("http://{address}{path}"));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap())
    }

    async fn get(&self, path: &str) -> (u16, Json) {
        self.call(Method::GET, path, None).await
    }

    async fn register(&self, subject: &str, schema: &str) -> (u16, Json) {
        let body = json!({"schema": schema});
        self.call(Method::POST, &format!("/subjects/{subject}/versions"), Some(body)).await
    }

    /// Everything in the topic, in order.
    async fn records(&self) -> Vec<(String, Option<String>)> {
        let records = Arc::new(Mutex::new(vec![]));
        let told = Arc::clone(&records);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let log = self.log(move |record| {
            let key = text(record.key.as_deref().unwrap_or_default());
            told.lock().unwrap().push((key, record.value.as_deref().map(text)));
        });
        drop(log.await);
        let records = records.lock().unwrap();
        records.clone()
    }

    async fn log(&self, tell: impl FnMut(kafka::LogRecord) + Send + 'static) -> CompactedLog {
        let producer = Arc::new(Producer::new(&self.kafka).unwrap());
        let spec = TopicSpec::compacted("_schemas", 1, -1);
        CompactedLog::open(&self.kafka, producer, &spec, tell).await.unwrap()
    }

    async fn stop(self) {
        self.registry.unwrap().stop().await;
        self.broker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_and_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(folder.path()).await;
    let (status, first) = rig.register("t-value", &RECORD.replace(':', ": ")).await;
    assert_eq!(
        (status, &first["id"], &first["version"], &first["schema"]),
        (200, &json!(1), &json!(1), &json!(RECORD))
    );
    let (_, second) = rig.register("t-value", WIDER).await;
    assert_eq!((&second["id"], &second["version"]), (&json!(2), &json!(2)));
    // The same schema under another subject keeps its id.
    let (_, other) = rig.register("u-value", RECORD).await;
    assert_eq!((&other["id"], &other["version"]), (&json!(1), &json!(1)));
    let body = json!({"compatibility": "full"});
    let (_, set) = rig.call(Method::PUT, "/config", Some(body)).await;
    assert_eq!(set, json!({"compatibility": "FULL"}));

    let records = rig.records().await;
    assert_eq!(records[0].0, r#"{"keytype":"SCHEMA","subject":"t-value","version":1,"magic":1}"#);
    let value: Json = serde_json::from_str(records[0].1.as_ref().unwrap()).unwrap();
    assert_eq!(
        value,
        json!({"subject": "t-value", "version": 1, "id": 1, "schemaType": "AVRO", "schema": RECORD, "deleted": false})
    );
    assert_eq!(records[3].0, r#"{"keytype":"CONFIG","magic":0}"#);

    rig.restart().await;
    let (_, latest) = rig.get("/subjects/t-value/versions/latest").await;
    assert_eq!((&latest["id"], &latest["schema"]), (&json!(2), &json!(WIDER)));
    assert_eq!(rig.get("/config").await.1, json!({"compatibilityLevel": "FULL"}));
    assert_eq!(rig.get("/subjects").await.1, json!(["t-value", "u-value"]));
    // Both ways compatible is asked for now: a field without a default may not go.
    let (status, refused) = rig.register("t-value", r#"{"type":"record","name":"R","fields":[]}"#).await;
    assert_eq!((status, &refused["error_code"]), (409, &json!(40901)));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(folder.path()).await;
    rig.register("s", RECORD).await;
    rig.register("s", WIDER).await;
    let delete = |path: &'static str| rig.call(Method::DELETE, path, None);
    assert_eq!(delete("/subjects/s/versions/1?permanent=true").await.1["error_code"], json!(40407));
    assert_eq!(delete("/subjects/s/versions/1").await.1, json!(1));
    assert_eq!(delete("/subjects/s/versions/1").await.1["error_code"], json!(40406));
    assert_eq!(rig.get("/subjects/s/versions").await.1, json!([2]));
    assert_eq!(rig.get("/subjects/s/versions?deleted=true").await.1, json!([1, 2]));
    assert_eq!(rig.get("/schemas/ids/1").await.1["schema"], json!(RECORD));
    // Registered again it is a new version with the old id.
    let (_, again) = rig.register("s", RECORD).await;
    assert_eq!((&again["id"], &again["version"]), (&json!(1), &json!(3)));
    assert_eq!(
        rig.call(Method::DELETE, "/subjects/s?permanent=true", None).await.1["error_code"],
        json!(40405)
    );
    assert_eq!(rig.call(Method::DELETE, "/subjects/s", None).await.1, json!([2, 3]));
    assert_eq!(rig.call(Method::DELETE, "/subjects/s", None).await.1["error_code"], json!(40404));
    assert_eq!(rig.get("/subjects/s/versions/latest").await.1["error_code"], json!(40401));
    rig.restart().await;
    assert_eq!(rig.get("/subjects?deleted=true").await.1, json!(["s"]));
    assert_eq!(rig.call(Method::DELETE, "/subjects/s?permanent=true", None).await.1, json!([2, 3]));
    assert_eq!(rig.get("/subjects?deleted=true").await.1, json!([]));
    assert_eq!(rig.get("/schemas/ids/1").await.1["error_code"], json!(40403));
    let (_, anew) = rig.register("s", WIDER).await;
    assert_eq!(anew["version"], json!(1));
    rig.stop().await;
}

/// The highest id may go with its schema, and the topic be compacted: it is not given again.
#[tokio::test(flavor = "multi_thread")]
async fn ids_are_never_given_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(folder.path()).await;
    rig.register("a", RECORD).await;
    let (_, last) = rig.register("b", WIDER).await;
    assert_eq!(last["id"], json!(2));
    rig.call(Method::DELETE, "/subjects/b", None).await;
    rig.call(Method::DELETE, "/subjects/b?permanent=true", None).await;
    let records = rig.records().await;
    let noop = records.iter().find(|(key, _)| key == r#"{"keytype":"NOOP","magic":0}"#).unwrap();
    assert_eq!(noop.1.as_deref(), Some(r#"{"idMax":2}"#));
    rig.restart().await;
    let (_, next) = rig.register("c", "\"string\"").await;
    assert_eq!(next["id"], json!(3));
    rig.stop().await;
}

/// Two workers on one cluster: an id that both give in the same moment stands for the schema that the topic has first.
#[tokio::test(flavor = "multi_thread")]
async fn registries_side_by_side_give_different_ids() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    let other = registry::serve(&Settings::new("127.0.0.1:0", rig.kafka.clone())).await.unwrap();
    let addresses = [rig.registry.as_ref().unwrap().address(), other.address()];
    let mut registered = vec![];
    for round in 0..20 {
        let both = addresses.iter().enumerate().map(|(at, address)| {
            let schema = format!(
                r#"{{"type":"record","name":"R{round}_{at}","fields":[{{"name":"a","type":"int"}}]}}"#
            );
            let url = format!("http://{address}/subjects/s{round}-{at}/versions");
            let request = rig.http.post(url).json(&json!({"schema": &schema}));
            async move {
                let answer: Json = request.send().await.unwrap().json().await.unwrap();
                (answer["id"].as_i64().unwrap_or_else(|| panic!("{answer}")), schema)
            }
        });
        registered.extend(futures::future::join_all(both).await);
    }
    let ids: std::collections::BTreeSet<_> = registered.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids.len(), registered.len(), "{registered:?}");
    for (id, schema) in &registered {
        let (status, answer) = rig.get(&format!("/schemas/ids/{id}")).await;
        assert_eq!((status, answer["schema"].as_str()), (200, Some(schema.as_str())), "{id}");
    }
    other.stop().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_are_part_of_a_schema() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(folder.path()).await;
    let body = |tier: &str| json!({"schema": RECORD, "metadata": {"properties": {"tier": tier}}});
    let register = |body: Json| rig.call(Method::POST, "/subjects/m/versions", Some(body));
    assert_eq!(register(body("gold")).await.1["id"], json!(1));
    assert_eq!(register(body("silver")).await.1["id"], json!(2));
    assert_eq!(register(body("gold")).await.1["version"], json!(1));
    let (_, plain) = register(json!({"schema": RECORD})).await;
    assert_eq!((&plain["id"], plain.get("metadata")), (&json!(3), None));
    rig.restart().await;
    let (_, found) = rig.get("/subjects/m/metadata?key=tier&value=gold").await;
    assert_eq!((&found["version"], &found["metadata"]["properties"]["tier"]), (&json!(1), &json!("gold")));
    assert_eq!(rig.get("/schemas/ids/2").await.1["metadata"], json!({"properties": {"tier": "silver"}}));
    assert_eq!(rig.get("/subjects/m/metadata?key=tier&value=tin").await.1["error_code"], json!(40403));
    assert_eq!(rig.get("/subjects/x/metadata?key=tier&value=tin").await.1["error_code"], json!(40401));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_schema_and_protobuf() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(folder.path()).await;
    let body = |kind: &str, text: &str| json!({"schemaType": kind, "schema": text});
    let reference = |body: Json, name: &str, subject: &str| {
        let mut body = body;
        body["references"] = json!([{"name": name, "subject": subject, "version": 1}]);
        body
    };
    let object =
        r#"{"type": "object", "properties": {"a": {"$ref": "other.json"}}, "additionalProperties": false}"#;
    let wider = r#"{"type":"object","properties":{"a":{"$ref":"other.json"},"b":{"type":"string"}},"additionalProperties":false}"#;
    let post = async |subject: &str, body: Json| {
        rig.call(Method::POST, &format!("/subjects/{subject}/versions"), Some(body)).await
    };
    assert_eq!(post("other", body("JSON", r#"{"type":"integer"}"#)).await.0, 200);
    assert_eq!(post("j", body("JSON", object)).await.1["error_code"], json!(42201));
    assert_eq!(post("j", body("JSON", r#"{"type":"nonsense"}"#)).await.1["error_code"], json!(42201));
    let (status, first) = post("j", reference(body("JSON", object), "other.json", "other")).await;
    assert_eq!((status, &first["schemaType"]), (200, &json!("JSON")));
    assert_eq!(post("j", reference(body("JSON", wider), "other.json", "other")).await.1["version"], json!(2));
    let (status, refused) = post("j", reference(body("JSON", object), "other.json", "other")).await;
    assert_eq!((status, &refused["id"]), (200, &first["id"]));
    let narrower = r#"{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}"#;
    let (status, refused) = post("j", body("JSON", narrower)).await;
    assert_eq!((status, &refused["error_code"]), (409, &json!(40901)));
    assert!(refused["message"].as_str().unwrap().contains("TYPE_CHANGED"), "{refused}");

    let proto = |fields: &str| {
        format!("syntax = \"proto3\"; import \"i.proto\"; message M {{ Inner i = 1; {fields} }}")
    };
    let inner = "syntax = \"proto3\"; message Inner { int32 x = 1; }";
    assert_eq!(post("i", body("PROTOBUF", inner)).await.0, 200);
    assert_eq!(post("p", body("PROTOBUF", &proto(""))).await.1["error_code"], json!(42201));
    let with = |fields: &str| reference(body("PROTOBUF", &proto(fields)), "i.proto", "i");
    assert_eq!(post("p", with("string s = 2;")).await.0, 200);
    assert_eq!(post("p", with("string s = 2; int32 n = 3;")).await.1["version"], json!(2));
    assert_eq!(post("p", with("int32 s = 2;")).await.1["error_code"], json!(40901));
    assert_eq!(post("p", body("AVRO", "\"int\"")).await.1["error_code"], json!(40901));
    rig.restart().await;
    assert_eq!(rig.get("/subjects/p/versions/1").await.1["schemaType"], json!("PROTOBUF"));
    let (_, compiled) = rig.get("/subjects/p/versions/1?format=serialized").await;
    let body = reference(body("PROTOBUF", compiled["schema"].as_str().unwrap()), "i.proto", "i");
    assert!(!compiled["schema"].as_str().unwrap().contains("message"));
    assert_eq!(rig.call(Method::POST, "/subjects/p", Some(body)).await.1["version"], json!(1));
    let spelt = with("int32   n = 3;   string s = 2;");
    let (status, _) = rig.call(Method::POST, "/subjects/p", Some(spelt)).await;
    assert_eq!(status, 404, "the order of fields is part of a file");
    let spaced = with("string s=2;");
    assert_eq!(rig.call(Method::POST, "/subjects/p", Some(spaced)).await.1["version"], json!(1));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(folder.path()).await;
    let log = rig.log(|_| {}).await;
    // Karapace's order of members, an old global key, a key type of later servers, and garbage.
    let value = json!({"subject": "k", "version": 1, "id": 7, "schema": RECORD, "deleted": false, "ts": 1});
    let bytes = |text: &str| text.as_bytes().to_vec();
    let records = [
        (
            bytes(r#"{"subject":"k","version":1,"magic":1,"keytype":"SCHEMA"}"#),
            Some(bytes(&value.to_string())),
        ),
        (
            bytes(r#"{"keytype":"CONFIG","subject":null,"magic":0}"#),
            Some(bytes(r#"{"compatibilityLevel":"NONE"}"#)),
        ),
        (bytes(r#"{"keytype":"ASSOC","tenant":"default"}"#), Some(bytes("{}"))),
        (bytes("garbage"), Some(bytes("garbage"))),
        (bytes(r#"{"keytype":"SCHEMA","subject":"bad","version":1,"magic":1}"#), Some(bytes("{"))),
    ];
    log.append(&records).await.unwrap();
    drop(log);
    rig.restart().await;
    assert_eq!(rig.get("/subjects").await.1, json!(["k"]));
    assert_eq!(rig.get("/config").await.1, json!({"compatibilityLevel": "NONE"}));
    let (_, next) = rig.register("k", r#"{"type":"record","name":"R","fields":[]}"#).await;
    assert_eq!((&next["id"], &next["version"]), (&json!(8), &json!(2)));
    // A hard deletion covers every byte form of the key.
    rig.call(Method::DELETE, "/subjects/k", None).await;
    rig.call(Method::DELETE, "/subjects/k?permanent=true", None).await;
    let tombstones: Vec<_> = rig.records().await.into_iter().filter(|(_, value)| value.is_none()).collect();
    assert!(tombstones.iter().any(|(key, _)| key.starts_with(r#"{"subject":"k","version":1"#)));
    rig.restart().await;
    assert_eq!(rig.get("/subjects?deleted=true").await.1, json!([]));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_the_api() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    assert_eq!(rig.get("/").await, (200, json!({})));
    assert_eq!(rig.get("/schemas/types").await.1, json!(["JSON", "PROTOBUF", "AVRO"]));
    assert_eq!(rig.get("/mode").await.1, json!({"mode": "READWRITE"}));
    assert_eq!(rig.get("/config/x").await.1["error_code"], json!(40408));
    assert_eq!(rig.get("/config/x?defaultToGlobal=true").await.1, json!({"compatibilityLevel": "BACKWARD"}));
    assert_eq!(rig.get("/associations/resources/-/t?resourceType=topic&associationType=value").await.0, 404);
    assert_eq!(rig.get("/subjects/x/versions/0").await.1["error_code"], json!(42202));
    assert_eq!(rig.register("a%2Fb", "{").await.1["error_code"], json!(42201));
    assert_eq!(rig.register("a%2Fb", "\"string\"").await.0, 200);
    assert_eq!(rig.get("/subjects").await.1, json!(["a/b"]));
    let check = json!({"schema": "\"int\""});
    let path = "/compatibility/subjects/unknown/versions/latest";
    assert_eq!(rig.call(Method::POST, path, Some(check.clone())).await.1, json!({"is_compatible": true}));
    let path = "/compatibility/subjects/a%2Fb/versions/latest?verbose=true";
    let (_, answer) = rig.call(Method::POST, path, Some(check)).await;
    assert_eq!(answer["is_compatible"], json!(false));
    assert!(answer["messages"][0].as_str().unwrap().contains("TYPE_MISMATCH"));
    // References: known by name, not inlined, and not to be deleted while they are used.
    rig.register("inner", RECORD).await;
    let outer = json!({
        "schema": r#"{"type":"record","name":"O","fields":[{"name":"r","type":"n.R"}]}"#,
        "references": [{"name": "n.R", "subject": "inner", "version": 1}],
    });
    let (status, registered) = rig.call(Method::POST, "/subjects/outer/versions", Some(outer)).await;
    assert_eq!(status, 200);
    assert_eq!(rig.get("/subjects/inner/versions/1/referencedby").await.1, json!([registered["id"]]));
    assert_eq!(rig.call(Method::DELETE, "/subjects/inner", None).await.1["error_code"], json!(42206));
    rig.stop().await;
}

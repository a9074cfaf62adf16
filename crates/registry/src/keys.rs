//! Keys of the topic. Compaction compares bytes, so they are written exactly as Confluent does; they are read in any form
//! that was ever written.

use serde_json::Value as Json;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Schema {
        subject: String,
        version: i32,
    },
    /// `None`: the global setting.
    Config(Option<String>),
    Mode(Option<String>),
    DeleteSubject(String),
    ClearSubject(String),
    Noop,
    /// Contexts, associations and what is yet to come: kept in the topic, without a meaning here.
    Other,
}

impl Key {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut text = String::from("{\"keytype\":\"");
        let (word, subject, magic) = match self {
            Self::Schema { subject, .. } => ("SCHEMA", Some(subject), 1),
            Self::Config(subject) => ("CONFIG", subject.as_ref(), 0),
            Self::Mode(subject) => ("MODE", subject.as_ref(), 0),
            Self::DeleteSubject(subject) => ("DELETE_SUBJECT", Some(subject), 0),
            Self::ClearSubject(subject) => ("CLEAR_SUBJECT", Some(subject), 0),
            Self::Noop | Self::Other => ("NOOP", None, 0),
        };
        text.push_str(word);
        text.push('"');
        if let Some(subject) = subject {
            text.push_str(",\"subject\":");
            avro::write_string(subject, &mut text);
        }
        if let Self::Schema { version, .. } = self {
            text.push_str(&format!(",\"version\":{version}"));
        }
        text.push_str(&format!(",\"magic\":{magic}}}"));
        text.into_bytes()
    }

    /// `None`: not a key of a registry.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let json: Json = serde_json::from_slice(bytes).ok()?;
        let subject = json.get("subject").and_then(Json::as_str).map(str::to_owned);
        Some(match json.get("keytype")?.as_str()? {
            "SCHEMA" => {
                let version = i32::try_from(json.get("version")?.as_i64()?).ok()?;
                Self::Schema { subject: subject?, version }
            }
            "CONFIG" => Self::Config(subject),
            "MODE" => Self::Mode(subject),
            "DELETE_SUBJECT" => Self::DeleteSubject(subject?),
            "CLEAR_SUBJECT" => Self::ClearSubject(subject?),
            "NOOP" => Self::Noop,
            _ => Self::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_byte_exact() {
        let check = |key: Key, text: &str| {
            assert_eq!(String::from_utf8(key.encode()).unwrap(), text);
            assert_eq!(Key::decode(text.as_bytes()), Some(key));
        };
        let subject = "s/é\"".to_owned();
        check(
            Key::Schema { subject: subject.clone(), version: 1 },
            r#"{"keytype":"SCHEMA","subject":"s/é\"","version":1,"magic":1}"#,
        );
        check(Key::Config(None), r#"{"keytype":"CONFIG","magic":0}"#);
        check(Key::Config(Some("s".to_owned())), r#"{"keytype":"CONFIG","subject":"s","magic":0}"#);
        check(Key::DeleteSubject("s".to_owned()), r#"{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}"#);
        check(Key::Noop, r#"{"keytype":"NOOP","magic":0}"#);
    }

    #[test]
    fn older_forms_are_read() {
        let read = |text: &str| Key::decode(text.as_bytes());
        assert_eq!(read(r#"{"keytype":"CONFIG","subject":null,"magic":0}"#), Some(Key::Config(None)));
        let deprecated = r#"{"subject":"s","version":2,"magic":1,"keytype":"SCHEMA"}"#;
        assert_eq!(read(deprecated), Some(Key::Schema { subject: "s".to_owned(), version: 2 }));
        assert_eq!(read(r#"{"keytype":"ASSOC","tenant":"t"}"#), Some(Key::Other));
        assert_eq!(read("garbage"), None);
    }
}

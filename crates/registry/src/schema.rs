//! A schema as the registry keeps it: text, references, hash, and the parsed form on demand.

use std::fmt::Write;
use std::sync::OnceLock;

use md5::{Digest, Md5};
use registry_client::{Reference, SchemaType};

/// MD5 of text and references: the identity of a schema, and its GUID.
pub(crate) type Hash = [u8; 16];

#[derive(Debug)]
pub(crate) struct StoredSchema {
    pub id: i32,
    pub schema_type: SchemaType,
    pub references: Vec<Reference>,
    pub text: String,
    pub hash: Hash,
    /// Parsed when a compatibility check or a look-up first needs it.
    parsed: OnceLock<Option<avro::Schema>>,
}

impl StoredSchema {
    pub(crate) fn new(id: i32, schema_type: SchemaType, references: Vec<Reference>, text: String) -> Self {
        let hash = hash(&text, &references);
        Self { id, schema_type, references, text, hash, parsed: OnceLock::new() }
    }

    /// `resolve` gives the schemas that this one refers to. `None`: the text is not Avro that we can read.
    pub(crate) fn parsed(
        &self,
        resolve: impl FnOnce() -> Option<Vec<avro::Schema>>,
    ) -> Option<&avro::Schema> {
        let parse = || {
            let references = resolve()?;
            avro::parse_with_references(&self.text, &references, avro::Strictness::Lenient).ok()
        };
        self.parsed.get_or_init(parse).as_ref()
    }

    pub(crate) fn guid(&self) -> String {
        guid(&self.hash)
    }
}

pub(crate) fn hash(text: &str, references: &[Reference]) -> Hash {
    let mut hasher = Md5::new();
    hasher.update(text.as_bytes());
    for reference in references {
        hasher.update(reference.name.as_bytes());
        hasher.update(reference.subject.as_bytes());
        hasher.update(reference.version.to_be_bytes());
    }
    hasher.finalize().into()
}

/// The hash, printed as a UUID.
pub(crate) fn guid(hash: &Hash) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in hash.iter().enumerate() {
        if [4, 6, 8, 10].contains(&index) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text
}

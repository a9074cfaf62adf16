//! A schema as the registry keeps it: text, references, metadata, hash, and the parsed form on demand.

use std::fmt::Write;
use std::sync::OnceLock;

use avro::Strictness;
use md5::{Digest, Md5};
use registry_client::schemas::Document;
use registry_client::{Metadata, Reference, SchemaType};

use crate::format::Parsed;

/// MD5 of text and references: the identity of a schema, and its GUID.
pub(crate) type Hash = [u8; 16];

/// Schemas under the names by which another one refers to them.
pub(crate) type References = Vec<(String, Document)>;

#[derive(Debug)]
pub(crate) struct StoredSchema {
    pub id: i32,
    pub schema_type: SchemaType,
    pub references: Vec<Reference>,
    pub metadata: Option<Metadata>,
    pub text: String,
    pub hash: Hash,
    /// Parsed when a compatibility check or a look-up first needs it.
    parsed: OnceLock<Option<Parsed>>,
}

impl StoredSchema {
    pub(crate) fn new(
        id: i32,
        schema_type: SchemaType,
        references: Vec<Reference>,
        metadata: Option<Metadata>,
        text: String,
    ) -> Self {
        let hash = hash(&text, &references, metadata.as_ref());
        Self { id, schema_type, references, metadata, text, hash, parsed: OnceLock::new() }
    }

    /// `resolve` gives the schemas that this one refers to. `None`: the text cannot be read.
    pub(crate) fn parsed(&self, resolve: impl FnOnce() -> Option<References>) -> Option<&Parsed> {
        let parse = || {
            let document = Document { text: self.text.clone(), references: resolve()? };
            Parsed::new(self.schema_type, &document, Strictness::Lenient).ok()
        };
        self.parsed.get_or_init(parse).as_ref()
    }

    pub(crate) fn guid(&self) -> String {
        guid(&self.hash)
    }
}

/// Confluent's: text, references, then metadata where there are any.
pub(crate) fn hash(text: &str, references: &[Reference], metadata: Option<&Metadata>) -> Hash {
    let mut hasher = Md5::new();
    hasher.update(text.as_bytes());
    for reference in references {
        hasher.update(reference.name.as_bytes());
        hasher.update(reference.subject.as_bytes());
        hasher.update(reference.version.to_be_bytes());
    }
    if let Some(metadata) = metadata {
        hasher.update([1]);
        for (tag, values) in &metadata.tags {
            hasher.update(tag.as_bytes());
            values.iter().for_each(|value| hasher.update(value.as_bytes()));
        }
        for (key, value) in &metadata.properties {
            hasher.update(key.as_bytes());
            hasher.update(value.as_bytes());
        }
        metadata.sensitive.iter().for_each(|name| hasher.update(name.as_bytes()));
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

//! A Protobuf schema: its text as it was sent, and the file that it compiles to.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::{FileDescriptor, prost::Message};
use registry_client::schemas::{Document, compile};

#[derive(Debug)]
pub(crate) struct ProtobufSchema {
    text: String,
    pub(super) file: FileDescriptor,
}

impl ProtobufSchema {
    pub(super) fn parse(document: &Document) -> Result<Self, String> {
        Ok(Self { text: document.text.trim().to_owned(), file: compile(document)? })
    }

    /// Comments and order are the author's: the text is kept as it was sent.
    pub(super) fn canonical(&self) -> String {
        self.text.clone()
    }

    /// The compiled file in base64: what clients ask for that cannot parse the text. Also equal for files that differ in
    /// spelling only.
    pub(super) fn serialized(&self) -> String {
        let mut file = self.file.file_descriptor_proto().clone();
        file.source_code_info = None;
        STANDARD.encode(file.encode_to_vec())
    }
}

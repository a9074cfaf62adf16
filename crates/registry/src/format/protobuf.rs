//! A Protobuf schema: its text as it was sent, and the file that it compiles to.

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

    /// Equal for files that differ in spelling only.
    pub(super) fn identity(&self) -> String {
        let mut file = self.file.file_descriptor_proto().clone();
        file.source_code_info = None;
        file.encode_to_vec().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

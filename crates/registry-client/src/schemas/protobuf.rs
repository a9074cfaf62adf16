//! Protobuf: a file compiled with its imports, from registered references and the files that every client knows.

use prost_reflect::prost::Message;
use prost_reflect::prost_types::FileDescriptorProto;
use prost_reflect::{DescriptorPool, FileDescriptor};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use super::Document;

/// Name of the main file; nothing can import it.
const ROOT: &str = "schema.proto";

/// Confluent's option that carries what Protobuf cannot say about a field.
pub const FIELD_META: &str = "confluent.field_meta";

/// Files that Confluent's clients bring along, so that nobody registers them.
const KNOWN_FILES: [(&str, &str); 4] = [
    (
        "confluent/meta.proto",
        r#"syntax = "proto3"; package confluent; import "google/protobuf/descriptor.proto";
           message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; }
           extend google.protobuf.FileOptions { Meta file_meta = 1088; }
           extend google.protobuf.MessageOptions { Meta message_meta = 1088; }
           extend google.protobuf.FieldOptions { Meta field_meta = 1088; }
           extend google.protobuf.EnumOptions { Meta enum_meta = 1088; }
           extend google.protobuf.EnumValueOptions { Meta enum_value_meta = 1088; }"#,
    ),
    (
        "confluent/type/decimal.proto",
        r#"syntax = "proto3"; package confluent.type;
           message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }"#,
    ),
    (
        "google/type/date.proto",
        r#"syntax = "proto3"; package google.type;
           message Date { int32 year = 1; int32 month = 2; int32 day = 3; }"#,
    ),
    (
        "google/type/timeofday.proto",
        r#"syntax = "proto3"; package google.type;
           message TimeOfDay { int32 hours = 1; int32 minutes = 2; int32 seconds = 3; int32 nanos = 4; }"#,
    ),
];

/// Compiles a schema; the error says what is wrong. The text is a `.proto` file, or one compiled and in base64.
pub fn compile(document: &Document) -> Result<FileDescriptor, String> {
    let mut sources = vec![(ROOT.to_owned(), document.text.clone())];
    collect(&document.references, &mut sources);
    let known = KNOWN_FILES.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let mut resolver = ChainFileResolver::new();
    resolver.add(Sources(sources));
    resolver.add(Sources(known.to_vec()));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file(ROOT).map_err(|error| error.to_string())?;
    let set = compiler.encode_file_descriptor_set();
    // Encoded, so that options of extensions are kept.
    let pool = DescriptorPool::decode(&*set).map_err(|error| error.to_string())?;
    pool.get_file_by_name(ROOT).ok_or_else(|| "the schema has no file".to_owned())
}

fn collect(references: &[(String, Document)], sources: &mut Vec<(String, String)>) {
    for (name, reference) in references {
        if !sources.iter().any(|(known, _)| known == name) {
            sources.push((name.clone(), reference.text.clone()));
            collect(&reference.references, sources);
        }
    }
}

/// Files by name.
struct Sources(Vec<(String, String)>);

impl FileResolver for Sources {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let found = self.0.iter().find(|(known, _)| known == name);
        let (_, text) = found.ok_or_else(|| protox::Error::file_not_found(name))?;
        match compiled(name, text) {
            Some(file) => Ok(File::from_file_descriptor_proto(file)),
            None => File::from_source(name, text),
        }
    }
}

/// What `format=serialized` gives: a descriptor in base64.
fn compiled(name: &str, text: &str) -> Option<FileDescriptorProto> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).ok()?;
    let mut file = FileDescriptorProto::decode(&*bytes).ok()?;
    file.name = Some(name.to_owned());
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_found() {
        let document =
            |text: &str, references: Vec<(String, Document)>| Document { text: text.to_owned(), references };
        let inner = document("syntax = \"proto3\"; package b; message Inner { string s = 1; }", vec![]);
        let text = r#"syntax = "proto3"; package a;
            import "inner.proto"; import "confluent/meta.proto"; import "google/protobuf/timestamp.proto";
            message Outer {
              b.Inner inner = 1;
              google.protobuf.Timestamp at = 2;
              int32 small = 3 [(confluent.field_meta) = { params: [{ key: "connect.type", value: "int8" }] }];
            }"#;
        let file = compile(&document(text, vec![("inner.proto".to_owned(), inner)])).unwrap();
        let message = file.messages().next().unwrap();
        assert_eq!(message.full_name(), "a.Outer");
        let meta = file.parent_pool().get_extension_by_name(FIELD_META).unwrap();
        let options = message.get_field_by_name("small").unwrap().options();
        assert!(options.has_extension(&meta));
        assert!(compile(&document(text, vec![])).unwrap_err().contains("inner.proto"));
    }
}

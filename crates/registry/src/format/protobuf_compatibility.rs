//! Whether bytes written with one Protobuf file can be read with another, by Confluent's rules: numbers and wire types
//! count, names hardly do.

use std::collections::HashSet;

use prost_reflect::{Cardinality, FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor};

use super::Reader;
use super::protobuf::ProtobufSchema;

/// Packages that every client brings along in one and the same form.
const KNOWN_PACKAGES: [&str; 3] = ["google.protobuf", "google.type", "confluent"];

/// Problems in Confluent's form; empty when `new` reads what was written with `old`.
pub(super) fn check(new: &ProtobufSchema, old: &ProtobufSchema, reader: Reader) -> Vec<String> {
    let mut comparison = Comparison { reader, problems: vec![] };
    if new.file.package_name() != old.file.package_name() {
        comparison.problem("PACKAGE_CHANGED", "#/");
        return comparison.problems;
    }
    let pool = new.file.parent_pool();
    let is_known = |message: &MessageDescriptor| {
        KNOWN_PACKAGES.iter().any(|known| message.package_name().starts_with(known))
    };
    for was in old.file.parent_pool().all_messages() {
        if was.is_map_entry() || is_known(&was) {
            continue;
        }
        let path = format!("#/{}", was.full_name());
        match pool.get_message_by_name(was.full_name()) {
            Some(now) => comparison.messages(&now, &was, &path),
            None if was.parent_file().name() == old.file.name() => {
                comparison.problem("MESSAGE_REMOVED", &path)
            }
            // What an import has lost is missed only where a field still names it.
            None => {}
        }
    }
    comparison.problems
}

struct Comparison {
    reader: Reader,
    problems: Vec<String>,
}

impl Comparison {
    fn problem(&mut self, kind: &str, path: &str) {
        let (reader, writer) = self.reader.words();
        self.problems.push(format!(
            "{{errorType:\"{kind}\", description:\"The {reader} schema cannot read what the {writer} schema has at \
             path '{path}'\"}}"
        ));
    }

    fn messages(&mut self, new: &MessageDescriptor, old: &MessageDescriptor, path: &str) {
        for was in old.fields() {
            let path = format!("{path}/{}", was.number());
            match new.get_field(was.number()) {
                Some(now) => self.fields(&now, &was, &path),
                None if was.is_required() => self.problem("REQUIRED_FIELD_REMOVED", &path),
                None => {}
            }
        }
        for now in new.fields().filter(|now| now.is_required() && old.get_field(now.number()).is_none()) {
            self.problem("REQUIRED_FIELD_ADDED", &format!("{path}/{}", now.number()));
        }
        self.oneofs(new, old, path);
    }

    fn fields(&mut self, new: &FieldDescriptor, old: &FieldDescriptor, path: &str) {
        if new.is_map() && old.is_map() {
            if let (Kind::Message(new), Kind::Message(old)) = (new.kind(), old.kind()) {
                self.messages(&new, &old, path);
            }
            return;
        }
        let is_list = |field: &FieldDescriptor| field.cardinality() == Cardinality::Repeated;
        if is_list(new) != is_list(old) && is_number(&new.kind()) {
            self.problem("FIELD_NUMERIC_LABEL_CHANGED", path);
        }
        match (new.kind(), old.kind()) {
            (Kind::Message(now), Kind::Message(was)) if now.full_name() == was.full_name() => {}
            (Kind::Message(_), Kind::Message(_)) => self.problem("FIELD_NAMED_TYPE_CHANGED", path),
            (Kind::Message(_), _) | (_, Kind::Message(_)) => self.problem("FIELD_KIND_CHANGED", path),
            (now, was) if group(&now) == group(&was) => {}
            _ => self.problem("FIELD_SCALAR_KIND_CHANGED", path),
        }
    }

    /// One of a `oneof` replaces another: fields that stood side by side may not move into one.
    fn oneofs(&mut self, new: &MessageDescriptor, old: &MessageDescriptor, path: &str) {
        for now in new.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            let path = format!("{path}/{}", now.name());
            let was = old.oneofs().find(|was| was.name() == now.name() && !was.is_synthetic());
            let (after, before) = (numbers(&now), was.as_ref().map(numbers).unwrap_or_default());
            let moved = after.difference(&before).filter(|number| old.get_field(**number).is_some());
            if moved.count() > 1 {
                self.problem("MULTIPLE_FIELDS_MOVED_TO_ONEOF", &path);
            }
            if before.difference(&after).next().is_some() {
                self.problem("ONEOF_FIELD_REMOVED", &path);
            }
        }
    }
}

fn numbers(oneof: &OneofDescriptor) -> HashSet<u32> {
    oneof.fields().map(|field| field.number()).collect()
}

fn is_number(kind: &Kind) -> bool {
    !matches!(kind, Kind::String | Kind::Bytes | Kind::Message(_))
}

/// Scalars of one group have one form on the wire, and are cut or widened like a cast.
fn group(kind: &Kind) -> u8 {
    match kind {
        Kind::Int32 | Kind::Uint32 | Kind::Int64 | Kind::Uint64 | Kind::Bool | Kind::Enum(_) => 0,
        Kind::Sint32 | Kind::Sint64 => 1,
        Kind::String | Kind::Bytes => 2,
        Kind::Fixed32 | Kind::Sfixed32 => 3,
        Kind::Fixed64 | Kind::Sfixed64 => 4,
        Kind::Float => 5,
        Kind::Double => 6,
        Kind::Message(_) => 7,
    }
}

#[cfg(test)]
mod tests {
    use registry_client::schemas::Document;

    use super::*;

    fn check(old: &str, new: &str, expected: &[&str]) {
        let parse = |body: &str| {
            let text = format!("syntax = \"proto3\"; package p; {body}");
            ProtobufSchema::parse(&Document { text, references: vec![] }).unwrap()
        };
        let problems = super::check(&parse(new), &parse(old), Reader::New);
        let kinds: Vec<_> = problems.iter().map(|it| it.split('"').nth(1).unwrap_or_default()).collect();
        assert_eq!(kinds, expected, "{old} -> {new}");
    }

    #[test]
    fn fields() {
        let base = "message M { int32 a = 1; string b = 2; }";
        check(base, "message M { int32 a = 1; string b = 2; bool c = 3; }", &[]);
        check(base, "message M { int32 a = 1; }", &[]);
        check(base, "message M { int64 renamed = 1; bytes b = 2; }", &[]);
        check(base, "message M { string a = 1; string b = 2; }", &["FIELD_SCALAR_KIND_CHANGED"]);
        check(base, "message M { repeated int32 a = 1; string b = 2; }", &["FIELD_NUMERIC_LABEL_CHANGED"]);
        check(base, "message M { int32 a = 1; repeated string b = 2; }", &[]);
        check(base, "message N { int32 a = 1; }", &["MESSAGE_REMOVED"]);
        check(
            base,
            "message M { oneof o { int32 a = 1; string b = 2; } }",
            &["MULTIPLE_FIELDS_MOVED_TO_ONEOF"],
        );
        check(base, "message M { oneof o { int32 a = 1; } string b = 2; }", &[]);
        check("message M { oneof o { int32 a = 1; string b = 2; } }", base, &[]);
        check(
            "message M { oneof o { int32 a = 1; string b = 2; } }",
            "message M { oneof o { int32 a = 1; } }",
            &["ONEOF_FIELD_REMOVED"],
        );
    }

    #[test]
    fn messages() {
        let base = "message M { message I { int32 x = 1; } I i = 1; map<string, int32> m = 2; }";
        check(base, base, &[]);
        check(
            base,
            "message M { message I { string x = 1; } I i = 1; map<string, int32> m = 2; }",
            &["FIELD_SCALAR_KIND_CHANGED"],
        );
        check(
            base,
            "message M { message I { int32 x = 1; } I i = 1; map<string, string> m = 2; }",
            &["FIELD_SCALAR_KIND_CHANGED"],
        );
        check(
            base,
            "message M { message I { int32 x = 1; } string i = 1; map<string, int32> m = 2; }",
            &["FIELD_KIND_CHANGED"],
        );
    }
}

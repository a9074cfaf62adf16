//! Whether data of one schema can be read with another, by Avro-Java's rules.
//!
//! Names are compared without their namespaces, logical types not at all: `decimal(10,2)` can be read as
//! `decimal(12,3)`, and its values change. That is what the reference answers, and what registries promise.

use std::collections::HashMap;
use std::fmt::Write;

use crate::schema::{Enum, Field, Kind, NodeId, Record, Schema};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    NameMismatch,
    FixedSizeMismatch,
    MissingEnumSymbols,
    ReaderFieldMissingDefaultValue,
    TypeMismatch,
    MissingUnionBranch,
}

/// One reason why the reader cannot read what the writer wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incompatibility {
    pub problem: Problem,
    /// JSON pointer into the reader's schema.
    pub path: String,
    pub detail: String,
}

impl Problem {
    pub fn word(self) -> &'static str {
        match self {
            Self::NameMismatch => "NAME_MISMATCH",
            Self::FixedSizeMismatch => "FIXED_SIZE_MISMATCH",
            Self::MissingEnumSymbols => "MISSING_ENUM_SYMBOLS",
            Self::ReaderFieldMissingDefaultValue => "READER_FIELD_MISSING_DEFAULT_VALUE",
            Self::TypeMismatch => "TYPE_MISMATCH",
            Self::MissingUnionBranch => "MISSING_UNION_BRANCH",
        }
    }
}

/// Everything that keeps `reader` from reading data of `writer`; empty when it can.
pub fn incompatibilities(reader: &Schema, writer: &Schema) -> Vec<Incompatibility> {
    let mut checker = Checker { reader, writer, known: HashMap::new() };
    checker.check(reader.root(), writer.root(), "")
}

pub fn can_read(reader: &Schema, writer: &Schema) -> bool {
    incompatibilities(reader, writer).is_empty()
}

type Problems = Vec<Incompatibility>;

struct Checker<'a> {
    reader: &'a Schema,
    writer: &'a Schema,
    /// Pairs that are answered, or being looked at: a recursive type is assumed to fit until it is seen not to.
    known: HashMap<(NodeId, NodeId), Problems>,
}

impl<'a> Checker<'a> {
    fn check(&mut self, reader: NodeId, writer: NodeId, path: &str) -> Problems {
        if let Some(known) = self.known.get(&(reader, writer)) {
            return known.clone();
        }
        self.known.insert((reader, writer), vec![]);
        let problems = self.compare(reader, writer, path);
        self.known.insert((reader, writer), problems.clone());
        problems
    }

    fn compare(&mut self, reader_id: NodeId, writer_id: NodeId, path: &str) -> Problems {
        let (reader, writer) = (self.reader.kind(reader_id), self.writer.kind(writer_id));
        match (reader, writer) {
            (_, Kind::Union(branches)) if !matches!(reader, Kind::Union(_)) => {
                // Whatever branch was written, the reader must be able to read it.
                branches.iter().flat_map(|branch| self.check(reader_id, *branch, path)).collect()
            }
            (Kind::Union(_), Kind::Union(branches)) => self.branches(reader_id, branches, path),
            (Kind::Union(branches), _) => {
                let readable = branches.iter().any(|branch| self.branch_reads(*branch, writer_id, path));
                if readable {
                    return vec![];
                }
                let detail = format!("reader union lacking writer type: {}", writer.word().to_uppercase());
                problem(Problem::MissingUnionBranch, path, detail)
            }
            (Kind::Array(item), Kind::Array(other)) => self.check(*item, *other, &format!("{path}/items")),
            (Kind::Map(value), Kind::Map(other)) => self.check(*value, *other, &format!("{path}/values")),
            (Kind::Fixed(fixed), Kind::Fixed(other)) => {
                let mut problems = self.names(reader, writer, path);
                if fixed.size != other.size {
                    let detail = format!("expected: {}, found: {}", other.size, fixed.size);
                    problems.extend(problem(Problem::FixedSizeMismatch, &format!("{path}/size"), detail));
                }
                problems
            }
            (Kind::Enum(symbols), Kind::Enum(other)) => {
                let mut problems = self.names(reader, writer, path);
                problems.extend(missing_symbols(symbols, other, path));
                problems
            }
            (Kind::Record(record), Kind::Record(other)) => {
                let mut problems = self.names(reader, writer, path);
                problems.extend(self.fields(record, other, writer_id, path));
                problems
            }
            (reader, writer) if promotes(writer, reader) => vec![],
            (reader, writer) => {
                let (reader, writer) = (reader.word().to_uppercase(), writer.word().to_uppercase());
                let detail = format!("reader type: {reader} not compatible with writer type: {writer}");
                problem(Problem::TypeMismatch, path, detail)
            }
        }
    }

    fn branches(&mut self, reader_id: NodeId, writer_branches: &[NodeId], path: &str) -> Problems {
        let Kind::Union(reader_branches) = self.reader.kind(reader_id) else { return vec![] };
        let mut problems = vec![];
        for (index, writer) in writer_branches.iter().enumerate() {
            if !reader_branches.iter().any(|reader| self.branch_reads(*reader, *writer, path)) {
                let word = self.writer.kind(*writer).word().to_uppercase();
                let detail = format!("reader union lacking writer type: {word}");
                problems.extend(problem(Problem::MissingUnionBranch, &format!("{path}/{index}"), detail));
            }
        }
        problems
    }

    fn branch_reads(&mut self, reader: NodeId, writer: NodeId, path: &str) -> bool {
        self.check(reader, writer, path).is_empty()
    }

    fn names(&self, reader: &Kind, writer: &Kind, path: &str) -> Problems {
        let (Some(name), Some(other)) = (reader.name(), writer.name()) else { return vec![] };
        if name.simple == other.simple || reader.aliases().contains(other) {
            return vec![];
        }
        problem(Problem::NameMismatch, &format!("{path}/name"), format!("expected: {}", other.full()))
    }

    fn fields(&mut self, reader: &'a Record, writer: &'a Record, writer_id: NodeId, path: &str) -> Problems {
        let mut problems = vec![];
        for (index, field) in reader.fields.iter().enumerate() {
            let place = format!("{path}/fields/{index}");
            match writer_field(writer, field) {
                Some(other) => problems.extend(self.check(field.node, other.node, &format!("{place}/type"))),
                None if field.default.is_some() => {}
                None => {
                    // An enum's own default does not stand in for the field's.
                    let has_enum_default = matches!(self.reader.kind(field.node), Kind::Enum(symbols) if symbols.default.is_some());
                    if has_enum_default {
                        problems.extend(self.check(field.node, writer_id, &format!("{place}/type")));
                    } else {
                        let problem_kind = Problem::ReaderFieldMissingDefaultValue;
                        problems.extend(problem(problem_kind, &place, field.name.clone()));
                    }
                }
            }
        }
        problems
    }
}

fn writer_field<'a>(writer: &'a Record, reader: &Field) -> Option<&'a Field> {
    let names = std::iter::once(&reader.name).chain(&reader.aliases);
    names.into_iter().find_map(|name| writer.fields.iter().find(|field| field.name == *name))
}

fn missing_symbols(reader: &Enum, writer: &Enum, path: &str) -> Problems {
    let missing: Vec<_> =
        writer.symbols.iter().filter(|symbol| !reader.symbols.contains(symbol)).map(String::as_str).collect();
    let default_helps = reader.default.as_ref().is_some_and(|default| reader.symbols.contains(default));
    if missing.is_empty() || default_helps {
        return vec![];
    }
    problem(Problem::MissingEnumSymbols, &format!("{path}/symbols"), format!("[{}]", missing.join(", ")))
}

fn promotes(writer: &Kind, reader: &Kind) -> bool {
    matches!(
        (writer, reader),
        (Kind::Int, Kind::Long | Kind::Float | Kind::Double)
            | (Kind::Long, Kind::Float | Kind::Double)
            | (Kind::Float, Kind::Double)
            | (Kind::String, Kind::Bytes)
            | (Kind::Bytes, Kind::String)
            | (Kind::Null, Kind::Null)
            | (Kind::Boolean, Kind::Boolean)
            | (Kind::Int, Kind::Int)
            | (Kind::Long, Kind::Long)
            | (Kind::Float, Kind::Float)
            | (Kind::Double, Kind::Double)
            | (Kind::String, Kind::String)
            | (Kind::Bytes, Kind::Bytes)
    )
}

fn problem(problem: Problem, path: &str, detail: String) -> Problems {
    let path = if path.is_empty() { "/" } else { path }.to_owned();
    vec![Incompatibility { problem, path, detail }]
}

impl Incompatibility {
    /// In the form of Confluent's messages; `reader` and `writer` are the words `new` and `old`, or the other way round.
    pub fn describe(&self, reader: &str, writer: &str) -> String {
        let path = &self.path;
        let description = match self.problem {
            Problem::NameMismatch => format!("The name of the schema has changed (path '{path}')"),
            Problem::FixedSizeMismatch => format!(
                "The size of FIXED type field at path '{path}' in the {reader} schema does not match with the {writer} schema"
            ),
            Problem::MissingEnumSymbols => format!(
                "The {reader} schema is missing enum symbols '{}' at path '{path}' in the {writer} schema",
                self.detail
            ),
            Problem::ReaderFieldMissingDefaultValue => format!(
                "The field '{}' at path '{path}' in the {reader} schema has no default value and is missing in the {writer} schema",
                self.detail
            ),
            Problem::TypeMismatch => format!(
                "The type (path '{path}') of a field in the {reader} schema does not match with the {writer} schema"
            ),
            Problem::MissingUnionBranch => format!(
                "The {reader} schema is missing a type inside a union field at path '{path}' in the {writer} schema"
            ),
        };
        let mut text = String::new();
        let _ = write!(
            text,
            "{{errorType:'{}', description:'{description}', additionalInfo:'{}'}}",
            self.problem.word(),
            self.detail
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Strictness, parse};

    /// The first problem of `reader` with data of `writer`.
    fn check(reader: &str, writer: &str, expected: Option<Problem>) {
        let schema =
            |text: &str| parse(text, Strictness::Lenient).unwrap_or_else(|error| panic!("{text}: {error}"));
        let problems = incompatibilities(&schema(reader), &schema(writer));
        assert_eq!(problems.first().map(|problem| problem.problem), expected, "{reader} <- {writer}");
    }

    fn record(fields: &str) -> String {
        format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#)
    }

    #[test]
    fn promotions() {
        for (reader, writer) in [
            ("long", "int"),
            ("float", "long"),
            ("double", "float"),
            ("string", "bytes"),
            ("bytes", "string"),
        ] {
            check(&format!("\"{reader}\""), &format!("\"{writer}\""), None);
        }
        check("\"int\"", "\"long\"", Some(Problem::TypeMismatch));
        check("\"boolean\"", "\"int\"", Some(Problem::TypeMismatch));
        check("\"double\"", "\"string\"", Some(Problem::TypeMismatch));
    }

    #[test]
    fn records() {
        let one = record(r#"{"name":"a","type":"int"}"#);
        let defaulted = record(r#"{"name":"a","type":"int"},{"name":"b","type":"string","default":""}"#);
        let required = record(r#"{"name":"a","type":"int"},{"name":"b","type":"string"}"#);
        check(&defaulted, &one, None);
        check(&one, &required, None);
        check(&required, &one, Some(Problem::ReaderFieldMissingDefaultValue));
        let renamed = record(r#"{"name":"z","aliases":["a"],"type":"int"}"#);
        check(&renamed, &one, None);
        // Namespaces do not count, names do; a reader's alias helps.
        check(
            r#"{"type":"record","name":"x.R","fields":[]}"#,
            r#"{"type":"record","name":"y.R","fields":[]}"#,
            None,
        );
        check(
            r#"{"type":"record","name":"S","fields":[]}"#,
            r#"{"type":"record","name":"R","fields":[]}"#,
            Some(Problem::NameMismatch),
        );
        check(
            r#"{"type":"record","name":"S","aliases":["R"],"fields":[]}"#,
            r#"{"type":"record","name":"R","fields":[]}"#,
            None,
        );
    }

    #[test]
    fn unions_enums_fixed() {
        check(r#"["null","int"]"#, "\"int\"", None);
        check("\"int\"", r#"["null","int"]"#, Some(Problem::TypeMismatch));
        check("\"int\"", r#"["int"]"#, None);
        check(r#"["int","null"]"#, r#"["null","int"]"#, None);
        check(r#"["null","int"]"#, r#"["null","string"]"#, Some(Problem::MissingUnionBranch));
        let symbols = |list: &str| format!(r#"{{"type":"enum","name":"E","symbols":[{list}]}}"#);
        check(&symbols(r#""A","B""#), &symbols(r#""A""#), None);
        check(&symbols(r#""A""#), &symbols(r#""A","B""#), Some(Problem::MissingEnumSymbols));
        let with_default = r#"{"type":"enum","name":"E","symbols":["A"],"default":"A"}"#;
        check(with_default, &symbols(r#""A","B""#), None);
        let fixed = |size: u8| format!(r#"{{"type":"fixed","name":"F","size":{size}}}"#);
        check(&fixed(4), &fixed(8), Some(Problem::FixedSizeMismatch));
        check(r#"{"type":"array","items":"long"}"#, r#"{"type":"array","items":"int"}"#, None);
        check(
            r#"{"type":"array","items":"int"}"#,
            r#"{"type":"map","values":"int"}"#,
            Some(Problem::TypeMismatch),
        );
        // Logical types are not looked at.
        check(
            r#"{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}"#,
            r#"{"type":"bytes","logicalType":"decimal","precision":12,"scale":3}"#,
            None,
        );
    }

    #[test]
    fn recursive_types_end() {
        let list = r#"{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]}]}"#;
        check(list, list, None);
    }
}

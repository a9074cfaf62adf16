//! Conditions and routes on change events.

use connect::{Header, SchemaBuilder};

use super::*;

fn row() -> Schema {
    SchemaBuilder::structure()
        .name("s.t.Value")
        .field("id", SchemaBuilder::int32().build())
        .field("name", SchemaBuilder::string().optional().build())
        .field("tags", SchemaBuilder::array(SchemaBuilder::string().build()).optional().build())
        .optional()
        .build()
}

/// An update of row 2, with a header.
fn update() -> Record {
    let schema = SchemaBuilder::structure()
        .name("s.t.Envelope")
        .field("before", row())
        .field("after", row())
        .field("op", SchemaBuilder::string().build())
        .build();
    let of = |name: &str| {
        let tags = Value::Array(Box::new([Value::text("a"), Value::text("b")]));
        Value::Struct(Box::new([Value::Int32(2), Value::text(name), tags]))
    };
    let value = Value::Struct(Box::new([of("old"), of("new"), Value::text("u")]));
    let mut record = Record::source("s.public.t".into(), (None, Value::Null), (Some(schema), value));
    record.headers.push(Header {
        key: "source".into(),
        schema: Some(SchemaBuilder::string().build()),
        value: Value::text("x"),
    });
    record
}

fn properties(pairs: &[(&str, &str)]) -> Properties {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn filter(condition: &str) -> Filter {
    Filter::new(&properties(&[("language", "jsr223.groovy"), ("condition", condition)])).unwrap()
}

fn check(condition: &str, expected: bool) {
    let verdict = filter(condition).apply(&mut update()).unwrap();
    assert_eq!(verdict == Verdict::Keep, expected, "{condition}");
}

#[test]
fn conditions() {
    check("value.op == 'u' && value.before.id == 2", true);
    check("value.op == 'u' && value.before.id == 3", false);
    check("value.get('op') === 'u'", true);
    check("value.op in ['c', 'r']", false);
    check("value.before != value.after", true);
    check("value.before == value.before", true);
    check("value.after.name.startsWith('n') && !value.after.name.endsWith('x')", true);
    check("value.after.name ==~ /n.*/", true);
    check("value.after.tags.exists(tag, tag == 'b') && 'a' in value.after.tags", true);
    check("topic.matches('.*public.*') && header.source.value == 'x'", true);
    check("valueSchema.name == 's.t.Envelope' && has(value.before) && !has(value.nothing)", true);
    check("value.after.id > 1.5 && value.after.id % 2 == 0", true);
    check("key == null", true);
}

#[test]
fn what_is_missing_is_an_error_of_the_record() {
    let error = filter("value.nothing == 1").apply(&mut update()).unwrap_err();
    assert_eq!(error.fate, connect::Fate::Reject);
    assert!(error.to_string().contains("nothing"), "{error}");
    assert!(filter("value.op").apply(&mut update()).is_err());
}

#[test]
fn tombstones_and_other_topics() {
    let run = |more: &[(&str, &str)], record: &mut Record| {
        let given = [&[("language", "cel"), ("condition", "value == null")], more].concat();
        Filter::new(&properties(&given)).unwrap().apply(record).unwrap()
    };
    let tombstone = || Record::source("t".into(), (None, Value::Null), (None, Value::Null));
    assert_eq!(run(&[], &mut tombstone()), Verdict::Keep);
    assert_eq!(run(&[("null.handling.mode", "drop")], &mut tombstone()), Verdict::Drop);
    assert_eq!(run(&[("null.handling.mode", "evaluate")], &mut tombstone()), Verdict::Keep);
    assert_eq!(run(&[], &mut update()), Verdict::Drop);
    assert_eq!(run(&[("topic.regex", "other.*")], &mut update()), Verdict::Keep);
}

#[test]
fn routes() {
    let route = |expression: &str| {
        let given = properties(&[("language", "jsr223.groovy"), ("topic.expression", expression)]);
        let mut record = update();
        ContentBasedRouter::new(&given).unwrap().apply(&mut record).unwrap();
        record.topic.to_string()
    };
    assert_eq!(route("value.op == 'u' ? 'updates' : null"), "updates");
    assert_eq!(route("value.op == 'd' ? 'deletes' : null"), "s.public.t");
    assert_eq!(route("topic + '-' + value.op"), "s.public.t-u");
}

#[test]
fn errors_name_the_key_and_what_to_write() {
    let errors = |pairs: &[(&str, &str)]| Filter::new(&properties(pairs)).err().unwrap().join("; ");
    let error = errors(&[("language", "jsr223.groovy"), ("condition", "value.before?.id == 2")]);
    assert!(
        error.contains("condition") && error.contains("value.before != null && value.before.id"),
        "{error}"
    );
    assert!(errors(&[("language", "wasm.chicory"), ("condition", "true")]).contains("language"));
    assert!(errors(&[("language", "cel"), ("condition", "value.op ==")]).contains("condition"));
    assert!(errors(&[("language", "cel")]).contains("condition"));
}

//! Schema → the text of Avro-Java's `Schema.toString()`, which registries store, return and hash.

use std::collections::HashSet;
use std::fmt;

use crate::java_json::{write_json, write_string};
use crate::schema::{Enum, Field, Fixed, Kind, Name, NodeId, Order, Properties, Record, Schema};

impl fmt::Display for Schema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut printer = Printer { schema: self, out: String::new(), written: HashSet::new() };
        printer.node(self.root, "");
        formatter.write_str(&printer.out)
    }
}

struct Printer<'a> {
    schema: &'a Schema,
    out: String,
    written: HashSet<NodeId>,
}

impl<'a> Printer<'a> {
    fn node(&mut self, id: NodeId, enclosing: &str) {
        let schema = self.schema;
        let node = schema.node(id);
        if let Some(name) = node.kind.name()
            && (schema.is_external(name) || !self.written.insert(id))
        {
            return write_string(&name.relative(enclosing), &mut self.out);
        }
        match &node.kind {
            Kind::Union(branches) => self.union(branches, enclosing),
            Kind::Record(record) => self.record(record, &node.properties, enclosing),
            Kind::Enum(symbols) => self.symbols(symbols, &node.properties, enclosing),
            Kind::Fixed(fixed) => self.fixed(fixed, &node.properties, enclosing),
            Kind::Array(item) => self.collection("array", "items", *item, &node.properties, enclosing),
            Kind::Map(value) => self.collection("map", "values", *value, &node.properties, enclosing),
            primitive if node.properties.is_empty() => write_string(primitive.word(), &mut self.out),
            primitive => {
                self.open(primitive.word());
                self.properties(&node.properties);
                self.out.push('}');
            }
        }
    }

    fn union(&mut self, branches: &[NodeId], enclosing: &str) {
        self.out.push('[');
        for (index, branch) in branches.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            self.node(*branch, enclosing);
        }
        self.out.push(']');
    }

    fn record(&mut self, record: &'a Record, properties: &Properties, enclosing: &str) {
        self.open(if record.is_error { "error" } else { "record" });
        self.name(&record.name, record.doc.as_deref(), enclosing);
        self.key("fields");
        self.out.push('[');
        for (index, field) in record.fields.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            self.field(field, &record.name.namespace);
        }
        self.out.push(']');
        self.properties(properties);
        self.aliases(&record.aliases, &record.name);
        self.out.push('}');
    }

    fn field(&mut self, field: &Field, enclosing: &str) {
        self.out.push_str("{\"name\":");
        write_string(&field.name, &mut self.out);
        self.key("type");
        self.node(field.node, enclosing);
        if let Some(doc) = &field.doc {
            self.text("doc", doc);
        }
        if let Some(default) = &field.default {
            self.key("default");
            write_json(default, &mut self.out);
        }
        if field.order != Order::Ascending {
            self.text("order", field.order.word());
        }
        if !field.aliases.is_empty() {
            self.key("aliases");
            self.list(field.aliases.iter().map(String::as_str));
        }
        self.properties(&field.properties);
        self.out.push('}');
    }

    fn symbols(&mut self, symbols: &Enum, properties: &Properties, enclosing: &str) {
        self.open("enum");
        self.name(&symbols.name, symbols.doc.as_deref(), enclosing);
        self.key("symbols");
        self.list(symbols.symbols.iter().map(String::as_str));
        if let Some(default) = &symbols.default {
            self.text("default", default);
        }
        self.properties(properties);
        self.aliases(&symbols.aliases, &symbols.name);
        self.out.push('}');
    }

    fn fixed(&mut self, fixed: &Fixed, properties: &Properties, enclosing: &str) {
        self.open("fixed");
        self.name(&fixed.name, fixed.doc.as_deref(), enclosing);
        self.key("size");
        self.out.push_str(&fixed.size.to_string());
        self.properties(properties);
        self.aliases(&fixed.aliases, &fixed.name);
        self.out.push('}');
    }

    fn collection(&mut self, word: &str, key: &str, item: NodeId, properties: &Properties, enclosing: &str) {
        self.open(word);
        self.key(key);
        self.node(item, enclosing);
        self.properties(properties);
        self.out.push('}');
    }

    fn open(&mut self, word: &str) {
        self.out.push_str("{\"type\":\"");
        self.out.push_str(word);
        self.out.push('"');
    }

    fn name(&mut self, name: &Name, doc: Option<&str>, enclosing: &str) {
        self.text("name", &name.simple);
        if name.namespace != enclosing {
            self.text("namespace", &name.namespace);
        }
        if let Some(doc) = doc {
            self.text("doc", doc);
        }
    }

    fn aliases(&mut self, aliases: &[Name], name: &Name) {
        if !aliases.is_empty() {
            self.key("aliases");
            let texts: Vec<_> = aliases.iter().map(|alias| alias.relative(&name.namespace)).collect();
            self.list(texts.iter().map(String::as_str));
        }
    }

    fn properties(&mut self, properties: &Properties) {
        for (key, value) in properties {
            self.key(key);
            write_json(value, &mut self.out);
        }
    }

    fn list<'b>(&mut self, items: impl Iterator<Item = &'b str>) {
        self.out.push('[');
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            write_string(item, &mut self.out);
        }
        self.out.push(']');
    }

    fn key(&mut self, key: &str) {
        self.out.push(',');
        write_string(key, &mut self.out);
        self.out.push(':');
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        write_string(value, &mut self.out);
    }
}

#[cfg(test)]
mod tests {
    use crate::{Strictness, parse};

    fn check(text: &str, expected: &str) {
        let schema = parse(text, Strictness::Strict).unwrap_or_else(|error| panic!("{text}: {error}"));
        let printed = schema.to_string();
        assert_eq!(printed, expected);
        // What is printed means the same, and is its own text.
        assert_eq!(parse(&printed, Strictness::Strict).unwrap().to_string(), expected);
    }

    #[test]
    fn avro_java_texts() {
        check(" { \"type\" : \"string\" } ", "\"string\"");
        check("string", "\"string\"");
        check(
            r#"{"type":"string","avro.java.string":"String"}"#,
            r#"{"type":"string","avro.java.string":"String"}"#,
        );
        check(
            r#"{"fields":[],"name":"a.b.R","type":"record"}"#,
            r#"{"type":"record","name":"R","namespace":"a.b","fields":[]}"#,
        );
        check(
            r#"{"type":"record","name":"R","namespace":"a","aliases":["a.S","b.T"],"doc":"d","p":1.50,"fields":[
                {"order":"descending","aliases":["g"],"default":1,"doc":"fd","type":"int","name":"f","x":"é\n"}]}"#,
            concat!(
                r#"{"type":"record","name":"R","namespace":"a","doc":"d","fields":[{"name":"f","type":"int","doc":"fd","#,
                r#""default":1,"order":"descending","aliases":["g"],"x":"é\n"}],"p":1.5,"aliases":["S","b.T"]}"#
            ),
        );
        check(
            r#"{"type":"enum","name":"E","symbols":["A","B"],"default":"A","p":true}"#,
            r#"{"type":"enum","name":"E","symbols":["A","B"],"default":"A","p":true}"#,
        );
        check(r#"{"type":"fixed","size":4,"name":"F"}"#, r#"{"type":"fixed","name":"F","size":4}"#);
        check(r#"{"type":"error","name":"E","fields":[]}"#, r#"{"type":"error","name":"E","fields":[]}"#);
        check(
            r#"{"type":"bytes","logicalType":"decimal","precision":10,"scale":2,"connect.name":"x"}"#,
            r#"{"type":"bytes","logicalType":"decimal","precision":10,"scale":2,"connect.name":"x"}"#,
        );
    }

    #[test]
    fn a_named_type_is_written_once() {
        check(
            r#"{"type":"record","name":"a.R","fields":[
                {"name":"x","type":{"type":"record","name":"b.S","fields":[{"name":"r","type":["null","a.R"]}]}},
                {"name":"y","type":"b.S"},{"name":"z","type":{"type":"enum","name":"E","symbols":[]}}]}"#,
            concat!(
                r#"{"type":"record","name":"R","namespace":"a","fields":[{"name":"x","type":{"type":"record","name":"S","#,
                r#""namespace":"b","fields":[{"name":"r","type":["null","a.R"]}]}},{"name":"y","type":"b.S"},"#,
                r#"{"name":"z","type":{"type":"enum","name":"E","symbols":[]}}]}"#
            ),
        );
    }

    #[test]
    fn what_avro_java_refuses() {
        for text in [
            r#"{"type":{"type":"int"}}"#,
            r#"{"type":"record","name":"a-b","fields":[]}"#,
            r#"{"type":"record","name":"R","fields":[{"name":"f","type":"Unknown"}]}"#,
            r#"{"type":"record","name":"R","fields":[{"name":"f","type":"int"},{"name":"f","type":"int"}]}"#,
            r#"{"type":"record","name":"R","fields":[{"name":"f","type":"int","default":"x"}]}"#,
            r#"["int","int"]"#,
            r#"["null",["int"]]"#,
            r#"{"type":"enum","name":"E","symbols":["A","A"]}"#,
            "{",
        ] {
            assert!(parse(text, Strictness::Strict).is_err(), "{text}");
        }
        // A default may fit any branch of a union.
        let union =
            r#"{"type":"record","name":"R","fields":[{"name":"f","type":["null","int"],"default":1}]}"#;
        assert!(parse(union, Strictness::Strict).is_ok());
    }

    #[test]
    fn deep_schemas_are_refused_not_followed() {
        let text = format!("{}\"int\"{}", r#"{"type":"array","items":"#.repeat(5000), "}".repeat(5000));
        assert!(parse(&text, Strictness::Strict).is_err());
    }
}

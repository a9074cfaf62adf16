//! Schema → the text under which `normalize=true` finds equal schemas: full names, sorted properties, metadata kept.

use std::collections::HashSet;

use crate::java_json::{write_json, write_string};
use crate::schema::{Field, Json, Kind, Name, NodeId, Properties, Schema};

impl Schema {
    /// Text that is equal for schemas that differ only in the order of properties, spacing, or how names are shortened.
    pub fn normalised(&self) -> String {
        let mut normaliser = Normaliser { schema: self, out: String::new(), written: HashSet::new() };
        normaliser.node(self.root);
        normaliser.out
    }
}

struct Normaliser<'a> {
    schema: &'a Schema,
    out: String,
    written: HashSet<NodeId>,
}

impl<'a> Normaliser<'a> {
    fn node(&mut self, id: NodeId) {
        let schema = self.schema;
        let node = schema.node(id);
        if let Some(name) = node.kind.name()
            && (schema.is_external(name) || !self.written.insert(id))
        {
            return write_string(&name.full(), &mut self.out);
        }
        match &node.kind {
            Kind::Union(branches) => self.list(branches, |this, branch| this.node(*branch)),
            Kind::Array(item) => self.collection("array", "items", *item, &node.properties),
            Kind::Map(value) => self.collection("map", "values", *value, &node.properties),
            Kind::Record(record) => {
                self.head(&record.name, node.kind.word());
                self.key("fields");
                self.list(&record.fields, Self::field);
                self.tail(record.doc.as_deref(), &record.aliases, None, &node.properties);
            }
            Kind::Enum(symbols) => {
                self.head(&symbols.name, "enum");
                self.key("symbols");
                self.list(&symbols.symbols, |this, symbol| write_string(symbol, &mut this.out));
                let default = symbols.default.as_deref();
                self.tail(symbols.doc.as_deref(), &symbols.aliases, default, &node.properties);
            }
            Kind::Fixed(fixed) => {
                self.head(&fixed.name, "fixed");
                self.key("size");
                self.out.push_str(&fixed.size.to_string());
                self.tail(fixed.doc.as_deref(), &fixed.aliases, None, &node.properties);
            }
            primitive if node.properties.is_empty() => write_string(primitive.word(), &mut self.out),
            primitive => {
                self.out.push_str("{\"type\":");
                write_string(primitive.word(), &mut self.out);
                self.properties(&node.properties);
                self.out.push('}');
            }
        }
    }

    fn field(&mut self, field: &'a Field) {
        self.out.push_str("{\"name\":");
        write_string(&field.name, &mut self.out);
        self.key("type");
        self.node(field.node);
        self.text("order", field.order.word());
        if let Some(doc) = field.doc.as_deref().filter(|doc| !doc.is_empty()) {
            self.text("doc", doc);
        }
        if !field.aliases.is_empty() {
            let mut aliases = field.aliases.clone();
            aliases.sort();
            self.key("aliases");
            self.texts(&aliases);
        }
        if let Some(default) = &field.default {
            self.key("default");
            write_json(default, &mut self.out);
        }
        self.properties(&field.properties);
        self.out.push('}');
    }

    fn head(&mut self, name: &Name, word: &str) {
        self.out.push_str("{\"name\":");
        write_string(&name.full(), &mut self.out);
        self.text("type", word);
    }

    fn tail(&mut self, doc: Option<&str>, aliases: &[Name], default: Option<&str>, properties: &Properties) {
        for key in ["logicalType", "precision", "scale"] {
            if let Some(value) = properties.get(key) {
                self.json(key, value);
            }
        }
        if let Some(doc) = doc.filter(|doc| !doc.is_empty()) {
            self.text("doc", doc);
        }
        if !aliases.is_empty() {
            let mut aliases: Vec<_> = aliases.iter().map(Name::full).collect();
            aliases.sort();
            self.key("aliases");
            self.texts(&aliases);
        }
        if let Some(default) = default {
            self.text("default", default);
        }
        self.custom(properties);
        self.out.push('}');
    }

    fn collection(&mut self, word: &str, key: &str, item: NodeId, properties: &Properties) {
        self.out.push_str("{\"type\":");
        write_string(word, &mut self.out);
        self.key(key);
        self.node(item);
        self.properties(properties);
        self.out.push('}');
    }

    fn properties(&mut self, properties: &Properties) {
        for key in ["logicalType", "precision", "scale"] {
            if let Some(value) = properties.get(key) {
                self.json(key, value);
            }
        }
        self.custom(properties);
    }

    fn custom(&mut self, properties: &Properties) {
        let mut sorted: Vec<_> = properties.iter().collect();
        sorted.sort_by_key(|(key, _)| key.as_str());
        for (key, value) in sorted {
            if !["logicalType", "precision", "scale"].contains(&key.as_str()) {
                self.json(key, &sort_members(value));
            }
        }
    }

    fn list<T>(&mut self, items: &'a [T], mut each: impl FnMut(&mut Self, &'a T)) {
        self.out.push('[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            each(self, item);
        }
        self.out.push(']');
    }

    fn texts(&mut self, items: &[String]) {
        self.out.push('[');
        for (index, item) in items.iter().enumerate() {
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

    fn json(&mut self, key: &str, value: &Json) {
        self.key(key);
        write_json(value, &mut self.out);
    }
}

fn sort_members(value: &Json) -> Json {
    match value {
        Json::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(key, _)| key.as_str());
            Json::Object(sorted.into_iter().map(|(key, item)| (key.clone(), sort_members(item))).collect())
        }
        Json::Array(items) => Json::Array(items.iter().map(sort_members).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use crate::{Strictness, parse};

    #[test]
    fn equal_but_for_order_and_spelling() {
        let normalised = |text: &str| parse(text, Strictness::Strict).unwrap().normalised();
        let one =
            r#"{"type":"record","name":"a.R","b":1,"a":{"y":1,"x":2},"fields":[{"name":"f","type":"int"}]}"#;
        let other = r#"{"name":"R","namespace":"a","a":{"x":2,"y":1},"b":1,"type":"record","fields":[
            {"type":{"type":"int"},"order":"ascending","name":"f"}]}"#;
        assert_eq!(normalised(one), normalised(other));
        let documented = r#"{"type":"record","name":"a.R","doc":"d","fields":[{"name":"f","type":"int"}]}"#;
        assert_ne!(normalised(one), normalised(documented));
    }
}

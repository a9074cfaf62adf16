//! JSON Schema with its references: `$ref` may lead to the schema itself and to whatever is registered beside it.

use serde_json::{Map, Value as Json};

use super::Document;

/// Chains of `$ref` longer than this go round in a circle.
const REF_CHAIN_MAX: usize = 100;

#[derive(Debug)]
pub struct JsonSchema {
    root: Json,
    /// Every document that can be reached, by the name under which it is referred to.
    documents: Vec<(String, Json)>,
}

/// A part of a schema, and the document that its local references mean.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub node: &'a Json,
    document: &'a Json,
    schema: &'a JsonSchema,
}

impl JsonSchema {
    /// The error says what is wrong. Whether the schema keeps to its draft is another question.
    pub fn parse(document: &Document) -> Result<Self, String> {
        let root: Json = serde_json::from_str(&document.text).map_err(|error| error.to_string())?;
        if !root.is_object() && !root.is_boolean() {
            return Err("a JSON Schema is an object or a boolean".to_owned());
        }
        let mut documents = vec![];
        collect(&document.references, &mut documents)?;
        Ok(Self { root, documents })
    }

    pub fn root(&self) -> &Json {
        &self.root
    }

    /// What is registered beside the schema, by name.
    pub fn documents(&self) -> &[(String, Json)] {
        &self.documents
    }

    /// Whether every `$ref` leads somewhere.
    pub fn check_references(&self) -> Result<(), String> {
        self.check_part(&self.root, &self.root)
    }

    /// Compact, in its own order.
    pub fn canonical(&self) -> String {
        self.root.to_string()
    }

    /// Compact, members by name.
    pub fn normalised(&self) -> String {
        sorted(&self.root).to_string()
    }

    /// One document that refers to nothing outside: what is registered beside it stands in its `$defs`.
    pub fn bundled(&self) -> Json {
        if self.documents.is_empty() {
            return self.root.clone();
        }
        let mut root = self.redirected(&self.root, "#");
        let parts = self.documents.iter().enumerate().map(|(index, (_, document))| {
            let mut part = self.redirected(document, &format!("#/$defs/{index}"));
            if let Some(members) = part.as_object_mut() {
                members.remove("$id");
                members.remove("id");
            }
            (index.to_string(), part)
        });
        let parts = Map::from_iter(parts);
        if let Some(members) = root.as_object_mut() {
            members.remove("$id");
            match members.get_mut("$defs").and_then(Json::as_object_mut) {
                Some(known) => known.extend(parts),
                None => drop(members.insert("$defs".to_owned(), Json::Object(parts))),
            }
        }
        root
    }

    /// A document in which every `$ref` says where the bundle has it; `base` is where the document itself lies there.
    fn redirected(&self, node: &Json, base: &str) -> Json {
        match node {
            Json::Object(members) => {
                let member = |(key, value): (&String, &Json)| {
                    let value = match value.as_str().filter(|_| key == "$ref") {
                        Some(reference) => Json::from(self.redirect(reference, base)),
                        None => self.redirected(value, base),
                    };
                    (key.clone(), value)
                };
                Json::Object(members.iter().map(member).collect())
            }
            Json::Array(items) => Json::Array(items.iter().map(|item| self.redirected(item, base)).collect()),
            other => other.clone(),
        }
    }

    fn redirect(&self, reference: &str, base: &str) -> String {
        let (name, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        if name.is_empty() {
            return format!("{base}{fragment}");
        }
        let found = self.document(name);
        let index = found.and_then(|found| self.documents.iter().position(|(_, it)| std::ptr::eq(it, found)));
        match index {
            Some(index) => format!("#/$defs/{index}{fragment}"),
            None if found.is_some() => format!("#{fragment}"),
            None => reference.to_owned(),
        }
    }

    pub fn place(&self) -> Place<'_> {
        Place { node: &self.root, document: &self.root, schema: self }
    }

    /// Where a `$ref` of a document leads.
    fn target<'a>(&'a self, document: &'a Json, reference: &str) -> Option<Place<'a>> {
        let (name, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let document = if name.is_empty() { document } else { self.document(name)? };
        let node = match fragment {
            "" => document,
            pointer if pointer.starts_with('/') => document.pointer(&percent_decoded(pointer))?,
            anchor => find_anchor(document, anchor)?,
        };
        Some(Place { node, document, schema: self })
    }

    fn document(&self, name: &str) -> Option<&Json> {
        let found =
            self.documents.iter().find(|(known, _)| known == name || known.strip_suffix('#') == Some(name));
        let by_id = || {
            let all = std::iter::once(&self.root).chain(self.documents.iter().map(|(_, document)| document));
            all.into_iter().find(|document| id_of(document) == Some(name))
        };
        // A relative reference below an absolute id means the last part of the reference's name.
        let by_end = || {
            let mut all = self.documents.iter();
            all.find(|(known, _)| known.rsplit('/').next() == Some(name)).map(|(_, document)| document)
        };
        found.map(|(_, document)| document).or_else(by_id).or_else(by_end)
    }

    fn check_part(&self, document: &Json, node: &Json) -> Result<(), String> {
        match node {
            Json::Object(members) => {
                if let Some(reference) = members.get("$ref").and_then(Json::as_str) {
                    let is_foreign = reference.starts_with("http://json-schema.org/")
                        || reference.starts_with("https://json-schema.org/");
                    if !is_foreign && self.target(document, reference).is_none() {
                        return Err(format!("the reference {reference} cannot be resolved"));
                    }
                }
                let is_data = |key: &str| matches!(key, "enum" | "const" | "default" | "examples");
                let mut parts = members.iter().filter(|(key, _)| !is_data(key));
                parts.try_for_each(|(_, part)| self.check_part(document, part))
            }
            Json::Array(items) => items.iter().try_for_each(|item| self.check_part(document, item)),
            _ => Ok(()),
        }
    }
}

impl<'a> Place<'a> {
    /// A part of this place's own schema.
    pub fn part(self, node: &'a Json) -> Self {
        Self { node, ..self }
    }

    pub fn get(self, key: &str) -> Option<&'a Json> {
        self.node.get(key)
    }

    /// What stands behind a `$ref`; the place itself where there is none, or it leads nowhere.
    pub fn resolved(self) -> Self {
        let mut place = self;
        for _ in 0..REF_CHAIN_MAX {
            let Some(reference) = place.node.get("$ref").and_then(Json::as_str) else { break };
            let Some(target) = place.schema.target(place.document, reference) else { break };
            place = target;
        }
        place
    }
}

fn collect(references: &[(String, Document)], documents: &mut Vec<(String, Json)>) -> Result<(), String> {
    for (name, reference) in references {
        // The first of equal names counts.
        if documents.iter().any(|(known, _)| known == name) {
            continue;
        }
        let json = serde_json::from_str(&reference.text)
            .map_err(|error| format!("the reference {name}: {error}"))?;
        documents.push((name.clone(), json));
        collect(&reference.references, documents)?;
    }
    Ok(())
}

fn id_of(document: &Json) -> Option<&str> {
    let id = document.get("$id").or_else(|| document.get("id"))?.as_str()?;
    Some(id.strip_suffix('#').unwrap_or(id))
}

fn find_anchor<'a>(node: &'a Json, anchor: &str) -> Option<&'a Json> {
    match node {
        Json::Object(members) => {
            let bears = |key: &str, prefix: &str| {
                let text = members.get(key).and_then(Json::as_str);
                text.and_then(|text| text.strip_prefix(prefix)) == Some(anchor)
            };
            if bears("$anchor", "") || bears("$id", "#") || bears("id", "#") {
                return Some(node);
            }
            members.values().find_map(|part| find_anchor(part, anchor))
        }
        Json::Array(items) => items.iter().find_map(|item| find_anchor(item, anchor)),
        _ => None,
    }
}

fn percent_decoded(text: &str) -> String {
    let mut out = vec![];
    let mut bytes = text.as_bytes();
    while let [first, rest @ ..] = bytes {
        let escape = rest.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                bytes = &rest[2..];
            }
            None => {
                out.push(*first);
                bytes = rest;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Members of all objects by name.
fn sorted(json: &Json) -> Json {
    match json {
        Json::Object(members) => {
            let mut pairs: Vec<_> = members.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
            Json::Object(Map::from_iter(pairs))
        }
        Json::Array(items) => Json::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_lead_to_parts_names_and_anchors() {
        let other =
            Document { text: r#"{"definitions":{"a":{"type":"string"}}}"#.to_owned(), references: vec![] };
        let parse = |text: &str| {
            let references = vec![("http://x/other.json".to_owned(), other.clone())];
            JsonSchema::parse(&Document { text: text.to_owned(), references })?.check_references()
        };
        let check = |text: &str, expected: bool| assert_eq!(parse(text).is_ok(), expected, "{text}");
        check(
            r##"{"properties":{"a":{"$ref":"#/definitions/n"}},"definitions":{"n":{"type":"null"}}}"##,
            true,
        );
        check(
            r##"{"properties":{"a":{"$ref":"#/definitions/m"}},"definitions":{"n":{"type":"null"}}}"##,
            false,
        );
        check(r##"{"properties":{"a":{"$ref":"http://x/other.json#/definitions/a"}}}"##, true);
        check(r##"{"properties":{"a":{"$ref":"other.json"}}}"##, true);
        check(r##"{"properties":{"a":{"$ref":"#"}}}"##, true);
        check("[]", false);
    }
}

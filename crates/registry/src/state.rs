//! What the topic's records make: subjects with their versions, schemas by id, levels and modes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use registry_client::Reference;
use registry_client::schemas::Document;
use tracing::warn;

use crate::format::Parsed;
use crate::keys::Key;
use crate::schema::{Hash, References, StoredSchema};
use crate::values::{ConfigValue, DeleteSubjectValue, Mode, ModeValue, SchemaValue, WatermarkValue};

/// Chains of references longer than this are taken for a circle.
const REFERENCE_DEPTH_MAX: usize = 50;

#[derive(Default)]
pub(crate) struct State {
    subjects: BTreeMap<String, BTreeMap<i32, Version>>,
    by_id: BTreeMap<i32, Arc<StoredSchema>>,
    by_hash: HashMap<Hash, i32>,
    pub configs: HashMap<Option<String>, ConfigValue>,
    pub modes: HashMap<Option<String>, Mode>,
    /// Ids are never given twice, deleted ones included: see [`WatermarkValue`].
    pub id_max: i32,
    /// Byte forms of a key other than Confluent's: a deletion must cover them too.
    odd_keys: HashMap<Key, Vec<Vec<u8>>>,
}

#[derive(Clone)]
pub(crate) struct Version {
    pub version: i32,
    pub schema: Arc<StoredSchema>,
    pub deleted: bool,
}

/// Which versions count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Live,
    All,
}

impl State {
    /// Takes one record of the topic, in the topic's order. Never fails: what cannot be read is skipped.
    pub(crate) fn apply(&mut self, key: &[u8], value: Option<&[u8]>) {
        let Some(decoded) = Key::decode(key) else {
            return warn!("skipping a record of the schemas topic with an unreadable key");
        };
        if decoded != Key::Other && decoded.encode() != key {
            let forms = self.odd_keys.entry(decoded.clone()).or_default();
            if !forms.iter().any(|form| form == key) {
                forms.push(key.to_vec());
            }
        }
        if self.apply_decoded(&decoded, value).is_none() {
            warn!(key = ?decoded, "skipping a record of the schemas topic with an unreadable value");
        }
    }

    fn apply_decoded(&mut self, key: &Key, value: Option<&[u8]>) -> Option<()> {
        match (key, value) {
            (Key::Schema { subject, version }, None) => self.remove(subject, *version),
            (Key::Schema { .. }, Some(value)) => self.insert(serde_json::from_slice(value).ok()?),
            (Key::Config(subject), None) => drop(self.configs.remove(subject)),
            (Key::Config(subject), Some(value)) => {
                self.configs.insert(subject.clone(), serde_json::from_slice(value).ok()?);
            }
            (Key::Mode(subject), None) => drop(self.modes.remove(subject)),
            (Key::Mode(subject), Some(value)) => {
                let value: ModeValue = serde_json::from_slice(value).ok()?;
                self.modes.insert(subject.clone(), value.mode);
            }
            (Key::DeleteSubject(subject), Some(value)) => {
                let value: DeleteSubjectValue = serde_json::from_slice(value).ok()?;
                let versions = self.subjects.get_mut(subject);
                for version in versions.into_iter().flat_map(|it| it.range_mut(..=value.version)) {
                    version.1.deleted = true;
                }
            }
            (Key::ClearSubject(subject), Some(_)) => {
                let deleted = self.versions(subject, Scope::All).into_iter().filter(|it| it.deleted);
                let numbers: Vec<_> = deleted.map(|it| it.version).collect();
                numbers.into_iter().for_each(|version| self.remove(subject, version));
            }
            (Key::Noop, Some(value)) => {
                let value: WatermarkValue = serde_json::from_slice(value).ok()?;
                self.id_max = self.id_max.max(value.id_max);
            }
            (Key::DeleteSubject(_) | Key::ClearSubject(_) | Key::Noop, None) | (Key::Other, _) => {}
        }
        Some(())
    }

    fn insert(&mut self, value: SchemaValue) {
        let fresh =
            StoredSchema::new(value.id, value.schema_type, value.references, value.metadata, value.schema);
        let schema = match self.by_id.get(&value.id) {
            Some(known) if known.hash != fresh.hash => {
                warn!(
                    id = value.id,
                    subject = value.subject,
                    "one id stands for two schemas: the first one is kept"
                );
                return;
            }
            Some(known) => Arc::clone(known),
            None => Arc::new(fresh),
        };
        self.id_max = self.id_max.max(value.id);
        self.by_hash.entry(schema.hash).or_insert(value.id);
        self.by_id.insert(value.id, Arc::clone(&schema));
        let version = Version { version: value.version, schema, deleted: value.deleted };
        self.subjects.entry(value.subject).or_default().insert(value.version, version);
    }

    fn remove(&mut self, subject: &str, version: i32) {
        let Some(versions) = self.subjects.get_mut(subject) else { return };
        let Some(removed) = versions.remove(&version) else { return };
        if versions.is_empty() {
            self.subjects.remove(subject);
        }
        let id = removed.schema.id;
        let used = self.subjects.values().flat_map(BTreeMap::values).any(|version| version.schema.id == id);
        if !used {
            self.by_id.remove(&id);
            self.by_hash.remove(&removed.schema.hash);
        }
    }

    /// Every byte form under which a key is in the topic, Confluent's own first.
    pub(crate) fn key_forms(&self, key: &Key) -> Vec<Vec<u8>> {
        let odd = self.odd_keys.get(key).cloned().unwrap_or_default();
        std::iter::once(key.encode()).chain(odd).collect()
    }

    pub(crate) fn subjects(&self) -> impl Iterator<Item = (&String, &BTreeMap<i32, Version>)> {
        self.subjects.iter()
    }

    /// Ascending; empty for an unknown subject.
    pub(crate) fn versions(&self, subject: &str, scope: Scope) -> Vec<Version> {
        let versions = self.subjects.get(subject).into_iter().flat_map(BTreeMap::values);
        versions.filter(|version| scope == Scope::All || !version.deleted).cloned().collect()
    }

    pub(crate) fn version(&self, subject: &str, version: i32) -> Option<&Version> {
        self.subjects.get(subject)?.get(&version)
    }

    pub(crate) fn knows(&self, subject: &str) -> bool {
        self.subjects.contains_key(subject)
    }

    pub(crate) fn schema(&self, id: i32) -> Option<&Arc<StoredSchema>> {
        self.by_id.get(&id)
    }

    pub(crate) fn schema_by_hash(&self, hash: &Hash) -> Option<&Arc<StoredSchema>> {
        self.by_id.get(self.by_hash.get(hash)?)
    }

    pub(crate) fn schema_by_guid(&self, guid: &str) -> Option<&Arc<StoredSchema>> {
        self.by_id.values().find(|schema| schema.guid() == guid)
    }

    /// The parsed form, with all that the schema refers to.
    pub(crate) fn parsed<'a>(&'a self, schema: &'a StoredSchema) -> Option<&'a Parsed> {
        schema.parsed(|| self.resolve(&schema.references, 0))
    }

    /// The text as a client asks for it: `format=serialized` is a compiled Protobuf file.
    pub(crate) fn text(&self, schema: &StoredSchema, format: Option<&str>) -> String {
        let compiled = || self.parsed(schema).and_then(Parsed::serialized);
        let compiled = if format == Some("serialized") { compiled() } else { None };
        compiled.unwrap_or_else(|| schema.text.clone())
    }

    /// The schemas behind references. `None` where one is missing.
    pub(crate) fn resolve(&self, references: &[Reference], depth: usize) -> Option<References> {
        if depth > REFERENCE_DEPTH_MAX {
            return None;
        }
        let one = |reference: &Reference| {
            let schema = &self.version(&reference.subject, reference.version)?.schema;
            let references = self.resolve(&schema.references, depth + 1)?;
            Some((reference.name.clone(), Document { text: schema.text.clone(), references }))
        };
        references.iter().map(one).collect()
    }

    /// Ids of the schemas that refer to a version; sorted.
    pub(crate) fn referrers(&self, subject: &str, version: i32, scope: Scope) -> Vec<i32> {
        let refers = |schema: &StoredSchema| {
            schema.references.iter().any(|it| it.subject == subject && it.version == version)
        };
        let versions = self.subjects.values().flat_map(BTreeMap::values);
        let mut ids: Vec<_> = versions
            .filter(|version| scope == Scope::All || !version.deleted)
            .filter(|version| refers(&version.schema))
            .map(|version| version.schema.id)
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    pub(crate) fn mode(&self, subject: &str) -> Mode {
        let own = self.modes.get(&Some(subject.to_owned()));
        own.or_else(|| self.modes.get(&None)).copied().unwrap_or_default()
    }
}

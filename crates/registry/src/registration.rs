//! Registering a schema, or finding it registered.

use std::sync::Arc;

use avro::Strictness;
use registry_client::schemas::Document;
use registry_client::{Metadata, Reference, Registered, SchemaType, SubjectVersion};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::compatibility;
use crate::config::level;
use crate::error::ApiError;
use crate::format::Parsed;
use crate::keys::Key;
use crate::level::Level;
use crate::log::{Log, LogRecord, Shared, read};
use crate::schema::{Hash, StoredSchema, hash};
use crate::state::{Scope, State, Version};
use crate::values::{Mode, SchemaValue};

/// Registries that write at the same moment are few, and each attempt lets one of them through.
const RACES_MAX: usize = 20;

/// What every handler shares.
pub(crate) struct Core {
    pub state: Shared,
    pub log: Arc<dyn Log>,
    /// One write at a time: what was checked must still hold when it is written.
    pub writing: Mutex<()>,
    pub default_level: Level,
}

/// Body of a registration or look-up. Rules are refused: they would change data.
#[derive(Debug, Deserialize)]
pub(crate) struct SchemaRequest {
    #[serde(default)]
    pub schema: Option<String>,
    #[serde(rename = "schemaType", default)]
    pub schema_type: Option<String>,
    #[serde(default)]
    pub references: Option<Vec<Reference>>,
    #[serde(default)]
    pub id: Option<i32>,
    #[serde(default)]
    pub version: Option<i32>,
    #[serde(default)]
    pub metadata: Option<Metadata>,
    #[serde(rename = "ruleSet", default)]
    pub rule_set: Option<serde_json::Value>,
}

/// A schema that was sent: parsed, in its canonical text.
pub(crate) struct Candidate {
    pub parsed: Parsed,
    pub text: String,
    pub references: Vec<Reference>,
    pub metadata: Option<Metadata>,
    hash: Hash,
}

impl Candidate {
    pub(crate) fn new(
        state: &State,
        subject: &str,
        request: &SchemaRequest,
        normalize: bool,
    ) -> Result<Self, ApiError> {
        if request.rule_set.as_ref().is_some_and(|rules| !rules.is_null()) {
            return Err(ApiError::RuleSet);
        }
        let mut schema_type = schema_type(request.schema_type.as_deref())?;
        let mut references = request.references.clone().unwrap_or_default();
        for reference in &mut references {
            pin(state, reference)?;
        }
        let given = request.schema.as_deref().unwrap_or_default();
        // Without a text the previous version's is meant.
        let previous = state.versions(subject, Scope::Live).pop().filter(|_| given.is_empty());
        let text = match &previous {
            Some(previous) => {
                references = previous.schema.references.clone();
                schema_type = previous.schema.schema_type;
                &previous.schema.text
            }
            None if given.is_empty() => return Err(ApiError::InvalidSchema("Empty schema".to_owned())),
            None => given,
        };
        let resolved = state
            .resolve(&references, 0)
            .ok_or_else(|| ApiError::InvalidSchema("a reference cannot be resolved".to_owned()))?;
        let document = Document { text: text.to_owned(), references: resolved };
        let parsed = Parsed::new(schema_type, &document, Strictness::Strict).map_err(|error| {
            let word = schema_type.word();
            ApiError::InvalidSchema(format!(
                "{text} with refs {references:?} of type {word}, details: {error}"
            ))
        })?;
        if normalize {
            references.sort_by(|a, b| a.name.cmp(&b.name));
            references.dedup();
        }
        let text = if normalize { parsed.normalised() } else { parsed.canonical() };
        let metadata = request.metadata.clone();
        let hash = hash(&text, &references, metadata.as_ref());
        Ok(Self { parsed, text, references, metadata, hash })
    }

    /// The version of the subject that is this schema: by hash, or equal but for the order of properties.
    pub(crate) fn find(&self, state: &State, versions: &[Version]) -> Option<Version> {
        let by_hash = versions.iter().rev().find(|version| version.schema.hash == self.hash);
        if let Some(found) = by_hash {
            return Some(found.clone());
        }
        let own = self.parsed.identity();
        let same = |version: &&Version| {
            version.schema.references == self.references
                && version.schema.metadata == self.metadata
                && state.parsed(&version.schema).is_some_and(|schema| schema.identity() == own)
        };
        versions.iter().rev().find(same).cloned()
    }
}

fn schema_type(word: Option<&str>) -> Result<SchemaType, ApiError> {
    let Some(word) = word else { return Ok(SchemaType::Avro) };
    let known = [SchemaType::Avro, SchemaType::Json, SchemaType::Protobuf];
    let found = known.into_iter().find(|known| known.word().eq_ignore_ascii_case(word));
    found.ok_or_else(|| ApiError::InvalidSchema(format!("Invalid schema type {word}")))
}

/// A reference to the latest version means the one that is the latest now.
fn pin(state: &State, reference: &mut Reference) -> Result<(), ApiError> {
    let missing = || {
        let (subject, version) = (&reference.subject, reference.version);
        ApiError::InvalidSchema(format!(
            "no schema reference found for subject \"{subject}\" and version {version}"
        ))
    };
    if reference.version == -1 {
        let latest = state.versions(&reference.subject, Scope::Live).pop().ok_or_else(missing)?;
        reference.version = latest.version;
    } else if state.version(&reference.subject, reference.version).is_none() {
        return Err(missing());
    }
    Ok(())
}

impl Core {
    pub(crate) async fn register(
        &self,
        subject: &str,
        request: &SchemaRequest,
        normalize: bool,
    ) -> Result<Registered, ApiError> {
        let normalize = normalize || self.normalizes(subject);
        if request.id.is_none() && request.version.is_none() {
            let state = read(&self.state);
            let candidate = Candidate::new(&state, subject, request, normalize)?;
            let live = state.versions(subject, Scope::Live);
            if let Some(found) = live.iter().rev().find(|version| version.schema.hash == candidate.hash) {
                return Ok(registered(found));
            }
        }
        let _writing = self.writing.lock().await;
        for _ in 0..RACES_MAX {
            self.log.catch_up().await?;
            let (version, records) = {
                let state = read(&self.state);
                match self.decide(&state, subject, request, normalize)? {
                    Decision::Known(version) => return Ok(registered(&version)),
                    Decision::New { version, records } => (version, records),
                }
            };
            self.log.append(records).await?;
            // A registry of another worker may have given the same id in the same moment: the topic's order decides,
            // and who came second takes another one. Its record is replaced, since its key is the same.
            let state = read(&self.state);
            let is_ours = |schema: &Arc<StoredSchema>| schema.hash == version.schema.hash;
            if state.schema(version.schema.id).is_some_and(is_ours) {
                return Ok(registered(&version));
            }
        }
        Err(ApiError::Store("other registries took each id first".to_owned()))
    }

    fn normalizes(&self, subject: &str) -> bool {
        let state = read(&self.state);
        let of = |key: Option<String>| {
            state.configs.get(&key).and_then(|config| config.get("normalize")?.as_bool())
        };
        of(Some(subject.to_owned())).or_else(|| of(None)).unwrap_or(false)
    }

    fn decide(
        &self,
        state: &State,
        subject: &str,
        request: &SchemaRequest,
        normalize: bool,
    ) -> Result<Decision, ApiError> {
        let mode = state.mode(subject);
        check_mode(mode, subject, request.id.is_some())?;
        let candidate = Candidate::new(state, subject, request, normalize)?;
        let live = state.versions(subject, Scope::Live);
        if let Some(found) = candidate.find(state, &live)
            && request.id.is_none_or(|id| id == found.schema.id)
            && request.version.is_none_or(|version| version == found.version)
        {
            return Ok(Decision::Known(found));
        }
        let all = state.versions(subject, Scope::All);
        let next = all.last().map_or(1, |version| version.version + 1);
        let version = match (request.version, mode) {
            (Some(version), Mode::Import) => version,
            (Some(version), _) if version != next => {
                return Err(ApiError::InvalidSchema(format!(
                    "Version is not one more than previous version: {version}"
                )));
            }
            _ => next,
        };
        if mode != Mode::Import {
            let level = level(state, subject, self.default_level);
            let problems = compatibility::check(state, &candidate.parsed, &live, level);
            if !problems.is_empty() {
                let subject = subject.to_owned();
                return Err(ApiError::Incompatible { subject, details: problems.join(", ") });
            }
        }
        let known = state.schema_by_hash(&candidate.hash);
        let id = match (request.id, known) {
            (Some(id), _) if state.schema(id).is_some_and(|other| other.hash != candidate.hash) => {
                return Err(ApiError::NotPermitted(format!(
                    "Overwrite new schema with id {id} is not permitted."
                )));
            }
            (Some(id), _) => id,
            (None, Some(known)) => known.id,
            (None, None) => state.id_max + 1,
        };
        let records = records(state, subject, version, id, &candidate, &all);
        let schema_type = candidate.parsed.schema_type();
        let stored =
            StoredSchema::new(id, schema_type, candidate.references, candidate.metadata, candidate.text);
        let version = Version { version, schema: Arc::new(stored), deleted: false };
        Ok(Decision::New { version, records })
    }

    pub(crate) fn look_up(
        &self,
        subject: &str,
        request: &SchemaRequest,
        normalize: bool,
        scope: Scope,
    ) -> Result<SubjectVersion, ApiError> {
        let normalize = normalize || self.normalizes(subject);
        let state = read(&self.state);
        let versions = state.versions(subject, scope);
        if versions.is_empty() {
            return Err(ApiError::SubjectNotFound(subject.to_owned()));
        }
        let candidate = Candidate::new(&state, subject, request, normalize)?;
        let found = candidate.find(&state, &versions).ok_or(ApiError::SchemaNotFound)?;
        Ok(subject_version(subject, &found))
    }
}

enum Decision {
    Known(Version),
    New { version: Version, records: Vec<LogRecord> },
}

fn check_mode(mode: Mode, subject: &str, has_id: bool) -> Result<(), ApiError> {
    let refused = match (mode, has_id) {
        (Mode::Readonly | Mode::ReadonlyOverride, _) => format!("Subject {subject} is in read-only mode"),
        (Mode::Readwrite, true) => format!("Subject {subject} is not in import mode"),
        (Mode::Import | Mode::Forward, false) => format!("Subject {subject} is in import mode"),
        (Mode::Readwrite, false) | (Mode::Import | Mode::Forward, true) => return Ok(()),
    };
    Err(ApiError::NotPermitted(refused))
}

/// The new version's record; soft-deleted versions of the same id make room for it.
fn records(
    state: &State,
    subject: &str,
    version: i32,
    id: i32,
    candidate: &Candidate,
    all: &[Version],
) -> Vec<LogRecord> {
    let mut records = vec![];
    for old in all.iter().filter(|old| old.deleted && old.schema.id == id) {
        if state.referrers(subject, old.version, Scope::All).is_empty() {
            let key = Key::Schema { subject: subject.to_owned(), version: old.version };
            records.extend(state.key_forms(&key).into_iter().map(|form| (form, None)));
        }
    }
    let value = SchemaValue {
        subject: subject.to_owned(),
        version,
        id,
        schema_type: candidate.parsed.schema_type(),
        references: candidate.references.clone(),
        metadata: candidate.metadata.clone(),
        schema: candidate.text.clone(),
        deleted: false,
    };
    let key = Key::Schema { subject: subject.to_owned(), version }.encode();
    records.push((key, Some(to_bytes(&value))));
    records
}

pub(crate) fn to_bytes(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("our values have string keys and no failing serialisers")
}

fn registered(version: &Version) -> Registered {
    let schema = &version.schema;
    Registered {
        id: schema.id,
        version: Some(version.version),
        guid: Some(schema.guid()),
        schema_type: Some(schema.schema_type),
        references: schema.references.clone(),
        metadata: schema.metadata.clone(),
        schema: Some(schema.text.clone()),
    }
}

pub(crate) fn subject_version(subject: &str, version: &Version) -> SubjectVersion {
    let schema = &version.schema;
    SubjectVersion {
        subject: subject.to_owned(),
        version: version.version,
        id: schema.id,
        guid: Some(schema.guid()),
        schema_type: schema.schema_type,
        references: schema.references.clone(),
        metadata: schema.metadata.clone(),
        schema: schema.text.clone(),
        deleted: version.deleted.then_some(true),
    }
}

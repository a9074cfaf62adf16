//! Levels and modes: read with their defaults, written to the topic.

use serde_json::{Value as Json, json};

use crate::error::ApiError;
use crate::keys::Key;
use crate::level::Level;
use crate::log::{LogRecord, read};
use crate::registration::{Core, to_bytes};
use crate::state::State;
use crate::values::{ConfigValue, Mode, ModeValue};

const LEVEL: &str = "compatibilityLevel";

/// Members of a PUT that are kept beside the level: they travel with the configuration.
const KEPT: [&str; 12] = [
    "alias",
    "aliasForDeks",
    "normalize",
    "validateFields",
    "validateNewSchemas",
    "validateRules",
    "compatibilityPolicy",
    "compatibilityGroup",
    "defaultMetadata",
    "overrideMetadata",
    "defaultRuleSet",
    "overrideRuleSet",
];

/// The level that holds for a subject.
pub(crate) fn level(state: &State, subject: &str, default: Level) -> Level {
    let of = |key: Option<String>| {
        state.configs.get(&key).and_then(|config| config.get(LEVEL)?.as_str()).and_then(Level::parse)
    };
    of(Some(subject.to_owned())).or_else(|| of(None)).unwrap_or(default)
}

impl Core {
    /// The global configuration (`None`), or a subject's own.
    pub(crate) fn config(&self, subject: Option<&str>, default_to_global: bool) -> Result<Json, ApiError> {
        let state = read(&self.state);
        let key = subject.map(str::to_owned);
        let own = state.configs.get(&key);
        let config = match (own, subject) {
            (Some(own), _) => own.clone(),
            (None, Some(subject)) if !default_to_global => {
                return Err(ApiError::NoSubjectCompatibility(subject.to_owned()));
            }
            (None, _) => state.configs.get(&None).cloned().unwrap_or_default(),
        };
        drop(state);
        Ok(self.shown(config))
    }

    fn shown(&self, mut config: ConfigValue) -> Json {
        config.shift_remove("subject");
        let level = config.shift_remove(LEVEL).unwrap_or_else(|| json!(self.default_level.word()));
        let mut shown = ConfigValue::new();
        shown.insert(LEVEL.to_owned(), level);
        shown.extend(config);
        Json::Object(shown)
    }

    /// Merges the given members: absent ones stay, null ones go.
    pub(crate) async fn put_config(&self, subject: Option<&str>, body: &Json) -> Result<Json, ApiError> {
        let level = match body.get("compatibility") {
            None | Some(Json::Null) => None,
            Some(word) => Some(word.as_str().and_then(Level::parse).ok_or(ApiError::InvalidLevel)?),
        };
        let _writing = self.writing.lock().await;
        self.log.catch_up().await?;
        let key = Key::Config(subject.map(str::to_owned));
        let (mut config, forms) = {
            let state = read(&self.state);
            (
                state.configs.get(&subject.map(str::to_owned)).cloned().unwrap_or_default(),
                state.key_forms(&key),
            )
        };
        if let Some(subject) = subject {
            config.insert("subject".to_owned(), json!(subject));
        }
        if let Some(level) = level {
            config.insert(LEVEL.to_owned(), json!(level.word()));
        }
        for name in KEPT {
            match body.get(name) {
                None => {}
                Some(Json::Null) => drop(config.shift_remove(name)),
                Some(value) => drop(config.insert(name.to_owned(), value.clone())),
            }
        }
        // Where an older form of the key is in use, both are written: the last one in the topic counts.
        let records = forms.into_iter().map(|form| (form, Some(to_bytes(&config)))).collect();
        self.log.append(records).await?;
        let mut answer = ConfigValue::new();
        if let Some(level) = config.get(LEVEL) {
            answer.insert("compatibility".to_owned(), level.clone());
        }
        answer.extend(config.into_iter().filter(|(name, _)| KEPT.contains(&name.as_str())));
        Ok(Json::Object(answer))
    }

    /// Answers with what was there.
    pub(crate) async fn delete_config(&self, subject: Option<&str>) -> Result<Json, ApiError> {
        let _writing = self.writing.lock().await;
        self.log.catch_up().await?;
        let key = subject.map(str::to_owned);
        let (old, records) = {
            let state = read(&self.state);
            let old = state.configs.get(&key).cloned();
            (old, tombstones(&state, &Key::Config(key)))
        };
        let old = match (old, subject) {
            (Some(old), _) => old,
            (None, Some(subject)) => return Err(ApiError::SubjectNotFound(subject.to_owned())),
            (None, None) => ConfigValue::new(),
        };
        self.log.append(records).await?;
        Ok(self.shown(old))
    }

    pub(crate) fn mode(&self, subject: Option<&str>, default_to_global: bool) -> Result<Json, ApiError> {
        let state = read(&self.state);
        let own = state.modes.get(&subject.map(str::to_owned)).copied();
        let mode = match (own, subject) {
            (Some(own), _) => own,
            (None, Some(subject)) if !default_to_global => {
                return Err(ApiError::NoSubjectMode(subject.to_owned()));
            }
            (None, _) => state.modes.get(&None).copied().unwrap_or_default(),
        };
        Ok(json!({"mode": mode}))
    }

    pub(crate) async fn put_mode(
        &self,
        subject: Option<&str>,
        body: &Json,
        force: bool,
    ) -> Result<Json, ApiError> {
        let word = body.get("mode").and_then(Json::as_str).ok_or(ApiError::InvalidMode)?;
        let mode = Mode::parse(word).ok_or(ApiError::InvalidMode)?;
        let _writing = self.writing.lock().await;
        self.log.catch_up().await?;
        let key = Key::Mode(subject.map(str::to_owned));
        let (occupied, forms) = {
            let state = read(&self.state);
            let live = |versions: &std::collections::BTreeMap<i32, crate::state::Version>| {
                versions.values().any(|version| !version.deleted)
            };
            let mut subjects = state.subjects();
            let occupied =
                subjects.any(|(name, versions)| subject.is_none_or(|it| it == name) && live(versions));
            (occupied, state.key_forms(&key))
        };
        if mode == Mode::Import && occupied && !force {
            return Err(ApiError::NotPermitted("Cannot import since found existing subjects".to_owned()));
        }
        let value = ModeValue { subject: subject.map(str::to_owned), mode };
        self.log.append(forms.into_iter().map(|form| (form, Some(to_bytes(&value)))).collect()).await?;
        Ok(json!({"mode": mode}))
    }

    pub(crate) async fn delete_mode(&self, subject: Option<&str>) -> Result<Json, ApiError> {
        let _writing = self.writing.lock().await;
        self.log.catch_up().await?;
        let key = subject.map(str::to_owned);
        let (old, records) = {
            let state = read(&self.state);
            (state.modes.get(&key).copied(), tombstones(&state, &Key::Mode(key)))
        };
        let old = match (old, subject) {
            (Some(old), _) => old,
            (None, Some(subject)) => return Err(ApiError::SubjectNotFound(subject.to_owned())),
            (None, None) => Mode::default(),
        };
        self.log.append(records).await?;
        Ok(json!({"mode": old}))
    }
}

/// A deletion of every byte form of the key.
pub(crate) fn tombstones(state: &State, key: &Key) -> Vec<LogRecord> {
    state.key_forms(key).into_iter().map(|form| (form, None)).collect()
}

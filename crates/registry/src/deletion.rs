//! Soft deletion hides, hard deletion removes what is hidden.

use crate::config::tombstones;
use crate::error::ApiError;
use crate::keys::Key;
use crate::log::{LogRecord, read};
use crate::query::VersionId;
use crate::registration::{Core, to_bytes};
use crate::state::{Scope, State, Version};
use crate::values::{DeleteSubjectValue, SchemaValue, WatermarkValue};

/// What a deletion leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deletion {
    Soft,
    Hard,
}

impl Core {
    /// Answers with the versions that were deleted.
    pub(crate) async fn delete_subject(
        &self,
        subject: &str,
        deletion: Deletion,
    ) -> Result<Vec<i32>, ApiError> {
        let _writing = self.writing.lock().await;
        self.log.catch_up().await?;
        let (versions, records) = {
            let state = read(&self.state);
            check_mode(&state, subject)?;
            match deletion {
                Deletion::Soft => soft_subject(&state, subject)?,
                Deletion::Hard => hard_subject(&state, subject)?,
            }
        };
        self.log.append(records).await?;
        Ok(versions)
    }

    /// Answers with the version's number.
    pub(crate) async fn delete_version(
        &self,
        subject: &str,
        version: VersionId,
        deletion: Deletion,
    ) -> Result<i32, ApiError> {
        let _writing = self.writing.lock().await;
        self.log.catch_up().await?;
        let (number, records) = {
            let state = read(&self.state);
            check_mode(&state, subject)?;
            delete_version(&state, subject, version, deletion)?
        };
        self.log.append(records).await?;
        Ok(number)
    }
}

fn check_mode(state: &State, subject: &str) -> Result<(), ApiError> {
    use crate::values::Mode;
    if matches!(state.mode(subject), Mode::Readonly | Mode::ReadonlyOverride) {
        return Err(ApiError::NotPermitted(format!("Subject {subject} is in read-only mode")));
    }
    Ok(())
}

fn soft_subject(state: &State, subject: &str) -> Result<(Vec<i32>, Vec<LogRecord>), ApiError> {
    if !state.knows(subject) {
        return Err(ApiError::SubjectNotFound(subject.to_owned()));
    }
    let live = state.versions(subject, Scope::Live);
    let Some(last) = live.last() else { return Err(ApiError::SubjectSoftDeleted(subject.to_owned())) };
    check_references(state, subject, &live, Scope::Live)?;
    let value = DeleteSubjectValue { subject: subject.to_owned(), version: last.version };
    let record = (Key::DeleteSubject(subject.to_owned()).encode(), Some(to_bytes(&value)));
    Ok((numbers(&live), vec![record]))
}

fn hard_subject(state: &State, subject: &str) -> Result<(Vec<i32>, Vec<LogRecord>), ApiError> {
    let all = state.versions(subject, Scope::All);
    if all.is_empty() {
        return Err(ApiError::SubjectNotFound(subject.to_owned()));
    }
    if all.iter().any(|version| !version.deleted) {
        return Err(ApiError::SubjectNotSoftDeleted(subject.to_owned()));
    }
    check_references(state, subject, &all, Scope::All)?;
    let mut records = watermark(state, &all);
    for version in all.iter().rev() {
        let key = Key::Schema { subject: subject.to_owned(), version: version.version };
        records.extend(tombstones(state, &key));
    }
    records.extend(settings_tombstones(state, subject));
    Ok((numbers(&all), records))
}

/// The last version takes the subject's own level and mode with it.
fn settings_tombstones(state: &State, subject: &str) -> Vec<LogRecord> {
    let name = Some(subject.to_owned());
    let mut records = vec![];
    if state.modes.contains_key(&name) {
        records.extend(tombstones(state, &Key::Mode(name.clone())));
    }
    if state.configs.contains_key(&name) {
        records.extend(tombstones(state, &Key::Config(name)));
    }
    records
}

fn delete_version(
    state: &State,
    subject: &str,
    version: VersionId,
    deletion: Deletion,
) -> Result<(i32, Vec<LogRecord>), ApiError> {
    if !state.knows(subject) {
        return Err(ApiError::SubjectNotFound(subject.to_owned()));
    }
    let found = match version {
        VersionId::Number(number) => state.version(subject, number).cloned().ok_or(number),
        VersionId::Latest => state.versions(subject, Scope::Live).pop().ok_or(-1),
    };
    let found = found.map_err(ApiError::VersionNotFound)?;
    let number = found.version;
    let key = Key::Schema { subject: subject.to_owned(), version: number };
    match (deletion, found.deleted) {
        (Deletion::Soft, true) => Err(ApiError::VersionSoftDeleted(subject.to_owned(), number)),
        (Deletion::Hard, false) => Err(ApiError::VersionNotSoftDeleted(subject.to_owned(), number)),
        (Deletion::Soft, false) => {
            check_references(state, subject, std::slice::from_ref(&found), Scope::Live)?;
            let value = deleted_value(subject, &found);
            let forms = state.key_forms(&key).into_iter();
            Ok((number, forms.map(|form| (form, Some(to_bytes(&value)))).collect()))
        }
        (Deletion::Hard, true) => {
            check_references(state, subject, std::slice::from_ref(&found), Scope::All)?;
            let mut records = watermark(state, std::slice::from_ref(&found));
            records.extend(tombstones(state, &key));
            if state.versions(subject, Scope::All).len() == 1 {
                records.extend(settings_tombstones(state, subject));
            }
            Ok((number, records))
        }
    }
}

/// Compaction takes the highest id with its schema; a later restart would give it again, to another one.
fn watermark(state: &State, removed: &[Version]) -> Vec<LogRecord> {
    let id_max = state.id_max;
    if !removed.iter().any(|version| version.schema.id == id_max) {
        return vec![];
    }
    vec![(Key::Noop.encode(), Some(to_bytes(&WatermarkValue { id_max })))]
}

fn deleted_value(subject: &str, version: &Version) -> SchemaValue {
    SchemaValue {
        subject: subject.to_owned(),
        version: version.version,
        id: version.schema.id,
        schema_type: version.schema.schema_type,
        references: version.schema.references.clone(),
        metadata: version.schema.metadata.clone(),
        schema: version.schema.text.clone(),
        deleted: true,
    }
}

fn check_references(
    state: &State,
    subject: &str,
    versions: &[Version],
    scope: Scope,
) -> Result<(), ApiError> {
    for version in versions {
        if !state.referrers(subject, version.version, scope).is_empty() {
            let number = version.version;
            return Err(ApiError::ReferenceExists(format!(
                "{{magic=1,keytype=SCHEMA,subject={subject},version={number}}}"
            )));
        }
    }
    Ok(())
}

fn numbers(versions: &[Version]) -> Vec<i32> {
    versions.iter().map(|version| version.version).collect()
}

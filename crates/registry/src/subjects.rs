//! Handlers of subjects: their versions, levels and modes.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query as AxumQuery, State as AxumState};
use axum::http::StatusCode;
use axum::response::Response;
use registry_client::{CompatibilityResult, SubjectVersion};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::compatibility;
use crate::config::level;
use crate::content::json_response;
use crate::deletion::Deletion;
use crate::error::ApiError;
use crate::log::read;
use crate::query::{Parameters, VersionId, subject as parse_subject};
use crate::registration::{Candidate, Core, SchemaRequest, subject_version};
use crate::state::{Scope, Version};

type Shared = AxumState<Arc<Core>>;
pub(crate) type Answer = Result<Response, ApiError>;

pub(crate) fn ok(body: &impl serde::Serialize) -> Answer {
    Ok(json_response(StatusCode::OK, body))
}

/// Clients name all kinds of media types: the body is read as JSON whatever they say.
pub(crate) fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).map_err(|error| ApiError::BadRequest(format!("invalid JSON: {error}")))
}

fn scope(parameters: &Parameters) -> Scope {
    if parameters.flag("deleted") { Scope::All } else { Scope::Live }
}

pub(crate) fn deletion(parameters: &Parameters) -> Deletion {
    if parameters.flag("permanent") { Deletion::Hard } else { Deletion::Soft }
}

/// Whether versions of this kind are listed.
fn wanted(parameters: &Parameters, version: &Version) -> bool {
    if parameters.flag("deletedOnly") {
        version.deleted
    } else {
        parameters.flag("deleted") || !version.deleted
    }
}

pub(crate) async fn list(AxumState(core): Shared, parameters: Parameters) -> Answer {
    let state = read(&core.state);
    // `:*:` is every context; ours is the only one.
    let prefix = parameters.text("subjectPrefix").unwrap_or_default();
    let prefix = prefix.strip_prefix(":*:").or(prefix.strip_prefix(":.:")).unwrap_or(prefix);
    let names = state.subjects().filter(|(name, versions)| {
        // A subject is deleted only when all its versions are.
        let live = versions.values().any(|version| !version.deleted);
        let listed = if parameters.flag("deletedOnly") { !live } else { live || parameters.flag("deleted") };
        listed && name.starts_with(prefix)
    });
    ok(&parameters.page(names.map(|(name, _)| name.clone()).collect()))
}

pub(crate) async fn register(
    AxumState(core): Shared,
    Path(subject): Path<String>,
    parameters: Parameters,
    bytes: Bytes,
) -> Answer {
    let subject = parse_subject(&subject)?;
    let request: SchemaRequest = body(&bytes)?;
    ok(&core.register(&subject, &request, parameters.flag("normalize")).await?)
}

pub(crate) async fn look_up(
    AxumState(core): Shared,
    Path(subject): Path<String>,
    parameters: Parameters,
    bytes: Bytes,
) -> Answer {
    let subject = parse_subject(&subject)?;
    let request: SchemaRequest = body(&bytes)?;
    ok(&core.look_up(&subject, &request, parameters.flag("normalize"), scope(&parameters))?)
}

pub(crate) async fn delete(
    AxumState(core): Shared,
    Path(subject): Path<String>,
    parameters: Parameters,
) -> Answer {
    let subject = parse_subject(&subject)?;
    ok(&core.delete_subject(&subject, deletion(&parameters)).await?)
}

pub(crate) async fn versions(
    AxumState(core): Shared,
    Path(subject): Path<String>,
    parameters: Parameters,
) -> Answer {
    let subject = parse_subject(&subject)?;
    let all = read(&core.state).versions(&subject, Scope::All);
    let listed: Vec<_> =
        all.iter().filter(|version| wanted(&parameters, version)).map(|version| version.version).collect();
    if listed.is_empty() {
        return Err(ApiError::SubjectNotFound(subject));
    }
    ok(&parameters.page(listed))
}

fn find(core: &Core, subject: &str, version: &str, scope: Scope) -> Result<Version, ApiError> {
    let version = VersionId::parse(version)?;
    let state = read(&core.state);
    let versions = state.versions(subject, scope);
    if versions.is_empty() {
        return Err(ApiError::SubjectNotFound(subject.to_owned()));
    }
    match version {
        VersionId::Latest => versions.last().cloned().ok_or(ApiError::SubjectNotFound(subject.to_owned())),
        VersionId::Number(number) => {
            let found = versions.into_iter().find(|version| version.version == number);
            found.ok_or(ApiError::VersionNotFound(number))
        }
    }
}

pub(crate) async fn version(
    AxumState(core): Shared,
    Path((subject, version)): Path<(String, String)>,
    parameters: Parameters,
) -> Answer {
    let subject = parse_subject(&subject)?;
    let found = find(&core, &subject, &version, scope(&parameters))?;
    let text = read(&core.state).text(&found.schema, parameters.text("format"));
    ok(&SubjectVersion { schema: text, ..subject_version(&subject, &found) })
}

pub(crate) async fn version_text(
    AxumState(core): Shared,
    Path((subject, version)): Path<(String, String)>,
    parameters: Parameters,
) -> Result<String, ApiError> {
    let subject = parse_subject(&subject)?;
    let found = find(&core, &subject, &version, scope(&parameters))?;
    Ok(read(&core.state).text(&found.schema, parameters.text("format")))
}

/// The latest version whose metadata have all the properties that `key` and `value` name, pair by pair.
pub(crate) async fn with_metadata(
    AxumState(core): Shared,
    Path(subject): Path<String>,
    parameters: Parameters,
    AxumQuery(pairs): AxumQuery<Vec<(String, String)>>,
) -> Answer {
    let subject = parse_subject(&subject)?;
    let named = |name: &str| {
        let name = name.to_owned();
        pairs.iter().filter(move |(key, _)| *key == name).map(|(_, value)| value.as_str())
    };
    let wanted: Vec<(&str, &str)> = named("key").zip(named("value")).collect();
    let versions = read(&core.state).versions(&subject, scope(&parameters));
    if versions.is_empty() {
        return Err(ApiError::SubjectNotFound(subject));
    }
    let bears = |version: &&Version| {
        let metadata = version.schema.metadata.as_ref();
        let property = |key: &str| metadata.and_then(|metadata| metadata.properties.get(key));
        wanted.iter().all(|(key, value)| property(key).is_some_and(|found| found == value))
    };
    let found = versions.iter().rev().find(bears).ok_or(ApiError::SchemaNotFound)?;
    ok(&subject_version(&subject, found))
}

pub(crate) async fn delete_version(
    AxumState(core): Shared,
    Path((subject, version)): Path<(String, String)>,
    parameters: Parameters,
) -> Answer {
    let subject = parse_subject(&subject)?;
    let version = VersionId::parse(&version)?;
    ok(&core.delete_version(&subject, version, deletion(&parameters)).await?)
}

pub(crate) async fn referenced_by(
    AxumState(core): Shared,
    Path((subject, version)): Path<(String, String)>,
    parameters: Parameters,
) -> Answer {
    let subject = parse_subject(&subject)?;
    let found = find(&core, &subject, &version, Scope::All)?;
    let ids = read(&core.state).referrers(&subject, found.version, scope(&parameters));
    ok(&parameters.page(ids))
}

/// As a registration would check it.
pub(crate) async fn check_all(
    AxumState(core): Shared,
    Path(subject): Path<String>,
    parameters: Parameters,
    bytes: Bytes,
) -> Answer {
    let subject = parse_subject(&subject)?;
    let versions = read(&core.state).versions(&subject, Scope::Live);
    check(&core, &subject, &versions, &parameters, &bytes)
}

pub(crate) async fn check_version(
    AxumState(core): Shared,
    Path((subject, version)): Path<(String, String)>,
    parameters: Parameters,
    bytes: Bytes,
) -> Answer {
    let subject = parse_subject(&subject)?;
    let versions = match VersionId::parse(&version)? {
        // Nothing to be incompatible with.
        VersionId::Latest => read(&core.state).versions(&subject, Scope::Live).pop().into_iter().collect(),
        VersionId::Number(number) => {
            let live = read(&core.state).versions(&subject, Scope::Live);
            let found = live.into_iter().find(|version| version.version == number);
            vec![found.ok_or(ApiError::VersionNotFound(number))?]
        }
    };
    check(&core, &subject, &versions, &parameters, &bytes)
}

fn check(core: &Core, subject: &str, versions: &[Version], parameters: &Parameters, bytes: &Bytes) -> Answer {
    let request: SchemaRequest = body(bytes)?;
    let verbose = parameters.flag("verbose");
    let state = read(&core.state);
    let candidate = match Candidate::new(&state, subject, &request, parameters.flag("normalize")) {
        Ok(candidate) => candidate,
        Err(error) if verbose => {
            return ok(&CompatibilityResult { is_compatible: false, messages: vec![error.to_string()] });
        }
        Err(error) => return Err(error),
    };
    let level = level(&state, subject, core.default_level);
    let messages = compatibility::check(&state, &candidate.parsed, versions, level);
    let is_compatible = messages.is_empty();
    ok(&CompatibilityResult { is_compatible, messages: if verbose { messages } else { vec![] } })
}

pub(crate) async fn config(
    AxumState(core): Shared,
    Path(subject): Path<String>,
    parameters: Parameters,
) -> Answer {
    ok(&core.config(Some(&parse_subject(&subject)?), parameters.flag("defaultToGlobal"))?)
}

pub(crate) async fn put_config(AxumState(core): Shared, Path(subject): Path<String>, bytes: Bytes) -> Answer {
    let request: Json = body(&bytes)?;
    ok(&core.put_config(Some(&parse_subject(&subject)?), &request).await?)
}

pub(crate) async fn delete_config(AxumState(core): Shared, Path(subject): Path<String>) -> Answer {
    ok(&core.delete_config(Some(&parse_subject(&subject)?)).await?)
}

pub(crate) async fn mode(
    AxumState(core): Shared,
    Path(subject): Path<String>,
    parameters: Parameters,
) -> Answer {
    ok(&core.mode(Some(&parse_subject(&subject)?), parameters.flag("defaultToGlobal"))?)
}

pub(crate) async fn put_mode(
    AxumState(core): Shared,
    Path(subject): Path<String>,
    parameters: Parameters,
    bytes: Bytes,
) -> Answer {
    let request: Json = body(&bytes)?;
    ok(&core.put_mode(Some(&parse_subject(&subject)?), &request, parameters.flag("force")).await?)
}

pub(crate) async fn delete_mode(AxumState(core): Shared, Path(subject): Path<String>) -> Answer {
    ok(&core.delete_mode(Some(&parse_subject(&subject)?)).await?)
}

//! Handlers of schemas by id, and of what holds for the whole registry.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State as AxumState};
use registry_client::SchemaById;
use serde_json::{Value as Json, json};

use crate::error::ApiError;
use crate::log::read;
use crate::query::Parameters;
use crate::registration::{Core, subject_version};
use crate::schema::StoredSchema;
use crate::subjects::{Answer, body, ok};

type Shared = AxumState<Arc<Core>>;

pub(crate) async fn ping() -> Answer {
    ok(&json!({}))
}

pub(crate) async fn types() -> Answer {
    ok(&json!(["JSON", "PROTOBUF", "AVRO"]))
}

pub(crate) async fn contexts() -> Answer {
    ok(&json!(["."]))
}

pub(crate) async fn cluster_id() -> Answer {
    let clusters = json!({"kafka-cluster": "", "schema-registry-cluster": "schema-registry"});
    ok(&json!({"scope": {"path": [], "clusters": clusters}, "id": ""}))
}

pub(crate) async fn server_version() -> Answer {
    ok(&json!({"version": env!("CARGO_PKG_VERSION"), "commitId": ""}))
}

fn find(core: &Core, id: &str) -> Result<Arc<StoredSchema>, ApiError> {
    let id: i32 = id.parse().map_err(|_| ApiError::NotFound)?;
    read(&core.state).schema(id).cloned().ok_or(ApiError::IdNotFound(id))
}

fn shown(core: &Core, schema: &StoredSchema, parameters: &Parameters) -> SchemaById {
    let state = read(&core.state);
    let max_id = parameters.flag("fetchMaxId").then_some(state.id_max);
    SchemaById {
        schema: state.text(schema, parameters.text("format")),
        schema_type: schema.schema_type,
        references: schema.references.clone(),
        metadata: schema.metadata.clone(),
        guid: Some(schema.guid()),
        max_id,
        subject: None,
        version: None,
    }
}

/// Soft-deleted schemas too: data written with them is still there.
pub(crate) async fn by_id(AxumState(core): Shared, Path(id): Path<String>, parameters: Parameters) -> Answer {
    let schema = find(&core, &id)?;
    ok(&shown(&core, &schema, &parameters))
}

pub(crate) async fn text_by_id(
    AxumState(core): Shared,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<String, ApiError> {
    let schema = find(&core, &id)?;
    Ok(read(&core.state).text(&schema, parameters.text("format")))
}

/// Subjects and versions of an id.
fn places(core: &Core, id: i32, parameters: &Parameters) -> Vec<(String, i32)> {
    let state = read(&core.state);
    let only = parameters.text("subject");
    let mut places = vec![];
    for (subject, versions) in state.subjects().filter(|(name, _)| only.is_none_or(|only| only == *name)) {
        let listed = versions.values().filter(|version| version.schema.id == id);
        let listed = listed.filter(|version| parameters.flag("deleted") || !version.deleted);
        places.extend(listed.map(|version| (subject.clone(), version.version)));
    }
    places
}

pub(crate) async fn subjects_of_id(
    AxumState(core): Shared,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let schema = find(&core, &id)?;
    let mut names: Vec<_> = places(&core, schema.id, &parameters).into_iter().map(|(name, _)| name).collect();
    names.dedup();
    ok(&parameters.page(names))
}

pub(crate) async fn versions_of_id(
    AxumState(core): Shared,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let schema = find(&core, &id)?;
    let places = places(&core, schema.id, &parameters).into_iter();
    let listed = places.map(|(subject, version)| json!({"subject": subject, "version": version}));
    ok(&parameters.page(listed.collect()))
}

pub(crate) async fn by_guid(
    AxumState(core): Shared,
    Path(guid): Path<String>,
    parameters: Parameters,
) -> Answer {
    let found = read(&core.state).schema_by_guid(&guid).cloned();
    let schema = found.ok_or(ApiError::SchemaNotFound)?;
    ok(&shown(&core, &schema, &parameters))
}

pub(crate) async fn ids_of_guid(AxumState(core): Shared, Path(guid): Path<String>) -> Answer {
    let found = read(&core.state).schema_by_guid(&guid).cloned();
    let id = found.ok_or(ApiError::SchemaNotFound)?.id;
    ok(&json!([{"context": ".", "id": id}]))
}

pub(crate) async fn list(AxumState(core): Shared, parameters: Parameters) -> Answer {
    let state = read(&core.state);
    let prefix = parameters.text("subjectPrefix").unwrap_or_default();
    let prefix = prefix.strip_prefix(":*:").unwrap_or(prefix);
    let mut listed = vec![];
    for (subject, versions) in state.subjects().filter(|(name, _)| name.starts_with(prefix)) {
        let versions = versions.values().filter(|version| parameters.flag("deleted") || !version.deleted);
        let skipped =
            if parameters.flag("latestOnly") { versions.clone().count().saturating_sub(1) } else { 0 };
        listed.extend(versions.skip(skipped).map(|version| subject_version(subject, version)));
    }
    ok(&parameters.page(listed))
}

pub(crate) async fn config(AxumState(core): Shared, parameters: Parameters) -> Answer {
    ok(&core.config(None, parameters.flag("defaultToGlobal"))?)
}

pub(crate) async fn put_config(AxumState(core): Shared, bytes: Bytes) -> Answer {
    let request: Json = body(&bytes)?;
    ok(&core.put_config(None, &request).await?)
}

pub(crate) async fn delete_config(AxumState(core): Shared) -> Answer {
    ok(&core.delete_config(None).await?)
}

pub(crate) async fn mode(AxumState(core): Shared) -> Answer {
    ok(&core.mode(None, true)?)
}

pub(crate) async fn put_mode(AxumState(core): Shared, parameters: Parameters, bytes: Bytes) -> Answer {
    let request: Json = body(&bytes)?;
    ok(&core.put_mode(None, &request, parameters.flag("force")).await?)
}

pub(crate) async fn delete_mode(AxumState(core): Shared) -> Answer {
    ok(&core.delete_mode(None).await?)
}

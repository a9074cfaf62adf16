//! Paths → handlers.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{get, post};

use crate::content::negotiate;
use crate::error::ApiError;
use crate::registration::Core;
use crate::{schemas, subjects};

/// Larger requests are refused.
const REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;

pub(crate) fn router(core: Arc<Core>) -> Router {
    Router::new()
        .route("/", get(schemas::ping))
        .route("/subjects", get(subjects::list))
        .route("/subjects/{subject}", post(subjects::look_up).delete(subjects::delete))
        .route("/subjects/{subject}/metadata", get(subjects::with_metadata))
        .route("/subjects/{subject}/versions", get(subjects::versions).post(subjects::register))
        .route(
            "/subjects/{subject}/versions/{version}",
            get(subjects::version).delete(subjects::delete_version),
        )
        .route("/subjects/{subject}/versions/{version}/schema", get(subjects::version_text))
        .route("/subjects/{subject}/versions/{version}/referencedby", get(subjects::referenced_by))
        .route("/schemas", get(schemas::list))
        .route("/schemas/types", get(schemas::types))
        .route("/schemas/ids/{id}", get(schemas::by_id))
        .route("/schemas/ids/{id}/schema", get(schemas::text_by_id))
        .route("/schemas/ids/{id}/subjects", get(schemas::subjects_of_id))
        .route("/schemas/ids/{id}/versions", get(schemas::versions_of_id))
        .route("/schemas/guids/{guid}", get(schemas::by_guid))
        .route("/schemas/guids/{guid}/ids", get(schemas::ids_of_guid))
        .route("/compatibility/subjects/{subject}/versions", post(subjects::check_all))
        .route("/compatibility/subjects/{subject}/versions/{version}", post(subjects::check_version))
        .route("/config", get(schemas::config).put(schemas::put_config).delete(schemas::delete_config))
        .route(
            "/config/{subject}",
            get(subjects::config).put(subjects::put_config).delete(subjects::delete_config),
        )
        .route("/mode", get(schemas::mode).put(schemas::put_mode).delete(schemas::delete_mode))
        .route("/mode/{subject}", get(subjects::mode).put(subjects::put_mode).delete(subjects::delete_mode))
        .route("/contexts", get(schemas::contexts))
        .route("/v1/metadata/id", get(schemas::cluster_id))
        .route("/v1/metadata/version", get(schemas::server_version))
        // Associations answer 404 like every unknown path: clients then name subjects by topic.
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .layer(from_fn(negotiate))
        .with_state(core)
}

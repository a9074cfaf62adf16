//! The route table.

use axum::Router;
use axum::ServiceExt;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use metrics_exporter_prometheus::PrometheusHandle;
use runtime::Herder;
use tokio::net::TcpListener;
use tower::Layer as _;
use tower_http::normalize_path::NormalizePathLayer;

use crate::error::ApiError;
use crate::{connectors, dead_letters, offsets, plugins, root};

/// What handlers share.
#[derive(Clone)]
pub struct Server {
    pub herder: Herder,
    pub metrics: PrometheusHandle,
}

/// Serves until `stop` resolves. Requests under way are answered first.
///
/// # Errors
/// The listener failed.
pub async fn serve(
    server: Server,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    // `/connectors/` is `/connectors`: tools call it so.
    let router = NormalizePathLayer::trim_trailing_slash().layer(router(server));
    let service = ServiceExt::<Request>::into_make_service(router);
    axum::serve(listener, service).with_graceful_shutdown(stop).await
}

fn router(server: Server) -> Router {
    let origin = server.herder.settings().allow_origin.clone();
    Router::new()
        .route("/", get(root::info).fallback(not_allowed))
        .route("/health", get(root::health).fallback(not_allowed))
        .route("/metrics", get(root::metrics).fallback(not_allowed))
        .route("/connectors", get(connectors::list).post(connectors::create).fallback(not_allowed))
        .route("/connectors/{name}", get(connectors::get).delete(connectors::delete).fallback(not_allowed))
        .route(
            "/connectors/{name}/config",
            get(connectors::config)
                .put(connectors::put_config)
                .patch(connectors::patch_config)
                .fallback(not_allowed),
        )
        .route("/connectors/{name}/status", get(connectors::status).fallback(not_allowed))
        .route("/connectors/{name}/restart", post(connectors::restart).fallback(not_allowed))
        .route("/connectors/{name}/pause", put(connectors::pause).fallback(not_allowed))
        .route("/connectors/{name}/resume", put(connectors::resume).fallback(not_allowed))
        .route("/connectors/{name}/stop", put(connectors::stop).fallback(not_allowed))
        .route("/connectors/{name}/tasks", get(connectors::tasks).fallback(not_allowed))
        .route("/connectors/{name}/tasks/{task}/status", get(connectors::task_status).fallback(not_allowed))
        .route(
            "/connectors/{name}/tasks/{task}/restart",
            post(connectors::restart_task).fallback(not_allowed),
        )
        .route("/connectors/{name}/topics", get(connectors::topics).fallback(not_allowed))
        .route("/connectors/{name}/topics/reset", put(connectors::reset_topics).fallback(not_allowed))
        .route(
            "/connectors/{name}/offsets",
            get(offsets::get).patch(offsets::alter).delete(offsets::reset).fallback(not_allowed),
        )
        .route("/connector-plugins", get(plugins::list).fallback(not_allowed))
        .route("/connector-plugins/{class}/config", get(plugins::config).fallback(not_allowed))
        .route("/connector-plugins/{class}/config/validate", put(plugins::validate).fallback(not_allowed))
        .route("/tidegate/connectors/{name}/dead-letters", get(dead_letters::list).fallback(not_allowed))
        .route(
            "/tidegate/connectors/{name}/dead-letters/records",
            get(dead_letters::show).fallback(not_allowed),
        )
        .route(
            "/tidegate/connectors/{name}/dead-letters/replay",
            post(dead_letters::replay).fallback(not_allowed),
        )
        .fallback(not_found)
        .layer(middleware::from_fn(move |request, next| allow_origin(origin.clone(), request, next)))
        .with_state(server)
}

async fn allow_origin(origin: Option<String>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(value) = origin.and_then(|origin| HeaderValue::from_str(&origin).ok()) {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, value);
    }
    response
}

async fn not_found() -> ApiError {
    ApiError::bare(StatusCode::NOT_FOUND, "HTTP 404 Not Found")
}

async fn not_allowed(method: Method) -> Response {
    if method == Method::OPTIONS {
        let allow = [(header::ALLOW, "HEAD,POST,GET,OPTIONS"), (header::CONTENT_TYPE, "text/plain")];
        return (StatusCode::OK, allow, "HEAD, POST, GET, OPTIONS").into_response();
    }
    ApiError::bare(StatusCode::METHOD_NOT_ALLOWED, "HTTP 405 Method Not Allowed").into_response()
}

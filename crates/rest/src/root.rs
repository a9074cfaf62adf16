//! Who this is, whether it is well, and its numbers.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::router::Server;

pub async fn info(State(server): State<Server>) -> Json<Value> {
    let info = server.herder.info();
    Json(json!({ "version": info.version, "commit": info.commit, "kafka_cluster_id": info.kafka_cluster_id }))
}

pub async fn health() -> Json<Value> {
    // The API is opened after the start: who is answered is answered by a worker that is ready.
    Json(json!({
        "status": "healthy",
        "message": "Worker has completed startup and is ready to handle requests."
    }))
}

/// Prometheus' text form.
pub async fn metrics(State(server): State<Server>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], server.metrics.render())
}

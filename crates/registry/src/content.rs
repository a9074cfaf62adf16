//! Media types: JSON under three names; the client's `Accept` chooses.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::error::ApiError;

const V1: &str = registry_client::CONTENT_TYPE;
const UNVERSIONED: &str = "application/vnd.schemaregistry+json";
const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";

/// Checks what the client sends and accepts, and names the answer's type accordingly.
pub(crate) async fn negotiate(request: Request, next: Next) -> Response {
    let Some(answer_type) = accepted(request.headers()) else {
        return ApiError::NotAcceptable.into_response();
    };
    let has_body = request.method() == "POST" || request.method() == "PUT";
    if has_body && !is_json(request.headers()) {
        return ApiError::UnsupportedMediaType.into_response();
    }
    let mut response = next.run(request).await;
    // Raw schema texts are JSON too.
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(answer_type));
    response
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return true };
    let text = value.to_str().unwrap_or_default();
    let media_type = text.split(';').next().unwrap_or_default().trim();
    [V1, UNVERSIONED, JSON, BYTES].iter().any(|known| media_type.eq_ignore_ascii_case(known))
}

/// The best of ours that the client takes.
fn accepted(headers: &HeaderMap) -> Option<&'static str> {
    let values: Vec<_> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    if values.is_empty() {
        return Some(V1);
    }
    let mut best: Option<(f32, &'static str)> = None;
    for item in values.iter().flat_map(|value| value.split(',')) {
        let mut parts = item.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default();
        let quality =
            parts.find_map(|part| part.strip_prefix("q=")).and_then(|q| q.parse().ok()).unwrap_or(1.0);
        let ours = match media_type.to_ascii_lowercase().as_str() {
            V1 | "*/*" | "application/*" | "application/vnd.schemaregistry.*" => V1,
            UNVERSIONED => UNVERSIONED,
            JSON => JSON,
            _ => continue,
        };
        if best.is_none_or(|(known, _)| quality > known) {
            best = Some((quality, ours));
        }
    }
    best.map(|(_, ours)| ours)
}

pub(crate) fn json_response(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => (status, Body::from(bytes)).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

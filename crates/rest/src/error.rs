//! Connect's error body: `{"error_code":…,"message":…}`.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use runtime::HerderError;
use runtime::herder::ErrorKind;
use serde_json::json;

/// A failed request.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    message: String,
    /// Errors that JAX-RS makes by itself bear no content type.
    content_type: ContentType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ContentType {
    Json,
    None,
}

impl ApiError {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), content_type: ContentType::Json }
    }

    pub fn bare(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), content_type: ContentType::None }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// A body that is no JSON, or not of the expected shape: Connect answers 500 with its parser's text.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }
}

impl From<HerderError> for ApiError {
    fn from(error: HerderError) -> Self {
        let status = match error.kind {
            ErrorKind::BadRequest => StatusCode::BAD_REQUEST,
            ErrorKind::Forbidden => StatusCode::FORBIDDEN,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({ "error_code": self.status.as_u16(), "message": self.message });
        let mut response = (self.status, Json(body)).into_response();
        if self.content_type == ContentType::None {
            response.headers_mut().remove(header::CONTENT_TYPE);
        }
        response
    }
}

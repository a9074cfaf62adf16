//! What a request may carry, as Jackson reads it: scalars become text, unknown members are refused.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use connect::settings::Properties;
use serde_json::{Map, Value};

use crate::error::ApiError;

/// Largest request body, in bytes: a configuration is a few kilobytes.
const BODY_BYTES_MAX: usize = 10 * 1024 * 1024;

/// A body of JSON. Another content type is answered with 415.
pub struct JsonBody(pub Value);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if content_type
            .is_some_and(|text| text.split(';').next().unwrap_or_default().trim() != "application/json")
        {
            let text = "HTTP 415 Unsupported Media Type";
            return Err(ApiError::bare(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
        }
        let body: Bytes = axum::body::to_bytes(request.into_body(), BODY_BYTES_MAX)
            .await
            .map_err(|error| ApiError::malformed(error.to_string()))?;
        serde_json::from_slice(&body).map(Self).map_err(|error| ApiError::malformed(error.to_string()))
    }
}

/// The members of an object; `null` members are members. Unknown ones are an error.
pub fn members(value: Value, known: &[&str]) -> Result<Map<String, Value>, ApiError> {
    let Value::Object(map) = value else {
        return Err(ApiError::malformed(format!("expected a JSON object, got {value}")));
    };
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(map),
        Some(key) => {
            let known = known.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
            Err(ApiError::malformed(format!(
                "Unrecognized field \"{key}\", not marked as ignorable ({known} are known)"
            )))
        }
    }
}

/// A flat map of settings. A null value is `None`.
pub fn flat(value: Value) -> Result<Vec<(String, Option<String>)>, ApiError> {
    let Value::Object(map) = value else {
        return Err(ApiError::malformed(format!("expected a JSON object of settings, got {value}")));
    };
    map.into_iter()
        .map(|(key, value)| match value {
            Value::String(text) => Ok((key, Some(text))),
            Value::Null => Ok((key, None)),
            Value::Bool(_) | Value::Number(_) => Ok((key, Some(value.to_string()))),
            Value::Array(_) | Value::Object(_) => {
                Err(ApiError::malformed(format!("the value of \"{key}\" must be a text, not {value}")))
            }
        })
        .collect()
}

/// A configuration: as [`flat`], without nulls.
pub fn configuration(value: Value) -> Result<Properties, ApiError> {
    flat(value)?
        .into_iter()
        .map(|(key, value)| match value {
            Some(value) => Ok((key, value)),
            None => {
                let text = format!("the setting \"{key}\" is null: give it a value, or leave it out");
                Err(ApiError::bad_request(text))
            }
        })
        .collect()
}

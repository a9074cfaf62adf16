//! Parameters of a request: flags in any case, paging, versions.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Query as AxumQuery};
use axum::http::request::Parts;

use crate::error::ApiError;

/// Query parameters by name; the last of equal names counts.
pub(crate) struct Parameters(HashMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = AxumQuery::<HashMap<String, String>>::from_request_parts(parts, state).await;
        query.map(|query| Self(query.0)).map_err(|error| ApiError::BadRequest(error.to_string()))
    }
}

impl Parameters {
    pub(crate) fn flag(&self, name: &str) -> bool {
        // Python's clients send `True`.
        self.0.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.0.get(name)?.parse().ok()
    }

    /// The page that `offset` and `limit` ask for; a negative limit is none.
    pub(crate) fn page<T>(&self, items: Vec<T>) -> Vec<T> {
        let offset = self.number("offset").and_then(|it| usize::try_from(it).ok()).unwrap_or(0);
        let limit = self.number("limit").and_then(|it| usize::try_from(it).ok()).unwrap_or(usize::MAX);
        items.into_iter().skip(offset).take(limit).collect()
    }
}

/// A version in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VersionId {
    Latest,
    Number(i32),
}

impl VersionId {
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        if text.eq_ignore_ascii_case("latest") || text == "-1" {
            return Ok(Self::Latest);
        }
        match text.parse() {
            Ok(number) if number > 0 => Ok(Self::Number(number)),
            _ => Err(ApiError::InvalidVersion(text.to_owned())),
        }
    }
}

/// `:.:x` is `x`. Empty names, control characters and the reserved names are no subjects.
pub(crate) fn subject(text: &str) -> Result<String, ApiError> {
    let name = text.strip_prefix(":.:").unwrap_or(text);
    let reserved = name == "__GLOBAL" || name == "__EMPTY" || name.starts_with(":.__GLOBAL:");
    if name.is_empty() || reserved || name.chars().any(char::is_control) {
        return Err(ApiError::InvalidSubject(text.to_owned()));
    }
    Ok(name.to_owned())
}

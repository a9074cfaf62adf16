//! `/connectors/{name}/offsets` (spec: connect.md §1.4).

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

use crate::body::{JsonBody, members};
use crate::error::ApiError;
use crate::router::Server;

/// Neither connector confirms that it changed offsets of its own: Connect's longer message.
fn message(verb: &str) -> Json<Value> {
    Json(json!({
        "message": format!(
            "The Connect framework-managed offsets for this connector have been {verb} successfully. However, if this \
             connector manages offsets externally, they will need to be manually {verb} in the system that the \
             connector uses."
        )
    }))
}

pub async fn get(State(server): State<Server>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    let offsets = server.herder.offsets(&name).await?;
    let offsets: Vec<_> = offsets
        .into_iter()
        .map(|(partition, offset)| json!({"partition": partition, "offset": offset}))
        .collect();
    Ok(Json(json!({ "offsets": offsets })))
}

pub async fn alter(
    State(server): State<Server>,
    Path(name): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<Json<Value>, ApiError> {
    let entries = match members(body, &["offsets"])?.remove("offsets") {
        Some(Value::Array(entries)) => entries,
        None | Some(Value::Null) => vec![],
        Some(other) => return Err(ApiError::malformed(format!("\"offsets\" must be an array, not {other}"))),
    };
    if entries.is_empty() {
        let text = "Partitions / offsets need to be provided for an alter offsets request";
        return Err(ApiError::bad_request(text));
    }
    let mut parsed = vec![];
    for entry in entries {
        let mut entry = members(entry, &["partition", "offset"])?;
        parsed.push((map(entry.remove("partition"))?, map(entry.remove("offset"))?));
    }
    server.herder.alter_offsets(&name, parsed).await?;
    Ok(message("altered"))
}

pub async fn reset(State(server): State<Server>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    server.herder.reset_offsets(&name).await?;
    Ok(message("reset"))
}

fn map(value: Option<Value>) -> Result<Option<Map<String, Value>>, ApiError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(other) => Err(ApiError::malformed(format!("expected a JSON object, got {other}"))),
    }
}

//! `/connector-plugins` (spec: connect.md §1.2, §1.5).

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use connect::settings::{Properties, Row, Standing};
use runtime::herder::Answer;
use runtime::plugins::{self, PluginKind};
use serde_json::{Value, json};

use crate::body::{JsonBody, configuration};
use crate::connectors::values;
use crate::error::ApiError;
use crate::router::Server;

pub async fn list(RawQuery(query): RawQuery) -> Json<Value> {
    let only_connectors =
        values(query.as_deref(), "connectorsOnly").first().is_none_or(|value| value == "true");
    let shown = |kind: PluginKind| !only_connectors || matches!(kind, PluginKind::Sink | PluginKind::Source);
    let all: Vec<_> = plugins::all()
        .into_iter()
        .filter(|plugin| shown(plugin.kind))
        .map(|plugin| json!({"class": plugin.class, "type": plugin.kind.name(), "version": plugin.version}))
        .collect();
    Json(Value::Array(all))
}

pub async fn config(Path(class): Path<String>) -> Result<Json<Value>, ApiError> {
    let unknown = || ApiError::new(StatusCode::NOT_FOUND, format!("Unknown plugin {class}."));
    let definition = plugins::definition_of(&class).ok_or_else(unknown)?;
    let rows = definition.rows.iter().filter(|row| row.standing != Standing::Internal);
    Ok(Json(Value::Array(rows.map(row_json).collect())))
}

pub async fn validate(
    State(server): State<Server>,
    Path(class): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<Json<Value>, ApiError> {
    let mut config: Properties = configuration(body)?;
    match config.get("connector.class") {
        None => drop(config.insert("connector.class".to_owned(), class)),
        Some(given) if same_class(given, &class) => {}
        Some(given) => {
            let text = format!("Included connector type {given} does not match request type {class}");
            return Err(ApiError::bad_request(text));
        }
    }
    let validation = server.herder.validate(&config).await?;
    let configs: Vec<_> = validation
        .answers
        .iter()
        .map(|answer| {
            let value = answer.value();
            json!({
                "definition": definition_json(answer),
                "value": {
                    "name": value.name,
                    "value": value.value,
                    "recommended_values": value.recommended,
                    "errors": value.errors,
                    "visible": value.visible,
                },
            })
        })
        .collect();
    Ok(Json(json!({
        "name": validation.class,
        "error_count": validation.error_count(),
        "groups": validation.groups,
        "configs": configs,
    })))
}

/// The full name, its end, or either without `Connector`.
fn same_class(given: &str, path: &str) -> bool {
    let normalised = |class: &str| class.strip_suffix("Connector").unwrap_or(class).to_owned();
    normalised(given).ends_with(&normalised(path))
}

fn definition_json(answer: &Answer) -> Option<Value> {
    match answer {
        Answer::Option(row, _) => row.as_ref().map(row_json),
        Answer::Alias(option) => {
            let mut definition = row_json(&option.row);
            definition["name"] = json!(option.answer.name);
            definition["documentation"] = json!(option.doc);
            definition["group"] = json!(option.group);
            definition["order_in_group"] = json!(option.order_in_group);
            definition["display_name"] = json!(option.display_name);
            Some(definition)
        }
    }
}

fn row_json(row: &Row) -> Value {
    json!({
        "name": row.name,
        "type": row.kind.name(),
        "required": row.required,
        "default_value": row.default,
        "importance": row.importance.name(),
        "documentation": row.doc,
        "group": row.group.map(|group| group.name),
        "order_in_group": row.group.map_or(-1, |group| group.order),
        "width": row.width.name(),
        "display_name": row.display_name,
        "dependents": row.dependents,
    })
}

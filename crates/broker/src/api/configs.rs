//! DescribeConfigs and IncrementalAlterConfigs: a topic's settings are kept and shown.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{
    DescribeConfigsRequest, DescribeConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::topics::code_of;
use crate::broker::State;
use crate::settings::{BATCH_BYTES_MAX, SEGMENT_BYTES_MAX};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
/// Set on the topic, and the broker's default.
const SOURCE_TOPIC: i8 = 1;
const SOURCE_DEFAULT: i8 = 5;
const SET: i8 = 0;
const DELETE: i8 = 1;

pub fn describe(state: &State, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let results = request.resources.into_iter().map(|wanted| {
        let result = DescribeConfigsResult::default()
            .with_resource_type(wanted.resource_type)
            .with_resource_name(wanted.resource_name.clone());
        let mut entries: Vec<(String, String, i8)> =
            defaults().into_iter().map(|(name, value)| (name.to_owned(), value, SOURCE_DEFAULT)).collect();
        match wanted.resource_type {
            TOPIC => {
                let Some(topic) = state.topics.get(&wanted.resource_name) else {
                    return result
                        .with_error_code(ResponseError::UnknownTopicOrPartition.code())
                        .with_error_message(Some(StrBytes::from_static_str("the topic does not exist")));
                };
                for (name, value) in topic.config.read().iter() {
                    entries.retain(|(known, _, _)| known != name);
                    entries.push((name.clone(), value.clone(), SOURCE_TOPIC));
                }
            }
            BROKER => {}
            _ => {
                return result.with_error_code(ResponseError::InvalidRequest.code()).with_error_message(
                    Some(StrBytes::from_static_str("only topics and brokers have settings here")),
                );
            }
        }
        let wants = |name: &str| {
            wanted.configuration_keys.as_ref().is_none_or(|keys| keys.iter().any(|key| &**key == name))
        };
        let configs = entries.into_iter().filter(|(name, _, _)| wants(name)).map(|(name, value, source)| {
            DescribeConfigsResourceResult::default()
                .with_name(StrBytes::from_string(name))
                .with_value(Some(StrBytes::from_string(value)))
                .with_config_source(source)
        });
        result.with_configs(configs.collect())
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

/// What every topic does unless it says otherwise.
fn defaults() -> Vec<(&'static str, String)> {
    vec![
        ("cleanup.policy", "delete".to_owned()),
        ("compression.type", "producer".to_owned()),
        ("max.message.bytes", BATCH_BYTES_MAX.to_string()),
        ("message.timestamp.type", "CreateTime".to_owned()),
        ("min.insync.replicas", "1".to_owned()),
        ("retention.bytes", "-1".to_owned()),
        ("retention.ms", "-1".to_owned()),
        ("segment.bytes", SEGMENT_BYTES_MAX.to_string()),
    ]
}

pub fn alter(state: &State, request: IncrementalAlterConfigsRequest) -> IncrementalAlterConfigsResponse {
    let responses = request.resources.into_iter().map(|wanted| {
        let response = AlterConfigsResourceResponse::default()
            .with_resource_type(wanted.resource_type)
            .with_resource_name(wanted.resource_name.clone());
        let failed = |error: ResponseError, text: String| {
            response
                .clone()
                .with_error_code(error.code())
                .with_error_message(Some(StrBytes::from_string(text)))
        };
        if wanted.resource_type != TOPIC {
            return failed(
                ResponseError::InvalidRequest,
                "only settings of topics can be changed".to_owned(),
            );
        }
        let mut changes = vec![];
        for entry in wanted.configs {
            match entry.config_operation {
                SET => changes.push((entry.name.to_string(), entry.value.map(|value| value.to_string()))),
                DELETE => changes.push((entry.name.to_string(), None)),
                other => {
                    return failed(
                        ResponseError::InvalidRequest,
                        format!("operation {other} is not supported"),
                    );
                }
            }
        }
        if request.validate_only {
            return response;
        }
        match state.topics.configure(&wanted.resource_name, changes) {
            Ok(()) => response,
            Err(error) => failed(code_of(&error), error.to_string()),
        }
    });
    IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
}

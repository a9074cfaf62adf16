//! Confluent's own transforms, by their documentation (`io.confluent.connect.transforms.*`).

mod bytes; // BytesToString
mod drop; // Drop, TombstoneHandler
mod filter; // Filter
mod topic; // ExtractTopic, TopicRegexRouter, ChangeTopicCase
mod message_timestamp_router;

pub(crate) use bytes::{BytesToString, definition as bytes_definition};
pub(crate) use drop::{Drop, TombstoneHandler, definition as drop_definition, tombstone_definition};
pub(crate) use filter::{Filter, definition as filter_definition};
pub(crate) use message_timestamp_router::{MessageTimestampRouter, definition as timestamp_definition};
pub(crate) use topic::{
    ChangeTopicCase, ExtractTopic, TopicRegexRouter, TopicSource, case_definition, extract_definition,
    regex_definition,
};

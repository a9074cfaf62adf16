//! Under which subject a schema is registered.

use avro::Kind;
use connect::TaskError;

use crate::catalog::Role;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strategy {
    /// `<topic>-key`, `<topic>-value`.
    Topic,
    /// The record's full name.
    Record,
    /// `<topic>-<record's full name>`.
    TopicRecord,
}

impl Strategy {
    /// Full or simple class name. The strategy that asks for associations falls back to the topic's name, and we
    /// have no associations.
    pub(super) fn parse(class: &str) -> Option<Self> {
        Some(match class.rsplit('.').next().unwrap_or(class) {
            "TopicNameStrategy" | "DefaultSubjectNameStrategy" | "AssociatedNameStrategy" => Self::Topic,
            "RecordNameStrategy" => Self::Record,
            "TopicRecordNameStrategy" => Self::TopicRecord,
            _ => return None,
        })
    }

    pub(super) fn subject(self, role: Role, topic: &str, schema: &avro::Schema) -> Result<String, TaskError> {
        let by_topic = match role {
            Role::Key => format!("{topic}-key"),
            Role::Value => format!("{topic}-value"),
        };
        if self == Self::Topic {
            return Ok(by_topic);
        }
        let Kind::Record(record) = schema.kind(schema.root()) else {
            return Err(TaskError::reject(format!(
                "In configuration the subject name strategy needs a record, but topic {topic} has another type"
            )));
        };
        Ok(match self {
            Self::Record => record.name.full(),
            _ => format!("{topic}-{}", record.name.full()),
        })
    }

    /// The subject for reading, where the writer's schema is not known yet.
    pub(super) fn reading_subject(self, role: Role, topic: &str) -> Option<String> {
        match (self, role) {
            (Self::Topic, Role::Key) => Some(format!("{topic}-key")),
            (Self::Topic, Role::Value) => Some(format!("{topic}-value")),
            _ => None,
        }
    }
}

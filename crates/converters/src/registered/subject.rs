//! Under which subject a schema is registered.

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
    /// What the registry associates with the topic, or as [`Strategy::Topic`] where it associates nothing.
    Associated,
}

impl Strategy {
    /// Full or simple class name.
    pub(super) fn parse(class: &str) -> Option<Self> {
        Some(match class.rsplit('.').next().unwrap_or(class) {
            "TopicNameStrategy" | "DefaultSubjectNameStrategy" => Self::Topic,
            "RecordNameStrategy" => Self::Record,
            "TopicRecordNameStrategy" => Self::TopicRecord,
            "AssociatedNameStrategy" => Self::Associated,
            _ => return None,
        })
    }

    /// `record` is the full name of the schema, where it is one of a record.
    pub(super) fn subject(self, role: Role, topic: &str, record: Option<&str>) -> Result<String, TaskError> {
        let record = || {
            record.ok_or_else(|| {
                TaskError::reject(format!(
                    "the subject name strategy needs a named record, but topic {topic} has another type"
                ))
            })
        };
        Ok(match self {
            Self::Topic | Self::Associated => by_topic(role, topic),
            Self::Record => record()?.to_owned(),
            Self::TopicRecord => format!("{topic}-{}", record()?),
        })
    }

    /// The subject for reading, where the writer's schema is not known yet.
    pub(super) fn reading_subject(self, role: Role, topic: &str) -> Option<String> {
        matches!(self, Self::Topic | Self::Associated).then(|| by_topic(role, topic))
    }
}

fn by_topic(role: Role, topic: &str) -> String {
    match role {
        Role::Key => format!("{topic}-key"),
        Role::Value => format!("{topic}-value"),
    }
}

//! What went wrong with Kafka, and whether waiting helps.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// An error of a Kafka client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that librdkafka or we refuse.
    #[error("kafka client setting {key}: {reason}")]
    Setting { key: String, reason: String },
    /// librdkafka's or the broker's answer.
    #[error("{what}: {code}")]
    Kafka { what: String, code: RDKafkaErrorCode },
    /// Nothing answered within the time given.
    #[error("{what}: no answer within {millis} ms")]
    Timeout { what: String, millis: u128 },
    /// The client was closed while somebody waited for it.
    #[error("{what}: the client is closed")]
    Closed { what: String },
}

impl Error {
    pub(crate) fn new(what: impl Into<String>, error: &KafkaError) -> Self {
        let what = what.into();
        match error.rdkafka_error_code() {
            Some(code) => Self::Kafka { what, code },
            None => Self::Setting { key: what, reason: error.to_string() },
        }
    }

    pub fn code(&self) -> Option<RDKafkaErrorCode> {
        match self {
            Self::Kafka { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// The thing asked for does not exist (topic, partition, group).
    pub fn is_unknown(&self) -> bool {
        matches!(
            self.code(),
            Some(
                RDKafkaErrorCode::UnknownTopic
                    | RDKafkaErrorCode::UnknownTopicOrPartition
                    | RDKafkaErrorCode::UnknownPartition
                    | RDKafkaErrorCode::GroupIdNotFound
            )
        )
    }

    /// Waiting may help: the broker is away, an election is under way, a queue is full.
    pub fn is_transient(&self) -> bool {
        use RDKafkaErrorCode as Code;
        match self {
            Self::Timeout { .. } => true,
            Self::Kafka { code, .. } => matches!(
                code,
                Code::BrokerTransportFailure
                    | Code::AllBrokersDown
                    | Code::OperationTimedOut
                    | Code::MessageTimedOut
                    | Code::QueueFull
                    | Code::Resolve
                    | Code::LeaderNotAvailable
                    | Code::NotLeaderForPartition
                    | Code::RequestTimedOut
                    | Code::BrokerNotAvailable
                    | Code::NetworkException
                    | Code::CoordinatorLoadInProgress
                    | Code::CoordinatorNotAvailable
                    | Code::NotCoordinator
                    | Code::NotEnoughReplicas
                    | Code::NotEnoughReplicasAfterAppend
                    | Code::NotController
                    | Code::RebalanceInProgress
                    | Code::WaitingForCoordinator
                    | Code::UnknownTopicOrPartition
                    | Code::UnknownTopic
                    | Code::TimedOutQueue
                    | Code::Retry
            ),
            Self::Setting { .. } | Self::Closed { .. } => false,
        }
    }

    /// The message does not fit: it is this record's fault.
    pub fn is_too_large(&self) -> bool {
        matches!(
            self.code(),
            Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize)
        )
    }
}

//! The rig of the black-box tests and of the demo: real PostgreSQL clusters, the real worker, real brokers.

pub mod postgres; // clusters of our own
pub mod worker; // the binary under test
pub mod rest; // Connect's REST API as a client sees it
pub mod java_kafka; // Apache Kafka from Maven Central
pub mod java_connect; // Kafka Connect with Debezium, from Maven Central
pub mod topics; // what is in topics
pub mod proxy; // a network that can be cut
pub mod guard; // ends what a whole test binary shares
pub mod eventually; // waiting for events
pub mod ports; // free ports
pub mod golden; // what the runners of recordings share

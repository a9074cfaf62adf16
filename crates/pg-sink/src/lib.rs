//! Records to rows: the JDBC sinks' options on one engine that writes PostgreSQL in sets.
//!
//! The way of a record: `task` queues it, `prepare` finds its plan and folds it into a batch, `write` sends the
//! batch as one transaction of set-wise statements, and `hold` keeps what has to wait for another table's row.

pub mod settings; // options of the connectors
mod routing; // topic -> table
mod values; // a record's value as a column takes it
mod table_shape; // what the catalogue says about a table
mod columns; // fields -> columns: plans
mod registry; // the tables that a task knows
mod evolve; // CREATE TABLE, ADD COLUMN
mod resolve; // schemas -> plans
mod batch; // records -> changes, last one of each key
mod encode; // rows -> array parameters
mod prepare; // the above, while another batch is written
mod statement; // SQL for sets of rows
mod load; // rows into an empty table
mod target; // the session with the server
mod jobs; // a batch as statements
mod write; // one batch, one transaction
mod flight; // a batch behind another
mod verdict; // what a failure means
mod hold; // changes that wait
mod held_rows; // between batches and what waits
mod truncate; // truncate events
mod shared; // the queue, and how far the loop is
mod engine; // the writing loop
mod waiting; // its part for what waits
mod task; // the contract
mod metrics;
mod preflight; // what is missing at the target

use connect::contract::TaskId;
use connect::preflight::Finding;
use connect::settings::{Definition, Properties, Resolved};
use connect::{SinkTask, TaskError};
use futures::future::BoxFuture;

pub use settings::Flavour;
pub use task::JdbcSink;

/// `io.confluent.connect.jdbc.JdbcSinkConnector`.
pub mod confluent {
    use super::{BoxFuture, Definition, Finding, Flavour, Properties, Resolved, SinkTask, TaskError, TaskId};

    pub fn definition() -> Definition {
        Flavour::Confluent.definition()
    }

    pub fn validate(properties: &Properties) -> BoxFuture<'_, Resolved> {
        super::validate(Flavour::Confluent, properties)
    }

    /// # Errors
    /// The configuration's errors, all at once.
    pub fn task(properties: &Properties, id: &TaskId) -> Result<Box<dyn SinkTask>, TaskError> {
        super::task(Flavour::Confluent, properties, id)
    }

    /// Looks at the target without changing it.
    pub fn preflight(properties: &Properties) -> BoxFuture<'_, Vec<Finding>> {
        Box::pin(super::preflight::preflight(Flavour::Confluent, properties))
    }
}

/// `io.aiven.connect.jdbc.JdbcSinkConnector`.
pub mod aiven {
    use super::{BoxFuture, Definition, Finding, Flavour, Properties, Resolved, SinkTask, TaskError, TaskId};

    pub fn definition() -> Definition {
        Flavour::Aiven.definition()
    }

    pub fn validate(properties: &Properties) -> BoxFuture<'_, Resolved> {
        super::validate(Flavour::Aiven, properties)
    }

    /// # Errors
    /// The configuration's errors, all at once.
    pub fn task(properties: &Properties, id: &TaskId) -> Result<Box<dyn SinkTask>, TaskError> {
        super::task(Flavour::Aiven, properties, id)
    }

    /// Looks at the target without changing it.
    pub fn preflight(properties: &Properties) -> BoxFuture<'_, Vec<Finding>> {
        Box::pin(super::preflight::preflight(Flavour::Aiven, properties))
    }
}

/// `io.debezium.connector.jdbc.JdbcSinkConnector`.
pub mod debezium {
    use super::{BoxFuture, Definition, Finding, Flavour, Properties, Resolved, SinkTask, TaskError, TaskId};

    pub fn definition() -> Definition {
        Flavour::Debezium.definition()
    }

    pub fn validate(properties: &Properties) -> BoxFuture<'_, Resolved> {
        super::validate(Flavour::Debezium, properties)
    }

    /// # Errors
    /// The configuration's errors, all at once.
    pub fn task(properties: &Properties, id: &TaskId) -> Result<Box<dyn SinkTask>, TaskError> {
        super::task(Flavour::Debezium, properties, id)
    }

    /// Looks at the target without changing it.
    pub fn preflight(properties: &Properties) -> BoxFuture<'_, Vec<Finding>> {
        Box::pin(super::preflight::preflight(Flavour::Debezium, properties))
    }
}

fn validate(flavour: Flavour, properties: &Properties) -> BoxFuture<'_, Resolved> {
    Box::pin(std::future::ready(settings::resolve(flavour, properties)))
}

fn task(flavour: Flavour, properties: &Properties, id: &TaskId) -> Result<Box<dyn SinkTask>, TaskError> {
    let settings =
        settings::Settings::read(flavour, properties).map_err(|errors| TaskError::halt(errors.join("; ")))?;
    Ok(Box::new(JdbcSink::new(settings, id.clone())))
}

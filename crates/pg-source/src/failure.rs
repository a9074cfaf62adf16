//! Failures of PostgreSQL as the runtime understands them.

use connect::{Fate, TaskError};
use pg::ErrorClass;

/// Transient failures are tried again; what nobody repairs by waiting ends the task at once.
pub fn from_pg(error: pg::Error) -> TaskError {
    let fate = if error.class().is_transient() { Fate::Retry } else { Fate::Halt };
    let class = match error.class() {
        ErrorClass::Settings | ErrorClass::Protocol => connect::fate::CONNECT_EXCEPTION,
        _ if fate == Fate::Retry => connect::fate::RETRIABLE_EXCEPTION,
        _ => connect::fate::CONNECT_EXCEPTION,
    };
    let mut task_error = TaskError::new(fate, class, error.to_string());
    task_error.hint = error.hint().map(str::to_owned);
    task_error.with_source(error)
}

pub fn from_client(error: pg::tokio_postgres::Error) -> TaskError {
    from_pg(error.into())
}

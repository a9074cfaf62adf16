//! What a failure of the server means for a batch: the same again, a look at the catalogue, one bad row, or the end.

use connect::{Fate, TaskError};
use pg::{Error, ErrorClass, sqlstate};

use crate::batch::Refusal;

/// Why a batch was not committed.
#[derive(Debug)]
pub enum Failure {
    /// Transient: the same again, perhaps on another connection.
    Retry(Error),
    /// A table is not what it was when the plans were made.
    Replan(Error),
    /// Records were refused, and the task tolerates none.
    Rejected(Vec<Refusal>),
    Halt(TaskError),
}

/// Classes of SQLSTATE that a row's values cause: data, constraints, what triggers and functions raise, and two rows
/// of one statement with the same key.
pub fn is_about_rows(error: &Error) -> bool {
    let raised =
        |code: &str| ["21", "P0", "38", "39", "09", "27"].iter().any(|class| code.starts_with(class));
    matches!(error.class(), ErrorClass::Data | ErrorClass::Integrity) && error.code() != Some("42804")
        || error.code().is_some_and(raised)
        || is_about_hstore(error)
}

/// Before PostgreSQL 16, `hstore` raises an internal error for text that it cannot read.
fn is_about_hstore(error: &Error) -> bool {
    let starts = ["Syntax error near", "Unexpected end of string"];
    error.code() == Some("XX000") && starts.iter().any(|start| error.message().starts_with(start))
}

pub fn rejected(error: Error) -> TaskError {
    let message = error.to_string();
    let hint = error.hint().map(str::to_owned);
    let rejected = TaskError::new(Fate::Reject, SQL_EXCEPTION, message).with_source(error);
    match hint {
        Some(hint) => rejected.with_hint(hint),
        None => rejected,
    }
}

/// How the JDBC sinks' users know it.
pub const SQL_EXCEPTION: &str = "java.sql.SQLException";

/// What a failure that is not about a row means.
pub fn failure(error: Error) -> Failure {
    if error.class().is_transient() {
        return Failure::Retry(error);
    }
    match error.code() {
        Some(sqlstate::UNDEFINED_TABLE | sqlstate::UNDEFINED_COLUMN | "42804" | "26000") => {
            Failure::Replan(error)
        }
        Some("0A000") if error.message().contains("cached plan") => Failure::Replan(error),
        _ => Failure::Halt(halted(error)),
    }
}

/// An error that ends the task, with what can be done about it.
pub fn halted(error: Error) -> TaskError {
    let hint = match (error.class(), error.code()) {
        (_, Some("42P10")) => Some(
            "ON CONFLICT needs a primary key or unique constraint on exactly the key's columns: create it, or change \
             the fields of the primary key"
                .to_owned(),
        ),
        (ErrorClass::Privilege, _) => {
            Some("grant the role SELECT, INSERT, UPDATE and DELETE on the table, and USAGE on its schema".to_owned())
        }
        (ErrorClass::UndefinedObject, _) => Some("create what is missing, or correct its name".to_owned()),
        _ => error.hint().map(str::to_owned),
    };
    let message = error.to_string();
    let halted = TaskError::halt(message).with_source(error);
    match hint {
        Some(hint) => halted.with_hint(hint),
        None => halted,
    }
}

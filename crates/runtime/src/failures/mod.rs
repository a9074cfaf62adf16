//! What is done about errors: tolerance decides, the dead letter queue keeps, the log tells.

mod dead_letter;
mod report;
mod tolerance;

pub use dead_letter::{Coordinates, DeadLetters, trace};
pub use report::{Attempts, Failed, Failures};
pub use tolerance::Stage;

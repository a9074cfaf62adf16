//! What a look at the outside finds before a connector is made: nothing is changed by looking.

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Fine,
    /// The connector runs, but somebody should know.
    Doubtful,
    /// The connector will not run, or not do what it is asked to.
    Missing,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    pub text: String,
    /// The statement that repairs it, or what to do.
    pub remedy: Option<String>,
}

impl Finding {
    pub fn fine(text: impl Into<String>) -> Self {
        Self { severity: Severity::Fine, text: text.into(), remedy: None }
    }

    pub fn doubtful(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { severity: Severity::Doubtful, text: text.into(), remedy: Some(remedy.into()) }
    }

    pub fn missing(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { severity: Severity::Missing, text: text.into(), remedy: Some(remedy.into()) }
    }
}

impl From<crate::TaskError> for Finding {
    fn from(error: crate::TaskError) -> Self {
        Self { severity: Severity::Missing, remedy: error.hint, text: error.message }
    }
}

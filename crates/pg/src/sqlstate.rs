//! What kind of failure a SQLSTATE is.

/// What an error is about, so that its handler can decide what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The connection could not be made, or broke.
    Connection,
    /// The server goes down, comes up, or somebody ended this session.
    Shutdown,
    Serialization,
    Deadlock,
    /// A lock could not be had, or the object is in use by another session.
    Lock,
    /// A value does not fit its type.
    Data,
    /// A constraint says no.
    Integrity,
    /// Table, column, function, schema or database is not there.
    UndefinedObject,
    DuplicateObject,
    Privilege,
    Authentication,
    Syntax,
    /// Disk, memory, connections, or a configured limit is used up.
    Resource,
    /// The statement ran into a timeout or was cancelled by a user.
    Cancelled,
    /// The server does not accept writes (a standby, or `default_transaction_read_only`).
    ReadOnly,
    /// This version or build of the server cannot do it.
    NotSupported,
    /// The server or this program broke the protocol.
    Protocol,
    /// The settings of the connection cannot work (a certificate that cannot be read).
    Settings,
    Other,
}

impl ErrorClass {
    /// The class of a SQLSTATE.
    pub fn of(code: &str) -> Self {
        match code {
            "57P01" | "57P02" | "57P03" | "57P05" => Self::Shutdown,
            "57014" => Self::Cancelled,
            "40001" => Self::Serialization,
            "40P01" => Self::Deadlock,
            "40002" => Self::Integrity,
            "55P03" | "55006" => Self::Lock,
            "42501" => Self::Privilege,
            "42P01" | "42703" | "42883" | "42704" | "3F000" | "3D000" | "57P04" => Self::UndefinedObject,
            "42P04" | "42P06" | "42P07" | "42701" | "42710" | "42723" => Self::DuplicateObject,
            "42804" | "42846" | "42P18" | "54000" => Self::Data,
            "25006" => Self::ReadOnly,
            "0A000" => Self::NotSupported,
            _ => match code.get(..2).unwrap_or("") {
                "08" => Self::Connection,
                "22" => Self::Data,
                "23" | "44" => Self::Integrity,
                "28" => Self::Authentication,
                "40" => Self::Serialization,
                "42" => Self::Syntax,
                "53" | "54" | "58" => Self::Resource,
                _ => Self::Other,
            },
        }
    }

    /// The same call may succeed later without anybody's help.
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::Connection
                | Self::Shutdown
                | Self::Serialization
                | Self::Deadlock
                | Self::Lock
                | Self::Resource
                | Self::Cancelled
                | Self::ReadOnly
        )
    }
}

pub const FOREIGN_KEY_VIOLATION: &str = "23503";
pub const UNIQUE_VIOLATION: &str = "23505";
pub const NOT_NULL_VIOLATION: &str = "23502";
pub const CHECK_VIOLATION: &str = "23514";
pub const UNDEFINED_TABLE: &str = "42P01";
pub const UNDEFINED_COLUMN: &str = "42703";
pub const UNDEFINED_OBJECT: &str = "42704";
pub const DUPLICATE_OBJECT: &str = "42710";
pub const OBJECT_IN_USE: &str = "55006";
pub const CONFIGURATION_LIMIT_EXCEEDED: &str = "53400";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        for (code, class) in [
            ("57P01", ErrorClass::Shutdown),
            ("08006", ErrorClass::Connection),
            ("22P02", ErrorClass::Data),
            ("23503", ErrorClass::Integrity),
            ("28P01", ErrorClass::Authentication),
            ("3D000", ErrorClass::UndefinedObject),
            ("53300", ErrorClass::Resource),
            ("", ErrorClass::Other),
        ] {
            assert_eq!(ErrorClass::of(code), class, "{code}");
        }
    }
}

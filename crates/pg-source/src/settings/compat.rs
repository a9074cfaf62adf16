//! `compat.version`: the version of Debezium whose records are written.

/// Versions whose records differ. An upgrade of Tidegate changes nothing for consumers as long as this stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compat {
    V19,
    V25,
    V27,
    V30,
    V36,
}

impl Compat {
    /// `3.6`, or a full version of it such as `3.6.1` and `3.6.1.Final`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (major, minor) = (parts.next()?, parts.next()?);
        let patch = parts.next().is_none_or(|patch| patch.bytes().all(|byte| byte.is_ascii_digit()));
        let last = parts.next().is_none_or(|last| last.eq_ignore_ascii_case("final"));
        if !patch || !last || parts.next().is_some() {
            return None;
        }
        Some(match (major, minor) {
            ("1", "9") => Self::V19,
            ("2", "5") => Self::V25,
            ("2", "7") => Self::V27,
            ("3", "0") => Self::V30,
            ("3", "6") => Self::V36,
            _ => return None,
        })
    }

    /// What the source block says.
    pub fn version(self) -> &'static str {
        match self {
            Self::V19 => "1.9.7.Final",
            Self::V25 => "2.5.4.Final",
            Self::V27 => "2.7.4.Final",
            Self::V30 => "3.0.8.Final",
            Self::V36 => "3.6.1.Final",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(Compat::parse("3.6"), Some(Compat::V36));
        assert_eq!(Compat::parse("1.9.7.Final"), Some(Compat::V19));
        for wrong in ["3", "3.1", "2.5.x", "2.5.4.Beta", "2.5.4.Final.1", ""] {
            assert_eq!(Compat::parse(wrong), None, "{wrong}");
        }
    }
}

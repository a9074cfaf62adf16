//! `schema.name.adjustment.mode`: names of schemas as Avro allows them.

use connect::settings::{Importance, Resolved, Row, Validator, row};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Adjustment {
    None,
    /// What is not allowed becomes an underscore.
    Avro,
    /// What is not allowed, and the underscore itself, becomes `_u` and its code.
    AvroUnicode,
}

const OPTION: &str = "schema.name.adjustment.mode";

impl Adjustment {
    pub(crate) fn row() -> Row {
        row(OPTION)
            .default("none")
            .importance(Importance::Medium)
            .check(Validator::OneOfIgnoreCase(&["none", "avro", "avro_unicode"]))
            .doc(
                "What becomes of characters in schema names that Avro does not know: none leaves them, avro writes an underscore, avro_unicode writes the character's number as _uxxxx, and so for underscores.",
            )
    }

    pub(crate) fn of(resolved: &Resolved) -> Self {
        match resolved.text(OPTION).unwrap_or_default().to_ascii_lowercase().as_str() {
            "avro" => Self::Avro,
            "avro_unicode" => Self::AvroUnicode,
            _ => Self::None,
        }
    }

    pub(crate) fn apply(self, name: String) -> String {
        if self == Self::None {
            return name;
        }
        let mut adjusted = String::with_capacity(name.len());
        for (index, character) in name.chars().enumerate() {
            let inner = index > 0 && (character.is_ascii_digit() || character == '.');
            let underscore = character == '_' && self == Self::Avro;
            if character.is_ascii_alphabetic() || inner || underscore {
                adjusted.push(character);
            } else if self == Self::Avro {
                adjusted.push('_');
            } else {
                adjusted.push_str(&format!("_u{:04x}", u32::from(character)));
            }
        }
        adjusted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check = |mode: Adjustment, expected: &str| {
            assert_eq!(mode.apply("1bad-na_me.Key".to_owned()), expected);
        };
        check(Adjustment::None, "1bad-na_me.Key");
        check(Adjustment::Avro, "_bad_na_me.Key");
        check(Adjustment::AvroUnicode, "_u0031bad_u002dna_u005fme.Key");
    }
}

//! Names of topics, schemas and fields.

use std::fmt::Write;

use crate::settings::NameAdjustment;

/// Kafka's limit for the name of a topic.
const TOPIC_LENGTH_MAX: usize = 249;

/// `<prefix><delimiter><schema><delimiter><table>` with what Kafka does not allow replaced.
pub fn topic(prefix: &str, delimiter: &str, schema: &str, table: &str) -> String {
    let name = format!("{prefix}{delimiter}{schema}{delimiter}{table}");
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    // By UTF-16 units, as Java counts: a character beyond the basic plane becomes two.
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if valid(c) {
            out.push(c);
        } else {
            out.extend(std::iter::repeat_n('_', c.len_utf16()));
        }
    }
    out.truncate(TOPIC_LENGTH_MAX);
    out
}

/// A schema's full name.
pub fn schema_name(name: &str, mode: NameAdjustment) -> String {
    adjust(name, mode, |c| c == '.')
}

pub fn field_name(name: &str, mode: NameAdjustment) -> String {
    adjust(name, mode, |_| false)
}

fn adjust(name: &str, mode: NameAdjustment, also: impl Fn(char) -> bool) -> String {
    if mode == NameAdjustment::None {
        return name.to_owned();
    }
    let mut out = String::with_capacity(name.len());
    for (index, c) in name.chars().enumerate() {
        let digit_first = index == 0 && c.is_ascii_digit();
        let valid = c.is_ascii_alphanumeric() || c == '_' || also(c);
        match (valid, mode) {
            // A name must not start with a digit: the digit stays, behind an underscore.
            (true, NameAdjustment::Avro) if digit_first => {
                out.push('_');
                out.push(c);
            }
            (true, NameAdjustment::AvroUnicode) if digit_first || c == '_' => escape(&mut out, c),
            (true, _) => out.push(c),
            (false, NameAdjustment::AvroUnicode) => escape(&mut out, c),
            (false, _) => out.extend(std::iter::repeat_n('_', c.len_utf16())),
        }
    }
    out
}

fn escape(out: &mut String, c: char) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        // Writing to a string does not fail.
        let _ = write!(out, "_u{unit:04x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics() {
        assert_eq!(topic("p", ".", "My Schema", "Mixed-Case Table"), "p.My_Schema.Mixed-Case_Table");
        assert_eq!(topic("p", "_", "s", "таблица"), "p_s________");
        assert_eq!(topic("p", ".", "s", &"x".repeat(300)).len(), TOPIC_LENGTH_MAX);
    }

    #[test]
    fn avro_names() {
        let avro = |name: &str| field_name(name, NameAdjustment::Avro);
        assert_eq!(
            (avro("1st"), avro("dash-ed"), avro("dot.ted")),
            ("_1st".into(), "dash_ed".into(), "dot_ted".into())
        );
        assert_eq!(schema_name("p.My-S.1n.Key", NameAdjustment::Avro), "p.My_S.1n.Key");
        assert_eq!(schema_name("a-b", NameAdjustment::None), "a-b");
    }
}

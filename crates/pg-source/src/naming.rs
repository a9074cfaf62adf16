//! Names of topics, schemas and fields.

use std::fmt::Write;

use fancy_regex::Regex;

use crate::settings::NameAdjustment;

/// Kafka's limit for the name of a topic.
const TOPIC_LENGTH_MAX: usize = 249;

/// How the topics of tables are named.
#[derive(Debug)]
pub struct TopicNaming {
    pub prefix: String,
    pub delimiter: String,
    pub parts: Parts,
    pub characters: Characters,
    pub reroute: Option<Reroute>,
}

/// What a topic is named after, behind the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    SchemaAndTable,
    Table,
}

/// What becomes of characters that Kafka does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Characters {
    Underscore,
    /// `_u` and the number of the character; of the underscore too.
    Unicode,
}

/// The naming strategies by pattern: many tables on one topic.
#[derive(Debug)]
pub struct Reroute {
    pub pattern: Regex,
    pub replacement: String,
    /// Tells the tables of a topic apart.
    pub key_field: Option<KeyField>,
}

/// A field of the key that says which table it is.
#[derive(Debug)]
pub struct KeyField {
    pub name: String,
    pub rule: Option<(Regex, String)>,
}

impl TopicNaming {
    /// `<prefix><delimiter><schema><delimiter><table>` with what Kafka does not allow replaced.
    pub fn topic(&self, schema: &str, table: &str) -> String {
        let name = self.sanitized(&self.origin(schema, table));
        let rerouted = self
            .reroute
            .as_ref()
            .and_then(|reroute| replaced(&reroute.pattern, &reroute.replacement, &name))
            .filter(|rerouted| !rerouted.is_empty());
        rerouted.unwrap_or(name)
    }

    /// Name and value of the field that the key has more.
    pub fn key_field(&self, schema: &str, table: &str) -> Option<(&str, String)> {
        let field = self.reroute.as_ref()?.key_field.as_ref()?;
        let origin = self.origin(schema, table);
        let value =
            field.rule.as_ref().and_then(|(pattern, replacement)| replaced(pattern, replacement, &origin));
        Some((&field.name, value.unwrap_or(origin)))
    }

    fn origin(&self, schema: &str, table: &str) -> String {
        let (prefix, delimiter) = (&self.prefix, &self.delimiter);
        match self.parts {
            Parts::SchemaAndTable => format!("{prefix}{delimiter}{schema}{delimiter}{table}"),
            Parts::Table => format!("{prefix}{delimiter}{table}"),
        }
    }

    fn sanitized(&self, name: &str) -> String {
        // By UTF-16 units, as Java counts: a character beyond the basic plane becomes two.
        let mut out = String::with_capacity(name.len());
        for c in name.chars() {
            match self.characters {
                _ if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') => out.push(c),
                Characters::Underscore => out.extend(std::iter::repeat_n('_', c.len_utf16())),
                Characters::Unicode => escape(&mut out, c),
            }
        }
        out.truncate(TOPIC_LENGTH_MAX);
        out
    }
}

/// The text with the pattern replaced, where it matches as a whole; `$1` in the replacement is a group.
fn replaced(pattern: &Regex, replacement: &str, text: &str) -> Option<String> {
    // A pattern that gives up (back-tracking limit) does not match.
    let groups = pattern.captures(text).ok().flatten()?;
    let group = |number: usize| groups.get(number).map_or("", |group| group.as_str());
    let mut out = String::new();
    let mut chars = replacement.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            '$' => {
                let mut number = 0;
                // As many digits as still name a group.
                while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                    let longer = number * 10 + digit as usize;
                    if longer >= groups.len() && number > 0 {
                        break;
                    }
                    number = longer;
                    chars.next();
                }
                out.push_str(group(number));
            }
            c => out.push(c),
        }
    }
    Some(out)
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
        let zeros = if *unit < 0x100 { "00" } else { "" };
        // Writing to a string does not fail.
        let _ = write!(out, "_u{zeros}{unit:x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming(delimiter: &str) -> TopicNaming {
        TopicNaming {
            prefix: "p".to_owned(),
            delimiter: delimiter.to_owned(),
            parts: Parts::SchemaAndTable,
            characters: Characters::Underscore,
            reroute: None,
        }
    }

    #[test]
    fn topics() {
        assert_eq!(naming(".").topic("My Schema", "Mixed-Case Table"), "p.My_Schema.Mixed-Case_Table");
        assert_eq!(naming("_").topic("s", "таблица"), "p_s________");
        assert_eq!(naming(".").topic("s", &"x".repeat(300)).len(), TOPIC_LENGTH_MAX);
        let table = TopicNaming { parts: Parts::Table, characters: Characters::Unicode, ..naming(".") };
        assert_eq!(table.topic("s", "a_é"), "p.a_u005f_u00e9");
    }

    #[test]
    fn many_tables_on_one_topic() {
        let pattern = crate::filter::pattern(r"(.*)\.shard_\d+").unwrap();
        let rule = crate::filter::pattern(r".*\.shard_(\d+)").unwrap();
        let key_field = Some(KeyField { name: "shard".to_owned(), rule: Some((rule, "s$1".to_owned())) });
        let reroute = Some(Reroute { pattern, replacement: "$1.all".to_owned(), key_field });
        let naming = TopicNaming { reroute, ..naming(".") };
        assert_eq!(naming.topic("s", "shard_12"), "p.s.all");
        assert_eq!(naming.topic("s", "other"), "p.s.other");
        assert_eq!(naming.key_field("s", "shard_12"), Some(("shard", "s12".to_owned())));
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

//! From a record's topic to the name of its table, and how names are read.

use connect::{Record, Schema, Value};

use crate::columns::Body;
use crate::settings::{Flavour, Names, Quoting, Settings};

/// PostgreSQL cuts longer names off.
const NAME_BYTES_MAX: usize = 63;

/// A table's name as the catalogue has it; without a schema it is looked for in the search path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableName {
    pub schema: Option<String>,
    pub name: String,
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        f.write_str(&self.name)
    }
}

/// Whether the table's name depends on more than the topic.
pub fn is_dynamic(settings: &Settings) -> bool {
    settings.flavour == Flavour::Debezium && settings.name_format.contains(SOURCE)
}

const SOURCE: &str = "${source.";

/// The table of a topic, for formats that know no other placeholder.
pub fn table_of_topic(settings: &Settings, topic: &str) -> Result<TableName, String> {
    if let Some((_, table)) = settings.tables.iter().find(|(of, _)| of == topic) {
        return parse(settings, table);
    }
    let text = match settings.flavour {
        Flavour::Confluent | Flavour::Aiven => settings.name_format.replace("${topic}", topic),
        Flavour::Debezium => settings.name_format.replace("${topic}", &topic.replace('.', "_")),
    };
    if settings.names == Names::Normalized {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
        return parse(settings, &text.chars().map(plain).collect::<String>());
    }
    parse(settings, &text)
}

/// The text that a record's own source fields give for a dynamic format.
pub fn dynamic_name(settings: &Settings, record: &Record, body: &Body) -> Result<String, String> {
    let format = settings.name_format.replace("${topic}", &record.topic.replace('.', "_"));
    let mut out = String::new();
    let mut rest = &*format;
    while let Some((before, after)) = rest.split_once(SOURCE) {
        let (field, behind) =
            after.split_once('}').ok_or_else(|| format!("a placeholder of \"{format}\" is not closed"))?;
        out.push_str(before);
        out.push_str(&source_field(record, body, field)?);
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

fn source_field(record: &Record, body: &Body, field: &str) -> Result<String, String> {
    let missing = || format!("the record has no field \"source.{field}\", which the name of its table needs");
    let Body::Envelope { source: Some(source), .. } = body else { return Err(missing()) };
    let schema: &Schema = &record.value_schema.as_ref().ok_or_else(missing)?.fields()[*source].schema;
    let place = schema.field_index(field).ok_or_else(missing)?;
    let value = record.value.as_struct().and_then(|fields| fields.get(*source)?.as_struct()?.get(place));
    match value {
        Some(Value::String(text)) => Ok(text.to_string()),
        Some(other) => other.as_i64().map(|number| number.to_string()).ok_or_else(missing),
        None => Err(missing()),
    }
}

/// Reads `table`, `schema.table` or `catalog.schema.table`; parts may be quoted.
pub fn parse(settings: &Settings, text: &str) -> Result<TableName, String> {
    let mut parts = vec![];
    let mut chars = text.chars().peekable();
    loop {
        let mut part = String::new();
        if chars.next_if_eq(&'"').is_some() {
            while let Some(c) = chars.next() {
                if c == '"' && chars.next_if_eq(&'"').is_none() {
                    break;
                }
                part.push(c);
            }
            parts.push(part);
        } else {
            while let Some(c) = chars.next_if(|c| *c != '.') {
                part.push(c);
            }
            if settings.flavour == Flavour::Debezium && part.contains(char::is_whitespace) {
                return Err(format!("\"{text}\" is not a name: put double quotes around a part with blanks"));
            }
            parts.push(unquoted(settings.quoting, &part));
        }
        match chars.next() {
            None => break,
            Some('.') => {}
            Some(_) => return Err(format!("\"{text}\" is not the name of a table")),
        }
    }
    if parts.len() > 3 && settings.flavour == Flavour::Debezium || parts.iter().any(String::is_empty) {
        return Err(format!("\"{text}\" is not the name of a table"));
    }
    let name = fit(settings, parts.pop().unwrap_or_default())?;
    Ok(TableName { schema: parts.pop(), name })
}

/// Confluent's sink cuts long names, Debezium's creates a table that it cannot find again.
fn fit(settings: &Settings, mut name: String) -> Result<String, String> {
    if name.len() > NAME_BYTES_MAX {
        if settings.flavour == Flavour::Debezium {
            return Err(format!("the table name \"{name}\" is longer than {NAME_BYTES_MAX} bytes"));
        }
        name.truncate((0..=NAME_BYTES_MAX).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0));
    }
    Ok(name)
}

/// A name as the catalogue has it after it was written without quotes.
pub fn unquoted(quoting: Quoting, name: &str) -> String {
    match quoting {
        Quoting::Always => name.to_owned(),
        Quoting::Never => name.to_lowercase(),
        Quoting::WhereNeeded if needs_quotes(name) => name.to_owned(),
        Quoting::WhereNeeded => name.to_lowercase(),
    }
}

fn needs_quotes(name: &str) -> bool {
    let starts = |c: char| c.is_alphabetic() || c == '_';
    !name.starts_with(starts) || !name.chars().all(|c| starts(c) || c.is_numeric() || c == '$')
}

#[cfg(test)]
mod tests {
    use super::*;
    use connect::settings::Properties;

    fn settings(flavour: Flavour, options: &[(&str, &str)]) -> Settings {
        let mut properties: Properties =
            [("connection.url", "jdbc:postgresql://h/d"), ("connection.username", "u")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into_iter()
                .collect();
        properties.extend(options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Settings::read(flavour, &properties).unwrap()
    }

    fn check(flavour: Flavour, options: &[(&str, &str)], topic: &str, expected: &str) {
        let name = table_of_topic(&settings(flavour, options), topic);
        assert_eq!(name.map_or_else(|_| "error".to_owned(), |name| name.to_string()), expected);
    }

    #[test]
    fn confluent_names() {
        check(Flavour::Confluent, &[], "Users", "Users");
        check(Flavour::Confluent, &[], "c.s.t", "s.t");
        check(Flavour::Confluent, &[("table.name.format", "kafka_${topic}")], "t", "kafka_t");
        check(Flavour::Confluent, &[("quote.sql.identifiers", "never")], "S.T", "s.t");
    }

    #[test]
    fn debezium_names() {
        let format = |text| [("collection.name.format", text)];
        check(Flavour::Aiven, &[("table.name.normalize", "true")], "a.b-C", "a_b_C");
        let mapped = [("topics.to.tables.mapping", "t:s.other, u:v"), ("sql.quote.identifiers", "false")];
        check(Flavour::Aiven, &mapped, "t", "s.other");
        check(Flavour::Aiven, &mapped, "U", "u");
        check(Flavour::Debezium, &[], "a.b.C", "a_b_c");
        check(Flavour::Debezium, &[("quote.identifiers", "true")], "a.b.C", "a_b_C");
        check(Flavour::Debezium, &[], "With-Dash", "With-Dash");
        check(Flavour::Debezium, &format("other.tt"), "t", "other.tt");
        check(Flavour::Debezium, &format("a b"), "t", "error");
        check(Flavour::Debezium, &format("\"a b\""), "t", "a b");
        check(Flavour::Debezium, &[], &"x".repeat(70), "error");
    }
}

//! Which tables and columns are captured.

use connect::TaskError;
use connect::settings::{Properties, Resolved};
use fancy_regex::Regex;

/// Filters of schemas, tables and columns.
#[derive(Debug)]
pub struct Filters {
    schemas: Choice,
    tables: Choice,
    columns: Choice,
    snapshot: Option<Vec<Regex>>,
    /// Prefixes of messages in the WAL.
    messages: Choice,
    ignore_builtin: bool,
    /// Tables that are captured whatever the lists say.
    always: Vec<(String, String)>,
    /// The list as it was given: tables are read in its order.
    table_order: Vec<Regex>,
}

/// What a pair of include and exclude lists says.
#[derive(Debug)]
enum Choice {
    All,
    Include(Vec<Regex>),
    Exclude(Vec<Regex>),
}

impl Choice {
    fn takes(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Include(list) => matches_any(list, name),
            Self::Exclude(list) => !matches_any(list, name),
        }
    }
}

fn matches_any(list: &[Regex], name: &str) -> bool {
    // A pattern that gives up (back-tracking limit) does not match.
    list.iter().any(|regex| regex.is_match(name).unwrap_or(false))
}

impl Filters {
    pub fn new(properties: &Properties, resolved: &Resolved) -> Result<Self, TaskError> {
        let list = |name: &str| {
            // The list as it was written: Kafka's parser would cut patterns at escaped commas.
            properties.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
        };
        let choice = |family: &str| -> Result<Choice, TaskError> {
            if let Some(text) = list(&format!("{family}.include.list")) {
                return compile(text).map(Choice::Include);
            }
            if let Some(text) = list(&format!("{family}.exclude.list")) {
                return compile(text).map(Choice::Exclude);
            }
            Ok(older_names(properties, family))
        };
        let tables = choice("table")?;
        Ok(Self {
            table_order: match list("table.include.list") {
                Some(text) => compile(text)?,
                None => vec![],
            },
            schemas: choice("schema")?,
            columns: choice("column")?,
            snapshot: list("snapshot.include.collection.list").map(compile).transpose()?,
            messages: choice("message.prefix")?,
            always: vec![],
            ignore_builtin: resolved.boolean("table.ignore.builtin"),
            tables,
        })
    }

    /// Takes these tables too.
    pub fn with_always(mut self, tables: &[(String, String)]) -> Self {
        self.always = tables.to_vec();
        self
    }

    pub fn takes_table(&self, schema: &str, table: &str) -> bool {
        if self.always.iter().any(|(of, name)| of == schema && name == table) {
            return true;
        }
        if self.ignore_builtin && is_builtin(schema, table) {
            return false;
        }
        self.schemas.takes(schema) && self.tables.takes(&format!("{schema}.{table}"))
    }

    pub fn takes_column(&self, schema: &str, table: &str, column: &str) -> bool {
        matches!(self.columns, Choice::All) || self.columns.takes(&format!("{schema}.{table}.{column}"))
    }

    pub fn takes_message(&self, prefix: &str) -> bool {
        self.messages.takes(prefix)
    }

    /// Whether a captured table belongs to the initial snapshot too.
    pub fn in_snapshot(&self, schema: &str, table: &str) -> bool {
        self.snapshot.as_ref().is_none_or(|list| matches_any(list, &format!("{schema}.{table}")))
    }

    /// Place of a table in the snapshot: that of the first pattern of the include list that matches it.
    pub fn order(&self, schema: &str, table: &str) -> usize {
        let name = format!("{schema}.{table}");
        self.table_order
            .iter()
            .position(|regex| regex.is_match(&name).unwrap_or(false))
            .unwrap_or(self.table_order.len())
    }
}

/// `table.whitelist` and its like are of 1.x: they count where the rest is of 1.x too, and can be understood. Versions
/// that know `topic.prefix` do not read them.
fn older_names(properties: &Properties, family: &str) -> Choice {
    for (suffix, make) in
        [("whitelist", Choice::Include as fn(Vec<Regex>) -> Choice), ("blacklist", Choice::Exclude)]
    {
        let name = format!("{family}.{suffix}");
        let Some(text) = properties.get(&name).map(|text| text.trim()).filter(|text| !text.is_empty()) else {
            continue;
        };
        let is_older =
            properties.get("compat.version").is_some_and(|version| version.trim().starts_with("1."));
        if properties.contains_key("topic.prefix") && !is_older {
            continue;
        }
        if let Ok(list) = compile(text) {
            return make(list);
        }
    }
    Choice::All
}

fn is_builtin(schema: &str, table: &str) -> bool {
    matches!(schema, "pg_catalog" | "information_schema" | "pg_toast")
        || schema.starts_with("pg_temp")
        || table == "spatial_ref_sys"
}

/// Split at commas; `\,` is a comma.
pub fn split_list(text: &str) -> Vec<String> {
    let mut list = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let last = list.last_mut().expect("the list starts with one");
        match c {
            '\\' if chars.peek() == Some(&',') => {
                chars.next();
                last.push(',');
            }
            ',' => list.push(String::new()),
            c => last.push(c),
        }
    }
    list.iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
}

/// A list of patterns.
pub fn compile(text: &str) -> Result<Vec<Regex>, TaskError> {
    split_list(text).iter().map(|text| pattern(text)).collect()
}

/// A pattern of the whole text, in its own case.
pub fn whole(text: &str) -> Result<Regex, TaskError> {
    Regex::new(&format!("^(?:{text})$"))
        .map_err(|error| TaskError::halt(format!("\"{text}\" is not a regular expression: {error}")))
}

/// Patterns match in any case, and the whole name.
pub fn pattern(text: &str) -> Result<Regex, TaskError> {
    Regex::new(&format!("(?i)^(?:{text})$"))
        .map_err(|error| TaskError::halt(format!("\"{text}\" is not a regular expression: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(properties: &[(&str, &str)]) -> Filters {
        let properties =
            properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let resolved = crate::settings::definition().resolve(&properties);
        Filters::new(&properties, &resolved).unwrap()
    }

    #[test]
    fn whole_names_in_any_case() {
        let filters = filters(&[("table.include.list", "public.Us.*, s\\.(?!x)[a-z]{1\\,3}")]);
        assert!(filters.takes_table("public", "users"));
        assert!(!filters.takes_table("xpublic", "users"));
        assert!(filters.takes_table("s", "abc"));
        assert!(!filters.takes_table("s", "xbc"));
        assert!(!filters.takes_table("s", "abcd"));
    }

    #[test]
    fn old_names_count_only_beside_old_names() {
        assert!(!filters(&[("table.whitelist", "public.a")]).takes_table("public", "b"));
        assert!(
            filters(&[("table.whitelist", "public.a"), ("topic.prefix", "p")]).takes_table("public", "b")
        );
        assert!(filters(&[("table.whitelist", "*")]).takes_table("public", "b"));
    }

    #[test]
    fn builtin_schemas_and_columns() {
        let filters = filters(&[("column.exclude.list", ".*\\.secret")]);
        assert!(!filters.takes_table("pg_catalog", "pg_class"));
        assert!(!filters.takes_column("public", "t", "secret"));
        assert!(filters.takes_column("public", "t", "open"));
    }
}

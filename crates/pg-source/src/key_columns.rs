//! `message.key.columns`: keys that the user chose.

use connect::TaskError;
use fancy_regex::Regex;

use crate::filter;

/// Tables and the columns of their keys.
#[derive(Debug, Default)]
pub struct KeyColumns(Vec<(Regex, Vec<String>)>);

/// What `/validate` shows as the form of a part.
pub const FORM: &str = r"^\s*([^:]+):([^:,]+(,[^:,]+)*)\s*$";

/// The parts between `;`, each a pattern of tables and a list of columns. The error is the part that has another form.
pub fn split(text: &str) -> Result<Vec<(String, Vec<String>)>, String> {
    let parts = text.split(';').filter(|part| !part.trim().is_empty());
    parts
        .map(|part| {
            let (table, columns) = part.split_once(':').ok_or(part)?;
            let columns: Vec<String> = columns.split(',').map(|column| column.trim().to_owned()).collect();
            let is_wrong =
                table.trim().is_empty() || columns.iter().any(|name| name.is_empty() || name.contains(':'));
            if is_wrong { Err(part.to_owned()) } else { Ok((table.trim().to_owned(), columns)) }
        })
        .collect()
}

impl KeyColumns {
    pub fn new(text: &str) -> Result<Self, TaskError> {
        let wrong =
            |part: String| TaskError::halt(format!("message.key.columns: {part} has an invalid format"));
        let rules = split(text).map_err(wrong)?;
        let compiled = rules.into_iter().map(|(table, columns)| Ok((filter::pattern(&table)?, columns)));
        compiled.collect::<Result<_, TaskError>>().map(Self)
    }

    /// The columns of a table's key, of all rules that match it; none where the table's own key counts.
    pub fn of(&self, schema: &str, table: &str) -> Vec<&str> {
        if self.0.is_empty() {
            return vec![];
        }
        let name = format!("{schema}.{table}");
        let rules = self.0.iter().filter(|(pattern, _)| pattern.is_match(&name).unwrap_or(false));
        let mut columns: Vec<&str> = vec![];
        for column in rules.flat_map(|(_, columns)| columns) {
            if !columns.contains(&column.as_str()) {
                columns.push(column);
            }
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        let keys = KeyColumns::new("sales.orders:region,id; (.*).people:name").unwrap();
        assert_eq!(keys.of("sales", "orders"), ["region", "id"]);
        assert_eq!(keys.of("hr", "people"), ["name"]);
        assert!(keys.of("hr", "other").is_empty());
        assert_eq!(split("public.t"), Err("public.t".to_owned()));
        assert_eq!(split("a:b:c"), Err("a:b:c".to_owned()));
    }
}

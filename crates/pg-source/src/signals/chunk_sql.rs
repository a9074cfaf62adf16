//! The statements that read a chunk: rows between two keys, in the order of the key.
//!
//! Keys travel as text and are cast to their columns' types, so that the server compares them in its own order and
//! every type that can be a key works. Columns that may be null come last in that order, as in the server's indexes.

use pg::quote;

use super::java::Part;

/// A column by which a table is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyColumn {
    pub name: String,
    pub type_oid: u32,
    /// In SQL, with its modifiers.
    pub type_name: String,
    pub not_null: bool,
}

/// What a chunk is read of.
pub struct Source<'a> {
    /// `[ONLY] "schema"."table"`.
    pub from: &'a str,
    pub condition: Option<&'a str>,
    pub key: &'a [KeyColumn],
}

/// How many rows of one chunk, and what to do where the key is not unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    Rows(usize),
    /// And all that have the last row's key.
    WithTies(usize),
}

impl Source<'_> {
    /// The last key of the table.
    pub fn maximum(&self) -> String {
        let columns: Vec<_> = self.key.iter().map(|column| quote::identifier(&column.name)).collect();
        let order: Vec<_> = columns.iter().map(|name| format!("{name} DESC")).collect();
        let filter = self.condition.map_or_else(String::new, |condition| format!(" WHERE ({condition})"));
        format!(
            "SELECT {} FROM {}{filter} ORDER BY {} LIMIT 1",
            columns.join(", "),
            self.from,
            order.join(", ")
        )
    }

    /// The rows behind `after` and not behind `maximum`.
    pub fn chunk(&self, columns: &str, after: Option<&[Part]>, maximum: &[Part], limit: Limit) -> String {
        let mut filters = vec![];
        if let Some(after) = after {
            filters.push(self.behind(after));
        }
        filters.push(self.not_behind(maximum));
        filters.extend(self.condition.map(|condition| format!("({condition})")));
        let order: Vec<_> = self.key.iter().map(|column| quote::identifier(&column.name)).collect();
        let limit = match limit {
            Limit::Rows(rows) => format!("LIMIT {rows}"),
            Limit::WithTies(rows) => format!("FETCH FIRST {rows} ROWS WITH TIES"),
        };
        format!(
            "COPY (SELECT {columns} FROM {} WHERE {} ORDER BY {} {limit}) TO STDOUT",
            self.from,
            filters.join(" AND "),
            order.join(", ")
        )
    }

    fn not_behind(&self, key: &[Part]) -> String {
        let parts: Vec<_> = self.key.iter().zip(key).collect();
        match row(&parts) {
            Some((columns, values)) => format!("{columns} <= {values}"),
            None => format!("({}) IS NOT TRUE", self.behind(key)),
        }
    }

    fn behind(&self, key: &[Part]) -> String {
        let parts: Vec<_> = self.key.iter().zip(key).collect();
        if let Some((columns, values)) = row(&parts) {
            return format!("{columns} > {values}");
        }
        let ways = (0..parts.len()).filter_map(|at| {
            let equal = parts[..at].iter().map(|(column, part)| {
                format!("{} IS NOT DISTINCT FROM {}", quote::identifier(&column.name), literal(column, part))
            });
            let (column, part) = parts[at];
            // Nothing comes behind null.
            part.text.as_ref()?;
            let name = quote::identifier(&column.name);
            let null = if column.not_null { String::new() } else { format!(" OR {name} IS NULL") };
            let behind = format!("({name} > {}{null})", literal(column, part));
            Some(format!("({})", equal.chain([behind]).collect::<Vec<_>>().join(" AND ")))
        });
        let ways: Vec<_> = ways.collect();
        if ways.is_empty() { "false".to_owned() } else { format!("({})", ways.join(" OR ")) }
    }
}

/// Both sides of a comparison of rows, which an index serves; `None` where a null may be among them.
fn row(parts: &[(&KeyColumn, &Part)]) -> Option<(String, String)> {
    if parts.iter().any(|(column, part)| !column.not_null || part.text.is_none()) {
        return None;
    }
    let columns: Vec<_> = parts.iter().map(|(column, _)| quote::identifier(&column.name)).collect();
    let values: Vec<_> = parts.iter().map(|(column, part)| literal(column, part)).collect();
    match columns.len() {
        1 => Some((columns.concat(), values.concat())),
        _ => Some((format!("({})", columns.join(", ")), format!("({})", values.join(", ")))),
    }
}

fn literal(column: &KeyColumn, part: &Part) -> String {
    match &part.text {
        Some(text) => format!("{}::{}", quote::literal(text).trim_start(), column.type_name),
        None => format!("NULL::{}", column.type_name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, type_name: &str, not_null: bool) -> KeyColumn {
        KeyColumn { name: name.to_owned(), type_oid: 0, type_name: type_name.to_owned(), not_null }
    }

    fn part(text: Option<&str>) -> Part {
        Part { type_oid: 0, text: text.map(str::to_owned) }
    }

    #[test]
    fn one_column() {
        let key = [column("id", "integer", true)];
        let source = Source { from: "ONLY \"s\".\"t\"", condition: Some("a = 1"), key: &key };
        assert_eq!(
            source.maximum(),
            "SELECT \"id\" FROM ONLY \"s\".\"t\" WHERE (a = 1) ORDER BY \"id\" DESC LIMIT 1"
        );
        assert_eq!(
            source.chunk("\"id\"", Some(&[part(Some("5"))]), &[part(Some("9"))], Limit::Rows(2)),
            "COPY (SELECT \"id\" FROM ONLY \"s\".\"t\" WHERE \"id\" > '5'::integer AND \"id\" <= '9'::integer AND (a = 1) \
             ORDER BY \"id\" LIMIT 2) TO STDOUT"
        );
    }

    #[test]
    fn rows_are_compared_as_rows() {
        let key = [column("a", "integer", true), column("b", "text", true)];
        let source = Source { from: "t", condition: None, key: &key };
        let (after, maximum) = ([part(Some("1")), part(Some("x"))], [part(Some("2")), part(Some("y\\"))]);
        assert_eq!(
            source.chunk("*", Some(&after), &maximum, Limit::WithTies(3)),
            "COPY (SELECT * FROM t WHERE (\"a\", \"b\") > ('1'::integer, 'x'::text) AND \
             (\"a\", \"b\") <= ('2'::integer, E'y\\\\'::text) ORDER BY \"a\", \"b\" FETCH FIRST 3 ROWS WITH TIES) TO STDOUT"
        );
    }

    #[test]
    fn nulls_come_last() {
        let key = [column("a", "integer", true), column("b", "text", false)];
        let source = Source { from: "t", condition: None, key: &key };
        assert_eq!(
            source.behind(&[part(Some("1")), part(Some("x"))]),
            "(((\"a\" > '1'::integer)) OR (\"a\" IS NOT DISTINCT FROM '1'::integer AND \
             (\"b\" > 'x'::text OR \"b\" IS NULL)))"
        );
        assert_eq!(source.behind(&[part(Some("1")), part(None)]), "(((\"a\" > '1'::integer)))");
        assert_eq!(
            source.not_behind(&[part(Some("1")), part(None)]),
            "((((\"a\" > '1'::integer)))) IS NOT TRUE"
        );
    }
}

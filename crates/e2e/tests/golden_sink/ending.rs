//! What a case ended with: an error, if any, and the tables of the target, in the recordings' form.

use anyhow::Result;
use serde_json::{Value, json};
use tokio_postgres::Client;

/// The error is empty where the recording names no SQLSTATE; what was found carries its whole text.
#[derive(Clone, Debug)]
pub struct Ending {
    pub error: Option<String>,
    /// The tables that the connector found.
    pub before: Value,
    pub tables: Value,
}

impl Ending {
    /// The first difference of what was found, in words.
    pub fn difference(&self, found: &Self) -> Option<String> {
        match (&self.error, &found.error) {
            (None, Some(error)) => return Some(format!("no error expected, found: {error}")),
            (Some(state), None) => {
                return Some(format!("an error expected (SQLSTATE {state:?}), found none"));
            }
            (Some(state), Some(error)) if !error.contains(state.as_str()) => {
                return Some(format!("SQLSTATE {state} expected, found: {error}"));
            }
            _ => {}
        }
        let tables = |ending: &Self| ending.tables.as_array().cloned().unwrap_or_default();
        let (wanted, seen) = (tables(self), tables(found));
        let names = |tables: &[Value]| -> Vec<String> {
            tables.iter().map(|table| format!("{}.{}", table["schema"], table["name"])).collect()
        };
        if names(&wanted) != names(&seen) {
            return Some(format!("tables {:?} expected, found {:?}", names(&wanted), names(&seen)));
        }
        wanted.iter().zip(&seen).find_map(|(wanted, seen)| {
            ["columns", "constraints", "rows"].into_iter().find_map(|part| {
                first_of_list(&wanted[part], &seen[part])
                    .map(|text| format!("{part} of {}: {text}", wanted["name"]))
            })
        })
    }
}

fn first_of_list(wanted: &Value, seen: &Value) -> Option<String> {
    if wanted == seen {
        return None;
    }
    let lists = (wanted.as_array(), seen.as_array());
    let (Some(a), Some(b)) = lists else { return Some(format!("{wanted} expected, found {seen}")) };
    let at = (0..a.len().max(b.len())).find(|at| a.get(*at) != b.get(*at))?;
    let shown = |list: &[Value]| list.get(at).map_or_else(|| "nothing".to_owned(), Value::to_string);
    Some(format!("{} expected, found {}", shown(a), shown(b)))
}

const TABLES: &str = "SELECT c.oid, n.nspname::text, c.relname::text, c.oid::regclass::text \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r','p') AND n.nspname NOT IN ('pg_catalog','information_schema') ORDER BY 2, 3";
const COLUMNS: &str = "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, \
    pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a \
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
    WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
const CONSTRAINTS: &str =
    "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = $1 ORDER BY 1";

/// All tables of a database.
///
/// # Errors
/// The server refuses to say.
pub async fn tables(client: &Client) -> Result<Value> {
    let mut tables = vec![];
    for row in client.query(TABLES, &[]).await? {
        let (oid, schema, name, shown): (u32, String, String, String) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        let columns: Vec<Value> = client
            .query(COLUMNS, &[&oid])
            .await?
            .iter()
            .map(|row| {
                json!({
                    "name": row.get::<_, String>(0), "type": row.get::<_, String>(1),
                    "not_null": row.get::<_, bool>(2), "default": row.get::<_, Option<String>>(3),
                })
            })
            .collect();
        let constraints = client.query(CONSTRAINTS, &[&oid]).await?;
        let constraints: Vec<String> = constraints.iter().map(|row| row.get(0)).collect();
        let rows = rows(client, &shown, &columns).await?;
        tables.push(json!({
            "schema": schema, "name": name, "columns": columns, "constraints": constraints, "rows": rows,
        }));
    }
    Ok(Value::Array(tables))
}

/// Rows as text, sorted.
async fn rows(client: &Client, table: &str, columns: &[Value]) -> Result<Vec<Vec<Option<String>>>> {
    if columns.is_empty() {
        return Ok(vec![]);
    }
    let quoted = |column: &Value| {
        format!("t.\"{}\"::text", column["name"].as_str().unwrap_or_default().replace('"', "\"\""))
    };
    let list: Vec<String> = columns.iter().map(quoted).collect();
    let found = client.query(&format!("SELECT {} FROM {table} AS t", list.join(", ")), &[]).await?;
    let mut rows: Vec<Vec<Option<String>>> =
        found.iter().map(|row| (0..row.len()).map(|at| row.get(at)).collect()).collect();
    rows.sort();
    Ok(rows)
}

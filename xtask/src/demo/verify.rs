//! Compares every row and column of both sides.

use anyhow::Result;
use e2e::postgres::connect;

use super::{SINK_DB, SINK_PORT, SOURCE_DB, SOURCE_PORT, TABLES};

/// What differs first; `None` when nothing does.
pub async fn difference() -> Result<Option<String>> {
    for table in TABLES {
        let (source, sink) =
            (rows(SOURCE_PORT, SOURCE_DB, table).await?, rows(SINK_PORT, SINK_DB, table).await?);
        let first = (0..source.len().max(sink.len())).find(|at| source.get(*at) != sink.get(*at));
        if let Some(at) = first {
            let shown = |rows: &[String]| rows.get(at).cloned().unwrap_or_else(|| "no row".to_owned());
            return Ok(Some(format!(
                "{table} has {} rows in the source and {} in the sink; first difference: source {}, sink {}",
                source.len(),
                sink.len(),
                shown(&source),
                shown(&sink)
            )));
        }
    }
    Ok(None)
}

/// What was compared.
pub async fn summary() -> Result<String> {
    let mut parts = vec![];
    for table in TABLES {
        parts.push(format!("{table} {}", rows(SINK_PORT, SINK_DB, table).await?.len()));
    }
    Ok(format!(
        "All rows and columns are the same on both sides ({}), and nothing was dead-lettered.",
        parts.join(", ")
    ))
}

async fn rows(port: u16, database: &str, table: &str) -> Result<Vec<String>> {
    let client = connect(port, database).await?;
    let rows = client.query(&format!("SELECT t::text FROM {table} t ORDER BY id"), &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

//! Tables that were made while nobody captured them.
//!
//! A filtered publication gets a new table only when the connector starts, and pgoutput decodes what was written before
//! with the publication as it was then: those rows are in no stream. They are read by a snapshot of that table.

use pg::Session;

use crate::settings::Settings;
use crate::slot::Candidate;

/// Those of the tables that were made, and came into the publication (or did not yet), after everything that the slot
/// has behind it. A moment's doubt makes a table new: the slot's horizon moves less often than its position.
pub async fn created_since<'a>(
    session: &Session,
    settings: &Settings,
    tables: &[&'a Candidate],
) -> Result<Vec<&'a Candidate>, pg::Error> {
    let oids: Vec<u32> = tables.iter().map(|table| table.oid).collect();
    // A row of a system column is written when the table is made, and never again.
    let rows = session
        .query(
            "SELECT a.attrelid FROM pg_catalog.pg_attribute a \
             JOIN pg_catalog.pg_replication_slots s ON s.slot_name = $1 \
             LEFT JOIN pg_catalog.pg_publication p ON p.pubname = $2 \
             LEFT JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = a.attrelid \
             WHERE a.attrelid = ANY($3) AND a.attname = 'tableoid' AND age(a.xmin) <= age(s.catalog_xmin) \
             AND (r.prrelid IS NULL OR age(r.xmin) <= age(s.catalog_xmin))",
            &[&settings.slot_name, &settings.publication_name, &oids],
        )
        .await?;
    let found: Vec<u32> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    Ok(tables.iter().copied().filter(|table| found.contains(&table.oid)).collect())
}

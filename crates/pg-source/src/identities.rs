//! `replica.identity.autoset.values`: identities that tables are given at the start.

use connect::TaskError;
use fancy_regex::Regex;
use pg::{Session, quote};

use crate::filter;
use crate::slot::Candidate;

/// Tables, and the identity that they are to have.
#[derive(Debug)]
pub struct Identity {
    tables: Regex,
    wanted: Wanted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Default,
    Full,
    Nothing,
    Index(String),
}

/// What `/validate` shows as the form of a part.
pub const FORM: &str = r"(?i)^\s*(?<tablepredicate>[^\s:]+):(?<replicaidentity>DEFAULT|(INDEX) (?<indexname>.\w*)|FULL|NOTHING)\s*$";

/// The parts between commas; the error is the part that has another form.
fn split(text: &str) -> Result<Vec<(String, Wanted)>, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (tables, wanted) = part.rsplit_once(':').ok_or(part)?;
            let (word, rest) = wanted.trim().split_once(char::is_whitespace).unwrap_or((wanted.trim(), ""));
            let wanted = match (word.to_ascii_uppercase().as_str(), rest.trim()) {
                ("DEFAULT", "") => Wanted::Default,
                ("FULL", "") => Wanted::Full,
                ("NOTHING", "") => Wanted::Nothing,
                ("INDEX", index) if !index.is_empty() => Wanted::Index(index.to_owned()),
                _ => return Err(part.to_owned()),
            };
            Ok((tables.trim().to_owned(), wanted))
        })
        .collect()
}

/// The first part that has another form.
pub fn wrong_part(text: &str) -> Option<String> {
    split(text).err()
}

pub fn parse(text: &str) -> Result<Vec<Identity>, TaskError> {
    let wrong = |part: String| {
        TaskError::halt(format!("replica.identity.autoset.values: {part} has an invalid format"))
    };
    let parts = split(text).map_err(wrong)?;
    parts
        .into_iter()
        .map(|(tables, wanted)| Ok(Identity { tables: filter::pattern(&tables)?, wanted }))
        .collect()
}

/// Gives the tables their identities where they have others. A failure is said, and does not end the start.
pub async fn set(session: &Session, identities: &[Identity], tables: &[Candidate]) {
    for table in tables {
        let name = format!("{}.{}", table.schema, table.name);
        let found = identities.iter().find(|one| one.tables.is_match(&name).unwrap_or(false));
        let Some(identity) = found else { continue };
        if let Err(error) = set_one(session, table, &identity.wanted).await {
            tracing::error!(table = %table.quoted(), error = %error, "the replica identity could not be set");
        }
    }
}

async fn set_one(session: &Session, table: &Candidate, wanted: &Wanted) -> Result<(), pg::Error> {
    let query = "SELECT c.relreplident, coalesce((SELECT i.relname::text FROM pg_catalog.pg_index x \
                 JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = c.oid AND x.indisreplident), '') \
                 FROM pg_catalog.pg_class c WHERE c.oid = $1";
    let row = session.query_one(query, &[&table.oid]).await?;
    let (letter, index): (i8, String) = (row.try_get(0)?, row.try_get(1)?);
    let (is_set, clause) = match wanted {
        Wanted::Default => (letter.cast_unsigned() == b'd', "DEFAULT".to_owned()),
        Wanted::Full => (letter.cast_unsigned() == b'f', "FULL".to_owned()),
        Wanted::Nothing => (letter.cast_unsigned() == b'n', "NOTHING".to_owned()),
        Wanted::Index(name) => (
            letter.cast_unsigned() == b'i' && index == *name,
            format!("USING INDEX {}", quote::identifier(name)),
        ),
    };
    if is_set {
        return Ok(());
    }
    let statement = format!("ALTER TABLE {} REPLICA IDENTITY {clause}", table.quoted());
    tracing::info!(statement = %statement, "the replica identity is set");
    Ok(session.batch_execute(&statement).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let parsed = split("public.a:full, s\\..*:INDEX i_b ,x.y:DEFAULT").unwrap();
        let wanted: Vec<_> = parsed.into_iter().map(|(_, wanted)| wanted).collect();
        assert_eq!(wanted, [Wanted::Full, Wanted::Index("i_b".to_owned()), Wanted::Default]);
        assert_eq!(wrong_part("public.a:SOME"), Some("public.a:SOME".to_owned()));
        assert_eq!(wrong_part("public.a"), Some("public.a".to_owned()));
    }
}

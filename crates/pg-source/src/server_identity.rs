//! Whose positions are stored. Those of another server, or of a history that a promoted standby does not have, would
//! silently pass over what is written now, until the new WAL is as long as the old one was.

use std::sync::Arc;

use connect::TaskError;
use pg::Lsn;
use pg::replication::{ReplicationConnection, SystemIdentity};
use serde_json::{Map, Value as Json};

use crate::failure;
use crate::position::Resume;
use crate::settings::Settings;
use crate::slot::Server;

/// Our key in the offset, which Debezium passes over: `<system identifier>/<timeline>`.
const SERVER: &str = "tidegate_server";

/// System identifier and timeline of the server that positions are of. A standby may be promoted while it streams: the
/// timeline of its positions is not known, and 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerIdentity(Arc<str>);

impl ServerIdentity {
    pub fn load(offset: &Map<String, Json>) -> Option<Self> {
        Some(Self(offset.get(SERVER)?.as_str()?.into()))
    }

    pub fn store(&self, offset: &mut Map<String, Json>) {
        offset.insert(SERVER.to_owned(), (*self.0).into());
    }

    fn of(system: &SystemIdentity, server: &Server) -> Self {
        let timeline = if server.in_recovery { 0 } else { system.timeline };
        Self(format!("{}/{timeline}", system.system_id).into())
    }

    fn system(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    fn timeline(&self) -> u32 {
        self.0.split('/').nth(1).and_then(|digits| digits.parse().ok()).unwrap_or(0)
    }
}

/// Asks the server who it is, and refuses to go on from a position that cannot be one of its own.
pub async fn check(
    settings: &Settings,
    server: &Server,
    stored: Option<&ServerIdentity>,
    resume: Option<&Resume>,
) -> Result<ServerIdentity, TaskError> {
    let connect = settings.connect.named("Debezium Server Identity");
    let mut connection = ReplicationConnection::connect(&connect).await.map_err(failure::from_pg)?;
    let system = connection.identify_system().await.map_err(failure::from_pg)?;
    let own = ServerIdentity::of(&system, server);
    if let Some(resume) = resume.filter(|_| settings.mismatch.is_checked()) {
        if let Some(stored) = stored.filter(|stored| **stored != own) {
            let history = match own.timeline() {
                0 | 1 => String::new(),
                timeline => history(&mut connection, timeline).await?,
            };
            compare(stored, &own, &history, resume.done_before)?;
        }
        if resume.done_before > system.position.0 {
            return Err(refused(format!(
                "the stored offset {} lies behind the end of the server's WAL, {}: the server was restored to an earlier \
                 moment, or is another one",
                Lsn(resume.done_before),
                system.position
            )));
        }
    }
    connection.close().await;
    Ok(own)
}

/// The file of a timeline: a line for each one before it, and where it was left.
async fn history(connection: &mut ReplicationConnection, timeline: u32) -> Result<String, TaskError> {
    let rows = connection
        .simple_query(&format!("TIMELINE_HISTORY {timeline}"))
        .await
        .map_err(|error| failure::from_pg(error.context("could not read the history of the timeline")))?;
    Ok(rows.first().and_then(|row| row.get(1)?.clone()).unwrap_or_default())
}

/// Whether what was done at the stored server is part of this one's history.
fn compare(
    stored: &ServerIdentity,
    own: &ServerIdentity,
    history: &str,
    done_before: u64,
) -> Result<(), TaskError> {
    if stored.system() != own.system() {
        return Err(refused(format!(
            "the stored offset is of the server with the system identifier {}, and this one's is {}",
            stored.system(),
            own.system()
        )));
    }
    if stored.timeline() == 0 || own.timeline() == 0 {
        return Ok(());
    }
    let left = history.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let timeline: u32 = words.next()?.parse().ok()?;
        let lsn: Lsn = words.next()?.parse().ok()?;
        (timeline == stored.timeline()).then_some(lsn)
    });
    match left {
        Some(left) if done_before <= left.0 => {
            tracing::info!(from = stored.timeline(), to = own.timeline(), at = %left, "the server was promoted");
            Ok(())
        }
        Some(left) => Err(refused(format!(
            "the server was promoted at {left} and does not have the changes up to the stored offset {}, which were sent",
            Lsn(done_before)
        ))),
        None => Err(refused(format!(
            "the stored offset is of timeline {}, which is not in the history of the server's timeline {}",
            stored.timeline(),
            own.timeline()
        ))),
    }
}

fn refused(text: String) -> TaskError {
    TaskError::halt(text).with_hint(
        "reset the connector's offsets, so that it takes a new snapshot; or, where the slot is known to be right (as \
         after pg_upgrade), set offset.mismatch.strategy to trust_slot to go on at the slot's position",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stored: &str, own: &str, done_before: u64, expected: Option<&str>) {
        let identity = |text: &str| ServerIdentity(text.into());
        let history = "1\t0/3000148\tno recovery target specified\n\n2\t0/5000000\tbefore 2024-01-01\n";
        let found = compare(&identity(stored), &identity(own), history, done_before);
        match (found, expected) {
            (Ok(()), None) => {}
            (Err(error), Some(text)) => assert!(error.message.contains(text), "{error}"),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn histories() {
        check("7/1", "7/3", 0x300_0148, None);
        check("7/1", "7/3", 0x300_0149, Some("promoted at 0/3000148"));
        check("7/2", "7/3", 0x400_0000, None);
        check("7/4", "7/3", 0x400_0000, Some("timeline 4, which is not in the history"));
        check("7/0", "7/3", 0x400_0000, None);
        check("7/1", "8/1", 1, Some("system identifier 7"));
    }
}

//! Start and restart: checks everything, creates what is missing, and opens what the task reads from.

use std::time::Duration;

use connect::TaskError;
use pg::catalog::{Persistence, RelationKind};
use pg::replication::{ReplicationConnection, StartReplication};
use pg::{ErrorClass, Lsn, Session};

use crate::envelope::Envelopes;
use crate::position::{Resume, Stored};
use crate::server_identity::{self, ServerIdentity};
use crate::settings::{
    AfterSnapshot, AutocreateMode, Guardrail, LostPosition, Mismatch, Settings, SnapshotData,
};
use crate::signals::{self, Execute};
use crate::slot::{self, Candidate, Publication, Server, Slot};
use crate::snapshot::{Extent, Moment, Snapshot};
use crate::snapshot_readers::open_session;
use crate::stream::Stream;
use crate::transaction::Filter;
use crate::transaction_metadata::TransactionMetadata;
use crate::{failure, identities, new_tables};

/// What the task does next.
pub enum Opened {
    /// Read the snapshot, then stream from its point (or rest, where the mode says so).
    Snapshot(Box<Snapshot>),
    /// First send what happened up to the point of a new snapshot: an earlier one did not come to its end, and what
    /// it sent may have been deleted since.
    CatchUp(Box<CatchUp>),
    Stream(Box<Stream>),
    /// `initial_only`, and its snapshot is done.
    Rest,
}

pub struct CatchUp {
    pub stream: Stream,
    pub snapshot: Box<Snapshot>,
}

/// A started source: what it reads from, and a session for the catalogue.
pub struct Started {
    pub opened: Opened,
    pub session: Session,
    /// Whose positions come; `None` where none do.
    pub server: Option<ServerIdentity>,
    /// The blocking snapshot that was asked for cannot be taken, or has nothing to read.
    pub refused: bool,
}

/// Whether this task has streamed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    First,
    /// A slot that is still in use is in use by our own lost connection, and will be free.
    Again,
}

/// What this task did before it starts (again).
#[derive(Clone, Debug)]
pub struct Past {
    pub attempt: Attempt,
    /// Tables that it has read in a snapshot.
    pub read: Vec<u32>,
    /// It has completed a snapshot of all tables.
    pub snapshot_done: bool,
    /// Whose positions it has.
    pub server: Option<ServerIdentity>,
    /// A blocking snapshot was asked for.
    pub request: Option<Execute>,
}

/// Connects, checks, creates and opens.
pub async fn start(
    settings: &Settings,
    envelopes: &Envelopes,
    stored: Stored,
    past: &Past,
) -> Result<Started, TaskError> {
    let attempt = past.attempt;
    let session = open_session(settings).await?;
    let server = slot::server(&session).await.map_err(failure::from_pg)?;
    let candidates = slot::candidates(&session, settings).await.map_err(failure::from_pg)?;
    check_guardrail(settings, candidates.len())?;
    if !settings.identities.is_empty() && attempt == Attempt::First && !server.in_recovery {
        identities::set(&session, &settings.identities, &candidates).await;
    }
    let mode = settings.snapshot_mode;
    let at_every_start =
        mode.data == SnapshotData::EveryStart && attempt == Attempt::First && !past.snapshot_done;
    if mode.after == AfterSnapshot::Rest {
        let rests =
            mode.data == SnapshotData::Never || (matches!(stored, Stored::Resume(_)) && !at_every_start);
        if rests {
            return Ok(Started { opened: Opened::Rest, session, refused: false, server: None });
        }
        let opened = snapshot_only(settings, envelopes, &session, &candidates).await?;
        return Ok(Started { opened, session, refused: false, server: None });
    }
    slot::check_server(&server, settings)?;
    let existing = slot::slot(&session, &settings.slot_name).await.map_err(failure::from_pg)?;
    let (existing, stored) = if mode.lost == LostPosition::SnapshotAgain {
        without_lost(settings, existing, stored).await?
    } else {
        (existing, stored)
    };
    check_existing(&session, settings, existing.as_ref(), &stored).await?;
    let resume = if let Stored::Resume(resume) = &stored { Some(resume) } else { None };
    let identity = server_identity::check(settings, &server, past.server.as_ref(), resume).await?;
    let stored = trusted(settings, existing.as_ref(), stored);
    let publication = plan_publication(&session, &server, settings, &candidates).await?;
    let snapshot_wanted =
        at_every_start || (mode.data != SnapshotData::Never && !matches!(stored, Stored::Resume(_)));
    let via_root = publication.via_root;
    let tables = snapshot_tables(&candidates, via_root, settings);
    if snapshot_wanted {
        slot::check_select(&tables, settings)?;
    }
    // From here on something is created.
    if let Some(statement) = &publication.statement {
        tracing::info!(statement = %statement, "publication is made to fit");
        session.batch_execute(statement).await.map_err(failure::from_client)?;
    }
    if attempt == Attempt::First {
        warn_about_tables(&session, settings, &candidates).await?;
    }
    let resumes = matches!(stored, Stored::Resume(_)) && !at_every_start;
    let missed = if existing.is_some() && resumes && publication.is_ours {
        let mut missed =
            new_tables::created_since(&session, settings, &tables).await.map_err(failure::from_pg)?;
        missed.retain(|table| !past.read.contains(&table.oid));
        slot::check_select(&missed, settings)?;
        missed
    } else {
        vec![]
    };
    let opening = Opening {
        settings,
        envelopes,
        server: &server,
        tables: &tables,
        attempt,
        request: past.request.as_ref(),
    };
    if let (Some(slot), Some(request), false) = (&existing, &past.request, snapshot_wanted) {
        let resume = match &stored {
            Stored::Resume(resume) => resume.clone(),
            _ => Resume { done_before: slot.confirmed.0, ..Resume::default() },
        };
        let (opened, refused) = opening.requested(request, &resume).await?;
        return Ok(Started { opened, session, refused, server: Some(identity) });
    }
    let opened = match (existing, stored) {
        (None, Stored::Resume(_)) => unreachable!("check_existing refuses an offset without its slot"),
        (None, _) => opening.with_new_slot(snapshot_wanted).await?,
        (Some(_), Stored::Resume(resume)) if at_every_start => {
            opening.with_tables(&resume, Extent::AllTables).await?
        }
        (Some(_), Stored::Resume(resume)) if missed.is_empty() => {
            Opened::Stream(Box::new(opening.stream(&resume, None).await?))
        }
        (Some(_), Stored::Resume(resume)) => {
            Opening { tables: &missed, ..opening }.with_tables(&resume, Extent::SomeTables).await?
        }
        (Some(slot), _) if snapshot_wanted => opening.again(&slot).await?,
        (Some(slot), _) => {
            let resume = Resume { done_before: slot.confirmed.0, ..Resume::default() };
            Opened::Stream(Box::new(opening.stream(&resume, None).await?))
        }
    };
    Ok(Started { opened, session, refused: false, server: Some(identity) })
}

/// With `trust_slot` the slot says where to go on.
fn trusted(settings: &Settings, existing: Option<&Slot>, stored: Stored) -> Stored {
    match (existing, stored) {
        (Some(slot), Stored::Resume(_)) if settings.mismatch == Mismatch::TrustSlot => {
            let confirmed = slot.confirmed.0;
            Stored::Resume(Resume { done_before: confirmed, partial: None, commit: Some(confirmed) })
        }
        (_, stored) => stored,
    }
}

/// `guardrail.collections.max`.
fn check_guardrail(settings: &Settings, tables: usize) -> Result<(), TaskError> {
    let Some((max, action)) = settings.guardrail.filter(|(max, _)| tables > *max) else { return Ok(()) };
    if action == Guardrail::Fail {
        return Err(TaskError::halt(format!(
            "{tables} tables are captured, and guardrail.collections.max is {max}"
        ))
        .with_hint("limit table.include.list, or raise guardrail.collections.max"));
    }
    tracing::warn!(tables, max, "more tables are captured than guardrail.collections.max");
    Ok(())
}

/// Slot and position, without what cannot be used any more: a snapshot comes in its place.
async fn without_lost(
    settings: &Settings,
    existing: Option<Slot>,
    stored: Stored,
) -> Result<(Option<Slot>, Stored), TaskError> {
    let why = match (&existing, &stored) {
        (None, Stored::Resume(_)) => "the slot does not exist any more",
        (Some(slot), _) if slot.lost => "the server removed WAL that the slot needs",
        (Some(slot), Stored::Resume(resume)) if is_beyond(slot, resume, settings) => {
            "the slot is beyond the stored position"
        }
        _ => return Ok((existing, stored)),
    };
    tracing::warn!(slot = %settings.slot_name, why, "changes are lost: a new snapshot is taken");
    let existing = match existing {
        Some(slot) if slot.lost => {
            slot::check_owner(&slot, settings)?;
            slot::drop(settings).await?;
            None
        }
        other => other,
    };
    Ok((existing, Stored::Nothing))
}

/// Somebody else read from the slot, or made it anew.
fn is_beyond(slot: &Slot, resume: &Resume, settings: &Settings) -> bool {
    settings.mismatch.is_checked() && slot.confirmed.0 > resume.done_before && resume.commit.is_some()
}

async fn check_existing(
    session: &Session,
    settings: &Settings,
    existing: Option<&Slot>,
    stored: &Stored,
) -> Result<(), TaskError> {
    let Some(slot) = existing else {
        if let Stored::Resume(_) = stored {
            return Err(TaskError::halt(format!(
                "the stored offset cannot be used: replication slot \"{}\" does not exist any more, and the changes \
                 since then are lost",
                settings.slot_name
            ))
            .with_hint("reset the connector's offsets, so that it takes a new snapshot"));
        }
        return slot::check_room(session, settings).await;
    };
    slot::check_slot(slot, settings)?;
    let Stored::Resume(resume) = stored else { return Ok(()) };
    if is_beyond(slot, resume, settings) {
        return Err(TaskError::halt(format!(
            "replication slot \"{}\" is at {}, beyond the stored offset {}: it was dropped and made again, or somebody \
             else read from it, and the changes between are lost",
            settings.slot_name,
            slot.confirmed,
            Lsn(resume.done_before)
        ))
        .with_hint(
            "reset the connector's offsets, so that it takes a new snapshot; or set offset.mismatch.strategy to \
             trust_slot to go on without those changes",
        ));
    }
    Ok(())
}

/// The publication as it will be.
struct PublicationPlan {
    statement: Option<String>,
    via_root: bool,
    /// We choose its tables, and a snapshot is wanted of each.
    is_ours: bool,
}

async fn plan_publication(
    session: &Session,
    server: &Server,
    settings: &Settings,
    candidates: &[Candidate],
) -> Result<PublicationPlan, TaskError> {
    let name = &settings.publication_name;
    let existing: Option<Publication> = slot::publication(session, name).await.map_err(failure::from_pg)?;
    let published = match existing {
        Some(_) => slot::published(session, name).await.map_err(failure::from_pg)?,
        None => vec![],
    };
    let statement = slot::plan_publication(server, settings, existing, &published, candidates)?;
    let via_root = existing.map_or(settings.publish_via_root, |publication| publication.via_root);
    let is_ours = settings.autocreate_mode == AutocreateMode::Filtered
        && settings.snapshot_mode.data != SnapshotData::Never
        && !server.in_recovery;
    Ok(PublicationPlan { statement, via_root, is_ours })
}

/// Tables whose rows the snapshot reads: each row once, under the name under which the stream will send it.
fn snapshot_tables<'a>(
    candidates: &'a [Candidate],
    via_root: bool,
    settings: &Settings,
) -> Vec<&'a Candidate> {
    candidates
        .iter()
        .filter(|table| settings.filters.in_snapshot(&table.schema, &table.name))
        .filter(|table| {
            if table.persistence == Persistence::Unlogged {
                tracing::warn!(
                    table = %table.quoted(),
                    "unlogged table is left out: its changes are not in the WAL"
                );
                return false;
            }
            match table.kind {
                RelationKind::PartitionedTable => via_root && !table.is_partition,
                _ => !(via_root && table.is_partition),
            }
        })
        .collect()
}

/// A snapshot without a slot: nothing is streamed behind it.
async fn snapshot_only(
    settings: &Settings,
    envelopes: &Envelopes,
    session: &Session,
    candidates: &[Candidate],
) -> Result<Opened, TaskError> {
    let tables = snapshot_tables(candidates, settings.publish_via_root, settings);
    slot::check_select(&tables, settings)?;
    tokio::time::sleep(settings.snapshot_delay).await;
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    session.batch_execute(begin).await.map_err(failure::from_client)?;
    let row = session
        .query_one(
            "SELECT pg_export_snapshot(), (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() \
             ELSE pg_current_wal_lsn() END)::text",
            &[],
        )
        .await
        .map_err(failure::from_client)?;
    let lsn: Option<String> = row.get(1);
    let lsn = lsn.and_then(|text| text.parse::<Lsn>().ok()).unwrap_or_default();
    let moment = Moment { exported: row.get(0), lsn: lsn.0, request: None };
    let snapshot = Snapshot::open(settings, envelopes, &moment, &tables).await?;
    session.batch_execute("COMMIT").await.map_err(failure::from_client)?;
    Ok(Opened::Snapshot(Box::new(snapshot)))
}

/// What opening needs.
struct Opening<'a> {
    settings: &'a Settings,
    envelopes: &'a Envelopes,
    server: &'a Server,
    tables: &'a [&'a Candidate],
    attempt: Attempt,
    /// What a blocking snapshot was asked for.
    request: Option<&'a Execute>,
}

impl Opening<'_> {
    /// A blocking snapshot: the stream is sent up to its point, then its tables, then the stream goes on. What is wrong
    /// with a signal does not stop the stream.
    async fn requested(&self, request: &Execute, resume: &Resume) -> Result<(Opened, bool), TaskError> {
        let name = |table: &Candidate| format!("{}.{}", table.schema, table.name);
        let is_wanted =
            |table: &&Candidate| request.tables.iter().any(|one| signals::matches(one, &name(table)));
        let tables: Vec<&Candidate> = self.tables.iter().copied().filter(is_wanted).collect();
        let attempt = match tables.is_empty() {
            true => Err(TaskError::halt("no captured table matches")),
            false => match slot::check_select(&tables, self.settings) {
                Ok(()) => Opening { tables: &tables, ..*self }.with_tables(resume, Extent::Requested).await,
                Err(error) => Err(error),
            },
        };
        match attempt {
            Err(error) if error.fate == connect::Fate::Halt => {
                tracing::error!(id = %request.id, error = %error, "blocking snapshot cannot be taken");
                Ok((Opened::Stream(Box::new(self.stream(resume, None).await?)), true))
            }
            attempt => Ok((attempt?, false)),
        }
    }

    async fn connection(&self, name: &str) -> Result<ReplicationConnection, TaskError> {
        let connect = self.settings.connect.named(name);
        ReplicationConnection::connect(&connect).await.map_err(failure::from_pg)
    }

    /// A new slot: its snapshot and its stream fit together by themselves.
    async fn with_new_slot(&self, snapshot_wanted: bool) -> Result<Opened, TaskError> {
        let mut connection = self.connection("Debezium Streaming").await?;
        let created = slot::create(&mut connection, self.settings, self.server).await?;
        tracing::info!(slot = %self.settings.slot_name, lsn = %created.consistent_point, "slot created");
        let lsn = created.consistent_point.0;
        if snapshot_wanted {
            tokio::time::sleep(self.settings.snapshot_delay).await;
            let snapshot = self.snapshot(created.snapshot, lsn).await?;
            connection.close().await;
            return Ok(Opened::Snapshot(Box::new(snapshot)));
        }
        connection.close().await;
        let resume = Resume { done_before: lsn, ..Resume::default() };
        Ok(Opened::Stream(Box::new(self.stream(&resume, None).await?)))
    }

    /// A slot is there, but no complete snapshot: the slot keeps its first position. What it has is sent up to the
    /// point of a new snapshot, then the snapshot.
    async fn again(&self, slot: &Slot) -> Result<Opened, TaskError> {
        let mut connection = self.connection("Debezium Snapshot").await?;
        let created = slot::create_temporary(&mut connection, self.settings).await?;
        let lsn = created.consistent_point.0;
        let snapshot = Box::new(self.snapshot(created.snapshot, lsn).await?);
        // The readers have imported the snapshot: the temporary slot has done its work.
        connection.close().await;
        tracing::info!(
            from = %slot.confirmed,
            to = %Lsn(lsn),
            "an earlier snapshot did not come to its end: changes since then are sent before the new one"
        );
        let resume = Resume { done_before: slot.confirmed.0, ..Resume::default() };
        let stream = self.stream(&resume, Some(lsn)).await?;
        Ok(Opened::CatchUp(Box::new(CatchUp { stream, snapshot })))
    }

    /// Tables were made while nobody captured them: what was written to them before the publication held them is in
    /// no stream. A snapshot of these tables alone has it, in its place between what was before and what is after. So
    /// has a snapshot of all tables that is wanted at every start: what happened meanwhile is sent before it.
    async fn with_tables(&self, resume: &Resume, extent: Extent) -> Result<Opened, TaskError> {
        let mut connection = self.connection("Debezium Snapshot").await?;
        let created = slot::create_temporary(&mut connection, self.settings).await?;
        let lsn = created.consistent_point.0;
        let mut snapshot = Box::new(self.snapshot(created.snapshot, lsn).await?);
        snapshot.extent = extent;
        connection.close().await;
        let tables: Vec<_> = self.tables.iter().map(|table| table.quoted()).collect();
        tracing::info!(tables = %tables.join(", "), "tables are read by a snapshot while the stream goes on behind it");
        let stream = self.stream(resume, Some(lsn)).await?;
        Ok(Opened::CatchUp(Box::new(CatchUp { stream, snapshot })))
    }

    async fn snapshot(&self, exported: Option<String>, lsn: u64) -> Result<Snapshot, TaskError> {
        let exported =
            exported.ok_or_else(|| TaskError::halt("the server exported no snapshot with the slot"))?;
        let moment = Moment { exported, lsn, request: self.request.cloned() };
        Snapshot::open(self.settings, self.envelopes, &moment, self.tables).await
    }

    async fn stream(&self, resume: &Resume, until: Option<u64>) -> Result<Stream, TaskError> {
        open_stream(self.settings, self.server.version, resume, until, self.attempt).await
    }
}

/// Starts streaming; waits for a slot that is still in use, as often as the settings say.
pub async fn open_stream(
    settings: &Settings,
    server_version: i32,
    resume: &Resume,
    until: Option<u64>,
    attempt: Attempt,
) -> Result<Stream, TaskError> {
    let mut options = vec![
        ("proto_version".to_owned(), "1".to_owned()),
        ("publication_names".to_owned(), pg::quote::identifier(&settings.publication_name)),
    ];
    if server_version >= 140_000 {
        options.push(("messages".to_owned(), "true".to_owned()));
    }
    options.extend(settings.stream_params.iter().cloned());
    let start = StartReplication {
        slot: &settings.slot_name,
        from: Lsn(resume.done_before),
        options: &options,
        feedback_interval: settings.status_interval,
        queue_bytes: settings.queue_bytes_max,
    };
    let connect = settings.connect.named("Debezium Streaming");
    let mut tries = 0;
    loop {
        let connection = ReplicationConnection::connect(&connect).await.map_err(failure::from_pg)?;
        let error = match connection.start(&start).await {
            Ok(frames) => {
                tracing::info!(slot = %settings.slot_name, from = %start.from, "streaming");
                let stream = Stream::new(frames, Filter::new(resume), resume.commit, until);
                return Ok(stream.with_metadata(TransactionMetadata::new(settings)));
            }
            Err(error) => error,
        };
        if error.class() != ErrorClass::Lock {
            return Err(failure::from_pg(error.context("could not start streaming")));
        }
        let Some(delay) = slot_delay(settings, tries) else {
            let mut error = in_use(settings, &error);
            if attempt == Attempt::Again {
                error.fate = connect::Fate::Retry;
            }
            return Err(error);
        };
        tries += 1;
        tracing::warn!(error = %error, tries, "slot is in use: waiting for it");
        tokio::time::sleep(delay).await;
    }
}

/// Waits of a connection that was just lost: its walsender is usually gone in a moment.
const SHORT_DELAYS: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(750)];

/// How long to wait for the slot after so many tries; `None`: no longer.
fn slot_delay(settings: &Settings, tries: usize) -> Option<Duration> {
    match SHORT_DELAYS.get(tries) {
        Some(delay) => Some((*delay).min(settings.slot_retry_delay)),
        None => {
            let long = tries - SHORT_DELAYS.len();
            (long < settings.slot_retries_max as usize).then_some(settings.slot_retry_delay)
        }
    }
}

/// Says what about the captured tables will surprise somebody later.
async fn warn_about_tables(
    session: &Session,
    settings: &Settings,
    candidates: &[Candidate],
) -> Result<(), TaskError> {
    for table in slot::without_key_in_identity(session, candidates).await.map_err(failure::from_pg)? {
        tracing::warn!(
            table = %table.quoted(),
            repair = %format!("ALTER TABLE {} REPLICA IDENTITY DEFAULT", table.quoted()),
            "the replica identity does not hold the primary key: deletes of this table cannot be sent"
        );
    }
    let unpublished =
        slot::unpublished(session, &settings.publication_name, candidates).await.map_err(failure::from_pg)?;
    for table in unpublished {
        tracing::warn!(
            table = %table.quoted(),
            publication = %settings.publication_name,
            "the publication does not hold this captured table: its changes are not streamed"
        );
    }
    Ok(())
}

/// The server's message ends in the process that holds the slot.
fn in_use(settings: &Settings, error: &pg::Error) -> TaskError {
    let digits: String = error.message().chars().rev().take_while(char::is_ascii_digit).collect();
    let pid = digits.chars().rev().collect::<String>().parse().unwrap_or(0);
    slot::in_use(settings, pid)
}

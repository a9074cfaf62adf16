//! What the connector would find at its database, without changing anything there.

use connect::TaskError;
use connect::preflight::Finding;
use connect::settings::Properties;
use pg::catalog::{self, Persistence, RelationKind, ReplicaIdentity};
use pg::{Session, quote};

use crate::settings::{self, AutocreateMode, Settings};
use crate::slot::{self, Candidate, Server};
use crate::values::{Types, map_column};
use crate::{failure, snapshot_readers};

/// Names in a list before it is cut off.
const NAMES_MAX: usize = 10;

/// Looks at everything that the configuration needs.
pub async fn preflight(properties: &Properties) -> Vec<Finding> {
    let resolved = settings::validate(properties).await;
    let errors = resolved.errors();
    if !errors.is_empty() {
        let remedy = "correct the configuration, or what it points at";
        return errors.into_iter().map(|error| Finding::missing(error, remedy)).collect();
    }
    let settings = match settings::parse(properties) {
        Ok(settings) => settings,
        Err(error) => return vec![error.into()],
    };
    let mut findings = vec![];
    if let Err(error) = look(&settings, &mut findings).await {
        findings.push(error.into());
    }
    findings
}

async fn look(settings: &Settings, out: &mut Vec<Finding>) -> Result<(), TaskError> {
    let session = snapshot_readers::open_session(settings).await?;
    let server = slot::server(&session).await.map_err(failure::from_pg)?;
    out.push(Finding::fine(format!(
        "PostgreSQL {}.{} answers at {}",
        server.version / 10_000,
        server.version % 10_000,
        settings.connect.target()
    )));
    match slot::check_server(&server, settings) {
        Ok(()) => out.push(Finding::fine("wal_level is logical, and the role may replicate")),
        Err(error) => out.push(error.into()),
    }
    look_at_slot(&session, settings, out).await?;
    let candidates = slot::candidates(&session, settings).await.map_err(failure::from_pg)?;
    look_at_publication(&session, &server, settings, &candidates, out).await?;
    look_at_tables(&session, settings, &candidates, out).await?;
    look_at_limits(&session, out).await
}

async fn look_at_slot(
    session: &Session,
    settings: &Settings,
    out: &mut Vec<Finding>,
) -> Result<(), TaskError> {
    let name = &settings.slot_name;
    let Some(slot) = slot::slot(session, name).await.map_err(failure::from_pg)? else {
        match slot::check_room(session, settings).await {
            Ok(()) => out.push(Finding::fine(format!("slot \"{name}\" will be created"))),
            Err(error) => out.push(error.into()),
        }
        return look_at_senders(session, out).await;
    };
    if let Err(error) = slot::check_slot(&slot, settings) {
        out.push(error.into());
        return Ok(());
    }
    match slot.active_pid {
        Some(pid) => out.push(Finding::doubtful(
            format!("slot \"{name}\" is being read by PID {pid}: by this connector, or by another one"),
            format!(
                "if it is another one, choose another slot.name or run SELECT pg_terminate_backend({pid})"
            ),
        )),
        None => {
            out.push(Finding::fine(format!("slot \"{name}\" is there, confirmed up to {}", slot.confirmed)))
        }
    }
    Ok(())
}

async fn look_at_senders(session: &Session, out: &mut Vec<Finding>) -> Result<(), TaskError> {
    let row = session
        .query_one(
            "SELECT (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'walsender'), \
             current_setting('max_wal_senders')::bigint",
            &[],
        )
        .await
        .map_err(failure::from_client)?;
    let (used, max): (i64, i64) = (row.get(0), row.get(1));
    // The slot's own, and one for the snapshot's.
    if used + 2 > max {
        out.push(Finding::missing(
            format!("{used} of {max} WAL senders are in use, and the connector needs up to two"),
            format!("run ALTER SYSTEM SET max_wal_senders = {} and restart PostgreSQL", max + 2),
        ));
    }
    Ok(())
}

async fn look_at_publication(
    session: &Session,
    server: &Server,
    settings: &Settings,
    candidates: &[Candidate],
    out: &mut Vec<Finding>,
) -> Result<(), TaskError> {
    let name = &settings.publication_name;
    let existing = slot::publication(session, name).await.map_err(failure::from_pg)?;
    let published = match existing {
        Some(_) => slot::published(session, name).await.map_err(failure::from_pg)?,
        None => vec![],
    };
    match slot::plan_publication(server, settings, existing, &published, candidates) {
        Err(error) => out.push(error.into()),
        Ok(Some(statement)) => out.push(Finding::fine(format!("will run {statement}"))),
        Ok(None) => out.push(Finding::fine(format!("publication \"{name}\" is there"))),
    }
    if existing.is_some() && settings.autocreate_mode != AutocreateMode::Filtered {
        let missing = slot::unpublished(session, name, candidates).await.map_err(failure::from_pg)?;
        if !missing.is_empty() {
            out.push(Finding::missing(
                format!("publication \"{name}\" does not hold {}", names(&missing)),
                format!("run ALTER PUBLICATION {} ADD TABLE {}", quote::identifier(name), names(&missing)),
            ));
        }
    }
    Ok(())
}

async fn look_at_tables(
    session: &Session,
    settings: &Settings,
    candidates: &[Candidate],
    out: &mut Vec<Finding>,
) -> Result<(), TaskError> {
    if candidates.is_empty() {
        out.push(Finding::missing(
            "no table matches the include and exclude lists",
            "correct table.include.list and schema.include.list: they are regular expressions for schema.table and schema",
        ));
        return Ok(());
    }
    let all: Vec<&Candidate> = candidates.iter().collect();
    out.push(Finding::fine(format!("{} tables are captured: {}", all.len(), names(&all))));
    if let Err(error) = slot::check_select(&all, settings) {
        out.push(error.into());
    }
    let unlogged: Vec<_> =
        all.iter().copied().filter(|table| table.persistence == Persistence::Unlogged).collect();
    if !unlogged.is_empty() {
        out.push(Finding::doubtful(
            format!("changes of unlogged tables are not in the WAL: {}", names(&unlogged)),
            "run ALTER TABLE … SET LOGGED where they are wanted",
        ));
    }
    look_at_identities(session, candidates, out).await?;
    look_at_types(session, settings, candidates, out).await?;
    look_at_row_security(session, settings, candidates, out).await
}

async fn look_at_identities(
    session: &Session,
    candidates: &[Candidate],
    out: &mut Vec<Finding>,
) -> Result<(), TaskError> {
    let oids: Vec<u32> = candidates.iter().map(|table| table.oid).collect();
    let tables = catalog::tables(session, &oids).await.map_err(failure::from_pg)?;
    let identity = |candidate: &Candidate| {
        let table = tables.iter().find(|table| table.oid == candidate.oid)?;
        Some((table.identity, table.primary_key().is_some()))
    };
    for table in candidates.iter().filter(|table| table.kind == RelationKind::Table) {
        let why = match identity(table) {
            Some((ReplicaIdentity::Default, false)) => "has no primary key",
            Some((ReplicaIdentity::Nothing, _)) => "has the replica identity NOTHING",
            _ => continue,
        };
        let table = table.quoted();
        out.push(Finding::doubtful(
            format!("{table} {why}: once it is published, the server refuses its UPDATE and DELETE"),
            format!("run ALTER TABLE {table} REPLICA IDENTITY FULL, or give it a primary key"),
        ));
    }
    let keyless = slot::without_key_in_identity(session, candidates).await.map_err(failure::from_pg)?;
    for table in keyless {
        let table = table.quoted();
        out.push(Finding::doubtful(
            format!("the replica identity of {table} is an index without its primary key: deletes do not tell the key"),
            format!("run ALTER TABLE {table} REPLICA IDENTITY DEFAULT"),
        ));
    }
    Ok(())
}

/// Columns of types that have no form in records.
async fn look_at_types(
    session: &Session,
    settings: &Settings,
    candidates: &[Candidate],
    out: &mut Vec<Finding>,
) -> Result<(), TaskError> {
    let oids: Vec<u32> = candidates.iter().map(|table| table.oid).collect();
    let tables = catalog::tables(session, &oids).await.map_err(failure::from_pg)?;
    let columns = || tables.iter().flat_map(|table| &table.columns);
    let types: Vec<u32> = columns().map(|column| column.type_oid).collect();
    let types: Types = catalog::types(session, &types).await.map_err(failure::from_pg)?;
    let mut unknown = vec![];
    for table in &tables {
        for column in &table.columns {
            if settings.filters.takes_column(&table.schema, &table.name, &column.name)
                && map_column(column.type_oid, column.typmod, &types, &settings.values).is_none()
            {
                let type_name = types.get(&column.type_oid).map_or("unknown", |info| info.name.as_str());
                unknown.push(format!("{}.{} ({type_name})", table.quoted(), quote::identifier(&column.name)));
            }
        }
    }
    if !unknown.is_empty() {
        unknown.sort();
        out.push(Finding::doubtful(
            format!("columns of types without a form in records are left out: {}", cut(&unknown)),
            "set include.unknown.datatypes to true to have them as bytes, or cast them in a view or a trigger",
        ));
    }
    Ok(())
}

async fn look_at_row_security(
    session: &Session,
    settings: &Settings,
    candidates: &[Candidate],
    out: &mut Vec<Finding>,
) -> Result<(), TaskError> {
    let oids: Vec<u32> = candidates.iter().map(|table| table.oid).collect();
    let rows = session
        .query(
            "SELECT oid FROM pg_catalog.pg_class WHERE oid = ANY($1) AND row_security_active(oid)",
            &[&oids],
        )
        .await
        .map_err(failure::from_client)?;
    let secured: Vec<u32> = rows.iter().map(|row| row.get(0)).collect();
    let secured: Vec<_> = candidates.iter().filter(|table| secured.contains(&table.oid)).collect();
    if !secured.is_empty() {
        let user = quote::identifier(&settings.connect.user);
        out.push(Finding::doubtful(
            format!(
                "row security hides rows of {} from the snapshot, but not from the stream",
                names(&secured)
            ),
            format!("run ALTER ROLE {user} BYPASSRLS"),
        ));
    }
    Ok(())
}

/// What the slot may do to the server's disk.
async fn look_at_limits(session: &Session, out: &mut Vec<Finding>) -> Result<(), TaskError> {
    let row = session
        .query_one("SELECT current_setting('max_slot_wal_keep_size', true)", &[])
        .await
        .map_err(failure::from_client)?;
    match row.get::<_, Option<String>>(0).as_deref() {
        Some("-1") => out.push(Finding::doubtful(
            "max_slot_wal_keep_size is not limited: while the connector is away, its slot keeps WAL until the disk is full",
            "run ALTER SYSTEM SET max_slot_wal_keep_size = '50GB' (what the disk bears); SELECT pg_reload_conf()",
        )),
        Some(limit) => out.push(Finding::fine(format!("slots keep at most {limit} of WAL"))),
        // Before PostgreSQL 13 there is no limit to set.
        None => {}
    }
    Ok(())
}

fn names(tables: &[&Candidate]) -> String {
    cut(&tables.iter().map(|table| table.quoted()).collect::<Vec<_>>())
}

fn cut(names: &[String]) -> String {
    let shown = names[..names.len().min(NAMES_MAX)].join(", ");
    match names.len().checked_sub(NAMES_MAX) {
        Some(more @ 1..) => format!("{shown} and {more} more"),
        _ => shown,
    }
}

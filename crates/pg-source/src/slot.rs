//! Slot and publication: what must hold before anything is created, and then their creation.

use connect::TaskError;
use pg::catalog::{Persistence, RelationKind};
use pg::replication::{CreatedSlot, Lifetime, NewSlot, ReplicationConnection};
use pg::{ErrorClass, Lsn, Session, quote};

use crate::failure;
use crate::settings::{AutocreateMode, Settings};

pub const PLUGIN: &str = "pgoutput";

/// What the server says about itself and about us.
#[derive(Clone, Debug)]
pub struct Server {
    /// As `server_version_num`.
    pub version: i32,
    pub wal_level: String,
    pub in_recovery: bool,
    superuser: bool,
    may_replicate: bool,
    may_create: bool,
}

/// A table that the filters take.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    pub kind: RelationKind,
    pub persistence: Persistence,
    pub is_partition: bool,
    pub may_select: bool,
    owned: bool,
    pub rows_estimated: f32,
    pub bytes: i64,
}

impl Candidate {
    pub fn quoted(&self) -> String {
        quote::qualified(&self.schema, &self.name)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    pub confirmed: Lsn,
    pub active_pid: Option<i32>,
    plugin: String,
    database: String,
    /// The server removed WAL that it needs.
    pub lost: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publication {
    pub via_root: bool,
    all_tables: bool,
}

pub async fn server(session: &Session) -> Result<Server, pg::Error> {
    let row = session
        .query_one(
            "SELECT current_setting('server_version_num')::int, current_setting('wal_level'), pg_is_in_recovery(), \
             r.rolsuper, \
             r.rolreplication OR EXISTS (SELECT FROM pg_catalog.pg_roles m \
               WHERE m.rolname IN ('rds_replication','cloudsqlsuperuser','azure_pg_admin') \
                 AND pg_has_role(r.oid, m.oid, 'MEMBER')), \
             has_database_privilege(current_database(), 'CREATE') \
             FROM pg_catalog.pg_roles r WHERE r.rolname = current_user",
            &[],
        )
        .await?;
    Ok(Server {
        version: row.try_get(0)?,
        wal_level: row.try_get(1)?,
        in_recovery: row.try_get(2)?,
        superuser: row.try_get(3)?,
        may_replicate: row.try_get(4)?,
        may_create: row.try_get(5)?,
    })
}

/// Tables that the filters take, in the order in which the snapshot reads them.
pub async fn candidates(session: &Session, settings: &Settings) -> Result<Vec<Candidate>, pg::Error> {
    let rows = session
        .query(
            "SELECT c.oid, n.nspname::text, c.relname::text, c.relkind, c.relpersistence, \
             c.relispartition, has_schema_privilege(n.oid, 'USAGE') AND (has_table_privilege(c.oid, 'SELECT') \
               OR has_any_column_privilege(c.oid, 'SELECT')), \
             pg_has_role(c.relowner, 'USAGE'), c.reltuples, \
             CASE WHEN c.relkind = 'r' THEN pg_relation_size(c.oid) ELSE 0 END \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r','p') AND c.relpersistence <> 't'",
            &[],
        )
        .await?;
    let mut found = vec![];
    for row in rows {
        let (schema, name): (String, String) = (row.try_get(1)?, row.try_get(2)?);
        if !settings.filters.takes_table(&schema, &name) {
            continue;
        }
        found.push(Candidate {
            oid: row.try_get(0)?,
            kind: if row.try_get::<_, i8>(3)? == b'p'.cast_signed() {
                RelationKind::PartitionedTable
            } else {
                RelationKind::Table
            },
            persistence: if row.try_get::<_, i8>(4)? == b'u'.cast_signed() {
                Persistence::Unlogged
            } else {
                Persistence::Permanent
            },
            is_partition: row.try_get(5)?,
            may_select: row.try_get(6)?,
            owned: row.try_get(7)?,
            rows_estimated: row.try_get(8)?,
            // Dropped since the query began.
            bytes: row.try_get::<_, Option<i64>>(9)?.unwrap_or(0),
            schema,
            name,
        });
    }
    found.sort_by_cached_key(|table| {
        let order = settings.filters.order(&table.schema, &table.name);
        (order, format!("{}.{}", table.schema, table.name))
    });
    Ok(found)
}

pub async fn slot(session: &Session, name: &str) -> Result<Option<Slot>, pg::Error> {
    let row = session
        .query_opt(
            "SELECT plugin::text, database::text, active_pid, confirmed_flush_lsn::text, \
             to_jsonb(s) ->> 'wal_status' = 'lost' \
             FROM pg_catalog.pg_replication_slots s WHERE slot_name = $1",
            &[&name],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let confirmed: Option<String> = row.try_get(3)?;
    Ok(Some(Slot {
        plugin: row.try_get::<_, Option<String>>(0)?.unwrap_or_default(),
        database: row.try_get::<_, Option<String>>(1)?.unwrap_or_default(),
        active_pid: row.try_get(2)?,
        confirmed: confirmed.and_then(|text| text.parse().ok()).unwrap_or_default(),
        lost: row.try_get::<_, Option<bool>>(4)?.unwrap_or(false),
    }))
}

pub async fn publication(session: &Session, name: &str) -> Result<Option<Publication>, pg::Error> {
    let row = session
        .query_opt(
            "SELECT puballtables, coalesce((to_jsonb(p) ->> 'pubviaroot')::bool, false) \
             FROM pg_catalog.pg_publication p WHERE pubname = $1",
            &[&name],
        )
        .await?;
    row.map(|row| Ok(Publication { all_tables: row.try_get(0)?, via_root: row.try_get(1)? })).transpose()
}

/// Everything about the server that would make streaming fail. Creates nothing.
pub fn check_server(server: &Server, settings: &Settings) -> Result<(), TaskError> {
    let user = quote::identifier(&settings.connect.user);
    if server.wal_level != "logical" {
        return Err(TaskError::halt(format!(
            "Postgres server wal_level property must be 'logical' but is: '{}'",
            server.wal_level
        ))
        .with_hint("run ALTER SYSTEM SET wal_level = 'logical' and restart PostgreSQL"));
    }
    if !server.superuser && !server.may_replicate {
        return Err(TaskError::halt(format!("role {user} has not the attribute REPLICATION"))
            .with_hint(format!("run ALTER ROLE {user} REPLICATION as a superuser")));
    }
    Ok(())
}

/// Whether there is room for one more slot.
pub async fn check_room(session: &Session, settings: &Settings) -> Result<(), TaskError> {
    let row = session
        .query_one(
            "SELECT count(*), current_setting('max_replication_slots')::bigint FROM pg_catalog.pg_replication_slots",
            &[],
        )
        .await
        .map_err(failure::from_client)?;
    let (used, max): (i64, i64) = (row.get(0), row.get(1));
    if used < max {
        return Ok(());
    }
    Err(TaskError::halt(format!(
        "all replication slots are in use: there are {used} and max_replication_slots is {max}, so \"{}\" cannot be \
         created",
        settings.slot_name
    ))
    .with_hint(format!(
        "drop one that nobody needs (SELECT pg_drop_replication_slot(slot_name)), or run ALTER SYSTEM SET \
         max_replication_slots = {} and restart PostgreSQL",
        max + 1
    )))
}

/// Whether an existing slot is ours.
pub fn check_owner(slot: &Slot, settings: &Settings) -> Result<(), TaskError> {
    let name = &settings.slot_name;
    if slot.plugin != PLUGIN {
        return Err(TaskError::halt(format!(
            "replication slot \"{name}\" already exists and uses {} instead of {PLUGIN}",
            if slot.plugin.is_empty() { "no plugin" } else { &slot.plugin }
        ))
        .with_hint("choose another slot.name: every connector needs a slot of its own"));
    }
    if slot.database != settings.connect.dbname {
        return Err(TaskError::halt(format!(
            "replication slot \"{name}\" already exists and belongs to database \"{}\"",
            slot.database
        ))
        .with_hint("choose another slot.name: every connector needs a slot of its own"));
    }
    Ok(())
}

/// Whether an existing slot can be read from.
pub fn check_slot(slot: &Slot, settings: &Settings) -> Result<(), TaskError> {
    check_owner(slot, settings)?;
    let name = &settings.slot_name;
    if slot.lost {
        return Err(TaskError::halt(format!(
            "replication slot \"{name}\" was invalidated: the server removed WAL that it needs"
        ))
        .with_hint(format!(
            "changes are lost: run SELECT pg_drop_replication_slot({}), reset the connector's offsets, and let it take \
             a new snapshot; raise max_slot_wal_keep_size",
            quote::literal(name)
        )));
    }
    Ok(())
}

pub fn in_use(settings: &Settings, pid: i32) -> TaskError {
    TaskError::halt(format!(
        "replication slot \"{}\" is active for PID {pid}; when setting up multiple connectors for the same database \
         host, please make sure to use a distinct replication slot name for each",
        settings.slot_name
    ))
    .with_hint(format!("stop the other reader, or run SELECT pg_terminate_backend({pid})"))
}

/// Tables that the snapshot cannot read.
pub fn check_select(tables: &[&Candidate], settings: &Settings) -> Result<(), TaskError> {
    let unreadable: Vec<_> = tables.iter().filter(|table| !table.may_select).collect();
    if unreadable.is_empty() {
        return Ok(());
    }
    let user = quote::identifier(&settings.connect.user);
    let names: Vec<_> = unreadable.iter().map(|table| table.quoted()).collect();
    let mut schemas: Vec<_> = unreadable.iter().map(|table| quote::identifier(&table.schema)).collect();
    schemas.dedup();
    Err(TaskError::halt(format!("role {user} may not read {}", names.join(", "))).with_hint(format!(
        "run GRANT USAGE ON SCHEMA {} TO {user}; GRANT SELECT ON {} TO {user}",
        schemas.join(", "),
        names.join(", ")
    )))
}

/// The statement that makes or changes the publication, where one is needed; errors where it could not work.
pub fn plan_publication(
    server: &Server,
    settings: &Settings,
    existing: Option<Publication>,
    published: &[String],
    candidates: &[Candidate],
) -> Result<Option<String>, TaskError> {
    let name = quote::identifier(&settings.publication_name);
    let tables: Vec<_> = candidates
        .iter()
        .filter(|table| table.persistence == Persistence::Permanent)
        .filter(|table| !(settings.publish_via_root && table.is_partition))
        .collect();
    let list = || tables.iter().map(|table| table.quoted()).collect::<Vec<_>>().join(", ");
    let with = publication_options(settings);
    let statement = match (existing, settings.autocreate_mode) {
        _ if server.in_recovery => return Ok(None),
        (Some(publication), AutocreateMode::Filtered) if publication.all_tables => {
            return Err(TaskError::halt(format!(
                "publication {name} is FOR ALL TABLES and cannot be limited to the captured ones"
            ))
            .with_hint(format!(
                "run DROP PUBLICATION {name}, or set publication.autocreate.mode to all_tables"
            )));
        }
        (Some(_), AutocreateMode::Filtered) => {
            let mut wanted: Vec<_> = tables.iter().map(|table| table.quoted()).collect();
            wanted.sort();
            let mut have = published.to_vec();
            have.sort();
            if wanted == have {
                return Ok(None);
            }
            format!("ALTER PUBLICATION {name} SET TABLE {}", list())
        }
        (Some(_), _) => return Ok(None),
        (None, AutocreateMode::Disabled) => {
            let all = tables.is_empty();
            let tables = if all { "ALL TABLES".to_owned() } else { format!("TABLE {}", list()) };
            return Err(TaskError::halt(
                "Publication autocreation is disabled, please create one and restart the connector.",
            )
            .with_hint(format!("run CREATE PUBLICATION {name} FOR {tables}")));
        }
        (None, AutocreateMode::AllTables) => format!("CREATE PUBLICATION {name} FOR ALL TABLES{with}"),
        (None, AutocreateMode::NoTables) => format!("CREATE PUBLICATION {name}{with}"),
        (None, AutocreateMode::Filtered) => format!("CREATE PUBLICATION {name} FOR TABLE {}{with}", list()),
    };
    if settings.autocreate_mode == AutocreateMode::Filtered && tables.is_empty() {
        return Err(TaskError::halt(format!("No table filters found for filtered publication {name}"))
            .with_hint("no table matches table.include.list and schema.include.list"));
    }
    let foreign: Vec<_> = tables.iter().filter(|table| !table.owned).map(|table| table.quoted()).collect();
    check_rights(server, settings, existing, &statement, &foreign)?;
    Ok(Some(statement))
}

fn check_rights(
    server: &Server,
    settings: &Settings,
    existing: Option<Publication>,
    statement: &str,
    foreign: &[String],
) -> Result<(), TaskError> {
    if server.superuser {
        return Ok(());
    }
    let user = quote::identifier(&settings.connect.user);
    let hint = format!("run {statement} as a superuser, and set publication.autocreate.mode to disabled");
    if settings.autocreate_mode == AutocreateMode::AllTables {
        let text = format!("role {user} may not create a publication for all tables: only superusers may");
        return Err(TaskError::halt(text).with_hint(hint));
    }
    if existing.is_none() && !server.may_create {
        return Err(TaskError::halt(format!(
            "permission denied for database {}: role {user} may not create a publication",
            settings.connect.dbname
        ))
        .with_hint(format!(
            "run GRANT CREATE ON DATABASE {} TO {user}, or {hint}",
            quote::identifier(&settings.connect.dbname)
        )));
    }
    if settings.autocreate_mode == AutocreateMode::Filtered && !foreign.is_empty() {
        let text = format!(
            "Unable to create filtered publication {} for {}: role {user} does not own the tables",
            settings.publication_name,
            foreign.join(", ")
        );
        return Err(TaskError::halt(text).with_hint(hint));
    }
    Ok(())
}

fn publication_options(settings: &Settings) -> String {
    let mut options = vec![];
    if settings.publish_via_root {
        options.push("publish_via_partition_root = true".to_owned());
    }
    if settings.skipped_given {
        let skipped = settings.skipped;
        let kept = [
            ("insert", skipped.create),
            ("update", skipped.update),
            ("delete", skipped.delete),
            ("truncate", skipped.truncate),
        ];
        let kept: Vec<_> = kept.iter().filter(|(_, skipped)| !skipped).map(|(name, _)| *name).collect();
        options.push(format!("publish = '{}'", kept.join(", ")));
    }
    if options.is_empty() { String::new() } else { format!(" WITH ({})", options.join(", ")) }
}

/// Captured tables with a primary key whose replica identity is another index without it.
pub async fn without_key_in_identity<'a>(
    session: &Session,
    candidates: &'a [Candidate],
) -> Result<Vec<&'a Candidate>, pg::Error> {
    let oids: Vec<u32> = candidates.iter().map(|table| table.oid).collect();
    let rows = session
        .query(
            "SELECT p.indrelid FROM pg_catalog.pg_index p \
             JOIN pg_catalog.pg_index i ON i.indrelid = p.indrelid AND i.indisreplident \
             JOIN pg_catalog.pg_class c ON c.oid = p.indrelid AND c.relreplident = 'i' \
             WHERE p.indisprimary AND p.indrelid = ANY($1) AND NOT p.indkey::int2[] <@ i.indkey::int2[]",
            &[&oids],
        )
        .await?;
    let found: Vec<u32> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    Ok(candidates.iter().filter(|table| found.contains(&table.oid)).collect())
}

/// Captured tables that the publication does not hold.
pub async fn unpublished<'a>(
    session: &Session,
    publication: &str,
    candidates: &'a [Candidate],
) -> Result<Vec<&'a Candidate>, pg::Error> {
    let rows = session
        .query(
            "SELECT schemaname::text, tablename::text FROM pg_catalog.pg_publication_tables WHERE pubname = $1",
            &[&publication],
        )
        .await?;
    let mut held = vec![];
    for row in &rows {
        held.push(quote::qualified(&row.try_get::<_, String>(0)?, &row.try_get::<_, String>(1)?));
    }
    // Partitioned tables are published as their partitions, or these as their root.
    let plain = |table: &&Candidate| {
        table.kind == RelationKind::Table
            && !table.is_partition
            && table.persistence == Persistence::Permanent
    };
    Ok(candidates.iter().filter(plain).filter(|table| !held.contains(&table.quoted())).collect())
}

/// Tables that the publication names, quoted.
pub async fn published(session: &Session, name: &str) -> Result<Vec<String>, pg::Error> {
    let rows = session
        .query(
            "SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_publication_rel r \
             JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid \
             JOIN pg_catalog.pg_class c ON c.oid = r.prrelid \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE p.pubname = $1",
            &[&name],
        )
        .await?;
    rows.iter()
        .map(|row| Ok(quote::qualified(&row.try_get::<_, String>(0)?, &row.try_get::<_, String>(1)?)))
        .collect()
}

/// Makes the slot. The connection keeps its snapshot until it is used again.
pub async fn create(
    connection: &mut ReplicationConnection,
    settings: &Settings,
    server: &Server,
) -> Result<CreatedSlot, TaskError> {
    // The option exists since 17, and only a primary can have it.
    let failover = if server.version >= 170_000 && !server.in_recovery {
        settings.slot_failover
    } else {
        pg::replication::Failover::No
    };
    let new = NewSlot { name: &settings.slot_name, lifetime: Lifetime::Permanent, plugin: PLUGIN, failover };
    connection.create_slot(&new).await.map_err(|error| {
        let permanent = matches!(error.class(), ErrorClass::Other | ErrorClass::DuplicateObject);
        let error = error.context(format!("could not create replication slot \"{}\"", settings.slot_name));
        let mut error = failure::from_pg(error);
        if permanent {
            error.fate = connect::Fate::Halt;
        }
        error
    })
}

/// A temporary slot that exports a snapshot of a later point than the permanent slot's.
pub async fn create_temporary(
    connection: &mut ReplicationConnection,
    settings: &Settings,
) -> Result<CreatedSlot, TaskError> {
    // Names are limited to 63 bytes; the process makes it unique.
    let prefix = &settings.slot_name[..settings.slot_name.len().min(40)];
    let name = format!("{prefix}_snapshot_{}", connection.process_id());
    let new = NewSlot {
        name: &name,
        lifetime: Lifetime::Temporary,
        plugin: PLUGIN,
        failover: pg::replication::Failover::No,
    };
    connection
        .create_slot(&new)
        .await
        .map_err(|error| failure::from_pg(error.context("could not create a temporary replication slot")))
}

pub async fn drop(settings: &Settings) -> Result<(), TaskError> {
    let connect = settings.connect.named("Debezium Drop Slot");
    let mut connection = ReplicationConnection::connect(&connect).await.map_err(failure::from_pg)?;
    connection.drop_slot(&settings.slot_name).await.map_err(failure::from_pg)?;
    connection.close().await;
    Ok(())
}

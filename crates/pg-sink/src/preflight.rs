//! What the connector would find at its target, without changing anything there.

use connect::preflight::Finding;
use connect::settings::Properties;
use pg::quote;
use pg::tokio_postgres::Client;

use crate::routing::{self, is_dynamic};
use crate::settings::{Deletes, Flavour, InsertMode, KeyMode, Settings, Switch};
use crate::table_shape::{self, TableShape};
use crate::target::Target;

/// What the role may do with a table.
const PRIVILEGES: &str = "SELECT p, has_table_privilege($1::oid, p) FROM unnest($2::text[]) AS p";

/// Looks at everything that the configuration needs.
pub async fn preflight(flavour: Flavour, properties: &Properties) -> Vec<Finding> {
    let settings = match Settings::read(flavour, properties) {
        Ok(settings) => settings,
        Err(errors) => {
            let finding = |error| Finding::missing(error, "correct the configuration");
            return errors.into_iter().map(finding).collect();
        }
    };
    let mut findings = vec![];
    if let Err(error) = look(&settings, &mut findings).await {
        let remedy =
            error.hint().unwrap_or("correct connection.url, user and password, or the server").to_owned();
        findings.push(Finding::missing(error.to_string(), remedy));
    }
    findings
}

async fn look(settings: &Settings, out: &mut Vec<Finding>) -> Result<(), pg::Error> {
    let target = Target::open(settings).await?;
    out.push(Finding::fine(format!("{} answers", settings.connect.target())));
    if settings.create.is_on() {
        look_at_schema(&target, out).await?;
    }
    if is_dynamic(settings) || settings.topics.is_empty() {
        out.push(Finding::fine("tables are known only when records come: they are not looked at"));
        return Ok(());
    }
    for topic in &settings.topics {
        let name = match routing::table_of_topic(settings, topic) {
            Ok(name) => name,
            Err(why) => {
                out.push(Finding::missing(why, "correct the format of the table's name"));
                continue;
            }
        };
        let schema = name.schema.as_deref().unwrap_or(&target.current_schema);
        match table_shape::load(target.client(), schema, &name.name).await? {
            Some(shape) => look_at_table(settings, &target, &shape, out).await?,
            None if settings.create == Switch::On => {
                out.push(Finding::fine(format!("table \"{name}\" will be created for topic \"{topic}\"")));
            }
            None => out.push(Finding::missing(
                format!("table \"{name}\" for topic \"{topic}\" is missing"),
                "create the table, or allow it to be created (auto.create, schema.evolution)",
            )),
        }
    }
    Ok(())
}

async fn look_at_schema(target: &Target, out: &mut Vec<Finding>) -> Result<(), pg::Error> {
    let schema = &target.current_schema;
    let row = target
        .client()
        .query_one("SELECT has_schema_privilege($1, 'CREATE'), current_user::text", &[schema])
        .await?;
    let (may, user): (bool, String) = (row.try_get(0)?, row.try_get(1)?);
    if !may {
        let (schema, user) = (quote::identifier(schema), quote::identifier(&user));
        out.push(Finding::missing(
            format!("role {user} may not create tables in schema {schema}"),
            format!(
                "run GRANT CREATE ON SCHEMA {schema} TO {user}, or create the tables and turn auto.create off"
            ),
        ));
    }
    Ok(())
}

async fn look_at_table(
    settings: &Settings,
    target: &Target,
    shape: &TableShape,
    out: &mut Vec<Finding>,
) -> Result<(), pg::Error> {
    let before = out.len();
    look_at_privileges(settings, target.client(), shape, out).await?;
    look_at_key(settings, shape, out);
    for child in shape.children.iter().filter(|child| !child.indexed) {
        let columns: Vec<_> = child.columns.iter().map(|(name, _)| quote::identifier(name)).collect();
        out.push(Finding::doubtful(
            format!(
                "{} refers to {} without an index: each batch with deletes reads all of it",
                child.child, shape.quoted
            ),
            format!("run CREATE INDEX ON {} ({})", child.child, columns.join(", ")),
        ));
    }
    if out.len() == before {
        out.push(Finding::fine(format!("table {} is as it should be", shape.quoted)));
    }
    Ok(())
}

async fn look_at_privileges(
    settings: &Settings,
    client: &Client,
    shape: &TableShape,
    out: &mut Vec<Finding>,
) -> Result<(), pg::Error> {
    // ON CONFLICT reads the key's columns.
    let mut wanted = vec!["SELECT"];
    if settings.insert_mode != InsertMode::Update {
        wanted.push("INSERT");
    }
    if settings.insert_mode != InsertMode::Insert {
        wanted.push("UPDATE");
    }
    if settings.deletes == Deletes::Apply {
        wanted.push("DELETE");
    }
    let rows = client.query(PRIVILEGES, &[&shape.oid, &wanted]).await?;
    let mut lacking: Vec<String> = vec![];
    for row in &rows {
        if !row.try_get::<_, bool>(1)? {
            lacking.push(row.try_get(0)?);
        }
    }
    if !lacking.is_empty() {
        let user = settings.connect.user.as_str();
        out.push(Finding::missing(
            format!("role {} may not {} in {}", quote::identifier(user), lacking.join(", "), shape.quoted),
            format!("run GRANT {} ON {} TO {}", lacking.join(", "), shape.quoted, quote::identifier(user)),
        ));
    }
    Ok(())
}

/// Whether `ON CONFLICT` has a unique index to work with.
fn look_at_key(settings: &Settings, shape: &TableShape, out: &mut Vec<Finding>) {
    if settings.insert_mode != InsertMode::Upsert || settings.key_mode == KeyMode::None {
        return;
    }
    let columns: Option<Vec<usize>> = settings.key_fields.iter().map(|field| shape.column(field)).collect();
    let names = match (&columns, settings.key_fields.is_empty()) {
        // The record's key says which columns: any unique index may be the one.
        (_, true) if !shape.unique.is_empty() => return,
        (_, true) => "…".to_owned(),
        (Some(columns), false) if shape.has_arbiter(columns) => return,
        (None, false) => return,
        (Some(_), false) => {
            settings.key_fields.iter().map(|field| quote::identifier(field)).collect::<Vec<_>>().join(", ")
        }
    };
    out.push(Finding::missing(
        format!(
            "{} has no primary key or unique index on the record's key ({names}): upserts need one",
            shape.quoted
        ),
        format!("run ALTER TABLE {} ADD PRIMARY KEY ({names})", shape.quoted),
    ));
}

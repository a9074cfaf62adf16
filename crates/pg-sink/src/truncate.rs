//! Empties a table for a truncate event.

use std::error::Error as StdError;
use std::sync::Arc;

use connect::Record;
use pg::tokio_postgres::types::{FromSql, Type};
use pg::{Error, quote};

use crate::batch::Kind;
use crate::columns::{Body, Parameter, Plan, Signature};
use crate::hold::{Held, Hold, Key, Why, detached, place};
use crate::registry::Registry;
use crate::settings::{ForeignKeys, Settings};
use crate::table_shape::TableShape;
use crate::target::Target;
use crate::values::Wire;
use crate::verdict::{Failure, failure};
use crate::write::Outcome;

/// Empties the plan's table. Where other tables refer to it, the rows to which they do stay and are deleted when
/// their children are gone: the children's own truncate event is still to come.
pub async fn run(
    settings: &Settings,
    registry: &mut Registry,
    target: &mut Target,
    hold: &mut Hold,
    plan: &Arc<Plan>,
    records: &[Record],
) -> Result<Outcome, Failure> {
    let table = plan.signature.table;
    let shape = registry.shape(table).clone();
    if shape.children.is_empty() || settings.foreign_keys == ForeignKeys::Replica {
        let cascade = if shape.children.is_empty() { "" } else { " CASCADE" };
        let text = format!("TRUNCATE TABLE {}{cascade}", shape.quoted);
        target.client().batch_execute(&text).await.map_err(|error| failure(error.into()))?;
        hold.clear(table);
        return Ok(Outcome::default());
    }
    let Some(keyed) = key_plan(registry, plan) else {
        return Err(failure(Error::new(
            pg::ErrorClass::NotSupported,
            format!(
                "{} cannot be emptied: other tables refer to it, and it has no primary key",
                shape.quoted
            ),
        )));
    };
    let delete = delete_without_children(&shape);
    target.client().batch_execute(&delete).await.map_err(|error| failure(error.into()))?;
    let keys = remaining(target, &keyed).await.map_err(failure)?;
    hold.clear(table);
    if let Some((record, (partition, origin))) =
        records.first().and_then(|record| Some((record, place(record)?)))
    {
        for key in keys {
            hold.keep(
                table,
                key,
                Held {
                    kind: Kind::Delete,
                    record: detached(record),
                    plan: keyed.clone(),
                    absent: Box::default(),
                    partition: partition.clone(),
                    oldest: origin.offset,
                    why: Why::Child,
                    said: None,
                    waited: std::time::Duration::ZERO,
                },
            );
        }
    }
    Ok(Outcome::default())
}

/// Deletes all rows to which no row of another table refers.
fn delete_without_children(shape: &TableShape) -> String {
    let conditions: Vec<String> = shape
        .children
        .iter()
        .map(|link| {
            let matches: Vec<String> = link
                .columns
                .iter()
                .map(|(theirs, own)| {
                    let own = quote::identifier(&shape.columns[*own].name);
                    format!("c.{} = t.{own}", quote::identifier(theirs))
                })
                .collect();
            format!("NOT EXISTS (SELECT FROM {} AS c WHERE {})", link.child, matches.join(" AND "))
        })
        .collect();
    format!("DELETE FROM {} AS t WHERE {}", shape.quoted, conditions.join(" AND "))
}

/// A plan whose key is the table's primary key, in the form in which records usually bring it.
fn key_plan(registry: &mut Registry, plan: &Plan) -> Option<Arc<Plan>> {
    let table = plan.signature.table;
    let shape = registry.shape(table).clone();
    let primary = shape.unique.iter().find(|index| index.primary)?;
    let columns: Vec<Parameter> = primary
        .attnums
        .iter()
        .map(|attnum| {
            let column = shape.columns.iter().position(|column| column.attnum == *attnum)?;
            let target = &shape.columns[column].target;
            let wire = Wire::of(target.type_oid);
            let cast = (wire == Wire::Text).then(|| target.type_name.clone());
            Some(Parameter { column, wire, cast })
        })
        .collect::<Option<_>>()?;
    let signature = registry.intern(Signature { table, key_count: columns.len(), columns });
    Some(Arc::new(Plan {
        shape,
        body: Body::None,
        slots: vec![],
        key_signature: signature.clone(),
        signature,
        toastable: vec![],
    }))
}

/// The keys of the rows that are still there, as a batch would encode them.
async fn remaining(target: &Target, plan: &Plan) -> Result<Vec<Key>, Error> {
    let columns: Vec<String> = plan
        .signature
        .columns
        .iter()
        .map(|key| {
            let name = quote::identifier(&plan.shape.columns[key.column].name);
            let element = key.wire.array_name().trim_end_matches("[]");
            format!("{name}::{element}")
        })
        .collect();
    let text = format!("SELECT {} FROM {}", columns.join(", "), plan.shape.quoted);
    let rows = target.client().query(&text, &[]).await?;
    rows.iter()
        .map(|row| {
            let mut key = vec![];
            for at in 0..row.len() {
                let RawValue(bytes) = row.try_get(at)?;
                key.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
                key.extend_from_slice(bytes);
            }
            Ok(key.into())
        })
        .collect()
}

/// A value in the wire's form.
struct RawValue<'a>(&'a [u8]);

impl<'a> FromSql<'a> for RawValue<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

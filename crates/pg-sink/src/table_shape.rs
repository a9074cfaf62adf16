//! What the target's catalogue says about a table: its columns, its keys, and the tables around it.

use std::collections::HashMap;
use std::sync::Arc;

use pg::catalog::{self, Action, Generated, UniqueIndex};
use pg::tokio_postgres::Client;

use crate::values::Target;

/// A column that can be written to, or that the server fills by itself.
#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    pub attnum: i16,
    pub target: Target,
    pub generated: Generated,
}

/// A foreign key of the table: where its rows need a row of another table.
#[derive(Clone, Debug)]
pub struct ParentLink {
    pub parent_oid: u32,
    /// `"schema"."name"`.
    pub parent: String,
    /// Own columns, by index, and the parent's columns, by name.
    pub columns: Vec<(usize, String)>,
    pub deferrable: bool,
}

/// A foreign key of another table to this one.
#[derive(Clone, Debug)]
pub struct ChildLink {
    pub child_oid: u32,
    pub child: String,
    /// The child's columns, by name, and own columns, by index.
    pub columns: Vec<(String, usize)>,
    /// Whether the server deletes or clears the child's rows by itself.
    pub on_delete: Action,
    /// Whether an index of the child begins with the key's first column.
    pub indexed: bool,
}

/// A table as it was when the catalogue was asked.
#[derive(Clone, Debug)]
pub struct TableShape {
    pub oid: u32,
    /// `"schema"."name"`.
    pub quoted: String,
    pub columns: Vec<Column>,
    pub unique: Vec<UniqueIndex>,
    pub parents: Vec<ParentLink>,
    pub children: Vec<ChildLink>,
    /// Whether any constraint of it can be deferred.
    pub deferrable: bool,
    /// Whether `COPY` means to it what `INSERT` means: there are no rules, and no row security.
    pub takes_copies: bool,
    /// Whether `MERGE` is there (PostgreSQL 15) and means to it what `INSERT … ON CONFLICT` means: besides, there are no
    /// triggers of users, which see every upserted row as inserted first.
    pub takes_merges: bool,
}

impl TableShape {
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The same, whatever the case, where only one column is meant.
    pub fn column_ignoring_case(&self, name: &str) -> Option<usize> {
        let lower = name.to_lowercase();
        let mut found =
            self.columns.iter().enumerate().filter(|(_, column)| column.name.to_lowercase() == lower);
        match (found.next(), found.next()) {
            (Some((index, _)), None) => Some(index),
            _ => None,
        }
    }

    /// Whether `ON CONFLICT` can work on these columns.
    pub fn has_arbiter(&self, columns: &[usize]) -> bool {
        self.unique.iter().any(|index| index.immediate && self.same_columns(index, columns))
    }

    /// Whether a violated constraint is the one on these columns.
    pub fn is_key_constraint(&self, constraint: &str, columns: &[usize]) -> bool {
        self.unique.iter().any(|index| {
            (index.name == constraint || index.constraint.as_deref() == Some(constraint))
                && self.same_columns(index, columns)
        })
    }

    fn same_columns(&self, index: &UniqueIndex, columns: &[usize]) -> bool {
        index.attnums.len() == columns.len()
            && columns.iter().all(|column| index.attnums.contains(&self.columns[*column].attnum))
    }
}

/// Foreign keys that point at these tables. Those of partitions repeat their parent's.
const CHILDREN: &str = "SELECT k.confrelid, k.conrelid, k.conkey, k.confkey, k.confdeltype, k.condeferrable, \
     EXISTS (SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = k.conrelid AND i.indisvalid \
             AND i.indpred IS NULL AND i.indkey[0] = k.conkey[1]) \
     FROM pg_catalog.pg_constraint k WHERE k.contype = 'f' AND k.confrelid = $1 AND k.conparentid = 0 \
     ORDER BY k.conrelid, k.conname";

/// Names of types without modifiers, qualified where the search path needs it. The modifier -1 makes `bit` a quoted
/// name: without quotes it means `bit(1)`.
const TYPE_NAMES: &str = "SELECT t, pg_catalog.format_type(t, -1) FROM unnest($1::oid[]) AS t";

/// Whether a unique or primary key constraint of the table can be deferred, whether `COPY` is as good as `INSERT`, and
/// whether `MERGE` is where `COPY` is.
const TRAITS: &str = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint WHERE conrelid = $1 AND condeferrable), \
     EXISTS (SELECT 1 FROM pg_catalog.pg_class WHERE oid = $1 AND relkind IN ('r', 'p') AND NOT relhasrules \
             AND NOT relrowsecurity), \
     pg_catalog.current_setting('server_version_num')::int4 >= 150000 \
     AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_trigger WHERE NOT tgisinternal \
                     AND (tgrelid = $1 OR tgrelid IN (SELECT relid FROM pg_catalog.pg_partition_tree($1))))";

/// The table's shape; `None` where there is no such table.
pub async fn load(client: &Client, schema: &str, name: &str) -> pg::error::Result<Option<Arc<TableShape>>> {
    let Some(oid) = catalog::table_oid(client, schema, name).await? else { return Ok(None) };
    let Some(table) = catalog::tables(client, &[oid]).await?.pop() else { return Ok(None) };
    let columns = columns(client, &table).await?;
    let children = client.query(CHILDREN, &[&oid]).await?;
    let mut related: Vec<u32> = table.foreign_keys.iter().map(|key| key.parent_oid).collect();
    for row in &children {
        related.push(row.try_get(1)?);
    }
    let related: HashMap<u32, catalog::Table> =
        catalog::tables(client, &related).await?.into_iter().map(|table| (table.oid, table)).collect();
    let traits = client.query_one(TRAITS, &[&oid]).await?;
    let place = |attnum: i16| columns.iter().position(|column: &Column| column.attnum == attnum);
    let parents = table.foreign_keys.iter().filter_map(|key| parent_link(key, &related, place)).collect();
    let mut links = vec![];
    for row in &children {
        links.extend(child_link(row, &related, place)?);
    }
    let (takes_copies, merges) = (traits.try_get(1)?, traits.try_get::<_, bool>(2)?);
    Ok(Some(Arc::new(TableShape {
        oid,
        quoted: table.quoted(),
        unique: table.unique_indexes,
        columns,
        parents,
        children: links,
        deferrable: traits.try_get(0)?,
        takes_copies,
        takes_merges: takes_copies && merges,
    })))
}

async fn columns(client: &Client, table: &catalog::Table) -> pg::error::Result<Vec<Column>> {
    let oids: Vec<u32> = table.columns.iter().map(|column| column.type_oid).collect();
    let types = catalog::types(client, &oids).await?;
    let all: Vec<u32> = types.keys().copied().collect();
    let mut names: HashMap<u32, String> = HashMap::new();
    for row in client.query(TYPE_NAMES, &[&all]).await? {
        names.insert(row.try_get(0)?, row.try_get(1)?);
    }
    Ok(table
        .columns
        .iter()
        .map(|column| Column {
            name: column.name.clone(),
            attnum: column.attnum,
            target: target(column, &types, &names),
            generated: column.generated,
        })
        .collect())
}

/// A domain is sent as the type below it: the assignment checks its constraints.
fn target(
    column: &catalog::Column,
    types: &HashMap<u32, catalog::TypeInfo>,
    names: &HashMap<u32, String>,
) -> Target {
    let (mut type_oid, mut typmod) = (column.type_oid, column.typmod);
    while let Some(catalog::TypeKind::Domain { base_oid, typmod: inner }) =
        types.get(&type_oid).map(|t| &t.kind)
    {
        (type_oid, typmod) = (*base_oid, *inner);
    }
    let element_oid = match types.get(&type_oid).map(|info| &info.kind) {
        Some(catalog::TypeKind::Array { element_oid }) => Some(*element_oid),
        _ => None,
    };
    let delimiter = element_oid.and_then(|oid| types.get(&oid)).map_or(b',', |info| info.delimiter);
    let type_name = names.get(&type_oid).cloned().unwrap_or_else(|| "text".to_owned());
    Target { type_oid, type_name, typmod, element_oid, delimiter }
}

fn parent_link(
    key: &catalog::ForeignKey,
    related: &HashMap<u32, catalog::Table>,
    place: impl Fn(i16) -> Option<usize>,
) -> Option<ParentLink> {
    let parent = related.get(&key.parent_oid)?;
    let columns = key
        .attnums
        .iter()
        .zip(&key.parent_attnums)
        .map(|(own, theirs)| Some((place(*own)?, parent.column_at(*theirs)?.name.clone())))
        .collect::<Option<Vec<_>>>()?;
    Some(ParentLink {
        parent_oid: key.parent_oid,
        parent: parent.quoted(),
        columns,
        deferrable: key.deferrable,
    })
}

fn child_link(
    row: &pg::tokio_postgres::Row,
    related: &HashMap<u32, catalog::Table>,
    place: impl Fn(i16) -> Option<usize>,
) -> pg::error::Result<Option<ChildLink>> {
    let child_oid: u32 = row.try_get(1)?;
    let (theirs, own): (Vec<i16>, Vec<i16>) = (row.try_get(2)?, row.try_get(3)?);
    let Some(child) = related.get(&child_oid) else { return Ok(None) };
    let columns = theirs
        .iter()
        .zip(&own)
        .map(|(theirs, own)| Some((child.column_at(*theirs)?.name.clone(), place(*own)?)))
        .collect::<Option<Vec<_>>>();
    let on_delete = match row.try_get::<_, i8>(4)?.cast_unsigned() {
        b'r' => Action::Restrict,
        b'c' => Action::Cascade,
        b'n' => Action::SetNull,
        b'd' => Action::SetDefault,
        _ => Action::None,
    };
    let indexed = row.try_get(6)?;
    Ok(columns.map(|columns| ChildLink { child_oid, child: child.quoted(), columns, on_delete, indexed }))
}

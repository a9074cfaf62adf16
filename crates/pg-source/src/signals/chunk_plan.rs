//! How a table is read in chunks: compiled once for each version of the table.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use connect::{Buffer, Schema, TaskError};
use pg::catalog::{self, RelationKind};
use pg::copy::{self, Row as CopyRow};
use pg::pgoutput::Datum;
use pg::wire::Frames;
use pg::{Session, quote};

use super::chunk_sql::{KeyColumn, Limit, Source};
use super::java::Part;
use super::queue::{Entry, Key};
use super::window::{self, ChunkRow};
use crate::failure;
use crate::settings::{ProcessingFailure, Settings};
use crate::tables::{Compiler, Row, RowErrorKind, Table};

pub struct Plan {
    pub entry: Entry,
    pub table: Arc<Table>,
    pub oid: u32,
    /// The table as it was then.
    catalogue: catalog::Table,
    from: String,
    columns: String,
    key: Vec<KeyColumn>,
    /// Where the columns of the key are in a row.
    key_at: Vec<usize>,
    identity: Identity,
    /// Several rows may have one key.
    pub has_ties: bool,
}

/// What the changes of a row bear.
enum Identity {
    Key,
    Fields(Vec<usize>),
    Nothing,
}

/// Why a table cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    Unknown,
    NoKey,
}

/// What the rows are compiled with.
pub struct Making<'a> {
    pub settings: &'a Settings,
    pub source_schema: &'a Schema,
    pub transaction_schema: &'a Schema,
}

const BY_NAME: &str = "SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r','p') AND n.nspname || '.' || c.relname = $1";

const TYPE_NAMES: &str = "SELECT attname::text, pg_catalog.format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute \
     WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped";

impl Plan {
    pub async fn new(
        session: &Session,
        making: &Making<'_>,
        entry: &Entry,
    ) -> Result<Result<Self, Unreadable>, pg::Error> {
        let found = session.query_opt(BY_NAME, &[&entry.name]).await?;
        let Some(row) = found else { return Ok(Err(Unreadable::Unknown)) };
        let oid: u32 = row.try_get(0)?;
        let Some(catalogue) = current(session, oid).await? else { return Ok(Err(Unreadable::Unknown)) };
        if !making.settings.filters.takes_table(&catalogue.schema, &catalogue.name) {
            return Ok(Err(Unreadable::Unknown));
        }
        let type_oids: Vec<u32> = catalogue.columns.iter().map(|column| column.type_oid).collect();
        let types = catalog::types(session, &type_oids).await?;
        let type_names: Vec<(String, String)> = session
            .query(TYPE_NAMES, &[&oid])
            .await?
            .iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect::<Result<_, pg::tokio_postgres::Error>>()?;
        let compiler = Compiler {
            settings: making.settings,
            types: &types,
            source_schema: making.source_schema,
            transaction_schema: making.transaction_schema,
        };
        Ok(Self::compile(&compiler, entry, &catalogue, &type_names))
    }

    fn compile(
        compiler: &Compiler<'_>,
        entry: &Entry,
        catalogue: &catalog::Table,
        type_names: &[(String, String)],
    ) -> Result<Self, Unreadable> {
        let (table, mut names) = compiler.catalogue(catalogue);
        let key_names = match &entry.surrogate {
            Some(name) => vec![name.as_str()],
            None => compiler.key_columns(catalogue),
        };
        let key_column = |name: &str| {
            let column = catalogue.column(name)?;
            let (_, type_name) = type_names.iter().find(|(of, _)| of == name)?;
            Some(KeyColumn {
                name: name.to_owned(),
                type_oid: column.type_oid,
                type_name: type_name.clone(),
                not_null: column.not_null,
            })
        };
        let key: Vec<KeyColumn> = key_names.iter().map_while(|name| key_column(name)).collect();
        if key.is_empty() || key.len() < key_names.len() {
            return Err(Unreadable::NoKey);
        }
        let mut key_at = vec![];
        for column in &key {
            let at = names.iter().position(|name| *name == column.name).unwrap_or_else(|| {
                names.push(catalogue.column(&column.name).map_or("", |column| &column.name));
                names.len() - 1
            });
            key_at.push(at);
        }
        let identity = match (&table.key, fields(&table, &key)) {
            (Some(_), _) => Identity::Key,
            (None, Some(fields)) => Identity::Fields(fields),
            (None, None) => Identity::Nothing,
        };
        // A partitioned table has its rows in its partitions, an inheritance parent has only its own.
        let only = if catalogue.kind == RelationKind::PartitionedTable { "" } else { "ONLY " };
        let columns: Vec<_> = names.iter().map(|name| quote::identifier(name)).collect();
        Ok(Self {
            entry: entry.clone(),
            oid: catalogue.oid,
            from: format!("{only}{}", catalogue.quoted()),
            columns: columns.join(", "),
            catalogue: catalogue.clone(),
            table: Arc::new(table),
            has_ties: entry.surrogate.is_some(),
            key,
            key_at,
            identity,
        })
    }

    /// Whether the table is as it was.
    pub async fn is_current(&self, session: &Session) -> Result<bool, pg::Error> {
        Ok(current(session, self.oid).await?.is_some_and(|now| now == self.catalogue))
    }

    fn source(&self) -> Source<'_> {
        Source { from: &self.from, condition: self.entry.condition.as_deref(), key: &self.key }
    }

    pub fn maximum_sql(&self) -> String {
        self.source().maximum()
    }

    /// A row of that statement.
    pub fn maximum(&self, row: Vec<Option<String>>) -> Key {
        let parts = self.key.iter().zip(row);
        parts.map(|(column, text)| Part { type_oid: column.type_oid, text }).collect()
    }

    pub fn chunk_sql(&self, after: Option<&Key>, maximum: &Key, rows: usize, server_version: u32) -> String {
        // Of a key with another number of columns nothing is known.
        let after = after.filter(|key| key.len() == self.key.len());
        let limit = match self.has_ties && server_version >= 13 {
            true => Limit::WithTies(rows),
            false => Limit::Rows(rows),
        };
        self.source().chunk(&self.columns, after.map(Vec::as_slice), maximum, limit)
    }

    pub fn fits(&self, key: &Key) -> bool {
        key.len() == self.key.len()
    }

    /// The rows of a COPY, and the key of the last one.
    pub fn rows(
        &self,
        chunks: VecDeque<Bytes>,
        settings: &Settings,
    ) -> Result<(Vec<ChunkRow>, Key), TaskError> {
        let (mut rows, mut tuple, mut last) = (vec![], vec![], vec![]);
        for bytes in chunks {
            let shared = Buffer::new(bytes.clone());
            for range in Frames::new(&bytes) {
                let split = copy::split_row(&bytes, range, &mut tuple).map_err(failure::from_pg)?;
                let buffer = match split {
                    CopyRow::InPlace => shared.clone(),
                    CopyRow::Unescaped(copy) => Buffer::from(copy),
                };
                last = self.key_of(&tuple, &buffer);
                rows.extend(self.row(Row { tuple: &tuple, buffer: &buffer }, settings)?);
            }
        }
        Ok((rows, last))
    }

    fn key_of(&self, tuple: &[Datum], buffer: &Buffer) -> Key {
        let text = |at: usize| {
            let datum = tuple.get(at).filter(|datum| datum.kind == pg::pgoutput::DatumKind::Text)?;
            let bytes = buffer.bytes().get(datum.range())?;
            Some(String::from_utf8_lossy(bytes).into_owned())
        };
        let columns = self.key.iter().zip(&self.key_at);
        columns.map(|(column, at)| Part { type_oid: column.type_oid, text: text(*at) }).collect()
    }

    fn row(&self, row: Row<'_>, settings: &Settings) -> Result<Option<ChunkRow>, TaskError> {
        let made = self.table.values(row, None).and_then(|values| {
            let key = self.table.key_of(&values, row)?;
            Ok((key, values))
        });
        let (key, values) = match made {
            Ok(made) => made,
            Err(error) => {
                let table = &self.entry.name;
                let text = format!("row of {table} cannot be processed: {error}");
                let fails = settings.processing_failure == ProcessingFailure::Fail;
                if error.kind == RowErrorKind::Conversion || fails {
                    return Err(TaskError::halt(text));
                }
                tracing::warn!(table = %table, error = %error, "row of the incremental snapshot skipped");
                return Ok(None);
            }
        };
        let identity = match &self.identity {
            Identity::Key => window::identity(&key),
            Identity::Fields(fields) => window::identity_of(&values, fields),
            Identity::Nothing => vec![],
        };
        Ok(Some(ChunkRow { identity, key, values }))
    }
}

/// Places of the columns among the fields of a row; `None` where one is not sent.
fn fields(table: &Table, key: &[KeyColumn]) -> Option<Vec<usize>> {
    key.iter().map(|column| table.columns.iter().position(|field| *field.name == *column.name)).collect()
}

/// What the catalogue says, without what changes by itself.
async fn current(session: &Session, oid: u32) -> Result<Option<catalog::Table>, pg::Error> {
    let mut tables = catalog::tables(session, &[oid]).await?;
    Ok(tables.pop().map(|mut table| {
        (table.rows_estimated, table.pages_estimated) = (0.0, 0);
        table
    }))
}

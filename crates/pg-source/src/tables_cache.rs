//! Tables by the number that the stream calls them, kept until the stream defines them anew.

use std::collections::HashMap;
use std::sync::Arc;

use connect::TaskError;
use pg::pgoutput::Relation;
use pg::{Session, catalog};

use crate::envelope::Envelopes;
use crate::failure;
use crate::settings::Settings;
use crate::tables::{Compiler, Table};
use crate::values::Types;

#[derive(Clone, Debug)]
pub enum Entry {
    Captured(Arc<Table>),
    /// The filters do not take it.
    Ignored,
}

#[derive(Default)]
pub struct TablesCache {
    entries: HashMap<u32, Entry, foldhash::fast::RandomState>,
    /// The last relation message of each table.
    relations: HashMap<u32, Relation>,
    /// As they were when a table first needed them. A type that changes (a label more) does not make the stream say
    /// so, and a schema that changed in the middle of a transaction would be a guess: it changes with the table's.
    types: Types,
}

impl TablesCache {
    #[inline]
    pub fn get(&self, relation: u32) -> Option<&Entry> {
        self.entries.get(&relation)
    }

    /// Takes a relation message: the stream shows this table as it is at this point of the WAL.
    pub async fn define(
        &mut self,
        relation: &Relation,
        session: &Session,
        settings: &Settings,
        envelopes: &Envelopes,
    ) -> Result<(), TaskError> {
        if !settings.filters.takes_table(&relation.schema, &relation.name) {
            self.entries.insert(relation.oid, Entry::Ignored);
            return Ok(());
        }
        let table = catalog::tables(session, &[relation.oid]).await.map_err(failure::from_pg)?.pop();
        self.load_types(relation, session).await?;
        let compiler = Compiler {
            settings,
            types: &self.types,
            source_schema: &envelopes.source_schema,
            transaction_schema: &envelopes.transaction_schema,
        };
        let mut compiled = compiler.relation(relation, table.as_ref());
        if let Some(Entry::Captured(older)) = self.entries.get(&relation.oid) {
            compiled.keep_identity(older);
        }
        if compiled.key.is_some() && !compiled.identity_has_key {
            warn_identity(&compiled);
        }
        self.entries.insert(relation.oid, Entry::Captured(Arc::new(compiled)));
        self.relations.insert(relation.oid, relation.clone());
        Ok(())
    }

    async fn load_types(&mut self, relation: &Relation, session: &Session) -> Result<(), TaskError> {
        let changed =
            self.relations.get(&relation.oid).is_some_and(|older| older.columns != relation.columns);
        let known = relation.columns.iter().all(|column| self.types.contains_key(&column.type_oid));
        if changed || !known {
            let oids: Vec<u32> = relation.columns.iter().map(|column| column.type_oid).collect();
            self.types.extend(catalog::types(session, &oids).await.map_err(failure::from_pg)?);
        }
        Ok(())
    }

    pub fn seed_types(&mut self, types: Types) {
        self.types.extend(types);
    }

    /// A table as the snapshot read it, so that the stream's first version can share its schemas.
    pub fn seed(&mut self, oid: u32, table: Arc<Table>) {
        self.entries.insert(oid, Entry::Captured(table));
    }
}

fn warn_identity(table: &Table) {
    tracing::warn!(
        table = %format!("{}.{}", table.schema, table.name),
        repair = %format!(
            "ALTER TABLE {} REPLICA IDENTITY DEFAULT",
            pg::quote::qualified(&table.schema, &table.name)
        ),
        "the replica identity does not hold the key: deletes and changes of the key cannot be sent"
    );
}

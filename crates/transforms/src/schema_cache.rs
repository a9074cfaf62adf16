//! Plans by schema identity: after the first record of a schema, finding its plan costs a comparison of pointers.

use std::collections::{HashMap, HashSet};

use connect::Schema;

/// Plans are small; a connector over thousands of tables, each with a few versions, stays below.
const PLANS_MAX: usize = 10_000;

/// What a schema was compiled to. Keeps the schema alive, so that its identity is not given to another one.
pub(crate) struct SchemaCache<P> {
    plans: Vec<(Schema, P)>,
    by_id: HashMap<usize, usize, foldhash::fast::RandomState>,
    /// Of the last record: runs of one table are the rule.
    last: usize,
}

impl<P> Default for SchemaCache<P> {
    fn default() -> Self {
        Self { plans: vec![], by_id: HashMap::default(), last: 0 }
    }
}

impl<P> SchemaCache<P> {
    pub(crate) fn get_or_compile(&mut self, schema: &Schema, compile: impl FnOnce(&Schema) -> P) -> &P {
        if self.plans.get(self.last).is_none_or(|(known, _)| !known.ptr_eq(schema)) {
            self.last = match self.by_id.get(&schema.id()) {
                Some(index) => *index,
                None => self.add(schema, compile(schema)),
            };
        }
        &self.plans[self.last].1
    }

    fn add(&mut self, schema: &Schema, plan: P) -> usize {
        if self.plans.len() >= PLANS_MAX {
            self.plans.clear();
            self.by_id.clear();
        }
        let index = self.plans.len();
        self.plans.push((schema.clone(), plan));
        self.by_id.insert(schema.id(), index);
        index
    }
}

/// Schemas that are made record by record: equal ones become the same one, so that whoever caches by identity finds it.
#[derive(Default)]
pub(crate) struct SchemaSet {
    schemas: HashSet<Schema, foldhash::fast::RandomState>,
}

impl SchemaSet {
    pub(crate) fn intern(&mut self, schema: Schema) -> Schema {
        if let Some(known) = self.schemas.get(&schema) {
            return known.clone();
        }
        if self.schemas.len() >= PLANS_MAX {
            self.schemas.clear();
        }
        self.schemas.insert(schema.clone());
        schema
    }
}

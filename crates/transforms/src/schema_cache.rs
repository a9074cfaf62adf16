//! Plans by schema identity: after the first record of a schema, finding its plan costs a comparison of pointers.

use std::collections::HashMap;

use connect::Schema;

/// Plans are small; a connector over thousands of tables, each with a few versions, stays below.
const PLANS_MAX: usize = 10_000;

/// What a schema was compiled to. Keeps the schema alive, so that its identity is not given to another one.
pub(crate) struct SchemaCache<P> {
    plans: HashMap<usize, (Schema, P), foldhash::fast::RandomState>,
}

impl<P> Default for SchemaCache<P> {
    fn default() -> Self {
        Self { plans: HashMap::default() }
    }
}

impl<P> SchemaCache<P> {
    pub(crate) fn get_or_compile(&mut self, schema: &Schema, compile: impl FnOnce(&Schema) -> P) -> &P {
        if self.plans.len() >= PLANS_MAX && !self.plans.contains_key(&schema.id()) {
            self.plans.clear();
        }
        let entry = self.plans.entry(schema.id());
        &entry.or_insert_with(|| (schema.clone(), compile(schema))).1
    }
}

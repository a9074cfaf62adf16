//! `org.apache.kafka.connect.transforms.HoistField`: the whole as the one field of a struct or map.

use connect::settings::{Definition, Importance, Properties, row};
use connect::{Record, Schema, SchemaBuilder, TaskError, Text, Transform, Value, Verdict};

use crate::options;
use crate::part::Part;
use crate::schema_cache::SchemaCache;

pub(crate) struct HoistField {
    part: Part,
    field: Text,
    schemas: SchemaCache<Schema>,
}

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row("field")
            .required()
            .importance(Importance::Medium)
            .doc("Name of the one field that then holds the whole key or value."),
    ])
}

impl HoistField {
    pub(crate) fn new(part: Part, properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&definition(), properties)?;
        let field = Text::from(resolved.text("field").unwrap_or_default());
        Ok(Self { part, field, schemas: SchemaCache::default() })
    }
}

impl Transform for HoistField {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let (schema, value) = self.part.of_mut(record);
        let inner = std::mem::take(value);
        let Some(input) = schema.as_ref() else {
            *value = Value::Map(Box::new([(Value::String(self.field.clone()), inner)]));
            return Ok(Verdict::Keep);
        };
        if self.field.is_empty() {
            return Err(TaskError::reject("fieldName cannot be null."));
        }
        let name = &self.field;
        let wrap = |input: &Schema| SchemaBuilder::structure().field(&**name, input.clone()).build();
        let hoisted = self.schemas.get_or_compile(input, wrap).clone();
        *value = Value::Struct(Box::new([inner]));
        *schema = Some(hoisted);
        Ok(Verdict::Keep)
    }
}

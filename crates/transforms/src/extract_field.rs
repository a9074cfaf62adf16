//! `org.apache.kafka.connect.transforms.ExtractField`: one field instead of the whole.

use connect::settings::{Definition, Importance, Properties, Validator, row};
use connect::{Kind, Record, TaskError, Transform, Value, Verdict};

use crate::field_path::{self, FieldPath, Place};
use crate::nulls::Nulls;
use crate::part::Part;
use crate::schema_cache::SchemaCache;
use crate::{options, shape};

pub(crate) struct ExtractField {
    part: Part,
    path: FieldPath,
    nulls: Nulls,
    plans: SchemaCache<Result<Place, String>>,
}

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row("field")
            .required()
            .importance(Importance::Medium)
            .check(Validator::Check(field_path::check))
            .doc("Field that takes the place of the whole key or value."),
        field_path::version_row(),
        Nulls::row(),
    ])
}

impl ExtractField {
    pub(crate) fn new(part: Part, properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&definition(), properties)?;
        let path = FieldPath::new(resolved.text("field").unwrap_or_default(), &resolved);
        let path = path.map_err(|error| vec![error])?;
        Ok(Self { part, path, nulls: Nulls::of(&resolved), plans: SchemaCache::default() })
    }
}

impl Transform for ExtractField {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let Self { part, path, nulls, plans } = self;
        let (schema, value) = part.of_mut(record);
        let Some(input) = schema.as_ref() else {
            if !value.is_null() {
                field_path::require_map(value)?;
                *value = path.take(std::mem::take(value));
            }
            return Ok(Verdict::Keep);
        };
        if !value.is_null() || !matches!(input.kind(), Kind::Struct(_)) {
            shape::fields_of(value, field_path::EXTRACTION)?;
        }
        let place = shape::planned(plans.get_or_compile(input, |input| path.find(input, *nulls)))?;
        *value = match std::mem::take(value) {
            Value::Null => Value::Null,
            value => place.take(value),
        };
        *schema = Some(place.schema.clone());
        Ok(Verdict::Keep)
    }
}

//! `io.debezium.transforms.SchemaChangeEventFilter`: events of a schema history, by kind. PostgreSQL's connector sends
//! none; other connectors' records pass through here in a sink.

use connect::settings::{Definition, Importance, Properties, Validator, row};
use connect::{Kind, Record, Schema, TaskError, Transform, Value, Verdict};

use crate::options;
use crate::schema_cache::SchemaCache;

const OPTION: &str = "schema.change.event.exclude.list";
const SUFFIX: &str = "SchemaChangeValue";
const KINDS: [&str; 6] = ["CREATE", "ALTER", "DROP", "TRUNCATE", "DATABASE", "RENAME"];

pub(crate) struct SchemaChangeEventFilter {
    excluded: Vec<String>,
    plans: SchemaCache<Option<Plan>>,
}

/// Where the table changes are, and the kind in each.
struct Plan {
    changes: usize,
    kind: usize,
}

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row(OPTION)
            .required()
            .importance(Importance::High)
            .check(Validator::Check(|value, _| check(value)))
            .doc("Kinds of schema change events that are dropped."),
    ])
}

fn check(value: Option<&str>) -> Result<(), String> {
    let unknown = |word: &&str| !KINDS.contains(word);
    match value.unwrap_or_default().split(',').map(str::trim).find(unknown) {
        Some(word) => Err(format!(
            "Invalid value {word} for configuration {OPTION}: Value must be one of {}",
            KINDS.join(", ")
        )),
        None => Ok(()),
    }
}

impl SchemaChangeEventFilter {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&definition(), properties)?;
        let words = resolved.text(OPTION).unwrap_or_default().split(',');
        Ok(Self {
            excluded: words.map(|word| word.trim().to_owned()).collect(),
            plans: SchemaCache::default(),
        })
    }
}

impl Plan {
    fn new(schema: &Schema) -> Option<Self> {
        if !schema.name().is_some_and(|name| name.ends_with(SUFFIX)) {
            return None;
        }
        let changes = schema.field_index("tableChanges")?;
        let Kind::Array(item) = schema.fields()[changes].schema.kind() else { return None };
        Some(Self { changes, kind: item.field_index("type")? })
    }
}

impl Transform for SchemaChangeEventFilter {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let (Some(schema), Value::Struct(fields)) = (&record.value_schema, &record.value) else {
            return Ok(Verdict::Keep);
        };
        let Some(plan) = self.plans.get_or_compile(schema, Plan::new) else { return Ok(Verdict::Keep) };
        let kind = match &fields[plan.changes] {
            Value::Array(items) => match items.first().and_then(Value::as_struct) {
                Some(change) => change[plan.kind].as_str().unwrap_or_default(),
                None => "DATABASE",
            },
            _ => return Ok(Verdict::Drop),
        };
        let excluded = self.excluded.iter().any(|word| word == kind);
        Ok(if excluded { Verdict::Drop } else { Verdict::Keep })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use connect::SchemaBuilder;

    fn check(exclude: &str, changes: Value, expected: Verdict) {
        let change = SchemaBuilder::structure().field("type", SchemaBuilder::string().build()).build();
        let schema = SchemaBuilder::structure()
            .name("io.debezium.connector.mysql.SchemaChangeValue")
            .field("tableChanges", SchemaBuilder::array(change).optional().build())
            .build();
        let properties = [(OPTION.to_owned(), exclude.to_owned())].into_iter().collect();
        let mut filter = SchemaChangeEventFilter::new(&properties).unwrap();
        let value = (Some(schema), Value::Struct(Box::new([changes])));
        let mut record = Record::source("t".into(), (None, Value::Null), value);
        assert_eq!(filter.apply(&mut record).unwrap(), expected);
    }

    #[test]
    fn kinds() {
        let one = |kind: &str| Value::Array(Box::new([Value::Struct(Box::new([Value::text(kind)]))]));
        check("CREATE,DROP", one("CREATE"), Verdict::Drop);
        check("CREATE, DROP", one("ALTER"), Verdict::Keep);
        check("DATABASE", Value::Array(Box::default()), Verdict::Drop);
        check("CREATE", Value::Null, Verdict::Drop);
        let wrong = [(OPTION.to_owned(), "NOPE".to_owned())].into_iter().collect();
        assert!(SchemaChangeEventFilter::new(&wrong).is_err());
    }
}

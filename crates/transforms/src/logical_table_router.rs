//! `io.debezium.transforms.ByLogicalTableRouter`: many tables on one topic, their keys told apart by a field.

use std::collections::HashMap;
use std::sync::Arc;

use connect::settings::{Definition, Importance, Properties, Validator, row};
use connect::{Field, Record, Schema, SchemaBuilder, TaskError, Transform, Value, Verdict};

use crate::envelope::{AFTER, BEFORE, is_envelope};
use crate::route::Route;
use crate::schema_name::Adjustment;
use crate::{options, shape};

/// Schemas times topics of a task are few.
const PLANS_MAX: usize = 10_000;

pub(crate) struct ByLogicalTableRouter {
    topics: Route,
    uniqueness: Option<Uniqueness>,
    adjustment: Adjustment,
    /// New schemas by the old one's identity and the new topic; the old schemas are kept alive beside them.
    keys: HashMap<ById, (Schema, Result<Schema, String>)>,
    values: HashMap<ById, (Schema, Schema)>,
}

/// A schema's identity, and the topic that it is renamed for.
type ById = (usize, Arc<str>);

/// A field of this name is added to the key: the old topic, or what the route makes of it.
struct Uniqueness {
    name: Arc<str>,
    route: Option<Route>,
}

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row("topic.regex")
            .required()
            .importance(Importance::Low)
            .check(options::checked!(options::pattern, "topic.regex"))
            .doc("Pattern of topics that are routed; its groups serve topic.replacement."),
        row("topic.replacement")
            .required()
            .importance(Importance::Low)
            .check(Validator::NonEmpty)
            .doc("Name of the logical topic; $1 and the like stand for groups of topic.regex."),
        row("key.enforce.uniqueness").boolean().default("true").importance(Importance::Low).doc(
            "Whether the key gets a field that tells the physical table, so that equal keys of two tables stay apart. Not needed where keys are unique over all of them.",
        ),
        row("key.field.name").default("__dbz__physicalTableIdentifier").importance(Importance::Low).doc(
            "Name of that field.",
        ),
        row("key.field.regex")
            .importance(Importance::Low)
            .check(options::checked!(options::pattern, "key.field.regex"))
            .check(Validator::Check(check_key_pair))
            .doc("Pattern that finds the physical table in the topic's name."),
        row("key.field.replacement").importance(Importance::Low).doc(
            "What that field holds; $1 and the like stand for groups of key.field.regex.",
        ),
        Adjustment::row(),
        row("logical.table.cache.size").int().default("16").importance(Importance::Low).doc(
            "Accepted. All schemas in use are kept.",
        ),
    ])
}

fn check_key_pair(value: Option<&str>, properties: &Properties) -> Result<(), String> {
    let replaced = properties.get("key.field.replacement").is_some_and(|text| !text.trim().is_empty());
    match value {
        Some(text) if !text.trim().is_empty() && !replaced => Err(format!(
            "Invalid value {text} for configuration key.field.regex: key.field.replacement must be non-empty if \
             key.field.regex is set"
        )),
        _ => Ok(()),
    }
}

impl ByLogicalTableRouter {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&definition(), properties)?;
        let route = |regex: &str, replacement: &str| {
            let replacement = resolved.text(replacement).unwrap_or_default();
            Route::new(resolved.text(regex).unwrap_or_default(), replacement).map_err(|error| vec![error])
        };
        let uniqueness = if resolved.boolean("key.enforce.uniqueness") {
            let is_routed = options::given(&resolved, "key.field.regex").is_some();
            Some(Uniqueness {
                name: Arc::from(resolved.text("key.field.name").unwrap_or_default()),
                route: is_routed.then(|| route("key.field.regex", "key.field.replacement")).transpose()?,
            })
        } else {
            None
        };
        Ok(Self {
            topics: route("topic.regex", "topic.replacement")?,
            uniqueness,
            adjustment: Adjustment::of(&resolved),
            keys: HashMap::new(),
            values: HashMap::new(),
        })
    }
}

impl Transform for ByLogicalTableRouter {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let Some(topic) = self.topics.of(&record.topic)? else { return Ok(Verdict::Keep) };
        if topic.is_empty() {
            return Err(TaskError::reject(format!("the new name of topic {} is empty", record.topic)));
        }
        self.key(record, &topic)?;
        if let Some(schema) = &record.value_schema
            && is_envelope(schema)
        {
            if self.values.len() >= PLANS_MAX {
                self.values.clear();
            }
            let known = self.values.entry((schema.id(), Arc::clone(&topic)));
            let make = || (schema.clone(), renamed_envelope(schema, &topic, self.adjustment));
            record.value_schema = Some(known.or_insert_with(make).1.clone());
        }
        record.topic = topic;
        Ok(Verdict::Keep)
    }
}

impl ByLogicalTableRouter {
    fn key(&mut self, record: &mut Record, topic: &Arc<str>) -> Result<(), TaskError> {
        let Some(schema) = &record.key_schema else { return Ok(()) };
        let fields = shape::fields_of(&mut record.key, "Updating schema")?;
        if self.keys.len() >= PLANS_MAX {
            self.keys.clear();
        }
        let added = match &mut self.uniqueness {
            None => None,
            Some(Uniqueness { name, route }) => {
                let identifier = match route {
                    Some(route) => route.of(&record.topic)?.unwrap_or_else(|| Arc::clone(&record.topic)),
                    None => Arc::clone(&record.topic),
                };
                Some((Arc::clone(name), identifier))
            }
        };
        let known = self.keys.entry((schema.id(), Arc::clone(topic)));
        let (_, renamed) = known.or_insert_with(|| {
            let name = self.adjustment.apply(format!("{topic}.Key"));
            (schema.clone(), renamed_key(schema, name, added.as_ref().map(|(name, _)| name)))
        });
        let renamed = shape::planned(renamed)?.clone();
        if let Some((_, identifier)) = added {
            let mut longer = std::mem::take(fields).into_vec();
            longer.push(Value::text(&identifier));
            *fields = longer.into_boxed_slice();
        }
        record.key_schema = Some(renamed);
        Ok(())
    }
}

fn renamed_key(schema: &Schema, name: String, added: Option<&Arc<str>>) -> Result<Schema, String> {
    let mut fields = schema.fields().to_vec();
    if let Some(added) = added {
        fields.push(Field { name: Arc::clone(added), schema: SchemaBuilder::string().build() });
    }
    shape::check_unique(&fields)?;
    Ok(schema.to_builder().name(name).fields(fields).build())
}

fn renamed_envelope(schema: &Schema, topic: &str, adjustment: Adjustment) -> Schema {
    let row_name: Arc<str> = adjustment.apply(format!("{topic}.Value")).into();
    let mut fields = schema.fields().to_vec();
    for field in fields.iter_mut().filter(|field| [BEFORE, AFTER].contains(&&*field.name)) {
        field.schema = field.schema.to_builder().name(Arc::clone(&row_name)).build();
    }
    schema.to_builder().name(adjustment.apply(format!("{topic}.Envelope"))).fields(fields).build()
}

//! `org.apache.kafka.connect.transforms.ReplaceField`: fields left out, kept or renamed.

use connect::settings::{Definition, Importance, Properties, Validator, row};
use connect::{Field, Record, Schema, TaskError, Transform, Value, Verdict};

use crate::nulls::Nulls;
use crate::part::Part;
use crate::schema_cache::SchemaCache;
use crate::{options, shape};

const PURPOSE: &str = "field replacement";

pub(crate) struct ReplaceField {
    part: Part,
    settings: Settings,
    plans: SchemaCache<Result<Plan, String>>,
}

struct Settings {
    exclude: Vec<String>,
    include: Vec<String>,
    renames: Vec<(String, String)>,
    nulls: Nulls,
}

struct Plan {
    schema: Schema,
    /// For each field that stays its index, and what a null becomes.
    kept: Vec<(usize, Option<Value>)>,
}

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row("exclude")
            .list()
            .default("")
            .aliases(&["blacklist"])
            .importance(Importance::Medium)
            .doc("Fields to remove; they are removed even where include names them."),
        row("include")
            .list()
            .default("")
            .aliases(&["whitelist"])
            .importance(Importance::Medium)
            .doc("Fields to keep; none: all that are not excluded."),
        row("renames")
            .list()
            .default("")
            .importance(Importance::Medium)
            .check(Validator::Check(|value, _| {
                let items = value.unwrap_or_default().split(',').map(str::trim);
                renames(items.filter(|item| !item.is_empty())).map(drop)
            }))
            .doc("New names of fields, as pairs old:new in a list."),
        Nulls::row(),
    ])
}

fn renames<'a>(items: impl Iterator<Item = &'a str>) -> Result<Vec<(String, String)>, String> {
    let mut renames: Vec<(String, String)> = vec![];
    for item in items {
        let parts: Vec<&str> = item.trim_end_matches(':').split(':').collect();
        let [from, to] = parts[..] else {
            return Err(format!(
                "Invalid value {item} for configuration renames: Invalid rename mapping: {item}"
            ));
        };
        match renames.iter_mut().find(|(known, _)| known == from) {
            Some(rename) => rename.1 = to.to_owned(),
            None => renames.push((from.to_owned(), to.to_owned())),
        }
    }
    Ok(renames)
}

impl ReplaceField {
    pub(crate) fn new(part: Part, properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&definition(), properties)?;
        let settings = Settings {
            exclude: resolved.list("exclude").to_vec(),
            include: resolved.list("include").to_vec(),
            renames: renames(resolved.list("renames").iter().map(String::as_str))
                .map_err(|error| vec![error])?,
            nulls: Nulls::of(&resolved),
        };
        Ok(Self { part, settings, plans: SchemaCache::default() })
    }
}

impl Transform for ReplaceField {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let (schema, value) = self.part.of_mut(record);
        if value.is_null() {
            return Ok(Verdict::Keep);
        }
        let settings = &self.settings;
        let Some(input) = schema.as_ref() else {
            let entries = shape::entries_of(value, PURPOSE)?;
            *entries = settings.replace_entries(std::mem::take(entries));
            return Ok(Verdict::Keep);
        };
        let plan = shape::planned(self.plans.get_or_compile(input, |input| Plan::new(input, settings)))?;
        let fields = shape::fields_of(value, PURPOSE)?;
        *fields = plan.apply(fields);
        *schema = Some(plan.schema.clone());
        Ok(Verdict::Keep)
    }
}

impl Settings {
    fn keeps(&self, name: &str) -> bool {
        let among = |list: &[String]| list.iter().any(|it| it == name);
        !among(&self.exclude) && (self.include.is_empty() || among(&self.include))
    }

    fn renamed<'a>(&'a self, name: &'a str) -> &'a str {
        self.renames.iter().find(|(from, _)| from == name).map_or(name, |(_, to)| to)
    }

    fn replace_entries(&self, entries: shape::Entries) -> shape::Entries {
        let mut replaced = shape::Entries::default();
        let kept = entries.into_iter().filter_map(|(key, value)| match key.as_str() {
            Some(name) if !self.keeps(name) => None,
            Some(name) => Some((Value::text(self.renamed(name)), value)),
            None => Some((key, value)),
        });
        shape::put_entries(&mut replaced, kept);
        replaced
    }
}

impl Plan {
    fn new(input: &Schema, settings: &Settings) -> Result<Self, String> {
        shape::require_struct(input, &Value::Null, PURPOSE)?;
        let kept: Vec<_> =
            input.fields().iter().enumerate().filter(|(_, field)| settings.keeps(&field.name)).collect();
        let renamed = kept.iter().map(|(_, field)| Field {
            name: settings.renamed(&field.name).into(),
            schema: field.schema.clone(),
        });
        Ok(Self {
            schema: shape::with_fields(input, renamed.collect())?,
            kept: kept
                .iter()
                .map(|(index, field)| (*index, settings.nulls.default_of(&field.schema).cloned()))
                .collect(),
        })
    }

    fn apply(&self, fields: &mut [Value]) -> Box<[Value]> {
        let kept = self.kept.iter().map(|(index, default)| match std::mem::take(&mut fields[*index]) {
            Value::Null => default.clone().unwrap_or_default(),
            value => value,
        });
        kept.collect()
    }
}

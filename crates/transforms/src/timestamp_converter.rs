//! `org.apache.kafka.connect.transforms.TimestampConverter`: one representation of an instant into another.
//!
//! Debezium's semantic types are read in their own unit; Connect takes them all for milliseconds
//! (docs/compatibility.md).

use connect::logical::{self, DATE, TIME, TIMESTAMP, debezium};
use connect::settings::{Definition, Importance, Properties, Validator, row};
use connect::{Kind, Record, Schema, SchemaBuilder, TaskError, Transform, Value, Verdict};

use crate::java_date_format::{DateFormat, MILLIS_PER_DAY};
use crate::nulls::{self, Defaults, Nulls};
use crate::options;
use crate::part::Part;
use crate::schema_cache::SchemaCache;

const ISO_PATTERN: &str = "yyyy-MM-dd'T'HH:mm:ss";

pub(crate) struct TimestampConverter {
    part: Part,
    settings: Settings,
    plans: SchemaCache<Result<Plan, String>>,
}

struct Settings {
    field: Option<Box<str>>,
    target: Target,
    format: Option<DateFormat>,
    /// For messages.
    pattern: String,
    unit: Unit,
    nulls: Nulls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Text,
    Unix,
    Date,
    Time,
    Timestamp,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Days,
    Seconds,
    Millis,
    Micros,
    Nanos,
}

/// How a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Number(Unit),
    Text,
    /// ISO 8601 with an offset: Debezium's `ZonedTimestamp`, where no format is given.
    IsoText,
}

struct Plan {
    schema: Schema,
    /// `None`: the whole value, else the field; `Some(None)`: there is no such field.
    field: Option<Option<usize>>,
    reading: Reading,
    /// Fields of which a null becomes the default.
    defaults: Defaults,
}

pub(crate) fn definition() -> Definition {
    Definition::new(vec![
        row("field")
            .default("")
            .importance(Importance::High)
            .doc("Field with the time; empty: the whole key or value is one."),
        row("target.type")
            .required()
            .importance(Importance::High)
            .check(Validator::OneOf(&["string", "unix", "Date", "Time", "Timestamp"]))
            .doc("What it becomes: string, unix, Date, Time or Timestamp."),
        row("format")
            .default("")
            .importance(Importance::Medium)
            .check(Validator::Check(check_format))
            .doc("How text is read and written, in the letters of Java's SimpleDateFormat."),
        row("unix.precision")
            .default("milliseconds")
            .importance(Importance::Low)
            .check(Validator::OneOf(&["nanoseconds", "microseconds", "milliseconds", "seconds"]))
            .doc("Unit of unix times: seconds, milliseconds, microseconds or nanoseconds."),
        Nulls::row(),
    ])
}

fn check_format(value: Option<&str>, properties: &Properties) -> Result<(), String> {
    let text = value.unwrap_or_default();
    if text.trim().is_empty() && properties.get("target.type").is_some_and(|it| it == "string") {
        return Err("TimestampConverter requires format option to be specified when using string timestamps"
            .to_owned());
    }
    DateFormat::new(text)
        .map(drop)
        .map_err(|error| format!("Invalid value {text} for configuration format: {error}"))
}

impl TimestampConverter {
    pub(crate) fn new(part: Part, properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&definition(), properties)?;
        let pattern = properties.get("format").cloned().unwrap_or_default();
        let format = (!pattern.trim().is_empty()).then(|| DateFormat::new(&pattern)).transpose();
        let settings = Settings {
            field: resolved.text("field").filter(|name| !name.is_empty()).map(Box::from),
            target: match resolved.text("target.type").unwrap_or_default() {
                "string" => Target::Text,
                "unix" => Target::Unix,
                "Date" => Target::Date,
                "Time" => Target::Time,
                _ => Target::Timestamp,
            },
            format: format.map_err(|error| vec![error])?,
            pattern,
            unit: match resolved.text("unix.precision").unwrap_or_default() {
                "seconds" => Unit::Seconds,
                "microseconds" => Unit::Micros,
                "nanoseconds" => Unit::Nanos,
                _ => Unit::Millis,
            },
            nulls: Nulls::of(&resolved),
        };
        Ok(Self { part, settings, plans: SchemaCache::default() })
    }
}

impl Transform for TimestampConverter {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let (schema, value) = self.part.of_mut(record);
        let settings = &self.settings;
        let Some(input) = schema.as_ref() else {
            settings.apply_schemaless(value)?;
            return Ok(Verdict::Keep);
        };
        let plan = self.plans.get_or_compile(input, |input| Plan::new(input, settings));
        let plan = plan.as_ref().map_err(|error| TaskError::halt(error.clone()))?;
        plan.apply(settings, value)?;
        *schema = Some(plan.schema.clone());
        Ok(Verdict::Keep)
    }
}

impl Plan {
    fn new(input: &Schema, settings: &Settings) -> Result<Self, String> {
        let Some(name) = &settings.field else {
            let reading = settings.reading(input)?;
            let defaults = Defaults::default();
            return Ok(Self { schema: settings.target.schema(input), field: None, reading, defaults });
        };
        if !matches!(input.kind(), Kind::Struct(_)) {
            return Err(format!(
                "Only Struct objects supported for [converting timestamp formats], found: {}",
                input.kind().type_name()
            ));
        }
        let index = input.field_index(name);
        let mut fields = input.fields().to_vec();
        let mut reading = Reading::Text;
        if let Some(index) = index {
            reading = settings.reading(&fields[index].schema)?;
            fields[index].schema = settings.target.schema(&fields[index].schema);
        }
        let defaults = settings.nulls.defaults_of(input);
        let schema = input.to_builder().fields(fields).build();
        Ok(Self { schema, field: Some(index), reading, defaults })
    }

    fn apply(&self, settings: &Settings, value: &mut Value) -> Result<(), TaskError> {
        let Some(index) = self.field else { return settings.convert(self.reading, value) };
        let fields = match value {
            Value::Null => return Ok(()),
            Value::Struct(fields) => fields,
            _ => return Err(TaskError::reject("a value that is no struct stands under a struct's schema")),
        };
        nulls::fill(fields, &self.defaults);
        match index {
            Some(index) => settings.convert(self.reading, &mut fields[index]),
            None => Ok(()),
        }
    }
}

impl Target {
    /// The schema of a converted value: of the old one only `optional` is kept.
    fn schema(self, input: &Schema) -> Schema {
        let builder = match self {
            Self::Text => SchemaBuilder::string(),
            Self::Unix => SchemaBuilder::int64(),
            Self::Date => logical::date(),
            Self::Time => logical::time(),
            Self::Timestamp => logical::timestamp(),
        };
        if input.is_optional() { builder.optional().build() } else { builder.build() }
    }
}

impl Settings {
    fn reading(&self, schema: &Schema) -> Result<Reading, String> {
        Ok(match (schema.name(), schema.kind()) {
            (Some(DATE), Kind::Int32) => Reading::Number(Unit::Days),
            (Some(TIME), Kind::Int32) => Reading::Number(Unit::Millis),
            (Some(TIMESTAMP | debezium::TIMESTAMP), Kind::Int64) => Reading::Number(Unit::Millis),
            (Some(debezium::MICRO_TIMESTAMP | debezium::MICRO_TIME), Kind::Int64) => {
                Reading::Number(Unit::Micros)
            }
            (Some(debezium::NANO_TIMESTAMP | debezium::NANO_TIME), Kind::Int64) => {
                Reading::Number(Unit::Nanos)
            }
            (Some(debezium::ZONED_TIMESTAMP), Kind::String) if self.format.is_none() => Reading::IsoText,
            (_, Kind::String) => Reading::Text,
            (_, Kind::Int64) => Reading::Number(self.unit),
            (_, kind) => {
                return Err(format!(
                    "Schema Schema{{{}}} does not correspond to a known timestamp type format",
                    kind.type_name().to_uppercase()
                ));
            }
        })
    }

    fn convert(&self, reading: Reading, value: &mut Value) -> Result<(), TaskError> {
        if value.is_null() {
            return Ok(());
        }
        let millis = self.millis(reading, value)?;
        *value = match self.target {
            Target::Text => self.text(millis)?,
            Target::Unix => Value::Int64(self.unit.of_millis(millis)?),
            Target::Date => {
                let days = i32::try_from(millis.div_euclid(MILLIS_PER_DAY));
                Value::Int32(days.map_err(|_| TaskError::reject("the date is out of the range of a Date"))?)
            }
            Target::Time => Value::Int32(millis.rem_euclid(MILLIS_PER_DAY) as i32),
            Target::Timestamp => Value::Int64(millis),
        };
        Ok(())
    }

    fn millis(&self, reading: Reading, value: &Value) -> Result<i64, TaskError> {
        match (reading, value) {
            (Reading::Number(unit), number) => match number.as_i64() {
                Some(number) => unit.to_millis(number),
                None => Err(TaskError::reject("a value that is no number stands under a number's schema")),
            },
            (Reading::Text, Value::String(text)) => {
                let Some(format) = &self.format else {
                    return Err(TaskError::reject("a timestamp as a string needs the option 'format'"));
                };
                format.parse(text).ok_or_else(|| {
                    TaskError::reject(format!(
                        "Could not parse timestamp: value ({text}) does not match pattern ({})",
                        self.pattern
                    ))
                })
            }
            (Reading::IsoText, Value::String(text)) => iso_millis(text).ok_or_else(|| {
                TaskError::reject(format!("Could not parse timestamp: value ({text}) is not in ISO 8601"))
            }),
            _ => Err(TaskError::reject("a value that is no string stands under a string's schema")),
        }
    }

    fn text(&self, millis: i64) -> Result<Value, TaskError> {
        match &self.format {
            Some(format) => Ok(Value::from(format.format(millis))),
            None => Err(TaskError::halt("target.type string needs the option 'format'")),
        }
    }

    /// Data without a schema: the value says itself what it is.
    fn apply_schemaless(&self, value: &mut Value) -> Result<(), TaskError> {
        let Some(name) = &self.field else { return self.convert_schemaless(value) };
        let entries = match value {
            Value::Null => return Ok(()),
            Value::Map(entries) => entries,
            _ => {
                return Err(TaskError::reject(
                    "Only Map objects supported in absence of schema for [converting timestamp formats]",
                ));
            }
        };
        match entries.iter_mut().find(|(key, _)| key.as_str() == Some(name)) {
            Some((_, value)) => self.convert_schemaless(value),
            None => {
                let mut longer = std::mem::take(entries).into_vec();
                longer.push((Value::text(name), Value::Null));
                *entries = longer.into_boxed_slice();
                Ok(())
            }
        }
    }

    fn convert_schemaless(&self, value: &mut Value) -> Result<(), TaskError> {
        let millis = match &*value {
            Value::Null => return Ok(()),
            Value::Date(millis) => *millis,
            Value::Int64(number) => self.unit.to_millis(*number)?,
            Value::String(_) => self.millis(Reading::Text, value)?,
            _ => {
                return Err(TaskError::halt(
                    "TimestampConverter does not support objects of this type as timestamps",
                ));
            }
        };
        *value = match self.target {
            Target::Text => self.text(millis)?,
            Target::Unix => Value::Int64(self.unit.of_millis(millis)?),
            Target::Date => Value::Date(millis - millis.rem_euclid(MILLIS_PER_DAY)),
            Target::Time => Value::Date(millis.rem_euclid(MILLIS_PER_DAY)),
            Target::Timestamp => Value::Date(millis),
        };
        Ok(())
    }
}

impl Unit {
    /// Fractions are cut towards zero, as Java's `TimeUnit` does.
    fn to_millis(self, number: i64) -> Result<i64, TaskError> {
        let product = match self {
            Self::Days => number.checked_mul(MILLIS_PER_DAY),
            Self::Seconds => number.checked_mul(1000),
            Self::Millis => Some(number),
            Self::Micros => Some(number / 1000),
            Self::Nanos => Some(number / 1_000_000),
        };
        product.ok_or_else(out_of_range)
    }

    fn of_millis(self, millis: i64) -> Result<i64, TaskError> {
        let product = match self {
            Self::Days => Some(millis / MILLIS_PER_DAY),
            Self::Seconds => Some(millis / 1000),
            Self::Millis => Some(millis),
            Self::Micros => millis.checked_mul(1000),
            Self::Nanos => millis.checked_mul(1_000_000),
        };
        product.ok_or_else(out_of_range)
    }
}

fn out_of_range() -> TaskError {
    TaskError::reject("the timestamp is out of the range of its target")
}

/// `2020-01-02T03:04:05[.123456](Z|+01:00)`.
fn iso_millis(text: &str) -> Option<i64> {
    let seconds = text.get(..19)?;
    let rest = &text[19..];
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            rest.split_at(digits)
        }
        None => ("", rest),
    };
    let pattern = DateFormat::new(&format!("{ISO_PATTERN}XXX")).ok()?;
    let whole = pattern.parse(&format!("{seconds}{zone}"))?;
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    whole.checked_add(digits.parse().ok()?)
}

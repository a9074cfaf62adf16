//! What is written for the records of one schema: which fields, to which columns, in which form.
//!
//! A [`Wanted`] comes from the record's schemas alone. With the table's shape it becomes a [`Plan`], in which
//! nothing is found by name any more.

use std::sync::Arc;

use connect::{Headers, Kind, Record, Schema, SchemaBuilder, Value};
use pg::catalog::Generated;

use crate::routing::unquoted;
use crate::settings::{Flavour, InsertMode, KeyMode, Quoting, Settings, TimestampFields};
use crate::table_shape::TableShape;
use crate::values::{Conversion, Meaning, Reading, Unit, Wire, choose};

/// Where the row lies in a record's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// There is none: a tombstone.
    None,
    /// The value is the row.
    Flat,
    /// The value is a change event; places of its fields.
    Envelope { before: Option<usize>, after: Option<usize>, source: Option<usize>, op: usize },
    /// The value is one string for one column.
    Whole,
}

/// Where a column's value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    Key(usize),
    /// The key is a primitive.
    KeyWhole,
    Row(usize),
    /// The value is a string.
    ValueWhole,
    Header(Arc<str>),
    Topic,
    Partition,
    Offset,
}

/// A field that is to be written.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The column's name as the catalogue has it.
    pub column: String,
    pub schema: Schema,
    pub meaning: Meaning,
    pub source: Source,
}

/// What a record's schemas ask for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Names of the row's columns in the order of the row.
    row: Vec<String>,
    pub body: Body,
    pub key: Vec<Wish>,
    pub values: Vec<Wish>,
}

pub const NO_KEY_SCHEMA: &str = "the key has no schema, but the primary key is to come from it";

const KAFKA_COLUMNS: [&str; 3] = ["__connect_topic", "__connect_partition", "__connect_offset"];

/// Recognises a change event by its schema.
pub fn body_of(settings: &Settings, record: &Record) -> Result<Body, String> {
    let Some(schema) = &record.value_schema else {
        return if record.value.is_null() {
            Ok(Body::None)
        } else {
            Err("the value has no schema; a sink needs one: set value.converter.schemas.enable=true on both sides, or \
                 use Avro"
                .to_owned())
        };
    };
    match schema.kind() {
        Kind::Struct(_) => Ok(envelope(schema).unwrap_or(Body::Flat)),
        Kind::String if settings.string_column.is_some() => Ok(Body::Whole),
        // A key without anything else is a tombstone whatever the schema says.
        _ if record.value.is_null() => Ok(Body::None),
        other => Err(format!("the value is not a struct but of type {}", other.type_name())),
    }
}

fn envelope(schema: &Schema) -> Option<Body> {
    let op = schema.field_index("op")?;
    let (before, after) = (schema.field_index("before"), schema.field_index("after"));
    let source = schema.field_index("source");
    let named = schema.name().is_some_and(|name| name.ends_with(".Envelope"));
    let is_row = |place: Option<usize>| {
        place.is_some_and(|place| matches!(schema.fields()[place].schema.kind(), Kind::Struct(_)))
    };
    let whole = before.is_some() && source.is_some() && is_row(after);
    ((named && (is_row(after) || is_row(before))) || whole).then_some(Body::Envelope {
        before,
        after,
        source,
        op,
    })
}

impl Body {
    /// Whether the record is an event that empties the table.
    pub fn is_truncate(&self, record: &Record) -> bool {
        let Self::Envelope { op, .. } = self else { return false };
        record.value.as_struct().and_then(|event| event.get(*op)?.as_str()) == Some("t")
    }
}

/// The schema of the row inside of the value.
fn row_schema(body: &Body, value: Option<&Schema>) -> Option<Schema> {
    match body {
        Body::Flat => value.cloned(),
        Body::Envelope { before, after, .. } => Some(value?.fields()[(*after).or(*before)?].schema.clone()),
        Body::None | Body::Whole => None,
    }
}

impl Wanted {
    /// # Errors
    /// Why the record cannot be written, whatever the table looks like.
    pub fn of(settings: &Settings, record: &Record, body: Body) -> Result<Self, String> {
        let row = row_schema(&body, record.value_schema.as_ref());
        let maker = Maker { settings, topic: &record.topic };
        let key = match settings.key_mode {
            KeyMode::None => vec![],
            _ if body.is_truncate(record) => vec![],
            KeyMode::Kafka => maker.kafka(),
            KeyMode::RecordKey => maker.record_key(record.key_schema.as_ref())?,
            KeyMode::RecordValue => row.as_ref().map_or(Ok(vec![]), |row| maker.record_value(row))?,
            KeyMode::RecordHeader => maker.record_header(&record.headers)?,
        };
        let mut values = vec![];
        match (&body, &settings.string_column) {
            (Body::Whole, Some(column)) => {
                values.push(maker.wish(column, &SchemaBuilder::string().build(), Source::ValueWhole));
            }
            _ => {
                for (place, field) in row.iter().flat_map(Schema::fields).enumerate() {
                    if settings.fields.keeps_value(&record.topic, &field.name) {
                        values.push(maker.wish(&field.name, &field.schema, Source::Row(place)));
                    }
                }
            }
        }
        values.retain(|wish| key.iter().all(|key: &Wish| key.column != wish.column));
        let names = row.iter().flat_map(Schema::fields);
        let row = names.map(|field| unquoted(settings.quoting, &field.name)).collect();
        let wanted = Self { row, body, key, values };
        if !wanted.body.is_truncate(record) {
            wanted.check(settings)?;
        }
        Ok(wanted)
    }

    /// Place of a column in the row, for key columns that the row has too.
    pub fn row_place(&self, column: &str) -> Option<usize> {
        self.row.iter().position(|name| name == column)
    }

    fn check(&self, settings: &Settings) -> Result<(), String> {
        if self.key.is_empty() && settings.key_mode != KeyMode::None && self.body != Body::None {
            return Err("no field of the record is a key, by the options for the primary key and the fields"
                .to_owned());
        }
        if self.key.is_empty() && self.values.is_empty() && self.body != Body::None {
            return Err("no field of the record is to be written, by the options for the fields".to_owned());
        }
        if settings.insert_mode == InsertMode::Upsert && self.key.is_empty() && self.body != Body::None {
            return Err("upserts need a key".to_owned());
        }
        Ok(())
    }
}

struct Maker<'a> {
    settings: &'a Settings,
    topic: &'a str,
}

impl Maker<'_> {
    fn wish(&self, field: &str, schema: &Schema, source: Source) -> Wish {
        let TimestampFields { names, nanoseconds } = &self.settings.timestamp_fields;
        let meaning = match schema.kind() {
            Kind::Int64 if names.iter().any(|name| name == field) => {
                let unit = if *nanoseconds { Unit::Nanos } else { Unit::Micros };
                Meaning::timestamp(unit)
            }
            _ => Meaning::of(schema),
        };
        Wish { column: unquoted(self.settings.quoting, field), schema: schema.clone(), meaning, source }
    }

    fn kafka(&self) -> Vec<Wish> {
        let given = &self.settings.key_fields;
        let name = |at: usize| if given.len() == 3 { given[at].as_str() } else { KAFKA_COLUMNS[at] };
        vec![
            self.wish(name(0), &SchemaBuilder::string().build(), Source::Topic),
            self.wish(name(1), &SchemaBuilder::int32().build(), Source::Partition),
            self.wish(name(2), &SchemaBuilder::int64().build(), Source::Offset),
        ]
    }

    fn record_key(&self, schema: Option<&Schema>) -> Result<Vec<Wish>, String> {
        let schema = schema.ok_or(NO_KEY_SCHEMA)?;
        match schema.kind() {
            Kind::Struct(_) => Ok(self.chosen(schema, Source::Key)),
            Kind::Array(_) | Kind::Map { .. } => {
                Err("the key is neither a struct nor a primitive".to_owned())
            }
            _ => match &*self.settings.key_fields {
                [only] => Ok(vec![self.wish(only, schema, Source::KeyWhole)]),
                _ => {
                    Err("the key is a primitive: name exactly one column for it in the primary key's fields"
                        .to_owned())
                }
            },
        }
    }

    fn record_value(&self, row: &Schema) -> Result<Vec<Wish>, String> {
        Ok(self.chosen(row, Source::Row))
    }

    /// The fields that the options name, or all.
    fn chosen(&self, schema: &Schema, source: fn(usize) -> Source) -> Vec<Wish> {
        let names = &self.settings.key_fields;
        let mut wishes: Vec<_> = schema
            .fields()
            .iter()
            .enumerate()
            .filter(|(_, field)| names.is_empty() || names.iter().any(|name| **name == *field.name))
            .filter(|(_, field)| self.settings.fields.keeps_key(self.topic, &field.name))
            .map(|(place, field)| (names.iter().position(|name| **name == *field.name), place, field))
            .collect();
        wishes.sort_by_key(|(order, place, _)| (*order, *place));
        wishes
            .into_iter()
            .map(|(_, place, field)| self.wish(&field.name, &field.schema, source(place)))
            .collect()
    }

    fn record_header(&self, headers: &Headers) -> Result<Vec<Wish>, String> {
        let names = &self.settings.key_fields;
        let wanted = |key: &str| {
            !key.starts_with("__debezium.context")
                && (names.is_empty() || names.iter().any(|name| name == key))
        };
        headers
            .iter()
            .filter(|header| wanted(&header.key))
            .map(|header| {
                let schema = header
                    .schema
                    .as_ref()
                    .ok_or_else(|| format!("the header \"{}\" has no schema", header.key))?;
                Ok(self.wish(&header.key, schema, Source::Header(header.key.clone())))
            })
            .collect()
    }
}

/// One column of a plan.
#[derive(Clone, Debug)]
pub struct Slot {
    pub source: Source,
    /// Index into the shape's columns.
    pub column: usize,
    pub conversion: Conversion,
    pub wire: Wire,
    pub cast: Option<String>,
    /// What a null becomes.
    pub default: Option<Value>,
}

/// The columns that a set of statements writes, and how their parameters are typed. Records of several plans can
/// share one.
#[derive(Debug)]
pub struct Signature {
    pub table: usize,
    pub key_count: usize,
    /// Key columns first.
    pub columns: Vec<Parameter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Parameter {
    pub column: usize,
    pub wire: Wire,
    pub cast: Option<String>,
}

/// How the records of one topic and schema are written.
#[derive(Debug)]
pub struct Plan {
    pub shape: Arc<TableShape>,
    pub body: Body,
    /// Key columns first, in the order of the signature.
    pub slots: Vec<Slot>,
    pub signature: Arc<Signature>,
    /// The signature of its deletes: the key alone.
    pub key_signature: Arc<Signature>,
    /// Slots whose value may be the placeholder for "not sent".
    pub toastable: Vec<usize>,
}

/// A column of the table for a wish, by the connector's way of comparing names.
pub fn find_column(settings: &Settings, shape: &TableShape, wish: &Wish) -> Option<usize> {
    shape.column(&wish.column).or_else(|| match (settings.flavour, settings.quoting) {
        (Flavour::Debezium, Quoting::Always) => None,
        _ => shape.column_ignoring_case(&wish.column),
    })
}

impl Plan {
    /// All columns must be there.
    ///
    /// # Errors
    /// A field has no form that its column can take.
    pub fn of(
        settings: &Settings,
        table: usize,
        shape: &Arc<TableShape>,
        wanted: &Wanted,
        intern: &mut impl FnMut(Signature) -> Arc<Signature>,
    ) -> Result<Self, String> {
        let mut key = vec![];
        for wish in &wanted.key {
            key.push(slot(settings, shape, wish, wish.schema.default().cloned())?);
        }
        let mut values = vec![];
        for wish in &wanted.values {
            let default =
                settings.null_becomes_default.is_on().then(|| wish.schema.default().cloned()).flatten();
            let slot = slot(settings, shape, wish, default)?;
            // The server computes these; two fields for one column (in another case) cannot both be written.
            if shape.columns[slot.column].generated != Generated::Expression
                && key.iter().chain(&values).all(|other: &Slot| other.column != slot.column)
            {
                values.push(slot);
            }
        }
        values.sort_by_key(|slot| slot.column);
        let key_count = key.len();
        let slots: Vec<Slot> = key.into_iter().chain(values).collect();
        let parameters = |slots: &[Slot]| -> Vec<Parameter> {
            slots
                .iter()
                .map(|slot| Parameter { column: slot.column, wire: slot.wire, cast: slot.cast.clone() })
                .collect()
        };
        let toastable = (key_count..slots.len()).filter(|place| is_toastable(&slots[*place])).collect();
        Ok(Self {
            shape: shape.clone(),
            body: wanted.body.clone(),
            signature: intern(Signature { table, key_count, columns: parameters(&slots) }),
            key_signature: intern(Signature { table, key_count, columns: parameters(&slots[..key_count]) }),
            slots,
            toastable,
        })
    }

    pub fn key(&self) -> &[Slot] {
        &self.slots[..self.signature.key_count]
    }

    /// The row of a record; empty where there is none.
    pub fn row<'a>(&self, record: &'a Record) -> &'a [Value] {
        match &self.body {
            Body::Flat => record.value.as_struct().unwrap_or(&[]),
            Body::Envelope { after, .. } => {
                let event = record.value.as_struct().unwrap_or(&[]);
                after.and_then(|place| event.get(place)?.as_struct()).unwrap_or(&[])
            }
            Body::None | Body::Whole => &[],
        }
    }
}

fn slot(
    settings: &Settings,
    shape: &TableShape,
    wish: &Wish,
    default: Option<Value>,
) -> Result<Slot, String> {
    let column = find_column(settings, shape, wish)
        .ok_or_else(|| format!("the table {} has no column \"{}\"", shape.quoted, wish.column))?;
    let reading = Reading {
        time: settings.zone.clone(),
        date: settings.date_zone.clone(),
        binary_text: settings.binary_text,
    };
    let target = &shape.columns[column].target;
    let chosen = choose(&wish.schema, &wish.meaning, target, &reading).ok_or_else(|| {
        format!(
            "a value of type {}{} cannot be written to column \"{}\" of type {}",
            wish.schema.kind().type_name(),
            wish.schema.name().map(|name| format!(" ({name})")).unwrap_or_default(),
            wish.column,
            target.type_name
        )
    })?;
    Ok(Slot {
        source: wish.source.clone(),
        column,
        conversion: chosen.conversion,
        wire: chosen.wire,
        cast: chosen.cast,
        default,
    })
}

/// Fixed-length types are never stored out of line, and so are always sent.
fn is_toastable(slot: &Slot) -> bool {
    matches!(slot.source, Source::Row(_))
        && matches!(
            slot.conversion,
            Conversion::Text
                | Conversion::Bytes
                | Conversion::BinaryText(_)
                | Conversion::Jsonb
                | Conversion::Json(..)
                | Conversion::AsText(_)
        )
}

impl Slot {
    /// Appends the record's value for this column.
    pub fn append(
        &self,
        record: &Record,
        row: &[Value],
        out: &mut Vec<u8>,
    ) -> Result<(), crate::values::ValueError> {
        let value = match &self.source {
            Source::Row(place) => row.get(*place),
            Source::Key(place) => record.key.as_struct().and_then(|fields| fields.get(*place)),
            Source::KeyWhole => Some(&record.key),
            Source::ValueWhole => Some(&record.value),
            Source::Header(name) => record.headers.last(name).map(|header| &header.value),
            Source::Topic | Source::Partition | Source::Offset => {
                return self.conversion.append(&self.coordinate(record), out);
            }
        };
        match (value, &self.default) {
            (None | Some(Value::Null), Some(default)) => self.conversion.append(default, out),
            (value, _) => self.conversion.append(value.unwrap_or(&Value::Null), out),
        }
    }

    fn coordinate(&self, record: &Record) -> Value {
        match (record.kafka_origin(), &self.source) {
            (Some(origin), Source::Topic) => Value::text(&origin.topic),
            (Some(origin), Source::Partition) => Value::Int32(origin.partition),
            (Some(origin), _) => Value::Int64(origin.offset),
            (None, _) => Value::Null,
        }
    }
}

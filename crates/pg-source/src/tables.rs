//! What a table looks like at a point of the WAL, compiled into schemas and a plan to decode its rows.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use connect::{Buffer, Schema, SchemaBuilder, Text, Value};
use pg::catalog::{self, Generated, TypeInfo};
use pg::pgoutput::{Datum, DatumKind, Relation};

use crate::column_mappers::{self, Mapping, Named};
use crate::envelope;
use crate::naming;
use crate::settings::{Compat, ConvertingFailure, Settings};
use crate::values::{self, ConversionFailure, Decoder};

/// One version of a captured table.
#[derive(Debug)]
pub struct Table {
    pub schema: Text,
    pub name: Text,
    pub topic: Arc<str>,
    pub columns: Vec<Column>,
    pub key: Option<Key>,
    /// Of the value: before, after, source and the rest.
    pub envelope: Schema,
    /// Old rows hold the whole key.
    pub identity_has_key: bool,
    /// Updates that change nothing of this are not sent.
    pub skips_unchanged: bool,
    /// Its new rows are signals.
    pub is_signals: bool,
    on_failure: ConvertingFailure,
}

/// How a column's value is made.
#[derive(Debug)]
pub struct Column {
    pub name: Arc<str>,
    /// Place in the tuple.
    source: usize,
    decoder: Decoder,
    required: bool,
    /// A rule changes its values, or its schema: the key has them as they are.
    is_mapped: bool,
    /// Stands for NULL; not null itself where the column is NOT NULL.
    null: Value,
    /// Stands for a value that was not sent; `None`: none fits the type.
    placeholder: Option<Value>,
    /// One warning for each column is enough.
    warned: AtomicBool,
}

#[derive(Debug)]
pub struct Key {
    pub schema: Schema,
    parts: Vec<KeyPart>,
}

#[derive(Debug)]
enum KeyPart {
    /// The value of this field of the row.
    Field(usize),
    /// A column that the row leaves out, or changes.
    Own(Column),
    /// The same for all rows.
    Constant(Value),
}

/// The row cannot become an event.
#[derive(Debug)]
pub struct RowError {
    pub column: Arc<str>,
    pub failure: ConversionFailure,
    pub kind: RowErrorKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowErrorKind {
    /// `event.converting.failure.handling.mode` is `fail`.
    Conversion,
    /// The value cannot be converted, and the column cannot be null.
    Unprocessable,
    KeyMissing,
}

impl RowError {
    /// The old row does not hold the key.
    pub fn key_missing() -> Self {
        Self {
            column: "key".into(),
            failure: ConversionFailure("the replica identity does not hold the key"),
            kind: RowErrorKind::KeyMissing,
        }
    }

    /// The statement that repairs it, where one does.
    pub fn hint(&self, table: &Table) -> Option<String> {
        (self.kind == RowErrorKind::KeyMissing).then(|| {
            format!(
                "run ALTER TABLE {} REPLICA IDENTITY DEFAULT, or set event.processing.failure.handling.mode to warn or \
                 skip to go on without such deletes",
                pg::quote::qualified(&table.schema, &table.name)
            )
        })
    }
}

impl std::fmt::Display for RowError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.column, self.failure)
    }
}

/// A tuple and the buffer that its ranges refer to.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    pub tuple: &'a [Datum],
    pub buffer: &'a Buffer,
}

impl Table {
    /// The values of a row in the order of its schema. `before` has the values that were not sent again.
    #[inline]
    pub fn values(&self, row: Row<'_>, before: Option<Row<'_>>) -> Result<Box<[Value]>, RowError> {
        let mut values = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            values.push(column.value(row, before, self.on_failure)?);
        }
        Ok(values.into_boxed_slice())
    }

    /// The key of a row whose values are known.
    pub fn key_of(&self, values: &[Value], row: Row<'_>) -> Result<Value, RowError> {
        let Some(key) = &self.key else { return Ok(Value::Null) };
        let mut parts = Vec::with_capacity(key.parts.len());
        for part in &key.parts {
            parts.push(match part {
                KeyPart::Field(index) => values[*index].clone(),
                KeyPart::Own(column) => column.value(row, None, self.on_failure)?,
                KeyPart::Constant(value) => value.clone(),
            });
        }
        Ok(Value::Struct(parts.into_boxed_slice()))
    }

    pub fn key_schema(&self) -> Option<Schema> {
        self.key.as_ref().map(|key| key.schema.clone())
    }

    /// Takes over the schemas of an older version where they are equal, so that caches by identity stay warm.
    pub fn keep_identity(&mut self, older: &Self) {
        if self.envelope == older.envelope {
            self.envelope = older.envelope.clone();
        }
        if let (Some(key), Some(old)) = (&mut self.key, &older.key)
            && key.schema == old.schema
        {
            key.schema = old.schema.clone();
        }
        if self.topic == older.topic {
            self.topic = older.topic.clone();
        }
    }
}

impl Column {
    #[inline]
    fn value(
        &self,
        row: Row<'_>,
        before: Option<Row<'_>>,
        mode: ConvertingFailure,
    ) -> Result<Value, RowError> {
        // A column that came after this row was written.
        let datum = row.tuple.get(self.source).copied().unwrap_or(Datum::NULL);
        match datum.kind {
            DatumKind::Text => self.decode(row.buffer, datum.range(), mode),
            DatumKind::Null => Ok(self.null.clone()),
            DatumKind::Unchanged => self.unchanged(before, mode),
            DatumKind::Binary => self.failed(ConversionFailure("a binary value was not asked for"), mode),
        }
    }

    #[inline]
    fn decode(
        &self,
        buffer: &Buffer,
        range: Range<usize>,
        mode: ConvertingFailure,
    ) -> Result<Value, RowError> {
        match self.decoder.decode(buffer, range) {
            Ok(value) => Ok(value),
            Err(failure) => self.failed(failure, mode),
        }
    }

    #[cold]
    fn unchanged(&self, before: Option<Row<'_>>, mode: ConvertingFailure) -> Result<Value, RowError> {
        if let Some(row) = before
            && let Some(datum) = row.tuple.get(self.source)
            && datum.kind == DatumKind::Text
        {
            return self.decode(row.buffer, datum.range(), mode);
        }
        match &self.placeholder {
            Some(placeholder) => Ok(placeholder.clone()),
            None => self.failed(
                ConversionFailure("an unchanged value was not sent, and its type has no placeholder"),
                mode,
            ),
        }
    }

    #[cold]
    fn failed(&self, failure: ConversionFailure, mode: ConvertingFailure) -> Result<Value, RowError> {
        let error = |kind| Err(RowError { column: self.name.clone(), failure, kind });
        if mode == ConvertingFailure::Fail {
            return error(RowErrorKind::Conversion);
        }
        if mode == ConvertingFailure::Warn && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(column = %self.name, reason = failure.0, "value could not be converted and is sent as null");
        }
        if self.required { error(RowErrorKind::Unprocessable) } else { Ok(Value::Null) }
    }
}

/// A column as it comes in, from a relation message or the catalogue.
struct Incoming<'a> {
    name: &'a str,
    type_oid: u32,
    typmod: i32,
    identity: bool,
}

/// What a table's plan is made of.
pub struct Compiler<'a> {
    pub settings: &'a Settings,
    pub types: &'a HashMap<u32, TypeInfo>,
    /// The source block and the transaction block, shared by all envelopes.
    pub source_schema: &'a Schema,
    pub transaction_schema: &'a Schema,
}

impl Compiler<'_> {
    /// From a relation message: the types are the message's, the rest is the catalogue's where it still has it.
    pub fn relation(&self, relation: &Relation, table: Option<&catalog::Table>) -> Table {
        let columns: Vec<_> = relation
            .columns
            .iter()
            .map(|column| Incoming {
                name: &column.name,
                type_oid: column.type_oid,
                typmod: column.typmod,
                identity: column.key,
            })
            .collect();
        self.compile((&relation.schema, &relation.name), &columns, table)
    }

    /// From the catalogue alone, as the snapshot reads it; with the columns that it must select.
    pub fn catalogue<'t>(&'t self, table: &'t catalog::Table) -> (Table, Vec<&'t str>) {
        let all: Vec<_> = table
            .columns
            .iter()
            .map(|column| Incoming { name: &column.name, type_oid: 0, typmod: 0, identity: true })
            .collect();
        let key = self.key_names(&all, Some(table), (&table.schema, &table.name), self.settings.compat);
        let taken = |name: &str| self.settings.filters.takes_column(&table.schema, &table.name, name);
        let columns: Vec<_> = table
            .columns
            .iter()
            .filter(|column| taken(&column.name) || key.contains(&column.name.as_str()))
            .map(|column| Incoming {
                name: &column.name,
                type_oid: column.type_oid,
                typmod: column.typmod,
                identity: true,
            })
            .collect();
        let names = columns.iter().map(|column| column.name).collect();
        (self.compile((&table.schema, &table.name), &columns, Some(table)), names)
    }

    /// Columns by which the table's rows are told apart; none where nothing does.
    pub fn key_columns<'t>(&'t self, table: &'t catalog::Table) -> Vec<&'t str> {
        let all: Vec<_> = table
            .columns
            .iter()
            .map(|column| Incoming { name: &column.name, type_oid: 0, typmod: 0, identity: true })
            .collect();
        self.key_names(&all, Some(table), (&table.schema, &table.name), Compat::V36)
    }

    fn compile(
        &self,
        (schema, name): (&str, &str),
        incoming: &[Incoming<'_>],
        catalogue: Option<&catalog::Table>,
    ) -> Table {
        let settings = self.settings;
        let topic = settings.topics.topic(schema, name);
        let mut columns = vec![];
        let mut row = SchemaBuilder::structure()
            .name(naming::schema_name(&format!("{topic}.Value"), settings.schema_names))
            .optional();
        for (source, column) in incoming.iter().enumerate() {
            if !settings.filters.takes_column(schema, name, column.name) {
                continue;
            }
            if let Some((field, plan)) = self.column(source, column, catalogue, Some((schema, name))) {
                row = row.field(naming::field_name(column.name, settings.field_names), field);
                columns.push(plan);
            }
        }
        let names = self.key_names(incoming, catalogue, (schema, name), settings.compat);
        let key = self.key(KeyParts {
            topic: &topic,
            incoming,
            catalogue,
            names: &names,
            columns: &columns,
            row: row.clone().build(),
            field: settings.topics.key_field(schema, name),
        });
        Table {
            skips_unchanged: settings.skip_unchanged,
            is_signals: settings.signals.is_table(schema, name),
            // What an index only carries is not a part of the identity.
            identity_has_key: self
                .key_names(incoming, catalogue, (schema, name), Compat::V36)
                .iter()
                .all(|name| incoming.iter().any(|column| column.identity && column.name == *name)),
            envelope: envelope::schema(
                &naming::schema_name(&format!("{topic}.Envelope"), settings.schema_names),
                &row.build(),
                self.source_schema,
                self.transaction_schema,
                settings.compat,
            ),
            schema: schema.into(),
            name: name.into(),
            topic: topic.into(),
            columns,
            key,
            on_failure: settings.values.on_failure,
        }
    }

    fn column(
        &self,
        source: usize,
        column: &Incoming<'_>,
        catalogue: Option<&catalog::Table>,
        mapped_in: Option<(&str, &str)>,
    ) -> Option<(Schema, Column)> {
        let modes = &self.settings.values;
        let mapped = values::map_column(column.type_oid, column.typmod, self.types, modes)?;
        let mapping = mapped_in.and_then(|table| self.mapping(table, column));
        let known = catalogue.and_then(|table| table.column(column.name));
        let required = known.is_some_and(|column| column.not_null);
        let default = known
            .filter(|column| column.generated == Generated::Never)
            .and_then(|column| column.default.as_deref())
            .and_then(|expression| {
                values::default_value(expression, &mapped, self.types, self.settings.compat)
            });
        let null = match (&default, required) {
            (_, false) => Value::Null,
            (Some(default), true) => default.clone(),
            (None, true) => mapped.zero.clone(),
        };
        let mut field = mapped.schema.clone();
        if !required {
            field = field.optional();
        }
        if let Some(default) = default {
            field = field.default(default);
        }
        let mut plan = Column {
            name: column.name.into(),
            source,
            placeholder: values::placeholder(mapped.base_oid, &mapped.decoder, modes),
            decoder: mapped.decoder,
            required,
            is_mapped: mapping.is_some(),
            null,
            warned: AtomicBool::new(false),
        };
        if let Some(mapping) = mapping {
            field = self.apply(mapping, column, (mapped.base_oid, mapped.typmod), field, &mut plan);
        }
        Some((field.build(), plan))
    }

    fn type_name(&self, oid: u32) -> &str {
        self.types.get(&oid).map_or("", |info| &info.name)
    }

    fn mapping(&self, (schema, table): (&str, &str), column: &Incoming<'_>) -> Option<&Mapping> {
        let type_name = self.type_name(column.type_oid);
        self.settings.mappers.of(Named { schema, table, column: column.name, type_name })
    }

    /// What a rule does to a column: parameters of its schema, and the values on their way.
    fn apply(
        &self,
        mapping: &Mapping,
        column: &Incoming<'_>,
        (base_oid, typmod): (u32, i32),
        mut field: SchemaBuilder,
        plan: &mut Column,
    ) -> SchemaBuilder {
        let is_enum =
            matches!(self.types.get(&base_oid).map(|info| &info.kind), Some(catalog::TypeKind::Enum(_)));
        let (length, scale) = values::dimensions(base_oid, typmod);
        let change = column_mappers::Change::new(mapping, base_oid, is_enum, length);
        match mapping {
            Mapping::Mask(_) | Mapping::Hash(_) => {
                field = field.parameter("masked", "true");
                if change.is_none() {
                    tracing::warn!(column = %column.name, "a column that is not text cannot be masked: its values are sent");
                }
            }
            Mapping::Truncate(max) if change.is_some() => {
                field = field.parameter("truncateLength", max.to_string());
            }
            Mapping::Truncate(_) => {}
            Mapping::Propagate => {
                let name = |part: &str| format!("__debezium.source.column.{part}");
                field = field
                    .parameter(name("type"), self.type_name(column.type_oid).to_uppercase())
                    .parameter(name("length"), length.to_string())
                    .parameter(name("scale"), scale.to_string());
                if self.settings.compat > Compat::V19 {
                    field = field.parameter(name("name"), column.name);
                }
            }
        }
        if let Some(change) = change {
            // Nothing of the value is in the placeholder: cut or hashed, nobody would know it for one. A mask is a mask.
            if matches!(mapping, Mapping::Mask(_)) {
                plan.placeholder = Some(change.apply(Value::Null));
            }
            plan.null = change.apply(std::mem::replace(&mut plan.null, Value::Null));
            let decoder = std::mem::replace(&mut plan.decoder, Decoder::Boolean);
            plan.decoder = Decoder::Changed(Box::new((decoder, change)));
        }
        field
    }

    fn key(&self, of: KeyParts<'_>) -> Option<Key> {
        let settings = self.settings;
        let mut parts = vec![];
        let mut schema = SchemaBuilder::structure()
            .name(naming::schema_name(&format!("{}.Key", of.topic), settings.schema_names));
        for name in of.names {
            let field_name = naming::field_name(name, settings.field_names);
            let at = of.columns.iter().position(|column| &*column.name == *name);
            if let Some(index) = at.filter(|index| !of.columns[*index].is_mapped) {
                schema = schema.field(field_name, of.row.fields()[index].schema.clone());
                parts.push(KeyPart::Field(index));
                continue;
            }
            let source = of.incoming.iter().position(|column| column.name == *name)?;
            // As the reference writes it: of a column that is filtered out only the type is known.
            let catalogue = of.catalogue.filter(|_| at.is_some());
            let Some((field, plan)) = self.column(source, &of.incoming[source], catalogue, None) else {
                continue;
            };
            schema = schema.field(field_name, field);
            parts.push(KeyPart::Own(plan));
        }
        if parts.is_empty() {
            return None;
        }
        if let Some((name, value)) = of.field {
            schema =
                schema.field(naming::field_name(name, settings.field_names), SchemaBuilder::string().build());
            parts.push(KeyPart::Constant(Value::String(value.into())));
        }
        Some(Key { schema: schema.build(), parts })
    }

    /// Columns of the key: those that the user chose, or the table's own.
    fn key_names<'a>(
        &'a self,
        incoming: &[Incoming<'a>],
        catalogue: Option<&'a catalog::Table>,
        (schema, name): (&str, &str),
        compat: Compat,
    ) -> Vec<&'a str> {
        let mut chosen = self.settings.key_columns.of(schema, name);
        chosen.retain(|name| incoming.iter().any(|column| column.name == *name));
        if chosen.is_empty() { key_names(incoming, catalogue, compat) } else { chosen }
    }
}

/// What a key is made of.
struct KeyParts<'a> {
    topic: &'a str,
    incoming: &'a [Incoming<'a>],
    catalogue: Option<&'a catalog::Table>,
    names: &'a [&'a str],
    columns: &'a [Column],
    /// The row's schema.
    row: Schema,
    /// What is added to the key.
    field: Option<(&'a str, String)>,
}

/// Columns of the key: the primary key, else the first unique index by name, else what the relation marks.
fn key_names<'a>(
    incoming: &[Incoming<'a>],
    catalogue: Option<&'a catalog::Table>,
    compat: Compat,
) -> Vec<&'a str> {
    let present = |name: &str| incoming.iter().any(|column| column.name == name);
    let Some(table) = catalogue else {
        let marked: Vec<_> = incoming.iter().filter(|column| column.identity).collect();
        // Identity FULL marks every column, which is no key.
        if marked.len() == incoming.len() && incoming.len() > 1 {
            return vec![];
        }
        return marked.iter().map(|column| column.name).collect();
    };
    let unique = table.unique_indexes.iter().chain(&table.partial_unique_indexes);
    let index = table.primary_key().or_else(|| unique.min_by(|a, b| a.name.cmp(&b.name)));
    let names: Option<Vec<&str>> = index
        .into_iter()
        .flat_map(|index| {
            // Versions before took the columns that the index only carries for a part of the key.
            let carried = if compat < Compat::V36 { index.included.as_slice() } else { &[] };
            index.attnums.iter().chain(carried)
        })
        .map(|attnum| table.column_at(*attnum).map(|column| column.name.as_str()))
        .collect();
    names.filter(|names| names.iter().all(|name| present(name))).unwrap_or_default()
}

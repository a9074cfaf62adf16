//! `io.debezium.transforms.ExtractSchemaToNewRecord`: the table's columns, as the database knows them, in each event.

use connect::settings::Properties;
use connect::{Field, Kind, Record, Schema, SchemaBuilder, TaskError, Transform, Value, Verdict};

use crate::envelope::{AFTER, BEFORE, SOURCE, is_envelope};
use crate::schema_cache::SchemaCache;
use crate::schema_name::Adjustment;
use crate::shape;

const ADDED: &str = "sourceSchema";
const NAME: &str = "__debezium.source.column.name";
const TYPE: &str = "__debezium.source.column.type";
const LENGTH: &str = "__debezium.source.column.length";
const SCALE: &str = "__debezium.source.column.scale";
const COMMENT: &str = "__debezium.source.column.comment";

pub(crate) struct ExtractSchemaToNewRecord {
    plans: SchemaCache<Option<Result<Plan, String>>>,
}

struct Plan {
    before: usize,
    after: usize,
    /// The table's name in the envelope.
    table: (usize, usize),
    schema: Schema,
    columns: Value,
}

pub(crate) fn definition() -> connect::settings::Definition {
    connect::settings::Definition::new(vec![Adjustment::row()])
}

impl ExtractSchemaToNewRecord {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        crate::options::resolve(&definition(), properties)?;
        Ok(Self { plans: SchemaCache::default() })
    }
}

impl Transform for ExtractSchemaToNewRecord {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let (Some(schema), Value::Struct(fields)) = (&record.value_schema, &mut record.value) else {
            return Ok(Verdict::Keep);
        };
        let Some(plan) = self.plans.get_or_compile(schema, Plan::new) else { return Ok(Verdict::Keep) };
        if let Ok(plan) = plan
            && fields[plan.before].is_null()
            && fields[plan.after].is_null()
        {
            return Ok(Verdict::Keep);
        }
        let plan = shape::planned(plan)?;
        let table = fields[plan.table.0].as_struct().map(|source| source[plan.table.1].clone());
        let mut longer = std::mem::take(fields).into_vec();
        let columns = Value::Struct(Box::new([plan.columns.clone()]));
        longer.push(Value::Struct(Box::new([table.unwrap_or_default(), columns])));
        *fields = longer.into_boxed_slice();
        record.value_schema = Some(plan.schema.clone());
        Ok(Verdict::Keep)
    }
}

impl Plan {
    fn new(schema: &Schema) -> Option<Result<Self, String>> {
        if !is_envelope(schema) {
            return None;
        }
        let (before, after) = (schema.field_index(BEFORE)?, schema.field_index(AFTER)?);
        let source = schema.field_index(SOURCE)?;
        let table = schema.fields()[source].schema.field_index("table")?;
        Some(Self::of_table(schema, before, after, (source, table)))
    }

    fn of_table(schema: &Schema, before: usize, after: usize, table: (usize, usize)) -> Result<Self, String> {
        let row = &schema.fields()[after].schema;
        let columns = row.fields().iter().map(column).collect::<Result<_, _>>()?;
        let mut fields = schema.fields().to_vec();
        fields.push(Field { name: ADDED.into(), schema: added_schema() });
        shape::check_unique(&fields)?;
        let kind = Kind::Struct(fields.into_boxed_slice());
        let mut builder = shape::basics(schema, kind);
        if schema.is_optional() {
            builder = builder.optional();
        }
        Ok(Self { before, after, table, schema: builder.build(), columns: Value::Array(columns) })
    }
}

fn column(field: &Field) -> Result<Value, String> {
    let text = |name: &str| field.schema.parameter(name);
    let (Some(name), Some(type_name)) = (text(NAME), text(TYPE)) else {
        return Err("Ensure that enable configurations \"column.propagate.source.type\" or \
                    \"datatype.propagate.source.type\" and the value is set to \".*\""
            .to_owned());
    };
    let number = |name: &str| Value::from(text(name).and_then(|text| text.parse::<i32>().ok()));
    Ok(Value::Struct(Box::new([
        Value::text(name),
        Value::text(type_name),
        number(LENGTH),
        number(SCALE),
        Value::from(text(COMMENT)),
    ])))
}

fn added_schema() -> Schema {
    let column = SchemaBuilder::structure()
        .name("io.debezium.connector.source.schema.Column")
        .version(1)
        .field("name", SchemaBuilder::string().build())
        .field("typeName", SchemaBuilder::string().build())
        .field("length", SchemaBuilder::int32().optional().build())
        .field("scale", SchemaBuilder::int32().optional().build())
        .field("comment", SchemaBuilder::string().optional().build())
        .build();
    let table = SchemaBuilder::structure()
        .name("io.debezium.connector.source.schema.Table")
        .version(1)
        .field("columns", SchemaBuilder::array(column).build())
        .build();
    SchemaBuilder::structure()
        .name("io.debezium.connector.source.Schema")
        .version(1)
        .field("id", SchemaBuilder::string().build())
        .field("table", table)
        .build()
}

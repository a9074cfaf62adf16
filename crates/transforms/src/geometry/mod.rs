//! `GeometryFormatTransformer` and `SwapGeometryCoordinates` of `io.debezium.transforms`.

mod wkb; // well-known binary, changed in place

use connect::logical::debezium::GEOMETRY;
use connect::settings::{Definition, Importance, Properties, Validator, row};
use connect::{Blob, Record, Schema, TaskError, Transform, Value, Verdict};

use crate::envelope::Surroundings;
use crate::options;
use crate::places::{Places, Reach};
use crate::schema_cache::SchemaCache;

const SRIDS_USUAL: [i32; 3] = [4326, 3857, 4269];

/// Indexes within a geometry's struct.
struct Geometry {
    wkb: usize,
    srid: usize,
}

fn geometry(schema: &Schema) -> Option<Geometry> {
    if schema.name() != Some(GEOMETRY) {
        return None;
    }
    Some(Geometry { wkb: schema.field_index("wkb")?, srid: schema.field_index("srid")? })
}

struct Plan {
    places: Places<Geometry>,
    surroundings: Surroundings,
}

impl Plan {
    fn new(schema: &Schema, reach: Reach) -> Option<Self> {
        let places = Places::find(schema, reach, &geometry)?;
        Some(Self { places, surroundings: Surroundings::of(schema) })
    }
}

/// The bytes and the reference system of a geometry.
fn parts<'a>(at: &Geometry, value: &'a mut Value) -> Option<(&'a mut Value, Option<i32>)> {
    let Value::Struct(fields) = value else { return None };
    let srid = fields[at.srid].as_i64().and_then(|number| i32::try_from(number).ok());
    Some((&mut fields[at.wkb], srid))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Wkb,
    Ewkb,
}

/// Turns a geometry over to the other form. As in Debezium `format` names the form that the geometries have, and an
/// extended one is always recognised.
pub(crate) struct GeometryFormatTransformer {
    format: Format,
    plans: SchemaCache<Option<Plan>>,
}

pub(crate) fn format_definition() -> Definition {
    Definition::new(vec![
        row("format")
            .default("wkb")
            .importance(Importance::Low)
            .check(Validator::OneOfIgnoreCase(&["wkb", "ewkb"]))
            .doc("Form that geometries get: wkb or ewkb."),
    ])
}

impl GeometryFormatTransformer {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&format_definition(), properties)?;
        let is_ewkb = resolved.text("format").is_some_and(|text| text.eq_ignore_ascii_case("ewkb"));
        Ok(Self { format: if is_ewkb { Format::Ewkb } else { Format::Wkb }, plans: SchemaCache::default() })
    }
}

impl Transform for GeometryFormatTransformer {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let Self { format, plans } = self;
        let Some(schema) = &record.value_schema else { return Ok(Verdict::Keep) };
        let plan = plans.get_or_compile(schema, |schema| Plan::new(schema, Reach::Structs));
        let Some(plan) = plan else { return Ok(Verdict::Keep) };
        plan.surroundings.fill(&mut record.value);
        plan.places.each(&mut record.value, &mut |at, value| {
            let Some((Value::Bytes(bytes), srid)) = parts(at, value) else { return Ok(()) };
            let other = if wkb::is_extended(bytes)? {
                // Debezium goes on in this direction from the first extended geometry.
                *format = Format::Ewkb;
                wkb::plain(bytes)?
            } else if *format == Format::Ewkb {
                return Ok(());
            } else {
                let srid =
                    srid.ok_or_else(|| TaskError::reject("Cannot convert to EWKB when SRID is null"))?;
                wkb::extended(bytes, srid)?
            };
            *bytes = Blob::from(other);
            Ok(())
        })?;
        Ok(Verdict::Keep)
    }
}

/// Exchanges x and y in geometries of some reference systems.
pub(crate) struct SwapGeometryCoordinates {
    srids: Vec<i32>,
    plans: SchemaCache<Option<Plan>>,
}

pub(crate) fn swap_definition() -> Definition {
    Definition::new(vec![
        row("srids")
            .importance(Importance::Low)
            .check(Validator::Check(|value, _| value.map_or(Ok(vec![]), srids).map(drop)))
            .doc(
                "Geometries with these spatial reference numbers have their coordinates swapped; none: all.",
            ),
    ])
}

fn srids(text: &str) -> Result<Vec<i32>, String> {
    let number = |item: &str| {
        let refused = || format!("Invalid value {item} for configuration srids: Not a number of type INT");
        item.trim().parse().map_err(|_| refused())
    };
    text.split(',').filter(|item| !item.trim().is_empty()).map(number).collect()
}

impl SwapGeometryCoordinates {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&swap_definition(), properties)?;
        let srids = match resolved.text("srids") {
            Some(text) => srids(text).map_err(|error| vec![error])?,
            None => SRIDS_USUAL.to_vec(),
        };
        Ok(Self { srids, plans: SchemaCache::default() })
    }
}

impl Transform for SwapGeometryCoordinates {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        let Self { srids, plans } = self;
        let Some(schema) = &record.value_schema else { return Ok(Verdict::Keep) };
        let plan = plans.get_or_compile(schema, |schema| Plan::new(schema, Reach::Everything));
        let Some(plan) = plan else { return Ok(Verdict::Keep) };
        plan.surroundings.fill(&mut record.value);
        plan.places.each(&mut record.value, &mut |at, value| {
            let Some((Value::Bytes(bytes), Some(srid))) = parts(at, value) else { return Ok(()) };
            if srids.contains(&srid) {
                *bytes = Blob::from(wkb::swapped(bytes)?);
            }
            Ok(())
        })?;
        Ok(Verdict::Keep)
    }
}

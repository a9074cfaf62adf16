//! Where in nested data values of one kind lie: found once for a schema, visited in every record.

use connect::{Kind, Schema, TaskError, Value};

pub(crate) enum Places<L> {
    Leaf(L),
    /// Fields of a struct that have something in them.
    Fields(Vec<(usize, Self)>),
    Items(Box<Self>),
    MapValues(Box<Self>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Structs,
    /// Arrays and maps too.
    Everything,
}

impl<L> Places<L> {
    /// `None`: nothing of that kind can be in such data.
    pub(crate) fn find(schema: &Schema, reach: Reach, leaf: &impl Fn(&Schema) -> Option<L>) -> Option<Self> {
        if let Some(found) = leaf(schema) {
            return Some(Self::Leaf(found));
        }
        match schema.kind() {
            Kind::Struct(fields) => {
                let inner = fields.iter().enumerate();
                let inner = inner.filter_map(|(i, field)| Some((i, Self::find(&field.schema, reach, leaf)?)));
                let found: Vec<_> = inner.collect();
                (!found.is_empty()).then_some(Self::Fields(found))
            }
            Kind::Array(item) if reach == Reach::Everything => {
                Some(Self::Items(Box::new(Self::find(item, reach, leaf)?)))
            }
            Kind::Map { value, .. } if reach == Reach::Everything => {
                Some(Self::MapValues(Box::new(Self::find(value, reach, leaf)?)))
            }
            _ => None,
        }
    }

    /// Calls `visit` with every value that is not null.
    pub(crate) fn each(
        &self,
        value: &mut Value,
        visit: &mut impl FnMut(&L, &mut Value) -> Result<(), TaskError>,
    ) -> Result<(), TaskError> {
        match (self, value) {
            (_, Value::Null) => Ok(()),
            (Self::Leaf(leaf), value) => visit(leaf, value),
            (Self::Fields(inner), Value::Struct(fields)) => {
                inner.iter().try_for_each(|(index, place)| place.each(&mut fields[*index], visit))
            }
            (Self::Items(place), Value::Array(items)) => {
                items.iter_mut().try_for_each(|item| place.each(item, visit))
            }
            (Self::MapValues(place), Value::Map(entries)) => {
                entries.iter_mut().try_for_each(|(_, value)| place.each(value, visit))
            }
            _ => Ok(()),
        }
    }
}

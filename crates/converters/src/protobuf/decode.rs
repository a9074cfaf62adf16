//! Message → values, by a plan that knows the place of every field number.

use connect::{Blob, Buffer, TaskError, Text, Value};
use prost_reflect::EnumDescriptor;

use super::logical::Logical;
use super::wire::{DELIMITED, FIXED32, FIXED64, Reader, VARINT, malformed, unzigzag};

/// How a value of one type is read.
#[derive(Debug)]
pub(super) enum Form {
    Int8,
    Int16,
    Int32,
    Int64,
    /// Java has no unsigned numbers of 32 bits: an int64.
    Uint32,
    Sint32,
    Sint64,
    Fixed32,
    Sfixed32,
    Fixed64,
    Float,
    Double,
    Bool,
    String,
    Bytes,
    Enum(Symbols),
    Message(Box<MessagePlan>),
    /// A message around one value, and what an empty one stands for.
    Wrapper(Box<Form>, Value),
    Logical(Logical),
}

/// Symbols of an enum by number.
#[derive(Debug)]
pub(super) struct Symbols(Box<[(i32, Text)]>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repetition {
    Single,
    List,
    Map,
}

/// Where a field's value goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    Field(usize),
    /// A member of the union at `index`.
    Union {
        index: usize,
        member: usize,
        members: usize,
    },
}

#[derive(Debug)]
pub(super) struct Slot {
    pub target: Target,
    pub form: Form,
    pub repetition: Repetition,
}

#[derive(Debug)]
pub(super) struct MessagePlan {
    slots: Box<[Slot]>,
    /// Index of the slot by the field's number, as far as numbers are small.
    near: Box<[Option<u16>]>,
    /// The others, by number.
    far: Box<[(u32, u16)]>,
    /// What the fields are that the bytes do not have.
    initial: Box<[Value]>,
}

/// Numbers up to this one are found by index.
const NEAR_MAX: u32 = 256;

impl Symbols {
    pub(super) fn new(symbols: &EnumDescriptor) -> Self {
        let mut list: Vec<_> =
            symbols.values().map(|symbol| (symbol.number(), Text::from(symbol.name()))).collect();
        list.sort_by_key(|(number, _)| *number);
        // Two symbols of one number: the first is its name.
        list.dedup_by_key(|(number, _)| *number);
        Self(list.into_boxed_slice())
    }

    /// A number without a symbol is named as Java names it.
    pub(super) fn value(&self, number: i32) -> Value {
        match self.0.binary_search_by_key(&number, |(known, _)| *known) {
            Ok(index) => Value::String(self.0[index].1.clone()),
            Err(_) => Value::String(Text::from(format!("UNKNOWN_ENUM_VALUE_{number}"))),
        }
    }
}

impl MessagePlan {
    pub(super) fn new(slots: Vec<(u32, Slot)>, initial: Vec<Value>) -> Self {
        let last =
            slots.iter().map(|(number, _)| *number).filter(|number| *number <= NEAR_MAX).max().unwrap_or(0);
        let mut near = vec![None; last as usize + 1];
        let mut far = vec![];
        for (index, (number, _)) in slots.iter().enumerate() {
            let index = u16::try_from(index).expect("protoc allows no message of so many fields");
            match near.get_mut(*number as usize) {
                Some(place) => *place = Some(index),
                None => far.push((*number, index)),
            }
        }
        far.sort_unstable();
        Self {
            slots: slots.into_iter().map(|(_, slot)| slot).collect(),
            near: near.into(),
            far: far.into(),
            initial: initial.into(),
        }
    }

    #[inline]
    fn slot(&self, number: u32) -> Option<&Slot> {
        let index = match self.near.get(number as usize) {
            Some(index) => (*index)?,
            None => {
                let found = self.far.binary_search_by_key(&number, |(known, _)| *known).ok()?;
                self.far[found].1
            }
        };
        self.slots.get(usize::from(index))
    }

    pub(super) fn read(&self, buffer: &Buffer, reader: &mut Reader<'_>) -> Result<Value, TaskError> {
        let mut fields = self.initial.clone();
        // Items of lists and maps, until all of them are known.
        let mut lists: Vec<(usize, Items)> = vec![];
        while !reader.is_at_end() {
            let (number, wire_type) = reader.key()?;
            let Some(slot) = self.slot(number) else {
                reader.skip(wire_type)?;
                continue;
            };
            match (slot.repetition, slot.target) {
                (Repetition::Single, Target::Field(index)) => {
                    fields[index] = slot.form.read(wire_type, buffer, reader)?;
                }
                (_, Target::Union { index, member, members }) => {
                    let mut union = vec![Value::Null; members];
                    union[member] = slot.form.read(wire_type, buffer, reader)?;
                    fields[index] = Value::Struct(union.into_boxed_slice());
                }
                (repetition, Target::Field(index)) => {
                    let items = items(&mut lists, index, repetition);
                    slot.read_items(wire_type, buffer, reader, items)?;
                }
            }
        }
        for (index, items) in lists {
            fields[index] = match items {
                Items::List(items) => Value::Array(items.into_boxed_slice()),
                Items::Map(entries) => Value::Map(entries.into_boxed_slice()),
            };
        }
        Ok(Value::Struct(fields))
    }
}

enum Items {
    List(Vec<Value>),
    Map(Vec<(Value, Value)>),
}

fn items(lists: &mut Vec<(usize, Items)>, index: usize, repetition: Repetition) -> &mut Items {
    let known = lists.iter().position(|(known, _)| *known == index);
    let place = known.unwrap_or_else(|| {
        let empty = if repetition == Repetition::Map { Items::Map(vec![]) } else { Items::List(vec![]) };
        lists.push((index, empty));
        lists.len() - 1
    });
    &mut lists[place].1
}

impl Slot {
    fn read_items(
        &self,
        wire_type: u8,
        buffer: &Buffer,
        reader: &mut Reader<'_>,
        items: &mut Items,
    ) -> Result<(), TaskError> {
        match items {
            Items::Map(entries) => {
                let Value::Struct(entry) = self.form.read(wire_type, buffer, reader)? else {
                    return Err(malformed("an entry of a map is no message"));
                };
                if let Ok([key, value]) = <[Value; 2]>::try_from(entry.into_vec()) {
                    match entries.iter_mut().find(|(known, _)| *known == key) {
                        Some(known) => known.1 = value,
                        None => entries.push((key, value)),
                    }
                }
            }
            // Numbers may come packed, whatever the schema says.
            Items::List(list) if wire_type == DELIMITED && self.form.wire_type() != DELIMITED => {
                let range = reader.range()?;
                let mut packed = reader.within(range);
                while !packed.is_at_end() {
                    list.push(self.form.read(self.form.wire_type(), buffer, &mut packed)?);
                }
            }
            Items::List(list) => list.push(self.form.read(wire_type, buffer, reader)?),
        }
        Ok(())
    }
}

impl Form {
    fn wire_type(&self) -> u8 {
        match self {
            Self::Fixed32 | Self::Sfixed32 | Self::Float => FIXED32,
            Self::Fixed64 | Self::Double => FIXED64,
            Self::String | Self::Bytes | Self::Message(_) | Self::Wrapper(..) | Self::Logical(_) => DELIMITED,
            _ => VARINT,
        }
    }

    /// The value at the top: all that is left.
    pub(super) fn read_root(&self, buffer: &Buffer, start: usize) -> Result<Value, TaskError> {
        let bytes: &[u8] = buffer.bytes();
        self.read_content(buffer, Reader::new(bytes, start..bytes.len()))
    }

    fn read(&self, wire_type: u8, buffer: &Buffer, reader: &mut Reader<'_>) -> Result<Value, TaskError> {
        if wire_type != self.wire_type() {
            return Err(malformed("a field has another wire type than its schema says"));
        }
        Ok(match self {
            Self::Int8 => Value::Int8(reader.varint()? as i8),
            Self::Int16 => Value::Int16(reader.varint()? as i16),
            Self::Int32 => Value::Int32(reader.varint()? as i32),
            Self::Int64 => Value::Int64(reader.varint()? as i64),
            Self::Uint32 => Value::Int64(i64::from(reader.varint()? as u32)),
            Self::Sint32 => Value::Int32(unzigzag(reader.varint()?) as i32),
            Self::Sint64 => Value::Int64(unzigzag(reader.varint()?)),
            Self::Fixed32 => Value::Int64(i64::from(u32::from_le_bytes(reader.fixed()?))),
            Self::Sfixed32 => Value::Int32(i32::from_le_bytes(reader.fixed()?)),
            Self::Fixed64 => Value::Int64(i64::from_le_bytes(reader.fixed()?)),
            Self::Float => Value::Float32(f32::from_le_bytes(reader.fixed()?)),
            Self::Double => Value::Float64(f64::from_le_bytes(reader.fixed()?)),
            Self::Bool => Value::Boolean(reader.varint()? != 0),
            Self::Enum(symbols) => symbols.value(reader.varint()? as i32),
            Self::String => {
                let text = Text::slice(buffer, reader.range()?);
                Value::String(text.map_err(|_| malformed("a string is not UTF-8"))?)
            }
            Self::Bytes => Value::Bytes(Blob::slice(buffer, reader.range()?)),
            Self::Message(_) | Self::Wrapper(..) | Self::Logical(_) => {
                let range = reader.range()?;
                self.read_content(buffer, reader.within(range))?
            }
        })
    }

    /// A message without its length.
    fn read_content(&self, buffer: &Buffer, mut reader: Reader<'_>) -> Result<Value, TaskError> {
        match self {
            Self::Message(plan) => plan.read(buffer, &mut reader),
            Self::Logical(logical) => logical.read(buffer.bytes(), &mut reader),
            Self::Wrapper(form, zero) => {
                let mut value = zero.clone();
                while !reader.is_at_end() {
                    let (number, wire_type) = reader.key()?;
                    if number == 1 {
                        value = form.read(wire_type, buffer, &mut reader)?;
                    } else {
                        reader.skip(wire_type)?;
                    }
                }
                Ok(value)
            }
            _ => Err(malformed("a value at the top that is no message")),
        }
    }
}

//! A stream to values.

use std::rc::Rc;

use pg::temporal::{Civil, civil_from_days};

use super::{
    ARRAY, BLOCK, BLOCK_DATA, CLASS, END_BLOCK, EXTERNALIZABLE, FIRST_HANDLE, MAGIC, NULL, OBJECT, Part,
    REFERENCE, SERIALIZABLE, STRING, WRITES_ITSELF, oid,
};

/// The text is no stream of this kind, or has classes that are not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a key in Java's serialised form: {0}")]
pub struct NotAKey(&'static str);

/// Depth of objects within objects, and number of elements: a key has a few.
const DEPTH_MAX: usize = 16;
const LENGTH_MAX: usize = 1 << 20;

/// A key; `None` is Java's null.
pub fn read(text: &str) -> Result<Option<Vec<Part>>, NotAKey> {
    let bytes = hex::decode(text).map_err(|_| NotAKey("no hex digits"))?;
    let rest = bytes.strip_prefix(&MAGIC).ok_or(NotAKey("another beginning"))?;
    let mut stream = Stream { rest, handles: vec![] };
    match stream.value(0)? {
        Java::Null => Ok(None),
        Java::Array(items) => items.iter().map(part).collect::<Result<_, _>>().map(Some),
        _ => Err(NotAKey("no array")),
    }
}

#[derive(Clone, Debug)]
enum Java {
    Null,
    Integer(i64),
    /// `float` and `double` by their bits.
    Float(f32),
    Double(f64),
    Boolean(bool),
    String(Rc<str>),
    Bytes(Rc<[u8]>),
    Array(Rc<[Java]>),
    Class(Rc<Class>),
    Object(Rc<Object>),
}

#[derive(Debug)]
struct Class {
    name: String,
    flags: u8,
    fields: Vec<(u8, String)>,
    parent: Option<Rc<Class>>,
}

#[derive(Debug)]
struct Object {
    class: String,
    fields: Vec<(String, Java)>,
    /// What the classes wrote by themselves.
    blocks: Vec<u8>,
}

impl Object {
    fn field(&self, name: &str) -> Option<&Java> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    fn integer(&self, name: &str) -> Result<i64, NotAKey> {
        match self.field(name) {
            Some(Java::Integer(number)) => Ok(*number),
            _ => Err(NotAKey("a missing field")),
        }
    }
}

struct Stream<'a> {
    rest: &'a [u8],
    handles: Vec<Java>,
}

impl<'a> Stream<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], NotAKey> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or(NotAKey("it is cut"))?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], NotAKey> {
        self.take(N)?.try_into().map_err(|_| NotAKey("it is cut"))
    }

    fn byte(&mut self) -> Result<u8, NotAKey> {
        Ok(self.array::<1>()?[0])
    }

    fn length(&mut self) -> Result<usize, NotAKey> {
        let length = u32::from_be_bytes(self.array()?) as usize;
        if length > LENGTH_MAX { Err(NotAKey("too long")) } else { Ok(length) }
    }

    fn utf(&mut self) -> Result<String, NotAKey> {
        let length = usize::from(u16::from_be_bytes(self.array()?));
        from_modified_utf8(self.take(length)?)
    }

    fn enter(&mut self, value: Java) -> usize {
        self.handles.push(value);
        self.handles.len() - 1
    }

    fn value(&mut self, depth: usize) -> Result<Java, NotAKey> {
        if depth > DEPTH_MAX {
            return Err(NotAKey("too deep"));
        }
        match self.byte()? {
            NULL => Ok(Java::Null),
            REFERENCE => {
                let handle = u32::from_be_bytes(self.array()?).checked_sub(FIRST_HANDLE);
                let known = handle.and_then(|at| self.handles.get(at as usize));
                known.cloned().ok_or(NotAKey("an unknown reference"))
            }
            STRING => {
                let text = Java::String(self.utf()?.into());
                self.enter(text.clone());
                Ok(text)
            }
            0x7c => {
                let length = u64::from_be_bytes(self.array()?);
                let length = usize::try_from(length).map_err(|_| NotAKey("too long"))?;
                let text = Java::String(from_modified_utf8(self.take(length)?)?.into());
                self.enter(text.clone());
                Ok(text)
            }
            CLASS => self.new_class(depth),
            ARRAY => self.new_array(depth),
            OBJECT => self.new_object(depth),
            // An enum's constant: a class, and a name.
            0x7e => {
                self.class(depth)?;
                let handle = self.enter(Java::Null);
                let name = self.value(depth + 1)?;
                self.handles[handle] = name.clone();
                Ok(name)
            }
            _ => Err(NotAKey("an unknown element")),
        }
    }

    fn class(&mut self, depth: usize) -> Result<Option<Rc<Class>>, NotAKey> {
        match self.value(depth + 1)? {
            Java::Class(class) => Ok(Some(class)),
            Java::Null => Ok(None),
            _ => Err(NotAKey("no class")),
        }
    }

    fn new_class(&mut self, depth: usize) -> Result<Java, NotAKey> {
        let name = self.utf()?;
        self.take(8)?;
        let handle = self.enter(Java::Null);
        let flags = self.byte()?;
        let count = u16::from_be_bytes(self.array()?);
        let mut fields = vec![];
        for _ in 0..count {
            let kind = self.byte()?;
            let field = self.utf()?;
            if matches!(kind, b'L' | b'[') {
                self.value(depth + 1)?;
            }
            fields.push((kind, field));
        }
        if self.byte()? != END_BLOCK {
            return Err(NotAKey("an annotated class"));
        }
        let parent = self.class(depth)?;
        let class = Java::Class(Rc::new(Class { name, flags, fields, parent }));
        self.handles[handle] = class.clone();
        Ok(class)
    }

    fn new_array(&mut self, depth: usize) -> Result<Java, NotAKey> {
        let class = self.class(depth)?.ok_or(NotAKey("an array without class"))?;
        let handle = self.enter(Java::Null);
        let length = self.length()?;
        let array = if class.name == "[B" {
            Java::Bytes(self.take(length)?.into())
        } else if class.name.starts_with("[L") {
            let mut items = vec![];
            for _ in 0..length {
                items.push(self.value(depth + 1)?);
            }
            Java::Array(items.into())
        } else {
            return Err(NotAKey("an array of another type"));
        };
        self.handles[handle] = array.clone();
        Ok(array)
    }

    fn new_object(&mut self, depth: usize) -> Result<Java, NotAKey> {
        let class = self.class(depth)?.ok_or(NotAKey("an object without class"))?;
        let handle = self.enter(Java::Null);
        let mut object = Object { class: class.name.clone(), fields: vec![], blocks: vec![] };
        // The oldest class comes first.
        let mut line = vec![class];
        while let Some(parent) = line.last().and_then(|class| class.parent.clone()) {
            if line.len() > DEPTH_MAX {
                return Err(NotAKey("too deep"));
            }
            line.push(parent);
        }
        for class in line.iter().rev() {
            if class.flags & SERIALIZABLE != 0 {
                for (kind, name) in &class.fields {
                    let value = self.field(*kind, depth)?;
                    object.fields.push((name.clone(), value));
                }
            }
            let writes = class.flags & (SERIALIZABLE | WRITES_ITSELF) == SERIALIZABLE | WRITES_ITSELF;
            let external = class.flags & (EXTERNALIZABLE | BLOCK_DATA) == EXTERNALIZABLE | BLOCK_DATA;
            if writes || external {
                self.blocks(&mut object, depth)?;
            } else if class.flags & EXTERNALIZABLE != 0 {
                return Err(NotAKey("an object in a form of its own"));
            }
        }
        let object = Java::Object(Rc::new(object));
        self.handles[handle] = object.clone();
        Ok(object)
    }

    fn field(&mut self, kind: u8, depth: usize) -> Result<Java, NotAKey> {
        Ok(match kind {
            b'B' => Java::Integer(i64::from(i8::from_be_bytes(self.array()?))),
            b'S' => Java::Integer(i64::from(i16::from_be_bytes(self.array()?))),
            b'C' => Java::Integer(i64::from(u16::from_be_bytes(self.array()?))),
            b'I' => Java::Integer(i64::from(i32::from_be_bytes(self.array()?))),
            b'J' => Java::Integer(i64::from_be_bytes(self.array()?)),
            b'F' => Java::Float(f32::from_be_bytes(self.array()?)),
            b'D' => Java::Double(f64::from_be_bytes(self.array()?)),
            b'Z' => Java::Boolean(self.byte()? != 0),
            b'L' | b'[' => self.value(depth + 1)?,
            _ => return Err(NotAKey("a field of an unknown type")),
        })
    }

    /// Until the class said that it is done.
    fn blocks(&mut self, object: &mut Object, depth: usize) -> Result<(), NotAKey> {
        loop {
            match *self.rest.first().ok_or(NotAKey("it is cut"))? {
                END_BLOCK => {
                    self.byte()?;
                    return Ok(());
                }
                BLOCK => {
                    self.byte()?;
                    let length = usize::from(self.byte()?);
                    object.blocks.extend(self.take(length)?);
                }
                _ => {
                    self.value(depth + 1)?;
                }
            }
        }
    }
}

/// An element of a key as PostgreSQL writes it.
fn part(value: &Java) -> Result<Part, NotAKey> {
    let text = |type_oid: u32, text: String| Part { type_oid, text: Some(text) };
    Ok(match value {
        Java::Null => Part { type_oid: oid::TEXT, text: None },
        Java::String(string) => text(oid::TEXT, string.to_string()),
        Java::Bytes(bytes) => text(oid::BYTEA, format!("\\x{}", hex::encode(bytes))),
        Java::Object(object) => object_part(object)?,
        _ => return Err(NotAKey("an element of another kind")),
    })
}

fn object_part(object: &Object) -> Result<Part, NotAKey> {
    let text = |type_oid: u32, text: String| Ok(Part { type_oid, text: Some(text) });
    let value = object.field("value");
    match (object.class.as_str(), value) {
        ("java.lang.Integer" | "java.lang.Short" | "java.lang.Byte", Some(Java::Integer(number))) => {
            text(oid::INT4, number.to_string())
        }
        ("java.lang.Long", Some(Java::Integer(number))) => text(oid::INT8, number.to_string()),
        ("java.lang.Float", Some(Java::Float(number))) => text(oid::FLOAT4, number.to_string()),
        ("java.lang.Double", Some(Java::Double(number))) => text(oid::FLOAT8, number.to_string()),
        ("java.lang.Boolean", Some(Java::Boolean(flag))) => {
            text(oid::BOOL, if *flag { "t" } else { "f" }.to_owned())
        }
        ("java.util.UUID", _) => {
            let most = object.integer("mostSigBits")?.cast_unsigned();
            let least = object.integer("leastSigBits")?.cast_unsigned();
            text(oid::UUID, uuid::Uuid::from_u64_pair(most, least).to_string())
        }
        ("java.sql.Date", _) => text(oid::DATE, date(millis(object)?.div_euclid(86_400_000))),
        ("java.sql.Timestamp", _) => {
            let seconds = millis(object)?.div_euclid(1000);
            text(oid::TIMESTAMPTZ, timestamp(seconds, object.integer("nanos")? / 1000))
        }
        ("java.time.Ser", _) => {
            local_date(&object.blocks).map(|date| Part { type_oid: oid::DATE, text: Some(date) })
        }
        ("java.math.BigDecimal", _) => text(oid::NUMERIC, decimal(object)?),
        ("io.debezium.data.SpecialValueDecimal", _) => match object.field("decimalValue") {
            Some(Java::Object(number)) => text(oid::NUMERIC, decimal(number)?),
            _ => Err(NotAKey("a number that is none")),
        },
        _ => Err(NotAKey("an unknown class")),
    }
}

fn millis(object: &Object) -> Result<i64, NotAKey> {
    let bytes = object.blocks.first_chunk::<8>().ok_or(NotAKey("a date without time"))?;
    Ok(i64::from_be_bytes(*bytes))
}

fn date(days: i64) -> String {
    let Civil { year, month, day } = civil_from_days(days);
    if year < 1 {
        return format!("{:04}-{month:02}-{day:02} BC", 1 - year);
    }
    format!("{year:04}-{month:02}-{day:02}")
}

fn timestamp(seconds: i64, micros: i64) -> String {
    let time = seconds.rem_euclid(86_400);
    let date = date(seconds.div_euclid(86_400));
    let (date, era) = date.strip_suffix(" BC").map_or((date.as_str(), ""), |date| (date, " BC"));
    let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
    let clock = format!("{:02}:{:02}:{:02}", time / 3600, time / 60 % 60, time % 60);
    format!("{date} {clock}{fraction}+00{era}")
}

/// `LocalDate` is the third of the kinds of `java.time`.
fn local_date(block: &[u8]) -> Result<String, NotAKey> {
    match block {
        [3, a, b, c, d, month, day] => {
            Ok(format!("{:04}-{month:02}-{day:02}", i32::from_be_bytes([*a, *b, *c, *d])))
        }
        _ => Err(NotAKey("a time of an unknown kind")),
    }
}

fn decimal(object: &Object) -> Result<String, NotAKey> {
    let scale = i32::try_from(object.integer("scale")?).map_err(|_| NotAKey("a scale out of range"))?;
    let Some(Java::Object(integer)) = object.field("intVal") else {
        return Err(NotAKey("a decimal without digits"));
    };
    let Some(Java::Bytes(magnitude)) = integer.field("magnitude") else {
        return Err(NotAKey("a number without digits"));
    };
    if !(-100_000..=100_000).contains(&scale) {
        return Err(NotAKey("a scale out of range"));
    }
    // Positive, so that the first bit is no sign.
    let mut bytes = vec![0];
    bytes.extend_from_slice(magnitude);
    let text = pg::numeric::to_text(&bytes, scale);
    Ok(if integer.integer("signum")? < 0 { format!("-{text}") } else { text })
}

fn from_modified_utf8(bytes: &[u8]) -> Result<String, NotAKey> {
    let mut units = vec![];
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        let (unit, tail) = match (first, tail) {
            (0..0x80, tail) => (u16::from(*first), tail),
            (0xc0..0xe0, [second, tail @ ..]) => {
                (u16::from(first & 0x1f) << 6 | u16::from(second & 0x3f), tail)
            }
            (0xe0..0xf0, [second, third, tail @ ..]) => {
                let high = u16::from(first & 0xf) << 12;
                (high | u16::from(second & 0x3f) << 6 | u16::from(third & 0x3f), tail)
            }
            _ => return Err(NotAKey("a broken string")),
        };
        units.push(unit);
        rest = tail;
    }
    String::from_utf16(&units).map_err(|_| NotAKey("a broken string"))
}

//! Values to a stream.

use pg::numeric::{self, Numeric};
use pg::temporal::{self, Bounded};

use super::{
    ARRAY, BLOCK, CLASS, END_BLOCK, FIRST_HANDLE, MAGIC, NULL, OBJECT, Part, REFERENCE, SERIALIZABLE, STRING,
    WRITES_ITSELF, oid,
};

/// A class as its objects name it.
struct Class {
    name: &'static str,
    uid: u64,
    flags: u8,
    fields: &'static [Field],
    parent: Option<&'static Class>,
}

struct Field {
    /// `I`, `J`, `L` …
    kind: u8,
    name: &'static str,
    /// Of `L` and `[`.
    class: &'static str,
}

const fn field(kind: u8, name: &'static str, class: &'static str) -> Field {
    Field { kind, name, class }
}

const fn class(name: &'static str, uid: u64, fields: &'static [Field]) -> Class {
    Class { name, uid, flags: SERIALIZABLE, fields, parent: None }
}

const fn number(name: &'static str, uid: u64, flags: u8, fields: &'static [Field]) -> Class {
    Class { name, uid, flags, fields, parent: Some(&NUMBER) }
}

static OBJECTS: Class = class("[Ljava.lang.Object;", 0x90ce_589f_1073_296c, &[]);
static BYTES: Class = class("[B", 0xacf3_17f8_0608_54e0, &[]);
static NUMBER: Class = class("java.lang.Number", 0x86ac_951d_0b94_e08b, &[]);
static INTEGER: Class =
    number("java.lang.Integer", 0x12e2_a0a4_f781_8738, SERIALIZABLE, &[field(b'I', "value", "")]);
static LONG: Class =
    number("java.lang.Long", 0x3b8b_e490_cc8f_23df, SERIALIZABLE, &[field(b'J', "value", "")]);
static FLOAT: Class =
    number("java.lang.Float", 0xdaed_c9a2_db3c_f0ec, SERIALIZABLE, &[field(b'F', "value", "")]);
static DOUBLE: Class =
    number("java.lang.Double", 0x80b3_c24a_296b_fb04, SERIALIZABLE, &[field(b'D', "value", "")]);
static BOOLEAN: Class = class("java.lang.Boolean", 0xcd20_7280_d59c_faee, &[field(b'Z', "value", "")]);
static UUID: Class = class(
    "java.util.UUID",
    0xbc99_03f7_986d_852f,
    &[field(b'J', "leastSigBits", ""), field(b'J', "mostSigBits", "")],
);
static UTIL_DATE: Class = Class {
    name: "java.util.Date",
    uid: 0x686a_8101_4b59_7419,
    flags: SERIALIZABLE | WRITES_ITSELF,
    fields: &[],
    parent: None,
};
static SQL_DATE: Class = Class {
    name: "java.sql.Date",
    uid: 0x14fa_4668_3f35_6697,
    flags: SERIALIZABLE,
    fields: &[],
    parent: Some(&UTIL_DATE),
};
static TIMESTAMP: Class = Class {
    name: "java.sql.Timestamp",
    uid: 0x2618_d5c8_0153_bf65,
    flags: SERIALIZABLE,
    fields: &[field(b'I', "nanos", "")],
    parent: Some(&UTIL_DATE),
};
static SPECIAL_DECIMAL: Class = class(
    "io.debezium.data.SpecialValueDecimal",
    1,
    &[
        field(b'L', "decimalValue", "Ljava/math/BigDecimal;"),
        field(b'L', "specialValue", "Lio/debezium/data/SpecialValueDecimal$SpecialValue;"),
    ],
);
static BIG_DECIMAL: Class = number(
    "java.math.BigDecimal",
    0x54c7_1557_f981_284f,
    SERIALIZABLE | WRITES_ITSELF,
    &[field(b'I', "scale", ""), field(b'L', "intVal", "Ljava/math/BigInteger;")],
);
static BIG_INTEGER: Class = number(
    "java.math.BigInteger",
    0x8cfc_9f1f_a93b_fb1d,
    SERIALIZABLE | WRITES_ITSELF,
    &[
        field(b'I', "bitCount", ""),
        field(b'I', "bitLength", ""),
        field(b'I', "firstNonzeroByteNum", ""),
        field(b'I', "lowestSetBit", ""),
        field(b'I', "signum", ""),
        field(b'[', "magnitude", "[B"),
    ],
);

/// A key as hex; `None` is Java's null.
pub fn write(parts: Option<&[Part]>) -> String {
    let mut stream = Stream { out: MAGIC.to_vec(), handles: vec![], next: FIRST_HANDLE };
    match parts {
        None => stream.out.push(NULL),
        Some(parts) => {
            stream.array(&OBJECTS, parts.len());
            for part in parts {
                stream.part(part);
            }
        }
    }
    hex::encode(stream.out)
}

struct Stream {
    out: Vec<u8>,
    /// What was written once is referred to: classes and the names of classes in them.
    handles: Vec<(&'static str, u32)>,
    next: u32,
}

impl Stream {
    fn part(&mut self, part: &Part) {
        let Some(text) = &part.text else {
            self.out.push(NULL);
            return;
        };
        if self.typed(part.type_oid, text).is_none() {
            self.string(text);
        }
    }

    /// `None` where the value has no class of its own: nothing was written then.
    fn typed(&mut self, type_oid: u32, text: &str) -> Option<()> {
        match type_oid {
            oid::INT2 | oid::INT4 => self.plain(&INTEGER, &text.parse::<i32>().ok()?.to_be_bytes()),
            oid::INT8 | oid::OID => self.plain(&LONG, &text.parse::<i64>().ok()?.to_be_bytes()),
            oid::FLOAT4 => self.plain(&FLOAT, &text.parse::<f32>().ok()?.to_be_bytes()),
            oid::FLOAT8 => self.plain(&DOUBLE, &text.parse::<f64>().ok()?.to_be_bytes()),
            oid::BOOL => self.plain(&BOOLEAN, &[u8::from(text == "t" || text == "true")]),
            oid::UUID => {
                let (most, least) = uuid::Uuid::parse_str(text).ok()?.as_u64_pair();
                self.plain(&UUID, &[least.to_be_bytes(), most.to_be_bytes()].concat());
            }
            oid::BYTEA => {
                let bytes = pg::text::bytea(text.as_bytes()).ok()?;
                self.array(&BYTES, bytes.len());
                self.out.extend(bytes);
            }
            oid::DATE => {
                let Bounded::Finite(days) = temporal::date(text.as_bytes()).ok()? else { return None };
                let millis = days.checked_mul(86_400_000)?;
                self.object(&SQL_DATE);
                self.millis(millis);
            }
            oid::TIMESTAMP | oid::TIMESTAMPTZ => self.timestamp(type_oid, text)?,
            oid::NUMERIC => self.decimal(text)?,
            _ => return None,
        }
        Some(())
    }

    fn timestamp(&mut self, type_oid: u32, text: &str) -> Option<()> {
        let read = match type_oid {
            oid::TIMESTAMP => temporal::timestamp(text.as_bytes()),
            _ => temporal::timestamp_with_zone(text.as_bytes()),
        };
        let Bounded::Finite(instant) = read.ok()? else { return None };
        let nanos = i32::try_from(instant.micros.rem_euclid(1_000_000) * 1000).ok()?;
        // The date has whole seconds, and the rest is in the nanoseconds.
        let millis = instant.epoch_millis()?.div_euclid(1000) * 1000;
        self.object(&TIMESTAMP);
        self.millis(millis);
        self.out.extend(nanos.to_be_bytes());
        Some(())
    }

    fn decimal(&mut self, text: &str) -> Option<()> {
        let Numeric::Finite(digits) = numeric::parse(text.as_bytes()).ok()? else { return None };
        let scale = digits.scale();
        let unscaled = digits.unscaled(scale)?;
        let (sign, magnitude) = magnitude(unscaled.as_slice());
        self.object(&SPECIAL_DECIMAL);
        self.object(&BIG_DECIMAL);
        self.out.extend(scale.to_be_bytes());
        self.object(&BIG_INTEGER);
        for number in [-1_i32, -1, -2, -2, sign] {
            self.out.extend(number.to_be_bytes());
        }
        self.array(&BYTES, magnitude.len());
        self.out.extend(magnitude);
        // Ends of the integer, of the decimal, and no special value.
        self.out.extend([END_BLOCK, END_BLOCK, NULL]);
        Some(())
    }

    fn millis(&mut self, millis: i64) {
        self.out.extend([BLOCK, 8]);
        self.out.extend(millis.to_be_bytes());
        self.out.push(END_BLOCK);
    }

    fn plain(&mut self, class: &'static Class, data: &[u8]) {
        self.object(class);
        self.out.extend(data);
    }

    fn object(&mut self, class: &'static Class) {
        self.out.push(OBJECT);
        self.class(Some(class));
        self.next += 1;
    }

    fn array(&mut self, class: &'static Class, length: usize) {
        self.out.push(ARRAY);
        self.class(Some(class));
        self.next += 1;
        self.out.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    }

    fn string(&mut self, text: &str) {
        self.next += 1;
        let bytes = modified_utf8(text);
        match u16::try_from(bytes.len()) {
            Ok(length) => {
                self.out.push(STRING);
                self.out.extend(length.to_be_bytes());
            }
            Err(_) => {
                // The long form.
                self.out.push(0x7c);
                self.out.extend((bytes.len() as u64).to_be_bytes());
            }
        }
        self.out.extend(bytes);
    }

    fn class(&mut self, class: Option<&'static Class>) {
        let Some(class) = class else {
            self.out.push(NULL);
            return;
        };
        if self.refer(class.name) {
            return;
        }
        self.out.push(CLASS);
        self.utf(class.name);
        self.out.extend(class.uid.to_be_bytes());
        self.enter(class.name);
        self.out.push(class.flags);
        self.out.extend((class.fields.len() as u16).to_be_bytes());
        for field in class.fields {
            self.out.push(field.kind);
            self.utf(field.name);
            if !field.class.is_empty() {
                self.field_class(field.class);
            }
        }
        self.out.push(END_BLOCK);
        self.class(class.parent);
    }

    fn field_class(&mut self, name: &'static str) {
        // The class of byte arrays has the same name as the field's type, and is another object.
        let known = self.handles.iter().any(|(entered, _)| *entered == name) && name != BYTES.name;
        if known && self.refer(name) {
            return;
        }
        self.out.push(STRING);
        self.utf(name);
        if name == BYTES.name {
            self.next += 1;
        } else {
            self.enter(name);
        }
    }

    fn refer(&mut self, name: &str) -> bool {
        let Some((_, handle)) = self.handles.iter().find(|(entered, _)| *entered == name) else {
            return false;
        };
        self.out.push(REFERENCE);
        self.out.extend(handle.to_be_bytes());
        true
    }

    fn enter(&mut self, name: &'static str) {
        self.handles.push((name, self.next));
        self.next += 1;
    }

    fn utf(&mut self, text: &str) {
        self.out.extend((text.len() as u16).to_be_bytes());
        self.out.extend(text.as_bytes());
    }
}

/// Sign, and the number without it, big-endian and without leading zeros.
fn magnitude(unscaled: &[u8]) -> (i32, Vec<u8>) {
    let negative = unscaled.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut bytes = unscaled.to_vec();
    if negative {
        let mut carry = true;
        for byte in bytes.iter_mut().rev() {
            let (sum, overflow) = (!*byte).overflowing_add(u8::from(carry));
            (*byte, carry) = (sum, overflow);
        }
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.drain(..zeros);
    let sign = if bytes.is_empty() { 0 } else { 1 };
    (if negative { -1 } else { sign }, bytes)
}

/// Java's UTF-8: a NUL in two bytes, and characters outside the basic plane as two surrogates.
fn modified_utf8(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for unit in text.encode_utf16() {
        match unit {
            1..0x80 => out.push(unit as u8),
            0 | 0x80..0x800 => out.extend([0xc0 | (unit >> 6) as u8, 0x80 | (unit & 0x3f) as u8]),
            _ => out.extend([
                0xe0 | (unit >> 12) as u8,
                0x80 | (unit >> 6 & 0x3f) as u8,
                0x80 | (unit & 0x3f) as u8,
            ]),
        }
    }
    out
}

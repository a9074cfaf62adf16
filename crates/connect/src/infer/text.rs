//! Text → value, as `Values.parseString` infers it; `None` where the text is just a string.

use crate::calendar::days_of;
use crate::logical::{self, decimal};
use crate::value::Decimal;
use crate::{Blob, Kind, Schema, SchemaBuilder, Value};
use num_bigint::{BigInt, Sign};

use super::tokens::Tokens;
use crate::{decimal as number_text, java_number};

type Inferred = (Option<Schema>, Value);

/// Deeper texts stay strings: outside bytes must not exhaust the stack.
const DEPTH_MAX: usize = 100;
const MILLIS_PER_DAY: i64 = 86_400_000;
const DATE_LENGTH: usize = 10;
const TIME_LENGTH: usize = 13;
const TIMESTAMP_LENGTH: usize = 24;

/// Where the digits of other scripts begin; Java reads them as digits too.
const OTHER_ZEROS: [u32; 36] = [
    0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66, 0x0de6,
    0x0e50, 0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0,
    0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
];

pub(super) fn infer(text: &str) -> Option<Inferred> {
    let mut tokens = Tokens::new(text);
    if tokens.take_trimmed("null") {
        return tokens.is_spent().then_some((None, Value::Null));
    }
    let found = value(&mut tokens, 0)?;
    // Connect ignores what follows the first value; a header such as `5,6` would lose its rest.
    tokens.is_spent().then_some(found)
}

fn value(tokens: &mut Tokens<'_>, depth: usize) -> Option<Inferred> {
    if depth > DEPTH_MAX || !tokens.has_next() {
        return None;
    }
    if tokens.take_trimmed("true") {
        return Some((Some(SchemaBuilder::boolean().build()), Value::Boolean(true)));
    }
    if tokens.take_trimmed("false") {
        return Some((Some(SchemaBuilder::boolean().build()), Value::Boolean(false)));
    }
    if tokens.take_trimmed("[") {
        return array(tokens, depth);
    }
    if tokens.take_trimmed("{") {
        return map(tokens, depth);
    }
    let token = tokens.next()?.trim();
    let token = western_digits(token);
    let first = token.chars().next()?;
    if first.is_ascii_digit()
        && let Some(found) = temporal(tokens, &token)
    {
        return Some(found);
    }
    if first.is_ascii_digit() || matches!(first, '+' | '-') {
        return number(&token);
    }
    None
}

/// A value inside a list or map; `Some(None)` is a null.
fn embedded(tokens: &mut Tokens<'_>, depth: usize) -> Option<Option<Inferred>> {
    if tokens.take_trimmed("null") {
        return Some(None);
    }
    if !tokens.take_trimmed("\"") {
        return value(tokens, depth + 1).map(Some);
    }
    let mut content = String::new();
    while tokens.has_next() && !tokens.take("\"") {
        content.push_str(tokens.next()?);
    }
    let found = temporal_text(&content);
    Some(Some(found.unwrap_or_else(|| (Some(SchemaBuilder::string().build()), Value::text(&content)))))
}

fn array(tokens: &mut Tokens<'_>, depth: usize) -> Option<Inferred> {
    let mut common = Common::default();
    let mut items: Vec<Inferred> = vec![];
    while tokens.has_next() {
        if tokens.take_trimmed("]") {
            let Some(schema) = common.schema()? else {
                return Some((None, Value::Array(items.into_iter().map(without_schema).collect())));
            };
            let aligned = items.into_iter().map(|(_, item)| align(item, &schema)).collect::<Option<_>>()?;
            return Some((Some(SchemaBuilder::array(schema).build()), Value::Array(aligned)));
        }
        if tokens.take_trimmed(",") {
            return None;
        }
        let item = embedded(tokens, depth)?;
        common.add(item.as_ref());
        items.push(item.unwrap_or_default());
        let mark = tokens.mark();
        if tokens.take_trimmed("]") {
            tokens.rewind(mark);
        } else if !tokens.take_trimmed(",") {
            return None;
        }
    }
    None
}

fn map(tokens: &mut Tokens<'_>, depth: usize) -> Option<Inferred> {
    let (mut keys, mut values) = (Common::default(), Common::default());
    let mut entries: Vec<(Inferred, Inferred)> = vec![];
    while tokens.has_next() {
        if tokens.take_trimmed("}") {
            let (Some(key), Some(value)) = (keys.schema()?, values.schema()?) else {
                let entries = entries.into_iter().map(|(k, v)| (without_schema(k), without_schema(v)));
                return Some((None, Value::Map(entries.collect())));
            };
            let align = |(k, v): (Inferred, Inferred)| Some((align(k.1, &key)?, align(v.1, &value)?));
            let aligned = entries.into_iter().map(align).collect::<Option<_>>()?;
            return Some((Some(SchemaBuilder::map(key, value).build()), Value::Map(aligned)));
        }
        if tokens.take_trimmed(",") {
            return None;
        }
        let key = embedded(tokens, depth)??;
        if !tokens.take_trimmed(":") {
            return None;
        }
        let value = embedded(tokens, depth)?;
        tokens.take_trimmed(",");
        keys.add(Some(&key));
        values.add(value.as_ref());
        let value = value.unwrap_or_default();
        match entries.iter_mut().find(|(other, _)| other.1 == key.1) {
            Some(entry) => entry.1 = value,
            None => entries.push((key, value)),
        }
    }
    None
}

/// The schema that all items have in common.
#[derive(Default)]
struct Common {
    schema: Option<Schema>,
    incompatible: bool,
    /// Numbers beside dates: Connect finds a common type for them and then fails to convert.
    contradictory: bool,
}

impl Common {
    fn add(&mut self, item: Option<&Inferred>) {
        let Some((schema, _)) = item else { return };
        let Some(latest) = schema else {
            self.incompatible = true;
            return;
        };
        let Some(previous) = &self.schema else {
            self.schema = Some(latest.clone());
            return;
        };
        let rank = |schema: &Schema| match schema.kind() {
            Kind::Int8 => Some(0),
            Kind::Int16 => Some(1),
            Kind::Int32 => Some(2),
            Kind::Int64 => Some(3),
            Kind::Float32 => Some(4),
            Kind::Float64 => Some(5),
            _ => None,
        };
        if rank(previous).is_some() && rank(latest).is_some() && previous.name() != latest.name() {
            self.contradictory = true;
        }
        match (rank(previous), rank(latest)) {
            _ if std::mem::discriminant(previous.kind()) == std::mem::discriminant(latest.kind()) => {}
            (Some(from), Some(to)) if from < to => self.schema = Some(latest.clone()),
            (Some(_), Some(_)) => {}
            _ => self.incompatible = true,
        }
    }

    /// `None`: the text must stay a string. `Some(None)`: the items have nothing in common.
    fn schema(self) -> Option<Option<Schema>> {
        let schema = self.schema.filter(|_| !self.incompatible);
        if schema.is_some() && self.contradictory { None } else { Some(schema) }
    }
}

/// The value as it stands where there is no schema to say that it is a date or a decimal.
fn without_schema((schema, value): Inferred) -> Value {
    let name = schema.as_ref().and_then(Schema::name);
    match (name, value) {
        (Some(logical::DATE), Value::Int32(days)) => Value::Date(i64::from(days) * MILLIS_PER_DAY),
        (Some(logical::TIME), Value::Int32(millis)) => Value::Date(i64::from(millis)),
        (Some(logical::TIMESTAMP), Value::Int64(millis)) => Value::Date(millis),
        (Some(logical::DECIMAL), Value::Bytes(bytes)) => Value::Decimal(Box::new(Decimal {
            unscaled: bytes.to_vec(),
            scale: schema.as_ref().and_then(logical::decimal_scale).unwrap_or_default(),
            integer: false,
        })),
        (_, value) => value,
    }
}

/// The item as the common type has it; `None` where that would be another value, or is a null.
fn align(value: Value, schema: &Schema) -> Option<Value> {
    let number = value.as_i64();
    Some(match (schema.kind(), number) {
        _ if value.is_null() => return None,
        (Kind::Int16, Some(number)) => Value::Int16(i16::try_from(number).ok()?),
        (Kind::Int32, Some(number)) => Value::Int32(i32::try_from(number).ok()?),
        (Kind::Int64, Some(number)) => Value::Int64(number),
        (Kind::Float32, Some(number)) => Value::Float32(number as f32),
        (Kind::Float64, Some(number)) => Value::Float64(number as f64),
        (Kind::Float64, None) => match value {
            Value::Float32(number) => Value::Float64(f64::from(number)),
            other => other,
        },
        _ => value,
    })
}

/// A time or a timestamp is cut into five tokens by its colons.
fn temporal(tokens: &mut Tokens<'_>, token: &str) -> Option<Inferred> {
    let mark = tokens.mark();
    let rest: Vec<_> = std::iter::from_fn(|| tokens.next()).take(4).collect();
    if rest.len() == 4
        && let Some(found) = temporal_text(&format!("{token}{}", rest.concat()))
    {
        return Some(found);
    }
    tokens.rewind(mark);
    temporal_text(token)
}

fn temporal_text(text: &str) -> Option<Inferred> {
    let text = text.replace("\\:", ":");
    let bytes = text.as_bytes();
    match bytes.len() {
        TIME_LENGTH => {
            let millis = time(bytes)?;
            Some((Some(logical::time().build()), Value::Int32(millis)))
        }
        DATE_LENGTH => {
            let days = i32::try_from(date(bytes)?).ok()?;
            Some((Some(logical::date().build()), Value::Int32(days)))
        }
        TIMESTAMP_LENGTH if bytes[10] == b'T' => {
            let millis = date(&bytes[..10])? * MILLIS_PER_DAY + i64::from(time(&bytes[11..])?);
            Some((Some(logical::timestamp().build()), Value::Int64(millis)))
        }
        _ => None,
    }
}

/// `yyyy-MM-dd`; what does not exist in the calendar is no date.
fn date(bytes: &[u8]) -> Option<i64> {
    let separated = bytes[4] == b'-' && bytes[7] == b'-';
    let (year, month, day) = (digits(&bytes[..4])?, digits(&bytes[5..7])?, digits(&bytes[8..])?);
    let days = days_of(i64::from(year), i64::from(month), i64::from(day));
    let back = crate::calendar::date_of(days);
    let same = back.year == i64::from(year) && i32::from(back.month) == month && i32::from(back.day) == day;
    (separated && same && year > 0).then_some(days)
}

/// `HH:mm:ss.SSSZ`, milliseconds of the day.
fn time(bytes: &[u8]) -> Option<i32> {
    let separated = bytes[2] == b':' && bytes[5] == b':' && bytes[8] == b'.' && bytes[12] == b'Z';
    let (hours, minutes) = (digits(&bytes[..2])?, digits(&bytes[3..5])?);
    let (seconds, millis) = (digits(&bytes[6..8])?, digits(&bytes[9..12])?);
    let valid = separated && hours < 24 && minutes < 60 && seconds < 60;
    valid.then_some(((hours * 60 + minutes) * 60 + seconds) * 1000 + millis)
}

fn digits(bytes: &[u8]) -> Option<i32> {
    bytes.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i32::from(byte - b'0')))
}

fn western_digits(token: &str) -> std::borrow::Cow<'_, str> {
    if token.is_ascii() {
        return token.into();
    }
    let digit = |character: char| {
        let code = u32::from(character);
        let zero = OTHER_ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&code));
        zero.and_then(|zero| char::from_digit(code - zero, 10)).unwrap_or(character)
    };
    token.chars().map(digit).collect::<String>().into()
}

/// The smallest type that holds the number; a number that none of them holds exactly stays text.
fn number(token: &str) -> Option<Inferred> {
    let valid =
        token.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'));
    let exact = number_text::parse(token).filter(|_| valid)?;
    if let Some(whole) = number_text::rescale(&exact.0, exact.1, 0)
        && let Ok(number) = i64::try_from(&whole)
    {
        return Some(integer(number));
    }
    if exact.1 == 0 {
        let bytes = exact.0.to_signed_bytes_be();
        return Some((Some(decimal(0).build()), Value::Bytes(Blob::from(bytes))));
    }
    let mut printed = String::new();
    let single: f32 = token.parse().ok()?;
    if single.is_finite() {
        java_number::write_float(single, &mut printed);
        return same(&exact, &printed)
            .then(|| (Some(SchemaBuilder::float32().build()), Value::Float32(single)));
    }
    let double: f64 = token.parse().ok()?;
    if double.is_finite() {
        java_number::write_double(double, &mut printed);
        return same(&exact, &printed)
            .then(|| (Some(SchemaBuilder::float64().build()), Value::Float64(double)));
    }
    let bytes = exact.0.to_signed_bytes_be();
    Some((Some(decimal(exact.1).build()), Value::Bytes(Blob::from(bytes))))
}

fn integer(number: i64) -> Inferred {
    let (schema, value) = if let Ok(number) = i8::try_from(number) {
        (SchemaBuilder::int8(), Value::Int8(number))
    } else if let Ok(number) = i16::try_from(number) {
        (SchemaBuilder::int16(), Value::Int16(number))
    } else if let Ok(number) = i32::try_from(number) {
        (SchemaBuilder::int32(), Value::Int32(number))
    } else {
        (SchemaBuilder::int64(), Value::Int64(number))
    };
    (Some(schema.build()), value)
}

/// Whether the printed float is the same number.
fn same(exact: &(BigInt, i32), printed: &str) -> bool {
    let Some(back) = number_text::parse(printed) else { return false };
    if exact.0.sign() == Sign::NoSign || back.0.sign() == Sign::NoSign {
        return exact.0 == back.0;
    }
    let scale = exact.1.max(back.1);
    let aligned = |number: &(BigInt, i32)| number_text::rescale(&number.0, number.1, scale);
    aligned(exact).is_some() && aligned(exact) == aligned(&back)
}

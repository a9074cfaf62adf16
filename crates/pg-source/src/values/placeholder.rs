//! What stands for a value out of line that did not change and was not sent.

use connect::{Blob, Text, Value};
use md5::{Digest, Md5};
use pg::oid;

use super::decode::Decoder;
use crate::settings::{BinaryMode, Compat, ValueModes};

/// `None`: the type cannot hold the placeholder; that counts as a failed conversion.
pub fn placeholder(base_oid: u32, decoder: &Decoder, modes: &ValueModes) -> Option<Value> {
    let bytes = modes.placeholder.as_slice();
    let text = || Text::from(&*String::from_utf8_lossy(bytes));
    let numbers = |make: fn(u8) -> Value| Value::Array(bytes.iter().map(|byte| make(*byte)).collect());
    let one = |value: Value| Value::Array(Box::new([value]));
    Some(match decoder {
        Decoder::Text => Value::String(text()),
        Decoder::Bytes(BinaryMode::Bytes)
        | Decoder::Unknown(BinaryMode::Bytes)
        | Decoder::UnknownGeometry(BinaryMode::Bytes) => Value::Bytes(Blob::copy(bytes)),
        Decoder::Bytes(BinaryMode::Hex)
        | Decoder::Unknown(BinaryMode::Hex)
        | Decoder::UnknownGeometry(BinaryMode::Hex) => Value::String(text()),
        Decoder::HstoreJson => Value::String(format!("{{\"{0}\":\"{0}\"}}", &*text()).into()),
        Decoder::HstoreMap => Value::Map(Box::new([(Value::String(text()), Value::String(text()))])),
        // 1.9 had none for arrays.
        Decoder::Array { .. } if modes.compat == Compat::V19 => return None,
        Decoder::Array { element, .. } => match &**element {
            Decoder::Text if base_oid == oid::UUID_ARRAY => one(Value::String(uuid_of(bytes))),
            Decoder::Text => one(Value::String(text())),
            Decoder::Bytes(BinaryMode::Bytes) => one(Value::Bytes(Blob::copy(bytes))),
            Decoder::Bytes(BinaryMode::Hex) => one(Value::String(text())),
            Decoder::Int32 | Decoder::Date => numbers(|byte| Value::Int32(i32::from(byte))),
            Decoder::Int64 if base_oid == oid::INT8_ARRAY => numbers(|byte| Value::Int64(i64::from(byte))),
            _ => return None,
        },
        _ => return None,
    })
}

/// Java's `UUID.nameUUIDFromBytes`: MD5 with the bits of version 3.
fn uuid_of(bytes: &[u8]) -> Text {
    let mut hash: [u8; 16] = Md5::digest(bytes).into();
    hash[6] = hash[6] & 0x0f | 0x30;
    hash[8] = hash[8] & 0x3f | 0x80;
    let hex = hex::encode(hash);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]).into()
}

//! `Object.hashCode` of Connect's values, and Infinispan's Murmur: what partitions are computed from.

use connect::logical::{DATE, TIME, decimal_scale};
use connect::{Kind, Schema, Value};
use num_bigint::{BigInt, Sign};

use crate::java_date_format::MILLIS_PER_DAY;

const MURMUR_SEED: u64 = 9001;

/// `None` for structs and maps, whose code depends on Java's own classes.
pub(crate) fn hash_code(schema: &Schema, value: &Value) -> Option<i32> {
    Some(match (value, schema.kind()) {
        (Value::Null, _) => 0,
        (Value::Boolean(flag), _) => {
            if *flag {
                1231
            } else {
                1237
            }
        }
        (Value::Int8(number), _) => i32::from(*number),
        (Value::Int16(number), _) => i32::from(*number),
        (Value::Int32(days), _) if schema.name() == Some(DATE) => fold(i64::from(*days) * MILLIS_PER_DAY),
        (Value::Int32(millis), _) if schema.name() == Some(TIME) => fold(i64::from(*millis)),
        (Value::Int32(number), _) => *number,
        (Value::Int64(number), _) => fold(*number),
        (Value::Float32(number), _) => {
            if number.is_nan() {
                0x7fc0_0000
            } else {
                number.to_bits() as i32
            }
        }
        (Value::Float64(number), _) => {
            fold(if number.is_nan() { 0x7ff8_0000_0000_0000 } else { number.to_bits() as i64 })
        }
        (Value::String(text), _) => {
            text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
        }
        (Value::Bytes(unscaled), _) if decimal_scale(schema).is_some() => {
            let scale = decimal_scale(schema)?;
            big_integer(&BigInt::from_signed_bytes_be(unscaled)).wrapping_mul(31).wrapping_add(scale)
        }
        // As a ByteBuffer, in which Debezium keeps bytes.
        (Value::Bytes(bytes), _) => bytes
            .iter()
            .rev()
            .fold(1_i32, |hash, byte| hash.wrapping_mul(31).wrapping_add(i32::from(*byte as i8))),
        (Value::Array(items), Kind::Array(schema)) => items.iter().try_fold(1_i32, |hash, item| {
            Some(hash.wrapping_mul(31).wrapping_add(hash_code(schema, item)?))
        })?,
        _ => return None,
    })
}

fn fold(number: i64) -> i32 {
    (number ^ ((number as u64) >> 32) as i64) as i32
}

fn big_integer(number: &BigInt) -> i32 {
    let (sign, digits) = number.to_u32_digits();
    let hash =
        digits.iter().rev().fold(0_i32, |hash, digit| hash.wrapping_mul(31).wrapping_add(*digit as i32));
    if sign == Sign::Minus { hash.wrapping_neg() } else { hash }
}

/// Texts by their bytes, everything else by its hash code.
pub(crate) fn murmur(schema: &Schema, value: &Value) -> Option<i32> {
    Some(match value {
        Value::String(text) => murmur3(text.as_bytes()),
        other => murmur3(&hash_code(schema, other)?.to_le_bytes()),
    })
}

/// MurmurHash3 for 64 bits as it was before its final version: constants that change with each block.
fn murmur3(bytes: &[u8]) -> i32 {
    let mut state = Murmur {
        h1: 0x9368_e53c_2f6a_f274 ^ MURMUR_SEED,
        h2: 0x586d_cd20_8f7c_d3fd ^ MURMUR_SEED,
        c1: 0x87c3_7b91_1142_53d5,
        c2: 0x4cf5_ad43_2745_937f,
    };
    let mut blocks = bytes.chunks_exact(16);
    for block in &mut blocks {
        let word = |at: usize| u64::from_le_bytes(block[at..at + 8].try_into().expect("eight bytes"));
        state.mix(word(0), word(8));
    }
    // The last bytes are signed in Java; all but the lowest of each word wash out what is above them.
    let tail = blocks.remainder();
    let word = |part: &[u8]| {
        part.iter()
            .enumerate()
            .fold(0_u64, |word, (index, byte)| word ^ ((i64::from(*byte as i8) as u64) << (8 * index)))
    };
    let (low, high) = tail.split_at(tail.len().min(8));
    state.mix(word(low), word(high));
    let Murmur { mut h1, mut h2, .. } = state;
    h2 ^= bytes.len() as u64;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    h1 = finish(h1).wrapping_add(finish(h2));
    (h1 >> 32) as i32
}

struct Murmur {
    h1: u64,
    h2: u64,
    c1: u64,
    c2: u64,
}

impl Murmur {
    fn mix(&mut self, k1: u64, k2: u64) {
        let k1 = k1.wrapping_mul(self.c1).rotate_left(23).wrapping_mul(self.c2);
        self.h1 = (self.h1 ^ k1).wrapping_add(self.h2);
        self.h2 = self.h2.rotate_left(41);
        let k2 = k2.wrapping_mul(self.c2).rotate_left(23).wrapping_mul(self.c1);
        self.h2 = (self.h2 ^ k2).wrapping_add(self.h1);
        self.h1 = self.h1.wrapping_mul(3).wrapping_add(0x52dc_e729);
        self.h2 = self.h2.wrapping_mul(3).wrapping_add(0x3849_5ab5);
        self.c1 = self.c1.wrapping_mul(5).wrapping_add(0x7b7d_159c);
        self.c2 = self.c2.wrapping_mul(5).wrapping_add(0x6bce_6396);
    }
}

fn finish(mut word: u64) -> u64 {
    word = (word ^ (word >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    word = (word ^ (word >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ (word >> 33)
}

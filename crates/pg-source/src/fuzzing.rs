//! A door for the fuzz targets (`fuzz/`): any text as a value of any type, in any mode.

use connect::Buffer;
use pg::catalog::{TypeInfo, TypeKind};
use pg::oid;

use crate::settings::{
    BinaryMode, Compat, ConvertingFailure, DecimalMode, HstoreMode, IntervalMode, TimeMode, ValueModes,
};
use crate::values::{self, Types};

const SCALARS: [u32; 26] = [
    oid::BOOL,
    oid::BYTEA,
    oid::INT2,
    oid::INT4,
    oid::INT8,
    oid::OID,
    oid::FLOAT4,
    oid::FLOAT8,
    oid::NUMERIC,
    oid::MONEY,
    oid::BIT,
    oid::VARBIT,
    oid::TEXT,
    oid::JSON,
    oid::UUID,
    oid::POINT,
    oid::POLYGON,
    oid::CIRCLE,
    oid::DATE,
    oid::TIME,
    oid::TIMETZ,
    oid::TIMESTAMP,
    oid::TIMESTAMPTZ,
    oid::INTERVAL,
    oid::TSVECTOR,
    oid::INT4RANGE,
];
/// Types of extensions, known by their names.
const NAMED: [&str; 9] =
    ["hstore", "geometry", "geography", "vector", "halfvec", "sparsevec", "ltree", "citext", "isbn"];
const TYPMODS: [i32; 6] = [-1, 0, 1, 3, 6, ((10 << 16) | 2) + 4];

fn pick<T: Copy>(from: &[T], at: u8) -> T {
    from[usize::from(at) % from.len()]
}

/// Every type that is not an array.
fn elements() -> Vec<u32> {
    SCALARS.into_iter().chain(oid::FIRST_USER..oid::FIRST_USER + NAMED.len() as u32).collect()
}

fn types() -> Types {
    let info = |oid: u32, name: &str, kind: TypeKind| {
        let info = TypeInfo { oid, schema: "public".into(), name: name.into(), kind, delimiter: b',' };
        (oid, info)
    };
    let named = NAMED.iter().zip(oid::FIRST_USER..).map(|(name, oid)| info(oid, name, TypeKind::Base));
    let all: Vec<u32> =
        SCALARS.into_iter().chain(oid::FIRST_USER..oid::FIRST_USER + NAMED.len() as u32).collect();
    let arrays =
        all.iter().map(|element| info(element + ARRAYS, "array", TypeKind::Array { element_oid: *element }));
    named.chain(arrays).collect()
}

/// An array type's oid is its element's and this.
const ARRAYS: u32 = 1_000_000;

/// Decodes the bytes behind the first four as text of a value; those four choose the type and the modes.
pub fn value(bytes: &[u8]) {
    let Some((choice, text)) = bytes.split_at_checked(4) else { return };
    let element = pick(&elements(), choice[0]);
    let type_oid = if choice[1] & 0x80 != 0 { element + ARRAYS } else { element };
    let modes = ValueModes {
        compat: pick(&[Compat::V19, Compat::V25, Compat::V27, Compat::V30, Compat::V36], choice[2]),
        decimal: pick(&[DecimalMode::Precise, DecimalMode::Double, DecimalMode::String], choice[2] >> 3),
        time: pick(
            &[
                TimeMode::Adaptive,
                TimeMode::AdaptiveTimeMicroseconds,
                TimeMode::Connect,
                TimeMode::IsoString,
                TimeMode::Microseconds,
                TimeMode::Nanoseconds,
            ],
            choice[3],
        ),
        interval: pick(&[IntervalMode::Numeric, IntervalMode::String], choice[3] >> 3),
        hstore: pick(&[HstoreMode::Json, HstoreMode::Map], choice[3] >> 4),
        binary: pick(
            &[BinaryMode::Bytes, BinaryMode::Base64, BinaryMode::Base64UrlSafe, BinaryMode::Hex],
            choice[3] >> 5,
        ),
        money_digits: 2,
        placeholder: b"__debezium_unavailable_value".to_vec(),
        unknown_types: true,
        on_failure: ConvertingFailure::Warn,
    };
    let types = types();
    let typmod = pick(&TYPMODS, choice[1] & 0x7f);
    let Some(mapped) = values::map_column(type_oid, typmod, &types, &modes) else { return };
    let buffer = Buffer::from(text.to_vec());
    let _ = mapped.decoder.decode(&buffer, 0..text.len());
    if let Ok(expression) = std::str::from_utf8(text) {
        let _ = values::default_value(expression, &mapped, &types, modes.compat);
    }
}

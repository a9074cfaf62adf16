//! Length and scale of a type as Java's driver tells them: they are in parameters of schemas, and limit masks.

use pg::oid;

use super::mapping::numeric_modifier;

const UNLIMITED: i32 = i32::MAX;

pub fn dimensions(base_oid: u32, typmod: i32) -> (i32, i32) {
    let digits = if typmod < 0 { 6 } else { typmod };
    // Of a clock's text: what is behind the seconds, a point included.
    let fraction = match typmod {
        0 => 0,
        1 => 3,
        2..=6 => typmod + 1,
        _ => 7,
    };
    match base_oid {
        oid::BOOL | oid::CHAR => (1, 0),
        oid::INT2 => (5, 0),
        oid::INT4 | oid::OID => (10, 0),
        oid::INT8 => (19, 0),
        oid::FLOAT4 => (8, 8),
        oid::FLOAT8 => (17, 17),
        oid::NUMERIC => numeric_modifier(typmod).unwrap_or((131_089, 0)),
        oid::BPCHAR | oid::VARCHAR if typmod >= 4 => (typmod - 4, 0),
        oid::BIT | oid::VARBIT if typmod >= 0 => (typmod, 0),
        oid::DATE => (13, 0),
        oid::TIME => (8 + fraction, digits),
        oid::TIMETZ => (14 + fraction, digits),
        oid::TIMESTAMP => (22 + fraction, digits),
        oid::TIMESTAMPTZ => (28 + fraction, digits),
        oid::INTERVAL => (49, if typmod < 0 { 6 } else { typmod & 0xffff }),
        _ => (UNLIMITED, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_driver_tells() {
        assert_eq!(dimensions(oid::VARCHAR, 24), (20, 0));
        assert_eq!(dimensions(oid::NUMERIC, (10 << 16 | 2) + 4), (10, 2));
        assert_eq!(dimensions(oid::TEXT, -1), (UNLIMITED, 0));
        assert_eq!(dimensions(oid::TIMESTAMP, -1), (29, 6));
        assert_eq!(dimensions(oid::TIMESTAMPTZ, 3), (32, 3));
    }
}

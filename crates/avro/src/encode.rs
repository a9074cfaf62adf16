//! Avro's binary primitives, appended to a buffer; who knows the schema calls them in its order.

/// Zigzag varint: `int` and `long` have the same form.
#[inline]
pub fn long(value: i64, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    if rest < 0x80 {
        return out.push(rest as u8);
    }
    let mut bytes = [0_u8; 10];
    let mut length = 0;
    while rest >= 0x80 {
        bytes[length] = (rest as u8) | 0x80;
        rest >>= 7;
        length += 1;
    }
    bytes[length] = rest as u8;
    out.extend_from_slice(&bytes[..=length]);
}

#[inline]
pub fn int(value: i32, out: &mut Vec<u8>) {
    long(i64::from(value), out);
}

#[inline]
pub fn boolean(value: bool, out: &mut Vec<u8>) {
    out.push(u8::from(value));
}

#[inline]
pub fn float(value: f32, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}

#[inline]
pub fn double(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// `bytes` and `string`: a length and the content.
#[inline]
pub fn bytes(value: &[u8], out: &mut Vec<u8>) {
    long(value.len() as i64, out);
    out.extend_from_slice(value);
}

/// Opens the only block of an array or map; [`block_end`] must follow the items.
#[inline]
pub fn block_start(items: usize, out: &mut Vec<u8>) {
    if items > 0 {
        long(items as i64, out);
    }
}

#[inline]
pub fn block_end(out: &mut Vec<u8>) {
    out.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longs_are_zigzag_varints() {
        let cases: [(i64, &[u8]); 7] = [
            (0, &[0]),
            (-1, &[1]),
            (1, &[2]),
            (-64, &[0x7f]),
            (64, &[0x80, 1]),
            (i64::MAX, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
            (i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
        ];
        for (value, expected) in cases {
            let mut out = vec![];
            long(value, &mut out);
            assert_eq!(out, expected);
            let mut reader = crate::decode::Reader::new(&out);
            assert_eq!(reader.long(), Ok(value));
        }
    }
}

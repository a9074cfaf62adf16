//! Exact numbers in PostgreSQL's binary form: groups of four decimal digits.

use num_bigint::{BigInt, Sign};

use super::ValueError;

const NEGATIVE: u16 = 0x4000;
/// Most digits behind the point that the form can state.
const SCALE_MAX: i32 = 16_383;
/// Up to this many bytes a number times a thousand still fits in 128 bits.
const SMALL_BYTES_MAX: usize = 14;

/// Appends an unscaled two's complement big-endian number with its scale, without a length in front.
pub fn put_unscaled(out: &mut Vec<u8>, unscaled: &[u8], scale: i32) -> Result<(), ValueError> {
    if unscaled.len() <= SMALL_BYTES_MAX && (0..=SCALE_MAX).contains(&scale) {
        put_small(out, small(unscaled), scale);
        return Ok(());
    }
    let number = BigInt::from_signed_bytes_be(unscaled);
    put_digits(out, number.sign() == Sign::Minus, number.magnitude().to_string().as_bytes(), scale)
}

/// Sign-extends up to 16 bytes.
fn small(bytes: &[u8]) -> i128 {
    let fill = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) { -1 } else { 0 };
    bytes.iter().fold(fill, |number: i128, byte| (number << 8) | i128::from(*byte))
}

/// Appends a number of at most 112 bits; the scale is not negative.
pub fn put_small(out: &mut Vec<u8>, number: i128, scale: i32) {
    let pad = (4 - scale % 4) % 4;
    let fraction_groups = (scale + pad) / 4;
    let magnitude = number.unsigned_abs() * 10_u128.pow(pad.unsigned_abs());
    let mut groups = [0_i16; 12];
    let mut count = 0;
    let mut push = |group: i16| {
        groups[count] = group;
        count += 1;
    };
    // Division of 128 bits is slow: the low part is taken off while there is a high one.
    let mut rest = magnitude;
    while rest > u128::from(u64::MAX) {
        push((rest % 10_000) as i16);
        rest /= 10_000;
    }
    let mut rest = rest as u64;
    while rest > 0 {
        push((rest % 10_000) as i16);
        rest /= 10_000;
    }
    let used = &groups[..count];
    let zeros = used.iter().take_while(|group| **group == 0).count();
    let weight = i32::try_from(count).unwrap_or(0) - fraction_groups - 1;
    header(out, count - zeros, if count == 0 { 0 } else { weight }, number < 0, scale);
    for group in used[zeros..].iter().rev() {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

/// Appends a number given by its decimal digits.
fn put_digits(out: &mut Vec<u8>, negative: bool, digits: &[u8], scale: i32) -> Result<(), ValueError> {
    if !(-200_000..=SCALE_MAX).contains(&scale) {
        return Err(ValueError::new(format!(
            "a number of scale {scale} is outside of what numeric can hold"
        )));
    }
    let mut text = digits.to_vec();
    if scale < 0 {
        text.resize(text.len() + scale.unsigned_abs() as usize, b'0');
    }
    let scale = scale.max(0);
    let pad = (4 - scale % 4) % 4;
    text.resize(text.len() + pad as usize, b'0');
    let lead = (4 - text.len() % 4) % 4;
    let mut padded = vec![b'0'; lead];
    padded.extend_from_slice(&text);
    let mut groups: Vec<i16> = padded
        .chunks(4)
        .map(|chunk| chunk.iter().fold(0, |group, digit| group * 10 + i16::from(digit - b'0')))
        .collect();
    let leading = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..leading);
    let weight = i32::try_from(groups.len()).unwrap_or(i32::MAX) - (scale + pad) / 4 - 1;
    while groups.last() == Some(&0) {
        groups.pop();
    }
    if weight > i32::from(i16::MAX) || groups.len() > usize::from(i16::MAX.unsigned_abs()) {
        return Err(ValueError::new("a number has more digits than numeric can hold"));
    }
    header(
        out,
        groups.len(),
        if groups.is_empty() { 0 } else { weight },
        negative && !groups.is_empty(),
        scale,
    );
    for group in groups {
        out.extend_from_slice(&group.to_be_bytes());
    }
    Ok(())
}

/// The callers checked that each part fits its two bytes.
fn header(out: &mut Vec<u8>, groups: usize, weight: i32, negative: bool, scale: i32) {
    out.extend_from_slice(&(groups as u16).to_be_bytes());
    out.extend_from_slice(&(weight as i16).to_be_bytes());
    out.extend_from_slice(&(if negative { NEGATIVE } else { 0 }).to_be_bytes());
    out.extend_from_slice(&(scale as u16).to_be_bytes());
}

/// The number as plain decimal text, all digits of its scale.
pub fn put_text(out: &mut Vec<u8>, unscaled: &[u8], scale: i32) {
    let number = BigInt::from_signed_bytes_be(unscaled);
    if number.sign() == Sign::Minus {
        out.push(b'-');
    }
    let digits = number.magnitude().to_string();
    if scale <= 0 {
        out.extend_from_slice(digits.as_bytes());
        if number.sign() != Sign::NoSign {
            out.resize(out.len() + scale.unsigned_abs() as usize, b'0');
        }
        return;
    }
    let scale = scale as usize;
    let (whole, fraction) =
        if digits.len() > scale { digits.split_at(digits.len() - scale) } else { ("0", &*digits) };
    out.extend_from_slice(whole.as_bytes());
    out.push(b'.');
    out.resize(out.len() + scale - fraction.len(), b'0');
    out.extend_from_slice(fraction.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the binary form back as text.
    fn shown(binary: &[u8]) -> String {
        let part = |at: usize| i16::from_be_bytes([binary[at], binary[at + 1]]);
        let (count, weight, sign, scale) = (part(0), part(2), part(4), part(6));
        let group = |index: i16| if (0..count).contains(&index) { part(8 + 2 * index as usize) } else { 0 };
        let mut text = String::new();
        for index in 0..=weight.max(0) {
            let digits = if weight < 0 { 0 } else { group(index) };
            text += &if index == 0 { digits.to_string() } else { format!("{digits:04}") };
        }
        let mut fraction = String::new();
        let mut index = weight + 1;
        for at in 0..(scale + 3) / 4 {
            let position = -(at + 1);
            fraction += &format!("{:04}", if position > weight { 0 } else { group(index) });
            if position <= weight {
                index += 1;
            } else if position == weight + 1 {
                index = 0;
            }
        }
        fraction.truncate(scale as usize);
        let sign = if sign as u16 == NEGATIVE { "-" } else { "" };
        if scale == 0 { format!("{sign}{text}") } else { format!("{sign}{text}.{fraction}") }
    }

    fn check(number: &str, scale: i32, expected: &str) {
        let unscaled = number.parse::<BigInt>().unwrap().to_signed_bytes_be();
        let mut out = vec![];
        put_unscaled(&mut out, &unscaled, scale).unwrap();
        assert_eq!(shown(&out), expected, "{number} e-{scale}");
        let mut long = vec![];
        let value: BigInt = number.parse().unwrap();
        put_digits(&mut long, value.sign() == Sign::Minus, value.magnitude().to_string().as_bytes(), scale)
            .unwrap();
        assert_eq!(shown(&long), expected, "{number} e-{scale}, long way");
        let mut text = vec![];
        put_text(&mut text, &unscaled, scale);
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn numbers() {
        for (number, scale, expected) in [
            ("0", 0, "0"),
            ("0", 2, "0.00"),
            ("-12345", 2, "-123.45"),
            ("99", 2, "0.99"),
            ("1", 9, "0.000000001"),
            ("10000", 0, "10000"),
            ("100000000", 4, "10000.0000"),
            ("123456789012345678901234567890", 10, "12345678901234567890.1234567890"),
            ("-79228162514264337593543950336000", 3, "-79228162514264337593543950336.000"),
            ("1", -6, "1000000"),
        ] {
            check(number, scale, expected);
        }
    }
}

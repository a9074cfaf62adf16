//! `BigDecimal`: unscaled big-endian bytes and a scale, to Java's text and back.

use num_bigint::{BigInt, Sign};

/// More digits than this are refused when text is read: a payload of a few bytes such as `1e999999999` must not
/// become a number of a gigabyte.
const DIGITS_MAX: i64 = 100_000;

/// Appends `BigDecimal.toString()`: plain, or with an exponent where the scale is negative or the number very small.
pub fn write(unscaled: &[u8], scale: i32, out: &mut Vec<u8>) {
    let digits = digits(unscaled);
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", digits.as_str()),
    };
    out.extend_from_slice(sign.as_bytes());
    let scale = i64::from(scale);
    let length = digits.len() as i64;
    let exponent = length - 1 - scale;
    if scale == 0 {
        out.extend_from_slice(digits.as_bytes());
    } else if scale > 0 && exponent >= -6 {
        write_plain(digits, usize::try_from(scale).expect("checked to be positive"), out);
    } else {
        out.extend_from_slice(&digits.as_bytes()[..1]);
        if length > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits.as_bytes()[1..]);
        }
        if exponent != 0 {
            out.extend_from_slice(if exponent > 0 { b"E+" } else { b"E" });
            out.extend_from_slice(exponent.to_string().as_bytes());
        }
    }
}

fn write_plain(digits: &str, scale: usize, out: &mut Vec<u8>) {
    if digits.len() > scale {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        out.extend_from_slice(whole.as_bytes());
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    } else {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + scale - digits.len(), b'0');
        out.extend_from_slice(digits.as_bytes());
    }
}

/// The decimal digits of a two's complement number, with a sign.
pub fn digits(unscaled: &[u8]) -> String {
    if unscaled.len() > size_of::<i128>() {
        return BigInt::from_signed_bytes_be(unscaled).to_string();
    }
    let negative = unscaled.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut bytes = [if negative { 0xff } else { 0 }; size_of::<i128>()];
    bytes[size_of::<i128>() - unscaled.len()..].copy_from_slice(unscaled);
    i128::from_be_bytes(bytes).to_string()
}

/// A number's text (`-12.30`, `1e2`) as an unscaled number and its own scale.
pub fn parse(text: &str) -> Option<(BigInt, i32)> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let scale = fraction.len() as i64 - exponent;
    let number = format!("{whole}{fraction}").parse().ok()?;
    Some((number, i32::try_from(scale).ok()?))
}

/// Two's complement of `number` at another scale. `None` when digits would be lost, or there would be absurdly many.
pub fn rescale(number: &BigInt, from: i32, to: i32) -> Option<BigInt> {
    let difference = i64::from(to) - i64::from(from);
    if difference == 0 || number.sign() == Sign::NoSign {
        return Some(number.clone());
    }
    if difference.abs() > DIGITS_MAX {
        return None;
    }
    let power = BigInt::from(10).pow(u32::try_from(difference.unsigned_abs()).ok()?);
    if difference > 0 {
        return Some(number * power);
    }
    let quotient = number / &power;
    (&quotient * &power == *number).then_some(quotient)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(unscaled: i64, scale: i32, expected: &str) {
        let mut out = vec![];
        write(&BigInt::from(unscaled).to_signed_bytes_be(), scale, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn texts_of_big_decimal() {
        check(1230, 2, "12.30");
        check(-1230, 2, "-12.30");
        check(0, 0, "0");
        check(0, 2, "0.00");
        check(0, 7, "0E-7");
        check(1, -3, "1E+3");
        check(123, -3, "1.23E+5");
        check(1, 6, "0.000001");
        check(1, 7, "1E-7");
        check(15, 8, "1.5E-7");
        check(5, 1, "0.5");
    }

    #[test]
    fn large_numbers() {
        let number: BigInt = "-123456789012345678901234567890123456789012345678901234567890".parse().unwrap();
        assert_eq!(digits(&number.to_signed_bytes_be()), number.to_string());
    }

    #[test]
    fn rescaling_never_loses_digits() {
        let (number, scale) = parse("12.3").unwrap();
        assert_eq!(rescale(&number, scale, 2), Some(BigInt::from(1230)));
        assert_eq!(rescale(&number, scale, 0), None);
        let (number, scale) = parse("1e2").unwrap();
        assert_eq!(rescale(&number, scale, 2), Some(BigInt::from(10_000)));
        let (number, scale) = parse("1e999999999").unwrap();
        assert_eq!(rescale(&number, scale, 2), None);
    }
}

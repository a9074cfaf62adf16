//! Numbers as Java prints and reads them: `Double.toString`, `Double.parseDouble` and their like.

use num_bigint::BigInt;

/// Below this and from the other one on Java prints with an exponent.
const PLAIN_MIN: f64 = 1e-3;
const PLAIN_MAX: f64 = 1e7;

/// Appends a double as `Double.toString` of Java 19 and later does (the shortest text that reads back).
pub fn write_double(value: f64, out: &mut String) {
    if !value.is_finite() || value == 0.0 {
        return write_special(value, out);
    }
    let shortest = format!("{value:e}");
    // Java wants two digits at least, and of those the nearest: 4.9E-324, not 5.0E-324.
    let two_digits = format!("{value:.1e}");
    let nearest = !shortest.contains('.') && two_digits.parse() == Ok(value);
    let plain = (PLAIN_MIN..PLAIN_MAX).contains(&value.abs());
    write_scientific(if nearest { &two_digits } else { &shortest }, plain, out);
}

/// Appends a float as `Float.toString` does.
pub fn write_float(value: f32, out: &mut String) {
    if !value.is_finite() || value == 0.0 {
        return write_special(f64::from(value), out);
    }
    let shortest = format!("{value:e}");
    let two_digits = format!("{value:.1e}");
    let nearest = !shortest.contains('.') && two_digits.parse() == Ok(value);
    let plain = (PLAIN_MIN as f32..PLAIN_MAX as f32).contains(&value.abs());
    write_scientific(if nearest { &two_digits } else { &shortest }, plain, out);
}

fn write_special(value: f64, out: &mut String) {
    out.push_str(match (value.is_nan(), value.is_sign_negative(), value == 0.0) {
        (true, _, _) => "NaN",
        (_, false, true) => "0.0",
        (_, true, true) => "-0.0",
        (_, false, _) => "Infinity",
        (_, true, _) => "-Infinity",
    });
}

/// `text` is Rust's `d.ddde±x`; the result is Java's plain or `E` form.
fn write_scientific(text: &str, plain: bool, out: &mut String) {
    let (mantissa, exponent) = text.split_once('e').expect("Rust's {:e} always has an exponent");
    let exponent: i32 = exponent.parse().expect("Rust's {:e} has an integer exponent");
    let digits = match mantissa.strip_prefix('-') {
        Some(rest) => {
            out.push('-');
            rest
        }
        None => mantissa,
    };
    let (head, tail) = digits.split_once('.').unwrap_or((digits, ""));
    let tail = tail.trim_end_matches('0');
    let or_zero = |digits: &str, out: &mut String| out.push_str(if digits.is_empty() { "0" } else { digits });
    if !plain {
        out.push_str(head);
        out.push('.');
        or_zero(tail, out);
        out.push('E');
        return out.push_str(&exponent.to_string());
    }
    match usize::try_from(exponent) {
        Ok(whole) => {
            let (inside, fraction) = tail.split_at(whole.min(tail.len()));
            out.push_str(head);
            out.push_str(inside);
            out.extend(std::iter::repeat_n('0', whole - inside.len()));
            out.push('.');
            or_zero(fraction, out);
        }
        Err(_) => {
            out.push_str("0.");
            out.extend(std::iter::repeat_n('0', exponent.unsigned_abs() as usize - 1));
            out.push_str(head);
            out.push_str(tail);
        }
    }
}

/// `Double.parseDouble`, hexadecimal forms aside: white space around it and a type's letter behind it are allowed.
pub fn parse_double(text: &str) -> Option<f64> {
    plain(text)?.parse().ok()
}

/// `Float.parseFloat`, with the same rules.
pub fn parse_float(text: &str) -> Option<f32> {
    plain(text)?.parse().ok()
}

/// What Rust reads alike; its own words for infinity are not Java's.
fn plain(text: &str) -> Option<&str> {
    let text = text.trim_matches(|character: char| character <= ' ');
    match text.strip_prefix(['+', '-']).unwrap_or(text) {
        "NaN" | "Infinity" => return Some(if text.ends_with("NaN") { "NaN" } else { text }),
        _ => {}
    }
    let text = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    let is_number =
        text.bytes().all(|it| it.is_ascii_digit() || matches!(it, b'.' | b'e' | b'E' | b'+' | b'-'));
    is_number.then_some(text)
}

/// `BigInteger.longValue()`: the low 64 bits of a two's complement, big-endian number.
pub fn low_bits(unscaled: &[u8]) -> i64 {
    let negative = unscaled.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut bytes = [if negative { 0xff } else { 0 }; 8];
    let tail = &unscaled[unscaled.len().saturating_sub(8)..];
    bytes[8 - tail.len()..].copy_from_slice(tail);
    i64::from_be_bytes(bytes)
}

/// `BigDecimal.toBigInteger()`: the fraction is cut off.
pub fn whole_part(unscaled: &[u8], scale: i32) -> BigInt {
    let number = BigInt::from_signed_bytes_be(unscaled);
    // Numbers with absurdly many zeros come from a schema's parameter only; nobody wants their digits.
    let power = BigInt::from(10).pow(scale.unsigned_abs().min(100_000));
    if scale >= 0 { number / power } else { number * power }
}

/// `BigDecimal.doubleValue()`.
pub fn decimal_to_double(unscaled: &[u8], scale: i32) -> f64 {
    let mut text = crate::decimal::digits(unscaled);
    text.push_str(&format!("e{}", -i64::from(scale)));
    text.parse().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: f64, expected: &str) {
        let mut out = String::new();
        write_double(value, &mut out);
        assert_eq!(out, expected);
        assert_eq!(parse_double(expected), Some(value));
    }

    #[test]
    fn texts_of_doubles() {
        check(1.0, "1.0");
        check(100.0, "100.0");
        check(1e7, "1.0E7");
        check(12_345_678.9, "1.23456789E7");
        check(0.001, "0.001");
        check(1e-5, "1.0E-5");
        check(5e-324, "4.9E-324");
        check(f64::NEG_INFINITY, "-Infinity");
    }

    #[test]
    fn javas_texts_are_read_and_rusts_are_not() {
        assert_eq!(parse_double(" +5d"), Some(5.0));
        assert_eq!(parse_float("1e400"), Some(f32::INFINITY));
        assert!(parse_double("NaN").is_some_and(f64::is_nan));
        for text in ["", "inf", "nan", "infinity", "0x10", "1_0", "abc"] {
            assert_eq!(parse_double(text), None, "{text}");
        }
    }

    #[test]
    fn decimals_as_numbers() {
        let unscaled = BigInt::from(-12_345).to_signed_bytes_be();
        assert_eq!(decimal_to_double(&unscaled, 2), -123.45);
        assert_eq!(whole_part(&unscaled, 2), BigInt::from(-123));
        assert_eq!(low_bits(&unscaled), -12_345);
    }
}

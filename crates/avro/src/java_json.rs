//! Numbers and strings as Jackson and `Double.toString` print them: texts that are stored, compared and hashed must agree to the byte.

use crate::schema::Json;

/// Below this and from `1e7` on Java prints with an exponent.
const PLAIN_MIN: f64 = 1e-3;
const PLAIN_MAX: f64 = 1e7;

/// Appends a double as `Double.toString` of Java 19 and later does (the shortest text that reads back).
pub fn write_double(value: f64, out: &mut String) {
    if !value.is_finite() || value == 0.0 {
        return write_special(value, value.is_sign_negative(), out);
    }
    let shortest = format!("{value:e}");
    // Java wants two digits at least, and of those the nearest: 4.9E-324, not 5.0E-324.
    let two_digits = format!("{value:.1e}");
    let single_digit = !shortest.contains('.');
    let text = if single_digit && two_digits.parse() == Ok(value) { &two_digits } else { &shortest };
    write_scientific(text, (PLAIN_MIN..PLAIN_MAX).contains(&value.abs()), out);
}

/// Appends a float as `Float.toString` does.
pub fn write_float(value: f32, out: &mut String) {
    if !value.is_finite() || value == 0.0 {
        return write_special(f64::from(value), value.is_sign_negative(), out);
    }
    let shortest = format!("{value:e}");
    let two_digits = format!("{value:.1e}");
    let single_digit = !shortest.contains('.');
    let text = if single_digit && two_digits.parse() == Ok(value) { &two_digits } else { &shortest };
    let magnitude = value.abs();
    write_scientific(text, (1e-3_f32..1e7_f32).contains(&magnitude), out);
}

fn write_special(value: f64, negative: bool, out: &mut String) {
    out.push_str(match (value.is_nan(), negative, value == 0.0) {
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
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    out.push_str(sign);
    let (head, tail) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let tail = tail.trim_end_matches('0');
    if !plain {
        out.push_str(head);
        out.push('.');
        out.push_str(if tail.is_empty() { "0" } else { tail });
        out.push('E');
        out.push_str(&exponent.to_string());
        return;
    }
    if exponent < 0 {
        out.push_str("0.");
        (1..-exponent).for_each(|_| out.push('0'));
        out.push_str(head);
        out.push_str(tail);
        return;
    }
    let whole = usize::try_from(exponent).expect("checked to be positive");
    out.push_str(head);
    let (inside, fraction) = tail.split_at(whole.min(tail.len()));
    out.push_str(inside);
    (inside.len()..whole).for_each(|_| out.push('0'));
    out.push('.');
    out.push_str(if fraction.is_empty() { "0" } else { fraction });
}

/// Appends a quoted JSON string: only `"`, `\` and control characters are escaped.
pub fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut plain_from = 0;
    for (index, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[plain_from..index]);
        plain_from = index + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            _ => out.push_str(&format!("\\u{byte:04X}")),
        }
    }
    out.push_str(&text[plain_from..]);
    out.push('"');
}

/// Appends compact JSON; numbers are reprinted as Jackson's nodes do (`1.50` becomes `1.5`).
pub fn write_json(value: &Json, out: &mut String) {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(true) => out.push_str("true"),
        Json::Bool(false) => out.push_str("false"),
        Json::Number(number) => write_number(&number.to_string(), out),
        Json::String(text) => write_string(text, out),
        Json::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_json(item, out);
            }
            out.push(']');
        }
        Json::Object(members) => {
            out.push('{');
            for (index, (key, member)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(key, out);
                out.push(':');
                write_json(member, out);
            }
            out.push('}');
        }
    }
}

fn write_number(text: &str, out: &mut String) {
    if text == "-0" {
        return out.push('0');
    }
    if !text.contains(['.', 'e', 'E']) {
        return out.push_str(text);
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => write_double(value, out),
        _ => out.push_str(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn double(value: f64) -> String {
        let mut out = String::new();
        write_double(value, &mut out);
        out
    }

    #[test]
    fn doubles_read_like_java() {
        for (value, text) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (1.25, "1.25"),
            (0.001, "0.001"),
            (0.00095, "9.5E-4"),
            (1e7, "1.0E7"),
            (9_999_999.5, "9999999.5"),
            (1_234_567.0, "1234567.0"),
            (100.0, "100.0"),
            (f64::MIN_POSITIVE, "2.2250738585072014E-308"),
            (5e-324, "4.9E-324"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
            (1e21, "1.0E21"),
            (123_456.789, "123456.789"),
        ] {
            assert_eq!(double(value), text);
        }
    }

    #[test]
    fn floats_read_like_java() {
        for (value, text) in [
            (f32::from_bits(1), "1.4E-45"),
            (f32::MAX, "3.4028235E38"),
            (0.1, "0.1"),
            (16_777_216.0, "1.6777216E7"),
            (1e-3, "0.001"),
        ] {
            let mut out = String::new();
            write_float(value, &mut out);
            assert_eq!(out, text);
        }
    }

    #[test]
    fn strings_escape_only_what_json_demands() {
        let mut out = String::new();
        write_string("é\u{1F600}\"\\\n\u{0001}\u{007f}", &mut out);
        assert_eq!(out, "\"é\u{1F600}\\\"\\\\\\n\\u0001\u{007f}\"");
    }
}

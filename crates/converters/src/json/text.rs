//! JSON text of strings, numbers and bytes, as Jackson's UTF-8 generator writes it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const QUOTE: u64 = u64::from_ne_bytes([b'"'; 8]);
const BACKSLASH: u64 = u64::from_ne_bytes([b'\\'; 8]);
const LOW_BITS: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGH_BITS: u64 = u64::from_ne_bytes([0x80; 8]);
const SPACE: u64 = u64::from_ne_bytes([0x20; 8]);

/// First byte of a UTF-8 sequence of four: a character outside the basic plane.
const FOUR_BYTES: u8 = 0xf0;

/// Appends a quoted string. Characters outside the basic plane become two `\u` escapes, as Jackson writes them.
#[inline]
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut index = plain_prefix(bytes);
    out.extend_from_slice(&bytes[..index]);
    while index < bytes.len() {
        index += write_escape(text, index, out);
        let plain = plain_prefix(&bytes[index..]);
        out.extend_from_slice(&bytes[index..index + plain]);
        index += plain;
    }
    out.push(b'"');
}

/// Length of the part that is copied as it is; eight bytes at a time.
#[inline]
fn plain_prefix(bytes: &[u8]) -> usize {
    let mut index = 0;
    while let Some(chunk) = bytes.get(index..index + 8) {
        let word = u64::from_ne_bytes(chunk.try_into().expect("the slice has eight bytes"));
        // Hacker's Delight 6-1: a high bit in every byte that is zero after the xor, or below a space.
        let quote = (word ^ QUOTE).wrapping_sub(LOW_BITS) & !(word ^ QUOTE);
        let backslash = (word ^ BACKSLASH).wrapping_sub(LOW_BITS) & !(word ^ BACKSLASH);
        let control = word.wrapping_sub(SPACE) & !word;
        let wide = word & (word << 1) & (word << 2) & (word << 3);
        if (quote | backslash | control | wide) & HIGH_BITS != 0 {
            break;
        }
        index += 8;
    }
    while index < bytes.len() && is_plain(bytes[index]) {
        index += 1;
    }
    index
}

#[inline]
fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte != b'"' && byte != b'\\' && byte < FOUR_BYTES
}

/// Writes the escape of the character at `index` and says how many bytes of the text it took.
#[cold]
fn write_escape(text: &str, index: usize, out: &mut Vec<u8>) -> usize {
    let byte = text.as_bytes()[index];
    let short = match byte {
        b'"' => b"\\\"",
        b'\\' => b"\\\\",
        b'\n' => b"\\n",
        b'\r' => b"\\r",
        b'\t' => b"\\t",
        0x08 => b"\\b",
        0x0c => b"\\f",
        FOUR_BYTES.. => {
            let character = text[index..].chars().next().expect("index lies on a character");
            for unit in character.encode_utf16(&mut [0; 2]) {
                write_unit(*unit, out);
            }
            return character.len_utf8();
        }
        _ => {
            write_unit(u16::from(byte), out);
            return 1;
        }
    };
    out.extend_from_slice(short);
    1
}

fn write_unit(unit: u16, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |shift: u16| HEX[usize::from((unit >> shift) & 0xf)];
    out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
}

#[inline]
pub(crate) fn write_integer(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// `Double.toString`; NaN and the infinities are quoted.
#[inline]
pub(crate) fn write_double(value: f64, out: &mut Vec<u8>) {
    // In this range Java's form and ryu's are the same, and ryu needs no allocation.
    if (1e-3..1e7).contains(&value.abs()) {
        return out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    }
    let mut text = String::new();
    avro::write_double(value, &mut text);
    write_number_text(&text, value.is_finite(), out);
}

/// `Float.toString`; NaN and the infinities are quoted.
#[inline]
pub(crate) fn write_float(value: f32, out: &mut Vec<u8>) {
    if (1e-3..1e7).contains(&value.abs()) {
        return out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    }
    let mut text = String::new();
    avro::write_float(value, &mut text);
    write_number_text(&text, value.is_finite(), out);
}

fn write_number_text(text: &str, finite: bool, out: &mut Vec<u8>) {
    if finite {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// Quoted base64, standard alphabet, padded.
#[inline]
pub(crate) fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    STANDARD.encode_slice(bytes, &mut out[start..]).expect("the slice has exactly base64's length");
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> String {
        let mut out = vec![];
        write_string(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings() {
        assert_eq!(string(""), "\"\"");
        assert_eq!(
            string("plain text that is longer than eight"),
            "\"plain text that is longer than eight\""
        );
        assert_eq!(string("12345678\"\\\n\u{1}é€"), "\"12345678\\\"\\\\\\n\\u0001é€\"");
        assert_eq!(string("a😀b"), "\"a\\uD83D\\uDE00b\"");
        assert_eq!(string("\u{7f}\u{80}ÿ"), "\"\u{7f}\u{80}ÿ\"");
    }

    #[test]
    fn every_byte_position_is_looked_at() {
        for length in 0..20 {
            for place in 0..length {
                for special in ["\"", "\\", "\u{1f}", "😀"] {
                    let text = format!("{}{special}{}", "ä".repeat(place), "x".repeat(length - place));
                    let back: String = serde_json::from_str(&string(&text)).unwrap();
                    assert_eq!(back, text);
                    assert!(string(&text).contains('\\'));
                }
            }
        }
    }
}

//! Values of several parts in PostgreSQL's text form: arrays, bytea, hstore, points.

use std::borrow::Cow;

/// The text does not have the form of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed {0}")]
pub struct Malformed(pub &'static str);

/// An array of one dimension, or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Array<'a> {
    Flat(Vec<Option<Cow<'a, [u8]>>>),
    /// More than one dimension.
    Nested,
}

/// Elements of an array literal; bounds (`[2:3]={…}`) are passed over.
pub fn array(text: &[u8], delimiter: u8) -> Result<Array<'_>, Malformed> {
    const ERROR: Malformed = Malformed("array");
    let mut rest = text;
    if rest.first() == Some(&b'[') {
        let start = memchr::memchr(b'=', rest).ok_or(ERROR)?;
        rest = &rest[start + 1..];
    }
    rest = rest.strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}")).ok_or(ERROR)?;
    if rest.is_empty() {
        return Ok(Array::Flat(vec![]));
    }
    if rest[0] == b'{' {
        return Ok(Array::Nested);
    }
    let mut items = vec![];
    loop {
        let (item, after) =
            if rest.first() == Some(&b'"') { quoted(&rest[1..])? } else { bare(rest, delimiter) };
        items.push(item);
        match after.split_first() {
            None => return Ok(Array::Flat(items)),
            Some((letter, after)) if *letter == delimiter => rest = after,
            Some(_) => return Err(ERROR),
        }
    }
}

type Item<'a> = (Option<Cow<'a, [u8]>>, &'a [u8]);

fn bare(text: &[u8], delimiter: u8) -> Item<'_> {
    let end = memchr::memchr(delimiter, text).unwrap_or(text.len());
    let (item, rest) = text.split_at(end);
    let value = (!item.eq_ignore_ascii_case(b"NULL")).then_some(Cow::Borrowed(item));
    (value, rest)
}

/// What follows an opening quote, up to the closing one.
fn quoted(text: &[u8]) -> Result<Item<'_>, Malformed> {
    let mut copy: Option<Vec<u8>> = None;
    let mut start = 0;
    let mut at = 0;
    loop {
        let step = memchr::memchr2(b'"', b'\\', &text[at..]).ok_or(Malformed("quoted element"))?;
        at += step;
        if text[at] == b'"' {
            let rest = &text[at + 1..];
            let value = match copy {
                None => Cow::Borrowed(&text[start..at]),
                Some(mut copy) => {
                    copy.extend_from_slice(&text[start..at]);
                    Cow::Owned(copy)
                }
            };
            return Ok((Some(value), rest));
        }
        copy.get_or_insert_default().extend_from_slice(&text[start..at]);
        // The escaped character is taken as it is.
        start = at + 1;
        at += 2;
        if at > text.len() {
            return Err(Malformed("quoted element"));
        }
    }
}

/// `bytea` in its hex or its escape form.
pub fn bytea(text: &[u8]) -> Result<Vec<u8>, Malformed> {
    const ERROR: Malformed = Malformed("bytea");
    if let Some(digits) = text.strip_prefix(b"\\x") {
        if digits.len() % 2 != 0 {
            return Err(ERROR);
        }
        let pairs = digits.chunks_exact(2);
        return pairs
            .map(|pair| Some(hex(pair[0])? << 4 | hex(pair[1])?))
            .collect::<Option<_>>()
            .ok_or(ERROR);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        if *first != b'\\' {
            out.push(*first);
            rest = after;
        } else if after.first() == Some(&b'\\') {
            out.push(b'\\');
            rest = &after[1..];
        } else {
            let digits = after.first_chunk::<3>().ok_or(ERROR)?;
            if !digits.iter().all(|digit| (b'0'..=b'7').contains(digit)) || digits[0] > b'3' {
                return Err(ERROR);
            }
            out.push((digits[0] - b'0') << 6 | (digits[1] - b'0') << 3 | (digits[2] - b'0'));
            rest = &after[3..];
        }
    }
    Ok(out)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// `bit`, `varbit`: eight to a byte, the last bit of the text is the lowest of the first byte.
pub fn bits_little_endian(text: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut out = vec![0; text.len().div_ceil(8)];
    for (index, bit) in text.iter().rev().enumerate() {
        match bit {
            b'0' => {}
            b'1' => out[index / 8] |= 1 << (index % 8),
            _ => return Err(Malformed("bit string")),
        }
    }
    Ok(out)
}

/// `point`: `(x,y)`.
pub fn point(text: &[u8]) -> Result<(f64, f64), Malformed> {
    let parse = || {
        let inner = std::str::from_utf8(text).ok()?.strip_prefix('(')?.strip_suffix(')')?;
        let (x, y) = inner.split_once(',')?;
        Some((x.parse().ok()?, y.parse().ok()?))
    };
    parse().ok_or(Malformed("point"))
}

/// Pairs of a `hstore`: `"key"=>"value", "other"=>NULL`.
pub fn hstore(text: &[u8]) -> Result<Vec<HstorePair<'_>>, Malformed> {
    const ERROR: Malformed = Malformed("hstore");
    let mut pairs = vec![];
    let mut rest = text;
    while !rest.is_empty() {
        let (key, after) = quoted(rest.strip_prefix(b"\"").ok_or(ERROR)?)?;
        let after = after.strip_prefix(b"=>").ok_or(ERROR)?;
        let (value, after) = match after.strip_prefix(b"\"") {
            Some(after) => quoted(after)?,
            None => (None, after.strip_prefix(b"NULL").ok_or(ERROR)?),
        };
        pairs.push((key.ok_or(ERROR)?, value));
        rest = after.strip_prefix(b", ").unwrap_or(after);
        if !after.is_empty() && rest.len() == after.len() {
            return Err(ERROR);
        }
    }
    Ok(pairs)
}

pub type HstorePair<'a> = (Cow<'a, [u8]>, Option<Cow<'a, [u8]>>);

#[cfg(test)]
mod tests {
    use super::*;

    fn check_array(text: &str, expected: &[Option<&str>]) {
        let Array::Flat(items) = array(text.as_bytes(), b',').unwrap() else { panic!("{text}") };
        let items: Vec<_> =
            items.iter().map(|item| item.as_ref().map(|item| std::str::from_utf8(item).unwrap())).collect();
        assert_eq!(items, expected, "{text}");
    }

    #[test]
    fn arrays() {
        check_array("{}", &[]);
        check_array("{1,NULL,3}", &[Some("1"), None, Some("3")]);
        check_array(r#"{"a,b","NULL","q\"\\",""}"#, &[Some("a,b"), Some("NULL"), Some("q\"\\"), Some("")]);
        check_array("[2:3]={x,y}", &[Some("x"), Some("y")]);
        assert_eq!(array(b"{{1,2},{3,4}}", b','), Ok(Array::Nested));
        for text in ["", "{", "1,2", "{\"a}", "{\"a\"b}", "{\"a\\", "[1:2]"] {
            assert!(array(text.as_bytes(), b',').is_err(), "{text}");
        }
    }

    #[test]
    fn byte_arrays() {
        assert_eq!(bytea(b"\\x00fFe0"), Ok(vec![0, 0xff, 0xe0]));
        assert_eq!(bytea(b"a\\\\b\\000\\377"), Ok(b"a\\b\0\xff".to_vec()));
        for text in ["\\x0", "\\xzz", "a\\", "\\9", "\\400"] {
            assert!(bytea(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn bits_points_hstores() {
        assert_eq!(bits_little_endian(b"1000000010"), Ok(vec![2, 2]));
        assert!(bits_little_endian(b"12").is_err());
        assert_eq!(point(b"(1.5,-2e10)"), Ok((1.5, -2e10)));
        assert!(point(b"1,2").is_err());
        let pairs = hstore(br#""a"=>"1", "b\"c"=>NULL"#).unwrap();
        assert_eq!(pairs.len(), 2);
        assert_eq!((&*pairs[1].0, &pairs[1].1), (&b"b\"c"[..], &None));
        assert_eq!(hstore(b""), Ok(vec![]));
        assert!(hstore(b"\"a\"=>\"1\"x").is_err());
    }
}

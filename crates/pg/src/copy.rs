//! Rows of COPY: out in text form, without copying; in in binary form.

use bytes::{BufMut, BytesMut};

use crate::error::{Error, Result};
use crate::pgoutput::Datum;

/// What a row needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// The ranges refer to the buffer in which the row lies.
    InPlace,
    /// The row had escapes; the ranges refer to this copy without them.
    Unescaped(Vec<u8>),
}

/// Splits the row (with or without its line end) at `range` of `chunk` into columns.
pub fn split_row(chunk: &[u8], range: std::ops::Range<usize>, out: &mut Vec<Datum>) -> Result<Row> {
    out.clear();
    let row = chunk.get(range.clone()).ok_or_else(|| Error::protocol("COPY row outside its chunk"))?;
    let row = row.strip_suffix(b"\n").unwrap_or(row);
    let mut start = 0;
    for at in memchr::memchr2_iter(b'\t', b'\\', row) {
        if row[at] == b'\t' {
            // A null pushed its own column and moved `start` behind the tab.
            if at >= start {
                out.push(Datum::text(range.start + start..range.start + at));
                start = at + 1;
            }
        } else if at == start && is_null(&row[at..]) {
            out.push(Datum::NULL);
            start = at + 3;
        } else if at >= start {
            return unescape_row(row, out).map(Row::Unescaped);
        }
    }
    // `\N` at the end leaves `start` one behind the row's end.
    if start <= row.len() {
        out.push(Datum::text(range.start + start..range.start + row.len()));
    }
    Ok(Row::InPlace)
}

/// `\N` as a whole column.
fn is_null(rest: &[u8]) -> bool {
    rest.starts_with(b"\\N") && matches!(rest.get(2), None | Some(b'\t'))
}

#[cold]
fn unescape_row(row: &[u8], out: &mut Vec<Datum>) -> Result<Vec<u8>> {
    out.clear();
    let mut copy = Vec::with_capacity(row.len());
    for column in row.split(|byte| *byte == b'\t') {
        if column == b"\\N" {
            out.push(Datum::NULL);
            continue;
        }
        let start = copy.len();
        unescape(column, &mut copy)?;
        out.push(Datum::text(start..copy.len()));
    }
    Ok(copy)
}

fn unescape(column: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let mut rest = column;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let letter = *rest.get(at + 1).ok_or_else(|| Error::protocol("COPY row ends in an escape"))?;
        out.push(match letter {
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 11,
            // The server writes no octal or hexadecimal escapes.
            other => other,
        });
        rest = &rest[at + 2..];
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// Writes rows in COPY's binary form.
#[derive(Debug, Default)]
pub struct BinaryWriter {
    out: BytesMut,
}

impl BinaryWriter {
    /// Starts with the file header.
    pub fn new() -> Self {
        let mut out = BytesMut::with_capacity(8 * 1024);
        out.put_slice(b"PGCOPY\n\xff\r\n\0");
        out.put_i32(0);
        out.put_i32(0);
        Self { out }
    }

    /// Starts a row of so many columns.
    pub fn row(&mut self, columns: u16) {
        self.out.put_u16(columns);
    }

    pub fn null(&mut self) {
        self.out.put_i32(-1);
    }

    /// A value in its type's binary form.
    pub fn value(&mut self, bytes: &[u8]) -> Result<()> {
        let length = i32::try_from(bytes.len())
            .map_err(|_| Error::new(crate::ErrorClass::Data, "a value is larger than 2 GiB"))?;
        self.out.put_i32(length);
        self.out.put_slice(bytes);
        Ok(())
    }

    /// Bytes that wait to be sent.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// What was written so far; writing goes on.
    pub fn take(&mut self) -> bytes::Bytes {
        self.out.split().freeze()
    }

    /// The rest, with the end mark.
    pub fn finish(mut self) -> bytes::Bytes {
        self.out.put_i16(-1);
        self.out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(row: &str, expected: &[Option<&str>]) {
        let chunk = format!("head{row}");
        let mut out = vec![];
        let result = split_row(chunk.as_bytes(), 4..chunk.len(), &mut out).unwrap();
        let buffer = match &result {
            Row::InPlace => chunk.as_bytes(),
            Row::Unescaped(copy) => copy,
        };
        let values: Vec<_> = out
            .iter()
            .map(|datum| {
                (*datum != Datum::NULL).then(|| std::str::from_utf8(&buffer[datum.range()]).unwrap())
            })
            .collect();
        assert_eq!(values, expected, "{row:?}");
    }

    #[test]
    fn rows() {
        check("1\tab\t\n", &[Some("1"), Some("ab"), Some("")]);
        check("\\N\n", &[None]);
        check("\\N\t\\N\tx\t\\N\n", &[None, None, Some("x"), None]);
        check("\n", &[Some("")]);
        check("a\\tb\t\\N\tc\\\\d\n", &[Some("a\tb"), None, Some("c\\d")]);
        check("\\\\N\t\\\\\n", &[Some("\\N"), Some("\\")]);
        check("\\N\ta\\nb\n", &[None, Some("a\nb")]);
        check("\t\n", &[Some(""), Some("")]);
    }

    #[test]
    fn a_lone_escape_is_an_error() {
        let mut out = vec![];
        assert!(split_row(b"ab\\", 0..3, &mut out).is_err());
    }

    #[test]
    fn binary_header_and_trailer() {
        let mut writer = BinaryWriter::new();
        writer.row(2);
        writer.null();
        writer.value(b"x").unwrap();
        let bytes = writer.finish();
        assert_eq!(&bytes[..19], b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
        assert_eq!(&bytes[19..], b"\0\x02\xff\xff\xff\xff\0\0\0\x01x\xff\xff");
    }
}

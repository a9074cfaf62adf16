//! Protobuf's wire format: keys, varints, lengths. Whatever the bytes are, reading them ends with a value or an error.

use std::ops::Range;

use connect::TaskError;

pub(super) const VARINT: u8 = 0;
pub(super) const FIXED64: u8 = 1;
pub(super) const DELIMITED: u8 = 2;
const GROUP_START: u8 = 3;
const GROUP_END: u8 = 4;
pub(super) const FIXED32: u8 = 5;

/// Groups and messages nested deeper are refused.
const DEPTH_MAX: usize = 100;

#[inline]
pub(super) fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[inline]
pub(super) fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

#[inline]
pub(super) fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// The bytes of a field's key.
pub(super) fn key(number: u32, wire_type: u8) -> Box<[u8]> {
    let mut out = vec![];
    varint(u64::from(number) << 3 | u64::from(wire_type), &mut out);
    out.into_boxed_slice()
}

/// Writes content with its length in front. Nearly all lengths are one byte: room for one is left, and more is made where
/// it must be.
pub(super) fn delimited<E>(
    out: &mut Vec<u8>,
    content: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let start = out.len();
    out.push(0);
    content(out)?;
    let length = out.len() - start - 1;
    if length < 0x80 {
        out[start] = length as u8;
        return Ok(());
    }
    let mut head = Vec::with_capacity(5);
    varint(length as u64, &mut head);
    out.splice(start..=start, head);
    Ok(())
}

/// Reads a part of a buffer; positions are those of the buffer, so that strings can be slices of it.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], range: Range<usize>) -> Self {
        let end = range.end.min(bytes.len());
        Self { bytes, position: range.start.min(end), end }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.position >= self.end
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, TaskError> {
        let mut number = 0_u64;
        for shift in (0..70).step_by(7) {
            if self.position >= self.end {
                return Err(malformed("a number is cut off"));
            }
            let byte = self.bytes[self.position];
            self.position += 1;
            number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(malformed("a number has more than ten bytes"))
    }

    /// Number and wire type of the next field.
    #[inline]
    pub(super) fn key(&mut self) -> Result<(u32, u8), TaskError> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| malformed("a field's number is too large"))?;
        if number == 0 {
            return Err(malformed("a field has the number 0"));
        }
        Ok((number, (key & 7) as u8))
    }

    pub(super) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], TaskError> {
        let bytes = self.bytes[..self.end].get(self.position..self.position + N);
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        self.position += N;
        bytes.ok_or_else(|| malformed("a number is cut off"))
    }

    /// The range of what has a length in front of it.
    #[inline]
    pub(super) fn range(&mut self) -> Result<Range<usize>, TaskError> {
        let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        if length > self.end - self.position {
            return Err(malformed("a length reaches beyond the end"));
        }
        let start = self.position;
        self.position += length;
        Ok(start..self.position)
    }

    /// A part of the same buffer.
    pub(super) fn within(&self, range: Range<usize>) -> Reader<'a> {
        Reader::new(self.bytes, range)
    }

    /// Passes over a field that nobody wants.
    pub(super) fn skip(&mut self, wire_type: u8) -> Result<(), TaskError> {
        self.skip_field(wire_type, 0)
    }

    fn skip_field(&mut self, wire_type: u8, depth: usize) -> Result<(), TaskError> {
        match wire_type {
            VARINT => self.varint().map(drop),
            FIXED64 => self.fixed::<8>().map(drop),
            DELIMITED => self.range().map(drop),
            FIXED32 => self.fixed::<4>().map(drop),
            GROUP_START if depth < DEPTH_MAX => loop {
                let (_, inner) = self.key()?;
                if inner == GROUP_END {
                    return Ok(());
                }
                self.skip_field(inner, depth + 1)?;
            },
            _ => Err(malformed("an unknown wire type")),
        }
    }
}

#[cold]
pub(super) fn malformed(what: &str) -> TaskError {
    TaskError::reject(format!("failed to deserialize data to Protobuf: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut out = vec![];
            varint(number, &mut out);
            assert_eq!(Reader::new(&out, 0..out.len()).varint().unwrap(), number);
        }
        for number in [0, -1, 1, i64::MIN, i64::MAX] {
            assert_eq!(unzigzag(zigzag(number)), number);
        }
    }

    #[test]
    fn lengths_of_any_size() {
        for length in [0_usize, 127, 128, 20_000] {
            let mut out = vec![9];
            delimited(&mut out, |out| {
                out.resize(out.len() + length, 7);
                Ok::<_, TaskError>(())
            })
            .unwrap();
            let mut reader = Reader::new(&out, 1..out.len());
            let range = reader.range().unwrap();
            assert_eq!((range.len(), reader.is_at_end()), (length, true));
        }
    }
}

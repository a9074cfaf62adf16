//! Avro's binary primitives, read from a slice; malformed input is an error, never a panic.

use std::ops::Range;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the datum ends before its schema does")]
    Truncated,
    #[error("a number takes more bytes than its type allows")]
    NumberTooLong,
    #[error("a length or count is negative or larger than the datum")]
    BadLength,
    #[error("a branch or symbol index lies outside the schema")]
    BadIndex,
    #[error("a string is not valid UTF-8")]
    NotUtf8,
    #[error("the datum is nested too deeply")]
    TooDeep,
}

/// A cursor over one datum.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub fn position(&self) -> usize {
        self.position
    }

    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    #[inline]
    pub fn long(&mut self) -> Result<i64, DecodeError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.position).ok_or(DecodeError::Truncated)?;
            self.position += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(DecodeError::NumberTooLong)
    }

    #[inline]
    pub fn int(&mut self) -> Result<i32, DecodeError> {
        i32::try_from(self.long()?).map_err(|_| DecodeError::NumberTooLong)
    }

    #[inline]
    pub fn boolean(&mut self) -> Result<bool, DecodeError> {
        Ok(self.fixed(1)?[0] == 1)
    }

    #[inline]
    pub fn float(&mut self) -> Result<f32, DecodeError> {
        let bytes = self.fixed(4)?;
        Ok(f32::from_le_bytes(bytes.try_into().map_err(|_| DecodeError::Truncated)?))
    }

    #[inline]
    pub fn double(&mut self) -> Result<f64, DecodeError> {
        let bytes = self.fixed(8)?;
        Ok(f64::from_le_bytes(bytes.try_into().map_err(|_| DecodeError::Truncated)?))
    }

    /// The next `size` bytes.
    #[inline]
    pub fn fixed(&mut self, size: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.position.checked_add(size).ok_or(DecodeError::BadLength)?;
        let slice = self.bytes.get(self.position..end).ok_or(DecodeError::Truncated)?;
        self.position = end;
        Ok(slice)
    }

    /// A length-prefixed content, as its range in the datum, for whoever wants a slice of a shared buffer.
    #[inline]
    pub fn bytes_range(&mut self) -> Result<Range<usize>, DecodeError> {
        let length = usize::try_from(self.long()?).map_err(|_| DecodeError::BadLength)?;
        self.fixed(length)?;
        Ok(self.position - length..self.position)
    }

    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let range = self.bytes_range()?;
        Ok(&self.bytes[range])
    }

    pub fn string(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| DecodeError::NotUtf8)
    }

    /// Items in the next block of an array or map; 0 ends it. A size in bytes, where given, is skipped.
    pub fn block(&mut self) -> Result<usize, DecodeError> {
        let count = self.long()?;
        if count < 0 {
            self.long()?;
        }
        usize::try_from(count.unsigned_abs()).map_err(|_| DecodeError::BadLength)
    }

    /// Index of a union's branch or an enum's symbol.
    #[inline]
    pub fn index(&mut self, limit: usize) -> Result<usize, DecodeError> {
        let index = usize::try_from(self.long()?).map_err(|_| DecodeError::BadIndex)?;
        if index < limit { Ok(index) } else { Err(DecodeError::BadIndex) }
    }
}

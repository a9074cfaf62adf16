//! Strings and byte arrays that are either short and in place, or slices of the buffer that they came in.
//!
//! A row arrives as one buffer. A text column longer than [`INLINE_LEN_MAX`] is a slice of it: the buffer's
//! reference count is all that it costs. Shorter ones are copied into the value itself, which is cheaper than the
//! count and keeps a small key from pinning a large row in memory.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

/// Longest content that is kept in place, in bytes.
pub const INLINE_LEN_MAX: usize = 22;

/// A buffer that values share slices of; one reference count for the whole row (or message).
#[derive(Clone, Debug)]
pub struct Buffer(Arc<Bytes>);

impl Buffer {
    pub fn new(bytes: Bytes) -> Self {
        Self(Arc::new(bytes))
    }

    #[inline]
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(Bytes::from(bytes))
    }
}

/// A byte array.
#[derive(Clone)]
pub struct Blob(Repr);

#[derive(Clone)]
enum Repr {
    Inline { len: u8, data: [u8; INLINE_LEN_MAX] },
    Shared { start: u32, len: u32, buffer: Buffer },
}

impl Blob {
    pub const EMPTY: Self = Self(Repr::Inline { len: 0, data: [0; INLINE_LEN_MAX] });

    /// Copies `bytes`: in place when short, else into a buffer of its own.
    pub fn copy(bytes: &[u8]) -> Self {
        if bytes.len() <= INLINE_LEN_MAX {
            return Self::inline(bytes);
        }
        Self::from(bytes.to_vec())
    }

    /// The part `range` of `buffer`; copied in place when short.
    ///
    /// # Panics
    /// When `range` lies outside the buffer, or the buffer is larger than 4 GiB: both are caller's errors,
    /// PostgreSQL's and Kafka's messages are limited to less.
    #[inline]
    pub fn slice(buffer: &Buffer, range: Range<usize>) -> Self {
        let bytes = &buffer.bytes()[range.clone()];
        if bytes.len() <= INLINE_LEN_MAX {
            return Self::inline(bytes);
        }
        let start = u32::try_from(range.start).expect("buffers are smaller than 4 GiB");
        let len = u32::try_from(bytes.len()).expect("buffers are smaller than 4 GiB");
        Self(Repr::Shared { start, len, buffer: buffer.clone() })
    }

    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, data } => &data[..usize::from(*len)],
            Repr::Shared { start, len, buffer } => &buffer.bytes()[*start as usize..(*start + *len) as usize],
        }
    }

    /// Bytes of memory that this value keeps alive beyond itself: the whole buffer where it is a slice.
    pub fn retained_bytes(&self) -> usize {
        match &self.0 {
            Repr::Inline { .. } => 0,
            Repr::Shared { buffer, .. } => buffer.bytes().len(),
        }
    }

    /// A copy that shares no buffer, for what outlives its batch.
    pub fn detached(&self) -> Self {
        Self::copy(self.as_slice())
    }

    #[inline]
    fn inline(bytes: &[u8]) -> Self {
        let mut data = [0; INLINE_LEN_MAX];
        data[..bytes.len()].copy_from_slice(bytes);
        Self(Repr::Inline { len: bytes.len() as u8, data })
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        let len = bytes.len();
        Self::slice(&Buffer::from(bytes), 0..len)
    }
}

impl From<&[u8]> for Blob {
    fn from(bytes: &[u8]) -> Self {
        Self::copy(bytes)
    }
}

impl std::ops::Deref for Blob {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl PartialEq for Blob {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}
impl Eq for Blob {}
impl Hash for Blob {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}
impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x?}", self.as_slice())
    }
}

/// A string: a [`Blob`] that is known to be UTF-8.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Text(Blob);

impl Text {
    pub const EMPTY: Self = Self(Blob::EMPTY);

    /// The part `range` of `buffer`, validated as UTF-8.
    #[inline]
    pub fn slice(buffer: &Buffer, range: Range<usize>) -> Result<Self, std::str::Utf8Error> {
        std::str::from_utf8(&buffer.bytes()[range.clone()])?;
        Ok(Self(Blob::slice(buffer, range)))
    }

    /// Validates the bytes; does not copy them where they are shared.
    pub fn from_blob(blob: Blob) -> Result<Self, std::str::Utf8Error> {
        std::str::from_utf8(blob.as_slice())?;
        Ok(Self(blob))
    }

    #[inline]
    pub fn as_str(&self) -> &str {
        // SAFETY: every constructor takes a `str` or validates, and the content is immutable.
        unsafe { std::str::from_utf8_unchecked(self.0.as_slice()) }
    }

    pub fn retained_bytes(&self) -> usize {
        self.0.retained_bytes()
    }

    pub fn detached(&self) -> Self {
        Self(self.0.detached())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Blob::copy(text.as_bytes()))
    }
}
impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Blob::from(text.into_bytes()))
    }
}
impl std::ops::Deref for Text {
    type Target = str;
    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_is_in_place_and_long_is_shared() {
        let buffer = Buffer::from(b"a short one and one that is certainly longer than the limit".to_vec());
        let short = Text::slice(&buffer, 2..7).unwrap();
        let long = Text::slice(&buffer, 16..59).unwrap();
        assert_eq!((&*short, short.retained_bytes()), ("short", 0));
        assert_eq!((&*long, long.retained_bytes()), ("one that is certainly longer than the limit", 59));
        assert_eq!(long.detached().retained_bytes(), 43);
    }

    #[test]
    fn sizes_are_what_the_record_path_counts_on() {
        assert_eq!(size_of::<Blob>(), 24);
        assert!(size_of::<crate::Value>() <= 32);
    }

    #[test]
    fn invalid_utf8_is_refused() {
        assert!(Text::slice(&Buffer::from(vec![b'a', 0xff]), 0..2).is_err());
    }
}

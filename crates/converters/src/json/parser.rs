//! JSON text → tokens, over a buffer that strings share. Accepts what Jackson accepts by default, and leading zeros.

use std::borrow::Cow;
use std::ops::Range;

use connect::{Buffer, TaskError, Text};

/// Deeper texts are refused: outside bytes must not exhaust the stack.
const DEPTH_MAX: usize = 200;
/// Jackson's own limit.
const NUMBER_LENGTH_MAX: usize = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

impl Token {
    /// Jackson's `JsonNodeType`, as error texts show it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Boolean => "BOOLEAN",
            Self::Number => "NUMBER",
            Self::String => "STRING",
            Self::Array => "ARRAY",
            Self::Object => "OBJECT",
        }
    }
}

#[derive(Clone)]
pub(crate) struct Parser<'a> {
    buffer: &'a Buffer,
    bytes: &'a [u8],
    position: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(buffer: &'a Buffer) -> Self {
        let bytes: &[u8] = buffer.bytes();
        let position = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        Self { buffer, bytes, position, depth: 0 }
    }

    /// Goes on at a place that was seen before.
    pub(crate) fn at(buffer: &'a Buffer, position: usize) -> Self {
        Self { position, ..Self::new(buffer) }
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.position) {
            self.position += 1;
        }
    }

    /// The next byte that is no space; `None` at the end.
    pub(crate) fn next_byte(&mut self) -> Option<u8> {
        self.skip_space();
        self.bytes.get(self.position).copied()
    }

    pub(crate) fn is_at_end(&mut self) -> bool {
        self.next_byte().is_none()
    }

    /// What the next value is; takes nothing but space.
    pub(crate) fn peek(&mut self) -> Result<Token, TaskError> {
        Ok(match self.next_byte() {
            Some(b'n') => Token::Null,
            Some(b't' | b'f') => Token::Boolean,
            Some(b'"') => Token::String,
            Some(b'[') => Token::Array,
            Some(b'{') => Token::Object,
            Some(b'-' | b'0'..=b'9') => Token::Number,
            Some(_) => return Err(self.error("unexpected character")),
            None => return Err(self.error("unexpected end of input")),
        })
    }

    pub(crate) fn null(&mut self) -> Result<(), TaskError> {
        self.word(b"null")
    }

    pub(crate) fn boolean(&mut self) -> Result<bool, TaskError> {
        if self.next_byte() == Some(b't') {
            return self.word(b"true").map(|()| true);
        }
        self.word(b"false").map(|()| false)
    }

    fn word(&mut self, word: &[u8]) -> Result<(), TaskError> {
        self.skip_space();
        let rest = &self.bytes[self.position..];
        let ends = !rest.get(word.len()).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        if !rest.starts_with(word) || !ends {
            return Err(self.error("unrecognised word"));
        }
        self.position += word.len();
        Ok(())
    }

    /// The text of a number.
    pub(crate) fn number(&mut self) -> Result<&'a str, TaskError> {
        self.skip_space();
        let start = self.position;
        if self.bytes.get(self.position) == Some(&b'-') {
            self.position += 1;
        }
        self.digits()?;
        if self.bytes.get(self.position) == Some(&b'.') {
            self.position += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.position) {
            self.position += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.position) {
                self.position += 1;
            }
            self.digits()?;
        }
        if self.position - start > NUMBER_LENGTH_MAX {
            return Err(self.error("number is too long"));
        }
        Ok(std::str::from_utf8(&self.bytes[start..self.position]).expect("only ASCII was taken"))
    }

    fn digits(&mut self) -> Result<(), TaskError> {
        let start = self.position;
        while let Some(b'0'..=b'9') = self.bytes.get(self.position) {
            self.position += 1;
        }
        if self.position == start { Err(self.error("digit expected")) } else { Ok(()) }
    }

    /// A string; a slice of the buffer where it has no escapes.
    pub(crate) fn string(&mut self) -> Result<Text, TaskError> {
        match self.raw_string()? {
            (range, false) => Text::slice(self.buffer, range).map_err(|_| self.error("invalid UTF-8")),
            (range, true) => Ok(Text::from(self.unescape(range)?)),
        }
    }

    /// A string that is only looked at.
    pub(crate) fn string_ref(&mut self) -> Result<Cow<'a, str>, TaskError> {
        match self.raw_string()? {
            (range, false) => match std::str::from_utf8(&self.bytes[range]) {
                Ok(text) => Ok(Cow::Borrowed(text)),
                Err(_) => Err(self.error("invalid UTF-8")),
            },
            (range, true) => Ok(Cow::Owned(self.unescape(range)?)),
        }
    }

    /// Content between the quotes, and whether there is an escape in it.
    fn raw_string(&mut self) -> Result<(Range<usize>, bool), TaskError> {
        if self.next_byte() != Some(b'"') {
            return Err(self.error("string expected"));
        }
        let start = self.position + 1;
        let mut index = start;
        let mut escaped = false;
        loop {
            let rest = self.bytes.get(index..).unwrap_or_default();
            let Some(place) = memchr::memchr2(b'"', b'\\', rest) else {
                return Err(self.error("unexpected end of input within a string"));
            };
            if rest[..place].iter().any(|byte| *byte < 0x20) {
                return Err(self.error("unescaped control character in a string"));
            }
            index += place;
            if self.bytes[index] == b'"' {
                break;
            }
            escaped = true;
            index += 2;
        }
        self.position = index + 1;
        Ok((start..index, escaped))
    }

    fn unescape(&self, range: Range<usize>) -> Result<String, TaskError> {
        let raw = std::str::from_utf8(&self.bytes[range]).map_err(|_| self.error("invalid UTF-8"))?;
        let mut text = String::with_capacity(raw.len());
        let mut units: Vec<u16> = vec![];
        let mut rest = raw;
        while let Some(place) = rest.find('\\') {
            let (plain, escape) = rest.split_at(place);
            if !plain.is_empty() {
                flush_units(&mut units, &mut text);
                text.push_str(plain);
            }
            let code = escape.as_bytes().get(1).copied().unwrap_or_default();
            if code == b'u' {
                let unit = escape.get(2..6).and_then(|hex| u16::from_str_radix(hex, 16).ok());
                units.push(unit.ok_or_else(|| self.error("bad \\u escape"))?);
                rest = &escape[6..];
                continue;
            }
            flush_units(&mut units, &mut text);
            text.push(match code {
                b'"' => '"',
                b'\\' => '\\',
                b'/' => '/',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                _ => return Err(self.error("unknown escape")),
            });
            rest = &escape[2..];
        }
        flush_units(&mut units, &mut text);
        text.push_str(rest);
        Ok(text)
    }

    /// Enters an array or an object.
    pub(crate) fn open(&mut self, bracket: u8) -> Result<(), TaskError> {
        if self.next_byte() != Some(bracket) {
            return Err(self.error("bracket expected"));
        }
        self.position += 1;
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(self.error("nested too deeply")) } else { Ok(()) }
    }

    /// Whether another item follows before `bracket`; takes the comma, or the bracket.
    pub(crate) fn more(&mut self, bracket: u8, first: bool) -> Result<bool, TaskError> {
        match self.next_byte() {
            Some(byte) if byte == bracket => {
                self.position += 1;
                self.depth = self.depth.saturating_sub(1);
                Ok(false)
            }
            Some(b',') if !first => {
                self.position += 1;
                if self.next_byte() == Some(bracket) {
                    return Err(self.error("value expected"));
                }
                Ok(true)
            }
            Some(_) if first => Ok(true),
            _ => Err(self.error("comma or closing bracket expected")),
        }
    }

    pub(crate) fn colon(&mut self) -> Result<(), TaskError> {
        if self.next_byte() != Some(b':') {
            return Err(self.error("colon expected"));
        }
        self.position += 1;
        Ok(())
    }

    /// Takes `text` when the input goes on exactly so.
    #[inline]
    pub(crate) fn take(&mut self, text: &[u8]) -> bool {
        let matches = self.bytes[self.position..].starts_with(text);
        if matches {
            self.position += text.len();
        }
        matches
    }

    /// Passes over one value.
    pub(crate) fn skip(&mut self) -> Result<(), TaskError> {
        match self.peek()? {
            Token::Null => self.null(),
            Token::Boolean => self.boolean().map(drop),
            Token::Number => self.number().map(drop),
            Token::String => self.raw_string().map(drop),
            Token::Array => {
                self.open(b'[')?;
                let mut first = true;
                while self.more(b']', first)? {
                    first = false;
                    self.skip()?;
                }
                Ok(())
            }
            Token::Object => {
                self.open(b'{')?;
                let mut first = true;
                while self.more(b'}', first)? {
                    first = false;
                    self.raw_string()?;
                    self.colon()?;
                    self.skip()?;
                }
                Ok(())
            }
        }
    }

    #[cold]
    pub(crate) fn error(&self, what: &str) -> TaskError {
        TaskError::reject("Converting byte[] to Kafka Connect data failed due to serialization error: ")
            .with_source(format!("invalid JSON: {what} at byte {}", self.position))
    }
}

/// UTF-16 units to text; a lone surrogate, which Java would keep, becomes the replacement character.
fn flush_units(units: &mut Vec<u16>, text: &mut String) {
    if !units.is_empty() {
        text.extend(char::decode_utf16(units.drain(..)).map(|it| it.unwrap_or(char::REPLACEMENT_CHARACTER)));
    }
}

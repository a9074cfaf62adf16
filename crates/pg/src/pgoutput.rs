//! Decoder of `pgoutput`, protocol version 1 (spec: PostgreSQL's "Logical Replication Message Formats").
//!
//! Tuple data is not copied: a tuple is a list of (kind, range), and the ranges point into the chunk in which
//! the frame lies.

use std::ops::Range;

use crate::catalog::ReplicaIdentity;
use crate::error::{Error, Result};
use crate::lsn::Lsn;

/// One column's value, as far as the wire knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datum {
    pub kind: DatumKind,
    start: u32,
    end: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatumKind {
    Null,
    /// A value out of line that did not change, and was not sent.
    Unchanged,
    Text,
    Binary,
}

impl Datum {
    pub const NULL: Self = Self { kind: DatumKind::Null, start: 0, end: 0 };
    pub const UNCHANGED: Self = Self { kind: DatumKind::Unchanged, start: 0, end: 0 };

    /// The text at a range of the buffer; buffers are smaller than 4 GiB, as PostgreSQL's messages are.
    pub fn text(range: Range<usize>) -> Self {
        Self { kind: DatumKind::Text, start: range.start as u32, end: range.end as u32 }
    }

    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Which columns an old row has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldRow {
    /// Those of the replica identity; the others are null.
    Key,
    Full,
}

/// Reused for every message: the columns of the row before and after.
#[derive(Clone, Debug, Default)]
pub struct Tuples {
    pub old: Vec<Datum>,
    pub new: Vec<Datum>,
}

/// A table as it was at this point of the WAL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    pub identity: ReplicaIdentity,
    pub columns: Vec<RelationColumn>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationColumn {
    /// Belongs to the replica identity.
    pub key: bool,
    pub name: String,
    pub type_oid: u32,
    pub typmod: i32,
}

/// A message of the stream. Times are microseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    Begin {
        /// Where the commit record starts.
        final_lsn: Lsn,
        commit_time: i64,
        xid: u32,
    },
    Commit {
        /// Where the commit record starts.
        commit_lsn: Lsn,
        /// Behind the commit record.
        end_lsn: Lsn,
        commit_time: i64,
    },
    Origin {
        lsn: Lsn,
        name: &'a str,
    },
    Relation(Box<Relation>),
    Type {
        oid: u32,
        schema: &'a str,
        name: &'a str,
    },
    /// The row is in [`Tuples::new`].
    Insert {
        relation: u32,
    },
    /// The rows are in [`Tuples`]; without an old one the identity did not change.
    Update {
        relation: u32,
        old: Option<OldRow>,
    },
    /// The row is in [`Tuples::old`].
    Delete {
        relation: u32,
        old: OldRow,
    },
    Truncate {
        relations: Vec<u32>,
        cascade: bool,
        restart_identity: bool,
    },
    /// `pg_logical_emit_message`.
    Logical {
        transactional: bool,
        lsn: Lsn,
        prefix: &'a str,
        content: &'a [u8],
    },
}

/// Decodes the message at `range` of `chunk`; ranges in `tuples` refer to the chunk.
pub fn decode<'a>(chunk: &'a [u8], range: Range<usize>, tuples: &mut Tuples) -> Result<Message<'a>> {
    let bytes = chunk.get(..range.end).ok_or_else(short)?;
    let mut reader = Reader { bytes, at: range.start };
    let message = match reader.u8()? {
        b'I' => {
            let relation = reader.u32()?;
            reader.expect(b'N')?;
            reader.tuple(&mut tuples.new)?;
            Message::Insert { relation }
        }
        b'U' => update(&mut reader, tuples)?,
        b'D' => {
            let relation = reader.u32()?;
            let letter = reader.u8()?;
            let old = old_row(letter)?;
            reader.tuple(&mut tuples.old)?;
            Message::Delete { relation, old }
        }
        b'B' => Message::Begin { final_lsn: reader.lsn()?, commit_time: reader.time()?, xid: reader.u32()? },
        b'C' => {
            reader.u8()?;
            Message::Commit { commit_lsn: reader.lsn()?, end_lsn: reader.lsn()?, commit_time: reader.time()? }
        }
        b'O' => Message::Origin { lsn: reader.lsn()?, name: reader.text()? },
        b'R' => Message::Relation(Box::new(relation(&mut reader)?)),
        b'Y' => Message::Type { oid: reader.u32()?, schema: reader.text()?, name: reader.text()? },
        b'T' => truncate(&mut reader)?,
        b'M' => {
            let flags = reader.u8()?;
            let lsn = reader.lsn()?;
            let prefix = reader.text()?;
            let length = reader.u32()? as usize;
            Message::Logical { transactional: flags & 1 != 0, lsn, prefix, content: reader.take(length)? }
        }
        letter => {
            return Err(Error::protocol(format!("unknown pgoutput message {:?}", char::from(letter))));
        }
    };
    Ok(message)
}

fn update<'a>(reader: &mut Reader<'_>, tuples: &mut Tuples) -> Result<Message<'a>> {
    let relation = reader.u32()?;
    let mut letter = reader.u8()?;
    let mut old = None;
    if letter != b'N' {
        old = Some(old_row(letter)?);
        reader.tuple(&mut tuples.old)?;
        letter = reader.u8()?;
    }
    if letter != b'N' {
        return Err(Error::protocol("an update without a new row"));
    }
    reader.tuple(&mut tuples.new)?;
    Ok(Message::Update { relation, old })
}

fn old_row(letter: u8) -> Result<OldRow> {
    match letter {
        b'K' => Ok(OldRow::Key),
        b'O' => Ok(OldRow::Full),
        _ => Err(Error::protocol("an old row of unknown kind")),
    }
}

fn relation(reader: &mut Reader<'_>) -> Result<Relation> {
    let oid = reader.u32()?;
    // An empty schema means pg_catalog.
    let schema = reader.text()?;
    let schema = if schema.is_empty() { "pg_catalog" } else { schema }.to_owned();
    let name = reader.text()?.to_owned();
    let identity = match reader.u8()? {
        b'd' => ReplicaIdentity::Default,
        b'n' => ReplicaIdentity::Nothing,
        b'f' => ReplicaIdentity::Full,
        b'i' => ReplicaIdentity::Index,
        _ => return Err(Error::protocol("unknown replica identity")),
    };
    let count = reader.u16()?;
    let mut columns = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let key = reader.u8()? & 1 != 0;
        let name = reader.text()?.to_owned();
        columns.push(RelationColumn {
            key,
            name,
            type_oid: reader.u32()?,
            typmod: reader.u32()?.cast_signed(),
        });
    }
    Ok(Relation { oid, schema, name, identity, columns })
}

fn truncate<'a>(reader: &mut Reader<'_>) -> Result<Message<'a>> {
    let count = reader.u32()?;
    let flags = reader.u8()?;
    let mut relations = vec![];
    for _ in 0..count {
        relations.push(reader.u32()?);
    }
    Ok(Message::Truncate { relations, cascade: flags & 1 != 0, restart_identity: flags & 2 != 0 })
}

#[cold]
fn short() -> Error {
    Error::protocol("a pgoutput message ends early")
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let field = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>()).ok_or_else(short)?;
        self.at += N;
        Ok(*field)
    }

    #[inline]
    fn u8(&mut self) -> Result<u8> {
        let byte = *self.bytes.get(self.at).ok_or_else(short)?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    #[inline]
    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn lsn(&mut self) -> Result<Lsn> {
        Ok(Lsn(u64::from_be_bytes(self.array()?)))
    }

    fn time(&mut self) -> Result<i64> {
        let micros = i64::from_be_bytes(self.array()?);
        Ok(micros.wrapping_add(crate::replication::POSTGRES_EPOCH_MICROS))
    }

    fn expect(&mut self, letter: u8) -> Result<()> {
        if self.u8()? == letter { Ok(()) } else { Err(Error::protocol("unexpected part of a message")) }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(length).ok_or_else(short)?;
        let part = self.bytes.get(self.at..end).ok_or_else(short)?;
        self.at = end;
        Ok(part)
    }

    /// A string that ends with a zero byte.
    fn text(&mut self) -> Result<&'a str> {
        let rest = self.bytes.get(self.at..).ok_or_else(short)?;
        let length = memchr::memchr(0, rest).ok_or_else(short)?;
        self.at += length + 1;
        std::str::from_utf8(&rest[..length]).map_err(|_| Error::protocol("a name that is not UTF-8"))
    }

    fn tuple(&mut self, out: &mut Vec<Datum>) -> Result<()> {
        out.clear();
        let count = self.u16()?;
        out.reserve(usize::from(count));
        for _ in 0..count {
            let datum = match self.u8()? {
                b'n' => Datum::NULL,
                b'u' => Datum::UNCHANGED,
                letter @ (b't' | b'b') => {
                    let length = self.u32()? as usize;
                    let start = self.at;
                    let end = start.checked_add(length).filter(|end| *end <= self.bytes.len());
                    self.at = end.ok_or_else(short)?;
                    let kind = if letter == b't' { DatumKind::Text } else { DatumKind::Binary };
                    Datum { kind, ..Datum::text(start..self.at) }
                }
                _ => return Err(Error::protocol("a column of unknown kind")),
            };
            out.push(datum);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: &Message<'_>, old: &[Datum], new: &[Datum]) {
        let mut tuples = Tuples::default();
        assert_eq!(decode(bytes, 0..bytes.len(), &mut tuples).unwrap(), *expected);
        assert_eq!((&*tuples.old, &*tuples.new), (old, new));
        // Whatever is cut off must be an error, never a panic.
        for length in 0..bytes.len() {
            let cut = decode(&bytes[..length], 0..length, &mut tuples);
            assert!(cut.is_err(), "{length} of {bytes:?}");
        }
    }

    #[test]
    fn rows() {
        check(
            b"I\0\0\0\x05N\0\x03nt\0\0\0\x02hiu",
            &Message::Insert { relation: 5 },
            &[],
            &[Datum::NULL, Datum::text(14..16), Datum::UNCHANGED],
        );
        check(
            b"U\0\0\0\x05K\0\x01t\0\0\0\x01aN\0\x01t\0\0\0\x01b",
            &Message::Update { relation: 5, old: Some(OldRow::Key) },
            &[Datum::text(13..14)],
            &[Datum::text(22..23)],
        );
        check(
            b"D\0\0\0\x05O\0\x01n",
            &Message::Delete { relation: 5, old: OldRow::Full },
            &[Datum::NULL],
            &[],
        );
    }

    #[test]
    fn transactions_and_tables() {
        let mut begin = vec![b'B'];
        begin.extend(16_u64.to_be_bytes());
        begin.extend(0_i64.to_be_bytes());
        begin.extend(7_u32.to_be_bytes());
        let time = crate::replication::POSTGRES_EPOCH_MICROS;
        check(&begin, &Message::Begin { final_lsn: Lsn(16), commit_time: time, xid: 7 }, &[], &[]);
        check(
            b"R\0\0\0\x09s\0t\0f\0\x01\x01id\0\0\0\0\x17\xff\xff\xff\xff",
            &Message::Relation(Box::new(Relation {
                oid: 9,
                schema: "s".into(),
                name: "t".into(),
                identity: ReplicaIdentity::Full,
                columns: vec![RelationColumn { key: true, name: "id".into(), type_oid: 23, typmod: -1 }],
            })),
            &[],
            &[],
        );
        check(
            b"T\0\0\0\x02\x03\0\0\0\x01\0\0\0\x02",
            &Message::Truncate { relations: vec![1, 2], cascade: true, restart_identity: true },
            &[],
            &[],
        );
    }

    #[test]
    fn a_relation_count_beyond_the_message_is_an_error() {
        let mut tuples = Tuples::default();
        let bytes = b"T\xff\xff\xff\xff\0\0\0\0\x01";
        assert!(decode(bytes, 0..bytes.len(), &mut tuples).is_err());
    }
}

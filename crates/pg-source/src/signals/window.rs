//! Which rows of a chunk are still the newest when they are sent.
//!
//! A chunk is read in one snapshot S of the database while the stream goes on. A change that S does not see must win
//! over the chunk's row: its key is taken out of the chunk, before the chunk is there (`Touched`) or after. A change
//! that S sees and that was sent before costs nothing. One case is left: a transaction that the stream has sent and
//! that S does not see all the same, because it was committed in the WAL and not yet to others (it waits for a
//! standby, or just a moment). The chunk has old rows then and is read again; `Recent` knows those transactions.

use std::collections::{HashMap, HashSet};

use connect::Value;

/// `txid_current_snapshot()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    xmin: u64,
    xmax: u64,
    running: Vec<u64>,
}

impl Seen {
    /// `xmin:xmax:xid,xid…`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let (xmin, xmax) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let running = parts.next()?.split(',').filter(|xid| !xid.is_empty());
        Some(Self { xmin, xmax, running: running.map(|xid| xid.parse().ok()).collect::<Option<_>>()? })
    }

    /// Whether it sees what a transaction did that has committed by now.
    pub fn sees(&self, xid: u32) -> bool {
        let xid = self.whole(xid);
        xid < self.xmin || (xid < self.xmax && !self.running.contains(&xid))
    }

    /// The stream has the lower half of a transaction's number: of those it can be, the one that is nearest.
    fn whole(&self, xid: u32) -> u64 {
        const EPOCH: u64 = 1 << 32;
        let near = (self.xmax & !(EPOCH - 1)) | u64::from(xid);
        if near > self.xmax + EPOCH / 2 {
            near.saturating_sub(EPOCH)
        } else if near + EPOCH / 2 < self.xmax {
            near + EPOCH
        } else {
            near
        }
    }
}

/// How many transactions are remembered: more than can be committed and not seen at one time.
const RECENT_MAX: usize = 4096;

/// Transactions that the stream had last.
#[derive(Debug)]
pub struct Recent {
    xids: Vec<u32>,
    count: usize,
}

impl Recent {
    pub fn new() -> Self {
        Self { xids: vec![0; RECENT_MAX], count: 0 }
    }

    pub fn push(&mut self, xid: u32) {
        self.xids[self.count % RECENT_MAX] = xid;
        self.count += 1;
    }

    /// How many there were until now.
    pub fn mark(&self) -> usize {
        self.count
    }

    /// Whether the snapshot misses one that came before the mark.
    pub fn misses(&self, seen: &Seen, mark: usize) -> bool {
        let from = self.count.saturating_sub(RECENT_MAX);
        !seen.running.is_empty()
            && (from..mark).any(|at| seen.running.contains(&seen.whole(self.xids[at % RECENT_MAX])))
    }
}

/// Keys that may wait for their chunk: one that takes longer than so many changes is read again.
const TOUCHED_MAX: usize = 100_000;

/// Keys that were changed while the chunk is being read.
#[derive(Debug, Default)]
pub struct Touched {
    relation: u32,
    keys: HashSet<Vec<u8>, foldhash::fast::RandomState>,
    truncated: bool,
    overflow: bool,
}

impl Touched {
    /// A change of the table that is being read.
    pub fn add(&mut self, relation: u32, key: Vec<u8>) {
        self.turn_to(relation);
        if self.keys.len() >= TOUCHED_MAX {
            self.overflow = true;
        } else {
            self.keys.insert(key);
        }
    }

    pub fn truncate(&mut self, relation: u32) {
        self.turn_to(relation);
        self.truncated = true;
    }

    /// What was changed in the table before is not needed any more.
    fn turn_to(&mut self, relation: u32) {
        if self.relation != relation {
            *self = Self { relation, ..Self::default() };
        }
    }

    pub fn overflowed(&self, relation: u32) -> bool {
        self.relation == relation && self.overflow
    }
}

/// A row of a chunk.
#[derive(Debug)]
pub struct ChunkRow {
    /// What the changes of this row bear; empty where nothing does.
    pub identity: Vec<u8>,
    pub key: Value,
    pub values: Box<[Value]>,
}

/// The rows that are left of a chunk.
#[derive(Debug)]
pub struct Window {
    rows: Vec<Option<ChunkRow>>,
    /// Several rows may have one surrogate key.
    places: HashMap<Vec<u8>, Vec<u32>, foldhash::fast::RandomState>,
}

impl Window {
    pub fn new(rows: Vec<ChunkRow>, touched: &Touched, relation: u32) -> Self {
        let mut places: HashMap<Vec<u8>, Vec<u32>, foldhash::fast::RandomState> = HashMap::default();
        for (at, row) in rows.iter().enumerate().filter(|(_, row)| !row.identity.is_empty()) {
            places.entry(row.identity.clone()).or_default().push(at as u32);
        }
        let mut window = Self { rows: rows.into_iter().map(Some).collect(), places };
        if touched.relation == relation {
            for key in &touched.keys {
                window.remove(key);
            }
            if touched.truncated {
                window.clear();
            }
        }
        window
    }

    pub fn remove(&mut self, key: &[u8]) {
        for at in self.places.remove(key).unwrap_or_default() {
            self.rows[at as usize] = None;
        }
    }

    pub fn clear(&mut self) {
        self.rows.clear();
        self.places.clear();
    }

    pub fn into_rows(self) -> impl Iterator<Item = ChunkRow> + Send {
        self.rows.into_iter().flatten()
    }
}

/// A value as bytes that are equal where values are.
pub fn identity(value: &Value) -> Vec<u8> {
    let mut out = vec![];
    write(value, &mut out);
    out
}

/// Some fields of a row as such bytes.
pub fn identity_of(values: &[Value], fields: &[usize]) -> Vec<u8> {
    let mut out = vec![];
    for field in fields {
        write(values.get(*field).unwrap_or(&Value::Null), &mut out);
    }
    out
}

fn write(value: &Value, out: &mut Vec<u8>) {
    let mut bytes = |kind: u8, bytes: &[u8]| {
        out.push(kind);
        out.extend((bytes.len() as u32).to_le_bytes());
        out.extend_from_slice(bytes);
    };
    match value {
        Value::Null => out.push(0),
        Value::Boolean(flag) => out.extend([1, u8::from(*flag)]),
        Value::Int8(_) | Value::Int16(_) | Value::Int32(_) | Value::Int64(_) => {
            bytes(2, &value.as_i64().unwrap_or_default().to_le_bytes());
        }
        Value::Float32(number) => bytes(3, &number.to_bits().to_le_bytes()),
        Value::Float64(number) => bytes(4, &number.to_bits().to_le_bytes()),
        Value::String(text) => bytes(5, text.as_str().as_bytes()),
        Value::Bytes(blob) => bytes(6, blob.as_slice()),
        Value::Date(millis) => bytes(7, &millis.to_le_bytes()),
        Value::Decimal(decimal) => {
            bytes(8, &decimal.scale.to_le_bytes());
            bytes(8, &decimal.unscaled);
        }
        Value::Array(items) | Value::Struct(items) => {
            bytes(9, &(items.len() as u32).to_le_bytes());
            items.iter().for_each(|item| write(item, out));
        }
        Value::Map(entries) => {
            bytes(10, &(entries.len() as u32).to_le_bytes());
            for (key, value) in entries {
                write(key, out);
                write(value, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_snapshot_sees() {
        let seen = Seen::parse("100:110:100,105").unwrap();
        let found: Vec<bool> = [99, 100, 101, 105, 109, 110, 111].map(|xid| seen.sees(xid)).to_vec();
        assert_eq!(found, [true, false, true, false, true, false, false]);
        assert!(Seen::parse("5:5:").unwrap().sees(4));
        assert_eq!(Seen::parse("5"), None);
    }

    #[test]
    fn numbers_wrap_around() {
        let seen = Seen::parse("8589934600:8589934610:8589934601").unwrap();
        assert!(seen.sees(u32::MAX));
        assert!(seen.sees(8));
        assert!(!seen.sees(9));
        assert!(!seen.sees(18));
        // Long before, and far ahead.
        let seen = Seen::parse("4294967290:4294967290:").unwrap();
        assert!(!seen.sees(3));
    }

    #[test]
    fn transactions_that_were_sent_and_are_not_seen() {
        let mut recent = Recent::new();
        recent.push(100);
        let mark = recent.mark();
        recent.push(105);
        assert!(recent.misses(&Seen::parse("100:110:100").unwrap(), mark));
        assert!(!recent.misses(&Seen::parse("105:110:105").unwrap(), mark));
        assert!(!recent.misses(&Seen::parse("110:110:").unwrap(), mark));
    }

    #[test]
    fn keys_are_taken_out() {
        let row = |id: i64| ChunkRow {
            identity: identity(&Value::Int64(id)),
            key: Value::Int64(id),
            values: Box::new([Value::Int64(id)]),
        };
        let left = |window: Window| window.into_rows().filter_map(|row| row.key.as_i64()).collect::<Vec<_>>();
        let mut touched = Touched::default();
        touched.add(7, identity(&Value::Int64(1)));
        touched.add(8, identity(&Value::Int64(2)));
        let mut window = Window::new(vec![row(1), row(2), row(3), row(4)], &touched, 8);
        window.remove(&identity(&Value::Int32(3)));
        assert_eq!(left(window), [1, 4]);
        touched.truncate(8);
        assert!(left(Window::new(vec![row(5)], &touched, 8)).is_empty());
    }
}

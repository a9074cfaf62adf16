//! Idempotence: what each producer wrote last to a partition, so that a repeated batch is recognised.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::log::BatchHeader;

/// Batches that a producer may have in flight, and so may repeat.
const BATCHES_REMEMBERED: usize = 5;
/// Producers that one partition remembers; who was silent longest is forgotten first.
const PRODUCERS_MAX: usize = 5_000;
const SNAPSHOT: &str = "producers.json";

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Producer {
    epoch: i16,
    /// First and last sequence, and first offset.
    batches: VecDeque<(i32, i32, i64)>,
    /// Offset of the last batch: the order of silence.
    last_offset: i64,
}

/// What is to be done with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequence {
    Append,
    /// Written before, at this offset.
    Duplicate(i64),
    /// A batch before it is missing.
    OutOfOrder,
    /// A newer incarnation of the producer has written.
    Fenced,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Producers(HashMap<i64, Producer>);

#[derive(Serialize, Deserialize)]
struct Snapshot {
    offset: i64,
    producers: Producers,
}

impl Producers {
    /// Decides about a batch before it is written.
    pub fn check(&self, header: &BatchHeader) -> Sequence {
        let Some(known) = self.0.get(&header.producer_id).filter(|_| header.producer_id >= 0) else {
            return Sequence::Append;
        };
        if header.producer_epoch < known.epoch {
            return Sequence::Fenced;
        }
        if header.producer_epoch > known.epoch {
            return if header.base_sequence == 0 { Sequence::Append } else { Sequence::OutOfOrder };
        }
        let (first, last) = (header.base_sequence, header.last_sequence());
        if let Some((_, _, offset)) = known.batches.iter().find(|batch| (batch.0, batch.1) == (first, last)) {
            return Sequence::Duplicate(*offset);
        }
        let expected = known.batches.back().map(|batch| if batch.1 == i32::MAX { 0 } else { batch.1 + 1 });
        if expected.is_none_or(|expected| expected == first) {
            Sequence::Append
        } else {
            Sequence::OutOfOrder
        }
    }

    /// Enters a batch that has been written.
    pub fn enter(&mut self, header: &BatchHeader) {
        if header.producer_id < 0 {
            return;
        }
        if self.0.len() >= PRODUCERS_MAX && !self.0.contains_key(&header.producer_id) {
            let oldest = self.0.iter().min_by_key(|(_, producer)| producer.last_offset).map(|(id, _)| *id);
            oldest.and_then(|id| self.0.remove(&id));
        }
        let fresh = || Producer { epoch: header.producer_epoch, batches: VecDeque::new(), last_offset: 0 };
        let producer = self.0.entry(header.producer_id).or_insert_with(fresh);
        if producer.epoch != header.producer_epoch {
            *producer = fresh();
        }
        if producer.batches.len() == BATCHES_REMEMBERED {
            producer.batches.pop_front();
        }
        producer.batches.push_back((header.base_sequence, header.last_sequence(), header.base_offset));
        producer.last_offset = header.base_offset;
    }

    /// The state up to an offset, from the snapshot; later batches are entered again. A snapshot that is missing,
    /// unreadable or newer than `last_segment` allows for is not used.
    pub fn load(dir: &Path, last_segment: i64) -> (i64, Self) {
        let snapshot = fs::read(dir.join(SNAPSHOT))
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Snapshot>(&bytes).ok());
        match snapshot {
            // Batches of the last segment are entered again: entering one twice would crowd others out.
            Some(snapshot) if snapshot.offset == last_segment => (snapshot.offset, snapshot.producers),
            _ => (0, Self::default()),
        }
    }

    pub fn save(&self, dir: &Path, offset: i64) -> io::Result<()> {
        let snapshot = Snapshot { offset, producers: self.clone() };
        let temporary = dir.join(format!("{SNAPSHOT}.new"));
        let mut file = fs::File::create(&temporary)?;
        file.write_all(&serde_json::to_vec(&snapshot)?)?;
        file.sync_all()?;
        fs::rename(temporary, dir.join(SNAPSHOT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(producer_epoch: i16, base_sequence: i32, base_offset: i64) -> BatchHeader {
        BatchHeader {
            base_offset,
            size: 0,
            last_offset_delta: 1,
            max_timestamp: 0,
            producer_id: 1,
            producer_epoch,
            base_sequence,
        }
    }

    #[test]
    fn repeated_batches_are_recognised_and_gaps_refused() {
        let mut producers = Producers::default();
        for sequence in [0, 2, 4, 6, 8, 10] {
            let header = header(0, sequence, i64::from(sequence));
            assert_eq!(producers.check(&header), Sequence::Append);
            producers.enter(&header);
        }
        assert_eq!(producers.check(&header(0, 10, 99)), Sequence::Duplicate(10));
        assert_eq!(producers.check(&header(0, 2, 99)), Sequence::Duplicate(2));
        assert_eq!(producers.check(&header(0, 0, 99)), Sequence::OutOfOrder);
        assert_eq!(producers.check(&header(0, 14, 99)), Sequence::OutOfOrder);
        assert_eq!(producers.check(&header(1, 0, 99)), Sequence::Append);
        producers.enter(&header(1, 0, 12));
        assert_eq!(producers.check(&header(0, 12, 99)), Sequence::Fenced);
    }

    #[test]
    fn sequences_wrap() {
        let mut producers = Producers::default();
        producers.enter(&header(0, i32::MAX - 1, 0));
        assert_eq!(producers.check(&header(0, 0, 2)), Sequence::Append);
    }
}

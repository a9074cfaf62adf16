//! The log of one partition: segments of raw batches, in offset order.

mod batch; // a batch's header
mod segment; // one file

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use batch::{BatchError, BatchHeader, headers};
pub use segment::Slice;
use segment::{Segment, Verify};

use crate::producers::Producers;
use crate::settings::SEGMENT_BYTES_MAX;

/// Whether the process that wrote the data said goodbye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    Clean,
    Unclean,
}

pub struct Log {
    dir: PathBuf,
    /// Empty until the first append.
    segments: Vec<Segment>,
    next_offset: i64,
    pub producers: Producers,
}

impl Log {
    /// Opens the log in `dir`, which exists. After an unclean end the last segment is checked batch by batch, and
    /// cut where the first broken one begins.
    pub fn open(dir: &Path, shutdown: Shutdown) -> io::Result<Self> {
        let mut bases: Vec<i64> = fs::read_dir(dir)?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".log")?.parse().ok())
            .collect();
        bases.sort_unstable();
        let mut segments = vec![];
        for (place, base) in bases.iter().enumerate() {
            let is_last = place + 1 == bases.len();
            let verify =
                if is_last && shutdown == Shutdown::Unclean { Verify::Checksums } else { Verify::Nothing };
            segments.push(Segment::open(dir, *base, verify)?);
        }
        let (snapshot_offset, mut producers) = Producers::load(dir, bases.last().copied().unwrap_or(0));
        let mut next_offset = 0;
        for segment in &mut segments {
            if let Some(next) = bases.iter().find(|base| **base > segment.base_offset()) {
                next_offset = *next;
                if *next <= snapshot_offset {
                    continue;
                }
            }
            next_offset = segment.replay(|header| producers.enter(header))?.max(segment.base_offset());
        }
        Ok(Self { dir: dir.to_owned(), segments, next_offset, producers })
    }

    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// First offset that can be read.
    pub fn start_offset(&self) -> i64 {
        self.segments.first().map_or(self.next_offset, Segment::base_offset)
    }

    /// Appends checked batches. Offsets are patched into them. Returns the first one's offset.
    pub fn append(&mut self, batches: &mut [u8], parsed: &[BatchHeader]) -> io::Result<i64> {
        let base = self.next_offset;
        let (mut at, mut next) = (0, base);
        for header in parsed {
            batch::patch(&mut batches[at..], next);
            next += header.offset_count();
            at += header.size;
        }
        if self.segments.last().is_none_or(|last| last.size() >= SEGMENT_BYTES_MAX) {
            self.roll()?;
        }
        let segment = self.segments.last_mut().expect("a segment was just made where there was none");
        segment.append(batches, parsed, base)?;
        let mut offset = base;
        for header in parsed {
            self.producers.enter(&BatchHeader { base_offset: offset, ..*header });
            offset += header.offset_count();
        }
        self.next_offset = next;
        Ok(base)
    }

    fn roll(&mut self) -> io::Result<()> {
        if let Some(last) = self.segments.last() {
            last.sync()?;
        }
        self.producers.save(&self.dir, self.next_offset)?;
        self.segments.push(Segment::create(&self.dir, self.next_offset)?);
        Ok(())
    }

    /// Where to read from `offset` on: at most `bytes_max`, but one whole batch at least. `None` at the end.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn locate(&self, offset: i64, bytes_max: usize) -> io::Result<Option<Slice>> {
        if offset >= self.next_offset {
            return Ok(None);
        }
        let place =
            self.segments.partition_point(|segment| segment.base_offset() <= offset).saturating_sub(1);
        self.segments[place].locate(offset, bytes_max)
    }

    /// Timestamp and offset of the first batch whose largest timestamp is not before `timestamp`.
    pub fn offset_for_time(&self, timestamp: i64) -> io::Result<Option<(i64, i64)>> {
        for segment in &self.segments {
            if let Some(found) = segment.offset_for_time(timestamp)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Bytes on disk.
    #[cfg(test)]
    fn size(&self) -> u64 {
        self.segments.iter().map(Segment::size).sum()
    }

    /// The file to force to disk; older ones were forced when they were closed.
    pub fn active_file(&self) -> Option<Arc<fs::File>> {
        self.segments.last().map(Segment::file)
    }

    pub fn close(&self) -> io::Result<()> {
        self.segments.last().map_or(Ok(()), Segment::sync)
    }
}

#[cfg(test)]
mod tests {
    use super::batch::HEADER_LEN;
    use super::*;

    /// A batch of `count` records of `producer`; the records themselves are noise, nobody looks at them.
    fn batch_of(count: i32, producer: i64, sequence: i32, payload: usize) -> Vec<u8> {
        let mut batch = vec![7_u8; HEADER_LEN + payload];
        let len = (batch.len() - 12) as i32;
        batch[8..12].copy_from_slice(&len.to_be_bytes());
        batch[16] = 2;
        batch[21..23].copy_from_slice(&0_i16.to_be_bytes());
        batch[23..27].copy_from_slice(&(count - 1).to_be_bytes());
        batch[27..35].copy_from_slice(&1_000_i64.to_be_bytes());
        batch[35..43].copy_from_slice(&2_000_i64.to_be_bytes());
        batch[43..51].copy_from_slice(&producer.to_be_bytes());
        batch[51..53].copy_from_slice(&0_i16.to_be_bytes());
        batch[53..57].copy_from_slice(&sequence.to_be_bytes());
        batch[57..61].copy_from_slice(&count.to_be_bytes());
        let crc = crc32c::crc32c(&batch[21..]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
        batch
    }

    fn append(log: &mut Log, batch: &[u8]) -> i64 {
        let mut bytes = batch.to_vec();
        let parsed = headers(&bytes).unwrap();
        log.append(&mut bytes, &parsed).unwrap()
    }

    #[test]
    fn what_is_appended_is_read_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path(), Shutdown::Clean).unwrap();
        assert_eq!(append(&mut log, &batch_of(3, 9, 0, 100)), 0);
        assert_eq!(append(&mut log, &batch_of(2, 9, 3, 5_000)), 3);
        drop(log);
        let log = Log::open(dir.path(), Shutdown::Unclean).unwrap();
        assert_eq!(log.next_offset(), 5);
        let slice = log.locate(4, 10).unwrap().unwrap();
        let bytes = slice.read().unwrap();
        let read = headers(&bytes).unwrap();
        assert_eq!((read[0].base_offset, read[0].offset_count()), (3, 2));
        assert_eq!(log.locate(5, 10).unwrap().map(|_| ()), None);
        assert_eq!(log.offset_for_time(1_500).unwrap(), Some((2_000, 0)));
    }

    #[test]
    fn a_torn_tail_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path(), Shutdown::Clean).unwrap();
        append(&mut log, &batch_of(3, -1, -1, 100));
        let whole = log.size();
        append(&mut log, &batch_of(3, -1, -1, 100));
        drop(log);
        let file = dir.path().join("00000000000000000000.log");
        for cut in [1_u64, 60, 100, 160] {
            let handle = fs::OpenOptions::new().write(true).open(&file).unwrap();
            handle.set_len(whole + cut).unwrap();
            let log = Log::open(dir.path(), Shutdown::Unclean).unwrap();
            assert_eq!((log.next_offset(), log.size()), (3, whole), "cut at {cut}");
        }
    }

    #[test]
    fn a_flipped_bit_in_the_tail_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path(), Shutdown::Clean).unwrap();
        append(&mut log, &batch_of(3, -1, -1, 100));
        append(&mut log, &batch_of(3, -1, -1, 100));
        let whole = log.size();
        drop(log);
        let file = dir.path().join("00000000000000000000.log");
        let mut bytes = fs::read(&file).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&file, bytes).unwrap();
        let log = Log::open(dir.path(), Shutdown::Unclean).unwrap();
        assert_eq!((log.next_offset(), log.size()), (3, whole / 2));
    }
}

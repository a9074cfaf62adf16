//! One file of batches, with a sparse index in memory.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};

use super::batch::{self, BatchHeader, HEADER_LEN};

/// An index entry is made after so many bytes: a look-up reads one or two headers then.
const INDEX_BYTES: u64 = 16 * 1024;

/// How much of a file is trusted when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    Nothing,
    /// Each batch; the file is cut before the first broken one.
    Checksums,
}

/// A part of a file to be read later, outside of any lock.
pub struct Slice {
    file: Arc<File>,
    position: u64,
    pub len: usize,
}

impl Slice {
    pub fn read(&self) -> io::Result<Bytes> {
        let mut bytes = BytesMut::zeroed(self.len);
        self.file.read_exact_at(&mut bytes, self.position)?;
        Ok(bytes.freeze())
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    offset: i64,
    position: u64,
    /// Largest timestamp of all batches before.
    max_timestamp_before: i64,
}

pub struct Segment {
    base_offset: i64,
    file: Arc<File>,
    path: PathBuf,
    size: u64,
    max_timestamp: i64,
    /// Made when the file is first looked into; a closed file of an earlier life may never be.
    index: OnceLock<Vec<Entry>>,
}

impl Segment {
    pub fn create(dir: &Path, base_offset: i64) -> io::Result<Self> {
        let path = dir.join(format!("{base_offset:020}.log"));
        let file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&path)?;
        // The file's name must survive as well as its content.
        File::open(dir)?.sync_all()?;
        Ok(Self {
            base_offset,
            file: Arc::new(file),
            path,
            size: 0,
            max_timestamp: -1,
            index: OnceLock::from(vec![]),
        })
    }

    pub fn open(dir: &Path, base_offset: i64, verify: Verify) -> io::Result<Self> {
        let path = dir.join(format!("{base_offset:020}.log"));
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let mut segment = Self {
            base_offset,
            size: file.metadata()?.len(),
            file: Arc::new(file),
            path,
            max_timestamp: -1,
            index: OnceLock::new(),
        };
        if verify == Verify::Checksums {
            segment.cut_broken_tail()?;
        }
        Ok(segment)
    }

    fn cut_broken_tail(&mut self) -> io::Result<()> {
        let mut good = 0;
        let mut batch = vec![];
        while let Some(header) = self.header_at(good)? {
            if good + header.size as u64 > self.size {
                break;
            }
            batch.resize(header.size, 0);
            self.file.read_exact_at(&mut batch, good)?;
            if batch::check(&batch).is_err() {
                break;
            }
            good += header.size as u64;
        }
        if good < self.size {
            let (path, lost) = (self.path.display(), self.size - good);
            tracing::warn!(%path, bytes = lost, "cut an unfinished batch off the end of a segment");
            self.file.set_len(good)?;
            self.file.sync_all()?;
            self.size = good;
        }
        Ok(())
    }

    pub fn base_offset(&self) -> i64 {
        self.base_offset
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn file(&self) -> Arc<File> {
        self.file.clone()
    }

    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Tells every batch's header and builds the index; returns the offset behind the last one.
    pub fn replay(&mut self, mut tell: impl FnMut(&BatchHeader)) -> io::Result<i64> {
        let mut next = self.base_offset;
        let index = self.scan(|header| {
            tell(header);
            next = header.next_offset();
        })?;
        self.max_timestamp = index.1;
        self.index = OnceLock::from(index.0);
        Ok(next)
    }

    fn scan(&self, mut tell: impl FnMut(&BatchHeader)) -> io::Result<(Vec<Entry>, i64)> {
        let (mut index, mut position, mut max_timestamp) = (vec![], 0, -1);
        while let Some(header) = self.header_at(position)? {
            note(&mut index, header.base_offset, position, max_timestamp);
            max_timestamp = max_timestamp.max(header.max_timestamp);
            tell(&header);
            position += header.size as u64;
        }
        Ok((index, max_timestamp))
    }

    fn index(&self) -> io::Result<&[Entry]> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let (index, _) = self.scan(|_| {})?;
        Ok(self.index.get_or_init(|| index))
    }

    /// `None` at the end of the file, and where what follows is no batch.
    fn header_at(&self, position: u64) -> io::Result<Option<BatchHeader>> {
        if position + HEADER_LEN as u64 > self.size {
            return Ok(None);
        }
        let mut bytes = [0; HEADER_LEN];
        self.file.read_exact_at(&mut bytes, position)?;
        Ok(BatchHeader::parse(&bytes).ok())
    }

    /// A write that fails half-way is cut off again: the file never holds what was not acknowledged.
    pub fn append(&mut self, batches: &[u8], parsed: &[BatchHeader], base_offset: i64) -> io::Result<()> {
        if let Err(error) = self.file.write_all_at(batches, self.size) {
            self.file.set_len(self.size)?;
            return Err(error);
        }
        let index = self.index.get_mut().expect("the index of the segment that is written to exists");
        let (mut position, mut offset) = (self.size, base_offset);
        for header in parsed {
            note(index, offset, position, self.max_timestamp);
            self.max_timestamp = self.max_timestamp.max(header.max_timestamp);
            position += header.size as u64;
            offset += header.offset_count();
        }
        self.size = position;
        Ok(())
    }

    pub fn locate(&self, offset: i64, bytes_max: usize) -> io::Result<Option<Slice>> {
        let index = self.index()?;
        let place = index.partition_point(|entry| entry.offset <= offset).saturating_sub(1);
        let mut position = index.get(place).map_or(0, |entry| entry.position);
        while let Some(header) = self.header_at(position)? {
            if header.next_offset() > offset {
                let left = (self.size - position) as usize;
                let len = left.min(bytes_max.max(header.size));
                return Ok(Some(Slice { file: self.file.clone(), position, len }));
            }
            position += header.size as u64;
        }
        Ok(None)
    }

    pub fn offset_for_time(&self, timestamp: i64) -> io::Result<Option<(i64, i64)>> {
        let index = self.index()?;
        let place = index.partition_point(|entry| entry.max_timestamp_before < timestamp).saturating_sub(1);
        let mut position = index.get(place).map_or(0, |entry| entry.position);
        while let Some(header) = self.header_at(position)? {
            if header.max_timestamp >= timestamp {
                return Ok(Some((header.max_timestamp, header.base_offset)));
            }
            position += header.size as u64;
        }
        Ok(None)
    }
}

fn note(index: &mut Vec<Entry>, offset: i64, position: u64, max_timestamp_before: i64) {
    if index.last().is_none_or(|last| position - last.position >= INDEX_BYTES) {
        index.push(Entry { offset, position, max_timestamp_before });
    }
}

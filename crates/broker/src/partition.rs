//! One partition: its log, and who waits for what is appended to it.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::log::{BatchError, BatchHeader, Log, Shutdown, Slice, headers};
use crate::producers::Sequence;
use crate::settings::BATCH_BYTES_MAX;

pub struct Partition {
    log: Mutex<Log>,
    high_watermark: AtomicI64,
    /// Woken on each append.
    pub appended: Notify,
    dirty: AtomicBool,
    /// Deleted: nothing may be written any more.
    gone: AtomicBool,
}

/// Why a batch was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error("a batch of {0} bytes is larger than this broker allows")]
    TooLarge(usize),
    #[error("a batch before this one is missing")]
    OutOfOrder,
    #[error("a newer incarnation of the producer has written")]
    Fenced,
    #[error("the partition was deleted")]
    Gone,
    #[error("the log cannot be written: {0}")]
    Io(#[from] io::Error),
}

impl Partition {
    pub fn open(dir: &Path, shutdown: Shutdown) -> io::Result<Self> {
        let log = Log::open(dir, shutdown)?;
        Ok(Self {
            high_watermark: AtomicI64::new(log.next_offset()),
            log: Mutex::new(log),
            appended: Notify::new(),
            dirty: AtomicBool::new(false),
            gone: AtomicBool::new(false),
        })
    }

    /// Next offset to be written; everything before it can be read.
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark.load(Ordering::Acquire)
    }

    pub fn start_offset(&self) -> i64 {
        self.log.lock().start_offset()
    }

    /// Checks and appends batches; returns the first one's offset. A repeated batch is not written again.
    pub fn append(&self, batches: &[u8]) -> Result<i64, AppendError> {
        let parsed = headers(batches)?;
        if let Some(large) = parsed.iter().find(|header| header.size > BATCH_BYTES_MAX) {
            return Err(AppendError::TooLarge(large.size));
        }
        if parsed.is_empty() {
            return Err(AppendError::Batch(BatchError::Short));
        }
        let mut bytes = batches.to_vec();
        let mut log = self.log.lock();
        if self.gone.load(Ordering::Acquire) {
            return Err(AppendError::Gone);
        }
        if let Some(offset) = sequence_of(&log, &parsed)? {
            return Ok(offset);
        }
        let base = log.append(&mut bytes, &parsed)?;
        self.high_watermark.store(log.next_offset(), Ordering::Release);
        self.dirty.store(true, Ordering::Release);
        drop(log);
        self.appended.notify_waiters();
        Ok(base)
    }

    pub fn locate(&self, offset: i64, bytes_max: usize) -> io::Result<Option<Slice>> {
        self.log.lock().locate(offset, bytes_max)
    }

    pub fn offset_for_time(&self, timestamp: i64) -> io::Result<Option<(i64, i64)>> {
        self.log.lock().offset_for_time(timestamp)
    }

    /// Forces what was appended to disk; cheap when nothing was. Waits for the disk.
    pub fn sync(&self) -> io::Result<()> {
        if !self.dirty.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let file = self.log.lock().active_file();
        let result = file.map_or(Ok(()), |file| file.sync_data());
        if result.is_err() {
            self.dirty.store(true, Ordering::Release);
        }
        result
    }

    pub fn close(&self) -> io::Result<()> {
        self.log.lock().close()
    }

    /// The topic is deleted: whoever waits here learns it, and nothing is written into the removed files.
    pub fn abandon(&self) {
        self.gone.store(true, Ordering::Release);
        self.appended.notify_waiters();
    }

    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }
}

/// `Some`: the batch was written before, at this offset.
fn sequence_of(log: &Log, parsed: &[BatchHeader]) -> Result<Option<i64>, AppendError> {
    for header in parsed {
        match log.producers.check(header) {
            Sequence::Append => {}
            Sequence::Duplicate(offset) => return Ok(Some(offset)),
            Sequence::OutOfOrder => return Err(AppendError::OutOfOrder),
            Sequence::Fenced => return Err(AppendError::Fenced),
        }
    }
    Ok(None)
}

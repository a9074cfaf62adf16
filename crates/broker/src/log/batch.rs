//! The header of a record batch, version 2 (Kafka's protocol guide, "Record Batch").

/// Bytes before the records.
pub const HEADER_LEN: usize = 61;
/// Bytes before what `batch_length` counts.
const PREFIX_LEN: usize = 12;
/// Where the part that the CRC covers begins.
const CRC_START: usize = 21;
/// The only version that is still written.
const MAGIC: u8 = 2;

/// What the broker needs to know of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    pub base_offset: i64,
    /// Of the whole batch, in bytes.
    pub size: usize,
    pub last_offset_delta: i32,
    /// Milliseconds since the epoch.
    pub max_timestamp: i64,
    /// -1: not idempotent.
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    #[error("the batch is cut off")]
    Short,
    #[error("batch version {0} is not supported, only 2")]
    Magic(u8),
    #[error("the batch's checksum does not fit its content")]
    Checksum,
    #[error("the batch's header contradicts itself")]
    Inconsistent,
}

impl BatchHeader {
    /// Reads a header; the batch's records need not be there.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        if bytes.len() < HEADER_LEN {
            return Err(BatchError::Short);
        }
        let i64_at = |at: usize| i64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let i32_at = |at: usize| i32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        if bytes[16] != MAGIC {
            return Err(BatchError::Magic(bytes[16]));
        }
        let length = usize::try_from(i32_at(8)).map_err(|_| BatchError::Inconsistent)?;
        let last_offset_delta = i32_at(23);
        if length + PREFIX_LEN < HEADER_LEN || last_offset_delta < 0 || i32_at(57) < 0 {
            return Err(BatchError::Inconsistent);
        }
        Ok(Self {
            base_offset: i64_at(0),
            size: length + PREFIX_LEN,
            last_offset_delta,
            max_timestamp: i64_at(35),
            producer_id: i64_at(43),
            producer_epoch: i16::from_be_bytes([bytes[51], bytes[52]]),
            base_sequence: i32_at(53),
        })
    }

    /// Offsets that the batch takes; compaction may have left fewer records.
    pub fn offset_count(&self) -> i64 {
        i64::from(self.last_offset_delta) + 1
    }

    pub fn next_offset(&self) -> i64 {
        self.base_offset + self.offset_count()
    }

    pub fn last_sequence(&self) -> i32 {
        // Sequences wrap to 0 after the largest int.
        let last = i64::from(self.base_sequence) + i64::from(self.last_offset_delta);
        (last % (i64::from(i32::MAX) + 1)) as i32
    }
}

/// Headers of all batches in `bytes`, checked against their checksums.
pub fn headers(bytes: &[u8]) -> Result<Vec<BatchHeader>, BatchError> {
    let mut headers = vec![];
    let mut at = 0;
    while at < bytes.len() {
        let header = BatchHeader::parse(&bytes[at..])?;
        let batch = bytes.get(at..at + header.size).ok_or(BatchError::Short)?;
        check(batch)?;
        at += header.size;
        headers.push(header);
    }
    Ok(headers)
}

/// Checks one whole batch.
pub fn check(batch: &[u8]) -> Result<(), BatchError> {
    let crc = u32::from_be_bytes(batch[17..21].try_into().expect("four bytes"));
    if crc32c::crc32c(&batch[CRC_START..]) == crc { Ok(()) } else { Err(BatchError::Checksum) }
}

/// Gives a batch its offset and our leader epoch; both lie before what the checksum covers.
pub fn patch(batch: &mut [u8], base_offset: i64) {
    batch[0..8].copy_from_slice(&base_offset.to_be_bytes());
    batch[12..16].copy_from_slice(&0_i32.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn garbage_is_an_error_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = headers(&bytes);
        }

        #[test]
        fn garbage_with_the_right_version_too(mut bytes in proptest::collection::vec(any::<u8>(), 61..200)) {
            bytes[16] = 2;
            let _ = headers(&bytes);
        }
    }
}

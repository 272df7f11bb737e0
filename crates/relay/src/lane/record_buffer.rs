//! Memory for records.

use bytes::{Bytes, BytesMut};

/// Size of the pieces of memory from which small records are cut.
const CHUNK: usize = 64 * 1024;

/// From this size on a record has memory of its own.
const LARGE: usize = CHUNK / 8;

/// Where a record is put together: key, value and headers, one after the other. Small records share chunks, so that
/// one takes no allocation; they end with the batch that they are in.
#[derive(Default)]
pub(crate) struct RecordBuffer {
    record: Vec<u8>,
    chunk: BytesMut,
}

impl RecordBuffer {
    /// Where the next record is put together; what was there is gone.
    pub(crate) fn begin(&mut self) -> &mut Vec<u8> {
        self.record.clear();
        // A large record that was not taken.
        self.record.shrink_to(CHUNK);
        &mut self.record
    }

    /// The record.
    pub(crate) fn take(&mut self) -> Bytes {
        if self.record.len() >= LARGE {
            return std::mem::take(&mut self.record).into();
        }
        if self.chunk.capacity() < self.record.len() {
            self.chunk = BytesMut::with_capacity(CHUNK);
        }
        self.chunk.extend_from_slice(&self.record);
        self.chunk.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_all_sizes_keep_their_bytes() {
        let mut buffer = RecordBuffer::default();
        let sizes = [0, 1, 200, LARGE - 1, LARGE, 3 * CHUNK, 7].into_iter().cycle().take(200);
        let expected: Vec<_> = sizes.enumerate().map(|(n, size)| vec![n as u8; size]).collect();
        let mut taken = Vec::new();
        for record in &expected {
            buffer.begin().extend_from_slice(&[b'?'; CHUNK]);
            buffer.begin().extend_from_slice(record);
            taken.push(buffer.take());
        }
        assert_eq!(taken, expected);
    }
}

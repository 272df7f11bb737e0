//! One stored event, and the bytes it has on disk.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

/// The revision of a tombstone: no event can come after it.
pub(crate) const TOMBSTONE_REVISION: u64 = i64::MAX as u64;

/// The position of the first event. Position 0 is the start of the log, before every event: clients
/// leave it out of their messages.
pub(crate) const FIRST_POSITION: u64 = 1;

pub(crate) const METADATA_TYPE: &str = "$metadata";
pub(crate) const TOMBSTONE_TYPE: &str = "$streamDeleted";
pub(crate) const LINK_TYPE: &str = "$>";

/// An event as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// Offset in the log: grows with every event, but not by one.
    pub(crate) position: u64,
    pub(crate) stream: Arc<str>,
    pub(crate) revision: u64,
    pub(crate) id: Uuid,
    pub(crate) kind: Arc<str>,
    /// Content type `application/json`; everything else is `application/octet-stream` to a reader.
    pub(crate) is_json: bool,
    /// When the server took it, in ticks of 100 ns since the Unix epoch.
    pub(crate) created: i64,
    pub(crate) custom_metadata: Bytes,
    pub(crate) data: Bytes,
}

/// First byte of every record on disk. A retired number is never used again.
const FORMAT: u8 = 1;

/// The fixed part: format, flags, id, created, revision and the lengths of stream, type and metadata.
const HEADER: usize = 1 + 1 + 16 + 8 + 8 + 2 + 4 + 4;

/// A stored record that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("record is cut off after {0} bytes")]
    CutOff(usize),
    #[error("record has format {0}, this version reads {FORMAT}")]
    Format(u8),
    #[error("record holds a name that is not UTF-8")]
    Utf8,
}

impl Record {
    /// The bytes it takes in the log, which is also the distance to the next event's position.
    pub(crate) fn encoded_len(&self) -> usize {
        HEADER + self.stream.len() + self.kind.len() + self.custom_metadata.len() + self.data.len()
    }

    /// The position after this event.
    pub(crate) fn end(&self) -> u64 {
        self.position + self.encoded_len() as u64
    }

    /// Everything but the position, which is the key.
    ///
    /// Stream names are held below 64 KiB and types and payloads below the append limit before a
    /// record is made, so the lengths fit.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        out.push(FORMAT);
        out.push(u8::from(self.is_json));
        out.extend_from_slice(self.id.as_bytes());
        out.extend_from_slice(&self.created.to_be_bytes());
        out.extend_from_slice(&self.revision.to_be_bytes());
        out.extend_from_slice(&(self.stream.len() as u16).to_be_bytes());
        out.extend_from_slice(&(self.kind.len() as u32).to_be_bytes());
        out.extend_from_slice(&(self.custom_metadata.len() as u32).to_be_bytes());
        out.extend_from_slice(self.stream.as_bytes());
        out.extend_from_slice(self.kind.as_bytes());
        out.extend_from_slice(&self.custom_metadata);
        out.extend_from_slice(&self.data);
        out
    }

    /// The record at `position`, from what `encode` made.
    pub(crate) fn decode(position: u64, bytes: Bytes) -> Result<Self, DecodeError> {
        let mut rest = Reader { length: bytes.len(), rest: bytes };
        let [format, flags] = rest.array()?;
        if format != FORMAT {
            return Err(DecodeError::Format(format));
        }
        let id = Uuid::from_bytes(rest.array()?);
        let created = i64::from_be_bytes(rest.array()?);
        let revision = u64::from_be_bytes(rest.array()?);
        let stream_len = usize::from(u16::from_be_bytes(rest.array()?));
        let kind_len = u32::from_be_bytes(rest.array()?) as usize;
        let metadata_len = u32::from_be_bytes(rest.array()?) as usize;
        Ok(Self {
            position,
            stream: rest.text(stream_len)?,
            revision,
            id,
            kind: rest.text(kind_len)?,
            is_json: flags == 1,
            created,
            custom_metadata: rest.take(metadata_len)?,
            data: rest.rest,
        })
    }

    pub(crate) fn is_tombstone(&self) -> bool {
        self.revision == TOMBSTONE_REVISION
    }
}

struct Reader {
    length: usize,
    rest: Bytes,
}

impl Reader {
    fn take(&mut self, n: usize) -> Result<Bytes, DecodeError> {
        if self.rest.len() < n {
            return Err(DecodeError::CutOff(self.length));
        }
        Ok(self.rest.split_to(n))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut out = [0; N];
        out.copy_from_slice(&self.take(N)?);
        Ok(out)
    }

    fn text(&mut self, n: usize) -> Result<Arc<str>, DecodeError> {
        let bytes = self.take(n)?;
        std::str::from_utf8(&bytes).map(Arc::from).map_err(|_| DecodeError::Utf8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            position: 77,
            stream: "order-7".into(),
            revision: 3,
            id: Uuid::from_u128(9),
            kind: "OrderCreated".into(),
            is_json: true,
            created: 17_000_000_000_000_000,
            custom_metadata: Bytes::from_static(b"{}"),
            data: Bytes::from_static(b"{\"n\":1}"),
        }
    }

    #[test]
    fn comes_back_as_it_was_written() {
        let bytes = record().encode();
        assert_eq!(bytes.len(), record().encoded_len());
        assert_eq!(Record::decode(77, bytes.into()).unwrap(), record());
    }

    #[test]
    fn a_cut_off_record_is_an_error() {
        let bytes = Bytes::from(record().encode());
        assert!(matches!(Record::decode(77, bytes.slice(..30)), Err(DecodeError::CutOff(30))));
    }

    #[test]
    fn another_format_is_an_error() {
        let mut bytes = record().encode();
        bytes[0] = 9;
        assert!(matches!(Record::decode(77, bytes.into()), Err(DecodeError::Format(9))));
    }
}

//! The headers of a record in one piece of memory.

use bytes::Bytes;
use rdkafka::message::{Header, OwnedHeaders};

/// Bytes before the name of each header: the lengths of name and value, each in four bytes.
const LENGTHS: usize = 8;

/// Space for as many headers as an event's record has: more make librdkafka's list grow.
const MOST_USUAL: usize = 15;

/// The headers of a record, in order. Cloning is cheap. librdkafka's own form takes an allocation for each header, so
/// it is made only when the record is sent, and freed on the same thread.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderBlock(Bytes);

impl HeaderBlock {
    /// Headers by name and value.
    pub fn of<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut block = Vec::new();
        let mut writer = HeaderWriter::new(&mut block);
        headers.into_iter().for_each(|(name, value)| writer.bytes(name, value));
        Self(block.into())
    }

    /// These headers and another one.
    #[must_use]
    pub(crate) fn with(&self, name: &str, value: &[u8]) -> Self {
        Self::of(self.iter().chain([(name, value)]))
    }

    /// What a [`HeaderWriter`] has written.
    pub(crate) fn written(block: Bytes) -> Self {
        Self(block)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let (name, after) = rest.split_first_chunk()?;
            let (value, after) = after.split_first_chunk()?;
            let (name, after) = after.split_at_checked(u32::from_le_bytes(*name) as usize)?;
            let (value, after) = after.split_at_checked(u32::from_le_bytes(*value) as usize)?;
            rest = after;
            Some((str::from_utf8(name).ok()?, value))
        })
    }

    /// Bytes of all names and values.
    pub(crate) fn text_bytes(&self) -> usize {
        self.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    /// Bytes of this form, no fewer than Kafka's takes.
    pub(crate) fn bytes(&self) -> usize {
        self.0.len()
    }

    /// librdkafka's form; `None` where there are no headers.
    pub(crate) fn to_native(&self) -> Option<OwnedHeaders> {
        if self.0.is_empty() {
            return None;
        }
        let native = OwnedHeaders::new_with_capacity(MOST_USUAL);
        Some(
            self.iter()
                .fold(native, |native, (key, value)| native.insert(Header { key, value: Some(value) })),
        )
    }
}

/// Appends headers to a buffer, in the form of a [`HeaderBlock`].
pub(crate) struct HeaderWriter<'b> {
    block: &'b mut Vec<u8>,
    /// Bytes of the names and values so far.
    pub(crate) text_bytes: usize,
}

/// Headers that are the same for many records, ready to be appended.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConstantHeaders {
    block: Vec<u8>,
    text_bytes: usize,
}

impl ConstantHeaders {
    pub(crate) fn of(headers: &[(&str, &str)]) -> Self {
        let mut block = Vec::new();
        let mut writer = HeaderWriter::new(&mut block);
        headers.iter().for_each(|(name, value)| writer.bytes(name, value.as_bytes()));
        let text_bytes = writer.text_bytes;
        Self { block, text_bytes }
    }
}

impl<'b> HeaderWriter<'b> {
    pub(crate) fn new(block: &'b mut Vec<u8>) -> Self {
        Self { block, text_bytes: 0 }
    }

    pub(crate) fn constant(&mut self, ConstantHeaders { block, text_bytes }: &ConstantHeaders) {
        self.block.extend_from_slice(block);
        self.text_bytes += text_bytes;
    }

    pub(crate) fn bytes(&mut self, name: &str, value: &[u8]) {
        self.value(name, |block| block.extend_from_slice(value));
    }

    /// A header whose value is what `append` appends.
    pub(crate) fn value(&mut self, name: &str, append: impl FnOnce(&mut Vec<u8>)) {
        let start = self.block.len();
        self.block.extend_from_slice(&[0; LENGTHS]);
        self.block.extend_from_slice(name.as_bytes());
        append(self.block);
        // A record is far below 4 GiB.
        let value = self.block.len() - start - LENGTHS - name.len();
        self.block[start..start + 4].copy_from_slice(&(name.len() as u32).to_le_bytes());
        self.block[start + 4..start + LENGTHS].copy_from_slice(&(value as u32).to_le_bytes());
        self.text_bytes += name.len() + value;
    }
}

#[cfg(test)]
mod tests {
    use aqueduct_kafka::raw_headers;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_and_sent(headers in prop::collection::vec((".{0,12}", prop::collection::vec(any::<u8>(), 0..40)), 0..20)) {
            // librdkafka's names end at a zero byte.
            prop_assume!(headers.iter().all(|(name, _)| !name.contains('\0')));
            let expected: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), &value[..])).collect();
            let block = HeaderBlock::of(expected.iter().copied());
            prop_assert_eq!(block.iter().collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(block.text_bytes(), expected.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>());
            let native = block.to_native();
            prop_assert_eq!(native.is_none(), headers.is_empty());
            let sent = native.iter().flat_map(|it| raw_headers(it.as_borrowed()));
            let sent: Vec<_> = sent.map(|it| (str::from_utf8(it.name).unwrap(), it.value.unwrap())).collect();
            prop_assert_eq!(sent, expected);
        }
    }

    #[test]
    fn constant_headers_are_appended_as_they_are() {
        let mut block = Vec::new();
        let mut writer = HeaderWriter::new(&mut block);
        writer.constant(&ConstantHeaders::of(&[("a", "1"), ("b", "22")]));
        writer.value("c", |block| block.extend_from_slice(b"333"));
        assert_eq!(writer.text_bytes, 9);
        let block = HeaderBlock::written(block.into());
        let expected: [(&str, &[u8]); 3] = [("a", b"1"), ("b", b"22"), ("c", b"333")];
        assert_eq!(block.iter().collect::<Vec<_>>(), expected);
    }
}

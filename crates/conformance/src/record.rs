//! A record as the kit writes it.

/// A record of an event, intact or not.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// Index of the topic in the consumer's definition.
    pub(crate) topic: usize,
    /// The event's stream and its place there.
    pub(crate) stream: String,
    pub(crate) revision: u64,
    pub(crate) event_type: String,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(&'static str, Vec<u8>)>,
    /// What was done to it, for the report.
    pub(crate) damage: Option<&'static str>,
}

/// The stream of a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StreamId {
    pub(crate) topic: usize,
    pub(crate) name: String,
}

impl Record {
    pub(crate) fn stream_id(&self) -> StreamId {
        StreamId { topic: self.topic, name: self.stream.clone() }
    }

    /// The record with another header.
    pub(crate) fn with_header(mut self, name: &'static str, value: &[u8]) -> Self {
        for (_, found) in self.headers.iter_mut().filter(|(found, _)| *found == name) {
            *found = value.to_vec();
        }
        self
    }
}

//! A partition of a topic.

use std::sync::Arc;

use crate::record::Record;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Partition {
    pub(crate) topic: Arc<str>,
    pub(crate) number: i32,
}

impl Partition {
    pub(crate) fn of(record: &Record) -> Self {
        Self { topic: Arc::clone(&record.topic), number: record.partition }
    }

    pub(crate) fn has(&self, record: &Record) -> bool {
        self.is(&record.topic, record.partition)
    }

    pub(crate) fn is(&self, topic: &str, number: i32) -> bool {
        self.number == number && *self.topic == *topic
    }
}

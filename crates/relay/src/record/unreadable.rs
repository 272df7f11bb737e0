//! Records of the exceptions topic that are not exceptions.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use rdkafka::message::{Message as _, OwnedMessage};

use crate::record::exception::ExceptionError;

/// Keys that are remembered. Who writes more has to delete the topic.
const MOST_KEYS: usize = 1_000;

/// Records that cannot be read, by key. What comes later under the same key replaces them, as in any compacted topic: an
/// operator removes one with a tombstone.
#[derive(Debug, Default)]
pub(crate) struct UnreadableRecords {
    by_key: BTreeMap<Vec<u8>, (i64, ExceptionError)>,
}

impl UnreadableRecords {
    /// Takes what became of the next record. `Break` if there are so many that reading on makes no sense.
    pub(crate) fn add(&mut self, record: &OwnedMessage, read: Result<(), ExceptionError>) -> ControlFlow<()> {
        let key = record.key().unwrap_or_default();
        match read {
            Err(error) if record.payload().is_some() => {
                self.by_key.insert(key.to_vec(), (record.offset(), error));
            }
            // A tombstone removes whatever its key is.
            Ok(()) | Err(_) => {
                self.by_key.remove(key);
            }
        }
        if self.by_key.len() <= MOST_KEYS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// The first of them, with its offset.
    pub(crate) fn into_first(self) -> Option<(i64, ExceptionError)> {
        self.by_key.into_values().min_by_key(|(offset, _)| *offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_record_of_the_key_replaces_one_that_cannot_be_read() {
        let record = |offset, key: &str, value: Option<&str>| {
            let value = value.map(|it| it.as_bytes().to_vec());
            let key = Some(key.as_bytes().to_vec());
            OwnedMessage::new(value, key, "t".to_owned(), rdkafka::Timestamp::NotAvailable, 0, offset, None)
        };
        let refused = || Err(ExceptionError::key());
        let mut unreadable = UnreadableRecords::default();
        assert!(unreadable.add(&record(3, "b", Some("?")), refused()).is_continue());
        assert!(unreadable.add(&record(5, "a", Some("?")), refused()).is_continue());
        assert!(unreadable.add(&record(7, "c", Some("?")), refused()).is_continue());
        assert!(unreadable.add(&record(8, "b", None), refused()).is_continue());
        assert!(unreadable.add(&record(9, "c", Some("{}")), Ok(())).is_continue());
        assert!(matches!(unreadable.into_first(), Some((5, _))));

        let mut many = UnreadableRecords::default();
        let ended = (0..).find(|n| many.add(&record(*n, &n.to_string(), Some("?")), refused()).is_break());
        assert_eq!(ended, Some(MOST_KEYS as i64));
    }
}

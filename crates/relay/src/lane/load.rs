//! Loading a lane's exceptions.

use std::ops::ControlFlow;

use rdkafka::ClientConfig;
use rdkafka::message::{Message as _, OwnedMessage};

use crate::error::LaneError;
use crate::kafka::parked_topics::ParkedTopics;
use crate::kafka::scan::{ReadEnd, Scan};
use crate::kafka::topic_readers::TopicReaders;
use crate::lane::exceptions::{Exceptions, Remembered};
use crate::record::exception::{Exception, ExceptionError};
use crate::record::reference::EventReference;
use crate::record::unreadable::UnreadableRecords;

/// What was found when the lane was taken over.
pub(crate) struct Loaded {
    pub(crate) topics: ParkedTopics,
    pub(crate) exceptions: Exceptions,
    /// Configuration of the clients that read its topics.
    pub(crate) reader_config: ClientConfig,
}

/// Reads the lane's partition of the exceptions topic. To be called after the lane's producer was opened and what
/// it left open was aborted: from then on no other instance can add to it. Calls `proceed` at least every 1,000 records
/// and every 100 ms. Returns `None` if it breaks.
pub(crate) fn load(
    readers: &TopicReaders,
    topic: &str,
    lane: u32,
    proceed: impl Fn() -> ControlFlow<()>,
) -> Result<Option<Exceptions>, LaneError> {
    let mut exceptions = Exceptions::default();
    let mut unreadable = UnreadableRecords::default();
    let mut read = 0_u64;
    let take = |record: OwnedMessage| {
        let applied = apply(&mut exceptions, &record);
        unreadable.add(&record, applied)?;
        read += 1;
        if read.is_multiple_of(1_000) { proceed() } else { ControlFlow::Continue(()) }
    };
    let end = Scan::with(readers, topic, lane as i32).read_to_end(take, &proceed)?;
    if let Some((offset, source)) = unreadable.into_first() {
        return Err(LaneError::Exception { topic: topic.to_owned(), partition: lane, offset, source });
    }
    Ok((end == ReadEnd::Complete).then_some(exceptions))
}

fn apply(exceptions: &mut Exceptions, record: &OwnedMessage) -> Result<(), ExceptionError> {
    let event = EventReference::of_key(record.key()).ok_or_else(ExceptionError::key)?;
    match record.payload() {
        Some(json) => {
            let Exception { state, code, last, .. } = Exception::parse(json)?;
            exceptions.insert(&event, Remembered { state, code, last });
        }
        None => exceptions.remove(&event),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use aqueduct_core::Position;

    use super::*;
    use crate::record::code::Code;
    use crate::record::exception::{ExceptionState, LastRelayed};

    fn record(key: &str, value: Option<&[u8]>) -> OwnedMessage {
        let (key, value) = (Some(key.as_bytes().to_vec()), value.map(<[u8]>::to_vec));
        OwnedMessage::new(value, key, "exceptions".to_owned(), rdkafka::Timestamp::NotAvailable, 0, 42, None)
    }

    #[test]
    fn the_last_record_of_a_key_counts_and_a_tombstone_removes_it() {
        let json = |state| {
            let (code, last) = (Code::NotJson, LastRelayed::Revision(6));
            let exception = Exception::new(state, code, String::new(), Position::at(9), last);
            exception.record(&"exceptions".into(), 0, &"7@a-1".parse().unwrap()).value.unwrap()
        };
        let mut exceptions = Exceptions::default();
        apply(&mut exceptions, &record("7@a-1", Some(&json(ExceptionState::Parked)))).unwrap();
        apply(&mut exceptions, &record("8@a-1", Some(&json(ExceptionState::Parked)))).unwrap();
        apply(&mut exceptions, &record("7@a-1", Some(&json(ExceptionState::Discarded)))).unwrap();
        apply(&mut exceptions, &record("8@a-1", None)).unwrap();
        let (state, code) = (ExceptionState::Discarded, Code::NotJson);
        let last = LastRelayed::Revision(6);
        assert_eq!(exceptions.get(&"a-1".into(), 7), Some(Remembered { state, code, last }));
        assert_eq!(exceptions.get(&"a-1".into(), 8), None);

        apply(&mut exceptions, &record("a-1", Some(&json(ExceptionState::Parked)))).unwrap_err();
        apply(&mut exceptions, &record("7@a-1", Some(b"{}"))).unwrap_err();
    }
}

//! Loading a lane's exceptions.

use std::ops::ControlFlow;

use rdkafka::ClientConfig;
use rdkafka::message::{Message as _, OwnedMessage};
use tokio_util::sync::CancellationToken;

use crate::error::LaneError;
use crate::kafka::scan::Scan;
use crate::lane::exceptions::{Exceptions, Remembered};
use crate::record::exception::{Exception, ExceptionError};
use crate::record::reference::EventReference;
use crate::record::unreadable::UnreadableRecords;

/// Reads the lane's partition of the exceptions topic. To be called after the lane's producer was opened and what
/// it left open was aborted: from then on no other instance can add to it. Calls `tick` at least every 1,000 records.
/// Returns `None` if `stop` was cancelled.
pub(crate) fn load(
    config: &ClientConfig,
    topic: &str,
    lane: u32,
    stop: &CancellationToken,
    mut tick: impl FnMut(),
) -> Result<Option<Exceptions>, LaneError> {
    let mut exceptions = Exceptions::default();
    let mut unreadable = UnreadableRecords::default();
    let mut read = 0_u64;
    let complete = Scan::new(config, topic, lane as i32)?.read_to_end(|record| {
        let Some(record) = record else {
            tick();
            return if stop.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        };
        read += 1;
        if read.is_multiple_of(1_000) {
            tick();
        }
        let read = apply(&mut exceptions, &record);
        if unreadable.add(&record, read) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    if let Some((offset, source)) = unreadable.into_first() {
        return Err(LaneError::Exception { topic: topic.to_owned(), partition: lane, offset, source });
    }
    Ok(complete.then_some(exceptions))
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

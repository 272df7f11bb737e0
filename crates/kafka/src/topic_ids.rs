//! Kafka's ids of topics, which tell a topic that was deleted and created again from the former one.
//!
//! rdkafka has no call for them, so this one asks librdkafka.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::bindings::{
    rd_kafka_AdminOptions_destroy, rd_kafka_AdminOptions_new, rd_kafka_AdminOptions_set_request_timeout,
    rd_kafka_DescribeTopics, rd_kafka_DescribeTopics_result_topics, rd_kafka_TopicCollection_destroy,
    rd_kafka_TopicCollection_of_topic_names, rd_kafka_TopicDescription_error, rd_kafka_TopicDescription_name,
    rd_kafka_TopicDescription_t, rd_kafka_TopicDescription_topic_id, rd_kafka_Uuid_base64str,
    rd_kafka_Uuid_least_significant_bits, rd_kafka_Uuid_most_significant_bits, rd_kafka_Uuid_t,
    rd_kafka_admin_op_t, rd_kafka_error_code, rd_kafka_event_DescribeTopics_result, rd_kafka_event_destroy,
    rd_kafka_event_error, rd_kafka_event_t, rd_kafka_queue_destroy, rd_kafka_queue_new, rd_kafka_queue_poll,
    rd_kafka_t,
};
use rdkafka::client::Client;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;

/// The ids of topics by their names, in the form in which Kafka's tools print them. Left out is a topic that does not exist or
/// must not be described, and each one where the brokers do not know ids (before Kafka 2.8).
///
/// Blocks until a broker has answered, for at most `timeout`. One request, for all topics.
pub fn topic_ids<C: ClientContext>(
    client: &Client<C>,
    topics: &[String],
    timeout: Duration,
) -> KafkaResult<BTreeMap<String, String>> {
    // librdkafka refuses a name that occurs twice, and no topic has a name with a NUL.
    let topics: BTreeSet<&String> = topics.iter().collect();
    let names: Vec<CString> =
        topics.into_iter().filter_map(|name| CString::new(name.as_str()).ok()).collect();
    let milliseconds = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
    // SAFETY: the client lives as long as it is borrowed.
    let answer = unsafe { describe(client.native_ptr(), &names, milliseconds) };
    let answer = answer.ok_or(KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut))?;
    // SAFETY: the answer is that of DescribeTopics, and lives until the end of this function.
    unsafe { ids(answer.0.as_ptr()) }
}

/// What librdkafka has allocated.
struct Owned<T>(NonNull<T>, unsafe extern "C" fn(*mut T));

impl<T> Owned<T> {
    /// `None` if `pointer` is null.
    ///
    /// # Safety
    /// `destroy` frees what `pointer` points to, and nobody else does.
    unsafe fn new(pointer: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Option<Self> {
        NonNull::new(pointer).map(|pointer| Self(pointer, destroy))
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: as promised to `new`.
        unsafe { (self.1)(self.0.as_ptr()) }
    }
}

/// Sends the request and waits for its answer; `None` if there is none in time.
///
/// # Safety
/// `client` is a client that lives until the function returns.
unsafe fn describe(
    client: *mut rd_kafka_t,
    names: &[CString],
    milliseconds: c_int,
) -> Option<Owned<rd_kafka_event_t>> {
    let mut names: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    // SAFETY: `client` is valid, and `names` are strings of the caller's, which librdkafka copies. Each value is freed by the
    // function that belongs to its constructor, in the opposite order, and so the queue before the client.
    unsafe {
        let options =
            rd_kafka_AdminOptions_new(client, rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        let options = Owned::new(options, rd_kafka_AdminOptions_destroy)?;
        // Fails only for a time that is too long, and then leaves the default.
        rd_kafka_AdminOptions_set_request_timeout(options.0.as_ptr(), milliseconds, ptr::null_mut(), 0);
        let topics = rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        let topics = Owned::new(topics, rd_kafka_TopicCollection_destroy)?;
        let queue = Owned::new(rd_kafka_queue_new(client), rd_kafka_queue_destroy)?;
        rd_kafka_DescribeTopics(client, topics.0.as_ptr(), options.0.as_ptr(), queue.0.as_ptr());
        Owned::new(rd_kafka_queue_poll(queue.0.as_ptr(), milliseconds), rd_kafka_event_destroy)
    }
}

/// The ids in an answer.
///
/// # Safety
/// `answer` is an event that lives until the function returns.
unsafe fn ids(answer: *mut rd_kafka_event_t) -> KafkaResult<BTreeMap<String, String>> {
    // SAFETY: the event is valid; librdkafka returns null for an event of another kind.
    let (error, result) =
        unsafe { (rd_kafka_event_error(answer), rd_kafka_event_DescribeTopics_result(answer)) };
    if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Err(KafkaError::AdminOp(error.into()));
    }
    if result.is_null() {
        return Err(KafkaError::AdminOp(RDKafkaErrorCode::BadMessage));
    }
    let mut count = 0;
    // SAFETY: the result is valid as long as its event. librdkafka returns an array of `count` pointers, which it owns, or null
    // and 0.
    let descriptions = unsafe {
        let first = rd_kafka_DescribeTopics_result_topics(result, &mut count);
        if first.is_null() { &[][..] } else { std::slice::from_raw_parts(first.cast_const(), count) }
    };
    // SAFETY: each is null, or a description that is valid as long as its event.
    Ok(descriptions.iter().filter_map(|description| unsafe { name_and_id(*description) }).collect())
}

/// # Safety
/// `topic` is null or a description of a topic.
unsafe fn name_and_id(topic: *const rd_kafka_TopicDescription_t) -> Option<(String, String)> {
    if topic.is_null() {
        return None;
    }
    // SAFETY: the description is valid, and so is what it contains. Its name is a C string, which is copied; the error may be
    // null, for which librdkafka returns the code of none.
    unsafe {
        let error = rd_kafka_error_code(rd_kafka_TopicDescription_error(topic));
        if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        let id = text(rd_kafka_TopicDescription_topic_id(topic))?;
        let name = CStr::from_ptr(rd_kafka_TopicDescription_name(topic)).to_string_lossy().into_owned();
        Some((name, id))
    }
}

/// An id as Kafka's tools print it; `None` for the protocol's id of none.
///
/// # Safety
/// `id` is an id of librdkafka's.
unsafe fn text(id: *const rd_kafka_Uuid_t) -> Option<String> {
    // SAFETY: the id is valid. Its text is a C string that it owns, and null only without memory.
    unsafe {
        let bits = (rd_kafka_Uuid_most_significant_bits(id), rd_kafka_Uuid_least_significant_bits(id));
        let text = rd_kafka_Uuid_base64str(id);
        if bits == (0, 0) || text.is_null() {
            return None;
        }
        // Kafka's tools use the alphabet for URLs, librdkafka uses the other one.
        Some(CStr::from_ptr(text).to_string_lossy().replace('+', "-").replace('/', "_"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use rdkafka::bindings::{rd_kafka_Uuid_destroy, rd_kafka_Uuid_new};
    use rdkafka::consumer::{BaseConsumer, Consumer as _};

    use super::*;
    use crate::{Cluster, LogContext, create_client};

    #[test]
    fn an_id_is_written_in_the_alphabet_for_urls_and_none_of_brokers_before_2_8() {
        let written = |most, least| {
            // SAFETY: the id lives until it is destroyed.
            unsafe {
                let id = rd_kafka_Uuid_new(most, least);
                let written = text(id);
                rd_kafka_Uuid_destroy(id);
                written
            }
        };
        assert_eq!(written(0, 0), None);
        assert_eq!(written(-1, -1).as_deref(), Some("_____________________w"));
        assert_eq!(written(-289_360_691_352_306_693, 0).as_deref(), Some("-_v7-_v7-_sAAAAAAAAAAA"));
        assert_eq!(written(0, 1).as_deref(), Some("AAAAAAAAAAAAAAAAAAAAAQ"));
    }

    #[test]
    fn the_wait_for_a_broker_is_bounded() {
        let config = Cluster::new("localhost:1").consumer_config("test", &[]);
        let consumer: BaseConsumer<_> = create_client(&config, LogContext).unwrap();
        let begun = Instant::now();
        let asked = topic_ids(consumer.client(), &["orders".to_owned()], Duration::from_millis(300));
        assert!(matches!(asked, Err(KafkaError::AdminOp(_))), "{asked:?}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}

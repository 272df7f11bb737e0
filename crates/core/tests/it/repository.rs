//! The repository's promises, on the store in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aqueduct_core::mapping::{EventMapping, MetadataMapping, TypeMap};
use aqueduct_core::testing::{Call, ScriptedStore};
use aqueduct_core::{
    AllItem, AppendError, Appended, Codec, CodecError, CodecProblem, CommandRequest, ErrorKind, EventStore,
    ExecuteError, ExpectedRevision, MemoryStore, NewEvent, PlainCodec, Position, RecordedEvent, Repository,
    RepositoryOptions, Revision, StoreError, StreamName,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::support::{Beyond, Command, Counted, Counter, counters, options, request, total};

#[tokio::test]
async fn a_duplicate_command_gets_its_first_result_from_any_repository() {
    let store = MemoryStore::default();
    let count_to_three = request(Command::CountTo(3));
    let first = counters(store.clone()).execute("1", &count_to_three).await.unwrap();
    assert_eq!((first.events.len(), first.duplicate), (3, false));

    let elsewhere = counters(store.clone());
    elsewhere.execute("1", &request(Command::Count(10))).await.unwrap();
    let again = elsewhere.execute("1", &count_to_three).await.unwrap();

    assert!(again.duplicate);
    assert_eq!(again.events, first.events);
    assert_eq!(total(&elsewhere).await, 13);
}

#[tokio::test]
async fn a_duplicate_is_recognised_by_a_repository_whose_cache_is_behind() {
    let store = MemoryStore::default();
    let (one, other) = (counters(store.clone()), counters(store));
    one.execute("1", &request(Command::Count(1))).await.unwrap();
    let shared = request(Command::Count(5));
    other.execute("1", &shared).await.unwrap();

    assert!(one.execute("1", &shared).await.unwrap().duplicate);
    assert_eq!(total(&one).await, 6);
}

#[tokio::test]
async fn concurrent_writers_all_succeed() {
    let store = MemoryStore::default();
    let writers: Vec<_> = (0..4).map(|_| Arc::new(counters(store.clone()))).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in &writers {
        for _ in 0..25 {
            let writer = Arc::clone(writer);
            tasks.spawn(async move { writer.execute("1", &request(Command::Count(1))).await });
        }
    }
    while let Some(result) = tasks.join_next().await {
        assert!(!result.unwrap().unwrap().duplicate);
    }
    assert_eq!(total(&writers[0]).await, 100);
}

#[tokio::test]
async fn refusals_and_empty_results_refer_to_the_current_state() {
    let store = MemoryStore::default();
    let (behind, ahead) = (counters(store.clone()), counters(store));
    behind.execute("1", &request(Command::Count(9))).await.unwrap();
    ahead.execute("1", &request(Command::Count(1))).await.unwrap();

    let refused = behind.execute("1", &request(Command::CountTo(2))).await.unwrap_err();
    assert!(matches!(refused, ExecuteError::Domain(Beyond(10))), "{refused}");
    assert_eq!(refused.kind(), ErrorKind::Park);
    assert!(behind.execute("1", &request(Command::Nothing)).await.unwrap().events.is_empty());
    assert!(behind.execute("1", &request(Command::CountTo(10))).await.unwrap().events.is_empty());
}

#[tokio::test]
async fn an_evicted_aggregate_is_loaded_again() {
    let options = RepositoryOptions {
        cached_aggregates: 1.try_into().unwrap(),
        page: 2.try_into().unwrap(),
        ..options()
    };
    let counters = Repository::<Counter, _, _>::with_options(MemoryStore::default(), PlainCodec, options);
    counters.execute("1", &request(Command::CountTo(5))).await.unwrap();
    counters.execute("2", &request(Command::Count(1))).await.unwrap();
    assert_eq!(total(&counters).await, 5);
}

#[tokio::test]
async fn a_foreign_event_in_the_stream_is_named() {
    let store = MemoryStore::default();
    let foreign = NewEvent {
        id: uuid::Uuid::new_v4(),
        event_type: "Renamed".into(),
        data: "{}".into(),
        metadata: "{}".into(),
    };
    store.append(&"counter-1".into(), ExpectedRevision::NoStream, &[foreign]).await.unwrap();
    let error = counters(store).execute("1", &request(Command::Count(1))).await.unwrap_err();
    assert_eq!(error.to_string(), "event 0@counter-1 of type \"Renamed\" cannot be read");
    let reason = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(reason, "aggregate type counter has no event Renamed");
    assert_eq!(error.kind(), ErrorKind::Park);
}

fn foreign(event_type: &str, data: &'static str, metadata: &'static str) -> NewEvent {
    NewEvent {
        id: uuid::Uuid::new_v4(),
        event_type: event_type.to_owned(),
        data: data.into(),
        metadata: metadata.into(),
    }
}

/// Requires a version and renames what was called `count` in version 1.
#[derive(Clone)]
struct TwoVersions;

impl Codec for TwoVersions {
    fn encode(&self, event_type: &str, latest: Vec<u8>) -> Result<(u32, Bytes), CodecError> {
        let read: Result<Counted, _> = serde_json::from_slice(&latest);
        match read {
            Ok(_) => Ok((2, latest.into())),
            Err(error) => Err(CodecError {
                event_type: event_type.to_owned(),
                version: 2,
                category: CodecProblem::Payload,
                place: None,
                problem: error.to_string(),
                source: None,
            }),
        }
    }

    fn upcast(&self, event_type: &str, version: u32, stored: &Bytes) -> Result<Bytes, CodecError> {
        match version {
            1 => Ok(String::from_utf8_lossy(stored).replace("count", "by").into()),
            2 => Ok(stored.clone()),
            _ => Err(CodecError {
                event_type: event_type.to_owned(),
                version,
                category: CodecProblem::UnknownVersion,
                place: None,
                problem: "unknown version".to_owned(),
                source: None,
            }),
        }
    }
}

#[tokio::test]
async fn an_aggregate_takes_over_a_stream_that_another_service_began() {
    let store = MemoryStore::default();
    let begun = [
        foreign("counter.counted.v1", r#"{"count":1}"#, ""),
        foreign("Counted", r#"{"by":2}"#, "null"),
        foreign("Counted", r#"{"count":4}"#, r#"{"eventVersion":"1","commandId":"count-four"}"#),
        foreign("V2.Counted", r#"{"by":8}"#, r#"{"eventVersion":2,"$correlationId":17}"#),
    ];
    store.append(&"counter-1".into(), ExpectedRevision::NoStream, &begun).await.unwrap();
    let metadata: MetadataMapping =
        serde_json::from_str(r#"{"schema_version":["metadata:/eventVersion"],"built_in":false}"#).unwrap();
    let types =
        TypeMap::from_iter([("counter.{event}.v{version}", "Counted"), ("V{version}.{event}", "{event}")]);
    let mapping = Some(Arc::new(EventMapping::new(&metadata, &types).unwrap()));
    let counters = || {
        let options = RepositoryOptions { mapping: mapping.clone(), ..options() };
        Repository::<Counter, _, _>::with_options(store.clone(), TwoVersions, options)
    };

    let command = request(Command::CountTo(17));
    let first = counters().execute("1", &command).await.unwrap();
    assert_eq!(first.events.len(), 2, "the stream counted to 15");
    let again = counters().execute("1", &command).await.unwrap();
    assert!(again.duplicate);
    assert_eq!(again.events, first.events);
    assert_eq!(counters().inspect("1", |counter| counter.total).await.unwrap(), 17);
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_named_and_not_skipped() {
    let cases = [
        (
            foreign("Counted", r#"{"by":1}"#, r#"{"schemaVersion":"two"}"#),
            "the schema version at metadata:/schemaVersion",
        ),
        (foreign("Counted", r#"{"by":1}"#, r#"{"schemaVersion":3}"#), "unknown version"),
        (foreign("Counted", "[]", ""), "event type Counted, version 2"),
        (foreign("Acme.Counted, Acme", r#"{"by":1}"#, ""), "is not an event name"),
        (foreign("Counted", r#"{"by":-1}"#, r#"{"schemaVersion":2}"#), "it does not fit its Rust type"),
    ];
    for (event, expected) in cases {
        let store = MemoryStore::default();
        let event_type = event.event_type.clone();
        store.append(&"counter-1".into(), ExpectedRevision::NoStream, &[event]).await.unwrap();
        let counters = Repository::<Counter, _, _>::with_options(store, TwoVersions, options());
        let error = counters.execute("1", &request(Command::Nothing)).await.unwrap_err();
        assert_eq!(error.to_string(), format!("event 0@counter-1 of type {event_type:?} cannot be read"));
        let reason = std::error::Error::source(&error).unwrap().to_string();
        assert!(reason.contains(expected), "{reason}");
    }
}

/// Guarantee 2, with an append whose response is lost.
#[tokio::test]
async fn an_append_whose_response_was_lost_is_not_repeated() {
    let appends = AtomicUsize::new(0);
    let store = ScriptedStore::new(MemoryStore::default()).after(move |call| match call {
        Call::Append(_) if appends.fetch_add(1, Ordering::SeqCst) == 0 => {
            Err(call.fails("the response was lost"))
        }
        _ => Ok(()),
    });
    let counters = counters(store);
    let result = counters.execute("1", &request(Command::Count(3))).await.unwrap();
    assert!(result.duplicate, "the retry finds that the first attempt went through");
    assert_eq!(total(&counters).await, 3);
}

#[tokio::test]
async fn retries_end_when_the_store_keeps_failing() {
    let down =
        ScriptedStore::new(MemoryStore::default()).before(|call| Err(call.fails("connection refused")));
    let error = counters(down).execute("1", &request(Command::Count(1))).await.unwrap_err();
    assert!(matches!(error, ExecuteError::Exhausted { attempts: 11, .. }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Retry);
}

/// A store whose streams were soft-deleted after `before` events: earlier events are not read, and an append that
/// expects no stream succeeds.
struct SoftDeleted {
    store: MemoryStore,
    before: Revision,
}

#[async_trait]
impl EventStore for SoftDeleted {
    async fn append(
        &self,
        stream: &StreamName,
        expected: ExpectedRevision,
        events: &[NewEvent],
    ) -> Result<Appended, AppendError> {
        let expected = match expected {
            ExpectedRevision::NoStream => ExpectedRevision::Exact(self.before - 1),
            expected => expected,
        };
        self.store.append(stream, expected, events).await
    }

    async fn read_stream(
        &self,
        stream: &StreamName,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.store.read_stream(stream, from.max(self.before), limit).await
    }

    async fn read_stream_back(
        &self,
        stream: &StreamName,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let mut events = self.store.read_stream_back(stream, from, limit).await?;
        events.retain(|event| event.revision >= self.before);
        Ok(events)
    }

    fn subscribe_all(&self, after: Option<Position>) -> BoxStream<'static, Result<AllItem, StoreError>> {
        self.store.subscribe_all(after)
    }

    async fn last_position(&self) -> Result<Option<Position>, StoreError> {
        self.store.last_position().await
    }
}

/// The first append to a soft-deleted stream was numbered from revision 0, whatever the store returned, and was
/// applied again after the next conflict.
#[tokio::test]
async fn an_append_to_a_soft_deleted_stream_is_applied_once() {
    let store = MemoryStore::default();
    counters(store.clone()).execute("1", &request(Command::CountTo(7))).await.unwrap();
    let counters = counters(SoftDeleted { store, before: 7 });

    let first = request(Command::CountTo(2));
    counters.execute("1", &first).await.unwrap();
    let second = counters.execute("1", &request(Command::CountTo(5))).await.unwrap();
    assert_eq!(second.events.len(), 3, "the second command sees the first one's events once");
    assert_eq!(total(&counters).await, 5);

    let again = counters.execute("1", &first).await.unwrap();
    assert!(again.duplicate);
    assert_eq!(again.events.len(), 2, "the first result, without later events");
}

/// A client reuses a command id for another command.
#[tokio::test]
async fn a_command_id_with_another_payload_is_refused() {
    let store = MemoryStore::default();
    let first = request(Command::Count(1)).with_payload(b"1");
    counters(store.clone()).execute("1", &first).await.unwrap();
    let counters = counters(store);

    let other = CommandRequest::new(first.id, Command::Count(2)).with_payload(b"2");
    let error = counters.execute("1", &other).await.unwrap_err();
    assert!(
        matches!(&error, ExecuteError::CommandIdReused { reference, .. } if reference == "0@counter-1"),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::Park);

    let again = CommandRequest::new(first.id, Command::Count(1));
    for duplicate in [again.clone().with_payload(b"1"), again] {
        assert!(counters.execute("1", &duplicate).await.unwrap().duplicate);
    }
    assert_eq!(total(&counters).await, 1);
}

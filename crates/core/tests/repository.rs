//! The repository's promises, on the store in memory.
#![expect(clippy::unwrap_used, reason = "clippy knows tests by their attribute, not the helpers beside them")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aqueduct_core::mapping::{EventMapping, MetadataMapping, TypeMap};
use aqueduct_core::testing::{Call, ScriptedStore};
use aqueduct_core::{
    Aggregate, AllItem, AppendError, Appended, Codec, CodecError, CommandId, CommandRequest, ErrorKind,
    EventStore, ExecuteError, ExpectedRevision, MemoryStore, NewEvent, PlainCodec, Position, RecordedEvent,
    Repository, RepositoryOptions, Revision, StoreError, StreamName, domain_event,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Counted {
    by: u32,
}

domain_event! { enum CounterEvent { Counted } }

#[derive(Debug, Default)]
struct Counter {
    total: u32,
}

#[derive(Debug, Clone)]
enum Command {
    Count(u32),
    CountTo(u32),
    Nothing,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("at {0} already")]
struct Beyond(u32);

impl Aggregate for Counter {
    const TYPE: &'static str = "counter";
    type Command = Command;
    type Event = CounterEvent;
    type Error = Beyond;

    fn handle(&self, command: &Command) -> Result<Vec<CounterEvent>, Beyond> {
        match *command {
            Command::Count(by) => Ok(vec![Counted { by }.into()]),
            Command::CountTo(to) if to < self.total => Err(Beyond(self.total)),
            Command::CountTo(to) => Ok((self.total..to).map(|_| Counted { by: 1 }.into()).collect()),
            Command::Nothing => Ok(vec![]),
        }
    }

    fn apply(&mut self, CounterEvent::Counted(event): &CounterEvent) {
        self.total += event.by;
    }
}

type Counters<S> = Repository<Counter, S, PlainCodec>;

fn options() -> RepositoryOptions {
    RepositoryOptions { first_wait: Duration::from_micros(10), ..RepositoryOptions::default() }
}

fn counters<S: EventStore>(store: S) -> Counters<S> {
    Repository::with_options(store, PlainCodec, options())
}

fn request(command: Command) -> CommandRequest<Command> {
    CommandRequest::new(CommandId::random(), command)
}

async fn total<S: EventStore>(counters: &Counters<S>) -> u32 {
    counters.inspect("1", |counter| counter.total).await.unwrap()
}

#[tokio::test]
async fn a_command_sent_twice_gets_its_first_answer_from_any_repository() {
    let store = MemoryStore::default();
    let count_to_three = request(Command::CountTo(3));
    let first = counters(store.clone()).execute("1", &count_to_three).await.unwrap();
    assert_eq!((first.events.len(), first.repeated), (3, false));

    let elsewhere = counters(store.clone());
    elsewhere.execute("1", &request(Command::Count(10))).await.unwrap();
    let again = elsewhere.execute("1", &count_to_three).await.unwrap();

    assert!(again.repeated);
    assert_eq!(again.events, first.events);
    assert_eq!(total(&elsewhere).await, 13);
}

#[tokio::test]
async fn a_repeat_is_recognised_by_a_repository_whose_cache_is_behind() {
    let store = MemoryStore::default();
    let (one, other) = (counters(store.clone()), counters(store));
    one.execute("1", &request(Command::Count(1))).await.unwrap();
    let shared = request(Command::Count(5));
    other.execute("1", &shared).await.unwrap();

    assert!(one.execute("1", &shared).await.unwrap().repeated);
    assert_eq!(total(&one).await, 6);
}

#[tokio::test]
async fn writers_in_each_others_way_all_get_through() {
    let store = MemoryStore::default();
    let writers: Vec<_> = (0..4).map(|_| Arc::new(counters(store.clone()))).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in &writers {
        for _ in 0..25 {
            let writer = Arc::clone(writer);
            tasks.spawn(async move { writer.execute("1", &request(Command::Count(1))).await });
        }
    }
    while let Some(answer) = tasks.join_next().await {
        assert!(!answer.unwrap().unwrap().repeated);
    }
    assert_eq!(total(&writers[0]).await, 100);
}

#[tokio::test]
async fn refusals_and_empty_answers_are_of_the_present_state() {
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
async fn an_aggregate_pushed_out_of_the_cache_is_loaded_again() {
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
    assert_eq!(error.to_string(), "event 0@counter-1 of type \"Renamed\" can't be read");
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
    assert!(again.repeated);
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
        assert_eq!(error.to_string(), format!("event 0@counter-1 of type {event_type:?} can't be read"));
        let reason = std::error::Error::source(&error).unwrap().to_string();
        assert!(reason.contains(expected), "{reason}");
    }
}

/// Promise 2, attacked by an append whose answer never came.
#[tokio::test]
async fn an_append_whose_answer_was_lost_is_not_done_twice() {
    let appends = AtomicUsize::new(0);
    let store = ScriptedStore::new(MemoryStore::default()).after(move |call| match call {
        Call::Append(_) if appends.fetch_add(1, Ordering::SeqCst) == 0 => {
            Err(call.fails("the answer was lost"))
        }
        _ => Ok(()),
    });
    let counters = counters(store);
    let answer = counters.execute("1", &request(Command::Count(3))).await.unwrap();
    assert!(answer.repeated, "the retry finds that the first attempt went through");
    assert_eq!(total(&counters).await, 3);
}

#[tokio::test]
async fn a_store_that_keeps_failing_is_given_up_on_in_the_end() {
    let down = ScriptedStore::new(MemoryStore::default()).before(|call| Err(call.fails("nobody listens")));
    let error = counters(down).execute("1", &request(Command::Count(1))).await.unwrap_err();
    assert!(matches!(error, ExecuteError::Exhausted { attempts: 11, .. }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Retry);
}

/// A store whose streams were soft-deleted when they had so many events: what came before is not read any more,
/// and nobody who believes that there is nothing is in the way of that.
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

/// The first append to a soft-deleted stream was counted from revision 0, whatever the store answered, and so
/// applied once more after the next conflict.
#[tokio::test]
async fn an_append_to_a_soft_deleted_stream_is_applied_once() {
    let store = MemoryStore::default();
    counters(store.clone()).execute("1", &request(Command::CountTo(7))).await.unwrap();
    let counters = counters(SoftDeleted { store, before: 7 });

    let first = request(Command::CountTo(2));
    counters.execute("1", &first).await.unwrap();
    let second = counters.execute("1", &request(Command::CountTo(5))).await.unwrap();
    assert_eq!(second.events.len(), 3, "the second command sees what the first one did, once");
    assert_eq!(total(&counters).await, 5);

    let again = counters.execute("1", &first).await.unwrap();
    assert!(again.repeated);
    assert_eq!(again.events.len(), 2, "the first answer, without what came later");
}

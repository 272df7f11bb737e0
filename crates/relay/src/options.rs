//! The relay's options.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use aqueduct_core::mapping::{ConfigurationError, EventMapping, MetadataMapping, TypeMap};
use serde::Deserialize;

use crate::options_error::OptionsError;
use crate::route::{OnBadEvent, Route};

/// The relay's configuration. Times are in milliseconds.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// What goes where. Routes are independent of each other.
    pub routes: Vec<Route>,
    /// What a route that says nothing about it does with an event that cannot become a record.
    pub on_bad_event: OnBadEvent,
    /// How events that others wrote are read, on all routes. Not part of the relay's section: repositories use it too.
    #[serde(skip)]
    pub events: EventsOptions,
    /// Lanes of each route: how many instances can share its work. Cannot be changed once a route has a
    /// checkpoint.
    pub lanes: NonZeroU32,
    /// Replicas of the topics that [`create_topics`](crate::create_topics) creates; -1 is the broker's default.
    pub replication_factor: i32,
    /// Most records of one transaction.
    pub batch_records: NonZeroUsize,
    /// Bytes of keys, headers and values after which a transaction takes no further record.
    pub batch_bytes: NonZeroUsize,
    /// How long a transaction that is not full waits for more events. A transaction is filled with what
    /// arrives while the one before it commits anyway.
    pub linger_ms: u64,
    /// Largest record (key, headers and value). An event that makes a larger one is a bad event. The topic's
    /// `max.message.bytes` must allow it (4 KiB more), or the lane halts at such an event;
    /// [`create_topics`](crate::create_topics) sets it on the topics that it creates.
    pub max_record_bytes: NonZeroUsize,
    /// How long the broker lets a transaction stay open, and so for how long a relay that vanished holds back
    /// the readers if no other takes over.
    pub transaction_timeout_ms: u64,
    /// How long an instance may be silent before its lanes go to another.
    pub session_timeout_ms: u64,
    /// How often a lane that makes no records writes a checkpoint, if it received events.
    pub idle_checkpoint_ms: u64,
    /// First pause after a transient error (broker, store or registry unreachable); it doubles up to
    /// `halt_retry_ms`.
    pub retry_ms: u64,
    /// Pause after which a halted lane restarts; it halts again if the cause still exists.
    pub halt_retry_ms: u64,
    /// Streams of which a lane remembers the last revision. Any other is looked up in the store: up to 16 at once, for the
    /// lanes of a process together.
    pub known_streams: NonZeroUsize,
}

/// `[events]`: how events that others wrote are read, by all routes, `infer`, `verify` and the repositories of services.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventsOptions {
    /// Where schema version, time, ids and trace context of an event are.
    pub metadata: MetadataMapping,
    /// What stored event types are called.
    pub types: TypeMap,
}

impl EventsOptions {
    /// Both mappings, ready to read events.
    pub fn mapping(&self) -> Result<EventMapping, ConfigurationError> {
        EventMapping::new(&self.metadata, &self.types)
    }
}

/// Bytes that Kafka's record format adds to key, value and headers, at most.
const FORMAT_BYTES: usize = 4096;

const fn non_zero(n: usize) -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(n - 1)
}

impl Default for Options {
    fn default() -> Self {
        Self {
            routes: Vec::new(),
            on_bad_event: OnBadEvent::default(),
            events: EventsOptions::default(),
            lanes: NonZeroU32::MIN,
            replication_factor: -1,
            batch_records: non_zero(4_000),
            batch_bytes: non_zero(8 << 20),
            linger_ms: 0,
            max_record_bytes: non_zero(1_000_000),
            transaction_timeout_ms: 30_000,
            session_timeout_ms: 10_000,
            idle_checkpoint_ms: 10_000,
            retry_ms: 200,
            halt_retry_ms: 10_000,
            known_streams: non_zero(200_000),
        }
    }
}

impl Options {
    /// How the events of a route are read: its own pointers come before those of all routes, its own types replace
    /// those of the same name or glob.
    pub fn mapping(&self, route: &Route) -> Result<EventMapping, OptionsError> {
        self.events_of(route).mapping().map_err(|error| {
            let section = if self.events.mapping().is_err() {
                "events".to_owned()
            } else {
                format!("route \"{}\"", route.name)
            };
            OptionsError { key: format!("{section}.{}", error.key), problem: error.problem }
        })
    }

    /// The route's pointers and types, merged with those of all routes.
    pub(crate) fn events_of(&self, route: &Route) -> EventsOptions {
        EventsOptions {
            metadata: route.metadata.clone().or(&self.events.metadata),
            types: route.types.clone().or(&self.events.types),
        }
    }

    /// What a route does with an event that cannot become a record.
    pub fn on_bad_event(&self, route: &Route) -> OnBadEvent {
        route.on_bad_event.unwrap_or(self.on_bad_event)
    }

    /// Bytes of the largest message that the producer, the topic of a route and its topic of parked events must accept:
    /// `max_record_bytes` and what the record format adds.
    pub fn largest_message(&self) -> usize {
        self.max_record_bytes.get().saturating_add(FORMAT_BYTES)
    }

    pub(crate) fn linger(&self) -> Duration {
        Duration::from_millis(self.linger_ms)
    }

    pub(crate) fn session_timeout(&self) -> Duration {
        Duration::from_millis(self.session_timeout_ms)
    }

    pub(crate) fn transaction_timeout(&self) -> Duration {
        Duration::from_millis(self.transaction_timeout_ms)
    }

    pub(crate) fn idle_checkpoint(&self) -> Duration {
        Duration::from_millis(self.idle_checkpoint_ms)
    }

    pub(crate) fn retry(&self) -> Duration {
        Duration::from_millis(self.retry_ms).min(self.halt_retry())
    }

    pub(crate) fn halt_retry(&self) -> Duration {
        Duration::from_millis(self.halt_retry_ms)
    }
}

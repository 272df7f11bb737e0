//! A route: a part of the store's events and the topic they go to.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use aqueduct_core::mapping::{ConfigurationError, Exclusions, MetadataMapping, Selection, Selector, TypeMap};
use serde::{Deserialize, Serialize};

use crate::lane_topics::LaneTopics;

/// A part of the store's events and the topic they go to. A topic has exactly one route; an event may belong to
/// several. Links (`$>`) belong to none, and system events only to routes that name their exact type.
///
/// The selection, the type map and the pointers to the schema version of types already relayed cannot be changed
/// once the route has a checkpoint; event types may be added, from then on. Everything else may change at any time.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Names its checkpoint topic, its consumer group and its transactional ids.
    pub name: String,
    /// Kafka topic.
    pub topic: String,
    /// Categories of streams: the part of the name before the first dash, or the whole name. An event must match
    /// one value of each of `categories`, `stream_prefixes` and `event_types` that has values.
    #[serde(default)]
    pub categories: BTreeSet<String>,
    /// What the name of the stream begins with.
    #[serde(default)]
    pub stream_prefixes: BTreeSet<String>,
    /// Stored event types, or globs of them, in which `*` is any text.
    #[serde(default)]
    pub event_types: BTreeSet<String>,
    /// Events that match any value of any key of it are left out.
    #[serde(default)]
    pub exclude: Exclusions,
    /// Stored event types, or globs of them, whose data is JSON whatever their content type says.
    #[serde(default)]
    pub json_types: BTreeSet<String>,
    /// What happens to an event that cannot become a record; `relay.on_bad_event` where it is not given.
    #[serde(default)]
    pub on_bad_event: Option<OnBadEvent>,
    /// Pointers that are tried before those of all routes.
    #[serde(default)]
    pub metadata: MetadataMapping,
    /// Lines in addition to the type map of all routes. Of two lines for the same type or glob the route's counts.
    #[serde(default)]
    pub types: TypeMap,
    /// Partitions of the topic, a multiple of the lanes. Never to be changed: streams would move.
    #[serde(default = "default_partitions")]
    pub partitions: NonZeroU32,
}

/// What a route does with an event that cannot become a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnBadEvent {
    /// The lane waits at it until the cause is removed.
    #[default]
    Halt,
    /// It is parked, and so are the later events of its stream, until they are replayed or discarded.
    Park,
    /// It is recorded as skipped. The later events of its stream are relayed.
    Skip,
}

const fn default_partitions() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(3)
}

impl Route {
    /// A route of all events of some categories to a topic of four partitions.
    pub fn of_categories<S: Into<String>>(
        name: &str,
        topic: &str,
        categories: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            topic: topic.to_owned(),
            categories: categories.into_iter().map(Into::into).collect(),
            stream_prefixes: BTreeSet::new(),
            event_types: BTreeSet::new(),
            exclude: Exclusions::default(),
            json_types: BTreeSet::new(),
            on_bad_event: None,
            metadata: MetadataMapping::default(),
            types: TypeMap::default(),
            partitions: default_partitions(),
        }
    }

    /// The events that it carries.
    pub fn selection(&self) -> Selection {
        Selection {
            categories: self.categories.clone(),
            stream_prefixes: self.stream_prefixes.clone(),
            event_types: self.event_types.clone(),
            exclude: self.exclude.clone(),
        }
    }

    /// Selects the types whose data is JSON whatever their content type says; `None` where the route names none.
    pub fn json_selector(&self) -> Result<Option<Selector>, ConfigurationError> {
        let types = Selection { event_types: self.json_types.clone(), ..Selection::default() };
        (!self.json_types.is_empty()).then(|| types.compile()).transpose()
    }

    /// The consumer group through which instances share the lanes of the route.
    pub fn group(&self, prefix: &str) -> String {
        format!("{prefix}.relay.{}", self.name)
    }

    /// The transactional id of a lane's producer.
    pub fn transactional_id(&self, prefix: &str, lane: u32) -> String {
        format!("{prefix}.{}.{lane}", self.name)
    }

    /// The relay's own topics of the route.
    pub fn lane_topics(&self, prefix: &str) -> LaneTopics {
        LaneTopics {
            checkpoint: self.checkpoint_topic(prefix),
            exceptions: self.exceptions_topic(prefix),
            parked: self.parked_topic(prefix),
            requests: self.requests_topic(prefix),
        }
    }

    /// The compacted topic of the route's checkpoints, one partition per lane.
    pub fn checkpoint_topic(&self, prefix: &str) -> String {
        format!("{prefix}.checkpoint.{}", self.name)
    }

    /// The compacted topic of the events that were selected and not relayed, one partition per lane.
    pub fn exceptions_topic(&self, prefix: &str) -> String {
        format!("{prefix}.exceptions.{}", self.name)
    }

    /// The topic of parked events, one partition per lane.
    pub fn parked_topic(&self, prefix: &str) -> String {
        format!("{prefix}.parked.{}", self.name)
    }

    /// The topic of requests about parked events and of their outcome, one partition per lane.
    pub fn requests_topic(&self, prefix: &str) -> String {
        format!("{prefix}.requests.{}", self.name)
    }

    /// The checkpoint topic of version 0.1, the same for all prefixes.
    pub(crate) fn unprefixed_checkpoint_topic(&self) -> String {
        self.checkpoint_topic("aqueduct")
    }

    /// The lane's partitions of the topic.
    pub(crate) fn partitions_of(&self, lane: u32, lanes: NonZeroU32) -> impl Iterator<Item = i32> {
        (0..self.partitions.get()).filter(move |it| *it % lanes == lane).map(|it| it as i32)
    }
}

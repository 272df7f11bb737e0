//! What Kafka has of the routes: their topics, exceptions and checkpoints.

use std::collections::BTreeMap;
use std::time::Duration;

use aqueduct_core::Position;
use serde::Deserialize;

use super::kafka::{Consumer, KafkaError};
use crate::options::Options;
use crate::route::Route;
use crate::topic::Since;

/// The topics of the routes, in the order of the options.
pub(crate) struct Kafka {
    pub(crate) consumer: Consumer,
    /// Of the routes that have any.
    pub(crate) exceptions: Option<Consumer>,
    /// By route, its place in `exceptions`.
    pub(crate) exceptions_of: Vec<Option<usize>>,
    /// By route, the event types that were added to it.
    pub(crate) since: Vec<Since>,
}

/// What a checkpoint says of added event types.
#[derive(Deserialize)]
struct Checkpoint {
    #[serde(default)]
    since: BTreeMap<String, Position>,
}

impl Kafka {
    /// Connects, fixes the ends, and reads the checkpoints. It blocks.
    pub(crate) fn connect(options: &Options) -> Result<Self, KafkaError> {
        let Options { brokers, properties, topics, .. } = options;
        let patience = Duration::from_secs(options.patience_seconds);
        let connect = |topics: &[String]| Consumer::connect(brokers, properties, topics, patience);
        let consumer = Consumer::connect(brokers, properties, topics.keys(), patience)?;
        let names = |of: fn(&Route) -> &Option<String>| topics.values().filter_map(of_route(of));
        let wanted = names(|route| &route.exceptions).chain(names(|route| &route.checkpoints));
        let existing = Consumer::existing(brokers, properties, wanted)?;
        let place = |name: &Option<String>, among: &[String]| {
            name.as_ref().and_then(|name| among.iter().position(|it| it == name))
        };
        let of = |of: fn(&Route) -> &Option<String>| -> Vec<String> {
            names(of).filter(|name| existing.contains(name)).collect()
        };
        let (with_exceptions, with_checkpoints) =
            (of(|route| &route.exceptions), of(|route| &route.checkpoints));
        let exceptions = if with_exceptions.is_empty() { None } else { Some(connect(&with_exceptions)?) };
        let mut checkpoints = Vec::new();
        if !with_checkpoints.is_empty() {
            let mut consumer = connect(&with_checkpoints)?;
            for (index, lanes) in consumer.partitions().collect::<Vec<_>>().into_iter().enumerate() {
                checkpoints.push(since(&mut consumer, index, lanes)?);
            }
        }
        let of_route = |route: &Route| place(&route.checkpoints, &with_checkpoints);
        Ok(Self {
            consumer,
            exceptions,
            exceptions_of: topics.values().map(|route| place(&route.exceptions, &with_exceptions)).collect(),
            since: topics
                .values()
                .map(|route| of_route(route).map(|it| checkpoints[it].clone()).unwrap_or_default())
                .collect(),
        })
    }
}

fn of_route(of: fn(&Route) -> &Option<String>) -> impl Fn(&Route) -> Option<String> {
    move |route| of(route).clone()
}

/// The last checkpoint of each lane counts. What is not one is the relay's concern.
fn since(consumer: &mut Consumer, topic: usize, lanes: i32) -> Result<Since, KafkaError> {
    let mut by_lane = Vec::new();
    for lane in 0..lanes {
        let mut last = BTreeMap::new();
        while let Some(record) = consumer.next(topic, lane, false)? {
            let is_checkpoint = record.key.as_deref() == Some(b"checkpoint");
            let parsed = record.value.as_deref().and_then(|value| serde_json::from_slice(value).ok());
            if let Some(Checkpoint { since }) = parsed.filter(|_| is_checkpoint) {
                last = since;
            }
        }
        by_lane.push(last);
    }
    Ok(Since(by_lane))
}

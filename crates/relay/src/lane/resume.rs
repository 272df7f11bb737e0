//! Where a lane resumes.

use std::collections::BTreeMap;
use std::sync::Arc;

use aqueduct_kafka::Cluster;
use rdkafka::message::{Message as _, OwnedMessage};

use crate::error::LaneError;
use crate::kafka::half_committed::{HalfCommitted, LostHalf};
use crate::kafka::parked_topics::ParkedTopics;
use crate::kafka::producer::TransactionalProducer;
use crate::kafka::reader::{Last, Reader};
use crate::kafka::recovery::HangingTransactions;
use crate::kafka::topic_readers::TopicReaders;
use crate::lane_definition::LaneDefinition;
use crate::metrics::LaneMetrics;
use crate::options::Options;
use crate::record::checkpoint::{self, Checkpoint};
use crate::record::checkpoint_check::Tail;
use crate::record::headers::{own_position, relayed_source};

/// Checks that the topics of a lane are as they are configured, and returns those of what it does not relay; `None` where
/// they do not exist and are not needed. Reads metadata only: it may be called before the lane's producer was opened.
pub(crate) fn check_topics(
    cluster: &Cluster,
    options: &Options,
    definition: &LaneDefinition,
    reader: &Reader,
) -> Result<Option<ParkedTopics>, LaneError> {
    let LaneDefinition { route, checkpoint_topic, lanes, .. } = definition;
    reader.expect_partitions(checkpoint_topic, *lanes)?;
    reader.expect_partitions(&route.topic, route.partitions.get())?;
    ParkedTopics::find(reader, route, &cluster.prefix, *lanes, options.on_bad_event(route))
}

/// Reads where a lane resumes and refuses a checkpoint that does not agree with its topic. To be called after the
/// lane's producer was opened: from then on no other instance can add to what is read here.
pub(crate) fn resume(
    options: &Options,
    definition: &LaneDefinition,
    metrics: &LaneMetrics,
    producer: &mut TransactionalProducer,
    TopicReaders { committed: reader, uncommitted, .. }: &TopicReaders,
    parked: Option<&ParkedTopics>,
) -> Result<Option<Checkpoint>, LaneError> {
    let route = &definition.route;
    let topic: Arc<str> = route.topic.as_str().into();
    let lane = definition.lane as i32;
    let partitions: Vec<i32> = route.partitions_of(definition.lane, options.lanes).collect();
    let mut written: Vec<_> = partitions.iter().map(|it| (Arc::clone(&topic), *it)).collect();
    written.push((definition.checkpoint_topic.as_str().into(), lane));
    written.extend(parked.iter().flat_map(|it| it.names()).map(|topic| (Arc::clone(topic), lane)));

    let hanging = HangingTransactions { definition, committed: reader, uncommitted };
    let timeout = options.transaction_timeout();
    let mut found = Found::read(reader, definition, metrics, &partitions)?;
    let mut open = hanging.find(&written)?;
    if !open.is_empty() {
        tracing::warn!(route = route.name, lane, ?open, "found hanging transactions");
    }
    let half =
        HalfCommitted { definition, committed: found.checkpoint.as_ref(), tails: &found.tails, uncommitted };
    if let Some(LostHalf { open: lost, records }) = half.find(&open)? {
        tracing::warn!(
            route = route.name,
            lane,
            records = records.len(),
            "writing a lost half of a transaction again"
        );
        hanging.abort(lost, producer, timeout)?;
        producer.commit_batch(records)?;
        hanging.wait_until_ended(&written)?;
        found = Found::read(reader, definition, metrics, &partitions)?;
        open.clear();
    }
    let Found { checkpoint, adopted, tails } = found;
    let resumed = checkpoint.as_ref().or(adopted.as_ref());
    hanging.expect_after(resumed, &tails, parked, &open)?;
    definition.cross_check(resumed, &tails)?;
    hanging.abort(open, producer, timeout)?;
    if let Some(adopted) = &adopted {
        // Before anything else: from now on the other topic is out of date.
        producer.commit_batch([definition.checkpoint_record(adopted.clone())])?;
    }
    Ok(checkpoint.or(adopted))
}

/// What a read_committed reader finds of a lane.
struct Found {
    checkpoint: Option<Checkpoint>,
    /// The checkpoint of version 0.1, where there is none yet.
    adopted: Option<Checkpoint>,
    tails: Vec<Tail>,
}

impl Found {
    fn read(
        reader: &Reader,
        definition: &LaneDefinition,
        metrics: &LaneMetrics,
        partitions: &[i32],
    ) -> Result<Self, LaneError> {
        let checkpoint = last_checkpoint(reader, &definition.checkpoint_topic, definition.lane as i32)?
            .map(|json| definition.parse_checkpoint(json.payload().unwrap_or_default()))
            .transpose()?;
        let tails = tails(reader, definition, partitions, metrics)?;
        let adopted = match checkpoint {
            None => adopt(reader, definition, &tails)?,
            Some(_) => None,
        };
        Ok(Self { checkpoint, adopted, tails })
    }
}

/// The last checkpoint of a lane. Whatever else is in the topic has another key.
fn last_checkpoint(reader: &Reader, topic: &str, lane: i32) -> Result<Option<OwnedMessage>, LaneError> {
    let is_checkpoint = |record: &OwnedMessage| record.key() == Some(checkpoint::KEY.as_bytes());
    let mut last = reader.last_records(topic, &[lane], is_checkpoint)?;
    Ok(last.remove(&lane).and_then(|it| it.record))
}

/// The last record of the relay's own in each partition. Records of others are counted and reported.
fn tails(
    reader: &Reader,
    definition: &LaneDefinition,
    partitions: &[i32],
    metrics: &LaneMetrics,
) -> Result<Vec<Tail>, LaneError> {
    let topic = &definition.route.topic;
    let mut other_sources = BTreeMap::new();
    let is_own = |record: &OwnedMessage| {
        let own = own_position(record, &definition.source).is_some();
        if let Some(other) = relayed_source(record).filter(|it| *it != definition.source) {
            other_sources.insert(record.partition(), other);
        }
        own
    };
    let last = reader.last_records(topic, partitions, is_own)?;
    let foreign = last.values().map(|it| it.others).sum();
    metrics.foreign(foreign);
    if foreign > 0 {
        let (route, lane) = (&definition.route.name, definition.lane);
        let problem = "only the relay should write to this topic: find the other producer and stop it";
        tracing::warn!(route, lane, topic, foreign, error = problem, "ignoring records of another producer");
    }
    let tail = |(partition, last): (&i32, &Last)| Tail {
        partition: *partition,
        start: last.start,
        next: last.record.as_ref().map_or(last.start, |record| record.offset() + 1),
        position: last.record.as_ref().and_then(|record| own_position(record, &definition.source)),
        other_source: other_sources.get(partition).cloned(),
    };
    Ok(last.iter().map(tail).collect())
}

/// The checkpoint in the topic that relays of version 0.1 used whatever their prefix, where it is this lane's.
fn adopt(
    reader: &Reader,
    definition: &LaneDefinition,
    tails: &[Tail],
) -> Result<Option<Checkpoint>, LaneError> {
    let topic = definition.route.unprefixed_checkpoint_topic();
    let lane = definition.lane as i32;
    if topic == definition.checkpoint_topic || reader.partitions(&topic)? <= lane as usize {
        return Ok(None);
    }
    let Some(json) = last_checkpoint(reader, &topic, lane)? else { return Ok(None) };
    let adopted = definition.adopt(json.payload().unwrap_or_default(), tails)?;
    if let Some(Checkpoint { position, .. }) = &adopted {
        tracing::info!(route = definition.route.name, lane, topic, %position, "adopting the checkpoint of version 0.1");
    }
    Ok(adopted)
}

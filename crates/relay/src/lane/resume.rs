//! Where a lane resumes.

use std::sync::Arc;

use aqueduct_kafka::Cluster;
use rdkafka::message::{Message as _, OwnedMessage};

use crate::error::LaneError;
use crate::kafka::config;
use crate::kafka::producer::TransactionalProducer;
use crate::kafka::reader::{Last, Reader};
use crate::kafka::recovery::HangingTransactions;
use crate::metrics::LaneMetrics;
use crate::options::Options;
use crate::record::checkpoint::{self, Checkpoint, Ledger, Tail};
use crate::record::headers::own_position;

/// Reads where a lane resumes and refuses a checkpoint that doesn't agree with its topic. To be called after the
/// lane's producer was opened: from then on no other instance can add to what is read here.
pub(crate) fn resume(
    cluster: &Cluster,
    options: &Options,
    ledger: &Ledger,
    metrics: &LaneMetrics,
    producer: &mut TransactionalProducer,
) -> Result<Option<Checkpoint>, LaneError> {
    let route = &ledger.route;
    let reading = config::reader(cluster, route);
    let reader = Reader::new(&reading)?;
    let checkpoints: Arc<str> = ledger.checkpoint_topic.as_str().into();
    let topic: Arc<str> = route.topic.as_str().into();
    reader.expect_partitions(&checkpoints, ledger.lanes)?;
    reader.expect_partitions(&topic, route.partitions.get())?;

    let lane = ledger.lane as i32;
    let checkpoint = last_checkpoint(&reader, &checkpoints, lane)?
        .map(|json| ledger.parse(json.payload().unwrap_or_default()))
        .transpose()?;

    let partitions: Vec<i32> = route.partitions_of(ledger.lane, options.lanes).collect();
    let mut written: Vec<_> = partitions.iter().map(|it| (Arc::clone(&topic), *it)).collect();
    written.push((checkpoints, lane));
    let uncommitted = Reader::new(reading.clone().set("isolation.level", "read_uncommitted"))?;
    let hanging = HangingTransactions { ledger, committed: &reader, uncommitted };
    let open = hanging.find(&written)?;
    if !open.is_empty() {
        tracing::warn!(route = route.name, lane, ?open, "found hanging transactions");
    }
    hanging.expect_after(checkpoint.as_ref(), &open)?;

    let tails = tails(&reader, ledger, &partitions, metrics)?;
    let adopted = match checkpoint {
        None => adopt(&reader, ledger, &tails)?,
        Some(_) => None,
    };
    ledger.cross_check(checkpoint.as_ref().or(adopted.as_ref()), &tails)?;
    hanging.abort(open, producer, options.transaction_timeout())?;
    if let Some(adopted) = &adopted {
        // Before anything else: from now on the other topic is out of date.
        producer.commit_batch([ledger.record(adopted.clone())])?;
    }
    Ok(checkpoint.or(adopted))
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
    ledger: &Ledger,
    partitions: &[i32],
    metrics: &LaneMetrics,
) -> Result<Vec<Tail>, LaneError> {
    let topic = &ledger.route.topic;
    let is_own = |record: &OwnedMessage| own_position(record, &ledger.source).is_some();
    let last = reader.last_records(topic, partitions, is_own)?;
    let foreign = last.values().map(|it| it.others).sum();
    metrics.foreign(foreign);
    if foreign > 0 {
        let (route, lane) = (&ledger.route.name, ledger.lane);
        let problem = "only the relay should write to this topic: find the other producer and stop it";
        tracing::warn!(route, lane, topic, foreign, problem, "ignoring records of another producer");
    }
    let tail = |(partition, last): (&i32, &Last)| Tail {
        partition: *partition,
        start: last.start,
        position: last.record.as_ref().and_then(|record| own_position(record, &ledger.source)),
    };
    Ok(last.iter().map(tail).collect())
}

/// The checkpoint in the topic that relays of version 0.1 used whatever their prefix. Another system may have
/// written it, so it is taken only if it agrees with the lane's partitions; empty ones agree with nothing.
fn adopt(reader: &Reader, ledger: &Ledger, tails: &[Tail]) -> Result<Option<Checkpoint>, LaneError> {
    let topic = ledger.route.unprefixed_checkpoint_topic();
    let lane = ledger.lane as i32;
    let nothing_written = tails.iter().all(|tail| tail.position.is_none());
    if topic == ledger.checkpoint_topic || nothing_written || reader.partitions(&topic)? <= lane as usize {
        return Ok(None);
    }
    let Some(json) = last_checkpoint(reader, &topic, lane)? else { return Ok(None) };
    let found = ledger.parse(json.payload().unwrap_or_default())?;
    ledger.cross_check(Some(&found), tails)?;
    let (route, position) = (&ledger.route.name, found.position);
    tracing::info!(route, lane, topic, %position, "adopting the checkpoint of version 0.1");
    Ok(Some(found))
}

//! What the checkpoint topics tell about a route's lanes, without asking an instance: for operators.

use std::collections::BTreeMap;

use aqueduct_core::Position;
use aqueduct_kafka::Cluster;
use jiff::Timestamp;
use rdkafka::message::{Message as _, OwnedMessage};

use crate::error::LaneError;
use crate::kafka::config;
use crate::kafka::reader::{Last, Reader};
use crate::lane::status_record::{self, StatusRecord};
use crate::options::Options;
use crate::record::checkpoint;
use crate::route::Route;

/// A lane, as its partition of the checkpoint topic shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneReport {
    /// Number of the lane.
    pub lane: u32,
    /// Position in `$all` of its checkpoint; `None` if it has none yet.
    pub position: Option<Position>,
    /// Number of stored event types of which it has made records.
    pub types_relayed: usize,
    /// The last report of an instance that had the lane; `None` if there is none.
    pub reported: Option<ReportedState>,
}

/// What an instance reported about a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedState {
    /// `starting`, `running`, `retrying`, `halted`, or `stopped`: the instance has given the lane up.
    pub state: String,
    /// Why it does not run, and what to do.
    pub problem: Option<String>,
    /// Number of its parked events; `None` if they were not counted yet.
    pub parked: Option<u64>,
    /// When it was reported, by the instance's clock. An owned lane is reported every ten seconds.
    pub at: Timestamp,
}

/// Reads the reports and checkpoints of a route's lanes, in the order of the lanes. Blocks, for up to a minute if Kafka
/// does not answer.
///
/// # Errors
/// Kafka cannot be reached, or the checkpoint topic does not exist or has another number of partitions.
pub fn read_lanes(cluster: &Cluster, options: &Options, route: &Route) -> Result<Vec<LaneReport>, LaneError> {
    let reader = Reader::new(&config::reader(cluster, route))?;
    let topic = route.checkpoint_topic(&cluster.prefix);
    reader.expect_partitions(&topic, options.lanes.get())?;
    let partitions: Vec<i32> = (0..options.lanes.get()).map(|lane| lane as i32).collect();
    let has_key = |key: &'static str| move |record: &OwnedMessage| record.key() == Some(key.as_bytes());
    let mut checkpoints = reader.last_records(&topic, &partitions, has_key(checkpoint::KEY))?;
    let mut reports = reader.last_records(&topic, &partitions, has_key(status_record::KEY))?;
    let lanes = partitions.into_iter().map(|partition| {
        let payload = |last: Option<Last>| last?.record?.payload().map(<[u8]>::to_vec);
        let checkpoint = payload(checkpoints.remove(&partition)).and_then(|json| parse(&json));
        let reported = payload(reports.remove(&partition)).and_then(|json| StatusRecord::parse(&json));
        lane(partition as u32, checkpoint, reported)
    });
    Ok(lanes.collect())
}

fn lane(lane: u32, checkpoint: Option<StoredPosition>, reported: Option<StatusRecord>) -> LaneReport {
    LaneReport {
        lane,
        position: checkpoint.as_ref().map(|checkpoint| checkpoint.position),
        types_relayed: checkpoint.map_or(0, |checkpoint| checkpoint.met.len()),
        reported: reported.map(|StatusRecord { state, problem, parked, at, .. }| ReportedState {
            state,
            problem,
            parked,
            at,
        }),
    }
}

/// The part of a checkpoint that is read even if another configuration wrote it.
#[derive(serde::Deserialize)]
struct StoredPosition {
    position: Position,
    #[serde(default)]
    met: BTreeMap<String, serde::de::IgnoredAny>,
}

fn parse(json: &[u8]) -> Option<StoredPosition> {
    serde_json::from_slice(json).ok()
}

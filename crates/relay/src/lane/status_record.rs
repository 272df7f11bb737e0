//! What a lane reports about itself in its checkpoint partition, for `aqueduct status`.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aqueduct_core::Position;
use aqueduct_kafka::{Cluster, FirstFailure, create_client};
use jiff::Timestamp;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::kafka::config;
use crate::lane_id::LaneId;
use crate::status::{LaneState, Status};

/// Key of the record. Checkpoints have another one, so no reader takes it for a checkpoint.
pub(crate) const KEY: &str = "status";
/// Version of the JSON below.
const VERSION: u32 = 1;
/// How often a lane reports without a change of its state.
const INTERVAL: Duration = Duration::from_secs(10);
/// Minimum time between two reports.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// How often a report that is being written is looked after.
const POLL: Duration = Duration::from_millis(5);
/// Maximum length of a reported problem, in bytes.
const MAX_PROBLEM_BYTES: usize = 2000;

/// The value of the record, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StatusRecord {
    version: u32,
    /// `starting`, `running`, `retrying`, `halted` or `stopped`.
    pub(crate) state: String,
    /// Why it does not run.
    pub(crate) problem: Option<String>,
    /// Position of its checkpoint.
    pub(crate) position: Option<Position>,
    /// Number of its parked events; `None` before they were counted.
    pub(crate) parked: Option<u64>,
    /// When it was written, by the clock of the instance.
    pub(crate) at: Timestamp,
}

impl StatusRecord {
    fn new(state: &LaneState, progress: &LaneProgress) -> Self {
        let (state, problem) = match state {
            LaneState::Elsewhere => ("stopped", None),
            LaneState::Starting => ("starting", None),
            LaneState::Running => ("running", None),
            LaneState::Retrying { problem } => ("retrying", Some(problem)),
            LaneState::Halted { problem } => ("halted", Some(problem)),
        };
        Self {
            version: VERSION,
            state: state.to_owned(),
            problem: problem.map(|problem| shorten(problem).to_owned()),
            position: *progress.position.borrow(),
            parked: *progress.parked.borrow(),
            at: Timestamp::now(),
        }
    }

    /// Returns `None` for a record of a later version.
    pub(crate) fn parse(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok().filter(|record: &Self| record.version == VERSION)
    }
}

fn shorten(problem: &str) -> &str {
    &problem[..problem.floor_char_boundary(MAX_PROBLEM_BYTES)]
}

/// How far a lane is.
pub(crate) struct LaneProgress {
    pub(crate) position: watch::Receiver<Option<Position>>,
    pub(crate) parked: watch::Receiver<Option<u64>>,
}

/// Writes the reports of an instance's lanes, with one producer. They are not part of the lanes' transactions: a
/// halted lane has none. An instance that does not know yet that it has lost a lane may report it once more; the next
/// report of the new owner corrects that.
pub(crate) struct StatusWriter {
    cluster: Arc<Cluster>,
    /// Nobody polls it between two reports: rdkafka's producer with a thread of its own spends up to 1 ms of each 100 in a busy
    /// loop, half of what an idle relay used.
    producer: OnceLock<Arc<BaseProducer<FirstFailure>>>,
}

impl StatusWriter {
    pub(crate) fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster, producer: OnceLock::new() }
    }

    /// Reports a lane's state when it changes, and at intervals. Never completes.
    pub(crate) async fn follow(
        &self,
        topic: &str,
        lane: &LaneId,
        mut status: Status,
        progress: &LaneProgress,
    ) {
        loop {
            let state = status.lane(&lane.route, lane.lane);
            let due = Instant::now() + INTERVAL;
            self.write(topic, lane, StatusRecord::new(&state, progress)).await;
            tokio::time::sleep(MIN_INTERVAL).await;
            let changed = async {
                while status.lane(&lane.route, lane.lane) == state {
                    if status.changed().await.is_err() {
                        return std::future::pending().await;
                    }
                }
            };
            // Reports again in either case.
            let _due = tokio::time::timeout_at(due, changed).await;
        }
    }

    /// Reports that this instance no longer has the lane.
    pub(crate) async fn stopped(&self, topic: &str, lane: &LaneId, progress: &LaneProgress) {
        let record = StatusRecord::new(&LaneState::Elsewhere, progress);
        // The next owner waits for this instance, so it must not take long.
        let _late = tokio::time::timeout(MIN_INTERVAL, self.write(topic, lane, record)).await;
    }

    /// A failure has no other effect than an old report in `aqueduct status`.
    async fn write(&self, topic: &str, lane: &LaneId, record: StatusRecord) {
        if let Err(error) = self.send(topic, lane.lane, &record).await {
            tracing::debug!(
                route = lane.route,
                lane = lane.lane,
                error,
                "reporting the lane's status failed"
            );
        }
    }

    async fn send(&self, topic: &str, lane: u32, record: &StatusRecord) -> Result<(), String> {
        let json = serde_json::to_string(record).map_err(|error| error.to_string())?;
        let (producer, topic) = (self.producer()?, topic.to_owned());
        let delivered = tokio::task::spawn_blocking(move || {
            let record = BaseRecord::to(&topic).partition(lane as i32).key(KEY).payload(&json);
            producer.send(record).map_err(|(error, _)| error)?;
            // The client gives a record up after its own timeout.
            while producer.in_flight_count() > 0 {
                producer.poll(POLL);
            }
            producer.context().take().map_or(Ok(()), Err)
        });
        delivered.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    fn producer(&self) -> Result<Arc<BaseProducer<FirstFailure>>, String> {
        if self.producer.get().is_none() {
            let producer = create_client(&config::status(&self.cluster), FirstFailure::of_deliveries())
                .map_err(|error| error.to_string())?;
            // Another lane may have been faster; its producer is used then.
            let _existing = self.producer.set(Arc::new(producer));
        }
        self.producer.get().map(Arc::clone).ok_or_else(|| "no producer".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_parsed_unless_its_version_is_later() {
        let progress = LaneProgress {
            position: watch::Sender::new(None).subscribe(),
            parked: watch::Sender::new(Some(3)).subscribe(),
        };
        let halted = LaneState::Halted { problem: "ä".repeat(MAX_PROBLEM_BYTES) };
        let record = StatusRecord::new(&halted, &progress);
        assert_eq!(record.problem.as_ref().map(String::len), Some(MAX_PROBLEM_BYTES));
        assert_eq!(record.parked, Some(3));
        let json = serde_json::to_vec(&record).unwrap();
        assert_eq!(StatusRecord::parse(&json), Some(record));
        let later = String::from_utf8(json).unwrap().replace("\"version\":1", "\"version\":2");
        assert_eq!(StatusRecord::parse(later.as_bytes()), None);
    }
}

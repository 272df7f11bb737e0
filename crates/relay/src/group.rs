//! Membership in the consumer group through which instances share a route's lanes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, Statistics, TopicPartitionList};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use crate::session::STOP_GRACE;
use crate::{LaneError, Options, Route, kafka};

/// A change of what this instance has to do.
pub(crate) enum Change {
    /// These lanes are ours, from now on. May be none: then others have them all.
    Assigned(Vec<u32>),
    /// These lanes must be stopped. The group waits until `done` is told, or dropped.
    /// `lost`: the group went on without this instance, which has to join again.
    Revoked { lanes: Vec<u32>, lost: bool, done: mpsc::Sender<()> },
    /// From now on a broker can be reached, or none.
    Brokers { reachable: bool },
}

/// Takes part in the group until `leave` is cancelled, then leaves it, so that others take over at once.
/// Blocks: it lives on a thread of its own. The partitions of the checkpoint topic stand for the lanes;
/// nothing is read from them here.
pub(crate) fn take_part(
    options: &Options,
    route: &Route,
    changes: UnboundedSender<Change>,
    leave: &CancellationToken,
) -> Result<(), LaneError> {
    let topic = route.checkpoint_topic();
    let failed = || LaneError::kafka("be a member of the consumer group");
    let member = Member { changes, reachable: AtomicBool::new(true) };
    let consumer: BaseConsumer<_> = kafka::client(&kafka::member(options, route), member).map_err(failed())?;
    consumer.subscribe(&[&topic]).map_err(failed())?;
    while !leave.is_cancelled() {
        match consumer.poll(Duration::from_millis(100)) {
            None | Some(Ok(_)) => {}
            Some(Err(error)) => match error.rdkafka_error_code() {
                Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => {
                    return Err(LaneError::Topic { topic, found: 0, expected: options.lanes.get() });
                }
                Some(
                    Code::TopicAuthorizationFailed
                    | Code::GroupAuthorizationFailed
                    | Code::SaslAuthenticationFailed
                    | Code::Authentication,
                ) => return Err(failed()(error)),
                _ if matches!(error, KafkaError::MessageConsumptionFatal(_)) => return Err(failed()(error)),
                // From anything else the client recovers by itself.
                _ => tracing::debug!(route = route.name, %error, "consumer group"),
            },
        }
    }
    // Dropping the consumer revokes what it has and leaves the group.
    Ok(())
}

struct Member {
    changes: UnboundedSender<Change>,
    /// What was told last.
    reachable: AtomicBool,
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        kafka::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        kafka::log_error(&error, reason);
    }

    /// Errors tell of a loss only where each broker was connected before, and never that one is back.
    fn stats(&self, statistics: Statistics) {
        let reachable = statistics.brokers.values().any(|broker| broker.state == "UP");
        if self.reachable.swap(reachable, Ordering::Relaxed) != reachable {
            let _ended = self.changes.send(Change::Brokers { reachable });
        }
    }
}

impl ConsumerContext for Member {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let lanes = partitions.elements().iter().map(|it| it.partition() as u32).collect();
        if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            if let Err(error) = assign(consumer, partitions) {
                tracing::error!(%error, "could not take lanes");
                return;
            }
            // The receiver is gone when the relay has ended: then there is nothing to start.
            let _ended = self.changes.send(Change::Assigned(lanes));
        } else {
            let (done, stopped) = mpsc::channel();
            let lost = consumer.assignment_lost();
            let _ended = self.changes.send(Change::Revoked { lanes, lost, done });
            // Fencing keeps a lane that hangs from writing after another has it; this only saves the other
            // from waiting for an open transaction.
            let _late = stopped.recv_timeout(STOP_GRACE * 2);
            if let Err(error) = consumer.incremental_unassign(partitions) {
                tracing::error!(%error, "could not give up lanes");
            }
        }
    }
}

/// Makes the partitions ours without reading them: their offsets are of no interest, and there are none
/// committed.
fn assign(consumer: &BaseConsumer<Member>, partitions: &mut TopicPartitionList) -> KafkaResult<()> {
    partitions.set_all_offsets(Offset::End)?;
    consumer.incremental_assign(partitions)?;
    consumer.pause(partitions)
}

//! Membership in the consumer group through which instances share a route's lanes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

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

/// How long a member may be without a broker before it has to be made anew. By then the group has long gone on
/// without it.
pub(crate) fn patience(options: &Options) -> Duration {
    Duration::from_millis(options.session_timeout_ms.saturating_mul(3)).max(Duration::from_secs(30))
}

/// Takes part in the group until `leave` is cancelled, then leaves it, so that others take over at once. After
/// an error, too, the group is left, and somebody has to take part anew.
///
/// Blocks: it lives on a thread of its own. The partitions of the checkpoint topic stand for the lanes;
/// nothing is read from them here.
///
/// A client that has seen no broker for as long as `patience` says is given up: it may never find one again.
/// librdkafka forgets all brokers, also those it was configured with, when one that is just starting or
/// stopping tells it that the cluster has none (confluentinc/librdkafka#5301, 2.12.1).
pub(crate) fn take_part(
    options: &Options,
    route: &Route,
    changes: UnboundedSender<Change>,
    leave: &CancellationToken,
    patience: Duration,
) -> Result<(), LaneError> {
    let consumer: BaseConsumer<_> =
        kafka::client(&kafka::member(options, route), Member::new(changes)).map_err(failed())?;
    // Dropping the consumer revokes what it has and leaves the group.
    serve(&consumer, options, route, leave, patience)
}

fn failed() -> impl FnOnce(KafkaError) -> LaneError {
    LaneError::kafka("be a member of the consumer group")
}

fn serve(
    consumer: &BaseConsumer<Member>,
    options: &Options,
    route: &Route,
    leave: &CancellationToken,
    patience: Duration,
) -> Result<(), LaneError> {
    let topic = route.checkpoint_topic();
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
        let member = consumer.context();
        if let Some(error) = member.broken.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(LaneError::kafka("take or give up lanes")(error));
        }
        let unseen = member.seen.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        if unseen > patience {
            return Err(LaneError::Unreachable {
                brokers: options.brokers.clone(),
                seconds: unseen.as_secs(),
            });
        }
    }
    Ok(())
}

struct Member {
    changes: UnboundedSender<Change>,
    /// What was told last.
    reachable: AtomicBool,
    /// When a broker was last seen, or the member began.
    seen: Mutex<Instant>,
    /// Why lanes could not be taken or given up. As a member of the group it has them all the same, and nobody
    /// else will get them.
    broken: Mutex<Option<KafkaError>>,
}

impl Member {
    fn new(changes: UnboundedSender<Change>) -> Self {
        Self {
            changes,
            reachable: AtomicBool::new(true),
            seen: Mutex::new(Instant::now()),
            broken: Mutex::new(None),
        }
    }

    fn break_off(&self, error: KafkaError) {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
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
        if reachable {
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
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
                self.break_off(error);
                return;
            }
            // The receiver is gone when the relay has ended: then there is nothing to start.
            let _ended = self.changes.send(Change::Assigned(lanes));
        } else {
            let (done, stopped) = mpsc::channel();
            let lost = consumer.assignment_lost();
            // Fencing keeps a lane that hangs from writing after another has it; this only saves the other
            // from waiting for an open transaction.
            if self.changes.send(Change::Revoked { lanes, lost, done }).is_ok() {
                let _late = stopped.recv_timeout(STOP_GRACE * 2);
            }
            if let Err(error) = consumer.incremental_unassign(partitions) {
                self.break_off(error);
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

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::DefaultProducerContext;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;

    /// No condition in this test takes this long on a slow, busy machine.
    const DEADLINE: Duration = Duration::from_secs(60);

    fn cluster() -> (MockCluster<'static, DefaultProducerContext>, Options, Route) {
        let cluster = MockCluster::new(1).unwrap();
        let mut options = Options { brokers: cluster.bootstrap_servers(), ..Options::default() };
        options.session_timeout_ms = 6000;
        let route: Route = serde_json::from_value(serde_json::json!(
            {"name": "orders", "topic": "shop.orders", "categories": ["order"]}
        ))
        .unwrap();
        cluster.create_topic(&route.checkpoint_topic(), 1, 1).unwrap();
        (cluster, options, route)
    }

    /// Waits for a change.
    async fn until(changes: &mut UnboundedReceiver<Change>, expected: impl Fn(&Change) -> bool) {
        let wait = async {
            loop {
                let change = changes.recv().await.expect("a member");
                if expected(&change) {
                    break;
                }
            }
        };
        tokio::time::timeout(DEADLINE, wait).await.expect("the change in time");
    }

    /// librdkafka may have lost sight of its brokers for good, even when they are back.
    #[tokio::test]
    async fn a_member_that_sees_no_broker_ends_and_another_takes_its_place() {
        let (cluster, options, route) = cluster();
        let leave = CancellationToken::new();
        let _a_test_that_fails_ends = leave.clone().drop_guard();
        let join = |patience| {
            let (options, route, leave) = (options.clone(), route.clone(), leave.clone());
            let (tell, changes) = unbounded_channel();
            let member = move || take_part(&options, &route, tell, &leave, patience);
            (tokio::task::spawn_blocking(member), changes)
        };

        let (member, mut changes) = join(Duration::from_secs(5));
        until(&mut changes, |change| matches!(change, Change::Assigned(lanes) if *lanes == [0])).await;
        cluster.broker_down(1).unwrap();
        until(&mut changes, |change| matches!(change, Change::Brokers { reachable: false })).await;
        // Its lanes are given up at once.
        drop(changes);
        let ended = tokio::time::timeout(DEADLINE, member).await.expect("an end").unwrap();
        let error = ended.unwrap_err().to_string();
        assert!(error.contains(&options.brokers), "{error}");

        cluster.broker_up(1).unwrap();
        let (member, mut changes) = join(DEADLINE);
        until(&mut changes, |change| matches!(change, Change::Assigned(lanes) if *lanes == [0])).await;
        leave.cancel();
        drop(changes);
        tokio::time::timeout(DEADLINE, member).await.expect("an end").unwrap().unwrap();
    }

    /// Otherwise the lanes would be its own for the group, and run nowhere.
    #[tokio::test]
    async fn a_member_that_cannot_take_its_lanes_leaves_the_group() {
        let (_cluster, options, route) = cluster();
        let (tell, mut changes) = unbounded_channel();
        let leave = CancellationToken::new();
        let _a_test_that_fails_ends = leave.clone().drop_guard();
        let member = tokio::task::spawn_blocking(move || {
            let config = kafka::member(&options, &route);
            let consumer: BaseConsumer<_> = kafka::client(&config, Member::new(tell)).unwrap();
            // What is assigned already can't be assigned once more.
            let mut lanes = TopicPartitionList::new();
            lanes.add_partition_offset(&route.checkpoint_topic(), 0, Offset::End).unwrap();
            consumer.incremental_assign(&lanes).unwrap();
            serve(&consumer, &options, &route, &leave, DEADLINE)
        });
        let nothing_assigned = async {
            while let Some(change) = changes.recv().await {
                assert!(!matches!(change, Change::Assigned(_)), "no lane is to be started");
            }
        };
        tokio::time::timeout(DEADLINE, nothing_assigned).await.expect("an end");
        let error = member.await.unwrap().unwrap_err().to_string();
        assert!(error.contains("take or give up lanes"), "{error}");
    }
}

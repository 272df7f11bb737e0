//! Membership in the consumer group through which instances share a route's lanes.

use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use aqueduct_kafka::{BrokerWatch, Cluster, create_client, log, log_error};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, Statistics, TopicPartitionList};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use crate::error::LaneError;
use crate::kafka::config::{self, STOP_GRACE};
use crate::options::Options;
use crate::route::Route;

/// A change of what this instance must do.
pub(crate) enum Change {
    /// This instance owns these lanes from now on. The list is empty if other instances own all of them.
    Assigned(Vec<u32>),
    /// These lanes must be stopped. The rebalance waits until `done` is sent or dropped.
    /// `lost`: the group continued without this instance, which must join again.
    Revoked { lanes: Vec<u32>, lost: bool, done: mpsc::Sender<()> },
    /// Whether any broker is reachable has changed.
    Brokers { reachable: bool },
}

/// Takes part in the group until `leave` is cancelled, then leaves it, so that others take over at once. After
/// an error, too, the group is left, and the caller must join again.
///
/// Blocks: it lives on a thread of its own. The partitions of the checkpoint topic represent the lanes;
/// nothing is read from them here.
///
/// A client that `watch` gives up ends with [`LaneError::Unreachable`].
pub(crate) fn run_member(
    cluster: &Cluster,
    options: &Options,
    route: &Route,
    changes: UnboundedSender<Change>,
    leave: &CancellationToken,
    watch: BrokerWatch,
) -> Result<(), LaneError> {
    let member = config::member(cluster, options, route);
    let consumer: BaseConsumer<_> = create_client(&member, Member::new(changes, watch)).map_err(failed())?;
    // Dropping the consumer revokes what it has and leaves the group.
    poll(&consumer, cluster, route, leave)
}

fn failed() -> impl FnOnce(KafkaError) -> LaneError {
    LaneError::kafka("join the consumer group")
}

fn poll(
    consumer: &BaseConsumer<Member>,
    cluster: &Cluster,
    route: &Route,
    leave: &CancellationToken,
) -> Result<(), LaneError> {
    let topic = route.checkpoint_topic(&cluster.prefix);
    consumer.subscribe(&[&topic]).map_err(failed())?;
    while !leave.is_cancelled() {
        match consumer.poll(Duration::from_millis(100)) {
            None | Some(Ok(_)) => {}
            Some(Err(error)) => match error.rdkafka_error_code() {
                Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => {
                    return Err(LaneError::TopicMissing { topic });
                }
                Some(
                    Code::TopicAuthorizationFailed
                    | Code::GroupAuthorizationFailed
                    | Code::SaslAuthenticationFailed
                    | Code::Authentication,
                ) => return Err(failed()(error)),
                _ if matches!(error, KafkaError::MessageConsumptionFatal(_)) => return Err(failed()(error)),
                // The client recovers from anything else.
                _ => tracing::debug!(route = route.name, %error, "consumer group error, the client retries"),
            },
        }
        let member = consumer.context();
        if let Some(error) = member.broken.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(LaneError::kafka("assign or revoke partitions")(error));
        }
        if let Some(unseen) = member.watch.lost_for() {
            let brokers = cluster.brokers.clone();
            return Err(LaneError::Unreachable { brokers, seconds: unseen.as_secs() });
        }
    }
    Ok(())
}

struct Member {
    changes: UnboundedSender<Change>,
    watch: BrokerWatch,
    /// Set when partitions could not be assigned or revoked. The group still counts them as this member's, so the
    /// member must leave.
    broken: Mutex<Option<KafkaError>>,
}

impl Member {
    fn new(changes: UnboundedSender<Change>, watch: BrokerWatch) -> Self {
        Self { changes, watch, broken: Mutex::new(None) }
    }

    fn break_off(&self, error: KafkaError) {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        if let Some(reachable) = self.watch.observe(&statistics) {
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

/// Assigns the partitions to this instance without reading them: their offsets do not matter, and none are committed.
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

    fn cluster() -> (MockCluster<'static, DefaultProducerContext>, Cluster, Options, Route) {
        let mock = MockCluster::new(1).unwrap();
        let cluster = Cluster::new(mock.bootstrap_servers());
        let options = Options { session_timeout_ms: 6000, ..Options::default() };
        let route: Route = serde_json::from_value(serde_json::json!(
            {"name": "orders", "topic": "shop.orders", "categories": ["order"]}
        ))
        .unwrap();
        mock.create_topic(&route.checkpoint_topic(&cluster.prefix), 1, 1).unwrap();
        (mock, cluster, options, route)
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

    /// librdkafka may have lost its brokers permanently, even when they are back.
    #[tokio::test]
    async fn a_member_that_sees_no_broker_ends_and_another_takes_its_place() {
        let (mock, cluster, options, route) = cluster();
        let leave = CancellationToken::new();
        let _a_test_that_fails_ends = leave.clone().drop_guard();
        let join = |patience| {
            let (cluster, options) = (cluster.clone(), options.clone());
            let (route, leave) = (route.clone(), leave.clone());
            let (tell, changes) = unbounded_channel();
            let watch = BrokerWatch::with_patience(patience);
            let member = move || run_member(&cluster, &options, &route, tell, &leave, watch);
            (tokio::task::spawn_blocking(member), changes)
        };

        let (member, mut changes) = join(Duration::from_secs(5));
        until(&mut changes, |change| matches!(change, Change::Assigned(lanes) if *lanes == [0])).await;
        mock.broker_down(1).unwrap();
        until(&mut changes, |change| matches!(change, Change::Brokers { reachable: false })).await;
        // Its lanes are given up at once.
        drop(changes);
        let ended = tokio::time::timeout(DEADLINE, member).await.expect("an end").unwrap();
        let error = ended.unwrap_err().to_string();
        assert!(error.contains(&cluster.brokers), "{error}");

        mock.broker_up(1).unwrap();
        let (member, mut changes) = join(DEADLINE);
        until(&mut changes, |change| matches!(change, Change::Assigned(lanes) if *lanes == [0])).await;
        leave.cancel();
        drop(changes);
        tokio::time::timeout(DEADLINE, member).await.expect("an end").unwrap().unwrap();
    }

    /// Otherwise the lanes would be its own for the group, and run nowhere.
    #[tokio::test]
    async fn a_member_that_cannot_take_its_lanes_leaves_the_group() {
        let (_mock, cluster, options, route) = cluster();
        let (tell, mut changes) = unbounded_channel();
        let leave = CancellationToken::new();
        let _a_test_that_fails_ends = leave.clone().drop_guard();
        let member = tokio::task::spawn_blocking(move || {
            let config = config::member(&cluster, &options, &route);
            let member = Member::new(tell, BrokerWatch::with_patience(DEADLINE));
            let consumer: BaseConsumer<_> = create_client(&config, member).unwrap();
            // What is assigned already cannot be assigned again.
            let mut lanes = TopicPartitionList::new();
            lanes.add_partition_offset(&route.checkpoint_topic(&cluster.prefix), 0, Offset::End).unwrap();
            consumer.incremental_assign(&lanes).unwrap();
            poll(&consumer, &cluster, &route, &leave)
        });
        let nothing_assigned = async {
            while let Some(change) = changes.recv().await {
                assert!(!matches!(change, Change::Assigned(_)), "no lane may be started");
            }
        };
        tokio::time::timeout(DEADLINE, nothing_assigned).await.expect("an end");
        let error = member.await.unwrap().unwrap_err().to_string();
        assert!(error.contains("assign or revoke partitions"), "{error}");
    }
}

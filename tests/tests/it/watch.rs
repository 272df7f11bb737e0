//! The pipeline as seen from outside: the store's end, the checkpoints, open transactions, half-done orders.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use aqueduct_core::{AllItem, EventStore, Position, RecordedEvent};
use futures::StreamExt as _;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;
use sqlx::{PgPool, Postgres, Transaction};

use crate::support::{PATIENCE, Pipeline, eventually};

/// Route, its topic, and the categories of streams it carries.
const ROUTES: [(&str, &str, &[&str]); 3] = [
    ("users", "shop.users", &["user"]),
    ("orders", "shop.orders", &["order", "return"]),
    ("inventory", "shop.inventory", &["inventory"]),
];
const PARTITIONS: i32 = 4;
/// Which projection reads which topic.
pub(crate) const READERS: [(&str, &str); 5] = [
    ("customers", "shop.users"),
    ("orders", "shop.orders"),
    ("revenue", "shop.orders"),
    ("stock", "shop.inventory"),
    ("inventory", "shop.orders"),
];

/// Watches one pipeline.
pub(crate) struct Watch {
    store: Arc<dyn EventStore>,
    seen: Arc<Mutex<Seen>>,
    committed: BaseConsumer,
    uncommitted: BaseConsumer,
    checkpoints: Mutex<(BaseConsumer, HashMap<String, Position>)>,
    postgres: PgPool,
}

/// The store so far.
#[derive(Default)]
struct Seen {
    position: Option<Position>,
    /// Positions of each route's events, ascending.
    positions: BTreeMap<&'static str, Vec<Position>>,
    /// Products that each order still waits for, and how many have answered.
    waiting: HashMap<String, (HashSet<String>, usize)>,
}

impl Seen {
    fn take(&mut self, event: &RecordedEvent) {
        self.position = Some(event.position);
        let category = event.stream.category();
        if let Some((route, ..)) = ROUTES.iter().find(|(.., categories)| categories.contains(&category)) {
            self.positions.entry(route).or_default().push(event.position);
        }
        let data = || serde_json::from_slice::<Value>(&event.data).unwrap();
        match event.event_type.as_str() {
            "OrderCreated" => {
                let data = data();
                let lines = data["lines"].as_array().unwrap().iter();
                let skus = lines.map(|line| line["sku"].as_str().unwrap().to_uppercase()).collect();
                self.waiting.insert(data["orderId"].as_str().unwrap().to_owned(), (skus, 0));
            }
            "StockReserved" | "StockRefused" => {
                let data = data();
                if let Some((skus, answers)) = self.waiting.get_mut(data["orderId"].as_str().unwrap()) {
                    *answers += usize::from(skus.remove(data["sku"].as_str().unwrap()));
                }
            }
            _ => {}
        }
    }
}

fn consumer(brokers: &str, isolation: &str, topics: &[(String, Offset)], partitions: i32) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "watch")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .set("isolation.level", isolation)
        .create()
        .unwrap();
    let mut assignment = TopicPartitionList::new();
    for (topic, offset) in topics {
        for partition in 0..partitions {
            assignment.add_partition_offset(topic, partition, *offset).unwrap();
        }
    }
    consumer.assign(&assignment).unwrap();
    consumer
}

impl Watch {
    pub(crate) async fn start(pipeline: &Pipeline) -> Self {
        let store = pipeline.store();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (mut all, sink) = (store.subscribe_all(None), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Some(item) = all.next().await {
                if let AllItem::Event(event) = item.unwrap() {
                    sink.lock().unwrap().take(&event);
                }
            }
        });
        let brokers = pipeline.stack.kafka_bootstrap().unwrap();
        let checkpoints: Vec<_> = ROUTES
            .iter()
            .map(|(route, ..)| (format!("aqueduct.checkpoint.{route}"), Offset::Beginning))
            .collect();
        Self {
            store,
            seen,
            committed: consumer(brokers, "read_committed", &[], 0),
            uncommitted: consumer(brokers, "read_uncommitted", &[], 0),
            checkpoints: Mutex::new((consumer(brokers, "read_committed", &checkpoints, 1), HashMap::new())),
            postgres: pipeline.postgres().await,
        }
    }

    /// Waits until everything that is in the store now was seen.
    pub(crate) async fn level(&self) {
        let end = self.store.last_position().await.unwrap();
        eventually("the watcher sees the end of the store", async || {
            (self.seen.lock().unwrap().position >= end).then_some(())
        })
        .await;
    }

    /// The last committed checkpoint of each route.
    fn checkpoints(&self) -> HashMap<String, Position> {
        let mut checkpoints = self.checkpoints.lock().unwrap();
        let (consumer, last) = &mut *checkpoints;
        while let Some(message) = consumer.poll(std::time::Duration::from_millis(10)) {
            let message = message.unwrap();
            if message.key() != Some(b"checkpoint") {
                continue;
            }
            let checkpoint: Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
            let route = message.topic().rsplit_once('.').unwrap().1.to_owned();
            last.insert(route, serde_json::from_value(checkpoint["position"].clone()).unwrap());
        }
        last.clone()
    }

    /// Routes that have events in the store after their checkpoint.
    pub(crate) fn relay_is_behind(&self) -> bool {
        let checkpoints = self.checkpoints();
        let seen = self.seen.lock().unwrap();
        seen.positions.iter().any(|(route, positions)| positions.last() > checkpoints.get(*route))
    }

    /// A transaction is open in the broker: the last stable offset of a partition is before its end.
    pub(crate) fn transaction_is_open(&self) -> bool {
        let topics = ROUTES.iter().map(|(_, topic, _)| ((*topic).to_owned(), PARTITIONS));
        let checkpoints = ROUTES.iter().map(|(route, ..)| (format!("aqueduct.checkpoint.{route}"), 1));
        topics.chain(checkpoints).any(|(topic, partitions)| {
            (0..partitions).any(|partition| {
                let end = |consumer: &BaseConsumer| {
                    consumer.fetch_watermarks(&topic, partition, PATIENCE).unwrap().1
                };
                // The stable end first: it cannot overtake an end that was read after it.
                let stable = end(&self.committed);
                stable < end(&self.uncommitted)
            })
        })
    }

    /// Whether one of these projections has relayed events before it that it has not taken.
    pub(crate) async fn projection_is_behind(&self, names: &[&str]) -> bool {
        let checkpoints = self.checkpoints();
        let rows: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT projection, topic, sum(revision + 1)::bigint FROM aqueduct.inbox GROUP BY projection, topic",
        )
        .fetch_all(&self.postgres)
        .await
        .unwrap();
        let taken: HashMap<_, _> = rows
            .into_iter()
            .map(|(projection, topic, events)| ((projection, topic), events as usize))
            .collect();
        let seen = self.seen.lock().unwrap();
        READERS.iter().filter(|(name, _)| names.contains(name)).any(|(name, topic)| {
            let (route, ..) = ROUTES.iter().find(|(_, of, _)| of == topic).unwrap();
            let checkpoint = checkpoints.get(*route);
            let relayed = seen
                .positions
                .get(route)
                .map_or(0, |positions| positions.partition_point(|position| Some(position) <= checkpoint));
            relayed > *taken.get(&((*name).to_owned(), (*topic).to_owned())).unwrap_or(&0)
        })
    }

    /// A batch of one of these projections is inside its transaction.
    pub(crate) async fn batch_is_open(&self, names: &[&str]) -> bool {
        let open: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND xact_start IS NOT NULL AND application_name = ANY($1)",
        )
        .bind(names.iter().map(|name| format!("aqueduct.{name}")).collect::<Vec<_>>())
        .fetch_one(&self.postgres)
        .await
        .unwrap();
        open > 0
    }

    /// Holds back each batch of a projection inside its statement, until the transaction ends.
    pub(crate) async fn lock_inbox(&self) -> Transaction<'static, Postgres> {
        let mut lock = self.postgres.begin().await.unwrap();
        sqlx::raw_sql("LOCK TABLE aqueduct.inbox_streams IN EXCLUSIVE MODE")
            .execute(&mut *lock)
            .await
            .unwrap();
        lock
    }

    /// An order of which some products have answered and some have not.
    pub(crate) fn order_is_half_answered(&self) -> bool {
        let seen = self.seen.lock().unwrap();
        seen.waiting.values().any(|(waiting, answers)| *answers > 0 && !waiting.is_empty())
    }
}

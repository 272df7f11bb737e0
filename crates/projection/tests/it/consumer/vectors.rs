//! The golden vectors for consumers in other languages: what the functions make of their records.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::consumer::client::Consumer;
use crate::vectors;

/// The results that the contract knows.
const RESULTS: [&str; 8] =
    ["blocked", "conflict", "duplicate", "gap", "invalid", "new", "undecidable", "unjudged"];

#[tokio::test]
async fn the_records_of_the_vectors_have_the_results_that_they_say() {
    let mut seen = BTreeSet::new();
    for (name, vector) in vectors::all() {
        let mut player = Player::start(&vector).await;
        for step in vector["steps"].as_array().unwrap() {
            let place = format!("{name}: {step:#}");
            if let Some(batch) = step["batch"].as_array() {
                // One that halts never reaches the functions.
                if batch.iter().all(|record| record["halts"] != true) {
                    seen.extend(player.take(batch, &place).await);
                }
            } else if let Some(held) = step["held"].as_array() {
                assert_eq!(json!(player.held().await), json!(held), "{place}");
            } else {
                player.prune(step["prune"].as_str().expect(&place)).await;
            }
        }
    }
    assert!(seen.iter().eq(RESULTS), "{seen:?}");
}

/// Plays one vector on a database of its own.
struct Player {
    consumer: Consumer,
    topic: Value,
    partition: Value,
    epoch: i64,
}

impl Player {
    async fn start(vector: &Value) -> Self {
        let mut consumer = Consumer::start().await;
        let (topic, partition) = (vector["topic"].clone(), vector["partition"].clone());
        let claim =
            "select epoch from aqueduct_consumer.claim('accounts', 1, $1, null, $2, 0, 1000, null, 'test')";
        let epoch = sqlx::query_scalar(claim)
            .bind(topic.as_str())
            .bind(partition.as_i64().unwrap() as i32)
            .fetch_one(&mut consumer.connection)
            .await
            .unwrap();
        Self { consumer, topic, partition, epoch }
    }

    /// The batch's transaction. Returns the results.
    async fn take(&mut self, batch: &[Value], place: &str) -> Vec<String> {
        let envelopes: Vec<_> = batch.iter().map(|record| self.envelope(record)).collect();
        let failed: Vec<_> = (1..)
            .zip(batch)
            .filter(|(_, record)| !record["failed"].is_null())
            .map(|(ordinal, record)| json!({ "ordinal": ordinal, "code": record["failed"] }))
            .collect();
        let owned = self.owned();
        let mut transaction = self.consumer.connection.begin().await.unwrap();
        let results: Vec<String> =
            sqlx::query_scalar("select result from aqueduct_consumer.receive('accounts', 1, $1, $2, $3)")
                .bind(owned)
                .bind(json!(envelopes))
                .bind(json!(failed))
                .fetch_all(&mut *transaction)
                .await
                .unwrap();
        assert!(batch.iter().map(|record| &record["result"]).eq(&results), "{results:?}\n{place}");
        let is_parked = |result: &str| !["new", "unjudged", "duplicate"].contains(&result);
        let parked: Vec<_> = batch
            .iter()
            .zip(&results)
            .filter(|(_, result)| is_parked(result))
            .map(|(record, _)| {
                json!({
                    "topic": self.topic, "partition": self.partition, "offset": record["offset"], "key": record["key"],
                    "value": record["value"], "headers": record["headers"],
                })
            })
            .collect();
        let next_offset = batch.last().unwrap()["offset"].as_i64().unwrap() + 1;
        let offsets = json!([{
            "topic": self.topic, "partition": self.partition, "epoch": self.epoch, "next_offset": next_offset,
        }]);
        for (function, argument) in [
            ("select aqueduct_consumer.park('accounts', 1, $1)", json!(parked)),
            ("select aqueduct_consumer.advance('accounts', 1, $1)", offsets),
        ] {
            sqlx::query(function).bind(argument).execute(&mut *transaction).await.unwrap();
        }
        transaction.commit().await.unwrap();
        results
    }

    fn envelope(&self, record: &Value) -> Value {
        let mut envelope = record["envelope"].clone();
        envelope["topic"] = self.topic.clone();
        envelope["partition"] = self.partition.clone();
        envelope["offset"] = record["offset"].clone();
        envelope["timestamp"] = record["timestamp"].clone();
        envelope
    }

    fn owned(&self) -> Value {
        json!([{ "topic": self.topic, "partition": self.partition, "epoch": self.epoch }])
    }

    /// The offsets of the parked events whose turn it is.
    async fn held(&mut self) -> Vec<i64> {
        sqlx::query_scalar("select \"offset\" from aqueduct_consumer.next_held('accounts', 1, $1, 500)")
            .bind(self.owned())
            .fetch_all(&mut self.consumer.connection)
            .await
            .unwrap()
    }

    async fn prune(&mut self, before: &str) {
        sqlx::query("select aqueduct_consumer.prune('accounts', 1, $1::timestamptz, 10000)")
            .bind(before)
            .execute(&mut self.consumer.connection)
            .await
            .unwrap();
    }
}

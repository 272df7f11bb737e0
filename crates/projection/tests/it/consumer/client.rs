//! A consumer that calls the functions of the contract.

use aqueduct_projection::consumer::{self, Registration, Timeouts};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::support::Database;

pub(super) const TOPIC: &str = "bank.accounts";

/// A consumer of one partition, connected as a member of the owning role.
pub(crate) struct Consumer {
    pub(crate) database: Database,
    pub(super) connection: PgConnection,
    pub(super) epoch: i64,
    pub(crate) next_offset: i64,
}

impl Consumer {
    /// Installs the functions, registers the projection and claims the partition.
    pub(crate) async fn start() -> Self {
        Self::start_with(false).await
    }

    pub(super) async fn start_with(starts_late: bool) -> Self {
        let database = Database::create().await;
        let role = create_role(&database, "consumer").await;
        consumer::install(&database.pool).await.unwrap();
        let registration = Registration { starts_late, ..registration("accounts", &role) };
        consumer::register(&database.pool, registration).await.unwrap();
        let mut connection = PgConnection::connect_with(&database.pool.connect_options()).await.unwrap();
        let session = format!("set session authorization {role}");
        sqlx::raw_sql(AssertSqlSafe(session)).execute(&mut connection).await.unwrap();
        let mut consumer = Self { database, connection, epoch: 0, next_offset: 0 };
        let (result, problem) = consumer.claim(json!({})).await;
        assert_eq!((result.as_str(), problem), ("claimed", None));
        consumer
    }

    /// Claims the partition; `changes` to what Kafka says of it.
    pub(super) async fn claim(&mut self, changes: Value) -> (String, Option<String>) {
        let number = |name: &str, usual: Option<i64>| changes[name].as_i64().or(usual);
        let (result, epoch, next_offset, problem): (String, Option<i64>, Option<i64>, Option<String>) =
            sqlx::query_as(
                "select * from aqueduct_consumer.claim('accounts', 1, $1, $2, 0, $3, $4, $5, 'test')",
            )
            .bind(TOPIC)
            .bind(changes["topic_id"].as_str())
            .bind(number("earliest", Some(0)))
            .bind(number("latest", Some(1_000)))
            .bind(number("committed", None))
            .fetch_one(&mut self.connection)
            .await
            .unwrap();
        if let (Some(epoch), Some(next_offset)) = (epoch, next_offset) {
            (self.epoch, self.next_offset) = (epoch, next_offset);
        }
        (result, problem)
    }

    /// Lets this much time pass since the offset was stored.
    pub(super) async fn age_offset(&self, age: &str) {
        sqlx::query("update aqueduct.offsets set advanced_at = advanced_at - $1::interval")
            .bind(age)
            .execute(&self.database.pool)
            .await
            .unwrap();
    }

    pub(super) fn partition(&self) -> Value {
        json!([{ "topic": TOPIC, "partition": 0, "epoch": self.epoch }])
    }

    /// What `receive` says of each record, in a transaction that parks what must be, and advances.
    pub(super) async fn take(&mut self, records: &[Value]) -> Vec<String> {
        self.take_with(records, json!([])).await
    }

    pub(crate) async fn take_with(&mut self, records: &[Value], failed: Value) -> Vec<String> {
        let first_offset = self.next_offset;
        self.take_at(first_offset, records, failed).await
    }

    pub(super) async fn take_at(
        &mut self,
        first_offset: i64,
        records: &[Value],
        failed: Value,
    ) -> Vec<String> {
        let mut records = records.to_vec();
        for (offset, record) in (first_offset..).zip(&mut records) {
            record["topic"] = TOPIC.into();
            record["partition"] = 0.into();
            record["offset"] = offset.into();
        }
        let partition = self.partition();
        let mut transaction = self.connection.begin().await.unwrap();
        let results: Vec<(i32, String, Option<String>)> =
            sqlx::query_as("select * from aqueduct_consumer.receive('accounts', 1, $1, $2, $3)")
                .bind(&partition)
                .bind(json!(records))
                .bind(failed)
                .fetch_all(&mut *transaction)
                .await
                .unwrap();
        let parked: Vec<Value> = results
            .iter()
            .filter(|(_, result, _)| !["new", "unjudged", "duplicate"].contains(&result.as_str()))
            .map(|(ordinal, ..)| {
                let record = &records[*ordinal as usize - 1];
                let header =
                    |name: &str| Some(json!({ "name": name, "value": base64(record[name].as_str()?) }));
                let headers: Vec<_> = ["ce_source", "ce_eventid", "ce_revision", "ce_previousrevision"]
                    .into_iter()
                    .filter_map(header)
                    .collect();
                json!({
                    "topic": TOPIC, "partition": 0, "offset": record["offset"],
                    "key": record["key"].as_str().map(base64), "value": base64(PAYLOAD),
                    "headers": headers,
                })
            })
            .collect();
        sqlx::query("select aqueduct_consumer.park('accounts', 1, $1)")
            .bind(json!(parked))
            .execute(&mut *transaction)
            .await
            .unwrap();
        let next_offset = first_offset + records.len() as i64;
        sqlx::query("select aqueduct_consumer.advance('accounts', 1, $1)")
            .bind(
                json!([{ "topic": TOPIC, "partition": 0, "epoch": self.epoch, "next_offset": next_offset }]),
            )
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        self.next_offset = self.next_offset.max(next_offset);
        results.into_iter().map(|(_, result, _)| result).collect()
    }

    /// The events that are taken from the parked ones, as `revision@stream`.
    pub(super) async fn next_held(&mut self, limit: i32, failed: Value) -> Vec<String> {
        let partition = self.partition();
        let rows: Vec<(String, String)> = sqlx::query_as(
            "select coalesce(revision::text, '?') || '@' || stream, value from aqueduct_consumer.next_held('accounts', 1, $1, $2, $3)",
        )
        .bind(partition)
        .bind(limit)
        .bind(failed)
        .fetch_all(&mut self.connection)
        .await
        .unwrap();
        assert!(rows.iter().all(|(_, value)| *value == base64(PAYLOAD)), "{rows:?}");
        rows.into_iter().map(|(row, _)| row).collect()
    }

    /// SQLSTATE of a call that fails.
    pub(super) async fn code(&mut self, call: &'static str, argument: Value) -> String {
        let error = sqlx::query(call).bind(argument).execute(&mut self.connection).await.unwrap_err();
        error.as_database_error().unwrap().code().unwrap().into_owned()
    }

    pub(super) async fn parked(&self) -> Vec<String> {
        self.database
            .texts(
                "select coalesce(revision::text, '?') || '@' || stream || ' ' || verdict || ' ' || code \
                   from aqueduct.parked where state = 'parked' order by id",
            )
            .await
    }
}

/// Longer than a line of Postgres's base64.
const PAYLOAD: &str =
    "a payload that is longer than what Postgres writes into one line of base64, 76 characters";

pub(super) fn registration<'a>(projection: &'a str, owner: &'a str) -> Registration<'a> {
    Registration { projection, owner, starts_late: false, timeouts: Timeouts::default() }
}

/// Roles belong to the whole server: the name contains the database's.
pub(super) async fn create_role(database: &Database, name: &str) -> String {
    let role: String = sqlx::query_scalar("select $1 || '_' || md5(current_database())")
        .bind(name)
        .fetch_one(&database.pool)
        .await
        .unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("create role {role}"))).execute(&database.pool).await.unwrap();
    role
}

pub(super) fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// A record of the relay.
pub(super) fn event(stream: &str, revision: i64, previous: impl Into<Option<i64>>) -> Value {
    let mut record = json!({
        "key": stream, "timestamp": 1, "ce_source": "store", "ce_subject": stream,
        "ce_id": format!("{revision}@{stream}"), "ce_eventid": format!("event {revision}"), "ce_revision": revision.to_string(),
    });
    if let Some(previous) = previous.into() {
        record["ce_previousrevision"] = previous.to_string().into();
    }
    record
}

pub(super) fn with(mut record: Value, header: &str, value: impl Into<Value>) -> Value {
    record[header] = value.into();
    record
}

/// A record of another producer.
pub(super) fn message(id: &str, time: &str) -> Value {
    json!({ "key": "k", "timestamp": 1, "ce_source": "shop", "ce_id": id, "ce_time": time })
}

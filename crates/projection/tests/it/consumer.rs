//! The contract for consumers in other languages, called as they call it.

mod client;
mod vectors;

use std::time::Duration;

use aqueduct_projection::consumer::{self, Registration, Timeouts};
use aqueduct_projection::{Options, Outcome, PostgresOptions, Projection};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

pub(crate) use self::client::Consumer;
use self::client::{TOPIC, create_role, event, message, registration, with};
use crate::bank::{Accounts, deposited};
use crate::support::{Database, plain, records};

#[tokio::test]
async fn each_record_has_a_result() {
    let mut consumer = Consumer::start().await;
    let results = consumer
        .take(&[
            event("a", 0, -1),
            event("a", 1, 0),
            event("b", 0, -1),
            event("a", 0, -1),
            event("a", 3, 2),
            event("a", 2, 1),
            event("a", 1, 0),
            event("b", 1, 0),
            event("cut", 41, None),
            with(event("b", 1, 0), "ce_eventid", "another"),
        ])
        .await;
    assert_eq!(
        results,
        ["new", "new", "new", "duplicate", "gap", "blocked", "duplicate", "new", "unjudged", "conflict"]
    );
    assert_eq!(consumer.parked().await, ["3@a gap gap", "2@a blocked blocked", "1@b conflict conflict"]);
    // The same in calls of their own. A conflict does not block its stream.
    assert_eq!(consumer.take(&[event("a", 1, 0)]).await, ["duplicate"]);
    assert_eq!(consumer.take(&[event("b", 2, 1)]).await, ["new"]);
    assert_eq!(consumer.take(&[with(event("b", 2, 1), "ce_eventid", "other")]).await, ["conflict"]);
    assert_eq!(consumer.take(&[with(event("b", 2, 1), "ce_eventid", "third")]).await, ["conflict"]);
    assert_eq!(consumer.take(&[event("b", 2, 1)]).await, ["duplicate"]);
    assert_eq!(consumer.take(&[]).await, [""; 0]);
    assert_eq!(consumer.parked().await.len(), 5);
    assert_eq!(
        consumer.database.texts("select unjudged::text from aqueduct_consumer.projections").await,
        ["1"]
    );
}

#[tokio::test]
async fn an_envelope_that_cannot_be_read_is_invalid() {
    for (record, reason) in [
        (json!({ "key": "a" }), "header ce_source is missing"),
        (json!({ "key": "a", "ce_source": "shop" }), "neither a revision nor a message id"),
        (
            with(event("a", 0, -1), "key", Value::Null),
            "the record's key is null, but header ce_subject names",
        ),
        (with(event("a", 0, -1), "key", "b"), "the record's key is \"b\", but header ce_subject names"),
        (with(event("a", 0, -1), "ce_revision", "seven"), "header ce_revision is \"seven\""),
        (with(event("a", 0, -1), "ce_revision", "9223372036854775808"), "header ce_revision is"),
        (with(event("a", 0, -1), "ce_previousrevision", "-2"), "header ce_previousrevision is \"-2\""),
    ] {
        let mut consumer = Consumer::start().await;
        assert_eq!(consumer.take(&[record]).await, ["invalid"], "{reason}");
        let reasons = consumer.database.texts("select reason from aqueduct.parked").await;
        assert!(reasons[0].contains(reason), "{reasons:?}");
    }
    let mut consumer = Consumer::start().await;
    let largest = with(event("a", 0, None), "ce_revision", "9223372036854775807");
    assert_eq!(consumer.take(&[largest]).await, ["unjudged"]);
}

#[tokio::test]
async fn what_the_consumer_reports_blocks_its_stream_until_it_is_replayed() {
    let mut consumer = Consumer::start().await;
    let failed = json!([{ "ordinal": 2, "code": "row", "reason": "amount is negative" }]);
    let records = [event("a", 0, -1), event("a", 1, 0), event("a", 2, 1), event("b", 0, -1)];
    assert_eq!(consumer.take_with(&records, failed).await, ["new", "invalid", "blocked", "new"]);
    assert_eq!(consumer.take(&[event("a", 3, 2)]).await, ["blocked"]);
    assert_eq!(consumer.parked().await, ["1@a invalid row", "2@a blocked blocked", "3@a blocked blocked"]);
    assert_eq!(consumer.next_held(10, json!([])).await, [""; 0]);

    let replay = "select aqueduct_consumer.replay('accounts', 1, 'a') + $1::jsonb::integer - 0";
    sqlx::query(replay).bind(json!(0)).execute(&mut consumer.connection).await.unwrap();
    // It fails again at the second event: what is before it is applied.
    let id = consumer.database.number("select id from aqueduct.parked where revision = 2").await;
    let failed = json!([{ "id": id, "reason": "still negative" }]);
    assert_eq!(consumer.next_held(10, failed).await, ["1@a"]);
    assert_eq!(consumer.parked().await, ["2@a invalid row", "3@a blocked blocked"]);

    sqlx::query(replay).bind(json!(0)).execute(&mut consumer.connection).await.unwrap();
    assert_eq!(consumer.next_held(1, json!([])).await, ["2@a"]);
    // The stream is not drained yet.
    assert_eq!(consumer.take(&[event("a", 4, 3)]).await, ["blocked"]);
    assert_eq!(consumer.next_held(10, json!([])).await, ["3@a", "4@a"]);
    assert_eq!(consumer.take(&[event("a", 5, 4)]).await, ["new"]);
    assert_eq!(consumer.parked().await, [""; 0]);
}

#[tokio::test]
async fn a_filled_gap_is_taken_without_a_request() {
    let mut consumer = Consumer::start().await;
    assert_eq!(consumer.take(&[event("a", 0, -1), event("a", 3, 2)]).await, ["new", "gap"]);
    assert_eq!(consumer.take(&[event("a", 2, 1)]).await, ["blocked"]);
    assert_eq!(consumer.next_held(10, json!([])).await, [""; 0]);
    assert_eq!(consumer.take(&[event("a", 1, 0)]).await, ["blocked"]);
    assert_eq!(consumer.next_held(10, json!([])).await, ["1@a", "2@a", "3@a"]);
    assert_eq!(consumer.take(&[event("a", 4, 3)]).await, ["new"]);
}

#[tokio::test]
async fn a_discarded_event_lets_its_stream_continue() {
    let mut consumer = Consumer::start().await;
    let failed = json!([{ "ordinal": 1 }]);
    let records = [event("a", 0, -1), event("a", 1, 0)];
    assert_eq!(consumer.take_with(&records, failed).await, ["invalid", "blocked"]);
    sqlx::query("select aqueduct_consumer.discard('accounts', 1, 'a', 0)")
        .execute(&mut consumer.connection)
        .await
        .unwrap();
    assert_eq!(consumer.next_held(10, json!([])).await, ["1@a"]);
    assert_eq!(consumer.take(&[event("a", 2, 1)]).await, ["new"]);
}

#[tokio::test]
async fn records_without_a_revision_are_known_by_their_id() {
    let mut consumer = Consumer::start().await;
    let (old, new) = ("2026-11-01T00:00:00Z", "2026-11-20T00:00:00Z");
    let records = [message("1", new), message("2", old), message("1", new)];
    assert_eq!(consumer.take(&records).await, ["new", "new", "duplicate"]);
    assert_eq!(consumer.take(&[message("2", old)]).await, ["duplicate"]);
    sqlx::query("select aqueduct_consumer.prune('accounts', 1, '2026-11-10', 100)")
        .execute(&mut consumer.connection)
        .await
        .unwrap();
    assert_eq!(
        consumer.take(&[message("2", old), message("1", new), message("3", new)]).await,
        ["undecidable", "duplicate", "new"]
    );
    let failed = json!([{ "ordinal": 1 }]);
    let records = [message("4", new), message("5", new)];
    assert_eq!(consumer.take_with(&records, failed).await, ["invalid", "blocked"]);
    assert_eq!(consumer.take(&[message("4", new), message("6", new)]).await, ["duplicate", "blocked"]);
    sqlx::query("select aqueduct_consumer.replay('accounts', 1)")
        .execute(&mut consumer.connection)
        .await
        .unwrap();
    // The undecidable one is not among them.
    assert_eq!(consumer.next_held(10, json!([])).await, ["?@k"; 3]);
    assert_eq!(consumer.take(&[message("7", new)]).await, ["new"]);
}

#[tokio::test]
async fn a_late_start_is_a_setting_and_recorded() {
    let mut consumer = Consumer::start().await;
    assert_eq!(consumer.take(&[event("a", 7, 6)]).await, ["gap"]);
    let mut consumer = Consumer::start_with(true).await;
    assert_eq!(consumer.take(&[event("a", 7, 6), event("a", 8, 7), event("b", 0, -1)]).await, ["new"; 3]);
    assert_eq!(consumer.take(&[event("a", 10, 9)]).await, ["gap"]);
    let begun =
        "select stream || ' ' || coalesce(started_after::text, '-') from aqueduct.inbox_streams order by 1";
    assert_eq!(consumer.database.texts(begun).await, ["a 6", "b -"]);
}

#[tokio::test]
async fn an_older_epoch_is_stale() {
    let mut consumer = Consumer::start().await;
    let old = consumer.partition();
    consumer.claim(json!({})).await;
    for call in [
        "select aqueduct_consumer.receive('accounts', 1, $1, '[]')",
        "select aqueduct_consumer.advance('accounts', 1, $1)",
        "select aqueduct_consumer.next_held('accounts', 1, $1, 1)",
    ] {
        assert_eq!(consumer.code(call, old.clone()).await, "AQ001", "{call}");
    }
    // A backup is restored: an epoch that was given out since is not given out again.
    let given = consumer.epoch;
    sqlx::raw_sql("update aqueduct.offsets set epoch = 1").execute(&consumer.database.pool).await.unwrap();
    consumer.claim(json!({})).await;
    assert!(consumer.epoch > given, "{} {given}", consumer.epoch);
}

#[tokio::test]
async fn offsets_do_not_advance_over_a_record_that_must_be_parked() {
    let mut consumer = Consumer::start().await;
    let record = with(with(event("a", 3, 2), "topic", TOPIC), "partition", 0);
    let record = with(record, "offset", 5);
    let offsets = json!([{ "topic": TOPIC, "partition": 0, "epoch": consumer.epoch, "next_offset": 6 }]);
    let partition = consumer.partition();
    let mut transaction = consumer.connection.begin().await.unwrap();
    sqlx::query("select aqueduct_consumer.receive('accounts', 1, $1, $2)")
        .bind(partition)
        .bind(json!([record]))
        .execute(&mut *transaction)
        .await
        .unwrap();
    let advance = sqlx::query("select aqueduct_consumer.advance('accounts', 1, $1)");
    let error = advance.bind(offsets).execute(&mut *transaction).await.unwrap_err();
    assert!(error.to_string().contains("record bank.accounts/0@5 (gap: revision 2"), "{error}");
    drop(transaction);
    let unknown = json!([{ "topic": TOPIC, "partition": 0, "offset": 9, "headers": [] }]);
    assert_eq!(consumer.code("select aqueduct_consumer.park('accounts', 1, $1)", unknown).await, "AQ014");
}

#[tokio::test]
async fn what_is_wrong_with_topic_or_database_halts_until_it_is_accepted() {
    for (code, change, resumes_at) in [
        ("topic_recreated", json!({ "topic_id": "another" }), 0),
        ("topic_recreated", json!({ "latest": 1 }), 0),
        ("offsets_missing", json!({ "earliest": 7 }), 7),
        ("database_restored", json!({ "committed": 9 }), 2),
    ] {
        let mut consumer = Consumer::start().await;
        consumer.claim(json!({ "topic_id": "first" })).await;
        assert_eq!(consumer.take(&[event("a", 0, -1), event("a", 1, 0)]).await, ["new", "new"]);
        consumer.age_offset("121 seconds").await;
        let (result, problem) = consumer.claim(change.clone()).await;
        assert_eq!(result, "halted", "{code}");
        assert!(problem.unwrap().contains(&format!("aqueduct projection accept accounts {code}")));
        // Nothing else of the projection continues either.
        let receive = "select aqueduct_consumer.receive('accounts', 1, $1, '[]')";
        assert_eq!(consumer.code(receive, consumer.partition()).await, "AQ012");
        assert_eq!(consumer.claim(json!({})).await.0, "halted");

        let accepted = consumer::accept(&consumer.database.pool, "accounts", code).await.unwrap();
        assert_eq!(accepted.len(), 1, "{code}");
        assert_eq!(consumer::accept(&consumer.database.pool, "accounts", code).await.unwrap(), [""; 0]);
        assert_eq!(consumer.claim(change).await, ("claimed".to_owned(), None), "{code}");
        assert_eq!(consumer.next_offset, resumes_at, "{code}");
    }
}

/// A consumer lists the end of a partition, then its former owner commits a batch, then the consumer claims.
#[tokio::test]
async fn an_end_that_was_listed_before_the_former_owners_last_commit_halts_nothing() {
    for topic_id in [json!("first"), Value::Null] {
        let mut consumer = Consumer::start().await;
        consumer.claim(json!({ "topic_id": topic_id })).await;
        assert_eq!(consumer.take(&[event("a", 0, -1), event("a", 1, 0)]).await, ["new", "new"]);
        let listed_before = json!({ "topic_id": topic_id, "latest": 1 });
        assert_eq!(consumer.claim(listed_before.clone()).await, ("claimed".to_owned(), None));
        assert_eq!(consumer.next_offset, 2, "what was applied is not read again");
        // Nobody can have moved the offset since: Kafka has lost records.
        let (result, problem) = consumer.claim(listed_before).await;
        assert_eq!(result, "halted");
        let problem = problem.unwrap();
        let code = if topic_id.is_string() { "records_lost" } else { "topic_recreated" };
        assert!(problem.contains(&format!("accept accounts {code}")), "{problem}");
        assert!(problem.contains("was read up to offset 2, but ends at offset 1: the topic"), "{problem}");
        assert_eq!(problem.contains("the topic is the same"), topic_id.is_string(), "{problem}");
    }
}

/// Promise: where both ids are known, they say whether it is the same topic, however long either is.
#[tokio::test]
async fn another_topic_id_halts_at_once() {
    let mut consumer = Consumer::start().await;
    consumer.claim(json!({ "topic_id": "first" })).await;
    assert_eq!(consumer.take(&[event("a", 0, -1)]).await, ["new"]);
    let (result, problem) = consumer.claim(json!({ "topic_id": "second", "latest": 1_000 })).await;
    assert_eq!(result, "halted");
    assert!(problem.unwrap().contains("its id is second, not first"));
}

/// One partition notices it first, and is accepted for all of them.
#[tokio::test]
async fn a_topic_that_was_created_again_is_accepted_once() {
    let mut consumer = Consumer::start().await;
    consumer.claim(json!({ "topic_id": "first" })).await;
    assert_eq!(consumer.take(&[event("a", 0, -1)]).await, ["new"]);
    let claim = "select result || ' ' || coalesce(next_offset::text, '-')
                   from aqueduct_consumer.claim('accounts', 1, $1, $2, 1, 0, 9, null, 'other')";
    let claim_other = async |topic_id: &str, connection: &mut PgConnection| -> String {
        sqlx::query_scalar(claim).bind(TOPIC).bind(topic_id).fetch_one(connection).await.unwrap()
    };
    let mut other = PgConnection::connect_with(&consumer.database.pool.connect_options()).await.unwrap();
    assert_eq!(claim_other("first", &mut other).await, "claimed 0");
    assert_eq!(consumer.claim(json!({ "topic_id": "second" })).await.0, "halted");
    consumer::accept(&consumer.database.pool, "accounts", "topic_recreated").await.unwrap();
    assert_eq!(consumer.claim(json!({ "topic_id": "second" })).await.0, "claimed");
    assert_eq!(claim_other("second", &mut other).await, "claimed 0");
}

#[tokio::test]
async fn only_members_of_the_owner_act_for_a_projection() {
    let mut consumer = Consumer::start().await;
    let stranger = create_role(&consumer.database, "stranger").await;
    consumer::register(&consumer.database.pool, registration("other", &stranger)).await.unwrap();
    let partition = consumer.partition();
    let receive = "select aqueduct_consumer.receive('other', 1, $1, '[]')";
    assert_eq!(consumer.code(receive, partition.clone()).await, "AQ011");
    let receive = "select aqueduct_consumer.receive('missing', 1, $1, '[]')";
    assert_eq!(consumer.code(receive, partition).await, "AQ010");
    for statement in [
        "select * from aqueduct.parked where $1::jsonb is null",
        "select * from aqueduct_consumer.projections where $1::jsonb is null",
        "select aqueduct_consumer.hold('accounts', 1, $1)",
        "select aqueduct_consumer.register('accounts', 1, current_user, ($1::jsonb is null), '1 s', '1 s', '1 s')",
    ] {
        assert_eq!(consumer.code(statement, json!([])).await, "42501", "{statement}");
    }
}

/// Promise: the runner says what to run for a role that lacks rights, and that is enough.
#[tokio::test]
async fn a_runner_without_rights_is_told_which_commands_grant_them() {
    let database = Database::create().await;
    let role = create_role(&database, "runner").await;
    let login = format!(
        "alter role {role} login password 'runner'; grant usage on schema bank to {role}; \
                         grant all on all tables in schema bank to {role}"
    );
    sqlx::raw_sql(AssertSqlSafe(login)).execute(&database.pool).await.unwrap();
    let (_, server) = database.url.split_once('@').unwrap();
    let url = format!("postgres://{role}:runner@{server}");
    let options = Options { postgres: PostgresOptions::new(url), ..database.options() };
    let projection = Projection::view::<Accounts<0>>(options, plain());
    let denied = projection.batch_processor().await.map(drop).unwrap_err().to_string();
    let command = format!("aqueduct projection install accounts --owner {role} --runner {role}");
    assert!(denied.contains(&command), "{denied}");

    consumer::install(&database.pool).await.unwrap();
    consumer::register(&database.pool, registration("accounts", &role)).await.unwrap();
    consumer::grant_runner(&database.pool, &role).await.unwrap();
    let batches = projection.batch_processor().await.unwrap();
    let epoch = batches.claim("bank.0", 0).await.unwrap().epoch;
    let deposit = crate::support::event("account-1", 0, &deposited(1));
    let outcome = batches.apply(records(epoch, 0, &[deposit])).await.unwrap();
    assert_eq!(outcome, Some(Outcome { applied: 1, ..Outcome::default() }));
}

/// Postgres ends its transaction, so that another consumer gets the partition.
#[tokio::test]
async fn a_frozen_consumer_keeps_nothing() {
    let mut consumer = Consumer::start().await;
    let role: String =
        sqlx::query_scalar("select session_user::text").fetch_one(&mut consumer.connection).await.unwrap();
    let timeouts = Timeouts { idle: Duration::from_millis(200), ..Timeouts::default() };
    let registration = Registration { timeouts, ..registration("accounts", &role) };
    consumer::register(&consumer.database.pool, registration).await.unwrap();
    let session: String = sqlx::query_scalar("show idle_in_transaction_session_timeout")
        .fetch_one(&mut consumer.connection)
        .await
        .unwrap();

    let partition = consumer.partition();
    let mut frozen = PgConnection::connect_with(&consumer.database.pool.connect_options()).await.unwrap();
    let mut transaction = frozen.begin().await.unwrap();
    sqlx::query("select aqueduct_consumer.receive('accounts', 1, $1, '[]')")
        .bind(&partition)
        .execute(&mut *transaction)
        .await
        .unwrap();
    // It waits for the partition's row until the transaction is ended.
    let claimed = tokio::time::timeout(Duration::from_secs(60), consumer.claim(json!({}))).await;
    assert_eq!(claimed.expect("the partition is free").0, "claimed");
    transaction.commit().await.unwrap_err();
    let after: String = sqlx::query_scalar("show idle_in_transaction_session_timeout")
        .fetch_one(&mut consumer.connection)
        .await
        .unwrap();
    assert_eq!(after, session, "the time-outs are those of a transaction");
}

/// `aqueduct status` reads it.
#[tokio::test]
async fn the_state_of_a_consumer_is_reported() {
    let mut consumer = Consumer::start().await;
    let reported = async |consumer: &Consumer| {
        let partitions = aqueduct_projection::read_partitions(&consumer.database.pool).await.unwrap();
        let [partition] = &partitions[..] else { panic!("{partitions:?}") };
        let reported = partition.reported.clone().unwrap();
        (reported.state, reported.problem, reported.at)
    };
    let (state, problem, at) = reported(&consumer).await;
    assert_eq!((state.as_str(), problem), ("running", None));
    consumer.next_held(10, json!([])).await;
    assert_eq!(reported(&consumer).await.2, at, "not each second");
    let pool = consumer.database.pool.clone();
    let age = "update aqueduct.projection_status set reported_at = reported_at - interval '11 seconds'";
    sqlx::query(age).execute(&pool).await.unwrap();
    consumer.next_held(10, json!([])).await;
    assert!(reported(&consumer).await.2 >= at);

    let (result, problem) = consumer.claim(json!({ "committed": 9 })).await;
    assert_eq!(result, "halted");
    let (state, shown, _) = reported(&consumer).await;
    assert_eq!((state.as_str(), shown), ("halted", problem));
}

#[tokio::test]
async fn a_message_that_two_partitions_hold_is_taken_once() {
    let mut consumer = Consumer::start().await;
    let options = consumer.database.pool.connect_options();
    let mut other = PgConnection::connect_with(&options).await.unwrap();
    let claim = "select epoch from aqueduct_consumer.claim('accounts', 1, $1, null, 1, 0, 9, null, 'other')";
    let epoch: i64 = sqlx::query_scalar(claim).bind(TOPIC).fetch_one(&mut other).await.unwrap();
    let mut record = with(message("1", "2026-11-20T00:00:00Z"), "topic", TOPIC);
    record["offset"] = 0.into();
    let receive = "select result from aqueduct_consumer.receive('accounts', 1, $1, $2)";
    let mut first = consumer.connection.begin().await.unwrap();
    let result: String = sqlx::query_scalar(receive)
        .bind(json!([{ "topic": TOPIC, "partition": 0, "epoch": consumer.epoch }]))
        .bind(json!([with(record.clone(), "partition", 0)]))
        .fetch_one(&mut *first)
        .await
        .unwrap();
    assert_eq!(result, "new");
    let partition = json!([{ "topic": TOPIC, "partition": 1, "epoch": epoch }]);
    let records = json!([with(record, "partition", 1)]);
    // It waits for the first transaction.
    let second = async {
        sqlx::query_scalar::<_, String>(receive).bind(&partition).bind(&records).fetch_one(&mut other).await
    };
    let (refused, ()) = tokio::join!(second, async { first.commit().await.unwrap() });
    match refused {
        // Either it saw the message while it was judged, or it ran into it.
        Ok(result) => assert_eq!(result, "duplicate"),
        Err(error) => {
            assert_eq!(error.as_database_error().unwrap().code().unwrap(), "40001");
            let again = sqlx::query_scalar::<_, String>(receive).bind(&partition).bind(&records);
            assert_eq!(again.fetch_one(&mut other).await.unwrap(), "duplicate");
        }
    }
}

#[tokio::test]
async fn a_discarded_event_behind_a_gap_is_parked_again() {
    let mut consumer = Consumer::start().await;
    assert_eq!(consumer.take(&[event("a", 0, -1), event("a", 3, 2)]).await, ["new", "gap"]);
    let discard = "select aqueduct_consumer.discard('accounts', 1, 'a', 3)";
    sqlx::query(discard).execute(&mut consumer.connection).await.unwrap();
    assert_eq!(consumer.next_held(10, json!([])).await, [""; 0]);
    // What is missing is not given up.
    assert_eq!(consumer.take(&[event("a", 2, 1)]).await, ["blocked"]);
    assert_eq!(consumer.take(&[event("a", 1, 0)]).await, ["blocked"]);
    assert_eq!(consumer.next_held(10, json!([])).await, ["1@a", "2@a", "3@a"]);
}

#[tokio::test]
async fn a_conflict_does_not_hold_the_events_of_its_stream() {
    let mut consumer = Consumer::start().await;
    let other = with(event("a", 0, -1), "ce_eventid", "another");
    let records = [event("a", 0, -1), other, event("a", 2, 1), event("a", 1, 0)];
    assert_eq!(consumer.take(&records).await, ["new", "conflict", "gap", "blocked"]);
    assert_eq!(consumer.next_held(1, json!([])).await, ["1@a"]);
    assert_eq!(consumer.next_held(1, json!([])).await, ["2@a"]);
    assert_eq!(consumer.take(&[event("a", 3, 2)]).await, ["new"]);
}

#[tokio::test]
async fn values_that_postgres_cannot_index_or_read_are_invalid() {
    let long = "\u{4e00}".repeat(5_000);
    for record in [
        with(message("1", "2026-11-20T00:00:00Z"), "ce_source", long.as_str()),
        with(message("1", "2026-11-20T00:00:00Z"), "ce_id", long.as_str()),
        with(message("1", "2026-11-20T00:00:00Z"), "key", long.as_str()),
        event(&long, 0, -1),
    ] {
        let mut consumer = Consumer::start().await;
        assert_eq!(consumer.take(&[record]).await, ["invalid"]);
        let longest = "select max(length(reason))::bigint from aqueduct.parked";
        assert!(consumer.database.number(longest).await < 1_000);
    }
    let mut consumer = Consumer::start().await;
    let strange = with(message("1", "2026-01-01T00:00:00+99:00"), "key", "k");
    let unknown = json!({ "key": "k", "ce_id": "2" });
    assert_eq!(consumer.take(&[strange, unknown.clone(), unknown]).await, ["new", "invalid", "blocked"]);
}

#[tokio::test]
async fn what_a_consumer_forgot_to_park_does_not_stop_the_others() {
    let mut consumer = Consumer::start().await;
    let mut record = with(event("a", 3, 2), "topic", TOPIC);
    record["partition"] = 0.into();
    record["offset"] = 0.into();
    let forgotten = sqlx::query("select aqueduct_consumer.receive('accounts', 1, $1, $2)")
        .bind(consumer.partition())
        .bind(json!([record]));
    forgotten.execute(&mut consumer.connection).await.unwrap();
    assert_eq!(consumer.take(&[event("a", 3, 2), event("b", 0, -1)]).await, ["blocked", "new"]);
    let back = json!([{ "topic": TOPIC, "partition": 0, "epoch": consumer.epoch, "next_offset": 0 }]);
    assert_eq!(consumer.code("select aqueduct_consumer.advance('accounts', 1, $1)", back).await, "AQ016");
}

#[tokio::test]
async fn many_records_of_one_stream_are_parked_at_once() {
    let mut consumer = Consumer::start().await;
    let records: Vec<_> = (2..5_002).map(|revision| event("a", revision, revision - 1)).collect();
    let results = consumer.take(&records).await;
    assert_eq!(results.iter().filter(|result| *result == "blocked").count(), 4_999);
    assert_eq!(consumer.take(&[event("a", 1, 0), event("a", 0, -1)]).await, ["blocked"; 2]);
    let mut taken = 0;
    while taken < 5_002 {
        let held = consumer.next_held(500, json!([])).await.len();
        assert!(held > 0, "{taken}");
        taken += held;
    }
    assert_eq!(consumer.take(&[event("a", 5_002, 5_001)]).await, ["new"]);
}

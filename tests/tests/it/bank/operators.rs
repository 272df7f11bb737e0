//! `status` and `doctor` as an operator runs them, on the example of the crate `aqueduct`.

use axum::Router;
use axum::routing::get;
use jiff::{SignedDuration, Timestamp};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::bank::{Bank, stop};
use crate::support::eventually;

/// The findings of one level, as `area: finding (action)`.
fn findings(bank: &Bank, level: &str) -> (Option<i32>, Vec<String>) {
    let output = bank.run(&["doctor", "--json"], "");
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{error}: {} {}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    });
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let of_level = findings.iter().filter(|finding| finding["level"] == level);
    let texts = of_level.map(|finding| {
        format!("{}: {} ({})", text(finding, "area"), text(finding, "finding"), text(finding, "action"))
    });
    (output.status.code(), texts.collect())
}

#[track_caller]
fn assert_found(findings: &[String], text: &str) {
    assert!(findings.iter().any(|finding| finding.contains(text)), "{text} in {findings:#?}");
}

/// Whether a condition holds for every lane, or every partition of a projection.
fn all(status: &Value, part: &str, holds: impl Fn(&Value) -> bool) -> bool {
    let rows = status[part].as_array().unwrap();
    !rows.is_empty() && rows.iter().all(holds)
}

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_how_far_everything_is() {
    let bank = Bank::start("").await;
    bank.succeed(&["setup"], "");
    bank.succeed(&["teller"], "7 255\n8 100\n");
    let mut processes = [bank.process(&["relay"]), bank.process(&["project"])];

    // Also the transaction markers at the end of the partitions count as applied.
    let done = eventually("everything is relayed and applied", async || {
        let status = bank.status();
        let done = all(&status, "lanes", |lane| lane["state"] == "running" && lane["lag"] == 0)
            && all(&status, "projections", |it| {
                it["state"] == "running" && it["lag"] == 0 && it["lag_seconds"] == 0.0 && it["parked"] == 0
            })
            && status["projections"]
                .as_array()
                .unwrap()
                .iter()
                .any(|it| it["next_offset"].as_i64() > Some(0));
        done.then_some(status)
    })
    .await;
    assert_eq!(done["lanes"].as_array().unwrap().len(), 1, "{done:#}");
    assert_eq!(done["projections"].as_array().unwrap().len(), 4, "{done:#}");
    assert!(
        done["lanes"][0]["position"].as_u64() > Some(0) && done["problems"] == Value::Array(Vec::new()),
        "{done:#}"
    );
    let table = bank.succeed(&["status", "--interval", "1"], "");
    assert!(table.contains("accounts/0") && table.contains("balances bank.accounts/0"), "{table}");
    assert!(
        findings(&bank, "warning").1.iter().all(|it| !it.starts_with("routes")),
        "the route has met events"
    );

    // Nobody applies what comes now.
    let [relay, project] = &mut processes;
    stop(project).await;
    bank.succeed(&["teller"], "7 1\n");
    eventually("the record waits", async || {
        let status = bank.status();
        let waiting = |it: &&Value| it["lag"].as_u64() > Some(0) && it["lag_seconds"].as_f64() > Some(0.0);
        let waiting = status["projections"].as_array().unwrap().iter().filter(waiting).count();
        (waiting == 1 && all(&status, "projections", |it| it["state"] == "stopped")).then_some(())
    })
    .await;
    stop(relay).await;
    assert!(all(&bank.status(), "lanes", |lane| lane["state"] == "stopped"));
}

/// Waits until a lane satisfies the condition.
async fn lane_that(bank: &Bank, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    eventually(what, async || {
        let lanes = bank.status()["lanes"].take();
        lanes.as_array().unwrap().iter().find(|lane| holds(lane)).cloned()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_parked_events_and_the_error_of_a_halted_lane() {
    let mut bank = Bank::start("").await;
    bank.succeed(&["setup"], "");
    let mut processes = [bank.process(&["relay"]), bank.process(&["project"])];

    // Plain JSON has a long of this size as text, which the projection's type does not accept. The second event follows it.
    bank.append("account-9", [r#"{"account": "9", "pence": 9223372036854775807}"#.to_owned()]).await;
    bank.append("account-9", [r#"{"account": "9", "pence": 1}"#.to_owned()]).await;
    eventually("the projection has parked the events", async || {
        let status = bank.status();
        let parked = status["projections"].as_array().unwrap().iter().filter_map(|it| it["parked"].as_u64());
        (parked.sum::<u64>() == 2).then_some(())
    })
    .await;

    bank.append("account-8", [r#"{"account": "8"}"#.to_owned()]).await;
    let lane = lane_that(&bank, "the lane is halted", |lane| lane["state"] == "halted").await;
    let problem = lane["problem"].as_str().unwrap();
    assert!(problem.contains("0@account-8") && problem.contains("pence"), "{problem}");
    let table = bank.succeed(&["status", "--interval", "1"], "");
    assert!(table.contains(problem), "{table}");
    assert_found(&findings(&bank, "error").1, "0@account-8");

    let [relay, project] = &mut processes;
    stop(relay).await;
    bank.environment.push(("AQUEDUCT_RELAY__ON_BAD_EVENT", "park".to_owned()));
    *relay = bank.process(&["relay"]);
    lane_that(&bank, "the lane has parked the event", |lane| {
        lane["state"] == "running" && lane["parked"] == 1 && lane["lag"] == 0 && lane["problem"].is_null()
    })
    .await;
    for process in [relay, project] {
        stop(process).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_what_is_wrong_and_what_to_do() {
    let bank = Bank::start("").await;

    let (code, errors) = findings(&bank, "error");
    assert_eq!(code, Some(1));
    assert_found(&errors, "topics: topic bank.accounts does not exist (run `setup`)");
    assert_found(&errors, "registry: subject bank.accounts-bank.Booked does not have the schema");
    assert_found(&errors, "postgres: migrations of schema aqueduct did not run: 1 ");

    bank.succeed(&["setup"], "");
    let (code, errors) = findings(&bank, "error");
    assert_eq!((code, &errors[..]), (Some(0), &[] as &[String]));
    assert_found(&findings(&bank, "warning").1, "no relay has worked on it yet (run `relay`)");

    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bank.stack.kafka_bootstrap().unwrap()).create().unwrap();
    let topic = ResourceSpecifier::Topic("bank.checkpoint.accounts");
    let expiring = AlterConfig::new(topic).set("cleanup.policy", "delete");
    let topic = ResourceSpecifier::Topic("bank.parked.accounts");
    let too_small =
        AlterConfig::new(topic).set("cleanup.policy", "compact").set("max.message.bytes", "1000000");
    for altered in admin.alter_configs([&expiring, &too_small], &AdminOptions::new()).await.unwrap() {
        altered.unwrap();
    }
    bank.stack.registry().unwrap().stop().await;
    let (code, errors) = findings(&bank, "error");
    assert_eq!(code, Some(1));
    assert_found(&errors, "topic bank.checkpoint.accounts has cleanup.policy=delete");
    assert_found(&errors, "--add-config cleanup.policy=compact");
    // A parked event is as large as a record.
    assert_found(
        &errors,
        "topic bank.parked.accounts accepts messages of 1000000 bytes, the relay may write 1004096",
    );
    assert_found(&errors, "registry: ");
    assert_eq!(errors.len(), 3, "{errors:#?}");
}

/// The errors of `doctor` with another address in the environment.
fn errors_with(bank: &mut Bank, variable: &'static str, address: String) -> Vec<String> {
    bank.environment.push((variable, address));
    let (code, errors) = findings(bank, "error");
    assert_eq!(code, Some(1), "{errors:#?}");
    bank.environment.pop();
    errors
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_what_postgres_refuses_and_which_migration_is_missing() {
    let mut bank = Bank::start("").await;
    bank.succeed(&["setup"], "");
    let pool = bank.postgres().await;
    sqlx::query("create role reader login password 'secret'").execute(&pool).await.unwrap();
    let url = bank.stack.postgres_url().unwrap();
    let (_, server) = url.split_once('@').unwrap();
    let as_reader = |password: &str| format!("postgres://reader:{password}@{server}");
    let (wrong, right) = (as_reader("wrong"), as_reader("secret"));

    let errors = errors_with(&mut bank, "AQUEDUCT_POSTGRES__URL", wrong);
    assert_found(&errors, "password authentication failed for user \"reader\"");
    assert_found(&errors, "user, password and database in `postgres.url`");

    let errors = errors_with(&mut bank, "AQUEDUCT_POSTGRES__URL", right.clone());
    assert_found(&errors, "permission denied for schema aqueduct");
    assert_found(&errors, "(grant usage on schema aqueduct, and select, insert, update, delete");

    // Reading alone is not enough: the projection writes into each of the tables.
    for grant in ["usage on schema aqueduct", "select on all tables in schema aqueduct"] {
        sqlx::query(sqlx::AssertSqlSafe(format!("grant {grant} to reader"))).execute(&pool).await.unwrap();
    }
    let errors = errors_with(&mut bank, "AQUEDUCT_POSTGRES__URL", right);
    assert_found(&errors, "postgres: the user lacks rights on aqueduct.");
    assert_found(&errors, "aqueduct.parked");
    assert_eq!(errors.len(), 1, "{errors:#?}");

    let forgotten = "delete from aqueduct.projection_migrations
                      where version = (select max(version) from aqueduct.projection_migrations) returning version";
    let version: i64 = sqlx::query_scalar(forgotten).fetch_one(&pool).await.unwrap();
    let (code, errors) = findings(&bank, "error");
    assert_eq!((code, errors.len()), (Some(1), 1), "{errors:#?}");
    assert_found(&errors, &format!("postgres: migrations of schema aqueduct did not run: {version} "));
    assert_found(&errors, "(run `setup` as a user that may)");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_which_connection_fails_because_of_tls() {
    let mut bank = Bank::start("").await;
    bank.succeed(&["setup"], "");
    let store = bank.stack.event_store_url().unwrap().replace("tls=false", "tls=true");
    let errors = errors_with(&mut bank, "AQUEDUCT_EVENTSTORE__URL", store);
    assert_found(&errors, "eventstore: cannot be read: ");
    assert_found(&errors, "and `tls`)");
    assert_eq!(in_area(&errors, "kafka: ") + in_area(&errors, "postgres: "), 0, "{errors:#?}");

    let errors = errors_with(&mut bank, "AQUEDUCT_KAFKA__PROPERTIES__SECURITY_PROTOCOL", "ssl".to_owned());
    // The tests are built without TLS for Kafka.
    assert_found(&errors, "kafka: ");
    assert_found(&errors, "TLS and SASL need a build with `--features tls`)");

    let postgres = bank.stack.postgres_url().unwrap().replace("sslmode=prefer", "sslmode=require");
    let errors = errors_with(&mut bank, "AQUEDUCT_POSTGRES__URL", postgres);
    assert_found(&errors, "TLS");
    assert_eq!(in_area(&errors, "postgres: "), 1, "{errors:#?}");
}

fn in_area(findings: &[String], area: &str) -> usize {
    findings.iter().filter(|it| it.starts_with(area)).count()
}

/// Starts a server that tells its version and the time of an hour ago, and is not an event store otherwise.
async fn start_slow_clock() -> u16 {
    let info = get(|| async {
        let time = Timestamp::now() - SignedDuration::from_hours(1);
        let date = time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        ([("date", date)], r#"{"esVersion": "23.10.6.0"}"#)
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/info", info)).await });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_whose_clock_is_wrong() {
    let mut bank = Bank::start("").await;
    let agrees = findings(&bank, "ok").1;
    assert_found(&agrees, "eventstore: its clock agrees with this machine's");
    assert_found(&agrees, "postgres: its clock agrees with this machine's");

    let port = start_slow_clock().await;
    bank.environment.push(("AQUEDUCT_EVENTSTORE__URL", format!("esdb://127.0.0.1:{port}?tls=false")));
    let warnings = findings(&bank, "warning").1;
    let of_clocks: Vec<_> = warnings.iter().filter(|it| it.contains("clock is")).collect();
    assert_eq!(of_clocks.len(), 1, "{warnings:#?}");
    assert!(
        of_clocks[0].starts_with("eventstore: its clock is 3") && of_clocks[0].contains("s behind"),
        "{of_clocks:?}"
    );
    assert!(of_clocks[0].contains("(synchronize the clocks (NTP)"), "{of_clocks:?}");
}

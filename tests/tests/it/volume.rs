//! Guarantees 1 (nothing is lost), 2 (nothing is duplicated), 3 (order is kept) and 6 (parked events are replayed in
//! order), where very many events are parked behind one, or skipped: kill -9 of relay and projection in each phase.
//!
//! `FOLLOWERS` events are parked behind a bad one (5,000), `SKIPPED` are skipped (20,000).

use aqueduct_devstack::Child;
use serde_json::Value;
use sqlx::PgPool;

use crate::bank::{BREAK, Bank, FIX, PARKED, SCHEMA, SCHEMA_FILE, kill, stop};
use crate::support::{eventually, say, while_moving};
use crate::topic;

const STREAM: &str = "account-1";
/// The schema does not have the note, the table refuses the amount.
const BAD: &str = r#"{"account": "1", "pence": 1000000, "note": "a gift"}"#;
const PENNY: &str = r#"{"account": "1", "pence": 1}"#;

pub(crate) fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |number| number.parse().unwrap())
}

/// The most memory that a process has used, in MiB.
pub(crate) fn peak_memory(process: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

async fn parked_by_projection(postgres: &PgPool) -> i64 {
    sqlx::query_scalar(PARKED).fetch_one(postgres).await.unwrap()
}

impl Bank {
    fn end_of(&self, topic: &str) -> i64 {
        topic::end_of(self.stack.kafka_bootstrap().unwrap(), topic, STREAM)
    }

    /// Kills a process once the stream's partition of a topic is longer than before.
    async fn kill_when_longer(&self, process: &mut Child, topic: &str, before: i64) {
        eventually("the first record", async || (self.end_of(topic) > before).then_some(())).await;
        kill(process).await;
    }

    /// Waits until the relay has so many exceptions, as long as it writes to a topic.
    async fn await_exceptions(&self, state: &str, expected: usize, topic: &str) {
        while_moving(&format!("{expected} events are {state}"), async || {
            let (end, found) = (self.end_of(topic), self.exceptions(state));
            if found == expected { Ok(()) } else { Err((end, found)) }
        })
        .await;
    }

    /// Waits until the projections have parked so many events.
    async fn await_parked(&self, postgres: &PgPool, expected: i64) {
        while_moving(&format!("projections have parked {expected} events"), async || {
            let found = parked_by_projection(postgres).await;
            if found == expected { Ok(()) } else { Err(found) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_events_behind_a_bad_one_are_replayed_in_order() {
    let followers = number("FOLLOWERS", 5_000);
    let all = followers + 1;
    let bank = Bank::start("on_bad_event = \"park\"").await;
    bank.succeed(&["setup"], "");
    let postgres = bank.postgres().await;
    sqlx::raw_sql(BREAK).execute(&postgres).await.unwrap();
    let data = std::iter::once(BAD).chain(std::iter::repeat_n(PENNY, followers));
    bank.append(STREAM, data.map(str::to_owned)).await;

    let mut relay = bank.process(&["relay"]);
    bank.kill_when_longer(&mut relay, "bank.parked.accounts", 0).await;
    relay = bank.process(&["relay"]);
    bank.await_exceptions("parked", all, "bank.parked.accounts").await;
    say(&format!("volume: the relay parked {all} events, peak {} MiB", peak_memory(&relay)));
    stop(&mut relay).await;

    let fixed = SCHEMA.replacen("\"fields\"", "\"unknownFields\": \"drop\", \"fields\"", 1);
    std::fs::write(bank.path(SCHEMA_FILE), fixed).unwrap();
    relay = bank.process(&["relay"]);
    let mut replay = bank.process(&["parked", "replay", "--route", "accounts", "--stream", STREAM]);
    bank.kill_when_longer(&mut relay, "bank.accounts", 0).await;
    relay = bank.process(&["relay"]);
    bank.await_exceptions("parked", 0, "bank.accounts").await;
    say(&format!("volume: the relay replayed them, peak {} MiB", peak_memory(&relay)));
    kill(&mut replay).await;

    let mut projection = bank.process(&["project"]);
    eventually("an event is parked", async || (parked_by_projection(&postgres).await > 0).then_some(()))
        .await;
    kill(&mut projection).await;
    projection = bank.process(&["project"]);
    bank.await_parked(&postgres, all as i64).await;
    say(&format!("volume: the projection parked them, peak {} MiB", peak_memory(&projection)));
    sqlx::raw_sql(FIX).execute(&postgres).await.unwrap();
    let mut replay = bank.process(&["parked", "replay", "--projection", "balances"]);
    let first = async || (parked_by_projection(&postgres).await < all as i64).then_some(());
    eventually("the first events are replayed", first).await;
    kill(&mut projection).await;
    projection = bank.process(&["project"]);
    bank.await_parked(&postgres, 0).await;
    say(&format!("volume: the projection replayed them, peak {} MiB", peak_memory(&projection)));
    kill(&mut replay).await;

    let balance: i64 =
        sqlx::query_scalar("select pence from bank.balances").fetch_one(&postgres).await.unwrap();
    assert_eq!(balance, 1_000_000 + followers as i64);
    bank.succeed(&["verify", "--strict"], "");
    stop(&mut relay).await;
    stop(&mut projection).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_skipped_events_are_remembered() {
    let skipped = number("SKIPPED", 20_000);
    let bank = Bank::start("on_bad_event = \"skip\"").await;
    bank.succeed(&["setup"], "");
    let mut relay = bank.process(&["relay"]);
    bank.append(STREAM, [PENNY.to_owned()]).await;
    eventually("the first record", async || (bank.end_of("bank.accounts") > 0).then_some(())).await;
    say(&format!("volume: a relay without exceptions, peak {} MiB", peak_memory(&relay)));

    let exceptions = "bank.exceptions.accounts";
    let before = bank.end_of(exceptions);
    bank.append(STREAM, std::iter::repeat_n("[]".to_owned(), skipped)).await;
    bank.kill_when_longer(&mut relay, exceptions, before).await;
    relay = bank.process(&["relay"]);
    bank.await_exceptions("skipped", skipped, exceptions).await;
    bank.append(STREAM, [PENNY.to_owned()]).await;
    stop(&mut relay).await;

    relay = bank.process(&["relay"]);
    let records = async || {
        let records = topic::committed_records(bank.stack.kafka_bootstrap().unwrap(), "bank.accounts");
        (records.len() == 2).then_some(records)
    };
    let records = eventually("the second record", records).await;
    say(&format!("volume: a relay that has loaded {skipped} exceptions, peak {} MiB", peak_memory(&relay)));
    let previous = topic::header(&records[1], "ce_previousrevision");
    assert_eq!(previous.as_deref(), Some("0"), "{:?}", records[1]);
    let report: Value = serde_json::from_str(&bank.succeed(&["verify", "--json"], "")).unwrap();
    assert_eq!((&report["relayed"], &report["skipped"]), (&2.into(), &skipped.into()), "{report}");
    let strict = bank.run(&["verify", "--strict"], "");
    assert_eq!(strict.status.code(), Some(1), "{strict:?}");
    stop(&mut relay).await;
}

//! Guarantees 1 (nothing is lost), 2 (nothing is duplicated), 3 (order is kept) and 6 (parked events are replayed in
//! order): kill -9 of relay and projection while they replay parked events and new events of the same streams arrive.
//!
//! `KILL_ROUNDS` kills each of them so many times (8), `KILL_SEED` repeats a run's random choices.

use std::time::{Duration, Instant};

use aqueduct_devstack::Child;
use aqueduct_projection::parked::{self, ParkedFilter};
use sqlx::PgPool;

use crate::bank::{BREAK, Bank, FIX, PARKED, kill, stop};
use crate::support::{eventually, say};
use crate::topic;

/// The projection parks its events: each round begins with a deposit that the table refuses.
const PROJECTED: &str = "account-projected";
/// The relay parks its events: each round begins with an event that is not a JSON object.
const RELAYED: &str = "account-relayed";
const REFUSED_DEPOSIT: i64 = 1_000_000;
/// Deposits of a penny behind each bad event: a replay needs several steps for them.
const FOLLOWERS: usize = 1_200;
/// Deposits of a penny that arrive during a replay.
const NEW_EVENTS: usize = 50;
/// The longest random wait before a kill.
const LONGEST_WAIT_MS: u64 = 1_000;
/// At least one quarter of the kills must fall between the first and the last step of a replay.
const INSIDE: usize = 4;

/// Records how the inbox of each stream advances.
const LOG_MOVES: &str = "
    create table bank.moves (id bigint generated always as identity, stream text, before bigint, after bigint);
    create function bank.log_move() returns trigger language plpgsql as $$ begin
        insert into bank.moves (stream, before, after) values (new.stream, coalesce(old.revision, -1), new.revision);
        return null;
    end $$;
    create trigger moves after insert or update on aqueduct.inbox_streams
        for each row execute function bank.log_move();
";
const DISORDERED_MOVES: &str = "
    select count(*)
      from (select before, after, lag(after, 1, -1::bigint) over (partition by stream order by id) as last
              from bank.moves) m
     where before <> last or after < before";

struct Killed {
    bank: Bank,
    postgres: PgPool,
}

impl Killed {
    fn discard(&self) -> Child {
        let selection = ["--route", "accounts", "--stream", RELAYED, "--code", "not_json", "--yes"];
        self.bank.process(&[&["parked", "discard"][..], &selection].concat())
    }

    async fn number(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.postgres).await.unwrap()
    }

    async fn alter(&self, statement: &'static str) {
        sqlx::raw_sql(statement).execute(&self.postgres).await.unwrap();
    }

    /// Where the records of the relay's stream end.
    fn end(&self) -> i64 {
        topic::end_of(self.bank.stack.kafka_bootstrap().unwrap(), "bank.accounts", RELAYED)
    }

    /// Fills both streams with a bad event and followers, and waits until all are parked.
    async fn park(&self) {
        self.alter(BREAK).await;
        let bad = std::iter::once("[]".to_owned());
        self.bank.append(RELAYED, bad.chain(deposits(RELAYED, FOLLOWERS))).await;
        let refused = std::iter::once(booked(PROJECTED, REFUSED_DEPOSIT));
        let withdrawal = std::iter::once(booked(PROJECTED, -REFUSED_DEPOSIT));
        self.bank.append(PROJECTED, refused.chain(deposits(PROJECTED, FOLLOWERS)).chain(withdrawal)).await;
        eventually("the projection has parked a stream", async || {
            (self.number(PARKED).await == FOLLOWERS as i64 + 2).then_some(())
        })
        .await;
        eventually("the relay has parked a stream", async || {
            (self.bank.exceptions("parked") == FOLLOWERS + 1).then_some(())
        })
        .await;
        self.alter(FIX).await;
    }

    /// Kills a relay during a replay. Returns whether it had written some of the records, and not all. (What is still
    /// parked is not known before the next relay has ended the transaction that is open now.)
    async fn kill_relay(&self, mut relay: Child, aim: Option<i64>, wait: Duration) -> bool {
        let before = self.end();
        if let Some(records) = aim {
            eventually("the replay is at the kill", async || (self.end() > before + records).then_some(()))
                .await;
        } else {
            tokio::time::sleep_until((Instant::now() + wait).into()).await;
        }
        kill(&mut relay).await;
        (before + 1..before + FOLLOWERS as i64).contains(&self.end())
    }

    /// Kills a projection during a replay. Returns whether some events were replayed and others were not.
    async fn kill_projection(&self, mut projection: Child, aimed: bool, wait: Duration) -> bool {
        let all = self.number(PARKED).await;
        let by_stream = ParkedFilter { stream: Some(PROJECTED.to_owned()), ..ParkedFilter::default() };
        parked::replay(&self.postgres, &by_stream).await.unwrap().unwrap();
        if aimed {
            eventually("the replay has begun", async || (self.number(PARKED).await < all).then_some(()))
                .await;
        } else {
            tokio::time::sleep_until((Instant::now() + wait).into()).await;
        }
        kill(&mut projection).await;
        (1..all).contains(&self.number(PARKED).await)
    }

    /// Waits until nothing is parked. A discard that was not recorded before its relay died is requested again.
    async fn replayed(&self, mut discard: Child) {
        eventually("all events are replayed", async || {
            let (projected, relayed) = (self.number(PARKED).await, self.bank.exceptions("parked"));
            if relayed > 0 && discard.ended().unwrap().is_some() {
                discard = self.discard();
            }
            (projected == 0 && relayed == 0).then_some(())
        })
        .await;
    }
}

fn booked(stream: &str, pence: i64) -> String {
    format!(r#"{{"account": "{stream}", "pence": {pence}}}"#)
}

fn deposits(stream: &str, count: usize) -> impl Iterator<Item = String> {
    std::iter::repeat_n(booked(stream, 1), count)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_during_replays_nothing_is_lost_doubled_or_reordered() {
    let rounds: usize = std::env::var("KILL_ROUNDS").map_or(8, |rounds| rounds.parse().unwrap());
    let seed = std::env::var("KILL_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    say(&format!("kills during replays: {rounds} rounds, KILL_SEED={seed}"));
    let mut random = fastrand::Rng::with_seed(seed);

    let mut bank = Bank::start("on_bad_event = \"park\"").await;
    bank.environment.extend([
        ("AQUEDUCT_RELAY__SESSION_TIMEOUT_MS", "6000".to_owned()),
        ("AQUEDUCT_PROJECTION__SESSION_TIMEOUT_MS", "6000".to_owned()),
        // About twelve transactions for each replay.
        ("AQUEDUCT_RELAY__BATCH_RECORDS", "300".to_owned()),
    ]);
    bank.succeed(&["setup"], "");
    let killed = Killed { postgres: bank.postgres().await, bank };
    let bank = &killed.bank;
    killed.alter(LOG_MOVES).await;

    let (mut relay, mut projection) = (bank.process(&["relay"]), bank.process(&["project"]));
    let (mut relay_inside, mut projection_inside) = (0, 0);
    for round in 0..rounds {
        killed.park().await;
        let mut wait = || Duration::from_millis(random.u64(..LONGEST_WAIT_MS));
        let (relay_wait, projection_wait) = (wait(), wait());
        let discard = killed.discard();
        let new_events = async {
            bank.append(PROJECTED, deposits(PROJECTED, NEW_EVENTS)).await;
            bank.append(RELAYED, deposits(RELAYED, NEW_EVENTS)).await;
        };
        let is_aimed = round % 2 == 0;
        let aim = is_aimed.then(|| random.i64(0..FOLLOWERS as i64 / 2));
        let kill_relay = killed.kill_relay(relay, aim, relay_wait);
        let kill_projection = killed.kill_projection(projection, is_aimed, projection_wait);
        let (is_inside_relay, is_inside_projection, ()) =
            tokio::join!(kill_relay, kill_projection, new_events);
        relay_inside += usize::from(is_inside_relay);
        projection_inside += usize::from(is_inside_projection);
        (relay, projection) = (bank.process(&["relay"]), bank.process(&["project"]));
        killed.replayed(discard).await;
    }
    say(&format!("kills inside a replay: relay {relay_inside}, projection {projection_inside} of {rounds}"));

    let expected = (rounds * (FOLLOWERS + NEW_EVENTS)) as i64;
    eventually("the balances are those of the store", async || {
        let rows = sqlx::query_as("select account, pence from bank.balances order by account");
        let balances: Vec<(String, i64)> = rows.fetch_all(&killed.postgres).await.unwrap();
        (balances == [(PROJECTED.to_owned(), expected), (RELAYED.to_owned(), expected)]).then_some(())
    })
    .await;
    assert_eq!(killed.number(DISORDERED_MOVES).await, 0, "each inbox advances in order");
    bank.succeed(&["verify"], "");
    for inside in [relay_inside, projection_inside] {
        assert!(inside >= rounds / INSIDE, "{inside} of {rounds}");
    }
    for process in [&mut relay, &mut projection] {
        stop(process).await;
    }
}

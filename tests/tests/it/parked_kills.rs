//! Guarantees 1 (nothing is lost), 2 (nothing is duplicated), 3 (order is kept) and 6 (parked events are replayed in
//! order): kill -9 of relay and projection while they replay parked events and new events of the same streams arrive.
//!
//! `KILL_ROUNDS` kills each of them so many times (8), `KILL_SEED` repeats a run's random choices.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use aqueduct_core::{EventStore as _, ExpectedRevision, NewEvent};
use aqueduct_devstack::{Child, Conditions, DevStack, Options};
use aqueduct_eventstore::EventStoreDb;
use aqueduct_projection::parked::{self, Selection};
use nix::sys::signal::Signal;
use serde_json::Value;
use sqlx::PgPool;

use crate::bank::{BANK, CONFIGURATION, SCHEMA};
use crate::support::{PATIENCE, eventually, say};

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
/// At least one quarter of the kills of the projection must fall between the first and the last step of a replay.
const INSIDE: usize = 4;

const BREAK: &str = "alter table bank.balances add constraint refused check (pence < 1000000)";
const FIX: &str = "alter table bank.balances drop constraint refused";
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
const PARKED: &str = "select count(*) from aqueduct.parked where state = 'parked'";

struct Bank<'a> {
    folder: &'a Path,
    environment: Vec<(&'static str, String)>,
    store: EventStoreDb,
    postgres: PgPool,
}

impl Bank<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BANK);
        command.args(arguments).current_dir(self.folder);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn process(&self, arguments: &[&str]) -> Child {
        let log = self.folder.join(format!("{}.log", arguments[0]));
        Child::spawn(self.command(arguments), &Conditions::plain(), &log).unwrap()
    }

    fn discard(&self) -> Child {
        let selection = ["--route", "accounts", "--stream", RELAYED, "--code", "not_json", "--yes"];
        self.process(&[&["parked", "discard"][..], &selection].concat())
    }

    async fn append(&self, stream: &str, data: impl IntoIterator<Item = String>) {
        let event = |data: String| NewEvent {
            id: format!("{:08x}-0000-4000-8000-{:012x}", fastrand::u32(..), fastrand::u64(..1 << 48))
                .parse()
                .unwrap(),
            event_type: "Booked".to_owned(),
            data: data.into_bytes().into(),
            metadata: Default::default(),
        };
        let events: Vec<_> = data.into_iter().map(event).collect();
        self.store.append(&stream.into(), ExpectedRevision::Any, &events).await.unwrap();
    }

    async fn number(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.postgres).await.unwrap()
    }

    async fn alter(&self, statement: &'static str) {
        sqlx::raw_sql(statement).execute(&self.postgres).await.unwrap();
    }

    /// Number of events that the relay has parked and neither replayed nor discarded.
    fn parked_by_relay(&self) -> usize {
        let list = ["parked", "list", "--route", "accounts", "--json", "--limit", "1000000"];
        let output = self.command(&list).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let listed = String::from_utf8(output.stdout).unwrap();
        let is_parked = |line: &&str| serde_json::from_str::<Value>(line).unwrap()["state"] == "parked";
        listed.lines().filter(is_parked).count()
    }

    /// Fills both streams with a bad event and followers, and waits until all are parked.
    async fn park(&self) {
        self.alter(BREAK).await;
        let bad = std::iter::once("[]".to_owned());
        self.append(RELAYED, bad.chain(deposits(RELAYED, FOLLOWERS))).await;
        let refused = std::iter::once(booked(PROJECTED, REFUSED_DEPOSIT));
        let withdrawal = std::iter::once(booked(PROJECTED, -REFUSED_DEPOSIT));
        self.append(PROJECTED, refused.chain(deposits(PROJECTED, FOLLOWERS)).chain(withdrawal)).await;
        eventually("the projection has parked a stream", async || {
            (self.number(PARKED).await == FOLLOWERS as i64 + 2).then_some(())
        })
        .await;
        eventually("the relay has parked a stream", async || {
            (self.parked_by_relay() == FOLLOWERS + 1).then_some(())
        })
        .await;
        self.alter(FIX).await;
    }

    /// Kills a projection during a replay. Returns whether some events were replayed and others were not.
    async fn kill_projection(&self, mut projection: Child, aimed: bool, wait: Duration) -> bool {
        let all = self.number(PARKED).await;
        let by_stream = Selection { stream: Some(PROJECTED.to_owned()), ..Selection::default() };
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
            let (projected, relayed) = (self.number(PARKED).await, self.parked_by_relay());
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

async fn kill(process: &mut Child) {
    process.signal(Signal::SIGKILL);
    assert!(process.wait(PATIENCE).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_during_replays_nothing_is_lost_doubled_or_reordered() {
    let rounds: usize = std::env::var("KILL_ROUNDS").map_or(8, |rounds| rounds.parse().unwrap());
    let seed = std::env::var("KILL_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    say(&format!("kills during replays: {rounds} rounds, KILL_SEED={seed}"));
    let mut random = fastrand::Rng::with_seed(seed);

    let folder = tempfile::tempdir().unwrap();
    let schema = folder.path().join("schemas/bank/Booked/v1.avsc");
    std::fs::create_dir_all(schema.parent().unwrap()).unwrap();
    std::fs::write(schema, SCHEMA).unwrap();
    let configuration = format!("{CONFIGURATION}on_bad_event = \"park\"\n");
    std::fs::write(folder.path().join("aqueduct.toml"), configuration).unwrap();
    let stack = DevStack::start(Options::all()).await.unwrap();
    let store = stack.event_store_url().unwrap();
    let postgres = stack.postgres_url().unwrap();
    let environment = vec![
        ("AQUEDUCT_EVENTSTORE__URL", store.to_owned()),
        ("AQUEDUCT_KAFKA__BROKERS", stack.kafka_bootstrap().unwrap().to_owned()),
        ("AQUEDUCT_REGISTRY__URL", stack.registry_url().unwrap().to_owned()),
        ("AQUEDUCT_POSTGRES__URL", postgres.to_owned()),
        ("AQUEDUCT_RELAY__SESSION_TIMEOUT_MS", "6000".to_owned()),
        ("AQUEDUCT_PROJECTION__SESSION_TIMEOUT_MS", "6000".to_owned()),
    ];
    let bank = Bank {
        folder: folder.path(),
        environment,
        store: EventStoreDb::new(aqueduct_eventstore::Options::new(store)).unwrap(),
        postgres: PgPool::connect(postgres).await.unwrap(),
    };
    let setup = bank.command(&["setup"]).output().unwrap();
    assert!(setup.status.success(), "{setup:?}");
    bank.alter(LOG_MOVES).await;

    let (mut relay, mut projection) = (bank.process(&["relay"]), bank.process(&["project"]));
    let (mut relay_inside, mut projection_inside) = (0, 0);
    for round in 0..rounds {
        bank.park().await;
        let mut wait = || Duration::from_millis(random.u64(..LONGEST_WAIT_MS));
        let (relay_wait, projection_wait) = (wait(), wait());
        let discard = bank.discard();
        let new_events = async {
            bank.append(PROJECTED, deposits(PROJECTED, NEW_EVENTS)).await;
            bank.append(RELAYED, deposits(RELAYED, NEW_EVENTS)).await;
        };
        let kill_relay = async {
            tokio::time::sleep_until((Instant::now() + relay_wait).into()).await;
            kill(&mut relay).await;
        };
        let kill_projection = bank.kill_projection(projection, round % 2 == 0, projection_wait);
        let (is_inside, (), ()) = tokio::join!(kill_projection, kill_relay, new_events);
        projection_inside += usize::from(is_inside);
        relay_inside += usize::from((1..=FOLLOWERS).contains(&bank.parked_by_relay()));
        (relay, projection) = (bank.process(&["relay"]), bank.process(&["project"]));
        bank.replayed(discard).await;
    }
    say(&format!("kills inside a replay: relay {relay_inside}, projection {projection_inside} of {rounds}"));

    let expected = (rounds * (FOLLOWERS + NEW_EVENTS)) as i64;
    eventually("the balances are those of the store", async || {
        let rows = sqlx::query_as("select account, pence from bank.balances order by account");
        let balances: Vec<(String, i64)> = rows.fetch_all(&bank.postgres).await.unwrap();
        (balances == [(PROJECTED.to_owned(), expected), (RELAYED.to_owned(), expected)]).then_some(())
    })
    .await;
    assert_eq!(bank.number(DISORDERED_MOVES).await, 0, "each inbox advances in order");
    let verified = bank.command(&["verify"]).output().unwrap();
    assert!(verified.status.success(), "{verified:?}");
    assert!(projection_inside >= rounds / INSIDE, "{projection_inside} of {rounds}");
    for process in [&mut relay, &mut projection] {
        process.signal(Signal::SIGTERM);
        assert!(process.wait(PATIENCE).await.unwrap().is_some_and(|status| status.success()));
    }
}

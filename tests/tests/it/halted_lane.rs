//! Guarantees 1 (nothing is lost) and 6 (other streams continue): a lane is halted for long while large events flow through
//! the reader that it shares with another one.
//!
//! `HALTED_MINUTES` spreads the events over so many minutes, with at least one of each lane a second (0).

use std::time::Duration;

use aqueduct_core::{EventStore as _, ExpectedRevision, NewEvent};
use aqueduct_relay::{header, partition_of};
use rdkafka::message::Message as _;
use serde_json::Value;

use crate::bank::{Bank, stop};
use crate::support::{eventually, say, while_moving};
use crate::topic;
use crate::volume::{number, peak_memory};

const LANES: u32 = 2;
const TOPIC: &str = "bank.accounts";
/// An event of a type that is published late, and its schema.
const LATE: &str = "Closed";
const LATE_SCHEMA: &str = r#"{"type": "record", "name": "Closed", "namespace": "bank", "fields": [{ "name": "account", "type": "string" }]}"#;
/// Bytes of an event. The store takes a mebibyte, the relay records of a megabyte.
const EVENT: usize = 900_000;
/// Events of each lane that are relayed before one is halted, and again while it is. Those of one lane are 137 MiB.
const EVENTS: usize = 160;
/// What a relay may use for the events that wait for lanes, in MiB.
const BUFFER: u64 = 64;
/// The same for batches: each of the two lanes fills one of 8 MiB and writes another.
const BATCHES: u64 = 32;

/// A stream of a lane.
fn of_lane(lane: u32) -> String {
    let mut streams = (0..).map(|n| format!("account-{n}")).filter(|it| partition_of(it, LANES) == lane);
    streams.next().unwrap()
}

fn large(n: usize) -> String {
    format!(r#"{{"account": "{}", "pence": {n}}}"#, "x".repeat(EVENT))
}

fn is_halted(lane: &Value) -> bool {
    lane["state"] == "halted" && lane["problem"].as_str().is_some_and(|it| it.contains("not registered"))
}

impl Bank {
    fn committed(&self, stream: &str) -> i64 {
        topic::end_of(self.stack.kafka_bootstrap().unwrap(), TOPIC, stream)
    }

    /// Appends so many large events to each of the streams, one of each at this pace.
    async fn append_to_each(&self, streams: [&str; 2], events: usize, pace: Duration) {
        let mut pace = tokio::time::interval(pace.max(Duration::from_millis(1)));
        for n in 0..events {
            pace.tick().await;
            for stream in streams {
                self.append(stream, [large(n)]).await;
            }
        }
    }

    /// Waits until all lanes but `halted` have relayed all, as long as they progress.
    async fn relayed(&self, halted: usize) {
        while_moving("the lanes have relayed all", async || {
            let lanes = self.status()["lanes"].clone();
            let done = |lane: &&Value| lane["state"] == "running" && lane["lag"] == 0;
            let relayed = lanes.as_array().unwrap().iter().filter(done).count();
            if relayed + halted == LANES as usize { Ok(()) } else { Err(lanes) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_is_halted_for_long_takes_no_memory_and_is_complete_afterwards() {
    let minutes = number("HALTED_MINUTES", 0);
    let mut bank = Bank::start("").await;
    // Several attempts, each of which reads what waits.
    let settings =
        [("AQUEDUCT_RELAY__LANES", LANES.to_string()), ("AQUEDUCT_RELAY__HALT_RETRY_MS", "5000".into())];
    bank.environment.extend(settings);
    bank.succeed(&["setup"], "");
    let schema = bank.path("schemas/bank/Closed/v1.avsc");
    std::fs::create_dir_all(schema.parent().unwrap()).unwrap();
    std::fs::write(schema, LATE_SCHEMA).unwrap();
    let policy = format!("[topics.\"{TOPIC}\"]\nevents = [\"Booked\", \"{LATE}\"]\n");
    std::fs::write(bank.path("schemas/policy.toml"), policy).unwrap();
    let [halted, other] = [0, 1].map(of_lane);

    let mut relay = bank.process(&["relay"]);
    bank.append_to_each([&halted, &other], EVENTS, Duration::ZERO).await;
    bank.relayed(0).await;
    let both_relay = peak_memory(&relay);
    say(&format!("halted lane: both lanes relayed {EVENTS} events of {EVENT} bytes, peak {both_relay} MiB"));

    let late = NewEvent {
        id: "00000000-0000-4000-8000-000000000001".parse().unwrap(),
        event_type: LATE.to_owned(),
        data: r#"{"account": "1"}"#.into(),
        metadata: Default::default(),
    };
    bank.store.append(&halted.as_str().into(), ExpectedRevision::Any, &[late]).await.unwrap();
    let one_is_halted = async || {
        let lanes = bank.status()["lanes"].clone();
        lanes.as_array().unwrap().iter().any(is_halted).then_some(())
    };
    eventually("a lane is halted", one_is_halted).await;
    let before = bank.committed(&halted);
    let events = EVENTS.max(minutes * 60);
    let pace = Duration::from_secs(minutes as u64 * 60) / events as u32;
    bank.append_to_each([&halted, &other], events, pace).await;
    bank.relayed(1).await;
    eventually("the lane is still halted", one_is_halted).await;
    assert_eq!(bank.committed(&halted), before, "nothing passes the event");
    let peak = peak_memory(&relay);
    say(&format!("halted lane: {events} events of each lane went by, peak {peak} MiB"));
    assert!(peak < both_relay + BUFFER, "{both_relay} MiB before, {peak} MiB");

    bank.succeed(&["schemas", "publish"], "");
    bank.relayed(0).await;
    let peak = peak_memory(&relay);
    say(&format!("halted lane: relayed, peak {peak} MiB"));
    assert!(peak < both_relay + BUFFER + BATCHES, "{both_relay} MiB before, {peak} MiB");
    stop(&mut relay).await;

    let records = topic::committed_records(bank.stack.kafka_bootstrap().unwrap(), TOPIC);
    for (stream, count) in [(&halted, EVENTS + 1 + events), (&other, EVENTS + events)] {
        let of_stream = records.iter().filter(|it| it.key() == Some(stream.as_bytes()));
        let revisions =
            of_stream.map(|it| topic::header(it, header::REVISION).unwrap().parse::<usize>().unwrap());
        assert!(revisions.eq(0..count), "{stream}: each of {count} events once, in order");
    }
    let large = records.iter().filter(|it| it.payload().is_some_and(|it| it.len() > EVENT)).count();
    assert_eq!((large, records.len()), (2 * (EVENTS + events), 2 * (EVENTS + events) + 1));
}

//! The player has teeth: a recording that was tampered with does not pass, and the player says where.

use aqueduct_devstore::Options;
use serde_json::{Value, json};

use crate::{
    player::play,
    recordings::{connect, load},
    support::Running,
};

/// A recording with one thing wrong.
struct Falsified {
    how: &'static str,
    /// Counted from 1.
    step: usize,
    recording: Value,
}

/// The first place where `change` finds something to falsify, and the recording with it.
fn falsify(recording: &Value, how: &'static str, change: impl Fn(&mut Value) -> bool) -> Option<Falsified> {
    let mut recording = recording.clone();
    let steps = recording["steps"].as_array_mut().unwrap();
    let step = steps.iter_mut().position(change)? + 1;
    Some(Falsified { how, step, recording })
}

fn all_ways(recording: &Value) -> Vec<Falsified> {
    let ways = [
        falsify(recording, "another revision", |step| {
            let messages = step["receive"].as_array_mut().into_iter().flatten();
            let mut revisions = messages.filter_map(revision);
            revisions.next().map(|revision| *revision = json!("77")).is_some()
        }),
        falsify(recording, "another status", |step| match step.get_mut("status") {
            Some(status) if status["code"] == "OK" => {
                *status = json!({ "code": "INVALID_ARGUMENT" });
                true
            }
            Some(status) => {
                *status = json!({ "code": "OK" });
                true
            }
            None => false,
        }),
        falsify(recording, "other data", |step| {
            let messages = step["receive"].as_array_mut().into_iter().flatten();
            let mut data = messages.filter_map(|message| message.pointer_mut("/event/event/data"));
            data.next().map(|data| *data = json!({ "$utf8": "{\"n\":77}" })).is_some()
        }),
        falsify(recording, "a message dropped", |step| match step.get_mut("receive") {
            // Where the call ends, so that the one too many comes to light in this step.
            Some(Value::Array(messages)) if messages.len() > 1 => messages.pop().is_some(),
            _ => false,
        }),
        falsify(recording, "a message more", |step| match step.get_mut("receive") {
            Some(Value::Array(messages)) if !messages.is_empty() => {
                messages.push(messages[0].clone());
                true
            }
            _ => false,
        }),
        falsify(recording, "two messages swapped", |step| match step.get_mut("receive") {
            Some(Value::Array(messages)) if messages.len() > 1 => {
                messages.swap(0, 1);
                true
            }
            _ => false,
        }),
        falsify(recording, "two positions swapped", |step| {
            let messages = step["receive"].as_array_mut().into_iter().flatten();
            let mut positions = messages.filter_map(|m| m.pointer_mut("/event/event/commit_position"));
            let (first, second) = (positions.next(), positions.next());
            first.zip(second).map(|(first, second)| std::mem::swap(first, second)).is_some()
        }),
    ];
    ways.into_iter().flatten().collect()
}

fn revision(message: &mut Value) -> Option<&mut Value> {
    let places = ["/success/current_revision", "/event/event/stream_revision", "/last_stream_position"];
    let place = places.into_iter().find(|place| message.pointer(place).is_some())?;
    message.pointer_mut(place)
}

/// Plays one recording as it is, which passes, and falsified in every way that it has room for.
async fn falsified_copies_fail(file: &str, ways: usize) {
    let recordings = load("scripted.jsonl.gz");
    let recording = recordings.iter().find(|recording| recording["file"] == file).unwrap();
    on_a_fresh_server(recording).await.unwrap();
    let falsified = all_ways(recording);
    assert_eq!(falsified.len(), ways, "{:?}", falsified.iter().map(|f| f.how).collect::<Vec<_>>());
    for Falsified { how, step, recording } in falsified {
        let Err((at, what)) = on_a_fresh_server(&recording).await else { panic!("{file} passed with {how}") };
        // An open call may bring what is too much only after the step.
        assert!(at >= step, "{file} with {how} in step {step}: step {at} differs: {what}");
    }
}

async fn on_a_fresh_server(recording: &Value) -> Result<(), (usize, String)> {
    let server = Running::start(Options::in_memory()).await;
    let channel = connect(&server).await;
    let result = play(&channel, recording).await;
    drop(channel);
    server.stop().await;
    result.map_err(|difference| (difference.step, difference.what))
}

#[tokio::test(flavor = "multi_thread")]
async fn append() {
    falsified_copies_fail("append__three", 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn read() {
    falsified_copies_fail("read__three", 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idempotency() {
    falsified_copies_fail("idempotency__whole-any", 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata() {
    falsified_copies_fail("metadata__maxCount", 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all() {
    falsified_copies_fail("all__filter-stream-prefix", 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribe() {
    falsified_copies_fail("subscribe__tombstone", 6).await;
}

//! The recordings of the real server, played to this one.

use std::io::Write as _;
use std::{fs::File, io::BufReader, path::Path};

use aqueduct_devstore::Options;
use flate2::read::GzDecoder;
use serde_json::Value;
use tonic::transport::Channel;

use crate::{player::play, support::Running};

/// What the server must answer alike: the measure, and deletions, which others rest on.
const KINDS: [&[&str]; 2] =
    [&["append", "read", "idempotency", "metadata", "all", "subscribe"], &["delete", "tombstone"]];

/// Kinds that are not played, with the reason.
const OTHER_KINDS: [(&str, &str); 4] = [
    ("batch-append", "BatchAppend is not served"),
    ("links", "links are not followed"),
    ("persistent", "persistent subscriptions are not served"),
    ("server", "the answers name what the real server offers and where it ran; this one's are tested beside"),
];

/// Not played, with the reason.
const LEFT_OUT: [(&str, &str); 2] = [
    ("subscribe__links", "follows links, which the server refuses"),
    ("idempotency__batch-append", "uses BatchAppend, which the server refuses"),
];

pub(crate) fn load(archive: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/eventstore-golden").join(archive);
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let reader = BufReader::new(GzDecoder::new(file));
    serde_json::Deserializer::from_reader(reader).into_iter().map(Result::unwrap).collect()
}

fn kind(recording: &Value) -> &str {
    recording["file"].as_str().unwrap().split("__").next().unwrap()
}

pub(crate) async fn connect(server: &Running) -> Channel {
    let endpoint =
        format!("http://{}", server.handle.address()).parse::<tonic::transport::Endpoint>().unwrap();
    endpoint.connect().await.unwrap()
}

/// Plays all that are not left out, in order on one server, and fails with all differences.
async fn play_scripted(options: Options) {
    let server = Running::start(options).await;
    let channel = connect(&server).await;
    let recordings = scripted();
    let mut differences = Vec::new();
    for kinds in KINDS {
        let (mut alike, mut all) = (0, 0);
        for recording in recordings.iter().filter(|recording| kinds.contains(&kind(recording))) {
            all += 1;
            match play(&channel, recording).await {
                Ok(()) => alike += 1,
                Err(difference) => differences.push(difference.to_string()),
            }
        }
        say(&format!("{alike} of {all} recordings answered alike: {}", kinds.join(", ")));
    }
    for (file, reason) in LEFT_OUT {
        say(&format!("left out: {file}, it {reason}"));
    }
    assert!(differences.is_empty(), "these were answered otherwise:\n{}", differences.join("\n"));
    drop(channel);
    server.stop().await;
}

fn scripted() -> Vec<Value> {
    let mut recordings = load("scripted.jsonl.gz");
    for kind in recordings.iter().map(kind) {
        let known = KINDS.concat().contains(&kind) || OTHER_KINDS.iter().any(|(other, _)| *other == kind);
        assert!(known, "nobody says what is to be done with recordings of {kind}");
    }
    recordings.retain(|recording| KINDS.concat().contains(&kind(recording)));
    for (file, _) in LEFT_OUT {
        let before = recordings.len();
        recordings.retain(|recording| recording["file"] != file);
        assert_eq!(recordings.len() + 1, before, "{file} is not among the recordings");
    }
    recordings
}

#[tokio::test(flavor = "multi_thread")]
async fn scripted_in_memory() {
    play_scripted(Options::in_memory()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scripted_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    play_scripted(Options::durable(folder.path())).await;
}

/// Eighty random operations each; links come up in most, and there a recording cannot be followed further.
#[tokio::test(flavor = "multi_thread")]
async fn random_until_a_link_is_followed() {
    let server = Running::start(Options::in_memory()).await;
    let channel = connect(&server).await;
    let (mut played, mut steps) = (0, 0);
    for recording in load("random.jsonl.gz") {
        let length = recording["steps"].as_array().unwrap().len();
        steps += length;
        played += match play(&channel, &recording).await {
            Ok(()) => length,
            Err(difference) if difference.what.contains("following links is not supported") => {
                difference.step - 1
            }
            Err(difference) => panic!("{difference}"),
        };
    }
    say(&format!("{played} of {steps} steps of the random recordings answered alike"));
    assert!(played * 2 > steps, "{played} of {steps} steps could be played");
    drop(channel);
    server.stop().await;
}

/// Says something that is worth knowing of a test that passes too: past the capture of its output.
fn say(text: &str) {
    std::io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
}

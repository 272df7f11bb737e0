//! What was acknowledged is there after kill -9, and appends that were under way leave nothing half done.
//!
//! A killed process loses what it holds in memory, not what the kernel holds for it: that an append is
//! on disk when it is acknowledged rests on fdatasync, which no test on one machine can show.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use aqueduct_devstore::{Options, start};
use eventstore::{Client, ReadStreamOptions, StreamPosition};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tonic::transport::Endpoint;

use crate::{
    recordings::connect,
    support::Running,
    wire::{append, new_ids},
};

/// The folder of the process to be killed.
const FOLDER: &str = "DEVSTORE_TEST_FOLDER";
const WRITERS: usize = 16;
/// Kills, by the number of acknowledged appends at which they come.
const KILLS: [usize; 4] = [1, 40, 333, 900];

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_appends_survive_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    // Of each stream, how many events were acknowledged.
    let acknowledged: Arc<Mutex<Vec<u64>>> = Arc::new(Mutex::new(vec![0; WRITERS]));
    for kill_at in KILLS {
        append_until_killed(folder.path(), kill_at, &acknowledged).await;

        let server = Running::start(Options::durable(folder.path())).await;
        let client = Client::new(server.handle.connection_string().parse().unwrap()).unwrap();
        for writer in 0..WRITERS {
            let events = events_of(&client, &format!("writer-{writer}")).await;
            let count = acknowledged.lock()[writer];
            assert!(events >= count, "writer-{writer} has {events} events, {count} were acknowledged");
            // Appends are of two events, all or nothing.
            assert_eq!(events % 2, 0, "writer-{writer} has half an append");
            acknowledged.lock()[writer] = events;
        }
        let positions = all_positions(&client).await;
        assert_eq!(positions.len() as u64, acknowledged.lock().iter().sum::<u64>());
        assert!(positions.is_sorted(), "$all is out of order");
        server.stop().await;
    }
}

/// Starts a server, appends from many writers, kills it with appends under way.
async fn append_until_killed(folder: &std::path::Path, kill_at: usize, acknowledged: &Arc<Mutex<Vec<u64>>>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "durability::process_to_be_killed", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines
        .map(Result::unwrap)
        .find_map(|line| line.split_once("listens on ").map(|(_, address)| address.to_owned()))
        .unwrap();
    let channel = format!("http://{address}").parse::<Endpoint>().unwrap().connect().await.unwrap();

    let under_way = Arc::new(AtomicUsize::new(0));
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    for writer in 0..WRITERS {
        let (channel, acknowledged) = (channel.clone(), acknowledged.clone());
        let (under_way, tell) = (under_way.clone(), tell.clone());
        tokio::spawn(async move {
            loop {
                under_way.fetch_add(1, Ordering::SeqCst);
                let result = append(&channel, &format!("writer-{writer}"), &new_ids(2)).await;
                under_way.fetch_sub(1, Ordering::SeqCst);
                let Ok((revision, _)) = result else { return };
                let mut counts = acknowledged.lock();
                assert!(revision >= counts[writer], "writer-{writer}: revision {revision} was given twice");
                counts[writer] = revision + 1;
                let _ = tell.send(());
            }
        });
    }
    drop(tell);
    for _ in 0..kill_at {
        told.recv().await.unwrap();
    }
    assert!(under_way.load(Ordering::SeqCst) > 0, "nothing was under way at the kill");
    child.kill().unwrap();
    child.wait().unwrap();
    // Every writer has met the end of the server.
    while told.recv().await.is_some() {}
}

async fn events_of(client: &Client, stream: &str) -> u64 {
    let mut read = match client.read_stream(stream, &ReadStreamOptions::default().max_count(usize::MAX)).await
    {
        Ok(read) => read,
        Err(error) => panic!("{stream}: {error}"),
    };
    let mut next = 0;
    loop {
        match read.next().await {
            Ok(Some(event)) => {
                assert_eq!(event.get_original_event().revision, next, "{stream} has a hole");
                next += 1;
            }
            Ok(None) | Err(eventstore::Error::ResourceNotFound) => return next,
            Err(error) => panic!("{stream}: {error}"),
        }
    }
}

async fn all_positions(client: &Client) -> Vec<u64> {
    let options = eventstore::ReadAllOptions::default().position(StreamPosition::Start).max_count(usize::MAX);
    let mut read = client.read_all(&options).await.unwrap();
    let mut positions = Vec::new();
    while let Some(event) = read.next().await.unwrap() {
        positions.push(event.get_original_event().position.commit);
    }
    positions
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the process that acknowledged_appends_survive_kill_9 starts and kills"]
async fn process_to_be_killed() {
    let folder = std::env::var(FOLDER).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = start(Options::durable(folder), listener, std::future::pending()).await.unwrap();
    println!("listens on {}", server.address());
    server.stopped().await.unwrap();
}

/// Also without an expected revision: the ids of the last events are read back at the start.
#[tokio::test(flavor = "multi_thread")]
async fn an_append_repeated_after_a_restart_is_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let ids = new_ids(2);
    let server = Running::start(Options::durable(folder.path())).await;
    let first = append(&connect(&server).await, "s", &ids).await.unwrap();
    server.stop().await;

    let server = Running::start(Options::durable(folder.path())).await;
    let channel = connect(&server).await;
    assert_eq!(append(&channel, "s", &ids).await.unwrap(), first);
    assert_eq!(append(&channel, "s", &new_ids(1)).await.unwrap().0, 2);
    drop(channel);
    server.stop().await;
}

//! What is logged about the end of a subscription, and how fast it is replaced.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aqueduct_core::{EventStore as _, Position};
use aqueduct_eventstore::{EventStoreDb, Options};
use tonic::Code;
use tracing::Level;
use tracing::subscriber::DefaultGuard;

use crate::support::next_event;
use crate::support::scripted::{Answer, ScriptedServer};

/// The log of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn capture(&self) -> DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::DEBUG)
            .with_ansi(false)
            .with_writer(move || log.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn lines(&self, level: Level) -> Vec<String> {
        let log = self.0.lock().unwrap();
        let of_the_adapter = format!("{level} aqueduct_eventstore");
        String::from_utf8_lossy(&log)
            .lines()
            .filter(|line| line.contains(&of_the_adapter) && line.contains("resubscribing"))
            .map(str::to_owned)
            .collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads one event from each of the script's subscriptions.
async fn read_through(answers: Vec<Answer>) {
    let events = answers.len() as u64;
    let server = ScriptedServer::start(answers).await;
    let store = EventStoreDb::new(Options::new(&server.url)).unwrap();
    let mut subscription = store.subscribe_all(None);
    for revision in 0..events {
        assert_eq!(next_event(&mut subscription).await.revision, revision);
    }
}

fn one_event(revision: u64, end: Option<(Code, &'static str)>) -> Answer {
    Answer { events: vec![(revision, Position::at(100 + revision))], end }
}

/// EventStoreDB cuts off a live subscription for which 32 events wait, often under load.
#[tokio::test]
async fn a_consumer_that_was_too_slow_is_resubscribed_at_once_without_a_warning() {
    const CUTS: u64 = 200;
    /// Half of the shortest delay before any other resubscription, for each of them.
    const WITH_DELAYS: Duration = Duration::from_millis(25 * CUTS);
    let log = Log::default();
    let _capturing = log.capture();
    let cut = Some((Code::Aborted, "Consumer too slow to handle event while live"));
    let answers = (0..CUTS).map(|n| one_event(n, cut)).chain([one_event(CUTS, None)]);

    let started = Instant::now();
    read_through(answers.collect()).await;

    assert!(started.elapsed() < WITH_DELAYS, "{CUTS} resubscriptions took {:?}", started.elapsed());
    assert_eq!(log.lines(Level::DEBUG).len() as u64, CUTS);
    assert_eq!(log.lines(Level::WARN), [""; 0]);
}

#[tokio::test]
async fn any_other_end_is_reported_with_the_servers_code_and_message() {
    let log = Log::default();
    let _capturing = log.capture();
    read_through(vec![
        one_event(0, Some((Code::ResourceExhausted, "too many subscriptions"))),
        one_event(1, Some((Code::Unavailable, "server is not ready"))),
        one_event(2, Some((Code::Aborted, "shutting down"))),
        one_event(3, None),
    ])
    .await;

    let warnings = log.lines(Level::WARN);
    for (n, (code, message)) in [
        ("ResourceExhausted", "too many subscriptions"),
        ("Unavailable", "server is not ready"),
        ("Aborted", "shutting down"),
    ]
    .into_iter()
    .enumerate()
    {
        let warning = &warnings[n];
        assert!(warning.contains(code) && warning.contains(message), "{warning}");
        assert!(warning.contains("check the server's log") && !warning.contains("metadata"), "{warning}");
    }
    assert_eq!(warnings.len(), 3, "{warnings:#?}");
}

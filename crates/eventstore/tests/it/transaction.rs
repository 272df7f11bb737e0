//! Events that were written in one explicit transaction share a commit position.

use aqueduct_core::{EventStore as _, Position};
use aqueduct_eventstore::{EventStoreDb, Options};
use tonic::Code;

use crate::support::next_event;
use crate::support::scripted::{Answer, ScriptedServer};

const TRANSACTION: [Position; 3] = [
    Position { commit: 900, prepare: 500 },
    Position { commit: 900, prepare: 640 },
    Position { commit: 900, prepare: 780 },
];

/// Old clients write several events in one explicit transaction: they have one commit position and different
/// prepare positions. The server ends the subscription between two of the events; it would send the second one again.
#[tokio::test(flavor = "multi_thread")]
async fn every_event_of_an_explicit_transaction_is_delivered_once() {
    let [first, second, third] = TRANSACTION;
    let server = ScriptedServer::start(vec![
        Answer {
            events: vec![(0, Position::at(100)), (1, first), (2, second)],
            end: Some((Code::Unavailable, "the node is shutting down")),
        },
        Answer { events: vec![(2, second), (3, third), (4, Position::at(1_000))], end: None },
    ])
    .await;
    let store = EventStoreDb::new(Options::new(&server.url)).unwrap();
    let mut subscription = store.subscribe_all(None);

    let expected = [Position::at(100), first, second, third, Position::at(1_000)];
    for (revision, position) in (0..).zip(expected) {
        let event = next_event(&mut subscription).await;
        assert_eq!((event.revision, event.position), (revision, position));
    }
    assert_eq!(server.subscriptions(), [None, Some(second)]);
}

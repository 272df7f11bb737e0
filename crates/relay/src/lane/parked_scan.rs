//! Reading a lane's parked events back.

use std::ops::ControlFlow;

use aqueduct_core::with_causes;
use rdkafka::ClientConfig;
use rdkafka::message::{Message as _, OwnedMessage};
use tokio::sync::mpsc;

use crate::error::LaneError;
use crate::kafka::scan::{ReadEnd, Scan};
use crate::named_thread;
use crate::record::parked::ParkedEvent;

/// Parked events that wait to be dealt with. Each may be as large as a record.
const AHEAD: usize = 16;

/// What a scan finds.
pub(crate) enum Scanned {
    Event(Box<ScannedEvent>),
    /// All that had been written when this round began was found.
    End,
    /// The topic can't be read.
    Failed(LaneError),
}

/// A parked event, or one that was parked once: the exceptions tell.
pub(crate) struct ScannedEvent {
    pub(crate) parked: ParkedEvent,
    /// Where it is in the lane's partition of the parked topic; `None` if the topic does not have it.
    pub(crate) offset: Option<i64>,
}

/// Reads the lane's partition of the parked topic in order, on a thread of its own, until it is dropped. The events
/// of a stream come in the order of their revisions.
pub(crate) struct ParkedScan {
    found: mpsc::Receiver<Scanned>,
    thread: String,
    next_round: std::sync::mpsc::Sender<()>,
}

impl ParkedScan {
    /// Begins with a round over the partition from the given offset on, or from its first.
    pub(crate) fn start(
        config: ClientConfig,
        topic: &str,
        lane: u32,
        from: Option<i64>,
    ) -> Result<Self, LaneError> {
        let (send, found) = mpsc::channel(AHEAD);
        let (next_round, rounds) = std::sync::mpsc::channel();
        let (thread, topic) = (format!("{topic}-{lane}"), topic.to_owned());
        named_thread::spawn(&thread, move || {
            if let Err(error) = Scan::new(&config, &topic, lane as i32)
                .and_then(|scan| run(scan.starting_at(from), &topic, &send, &rounds))
            {
                let _ended = send.blocking_send(Scanned::Failed(error));
            }
        })?;
        Ok(Self { found, thread, next_round })
    }

    /// A scan that finds what the test sends.
    #[cfg(test)]
    pub(crate) fn scripted(found: mpsc::Receiver<Scanned>, next_round: std::sync::mpsc::Sender<()>) -> Self {
        Self { found, thread: "scripted".to_owned(), next_round }
    }

    /// Whether something was found that [`next`](Self::next) has not returned.
    pub(crate) fn has_found(&self) -> bool {
        !self.found.is_empty()
    }

    /// What the scan finds next.
    pub(crate) async fn next(&mut self) -> Scanned {
        let found = self.found.recv().await;
        found.unwrap_or_else(|| Scanned::Failed(LaneError::ThreadEnded { name: self.thread.clone() }))
    }

    /// Begins another round, over what has been written since the last one.
    pub(crate) fn next_round(&self) {
        let _ended = self.next_round.send(());
    }
}

fn run(
    mut scan: Scan,
    topic: &str,
    send: &mpsc::Sender<Scanned>,
    rounds: &std::sync::mpsc::Receiver<()>,
) -> Result<(), LaneError> {
    let proceed = || if send.is_closed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let take = |record: OwnedMessage| {
        let Some(parked) = parse(topic, &record) else { return ControlFlow::Continue(()) };
        let found = ScannedEvent { parked, offset: Some(record.offset()) };
        match send.blocking_send(Scanned::Event(Box::new(found))) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    };
    loop {
        match scan.read_to_end(take, proceed)? {
            ReadEnd::Complete => {}
            ReadEnd::Stopped => return Ok(()),
        }
        if send.blocking_send(Scanned::End).is_err() || rounds.recv().is_err() {
            return Ok(());
        }
    }
}

/// The parked event of a record; `None` if the record removes one, or is not one.
fn parse(topic: &str, record: &OwnedMessage) -> Option<ParkedEvent> {
    match ParkedEvent::parse(record) {
        Ok(parked) => parked.map(|(_, event)| event),
        Err(error) => {
            let (partition, offset, error) = (record.partition(), record.offset(), with_causes(&error));
            tracing::error!(topic, partition, offset, error, "ignoring a record that is not a parked event");
            None
        }
    }
}

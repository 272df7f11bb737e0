//! Receiving the requests of operators.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use rdkafka::ClientConfig;
use rdkafka::message::{Message as _, OwnedMessage};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tokio_util::sync::DropGuard;

use crate::error::LaneError;
use crate::kafka::scan::{ReadEnd, Scan};
use crate::named_thread;
use crate::record::request::Request;

const POLL: Duration = Duration::from_millis(200);
/// How long a finished request is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// What the lane's partition of the requests topic holds for the lane.
pub(crate) enum Incoming {
    /// A request that is not finished.
    Request { id: Bytes, request: Request },
    /// A finished request that is old enough to be removed.
    Expired { id: Bytes },
    /// The topic can't be read.
    Failed(LaneError),
}

/// Reads a lane's requests, on a thread of its own, until it is dropped.
pub(crate) struct RequestReader {
    incoming: UnboundedReceiver<Incoming>,
    thread: String,
    _stop: DropGuard,
}

impl RequestReader {
    pub(crate) fn start(mut config: ClientConfig, topic: &str, lane: u32) -> Result<Self, LaneError> {
        // An idle lane must cost nothing; a request is answered at once all the same.
        config.set("fetch.wait.max.ms", "500");
        let (send, incoming) = unbounded_channel();
        let stop = CancellationToken::new();
        let thread = format!("{topic}-{lane}");
        {
            let (topic, stop) = (topic.to_owned(), stop.clone());
            named_thread::spawn(&thread, move || {
                if let Err(error) = run(&config, &topic, lane, &send, &stop) {
                    let _ended = send.send(Incoming::Failed(error));
                }
            })?;
        }
        Ok(Self { incoming, thread, _stop: stop.drop_guard() })
    }

    /// Whether something has come that [`next`](Self::next) has not returned.
    pub(crate) fn has_received(&self) -> bool {
        !self.incoming.is_empty()
    }

    /// What the topic holds next for the lane.
    pub(crate) async fn next(&mut self) -> Incoming {
        let incoming = self.incoming.recv().await;
        incoming.unwrap_or_else(|| Incoming::Failed(LaneError::ThreadEnded { name: self.thread.clone() }))
    }
}

#[cfg(test)]
impl RequestReader {
    /// Receives what the test sends.
    pub(crate) fn scripted(incoming: UnboundedReceiver<Incoming>) -> Self {
        Self { incoming, thread: "scripted".to_owned(), _stop: CancellationToken::new().drop_guard() }
    }
}

fn run(
    config: &ClientConfig,
    topic: &str,
    lane: u32,
    send: &UnboundedSender<Incoming>,
    stop: &CancellationToken,
) -> Result<(), LaneError> {
    let mut scan = Scan::new(config, topic, lane as i32)?;
    let mut stored = Stored::default();
    let proceed = || if stop.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let take = |record: OwnedMessage| {
        stored.apply(&record);
        proceed()
    };
    match scan.read_to_end(take, proceed)? {
        ReadEnd::Complete => {}
        ReadEnd::Stopped => return Ok(()),
    }
    for incoming in stored.into_incoming(Timestamp::now()) {
        let _ended = send.send(incoming);
    }
    while !stop.is_cancelled() {
        let Some(record) = scan.poll(POLL) else { continue };
        if let Some((id, Some(request))) = parse(&record)
            && request.answer.is_none()
        {
            let _ended = send.send(Incoming::Request { id, request });
        }
    }
    Ok(())
}

/// A record's id and request; no request where the record removes it. `None` for anything else.
fn parse(record: &OwnedMessage) -> Option<(Bytes, Option<Request>)> {
    let id = Bytes::copy_from_slice(record.key()?);
    let Some(json) = record.payload() else { return Some((id, None)) };
    match Request::parse(json) {
        Ok(request) => Some((id, Some(request))),
        Err(error) => {
            let (topic, partition, offset) = (record.topic(), record.partition(), record.offset());
            let error = aqueduct_core::with_causes(&error);
            tracing::warn!(topic, partition, offset, error, "ignoring a record that is not a request");
            None
        }
    }
}

/// The last state of each request, in the order of their first records.
#[derive(Default)]
struct Stored {
    by_id: BTreeMap<Bytes, (i64, Request)>,
}

impl Stored {
    fn apply(&mut self, record: &OwnedMessage) {
        match parse(record) {
            Some((id, Some(request))) => {
                let first = self.by_id.get(&id).map_or(record.offset(), |(first, _)| *first);
                self.by_id.insert(id, (first, request));
            }
            Some((id, None)) => {
                self.by_id.remove(&id);
            }
            None => {}
        }
    }

    fn into_incoming(self, now: Timestamp) -> Vec<Incoming> {
        let mut stored: Vec<_> = self.by_id.into_iter().collect();
        stored.sort_by_key(|(_, (first, _))| *first);
        let incoming = stored.into_iter().filter_map(|(id, (_, request))| {
            if !request.is_finished() {
                Some(Incoming::Request { id, request })
            } else if now.duration_since(request.requested_at) > KEPT {
                Some(Incoming::Expired { id })
            } else {
                None
            }
        });
        incoming.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::request::{Action, Answer, ParkedFilter, RequestState};

    fn record(offset: i64, id: &str, value: Option<&[u8]>) -> OwnedMessage {
        let (id, value) = (Some(id.as_bytes().to_vec()), value.map(<[u8]>::to_vec));
        OwnedMessage::new(value, id, "requests".to_owned(), rdkafka::Timestamp::NotAvailable, 0, offset, None)
    }

    #[test]
    fn unfinished_requests_come_in_their_order_and_old_finished_ones_are_removed() {
        let now: Timestamp = "2026-01-03T00:00:00Z".parse().unwrap();
        let request = |at: &str, state: Option<RequestState>| {
            let mut request = Request::new(Action::Replay, ParkedFilter::default(), at.parse().unwrap());
            request.answer = state.map(|state| Answer { state, ..Answer::running() });
            request.to_json()
        };
        let (old, recent) = ("2026-01-01T23:00:00Z", "2026-01-02T23:00:00Z");
        let mut stored = Stored::default();
        for (offset, id, value) in [
            (1, "b-running", Some(request(recent, None))),
            (2, "a-waiting", Some(request(old, None))),
            (3, "b-running", Some(request(recent, Some(RequestState::Running)))),
            (4, "c-recent", Some(request(recent, Some(RequestState::Done)))),
            (5, "d-old", Some(request(old, Some(RequestState::Failed)))),
            (6, "e-removed", Some(request(old, None))),
            (7, "e-removed", None),
            (8, "f-other", Some(Bytes::from_static(b"{}"))),
        ] {
            stored.apply(&record(offset, id, value.as_deref()));
        }
        let incoming: Vec<_> = stored
            .into_incoming(now)
            .into_iter()
            .map(|it| match it {
                Incoming::Request { id, .. } => ("request", id),
                Incoming::Expired { id } => ("expired", id),
                Incoming::Failed(error) => panic!("{error}"),
            })
            .collect();
        let expected = [("request", "b-running"), ("request", "a-waiting"), ("expired", "d-old")];
        assert_eq!(incoming, expected.map(|(what, id)| (what, Bytes::from_static(id.as_bytes()))));
    }
}

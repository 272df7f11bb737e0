//! The responses of a Read call, sent in pages: a long read costs one channel send per page instead of one per event.
//! Stored events are read at most two pages ahead of the client. Of live events, few may wait.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{Stream, StreamExt, future::Either, stream};
use tokio::{
    sync::{Notify, mpsc},
    time::timeout,
};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Status;

use super::{
    errors::consumer_too_slow,
    names::{identifier, wire_id},
    proto::event_store::client::streams::{
        ReadResp,
        read_resp::{
            Content, ReadEvent,
            read_event::{Position, RecordedEvent},
        },
    },
    query::View,
};
use crate::event::{LINK_TYPE, Record};

/// Events in a page.
pub(super) const PAGE: usize = 256;

/// Live events that wait for a client: the buffer of EventStoreDB 23.10.
const LIVE_BUFFER: usize = 32;

/// How long the transport may take none of the live events that wait. A client that reads has taken one after
/// microseconds, but on a busy machine the task of its connection may run later.
const ACCEPT_WITHIN: Duration = Duration::from_millis(20);

pub(super) type Responses = Pin<Box<dyn Stream<Item = Result<ReadResp, Status>> + Send>>;

type Page = Result<Vec<ReadResp>, Status>;

/// Why answering stopped before the end.
#[derive(Debug)]
pub(super) enum Stop {
    /// The client cancelled or disconnected.
    Gone,
    Failed(Status),
}

impl From<Status> for Stop {
    fn from(status: Status) -> Self {
        Self::Failed(status)
    }
}

/// The sending half.
pub(super) struct Output {
    pages: mpsc::UnboundedSender<Page>,
    accepted: Arc<Accepted>,
    sent: AtomicUsize,
    cuts_off: bool,
}

/// The receiving half.
pub(super) struct Answers {
    pages: mpsc::UnboundedReceiver<Page>,
    accepted: Arc<Accepted>,
}

/// How many responses the transport has taken; what it has not taken waits.
#[derive(Default)]
struct Accepted {
    count: AtomicUsize,
    changed: Notify,
}

impl Accepted {
    fn one(&self) {
        self.count.fetch_add(1, Ordering::Release);
        self.changed.notify_one();
    }
}

/// `cuts_off`: a consumer that is too slow for live events.
pub(super) fn channel(cuts_off: bool) -> (Output, Answers) {
    let (sender, pages) = mpsc::unbounded_channel();
    let accepted = Arc::new(Accepted::default());
    let output =
        Output { pages: sender, accepted: Arc::clone(&accepted), sent: AtomicUsize::new(0), cuts_off };
    (output, Answers { pages, accepted })
}

impl Output {
    /// Sends a page, once less than two pages wait.
    pub(super) async fn send(&self, page: Vec<ReadResp>) -> Result<(), Stop> {
        if page.is_empty() {
            return Ok(());
        }
        while self.waiting_after(0) >= 2 * PAGE {
            self.acceptance().await?;
        }
        self.push(page)
    }

    /// Sends live events, of which 32 may wait. `stored` is what [`sent`](Self::sent) was when the subscription reached
    /// the end of the log: stored events that wait do not count.
    pub(super) async fn send_live(&self, events: Vec<ReadResp>, stored: usize) -> Result<(), Stop> {
        for event in events {
            while self.waiting_after(stored) >= LIVE_BUFFER {
                if !self.cuts_off {
                    self.acceptance().await?;
                } else if let Ok(accepted) = timeout(ACCEPT_WITHIN, self.acceptance()).await {
                    accepted?;
                } else {
                    let is_live = self.accepted() >= stored;
                    return Err(consumer_too_slow(is_live).into());
                }
            }
            self.push(vec![event])?;
        }
        Ok(())
    }

    /// Responses sent so far.
    pub(super) fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }

    fn accepted(&self) -> usize {
        self.accepted.count.load(Ordering::Acquire)
    }

    /// Responses that wait, without the first ones.
    fn waiting_after(&self, first: usize) -> usize {
        self.sent().saturating_sub(self.accepted().max(first))
    }

    /// Waits until the transport has taken another response. May return early.
    async fn acceptance(&self) -> Result<(), Stop> {
        tokio::select! {
            () = self.accepted.changed.notified() => Ok(()),
            gone = self.gone() => Err(gone),
        }
    }

    fn push(&self, page: Vec<ReadResp>) -> Result<(), Stop> {
        self.sent.fetch_add(page.len(), Ordering::Relaxed);
        self.pages.send(Ok(page)).map_err(|_| Stop::Gone)
    }

    /// Ends the call with `status`.
    pub(super) fn fail(self, status: Status) {
        // A client that has gone away needs no status.
        let _ = self.pages.send(Err(status));
    }

    /// Waits until the client has disconnected.
    pub(super) async fn gone(&self) -> Stop {
        self.pages.closed().await;
        Stop::Gone
    }
}

impl Answers {
    /// The response, once the first page is there: an error before it ends the call without a response,
    /// which is where clients look for it.
    pub(super) async fn into_response(mut self) -> Result<Responses, Status> {
        let first = match self.pages.recv().await {
            Some(page) => Some(Ok(page?)),
            None => None,
        };
        let pages = stream::iter(first).chain(UnboundedReceiverStream::new(self.pages));
        let responses = pages.flat_map(|page| match page {
            Ok(page) => Either::Left(stream::iter(page.into_iter().map(Ok))),
            Err(status) => Either::Right(stream::iter([Err(status)])),
        });
        let accepted = self.accepted;
        Ok(Box::pin(responses.inspect(move |_| accepted.one())))
    }
}

pub(super) fn response(content: Content) -> ReadResp {
    ReadResp { content: Some(content) }
}

/// The event as the client wants it. Links to events of other streams cannot be followed yet: a client
/// that asks for that gets an error at the first link rather than something else than it asked for.
pub(super) fn event(record: &Record, view: View) -> Result<ReadResp, Status> {
    if view.resolves_links && record.kind.as_ref() == LINK_TYPE {
        return Err(Status::unimplemented(format!(
            "{}@{} is a link: following links is not supported, read without resolve_links",
            record.revision, record.stream
        )));
    }
    let content_type = if record.is_json { "application/json" } else { "application/octet-stream" };
    let metadata = [
        ("type", record.kind.to_string()),
        ("created", record.created.to_string()),
        ("content-type", content_type.to_owned()),
    ];
    let recorded = RecordedEvent {
        id: Some(wire_id(record.id, view.ids)),
        stream_identifier: Some(identifier(&record.stream)),
        stream_revision: record.revision,
        prepare_position: record.position,
        commit_position: record.position,
        metadata: metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        custom_metadata: record.custom_metadata.clone(),
        data: record.data.clone(),
    };
    Ok(response(Content::Event(ReadEvent {
        event: Some(recorded),
        link: None,
        position: Some(Position::CommitPosition(record.position)),
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(count: usize) -> Vec<ReadResp> {
        vec![ReadResp::default(); count]
    }

    fn message(sent: Result<(), Stop>) -> String {
        match sent {
            Err(Stop::Failed(status)) => status.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn stored_events_that_wait_do_not_count_as_live() {
        let (output, answers) = channel(true);
        output.send(events(PAGE)).await.unwrap();
        let stored = output.sent();
        output.send_live(events(LIVE_BUFFER), stored).await.unwrap();
        let cut = message(output.send_live(events(1), stored).await);
        assert!(cut.contains("while transitioning to live"), "{cut}");
        drop(answers);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_transport_accepts_does_not_wait() {
        let (output, answers) = channel(true);
        output.send(events(1)).await.unwrap();
        let stored = output.sent();
        let mut responses = answers.into_response().await.unwrap();
        responses.next().await.unwrap().unwrap();
        let accepting = async { (&mut responses).take(100).count().await };
        let (sent, accepted) = tokio::join!(output.send_live(events(100 + LIVE_BUFFER), stored), accepting);
        sent.unwrap();
        assert_eq!(accepted, 100);
        let cut = message(output.send_live(events(1), stored).await);
        assert!(cut.contains("while live"), "{cut}");
        output.fail(Status::aborted(cut));
        let rest: Vec<_> = responses.collect().await;
        assert_eq!(
            rest.iter().filter(|it| it.is_ok()).count(),
            LIVE_BUFFER,
            "what was sent comes before the end"
        );
        assert!(rest.last().unwrap().is_err());
    }

    #[tokio::test]
    async fn a_client_that_is_gone_ends_the_wait() {
        let (output, answers) = channel(false);
        output.send_live(events(LIVE_BUFFER), 0).await.unwrap();
        let (sent, ()) = tokio::join!(output.send_live(events(1), 0), async { drop(answers) });
        assert!(matches!(sent, Err(Stop::Gone)));
    }
}

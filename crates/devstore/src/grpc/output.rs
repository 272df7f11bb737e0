//! The responses of a Read call, sent in pages: a long read costs one channel send per page instead of one per event.
//! At most two pages are read ahead of the client.

use std::pin::Pin;

use futures::{Stream, StreamExt, future::Either, stream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{
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
pub(super) struct Output(mpsc::Sender<Page>);

/// The receiving half.
pub(super) struct Answers(mpsc::Receiver<Page>);

pub(super) fn channel() -> (Output, Answers) {
    let (output, answers) = mpsc::channel(2);
    (Output(output), Answers(answers))
}

impl Output {
    pub(super) async fn send(&self, page: Vec<ReadResp>) -> Result<(), Stop> {
        if page.is_empty() {
            return Ok(());
        }
        self.0.send(Ok(page)).await.map_err(|_| Stop::Gone)
    }

    /// Ends the call with `status`.
    pub(super) async fn fail(self, status: Status) {
        // A client that has gone away needs no status.
        let _ = self.0.send(Err(status)).await;
    }

    /// Waits until the client has disconnected.
    pub(super) async fn gone(&self) -> Stop {
        self.0.closed().await;
        Stop::Gone
    }
}

impl Answers {
    /// The response, once the first page is there: an error before it ends the call without a response,
    /// which is where clients look for it.
    pub(super) async fn into_response(mut self) -> Result<Responses, Status> {
        let first = match self.0.recv().await {
            Some(page) => Some(Ok(page?)),
            None => None,
        };
        let pages = stream::iter(first).chain(ReceiverStream::new(self.0));
        Ok(Box::pin(pages.flat_map(|page| match page {
            Ok(page) => Either::Left(stream::iter(page.into_iter().map(Ok))),
            Err(status) => Either::Right(stream::iter([Err(status)])),
        })))
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

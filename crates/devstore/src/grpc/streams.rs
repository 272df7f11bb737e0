//! The Streams service.

use std::{pin::Pin, sync::Arc};

use futures::Stream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Request, Response, Status, Streaming};

use super::{
    append, delete, errors,
    output::{self, Output, Responses, Stop},
    proto::event_store::client::streams::{
        AppendReq, AppendResp, BatchAppendReq, BatchAppendResp, DeleteReq, DeleteResp, ReadReq, TombstoneReq,
        TombstoneResp, streams_server::Streams,
    },
    query::{self, Query, View},
    read::{self, StreamRead},
    shared::Shared,
    subscribe,
};
use crate::storage::Store;
use crate::writer::Writer;

/// The largest message that is taken in. Above the append limit, so that the limit gives the error.
pub(crate) const MAX_MESSAGE: usize = 17 << 20;

pub(crate) struct StreamsService(Shared);

impl StreamsService {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        writer: Writer,
        tasks: TaskTracker,
        stop: CancellationToken,
        cuts_off: bool,
    ) -> Self {
        Self(Shared { store, writer, tasks, stop, cuts_off })
    }
}

#[tonic::async_trait]
impl Streams for StreamsService {
    type ReadStream = Responses;
    type BatchAppendStream = Pin<Box<dyn Stream<Item = Result<BatchAppendResp, Status>> + Send>>;

    async fn read(&self, request: Request<ReadReq>) -> Result<Response<Self::ReadStream>, Status> {
        let (query, view) = query::parse(request.into_inner())?;
        let (output, answers) = output::channel(self.0.cuts_off);
        self.0.tasks.spawn(answer(self.0.clone(), query, view, output));
        answers.into_response().await.map(Response::new)
    }

    async fn append(&self, request: Request<Streaming<AppendReq>>) -> Result<Response<AppendResp>, Status> {
        append::append(&self.0.writer, request.into_inner()).await.map(Response::new)
    }

    async fn delete(&self, request: Request<DeleteReq>) -> Result<Response<DeleteResp>, Status> {
        delete::delete(&self.0.writer, request.into_inner()).await.map(Response::new)
    }

    async fn tombstone(&self, request: Request<TombstoneReq>) -> Result<Response<TombstoneResp>, Status> {
        delete::tombstone(&self.0.writer, request.into_inner()).await.map(Response::new)
    }

    async fn batch_append(
        &self,
        _: Request<Streaming<BatchAppendReq>>,
    ) -> Result<Response<Self::BatchAppendStream>, Status> {
        Err(Status::unimplemented("BatchAppend is not supported, use Append"))
    }
}

async fn answer(shared: Shared, query: Query, view: View, output: Output) {
    let result = match query {
        Query::ReadStream { stream, start, direction, count, announces_ends } => {
            let read = StreamRead { stream, start, direction, count, announces_ends };
            read::stream(&shared, read, view, &output).await
        }
        Query::ReadAll { start, direction, count, filter } => {
            read::all(&shared, start, direction, count, filter, view, &output).await
        }
        Query::SubscribeStream { stream, start } => {
            until_stopped(&shared, subscribe::stream(&shared, stream, start, view, &output)).await
        }
        Query::SubscribeAll { start, filter } => {
            until_stopped(&shared, subscribe::all(&shared, start, filter, view, &output)).await
        }
    };
    if let Err(Stop::Failed(status)) = result {
        output.fail(status);
    }
}

async fn until_stopped(
    shared: &Shared,
    subscription: impl Future<Output = Result<std::convert::Infallible, Stop>>,
) -> Result<(), Stop> {
    tokio::select! {
        ended = subscription => ended.map(|never| match never {}),
        () = shared.stop.cancelled() => Err(errors::shutting_down().into()),
    }
}

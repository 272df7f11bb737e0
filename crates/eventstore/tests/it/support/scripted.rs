//! A server that answers each subscription to `$all` from a script.

use std::sync::{Arc, Mutex};

use aqueduct_core::Position;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt as _};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tonic::codec::ProstCodec;
use tonic::server::{Grpc, ServerStreamingService};
use tonic::{Code, Response, Status};

/// What one subscription is sent: events, each at its position with its number as revision, and then its end.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) events: Vec<(u64, Position)>,
    /// Stays open without.
    pub(crate) end: Option<(Code, &'static str)>,
}

/// Answers reads backwards from the end of `$all` with the last event of the script.
pub(crate) struct ScriptedServer {
    pub(crate) url: String,
    script: Arc<Script>,
}

struct Script {
    answers: Vec<Answer>,
    subscriptions: Mutex<Vec<Option<Position>>>,
}

impl ScriptedServer {
    pub(crate) async fn start(answers: Vec<Answer>) -> Self {
        let script = Arc::new(Script { answers, subscriptions: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("esdb://{}?tls=false", listener.local_addr().unwrap());
        let router = router(Arc::clone(&script));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = TowerToHyperService::new(router.clone());
                tokio::spawn(async move {
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        Self { url, script }
    }

    /// After which position each subscription so far was to begin.
    pub(crate) fn subscriptions(&self) -> Vec<Option<Position>> {
        self.script.subscriptions.lock().unwrap().clone()
    }
}

fn router(script: Arc<Script>) -> Router {
    let read = move |request: Request| {
        let read = Read(Arc::clone(&script));
        async move {
            let mut grpc = Grpc::new(ProstCodec::<proto::ReadResp, proto::ReadReq>::default());
            grpc.server_streaming(read, request).await.map(Body::new)
        }
    };
    let unknown = async || Status::unimplemented("not in the script").into_http().map(Body::new);
    Router::new()
        .route("/event_store.client.streams.Streams/Read", axum::routing::post(read))
        .fallback(unknown)
}

#[derive(Clone)]
struct Read(Arc<Script>);

impl ServerStreamingService<proto::ReadReq> for Read {
    type Response = proto::ReadResp;
    type ResponseStream = BoxStream<'static, Result<proto::ReadResp, Status>>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<proto::ReadReq>) -> Self::Future {
        let options = request.into_inner().options.unwrap();
        let responses = if options.subscription.is_some() {
            self.0.subscription(options.all.and_then(|all| all.position))
        } else {
            self.0.last_event()
        };
        Box::pin(async move { Ok(Response::new(responses)) })
    }
}

impl Script {
    fn subscription(
        &self,
        after: Option<proto::Position>,
    ) -> BoxStream<'static, Result<proto::ReadResp, Status>> {
        let mut subscriptions = self.subscriptions.lock().unwrap();
        let Some(answer) = self.answers.get(subscriptions.len()) else {
            panic!("subscription {} is not in the script", subscriptions.len());
        };
        subscriptions.push(after.map(|it| Position { commit: it.commit, prepare: it.prepare }));
        let confirmation =
            proto::ReadResp { confirmation: Some(proto::Confirmation::default()), event: None };
        let events: Vec<_> = answer.events.iter().copied().map(response).map(Ok).collect();
        let end = answer.end.map(|(code, message)| Status::new(code, message));
        let sent = stream::iter([Ok(confirmation)]).chain(stream::iter(events));
        match end {
            Some(end) => sent.chain(stream::iter([Err(end)])).boxed(),
            None => sent.chain(stream::pending()).boxed(),
        }
    }

    fn last_event(&self) -> BoxStream<'static, Result<proto::ReadResp, Status>> {
        let last = self.answers.iter().flat_map(|answer| &answer.events).last().copied();
        stream::iter(last.map(response).map(Ok)).boxed()
    }
}

fn response((revision, position): (u64, Position)) -> proto::ReadResp {
    let recorded = proto::RecordedEvent {
        id: Some(proto::Uuid { text: uuid::Uuid::new_v4().to_string() }),
        stream: Some(proto::StreamIdentifier { name: b"note-1".to_vec() }),
        revision,
        prepare: position.prepare,
        commit: position.commit,
        metadata: [("type", "Noted"), ("content-type", "application/json"), ("created", "0")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        data: b"{}".to_vec(),
    };
    let event = proto::ReadEvent { event: Some(recorded), commit: position.commit };
    proto::ReadResp { event: Some(event), confirmation: None }
}

/// The part of `streams.proto` that the script needs.
mod proto {
    use std::collections::HashMap;

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ReadReq {
        #[prost(message, tag = "1")]
        pub options: Option<Options>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Options {
        #[prost(message, tag = "2")]
        pub all: Option<All>,
        #[prost(message, tag = "6")]
        pub subscription: Option<Empty>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct All {
        #[prost(message, tag = "1")]
        pub position: Option<Position>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Position {
        #[prost(uint64, tag = "1")]
        pub commit: u64,
        #[prost(uint64, tag = "2")]
        pub prepare: u64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Empty {}

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ReadResp {
        #[prost(message, tag = "1")]
        pub event: Option<ReadEvent>,
        #[prost(message, tag = "2")]
        pub confirmation: Option<Confirmation>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Confirmation {
        #[prost(string, tag = "1")]
        pub id: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ReadEvent {
        #[prost(message, tag = "1")]
        pub event: Option<RecordedEvent>,
        #[prost(uint64, tag = "3")]
        pub commit: u64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct RecordedEvent {
        #[prost(message, tag = "1")]
        pub id: Option<Uuid>,
        #[prost(message, tag = "2")]
        pub stream: Option<StreamIdentifier>,
        #[prost(uint64, tag = "3")]
        pub revision: u64,
        #[prost(uint64, tag = "4")]
        pub prepare: u64,
        #[prost(uint64, tag = "5")]
        pub commit: u64,
        #[prost(map = "string, string", tag = "6")]
        pub metadata: HashMap<String, String>,
        #[prost(bytes = "vec", tag = "8")]
        pub data: Vec<u8>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Uuid {
        #[prost(string, tag = "2")]
        pub text: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct StreamIdentifier {
        #[prost(bytes = "vec", tag = "3")]
        pub name: Vec<u8>,
    }
}

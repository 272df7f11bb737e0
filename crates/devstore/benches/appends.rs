//! How fast the server takes and gives events, over loopback, with a plain gRPC client (TCP_NODELAY on both
//! sides). `cargo bench -p aqueduct-devstore`; figures are worth comparing only within one run.

#![expect(clippy::print_stdout, reason = "a benchmark's output is its result")]
#![expect(clippy::expect_used, reason = "a benchmark ends at the first thing that goes wrong")]

#[path = "../src/grpc/proto.rs"]
mod proto;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use aqueduct_devstore::{Options, start};
use proto::event_store::client::{
    Empty, StreamIdentifier, Uuid as WireId,
    streams::{
        AppendReq, AppendResp, ReadReq, ReadResp,
        append_req::{Content, Options as AppendOptions, ProposedMessage, options::ExpectedStreamRevision},
        append_resp,
        read_req::{
            Options as ReadOptions,
            options::{
                AllOptions, CountOption, FilterOption, StreamOption, UuidOption, all_options::AllOption,
                uuid_option,
            },
        },
        read_resp,
    },
    uuid,
};
use tokio::net::TcpListener;
use tonic::{
    Request,
    client::Grpc,
    codec::ProstCodec,
    codegen::http::uri::PathAndQuery,
    transport::{Channel, Endpoint},
};

const RUN: Duration = Duration::from_secs(3);
const DATA: &[u8] = &[b'x'; 300];

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, options) in
        [("in memory", Options::in_memory()), ("on disk", Options::durable(folder.path().join("store")))]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = start(options, listener, async { stopped.await.unwrap_or(()) }).await.expect("a server");
        let endpoint: Endpoint = format!("http://{}", server.address()).parse().expect("an address");
        let channel = endpoint.connect().await.expect("a connection");

        println!("{name}, events of {} bytes", DATA.len());
        appends(&channel, "one append after the other", 1, 1).await;
        appends(&channel, "64 appends at a time", 64, 1).await;
        appends(&channel, "256 appends at a time", 256, 1).await;
        appends(&channel, "appends of 500 events", 1, 500).await;
        read_all(&channel).await;

        drop((channel, stop));
        server.stopped().await.expect("a good end");
    }
}

/// Appends to as many streams as there are writers, each waiting for its answer.
async fn appends(channel: &Channel, what: &str, writers: usize, events: usize) {
    let count = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let tasks = (0..writers).map(|writer| {
        let (channel, count) = (channel.clone(), count.clone());
        tokio::spawn(async move {
            let stream = format!("bench-{events}-{writers}-{writer}");
            while began.elapsed() < RUN {
                append(channel.clone(), &stream, events).await;
                count.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("a writer");
    }
    let per_second = count.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
    let events_per_second = per_second * events as f64;
    println!("  {what:<28} {per_second:>9.0} appends/s {events_per_second:>9.0} events/s");
}

async fn append(channel: Channel, stream: &str, events: usize) {
    let options = AppendOptions {
        stream_identifier: Some(StreamIdentifier { stream_name: stream.to_owned().into() }),
        expected_stream_revision: Some(ExpectedStreamRevision::Any(Empty {})),
    };
    let mut requests = vec![AppendReq { content: Some(Content::Options(options)) }];
    requests.extend((0..events).map(|_| {
        let metadata = [("type", "happened"), ("content-type", "application/octet-stream")];
        let id = ::uuid::Uuid::new_v4().to_string();
        AppendReq {
            content: Some(Content::ProposedMessage(ProposedMessage {
                id: Some(WireId { value: Some(uuid::Value::String(id)) }),
                metadata: metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
                custom_metadata: Default::default(),
                data: DATA.into(),
            })),
        }
    }));
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.expect("a connection");
    let codec = ProstCodec::<AppendReq, AppendResp>::default();
    let path = PathAndQuery::from_static("/event_store.client.streams.Streams/Append");
    let request = Request::new(tokio_stream::iter(requests));
    let answer = grpc.client_streaming(request, path, codec).await.expect("an answer").into_inner();
    assert!(matches!(answer.result, Some(append_resp::Result::Success(_))), "{answer:?}");
}

async fn read_all(channel: &Channel) {
    let options = ReadOptions {
        stream_option: Some(StreamOption::All(AllOptions { all_option: Some(AllOption::Start(Empty {})) })),
        count_option: Some(CountOption::Count(u64::MAX)),
        filter_option: Some(FilterOption::NoFilter(Empty {})),
        uuid_option: Some(UuidOption { content: Some(uuid_option::Content::String(Empty {})) }),
        ..ReadOptions::default()
    };
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.expect("a connection");
    let codec = ProstCodec::<ReadReq, ReadResp>::default();
    let path = PathAndQuery::from_static("/event_store.client.streams.Streams/Read");
    let began = Instant::now();
    let request = Request::new(ReadReq { options: Some(options) });
    let mut events = grpc.server_streaming(request, path, codec).await.expect("an answer").into_inner();
    let mut count = 0_u32;
    while let Some(message) = events.message().await.expect("an event") {
        count += u32::from(matches!(message.content, Some(read_resp::Content::Event(_))));
    }
    let per_second = f64::from(count) / began.elapsed().as_secs_f64();
    println!("  {:<28} {count:>9} events    {per_second:>9.0} events/s", "reading $all");
}

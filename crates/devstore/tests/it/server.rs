//! What is around the events: discovery, health, start and end.

use aqueduct_devstore::{Options, StartError, start};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    player::play,
    recordings::connect,
    support::Running,
    wire::{append, new_ids},
};

async fn get(server: &Running, path: &str) -> String {
    let mut socket = TcpStream::connect(server.handle.address()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    socket.read_to_string(&mut response).await.unwrap();
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_info_are_on_the_same_port() {
    let server = Running::start(Options::in_memory()).await;
    assert!(get(&server, "/health/live").await.starts_with("HTTP/1.1 204"));
    assert!(get(&server, "/ping").await.starts_with("HTTP/1.1 200"));
    let info = get(&server, "/info").await;
    let info: Value = serde_json::from_str(info.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(info["esVersion"], "23.10.6");
    assert_eq!(info["state"], "leader");
    assert!(get(&server, "/nothing").await.starts_with("HTTP/1.1 404"));
    server.stop().await;
}

/// Written like a recording: these answers hold what is this server's own.
#[tokio::test(flavor = "multi_thread")]
async fn discovery_names_the_leader_and_what_it_can_do() {
    let server = Running::start(Options::in_memory()).await;
    let address = server.handle.address();
    let streams = "event_store.client.streams.streams";
    let recording = json!({ "file": "discovery", "steps": [
        {
            "call": "event_store.client.gossip.Gossip/Read",
            "send": [{}],
            "receive": [{ "members": [{
                "instance_id": { "$any": true },
                "time_stamp": { "$time": "ticks" },
                "state": "Leader",
                "is_alive": true,
                "http_end_point": { "address": address.ip().to_string(), "port": address.port() },
            }] }],
            "status": { "code": "OK" },
        },
        {
            "call": "event_store.client.server_features.ServerFeatures/GetSupportedMethods",
            "send": [{}],
            "receive": [{
                "methods": [
                    { "method_name": "read", "service_name": streams, "features": ["position", "events"] },
                    { "method_name": "append", "service_name": streams },
                    { "method_name": "delete", "service_name": streams },
                    { "method_name": "tombstone", "service_name": streams },
                    { "method_name": "read", "service_name": "event_store.client.gossip.gossip" },
                    {
                        "method_name": "getsupportedmethods",
                        "service_name": "event_store.client.server_features.serverfeatures",
                    },
                ],
                "event_store_server_version": "23.10.6",
            }],
            "status": { "code": "OK" },
        },
        {
            "call": "event_store.client.streams.Streams/BatchAppend",
            "send": [{}],
            "receive": [],
            "status": { "code": "UNIMPLEMENTED" },
        },
    ] });
    let channel = connect(&server).await;
    play(&channel, &recording).await.unwrap_or_else(|difference| panic!("{difference}"));
    drop(channel);
    server.stop().await;
}

fn read_all(option: Value) -> Value {
    let mut options = json!({
        "read_direction": "Forwards",
        "uuid_option": { "string": {} },
        "all": { "start": {} },
        "count": "1",
        "no_filter": {},
    });
    let object = options.as_object_mut().unwrap();
    for (key, value) in option.as_object().unwrap() {
        if key == "filter" {
            object.remove("no_filter");
        }
        if value.is_null() {
            object.remove(key);
        } else {
            object.insert(key.clone(), value.clone());
        }
    }
    json!({
        "call": "event_store.client.streams.Streams/Read",
        "send": [{ "options": options }],
        "receive": [],
        "status": { "code": "INVALID_ARGUMENT" },
    })
}

/// The real server never answers these.
#[tokio::test(flavor = "multi_thread")]
async fn requests_without_an_answer_are_refused() {
    let server = Running::start(Options::in_memory()).await;
    let prefix = json!({ "prefix": ["a"] });
    let recording = json!({ "file": "refused", "steps": [
        read_all(json!({ "uuid_option": null })),
        read_all(json!({ "count": "0" })),
        read_all(json!({ "filter": { "event_type": prefix, "max": 0, "checkpointIntervalMultiplier": 1 } })),
    ] });
    let channel = connect(&server).await;
    play(&channel, &recording).await.unwrap_or_else(|difference| panic!("{difference}"));
    drop(channel);
    server.stop().await;
}

/// A soft delete is an event of the metadata stream, after whose tombstone nothing can come.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_metadata_has_a_tombstone_cannot_be_soft_deleted() {
    let server = Running::start(Options::in_memory()).await;
    let channel = connect(&server).await;
    append(&channel, "s", &new_ids(1)).await.unwrap();
    let options = |stream: &str| json!([{ "options": { "stream_identifier": { "stream_name": { "$utf8": stream } }, "any": {} } }]);
    let recording = json!({ "file": "tombstoned metadata", "steps": [
        {
            "call": "event_store.client.streams.Streams/Tombstone",
            "send": options("$$s"),
            "receive": [{ "position": { "$any": true } }],
            "status": { "code": "OK" },
        },
        {
            "call": "event_store.client.streams.Streams/Delete",
            "send": options("s"),
            "receive": [],
            "status": {
                "code": "FAILED_PRECONDITION",
                "trailers": { "exception": "stream-deleted", "stream-name": "s" },
            },
        },
    ] });
    play(&channel, &recording).await.unwrap_or_else(|difference| panic!("{difference}"));
    assert_eq!(append(&channel, "s", &new_ids(1)).await.unwrap().0, 1);
    drop(channel);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_in_use_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(Options::durable(folder.path())).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let second = start(Options::durable(folder.path()), listener, std::future::pending()).await;
    assert!(matches!(second, Err(StartError::Open(_))), "{second:?}");
    server.stop().await;
}

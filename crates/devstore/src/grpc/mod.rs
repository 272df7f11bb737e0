//! EventStoreDB's gRPC services over the log.
#![expect(clippy::result_large_err, reason = "tonic's Status is the error of a gRPC method")]

mod append;
mod delete;
mod discovery;
mod errors;
mod names;
mod output;
mod proto;
mod query;
mod read;
mod shared;
mod streams;
mod subscribe;

pub(crate) use discovery::{Discovery, SERVER_VERSION};
pub(crate) use proto::event_store::client::{
    gossip::gossip_server::GossipServer, server_features::server_features_server::ServerFeaturesServer,
    streams::streams_server::StreamsServer,
};
pub(crate) use streams::{MAX_MESSAGE, StreamsService};

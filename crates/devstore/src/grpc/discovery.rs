//! What clients ask first: which methods are there, and who is the leader.

use std::net::SocketAddr;

use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    names::{IdFormat, wire_id},
    proto::event_store::client::{
        Empty,
        gossip::{ClusterInfo, EndPoint, MemberInfo, gossip_server::Gossip, member_info::VNodeState},
        server_features::{SupportedMethod, SupportedMethods, server_features_server::ServerFeatures},
    },
};
use crate::log::now;

/// The version whose behaviour this server shows; clients choose features by it.
pub(crate) const SERVER_VERSION: &str = "23.10.6";

/// Names are lower case, as on the real server. What is not here a client does not try: BatchAppend and
/// persistent subscriptions.
const METHODS: [(&str, &str, &[&str]); 6] = [
    ("event_store.client.streams.streams", "read", &["position", "events"]),
    ("event_store.client.streams.streams", "append", &[]),
    ("event_store.client.streams.streams", "delete", &[]),
    ("event_store.client.streams.streams", "tombstone", &[]),
    ("event_store.client.gossip.gossip", "read", &[]),
    ("event_store.client.server_features.serverfeatures", "getsupportedmethods", &[]),
];

/// A cluster of one, which is its own leader.
#[derive(Clone)]
pub(crate) struct Discovery {
    instance: Uuid,
    address: SocketAddr,
}

impl Discovery {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { instance: Uuid::new_v4(), address }
    }
}

#[tonic::async_trait]
impl ServerFeatures for Discovery {
    async fn get_supported_methods(&self, _: Request<Empty>) -> Result<Response<SupportedMethods>, Status> {
        let methods = METHODS.map(|(service, method, features)| SupportedMethod {
            method_name: method.to_owned(),
            service_name: service.to_owned(),
            features: features.iter().map(|feature| (*feature).to_owned()).collect(),
        });
        Ok(Response::new(SupportedMethods {
            methods: methods.into(),
            event_store_server_version: SERVER_VERSION.to_owned(),
        }))
    }
}

#[tonic::async_trait]
impl Gossip for Discovery {
    async fn read(&self, _: Request<Empty>) -> Result<Response<ClusterInfo>, Status> {
        let member = MemberInfo {
            instance_id: Some(wire_id(self.instance, IdFormat::Structured)),
            time_stamp: now(),
            state: VNodeState::Leader.into(),
            is_alive: true,
            http_end_point: Some(EndPoint {
                address: self.address.ip().to_string(),
                port: self.address.port().into(),
            }),
        };
        Ok(Response::new(ClusterInfo { members: vec![member] }))
    }
}

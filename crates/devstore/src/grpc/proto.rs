//! Generated from `protos/`.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::all, reason = "generated code")]

pub(crate) mod event_store {
    pub(crate) mod client {
        tonic::include_proto!("event_store.client");
        pub(crate) mod streams {
            tonic::include_proto!("event_store.client.streams");
        }
        pub(crate) mod server_features {
            tonic::include_proto!("event_store.client.server_features");
        }
        pub(crate) mod gossip {
            tonic::include_proto!("event_store.client.gossip");
        }
    }
}

pub(crate) mod google {
    pub(crate) mod rpc {
        tonic::include_proto!("google.rpc");
    }
}

//! What every Kafka client of the product shares. Private to the product; applications use the crate `aqueduct`.
//!
//! - [`Cluster`] says how to reach Kafka and which names to use. One value configures the relay and the
//!   projections.
//! - [`Cluster::config`], [`Cluster::consumer_config`] and [`Cluster::member_config`] make client configurations.
//!   Properties on which a delivery guarantee rests cannot be overridden ([`Cluster::validate`] refuses them).
//! - [`create_client`] makes a client. Its error never contains the value of a property, which may be a password.
//! - [`LogContext`], [`log`] and [`log_error`] forward librdkafka's log to `tracing`, target `librdkafka`.
//! - [`FirstFailure`] is the context of a producer that keeps the first failed delivery, or the loss of all brokers.
//! - [`BrokerWatch`] reports when a client has found no broker for so long that it must be replaced.
//! - [`ClusterProbe`] reads single facts about topics and the ends of partitions, for operators' commands.
//! - [`topic_ids`] asks for Kafka's ids of topics.
//! - [`raw_headers`] reads the headers of a record even if a name is not UTF-8.

mod client;
mod cluster;
mod cluster_probe;
mod first_failure;
mod headers;
mod log;
mod reserved;
mod send_now;
mod topic_ids;
mod watch;

pub use client::create_client;
pub use cluster::Cluster;
pub use cluster_probe::{ClusterProbe, TopicDescription};
pub use first_failure::FirstFailure;
pub use headers::{RawHeader, raw_headers};
pub use log::{LogContext, log, log_error};
pub use reserved::ReservedProperty;
pub use send_now::send_now;
pub use topic_ids::topic_ids;
pub use watch::BrokerWatch;

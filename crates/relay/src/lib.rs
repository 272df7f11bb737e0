//! The relay: events from the store to Kafka, in order, in Avro, in Kafka transactions.
//!
//! A [`Route`] says which events go to which topic, and how they are read if others wrote them. Its work is divided into
//! lanes: a stream belongs to one lane, a lane writes to its own partitions only. Each lane receives its events from
//! its checkpoint on (lanes at the same place share one subscription to `$all`), makes one record of each event (key =
//! stream, headers: see [`header`]), and writes batch after batch, each with the checkpoint that follows from it in one
//! Kafka transaction.
//! Instances share the lanes through a consumer group.
//!
//! - **Delivery.** Each event is in its topic once for readers under `read_committed`, whatever is killed
//!   on the way, as far as Kafka's transactions hold (brokers of version 4 or later, `acks=all`). The dedup of
//!   the projections holds without that condition.
//! - **Order.** The records of a stream are in the order of its revisions, in one partition.
//! - **Bad events.** An event that cannot become a record halts its lane, or is parked with the later events of its
//!   stream, or skipped, as [`OnBadEvent`] says. What is not relayed is recorded as an exception in the transaction that
//!   passes it. Nothing is skipped silently.
//! - **Errors.** A checkpoint that does not agree with its topic, or what Kafka refuses permanently (a permission, a size),
//!   halts the lane. [`Status`], the log and the [metrics] name the event, the cause and what to do; once that is done
//!   the lane resumes automatically.
//!
//! ```no_run
//! use std::sync::Arc;
//! use aqueduct_core::EventStore;
//! use aqueduct_kafka::Cluster;
//! use aqueduct_relay::{Options, Relay, create_topics};
//! use aqueduct_schema::{Registry, SchemaSet};
//! use tokio_util::sync::CancellationToken;
//!
//! # async fn example(cluster: Cluster, options: Options, store: Arc<dyn EventStore>, registry: Registry)
//! #     -> Result<(), Box<dyn std::error::Error>> {
//! create_topics(&cluster, &options).await?;
//! let schemas = Arc::new(SchemaSet::load("schemas")?);
//! let relay = Relay::new(cluster, options, store, schemas, registry)?;
//! let status = relay.status(); // for the health check
//! relay.run(CancellationToken::new()).await?;
//! # Ok(()) }
//! ```

mod error;
mod kafka;
mod lane;
mod lane_definition;
mod lane_id;
mod lane_report;
mod lane_topics;
mod membership;
pub mod metrics;
mod named_thread;
mod options;
mod options_error;
pub mod parked;
mod reader;
mod record;
mod relay;
mod relay_context;
mod route;
mod route_mapping;
mod route_runner;
mod running_lanes;
mod status;
mod store_end;
mod validation;

pub use error::LaneError;
pub use kafka::producer::TransactionError;
pub use kafka::topics::{TopicsError, create_topics};
pub use lane_report::{LaneReport, ReportedState, read_lanes};
pub use lane_topics::LaneTopics;
pub use options::{EventsOptions, Options};
pub use options_error::OptionsError;
pub use record::checkpoint_error::CheckpointError;
pub use record::headers::header;
pub use relay::{Relay, RelayError};
pub use route::{OnBadEvent, Route};
pub use status::{LaneState, RelayEnded, Status};

/// For tests and benchmarks.
#[cfg(feature = "testing")]
pub use {
    kafka::producer::TransactionalProducer,
    lane::record_bench::{RecordBench, RecordLane},
    record::{Record, checkpoint::Checkpoint, header_block::HeaderBlock, partition::partition_of},
};

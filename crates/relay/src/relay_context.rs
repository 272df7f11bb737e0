//! What the routes and lanes of a relay share.

use std::sync::Arc;

use aqueduct_core::EventStore;
use aqueduct_kafka::Cluster;
use aqueduct_schema::{Registry, SchemaSet};
use tokio::sync::Semaphore;

use crate::lane::status_record::StatusWriter;
use crate::options::Options;
use crate::reader::shared::SharedReaders;
use crate::status::StatusReporter;
use crate::store_end::StoreEnd;

/// What the routes and lanes of a relay share.
pub(crate) struct RelayContext {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) options: Arc<Options>,
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) readers: SharedReaders,
    /// [`PAGES_AT_ONCE`](crate::lane::look_ahead::PAGES_AT_ONCE) permits.
    pub(crate) pages_ahead: Arc<Semaphore>,
    pub(crate) store_end: StoreEnd,
    pub(crate) schemas: Arc<SchemaSet>,
    pub(crate) registry: Registry,
    pub(crate) reporter: StatusReporter,
    pub(crate) status_writer: Arc<StatusWriter>,
}

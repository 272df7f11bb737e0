//! What a lane needs to do its work.

use std::sync::Arc;

use aqueduct_core::EventStore;
use aqueduct_kafka::Cluster;
use aqueduct_schema::RecordEncoder;
use tokio::sync::Semaphore;

use crate::lane_definition::LaneDefinition;
use crate::options::Options;
use crate::reader::shared::SharedReaders;
use crate::status::LaneReporter;

/// What a lane needs to do its work.
pub(crate) struct LaneContext {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) options: Arc<Options>,
    pub(crate) definition: LaneDefinition,
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) readers: SharedReaders,
    /// [`PAGES_AT_ONCE`](crate::lane::look_ahead::PAGES_AT_ONCE) permits for all lanes of the process.
    pub(crate) pages_ahead: Arc<Semaphore>,
    pub(crate) encoder: RecordEncoder,
    pub(crate) reporter: LaneReporter,
}

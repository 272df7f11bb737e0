//! Record making alone, for benchmarks.

use std::sync::Arc;

use aqueduct_core::{EventStore, RecordedEvent};
use aqueduct_kafka::Cluster;
use aqueduct_schema::{RecordEncoder, Registry, SchemaSet};
use tokio::sync::Semaphore;

use crate::lane::batch_builder::BatchBuilder;
use crate::lane::context::LaneContext;
use crate::lane::look_ahead::PAGES_AT_ONCE;
use crate::lane_definition::LaneDefinition;
use crate::options::Options;
use crate::options_error::OptionsError;
use crate::reader::limits::Limits;
use crate::reader::shared::SharedReaders;
use crate::record::Record;
use crate::route_mapping::RouteMapping;
use crate::status::StatusReporter;

/// The first lane of the first route, without Kafka.
pub struct RecordBench {
    context: LaneContext,
}

/// Makes records of events, as the lane does.
pub struct RecordLane<'a> {
    builder: BatchBuilder<'a>,
}

impl RecordBench {
    /// A lane of these options.
    pub fn new(
        cluster: Cluster,
        options: Options,
        store: Arc<dyn EventStore>,
        schemas: Arc<SchemaSet>,
        registry: Registry,
    ) -> Result<Self, OptionsError> {
        let route = options.routes[0].clone();
        let mapping = Arc::new(RouteMapping::new(&options, &route)?);
        Ok(Self {
            context: LaneContext {
                encoder: RecordEncoder::new(schemas, registry, &route.topic),
                reporter: StatusReporter::new().lane(&route.name, 0),
                definition: LaneDefinition::new(&cluster, route, mapping, 0, options.lanes.get()),
                cluster: Arc::new(cluster),
                readers: SharedReaders::new(Arc::clone(&store), Limits::default(), options.lanes.get()),
                pages_ahead: Arc::new(Semaphore::new(PAGES_AT_ONCE as usize)),
                options: Arc::new(options),
                store,
            },
        })
    }

    /// The lane, at the beginning of its route.
    pub fn lane(&self) -> RecordLane<'_> {
        RecordLane { builder: BatchBuilder::new(&self.context, None) }
    }
}

impl RecordLane<'_> {
    /// The records of those events that are the lane's. The error names the first event that cannot become a record.
    pub async fn records(&mut self, events: &[RecordedEvent]) -> Result<Vec<Record>, String> {
        for event in events {
            if self.builder.is_ours(event) {
                let added = self.builder.add_record(event, None).await;
                added.map_err(|problem| format!("{}: {problem}", event.reference()))?;
            }
        }
        Ok(self.builder.take().records)
    }
}

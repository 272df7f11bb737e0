//! Sending requests to lanes.

use std::time::Duration;

use aqueduct_kafka::{Cluster, FirstFailure, create_client};
use bytes::Bytes;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::error::LaneError;
use crate::kafka::config::{self, REQUEST_TIMEOUT};
use crate::record::request::Request;

/// Writes the request to the partitions of the given lanes, and returns when it is durable in all of them.
pub(crate) fn send(
    cluster: &Cluster,
    topic: &str,
    lanes: &[u32],
    id: &Bytes,
    request: &Request,
) -> Result<(), LaneError> {
    const DOING: &str = "record the request";
    let failure = FirstFailure::of_deliveries();
    let producer: BaseProducer<_> =
        create_client(&config::requests(cluster), failure.clone()).map_err(LaneError::kafka(DOING))?;
    let json = request.to_json();
    for lane in lanes {
        let record = BaseRecord::to(topic).partition(*lane as i32).key(&id[..]).payload(&json[..]);
        producer.send(record).map_err(|(error, _)| LaneError::kafka(DOING)(error))?;
    }
    producer.flush(REQUEST_TIMEOUT + Duration::from_secs(1)).map_err(LaneError::kafka(DOING))?;
    failure.take().map_or(Ok(()), |error| Err(LaneError::kafka(DOING)(error)))
}

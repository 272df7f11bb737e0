//! Sending requests to lanes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aqueduct_kafka::{Cluster, create_client, log, log_error};
use bytes::Bytes;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};

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
    let failed = Arc::new(Mutex::new(None));
    let context = Deliveries { failed: Arc::clone(&failed) };
    let producer: BaseProducer<_> =
        create_client(&config::requests(cluster), context).map_err(LaneError::kafka(DOING))?;
    let json = request.to_json();
    for lane in lanes {
        let record = BaseRecord::to(topic).partition(*lane as i32).key(&id[..]).payload(&json[..]);
        producer.send(record).map_err(|(error, _)| LaneError::kafka(DOING)(error))?;
    }
    producer.flush(REQUEST_TIMEOUT + Duration::from_secs(1)).map_err(LaneError::kafka(DOING))?;
    let failed = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
    failed.map_or(Ok(()), |error| Err(LaneError::kafka(DOING)(error)))
}

/// Keeps the first failed delivery.
struct Deliveries {
    failed: Arc<Mutex<Option<KafkaError>>>,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error.clone());
        }
    }
}

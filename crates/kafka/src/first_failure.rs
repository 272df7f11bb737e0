//! Keeping the first failure of a producer.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;

use crate::log::{log, log_error};

/// The context of a producer that keeps the first failure: of a delivery, or, with [`or_brokers`](Self::or_brokers),
/// the loss of all brokers. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct FirstFailure {
    failure: Arc<Mutex<Option<KafkaError>>>,
    of_brokers: bool,
}

impl FirstFailure {
    /// Keeps the first record that was not delivered.
    pub fn of_deliveries() -> Self {
        Self::default()
    }

    /// Keeps the loss of all brokers as well.
    #[must_use]
    pub fn or_brokers(self) -> Self {
        Self { of_brokers: true, ..self }
    }

    /// Removes and returns the failure. The next one is kept again.
    pub fn take(&self) -> Option<KafkaError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn keep(&self, error: KafkaError) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

impl ClientContext for FirstFailure {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
        if self.of_brokers && error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.keep(error);
        }
    }
}

impl ProducerContext for FirstFailure {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.keep(error.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down() -> KafkaError {
        KafkaError::Global(RDKafkaErrorCode::AllBrokersDown)
    }

    #[test]
    fn the_first_failure_is_kept_until_it_is_taken() {
        let context = FirstFailure::of_deliveries();
        let first = KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut);
        context.keep(first.clone());
        context.keep(down());
        assert_eq!(context.clone().take(), Some(first));
        assert_eq!(context.take(), None);
    }

    #[test]
    fn the_loss_of_all_brokers_is_a_failure_only_on_request() {
        let deliveries = FirstFailure::of_deliveries();
        deliveries.error(down(), "all brokers are down");
        assert_eq!(deliveries.take(), None);
        let brokers = deliveries.or_brokers();
        brokers.error(down(), "all brokers are down");
        assert_eq!(brokers.take(), Some(down()));
    }
}

//! Whether a client still finds its brokers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::Statistics;

/// How often librdkafka calls [`BrokerWatch::observe`], and so how soon a loss is noticed.
pub(crate) const STATISTICS_INTERVAL: Duration = Duration::from_secs(1);

/// A client is replaced after it found no broker for 3 session timeouts and at least 30 s.
const PATIENCE: (u32, Duration) = (3, Duration::from_secs(30));

/// Watches whether a member of a consumer group finds any broker.
///
/// It is based on librdkafka's statistics: errors report a loss only if every broker was connected before, and never
/// that a broker is back. A client that has seen no broker for three session timeouts (at least 30 s) must
/// be dropped and created again: it may never find one again. librdkafka forgets all brokers, including the
/// configured ones, when a broker that is starting or stopping reports an empty cluster
/// (confluentinc/librdkafka#5301, 2.12.1). The group has removed the member by then.
#[derive(Debug)]
pub struct BrokerWatch {
    patience: Duration,
    reachable: AtomicBool,
    seen: Mutex<Instant>,
}

impl BrokerWatch {
    /// A watch for a new member of a group with this session timeout. Brokers count as reachable at first.
    pub fn new(session_timeout: Duration) -> Self {
        let (timeouts, at_least) = PATIENCE;
        Self::with_patience(session_timeout.saturating_mul(timeouts).max(at_least))
    }

    /// A watch that gives a client up after `patience`.
    pub fn with_patience(patience: Duration) -> Self {
        Self { patience, reachable: AtomicBool::new(true), seen: Mutex::new(Instant::now()) }
    }

    /// Takes in the client's statistics ([`ClientContext::stats`](rdkafka::ClientContext::stats)). Returns whether
    /// any broker is reachable, if that has changed since the last call.
    pub fn observe(&self, statistics: &Statistics) -> Option<bool> {
        let reachable = statistics.brokers.values().any(|broker| broker.state == "UP");
        if reachable {
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
        (self.reachable.swap(reachable, Ordering::Relaxed) != reachable).then_some(reachable)
    }

    /// For how long no broker was seen, once that is longer than the patience: the client must be created again.
    pub fn lost_for(&self) -> Option<Duration> {
        let unseen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        (unseen > self.patience).then_some(unseen)
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::statistics::Broker;

    use super::*;

    fn statistics(states: &[&str]) -> Statistics {
        let broker =
            |state: &&str| (String::from(*state), Broker { state: (*state).into(), ..Default::default() });
        Statistics { brokers: states.iter().map(broker).collect(), ..Default::default() }
    }

    #[test]
    fn changes_are_reported_once() {
        let watch = BrokerWatch::new(Duration::from_secs(6));
        assert_eq!(watch.observe(&statistics(&["UP", "DOWN"])), None);
        assert_eq!(watch.observe(&statistics(&["DOWN"])), Some(false));
        assert_eq!(watch.observe(&statistics(&[])), None);
        assert_eq!(watch.observe(&statistics(&["DOWN", "UP"])), Some(true));
        assert_eq!(watch.observe(&statistics(&["UP"])), None);
    }

    #[test]
    fn a_client_is_given_up_only_after_the_patience() {
        let patient = BrokerWatch::new(Duration::from_secs(6));
        patient.observe(&statistics(&[]));
        assert_eq!(patient.lost_for(), None);
        assert_eq!(patient.patience, Duration::from_secs(30));
        assert_eq!(BrokerWatch::new(Duration::from_secs(20)).patience, Duration::from_secs(60));

        let mut impatient = BrokerWatch::with_patience(Duration::from_secs(30));
        impatient.patience = Duration::ZERO;
        impatient.observe(&statistics(&["DOWN"]));
        assert!(impatient.lost_for().is_some());
    }
}

//! The ids of the projection's topics, as of the moment of a claim.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aqueduct_kafka::topic_ids;
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::client::Client;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use crate::metrics;

/// Timeout of a request.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Age at which an answer that nobody has used yet is not used any more: a member may wait long for its first partition.
const MAX_AGE: Duration = Duration::from_secs(10);

/// Asks for the ids of the topics.
pub(crate) struct TopicIds {
    projection: &'static str,
    /// Their names on the cluster.
    topics: Vec<String>,
    /// Locked while it is asked for.
    ahead: Mutex<Ahead>,
}

/// What was asked for before it is needed.
#[derive(Default)]
struct Ahead {
    answer: Option<Answer>,
    /// Whether a claim has asked: an answer that comes later is not for it.
    is_over: bool,
}

struct Answer {
    asked: Instant,
    ids: BTreeMap<String, String>,
}

impl TopicIds {
    pub(crate) fn new(projection: &'static str, topics: Vec<String>) -> Self {
        Self { projection, topics, ahead: Mutex::default() }
    }

    /// Asks for what the first claim will need. Called while the client joins its group, so that the claim does not wait.
    pub(super) fn ask_ahead<C: ClientContext>(&self, client: &Client<C>) {
        let mut ahead = self.ahead.lock();
        if !ahead.is_over {
            ahead.answer = self.ask(client).ok();
        }
    }

    /// The ids by the names of the topics. An answer is used for one claim, because a topic may be created again before the
    /// next one. Without them a topic that was created again might be read as if it was the former one.
    pub(super) fn current<C: ClientContext>(
        &self,
        client: &Client<C>,
    ) -> KafkaResult<BTreeMap<String, String>> {
        let ahead = {
            let mut ahead = self.ahead.lock();
            ahead.is_over = true;
            ahead.answer.take()
        };
        match ahead.filter(|answer| answer.asked.elapsed() < MAX_AGE) {
            Some(answer) => Ok(answer.ids),
            None => self.ask(client).map(|answer| answer.ids),
        }
    }

    fn ask<C: ClientContext>(&self, client: &Client<C>) -> KafkaResult<Answer> {
        let asked = Instant::now();
        let ids = match topic_ids(client, &self.topics, TIMEOUT) {
            // Brokers that do not know ids.
            Err(KafkaError::AdminOp(RDKafkaErrorCode::UnsupportedFeature)) => BTreeMap::new(),
            answer => answer.inspect_err(|_| metrics::kafka_error(self.projection))?,
        };
        Ok(Answer { asked, ids })
    }
}

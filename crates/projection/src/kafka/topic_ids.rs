//! The ids of the projection's topics, as of the moment of a claim.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aqueduct_kafka::topic_ids;
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::client::Client;

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
    answer: Mutex<Option<Answer>>,
}

struct Answer {
    asked: Instant,
    ids: BTreeMap<String, String>,
}

impl TopicIds {
    pub(crate) fn new(projection: &'static str, topics: Vec<String>) -> Self {
        Self { projection, topics, answer: Mutex::default() }
    }

    /// Asks for what the first claim will need. Called while the client joins its group, so that the claim does not wait.
    pub(super) fn ask_ahead<C: ClientContext>(&self, client: &Client<C>) {
        let mut answer = self.answer.lock();
        *answer = self.ask(client);
    }

    /// The ids by the names of the topics. An answer is used for one claim, because a topic may be created again before the
    /// next one.
    pub(super) fn current<C: ClientContext>(&self, client: &Client<C>) -> BTreeMap<String, String> {
        let ahead = self.answer.lock().take().filter(|answer| answer.asked.elapsed() < MAX_AGE);
        ahead.or_else(|| self.ask(client)).map(|answer| answer.ids).unwrap_or_default()
    }

    fn ask<C: ClientContext>(&self, client: &Client<C>) -> Option<Answer> {
        let asked = Instant::now();
        match topic_ids(client, &self.topics, TIMEOUT) {
            Ok(ids) => Some(Answer { asked, ids }),
            Err(error) => {
                let projection = self.projection;
                metrics::kafka_error(projection);
                tracing::warn!(projection, %error, "the ids of the topics are not known: a topic that was created again may be \
                                                    read as if it was the former one");
                None
            }
        }
    }
}

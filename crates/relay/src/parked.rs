//! Parked events of a route, for operators: what is parked, skipped or discarded, and requests about it.
//!
//! Everything here blocks. It reads the route's topics and writes nothing but requests: the instance of the relay
//! that owns the stream's lane executes them, in its transactions.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use aqueduct_kafka::Cluster;
use bytes::Bytes;
use jiff::Timestamp;
use rdkafka::message::{Message as _, OwnedMessage};

use crate::error::LaneError;
use crate::kafka::config;
use crate::kafka::reader::Reader;
use crate::kafka::requests;
use crate::kafka::scan::{ReadEnd, Scan};
use crate::options::Options;
use crate::record::partition::partition_of;
use crate::record::request::{MOST_SENT_BYTES, Request};
use crate::record::unreadable::UnreadableRecords;
use crate::route::Route;

pub use crate::record::code::{Code, UnknownCode};
pub use crate::record::exception::{Exception, ExceptionCounts, ExceptionError, ExceptionState, LastRelayed};
pub use crate::record::parked::ParkedEvent;
pub use crate::record::reference::{EventReference, ReferenceError};
pub use crate::record::request::{Action, Answer, ParkedFilter, RequestState};

/// A route whose parked events an operator deals with.
#[derive(Debug, Clone)]
pub struct ParkedEvents {
    cluster: Cluster,
    route: Route,
    lanes: u32,
    transaction_timeout: Duration,
}

/// An event that the route selects and that is not in its topic.
#[derive(Debug, Clone, PartialEq)]
pub struct ExceptionEntry {
    /// The event.
    pub event: EventReference,
    /// What became of it, and why.
    pub exception: Exception,
    /// When that was last decided.
    pub decided_at: Option<Timestamp>,
}

impl ParkedEvents {
    /// Those of one of the configured routes.
    pub fn new(cluster: Cluster, options: &Options, route: &Route) -> Self {
        let (lanes, transaction_timeout) = (options.lanes.get(), options.transaction_timeout());
        Self { cluster, route: route.clone(), lanes, transaction_timeout }
    }

    /// The route's name.
    pub fn route(&self) -> &str {
        &self.route.name
    }

    /// The lane to which a stream belongs.
    fn lane_of(&self, stream: &str) -> u32 {
        partition_of(stream, self.lanes)
    }

    /// The lanes that a selection concerns.
    fn lanes(&self, selection: &ParkedFilter) -> Vec<u32> {
        match &selection.stream {
            Some(stream) => vec![self.lane_of(stream)],
            None => (0..self.lanes).collect(),
        }
    }

    /// Events that are parked, skipped or discarded and match the selection, in the order of the store. A skipped
    /// event has no age and is left out where one is asked for. Takes memory for all exceptions of the lanes.
    ///
    /// # Errors
    /// Kafka cannot be asked. A route whose topics were not created yet has no events here.
    pub fn list(&self, selection: &ParkedFilter) -> Result<Vec<ExceptionEntry>, LaneError> {
        if self.partitions(&self.route.exceptions_topic(&self.cluster.prefix))? == 0 {
            return Ok(Vec::new());
        }
        let mut listed = Vec::new();
        for lane in self.lanes(selection) {
            let mut exceptions = self.exceptions(lane)?;
            let is_selected =
                |it: &ExceptionEntry, parked_at| selection.matches(&it.event, it.exception.code, parked_at);
            if selection.older_than.is_some() {
                self.read(&self.route.parked_topic(&self.cluster.prefix), lane, |record| {
                    let Ok(Some((event, ParkedEvent { parked_at, .. }))) = ParkedEvent::parse(&record) else {
                        return ControlFlow::Continue(());
                    };
                    let exception = exceptions.remove(&event).filter(|it| is_selected(it, parked_at));
                    listed.extend(exception);
                    ControlFlow::Continue(())
                })?;
            } else {
                listed.extend(exceptions.into_values().filter(|it| is_selected(it, Timestamp::MAX)));
            }
        }
        listed.sort_by(|a, b| {
            let key = |it: &ExceptionEntry| (it.exception.position, it.event.revision);
            key(a).cmp(&key(b))
        });
        Ok(listed)
    }

    /// One event, with what is parked of it if it is parked. `None` if it is not an exception of this route.
    ///
    /// # Errors
    /// Kafka cannot be asked.
    pub fn show(
        &self,
        event: &EventReference,
    ) -> Result<Option<(ExceptionEntry, Option<ParkedEvent>)>, LaneError> {
        let selection = ParkedFilter {
            stream: Some(event.stream.to_string()),
            revision: Some(event.revision),
            ..ParkedFilter::default()
        };
        let Some(listed) = self.list(&selection)?.pop() else { return Ok(None) };
        let mut parked = None;
        let key = event.to_string();
        let topic = self.route.parked_topic(&self.cluster.prefix);
        self.read(&topic, self.lane_of(event.stream.as_str()), |record| {
            if record.key() == Some(key.as_bytes()) {
                parked = ParkedEvent::parse(&record).ok().flatten().map(|(_, event)| event);
            }
            ControlFlow::Continue(())
        })?;
        Ok(Some((listed, parked)))
    }

    /// Asks the owners of the lanes that the selection concerns. The request is durable when this returns.
    ///
    /// # Errors
    /// The request is larger than a lane reads. Kafka cannot be asked, refuses, or lacks the topic of requests:
    /// [`create_topics`](crate::create_topics) makes it.
    pub fn request(&self, action: Action, selection: ParkedFilter) -> Result<SentRequest, LaneError> {
        let topic = self.route.requests_topic(&self.cluster.prefix);
        self.reader()?.expect_partitions(&topic, self.lanes)?;
        let lanes = self.lanes(&selection);
        let request = Request::new(action, selection, Timestamp::now());
        let bytes = request.to_json().len();
        if bytes > MOST_SENT_BYTES {
            return Err(LaneError::RequestTooLarge { bytes, max: MOST_SENT_BYTES });
        }
        let id = Bytes::from(uuid::Uuid::new_v4().to_string());
        requests::send(&self.cluster, &topic, &lanes, &id, &request)?;
        let answers = lanes
            .into_iter()
            .map(|lane| Ok(LaneAnswer { lane, scan: self.scan(&topic, lane)?, answer: None }));
        Ok(SentRequest { id, answers: answers.collect::<Result<_, LaneError>>()? })
    }

    fn reader(&self) -> Result<Reader, LaneError> {
        Reader::new(&config::reader(&self.cluster, &self.route))
    }

    fn partitions(&self, topic: &str) -> Result<usize, LaneError> {
        self.reader()?.partitions(topic)
    }

    fn read(
        &self,
        topic: &str,
        lane: u32,
        take: impl FnMut(OwnedMessage) -> ControlFlow<()>,
    ) -> Result<(), LaneError> {
        // Who stops it knows why.
        let _end = read_to_end(&mut self.scan(topic, lane)?, take)?;
        Ok(())
    }

    fn scan(&self, topic: &str, lane: u32) -> Result<Scan, LaneError> {
        let scan = Scan::new(&config::reader(&self.cluster, &self.route), topic, lane as i32)?;
        Ok(scan.with_transaction_timeout(self.transaction_timeout))
    }

    fn exceptions(&self, lane: u32) -> Result<BTreeMap<EventReference, ExceptionEntry>, LaneError> {
        let topic = self.route.exceptions_topic(&self.cluster.prefix);
        let mut exceptions = BTreeMap::new();
        let mut unreadable = UnreadableRecords::default();
        self.read(&topic, lane, |record| {
            let added = add(&mut exceptions, &record);
            unreadable.add(&record, added)
        })?;
        match unreadable.into_first() {
            Some((offset, source)) => Err(LaneError::Exception { topic, partition: lane, offset, source }),
            None => Ok(exceptions),
        }
    }
}

fn read_to_end(
    scan: &mut Scan,
    take: impl FnMut(OwnedMessage) -> ControlFlow<()>,
) -> Result<ReadEnd, LaneError> {
    scan.read_to_end(take, || ControlFlow::Continue(()))
}

/// Adds what a record of the exceptions topic says.
fn add(
    exceptions: &mut BTreeMap<EventReference, ExceptionEntry>,
    record: &OwnedMessage,
) -> Result<(), ExceptionError> {
    let event = EventReference::of_key(record.key()).ok_or_else(ExceptionError::key)?;
    let Some(json) = record.payload() else {
        exceptions.remove(&event);
        return Ok(());
    };
    let exception = Exception::parse(json)?;
    let decided_at = record.timestamp().to_millis().and_then(|it| Timestamp::from_millisecond(it).ok());
    exceptions.insert(event.clone(), ExceptionEntry { event, exception, decided_at });
    Ok(())
}

/// A request that was recorded.
pub struct SentRequest {
    id: Bytes,
    answers: Vec<LaneAnswer>,
}

struct LaneAnswer {
    lane: u32,
    scan: Scan,
    answer: Option<Answer>,
}

impl SentRequest {
    /// Its id, a UUID.
    pub fn id(&self) -> String {
        String::from_utf8_lossy(&self.id).into_owned()
    }

    /// How far each lane is that was asked, after what it has answered by now; `None` for a lane that has not seen
    /// the request.
    ///
    /// # Errors
    /// Kafka cannot be asked.
    pub fn answers(&mut self) -> Result<BTreeMap<u32, Option<Answer>>, LaneError> {
        for LaneAnswer { scan, answer, .. } in &mut self.answers {
            let take = |record: OwnedMessage| {
                if record.key() == Some(&self.id[..])
                    && let Some(Ok(request)) = record.payload().map(Request::parse)
                    && request.answer.is_some()
                {
                    *answer = request.answer;
                }
                ControlFlow::Continue(())
            };
            // Nothing stops it.
            let _complete = read_to_end(scan, take)?;
        }
        Ok(self.answers.iter().map(|it| (it.lane, it.answer.clone())).collect())
    }
}

/// How often it is worth asking for [`answers`](SentRequest::answers).
pub const POLL_INTERVAL: Duration = Duration::from_millis(500);

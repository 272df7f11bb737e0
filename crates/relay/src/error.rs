//! Errors that end a session of a lane.

use std::sync::Arc;

use aqueduct_core::{ErrorKind, Position, StoreError};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::kafka::producer::TransactionError;
use crate::record::checkpoint_error::CheckpointError;
use crate::record::exception::ExceptionError;

/// What ends a lane's session. The lane then restarts from its checkpoint, after a pause that
/// [`kind`](Self::kind) decides; no such error ends the relay.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    /// Kafka could not be asked, or refused.
    #[error("kafka: could not {doing}")]
    Kafka {
        /// What was being done.
        doing: &'static str,
        /// librdkafka's error.
        #[source]
        source: KafkaError,
    },
    /// A transaction failed.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// A topic does not exist.
    #[error("topic {topic} does not exist: run `aqueduct setup`")]
    TopicMissing {
        /// The topic.
        topic: String,
    },
    /// A topic is not as configured. Its number of partitions must not be changed: streams would move.
    #[error(
        "topic {topic} has {found} partitions, {expected} are configured: correct the configuration, or use a new \
         route with a topic of its own"
    )]
    PartitionCount {
        /// The topic.
        topic: String,
        /// Partitions it has.
        found: usize,
        /// Partitions it should have.
        expected: u32,
    },
    /// A transaction is open in one of the lane's partitions that the lane cannot abort.
    #[error(
        "topic {topic}, partition {partition} has an open transaction at offset {offset} that could not be aborted. \
         Either another producer wrote it (only the relay may write to this topic) or its end marker was lost again. \
         Abort it with kafka-transactions.sh"
    )]
    HangingTransaction {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Where it begins.
        offset: i64,
    },
    /// A record of the exceptions topic cannot be read.
    #[error(
        "topic {topic}, partition {partition} has a record at offset {offset} that is not an exception: only the \
         relay may write to this topic; find the other producer, stop it, and write a tombstone under the record's key"
    )]
    Exception {
        /// The topic.
        topic: String,
        /// The partition, which is the lane.
        partition: u32,
        /// Where the record is.
        offset: i64,
        /// Why it cannot be read.
        #[source]
        source: ExceptionError,
    },
    /// Kafka has lost the end of a transaction in a partition of exceptions and kept it elsewhere.
    #[error(
        "topic {topic}, partition {partition} has an open transaction at offset {offset} although its checkpoint \
         is committed: Kafka lost the transaction's end marker in this partition. Aborting it would lose parked \
         events; use a new route with a new topic"
    )]
    TornExceptions {
        /// The topic.
        topic: String,
        /// The partition, which is the lane.
        partition: i32,
        /// Where the open transaction begins.
        offset: i64,
    },
    /// The checkpoint is refused.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store's subscription broke its contract.
    #[error(
        "the subscription returned position {to} after {from} (event {reference}): report this with the store's version"
    )]
    Disorder {
        /// Position of the event before.
        from: Position,
        /// Position of this event.
        to: Position,
        /// The event.
        reference: String,
    },
    /// The reader that the lane shared could not read the store.
    #[error(transparent)]
    Reader(Arc<StoreError>),
    /// The store is not the one that was read before.
    #[error(
        "the store ends at {}, before position {received} that was already read: it was restored from a backup, or the \
         connection string points to another store",
        end.map_or("no event".to_owned(), |end| format!("position {end}"))
    )]
    StoreBehind {
        /// Highest position that a lane of the reader has received.
        received: Position,
        /// The last event of the store.
        end: Option<Position>,
    },
    /// The reader that the lane shared panicked.
    #[error("the reader of the store panicked: see the message on the process's standard error")]
    ReaderPanicked,
    /// The store's subscription ended without an error.
    #[error("the store's subscription ended")]
    SubscriptionEnded,
    /// A call into librdkafka did not come back. Its thread is abandoned; the next producer fences it.
    #[error("kafka: no progress for {seconds} s, although every call should have timed out")]
    Hung {
        /// How long nothing moved.
        seconds: u64,
    },
    /// The client of the consumer group has found no broker for so long that it is created again.
    #[error(
        "no kafka broker of {brokers} could be reached for {seconds} s: joining the consumer group again"
    )]
    Unreachable {
        /// The bootstrap servers.
        brokers: String,
        /// For how long.
        seconds: u64,
    },
    /// The operating system could not start a thread.
    #[error("thread {name} could not be started")]
    Spawn {
        /// Name of the thread.
        name: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A thread ended without a result: it panicked.
    #[error("thread {name} ended unexpectedly: see the message on the process's standard error")]
    ThreadEnded {
        /// Name of the thread.
        name: String,
    },
    /// A request about parked events is larger than a lane reads. Nothing was sent.
    #[error(
        "the request has {bytes} bytes, a lane reads at most {max}: select the events without naming their stream"
    )]
    RequestTooLarge {
        /// Its size.
        bytes: usize,
        /// The largest one.
        max: usize,
    },
    /// The lane's reading side panicked.
    #[error("the lane panicked: see the message on the process's standard error")]
    Panicked,
}

impl LaneError {
    pub(crate) fn kafka(doing: &'static str) -> impl FnOnce(KafkaError) -> Self {
        move |source| Self::Kafka { doing, source }
    }

    /// [`ErrorKind::Retry`]: it may pass without help. [`ErrorKind::Stop`]: an operator must act; the
    /// lane halts, and retries at intervals.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Kafka { source, .. } | Self::Transaction(TransactionError { source, .. }) => {
                if refuses(source) { ErrorKind::Stop } else { ErrorKind::Retry }
            }
            Self::SubscriptionEnded
            | Self::Hung { .. }
            | Self::Unreachable { .. }
            | Self::Spawn { .. }
            | Self::ThreadEnded { .. }
            | Self::StoreBehind { .. }
            | Self::ReaderPanicked
            | Self::Panicked => ErrorKind::Retry,
            Self::TopicMissing { .. }
            | Self::PartitionCount { .. }
            | Self::HangingTransaction { .. }
            | Self::Exception { .. }
            | Self::TornExceptions { .. }
            | Self::Checkpoint(_)
            | Self::RequestTooLarge { .. }
            | Self::Disorder { .. } => ErrorKind::Stop,
            Self::Store(error) => error.kind(),
            Self::Reader(error) => error.kind(),
        }
    }

    /// Whether another producer has taken over the lane.
    pub(crate) fn is_fenced(&self) -> bool {
        matches!(self, Self::Transaction(error) if error.fenced)
    }

    /// Value of the metrics' label `kind`.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Transaction(error) if error.fenced => "fenced",
            Self::Kafka { .. } | Self::Transaction(_) | Self::Unreachable { .. } => "kafka",
            Self::TopicMissing { .. }
            | Self::PartitionCount { .. }
            | Self::RequestTooLarge { .. }
            | Self::HangingTransaction { .. }
            | Self::Exception { .. } => "topic",
            Self::TornExceptions { .. } | Self::Checkpoint(_) => "checkpoint",
            Self::Store(_)
            | Self::Reader(_)
            | Self::StoreBehind { .. }
            | Self::Disorder { .. }
            | Self::SubscriptionEnded => "store",
            Self::Hung { .. }
            | Self::Spawn { .. }
            | Self::ThreadEnded { .. }
            | Self::ReaderPanicked
            | Self::Panicked => "hung",
        }
    }
}

/// Whether Kafka refuses permanently, until somebody changes a setting or a permission. Each try
/// leaves an aborted batch in the topic, so there should be few of them.
fn refuses(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        ClusterAuthorizationFailed, InvalidRecord, MessageSizeTooLarge, TopicAuthorizationFailed,
        TransactionalIdAuthorizationFailed,
    };
    matches!(
        error.rdkafka_error_code(),
        Some(
            ClusterAuthorizationFailed
                | InvalidRecord
                | MessageSizeTooLarge
                | TopicAuthorizationFailed
                | TransactionalIdAuthorizationFailed
        )
    )
}

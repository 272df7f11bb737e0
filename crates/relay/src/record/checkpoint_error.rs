//! Errors of checkpoints.

use aqueduct_core::Position;

use crate::record::exception::ExceptionCounts;

/// The checkpoint contradicts its topic, the store or the configuration. The lane halts, because resuming at a wrong
/// position duplicates or loses events.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Not a checkpoint of this version of the relay.
    #[error(
        "the checkpoint of route {route}, lane {lane} cannot be read. A later version of the relay wrote it: run \
         that version"
    )]
    Unreadable {
        /// The route.
        route: String,
        /// The lane.
        lane: u32,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// It was written under another configuration.
    #[error(
        "the checkpoint of route {route}, lane {lane} was written with another {what} ({was}, now {is}). Restore the \
         old value, or use a new route with a topic of its own"
    )]
    Changed {
        /// The route.
        route: String,
        /// The lane.
        lane: u32,
        /// Which setting.
        what: &'static str,
        /// Its value then.
        was: String,
        /// Its value now.
        is: String,
    },
    /// The lane's records were made by another rule: what decides which events are records, and what they are called.
    #[error(
        "route {route}, lane {lane}: the selection, the type map or the schema version pointers have changed since the \
         lane's first record. Restore them (see the history of the configuration), or use a new route with a topic of \
         its own"
    )]
    RuleChanged {
        /// The route.
        route: String,
        /// The lane.
        lane: u32,
    },
    /// It would take the lane back to events that are in the topic already.
    #[error(
        "topic {topic} is ahead of the checkpoint of lane {lane}: partition {partition} ends with the event \
         at position {tail}, the checkpoint {}; resuming there would write events twice. The checkpoint topic was \
         lost or restored, or another relay writes to this topic. Restore it, stop the other relay, or use a new route \
         with a topic of its own",
        .checkpoint.map_or("is missing".to_owned(), |it| format!("is at position {it}"))
    )]
    Behind {
        /// The topic.
        topic: String,
        /// The lane.
        lane: u32,
        /// The partition that shows it.
        partition: i32,
        /// Position of its last record.
        tail: u64,
        /// Position of the checkpoint, where there is one.
        checkpoint: Option<Position>,
    },
    /// It would make the lane jump over events that are not in the topic.
    #[error(
        "topic {topic} lacks the event at position {expected}, which the checkpoint of lane {lane} says was written to \
         partition {partition}; the partition {}. Resuming there would leave a gap. The topic was created again, or \
         the broker lost records. Restore it, or use a new route with a topic of its own",
        .found.map_or("has no record of the relay".to_owned(), |it| format!("ends with the event at position {it}"))
    )]
    Ahead {
        /// The topic.
        topic: String,
        /// The lane.
        lane: u32,
        /// The partition that shows it.
        partition: i32,
        /// Position of the record that should be its last.
        expected: u64,
        /// Position of the record that is, where there is one.
        found: Option<u64>,
    },
    /// There is no checkpoint, and retention has removed what would show whether the lane wrote records before.
    #[error(
        "lane {lane} has no checkpoint, and retention has removed all of its records before offset {start} of topic \
         {topic}, partition {partition}; resuming at the store's first event could write events twice. Was the \
         checkpoint topic lost? Restore it, or use a new route with a topic of its own"
    )]
    Expired {
        /// The topic.
        topic: String,
        /// The lane.
        lane: u32,
        /// The partition that shows it.
        partition: i32,
        /// Its first offset.
        start: i64,
    },
    /// A relay with another name of the store has written to the topic.
    #[error(
        "topic {topic}, partition {partition} holds records of a relay with the source {found}, and lane {lane} has \
         the source {expected}; resuming there would write events twice if it is the same store. Put the old name \
         of the source back, or use a new route with a topic of its own"
    )]
    OtherSource {
        /// The topic.
        topic: String,
        /// The lane.
        lane: u32,
        /// The partition that shows it.
        partition: i32,
        /// `ce_source` of its records.
        found: String,
        /// The configured source.
        expected: String,
    },
    /// The checkpoint of version 0.1 does not agree with the lane's partitions.
    #[error(
        "the checkpoint of lane {lane} in topic {checkpoint_topic} cannot be adopted: it names {} as the last of topic \
         {topic}, partition {partition}, which {}. Another system may have written it. Restore the old prefix, or use a \
         new route with a topic of its own",
        .expected.map_or("no event".to_owned(), |it| format!("the event at position {it}")),
        .found.map_or("has no record of the relay".to_owned(), |it| format!("ends with the event at position {it}"))
    )]
    NotAdopted {
        /// The topic.
        topic: String,
        /// The topic of the checkpoint.
        checkpoint_topic: String,
        /// The lane.
        lane: u32,
        /// The partition that shows it.
        partition: i32,
        /// Position of the record that should be its last, where there is one.
        expected: Option<u64>,
        /// Position of the record that is, where there is one.
        found: Option<u64>,
    },
    /// The checkpoint of version 0.1 was written under another configuration.
    #[error(
        "the checkpoint of lane {lane} in topic {checkpoint_topic} cannot be adopted: it was written with another \
         {what} ({was}, now {is}). Restore the old value, or, if another system wrote it, use a new route with a topic \
         of its own"
    )]
    OtherConfiguration {
        /// The topic of the checkpoint.
        checkpoint_topic: String,
        /// The lane.
        lane: u32,
        /// Which setting.
        what: &'static str,
        /// Its value then.
        was: String,
        /// Its value now.
        is: String,
    },
    /// The checkpoint of version 0.1 was written by another rule.
    #[error(
        "the checkpoint of lane {lane} in topic {checkpoint_topic} cannot be adopted: the selection, the type map or the \
         schema version pointers have changed since it was written. Restore them, or, if another system wrote it, use \
         a new route with a topic of its own"
    )]
    OtherRule {
        /// The topic of the checkpoint.
        checkpoint_topic: String,
        /// The lane.
        lane: u32,
    },
    /// The lane's exceptions are not those that its checkpoint counts.
    #[error(
        "topic {topic}, partition {lane} holds {found}, but the checkpoint of lane {lane} counts {expected}: the topic \
         was created again, its records expired, or another producer writes to it. Later events of parked streams \
         would overtake them. Restore the topic and set cleanup.policy=compact, or use a new route with a topic of its \
         own"
    )]
    Exceptions {
        /// The topic of exceptions.
        topic: String,
        /// The lane.
        lane: u32,
        /// How many the checkpoint counts.
        expected: ExceptionCounts,
        /// How many were found.
        found: ExceptionCounts,
    },
    /// A transaction was committed in some partitions, and Kafka lost its end marker in others.
    #[error(
        "topic {topic}, partition {partition} has an open transaction at offset {offset} with the event at position \
         {position}, although the checkpoint of lane {lane} is at {checkpoint}: the transaction was committed in \
         another partition, and Kafka lost its end marker in this one. It can neither be aborted (that would leave a \
         gap) nor committed. Use a new route with a new topic"
    )]
    Torn {
        /// The topic.
        topic: String,
        /// The lane.
        lane: u32,
        /// The partition.
        partition: i32,
        /// Where the open transaction begins.
        offset: i64,
        /// Position of an event in it.
        position: u64,
        /// Position of the checkpoint.
        checkpoint: Position,
    },
    /// The store is not the one it speaks of.
    #[error(
        "the checkpoint of route {route}, lane {lane} is at position {checkpoint}, but the store {}: it is \
         another store, or one that was restored from a backup. Use the old store, or a new route with a topic of its \
         own",
        .store.map_or("is empty".to_owned(), |it| format!("ends at position {it}"))
    )]
    BeyondStore {
        /// The route.
        route: String,
        /// The lane.
        lane: u32,
        /// Position of the checkpoint.
        checkpoint: Position,
        /// Position of the store's last event.
        store: Option<Position>,
    },
}

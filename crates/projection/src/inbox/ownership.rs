//! The partitions that this instance owns, and their epochs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use sqlx::{Executor, Postgres};

use crate::inbox::GENERATION;
use crate::record::Record;

/// The partitions that an instance owns. Kafka's group decides who may read a partition, Postgres who may write
/// its offset. A partition is *claimed* in Postgres when Kafka assigns it: that raises its epoch and returns the
/// offset to resume at. A batch commits only if the epochs of its records are still the current ones.
#[derive(Debug)]
pub(crate) struct Ownership {
    projection: &'static str,
    /// Shown in `aqueduct.offsets`, for operators.
    owner: String,
    owned: Mutex<BTreeMap<(Arc<str>, i32), Owned>>,
    /// See [`take_rejoin_request`](Self::take_rejoin_request).
    rejoin_requested: AtomicBool,
}

#[derive(Debug)]
struct Owned {
    epoch: i64,
    /// As stored in Postgres.
    next_offset: Option<i64>,
    /// As committed to Kafka, which only shows the lag.
    committed_to_kafka: Option<i64>,
    /// Offset up to which everything is applied, including transaction markers; `None` while records are unread.
    read_to: Option<i64>,
    /// Offset after the last record that was read, at first where reading begins; 0: at the beginning.
    next_read: i64,
    /// Whether the client has reported the partition's statistics since the claim.
    is_observed: bool,
    /// Records read and not yet committed.
    in_flight: i64,
}

/// Result of [`BatchProcessor::claim`](crate::BatchProcessor::claim).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Epoch that records read from now on must carry.
    pub epoch: i64,
    /// Offset to resume at; `None`: the beginning of the partition.
    pub resume_at: Option<i64>,
}

/// Result of claiming a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Claimed {
    Owned(Claim),
    /// It must not be read. The former owner cannot commit to it any more.
    TopicRecreated(RecreatedTopic),
}

/// A topic that was deleted and created again after records of it were applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecreatedTopic {
    /// Name of the topic.
    pub topic: String,
    /// Kafka's id of the topic that was read.
    pub read: String,
    /// Kafka's id of the topic that has the name now.
    pub found: String,
}

/// A partition and the epoch under which it is owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnedPartition {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) epoch: i64,
}

/// Next offset of a partition after a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NextOffset {
    pub(crate) partition: OwnedPartition,
    pub(crate) next_offset: i64,
    /// Records of the batch in this partition.
    pub(crate) records: i64,
}

impl OwnedPartition {
    fn is_of(&self, record: &Record) -> bool {
        self.partition == record.partition && self.topic == record.topic
    }

    /// Whether the record was read from the partition under this epoch.
    pub(crate) fn owns(&self, record: &Record) -> bool {
        self.epoch == record.epoch && self.is_of(record)
    }
}

impl Ownership {
    pub(crate) fn new(projection: &'static str) -> Self {
        let owner = uuid::Uuid::new_v4().to_string();
        Self { projection, owner, owned: Mutex::default(), rejoin_requested: AtomicBool::new(false) }
    }

    /// Name of the projection.
    pub(crate) fn projection(&self) -> &'static str {
        self.projection
    }

    /// Claims a partition in Postgres, which raises its epoch. `topic_id` is Kafka's id of the topic, if it is known.
    pub(crate) async fn claim(
        &self,
        executor: impl Executor<'_, Database = Postgres>,
        topic: &Arc<str>,
        partition: i32,
        topic_id: Option<&str>,
    ) -> Result<Claimed, sqlx::Error> {
        let (epoch, resume_at, read, found): (i64, Option<i64>, Option<String>, Option<String>) =
            sqlx::query_as(
                "select claimed_epoch, resume_at, topic_id, found_topic_id \
                   from aqueduct.offsets_claim($1, $2, $3, $4, $5, $6)",
            )
            .bind(self.projection)
            .bind(GENERATION)
            .bind(&**topic)
            .bind(partition)
            .bind(&self.owner)
            .bind(topic_id)
            .fetch_one(executor)
            .await?;
        if let (Some(read), Some(found)) = (read, found) {
            return Ok(Claimed::TopicRecreated(RecreatedTopic { topic: topic.to_string(), read, found }));
        }
        let claim = Claim { epoch, resume_at };
        self.own(topic, partition, claim);
        tracing::info!(projection = self.projection, %topic, partition, epoch, resume_at, "partition claimed");
        Ok(Claimed::Owned(claim))
    }

    /// Takes a claimed partition as its own.
    pub(crate) fn own(&self, topic: &Arc<str>, partition: i32, Claim { epoch, resume_at }: Claim) {
        let owned = Owned {
            epoch,
            next_offset: resume_at,
            committed_to_kafka: None,
            read_to: None,
            next_read: resume_at.unwrap_or_default(),
            is_observed: false,
            in_flight: 0,
        };
        self.owned.lock().insert((Arc::clone(topic), partition), owned);
    }

    /// Forgets all partitions: Kafka has revoked them.
    pub(crate) fn clear(&self) -> Vec<(Arc<str>, i32)> {
        std::mem::take(&mut *self.owned.lock()).into_keys().collect()
    }

    /// Takes a record that was just read: it is in flight from now on. Returns its topic's shared name and its partition's
    /// epoch; `None` if the partition is not owned, or the record was taken before.
    pub(crate) fn take(&self, topic: &str, partition: i32, offset: i64) -> Option<(Arc<str>, i64)> {
        let mut owned = self.owned.lock();
        let (topic, owned) = find(&mut owned, topic, partition)?;
        if offset < owned.next_read {
            return None;
        }
        owned.next_read = offset + 1;
        owned.in_flight += 1;
        Some((Arc::clone(topic), owned.epoch))
    }

    /// The offset at which reading must continue, with 0 for the beginning; `None` if the partition is not owned. Where
    /// everything is applied it is after the transaction markers, whose offsets retention may have removed.
    pub(crate) fn next_read(&self, topic: &Arc<str>, partition: i32) -> Option<i64> {
        let owned = self.owned.lock();
        let owned = owned.get(&(Arc::clone(topic), partition))?;
        Some(owned.next_read.max(owned.read_to.unwrap_or_default()))
    }

    /// The client has reported the partition's statistics. Returns whether that happened before since the claim.
    pub(crate) fn observe(&self, topic: &str, partition: i32) -> bool {
        let mut owned = self.owned.lock();
        find(&mut owned, topic, partition)
            .is_some_and(|(_, owned)| std::mem::replace(&mut owned.is_observed, true))
    }

    /// The partitions that are owned now.
    pub(crate) fn partitions(&self) -> Vec<OwnedPartition> {
        let owned = self.owned.lock();
        let partition = |((topic, partition), owned): (&(Arc<str>, i32), &Owned)| OwnedPartition {
            topic: Arc::clone(topic),
            partition: *partition,
            epoch: owned.epoch,
        };
        owned.iter().map(partition).collect()
    }

    /// The next offset, as stored in Postgres, of each owned partition that has one.
    pub(crate) fn stored_offsets(&self) -> Vec<(Arc<str>, i32, i64)> {
        let owned = self.owned.lock();
        let offset = |((topic, partition), owned): (&(Arc<str>, i32), &Owned)| {
            Some((Arc::clone(topic), *partition, owned.next_offset?))
        };
        owned.iter().filter_map(offset).collect()
    }

    /// Whether the record's partition is owned under the epoch under which it was read.
    pub(crate) fn owns(&self, record: &Record) -> bool {
        let key = (Arc::clone(&record.topic), record.partition);
        self.owned.lock().get(&key).is_some_and(|owned| owned.epoch == record.epoch)
    }

    /// Whether the partition is still owned under this epoch.
    pub(crate) fn owns_partition(&self, OwnedPartition { topic, partition, epoch }: &OwnedPartition) -> bool {
        let key = (Arc::clone(topic), *partition);
        self.owned.lock().get(&key).is_some_and(|owned| owned.epoch == *epoch)
    }

    /// Records read and not yet committed.
    pub(crate) fn in_flight(&self, topic: &str, partition: i32) -> Option<i64> {
        let mut owned = self.owned.lock();
        find(&mut owned, topic, partition).map(|(_, owned)| owned.in_flight)
    }

    /// Records that everything before the offset is applied; `None`: there are unread records.
    pub(crate) fn set_read_to(&self, topic: &str, partition: i32, offset: Option<i64>) {
        let mut owned = self.owned.lock();
        if let Some((_, owned)) = find(&mut owned, topic, partition) {
            owned.read_to = offset;
        }
    }

    /// The partitions that are owned now, with the offset up to which everything is applied.
    pub(crate) fn reached(&self) -> Vec<(OwnedPartition, Option<i64>)> {
        let owned = self.owned.lock();
        let reached = |((topic, partition), owned): (&(Arc<str>, i32), &Owned)| {
            let partition =
                OwnedPartition { topic: Arc::clone(topic), partition: *partition, epoch: owned.epoch };
            (partition, owned.read_to.max(owned.next_offset))
        };
        owned.iter().map(reached).collect()
    }

    /// Name of this instance in Postgres.
    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// Gives partitions up although Kafka has not revoked them: records that were read from them will not be
    /// committed, so no later ones may be. That is the case when Postgres has another owner (another instance
    /// claimed the partition while this one was considered dead, or an operator moved the offset). Claiming it
    /// again could be wrong, if the other one is the rightful owner, so the instance rejoins the group.
    pub(crate) fn give_up<'a>(&self, lost: impl IntoIterator<Item = &'a OwnedPartition>) {
        let mut owned = self.owned.lock();
        for OwnedPartition { topic, partition, epoch } in lost {
            let key = (Arc::clone(topic), *partition);
            if owned.get(&key).is_some_and(|owned| owned.epoch == *epoch) {
                owned.remove(&key);
                self.rejoin_requested.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Returns whether a partition was given up since the last call, so that the instance must rejoin the group.
    pub(crate) fn take_rejoin_request(&self) -> bool {
        self.rejoin_requested.swap(false, Ordering::Relaxed)
    }

    /// Records that a batch was committed.
    pub(crate) fn record_commit(&self, offsets: &[NextOffset]) {
        let mut owned = self.owned.lock();
        for NextOffset { partition: OwnedPartition { topic, partition, epoch }, next_offset, records } in
            offsets
        {
            let owned = owned.get_mut(&(Arc::clone(topic), *partition));
            if let Some(owned) = owned.filter(|owned| owned.epoch == *epoch) {
                owned.in_flight -= records;
                owned.next_offset = Some(*next_offset);
            }
        }
    }

    /// Offsets that have not been committed to Kafka yet; marks them as committed.
    pub(crate) fn take_uncommitted(&self) -> Vec<(Arc<str>, i32, i64)> {
        let mut changed = Vec::new();
        for ((topic, partition), owned) in &mut *self.owned.lock() {
            let next_offset = owned.next_offset.filter(|next| owned.committed_to_kafka != Some(*next));
            if let Some(next_offset) = next_offset {
                owned.committed_to_kafka = Some(next_offset);
                changed.push((Arc::clone(topic), *partition, next_offset));
            }
        }
        changed
    }

    /// First statement of a batch's transaction. Returns the partitions that have another owner now; if there
    /// are any, the transaction must be rolled back.
    pub(crate) async fn store_offsets(
        &self,
        executor: impl Executor<'_, Database = Postgres>,
        offsets: &[NextOffset],
    ) -> Result<Vec<OwnedPartition>, sqlx::Error> {
        let partitions = || offsets.iter().map(|next| &next.partition);
        let lost: Vec<i64> = sqlx::query_scalar("select aqueduct.offsets_advance($1, $2, $3, $4, $5, $6)")
            .bind(self.projection)
            .bind(GENERATION)
            .bind(partitions().map(|owned| &*owned.topic).collect::<Vec<_>>())
            .bind(partitions().map(|owned| owned.partition).collect::<Vec<_>>())
            .bind(partitions().map(|owned| owned.epoch).collect::<Vec<_>>())
            .bind(offsets.iter().map(|next| next.next_offset).collect::<Vec<_>>())
            .fetch_one(executor)
            .await?;
        let lost = lost.into_iter().filter_map(|ordinal| usize::try_from(ordinal - 1).ok());
        Ok(lost.filter_map(|index| offsets.get(index)).map(|lost| lost.partition.clone()).collect())
    }
}

/// A partition by the name of its topic, which librdkafka gives as text, with the shared name.
fn find<'o>(
    owned: &'o mut BTreeMap<(Arc<str>, i32), Owned>,
    topic: &str,
    partition: i32,
) -> Option<(&'o Arc<str>, &'o mut Owned)> {
    let found = owned.iter_mut().find(|((name, number), _)| *number == partition && **name == *topic);
    found.map(|((name, _), owned)| (name, owned))
}

/// The next offset of each partition after these records, which are in the order of their offsets within each.
pub(crate) fn next_offsets<'a>(records: impl Iterator<Item = &'a Record>) -> Vec<NextOffset> {
    let mut offsets: Vec<NextOffset> = Vec::new();
    // Most records have the partition of the one before.
    let mut index = 0;
    for record in records {
        let is_same = |next: &NextOffset| next.partition.is_of(record);
        if !offsets.get(index).is_some_and(is_same) {
            index = offsets.iter().position(is_same).unwrap_or(offsets.len());
        }
        if index == offsets.len() {
            let (topic, partition, epoch) = (Arc::clone(&record.topic), record.partition, record.epoch);
            let partition = OwnedPartition { topic, partition, epoch };
            offsets.push(NextOffset { partition, next_offset: 0, records: 0 });
        }
        let next = &mut offsets[index];
        (next.partition.epoch, next.next_offset) = (record.epoch, record.offset + 1);
        next.records += 1;
    }
    offsets
}

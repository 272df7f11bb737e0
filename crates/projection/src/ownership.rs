//! Which partitions this instance owns, and under which epoch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use sqlx::{Executor, PgPool, Postgres};

use crate::Record;

/// The partitions that an instance owns. Kafka's group says who may read a partition; Postgres says who may
/// write its offset. A partition is *claimed* in Postgres when Kafka assigns it: that raises its epoch and
/// says where to go on. A batch commits only if the epochs of its records are still the present ones.
#[derive(Debug)]
pub(crate) struct Ownership {
    projection: &'static str,
    generation: i32,
    /// Shown in `aqueduct.offsets`, for people.
    owner: String,
    owned: Mutex<BTreeMap<(Arc<str>, i32), Owned>>,
    /// See [`must_rejoin`](Self::must_rejoin).
    must_rejoin: AtomicBool,
}

#[derive(Debug)]
struct Owned {
    epoch: i64,
    /// What Postgres holds.
    next_offset: Option<i64>,
    /// What Kafka was told.
    shown: Option<i64>,
    /// Records read and not yet committed.
    in_hand: i64,
}

/// Next offset of a partition, as a batch leaves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Advance {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) epoch: i64,
    pub(crate) next_offset: i64,
}

impl Ownership {
    pub(crate) fn new(projection: &'static str, generation: i32) -> Self {
        let owner = uuid::Uuid::new_v4().to_string();
        Self { projection, generation, owner, owned: Mutex::default(), must_rejoin: AtomicBool::new(false) }
    }

    /// Claims a partition: its new epoch, and where to go on (`None`: from its beginning).
    pub(crate) async fn claim(
        &self,
        pool: &PgPool,
        topic: &Arc<str>,
        partition: i32,
    ) -> Result<(i64, Option<i64>), sqlx::Error> {
        let (epoch, next_offset): (i64, Option<i64>) =
            sqlx::query_as("select * from aqueduct.offsets_claim($1, $2, $3, $4, $5)")
                .bind(self.projection)
                .bind(self.generation)
                .bind(&**topic)
                .bind(partition)
                .bind(&self.owner)
                .fetch_one(pool)
                .await?;
        let owned = Owned { epoch, next_offset, shown: None, in_hand: 0 };
        self.owned.lock().insert((Arc::clone(topic), partition), owned);
        tracing::info!(projection = self.projection, %topic, partition, epoch, next_offset, "partition claimed");
        Ok((epoch, next_offset))
    }

    /// Forgets all partitions: Kafka has taken them back.
    pub(crate) fn clear(&self) -> Vec<(Arc<str>, i32)> {
        std::mem::take(&mut *self.owned.lock()).into_keys().collect()
    }

    /// The epoch of a partition, and its topic's shared name, for a record that was just read.
    pub(crate) fn taken_in_hand(&self, topic: &str, partition: i32) -> Option<(Arc<str>, i64)> {
        let mut owned = self.owned.lock();
        let ((topic, _), owned) =
            owned.iter_mut().find(|((name, p), _)| *p == partition && **name == *topic)?;
        owned.in_hand += 1;
        Some((Arc::clone(topic), owned.epoch))
    }

    /// Whether the record's partition is owned under the epoch under which it was read.
    pub(crate) fn owns(&self, record: &Record) -> bool {
        self.epoch(&record.topic, record.partition) == Some(record.epoch)
    }

    pub(crate) fn epoch(&self, topic: &Arc<str>, partition: i32) -> Option<i64> {
        self.owned.lock().get(&(Arc::clone(topic), partition)).map(|owned| owned.epoch)
    }

    /// Records read and not yet committed.
    pub(crate) fn in_hand(&self, topic: &str, partition: i32) -> Option<i64> {
        let owned = self.owned.lock();
        owned
            .iter()
            .find(|((name, p), _)| *p == partition && **name == *topic)
            .map(|(_, owned)| owned.in_hand)
    }

    /// Gives partitions up without Kafka having said so: records that were read from them will not be
    /// committed, so no later ones may be. That is the case when Postgres knows another owner (another instance
    /// claimed the partition while this one was thought dead, or an operator moved the offset). To claim it
    /// again could be wrong, if the other one is the rightful owner, so Kafka has to be asked, by rejoining
    /// the group.
    pub(crate) fn give_up(&self, lost: &[Advance]) {
        let mut owned = self.owned.lock();
        for Advance { topic, partition, epoch, .. } in lost {
            let key = (Arc::clone(topic), *partition);
            if owned.get(&key).is_some_and(|owned| owned.epoch == *epoch) {
                owned.remove(&key);
                self.must_rejoin.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Whether a partition was given up; asking resets it.
    pub(crate) fn must_rejoin(&self) -> bool {
        self.must_rejoin.swap(false, Ordering::Relaxed)
    }

    /// Notes that a batch was committed.
    pub(crate) fn committed(
        &self,
        advances: &[Advance],
        records: impl Iterator<Item = (Arc<str>, i32, i64)>,
    ) {
        let mut owned = self.owned.lock();
        for (topic, partition, epoch) in records {
            if let Some(owned) = owned.get_mut(&(topic, partition)).filter(|owned| owned.epoch == epoch) {
                owned.in_hand -= 1;
            }
        }
        for advance in advances {
            let key = (Arc::clone(&advance.topic), advance.partition);
            if let Some(owned) = owned.get_mut(&key).filter(|owned| owned.epoch == advance.epoch) {
                owned.next_offset = Some(advance.next_offset);
            }
        }
    }

    /// What Kafka has not been told of yet; marks it as told.
    pub(crate) fn to_show(&self) -> Vec<(Arc<str>, i32, i64)> {
        let mut changed = Vec::new();
        for ((topic, partition), owned) in &mut *self.owned.lock() {
            if let Some(next_offset) = owned.next_offset.filter(|next| owned.shown != Some(*next)) {
                owned.shown = Some(next_offset);
                changed.push((Arc::clone(topic), *partition, next_offset));
            }
        }
        changed
    }

    /// First statement of a batch's transaction. Returns the partitions that have another owner by now; where
    /// there are any, the transaction must be rolled back.
    pub(crate) async fn advance(
        &self,
        executor: impl Executor<'_, Database = Postgres>,
        advances: &[Advance],
    ) -> Result<Vec<Advance>, sqlx::Error> {
        let lost: Vec<i64> = sqlx::query_scalar("select aqueduct.offsets_advance($1, $2, $3, $4, $5, $6)")
            .bind(self.projection)
            .bind(self.generation)
            .bind(advances.iter().map(|advance| &*advance.topic).collect::<Vec<_>>())
            .bind(advances.iter().map(|advance| advance.partition).collect::<Vec<_>>())
            .bind(advances.iter().map(|advance| advance.epoch).collect::<Vec<_>>())
            .bind(advances.iter().map(|advance| advance.next_offset).collect::<Vec<_>>())
            .fetch_one(executor)
            .await?;
        let lost = lost.into_iter().filter_map(|ordinal| usize::try_from(ordinal - 1).ok());
        Ok(lost.filter_map(|index| advances.get(index).cloned()).collect())
    }
}

/// What a batch of records, in the order in which they were read, moves the offsets to.
pub(crate) fn advances<'a>(records: impl Iterator<Item = &'a Record>) -> Vec<Advance> {
    let mut next = BTreeMap::new();
    for record in records {
        next.insert((Arc::clone(&record.topic), record.partition), (record.epoch, record.offset + 1));
    }
    let advance =
        |((topic, partition), (epoch, next_offset))| Advance { topic, partition, epoch, next_offset };
    next.into_iter().map(advance).collect()
}

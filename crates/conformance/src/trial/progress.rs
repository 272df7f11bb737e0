//! How far the consumer is.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;

use crate::error::Error;
use crate::tables::Tables;
use crate::trial::Trial;
use crate::trial_error::TrialError;
use crate::written::Written;

pub(super) const POLL: Duration = Duration::from_millis(50);
/// How long tables and parked records must be unchanged.
pub(super) const QUIET: Duration = Duration::from_secs(2);
/// The same before a consumer is said to be wrong: on a busy machine it may be slow.
pub(super) const LONG_QUIET: Duration = Duration::from_secs(10);

/// How long an instance may take to claim a partition: as long as the session of one that was killed, and its own start.
const STARTED_WITHIN: Duration = Duration::from_secs(20);

/// A partition: index of the topic in the definition, and number.
type Partition = (usize, i32);

impl Trial<'_> {
    /// Waits until the consumer has nothing left to read. Fails if it ends, or makes no progress.
    pub(crate) async fn catch_up(&mut self) -> Result<(), TrialError> {
        self.wait_until_left(0).await
    }

    /// Waits until at most so many offsets are left to read.
    pub(crate) async fn wait_until_left(&mut self, at_most: i64) -> Result<(), TrialError> {
        let (mut last, mut moved_at) = (None, Instant::now());
        loop {
            self.check_instances()?;
            let lag = self.lag().await?;
            let left = lag.values().sum::<i64>();
            if left <= at_most && (at_most > 0 || self.is_idle(left).await?) {
                return Ok(());
            }
            if last != Some(left) {
                (last, moved_at) = (Some(left), Instant::now());
            }
            if moved_at.elapsed() > self.setup.definition.idle_timeout() {
                return Err(TrialError::Consumer(self.failure(self.stalled(&lag))));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until the consumer is idle and neither its tables nor its parked records have changed for so long.
    pub(super) async fn settle(&mut self, quiet: Duration) -> Result<(), TrialError> {
        self.catch_up().await?;
        let (mut last, mut changed_at) = (None, Instant::now());
        loop {
            self.check_instances()?;
            let seen = (Tables::read(&self.database, self.setup.definition).await?, self.parked().await?);
            match &last {
                Some(before) if *before == seen => {}
                _ => (last, changed_at) = (Some(seen), Instant::now()),
            }
            if changed_at.elapsed() > quiet {
                return Ok(());
            }
            tokio::time::sleep(QUIET / 10).await;
        }
    }

    /// How many offsets are left to read.
    pub(crate) async fn left(&self) -> Result<i64, Error> {
        Ok(self.lag().await?.values().sum())
    }

    /// A number that changes when an instance claims a partition.
    pub(crate) async fn claims(&self) -> Result<i64, Error> {
        sqlx::query_scalar(
            "select coalesce(sum(epoch), 0)::bigint from aqueduct.offsets where projection = $1",
        )
        .bind(&self.setup.definition.projection)
        .fetch_one(&self.database)
        .await
        .map_err(Error::postgres("read the epochs"))
    }

    /// Whether an instance has claimed a partition since the last one was started.
    pub(super) async fn has_claimed(&self) -> Result<bool, Error> {
        Ok(self.claims().await? != self.claims_before)
    }

    /// Waits until an instance has claimed a partition since the last one was started: before that, it may not be able to
    /// stop gracefully. There may be none left to claim.
    pub(super) async fn wait_until_claimed(&mut self) -> Result<(), TrialError> {
        let deadline = Instant::now() + STARTED_WITHIN;
        while Instant::now() < deadline && !self.has_claimed().await? {
            self.check_instances()?;
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    fn check_instances(&mut self) -> Result<(), TrialError> {
        for instance in &mut self.instances {
            if let Some(status) = instance.ended().map_err(Error::io("check the consumer"))? {
                let problem = format!("the consumer ended, although nothing asked it to: {status}");
                return Err(TrialError::Consumer(self.failure(problem)));
            }
        }
        Ok(())
    }

    /// Whether nothing is left, and the condition of the definition holds, if it has one.
    async fn is_idle(&self, left: i64) -> Result<bool, Error> {
        match &self.setup.definition.idle {
            Some(condition) if left == 0 => {
                sqlx::query_scalar(AssertSqlSafe(condition.clone())).fetch_one(&self.database).await.map_err(
                    Error::postgres("query the definition's idle condition, which must return one boolean"),
                )
            }
            _ => Ok(left == 0),
        }
    }

    /// Offsets up to the last committed record that the consumer has not stored as read, where there are any.
    async fn lag(&self) -> Result<BTreeMap<Partition, i64>, Error> {
        let reached = self.reached().await?;
        let mut lag = self.ends();
        for (partition, end) in &mut lag {
            *end -= reached.get(partition).copied().unwrap_or(0);
        }
        lag.retain(|_, left| *left > 0);
        Ok(lag)
    }

    /// The first committed record of each partition that the consumer has not stored as read, where there is one.
    pub(super) async fn unread(&self) -> Result<BTreeMap<Partition, i64>, Error> {
        let reached = self.reached().await?;
        let mut unread = BTreeMap::new();
        for Written { place, .. } in self.written.iter().filter(|written| written.is_committed) {
            let partition = (place.topic, place.partition);
            if place.offset >= reached.get(&partition).copied().unwrap_or(0) {
                unread.entry(partition).or_insert(place.offset);
            }
        }
        Ok(unread)
    }

    /// The offsets that the consumer has stored.
    async fn reached(&self) -> Result<BTreeMap<Partition, i64>, Error> {
        let reached: Vec<(String, i32, i64)> = sqlx::query_as(
            "select topic, partition, next_offset from aqueduct.offsets \
              where projection = $1 and next_offset is not null",
        )
        .bind(&self.setup.definition.projection)
        .fetch_all(&self.database)
        .await
        .map_err(Error::postgres("read the offsets"))?;
        let place = |(topic, partition, next_offset): (String, i32, i64)| {
            let topic = self.topics.iter().position(|it| *it == topic)?;
            Some(((topic, partition), next_offset))
        };
        Ok(reached.into_iter().filter_map(place).collect())
    }

    /// The offsets after the last committed record. What is behind it, such as a marker, need not be read.
    fn ends(&self) -> BTreeMap<Partition, i64> {
        let mut ends = BTreeMap::new();
        for written in self.written.iter().filter(|written| written.is_committed) {
            let end = ends.entry((written.place.topic, written.place.partition)).or_insert(0);
            *end = written.place.offset.saturating_add(1).max(*end);
        }
        ends
    }

    fn stalled(&self, lag: &BTreeMap<Partition, i64>) -> String {
        let timeout = self.setup.definition.idle_timeout();
        let behind: Vec<_> = lag
            .iter()
            .map(|((topic, partition), left)| format!("{}/{partition} by {left}", self.topics[*topic]))
            .collect();
        match behind[..] {
            [] => format!("the idle condition was not met for {timeout:?}"),
            _ => format!(
                "the consumer made no progress for {timeout:?}: its offsets in aqueduct.offsets are behind the last \
                 committed records of {}",
                behind.join(", ")
            ),
        }
    }
}

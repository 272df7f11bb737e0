//! A consumer that must not continue before a person has acted.

use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;

use crate::error::Error;
use crate::report::Failure;
use crate::tables::Tables;
use crate::trial::progress::{POLL, QUIET};
use crate::trial::{Batch, Trial};
use crate::trial_error::TrialError;

/// How long an instance may take that has claimed a partition.
const HALTED_WITHIN: Duration = Duration::from_secs(20);

impl Trial<'_> {
    /// Starts the only instance and waits until it ends with a failure or halts its projection; kills it if it still runs. It
    /// may neither apply nor park anything, nor move an offset. `cause` says why it cannot continue.
    pub(crate) async fn expect_halt(&mut self, cause: &str) -> Result<(), TrialError> {
        let before = Tables::read(&self.database, self.setup.definition).await?;
        let parked_before = self.parked().await?;
        let unread_before = self.unread().await?;
        self.start(Batch::Own).await?;
        let started = Instant::now();
        let mut claimed_at = None;
        while !self.is_halted(cause).await? {
            if claimed_at.is_none() && self.has_claimed().await? {
                claimed_at = Some(Instant::now());
            }
            if self.unread().await? != unread_before {
                return Err(TrialError::Consumer(self.failure(format!("{cause}, but the consumer read on"))));
            }
            let is_late = claimed_at.is_some_and(|at| at.elapsed() > HALTED_WITHIN)
                || started.elapsed() > self.setup.definition.idle_timeout();
            if is_late {
                return Err(TrialError::Consumer(self.failure(format!(
                    "{cause}, but the consumer neither ended with an error nor halted its projection"
                ))));
            }
            tokio::time::sleep(POLL).await;
        }
        tokio::time::sleep(QUIET).await;
        if !self.instances.is_empty() {
            self.kill(0).await?;
        }
        let rows = before.differences(&Tables::read(&self.database, self.setup.definition).await?, 20);
        let problem = if !rows.is_empty() || self.parked().await? != parked_before {
            "the consumer applied or parked records before a person had acted"
        } else if self.unread().await? != unread_before {
            "the consumer moved an offset before a person had acted"
        } else {
            return Ok(());
        };
        Err(TrialError::Consumer(Failure { rows, ..self.failure(format!("{problem}: {cause}")) }))
    }

    async fn is_halted(&mut self, cause: &str) -> Result<bool, TrialError> {
        if let Some(instance) = self.instances.first_mut()
            && let Some(status) = instance.ended().map_err(Error::io("check the consumer"))?
        {
            self.instances.remove(0);
            if status.success() {
                let problem =
                    format!("the consumer ended with exit status 0, although it cannot continue: {cause}");
                return Err(TrialError::Consumer(self.failure(problem)));
            }
            return Ok(true);
        }
        let halted = sqlx::query_scalar(
            "select exists (select from aqueduct_consumer.halts where projection = $1 and accepted_at is null)",
        )
        .bind(&self.setup.definition.projection)
        .fetch_one(&self.database)
        .await;
        Ok(halted.map_err(Error::postgres("read the halts"))?)
    }

    /// Whether a topic that is created again is known by its id: Aqueduct's own runner must know it, and any other consumer that
    /// has stored one.
    pub(crate) async fn knows_topics(&self) -> Result<bool, Error> {
        let known =
            "select exists (select from aqueduct.offsets where projection = $1 and topic_id is not null)";
        let known =
            sqlx::query_scalar(known).bind(&self.setup.definition.projection).fetch_one(&self.database).await;
        Ok(self.setup.definition.runner || known.map_err(Error::postgres("read the ids of topics"))?)
    }

    /// Does what a person does who decides that the consumer may read the new topics.
    pub(crate) async fn accept(&self) -> Result<(), Error> {
        let doing = "accept the topics that were created again";
        let Some(accept) = &self.setup.definition.accept else {
            let projection = &self.setup.definition.projection;
            let accepted =
                aqueduct_projection::consumer::accept(&self.database, projection, "topic_recreated").await;
            return accepted.map(drop).map_err(Error::postgres(doing));
        };
        let accepted = sqlx::raw_sql(AssertSqlSafe(accept.clone())).execute(&self.database).await;
        accepted.map(drop).map_err(Error::postgres(doing))
    }
}

//! A consumer that must not continue before a person has decided.

use std::time::Instant;

use sqlx::AssertSqlSafe;

use crate::error::Error;
use crate::report::Failure;
use crate::tables::Tables;
use crate::trial::Trial;
use crate::trial::progress::{POLL, QUIET};
use crate::trial_error::TrialError;

impl Trial<'_> {
    /// Waits until the only instance ends with a failure or halts its projection, and kills it if it still runs. It may
    /// neither apply nor park anything until then, nor shortly after.
    pub(crate) async fn expect_halt(&mut self) -> Result<(), TrialError> {
        let before = Tables::read(&self.database, self.setup.definition).await?;
        let parked_before = self.parked().await?;
        let deadline = Instant::now() + self.setup.definition.idle_timeout();
        while !self.is_halted().await? {
            if Instant::now() > deadline {
                return Err(TrialError::Consumer(self.failure(format!(
                    "a topic that was read was deleted and created again, but for {:?} the consumer neither ended with an \
                     error nor halted its projection",
                    self.setup.definition.idle_timeout()
                ))));
            }
            tokio::time::sleep(POLL).await;
        }
        tokio::time::sleep(QUIET).await;
        if !self.instances.is_empty() {
            self.kill(0).await?;
        }
        let rows = before.differences(&Tables::read(&self.database, self.setup.definition).await?, 20);
        if rows.is_empty() && self.parked().await? == parked_before {
            return Ok(());
        }
        let problem = "the consumer applied or parked records of a topic that was deleted and created again, before a \
                       person accepted that";
        Err(TrialError::Consumer(Failure { rows, ..self.failure(problem.to_owned()) }))
    }

    async fn is_halted(&mut self) -> Result<bool, TrialError> {
        if let Some(instance) = self.instances.first_mut()
            && let Some(status) = instance.ended().map_err(Error::io("check the consumer"))?
        {
            self.instances.remove(0);
            if status.success() {
                let problem = "the consumer ended with exit status 0, although it cannot continue: a topic that it read was \
                               deleted and created again";
                return Err(TrialError::Consumer(self.failure(problem.to_owned())));
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

//! Checks of a projection without running it.

use std::sync::Arc;

use aqueduct_schema::TopicSchemas;
use sqlx::PgConnection;

use crate::model::error::TableError;
use crate::sql::definition::SqlProjection;
use crate::sql::handler::SqlHandler;

impl SqlProjection {
    /// Checks the projection as its start does: its migrations, the versions that its files are written for, the event types of its topics, the
    /// fields that its statements read, and that Postgres plans them. Changes nothing. Returns where it is not known which fields
    /// a statement reads.
    ///
    /// # Errors
    /// What would keep the projection from starting.
    pub async fn check(
        &self,
        connection: &mut PgConnection,
        schemas: &TopicSchemas,
    ) -> Result<Vec<String>, TableError> {
        self.check_migrations(connection).await?;
        let topics: Vec<_> = self.topics.iter().map(|topic| (*topic).to_owned()).collect();
        let mut pins = self.pin(schemas, &topics).await?;
        let warnings = std::mem::take(&mut pins.warnings);
        SqlHandler::new(connection, Arc::new(self.clone()), pins).await?;
        Ok(warnings)
    }
}

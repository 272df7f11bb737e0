//! The migrations in a projection's directory.

use sqlx::PgPool;
use sqlx::migrate::{MigrateError, Migrator};

use crate::postgres::migrate::migration_pool;
use crate::sql::definition::SqlProjection;

/// The directory with the files, `<number>_<name>.sql`.
const DIRECTORY: &str = "migrations";

impl SqlProjection {
    /// Runs the files of the projection's `migrations` that were not run yet, in the order of their numbers, each in a
    /// transaction. The history is in `aqueduct.migrations_<name>`. Any number of processes can do it at the same time.
    /// Returns how many files there are.
    ///
    /// # Errors
    /// Postgres cannot be reached or refuses a file, or one that was run has changed.
    pub async fn migrate(&self, pool: &PgPool) -> Result<usize, MigrateError> {
        let directory = self.directory.join(DIRECTORY);
        if !directory.is_dir() {
            return Ok(0);
        }
        let mut migrator = Migrator::new(directory).await?;
        migrator.dangerous_set_table_name(format!("aqueduct.migrations_{}", self.name));
        migrator.create_schema("aqueduct");
        let own = migration_pool(pool);
        let migrated = migrator.run(&own).await;
        own.close().await;
        migrated.map(|()| migrator.iter().count())
    }
}

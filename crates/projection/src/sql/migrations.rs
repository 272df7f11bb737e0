//! The migrations in a projection's directory.

use std::fs;
use std::path::Path;

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
        refuse_unnumbered(&directory)?;
        let mut migrator = Migrator::new(directory).await?;
        migrator.dangerous_set_table_name(format!("aqueduct.migrations_{}", self.name));
        migrator.create_schema("aqueduct");
        let own = migration_pool(pool);
        let migrated = migrator.run(&own).await;
        own.close().await;
        migrated.map(|()| migrator.iter().count())
    }
}

/// Refuses an SQL file without a number, which would not be run.
fn refuse_unnumbered(directory: &Path) -> Result<(), MigrateError> {
    for entry in fs::read_dir(directory).map_err(|error| MigrateError::Source(error.into()))? {
        let path = entry.map_err(|error| MigrateError::Source(error.into()))?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let is_numbered = name.split_once('_').is_some_and(|(number, _)| number.parse::<i64>().is_ok());
        if path.extension().is_some_and(|extension| extension == "sql") && !is_numbered {
            let problem = format!("{}: name it <number>_<name>.sql", path.display());
            return Err(MigrateError::Source(problem.into()));
        }
    }
    Ok(())
}

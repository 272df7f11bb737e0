//! The migrations in a projection's directory.

use std::fs;
use std::path::Path;

use aqueduct_core::with_causes;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use crate::model::error::TableError;
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
        let Some(mut migrator) = self.migrator().await? else { return Ok(0) };
        migrator.dangerous_set_table_name(self.history());
        migrator.create_schema("aqueduct");
        let own = migration_pool(pool);
        let migrated = migrator.run(&own).await;
        own.close().await;
        migrated.map(|()| migrator.iter().count())
    }

    /// Refuses to start where a file of `migrations` was not run, or has changed since. Changes nothing.
    pub(crate) async fn check_migrations(&self, connection: &mut PgConnection) -> Result<(), TableError> {
        let migrations = |problem: String| TableError::Migrations { projection: self.name, problem };
        let migrator = self.migrator().await.map_err(|error| migrations(with_causes(&error)))?;
        let Some(migrator) = migrator else { return Ok(()) };
        let applied = self.applied(connection).await;
        let applied = applied.map_err(|source| TableError::History { projection: self.name, source })?;
        for migration in migrator.iter().filter(|migration| !migration.migration_type.is_down_migration()) {
            let named = format!("migration {} ({})", migration.version, migration.description);
            match applied.iter().find(|(version, _)| *version == migration.version) {
                Some((_, checksum)) if *checksum == *migration.checksum => {}
                Some(_) => {
                    let problem = format!(
                        "the file of {named} has changed since it was run: change it back, and add another"
                    );
                    return Err(migrations(problem));
                }
                None => return Err(migrations(format!("{named} was not run: run `aqueduct setup`"))),
            }
        }
        Ok(())
    }

    /// Number and checksum of what was run.
    async fn applied(&self, connection: &mut PgConnection) -> Result<Vec<(i64, Vec<u8>)>, sqlx::Error> {
        let history = self.history();
        let exists = sqlx::query_scalar("select to_regclass($1) is not null").bind(&history);
        if !exists.fetch_one(&mut *connection).await? {
            return Ok(Vec::new());
        }
        let applied = AssertSqlSafe(format!("select version, checksum from {history} where success"));
        sqlx::query_as(applied).fetch_all(connection).await
    }

    /// The table with what was run. The name has letters, digits and `_` only.
    fn history(&self) -> String {
        format!("aqueduct.migrations_{}", self.name)
    }

    /// The files; `None` if there is no directory.
    async fn migrator(&self) -> Result<Option<Migrator>, MigrateError> {
        let directory = self.directory.join(DIRECTORY);
        if !directory.is_dir() {
            return Ok(None);
        }
        refuse_unnumbered(&directory)?;
        Migrator::new(directory).await.map(Some)
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

//! The user's own migrations.

use sqlx::PgPool;
use sqlx::migrate::{MigrateError, Migrator};

/// The migrations of an [`App`](crate::App), from `sqlx::migrate!()` or from `(version, description, SQL)`.
///
/// What was run is recorded in `<name of the app>.migrations`, apart from the product's own migrations and from
/// any others in the database. A migration that was run must not be changed.
#[derive(Debug)]
pub struct Migrations(Migrator);

impl From<Migrator> for Migrations {
    fn from(migrator: Migrator) -> Self {
        Self(migrator)
    }
}

impl<const N: usize> From<[(i64, &'static str, &'static str); N]> for Migrations {
    fn from(migrations: [(i64, &'static str, &'static str); N]) -> Self {
        Self(aqueduct_projection::migrator(migrations))
    }
}

impl Migrations {
    /// Runs what was not run yet. `schema` contains the history; it is created if it does not exist. Several
    /// processes may do it at once.
    pub(crate) async fn run(&self, pool: &PgPool, schema: &str) -> Result<(), MigrateError> {
        let mut migrator = Migrator::with_migrations(self.0.migrations.to_vec());
        migrator.dangerous_set_table_name(format!("{schema}.migrations"));
        migrator.create_schema(schema.to_owned());
        migrator.run(pool).await
    }
}

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
        if !schema.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            let problem = format!(
                "the name of the App is also that of the schema with the history of its migrations: {schema:?} must \
                 have letters, digits and underscores only"
            );
            return Err(MigrateError::Source(problem.into()));
        }
        let mut migrator = Migrator::with_migrations(self.0.migrations.to_vec());
        migrator.dangerous_set_table_name(format!("{schema}.migrations"));
        migrator.create_schema(schema.to_owned());
        migrator.run(pool).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_is_no_schema_is_refused_before_anything_is_asked() {
        let unreachable = PgPool::connect_lazy("postgres://localhost:1/nowhere").unwrap();
        let migrations = Migrations::from([(1, "nothing", "select 1")]);
        let refused = migrations.run(&unreachable, "my-bank; drop").await.unwrap_err();
        assert!(refused.to_string().contains("\"my-bank; drop\" must have letters"), "{refused}");
    }
}

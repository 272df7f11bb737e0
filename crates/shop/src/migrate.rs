//! The tables of the read models.

use sqlx::PgPool;
use sqlx::migrate::{MigrateError, Migrator};

/// Makes the schema `shop` and its tables, or brings them up to date. Several processes may do it at once;
/// what was done is on record in `shop.migrations`, apart from any other migrations in the database.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    let mut migrator: Migrator = sqlx::migrate!();
    migrator.dangerous_set_table_name("shop.migrations");
    migrator.create_schema("shop");
    migrator.run(pool).await
}

//! The databases of the trials: copies of one that has the functions, the registered projection and the consumer's tables.

use std::path::Path;
use std::time::Duration;

use aqueduct_devstack::DevStack;
use aqueduct_projection::SqlProjection;
use aqueduct_projection::consumer::{self, Registration, Timeouts};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgPool};

use crate::definition::Definition;
use crate::error::Error;
use crate::sql_files;

/// How long a frozen consumer keeps its transaction: shorter than a trial waits for progress.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3);

/// A database of a Postgres server that is copied for each trial.
pub(crate) struct Databases {
    /// As the role that owns the server.
    server: PgConnectOptions,
    /// Of the consumer.
    role: String,
    password: String,
    template: String,
}

/// A trial's database.
pub(crate) struct Database {
    /// As the role that owns the server.
    pub(crate) pool: PgPool,
    name: String,
    role: String,
    password: String,
    /// Of the server, `host:port`.
    pub(crate) address: String,
}

impl Database {
    /// As the consumer's role, at this address. Without parameters: they are those of the driver in Rust.
    pub(crate) fn consumer_url(&self, address: &str) -> String {
        let Self { name, role, password, .. } = self;
        format!("postgres://{role}:{password}@{address}/{name}")
    }
}

impl Databases {
    /// Creates the database that is copied: installs the functions and applies the consumer's migrations. `password` is the
    /// one of all consumers' roles on the server.
    pub(crate) async fn prepare(
        stack: &DevStack,
        definition: &Definition,
        password: &str,
        template: String,
    ) -> Result<Self, Error> {
        let role = definition.projection.clone();
        let pool = pool(&stack.create_database(&template).await?).await?;
        consumer::install(&pool).await?;
        // Another test on the same server may have created the role.
        let create = format!(
            "do $$ begin
                 create role \"{role}\" login password '{password}';
             exception when duplicate_object or unique_violation then null;
             end $$;
             grant create on database \"{template}\" to \"{role}\""
        );
        let doing = "register the projection";
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&pool).await.map_err(Error::postgres(doing))?;
        let timeouts = Timeouts { idle: IDLE_TIMEOUT, ..Timeouts::default() };
        let registration = Registration { projection: &role, owner: &role, starts_late: false, timeouts };
        consumer::register(&pool, registration).await.map_err(Error::postgres(doing))?;
        if definition.runner {
            consumer::grant_runner(&pool, &role).await.map_err(Error::postgres(doing))?;
            // Projections in SQL files record their migrations there.
            let grant = format!("grant create on schema aqueduct to \"{role}\"");
            sqlx::raw_sql(AssertSqlSafe(grant)).execute(&pool).await.map_err(Error::postgres(doing))?;
        }
        let server = stack.postgres_url()?.parse().map_err(Error::postgres("read the server's URL"))?;
        let databases = Self { server, role, password: password.to_owned(), template };
        databases.migrate(definition).await?;
        // A database is copied only while nobody is connected to it.
        pool.close().await;
        Ok(databases)
    }

    /// Applies the consumer's migrations as its role.
    async fn migrate(&self, definition: &Definition) -> Result<(), Error> {
        let doing = "connect as the consumer's role";
        let as_consumer =
            self.server.clone().username(&self.role).password(&self.password).database(&self.template);
        let owner = PgPoolOptions::new().max_connections(1).connect_with(as_consumer);
        let owner = owner.await.map_err(Error::postgres(doing))?;
        for folder in &definition.migrations {
            match folder.parent().filter(|parent| parent.join("projection.toml").exists()) {
                Some(projection) => migrate_sql_projection(projection, &owner).await?,
                None => apply_files(folder, &owner).await?,
            }
        }
        owner.close().await;
        Ok(())
    }

    /// Creates a database for a trial.
    pub(crate) async fn create(&self, name: &str) -> Result<Database, Error> {
        let doing = "create a trial's database";
        let mut connection = self.server.connect().await.map_err(Error::postgres(doing))?;
        let create = format!("create database \"{name}\" template \"{}\"", self.template);
        sqlx::raw_sql(AssertSqlSafe(create))
            .execute(&mut connection)
            .await
            .map_err(Error::postgres(doing))?;
        connection.close().await.map_err(Error::postgres(doing))?;
        Ok(Database {
            name: name.to_owned(),
            role: self.role.clone(),
            password: self.password.clone(),
            address: format!("{}:{}", self.server.get_host(), self.server.get_port()),
            pool: pool(self.server.clone().database(name).to_url_lossy().as_str()).await?,
        })
    }
}

/// Applies the migrations of a projection in SQL files as `aqueduct setup` does: its start looks for what that records.
async fn migrate_sql_projection(directory: &Path, owner: &PgPool) -> Result<(), Error> {
    let failed = |source| Error::SqlProjection { path: directory.to_owned(), source };
    let projection = SqlProjection::load(directory).map_err(|error| failed(error.into()))?;
    projection.migrate(owner).await.map(drop).map_err(|error| failed(error.into()))
}

/// Applies the files of a folder.
async fn apply_files(folder: &Path, owner: &PgPool) -> Result<(), Error> {
    let doing = format!("read the migrations in {}", folder.display());
    for (path, text) in sql_files::read(folder).map_err(Error::io(doing))? {
        let applied = sqlx::raw_sql(AssertSqlSafe(text)).execute(owner).await;
        applied.map_err(|source| Error::Migration { path, source })?;
    }
    Ok(())
}

async fn pool(url: &str) -> Result<PgPool, Error> {
    PgPoolOptions::new().max_connections(2).connect(url).await.map_err(Error::postgres("connect"))
}

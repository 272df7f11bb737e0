//! The servers that all trials share.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aqueduct_devstack::{DevStack, Options, Part};
use aqueduct_kafka::Cluster;
use aqueduct_projection::SqlProjection;
use aqueduct_projection::consumer::{self, Registration, Timeouts};
use aqueduct_schema::{Registry, RegistryOptions, SchemaSet};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgPool};
use uuid::Uuid;

use crate::definition::Definition;
use crate::error::Error;
use crate::sql_files;

/// The database from which those of the trials are copied.
const TEMPLATE: &str = "template";
/// How long a frozen consumer keeps its transaction: shorter than a trial waits for progress.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3);

/// Kafka, Postgres and a registry, with a database to copy.
pub(crate) struct Servers {
    pub(crate) stack: DevStack,
    pub(crate) cluster: Cluster,
    pub(crate) registry: Registry,
    pub(crate) schemas: Arc<SchemaSet>,
    /// Of the consumer's role.
    password: String,
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

impl Servers {
    /// Starts the servers, installs the functions and applies the consumer's migrations.
    pub(crate) async fn start(definition: &Definition) -> Result<Self, Error> {
        let schemas = Arc::new(SchemaSet::load(&definition.schemas)?);
        let start = Part::start;
        let options = Options { kafka: start(), postgres: start(), registry: start(), ..Options::none() };
        let stack = DevStack::start(options).await?;
        let cluster = Cluster::new(stack.kafka_bootstrap()?);
        let registry = Registry::new(&RegistryOptions::new(stack.registry_url()?))?;
        let password = Uuid::new_v4().simple().to_string();
        let servers = Self { stack, cluster, registry, schemas, password };
        servers.create_template(definition).await?;
        Ok(servers)
    }

    async fn create_template(&self, definition: &Definition) -> Result<(), Error> {
        let role = &definition.projection;
        let pool = pool(&self.stack.create_database(TEMPLATE).await?).await?;
        consumer::install(&pool).await?;
        let create = format!(
            "create role \"{role}\" login password '{}'; grant create on database {TEMPLATE} to \"{role}\"",
            self.password
        );
        let doing = "register the projection";
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&pool).await.map_err(Error::postgres(doing))?;
        let timeouts = Timeouts { idle: IDLE_TIMEOUT, ..Timeouts::default() };
        let registration = Registration { projection: role, owner: role, starts_late: false, timeouts };
        consumer::register(&pool, registration).await.map_err(Error::postgres(doing))?;
        if definition.runner {
            consumer::grant_runner(&pool, role).await.map_err(Error::postgres(doing))?;
            // Projections in SQL files record their migrations there.
            let grant = format!("grant create on schema aqueduct to \"{role}\"");
            sqlx::raw_sql(AssertSqlSafe(grant)).execute(&pool).await.map_err(Error::postgres(doing))?;
        }
        self.migrate(definition).await?;
        // A database is copied only while nobody is connected to it.
        pool.close().await;
        Ok(())
    }

    /// Applies the consumer's migrations as its role.
    async fn migrate(&self, definition: &Definition) -> Result<(), Error> {
        let doing = "connect as the consumer's role";
        let owner =
            PgPoolOptions::new().max_connections(1).connect_with(self.as_consumer(definition, TEMPLATE)?);
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

    fn as_consumer(&self, definition: &Definition, database: &str) -> Result<PgConnectOptions, Error> {
        let options: PgConnectOptions =
            self.stack.postgres_url()?.parse().map_err(Error::postgres("read the server's URL"))?;
        Ok(options.username(&definition.projection).password(&self.password).database(database))
    }

    /// Creates a database for a trial.
    pub(crate) async fn create_database(
        &self,
        definition: &Definition,
        name: &str,
    ) -> Result<Database, Error> {
        let doing = "create a trial's database";
        let admin: PgConnectOptions = self.stack.postgres_url()?.parse().map_err(Error::postgres(doing))?;
        let mut connection = admin.connect().await.map_err(Error::postgres(doing))?;
        let create = format!("create database \"{name}\" template {TEMPLATE}");
        sqlx::raw_sql(AssertSqlSafe(create))
            .execute(&mut connection)
            .await
            .map_err(Error::postgres(doing))?;
        connection.close().await.map_err(Error::postgres(doing))?;
        Ok(Database {
            name: name.to_owned(),
            role: definition.projection.clone(),
            password: self.password.clone(),
            address: format!("{}:{}", admin.get_host(), admin.get_port()),
            pool: pool(admin.database(name).to_url_lossy().as_str()).await?,
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

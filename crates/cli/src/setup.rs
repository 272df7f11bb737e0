//! `aqueduct setup` and `aqueduct schemas`: what must be there before the services run.

use std::path::PathBuf;

use aqueduct_schema::{Published, Registry, SchemaSet, TopicEvents, publish};
use sqlx::PgPool;

use crate::Failure;
use crate::configuration::{Addresses, Configuration};

#[derive(clap::Subcommand)]
pub(crate) enum SchemasCommand {
    /// Register the latest version of every event type under each topic that carries it
    Publish,
    /// Load all schemas and say what is wrong with them, if anything is
    Check,
    /// Write the Rust types of the latest versions
    Generate {
        /// The file to write
        #[arg(long, value_name = "FILE", default_value = "crates/shop/src/events/generated.rs")]
        output: PathBuf,
    },
}

/// Publishes the schemas, creates topics and tables. What is there already is left as it is.
pub(crate) async fn run(configuration: &Configuration) -> Result<(), Failure> {
    let addresses = configuration.addresses()?;
    let topics = async {
        aqueduct_relay::create_topics(&configuration.relay_options(&addresses)).await.map_err(Failure::from)
    };
    let schemas = async { publish_schemas(configuration, &addresses).await.map(drop) };
    let tables = async {
        let postgres = PgPool::connect(&addresses.postgres).await?;
        aqueduct_projection::migrate(&postgres).await?;
        aqueduct_shop::migrate(&postgres).await.map_err(Failure::from)
    };
    tokio::try_join!(topics, schemas, tables)?;
    Ok(())
}

async fn publish_schemas(
    configuration: &Configuration,
    addresses: &Addresses,
) -> Result<Vec<Published>, Failure> {
    let schemas = configuration.schemas()?;
    let registry = Registry::new(&configuration.registry_options(addresses))?;
    let topics: Vec<_> = configuration
        .schemas
        .contexts
        .iter()
        .map(|(topic, contexts)| {
            let contexts: Vec<&str> = contexts.iter().map(String::as_str).collect();
            TopicEvents::of_contexts(&schemas, topic, &contexts)
        })
        .collect();
    Ok(publish(&schemas, &registry, &topics).await?)
}

/// `aqueduct schemas …`
#[expect(clippy::print_stdout, reason = "what was published or found is the command's output")]
pub(crate) async fn schemas(command: &SchemasCommand, configuration: &Configuration) -> Result<(), Failure> {
    match command {
        SchemasCommand::Publish => {
            for published in publish_schemas(configuration, &configuration.addresses()?).await? {
                let Published { subject, version, id, schema_version, .. } = published;
                println!("{subject}: v{schema_version}.avsc is version {version}, id {id}");
            }
        }
        SchemasCommand::Check => {
            let schemas = SchemaSet::load(&configuration.schemas.directory)?;
            for event in schemas.events() {
                println!("{}: version {}", event.full_name(), event.latest());
            }
        }
        SchemasCommand::Generate { output } => {
            let schemas = SchemaSet::load(&configuration.schemas.directory)?;
            std::fs::write(output, aqueduct_schema::generate(&schemas)?)?;
        }
    }
    Ok(())
}

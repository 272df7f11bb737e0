//! `setup`: what must exist before the processes run.

use std::fmt;

use aqueduct_projection::consumer;
use aqueduct_relay::create_topics;

use super::schemas::publish_all;
use crate::app::App;
use crate::configuration::Configuration;
use crate::connections::Connections;
use crate::failure::Failure;

/// What exists after a `setup`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetupReport {
    /// Topics of the routes. Their topics of checkpoints, exceptions, parked events and requests are created too and
    /// not listed.
    pub topics: Vec<String>,
    /// Subjects in the schema registry.
    pub subjects: Vec<String>,
    /// SQL projections whose migrations were run.
    pub projections: Vec<String>,
    /// Schemas of Postgres with tables: the product's `aqueduct`, and the App's own if it has migrations.
    pub schemas: Vec<String>,
}

impl App {
    /// Creates what the configuration and this App need, as the command `setup` does. It is idempotent.
    pub async fn set_up(&self, configuration: &Configuration) -> Result<SetupReport, Failure> {
        set_up(self, &Connections::new(configuration.clone())).await
    }
}

/// Creates, each only where it is needed:
///
/// - with routes: their topics in Kafka, and the schemas in the registry, without which the relay halts;
/// - with a registry and no routes: the schemas;
/// - with projections, reactors or migrations, or a Postgres address: the tables of the inbox, then the App's, then those of SQL
///   projections.
///
/// Only the addresses of the servers on which it creates something must be configured.
pub(crate) async fn set_up(app: &App, connections: &Connections) -> Result<SetupReport, Failure> {
    let configuration = connections.configuration();
    let routes = !configuration.relay.routes.is_empty();
    let policy = connections.policy()?;
    let in_sql = configuration.sql_projections()?;
    let app_has_tables = !app.projections.is_empty() || !app.reactors.is_empty() || app.migrations.is_some();
    // What is not configured is reported before anything is created.
    let cluster = if routes { Some(configuration.cluster()?) } else { None };
    let subjects = !policy.topics.is_empty() && (routes || configuration.registry.configured().is_some());
    if subjects {
        configuration.registry_options()?;
    }
    let tables = app_has_tables || !in_sql.is_empty() || configuration.postgres.configured().is_some();
    let postgres = if tables { Some(connections.postgres()?) } else { None };

    let topics = async {
        let Some(cluster) = cluster else { return Ok(Vec::new()) };
        let options = configuration.relay_options();
        create_topics(&cluster, &options).await?;
        Ok::<_, Failure>(options.routes.into_iter().map(|route| route.topic).collect())
    };
    let subjects = async {
        let published = if subjects { publish_all(connections).await? } else { Vec::new() };
        Ok(published.into_iter().map(|published| published.subject).collect())
    };
    let schemas = async {
        let Some(pool) = postgres else { return Ok((Vec::new(), Vec::new())) };
        app.migrate(&pool).await?;
        consumer::install(&pool).await?;
        let mut projections = Vec::new();
        for projection in &in_sql {
            if projection.migrate(&pool).await? > 0 {
                projections.push(projection.name().to_owned());
            }
        }
        let own = app.migrations.is_some().then_some(app.name);
        let schemas = ["aqueduct"].into_iter().chain(own).map(str::to_owned).collect();
        Ok::<(Vec<_>, Vec<_>), Failure>((schemas, projections))
    };
    let (topics, subjects, (schemas, projections)) = tokio::try_join!(topics, subjects, schemas)?;
    Ok(SetupReport { topics, subjects, projections, schemas })
}

/// `setup`
#[expect(clippy::print_stdout, reason = "what was set up is the command's output")]
pub(super) async fn run(app: &App, connections: &Connections) -> Result<(), Failure> {
    let done = set_up(app, connections).await?;
    if done == SetupReport::default() {
        let path = connections.configuration().path.display();
        println!(
            "nothing to set up: {path} has no [[relay.routes]], and no address of a registry or of Postgres"
        );
    } else {
        print!("{done}");
    }
    Ok(())
}

impl fmt::Display for SetupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topics, subjects, projections, schemas } = self;
        for (label, names) in [
            ("topics", topics),
            ("subjects", subjects),
            ("tables in schema", schemas),
            ("tables of projections", projections),
        ] {
            if !names.is_empty() {
                writeln!(f, "{label}: {}", names.join(", "))?;
            }
        }
        Ok(())
    }
}

//! An App: the parts of a user's system, as one binary with commands.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use aqueduct_projection::{Deltas, Projection, Projector, Reactor, View};
use aqueduct_service::ConfigError;
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use sqlx::PgPool;
use sqlx::migrate::MigrateError;

use crate::configuration::{Configuration, OwnSection};
use crate::connections::{ConnectionError, Connections};
use crate::failure::Failure;
use crate::migrations::Migrations;
use crate::service::{MakeProjection, Service};

/// A system built on the product: [`main`](Self::main) makes it a binary with commands.
///
/// ```no_run
/// use aqueduct::{App, Service};
///
/// #[derive(Clone, serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Bank { listen: std::net::SocketAddr }
///
/// async fn teller(service: Service) -> Result<(), aqueduct::Failure> {
///     let Bank { listen } = service.section()?;
///     service.serve(listen, axum::Router::new()).await
/// }
///
/// fn main() -> std::process::ExitCode {
///     App::new("bank").section::<Bank>("bank").service("teller", teller).main()
/// }
/// ```
pub struct App {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) migrations: Option<Migrations>,
    pub(crate) projections: Vec<MakeProjection>,
    pub(crate) reactors: Vec<MakeReactor>,
    pub(crate) services: Vec<(&'static str, RunService)>,
    pub(crate) commands: Vec<OwnCommand>,
    pub(crate) apps: Vec<App>,
    sections: Vec<OwnSection>,
    renamed_keys: Vec<(&'static str, &'static str)>,
    fallback: Option<&'static str>,
}

pub(crate) type MakeReactor = Box<dyn Fn(&Connections) -> Result<Projection, Failure> + Send + Sync>;
pub(crate) type RunService =
    Box<dyn Fn(Service) -> LocalBoxFuture<'static, Result<(), Failure>> + Send + Sync>;
type RunCommand = Box<
    dyn Fn(&clap::ArgMatches, Configuration) -> LocalBoxFuture<'static, Result<ExitCode, Failure>>
        + Send
        + Sync,
>;

/// A command that the user adds.
pub(crate) struct OwnCommand {
    pub(crate) name: &'static str,
    pub(crate) arguments: fn(clap::Command) -> clap::Command,
    pub(crate) run: RunCommand,
}

impl App {
    /// Creates an App. Its name has letters, digits and underscores only: the schema with the history of its migrations
    /// has the same name.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            about: "",
            migrations: None,
            projections: Vec::new(),
            reactors: Vec::new(),
            services: Vec::new(),
            commands: Vec::new(),
            apps: Vec::new(),
            sections: Vec::new(),
            renamed_keys: Vec::new(),
            fallback: None,
        }
    }

    /// Sets the description in the help, one line.
    #[must_use]
    pub fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Sets the migrations that create the tables of the views. `setup` runs them.
    #[must_use]
    pub fn migrations(mut self, migrations: impl Into<Migrations>) -> Self {
        self.migrations = Some(migrations.into());
        self
    }

    /// Adds a view. `project` runs it.
    #[must_use]
    pub fn view<V: View>(mut self) -> Self {
        self.projections.push(Box::new(Projection::view::<V>));
        self
    }

    /// Adds a sum of deltas. `project` runs it.
    #[must_use]
    pub fn deltas<D: Deltas>(mut self) -> Self {
        self.projections.push(Box::new(Projection::deltas::<D>));
        self
    }

    /// Adds a projector. `project` runs it.
    #[must_use]
    pub fn projector<P: Projector>(mut self) -> Self {
        self.projections.push(Box::new(Projection::projector::<P>));
        self
    }

    /// Adds a reactor, which `make` creates after the configuration was read. `react` runs it. A service may run one in
    /// its own process instead, see [`Service::react`].
    #[must_use]
    pub fn reactor<R, F>(mut self, make: F) -> Self
    where
        R: Reactor,
        F: Fn(&Connections) -> Result<R, ConnectionError> + Send + Sync + 'static,
    {
        self.reactors.push(Box::new(move |connections| Ok(connections.reactor(make(connections)?)?)));
        self
    }

    /// Adds a service. `service <name>` runs it, and also `<name>` if no other command has this name.
    #[must_use]
    pub fn service<F, S, E>(mut self, name: &'static str, run: F) -> Self
    where
        F: Fn(Service) -> S + Send + Sync + 'static,
        S: Future<Output = Result<(), E>> + 'static,
        E: Into<Failure>,
    {
        let run = move |service| run(service).map(|ended| ended.map_err(Into::into)).boxed_local();
        self.services.push((name, Box::new(run)));
        self
    }

    /// Adds a section with the user's own keys to the configuration. A service gets it as a `T`, see
    /// [`Service::section`]. `T` should `deny_unknown_fields`. A missing key is an error only for a service that asks for
    /// the section.
    #[must_use]
    pub fn section<T: DeserializeOwned + Send + Sync + 'static>(mut self, name: &'static str) -> Self {
        self.sections.push(OwnSection::new::<T>(name));
        self
    }

    /// Renames a key of the configuration: the old one is still read, with a warning.
    #[must_use]
    pub fn rename_key(mut self, old: &'static str, new: &'static str) -> Self {
        self.renamed_keys.push((old, new));
        self
    }

    /// Sets the configuration file that is read without `--config` if the working directory has no `aqueduct.toml`.
    #[must_use]
    pub fn fallback_configuration(mut self, path: &'static str) -> Self {
        self.fallback = Some(path);
        self
    }

    /// Adds a command. It replaces a command of the product with the same name. The doc comment of `A` is its help.
    #[must_use]
    pub fn command<A, F, C>(mut self, name: &'static str, run: F) -> Self
    where
        A: clap::Args + 'static,
        F: Fn(A, Configuration) -> C + Send + Sync + 'static,
        C: Future<Output = Result<ExitCode, Failure>> + 'static,
    {
        let run = move |matches: &clap::ArgMatches, configuration| match A::from_arg_matches(matches) {
            Ok(arguments) => run(arguments, configuration).boxed_local(),
            Err(error) => std::future::ready(Err(Failure::from(error))).boxed_local(),
        };
        self.commands.push(OwnCommand { name, arguments: A::augment_args, run: Box::new(run) });
        self
    }

    /// Adds another App, whose commands become subcommands of its name. Both share one configuration file, and the
    /// sections of both are known in it.
    #[must_use]
    pub fn app(mut self, app: App) -> Self {
        self.sections.extend(&app.sections);
        self.renamed_keys.extend(&app.renamed_keys);
        self.apps.push(app);
        self
    }

    /// Reads a configuration file as the commands do.
    pub fn configuration(&self, path: &Path) -> Result<Configuration, ConfigError> {
        Configuration::load_with(path, &self.sections, &self.renamed_keys)
    }

    /// The file that is read where `--config` does not name one.
    pub(crate) fn default_configuration(&self) -> PathBuf {
        let here = PathBuf::from("aqueduct.toml");
        match self.fallback.map(PathBuf::from) {
            Some(fallback) if !here.exists() && fallback.exists() => fallback,
            _ => here,
        }
    }

    /// Creates the tables of the inbox, then those of the App, or brings them up to date.
    pub async fn migrate(&self, pool: &PgPool) -> Result<(), MigrateError> {
        aqueduct_projection::migrate(pool).await?;
        match &self.migrations {
            Some(migrations) => {
                let own = aqueduct_projection::migration_pool(pool);
                let migrated = migrations.run(&own, self.name).await;
                own.close().await;
                migrated
            }
            None => Ok(()),
        }
    }
}

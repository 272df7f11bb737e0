//! The commands of an App's binary.

pub(crate) mod completions;
#[cfg(feature = "dev")]
mod devstore;
mod init;
mod project;
mod relay;
mod schemas;
pub(crate) mod setup;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgMatches, FromArgMatches as _, Subcommand as _};

use crate::app::{App, Failure};
use crate::configuration::Configuration;
use crate::connections::Connections;
use crate::service::Service;

const CONFIG: &str = "config";
const SERVICE: &str = "service";

/// Commands of each App.
#[derive(clap::Subcommand)]
enum Common {
    /// Publish schemas and create topics and tables (idempotent)
    Setup,
    /// Relay events from the event store to Kafka
    Relay,
    /// Run the projections: from Kafka to Postgres
    Project,
    /// Run the reactors: from Kafka to commands
    React,
    Verify(verify::Arguments),
    /// Work with the schemas
    #[command(subcommand)]
    Schemas(schemas::SchemasCommand),
}

/// Commands of a binary.
#[derive(clap::Subcommand)]
enum OfBinary {
    Init(init::Arguments),
    Completions(completions::Arguments),
    #[cfg(feature = "dev")]
    Devstore(devstore::Arguments),
}

/// What the help of a command shows as an example, after the name of the binary.
const EXAMPLES: [(&str, &str); 9] = [
    ("setup", "setup --config staging.toml"),
    ("relay", "relay --config staging.toml"),
    ("project", "project --config staging.toml"),
    ("react", "react --config staging.toml"),
    ("verify", "verify --strict"),
    ("schemas", "schemas check"),
    ("init", "init my-system"),
    ("completions", "completions bash > ~/.local/share/bash-completion/completions/aqueduct"),
    ("devstore", "devstore --in-memory"),
];

impl App {
    /// Runs the binary with the arguments of the process.
    ///
    /// Exit codes of the product's commands: 0 success, 1 something failed or a check found something, 2 wrong
    /// usage, 130 interrupted.
    pub fn main(self) -> ExitCode {
        self.main_from(std::env::args_os())
    }

    /// Runs the binary with these arguments, the first of which is its name.
    pub fn main_from(self, arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
        let matches = self.arguments().get_matches_from(arguments);
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return fail(&error),
        };
        match runtime.block_on(self.dispatch(&matches)) {
            Ok(code) => code,
            Err(error) => fail(&*error),
        }
    }

    /// The command line of the binary.
    fn arguments(&self) -> clap::Command {
        let config = clap::Arg::new(CONFIG)
            .long(CONFIG)
            .value_name("FILE")
            .help("The configuration file [default: aqueduct.toml]")
            .env("AQUEDUCT_CONFIG")
            .global(true)
            .value_parser(clap::value_parser!(PathBuf));
        let command = OfBinary::augment_subcommands(self.subcommands(self.name));
        with_examples(command.version(env!("CARGO_PKG_VERSION")).arg(config), self.name)
    }

    /// Its commands. `path` is what is typed before them.
    fn subcommands(&self, path: &str) -> clap::Command {
        let mut command =
            clap::Command::new(self.name).subcommand_required(true).arg_required_else_help(true);
        if !self.about.is_empty() {
            command = command.about(self.about);
        }
        command = with_examples(Common::augment_subcommands(command), path);
        for own in &self.commands {
            let arguments = (own.arguments)(clap::Command::new(own.name));
            command = if command.find_subcommand(own.name).is_some() {
                command.mut_subcommand(own.name, |_| arguments)
            } else {
                command.subcommand(arguments)
            };
        }
        for app in &self.apps {
            command = command.subcommand(app.subcommands(&format!("{path} {}", app.name)));
        }
        if !self.services.is_empty() {
            let about = "Run a service of the App";
            let mut service = clap::Command::new(SERVICE).about(about).arg_required_else_help(true);
            for (name, _) in &self.services {
                service = service.subcommand(clap::Command::new(*name));
                if command.find_subcommand(name).is_none() {
                    let about = format!("Short for `service {name}`");
                    command = command.subcommand(clap::Command::new(*name).about(about).hide(true));
                }
            }
            command = command.subcommand(service.subcommand_required(true));
        }
        command
    }

    async fn dispatch(&self, matches: &ArgMatches) -> Result<ExitCode, Failure> {
        if let Ok(command) = OfBinary::from_arg_matches(matches) {
            match command {
                OfBinary::Init(arguments) => init::run(&arguments, self.name)?,
                OfBinary::Completions(arguments) => completions::run(&arguments, self.arguments()),
                #[cfg(feature = "dev")]
                OfBinary::Devstore(arguments) => devstore::run(arguments).await?,
            }
            return Ok(ExitCode::SUCCESS);
        }
        let path = matches.get_one::<PathBuf>(CONFIG).cloned();
        let configuration = self.configuration(&path.unwrap_or_else(|| self.default_configuration()))?;
        for warning in &configuration.warnings {
            eprintln!("warning: {warning}");
        }
        self.run(matches, configuration, self.name).await
    }

    /// Runs the command that was given; `path` is what is typed before it.
    async fn run(
        &self,
        matches: &ArgMatches,
        configuration: Configuration,
        path: &str,
    ) -> Result<ExitCode, Failure> {
        let Some((name, of_command)) = matches.subcommand() else { return Ok(ExitCode::from(2)) };
        if let Some(own) = self.commands.iter().find(|own| own.name == name) {
            return (own.run)(of_command, configuration).await;
        }
        if let Some(app) = self.apps.iter().find(|app| app.name == name) {
            return Box::pin(app.run(of_command, configuration, &format!("{path} {name}"))).await;
        }
        let connections = Connections::new(configuration);
        let process = |name: &str| format!("{}-{name}", path.replace(' ', "-"));
        match Common::from_arg_matches(matches) {
            Ok(Common::Setup) => setup::run(self, &connections).await?,
            Ok(Common::Relay) => relay::run(&process("relay"), connections).await?,
            Ok(Common::Project) => project::project(self, path, &process("project"), connections).await?,
            Ok(Common::React) => project::react(self, path, &process("react"), connections).await?,
            Ok(Common::Verify(arguments)) => return verify::run(&arguments, &connections).await,
            Ok(Common::Schemas(command)) => schemas::run(&command, &connections).await?,
            Err(_) => {
                let name = if name == SERVICE { of_command.subcommand_name().unwrap_or(name) } else { name };
                if let Some((_, run)) = self.services.iter().find(|(service, _)| *service == name) {
                    run(Service::new(&process(name), connections)?).await?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn with_examples(command: clap::Command, path: &str) -> clap::Command {
    EXAMPLES.iter().fold(command, |command, (name, example)| {
        if command.find_subcommand(name).is_some() {
            command.mut_subcommand(*name, |it| it.after_help(format!("Example:\n    {path} {example}")))
        } else {
            command
        }
    })
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  because: {error}");
        cause = error.source();
    }
    ExitCode::FAILURE
}

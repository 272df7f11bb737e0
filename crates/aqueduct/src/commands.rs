//! The commands of an App's binary.

pub(crate) mod completions;
#[cfg(feature = "dev")]
mod consumer;
#[cfg(feature = "dev")]
mod dev;
#[cfg(feature = "dev")]
mod devstore;
mod doctor;
mod examples;
mod init;
mod parked;
mod project;
mod projection;
mod relay;
mod schemas;
pub(crate) mod setup;
mod status;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgMatches, FromArgMatches as _, Subcommand as _};

use self::examples::with_examples;
use self::schemas::{SchemasCommand, conformance};
use crate::app::{App, OwnCommand, RunService};
use crate::configuration::Configuration;
use crate::connections::Connections;
use crate::failure::Failure;
use crate::service::Service;

const CONFIG: &str = "config";
const SERVICE: &str = "service";

// Commands of each App. Not a doc comment: clap would make it the description of the App.
#[derive(clap::Subcommand)]
enum AppCommand {
    /// Publish schemas and create topics and tables (idempotent)
    Setup,
    /// Relay events from the event store to Kafka
    Relay,
    /// Run the projections: from Kafka to Postgres
    Project,
    /// Run the reactors: from Kafka to commands
    React,
    #[cfg(feature = "dev")]
    Dev(dev::Arguments),
    Verify(verify::Arguments),
    Status(status::Arguments),
    Doctor(doctor::Arguments),
    /// Work with the parked events of routes, projections and reactors
    #[command(subcommand)]
    Parked(parked::ParkedCommand),
    /// Test SQL projections, and manage those that consumers in other languages keep
    #[command(subcommand)]
    Projection(projection::ProjectionCommand),
    /// Work with the schemas
    #[command(subcommand)]
    Schemas(SchemasCommand),
}

// Commands of a binary. Not a doc comment, as above.
#[derive(clap::Subcommand)]
enum BinaryCommand {
    Init(init::Arguments),
    Completions(completions::Arguments),
    #[cfg(feature = "dev")]
    Devstore(devstore::Arguments),
    /// Work on consumers in any language
    #[cfg(feature = "dev")]
    #[command(subcommand)]
    Consumer(consumer::ConsumerCommand),
}

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
        let command = self.subcommands(BinaryCommand::augment_subcommands);
        with_examples(command.version(env!("CARGO_PKG_VERSION")).arg(config), self.name)
    }

    /// The commands of the App. `augment` adds further ones of the product, whose names are taken too.
    fn subcommands(&self, augment: fn(clap::Command) -> clap::Command) -> clap::Command {
        let mut command =
            clap::Command::new(self.name).subcommand_required(true).arg_required_else_help(true);
        if !self.about.is_empty() {
            command = command.about(self.about);
        }
        command = augment(AppCommand::augment_subcommands(command));
        for own in &self.commands {
            let arguments = (own.arguments)(clap::Command::new(own.name));
            command = if command.find_subcommand(own.name).is_some() {
                command.mut_subcommand(own.name, |_| arguments)
            } else {
                command.subcommand(arguments)
            };
        }
        for app in &self.apps {
            command = command.subcommand(app.subcommands(std::convert::identity));
        }
        if !self.services.is_empty() {
            let about = "Run a service of the App";
            let mut service = clap::Command::new(SERVICE).about(about).arg_required_else_help(true);
            for (name, _) in &self.services {
                let about = format!("Run the service {name}");
                service = service.subcommand(clap::Command::new(*name).about(about));
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
        let replaced = matches.subcommand_name().is_some_and(|name| self.own_command(name).is_some());
        if !replaced && let Ok(command) = BinaryCommand::from_arg_matches(matches) {
            match command {
                BinaryCommand::Init(arguments) => init::run(&arguments, self.name)?,
                BinaryCommand::Completions(arguments) => completions::run(&arguments, self.arguments()),
                #[cfg(feature = "dev")]
                BinaryCommand::Devstore(arguments) => devstore::run(arguments).await?,
                #[cfg(feature = "dev")]
                BinaryCommand::Consumer(command) => return consumer::run(command).await,
            }
            return Ok(ExitCode::SUCCESS);
        }
        if !replaced
            && let Ok(AppCommand::Schemas(SchemasCommand::Conformance(arguments))) =
                AppCommand::from_arg_matches(matches)
        {
            return conformance::run(&arguments);
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
        let Some((name, submatches)) = matches.subcommand() else { return Ok(ExitCode::from(2)) };
        if let Some(own) = self.own_command(name) {
            return (own.run)(submatches, configuration).await;
        }
        if let Some(app) = self.apps.iter().find(|app| app.name == name) {
            return Box::pin(app.run(submatches, configuration, &format!("{path} {name}"))).await;
        }
        let process = |name: &str| format!("{}-{name}", path.replace(' ', "-"));
        let connections = Connections::new(configuration);
        if let Some((name, run)) = self.service_of(name, submatches) {
            run(Service::new(&process(name), connections)?).await?;
            return Ok(ExitCode::SUCCESS);
        }
        match AppCommand::from_arg_matches(matches)? {
            AppCommand::Setup => setup::run(self, &connections).await?,
            AppCommand::Relay => relay::run(&process("relay"), connections).await?,
            AppCommand::Project => project::project(self, path, &process("project"), connections).await?,
            AppCommand::React => project::react(self, path, &process("react"), connections).await?,
            #[cfg(feature = "dev")]
            AppCommand::Dev(arguments) => {
                let configuration = connections.configuration().clone();
                return dev::run(self, &process("dev"), &arguments, configuration).await;
            }
            AppCommand::Verify(arguments) => return verify::run(&arguments, &connections).await,
            AppCommand::Status(arguments) => return status::run(&arguments, &connections).await,
            AppCommand::Doctor(arguments) => return doctor::run(self, &arguments, &connections).await,
            AppCommand::Parked(command) => return parked::run(&command, &connections).await,
            AppCommand::Projection(command) => return projection::run(self, &command, &connections).await,
            AppCommand::Schemas(command) => return schemas::run(&command, &connections).await,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn own_command(&self, name: &str) -> Option<&OwnCommand> {
        self.commands.iter().find(|own| own.name == name)
    }

    /// The service that a command runs: `service <name>`, or `<name>` where the product has no command of that name.
    fn service_of(&self, command: &str, submatches: &ArgMatches) -> Option<&(&'static str, RunService)> {
        let name = if command == SERVICE { submatches.subcommand_name()? } else { command };
        if command == name && AppCommand::has_subcommand(name) {
            return None;
        }
        self.services.iter().find(|(service, _)| *service == name)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn nothing(_: Service) -> Result<(), Failure> {
        Ok(())
    }

    fn app() -> App {
        let bank = App::new("bank").about("A bank").service("teller", nothing).service("setup", nothing);
        App::new("test").about("A test").app(bank)
    }

    #[track_caller]
    fn assert_helpful(command: &clap::Command, path: &str) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(help.starts_with(&format!("Example:\n    {path}")), "{path}: {help}");
        assert!(command.get_about().is_some(), "{path}");
        for subcommand in command.get_subcommands() {
            assert_helpful(subcommand, &format!("{path} {}", subcommand.get_name()));
        }
    }

    #[test]
    fn every_command_has_a_help_with_an_example() {
        let command = app().arguments();
        command.clone().debug_assert();
        assert_helpful(&command, "test");
        let about = |command: &clap::Command| command.get_about().unwrap().to_string();
        assert_eq!(about(&command), "A test");
        assert_eq!(about(command.find_subcommand("bank").unwrap()), "A bank");
    }

    #[test]
    fn a_service_is_a_command_unless_its_name_is_taken() {
        let parse = |arguments: &[&str]| app().arguments().try_get_matches_from(arguments);
        for arguments in [["test", "bank", "teller"], ["test", "bank", "setup"]] {
            assert!(parse(&arguments).is_ok(), "{arguments:?}");
        }
        assert!(parse(&["test", "bank", "service", "setup"]).is_ok());
        assert!(parse(&["test", "teller"]).is_err());
        let command = app().arguments();
        let setup = command.find_subcommand("bank").unwrap().find_subcommand("setup").unwrap();
        assert!(setup.get_about().unwrap().to_string().starts_with("Publish schemas"));

        let app = app();
        let bank = &app.apps[0];
        let service = |arguments: &[&str]| {
            let matches = parse(arguments).unwrap();
            let (_, of_bank) = matches.subcommand().unwrap();
            let (command, submatches) = of_bank.subcommand().unwrap();
            bank.service_of(command, submatches).map(|(name, _)| *name)
        };
        assert_eq!(service(&["test", "bank", "teller"]), Some("teller"));
        assert_eq!(service(&["test", "bank", "service", "setup"]), Some("setup"));
        assert_eq!(service(&["test", "bank", "setup"]), None);
    }

    #[test]
    fn a_command_of_a_binary_keeps_its_name_unless_an_own_one_replaces_it() {
        let app = || App::new("test").about("A test").service("init", nothing);
        let command = app().arguments();
        command.clone().debug_assert();
        assert!(
            command.find_subcommand("init").unwrap().get_arguments().any(|it| it.get_id() == "directory")
        );

        #[derive(clap::Args)]
        struct Own {
            #[arg(long)]
            quickly: bool,
        }
        let replaced =
            app().command("init", async |Own { quickly }, _| Ok(ExitCode::from(if quickly { 7 } else { 8 })));
        replaced.arguments().debug_assert();
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("aqueduct.toml");
        std::fs::write(&config, "").unwrap();
        let arguments = ["test", "init", "--quickly", "--config", config.to_str().unwrap()];
        assert_eq!(replaced.main_from(arguments), ExitCode::from(7));
    }

    #[test]
    fn completions_know_the_commands_of_each_app() {
        let mut script = Vec::new();
        clap_complete::generate(clap_complete::Shell::Bash, &mut app().arguments(), "test", &mut script);
        let script = String::from_utf8(script).unwrap();
        assert!(script.contains("teller"), "{script}");
    }
}

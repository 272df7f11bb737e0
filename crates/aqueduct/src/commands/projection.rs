//! `projection`: examples of SQL projections, and the projections that consumers in other languages keep.

mod examples;

use std::process::ExitCode;
use std::time::Duration;

use aqueduct_projection::consumer::{self, Registration, Timeouts};

use crate::app::App;
use crate::connections::Connections;
use crate::failure::Failure;

#[derive(clap::Subcommand)]
pub(super) enum ProjectionCommand {
    /// Run the examples of SQL projections and compare the rows
    ///
    /// Each example is run as one batch and event by event, in a database that is created on the server of `postgres.url` and
    /// dropped again. Exit code 1 if an example fails. See docs/sql-projections.md.
    Test {
        /// Name of a projection [default: all]
        name: Option<String>,
    },
    /// Install the SQL functions for consumers in other languages and register a projection
    ///
    /// Idempotent. Connect directly and not through a pooler, as a role that may create schemas. See
    /// docs/consumers.md.
    Install {
        /// Name of the projection: at most 40 lower-case letters, digits and _
        name: String,
        /// Role whose members may act for the projection
        #[arg(long, value_name = "ROLE")]
        owner: String,
        /// Role of the projections in Rust and in SQL, which is granted the tables
        #[arg(long, value_name = "ROLE")]
        runner: Option<String>,
        /// Take the first record of an unknown stream for its beginning, whatever was before it
        #[arg(long)]
        starts_late: bool,
        #[command(flatten)]
        timeouts: TimeoutArguments,
    },
    /// Let a projection continue that is halted because topic or database are not what they were
    Accept {
        /// Name of the projection
        name: String,
        /// What is accepted
        #[arg(value_parser = ["topic_recreated", "records_lost", "offsets_missing", "database_restored"])]
        code: String,
    },
}

/// What ends a consumer's transaction, so that one that is frozen or hangs holds nothing.
#[derive(clap::Args)]
pub(super) struct TimeoutArguments {
    /// Time-out between two statements of a transaction
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = timeout)]
    idle_timeout: Duration,
    /// Time-out of waiting for a lock; shorter than that of a statement
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = timeout)]
    lock_timeout: Duration,
    /// Time-out of a statement
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = timeout)]
    statement_timeout: Duration,
}

impl TimeoutArguments {
    /// A statement that waits for a lock must be told from one that takes too long.
    fn timeouts(&self) -> Result<Timeouts, String> {
        let Self { idle_timeout: idle, lock_timeout: lock, statement_timeout: statement } = *self;
        if lock >= statement {
            let (lock, statement) = (lock.as_secs(), statement.as_secs());
            return Err(format!(
                "--lock-timeout {lock} must be below --statement-timeout {statement}: an event that waits for a lock would be \
                 parked as one that takes too long"
            ));
        }
        Ok(Timeouts { idle, lock, statement })
    }
}

fn timeout(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
        _ => Err("expected a number of seconds from 1 to 86400".to_owned()),
    }
}

#[expect(clippy::print_stdout, reason = "what was done is the command's output")]
pub(super) async fn run(
    app: &App,
    command: &ProjectionCommand,
    connections: &Connections,
) -> Result<ExitCode, Failure> {
    match command {
        ProjectionCommand::Test { name } => return examples::test(app, name.as_deref(), connections).await,
        ProjectionCommand::Install { name, owner, runner, starts_late, timeouts } => {
            let timeouts = timeouts.timeouts()?;
            let pool = connections.postgres()?;
            consumer::install(&pool).await?;
            let registration = Registration { projection: name, owner, starts_late: *starts_late, timeouts };
            consumer::register(&pool, registration).await?;
            if let Some(runner) = runner {
                consumer::grant_runner(&pool, runner).await?;
            }
            println!("projection {name} is registered; members of {owner} may act for it");
        }
        ProjectionCommand::Accept { name, code } => {
            let accepted = consumer::accept(&connections.postgres()?, name, code).await?;
            for problem in &accepted {
                println!("accepted: {problem}");
            }
            if accepted.is_empty() {
                println!("projection {name} is not halted with {code}");
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_waited_for_no_longer_than_a_statement_may_take() {
        let seconds = Duration::from_secs;
        let timeouts = |lock, statement| {
            TimeoutArguments {
                idle_timeout: seconds(60),
                lock_timeout: seconds(lock),
                statement_timeout: seconds(statement),
            }
            .timeouts()
        };
        assert!(timeouts(30, 60).is_ok());
        assert!(
            timeouts(60, 60).unwrap_err().contains("--lock-timeout 60 must be below --statement-timeout 60")
        );
    }
}

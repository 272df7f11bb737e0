//! `projection`: the projections that consumers in other languages keep.

use std::process::ExitCode;

use aqueduct_projection::consumer::{self, Registration};

use crate::connections::Connections;
use crate::failure::Failure;

#[derive(clap::Subcommand)]
pub(super) enum ProjectionCommand {
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
    },
    /// Let a projection go on that is halted because topic or database are not what they were
    Accept {
        /// Name of the projection
        name: String,
        /// What is accepted
        #[arg(value_parser = ["topic_recreated", "offsets_missing", "database_restored"])]
        code: String,
    },
}

#[expect(clippy::print_stdout, reason = "what was done is the command's output")]
pub(super) async fn run(command: &ProjectionCommand, connections: &Connections) -> Result<ExitCode, Failure> {
    let pool = connections.postgres()?;
    match command {
        ProjectionCommand::Install { name, owner, runner, starts_late } => {
            consumer::install(&pool).await?;
            let registration = Registration { projection: name, owner, starts_late: *starts_late };
            consumer::register(&pool, registration).await?;
            if let Some(runner) = runner {
                consumer::grant_runner(&pool, runner).await?;
            }
            println!("projection {name} is registered; members of {owner} may act for it");
        }
        ProjectionCommand::Accept { name, code } => {
            let accepted = consumer::accept(&pool, name, code).await?;
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

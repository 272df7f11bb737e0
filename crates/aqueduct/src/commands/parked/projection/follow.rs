//! Waiting for the owners of the partitions to execute a request.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use aqueduct_projection::parked::{self, Progress, Request};
use sqlx::PgPool;

use super::super::OWNER_TIMEOUT;
use crate::failure::Failure;

const POLL_EVERY: Duration = Duration::from_millis(500);

/// Shows the progress of a request until it is done, failed, or without a running owner. The request is stored: it is
/// executed whether or not this command waits.
#[expect(clippy::print_stdout, reason = "the result is the command's output")]
pub(super) async fn follow(
    pool: &PgPool,
    action: &str,
    request: Option<Request>,
) -> Result<ExitCode, Failure> {
    let Some(request) = request else {
        println!("no event parked by a projection is selected; for those of a route add --route NAME");
        return Ok(ExitCode::SUCCESS);
    };
    let id = request.id;
    println!("{action} {id}: {} events in {} streams selected", request.events, request.streams);
    let begun = Instant::now();
    let mut shown = Progress::default();
    loop {
        let progress = parked::progress(pool, id).await?;
        let Progress { waiting, unseen, done, failed, applied, discarded, .. } = progress;
        if progress != shown {
            eprintln!(
                "{applied} applied, {discarded} discarded; streams: {done} done, {failed} failed, {waiting} waiting"
            );
        }
        if waiting == 0 {
            return Ok(result(&progress));
        }
        if unseen > 0 && begun.elapsed() > OWNER_TIMEOUT {
            println!(
                "no running projection owns the partitions of {unseen} streams: {action} {id} is stored and \
                 will be executed when one starts"
            );
            return Ok(ExitCode::FAILURE);
        }
        shown = progress;
        tokio::time::sleep(POLL_EVERY).await;
    }
}

#[expect(clippy::print_stdout, reason = "the result is the command's output")]
fn result(progress: &Progress) -> ExitCode {
    let Progress { failed, applied, discarded, problem, .. } = progress;
    println!("{applied} events applied, {discarded} discarded");
    match (failed, problem) {
        (0, _) => ExitCode::SUCCESS,
        (failed, problem) => {
            let problem = problem.as_deref().unwrap_or("see `parked list`");
            println!("{failed} streams failed again, their events stay parked: {problem}");
            ExitCode::FAILURE
        }
    }
}

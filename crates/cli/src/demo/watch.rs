//! Whether the run makes progress, and if not, what obstructs it.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use super::services::{NO_ANSWER, Service};
use super::stages::{POLLED, Polled};

/// The run fails when nothing has moved for this long.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often the services are asked whether they are ready.
const ASK: Duration = Duration::from_secs(1);
/// Shorter problems are not reported: a service has one while it joins its group.
const LASTS: Duration = Duration::from_secs(15);

/// Nothing has moved for too long.
#[derive(Debug, thiserror::Error)]
#[error(
    "nothing has moved for {PATIENCE:?}{problems}\nnothing is lost: with --data the next run resumes here, and the services' logs \
     stay in DIR/logs"
)]
pub(crate) struct StalledError {
    problems: String,
}

/// The problems of the services and the progress of the run.
pub(crate) struct Watch {
    asked: Instant,
    problems: BTreeMap<&'static str, Problem>,
    progress: u64,
    moved: Instant,
}

/// Why a service is not ready, or that a process does not answer.
struct Problem {
    text: String,
    since: Instant,
    said: bool,
}

impl Watch {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self { asked: now, problems: BTreeMap::new(), progress: 0, moved: now }
    }

    /// Fails once nothing has moved for too long. `progress` changes whenever anything has moved.
    pub(crate) fn expect_movement(&mut self, progress: u64) -> Result<(), StalledError> {
        if progress != self.progress {
            self.progress = progress;
            self.moved = Instant::now();
        }
        if self.moved.elapsed() < PATIENCE {
            return Ok(());
        }
        let problems = self.problems.iter().map(|(name, problem)| format!("\n{name}: {}", problem.text));
        Err(StalledError { problems: problems.collect() })
    }

    /// Asks the services from time to time whether they are ready; returns messages for the user.
    pub(crate) async fn ask(&mut self, services: &[&mut Service]) -> Vec<String> {
        if self.asked.elapsed() < ASK {
            return Vec::new();
        }
        // Concurrently: a service that does not answer takes its whole timeout.
        let problems = join_all(services.iter().map(|service| service.problem())).await;
        for (service, problem) in services.iter().zip(problems) {
            match problem {
                Some(text) => self.note(service.name(), text),
                None => drop(self.problems.remove(service.name())),
            }
        }
        self.asked = Instant::now();
        let news = self.problems.iter_mut().filter(|(_, it)| !it.said && it.since.elapsed() >= LASTS);
        let tell = |(name, problem): (&&str, &mut Problem)| {
            problem.said = true;
            format!("{name}: {}", problem.text)
        };
        news.map(tell).collect()
    }

    /// All polled processes have answered.
    pub(crate) fn answered(&mut self) {
        POLLED.iter().for_each(|process| drop(self.problems.remove(process.name())));
    }

    /// A polled process has not answered in time.
    pub(crate) fn note_silent(&mut self, process: Polled) {
        self.note(process.name(), NO_ANSWER.to_owned());
    }

    fn note(&mut self, name: &'static str, text: String) {
        if self.problems.get(name).is_none_or(|known| known.text != text) {
            self.problems.insert(name, Problem { text, since: Instant::now(), said: false });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stalled_run_names_the_process_that_does_not_answer() {
        let mut watch = Watch::new();
        watch.moved = Instant::now().checked_sub(PATIENCE).unwrap();
        watch.note_silent(Polled::Postgres);
        let stalled = |watch: &mut Watch| watch.expect_movement(0).unwrap_err().to_string();
        assert!(stalled(&mut watch).contains("\npostgres: does not answer"), "{}", stalled(&mut watch));
        watch.answered();
        assert!(!stalled(&mut watch).contains("postgres"), "{}", stalled(&mut watch));
    }
}

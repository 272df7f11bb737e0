//! Whether the run still gets on, and if not, what keeps it.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use super::services::Service;

/// How long nothing may move until the run is given up.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often the services are asked what keeps them.
const ASK: Duration = Duration::from_secs(1);
/// A problem that is over sooner is not worth a line: a service that joins its group has one, too.
const LASTS: Duration = Duration::from_secs(15);

/// Nothing moves any more.
#[derive(Debug, thiserror::Error)]
#[error(
    "nothing has moved for {PATIENCE:?}{problems}\nnothing is lost: with --data the next run goes on from here, and the \
     services' logs stay in DIR/logs"
)]
pub(crate) struct StalledError {
    problems: String,
}

/// What is known of the services and of the run's progress.
pub(crate) struct Watch {
    asked: Instant,
    problems: BTreeMap<&'static str, Problem>,
    progress: u64,
    moved: Instant,
}

/// What keeps a service from its work.
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

    /// Asks the services now and then; returns what the user should be told.
    pub(crate) async fn ask(&mut self, services: &[&mut Service]) -> Vec<String> {
        if self.asked.elapsed() < ASK {
            return Vec::new();
        }
        // All at once: the run stands still meanwhile.
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

    fn note(&mut self, name: &'static str, text: String) {
        if self.problems.get(name).is_none_or(|known| known.text != text) {
            self.problems.insert(name, Problem { text, since: Instant::now(), said: false });
        }
    }
}

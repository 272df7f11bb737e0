//! Problems of a projection, for health checks.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

/// The state of a projection. Clones share it.
///
/// It is ready once its table was checked and it is a member of its consumer group, until a server is
/// unreachable, something is being retried, or it has halted. A rebalance of the group does not make it unready.
/// An instance without partitions is ready: it can take over.
#[derive(Debug, Clone)]
pub struct Status {
    problems: watch::Receiver<BTreeMap<Component, String>>,
}

/// The projection whose status is awaited has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the projection has ended")]
pub struct ProjectionEnded;

/// What can have a problem, independently of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Component {
    /// An error that a retry does not solve has ended the projection.
    Halted,
    /// The migrations and the table of the view.
    Table,
    /// Whether Postgres answers at all.
    Postgres,
    /// Whether any broker can be reached.
    Brokers,
    /// Topics that do not exist or must not be read.
    Topics,
    /// Membership of the consumer group, with all partitions claimed.
    Group,
    /// The current batches.
    Batch,
}

impl Status {
    /// Returns why the projection is not ready; `None` if it is ready.
    pub fn not_ready(&self) -> Option<String> {
        let problems = self.problems.borrow();
        let texts: Vec<_> = problems.values().map(String::as_str).collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    }

    /// Waits for the next change.
    ///
    /// # Errors
    /// The projection has ended, and there will be no change.
    pub async fn changed(&mut self) -> Result<(), ProjectionEnded> {
        self.problems.changed().await.map_err(|_| ProjectionEnded)
    }

    /// Calls `show` with the result of [`not_ready`](Self::not_ready), now and at each change, until the
    /// projection has ended.
    pub async fn follow(mut self, show: impl Fn(Option<String>)) {
        loop {
            show(self.not_ready());
            if self.changed().await.is_err() {
                break;
            }
        }
    }
}

pub(crate) const JOINING: &str = "joining the consumer group";

/// The writing side of [`Status`]. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct StatusReporter(Arc<watch::Sender<BTreeMap<Component, String>>>);

impl StatusReporter {
    pub(crate) fn new() -> Self {
        let problems = [(Component::Table, "starting"), (Component::Group, JOINING)];
        let problems = problems.map(|(component, text)| (component, text.to_owned()));
        Self(Arc::new(watch::Sender::new(problems.into())))
    }

    pub(crate) fn status(&self) -> Status {
        Status { problems: self.0.subscribe() }
    }

    pub(crate) fn report(&self, component: Component, problem: impl Into<String>) {
        let problem = problem.into();
        self.0.send_if_modified(|problems| {
            let changed = problems.get(&component) != Some(&problem);
            if changed {
                problems.insert(component, problem);
            }
            changed
        });
    }

    pub(crate) fn clear(&self, component: Component) {
        self.0.send_if_modified(|problems| problems.remove(&component).is_some());
    }
}

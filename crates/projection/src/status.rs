//! What keeps a projection from its work, for health checks.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

/// The state of a projection. Clones share it.
///
/// It is ready once its table was looked at and it is a member of its consumer group, and until something is
/// gone, is tried again or has halted it. A rebalance of the group does not make it unready, and an instance
/// whose partitions are all elsewhere is ready: to take over.
#[derive(Debug, Clone)]
pub struct Status {
    problems: watch::Receiver<BTreeMap<Part, String>>,
}

/// What can be in the way, each by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// An error that waiting does not cure has ended it.
    Halted,
    /// The migrations and the table of the view.
    Table,
    /// Whether Postgres answers at all.
    Postgres,
    /// Whether any broker can be reached.
    Brokers,
    /// Topics that do not exist or may not be read.
    Topics,
    /// Being a member of the consumer group, with its partitions claimed.
    Group,
    /// The batch at hand.
    Batch,
}

impl Status {
    /// What keeps the projection from being ready; `None` when nothing does.
    pub fn not_ready(&self) -> Option<String> {
        let problems = self.problems.borrow();
        let texts: Vec<_> = problems.values().map(String::as_str).collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    }

    /// Waits for the next change; `false` once the projection has ended and none will come.
    pub async fn changed(&mut self) -> bool {
        self.problems.changed().await.is_ok()
    }

    /// Calls `show` with what [`not_ready`](Self::not_ready) says, now and at each change, until the projection
    /// has ended.
    pub async fn follow(mut self, show: impl Fn(Option<String>)) {
        loop {
            show(self.not_ready());
            if !self.changed().await {
                break;
            }
        }
    }
}

pub(crate) const JOINING: &str = "joining the consumer group";

/// The writing side of [`Status`]. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Board(Arc<watch::Sender<BTreeMap<Part, String>>>);

impl Board {
    pub(crate) fn new() -> Self {
        let problems = [(Part::Table, "starting"), (Part::Group, JOINING)];
        Self(Arc::new(watch::Sender::new(problems.map(|(part, text)| (part, text.to_owned())).into())))
    }

    pub(crate) fn status(&self) -> Status {
        Status { problems: self.0.subscribe() }
    }

    pub(crate) fn problem(&self, part: Part, problem: impl Into<String>) {
        let problem = problem.into();
        self.0.send_if_modified(|problems| {
            let changed = problems.get(&part) != Some(&problem);
            if changed {
                problems.insert(part, problem);
            }
            changed
        });
    }

    pub(crate) fn solved(&self, part: Part) {
        self.0.send_if_modified(|problems| problems.remove(&part).is_some());
    }
}

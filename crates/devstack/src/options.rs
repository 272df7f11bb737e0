use std::path::PathBuf;

/// The parts to start, and their data.
///
/// ```
/// use aqueduct_devstack::{Options, Part};
///
/// // Kafka is started on a free port, Postgres is a running one; no registry, no event store.
/// let options = Options {
///     kafka: Part::start(),
///     postgres: Part::Given("postgres://me@localhost/dev".to_owned()),
///     ..Options::none()
/// };
/// # let _ = options;
/// ```
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory of the parts' data.
    pub data: Data,
    /// The directory of downloads and of the Postgres template. `None`: `AQUEDUCT_CACHE`, else `/var/cache/aqueduct`
    /// for root (whose home is closed to the user that Postgres runs as), else `aqueduct` in the user's cache directory.
    pub cache: Option<PathBuf>,
    /// Apache Kafka.
    pub kafka: Part,
    /// PostgreSQL 15 or later.
    pub postgres: Part,
    /// The source of the PostgreSQL binaries.
    pub postgres_from: PostgresFrom,
    /// The schema registry of this crate, in process.
    pub registry: Part,
    /// The event store of `aqueduct-devstore`, in process, durable in the data directory.
    pub event_store: Part,
    /// Apicurio Registry with its Confluent-compatible interface, for tests against a second registry. It keeps its
    /// schemas in memory. Not included in [`all`](Options::all).
    pub apicurio: Part,
    /// Whether the parts will run for many minutes: only then does Java's optimizing compiler pay off for Kafka.
    pub runs_long: bool,
}

/// The directory of the parts' data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// A new directory that is removed when the stack ends (after a SIGKILL: by the next start).
    Temporary,
    /// This directory, created if it does not exist, kept. Locked: a second stack on it is refused.
    Kept(PathBuf),
}

/// One part of the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Neither started nor given.
    Off,
    /// Started on this machine.
    Start {
        /// The port on 127.0.0.1, or `None` for a free one.
        port: Option<u16>,
    },
    /// A running part with this URL (for Kafka: its bootstrap servers). Nothing is started.
    Given(String),
}

impl Part {
    /// Started on a free port.
    pub fn start() -> Self {
        Self::Start { port: None }
    }

    pub(crate) fn is_started(&self) -> bool {
        matches!(self, Self::Start { .. })
    }

    pub(crate) fn port(&self) -> Option<u16> {
        match self {
            Self::Start { port } => *port,
            Self::Off | Self::Given(_) => None,
        }
    }
}

/// The source of the PostgreSQL binaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostgresFrom {
    /// From this machine if 15 or later is installed (on the `PATH`, or where Debian puts it), else through Maven.
    Machine,
    /// Through Maven, even if PostgreSQL is installed. The environment variable `AQUEDUCT_POSTGRES_FROM=maven` has the same effect.
    Maven,
}

impl Options {
    /// Every part but Apicurio, on free ports, with temporary data.
    pub fn all() -> Self {
        Self {
            kafka: Part::start(),
            postgres: Part::start(),
            registry: Part::start(),
            event_store: Part::start(),
            ..Self::none()
        }
    }

    /// No part; for a choice of parts with `..Options::none()`.
    pub fn none() -> Self {
        Self {
            data: Data::Temporary,
            cache: None,
            kafka: Part::Off,
            postgres: Part::Off,
            postgres_from: PostgresFrom::Machine,
            registry: Part::Off,
            event_store: Part::Off,
            apicurio: Part::Off,
            runs_long: false,
        }
    }
}

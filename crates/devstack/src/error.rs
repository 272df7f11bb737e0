use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The stack, or a part of it, did not start. Parts that had been started are stopped.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// Missing programs, all at once, reported before anything is started.
    #[error("{}", Missing::list(.0))]
    Missing(Vec<Missing>),
    /// Another process uses the data directory.
    #[error("the data directory {} is in use by process {holder}: stop it, or choose another directory", path.display())]
    DataInUse {
        /// The data directory, as configured.
        path: PathBuf,
        /// The id of the process that holds it, as that process wrote it down.
        holder: String,
    },
    /// A configured port is in use. Reported before anything is started.
    #[error(
        "port {port} of {part} is in use: stop what listens there (`ss -ltnp 'sport = :{port}'` names it) or choose another port"
    )]
    PortInUse {
        /// Name of the part: `kafka`, `postgres`, …
        part: &'static str,
        /// The port on 127.0.0.1.
        port: u16,
    },
    /// A file or directory could not be used.
    #[error("could not {action} {}", path.display())]
    Io {
        /// A verb that completes "could not", `create`.
        action: &'static str,
        /// Its object.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The disk is full, or nearly.
    #[error(transparent)]
    NoSpace(#[from] NoSpaceError),
    /// A program of the preparation failed.
    #[error("{step} failed ({status}); its last lines:\n{tail}")]
    Step {
        /// What was run, `initdb`.
        step: String,
        /// Its exit status.
        status: String,
        /// The end of its output.
        tail: String,
    },
    /// A part was started and did not become ready.
    #[error("{part} {reason}; last lines of {}:\n{tail}", log.display())]
    NotReady {
        /// Name of the part: `kafka`, `postgres`, …
        part: &'static str,
        /// Whether it ended, or the timeout.
        reason: String,
        /// Its log. It stays until the next stack with temporary data starts.
        log: PathBuf,
        /// The end of the log.
        tail: String,
    },
    /// A statement of the setup of the new Postgres cluster failed.
    #[error("could not set up the new postgres cluster")]
    PostgresSetup(#[source] sqlx::Error),
    /// The user that Postgres runs as cannot enter the directory.
    #[error("postgres runs as user {user}, who cannot enter {}: set AQUEDUCT_CACHE to a directory that every user can enter", path.display())]
    Closed {
        /// Name of the system user.
        user: String,
        /// The first inaccessible directory of the path.
        path: PathBuf,
    },
    /// The event store did not open its folder.
    #[error("could not start the event store on {}", path.display())]
    EventStore {
        /// Its folder.
        path: PathBuf,
        /// Its error.
        #[source]
        source: aqueduct_devstore::StartError,
    },
    /// The registry's stored schemas cannot be read.
    #[error("{}, line {line}: not a stored schema: {reason}; remove the damaged line, or the file to start with an empty registry", path.display())]
    Registry {
        /// The registry's file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

impl StartError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// Whether another process took the part's port before it listened.
    pub(crate) fn is_port_taken(&self) -> bool {
        match self {
            Self::PortInUse { .. } => true,
            // The message of Java and of the C library.
            Self::NotReady { tail, .. } => tail.contains("Address already in use"),
            _ => false,
        }
    }
}

/// The file system of the data has too little free space.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the disk is full: {} MiB are free in {}, at least {} MiB are needed: free some space, or choose another directory",
    free >> 20, path.display(), needed >> 20
)]
pub struct NoSpaceError {
    /// The directory of the data.
    pub path: PathBuf,
    /// Its free bytes.
    pub free: u64,
    /// The bytes that must be free.
    pub needed: u64,
}

/// A program that must be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What is missing, and why it is needed.
    pub what: String,
    /// How to install it.
    pub install: &'static str,
}

impl Missing {
    fn list(missing: &[Self]) -> String {
        let lines: Vec<String> = missing.iter().map(ToString::to_string).collect();
        format!("missing prerequisites (nothing was started):\n{}", lines.join("\n"))
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {}; {}", self.what, self.install)
    }
}

/// A part has ended unexpectedly.
#[derive(Debug, Error)]
#[error("{part} has ended unexpectedly ({status}); last lines of {}:\n{tail}", log.display())]
pub struct EndedError {
    /// Name of the part: `kafka`, `postgres`, …
    pub part: &'static str,
    /// Its exit status.
    pub status: String,
    /// Its log.
    pub log: PathBuf,
    /// The end of the log.
    pub tail: String,
}

/// The stack does not have the requested part, or does not control it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PartError {
    /// It was neither started nor given.
    #[error("the stack has no {0}: its option is off")]
    Off(&'static str),
    /// It was given by URL.
    #[error("{0} was given by URL: this stack does not control it")]
    Given(&'static str),
}

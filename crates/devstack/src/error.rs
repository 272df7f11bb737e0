use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why the stack, or a part of it, did not start. What had been started is ended again.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// Found before anything was started: all that is missing at once.
    #[error("{}", Missing::list(.0))]
    Missing(Vec<Missing>),
    /// Another process works on the data directory.
    #[error("the data directory {} is in use by process {holder}: end it first, or choose another directory", path.display())]
    DataInUse {
        /// The directory.
        path: PathBuf,
        /// The id of the process that holds it, as that process wrote it down.
        holder: String,
    },
    /// A port that was asked for is taken. Found before anything was started.
    #[error(
        "port {port}, asked for {part}, is in use: end what listens there (`ss -ltnp 'sport = :{port}'` names it) or choose another port"
    )]
    PortInUse {
        /// The part.
        part: &'static str,
        /// The port on 127.0.0.1.
        port: u16,
    },
    /// A file or directory could not be used.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A program that does a step of the preparation failed.
    #[error("{step} failed ({status}); its last lines:\n{tail}")]
    Step {
        /// What the program was to do.
        step: String,
        /// How it ended.
        status: String,
        /// The end of what it wrote.
        tail: String,
    },
    /// A part was started and did not become ready.
    #[error("{part} {reason}; last lines of {}:\n{tail}", log.display())]
    NotReady {
        /// The part.
        part: &'static str,
        /// Whether it ended, or how long was waited.
        reason: String,
        /// Its log. It stays until the next stack with temporary data starts.
        log: PathBuf,
        /// The end of the log.
        tail: String,
    },
    /// The new Postgres cluster did not take a statement of its setup.
    #[error("could not set up the new postgres cluster")]
    PostgresSetup(#[source] sqlx::Error),
    /// The directory cannot be entered by the user that Postgres runs as.
    #[error("postgres runs as user {user}, who cannot enter {}: set AQUEDUCT_CACHE to a directory that every user can enter", path.display())]
    Closed {
        /// The user.
        user: String,
        /// The first directory on the way that is closed.
        path: PathBuf,
    },
    /// The event store did not open its folder.
    #[error("could not start the event store on {}", path.display())]
    EventStore {
        /// Its folder.
        path: PathBuf,
        /// What it said.
        #[source]
        source: aqueduct_devstore::StartError,
    },
    /// The registry's stored schemas cannot be read.
    #[error("{}, line {line}: not a stored schema: {reason}; remove the damaged line, or the file to start afresh", path.display())]
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

    /// Whether a part that looked free had its port taken by somebody else before it listened.
    pub(crate) fn is_port_taken(&self) -> bool {
        match self {
            Self::PortInUse { .. } => true,
            // Java's words, and the C library's.
            Self::NotReady { tail, .. } => tail.contains("Address already in use"),
            _ => false,
        }
    }
}

/// One thing a developer has to install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What is missing, and what for.
    pub what: String,
    /// How to install it.
    pub install: &'static str,
}

impl Missing {
    fn list(missing: &[Self]) -> String {
        let lines: Vec<String> = missing.iter().map(ToString::to_string).collect();
        format!("something has to be installed first (nothing was started):\n{}", lines.join("\n"))
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {}; {}", self.what, self.install)
    }
}

/// A part that had started has ended by itself.
#[derive(Debug, Error)]
#[error("{part} has ended by itself ({status}); last lines of {}:\n{tail}", log.display())]
pub struct EndedError {
    /// The part.
    pub part: &'static str,
    /// How it ended.
    pub status: String,
    /// Its log.
    pub log: PathBuf,
    /// The end of the log.
    pub tail: String,
}

/// A part was asked for that this stack does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PartError {
    /// It was neither started nor given.
    #[error("the stack has no {0}: its option is off")]
    Off(&'static str),
    /// It was given by URL, so it is not this stack's to stop or start.
    #[error("{0} was given by URL: this stack does not control it")]
    Given(&'static str),
}

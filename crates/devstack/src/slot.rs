use std::fmt;

use crate::embedded::Embedded;
use crate::error::PartError;
use crate::options::Part;
use crate::server::Server;

/// A part of a stack, or its absence.
#[derive(Debug)]
pub(crate) enum Slot<T> {
    Off,
    Given(Url),
    Started(T, Url),
}

/// A URL. It may contain a password, so `Debug` does not show it.
pub(crate) struct Url(String);

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl<T> Slot<T> {
    pub(crate) fn started(control: T, url: String) -> Self {
        Self::Started(control, Url(url))
    }

    pub(crate) fn not_started(part: &Part) -> Self {
        match part {
            Part::Given(url) => Self::Given(Url(url.clone())),
            Part::Off | Part::Start { .. } => Self::Off,
        }
    }

    pub(crate) fn url(&self, part: &'static str) -> Result<&str, PartError> {
        match self {
            Self::Off => Err(PartError::Off(part)),
            Self::Given(Url(url)) | Self::Started(_, Url(url)) => Ok(url),
        }
    }

    pub(crate) fn control(&self, part: &'static str) -> Result<&T, PartError> {
        match self {
            Self::Off => Err(PartError::Off(part)),
            Self::Given(_) => Err(PartError::Given(part)),
            Self::Started(control, _) => Ok(control),
        }
    }
}

impl Slot<Server> {
    pub(crate) async fn stop(&self) {
        if let Self::Started(server, _) = self {
            server.stop().await;
        }
    }
}

impl Slot<Embedded> {
    pub(crate) async fn stop(&self) {
        if let Self::Started(embedded, _) = self {
            embedded.stop().await;
        }
    }
}

//! The options of the adapter.

use std::fmt;
use std::time::Duration;

use eventstore::ClientSettings;
use serde::Deserialize;

use crate::connection_string::{self, redact};

/// The connection string of the store, and timeouts.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Connection string, for example `esdb://user:password@host:2113?tls=false`; several hosts, or
    /// `esdb+discover://`, for a cluster. `kurrentdb`, `kurrent` and `kdb` mean the same as `esdb`. Never logged with
    /// its credentials. `discoveryInterval` defaults to 1 ms: the client sleeps that long before each new
    /// connection, even to a single node.
    pub url: String,
    /// How long an append, or each step of a read, may take before it fails with
    /// [`ErrorKind::Retry`](aqueduct_core::ErrorKind), in milliseconds.
    #[serde(default = "default_operation_timeout_ms")]
    pub operation_timeout_ms: u64,
    /// A subscription that has been silent for this long is compared with the end of `$all`. If it is behind and
    /// still silent after the same time again, it is replaced. In milliseconds.
    #[serde(default = "default_silence_check_ms")]
    pub silence_check_ms: u64,
    /// Number of events that a subscription reads ahead of its consumer. They are kept in memory, at most 16 MiB of them or
    /// one event.
    #[serde(default = "default_read_ahead")]
    pub read_ahead: usize,
}

fn default_operation_timeout_ms() -> u64 {
    10_000
}

fn default_silence_check_ms() -> u64 {
    5_000
}

fn default_read_ahead() -> usize {
    512
}

impl Options {
    /// The defaults for a connection string.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            operation_timeout_ms: default_operation_timeout_ms(),
            silence_check_ms: default_silence_check_ms(),
            read_ahead: default_read_ahead(),
        }
    }

    pub(crate) fn operation_timeout(&self) -> Duration {
        Duration::from_millis(self.operation_timeout_ms)
    }

    pub(crate) fn silence_check(&self) -> Duration {
        Duration::from_millis(self.silence_check_ms)
    }

    /// Checks the values and parses the connection string.
    pub(crate) fn settings(&self) -> Result<ClientSettings, OptionsError> {
        for (key, value) in [
            ("operation_timeout_ms", self.operation_timeout_ms),
            ("silence_check_ms", self.silence_check_ms),
            ("read_ahead", self.read_ahead as u64),
        ] {
            if value == 0 {
                return Err(OptionsError::Zero(key));
            }
        }
        let settings: ClientSettings =
            connection_string::for_client(&self.url).parse().map_err(|error| self.wrong_url(&error))?;
        // The client counts reading its settings as an attempt: with 1 it gives up before it connects.
        if settings.max_discover_attempts() < 2 {
            return Err(OptionsError::Url {
                url: redact(&self.url),
                problem: "maxDiscoverAttempts must be at least 2".to_owned(),
            });
        }
        // The client panics on its own task if it cannot read these, which looks like a lost connection.
        let certificate = settings.user_certificate();
        for file in
            settings.tls_ca_file().into_iter().chain(certificate.into_iter().flat_map(|(c, k)| [c, k]))
        {
            std::fs::File::open(file).map_err(|source| OptionsError::File { file: file.clone(), source })?;
        }
        Ok(settings)
    }

    /// The client's own message may quote the whole connection string, so it is passed on only if there are no
    /// credentials in it.
    fn wrong_url(&self, error: &eventstore::ClientSettingsParseError) -> OptionsError {
        let problem = match error.error() {
            Some(cause) => cause.to_string(),
            None if !self.url.contains('@') => error.message().to_owned(),
            None => "it is malformed".to_owned(),
        };
        OptionsError::Url { url: redact(&self.url), problem }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("url", &redact(&self.url))
            .field("operation_timeout_ms", &self.operation_timeout_ms)
            .field("silence_check_ms", &self.silence_check_ms)
            .field("read_ahead", &self.read_ahead)
            .finish()
    }
}

/// The options are invalid.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// Not a connection string.
    #[error(
        "event store: {url} is not a connection string: {problem}; write it like esdb://host:2113?tls=false"
    )]
    Url {
        /// The connection string without its credentials.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A certificate or key named in the connection string.
    #[error(
        "event store: cannot open {file}, which is named in the connection string: check the path and its permissions"
    )]
    File {
        /// Its path.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// A number that must not be zero.
    #[error("event store: {0} must be greater than zero")]
    Zero(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_never_shown() {
        for url in ["esdb://admin:s3cret@host:2113", "admin:s3cret@host", "esdb://admin:s3cr@t/s3cret@host:x"]
        {
            let options = Options::new(url);
            let mut shown = format!("{options:?}");
            match crate::EventStoreDb::new(options) {
                Ok(store) => shown += &format!("{store:?}"),
                Err(error) => shown += &format!("{error} {error:?}"),
            }
            assert!(!shown.contains("s3cr") && shown.contains("***@host"), "{shown}");
        }
    }

    #[test]
    fn invalid_options_are_refused_with_their_name() {
        let problem = |url: &str| Options::new(url).settings().expect_err("refused").to_string();
        assert!(problem("http://host").contains("http://host"), "{}", problem("http://host"));
        assert!(problem("esdb://h?maxDiscoverAttempts=1").contains("maxDiscoverAttempts"));
        assert!(problem("esdb://h?tlsCaFile=/no/such.pem").contains("/no/such.pem"));
        let zero = Options { read_ahead: 0, ..Options::new("esdb://h") };
        assert!(zero.settings().expect_err("refused").to_string().contains("read_ahead"));
    }
}

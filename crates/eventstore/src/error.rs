//! The client's errors as errors of the port.

use aqueduct_core::{ErrorKind, StoreError, StreamDeleted};
use eventstore::Error;
use tonic::Code;

/// The operation, for its error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation<'a> {
    pub(crate) name: &'static str,
    pub(crate) subject: &'a str,
    /// The redacted connection string.
    pub(crate) url: &'a str,
}

impl Operation<'_> {
    /// Maps an error of the client.
    pub(crate) fn failed(self, error: Error) -> StoreError {
        let (kind, problem) = self.judge(&error);
        let source = match error {
            Error::ResourceDeleted => StreamDeleted.into(),
            error => error.into(),
        };
        StoreError { source: Some(source), ..self.error(kind, problem) }
    }

    /// No response within the operation timeout.
    pub(crate) fn timed_out(self) -> StoreError {
        self.error(
            ErrorKind::Retry,
            format!(
                "no response from {} within operation_timeout_ms: check that the server is up, or raise the timeout",
                self.url
            ),
        )
    }

    /// An error that does not come from the client.
    pub(crate) fn error(self, kind: ErrorKind, problem: impl Into<String>) -> StoreError {
        StoreError {
            operation: self.name,
            subject: self.subject.to_owned(),
            problem: problem.into(),
            kind,
            source: None,
        }
    }

    fn judge(self, error: &Error) -> (ErrorKind, String) {
        let url = self.url;
        match error {
            Error::ConnectionClosed | Error::GrpcConnectionError(_) => (
                ErrorKind::Retry,
                format!(
                    "{url} cannot be reached: check that the server is running and the connection string is right"
                ),
            ),
            Error::ServerError(status) => (
                ErrorKind::Retry,
                format!("{url} failed ({}): check the server's log", without_metadata(status)),
            ),
            Error::DeadlineExceeded => (
                ErrorKind::Retry,
                format!("{url} did not finish in time: check its load, or raise operation_timeout_ms"),
            ),
            Error::NotLeaderException(leader) => (
                ErrorKind::Retry,
                format!("the leader of the cluster is now {}:{}", leader.host, leader.port),
            ),
            Error::AccessDenied => (
                ErrorKind::Stop,
                format!("{url} denies access: check user and password, and the $acl of the stream"),
            ),
            Error::ResourceDeleted => (ErrorKind::Park, StreamDeleted.to_string()),
            Error::UnsupportedFeature => (
                ErrorKind::Stop,
                format!(
                    "the server at {url} does not support the operation: use EventStoreDB 23.10 or later"
                ),
            ),
            Error::InitializationError(_) => {
                (ErrorKind::Stop, format!("cannot create a client for {url}: check its TLS settings"))
            }
            Error::Grpc { code: Code::InvalidArgument, message } => {
                (ErrorKind::Park, format!("the server refuses it (InvalidArgument): {message}"))
            }
            Error::Grpc { code: Code::OutOfRange, message } => {
                (ErrorKind::Park, format!("an event is larger than a gRPC message may be: {message}"))
            }
            Error::ResourceNotFound | Error::ResourceAlreadyExists | Error::WrongExpectedVersion { .. } => {
                (ErrorKind::Park, format!("unexpected response: {error}"))
            }
            // Aborted, ResourceExhausted, Cancelled, FailedPrecondition: all of them can be transient.
            Error::Grpc { code, message } => {
                (ErrorKind::Retry, format!("{url} failed ({code:?}: {message}): check the server's log"))
            }
            Error::InternalParsingError(_) | Error::InternalClientError | Error::IllegalStateError(_) => {
                (ErrorKind::Retry, format!("the client of {url} failed: {error}"))
            }
        }
    }
}

/// The client keeps such a status as text only, with all of its metadata.
fn without_metadata(status: &str) -> &str {
    status.split_once(", details: ").map_or(status, |(code_and_message, _)| code_and_message)
}

/// Whether the server cut a live subscription because the consumer did not read 32 events fast enough. That is its
/// flow control: nothing is lost, and a new subscription continues after the last event.
pub(crate) fn is_consumer_too_slow(error: &Error) -> bool {
    matches!(error, Error::Grpc { code: Code::Aborted, message } if message.contains("Consumer too slow"))
}

//! What the client's errors mean to a caller.

use aqueduct_core::{ErrorKind, StoreError, StreamDeleted};
use eventstore::Error;
use tonic::Code;

/// What was being done, for the error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation<'a> {
    pub(crate) name: &'static str,
    pub(crate) subject: &'a str,
    /// The connection string as it may be shown.
    pub(crate) url: &'a str,
}

impl Operation<'_> {
    /// The client's error as the port's.
    pub(crate) fn failed(self, error: Error) -> StoreError {
        let (kind, problem) = self.judge(&error);
        let source = match error {
            Error::ResourceDeleted => StreamDeleted.into(),
            error => error.into(),
        };
        StoreError { source: Some(source), ..self.error(kind, problem) }
    }

    /// No answer within the time that was set.
    pub(crate) fn timed_out(self) -> StoreError {
        self.error(
            ErrorKind::Retry,
            format!(
                "no answer from {} in time: is the server up, or should operation_timeout_ms be longer?",
                self.url
            ),
        )
    }

    /// An error that the client knows nothing of.
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
                format!("{url} can't be reached: is the server running, and the connection string right?"),
            ),
            Error::ServerError(_) => (ErrorKind::Retry, format!("the connection to {url} broke")),
            Error::DeadlineExceeded => (ErrorKind::Retry, format!("{url} gave up: the deadline was reached")),
            Error::NotLeaderException(leader) => {
                (ErrorKind::Retry, format!("the leader is now {}:{}", leader.host, leader.port))
            }
            Error::AccessDenied => (
                ErrorKind::Stop,
                format!("{url} denies access: check user and password, and the $acl of the stream"),
            ),
            Error::ResourceDeleted => (ErrorKind::Park, StreamDeleted.to_string()),
            Error::UnsupportedFeature => (
                ErrorKind::Stop,
                format!(
                    "the server at {url} does not know the operation: is it EventStoreDB 23.10 or later?"
                ),
            ),
            Error::InitializationError(_) => {
                (ErrorKind::Stop, format!("no client could be made for {url}: check its TLS settings"))
            }
            Error::Grpc { code: Code::InvalidArgument, message } => {
                (ErrorKind::Park, format!("the server refuses it: {message}"))
            }
            Error::Grpc { code: Code::OutOfRange, message } => {
                (ErrorKind::Park, format!("an event is larger than gRPC lets through: {message}"))
            }
            Error::ResourceNotFound | Error::ResourceAlreadyExists | Error::WrongExpectedVersion { .. } => {
                (ErrorKind::Park, "an answer that does not belong to the operation".to_owned())
            }
            // Aborted ("consumer too slow"), ResourceExhausted, Cancelled …: all of them may pass.
            Error::Grpc { .. }
            | Error::InternalParsingError(_)
            | Error::InternalClientError
            | Error::IllegalStateError(_) => (ErrorKind::Retry, format!("{url} or its client failed")),
        }
    }
}

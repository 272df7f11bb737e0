//! Kinds of errors, and errors as text.

/// What the caller of a failed operation should do. Every error type of the product has a method `kind()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// A transient error of the environment: retry with backoff.
    Retry,
    /// A permanent error of this event or command: park it with the later events of its stream, or return the error to
    /// the caller.
    Park,
    /// An error of the configuration, such as a missing schema or a refused login: stop and report it.
    Stop,
}

/// An error followed by its causes, on one line, for places that store or show only text. A cause that the text already
/// contains is not repeated: some libraries put it into their own text as well.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Failed {
        text: &'static str,
        source: Option<Box<Failed>>,
    }

    #[test]
    fn a_cause_that_the_text_contains_is_not_repeated() {
        let cause = Failed { text: "connection refused", source: None };
        let repeated = Failed { text: "io: connection refused", source: Some(Box::new(cause)) };
        let error = Failed { text: "the query failed", source: Some(Box::new(repeated)) };
        assert_eq!(with_causes(&error), "the query failed: io: connection refused");
    }
}

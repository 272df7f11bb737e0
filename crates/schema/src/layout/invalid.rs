//! Why a schema is refused.

/// What is wrong with a schema, and where in it.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub(crate) struct InvalidSchema {
    place: String,
    problem: String,
}

impl InvalidSchema {
    pub(crate) fn new(place: &str, problem: impl Into<String>) -> Self {
        Self { place: place.to_owned(), problem: problem.into() }
    }
}

//! Why a value does not go with a type, and where.

use std::fmt;

use crate::mapping::json::Json;

/// A problem and the path to it, `lines[2].unitPrice`. The path is put together on the way out of the walk,
/// so that a value that fits costs nothing.
#[derive(Debug)]
pub(crate) struct Mismatch {
    /// Innermost first.
    path: Vec<Step>,
    problem: String,
}

#[derive(Debug)]
enum Step {
    Field(String),
    Item(usize),
    Key(String),
}

impl Mismatch {
    pub(crate) fn new(problem: impl Into<String>) -> Self {
        Self { path: Vec::new(), problem: problem.into() }
    }

    /// The JSON is of another kind than is needed.
    pub(crate) fn expected(what: &str, json: &Json<'_>) -> Self {
        Self::new(format!("expected {what}, found {}", json.kind().name()))
    }

    pub(crate) fn in_field(mut self, name: &str) -> Self {
        self.path.push(Step::Field(name.to_owned()));
        self
    }

    pub(crate) fn in_item(mut self, index: usize) -> Self {
        self.path.push(Step::Item(index));
        self
    }

    pub(crate) fn in_key(mut self, key: &str) -> Self {
        self.path.push(Step::Key(key.to_owned()));
        self
    }
}

impl Mismatch {
    /// The path, with the keys of maps, which are values of the data, left out. `None` where the value as a whole
    /// does not fit.
    pub(crate) fn place(&self) -> Option<String> {
        let mut place = String::new();
        for step in self.path.iter().rev() {
            match step {
                Step::Field(name) if place.is_empty() => place.push_str(name),
                Step::Field(name) => {
                    place.push('.');
                    place.push_str(name);
                }
                Step::Item(index) => place.push_str(&format!("[{index}]")),
                Step::Key(_) => place.push_str("[…]"),
            }
        }
        (!place.is_empty()).then_some(place)
    }
}

impl std::error::Error for Mismatch {}

impl serde::de::Error for Mismatch {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Self::new(problem.to_string())
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, step) in self.path.iter().rev().enumerate() {
            match step {
                Step::Field(name) if n == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Item(index) => write!(f, "[{index}]")?,
                Step::Key(key) => write!(f, "[{key:?}]")?,
            }
        }
        let separator = if self.path.is_empty() { "" } else { ": " };
        write!(f, "{separator}{}", self.problem)
    }
}

/// Enough of a text to recognise it in an error.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

//! What the parts of a walk through a statement share.

use aqueduct_schema::JsonPlace;

use crate::sql::paths::PathProblem;
use crate::sql::paths::scope::{Scope, Value};
use crate::sql::token_view::TokenView;

/// Walks through a statement. `expression.rs`, `query.rs` and `sources.rs` hold its parts.
pub(crate) struct Walker<'t, 's> {
    pub(crate) tokens: TokenView<'t>,
    pub(crate) event: JsonPlace<'s>,
    problems: Vec<PathProblem>,
}

impl<'t, 's> Walker<'t, 's> {
    pub(crate) fn walk(text: &'t str, event: JsonPlace<'s>) -> Vec<PathProblem> {
        let Some(tokens) = TokenView::new(text) else {
            let problem = "its parentheses do not match or are nested too deep".to_owned();
            return vec![PathProblem { at: 0, problem, is_error: false }];
        };
        let mut walker = Self { tokens, event, problems: Vec::new() };
        walker.query(0..walker.tokens.len(), &Scope::default());
        walker.problems
    }

    /// A field does not exist. Nothing more is said of what is read from it.
    pub(crate) fn refuse(&mut self, at: usize, problem: String) -> Value<'s> {
        self.add(at, problem, true);
        Value::Other
    }

    /// It is not known which fields are read.
    pub(crate) fn lose(&mut self, at: usize, problem: String) -> Value<'s> {
        self.add(at, problem, false);
        Value::Lost
    }

    fn add(&mut self, at: usize, problem: String, is_error: bool) {
        let at = self.tokens.byte(at);
        self.problems.push(PathProblem { at, problem, is_error });
    }
}

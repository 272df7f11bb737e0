//! Upcast rules: expressions in CEL's syntax, with types and a budget of our own.
//!
//! A rule is parsed, checked against the older version's schema and made into a tree of [`Node`]s when the schemas are
//! loaded. What was accepted does not fail by a type: only values can be wrong.

mod answer;
mod apply;
mod calculate;
mod check;
mod eval;
mod facts;
mod fit;
mod functions;
mod node;
mod parse;

mod types;

pub(crate) use parse::on_parser_stack;

use check::{Checker, EVENT_VARIABLE, OLD_VARIABLE};
use eval::Evaluation;
use facts::Facts;
use fit::Fitter;
use node::Node;

use crate::layout::shape::Shape;
use crate::layout::types::Layout;
use crate::mapping::mismatch::Mismatch;
use crate::upcast::budget::Budget;
use crate::upcast::value::Value;

/// The version of the rules' language: the functions, operators and types that rules may use. It grows with each
/// function that is added.
pub const RULE_LANGUAGE_VERSION: u32 = 1;

/// A rule that was checked.
#[derive(Debug)]
pub(crate) struct Rule {
    node: Node,
    /// Whether its result is a value of the field's type as it is.
    is_same: bool,
}

/// The field that a rule makes.
pub(crate) struct Target<'a> {
    /// What the records in the rule's result are of.
    pub(crate) old: &'a Layout,
    pub(crate) new: &'a Layout,
    pub(crate) shape: &'a Shape,
}

impl Rule {
    /// Checks the rule of a field that has the shape in the `new` layout, in a record that is made of the old layout's
    /// `record`. An error says what is wrong, and where in the rule.
    pub(crate) fn compile(
        text: &str,
        old: &Layout,
        record: usize,
        new: &Layout,
        shape: &Shape,
    ) -> Result<Self, String> {
        let (expression, source) = parse::parse(text)?;
        let checked = Checker::new(old, record, &source).check(&expression, &Facts::default());
        let (node, of) = checked.map_err(|refusal| match refusal.at {
            Some(at) => format!("{} (at character {at})", refusal.problem),
            None => refusal.problem,
        })?;
        if !fit::fits(old, new, &of, shape) {
            return Err(format!("gives {}, which does not fit {}", of.describe(old), shape.describe()));
        }
        Ok(Self { node, is_same: fit::is_same(&of, shape) })
    }

    /// The value of the field. An error says what is wrong with the value that the rule gives.
    pub(crate) fn run<'a>(
        &'a self,
        target: Target<'a>,
        [old, event]: [Value<'a>; 2],
        budget: &Budget<'a>,
    ) -> Result<Value<'a>, Mismatch> {
        let mut variables = Vec::with_capacity(4);
        variables.resize(2, Value::Null);
        variables[OLD_VARIABLE] = old;
        variables[EVENT_VARIABLE] = event;
        let result = Evaluation { budget, variables }.value(&self.node);
        let value = result.map_err(|error| Mismatch::new(format!("its upcast rule failed: {error}")))?;
        if self.is_same {
            return Ok(value);
        }
        let Target { old, new, shape } = target;
        Fitter { old, new, budget }.fit(shape, value, 0)
    }
}

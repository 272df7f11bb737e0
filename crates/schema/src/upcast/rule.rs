//! One upcast rule: a CEL expression, checked and compiled when the schemas are loaded.

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::{Context, Env, Program};
use serde_json::Value;

use super::functions;
use super::values::from_cel;
use crate::limits::MAX_RULE_BYTES;
use crate::mismatch::Mismatch;

/// The enclosing record of the older version.
pub(crate) const OLD: &str = "old";
/// The whole event of the older version.
pub(crate) const EVENT: &str = "event";

#[derive(Debug)]
pub(crate) struct Rule {
    program: Program,
    pub(crate) sees_old: bool,
    pub(crate) sees_event: bool,
    /// Nodes of the expression.
    pub(crate) nodes: u64,
    /// Whether its cost grows with the event.
    pub(crate) walks: bool,
}

impl Rule {
    pub(crate) fn compile(env: &Env, text: &str) -> Result<Self, String> {
        if text.len() > MAX_RULE_BYTES {
            return Err(format!("is longer than {MAX_RULE_BYTES} bytes"));
        }
        let program = env.compile(text).map_err(|error| format!("does not parse: {error}"))?;
        let mut survey = Survey::default();
        survey.visit(program.expression(), &mut Vec::new())?;
        let Survey { sees_old, sees_event, nodes, walks } = survey;
        Ok(Self { program, sees_old, sees_event, nodes, walks })
    }

    pub(crate) fn run(&self, context: &Context<'_, '_>) -> Result<Value, Mismatch> {
        let answer = self.program.execute(context).map_err(|error| error.to_string());
        let json = answer.and_then(|value| from_cel(&value));
        json.map_err(|problem| Mismatch::new(format!("its upcast rule failed: {problem}")))
    }
}

#[derive(Default)]
struct Survey {
    sees_old: bool,
    sees_event: bool,
    nodes: u64,
    walks: bool,
}

impl Survey {
    /// `bound` are the variables of the comprehensions around the expression.
    fn visit<'e>(&mut self, expression: &'e IdedExpr, bound: &mut Vec<&'e str>) -> Result<(), String> {
        self.nodes += 1;
        match &expression.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.variable(name, bound),
            Expr::Select(select) => self.visit(&select.operand, bound),
            Expr::List(list) => list.elements.iter().try_for_each(|element| self.visit(element, bound)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| self.entry(&entry.expr, bound)),
            Expr::Struct(_) => Err("makes a CEL struct; write a map".to_owned()),
            Expr::Call(call) => {
                if !functions::is_known(&call.func_name) {
                    return Err(format!("calls {}, which rules do not have", call.func_name));
                }
                if functions::walks(&call.func_name) {
                    self.walk(bound, &call.func_name)?;
                }
                let target = call.target.iter().map(AsRef::as_ref);
                target.chain(&call.args).try_for_each(|argument| self.visit(argument, bound))
            }
            Expr::Comprehension(comprehension) => {
                self.walk(bound, "a macro over a list")?;
                self.visit(&comprehension.iter_range, bound)?;
                self.visit(&comprehension.accu_init, bound)?;
                let depth = bound.len();
                bound.extend([comprehension.iter_var.as_str(), comprehension.accu_var.as_str()]);
                bound.extend(comprehension.iter_var2.as_deref());
                for part in [&comprehension.loop_cond, &comprehension.loop_step, &comprehension.result] {
                    self.visit(part, bound)?;
                }
                bound.truncate(depth);
                Ok(())
            }
        }
    }

    fn entry<'e>(&mut self, entry: &'e EntryExpr, bound: &mut Vec<&'e str>) -> Result<(), String> {
        match entry {
            EntryExpr::MapEntry(entry) => {
                self.visit(&entry.key, bound)?;
                self.visit(&entry.value, bound)
            }
            EntryExpr::StructField(field) => self.visit(&field.value, bound),
        }
    }

    fn variable(&mut self, name: &str, bound: &[&str]) -> Result<(), String> {
        match name {
            _ if bound.contains(&name) => {}
            OLD => self.sees_old = true,
            EVENT => self.sees_event = true,
            _ => return Err(format!("refers to {name}; there are only {OLD} and {EVENT}")),
        }
        Ok(())
    }

    fn walk(&mut self, bound: &[&str], what: &str) -> Result<(), String> {
        self.walks = true;
        // A macro's own step appends to its result by _+_ and compares its condition by operators.
        let by_operator = !what.starts_with(|first: char| first.is_ascii_alphabetic());
        match bound.is_empty() || by_operator {
            true => Ok(()),
            false => Err(format!("has {what} within a macro over a list, whose cost can't be bounded")),
        }
    }
}

//! One upcast rule: a CEL expression, checked and compiled when the schemas are loaded.

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, operators};
use cel::{Context, Env, Program};
use serde_json::Value;

use super::functions;
use super::values::from_cel;
use crate::limits::{MAX_RULE_BYTES, MAX_RULE_DEPTH};
use crate::mapping::mismatch::Mismatch;

/// The enclosing record of the older version.
pub(crate) const OLD: &str = "old";
/// The whole event of the older version.
pub(crate) const EVENT: &str = "event";

/// The parser takes up to 170 KiB of stack for a bracket (measured without optimisation) and gives up at 96 of
/// them, unless it has run out of stack before: twelve are too many for an ordinary thread.
const PARSER_STACK: usize = 64 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Rule {
    program: Program,
    pub(crate) sees_old: bool,
    pub(crate) sees_event: bool,
    /// Nodes of the expression.
    pub(crate) nodes: u64,
    /// How its cost grows with the size of what it sees: 0 not at all, 1 in proportion, 2 with the square.
    pub(crate) growth: u32,
}

impl Rule {
    pub(crate) fn compile(env: &Env, text: &str) -> Result<Self, String> {
        if text.len() > MAX_RULE_BYTES {
            return Err(format!("is longer than {MAX_RULE_BYTES} bytes"));
        }
        let program = parse(env, text)?;
        let mut survey = Survey::default();
        survey.visit(program.expression(), &mut Vec::new())?;
        let Survey { sees_old, sees_event, nodes, growth, depth: _ } = survey;
        Ok(Self { program, sees_old, sees_event, nodes, growth })
    }

    pub(crate) fn run(&self, context: &Context<'_, '_>) -> Result<Value, Mismatch> {
        let answer = self.program.execute(context).map_err(|error| error.to_string());
        let json = answer.and_then(|value| from_cel(&value));
        json.map_err(|problem| Mismatch::new(format!("its upcast rule failed: {problem}")))
    }
}

fn parse(env: &Env, text: &str) -> Result<Program, String> {
    let parse = || env.compile(text).map_err(|error| format!("does not parse: {error}"));
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(PARSER_STACK).spawn_scoped(scope, parse);
        let thread = thread.map_err(|error| format!("has no thread to be parsed in: {error}"))?;
        thread.join().unwrap_or_else(|_| Err("makes its parser panic".to_owned()))
    })
}

#[derive(Default)]
struct Survey {
    sees_old: bool,
    sees_event: bool,
    nodes: u64,
    growth: u32,
    /// Of the current node.
    depth: usize,
}

impl Survey {
    /// `bound` are the variables of the comprehensions around the expression.
    fn visit<'e>(&mut self, expression: &'e IdedExpr, bound: &mut Vec<&'e str>) -> Result<(), String> {
        self.nodes += 1;
        self.depth += 1;
        if self.depth > MAX_RULE_DEPTH {
            return Err(format!("is nested deeper than {MAX_RULE_DEPTH}"));
        }
        self.node(expression, bound)?;
        self.depth -= 1;
        Ok(())
    }

    fn node<'e>(&mut self, expression: &'e IdedExpr, bound: &mut Vec<&'e str>) -> Result<(), String> {
        match &expression.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.variable(name, bound),
            Expr::Select(select) => self.visit(&select.operand, bound),
            Expr::List(list) => list.elements.iter().try_for_each(|element| self.visit(element, bound)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| self.entry(&entry.expr, bound)),
            Expr::Struct(_) => Err("makes a CEL struct; write a map".to_owned()),
            Expr::Call(call) => {
                if !functions::is_known(&call.func_name) {
                    return Err(format!("calls {}, which is not a function of rules", call.func_name));
                }
                if functions::walks(&call.func_name) && !appends_to_result(call, bound) {
                    // Within a macro, what belongs to the current item adds up to the list's size in the end;
                    // what is outside of it is walked again for each item.
                    let outer = !bound.is_empty() && mentions_outer(expression);
                    self.growth = self.growth.max(if outer { 2 } else { 1 });
                }
                let target = call.target.iter().map(AsRef::as_ref);
                target.chain(&call.args).try_for_each(|argument| self.visit(argument, bound))
            }
            Expr::Comprehension(comprehension) => {
                if !bound.is_empty() {
                    return Err(
                        "has a macro over a list within another, whose cost cannot be bounded".to_owned()
                    );
                }
                self.growth = self.growth.max(1);
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
}

/// Whether it is the step by which a macro gathers its result, which moves the list and does not copy it.
fn appends_to_result(call: &CallExpr, bound: &[&str]) -> bool {
    let to = call.args.first().map(|argument| &argument.expr);
    call.func_name == operators::ADD
        && matches!(to, Some(Expr::Ident(name)) if bound.contains(&name.as_str()))
}

fn mentions_outer(expression: &IdedExpr) -> bool {
    let references = expression.references();
    references.has_variable(OLD) || references.has_variable(EVENT)
}

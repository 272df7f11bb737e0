//! Runs the plan of one step on an event.

use std::sync::Arc;

use cel::{Context, Env};
use serde_json::{Map, Value};

use super::plan::{Plan, Plans, RecordPlan, Source, plan};
use super::rule::{EVENT, OLD, Rule};
use super::values::{branch_of, to_cel};
use crate::layout::invalid::InvalidSchema;
use crate::layout::shape::Shape;
use crate::layout::types::Layout;
use crate::limits::MAX_RULE_COST;
use crate::mapping::json::Json;
use crate::mapping::mismatch::Mismatch;
use crate::mapping::{number, text};

/// Takes an event from one version to the next.
#[derive(Debug)]
pub(crate) struct UpcastStep {
    env: Environment,
    plans: Plans,
    /// Whether any rule needs the whole event as a CEL value.
    sees_event: bool,
}

/// [`Env`] has no `Debug`.
struct Environment(Arc<Env>);

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Env")
    }
}

impl UpcastStep {
    pub(crate) fn new(env: &Arc<Env>, old: &Layout, new: &Layout) -> Result<Self, InvalidSchema> {
        let plans = plan(env, old, new)?;
        let sees_event = rules(&plans).any(|(_, rule)| rule.sees_event);
        Ok(Self { env: Environment(Arc::clone(env)), plans, sees_event })
    }

    /// `event` must fit `old` and be in canonical form; `bytes` is its size. What comes out still
    /// must be checked: a rule can return anything.
    pub(crate) fn run(&self, old: &Layout, event: &Value, bytes: usize) -> Result<Value, Mismatch> {
        self.check_cost(bytes)?;
        let mut context = Context::with_env(Arc::clone(&self.env.0));
        if self.sees_event {
            context.add_variable_as_val(EVENT, to_cel(old, &Shape::Record(Layout::EVENT), event));
        }
        Run { old, plans: &self.plans, context: &context }.record(&self.plans.records[0], event)
    }

    fn check_cost(&self, bytes: usize) -> Result<(), Mismatch> {
        let size = bytes as u64;
        let cost = rules(&self.plans).fold(0_u64, |cost, (nested, rule)| {
            let growth = match (nested, rule.sees_event) {
                (false, _) => rule.growth,
                (true, true) => rule.growth + 1,
                // The old records that the rule sees are parts of the event: their sizes add up to it.
                (true, false) => rule.growth.max(1),
            };
            cost.saturating_add(rule.nodes.saturating_mul(size.saturating_pow(growth)))
        });
        if cost > MAX_RULE_COST {
            Err(Mismatch::new(format!("its upcast rules are too costly for {bytes} bytes")))
        } else {
            Ok(())
        }
    }
}

/// Every rule, and whether it is in a record that may occur many times.
fn rules(plans: &Plans) -> impl Iterator<Item = (bool, &Rule)> {
    plans.records.iter().enumerate().flat_map(|(index, record)| {
        record.fields.iter().filter_map(move |(_, source)| match source {
            Source::Rule(rule) => Some((index != 0, rule)),
            _ => None,
        })
    })
}

struct Run<'r> {
    old: &'r Layout,
    plans: &'r Plans,
    context: &'r Context<'r, 'r>,
}

impl<'r> Run<'r> {
    fn record(&self, plan: &RecordPlan, old: &'r Value) -> Result<Value, Mismatch> {
        let object = old.as_object().ok_or_else(|| Mismatch::expected("an object", &Json::from(old)))?;
        let mut scope = self.context.new_inner_scope();
        if plan.fields.iter().any(|(_, source)| matches!(source, Source::Rule(rule) if rule.sees_old)) {
            scope.add_variable_as_val(OLD, to_cel(self.old, &Shape::Record(plan.old), old));
        }
        let mut new = Map::new();
        for (name, source) in &plan.fields {
            let value = match source {
                Source::Old { name, plan } => match object.get(name) {
                    Some(value) => self.value(plan, value),
                    None => Err(Mismatch::new("missing")),
                },
                Source::Default(json) => Ok(json.clone()),
                Source::Rule(rule) => rule.run(&scope),
            };
            new.insert(name.clone(), value.map_err(|mismatch| mismatch.in_field(name))?);
        }
        Ok(Value::Object(new))
    }

    fn value(&self, plan: &Plan, old: &'r Value) -> Result<Value, Mismatch> {
        match (plan, old) {
            (Plan::Record(index), _) => self.record(&self.plans.records[*index], old),
            (Plan::Array(plan), Value::Array(items)) => {
                let items = items.iter().enumerate();
                items.map(|(n, item)| self.value(plan, item).map_err(|error| error.in_item(n))).collect()
            }
            (Plan::Map(plan), Value::Object(entries)) => {
                let mut new = Map::new();
                for (key, value) in entries {
                    let value = self.value(plan, value).map_err(|error| error.in_key(key))?;
                    new.insert(key.clone(), value);
                }
                Ok(Value::Object(new))
            }
            (Plan::Union(union, plans), _) => {
                let plan = branch_of(union, old).and_then(|branch| plans.get(branch));
                self.value(plan.unwrap_or(&Plan::Keep), old)
            }
            (Plan::ToNumber { takes_text }, Value::String(text)) => match text.parse::<i64>() {
                Ok(number) => Ok(number.into()),
                Err(_) if *takes_text => {
                    Err(Mismatch::new(format!("{text} cannot be told apart from text in the newer union")))
                }
                Err(_) => Ok(old.clone()),
            },
            (Plan::Enum(an_enum), Value::String(symbol)) if !an_enum.symbols.contains(symbol) => {
                Ok(an_enum.default.clone().into())
            }
            (Plan::ToFloat, _) => Ok(number::double_to_json(number::long(&Json::from(old))? as f64)),
            (Plan::StringToBytes, Value::String(text)) => Ok(text::bytes_text(text.as_bytes()).into()),
            (Plan::BytesToString, _) => match String::from_utf8(text::bytes(&Json::from(old))?) {
                Ok(text) => Ok(text.into()),
                Err(error) => Err(Mismatch::new(format!("bytes that are not UTF-8 text: {error}"))),
            },
            (_, old) => Ok(old.clone()),
        }
    }
}

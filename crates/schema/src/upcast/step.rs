//! Runs the plan of one step on an event.

use crate::layout::invalid::InvalidSchema;
use crate::layout::types::Layout;
use crate::mapping::mismatch::Mismatch;
use crate::mapping::number;
use crate::upcast::budget::Budget;
use crate::upcast::plan::{Plan, Plans, RecordPlan, Source, plan};
use crate::upcast::read::read_default;
use crate::upcast::rule::Target;
use crate::upcast::value::{Entry, Value};

/// Takes an event from one version to the next.
#[derive(Debug)]
pub(crate) struct UpcastStep {
    plans: Plans,
}

impl UpcastStep {
    pub(crate) fn new(old: &Layout, new: &Layout) -> Result<Self, InvalidSchema> {
        Ok(Self { plans: plan(old, new)? })
    }

    /// An event of the newer version, made of one of the older version.
    pub(super) fn run<'a>(
        &'a self,
        old: &'a Layout,
        new: &'a Layout,
        event: &'a [Value<'a>],
        budget: &Budget<'a>,
    ) -> Result<&'a [Value<'a>], Mismatch> {
        let whole = Value::Record(event, Layout::EVENT as u32);
        let run = Run { old, new, plans: &self.plans, event: whole, budget };
        match self.plans.records.first() {
            Some(plan) => run.record(plan, whole, event),
            None => Ok(event),
        }
    }
}

struct Run<'a, 'b> {
    old: &'a Layout,
    new: &'a Layout,
    plans: &'a Plans,
    event: Value<'a>,
    budget: &'b Budget<'a>,
}

// The depth of the recursion is bounded by that of the event.
impl<'a> Run<'a, '_> {
    /// `whole` is the older record, and `old` its fields.
    fn record(
        &self,
        plan: &'a RecordPlan,
        whole: Value<'a>,
        old: &'a [Value<'a>],
    ) -> Result<&'a [Value<'a>], Mismatch> {
        let of = &self.new.records[plan.new];
        let fields = self.budget.many(of.fields.len(), Value::Null)?;
        for ((value, source), field) in fields.iter_mut().zip(&plan.fields).zip(&of.fields) {
            let made = match source {
                Source::Old(position, plan) => match old.get(*position) {
                    Some(value) => self.value(plan, *value),
                    None => Err(Mismatch::new("missing")),
                },
                // A field with a rule has no use for the default.
                Source::Default => match &field.default {
                    Some(default) => read_default(self.new, &field.shape, default, self.budget),
                    None => Err(Mismatch::new("missing")),
                },
                Source::Rule(rule) => {
                    let target = Target { old: self.old, new: self.new, shape: &field.shape };
                    rule.run(target, [whole, self.event], self.budget)
                }
            };
            *value = made.map_err(|mismatch| mismatch.in_field(&field.name))?;
        }
        Ok(fields)
    }

    fn value(&self, plan: &'a Plan, old: Value<'a>) -> Result<Value<'a>, Mismatch> {
        Ok(match (plan, old) {
            (Plan::Record(plan), Value::Record(fields, _)) => {
                let plan = &self.plans.records[*plan];
                Value::Record(self.record(plan, old, fields)?, plan.new as u32)
            }
            (Plan::Array(plan), Value::List(items)) => {
                let new = self.budget.many(items.len(), Value::Null)?;
                for (index, (new, item)) in new.iter_mut().zip(items).enumerate() {
                    *new = self.value(plan, *item).map_err(|error| error.in_item(index))?;
                }
                Value::List(new)
            }
            (Plan::Map(plan), Value::Map(entries)) => {
                let new: &mut [Entry<'a>] = self.budget.many(entries.len(), ("", Value::Null))?;
                for (new, (key, value)) in new.iter_mut().zip(entries) {
                    *new = (key, self.value(plan, *value).map_err(|error| error.in_key(key))?);
                }
                Value::Map(new)
            }
            (Plan::Union(union, plans), old) => {
                let branch = union.branch_of(old.json_kind(), false);
                match branch.and_then(|branch| plans.get(branch)) {
                    Some(plan) => self.value(plan, old)?,
                    None => old,
                }
            }
            (Plan::Among(union, plan), old) => self.value(plan, old)?.among(union)?,
            (Plan::Enum(of), Value::Text(symbol)) if !of.symbols.iter().any(|known| known == symbol) => {
                Value::Text(of.default.as_deref().unwrap_or_default())
            }
            (Plan::ToDouble, Value::Int(number)) => Value::Double(number as f64),
            (Plan::ToFloat, Value::Int(number)) => Value::Double(number::widened(number as f32)),
            #[expect(clippy::cast_possible_truncation, reason = "it is a float")]
            (Plan::FloatToDouble, Value::Double(number)) => Value::Double(f64::from(number as f32)),
            (Plan::StringToBytes, Value::Text(text)) => Value::Bytes(text.as_bytes()),
            (Plan::BytesToString, Value::Bytes(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => Value::Text(text),
                Err(error) => return Err(Mismatch::new(format!("bytes that are not UTF-8 text: {error}"))),
            },
            (_, old) => old,
        })
    }
}

//! Evaluates a checked rule. A wrong type here is a fault of the checker, and an error of the event.

use std::cmp::Ordering;

use super::answer::{Answer, wrong_type};
use super::node::{Comparison, Loop, LoopKind, Node, Part};
use super::{apply, calculate};
use crate::mapping::decimal::Decimal;
use crate::mapping::mismatch::Mismatch;
use crate::upcast::budget::Budget;
use crate::upcast::value::{Entry, Value};

/// An evaluation of a rule: its variables.
pub(super) struct Evaluation<'a, 'b> {
    pub(super) budget: &'b Budget<'a>,
    /// `old` and `event` first, then those of the macros around the expression.
    pub(super) variables: Vec<Value<'a>>,
}

impl<'a> Evaluation<'a, '_> {
    // The depth of the recursion is bounded by that of the rule.
    pub(super) fn value(&mut self, node: &'a Node) -> Answer<'a> {
        self.budget.node()?;
        Ok(match node {
            Node::Null => Value::Null,
            Node::Bool(flag) => Value::Bool(*flag),
            Node::Int(number) => Value::Int(*number),
            Node::Double(number) => Value::Double(*number),
            Node::Text(text) => Value::Text(text),
            Node::Bytes(bytes) => Value::Bytes(bytes),
            Node::Variable(index) => self.variables.get(*index).copied().ok_or_else(wrong_type)?,
            Node::Field(operand, index) => match self.value(operand)? {
                Value::Record(fields, _) => fields.get(*index).copied().ok_or_else(wrong_type)?,
                _ => return Err(wrong_type()),
            },
            Node::Member(operand, key) => {
                let map = self.value(operand)?;
                member(map, key, self.budget)?.ok_or_else(|| no_such_key(key))?
            }
            Node::HasMember(operand, key) => {
                let map = self.value(operand)?;
                Value::Bool(member(map, key, self.budget)?.is_some())
            }
            Node::IsNull(operand) => Value::Bool(matches!(self.value(operand)?, Value::Null)),
            Node::IsOfType(operand, name) => Value::Bool(apply::is_of_type(self.value(operand)?, *name)),
            Node::Index(operand, index) => {
                let (operand, index) = (self.value(operand)?, self.value(index)?);
                self.index(operand, index)?
            }
            Node::List(nodes) => {
                let list = self.budget.many(nodes.len(), Value::Null)?;
                for (item, node) in list.iter_mut().zip(nodes) {
                    *item = self.value(node)?;
                }
                Value::List(list)
            }
            Node::Map(nodes) => self.map(nodes)?,
            Node::Not(operand) => Value::Bool(!self.condition(operand)?),
            Node::And(one, other) => Value::Bool(self.condition(one)? && self.condition(other)?),
            Node::Or(one, other) => Value::Bool(self.condition(one)? || self.condition(other)?),
            Node::Choice(parts) => {
                let [condition, then, otherwise] = &**parts;
                let chosen = if self.condition(condition)? { then } else { otherwise };
                self.value(chosen)?
            }
            Node::Negate(operand) => {
                let operand = self.value(operand)?;
                calculate::negate(operand, self.budget)?
            }
            Node::Calculate(operator, operands) => {
                let [one, other] = self.both(operands)?;
                calculate::calculate(*operator, one, other, self.budget)?
            }
            Node::Compare(comparison, operands) => {
                let [one, other] = self.both(operands)?;
                Value::Bool(self.compare(*comparison, one, other)?)
            }
            Node::In(operands) => {
                let [item, list] = self.both(operands)?;
                Value::Bool(self.contains(item, list)?)
            }
            Node::Call(function, nodes) => {
                let mut arguments = [Value::Null; 3];
                for (argument, node) in arguments.iter_mut().zip(nodes) {
                    *argument = self.value(node)?;
                }
                apply::apply(*function, arguments, self.budget)?
            }
            Node::Json(text, name) => {
                let text = self.value(text)?;
                apply::json(text, *name, self.budget)?
            }
            Node::SumProduct(list, parts) => {
                let list = self.value(list)?;
                self.sum_product(list, parts)?
            }
            Node::Loop(of) => self.run(of)?,
        })
    }

    fn both(&mut self, operands: &'a [Node; 2]) -> Result<[Value<'a>; 2], Mismatch> {
        let [one, other] = operands;
        Ok([self.value(one)?, self.value(other)?])
    }

    fn condition(&mut self, node: &'a Node) -> Result<bool, Mismatch> {
        match self.value(node)? {
            Value::Bool(flag) => Ok(flag),
            _ => Err(wrong_type()),
        }
    }

    fn index(&self, operand: Value<'a>, index: Value<'a>) -> Answer<'a> {
        match (operand, index) {
            (Value::List(list), Value::Int(index)) => {
                let item = usize::try_from(index).ok().and_then(|index| list.get(index));
                let length = list.len();
                item.copied()
                    .ok_or_else(|| Mismatch::new(format!("the list has {length} items, and no item {index}")))
            }
            (map, key) => {
                let key = key.text(self.budget)?.ok_or_else(wrong_type)?;
                member(map, key, self.budget)?.ok_or_else(|| no_such_key(key))
            }
        }
    }

    fn map(&mut self, nodes: &'a [(Node, Node)]) -> Answer<'a> {
        let entries: &mut [Entry<'a>] = self.budget.many(nodes.len(), ("", Value::Null))?;
        for (entry, (key, value)) in entries.iter_mut().zip(nodes) {
            let key = self.value(key)?.text(self.budget)?.ok_or_else(wrong_type)?;
            *entry = (key, self.value(value)?);
        }
        entries.sort_by_key(|(key, _)| *key);
        match entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(Mismatch::new(format!("a map has the key {:?} twice", pair[0].0))),
            None => Ok(Value::Map(entries)),
        }
    }

    fn compare(&self, comparison: Comparison, one: Value<'a>, other: Value<'a>) -> Result<bool, Mismatch> {
        let order = match comparison {
            Comparison::Equal => return calculate::equal(one, other, self.budget),
            Comparison::NotEqual => return Ok(!calculate::equal(one, other, self.budget)?),
            _ => calculate::order(one, other, self.budget)?,
        };
        // A NaN is neither less nor greater than anything.
        Ok(order.is_some_and(|order| match comparison {
            Comparison::Less => order == Ordering::Less,
            Comparison::LessOrEqual => order != Ordering::Greater,
            Comparison::Greater => order == Ordering::Greater,
            _ => order != Ordering::Less,
        }))
    }

    fn contains(&self, item: Value<'a>, list: Value<'a>) -> Result<bool, Mismatch> {
        let Value::List(list) = list else {
            let key = item.text(self.budget)?.ok_or_else(wrong_type)?;
            return Ok(member(list, key, self.budget)?.is_some());
        };
        for candidate in list {
            if calculate::equal(item, *candidate, self.budget)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn sum_product(&self, list: Value<'a>, parts: &'a [Part; 2]) -> Answer<'a> {
        let Value::List(list) = list else { return Err(wrong_type()) };
        let mut total = Decimal::from(0);
        for item in list {
            self.budget.items(1)?;
            self.budget.decimal()?;
            let [one, other] = parts;
            let part = |part: &'a Part| match (part, item) {
                (Part::Field(index), Value::Record(fields, _)) => {
                    fields.get(*index).copied().ok_or_else(wrong_type)
                }
                (Part::Member(key), map) => member(*map, key, self.budget)?.ok_or_else(|| no_such_key(key)),
                _ => Err(wrong_type()),
            };
            let one = calculate::decimal(part(one)?, self.budget)?;
            let other = calculate::decimal(part(other)?, self.budget)?;
            let product = one.checked_mul(other);
            let sum = product.and_then(|product| total.checked_add(product));
            total = sum.map_err(|error| Mismatch::new(format!("sumProduct: {error}")))?;
        }
        Ok(total.into())
    }

    fn run(&mut self, of: &'a Loop) -> Answer<'a> {
        let over = self.value(&of.over)?;
        let (length, keys, items): (usize, &[Entry<'a>], &[Value<'a>]) = match over {
            Value::List(items) => (items.len(), &[], items),
            Value::Map(entries) => (entries.len(), entries, &[]),
            _ => return Err(wrong_type()),
        };
        let makes_list = matches!(of.kind, LoopKind::Filter | LoopKind::Map | LoopKind::MapWhere(_));
        let made = self.budget.many(if makes_list { length } else { 0 }, Value::Null)?;
        let mut count = 0;
        self.variables.truncate(of.variable);
        self.variables.push(Value::Null);
        for index in 0..length {
            self.budget.items(1)?;
            let item = items.get(index).copied().or_else(|| keys.get(index).map(|(key, _)| Value::Text(key)));
            let item = item.ok_or_else(wrong_type)?;
            // An inner macro's variable is of no use to the next item.
            self.variables.truncate(of.variable + 1);
            self.variables[of.variable] = item;
            match &of.kind {
                LoopKind::All if !self.condition(&of.body)? => return Ok(Value::Bool(false)),
                LoopKind::Exists if self.condition(&of.body)? => return Ok(Value::Bool(true)),
                LoopKind::All | LoopKind::Exists => {}
                LoopKind::ExistsOne => count += usize::from(self.condition(&of.body)?),
                LoopKind::Filter => {
                    if self.condition(&of.body)? {
                        made[count] = item;
                        count += 1;
                    }
                }
                LoopKind::MapWhere(condition) if !self.condition(condition)? => {}
                LoopKind::Map | LoopKind::MapWhere(_) => {
                    made[count] = self.value(&of.body)?;
                    count += 1;
                }
            }
        }
        Ok(match of.kind {
            LoopKind::All => Value::Bool(true),
            LoopKind::Exists => Value::Bool(false),
            LoopKind::ExistsOne => Value::Bool(count == 1),
            _ => Value::List(&made[..count]),
        })
    }
}

/// The value of a map's key.
fn member<'a>(map: Value<'a>, key: &str, budget: &Budget<'a>) -> Result<Option<Value<'a>>, Mismatch> {
    let Value::Map(entries) = map else { return Err(wrong_type()) };
    budget.bytes(key.len())?;
    let found = entries.binary_search_by(|(known, _)| (*known).cmp(key));
    Ok(found.ok().map(|index| entries[index].1))
}

fn no_such_key(key: &str) -> Mismatch {
    Mismatch::new(format!("there is no key {key:?}"))
}

//! Operators on values: exact, or an error.

use std::cmp::Ordering;

use super::answer::{Answer, wrong_type};
use super::node::Operator;
use crate::mapping::decimal::{Decimal, DecimalError};
use crate::mapping::mismatch::Mismatch;
use crate::upcast::budget::Budget;
use crate::upcast::value::{Entry, Value};

pub(super) fn negate<'a>(operand: Value<'a>, budget: &Budget<'a>) -> Answer<'a> {
    match operand {
        Value::Int(number) => number.checked_neg().map(Value::Int).ok_or_else(overflow),
        Value::Double(number) => Ok(Value::Double(-number)),
        Value::Decimal(..) => made(Decimal::from(0).checked_sub(decimal(operand, budget)?)),
        _ => Err(wrong_type()),
    }
}

pub(super) fn calculate<'a>(
    operator: Operator,
    one: Value<'a>,
    other: Value<'a>,
    budget: &Budget<'a>,
) -> Answer<'a> {
    match (one, other) {
        (Value::Int(one), Value::Int(other)) => whole(operator, one, other).map(Value::Int),
        (Value::Double(one), Value::Double(other)) => Ok(Value::Double(match operator {
            Operator::Add => one + other,
            Operator::Subtract => one - other,
            Operator::Multiply => one * other,
            Operator::Divide => one / other,
            Operator::Remainder => return Err(wrong_type()),
        })),
        (Value::Decimal(..) | Value::Int(_), Value::Decimal(..) | Value::Int(_)) => {
            let (one, other) = (decimal(one, budget)?, decimal(other, budget)?);
            let result = match operator {
                Operator::Add => one.checked_add(other),
                Operator::Subtract => one.checked_sub(other),
                Operator::Multiply => one.checked_mul(other),
                Operator::Divide | Operator::Remainder => return Err(wrong_type()),
            };
            made(result)
        }
        (Value::Bytes(one), Value::Bytes(other)) => budget.concat(one, other).map(Value::Bytes),
        (Value::List(one), Value::List(other)) => budget.join(one, other, Value::Null).map(Value::List),
        (one, other) => match (one.text(budget)?, other.text(budget)?) {
            (Some(one), Some(other)) => budget.concat_texts(one, other).map(Value::Text),
            _ => Err(wrong_type()),
        },
    }
}

fn whole(operator: Operator, one: i64, other: i64) -> Result<i64, Mismatch> {
    if other == 0 && matches!(operator, Operator::Divide | Operator::Remainder) {
        return Err(Mismatch::new("a division by zero"));
    }
    let result = match operator {
        Operator::Add => one.checked_add(other),
        Operator::Subtract => one.checked_sub(other),
        Operator::Multiply => one.checked_mul(other),
        Operator::Divide => one.checked_div(other),
        Operator::Remainder => one.checked_rem(other),
    };
    result.ok_or_else(overflow)
}

/// A decimal, or an int or the text of one.
pub(super) fn decimal<'a>(value: Value<'a>, budget: &Budget<'a>) -> Result<Decimal, Mismatch> {
    budget.decimal()?;
    if let Some(number) = value.decimal() {
        return Ok(number);
    }
    match value {
        Value::Int(number) => Ok(Decimal::from(number)),
        value => {
            let text = value.text(budget)?.ok_or_else(wrong_type)?;
            // What is longer than any decimal is refused after a few of its digits.
            budget.bytes(text.len())?;
            Decimal::parse(text).map_err(|error| Mismatch::new(error.to_string()))
        }
    }
}

pub(super) fn made<'a>(result: Result<Decimal, DecimalError>) -> Answer<'a> {
    result.map(Value::from).map_err(|error| Mismatch::new(error.to_string()))
}

fn overflow() -> Mismatch {
    Mismatch::new("a result does not fit 64 bits")
}

/// `None` where one of them is a NaN.
pub(super) fn order<'a>(
    one: Value<'a>,
    other: Value<'a>,
    budget: &Budget<'a>,
) -> Result<Option<Ordering>, Mismatch> {
    Ok(match (one, other) {
        (Value::Bool(one), Value::Bool(other)) => Some(one.cmp(&other)),
        (Value::Int(one), Value::Int(other)) => Some(one.cmp(&other)),
        (Value::Double(one), Value::Double(other)) => one.partial_cmp(&other),
        (Value::Int(one), Value::Double(other)) => int_and_double(one, other),
        (Value::Double(one), Value::Int(other)) => int_and_double(other, one).map(Ordering::reverse),
        (Value::Decimal(..) | Value::Int(_), Value::Decimal(..) | Value::Int(_)) => {
            Some(decimal(one, budget)?.compare(decimal(other, budget)?))
        }
        (Value::Bytes(one), Value::Bytes(other)) => {
            budget.bytes(one.len().min(other.len()))?;
            Some(one.cmp(other))
        }
        (one, other) => match (one.text(budget)?, other.text(budget)?) {
            (Some(one), Some(other)) => {
                budget.bytes(one.len().min(other.len()))?;
                Some(one.cmp(other))
            }
            _ => return Err(wrong_type()),
        },
    })
}

/// Exact: not every int is a double.
#[expect(clippy::cast_possible_truncation, reason = "checked to be in the range")]
fn int_and_double(one: i64, other: f64) -> Option<Ordering> {
    // 2^63, the first double beyond the ints.
    const END: f64 = 9_223_372_036_854_775_808.0;
    if other.is_nan() {
        None
    } else if other >= END {
        Some(Ordering::Less)
    } else if other < -END {
        Some(Ordering::Greater)
    } else {
        let order = one.cmp(&(other.trunc() as i64));
        Some(order.then_with(|| 0.0_f64.total_cmp(&(other.fract() + 0.0))))
    }
}

// The depth of the recursion is bounded by those of the values.
pub(super) fn equal<'a>(one: Value<'a>, other: Value<'a>, budget: &Budget<'a>) -> Result<bool, Mismatch> {
    budget.items(1)?;
    Ok(match (one, other) {
        (Value::Null, Value::Null) => true,
        (Value::Null, _) | (_, Value::Null) => false,
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len() && all_equal(one.iter().copied().zip(other.iter().copied()), budget)?
        }
        (Value::Map(one), Value::Map(other)) => {
            one.len() == other.len()
                && same_keys(one, other, budget)?
                && all_equal(one.iter().zip(other).map(|(one, other)| (one.1, other.1)), budget)?
        }
        (Value::Record(one, _), Value::Record(other, _)) => {
            let fields = one.iter().copied().zip(other.iter().copied());
            one.len() == other.len() && all_equal(fields, budget)?
        }
        (one, other) if have_order(one, other) => order(one, other, budget)? == Some(Ordering::Equal),
        _ => false,
    })
}

/// In a list of several kinds a value may meet one of another kind.
fn have_order(one: Value<'_>, other: Value<'_>) -> bool {
    matches!(
        (one, other),
        (Value::Bool(_), Value::Bool(_))
            | (Value::Bytes(_), Value::Bytes(_))
            | (Value::Int(_) | Value::Double(_), Value::Int(_) | Value::Double(_))
            | (Value::Int(_) | Value::Decimal(..), Value::Int(_) | Value::Decimal(..))
            | (Value::Text(_) | Value::Time(..), Value::Text(_) | Value::Time(..))
    )
}

fn same_keys(one: &[Entry<'_>], other: &[Entry<'_>], budget: &Budget<'_>) -> Result<bool, Mismatch> {
    for ((one, _), (other, _)) in one.iter().zip(other) {
        budget.items(1)?;
        budget.bytes(one.len().min(other.len()))?;
        if one != other {
            return Ok(false);
        }
    }
    Ok(true)
}

fn all_equal<'a>(
    pairs: impl Iterator<Item = (Value<'a>, Value<'a>)>,
    budget: &Budget<'a>,
) -> Result<bool, Mismatch> {
    for (one, other) in pairs {
        if !equal(one, other, budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}

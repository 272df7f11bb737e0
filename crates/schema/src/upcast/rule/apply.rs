//! The functions of rules on values.

use super::answer::{Answer, wrong_type};
use super::calculate::{decimal, made};
use super::node::{Function, TypeName};
use crate::mapping::decimal::{Decimal, DecimalError};
use crate::mapping::json::Json;
use crate::mapping::json::parse::Parser;
use crate::mapping::mismatch::{Mismatch, shortened};
use crate::mapping::number;
use crate::upcast::budget::Budget;
use crate::upcast::value::Value;

/// Functions of fewer arguments ignore the last ones.
pub(super) fn apply<'a>(function: Function, arguments: [Value<'a>; 3], budget: &Budget<'a>) -> Answer<'a> {
    let [one, other, third] = arguments;
    let text = |value: Value<'a>| value.text(budget)?.ok_or_else(wrong_type);
    Ok(match function {
        Function::Size => size(one, budget)?,
        Function::Contains | Function::StartsWith | Function::EndsWith => {
            let (whole, part) = (text(one)?, text(other)?);
            budget.bytes(whole.len())?;
            Value::Bool(match function {
                Function::Contains => whole.contains(part),
                Function::StartsWith => whole.starts_with(part),
                _ => whole.ends_with(part),
            })
        }
        Function::Replace => Value::Text(replace(text(one)?, text(other)?, text(third)?, budget)?),
        Function::ToInt => Value::Int(int(one, budget)?),
        Function::ToUnsigned => match int(one, budget)? {
            number @ 0.. => Value::Int(number),
            number => return Err(Mismatch::new(format!("uint: {number} is negative"))),
        },
        Function::ToDouble => Value::Double(double(one, budget)?),
        Function::ToText => Value::Text(to_text(one, budget)?),
        Function::ToBool => match one {
            Value::Bool(flag) => Value::Bool(flag),
            value => Value::Bool(bool_of(text(value)?)?),
        },
        Function::ToBytes => match one {
            Value::Bytes(bytes) => Value::Bytes(bytes),
            value => Value::Bytes(text(value)?.as_bytes()),
        },
        Function::ToDecimal => match one {
            number @ Value::Decimal(..) => number,
            value => named("decimal", decimal(value, budget))?.into(),
        },
        Function::MinorUnits => {
            let pounds = named("minorUnits", decimal(one, budget))?;
            let pence = pounds.checked_mul(Decimal::from(100)).and_then(|pence| pence.rescale(3));
            named("minorUnits", made(pence))?
        }
        Function::Add => of_two("add", one, other, Decimal::checked_add, budget)?,
        Function::Sub => of_two("sub", one, other, Decimal::checked_sub, budget)?,
        Function::Mul => of_two("mul", one, other, Decimal::checked_mul, budget)?,
        Function::Sum => named("sum", sum(one, budget))?,
    })
}

fn named<T>(function: &str, result: Result<T, Mismatch>) -> Result<T, Mismatch> {
    result.map_err(|error| Mismatch::new(format!("{function}: {error}")))
}

fn of_two<'a>(
    function: &str,
    one: Value<'a>,
    other: Value<'a>,
    operation: fn(Decimal, Decimal) -> Result<Decimal, DecimalError>,
    budget: &Budget<'a>,
) -> Answer<'a> {
    let (one, other) = (named(function, decimal(one, budget))?, named(function, decimal(other, budget))?);
    named(function, made(operation(one, other)))
}

fn sum<'a>(list: Value<'a>, budget: &Budget<'a>) -> Answer<'a> {
    let Value::List(list) = list else { return Err(wrong_type()) };
    let mut total = Decimal::from(0);
    for item in list {
        let sum = total.checked_add(decimal(*item, budget)?);
        total = sum.map_err(|error| Mismatch::new(error.to_string()))?;
    }
    made(Ok(total))
}

fn size<'a>(value: Value<'a>, budget: &Budget<'a>) -> Answer<'a> {
    let size = match value {
        Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => list.len(),
        Value::Map(entries) => entries.len(),
        value => {
            let text = value.text(budget)?.ok_or_else(wrong_type)?;
            budget.bytes(text.len())?;
            text.chars().count()
        }
    };
    // A size is one of what is in memory, far below 2^63.
    Ok(Value::Int(size as i64))
}

fn replace<'a>(whole: &'a str, from: &str, to: &str, budget: &Budget<'a>) -> Result<&'a str, Mismatch> {
    // So the result is not longer than the text, whose size the budget knows.
    if from.is_empty() || to.len() > from.len() {
        return Err(Mismatch::new("replace: the replacement must not be longer than what it replaces"));
    }
    budget.bytes(whole.len())?;
    if !whole.contains(from) {
        return Ok(whole);
    }
    budget.text(&whole.replace(from, to))
}

fn int<'a>(value: Value<'a>, budget: &Budget<'a>) -> Result<i64, Mismatch> {
    match value {
        Value::Int(number) => Ok(number),
        Value::Double(number) => whole_of(number),
        Value::Decimal(..) => {
            let number = value.decimal().ok_or_else(wrong_type)?;
            let whole = number.rescale(0).ok().and_then(|whole| i64::try_from(whole.unscaled).ok());
            whole.ok_or_else(|| Mismatch::new(format!("int: {number} is not a whole number of 64 bits")))
        }
        value => {
            let text = value.text(budget)?.ok_or_else(wrong_type)?;
            budget.bytes(text.len())?;
            text.parse().map_err(|_| not("int", text, "a whole number of 64 bits"))
        }
    }
}

/// Without its fraction.
#[expect(clippy::cast_possible_truncation, reason = "checked to be in the range")]
fn whole_of(number: f64) -> Result<i64, Mismatch> {
    // 2^63, the first double beyond the ints.
    const END: f64 = 9_223_372_036_854_775_808.0;
    if number > -END && number < END {
        Ok(number as i64)
    } else {
        Err(Mismatch::new(format!("int: {number} does not fit 64 bits")))
    }
}

fn double<'a>(value: Value<'a>, budget: &Budget<'a>) -> Result<f64, Mismatch> {
    match value {
        Value::Double(number) => Ok(number),
        Value::Int(number) => Ok(number as f64),
        Value::Decimal(..) => {
            let number = value.decimal().ok_or_else(wrong_type)?;
            number.to_string().parse().map_err(|_| wrong_type())
        }
        value => {
            let text = value.text(budget)?.ok_or_else(wrong_type)?;
            budget.bytes(text.len())?;
            text.parse().map_err(|_| not("double", text, "a number"))
        }
    }
}

fn to_text<'a>(value: Value<'a>, budget: &Budget<'a>) -> Result<&'a str, Mismatch> {
    match value {
        Value::Bool(flag) => Ok(if flag { "true" } else { "false" }),
        Value::Int(number) => budget.text(&number.to_string()),
        Value::Double(number) => budget.text(&number.to_string()),
        Value::Decimal(..) => budget.text(&value.decimal().ok_or_else(wrong_type)?.to_string()),
        Value::Bytes(bytes) => {
            budget.bytes(bytes.len())?;
            std::str::from_utf8(bytes)
                .map_err(|error| Mismatch::new(format!("string: bytes that are not UTF-8 text: {error}")))
        }
        value => value.text(budget)?.ok_or_else(wrong_type),
    }
}

fn bool_of(text: &str) -> Result<bool, Mismatch> {
    match text {
        "1" | "t" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(not("bool", text, "true or false")),
    }
}

fn not(function: &str, text: &str, what: &str) -> Mismatch {
    Mismatch::new(format!("{function}: {:?} is not {what}", shortened(text)))
}

/// JSON text of a scalar. Other values are skipped to their end, and refused.
pub(super) fn json<'a>(text: Value<'a>, name: TypeName, budget: &Budget<'a>) -> Answer<'a> {
    let text = text.text(budget)?.ok_or_else(wrong_type)?;
    budget.bytes(text.len())?;
    named("json", json_scalar(text, name, budget))
}

fn json_scalar<'a>(text: &'a str, name: TypeName, budget: &Budget<'a>) -> Answer<'a> {
    let not_json = |error: crate::mapping::json::parse::JsonError| Mismatch::new(error.to_string());
    let mut parser = Parser::new(text.as_bytes()).map_err(not_json)?;
    // An object or an array may be large, and is none of the types.
    if matches!(parser.next_byte(), Some(b'{' | b'[')) {
        return Err(Mismatch::new("an object or an array, not a scalar value"));
    }
    let json = parser.value().map_err(not_json)?;
    parser.end().map_err(not_json)?;
    match (name, &json) {
        (TypeName::Bool, Json::Bool(flag)) => Ok(Value::Bool(*flag)),
        (TypeName::Int, _) => number::long(&json).map(Value::Int),
        (TypeName::Double, _) => number::double(&json).map(Value::Double),
        (TypeName::Text, Json::String(text)) => budget.text(text).map(Value::Text),
        (TypeName::Decimal, Json::Number(number)) => made(Decimal::parse_number(&number.text())),
        (TypeName::Decimal, Json::String(text)) => made(Decimal::parse_number(text)),
        (TypeName::Bool, _) => Err(Mismatch::expected("a boolean", &json)),
        (TypeName::Decimal, _) => Err(Mismatch::expected("a decimal", &json)),
        _ => Err(Mismatch::expected("a string", &json)),
    }
}

pub(super) fn is_of_type(value: Value<'_>, name: TypeName) -> bool {
    match value {
        Value::Null => name == TypeName::Null,
        Value::Bool(_) => name == TypeName::Bool,
        Value::Int(_) => name == TypeName::Int,
        Value::Double(_) => name == TypeName::Double,
        Value::Decimal(..) => name == TypeName::Decimal,
        Value::Text(_) | Value::Time(..) => name == TypeName::Text,
        Value::Bytes(_) => name == TypeName::Bytes,
        Value::List(_) => name == TypeName::List,
        Value::Map(_) | Value::Record(..) => name == TypeName::Map,
    }
}

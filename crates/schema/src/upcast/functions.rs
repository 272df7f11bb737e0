//! The functions that rules have in addition to CEL's own. Decimals are strings, as in the plain mapping; where one
//! is expected an int will do. None of them rounds.
//!
//! | function | answer |
//! | --- | --- |
//! | `minorUnits(pounds)` | × 100 with three decimals: `"2.55"` → `"255.000"`, `"0.001"` → `"0.100"` |
//! | `add(a, b)`, `sub(a, b)`, `mul(a, b)` | exact |
//! | `sum(list)` | of decimals; of none `"0"` |
//! | `sumProduct(list, "f", "g")` | Σ f × g over the list's objects |
//! | `text.replace(from, to)` | every occurrence |

use std::sync::Arc;

use cel::common::ast::operators;
use cel::common::types::{
    CelInt, CelList, CelMap, CelMapKey, CelString, DYN_TYPE, LIST_TYPE, STRING_TYPE, Type,
};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};

use crate::mapping::decimal::{Decimal, DecimalError};

type Answer<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

/// CEL's standard functions that rules may call. There is no clock and no randomness among them.
const STANDARD: [&str; 10] =
    ["size", "contains", "startsWith", "endsWith", "int", "uint", "double", "string", "bool", "bytes"];
const OWN: [&str; 7] = ["minorUnits", "add", "sub", "mul", "sum", "sumProduct", "replace"];

/// The environment that rules are compiled for and run in.
pub(crate) fn environment() -> Result<Arc<Env>, DeclarationError> {
    let mut env = Env::stdlib();
    env.add_overload("minorUnits", "aqueduct_minor_units", vec![DYN_TYPE], minor_units)?;
    env.add_overload("add", "aqueduct_add", vec![DYN_TYPE, DYN_TYPE], add)?;
    env.add_overload("sub", "aqueduct_sub", vec![DYN_TYPE, DYN_TYPE], sub)?;
    env.add_overload("mul", "aqueduct_mul", vec![DYN_TYPE, DYN_TYPE], mul)?;
    env.add_overload("sum", "aqueduct_sum", vec![LIST_TYPE], sum)?;
    let strings: Vec<Type> = vec![LIST_TYPE, STRING_TYPE, STRING_TYPE];
    env.add_overload("sumProduct", "aqueduct_sum_product", strings, sum_product)?;
    let (from, to) = (STRING_TYPE, STRING_TYPE);
    env.add_member_overload("replace", "aqueduct_replace", STRING_TYPE, vec![from, to], replace)?;
    Ok(Arc::new(env))
}

/// Whether a rule may call it. Operators are called `_+_`, `!_`, `@in` and the like.
pub(crate) fn is_known(function: &str) -> bool {
    let operator = !function.starts_with(|first: char| first.is_ascii_alphabetic());
    operator || STANDARD.contains(&function) || OWN.contains(&function)
}

/// Whether its cost grows with the size of its operands.
pub(crate) fn walks(function: &str) -> bool {
    const WALKS: [&str; 16] = [
        "sum",
        "sumProduct",
        "replace",
        "contains",
        "startsWith",
        "endsWith",
        "string",
        "bytes",
        "size",
        "@in",
        "_==_",
        "_!=_",
        "_<_",
        "_<=_",
        "_>_",
        "_>=_",
    ];
    WALKS.contains(&function) || function == operators::ADD
}

fn minor_units<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let pounds = decimal("minorUnits", argument("minorUnits", &arguments, 0)?)?;
    let pence = pounds.checked_mul(Decimal::from(100)).and_then(|pence| pence.rescale(3));
    answer("minorUnits", pence)
}

fn add<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    of_two("add", &arguments, Decimal::checked_add)
}

fn sub<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    of_two("sub", &arguments, Decimal::checked_sub)
}

fn mul<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    of_two("mul", &arguments, Decimal::checked_mul)
}

fn of_two<'b, 'v>(
    function: &str,
    arguments: &[CowVal<'_, '_>],
    operation: fn(Decimal, Decimal) -> Result<Decimal, DecimalError>,
) -> Answer<'b, 'v> {
    let left = decimal(function, argument(function, arguments, 0)?)?;
    let right = decimal(function, argument(function, arguments, 1)?)?;
    answer(function, operation(left, right))
}

fn sum<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let mut total = Decimal::from(0);
    for item in list("sum", &arguments)? {
        total = total.checked_add(decimal("sum", item.as_ref())?).map_err(|error| failed("sum", error))?;
    }
    answer("sum", Ok(total))
}

fn sum_product<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    const NAME: &str = "sumProduct";
    let (left, right) = (text(NAME, &arguments, 1)?, text(NAME, &arguments, 2)?);
    let mut total = Decimal::from(0);
    for item in list(NAME, &arguments)? {
        let object =
            item.downcast_ref::<CelMap<'_>>().ok_or_else(|| failed(NAME, "an item is not an object"))?;
        let field = |name: &str| {
            let value = object.inner().get(&CelMapKey::from(name.to_owned()));
            decimal(NAME, value.ok_or_else(|| failed(NAME, format!("an item has no field {name}")))?.as_ref())
        };
        let product = field(left)?.checked_mul(field(right)?);
        let sum = product.and_then(|product| total.checked_add(product));
        total = sum.map_err(|error| failed(NAME, error))?;
    }
    answer(NAME, Ok(total))
}

fn replace<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let [whole, from, to] = [0, 1, 2].map(|position| text("replace", &arguments, position));
    let (whole, from, to) = (whole?, from?, to?);
    // An empty pattern, or a longer replacement in a chain of calls, would let a text grow without bound.
    if from.is_empty() || to.len() > from.len() {
        return Err(failed("replace", "the replacement must not be longer than what it replaces"));
    }
    Ok(CowVal::owned(CelString::from(whole.replace(from, to))))
}

fn argument<'a, 'v>(
    function: &str,
    arguments: &'a [CowVal<'_, 'v>],
    position: usize,
) -> Result<&'a (dyn Val + 'v), ExecutionError> {
    let value = arguments.get(position).map(CowVal::as_ref);
    value.ok_or_else(|| failed(function, "an argument is missing"))
}

fn text<'a>(
    function: &str,
    arguments: &'a [CowVal<'_, '_>],
    position: usize,
) -> Result<&'a str, ExecutionError> {
    let text = argument(function, arguments, position)?.downcast_ref::<CelString<'_>>();
    Ok(text.ok_or_else(|| failed(function, "an argument is not a string"))?.inner())
}

fn list<'a, 'v>(
    function: &str,
    arguments: &'a [CowVal<'_, 'v>],
) -> Result<&'a [Box<dyn Val + 'v>], ExecutionError> {
    let list = argument(function, arguments, 0)?.downcast_ref::<CelList<'_>>();
    Ok(list.ok_or_else(|| failed(function, "the first argument is not a list"))?.inner())
}

fn decimal(function: &str, value: &(dyn Val + '_)) -> Result<Decimal, ExecutionError> {
    if let Some(whole) = value.downcast_ref::<CelInt>() {
        return Ok(Decimal::from(*whole.inner()));
    }
    let text = value.downcast_ref::<CelString<'_>>();
    let text = text.ok_or_else(|| failed(function, "neither a decimal in a string nor an int"))?;
    Decimal::parse(text.inner()).map_err(|error| failed(function, error))
}

fn answer<'b, 'v>(function: &str, result: Result<Decimal, DecimalError>) -> Answer<'b, 'v> {
    let number = result.map_err(|error| failed(function, error))?;
    Ok(CowVal::owned(CelString::from(number.to_string())))
}

fn failed(function: &str, problem: impl ToString) -> ExecutionError {
    ExecutionError::function_error(function, problem)
}

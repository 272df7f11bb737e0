//! Numbers: what is accepted, and the one form that is written.

use serde_json::Value;

use crate::layout::shape::DecimalType;
use crate::mapping::decimal::Decimal;
use crate::mapping::mismatch::Mismatch;
use crate::mapping::text::{shortened, text};

/// The largest whole number up to which every one is exact in a 64-bit float, and so in any JSON parser.
const MAX_SAFE: i64 = (1 << 53) - 1;

pub(crate) fn int(json: &Value) -> Result<i32, Mismatch> {
    let number = json.as_i64().ok_or_else(|| Mismatch::expected("a whole number of 32 bits", json))?;
    i32::try_from(number).map_err(|_| Mismatch::new(format!("{number} does not fit an int (32 bits)")))
}

pub(crate) fn long(json: &Value) -> Result<i64, Mismatch> {
    if let Some(number) = json.as_i64() {
        return Ok(number);
    }
    let text = text(json, "a whole number of 64 bits, or a string that holds one")?;
    let number = text.parse::<i64>().ok().filter(|number| number.to_string() == text);
    number.ok_or_else(|| Mismatch::new(format!("{:?} is not a whole number of 64 bits", shortened(text))))
}

/// Whether it is written as a number in JSON, not as a string.
pub(crate) fn is_safe(number: i64) -> bool {
    (-MAX_SAFE..=MAX_SAFE).contains(&number)
}

pub(crate) fn long_to_json(number: i64) -> Value {
    if is_safe(number) { number.into() } else { number.to_string().into() }
}

pub(crate) fn double(json: &Value) -> Result<f64, Mismatch> {
    match json {
        Value::Number(number) => {
            number.as_f64().ok_or_else(|| Mismatch::new(format!("{number} is not a number of 64 bits")))
        }
        Value::String(text) if text == "NaN" => Ok(f64::NAN),
        Value::String(text) if text == "Infinity" => Ok(f64::INFINITY),
        Value::String(text) if text == "-Infinity" => Ok(f64::NEG_INFINITY),
        _ => Err(Mismatch::expected("a number, \"NaN\", \"Infinity\" or \"-Infinity\"", json)),
    }
}

/// The text of a value that JSON numbers cannot express.
pub(crate) fn no_number(number: f64) -> Option<&'static str> {
    if number.is_nan() {
        Some("NaN")
    } else if number.is_infinite() {
        Some(if number > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        None
    }
}

pub(crate) fn double_to_json(number: f64) -> Value {
    no_number(number).map_or_else(|| number.into(), Value::from)
}

pub(crate) fn float(json: &Value) -> Result<f32, Mismatch> {
    let wide = double(json)?;
    #[expect(clippy::cast_possible_truncation, reason = "the nearest float is what is asked for")]
    let narrow = wide as f32;
    if narrow.is_infinite() && wide.is_finite() {
        Err(Mismatch::new(format!("{wide} does not fit a float (32 bits)")))
    } else {
        Ok(narrow)
    }
}

/// The double with the shortest decimal that means this float, not with the many digits of the same number.
pub(crate) fn widened(number: f32) -> f64 {
    if number.is_finite() {
        number.to_string().parse().unwrap_or_else(|_| f64::from(number))
    } else {
        f64::from(number)
    }
}

pub(crate) fn float_to_json(number: f32) -> Value {
    double_to_json(widened(number))
}

/// The number with exactly the scale of the type.
pub(crate) fn decimal(json: &Value, decimal: &DecimalType) -> Result<Decimal, Mismatch> {
    let number = match json {
        Value::Number(number) => number.as_i64().map(Decimal::from).ok_or_else(|| {
            Mismatch::new(format!(
                "a decimal with a fraction must be a string (\"{number}\"): a JSON parser may have rounded it"
            ))
        })?,
        _ => {
            let text = text(json, "a decimal in a string")?;
            Decimal::parse(text).map_err(|error| Mismatch::new(error.to_string()))?
        }
    };
    let scaled = number.rescale(decimal.scale).map_err(|error| Mismatch::new(error.to_string()))?;
    if scaled.fits(decimal.precision) {
        Ok(scaled)
    } else {
        Err(Mismatch::new(format!("{number} has more than {} digits", decimal.precision)))
    }
}

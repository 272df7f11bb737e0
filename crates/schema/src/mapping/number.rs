//! Numbers: what is accepted, and the one form that is written.

use std::borrow::Cow;

use serde_json::Value;

use crate::layout::shape::DecimalType;
use crate::mapping::decimal::{Decimal, DecimalError};
use crate::mapping::json::Json;
use crate::mapping::json::number::{Number, is_number};
use crate::mapping::mismatch::{Mismatch, shortened};

/// The largest whole number up to which every one is exact in a 64-bit float, and so in any JSON parser.
const MAX_SAFE: i64 = (1 << 53) - 1;

/// A 32-bit integer from any exact form of one.
pub(crate) fn int(json: &Json<'_>) -> Result<i32, Mismatch> {
    let number = whole(json, 32, "a whole number of 32 bits")?;
    i32::try_from(number).map_err(|_| Mismatch::new(format!("{number} does not fit an int (32 bits)")))
}

/// A 64-bit integer from any exact form of one.
pub(crate) fn long(json: &Json<'_>) -> Result<i64, Mismatch> {
    whole(json, 64, "a whole number of 64 bits, or a string that holds one")
}

fn whole(json: &Json<'_>, bits: u32, what: &str) -> Result<i64, Mismatch> {
    let text: Cow<'_, str> = match json {
        Json::Number(Number::Whole(number)) => return Ok(*number),
        Json::Number(number) => number.text(),
        Json::String(text) => Cow::Borrowed(text),
        _ => return Err(Mismatch::expected(what, json)),
    };
    // A text with zeros before its digits is not a number but a code.
    let parsed = Some(&text).filter(|text| is_number(text)).map(|text| Decimal::parse_number(text));
    let scaled = parsed.and_then(Result::ok).and_then(|number| number.rescale(0).ok());
    let number = scaled.and_then(|number| i64::try_from(number.unscaled).ok());
    number
        .ok_or_else(|| Mismatch::new(format!("{:?} is not a whole number of {bits} bits", shortened(&text))))
}

/// Whether it is written as a plain whole number, without a fraction or an exponent.
pub(crate) fn is_whole(json: &Json<'_>) -> bool {
    matches!(json, Json::Number(Number::Whole(_)))
}

/// Whether it is written as a number in JSON, not as a string.
pub(crate) fn is_safe(number: i64) -> bool {
    (-MAX_SAFE..=MAX_SAFE).contains(&number)
}

pub(crate) fn long_to_json(number: i64) -> Value {
    if is_safe(number) { number.into() } else { number.to_string().into() }
}

pub(crate) fn is_canonical_long(json: &Json<'_>, number: i64) -> bool {
    match json {
        Json::Number(Number::Whole(_)) => is_safe(number),
        Json::String(text) => !is_safe(number) && *text == number.to_string(),
        _ => false,
    }
}

/// Whether the text is one of those that stand for what JSON numbers cannot express.
pub(crate) fn is_special(text: &str) -> bool {
    special(text).is_some()
}

fn special(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// The nearest double.
pub(crate) fn double(json: &Json<'_>) -> Result<f64, Mismatch> {
    let text: Cow<'_, str> = match json {
        Json::Number(Number::Whole(number)) => return Ok(*number as f64),
        Json::Number(number) => number.text(),
        Json::String(text) => match special(text) {
            Some(number) => return Ok(number),
            None => Cow::Borrowed(text),
        },
        _ => return Err(Mismatch::expected("a number, \"NaN\", \"Infinity\" or \"-Infinity\"", json)),
    };
    let number = Some(&text).filter(|text| is_number(text)).and_then(|text| text.parse::<f64>().ok());
    let number = number.filter(|number| number.is_finite());
    number.ok_or_else(|| Mismatch::new(format!("{:?} is not a number of 64 bits", shortened(&text))))
}

/// Whether JSON parsers read it as a double and not as an integer.
pub(crate) fn is_canonical_double(json: &Json<'_>) -> bool {
    match json {
        Json::Number(number) => number.is_float(),
        Json::String(text) => is_special(text),
        _ => false,
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

/// The nearest float.
pub(crate) fn float(json: &Json<'_>) -> Result<f32, Mismatch> {
    let wide = double(json)?;
    #[expect(clippy::cast_possible_truncation, reason = "the nearest float is what is asked for")]
    let narrow = wide as f32;
    if narrow.is_infinite() && wide.is_finite() {
        Err(Mismatch::new(format!("{wide} does not fit a float (32 bits)")))
    } else {
        Ok(narrow)
    }
}

pub(crate) fn is_canonical_float(json: &Json<'_>, number: f32) -> bool {
    let canonical = widened(number);
    match json {
        Json::Number(written) => {
            written.is_float() && written.text().parse::<f64>().is_ok_and(|written| written == canonical)
        }
        Json::String(text) => is_special(text),
        _ => false,
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

/// The number with exactly the scale of the type.
pub(crate) fn decimal(json: &Json<'_>, decimal: &DecimalType) -> Result<Decimal, Mismatch> {
    let parsed = match json {
        Json::Number(Number::Whole(number)) => Ok(Decimal::from(*number)),
        Json::Number(number) => Decimal::parse_number(&number.text()),
        Json::String(text) => Decimal::parse_number(text),
        _ => return Err(Mismatch::expected("a decimal", json)),
    };
    let refused = |error: DecimalError| Mismatch::new(error.to_string());
    let number = parsed.map_err(refused)?;
    let scaled = number.rescale(decimal.scale).map_err(refused)?;
    if scaled.fits(decimal.precision) {
        Ok(scaled)
    } else {
        Err(Mismatch::new(format!("{number} has more than {} digits", decimal.precision)))
    }
}

//! The text forms of scalar types: what is accepted, and the one form that is written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::decimal::Decimal;
use crate::layout::{DecimalType, TimeUnit};
use crate::mismatch::Mismatch;

/// The largest whole number up to which every one is exact in a 64-bit float, and so in any JSON parser.
const MAX_SAFE: i64 = (1 << 53) - 1;
/// 0000-01-01T00:00:00Z in seconds since 1970.
const YEAR_0: i64 = -62_167_219_200;
const NANOS_PER_DAY: i128 = 86_400_000_000_000;

fn expected(what: &str, json: &Value) -> Mismatch {
    let found = match json {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    Mismatch::new(format!("expected {what}, found {found}"))
}

pub(crate) fn text<'a>(json: &'a Value, what: &str) -> Result<&'a str, Mismatch> {
    json.as_str().ok_or_else(|| expected(what, json))
}

pub(crate) fn unexpected(what: &str, json: &Value) -> Mismatch {
    expected(what, json)
}

pub(crate) fn int(json: &Value) -> Result<i32, Mismatch> {
    let number = json.as_i64().ok_or_else(|| expected("a whole number of 32 bits", json))?;
    i32::try_from(number).map_err(|_| Mismatch::new(format!("{number} does not fit an int (32 bits)")))
}

pub(crate) fn long(json: &Value) -> Result<i64, Mismatch> {
    if let Some(number) = json.as_i64() {
        return Ok(number);
    }
    let text = text(json, "a whole number of 64 bits, or a string that holds one")?;
    let number = text.parse::<i64>().ok().filter(|number| number.to_string() == text);
    number.ok_or_else(|| Mismatch::new(format!("{:?} is no whole number of 64 bits", shortened(text))))
}

/// Whether it is a number in JSON, and no string.
pub(crate) fn is_safe(number: i64) -> bool {
    (-MAX_SAFE..=MAX_SAFE).contains(&number)
}

pub(crate) fn long_to_json(number: i64) -> Value {
    match is_safe(number) {
        true => number.into(),
        false => number.to_string().into(),
    }
}

pub(crate) fn double(json: &Value) -> Result<f64, Mismatch> {
    match json {
        Value::Number(number) => {
            number.as_f64().ok_or_else(|| Mismatch::new(format!("{number} is no number of 64 bits")))
        }
        Value::String(text) if text == "NaN" => Ok(f64::NAN),
        Value::String(text) if text == "Infinity" => Ok(f64::INFINITY),
        Value::String(text) if text == "-Infinity" => Ok(f64::NEG_INFINITY),
        _ => Err(expected("a number, \"NaN\", \"Infinity\" or \"-Infinity\"", json)),
    }
}

/// The text for what JSON has no number for.
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
    match narrow.is_infinite() && wide.is_finite() {
        true => Err(Mismatch::new(format!("{wide} does not fit a float (32 bits)"))),
        false => Ok(narrow),
    }
}

/// The double with the shortest decimal that means this float, not with the many digits of the same number.
pub(crate) fn widened(number: f32) -> f64 {
    match number.is_finite() {
        true => number.to_string().parse().unwrap_or_else(|_| f64::from(number)),
        false => f64::from(number),
    }
}

pub(crate) fn float_to_json(number: f32) -> Value {
    double_to_json(widened(number))
}

pub(crate) fn bytes(json: &Value) -> Result<Vec<u8>, Mismatch> {
    BASE64
        .decode(text(json, "bytes in base64")?)
        .map_err(|error| Mismatch::new(format!("not base64 with padding: {error}")))
}

pub(crate) fn bytes_text(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
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
    match scaled.fits(decimal.precision) {
        true => Ok(scaled),
        false => Err(Mismatch::new(format!("{number} has more than {} digits", decimal.precision))),
    }
}

pub(crate) fn uuid(text: &str) -> Result<uuid::Uuid, Mismatch> {
    let parsed = uuid::Uuid::try_parse(text).ok().filter(|_| text.len() == 36);
    parsed.ok_or_else(|| Mismatch::new(format!("{:?} is no UUID in hyphenated form", shortened(text))))
}

/// Days since 1970-01-01.
pub(crate) fn date(json: &Value) -> Result<i32, Mismatch> {
    let text = text(json, "a date")?;
    let date: Date =
        text.parse().ok().filter(|_| plain_date(text)).ok_or_else(|| {
            Mismatch::new(format!("{:?} is no date of the form 2010-12-01", shortened(text)))
        })?;
    let since = date.duration_since(jiff::civil::date(1970, 1, 1));
    #[expect(clippy::cast_possible_truncation, reason = "jiff's years ±9999 are under 4 million days")]
    Ok((since.as_hours() / 24) as i32)
}

/// Four digits, no sign, nothing behind the day: jiff takes more than the mapping promises.
fn plain_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 10 && bytes[4] == b'-' && bytes[7] == b'-'
}

pub(crate) fn date_text(days: i32) -> Result<String, Mismatch> {
    let date = jiff::civil::date(1970, 1, 1)
        .checked_add(SignedDuration::from_hours(i64::from(days) * 24))
        .ok()
        .filter(|date| date.year() >= 0);
    let date = date.ok_or_else(|| Mismatch::new(format!("day {days} is outside the years 0 to 9999")))?;
    Ok(date.to_string())
}

/// Units since midnight.
pub(crate) fn time_of_day(json: &Value, unit: TimeUnit) -> Result<i64, Mismatch> {
    let text = text(json, "a time of day")?;
    let parsed: Option<Time> = text.parse().ok().filter(|_| plain_time(text));
    let time = parsed
        .ok_or_else(|| Mismatch::new(format!("{:?} is no time of the form 08:26:00.000", shortened(text))))?;
    in_units(time.duration_since(Time::midnight()).as_nanos(), unit, text)
}

pub(crate) fn time_of_day_text(units: i64, unit: TimeUnit) -> Result<String, Mismatch> {
    let nanos = i128::from(units) * unit.nanos();
    let out_of_day = || Mismatch::new(format!("{units} is no time of day"));
    if !(0..NANOS_PER_DAY).contains(&nanos) {
        return Err(out_of_day());
    }
    let since = SignedDuration::from_nanos(i64::try_from(nanos).map_err(|_| out_of_day())?);
    let time = Time::midnight().checked_add(since).map_err(|_| out_of_day())?;
    Ok(format!("{time:.0$}", unit.digits()))
}

/// Units since 1970-01-01T00:00:00Z.
pub(crate) fn timestamp(json: &Value, unit: TimeUnit) -> Result<i64, Mismatch> {
    let text = text(json, "a timestamp")?;
    let plain = text.get(..10).is_some_and(plain_date) && !text.contains(":60") && !text.contains('[');
    let parsed: Option<Timestamp> = text.parse().ok().filter(|_| plain);
    let timestamp = parsed.ok_or_else(|| {
        Mismatch::new(format!(
            "{:?} is no timestamp with an offset (RFC 3339, 2010-12-01T08:26:00.000Z)",
            shortened(text)
        ))
    })?;
    in_units(timestamp.as_nanosecond(), unit, text)
}

pub(crate) fn timestamp_text(units: i64, unit: TimeUnit) -> Result<String, Mismatch> {
    let timestamp = Timestamp::from_nanosecond(i128::from(units) * unit.nanos()).ok();
    let timestamp = timestamp.filter(|timestamp| timestamp.as_second() >= YEAR_0);
    let timestamp = timestamp.ok_or_else(|| outside(units))?;
    Ok(format!("{timestamp:.0$}", unit.digits()))
}

/// Units since 1970-01-01T00:00:00 on whatever clock it was.
pub(crate) fn local_timestamp(json: &Value, unit: TimeUnit) -> Result<i64, Mismatch> {
    let text = text(json, "a local timestamp")?;
    let plain = text.get(..10).is_some_and(plain_date) && text.get(11..).is_some_and(plain_time);
    let parsed: Option<DateTime> = text.parse().ok().filter(|_| plain);
    let time = parsed.ok_or_else(|| {
        Mismatch::new(format!(
            "{:?} is no local time of the form 2010-12-01T08:26:00.000, without an offset",
            shortened(text)
        ))
    })?;
    in_units(time.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0)).as_nanos(), unit, text)
}

pub(crate) fn local_timestamp_text(units: i64, unit: TimeUnit) -> Result<String, Mismatch> {
    let nanos = i128::from(units) * unit.nanos();
    let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).map_err(|_| outside(units))?;
    #[expect(clippy::cast_possible_truncation, reason = "less than a second")]
    let since = SignedDuration::new(seconds, nanos.rem_euclid(1_000_000_000) as i32);
    let time = DateTime::constant(1970, 1, 1, 0, 0, 0, 0).checked_add(since).ok();
    let time = time.filter(|time| time.year() >= 0).ok_or_else(|| outside(units))?;
    Ok(format!("{time:.0$}", unit.digits()))
}

/// Digits, colons and a fraction: no offset, no zone, no calendar annotation. No leap second either, which no
/// number of seconds since 1970 stands for.
fn plain_time(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_digit() || byte == b':' || byte == b'.';
    text.len() >= 8 && text.bytes().all(plain) && !text.contains(":60")
}

fn in_units(nanos: i128, unit: TimeUnit, text: &str) -> Result<i64, Mismatch> {
    if nanos % unit.nanos() != 0 {
        let problem = format!("{text:?} has more than {} decimals of a second", unit.digits());
        return Err(Mismatch::new(problem));
    }
    i64::try_from(nanos / unit.nanos()).map_err(|_| Mismatch::new(format!("{text:?} does not fit 64 bits")))
}

fn outside(units: i64) -> Mismatch {
    Mismatch::new(format!("{units} is outside the years 0 to 9999"))
}

/// Enough of a text to recognise it in an error.
fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

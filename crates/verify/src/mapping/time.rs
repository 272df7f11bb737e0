//! When an event happened.

use jiff::Timestamp;
use serde::Deserialize;

use super::pointer::Pointer;
use super::scalar::scalar;
use crate::json::Json;

/// What a time counts that is stored as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
    /// Microseconds since 1970.
    Microseconds,
    /// Nanoseconds since 1970.
    Nanoseconds,
    /// Units of 100 ns since the year 1.
    Ticks,
}

/// Where a time is, and what it counts if it is a number.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Written")]
pub struct TimePointer {
    pub(crate) pointer: Pointer,
    pub(crate) unit: Option<TimeUnit>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Pointer(Pointer),
    Table { pointer: Pointer, unit: Option<TimeUnit> },
}

impl From<Written> for TimePointer {
    fn from(written: Written) -> Self {
        match written {
            Written::Pointer(pointer) => Self { pointer, unit: None },
            Written::Table { pointer, unit } => Self { pointer, unit },
        }
    }
}

/// The time that a value says, if it has the form of one.
pub(crate) fn time(json: &Json, unit: Option<TimeUnit>) -> Option<Timestamp> {
    let (text, is_number) = scalar(json)?;
    let is_digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    match unit {
        Some(unit) if is_number || is_digits => Timestamp::from_nanosecond(nanoseconds(text, unit)?).ok(),
        _ if is_number => None,
        _ => iso_8601(text),
    }
}

/// With a zone, also as NodaTime writes one behind the offset: `2023-03-24T13:30:00+01 Europe/Oslo`.
fn iso_8601(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        let (time, zone) = text.rsplit_once(' ')?;
        let is_name = zone.bytes().next().is_some_and(|first| first.is_ascii_alphabetic());
        time.parse().ok().filter(|_| is_name)
    })
}

/// Since 1970, without what is smaller than a nanosecond.
fn nanoseconds(number: &str, unit: TimeUnit) -> Option<i128> {
    const YEAR_1: i128 = -62_135_596_800 * 1_000_000_000;
    let (zeros, origin) = match unit {
        TimeUnit::Seconds => (9, 0),
        TimeUnit::Milliseconds => (6, 0),
        TimeUnit::Microseconds => (3, 0),
        TimeUnit::Nanoseconds => (0, 0),
        TimeUnit::Ticks => (2, YEAR_1),
    };
    let (sign, digits) = number.strip_prefix('-').map_or((1, number), |digits| (-1, digits));
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i32 = exponent.parse().ok()?;
    let places = i64::try_from(whole.len()).ok()? + i64::from(exponent) + zeros;
    let digits = whole.bytes().chain(fraction.bytes()).chain(std::iter::repeat(b'0'));
    let mut value: i128 = 0;
    let significant = i64::try_from(mantissa.len()).ok()?;
    if mantissa.bytes().all(|digit| matches!(digit, b'0' | b'.')) {
        return Some(origin);
    }
    if places > significant + 40 {
        return None;
    }
    for digit in digits.take(usize::try_from(places).unwrap_or(0)) {
        value = value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    (sign * value).checked_add(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str, unit: Option<TimeUnit>) -> Option<String> {
        time(&Json::parse(json.as_bytes()).unwrap(), unit).map(|time| time.to_string())
    }

    #[test]
    fn texts_need_a_zone_and_numbers_a_unit() {
        use TimeUnit::*;
        for (json, unit, expected) in [
            (r#""2023-11-14T23:13:40.184\u002B01:00""#, None, Some("2023-11-14T22:13:40.184Z")),
            (r#""2023-03-24T13:30:00+01 Europe/Oslo""#, None, Some("2023-03-24T12:30:00Z")),
            (r#""2023-03-24T13:30:00""#, Some(Seconds), None),
            (r#""2023-03-24T13:30:00 Europe/Oslo""#, None, None),
            ("1677657678", None, None),
            ("\"1677657678113\"", None, None),
            ("\"1677657678113\"", Some(Milliseconds), Some("2023-03-01T08:01:18.113Z")),
            ("\"-1\"", Some(Milliseconds), None),
            ("\"\"", Some(Milliseconds), None),
            ("-1", Some(Milliseconds), Some("1969-12-31T23:59:59.999Z")),
            ("1.677657678113E9", Some(Seconds), Some("2023-03-01T08:01:18.113Z")),
            ("1677657678113e-3", Some(Seconds), Some("2023-03-01T08:01:18.113Z")),
            ("0.9999999999", Some(Seconds), Some("1970-01-01T00:00:00.999999999Z")),
            ("1e-400", Some(Seconds), Some("1970-01-01T00:00:00Z")),
            ("638132544781130000", Some(Ticks), Some("2023-03-01T08:01:18.113Z")),
            ("0.00", Some(Ticks), Some("0001-01-01T00:00:00Z")),
            ("1677657678113999", Some(Microseconds), Some("2023-03-01T08:01:18.113999Z")),
            ("1677657678113999001", Some(Nanoseconds), Some("2023-03-01T08:01:18.113999001Z")),
            ("1677657678113", Some(Seconds), None),
            ("1e99", Some(Seconds), None),
            ("1e2147483647", Some(Seconds), None),
            ("true", Some(Seconds), None),
        ] {
            assert_eq!(read(json, unit).as_deref(), expected, "{json} {unit:?}");
        }
    }
}

//! Times as others write them.

use std::fmt;

use jiff::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::mapping::pointer::EventPointer;
use crate::mapping::value::Scalar;

/// What a time that is stored as a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// Seconds since 1970, with or without a fraction (Jackson's default).
    Seconds,
    /// Milliseconds since 1970 (`Date.now()`).
    Milliseconds,
    /// Microseconds since 1970.
    Microseconds,
    /// Nanoseconds since 1970.
    Nanoseconds,
    /// Units of 100 ns since the year 1 (`DateTime.Ticks` in .NET, in UTC).
    Ticks,
}

impl TimeUnit {
    /// A unit is ten to this power in nanoseconds.
    fn power(self) -> i32 {
        match self {
            Self::Seconds => 9,
            Self::Milliseconds => 6,
            Self::Microseconds => 3,
            Self::Nanoseconds => 0,
            Self::Ticks => 2,
        }
    }

    /// Where the unit counts from, in nanoseconds since 1970.
    fn origin(self) -> i128 {
        match self {
            Self::Ticks => -62_135_596_800_000_000_000,
            Self::Seconds | Self::Milliseconds | Self::Microseconds | Self::Nanoseconds => 0,
        }
    }
}

/// Where a time is in an event. As text a pointer alone, for ISO 8601 texts: `metadata:/timestamp`; for numbers
/// a table with the unit: `{ pointer = "data:/openedAt", unit = "milliseconds" }`. Where a unit is given, ISO
/// 8601 texts are read too, and a text of digits is a number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct TimePointer {
    /// Where it is.
    pub pointer: EventPointer,
    /// What a number counts; without it a number is a wrong form.
    pub unit: Option<TimeUnit>,
}

impl From<EventPointer> for TimePointer {
    fn from(pointer: EventPointer) -> Self {
        Self { pointer, unit: None }
    }
}

impl<'de> Deserialize<'de> for TimePointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            pointer: EventPointer,
            #[serde(default)]
            unit: Option<TimeUnit>,
        }

        struct TextOrTable;

        impl<'de> Visitor<'de> for TextOrTable {
            type Value = TimePointer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a pointer such as \"metadata:/timestamp\", or a table with pointer and unit")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<TimePointer, E> {
                text.parse().map(|pointer: EventPointer| pointer.into()).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TimePointer, A::Error> {
                let Table { pointer, unit } = Table::deserialize(MapAccessDeserializer::new(map))?;
                Ok(TimePointer { pointer, unit })
            }
        }

        deserializer.deserialize_any(TextOrTable)
    }
}

/// Reads a time from the text of a JSON value. The error says what the value is and contains nothing of it.
pub(crate) fn parse(json: &str, unit: Option<TimeUnit>) -> Result<Timestamp, &'static str> {
    let scalar = Scalar::parse(json)?;
    let text = scalar.as_str();
    let is_number = match &scalar {
        Scalar::Number(_) => true,
        Scalar::Text(text) => {
            unit.is_some() && text.bytes().all(|it| it.is_ascii_digit()) && !text.is_empty()
        }
    };
    match (is_number, unit) {
        (true, Some(unit)) => from_number(text, unit).ok_or("is outside of the range of times"),
        (true, None) => Err("is a number, but no unit is configured for it"),
        (false, _) => from_text(text).ok_or("is not an ISO 8601 time with a zone"),
    }
}

fn from_text(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    // NodaTime's ZonedDateTime: "2023-03-24T13:30:00+01 Europe/Oslo". The offset says it all.
    let (time, zone) = text.rsplit_once(' ')?;
    let is_zone = zone.starts_with(|first: char| first.is_ascii_alphabetic());
    time.parse().ok().filter(|_| is_zone)
}

/// A decimal number of units, cut to nanoseconds.
fn from_number(number: &str, unit: TimeUnit) -> Option<Timestamp> {
    let (negative, number) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (number, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    let digits = digits.trim_start_matches('0');
    // The value is these digits times ten to this power, in nanoseconds.
    let power = unit.power().checked_add(exponent)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let nanoseconds = if digits.is_empty() {
        0
    } else if power >= 0 {
        let scale = 10_i128.checked_pow(power.unsigned_abs())?;
        digits.parse::<i128>().ok()?.checked_mul(scale)?
    } else {
        let kept = digits.len().saturating_sub(usize::try_from(power.unsigned_abs()).ok()?);
        if kept == 0 { 0 } else { digits.get(..kept)?.parse().ok()? }
    };
    let signed = if negative { -nanoseconds } else { nanoseconds };
    Timestamp::from_nanosecond(signed.checked_add(unit.origin())?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(json: &str, unit: Option<TimeUnit>) -> Result<String, &'static str> {
        parse(json, unit).map(|time| time.to_string())
    }

    #[test]
    fn reads_iso_8601_with_a_zone() {
        let same = [
            (r#""2023-03-01T08:00:14.597Z""#, "2023-03-01T08:00:14.597Z"),
            (r#""2023-01-01T00:02:14.9552005Z""#, "2023-01-01T00:02:14.9552005Z"),
            (r#""2023-11-14T23:13:40.184\u002B01:00""#, "2023-11-14T22:13:40.184Z"),
            (r#""2022-03-27T13:13:59.9999999+02:00""#, "2022-03-27T11:13:59.9999999Z"),
            (r#""2023-03-24T13:30:00+01 Europe/Oslo""#, "2023-03-24T12:30:00Z"),
            (r#""2023-03-24T13:30:00\u002B01 Europe/Oslo""#, "2023-03-24T12:30:00Z"),
            (r#""2023-03-24T13:30:00Z UTC""#, "2023-03-24T13:30:00Z"),
            (r#""2023-03-24T13:30:00+01:00[Europe/Oslo]""#, "2023-03-24T12:30:00Z"),
            (r#""2023-03-24 13:30:00+0100""#, "2023-03-24T12:30:00Z"),
            (r#""0001-01-01T00:00:00Z""#, "0001-01-01T00:00:00Z"),
        ];
        for (json, expected) in same {
            assert_eq!(time(json, None).as_deref(), Ok(expected), "{json}");
        }
    }

    #[test]
    fn needs_a_zone() {
        for json in [
            r#""2023-03-24T13:30:00""#,
            r#""0001-01-01T00:00:00""#,
            r#""2023-03-24""#,
            r#""13:30:00""#,
            r#""2023-03-24 13:30:00""#,
            r#""2023-03-24T13:30:00 Europe/Oslo""#,
            r#""Wed Mar 01 2023 08:00:14 GMT+0000 (Coordinated Universal Time)""#,
            r#""1.05:58:33.1234567""#,
            r#""""#,
        ] {
            assert_eq!(time(json, None), Err("is not an ISO 8601 time with a zone"), "{json}");
            assert_eq!(time(json, Some(TimeUnit::Seconds)), Err("is not an ISO 8601 time with a zone"));
        }
        assert_eq!(time("true", None), Err("is a boolean"));
    }

    #[test]
    fn reads_a_number_by_its_unit() {
        use TimeUnit::*;
        for (json, unit, expected) in [
            ("1677657678113", Milliseconds, "2023-03-01T08:01:18.113Z"),
            ("\"1677657678113\"", Milliseconds, "2023-03-01T08:01:18.113Z"),
            ("1677657678113.25", Milliseconds, "2023-03-01T08:01:18.11325Z"),
            ("1677657678", Seconds, "2023-03-01T08:01:18Z"),
            ("1677657678.113000000", Seconds, "2023-03-01T08:01:18.113Z"),
            ("1.677657678113E9", Seconds, "2023-03-01T08:01:18.113Z"),
            ("1677657678113e-3", Seconds, "2023-03-01T08:01:18.113Z"),
            ("1677657678113999", Microseconds, "2023-03-01T08:01:18.113999Z"),
            ("1677657678113999001", Nanoseconds, "2023-03-01T08:01:18.113999001Z"),
            ("0.9999999999", Seconds, "1970-01-01T00:00:00.999999999Z"),
            ("1e-400", Seconds, "1970-01-01T00:00:00Z"),
            ("0", Milliseconds, "1970-01-01T00:00:00Z"),
            ("-1", Milliseconds, "1969-12-31T23:59:59.999Z"),
            ("638132544781130000", Ticks, "2023-03-01T08:01:18.113Z"),
            ("0", Ticks, "0001-01-01T00:00:00Z"),
            ("\"2023-03-01T08:01:18Z\"", Milliseconds, "2023-03-01T08:01:18Z"),
        ] {
            assert_eq!(time(json, Some(unit)).as_deref(), Ok(expected), "{json}");
        }
        assert_eq!(time("1677657678113", None), Err("is a number, but no unit is configured for it"));
        for json in ["1677657678113", "1e99", "1e2147483647", &"9".repeat(60)] {
            assert_eq!(time(json, Some(Seconds)), Err("is outside of the range of times"), "{json}");
        }
    }

    #[test]
    fn is_configured_as_a_pointer_or_a_table() {
        let parse = serde_json::from_str::<TimePointer>;
        let table = parse(r#"{"pointer":"data:/at","unit":"milliseconds"}"#).unwrap();
        assert_eq!(table.unit, Some(TimeUnit::Milliseconds));
        assert_eq!(parse(r#""data:/at""#).unwrap(), TimePointer { unit: None, ..table });
        let problem = |json| parse(json).unwrap_err().to_string();
        assert!(problem(r#"{"pointer":"data:/at","unit":"ms"}"#).contains("milliseconds"));
        assert!(problem(r#"{"pointer":"data:/at","units":"seconds"}"#).contains("units"));
        assert!(problem("7").contains("a pointer such as"));
    }
}

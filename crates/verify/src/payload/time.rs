//! Dates and times in JSON.

use jiff::civil::{Date, DateTime, Time, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit as JiffUnit};

use super::number::whole;
use super::schema::Unit;
use crate::json::Json;

/// Days since 1970.
pub(super) fn days(json: &Json) -> Option<i64> {
    let day = match json {
        Json::Array(parts) if parts.len() == 3 => day_of(parts)?,
        json => {
            let text = json.as_text()?;
            let (day, time) = text.split_at_checked(10)?;
            Some(plain_day(day)?).filter(|_| is_midnight(time))?
        }
    };
    Some(date(1970, 1, 1).until((JiffUnit::Day, day)).ok()?.get_days().into())
}

/// Nothing, or midnight without an offset or in UTC.
fn is_midnight(time: &str) -> bool {
    let Some(time) = time.strip_prefix('T') else { return time.is_empty() };
    let zones = ["Z", "+00:00", "-00:00", ""];
    let mut times = zones.iter().filter_map(|zone| time.strip_suffix(zone));
    times.any(|time| match time.split_once('.') {
        Some((time, zeros)) => {
            time == "00:00:00" && !zeros.is_empty() && zeros.bytes().all(|digit| digit == b'0')
        }
        None => time == "00:00" || time == "00:00:00",
    })
}

/// Units since midnight.
pub(super) fn time_of_day(json: &Json, unit: Unit) -> Option<i64> {
    let time = match json {
        Json::Array(parts) => time_of(parts)?,
        json => plain_time(json.as_text()?)?,
    };
    in_units(nanoseconds_of_day(time), unit)
}

/// Units since 1970 in UTC.
pub(super) fn timestamp(json: &Json, unit: Unit) -> Option<i64> {
    let nanoseconds = match json {
        Json::Number(_) => return number(json, unit),
        json => {
            let text = json.as_text()?;
            plain_day(text.get(..10)?)?;
            if text.contains(":60") || text.contains('[') {
                return None;
            }
            text.parse::<Timestamp>().ok()?.as_nanosecond()
        }
    };
    in_units(nanoseconds, unit)
}

/// Units since 1970 on an unknown clock.
pub(super) fn local_timestamp(json: &Json, unit: Unit) -> Option<i64> {
    let (day, time) = match json {
        Json::Number(_) => return number(json, unit),
        Json::Array(parts) => (day_of(parts.get(..3)?)?, time_of(&parts[3..])?),
        json => {
            let text = json.as_text()?;
            let (day, rest) = text.split_at_checked(10)?;
            let time = rest.strip_prefix(['T', 't', ' '])?;
            (plain_day(day)?, plain_time(time)?)
        }
    };
    let utc = DateTime::from_parts(day, time).to_zoned(TimeZone::UTC).ok()?;
    in_units(utc.timestamp().as_nanosecond(), unit)
}

/// Units since 1970, of the years 0 to 9999.
fn number(json: &Json, unit: Unit) -> Option<i64> {
    let units = whole(json)?;
    let at = Timestamp::from_nanosecond(i128::from(units) * i128::from(unit.0)).ok()?;
    (at.to_zoned(TimeZone::UTC).year() >= 0).then_some(units)
}

/// `2010-12-01`, of the years 0 to 9999.
fn plain_day(text: &str) -> Option<Date> {
    let [year, month, day] = text.split('-').collect::<Vec<_>>().try_into().ok()?;
    let is_plain =
        [(year, 4), (month, 2), (day, 2)].iter().all(|(digits, length)| is_digits(digits, *length));
    if !is_plain {
        return None;
    }
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

/// `08:26`, `08:26:00` or `08:26:00.000`.
fn plain_time(text: &str) -> Option<Time> {
    let (time, fraction) = text.split_once('.').map_or((text, None), |(time, it)| (time, Some(it)));
    let parts: Vec<&str> = time.split(':').collect();
    let (hour, minute, second) = match parts.as_slice() {
        [hour, minute] if fraction.is_none() => (hour, minute, "00"),
        [hour, minute, second] => (hour, minute, *second),
        _ => return None,
    };
    let digits = fraction.unwrap_or("0");
    let is_fraction = (1..=9).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    if !is_fraction || ![hour, minute, second].iter().all(|digits| is_digits(digits, 2)) {
        return None;
    }
    let nanosecond = format!("{digits:0<9}").parse().ok()?;
    Time::new(hour.parse().ok()?, minute.parse().ok()?, second.parse().ok()?, nanosecond).ok()
}

fn is_digits(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|digit| digit.is_ascii_digit())
}

/// Year, month and day as numbers.
fn day_of(parts: &[Json]) -> Option<Date> {
    let [year, month, day] = parts else { return None };
    let (year, month, day) = (whole(year)?, whole(month)?, whole(day)?);
    let date = Date::new(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?).ok()?;
    (date.year() >= 0).then_some(date)
}

/// Hour, minute, second and nanosecond as numbers; the last two may be missing.
fn time_of(parts: &[Json]) -> Option<Time> {
    if !(2..=4).contains(&parts.len()) {
        return None;
    }
    let part = |n: usize| parts.get(n).map_or(Some(0), whole);
    let small = |n: usize| part(n).and_then(|it| i8::try_from(it).ok());
    Time::new(small(0)?, small(1)?, small(2)?, part(3)?.try_into().ok()?).ok()
}

fn nanoseconds_of_day(time: Time) -> i128 {
    let seconds = i128::from(time.hour()) * 3600 + i128::from(time.minute()) * 60 + i128::from(time.second());
    seconds * 1_000_000_000 + i128::from(time.subsec_nanosecond())
}

/// Exactly, or nothing.
fn in_units(nanoseconds: i128, unit: Unit) -> Option<i64> {
    let unit = i128::from(unit.0);
    if nanoseconds % unit == 0 { (nanoseconds / unit).try_into().ok() } else { None }
}

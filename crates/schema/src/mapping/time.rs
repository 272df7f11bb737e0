//! Dates and times: what is accepted, and the one form that is written.

use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::layout::shape::TimeUnit;
use crate::mapping::mismatch::Mismatch;
use crate::mapping::text::{shortened, text};

/// 0000-01-01T00:00:00Z in seconds since 1970.
const YEAR_0: i64 = -62_167_219_200;
const NANOS_PER_DAY: i128 = 86_400_000_000_000;

/// Days since 1970-01-01.
pub(crate) fn date(json: &Value) -> Result<i32, Mismatch> {
    let text = text(json, "a date")?;
    let date: Date = text.parse().ok().filter(|_| plain_date(text)).ok_or_else(|| {
        Mismatch::new(format!("{:?} is not a date of the form 2010-12-01", shortened(text)))
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
    let time = parsed.ok_or_else(|| {
        Mismatch::new(format!("{:?} is not a time of the form 08:26:00.000", shortened(text)))
    })?;
    in_units(time.duration_since(Time::midnight()).as_nanos(), unit, text)
}

pub(crate) fn time_of_day_text(units: i64, unit: TimeUnit) -> Result<String, Mismatch> {
    let nanos = i128::from(units) * unit.nanos();
    let out_of_day = || Mismatch::new(format!("{units} is not a time of day"));
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
            "{:?} is not a timestamp with an offset (RFC 3339, 2010-12-01T08:26:00.000Z)",
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
            "{:?} is not a local time of the form 2010-12-01T08:26:00.000, without an offset",
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

/// Digits, colons and a fraction: no offset, no zone, no calendar annotation. No leap second either: seconds since 1970 do not
/// count them.
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

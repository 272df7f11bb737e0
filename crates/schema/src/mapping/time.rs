//! Dates and times: what is accepted, and the one form that is written.

use std::ops::Range;

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};

use crate::layout::shape::TimeUnit;
use crate::mapping::json::Json;
use crate::mapping::mismatch::{Mismatch, shortened};
use crate::mapping::number;
use crate::mapping::text::text;

/// From 0000-01-01T00:00:00 to before 10000-01-01T00:00:00, in seconds since 1970.
const YEARS: Range<i128> = -62_167_219_200..253_402_300_800;
const NANOS_PER_SECOND: i128 = 1_000_000_000;
const NANOS_PER_DAY: i128 = 86_400_000_000_000;
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Days since 1970-01-01.
pub(crate) fn date(json: &Json<'_>) -> Result<i32, Mismatch> {
    let date = match json {
        Json::Array(parts) => DateParts::of(parts)?.only_date()?,
        json => {
            let text = text(json, "a date")?;
            let day = text.get(..10).filter(|day| plain_date(day) && is_midnight(&text[10..]));
            day.and_then(|day| day.parse::<Date>().ok()).ok_or_else(|| {
                Mismatch::new(format!("{:?} is not a date of the form 2010-12-01", shortened(text)))
            })?
        }
    };
    let since = date.duration_since(EPOCH.date());
    #[expect(clippy::cast_possible_truncation, reason = "jiff's years ±9999 are under 4 million days")]
    Ok((since.as_hours() / 24) as i32)
}

/// Four digits, no sign, nothing after the day: jiff takes more than the mapping promises.
fn plain_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 10 && bytes[4] == b'-' && bytes[7] == b'-'
}

/// Nothing, or the time that serializers without a type for dates put after one. With another offset than none
/// it would be another day elsewhere.
fn is_midnight(rest: &str) -> bool {
    let Some(time) = rest.strip_prefix('T') else { return rest.is_empty() };
    let time = ["Z", "+00:00", "-00:00"].into_iter().find_map(|zone| time.strip_suffix(zone)).unwrap_or(time);
    let zeros = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte == b'0');
    match time.strip_prefix("00:00") {
        Some("" | ":00") => true,
        Some(seconds) => seconds.strip_prefix(":00.").is_some_and(zeros),
        None => false,
    }
}

pub(crate) fn date_text(days: i32) -> Result<String, Mismatch> {
    let date = EPOCH
        .date()
        .checked_add(SignedDuration::from_hours(i64::from(days) * 24))
        .ok()
        .filter(|date| date.year() >= 0);
    let date = date.ok_or_else(|| Mismatch::new(format!("day {days} is outside the years 0 to 9999")))?;
    Ok(date.to_string())
}

/// Units since midnight.
pub(crate) fn time_of_day(json: &Json<'_>, unit: TimeUnit) -> Result<i64, Mismatch> {
    if let Json::Array(parts) = json {
        let nanos = DateParts::of(parts)?.time(0)?.duration_since(Time::midnight()).as_nanos();
        return in_units(nanos, unit, &json.to_string());
    }
    let text = text(json, "a time of day")?;
    let time = plain_time(text).then(|| civil_time(text)).flatten();
    let time = time.ok_or_else(|| {
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
pub(crate) fn timestamp(json: &Json<'_>, unit: TimeUnit) -> Result<i64, Mismatch> {
    if let Json::Number(_) = json {
        return in_years(number::long(json)?, unit);
    }
    let text = text(json, "a timestamp")?;
    let since = nanos_since_1970(text).ok_or_else(|| {
        Mismatch::new(format!(
            "{:?} is not a timestamp with an offset (RFC 3339, 2010-12-01T08:26:00.000Z)",
            shortened(text)
        ))
    })?;
    in_years(in_units(since, unit, text)?, unit)
}

/// Of a text with an offset.
fn nanos_since_1970(text: &str) -> Option<i128> {
    // The offset begins after the minutes.
    let end = text.get(16..)?.find(['Z', 'z', '+', '-'])? + 16;
    let (time, offset) = text.split_at_checked(end)?;
    let since = civil_datetime(time)?.duration_since(EPOCH).as_nanos();
    Some(since - i128::from(offset_minutes(offset)?) * 60 * NANOS_PER_SECOND)
}

/// Of `Z`, `+02:00`, `+0200` or `+02`.
fn offset_minutes(text: &str) -> Option<i32> {
    let digits = match text.as_bytes() {
        [b'Z' | b'z'] => return Some(0),
        [b'+' | b'-', h, i] => [*h, *i, b'0', b'0'],
        [b'+' | b'-', h, i, m, n] | [b'+' | b'-', h, i, b':', m, n] => [*h, *i, *m, *n],
        _ => return None,
    };
    let digit = |digit: u8| char::from(digit).to_digit(10).and_then(|digit| i32::try_from(digit).ok());
    let hours = digit(digits[0])? * 10 + digit(digits[1])?;
    let minutes = digit(digits[2])? * 10 + digit(digits[3])?;
    let sign = if text.starts_with('-') { -1 } else { 1 };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

pub(crate) fn timestamp_text(units: i64, unit: TimeUnit) -> Result<String, Mismatch> {
    local_timestamp_text(units, unit).map(|text| text + "Z")
}

/// Units since 1970-01-01T00:00:00 on whatever clock it was.
pub(crate) fn local_timestamp(json: &Json<'_>, unit: TimeUnit) -> Result<i64, Mismatch> {
    if let Json::Number(_) = json {
        return in_years(number::long(json)?, unit);
    }
    if let Json::Array(parts) = json {
        let parts = DateParts::of(parts)?;
        let time = parts.date()?.to_datetime(parts.time(3)?);
        return in_units(time.duration_since(EPOCH).as_nanos(), unit, &json.to_string());
    }
    let text = text(json, "a local timestamp")?;
    let time = civil_datetime(text).ok_or_else(|| {
        Mismatch::new(format!(
            "{:?} is not a local time of the form 2010-12-01T08:26:00.000, without an offset",
            shortened(text)
        ))
    })?;
    in_units(time.duration_since(EPOCH).as_nanos(), unit, text)
}

pub(crate) fn local_timestamp_text(units: i64, unit: TimeUnit) -> Result<String, Mismatch> {
    let nanos = i128::from(in_years(units, unit)?) * unit.nanos();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "seconds of four-digit years, and less than a second"
    )]
    let since = SignedDuration::new(
        nanos.div_euclid(NANOS_PER_SECOND) as i64,
        nanos.rem_euclid(NANOS_PER_SECOND) as i32,
    );
    let time = EPOCH.checked_add(since).map_err(|_| outside(units))?;
    Ok(format!("{time:.0$}", unit.digits()))
}

/// What can be written can be read: both have the years 0 to 9999.
fn in_years(units: i64, unit: TimeUnit) -> Result<i64, Mismatch> {
    let seconds = (i128::from(units) * unit.nanos()).div_euclid(NANOS_PER_SECOND);
    if YEARS.contains(&seconds) { Ok(units) } else { Err(outside(units)) }
}

/// Of a text without an offset.
fn civil_datetime(text: &str) -> Option<DateTime> {
    let plain = text.get(..10).is_some_and(plain_date) && text.get(11..).is_some_and(plain_time);
    text.parse().ok().filter(|_| plain)
}

/// Digits with colons between them and a fraction after a point: no offset, no zone, no calendar annotation. No leap second
/// either: seconds since 1970 do not count them.
fn plain_time(text: &str) -> bool {
    let plain = |(position, byte)| match position {
        2 | 5 => byte == b':',
        8 => byte == b'.',
        _ => u8::is_ascii_digit(&byte),
    };
    let length =
        text.len() == "08:26".len() || text.len() == "08:26:00".len() || text.len() > "08:26:00.".len();
    length && text.bytes().enumerate().all(plain) && !text.contains(":60")
}

/// Java leaves out seconds that are zero.
fn civil_time(text: &str) -> Option<Time> {
    let seconds = if text.len() == "08:26".len() { ":00" } else { "" };
    format!("{text}{seconds}").parse().ok()
}

/// Jackson's arrays: year, month, day, hour, minute, second, nanosecond; zeros at the end may be missing.
struct DateParts(Vec<i32>);

impl DateParts {
    fn of(parts: &[Json<'_>]) -> Result<Self, Mismatch> {
        let parts = parts.iter().enumerate().take(8);
        parts
            .map(|(n, part)| number::int(part).map_err(|error| error.in_item(n)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    fn part<T: TryFrom<i32> + Default>(&self, position: usize) -> Result<T, Mismatch> {
        let part = self.0.get(position).copied();
        part.map_or(Ok(T::default()), |part| T::try_from(part).map_err(|_| self.refused()))
    }

    fn only_date(&self) -> Result<Date, Mismatch> {
        if self.0.len() == 3 { self.date() } else { Err(self.refused()) }
    }

    fn date(&self) -> Result<Date, Mismatch> {
        let date = Date::new(self.part(0)?, self.part(1)?, self.part(2)?).ok();
        date.filter(|date| date.year() >= 0).ok_or_else(|| self.refused())
    }

    /// Whose parts begin at a position. There are at least two.
    fn time(&self, from: usize) -> Result<Time, Mismatch> {
        if self.0.len() < from + 2 || self.0.len() > from + 4 {
            return Err(self.refused());
        }
        let (hour, minute) = (self.part(from)?, self.part(from + 1)?);
        let (second, nano) = (self.part(from + 2)?, self.part(from + 3)?);
        Time::new(hour, minute, second, nano).map_err(|_| self.refused())
    }

    fn refused(&self) -> Mismatch {
        Mismatch::new(format!("{:?} is not a date or a time in parts", self.0))
    }
}

fn in_units(nanos: i128, unit: TimeUnit, text: &str) -> Result<i64, Mismatch> {
    if nanos % unit.nanos() != 0 {
        let problem = format!("{:?} has more than {} decimals of a second", shortened(text), unit.digits());
        return Err(Mismatch::new(problem));
    }
    i64::try_from(nanos / unit.nanos())
        .map_err(|_| Mismatch::new(format!("{:?} does not fit 64 bits", shortened(text))))
}

fn outside(units: i64) -> Mismatch {
    Mismatch::new(format!("{units} is outside the years 0 to 9999"))
}

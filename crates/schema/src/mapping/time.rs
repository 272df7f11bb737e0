//! Dates and times: what is accepted, and the one form that is written.

use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Timestamp};

use crate::layout::shape::TimeUnit;
use crate::mapping::json::Json;
use crate::mapping::mismatch::{Mismatch, shortened};
use crate::mapping::number;
use crate::mapping::text::text;

/// 0000-01-01T00:00:00Z in seconds since 1970.
const YEAR_0: i64 = -62_167_219_200;
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
        let units = number::long(json)?;
        return timestamp_text(units, unit).map(|_| units);
    }
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
pub(crate) fn local_timestamp(json: &Json<'_>, unit: TimeUnit) -> Result<i64, Mismatch> {
    if let Json::Number(_) = json {
        let units = number::long(json)?;
        return local_timestamp_text(units, unit).map(|_| units);
    }
    if let Json::Array(parts) = json {
        let parts = DateParts::of(parts)?;
        let time = parts.date()?.to_datetime(parts.time(3)?);
        return in_units(time.duration_since(EPOCH).as_nanos(), unit, &json.to_string());
    }
    let text = text(json, "a local timestamp")?;
    let plain = text.get(..10).is_some_and(plain_date) && text.get(11..).is_some_and(plain_time);
    let parsed: Option<DateTime> = text.parse().ok().filter(|_| plain);
    let time = parsed.ok_or_else(|| {
        Mismatch::new(format!(
            "{:?} is not a local time of the form 2010-12-01T08:26:00.000, without an offset",
            shortened(text)
        ))
    })?;
    in_units(time.duration_since(EPOCH).as_nanos(), unit, text)
}

pub(crate) fn local_timestamp_text(units: i64, unit: TimeUnit) -> Result<String, Mismatch> {
    let nanos = i128::from(units) * unit.nanos();
    let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).map_err(|_| outside(units))?;
    #[expect(clippy::cast_possible_truncation, reason = "less than a second")]
    let since = SignedDuration::new(seconds, nanos.rem_euclid(1_000_000_000) as i32);
    let time = EPOCH.checked_add(since).ok();
    let time = time.filter(|time| time.year() >= 0).ok_or_else(|| outside(units))?;
    Ok(format!("{time:.0$}", unit.digits()))
}

/// Digits, colons and a fraction: no offset, no zone, no calendar annotation. No leap second either: seconds
/// since 1970 do not count them.
fn plain_time(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_digit() || byte == b':' || byte == b'.';
    let length = text.len() == "08:26".len() || text.len() >= "08:26:00".len();
    length && text.bytes().all(plain) && !text.contains(":60")
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

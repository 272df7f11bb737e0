//! What the texts at one path look like.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use super::numbers::{NumberForm, Numbers};
use super::references::Sightings;

/// Distinct values that are kept at most: more make no enum.
const MAX_DISTINCT: usize = 16;
/// The longest text that is kept as a distinct value, in bytes.
const MAX_DISTINCT_BYTES: usize = 64;

/// The first form that a text has, of those that decide its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::infer) enum TextForm {
    /// 8-4-4-4-12 hexadecimal digits.
    Uuid,
    /// `2010-12-01`.
    Date,
    /// Date and time with `Z` or an offset.
    Instant(Instant),
    /// A number in plain decimal digits.
    Digits(NumberForm),
    /// Digits that are no number because they begin with a zero: `007`.
    LeadingZero,
    /// `NaN`, `Infinity` or `-Infinity`.
    NoNumber,
    /// Anything else.
    Other,
}

/// A text that is a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::infer) struct Instant {
    /// Digits of the second's fraction, without trailing zeros.
    pub(in crate::infer) fraction_digits: u32,
    /// Whether the offset is zero.
    pub(in crate::infer) utc: bool,
    /// Whether nanoseconds since 1970 fit 64 bits (the years 1677 to 2262).
    pub(in crate::infer) fits_nanos: bool,
}

impl TextForm {
    pub(in crate::infer) fn of(text: &str) -> Self {
        if is_uuid(text) {
            Self::Uuid
        } else if is_date(text) {
            Self::Date
        } else if let Some(instant) = instant(text) {
            Self::Instant(instant)
        } else if let Some(form) = NumberForm::of_digits(text) {
            Self::Digits(form)
        } else if matches!(text, "NaN" | "Infinity" | "-Infinity") {
            Self::NoNumber
        } else if text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Self::LeadingZero
        } else {
            Self::Other
        }
    }
}

fn is_uuid(text: &str) -> bool {
    let hyphen = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match hyphen(at) {
            true => byte == b'-',
            false => byte.is_ascii_hexdigit(),
        })
}

/// Whether digits are where the pattern has `0`, and its other characters where it has them.
fn has_pattern(text: &str, pattern: &str) -> bool {
    text.len() == pattern.len()
        && text.bytes().zip(pattern.bytes()).all(|(byte, expected)| match expected {
            b'0' => byte.is_ascii_digit(),
            _ => byte == expected,
        })
}

fn is_date(text: &str) -> bool {
    has_pattern(text, "0000-00-00") && text.parse::<Date>().is_ok()
}

fn instant(text: &str) -> Option<Instant> {
    let (seconds, rest) = text.split_at_checked("0000-00-00T00:00:00".len())?;
    if !has_pattern(seconds, "0000-00-00T00:00:00") || seconds.ends_with("60") {
        return None;
    }
    let (fraction, offset) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.find(|character: char| !character.is_ascii_digit())?),
        None => ("", rest),
    };
    let has_fraction = rest.starts_with('.');
    let utc = offset == "Z";
    let zoned = utc || has_pattern(offset, "+00:00") || has_pattern(offset, "-00:00");
    if !zoned || fraction.len() > 9 || (has_fraction && fraction.is_empty()) {
        return None;
    }
    let timestamp: Timestamp = text.parse().ok()?;
    let digits = u32::try_from(fraction.trim_end_matches('0').len()).ok()?;
    Some(Instant {
        fraction_digits: digits,
        utc: utc || offset.ends_with("00:00"),
        fits_nanos: i64::try_from(timestamp.as_nanosecond()).is_ok(),
    })
}

/// Statistics of the texts at one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::infer) struct Texts {
    pub(in crate::infer) count: u64,
    pub(in crate::infer) uuids: u64,
    pub(in crate::infer) dates: u64,
    pub(in crate::infer) instants: u64,
    pub(in crate::infer) max_fraction_digits: u32,
    /// Timestamps that nanoseconds in 64 bits do not reach.
    pub(in crate::infer) beyond_nanos: Sightings,
    /// Timestamps with an offset that is not zero, which a timestamp does not keep.
    pub(in crate::infer) offsets: Sightings,
    /// Texts that are a number in plain digits.
    pub(in crate::infer) digits: Numbers,
    pub(in crate::infer) leading_zeros: Sightings,
    pub(in crate::infer) no_numbers: Sightings,
    /// Texts in no form that another of these counts.
    pub(in crate::infer) others: Sightings,
    /// How often each value is met; `None` above [`MAX_DISTINCT`] values or at a long one.
    pub(in crate::infer) distinct: Option<BTreeMap<Box<str>, u64>>,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            count: 0,
            uuids: 0,
            dates: 0,
            instants: 0,
            max_fraction_digits: 0,
            beyond_nanos: Sightings::default(),
            offsets: Sightings::default(),
            digits: Numbers::default(),
            leading_zeros: Sightings::default(),
            no_numbers: Sightings::default(),
            others: Sightings::default(),
            distinct: Some(BTreeMap::new()),
        }
    }
}

impl Texts {
    pub(in crate::infer) fn add(&mut self, text: &str, reference: &str) {
        self.count += 1;
        match TextForm::of(text) {
            TextForm::Uuid => self.uuids += 1,
            TextForm::Date => self.dates += 1,
            TextForm::Instant(instant) => {
                self.instants += 1;
                self.max_fraction_digits = self.max_fraction_digits.max(instant.fraction_digits);
                if !instant.fits_nanos {
                    self.beyond_nanos.add(reference);
                }
                if !instant.utc {
                    self.offsets.add(reference);
                }
            }
            TextForm::Digits(form) => self.digits.add(form, reference),
            TextForm::LeadingZero => self.leading_zeros.add(reference),
            TextForm::NoNumber => self.no_numbers.add(reference),
            TextForm::Other => self.others.add(reference),
        }
        if text.len() > MAX_DISTINCT_BYTES {
            self.distinct = None;
        } else {
            self.count_value(text, 1);
        }
    }

    pub(in crate::infer) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.uuids += other.uuids;
        self.dates += other.dates;
        self.instants += other.instants;
        self.max_fraction_digits = self.max_fraction_digits.max(other.max_fraction_digits);
        self.beyond_nanos.merge(&other.beyond_nanos);
        self.offsets.merge(&other.offsets);
        self.digits.merge(&other.digits);
        self.leading_zeros.merge(&other.leading_zeros);
        self.no_numbers.merge(&other.no_numbers);
        self.others.merge(&other.others);
        if let Some(distinct) = &other.distinct {
            for (text, count) in distinct {
                self.count_value(text, *count);
            }
        } else {
            self.distinct = None;
        }
    }

    fn count_value(&mut self, text: &str, times: u64) {
        let Some(distinct) = &mut self.distinct else { return };
        if let Some(count) = distinct.get_mut(text) {
            *count += times;
        } else if distinct.len() < MAX_DISTINCT {
            distinct.insert(text.into(), times);
        } else {
            self.distinct = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fraction_digits(text: &str) -> Option<u32> {
        instant(text).map(|instant| instant.fraction_digits)
    }

    #[test]
    fn a_timestamp_has_a_zone() {
        assert_eq!(fraction_digits("2022-03-27T07:11:59.9999999Z"), Some(7));
        assert_eq!(fraction_digits("2023-01-09T21:51:37+01:00"), Some(0));
        assert_eq!(fraction_digits("2023-03-01T08:14:10.560Z"), Some(2));
        for text in [
            "2022-04-01T00:00:00",
            "2023-03-24T13:30:00+01 Europe/Oslo",
            "2022-04-01",
            "2022-04-01T00:00:60Z",
            "2022-13-01T00:00:00Z",
            "2022-04-01T00:00:00.Z",
            "2022-04-01T00:00:00.1234567890Z",
            "2022-04-01T00:00:00+01:00[Europe/Oslo]",
            "1.05:58:33.1234567",
        ] {
            assert_eq!(fraction_digits(text), None, "{text}");
        }
    }

    #[test]
    fn an_offset_that_is_not_zero_is_counted() {
        let mut texts = Texts::default();
        texts.add("2022-04-01T00:00:00+02:00", "0@a-1");
        texts.add("2022-04-01T00:00:00+00:00", "1@a-1");
        texts.add("2022-04-01T00:00:00Z", "2@a-1");
        assert_eq!((texts.instants, texts.offsets.count), (3, 1));
        assert_eq!(texts.offsets.references(), ["0@a-1"]);
    }

    #[test]
    fn nanoseconds_reach_from_1677_to_2262() {
        assert_eq!(instant("0001-01-01T00:00:00Z").map(|instant| instant.fits_nanos), Some(false));
        assert_eq!(instant("2022-01-01T00:00:00Z").map(|instant| instant.fits_nanos), Some(true));
    }

    #[test]
    fn forms_are_told_apart() {
        assert_eq!(TextForm::of("f113dfcc-0925-450a-b875-979e9ce730c9"), TextForm::Uuid);
        assert_eq!(TextForm::of("f113dfcc-0925-450a-b875_979e9ce730c9"), TextForm::Other);
        assert_eq!(TextForm::of("2024-02-29"), TextForm::Date);
        assert_eq!(TextForm::of("2023-02-29"), TextForm::Other);
        assert_eq!(TextForm::of("0087619934584"), TextForm::LeadingZero);
        assert_eq!(TextForm::of("NaN"), TextForm::NoNumber);
        assert!(matches!(TextForm::of("895721"), TextForm::Digits(_)));
        assert_eq!(TextForm::of("2.1.0"), TextForm::Other);
        assert_eq!(TextForm::of(""), TextForm::Other);
    }

    #[test]
    fn distinct_values_are_bounded() {
        let mut texts = Texts::default();
        for number in 0..MAX_DISTINCT {
            texts.add(&format!("v{number}"), "0@a-1");
        }
        assert_eq!(texts.distinct.as_ref().map(BTreeMap::len), Some(MAX_DISTINCT));
        texts.add("another", "0@a-1");
        assert_eq!(texts.distinct, None);
    }
}

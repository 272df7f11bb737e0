//! Numbers, however they are written.

use crate::json::{Json, is_number};

/// The most digits behind the point that a number with an exact value may have.
const MOST_DECIMALS: i64 = 76;

/// The text of a number, or a text that is one.
fn written(json: &Json) -> Option<&str> {
    match json {
        Json::Number(digits) => Some(digits),
        Json::Text(Some(text)) => Some(text.as_str()).filter(|text| is_number(text)),
        _ => None,
    }
}

/// A whole number of 64 bits: `7`, `7.0`, `70e-1` or `"7"`.
pub(super) fn whole(json: &Json) -> Option<i64> {
    exact(written(json)?, 0).and_then(|number| i64::try_from(number).ok())
}

/// The number in units of 10^-scale: `2.55` at scale 3 is 2550. None if that is not exact.
pub(super) fn decimal(json: &Json, scale: u32) -> Option<i128> {
    match json {
        Json::Number(digits) => exact(digits, scale),
        // Zeros before its digits are no fault of a decimal.
        Json::Text(Some(text)) => exact(text, scale),
        _ => None,
    }
}

/// The nearest double; a text may also say what JSON's numbers cannot.
pub(super) fn double(json: &Json) -> Option<f64> {
    match json.as_text() {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        _ => written(json)?.parse().ok().filter(|number: &f64| number.is_finite()),
    }
}

/// The nearest float, as a double.
#[expect(clippy::cast_possible_truncation, reason = "the nearest float is meant")]
pub(super) fn float(json: &Json) -> Option<f64> {
    let double = double(json)?;
    let float = double as f32;
    (float.is_finite() || !double.is_finite()).then(|| float.into())
}

/// Whether the text says what JSON's numbers cannot.
pub(super) fn is_special(text: &str) -> bool {
    matches!(text, "NaN" | "Infinity" | "-Infinity")
}

/// Digits with an optional sign, fraction and exponent, in units of 10^-scale.
fn exact(text: &str, scale: u32) -> Option<i128> {
    let (sign, unsigned) = text.strip_prefix('-').map_or((1, text), |unsigned| (-1, unsigned));
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (mantissa, ""),
    };
    let is_digits = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    let unsigned_exponent = exponent.map(|it| it.strip_prefix(['+', '-']).unwrap_or(it));
    let is_exponent = unsigned_exponent.is_none_or(|digits| !digits.is_empty() && is_digits(digits));
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) || !is_exponent {
        return None;
    }
    let digits: String = [whole, fraction].concat();
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    let decimals = i64::try_from(fraction.len()).ok()?;
    if decimals > MOST_DECIMALS {
        return None;
    }
    if significant.is_empty() {
        return Some(0);
    }
    let exponent = exponent.map_or(Some(0), |it| it.parse::<i32>().ok())?;
    let zeros = digits.len() - digits.trim_end_matches('0').len();
    // The value is these digits times ten to this power.
    let power = i64::from(exponent) - decimals + i64::try_from(zeros).ok()? + i64::from(scale);
    let factor = 10_i128.checked_pow(u32::try_from(power).ok()?)?;
    significant.parse::<i128>().ok()?.checked_mul(factor).map(|number| sign * number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn whole_numbers_have_many_forms() {
        for text in ["7", "7.0", "70e-1", "0.07E2", "\"7\"", "\"7.00\""] {
            assert_eq!(whole(&json(text)), Some(7), "{text}");
        }
        for text in ["7.5", "\"007\"", "\"+7\"", "\"\"", "true", "9223372036854775808", "1e400", "\"NaN\""] {
            assert_eq!(whole(&json(text)), None, "{text}");
        }
        assert_eq!(whole(&json("-9223372036854775808")), Some(i64::MIN));
        assert_eq!(whole(&json("-0")), Some(0));
    }

    #[test]
    fn decimals_keep_every_digit() {
        for (text, expected) in [
            ("0.1", Some(100)),
            ("1E-07", None),
            ("1e-3", Some(1)),
            ("\"255.000\"", Some(255_000)),
            ("\"007.5\"", Some(7_500)),
            ("12345678901234567890.123", Some(12_345_678_901_234_567_890_123)),
            ("\"1.\"", None),
            ("\".5\"", None),
            ("0e999", Some(0)),
        ] {
            assert_eq!(decimal(&json(text), 3), expected, "{text}");
        }
    }

    #[test]
    fn floats_are_the_nearest_ones() {
        assert_eq!(double(&json("\"1.5\"")), Some(1.5));
        assert!(double(&json("\"NaN\"")).unwrap().is_nan());
        assert_eq!(double(&json("1e400")), None);
        assert_eq!(float(&json("1e39")), None);
        assert_eq!(float(&json("0.1")), Some(f64::from(0.1_f32)));
    }
}

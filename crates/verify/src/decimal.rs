//! Exact decimals as whole numbers at a fixed number of places.

/// The decimal in `text` as a whole number of units of 10^-places: `("2.55", 5)` is 255000. `None` if it is
/// no decimal (digits on both sides of the point, optional sign), not exact at that many places, or beyond
/// what 128 bits hold.
pub fn scaled(text: &str, places: u32) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    if whole.is_empty()
        || fraction.is_empty()
        || !(whole.bytes().chain(fraction.bytes())).all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let mut value: i128 = whole.parse().ok()?;
    let significant = fraction.trim_end_matches('0');
    let missing = places.checked_sub(u32::try_from(significant.len()).ok()?)?;
    for digit in significant.bytes() {
        value = value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    value = value.checked_mul(10_i128.checked_pow(missing)?)?;
    Some(if negative { -value } else { value })
}

/// The number of 10^-places units as text, without trailing zeros: `(255000, 5)` is "2.55", `(0, 3)` is "0".
pub fn trimmed(value: i128, places: usize) -> String {
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let fraction = fraction.trim_end_matches('0');
    let sign = if value < 0 { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_decimals_exactly_or_not_at_all() {
        let cases = [
            ("2.55", Some(255_000)),
            ("0.001", Some(100)),
            ("-11062.06", Some(-1_106_206_000)),
            ("7", Some(700_000)),
            ("1.2300000", Some(123_000)),
            ("0.000001", None),
            ("", None),
            (".5", None),
            ("5.", None),
            ("1e3", None),
            ("+1", None),
            ("--1", None),
        ];
        for (text, expected) in cases {
            assert_eq!(scaled(text, 5), expected, "{text:?}");
        }
        assert_eq!(scaled("9999999999999999999999999999999999999999", 0), None);
    }

    #[test]
    fn writes_them_without_trailing_zeros() {
        assert_eq!(trimmed(255_000, 3), "255");
        assert_eq!(trimmed(100, 3), "0.1");
        assert_eq!(trimmed(-1_500, 3), "-1.5");
        assert_eq!(trimmed(0, 3), "0");
    }
}

//! What the numbers at one path look like, as they are written.

use super::references::Sightings;

/// A number's text, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::infer) struct NumberForm {
    /// Digits before the point, without leading zeros.
    pub(in crate::infer) whole_digits: u32,
    /// Digits after the point, as written.
    pub(in crate::infer) scale: u32,
    /// Digits after the point without trailing zeros.
    pub(in crate::infer) needed_scale: u32,
    /// Digits from the first that is not zero to the last that is not zero.
    pub(in crate::infer) significant_digits: u32,
    pub(in crate::infer) exponent: bool,
    /// The value, where it is a whole number of 64 bits without point and exponent.
    pub(in crate::infer) long: Option<i64>,
}

impl NumberForm {
    /// Takes apart a JSON number.
    pub(in crate::infer) fn of(text: &str) -> Self {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], true),
            None => (unsigned, false),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let whole = whole.trim_start_matches('0');
        let needed = fraction.trim_end_matches('0');
        let significant = match (whole.is_empty(), needed.is_empty()) {
            (true, _) => needed.trim_start_matches('0').len(),
            (false, true) => whole.trim_end_matches('0').len(),
            (false, false) => whole.len() + needed.len(),
        };
        let length = |digits: usize| u32::try_from(digits).unwrap_or(u32::MAX);
        Self {
            whole_digits: length(whole.len()),
            scale: length(fraction.len()),
            needed_scale: length(needed.len()),
            significant_digits: length(significant),
            exponent,
            long: if exponent || unsigned.contains('.') { None } else { text.parse().ok() },
        }
    }

    /// Takes apart a text that holds a number in plain decimal digits: `12`, `-0.50`; not `007`, `+1` or `1e3`.
    pub(in crate::infer) fn of_digits(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (unsigned, "0"),
        };
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let plain = all_digits(whole) && all_digits(fraction) && (whole == "0" || !whole.starts_with('0'));
        plain.then(|| Self::of(text))
    }
}

/// Statistics of the numbers at one path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::infer) struct Numbers {
    pub(in crate::infer) count: u64,
    /// Numbers with a point.
    pub(in crate::infer) fractions: Sightings,
    pub(in crate::infer) exponents: Sightings,
    /// Numbers with a fraction that have more significant digits than every 64-bit float keeps (15).
    pub(in crate::infer) long_fractions: Sightings,
    /// Whole numbers beyond 64 bits.
    pub(in crate::infer) beyond_long: Sightings,
    pub(in crate::infer) max_whole_digits: u32,
    pub(in crate::infer) max_scale: u32,
    pub(in crate::infer) max_needed_scale: u32,
    pub(in crate::infer) max_significant_digits: u32,
    /// Smallest and largest of the whole numbers of 64 bits.
    pub(in crate::infer) range: Option<(i64, i64)>,
}

/// Decimal digits that a 64-bit float keeps, whatever the number.
pub(in crate::infer) const DOUBLE_DIGITS: u32 = 15;

impl Numbers {
    pub(in crate::infer) fn add(&mut self, form: NumberForm, reference: &str) {
        self.count += 1;
        if form.scale > 0 {
            self.fractions.add(reference);
        }
        if form.exponent {
            self.exponents.add(reference);
        }
        if form.needed_scale > 0 && form.significant_digits > DOUBLE_DIGITS {
            self.long_fractions.add(reference);
        }
        if form.scale == 0 && !form.exponent && form.long.is_none() {
            self.beyond_long.add(reference);
        }
        self.max_whole_digits = self.max_whole_digits.max(form.whole_digits);
        self.max_scale = self.max_scale.max(form.scale);
        self.max_needed_scale = self.max_needed_scale.max(form.needed_scale);
        self.max_significant_digits = self.max_significant_digits.max(form.significant_digits);
        if let Some(long) = form.long {
            self.widen_range((long, long));
        }
    }

    pub(in crate::infer) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.fractions.merge(&other.fractions);
        self.exponents.merge(&other.exponents);
        self.long_fractions.merge(&other.long_fractions);
        self.beyond_long.merge(&other.beyond_long);
        self.max_whole_digits = self.max_whole_digits.max(other.max_whole_digits);
        self.max_scale = self.max_scale.max(other.max_scale);
        self.max_needed_scale = self.max_needed_scale.max(other.max_needed_scale);
        self.max_significant_digits = self.max_significant_digits.max(other.max_significant_digits);
        if let Some(range) = other.range {
            self.widen_range(range);
        }
    }

    fn widen_range(&mut self, (low, high): (i64, i64)) {
        self.range = Some(self.range.map_or((low, high), |(min, max)| (min.min(low), max.max(high))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn significant_digits_leave_out_the_outer_zeros() {
        for (text, whole, scale, significant) in [
            ("0", 0, 0, 0),
            ("0.10", 0, 2, 1),
            ("-1575.300", 4, 3, 5),
            ("0.0000001", 0, 7, 1),
            ("0.30000000000000004", 0, 17, 17),
            ("33.333333333333336", 2, 15, 17),
            ("1000", 4, 0, 1),
            ("1200.50", 4, 2, 5),
            ("79228162514264337593543950335.0", 29, 1, 29),
        ] {
            let form = NumberForm::of(text);
            assert_eq!(
                (form.whole_digits, form.scale, form.significant_digits),
                (whole, scale, significant),
                "{text}"
            );
        }
    }

    #[test]
    fn whole_numbers_of_64_bits_are_longs() {
        assert_eq!(NumberForm::of("-9223372036854775808").long, Some(i64::MIN));
        assert_eq!(NumberForm::of("18446744073709551615").long, None);
        assert_eq!(NumberForm::of("1.0").long, None);
        assert!(NumberForm::of("1E+21").exponent);
    }

    #[test]
    fn digit_texts_have_no_leading_zero_sign_or_exponent() {
        for text in ["12", "0", "-5", "0.50", "895721", "-0.1"] {
            assert!(NumberForm::of_digits(text).is_some(), "{text}");
        }
        for text in
            ["", "-", "007", "00.5", "+1", "1e3", ".5", "5.", "1,5", " 1", "1.2.3", "NaN", "1.-2", "--1"]
        {
            assert!(NumberForm::of_digits(text).is_none(), "{text}");
        }
    }
}

//! Exact decimals: a whole number and how many of its digits are after the point.

use std::cmp::Ordering;
use std::fmt;

/// The most digits a decimal may have, so that it fits 128 bits.
pub(crate) const MAX_PRECISION: usize = 38;

/// The most digits after the point that text or a product may have. A type has at most [`MAX_PRECISION`] of them,
/// so the product of any two values that fit their types has at most twice as many; what is longer can only be
/// zeros, or a number that fits no type.
pub(crate) const MAX_SCALE: u32 = 2 * MAX_PRECISION as u32;

/// `unscaled × 10^-scale`. Nothing here ever rounds: what has no exact answer is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub(crate) unscaled: i128,
    pub(crate) scale: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecimalError {
    #[error("{0:?} is not a decimal number")]
    NotADecimal(String),
    #[error("{0} has more than {1} decimals, and values are not rounded")]
    TooManyDecimals(Decimal, u32),
    #[error("more than {0} digits after the point")]
    TooLong(u32),
    #[error("more than {0} digits")]
    TooLarge(usize),
}

impl Decimal {
    pub(crate) fn parse(text: &str) -> Result<Self, DecimalError> {
        let not_a_decimal = || DecimalError::NotADecimal(text.chars().take(64).collect());
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, fraction) = match digits.split_once('.') {
            Some((_, "")) => return Err(not_a_decimal()),
            Some(parts) => parts,
            None => (digits, ""),
        };
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return Err(not_a_decimal());
        }
        let scale = u32::try_from(fraction.len()).ok().filter(|scale| *scale <= MAX_SCALE);
        let scale = scale.ok_or(DecimalError::TooLong(MAX_SCALE))?;
        let mut unscaled: i128 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            unscaled = unscaled
                .checked_mul(10)
                .and_then(|shifted| shifted.checked_add(i128::from(digit - b'0')))
                .ok_or(DecimalError::TooLarge(MAX_PRECISION))?;
        }
        Ok(Self { unscaled: if negative { -unscaled } else { unscaled }, scale })
    }

    /// Like [`parse`](Self::parse), but with an exponent or without: `1E-07`.
    pub(crate) fn parse_number(text: &str) -> Result<Self, DecimalError> {
        let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return Self::parse(text) };
        let not_a_decimal = || DecimalError::NotADecimal(text.chars().take(64).collect());
        let mantissa = Self::parse(mantissa).map_err(|error| match error {
            DecimalError::NotADecimal(_) => not_a_decimal(),
            error => error,
        })?;
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(not_a_decimal());
        }
        if mantissa.unscaled == 0 {
            return Ok(Self { unscaled: 0, scale: 0 });
        }
        // An exponent that is no 32-bit number is far outside of any decimal.
        let outside = if exponent.starts_with('-') {
            DecimalError::TooLong(MAX_SCALE)
        } else {
            DecimalError::TooLarge(MAX_PRECISION)
        };
        let exponent: i32 = exponent.parse().map_err(|_| outside.clone())?;
        mantissa.shift(exponent).ok_or(outside)
    }

    /// Times 10 to the power of `exponent`; `None` beyond what a decimal can hold.
    fn shift(self, exponent: i32) -> Option<Self> {
        let mut scale = i64::from(self.scale) - i64::from(exponent);
        let mut unscaled = self.unscaled;
        while scale > i64::from(MAX_SCALE) && unscaled % 10 == 0 {
            unscaled /= 10;
            scale -= 1;
        }
        if let Ok(scale) = u32::try_from(scale) {
            return (scale <= MAX_SCALE).then_some(Self { unscaled, scale });
        }
        let factor = 10_i128.checked_pow(u32::try_from(-scale).ok()?)?;
        Some(Self { unscaled: unscaled.checked_mul(factor)?, scale: 0 })
    }

    /// The same number with exactly `scale` decimals.
    pub(crate) fn rescale(self, scale: u32) -> Result<Self, DecimalError> {
        let too_large = DecimalError::TooLarge(MAX_PRECISION);
        if self.unscaled == 0 {
            return Ok(Self { unscaled: 0, scale });
        }
        if scale >= self.scale {
            let factor = 10_i128.checked_pow(scale - self.scale).ok_or(too_large.clone())?;
            return Ok(Self { unscaled: self.unscaled.checked_mul(factor).ok_or(too_large)?, scale });
        }
        // A factor beyond 128 bits is beyond any number that is not zero.
        match 10_i128.checked_pow(self.scale - scale) {
            Some(factor) if self.unscaled % factor == 0 => {
                Ok(Self { unscaled: self.unscaled / factor, scale })
            }
            _ => Err(DecimalError::TooManyDecimals(self, scale)),
        }
    }

    pub(crate) fn checked_add(self, other: Self) -> Result<Self, DecimalError> {
        let scale = self.scale.max(other.scale);
        let (left, right) = (self.rescale(scale)?, other.rescale(scale)?);
        let sum = left.unscaled.checked_add(right.unscaled);
        sum.map(|unscaled| Self { unscaled, scale }).ok_or(DecimalError::TooLarge(MAX_PRECISION))
    }

    pub(crate) fn checked_sub(self, other: Self) -> Result<Self, DecimalError> {
        let negated = other.unscaled.checked_neg().ok_or(DecimalError::TooLarge(MAX_PRECISION))?;
        self.checked_add(Self { unscaled: negated, scale: other.scale })
    }

    pub(crate) fn checked_mul(self, other: Self) -> Result<Self, DecimalError> {
        let scale = self.scale.checked_add(other.scale).filter(|scale| *scale <= MAX_SCALE);
        let scale = scale.ok_or(DecimalError::TooLong(MAX_SCALE))?;
        let product = self.unscaled.checked_mul(other.unscaled);
        product.map(|unscaled| Self { unscaled, scale }).ok_or(DecimalError::TooLarge(MAX_PRECISION))
    }

    /// By value: 1.0 equals 1.00.
    pub(crate) fn compare(self, other: Self) -> Ordering {
        let scale = self.scale.max(other.scale);
        match (self.rescale(scale), other.rescale(scale)) {
            (Ok(one), Ok(other)) => one.unscaled.cmp(&other.unscaled),
            // One of them has too many digits for 128 bits at this scale, so it is the larger of the two in magnitude.
            (Err(_), _) => {
                if self.unscaled < 0 {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
            (_, Err(_)) => {
                if other.unscaled < 0 {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
            }
        }
    }

    /// Whether it has at most that many digits.
    pub(crate) fn fits(self, precision: usize) -> bool {
        let digits = u32::try_from(precision).unwrap_or(u32::MAX);
        10_u128.checked_pow(digits).is_none_or(|limit| self.unscaled.unsigned_abs() < limit)
    }
}

impl From<i64> for Decimal {
    fn from(whole: i64) -> Self {
        Self { unscaled: i128::from(whole), scale: 0 }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.unscaled.unsigned_abs().to_string();
        let scale = self.scale as usize;
        if self.unscaled < 0 {
            f.write_str("-")?;
        }
        match digits.len().checked_sub(scale) {
            _ if scale == 0 => f.write_str(&digits),
            // Not by a width: `fmt` panics at one of more than 16 bits.
            None | Some(0) => {
                f.write_str("0.")?;
                (digits.len()..scale).try_for_each(|_| f.write_str("0"))?;
                f.write_str(&digits)
            }
            Some(whole) => write!(f, "{}.{}", &digits[..whole], &digits[whole..]),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn reads_and_writes_text() {
        for text in ["0", "-1", "2.55", "0.001", "-0.05", "100.00", "170141183460469231731687303715884105727"]
        {
            assert_eq!(decimal(text).to_string(), text);
        }
    }

    #[test]
    fn refuses_what_is_no_decimal() {
        for text in ["", "-", ".5", "5.", "1e3", "+1", "1,5", "0x1", " 1", "--1", "1.2.3", "NaN", "1.-2"] {
            assert_eq!(Decimal::parse(text), Err(DecimalError::NotADecimal(text.to_owned())), "{text}");
        }
        let long = "9".repeat(40);
        assert_eq!(Decimal::parse(&long), Err(DecimalError::TooLarge(38)));
    }

    #[test]
    fn comparison_is_by_value() {
        let largest = "170141183460469231731687303715884105727";
        for (one, other, order) in [
            ("10.00", "9.00", Ordering::Greater),
            ("10.0", "10.00", Ordering::Equal),
            ("-10.0", "9", Ordering::Less),
            (largest, "0.001", Ordering::Greater),
            ("-0.00000000000000000000000001", largest, Ordering::Less),
            ("-170141183460469231731687303715884105727", "-0.1", Ordering::Less),
        ] {
            assert_eq!(decimal(one).compare(decimal(other)), order, "{one} {other}");
            assert_eq!(decimal(other).compare(decimal(one)), order.reverse(), "{other} {one}");
        }
    }

    #[test]
    fn rescaling_never_rounds() {
        assert_eq!(decimal("2.5").rescale(3), Ok(decimal("2.500")));
        assert_eq!(decimal("2.500").rescale(1), Ok(decimal("2.5")));
        let refused = decimal("2.505").rescale(2).unwrap_err();
        assert_eq!(refused.to_string(), "2.505 has more than 2 decimals, and values are not rounded");
    }

    /// Zeros behind the point cost no precision: 66,000 of them once made a number whose text panicked.
    #[test]
    fn text_with_very_many_decimals_is_refused() {
        let too_long = Err(DecimalError::TooLong(MAX_SCALE));
        for zeros in [76, 66_000, 1 << 20] {
            assert_eq!(Decimal::parse(&format!("0.{}1", "0".repeat(zeros))), too_long, "{zeros} zeros");
        }
        let smallest = format!("0.{}1", "0".repeat(75));
        assert_eq!(decimal(&smallest).to_string(), smallest);
    }

    #[test]
    fn a_product_with_very_many_decimals_is_refused() {
        let tiny = decimal(&format!("0.{}1", "0".repeat(37)));
        let product = tiny.checked_mul(tiny).unwrap();
        assert_eq!((product.unscaled, product.scale), (1, MAX_SCALE));
        assert_eq!(product.checked_mul(decimal("0.1")), Err(DecimalError::TooLong(MAX_SCALE)));
        assert_eq!(decimal("0.0").checked_mul(product), Err(DecimalError::TooLong(MAX_SCALE)));
    }

    #[test]
    fn any_scale_has_a_text() {
        let text = Decimal { unscaled: -7, scale: 70_000 }.to_string();
        assert_eq!(text, format!("-0.{}7", "0".repeat(69_999)));
    }

    proptest! {
        #[test]
        fn no_text_however_long_panics(
            sign in "-?", whole in "[0-9]{0,45}", zeros in prop_oneof![0..90_usize, 0..70_000_usize],
            digits in "[0-9]{0,45}", scale in 0..=MAX_PRECISION as u32,
        ) {
            let text = format!("{sign}{whole}.{}{digits}", "0".repeat(zeros));
            let number = match Decimal::parse(&text) {
                Ok(number) => number,
                Err(error) => {
                    prop_assert!(error.to_string().len() < 200);
                    return Ok(());
                }
            };
            let again = Decimal::parse(&number.to_string());
            prop_assert_eq!(again, Ok(number));
            let hundred = Decimal::from(100);
            for answer in [
                number.rescale(scale),
                number.checked_mul(number),
                number.checked_mul(hundred),
                number.checked_add(hundred),
                number.checked_sub(hundred),
            ] {
                let shown = answer.map_or_else(|error| error.to_string(), |number| number.to_string());
                prop_assert!(!shown.is_empty() && shown.len() < 200, "{}", shown);
            }
        }

        #[test]
        fn text_is_an_identity(unscaled: i128, scale in 0_u32..30) {
            prop_assume!(unscaled != i128::MIN);
            let number = Decimal { unscaled, scale };
            prop_assert_eq!(Decimal::parse(&number.to_string()), Ok(number));
        }

        #[test]
        fn sums_and_products_are_those_of_whole_numbers(a: i32, b: i32, scale in 0_u32..5) {
            let (x, y) = (Decimal { unscaled: a.into(), scale }, Decimal { unscaled: b.into(), scale });
            prop_assert_eq!(x.checked_add(y).unwrap().unscaled, i128::from(a) + i128::from(b));
            prop_assert_eq!(x.checked_sub(y).unwrap().unscaled, i128::from(a) - i128::from(b));
            let product = x.checked_mul(y).unwrap();
            prop_assert_eq!((product.unscaled, product.scale), (i128::from(a) * i128::from(b), 2 * scale));
        }
    }
}

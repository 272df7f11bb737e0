//! Exact decimals: a whole number and how many of its digits stand after the point.

use std::fmt;

/// The most digits a decimal may have, so that it fits 128 bits.
pub(crate) const MAX_PRECISION: usize = 38;

/// `unscaled × 10^-scale`. Nothing here ever rounds: what has no exact answer is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub(crate) unscaled: i128,
    pub(crate) scale: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecimalError {
    #[error("{0:?} is no decimal number (digits, with a point and a sign at most)")]
    NotADecimal(String),
    #[error("{0} has more than {1} decimals, and nothing is ever rounded")]
    TooManyDecimals(Decimal, u32),
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
        let mut unscaled: i128 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            unscaled = unscaled
                .checked_mul(10)
                .and_then(|shifted| shifted.checked_add(i128::from(digit - b'0')))
                .ok_or(DecimalError::TooLarge(MAX_PRECISION))?;
        }
        // More decimals than digits fit would have overflowed above, unless they are zeros.
        let scale = u32::try_from(fraction.len()).map_err(|_| DecimalError::TooLarge(MAX_PRECISION))?;
        Ok(Self { unscaled: if negative { -unscaled } else { unscaled }, scale })
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
        let scale = self.scale.checked_add(other.scale);
        let product = self.unscaled.checked_mul(other.unscaled);
        match (product, scale) {
            (Some(unscaled), Some(scale)) => Ok(Self { unscaled, scale }),
            _ => Err(DecimalError::TooLarge(MAX_PRECISION)),
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
            None | Some(0) => write!(f, "0.{digits:0>scale$}"),
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
    fn rescaling_never_rounds() {
        assert_eq!(decimal("2.5").rescale(3), Ok(decimal("2.500")));
        assert_eq!(decimal("2.500").rescale(1), Ok(decimal("2.5")));
        let refused = decimal("2.505").rescale(2).unwrap_err();
        assert_eq!(refused.to_string(), "2.505 has more than 2 decimals, and nothing is ever rounded");
    }

    proptest! {
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

//! Exact sums of the values that events add to a column.

use std::fmt;

use crate::model::cells::Cell;
use crate::model::column_type::ColumnType;

/// A sum in the way of Postgres: of decimals, with as many digits after the point as the longest of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ExactSum {
    unscaled: i128,
    scale: u32,
}

impl ExactSum {
    /// Adds a value that the column takes unchanged. `None`: only Postgres knows what it makes of the value, or the sum is too
    /// large; null adds nothing.
    pub(crate) fn add(self, column: ColumnType, value: Cell<'_>) -> Option<Self> {
        let added = match value {
            Cell::Null => return Some(self),
            Cell::Integer(number) => Self { unscaled: number.into(), scale: 0 },
            Cell::Text(text) => Self::parse(text)?,
            Cell::Bool(_) | Cell::Json(_) => return None,
        };
        if !added.fits(column) {
            return None;
        }
        let scale = self.scale.max(added.scale);
        let unscaled = self.scaled_to(scale)?.checked_add(added.scaled_to(scale)?)?;
        Some(Self { unscaled, scale })
    }

    fn parse(text: &str) -> Option<Self> {
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_number(whole) || !is_number(fraction) || digits.ends_with('.') {
            return None;
        }
        let mut unscaled: i128 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            unscaled = unscaled.checked_mul(10)?.checked_add((digit - b'0').into())?;
        }
        Some(Self { unscaled: unscaled * sign, scale: fraction.len().try_into().ok()? })
    }

    /// Whether the column takes the value without rounding it.
    fn fits(self, column: ColumnType) -> bool {
        let within =
            |min: i64, max: i64| self.scale == 0 && (min.into()..=max.into()).contains(&self.unscaled);
        match column {
            ColumnType::SmallInt => within(i16::MIN.into(), i16::MAX.into()),
            ColumnType::Integer => within(i32::MIN.into(), i32::MAX.into()),
            ColumnType::BigInt => within(i64::MIN, i64::MAX),
            ColumnType::Numeric(None) => true,
            ColumnType::Numeric(Some((precision, scale))) => {
                let limit = 10_u128.checked_pow(precision);
                let scaled = self.scaled_to(scale).filter(|_| self.scale <= scale);
                scaled.is_some_and(|scaled| limit.is_none_or(|limit| scaled.unsigned_abs() < limit))
            }
            _ => false,
        }
    }

    /// The digits with at least as many after the point as there are.
    fn scaled_to(self, scale: u32) -> Option<i128> {
        self.unscaled.checked_mul(10_i128.checked_pow(scale.checked_sub(self.scale)?)?)
    }
}

impl fmt::Display for ExactSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, digits) = (if self.unscaled < 0 { "-" } else { "" }, self.unscaled.unsigned_abs());
        match self.scale {
            0 => write!(f, "{sign}{digits}"),
            scale => {
                // Before the point there is at least one digit.
                let digits = format!("{digits:0>width$}", width = scale as usize + 1);
                let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
                write!(f, "{sign}{whole}.{fraction}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn sum(column: ColumnType, values: &[Value]) -> Option<String> {
        let sum = values.iter().try_fold(ExactSum::default(), |sum, value| sum.add(column, value.into()));
        sum.map(|sum| sum.to_string())
    }

    #[test]
    fn sums_are_those_of_postgres() {
        let numeric = ColumnType::Numeric(None);
        assert_eq!(sum(numeric, &[]).as_deref(), Some("0"));
        assert_eq!(
            sum(numeric, &[json!("1.50"), json!(null), json!(2), json!("-3.625")]).as_deref(),
            Some("-0.125")
        );
        assert_eq!(sum(numeric, &[json!("0.05"), json!("-0.05")]).as_deref(), Some("0.00"));
        assert_eq!(
            sum(ColumnType::SmallInt, &[json!(32_767), json!(1)]).as_deref(),
            Some("32768"),
            "Postgres refuses it"
        );
        assert_eq!(
            sum(ColumnType::Numeric(Some((4, 2))), &[json!("99.99"), json!("0.1")]).as_deref(),
            Some("100.09")
        );
    }

    #[test]
    fn values_that_postgres_would_change_or_refuse_are_left_to_it() {
        let limited = ColumnType::Numeric(Some((4, 2)));
        for (column, value) in [
            (limited, json!("0.005")),
            (limited, json!(100)),
            (ColumnType::Integer, json!("1.0")),
            (ColumnType::Integer, json!(3_000_000_000_i64)),
            (ColumnType::BigInt, json!(u64::MAX)),
            (ColumnType::Numeric(None), json!(0.5)),
            (ColumnType::Numeric(None), json!("1e3")),
            (ColumnType::Numeric(None), json!("1.")),
            (ColumnType::Numeric(None), json!(".5")),
            (ColumnType::Numeric(None), json!(" 5")),
            (ColumnType::Numeric(None), json!("NaN")),
            (ColumnType::Numeric(None), json!("9".repeat(40))),
            (ColumnType::Numeric(None), json!(true)),
            (ColumnType::Scalar, json!(1)),
        ] {
            assert_eq!(sum(column, std::slice::from_ref(&value)), None, "{column:?} {value}");
        }
        let large = json!(i64::MAX.to_string().repeat(2));
        assert_eq!(
            sum(ColumnType::Numeric(None), &[large.clone(), json!("0.01")]),
            None,
            "too large with a fraction"
        );
        assert!(sum(ColumnType::Numeric(None), &[large]).is_some());
    }
}

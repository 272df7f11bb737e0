//! Money: exact counts of minor units (pence). Nothing is ever rounded.
//!
//! The file has prices down to a tenth of a penny (0.001 pounds = "0.100"), so amounts carry three places,
//! as the schemas' `decimal(18, 3)`.

use rust_decimal::Decimal;

/// Places after the point.
const SCALE: u32 = 3;
/// Digits that are left for the places before it.
const LIMIT: Decimal = Decimal::from_parts(2_764_472_320, 232_830, 0, false, 0);

/// An amount that cannot be stored exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than three decimal places or more than fifteen digits before the point")]
pub struct AmountError;

/// The amount with the places that the schema has.
pub fn stored(amount: Decimal) -> Result<Decimal, AmountError> {
    let mut scaled = amount;
    scaled.rescale(SCALE);
    if scaled == amount && scaled.abs() < LIMIT { Ok(scaled) } else { Err(AmountError) }
}

/// Sum of `quantity × unit price`.
pub fn total(items: impl IntoIterator<Item = (i32, Decimal)>) -> Result<Decimal, AmountError> {
    let mut sum = Decimal::ZERO;
    for (quantity, unit_price) in items {
        let price = Decimal::from(quantity).checked_mul(unit_price).ok_or(AmountError)?;
        sum = sum.checked_add(price).ok_or(AmountError)?;
    }
    stored(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_exact() {
        let price = |text: &str| text.parse::<Decimal>().unwrap();
        let sum = total([(6, price("255.000")), (3, price("0.1")), (1, price("0"))]).unwrap();
        assert_eq!(sum.to_string(), "1530.300");
    }

    #[test]
    fn what_does_not_fit_the_schema_is_refused() {
        assert_eq!(stored("0.0001".parse().unwrap()), Err(AmountError));
        assert_eq!(
            stored("999999999999999.999".parse().unwrap()),
            Ok("999999999999999.999".parse().unwrap())
        );
        assert_eq!(stored("1000000000000000".parse().unwrap()), Err(AmountError));
        assert_eq!(stored(Decimal::MAX), Err(AmountError));
        assert_eq!(total([(i32::MAX, Decimal::MAX)]), Err(AmountError));
    }
}

//! Why an aggregate says no.

use jiff::civil::DateTime;
use rust_decimal::Decimal;

use crate::amount;

/// A refusal by the domain: an answer to the caller, never a fault of the system.
pub trait Refusal: std::error::Error + Send + Sync + 'static {
    /// Stable name, `order-exists`.
    fn code(&self) -> &'static str;
    /// What stands against the command.
    fn kind(&self) -> RefusalKind;
}

/// What stands against a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// The command itself: it would be refused in any state.
    Invalid,
    /// The state of the aggregate.
    Conflict,
    /// There is no such thing.
    NotFound,
}

/// A field of a command that cannot be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct InvalidField {
    /// Path of the field: `lines[3].quantity`.
    pub field: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl InvalidField {
    pub(crate) fn new(field: impl Into<String>, problem: &'static str) -> Self {
        Self { field: field.into(), problem }
    }
}

/// Ids become names of streams and keys of records: they need an end, and no invisible parts.
pub(crate) fn check_id(field: &str, id: &str) -> Result<(), InvalidField> {
    let problem = match id {
        "" => "must not be empty",
        id if id.len() > 100 => "must not be longer than 100 bytes",
        id if id.trim() != id || id.chars().any(char::is_control) => {
            "must have neither control characters nor spaces around it"
        }
        _ => return Ok(()),
    };
    Err(InvalidField::new(field, problem))
}

/// Free text that is shown in one line and stored in Postgres, which does not accept NUL.
pub(crate) fn check_text(field: &str, text: &str) -> Result<(), InvalidField> {
    check_length(field, text)?;
    if text.chars().any(char::is_control) {
        return Err(InvalidField::new(field, "must not have control characters"));
    }
    Ok(())
}

/// Free text has a bound of its own, so that the refusal of a request that is too large names its field.
pub(crate) fn check_length(field: &str, text: &str) -> Result<(), InvalidField> {
    if text.len() > 1_000 {
        return Err(InvalidField::new(field, "must not be longer than 1000 bytes"));
    }
    Ok(())
}

/// Times are stored in milliseconds.
pub(crate) fn check_time(field: &str, time: DateTime) -> Result<(), InvalidField> {
    if time.subsec_nanosecond() % 1_000_000 == 0 {
        Ok(())
    } else {
        Err(InvalidField::new(field, "must not be more precise than a millisecond"))
    }
}

/// A count of pieces in a command is positive.
pub(crate) fn check_quantity(field: &str, quantity: i32) -> Result<(), InvalidField> {
    if quantity > 0 { Ok(()) } else { Err(InvalidField::new(field, "must be positive")) }
}

/// A price can be stored exactly and is nobody's gain; returns it with the places of the schema.
pub(crate) fn check_price(field: &str, price: Decimal) -> Result<Decimal, InvalidField> {
    if price.is_sign_negative() && !price.is_zero() {
        return Err(InvalidField::new(field, "must not be negative"));
    }
    amount::stored(price).map_err(|_| {
        InvalidField::new(field, "must not have more than 3 decimal places or 15 digits before the point")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_exact_as_they_are_stored() {
        let time = |text: &str| text.parse::<DateTime>().unwrap();
        assert_eq!(check_time("placedAt", time("2010-12-01T08:26:00.999")), Ok(()));
        assert!(check_time("placedAt", time("2010-12-01T08:26:00.0001")).is_err());
    }

    #[test]
    fn texts_can_be_stored_everywhere() {
        assert_eq!(check_text("country", "EIRE"), Ok(()));
        assert_eq!(check_text("country", ""), Ok(()));
        assert!(check_text("country", "EI\u{0}RE").is_err());
        assert_eq!(check_text("country", &"x".repeat(1_000)), Ok(()));
        assert!(check_text("country", &"x".repeat(1_001)).is_err());
    }

    #[test]
    fn ids_are_names() {
        for good in ["536365", "C536379", "gift_0001_20", "a b"] {
            assert_eq!(check_id("orderId", good), Ok(()), "{good}");
        }
        for bad in ["", " 1", "1 ", "a\u{0}b", "a\nb", &"x".repeat(101)] {
            assert!(check_id("orderId", bad).is_err(), "{bad:?}");
        }
    }
}

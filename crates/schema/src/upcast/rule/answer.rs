//! What an evaluation gives.

use crate::mapping::mismatch::Mismatch;
use crate::upcast::value::Value;

pub(super) type Answer<'a> = Result<Value<'a>, Mismatch>;

/// The error where the checker let through what it must not.
pub(super) const WRONG_TYPE: &str = "a value has a type that the check of the rule did not foresee";

pub(super) fn wrong_type() -> Mismatch {
    Mismatch::new(WRONG_TYPE)
}

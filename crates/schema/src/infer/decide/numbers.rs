//! The type of numbers.

use super::thresholds::{
    MAX_PRECISION, PRECISIONS, SPARE_DIGITS, TIMESTAMP_MIN_NUMBERS, TIMESTAMP_RANGE, UNSIGNED_LONG_DIGITS,
};
use crate::infer::counts::grouped;
use crate::infer::draft::{DraftType, Unit};
use crate::infer::evidence::{DOUBLE_DIGITS, Numbers, Sightings};
use crate::infer::names;
use crate::infer::report::Fact;

/// A type with the facts that led to it.
pub(super) struct Decision {
    pub(super) of: DraftType,
    pub(super) facts: Vec<Fact>,
    pub(super) doubt: Option<String>,
}

impl Decision {
    pub(super) fn plain(of: DraftType) -> Self {
        Self { of, facts: Vec::new(), doubt: None }
    }
}

/// The type of numbers that are the only kind at their path. `no_numbers` are texts such as `NaN` among them.
pub(super) fn number_type(numbers: &Numbers, no_numbers: &Sightings, suggests_time: bool) -> Decision {
    let all = numbers.count + no_numbers.count;
    if numbers.exponents.count + numbers.long_fractions.count + no_numbers.count > 0 {
        return double(numbers, no_numbers, all);
    }
    if numbers.fractions.count > 0 || numbers.beyond_long.count > 0 {
        return decimal(numbers, all);
    }
    match timestamp_unit(numbers, suggests_time) {
        Some(unit) => {
            let fact = format!(
                "all {} numbers are times between 2000 and 2050 as {}",
                grouped(all),
                described(unit)
            );
            Decision { of: DraftType::Timestamp(unit), facts: vec![Fact::new(fact)], doubt: None }
        }
        None => Decision::plain(DraftType::Long),
    }
}

/// The type of numbers in a union with other kinds, which takes numbers only as JSON numbers: no decimals, whose
/// JSON form is text, and no timestamps.
pub(super) fn number_type_in_union(numbers: &Numbers) -> Decision {
    let whole = numbers.exponents.count + numbers.fractions.count + numbers.beyond_long.count == 0;
    if whole {
        return Decision::plain(DraftType::Long);
    }
    double(numbers, &Sightings::default(), numbers.count)
}

fn described(unit: Unit) -> &'static str {
    match unit {
        Unit::Millis => "milliseconds since 1970",
        Unit::Micros => "microseconds since 1970",
        Unit::Nanos => "nanoseconds since 1970",
    }
}

fn double(numbers: &Numbers, no_numbers: &Sightings, all: u64) -> Decision {
    let mut facts = Vec::new();
    let mut fact = |seen: &Sightings, what: &str| {
        if seen.count > 0 {
            facts.push(Fact::seen(
                format!("{} of {} numbers {what}", grouped(seen.count), grouped(all)),
                seen,
            ));
        }
    };
    fact(&numbers.exponents, "have an exponent");
    fact(&numbers.long_fractions, "have a fraction and more than 15 significant digits");
    fact(no_numbers, "are \"NaN\", \"Infinity\" or \"-Infinity\"");
    // Two more digits than all doubles keep: the shortest text of a double has at most 17.
    let loses = numbers.beyond_long.count > 0 || numbers.max_significant_digits > DOUBLE_DIGITS + 2;
    let doubt = loses.then(|| {
        let digits = numbers.max_significant_digits;
        format!("a double does not keep all digits: a number has {digits} significant digits")
    });
    Decision { of: DraftType::Double, facts, doubt }
}

fn decimal(numbers: &Numbers, all: u64) -> Decision {
    let fits = |scale: u32| numbers.max_whole_digits.saturating_add(scale) <= MAX_PRECISION;
    // A decimal keeps the zeros that were written, unless there is no room for them.
    let scale = [numbers.max_scale, numbers.max_needed_scale].into_iter().find(|scale| fits(*scale));
    let Some(scale) = scale else {
        let digits = numbers.max_whole_digits.saturating_add(numbers.max_needed_scale);
        let mut decision = double(numbers, &Sightings::default(), all);
        decision.doubt = Some(format!("{digits} digits are more than the 38 that a decimal can have"));
        return decision;
    };
    let digits = numbers.max_whole_digits + scale;
    let mut facts = Vec::new();
    if numbers.fractions.count > 0 {
        let text = format!(
            "{} of {all} numbers have a fraction, with a scale of at most {scale}",
            numbers.fractions.count
        );
        facts.push(Fact::seen(text, &numbers.fractions));
    }
    if numbers.beyond_long.count > 0 {
        let (some, all) = (grouped(numbers.beyond_long.count), grouped(all));
        let text = format!("{some} of {all} numbers do not fit 64 bits");
        facts.push(Fact::seen(text, &numbers.beyond_long));
    }
    let precision = if scale == 0 {
        digits.max(UNSIGNED_LONG_DIGITS)
    } else {
        PRECISIONS.into_iter().find(|known| digits + SPARE_DIGITS <= *known).unwrap_or(MAX_PRECISION)
    };
    Decision { of: DraftType::Decimal { precision, scale }, facts, doubt: None }
}

fn timestamp_unit(numbers: &Numbers, suggests_time: bool) -> Option<Unit> {
    let (low, high) = numbers.range?;
    if !suggests_time && numbers.count < TIMESTAMP_MIN_NUMBERS {
        return None;
    }
    [(Unit::Millis, 1_000), (Unit::Micros, 1_000_000), (Unit::Nanos, 1_000_000_000)]
        .into_iter()
        .find(|(_, factor)| low >= TIMESTAMP_RANGE.0 * factor && high < TIMESTAMP_RANGE.1 * factor)
        .map(|(unit, _)| unit)
}

/// Whether a field's name says that it holds a time: `openedAt`, `created_on`, `timestamp`, `ts`.
pub(super) fn suggests_time(key: &str) -> bool {
    let last = names::words(key).pop().unwrap_or_default();
    matches!(
        &*last,
        "at" | "on"
            | "time"
            | "timestamp"
            | "date"
            | "ts"
            | "when"
            | "since"
            | "until"
            | "created"
            | "updated"
            | "modified"
            | "ms"
            | "millis"
            | "micros"
            | "nanos"
            | "epoch"
            | "start"
            | "end"
            | "from"
            | "to"
            | "expires"
            | "utc"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::evidence::NumberForm;

    fn decided(texts: &[&str]) -> DraftType {
        let mut numbers = Numbers::default();
        for text in texts {
            numbers.add(NumberForm::of(text), "0@a-1");
        }
        number_type(&numbers, &Sightings::default(), false).of
    }

    #[test]
    fn whole_numbers_are_longs_and_beyond_decimals() {
        assert_eq!(decided(&["1", "9223372036854775807"]), DraftType::Long);
        assert_eq!(decided(&["0", "18446744073709551615"]), DraftType::Decimal { precision: 20, scale: 0 });
        assert_eq!(decided(&["9223372036854775808"]), DraftType::Decimal { precision: 20, scale: 0 });
        let large = "9".repeat(30);
        assert_eq!(decided(&[&large]), DraftType::Decimal { precision: 30, scale: 0 });
        assert_eq!(decided(&[&"9".repeat(39)]), DraftType::Double);
    }

    #[test]
    fn a_fraction_is_a_decimal_with_the_largest_scale() {
        assert_eq!(decided(&["15000", "0.10", "-1575.300"]), DraftType::Decimal { precision: 18, scale: 3 });
        assert_eq!(decided(&["1.0"]), DraftType::Decimal { precision: 18, scale: 1 });
        let amounts = ["0.0000001", "79228162514264337593543950335.0"];
        assert_eq!(decided(&amounts), DraftType::Decimal { precision: 38, scale: 7 });
        let zeros = format!("1.{}", "0".repeat(50));
        assert_eq!(decided(&[&zeros]), DraftType::Decimal { precision: 20, scale: 0 });
    }

    #[test]
    fn an_exponent_or_more_than_15_digits_make_a_double() {
        assert_eq!(decided(&["1", "1E-07"]), DraftType::Double);
        assert_eq!(decided(&["1", "1e21"]), DraftType::Double);
        assert_eq!(decided(&["9.99", "0.30000000000000004"]), DraftType::Double);
        assert_eq!(decided(&["0.123456789012345"]), DraftType::Decimal { precision: 18, scale: 15 });
        assert_eq!(decided(&["0.1234567890123456"]), DraftType::Double);
    }

    #[test]
    fn numbers_are_times_if_all_are_in_range_and_the_name_or_their_count_says_so() {
        let mut numbers = Numbers::default();
        numbers.add(NumberForm::of("1677657678113"), "0@a-1");
        let unit = |numbers: &Numbers, named: bool| number_type(numbers, &Sightings::default(), named).of;
        assert_eq!(unit(&numbers, true), DraftType::Timestamp(Unit::Millis));
        assert_eq!(unit(&numbers, false), DraftType::Long);
        for _ in 1..TIMESTAMP_MIN_NUMBERS {
            numbers.add(NumberForm::of("1677657678113"), "1@a-1");
        }
        assert_eq!(unit(&numbers, false), DraftType::Timestamp(Unit::Millis));
        numbers.add(NumberForm::of("4006381333931"), "2@a-1");
        assert_eq!(unit(&numbers, true), DraftType::Long);
        let mut micros = Numbers::default();
        micros.add(NumberForm::of("1677657678113000"), "0@a-1");
        assert_eq!(unit(&micros, true), DraftType::Timestamp(Unit::Micros));
    }

    #[test]
    fn names_of_times() {
        for name in ["openedAt", "at", "created_on", "Timestamp", "expiresAt", "start-time", "ts"] {
            assert!(suggests_time(name), "{name}");
        }
        for name in ["sla", "customer", "format", "season", "items", "cart"] {
            assert!(!suggests_time(name), "{name}");
        }
    }
}

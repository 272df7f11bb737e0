//! The type of texts.

use super::numbers::Decision;
use super::thresholds::{ENUM_MIN_PER_SYMBOL, ENUM_MIN_TEXTS, ENUM_TEXTS_PER_SYMBOL};
use crate::infer::counts::grouped;
use crate::infer::draft::{DraftType, Unit};
use crate::infer::evidence::Texts;
use crate::infer::names::is_avro_name;
use crate::infer::report::Fact;

/// The type of texts that are the only kind at their path. `enum_name` is the name that an enum would have.
pub(super) fn text_type(texts: &Texts, enum_name: &str) -> Decision {
    let count = texts.count;
    if texts.uuids == count {
        return Decision::plain(DraftType::Uuid);
    }
    if texts.dates == count {
        return Decision::plain(DraftType::Date);
    }
    if texts.instants == count {
        return timestamp(texts);
    }
    if let Some(symbols) = symbols(texts) {
        let fact = format!("{} texts have {} different values", grouped(count), symbols.len());
        let of = DraftType::Enum { name: enum_name.to_owned(), symbols };
        return Decision { of, facts: vec![Fact::new(fact)], doubt: None };
    }
    Decision { of: DraftType::Text, facts: near_misses(texts), doubt: None }
}

fn timestamp(texts: &Texts) -> Decision {
    let count = grouped(texts.count);
    let digits = texts.max_fraction_digits;
    let unit = match digits {
        0..=3 => Unit::Millis,
        4..=6 => Unit::Micros,
        _ => Unit::Nanos,
    };
    let mut facts =
        vec![Fact::new(format!("all {count} texts are times with a zone, with at most {digits} decimals"))];
    if unit == Unit::Nanos && texts.beyond_nanos.count > 0 {
        let beyond = grouped(texts.beyond_nanos.count);
        let text = format!("{beyond} of {count} times do not fit nanoseconds (the years 1677 to 2262)");
        facts.push(Fact::seen(text, &texts.beyond_nanos));
        return Decision { of: DraftType::Text, facts, doubt: None };
    }
    if texts.offsets.count > 0 {
        let text = format!(
            "{} of {count} times have an offset, which a timestamp does not keep",
            texts.offsets.count
        );
        facts.push(Fact::seen(text, &texts.offsets));
    }
    Decision { of: DraftType::Timestamp(unit), facts, doubt: None }
}

fn symbols(texts: &Texts) -> Option<Vec<String>> {
    let distinct = texts.distinct.as_ref()?;
    let many = distinct.len() as u64;
    let enough = many >= 2 && texts.count >= ENUM_MIN_TEXTS.max(many * ENUM_TEXTS_PER_SYMBOL);
    // Texts that all have digits in them, such as durations, are rather values than names.
    let named = distinct.keys().any(|value| !value.bytes().any(|byte| byte.is_ascii_digit()));
    let fits = distinct.iter().all(|(value, count)| is_avro_name(value) && *count >= ENUM_MIN_PER_SYMBOL);
    (enough && named && fits).then(|| distinct.keys().map(|value| value.to_string()).collect())
}

/// Why texts of which some look like another type are only text.
fn near_misses(texts: &Texts) -> Vec<Fact> {
    let count = grouped(texts.count);
    let some = |part: u64, what: &str| {
        (part > 0).then(|| Fact::new(format!("only {} of {count} texts are {what}", grouped(part))))
    };
    let mut facts: Vec<Fact> =
        [some(texts.uuids, "UUIDs"), some(texts.dates, "dates"), some(texts.instants, "times with a zone")]
            .into_iter()
            .flatten()
            .collect();
    if texts.leading_zeros.count > 0 {
        let text =
            format!("{} of {count} texts are digits with a leading zero", grouped(texts.leading_zeros.count));
        facts.push(Fact::seen(text, &texts.leading_zeros));
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(values: &[&str]) -> Decision {
        let mut texts = Texts::default();
        for value in values {
            texts.add(value, "0@a-1");
        }
        text_type(&texts, "OrderStatus")
    }

    fn decided(values: &[&str]) -> DraftType {
        decision(values).of
    }

    #[test]
    fn uuids_and_dates_need_every_value() {
        let uuid = "f113dfcc-0925-450a-b875-979e9ce730c9";
        assert_eq!(decided(&[uuid, uuid]), DraftType::Uuid);
        assert_eq!(decided(&[uuid, ""]), DraftType::Text);
        assert_eq!(decided(&["2024-02-29"]), DraftType::Date);
        assert_eq!(decided(&["2024-02-29", "2024-02-29T00:00:00"]), DraftType::Text);
    }

    #[test]
    fn the_unit_of_a_timestamp_is_that_of_its_finest_value() {
        let second = "2022-04-01T00:00:00Z";
        assert_eq!(decided(&[second]), DraftType::Timestamp(Unit::Millis));
        assert_eq!(decided(&[second, "2022-04-01T00:00:00.1230000Z"]), DraftType::Timestamp(Unit::Millis));
        assert_eq!(decided(&[second, "2022-04-01T00:00:00.123456Z"]), DraftType::Timestamp(Unit::Micros));
        assert_eq!(decided(&[second, "2022-04-01T00:00:00.1234567Z"]), DraftType::Timestamp(Unit::Nanos));
    }

    #[test]
    fn a_timestamp_without_a_zone_or_outside_its_unit_is_text() {
        assert_eq!(decided(&["2022-04-01T00:00:00Z", "0001-01-01T00:00:00"]), DraftType::Text);
        let outside = decision(&["2022-04-01T00:00:00.1234567Z", "0001-01-01T00:00:00Z"]);
        assert_eq!(outside.of, DraftType::Text);
        assert_eq!(outside.facts[1].text, "1 of 2 times do not fit nanoseconds (the years 1677 to 2262)");
        assert_eq!(
            decided(&["2022-04-01T00:00:00.123Z", "0001-01-01T00:00:00Z"]),
            DraftType::Timestamp(Unit::Millis)
        );
    }

    #[test]
    fn lost_offsets_are_listed() {
        let decision = decision(&["2022-04-01T00:00:00Z", "2022-04-01T02:00:00+02:00"]);
        assert_eq!(decision.facts[1].text, "1 of 2 times have an offset, which a timestamp does not keep");
    }

    #[test]
    fn an_enum_needs_few_values_that_recur() {
        let states = ["placed", "paid"].repeat(25);
        let of =
            DraftType::Enum { name: "OrderStatus".into(), symbols: vec!["paid".into(), "placed".into()] };
        assert_eq!(decided(&states), of);
        assert_eq!(decided(&states[..49]), DraftType::Text);
        assert_eq!(decided(&["placed"; 100]), DraftType::Text, "one value");
        assert_eq!(decided(&[&states[..], &["lost"]].concat()), DraftType::Text, "a value met once");
        assert_eq!(decided(&["a-b", "paid"].repeat(25)), DraftType::Text, "not a symbol");
        assert_eq!(decided(&["P1DT3H", "P2DT3H"].repeat(25)), DraftType::Text, "durations");
    }

    #[test]
    fn texts_of_digits_alone_stay_text() {
        assert_eq!(decided(&["895721", "12"]), DraftType::Text);
        let leading = decision(&["0087619934584", "12"]);
        assert_eq!(leading.facts[0].text, "1 of 2 texts are digits with a leading zero");
    }
}

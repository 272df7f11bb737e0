//! Avro names for stored names.

use std::collections::{BTreeMap, BTreeSet};

use crate::infer::evidence::folded;

/// Whether it is a name in Avro: ASCII letters, digits and underscores, no digit first.
pub(super) fn is_avro_name(name: &str) -> bool {
    let first = name.bytes().next();
    first.is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The words of a name, in lower case: `OrderID`, `order_id`, `order-id` and `$order.id` have the words `order` and
/// `id`. What is no ASCII letter or digit separates words.
pub(super) fn words(name: &str) -> Vec<String> {
    let characters: Vec<char> = name.chars().collect();
    let mut words: Vec<String> = Vec::new();
    let mut within = false;
    for (at, character) in characters.iter().enumerate() {
        if !character.is_ascii_alphanumeric() {
            within = false;
            continue;
        }
        let before = at.checked_sub(1).map(|before| characters[before]);
        let after_lower = before.is_some_and(|before| before.is_ascii_lowercase() || before.is_ascii_digit());
        let before_lower = characters.get(at + 1).is_some_and(char::is_ascii_lowercase);
        let starts = character.is_ascii_uppercase() && (after_lower || before_lower);
        if starts || !within {
            words.push(String::new());
        }
        within = true;
        if let Some(word) = words.last_mut() {
            word.push(character.to_ascii_lowercase());
        }
    }
    words
}

fn capitalized(word: &str) -> String {
    let mut characters = word.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}

/// `orderLines`, `order_lines` and `order-lines` as a part of a type's name: `OrderLines`.
pub(super) fn pascal_case(name: &str) -> String {
    words(name).iter().map(|word| capitalized(word)).collect()
}

/// A field's name for a key that is no Avro name: camel case of its words.
fn camel_case(key: &str) -> String {
    let words = words(key);
    let mut name: String = words.first().cloned().unwrap_or_else(|| "field".to_owned());
    name.extend(words.iter().skip(1).map(|word| capitalized(word)));
    if name.starts_with(|first: char| first.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// Chooses the names of a record's fields. Each field has the keys that its writers use, the most frequent first.
/// Names differ by more than case and underscores, so that they stay apart in generated types. Keys that are Avro
/// names come first to keep them.
pub(super) fn field_names(fields: &[Vec<String>]) -> Vec<String> {
    let mut taken: BTreeSet<Box<str>> = BTreeSet::new();
    let mut names: BTreeMap<usize, String> = BTreeMap::new();
    let own = |keys: &[String]| keys.iter().find(|key| is_avro_name(key)).cloned();
    for (index, keys) in fields.iter().enumerate() {
        if let Some(name) = own(keys).filter(|name| taken.insert(folded(name))) {
            names.insert(index, name);
        }
    }
    for (index, keys) in fields.iter().enumerate() {
        if names.contains_key(&index) {
            continue;
        }
        let base = own(keys).unwrap_or_else(|| camel_case(keys.first().map_or("", String::as_str)));
        names.insert(index, unique(&base, |name| taken.insert(folded(name))));
    }
    names.into_values().collect()
}

/// The name itself, or with the first number that is free.
fn unique(base: &str, mut take: impl FnMut(&str) -> bool) -> String {
    let numbered = (2..).map(|number: u64| format!("{base}{number}"));
    let mut candidates = std::iter::once(base.to_owned()).chain(numbered);
    candidates.find(|name| take(name)).unwrap_or_else(|| base.to_owned())
}

/// Names of records and enums, of which no two event types of a context may share one.
#[derive(Debug, Default)]
pub(super) struct TypeNames {
    taken: BTreeSet<Box<str>>,
}

impl TypeNames {
    /// Keeps the names of the event types for themselves.
    pub(super) fn reserving<'a>(event_types: impl Iterator<Item = &'a str>) -> Self {
        Self { taken: event_types.map(folded).collect() }
    }

    /// A name for the type at a path within an event: `OrderPlaced` and `lines`, `price` give `OrderPlacedLinesPrice`.
    pub(super) fn name(&mut self, event_type: &str, keys: &[String]) -> String {
        let path: String = keys.iter().map(|key| pascal_case(key)).collect();
        let base = if path.is_empty() { format!("{event_type}Value") } else { format!("{event_type}{path}") };
        unique(&base, |name| self.taken.insert(folded(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(fields: &[&[&str]]) -> Vec<String> {
        let fields: Vec<Vec<String>> =
            fields.iter().map(|keys| keys.iter().map(|key| (*key).to_owned()).collect()).collect();
        field_names(&fields)
    }

    #[test]
    fn keys_that_are_names_are_kept() {
        assert_eq!(
            names(&[&["orderId"], &["order_no"], &["Total", "total"]]),
            ["orderId", "order_no", "Total"]
        );
    }

    #[test]
    fn other_keys_become_names() {
        let fields: [&[&str]; 6] = [&["$type"], &["order-id"], &["2nd"], &["ÆØÅ"], &["@version"], &["a.b c"]];
        assert_eq!(names(&fields), ["type", "orderId", "_2nd", "field", "version", "aBC"]);
    }

    #[test]
    fn names_stay_apart() {
        assert_eq!(names(&[&["$type"], &["type"]]), ["type2", "type"]);
        assert_eq!(names(&[&["resCard"], &["res_card"]]), ["resCard", "res_card2"]);
        assert_eq!(names(&[&["ü"], &["ö"], &["field"]]), ["field2", "field3", "field"]);
    }

    #[test]
    fn types_are_named_by_their_path() {
        let mut types = TypeNames::reserving(["OrderPlacedLines"].into_iter());
        let lines = ["lines".to_owned()];
        assert_eq!(types.name("OrderPlaced", &lines), "OrderPlacedLines2");
        assert_eq!(types.name("Order", &["placed-items".to_owned()]), "OrderPlacedItems");
        assert_eq!(types.name("OrderPlaced", &["items".to_owned()]), "OrderPlacedItems2");
    }

    #[test]
    fn words_are_found_in_every_spelling() {
        for name in ["OrderID", "order_id", "order-id", "$order.id", "orderId"] {
            assert_eq!(words(name), ["order", "id"], "{name}");
        }
        assert_eq!(words("HTTPServer2Go"), ["http", "server2", "go"]);
    }
}

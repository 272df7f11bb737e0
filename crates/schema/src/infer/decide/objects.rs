//! Objects: a record or a map, and the fields of a record.

use super::thresholds::{MAP_MIN_KEYS, MAP_SPARSENESS};
use crate::infer::evidence::{Key, Kind, MAX_KEYS, Node, Objects, folded};
use crate::infer::names::is_avro_name;

/// Why objects are a map, for the report; `None` for a record.
pub(super) fn map_reason(objects: &Objects) -> Option<String> {
    if objects.others.is_some() {
        return Some(format!("objects have more than {MAX_KEYS} different keys"));
    }
    let mut kinds: Vec<Kind> = Vec::new();
    let mut has_marker = false;
    for (key, known) in &objects.keys {
        if key.starts_with('$') {
            has_marker = true;
        } else {
            kinds.extend(known.node.kinds());
        }
    }
    kinds.sort_unstable();
    kinds.dedup();
    let [kind] = kinds[..] else { return None };
    // A serializer's `$type` is text: among other values it can only be a field of a record.
    if has_marker && kind != Kind::Text {
        return None;
    }
    let odd = objects.keys.keys().filter(|key| !key.starts_with('$') && !is_field_like(key)).count();
    if odd > 0 {
        return Some(format!("{odd} of {} keys could not be field names", objects.keys.len()));
    }
    let members: u64 = objects.keys.values().map(|key| key.node.values).sum();
    let filled = objects.seen.count - objects.empty;
    let keys = objects.distinct_keys();
    let sparse = members * MAP_SPARSENESS <= filled * keys as u64;
    (keys >= MAP_MIN_KEYS && sparse).then(|| format!("{filled} objects have {keys} different keys"))
}

/// Whether a key is a field's name, or one as JSON writers like it: `order-id`, `@version`.
fn is_field_like(key: &str) -> bool {
    let word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_lowercase())
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let key = key.trim_start_matches('@');
    is_avro_name(key) || key.split('-').all(word)
}

/// The spellings of one field, with the evidence of all of them.
#[derive(Debug)]
pub(super) struct Field {
    /// The one that gives the field its name first.
    pub(super) keys: Vec<String>,
    pub(super) key: Key,
}

/// A key with its evidence.
type Spelling<'o> = (&'o str, &'o Key);

/// The fields of a record, by their first appearance. Spellings that no object has together are one field.
pub(super) fn fields(objects: &Objects) -> Vec<Field> {
    let mut by_order: Vec<Spelling<'_>> = objects.keys.iter().map(|(name, key)| (&**name, key)).collect();
    by_order.sort_by_key(|(_, key)| key.order);
    let mut groups: Vec<(Box<str>, Vec<Spelling<'_>>)> = Vec::new();
    for (name, key) in by_order {
        let folded = folded(name);
        let apart = objects.together.contains(&folded);
        match groups.iter_mut().find(|(known, _)| *known == folded && !apart) {
            Some((_, spellings)) => spellings.push((name, key)),
            None => groups.push((folded, vec![(name, key)])),
        }
    }
    let capitals = prefers_capitals(&groups);
    groups.into_iter().map(|(_, spellings)| joined(spellings, capitals)).collect()
}

fn is_capital(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
}

/// Whether more objects were written with keys that begin with a capital, so that all fields of a record follow the
/// same writer.
fn prefers_capitals(groups: &[(Box<str>, Vec<Spelling<'_>>)]) -> bool {
    let most = |capital: bool| {
        let several = groups.iter().filter(|(_, spellings)| spellings.len() > 1);
        let keys =
            several.flat_map(|(_, spellings)| spellings).filter(|(name, _)| is_capital(name) == capital);
        keys.map(|(_, key)| key.node.values).max().unwrap_or(0)
    };
    most(true) > most(false)
}

fn joined(mut spellings: Vec<Spelling<'_>>, capitals: bool) -> Field {
    spellings.sort_by_key(|(name, key)| {
        (is_capital(name) != capitals, std::cmp::Reverse(key.node.values), name.to_string())
    });
    let mut key = Key::default();
    for (index, (_, spelling)) in spellings.iter().enumerate() {
        if index == 0 {
            key = (*spelling).clone();
        } else {
            key.join(spelling);
        }
    }
    Field { keys: spellings.iter().map(|(name, _)| name.to_string()).collect(), key }
}

/// The evidence of a field with these keys.
pub(super) fn field_node(objects: &Objects, keys: &[String]) -> Option<Node> {
    let mut found = keys.iter().filter_map(|key| objects.keys.get(&**key));
    let mut node = found.next()?.node.clone();
    found.for_each(|key| node.merge(&key.node));
    Some(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_look_like_fields() {
        for key in ["orderId", "order_no", "order-id", "content-type", "@version", "NO"] {
            assert!(is_field_like(key), "{key}");
        }
        for key in ["A/B", "size-EU", "ÆØÅ", "2024", "a b", "", "f113dfcc-0925-450a-b875-979e9ce730c9"] {
            assert!(!is_field_like(key), "{key}");
        }
    }
}

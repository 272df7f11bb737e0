//! The text of a version's successor.

/// The attribute of upcast rules, as a key of JSON.
const RULE: &str = "\"upcast\"";

/// The text of a schema without upcast rules, which said how the version before it becomes this one. All else stays as it was written.
///
/// `text` must be JSON.
pub fn successor(text: &str) -> String {
    let mut draft = String::with_capacity(text.len());
    let mut kept = 0;
    for (key_start, key_end) in strings(text) {
        let is_key = text[key_end..].trim_start().starts_with(':');
        if !is_key || &text[key_start..key_end] != RULE {
            continue;
        }
        let colon = key_end + text[key_end..].len() - text[key_end..].trim_start().len() + 1;
        let value = colon + text[colon..].len() - text[colon..].trim_start().len();
        // A rule is a text; anything else is not ours.
        let Some((_, value_end)) = strings(&text[value..]).next().filter(|(start, _)| *start == 0) else {
            continue;
        };
        let value_end = value + value_end;
        let before = text[kept..key_start].trim_end();
        match before.strip_suffix(',') {
            // Its comma comes before it, unless it is the first member.
            Some(before) => {
                draft.push_str(before);
                kept = value_end;
            }
            None => {
                draft.push_str(&text[kept..key_start]);
                let rest = text[value_end..].trim_start();
                let after = rest.strip_prefix(',').unwrap_or(rest).trim_start();
                kept = text.len() - after.len();
            }
        }
    }
    draft.push_str(&text[kept..]);
    draft
}

/// Where the strings of JSON begin and end, with their quotes.
fn strings(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + bytes.get(at..)?.iter().position(|byte| *byte == b'"')?;
        let mut end = start + 1;
        while *bytes.get(end)? != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        at = end + 1;
        Some((start, at))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;

    #[test]
    fn rules_go_and_everything_else_stays_as_it_was() {
        for (text, expected) in [
            (
                "{\n  \"name\": \"a\", \"type\": \"int\",\n  \"upcast\": \"old.b\"\n}",
                "{\n  \"name\": \"a\", \"type\": \"int\"\n}",
            ),
            ("{\"upcast\" : \"size(\\\"x\\\") , 1\" , \"name\": \"upcast\"}", "{\"name\": \"upcast\"}"),
            ("{\"name\": \"a\", \"upcast\": \"1\", \"doc\": \"d\"}", "{\"name\": \"a\", \"doc\": \"d\"}"),
            ("{\"upcast\": \"1\"}", "{}"),
            (
                "{\"doc\": \"\\\"upcast\\\": \\\"1\\\"\", \"upcast\": 1}",
                "{\"doc\": \"\\\"upcast\\\": \\\"1\\\"\", \"upcast\": 1}",
            ),
        ] {
            assert_eq!(successor(text), expected);
        }
    }

    fn json() -> impl Strategy<Value = Json> {
        let leaf =
            prop_oneof![Just(json!(null)), any::<i32>().prop_map(Json::from), ".*".prop_map(Json::from)];
        leaf.prop_recursive(4, 32, 4, |inner| {
            let key = prop_oneof![Just("upcast".to_owned()), ".*"];
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                proptest::collection::btree_map(key, inner, 0..4)
                    .prop_map(|it| Json::Object(it.into_iter().collect())),
            ]
        })
    }

    fn without_rules(json: &mut Json) {
        match json {
            Json::Array(items) => items.iter_mut().for_each(without_rules),
            Json::Object(members) => {
                members.retain(|key, value| key != "upcast" || !value.is_string());
                members.values_mut().for_each(without_rules);
            }
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn what_is_left_is_the_json_without_rules(mut json in json(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&json) } else { serde_json::to_string(&json) };
            let draft: Json = serde_json::from_str(&successor(&text.unwrap())).unwrap();
            without_rules(&mut json);
            prop_assert_eq!(draft, json);
        }
    }
}
